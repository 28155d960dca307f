/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The n-th allocation fails, for every n, on the paths of spawn, send, connect, watch and stop: nothing
 * crashes, hangs or leaks, each failure is typed, and the same works when there is memory again.
 * Processes that are forked meanwhile inherit the fault that is ahead. */

#include "test-failing-malloc.h"
#include "test-hostile-util.h"

#if !FAILING_MALLOC

int main(void) {
        return 77; /* the sanitizer's own allocator is not ours to break */
}

#else

static int on_square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_message_reply(m, "x", n * n);
}

static void on_asked(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;

        if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY)
                (void) arbiter_message_reply(m, "u", 1U);
        else
                (void) arbiter_message_reply_errno(m,
                                arbiter_outcome_to_errno(arbiter_future_get_outcome(f)));
        arbiter_message_unref(m);
}

static int on_ask(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_future *f;
        const char *target;
        int r = arbiter_message_read(m, "s", &target);

        if (r >= 0)
                r = arbiter_call_async(a, &f, target, "square", 300 * 1000, "x", (int64_t) 5);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_asked, arbiter_message_ref(m));
        if (r < 0)
                arbiter_message_unref(m);
        arbiter_future_unref(f);
        return r;
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", on_square, 0),
        ARBITER_COMMAND("ask", "s", "target", "u", "done", on_ask, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module good = { ARBITER_MODULE_HEAD, .name = "good", .commands = commands };

static arbiter *the;

static arbiter_spawn *new_spawn(const char *name, arbiter_concurrency c) {
        arbiter_spawn *s;

        assert_ok(arbiter_spawn_new(the, name, &s));
        assert_ok(arbiter_spawn_set_module(s, &good));
        assert_ok(arbiter_spawn_set_concurrency(s, c));
        assert_ok(arbiter_spawn_set_timeouts(s, 0, 300 * 1000, 300 * 1000, 0));
        return s;
}

/* Runs the loop without faults until the future has its outcome. */
static int settle(arbiter_future *f) {
        countdown = -1;
        wait_future(f);
        return arbiter_outcome_to_errno(arbiter_future_get_outcome(f));
}

static void until_gone(const char *name) {
        usec_t end = now_usec() + 20 * USEC_PER_SEC;

        countdown = -1;
        while (now_usec() < end && arbiter_call(arbiter_get_actor(the), NULL, name, "ping", 0, "") != -ESRCH)
                run_for(the, 1000);
        assert_int_equal(arbiter_call(arbiter_get_actor(the), NULL, name, "ping", 0, ""), -ESRCH);
}

/* One turn of the loop is where the faults are; what comes after has memory. */
static void turns(unsigned n) {
        for (unsigned i = 0; i < n; i++)
                (void) sd_event_run(arbiter_get_event(the), 2000);
}

/* Each: the operation with a fault ahead. Leaves everything as it was before; 0 if it has succeeded all
 * the same. */

static int do_spawn(arbiter_concurrency c) {
        arbiter_spawn *s = NULL;
        arbiter_future *f = NULL;
        long left = countdown;
        int r;

        countdown = -1;
        s = new_spawn("x", c);
        countdown = left;
        r = arbiter_spawn_start(s, &f);
        if (r >= 0) {
                turns(8);
                r = settle(f);
                arbiter_future_unref(f);
        }
        countdown = -1;
        if (r >= 0) {
                assert_answers(the, "x");
                assert_ok(arbiter_send(arbiter_get_actor(the), "x", "stop", ""));
        }
        until_gone("x");
        arbiter_spawn_unref(s);
        return r;
}

static int do_spawn_inline(void) {
        return do_spawn(ARBITER_CONCURRENCY_INLINE);
}

static int do_spawn_thread(void) {
        return do_spawn(ARBITER_CONCURRENCY_THREAD);
}

static int do_spawn_process(void) {
        return do_spawn(ARBITER_CONCURRENCY_PROCESS);
}

static int do_call_to(const char *target) {
        arbiter_future *f;
        int r = arbiter_call_async(arbiter_get_actor(the), &f, target, "square", 300 * 1000, "x",
                        (int64_t) 9);

        if (r < 0)
                return r;
        turns(6);
        r = settle(f);
        arbiter_future_unref(f);
        return r;
}

static int do_call_inline(void) {
        return do_call_to("inline");
}

static int do_call_process(void) {
        return do_call_to("process");
}

static int do_call_large(void) {
        static char text[100000];
        arbiter_future *f;
        int r;

        memset(text, 'x', sizeof(text) - 1);
        r = arbiter_call_async(arbiter_get_actor(the), &f, "process", "echo", 300 * 1000, "v", "s", text);
        if (r < 0)
                return r;
        turns(6);
        r = settle(f);
        arbiter_future_unref(f);
        return r;
}

/* The fault is in the arbiter, which makes the link, or in the inline actor that asks for it. */
static int do_connect(void) {
        arbiter_future *f;
        arbiter_message *m;
        int r = arbiter_call_async(arbiter_get_actor(the), &f, "inline", "ask", USEC_PER_SEC, "s",
                        "process");

        if (r < 0)
                return r;
        turns(10);
        r = settle(f);
        arbiter_future_unref(f);
        /* A new life, so that the next round connects anew. */
        assert_ok(arbiter_call(arbiter_get_actor(the), &m, "process", "ping", USEC_PER_SEC, ""));
        arbiter_message_unref(m);
        assert_ok(arbiter_send(arbiter_get_actor(the), "process", "stop", ""));
        until_gone("process");
        run_for(the, 5000); /* its link's end is seen, too */
        start_good(the, "process", &good, ARBITER_CONCURRENCY_PROCESS);
        return r;
}

static int do_watch(void) {
        struct death d = {};
        arbiter_spawn *s;
        arbiter_future *f;
        arbiter_proxy *p;
        uint64_t watch;
        long left = countdown;
        int r;

        countdown = -1;
        s = new_spawn("x", ARBITER_CONCURRENCY_INLINE);
        assert_ok(arbiter_spawn_start(s, &f));
        assert_int_equal(settle(f), 0);
        assert_ok(arbiter_future_get_proxy(f, &p));
        countdown = left;
        r = arbiter_actor_watch(arbiter_get_actor(the), p, on_death, &d, &watch);
        if (r >= 0) {
                (void) arbiter_send(arbiter_get_actor(the), "x", "stop", "");
                turns(8);
        }
        countdown = -1;
        (void) arbiter_send(arbiter_get_actor(the), "x", "stop", "");
        until_gone("x");
        if (r >= 0)
                run_until(the, &d.n, 1);
        assert_true(d.n <= 1);
        arbiter_future_unref(f);
        arbiter_proxy_unref(p);
        arbiter_spawn_unref(s);
        return r;
}

static int do_stop(void) {
        arbiter_spawn *s;
        arbiter_future *f;
        long left = countdown;
        int r;

        countdown = -1;
        s = new_spawn("x", ARBITER_CONCURRENCY_PROCESS);
        assert_ok(arbiter_spawn_start(s, &f));
        assert_int_equal(settle(f), 0);
        arbiter_future_unref(f);
        arbiter_spawn_unref(s);
        countdown = left;
        r = arbiter_send(arbiter_get_actor(the), "x", "stop", "");
        turns(6);
        countdown = -1;
        if (r < 0)
                (void) arbiter_send(arbiter_get_actor(the), "x", "stop", "");
        /* Its "stop" may have been lost: at-most-once. */
        run_for(the, 20 * 1000);
        if (arbiter_call(arbiter_get_actor(the), NULL, "x", "ping", 0, "") >= 0)
                (void) arbiter_send(arbiter_get_actor(the), "x", "stop", "");
        until_gone("x");
        return r;
}

static void every_allocation(int (*operation)(void), bool fd_checked) {
        unsigned fds = 0, failed = 0;
        size_t used = 0;

        assert_int_equal(operation(), 0);
        assert_int_equal(operation(), 0);
        fds = count_fds();
        for (long n = 0;; n++) {
                int r;

                fired = false;
                countdown = n;
                r = operation();
                countdown = -1;
                failed += r < 0;
                if (!fired)
                        break;
                assert_true(n < 5000);
                assert_answers(the, "inline");
                assert_answers(the, "process");
        }
        /* What was lost is given up at its deadline, at the latest. */
        for (unsigned i = 0; i < 40 && operation() != 0; i++)
                run_for(the, 200 * 1000);
        assert_int_equal(operation(), 0);
        assert_true(failed > 0);
        if (fd_checked)
                run_until_fds(the, fds);

        /* Not a byte more after any number of failures: the first ten of them, over and over. */
        for (unsigned round = 0; round < 12; round++) {
                for (long n = 0; n < 10; n++) {
                        countdown = n;
                        (void) operation();
                        countdown = -1;
                }
                if (round == 4)
                        used = mallinfo2().uordblks;
        }
        assert_true(mallinfo2().uordblks < used + 16 * 1024);
}

static int set_up(void **state) {
        alarm(120);
        assert_ok(arbiter_new(NULL, NULL, &the));
        assert_ok(arbiter_start(the));
        start_good(the, "inline", &good, ARBITER_CONCURRENCY_INLINE);
        start_good(the, "process", &good, ARBITER_CONCURRENCY_PROCESS);
        return 0;
}

static int tear_down(void **state) {
        countdown = -1;
        stop_arbiter(the);
        assert_no_children();
        return 0;
}

#define TEST(name)                                                                                         \
        static void test_##name(void **state) {                                                            \
                every_allocation(do_##name, true);                                                         \
        }
TEST(spawn_inline)
TEST(spawn_thread)
TEST(spawn_process)
TEST(call_inline)
TEST(call_process)
TEST(call_large)
TEST(connect)
TEST(watch)
TEST(stop)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_spawn_inline, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_spawn_thread, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_spawn_process, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_call_inline, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_call_process, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_call_large, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_connect, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_watch, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
        };

        if (getenv("ARBITER_TEST_VALGRIND"))
                return 77;
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
