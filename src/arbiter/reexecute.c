/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program around the arbiter is replaced by the one on disk, while its actors go on: who asks for
 * it, who does it, and what came of it. Called by the D-Bus face, and by the program, which does the work;
 * here is only the one future that all who ask wait for. */

#include "actor/call.h"
#include "arbiter/internal.h"
#include "wire/message.h"

#define ERROR_NAME "io.arbiter.Arbiter1.Error.ReexecuteFailed"

_public_ int arbiter_set_reexecute_handler(
                arbiter *a, arbiter_reexecute_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->reexecute_handler = handler;
        a->reexecute_userdata = userdata;
        return 0;
}

_public_ int arbiter_reexecute(arbiter *a, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        if (!a || !ret)
                return -EINVAL;
        if (!a->reexecute_handler)
                return -EOPNOTSUPP;
        if (a->actor->state >= ARBITER_STATE_STOPPING)
                return -ESHUTDOWN;
        if (a->reexecution) {
                *ret = arbiter_future_ref(a->reexecution);
                return 0;
        }
        r = future_new(a->actor, &f);
        if (r < 0)
                return r;
        a->reexecution = arbiter_future_ref(f);
        r = a->reexecute_handler(a, a->reexecute_userdata);
        if (r < 0) {
                a->reexecution = arbiter_future_unref(a->reexecution);
                return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

_public_ int arbiter_reexecute_done(arbiter *a, int error, const char *text) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;

        if (!a)
                return -EINVAL;
        f = TAKE_PTR(a->reexecution);
        if (!f)
                return -ESRCH;
        if (error >= 0)
                future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
        else {
                (void) message_new_error(ARBITER_OUTCOME_APPLICATION_ERROR, ERROR_NAME,
                                text ? text : strerror(-error), &m);
                future_resolve(f, ARBITER_OUTCOME_APPLICATION_ERROR, TAKE_PTR(m));
        }
        return 0;
}
