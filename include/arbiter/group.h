/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_GROUP_H
#define ARBITER_GROUP_H

#include <arbiter/actor.h>

ARBITER_BEGIN_DECLARATIONS

/* Process groups: actors under a name that is not theirs alone (the rules are those of Erlang's pg). An
 * actor joins and leaves for itself. It may join more than once, and then leaves as often; with its death it
 * leaves altogether, before anybody is told of the death. A group without members is no different from one
 * that never was. Names are 1 to 255 printable characters of ASCII without blanks. */

/* The futures (ret may be NULL) resolve when the arbiter has it so. -ENOBUFS: a member 1024 times, in all
 * groups, already. */
int arbiter_actor_join(arbiter_actor *a, const char *group, arbiter_future **ret);
/* -ENOENT: it is no member. */
int arbiter_actor_leave(arbiter_actor *a, const char *group, arbiter_future **ret);
/* The members now: "a(ssu)", aid, name and generation of each, as often as it has joined; in the order of
 * joining. */
int arbiter_actor_get_members(arbiter_actor *a, const char *group, arbiter_future **ret);

typedef enum arbiter_group_event {
        ARBITER_GROUP_JOINED,
        ARBITER_GROUP_LEFT,
        ARBITER_GROUP_SETTLED /* once: all that were members when the watch began have been told */
} arbiter_group_event;

typedef struct arbiter_group_change {
        size_t size;
        uint64_t watch; /* which watch this is */
        arbiter_group_event event;
        const char *group;
        const char *aid, *name; /* whose it is; NULL of ARBITER_GROUP_SETTLED */
        uint32_t generation;
} arbiter_group_change;

typedef void (*arbiter_group_handler_t)(
                arbiter_actor *a, const arbiter_group_change *change, void *userdata);

/* Who is a member: first a JOINED for each that is one, then SETTLED, then what changes, in order; all
 * that is told, put together, is what the group is. -ENOBUFS: it watches 1024 groups already. */
int arbiter_actor_watch_group(arbiter_actor *a, const char *group, arbiter_group_handler_t handler,
                void *userdata, uint64_t *ret_watch);
/* Nothing of this watch is delivered afterwards. -ENOENT if there is none. */
int arbiter_actor_unwatch_group(arbiter_actor *a, uint64_t watch);

/* A cast to each member of a group that this actor watches, once to each actor, also to itself: how many
 * it was handed to the transport for. -ENOENT: it does not watch that group. */
int arbiter_send_group(
                arbiter_actor *a, const char *group, const char *command, const char *signature, ...);

ARBITER_END_DECLARATIONS

#endif
