/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One handler for each event, then settle(), which draws the set's own consequences (a start, a roll, a
 * stop goes on or is done, the pool gives up). Called by src/arbiter alone, through supervise.h. Must never
 * look at a clock, wait, print, or fail half way: handlers check and reserve first, and change state only
 * after that. */

#include "supervise/state.h"

/* One child at a time: stopped, started again, and the next only when this one runs. A new one that fails
 * halts the roll, with the others still serving, until it runs, leaves, or is replaced by a newer
 * definition. */
static void go_on_rolling(supervise *s) {
        if (s->rolling > 0) {
                const struct slot *slot = slot_at(s, s->rolling);

                if (slot->state == SUPERVISE_SLOT_STARTING && slot->revision != slot->revision_wanted)
                        life_stop(s, s->rolling, THEN_RESTART);
                if (slot->state == SUPERVISE_SLOT_STARTING || slot->state == SUPERVISE_SLOT_BACKOFF ||
                    slot->state == SUPERVISE_SLOT_FAILED || slot_will_start(slot))
                        return;
        }

        s->rolling = 0;
        for (uint32_t i = 1; i <= s->slot_max; i++) {
                const struct slot *slot = slot_at(s, i);

                if ((slot->state != SUPERVISE_SLOT_STARTING && slot->state != SUPERVISE_SLOT_RUNNING) ||
                    slot->revision == slot->revision_wanted)
                        continue;
                s->rolling = i;
                life_stop(s, i, THEN_RESTART);
                return;
        }
        s->outdated = false;
}

static void pool_go_on(supervise *s) {
        breaker_go_on(s);
        load_go_on(s);
        if (roll_is_active(s) || s->n_recycle > 0 || s->rolling > 0 || pool_present(s) != s->n_target)
                roll_go_on(s);
        for (uint32_t i = 1; i <= s->slot_max && s->n[SUPERVISE_SLOT_WAITING] > 0; i++)
                if (slot_at(s, i)->state == SUPERVISE_SLOT_WAITING && s->breaker != SUPERVISE_BREAKER_OPEN)
                        life_begin(s, i);
        roll_note_stalled(s);
}

static void settle(supervise *s) {
        if (s->phase == SUPERVISE_PHASE_UP) {
                if (s->policy.strategy == SUPERVISE_POOL)
                        pool_go_on(s);
                else
                        order_go_on(s);
                if (s->outdated && !supervise_is_lost(s))
                        go_on_rolling(s);
                if (s->starting && s->n_first == 0) {
                        s->starting = false;
                        action_push(s, SUPERVISE_ACTION_STARTED_ALL, 0);
                }
                if (supervise_is_lost(s))
                        set_go_down(s, SUPERVISE_PHASE_GIVING_UP, SUPERVISE_ACTION_GAVE_UP, 0);
        }
        if (is_going_down(s))
                set_go_on_stopping(s);
}

/* The life that a report is about, or NULL if it is not the present one. */
static struct slot *find_life(const supervise *s, const supervise_event *e) {
        struct slot *slot;

        if (e->slot == 0 || e->slot > s->slot_max)
                return NULL;
        slot = slot_at(s, e->slot);
        return state_is_alive(slot->state) && slot->generation == e->generation ? slot : NULL;
}

static void begin_forgiven(supervise *s, uint32_t number) {
        slot_forgive(s, number);
        life_enqueue(s, number);
}

static int on_start(supervise *s, const supervise_event *e) {
        bool afresh = s->phase != SUPERVISE_PHASE_UP;

        if (e->generation > 0 && e->generation == s->life)
                return 0;
        if (is_going_down(s))
                return -ESHUTDOWN;

        if (e->generation > 0)
                s->life = e->generation;
        s->phase = SUPERVISE_PHASE_UP;
        breaker_close(s);
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
                begin_forgiven(s, i);
                if (afresh) {
                        slot->first = true;
                        s->n_first++;
                }
        }
        return 0;
}

static int on_stop(supervise *s, const supervise_event *e) {
        if (s->phase != SUPERVISE_PHASE_STOPPING)
                set_go_down(s, SUPERVISE_PHASE_STOPPING, SUPERVISE_ACTION_STOPPED, 0);
        s->verdict = SUPERVISE_ACTION_STOPPED;
        return 0;
}

static int on_started(supervise *s, const supervise_event *e) {
        struct slot *slot = find_life(s, e);

        if (!slot)
                return -ESTALE;
        if (slot->state == SUPERVISE_SLOT_STARTING)
                slot_set_state(s, e->slot, SUPERVISE_SLOT_RUNNING, recycle_time(s, slot, s->clock));
        slot_had_outcome(s, e->slot);
        breaker_count_ready(s, e->slot);
        return 0;
}

static int on_ready(supervise *s, const supervise_event *e) {
        struct slot *slot = find_life(s, e);

        if (!slot || (slot->state != SUPERVISE_SLOT_RUNNING && slot->state != SUPERVISE_SLOT_DRAINING))
                return -ESTALE;
        slot_mark(s, e->slot);
        slot->ready = e->ok;
        breaker_count_ready(s, e->slot);
        return 0;
}

static int on_unhealthy(supervise *s, const supervise_event *e) {
        struct slot *slot = find_life(s, e);

        if (!slot || state_is_ending(slot->state))
                return -ESTALE;
        limit_note_stable(s, slot);
        life_stop(s, e->slot, THEN_FAIL);
        return 0;
}

static int on_recycle(supervise *s, const supervise_event *e) {
        struct slot *slot = find_life(s, e);

        if (s->policy.strategy != SUPERVISE_POOL)
                return -EOPNOTSUPP;
        if (!slot || slot->state != SUPERVISE_SLOT_RUNNING)
                return -ESTALE;
        slot_recycle(s, e->slot);
        return 0;
}

static int on_load(supervise *s, const supervise_event *e) {
        struct slot *slot;

        if (s->policy.strategy != SUPERVISE_POOL)
                return -EOPNOTSUPP;
        if (e->slot == 0) {
                load_set(s, e->n);
                return 0;
        }
        slot = find_life(s, e);
        if (!slot)
                return -ESTALE;
        slot->busy = e->n > 0;
        if (slot->state == SUPERVISE_SLOT_DRAINING && !slot->busy)
                life_stop(s, e->slot, slot->then);
        return 0;
}

/* The start has come to its end without a process to look after; it is no failure (OTP's ignore). */
static int on_ignored(supervise *s, const supervise_event *e) {
        struct slot *slot = find_life(s, e);

        if (!slot)
                return -ESTALE;
        slot_had_outcome(s, e->slot);
        if (state_is_ending(slot->state))
                life_ended(s, e->slot, true);
        else
                slot_rest(s, e->slot, SUPERVISE_SLOT_IDLE);
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

/* What is said of a child; significant: only one that may end for good, and in a set that cares. */
static bool child_is_valid(const supervise *s, const supervise_event *e) {
        if ((unsigned) e->restart > SUPERVISE_TEMPORARY)
                return false;
        return !e->significant || (e->restart != SUPERVISE_PERMANENT &&
                                   s->policy.auto_shutdown != SUPERVISE_AUTO_SHUTDOWN_NEVER);
}

static void child_define(supervise *s, uint32_t number, const supervise_event *e) {
        struct slot *slot = slot_at(s, number);

        slot_mark(s, number);
        slot->restart = e->restart;
        slot->significant = e->significant;
        slot->shutdown = e->shutdown;
}

static int on_add_child(supervise *s, const supervise_event *e) {
        uint32_t number;
        int r;

        if (s->policy.strategy == SUPERVISE_POOL)
                return -EOPNOTSUPP;
        if (!child_is_valid(s, e) || supervise_n_slots(s) >= SUPERVISE_SLOTS_MAX)
                return -EINVAL;
        if (is_going_down(s) || s->phase == SUPERVISE_PHASE_FAILED)
                return -ESHUTDOWN;
        if (e->before > 0 && !slot_find(s, e->before))
                return -ENOENT;
        r = supervise_reserve(s, supervise_n_slots(s) + 1);
        if (r < 0)
                return r;

        number = slot_take(s, e->before, e->restart, e->revision);
        child_define(s, number, e);
        if (s->phase == SUPERVISE_PHASE_UP)
                life_enqueue(s, number);
        return (int) number;
}

static int on_remove_child(supervise *s, const supervise_event *e) {
        if (s->policy.strategy == SUPERVISE_POOL)
                return -EOPNOTSUPP;
        if (!slot_find(s, e->slot))
                return -ENOENT;
        life_stop_or_remove(s, e->slot);
        return 0;
}

/* Who starts and stops before whom, from now on; whoever waits for his turn has it by the new order. */
static int on_move_child(supervise *s, const supervise_event *e) {
        if (s->policy.strategy == SUPERVISE_POOL)
                return -EOPNOTSUPP;
        if (!slot_find(s, e->slot) || (e->before > 0 && !slot_find(s, e->before)))
                return -ENOENT;
        if (is_going_down(s))
                return -ESHUTDOWN;
        if (s->group > 0)
                return -EBUSY;
        slot_move(s, e->slot, e->before);
        return 0;
}

static int on_restart_child(supervise *s, const supervise_event *e) {
        struct slot *slot = slot_find(s, e->slot);

        if (is_going_down(s) || s->phase == SUPERVISE_PHASE_DOWN)
                return -ESHUTDOWN;
        if (!slot)
                return -ENOENT;

        set_revive(s);
        breaker_close(s);
        slot_forgive(s, e->slot);
        if (state_is_alive(slot->state))
                life_stop(s, e->slot, THEN_RESTART);
        else
                life_enqueue(s, e->slot);
        return 0;
}

static int on_stop_child(supervise *s, const supervise_event *e) {
        struct slot *slot = slot_find(s, e->slot);

        if (s->phase != SUPERVISE_PHASE_UP)
                return -ESHUTDOWN;
        if (!slot)
                return -ENOENT;

        if (state_is_alive(slot->state))
                life_stop(s, e->slot, THEN_HOLD);
        else
                slot_rest(s, e->slot, SUPERVISE_SLOT_HELD);
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
                begin_forgiven(s, number);
}

static int on_definition_changed(supervise *s, const supervise_event *e) {
        if (e->slot > 0) {
                if (s->policy.strategy == SUPERVISE_POOL)
                        return -EOPNOTSUPP;
                if (!child_is_valid(s, e))
                        return -EINVAL;
                if (!slot_find(s, e->slot))
                        return -ENOENT;
                child_define(s, e->slot, e);
                redefine(s, e->slot, e->revision);
                return 0;
        }

        if (s->policy.strategy == SUPERVISE_POOL)
                return roll_define(s, e->revision);
        s->revision = e->revision;
        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (slot_find(s, i))
                        redefine(s, i, e->revision);
        return 0;
}

/* What time ends: a backoff, the patience with a worker that drains, the days of one that has run long
 * enough. */
static void slot_is_due(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        if (slot->state == SUPERVISE_SLOT_DRAINING)
                life_stop(s, number, slot->then);
        else if (slot->state == SUPERVISE_SLOT_RUNNING)
                slot_recycle(s, number);
        else if (strategy_is_group(s))
                slot_set_state(s, number, SUPERVISE_SLOT_WAITING, NSEC_INFINITY);
        else
                life_begin(s, number);
}

static int on_tick(supervise *s, const supervise_event *e) {
        s->armed = NSEC_INFINITY; /* it has come, so it must be armed again */
        while (s->n_heap > 0 && slot_at(s, s->heap[0])->until <= s->clock)
                slot_is_due(s, s->heap[0]);
        return 0;
}

static int on_roll_abort(supervise *s, const supervise_event *e) {
        return roll_abort(s);
}

static int (*const handlers[_SUPERVISE_EVENT_MAX])(supervise *s, const supervise_event *e) = {
        [SUPERVISE_START] = on_start,
        [SUPERVISE_STOP] = on_stop,
        [SUPERVISE_STARTED] = on_started,
        [SUPERVISE_START_FAILED] = on_ended,
        [SUPERVISE_IGNORED] = on_ignored,
        [SUPERVISE_EXITED] = on_ended,
        [SUPERVISE_SCALE] = pool_scale,
        [SUPERVISE_ADD_CHILD] = on_add_child,
        [SUPERVISE_REMOVE_CHILD] = on_remove_child,
        [SUPERVISE_RESTART_CHILD] = on_restart_child,
        [SUPERVISE_STOP_CHILD] = on_stop_child,
        [SUPERVISE_DEFINITION_CHANGED] = on_definition_changed,
        [SUPERVISE_TICK] = on_tick,
        [SUPERVISE_READY] = on_ready,
        [SUPERVISE_UNHEALTHY] = on_unhealthy,
        [SUPERVISE_RECYCLE] = on_recycle,
        [SUPERVISE_LOAD] = on_load,
        [SUPERVISE_ROLL_ABORT] = on_roll_abort,
        [SUPERVISE_MOVE_CHILD] = on_move_child,
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
        if (e->type == SUPERVISE_LOAD && !supervise_is_dirty(s))
                s->clock = before; /* often, and nothing to write down */
        else
                s->head_dirty = true;
        return r;
}

void supervise_resume(supervise *s) {
        bool drains = s->policy.strategy == SUPERVISE_POOL && s->policy.drain > 0;

        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (slot_at(s, i)->state == SUPERVISE_SLOT_STARTING)
                        action_push(s, SUPERVISE_ACTION_SPAWN, i);
                else if (slot_at(s, i)->state == SUPERVISE_SLOT_STOPPING)
                        action_push(s, SUPERVISE_ACTION_STOP, i);
                else if (slot_at(s, i)->state == SUPERVISE_SLOT_DRAINING)
                        action_push(s, SUPERVISE_ACTION_DRAIN, i);
                else if (slot_at(s, i)->state == SUPERVISE_SLOT_RUNNING && drains)
                        action_push(s, SUPERVISE_ACTION_SERVE, i);
        s->armed = NSEC_INFINITY; /* the timer of the one before us */
        if (s->phase == SUPERVISE_PHASE_UP && !s->starting)
                action_push(s, SUPERVISE_ACTION_STARTED_ALL, 0);
        else if (s->phase == SUPERVISE_PHASE_DOWN || s->phase == SUPERVISE_PHASE_FAILED)
                action_push(s, s->verdict, s->culprit);
}

int supervise_new(const supervise_policy *policy, uint32_t n, uint64_t revision, uint64_t seed,
                  supervise **ret) {
        supervise *s;
        int r;

        if (!policy_is_valid(policy) || n > SUPERVISE_SLOTS_MAX)
                return -EINVAL;
        if (n > 0 && policy->strategy != SUPERVISE_POOL)
                return -EINVAL;
        r = supervise_allocate(policy, n + policy->max_surge, &s);
        if (r < 0)
                return r;

        s->n_target = n;
        s->revision = revision;
        s->random = seed;
        s->verdict = SUPERVISE_ACTION_STOPPED;
        pool_grow(s, n);
        supervise_mark_all(s);
        *ret = s;
        return 0;
}
