/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_STATUS_H
#define ARBITER_STATUS_H

#include <arbiter/_common.h>

ARBITER_BEGIN_DECLARATIONS

/* How the arbiter as a whole is, for who tells others: sd_notify's STATUS=, metrics, the D-Bus
 * properties. */
typedef enum arbiter_status_state {
        ARBITER_STATUS_STARTING = 0, /* until what is started first has had its outcome */
        ARBITER_STATUS_RUNNING = 1,
        ARBITER_STATUS_RELOADING = 2, /* inside of the reload handler */
        ARBITER_STATUS_STOPPING = 3
} arbiter_status_state;

/* "starting" ...: static strings, NULL for an unknown value. */
const char *arbiter_status_state_to_string(arbiter_status_state state);

typedef struct arbiter_status {
        size_t size;
        arbiter_status_state state;
        uint32_t monitors, monitors_failed; /* of these, given up altogether */
        uint32_t wanted;                    /* places: workers of monitors, and lone actors */
        uint32_t backoff, failed;           /* of these, empty: until the next start; given up */
        /* lives by state; monitors' own actors do not count, hosts of threads do */
        uint32_t actors, starting, running, stopping;
        uint64_t restarts, deaths; /* since the arbiter was made */
        uint64_t dead_letters;     /* of all lives, as far as they have told */
        /* not 0: the state (arbiter_set_state()) has no room, or there is no memory; an arbiter that took
         * over now would not know what was decided last */
        uint64_t unwritten;
} arbiter_status;

/* ret->size is set by the caller. The figures are kept, not counted: it costs the same with any number of
 * actors. */
int arbiter_get_status(arbiter *a, arbiter_status *ret);

/* Called from the loop, at most once a turn, when any of it has changed; also once after this call. NULL:
 * nobody. */
typedef void (*arbiter_status_handler_t)(arbiter *a, const arbiter_status *status, void *userdata);
int arbiter_set_status_handler(arbiter *a, arbiter_status_handler_t handler, void *userdata);

/* What the D-Bus properties Instance and FailedFiles say. The instance ("system", "user", or a name)
 * cannot change after the start. files: configuration that could not be loaded, and so is not; ends in
 * NULL, copied; NULL: none. */
int arbiter_set_instance(arbiter *a, const char *instance);
int arbiter_set_failed_files(arbiter *a, const char *const *files);

/* Takes over a listening AF_UNIX stream socket: whoever connects to it gets the metrics as OpenMetrics
 * text, and then the end. Once; -EINVAL: another kind of descriptor, which stays the caller's as on any
 * failure. */
int arbiter_listen_metrics(arbiter *a, int fd);

ARBITER_END_DECLARATIONS

#endif
