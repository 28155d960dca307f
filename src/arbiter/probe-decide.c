/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of probes: see probe-decide.h. Called by probe.c. */

#include "arbiter/probe-decide.h"

#define INTERVAL_DEFAULT (10 * USEC_PER_SEC)
#define INTERVAL_START_DEFAULT (1 * USEC_PER_SEC)
#define TIMEOUT_DEFAULT (1 * USEC_PER_SEC)
#define FAILURES_DEFAULT 3
#define FAILURES_START_DEFAULT 30

void probe_timing_complete(struct probe_timing *t, arbiter_probe_kind kind) {
        bool start = kind == ARBITER_PROBE_START;

        if (t->interval == 0)
                t->interval = start ? INTERVAL_START_DEFAULT : INTERVAL_DEFAULT;
        if (t->timeout == 0)
                t->timeout = TIMEOUT_DEFAULT;
        if (t->failures == 0)
                t->failures = start ? FAILURES_START_DEFAULT : FAILURES_DEFAULT;
        if (t->successes == 0)
                t->successes = 1;
}

/* Of the time, some part that differs from actor to actor and from question to question (splitmix64). */
static usec_t share(const struct probe_state *s, usec_t time) {
        uint64_t x = s->seed + (s->n_asked + 1) * UINT64_C(0x9e3779b97f4a7c15);

        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        x ^= x >> 31;
        return time >= UINT64_MAX ? x : x % (time + 1);
}

void probe_decide_begin(struct probe_state *s, arbiter_probe_kind kind, const struct probe_timing *t,
                uint64_t seed, usec_t since, usec_t now, bool fresh) {
        usec_t first = time_add(since, t->delay);

        *s = (struct probe_state){ .kind = kind, .seed = seed };
        s->due = MAX(first, now);
        if (!fresh || kind == ARBITER_PROBE_LIVENESS)
                s->due = time_add(s->due, share(s, t->interval));
}

void probe_decide_restore(struct probe_state *s, bool good) {
        s->known = true;
        s->good = good;
}

void probe_decide_asked(struct probe_state *s, usec_t now) {
        s->begun = now;
        s->n_asked++;
        s->due = USEC_INFINITY;
}

/* From one begin to the next. Who is waited for is asked more often. */
static usec_t gap(const struct probe_state *s, const struct probe_timing *t) {
        usec_t interval = t->interval;

        if (s->kind == ARBITER_PROBE_READINESS && !(s->known && s->good) && s->n_bad < t->failures)
                interval = MIN(interval, PROBE_SOON_USEC);
        return interval - share(s, s->n_asked <= 1 ? interval / 2 : interval / 10);
}

static probe_verdict judge_good(struct probe_state *s, const struct probe_timing *t) {
        s->n_bad = 0;
        if (s->n_good < t->successes)
                s->n_good++;
        if (s->n_good < t->successes || (s->known && s->good))
                return PROBE_NOTHING;
        s->known = s->good = true;
        s->over = s->kind == ARBITER_PROBE_START;
        return s->kind == ARBITER_PROBE_LIVENESS ? PROBE_NOTHING : PROBE_PASSED;
}

static probe_verdict judge_bad(struct probe_state *s, const struct probe_timing *t) {
        s->n_good = 0;
        if (s->n_bad < t->failures)
                s->n_bad++;
        if (s->n_bad < t->failures || (s->known && !s->good))
                return PROBE_NOTHING;
        s->known = true;
        s->good = false;
        s->over = s->kind != ARBITER_PROBE_READINESS;
        return PROBE_FAILED;
}

probe_verdict probe_decide_answered(
                struct probe_state *s, const struct probe_timing *t, probe_result result, usec_t now) {
        probe_verdict v;

        if (s->over)
                return PROBE_NOTHING;
        if (result == PROBE_UNKNOWN) {
                s->due = time_add(now, MIN(t->interval, PROBE_SOON_USEC));
                return PROBE_NOTHING;
        }
        v = result == PROBE_GOOD ? judge_good(s, t) : judge_bad(s, t);
        s->due = s->over ? USEC_INFINITY : MAX(time_add(s->begun, gap(s, t)), now);
        return v;
}
