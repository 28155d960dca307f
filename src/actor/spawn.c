/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An actor asks the arbiter for another actor. The aid is chosen here, so that the caller knows it at once.
 * Called by the program. */

#include "actor/call.h"
#include "actor/peer.h"

static void on_spawned(arbiter_future *answer, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = userdata;
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *p = NULL;
        const char *id, *name;
        uint32_t generation;

        if (answer->outcome != ARBITER_OUTCOME_REPLY) {
                future_resolve(f, answer->outcome, arbiter_message_ref(answer->reply));
                return;
        }
        if (arbiter_future_get(answer, "ssu", &id, &name, &generation) <= 0 ||
                        arbiter_proxy_new(id, name, generation, &p) < 0) {
                future_fail(f, ARBITER_OUTCOME_NO_CONNECTION, "the arbiter's answer makes no sense");
                return;
        }
        future_resolve_proxy(f, p);
}

static int append_parameters(arbiter_message *m, const char *const *parameters) {
        int r;

        r = arbiter_message_open_container(m, 'a', "s");
        for (; r >= 0 && parameters && *parameters; parameters++)
                r = arbiter_message_append_basic(m, 's', *parameters);
        return r < 0 ? r : arbiter_message_close_container(m);
}

_public_ int arbiter_actor_spawn(arbiter_actor *a, const char *definition, const char *name,
                const char *const *parameters, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL, *answer = NULL;
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        if (!a || !definition || !ret || (name && !name_is_valid(name)))
                return -EINVAL;
        if (a->arbiter_ops)
                return a->arbiter_ops->spawn(a, definition, name, parameters, ret);
        if (!a->control)
                return -ENOTCONN;
        r = future_new(a, &f);
        if (r < 0)
                return r;
        r = aid_random(&f->spawn_aid);
        if (r < 0)
                return r;
        f->spawn_aid_string = aid_to_string(&f->spawn_aid);
        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        r = arbiter_message_append(m, "sss", definition, name ? name : "", f->spawn_aid_string.s);
        if (r >= 0)
                r = append_parameters(m, parameters);
        if (r >= 0)
                r = message_seal(m);
        /* No deadline of its own: the start timeout bounds it. */
        if (r >= 0)
                r = actor_send_system(a, &AID_ARBITER, "spawn", m, UINT64_MAX, &answer);
        if (r < 0)
                return r;
        answer->repeatable = true; /* the aid is the same: the arbiter knows its own again */
        arbiter_future_ref(f);
        r = future_then_now(answer, on_spawned, f);
        if (r < 0) {
                arbiter_future_unref(f);
                return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}
