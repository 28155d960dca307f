/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The decisions themselves: one handler for each event, then settle(), which draws the set's own
 * consequences (a roll goes on, a stop goes on or is done, the pool gives up). Called by src/arbiter
 * alone, through pool.h. Must never look at a clock, wait, print, or fail half way: handlers check and
 * reserve first, and change state only after that. */

#include "supervise/state.h"

static void spawn(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        slot->generation = ++s->generation;
        slot->revision = slot->revision_wanted;
        s->n_restarts += slot->lives++ > 0;
        slot_set_state(s, number, SUPERVISE_SLOT_STARTING, NSEC_INFINITY);
        action_push(s, SUPERVISE_ACTION_SPAWN, number);
}

static void spawn_forgiven(supervise *s, uint32_t number) {
        slot_forgive(s, number);
        spawn(s, number);
}

static void stop(supervise *s, uint32_t number, enum slot_then then) {
        if (slot_at(s, number)->state != SUPERVISE_SLOT_STOPPING) {
                slot_set_state(s, number, SUPERVISE_SLOT_STOPPING, NSEC_INFINITY);
                action_push(s, SUPERVISE_ACTION_STOP, number);
        }
        slot_set_then(s, number, then);
}

static void remove_slot(supervise *s, uint32_t number) {
        action_push(s, SUPERVISE_ACTION_REMOVED, number);
        slot_set_state(s, number, SUPERVISE_SLOT_UNUSED, NSEC_INFINITY);
}

static void stop_or_remove(supervise *s, uint32_t number) {
        if (state_is_alive(slot_at(s, number)->state))
                stop(s, number, THEN_REMOVE);
        else
                remove_slot(s, number);
}

/* A temporary child of one-for-one is forgotten when it ends (actors.md 3.2); a pool's slot stays a
 * worker's place. */
static bool is_forgotten_at_end(const supervise *s, const struct slot *slot) {
        return s->policy.strategy == SUPERVISE_ONE_FOR_ONE && slot->restart == SUPERVISE_TEMPORARY;
}

/* The set goes down: all at once, or (by settle(), one-for-one) from the highest number to the lowest. */
static void begin_stop(supervise *s, supervise_phase phase) {
        s->phase = phase;
        s->rolling = 0;
        s->outdated = s->starting = false;
        s->stop_cursor = s->slot_max;
        s->n_first = 0;

        for (uint32_t i = 1; i <= s->slot_max; i++) {
                struct slot *slot = slot_at(s, i);

                if (slot->first)
                        slot_mark(s, i);
                slot->first = false;
                if (slot->state == SUPERVISE_SLOT_BACKOFF ||
                    (phase == SUPERVISE_PHASE_STOPPING &&
                     (slot->state == SUPERVISE_SLOT_FAILED || slot->state == SUPERVISE_SLOT_HELD)))
                        slot_set_state(s, i, SUPERVISE_SLOT_IDLE, NSEC_INFINITY);
                else if (s->policy.strategy == SUPERVISE_POOL &&
                         (slot->state == SUPERVISE_SLOT_STARTING || slot->state == SUPERVISE_SLOT_RUNNING))
                        stop(s, i, THEN_END);
        }
}

/* One-for-one: the next to stop, once the one above it is gone. Nothing starts meanwhile, so the cursor
 * only falls. */
static void go_on_stopping(supervise *s) {
        while (s->stop_cursor > 0 &&
               (s->stop_cursor > s->slot_max || !state_is_alive(slot_at(s, s->stop_cursor)->state)))
                s->stop_cursor--;
        if (s->stop_cursor > 0 && slot_at(s, s->stop_cursor)->state != SUPERVISE_SLOT_STOPPING)
                stop(s, s->stop_cursor, THEN_END);
}

static void finish_stop(supervise *s) {
        if (s->phase == SUPERVISE_PHASE_STOPPING) {
                s->phase = SUPERVISE_PHASE_DOWN;
                action_push(s, SUPERVISE_ACTION_STOPPED, 0);
                return;
        }
        s->phase = SUPERVISE_PHASE_FAILED;
        if (s->policy.strategy == SUPERVISE_POOL)
                action_push(s, SUPERVISE_ACTION_GAVE_UP, 0);
        else
                action_push(s, SUPERVISE_ACTION_ESCALATE, 0);
}

/* Over the limit: parked, and with `escalate` the whole set goes with it. */
static void park(supervise *s, uint32_t number) {
        slot_set_state(s, number, SUPERVISE_SLOT_FAILED, NSEC_INFINITY);
        action_push(s, SUPERVISE_ACTION_PARKED, number);
        if (s->policy.escalate)
                begin_stop(s, SUPERVISE_PHASE_GIVING_UP);
}

/* A life ended by itself in a running set. A start that failed is tried again by the timer even when
 * nothing is to be waited for: never from within its own report, which would be a loop. */
static void life_failed(supervise *s, uint32_t number) {
        bool had_started = slot_at(s, number)->state == SUPERVISE_SLOT_RUNNING;
        nsec_t delay;

        if (limit_judge(s, number, &delay))
                park(s, number);
        else if (delay == 0 && had_started)
                spawn(s, number);
        else
                slot_set_state(s, number, SUPERVISE_SLOT_BACKOFF, time_add(s->clock, delay));
}

static void life_ended(supervise *s, uint32_t number, bool normal) {
        struct slot *slot = slot_at(s, number);
        enum slot_then then = slot->then;
        bool was_stopping = slot->state == SUPERVISE_SLOT_STOPPING;

        normal = normal && slot->state == SUPERVISE_SLOT_RUNNING;
        if (was_stopping && then == THEN_REMOVE)
                remove_slot(s, number);
        else if (was_stopping && then == THEN_RESTART && s->phase == SUPERVISE_PHASE_UP)
                spawn(s, number);
        else if (is_forgotten_at_end(s, slot))
                remove_slot(s, number);
        else if (was_stopping && then == THEN_HOLD && s->phase != SUPERVISE_PHASE_STOPPING)
                slot_set_state(s, number, SUPERVISE_SLOT_HELD, NSEC_INFINITY);
        else if (was_stopping || s->phase != SUPERVISE_PHASE_UP || slot->restart == SUPERVISE_TEMPORARY ||
                 (slot->restart == SUPERVISE_TRANSIENT && normal))
                slot_set_state(s, number, SUPERVISE_SLOT_IDLE, NSEC_INFINITY);
        else
                life_failed(s, number);
}

/* One child at a time: stopped, started again, and the next only when this one runs. A new one that fails
 * halts the roll, with the others still serving, until it runs, leaves, or is replaced by a newer
 * definition. */
static void go_on_rolling(supervise *s) {
        if (s->rolling > 0) {
                const struct slot *slot = slot_at(s, s->rolling);

                if (slot->state == SUPERVISE_SLOT_STARTING && slot->revision != slot->revision_wanted)
                        stop(s, s->rolling, THEN_RESTART);
                if (slot->state == SUPERVISE_SLOT_STARTING || slot->state == SUPERVISE_SLOT_BACKOFF ||
                    slot->state == SUPERVISE_SLOT_FAILED ||
                    (slot->state == SUPERVISE_SLOT_STOPPING && slot->then == THEN_RESTART))
                        return;
        }

        s->rolling = 0;
        for (uint32_t i = 1; i <= s->slot_max; i++) {
                const struct slot *slot = slot_at(s, i);

                if ((slot->state != SUPERVISE_SLOT_STARTING && slot->state != SUPERVISE_SLOT_RUNNING) ||
                    slot->revision == slot->revision_wanted)
                        continue;
                s->rolling = i;
                stop(s, i, THEN_RESTART);
                return;
        }
        s->outdated = false;
}

static void settle(supervise *s) {
        if (s->phase == SUPERVISE_PHASE_UP) {
                if (s->outdated && !supervise_is_lost(s))
                        go_on_rolling(s);
                if (s->starting && s->n_first == 0) {
                        s->starting = false;
                        action_push(s, SUPERVISE_ACTION_STARTED_ALL, 0);
                }
                if (supervise_is_lost(s))
                        begin_stop(s, SUPERVISE_PHASE_GIVING_UP);
        }

        if (s->phase == SUPERVISE_PHASE_STOPPING || s->phase == SUPERVISE_PHASE_GIVING_UP) {
                if (s->policy.strategy == SUPERVISE_ONE_FOR_ONE)
                        go_on_stopping(s);
                if (supervise_n_alive(s) == 0)
                        finish_stop(s);
        }
}

static bool is_going_down(const supervise *s) {
        return s->phase == SUPERVISE_PHASE_STOPPING || s->phase == SUPERVISE_PHASE_GIVING_UP;
}

/* The slot of an operator's verb, or NULL. */
static struct slot *find_slot(const supervise *s, uint32_t number) {
        if (number == 0 || number > s->slot_max || slot_at(s, number)->state == SUPERVISE_SLOT_UNUSED)
                return NULL;
        return slot_is_leaving(slot_at(s, number)) ? NULL : slot_at(s, number);
}

/* The life that a report is about, or NULL if it is not the present one. */
static struct slot *find_life(const supervise *s, const supervise_event *e) {
        struct slot *slot;

        if (e->slot == 0 || e->slot > s->slot_max)
                return NULL;
        slot = slot_at(s, e->slot);
        return state_is_alive(slot->state) && slot->generation == e->generation ? slot : NULL;
}

static void revive(supervise *s) {
        if (s->phase != SUPERVISE_PHASE_FAILED)
                return;
        s->phase = SUPERVISE_PHASE_UP;
        s->n_failures = 0;
}

static int on_start(supervise *s, const supervise_event *e) {
        bool afresh = s->phase != SUPERVISE_PHASE_UP;

        if (is_going_down(s))
                return -ESHUTDOWN;

        s->phase = SUPERVISE_PHASE_UP;
        if (afresh) {
                s->n_failures = 0;
                s->starting = true;
        }
        for (uint32_t i = 1; i <= s->slot_max; i++) {
                struct slot *slot = slot_at(s, i);

                if (slot->state == SUPERVISE_SLOT_STOPPING && slot->then == THEN_HOLD)
                        slot_set_then(s, i, THEN_RESTART);
                if (slot->state == SUPERVISE_SLOT_UNUSED || state_is_alive(slot->state))
                        continue;
                spawn_forgiven(s, i);
                if (afresh) {
                        slot->first = true;
                        s->n_first++;
                }
        }
        return 0;
}

static int on_stop(supervise *s, const supervise_event *e) {
        if (s->phase != SUPERVISE_PHASE_STOPPING)
                begin_stop(s, SUPERVISE_PHASE_STOPPING);
        return 0;
}

static int on_started(supervise *s, const supervise_event *e) {
        struct slot *slot = find_life(s, e);

        if (!slot)
                return -ESTALE;
        if (slot->state == SUPERVISE_SLOT_STARTING)
                slot_set_state(s, e->slot, SUPERVISE_SLOT_RUNNING, NSEC_INFINITY);
        return 0;
}

static int on_ended(supervise *s, const supervise_event *e) {
        struct slot *slot = find_life(s, e);

        if (!slot)
                return -ESTALE;
        slot->ended = true;
        slot->reason = e->reason;
        slot->status = e->status;
        slot->ended_at = s->clock;
        life_ended(s, e->slot, e->type == SUPERVISE_EXITED && e->normal);
        return 0;
}

/* Who leaves first: what serves nobody, then what is on its way down anyway, then the oldest (pulsar.md
 * 1.4). */
static unsigned surplus_class(const struct slot *slot) {
        if (!state_is_alive(slot->state))
                return 0;
        return slot->state == SUPERVISE_SLOT_STOPPING ? 1 : 2;
}

static int surplus_compare(const void *x, const void *y, void *userdata) {
        uint32_t m = *(const uint32_t *) x, n = *(const uint32_t *) y;
        const struct slot *a = slot_at(userdata, m), *b = slot_at(userdata, n);

        if (surplus_class(a) != surplus_class(b))
                return surplus_class(a) < surplus_class(b) ? -1 : 1;
        if (a->generation != b->generation)
                return a->generation < b->generation ? -1 : 1;
        return m < n ? -1 : m > n;
}

static void shrink(supervise *s, uint32_t surplus) {
        uint32_t n = 0;

        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (find_slot(s, i))
                        s->scratch[n++] = i;
        qsort_r(s->scratch, n, sizeof(*s->scratch), surplus_compare, s);
        for (uint32_t i = 0; i < surplus; i++)
                stop_or_remove(s, s->scratch[i]);
}

/* Those that are leaving come back first, so that never more than N live; then the lowest free numbers. */
static void grow(supervise *s, uint32_t missing) {
        for (uint32_t i = 1; missing > 0 && s->n_leaving > 0 && i <= s->slot_max; i++)
                if (slot_is_leaving(slot_at(s, i))) {
                        slot_forgive(s, i);
                        slot_at(s, i)->revision_wanted = s->revision;
                        slot_set_then(s, i, THEN_RESTART);
                        missing--;
                }
        for (; missing > 0; missing--) {
                uint32_t number = slot_take(s, s->policy.restart, s->revision);

                if (s->phase == SUPERVISE_PHASE_UP)
                        spawn(s, number);
        }
}

static int on_scale(supervise *s, const supervise_event *e) {
        uint32_t n = supervise_n_slots(s) - s->n_leaving;
        int r;

        if (s->policy.strategy != SUPERVISE_POOL)
                return -EOPNOTSUPP;
        if (e->n > SUPERVISE_SLOTS_MAX)
                return -EINVAL;
        if (is_going_down(s) || (s->phase == SUPERVISE_PHASE_FAILED && !e->by_operator))
                return -ESHUTDOWN;
        r = supervise_reserve(s, e->n);
        if (r < 0)
                return r;

        revive(s);
        if (e->n < n)
                shrink(s, n - e->n);
        if (e->by_operator)
                for (uint32_t i = 1; i <= s->slot_max; i++)
                        if (slot_at(s, i)->state == SUPERVISE_SLOT_BACKOFF ||
                            slot_at(s, i)->state == SUPERVISE_SLOT_FAILED)
                                spawn_forgiven(s, i);
        if (e->n > n)
                grow(s, e->n - n);
        return 0;
}

static int on_add_child(supervise *s, const supervise_event *e) {
        uint32_t number;
        int r;

        if (s->policy.strategy != SUPERVISE_ONE_FOR_ONE)
                return -EOPNOTSUPP;
        if ((unsigned) e->restart > SUPERVISE_TEMPORARY || supervise_n_slots(s) >= SUPERVISE_SLOTS_MAX)
                return -EINVAL;
        if (is_going_down(s) || s->phase == SUPERVISE_PHASE_FAILED)
                return -ESHUTDOWN;
        r = supervise_reserve(s, supervise_n_slots(s) + 1);
        if (r < 0)
                return r;

        number = slot_take(s, e->restart, e->revision);
        if (s->phase == SUPERVISE_PHASE_UP)
                spawn(s, number);
        return (int) number;
}

static int on_remove_child(supervise *s, const supervise_event *e) {
        if (s->policy.strategy != SUPERVISE_ONE_FOR_ONE)
                return -EOPNOTSUPP;
        if (!find_slot(s, e->slot))
                return -ENOENT;
        stop_or_remove(s, e->slot);
        return 0;
}

static int on_restart_child(supervise *s, const supervise_event *e) {
        struct slot *slot = find_slot(s, e->slot);

        if (is_going_down(s) || s->phase == SUPERVISE_PHASE_DOWN)
                return -ESHUTDOWN;
        if (!slot)
                return -ENOENT;

        revive(s);
        slot_forgive(s, e->slot);
        if (state_is_alive(slot->state))
                stop(s, e->slot, THEN_RESTART);
        else
                spawn(s, e->slot);
        return 0;
}

static int on_stop_child(supervise *s, const supervise_event *e) {
        struct slot *slot = find_slot(s, e->slot);

        if (s->phase != SUPERVISE_PHASE_UP)
                return -ESHUTDOWN;
        if (!slot)
                return -ENOENT;

        if (state_is_alive(slot->state))
                stop(s, e->slot, THEN_HOLD);
        else if (is_forgotten_at_end(s, slot))
                remove_slot(s, e->slot);
        else
                slot_set_state(s, e->slot, SUPERVISE_SLOT_HELD, NSEC_INFINITY);
        return 0;
}

/* What waits or failed under the old definition serves nobody: it tries the new one at once. */
static void redefine(supervise *s, uint32_t number, uint64_t revision) {
        struct slot *slot = slot_at(s, number);

        if (slot->revision_wanted == revision)
                return;
        slot_mark(s, number);
        slot->revision_wanted = revision;
        if (s->phase != SUPERVISE_PHASE_UP)
                return;
        s->outdated = true;
        if (slot->state == SUPERVISE_SLOT_BACKOFF || slot->state == SUPERVISE_SLOT_FAILED)
                spawn_forgiven(s, number);
}

static int on_definition_changed(supervise *s, const supervise_event *e) {
        if (e->slot > 0) {
                if (s->policy.strategy != SUPERVISE_ONE_FOR_ONE)
                        return -EOPNOTSUPP;
                if ((unsigned) e->restart > SUPERVISE_TEMPORARY)
                        return -EINVAL;
                if (!find_slot(s, e->slot))
                        return -ENOENT;
                slot_mark(s, e->slot);
                slot_at(s, e->slot)->restart = e->restart;
                redefine(s, e->slot, e->revision);
                return 0;
        }

        s->revision = e->revision;
        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (find_slot(s, i))
                        redefine(s, i, e->revision);
        return 0;
}

static int on_tick(supervise *s, const supervise_event *e) {
        s->armed = NSEC_INFINITY; /* it has come, so it must be armed again */
        while (s->n_heap > 0 && slot_at(s, s->heap[0])->until <= s->clock)
                spawn(s, s->heap[0]);
        return 0;
}

static int (*const handlers[_SUPERVISE_EVENT_MAX])(supervise *s, const supervise_event *e) = {
        [SUPERVISE_START] = on_start,
        [SUPERVISE_STOP] = on_stop,
        [SUPERVISE_STARTED] = on_started,
        [SUPERVISE_START_FAILED] = on_ended,
        [SUPERVISE_EXITED] = on_ended,
        [SUPERVISE_SCALE] = on_scale,
        [SUPERVISE_ADD_CHILD] = on_add_child,
        [SUPERVISE_REMOVE_CHILD] = on_remove_child,
        [SUPERVISE_RESTART_CHILD] = on_restart_child,
        [SUPERVISE_STOP_CHILD] = on_stop_child,
        [SUPERVISE_DEFINITION_CHANGED] = on_definition_changed,
        [SUPERVISE_TICK] = on_tick,
};

int supervise_handle(supervise *s, const supervise_event *e, nsec_t now) {
        nsec_t before = s->clock;
        int r;

        if ((unsigned) e->type >= _SUPERVISE_EVENT_MAX)
                return -EINVAL;
        if (!action_has_room(s))
                return -EBUSY;

        s->clock = MAX(now, before);
        r = handlers[e->type](s, e);
        if (r < 0) {
                s->clock = before;
                return r;
        }
        settle(s);
        s->head_dirty = true;
        return r;
}

void supervise_resume(supervise *s) {
        static const supervise_action_type told[_SUPERVISE_PHASE_MAX] = {
                [SUPERVISE_PHASE_DOWN] = SUPERVISE_ACTION_STOPPED,
                [SUPERVISE_PHASE_UP] = SUPERVISE_ACTION_STARTED_ALL,
                [SUPERVISE_PHASE_FAILED] = SUPERVISE_ACTION_GAVE_UP,
        };
        supervise_action_type type = told[s->phase];

        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (slot_at(s, i)->state == SUPERVISE_SLOT_STARTING)
                        action_push(s, SUPERVISE_ACTION_SPAWN, i);
                else if (slot_at(s, i)->state == SUPERVISE_SLOT_STOPPING)
                        action_push(s, SUPERVISE_ACTION_STOP, i);
        s->armed = NSEC_INFINITY; /* the timer of the one before us */
        if (is_going_down(s) || s->starting)
                return;
        if (s->phase == SUPERVISE_PHASE_FAILED && s->policy.strategy != SUPERVISE_POOL)
                type = SUPERVISE_ACTION_ESCALATE;
        action_push(s, type, 0);
}

int supervise_new(const supervise_policy *policy, uint32_t n, uint64_t revision, uint64_t seed,
                  supervise **ret) {
        supervise *s;
        int r;

        if (!policy_is_valid(policy) || n > SUPERVISE_SLOTS_MAX)
                return -EINVAL;
        if (n > 0 && policy->strategy != SUPERVISE_POOL)
                return -EINVAL;
        r = supervise_allocate(policy, n, &s);
        if (r < 0)
                return r;

        s->revision = revision;
        s->random = seed;
        grow(s, n);
        supervise_mark_all(s);
        *ret = s;
        return 0;
}
