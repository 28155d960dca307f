/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Units that an arbiter before this one has started, or meant to start: which of them are taken for one's
 * own, what is told of each, and that nothing is done to those which are not. */

#include "test-util.h"

#include <signal.h>
#include <stdio.h>

#include "systemd-fixture.h"

#define MARK "ARBITER_AID=a0000000"

/* Its life as the journal has it; 0: its start was intended. */
static void adopt(struct fixture *x, unsigned n, bool transient, unsigned life, usec_t since) {
        char name[64];
        const struct unit_adoption q = { .name = name,
                .mark = MARK,
                .transient = transient,
                .invocation_id = life > 0 ? fake_invocation(life) : "",
                .since_usec = since };

        (void) snprintf(name, sizeof(name),
                        transient ? "arbiter-system-web-%u.service" : "my-worker@%u.service", n);
        assert_int_equal(fake_existing(&x->manager, name), n);
        assert_ok(systemd_ops.adopt(x->systemd, &q, &events, &x->seen[n], &x->seen[n].unit));
        assert_int_equal(x->seen[n].n_process + x->seen[n].n_ended, 0); /* never from within the call */
        settle(x);
}

static void assert_untouched(struct fixture *x) {
        assert_int_equal(x->manager.n_stops + x->manager.n_kills + x->manager.n_resets, 0);
}

static void test_lives(void **state) {
        struct fixture *x = *state;
        struct seen *s = &x->seen[0];

        x->manager.all_pid = 4711;
        x->manager.all_life = 7;
        adopt(x, 0, true, 7, 0);
        assert_int_equal(s->n_begun, 0);
        assert_int_equal(s->n_process, 1);
        assert_int_equal(s->pid, 4711);
        assert_string_equal(s->invocation, fake_invocation(7));
        assert_int_equal(s->n_started, 1);
        assert_int_equal(s->n_stopping + s->n_ended, 0);
        assert_untouched(x);
        adopt(x, 1, true, 7, 0); /* the connection is there already */
        assert_int_equal(x->seen[1].n_started, 1);
        /* From here on it is like any other. */
        assert_ok(systemd_ops.kill(s->unit, SIGUSR1, false));
        fake_end(&x->manager, 0, "failed", "signal", CLD_KILLED, SIGUSR1);
        settle(x);
        assert_int_equal(s->n_ended, 0);
        assert_int_equal(x->manager.n_resets, 1); /* else it would stay */
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(s->n_ended, 1);
        assert_int_equal(s->end.status, SIGUSR1);
        assert_int_equal(x->seen[1].n_ended, 0);
}

/* What has failed is there to tell how. */
static void test_failed_meanwhile(void **state) {
        struct fixture *x = *state;

        x->manager.all_life = 7;
        x->manager.all_active_state = "failed";
        x->manager.all_result = "watchdog";
        x->manager.all_code = CLD_KILLED;
        x->manager.all_status = SIGABRT;
        adopt(x, 0, true, 7, 0);
        assert_int_equal(x->manager.n_resets, 1);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_started, 0);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_true(x->seen[0].end.started);
        assert_string_equal(x->seen[0].result, "watchdog");
        assert_int_equal(x->seen[0].end.status, SIGABRT);
        assert_int_equal(x->seen[0].end.wish, UNIT_WISH_NONE);
}

static void test_vanished_meanwhile(void **state) {
        struct fixture *x = *state;

        x->manager.all_load_state = "not-found";
        x->manager.all_active_state = "inactive";
        adopt(x, 0, true, 7, 0);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_true(x->seen[0].end.started);
        assert_false(x->seen[0].end.absent);
        assert_string_equal(x->seen[0].result, "");
        /* Of a template systemd makes a new one, which has never run. */
        x->manager.all_load_state = "loaded";
        adopt(x, 1, false, 7, 0);
        assert_int_equal(x->seen[1].n_ended, 1);
        assert_true(x->seen[1].end.started);
        assert_string_equal(x->seen[1].result, "");
        assert_untouched(x);
}

/* Its name is not what it is known by. */
static void test_another_life(void **state) {
        struct fixture *x = *state;

        x->manager.all_pid = 4711;
        x->manager.all_life = 8;
        for (unsigned i = 0; i < 2; i++) {
                adopt(x, i, i == 0, 7, 0);
                assert_int_equal(x->seen[i].n_process + x->seen[i].n_started, 0);
                assert_int_equal(x->seen[i].n_ended, 1);
                assert_true(x->seen[i].end.started);
                assert_non_null(strstr(x->seen[i].text, "is another one than this actor's"));
        }
        assert_untouched(x);
}

/* Somebody has restarted it: it bears our mark, and runs without us. */
static void test_restarted_meanwhile(void **state) {
        struct fixture *x = *state;

        x->manager.all_pid = 4711;
        x->manager.all_life = 8;
        x->manager.all_mark = MARK;
        adopt(x, 0, true, 7, 0);
        assert_int_equal(x->seen[0].n_process, 0);
        assert_int_equal(x->manager.n_stops, 1);
        fake_end(&x->manager, 0, "inactive", "success", CLD_KILLED, SIGTERM);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_int_equal(x->seen[0].end.wish, UNIT_WISH_RESTART);
}

/* A start was intended: has it been carried out? */
static void test_intended(void **state) {
        struct fixture *x = *state;

        x->manager.all_pid = 4711;
        x->manager.all_life = 7;
        x->manager.all_mark = MARK;
        x->manager.all_has_job = true; /* it is on its way */
        x->manager.all_active_state = "activating";
        adopt(x, 0, true, 0, 0);
        assert_int_equal(x->seen[0].n_process, 1);
        assert_string_equal(x->seen[0].invocation, fake_invocation(7));
        assert_int_equal(x->seen[0].n_started, 0);
        fake_job_removed(&x->manager, 0, "done");
        settle(x);
        assert_int_equal(x->seen[0].n_started, 1);

        x->manager.all_has_job = false; /* it has arrived */
        x->manager.all_active_state = "active";
        adopt(x, 1, true, 0, 0);
        assert_int_equal(x->seen[1].n_started, 1);

        x->manager.all_active_state = "failed"; /* and never ran as it should */
        x->manager.all_result = "exit-code";
        adopt(x, 2, true, 0, 0);
        fake_removed(&x->manager, 2);
        settle(x);
        assert_int_equal(x->seen[2].n_started, 0);
        assert_int_equal(x->seen[2].n_ended, 1);
        assert_string_equal(x->seen[2].result, "exit-code");
}

static void test_never_carried_out(void **state) {
        struct fixture *x = *state;

        x->manager.all_load_state = "not-found";
        x->manager.all_active_state = "inactive";
        adopt(x, 0, true, 0, 0);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_true(x->seen[0].end.absent);
        assert_false(x->seen[0].end.started);
        start_named(x, 1, "arbiter-system-web-0.service", true); /* the name can be had at once */
        settle(x);
        assert_int_equal(x->manager.n_starts, 2);

        x->manager.all_load_state = "loaded"; /* somebody else's */
        x->manager.all_active_state = "active";
        x->manager.all_life = 9;
        x->manager.all_mark = "ARBITER_AID=b0000000";
        adopt(x, 2, true, 0, 0);
        assert_true(x->seen[2].end.absent);
        assert_int_equal(x->seen[2].n_process, 0);
        assert_untouched(x);
}

/* Instances of templates bear no mark. One that has begun since we meant to start it has been started for
 * us: before that it was seen to be down. */
static void test_template(void **state) {
        struct fixture *x = *state;

        x->manager.all_pid = 4711;
        x->manager.all_life = 7;
        x->manager.all_begun_usec = 1000;
        adopt(x, 0, false, 7, 5000);
        assert_int_equal(x->seen[0].n_started, 1);
        adopt(x, 1, false, 0, 999);
        assert_int_equal(x->seen[1].n_started, 1);
        adopt(x, 2, false, 0, 1001);
        assert_int_equal(x->seen[2].n_process, 0);
        assert_true(x->seen[2].end.absent);
        x->manager.all_load_state = "not-found"; /* the file is gone: what runs of it runs */
        adopt(x, 3, false, 7, 0);
        assert_int_equal(x->seen[3].n_started, 1);
        assert_untouched(x);
}

static void test_stop(void **state) {
        struct fixture *x = *state;
        const struct unit_adoption q = { .name = "arbiter-system-web-0.service",
                .mark = MARK,
                .transient = true,
                .invocation_id = fake_invocation(7) };

        x->manager.all_pid = 4711;
        x->manager.all_life = 7;
        (void) fake_existing(&x->manager, q.name);
        assert_ok(systemd_ops.adopt(x->systemd, &q, &events, &x->seen[0], &x->seen[0].unit));
        systemd_ops.stop(x->seen[0].unit); /* before anybody knows whether it is ours */
        assert_errno(systemd_ops.kill(x->seen[0].unit, SIGKILL, true), ESRCH);
        settle(x);
        assert_int_equal(x->manager.n_stops, 1);
        assert_string_equal(x->manager.stopped[0], q.name);
        fake_end(&x->manager, 0, "inactive", "success", CLD_KILLED, SIGTERM);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_int_equal(x->seen[0].end.wish, UNIT_WISH_NONE);

        x->manager.all_life = 8; /* another one: not stopped either */
        assert_ok(systemd_ops.adopt(x->systemd, &q, &events, &x->seen[1], &x->seen[1].unit));
        systemd_ops.stop(x->seen[1].unit);
        settle(x);
        assert_int_equal(x->seen[1].n_ended, 1);
        assert_int_equal(x->manager.n_stops, 1);
        assert_ok(systemd_ops.adopt(x->systemd, &q, &events, &x->seen[2], &x->seen[2].unit));
        systemd_ops.forget(x->seen[2].unit);
        settle(x);
        assert_int_equal(x->manager.n_stops, 1);
}

/* An operator has had it stopped meanwhile, and it still goes down. */
static void test_goes_down(void **state) {
        struct fixture *x = *state;

        x->manager.all_pid = 4711;
        x->manager.all_life = 7;
        x->manager.all_active_state = "deactivating";
        x->manager.all_has_job = true;
        adopt(x, 0, true, 7, 0);
        assert_int_equal(x->seen[0].n_process, 1);
        assert_int_equal(x->seen[0].n_stopping, 1);
        assert_true(x->seen[0].by_others);
        fake_end(&x->manager, 0, "inactive", "success", CLD_KILLED, SIGTERM);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].end.wish, UNIT_WISH_STOP);
}

/* What nobody knows is stopped: if it is an arbiter's, and this one's. */
static void test_sweep(void **state) {
        struct fixture *x = *state;

        x->manager.all_pid = 4711;
        x->manager.all_life = 7;
        x->manager.all_mark = "ARBITER_INSTANCE=system";
        adopt(x, 0, true, 7, 0);
        (void) fake_existing(&x->manager, "arbiter-system-web-1.service");
        (void) fake_existing(&x->manager, "arbiter-system-web-2.service");
        (void) fake_existing(&x->manager, "arbiter-other-web-1.service");
        systemd_ops.sweep(x->systemd, "arbiter-system-", "ARBITER_INSTANCE=other");
        assert_int_equal(x->manager.n_stops, 0); /* never from within the call */
        settle(x);
        assert_int_equal(x->manager.n_stops, 0);
        systemd_ops.sweep(x->systemd, "arbiter-system-", "ARBITER_INSTANCE=system");
        settle(x);
        assert_int_equal(x->manager.n_stops, 2);
        assert_string_equal(x->manager.stopped[0], "arbiter-system-web-1.service");
        assert_string_equal(x->manager.stopped[1], "arbiter-system-web-2.service");
        assert_int_equal(x->seen[0].n_ended, 0);
}

/* One that the state was silent about, or wrong, shows when its name is wanted. */
static void test_sweep_of_a_name(void **state) {
        struct fixture *x = *state;
        unsigned n;

        x->manager.all_mark = "ARBITER_INSTANCE=system";
        systemd_ops.sweep(x->systemd, "arbiter-system-", "ARBITER_INSTANCE=system");
        settle(x);
        (void) fake_existing(&x->manager, "arbiter-system-web-0.service");
        x->manager.error = SYSTEMD ".UnitExists";
        start(x, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        n = x->manager.n_stops; /* for each time that it is in the list of the fake one */
        assert_true(n > 0);
        assert_string_equal(x->manager.stopped[0], "arbiter-system-web-0.service");
        x->manager.all_mark = "ARBITER_INSTANCE=other"; /* not ours to stop */
        start(x, 0);
        settle(x);
        assert_int_equal(x->manager.n_stops, n);
}

/* A bus lets a connection have so many questions under way, and refuses others: that is no news of a
 * unit. */
static void test_many(void **state) {
        enum { N = 60 };
        struct fixture *x = *state;
        static struct seen seen[N];
        char name[64];

        memset(seen, 0, sizeof(seen));
        x->manager.all_pid = 4711;
        x->manager.all_life = 7;
        x->manager.query_mute = true;
        for (unsigned i = 0; i < N; i++) {
                const struct unit_adoption q = { .name = name,
                        .mark = MARK,
                        .transient = true,
                        .invocation_id = fake_invocation(7) };

                (void) snprintf(name, sizeof(name), "arbiter-system-web-%u.service", i);
                assert_ok(systemd_ops.adopt(x->systemd, &q, &events, &seen[i], &seen[i].unit));
        }
        settle(x);
        assert_int_equal(x->manager.n_queries, 2 * UNITS_ASKED_MAX);
        x->manager.query_mute = false;
        x->manager.query_error = SD_BUS_ERROR_LIMITS_EXCEEDED;
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 2);
        for (unsigned i = 0; i < N; i++) {
                while (seen[i].n_started == 0)
                        assert_ok(sd_event_run(x->event, UINT64_MAX));
                assert_int_equal(seen[i].n_ended, 0);
        }
        assert_null(x->manager.query_error);
        assert_untouched(x);
}

/* systemd is not there, or goes away before it has answered. */
static void test_outage(void **state) {
        struct fixture *x = *state;
        const struct unit_adoption q = { .name = "arbiter-system-web-0.service",
                .mark = MARK,
                .transient = true,
                .invocation_id = fake_invocation(7) };

        x->manager.all_pid = 4711;
        x->manager.all_life = 7;
        (void) fake_existing(&x->manager, q.name);
        assert_ok(systemd_ops.adopt(x->systemd, &q, &events, &x->seen[0], &x->seen[0].unit));
        while (x->manager.n_lists == 0)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 2);
        while (x->seen[0].n_started == 0)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        assert_int_equal(x->seen[0].n_process, 1);
        assert_int_equal(x->seen[0].n_started, 1);
        assert_int_equal(x->seen[0].n_ended, 0);
        assert_untouched(x);
}

#define test(f) cmocka_unit_test_setup_teardown(f, systemd_fixture_setup, systemd_fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                test(test_lives),
                test(test_failed_meanwhile),
                test(test_vanished_meanwhile),
                test(test_another_life),
                test(test_restarted_meanwhile),
                test(test_intended),
                test(test_never_carried_out),
                test(test_template),
                test(test_stop),
                test(test_goes_down),
                test(test_sweep),
                test(test_sweep_of_a_name),
                test(test_many),
                test(test_outage),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
