/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Probes of the children of an arbiter. probe-decide.c says when one is due and what a run of results
 * means, probe.c is the glue: it asks when told to, and turns verdicts into the events that notify and
 * watchdog cause, too. How one asks is in probe-exec.c, probe-tcp.c, probe-http.c (a connection, and then
 * some) and probe-ping.c; what people write of it in probe-definition.c and probe-target.c.
 *
 * All of it is on the arbiter's loop, and nothing waits. A question is an *attempt*: it is begun, and ends
 * by probe_attempt_end(), once, or is cancelled. Not too many are under way at a time, and not too many
 * begin in one turn: the others wait in line. */

#include <arbiter/probe.h>

#include "actor/actor.h"
#include "arbiter/cgroup.h"
#include "arbiter/probe-decide.h"
#include "arbiter/probe-target.h"
#include "arbiter/process.h"

struct child;
struct set;

enum {
        PROBE_TEXT_SIZE = 400,       /* what came of it, for people */
        PROBE_FACT_SIZE = 128,       /* the same, without what a program has printed */
        PROBE_OUTPUT_MAX = 256,      /* the last that a program said */
        PROBE_PROGRAMS_MAX = 64,     /* at a time */
        PROBE_SOCKETS_MAX = 256, /* there must be descriptors left for all else */
        PROBE_BEGINS_PER_TURN = 16,
        PROBE_READ_PER_TURN = 65536, /* a program or a server that never stops talking is not alone */
        PROBE_DRAIN_MAX = 65536,     /* of a reply behind its status, so that its server can send it */
};

enum probe_how {
        PROBE_EXEC,
        PROBE_TCP,
        PROBE_HTTP,
        PROBE_PING,
};

struct arbiter_probe {
        unsigned n_ref;
        enum probe_how how;
        bool used;    /* changed no more */
        char **argv;  /* of a program */
        char *target; /* address or URL, before specifiers */
        char *host;   /* or NULL */
        struct probe_timing timing; /* 0: the default of the kind */
};

/* Which an actor has: of a spawn, and of each life. */
struct probe_set {
        arbiter_probe *probes[PROBE_KINDS];
};

struct probe_run;

struct probe_attempt {
        struct probe_run *run; /* NULL: nobody waits for it, it is only to be buried */
        arbiter *arbiter;
        bool is_program;
        struct list_node attempts; /* the lane's */
        struct actor_timer timer;  /* its timeout */
        sd_event_source *source;

        struct process process; /* a program */
        struct cgroup_leaf leaf;
        sd_event_source *death_source;
        char output[PROBE_OUTPUT_MAX]; /* the end of it */
        size_t n_output;

        int fd; /* a connection, or a program's output */
        struct probe_address address;
        size_t next_address;
        char *request, *reply; /* HTTP */
        size_t n_sent, n_read;
        unsigned status;
        char fact[PROBE_FACT_SIZE]; /* the text without what the program has printed; "": it is so */

        arbiter_future *future; /* ping */
};

/* One kind of one child. */
struct probe_run {
        struct child *child;
        arbiter_probe *probe;
        struct probe_timing timing;
        struct probe_state state;
        struct actor_timer timer;  /* until it is due */
        struct list_node waiting;  /* in a lane */
        struct probe_attempt *attempt;
        probe_result last;
        usec_t last_usec; /* 0: never asked */
        bool was_ready;      /* readiness: has been good in this life */
        usec_t unready_usec; /* and since when it is not any more; 0: it is, or never was */
        uint64_t n_results[2]; /* good, bad */
        char text[PROBE_TEXT_SIZE];
        char fact[PROBE_FACT_SIZE];
};

/* Of an arbiter: programs; all others. */
struct probe_lane {
        struct list_node waiting, attempts;
        unsigned n_busy, max;
};
struct probe_lanes {
        struct probe_lane lanes[2];
        struct actor_timer timer;
};

/* probe-definition.c */
void probe_set_copy(const struct probe_set *from, struct probe_set *to);
void probe_set_done(struct probe_set *p);
/* "http 127.0.0.1:8081/health", specifiers as they are. */
void probe_describe(const arbiter_probe *p, char *buffer, size_t size);
/* What is wrong with them for this spawn, for people; NULL: nothing. */
const char *probe_contradiction(const arbiter_spawn *s);

/* probe.c */
void probes_init(arbiter *a);
void probes_done(arbiter *a);
/* Its start is done but for its start probe: true if it has one that has not passed yet, which is asked
 * from now on. */
bool probes_hold_back(struct child *c);
/* It runs: readiness and liveness are asked. */
void probes_start(struct child *c);
/* It is no more. (One that stops is not asked any more.) */
void probes_free(struct child *c);
/* Another arbiter has started it: its probes begin anew, what they had said of its readiness stays. */
void probes_adopt(struct child *c);
/* Does its pool wait for READY? */
bool probes_want_readiness(const arbiter_spawn *s);
/* A monitor that runs has another worker's definition. */
void probes_worker_changed(arbiter_monitor *m);
/* It runs, and its readiness probe is good if it has one. */
bool child_is_ready(const struct child *c);
/* For the arbiter's orphans: it is a probe's program. */
bool probes_know(const arbiter *a, pid_t pid);

/* What came of it, as everybody may know it: a program may print what is for its owner only. */
const char *probe_fact(const struct probe_run *run);

/* The end of what a program has printed. */
const char *probe_last_words(struct probe_attempt *x);

/* How one asks. 0: it is under way; an error that is our own: nothing is. Each may end it at once. */
int probe_exec_begin(struct probe_attempt *x);
int probe_tcp_begin(struct probe_attempt *x);
int probe_http_begin(struct probe_attempt *x);
int probe_ping_begin(struct probe_attempt *x);
void probe_ping_answered(arbiter_future *f, void *userdata);
/* Its status is known. */
void probe_http_end(struct probe_attempt *x);

/* Its end; x is gone, or only waits to be buried. */
void probe_attempt_end(struct probe_attempt *x, probe_result result, const char *format, ...)
                _printf_(3, 4);
/* What failed is our own want. */
bool probe_error_is_ours(int error);
/* Connects to the next of its addresses: then on_event is called when it is there, or has failed (it asks
 * SO_ERROR). 1: there at once, 0: under way, or the last error. */
int probe_connect(struct probe_attempt *x, sd_event_io_handler_t on_event);
/* After EPOLLOUT or an error: as probe_connect(), for this address and those after it. */
int probe_connected(struct probe_attempt *x, sd_event_io_handler_t on_event);
void probe_free_attempt(struct probe_attempt *x);
/* Around what is done in a callback of the loop's. */
arbiter *probe_enter(struct probe_attempt *x, arbiter_actor **ret_previous);
void probe_leave(arbiter *a, arbiter_actor *previous);
