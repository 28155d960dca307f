/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitors, on real actors: replacement, scaling, intensity, rolling restart, stop; and actors that spawn
 * and kill others. What is decided when is tested in tests/simulation. */

#include <signal.h>

#include "actor-fixture.h"

static arbiter_monitor *start_pool(struct fixture *x, unsigned n, unsigned intensity, bool backoff) {
        arbiter_spawn *s = fixture_describe(x, "w");
        arbiter_monitor *m;
        arbiter_future *f;

        assert_ok(arbiter_monitor_new(x->arbiter, "pool", s, NULL, &m));
        arbiter_spawn_unref(s);
        if (!backoff)
                assert_ok(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0));
        assert_ok(arbiter_monitor_set_intensity(m, intensity, 60 * 1000 * 1000));
        assert_ok(arbiter_monitor_start(m, n, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        return m;
}

static void end(struct fixture *x, const char *name, arbiter_proxy *p) {
        if (x->kind == ARBITER_CONCURRENCY_PROCESS)
                assert_int_equal(kill((pid_t)fixture_do(x, name, "Pid", 0), SIGKILL), 0);
        else
                assert_ok(arbiter_send(x->root, name, "ExitReason", "x", (int64_t)ARBITER_REASON_WATCHDOG));
        fixture_until_gone(x, p);
}

static void test_replacement(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 3, 100, false);
        arbiter_proxy *p = fixture_proxy_of(x, "pool.2"), *q;

        for (unsigned i = 1; i <= 5; i++) {
                end(x, "pool.2", p);
                fixture_until_answers(x, "pool.2");
                q = fixture_proxy_of(x, "pool.2");
                assert_string_not_equal(arbiter_proxy_get_aid(q), arbiter_proxy_get_aid(p));
                assert_int_equal(arbiter_proxy_get_generation(q), arbiter_proxy_get_generation(p) + 1);
                arbiter_proxy_unref(p);
                p = q;
        }
        assert_int_equal(x->log_replaced, 5);
        /* The others are what they were. */
        assert_int_equal(fixture_do(x, "pool.1", "Number", 7), 1);
        assert_int_equal(fixture_do(x, "pool.3", "Number", 7), 1);
        arbiter_proxy_unref(p);
        arbiter_monitor_unref(m);
}

static void scale(struct fixture *x, arbiter_monitor *m, unsigned n) {
        arbiter_future *f;

        assert_ok(arbiter_monitor_scale(m, n, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
}

static void test_scale(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 2, 100, false);

        scale(x, m, 4);
        for (unsigned i = 1; i <= 4; i++) {
                char name[16];

                snprintf(name, sizeof(name), "pool.%u", i);
                assert_int_equal(fixture_do(x, name, "Work", 1), 2);
        }
        for (unsigned i = 0; i <= 5; i++)
                assert_int_equal(arbiter_monitor_has_worker(m, i), i >= 1 && i <= 4);
        scale(x, m, 1); /* the oldest go first: the youngest stays */
        for (unsigned i = 0; i <= 5; i++)
                assert_int_equal(arbiter_monitor_has_worker(m, i), i == 4);
        for (unsigned i = 1; i <= 3; i++) {
                char name[16];

                snprintf(name, sizeof(name), "pool.%u", i);
                assert_outcome(fixture_ask(x, NULL, name, "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                                ARBITER_EXECUTED_NO);
        }
        assert_int_equal(fixture_do(x, "pool.4", "Work", 1), 2);
        scale(x, m, 0);
        assert_outcome(fixture_ask(x, NULL, "pool.4", "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                        ARBITER_EXECUTED_NO);
        arbiter_monitor_unref(m);
}

/* More restarts of one worker than its intensity: it is parked, and the pool has given up when none is left.
 */
static void test_intensity(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 1, 2, false);

        for (unsigned i = 0; i < 3; i++) {
                arbiter_proxy *p;

                fixture_until_answers(x, "pool.1");
                p = fixture_proxy_of(x, "pool.1");
                assert_int_equal(arbiter_proxy_get_generation(p), i + 1);
                end(x, "pool.1", p);
                arbiter_proxy_unref(p);
        }
        fixture_settle(x);
        assert_true(x->log_gave_up > 0);
        assert_outcome(fixture_ask(x, NULL, "pool.1", "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                        ARBITER_EXECUTED_NO);
        arbiter_monitor_unref(m);
}

/* What is longer than all time is for ever; and a refused setting changes nothing. */
static void test_long_backoff(void **state) {
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "w");
        arbiter_monitor *m;

        assert_ok(arbiter_monitor_new(x->arbiter, "pool", s, NULL, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_backoff(m, 1000, UINT64_MAX / 1000 + 1, 0, 0, 0));
        assert_ok(arbiter_monitor_set_backoff(m, UINT64_MAX - 1, UINT64_MAX - 1, 0, 0, UINT64_MAX - 1));
        assert_errno(arbiter_monitor_set_backoff(m, 0, 1000, 0, 0, 0), EINVAL);
        assert_ok(arbiter_monitor_set_backoff(m, 1000, 0, 0, 0, 0)); /* the maximum is what it was */
        assert_ok(arbiter_monitor_stop(m, NULL));
        arbiter_monitor_unref(m);
}

static void test_rolling_restart(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 3, 100, false);
        arbiter_future *f;

        assert_ok(arbiter_monitor_restart(m, NULL, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        for (unsigned i = 1; i <= 3; i++) {
                char name[16];

                snprintf(name, sizeof(name), "pool.%u", i);
                assert_int_equal(fixture_do(x, name, "Number", 7), 2);
        }
        arbiter_monitor_unref(m);
}

static void test_stop(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 3, 100, true);
        arbiter_future *f;

        assert_ok(arbiter_monitor_stop(m, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        assert_null(arbiter_find_monitor(x->arbiter, "pool"));
        assert_outcome(fixture_ask(x, NULL, "pool.1", "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                        ARBITER_EXECUTED_NO);
        assert_outcome(fixture_ask(x, NULL, "pool", "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                        ARBITER_EXECUTED_NO);
        arbiter_monitor_unref(m);
        m = start_pool(x, 1, 100, true); /* the name is free */
        arbiter_monitor_unref(m);
}

static arbiter_outcome spawn_by(
                struct fixture *x, const char *who, const char *definition, const char *name) {
        arbiter_outcome o;
        arbiter_future *f;
        const char *a, *b;

        assert_ok(arbiter_call_async(x->root, &f, who, "SpawnOne", 0, "ss", definition, name));
        fixture_wait(x, f);
        o = arbiter_future_get_outcome(f);
        /* The spawner passes on what its own future says. */
        if (o == ARBITER_OUTCOME_APPLICATION_ERROR && strstr(arbiter_future_get_error_name(f), "Denied"))
                o = ARBITER_OUTCOME_DENIED;
        if (o == ARBITER_OUTCOME_REPLY) {
                assert_true(arbiter_future_get(f, "ss", &a, &b) > 0);
                assert_string_equal(a, b); /* what was known at once is what it is */
        }
        arbiter_future_unref(f);
        return o;
}

static arbiter_outcome kill_by(struct fixture *x, const char *who, const char *target) {
        arbiter_future *f;
        int64_t o;

        assert_ok(arbiter_call_async(x->root, &f, who, "KillOne", 0, "s", target));
        fixture_wait(x, f);
        assert_true(arbiter_future_get(f, "x", &o) > 0);
        arbiter_future_unref(f);
        return (arbiter_outcome)o;
}

static void test_spawn_from_an_actor(void **state) {
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "helper");

        assert_ok(arbiter_add_definition(x->arbiter, s));
        arbiter_spawn_unref(s);
        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        arbiter_proxy_unref(fixture_spawn(x, "bob", NULL));
        assert_int_equal(spawn_by(x, "alice", "helper", "h1"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(spawn_by(x, "alice", "helper", "h1"),
                        ARBITER_OUTCOME_APPLICATION_ERROR); /* the name is taken */
        assert_int_equal(spawn_by(x, "alice", "nothing", "h2"), ARBITER_OUTCOME_DENIED);
        assert_outcome(fixture_ask(x, "bob", "h1", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                        ARBITER_EXECUTED_YES);
        assert_int_equal(kill_by(x, "bob", "h1"), ARBITER_OUTCOME_DENIED);
        assert_int_equal(kill_by(x, "bob", "nobody"), ARBITER_OUTCOME_NOPROC);
        assert_int_equal(kill_by(x, "alice", "h1"), ARBITER_OUTCOME_REPLY);
        assert_outcome(fixture_ask(x, NULL, "h1", "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                        ARBITER_EXECUTED_NO);
        assert_int_equal(spawn_by(x, "bob", "helper", "h1"), ARBITER_OUTCOME_REPLY);
}

static const struct fixture_test tests[] = {
                {"replacement", test_replacement},
                {"scale", test_scale},
                {"intensity", test_intensity},
                {"long backoff", test_long_backoff, ON_ONE},
                {"rolling restart", test_rolling_restart},
                {"stop", test_stop},
                {"spawn from an actor", test_spawn_from_an_actor},
};

int main(void) {
        return fixture_run("monitors", tests, ELEMENTS(tests));
}
