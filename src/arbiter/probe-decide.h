/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When the next probe of an actor is due, and what a run of results means. Pure: no clock, no I/O. The glue
 * (probe.c) asks when it is told to, and says what came of it.
 *
 * Thresholds count results in a row: one of the other kind begins anew. One that says nothing about the
 * actor (our own want of memory or descriptors, a loop that was late) is PROBE_UNKNOWN: it counts for
 * nothing, and the question is asked again soon.
 *
 * Probes of thousands of workers that were started or taken over together are not asked together for ever:
 * the first interval of each is shortened by up to its half, each later one by up to its tenth, as a hash
 * of the actor's id says. What is not waited for (liveness; anything of an actor that had run before we
 * came) is asked for the first time somewhere within an interval. */

#include <arbiter/probe.h>

#include "basic/time-util.h"

#define PROBE_KINDS (ARBITER_PROBE_LIVENESS + 1)
#define PROBE_SOON_USEC (1 * USEC_PER_SEC) /* at most: until it is ready, and after one that said nothing */

typedef enum probe_result {
        PROBE_GOOD,
        PROBE_BAD,
        PROBE_UNKNOWN,
} probe_result;

typedef enum probe_verdict {
        PROBE_NOTHING, /* as before */
        PROBE_PASSED,  /* start: it runs; readiness: it is ready, and was not */
        PROBE_FAILED,  /* for good; readiness: it is not ready, and was, or nobody knew */
} probe_verdict;

struct probe_timing { /* none is 0 but the delay */
        usec_t delay, interval, timeout;
        unsigned failures, successes;
};

struct probe_state {
        arbiter_probe_kind kind;
        bool over;              /* it is asked no more */
        bool known, good;       /* a verdict was given; and which */
        unsigned n_good, n_bad; /* in a row; one of them is 0 */
        uint64_t seed, n_asked;
        usec_t due;             /* of the next; USEC_INFINITY: over, or it is under way */
        usec_t begun;           /* the last one */
};

/* The defaults of a kind where it is 0. */
void probe_timing_complete(struct probe_timing *t, arbiter_probe_kind kind);

/* since: when what is asked began to be there, from which the delay counts. fresh: that is now. */
void probe_decide_begin(struct probe_state *s, arbiter_probe_kind kind, const struct probe_timing *t,
                uint64_t seed, usec_t since, usec_t now, bool fresh);
/* What it was said to be before: by another arbiter, or by another probe. */
void probe_decide_restore(struct probe_state *s, bool good);
/* One is under way. */
void probe_decide_asked(struct probe_state *s, usec_t now);
probe_verdict probe_decide_answered(
                struct probe_state *s, const struct probe_timing *t, probe_result result, usec_t now);
