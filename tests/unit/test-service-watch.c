/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the keeper takes the arbiter's service for ended, by what a manager of ours says. It is reached as
 * that of a user who has no bus. */

#include "test-util.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arbiter-keeper/service-watch.h"
#include "basic/time-util.h"
#include "fake-systemd.h"
#include "shared/log.h"

struct fixture {
        sd_event *event;
        struct fake_systemd manager;
        struct service_watch *watch;
        char directory[40], link[64];
        unsigned n_settled, n_confirmed;
        bool still;
        const char *then; /* the state of the service once it has settled; NULL: the same */
};

static void on_settled(void *userdata) {
        struct fixture *f = userdata;

        f->n_settled++;
        if (f->then)
                f->manager.all_active_state = f->then;
}

static void on_confirmed(bool still, void *userdata) {
        struct fixture *f = userdata;

        f->n_confirmed++;
        f->still = still;
}

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        strcpy(f->directory, "/tmp/test-service-watch-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        (void) snprintf(f->link, sizeof(f->link), "%s/systemd", f->directory);
        assert_ok(setenv("XDG_RUNTIME_DIR", f->directory, 1));
        assert_ok(unsetenv("DBUS_SESSION_BUS_ADDRESS"));
        assert_ok(sd_event_new(&f->event));
        fake_systemd_open(&f->manager, f->event);
        (void) strcpy(f->manager.started[0], "arbiter.service");
        *state = f;
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        service_watch_free(f->watch);
        fake_systemd_close(&f->manager);
        sd_event_unref(f->event);
        (void) unlink(f->link);
        assert_ok(rmdir(f->directory));
        free(f);
        return 0;
}

static void appear(struct fixture *f) {
        assert_ok(symlink(f->manager.directory, f->link));
}

static void watch(struct fixture *f) {
        static const struct service_watch_events events = { on_settled, on_confirmed };

        assert_ok(service_watch_new(f->event, "arbiter.service", true, &events, f, &f->watch));
}

static void run_until(struct fixture *f, const unsigned *n, unsigned at_least) {
        while (*n < at_least)
                assert_true(sd_event_run(f->event, 30 * USEC_PER_SEC) > 0);
}

/* Until that has been asked for the n-th time, and the answer has been heard. */
static void answered(struct fixture *f, unsigned n) {
        run_until(f, &f->manager.n_queries, n);
        while (sd_event_run(f->event, 0) > 0)
                ;
}

static void change(struct fixture *f, const char *state, bool job, bool is_end) {
        unsigned n = f->manager.n_queries;

        f->manager.all_active_state = state;
        f->manager.all_has_job = job;
        fake_state(&f->manager, 0, state);
        answered(f, n + is_end);
        assert_int_equal(f->manager.n_queries, n + is_end); /* systemd is not asked for nothing */
}

static void test_states(void **state) {
        struct fixture *f = *state;

        appear(f);
        watch(f);
        answered(f, 1);
        change(f, "deactivating", false, false);
        change(f, "activating", false, false); /* auto-restart */
        change(f, "activating", true, false);
        change(f, "failed", true, true);
        change(f, "inactive", true, true);
        change(f, "active", false, false);
        assert_int_equal(f->n_settled, 0);
        f->manager.all_active_state = "failed";
        f->manager.all_has_job = false;
        fake_state(&f->manager, 0, "failed");
        run_until(f, &f->n_confirmed, 1);
        assert_true(f->still);
        change(f, "inactive", false, true); /* said once */
        assert_int_equal(f->n_settled, 1);
        assert_int_equal(f->n_confirmed, 1);
}

/* A start was asked for when it was not yet known that nobody would be ready for it. */
static void test_started_after_all(void **state) {
        struct fixture *f = *state;

        f->manager.all_active_state = "inactive";
        f->then = "activating";
        appear(f);
        watch(f);
        run_until(f, &f->n_confirmed, 1);
        assert_int_equal(f->n_settled, 1);
        assert_false(f->still);
}

static void test_at_the_start(void **state) {
        struct fixture *f = *state;

        f->manager.all_active_state = "inactive";
        appear(f);
        watch(f);
        run_until(f, &f->n_settled, 1);
}

/* What a signal says does not count, and may be old. */
static void test_old_news(void **state) {
        struct fixture *f = *state;

        appear(f);
        watch(f);
        answered(f, 1);
        fake_state(&f->manager, 0, "failed");
        fake_state(&f->manager, 0, "inactive");
        answered(f, 2);
        assert_int_equal(f->n_settled, 0);
        f->manager.all_active_state = "failed";
        fake_reloading(&f->manager, false); /* systemd was told all anew */
        run_until(f, &f->n_settled, 1);
}

/* Nobody to be asked: the arbiter may come back. */
static void test_no_manager(void **state) {
        struct fixture *f = *state;

        f->manager.all_active_state = "failed";
        watch(f);
        for (unsigned i = 0; i < 2; i++)
                assert_true(sd_event_run(f->event, 30 * USEC_PER_SEC) > 0);
        assert_int_equal(f->n_settled, 0);
        appear(f);
        run_until(f, &f->n_settled, 1);
}

static void test_lost(void **state) {
        struct fixture *f = *state;

        appear(f);
        watch(f);
        answered(f, 1);
        fake_systemd_hang_up(&f->manager);
        f->manager.all_active_state = "failed"; /* and nobody tells */
        run_until(f, &f->n_settled, 1);
        assert_int_equal(f->manager.n_connections, 2);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(states),
                TEST(started_after_all),
                TEST(at_the_start),
                TEST(old_news),
                TEST(no_manager),
                TEST(lost),
        };

        log_open("test-service-watch");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
