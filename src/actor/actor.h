/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of an actor, shared by the files of this layer. The parts, each with its file:
 *
 *   actor.c      life: states, hooks, handshake from the actor's side, stopping
 *   peer.c       links to other actors: connecting, names, closing, least recently used
 *   control.c    the link to the arbiter, when that dies and another one takes over
 *   route.c      what a name leads to; pool.c the workers of a pool, broadcast.c all of them
 *   resend.c     mail that its receiver had not begun when it died
 *   call.c       requests that we sent: ids, deadlines, outcomes
 *   dispatch.c   frames that arrive: lanes, mailbox, begun, command tables
 *   answer.c     requests that we received: replies, promises, delegation
 *   load.c       how much there is to do, and who is told
 *   standard.c   the commands that every actor answers; info.c what "info" says
 *   future.c     the one outcome
 *   watch.c      DOWN, links, exits
 *   group.c      process groups; lock.c named locks; breaker.c circuit breakers
 *   timer.c      one sd-event timer for all deadlines
 *   thread-pool.c
 *
 * The arbiter is an actor, too: what it does differently (it knows everybody, and asks nobody) is in
 * struct actor_arbiter_ops. */

#include <systemd/sd-event.h>

#include <arbiter/arbiter.h>

#include "actor/load.h"
#include "basic/heap.h"
#include "basic/identity.h"
#include "basic/list.h"
#include "basic/map.h"
#include "transport/link.h"
#include "wire/message.h"

struct call;
struct incoming;
struct peer;
struct thread_pool;
struct watch;

enum {
        CALL_TIMEOUT_DEFAULT_USEC = 5 * 1000 * 1000,
        NOTIFY_MIN_USEC = 3 * 1000 * 1000,  /* pulsar 2.0: MIN_NOTIFY */
        NOTIFY_MAX_USEC = 30 * 1000 * 1000,
        SILENCE_DEFAULT_USEC = 30 * 1000 * 1000,
        SILENCE_MIN_USEC = 100 * 1000,
        STOPPING_HOOK_USEC = 3 * 1000 * 1000, /* pulsar 2.0: exit_timeout */
        /* how long a lost link may be explained by a death that is being reaped */
        LINK_LOSS_GRACE_USEC = 1000 * 1000,
        LINK_IDLE_USEC = 60 * 1000 * 1000,
        MAILBOX_MESSAGES_DEFAULT = 16384,
        MAILBOX_BYTES_DEFAULT = 16 * 1024 * 1024,
        LINKS_MAX_DEFAULT = 512,
        LINKS_EXPECTED = 640,   /* as many may be made by others (the arbiter's quota) */
        SHARE_BYTES_MIN = 1024, /* any frame without its body fits */
        /* quota: unanswered ones of one caller at the arbiter; elsewhere it is the mailbox's size */
        REQUESTS_MAX = 1024,
        QUEUED_FDS_MAX = 256,   /* quota: descriptors of one caller that wait in a mailbox */
        WAITING_MESSAGES_MAX = 1024, /* per peer, while there is no link or no credit yet */
        WAITING_BYTES_MAX = 1024 * 1024,
        THREAD_WORKERS_DEFAULT = 5,
};

/* One deadline in the actor's heap. */
struct actor_timer {
        struct heap_node node; /* .index = HEAP_UNLINKED */
        void (*fire)(arbiter_actor *a, struct actor_timer *t);
};
#define ACTOR_TIMER_INIT(f) ((struct actor_timer){ .node = { .index = HEAP_UNLINKED }, .fire = (f) })

/* What only the arbiter's own actor has; src/arbiter implements it. */
struct actor_arbiter_ops {
        /* Who is that? Sets *ret_peer, or answers the outcome that a request to it gets (never REPLY
         * then). */
        arbiter_outcome (*resolve)(arbiter_actor *a, const char *target, struct peer **ret_peer);
        int (*watch)(arbiter_actor *a, const aid *target, uint32_t generation);
        void (*unwatch)(arbiter_actor *a, const aid *target);
        int (*link)(arbiter_actor *a, const aid *target, uint32_t generation, bool on);
        int (*spawn)(arbiter_actor *a, const char *definition, const char *name,
                        const char *const *parameters, arbiter_future **ret);
        int (*stop)(arbiter_actor *a, int exit_code);
        int (*info)(arbiter_actor *a, arbiter_message *m);
        /* Is that the name of a monitor whose workers have mailboxes? */
        bool (*is_pool)(arbiter_actor *a, const char *name);
        /* Before answers are given, and before what was sent leaves. */
        void (*commit)(arbiter_actor *a);
        /* May this message of a peer be looked at? (Before the handshake only hello may.) */
        bool (*admits)(arbiter_actor *a, struct peer *p, const struct envelope *e);
        /* The control link of a peer was lost. */
        void (*peer_lost)(arbiter_actor *a, struct peer *p, int error);
        void (*dead_letter)(arbiter_actor *a); /* one more of its own */
        /* Another life of the command table, before the module's: hello, connect, notify ... */
        const arbiter_command *commands;
};

struct actor_parameter {
        struct list_node parameters;
        char *key, *value;
};

struct arbiter_actor {
        unsigned n_ref;
        sd_event *event;
        arbiter_state state;
        aid aid;
        aid_string aid_string;
        char name[QUALIFIED_NAME_SIZE];
        char manager[QUALIFIED_NAME_SIZE]; /* its monitor, or "arbiter" */
        aid spawner;                       /* all zero: the arbiter, or a monitor */
        const char *token;
        uint32_t generation;
        arbiter_concurrency concurrency;
        bool own_loop; /* ends its loop when it ends */
        usec_t started_usec;

        const arbiter_module *module;
        map *commands; /* name -> const arbiter_command *; standard, arbiter's, module's */
        void *userdata;
        struct list_node parameters, extra; /* struct actor_parameter */
        int *listen_fds;
        char **listen_names;
        size_t n_listen_fds;

        /* arbiter: the struct arbiter it belongs to, NULL in all others */
        const struct actor_arbiter_ops *arbiter_ops;
        arbiter *arbiter;
        struct peer *control; /* to the arbiter; NULL in the arbiter itself */
        int successor_fd;     /* the link that takes over when that one has been read, or -EBADF */
        struct link_page *successor_page;

        /* peers */
        map *peers_by_aid;
        map *routes; /* target string -> struct route */
        unsigned n_pools;         /* of routes */
        uint64_t peers_epoch;     /* one has come or gone since */
        uint64_t n_turns;
        struct route *last_route; /* most senders repeat themselves */
        struct list_node peers, lru, dirty;
        size_t n_links, links_max, n_unserved; /* unserved: links without a share of the mailbox */
        uint64_t granted_messages, granted_bytes; /* sums over links */
        sd_event_source *flush_source;
        unsigned batch_depth; /* inside a callback of the loop's that ends in actor_turn_end() */
        struct list_node futures; /* all that belong to it */
        usec_t turn_usec;      /* actor_now() within such a callback; 0: not read yet */
        struct list_node ready;   /* resolved futures whose callbacks are to run */
        sd_event_source *ready_source;

        /* calls */
        struct call_slot {
                arbiter_future *future;
                uint32_t tag, next_free;
        } *slots;
        uint32_t n_slots, first_free_slot;
        uint64_t call_counter;
        struct siphash_key id_key;

        /* mailbox */
        uint64_t mailbox_messages, mailbox_bytes;
        arbiter_mailbox_policy mailbox_policy;
        struct list_node queue; /* struct queued: user messages that cannot be dispatched yet */
        uint64_t n_queued, queued_bytes;
        sd_event_source *queue_source;
        struct incoming *exclusive; /* the request that blocks the user lane */
        struct incoming *current;   /* the request whose handler runs now */
        unsigned callback_depth;    /* > 0: inside any callback: no blocking */
        struct list_node free_incoming;

        struct actor_load load;

        /* timers */
        struct heap timers;
        sd_event_source *timer_source;
        usec_t timer_armed;

        /* life */
        struct actor_timer notify_timer, stop_timer, idle_timer, load_timer;
        usec_t silence_usec, stop_usec;
        arbiter_future *start_gate, *stop_gate; /* what the hooks delay for */
        bool draining;                          /* stopping, but not before what waits has left */
        bool ignored; /* it has said that it is not needed */
        int exit_code;
        arbiter_reason exit_reason;
        bool exit_reason_set, trace;
        void (*ended)(arbiter_actor *a, void *userdata); /* inline actors: tells the arbiter */
        void *ended_userdata;

        /* watches, links */
        map *watches; /* u64 -> struct watch */
        uint64_t watch_counter; /* also of groups */
        struct list_node unlinkings, pending_exits, deferred_downs; /* of watch.c */
        struct known_exit {
                aid target;
                unsigned arbiters; /* so many have been replaced before it came */
        } *known_exits; /* the last ones, a ring */
        unsigned n_known_exits, n_arbiters;
        arbiter_exit_handler_t exit_handler;
        void *exit_userdata;

        map *groups;            /* name -> struct group; NULL until there is one */
        struct list_node locks; /* struct held_lock */
        arbiter_lock_lost_handler_t lock_lost_handler;
        void *lock_lost_userdata;

        arbiter_dead_letter_handler_t dead_letter_handler;
        void *dead_letter_userdata;

        struct thread_pool *thread_pool;
        unsigned thread_workers;

        struct {
                uint64_t begun, expired, late_replies, dead_letters, overloads, reply_dropped, resent;
        } statistics;
};


/* actor.c */
struct actor_options {
        sd_event *event;
        const aid *aid; /* NULL: comes with the welcome */
        const char *name, *manager;
        const char *token; /* borrowed: for the hello of one that did not inherit its control link */
        uint32_t generation;
        const arbiter_module *module;
        arbiter_concurrency concurrency;
        bool own_loop;
        const struct actor_arbiter_ops *arbiter_ops;
        arbiter *arbiter;
};
int actor_new(const struct actor_options *o, arbiter_actor **ret);
arbiter_actor *actor_ref(arbiter_actor *a);
arbiter_actor *actor_unref(arbiter_actor *a);
DEFINE_CLEANUP(arbiter_actor *, actor_unref)
/* Takes the control link (fd of a SEQPACKET socket, or a local link) and says hello. */
int actor_attach_control(arbiter_actor *a, struct link *control);
/* Who it is and what it can do: what the arbiter is told first on any control link. Sealed. */
int actor_build_hello(arbiter_actor *a, arbiter_message **ret);
int actor_send_notify(arbiter_actor *a);
int actor_set_parameter(arbiter_actor *a, const char *key, const char *value);
/* Takes the descriptors, copies the names. */
int actor_set_listen_fds(arbiter_actor *a, const int *fds, const char *const *names, size_t n);
/* start hooks, then running. The arbiter's own actor calls it directly, others after the welcome. */
int actor_start(arbiter_actor *a);
/* Blocks the signal in this thread first, as sd_event_add_signal(3) demands. */
int actor_block_signal(sd_event *event, sd_event_source **ret, int signal,
                       sd_event_signal_handler_t handler, void *userdata);
/* The whole life on a loop of its own, from an inherited control fd (taken) to the exit code. */
int actor_run(const arbiter_module *module, int control_fd, arbiter_concurrency concurrency,
                const char *const *listen_names, const int *listen_fds, size_t n_listen_fds);
int actor_run_with(const arbiter_module *module, void *userdata, const char *token, int control_fd,
                arbiter_concurrency concurrency, const char *const *listen_names, const int *listen_fds,
                size_t n_listen_fds);
/* host.c: the same for a process whose actor starts threads of this module when the arbiter asks. */
int actor_run_host(const arbiter_module *module, int control_fd);
/* Stops waiting for the last answers and messages once they are gone. */
void actor_drained(arbiter_actor *a);
void actor_set_state(arbiter_actor *a, arbiter_state state);
/* After an orderly stop or a lost arbiter: everything pending is settled, links are closed. */
void actor_end(arbiter_actor *a);
bool actor_enter(arbiter_actor *a, arbiter_actor **ret_previous); /* sets arbiter_actor_current() */
void actor_leave(arbiter_actor *a, arbiter_actor *previous);
/* In a forked child: the actor that forked is not here. */
void actor_forget_current(void);
/* The clock of the loop turn: one reading for many messages. */
usec_t actor_now(arbiter_actor *a);

/* timer.c */
int actor_timer_set(arbiter_actor *a, struct actor_timer *t, usec_t at);
void actor_timer_clear(arbiter_actor *a, struct actor_timer *t);
/* From here on actor_timer_set() of it does not fail for want of memory; until the release, which clears. */
int actor_timer_reserve(arbiter_actor *a, struct actor_timer *t);
void actor_timer_release(arbiter_actor *a, struct actor_timer *t);
int actor_timers_init(arbiter_actor *a);
void actor_timers_done(arbiter_actor *a);

/* dispatch.c */
extern const struct link_events actor_link_events;
int dispatch_init(arbiter_actor *a);
void dispatch_done(arbiter_actor *a);
/* The end of a callback of the loop's: callbacks of futures run, and what was sent leaves. */
void actor_turn_end(arbiter_actor *a);
/* Messages that wait get their turn; on a peer's death its mail comes first, then done(). */
void dispatch_wake(arbiter_actor *a);
int dispatch_barrier(arbiter_actor *a, void (*reached)(arbiter_actor *a, void *userdata), void *userdata);
/* Refuses all that waits (not executed). */
void dispatch_refuse_all(arbiter_actor *a);

/* module.c */
int module_check(const arbiter_module *m);

/* standard.c, info.c */
extern const arbiter_command actor_standard_commands[];
int actor_append_info(arbiter_actor *a, arbiter_message *m);
int actor_append_notify(arbiter_actor *a, arbiter_message *m);
/* For who adds to an open a{sv}: one entry; or a section, an a{sv} of its own under a key. */
int info_add(arbiter_message *m, const char *key, const char *signature, ...);
int info_open_section(arbiter_message *m, const char *key);
int info_close_section(arbiter_message *m);

/* dead letters */
void actor_dead_letter(arbiter_actor *a, const char *sender, const char *target, const char *command,
                uint64_t id, arbiter_outcome outcome);

/* watch.c */
bool watch_exists(arbiter_actor *a, const aid *target);
/* To an arbiter that has just taken over: what this actor watches. */
int watches_tell(arbiter_actor *a);
void watch_handle_down(arbiter_actor *a, arbiter_message *m);
void watch_handle_exit(arbiter_actor *a, arbiter_message *m);
/* The arbiter's own watches: it knows without a message. */
void watch_deliver_later(arbiter_actor *a, const arbiter_down *down);
void watch_done(arbiter_actor *a);

/* thread-pool.c */
struct thread_pool *thread_pool_free(struct thread_pool *p);
