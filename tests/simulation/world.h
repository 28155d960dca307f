/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A machine of which all is known: one clock, one scheduler, and processes that are actors of the real
 * runtime on loops of their own, in this process and thread. It stands behind three seams of the library,
 * at link time: sd_event_*() (world-event.c), the clock and the random numbers (there, too), and
 * arbiter/process.h (world-process.c). Sockets, eventfds and pages are real: with one thread they are as
 * deterministic as the rest. All choices are drawn from the simulation's step. */

#include <systemd/sd-event.h>

#include "arbiter/internal.h"
#include "simulation.h"

struct worker;

/* world-event.c. There is one world at a time. */
extern struct world {
        struct simulation *sim;
        usec_t now;
        uint64_t entropy, source_counter, n_dispatched;
        uint64_t digest; /* of the trace */
        int64_t realtime_offset;
        int epoll_fd;
        struct list_node loops;
        usec_t reading_usec; /* it takes so long to look at the clock: batches are cut short */
} world;

void world_begin(struct simulation *sim);
void world_end(void);
_printf_(1, 2) void world_trace(const char *format, ...);
uint64_t world_random(void); /* not of the step: what nobody chooses */

/* One event of one loop, chosen by the seed among those that may come now. false: there is none. */
bool world_dispatch(void);
/* When there will be one; USEC_INFINITY: never. */
usec_t world_next(void);

void loop_pause(sd_event *e, usec_t until);
bool loop_is_paused(const sd_event *e);
bool loop_has_exited(const sd_event *e);
void loop_set_owner(sd_event *e, struct worker *w);
/* What comes on one of its sockets is delayed. */
void loop_hold_one(sd_event *e, usec_t until);
void loop_raise(sd_event *e, int signal);
/* Its process dies without a word: the other ends see EOF, and nothing more leaves. */
void loop_cut(sd_event *e);

/* world-process.c */
enum worker_plan {
        PLAN_GOOD,
        PLAN_SPAWN_FAILS,
        PLAN_MUTE,           /* never says hello */
        PLAN_GARBAGE,        /* says what is no hello */
        PLAN_START_FAILS,
        PLAN_START_HANGS,
        PLAN_START_SLOW,     /* but in time */
        PLAN_IGNORES,        /* it is not needed */
        PLAN_CRASHES,        /* after so many turns of its loop */
        PLAN_HANGS,          /* the same */
        PLAN_EXITS,          /* the same, by itself and in order */
        PLAN_STOP_HANGS,     /* in the hook */
        PLAN_STOP_CRASHES,
        PLAN_DEAF,           /* ignores SIGTERM, and its loop hangs when it is to stop */
        _PLAN_MAX,
};

struct worker {
        struct list_node workers;
        uint64_t id;
        pid_t pid;
        int pidfd, mailbox;
        enum worker_plan plan;
        unsigned version;
        unsigned turns, turn; /* that the plan waits for; so far */
        usec_t boot_usec, due_usec, exit_usec, signal_usec;
        int signal;
        bool calm, alive, exited, reaped, doomed, stopping;
        int exit_code;
        struct process_exit exit;
        sd_event *event;
        arbiter_actor *actor;
        struct link *link;
        arbiter_message *promises[4];
        char name[QUALIFIED_NAME_SIZE];
        aid aid;
};

extern struct list_node workers; /* all of this history, the dead included */
/* The history's: what a process does that is about to be started, by its argument; a request runs; what
 * an inline actor's start hook answers. */
void world_plan(struct worker *w, const char *argument);
void world_ran(uint64_t request);
int world_start_inline(arbiter_actor *a);
extern const arbiter_module worker_module;

void workers_begin(void);
void workers_end(void);
struct worker *worker_of(pid_t pid);
void worker_crash(struct worker *w, int signal);
/* What is due of them now. */
bool workers_run(void);
usec_t workers_next(void);
/* After each event of its loop. */
void worker_dispatched(struct worker *w);
