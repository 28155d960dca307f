/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_LOAD_H
#define ARBITER_LOAD_H

#include <arbiter/monitor.h>

ARBITER_BEGIN_DECLARATIONS

/* What a worker has to do, and what follows from it for its pool. */

/* An actor's load: the messages in its mailbox, and those that it has begun and not answered. The runtime
 * counts these by itself. What else it has in hand (connections that it has accepted, jobs) it adds by
 * this. */
int arbiter_actor_set_load(arbiter_actor *a, unsigned n);

/* Its pool is about to stop this worker: it has no new mail, and is stopped when its load is 0, or after
 * the pool's patience. Who takes work by himself (accept()) leaves it to others from then on. 1, 0. */
int arbiter_actor_is_draining(arbiter_actor *a);
/* Called from the loop when that changes: a worker that drained may be wanted again. NULL: nobody is. */
typedef void (*arbiter_drain_handler_t)(arbiter_actor *a, int draining, void *userdata);
int arbiter_actor_set_drain_handler(arbiter_actor *a, arbiter_drain_handler_t handler, void *userdata);

/* A worker is replaced by its like when it has done so many requests, has run for so long, or has so many
 * bytes of memory; 0: never. One at a time, by the rules of a roll. spread_percent: for each worker each
 * limit is smaller by up to so much (at most 100), so that those who came together do not leave together.
 * Before the start, and while it runs. */
int arbiter_monitor_set_recycling(arbiter_monitor *m, uint64_t requests_max, uint64_t runtime_max_usec,
                uint64_t memory_max, unsigned spread_percent);

/* The size of the pool follows its load, between min (at least 1) and max workers; max 0: it does not.
 * The load is in percent of one worker: 100 for each message that a worker has on average, queued or
 * begun, and for each connection that waits in the backlog of a listening socket of theirs; of a program
 * without a mailbox, its share of a CPU. Where it has been above up_percent for each worker for up_usec,
 * workers come; where it has been below down_percent for down_usec, one leaves, an idle one first.
 * -EINVAL: these contradict each other; -EOPNOTSUPP: it is no pool. Before the start, and while it runs. */
int arbiter_monitor_set_autoscale(arbiter_monitor *m, unsigned min, unsigned max, unsigned up_percent,
                unsigned down_percent, uint64_t up_usec, uint64_t down_usec);

/* The load of all workers together, as of the last look, in percent of one worker. 0 as well where nobody
 * looks. */
int arbiter_monitor_get_load(arbiter_monitor *m, uint64_t *ret_percent);

ARBITER_END_DECLARATIONS

#endif
