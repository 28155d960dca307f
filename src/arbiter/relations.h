/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What lies between two actors: watches and links (relations.c), the death notices that they are for, and
 * direct links (broker.c). */

#include <arbiter/arbiter.h>

#include "actor/actor.h"
#include "basic/identity.h"
#include "basic/list.h"

struct child;
struct state_exit;
struct state_link;

enum { NOTICE_RETRY_USEC = 20 * 1000 };

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
