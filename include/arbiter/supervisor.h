/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_SUPERVISOR_H
#define ARBITER_SUPERVISOR_H

#include <arbiter/error.h>
#include <arbiter/monitor.h>

ARBITER_BEGIN_DECLARATIONS

/* A monitor of named, different children, as OTP's supervisor has them: actors, and monitors, which may be
 * pools or have children again. It is made by arbiter_monitor_new() without a worker, and started with 0
 * workers. Its children start one after the other in the order in which they were added, each when the one
 * before it runs, and are stopped in reverse. A first start that fails fails the monitor. Otherwise a child
 * that ends is restarted by its restart type and the strategy; one restart more than the intensity of the
 * monitor (arbiter_monitor_set_intensity(): one window for all its children) within its period, and all are
 * stopped: it has escalated. A monitor that is a child has then ended for its parent, which restarts it,
 * and counts that once; of one that is nobody's child see arbiter_monitor_set_failure_action(). */

typedef enum arbiter_strategy {
        ARBITER_STRATEGY_POOL = 0,         /* workers alike: what a monitor with a worker has */
        ARBITER_STRATEGY_ONE_FOR_ONE = 1,  /* the child that has ended; the default of one without */
        ARBITER_STRATEGY_ONE_FOR_ALL = 2,  /* all others are stopped, and all are started again in order */
        ARBITER_STRATEGY_REST_FOR_ONE = 3  /* the same for those behind it in order */
} arbiter_strategy;

/* The monitor stops all its children and ends when a significant child has ended by itself and is not
 * restarted: any of them, or the last of them. */
typedef enum arbiter_auto_shutdown {
        ARBITER_AUTO_SHUTDOWN_NEVER = 0,
        ARBITER_AUTO_SHUTDOWN_ANY = 1,
        ARBITER_AUTO_SHUTDOWN_ALL = 2
} arbiter_auto_shutdown;

/* What the arbiter does when a monitor that is nobody's child has given up what once ran. One whose start
 * has failed is down until somebody restarts it, whatever is said here, and all else goes on. */
typedef enum arbiter_failure_action {
        ARBITER_FAILURE_NONE = 0, /* it stays as it is until somebody restarts it; the default of a pool */
        ARBITER_FAILURE_EXIT = 1  /* all is stopped in order, and arbiter_run() returns the exit status */
} arbiter_failure_action;

#define ARBITER_EXIT_ESCALATED 70 /* the default exit status; sysexits.h calls it EX_SOFTWARE */

const char *arbiter_strategy_to_string(arbiter_strategy s);
const char *arbiter_auto_shutdown_to_string(arbiter_auto_shutdown s);

/* Before the first child, and before the start. -EINVAL: of a pool; -EBUSY: too late. */
int arbiter_monitor_set_strategy(arbiter_monitor *m, arbiter_strategy strategy);
int arbiter_monitor_set_auto_shutdown(arbiter_monitor *m, arbiter_auto_shutdown auto_shutdown);
/* Before the start. exit_status: 1 to 255; 0 keeps ARBITER_EXIT_ESCALATED. */
int arbiter_monitor_set_failure_action(arbiter_monitor *m, arbiter_failure_action action, int exit_status);

#define ARBITER_SHUTDOWN_DEFAULT 0 /* of an actor its stop timeout; of a monitor infinity */
#define ARBITER_SHUTDOWN_BRUTAL 1  /* killed at once */
#define ARBITER_SHUTDOWN_INFINITY UINT64_MAX

/* What a child is. NULL instead of it: everything is 0 but the size. */
typedef struct arbiter_child_spec {
        size_t size;             /* sizeof(arbiter_child_spec) */
        arbiter_restart restart; /* of a monitor; an actor's is its spawn's */
        bool significant;        /* transient or temporary, and only with an auto shutdown */
        uint64_t shutdown_usec;  /* how long it may take to stop, or ARBITER_SHUTDOWN_...; of a monitor only
                                  * infinity */
        unsigned workers;        /* of a pool */
        const char *before;      /* the name of the child that it precedes in order; NULL: it comes last */
        /* Of one that is added after the start: it is still there when the monitor itself was restarted. */
        bool configured;
} arbiter_child_spec;

/* Adds a child, and starts it in its turn if the monitor runs. The future (may be NULL) resolves when it
 * runs, or has answered that it is not needed (arbiter_actor_ignore(): then without a proxy). -EEXIST: the
 * name is taken; -ELOOP: it would be its own descendant; -EBUSY: the monitor has been started, or is a child
 * already; -ESHUTDOWN: this one is down, or stopping. A child that was added after the start is forgotten
 * when the monitor itself is restarted. */
int arbiter_monitor_add_actor(arbiter_monitor *m, arbiter_spawn *child, const arbiter_child_spec *spec,
                arbiter_future **ret);
int arbiter_monitor_add_monitor(arbiter_monitor *m, arbiter_monitor *child, const arbiter_child_spec *spec,
                arbiter_future **ret);
/* The verbs concern the child alone, whatever the strategy. -ENOENT: no such child. Terminated it stays
 * known, and down, until it is restarted. The futures resolve when it is gone, down, or running (again). */
int arbiter_monitor_remove_child(arbiter_monitor *m, const char *name, arbiter_future **ret);
int arbiter_monitor_terminate_child(arbiter_monitor *m, const char *name, arbiter_future **ret);
int arbiter_monitor_restart_child(arbiter_monitor *m, const char *name, arbiter_future **ret);

/* What the child is from now on. child: the new description of an actor, by which it is stopped and started
 * again, alone; NULL: it goes on as it is. */
int arbiter_monitor_change_child(arbiter_monitor *m, const char *name, arbiter_spawn *child,
                const arbiter_child_spec *spec);

/* Its place in start order: from now on it precedes that child, or comes last (NULL). Nobody is stopped or
 * started for it. -EBUSY: several children are being restarted together just now; -ESHUTDOWN: the monitor
 * stops. */
int arbiter_monitor_move_child(arbiter_monitor *m, const char *name, const char *before);

typedef struct arbiter_child_info {
        size_t size;      /* set it before */
        const char *name; /* borrowed, as all strings here, until control returns to the loop */
        bool is_monitor, significant;
        arbiter_restart restart;
        const char *state; /* "inactive", "waiting" (for its turn to start), "starting", "running",
                            * "backoff", "stopping", "failed", "terminated" */
        const char *aid;   /* "" if it has no life now */
        int32_t pid;       /* 0: none of its own */
        uint64_t restarts;
} arbiter_child_info;
/* which_children: one after the other in start order, the first after NULL. 1; 0: there is no other.
 * Answered from memory, whatever hangs. A pool has none: its workers are no children of their own. */
int arbiter_monitor_next_child(arbiter_monitor *m, const char *after, arbiter_child_info *ret);

/* count_children, in OTP's words; a pool has one specification. */
typedef struct arbiter_child_counts {
        size_t size; /* set it before */
        unsigned specs, active, supervisors, workers;
} arbiter_child_counts;
int arbiter_monitor_count_children(arbiter_monitor *m, arbiter_child_counts *ret);

/* Borrowed, or NULL. */
arbiter_monitor *arbiter_monitor_get_parent(arbiter_monitor *m);
/* 1: it has given up, or could not be started, or is going down for that, and arbiter_monitor_restart()
 * would start it anew. 0, also of one that is a child: that is its parent's to restart. */
int arbiter_monitor_has_failed(arbiter_monitor *m);

/* How a monitor has ended by itself. */
typedef enum arbiter_verdict {
        ARBITER_VERDICT_ESCALATED = 0,    /* culprit: the child over the limit */
        ARBITER_VERDICT_START_FAILED = 1, /* culprit: the child whose first start has failed */
        ARBITER_VERDICT_SHUTDOWN = 2,     /* by its auto shutdown */
        ARBITER_VERDICT_GAVE_UP = 3       /* a pool: no worker is left */
} arbiter_verdict;
const char *arbiter_verdict_to_string(arbiter_verdict v);

/* Called when any monitor of the arbiter has ended by itself, with all its children down, and before its
 * parent decides. culprit (may be NULL) is a child's name. */
typedef void (*arbiter_verdict_handler_t)(
                arbiter_monitor *m, arbiter_verdict verdict, const char *culprit, void *userdata);
int arbiter_set_verdict_handler(arbiter *a, arbiter_verdict_handler_t handler, void *userdata);

ARBITER_END_DECLARATIONS

#endif
