/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_FUTURE_H
#define ARBITER_FUTURE_H

#include <arbiter/error.h>

ARBITER_BEGIN_DECLARATIONS

/* A future: the one outcome of a request or a spawn. It belongs to the loop of the actor that asked.
 * Dropping the last reference of a pending one gives up interest, not the request: its callbacks still
 * run. */

typedef void (*arbiter_future_callback_t)(arbiter_future *f, void *userdata);

arbiter_future *arbiter_future_ref(arbiter_future *f);
arbiter_future *arbiter_future_unref(arbiter_future *f);
ARBITER_CLEANUP_DEFINE(arbiter_future, unref);

bool arbiter_future_is_pending(arbiter_future *f);
/* Calls back exactly once from the loop, also when the future is resolved already. Any number of
 * callbacks, in order. */
int arbiter_future_then(arbiter_future *f, arbiter_future_callback_t callback, void *userdata);
/* Runs the loop until the future is resolved or the timeout (relative; 0: the future's own deadline only)
 * has passed (-ETIMEDOUT; the future stays pending). -EDEADLK inside any callback of this loop. */
int arbiter_future_wait(arbiter_future *f, uint64_t timeout_usec);
/* Resolves it as cancelled and tells the callee (queued: removed; running:
 * arbiter_message_is_cancelled()). -EALREADY. */
int arbiter_future_cancel(arbiter_future *f);

/* Of a resolved future (-EBUSY, resp. ARBITER_OUTCOME_CANCELLED, while it is pending). */
arbiter_outcome arbiter_future_get_outcome(arbiter_future *f);
arbiter_executed arbiter_future_get_executed(arbiter_future *f);
/* Borrowed. The error name and text of everything but a reply; NULL of a reply. */
const char *arbiter_future_get_error_name(arbiter_future *f);
const char *arbiter_future_get_error_text(arbiter_future *f);
/* 0 with the answer's message (borrowed; may be NULL for a spawn), else the outcome as negative errno. */
int arbiter_future_get_reply(arbiter_future *f, arbiter_message **ret);
/* Reads the answer: arbiter_future_get(f, "x", &n). Outcome as negative errno, -ENXIO for another
 * signature. */
int arbiter_future_get(arbiter_future *f, const char *signature, ...);
/* Of a spawn: the actor's proxy (a new reference) once it is running; and its aid (borrowed), known at
 * once. */
int arbiter_future_get_proxy(arbiter_future *f, arbiter_proxy **ret);
const char *arbiter_future_get_aid(arbiter_future *f);
/* Of callee-died and failed spawns: why it died, and the exit code or signal. */
arbiter_reason arbiter_future_get_reason(arbiter_future *f, int *ret_status);

/* Composites, resolved when all, or the first, of the members are. all: a reply if all are replies, else
 * the outcome of the first that was none, in the order given. any: the outcome of the first. Members stay
 * the caller's. */
int arbiter_future_all(arbiter_future *const *members, size_t n_members, arbiter_future **ret);
int arbiter_future_any(arbiter_future *const *members, size_t n_members, arbiter_future **ret);

ARBITER_END_DECLARATIONS

#endif
