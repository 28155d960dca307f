/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an arbiter's successor must know of it, kept in the state journal as things change: see state.h.
 * Called wherever something is decided. Must never be in the way of what it describes: when it cannot be
 * written, that is told, and the arbiter goes on. */

#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"

/* -ENOENT: nothing has been written yet. */
static int read_left(const struct state_journal *j, struct state_arbiter *ret) {
        struct state_entry e;
        int r;

        r = state_journal_get(j, STATE_ARBITER, "", 0, &e);
        return r < 0 ? r : state_decode_arbiter(&e, ret);
}

static int open_left(arbiter *a, int fd, struct state_journal **ret) {
        _cleanup_(state_journal_freep) struct state_journal *j = NULL;
        struct state_arbiter *left;
        int r;

        r = state_journal_open(fd, &j);
        if (r < 0)
                return r;
        if (r > 0)
                arbiter_log(a, LOG_WARNING, NULL, NULL,
                                "the state that was left is damaged: the last of what was decided is lost");
        left = malloc(sizeof(*left));
        if (!left)
                return -ENOMEM;
        r = read_left(j, left);
        if (r < 0) {
                free(left);
                if (r != -ENOENT)
                        return r;
                left = NULL;
        }
        free(a->state.left);
        a->state.left = left;
        *ret = TAKE_PTR(j);
        return left ? 1 : 0;
}

_public_ int arbiter_set_state(arbiter *a, int fd) {
        struct state_journal *j;
        int r;

        if (!a || fd < -1)
                return -EINVAL;
        if (a->started)
                return -EBUSY;
        r = fd < 0 ? state_journal_new(STATE_JOURNAL_SIZE_DEFAULT, &j) : open_left(a, fd, &j);
        if (r < 0)
                return r;
        state_journal_free(a->state.journal);
        a->state.journal = j;
        return r;
}

_public_ int arbiter_get_state_fd(arbiter *a) {
        return a ? state_journal_fd(a->state.journal) : -EINVAL;
}

_public_ int arbiter_set_keep_handler(arbiter *a, arbiter_keep_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->keep_handler = handler;
        a->keep_userdata = userdata;
        return 0;
}

_public_ void arbiter_kept(arbiter *a) {
        if (a)
                relinks_kept(a);
}

void state_done(arbiter *a) {
        a->state.journal = state_journal_free(a->state.journal);
        free(a->state.left);
}
