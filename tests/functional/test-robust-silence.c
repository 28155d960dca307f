/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is silent, who is only slow to be heard, and who cannot be ended: with the reasons that are told. */

#include "state-check.h"
#include "test-hostile-util.h"

static int on_block(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint32_t seconds;
        int r = arbiter_message_read(m, "u", &seconds);

        if (r < 0)
                return r;
        for (time_t end = time(NULL) + seconds; time(NULL) < end;)
                usleep(20 * 1000);
        return 0;
}

static int on_ignore(arbiter_actor *a, arbiter_message *m, void *userdata) {
        sigset_t set;

        sigfillset(&set);
        sigprocmask(SIG_SETMASK, &set, NULL);
        for (unsigned i = 0; i < 60; i++)
                usleep(1000 * 1000);
        return 0;
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("block", "u", "seconds", "", "", on_block, 0),
        ARBITER_COMMAND("ignore", "u", "unused", "", "", on_ignore, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module good = { ARBITER_MODULE_HEAD, .name = "good", .commands = commands };

static arbiter *the;
static struct death death;
static unsigned n_stuck;

static void on_log(const arbiter_log_entry *e, void *userdata) {
        if (e->event && strcmp(e->event, "stuck") == 0)
                n_stuck++;
}

static int set_up(void **state) {
        alarm(120);
        death = (struct death){};
        n_stuck = 0;
        assert_ok(arbiter_new(NULL, NULL, &the));
        state_check_turns(the);
        assert_ok(arbiter_set_log_handler(the, on_log, NULL));
        assert_ok(arbiter_start(the));
        return 0;
}

static int tear_down(void **state) {
        stop_arbiter(the);
        assert_no_children();
        return 0;
}

static void start(const char *name, arbiter_concurrency c, usec_t silence, usec_t stop, bool watched) {
        arbiter_spawn *s;
        arbiter_future *f;
        arbiter_proxy *p;

        assert_ok(arbiter_spawn_new(the, name, &s));
        assert_ok(arbiter_spawn_set_module(s, &good));
        assert_ok(arbiter_spawn_set_concurrency(s, c));
        assert_ok(arbiter_spawn_set_timeouts(s, silence, 0, stop, 0));
        assert_ok(arbiter_spawn_start(s, &f));
        wait_future(f);
        assert_ok(arbiter_future_get_proxy(f, &p));
        if (watched)
                assert_ok(arbiter_actor_watch(arbiter_get_actor(the), p, on_death, &death, NULL));
        arbiter_proxy_unref(p);
        arbiter_future_unref(f);
        arbiter_spawn_unref(s);
}

/* A cast that is begun when we go on. */
static void order(const char *name, const char *command, uint32_t argument) {
        assert_ok(arbiter_send(arbiter_get_actor(the), name, command, "u", argument));
        run_for(the, 100 * 1000);
}

/* Its handler takes longer than its timeout. */
static void test_silent(void **state) {
        start("x", ARBITER_CONCURRENCY_PROCESS, 300 * 1000, 200 * 1000, true);
        order("x", "ignore", 0);
        run_until(the, &death.n, 1);
        assert_int_equal(death.reason, ARBITER_REASON_SILENT);
        assert_int_equal(death.status, SIGKILL); /* SIGTERM was ignored */
}

static void test_stop_timeout(void **state) {
        start("x", ARBITER_CONCURRENCY_PROCESS, 60 * USEC_PER_SEC, 200 * 1000, true);
        order("x", "ignore", 0);
        (void) arbiter_send(arbiter_get_actor(the), "arbiter", "kill_actor", "s", "x");
        assert_ok(arbiter_stop(the, 0));
        run_until(the, &death.n, 1);
        assert_int_equal(death.reason, ARBITER_REASON_STOP_TIMEOUT);
        assert_int_equal(death.status, SIGKILL);
}

/* A thread that does not look up cannot be killed: it is told, others go on, and the arbiter can still
 * stop. */
static void test_stuck(void **state) {
        start("x", ARBITER_CONCURRENCY_THREAD, 200 * 1000, 200 * 1000, true);
        start("other", ARBITER_CONCURRENCY_THREAD, 0, 0, false);
        order("x", "block", 2);
        run_until(the, &n_stuck, 1);
        assert_answers(the, "other");
        assert_int_equal(death.n, 0);
        run_until(the, &death.n, 1); /* it has come round: its end is noticed */
        assert_int_equal(death.reason, ARBITER_REASON_SILENT);
}

static void test_stuck_at_stop(void **state) {
        start("x", ARBITER_CONCURRENCY_THREAD, 60 * USEC_PER_SEC, 100 * 1000, true);
        order("x", "block", 4);
        assert_ok(arbiter_stop(the, 0));
        assert_int_equal(arbiter_run(the, false), 0);
        assert_int_equal(n_stuck, 1);
}

static uint64_t count_running(void) {
        uint64_t n = 0;
        arbiter_message *m;

        assert_ok(arbiter_call(arbiter_get_actor(the), &m, "arbiter", "list", 0, ""));
        assert_true(arbiter_message_enter_container(m, 'a', "(sssssut)") > 0);
        while (arbiter_message_skip(m, NULL) > 0)
                n++;
        arbiter_message_unref(m);
        return n;
}

/* The arbiter's process is held for three timeouts, or all of them are: nobody dies of it. */
static void pause_for(bool all, unsigned actors) {
        int pipe_fds[2];
        pid_t self = getpid(), pauser;
        arbiter_spawn *s;
        arbiter_monitor *m;
        arbiter_future *f;
        char c;

        assert_ok(arbiter_spawn_new(the, "w", &s));
        assert_ok(arbiter_spawn_set_module(s, &good));
        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_TEMPORARY));
        assert_ok(arbiter_spawn_set_timeouts(s, USEC_PER_SEC, 0, 0, 0));
        assert_ok(arbiter_monitor_new(the, "pool", s, NULL, &m));
        assert_ok(arbiter_monitor_start(m, actors, &f));
        arbiter_spawn_unref(s);
        wait_future(f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        arbiter_monitor_unref(m);
        assert_int_equal(count_running(), actors + 1);
        run_for(the, 500 * 1000);

        assert_int_equal(pipe(pipe_fds), 0);
        /* A grandchild, so that it is nobody's child when we look for ours. */
        pauser = fork();
        if (pauser == 0) {
                if (fork() == 0) {
                        char path[64], list[65536] = "";
                        pid_t pids[1024];
                        size_t n = 0;
                        FILE *p;

                        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) self,
                                        (int) self);
                        p = fopen(path, "re");
                        if (p && fgets(list, sizeof(list), p))
                                for (char *q = strtok(list, " "); q &&
                                                n < ELEMENTSOF(pids); q = strtok(NULL, " "))
                                        pids[n++] = atoi(q);
                        (void) kill(self, SIGSTOP);
                        for (size_t i = 0; all && i < n; i++)
                                if (pids[i] != getppid())
                                        (void) kill(pids[i], SIGSTOP);
                        usleep(3000 * 1000);
                        for (size_t i = 0; all && i < n; i++)
                                (void) kill(pids[i], SIGCONT);
                        (void) kill(self, SIGCONT);
                        _exit(write(pipe_fds[1], "", 1) == 1 ? 0 : 1);
                }
                _exit(0);
        }
        assert_int_equal(waitpid(pauser, NULL, 0), pauser);
        fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
        while (read(pipe_fds[0], &c, 1) != 1)
                run_for(the, 10 * 1000);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        run_for(the, 2500 * 1000);
        assert_int_equal(count_running(), actors + 1);
        for (unsigned i = 1; i <= actors; i++) {
                char name[32];

                (void) snprintf(name, sizeof(name), "pool.%u", i);
                assert_answers(the, name);
        }
}

static void test_arbiter_paused(void **state) {
        pause_for(false, UNDER_SANITIZER ? 60 : 300);
}

static void test_machine_paused(void **state) {
        pause_for(true, UNDER_SANITIZER ? 60 : 300);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_silent, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop_timeout, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stuck, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stuck_at_stop, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_arbiter_paused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_machine_paused, set_up, tear_down),
        };

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
