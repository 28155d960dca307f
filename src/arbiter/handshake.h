/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a child and the arbiter say to each other at its start, and what it says of itself later: the
 * commands of handshake.c. */

#include <arbiter/arbiter.h>

#include "actor/peer.h"
#include "arbiter/control.h"
#include "wire/envelope.h"

struct child;

/* What a hello said that its actor answers to; those who say the same share it. */
struct commands_table {
        unsigned n_ref;  /* children that said it */
        uint64_t key[2]; /* in arbiter.commands */
        arbiter_message *message;
        struct command_view *views;
        size_t n_views;
};

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
