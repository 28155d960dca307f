/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An arbiter that is a service begins where the one before it was when it died, or was replaced: with its
 * state, from the fd store of the service, and with the descriptors that arbiter-keeper holds. Called by
 * main.c, in this order. */

#include <arbiter/log.h>

struct daemon;

/* Before the scope: finds out what is left. d->takes_over says whether that is anything, and then nothing
 * that runs may be stopped for being there. What cannot be taken over is told. Standing alone: nothing. */
int takeover_begin(struct daemon *d);
/* Just before arbiter_start(): hands over what was kept for the arbiter. */
int takeover_hand_over(struct daemon *d);
/* For the log handler: of a life that goes on. */
void takeover_log_entry(struct daemon *d, const arbiter_log_entry *e);
/* When the configuration has been applied: the rest is ended. */
int takeover_finish(struct daemon *d);
/* Then, before anybody can ask: runs the loop until all who go on have been heard from, or for a moment.
 * -ESTALE: it has ended, as of arbiter_run(). */
int takeover_settle(struct daemon *d);
/* We end, and not in order: what there is, is the next one's, and nothing may be closed or forgotten. */
bool takeover_is_due(const struct daemon *d);
/* All has ended in order: nobody is to find anything. */
void takeover_done(struct daemon *d);

/* What is to outlive us, under a name that its owner knows; fd -1: not any more. */
void takeover_keep(struct daemon *d, const char *name, int fd);
/* What the one before us has left under that name, a duplicate. -ENOENT. */
int takeover_get(struct daemon *d, const char *name);
/* Everything that another one needs is where it finds it, if we end now. */
bool takeover_is_kept(const struct daemon *d);
