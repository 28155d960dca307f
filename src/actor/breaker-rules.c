/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See breaker-rules.h. Called by breaker.c. Pure. */

#include "actor/breaker-rules.h"

enum breaker_verdict breaker_judge(arbiter_outcome outcome) {
        switch (outcome) {
        case ARBITER_OUTCOME_REPLY:
        case ARBITER_OUTCOME_APPLICATION_ERROR:
        case ARBITER_OUTCOME_DENIED:
        case ARBITER_OUTCOME_UNKNOWN_COMMAND:
        case ARBITER_OUTCOME_BAD_ARGUMENTS:
                return BREAKER_SUCCESS;
        case ARBITER_OUTCOME_CANCELLED:
        case ARBITER_OUTCOME_DEADLOCK: /* the callers' own doing */
                return BREAKER_NEITHER;
        default:
                return BREAKER_FAILURE;
        }
}

static void enter(struct breaker_rules *b, arbiter_breaker_state state) {
        b->state = state;
        b->epoch++;
        b->n_failures = 0;
        b->probing = false;
}

bool breaker_admits(struct breaker_rules *b, uint64_t *ret_epoch) {
        if (b->state == ARBITER_BREAKER_OPEN || b->probing)
                return false;
        b->probing = b->state == ARBITER_BREAKER_HALF_OPEN;
        *ret_epoch = b->epoch;
        return true;
}

static usec_t next_reset(const struct breaker_rules *b, usec_t reset) {
        return reset > b->reset_max_usec / b->factor ? b->reset_max_usec : reset * b->factor;
}

static void succeed(struct breaker_rules *b) {
        b->n_failures = 0;
        if (b->state == ARBITER_BREAKER_CLOSED)
                return;
        b->next_reset = b->reset_usec;
        enter(b, ARBITER_BREAKER_CLOSED);
}

bool breaker_report(struct breaker_rules *b, uint64_t epoch, enum breaker_verdict verdict,
                usec_t *ret_reset) {
        if (epoch != b->epoch)
                return false;
        b->probing = false; /* of one that says nothing, the next call is another try */
        if (verdict == BREAKER_SUCCESS)
                succeed(b);
        if (verdict != BREAKER_FAILURE)
                return false;
        if (b->state == ARBITER_BREAKER_CLOSED && ++b->n_failures < b->max_failures)
                return false;
        if (b->state == ARBITER_BREAKER_CLOSED)
                b->next_reset = b->reset_usec;
        *ret_reset = b->next_reset;
        b->next_reset = next_reset(b, b->next_reset);
        enter(b, ARBITER_BREAKER_OPEN);
        return true;
}

void breaker_reset(struct breaker_rules *b) {
        if (b->state == ARBITER_BREAKER_OPEN)
                enter(b, ARBITER_BREAKER_HALF_OPEN);
}
