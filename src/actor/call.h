/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Futures and requests: the future is the request's record, too, so that one allocation holds both. */

#include "actor/actor.h"

struct future_callback;

struct arbiter_future {
        unsigned n_ref;
        arbiter_actor *actor;      /* borrowed; NULL once the actor is gone */
        struct list_node futures;  /* of the actor: so that none outlives it pending */
        bool pending;
        arbiter_outcome outcome;
        arbiter_message *reply; /* answer or error */
        struct list_node callbacks;
        struct list_node ready; /* resolved, and its callbacks are to run */

        /* of a request */
        struct list_node calls; /* in peer->calls */
        struct peer *peer;
        uint32_t slot;
        bool has_slot, sent;
        enum link_lane lane;
        uint64_t sequence, id;
        struct actor_timer deadline;
        struct outgoing *outgoing; /* while it waits */
        struct outgoing *kept;     /* of a request to the arbiter: to send it again to the next one */
        bool repeatable;           /* twice is once: sent again even if it may have run */

        /* of a spawn */
        arbiter_proxy *proxy;
        aid spawn_aid;
        aid_string spawn_aid_string;
        arbiter_reason reason;
        int status;

        /* of composites and thread work */
        void (*cancel)(arbiter_future *f);
        void *cancel_userdata;
        void (*destroy)(arbiter_future *f);
};

int future_new(arbiter_actor *a, arbiter_future **ret);
/* The actor goes: what is pending is cancelled, callbacks run, and the rest forgets the actor. */
void futures_done(arbiter_actor *a);
/* Runs the callbacks of what has been resolved. Called by the loop's callbacks, at their end. */
void futures_run_ready(arbiter_actor *a);
/* Exactly once: later calls are ignored. The message's reference is taken (may be NULL). */
void future_resolve(arbiter_future *f, arbiter_outcome outcome, arbiter_message *reply);
/* With an error's text made here. */
void future_fail(arbiter_future *f, arbiter_outcome outcome, const char *format, ...) _printf_(3, 4);
void future_fail_errno(arbiter_future *f, int error, const char *text);
void future_fail_death(arbiter_future *f, arbiter_outcome outcome, arbiter_reason reason, int status);
void future_resolve_proxy(arbiter_future *f, arbiter_proxy *proxy);
typedef int (*future_collect_t)(arbiter_future *const *members, size_t n, arbiter_message **ret);
/* A request that was sent to several: ends with all of them, and with what is collected of their replies. */
int future_gather(arbiter_future *f, arbiter_future *const *members, size_t n, future_collect_t collect);
/* Fires inside of library code, before the user's callbacks and at once: for the library's own
 * continuations. */
int future_then_now(arbiter_future *f, arbiter_future_callback_t callback, void *userdata);
/* Takes it back, if it has not fired. f may be NULL. */
void future_unthen(arbiter_future *f, arbiter_future_callback_t callback, void *userdata);

/* Registers the future as a request: gives e its id, deadline and chain. chain has room for CHAIN_MAX
 * aids. inherit: not beyond the deadline of the request that is being handled. */
int call_register(arbiter_actor *a, arbiter_future *f, struct envelope *e, uint8_t *chain, usec_t timeout,
                bool inherit);
/* It has left on this peer's link with this sequence. */
void call_sent(arbiter_future *f, struct peer *p, const struct envelope *e);
/* It waits for this peer's answer; it does not any more. */
void call_put_on(arbiter_future *f, struct peer *p);
void call_take_off(arbiter_future *f);
/* Gives back slot and timer. Called by future_resolve(). */
void call_forget(arbiter_future *f);
/* An answer arrived: the future that waits for it, or NULL (late: counted). */
arbiter_future *call_find(arbiter_actor *a, uint64_t id);
void call_handle_answer(arbiter_actor *a, struct peer *p, arbiter_message *m);
/* "delegated": the answer will come from somebody else. */
void call_handle_delegated(arbiter_actor *a, struct peer *p, arbiter_message *m);
void calls_done(arbiter_actor *a);

/* The library's own casts and requests to the arbiter, in the system lane. */
int actor_cast_arbiter(arbiter_actor *a, const char *command, const char *signature, ...);
int actor_request_arbiter(arbiter_actor *a, arbiter_future **ret, const char *command, usec_t timeout,
                const char *signature, ...);
/* m is sealed; ret NULL: a cast. A request by actor_request_arbiter() is repeatable. */
int actor_send_system(arbiter_actor *a, const aid *id, const char *command, arbiter_message *m,
                usec_t timeout, arbiter_future **ret);
int actor_signal_peer(struct peer *p, uint8_t flags, const char *command, const char *signature, ...);

/* The received side (answer.c). */
struct incoming {
        struct list_node incoming; /* in peer->incoming */
        arbiter_actor *actor;
        struct peer *peer; /* NULL once the caller's link is gone */
        arbiter_message *message; /* borrowed: it owns us */
        const arbiter_command *command;
        uint64_t id;
        aid sender;
        uint32_t sender_generation;
        arbiter_proxy *from; /* who the peer was */
        bool wants_reply, answered, cancelled, exclusive;
        bool counted; /* as begun, see load.c */
        bool delegated; /* the answer goes to the sender, who is not the peer */
        uint8_t flags;
};

/* Makes m an incoming message of this peer (kind REQUEST or CAST). */
int incoming_new(arbiter_actor *a, struct peer *p, arbiter_message *m, struct incoming **ret);
/* Answers without a handler. text may be NULL. */
void incoming_refuse(struct incoming *i, arbiter_outcome outcome, const char *format, ...) _printf_(3, 4);
/* The peer is gone, or has cancelled. */
void incoming_detach(struct incoming *i);
/* The arbiter, for its own use: what the peer of a message is. */
struct peer *message_get_peer(arbiter_message *m);
void incoming_free_all(arbiter_actor *a);
