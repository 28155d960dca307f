/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Relinking: an actor that another arbiter had started gets a control link of ours. What is left of its
 * old one is the dead arbiter's end, which somebody has kept; nothing of its state is known, and nothing
 * needs to be. See src/actor/control.c for what the actor does, and relink.c for the order of things. */

#include "basic/identity.h"
#include "wire/envelope.h"
#include <arbiter/message.h>

struct child;
struct arbiter;

/* What an end of a control link is kept as: "c.AID" is the one that an actor was started with, "c.AID.2"
 * and so on are those that it got since. */
enum { CHILD_LINK_NAME_SIZE = 32 };
void child_link_format_name(const aid *id, unsigned number, char ret[static CHILD_LINK_NAME_SIZE]);
/* -EINVAL: it is the name of something else. */
int child_link_parse_name(const char *name, aid *ret_aid, unsigned *ret_number);

/* Gives a child, which has c->aid and c->welcomed but no peer, a new control link: c->peer from here on.
 * What is sent on it waits for the actor. old_fd, the kept end of this number, is taken. Called again for
 * the same child before the loop runs if more than one end of it is kept: an arbiter has died between
 * having the next one kept and the actor's word that it has it, so one of them is the one that the actor
 * listens on, and each is tried. Nothing happens before the loop's next turn; an actor that is gone by
 * then is a lost link, as ever. */
int child_relink(struct child *c, unsigned number, int old_fd);
/* Before its end is judged: its last words, in the old link, too. */
void child_drain(struct child *c);
/* While the children are taken over one by one: no actor is heard before all those are there of which it may
 * want something. */
void relinks_hold(struct arbiter *a);
void relinks_go(struct arbiter *a);

/* All that was to be kept is: what has waited for it goes on. */
void relinks_kept(struct arbiter *a);

/* The child goes. */
void relink_forget(struct child *c);
/* Before it has changed over the actor has nothing to say on the new link but that. */
bool relink_admits(const struct child *c, const struct envelope *e);
/* An actor without a welcome says hello anew: so it has the link. Returns that one's page. */
int relink_said_hello(struct child *c);

/* Commands: of actors that have changed over. */
int relink_relinked(arbiter_actor *a, arbiter_message *m, void *userdata);
