/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What workers are doing, and what follows from it; see worker-load.c and autoscale.c. Parts of struct child
 * and struct arbiter_monitor. */

#include <arbiter/load.h>

#include "actor/actor.h"
#include "supervise/supervise.h"

struct child;
struct set;

struct child_load {
        bool draining;      /* src/supervise has said so */
        bool busy;          /* as src/supervise knows it */
        bool recycled;      /* it is to be replaced, and src/supervise knows it */
        bool disbelieved;   /* one of its reports could not be true */
        struct load_asked { /* what it was asked for last */
                usec_t interval_usec, patience_usec;
                bool draining;
        } asked;
        struct load_report { /* what it said last */
                usec_t usec; /* when; 0: nothing */
                uint64_t queued, done, busy_usec, work_usec;
                uint32_t begun;
                bool draining;
        } report, seen; /* seen: as of the last look */
        usec_t cpu_usec, looked_usec;
        uint32_t percent; /* of itself, as of the last look */
};

struct pool_load {
        struct actor_timer look_timer, memory_timer;
        uint64_t percent; /* of all workers together, as src/supervise knows it */
        uint32_t backlog; /* connections that wait, as of the last look */
};

/* May it have new work? Whoever has a say in that (its life, its probe, its pool) tells when he has changed
 * his mind; it serves when it runs, is ready, and does not drain, whoever says so. Idempotent. */
void load_serve(struct child *c, bool serve);

/* What the arbiter wants to know of it, and whether it drains, is another thing by now, or there is a new
 * link to say it on. Idempotent. */
void load_ask(struct child *c);
/* The command "load": its answer, and from then on what changes. */
int load_report(arbiter_actor *a, arbiter_message *m, void *userdata);
/* DRAIN, SERVE. */
void load_acted(struct set *s, const supervise_action *action);

/* autoscale.c. Around the life of a pool. */
void autoscale_init(arbiter_monitor *m);
void autoscale_stop(arbiter_monitor *m);
/* Its policy is another one: of recycling, of its size, of draining. */
void autoscale_policy_changed(arbiter_monitor *m);
/* A worker has reported. */
void autoscale_reported(struct child *c);
/* SCALED. */
void autoscale_scaled(arbiter_monitor *m);
/* How often workers are looked at, and half as often as they may report. */
usec_t autoscale_interval(const supervise_policy *p);
