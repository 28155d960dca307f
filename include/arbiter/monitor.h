/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_MONITOR_H
#define ARBITER_MONITOR_H

#include <arbiter/spawn.h>

ARBITER_BEGIN_DECLARATIONS

/* A monitor: an actor on the arbiter's own loop that keeps a pool of N workers alike alive. They are called
 * NAME.1 to NAME.N; a replacement takes the free number. Restart types and intensity (per worker) are those
 * of Erlang's supervisors; between restarts there is a backoff. It belongs to the arbiter, which keeps the
 * reference that matters. */

/* worker is the template (its name is not used); NULL: it has named, different children, see supervisor.h.
 * module (may be NULL) gives the monitor hooks and commands of its own. -EEXIST: the name is taken, by an
 * actor that is not started again just now, too. */
int arbiter_monitor_new(arbiter *a, const char *name, arbiter_spawn *worker, const arbiter_module *module,
                arbiter_monitor **ret);
arbiter_monitor *arbiter_monitor_ref(arbiter_monitor *m);
arbiter_monitor *arbiter_monitor_unref(arbiter_monitor *m);
ARBITER_CLEANUP_DEFINE(arbiter_monitor, unref);

const char *arbiter_monitor_get_name(arbiter_monitor *m);
arbiter_monitor *arbiter_find_monitor(arbiter *a, const char *name); /* borrowed, or NULL */

/* Is there a place for the worker of this number: does it run, or will it, or was it stopped or given up?
 * Then what is kept for it may be needed. 0: there is none. */
int arbiter_monitor_has_worker(arbiter_monitor *m, unsigned number);

int arbiter_monitor_set_description(arbiter_monitor *m, const char *description);
/* More than intensity restarts of one worker within the period park it as failed.
 * Default 5 in 10 s. */
int arbiter_monitor_set_intensity(arbiter_monitor *m, unsigned intensity, uint64_t period_usec);
/* Delay min * factor^k up to max, with jitter in percent; k is halved after each stable
 * window. 0 keeps the default: 100 ms, 30 s, 2, 20 %, 10 s. min UINT64_MAX: no backoff; jitter UINT_MAX:
 * none. */
int arbiter_monitor_set_backoff(arbiter_monitor *m, uint64_t min_usec, uint64_t max_usec, double factor,
                unsigned jitter_percent, uint64_t stable_usec);

/* Starts N workers. The future (may be NULL) resolves when all are running, and fails when the monitor
 * gives up. */
int arbiter_monitor_start(arbiter_monitor *m, unsigned workers, arbiter_future **ret);
/* At run time: surplus workers are stopped, oldest first. Resolves when the new size is reached. */
int arbiter_monitor_scale(arbiter_monitor *m, unsigned workers, arbiter_future **ret);
/* Replaces each worker by a new one, as arbiter_monitor_set_roll() says; with a new template if it is not
 * NULL. Without one, those that were stopped or given up are started, too. Fails when a new one does. */
int arbiter_monitor_restart(arbiter_monitor *m, arbiter_spawn *worker, arbiter_future **ret);
/* Stops all workers, each by its shutdown rule, and then the monitor, which is gone when the future
 * resolves. */
int arbiter_monitor_stop(arbiter_monitor *m, arbiter_future **ret);

ARBITER_END_DECLARATIONS

#endif
