/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of src/supervise, one by one, at times chosen here: starts, restarts, intensity, backoff, verbs
 * of operators. Random histories are in tests/simulation. */

#include "test-supervise-util.h"

static void test_start(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 3);
        s = f.s;
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_DOWN);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_IDLE], 3);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(f.n_actions, 3);
        for (uint32_t i = 1; i <= 3; i++) {
                assert_int_equal(f.actions[i - 1].type, SUPERVISE_ACTION_SPAWN);
                assert_int_equal(f.actions[i - 1].slot, i);
                assert_int_equal(f.actions[i - 1].generation, i);
                assert_int_equal(f.actions[i - 1].revision, 1);
        }
        assert_ok(started(&f, 2));
        assert_ok(started(&f, 1));
        assert_no_action(&f, STARTED_ALL, 0);
        assert_ok(report(&f, SUPERVISE_START_FAILED, 3));
        assert_action(&f, STARTED_ALL, 0);
        next_tick(&f);
        assert_ok(started(&f, 3));
        assert_no_action(&f, STARTED_ALL, 0);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(f.n_actions, 0);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_RUNNING], 3);
}

static void test_empty_set(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        assert_ok(simple(&f, SUPERVISE_START));
        assert_action(&f, STARTED_ALL, 0);
        assert_ok(simple(&f, SUPERVISE_STOP));
        assert_action(&f, STOPPED, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_DOWN);
}

static void test_restart_types(void **state) {
        static const struct {
                supervise_restart restart;
                bool normal, restarts;
        } cases[] = {
                { SUPERVISE_PERMANENT, false, true }, { SUPERVISE_PERMANENT, true, true },
                { SUPERVISE_TRANSIENT, false, true }, { SUPERVISE_TRANSIENT, true, false },
                { SUPERVISE_TEMPORARY, false, false }, { SUPERVISE_TEMPORARY, true, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = plain_policy();
                struct fixture f;

                p.restart = cases[i].restart;
                fixture_new(&f, &p, 1);
                s = f.s;
                start_all(&f);
                assert_ok(cases[i].normal ? exited_normally(&f, 1) : crashed(&f, 1));
                assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1) != NULL, cases[i].restarts);
                assert_int_equal(state_of(&f, 1),
                                 cases[i].restarts ? SUPERVISE_SLOT_STARTING : SUPERVISE_SLOT_IDLE);
                assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
        }
}

/* A life that ends before STARTED did not end normally, whatever it says. */
static void test_early_normal_exit(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.restart = SUPERVISE_TRANSIENT;
        fixture_new(&f, &p, 1);
        s = f.s;
        assert_ok(simple(&f, SUPERVISE_START));
        assert_ok(exited_normally(&f, 1));
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_BACKOFF);
}

static void test_temporary_child_is_forgotten(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = children_policy();
        supervise_slot_info i;
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        assert_int_equal(add_child(&f, SUPERVISE_TEMPORARY), 1);
        assert_int_equal(add_child(&f, SUPERVISE_TRANSIENT), 2);
        start_all(&f);
        assert_ok(crashed(&f, 1));
        assert_action(&f, REMOVED, 1);
        assert_errno(supervise_get_slot(f.s, 1, &i), ENOENT);
        assert_ok(exited_normally(&f, 2));
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_IDLE);
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 1);
        assert_action(&f, SPAWN, 1);
}

/* As in OTP: n = intensity within the window survives, one more does not. */
static void test_intensity(void **state) {
        for (uint32_t intensity = 0; intensity < 4; intensity++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = verdict_policy(intensity);
                struct fixture f;

                fixture_new(&f, &p, 2);
                s = f.s;
                start_all(&f);
                for (uint32_t i = 0; i < intensity; i++) {
                        f.now += MS;
                        assert_ok(crashed(&f, 1));
                        assert_action(&f, SPAWN, 1);
                        assert_ok(started(&f, 1));
                }
                assert_ok(crashed(&f, 1));
                assert_action(&f, PARKED, 1);
                assert_no_action(&f, SPAWN, 1);
                assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_FAILED);
                assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_RUNNING);
                assert_int_equal(slot_of(&f, 1).n_failures, intensity + 1);
                assert_int_equal(slot_of(&f, 1).reason, 7);
                assert_int_equal(slot_of(&f, 1).status, 9);
        }
}

/* An entry aged exactly `period` still counts; one nanosecond more and it does not. */
static void test_intensity_boundary(void **state) {
        for (nsec_t more = 0; more <= 1; more++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = verdict_policy(1);
                struct fixture f;

                fixture_new(&f, &p, 1);
                s = f.s;
                start_all(&f);
                assert_ok(crashed(&f, 1));
                assert_ok(started(&f, 1));
                f.now += p.period + more;
                assert_ok(crashed(&f, 1));
                assert_int_equal(find(&f, SUPERVISE_ACTION_PARKED, 1) != NULL, more == 0);
        }
}

/* Without backoff a start that fails is tried intensity + 1 times, each time by way of the timer. */
static void test_failing_start(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(3);
        struct fixture f;
        int tries = 1;

        fixture_new(&f, &p, 1);
        s = f.s;
        assert_ok(simple(&f, SUPERVISE_START));
        for (;;) {
                assert_ok(report(&f, SUPERVISE_START_FAILED, 1));
                if (state_of(&f, 1) == SUPERVISE_SLOT_FAILED)
                        break;
                assert_int_equal(f.actions[f.n_actions - 1].type, SUPERVISE_ACTION_ARM);
                assert_int_equal(f.actions[f.n_actions - 1].when, f.now);
                assert_no_action(&f, SPAWN, 1);
                next_tick(&f);
                assert_action(&f, SPAWN, 1);
                tries++;
        }
        assert_int_equal(tries, 4);
        assert_action(&f, GAVE_UP, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_FAILED);
}

static void test_intensity_infinity(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(SUPERVISE_INTENSITY_INFINITY);
        nsec_t times[3];
        struct fixture f;

        fixture_new(&f, &p, 1);
        s = f.s;
        start_all(&f);
        for (int i = 0; i < 1000; i++) {
                f.now++;
                assert_ok(crashed(&f, 1));
                assert_ok(started(&f, 1));
        }
        assert_int_equal(slot_of(&f, 1).restarts, 1000);
        assert_int_equal(supervise_failures(f.s, 1, times, 3), 3);
        assert_true(times[0] == f.now && times[1] == f.now - 1);
}

/* Runs a crash loop; returns how many starts fall into the first `span`. */
static unsigned crash_loop(struct fixture *f, nsec_t span, nsec_t *starts, unsigned max) {
        nsec_t begin = f->now;
        unsigned n = 0;

        assert_ok(simple(f, SUPERVISE_START));
        for (;;) {
                assert_true(n < max);
                starts[n++] = f->now - begin;
                assert_ok(started(f, 1));
                assert_ok(crashed(f, 1));
                if (find(f, SUPERVISE_ACTION_SPAWN, 1))
                        continue;
                if (state_of(f, 1) == SUPERVISE_SLOT_FAILED || info_of(f).due - begin > span)
                        return n;
                next_tick(f);
        }
}

/* The arithmetic of the rule in supervise.h. The plain backoff would fail six times in 1.5 s, and, judged by
 * OTP's verdict alone, would park; the default waits for the window instead, and is still retrying after
 * an hour. */
static void test_default_never_parks(void **state) {
        static const nsec_t plain[] = { 0, 0, 100, 300, 700, 1500 };
        _cleanup_(supervise_freep) supervise *s = NULL, *t = NULL;
        supervise_policy p = plain_policy();
        nsec_t starts[256];
        struct fixture f, g;
        unsigned n;

        p.period = p.backoff_max + 1; /* the backoff cannot wait so long: a verdict */
        fixture_new(&f, &p, 1);
        s = f.s;
        assert_int_equal(crash_loop(&f, 60 * SEC, starts, 256), 6);
        for (size_t i = 0; i < ELEMENTSOF(plain); i++)
                assert_true(starts[i] == plain[i] * MS);
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_FAILED);

        p = plain_policy();
        fixture_new(&g, &p, 1);
        t = g.s;
        n = crash_loop(&g, 3600 * SEC, starts, 256);
        assert_int_equal(state_of(&g, 1), SUPERVISE_SLOT_BACKOFF);
        for (size_t i = 0; i + 1 < ELEMENTSOF(plain); i++)
                assert_true(starts[i] == plain[i] * MS);
        assert_true(starts[5] == 10 * SEC + 1);
        for (unsigned i = 5; i < n; i++) /* each start here is a failure too: never more than 5 in 10 s */
                assert_true(starts[i] - starts[i - 5] > p.period);
        assert_true(starts[n - 1] - starts[n - 2] == 30 * SEC);
        assert_true(n > 100);
}

static void test_backoff_stable(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.intensity = SUPERVISE_INTENSITY_INFINITY;
        fixture_new(&f, &p, 1);
        s = f.s;
        start_all(&f);
        assert_ok(crashed(&f, 1)); /* at once */
        assert_action(&f, SPAWN, 1);
        for (unsigned k = 0; k < 12; k++) {
                assert_ok(started(&f, 1));
                f.now += p.backoff_stable - 1; /* not quite stable */
                assert_ok(crashed(&f, 1));
                assert_true(info_of(&f).due - f.now == MIN((100 * MS) << k, 30 * SEC));
                next_tick(&f);
        }
        assert_ok(started(&f, 1)); /* k is 9 by now */
        f.now += p.backoff_stable;
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_ok(crashed(&f, 1));
        assert_true(info_of(&f).due - f.now == 1600 * MS); /* halved to 4 */
        next_tick(&f);
        assert_ok(started(&f, 1)); /* 5 */
        f.now += 3 * p.backoff_stable;
        assert_ok(crashed(&f, 1));
        assert_ok(crashed(&f, 1));
        assert_true(info_of(&f).due - f.now == 100 * MS); /* halved three times */
}

static void test_jitter(void **state) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        nsec_t least = NSEC_INFINITY, most = 0;

        for (uint64_t seed = 0; seed < 200; seed++) {
                nsec_t delays[2];

                for (int again = 0; again < 2; again++) {
                        _cleanup_(supervise_freep) supervise *s = NULL;
                        struct fixture f = { .now = SEC };

                        assert_ok(supervise_new(&p, 1, 1, seed, &f.s));
                        s = f.s;
                        start_all(&f);
                        assert_ok(crashed(&f, 1));
                        assert_ok(crashed(&f, 1));
                        delays[again] = info_of(&f).due - f.now;
                }
                assert_true(delays[0] == delays[1]);
                least = MIN(least, delays[0]);
                most = MAX(most, delays[0]);
        }
        assert_true(least >= 100 * MS && most <= 120 * MS);
        assert_true(least < 103 * MS && most > 117 * MS);
}

static void test_tick(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;
        nsec_t due;

        fixture_new(&f, &p, 2);
        s = f.s;
        start_all(&f);
        for (uint32_t i = 1; i <= 2; i++) {
                assert_ok(crashed(&f, i));
                assert_ok(crashed(&f, i));
                f.now += MS;
        }
        due = info_of(&f).due;
        f.now = due - 1;
        assert_ok(simple(&f, SUPERVISE_TICK)); /* too early: nothing but armed again */
        assert_int_equal(f.n_actions, 1);
        assert_true(f.actions[0].type == SUPERVISE_ACTION_ARM && f.actions[0].when == due);
        next_tick(&f);
        assert_action(&f, SPAWN, 1);
        assert_no_action(&f, SPAWN, 2);
        assert_true(f.actions[1].type == SUPERVISE_ACTION_ARM && f.actions[1].when == due + MS);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 2));
        assert_action(&f, SPAWN, 2);
        assert_true(f.actions[1].type == SUPERVISE_ACTION_ARM && f.actions[1].when == NSEC_INFINITY);
        f.now += 100 * SEC;
        assert_ok(simple(&f, SUPERVISE_TICK));
        assert_int_equal(f.n_actions, 0);
}

static void test_stale_reports(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        supervise_event e = { .type = SUPERVISE_EXITED, .slot = 1, .generation = 1 };
        struct fixture f;

        fixture_new(&f, &p, 1);
        s = f.s;
        assert_errno(handle(&f, e), ESTALE);
        start_all(&f);
        assert_ok(handle(&f, e));
        assert_errno(handle(&f, e), ESTALE);
        e.slot = 9;
        assert_errno(handle(&f, e), ESTALE);
        e.slot = 0;
        assert_errno(handle(&f, e), ESTALE);
        assert_errno(verb(&f, SUPERVISE_RESTART_CHILD, 2), ENOENT);
        assert_errno(verb(&f, SUPERVISE_STOP_CHILD, 0), ENOENT);
        assert_errno(verb(&f, _SUPERVISE_EVENT_MAX, 0), EINVAL);
        assert_errno(add_child(&f, SUPERVISE_PERMANENT), EOPNOTSUPP);
        assert_errno(scale(&f, SUPERVISE_SLOTS_MAX + 1), EINVAL);
        assert_int_equal(slot_of(&f, 1).restarts, 1);
}

static void test_operator_verbs(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 2);
        s = f.s;
        start_all(&f);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 1));
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_int_equal(slot_of(&f, 1).n_failures, 0); /* asked for: no failure */
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 1)); /* while it starts */
        assert_ok(started(&f, 1));                    /* said too late */
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_STOPPING);
        assert_ok(crashed(&f, 1));
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_HELD);
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_SCALE, .n = 2 }));
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_HELD);
        assert_ok(scale(&f, 2)); /* the operator again */
        assert_action(&f, SPAWN, 1);
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 1));
        assert_ok(scale(&f, 2)); /* before it is down */
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 1));
        assert_ok(crashed(&f, 1));
        assert_ok(simple(&f, SUPERVISE_START));
        assert_action(&f, SPAWN, 1);
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 1));
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 1));
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_ok(crashed(&f, 1)); /* backoff */
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 1));
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_HELD);
        assert_true(info_of(&f).due == NSEC_INFINITY);
}

static void test_give_up_and_revive(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(0);
        struct fixture f;

        fixture_new(&f, &p, 2);
        s = f.s;
        start_all(&f);
        assert_ok(crashed(&f, 1));
        assert_action(&f, PARKED, 1);
        assert_no_action(&f, GAVE_UP, 0);
        assert_ok(scale(&f, 3)); /* a verb clears `failed` */
        assert_action(&f, SPAWN, 1);
        assert_action(&f, SPAWN, 3);
        assert_int_equal(slot_of(&f, 1).n_failures, 0);
        for (uint32_t i = 1; i <= 3; i++)
                assert_ok(crashed(&f, i));
        assert_action(&f, GAVE_UP, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_FAILED);
        assert_errno(verb(&f, SUPERVISE_STOP_CHILD, 1), ESHUTDOWN);
        assert_errno(handle(&f, (supervise_event){ .type = SUPERVISE_SCALE, .n = 4 }), ESHUTDOWN);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 2));
        assert_action(&f, SPAWN, 2);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_FAILED], 2);
        assert_ok(crashed(&f, 2));
        assert_action(&f, GAVE_UP, 0);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 3);
}

static void test_escalate(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(1);
        struct fixture f;

        p.strategy = SUPERVISE_ONE_FOR_ONE;
        p.escalate = true;
        fixture_new(&f, &p, 0);
        s = f.s;
        for (int i = 1; i <= 3; i++)
                assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), i);
        start_all(&f);
        assert_ok(crashed(&f, 1));
        assert_ok(started(&f, 1));
        assert_ok(crashed(&f, 2)); /* one window for the set */
        assert_action(&f, PARKED, 2);
        assert_action(&f, STOP, 3);
        assert_no_action(&f, STOP, 1);
        assert_ok(crashed(&f, 3));
        assert_action(&f, STOP, 1);
        assert_errno(add_child(&f, SUPERVISE_PERMANENT), ESHUTDOWN);
        assert_ok(crashed(&f, 1));
        assert_action(&f, ESCALATE, 2);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 3);
}

static void test_one_for_one_parks(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(0);
        struct fixture f;

        p.strategy = SUPERVISE_ONE_FOR_ONE;
        fixture_new(&f, &p, 0);
        s = f.s;
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 1);
        assert_ok(report(&f, SUPERVISE_START_FAILED, 1));
        assert_action(&f, PARKED, 1);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 2);
        assert_ok(verb(&f, SUPERVISE_REMOVE_CHILD, 2));
        assert_action(&f, STOP, 2);
        assert_errno(verb(&f, SUPERVISE_RESTART_CHILD, 2), ENOENT); /* it is leaving */
        assert_ok(crashed(&f, 2));
        assert_action(&f, REMOVED, 2);
        assert_ok(verb(&f, SUPERVISE_REMOVE_CHILD, 1));
        assert_action(&f, REMOVED, 1);
        assert_int_equal(info_of(&f).slot_max, 0);
        assert_errno(scale(&f, 1), EOPNOTSUPP);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start),
                cmocka_unit_test(test_empty_set),
                cmocka_unit_test(test_restart_types),
                cmocka_unit_test(test_early_normal_exit),
                cmocka_unit_test(test_temporary_child_is_forgotten),
                cmocka_unit_test(test_intensity),
                cmocka_unit_test(test_intensity_boundary),
                cmocka_unit_test(test_failing_start),
                cmocka_unit_test(test_intensity_infinity),
                cmocka_unit_test(test_default_never_parks),
                cmocka_unit_test(test_backoff_stable),
                cmocka_unit_test(test_jitter),
                cmocka_unit_test(test_tick),
                cmocka_unit_test(test_stale_reports),
                cmocka_unit_test(test_operator_verbs),
                cmocka_unit_test(test_give_up_and_revive),
                cmocka_unit_test(test_escalate),
                cmocka_unit_test(test_one_for_one_parks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
