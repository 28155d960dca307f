/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of an arbiter. The parts, each with its file:
 *
 *   arbiter.c    life of the arbiter itself; the public functions
 *   child.c      one actor as the arbiter sees it: from start to death, and the escalation in between
 *   names.c      what outlives the lives of a name, and of an aid
 *   launch.c     how a child comes to run: process, thread, inline
 *   launch-unit.c  the same as a unit of systemd, and what systemd tells of it; unit-request.c what it is
 *                asked for with, unit-name.c names and ends
 *   relink.c     a control link of ours for an actor that another arbiter had started
 *   host.c       threads that live together in one arbiter-host process
 *   log.c        what the program is told
 *   set.c        the glue to src/supervise: events in, actions carried out
 *   monitor.c    pools; roll.c how their workers are replaced; tree.c, tree-child.c, tree-verb.c monitors
 *                of different children (tree.h)
 *   worker-load.c  what workers are doing: who may have new work, who drains, reports of load
 *   autoscale.c  what follows from that for a pool: recycling by requests and memory, its size by load
 *   spawn.c      descriptions of actors to be
 *   mailbox-socket.c  how an actor that did not inherit its control link comes to it
 *   handshake.c  hello, welcome, notify
 *   broker.c     links between actors: made once, then out of the way
 *   routes.c     where a name leads; who waits for its next life
 *   pool-members.c  the workers of a pool, as those who send to its name know them
 *   relations.c  watches and links: who is told of whose death
 *   member.c     what actors have at the arbiter: groups.c, their process groups; locks.c, named locks
 *   commands.c   what actors may ask of the arbiter, and who may
 *   control.c    what faces may ask: views, verbs, observers; control-why.c what somebody waits for;
 *                control-report.c deaths, and the arbiter as a whole; control-metrics.c figures
 *   status.c     its figures about itself, kept as things happen
 *   adopt.c      what another arbiter has left goes on here (adoption.h): adopt-set.c sets, adopt-child.c
 *                lives; adopt-decide.c what becomes of each
 *   state.c      what its successor must know, kept in the state journal before anything is done
 *   probe.c      what is asked of children from outside: when, and what follows (probes.h has its parts)
 *   plain.c      stand-ins for programs that know nothing of arbiter
 *   waiters.c    lists of futures with one outcome */

#include <pthread.h>

#include <arbiter/arbiter.h>

#include "actor/call.h"
#include "actor/peer.h"
#include "arbiter/cgroup.h"
#include "arbiter/control.h"
#include "arbiter/exec-context.h"
#include "arbiter/worker-load.h"
#include "arbiter/member.h"
#include "arbiter/notify-socket.h"
#include "arbiter/probes.h"
#include "arbiter/process.h"
#include "arbiter/roll.h"
#include "arbiter/routes.h"
#include "arbiter/state.h"
#include "arbiter/tree.h"
#include "arbiter/unit-settings.h"
#include "arbiter/units.h"
#include "arbiter/waiters.h"
#include "supervise/supervise.h"

enum {
        START_TIMEOUT_DEFAULT_USEC = 90 * 1000 * 1000,
        STOP_TIMEOUT_DEFAULT_USEC = 5 * 1000 * 1000, /* pulsar 2.0: ACTOR_ACTION_TIMEOUT */
        LAG_USEC = 500 * 1000,                       /* our own delay above which silence proves nothing */
        /* quota: somewhat above what a runtime keeps by itself */
        CHILD_LINKS_MAX = 640,
        CHILD_SPAWNS_PER_SEC = 64,
        CHILD_SPAWNS_BURST = 256,
        CHILD_WATCHES_MAX = 16384,
        CHILD_CHILDREN_MAX = 1024, /* alive at a time, with those that they spawned */
        /* what a child may have under way to the arbiter, in the user lane */
        CONTROL_WINDOW_MESSAGES = 1024,
        CONTROL_WINDOW_BYTES = 4 * FRAME_SIZE_MAX,
        LEAF_RETRY_USEC = 5 * 1000,
        UNREAPED_USEC = 1000 * 1000, /* a parent that has not reaped by then never will */
        NOTICE_RETRY_USEC = 20 * 1000,
        /* between looks at a thread that has said goodbye */
        JOIN_MIN_USEC = 50, JOIN_MAX_USEC = 1000 * 1000,
        HELLO_SIZE_MAX = 256 * 1024,
        HELLO_COMMANDS_MAX = 1024,
        FAILURE_TEXT_MAX = 400,
        LOG_TEXT_MAX = 1024,
        SOURCE_MAX = 64 * 1024,
        BACKOFF_TOLD_USEC = 1000 * 1000, /* shorter waits are for those who debug */
        DEAD_AIDS_MAX = 64 * 1024,
        NAMES_KEPT_MAX = 16 * 1024, /* of which generation and last death are remembered without a life */
        TOKEN_LENGTH = 64,          /* hexadecimal digits of 256 bits */
        /* then silence (Akka's defaults) */
        DEAD_LETTERS_LOGGED = 10,
        DEAD_LETTERS_USEC = 5 * 60 * 1000 * 1000,
        STRANGERS_MAX = 64,         /* connections that have not said hello yet */
        ACCEPT_RETRY_USEC = 100 * 1000,
        STRANGER_USEC = 5 * 1000 * 1000,
        UNIT_QUEUE_USEC = 90 * 1000 * 1000, /* until systemd is asked to start it */
        UNIT_GRACE_USEC = 10 * 1000 * 1000, /* in which its word for what is overdue may come */
};

struct child;
struct set;

struct arbiter_spawn {
        unsigned n_ref;
        arbiter *arbiter; /* borrowed */
        char *name, *description;
        arbiter_concurrency concurrency;
        const arbiter_module *module;
        char *module_file;
        bool exec;
        arbiter_exec_type exec_type;
        struct list_node parameters; /* struct actor_parameter */
        arbiter_restart restart;
        bool restart_set;
        usec_t silence_usec, start_usec, stop_usec, watchdog_usec;
        uint64_t mailbox_messages, mailbox_bytes;
        arbiter_mailbox_policy mailbox_policy;
        arbiter_mail_on_restart mail_on_restart;
        char **allow; /* NULL: everybody */
        int *listen_fds;
        char **listen_names;
        char *listen_names_joined;
        size_t n_listen_fds;
        struct exec_context context;
        bool context_changed, user_set, resolved;
        int kill_signal;
        int output[2];
        bool expected; /* somebody else starts the process, which then connects with the token */
        char token[TOKEN_LENGTH + 1];
        char *process_name; /* argv[0]; NULL: of a program its path, of a module the actor's name */
        arbiter_spawn_prepare_t prepare;
        void *prepare_userdata;
        char *prepare_definition;
        bool prepared; /* it is one life's alone */
        bool unprepared; /* left by an arbiter, and who would prepare it is not known any more */
        char *definition;     /* whose instance it is; NULL: its own name */
        uint64_t fingerprint; /* 0: all that it says */
        char *source;         /* what it was made from; copies do not have it */
        struct unit_properties unit_properties;
        char *unit_template; /* "my-worker@.service"; NULL: none */
        struct probe_set probes;
};

/* A set of supervised children: the implicit root monitor, or a pool. */
struct set {
        arbiter *arbiter;
        arbiter_monitor *monitor; /* NULL: root */
        supervise *supervise;
        struct list_node marked; /* for the state */
        struct actor_timer timer;
        struct set_rest { /* actions that were put off, oldest first, and the turn in which they go on */
                supervise_action *actions;
                size_t first, n, size;
                struct actor_timer timer;
        } rest;
        struct set_slot {
                arbiter_spawn *spawn; /* but in a pool: what this slot runs */
                struct tree_child *tree; /* of a monitor of different children; it may have a monitor here */
                struct child *child;
                arbiter_future *future; /* of the start that is asked for */
                aid wanted_aid, spawner;
                struct state_use *state_spawn;
                bool removed;
                bool transient; /* made at run time: nothing of it is configured */
        } *slots; /* by number, [0] unused */
        uint32_t n_slots;
        bool acting;
        bool revive; /* an arbiter before us was about to stop it: once it is down, it is started again */
        struct set_counts { /* its share of the arbiter's counters */
                uint32_t wanted, backoff, failed, monitor_failed;
        } counted;
        struct set_sums { /* over all lives, for the metrics */
                uint64_t restarts, starts, deaths[N_REASONS];
                usec_t start_usec, cpu_usec; /* the latter of the living as of the last look, which is */
                usec_t live_cpu_usec;
                uint64_t memory_bytes;
                bool has_memory;
                uint64_t probes[PROBE_KINDS][2]; /* results, good and bad; of this arbiter only */
        } sums;
};

enum child_stop_stage {
        CHILD_STOP_NONE,
        CHILD_STOP_ASKED,    /* stop message; its hook runs */
        CHILD_STOP_SIGNALED, /* SIGTERM */
        CHILD_STOP_KILLED,   /* SIGKILL: only the kernel can be slow now */
        CHILD_STOP_STUCK,    /* a thread that does not end, and cannot be killed */
};

/* A death notice. Made together with what it may be about, so that it is there when it is needed; waits in
 * the arbiter while its receiver cannot be told. */
struct notice {
        struct list_node notices;
        struct child *to;
        aid_string aid;
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
        arbiter_reason reason;
        int status;
        bool exit; /* for a link, not for a watch */
        uint64_t serial; /* in the state; 0: not there */
};

struct relation {
        struct list_node of_target, of_owner;
        struct child *target;
        struct child *owner; /* NULL: the arbiter's own actor */
        bool link;           /* else a watch */
        struct notice *notice; /* NULL for the arbiter's own */
};

struct pair {
        struct list_node pairs_a, pairs_b;
        struct child *a, *b;
        struct notice *notice; /* for the one that outlives the other */
        uint64_t link_id;
        bool adopted;  /* an earlier arbiter has made it: its ends have told of it */
        uint8_t told;  /* which of them have: bits, 1 for a, 2 for b */
};

struct commands_table {
        unsigned n_ref;  /* children that said it */
        uint64_t key[2]; /* in arbiter.commands */
        arbiter_message *message;
        struct command_view *views;
        size_t n_views;
};

struct child {
        struct list_node children; /* in start order */
        struct list_node marked;   /* for the state */
        arbiter *arbiter;
        arbiter_spawn *spawn;
        struct state_use *state_spawn;
        aid aid;
        aid_string aid_string;
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
        uint64_t age;
        struct set *set; /* NULL: a monitor's own actor */
        uint32_t slot;
        uint64_t set_generation;
        arbiter_monitor *monitor_actor; /* it is the actor of this monitor */
        struct member member;
        aid spawner;
        aid payer;           /* who is charged with this life, or null */
        uint32_t n_children; /* charged to it */

        arbiter_concurrency concurrency;
        arbiter_state state, counted_state; /* the latter in the arbiter's counters, if counted */
        bool plain, welcomed, registered, counted;
        bool adopted; /* another arbiter has started it */
        bool serves;  /* it may have new work: load_serve() */
        struct child_load load;
        bool links_due; /* an earlier arbiter has started it, and it has not told of its direct links yet */
        struct peer *peer;
        struct relink *relink; /* until it has changed over to the control link that we have given it */
        unsigned link_number;  /* of its control links so far: by this the last one is kept; 0: it is not */
        arbiter_actor *inline_actor;

        struct process process;
        pid_t last_pid; /* when it has been reaped */
        struct cgroup_leaf leaf;
        struct systemd_unit *unit; /* while systemd has it, or is to start it */
        char *unit_name, unit_invocation[33]; /* of that unit's life; "": not known yet */
        struct cgroup_leaf unit_leaf; /* systemd's: to be read, and nothing else */
        sd_event_source *death_source;
        struct notify_socket notify;
        sd_event_source *notify_source;
        char *token; /* it is expected to connect with it; NULL once it has */
        pthread_t thread;
        bool has_thread;
        usec_t join_delay;
        struct child *host;      /* of a thread in another process */
        struct list_node hosted; /* of a thread: its place; of a host: the threads */
        bool ignored;            /* its start has come to its end, and it is not needed */
        bool is_host, culprit;   /* it is the one for which the host was ended */
        char host_of[NAME_MAX_LENGTH + 1]; /* of a host: the monitor whose threads it runs, or "" */
        int host_fd;             /* until the host has taken it */

        usec_t created_usec, started_usec, last_heard_usec, watchdog_usec;
        usec_t waiting_usec; /* since when it waits for what it waits for now */
        struct actor_timer start_timer, silence_timer, stop_timer, end_timer;
        usec_t shutdown_usec; /* in place of its spawn's stop timeout; 0: that */
        enum child_stop_stage stop_stage;
        bool stage_done; /* what this stage is for was sent */
        bool reason_set, ending, link_lost;
        arbiter_reason reason; /* decided before the process tells */
        arbiter_reason last_reason; /* how the life before this one ended */
        int last_status;
        int closed_code;
        bool closed;
        bool ended; /* it is dead, and this is how */
        arbiter_reason end_reason;
        int end_status;
        char *failure; /* why the start failed, in words */
        struct probe_run *probes[PROBE_KINDS];
        bool up; /* starting, but for its start probe */
        bool silence_due; /* it has been silent for its time, and is looked at once more */

        arbiter_future *future;   /* of the spawn */
        arbiter_proxy *proxy;     /* what it will resolve to: success must not fail for want of memory */
        struct list_node stops;   /* waiters.h: for its end */
        struct list_node parked;  /* struct parked: connects that wait until it is running */
        struct list_node watched_by, watches; /* struct relation */
        size_t n_watches;
        uint32_t n_notices; /* that wait for it to be told */
        uint32_t n_told;    /* that were sent, and may still be in its link's buffer */
        bool notices_blocked;
        struct list_node pairs_a, pairs_b;
        size_t n_pairs;
        uint64_t spawn_tokens;
        usec_t spawn_tokens_usec;

        uint64_t mailbox_queued, dead_letters, dead_letters_told;
        uint64_t cpu_usec, memory_bytes; /* its share of the set's sums */
        struct actor_usage usage;        /* for faces, as of ... */
        usec_t usage_usec;
        usec_t dead_letters_usec; /* when they were last told of */
        char *status;
        struct commands_table *commands;
};

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

struct dead_aid {
        aid id, spawner;
        arbiter_reason reason;
        int status;
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

/* What outlives the lives of a name. */
struct name_memory {
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
        arbiter_reason reason;
        int status;
        /* of its last life, if there will be others; this arbiter's memory alone */
        struct commands_table *commands;
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

/* child.c */
int child_new(arbiter *a, arbiter_spawn *spawn, const char *name, const aid *wanted, struct child **ret);
/* -errno, with c->failure set: nothing of it is left running; the caller frees it. */
int child_start(struct child *c);
void child_running(struct child *c);
/* Its start is over, badly: what runs of it is ended. */
void child_fail_start(struct child *c, arbiter_reason reason, const char *format, ...) _printf_(3, 4);
/* In order: message, SIGTERM, SIGKILL. The future (may be NULL) resolves when it is gone. */
int child_stop(struct child *c, arbiter_future *waits);
/* The same by the shutdown rule that it has in its set: SUPERVISE_SHUTDOWN_..., or a time. */
void child_shut_down(struct child *c, nsec_t shutdown);
/* It says that it stops: it has as long for it as if it had been asked to. */
void child_stops_itself(struct child *c);
int child_ask_to_stop(struct child *c);
/* It was asked to stop when we thought that it was idle, and it is not: it has as long as a busy one. */
void child_has_begun(struct child *c);
/* The stage that it is in was decided by an arbiter that may not have come to carry it out. */
void child_stop_again(struct child *c);
/* At once from SIGTERM on, with this reason. */
void child_escalate(struct child *c, arbiter_reason reason);
void child_kill(struct child *c, arbiter_reason reason);
/* Its liveness probe has failed: stopped in order, and that is a failure. */
void child_unhealthy(struct child *c);
/* It is dead and reaped: everybody is told, its set decides, it is freed. */
void child_end(struct child *c, arbiter_reason reason, int status);
void child_free(struct child *c);
void child_heard(struct child *c);
struct child *child_find(arbiter *a, const char *name_or_aid);
void child_set_state(struct child *c, arbiter_state state);
/* Somebody has asked systemd to end it: nothing of ours escalates that. */
void child_left_to_systemd(struct child *c);
/* Its cgroup, if it has one that can be read. */
const struct cgroup_leaf *child_leaf(const struct child *c);

/* names.c. Nobody has it, nor has had it lately: who asks for an aid must not inherit another one's
 * callers. */
bool child_aid_is_fresh(arbiter *a, const aid *id);
/* How that life ended, if it is remembered; else noproc. */
arbiter_reason child_how_ended(arbiter *a, const aid *id, int *ret_status);
/* One that has ended, if it is remembered. */
const struct dead_aid *child_find_dead(arbiter *a, const aid *id);
int names_choose_aid(arbiter *a, const aid *wanted, aid *ret);
int names_next_generation(struct child *c);
/* It has ended: aid and name remember how. */
void names_bury(struct child *c, arbiter_reason reason, int status);
/* Somebody is called so, or will be again; or nobody may be. */
bool names_is_taken(arbiter *a, const char *name);
/* What the last life of this name has said that it has; NULL: nothing, or nobody knows. */
const struct commands_table *names_get_commands(arbiter *a, const char *name);

/* launch.c */
int launch_process(struct child *c);
int launch_thread(struct child *c);
int launch_inline(struct child *c, const arbiter_module *module, void *userdata);
/* A listening socket's, or a stub's: the arbiter's end of its control link. */
int child_attach_link(struct child *c, struct link *l);
/* The control link was lost; the process may not have died yet, or never will by itself. */
void child_link_lost(struct child *c, int error);
void leaves_retry(arbiter *a);
void leaf_dispose(arbiter *a, struct cgroup_leaf *leaf);

/* A descriptor of a life is to be kept for the next arbiter as "p.AID" (pidfd), "u.AID" (of the main process
 * of its unit) or "n.AID" (NOTIFY_SOCKET); -EBADF: no longer. */
void launch_keep(arbiter *a, char kind, const aid *id, int fd);
/* "p.AID" or "u.AID": by the latter the keeper knows which units are left if no arbiter comes. In whatever
 * unit a process lives that was not started as one, the arbiter has no say over it. */
void launch_keep_process(const struct child *c, int fd);

/* Hears what comes on its NOTIFY_SOCKET. */
int child_watch_notify(struct child *c);

/* The arbiter's end becomes the child's control link; returns the other. */
int launch_make_control(struct child *c, int *ret_fd);

/* Notices its end: once it has a pidfd. */
int child_watch_death(struct child *c);
/* It is dead, and nobody will say how. */
void child_bury(struct child *c);

/* relink.c: more of it in relink.h. */
int arbiter_keep(arbiter *a, const char *name, int fd);
/* The control link that a child is started with: the next arbiter needs our end. */
void child_keep_link(struct child *c);
void relinks_on_timer(arbiter_actor *a, struct actor_timer *t);

/* unit-request.c. mailbox: the other end of its control link, or -EBADF. */
int unit_make_properties(struct child *c, int mailbox, arbiter_message **ret);

/* launch-unit.c. Stopping is by the rules of the unit; killing is of all that is in it. */
int launch_unit(struct child *c);
/* A unit that an arbiter before this one has started, or meant to start: c has its name, what is known of
 * its life (unit_name, unit_invocation, created_usec, state, stop_stage) and what was kept of it
 * (process, peer). What has become of it is told later, as of a unit that was started here; what was
 * never started is now. */
int unit_adopt(struct child *c);
void unit_stop(struct child *c);
int unit_signal(struct child *c, int signal);
void unit_kill(struct child *c);
/* It is, or is to be, a unit whose program comes to us by itself. */
bool unit_is_awaited(const struct child *c);
/* As names of units say it; the monitor is NULL for a lone actor. */
const char *unit_monitor_of(const struct child *c);
const char *unit_arbiter_of(const arbiter *a);
/* Of which unit is that process? -ENXIO: none of systemd's. */
int unit_of_process(arbiter *a, pid_t pid, char **ret);
/* Its main process is no more; systemd will say what of it. */
bool unit_is_dead(const struct child *c);
void unit_forget(struct child *c);
void unit_release_slice(arbiter *a, const char *monitor);
/* All that is known of units is known: what is left besides is stopped. */
void units_sweep(arbiter *a);
/* -EOPNOTSUPP: units cannot be had here, and why. */
int unit_check(arbiter *a, char **ret_text);

/* mailbox-socket.c */
int launch_expected(struct child *c);
/* The socket itself, kept by this name from an arbiter before this one; taken on success. -EBADMSG:
 * it is not, or its path does not lead to it any more. */
#define MAILBOX_SOCKET_KEPT "mailbox"
int mailbox_socket_adopt(arbiter *a, int fd);
/* The program of an instance of a template will come. */
int mailbox_socket_await_instance(struct child *c);
/* systemd has said which process is the one: it may have come before that. */
void mailbox_socket_main_process(struct child *c);
int mailbox_socket_expect(struct child *c, const char *token);
void mailbox_socket_done(arbiter *a);
void mailbox_socket_retry(arbiter_actor *a, struct actor_timer *t);

/* host.c */
int launch_hosted_thread(struct child *c);
/* In the host that it has. */
int host_start_thread(struct child *c);
/* It is running: the threads that wait for it can start. */
void host_running(struct child *host);
/* A thread has ended: the last one ends the host. */
void host_thread_gone(struct child *c);
/* It is dead: its threads are. */
void host_gone(struct child *host, arbiter_reason reason, int status);

/* set.c */
int set_init(struct set *s, arbiter *a, arbiter_monitor *m, const supervise_policy *policy, uint32_t n);
void set_done(struct set *s);
int set_handle(struct set *s, const supervise_event *e);
/* Where the root set runs the lone actor of this name, whether it lives just now or not; 0: nowhere. */
uint32_t root_find_slot(const arbiter *a, const char *name);
/* An actor by the slot that it has, or will have. -ENOENT: nobody is to live there. */
int slot_name(const struct set *s, uint32_t slot, char ret[static QUALIFIED_NAME_SIZE]);
/* -ENOENT for a number that no slot can have. */
int set_reserve(struct set *s, uint32_t slot);
/* Whoever waits for the next life in this slot waits in vain. */
void set_slot_settle(struct set *s, uint32_t slot, const char *why);
/* After a re-adoption: what its state implies is done. */
void set_resume(struct set *s);

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

/* spawn.c */
int spawn_check(arbiter_spawn *s, char **ret_text);
/* A copy with other parameters, for an instance of a definition. */
int spawn_instance(arbiter_spawn *s, const char *name, const char *const *parameters, arbiter_spawn **ret);
const char *spawn_program(const arbiter_spawn *s);
/* What this life (its definition is filled in) is started from: the spawn itself, or a copy that its prepare
 * function has edited. */
int spawn_prepare(arbiter_spawn *s, arbiter_life *life, arbiter_spawn **ret, char **ret_text);
/* The process has its own. */
void spawn_close_output(arbiter_spawn *s);
/* Adds to the root set and starts. transient: it is made at run time, and no part of what the program starts
 * with. */
int spawn_start_as(arbiter_spawn *s, const aid *wanted, const aid *spawner, bool transient,
                arbiter_future **ret);
supervise_restart spawn_root_restart(const arbiter_spawn *s);

/* spawn-unit.c */
/* What cannot be together, for people; NULL: all is well. */
const char *spawn_unit_contradiction(const arbiter_spawn *s);

/* handshake.c */
int handshake_hello(arbiter_actor *a, arbiter_message *m, void *userdata);
int handshake_notify(arbiter_actor *a, arbiter_message *m, void *userdata);
int handshake_mailbox(arbiter_actor *a, arbiter_message *m, void *userdata);
int handshake_failed(arbiter_actor *a, arbiter_message *m, void *userdata);
int handshake_ignored(arbiter_actor *a, arbiter_message *m, void *userdata);
int handshake_closed(arbiter_actor *a, arbiter_message *m, void *userdata);
int handshake_exiting(arbiter_actor *a, arbiter_message *m, void *userdata);
int handshake_traced(arbiter_actor *a, arbiter_message *m, void *userdata);
bool handshake_admits(arbiter_actor *a, struct peer *p, const struct envelope *e);
void handshake_peer_lost(arbiter_actor *a, struct peer *p, int error);
/* The rest of a hello, after its head has been read. */
int handshake_take_commands(struct child *c, arbiter_message *m);
void commands_table_free(void *p);
void commands_table_unref(arbiter *a, struct commands_table *t);

/* broker.c */
bool broker_is_restarting(arbiter *a, const char *name);
/* Allow= lets it send to this name. */
bool broker_is_allowed(const struct child *c, const char *name);
bool broker_may_connect(const struct child *c, const struct child *target);
/* Answers "connect" and "route". The first, -ENOTCONN: no answer yet, as the target cannot hear any more. */
int broker_connect_child(struct child *caller, struct child *target, arbiter_message *m);
int broker_connect_name(struct child *caller, const char *name, arbiter_message *m);
int broker_connect(arbiter_actor *a, arbiter_message *m, void *userdata);
int broker_disconnect(arbiter_actor *a, arbiter_message *m, void *userdata);
/* The direct links of one that an earlier arbiter had started: it knows them, we do not. */
int broker_links(arbiter_actor *a, arbiter_message *m, void *userdata);
void broker_unpark(struct child *c, arbiter_outcome outcome);
/* Its links are forgotten; their other ends are told, too, by the second. */
void broker_forget(struct child *c);
void broker_child_gone(struct child *c, arbiter_reason reason, int status);

/* relations.c */
int relations_watch(arbiter_actor *a, arbiter_message *m, void *userdata);
int relations_lost(arbiter_actor *a, arbiter_message *m, void *userdata);
int relations_unwatch(arbiter_actor *a, arbiter_message *m, void *userdata);
int relations_link(arbiter_actor *a, arbiter_message *m, void *userdata);
int relations_unlink(arbiter_actor *a, arbiter_message *m, void *userdata);
int relations_add(arbiter *a, struct child *owner, const aid *target, bool link);
void relations_remove(arbiter *a, struct child *owner, const aid *target, bool link);
/* All that it watches; links stay. */
void relations_forget_watches(struct child *owner);
/* One who has told of a direct link to a life that is over is told how it has ended. */
void relations_tell_ended(struct child *to, const aid *dead);
/* "down" to one who had a link, whether it watches or not. */
void relations_tell_down(struct child *to, struct notice *notice, const struct child *dead,
                arbiter_reason reason, int status);
void relations_retry(arbiter_actor *a, struct actor_timer *t);
/* Nobody is left to be told. */
void relations_forget_notices(struct child *to);
/* What the arbiter before us had of links: ends that are gone are told, and so is what it had not told. */
void relations_restore_link(arbiter *a, const struct state_link *s);
void relations_restore_exit(arbiter *a, const struct state_exit *s);
void relations_child_gone(struct child *c, arbiter_reason reason, int status);

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

#include "arbiter/state-mark.h"

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
