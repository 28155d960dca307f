/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The breaker of a pool (Akka's, for restarts): closed, it counts the failures of all workers together;
 * open, nobody is started; half open, one is, and its outcome decides. Workers whose turn has not come are
 * WAITING. Called by life.c and handle.c. Those that run are not touched. */

#include "supervise/state.h"

static void set_breaker(supervise *s, supervise_breaker breaker, nsec_t until) {
        s->breaker = breaker;
        s->breaker_until = until;
        s->breaker_probe = 0;
        s->head_dirty = true;
}

static void open_breaker(supervise *s, nsec_t delay) {
        s->breaker_delay = delay;
        set_breaker(s, SUPERVISE_BREAKER_OPEN, time_add(s->clock, delay));
        action_push(s, SUPERVISE_ACTION_BREAKER_OPEN, 0);
}

void breaker_close(supervise *s) {
        if (s->breaker == SUPERVISE_BREAKER_CLOSED)
                return;
        set_breaker(s, SUPERVISE_BREAKER_CLOSED, NSEC_INFINITY);
        s->n_failures = 0;
        action_push(s, SUPERVISE_ACTION_BREAKER_CLOSED, 0);
}

void breaker_count_failure(supervise *s, uint32_t number) {
        const supervise_policy *p = &s->policy;

        if (p->breaker_failures == 0 || p->strategy != SUPERVISE_POOL)
                return;
        if (s->breaker == SUPERVISE_BREAKER_HALF_OPEN && number == s->breaker_probe)
                open_breaker(s, s->breaker_delay > p->breaker_max / 2 ? p->breaker_max :
                                s->breaker_delay * 2);
        if (s->breaker != SUPERVISE_BREAKER_CLOSED)
                return;
        window_add(s->failures, s->row_size, &s->n_failures, p->breaker_period, s->clock);
        if (s->n_failures >= p->breaker_failures)
                open_breaker(s, p->breaker_min);
}

void breaker_count_ready(supervise *s, uint32_t number) {
        if (s->breaker == SUPERVISE_BREAKER_HALF_OPEN && number > 0 && number == s->breaker_probe &&
            number <= s->slot_max && slot_is_proven(s, slot_at(s, number)))
                breaker_close(s);
}

/* Whether this slot may be started; half open, the first that asks is the one that is tried. */
bool breaker_lets_begin(supervise *s, uint32_t number) {
        if (s->breaker == SUPERVISE_BREAKER_CLOSED)
                return true;
        if (s->breaker == SUPERVISE_BREAKER_OPEN || s->breaker_probe > 0)
                return false;
        s->breaker_probe = number;
        return true;
}

void breaker_go_on(supervise *s) {
        if (s->breaker == SUPERVISE_BREAKER_OPEN && s->breaker_until <= s->clock)
                set_breaker(s, SUPERVISE_BREAKER_HALF_OPEN, NSEC_INFINITY);
        breaker_count_ready(s, s->breaker_probe); /* it may have been for long enough by now */
        if (s->breaker_probe > 0 && (s->breaker_probe > s->slot_max ||
                                     (slot_at(s, s->breaker_probe)->state != SUPERVISE_SLOT_STARTING &&
                                      slot_at(s, s->breaker_probe)->state != SUPERVISE_SLOT_RUNNING))) {
                s->breaker_probe = 0; /* an operator has taken it away: another one */
                s->head_dirty = true;
        }
}
