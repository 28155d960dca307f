/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An actor as a member of process groups (groups.c) and a holder of locks (locks.c): what it has there.
 * The arbiter keeps both by what actors tell, and nowhere else: to the next arbiter each tells again what
 * it is a member of, watches and holds (src/actor/group.c, lock.c). Until all have, nobody is told who
 * the members are, and no lock is given: see member_park(). */

#include "actor/actor.h"

struct child;
struct peer;

struct member {
        arbiter *arbiter;
        struct child *child; /* NULL: the arbiter's own actor */
        struct list_node joins, watches, locks, waits, pools;
        unsigned n_joins, n_watches, n_locks; /* locks: with those that it waits for */
        unsigned n_pools; /* of which it is told who is in them: pool-members.c */
        bool untold;
};

enum {
        /* quota, per actor */
        MEMBER_JOINS_MAX = 1024,
        MEMBER_WATCHES_MAX = 1024,
        MEMBER_LOCKS_MAX = 1024,
};

void member_init(struct member *m, arbiter *a, struct child *c);
/* Who has sent this. NULL: nobody that is known. */
struct member *member_of(arbiter_message *m);
struct peer *member_peer(const struct member *m);
const char *member_aid(const struct member *m);
const char *member_name(const struct member *m);
/* false: it is no name of a group or a lock, and the request is refused. */
bool member_check_label(arbiter_message *m, const char *label, const char *what);

typedef int (*member_handler)(arbiter_actor *a, arbiter_message *m, void *userdata);

/* While actors of a dead arbiter have not told yet what they have: true, and the request is handled
 * again, by the same handler, when they have, or are late. */
bool member_park(arbiter *a, arbiter_message *m, member_handler handler);
/* This one will tell what it has; it has told, or will not any more: the last one lets go on what waits. */
void member_will_tell(struct member *m);
void member_told(struct member *m);
void members_on_timer(arbiter_actor *a, struct actor_timer *t);
/* Its name is free: it leaves its groups, and its locks go to those who wait for them. */
void member_gone(struct member *m);
void members_done(arbiter *a);

/* groups.c */
int groups_join(arbiter_actor *a, arbiter_message *m, void *userdata);
int groups_members(arbiter_actor *a, arbiter_message *m, void *userdata);
int groups_watch(arbiter_actor *a, arbiter_message *m, void *userdata);
int groups_unwatch(arbiter_actor *a, arbiter_message *m, void *userdata);
void groups_member_gone(struct member *m);
void groups_retry(arbiter_actor *a, struct actor_timer *t);

/* locks.c */
int locks_lock(arbiter_actor *a, arbiter_message *m, void *userdata);
int locks_unlock(arbiter_actor *a, arbiter_message *m, void *userdata);
int locks_held(arbiter_actor *a, arbiter_message *m, void *userdata);
void locks_member_gone(struct member *m);
