/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SIGTERM came: are the actors to end with this arbiter, or is another one about to take them over? */

#include "basic/macro.h"

struct daemon;
struct sd_event;
struct stop_query;

/* What the manager says of the service that we are. NULL: it has not said. */
struct stop_facts {
        const char *job;     /* type of the job that the service has; "": it has none */
        const char *active;  /* ActiveState= */
        const char *restart; /* Restart= */
};

/* The rule. No answer: they are kept, since somebody else (arbiter-keeper) stops them should nobody come. */
bool stop_facts_mean_stop(const struct stop_facts *f);

/* Once, from the loop, within a few seconds. May free the query. */
typedef void (*stop_query_done_t)(bool stop, void *userdata);
/* Asks, without waiting. Negative: it cannot be asked. */
int stop_query_start(const struct daemon *d, struct sd_event *event, stop_query_done_t done,
                void *userdata, struct stop_query **ret);
struct stop_query *stop_query_free(struct stop_query *q);
DEFINE_CLEANUP(struct stop_query *, stop_query_free)
/* The same at once, blocking, for a process that has nothing else to do (ExecStopPost=): 1 stop, 0 not. */
int stop_query_run(const struct daemon *d);
