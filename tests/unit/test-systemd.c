/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spawner of units against a manager that does what the test says: the queue, jobs, results, what others
 * do to units, and a connection that is lost at every moment. */

#include "test-util.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <arbiter/arbiter.h>

#include "systemd-fixture.h"

static void test_life(void **state) {
        struct fixture *x = *state;
        struct seen *s = &x->seen[0];

        start(x, 0);
        assert_int_equal(s->n_begun, 0); /* nobody is there yet */
        settle(x);
        assert_int_equal(s->n_begun, 1);
        assert_int_equal(x->manager.n_starts, 1);
        assert_string_equal(x->manager.started[0], "arbiter-system-web-0.service");
        assert_non_null(strstr(x->manager.settings, "Description "));
        assert_null(strstr(x->manager.settings, "AddRef")); /* PID 1 would wait for the bus */
        fake_process(&x->manager, 0, 4711, 1);
        settle(x);
        assert_int_equal(s->n_process, 1);
        assert_int_equal(s->pid, 4711);
        assert_int_equal(s->n_started, 0);
        fake_job_removed(&x->manager, 0, "done");
        settle(x);
        assert_int_equal(s->n_started, 1);

        systemd_ops.stop(s->unit);
        systemd_ops.stop(s->unit);
        settle(x);
        assert_int_equal(x->manager.n_stops, 1);
        fake_job_new(&x->manager, 0, SYSTEMD_PATH "/job/1000");
        fake_state(&x->manager, 0, "deactivating");
        settle(x);
        assert_int_equal(s->n_stopping, 1);
        assert_false(s->by_others);
        fake_end(&x->manager, 0, "inactive", "success", CLD_KILLED, SIGTERM);
        settle(x);
        assert_int_equal(s->n_ended, 0); /* its name is not free yet */
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(s->n_ended, 1);
        assert_true(s->end.started);
        assert_int_equal(s->end.wish, UNIT_WISH_NONE);
        assert_string_equal(s->result, "success");
        assert_int_equal(s->end.status, SIGTERM);
        start_all(x, 0 + 1); /* the next one is the second */
}

static void test_results(void **state) {
        static const struct {
                const char *state, *result;
                int code, status;
                bool running, stopping;
                arbiter_reason reason;
        } cases[] = {
                { "inactive", "success", CLD_EXITED, 0, true, false, ARBITER_REASON_NORMAL },
                { "failed", "exit-code", CLD_EXITED, 7, true, false, ARBITER_REASON_EXIT_CODE },
                { "failed", "signal", CLD_KILLED, SIGKILL, true, false, ARBITER_REASON_SIGNAL },
                { "inactive", "success", CLD_KILLED, SIGTERM, true, false, ARBITER_REASON_SIGNAL },
                { "failed", "core-dump", CLD_DUMPED, SIGSEGV, true, false, ARBITER_REASON_CORE_DUMP },
                { "failed", "watchdog", CLD_KILLED, SIGABRT, true, false, ARBITER_REASON_WATCHDOG },
                { "failed", "oom-kill", CLD_KILLED, SIGKILL, true, false, ARBITER_REASON_OOM_KILL },
                { "failed", "timeout", CLD_KILLED, SIGKILL, true, true, ARBITER_REASON_STOP_TIMEOUT },
                { "failed", "timeout", CLD_KILLED, SIGTERM, false, false, ARBITER_REASON_START_TIMEOUT },
                { "failed", "timeout", CLD_KILLED, SIGTERM, true, false, ARBITER_REASON_KILLED },
                { "failed", "resources", 0, 0, false, false, ARBITER_REASON_HANDSHAKE },
                { "failed", "protocol", 0, 0, false, false, ARBITER_REASON_HANDSHAKE },
        };
        struct fixture *x = *state;

        for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
                struct seen *s = &x->seen[i];
                int status;

                start_all(x, i);
                fake_end(&x->manager, i, cases[i].state, cases[i].result, cases[i].code, cases[i].status);
                fake_removed(&x->manager, i);
                settle(x);
                assert_int_equal(s->n_ended, 1);
                assert_string_equal(s->result, cases[i].result);
                s->end.result = s->result;
                assert_int_equal(unit_reason_of(&s->end, cases[i].running, cases[i].stopping, &status),
                                cases[i].reason);
                assert_int_equal(status, cases[i].status);
        }
}

static void test_window(void **state) {
        struct fixture *x = *state;

        for (unsigned i = 0; i < 20; i++)
                start(x, i);
        settle(x);
        assert_int_equal(x->manager.n_starts, UNITS_IN_FLIGHT_MAX);
        /* A process is there: PID 1 is done with it, though the job may go on for long. */
        fake_process(&x->manager, 0, 100, 1);
        settle(x);
        assert_int_equal(x->manager.n_starts, UNITS_IN_FLIGHT_MAX + 1);
        fake_job_removed(&x->manager, 1, "failed");
        settle(x);
        assert_int_equal(x->manager.n_starts, UNITS_IN_FLIGHT_MAX + 2);
        /* Who waits in the queue ends without systemd. */
        systemd_ops.stop(x->seen[19].unit);
        assert_int_equal(x->seen[19].n_ended, 0);
        settle(x);
        assert_int_equal(x->seen[19].n_ended, 1);
        assert_false(x->seen[19].end.started);
        assert_int_equal(x->seen[19].n_begun, 0);
        assert_int_equal(x->manager.n_stops, 0);
        for (unsigned i = 2; i < 19; i++) {
                fake_process(&x->manager, i, 100 + i, 1);
                settle(x);
        }
        assert_int_equal(x->manager.n_starts, 19);
}

static void test_refused(void **state) {
        struct fixture *x = *state;

        x->manager.error = SYSTEMD ".UnitExists";
        start(x, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_false(x->seen[0].end.started);
        assert_non_null(strstr(x->seen[0].text, "there is a unit arbiter-system-web-0.service already"));
        assert_int_equal(x->manager.n_stops, 0); /* not ours to stop */
        assert_int_equal(x->manager.n_resets, 1); /* but what has failed lets go of its name */
        x->manager.error = SD_BUS_ERROR_PROPERTY_READ_ONLY;
        start(x, 1);
        settle(x);
        assert_non_null(strstr(x->seen[1].text, "systemd does not start arbiter-system-web-1.service"));
        assert_non_null(strstr(x->seen[1].text, "This is systemd 249.11: a setting that is newer"));
        x->manager.error = SYSTEMD ".UnitExists";
        x->manager.n_errors = 1;
        start(x, 2);
        settle(x);
        assert_int_equal(x->manager.n_resets, 2);
        assert_int_equal(x->seen[2].n_ended, 0);
        x->manager.error = NULL;
        start(x, 3);
        settle(x);
        assert_int_equal(x->seen[3].n_ended, 0);
}

/* The name is in use until the end has been told. */
static void test_same_name(void **state) {
        struct fixture *x = *state;
        const struct unit_request q = { .name = "arbiter-system-web-0.service",
                .mark = "",
                .properties = x->properties };
        struct systemd_unit *u;

        start(x, 0);
        assert_errno(systemd_ops.start(x->systemd, &q, &events, &x->seen[1], &u), EEXIST);
        settle(x);
        assert_errno(systemd_ops.start(x->systemd, &q, &events, &x->seen[1], &u), EEXIST);
}

static void test_job_fails(void **state) {
        struct fixture *x = *state;

        start(x, 0);
        settle(x);
        fake_process(&x->manager, 0, 100, 1);
        fake_end(&x->manager, 0, "failed", "exit-code", CLD_EXITED, 203);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 0);
        fake_job_removed(&x->manager, 0, "failed");
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_started, 0);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_int_equal(x->seen[0].end.status, 203);
        assert_non_null(strstr(x->seen[0].text, "(Result=exit-code): \"journalctl -u arbiter-system-web-0"));

        /* One that never had a process: a dependency of its slice. */
        start(x, 1);
        settle(x);
        fake_job_removed(&x->manager, 1, "dependency");
        fake_removed(&x->manager, 1);
        settle(x);
        assert_int_equal(x->seen[1].n_ended, 1);
        assert_non_null(strstr(x->seen[1].text, "(its job: dependency)"));
}

/* All of a short life may be told at once. */
static void test_short_life(void **state) {
        struct fixture *x = *state;

        start(x, 0);
        settle(x);
        fake_end(&x->manager, 0, "inactive", "success", CLD_EXITED, 0);
        fake_job_removed(&x->manager, 0, "done");
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_started, 1);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_int_equal(x->seen[0].end.code, CLD_EXITED);
}

static void test_vanishes(void **state) {
        struct fixture *x = *state;

        start_all(x, 0);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_string_equal(x->seen[0].result, "");
        assert_true(x->seen[0].end.started);
}

static void test_stopped_by_others(void **state) {
        struct fixture *x = *state;

        start_all(x, 0);
        fake_job_new(&x->manager, 0, SYSTEMD_PATH "/job/77");
        fake_state(&x->manager, 0, "deactivating");
        settle(x);
        assert_int_equal(x->seen[0].n_stopping, 1);
        assert_true(x->seen[0].by_others);
        fake_end(&x->manager, 0, "inactive", "success", CLD_KILLED, SIGTERM);
        fake_foreign_job_removed(&x->manager, 0, SYSTEMD_PATH "/job/77");
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_int_equal(x->seen[0].end.wish, UNIT_WISH_STOP);

        /* A job that leaves it running is no wish of that kind: it has then crashed. */
        start_all(x, 1);
        fake_job_new(&x->manager, 1, SYSTEMD_PATH "/job/78");
        fake_foreign_job_removed(&x->manager, 1, SYSTEMD_PATH "/job/78");
        settle(x);
        fake_end(&x->manager, 1, "failed", "signal", CLD_KILLED, SIGKILL);
        fake_removed(&x->manager, 1);
        settle(x);
        assert_int_equal(x->seen[1].end.wish, UNIT_WISH_NONE);

        /* We have wanted it, too, and first. */
        start_all(x, 2);
        systemd_ops.stop(x->seen[2].unit);
        fake_job_new(&x->manager, 2, SYSTEMD_PATH "/job/79");
        settle(x);
        fake_end(&x->manager, 2, "inactive", "success", CLD_KILLED, SIGTERM);
        fake_removed(&x->manager, 2);
        settle(x);
        assert_int_equal(x->seen[2].end.wish, UNIT_WISH_NONE);
}

static void test_restarted_by_others(void **state) {
        struct fixture *x = *state;

        /* Its end was seen. */
        start_all(x, 0);
        fake_job_new(&x->manager, 0, SYSTEMD_PATH "/job/77");
        fake_end(&x->manager, 0, "inactive", "success", CLD_KILLED, SIGTERM);
        settle(x);
        fake_process(&x->manager, 0, 200, 2);
        settle(x);
        assert_int_equal(x->manager.n_stops, 1);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_int_equal(x->seen[0].end.wish, UNIT_WISH_RESTART);

        /* It was not: the life is another one. */
        start_all(x, 1);
        fake_process(&x->manager, 1, 201, 2);
        settle(x);
        assert_int_equal(x->manager.n_stops, 2);
        assert_int_equal(x->seen[1].n_process, 1); /* it is not shown as ours */
        fake_removed(&x->manager, 1);
        settle(x);
        assert_int_equal(x->seen[1].end.wish, UNIT_WISH_RESTART);
}

/* An instance of a template is there all the while, as nothing else is asked for by its name. */
static void test_instance_restarted_by_others(void **state) {
        struct fixture *x = *state;

        for (unsigned i = 0; i < 5; i++) {
                start_named(x, i, "my-worker@3.service", false);
                settle(x);
                fake_process(&x->manager, i, 100, 1);
                fake_job_removed(&x->manager, i, "done");
                fake_job_new(&x->manager, i, SYSTEMD_PATH "/job/77");
                if (i < 4) {
                        fake_end(&x->manager, i, "inactive", "success", CLD_KILLED, SIGTERM);
                        settle(x);
                        assert_int_equal(x->seen[i].n_ended, 0);
                        assert_true(x->seen[i].by_others);
                }
                if (i == 0) { /* a restart */
                        fake_process(&x->manager, i, 200, 2);
                        fake_foreign_job_removed(&x->manager, i, SYSTEMD_PATH "/job/77");
                        settle(x);
                        assert_int_equal(x->manager.n_stops, 1);
                        assert_int_equal(x->seen[i].n_ended, 0); /* it is there: nobody can start it now */
                        fake_end(&x->manager, i, "failed", "signal", CLD_KILLED, SIGKILL);
                } else if (i == 1) { /* whose start failed */
                        fake_process(&x->manager, i, 200, 2);
                        fake_end(&x->manager, i, "failed", "exit-code", CLD_EXITED, 1);
                        fake_foreign_job_removed(&x->manager, i, SYSTEMD_PATH "/job/77");
                } else if (i == 2) /* a stop */
                        fake_foreign_job_removed(&x->manager, i, SYSTEMD_PATH "/job/77");
                else { /* of which its end, or all of it, was not heard */
                        x->manager.all_active_state = "inactive";
                        x->manager.all_code = CLD_KILLED;
                        x->manager.all_status = SIGTERM;
                        fake_reloading(&x->manager, true);
                        fake_reloading(&x->manager, false);
                }
                settle(x);
                assert_int_equal(x->seen[i].n_ended, 1);
                assert_int_equal(x->seen[i].end.wish, i < 2 ? UNIT_WISH_RESTART : UNIT_WISH_STOP);
                assert_int_equal(x->seen[i].end.status, SIGTERM);
        }
}

static void test_kill(void **state) {
        struct fixture *x = *state;

        start(x, 0);
        assert_errno(systemd_ops.kill(x->seen[0].unit, SIGUSR1, false), ESRCH);
        settle(x);
        fake_process(&x->manager, 0, 100, 1);
        settle(x);
        assert_ok(systemd_ops.kill(x->seen[0].unit, SIGUSR1, false));
        settle(x);
        assert_string_equal(x->manager.killed, "arbiter-system-web-0.service");
        assert_string_equal(x->manager.kill_who, "main");
        assert_int_equal(x->manager.kill_signal, SIGUSR1);
        assert_ok(systemd_ops.kill(x->seen[0].unit, SIGKILL, true));
        settle(x);
        assert_string_equal(x->manager.kill_who, "all");
}

/* A stop that comes while the start is on its way follows it. */
static void test_stop_while_called(void **state) {
        struct fixture *x = *state;

        x->manager.mute = false;
        start(x, 0);
        while (x->seen[0].n_begun == 0)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        systemd_ops.stop(x->seen[0].unit);
        assert_int_equal(x->manager.n_stops, 0);
        settle(x);
        assert_int_equal(x->manager.n_starts, 1);
        assert_int_equal(x->manager.n_stops, 1);
        fake_job_removed(&x->manager, 0, "canceled");
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_int_equal(x->seen[0].end.wish, UNIT_WISH_NONE);
}

/* Where nothing is in its way it is asked for at once, not after all that is spawned in the same turn. */
static void test_at_once(void **state) {
        struct fixture *x = *state;

        start_all(x, 0);
        for (unsigned i = 1; i <= UNITS_IN_FLIGHT_MAX + 1; i++)
                start(x, i);
        for (unsigned i = 1; i <= UNITS_IN_FLIGHT_MAX; i++)
                assert_int_equal(x->seen[i].n_begun, 1);
        assert_int_equal(x->seen[UNITS_IN_FLIGHT_MAX + 1].n_begun, 0);
        settle(x);
        assert_int_equal(x->manager.n_starts, UNITS_IN_FLIGHT_MAX + 1);
}

static void test_forget(void **state) {
        struct fixture *x = *state;

        start(x, 1);
        systemd_ops.forget(x->seen[1].unit); /* still in the queue */
        start_all(x, 0);
        systemd_ops.forget(x->seen[0].unit);
        settle(x);
        assert_int_equal(x->manager.n_starts, 1);
        assert_int_equal(x->manager.n_stops, 1);
        assert_string_equal(x->manager.stopped[0], "arbiter-system-web-0.service");
        assert_int_equal(x->seen[0].n_ended, 0);
        fake_removed(&x->manager, 0);
        settle(x);
}

/* Outages. */

static void test_lost_while_running(void **state) {
        struct fixture *x = *state;

        for (unsigned i = 0; i < 3; i++)
                start_all(x, i);
        x->manager.all_pid = 100;
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 2);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(x->seen[i].n_ended, 0);
        assert_int_equal(x->seen[0].n_started, 1);
        /* A stop that is asked for in the outage is carried out after it. */
        fake_systemd_hang_up(&x->manager);
        while (x->systemd->ready)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        assert_errno(systemd_ops.kill(x->seen[1].unit, SIGKILL, true), ENOTCONN);
        systemd_ops.stop(x->seen[1].unit);
        wait_connection(x, 3);
        assert_int_equal(x->manager.n_stops, 1);
        assert_string_equal(x->manager.stopped[0], "arbiter-system-web-1.service");
}

static void test_gone_after_outage(void **state) {
        struct fixture *x = *state;

        start_all(x, 0);
        x->manager.all_load_state = "not-found";
        x->manager.all_active_state = "inactive";
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 2);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_string_equal(x->seen[0].result, "");
}

static void test_failed_in_outage(void **state) {
        struct fixture *x = *state;

        start_all(x, 0);
        x->manager.all_active_state = "failed";
        x->manager.all_result = "oom-kill";
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 2);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_string_equal(x->seen[0].result, "oom-kill");
}

/* The answer to a start is lost: was it carried out? Its mark says so. */
static void test_lost_answer(void **state) {
        struct fixture *x = *state;

        x->manager.mute = true;
        start(x, 0);
        settle(x);
        assert_int_equal(x->manager.n_starts, 1);
        x->manager.mute = false;
        x->manager.all_mark = "ARBITER_AID=a0000000";
        x->manager.all_pid = 100;
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 2);
        assert_int_equal(x->seen[0].n_started, 1);
        assert_int_equal(x->seen[0].pid, 100);
        assert_int_equal(x->manager.n_starts, 1); /* nothing is started twice */

        x->manager.mute = true;
        start(x, 1);
        settle(x);
        x->manager.mute = false;
        x->manager.all_mark = "ARBITER_AID=b0000000"; /* somebody else's */
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 3);
        assert_int_equal(x->seen[1].n_ended, 1);
        assert_false(x->seen[1].end.started);
        assert_int_equal(x->manager.n_stops, 0); /* which is let alone */
}

/* It was to be stopped before anybody knew whether it had been started. */
static void test_stop_of_lost(void **state) {
        struct fixture *x = *state;

        x->manager.mute = true;
        start(x, 0);
        settle(x);
        x->manager.mute = false;
        x->manager.all_mark = "ARBITER_AID=a0000000";
        x->manager.all_has_job = true;
        x->manager.all_active_state = "activating";
        systemd_ops.stop(x->seen[0].unit);
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 2);
        assert_int_equal(x->manager.n_stops, 1);
        fake_job_removed(&x->manager, 0, "canceled");
        fake_end(&x->manager, 0, "inactive", "success", 0, 0);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_int_equal(x->seen[0].end.wish, UNIT_WISH_NONE);
}

static void test_job_ended_in_outage(void **state) {
        struct fixture *x = *state;

        start(x, 0);
        start(x, 1);
        settle(x);
        x->manager.all_has_job = true; /* of the first one: it goes on */
        x->manager.all_active_state = "activating";
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 2);
        assert_int_equal(x->seen[0].n_started, 0);
        fake_job_removed(&x->manager, 0, "done");
        x->manager.all_has_job = false;
        x->manager.all_active_state = "active";
        settle(x);
        assert_int_equal(x->seen[0].n_started, 1);
        fake_systemd_hang_up(&x->manager);
        wait_connection(x, 3);
        assert_int_equal(x->seen[1].n_started, 1);
}

/* daemon-reload: it says that all units are removed, and a moment later has them all again. */
static void test_reload(void **state) {
        struct fixture *x = *state;
        unsigned n;

        for (unsigned i = 0; i < 3; i++)
                start_all(x, i);
        n = x->manager.n_queries;
        fake_reloading(&x->manager, true);
        for (unsigned i = 0; i < 3; i++)
                fake_removed(&x->manager, i);
        settle(x);
        start(x, 3); /* waits until it is over */
        settle(x);
        assert_int_equal(x->manager.n_starts, 3);
        fake_reloading(&x->manager, false);
        settle(x);
        assert_int_equal(x->manager.n_starts, 4);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(x->seen[i].n_ended, 0);
        assert_int_equal(x->manager.n_queries, n); /* one question for all, as long as nothing has changed */

        x->manager.all_active_state = "failed";
        x->manager.all_result = "signal";
        fake_reloading(&x->manager, true);
        fake_reloading(&x->manager, false);
        settle(x);
        fake_removed(&x->manager, 0);
        settle(x);
        assert_int_equal(x->seen[0].n_ended, 1);
        assert_string_equal(x->seen[0].result, "signal");
}

/* Templates. */

static void expect_unfit(struct fixture *x, unsigned i, const char *text) {
        start_named(x, i, "my-worker@3.service", false);
        settle(x);
        assert_int_equal(x->seen[i].n_ended, 1);
        assert_non_null(strstr(x->seen[i].text, text));
        assert_int_equal(x->manager.n_starts, 0);
}

static void test_template(void **state) {
        static const struct {
                const char *load, *active, *restart, *text;
        } cases[] = {
                { "not-found", "inactive", "no", "there is no my-worker@.service" },
                { "masked", "inactive", "no", "systemctl unmask my-worker@.service" },
                { "bad-setting", "inactive", "no", "\"systemctl status my-worker@3.service\" says why" },
                { "loaded", "active", "no", "is active already" },
                { "loaded", "inactive", "on-failure", "Restart=no" },
        };
        struct fixture *x = *state;
        unsigned n = ELEMENTSOF(cases);

        for (unsigned i = 0; i < n; i++) {
                x->manager.load_state = cases[i].load;
                x->manager.active_state = cases[i].active;
                x->manager.restart = cases[i].restart;
                expect_unfit(x, i, cases[i].text);
        }
        x->manager.active_state = "failed"; /* of an earlier life */
        x->manager.restart = "no";
        x->manager.id = "worker@3.service"; /* of that all is told by its own name */
        expect_unfit(x, n++, "another name of worker@.service: write Unit=worker@.service");
        x->manager.id = NULL;
        x->manager.type = "oneshot";
        expect_unfit(x, n++, "Type=exec");
        x->manager.type = "exec";
        x->manager.remain_after_exit = true;
        expect_unfit(x, n++, "RemainAfterExit=no");
        x->manager.remain_after_exit = false;
        start_named(x, n, "my-worker@3.service", false);
        settle(x);
        assert_int_equal(x->manager.n_instances, 1);
        assert_int_equal(x->manager.n_resets, 1);
        fake_process(&x->manager, 0, 100, 1);
        fake_job_removed(&x->manager, 0, "done");
        settle(x);
        assert_int_equal(x->seen[n].n_started, 1);
        /* It may stay loaded, as failed: that is its end all the same. */
        fake_end(&x->manager, 0, "failed", "exit-code", CLD_EXITED, 1);
        settle(x);
        assert_int_equal(x->seen[n].n_ended, 1);
        assert_string_equal(x->seen[n].result, "exit-code");
}

static void test_names(void **state) {
        char name[UNIT_NAME_SIZE], long_name[70];

        assert_ok(unit_name_of("system", "web", "web.3", name));
        assert_string_equal(name, "arbiter-system-web-3.service");
        assert_ok(unit_name_of("user", NULL, "clock", name));
        assert_string_equal(name, "arbiter-user-clock.service");
        assert_ok(unit_name_of("my-app", "web-2", "web-2.10", name));
        assert_string_equal(name, "arbiter-my\\x2dapp-web\\x2d2-10.service");
        assert_ok(unit_slice_of("my-app", "web-2", name));
        assert_string_equal(name, "arbiter-my\\x2dapp-web\\x2d2.slice");
        assert_ok(unit_slice_of("system", NULL, name));
        assert_string_equal(name, "arbiter-system.slice");
        memset(long_name, '-', sizeof(long_name));
        long_name[0] = 'a';
        long_name[64] = 0;
        assert_errno(unit_name_of("system", NULL, long_name, name), ENAMETOOLONG);
        assert_true(unit_template_is_valid("my-worker@.service"));
        assert_false(unit_template_is_valid("my-worker.service"));
        assert_false(unit_template_is_valid("my-worker@1.service"));
        assert_false(unit_template_is_valid("@.service"));
        assert_false(unit_template_is_valid("a/b@.service"));
        assert_ok(unit_instance_of("my-worker@.service", "12", name));
        assert_string_equal(name, "my-worker@12.service");
}

#define test(f) cmocka_unit_test_setup_teardown(f, systemd_fixture_setup, systemd_fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                test(test_life),
                test(test_results),
                test(test_window),
                test(test_refused),
                test(test_same_name),
                test(test_job_fails),
                test(test_short_life),
                test(test_vanishes),
                test(test_stopped_by_others),
                test(test_restarted_by_others),
                test(test_instance_restarted_by_others),
                test(test_kill),
                test(test_stop_while_called),
                test(test_at_once),
                test(test_forget),
                test(test_lost_while_running),
                test(test_gone_after_outage),
                test(test_failed_in_outage),
                test(test_lost_answer),
                test(test_stop_of_lost),
                test(test_job_ended_in_outage),
                test(test_reload),
                test(test_template),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
