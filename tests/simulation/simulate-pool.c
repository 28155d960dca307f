/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools: workers that start, become ready, are busy, hang and crash while they are scaled by hand and by
 * load, rolled, turned back and recycled, under a breaker, by policies that change, and an arbiter that
 * dies between any two actions. After each event the world is held against what supervise.h promises; at
 * the end all goes well, and then the pool must come to rest as it was last asked to be. */

#include "oracle-progress.h"

#define SLOTS POOL_SLOTS
#define N_MAX 5U
#define FAILURES 400U

struct worker {
        bool alive, starting, ready, busy, told_to_stop, draining;
        bool unreported; /* dead, and the pool does not know yet */
        bool unhealthy, held, recycle; /* what was said of this life */
        bool mute;                     /* it runs, and never gets ready */
        uint64_t generation, revision;
};

struct world {
        struct simulation *sim;
        supervise *s;
        struct image image;
        struct worker workers[SLOTS + 1];
        nsec_t now, armed, failures[FAILURES], maybe[FAILURES], hot_since, cold_since;
        struct progress progress; /* of a roll */
        uint64_t load;
        unsigned n_failures, n_maybe, crash_weight, verb_weight, bad_revision, mute_revision, guard;
        bool resumed, no_crash, recycles; /* since when, nobody remembers */
};

enum { EVENTS, CRASHES, LIVES, DONE, ABORTED, HALTED, DRAINS, RECYCLED, SCALED, OPENED, OVERDUE };
const char *const count_names[16] = { "events", "crashes", "lives", "rolls done", "turned back", "halted",
                                      "drains", "recycled", "scaled by load", "breakers opened",
                                      "not ready in time" };
const uint64_t history_cost = 1;

static const supervise_policy *policy(const struct world *w) {
        return supervise_get_policy(w->s);
}
static supervise_slot_info slot_of(const struct world *w, unsigned slot) {
        supervise_slot_info i = {};

        (void) supervise_get_slot(w->s, slot, &i);
        return i;
}
static supervise_info info_of(const struct world *w) {
        supervise_info i;

        supervise_get_info(w->s, &i);
        return i;
}
static bool is_alive(supervise_slot_state state) {
        return state == SUPERVISE_SLOT_STARTING || state == SUPERVISE_SLOT_RUNNING ||
               state == SUPERVISE_SLOT_STOPPING || state == SUPERVISE_SLOT_DRAINING;
}
static bool roll_is_on(const supervise_info *info) {
        return info->roll == SUPERVISE_ROLL_GOING || info->roll == SUPERVISE_ROLL_HALTED ||
               info->roll == SUPERVISE_ROLL_TURNING_BACK;
}
/* By the slot, and by what the world has told of the worker. */
static bool serves(const struct world *w, const supervise_slot_info *slot, const struct worker *worker) {
        return slot->state == SUPERVISE_SLOT_RUNNING && (worker->ready || !policy(w)->readiness);
}

static struct snapshot snapshot(const struct world *w) {
        struct snapshot shot = { .info = info_of(w) };

        for (unsigned i = 1; i <= SLOTS; i++)
                shot.slots[i] = slot_of(w, i);
        for (unsigned i = 1; i <= SLOTS; i++)
                shot.serves[i] = serves(w, shot.slots + i, w->workers + i);
        return shot;
}

/* Never more than N + max_surge, but for those that still leave after a scaling; nor a third generation. */
static void check_number(struct world *w, const struct snapshot *before, const struct snapshot *after) {
        unsigned slots = 0, slots_before = 0, staying = 0, staying_before = 0, n_revisions = 0, limit;
        uint64_t revisions[3] = {};

        limit = after->info.n_wanted + policy(w)->max_surge;
        for (unsigned i = 1; i <= SLOTS; i++) {
                const supervise_slot_info *slot = after->slots + i;
                unsigned k = 0;

                slots += slot->state != SUPERVISE_SLOT_UNUSED;
                staying_before += before->slots[i].state != SUPERVISE_SLOT_UNUSED &&
                                !before->slots[i].leaving;
                staying += slot->state != SUPERVISE_SLOT_UNUSED && !slot->leaving;
                slots_before += before->slots[i].state != SUPERVISE_SLOT_UNUSED;
                if (!is_alive(slot->state))
                        continue;
                while (k < n_revisions && revisions[k] != slot->revision)
                        k++;
                require(w->sim, k < 2, i);
                if (k == n_revisions)
                        revisions[n_revisions++] = slot->revision;
        }
        require(w->sim, slots <= MAX(slots_before, limit), 0);
        if (after->info.phase == SUPERVISE_PHASE_UP)
                require(w->sim, staying <= MAX(staying_before, limit), 0);
}

/* Whoever is taken away while he serves, with nobody asking for that very thing, leaves enough behind. */
static void check_replaced(struct world *w, const supervise_event *e, const struct snapshot *before,
                const struct snapshot *after) {
        unsigned ready = 0, resting = 0, taken = 0, taken_busy = 0, coming = 0, n_staying = 0, floor;
        nsec_t believed = roll_is_on(&before->info) && roll_is_on(&after->info) ? policy(w)->min_ready : 0;
        bool idle_left = false;

        for (unsigned i = 1; i <= SLOTS; i++) {
                const supervise_slot_info *is = after->slots + i, *was = before->slots + i;
                bool ends = is->state == SUPERVISE_SLOT_STOPPING || is->state == SUPERVISE_SLOT_DRAINING;

                ready += serves(w, is, w->workers + i) && is->since + believed <= w->now;
                n_staying += was->state != SUPERVISE_SLOT_UNUSED && !was->leaving;
                resting += is->state == SUPERVISE_SLOT_HELD || is->state == SUPERVISE_SLOT_IDLE ||
                           (ends && w->workers[i].held);
                coming += is->state != SUPERVISE_SLOT_UNUSED && !is->leaving && !(ends &&
                                w->workers[i].held) &&
                          !serves(w, is, w->workers + i) && is->state != SUPERVISE_SLOT_HELD &&
                          is->state != SUPERVISE_SLOT_IDLE;
                idle_left = idle_left || (is->state == SUPERVISE_SLOT_RUNNING && !w->workers[i].busy &&
                                w->workers[i].alive);
                if (!ends || was->state != SUPERVISE_SLOT_RUNNING || was->generation != is->generation)
                        continue;
                if (before->serves[i]) {
                        taken++;
                        taken_busy += w->workers[i].alive && w->workers[i].busy && !w->workers[i].recycle;
                }
                if (w->workers[i].alive && w->workers[i].busy && policy(w)->drain > 0 && e->slot != i &&
                    after->info.phase == SUPERVISE_PHASE_UP)
                        require(w->sim, is->state == SUPERVISE_SLOT_DRAINING, i);
        }
        /* Who has come for one that is recycled is not believed yet: that goes before what serves. */
        if (e->type == SUPERVISE_SCALE && !roll_is_on(&before->info) && taken_busy > 0 &&
            !w->recycles && before->info.rolling == 0 && after->info.phase == SUPERVISE_PHASE_UP)
                require(w->sim, !idle_left, 0);
        if (taken == 0 || is_verb(e) || e->type == SUPERVISE_UNHEALTHY ||
            after->info.n_wanted != before->info.n_wanted || after->info.phase != SUPERVISE_PHASE_UP)
                return;
        floor = after->info.n_wanted - MIN(after->info.n_wanted, resting + policy(w)->max_unavailable);
        require(w->sim, ready >= floor, 0);
        if (!roll_is_on(&before->info) && !roll_is_on(&after->info)) { /* recycling: one at a time */
                require(w->sim, taken <= 1U + (before->info.slot_max > before->info.n_wanted) &&
                                coming <= 1, 0);
                w->sim->counts[RECYCLED]++;
        }
        require(w->sim, after->info.roll != SUPERVISE_ROLL_HALTED || n_staying > before->info.n_wanted, 0);
}

static void check_draining(struct world *w, const supervise_event *e, const struct snapshot *before,
                const struct snapshot *after) {
        for (unsigned i = 1; i <= SLOTS; i++)
                if (before->slots[i].state == SUPERVISE_SLOT_DRAINING &&
                    after->slots[i].state == SUPERVISE_SLOT_STOPPING &&
                    before->slots[i].generation == after->slots[i].generation &&
                    after->info.phase == SUPERVISE_PHASE_UP)
                        require(w->sim, !w->workers[i].busy || before->slots[i].until <= w->now ||
                                                (is_verb(e) && e->slot == i), i);
}

/* Failures are told by what becomes of a life: it had not been told to end, or it was unhealthy. */
static void check_breaker(struct world *w, const supervise_event *e, const struct snapshot *before,
                const struct snapshot *after, bool failed) {
        const supervise_policy *p = policy(w);
        unsigned n = 0, n_maybe = 0, n_begun = 0;

        for (unsigned i = 1; i <= SLOTS; i++)
                n_begun += after->slots[i].generation > before->slots[i].generation;
        if (before->info.breaker == SUPERVISE_BREAKER_OPEN && after->info.breaker == SUPERVISE_BREAKER_OPEN)
                require(w->sim, n_begun == 0 || w->now >= before->info.breaker_until, 0);
        if (after->info.breaker == SUPERVISE_BREAKER_HALF_OPEN) {
                require(w->sim, n_begun <= 1, 0);
                if (e->slot > 0 && e->slot == before->info.breaker_probe && e->type == SUPERVISE_STARTED)
                        require(w->sim, p->readiness || p->min_ready > 0 ||
                                        before->slots[e->slot].state != SUPERVISE_SLOT_STARTING,
                                e->slot); /* it was tried, and serves */
        }
        if ((before->info.breaker != SUPERVISE_BREAKER_CLOSED &&
             after->info.breaker == SUPERVISE_BREAKER_CLOSED) ||
            before->info.phase != after->info.phase)
                w->n_failures = w->n_maybe = 0;
        if (p->breaker_failures == 0 || after->info.phase != SUPERVISE_PHASE_UP)
                return;
        for (unsigned i = 0; i < w->n_failures; i++)
                n += w->failures[i] + p->breaker_period >= w->now;
        for (unsigned i = 0; i < MIN(w->n_maybe, FAILURES); i++)
                n_maybe += w->maybe[i] + p->breaker_period >= w->now;
        if (before->info.revision != after->info.revision)
                return; /* another definition closes it at once */
        if (after->info.breaker == SUPERVISE_BREAKER_CLOSED)
                require(w->sim, n < p->breaker_failures || !failed, 0);
        else if (before->info.breaker == SUPERVISE_BREAKER_CLOSED)
                require(w->sim, n + n_maybe >= p->breaker_failures, 0);
}

static bool count_failure(struct world *w, const supervise_event *e, const struct snapshot *before) {
        const supervise_slot_info *was = before->slots + e->slot;
        bool by_itself = was->state == SUPERVISE_SLOT_STARTING || was->state == SUPERVISE_SLOT_RUNNING,
             normal = e->normal && was->state == SUPERVISE_SLOT_RUNNING;

        if ((e->type != SUPERVISE_EXITED && e->type != SUPERVISE_START_FAILED) ||
            before->info.phase != SUPERVISE_PHASE_UP || before->info.breaker != SUPERVISE_BREAKER_CLOSED)
                return false;
        if (w->workers[e->slot].unhealthy) /* if nothing else was wanted of it meanwhile */
                w->maybe[w->n_maybe++ % FAILURES] = w->now;
        if (by_itself &&
            (was->restart == SUPERVISE_PERMANENT || (was->restart == SUPERVISE_TRANSIENT && !normal))) {
                require(w->sim, w->n_failures < FAILURES, 0);
                w->failures[w->n_failures++] = w->now;
                return true;
        }
        return false;
}

/* What the load asks for must have lasted. */
static void check_scaled(struct world *w, const supervise_event *e, const struct snapshot *before,
                const struct snapshot *after) {
        const supervise_policy *p = policy(w);
        uint32_t n = after->info.n_wanted, was = before->info.n_wanted;

        if (n != was && e->type != SUPERVISE_SCALE) {
                w->sim->counts[SCALED]++;
                require(w->sim, p->workers_max > 0, 0);
                if (n > was) {
                        require(w->sim, n <= p->workers_max, 0);
                        require(w->sim, w->load > (uint64_t) p->scale_up * was, 0);
                        require(w->sim, w->hot_since + p->scale_up_after <= w->now, 0);
                } else {
                        require(w->sim, n + 1 == was && n >= p->workers_min, 0);
                        require(w->sim, w->load < (uint64_t) p->scale_down * was, 0);
                        require(w->sim, w->cold_since + p->scale_down_after <= w->now, 0);
                        require(w->sim, w->load <= (uint64_t) p->scale_up * n, 0); /* it does not flap */
                }
        }
        if (w->load <= (uint64_t) p->scale_up * n || n != was)
                w->hot_since = NSEC_INFINITY;
        if (w->load > (uint64_t) p->scale_up * n)
                w->hot_since = MIN(w->hot_since, w->now);
        if (w->load >= (uint64_t) p->scale_down * n || n != was)
                w->cold_since = NSEC_INFINITY;
        if (w->load < (uint64_t) p->scale_down * n)
                w->cold_since = MIN(w->cold_since, w->now);
}

/* Who runs is to be replaced in time by the limit that holds now, whatever held when it began. */
static void check_days(const struct world *w, const supervise_slot_info *slot, unsigned i) {
        nsec_t most = policy(w)->runtime_max, least = most / 100 * (100 - policy(w)->recycle_spread);

        if (slot->state != SUPERVISE_SLOT_RUNNING || slot->until == NSEC_INFINITY)
                return;
        require(w->sim, slot->until >= slot->since + least && slot->until <= slot->since + most, i);
}

static void check_slots(struct world *w, const struct snapshot *after) {
        unsigned n_ending = after->info.n[SUPERVISE_SLOT_STOPPING] + after->info.n[SUPERVISE_SLOT_DRAINING];

        for (unsigned i = 1; i <= SLOTS; i++) {
                const struct worker *worker = w->workers + i;

                if (after->slots[i].state != SUPERVISE_SLOT_STARTING)
                        require(w->sim, (worker->alive || worker->unreported) ==
                                                is_alive(after->slots[i].state) || w->resumed ||
                                                after->slots[i].generation != worker->generation, i);
                check_days(w, after->slots + i, i);
                if (after->slots[i].state == SUPERVISE_SLOT_WAITING) /* for somebody */
                        require(w->sim, after->info.breaker != SUPERVISE_BREAKER_CLOSED ||
                                                after->info.outdated || n_ending > 0, i);
        }
}

/* Halted, it leaves the old ones to serve: whoever of them ends is started again as what he was. */
static void check_halted(struct world *w, const struct snapshot *before, const struct snapshot *after) {
        if (before->info.roll != SUPERVISE_ROLL_HALTED || after->info.roll != SUPERVISE_ROLL_HALTED)
                return;
        for (unsigned i = 1; i <= SLOTS; i++) {
                const supervise_slot_info *is = after->slots + i, *was = before->slots + i;

                if (is->state != SUPERVISE_SLOT_UNUSED && is->generation != was->generation &&
                    was->generation > 0 && was->revision == before->info.revision_from)
                        require(w->sim, is->revision == was->revision || was->leaving, i);
        }
}

static void check_event(struct world *w, const supervise_event *e, const struct snapshot *before) {
        struct snapshot after = snapshot(w);

        if (e->type == SUPERVISE_ROLL_ABORT && before->info.roll != SUPERVISE_ROLL_TURNING_BACK)
                require(w->sim, after.info.revision == before->info.revision_from, 0);
        check_number(w, before, &after);
        check_replaced(w, e, before, &after);
        check_halted(w, before, &after);
        progress_check(&w->progress, w->sim, policy(w), w->now, e, before, &after);
        check_draining(w, e, before, &after);
        check_breaker(w, e, before, &after, count_failure(w, e, before));
        check_scaled(w, e, before, &after);
        check_slots(w, &after);
}

/* The verdict of a roll is true when it is told. */
static void check_verdict(struct world *w, const supervise_action *a) {
        supervise_info info = info_of(w);
        unsigned coming = 0;

        w->sim->counts[a->type == SUPERVISE_ACTION_ROLL_DONE ? DONE : ABORTED]++;
        if (roll_is_on(&info)) /* the next one already */
                return;
        for (unsigned i = 1; i <= SLOTS; i++) {
                supervise_slot_info slot = slot_of(w, i);

                if (!is_alive(slot.state) || slot.leaving)
                        continue;
                if (slot.state == SUPERVISE_SLOT_STOPPING || slot.state == SUPERVISE_SLOT_DRAINING)
                        continue; /* an operator's, or recycled at once */
                require(w->sim, slot.revision == info.revision, i);
                coming += !serves(w, &slot, w->workers + i);
        }
        require(w->sim, coming <= (info.rolling > 0), 0); /* recycling has begun */
}

static void carry_out(struct world *w, const supervise_action *a) {
        struct worker *worker = w->workers + a->slot;
        bool same = worker->generation == a->generation;

        trace_action(w->sim, 0, a);
        require(w->sim, a->slot <= SLOTS, a->slot);
        switch (a->type) {
        case SUPERVISE_ACTION_SPAWN:
                if (same && w->resumed)
                        break;
                require(w->sim, !worker->alive && !worker->unreported, a->slot); /* never two lives */
                require(w->sim, a->generation > worker->generation, a->slot);
                *worker = (struct worker){ .alive = true,
                                           .starting = true,
                                           .mute = a->revision == w->mute_revision || one_in(w->sim, 16),
                                           .generation = a->generation,
                                           .revision = a->revision };
                w->sim->counts[LIVES]++;
                break;
        case SUPERVISE_ACTION_STOP:
                if (!same) { /* it never was: the arbiter died before */
                        require(w->sim, w->resumed, a->slot);
                        worker->generation = a->generation;
                        worker->unreported = true;
                }
                worker->told_to_stop = true;
                break;
        case SUPERVISE_ACTION_DRAIN:
                require(w->sim, same && (w->resumed || !worker->draining), a->slot);
                worker->draining = true;
                w->sim->counts[DRAINS]++;
                break;
        case SUPERVISE_ACTION_SERVE:
                require(w->sim, same && (w->resumed || worker->draining), a->slot);
                worker->draining = false;
                break;
        case SUPERVISE_ACTION_ROLL_HALTED:
                w->sim->counts[HALTED]++;
                break;
        case SUPERVISE_ACTION_ROLL_DONE:
        case SUPERVISE_ACTION_ROLL_ABORTED:
                if (!w->resumed)
                        check_verdict(w, a);
                break;
        case SUPERVISE_ACTION_BREAKER_OPEN:
                w->sim->counts[OPENED]++;
                break;
        case SUPERVISE_ACTION_BREAKER_CLOSED:
                w->n_failures = w->n_maybe = 0;
                break;
        case SUPERVISE_ACTION_ARM:
                w->armed = a->when;
                break;
        default:
                break;
        }
}

static void crash(struct world *w) {
        if (w->sim->trace)
                printf("      the arbiter dies\n");
        w->sim->counts[CRASHES]++;
        w->resumed = true;
        supervise_free(w->s);
        w->s = image_load(w->sim, &w->image);
        w->armed = w->hot_since = w->cold_since = NSEC_INFINITY;
        w->load = 0;
        for (; w->n_failures > 0; w->n_failures--) /* that it closed may never have been told */
                w->maybe[w->n_maybe++ % FAILURES] = w->failures[w->n_failures - 1];
        supervise_resume(w->s);
        for (unsigned i = 1; i <= SLOTS; i++)
                if (w->workers[i].alive && one_in(w->sim, 10)) {
                        w->workers[i].alive = false;
                        w->workers[i].unreported = true;
                }
}

/* What is not written is reported again, before anything else. */
static void report_load(struct world *w) {
        for (unsigned i = 1; i <= SLOTS; i++) {
                supervise_event e = { .type = SUPERVISE_LOAD, .slot = i, .n = 1 };

                e.generation = w->workers[i].generation;
                if (w->workers[i].alive && w->workers[i].busy) {
                        struct snapshot before = snapshot(w), after;

                        (void) supervise_handle(w->s, &e, w->now);
                        after = snapshot(w);
                        progress_note(&w->progress, policy(w), w->now, &e, &before, &after);
                }
        }
}

static void pump(struct world *w) {
        supervise_action a;

        image_commit(w->sim, &w->image, w->s);
        while (supervise_next_action(w->s, &a))
                if (!w->no_crash && one_in(w->sim, 200)) {
                        crash(w);
                        report_load(w);
                        image_commit(w->sim, &w->image, w->s);
                } else
                        carry_out(w, &a);
        if (one_in(w->sim, 8))
                image_check(w->sim, &w->image, w->s);
        require(w->sim, info_of(w).due == w->armed, 0);
        w->resumed = false;
}

static void note_verb(struct world *w, const supervise_event *e) {
        for (unsigned i = 1; i <= SLOTS; i++)
                if (e->type == SUPERVISE_START || (e->type == SUPERVISE_RESTART_CHILD && e->slot == i))
                        w->workers[i].held = false;
                else if (e->type == SUPERVISE_STOP_CHILD && e->slot == i)
                        w->workers[i].held = true;
}

static int feed(struct world *w, supervise_event e) {
        struct snapshot before;
        int r;

        if (!w->no_crash && one_in(w->sim, 100)) { /* it dies over it, and nobody knows */
                (void) supervise_handle(w->s, &e, w->now);
                crash(w);
                report_load(w);
                pump(w);
        }
        if (e.type == SUPERVISE_EXITED || e.type == SUPERVISE_START_FAILED)
                w->workers[e.slot].unreported = false;
        if (e.type == SUPERVISE_LOAD && e.slot == 0)
                w->load = e.n;
        before = snapshot(w);
        require(w->sim, ++w->guard < 20000, 0);
        if (e.type == SUPERVISE_TICK)
                w->armed = NSEC_INFINITY;
        r = supervise_handle(w->s, &e, w->now);
        trace_event(w->sim, 0, &e, w->now, r);
        w->sim->counts[EVENTS]++;
        if (r >= 0) {
                note_verb(w, &e);
                check_event(w, &e, &before);
        }
        pump(w);
        return r;
}

static void end_life(struct world *w, unsigned slot, bool failed, bool normal) {
        struct worker *worker = w->workers + slot;
        int r;

        worker->alive = false;
        worker->unreported = true;
        r = feed(w, (supervise_event){ .type = failed ? SUPERVISE_START_FAILED : SUPERVISE_EXITED,
                                       .slot = slot,
                                       .generation = worker->generation,
                                       .normal = normal });
        require(w->sim, r >= 0, slot);
}

static void report_deaths(struct world *w) {
        for (unsigned i = 1; i <= SLOTS; i++)
                if (w->workers[i].unreported) {
                        end_life(w, i, w->workers[i].starting, one_in(w->sim, 3));
                        i = 0;
                }
}

static void tell(struct world *w, unsigned slot, supervise_event_type type, uint32_t n) {
        supervise_event e = { .type = type, .slot = slot, .generation = w->workers[slot].generation };

        e.n = n;
        e.ok = n > 0;
        if (type == SUPERVISE_LOAD)
                w->workers[slot].busy = n > 0;
        if (type == SUPERVISE_READY)
                w->workers[slot].ready = n > 0;
        if (type == SUPERVISE_RECYCLE)
                w->workers[slot].recycle = true;
        if (type == SUPERVISE_UNHEALTHY)
                w->workers[slot].unhealthy = true;
        if (type == SUPERVISE_STARTED)
                w->workers[slot].starting = false;
        (void) feed(w, e);
        if (type == SUPERVISE_LOAD && n == 0) /* it has done what it had */
                require(w->sim, slot_of(w, slot).state != SUPERVISE_SLOT_DRAINING, slot);
}

static void touch(struct world *w, unsigned slot) {
        struct worker *worker = w->workers + slot;

        if (worker->told_to_stop) {
                if (one_in(w->sim, 2))
                        end_life(w, slot, false, true);
        } else if (worker->starting) {
                if (worker->revision == w->bad_revision ? one_in(w->sim, 2) : one_in(w->sim, 8))
                        end_life(w, slot, one_in(w->sim, 2), false);
                else if (worker->revision != w->bad_revision && !one_in(w->sim, 3))
                        tell(w, slot, SUPERVISE_STARTED, 0);
        } else if (below(w->sim, 100) < w->crash_weight)
                end_life(w, slot, false, one_in(w->sim, 3));
        else
                switch (below(w->sim, 6)) {
                case 0:
                case 1:
                        tell(w, slot, SUPERVISE_LOAD, worker->draining ? 0 : below(w->sim, 3));
                        break;
                case 2:
                case 3:
                        tell(w, slot, SUPERVISE_READY, !worker->mute && !one_in(w->sim, 5));
                        break;
                case 4:
                        if (one_in(w->sim, 3))
                                tell(w, slot, SUPERVISE_UNHEALTHY, 0);
                        break;
                default:
                        tell(w, slot, SUPERVISE_RECYCLE, 0);
                }
}

static supervise_policy random_policy(struct world *w) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;

        p.restart = one_in(w->sim, 4) ? below(w->sim, 3) : SUPERVISE_PERMANENT;
        p.intensity = one_in(w->sim, 2) ? below(w->sim, 4) : 5;
        if (one_in(w->sim, 3))
                p.backoff_min = p.backoff_max = 0;
        p.max_surge = below(w->sim, 3);
        p.max_unavailable = p.max_surge > 0 ? below(w->sim, 3) : 1 + below(w->sim, 2);
        p.readiness = one_in(w->sim, 2);
        p.min_ready = one_in(w->sim, 3) ? NSEC_PER_SEC : 0;
        p.progress_deadline = one_in(w->sim, 3) ? 0 : one_in(w->sim, 4) ? NSEC_INFINITY : 20 * NSEC_PER_SEC;
        p.drain = one_in(w->sim, 2) ? 5 * NSEC_PER_SEC : 0;
        if (one_in(w->sim, 3)) {
                w->recycles = true;
                p.runtime_max = (300 + 100 * below(w->sim, 2)) * NSEC_PER_SEC;
                p.recycle_spread = 10;
        }
        if (one_in(w->sim, 3)) {
                p.workers_min = 1 + below(w->sim, 2);
                p.workers_max = 3 + below(w->sim, 3);
                p.scale_up = 80;
                p.scale_down = one_in(w->sim, 2) ? 30 : 70;
                p.scale_up_after = 2 * NSEC_PER_SEC;
                p.scale_down_after = 10 * NSEC_PER_SEC;
        }
        if (one_in(w->sim, 3)) {
                p.breaker_failures = 2 + below(w->sim, 4);
                p.breaker_period = 10 * NSEC_PER_SEC;
                p.breaker_min = NSEC_PER_SEC;
                p.breaker_max = 5 * NSEC_PER_SEC;
        }
        return p;
}

/* So many are remembered, the newest. */
static void forget_failures(struct world *w, unsigned n) {
        if (w->n_failures <= n)
                return;
        memmove(w->failures, w->failures + (w->n_failures - n), n * sizeof(*w->failures));
        w->n_failures = n;
}

/* Reloaded with another one: what was begun by the last is ended by this. */
static void change_policy(struct world *w) {
        supervise_policy p = random_policy(w);

        if (w->sim->trace)
                printf("      another policy\n");
        if (policy(w)->breaker_failures == 0) /* nobody has counted */
                w->n_failures = w->n_maybe = 0;
        require(w->sim, supervise_set_policy(w->s, &p) >= 0, 0);
        forget_failures(w, MAX(p.intensity + 1, p.breaker_failures));
        w->hot_since = w->cold_since = NSEC_INFINITY;
        if (p.breaker_failures == 0)
                w->n_failures = w->n_maybe = 0;
        pump(w);
        (void) feed(w, (supervise_event){ .type = SUPERVISE_TICK });
}

static void operate(struct world *w) {
        supervise_event e = { .slot = below(w->sim, N_MAX + 2) };

        switch (below(w->sim, 10)) {
        case 0:
                e = (supervise_event){ .type = SUPERVISE_START };
                break;
        case 7:
                if (one_in(w->sim, 2))
                        change_policy(w);
                return;
        case 1:
                e.type = SUPERVISE_RESTART_CHILD;
                break;
        case 2:
                e.type = SUPERVISE_STOP_CHILD;
                break;
        case 3:
        case 4:
                e = (supervise_event){ .type = SUPERVISE_SCALE,
                                       .n = below(w->sim, N_MAX + 1),
                                       .by_operator = one_in(w->sim, 2) };
                break;
        case 5:
                e = (supervise_event){ .type = SUPERVISE_ROLL_ABORT };
                break;
        case 6:
                if (!one_in(w->sim, 4))
                        return;
                e = (supervise_event){ .type = SUPERVISE_STOP };
                break;
        default:
                e = (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED, .revision = below(w->sim, 5) };
        }
        (void) feed(w, e);
}

static void pass_time(struct world *w) {
        if (w->armed != NSEC_INFINITY && !one_in(w->sim, 4)) {
                w->now = MAX(w->now, w->armed);
                (void) feed(w, (supervise_event){ .type = SUPERVISE_TICK });
        } else if (one_in(w->sim, 8))
                w->now += below(w->sim, 100) * NSEC_PER_SEC;
        else
                w->now += below(w->sim, 1500) * NSEC_PER_MSEC;
}

static void set_load(struct world *w, uint64_t load) {
        (void) feed(w, (supervise_event){ .type = SUPERVISE_LOAD, .n = (uint32_t) load });
}

static void step(struct world *w) {
        unsigned slot = 1 + below(w->sim, SLOTS);

        report_deaths(w);
        if (below(w->sim, 100) < w->verb_weight)
                operate(w);
        else if (one_in(w->sim, 3))
                pass_time(w);
        else if (policy(w)->workers_max > 0 && one_in(w->sim, 3))
                set_load(w, below(w->sim, 700));
        report_deaths(w);
        for (unsigned i = 0; i < SLOTS; i++, slot = slot % SLOTS + 1)
                if (w->workers[slot].alive) {
                        touch(w, slot);
                        break;
                }
        report_deaths(w);
}

/* One thing that is outstanding goes well; false when nothing is. */
static bool calm(struct world *w) {
        report_deaths(w);
        for (unsigned i = 1; i <= SLOTS; i++) {
                const struct worker *worker = w->workers + i;

                if (!worker->alive)
                        continue;
                if (worker->told_to_stop)
                        end_life(w, i, false, true);
                else if (worker->starting)
                        tell(w, i, SUPERVISE_STARTED, 0);
                else if (worker->busy)
                        tell(w, i, SUPERVISE_LOAD, 0);
                else if (!worker->ready && !worker->draining)
                        tell(w, i, SUPERVISE_READY, 1);
                else
                        continue;
                return true;
        }
        return false;
}

static void come_to_rest(struct world *w) {
        unsigned n = 0;
        supervise_info info;

        w->no_crash = true;
        while (calm(w))
                require(w->sim, ++n < 2000, 0);
        if (policy(w)->workers_max > 0) /* asks for nothing */
                set_load(w, info_of(w).n_wanted * (policy(w)->scale_up + policy(w)->scale_down) / 2);
        (void) feed(w, (supervise_event){ .type = SUPERVISE_START });
        (void) feed(w, (supervise_event){ .type = SUPERVISE_SCALE,
                                          .n = 1 + below(w->sim, N_MAX),
                                          .by_operator = true });
        for (;;) {
                while (calm(w))
                        require(w->sim, ++n < 2000, 0);
                if (w->armed == NSEC_INFINITY || w->armed > w->now + 3600 * NSEC_PER_SEC)
                        break;
                if (policy(w)->runtime_max > 0 && w->armed > w->now + 60 * NSEC_PER_SEC)
                        break; /* they would be recycled for ever */
                w->now = MAX(w->now, w->armed);
                (void) feed(w, (supervise_event){ .type = SUPERVISE_TICK });
                require(w->sim, ++n < 2000, 0);
        }
        info = info_of(w);
        require(w->sim, info.phase == SUPERVISE_PHASE_UP && !roll_is_on(&info), 0);
        require(w->sim, info.breaker == SUPERVISE_BREAKER_CLOSED && info.rolling == 0, 0);
        require(w->sim, info.n[SUPERVISE_SLOT_RUNNING] == info.n_wanted, 0);
        for (unsigned i = 1; i <= SLOTS; i++) {
                supervise_slot_info slot = slot_of(w, i);

                require(w->sim, slot.state == SUPERVISE_SLOT_UNUSED ||
                                slot.state == SUPERVISE_SLOT_RUNNING, i);
                if (slot.state == SUPERVISE_SLOT_RUNNING)
                        require(w->sim, slot.revision == info.revision && slot.ready, i);
        }
}

static void finish(struct world *w) {
        unsigned n = 0;

        (void) feed(w, (supervise_event){ .type = SUPERVISE_STOP });
        while (calm(w))
                require(w->sim, ++n < 2000, 0);
        require(w->sim, info_of(w).phase == SUPERVISE_PHASE_DOWN && w->armed == NSEC_INFINITY, 0);
        for (unsigned i = 1; i <= SLOTS; i++)
                require(w->sim, !w->workers[i].alive, i);
}

void history(struct simulation *sim) {
        struct world w = { .sim = sim,
                           .now = 100 * NSEC_PER_SEC,
                           .armed = NSEC_INFINITY,
                           .hot_since = NSEC_INFINITY,
                           .progress.stalled_since = NSEC_INFINITY,
                           .cold_since = NSEC_INFINITY };
        supervise_policy p = random_policy(&w);
        unsigned steps = 10 + below(sim, STEPS_MAX - 50);

        w.no_crash = one_in(sim, 3);
        w.crash_weight = one_in(sim, 3) ? 60 : below(sim, 30);
        w.verb_weight = one_in(sim, 3) ? 5 : below(sim, 40);
        w.bad_revision = 1 + below(sim, 6);
        w.mute_revision = 1 + below(sim, 6);
        require(sim, supervise_new(&p, 1 + below(sim, N_MAX), 0, draw(sim), &w.s) >= 0, 0);
        pump(&w);
        (void) feed(&w, (supervise_event){ .type = SUPERVISE_START });
        for (unsigned i = 0; i < steps; i++)
                if (begin_step(sim, i))
                        step(&w);
        come_to_rest(&w);
        finish(&w);
        sim->counts[OVERDUE] += w.progress.overdue;
        supervise_free(w.s);
}

int main(int argc, char *argv[]) {
        return simulate(argc, argv);
}
