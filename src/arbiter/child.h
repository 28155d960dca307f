/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A child: one actor as the arbiter sees it, from start to death, and how it comes to run. */

#include <pthread.h>

#include <arbiter/arbiter.h>

#include "actor/peer.h"
#include "arbiter/cgroup.h"
#include "arbiter/control.h"
#include "arbiter/member.h"
#include "arbiter/notify-socket.h"
#include "arbiter/probes.h"
#include "arbiter/process.h"
#include "arbiter/worker-load.h"
#include "basic/identity.h"
#include "supervise/supervise.h"

struct commands_table;
struct set;

enum {
        LAG_USEC = 500 * 1000, /* our own delay above which silence proves nothing */
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
        UNIT_GRACE_USEC = 10 * 1000 * 1000, /* in which systemd's word for what is overdue may come */
};

enum child_stop_stage {
        CHILD_STOP_NONE,
        CHILD_STOP_ASKED,    /* stop message; its hook runs */
        CHILD_STOP_SIGNALED, /* SIGTERM */
        CHILD_STOP_KILLED,   /* SIGKILL: only the kernel can be slow now */
        CHILD_STOP_STUCK,    /* a thread that does not end, and cannot be killed */
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
