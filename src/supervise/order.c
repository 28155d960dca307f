/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Order among different children, as OTP has it: started one after the other, stopped one by one in reverse,
 * and, by one-for-all and rest-for-one, restarted together. Also how a set goes down, pools included. Called
 * after each event by settle() in handle.c, which goes on here until the set waits for somebody. */

#include "supervise/state.h"

void set_go_down(supervise *s, supervise_phase phase, supervise_action_type verdict, uint32_t culprit) {
        s->phase = phase;
        s->verdict = verdict;
        s->culprit = culprit;
        s->rolling = 0;
        s->outdated = s->starting = s->has_next = false;
        s->roll = roll_is_active(s) ? SUPERVISE_ROLL_NONE : s->roll;
        s->stalled_since = NSEC_INFINITY;
        s->overdue = false;
        s->awaited = 0;
        s->breaker = SUPERVISE_BREAKER_CLOSED;
        s->breaker_until = NSEC_INFINITY;
        s->breaker_probe = 0;
        s->group = 0;
        s->stop_cursor = s->last;
        s->n_first = 0;

        for (uint32_t i = 1; i <= s->slot_max; i++) {
                struct slot *slot = slot_at(s, i);

                if (slot->first)
                        slot_mark(s, i);
                slot->first = false;
                if (slot->state == SUPERVISE_SLOT_BACKOFF || slot->state == SUPERVISE_SLOT_WAITING ||
                    (phase == SUPERVISE_PHASE_STOPPING &&
                     (slot->state == SUPERVISE_SLOT_FAILED || slot->state == SUPERVISE_SLOT_HELD)))
                        slot_set_state(s, i, SUPERVISE_SLOT_IDLE, NSEC_INFINITY);
                else if (s->policy.strategy == SUPERVISE_POOL && state_is_alive(slot->state) &&
                         slot->state != SUPERVISE_SLOT_STOPPING)
                        life_stop(s, i, slot_is_leaving(slot) ? THEN_REMOVE : THEN_END);
        }
}

/* The last in order that still lives, at most back to `from`. Nobody behind the cursor starts before it
 * is done, so it only goes back. */
static uint32_t last_alive(supervise *s, uint64_t from) {
        while (s->stop_cursor > 0) {
                const struct slot *slot = slot_at(s, s->stop_cursor);

                if (slot->order < from)
                        return 0;
                if (state_is_alive(slot->state))
                        return s->stop_cursor;
                s->stop_cursor = slot->prev;
        }
        return 0;
}

void set_go_on_stopping(supervise *s) {
        uint32_t number = s->policy.strategy == SUPERVISE_POOL ? 0 : last_alive(s, 0);

        if (number > 0 && slot_at(s, number)->state != SUPERVISE_SLOT_STOPPING)
                life_stop(s, number, THEN_END);
        if (supervise_n_alive(s) > 0)
                return;
        s->phase = s->phase == SUPERVISE_PHASE_STOPPING ? SUPERVISE_PHASE_DOWN : SUPERVISE_PHASE_FAILED;
        if (s->policy.strategy == SUPERVISE_POOL &&
                        supervise_n_slots(s) > s->n_target) /* a roll's surplus */
                pool_shrink(s, supervise_n_slots(s) - s->n_target);
        action_push(s, s->verdict, s->culprit);
}

void group_restart(supervise *s, uint32_t number) {
        uint32_t from = s->policy.strategy == SUPERVISE_ONE_FOR_ALL ? s->first : number;
        uint64_t order = slot_at(s, from)->order;

        if (s->group == 0 || order < s->group)
                s->group = order;
        s->stop_cursor = s->last;
}

/* True when all of the group are down. Who had ended for good, or ignored its start, is started again
 * with the others; who is held is not. */
static bool group_is_down(supervise *s) {
        uint32_t number = last_alive(s, s->group);

        if (number > 0) {
                if (slot_at(s, number)->state != SUPERVISE_SLOT_STOPPING)
                        life_stop(s, number, THEN_WAIT);
                return false;
        }
        for (uint32_t i = s->last; i > 0 && slot_at(s, i)->order >= s->group; i = slot_at(s, i)->prev)
                if (slot_at(s, i)->state == SUPERVISE_SLOT_IDLE)
                        slot_set_state(s, i, SUPERVISE_SLOT_WAITING, NSEC_INFINITY);
        return true;
}

/* Whoever comes later in order does not start before this one has its outcome, also if its first start was
 * interrupted (by hand, by a probe) and is to begin again. By one-for-one only the start itself is in order:
 * a child that waits to be restarted holds nobody up. */
static bool blocks(const supervise *s, const struct slot *slot) {
        if (slot->state == SUPERVISE_SLOT_STARTING ||
            (slot->state == SUPERVISE_SLOT_STOPPING && slot->first))
                return true;
        return strategy_is_group(s) &&
               (slot->state == SUPERVISE_SLOT_BACKOFF ||
                (slot->state == SUPERVISE_SLOT_STOPPING &&
                 (slot->then == THEN_RESTART || slot->then == THEN_WAIT || slot->then == THEN_FAIL)));
}

void order_go_on(supervise *s) {
        if (s->group > 0) {
                if (!group_is_down(s))
                        return;
                s->group = 0;
        }
        if (s->n[SUPERVISE_SLOT_WAITING] == 0)
                return;
        if (s->policy.strategy == SUPERVISE_ONE_FOR_ALL && s->n[SUPERVISE_SLOT_BACKOFF] > 0)
                return; /* they rise together */
        for (uint32_t i = s->start_cursor; i > 0 && !blocks(s, slot_at(s, i)); i = slot_at(s, i)->next)
                if (slot_at(s, i)->state == SUPERVISE_SLOT_WAITING) {
                        life_begin(s, i);
                        return;
                } else if (i == s->start_cursor && state_is_settled(slot_at(s, i)->state))
                        s->start_cursor = slot_at(s, i)->next;
}
