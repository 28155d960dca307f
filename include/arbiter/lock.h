/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_LOCK_H
#define ARBITER_LOCK_H

#include <arbiter/actor.h>

ARBITER_BEGIN_DECLARATIONS

/* Named locks among the actors of an arbiter (pulsar's Lock). One actor holds a lock until it gives it back,
 * until the time it asked for is over, or until it dies. Those who wait have it in the order of asking. A
 * lock is the actor's, not its handlers': asked for again by its holder, it is waited for like anybody's.
 * Names are 1 to 255 printable characters of ASCII without blanks.
 *
 * hold_usec: how long at most; 0 and UINT64_MAX: until it is given back. wait_usec: how long to wait for
 * it; 0 the default (5 s), UINT64_MAX without end. The future resolves to "t", a number that is greater
 * than that of all who held the lock before: what is guarded by the lock can refuse a lesser one, from
 * somebody who has been held up and does not know that his time is over. Not had in time: an application
 * error with the name io.arbiter.Arbiter1.Error.Locked, which says who has it. A future that is cancelled
 * does not hold it. */
int arbiter_actor_lock(arbiter_actor *a, const char *name, uint64_t hold_usec, uint64_t wait_usec,
                arbiter_future **ret);
/* The same without waiting. */
int arbiter_actor_try_lock(arbiter_actor *a, const char *name, uint64_t hold_usec, arbiter_future **ret);
/* -ENOENT: it does not hold it (any more). */
int arbiter_actor_unlock(arbiter_actor *a, const char *name);
/* As far as is known here and now. */
bool arbiter_actor_holds_lock(arbiter_actor *a, const char *name);

/* Called from the loop when a lock ends before it was given back. NULL: nobody is. */
typedef void (*arbiter_lock_lost_handler_t)(arbiter_actor *a, const char *name, void *userdata);
int arbiter_actor_set_lock_lost_handler(
                arbiter_actor *a, arbiter_lock_lost_handler_t handler, void *userdata);

ARBITER_END_DECLARATIONS

#endif
