/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Listening sockets of actors. Each is opened once, when the first definition that has it is made, and stays
 * open while that is configured: over reloads, and over the lives of those who inherit it. With ReusePort=
 * each worker has its own, which outlives it for its successor. What a socket unit has passed is systemd's,
 * and is only handed on. */

#include <arbiter/arbiter.h>

#include "arbiterd/config.h"

struct daemon;

/* Opens (or finds) all that a definition has, and gives it what its workers share. Told. */
int listeners_add_to(struct daemon *d, const struct actor_config *a, arbiter_spawn *s);
/* From the prepare function of a life: gives it what is that worker's own. slot: its number, 0 for a lone
 * actor. */
int listeners_prepare(struct daemon *d, const struct actor_config *a, unsigned slot, arbiter_spawn *s,
                      char **ret_text);
/* What the arbiter logs: with the place of a worker its own sockets go, too. */
void listeners_log_entry(struct daemon *d, const arbiter_log_entry *e);
/* Would the sockets of both have to be bound otherwise? Then no worker of a may run when b is started. */
bool listeners_rebind(const struct actor_config *a, const struct actor_config *b);
/* When the first configuration has been applied: what the arbiter before us has left, or systemd has passed,
 * and nobody has, is not kept any more, or told. */
void listeners_settle(struct daemon *d);
/* Closes what the configuration does not have any more. */
void listeners_sweep(struct daemon *d);
void listeners_done(struct daemon *d);

/* What systemd has passed under this name (FileDescriptorName=): taken over. */
int listeners_pass(struct daemon *d, const char *name, int fd);
/* For the next arbiter: in which mode the workers have these. */
void listeners_note(struct daemon *d);
/* As the one before us has left them: as soon as that is known. */
void listeners_recall(struct daemon *d);
