/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The arbiter's side of arbiter-keeper (arbiter-keeper(8)): what is to outlive the arbiter is handed over by
 * name, and the next one finds it there. The names are those of the owners of the descriptors:
 *
 *         c.AID, c.AID.N  the arbiter's end of an actor's control link; N: for the N-th arbiter it has seen
 *         p.AID           its pidfd
 *         u.AID           the pidfd of the main process of its unit (Concurrency=unit)
 *         n.AID           NOTIFY_SOCKET of a program that knows nothing of arbiter
 *         o.AID           the reading end of what it writes
 *         l.HASH.SLOT     listening socket, by its address (and worker, with ReusePort=)
 *         logger          arbiterd's end of the link to arbiter-logger
 *         state           the journal of the arbiter's state
 *
 * A copy of each is held here, too: a keeper that has died is given all of them anew, without a question
 * to the owners. So who does not want a descriptor any more must say so, else nobody sees it closed. */

#include <systemd/sd-event.h>

#include <arbiter/arbiter.h>

#include "shared/keeper-link.h"

struct keeper;

struct keeper_events {
        /* There is a connection, or another one: its socket is for the fd store. */
        void (*connected)(int socket, void *userdata);
        /* All is done for which keeper_keep() has returned 1. From the loop; NULL: nobody wants to know. */
        void (*settled)(void *userdata);
};

/* Before the arbiter runs: connects, and gets what is kept. Waits for the keeper, but no longer than some
 * seconds; whatever goes wrong is told, and then there is nothing kept, and a keeper that comes later is
 * taken. stored: the socket that was in the fd store, or -EBADF; taken. path: where the keeper listens. */
int keeper_new(const char *path, int stored, struct keeper **ret);
/* What is kept stays kept. Takes NULL. */
struct keeper *keeper_free(struct keeper *k);
DEFINE_CLEANUP(struct keeper *, keeper_free)

/* Once there is the loop; nothing below waits. events stays the caller's. */
int keeper_attach(struct keeper *k, sd_event *event, const struct keeper_events *events, void *userdata);

/* What there is, oldest first: NULL at the end; position: NULL at first. Safe against forgetting the one
 * that it has returned. */
const char *keeper_next(struct keeper *k, void **position);
/* A copy of it, for the caller; -ENOENT. It stays kept. */
int keeper_get(struct keeper *k, const char *name);

/* A keep handler (arbiter_set_keep_handler()); userdata is the struct keeper. fd is copied, and stays the
 * caller's. -1: forget. 0: it is done, and holds from this moment on; 1: it is done as soon as the keeper
 * takes it, or is back; -EINVAL, -ENOMEM, -EMFILE. A keeper that has been away for some seconds is not
 * waited for: then 0, too, for all that can be done has been, and it is told when it comes. a may be
 * NULL. */
int keeper_keep(arbiter *a, const char *name, int fd, void *userdata);
/* Has it say something, which takes that it runs and has heard all before: 0 is told to answered from the
 * loop, or what is wrong, -ETIMEDOUT after some seconds. One at a time. Negative: it is not asked. */
typedef void (*keeper_answered_t)(int r, void *userdata);
int keeper_ask(struct keeper *k, keeper_answered_t answered);
/* One is there; if not, it is looked for at once, and not only when it is time again. */
bool keeper_is_there(struct keeper *k);
/* The keeper is there, and has all that it was given. */
bool keeper_is_settled(const struct keeper *k);

/* Does one listen there? For a process that has no use for it (--stop-actors). Does not wait. */
bool keeper_lives(const char *path);
