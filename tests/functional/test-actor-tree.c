/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitors of named, different children, on real actors: in which order they start and stop as they see it
 * themselves, what each strategy takes with it, nesting and escalation up to the exit of the arbiter,
 * significant children, `ignore`, and the operations. The parity with OTP's own suite is in
 * test-otp-parity.c; what is decided when, in tests/simulation. */

#include <signal.h>

#include "actor-fixture.h"

/* Children. Each writes its letter into the journal: a capital when it starts, a small one when it stops. */

static char letter_of(arbiter_actor *a) {
        return arbiter_actor_get_name(a)[0];
}

/* shared->stages: whose start does not go as it should, and how. */
enum { STAGE_FAIL = 1 << 8, STAGE_IGNORE = 2 << 8, STAGE_EXIT = 3 << 8 };

static int child_start(arbiter_actor *a, void *userdata) {
        uint64_t stage = atomic_load(&shared->stages);

        if ((char) stage != letter_of(a)) {
                fixture_journal((char) (letter_of(a) - 'a' + 'A'));
                return 0;
        }
        if ((stage & 0xf00) == STAGE_FAIL)
                return -ENOENT;
        if ((stage & 0xf00) == STAGE_IGNORE)
                return arbiter_actor_ignore(a);
        return 0;
}

static int child_stopping(arbiter_actor *a, void *userdata) {
        fixture_journal(letter_of(a));
        return 0;
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("End", "x", "reason", NULL, NULL, fixture_on_end, 0),
        ARBITER_COMMAND("Generation", "x", "", "x", "", fixture_on_generation, 0),
        ARBITER_COMMANDS_END,
};

static const arbiter_module child_module = {
        ARBITER_MODULE_HEAD,
        .name = "child",
        .commands = commands,
        .start = child_start,
        .stopping = child_stopping,
};

/* Helpers. */

static arbiter_monitor *new_tree(struct fixture *x, const char *name, arbiter_strategy strategy) {
        arbiter_monitor *m;

        assert_ok(arbiter_monitor_new(x->arbiter, name, NULL, NULL, &m));
        assert_ok(arbiter_monitor_set_strategy(m, strategy));
        assert_ok(arbiter_monitor_set_failure_action(m, ARBITER_FAILURE_NONE, 0));
        assert_ok(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0));
        assert_ok(arbiter_monitor_set_intensity(m, 3, 3600ULL * 1000 * 1000));
        return m;
}

static arbiter_spawn *describe(struct fixture *x, const char *name, arbiter_restart restart) {
        arbiter_spawn *s = fixture_describe(x, name);

        assert_ok(arbiter_spawn_set_module(s, &child_module));
        assert_ok(arbiter_spawn_set_restart(s, restart));
        return s;
}

static void add_with(struct fixture *x, arbiter_monitor *m, const char *name, arbiter_restart restart,
                const arbiter_child_spec *spec) {
        arbiter_spawn *s = describe(x, name, restart);

        assert_ok(arbiter_monitor_add_actor(m, s, spec, NULL));
        arbiter_spawn_unref(s);
}

static void add(struct fixture *x, arbiter_monitor *m, const char *name) {
        add_with(x, m, name, ARBITER_RESTART_PERMANENT, NULL);
}

static arbiter_outcome start(struct fixture *x, arbiter_monitor *m) {
        arbiter_outcome outcome;
        arbiter_future *f;

        assert_ok(arbiter_monitor_start(m, 0, &f));
        fixture_wait(x, f);
        outcome = arbiter_future_get_outcome(f);
        arbiter_future_unref(f);
        return outcome;
}

/* Until the journal says so; then it is empty again. */
static void expect(struct fixture *x, const char *journal) {
        fixture_until_journal(x, journal);
}

static void done(struct fixture *x, int r, arbiter_future **f) {
        assert_ok(r);
        fixture_wait(x, *f);
        if (arbiter_future_get_outcome(*f) != ARBITER_OUTCOME_REPLY)
                fail_msg("%s", arbiter_future_get_error_text(*f));
        *f = arbiter_future_unref(*f);
}

static void end(struct fixture *x, const char *name, arbiter_reason reason) {
        assert_ok(arbiter_send(x->root, name, "End", "x", (int64_t) reason));
}

static void crash(struct fixture *x, const char *name) {
        end(x, name, ARBITER_REASON_WATCHDOG);
}

static const char *state_of(arbiter_monitor *m, const char *name) {
        arbiter_child_info i = { .size = sizeof(i) };
        const char *after = NULL;

        while (arbiter_monitor_next_child(m, after, &i) > 0) {
                if (strcmp(i.name, name) == 0)
                        return i.state;
                after = i.name;
        }
        return "unknown";
}

static void expect_children(arbiter_monitor *m, const char *names) {
        arbiter_child_info i = { .size = sizeof(i) };
        const char *after = NULL;
        char all[64] = "";

        while (arbiter_monitor_next_child(m, after, &i) > 0) {
                strcat(all, i.name);
                after = i.name;
        }
        assert_string_equal(all, names);
}

static void expect_counts(arbiter_monitor *m, unsigned specs, unsigned active, unsigned supervisors,
                unsigned workers) {
        arbiter_child_counts n = { .size = sizeof(n) };

        assert_ok(arbiter_monitor_count_children(m, &n));
        assert_int_equal(n.specs, specs);
        assert_int_equal(n.active, active);
        assert_int_equal(n.supervisors, supervisors);
        assert_int_equal(n.workers, workers);
}

struct verdicts {
        unsigned n[4];
        char text[128];
};

static void on_verdict(arbiter_monitor *m, arbiter_verdict v, const char *culprit, void *userdata) {
        struct verdicts *all = userdata;
        size_t n = strlen(all->text);

        all->n[v]++;
        snprintf(all->text + n, sizeof(all->text) - n, "%s:%s:%s ", arbiter_monitor_get_name(m),
                        arbiter_verdict_to_string(v), culprit ? culprit : "");
}

static void until_verdicts(struct fixture *x, const struct verdicts *v, const char *text) {
        fixture_until_text(x, v->text, text);
}

/* Order and strategies. */

static void test_order(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ONE);
        arbiter_future *f;

        add(x, m, "b");
        add(x, m, "a");
        add(x, m, "c");
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "BAC");
        expect_children(m, "bac");
        expect_counts(m, 3, 3, 0, 3);
        done(x, arbiter_monitor_stop(m, &f), &f);
        expect(x, "cab");
        arbiter_monitor_unref(m);
}

static arbiter_monitor *start_three(struct fixture *x, arbiter_strategy strategy) {
        arbiter_monitor *m = new_tree(x, "tree", strategy);

        add(x, m, "a");
        add(x, m, "b");
        add(x, m, "c");
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "ABC");
        return m;
}

static void test_one_for_one(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_three(x, ARBITER_STRATEGY_ONE_FOR_ONE);

        crash(x, "b");
        expect(x, "bB");
        fixture_until_generation(x, "b", 2);
        assert_int_equal(fixture_do(x, "a", "Generation", 0), 1);
        assert_int_equal(fixture_do(x, "c", "Generation", 0), 1);
        arbiter_monitor_unref(m);
}

static void test_one_for_all(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_three(x, ARBITER_STRATEGY_ONE_FOR_ALL);

        crash(x, "b");
        expect(x, "bcaABC");
        fixture_until_generation(x, "c", 2);
        assert_int_equal(fixture_do(x, "a", "Generation", 0), 2);
        arbiter_monitor_unref(m);
}

static void test_rest_for_one(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_three(x, ARBITER_STRATEGY_REST_FOR_ONE);

        crash(x, "b");
        expect(x, "bcBC");
        fixture_until_generation(x, "c", 2);
        assert_int_equal(fixture_do(x, "a", "Generation", 0), 1);
        arbiter_monitor_unref(m);
}

/* Who is not to be restarted takes nobody with it; a temporary one is forgotten, a transient one known. */
static void test_restart_types(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ALL);

        add(x, m, "a");
        add_with(x, m, "b", ARBITER_RESTART_TRANSIENT, NULL);
        add_with(x, m, "c", ARBITER_RESTART_TEMPORARY, NULL);
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "ABC");
        end(x, "b", ARBITER_REASON_NORMAL);
        crash(x, "c");
        fixture_until_counts(x, m, 2, 1);
        assert_string_equal(state_of(m, "b"), "inactive");
        expect_children(m, "abc"); /* configured: it is there again when the monitor is restarted */
        assert_int_equal(fixture_do(x, "a", "Generation", 0), 1);
        arbiter_monitor_unref(m);
}

/* Starting. */

static void test_start_fails(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ONE);
        arbiter_spawn *s = describe(x, "c", ARBITER_RESTART_PERMANENT);
        struct verdicts v = {};
        arbiter_future *f;

        assert_ok(arbiter_set_verdict_handler(x->arbiter, on_verdict, &v));
        add(x, m, "a");
        add(x, m, "b");
        assert_ok(arbiter_monitor_add_actor(m, s, NULL, &f));
        arbiter_spawn_unref(s);
        atomic_store(&shared->stages, STAGE_FAIL | 'b');
        assert_int_equal(start(x, m), ARBITER_OUTCOME_CALLEE_DIED);
        expect(x, "Aa"); /* and c has never been */
        until_verdicts(x, &v, "tree:start-failed:b ");
        assert_string_equal(state_of(m, "b"), "failed");
        fixture_wait(x, f); /* its turn does not come */
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_CANCELLED);
        arbiter_future_unref(f);

        /* What makes it fail is mended, and somebody restarts it. */
        atomic_store(&shared->stages, 0);
        assert_ok(arbiter_monitor_restart(m, NULL, NULL));
        expect(x, "ABC");
        arbiter_monitor_unref(m);
}

static void test_ignore(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ONE);
        arbiter_spawn *s;
        arbiter_proxy *p;
        arbiter_future *f;

        add(x, m, "a");
        add(x, m, "b");
        add(x, m, "c");
        atomic_store(&shared->stages, STAGE_IGNORE | 'b');
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "AC");
        assert_string_equal(state_of(m, "b"), "inactive");
        expect_counts(m, 3, 2, 0, 3);
        atomic_store(&shared->stages, 0);
        done(x, arbiter_monitor_restart_child(m, "b", &f), &f);
        expect(x, "B");

        atomic_store(&shared->stages, STAGE_IGNORE | 'd');
        s = describe(x, "d", ARBITER_RESTART_PERMANENT);
        assert_ok(arbiter_monitor_add_actor(m, s, NULL, &f));
        arbiter_spawn_unref(s);
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        assert_errno(arbiter_future_get_proxy(f, &p), ENODATA);
        arbiter_future_unref(f);
        arbiter_monitor_unref(m);
}

/* Escalation. */

static arbiter_monitor *nest(struct fixture *x, arbiter_monitor *top, const char *name,
                arbiter_restart restart) {
        arbiter_child_spec spec = { .size = sizeof(spec), .restart = restart };
        arbiter_monitor *m = new_tree(x, name, ARBITER_STRATEGY_ONE_FOR_ONE);

        assert_ok(arbiter_monitor_set_intensity(m, 0, 3600ULL * 1000 * 1000));
        assert_ok(arbiter_monitor_add_monitor(top, m, &spec, NULL));
        assert_ptr_equal(arbiter_monitor_get_parent(m), top);
        return m;
}

/* The inner one gives up at the first failure; the outer one restarts it, and counts that once. */
static void test_escalation(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_REST_FOR_ONE), *inner;
        struct verdicts v = {};

        assert_ok(arbiter_set_verdict_handler(x->arbiter, on_verdict, &v));
        add(x, m, "a");
        inner = nest(x, m, "inner", ARBITER_RESTART_PERMANENT);
        add(x, inner, "b");
        add(x, inner, "c");
        add(x, m, "d");
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "ABCD");
        expect_counts(m, 3, 3, 1, 2);
        expect_counts(inner, 2, 2, 0, 2);
        crash(x, "b");
        expect(x, "bcdBCD");
        until_verdicts(x, &v, "inner:escalated:b ");
        fixture_until_generation(x, "d", 2);
        assert_int_equal(fixture_do(x, "a", "Generation", 0), 1);
        for (unsigned i = 0; i < 2; i++) {
                fixture_until_generation(x, "d", i + 2);
                crash(x, "c");
                expect(x, "cbdBCD");
        }
        fixture_until_generation(x, "d", 4);
        crash(x, "b"); /* the fourth within the period of the outer one: it gives up, too */
        expect(x, "bcda");
        until_verdicts(x, &v,
                        "inner:escalated:b inner:escalated:c inner:escalated:c inner:escalated:b "
                        "tree:escalated:inner ");
        arbiter_monitor_unref(inner);
        arbiter_monitor_unref(m);
}

/* Three levels, and the root: arbiter_run() returns what was asked for. */
static void test_root_gives_up(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ONE), *inner, *innermost;

        assert_ok(arbiter_monitor_set_failure_action(m, ARBITER_FAILURE_EXIT, 99));
        assert_ok(arbiter_monitor_set_intensity(m, 0, 1000 * 1000));
        add(x, m, "a");
        inner = nest(x, m, "inner", ARBITER_RESTART_PERMANENT);
        innermost = nest(x, inner, "innermost", ARBITER_RESTART_PERMANENT);
        add(x, innermost, "b");
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "AB");
        crash(x, "b");
        assert_int_equal(arbiter_run(x->arbiter, false), 99);
        expect(x, "ba");
        arbiter_monitor_unref(innermost);
        arbiter_monitor_unref(inner);
        arbiter_monitor_unref(m);
        x->exit_code = 99;
}

static void test_pool_in_tree(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ALL), *pool;
        arbiter_child_spec spec = { .size = sizeof(spec), .workers = 2 };
        arbiter_spawn *s = describe(x, "w", ARBITER_RESTART_PERMANENT);
        arbiter_future *f;

        add(x, m, "a");
        assert_ok(arbiter_monitor_new(x->arbiter, "p", s, NULL, &pool));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_add_monitor(m, pool, &spec, NULL));
        assert_errno(arbiter_monitor_start(pool, 2, NULL), EBUSY);
        add(x, m, "c");
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "APPC");
        assert_int_equal(fixture_do(x, "p.2", "Generation", 0), 1);
        done(x, arbiter_monitor_scale(pool, 3, &f), &f);
        expect(x, "P");
        crash(x, "a");
        expect(x, "acpppAPPPC");
        fixture_until_generation(x, "c", 2);
        assert_int_equal(fixture_do(x, "p.3", "Generation", 0), 2);
        done(x, arbiter_monitor_stop(m, &f), &f);
        expect(x, "cpppa");
        assert_null(arbiter_find_monitor(x->arbiter, "p"));
        arbiter_monitor_unref(pool);
        arbiter_monitor_unref(m);
}

/* Significant children. */

static void test_auto_shutdown(void **state) {
        struct fixture *x = *state;
        arbiter_child_spec spec = { .size = sizeof(spec), .significant = true };
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ONE);
        struct verdicts v = {};
        arbiter_spawn *s = describe(x, "z", ARBITER_RESTART_PERMANENT);

        assert_ok(arbiter_set_verdict_handler(x->arbiter, on_verdict, &v));
        assert_ok(arbiter_monitor_set_auto_shutdown(m, ARBITER_AUTO_SHUTDOWN_ALL));
        assert_errno(arbiter_monitor_add_actor(m, s, &spec, NULL), EINVAL); /* it never ends for good */
        arbiter_spawn_unref(s);
        add(x, m, "a");
        add_with(x, m, "b", ARBITER_RESTART_TRANSIENT, &spec);
        add_with(x, m, "c", ARBITER_RESTART_TEMPORARY, &spec);
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "ABC");
        end(x, "b", ARBITER_REASON_NORMAL);
        expect(x, "b");
        assert_int_equal(fixture_do(x, "a", "Generation", 0), 1);
        crash(x, "c");
        expect(x, "ca");
        until_verdicts(x, &v, "tree:shutdown: ");
        fixture_until_no_monitor(x, "tree");
        arbiter_monitor_unref(m);
}

/* Operations. */

static void test_operations(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_three(x, ARBITER_STRATEGY_ONE_FOR_ALL);
        arbiter_child_spec before = { .size = sizeof(before), .before = "b" };
        arbiter_spawn *s = describe(x, "d", ARBITER_RESTART_PERMANENT);
        arbiter_future *f;

        done(x, arbiter_monitor_add_actor(m, s, &before, &f), &f);
        assert_errno(arbiter_monitor_add_actor(m, s, NULL, NULL), EEXIST);
        assert_errno(arbiter_spawn_start(s, NULL), EEXIST);
        arbiter_spawn_unref(s);
        expect(x, "D");
        expect_children(m, "adbc");
        assert_ok(arbiter_monitor_move_child(m, "d", "c")); /* nobody is stopped or started */
        expect_children(m, "abdc");
        assert_ok(arbiter_monitor_move_child(m, "d", NULL));
        assert_ok(arbiter_monitor_move_child(m, "d", "d"));
        expect_children(m, "abcd");
        assert_errno(arbiter_monitor_move_child(m, "x", NULL), ENOENT);
        assert_errno(arbiter_monitor_move_child(m, "d", "x"), ENOENT);
        assert_ok(arbiter_monitor_move_child(m, "d", "b"));
        expect_children(m, "adbc");

        /* The verbs concern one child alone, whatever the strategy. */
        done(x, arbiter_monitor_terminate_child(m, "b", &f), &f);
        expect(x, "b");
        assert_string_equal(state_of(m, "b"), "terminated");
        expect_counts(m, 4, 3, 0, 4);
        done(x, arbiter_monitor_restart_child(m, "b", &f), &f);
        expect(x, "B");
        done(x, arbiter_monitor_restart_child(m, "b", &f), &f);
        expect(x, "bB");
        done(x, arbiter_monitor_remove_child(m, "a", &f), &f);
        expect(x, "a");
        expect_children(m, "dbc");
        assert_errno(arbiter_monitor_remove_child(m, "a", NULL), ENOENT);
        assert_errno(arbiter_monitor_restart_child(m, "a", NULL), ENOENT);

        /* What was added at run time is not there when the monitor was restarted. */
        done(x, arbiter_monitor_restart(m, NULL, &f), &f);
        expect(x, "cbdBC");
        expect_children(m, "bc");
        arbiter_monitor_unref(m);
}

static void test_nested_operations(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ONE), *inner;
        arbiter_future *f;

        inner = nest(x, m, "inner", ARBITER_RESTART_PERMANENT);
        add(x, inner, "a");
        add(x, m, "b");
        assert_errno(arbiter_monitor_add_monitor(inner, m, NULL, NULL), ELOOP);
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "AB");
        done(x, arbiter_monitor_terminate_child(m, "inner", &f), &f);
        expect(x, "a");
        assert_string_equal(state_of(m, "inner"), "terminated");
        assert_errno(arbiter_monitor_restart_child(inner, "a", NULL), ESHUTDOWN);
        done(x, arbiter_monitor_restart_child(m, "inner", &f), &f);
        expect(x, "A");
        done(x, arbiter_monitor_remove_child(m, "inner", &f), &f);
        expect(x, "a");
        assert_null(arbiter_find_monitor(x->arbiter, "inner"));
        expect_children(m, "b");
        arbiter_monitor_unref(inner);
        arbiter_monitor_unref(m);
}

static void test_refusals(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ONE), *pool;
        arbiter_child_spec spec = { .size = sizeof(spec), .before = "nobody" };
        arbiter_spawn *s = describe(x, "a", ARBITER_RESTART_TRANSIENT);

        assert_errno(arbiter_monitor_set_strategy(m, ARBITER_STRATEGY_POOL), EINVAL);
        assert_errno(arbiter_monitor_add_actor(m, s, &spec, NULL), ENOENT);
        spec = (arbiter_child_spec){ .size = sizeof(spec), .significant = true };
        assert_errno(arbiter_monitor_add_actor(m, s, &spec, NULL), EINVAL); /* without auto shutdown */
        assert_ok(arbiter_monitor_add_actor(m, s, NULL, NULL));
        assert_errno(arbiter_monitor_set_strategy(m, ARBITER_STRATEGY_ONE_FOR_ALL), EBUSY);
        assert_ok(arbiter_monitor_new(x->arbiter, "pool", s, NULL, &pool));
        assert_errno(arbiter_monitor_add_actor(pool, s, NULL, NULL), EINVAL);
        spec = (arbiter_child_spec){ .size = sizeof(spec), .shutdown_usec = ARBITER_SHUTDOWN_BRUTAL };
        assert_errno(arbiter_monitor_add_monitor(m, pool, &spec, NULL), EINVAL);
        assert_errno(arbiter_monitor_start(m, 1, NULL), EINVAL);
        assert_ok(arbiter_monitor_stop(pool, NULL));
        assert_ok(arbiter_monitor_stop(m, NULL)); /* one that was never started */
        arbiter_spawn_unref(s);
        arbiter_monitor_unref(pool);
        arbiter_monitor_unref(m);
}

/* While its monitor goes down to come up again: whoever waits for it hears of it. */
static void test_added_while_down(void **state) {
        const arbiter_child_spec spec = { .size = sizeof(spec), .configured = true };
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "top", ARBITER_STRATEGY_ONE_FOR_ONE);
        arbiter_future *restarted, *started, *removed;
        arbiter_spawn *s;

        add(x, m, "a");
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "A");
        assert_ok(arbiter_monitor_restart(m, NULL, &restarted));
        s = describe(x, "b", ARBITER_RESTART_PERMANENT);
        assert_ok(arbiter_monitor_add_actor(m, s, &spec, &started));
        arbiter_spawn_unref(s);
        s = describe(x, "c", ARBITER_RESTART_PERMANENT);
        assert_ok(arbiter_monitor_add_actor(m, s, &spec, &removed));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_remove_child(m, "c", NULL));
        fixture_wait(x, removed);
        assert_int_equal(arbiter_future_get_outcome(removed), ARBITER_OUTCOME_CANCELLED);
        arbiter_future_unref(removed);
        done(x, 0, &started);
        done(x, 0, &restarted);
        expect(x, "aAB");
        arbiter_monitor_unref(m);
}

/* It waits for those before it, and is told not to come: it has no place any more by then. */
static void test_terminated_while_waiting(void **state) {
        const arbiter_child_spec spec = { .size = sizeof(spec), .restart = ARBITER_RESTART_TEMPORARY };
        struct fixture *x = *state;
        arbiter_monitor *m = new_tree(x, "top", ARBITER_STRATEGY_ONE_FOR_ONE), *inner;
        arbiter_future *f;

        add(x, m, "a");
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        add(x, m, "b");
        inner = new_tree(x, "inner", ARBITER_STRATEGY_ONE_FOR_ONE);
        assert_ok(arbiter_monitor_add_monitor(m, inner, &spec, NULL));
        arbiter_monitor_unref(inner);
        assert_string_equal(state_of(m, "inner"), "waiting");
        done(x, arbiter_monitor_terminate_child(m, "inner", &f), &f);
        assert_null(arbiter_find_monitor(x->arbiter, "inner"));
        expect_children(m, "ab");
        expect(x, "AB");
        arbiter_monitor_unref(m);
}

/* Killed at once: no hook runs. */
static void test_brutal(void **state) {
        struct fixture *x = *state;
        arbiter_child_spec spec = { .size = sizeof(spec), .shutdown_usec = ARBITER_SHUTDOWN_BRUTAL };
        arbiter_monitor *m = new_tree(x, "tree", ARBITER_STRATEGY_ONE_FOR_ONE);
        arbiter_future *f;

        add(x, m, "a");
        add_with(x, m, "b", ARBITER_RESTART_PERMANENT, &spec);
        assert_int_equal(start(x, m), ARBITER_OUTCOME_REPLY);
        expect(x, "AB");
        done(x, arbiter_monitor_stop(m, &f), &f);
        expect(x, "a");
        arbiter_monitor_unref(m);
}

static const struct fixture_test tests[] = {
        { "start and stop are in order", test_order },
        { "one for one", test_one_for_one },
        { "one for all", test_one_for_all },
        { "rest for one", test_rest_for_one },
        { "restart types", test_restart_types },
        { "a first start that fails", test_start_fails },
        { "ignore", test_ignore },
        { "escalation", test_escalation },
        { "the root gives up", test_root_gives_up },
        { "a pool in a tree", test_pool_in_tree },
        { "auto shutdown", test_auto_shutdown },
        { "operations", test_operations },
        { "operations on a monitor", test_nested_operations },
        { "refusals", test_refusals, ON_ONE },
        { "added while down", test_added_while_down },
        { "terminated while waiting", test_terminated_while_waiting },
        { "brutal shutdown", test_brutal, ON_PROCESS },
};

int main(void) {
        return fixture_run("tree", tests, ELEMENTS(tests));
}
