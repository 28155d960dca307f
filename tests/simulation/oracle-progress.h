/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a roll comes nearer to its end, told a second time, from what can be seen of a pool before and
 * after an event: it ends, halts, or goes on within its deadline, and does not halt before. */

#include "simulation.h"

#define POOL_SLOTS 16U

/* What the pool said of itself. */
struct snapshot {
        supervise_info info;
        supervise_slot_info slots[POOL_SLOTS + 1];
        bool serves[POOL_SLOTS + 1]; /* by what it has been told of each */
};

struct progress {
        nsec_t stalled_since; /* it awaits somebody, and comes no nearer to its end; NSEC_INFINITY: no */
        unsigned most_served;
        bool vague;      /* since then, or earlier */
        uint64_t overdue; /* how many have halted for somebody who has not failed */
};

/* A verb asks for something; and it is no step of the roll. */
bool is_verb(const supervise_event *e);
void progress_note(struct progress *p, const supervise_policy *policy, nsec_t now, const supervise_event *e,
                const struct snapshot *before, const struct snapshot *after);
void progress_check(struct progress *p, struct simulation *sim, const supervise_policy *policy, nsec_t now,
                const supervise_event *e, const struct snapshot *before, const struct snapshot *after);
