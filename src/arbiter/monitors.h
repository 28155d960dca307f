/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Monitors: pools, and those of different children (tree.h has the rest of them). */

#include <arbiter/arbiter.h>

#include "arbiter/roll.h"
#include "arbiter/set.h"
#include "arbiter/tree.h"
#include "arbiter/worker-load.h"

struct arbiter_monitor {
        unsigned n_ref;
        arbiter *arbiter; /* NULL once it is gone */
        struct list_node monitors;
        char *name, *description;
        arbiter_spawn *worker; /* NULL: no pool */
        const arbiter_module *module;
        supervise_policy policy;
        struct set set;
        struct tree tree;
        struct child *child; /* its own actor */
        struct child *host;  /* of its threads, or NULL */
        struct list_node marked; /* for the state */
        struct state_use *state_spawn;
        uint64_t revision;
        uint32_t workers, configured; /* wanted; what it was started with */
        bool started, stopping, failed, restarting;
        struct pool_load load;
        arbiter_future *start_future, *stop_future;
        struct list_node settled; /* waiters.h: scale, restart */
        struct pool pool;
        arbiter_routing routing;
        struct list_node pool_watches; /* who is told of its workers: pool-members.c */
        bool hope_told;
};

/* monitor.c */
void monitor_acted(arbiter_monitor *m, const supervise_action *action);
void monitor_changed(arbiter_monitor *m);
/* Its own actor is no more, whyever: the workers go, too. */
void monitor_actor_ended(arbiter_monitor *m);
/* Nothing is on its way any more: every wanted worker runs, or is given up or held. */
bool monitor_is_settled(arbiter_monitor *m);
int monitor_stop(arbiter_monitor *m);
supervise_restart monitor_restart_of(const arbiter_spawn *worker);
/* Its workers are down, and it is not to be started again: so is its actor, and then it is no more. */
void monitor_end(arbiter_monitor *m);
void monitor_gone(arbiter_monitor *m);
int monitor_start_actor(arbiter_monitor *m, const aid *wanted);
int monitor_make_pool(arbiter_monitor *m, unsigned workers);
