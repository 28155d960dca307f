/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterd/status-line: the line that `systemctl status` shows. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test-util.h"

#include "arbiterd/status-line.h"

static void assert_line(const struct status_figures *f, const char *expected) {
        char buffer[STATUS_LINE_MAX];

        assert_string_equal(status_line(f, buffer), expected);
}

static void test_figures(void **state) {
        char *files[] = { (char *) "web.monitor", (char *) "x.actor", NULL };

        assert_line(&(struct status_figures){ .monitors = 4, .wanted = 13, .running = 12 },
                        "4 monitors, 12 of 13 actors running");
        assert_line(&(struct status_figures){ .monitors = 1, .wanted = 1, .running = 1 },
                        "1 monitor, 1 of 1 actor running");
        assert_line(&(struct status_figures){ .directory = "/etc/arbiter" },
                        "Nothing to run: there is no NAME.monitor or NAME.actor in /etc/arbiter");
        assert_line(&(struct status_figures){ .monitors = 1,
                                    .wanted = 9,
                                    .running = 6,
                                    .failed = 2,
                                    .backoff = 1,
                                    .trouble = "web.2: backoff 3.2 s" },
                        "1 monitor, 6 of 9 actors running, 2 given up, 1 in backoff; web.2: backoff 3.2 s");
        assert_line(&(struct status_figures){ .monitors = 1,
                                    .wanted = 2,
                                    .running = 2,
                                    .failed_files = files,
                                    .no_scope = "no systemd" },
                        "1 monitor, 2 of 2 actors running; web.monitor and 1 more file have errors and are "
                        "not loaded; without cgroups: no systemd");
        assert_line(&(struct status_figures){ .monitors = 1, .wanted = 1, .running = 1, .unwritten = true },
                        "1 monitor, 1 of 1 actor running; not all can be written down for the next "
                        "arbiter");
        assert_line(&(struct status_figures){ .phase = STATUS_RELOADING, .monitors = 1 },
                        "Reloading; 1 monitor, 0 of 0 actors running");
        assert_line(&(struct status_figures){ .phase = STATUS_STOPPING, .monitors = 1, .left = 1 },
                        "Stopping: 1 actor left");
}

/* What files and programs are called, and what they say of themselves, must not say something else to
 * systemd. */
static void test_one_line(void **state) {
        char *files[] = { (char *) "x\nREADY=1.monitor", NULL };

        assert_line(&(struct status_figures){ .monitors = 1,
                                    .wanted = 1,
                                    .trouble = "web.1: cannot run /x\nMAINPID=1\r\x1b[m",
                                    .failed_files = files },
                        "1 monitor, 0 of 1 actor running; web.1: cannot run /x?MAINPID=1??[m; "
                        "x?READY=1.monitor has errors and is not loaded");
}

static void test_long(void **state) {
        char trouble[2 * STATUS_LINE_MAX], buffer[STATUS_LINE_MAX];

        memset(trouble, 'x', sizeof(trouble) - 1);
        trouble[sizeof(trouble) - 1] = 0;
        (void) status_line(&(struct status_figures){ .wanted = 1, .trouble = trouble, .no_scope = trouble },
                        buffer);
        assert_int_equal(strlen(buffer), STATUS_LINE_MAX - 1);
}

static void assert_trouble(const arbiter_log_entry *e, struct status_death *last, const char *expected) {
        char *s = status_trouble(e, last);

        if (expected)
                assert_string_equal(s, expected);
        else
                assert_null(s);
        free(s);
}

static arbiter_log_entry entry(const char *event, const char *name, const char *reason, int status) {
        return (arbiter_log_entry){ .size = sizeof(arbiter_log_entry),
                .event = event,
                .name = name,
                .reason = reason,
                .status = status,
                .text = "",
                .usec = 3200000 };
}

static void test_trouble(void **state) {
        struct status_death last = {};
        arbiter_log_entry e;

        e = entry("backoff", "web.1", NULL, 0);
        assert_trouble(&e, &last, "web.1: backoff 3.2 s");
        e = entry("died", "web.1", "exit-code", 7);
        assert_trouble(&e, &last, NULL);
        e = entry("backoff", "web.1", NULL, 0);
        assert_trouble(&e, &last, "web.1: backoff 3.2 s, exited with status 7");
        e = entry("backoff", "web.2", NULL, 0);
        assert_trouble(&e, &last, "web.2: backoff 3.2 s"); /* the death was another one's */
        e = entry("died", "web.2", "signal", SIGSEGV);
        assert_trouble(&e, &last, NULL);
        e = entry("gave-up", "web.2", NULL, 0);
        assert_trouble(&e, &last, "web.2: given up, killed by SIGSEGV");
        e = entry("died", "web.2", "watchdog", 0);
        assert_trouble(&e, &last, NULL);
        e = entry("gave-up", "web.2", NULL, 0);
        assert_trouble(&e, &last, "web.2: given up, ended by watchdog");
        e = entry("gave-up", NULL, NULL, 0);
        e.monitor = "web";
        assert_trouble(&e, &last, "monitor web: given up, web.2 ended by watchdog");
        e.monitor = "we";
        assert_trouble(&e, &last, "monitor we: given up");
        e = entry("escalated", NULL, NULL, 0);
        e.monitor = "tree";
        assert_trouble(&e, &last, "monitor tree: failed");
        e = entry("backoff", "web.1", NULL, 0);
        e.usec = 3690500000;
        assert_trouble(&e, &last, "web.1: backoff 1h 1min 30s");
        e = entry("started", "web.2", NULL, 0);
        assert_trouble(&e, &last, NULL);
        e = entry(NULL, NULL, NULL, 0);
        assert_trouble(&e, &last, NULL);
}

/* Why it could not start says more than how it ended then. */
static void test_start_failure(void **state) {
        struct status_death last = {};
        arbiter_log_entry e = entry("start-failed", "web.1", NULL, 0);

        e.text = "web.1: cannot run /x: No such file or directory";
        e.generation = 3;
        assert_trouble(&e, &last, NULL);
        e = entry("died", "web.1", "exit-code", 203);
        e.generation = 3;
        assert_trouble(&e, &last, NULL);
        e = entry("backoff", "web.1", NULL, 0);
        assert_trouble(&e, &last, "web.1: backoff 3.2 s, cannot run /x: No such file or directory");
        e = entry("died", "web.1", "exit-code", 1);
        e.generation = 4;
        assert_trouble(&e, &last, NULL);
        e = entry("backoff", "web.1", NULL, 0);
        assert_trouble(&e, &last, "web.1: backoff 3.2 s, exited with status 1");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_figures),
                cmocka_unit_test(test_one_line),
                cmocka_unit_test(test_long),
                cmocka_unit_test(test_trouble),
                cmocka_unit_test(test_start_failure),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
