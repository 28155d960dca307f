/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All decision state of a set as bytes and back, for the state journal: one entry for the set, one for
 * each slot. Little-endian, every field written out, each entry begins with its version. Decoding assumes
 * an enemy: sizes and enumerators are checked before use, and then the rules that the handlers of pool.c
 * keep are checked as a whole, so that what comes out is a state they could have made. */

#include "supervise/state.h"

/* 2: order, groups, significance, verdicts. 3: rolls, recycling, autoscale, breaker. 4: how long a roll
 * waits. All are read. */
#define ENCODING_VERSION 4U
#define ORDER_MAX (UINT64_MAX / 2)
#define HEAD_SIZE 299U
#define SLOT_SIZE 93U

static_assert(SUPERVISE_ENCODED_MAX >= HEAD_SIZE + 8 * (SUPERVISE_INTENSITY_MAX + 1), "the largest head");
static_assert(SUPERVISE_ENCODED_MAX >= SLOT_SIZE + 8 * (SUPERVISE_INTENSITY_MAX + 1), "the largest slot");

struct writer {
        uint8_t *p;
};

static void put(struct writer *w, uint64_t value, unsigned n_bytes) {
        for (unsigned i = 0; i < n_bytes; i++)
                *w->p++ = (uint8_t) (value >> (8 * i));
}

static void put_policy(struct writer *w, const supervise_policy *p) {
        put(w, p->strategy, 1);
        put(w, p->restart, 1);
        put(w, p->escalate, 1);
        put(w, p->intensity, 4);
        put(w, p->period, 8);
        put(w, p->backoff_min, 8);
        put(w, p->backoff_max, 8);
        put(w, p->backoff_factor, 4);
        put(w, p->backoff_jitter, 4);
        put(w, p->backoff_stable, 8);
        put(w, p->ordered, 1);
        put(w, p->auto_shutdown, 1);
        put(w, p->max_surge, 4);
        put(w, p->max_unavailable, 4);
        put(w, p->readiness, 1);
        put(w, p->drain, 8);
        put(w, p->runtime_max, 8);
        put(w, p->requests_max, 8);
        put(w, p->memory_max, 8);
        put(w, p->recycle_spread, 4);
        put(w, p->workers_min, 4);
        put(w, p->workers_max, 4);
        put(w, p->scale_up, 4);
        put(w, p->scale_down, 4);
        put(w, p->scale_up_after, 8);
        put(w, p->scale_down_after, 8);
        put(w, p->breaker_failures, 4);
        put(w, p->breaker_period, 8);
        put(w, p->breaker_min, 8);
        put(w, p->breaker_max, 8);
        put(w, p->min_ready, 8);
        put(w, p->progress_deadline, 8);
}

static void put_times(struct writer *w, const nsec_t *row, uint32_t n) {
        for (uint32_t i = 0; i < n; i++)
                put(w, row[i], 8);
}

int supervise_encode_head(const supervise *s, uint8_t *buffer, size_t size) {
        size_t needed = HEAD_SIZE + (size_t) s->n_failures * 8;
        struct writer w = { .p = buffer };

        if (size < needed)
                return -ENOBUFS;
        put(&w, ENCODING_VERSION, 1);
        put_policy(&w, &s->policy);
        put(&w, s->phase, 1);
        put(&w, s->verdict, 1);
        put(&w, s->culprit, 4);
        put(&w, s->life, 8);
        put(&w, s->group, 8);
        put(&w, s->revision, 8);
        put(&w, s->generation, 8);
        put(&w, s->random, 8);
        put(&w, s->clock, 8);
        put(&w, s->rolling, 4);
        put(&w, s->outdated, 1);
        put(&w, s->starting, 1);
        put(&w, s->slot_max, 4);
        put(&w, supervise_n_slots(s), 4);
        put(&w, s->n_target, 4);
        put(&w, s->roll, 1);
        put(&w, s->revision_from, 8);
        put(&w, s->revision_next, 8);
        put(&w, s->has_next, 1);
        put(&w, s->breaker, 1);
        put(&w, s->breaker_probe, 4);
        put(&w, s->breaker_until, 8);
        put(&w, s->breaker_delay, 8);
        put(&w, s->stalled_since, 8);
        put(&w, s->overdue, 1);
        put(&w, s->n_served, 4);
        put(&w, s->n_failures, 4);
        put_times(&w, s->failures, s->n_failures);
        assert((size_t) (w.p - buffer) == needed);
        return (int) needed;
}

int supervise_encode_slot(const supervise *s, uint32_t number, uint8_t *buffer, size_t size) {
        struct writer w = { .p = buffer };
        const struct slot *slot;
        size_t needed;

        if (number == 0 || number > s->slot_max || slot_at(s, number)->state == SUPERVISE_SLOT_UNUSED)
                return 0;
        slot = slot_at(s, number);
        needed = SLOT_SIZE + (size_t) slot->n_failures * 8;
        if (size < needed)
                return -ENOBUFS;
        put(&w, ENCODING_VERSION, 1);
        put(&w, slot->state, 1);
        put(&w, slot->restart, 1);
        put(&w, slot->then, 1);
        put(&w, slot->first, 1);
        put(&w, slot->credit, 1);
        put(&w, slot->ended, 1);
        put(&w, slot->exponent, 1);
        put(&w, (uint32_t) slot->reason, 4);
        put(&w, (uint32_t) slot->status, 4);
        put(&w, slot->generation, 8);
        put(&w, slot->revision, 8);
        put(&w, slot->revision_wanted, 8);
        put(&w, slot->lives, 8);
        put(&w, slot->since, 8);
        put(&w, slot->until, 8);
        put(&w, slot->ended_at, 8);
        put(&w, slot->significant, 1);
        put(&w, slot->shutdown, 8);
        put(&w, slot->order, 8);
        put(&w, slot->ready, 1);
        put(&w, slot->recycle, 1);
        put(&w, slot->n_failures, 2);
        put_times(&w, slot_row(s, number), slot->n_failures);
        assert((size_t) (w.p - buffer) == needed);
        return (int) needed;
}

/* Reading never fails at once: past the end, or for a bool that is none, it answers 0 and remembers. */
struct reader {
        const uint8_t *p;
        size_t left;
        unsigned version;
        bool bad;
};

static uint64_t get(struct reader *r, unsigned n_bytes) {
        uint64_t value = 0;

        if (r->left < n_bytes) {
                r->bad = true;
                return 0;
        }
        for (unsigned i = 0; i < n_bytes; i++)
                value |= (uint64_t) r->p[i] << (8 * i);
        r->p += n_bytes;
        r->left -= n_bytes;
        return value;
}

static uint64_t get_below64(struct reader *r, unsigned n_bytes, uint64_t end) {
        uint64_t value = get(r, n_bytes);

        if (value >= end) {
                r->bad = true;
                return 0;
        }
        return value;
}

static uint32_t get_below(struct reader *r, unsigned n_bytes, uint32_t end) {
        return (uint32_t) get_below64(r, n_bytes, end);
}

static bool get_bool(struct reader *r) {
        return get_below(r, 1, 2) == 1;
}

static void get_pool_policy(struct reader *r, supervise_policy *p) {
        p->max_surge = (uint32_t) get(r, 4);
        p->max_unavailable = (uint32_t) get(r, 4);
        p->readiness = get_bool(r);
        p->drain = get(r, 8);
        p->runtime_max = get(r, 8);
        p->requests_max = get(r, 8);
        p->memory_max = get(r, 8);
        p->recycle_spread = (uint32_t) get(r, 4);
        p->workers_min = (uint32_t) get(r, 4);
        p->workers_max = (uint32_t) get(r, 4);
        p->scale_up = (uint32_t) get(r, 4);
        p->scale_down = (uint32_t) get(r, 4);
        p->scale_up_after = get(r, 8);
        p->scale_down_after = get(r, 8);
        p->breaker_failures = (uint32_t) get(r, 4);
        p->breaker_period = get(r, 8);
        p->breaker_min = get(r, 8);
        p->breaker_max = get(r, 8);
        if (r->version >= 4) {
                p->min_ready = get(r, 8);
                p->progress_deadline = get(r, 8);
        }
}

static void get_policy(struct reader *r, supervise_policy *p) {
        p->strategy = get_below(r, 1, _SUPERVISE_STRATEGY_MAX);
        p->restart = get_below(r, 1, SUPERVISE_TEMPORARY + 1);
        p->escalate = get_bool(r);
        p->intensity = (uint32_t) get(r, 4);
        p->period = get(r, 8);
        p->backoff_min = get(r, 8);
        p->backoff_max = get(r, 8);
        p->backoff_factor = (uint32_t) get(r, 4);
        p->backoff_jitter = (uint32_t) get(r, 4);
        p->backoff_stable = get(r, 8);
        if (r->version >= 2) {
                p->ordered = get_bool(r);
                p->auto_shutdown = get_below(r, 1, SUPERVISE_AUTO_SHUTDOWN_ALL + 1);
        }
        p->max_unavailable = 1;
        if (r->version >= 3)
                get_pool_policy(r, p);
}

/* Rising, and none later than the clock. */
static void get_times(struct reader *r, const supervise *s, nsec_t *row, uint32_t n) {
        nsec_t last = 0;

        for (uint32_t i = 0; i < n; i++) {
                row[i] = get(r, 8);
                if (row[i] < last || row[i] > s->clock)
                        r->bad = true;
                last = row[i];
        }
}

static void get_slot(struct reader *r, const supervise *s, uint32_t number, struct slot *slot) {
        slot->state = get_below(r, 1, _SUPERVISE_SLOT_STATE_MAX);
        slot->restart = get_below(r, 1, SUPERVISE_TEMPORARY + 1);
        slot->then = get_below(r, 1, _THEN_MAX);
        slot->first = get_bool(r);
        slot->credit = get_bool(r);
        slot->ended = get_bool(r);
        slot->exponent = get_below(r, 1, SLOT_EXPONENT_MAX + 1);
        slot->reason = (int32_t) (uint32_t) get(r, 4);
        slot->status = (int32_t) (uint32_t) get(r, 4);
        slot->generation = get(r, 8);
        slot->revision = get(r, 8);
        slot->revision_wanted = get(r, 8);
        slot->lives = get(r, 8);
        slot->since = get(r, 8);
        slot->until = get(r, 8);
        slot->ended_at = get(r, 8);
        slot->order = number;
        if (r->version >= 2) {
                slot->significant = get_bool(r);
                slot->shutdown = get(r, 8);
                slot->order = get(r, 8);
        }
        if (r->version >= 3) {
                slot->ready = get_bool(r);
                slot->recycle = get_bool(r);
        }
        slot->n_failures = get_below(r, 2, s->row_size + 1);
}

static bool slot_may_be_first(const supervise *s, const struct slot *slot) {
        return s->starting && (slot->state == SUPERVISE_SLOT_STARTING || slot_will_start(slot));
}

/* Draining, recycling: workers only. Readiness and recycling: only of those that run. */
static bool slot_until_is_valid(const supervise *s, const struct slot *slot) {
        bool pool = s->policy.strategy == SUPERVISE_POOL, limited = slot->until != NSEC_INFINITY;

        if (slot->recycle && slot->state != SUPERVISE_SLOT_RUNNING)
                return false;
        if (slot->ready && slot->state != SUPERVISE_SLOT_RUNNING && slot->state != SUPERVISE_SLOT_DRAINING)
                return false;
        if (slot->recycle && (!pool || limited))
                return false;
        switch (slot->state) {
        case SUPERVISE_SLOT_RUNNING:
                return pool || !limited;
        case SUPERVISE_SLOT_DRAINING:
                return pool && limited;
        case SUPERVISE_SLOT_BACKOFF:
                return limited;
        default:
                return !limited;
        }
}

static bool slot_is_valid(const supervise *s, const struct slot *slot) {
        bool up = s->phase == SUPERVISE_PHASE_UP;

        if (slot->state == SUPERVISE_SLOT_UNUSED)
                return false;
        if (slot->since > s->clock || slot->ended_at > s->clock || slot->generation > s->generation)
                return false;
        if ((slot->lives == 0) != (slot->generation == 0) || (slot->ended && slot->lives == 0))
                return false;
        if (state_is_alive(slot->state) && slot->lives == 0)
                return false;
        if (!slot_until_is_valid(s, slot))
                return false;
        if (slot->first && !slot_may_be_first(s, slot))
                return false;
        if (slot->order == 0 || slot->order > ORDER_MAX)
                return false;
        if (slot->significant && (slot->restart == SUPERVISE_PERMANENT ||
                                  s->policy.strategy == SUPERVISE_POOL))
                return false;
        if (slot->state == SUPERVISE_SLOT_WAITING && !up)
                return false;
        if (slot->state == SUPERVISE_SLOT_DRAINING)
                return up && (slot->then == THEN_RESTART || slot->then == THEN_REMOVE);
        if (slot->then == THEN_WAIT && !strategy_is_group(s))
                return false;
        if (slot->state == SUPERVISE_SLOT_STOPPING)
                return slot->then != THEN_END || !up;
        if (slot->then != THEN_END)
                return false;

        switch (s->phase) {
        case SUPERVISE_PHASE_DOWN:
                return slot->state == SUPERVISE_SLOT_IDLE;
        case SUPERVISE_PHASE_STOPPING:
                return slot->state == SUPERVISE_SLOT_IDLE || state_is_alive(slot->state);
        case SUPERVISE_PHASE_GIVING_UP:
                return slot->state != SUPERVISE_SLOT_BACKOFF;
        case SUPERVISE_PHASE_FAILED:
                return slot->state != SUPERVISE_SLOT_BACKOFF && !state_is_alive(slot->state);
        default:
                return true;
        }
}

static bool pool_is_valid(const supervise *s) {
        bool up = s->phase == SUPERVISE_PHASE_UP;

        /* Never further from its size than a roll takes it. */
        if (up && (pool_present(s) > s->n_target + SUPERVISE_SURGE_MAX ||
                   s->n_target > pool_present(s) + SUPERVISE_SURGE_MAX))
                return false;
        if ((roll_is_active(s) && !up) || (s->has_next && !roll_is_active(s)))
                return false;
        if (s->stalled_since == NSEC_INFINITY)
                return !s->overdue;
        return s->stalled_since <= s->clock &&
               (s->roll == SUPERVISE_ROLL_GOING || s->roll == SUPERVISE_ROLL_HALTED);
}

static bool breaker_is_valid(const supervise *s) {
        bool up = s->phase == SUPERVISE_PHASE_UP, open = s->breaker == SUPERVISE_BREAKER_OPEN;

        if (open != (s->breaker_until != NSEC_INFINITY) || s->breaker_probe > s->slot_max)
                return false;
        if (s->breaker_probe > 0 && s->breaker != SUPERVISE_BREAKER_HALF_OPEN)
                return false;
        if (s->breaker_delay > BACKOFF_LONGEST)
                return false;
        return s->breaker == SUPERVISE_BREAKER_CLOSED ||
               (up && s->policy.breaker_failures > 0 && s->breaker_delay > 0);
}

static bool roll_is_valid(const supervise *s) {
        const struct slot *slot;

        if (s->policy.strategy == SUPERVISE_POOL)
                return !s->outdated && s->rolling <= s->slot_max && pool_is_valid(s) &&
                       breaker_is_valid(s);
        if (s->roll != SUPERVISE_ROLL_NONE || s->breaker != SUPERVISE_BREAKER_CLOSED ||
            s->stalled_since != NSEC_INFINITY)
                return false;
        if (s->rolling == 0)
                return !s->outdated;
        if (!s->outdated || s->phase != SUPERVISE_PHASE_UP || s->rolling > s->slot_max)
                return false;
        slot = slot_at(s, s->rolling);
        return slot->state == SUPERVISE_SLOT_STARTING || slot->state == SUPERVISE_SLOT_BACKOFF ||
               slot->state == SUPERVISE_SLOT_FAILED || slot_will_start(slot);
}

/* No two of the same order; a group only where there are any; a verdict that such a set can come to. */
static bool order_is_valid(const supervise *s) {
        for (uint32_t i = s->first; i > 0; i = slot_at(s, i)->next) {
                const struct slot *slot = slot_at(s, i);

                if (slot->next > 0 && slot->order == slot_at(s, slot->next)->order)
                        return false;
        }
        return s->group == 0 || (strategy_is_group(s) && s->phase == SUPERVISE_PHASE_UP);
}

static bool verdict_is_valid(const supervise *s) {
        if (s->culprit > s->slot_max ||
            (s->culprit > 0 && slot_at(s, s->culprit)->state == SUPERVISE_SLOT_UNUSED))
                return false;
        switch (s->verdict) {
        case SUPERVISE_ACTION_STOPPED:
                return s->phase != SUPERVISE_PHASE_GIVING_UP && s->phase != SUPERVISE_PHASE_FAILED;
        case SUPERVISE_ACTION_SHUTDOWN:
                return s->phase != SUPERVISE_PHASE_GIVING_UP && s->phase != SUPERVISE_PHASE_FAILED &&
                       s->policy.strategy != SUPERVISE_POOL;
        case SUPERVISE_ACTION_GAVE_UP:
                return s->policy.strategy == SUPERVISE_POOL && s->phase != SUPERVISE_PHASE_STOPPING;
        case SUPERVISE_ACTION_ESCALATE:
        case SUPERVISE_ACTION_START_FAILED:
                return s->policy.strategy != SUPERVISE_POOL && s->phase != SUPERVISE_PHASE_STOPPING;
        default:
                return false;
        }
}

/* What settle() leaves behind: nothing that is due, nothing that would never end. After
 * supervise_derive(). */
static bool set_is_valid(const supervise *s) {
        bool down = s->phase == SUPERVISE_PHASE_DOWN || s->phase == SUPERVISE_PHASE_FAILED,
             pool = s->policy.strategy == SUPERVISE_POOL;

        if (!down && s->phase != SUPERVISE_PHASE_UP) {
                if (supervise_n_alive(s) == 0 || s->n[SUPERVISE_SLOT_BACKOFF] > 0)
                        return false;
                if (s->n[SUPERVISE_SLOT_STOPPING] == 0)
                        return false;
                if (pool && s->n[SUPERVISE_SLOT_STOPPING] != supervise_n_alive(s))
                        return false;
        }
        if (s->starting && (s->phase != SUPERVISE_PHASE_UP || s->n_first == 0))
                return false;
        if (s->phase == SUPERVISE_PHASE_UP && supervise_is_lost(s))
                return false;
        return true;
}

static int get_version(struct reader *r) {
        r->version = (unsigned) get(r, 1);
        if (r->version == 0)
                return -EBADMSG;
        return r->version > ENCODING_VERSION ? -EPROTONOSUPPORT : 0;
}

/* What the phase says of a set of version 1. */
static supervise_action_type verdict_of(const supervise *s) {
        if (s->phase == SUPERVISE_PHASE_STOPPING || s->phase == SUPERVISE_PHASE_DOWN)
                return SUPERVISE_ACTION_STOPPED;
        return s->policy.strategy == SUPERVISE_POOL ? SUPERVISE_ACTION_GAVE_UP : SUPERVISE_ACTION_ESCALATE;
}

static void get_verdict(struct reader *r, supervise *s) {
        s->verdict = verdict_of(s);
        if (r->version < 2)
                return;
        s->verdict = get_below(r, 1, SUPERVISE_ACTION_ARM);
        s->culprit = get_below(r, 4, SUPERVISE_SLOTS_MAX + 1);
        s->life = get(r, 8);
        s->group = get(r, 8);
}

static void get_pool(struct reader *r, supervise *s) {
        s->breaker_until = s->stalled_since = NSEC_INFINITY;
        if (r->version < 3)
                return;
        s->n_target = get_below(r, 4, SUPERVISE_SLOTS_MAX + 1);
        s->roll = get_below(r, 1, _SUPERVISE_ROLL_MAX);
        s->revision_from = get(r, 8);
        s->revision_next = get(r, 8);
        s->has_next = get_bool(r);
        s->breaker = get_below(r, 1, _SUPERVISE_BREAKER_MAX);
        s->breaker_probe = get_below(r, 4, SUPERVISE_SLOTS_MAX + 1);
        s->breaker_until = get(r, 8);
        s->breaker_delay = get(r, 8);
        if (r->version >= 4) {
                s->stalled_since = get(r, 8);
                s->overdue = get_bool(r);
                s->n_served = get_below(r, 4, SUPERVISE_SLOTS_MAX + 1);
        }
}

/* A pool of versions 1 and 2 knew its size by its slots, and a roll by a flag; one of version 3 did not know
 * since when it had waited. */
static void upgrade_pool(supervise *s) {
        if (s->policy.strategy != SUPERVISE_POOL)
                return;
        if (s->head_version < 4 && (s->roll == SUPERVISE_ROLL_GOING || s->outdated))
                s->stalled_since = s->clock;
        if (s->head_version >= 3)
                return;
        s->n_target = pool_present(s);
        if (!s->outdated)
                return;
        s->outdated = false;
        s->roll = SUPERVISE_ROLL_GOING;
        s->revision_from = s->revision;
        for (uint32_t i = 1; i <= s->slot_max; i++)
                if (state_is_alive(slot_at(s, i)->state) && slot_at(s, i)->revision != s->revision)
                        s->revision_from = slot_at(s, i)->revision;
}

int supervise_decode_begin(const uint8_t *data, size_t size, supervise **ret) {
        struct reader reader = { .p = data, .left = size };
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy policy = {};
        uint32_t n_failures;
        int r;

        r = get_version(&reader);
        if (r < 0)
                return r;
        get_policy(&reader, &policy);
        if (reader.bad || !policy_is_valid(&policy))
                return -EBADMSG;
        r = supervise_allocate(&policy, 0, &s);
        if (r < 0)
                return r;

        s->phase = get_below(&reader, 1, _SUPERVISE_PHASE_MAX);
        get_verdict(&reader, s);
        s->revision = get(&reader, 8);
        s->generation = get(&reader, 8);
        s->random = get(&reader, 8);
        s->clock = get_below64(&reader, 8, (uint64_t) INT64_MAX + 1);
        s->rolling = get_below(&reader, 4, SUPERVISE_SLOTS_MAX + 1);
        s->outdated = get_bool(&reader);
        s->starting = get_bool(&reader);
        s->expected_slot_max = get_below(&reader, 4, SUPERVISE_SLOTS_MAX + 1);
        s->expected_slots = get_below(&reader, 4, s->expected_slot_max + 1);
        get_pool(&reader, s);
        n_failures = get_below(&reader, 4, s->row_size + 1);
        get_times(&reader, s, s->failures, n_failures);
        if (reader.bad || reader.left > 0)
                return -EBADMSG;
        if (n_failures > 0 && policy.strategy == SUPERVISE_POOL && policy.breaker_failures == 0)
                return -EBADMSG;
        s->n_failures = n_failures;
        s->head_version = reader.version;
        *ret = TAKE_PTR(s);
        return 0;
}

int supervise_decode_slot(supervise *s, uint32_t number, const uint8_t *data, size_t size) {
        struct reader reader = { .p = data, .left = size };
        struct slot slot = { .heap_index = HEAP_NONE };
        int r;

        r = get_version(&reader);
        if (r < 0)
                return r;
        if (number == 0 || number > s->expected_slot_max)
                return -EBADMSG;
        get_slot(&reader, s, number, &slot);
        if (reader.bad || !slot_is_valid(s, &slot))
                return -EBADMSG;
        r = supervise_reserve(s, number);
        if (r < 0)
                return r;
        if (slot_at(s, number)->state != SUPERVISE_SLOT_UNUSED)
                return -EBADMSG;
        get_times(&reader, s, slot_row(s, number), slot.n_failures);
        if (reader.bad || reader.left > 0)
                return -EBADMSG;
        *slot_at(s, number) = slot;
        return 0;
}

int supervise_decode_finish(supervise *s) {
        supervise_derive(s);
        if (s->slot_max != s->expected_slot_max || supervise_n_slots(s) != s->expected_slots)
                return -EBADMSG;
        upgrade_pool(s);
        if (!order_is_valid(s) || !verdict_is_valid(s) || !roll_is_valid(s) || !set_is_valid(s))
                return -EBADMSG;
        supervise_derive(s);
        return s->policy.strategy == SUPERVISE_POOL ? supervise_reserve(s, pool_slots_needed(s,
                        s->n_target)) :
                                                      0;
}
