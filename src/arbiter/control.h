/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a face (src/bus, metrics-socket.c) may ask of an arbiter and do to it: views of its actors and
 * monitors, the operator's verbs, and a subscription to what changes. Faces parse, authorise, call this,
 * answer; the work is behind it. Everything here is called on the arbiter's loop. Futures are as in
 * include/arbiter/future.h: they resolve when the work is done; a face that loses interest just drops its
 * reference. */

#include <arbiter/arbiter.h>

#include "basic/identity.h"
#include "basic/list.h"
#include "basic/time-util.h"

enum { N_REASONS = ARBITER_REASON_UNHEALTHY + 1 };

/* A snapshot of one actor. Strings are borrowed and valid until control returns to the loop. */
struct actor_view {
        const char *aid, *name;
        const char *monitor;     /* "" for a lone actor */
        const char *description; /* may be "" */
        const char *program;     /* module name or path, or argv[0] */
        arbiter_concurrency concurrency;
        arbiter_state state;
        uint32_t generation;
        pid_t pid; /* 0: none (not started, or inline: the arbiter's own) */
        usec_t started_usec;       /* CLOCK_MONOTONIC of its running state, 0 before */
        usec_t last_notified_usec; /* 0: never */
        uint32_t restarts;         /* of its name */
        uint64_t mailbox_queued;   /* as of the last notify, or report of its load */
        uint32_t requests_begun;   /* and not done; these two as far as its arbiter has asked */
        uint64_t requests_done;
        bool draining; /* it has no new work, and is stopped when it has done what it has */
        const char *status; /* a plain program's STATUS=, or "" */
        arbiter_reason last_reason; /* of the previous life of this name, if restarts > 0 */
        int last_status;
        bool plain; /* knows nothing of arbiter: the arbiter answers for it */
        bool ready; /* it runs, and its readiness probe is good if it has one */
};

struct monitor_view {
        const char *aid, *name, *description;
        const char *state; /* "running", "stopping", "failed", "stopped" */
        const char *strategy, *parent; /* "pool" ...; "": nobody's child */
        uint32_t workers, running, failed, backoff; /* wanted; and of those in these states */
        uint32_t restarts, revision;
        usec_t next_attempt_usec; /* CLOCK_MONOTONIC of the next restart after backoff, 0: none */
        uint32_t draining;
        uint64_t load;      /* in percent of one worker, as of the last look; 0 where nobody looks */
        uint32_t backlog;   /* connections that wait, likewise */
        uint32_t workers_min, workers_max; /* max 0: its size does not follow its load */
        const char *roll_state;   /* as arbiter_roll_state_to_string() */
        uint32_t roll_replaced, roll_left, roll_failing; /* the last: the number of a worker, or 0 */
        const char *roll_reason; /* how it ended, "not-ready", or "" */
        int32_t roll_status;
        uint32_t roll_waiting;     /* the number of the worker that is not ready, or 0 */
        usec_t roll_deadline_usec; /* CLOCK_MONOTONIC: when it halts for that; 0: it does not */
        const char *breaker; /* "closed", "open", "half-open" */
};

/* Of its cgroup leaf; UINT64_MAX: not known. */
struct actor_usage {
        uint64_t memory_bytes, cpu_usec;
};

/* One of its probes. */
enum { PROBE_VIEWS_MAX = 3, PROBE_HOW_SIZE = 256 };
struct probe_view {
        const char *kind;         /* "start", "readiness", "liveness" */
        char how[PROBE_HOW_SIZE]; /* "http 8080/health", cut if need be */
        const char *verdict;      /* "good", "bad"; "unknown": not yet so many in a row */
        uint64_t n_good, n_bad;   /* results of this life */
        usec_t last_usec;         /* CLOCK_MONOTONIC of the last one, 0: none */
        const char *text;         /* what it said; of a program also what that has printed */
        const char *fact;         /* the same, as everybody may know it */
};

/* By aid, or by name. Fills the view and returns 0, or -ESRCH. */
int control_get_actor(arbiter *a, const char *aid_or_name, struct actor_view *ret);
int control_get_monitor(arbiter *a, const char *name, struct monitor_view *ret);
/* Files are read for it, of one actor at most twice a second, however many ask. */
void control_get_usage(arbiter *a, const char *id, struct actor_usage *ret);
/* How many it has; nobody has none. */
size_t control_get_probes(arbiter *a, const char *id, struct probe_view ret[static PROBE_VIEWS_MAX]);
/* In a line for people; "" for none. */
void control_format_probes(const struct probe_view *v, size_t n, char *buffer, size_t size);
/* All, in start order: an array to free(). */
int control_list_actors(arbiter *a, struct actor_view **ret, size_t *ret_n);
/* The same one by one, for who is done with them before control returns to the loop:
 *         void *position = NULL;
 *         while (control_next_actor(a, &position, &view)) ... */
bool control_next_actor(arbiter *a, void **position, struct actor_view *ret);
int control_list_monitors(arbiter *a, struct monitor_view **ret, size_t *ret_n);
/* The names of the definitions that Spawn may use, in order; array to free(), strings borrowed. */
int control_list_definitions(arbiter *a, const char ***ret, size_t *ret_n);

/* The death of one life. */
struct death_view {
        uint64_t when_usec; /* CLOCK_REALTIME */
        const char *aid, *name;
        const char *monitor; /* "" for a lone actor */
        uint32_t generation;
        pid_t pid; /* 0: it had none */
        arbiter_reason reason;
        int status;
        uint64_t lifetime_usec; /* its start included */
};
/* The last deaths, newest first: of a name (all its lives), an aid, the workers of a monitor, or with "" the
 * last thousand of all. Failed starts count. Array to free(), strings borrowed. -ESRCH: nobody is called
 * that, nor was lately. */
int control_list_deaths(arbiter *a, const char *target, struct death_view **ret, size_t *ret_n);

/* What somebody waits for; also the place of a worker that has nobody in it. */
enum { WHY_TEXT_SIZE = 512 };
struct why_view {
        char name[QUALIFIED_NAME_SIZE];
        const char *state;       /* as of an actor or a monitor; of an empty place: backoff, failed, ... */
        const char *waiting_for; /* "nothing", "handshake", "start-hook", "ready", "unit", "host", "backoff",
                                  * "intensity", "stopped", "stop", "kill", "settling" */
        usec_t since, until;     /* CLOCK_MONOTONIC; since 0: not known, until 0: not bounded */
        const char *last_reason; /* how its last life ended, or "" */
        int last_status;
        uint32_t attempts;        /* failures that are held against it now */
        char text[WHY_TEXT_SIZE]; /* one sentence for people */
};
/* target: an actor or a worker's place by name or aid (one row), a monitor (itself, and those of its workers
 * that wait), or "" for all that wait. Array to free(). -ESRCH. */
int control_list_why(arbiter *a, const char *target, struct why_view **ret, size_t *ret_n);

/* The arbiter as a whole. Strings are borrowed, as above. */
struct arbiter_view {
        const char *state;               /* "starting", "running", "reloading", "stopping" */
        const char *instance;            /* "" if the program has not said */
        const char *cgroup;              /* the delegated subtree in use, "": none */
        uint32_t n_failed;               /* places that were given up */
        uint32_t takeovers;              /* arbiters before this one, whose actors have gone on */
        uint64_t dead_letters;           /* of all lives */
        const char *const *failed_files; /* configuration that is not loaded; NULL-terminated */
};
void control_get_arbiter(arbiter *a, struct arbiter_view *ret);

/* OpenMetrics text, to be freed. */
int control_get_metrics(arbiter *a, char **ret, size_t *ret_size);

/* The verbs. target: an aid, an actor's name, or a monitor's. -ESRCH: no such. Stopping or killing the
 * worker of a monitor by stop holds its slot down until it is restarted or the monitor scaled; by kill it
 * is replaced as after any death. */
int control_stop(arbiter *a, const char *target, arbiter_future **ret);
int control_kill(arbiter *a, const char *target, int signal);
int control_restart(arbiter *a, const char *target, arbiter_future **ret);
/* -ENOENT: nothing is being rolled. */
int control_abort_roll(arbiter *a, const char *monitor, arbiter_future **ret);
/* ret_before: the size that was wanted until now. */
int control_scale(arbiter *a, const char *monitor, uint32_t workers, uint32_t *ret_before,
                arbiter_future **ret);
/* Of a pool the first two tell of its workers; the others are of a monitor of different children:
 * -EOPNOTSUPP. Array to free(), strings borrowed. -ENOENT: no such child. */
int control_list_children(arbiter *a, const char *monitor, arbiter_child_info **ret, size_t *ret_n);
int control_count_children(arbiter *a, const char *monitor, arbiter_child_counts *ret);
/* An instance of a definition; name and before may be "". */
int control_add_child(arbiter *a, const char *monitor, const char *definition, const char *name,
                const char *before, arbiter_future **ret);
int control_remove_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret);
int control_terminate_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret);
int control_restart_child(arbiter *a, const char *monitor, const char *child, arbiter_future **ret);
/* An instance of a definition (-ENOENT: no such definition), or, with exec given, of a program: a lone
 * temporary actor. name may be NULL with a definition: its own. parameters: "KEY=VALUE"; both lists end
 * in NULL and may be NULL. */
int control_spawn(arbiter *a, const char *definition, const char *name, const char *const *parameters,
                const char *const *exec, arbiter_future **ret);
/* A request to an actor on behalf of a face; m is sealed. Answers for plain programs (ping, info, stop,
 * signal) come from the arbiter itself. */
int control_send(arbiter *a, const char *target, const char *command, arbiter_message *m,
                const arbiter_send_options *options, arbiter_future **ret);
/* The signatures of a command of this actor, for faces that must build its arguments. 0 and borrowed
 * strings; -ENOENT: it has no such command; -ETIMEDOUT: it has been taken over from another arbiter, and not
 * been heard from; -EAGAIN, -EHOSTDOWN: nobody is there who could have said so, but will be, or will not. */
int control_get_command(arbiter *a, const char *target, const char *command, const char **ret_arguments,
                const char **ret_result);
struct command_view {
        const char *name, *arguments, *argument_names, *result, *result_names;
        uint64_t flags;
};
/* The standard commands and its own: array to free(), strings borrowed. */
int control_list_commands(arbiter *a, const char *target, struct command_view **ret, size_t *ret_n);

/* What a face has to say to the log. */
void control_log(arbiter *a, int level, const char *format, ...) _printf_(3, 4);

/* Around what a face does in a callback of the loop's: what it asks of actors leaves at the end, together
 * and at once, and not in a turn of its own. */
void control_turn_begin(arbiter *a);
void control_turn_end(arbiter *a);

/* What changes. Observers are called from the arbiter's loop, in order of subscription; they may
 * unsubscribe in a call. */
struct control_observer {
        struct list_node observers; /* the arbiter's */
        void *userdata;
        void (*actor_new)(const struct actor_view *v, void *userdata);
        void (*actor_changed)(const struct actor_view *v, void *userdata); /* state, or anything shown */
        void (*actor_gone)(const struct actor_view *v, arbiter_reason reason, int status, void *userdata);
        void (*monitor_new)(const struct monitor_view *v, void *userdata);
        void (*monitor_changed)(const struct monitor_view *v, void *userdata);
        void (*monitor_gone)(const char *name, void *userdata);
        /* enum control_change: at most once a turn */
        void (*arbiter_changed)(unsigned changes, void *userdata);
};
enum control_change {
        CONTROL_CHANGE_STATE = 1 << 0,
        CONTROL_CHANGE_N_FAILED = 1 << 1,
        CONTROL_CHANGE_CGROUP = 1 << 2,
        CONTROL_CHANGE_DEFINITIONS = 1 << 3,
        CONTROL_CHANGE_FAILED_FILES = 1 << 4,
};
void control_subscribe(arbiter *a, struct control_observer *o);
void control_unsubscribe(struct control_observer *o); /* idempotent */
