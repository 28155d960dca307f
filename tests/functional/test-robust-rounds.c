/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rounds and rounds of spawn and kill, and of descriptors, processes and memory running out: nothing
 * leaks, each failure is typed, the next attempt works once the limit is lifted. */

#include <sys/resource.h>

#include "state-check.h"
#include "test-hostile-util.h"

static int on_square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_message_reply(m, "x", n * n);
}

static void on_asked(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;

        (void) arbiter_message_reply(m, "u", (uint32_t) arbiter_future_get_outcome(f));
        arbiter_message_unref(m);
}

static int on_ask(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_future *f;
        const char *target;
        int r = arbiter_message_read(m, "s", &target);

        if (r >= 0)
                r = arbiter_call_async(a, &f, target, "square", 0, "x", (int64_t) 5);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_asked, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", on_square, 0),
        ARBITER_COMMAND("ask", "s", "target", "u", "outcome", on_ask, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module good = { ARBITER_MODULE_HEAD, .name = "good", .commands = commands };

static arbiter *the;

static int set_up(void **state) {
        alarm(test_long() ? 1200 : 200);
        assert_ok(arbiter_new(NULL, NULL, &the));
        state_check_turns(the);
        assert_ok(arbiter_start(the));
        start_good(the, "good", &good, ARBITER_CONCURRENCY_PROCESS);
        return 0;
}

static int tear_down(void **state) {
        stop_arbiter(the);
        assert_no_children();
        return 0;
}

static void one_round(arbiter_concurrency c, bool kill_it) {
        static struct death d;
        arbiter_future *f = start_module(the, "x", &good, c);
        arbiter_message *m;
        arbiter_proxy *p;
        uint32_t pid = 0;

        d.n = 0;
        wait_future(f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        assert_ok(arbiter_future_get_proxy(f, &p));
        assert_ok(arbiter_actor_watch(arbiter_get_actor(the), p, on_death, &d, NULL));
        assert_ok(arbiter_call(arbiter_get_actor(the), &m, "x", "square", 0, "x", (int64_t) 3));
        arbiter_message_unref(m);
        if (kill_it) {
                assert_ok(arbiter_call(arbiter_get_actor(the), &m, "arbiter", "list", 0, ""));
                assert_true(arbiter_message_enter_container(m, 'a', "(sssssut)") > 0);
                for (;;) {
                        const char *id, *name, *monitor, *concurrency, *s;
                        uint64_t uptime;
                        uint32_t q;

                        if (arbiter_message_read(m, "(sssssut)", &id, &name, &monitor, &concurrency, &s, &q,
                                        &uptime) <= 0)
                                break;
                        if (strcmp(name, "x") == 0)
                                pid = q;
                }
                arbiter_message_unref(m);
                assert_true(pid > 1);
                assert_int_equal(kill((pid_t) pid, SIGKILL), 0);
        } else
                assert_ok(arbiter_send(arbiter_get_actor(the), "x", "stop", ""));
        run_until(the, &d.n, 1);
        assert_int_equal(d.reason, kill_it ? ARBITER_REASON_SIGNAL : ARBITER_REASON_NORMAL);
        assert_int_equal(d.status, kill_it ? SIGKILL : 0);
        arbiter_proxy_unref(p);
        arbiter_future_unref(f);
}

enum { DEATHS_REMEMBERED = 1000 + 16 }; /* src/arbiter/deaths.h */

static void rounds(arbiter_concurrency c, bool kill_it, unsigned n) {
        unsigned fds;
        size_t used;

        /* until what is remembered of deaths is all that ever will be */
        for (unsigned i = 0; i < DEATHS_REMEMBERED; i++)
                one_round(c, kill_it);
        run_for(the, 20 * 1000);
        fds = count_fds();
        used = mallinfo2().uordblks;
        for (unsigned i = 0; i < n; i++)
                one_round(c, kill_it);
        run_until_fds(the, fds);
        /* What is remembered of each life's aid has a bound of its own: 8 bytes a life. */
        if (!UNDER_SANITIZER)
                assert_true(mallinfo2().uordblks < used + 48 * 1024);
        assert_answers(the, "good");
}

static void test_process_rounds(void **state) {
        rounds(ARBITER_CONCURRENCY_PROCESS, true, 1000);
}

static void test_thread_rounds(void **state) {
        rounds(ARBITER_CONCURRENCY_THREAD, false, 1000);
}

static void test_inline_rounds(void **state) {
        rounds(ARBITER_CONCURRENCY_INLINE, false, 1000);
}

/* Faults of the kernel's. */

static struct rlimit before;

static void limit(int resource, rlim_t soft) {
        struct rlimit l;

        assert_int_equal(getrlimit(resource, &before), 0);
        l = before;
        l.rlim_cur = soft;
        assert_int_equal(setrlimit(resource, &l), 0);
}

static void lift(int resource) {
        assert_int_equal(setrlimit(resource, &before), 0);
}

static int try_spawn(const char *name, arbiter_concurrency c) {
        arbiter_future *f;
        arbiter_spawn *s;
        int r;

        assert_ok(arbiter_spawn_new(the, name, &s));
        assert_ok(arbiter_spawn_set_module(s, &good));
        assert_ok(arbiter_spawn_set_concurrency(s, c));
        assert_ok(arbiter_spawn_set_timeouts(s, 0, 2 * 1000 * 1000, 0, 0));
        r = arbiter_spawn_start(s, &f);
        arbiter_spawn_unref(s);
        if (r < 0)
                return r;
        while (arbiter_future_is_pending(f)) /* arbiter_future_wait() may want a descriptor for its timer */
                run_for(the, 1000);
        r = arbiter_outcome_to_errno(arbiter_future_get_outcome(f));
        if (r < 0)
                assert_non_null(arbiter_future_get_error_text(f));
        arbiter_future_unref(f);
        return r;
}

/* What is on its way out may still have its name: "restarting". */
static void until_gone(const char *name) {
        while (arbiter_call(arbiter_get_actor(the), NULL, name, "ping", 0, "") != -ESRCH)
                run_for(the, 1000);
}

static void stop_one(const char *name) {
        assert_ok(arbiter_send(arbiter_get_actor(the), name, "stop", ""));
        until_gone(name);
}

/* One more free descriptor each time: every place where one is needed fails once. */
static void test_descriptors(void **state) {
        static const arbiter_concurrency all[] = { ARBITER_CONCURRENCY_PROCESS, ARBITER_CONCURRENCY_THREAD,
                        ARBITER_CONCURRENCY_INLINE };
        unsigned fds = count_fds(), failed = 0;

        for (size_t k = 0; k < ELEMENTSOF(all); k++)
                for (unsigned free_fds = 0; free_fds < 24; free_fds++) {
                        int spare = open("/dev/null", O_RDONLY | O_CLOEXEC), r; /* the lowest that is free */

                        assert_true(spare >= 0);
                        close(spare);
                        limit(RLIMIT_NOFILE, (rlim_t) spare + free_fds);
                        r = try_spawn("x", all[k]);
                        lift(RLIMIT_NOFILE);
                        failed += r < 0;
                        assert_answers(the, "good");
                        if (r >= 0)
                                stop_one("x");
                        run_until_fds(the, fds);
                        until_gone("x");
                }
        assert_true(failed > 4);
        assert_int_equal(try_spawn("x", ARBITER_CONCURRENCY_PROCESS), 0);
        stop_one("x");
}

/* Links between actors: made in the arbiter, taken by both. */
static void test_link_descriptors(void **state) {
        unsigned fds = count_fds(), failed = 0;

        for (unsigned free_fds = 0; free_fds < 12; free_fds++) {
                arbiter_message *m;
                uint32_t o = 0;
                int spare;

                assert_int_equal(try_spawn("asker", ARBITER_CONCURRENCY_PROCESS), 0);
                spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
                close(spare);
                limit(RLIMIT_NOFILE, (rlim_t) spare + free_fds);
                assert_ok(arbiter_call(arbiter_get_actor(the), &m, "asker", "ask", 10 * 1000 * 1000, "s",
                                "good"));
                lift(RLIMIT_NOFILE);
                assert_true(arbiter_message_read(m, "u", &o) > 0);
                arbiter_message_unref(m);
                assert_true(o == ARBITER_OUTCOME_REPLY || o == ARBITER_OUTCOME_OVERLOAD);
                failed += o != ARBITER_OUTCOME_REPLY;
                assert_ok(arbiter_call(arbiter_get_actor(the), &m, "asker", "ask", 10 * 1000 * 1000, "s",
                                "good"));
                assert_true(arbiter_message_read(m, "u", &o) > 0);
                assert_int_equal(o, ARBITER_OUTCOME_REPLY);
                arbiter_message_unref(m);
                stop_one("asker");
                run_until_fds(the, fds);
        }
        assert_true(failed > 0);
}

/* Large bodies need a memfd each. */
static void test_memfd(void **state) {
        static char text[100000];
        int spare, r;

        memset(text, 'x', sizeof(text) - 1);
        spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(spare);
        limit(RLIMIT_NOFILE, (rlim_t) spare);
        r = arbiter_call(arbiter_get_actor(the), NULL, "good", "echo", 1000 * 1000, "v", "s", text);
        lift(RLIMIT_NOFILE);
        assert_true(r < 0 && r != -ETIMEDOUT);
        assert_answers(the, "good");
        assert_ok(arbiter_call(arbiter_get_actor(the), NULL, "good", "echo", 0, "v", "s", text));
}

static void test_processes(void **state) {
        arbiter_spawn *s;
        arbiter_future *f;
        unsigned fds = count_fds();
        pid_t pid;
        int status;

        /* In a process of its own, as a user of its own: root has no such limit, and processes of "nobody"
         * that other tests have would count. */
        if (geteuid() != 0)
                skip();
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct rlimit l = { 0, 100 };
                arbiter *a;

                EXPECT(setgid(65534) == 0 && setuid(64322) == 0);
                EXPECT(arbiter_new(NULL, NULL, &a) >= 0);
                EXPECT(arbiter_start(a) >= 0);
                EXPECT(arbiter_spawn_new(a, "x", &s) >= 0);
                EXPECT(arbiter_spawn_set_module(s, &good) >= 0);
                EXPECT(setrlimit(RLIMIT_NPROC, &l) == 0);
                for (unsigned i = 0; i < 2; i++) {
                        EXPECT(arbiter_spawn_set_concurrency(s,
                                        i ? ARBITER_CONCURRENCY_THREAD : ARBITER_CONCURRENCY_PROCESS) >= 0);
                        EXPECT(arbiter_spawn_start(s, &f) >= 0);
                        (void) arbiter_future_wait(f, 5 * 1000 * 1000);
                        EXPECT(!arbiter_future_is_pending(f));
                        EXPECT(arbiter_future_get_outcome(f) == ARBITER_OUTCOME_CALLEE_DIED);
                        arbiter_future_unref(f);
                }
                l.rlim_cur = 100;
                EXPECT(setrlimit(RLIMIT_NPROC, &l) == 0);
                EXPECT(arbiter_spawn_start(s, &f) >= 0);
                (void) arbiter_future_wait(f, 5 * 1000 * 1000);
                EXPECT(arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(count_fds(), fds);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_process_rounds, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_thread_rounds, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_inline_rounds, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_descriptors, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_link_descriptors, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_memfd, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_processes, set_up, tear_down),
        };

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
