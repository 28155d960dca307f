/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See oracle-progress.h. Called by simulate-pool.c, after each event. Knows nothing of how src/supervise
 * comes to what it does. */

#include "oracle-progress.h"

bool is_verb(const supervise_event *e) {
        return e->type == SUPERVISE_START || e->type == SUPERVISE_STOP || e->type == SUPERVISE_SCALE ||
               e->type == SUPERVISE_RESTART_CHILD || e->type == SUPERVISE_STOP_CHILD;
}

static bool ends(supervise_slot_state state) {
        return state == SUPERVISE_SLOT_STOPPING || state == SUPERVISE_SLOT_DRAINING;
}

/* Whoever of the present definition serves, and can be believed. */
static unsigned count_served(const struct snapshot *shot, nsec_t min_ready, nsec_t now) {
        unsigned n = 0;

        for (unsigned i = 1; i <= POOL_SLOTS; i++)
                n += shot->serves[i] && shot->slots[i].revision == shot->info.revision &&
                     shot->slots[i].since + min_ready <= now;
        return n;
}

static bool has_failed(const struct snapshot *shot) {
        for (unsigned i = 1; i <= POOL_SLOTS; i++)
                if ((shot->slots[i].state == SUPERVISE_SLOT_BACKOFF ||
                     shot->slots[i].state == SUPERVISE_SLOT_FAILED) &&
                    shot->slots[i].revision == shot->info.revision)
                        return true;
        return false;
}

/* It is to come, and is neither on its way out nor waits for anybody else. */
static bool is_awaited(const struct snapshot *shot, unsigned i) {
        const supervise_slot_info *slot = shot->slots + i;

        if (slot->state == SUPERVISE_SLOT_BACKOFF || slot->state == SUPERVISE_SLOT_FAILED)
                return true;
        return slot->revision == shot->info.revision && !shot->serves[i] &&
               (slot->state == SUPERVISE_SLOT_STARTING || slot->state == SUPERVISE_SLOT_RUNNING);
}

static bool is_stalled(const struct snapshot *shot) {
        for (unsigned i = 1; i <= POOL_SLOTS; i++)
                if (is_awaited(shot, i))
                        return !has_failed(shot);
        return false;
}

/* The roll has waited for the same one all the time. */
static bool is_still_stalled(const struct snapshot *before, const struct snapshot *after) {
        for (unsigned i = 1; i <= POOL_SLOTS; i++)
                if (is_awaited(before, i) && is_awaited(after, i) &&
                    before->slots[i].generation == after->slots[i].generation)
                        return true;
        return false;
}

static bool is_on(const struct snapshot *shot) {
        return shot->info.roll == SUPERVISE_ROLL_GOING || shot->info.roll == SUPERVISE_ROLL_HALTED;
}

/* Another place, if by the same number: of a surge, or instead of one that was missing. */
static bool is_another(const supervise_slot_info *was, const supervise_slot_info *is) {
        return is->state != SUPERVISE_SLOT_UNUSED &&
               (was->state == SUPERVISE_SLOT_UNUSED || (was->leaving && !is->leaving) ||
                (was->generation > 0 && is->generation == 0));
}

static bool is_step_of(const supervise_event *e, unsigned i, const supervise_slot_info *was,
                const supervise_slot_info *is, uint64_t revision) {
        bool was_old = was->generation > 0 && was->revision != revision;

        if (is->state == SUPERVISE_SLOT_UNUSED)
                return false;
        if (is_another(was, is) || (was_old && is->revision == revision)) /* one has come in its place */
                return true;
        if (was->state == SUPERVISE_SLOT_WAITING && was->generation == 0 && is->generation > 0)
                return true;
        return was_old && ends(is->state) && !ends(was->state) && was->generation == is->generation &&
               (e->slot != i || (!is_verb(e) && e->type != SUPERVISE_UNHEALTHY));
}

static bool is_step(const supervise_event *e, const struct snapshot *before, const struct snapshot *after) {
        for (unsigned i = 1; i <= POOL_SLOTS; i++)
                if (is_step_of(e, i, before->slots + i, after->slots + i, after->info.revision))
                        return true;
        return false;
}

static bool is_ambiguous(const struct snapshot *before, const struct snapshot *after) {
        for (unsigned i = 1; i <= POOL_SLOTS; i++)
                if (is_another(before->slots + i, after->slots + i))
                        return true;
        return before->info.n_wanted != after->info.n_wanted || !is_still_stalled(before, after);
}

/* A place that is filled is no step, but one may be taken in the same event. */
void progress_note(struct progress *p, const supervise_policy *policy, nsec_t now, const supervise_event *e,
                const struct snapshot *before, const struct snapshot *after) {
        unsigned served = count_served(after, policy->min_ready, now);
        bool goes_on = before->info.roll == SUPERVISE_ROLL_HALTED &&
                       after->info.roll == SUPERVISE_ROLL_GOING,
             begins = !is_on(before) || before->info.revision != after->info.revision;

        if (begins)
                p->most_served = 0;
        if (!is_on(after) || !is_stalled(after)) {
                p->stalled_since = NSEC_INFINITY;
                p->vague = false;
        } else if (begins || goes_on || served > p->most_served ||
                   (!after->info.roll_overdue &&
                    (is_step(e, before, after) || !is_still_stalled(before, after)))) {
                p->stalled_since = now;
                p->vague = !begins && is_ambiguous(before, after);
        } else
                p->stalled_since = MIN(p->stalled_since, now);
        p->most_served = goes_on ? served : MAX(p->most_served, served);
}

/* Halted or not, it says so in time. */
static void check_deadline(const struct progress *p, struct simulation *sim, nsec_t deadline, nsec_t now,
                const struct snapshot *shot) {
        nsec_t until = p->stalled_since + deadline;
        const supervise_info *info = &shot->info;

        if (deadline == 0 || deadline == NSEC_INFINITY || p->stalled_since == NSEC_INFINITY)
                return;
        require(sim, info->roll_awaits > 0, 0);
        require(sim, until > now || (info->roll == SUPERVISE_ROLL_HALTED && info->roll_overdue),
                info->roll_awaits);
        if (!p->vague && !info->roll_overdue)
                require(sim, info->roll_until == until, info->roll_awaits);
}

void progress_check(struct progress *p, struct simulation *sim, const supervise_policy *policy, nsec_t now,
                const supervise_event *e, const struct snapshot *before, const struct snapshot *after) {
        nsec_t deadline = policy->progress_deadline, until = time_add(p->stalled_since, deadline);
        bool vague = p->vague;

        progress_note(p, policy, now, e, before, after);
        check_deadline(p, sim, deadline, now, after);
        if (before->info.roll_overdue || !after->info.roll_overdue)
                return;
        p->overdue++;
        require(sim, after->info.roll == SUPERVISE_ROLL_HALTED, 0);
        require(sim, vague || (deadline > 0 && until <= now), after->info.roll_awaits);
}
