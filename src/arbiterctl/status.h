/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of what status prints for people: status-tree.c, status-screen.c. Each function that prints
 * returns 0 or an exit status. */

#include "arbiterctl/journal.h"
#include "arbiterctl/manager.h"
#include "arbiterctl/objects.h"

/* Of all actors below a monitor; UINT64_MAX: not known of any. */
struct sums {
        uint64_t mailbox_queued, memory_bytes, cpu_usec;
};
void monitor_sums(const struct objects *o, const struct monitor_object *m, struct sums *ret);
/* "3 of 4 running, 1 waiting, next attempt in 3.2s" */
void monitor_detail(const struct monitor_object *m, char *buffer, size_t size);
/* Of the dot: not as green as its state says if workers are missing. */
enum colour monitor_colour(const struct monitor_object *m);
const char *format_unless_unknown(char buffer[static DURATION_STRING_MAX], usec_t t, usec_t unknown);

/* All of them, or one monitor with its workers. */
int status_print_tree(const struct context *c, const struct objects *o, const struct monitor_object *m);

/* The block above the tree of all. */
void status_print_arbiter(const struct context *c, const struct objects *o, const struct manager_object *a);
/* One actor, one monitor, as systemctl shows a unit. */
void status_print_actor(const struct actor_object *a);
int status_print_monitor(const struct context *c, const struct objects *o, const struct monitor_object *m);
