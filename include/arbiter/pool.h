/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_POOL_H
#define ARBITER_POOL_H

#include <arbiter/monitor.h>

ARBITER_BEGIN_DECLARATIONS

/* How a monitor replaces its workers: arbiter_monitor_restart() begins a roll, in which new ones take the
 * place of the old ones bit by bit, and these go on serving meanwhile. All of this may be set before the
 * start and while it runs. */

/* Of the number of workers: more are rounded up, fewer are rounded down. */
#define ARBITER_PERCENT(n) (0x80000000U | (unsigned) (n))

/* max_surge: so many workers more than wanted may live during a roll; max_unavailable: so many fewer may
 * serve. Numbers up to 1,024, or ARBITER_PERCENT(0 ... 100), which together never mean 0 and 0. Default 0
 * and 1: one after the other. drain_usec: for so long may a worker that is busy go on before it is stopped;
 * 0, the default: not at all. -EINVAL: both are 0. */
int arbiter_monitor_set_roll(
                arbiter_monitor *m, unsigned max_surge, unsigned max_unavailable, uint64_t drain_usec);

/* A new worker must have served for so long before an old one leaves for it, and is taken to fail if it ends
 * before. 0, the default: it is believed at once, which is good for those that say when they are ready. */
int arbiter_monitor_set_min_ready(arbiter_monitor *m, uint64_t usec);

/* When a roll waits for a new worker that neither gets ready nor fails, and nothing else has gone on with it
 * for so long, it is halted as if that one had failed, until it is ready at last. Default: 10 min, as
 * Kubernetes' progressDeadlineSeconds. 0 or UINT64_MAX: never. */
int arbiter_monitor_set_progress_deadline(arbiter_monitor *m, uint64_t usec);

/* When `failures` of all workers lie within the period, nobody is started any more for min_usec. Then one is
 * tried: if it serves, all go on; else that time is doubled, up to max_usec. 0, the default: never. */
int arbiter_monitor_set_breaker(arbiter_monitor *m, unsigned failures, uint64_t period_usec,
                uint64_t min_usec, uint64_t max_usec);

/* Turns a roll back: workers of the definition before take the place of those that have come already. The
 * future (may be NULL) resolves when that is done. -ENOENT: nothing is being rolled. */
int arbiter_monitor_abort_roll(arbiter_monitor *m, arbiter_future **ret);

typedef enum arbiter_roll_state {
        ARBITER_ROLL_NONE,
        ARBITER_ROLL_GOING,
        /* a new worker fails or is not ready; nobody else is replaced until it serves */
        ARBITER_ROLL_HALTED,
        ARBITER_ROLL_TURNING_BACK,
        ARBITER_ROLL_DONE, /* how the last one ended, these two */
        ARBITER_ROLL_ABORTED,
} arbiter_roll_state;

const char *arbiter_roll_state_to_string(arbiter_roll_state state); /* "none"; NULL: no such */

typedef struct arbiter_roll {
        size_t size; /* sizeof(arbiter_roll), set by the caller */
        arbiter_roll_state state;
        unsigned replaced, left;    /* while it goes on: new workers that serve; old ones that live */
        unsigned failing;           /* the number of the worker for which it has halted, or does not come
                                     * back; or 0 */
        arbiter_reason reason;      /* and how its last life ended, unless it is the one below */
        int status;
        /* the number of the worker that it waits for: it lives and is not ready; or 0 */
        unsigned waiting;
        uint64_t waiting_usec;  /* CLOCK_MONOTONIC: since when it is not */
        uint64_t deadline_usec; /* and when the roll halts for that; 0: never, or it has */
} arbiter_roll;

int arbiter_monitor_get_roll(arbiter_monitor *m, arbiter_roll *ret);

/* 1: the worker of this number is of another definition than the present one, so that a roll replaces it, or
 * it is about to leave for good. 0: not. -ENOENT: there is none. */
int arbiter_monitor_is_outdated(arbiter_monitor *m, unsigned number);

/* By what it may start workers now: while it rolls, that is the definition before, too. Borrowed; NULL after
 * the last one. What an arbiter before this one has left may be incomplete (sockets, functions): it can be
 * set anew, made from arbiter_spawn_get_source(). -ESTALE: that has another fingerprint. */
arbiter_spawn *arbiter_monitor_get_definition(arbiter_monitor *m, unsigned index);
int arbiter_monitor_set_definition(arbiter_monitor *m, unsigned index, arbiter_spawn *worker);

/* Called for ReloadMonitor (the D-Bus method): what the monitor is configured as is read again, and its
 * workers are replaced. 0, and the future of that (NULL: nobody has to wait); else *ret_text, to be freed by
 * the arbiter, says why not. arbiter_reload_monitor(): -EOPNOTSUPP without a handler, -ESRCH. */
typedef int (*arbiter_reload_monitor_handler_t)(
                arbiter *a, const char *name, arbiter_future **ret, char **ret_text, void *userdata);
int arbiter_set_reload_monitor_handler(arbiter *a, arbiter_reload_monitor_handler_t handler, void *userdata);
int arbiter_reload_monitor(arbiter *a, const char *name, arbiter_future **ret, char **ret_text);

ARBITER_END_DECLARATIONS

#endif
