/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What top shows: figures of actors and sums of monitors at one time, in an order; monitors in monitors
 * below them. */

#include "arbiterctl/objects.h"

enum top_order { TOP_BY_CPU, TOP_BY_MEMORY, TOP_BY_MAILBOX, TOP_BY_RESTARTS, TOP_BY_NAME };

struct top_row {
        const char *name, *aid, *state; /* borrowed from the objects */
        const char *monitor;            /* its parent, of a monitor too; "": none */
        uint32_t pid, workers, restarts;
        unsigned depth; /* of a monitor, in those above it that are shown */
        uint64_t uptime_usec, mailbox_queued;
        uint64_t memory_bytes, cpu_usec, cpu_permille; /* UINT64_MAX: not known (yet) */
        bool mailbox_known;
};

struct top_sample {
        struct objects objects;
        usec_t time;
        struct top_row *actors, *monitors;
        size_t n_actors, n_monitors;
};

/* Asks the arbiter. before: an earlier sample (it is sorted anew), for the use of CPU since; may be empty.
 * patterns: globs over names; none: all. Returns 0 or an exit status; *ret is to be freed in any case. */
int top_sample_take(struct context *c, struct top_sample *before, char *const *patterns,
                    struct top_sample *ret);
void top_sample_done(struct top_sample *s);
void top_sample_sort(struct top_sample *s, enum top_order order);

/* Two tables, cut to width columns (0: not) and height lines (0: not). */
void top_sample_print(const struct top_sample *s, enum top_order order, unsigned width, unsigned height,
                      FILE *f);
void top_sample_to_json(const struct top_sample *s, struct json *j);
