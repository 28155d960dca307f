/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a reload does to what runs, decided from the two configurations alone: reload.c carries it out, and
 * "arbiterctl daemon-reload --dry-run" shows it. */

#include <arbiter/arbiter.h>

#include "arbiterd/config.h"

/* To a monitor that is in both. */
struct monitor_change {
        bool replace; /* stopped, and started anew: else any of */
        bool reorder; /* of different children: the order of those that stay */
        bool describe, policy, roll, scale, probe, route;
        bool turn_back; /* with roll: to the definition that the roll under way comes from */
};

/* The first definition is what workers run by, or are being replaced by. */
bool monitor_runs_by(arbiter_monitor *m, unsigned index, uint64_t fingerprint);
/* running: what of it there is, or NULL. After a roll was turned back it runs by another definition than the
 * configured one. */
int monitor_change_of(const struct config_difference *x, arbiter_monitor *running,
                      struct monitor_change *ret);

/* Monitors of different children that are nobody's children and have failed, and of which something is
 * another in `new`, also far below: they are started anew. Names. While d->config is the old one. */
struct daemon;
int plan_find_mended(struct daemon *d, const struct config *new, const struct config_difference *x, size_t n,
                     char ***ret);

/* The arbiter's plan handler; userdata is the daemon. */
int daemon_plan(arbiter *a, arbiter_message *plan, void *userdata);
