/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the log handler is told of a life, and what the prepare function is told and may do: the journal of
 * arbiterd is made of both. Real processes, waited for by events. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include <arbiter/arbiter.h>

#include "basic/fd.h"
#include "state-check.h"
#include "test-util.h"

#include <systemd/sd-event.h>

#define ENTRIES_MAX 64

struct entry {
        char event[32], name[80], monitor[80], reason[32], text[200], aid[9];
        int level, status, pid;
        uint32_t generation, n, n_before;
        uint64_t usec;
};

static struct fixture {
        arbiter *a;
        struct entry entries[ENTRIES_MAX];
        size_t n;
        int output;
        arbiter_life life;
        char life_name[80], life_monitor[80], life_aid[9], life_definition[80];
} the;

static void copy(char *to, size_t size, const char *from) {
        (void) snprintf(to, size, "%s", from ? from : "-");
}

static void on_log(const arbiter_log_entry *e, void *userdata) {
        struct entry *x = &the.entries[the.n++ % ENTRIES_MAX];

        assert_int_equal(e->size, sizeof(*e));
        assert_null(strpbrk(e->text, "\n\r\t"));
        copy(x->event, sizeof(x->event), e->event);
        copy(x->name, sizeof(x->name), e->name);
        copy(x->monitor, sizeof(x->monitor), e->monitor);
        copy(x->reason, sizeof(x->reason), e->reason);
        copy(x->text, sizeof(x->text), e->text);
        copy(x->aid, sizeof(x->aid), e->aid);
        x->level = e->level;
        x->status = e->status;
        x->pid = e->pid;
        x->generation = e->generation;
        x->n = e->n;
        x->n_before = e->n_before;
        x->usec = e->usec;
}

/* Runs the loop until the event has come k times. */
static const struct entry *await_event(const char *event, unsigned k) {
        for (;;) {
                unsigned seen = 0;

                assert_true(the.n <= ENTRIES_MAX);
                for (size_t i = 0; i < the.n; i++)
                        if (strcmp(the.entries[i].event, event) == 0 && ++seen == k)
                                return the.entries + i;
                assert_ok(sd_event_run(arbiter_get_event(the.a), UINT64_MAX));
        }
}

static int set_up(void **state) {
        alarm(100);
        the = (struct fixture){ .output = -EBADF };
        assert_ok(arbiter_new(NULL, NULL, &the.a));
        state_check_turns(the.a);
        assert_ok(arbiter_set_log_handler(the.a, on_log, NULL));
        assert_ok(arbiter_start(the.a));
        return 0;
}

static int tear_down(void **state) {
        assert_ok(arbiter_stop(the.a, 0));
        assert_int_equal(arbiter_run(the.a, false), 0);
        the.a = arbiter_unref(the.a);
        the.output = close_fd(the.output);
        return 0;
}

static arbiter_spawn *shell(const char *name, const char *script) {
        const char *const argv[] = { "/bin/sh", "-c", script, NULL };
        arbiter_spawn *s;

        assert_ok(arbiter_spawn_new(the.a, name, &s));
        assert_ok(arbiter_spawn_set_exec(s, argv, ARBITER_EXEC_EXEC));
        return s;
}

static arbiter_monitor *start_pool(
                const char *name, arbiter_spawn *s, unsigned workers, unsigned intensity) {
        arbiter_monitor *m;

        assert_ok(arbiter_monitor_new(the.a, name, s, NULL, &m));
        assert_ok(arbiter_monitor_set_intensity(m, intensity, 60 * 1000 * 1000));
        assert_ok(arbiter_monitor_set_backoff(m, 1000, 2000, 1, 0, 0));
        assert_ok(arbiter_monitor_start(m, workers, NULL));
        return m;
}

static void test_lives(void **state) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = shell("w", "exit 3");
        _unused_ _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *m = start_pool("web", s, 1, 2);
        const struct entry *started, *died, *replaced, *e;

        e = await_event("gave-up", 2);
        started = await_event("started", 1);
        died = await_event("died", 1);
        replaced = await_event("replaced", 1);

        assert_string_equal(started->name, "web.1");
        assert_string_equal(started->monitor, "web");
        assert_string_equal(started->reason, "-");
        assert_int_equal(started->generation, 1);
        assert_true(started->pid > 1);

        assert_true(died > started);
        assert_string_equal(died->aid, started->aid);
        assert_int_equal(died->pid, started->pid);
        assert_int_equal(died->generation, 1);
        assert_string_equal(died->reason, "exit-code");
        assert_int_equal(died->status, 3);
        assert_int_equal(died->level, 4);

        assert_string_not_equal(replaced->aid, started->aid);
        assert_int_equal(replaced->generation, 2);
        assert_string_equal(replaced->reason, "exit-code");
        assert_int_equal(replaced->status, 3);

        assert_string_equal(e->name, "-"); /* the monitor itself, after its last slot */
        assert_string_equal(e->monitor, "web");
        assert_int_equal(e->n, 2);
        assert_true(e->usec == 60 * 1000 * 1000);
        e = await_event("gave-up", 1);
        assert_string_equal(e->name, "web.1");
        e = await_event("backoff", 1);
        assert_string_equal(e->name, "web.1");
        assert_int_equal(e->level, 7); /* it is short */
        assert_true(e->usec > 0 && e->usec <= 2000);
}

static void test_operators(void **state) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = shell("w", "exec sleep 1000");
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *m = start_pool("pool", s, 1, 2);
        const struct entry *e;

        (void) await_event("started", 1);
        assert_ok(arbiter_monitor_scale(m, 2, NULL));
        e = await_event("scaled", 1);
        assert_string_equal(e->name, "pool");
        assert_string_equal(e->monitor, "pool");
        assert_int_equal(e->n_before, 1);
        assert_int_equal(e->n, 2);
        (void) await_event("started", 2);
        /* its own start, too, is found by its name */
        for (size_t i = 0; i < the.n; i++)
                if (strcmp(the.entries[i].name, "pool") == 0)
                        assert_string_equal(the.entries[i].monitor, "pool");
        assert_ok(arbiter_monitor_scale(m, 0, NULL));
        e = await_event("stopped", 2);
        assert_string_equal(e->reason, "shutdown");
        assert_int_equal(e->level, 6);
        e = await_event("removed", 2); /* after its end */
        assert_int_equal(e->level, 7);
        assert_string_equal(e->monitor, "pool");
        assert_true(e->n == 1 || e->n == 2);
}

static int on_prepare(arbiter_spawn *s, const arbiter_life *life, char **ret_text, void *userdata) {
        int fds[2];

        assert_true(pipe2(fds, O_CLOEXEC) >= 0);
        the.life = *life;
        copy(the.life_definition, sizeof(the.life_definition), life->definition);
        copy(the.life_name, sizeof(the.life_name), life->name);
        copy(the.life_monitor, sizeof(the.life_monitor), life->monitor);
        copy(the.life_aid, sizeof(the.life_aid), life->aid);
        assert_ok(arbiter_spawn_set_output(s, fds[1], fds[1]));
        close_fd(fds[1]);
        close_fd(the.output);
        the.output = fds[0];
        return 0;
}

/* The process alone holds its output while it lives: EOF comes with its end, before it has been reaped. */
static void test_prepare(void **state) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s =
                        shell("w", "echo out; echo err >&2; exec sleep 1000");
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *m = NULL;
        char text[16] = "";
        size_t n = 0;
        ssize_t r;

        assert_ok(arbiter_spawn_set_prepare(s, on_prepare, NULL));
        m = start_pool("web", s, 1, 2);
        (void) await_event("started", 1);
        assert_int_equal(the.life.size, sizeof(the.life));
        assert_string_equal(the.life_definition, "w");
        assert_string_equal(the.life_name, "web.1");
        assert_string_equal(the.life_monitor, "web");
        assert_string_equal(the.life_aid, the.entries[0].aid);
        assert_int_equal(the.life.generation, 1);
        assert_int_equal(the.life.concurrency, ARBITER_CONCURRENCY_PROCESS);
        while (n < 8) {
                r = read(the.output, text + n, sizeof(text) - n);
                assert_true(r > 0);
                n += (size_t) r;
        }
        assert_memory_equal(text, "out\nerr\n", 8);
        assert_int_equal(kill(the.entries[0].pid, SIGKILL), 0);
        assert_int_equal(read(the.output, text, sizeof(text)), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_lives, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_operators, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_prepare, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
