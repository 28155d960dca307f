/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Definitions of pools that are not the configured ones, and by which workers may still be started: while a
 * roll goes on, the one that it comes from; after it has been turned back, the one that all workers have. */

#include <arbiter/arbiter.h>

#include "arbiterd/config.h"

struct daemon;

/* By what a worker of this pool is to be started whose spawn has this fingerprint; the configured one if
 * that is not known. NULL: there is no such pool. */
const struct actor_config *generation_find(const struct daemon *d, const char *name, uint64_t fingerprint);
/* All that are kept, for their sockets; NULL after the last one. */
const struct monitor_config *generation_get(const struct daemon *d, size_t i);

/* What was configured, and is not any more: taken out of it if a running pool has been started by it. */
int generations_keep(struct daemon *d, struct config *old, const struct config *new);
/* When all has been started: what an arbiter before us was rolling from is made again from its text. Must be
 * called before arbiter_adopt_done(). */
void generations_recall(struct daemon *d);
/* Forgets what nobody can be started by any more. */
void generations_sweep(struct daemon *d);
/* Around a reload: what it compares stays until its end, whatever is swept, and is swept then. */
void generations_begin(struct daemon *d);
void generations_end(struct daemon *d);
/* What the arbiter logs: a roll has ended. */
void generations_log_entry(struct daemon *d, const arbiter_log_entry *e);
void generations_done(struct daemon *d);
