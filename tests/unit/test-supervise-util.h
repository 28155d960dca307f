/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests of src/supervise: a set with a clock that the test moves, and what its last event led to. */

#include "test-util.h"

#include "supervise/supervise.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

/* A set with its clock, and the actions of the last event. */
struct fixture {
        supervise *s;
        nsec_t now;
        supervise_action actions[64];
        size_t n_actions;
};

static inline supervise_policy plain_policy(void) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;

        p.backoff_jitter = 0;
        return p;
}

static inline supervise_policy verdict_policy(uint32_t intensity) {
        supervise_policy p = plain_policy();

        p.intensity = intensity;
        p.backoff_min = p.backoff_max = 0;
        return p;
}

static inline supervise_policy children_policy(void) {
        supervise_policy p = plain_policy();

        p.strategy = SUPERVISE_ONE_FOR_ONE;
        return p;
}

static inline void drain(struct fixture *f) {
        f->n_actions = 0;
        while (supervise_next_action(f->s, f->actions + f->n_actions)) {
                f->n_actions++;
                assert_true(f->n_actions < 64);
        }
}

static inline int handle(struct fixture *f, supervise_event e) {
        int r = supervise_handle(f->s, &e, f->now);

        drain(f);
        return r;
}

static inline void fixture_new(struct fixture *f, const supervise_policy *p, uint32_t n) {
        *f = (struct fixture){ .now = 1000 * SEC };
        assert_ok(supervise_new(p, n, 1, 42, &f->s));
}

static inline supervise_slot_info slot_of(const struct fixture *f, uint32_t number) {
        supervise_slot_info i;

        assert_ok(supervise_get_slot(f->s, number, &i));
        return i;
}

static inline supervise_slot_state state_of(const struct fixture *f, uint32_t number) {
        return slot_of(f, number).state;
}

static inline supervise_info info_of(const struct fixture *f) {
        supervise_info i;

        supervise_get_info(f->s, &i);
        return i;
}

static inline const supervise_action *find(const struct fixture *f, supervise_action_type type,
                uint32_t slot) {
        for (size_t i = 0; i < f->n_actions; i++)
                if (f->actions[i].type == type && f->actions[i].slot == slot)
                        return f->actions + i;
        return NULL;
}
#define assert_action(f, type, slot) assert_non_null(find(f, SUPERVISE_ACTION_##type, slot))
#define assert_no_action(f, type, slot) assert_null(find(f, SUPERVISE_ACTION_##type, slot))

static inline int simple(struct fixture *f, supervise_event_type type) {
        return handle(f, (supervise_event){ .type = type });
}
static inline int verb(struct fixture *f, supervise_event_type type, uint32_t slot) {
        return handle(f, (supervise_event){ .type = type, .slot = slot });
}
static inline int scale(struct fixture *f, uint32_t n) {
        return handle(f, (supervise_event){ .type = SUPERVISE_SCALE, .n = n, .by_operator = true });
}
static inline int add_child(struct fixture *f, supervise_restart restart) {
        return handle(f, (supervise_event){
                                 .type = SUPERVISE_ADD_CHILD,
                                 .restart = restart,
                                 .revision = 1,
                         });
}
static inline int report(struct fixture *f, supervise_event_type type, uint32_t slot) {
        return handle(f, (supervise_event){
                                 .type = type,
                                 .slot = slot,
                                 .generation = slot_of(f, slot).generation,
                                 .reason = 7,
                                 .status = 9,
                         });
}
static inline int started(struct fixture *f, uint32_t slot) {
        return report(f, SUPERVISE_STARTED, slot);
}
static inline int crashed(struct fixture *f, uint32_t slot) {
        return report(f, SUPERVISE_EXITED, slot);
}
static inline int exited_normally(struct fixture *f, uint32_t slot) {
        return handle(f, (supervise_event){ .type = SUPERVISE_EXITED,
                                            .slot = slot,
                                            .generation = slot_of(f, slot).generation,
                                            .normal = true });
}

static inline void start_all(struct fixture *f) {
        uint32_t n;

        assert_ok(simple(f, SUPERVISE_START));
        n = info_of(f).slot_max;
        for (uint32_t i = 1; i <= n; i++)
                assert_ok(started(f, i));
}

/* Moves to the armed time and lets it strike. */
static inline void next_tick(struct fixture *f) {
        nsec_t due = info_of(f).due;

        assert_true(due != NSEC_INFINITY);
        f->now = MAX(f->now, due);
        assert_ok(simple(f, SUPERVISE_TICK));
}
