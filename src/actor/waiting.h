/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What waits at the sender; see waiting.c. */

#include "actor/actor.h"

/* What a sender says beyond the name: include/arbiter/route.h. */
struct route_options {
        uint64_t key; /* hashed already */
        uint8_t routing;
        uint8_t flags; /* enum route_flags */
};
enum route_flags {
        ROUTE_HOLD = 1 << 0,  /* between two lives of the name: waits */
        ROUTE_MONITOR = 1 << 1,
        ROUTE_POOL = 1 << 2,
        ROUTE_KEY = 1 << 3,   /* there is one */
        ROUTE_AGAIN = 1 << 4, /* a receiver had it that died without having begun it: no bound but its own */
};

/* A message that cannot leave yet. */
struct outgoing {
        struct list_node waiting;
        arbiter_message *message;
        arbiter_future *future; /* NULL: a cast, or an answer */
        char *target;           /* by name: may be routed anew; NULL: to this life only */
        struct envelope envelope;
        struct route_options options;
        char *command; /* what envelope.command points to */
        uint8_t chain[CHAIN_MAX * AID_SIZE];
        struct waiting_room *room;
};

/* Where outgoing messages wait. */
struct waiting_room {
        struct list_node messages;
        size_t n, bytes;
};

/* Outside of any room. Takes references of message and future, both may be NULL; copies the rest. */
int outgoing_new(const struct envelope *e, arbiter_message *m, arbiter_future *f, const char *target,
                const struct route_options *o, struct outgoing **ret);
void room_add(struct waiting_room *w, struct outgoing *o);
void room_init(struct waiting_room *w);
/* -ENOBUFS: full. Takes references of message and future. */
int room_wait(arbiter_actor *a, struct waiting_room *w, const struct envelope *e, arbiter_message *m,
                arbiter_future *f, const char *target, const struct route_options *o);
void room_take(struct waiting_room *from, struct outgoing *o, struct waiting_room *to);
void room_move(struct waiting_room *from, struct waiting_room *to);
/* Sends anew what waited for a link that is no more: by name, or to the life id. */
void room_resend(arbiter_actor *a, struct waiting_room *w, const aid *id);
/* Gives up all, or one. */
void room_fail(arbiter_actor *a, struct waiting_room *w, arbiter_outcome outcome, const char *text);
void outgoing_fail(arbiter_actor *a, struct outgoing *o, arbiter_outcome outcome, const char *text);
/* Withdraws a message: nobody is told. */
void outgoing_free(struct outgoing *o);
