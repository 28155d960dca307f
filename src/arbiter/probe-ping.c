/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes of a mailbox: "ping" by the control link, in the system lane, so that a full mailbox is no failure.
 * The answer shows that the actor's loop turns. Called by probe.c. */

#include "arbiter/internal.h"
#include "arbiter/probes.h"

void probe_ping_answered(arbiter_future *f, void *userdata) {
        struct probe_attempt *x = userdata;

        arbiter_future_unref(TAKE_PTR(x->future));
        switch (f->outcome) {
        case ARBITER_OUTCOME_REPLY:
                probe_attempt_end(x, PROBE_GOOD, "pong");
                return;
        case ARBITER_OUTCOME_NOPROC:
        case ARBITER_OUTCOME_CALLEE_DIED:
        case ARBITER_OUTCOME_RESTARTING:
        case ARBITER_OUTCOME_CANCELLED: /* how it ends is noticed otherwise */
                probe_attempt_end(x, PROBE_UNKNOWN, "%s", arbiter_outcome_to_string(f->outcome));
                return;
        default:
                probe_attempt_end(x, PROBE_BAD, "its mailbox does not answer: %s",
                                arbiter_outcome_to_string(f->outcome));
        }
}

int probe_ping_begin(struct probe_attempt *x) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        struct child *c = x->run->child;
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = message_seal(m);
        /* The attempt's own time, which tells a loop that was late from an actor that is, ends it before. */
        if (r >= 0)
                r = actor_send_system(c->arbiter->actor, &c->aid, "ping", m,
                                time_add(x->run->timing.timeout, x->run->timing.timeout), &x->future);
        if (r < 0)
                return r;
        return future_then_now(x->future, probe_ping_answered, x);
}
