/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What simulate-world knows of its arbiter, and what it does to it. */

#include "world.h"

#define POOLS 2U
#define STEPS 40U
#define VERBS_MAX 256U
#define REQUESTS_MAX 256U
#define WATCHES_MAX 256U
#define FAILURES_MAX 16U
#define SLOTS_MAX 16U
#define DISPATCHES_MAX 200000U
#define STOP_BOUND (60 * 60 * USEC_PER_SEC)
#define SETTLE_USEC (5 * 60 * USEC_PER_SEC)

enum { COUNT_EVENTS, COUNT_LIVES, COUNT_CRASHES, COUNT_DOWNS, COUNT_ANSWERS, COUNT_ROLLS, COUNT_REQUESTS };

struct pool_model {
        arbiter_monitor *monitor;
        char name[16];
        bool calm, up;
        unsigned wanted, peak, surge, unavailable, version;
        unsigned intensity;
        usec_t period;
        usec_t failures[SLOTS_MAX][FAILURES_MAX];
        unsigned n_failures[SLOTS_MAX];
        uint64_t revision, revisions[SLOTS_MAX]; /* that all are to be of; that they have been */
};

struct verb {
        const char *what;
        const arbiter_monitor *monitor; /* it is done when all of it has come to rest */
        bool resolved;
};

struct request {
        uint64_t from; /* worker; 0: the arbiter */
        unsigned ran;
        bool resolved, never;
};

struct watch_model {
        uint64_t from, id;
        aid target;
        unsigned downs;
        bool over;
};

extern struct model {
        arbiter *arbiter;
        sd_event *event;
        struct control_observer observer;
        struct pool_model pools[POOLS];
        arbiter_monitor *tree;
        struct verb verbs[VERBS_MAX];
        struct request requests[REQUESTS_MAX];
        struct watch_model watches[WATCHES_MAX];
        unsigned n_verbs, n_requests, n_watches, n_names;
        struct pool_model *stopped; /* just now */
        bool asked; /* an operator does, and what comes of it at once is not by itself */
} h;

static inline struct simulation *sim(void) {
        return world.sim;
}

/* simulate-world.c. Who asks waits for the one outcome; takes the reference. */
void await(const char *what, const arbiter_monitor *m, int r, arbiter_future *f);
void ask(arbiter_actor *a, uint64_t from, const char *target);
void watch(arbiter_actor *a, uint64_t from, const aid *target, const char *name, uint32_t generation);
struct pool_model *pool_model_of(const arbiter_monitor *m);
/* A verb of an operator forgets the past. */
void forgive(void);

/* world-verbs.c */
void make_pool(unsigned i);
void make_tree(void);
void do_roll(struct pool_model *p);
/* Something, by chance. */
void happen(void);
