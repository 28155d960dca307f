/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers that lie about what they have to do: what cannot be is not believed, and what can be costs no more
 * than what is configured. */

#include "arbiter/internal.h"
#include "state-check.h"
#include "test-hostile-util.h"

/* The worker. */

static void report(struct raw *r, uint64_t queued, uint32_t begun, uint64_t done, uint64_t busy,
                uint64_t work, int draining) {
        raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "load",
                        raw_message("tutttb", queued, begun, done, busy, work, draining));
}

static _noreturn_ void stay(void) {
        for (;;)
                pause();
}

static _noreturn_ void lie(struct raw *r, const char *how) {
        raw_handshake(r);
        arbiter_message_unref(raw_signal(r, "load"));
        if (strcmp(how, "contradicts") == 0) {
                report(r, 5, 1, 10, 10, 10, 0);
                report(r, 5, 1, 9, 10, 10, 0); /* fewer than before */
                report(r, 5, 1, UINT64_MAX, 10, 10, 0);
                report(r, 5, 1, 10, UINT64_MAX, 10, 0);
                report(r, 5, 1, 10, 10, 9, 0);
                raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "load", raw_message("s", "much"));
        } else if (strcmp(how, "huge") == 0)
                report(r, UINT64_MAX, UINT32_MAX, 0, 0, UINT64_MAX, 0);
        else if (strcmp(how, "busy") == 0)
                report(r, 0, 1, 0, 0, 0, 0);
        else if (strcmp(how, "flood") == 0)
                for (unsigned i = 0; i < 20000; i++)
                        report(r, 0, i % 2, i / 1000, 0, i, i % 3 == 0);
        else if (strcmp(how, "spent") == 0)
                report(r, 0, 0, 100, 0, 0, 0);
        stay();
}

/* The arbiter's side. */

static arbiter *the;
static arbiter_monitor *pool;
static unsigned n_protocol, n_recycled;

static void on_log(const arbiter_log_entry *e, void *userdata) {
        n_protocol += e->event && strcmp(e->event, "protocol") == 0;
        n_recycled += e->event && strcmp(e->event, "recycled") == 0;
}

static int on_square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_message_reply(m, "x", n * n);
}

static const arbiter_command good_commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", on_square, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module good = { ARBITER_MODULE_HEAD, .name = "good", .commands = good_commands };

static int set_up(void **state) {
        alarm(240);
        n_protocol = n_recycled = 0;
        assert_ok(arbiter_new(NULL, NULL, &the));
        assert_ok(arbiter_set_log_handler(the, on_log, NULL));
        state_check_turns(the);
        assert_ok(arbiter_start(the));
        start_good(the, "good", &good, ARBITER_CONCURRENCY_PROCESS);
        return 0;
}

static int tear_down(void **state) {
        assert_answers(the, "good");
        arbiter_monitor_unref(pool);
        stop_arbiter(the);
        assert_no_children();
        alarm(0);
        return 0;
}

/* A pool that has grown does not shrink: the first to go would be the oldest, which is looked at. */
#define HOUR_USEC (3600 * USEC_PER_SEC)

static void start_pool(const char *how, usec_t drain, unsigned max) {
        arbiter_spawn *s = new_worker(the, "hostile", "lies", how);
        arbiter_future *f;

        assert_ok(arbiter_spawn_set_timeouts(s, 0, 0, 100 * 1000, 0));
        assert_ok(arbiter_monitor_new(the, "pool", s, NULL, &pool));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_roll(pool, 0, 1, drain));
        if (max > 0)
                assert_ok(arbiter_monitor_set_autoscale(pool, 1, max, 80, 20, 100 * 1000, HOUR_USEC));
        if (strcmp(how, "spent") == 0)
                assert_ok(arbiter_monitor_set_recycling(pool, 100, 0, 0, 0));
        assert_ok(arbiter_monitor_start(pool, 1, &f));
        wait_future(f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
}

#define until(condition)                                                                                    \
        while (!(condition))                                                                                \
                assert_ok(sd_event_run(arbiter_get_event(the), UINT64_MAX))

static void test_contradictions(void **state) {
        struct child *c;

        start_pool("contradicts", USEC_PER_SEC, 0);
        c = child_find(the, "pool.1");
        until(c->load.disbelieved);
        assert_answers(the, "good");
        assert_int_equal(c->load.report.done, 10);
        assert_true(c->load.busy);
        assert_int_equal(n_protocol, 1); /* told once */
}

/* It gets all that it may have, and no more. */
static void test_huge(void **state) {
        uint64_t load;

        start_pool("huge", USEC_PER_SEC, 3);
        until(pool->workers == 3);
        run_for(the, 500 * 1000);
        assert_int_equal(pool->workers, 3);
        assert_ok(arbiter_monitor_get_load(pool, &load));
        assert_true(load <= 3 * 100 * child_find(the, "pool.1")->spawn->mailbox_messages);
}

/* For ever; but not longer than the pool has patience. */
static void test_busy(void **state) {
        arbiter_future *f;

        start_pool("busy", 300 * 1000, 0);
        until(child_find(the, "pool.1")->load.busy);
        assert_ok(arbiter_monitor_scale(pool, 0, &f));
        wait_future(f);
        arbiter_future_unref(f);
        assert_null(child_find(the, "pool.1"));
}

static void test_flood(void **state) {
        struct child *c;

        start_pool("flood", USEC_PER_SEC, 2);
        c = child_find(the, "pool.1");
        until(c->load.report.work_usec == 19999);
        assert_int_equal(c->state, ARBITER_STATE_RUNNING);
        assert_int_equal(n_protocol, 0);
}

/* What it says of itself could be: it is replaced again and again, which it could have had by ending. */
static void test_spent(void **state) {
        start_pool("spent", 0, 0);
        until(n_recycled >= 3);
        until(child_find(the, "pool.1") && child_find(the, "pool.1")->generation >= 3);
        assert_int_equal(n_protocol, 0);
}

int main(int argc, char *argv[]) {
        static struct raw r;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_contradictions, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_huge, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_busy, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_flood, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_spent, set_up, tear_down),
        };

        if (argc > 3 && strcmp(argv[1], "worker") == 0) {
                raw_open(&r);
                lie(&r, argv[3]);
        }
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
