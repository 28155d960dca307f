/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_LOG_H
#define ARBITER_LOG_H

#include <arbiter/_common.h>

ARBITER_BEGIN_DECLARATIONS

/* The library never prints. It tells what happened to a function of yours: level is syslog's (3 error ...
 * 7 debug), text one line without newline. aid, name and monitor say whom it concerns (NULL: the arbiter
 * itself); of a monitor's own actor, name and monitor are the same. */
typedef struct arbiter_log_entry {
        size_t size;
        int level;
        const char *text;
        const char *aid, *name, *monitor;
        const char *event; /* see below, or NULL */
        const char *reason; /* as arbiter_reason_to_string() has them, or NULL */
        int32_t status;      /* with a reason: exit code or signal */
        int32_t pid;         /* its process; 0: none */
        uint32_t generation; /* 0: no actor */
        uint64_t usec;       /* a time that belongs to the event */
        uint32_t n, n_before; /* numbers that do */
} arbiter_log_entry;

/* Events, and what else they set besides whom they concern:
 *   "started"    an actor runs
 *   "replaced"   it runs, in the place of one that has ended: reason and status are that one's
 *   "start-failed"  in words: text
 *   "silent", "watchdog"  usec: for how long there was no sign of life; it is ended
 *   "unhealthy"  it is stopped, as its liveness probe has failed n times; text says what the probe said
 *   "ready", "unready"  the same of its readiness probe, which has passed or failed
 *   "died"       reason, status
 *   "stopped"    it has ended because it was to: reason, status. Without a name: the arbiter has
 *   "backoff"    it is started again after usec. n: failures in a row
 *   "gave-up"    it is not started again by itself. n: restarts allowed in usec. Without a name: a monitor
 *   "escalated", "auto-shutdown"  a monitor of different children has ended by itself; n, usec as above
 *   "root-gave-up"  the arbiter stops, because that one was nobody's child. status: its exit status
 *   "scaled"     n, n_before: workers wanted by the monitor
 *   "roll-halted"  a new worker fails in a roll: reason, status; or is not ready in time: neither
 *   "rolled", "roll-aborted"  all workers are of the new definition, or of the one before again
 *   "breaker-open"  n workers have failed, none is started for usec; "breaker-closed"  they are again
 *   "recycled"   it has reached a limit of its pool, and is to be replaced by its like
 *   "removed"    there is no place for it any more: a monitor has fewer workers. n: its number
 *   "re-adopted"  the arbiter has taken over from another. n: lives that go on
 * There are others, for people: "stuck", "protocol", "dead-letters", "refused", "stopping", "trace",
 * "adopted", "keep-failed", "state-failed", "relinked", "probe-failed". */

typedef void (*arbiter_log_handler_t)(const arbiter_log_entry *entry, void *userdata);

int arbiter_set_log_handler(arbiter *a, arbiter_log_handler_t handler, void *userdata);

/* What org.freedesktop.LogControl1 reads and sets, wherever the arbiter listens ("systemctl
 * service-log-level"). Levels are syslog's; targets are names of your choice, as "console", "journal",
 * "null". A setter returns 0 or a negative errno: -EINVAL for a target that you do not have. A setter
 * that is NULL makes its property one that cannot be set. */
typedef struct arbiter_log_control {
        size_t size;
        int (*get_level)(void *userdata);
        int (*set_level)(int level, void *userdata);
        const char *(*get_target)(void *userdata);
        int (*set_target)(const char *target, void *userdata);
        const char *identifier; /* the SYSLOG_IDENTIFIER of your entries */
} arbiter_log_control;

/* Once, and before or after it listens; copied, except for the identifier, which must last. -EALREADY. */
int arbiter_set_log_control(arbiter *a, const arbiter_log_control *control, void *userdata);

ARBITER_END_DECLARATIONS

#endif
