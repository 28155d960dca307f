/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state behind supervise.h, for the files of src/supervise only. What survives (the set's first half,
 * slots, failure times) is plain data; the rest is derived from it and made anew by supervise_derive(). */

#include "supervise/supervise.h"

#define SLOT_EXPONENT_MAX 63U
#define HEAP_NONE UINT32_MAX
/* 73 years: a restart that is put off is never put off to the end of time, jitter and clock included. */
#define BACKOFF_LONGEST ((nsec_t) INT64_MAX / 4)

/* What becomes of a slot in STOPPING or DRAINING. */
enum slot_then {
        THEN_END, /* the set stops */
        THEN_RESTART,
        THEN_REMOVE,
        THEN_HOLD,
        THEN_WAIT, /* a bystander, stopped by the strategy: starts again in its turn */
        THEN_FAIL, /* it was unhealthy: its end is a failure */
        _THEN_MAX,
};

struct slot {
        supervise_slot_state state;
        supervise_restart restart;
        enum slot_then then;
        bool first;      /* the start that STARTED_ALL waits for */
        bool credit;     /* one restart at once is still free */
        bool significant;
        bool ready;      /* RUNNING or DRAINING: its readiness probe is good */
        bool recycle;    /* RUNNING, and is to be replaced by its like */
        bool busy;       /* not written: reported again after a crash */
        bool ended;      /* reason, status, ended_at hold */
        uint32_t exponent; /* k */
        uint32_t n_failures;
        int32_t reason, status;
        uint64_t generation, revision, revision_wanted, lives;
        nsec_t since, until, ended_at, shutdown;
        uint64_t order;      /* among the set's children, unique, rising */
        uint32_t prev, next; /* derived: the list by order, 0 is its end */
        uint32_t heap_index; /* derived; HEAP_NONE: not in the heap */
        bool dirty;          /* derived: in the list of what is to be written */
};

struct supervise {
        supervise_policy policy;
        supervise_phase phase;
        supervise_action_type verdict; /* GIVING_UP, STOPPING: what is told at the end; then: what was */
        uint32_t culprit;              /* the slot of the verdict, or 0 */
        uint64_t life;                 /* to the parent, see START */
        uint64_t group; /* one-for-all, rest-for-one: who has this order or a later one comes down first */
        uint64_t revision, generation, random;
        nsec_t clock; /* the latest `now` */
        uint32_t rolling;
        bool outdated, starting; /* starting: STARTED_ALL is owed */
        uint32_t n_failures;     /* of the set's own window or the breaker's, row 0 */

        /* pools */
        uint32_t n_target; /* N */
        supervise_roll roll;
        uint64_t revision_from, revision_next; /* where turning back leads to; what is rolled out next */
        bool has_next;
        nsec_t stalled_since; /* GOING, HALTED: it awaits a worker, without progress; or NSEC_INFINITY */
        bool overdue;         /* and that for too long; it has been told */
        uint32_t n_served;    /* the most new workers that have served at a time, in this roll */
        supervise_breaker breaker;
        uint32_t breaker_probe; /* HALF_OPEN: the slot that is tried, or 0 */
        nsec_t breaker_until, breaker_delay;
        uint64_t load; /* and since when it asks for another size; not written, it is reported again */
        nsec_t hot_since, cold_since;

        /* One block of memory: slots[n_allocated], ring, (n_allocated + 1) rows of failure times, heap,
         * scratch, dirty. A slot begins a line of the cache and is two of them. */
        void *block;
        uint32_t n_allocated, row_size;
        struct slot *slots; /* of number i: slots[i - 1] */
        nsec_t *failures;   /* rows, oldest first; row 0 is the set's */
        uint32_t *heap, *scratch, *dirty;
        supervise_action *ring;
        size_t ring_size, ring_head, ring_used;

        /* derived */
        uint32_t n[_SUPERVISE_SLOT_STATE_MAX];
        uint32_t n_leaving, n_first, n_heap, n_dirty, slot_max, free_hint, stop_cursor;
        uint32_t first, last; /* of the list by order */
        uint32_t start_cursor; /* nobody before it in order waits, or holds up who waits; 0: nobody does */
        uint32_t n_recycle;
        uint32_t awaited; /* whose readiness a roll waits for, or 0 */
        bool mixed; /* more than one revision may be alive */
        bool head_dirty;
        uint64_t n_restarts;
        nsec_t armed;
        uint32_t expected_slot_max, expected_slots,
                        head_version; /* while decoding: what the head has announced */
};

/* state.c */
bool policy_is_valid(const supervise_policy *p);
int supervise_allocate(const supervise_policy *policy, uint32_t n, supervise **ret);
int supervise_reserve(supervise *s, uint32_t n);
void supervise_derive(supervise *s);
/* Of a pool: some slot failed and none serves, will serve, or is held by an operator. */
bool supervise_is_lost(const supervise *s);

static inline struct slot *slot_at(const supervise *s, uint32_t number) {
        return s->slots + number - 1;
}
static inline nsec_t *slot_row(const supervise *s, uint32_t number) {
        return s->failures + (size_t) number * s->row_size;
}
static inline bool state_is_alive(supervise_slot_state state) {
        return state == SUPERVISE_SLOT_STARTING || state == SUPERVISE_SLOT_RUNNING ||
               state == SUPERVISE_SLOT_STOPPING || state == SUPERVISE_SLOT_DRAINING;
}
/* Neither waits nor holds up who waits: see order_go_on(). */
static inline bool state_is_settled(supervise_slot_state state) {
        return state == SUPERVISE_SLOT_UNUSED || state == SUPERVISE_SLOT_IDLE ||
               state == SUPERVISE_SLOT_RUNNING || state == SUPERVISE_SLOT_FAILED ||
               state == SUPERVISE_SLOT_HELD;
}
/* On its way down, and `then` says what comes after. */
static inline bool state_is_ending(supervise_slot_state state) {
        return state == SUPERVISE_SLOT_STOPPING || state == SUPERVISE_SLOT_DRAINING;
}
static inline bool slot_is_leaving(const struct slot *slot) {
        return state_is_ending(slot->state) && slot->then == THEN_REMOVE;
}
static inline uint64_t slot_restarts(const struct slot *slot) {
        return slot->lives > 0 ? slot->lives - 1 : 0;
}
static inline uint32_t supervise_n_slots(const supervise *s) {
        return s->n_allocated - s->n[SUPERVISE_SLOT_UNUSED];
}
/* Slots that are not on their way out. */
static inline uint32_t pool_present(const supervise *s) {
        return supervise_n_slots(s) - s->n_leaving;
}
static inline uint32_t supervise_n_alive(const supervise *s) {
        return s->n[SUPERVISE_SLOT_STARTING] + s->n[SUPERVISE_SLOT_RUNNING] +
               s->n[SUPERVISE_SLOT_STOPPING] + s->n[SUPERVISE_SLOT_DRAINING];
}

static inline bool strategy_is_group(const supervise *s) {
        return s->policy.strategy == SUPERVISE_ONE_FOR_ALL || s->policy.strategy == SUPERVISE_REST_FOR_ONE;
}
static inline bool is_going_down(const supervise *s) {
        return s->phase == SUPERVISE_PHASE_STOPPING || s->phase == SUPERVISE_PHASE_GIVING_UP;
}
/* On its way to its next life, and nobody has to ask for it. */
static inline bool slot_will_start(const struct slot *slot) {
        return slot->state == SUPERVISE_SLOT_WAITING ||
               (state_is_ending(slot->state) && (slot->then == THEN_RESTART || slot->then == THEN_WAIT));
}
/* A temporary child is forgotten when it ends; a pool's slot stays a worker's place. */
static inline bool slot_is_forgotten_at_end(const supervise *s, const struct slot *slot) {
        return s->policy.strategy != SUPERVISE_POOL && slot->restart == SUPERVISE_TEMPORARY;
}
/* The slot of an operator's verb, or NULL. */
struct slot *slot_find(const supervise *s, uint32_t number);

/* before: whom it precedes in order, or 0. */
uint32_t slot_take(supervise *s, uint32_t before, supervise_restart restart, uint64_t revision);
void slot_move(supervise *s, uint32_t number, uint32_t before);
/* until: when time ends the state: BACKOFF, DRAINING; RUNNING: when it is to be recycled. */
void slot_set_state(supervise *s, uint32_t number, supervise_slot_state state, nsec_t until);
void slot_set_then(supervise *s, uint32_t number, enum slot_then then);
/* Of its first start, if that was still owed. */
void slot_had_outcome(supervise *s, uint32_t number);
void slot_forgive(supervise *s, uint32_t number);
/* A set that has failed is up again. */
void set_revive(supervise *s);
/* It is to be replaced by its like. */
void slot_recycle(supervise *s, uint32_t number);
/* Of each slot whose encoded fields change. The head is written with every event. */
void slot_mark(supervise *s, uint32_t number);

void action_push(supervise *s, supervise_action_type type, uint32_t number);
bool action_has_room(const supervise *s);

/* life.c */
/* Or WAITING, where the pool's breaker or a third generation forbids it. */
void life_begin(supervise *s, uint32_t number);
/* Begins it, or in an ordered set when its turn comes. */
void life_enqueue(supervise *s, uint32_t number);
void life_stop(supervise *s, uint32_t number, enum slot_then then);
void life_stop_or_remove(supervise *s, uint32_t number);
void life_ended(supervise *s, uint32_t number, bool normal);
void slot_remove(supervise *s, uint32_t number);
/* state, or forgotten if that is what becomes of it at its end. */
void slot_rest(supervise *s, uint32_t number, supervise_slot_state state);

/* order.c */
void set_go_down(supervise *s, supervise_phase phase, supervise_action_type verdict, uint32_t culprit);
void set_go_on_stopping(supervise *s);
void group_restart(supervise *s, uint32_t number);
void order_go_on(supervise *s);

/* scale.c */
int pool_scale(supervise *s, const supervise_event *e);
void pool_grow(supervise *s, uint32_t missing);
void pool_shrink(supervise *s, uint32_t surplus);
/* A worker leaves: drained first if it is busy and the policy says so. */
void pool_retire(supervise *s, uint32_t number, enum slot_then then);
bool pool_leaves_before(const supervise *s, uint32_t a, uint32_t b);
uint32_t pool_slots_needed(const supervise *s, uint32_t n);
/* Autoscale. */
void load_set(supervise *s, uint64_t load);
void load_go_on(supervise *s);
nsec_t load_due(const supervise *s);

/* roll.c */
bool roll_is_active(const supervise *s);
int roll_define(supervise *s, uint64_t revision);
int roll_abort(supervise *s);
void roll_go_on(supervise *s);
bool roll_may_begin(supervise *s, const struct slot *slot);
/* It comes nearer to its end: the deadline counts anew. */
void roll_note_progress(supervise *s);
/* After all that an event leads to: since when it waits. */
void roll_note_stalled(supervise *s);
/* Whose readiness it waits for, or 0: as s->awaited, but looked for. */
uint32_t roll_awaits(const supervise *s);
/* When it is halted for that. */
nsec_t roll_until(const supervise *s);
bool slot_is_ready(const supervise *s, const struct slot *slot);
/* And has been for long enough to be believed. */
bool slot_is_proven(const supervise *s, const struct slot *slot);
/* When the next one is. */
nsec_t roll_due(const supervise *s);
/* By which definition its next life is. */
uint64_t roll_revision(const supervise *s, const struct slot *slot);
/* When it is to be replaced that runs since then. */
nsec_t recycle_time(const supervise *s, const struct slot *slot, nsec_t since);
void recycle_limits(const supervise *s, const struct slot *slot, supervise_slot_info *ret);

/* breaker.c */
void breaker_close(supervise *s);
void breaker_count_failure(supervise *s, uint32_t number);
void breaker_count_ready(supervise *s, uint32_t number);
bool breaker_lets_begin(supervise *s, uint32_t number);
void breaker_go_on(supervise *s);

/* limit.c */
/* Counts a failure at s->clock. True: over the limit, park. Else the delay until the next start. */
bool limit_judge(supervise *s, uint32_t number, nsec_t *ret_delay);
/* A life comes to an end: if it was stable, its slot has earned something. */
void limit_note_stable(supervise *s, struct slot *slot);
/* Forgets what has left the window, and adds `now`. */
void window_add(nsec_t *row, uint32_t row_size, uint32_t *n, nsec_t period, nsec_t now);
/* splitmix64 (Steele, Lea, Flood 2014): any input is good. */
uint64_t scatter(uint64_t z);
