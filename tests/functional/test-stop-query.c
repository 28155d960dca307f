/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stop or restart: the rule, for all that systemd may say; and a manager that is not there. */

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bus-daemon.h"

#include "arbiterd/daemon.h"
#include "arbiterd/stop-query.h"

static void test_rule(void **state) {
        static const struct {
                struct stop_facts facts;
                bool stop;
        } cases[] = {
                { { "stop", "deactivating", "on-failure" }, true },
                { { "stop", "deactivating", "always" }, true },
                { { "stop", NULL, NULL }, true },
                { { "restart", "deactivating", "on-failure" }, false },
                { { "try-restart", "deactivating", "no" }, false },
                { { "start", "deactivating", "on-failure" }, false },
                /* somebody's kill(1) */
                { { "", "active", "on-failure" }, true },
                { { "", "active", "no" }, true },
                { { "", "reloading", "on-abnormal" }, true },
                { { "", "active", "always" }, false },
                { { "", "active", "on-success" }, false },
                /* systemd's own decision */
                { { "", "deactivating", "on-failure" }, false },
                { { "", "deactivating", "always" }, false },
                { { "", "deactivating", "no" }, true },
                { { "", "deactivating", "on-success" }, true },
                /* it has not said it all */
                { { NULL, "deactivating", "no" }, false },
                { { "", NULL, "no" }, false },
                { { "", "active", NULL }, false },
                { { NULL, NULL, NULL }, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(stop_facts_mean_stop(&cases[i].facts), cases[i].stop);
}

static void on_done(bool stop, void *userdata) {
        fail_msg("Nobody has said so");
}

/* A test is in no service: there is nothing to ask about, and that is said at once. */
static void test_no_service(void **state) {
        struct bus_fixture *b = *state;
        struct daemon d = { .mode = DAEMON_USER, .instance = (char *) "test" };
        struct stop_query *q = NULL;
        int r;

        assert_int_equal(setenv("XDG_RUNTIME_DIR", "/nonexistent", 1), 0);
        assert_int_equal(setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent", 1), 0);
        r = stop_query_start(&d, b->x->arbiter->event, on_done, NULL, &q);
        assert_true(r < 0);
        assert_null(q);
        assert_true(stop_query_run(&d) < 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, bus_daemon_setup_bare, bus_daemon_teardown)
        const struct CMUnitTest tests[] = {
                TEST(rule),
                TEST(no_service),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
