/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Monitors of different children, from files: tree.c. What goes wrong has been told, by daemon_refuse(). */

#include <arbiter/arbiter.h>

#include "arbiterd/config.h"

struct daemon;

/* A monitor as configured, with all that is below it; not started. */
int tree_build(struct daemon *d, const struct monitor_config *m, arbiter_monitor **ret);
/* Adds it where Children= of its parent has it, if the parent is there; else it comes with that. */
int tree_start_child(struct daemon *d, const char *parent, const char *name, bool is_monitor,
                arbiter_future **ret);
/* The new definition of a child. -ENOENT: it is none. */
int tree_change_actor(struct daemon *d, const struct actor_config *a);
/* Those of the children that have moved go on, each in its place in Children=; those with which that
 * cannot be done just now, to be freed. */
int tree_move_children(struct daemon *d, const struct monitor_config *m, char *const *moved, char ***ret);
/* The names of those that Children= has in another order now; to be freed. */
int tree_find_moved(const struct monitor_config *old, const struct monitor_config *new, char ***ret);

static inline bool endswith_monitor(const char *child) {
        const char *dot = strrchr(child, '.');

        return dot && streq(dot, ".monitor");
}
