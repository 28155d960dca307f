/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rolls of a pool, on real actors: from one definition to another, halted by one that does not start, turned
 * back, overtaken by a third; and what of a policy may change while it runs. What is decided when is tested
 * in tests/simulation. */

#include <limits.h>

#include "actor-fixture.h"
#include "basic/macro.h"

enum { WORKERS = 3 };

static arbiter_spawn *describe(struct fixture *x, const char *version, const char *start) {
        arbiter_spawn *s = fixture_describe(x, "w");

        assert_ok(arbiter_spawn_set_parameter(s, "version", version));
        if (start)
                assert_ok(arbiter_spawn_set_parameter(s, "start", start));
        return s;
}

static arbiter_monitor *start_pool(struct fixture *x, unsigned surge, unsigned unavailable) {
        arbiter_spawn *s = describe(x, "1", NULL);
        arbiter_monitor *m;
        arbiter_future *f;

        assert_ok(arbiter_monitor_new(x->arbiter, "pool", s, NULL, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_roll(m, surge, unavailable, 0));
        assert_ok(arbiter_monitor_start(m, WORKERS, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        return m;
}

static arbiter_future *roll(struct fixture *x, arbiter_monitor *m, const char *version, const char *start) {
        arbiter_spawn *s = describe(x, version, start);
        arbiter_future *f;

        assert_ok(arbiter_monitor_restart(m, s, &f));
        arbiter_spawn_unref(s);
        return f;
}

static struct arbiter_roll look(arbiter_monitor *m) {
        arbiter_roll r = { .size = sizeof(r) };

        assert_ok(arbiter_monitor_get_roll(m, &r));
        return r;
}

/* Waits for it; says how few served meanwhile, and how many there were at most. */
static arbiter_outcome watch(struct fixture *x, arbiter_future *f, unsigned *least, unsigned *most) {
        arbiter_outcome outcome;

        *least = UINT_MAX;
        *most = 0;
        while (arbiter_future_is_pending(f)) {
                arbiter_status s = { .size = sizeof(s) };

                assert_ok(arbiter_get_status(x->arbiter, &s));
                *least = MIN(*least, s.running);
                *most = MAX(*most, s.running + s.starting + s.stopping);
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        }
        outcome = arbiter_future_get_outcome(f);
        arbiter_future_unref(f);
        return outcome;
}

static unsigned n_running(struct fixture *x) {
        arbiter_status s = { .size = sizeof(s) };

        assert_ok(arbiter_get_status(x->arbiter, &s));
        return s.running;
}

/* How many workers have which version. */
static unsigned count(struct fixture *x, arbiter_monitor *m, const char *version) {
        unsigned n = 0;

        for (unsigned i = 1; i <= 2 * WORKERS; i++) {
                arbiter_future *f;
                const char *value;
                char name[16];

                (void) snprintf(name, sizeof(name), "pool.%u", i);
                if (arbiter_monitor_has_worker(m, i) == 0)
                        continue;
                assert_ok(arbiter_call_async(x->root, &f, name, "Parameter", 0, "s", "version"));
                fixture_wait(x, f);
                if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY) {
                        assert_true(arbiter_future_get(f, "s", &value) > 0);
                        n += strcmp(value, version) == 0;
                }
                arbiter_future_unref(f);
        }
        return n;
}

static void test_done(void **state) {
        static const struct {
                unsigned surge, unavailable, least, most;
        } cases[] = {
                { 0, 1, WORKERS - 1, WORKERS },
                { 1, 0, WORKERS, WORKERS + 1 },
                { 0, WORKERS, 0, WORKERS },
                { ARBITER_PERCENT(50), 0, WORKERS, WORKERS + 2 },
                { ARBITER_PERCENT(0), ARBITER_PERCENT(20), WORKERS - 1, WORKERS },
        };
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 0, 1);
        unsigned others = n_running(x) - WORKERS, least, most;
        char version[16];

        assert_int_equal(look(m).state, ARBITER_ROLL_NONE);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                (void) snprintf(version, sizeof(version), "%zu", i + 2);
                assert_ok(arbiter_monitor_set_roll(m, cases[i].surge, cases[i].unavailable, 0));
                assert_int_equal(watch(x, roll(x, m, version, NULL), &least, &most), ARBITER_OUTCOME_REPLY);
                assert_int_equal(count(x, m, version), WORKERS);
                assert_int_equal(look(m).state, ARBITER_ROLL_DONE);
                assert_int_equal(look(m).left, 0);
                if (x->kind != ARBITER_CONCURRENCY_PROCESS)
                        continue; /* hosts count, too; and what is inline starts and stops at once */
                assert_in_range(least, cases[i].least + others, WORKERS + others);
                assert_in_range(most, WORKERS + others, cases[i].most + others);
        }
        arbiter_monitor_unref(m);
}

/* The old ones go on serving; who is told why; and it can be turned back. */
static void test_halted(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 1, 0);
        arbiter_future *f;
        arbiter_roll r;

        assert_errno(arbiter_monitor_abort_roll(m, NULL), ENOENT);
        f = roll(x, m, "2", "fail");
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_CALLEE_DIED);
        assert_non_null(strstr(arbiter_future_get_error_text(f), "halted: pool.4 fails"));
        assert_non_null(strstr(arbiter_future_get_error_text(f), "3 of 3 workers serve"));
        arbiter_future_unref(f);
        r = look(m);
        assert_int_equal(r.state, ARBITER_ROLL_HALTED);
        assert_int_equal(r.failing, 4);
        assert_int_equal(r.reason, ARBITER_REASON_HANDSHAKE);
        assert_int_equal(r.replaced, 0);
        assert_int_equal(r.left, WORKERS);
        assert_int_equal(count(x, m, "1"), WORKERS);
        for (unsigned i = 1; i <= WORKERS + 1; i++)
                assert_int_equal(arbiter_monitor_is_outdated(m, i), i <= WORKERS);
        assert_errno(arbiter_monitor_is_outdated(m, WORKERS + 2), ENOENT);
        assert_errno(arbiter_monitor_is_outdated(NULL, 1), EINVAL);

        assert_ok(arbiter_monitor_abort_roll(m, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        assert_int_equal(look(m).state, ARBITER_ROLL_ABORTED);
        assert_int_equal(count(x, m, "1"), WORKERS);

        /* what is restarted now is of the definition that runs, and not of the one that was given up */
        assert_ok(arbiter_monitor_restart(m, NULL, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        assert_int_equal(count(x, m, "1"), WORKERS);
        arbiter_monitor_unref(m);
}

static void test_third(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 0, 1);
        arbiter_future *f, *third;

        f = roll(x, m, "2", "fail");
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_CALLEE_DIED);
        arbiter_future_unref(f);
        assert_int_equal(count(x, m, "1"), WORKERS - 1);
        third = roll(x, m, "3", NULL);
        fixture_wait(x, third);
        assert_int_equal(arbiter_future_get_outcome(third), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(third);
        assert_int_equal(count(x, m, "3"), WORKERS);

        /* one that overtakes a good one: who waits for that is told how it ended */
        f = roll(x, m, "4", NULL);
        third = roll(x, m, "5", NULL);
        fixture_wait(x, third);
        assert_int_equal(arbiter_future_get_outcome(third), ARBITER_OUTCOME_REPLY);
        assert_false(arbiter_future_is_pending(f));
        arbiter_future_unref(third);
        arbiter_future_unref(f);
        assert_int_equal(count(x, m, "5"), WORKERS);
        arbiter_monitor_unref(m);
}

/* It has waited for its turn, and another one has taken it: it is told so, and not how that one ends. */
static void test_overtaken(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 0, 1);
        arbiter_future *second, *third, *fourth;

        second = roll(x, m, "2", NULL);
        while (look(m).replaced == 0)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        third = roll(x, m, "3", NULL);
        fourth = roll(x, m, "4", NULL);
        fixture_wait(x, third);
        assert_int_equal(arbiter_future_get_outcome(third), ARBITER_OUTCOME_CANCELLED);
        assert_true(arbiter_future_is_pending(fourth));
        fixture_wait(x, fourth);
        assert_int_equal(arbiter_future_get_outcome(fourth), ARBITER_OUTCOME_REPLY);
        assert_int_equal(count(x, m, "4"), WORKERS);
        arbiter_future_unref(second);
        arbiter_future_unref(third);
        arbiter_future_unref(fourth);
        arbiter_monitor_unref(m);
}

/* All are to be replaced, while another definition waits for its turn: by that one, and not by the one
 * that is just being rolled out. */
static void test_restart_while_one_waits(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 0, 1);
        arbiter_future *second, *third, *f;

        second = roll(x, m, "2", NULL);
        while (look(m).replaced == 0)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        third = roll(x, m, "3", NULL);
        assert_ok(arbiter_monitor_restart(m, NULL, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        fixture_wait(x, third);
        assert_int_equal(arbiter_future_get_outcome(third), ARBITER_OUTCOME_REPLY);
        assert_int_equal(count(x, m, "3"), WORKERS);
        arbiter_future_unref(second);
        arbiter_future_unref(third);
        arbiter_future_unref(f);
        arbiter_monitor_unref(m);
}

/* Nobody has to be replaced, and nobody is left behind; and what is told to stop does not come back, also
 * when all of its workers are down and it is not. */
static void test_nobody(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 0, 1);
        arbiter_future *f;

        assert_ok(arbiter_monitor_scale(m, 0, &f));
        fixture_wait(x, f);
        arbiter_future_unref(f);
        assert_ok(arbiter_monitor_restart(m, NULL, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);

        assert_ok(arbiter_monitor_scale(m, WORKERS, &f));
        fixture_wait(x, f);
        arbiter_future_unref(f);
        assert_ok(arbiter_monitor_stop(m, &f));
        while (arbiter_future_is_pending(f)) {
                assert_errno(arbiter_monitor_restart(m, NULL, NULL), ESHUTDOWN);
                assert_errno(arbiter_monitor_scale(m, 1, NULL), ESHUTDOWN);
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        }
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        arbiter_monitor_unref(m);
}

/* A definition that is put back is the one before, and the workers that it has still are its own. */
static void test_put_back(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 0, 1);
        arbiter_proxy *before[WORKERS + 1] = {}, *after;
        unsigned kept = 0;
        arbiter_future *f;
        char name[16];

        for (unsigned i = 1; i <= WORKERS; i++) {
                (void) snprintf(name, sizeof(name), "pool.%u", i);
                before[i] = fixture_proxy_of(x, name);
        }
        f = roll(x, m, "2", "fail");
        fixture_wait(x, f);
        arbiter_future_unref(f);
        f = roll(x, m, "1", NULL);
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        assert_int_equal(look(m).state, ARBITER_ROLL_ABORTED);
        assert_int_equal(count(x, m, "1"), WORKERS);
        for (unsigned i = 1; i <= WORKERS; i++) {
                (void) snprintf(name, sizeof(name), "pool.%u", i);
                after = fixture_proxy_of(x, name);
                kept += strcmp(arbiter_proxy_get_aid(after), arbiter_proxy_get_aid(before[i])) == 0;
                arbiter_proxy_unref(after);
                arbiter_proxy_unref(before[i]);
        }
        assert_int_equal(kept, WORKERS - 1);
        arbiter_monitor_unref(m);
}

/* Nobody is touched by it. */
static void test_policy(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = start_pool(x, 0, 1);
        arbiter_proxy *before = fixture_proxy_of(x, "pool.1"), *after;

        assert_ok(arbiter_monitor_set_intensity(m, 50, 1000 * 1000));
        assert_ok(arbiter_monitor_set_backoff(m, 1000, 2000, 0, 0, 0));
        assert_ok(arbiter_monitor_set_progress_deadline(m, 1000));
        assert_ok(arbiter_monitor_set_progress_deadline(m, 0));
        assert_ok(arbiter_monitor_set_progress_deadline(m, UINT64_MAX));
        assert_errno(arbiter_monitor_set_progress_deadline(NULL, 1000), EINVAL);
        assert_int_equal(look(m).waiting, 0);
        assert_ok(arbiter_monitor_set_breaker(m, 100, 1000 * 1000, 1000, 2000));
        assert_ok(arbiter_monitor_set_roll(m, 2, 2, 1000 * 1000));
        assert_errno(arbiter_monitor_set_roll(m, 0, 0, 0), EINVAL);
        assert_errno(arbiter_monitor_set_roll(m, ARBITER_PERCENT(0), 0, 0), EINVAL);
        assert_errno(arbiter_monitor_set_roll(m, ARBITER_PERCENT(101), 0, 0), EINVAL);
        assert_errno(arbiter_monitor_set_roll(m, 1025, 0, 0), EINVAL);
        assert_errno(arbiter_monitor_set_roll(NULL, 1, 0, 0), EINVAL);
        assert_errno(arbiter_monitor_set_breaker(m, 1, 0, 1, 1), EINVAL);
        assert_errno(arbiter_monitor_set_breaker(m, 1, 1, 2, 1), EINVAL);
        fixture_settle(x);
        after = fixture_proxy_of(x, "pool.1");
        assert_string_equal(arbiter_proxy_get_aid(after), arbiter_proxy_get_aid(before));
        arbiter_proxy_unref(before);
        arbiter_proxy_unref(after);
        arbiter_monitor_unref(m);
}

static void test_names(void **state) {
        static const char *const names[] = { "none", "going", "halted", "turning-back", "done", "aborted" };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                assert_string_equal(arbiter_roll_state_to_string((arbiter_roll_state) i), names[i]);
        assert_null(arbiter_roll_state_to_string((arbiter_roll_state) ELEMENTS(names)));
}

static const struct fixture_test tests[] = {
        { "done", test_done },
        { "halted", test_halted },
        { "third", test_third },
        { "overtaken", test_overtaken },
        { "restart while one waits", test_restart_while_one_waits },
        { "nobody", test_nobody },
        { "put back", test_put_back },
        { "policy", test_policy, ON_ONE },
        { "names", test_names, ON_ONE },
};

int main(void) {
        return fixture_run("rolls", tests, ELEMENTS(tests));
}
