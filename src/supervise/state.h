/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state behind pool.h, for the files of src/supervise only. What survives (the set's first half,
 * slots, failure times) is plain data; the rest is derived from it and made anew by supervise_derive(). */

#include "supervise/pool.h"

#define SLOT_EXPONENT_MAX 63U
#define HEAP_NONE UINT32_MAX

/* What becomes of a slot in STOPPING. */
enum slot_then {
        THEN_END, /* the set stops */
        THEN_RESTART,
        THEN_REMOVE,
        THEN_HOLD,
        THEN_WAIT, /* a bystander, stopped by the strategy: starts again in its turn */
        _THEN_MAX,
};

struct slot {
        supervise_slot_state state;
        supervise_restart restart;
        enum slot_then then;
        bool first;      /* the start that STARTED_ALL waits for */
        bool credit;     /* one restart at once is still free */
        bool significant;
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
        uint32_t n_failures;     /* of the set's own window, row 0 */

        /* One block of memory: slots[n_allocated], (n_allocated + 1) rows of failure times, heap,
         * scratch, dirty, ring. */
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
        bool head_dirty;
        uint64_t n_restarts;
        nsec_t armed;
        uint32_t expected_slot_max, expected_slots; /* while decoding: what the head has announced */
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
               state == SUPERVISE_SLOT_STOPPING;
}
static inline bool slot_is_leaving(const struct slot *slot) {
        return slot->state == SUPERVISE_SLOT_STOPPING && slot->then == THEN_REMOVE;
}
static inline uint64_t slot_restarts(const struct slot *slot) {
        return slot->lives > 0 ? slot->lives - 1 : 0;
}
static inline uint32_t supervise_n_slots(const supervise *s) {
        return s->n_allocated - s->n[SUPERVISE_SLOT_UNUSED];
}
static inline uint32_t supervise_n_alive(const supervise *s) {
        return s->n[SUPERVISE_SLOT_STARTING] + s->n[SUPERVISE_SLOT_RUNNING] + s->n[SUPERVISE_SLOT_STOPPING];
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
               (slot->state == SUPERVISE_SLOT_STOPPING &&
                (slot->then == THEN_RESTART || slot->then == THEN_WAIT));
}
/* A temporary child is forgotten when it ends (actors.md 3.2); a pool's slot stays a worker's place. */
static inline bool slot_is_forgotten_at_end(const supervise *s, const struct slot *slot) {
        return s->policy.strategy != SUPERVISE_POOL && slot->restart == SUPERVISE_TEMPORARY;
}
/* The slot of an operator's verb, or NULL. */
struct slot *slot_find(const supervise *s, uint32_t number);

/* before: whom it precedes in order, or 0. */
uint32_t slot_take(supervise *s, uint32_t before, supervise_restart restart, uint64_t revision);
/* until: for BACKOFF; else ignored. */
void slot_set_state(supervise *s, uint32_t number, supervise_slot_state state, nsec_t until);
void slot_set_then(supervise *s, uint32_t number, enum slot_then then);
/* Of its first start, if that was still owed. */
void slot_had_outcome(supervise *s, uint32_t number);
void slot_forgive(supervise *s, uint32_t number);
/* A set that has failed is up again. */
void set_revive(supervise *s);
/* Of each slot whose encoded fields change. The head is written with every event. */
void slot_mark(supervise *s, uint32_t number);

void action_push(supervise *s, supervise_action_type type, uint32_t number);
bool action_has_room(const supervise *s);

/* life.c */
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

/* limit.c */
/* Counts a failure at s->clock. True: over the limit, park. Else the delay until the next start. */
bool limit_judge(supervise *s, uint32_t number, nsec_t *ret_delay);
