/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The size of a pool: who leaves and who comes, and the size that its load asks for. Called by handle.c
 * and roll.c. */

#include "supervise/state.h"

/* Who leaves first: what serves nobody, then what is on its way down anyway, then of those of an old
 * definition, and then of all, the idle before the busy, and the oldest (as in pulsar). */
static unsigned surplus_class(const supervise *s, const struct slot *slot) {
        if (!state_is_alive(slot->state))
                return 0;
        if (slot->state == SUPERVISE_SLOT_STOPPING || slot->state == SUPERVISE_SLOT_DRAINING)
                return 1;
        return 2 + (slot->revision == slot->revision_wanted) * 2 + slot->busy;
}

static int surplus_compare(const void *x, const void *y, void *userdata) {
        uint32_t m = *(const uint32_t *) x, n = *(const uint32_t *) y;
        const struct slot *a = slot_at(userdata, m), *b = slot_at(userdata, n);
        unsigned i = surplus_class(userdata, a), k = surplus_class(userdata, b);

        if (i != k)
                return i < k ? -1 : 1;
        if (a->generation != b->generation)
                return a->generation < b->generation ? -1 : 1;
        return m < n ? -1 : m > n;
}

bool pool_leaves_before(const supervise *s, uint32_t a, uint32_t b) {
        return surplus_compare(&a, &b, (void *) s) < 0;
}

/* A busy worker gets no new work, and stops when it has done what it has, or when its time is up. */
void pool_retire(supervise *s, uint32_t number, enum slot_then then) {
        struct slot *slot = slot_at(s, number);

        if (slot->state == SUPERVISE_SLOT_RUNNING && slot->busy && s->policy.drain > 0) {
                slot_set_state(s, number, SUPERVISE_SLOT_DRAINING, time_add(s->clock, s->policy.drain));
                slot_set_then(s, number, then);
                action_push(s, SUPERVISE_ACTION_DRAIN, number);
        } else if (slot->state == SUPERVISE_SLOT_DRAINING)
                slot_set_then(s, number, then);
        else if (state_is_alive(slot->state))
                life_stop(s, number, then);
        else
                slot_remove(s, number);
}

void pool_shrink(supervise *s, uint32_t surplus) {
        uint32_t n = 0;

        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (slot_find(s, i))
                        s->scratch[n++] = i;
        qsort_r(s->scratch, n, sizeof(*s->scratch), surplus_compare, s);
        for (uint32_t i = 0; i < surplus && i < n; i++)
                pool_retire(s, s->scratch[i], THEN_REMOVE);
}

/* Those that are leaving come back first, so that never more than N live: one that drains serves again,
 * one that stops is started again. Then the lowest free numbers. */
static void call_back(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        slot_forgive(s, number);
        slot->revision_wanted = s->revision;
        if (slot->state == SUPERVISE_SLOT_DRAINING && slot->revision == s->revision) {
                slot_set_state(s, number, SUPERVISE_SLOT_RUNNING, recycle_time(s, slot, s->clock));
                action_push(s, SUPERVISE_ACTION_SERVE, number);
        } else
                slot_set_then(s, number, THEN_RESTART);
}

void pool_grow(supervise *s, uint32_t missing) {
        for (uint32_t i = 1; missing > 0 && s->n_leaving > 0 && i <= s->slot_max; i++)
                if (slot_is_leaving(slot_at(s, i))) {
                        call_back(s, i);
                        missing--;
                }
        for (; missing > 0; missing--) {
                uint32_t number = slot_take(s, 0, s->policy.restart, s->revision);

                if (s->phase == SUPERVISE_PHASE_UP)
                        life_begin(s, number);
        }
}

/* Autoscale. The load is in hundredths of a worker; what it asks for must last before it is believed. */
static void load_judge(supervise *s) {
        const supervise_policy *p = &s->policy;
        uint64_t load = s->load;
        bool on = p->workers_max > 0 && s->phase == SUPERVISE_PHASE_UP,
             can_grow = on && s->n_target < p->workers_max,
             can_shrink = on && s->n_target > p->workers_min;
        bool hot = can_grow && load > (uint64_t) p->scale_up * s->n_target;
        bool cold = can_shrink && !hot && load < (uint64_t) p->scale_down * s->n_target &&
                    load <= (uint64_t) p->scale_up * (s->n_target - 1);

        s->hot_since = hot ? MIN(s->hot_since, s->clock) : NSEC_INFINITY;
        s->cold_since = cold ? MIN(s->cold_since, s->clock) : NSEC_INFINITY;
}

/* What a roll has in surplus it keeps; what it lacks is filled. */
static void resize(supervise *s, uint32_t n) {
        uint32_t present = pool_present(s), extra = present > s->n_target ? present - s->n_target : 0,
                 wanted = n + MIN(extra, s->policy.max_surge);

        s->n_target = n;
        s->hot_since = s->cold_since = NSEC_INFINITY;
        if (wanted < present)
                pool_shrink(s, present - wanted);
        else
                pool_grow(s, wanted - present);
        load_judge(s);
}

/* What waits, has failed or was held by an operator: a new number from an operator is for all of them. */
static void begin_forgiven(supervise *s, uint32_t number) {
        struct slot *slot = slot_at(s, number);

        if (slot->state == SUPERVISE_SLOT_STOPPING && slot->then == THEN_HOLD)
                slot_set_then(s, number, THEN_RESTART);
        else if (slot->state == SUPERVISE_SLOT_BACKOFF || slot->state == SUPERVISE_SLOT_FAILED ||
                 slot->state == SUPERVISE_SLOT_HELD) {
                slot_forgive(s, number);
                life_begin(s, number);
        }
}

int pool_scale(supervise *s, const supervise_event *e) {
        int r;

        if (s->policy.strategy != SUPERVISE_POOL)
                return -EOPNOTSUPP;
        if (e->n > SUPERVISE_SLOTS_MAX)
                return -EINVAL;
        if (is_going_down(s) || (s->phase == SUPERVISE_PHASE_FAILED && !e->by_operator))
                return -ESHUTDOWN;
        r = supervise_reserve(s, pool_slots_needed(s, e->n));
        if (r < 0)
                return r;

        set_revive(s);
        if (e->by_operator)
                breaker_close(s);
        if (e->n < s->n_target)
                resize(s, e->n);
        if (e->by_operator && s->phase == SUPERVISE_PHASE_UP)
                for (uint32_t i = 1; i <= s->slot_max; i++)
                        begin_forgiven(s, i);
        if (e->n > s->n_target)
                resize(s, e->n);
        return 0;
}

/* Room for all that a size and a roll may ask for, made when nothing has changed yet. */
uint32_t pool_slots_needed(const supervise *s, uint32_t n) {
        uint32_t present = pool_present(s), extra = present > s->n_target ? present - s->n_target : 0;

        return MIN(MAX(n + extra, supervise_n_slots(s)) + s->policy.max_surge, SUPERVISE_SLOTS_MAX);
}

nsec_t load_due(const supervise *s) {
        if (s->policy.workers_max == 0 || s->phase != SUPERVISE_PHASE_UP)
                return NSEC_INFINITY;
        return MIN(time_add(s->hot_since, s->policy.scale_up_after),
                   time_add(s->cold_since, s->policy.scale_down_after));
}

/* Grows to where the load is half way between the two limits; shrinks one by one, and not in a roll. */
static uint32_t load_target(const supervise *s) {
        const supervise_policy *p = &s->policy;
        uint64_t middle = ((uint64_t) p->scale_up + p->scale_down + 1) / 2, n;

        if (time_add(s->hot_since, p->scale_up_after) <= s->clock) {
                n = (s->load + middle - 1) / middle;
                return (uint32_t) MIN(MAX(n, (uint64_t) s->n_target + 1), (uint64_t) p->workers_max);
        }
        if (time_add(s->cold_since, p->scale_down_after) <= s->clock && !roll_is_active(s))
                return s->n_target - 1;
        return s->n_target;
}

/* Without memory it stays as it is, and the next load tries again. */
void load_go_on(supervise *s) {
        uint32_t n;

        if (load_due(s) > s->clock)
                return;
        n = load_target(s);
        s->hot_since = s->cold_since = NSEC_INFINITY;
        if (n == s->n_target || supervise_reserve(s, pool_slots_needed(s, n)) < 0)
                return;
        resize(s, n);
        s->head_dirty = true;
        action_push(s, SUPERVISE_ACTION_SCALED, 0);
}

void load_set(supervise *s, uint64_t load) {
        s->load = load;
        load_judge(s);
}
