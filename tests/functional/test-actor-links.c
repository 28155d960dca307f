/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Direct links: made once for each pair, whoever begins; kept in a bounded set; closed in order, under load
 * too; and FIFO for each sender across all of it. */

#include "actor-fixture.h"

static arbiter_future *burst(struct fixture *x, const char *from, const char *to, uint32_t sender,
                uint64_t first, uint32_t n) {
        arbiter_future *f;

        assert_ok(arbiter_call_async(
                        x->root, &f, from, "Burst", GUARD_USEC, "sutuu", to, sender, first, n, (uint32_t)0));
        return f;
}

static void finish(struct fixture *x, arbiter_future *f) {
        fixture_wait(x, f);
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                fail_msg("%s", arbiter_future_get_error_text(f));
        arbiter_future_unref(f);
}

/* Two call each other at the same moment, when there is no link yet. */
static void test_simultaneous(void **state) {
        struct fixture *x = *state;

        for (unsigned i = 0; i < 40; i++) {
                arbiter_proxy *p[2];
                arbiter_future *f[2];

                p[0] = fixture_spawn(x, "a", NULL);
                p[1] = fixture_spawn(x, "b", NULL);
                f[0] = fixture_ask_start(x, "a", "b", "Work", 0, 1);
                f[1] = fixture_ask_start(x, "b", "a", "Work", 0, 2);
                assert_int_equal(fixture_ask_finish(x, "a", f[0]).value, 2);
                assert_int_equal(fixture_ask_finish(x, "b", f[1]).value, 3);
                finish(x, burst(x, "a", "b", 0, 1, 10));
                finish(x, burst(x, "b", "a", 1, 1, 10));
                assert_int_equal(fixture_ask(x, "a", "b", "Work", 0, 1).value, 2); /* behind the casts */
                assert_int_equal(fixture_ask(x, "b", "a", "Work", 0, 1).value, 2);
                assert_int_equal(fixture_do(x, "a", "Number", 0), 1);
                assert_int_equal(fixture_do(x, "b", "Number", 0), 1);
                for (unsigned k = 0; k < 2; k++) {
                        fixture_stop(x, k ? "b" : "a");
                        fixture_until_gone(x, p[k]);
                        arbiter_proxy_unref(p[k]);
                }
        }
        assert_int_equal(atomic_load(&shared->order_errors), 0);
        assert_int_equal(atomic_load(&shared->received), 40 * 20);
}

static void test_self(void **state) {
        struct fixture *x = *state;

        arbiter_proxy_unref(fixture_spawn(x, "a", NULL));
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(fixture_ask(x, "a", "a", "Work", 0, 1).value, 2);
        finish(x, burst(x, "a", "a", 0, 1, 100));
        assert_int_equal(fixture_ask(x, "a", "a", "Work", 0, 1).value, 2);
        assert_int_equal(atomic_load(&shared->received), 100);
        assert_int_equal(atomic_load(&shared->order_errors), 0);
        assert_int_equal(fixture_do(x, "a", "Number", 0), 0); /* no link to anybody */
}

/* Casts, before there is a link and while it is closed again and again: one FIFO, nothing lost. */
static void test_order_across_closing(void **state) {
        struct fixture *x = *state;
        const char *names[] = {"a", "b", "c"};
        uint64_t next[3][3] = {}, sent = 0;
        arbiter_future *f[6];

        for (unsigned i = 0; i < 3; i++) {
                arbiter_proxy_unref(fixture_spawn(x, names[i], NULL));
                (void)fixture_do(x, names[i], "LinksMax",
                                1); /* two siblings, one link: each use closes the other */
        }
        for (unsigned round = 0; round < 200; round++) {
                unsigned n = 0;

                for (unsigned from = 0; from < 3; from++)
                        for (unsigned step = 1; step < 3; step++) {
                                unsigned to = (from + step) % 3;

                                if (round % 3 == step)
                                        continue;
                                f[n++] = burst(x, names[from], names[to], 10 * from + to, next[from][to] + 1,
                                                7);
                                next[from][to] += 7;
                                sent += 7;
                        }
                if (round % 2 == 0)
                        for (unsigned i = 0; i < n; i++)
                                finish(x, f[i]);
                for (unsigned from = 0; from < 3; from++)
                        assert_outcome(fixture_ask(x, names[from], names[(from + 1 + round % 2) % 3], "Work",
                                                       0, 1),
                                        ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
                if (round % 2 == 1)
                        for (unsigned i = 0; i < n; i++)
                                finish(x, f[i]);
        }
        fixture_until(x, &shared->received, sent);
        assert_int_equal(atomic_load(&shared->received), sent);
        assert_int_equal(atomic_load(&shared->order_errors), 0);
}

/* The bound holds; and requests that are outstanding keep their link. */
static void test_lru(void **state) {
        struct fixture *x = *state;
        arbiter_future *held[4];
        char name[16];

        arbiter_proxy_unref(fixture_spawn(x, "a", NULL));
        (void)fixture_do(x, "a", "LinksMax", 4);
        for (unsigned i = 0; i < 16; i++) {
                snprintf(name, sizeof(name), "s%u", i);
                arbiter_proxy_unref(fixture_spawn(x, name, NULL));
        }
        for (unsigned i = 0; i < 4; i++) {
                snprintf(name, sizeof(name), "s%u", i);
                held[i] = fixture_ask_start(x, "a", name, "Hold", GUARD_USEC, 1);
                fixture_entered(x);
        }
        for (unsigned round = 0; round < 3; round++)
                for (unsigned i = 4; i < 16; i++) {
                        snprintf(name, sizeof(name), "s%u", i);
                        assert_int_equal(fixture_ask(x, "a", name, "Work", 0, 1).value, 2);
                }
        for (unsigned i = 0; i < 4; i++) {
                snprintf(name, sizeof(name), "s%u", i);
                assert_int_equal(fixture_do(x, name, "Held", 0), 1);
                assert_int_equal(fixture_ask_finish(x, "a", held[i]).value, 42);
        }
        for (unsigned i = 0; i < 8; i++) { /* each turn closes what is idle and too much */
                (void)fixture_do(x, "a", "Work", 1);
                fixture_settle(x);
        }
        assert_in_range(fixture_do(x, "a", "Number", 0), 1, 5);
}

/* Everybody talks to everybody. */
static void test_mesh(void **state) {
        struct fixture *x = *state;
        unsigned n = x->kind == ARBITER_CONCURRENCY_INLINE   ? 200
                     : x->kind == ARBITER_CONCURRENCY_THREAD ? 40
                                                             : 30;
        arbiter_future **f = calloc(n * n, sizeof(*f));
        char from[16], to[16];
        size_t k = 0;

        for (unsigned i = 0; i < n; i++) {
                snprintf(from, sizeof(from), "m%u", i);
                arbiter_proxy_unref(fixture_spawn(x, from, NULL));
        }
        for (unsigned i = 0; i < n; i++)
                for (unsigned j = 0; j < n; j++) {
                        snprintf(from, sizeof(from), "m%u", i);
                        snprintf(to, sizeof(to), "m%u", j);
                        f[k++] = fixture_ask_start(x, from, to, "Work", GUARD_USEC, j);
                }
        k = 0;
        for (unsigned i = 0; i < n; i++)
                for (unsigned j = 0; j < n; j++) {
                        snprintf(from, sizeof(from), "m%u", i);
                        struct result q = fixture_ask_finish(x, from, f[k++]);

                        assert_outcome(q, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
                        assert_int_equal(q.value, j + 1);
                }
        assert_int_equal(atomic_load(&shared->ran), (uint64_t)n * n);
        assert_int_equal(fixture_do(x, "m0", "Number", 0), n - 1);
        free(f);
}

static const struct fixture_test tests[] = {
                {"simultaneous connects", test_simultaneous},
                {"self", test_self},
                {"order across closing", test_order_across_closing},
                {"least recently used", test_lru},
                {"full mesh", test_mesh},
};

int main(void) {
        return fixture_run("links", tests, ELEMENTS(tests));
}
