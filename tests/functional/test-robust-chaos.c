/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chaos: workers that ask each other all the time are killed, stopped and continued at random. Every
 * request has exactly one outcome, each watch one DOWN, no name is held twice, no process and no
 * descriptor is left. ARBITER_TEST_SEED replays a run. */

#include "state-check.h"
#include "test-hostile-util.h"

enum { WORKERS = 6, IN_FLIGHT = 8 };

struct load {
        arbiter_actor *actor;
        uint64_t asked, answered, random;
        unsigned pending;
        bool enough;
};

static uint64_t next_random(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        return *state ^= *state << 17;
}

static void ask_on(struct load *l);

static void on_answer(arbiter_future *f, void *userdata) {
        struct load *l = userdata;

        EXPECT(!arbiter_future_is_pending(f));
        EXPECT(arbiter_outcome_to_string(arbiter_future_get_outcome(f)));
        l->answered++;
        l->pending--;
        if (!l->enough && l->pending < IN_FLIGHT / 2)
                ask_on(l);
}

static void ask_on(struct load *l) {
        while (l->pending < IN_FLIGHT) {
                arbiter_future *f;
                char name[32];

                (void) snprintf(name, sizeof(name), "pool.%u",
                                (unsigned) (next_random(&l->random) % WORKERS) + 1);
                if (arbiter_call_async(l->actor, &f, name, "square", 500 * 1000, "x", (int64_t) 7) < 0)
                        return;
                if (arbiter_future_then(f, on_answer, l) >= 0) {
                        l->asked++;
                        l->pending++;
                }
                arbiter_future_unref(f);
        }
}

static int on_square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_message_reply(m, "x", n * n);
}

static int on_start(arbiter_actor *a, void *userdata) {
        struct load *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->actor = a;
        l->random = (uint64_t) getpid() * UINT64_C(0x9e3779b97f4a7c15) | 1;
        arbiter_actor_set_userdata(a, l);
        return 0;
}

static int on_go(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct load *l = userdata;
        int on, r = arbiter_message_read(m, "b", &on);

        if (r < 0)
                return r;
        l->enough = !on;
        if (on)
                ask_on(l);
        return 0;
}

static int on_count(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct load *l = userdata;

        return arbiter_message_reply(m, "ttu", l->asked, l->answered, (uint32_t) l->pending);
}

static void on_exit_hook(arbiter_actor *a, void *userdata) {
        arbiter_actor_set_userdata(a, NULL);
        free(userdata);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", on_square, 0),
        ARBITER_COMMAND("go", "b", "on", "", "", on_go, 0),
        ARBITER_COMMAND("count", "", "", "ttu", "asked answered pending", on_count, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module worker = { ARBITER_MODULE_HEAD, .name = "worker", .commands = commands,
                .start = on_start };
static const arbiter_module square = { ARBITER_MODULE_HEAD, .name = "square", .commands = commands,
                .start = on_start,
                                       .exit = on_exit_hook };

struct actor_row {
        char aid[9], name[80], state[16];
        pid_t pid;
};

static size_t list_actors(arbiter *a, struct actor_row *rows, size_t max) {
        const char *id, *name, *monitor, *concurrency, *state;
        arbiter_message *m;
        uint64_t uptime;
        size_t n = 0;
        uint32_t pid;

        assert_ok(arbiter_call(arbiter_get_actor(a), &m, "arbiter", "list", 0, ""));
        assert_true(arbiter_message_enter_container(m, 'a', "(sssssut)") > 0);
        while (n < max && arbiter_message_read(m, "(sssssut)", &id, &name, &monitor, &concurrency, &state,
                        &pid, &uptime) > 0) {
                struct actor_row *row = &rows[n];

                (void) snprintf(row->aid, sizeof(row->aid), "%s", id);
                (void) snprintf(row->name, sizeof(row->name), "%s", name);
                (void) snprintf(row->state, sizeof(row->state), "%s", state);
                row->pid = (pid_t) pid;
                for (size_t i = 0; i < n; i++)
                        if (strcmp(rows[i].name, row->name) == 0 || strcmp(rows[i].aid, row->aid) == 0)
                                fail_msg("%s is there twice", row->name);
                n++;
        }
        arbiter_message_unref(m);
        return n;
}

/* Quiet again: all that was asked has its outcome. */
static void assert_settled(arbiter *a) {
        for (unsigned i = 0; i < 50; i++) {
                arbiter_message *r;
                uint64_t asked, answered;
                uint32_t pending;

                assert_ok(arbiter_send(arbiter_get_actor(a), "inline", "go", "b", 0));
                run_for(a, 100 * 1000);
                assert_ok(arbiter_call(arbiter_get_actor(a), &r, "inline", "count", 0, ""));
                assert_true(arbiter_message_read(r, "ttu", &asked, &answered, &pending) > 0);
                arbiter_message_unref(r);
                assert_true(asked > 0);
                if (asked == answered && pending == 0)
                        break;
                assert_true(i < 49);
        }
}

static void test_chaos(void **state) {
        const char *s = getenv("ARBITER_TEST_SEED");
        uint64_t seed = s ? strtoull(s, NULL, 0) : ((uint64_t) now_usec() | 1), random = seed;
        usec_t end = now_usec() + (test_long() ? 300 : 8) * USEC_PER_SEC;
        static struct death deaths[4096];
        struct actor_row rows[64];
        unsigned n_watches = 0, fds, n_deaths = 0;
        arbiter_monitor *m;
        arbiter_spawn *w;
        arbiter_future *f;
        arbiter *a;

        alarm(test_long() ? 600 : 100);
        print_message("ARBITER_TEST_SEED=%llu\n", (unsigned long long) seed);
        memset(deaths, 0, sizeof(deaths));
        assert_ok(arbiter_new(NULL, NULL, &a));
        state_check_turns(a);
        assert_ok(arbiter_start(a));
        start_good(a, "inline", &square, ARBITER_CONCURRENCY_INLINE);
        fds = count_fds();
        assert_ok(arbiter_spawn_new(a, "w", &w));
        assert_ok(arbiter_spawn_set_module(w, &worker));
        assert_ok(arbiter_spawn_set_timeouts(w, 500 * 1000, 0, 200 * 1000, 0));
        assert_ok(arbiter_monitor_new(a, "pool", w, NULL, &m));
        arbiter_spawn_unref(w);
        assert_ok(arbiter_monitor_set_intensity(m, UINT32_MAX, USEC_PER_SEC));
        assert_ok(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0));
        assert_ok(arbiter_monitor_start(m, WORKERS, &f));
        wait_future(f);
        arbiter_future_unref(f);

        while (now_usec() < end) {
                size_t n = list_actors(a, rows, ELEMENTSOF(rows));

                for (size_t i = 0; i < n; i++) {
                        static const int signals[] = { SIGKILL, SIGSTOP, SIGCONT, SIGCONT, SIGTERM, 0, 0,
                                        0 };
                        int signal = signals[next_random(&random) % ELEMENTSOF(signals)];

                        if (strncmp(rows[i].name, "pool.", 5) == 0 || strcmp(rows[i].name, "inline") == 0)
                                (void) arbiter_send(arbiter_get_actor(a), rows[i].name, "go", "b", 1);
                        if (rows[i].pid <= 1 || rows[i].pid == getpid())
                                continue;
                        if (n_watches < ELEMENTSOF(deaths) && next_random(&random) % 4 == 0) {
                                arbiter_proxy *p;

                                assert_ok(arbiter_proxy_new(rows[i].aid, rows[i].name, 1, &p));
                                assert_ok(arbiter_actor_watch(arbiter_get_actor(a), p, on_death,
                                                &deaths[n_watches++], NULL));
                                arbiter_proxy_unref(p);
                        }
                        if (signal > 0 && next_random(&random) % 3 == 0)
                                (void) kill(rows[i].pid, signal);
                }
                run_for(a, 5000 + next_random(&random) % 20000);
                assert_answers(a, "inline");
        }

        assert_settled(a);
        assert_ok(arbiter_monitor_stop(m, &f));
        wait_future(f);
        arbiter_future_unref(f);
        arbiter_monitor_unref(m);
        run_for(a, 100 * 1000);
        for (unsigned i = 0; i < n_watches; i++) {
                assert_int_equal(deaths[i].n, 1);
                n_deaths += deaths[i].reason == ARBITER_REASON_SIGNAL;
        }
        assert_true(n_watches > 0 && n_deaths > 0);
        assert_int_equal(list_actors(a, rows, ELEMENTSOF(rows)), 1);
        run_until_fds(a, fds);
        assert_no_children();
        stop_arbiter(a);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_chaos),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
