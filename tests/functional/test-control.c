/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What faces are told of real actors: deaths, what is waited for, status. The workers are programs of a few
 * words of shell; nothing is waited for but events. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arbiter/arbiter.h>
#include <systemd/sd-event.h>

#include "actor/actor.h"
#include "arbiter/control.h"
#include "state-check.h"
#include "test-util.h"

static arbiter *the;
static struct {
        unsigned n;
        arbiter_status last;
        bool this_turn;
} told;

static void on_status(arbiter *a, const arbiter_status *status, void *userdata) {
        assert_ptr_equal(a, the);
        assert_false(told.this_turn);
        told.this_turn = true;
        told.n++;
        told.last = *status;
}

static int set_up(void **state) {
        alarm(60); /* only a failing test takes that long */
        memset(&told, 0, sizeof(told));
        assert_ok(arbiter_new(NULL, NULL, &the));
        state_check_turns(the);
        assert_ok(arbiter_set_status_handler(the, on_status, NULL));
        return 0;
}

static int tear_down(void **state) {
        assert_ok(arbiter_set_status_handler(the, NULL, NULL)); /* turns are not ours to see from here on */
        assert_ok(arbiter_stop(the, 0));
        assert_int_equal(arbiter_run(the, false), 0);
        the = arbiter_unref(the);
        alarm(0);
        return 0;
}

static void turn(void) {
        told.this_turn = false;
        assert_ok(sd_event_run(arbiter_get_event(the), UINT64_MAX));
}

static void until_done(arbiter_future *f) {
        while (arbiter_future_is_pending(f))
                turn();
        arbiter_future_unref(f);
}

static arbiter_spawn *describe(const char *name, const char *script, arbiter_exec_type type) {
        const char *const argv[] = { "/bin/sh", "-c", script, NULL };
        arbiter_spawn *s;

        assert_ok(arbiter_spawn_new(the, name, &s));
        assert_ok(arbiter_spawn_set_exec(s, argv, type));
        assert_ok(arbiter_spawn_set_output(s, -2, -2));
        return s;
}

static void start_pool(const char *script, arbiter_exec_type type, unsigned n,
                unsigned intensity, uint64_t backoff) {
        arbiter_spawn *s = describe("w", script, type);
        arbiter_monitor *m;

        assert_ok(arbiter_monitor_new(the, "web", s, NULL, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_intensity(m, intensity, 10 * USEC_PER_SEC));
        assert_ok(arbiter_monitor_set_backoff(
                        m, backoff, backoff == UINT64_MAX ? 0 : backoff, 0, UINT32_MAX, 0));
        assert_ok(arbiter_start(the));
        assert_ok(arbiter_monitor_start(m, n, NULL));
        arbiter_monitor_unref(m);
}

static arbiter_status status_now(void) {
        arbiter_status s = { .size = sizeof(s) };

        assert_ok(arbiter_get_status(the, &s));
        return s;
}

/* Counted by walking, as the arbiter does not: the two must agree at any time. */
static void check_status(void) {
        _cleanup_free_ struct actor_view *actors = NULL;
        _cleanup_free_ struct monitor_view *monitors = NULL;
        unsigned n[ARBITER_STATE_TERMINATED + 1] = {}, backoff = 0, failed = 0, wanted = 0;
        arbiter_status s = status_now();
        size_t n_actors, n_monitors;

        assert_ok(control_list_actors(the, &actors, &n_actors));
        assert_ok(control_list_monitors(the, &monitors, &n_monitors));
        for (size_t i = 0; i < n_actors; i++) {
                n[actors[i].state]++;
                wanted += streq(actors[i].monitor, "") && !strstr(actors[i].name, "-host");
        }
        for (size_t i = 0; i < n_monitors; i++) {
                backoff += monitors[i].backoff;
                failed += monitors[i].failed;
                wanted += monitors[i].workers;
        }
        assert_int_equal(s.actors, n_actors);
        assert_int_equal(s.starting, n[ARBITER_STATE_STARTING]);
        assert_int_equal(s.running, n[ARBITER_STATE_RUNNING]);
        assert_int_equal(s.stopping, n[ARBITER_STATE_STOPPING]);
        assert_int_equal(s.monitors, n_monitors);
        assert_int_equal(s.backoff, backoff);
        assert_int_equal(s.failed, failed);
        assert_int_equal(s.wanted, wanted);
}

static void until_deaths(const char *target, size_t n) {
        for (;;) {
                _cleanup_free_ struct death_view *v = NULL;
                size_t n_now;

                assert_ok(control_list_deaths(the, target, &v, &n_now));
                if (n_now >= n)
                        return;
                turn();
                check_status();
        }
}

static struct why_view why(const char *target, size_t row, size_t rows) {
        struct why_view *v = NULL, one;
        size_t n;

        assert_ok(control_list_why(the, target, &v, &n));
        if (n != rows)
                fail_msg("%zu rows for '%s', not %zu; the first: %s", n, target, rows, n ? v[0].text : "");
        one = v[row];
        free(v);
        return one;
}

static bool waits_for(const char *target, const char *what) {
        struct why_view *v = NULL;
        bool yes;
        size_t n;

        assert_ok(control_list_why(the, target, &v, &n));
        yes = n > 0 && streq(v[0].waiting_for, what);
        free(v);
        return yes;
}

static void until_waits_for(const char *target, const char *what) {
        while (!waits_for(target, what)) {
                turn();
                check_status();
        }
}

static void test_backoff(void **state) {
        _cleanup_free_ struct death_view *v = NULL;
        usec_t now = now_usec();
        struct why_view w;
        size_t n;

        start_pool("exit 3", ARBITER_EXEC_NOTIFY, 1, 5, 600 * USEC_PER_SEC);
        until_deaths("web.1", 2); /* the first restart is at once */
        until_waits_for("web.1", "backoff");
        w = why("web.1", 0, 1);
        assert_string_equal(w.name, "web.1");
        assert_string_equal(w.state, "backoff");
        assert_string_equal(w.last_reason, "exit-code");
        assert_int_equal(w.last_status, 3);
        assert_int_equal(w.attempts, 2);
        assert_true(w.since >= now && w.since <= now_usec());
        assert_true(w.until > w.since + 590 * USEC_PER_SEC);
        assert_non_null(strstr(
                        w.text, "more before its next start: it exited with status 3 twice in 10 s."));

        w = why("web", 0, 2);
        assert_string_equal(w.name, "web");
        assert_string_equal(w.waiting_for, "settling");
        assert_string_equal(w.text + strlen(w.text) - 2, "s.");
        assert_true(w.until > 0);
        assert_string_equal(why("web", 1, 2).name, "web.1");
        assert_string_equal(why("", 1, 2).name, "web.1");

        assert_ok(control_list_deaths(the, "web", &v, &n));
        assert_int_equal(n, 2);
        assert_string_equal(v->name, "web.1");
        assert_string_equal(v->monitor, "web");
        assert_int_equal(strlen(v->aid), 8);
        assert_int_equal(v[0].generation * 10 + v[1].generation, 21);
        assert_true(v->pid > 0);
        assert_int_equal(v->reason, ARBITER_REASON_EXIT_CODE);
        assert_int_equal(v->status, 3);
        assert_true(v->lifetime_usec <= now_usec() - now);
        assert_true(v->when_usec > 1600000000 * USEC_PER_SEC);
        assert_int_equal(status_now().backoff, 1);
}

static void test_gives_up(void **state) {
        struct why_view w;

        start_pool("kill -9 $$", ARBITER_EXEC_EXEC, 2, 2, UINT64_MAX);
        until_waits_for("web", "intensity");
        until_waits_for("web.1", "intensity");
        until_waits_for("web.2", "intensity");
        w = why("web.2", 0, 1);
        assert_string_equal(w.state, "failed");
        assert_int_equal(w.attempts, 3);
        assert_int_equal(w.until, 0);
        assert_non_null(strstr(w.text, "it was killed by SIGKILL three times in 10 s, and 2 restarts"));
        w = why("web", 0, 3);
        assert_string_equal(w.state, "failed");
        assert_true(w.since > 0);
        assert_int_equal(status_now().failed, 2);
        assert_int_equal(status_now().monitors_failed, 1);
        assert_int_equal(status_now().deaths, 6);
        assert_int_equal(status_now().restarts, 4);
        assert_int_equal(status_now().state, ARBITER_STATUS_RUNNING);
        while (told.last.monitors_failed == 0)
                turn();
        assert_int_equal(told.last.failed, 2);
}

static void test_ready_and_stop(void **state) {
        arbiter_future *f;
        struct why_view w;

        /* It never says that it is ready, nor ends when asked. */
        start_pool("trap '' TERM; while :; do sleep 1000; done", ARBITER_EXEC_NOTIFY, 1, 5, 0);
        w = why("web.1", 0, 1);
        assert_string_equal(w.waiting_for, "ready");
        assert_string_equal(w.state, "starting");
        assert_true(w.until > w.since + 80 * USEC_PER_SEC);
        assert_string_equal(w.last_reason, "");
        assert_int_equal(status_now().state, ARBITER_STATUS_STARTING);
        assert_int_equal(status_now().starting, 1);

        assert_ok(control_stop(the, "web.1", &f));
        w = why("web.1", 0, 1);
        assert_string_equal(w.waiting_for, "stop");
        assert_true(w.until > w.since);
        assert_ok(control_kill(the, "web.1", SIGKILL));
        assert_string_equal(why("web.1", 0, 1).waiting_for, "kill");
        while (arbiter_future_is_pending(f)) {
                turn();
                check_status();
        }
        arbiter_future_unref(f);
        w = why("web.1", 0, 1);
        assert_string_equal(w.waiting_for, "stopped");
        assert_string_equal(w.state, "stopped");
        assert_int_equal(status_now().backoff + status_now().failed, 0);
}

static void test_running(void **state) {
        struct why_view *v = NULL, w;
        struct actor_view a;
        arbiter_future *f;
        size_t n;

        start_pool("sleep 1000", ARBITER_EXEC_EXEC, 3, 5, 0);
        w = why("web.2", 0, 1);
        assert_string_equal(w.waiting_for, "nothing");
        assert_non_null(strstr(w.text, "waits for nothing"));
        assert_string_equal(why("web", 0, 1).waiting_for, "nothing");
        assert_ok(control_get_actor(the, "web.3", &a));
        assert_string_equal(why(a.aid, 0, 1).name, "web.3");
        assert_ok(control_list_why(the, "", &v, &n));
        assert_int_equal(n, 0);
        free(v);
        while (told.last.state != ARBITER_STATUS_RUNNING || told.last.running != 3)
                turn();
        assert_int_equal(told.last.wanted, 3);

        /* A name that is no more: what is known of its death is among the last of all. */
        assert_ok(arbiter_monitor_scale(arbiter_find_monitor(the, "web"), 1, &f));
        until_done(f);
        check_status();
        until_deaths("web", 2);
}

static size_t lives(void) {
        arbiter_status s = status_now();

        return s.starting + s.running + s.stopping;
}

/* Many starts leave the loop to others in between, and those that have not begun can be called off. */
static void test_many(void **state) {
        arbiter_monitor *m;
        arbiter_future *f;
        size_t n;

        start_pool("exec sleep 1000", ARBITER_EXEC_EXEC, 1, 5, 0);
        m = arbiter_find_monitor(the, "web");
        assert_ok(arbiter_monitor_scale(m, 200, &f));
        n = lives();
        assert_true(n > 2 && n < 150);
        until_done(f);
        assert_int_equal(status_now().running, 200);
        check_status();

        assert_ok(arbiter_monitor_scale(m, 400, &f));
        arbiter_future_unref(f);
        assert_ok(arbiter_monitor_scale(m, 1, &f));
        while (arbiter_future_is_pending(f)) {
                turn();
                assert_true(lives() < 350);
        }
        arbiter_future_unref(f);
        assert_int_equal(status_now().running, 1);
        check_status();

        assert_ok(arbiter_monitor_scale(m, 200, &f)); /* the end of the test comes before the starts */
        arbiter_future_unref(f);
}

/* A FIFO has no reader before it has a writer: its start takes as long as the test likes. */
static char gate[64];

static int on_start(arbiter_actor *a, void *userdata) {
        int fd = open(gate, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : close(fd);
}

static const arbiter_module gated = { ARBITER_MODULE_HEAD, .name = "gated", .start = on_start };

/* The stages of a start. */
static void test_starting(void **state) {
        arbiter_spawn *s;
        struct why_view w;
        int fd;

        (void) snprintf(gate, sizeof(gate), "/tmp/test-control-%d", (int) getpid());
        assert_ok(mkfifo(gate, 0600));
        assert_ok(arbiter_start(the));
        assert_ok(arbiter_spawn_new(the, "gated", &s));
        assert_ok(arbiter_spawn_set_module(s, &gated));
        assert_ok(arbiter_spawn_set_concurrency(s, ARBITER_CONCURRENCY_PROCESS));
        assert_ok(arbiter_spawn_start(s, NULL));
        arbiter_spawn_unref(s);
        assert_true(waits_for("gated", "handshake"));
        until_waits_for("gated", "start-hook");
        w = why("gated", 0, 1);
        assert_true(w.until > w.since + 60 * USEC_PER_SEC);
        assert_non_null(strstr(w.text, "is in its start hook"));
        assert_string_equal(why("", 0, 1).name, "gated");
        fd = open(gate, O_WRONLY | O_CLOEXEC);
        assert_ok(fd);
        until_waits_for("gated", "nothing");
        close(fd);
        assert_ok(unlink(gate));

        /* It never says hello. */
        s = describe("mute", "sleep 1000", ARBITER_EXEC_MAILBOX);
        assert_ok(arbiter_spawn_set_timeouts(s, 0, 0, 1000, 0));
        assert_ok(arbiter_spawn_start(s, NULL));
        arbiter_spawn_unref(s);
        assert_string_equal(why("mute", 0, 1).waiting_for, "handshake");
}

/* A thread whose host does not say hello: the two are told apart. */
static void test_host(void **state) {
        arbiter_spawn *s;

        assert_ok(arbiter_set_host_program(the, "/bin/sleep")); /* which wants an argument, and ends */
        assert_ok(arbiter_start(the));
        assert_ok(arbiter_spawn_new(the, "lone", &s));
        assert_ok(arbiter_spawn_set_module_file(s, "/nonexistent.so"));
        assert_ok(arbiter_spawn_set_concurrency(s, ARBITER_CONCURRENCY_THREAD));
        assert_ok(arbiter_spawn_set_output(s, -2, -2));
        assert_ok(arbiter_spawn_start(s, NULL));
        arbiter_spawn_unref(s);
        assert_string_equal(why("lone", 0, 1).waiting_for, "host");
        assert_string_equal(why("lone-host", 0, 1).waiting_for, "handshake");
        assert_int_equal(status_now().starting, 2);
        until_deaths("", 2);
        check_status();
        assert_int_equal(status_now().actors, 0);
}

/* What the arbiter itself cannot deliver is told, too. */
static void test_dead_letter(void **state) {
        assert_ok(arbiter_start(the));
        while (told.last.state != ARBITER_STATUS_RUNNING)
                turn();
        assert_int_equal(told.last.dead_letters, 0);
        actor_dead_letter(arbiter_get_actor(the), "a", "b", "c", 1, ARBITER_OUTCOME_NOPROC);
        while (told.last.dead_letters == 0)
                turn();
        assert_int_equal(status_now().dead_letters, 1);
}

/* Failed before there was a process: a death all the same. */
static void test_no_such_program(void **state) {
        const char *const argv[] = { "/nonexistent/program", NULL };
        _cleanup_free_ struct death_view *v = NULL;
        arbiter_spawn *s;
        size_t n;

        assert_ok(arbiter_start(the));
        assert_ok(arbiter_spawn_new(the, "lone", &s));
        assert_ok(arbiter_spawn_set_exec(s, argv, ARBITER_EXEC_EXEC));
        (void) arbiter_spawn_start(s, NULL);
        arbiter_spawn_unref(s);
        until_deaths("", 1);
        assert_ok(control_list_deaths(the, "lone", &v, &n));
        assert_int_equal(n, 1);
        assert_string_equal(v->name, "lone");
        assert_string_equal(v->monitor, "");
        assert_int_equal(v->reason, ARBITER_REASON_HANDSHAKE);
        assert_int_equal(v->pid, 0);
        check_status();
}

/* A name is his who has it, also while he does not live. */
static void test_held(void **state) {
        arbiter_spawn *s = describe("clock", "sleep 1000", ARBITER_EXEC_EXEC);
        arbiter_monitor *m;
        arbiter_future *f;

        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
        assert_ok(arbiter_start(the));
        assert_ok(arbiter_spawn_start(s, &f));
        until_done(f);
        assert_ok(control_stop(the, "clock", &f));
        until_done(f);
        assert_string_equal(why("clock", 0, 1).waiting_for, "stopped");
        assert_errno(arbiter_monitor_new(the, "clock", NULL, NULL, &m), EEXIST);
        assert_errno(arbiter_spawn_start(s, NULL), EEXIST);
        assert_ok(arbiter_remove_actor(the, "clock", NULL));
        assert_errno(arbiter_remove_actor(the, "clock", NULL), ESRCH);
        assert_ok(arbiter_monitor_new(the, "clock", NULL, NULL, &m));
        arbiter_monitor_unref(m);
        arbiter_spawn_unref(s);
}

static void test_nonsense(void **state) {
        enum { SIZE = 1024 * 1024 };
        char *huge = malloc(SIZE + 1);
        const char *const targets[] = { huge, "nobody", "web.", "web.0", "web.4", "web.00001",
                "web.4294967297", "web.99999999999999999999", ".", "..", "web.1.1", "arbiter ", "\xff\xfe",
                "\n", "%s%n" };

        assert_non_null(huge);
        memset(huge, 'w', SIZE);
        huge[SIZE] = 0;
        start_pool("sleep 1000", ARBITER_EXEC_EXEC, 3, 5, 0);
        for (size_t i = 0; i < ELEMENTSOF(targets); i++) {
                struct death_view *d = NULL;
                struct why_view *w = NULL;
                size_t n;

                assert_errno(control_list_deaths(the, targets[i], &d, &n), ESRCH);
                assert_errno(control_list_why(the, targets[i], &w, &n), ESRCH);
                assert_null(d);
                assert_null(w);
        }
        free(huge);
}

static void test_public(void **state) {
        const char *const files[] = { "/etc/a.monitor", "/etc/b.actor", NULL };
        arbiter_status s = { .size = 1 };
        struct arbiter_view v;

        assert_errno(arbiter_get_status(the, &s), EINVAL);
        assert_errno(arbiter_set_instance(the, "\xff"), EINVAL);
        assert_ok(arbiter_set_instance(the, "blue"));
        assert_ok(arbiter_set_failed_files(the, files));
        control_get_arbiter(the, &v);
        assert_string_equal(v.instance, "blue");
        assert_string_equal(v.failed_files[1], "/etc/b.actor");
        assert_null(v.failed_files[2]);
        assert_string_equal(v.state, "starting");
        assert_ok(arbiter_set_failed_files(the, NULL));
        control_get_arbiter(the, &v);
        assert_null(v.failed_files[0]);
        assert_ok(arbiter_start(the));
        assert_errno(arbiter_set_instance(the, "red"), EBUSY);
        assert_null(arbiter_status_state_to_string((arbiter_status_state) 4));
        while (told.last.state != ARBITER_STATUS_RUNNING)
                turn();
        assert_ok(arbiter_stop(the, 0));
        assert_int_equal(status_now().state, ARBITER_STATUS_STOPPING);
}

struct watcher {
        struct control_observer observer;
        unsigned changes, n;
};

static void on_changed(unsigned changes, void *userdata) {
        struct watcher *w = userdata;

        w->changes |= changes;
        w->n++;
}

/* Told once for all that one turn changed, and not again for nothing. */
static void test_observer(void **state) {
        struct watcher w = { .observer = { .arbiter_changed = on_changed, .userdata = &w } };
        const char *const files[] = { "/etc/a.monitor", NULL };
        arbiter_spawn *s = describe("clock", "sleep 1000", ARBITER_EXEC_EXEC);

        list_init(&w.observer.observers);
        control_subscribe(the, &w.observer);
        assert_ok(arbiter_add_definition(the, s));
        assert_ok(arbiter_set_failed_files(the, files));
        assert_ok(arbiter_set_failed_files(the, files));
        while (w.n == 0)
                turn();
        assert_int_equal(w.changes, CONTROL_CHANGE_DEFINITIONS | CONTROL_CHANGE_FAILED_FILES);
        assert_int_equal(w.n, 1);
        w = (struct watcher){ .observer = w.observer };
        assert_ok(arbiter_set_failed_files(the, files));
        assert_ok(arbiter_start(the));
        while (w.n == 0)
                turn();
        assert_int_equal(w.changes, CONTROL_CHANGE_STATE);
        assert_ok(arbiter_remove_definition(the, "clock"));
        while (w.n == 1)
                turn();
        assert_int_equal(w.changes, CONTROL_CHANGE_STATE | CONTROL_CHANGE_DEFINITIONS);
        control_unsubscribe(&w.observer);
        arbiter_spawn_unref(s);
}

/* From inside a reload it is seen, and no other one begins. */
static int on_reload(arbiter *a, char **ret_text, void *userdata) {
        assert_int_equal(status_now().state, ARBITER_STATUS_RELOADING);
        assert_errno(arbiter_reload(a, ret_text), EBUSY);
        return 0;
}

static void test_reload(void **state) {
        assert_ok(arbiter_set_reload_handler(the, on_reload, NULL));
        assert_ok(arbiter_start(the));
        assert_ok(arbiter_reload(the, NULL));
        assert_int_not_equal(status_now().state, ARBITER_STATUS_RELOADING);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(backoff), TEST(gives_up), TEST(ready_and_stop), TEST(running), TEST(many),
                TEST(no_such_program), TEST(held), TEST(nonsense), TEST(public), TEST(observer),
                TEST(reload), TEST(starting), TEST(host), TEST(dead_letter),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
