/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What workers are doing, on real actors: who is busy goes last, and not before it has answered; a worker
 * that has done enough is replaced under load; a pool grows by messages that wait, and shrinks again. And
 * reports that lie. What is decided when is tested in tests/simulation. */

#include <time.h>

#include "actor-fixture.h"
#include "actor/call.h"
#include "arbiter/internal.h"

#define FOREVER (3600ULL * 1000 * 1000)

static uint64_t clock_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

#define until(x, condition)                                                                                 \
        do {                                                                                                \
                uint64_t _end = clock_usec() + GUARD_USEC;                                                  \
                while (!(condition)) {                                                                      \
                        uint64_t _now = clock_usec();                                                       \
                        if (_now >= _end)                                                                   \
                                fail_msg("never: %s", #condition);                                          \
                        assert_ok(sd_event_run((x)->event, _end - _now));                                   \
                }                                                                                           \
        } while (0)

/* Replaced and not parked: no test of these is about failures. */
static arbiter_monitor *make_pool(struct fixture *x) {
        arbiter_spawn *s = fixture_describe(x, "w");
        arbiter_monitor *m;

        assert_ok(arbiter_monitor_new(x->arbiter, "pool", s, NULL, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0));
        assert_ok(arbiter_monitor_set_intensity(m, 1000, 60 * 1000 * 1000));
        return m;
}

static void start_pool(struct fixture *x, arbiter_monitor *m, unsigned n) {
        arbiter_future *f;

        assert_ok(arbiter_monitor_start(m, n, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
}

static struct child *find(struct fixture *x, const char *name) {
        return child_find(x->arbiter, name);
}

static bool is_busy(struct fixture *x, const char *name) {
        const struct child *c = find(x, name);

        return c && c->load.busy;
}

/* A request that pool.N has begun, and does not answer before it is told to; the arbiter knows. */
static arbiter_future *hold(struct fixture *x, const char *name) {
        arbiter_future *f = fixture_ask_start(x, NULL, name, "Hold", FOREVER, 1);

        fixture_entered(x);
        until(x, is_busy(x, name));
        return f;
}

static void assert_answered(struct fixture *x, arbiter_future *f) {
        struct result r = fixture_ask_finish(x, NULL, f);

        assert_outcome(r, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        assert_int_equal(r.value, 42);
}

/* The older one is busy: the idle one goes, at once. The busy one goes when it has answered. */
static void test_drain(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);
        arbiter_future *held, *f;

        assert_ok(arbiter_monitor_set_roll(m, 0, 1, FOREVER));
        start_pool(x, m, 2);
        held = hold(x, "pool.1");
        assert_ok(arbiter_monitor_scale(m, 1, &f));
        fixture_wait(x, f);
        arbiter_future_unref(f);
        assert_null(find(x, "pool.2"));
        assert_true(find(x, "pool.1")->serves);

        assert_ok(arbiter_monitor_scale(m, 0, &f));
        fixture_settle(x);
        assert_true(arbiter_future_is_pending(f));
        assert_false(find(x, "pool.1")->serves);
        assert_int_equal(find(x, "pool.1")->state, ARBITER_STATE_RUNNING);
        /* It can still be talked to, by those who know it by now. */
        assert_int_equal(fixture_do(x, "pool.1", "Held", 0), 1);
        assert_answered(x, held);
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        assert_null(find(x, "pool.1"));
        arbiter_monitor_unref(m);
}

/* Wanted again before it has finished: the same life serves on. */
static void test_serve_again(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);
        arbiter_future *held;
        struct child *c;

        assert_ok(arbiter_monitor_set_roll(m, 0, 1, FOREVER));
        start_pool(x, m, 1);
        held = hold(x, "pool.1");
        c = find(x, "pool.1");
        assert_ok(arbiter_monitor_scale(m, 0, NULL));
        until(x, c->load.report.draining);
        assert_false(c->serves);
        assert_ok(arbiter_monitor_scale(m, 1, NULL));
        assert_true(c->serves);
        until(x, !c->load.report.draining);
        assert_int_equal(fixture_do(x, "pool.1", "Held", 0), 1);
        assert_answered(x, held);
        until(x, !is_busy(x, "pool.1"));
        assert_ptr_equal(find(x, "pool.1"), c);
        assert_int_equal(fixture_do(x, "pool.1", "Number", 7), 1);
        arbiter_monitor_unref(m);
}

/* One that never finishes is stopped all the same. */
static void test_patience_ends(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);
        arbiter_future *held, *f;
        struct result r;

        assert_ok(arbiter_monitor_set_roll(m, 0, 1, 300 * 1000));
        start_pool(x, m, 1);
        held = hold(x, "pool.1");
        assert_ok(arbiter_monitor_scale(m, 0, &f));
        fixture_wait(x, f);
        arbiter_future_unref(f);
        r = fixture_ask_finish(x, NULL, held);
        assert_int_not_equal(r.outcome, ARBITER_OUTCOME_REPLY);
        assert_int_equal(r.executed, ARBITER_EXECUTED_MAYBE);
        arbiter_monitor_unref(m);
}

/* Told to stop while it has begun something, with nobody to drain it: the answer comes first. */
static void test_stop_answers(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p = fixture_spawn(x, "a", NULL);
        arbiter_future *held = fixture_ask_start(x, NULL, "a", "Hold", FOREVER, 1), *f;

        fixture_entered(x);
        assert_ok(arbiter_call_async(x->root, &f, "a", "Held", 0, "x", (int64_t)2)); /* a link is there */
        fixture_wait(x, f);
        arbiter_future_unref(f);
        assert_ok(arbiter_send(x->root, "a", "stop", ""));
        assert_ok(arbiter_send(x->root, "a", "Held", "x", (int64_t)0));
        assert_answered(x, held);
        fixture_until_gone(x, p);
        arbiter_proxy_unref(p);
}

/* The arbiter believes it idle, as it has not heard better yet: it has its time all the same. */
static void test_stop_before_report(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);
        arbiter_future *held, *f;
        struct child *c;

        assert_ok(arbiter_monitor_set_roll(m, 0, 1, FOREVER));
        start_pool(x, m, 1);
        held = fixture_ask_start(x, NULL, "pool.1", "Hold", FOREVER, 1);
        fixture_entered(x);
        c = find(x, "pool.1");
        c->load.busy = false;
        (void)supervise_handle(m->set.supervise,
                        &(supervise_event){.type = SUPERVISE_LOAD,
                                        .slot = 1,
                                        .generation = c->set_generation},
                        now_nsec());
        assert_ok(arbiter_monitor_scale(m, 0, &f));
        assert_int_equal(c->state, ARBITER_STATE_STOPPING);
        until(x, c->stop_timer.node.key > clock_usec() + FOREVER / 2);
        assert_ok(arbiter_send(x->root, "pool.1", "Held", "x", (int64_t)0));
        assert_answered(x, held);
        fixture_wait(x, f);
        arbiter_future_unref(f);
        arbiter_monitor_unref(m);
}

/* Requests without a pause through two workers that are replaced again and again. */
static void test_requests_max(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);
        uint64_t n = 0;

        assert_ok(arbiter_monitor_set_roll(m, 0, 1, FOREVER));
        assert_ok(arbiter_monitor_set_recycling(m, 200, 0, 0, 50));
        start_pool(x, m, 2);
        while (x->log_replaced < 4) {
                struct result r;

                r = fixture_ask(x, NULL, n % 2 ? "pool.1" : "pool.2", "Work", FOREVER, (int64_t)n);
                if (r.executed == ARBITER_EXECUTED_NO) {
                        fixture_settle(x);
                        continue; /* it is just being replaced: who asks for this one, and no other, waits */
                }
                assert_outcome(r, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
                assert_int_equal(r.value, (int64_t)n + 1);
                n++;
        }
        assert_true(n >= 4 * 100);
        assert_int_equal(shared->ran, n);
        arbiter_monitor_unref(m);
}

/* The same by the pool's name: not one of them fails, whoever leaves. */
static void test_requests_routed(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);
        arbiter_future *waiting[16];
        uint64_t n = 0;

        assert_ok(arbiter_monitor_set_roll(m, 0, 1, FOREVER));
        assert_ok(arbiter_monitor_set_recycling(m, 200, 0, 0, 50));
        start_pool(x, m, 3);
        for (; n < ELEMENTS(waiting); n++)
                waiting[n] = fixture_ask_start(x, NULL, "pool", "Work", FOREVER, (int64_t)n);
        for (; x->log_replaced < 4; n++) {
                arbiter_future **f = &waiting[n % ELEMENTS(waiting)];
                struct result r = fixture_ask_finish(x, NULL, *f);

                assert_outcome(r, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
                *f = fixture_ask_start(x, NULL, "pool", "Work", FOREVER, (int64_t)n);
        }
        for (size_t i = 0; i < ELEMENTS(waiting); i++)
                assert_outcome(fixture_ask_finish(x, NULL, waiting[i]), ARBITER_OUTCOME_REPLY,
                                ARBITER_EXECUTED_YES);
        assert_int_equal(shared->ran, n);
        arbiter_monitor_unref(m);
}

/* Of two, each with one request under way all the time and more behind it, become four; when there is
 * nothing to do any more, one remains. */
static void test_autoscale(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);
        arbiter_future *held[8];
        uint64_t load;

        assert_ok(arbiter_monitor_set_autoscale(m, 1, 4, 80, 20, 400 * 1000, 200 * 1000));
        start_pool(x, m, 2);
        for (unsigned i = 0; i < 8; i++) {
                held[i] = fixture_ask_start(x, NULL, i % 2 ? "pool.1" : "pool.2", "Hold", FOREVER, 1);
                fixture_entered(x);
        }
        until(x, m->workers == 4);
        until(x, m->load.percent == 800); /* of a look after the last of them was begun */
        assert_ok(arbiter_monitor_get_load(m, &load));
        assert_int_equal(load, 800);
        assert_int_equal(fixture_do(x, "pool.1", "Held", 0) + fixture_do(x, "pool.2", "Held", 0), 8);
        for (unsigned i = 0; i < 8; i++)
                assert_answered(x, held[i]);
        until(x, m->workers == 1);
        until(x, m->load.percent == 0);
        assert_ok(arbiter_monitor_get_load(m, &load));
        assert_int_equal(load, 0);
        arbiter_monitor_unref(m);
}

static int on_time(sd_event_source *s, uint64_t usec, void *userdata) {
        *(bool *) userdata = true;
        return 0;
}

/* Its handlers block, and while one runs nothing is read: what waits in the socket is seen all the same,
 * from the second on. */
static void test_blocking(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);
        _cleanup_(sd_event_source_unrefp) sd_event_source *timer = NULL;
        arbiter_future *f[8];
        bool is_long = false;

        assert_ok(arbiter_monitor_set_autoscale(m, 1, 2, 500, 20, 100 * 1000, FOREVER));
        start_pool(x, m, 1);
        for (unsigned i = 0; i < ELEMENTS(f); i++)
                f[i] = fixture_ask_start(x, NULL, "pool.1", "Block", FOREVER, i);
        fixture_entered(x);
        assert_ok(sd_event_add_time_relative(x->event, &timer, CLOCK_MONOTONIC, 100 * 1000, 0, on_time,
                                             &is_long));
        until(x, is_long);
        fixture_release(1);
        fixture_entered(x);
        until(x, m->workers == 2); /* six wait, one is begun */
        fixture_release(ELEMENTS(f) - 1);
        for (unsigned i = 0; i < ELEMENTS(f); i++) {
                struct result r = fixture_ask_finish(x, NULL, f[i]);

                assert_outcome(r, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        }
        arbiter_monitor_unref(m);
}

/* While it runs: bounds that are narrower than it is, and none. */
static void test_bounds(void **state) {
        struct fixture *x = *state;
        arbiter_monitor *m = make_pool(x);

        assert_errno(arbiter_monitor_set_autoscale(m, 0, 2, 80, 20, 1, 1), EINVAL);
        assert_errno(arbiter_monitor_set_autoscale(m, 3, 2, 80, 20, 1, 1), EINVAL);
        assert_errno(arbiter_monitor_set_autoscale(m, 1, 2, 20, 20, 1, 1), EINVAL);
        assert_errno(arbiter_monitor_set_recycling(m, 0, 0, 0, 101), EINVAL);
        start_pool(x, m, 3);
        assert_ok(arbiter_monitor_set_autoscale(m, 1, 2, 80, 20, FOREVER, FOREVER));
        until(x, !find(x, "pool.1"));
        assert_int_equal(m->workers, 2);
        assert_ok(arbiter_monitor_scale(m, 4, NULL)); /* an operator may */
        until(x, monitor_is_settled(m));
        assert_int_equal(m->workers, 4);
        assert_ok(arbiter_monitor_set_autoscale(m, 5, 6, 80, 20, FOREVER, FOREVER));
        until(x, monitor_is_settled(m));
        assert_int_equal(m->workers, 5);
        assert_ok(arbiter_monitor_set_autoscale(m, 0, 0, 0, 0, 0, 0));
        assert_ok(arbiter_monitor_scale(m, 1, NULL));
        until(x, monitor_is_settled(m));
        arbiter_monitor_unref(m);
}

/* An arbiter that is given up as it is: no timer of its pools is left in it. */
static void test_not_stopped(void **state) {
        /* It owns nothing: its exit hook does not run. */
        static const arbiter_module idle_module = { ARBITER_MODULE_HEAD, .name = "idle" };
        struct fixture *x = *state;
        arbiter_monitor *m;
        arbiter_future *f;
        arbiter_spawn *s;
        arbiter *a;

        assert_ok(arbiter_new(NULL, NULL, &a));
        assert_ok(arbiter_start(a));
        assert_ok(arbiter_spawn_new(a, "w", &s));
        assert_ok(arbiter_spawn_set_module(s, &idle_module));
        assert_ok(arbiter_spawn_set_concurrency(s, x->kind));
        if (x->kind == ARBITER_CONCURRENCY_PROCESS && geteuid() == 0)
                assert_ok(arbiter_spawn_set_user(s, "root"));
        assert_ok(arbiter_monitor_new(a, "other", s, NULL, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_autoscale(m, 1, 2, 80, 20, FOREVER, FOREVER));
        assert_ok(arbiter_monitor_set_recycling(m, 0, 0, UINT64_MAX / 2, 0));
        assert_ok(arbiter_monitor_start(m, 1, &f));
        assert_ok(arbiter_future_wait(f, GUARD_USEC));
        arbiter_future_unref(f);
        assert_true(heap_node_is_linked(&m->load.look_timer.node));
        assert_true(heap_node_is_linked(&m->load.memory_timer.node));
        arbiter_unref(a);
        assert_false(heap_node_is_linked(&m->load.look_timer.node));
        assert_false(heap_node_is_linked(&m->load.memory_timer.node));
        arbiter_monitor_unref(m);
}

static const struct fixture_test tests[] = {
                {"drain", test_drain},
                {"serve again", test_serve_again},
                {"patience ends", test_patience_ends},
                {"stop answers", test_stop_answers},
                {"stop before report", test_stop_before_report},
                {"requests max", test_requests_max},
                {"requests routed", test_requests_routed},
                {"autoscale", test_autoscale},
                {"blocking", test_blocking, ON_THREAD | ON_PROCESS},
                {"bounds", test_bounds},
                {"not stopped", test_not_stopped},
};

int main(void) {
        return fixture_run("load", tests, ELEMENTS(tests));
}
