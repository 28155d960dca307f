/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All properties of all monitors and actors, from one call of GetManagedObjects(). Strings are borrowed from
 * the reply. */

#include "arbiterctl/waiting.h"

struct actor_object {
        const char *path, *aid, *name, *monitor, *description, *program, *concurrency, *state, *last_reason,
                        *status, *probe_status;
        uint32_t pid, generation, restarts;
        int32_t last_status;
        bool ready; /* or it is of an arbiter that does not say */
        bool plain, empty; /* empty: a place without an actor; its status says what it waits for */
        bool draining;
        uint32_t requests_begun;
        uint64_t started_usec, uptime_usec, last_notified_usec, mailbox_queued, memory_bytes, cpu_usec,
                        requests_done;
};

struct monitor_object {
        const char *path, *aid, *name, *description, *state, *strategy, *parent;
        uint32_t workers, running, failed, backoff, restarts, revision;
        uint32_t draining, backlog, workers_min, workers_max;
        uint64_t next_attempt_usec, load;
        /* "" of an older arbiter */
        const char *roll_state, *roll_failing, *roll_reason, *roll_waiting, *breaker;
        uint64_t roll_deadline_usec;
        uint32_t roll_replaced, roll_left;
        int32_t roll_status;
};

struct objects {
        sd_bus_message *reply;
        struct actor_object *actors;
        struct monitor_object *monitors;
        size_t n_actors, n_monitors;
};

/* In an order for people: by name, numbers in names by value ("web.2" before "web.10"). */
int objects_take(struct context *c, struct objects *ret);
/* And those that are not there now but are waited for: workers that back off, were given up or stopped. w
 * must stay as long as o. Returns 0 or an exit status. */
int objects_add_waiting(struct objects *o, const struct waiting *w);
void objects_done(struct objects *o);

/* The same as rows, for snapshot_resolve(): row i is object i. Borrows from o. */
int objects_to_snapshot(const struct objects *o, struct snapshot *ret);

/* As an object, which starts with "kind" if that is not NULL ("slot" for a place without an actor). */
void actor_to_json(const struct actor_object *a, const char *kind, struct json *j);
void monitor_to_json(const struct monitor_object *m, const char *kind, struct json *j);
