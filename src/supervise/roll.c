/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers of a pool replaced one after the other: all of them by a new definition (a roll), or one by its
 * like (recycling). Called by handle.c after each event, as long as there is anything to replace. With
 * max_surge, replacements are new slots, and an old one leaves when enough others are ready; without, a
 * worker is started again in its own slot, at most max_unavailable at a time. */

#include "supervise/state.h"

/* A pool as a roll sees it. */
struct view {
        uint32_t present; /* slots that are not leaving */
        uint32_t ready;   /* serve now, and can be believed to go on */
        uint32_t old;     /* live, and are to be replaced */
        uint32_t coming;  /* do not serve yet, or not any more: starting, in backoff, failed, restarted */
        uint32_t resting; /* by themselves or by an operator: nobody expects them to serve */
        uint32_t first_coming, failing, candidate;
        uint32_t served;  /* new ones that do so now */
        uint32_t awaited; /* who of those that are coming has not been ready for the longest */
        /* of those that are coming: given up as what they are to be; or as what they were, and the last */
        uint32_t parked, n_stranded, stranded;
};

bool roll_is_active(const supervise *s) {
        return s->roll == SUPERVISE_ROLL_GOING || s->roll == SUPERVISE_ROLL_HALTED ||
               s->roll == SUPERVISE_ROLL_TURNING_BACK;
}

bool slot_is_ready(const supervise *s, const struct slot *slot) {
        return slot->state == SUPERVISE_SLOT_RUNNING && (slot->ready || !s->policy.readiness);
}

bool slot_is_proven(const supervise *s, const struct slot *slot) {
        return slot_is_ready(s, slot) && time_add(slot->since, s->policy.min_ready) <= s->clock;
}

nsec_t roll_due(const supervise *s) {
        nsec_t due = NSEC_INFINITY;

        if (s->policy.min_ready == 0 || s->phase != SUPERVISE_PHASE_UP ||
            !(roll_is_active(s) || s->rolling > 0 || s->n_recycle > 0 ||
              pool_present(s) > s->n_target || s->breaker == SUPERVISE_BREAKER_HALF_OPEN))
                return NSEC_INFINITY;
        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (slot_is_ready(s, slot_at(s, i)) && !slot_is_proven(s, slot_at(s, i)))
                        due = MIN(due, time_add(slot_at(s, i)->since, s->policy.min_ready));
        return due;
}

/* While a roll is halted, an old worker that ends by itself must not be lost to a definition that does not
 * start. */
uint64_t roll_revision(const supervise *s, const struct slot *slot) {
        bool was_old = slot->lives > 0 && slot->revision == s->revision_from;

        return s->roll == SUPERVISE_ROLL_HALTED && was_old ? s->revision_from : slot->revision_wanted;
}

/* The life is not what is wanted. Recycled is one at a time, and never during a roll. */
static bool is_old(const supervise *s, uint32_t number, uint32_t recycled) {
        const struct slot *slot = slot_at(s, number);

        if (slot->state != SUPERVISE_SLOT_STARTING && slot->state != SUPERVISE_SLOT_RUNNING)
                return false;
        return slot->revision != slot->revision_wanted || number == recycled;
}

static bool is_resting(const struct slot *slot) {
        return slot->state == SUPERVISE_SLOT_HELD || slot->state == SUPERVISE_SLOT_IDLE ||
               (slot->state == SUPERVISE_SLOT_STOPPING && slot->then == THEN_HOLD);
}

/* It is for the roll to wait for it: it does not come after somebody else's end, nor after some time. */
static bool is_awaited(const supervise *s, const struct slot *slot) {
        return !slot_is_ready(s, slot) && !state_is_ending(slot->state) &&
               slot->state != SUPERVISE_SLOT_WAITING;
}

/* New ones before those that have still to become so. */
static bool is_awaited_before(const supervise *s, const struct slot *a, const struct slot *b) {
        bool x = a->revision == s->revision, y = b->revision == s->revision;

        return x != y ? x : a->since < b->since;
}

static unsigned service(const supervise *s, const struct slot *slot) {
        return slot_is_ready(s, slot) + slot_is_proven(s, slot);
}

/* Who does not serve costs nothing. */
static bool goes_before(const supervise *s, uint32_t a, uint32_t b) {
        unsigned x = service(s, slot_at(s, a)), y = service(s, slot_at(s, b));

        return x != y ? x < y : pool_leaves_before(s, a, b);
}

static void look_at(const supervise *s, uint32_t number, uint32_t recycled, struct view *v) {
        const struct slot *slot = slot_at(s, number);

        v->present++;
        v->ready += slot_is_proven(s, slot);
        if (is_resting(slot))
                v->resting++;
        else if (is_old(s, number, recycled)) {
                v->old++;
                if (v->candidate == 0 || goes_before(s, number, v->candidate))
                        v->candidate = number;
        } else if (!slot_is_proven(s, slot)) {
                if (v->coming++ == 0)
                        v->first_coming = number;
                if (slot->state == SUPERVISE_SLOT_FAILED && slot->revision == s->revision)
                        v->parked++;
                else if (slot->state == SUPERVISE_SLOT_FAILED && roll_is_active(s)) {
                        v->n_stranded++;
                        v->stranded = number;
                }
                if ((slot->state == SUPERVISE_SLOT_BACKOFF || slot->state == SUPERVISE_SLOT_FAILED) &&
                    slot->revision == s->revision)
                        v->failing = number;
                if (is_awaited(s, slot) &&
                    (v->awaited == 0 || is_awaited_before(s, slot, slot_at(s, v->awaited))))
                        v->awaited = number;
        } else
                v->served++;
}

static struct view look(const supervise *s, uint32_t recycled) {
        struct view v = {};

        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (slot_find(s, i))
                        look_at(s, i, recycled, &v);
        return v;
}

uint32_t roll_awaits(const supervise *s) {
        return roll_is_active(s) ? look(s, 0).awaited : 0;
}

nsec_t roll_until(const supervise *s) {
        nsec_t deadline = s->policy.progress_deadline;

        return deadline > 0 && !s->overdue ? time_add(s->stalled_since, deadline) : NSEC_INFINITY;
}

static void set_stalled(supervise *s, nsec_t since) {
        s->head_dirty = s->head_dirty || since != s->stalled_since;
        s->stalled_since = since;
        s->overdue = s->overdue && since != NSEC_INFINITY;
}

/* Once it is overdue, only who serves helps. */
void roll_note_progress(supervise *s) {
        if (!s->overdue)
                set_stalled(s, NSEC_INFINITY);
}

void roll_note_stalled(supervise *s) {
        struct view v = {};

        if (roll_is_active(s))
                v = look(s, 0);
        s->awaited = v.awaited;
        if (s->roll == SUPERVISE_ROLL_TURNING_BACK)
                v.awaited = 0; /* for as long as it takes */
        set_stalled(s, v.awaited > 0 && v.failing == 0 ? MIN(s->stalled_since, s->clock) : NSEC_INFINITY);
}

/* Whom recycling comes to next. */
static uint32_t next_recycled(const supervise *s) {
        for (uint32_t i = 1; i <= s->slot_max && s->n_recycle > 0; i++)
                if (slot_at(s, i)->recycle && slot_at(s, i)->state == SUPERVISE_SLOT_RUNNING)
                        return i;
        return 0;
}

/* Never more than N + max_surge, those that leave included. */
static uint32_t room(const supervise *s) {
        uint32_t limit = MIN(s->n_target + s->policy.max_surge, SUPERVISE_SLOTS_MAX);

        return limit - MIN(limit, supervise_n_slots(s));
}

/* Enough others serve. */
static bool is_spared(const supervise *s, const struct view *v, uint32_t number) {
        uint32_t floor = s->n_target - MIN(s->n_target, v->resting + s->policy.max_unavailable);
        unsigned costs = service(s, slot_at(s, number));

        return costs == 0 || v->ready >= floor + (costs > 1);
}

/* One step; false if the roll has to wait. */
static bool replace_one(supervise *s, const struct view *v, bool recycling) {
        const supervise_policy *p = &s->policy;
        bool spared = is_spared(s, v, v->candidate);

        if (p->max_surge == 0 && v->present <= s->n_target) {
                if (!spared || v->coming >= (recycling ? 1 : p->max_unavailable))
                        return false;
                pool_retire(s, v->candidate, THEN_RESTART);
                return true;
        }
        if (spared && v->present + p->max_unavailable > s->n_target &&
            (!recycling || (v->coming == 0 && v->present >= s->n_target))) {
                pool_retire(s, v->candidate, THEN_REMOVE);
                return true;
        }
        if (v->present >= s->n_target + MIN(v->old, p->max_surge) || room(s) == 0 ||
            (recycling && v->coming > 0))
                return false;
        life_begin(s, slot_take(s, 0, p->restart, s->revision));
        return true;
}

static void set_roll(supervise *s, supervise_roll roll, supervise_action_type told, uint32_t number) {
        if (s->roll == roll)
                return;
        s->roll = roll;
        s->head_dirty = true;
        if (told != SUPERVISE_ACTION_ARM)
                action_push(s, told, number);
}

/* All slots want this definition. What waits or failed under another serves nobody, and tries it at
 * once. */
static void retarget(supervise *s, uint64_t revision) {
        s->revision = revision;
        breaker_close(s);
        for (uint32_t i = 1; i <= s->slot_max; i++) {
                struct slot *slot = slot_find(s, i);

                if (!slot || slot->revision_wanted == revision)
                        continue;
                slot_mark(s, i);
                slot->revision_wanted = revision;
                if (s->phase == SUPERVISE_PHASE_UP &&
                    (slot->state == SUPERVISE_SLOT_BACKOFF || slot->state == SUPERVISE_SLOT_FAILED)) {
                        if (pool_present(s) > s->n_target) { /* of a surge: others serve */
                                slot_remove(s, i);
                                continue;
                        }
                        slot_forgive(s, i);
                        life_begin(s, i);
                }
        }
}

static bool turn_back(supervise *s) {
        uint64_t aborted = s->revision;

        if (s->roll != SUPERVISE_ROLL_GOING && s->roll != SUPERVISE_ROLL_HALTED)
                return false;
        set_roll(s, SUPERVISE_ROLL_TURNING_BACK, SUPERVISE_ACTION_ARM, 0);
        retarget(s, s->revision_from);
        s->revision_from = aborted;
        return true;
}

/* Whether any life of the definition that is being rolled out serves. */
static bool target_serves(const supervise *s) {
        for (uint32_t i = 1; i <= s->slot_max; i++) {
                const struct slot *slot = slot_find(s, i);

                if (slot && slot->revision == s->revision && slot_is_ready(s, slot))
                        return true;
        }
        return false;
}

/* Nobody of the definition under way serves yet: they make room for the next one at once. */
static void stop_target(supervise *s) {
        for (uint32_t i = 1; i <= s->slot_max; i++) {
                struct slot *slot = slot_find(s, i);

                if (slot && slot->revision == s->revision &&
                    (slot->state == SUPERVISE_SLOT_STARTING || slot->state == SUPERVISE_SLOT_RUNNING))
                        pool_retire(s, i, THEN_RESTART);
        }
}

/* A third generation does not come before one of the two that serve has gone: the one under way is
 * finished first, or turned back if it is halted. */
static void start_roll(supervise *s, uint64_t revision) {
        if (!roll_is_active(s))
                s->revision_from = s->revision;
        else if (s->roll == SUPERVISE_ROLL_TURNING_BACK || target_serves(s)) {
                s->revision_next = revision;
                s->has_next = true;
                if (s->roll == SUPERVISE_ROLL_HALTED)
                        (void) turn_back(s);
                return;
        } else
                stop_target(s);
        s->has_next = false;
        s->mixed = true;
        s->roll = SUPERVISE_ROLL_GOING;
        s->n_served = 0;
        set_stalled(s, NSEC_INFINITY);
        s->head_dirty = true;
        retarget(s, revision);
}

int roll_abort(supervise *s) {
        if (s->policy.strategy != SUPERVISE_POOL)
                return -EOPNOTSUPP;
        if (!roll_is_active(s))
                return -ENOENT;
        s->has_next = false;
        (void) turn_back(s);
        return 0;
}

int roll_define(supervise *s, uint64_t revision) {
        int r;

        r = supervise_reserve(s, pool_slots_needed(s, s->n_target));
        if (r < 0)
                return r;
        if (s->phase != SUPERVISE_PHASE_UP)
                retarget(s, revision);
        else if (revision == s->revision)
                s->has_next = false;
        else if (roll_is_active(s) && revision == s->revision_from && s->roll != SUPERVISE_ROLL_TURNING_BACK)
                return roll_abort(s);
        else
                start_roll(s, revision);
        return 0;
}

static void finish_roll(supervise *s) {
        if (s->roll == SUPERVISE_ROLL_TURNING_BACK)
                set_roll(s, SUPERVISE_ROLL_ABORTED, SUPERVISE_ACTION_ROLL_ABORTED, 0);
        else
                set_roll(s, SUPERVISE_ROLL_DONE, SUPERVISE_ACTION_ROLL_DONE, 0);
        if (s->has_next)
                start_roll(s, s->revision_next);
}

/* One too many, since a worker that was to be replaced has gone by itself. False: who would have to go is
 * needed until another one can be believed to serve. */
static bool trim(supervise *s, const struct view *v) {
        uint32_t best = 0;

        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (slot_find(s, i) && !is_resting(slot_at(s, i)) && (best == 0 || goes_before(s, i, best)))
                        best = i;
        if (best > 0 && !is_spared(s, v, best))
                return false;
        if (best > 0)
                pool_retire(s, best, THEN_REMOVE);
        else
                pool_shrink(s, 1);
        return true;
}

static void note_rolling(supervise *s, uint32_t number) {
        s->head_dirty = s->head_dirty || s->rolling != number;
        s->rolling = number;
}

/* True: for somebody who is not ready it has come to its deadline just now. */
static bool is_overdue(supervise *s, const struct view *v) {
        if (v->served > s->n_served) {
                s->n_served = v->served;
                s->head_dirty = true;
                set_stalled(s, NSEC_INFINITY);
        }
        if (v->awaited == 0) /* for now: somebody whose turn comes may be next */
                set_stalled(s, NSEC_INFINITY);
        if (v->failing > 0 || roll_until(s) > s->clock)
                return false;
        s->overdue = s->head_dirty = true;
        return true;
}

/* True: it turns back, and all is to be looked at anew. */
static bool judge_roll(supervise *s, const struct view *v) {
        bool going = s->roll == SUPERVISE_ROLL_GOING, halted = s->roll == SUPERVISE_ROLL_HALTED,
             overdue = (going || halted) && is_overdue(s, v);

        if (going && (v->failing > 0 || overdue)) {
                set_roll(s, SUPERVISE_ROLL_HALTED, SUPERVISE_ACTION_ROLL_HALTED,
                         v->failing > 0 ? v->failing : v->awaited);
                return s->has_next && turn_back(s);
        }
        if (halted && v->coming == v->n_stranded) {
                set_roll(s, SUPERVISE_ROLL_GOING, SUPERVISE_ACTION_ARM, 0);
                s->n_served = v->served;
                set_stalled(s, NSEC_INFINITY);
        } else if (halted && overdue)
                action_push(s, SUPERVISE_ACTION_ROLL_HALTED, v->awaited);
        return false;
}

void roll_go_on(supervise *s) {
        struct view v;

        for (;;) {
                bool active = roll_is_active(s);
                uint32_t recycled = active ? 0 : next_recycled(s);

                v = look(s, recycled);
                note_rolling(s, active || recycled > 0 || s->rolling > 0 ? v.first_coming : 0);
                if (judge_roll(s, &v))
                        continue;
                if (v.stranded > 0 && s->roll != SUPERVISE_ROLL_HALTED) {
                        /* given up as what it was: nobody else comes by, and the roll would wait for it */
                        slot_forgive(s, v.stranded);
                        life_begin(s, v.stranded);
                        continue;
                }
                if (v.present < s->n_target && room(s) > 0) {
                        pool_grow(s, MIN(s->n_target - v.present, room(s)));
                        s->rolling = s->slot_max; /* found anew by the next look */
                        continue;
                }
                if (v.candidate > 0 && s->roll != SUPERVISE_ROLL_HALTED) {
                        if (!replace_one(s, &v, !active))
                                return;
                        roll_note_progress(s);
                        continue;
                }
                if (v.old > 0)
                        return; /* halted */
                if (v.present > s->n_target) {
                        if (!trim(s, &v))
                                return;
                        continue;
                }
                if (!active || v.present < s->n_target)
                        return;
                /* who is given up by the definition before will not be better by waiting; and what is to be
                 * rolled out next may be */
                if (v.coming > (s->roll == SUPERVISE_ROLL_TURNING_BACK ? v.parked : 0))
                        return;
                finish_roll(s);
        }
}

/* At most two generations live: a third one waits for the end of the others. */
bool roll_may_begin(supervise *s, const struct slot *begun) {
        uint64_t wanted = roll_revision(s, begun), other = wanted;
        bool mixed = false;

        if (!s->mixed)
                return true;
        for (uint32_t i = 1; i <= s->slot_max; i++) {
                const struct slot *slot = slot_at(s, i);

                if (slot == begun || !state_is_alive(slot->state))
                        continue;
                if (slot->revision == wanted)
                        continue;
                if (mixed && slot->revision != other)
                        return false;
                other = slot->revision;
                mixed = true;
        }
        s->mixed = mixed || roll_is_active(s);
        return true;
}

/* Recycling. Limits are spread by the generation, so that workers that were started together do not leave
 * together, and nothing has to be remembered. */
static uint64_t spread(const supervise *s, uint64_t limit, uint64_t generation) {
        uint64_t percent = s->policy.recycle_spread,
                 most = limit / 100 * percent + limit % 100 * percent / 100;

        return limit == 0 ? 0 : limit - (most > 0 ? scatter(generation) % (most + 1) : 0);
}

nsec_t recycle_time(const supervise *s, const struct slot *slot, nsec_t since) {
        nsec_t runtime = spread(s, s->policy.runtime_max, slot->generation);

        return runtime > 0 ? time_add(since, runtime) : NSEC_INFINITY;
}

void recycle_limits(const supervise *s, const struct slot *slot, supervise_slot_info *ret) {
        ret->requests_max = spread(s, s->policy.requests_max, slot->generation);
        ret->memory_max = spread(s, s->policy.memory_max, ~slot->generation);
}
