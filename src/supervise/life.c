/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One life in a slot: it is started, told to stop, and ends; and what its end means by the rules of the
 * set (restart type, strategy, limit, significance). Called by the other files of src/supervise. Draws no
 * consequence for the set as a whole: settle() in handle.c does, after each event. */

#include "supervise/state.h"

void life_begin(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        if (s->policy.strategy == SUPERVISE_POOL &&
            (!roll_may_begin(s, slot) || !breaker_lets_begin(s, number))) {
                if (slot->state != SUPERVISE_SLOT_WAITING)
                        slot_set_state(s, number, SUPERVISE_SLOT_WAITING, NSEC_INFINITY);
                return;
        }
        slot->busy = false;
        slot->generation = ++s->generation;
        if (s->revision == roll_revision(s, slot) &&
            (slot->lives > 0 ? slot->revision != s->revision : slot->state == SUPERVISE_SLOT_WAITING))
                roll_note_progress(s);
        slot->revision = roll_revision(s, slot);
        s->n_restarts += slot->lives++ > 0;
        slot_set_state(s, number, SUPERVISE_SLOT_STARTING, NSEC_INFINITY);
        action_push(s, SUPERVISE_ACTION_SPAWN, number);
}

void life_enqueue(supervise *s, uint32_t number) {
        if (s->policy.ordered)
                slot_set_state(s, number, SUPERVISE_SLOT_WAITING, NSEC_INFINITY);
        else
                life_begin(s, number);
}

void life_stop(supervise *s, uint32_t number, enum slot_then then) {
        if (slot_at(s, number)->state != SUPERVISE_SLOT_STOPPING) {
                slot_set_state(s, number, SUPERVISE_SLOT_STOPPING, NSEC_INFINITY);
                action_push(s, SUPERVISE_ACTION_STOP, number);
        }
        slot_set_then(s, number, then);
        if (!slot_will_start(slot_at(s, number)))
                slot_had_outcome(s, number);
}

void slot_remove(supervise *s, uint32_t number) {
        action_push(s, SUPERVISE_ACTION_REMOVED, number);
        slot_set_state(s, number, SUPERVISE_SLOT_UNUSED, NSEC_INFINITY);
}

void life_stop_or_remove(supervise *s, uint32_t number) {
        if (state_is_alive(slot_at(s, number)->state))
                life_stop(s, number, THEN_REMOVE);
        else
                slot_remove(s, number);
}

/* Over the limit: parked, and with `escalate` the whole set goes with it. */
static void park(supervise *s, uint32_t number) {
        slot_set_state(s, number, SUPERVISE_SLOT_FAILED, NSEC_INFINITY);
        action_push(s, SUPERVISE_ACTION_PARKED, number);
        if (s->policy.escalate)
                set_go_down(s, SUPERVISE_PHASE_GIVING_UP, SUPERVISE_ACTION_ESCALATE, number);
}

/* It is to be restarted, if the limit allows it. A start that failed is tried again by the timer even when
 * nothing is to be waited for: never from within its own report, which would be a loop. */
static void restart(supervise *s, uint32_t number) {
        bool had_started = slot_at(s, number)->state == SUPERVISE_SLOT_RUNNING;
        nsec_t delay;

        breaker_count_failure(s, number);
        if (limit_judge(s, number, &delay)) {
                park(s, number);
                return;
        }
        if (delay > 0 || !had_started)
                slot_set_state(s, number, SUPERVISE_SLOT_BACKOFF, time_add(s->clock, delay));
        else if (strategy_is_group(s))
                slot_set_state(s, number, SUPERVISE_SLOT_WAITING, NSEC_INFINITY);
        else
                life_begin(s, number);
        if (strategy_is_group(s))
                group_restart(s, number);
}

/* A significant child has ended by itself and does not come back. */
static void auto_shutdown(supervise *s) {
        if (s->policy.auto_shutdown == SUPERVISE_AUTO_SHUTDOWN_NEVER)
                return;
        if (s->policy.auto_shutdown == SUPERVISE_AUTO_SHUTDOWN_ALL)
                for (uint32_t i = s->first; i > 0; i = slot_at(s, i)->next) {
                        const struct slot *slot = slot_at(s, i);

                        if (slot->significant && (state_is_alive(slot->state) ||
                                                  slot->state == SUPERVISE_SLOT_BACKOFF ||
                                                  slot->state == SUPERVISE_SLOT_WAITING))
                                return;
                }
        set_go_down(s, SUPERVISE_PHASE_STOPPING, SUPERVISE_ACTION_SHUTDOWN, 0);
}

/* It ended by itself in a set that is up. */
static void ended_by_itself(supervise *s, uint32_t number, bool normal) {
        struct slot *slot = slot_at(s, number);
        bool significant = slot->significant;

        normal = normal && slot->state == SUPERVISE_SLOT_RUNNING;
        if (slot->first && s->policy.ordered) {
                slot_set_state(s, number, SUPERVISE_SLOT_FAILED, NSEC_INFINITY);
                set_go_down(s, SUPERVISE_PHASE_GIVING_UP, SUPERVISE_ACTION_START_FAILED, number);
                return;
        }
        if (slot->restart == SUPERVISE_PERMANENT || (slot->restart == SUPERVISE_TRANSIENT && !normal)) {
                restart(s, number);
                return;
        }
        slot_rest(s, number, SUPERVISE_SLOT_IDLE);
        if (significant)
                auto_shutdown(s);
}

/* It had been told to stop. */
static void ended_as_told(supervise *s, uint32_t number) {
        bool up = s->phase == SUPERVISE_PHASE_UP;

        switch (slot_at(s, number)->then) {
        case THEN_REMOVE:
                slot_remove(s, number);
                break;
        case THEN_RESTART:
                if (up)
                        life_enqueue(s, number);
                else
                        slot_rest(s, number, SUPERVISE_SLOT_IDLE);
                break;
        case THEN_WAIT:
                slot_rest(s, number, up ? SUPERVISE_SLOT_WAITING : SUPERVISE_SLOT_IDLE);
                break;
        case THEN_FAIL:
                if (up)
                        ended_by_itself(s, number, false);
                else
                        slot_rest(s, number, SUPERVISE_SLOT_IDLE);
                break;
        case THEN_HOLD:
                slot_rest(s, number,
                          s->phase == SUPERVISE_PHASE_STOPPING ? SUPERVISE_SLOT_IDLE : SUPERVISE_SLOT_HELD);
                break;
        default:
                slot_rest(s, number, SUPERVISE_SLOT_IDLE);
        }
}

void life_ended(supervise *s, uint32_t number, bool normal) {
        if (state_is_ending(slot_at(s, number)->state))
                ended_as_told(s, number);
        else if (s->phase == SUPERVISE_PHASE_UP)
                ended_by_itself(s, number, normal);
        else
                slot_rest(s, number, SUPERVISE_SLOT_IDLE);
}

void slot_rest(supervise *s, uint32_t number, supervise_slot_state state) {
        if (slot_is_forgotten_at_end(s, slot_at(s, number)))
                slot_remove(s, number);
        else
                slot_set_state(s, number, state, NSEC_INFINITY);
}
