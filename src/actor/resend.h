/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was sent by name, and is not known to have begun; see resend.c. */

#include "actor/actor.h"
#include "actor/waiting.h"

struct kept_mail {
        uint8_t *buffer; /* records from head to tail, in the order of sending */
        size_t head, tail, size;
        size_t counted; /* up to here no body is kept beside: of those that were, only the record is left */
        size_t beside; /* bytes of the bodies that are not copied here */
        size_t prune_at; /* at so many bytes the page is looked at again */
        unsigned n_casts;
        char **names; /* that were sent to */
        unsigned n_names, last_name;
};

/* The envelope is about to leave for this name (NULL: for this life only): marks it if it is to be kept. */
void kept_mark(struct peer *p, struct envelope *e, const char *target);
/* It has left, marked, with e->sequence. */
void kept_add(struct peer *p, const struct envelope *e, arbiter_message *m, const char *target,
                const struct route_options *o);
/* Forgets what has begun. */
void kept_prune(struct peer *p);
/* Does the peer have anything that it has not begun? */
bool kept_waits(struct peer *p);
/* The peer is dead, and its mail has been read: what it had not begun is moved there, in order; or, where
 * that is not wanted, is a dead letter. Requests that remain among the peer's calls are not to be sent
 * again. */
void kept_recover(struct peer *p, struct waiting_room *room);
void kept_done(struct peer *p);
