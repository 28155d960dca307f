/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Peers: the other ends of an actor's links, one per life, found by aid; and routes, which lead from what
 * a sender says ("web.1", "monitor", an aid) to a peer. Links are made on first use by asking the arbiter
 * ("connect"), which then is out of the way; they are kept in a bounded, least recently used set and
 * closed when idle, by fin and fin-ack, never with a request outstanding. */

#include "actor/actor.h"
#include "actor/resend.h"
#include "actor/waiting.h"

enum peer_state {
        PEER_OPEN,
        PEER_FIN_SENT,  /* we want to close: nothing new is sent until the answer */
        PEER_FIN_ACKED, /* the other end closes: nothing new is sent on this link */
        PEER_LOST,      /* EOF without fin: death or not? waits for the arbiter's word */
};

struct peer {
        arbiter_actor *actor;
        struct list_node peers, lru, dirty;
        aid aid;
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
        enum peer_state state;
        bool control;  /* to or from the arbiter: never closed for being idle */
        bool self;     /* a local link of the actor with itself: never closed for being idle either */
        bool drops_mail; /* what it has not begun when it dies is not sent again */
        bool knows_kept, asked; /* its library understands ENVELOPE_KEPT; that has been looked up */
        bool fresh;    /* the other end has not granted anything yet: -ENOBUFS means "wait" */
        struct link *link;
        uint64_t link_id;
        arbiter_mailbox_policy policy;           /* the other end's */
        uint64_t window_messages, window_bytes;  /* what we granted */
        uint64_t share_bytes;                    /* what we were granted at first */
        usec_t last_used;
        struct list_node calls;    /* struct arbiter_future: requests we sent and wait for */
        struct list_node incoming; /* requests we received and have not answered */
        uint64_t n_calls;
        uint64_t n_incoming;       /* of incoming */
        uint64_t overtaken;        /* what it had sent up to here, and waits, looks begun to it */
        unsigned n_queued_fds;     /* descriptors that wait in our mailbox with its messages */
        struct list_node routes;   /* struct route: names that lead here */
        struct waiting_room waiting;
        struct kept_mail kept;
        struct actor_timer loss_timer;
        uint64_t early_cancels[16], n_early_cancels;
        char last_command_name[32]; /* of the command that it sent last: most senders repeat themselves */
        const arbiter_command *last_command;
        void *userdata; /* of the arbiter: the child */
};

enum route_kind { ROUTE_TO_LIFE = 0, ROUTE_TO_POOL = 1 }; /* what "route" answers */

struct route {
        arbiter_actor *actor;
        struct list_node routes; /* in peer->routes */
        char *target;
        struct peer *peer; /* NULL while connecting */
        struct known_pool *pool; /* it is the name of a pool */
        struct waiting_room waiting;
        unsigned attempts;
        bool by_name;
        bool holds;   /* it waits for the next life of the name */
        bool plainly; /* by "connect", as of an aid */
};

/* Takes the link. Name and generation are what the arbiter says. */
int peer_new(arbiter_actor *a, struct link *link, const aid *id, const char *name, uint32_t generation,
                bool control, struct peer **ret);
/* The same for a link between two actors, when the arbiter introduces them. An earlier link of the same two
 * is given up for it. */
struct peer_introduction {
        const aid *id;
        const char *name;
        uint32_t generation;
        uint64_t link_id;
        arbiter_mailbox_policy policy;
        bool drops_mail;
};
int peer_introduce(arbiter_actor *a, struct link *link, const struct peer_introduction *i,
                struct peer **ret);
/* Lets go of everything; calls still pending end with this outcome unless they are settled before. */
struct peer *peer_free(struct peer *p, arbiter_outcome outcome);
struct peer *peer_find(arbiter_actor *a, const aid *id);
/* The arbiter's share of the mailbox. */
void peer_grant_control(struct peer *p);
/* To be written at the end of this turn. */
void peer_mark_dirty(struct peer *p);
void actor_flush(arbiter_actor *a);

/* A sealed message with its envelope (kind, flags, id, deadline, command, chain) to a target (by name) or
 * to one life (id). With a future, the request's failure is its outcome and 0 is returned; a cast answers
 * -ENOBUFS for overload, -ENOMEM. */
int route_send(arbiter_actor *a, const char *target, const aid *id, struct envelope *e, arbiter_message *m,
                arbiter_future *f, const struct route_options *o);
/* Straight to a peer that is known. target: by which name; NULL: to this life only. o may be NULL. */
int peer_send(struct peer *p, struct envelope *e, arbiter_message *m, arbiter_future *f, const char *target,
                const struct route_options *o);
/* To a life that there is no link to yet, in the name of a pool, which is asked again if the life is
 * over. */
int route_send_first(arbiter_actor *a, const char *pool, const aid *id, struct envelope *e,
                arbiter_message *m, arbiter_future *f, const struct route_options *o);
/* What waits is refused, and the route forgotten. */
void route_give_up(struct route *r, arbiter_outcome outcome, const char *text);
/* Makes sure that there is a link to this life and puts the sent request f on its list (delegation). */
int route_rehome(arbiter_actor *a, const aid *id, arbiter_future *f);
/* What waited goes out, in order, as far as the credit goes. */
void peer_flush_waiting(struct peer *p);
/* The names that led to this peer have to be asked for anew. */
void routes_forget(struct peer *p);
/* Does a message wait for a link; or for anything at all? */
bool routes_wait(arbiter_actor *a);
bool actor_has_waiting(arbiter_actor *a);
/* All go; what waits is given up. */
void routes_done(arbiter_actor *a);

/* control.c: the control link is replaced, not lost. */
int control_handle_relink(arbiter_actor *a, arbiter_message *m);
/* False: there is no other, or it cannot be had. */
bool control_change_over(struct peer *p);
/* A request has left on this link: what it takes to send it once more. */
void control_keep(struct peer *p, arbiter_future *f, const struct envelope *e, arbiter_message *m);
void control_drop_successor(arbiter_actor *a);

/* Signals from the arbiter and the other end. */
int peer_handle_peer(arbiter_actor *a, arbiter_message *m);
void peer_handle_fin(struct peer *p);
void peer_handle_fin_ack(struct peer *p);
void peer_handle_fin_refused(struct peer *p);
void peer_handle_credit(struct peer *p);
void peer_handle_closed(struct peer *p, int error);
/* Its mail has been read: what we still wait for ends, exactly by what it had begun. */
void peer_died(struct peer *p, arbiter_reason reason, int status);
/* Closes links that are idle: beyond the bound at once, the others after a minute. */
void peers_close_idle(arbiter_actor *a, usec_t now);
void peer_init(arbiter_actor *a);
/* The last words of an actor that ends: what the sockets do not take at once is waited for, for half a
 * second in all. */
void peers_flush_finally(arbiter_actor *a);
/* All peers and routes go; waiting messages are refused. */
void peer_done(arbiter_actor *a);
