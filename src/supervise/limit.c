/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Intensity and backoff, judged together by the rule at the head of supervise.h. Called by life.c for each
 * failure that asks for a restart. Touches only the slot's window and backoff, the set's window, and the
 * generator of the jitter. */

#include "supervise/state.h"

static bool limit_is_rate(const supervise_policy *p) {
        return !p->escalate && p->intensity > 0 && p->intensity != SUPERVISE_INTENSITY_INFINITY &&
               p->backoff_max >= p->period;
}

/* When full, the oldest goes: it cannot change the verdict. */
void window_add(nsec_t *row, uint32_t row_size, uint32_t *n, nsec_t period, nsec_t now) {
        uint32_t old = 0;

        while (old < *n && time_add(row[old], period) < now)
                old++;
        if (*n - old == row_size)
                old++;
        if (old > 0)
                memmove(row, row + old, (*n - old) * sizeof(*row));
        *n -= old;
        row[(*n)++] = now;
}

uint64_t scatter(uint64_t z) {
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

static uint64_t next_random(supervise *s) {
        return scatter(s->random += UINT64_C(0x9e3779b97f4a7c15));
}

static nsec_t add_jitter(supervise *s, nsec_t delay) {
        nsec_t most = delay / 100 * s->policy.backoff_jitter;

        return most > 0 ? time_add(delay, next_random(s) % (most + 1)) : delay;
}

static nsec_t exponential(const supervise_policy *p, uint32_t exponent) {
        nsec_t delay = p->backoff_min;

        for (uint32_t i = 0; i < exponent && delay < p->backoff_max; i++)
                delay = MIN(delay, p->backoff_max / p->backoff_factor + 1) * p->backoff_factor;
        return MIN(delay, p->backoff_max);
}

void limit_note_stable(supervise *s, struct slot *slot) {
        nsec_t windows;

        if (s->policy.backoff_max == 0 || slot->state != SUPERVISE_SLOT_RUNNING ||
            s->clock - slot->since < s->policy.backoff_stable)
                return;
        windows = (s->clock - slot->since) / MAX(s->policy.backoff_stable, 1U);
        slot->exponent = windows < 32 ? slot->exponent >> windows : 0;
        slot->credit = true;
}

/* The plain backoff; advances it. The exponent stops where the delay does, so that halving it is felt. */
static nsec_t backoff_next(supervise *s, struct slot *slot) {
        const supervise_policy *p = &s->policy;
        nsec_t delay;

        if (p->backoff_max == 0)
                return 0;

        limit_note_stable(s, slot);
        if (slot->credit) {
                slot->credit = false;
                return 0;
        }

        delay = exponential(p, slot->exponent);
        if (delay < p->backoff_max && slot->exponent < SLOT_EXPONENT_MAX)
                slot->exponent++;
        return delay;
}

bool limit_judge(supervise *s, uint32_t number, nsec_t *ret_delay) {
        const supervise_policy *p = &s->policy;
        struct slot *slot = slot_at(s, number);
        nsec_t *row = slot_row(s, number), delay;
        bool over;

        window_add(row, s->row_size, &slot->n_failures, p->period, s->clock);
        over = slot->n_failures > p->intensity;
        if (p->escalate) {
                window_add(s->failures, s->row_size, &s->n_failures, p->period, s->clock);
                over = s->n_failures > p->intensity;
        }
        if (over && !limit_is_rate(p))
                return true;

        delay = backoff_next(s, slot);
        if (limit_is_rate(p) && slot->n_failures >= p->intensity) {
                /* One more would be over: wait until the oldest that would still count has left the
                 * window. */
                nsec_t free_at = time_add(time_add(row[slot->n_failures - p->intensity], p->period), 1);

                delay = MAX(delay, free_at - s->clock);
        }
        *ret_delay = add_jitter(s, delay);
        return false;
}
