/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the stdout and stderr of workers go: for the journal through arbiter-logger, one socket a life. A
 * reading end of each is kept here, too, so that a logger that dies is replaced and the workers only
 * wait. */

#include <arbiter/arbiter.h>

#include "arbiterd/config.h"

struct daemon;

/* Starts arbiter-logger (unless it runs), which does nothing until it is told of a first stream: it can
 * be moved to where it belongs before. After arbiter_new(). -ENOENT and the like: told; workers then
 * inherit. */
int output_start(struct daemon *d, pid_t *ret_pid);
/* The same with the one of the arbiter before us, if it still runs. -ENOENT, -ESRCH: it does not. */
int output_take_over(struct daemon *d, pid_t *ret_pid);
/* What a life that goes on writes, goes on to the journal; if that is where it went. a: what is known of its
 * configuration, or NULL. */
int output_take_over_stream(struct daemon *d, const arbiter_life *life, const struct actor_config *a,
                const char *identifier);
/* Is there a stream whose descriptor is kept under that name? */
bool output_has_stream(const struct daemon *d, const char *kept);
#define OUTPUT_KEPT_STREAM "o." /* and the aid: how they are called */
/* Is the log of arbiterd itself the journal's? Then the workers' output goes there unless they say else. */
bool output_wants_journal(void);
/* From the prepare function of a life: sets its output. identifier: NULL for the actor's name. */
int output_prepare(struct daemon *d, const arbiter_life *life, arbiter_spawn *s,
                const struct actor_config *a, const char *identifier);
/* The last words of the workers go out; then the logger ends. */
void output_done(struct daemon *d);
