/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_BREAKER_H
#define ARBITER_BREAKER_H

#include <arbiter/actor.h>

ARBITER_BEGIN_DECLARATIONS

/* A circuit breaker before one callee (the rules are Akka's), so that one that is ill is left alone for a
 * while, and its callers do not wait for it.
 *
 *   closed     calls go out. max_failures failures in a row open it; a success starts the count again
 *   open       calls end at once with ARBITER_OUTCOME_BREAKER_OPEN, not executed; after the reset timeout:
 *   half-open  one call goes out, the others end as above. Its success closes the breaker, its failure
 *              opens it for a reset timeout that is factor times as long, up to a maximum
 *
 * An answer is a success, also an error of the application and a refusal of what was asked for
 * (unknown-command, bad-arguments, denied); a call that the caller cancels is neither. All else is a
 * failure. Belongs to the loop of its actor. */
typedef struct arbiter_breaker arbiter_breaker;

typedef enum arbiter_breaker_state {
        ARBITER_BREAKER_CLOSED,
        ARBITER_BREAKER_OPEN,
        ARBITER_BREAKER_HALF_OPEN
} arbiter_breaker_state;

/* "closed", "open", "half-open"; NULL for an unknown value. */
const char *arbiter_breaker_state_to_string(arbiter_breaker_state state);

/* Exactly one of target (a name, resolved at each call, or an aid) and p is given. */
int arbiter_breaker_new(
                arbiter_actor *a, const char *target, const arbiter_proxy *p, arbiter_breaker **ret);
arbiter_breaker *arbiter_breaker_ref(arbiter_breaker *b);
/* What was called by it goes on. */
arbiter_breaker *arbiter_breaker_unref(arbiter_breaker *b);
ARBITER_CLEANUP_DEFINE(arbiter_breaker, unref);

/* Default 5; at least 1. */
int arbiter_breaker_set_max_failures(arbiter_breaker *b, unsigned n);
/* The longest that a call may take: its timeout is no longer than this. Default 10 s; UINT64_MAX: its
 * own. */
int arbiter_breaker_set_call_timeout(arbiter_breaker *b, uint64_t usec);
/* Default 60 s, factor 1 (at least 1), no maximum (UINT64_MAX). 0 and 0 keep the default. */
int arbiter_breaker_set_reset_timeout(
                arbiter_breaker *b, uint64_t usec, unsigned factor, uint64_t max_usec);
arbiter_breaker_state arbiter_breaker_get_state(const arbiter_breaker *b);
/* Called from the loop when the state has changed. NULL: nobody is. */
typedef void (*arbiter_breaker_handler_t)(
                arbiter_breaker *b, arbiter_breaker_state state, void *userdata);
int arbiter_breaker_set_handler(arbiter_breaker *b, arbiter_breaker_handler_t handler, void *userdata);

/* As arbiter_call_async() and arbiter_send_message(), to the callee of the breaker. */
int arbiter_breaker_call_async(arbiter_breaker *b, arbiter_future **ret, const char *command,
                uint64_t timeout_usec, const char *signature, ...);
int arbiter_breaker_send_message(arbiter_breaker *b, const char *command, arbiter_message *m,
                uint64_t timeout_usec, arbiter_future **ret);

ARBITER_END_DECLARATIONS

#endif
