/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lives that end, or start, at the wrong moment: monitors that are told to stop as if they were any actor,
 * gates that never open, programs that have not said that they are ready, verbs that overtake each other,
 * and the last reference dropped in any order. "PROGRAM plain MODE" is a program that knows nothing of
 * arbiter. An argument is a pattern: the tests to run. */

#include <sys/mman.h>

#include <systemd/sd-daemon.h>

#include "arbiter/control.h"
#include "state-check.h"
#include "test-hostile-util.h"

enum { WORKERS_MANY = 1200 };

/* What an operator would see. */
struct view {
        struct control_observer observer;
        unsigned n_new, n_gone, n_monitor_gone, n_running;
        unsigned gone_before_monitor; /* of n_gone, when the monitor went */
};

static arbiter *the;
static struct view view;
static struct death death;
static unsigned n_gated;
static int gate_result;
static arbiter_spawn *slow;
static arbiter_future *slow_future;

static void on_new(const struct actor_view *v, void *userdata) {
        view.n_new++;
}

static void on_changed(const struct actor_view *v, void *userdata) {
        if (v->state == ARBITER_STATE_RUNNING)
                view.n_running++;
}

static void on_gone(const struct actor_view *v, arbiter_reason reason, int status, void *userdata) {
        view.n_gone++;
}

static void on_monitor_gone(const char *name, void *userdata) {
        view.n_monitor_gone++;
        view.gone_before_monitor = view.n_gone;
}

static int set_up(void **state) {
        alarm(120);
        death = (struct death){};
        n_gated = 0;
        view = (struct view){
                .observer = { .actor_new = on_new, .actor_changed = on_changed, .actor_gone = on_gone,
                                .monitor_gone = on_monitor_gone },
        };
        list_init(&view.observer.observers);
        assert_ok(arbiter_new(NULL, NULL, &the));
        state_check_turns(the);
        assert_ok(arbiter_start(the));
        control_subscribe(the, &view.observer);
        return 0;
}

/* A test that has dropped its arbiter itself leaves NULL. */
static int tear_down(void **state) {
        if (the) {
                assert_ok(arbiter_stop(the, 0));
                assert_int_equal(arbiter_run(the, false), 0);
                control_unsubscribe(&view.observer);
                the = arbiter_unref(the);
        }
        assert_no_children();
        alarm(0);
        return 0;
}

/* Modules. */

static int fail_work(void *userdata) {
        return -EIO;
}

static int on_gated_start(arbiter_actor *a, void *userdata) {
        arbiter_future *f;
        int r = arbiter_actor_run_in_thread(a, fail_work, NULL, &f);

        if (r < 0)
                return r;
        r = arbiter_actor_delay_start(a, f);
        arbiter_future_unref(f);
        return r;
}

static int on_foreign_start(arbiter_actor *a, void *userdata) {
        gate_result = arbiter_actor_delay_start(a, slow_future);
        n_gated++;
        return gate_result;
}

static int on_failing_start(arbiter_actor *a, void *userdata) {
        return -EIO;
}

static void on_down(arbiter_actor *a, const arbiter_down *down, void *userdata) {
}

static int on_observe(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_proxy *p;
        const char *id;
        int r = arbiter_message_read(m, "s", &id);

        if (r >= 0)
                r = arbiter_proxy_new(id, "", 1, &p);
        if (r < 0)
                return r;
        r = arbiter_actor_watch(a, p, on_down, NULL, NULL);
        arbiter_proxy_unref(p);
        return r;
}

static void on_asked(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;

        (void) arbiter_message_reply(m, "u", (uint32_t) arbiter_future_get_outcome(f));
        arbiter_message_unref(m);
}

/* Pings another one, and says what came of it. */
static int on_ask(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_future *f;
        const char *target;
        int r = arbiter_message_read(m, "s", &target);

        if (r >= 0)
                r = arbiter_call_async(a, &f, target, "ping", 0, "");
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_asked, arbiter_message_ref(m));
        if (r < 0)
                arbiter_message_unref(m);
        arbiter_future_unref(f);
        return r;
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("observe", "s", "aid", "", "", on_observe, 0),
        ARBITER_COMMAND("ask", "s", "target", "u", "outcome", on_ask, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module good = { ARBITER_MODULE_HEAD, .name = "good", .commands = commands };
static const arbiter_module gated = { ARBITER_MODULE_HEAD, .name = "gated", .start = on_gated_start };
static const arbiter_module foreign = { ARBITER_MODULE_HEAD, .name = "foreign", .start = on_foreign_start };
static const arbiter_module failing = { ARBITER_MODULE_HEAD, .name = "failing", .start = on_failing_start };

static const arbiter_concurrency each_concurrency[] = {
        ARBITER_CONCURRENCY_INLINE, ARBITER_CONCURRENCY_THREAD, ARBITER_CONCURRENCY_PROCESS,
};

/* Helpers. */

static arbiter_actor *root(void) {
        return arbiter_get_actor(the);
}

static arbiter_spawn *new_spawn(const char *name, const arbiter_module *m, arbiter_concurrency c) {
        arbiter_spawn *s;

        assert_ok(arbiter_spawn_new(the, name, &s));
        assert_ok(arbiter_spawn_set_module(s, m));
        assert_ok(arbiter_spawn_set_concurrency(s, c));
        return s;
}

static arbiter_spawn *new_plain(const char *name, const char *mode, const char *argument,
                arbiter_exec_type type) {
        return new_self(the, name, "plain", mode, argument, type);
}

/* Takes f: it is resolved, as a reply or not. */
static void assert_resolves(arbiter_future *f, bool well) {
        wait_future(f);
        assert_false(arbiter_future_is_pending(f));
        if (well)
                assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        else
                assert_int_not_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
}

/* Takes s. */
static void start(arbiter_spawn *s) {
        arbiter_future *f;

        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        assert_resolves(f, true);
}

/* Takes s. Returns a reference. */
static arbiter_monitor *start_monitor(arbiter_spawn *s, unsigned n) {
        arbiter_monitor *m;
        arbiter_future *f;

        assert_ok(arbiter_monitor_new(the, "web", s, NULL, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_start(m, n, &f));
        assert_resolves(f, true);
        return m;
}

static arbiter_future *ping(const char *name, usec_t timeout) {
        arbiter_future *f;

        assert_ok(arbiter_call_async(root(), &f, name, "ping", timeout, ""));
        return f;
}

static arbiter_state state_of(const char *name) {
        struct actor_view v;

        return control_get_actor(the, name, &v) < 0 ? ARBITER_STATE_TERMINATED : v.state;
}

static void assert_absent(const char *name) {
        struct actor_view v;

        assert_int_equal(control_get_actor(the, name, &v), -ESRCH);
}

static pid_t until_status(const char *name, const char *status) {
        usec_t end = now_usec() + 30 * USEC_PER_SEC;
        struct actor_view v;

        while (now_usec() < end) {
                assert_ok(control_get_actor(the, name, &v));
                if (strcmp(v.status, status) == 0)
                        return v.pid;
                assert_ok(sd_event_run(arbiter_get_event(the), 100 * 1000));
        }
        fail_msg("%s never says '%s'", name, status);
        return 0;
}

static void watch(const char *name) {
        struct actor_view v;
        arbiter_proxy *p;

        assert_ok(control_get_actor(the, name, &v));
        assert_ok(arbiter_proxy_new(v.aid, v.name, v.generation, &p));
        assert_ok(arbiter_actor_watch(root(), p, on_death, &death, NULL));
        arbiter_proxy_unref(p);
}

/* The monitor of two goes, and its workers went before it. */
static void assert_monitor_leaves_last(void) {
        run_until(the, &view.n_monitor_gone, 1);
        assert_int_equal(view.n_new, view.n_gone);
        assert_int_equal(view.gone_before_monitor, view.n_gone);
        assert_null(arbiter_find_monitor(the, "web"));
        assert_absent("web.1");
        assert_absent("web.2");
}

/* Monitors. */

static void test_monitor_told_to_stop(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(each_concurrency); i++) {
                arbiter_monitor_unref(start_monitor(new_spawn("w", &good, each_concurrency[i]), 2));
                assert_ok(arbiter_send(root(), "web", "stop", ""));
                assert_monitor_leaves_last();
                assert_int_equal(view.n_gone, 2 * (i + 1));
                assert_int_equal(control_kill(the, "web.1", SIGKILL), -ESRCH);
                view.n_monitor_gone = 0;
        }
}

/* The verb for a worker comes while the monitor stops. */
static void test_worker_killed_while_monitor_stops(void **state) {
        arbiter_monitor_unref(start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_PROCESS), 2));
        assert_ok(arbiter_send(root(), "web", "stop", ""));
        (void) control_kill(the, "web.1", SIGKILL);
        assert_monitor_leaves_last();
}

static void test_monitor_whose_start_fails(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(each_concurrency); i++) {
                arbiter_spawn *s = new_spawn("w", &good, each_concurrency[i]);
                arbiter_future *f = NULL;
                arbiter_monitor *m;

                assert_ok(arbiter_monitor_new(the, "web", s, &failing, &m));
                arbiter_spawn_unref(s);
                assert_ok(arbiter_monitor_start(m, 2, &f));
                wait_future(f);
                /* workers on this very loop may be running before the hook of their monitor is called */
                if (each_concurrency[i] == ARBITER_CONCURRENCY_PROCESS)
                        assert_int_not_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
                arbiter_future_unref(f);
                assert_monitor_leaves_last();
                arbiter_monitor_unref(m);
                view.n_monitor_gone = 0;
        }
}

/* By its name the workers are meant, and replaced. */
static void test_monitor_killed_by_name(void **state) {
        arbiter_monitor *m = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_PROCESS), 2);

        view.n_running = 0;
        assert_ok(control_kill(the, "web", SIGKILL));
        run_until(the, &view.n_gone, 2);
        run_until(the, &view.n_running, 2);
        assert_ptr_equal(arbiter_find_monitor(the, "web"), m);
        assert_answers(the, "web");
        assert_answers(the, "web.1");
        assert_answers(the, "web.2");
        arbiter_monitor_unref(m);
}

static void test_monitor_killed_by_aid(void **state) {
        struct monitor_view v;
        char id[16];

        arbiter_monitor_unref(start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_PROCESS), 2));
        assert_ok(control_get_monitor(the, "web", &v));
        (void) snprintf(id, sizeof(id), "%s", v.aid);
        assert_ok(control_kill(the, id, SIGKILL));
        assert_monitor_leaves_last();
}

static void test_info_of_many(void **state) {
        arbiter_monitor *m = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_INLINE), WORKERS_MANY);
        arbiter_message *reply;

        assert_ok(arbiter_call(root(), &reply, "web", "info", 30 * USEC_PER_SEC, ""));
        assert_non_null(reply);
        arbiter_message_unref(reply);
        assert_answers(the, "web");
        assert_answers(the, "web.1200");
        assert_ptr_equal(arbiter_find_monitor(the, "web"), m);
        assert_int_equal(view.n_gone, 0);
        arbiter_monitor_unref(m);
}

/* Gates. */

static void test_gate_of_failing_work(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(each_concurrency); i++) {
                arbiter_spawn *s = new_spawn("gated", &gated, each_concurrency[i]);
                arbiter_future *f;

                assert_ok(arbiter_spawn_start(s, &f));
                arbiter_spawn_unref(s);
                wait_future(f);
                assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_CALLEE_DIED);
                assert_int_equal(arbiter_future_get_reason(f, NULL), ARBITER_REASON_HANDSHAKE);
                arbiter_future_unref(f);
                assert_absent("gated");
        }
        start_good(the, "good", &good, ARBITER_CONCURRENCY_INLINE);
        assert_answers(the, "good");
}

/* The gate is the arbiter's future; who waits for it is gone when it opens. */
static void test_gate_outlives_its_actor(void **state) {
        arbiter_spawn *s = new_spawn("waits", &foreign, ARBITER_CONCURRENCY_INLINE);
        arbiter_future *f, *removed;
        pid_t pid;

        slow = new_plain("slow", "ready", NULL, ARBITER_EXEC_NOTIFY);
        assert_ok(arbiter_spawn_start(slow, &slow_future));
        pid = until_status("slow", "up");
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        run_until(the, &n_gated, 1);
        if (gate_result >= 0) {
                assert_int_equal(state_of("waits"), ARBITER_STATE_STARTING);
                assert_ok(arbiter_remove_actor(the, "waits", &removed));
                assert_resolves(removed, true);
        }
        assert_resolves(f, false);
        assert_absent("waits");
        assert_int_equal(kill(pid, SIGUSR1), 0);
        assert_resolves(slow_future, true);
        assert_answers(the, "slow");
        slow = arbiter_spawn_unref(slow);
}

/* Plain programs. */

static void test_first_message_to_a_program(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(each_concurrency); i++) {
                char name[2][16];

                (void) snprintf(name[0], sizeof(name[0]), "program%zu", i);
                (void) snprintf(name[1], sizeof(name[1]), "asks%zu", i);
                start(new_plain(name[0], "sleep", NULL, ARBITER_EXEC_EXEC));
                start_good(the, name[1], &good, each_concurrency[i]);
                for (unsigned k = 0; k < 2; k++) {
                        arbiter_message *reply;
                        uint32_t outcome;

                        assert_ok(arbiter_call(root(), &reply, name[1], "ask", 20 * USEC_PER_SEC, "s",
                                        name[0]));
                        assert_true(arbiter_message_read(reply, "u", &outcome) > 0);
                        assert_int_equal(outcome, ARBITER_OUTCOME_REPLY);
                        arbiter_message_unref(reply);
                }
        }
}

static void test_ping_does_not_make_ready(void **state) {
        arbiter_spawn *s = new_plain("program", "ready", NULL, ARBITER_EXEC_NOTIFY);
        arbiter_future *f, *g;
        pid_t pid;

        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        pid = until_status("program", "up");
        g = ping("program", 500 * 1000); /* answered or not: it has an outcome by then */
        wait_future(g);
        arbiter_future_unref(g);
        assert_true(arbiter_future_is_pending(f));
        assert_int_equal(state_of("program"), ARBITER_STATE_STARTING);
        assert_int_equal(kill(pid, SIGUSR1), 0);
        assert_resolves(f, true);
        assert_int_equal(state_of("program"), ARBITER_STATE_RUNNING);
        assert_answers(the, "program");
}

static void test_ping_does_not_feed_the_watchdog(void **state) {
        arbiter_spawn *s = new_plain("program", "sleep", NULL, ARBITER_EXEC_NOTIFY);
        usec_t end = now_usec() + 60 * USEC_PER_SEC;

        assert_ok(arbiter_spawn_set_timeouts(s, 0, 0, 0, 500 * 1000));
        start(s);
        watch("program");
        do {
                arbiter_future *f = ping("program", 0);

                wait_future(f);
                arbiter_future_unref(f);
                run_for(the, 10 * 1000);
        } while (death.n == 0 && now_usec() < end);
        assert_int_equal(death.n, 1);
        assert_int_equal(death.reason, ARBITER_REASON_WATCHDOG);
}

/* Verbs. */

static void test_absurd_slots(void **state) {
        static const char *const names[] = {
                "web.0", "web.2", "web.65536", "web.65537", "web.4294967294", "web.4294967295",
                "web.4294967296", "web.4294967297", "web.18446744073709551615", "web.18446744073709551617",
                "web.99999999999999999999999999", "web.-1", "web.", "web.1x", "web.1.1", "web. 1", "web.+1",
                "web.01", ".1", ".", "",
        };
        arbiter_monitor *m = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_INLINE), 1);

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                arbiter_future *f = NULL;
                int r = control_restart(the, names[i], &f);

                if (r != -ESRCH)
                        fail_msg("restart of '%s': %d", names[i], r);
        }
        assert_int_equal(view.n_new, 1);
        assert_answers(the, "web.1");
        arbiter_monitor_unref(m);
}

static void restart_twice(const char *name) {
        arbiter_future *f, *g;

        assert_ok(control_restart(the, name, &f));
        assert_ok(control_restart(the, name, &g));
        wait_future(f);
        assert_false(arbiter_future_is_pending(f));
        arbiter_future_unref(f);
        assert_resolves(g, true);
        assert_int_equal(state_of(name), ARBITER_STATE_RUNNING);
        assert_answers(the, name);
}

static void restart_and_stop(const char *name) {
        arbiter_future *f, *g;

        assert_ok(control_restart(the, name, &f));
        assert_ok(control_stop(the, name, &g));
        assert_resolves(g, true);
        wait_future(f);
        assert_false(arbiter_future_is_pending(f));
        arbiter_future_unref(f);
        assert_absent(name);
}

static void test_two_restarts(void **state) {
        arbiter_monitor *m = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_PROCESS), 2);
        arbiter_spawn *s = new_plain("program", "sleep", NULL, ARBITER_EXEC_EXEC);

        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
        start(s);
        restart_twice("program");
        restart_twice("web.2");
        arbiter_monitor_unref(m);
}

static void test_restart_then_stop(void **state) {
        arbiter_monitor *m = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_PROCESS), 2);
        arbiter_spawn *s = new_plain("program", "sleep", NULL, ARBITER_EXEC_EXEC);

        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
        start(s);
        restart_and_stop("program");
        restart_and_stop("web.2");
        assert_answers(the, "web.1");
        arbiter_monitor_unref(m);
}

/* One that nothing would restart but the verb. */
static void test_restart_of_temporary(void **state) {
        start(new_plain("program", "sleep", NULL, ARBITER_EXEC_EXEC));
        restart_twice("program");
        restart_and_stop("program");
}

static void until_backoff(const char *name, unsigned deaths) {
        usec_t end = now_usec() + 60 * USEC_PER_SEC;

        while ((view.n_gone < deaths || state_of(name) != ARBITER_STATE_TERMINATED) && now_usec() < end)
                assert_ok(sd_event_run(arbiter_get_event(the), 100 * 1000));
        assert_true(view.n_gone >= deaths);
        assert_absent(name);
}

static void test_stop_in_backoff(void **state) {
        char path[] = "/tmp/test-robust-life.XXXXXX";
        int fd = mkstemp(path);
        arbiter_future *f;
        arbiter_spawn *s;
        unsigned n;

        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(unlink(path), 0);
        s = new_plain("program", "needs", path, ARBITER_EXEC_EXEC);
        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
        start(s);
        until_backoff("program", 2);
        n = view.n_new;
        assert_ok(control_stop(the, "program", &f));
        assert_resolves(f, true);
        run_for(the, 500 * 1000); /* longer than the backoff after so few */
        assert_int_equal(view.n_new, n);
        assert_absent("program");

        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
        assert_ok(control_restart(the, "program", &f));
        assert_resolves(f, true);
        assert_answers(the, "program");
        assert_int_equal(view.n_new, n + 1);
        assert_int_equal(unlink(path), 0);
}

/* Workers that never say that they are ready. */
static arbiter_spawn *new_tardy(void) {
        arbiter_spawn *s = new_plain("w", "ready", NULL, ARBITER_EXEC_NOTIFY);

        assert_ok(arbiter_spawn_set_timeouts(s, 0, 60 * USEC_PER_SEC, 0, 0));
        return s;
}

static void stop_with_waiter(arbiter_monitor *m, arbiter_future *waits) {
        arbiter_future *f;

        assert_true(arbiter_future_is_pending(waits));
        assert_ok(arbiter_monitor_stop(m, &f));
        assert_resolves(f, true);
        assert_false(arbiter_future_is_pending(waits));
        assert_resolves(waits, false);
        assert_null(arbiter_find_monitor(the, "web"));
        arbiter_monitor_unref(m);
}

static void test_monitor_stopped_while_scaling(void **state) {
        arbiter_monitor *m = start_monitor(new_tardy(), 0);
        arbiter_future *f;

        assert_ok(arbiter_monitor_scale(m, 2, &f));
        (void) until_status("web.2", "up");
        stop_with_waiter(m, f);
}

static void test_monitor_stopped_while_restarting(void **state) {
        arbiter_monitor *m = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_PROCESS), 2);
        arbiter_spawn *s = new_tardy();
        arbiter_future *f;

        assert_ok(arbiter_monitor_restart(m, s, &f));
        arbiter_spawn_unref(s);
        run_until(the, &view.n_new, 3);
        stop_with_waiter(m, f);
}

static void test_monitor_stopped_while_worker_restarts(void **state) {
        arbiter_monitor *m = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_PROCESS), 2);
        arbiter_future *f;

        assert_ok(control_restart(the, "web.1", &f));
        stop_with_waiter(m, f);
}

/* What dies while the arbiter is busy stopping others has had its last life. */
static void test_death_before_its_turn(void **state) {
        arbiter_spawn *s = new_plain("w", "stubborn", NULL, ARBITER_EXEC_NOTIFY);
        unsigned n;

        assert_ok(arbiter_spawn_set_timeouts(s, 0, 0, 300 * 1000, 0));
        arbiter_monitor_unref(start_monitor(s, 1));
        s = new_plain("program", "sleep", NULL, ARBITER_EXEC_EXEC);
        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
        start(s);
        n = view.n_new;
        assert_ok(arbiter_stop(the, 0));
        assert_ok(control_kill(the, "program", SIGKILL));
        run_until(the, &view.n_gone, 1);
        assert_absent("program");
        assert_int_equal(state_of("web.1"), ARBITER_STATE_STOPPING);
        assert_int_equal(arbiter_run(the, false), 0);
        assert_int_equal(view.n_new, n);
}

/* Last references. */

static void test_unref_with_watches(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(each_concurrency); i++) {
                static const char *const names[] = { "one", "two" };

                if (!the)
                        assert_int_equal(set_up(state), 0);
                for (unsigned k = 0; k < 2; k++)
                        start_good(the, names[k], &good, each_concurrency[i]);
                for (unsigned k = 0; k < 2; k++) {
                        struct actor_view v;

                        assert_ok(control_get_actor(the, names[!k], &v));
                        assert_ok(arbiter_call(root(), NULL, names[k], "observe", 0, "s", v.aid));
                        watch(names[k]);
                }
                control_unsubscribe(&view.observer);
                /* A thread cannot be killed: it is waited for, in order. */
                if (each_concurrency[i] == ARBITER_CONCURRENCY_THREAD)
                        stop_arbiter(the);
                else
                        arbiter_unref(the);
                the = NULL;
                assert_no_children();
        }
}

static void test_monitor_outlives_arbiter(void **state) {
        arbiter_monitor *stopped, *running;
        arbiter_future *f;

        stopped = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_INLINE), 1);
        assert_ok(arbiter_monitor_stop(stopped, &f));
        assert_resolves(f, true);
        running = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_PROCESS), 2);
        assert_string_equal(arbiter_monitor_get_name(running), "web");
        control_unsubscribe(&view.observer);
        the = arbiter_unref(the);
        assert_int_equal(arbiter_monitor_scale(stopped, 2, NULL), -ESHUTDOWN);
        assert_int_equal(arbiter_monitor_scale(running, 3, NULL), -ESHUTDOWN);
        assert_int_equal(arbiter_monitor_stop(running, NULL), -ESHUTDOWN);
        assert_string_equal(arbiter_monitor_get_name(running), "web");
        arbiter_monitor_unref(running);
        arbiter_monitor_unref(stopped);
}

static void test_monitor_outlives_stopped_arbiter(void **state) {
        arbiter_monitor *m = start_monitor(new_spawn("w", &good, ARBITER_CONCURRENCY_INLINE), 2);

        control_unsubscribe(&view.observer);
        stop_arbiter(the);
        the = NULL;
        assert_int_equal(arbiter_monitor_restart(m, NULL, NULL), -ESHUTDOWN);
        arbiter_monitor_unref(m);
}

/* The other side. */

static int run_plain(const char *mode, const char *argument) {
        sigset_t set;
        int number;

        if (strcmp(mode, "needs") == 0 && access(argument, F_OK) < 0)
                return 1;
        if (strcmp(mode, "ready") == 0) {
                sigemptyset(&set);
                sigaddset(&set, SIGUSR1);
                EXPECT(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
                EXPECT(sd_notify(0, "STATUS=up") > 0);
                EXPECT(sigwait(&set, &number) == 0);
        }
        if (strcmp(mode, "stubborn") == 0)
                (void) signal(SIGTERM, SIG_IGN);
        (void) sd_notify(0, "READY=1");
        for (;;)
                (void) pause();
}

/* A worker that is forked from this program prints what it has to print, and not what we are about to. */

static int on_print(arbiter_actor *a, arbiter_message *m, void *userdata) {
        (void) printf("worker ");
        (void) fflush(stdout);
        return arbiter_message_reply(m, "");
}

static const arbiter_command printer_commands[] = {
        ARBITER_COMMAND("print", "", "", "", "", on_print, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module printer = { ARBITER_MODULE_HEAD, .name = "printer",
                                        .commands = printer_commands };

static void test_output_not_written_yet(void **state) {
        int fd = memfd_create("stdout", MFD_CLOEXEC), saved = dup(STDOUT_FILENO), r;
        char text[64] = {};

        assert_true(fd >= 0 && saved >= 0);
        (void) fflush(stdout);
        (void) dup2(fd, STDOUT_FILENO);
        (void) printf("program ");
        start_good(the, "printer", &printer, ARBITER_CONCURRENCY_PROCESS);
        r = arbiter_call(arbiter_get_actor(the), NULL, "printer", "print", 10 * 1000 * 1000, "");
        (void) fflush(stdout);
        (void) dup2(saved, STDOUT_FILENO);
        assert_ok(r);
        assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
        assert_string_equal(text, "worker program ");
        close_fd(saved);
        close_fd(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(monitor_told_to_stop),
                TEST(worker_killed_while_monitor_stops),
                TEST(monitor_whose_start_fails),
                TEST(monitor_killed_by_name),
                TEST(monitor_killed_by_aid),
                TEST(info_of_many),
                TEST(gate_of_failing_work),
                TEST(gate_outlives_its_actor),
                TEST(first_message_to_a_program),
                TEST(ping_does_not_make_ready),
                TEST(ping_does_not_feed_the_watchdog),
                TEST(absurd_slots),
                TEST(two_restarts),
                TEST(restart_then_stop),
                TEST(restart_of_temporary),
                TEST(stop_in_backoff),
                TEST(monitor_stopped_while_scaling),
                TEST(monitor_stopped_while_restarting),
                TEST(monitor_stopped_while_worker_restarts),
                TEST(death_before_its_turn),
                TEST(unref_with_watches),
                TEST(monitor_outlives_arbiter),
                TEST(monitor_outlives_stopped_arbiter),
                TEST(output_not_written_yet),
        };

        if (argc > 2 && strcmp(argv[1], "plain") == 0)
                return run_plain(argv[2], argv[3]);
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
