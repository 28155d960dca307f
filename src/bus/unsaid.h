/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Signals that a bus daemon does not take as fast as things change are held back and condensed: of each
 * object that was made, changed or went meanwhile, what it has become, and not what it was in between. So
 * what waits is bounded by the number of objects, and nobody is left with a wrong picture. */

#include "bus/face.h"

enum { UNSAID_BEGIN = 1024 /* messages that the bus has not taken; from there on signals are held back */ };

enum unsaid_what { UNSAID_NEW, UNSAID_CHANGED, UNSAID_GONE };

int bus_unsaid_new(struct bus_connection *c, struct bus_unsaid **ret);
struct bus_unsaid *bus_unsaid_free(struct bus_unsaid *u);
DEFINE_CLEANUP(struct bus_unsaid *, bus_unsaid_free);

/* Before a change is told to all connections: which of them are behind. */
void bus_unsaid_begin(struct bus_face *f);
/* Whether signals are to be sent on this connection, of a bus, at once. */
bool bus_unsaid_is_current(struct bus_unsaid *u);
/* And notes for those that are behind. */
void bus_unsaid_actor(struct bus_face *f, enum unsaid_what what, const struct actor_view *v,
                arbiter_reason reason, int status);
void bus_unsaid_monitor(struct bus_face *f, enum unsaid_what what, const char *name);
void bus_unsaid_manager(struct bus_face *f);

/* Says some of it, if the bus takes it. */
void bus_unsaid_run(struct bus_unsaid *u);
bool bus_unsaid_is_pending(struct bus_unsaid *u);
