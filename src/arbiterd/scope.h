/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The delegated scope arbiter-INSTANCE-actors.scope, in whose cgroup each actor gets a leaf: outside of the
 * service's own, so that neither a restart of the service nor its limits touch them. */

#include <sys/types.h>

#include "basic/macro.h"

struct daemon;

/* In it, for the process that holds it; no actor's leaf: those have an aid behind a dot. */
#define SCOPE_LEAF "arbiter-logger"

/* Asks the service manager for the scope, around the process first, which holds it while there are no
 * actors; what an arbiter that has died left in one of that name is stopped before, or, if we take over from
 * it, goes on. Then moves first into a leaf of its own, so that controllers can be enabled for the others.
 * Waits, with bounds, on a loop of its own: only before the arbiter runs. 0: d->cgroup is its directory; 1:
 * there is none, d->no_scope says why (told, too), and process groups must do; -ECANCELED: a signal asked to
 * stop meanwhile; -ENOMEM. */
int scope_make(struct daemon *d, pid_t first);

/* The same with the scope that an arbiter before us has made, in which first is: nobody need be asked. */
int scope_take_over(struct daemon *d, pid_t first);

/* For scope-request.c: no more actors are started in the cgroup of a scope whose unit has ended or is about
 * to, and the process that is to hold the next one leaves it. kill: it has ended; so does what is left. */
void scope_abandon(struct daemon *d, bool kill);
/* Once the arbiter has started: a scope that ends under it is made anew. */
int scope_watch(struct daemon *d);
/* Before the arbiter is freed. What is in the scope ends with the processes in it. */
void scope_done(struct daemon *d);

/* Has the service manager stop what is in the scope, and does not wait for it: what is left to do when an
 * arbiter has died (ExecStopPost=). No scope: nothing to do. Negative: told. */
int scope_stop(struct daemon *d);
