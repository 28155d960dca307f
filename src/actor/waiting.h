/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What waits at the sender; see waiting.c. */

#include "actor/actor.h"

/* A message that cannot leave yet. */
struct outgoing {
        struct list_node waiting;
        arbiter_message *message;
        arbiter_future *future; /* NULL: a cast, or an answer */
        char *target;           /* by name: may be routed anew; NULL: to this life only */
        struct envelope envelope;
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
                struct outgoing **ret);
void room_init(struct waiting_room *w);
/* -ENOBUFS: full. Takes references of message and future. */
int room_wait(arbiter_actor *a, struct waiting_room *w, const struct envelope *e, arbiter_message *m,
                arbiter_future *f, const char *target);
void room_move(struct waiting_room *from, struct waiting_room *to);
/* Sends anew what waited for a link that is no more: by name, or to the life id. */
void room_resend(arbiter_actor *a, struct waiting_room *w, const aid *id);
/* Gives up all, or one. */
void room_fail(arbiter_actor *a, struct waiting_room *w, arbiter_outcome outcome, const char *text);
void outgoing_fail(arbiter_actor *a, struct outgoing *o, arbiter_outcome outcome, const char *text);
/* Withdraws a message: nobody is told. */
void outgoing_free(struct outgoing *o);
