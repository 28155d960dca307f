/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* arbiterd as a service of the system's or the user's manager (--system, --user, --instance=NAME). Without
 * these it stands alone, and of all this only the sockets that it was given count. */

struct daemon;

/* --instance=NAME: told if it is no name. -EINVAL, -ENOMEM. */
int service_set_instance(struct daemon *d, const char *name);
/* After the options: makes sense of them together, and fills in what follows from them. 0, or the exit
 * status: told. */
int service_check_options(struct daemon *d);
/* First of all, before any descriptor is opened: takes over what systemd passed. */
int service_take_fds(struct daemon *d);
/* Before arbiter_start(), with the instance set: for actors that are to be units. */
int service_use_systemd(struct daemon *d);
/* Before arbiter_start(): the scope of the actors. -ECANCELED: a signal asked to stop. */
int service_make_scope(struct daemon *d);
/* After arbiter_start(): the bus, the sockets that were passed. What fails is told, and done without. */
void service_listen(struct daemon *d);
/* For scope.c: a process to make a scope around, in d->holder, in place of one that is gone. */
int service_start_holder(struct daemon *d);
/* Last of all. */
void service_done(struct daemon *d);
