/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The arbiter's figures as OpenMetrics text (https://openmetrics.io). Pure: a snapshot goes in, text comes
 * out. Labels are bounded: monitors, states, kinds, reasons; never an aid. */

#include <arbiter/error.h>
#include <arbiter/spawn.h>
#include <arbiter/status.h>

#include "basic/time-util.h"

enum {
        METRICS_REASONS = ARBITER_REASON_UNHEALTHY + 1,
        METRICS_STATES = 7,        /* of arbiter_state */
        METRICS_CONCURRENCIES = 4, /* of arbiter_concurrency */
};
#define METRICS_UNKNOWN UINT64_MAX

struct metrics_monitor {
        const char *name;
        uint32_t wanted;
        uint32_t starting, running, stopping, backoff, failed, stopped; /* workers by state */
        uint64_t restarts, deaths[METRICS_REASONS];
        uint64_t starts; /* that came to run, and how long that took */
        usec_t start_usec;
        uint64_t mailbox_queued;
        uint32_t ready;          /* of the running */
        uint32_t draining;
        bool scales;             /* its size follows its load: */
        uint64_t load_percent;   /* of one worker */
        uint32_t backlog;        /* connections that wait */
        uint64_t probes[3][2];   /* results by kind, good and bad, as far as this arbiter has asked */
        uint64_t memory_bytes; /* METRICS_UNKNOWN: no cgroups, or no memory controller */
        usec_t cpu_usec;       /* of all lives; METRICS_UNKNOWN: no cgroups */
};

struct metrics_snapshot {
        const char *version, *instance;
        arbiter_status status;
        usec_t started_usec; /* CLOCK_REALTIME; 0: not yet */
        uint64_t actors[METRICS_STATES][METRICS_CONCURRENCIES];
        uint64_t deaths[METRICS_REASONS];
        uint64_t messages;   /* that the arbiter itself has begun */
        uint64_t loop_turns;
        usec_t cpu_usec;     /* of this process */
        const struct metrics_monitor *monitors;
        size_t n_monitors;
};

/* The text ends with "# EOF\n" and is to be freed. -ENOMEM. */
int metrics_format(const struct metrics_snapshot *s, char **ret, size_t *ret_size);
