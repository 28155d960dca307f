/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chaos: workers that ask each other all the time are killed, stopped and continued at random; in a pool,
 * and in a tree of monitors with a pool that is rolled and scaled meanwhile, and children that start slowly.
 * Every request has exactly one outcome, each watch one DOWN, no name is held twice, no process and no
 * descriptor is left, what the journal says of the state is so after each turn, and a tree is in the end as
 * its strategies want it. ARBITER_TEST_SEED replays a run. */

#include "state-check.h"
#include "test-hostile-util.h"

enum { WORKERS = 6, IN_FLIGHT = 8 };

/* Whom they ask. Forked workers have it, too. */
static const char *const pool_names[] = { "pool.1", "pool.2", "pool.3", "pool.4", "pool.5", "pool.6" };
static const char *const tree_names[] = { "db", "cache", "queue", "pool.1", "pool.2", "pool.3", "pool.4",
        "slow" };
static const char *const *names = pool_names;
static size_t n_names = ELEMENTSOF(pool_names);

struct load {
        arbiter_actor *actor;
        uint64_t asked, answered, random;
        usec_t started;
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
                const char *name = names[next_random(&l->random) % n_names];

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
        l->started = now_usec();
        if (strcmp(arbiter_actor_get_name(a), "slow") == 0)
                (void) usleep((useconds_t) (next_random(&l->random) % 50000));
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

static int on_started(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct load *l = userdata;

        return arbiter_message_reply(m, "t", l->started);
}

static void on_exit_hook(arbiter_actor *a, void *userdata) {
        arbiter_actor_set_userdata(a, NULL);
        free(userdata);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", on_square, 0),
        ARBITER_COMMAND("go", "b", "on", "", "", on_go, 0),
        ARBITER_COMMAND("count", "", "", "ttu", "asked answered pending", on_count, 0),
        ARBITER_COMMAND("started", "", "", "t", "usec", on_started, 0),
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

/* What goes on with those who live; at random, but for what it is told. */

struct chaos {
        arbiter *arbiter;
        uint64_t random;
        struct death deaths[4096];
        unsigned n_watches;
};

static void disturb(struct chaos *c, const struct actor_row *row) {
        static const int signals[] = { SIGKILL, SIGSTOP, SIGCONT, SIGCONT, SIGTERM, 0, 0, 0 };
        int signal = signals[next_random(&c->random) % ELEMENTSOF(signals)];

        if (row->pid > 1 || strcmp(row->name, "inline") == 0)
                (void) arbiter_send(arbiter_get_actor(c->arbiter), row->name, "go", "b", 1);
        if (row->pid <= 1 || row->pid == getpid())
                return;
        if (c->n_watches < ELEMENTSOF(c->deaths) && next_random(&c->random) % 4 == 0) {
                arbiter_proxy *p;

                assert_ok(arbiter_proxy_new(row->aid, row->name, 1, &p));
                assert_ok(arbiter_actor_watch(arbiter_get_actor(c->arbiter), p, on_death,
                                &c->deaths[c->n_watches++], NULL));
                arbiter_proxy_unref(p);
        }
        if (signal > 0 && next_random(&c->random) % 3 == 0)
                (void) kill(row->pid, signal);
}

/* Until it is enough; each time something else happens, too, which says whether all has happened. */
static void rage(struct chaos *c, bool (*more)(struct chaos *c, void *userdata), void *userdata) {
        usec_t end = now_usec() + (test_long() ? 300 : 8) * USEC_PER_SEC;
        struct actor_row rows[64];
        bool all = !more;

        while (now_usec() < end || !all) {
                size_t n = list_actors(c->arbiter, rows, ELEMENTSOF(rows));

                for (size_t i = 0; i < n; i++)
                        disturb(c, rows + i);
                if (more)
                        all = more(c, userdata);
                run_for(c->arbiter, 5000 + next_random(&c->random) % 20000);
                assert_answers(c->arbiter, "inline");
        }
        assert_settled(c->arbiter);
}

static unsigned begin(struct chaos *c) {
        const char *s = getenv("ARBITER_TEST_SEED");
        uint64_t seed = s ? strtoull(s, NULL, 0) : ((uint64_t) now_usec() | 1);

        alarm(test_long() ? 600 : 110);
        print_message("ARBITER_TEST_SEED=%llu\n", (unsigned long long) seed);
        memset(c, 0, sizeof(*c));
        c->random = seed;
        assert_ok(arbiter_new(NULL, NULL, &c->arbiter));
        state_check_turns(c->arbiter);
        assert_ok(arbiter_start(c->arbiter));
        start_good(c->arbiter, "inline", &square, ARBITER_CONCURRENCY_INLINE);
        return count_fds();
}

/* The monitor and all that it had are gone, and nothing is left. */
static void end(struct chaos *c, arbiter_monitor *m, unsigned fds) {
        struct actor_row rows[64];
        unsigned n_deaths = 0;
        arbiter_future *f;

        assert_ok(arbiter_monitor_stop(m, &f));
        wait_future(f);
        arbiter_future_unref(f);
        arbiter_monitor_unref(m);
        run_for(c->arbiter, 100 * 1000);
        for (unsigned i = 0; i < c->n_watches; i++) {
                assert_int_equal(c->deaths[i].n, 1);
                n_deaths += c->deaths[i].reason == ARBITER_REASON_SIGNAL;
        }
        assert_true(c->n_watches > 0 && n_deaths > 0);
        assert_int_equal(list_actors(c->arbiter, rows, ELEMENTSOF(rows)), 1);
        run_until_fds(c->arbiter, fds);
        assert_no_children();
        stop_arbiter(c->arbiter);
}

static arbiter_spawn *describe(arbiter *a, const char *name) {
        arbiter_spawn *w;

        assert_ok(arbiter_spawn_new(a, name, &w));
        assert_ok(arbiter_spawn_set_module(w, &worker));
        assert_ok(arbiter_spawn_set_timeouts(w, 500 * 1000, 0, 200 * 1000, 0));
        return w;
}

static arbiter_monitor *new_pool(arbiter *a) {
        arbiter_spawn *w = describe(a, "w");
        arbiter_monitor *m;

        assert_ok(arbiter_monitor_new(a, "pool", w, NULL, &m));
        arbiter_spawn_unref(w);
        assert_ok(arbiter_monitor_set_intensity(m, UINT32_MAX, USEC_PER_SEC));
        assert_ok(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0));
        return m;
}

static void start(arbiter_monitor *m, unsigned n) {
        arbiter_future *f;

        assert_ok(arbiter_monitor_start(m, n, &f));
        wait_future(f);
        arbiter_future_unref(f);
}

static struct chaos chaos;

static void test_chaos(void **state) {
        unsigned fds = begin(&chaos);
        arbiter_monitor *m = new_pool(chaos.arbiter);

        start(m, WORKERS);
        rage(&chaos, NULL, NULL);
        end(&chaos, m, fds);
}

/* A tree: by rest-for-one "db", a monitor with "cache" and "queue" by one-for-all, which gives up now and
 * then, a pool, "slow". */

struct tree {
        arbiter_monitor *top, *inner, *pool;
        unsigned n_escalations, n_rolls;
};

static arbiter_monitor *new_tree(arbiter *a, const char *name, arbiter_strategy strategy,
                unsigned intensity) {
        arbiter_monitor *m;

        assert_ok(arbiter_monitor_new(a, name, NULL, NULL, &m));
        assert_ok(arbiter_monitor_set_strategy(m, strategy));
        assert_ok(arbiter_monitor_set_intensity(m, intensity, 5 * USEC_PER_SEC));
        assert_ok(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0));
        return m;
}

static void add(arbiter_monitor *m, arbiter *a, const char *name) {
        arbiter_spawn *w = describe(a, name);

        assert_ok(arbiter_monitor_add_actor(m, w, NULL, NULL));
        arbiter_spawn_unref(w);
}

static void on_verdict(arbiter_monitor *m, arbiter_verdict v, const char *culprit, void *userdata) {
        struct tree *t = userdata;

        assert_ptr_equal(m, t->inner);
        t->n_escalations += v == ARBITER_VERDICT_ESCALATED;
}

static void plant(struct tree *t, arbiter *a) {
        arbiter_child_spec four = { .size = sizeof(four), .workers = 4 };

        *t = (struct tree){ .top = new_tree(a, "top", ARBITER_STRATEGY_REST_FOR_ONE, UINT32_MAX),
                .inner = new_tree(a, "inner", ARBITER_STRATEGY_ONE_FOR_ALL, 1),
                .pool = new_pool(a) };
        assert_ok(arbiter_set_verdict_handler(a, on_verdict, t));
        assert_ok(arbiter_monitor_set_roll(t->pool, 1, 1, 50 * 1000));
        add(t->top, a, "db");
        assert_ok(arbiter_monitor_add_monitor(t->top, t->inner, NULL, NULL));
        add(t->inner, a, "cache");
        add(t->inner, a, "queue");
        assert_ok(arbiter_monitor_add_monitor(t->top, t->pool, &four, NULL));
        add(t->top, a, "slow");
        start(t->top, 0);
}

/* Rolls, rolls that turn back, and other sizes, when there is a pool at all. */
static bool shake(struct chaos *c, void *userdata) {
        struct tree *t = userdata;
        unsigned n = (unsigned) (next_random(&c->random) % 40);
        int r = 0;

        if (n < 2)
                r = arbiter_monitor_restart(t->pool, NULL, NULL);
        else if (n == 2)
                r = arbiter_monitor_abort_roll(t->pool, NULL);
        else if (n < 6)
                r = arbiter_monitor_scale(t->pool, 1 + n, NULL);
        t->n_rolls += n < 2 && r >= 0;
        if (r < 0 && r != -ESHUTDOWN && r != -ENOENT)
                fail_msg("%u: %s", n, strerror(-r));
        return t->n_rolls > 0 && t->n_escalations > 0;
}

static usec_t started(arbiter *a, const char *name) {
        arbiter_message *m;
        uint64_t usec;

        assert_ok(arbiter_call(arbiter_get_actor(a), &m, name, "started", 5 * USEC_PER_SEC, ""));
        assert_true(arbiter_message_read(m, "t", &usec) > 0);
        arbiter_message_unref(m);
        return usec;
}

/* All run, of the pool whoever it is: who had been stopped by a signal has been missed by now. */
static bool is_whole(arbiter *a, struct actor_row *rows) {
        size_t n = list_actors(a, rows, 64), n_running = 0;

        for (size_t i = 0; i < n; i++)
                if (rows[i].pid > 1 && rows[i].pid != getpid() && strcmp(rows[i].state, "running") == 0)
                        rows[n_running++] = rows[i];
        return n_running == ELEMENTSOF(tree_names);
}

static void test_tree(void **state) {
        struct actor_row rows[64];
        struct tree t;
        unsigned fds = begin(&chaos);

        names = tree_names;
        n_names = ELEMENTSOF(tree_names);
        plant(&t, chaos.arbiter);
        rage(&chaos, shake, &t);
        for (unsigned i = 0; arbiter_monitor_scale(t.pool, 4, NULL) < 0 || !is_whole(chaos.arbiter, rows);
             i++) {
                assert_true(i < 100);
                run_for(chaos.arbiter, 100 * 1000);
        }
        print_message("%u escalations, %u rolls\n", t.n_escalations, t.n_rolls);
        for (size_t i = 0; i < ELEMENTSOF(tree_names); i++) /* none of them has outlived the first */
                assert_true(strcmp(rows[i].name, "db") == 0 ||
                            started(chaos.arbiter, "db") < started(chaos.arbiter, rows[i].name));
        assert_true(started(chaos.arbiter, "cache") < started(chaos.arbiter, "queue"));
        arbiter_monitor_unref(t.inner);
        arbiter_monitor_unref(t.pool);
        end(&chaos, t.top, fds);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_chaos),
                cmocka_unit_test(test_tree),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
