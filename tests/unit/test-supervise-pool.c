/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools: drains, rolls by generations, recycling, autoscale, breaker. The plain in-place roll is in
 * test-supervise-set.c; random histories are in tests/simulation. */

#include "test-supervise-util.h"

static int tell(struct fixture *f, supervise_event_type type, uint32_t slot, uint32_t n) {
        return handle(f, (supervise_event){ .type = type,
                                            .slot = slot,
                                            .generation = slot > 0 ? slot_of(f, slot).generation : 0,
                                            .n = n,
                                            .ok = n > 0 });
}

static int redefine(struct fixture *f, uint64_t revision) {
        return handle(f, (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED, .revision = revision });
}

static void running(struct fixture *f, const supervise_policy *p, uint32_t n) {
        fixture_new(f, p, n);
        start_all(f);
        assert_int_equal(info_of(f).n[SUPERVISE_SLOT_RUNNING], n);
}

static void test_idle_leave_first(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        running(&f, &p, 4);
        s = f.s;
        assert_ok(tell(&f, SUPERVISE_LOAD, 1, 1));
        assert_ok(tell(&f, SUPERVISE_LOAD, 2, 5));
        assert_ok(scale(&f, 3));
        assert_action(&f, STOP, 3);
        assert_ok(scale(&f, 2));
        assert_action(&f, STOP, 4);
        assert_ok(scale(&f, 1));
        assert_action(&f, STOP, 1);
}

static void test_drain(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.drain = 3 * SEC;
        running(&f, &p, 3);
        s = f.s;
        for (uint32_t i = 1; i <= 3; i++)
                assert_ok(tell(&f, SUPERVISE_LOAD, i, 2));
        assert_ok(scale(&f, 1));
        assert_action(&f, DRAIN, 1);
        assert_action(&f, DRAIN, 2);
        assert_no_action(&f, STOP, 1);
        assert_ok(tell(&f, SUPERVISE_LOAD, 1, 1)); /* still at it */
        assert_int_equal(f.n_actions, 0);
        assert_ok(scale(&f, 2));
        assert_action(&f, SERVE, 1);
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_RUNNING);
        assert_ok(scale(&f, 1));
        assert_ok(tell(&f, SUPERVISE_LOAD, 1, 0));
        assert_action(&f, STOP, 1);
        next_tick(&f); /* the patience with the other one is over */
        assert_action(&f, STOP, 2);
}

static void test_roll_with_surge(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.max_surge = 1;
        p.max_unavailable = 0;
        p.readiness = true;
        running(&f, &p, 3);
        s = f.s;
        for (uint32_t i = 1; i <= 3; i++)
                assert_ok(tell(&f, SUPERVISE_READY, i, 1));
        assert_ok(redefine(&f, 2));
        for (uint32_t i = 1; i <= 3; i++) {
                uint32_t new = i == 1 ? 4 : i - 1;

                assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, new)->revision, 2);
                assert_ok(started(&f, new));
                assert_int_equal(f.n_actions, 0); /* it runs, but its probe is not good yet */
                assert_ok(tell(&f, SUPERVISE_READY, new, 1));
                assert_action(&f, STOP, i);
                assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_RUNNING], 3);
                if (i < 3)
                        assert_ok(crashed(&f, i));
        }
        assert_action(&f, ROLL_DONE, 0);
        assert_ok(crashed(&f, 3));
        assert_int_equal(info_of(&f).n_wanted, 3);
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_DONE);
}

static void test_roll_several_at_once(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.max_unavailable = 2;
        running(&f, &p, 5);
        s = f.s;
        assert_ok(redefine(&f, 2));
        assert_int_equal(f.n_actions, 2);
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_ok(started(&f, 1));
        assert_action(&f, STOP, 3);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_RUNNING], 3);
}

static void test_roll_halts_and_recovers(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.max_surge = 1;
        p.max_unavailable = 0;
        running(&f, &p, 2);
        s = f.s;
        assert_ok(redefine(&f, 2));
        assert_ok(report(&f, SUPERVISE_START_FAILED, 3));
        assert_action(&f, ROLL_HALTED, 3);
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_HALTED);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_RUNNING], 2); /* the old ones serve */
        next_tick(&f);
        assert_ok(report(&f, SUPERVISE_START_FAILED, 3));
        assert_no_action(&f, ROLL_HALTED, 3); /* said once */
        next_tick(&f);
        assert_ok(started(&f, 3));
        assert_action(&f, STOP, 1);
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_GOING);
}

static void make_ready(struct fixture *f, uint32_t slot) {
        assert_ok(started(f, slot));
        assert_ok(tell(f, SUPERVISE_READY, slot, 1));
}

/* Three that serve, and a second definition is rolled out, two at a time, with a minute for each step. */
static void begin_slow(struct fixture *f, uint32_t max_surge, uint32_t max_unavailable) {
        supervise_policy p = plain_policy();

        p.max_surge = max_surge;
        p.max_unavailable = max_unavailable;
        p.readiness = true;
        p.drain = 3600 * SEC;
        p.progress_deadline = 60 * SEC;
        running(f, &p, 3);
        for (uint32_t i = 1; i <= 3; i++)
                assert_ok(tell(f, SUPERVISE_READY, i, 1));
        assert_ok(redefine(f, 2));
}

/* One that runs, and never gets ready. */
static void test_roll_deadline(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        struct fixture f;

        begin_slow(&f, 2, 0);
        s = f.s;
        assert_ok(started(&f, 4));
        assert_int_equal(info_of(&f).roll_awaits, 4);
        f.now += 59 * SEC;
        make_ready(&f, 5); /* one serves: that is progress */
        assert_action(&f, STOP, 1);
        assert_true(info_of(&f).roll_until == f.now + 60 * SEC);
        f.now += 60 * SEC - 1;
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_TICK }));
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_GOING);
        f.now++;
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_TICK }));
        assert_action(&f, ROLL_HALTED, 4);
        assert_true(find(&f, SUPERVISE_ACTION_ROLL_HALTED, 4)->revision == 2);
        assert_true(find(&f, SUPERVISE_ACTION_ROLL_HALTED, 4)->overdue);
        assert_true(info_of(&f).roll_overdue);
        f.now += 3600 * SEC; /* it is told once */
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_TICK }));
        assert_int_equal(f.n_actions, 0);
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_HALTED);
        assert_ok(tell(&f, SUPERVISE_READY, 4, 1)); /* at last */
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_GOING);
        assert_false(info_of(&f).roll_overdue);
        assert_action(&f, STOP, 2);
}

/* A second one serves now and then, which is no progress. */
static void test_roll_deadline_flaps(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        struct fixture f;

        begin_slow(&f, 0, 2);
        s = f.s;
        assert_ok(crashed(&f, 1));
        assert_ok(crashed(&f, 2));
        assert_ok(started(&f, 1));
        make_ready(&f, 2);
        assert_action(&f, STOP, 3);
        assert_ok(crashed(&f, 3));
        make_ready(&f, 3);
        for (unsigned i = 0; i < 3; i++) {
                f.now += 20 * SEC;
                assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_GOING);
                assert_ok(tell(&f, SUPERVISE_READY, 3, 0));
                assert_ok(tell(&f, SUPERVISE_READY, 3, 1));
        }
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_HALTED);
        assert_int_equal(info_of(&f).roll_awaits, 1);
}

/* It is the old one that takes its time: nobody is awaited meanwhile, and the new one has all of the
 * time. */
static void test_roll_deadline_drains(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        struct fixture f;

        begin_slow(&f, 0, 1);
        s = f.s;
        assert_ok(crashed(&f, 1));
        for (uint32_t i = 2; i <= 3; i++)
                assert_ok(tell(&f, SUPERVISE_LOAD, i, 1));
        make_ready(&f, 1);
        assert_action(&f, DRAIN, 2);
        assert_true(info_of(&f).roll_until == NSEC_INFINITY);
        f.now += 1000 * SEC;
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_TICK }));
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_GOING);
        assert_ok(tell(&f, SUPERVISE_LOAD, 2, 0));
        assert_ok(crashed(&f, 2));
        assert_true(info_of(&f).roll_until == f.now + 60 * SEC);
}

/* It has failed, is tried again, and runs, but does not get ready: that is told, too. */
static void test_roll_deadline_halted(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        struct fixture f;

        begin_slow(&f, 1, 0);
        s = f.s;
        assert_ok(crashed(&f, 4));
        assert_action(&f, ROLL_HALTED, 4);
        assert_false(find(&f, SUPERVISE_ACTION_ROLL_HALTED, 4)->overdue);
        assert_true(info_of(&f).roll_until == NSEC_INFINITY);
        next_tick(&f);
        assert_action(&f, SPAWN, 4);
        assert_false(info_of(&f).roll_overdue);
        next_tick(&f);
        assert_action(&f, ROLL_HALTED, 4);
        assert_true(info_of(&f).roll_overdue);
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_ROLL_ABORT }));
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_ABORTED);
        assert_false(info_of(&f).roll_overdue);
}

/* Another definition waits for the end of it: that comes by turning back. */
static void test_roll_deadline_third(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        struct fixture f;

        begin_slow(&f, 1, 0);
        s = f.s;
        make_ready(&f, 4);
        assert_ok(crashed(&f, 1));
        assert_action(&f, SPAWN, 1);
        assert_ok(redefine(&f, 3));
        assert_int_equal(info_of(&f).revision_next, 3);
        next_tick(&f);
        assert_action(&f, ROLL_HALTED, 1);
        assert_true(find(&f, SUPERVISE_ACTION_ROLL_HALTED, 1)->overdue);
        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_TURNING_BACK);
        assert_int_equal(info_of(&f).revision, 1);
        assert_false(info_of(&f).roll_overdue);
}

/* 0 and infinity: it waits for ever. */
static void test_roll_no_deadline(void **state) {
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p;
                struct fixture f;

                begin_slow(&f, 1, 0);
                s = f.s;
                p = *supervise_get_policy(s);
                p.progress_deadline = i == 0 ? 0 : NSEC_INFINITY;
                assert_ok(supervise_set_policy(s, &p));
                drain(&f);
                assert_true(info_of(&f).roll_until == NSEC_INFINITY);
                f.now += 365 * 86400 * SEC;
                assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_TICK }));
                assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_GOING);
                assert_int_equal(info_of(&f).roll_awaits, 4);
        }
}

static void test_roll_turns_back(void **state) {
        for (int by_definition = 0; by_definition < 2; by_definition++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = plain_policy();
                struct fixture f;

                p.max_surge = 1;
                p.max_unavailable = 0;
                running(&f, &p, 2);
                s = f.s;
                assert_errno(simple(&f, SUPERVISE_ROLL_ABORT), ENOENT);
                assert_ok(redefine(&f, 2));
                assert_ok(started(&f, 3));
                assert_ok(crashed(&f, 1)); /* one is new, one is old, the next is on its way */
                assert_action(&f, SPAWN, 1);
                assert_ok(by_definition ? redefine(&f, 1) : simple(&f, SUPERVISE_ROLL_ABORT));
                assert_action(&f, STOP, 1); /* does not serve yet: is not needed */
                assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_TURNING_BACK);
                assert_ok(crashed(&f, 1));
                assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1)->revision, 1);
                assert_ok(started(&f, 1));
                assert_action(&f, STOP, 3);
                assert_action(&f, ROLL_ABORTED, 0);
                assert_int_equal(info_of(&f).revision, 1);
                assert_int_equal(info_of(&f).revision_from, 2);
        }
}

/* A third definition waits while workers of two serve. */
static void test_roll_third_definition(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        running(&f, &p, 2);
        s = f.s;
        assert_ok(redefine(&f, 2));
        assert_ok(crashed(&f, 1));
        assert_ok(started(&f, 1));
        assert_action(&f, STOP, 2);
        assert_ok(redefine(&f, 3));
        assert_int_equal(f.n_actions, 0);
        assert_ok(crashed(&f, 2));
        assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 2)->revision, 2);
        assert_ok(started(&f, 2));
        assert_action(&f, ROLL_DONE, 0);
        assert_action(&f, STOP, 1);
        assert_int_equal(info_of(&f).revision, 3);

        assert_ok(crashed(&f, 1));
        assert_ok(redefine(&f, 4)); /* nobody of 3 serves: at once */
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1)->revision, 4);
}

/* An old worker that is given up serves nobody as what it was: it does not hold up the roll. */
static void test_roll_past_a_parked_one(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.intensity = 0;
        running(&f, &p, 3);
        s = f.s;
        assert_ok(redefine(&f, 2));
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 2));
        assert_action(&f, PARKED, 2);
        assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 2)->revision, 2);
        assert_ok(crashed(&f, 1));
        assert_ok(started(&f, 1));
        assert_ok(started(&f, 2));
        assert_action(&f, STOP, 3);
        assert_ok(crashed(&f, 3));
        assert_ok(started(&f, 3));
        assert_action(&f, ROLL_DONE, 0);
}

/* Who is given up by the definition before is not waited for; what is to come next may be better. */
static void test_roll_back_with_a_parked_one(void **state) {
        for (int next = 0; next < 2; next++) {
                _cleanup_(supervise_freep) supervise *s = NULL;
                supervise_policy p = plain_policy();
                struct fixture f;

                p.intensity = 0;
                running(&f, &p, 2);
                s = f.s;
                assert_ok(redefine(&f, 2));
                assert_ok(crashed(&f, 1));
                assert_ok(started(&f, 1));
                assert_ok(simple(&f, SUPERVISE_ROLL_ABORT));
                assert_ok(crashed(&f, 2));
                assert_ok(started(&f, 2));
                assert_action(&f, STOP, 1);
                if (next)
                        assert_ok(redefine(&f, 3));
                assert_ok(crashed(&f, 1));
                assert_ok(report(&f, SUPERVISE_START_FAILED, 1));
                assert_action(&f, PARKED, 1);
                assert_action(&f, ROLL_ABORTED, 0);
                if (next)
                        assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1)->revision, 3);
                else
                        assert_int_equal(info_of(&f).roll, SUPERVISE_ROLL_ABORTED);
        }
}

static void test_recycle(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        uint64_t least = UINT64_MAX, most = 0;
        struct fixture f;

        p.runtime_max = 100 * SEC;
        p.requests_max = 1000;
        p.recycle_spread = 20;
        running(&f, &p, 20);
        s = f.s;
        for (uint32_t i = 1; i <= 20; i++) {
                least = MIN(least, slot_of(&f, i).requests_max);
                most = MAX(most, slot_of(&f, i).requests_max);
                assert_true(slot_of(&f, i).until - f.now <= 100 * SEC);
                assert_true(slot_of(&f, i).until - f.now >= 80 * SEC);
        }
        assert_true(least >= 800 && most <= 1000 && most - least > 50);

        assert_ok(tell(&f, SUPERVISE_RECYCLE, 7, 0));
        assert_action(&f, STOP, 7);
        assert_ok(tell(&f, SUPERVISE_RECYCLE, 9, 0)); /* one at a time */
        assert_int_equal(f.n_actions <= 1, 1);
        assert_no_action(&f, STOP, 9);
        assert_ok(exited_normally(&f, 7));
        assert_action(&f, SPAWN, 7);
        assert_ok(started(&f, 7));
        assert_action(&f, STOP, 9);
        assert_ok(exited_normally(&f, 9));
        assert_ok(started(&f, 9));
        assert_int_equal(slot_of(&f, 9).n_failures, 0);
        next_tick(&f); /* the first whose time has come */
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STOPPING], 1);
}

/* Another limit counts for those who run, from their start. */
static void test_another_runtime(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;
        nsec_t begun;

        running(&f, &p, 2);
        s = f.s;
        begun = slot_of(&f, 1).since;
        assert_true(slot_of(&f, 1).until == NSEC_INFINITY);
        f.now += 50 * SEC;
        p.runtime_max = 80 * SEC;
        assert_ok(supervise_set_policy(s, &p));
        assert_ok(simple(&f, SUPERVISE_TICK));
        assert_no_action(&f, STOP, 1);
        assert_int_equal(slot_of(&f, 1).since, begun);
        assert_int_equal(slot_of(&f, 1).until, begun + 80 * SEC);
        assert_int_equal(info_of(&f).due, slot_of(&f, 2).until);
        p.runtime_max = 0;
        assert_ok(supervise_set_policy(s, &p));
        assert_ok(simple(&f, SUPERVISE_TICK));
        assert_true(slot_of(&f, 1).until == NSEC_INFINITY && info_of(&f).due == NSEC_INFINITY);
        p.runtime_max = 40 * SEC; /* that is over, for both */
        assert_ok(supervise_set_policy(s, &p));
        assert_ok(simple(&f, SUPERVISE_TICK));
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STOPPING], 1);
        p.runtime_max = 0; /* who waits for his turn has it */
        assert_ok(supervise_set_policy(s, &p));
        assert_ok(exited_normally(&f, 1));
        assert_ok(started(&f, 1));
        assert_action(&f, STOP, 2);
        assert_true(slot_of(&f, 1).until == NSEC_INFINITY);
}

static void test_autoscale(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        p.workers_min = 2;
        p.workers_max = 8;
        p.scale_up = 80;
        p.scale_down = 40;
        p.scale_up_after = SEC;
        p.scale_down_after = 10 * SEC;
        running(&f, &p, 2);
        s = f.s;
        assert_ok(tell(&f, SUPERVISE_LOAD, 0, 300));
        f.now += SEC - 1;
        assert_ok(simple(&f, SUPERVISE_TICK));
        assert_int_equal(info_of(&f).n_wanted, 2);
        assert_ok(tell(&f, SUPERVISE_LOAD, 0, 100)); /* it did not last */
        assert_ok(tell(&f, SUPERVISE_LOAD, 0, 300));
        next_tick(&f);
        assert_action(&f, SCALED, 0);
        assert_int_equal(info_of(&f).n_wanted, 5); /* 60 % of each */
        assert_ok(tell(&f, SUPERVISE_LOAD, 0, 100000));
        next_tick(&f);
        assert_int_equal(info_of(&f).n_wanted, 8);
        assert_ok(tell(&f, SUPERVISE_LOAD, 0, 0));
        for (uint32_t n = 7; n >= 2; n--) {
                next_tick(&f);
                assert_int_equal(info_of(&f).n_wanted, n);
        }
        assert_true(info_of(&f).due == NSEC_INFINITY);
}

static void test_breaker(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(SUPERVISE_INTENSITY_INFINITY);
        struct fixture f;

        p.breaker_failures = 3;
        p.breaker_period = 10 * SEC;
        p.breaker_min = SEC;
        p.breaker_max = 3 * SEC;
        running(&f, &p, 4);
        s = f.s;
        for (uint32_t i = 1; i <= 3; i++)
                assert_ok(crashed(&f, i));
        assert_action(&f, BREAKER_OPEN, 0);
        assert_no_action(&f, SPAWN, 3);
        assert_ok(started(&f, 1)); /* who was started already is not touched */
        assert_ok(crashed(&f, 4));
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_WAITING], 2);
        for (nsec_t delay = SEC; delay <= 3 * SEC; delay = MIN(delay * 2, 3 * SEC) + (delay == 3 * SEC)) {
                assert_true(info_of(&f).breaker_until == f.now + delay);
                f.now += delay;
                assert_ok(simple(&f, SUPERVISE_TICK));
                assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 2); /* 2,
                                and the one that is tried */
                assert_ok(report(&f, SUPERVISE_START_FAILED, 3));
                assert_action(&f, BREAKER_OPEN, 0);
        }
        f.now += 3 * SEC;
        assert_ok(simple(&f, SUPERVISE_TICK));
        assert_int_equal(info_of(&f).breaker, SUPERVISE_BREAKER_HALF_OPEN);
        assert_ok(started(&f, 3));
        assert_action(&f, BREAKER_CLOSED, 0);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_WAITING], 0);

        for (int i = 0; i < 3; i++) {
                assert_ok(started(&f, 1));
                assert_ok(crashed(&f, 1));
        }
        assert_int_equal(info_of(&f).breaker, SUPERVISE_BREAKER_OPEN);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 1)); /* an operator knows better */
        assert_action(&f, BREAKER_CLOSED, 0);
        assert_action(&f, SPAWN, 1);
}

static void test_unhealthy(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(0);
        struct fixture f;

        running(&f, &p, 2);
        s = f.s;
        assert_ok(tell(&f, SUPERVISE_UNHEALTHY, 1, 0));
        assert_action(&f, STOP, 1);
        assert_errno(tell(&f, SUPERVISE_UNHEALTHY, 1, 0), ESTALE);
        assert_ok(exited_normally(&f, 1)); /* what it says of itself does not count */
        assert_action(&f, PARKED, 1);
}

static void test_policy(void **state) {
        supervise_policy good = plain_policy(), p;
        supervise *s;

        p = good, p.max_unavailable = 0;
        assert_errno(supervise_new(&p, 1, 1, 1, &s), EINVAL);
        p = good, p.recycle_spread = 101;
        assert_errno(supervise_new(&p, 1, 1, 1, &s), EINVAL);
        p = good, p.workers_max = 3;
        assert_errno(supervise_new(&p, 1, 1, 1, &s), EINVAL);
        p = good, p.workers_min = 1, p.workers_max = 3, p.scale_up = p.scale_down = 50;
        assert_errno(supervise_new(&p, 1, 1, 1, &s), EINVAL);
        p = good, p.breaker_failures = 3;
        assert_errno(supervise_new(&p, 1, 1, 1, &s), EINVAL);
        p = good, p.max_surge = SUPERVISE_SURGE_MAX + 1;
        assert_errno(supervise_new(&p, 1, 1, 1, &s), EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_idle_leave_first),
                cmocka_unit_test(test_drain),
                cmocka_unit_test(test_roll_with_surge),
                cmocka_unit_test(test_roll_several_at_once),
                cmocka_unit_test(test_roll_halts_and_recovers),
                cmocka_unit_test(test_roll_deadline),
                cmocka_unit_test(test_roll_deadline_flaps),
                cmocka_unit_test(test_roll_deadline_drains),
                cmocka_unit_test(test_roll_deadline_halted),
                cmocka_unit_test(test_roll_deadline_third),
                cmocka_unit_test(test_roll_no_deadline),
                cmocka_unit_test(test_roll_turns_back),
                cmocka_unit_test(test_roll_third_definition),
                cmocka_unit_test(test_roll_past_a_parked_one),
                cmocka_unit_test(test_roll_back_with_a_parked_one),
                cmocka_unit_test(test_recycle),
                cmocka_unit_test(test_another_runtime),
                cmocka_unit_test(test_autoscale),
                cmocka_unit_test(test_breaker),
                cmocka_unit_test(test_unhealthy),
                cmocka_unit_test(test_policy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
