/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The size of a pool: who leaves and who comes. Called by handle.c. */

#include "supervise/state.h"

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
                if (slot_find(s, i))
                        s->scratch[n++] = i;
        qsort_r(s->scratch, n, sizeof(*s->scratch), surplus_compare, s);
        for (uint32_t i = 0; i < surplus; i++)
                life_stop_or_remove(s, s->scratch[i]);
}

/* Those that are leaving come back first, so that never more than N live; then the lowest free numbers. */
void pool_grow(supervise *s, uint32_t missing) {
        for (uint32_t i = 1; missing > 0 && s->n_leaving > 0 && i <= s->slot_max; i++)
                if (slot_is_leaving(slot_at(s, i))) {
                        slot_forgive(s, i);
                        slot_at(s, i)->revision_wanted = s->revision;
                        slot_set_then(s, i, THEN_RESTART);
                        missing--;
                }
        for (; missing > 0; missing--) {
                uint32_t number = slot_take(s, 0, s->policy.restart, s->revision);

                if (s->phase == SUPERVISE_PHASE_UP)
                        life_begin(s, number);
        }
}

static void begin_forgiven(supervise *s, uint32_t number) {
        slot_forgive(s, number);
        life_begin(s, number);
}

int pool_scale(supervise *s, const supervise_event *e) {
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

        set_revive(s);
        if (e->n < n)
                shrink(s, n - e->n);
        if (e->by_operator)
                for (uint32_t i = 1; i <= s->slot_max; i++)
                        if (slot_at(s, i)->state == SUPERVISE_SLOT_BACKOFF ||
                            slot_at(s, i)->state == SUPERVISE_SLOT_FAILED)
                                begin_forgiven(s, i);
        if (e->n > n)
                pool_grow(s, e->n - n);
        return 0;
}
