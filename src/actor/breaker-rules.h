/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The decisions of a circuit breaker, without clock and calls: include/arbiter/breaker.h has the rules. Each
 * state has an epoch: what was called in one says nothing of the next. */

#include <arbiter/breaker.h>

#include "basic/time-util.h"

struct breaker_rules {
        unsigned max_failures, factor;
        usec_t reset_usec, reset_max_usec;
        arbiter_breaker_state state;
        uint64_t epoch;
        unsigned n_failures;
        bool probing;       /* half-open: its one call is out */
        usec_t next_reset;  /* how long it would be open next */
};

#define BREAKER_RULES_DEFAULT                                                                              \
        ((struct breaker_rules){                                                                           \
                .max_failures = 5,                                                                         \
                .factor = 1,                                                                               \
                .reset_usec = 60 * USEC_PER_SEC,                                                           \
                .reset_max_usec = USEC_INFINITY,                                                           \
                .next_reset = 60 * USEC_PER_SEC,                                                           \
        })

enum breaker_verdict { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_NEITHER };

/* What an outcome says of the callee. */
enum breaker_verdict breaker_judge(arbiter_outcome outcome);
/* May a call go out? Then *ret_epoch is to be given back with its verdict. */
bool breaker_admits(struct breaker_rules *b, uint64_t *ret_epoch);
/* True: it is open now, and breaker_reset() is to follow after *ret_reset. */
bool breaker_report(struct breaker_rules *b, uint64_t epoch, enum breaker_verdict verdict,
                usec_t *ret_reset);
/* The reset timeout has passed. */
void breaker_reset(struct breaker_rules *b);
