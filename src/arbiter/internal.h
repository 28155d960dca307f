/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of an arbiter: what all its files share. The head of each says what it is for, who calls it and
 * what it must never do; here is where to look.
 *
 *   the arbiter   arbiter.c its life, and the public functions; commands.c what actors may ask of it, and
 *                 who may; log.c, status.c and info.c what it tells of itself; reexecute.c how its program
 *                 is replaced
 *   a child       child.c one actor as the arbiter sees it, from start to death, and the escalation in
 *                 between; names.c what outlives it; handshake.c hello, welcome, notify; waiters.c who
 *                 waits for its end
 *   how it runs   spawn*.c descriptions of actors to be; launch.c as process, thread or inline; host.c
 *                 threads in one arbiter-host; launch-unit.c as a unit of systemd, unit-*.c what is asked
 *                 of that; mailbox-socket.c how it comes if it has not inherited its control link; plain.c
 *                 stand-ins for programs that know nothing of arbiter
 *   effects       process*.c, cgroup.c, exec-context.c, notify-socket.c: over the kernel, with no idea of
 *                 actors
 *   who decides   set.c the glue to src/supervise: events in, actions carried out; monitor.c pools; roll*.c
 *                 how their workers are replaced; worker-load.c and autoscale.c what workers do, and what
 *                 follows for the pool; tree*.c monitors of different children; probe*.c what children are
 *                 asked from outside
 *   who talks     broker.c direct links between actors: made once, then out of the way; routes.c where a
 *                 name leads, and who waits for its next life; pool-members.c the workers of a pool for
 *                 those who send to its name; relations.c watches and links; member.c what actors have at
 *                 the arbiter, groups.c and locks.c
 *   faces         control*.c what they may ask: views, verbs, observers; why.c, deaths.c, metrics.c what
 *                 they are told; metrics-socket.c
 *   its death     state*.c what its successor must know, in the state journal before anything is done;
 *                 adopt*.c what another arbiter has left goes on here; relink.c a control link of ours for
 *                 an actor that it had started */

#include <arbiter/arbiter.h>

#include "actor/call.h"
#include "arbiter/child.h"
#include "arbiter/control.h"
#include "arbiter/handshake.h"
#include "arbiter/monitors.h"
#include "arbiter/names.h"
#include "arbiter/probes.h"
#include "arbiter/relations.h"
#include "arbiter/routes.h"
#include "arbiter/set.h"
#include "arbiter/spawns.h"
#include "arbiter/state.h"
#include "arbiter/state-mark.h"
#include "arbiter/tree.h"
#include "arbiter/units.h"
#include "arbiter/waiters.h"

enum {
        FAILURE_TEXT_MAX = 400,
        LOG_TEXT_MAX = 1024,
        STRANGERS_MAX = 64, /* connections that have not said hello yet */
};

struct deaths;

/* state.c */
struct state_keeping {
        struct state_journal *journal; /* NULL: nobody is to take over */
        struct state_arbiter *left;    /* what was found in it; NULL: it is new */
        struct list_node children, sets, monitors; /* marked: to be written with the next commit */
        struct list_node told;                     /* struct notice: sent, but perhaps not gone */
        bool marked;  /* the arbiter itself */
        bool touched; /* something is marked, or in the transaction */
        bool open;    /* there is a transaction */
        bool held;    /* nothing is committed: what was left has not been read yet, or this was the end */
        bool broken, stale; /* all of it is to be written anew; it holds what nothing stands for */
        usec_t rewrite_usec;
        map *spawns, *rests; /* struct state_use, struct state_rest */
        sd_event_source *source;
};

struct status_counters {
        uint32_t lives[ARBITER_STATE_TERMINATED + 1]; /* by state */
        uint32_t wanted, backoff, failed, monitors_failed;
        uint64_t restarts, deaths, deaths_by[N_REASONS];
        uint64_t dead_letters; /* what actors told of; the arbiter's own are its actor's */
};

struct arbiter {
        unsigned n_ref;
        sd_event *event;
        arbiter_actor *actor;
        const arbiter_module *module;
        char *runtime_directory, *host_program, *cgroup_path;
        struct cgroup_root cgroup_root;
        bool has_cgroup, cgroup_tried, subreaper;
        struct cgroup_root hierarchy; /* all of it, for the figures of units */
        const struct unit_ops *unit_ops; /* src/bus; NULL: there are no units */
        void *systemd;
        rlim_t soft_nofile;
        sd_event_source *sigchld_source;
        bool orphans_behind; /* perhaps: a zombie that somebody will come for stood before them */

        map *by_aid, *by_name; /* struct child */
        struct list_node children, monitors;
        map *monitors_by_name;
        map *places; /* name -> struct tree_child */
        map *definitions; /* name -> arbiter_spawn */
        map *names;       /* name -> struct name_memory */
        map *commands;    /* bytes of a hello's table -> struct commands_table */
        map *pairs;       /* both aids -> struct pair */
        uint64_t link_counter, age_counter, leaf_counter, exit_counter, seed;
        map *groups, *locks; /* by name */
        /* it begins with the time: greater than what an arbiter before us has given */
        uint64_t lock_counter;
        struct member own_member;
        struct list_node parked; /* requests that wait until all have told what they have: member.h */
        unsigned n_untold;
        struct actor_timer parked_timer, group_timer;
        struct set root;
        struct list_node leaves; /* struct dying_leaf: cgroups that are not empty yet */
        struct actor_timer leaf_timer;

        /* Has it kept for the next arbiter, or (fd -EBADF) no longer: 0, or 1: soon (relinks_kept()). */
        arbiter_keep_handler_t keep_handler;
        void *keep_userdata;
        struct list_node relinks; /* struct relink */
        struct actor_timer relink_timer;
        bool relinks_held;

        struct list_node held; /* struct held: who waits for the next life of a name */
        struct actor_timer held_timer, pool_timer;

        struct list_node notices; /* that could not be delivered yet */
        struct actor_timer notice_timer;

        struct list_node strangers; /* of the well-known socket */
        unsigned n_strangers;
        sd_event_source *mailbox_source;
        struct actor_timer accept_timer;
        bool old_identity; /* as on kernels before 6.5: for tests */
        uint32_t children_max; /* CHILD_CHILDREN_MAX, or less: for tests */
        usec_t turned_away_usec; /* when one was last told of */

        struct list_node observers;
        arbiter_log_handler_t log_handler;
        void *log_userdata;
        arbiter_verdict_handler_t verdict_handler;
        void *verdict_userdata;
        arbiter_reload_handler_t reload_handler;
        arbiter_plan_handler_t plan_handler;
        arbiter_start_handler_t start_handler;
        arbiter_reload_monitor_handler_t reload_monitor_handler;
        void *reload_monitor_userdata;
        arbiter_reexecute_handler_t reexecute_handler;
        void *reload_userdata, *plan_userdata, *start_userdata, *reexecute_userdata;
        arbiter_future *reexecution; /* whose outcome is not known yet */
        void *face; /* src/bus; freed by face_free */
        void (*face_free)(void *face);

        struct state_keeping state;
        struct adoption *adoption; /* adopt.c: while there is something to take over */
        map *kept;                 /* by aid -> struct kept */
        struct deaths *deaths;
        struct status_counters counters;
        arbiter_status told;   /* what handler and observers know */
        unsigned changes;      /* enum control_change: what they do not know yet */
        bool settled;          /* the first starts have had their outcome */
        bool reloading, status_asked;
        sd_event_source *status_source;
        arbiter_status_handler_t status_handler;
        void *status_userdata;
        char *instance, **failed_files;
        usec_t usage_usec; /* when cgroups were last looked at for the metrics */
        struct metrics_socket *metrics_socket;
        struct probe_lanes probes;

        bool started, running;
        usec_t resumed_usec; /* when this loop was last found to have been held up */
        struct dead_aid *dead_aids;      /* a ring: none of them is had again on request */
        uint32_t n_dead_aids, dead_aids_allocated, next_dead_aid;
        int exit_code;
        usec_t started_usec;
        uint64_t started_realtime_usec;
};

/* log.c. c: whom it concerns, or NULL. */
void arbiter_log(arbiter *a, int level, const struct child *c, const char *event, const char *format, ...)
                _printf_(5, 6);
/* facts: all but the text and what c says by itself. */
void arbiter_log_facts(arbiter *a, const struct child *c, const arbiter_log_entry *facts, const char *format,
                ...) _printf_(4, 5);

/* arbiter.c */
void arbiter_set_ended(arbiter *a, struct set *s); /* a set is down: go on stopping */
int arbiter_open_cgroup(arbiter *a);
/* A child of ours has been reaped: orphans that stood behind it when SIGCHLD came are to be, too. */
void arbiter_reap_orphans(arbiter *a);

/* info.c */
int arbiter_append_info(arbiter_actor *a, arbiter_message *m);
extern const arbiter_module monitor_default_module;

/* commands.c */
extern const arbiter_command arbiter_commands[];
/* A life that an actor asked for counts against it, until its end. */
void commands_charge(struct child *c);
void commands_discharge(struct child *c);
struct child *caller_child(arbiter_message *m);

/* status.c */
int status_init(arbiter *a);
void status_done(arbiter *a);
/* To be told at the end of this turn; enum control_change: what the figures do not show. */
void status_changed(arbiter *a, unsigned changes);
void status_count_start(struct child *c);
/* Its state is another one, or it is no more. */
void status_count_child(struct child *c, bool lives);
void status_count_set(struct set *s);
void status_forget_set(struct set *s);
void status_count_dead_letters(arbiter *a, uint64_t n);

/* control-metrics.c */
void metrics_count_start(struct child *c);
void metrics_count_death(struct child *c, arbiter_reason reason);

/* metrics-socket.c */
void metrics_socket_done(arbiter *a);

/* control-report.c */
uint64_t control_now_realtime(void); /* for people: nothing is decided by it */
void control_record_death(struct child *c, arbiter_reason reason, int status);

/* A place by the name of whoever lives in it, or would. -ESRCH; -EOPNOTSUPP: an actor that has no place. */
int control_find_slot(arbiter *a, const char *target, struct set **ret_set, uint32_t *ret_slot);

/* control.c. What an operator has done past us counts as if he had asked us: it is to stay down, or to be
 * started again. The child is ending. */
void control_wish(struct child *c, bool restart);
/* tells observers */
void control_actor_new(struct child *c);
void control_actor_changed(struct child *c);
void control_actor_gone(struct child *c, arbiter_reason reason, int status);
void control_monitor_new(arbiter_monitor *m);
void control_monitor_changed(arbiter_monitor *m);
void control_monitor_gone(arbiter *a, const char *name);

/* plain.c */
int plain_ensure_stub(struct child *c);
