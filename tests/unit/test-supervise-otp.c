/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cases of OTP's supervisor for sets of different children: start, strategies, restart types,
 * escalation, significance, trees. Random histories are in tests/simulation. */

#include "test-supervise-util.h"

static supervise_policy otp_policy(supervise_strategy strategy, uint32_t intensity) {
        supervise_policy p = verdict_policy(intensity);

        p.strategy = strategy;
        p.escalate = p.ordered = true;
        return p;
}

/* n permanent children, all running. */
static void running(struct fixture *f, const supervise_policy *p, uint32_t n) {
        fixture_new(f, p, 0);
        for (uint32_t i = 1; i <= n; i++)
                assert_int_equal(add_child(f, SUPERVISE_PERMANENT), i);
        start_all(f);
        assert_int_equal(info_of(f).n[SUPERVISE_SLOT_RUNNING], n);
}

static void test_start_in_order(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ONE, 1);
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        for (uint32_t i = 1; i <= 3; i++)
                assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), i);
        assert_int_equal(handle(&f, (supervise_event){ .type = SUPERVISE_ADD_CHILD, .before = 1 }), 4);
        assert_ok(simple(&f, SUPERVISE_START));
        for (size_t i = 0; i < 4; i++) {
                static const uint32_t order[] = { 4, 1, 2, 3 };

                assert_int_equal(supervise_next_child(s, i > 0 ? order[i - 1] : 0), order[i]);
                assert_int_equal(f.n_actions, 1);
                assert_action(&f, SPAWN, order[i]);
                assert_ok(started(&f, order[i]));
        }
        assert_action(&f, STARTED_ALL, 0);
        assert_ok(simple(&f, SUPERVISE_STOP));
        assert_action(&f, STOP, 3);
        for (uint32_t i = 3; i > 0; i--) {
                assert_ok(crashed(&f, i));
                assert_action(&f, STOP, i > 1 ? i - 1 : 4);
        }
        assert_ok(crashed(&f, 4));
        assert_action(&f, STOPPED, 0);
}

static int move(struct fixture *f, uint32_t slot, uint32_t before) {
        return handle(f, (supervise_event){ .type = SUPERVISE_MOVE_CHILD, .slot = slot, .before = before });
}

/* Nobody is stopped or started for it; the order is that of the next time. */
static void test_move(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_REST_FOR_ONE, 5);
        static const uint32_t order[] = { 3, 2, 1, 4 };
        struct fixture f;

        running(&f, &p, 4);
        s = f.s;
        assert_ok(move(&f, 3, 1));
        assert_ok(move(&f, 1, 0));
        assert_ok(move(&f, 1, 4));
        assert_ok(move(&f, 1, 1));
        assert_int_equal(f.n_actions, 0);
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(supervise_next_child(s, i > 0 ? order[i - 1] : 0), order[i]);
        assert_errno(move(&f, 5, 0), ENOENT);
        assert_errno(move(&f, 1, 5), ENOENT);
        assert_ok(crashed(&f, 2)); /* 1 and 4 are behind it now, and 3 is not */
        assert_action(&f, STOP, 4);
        assert_errno(move(&f, 3, 0), EBUSY);
        assert_ok(crashed(&f, 4));
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 2);
        assert_ok(move(&f, 2, 0)); /* it starts; those who stand before it now do not wait for it */
        assert_action(&f, SPAWN, 1);
        assert_no_action(&f, SPAWN, 4);
        assert_ok(move(&f, 4, 1));
        assert_action(&f, SPAWN, 4);
        for (uint32_t i = 1; i <= 4; i++)
                if (i != 3)
                        assert_ok(started(&f, i));
        assert_ok(simple(&f, SUPERVISE_STOP));
        assert_action(&f, STOP, 2);
        assert_errno(move(&f, 2, 3), ESHUTDOWN);
        for (uint32_t i = 0; i < 3; i++) {
                static const uint32_t stops[] = { 2, 1, 4, 3 };

                assert_ok(crashed(&f, stops[i]));
                assert_action(&f, STOP, stops[i + 1]);
        }
        assert_ok(crashed(&f, 3));
        assert_ok(move(&f, 2, 3));
        assert_ok(simple(&f, SUPERVISE_START));
        assert_action(&f, SPAWN, 2);
}

/* One whose first start is interrupted by hand has not started: the next still waits for it. */
static void test_start_begins_again(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ONE, 1);
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        (void) add_child(&f, SUPERVISE_PERMANENT);
        (void) add_child(&f, SUPERVISE_PERMANENT);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_RESTART_CHILD, .slot = 1 }));
        assert_int_equal(f.n_actions, 1);
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_int_equal(f.n_actions, 1);
        assert_action(&f, SPAWN, 1);
        assert_ok(started(&f, 1));
        assert_action(&f, SPAWN, 2);
}

/* Not tried again: who runs is stopped in reverse, who waits never starts. */
static void test_start_fails(void **state) {
        for (int exits = 0; exits < 2; exits++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ONE, 5);
                struct fixture f;

                fixture_new(&f, &p, 0);
                s = f.s;
                for (uint32_t i = 1; i <= 4; i++)
                        (void) add_child(&f, SUPERVISE_PERMANENT);
                assert_ok(simple(&f, SUPERVISE_START));
                assert_ok(started(&f, 1));
                assert_ok(started(&f, 2));
                assert_ok(exits ? exited_normally(&f, 3) : report(&f, SUPERVISE_START_FAILED, 3));
                assert_action(&f, STOP, 2);
                assert_ok(crashed(&f, 2));
                assert_action(&f, STOP, 1);
                assert_ok(crashed(&f, 1));
                assert_action(&f, START_FAILED, 3);
                assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_FAILED);
                assert_int_equal(info_of(&f).culprit, 3);
                assert_int_equal(slot_of(&f, 4).generation, 0);
                assert_ok(simple(&f, SUPERVISE_START));
                assert_action(&f, SPAWN, 1);
        }
}

/* The specification stays, without a process; a temporary one goes. */
static void test_ignore(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_REST_FOR_ONE, 1);
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        (void) add_child(&f, SUPERVISE_PERMANENT);
        (void) add_child(&f, SUPERVISE_PERMANENT);
        (void) add_child(&f, SUPERVISE_TEMPORARY);
        (void) add_child(&f, SUPERVISE_PERMANENT);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_ok(started(&f, 1));
        assert_ok(report(&f, SUPERVISE_IGNORED, 2));
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_IDLE);
        assert_action(&f, SPAWN, 3);
        assert_ok(report(&f, SUPERVISE_IGNORED, 3));
        assert_action(&f, REMOVED, 3);
        assert_ok(started(&f, 4));
        assert_action(&f, STARTED_ALL, 0);

        assert_ok(crashed(&f, 1)); /* the one that ignored its start is asked again */
        assert_action(&f, STOP, 4);
        assert_ok(crashed(&f, 4));
        assert_ok(started(&f, 1));
        assert_action(&f, SPAWN, 2);
}

static void test_one_for_one(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ONE, 1);
        struct fixture f;

        running(&f, &p, 3);
        s = f.s;
        assert_ok(crashed(&f, 2));
        assert_int_equal(f.n_actions, 1);
        assert_action(&f, SPAWN, 2);
}

/* The failed one alone has ended; who is stopped, in which order, and who starts. */
static void fall_and_rise(struct fixture *f, uint32_t failed, uint32_t first, uint32_t last) {
        assert_ok(crashed(f, failed));
        for (uint32_t i = last; i >= first; i--) {
                if (i == failed)
                        continue;
                assert_int_equal(f->n_actions, 1);
                assert_action(f, STOP, i);
                assert_ok(crashed(f, i));
        }
        for (uint32_t i = first; i <= last; i++) {
                assert_int_equal(f->n_actions, 1);
                assert_action(f, SPAWN, i);
                assert_ok(started(f, i));
        }
        assert_int_equal(f->n_actions, 0);
        assert_int_equal(info_of(f).n[SUPERVISE_SLOT_RUNNING], last);
}

static void test_groups(void **state) {
        for (uint32_t failed = 1; failed <= 4; failed++) {
                _cleanup_(supervise_freep) supervise *s = NULL, *t = NULL;
                supervise_policy all = otp_policy(SUPERVISE_ONE_FOR_ALL, 1),
                                 rest = otp_policy(SUPERVISE_REST_FOR_ONE, 1);
                struct fixture f, g;

                running(&f, &all, 4);
                s = f.s;
                fall_and_rise(&f, failed, 1, 4);
                running(&g, &rest, 4);
                t = g.s;
                fall_and_rise(&g, failed, failed, 4);
        }
}

/* Bystanders: the temporary one is forgotten, the one that is done starts again, the held one stays. */
static void test_bystanders(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ALL, 1);
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        (void) add_child(&f, SUPERVISE_PERMANENT);
        (void) add_child(&f, SUPERVISE_TEMPORARY);
        (void) add_child(&f, SUPERVISE_TRANSIENT);
        (void) add_child(&f, SUPERVISE_PERMANENT);
        start_all(&f);
        assert_ok(exited_normally(&f, 3));
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 4));
        assert_ok(crashed(&f, 4));
        assert_ok(crashed(&f, 1));
        assert_action(&f, STOP, 2);
        assert_ok(crashed(&f, 2));
        assert_action(&f, REMOVED, 2);
        assert_action(&f, SPAWN, 1);
        assert_ok(started(&f, 1));
        assert_action(&f, SPAWN, 3);
        assert_ok(started(&f, 3));
        assert_int_equal(f.n_actions, 0);
        assert_int_equal(state_of(&f, 4), SUPERVISE_SLOT_HELD);
}

/* The strategy applies only when the child is to be restarted. */
static void test_no_restart_no_strategy(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ALL, 1);
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        (void) add_child(&f, SUPERVISE_TRANSIENT);
        (void) add_child(&f, SUPERVISE_TEMPORARY);
        (void) add_child(&f, SUPERVISE_PERMANENT);
        start_all(&f);
        assert_ok(exited_normally(&f, 1));
        assert_int_equal(f.n_actions, 0);
        assert_ok(crashed(&f, 2));
        assert_int_equal(f.n_actions, 1);
        assert_action(&f, REMOVED, 2);
}

/* Each retry counts, and the set answers meanwhile. */
static void test_failed_restarts(void **state) {
        for (supervise_strategy strategy = 1; strategy < _SUPERVISE_STRATEGY_MAX; strategy++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = otp_policy(strategy, 3);
                unsigned tries = 0;
                struct fixture f;

                running(&f, &p, 1);
                s = f.s;
                assert_ok(crashed(&f, 1));
                while (state_of(&f, 1) != SUPERVISE_SLOT_FAILED) {
                        if (state_of(&f, 1) != SUPERVISE_SLOT_STARTING)
                                next_tick(&f);
                        assert_action(&f, SPAWN, 1);
                        tries++;
                        assert_ok(report(&f, SUPERVISE_START_FAILED, 1));
                }
                assert_int_equal(tries, 3);
                assert_action(&f, ESCALATE, 1);
        }
}

/* Another child fails while the group comes down: it begins anew from the earlier, and counts. */
static void test_failure_in_the_middle(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_REST_FOR_ONE, 2);
        struct fixture f;

        running(&f, &p, 4);
        s = f.s;
        assert_ok(crashed(&f, 3));
        assert_action(&f, STOP, 4);
        assert_ok(crashed(&f, 1));
        assert_int_equal(f.n_actions, 0);
        assert_ok(crashed(&f, 4));
        assert_action(&f, STOP, 2);
        assert_ok(crashed(&f, 2));
        assert_action(&f, SPAWN, 1);
        assert_ok(crashed(&f, 1)); /* the third: over */
        assert_action(&f, ESCALATE, 1);
}

/* With backoff the others wait, down, for the one that failed. */
static void test_group_waits_for_backoff(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ALL, 5);
        struct fixture f;

        p.backoff_min = 100 * MS;
        p.backoff_max = SEC;
        running(&f, &p, 2);
        s = f.s;
        fall_and_rise(&f, 2, 1, 2);
        assert_ok(crashed(&f, 2));
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_BACKOFF);
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_int_equal(f.n_actions, 0);
        next_tick(&f);
        assert_action(&f, SPAWN, 1);
        assert_ok(started(&f, 1));
        assert_action(&f, SPAWN, 2);
        assert_ok(started(&f, 2));
        assert_ok(crashed(&f, 1)); /* at once: its first, after no failure of its own */
        assert_action(&f, STOP, 2);
        assert_ok(crashed(&f, 2));
        assert_action(&f, SPAWN, 1);
}

static void test_significant(void **state) {
        static const supervise_auto_shutdown modes[] = { SUPERVISE_AUTO_SHUTDOWN_ANY,
                                                         SUPERVISE_AUTO_SHUTDOWN_ALL };

        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ONE, 3);
                supervise_event e = { .type = SUPERVISE_ADD_CHILD, .significant = true };
                struct fixture f;

                fixture_new(&f, &p, 0);
                s = f.s;
                e.restart = SUPERVISE_TRANSIENT;
                assert_errno(handle(&f, e), EINVAL); /* the set does not care */
                p.auto_shutdown = modes[i];
                assert_ok(supervise_set_policy(s, &p));
                e.restart = SUPERVISE_PERMANENT;
                assert_errno(handle(&f, e), EINVAL); /* it never ends for good */
                (void) add_child(&f, SUPERVISE_PERMANENT);
                e.restart = SUPERVISE_TRANSIENT;
                assert_int_equal(handle(&f, e), 2);
                e.restart = SUPERVISE_TEMPORARY;
                assert_int_equal(handle(&f, e), 3);
                start_all(&f);
                assert_ok(crashed(&f, 2)); /* restarted: no end */
                assert_ok(started(&f, 2));
                assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 2));
                assert_ok(exited_normally(&f, 2));
                assert_ok(started(&f, 2));
                assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
                assert_ok(exited_normally(&f, 2));
                if (modes[i] == SUPERVISE_AUTO_SHUTDOWN_ANY) {
                        assert_action(&f, STOP, 3);
                        assert_ok(crashed(&f, 3));
                } else {
                        assert_int_equal(f.n_actions, 0);
                        assert_ok(crashed(&f, 3)); /* temporary: at any end */
                }
                assert_action(&f, STOP, 1);
                assert_ok(crashed(&f, 1));
                assert_action(&f, SHUTDOWN, 0);
                assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_DOWN);
        }
}

static void test_shutdown_is_handed_out(void **state) {
        static const nsec_t rules[] = { SUPERVISE_SHUTDOWN_DEFAULT, SUPERVISE_SHUTDOWN_BRUTAL, 5 * SEC,
                                        SUPERVISE_SHUTDOWN_INFINITY };
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = children_policy();
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                (void) handle(&f, (supervise_event){ .type = SUPERVISE_ADD_CHILD, .shutdown = rules[i] });
        start_all(&f);
        for (uint32_t i = 1; i <= ELEMENTSOF(rules); i++) {
                assert_ok(verb(&f, SUPERVISE_STOP_CHILD, i));
                assert_true(find(&f, SUPERVISE_ACTION_STOP, i)->shutdown == rules[i - 1]);
        }
}

/* Parent and child set, joined as supervise.h says. */
static void test_tree(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL, *t = NULL;
        supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ONE, 1);
        supervise_event e;
        struct fixture f, g;

        fixture_new(&f, &p, 0);
        s = f.s;
        (void) add_child(&f, SUPERVISE_PERMANENT);
        fixture_new(&g, &p, 0);
        t = g.s;
        (void) add_child(&g, SUPERVISE_PERMANENT);

        assert_ok(simple(&f, SUPERVISE_START));
        for (uint64_t life = 1; life <= 2; life++) {
                assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1)->generation, life);
                for (int again = 0; again < 2; again++) {
                        assert_ok(handle(&g, (supervise_event){ .type = SUPERVISE_START, .generation =
                                        life }));
                        assert_int_equal(f.n_actions > 0 && g.n_actions == 1, !again);
                }
                assert_ok(started(&g, 1));
                assert_true(supervise_to_parent(g.actions + g.n_actions - 1, 1, &e));
                assert_int_equal(e.type, SUPERVISE_STARTED);
                assert_ok(handle(&f, e));
                assert_ok(crashed(&g, 1));
                assert_ok(crashed(&g, 1));
                assert_action(&g, ESCALATE, 1);
                assert_true(supervise_to_parent(find(&g, SUPERVISE_ACTION_ESCALATE, 1), 1, &e));
                assert_true(e.type == SUPERVISE_EXITED && e.generation == life && e.normal);
                assert_ok(handle(&f, e));
                assert_errno(handle(&f, e), ESTALE); /* counted once */
                if (life == 1)
                        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_TICK }));
                if (life == 1)
                        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_STARTING);
                f.n_actions = 1;
                f.actions[0] = (supervise_action){ .type = SUPERVISE_ACTION_SPAWN, .slot = 1,
                                .generation = 2 };
        }
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_FAILED); /* and so it climbs */
        assert_false(supervise_to_parent(f.actions, 1, &e));
}

static void test_policy(void **state) {
        supervise_policy p = otp_policy(SUPERVISE_ONE_FOR_ALL, 1);
        supervise *s;

        p.escalate = false;
        assert_errno(supervise_new(&p, 0, 1, 1, &s), EINVAL);
        p = otp_policy(SUPERVISE_REST_FOR_ONE, 1);
        p.ordered = false;
        assert_errno(supervise_new(&p, 0, 1, 1, &s), EINVAL);
        p = otp_policy(SUPERVISE_POOL, 1);
        assert_errno(supervise_new(&p, 1, 1, 1, &s), EINVAL);
        p = verdict_policy(1);
        p.auto_shutdown = SUPERVISE_AUTO_SHUTDOWN_ANY;
        assert_errno(supervise_new(&p, 1, 1, 1, &s), EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start_in_order),
                cmocka_unit_test(test_move),
                cmocka_unit_test(test_start_begins_again),
                cmocka_unit_test(test_start_fails),
                cmocka_unit_test(test_ignore),
                cmocka_unit_test(test_one_for_one),
                cmocka_unit_test(test_groups),
                cmocka_unit_test(test_bystanders),
                cmocka_unit_test(test_no_restart_no_strategy),
                cmocka_unit_test(test_failed_restarts),
                cmocka_unit_test(test_failure_in_the_middle),
                cmocka_unit_test(test_group_waits_for_backoff),
                cmocka_unit_test(test_significant),
                cmocka_unit_test(test_shutdown_is_handed_out),
                cmocka_unit_test(test_tree),
                cmocka_unit_test(test_policy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
