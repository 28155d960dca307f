/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bounded mailbox: under each policy, executed + refused + dropped = sent, exactly; and the system lane
 * passes. */

#include "actor-fixture.h"

static arbiter_proxy *spawn_small(struct fixture *x, const char *name, uint64_t messages, uint64_t bytes,
                arbiter_mailbox_policy policy) {
        arbiter_spawn *s = fixture_describe(x, name);

        assert_ok(arbiter_spawn_set_mailbox(s, messages, bytes, policy));
        return fixture_start(x, s);
}

struct counts {
        unsigned replies, overload, expired, other;
};

static struct counts flood(struct fixture *x, unsigned n, uint64_t timeout, bool release_first) {
        arbiter_future **f = calloc(n, sizeof(*f)), *blocker;
        struct counts c = {};

        blocker = fixture_ask_start(x, "caller", "callee", "Exclusive", GUARD_USEC, 1);
        fixture_entered(x);
        for (unsigned i = 0; i < n; i++)
                f[i] = fixture_ask_start(x, "caller", "callee", "Work", timeout, 1);
        (void)fixture_do(x, "caller", "Work", 0);
        if (release_first)
                assert_int_equal(fixture_do(x, "callee", "Held", 0), 1);
        for (unsigned i = 0; i < n; i++) {
                struct result q = fixture_ask_finish(x, "caller", f[i]);

                if (q.outcome == ARBITER_OUTCOME_REPLY)
                        c.replies++;
                else if (q.outcome == ARBITER_OUTCOME_OVERLOAD)
                        c.overload++;
                else if (q.outcome == ARBITER_OUTCOME_EXPIRED)
                        c.expired++;
                else
                        c.other++;
                assert_int_equal(q.executed, q.outcome == ARBITER_OUTCOME_REPLY ? ARBITER_EXECUTED_YES
                                                                                : ARBITER_EXECUTED_NO);
        }
        if (!release_first)
                assert_int_equal(fixture_do(x, "callee", "Held", 0), 1);
        assert_int_equal(fixture_ask_finish(x, "caller", blocker).value, 42);
        free(f);
        return c;
}

static void test_requests(void **state) {
        struct fixture *x = *state;
        const arbiter_mailbox_policy policies[] = {
                        ARBITER_MAILBOX_REJECT,
                        ARBITER_MAILBOX_DROP_NEW,
                        ARBITER_MAILBOX_DROP_OLDEST,
                        ARBITER_MAILBOX_BLOCK,
        };

        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        for (size_t i = 0; i < ELEMENTS(policies); i++) {
                arbiter_proxy *p = spawn_small(x, "callee", 32, 0, policies[i]);
                uint64_t before = atomic_load(&shared->ran);
                struct counts c = flood(x, 200, GUARD_USEC, true);

                assert_int_equal(c.replies + c.overload, 200);
                assert_true(c.replies > 0);
                if (policies[i] <= ARBITER_MAILBOX_DROP_NEW)
                        assert_true(c.replies <= 32);
                if (policies[i] == ARBITER_MAILBOX_BLOCK)
                        assert_int_equal(c.replies, 200);
                /* What was said to have run, ran, and nothing else did (and the Exclusive, and the caller's
                 * Work). */
                assert_int_equal(atomic_load(&shared->ran) - before, c.replies + 2);
                fixture_stop(x, "callee");
                fixture_until_gone(x, p);
                arbiter_proxy_unref(p);
        }

        /* Blocked until the deadline: expired, not executed. */
        arbiter_proxy_unref(spawn_small(x, "callee", 32, 0, ARBITER_MAILBOX_BLOCK));
        struct counts c = flood(x, 200, 100 * 1000, false);
        assert_int_equal(c.expired, 200);
}

static int64_t letters(struct fixture *x, const char *who) {
        return fixture_do(x, who, "Number", 1);
}

/* Casts: received + dead letters at the sender (or refused by the call) = sent. */
static void test_casts(void **state) {
        struct fixture *x = *state;
        const char *policies[] = {"drop-new", "drop-oldest", "block"};
        arbiter_future *f, *blocker;

        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        for (size_t i = 0; i < ELEMENTS(policies); i++) {
                char policy[32];
                int64_t before = letters(x, "caller");
                arbiter_proxy *p;

                snprintf(policy, sizeof(policy), "policy=%s", policies[i]);
                p = fixture_spawn(x, "callee", "messages=64", policy, NULL); /* set in the start hook */
                atomic_store(&shared->received, 0);
                blocker = fixture_ask_start(x, "caller", "callee", "Exclusive", GUARD_USEC, 1);
                fixture_entered(x);
                assert_ok(arbiter_call_async(x->root, &f, "caller", "Burst", 0, "sutuu", "callee",
                                (uint32_t)i, (uint64_t)1, (uint32_t)500, (uint32_t)0));
                fixture_wait(x, f);
                assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
                arbiter_future_unref(f);
                assert_int_equal(fixture_do(x, "callee", "Held", 0), 1);
                (void)fixture_ask_finish(x, "caller", blocker);
                fixture_until(x, &shared->received, (uint64_t)(500 - (letters(x, "caller") - before)));
                assert_int_equal(atomic_load(&shared->received) + (uint64_t)(letters(x, "caller") - before),
                                500);
                if (i == 0)
                        assert_in_range(atomic_load(&shared->received), 1, 64);
                if (i == 2)
                        assert_int_equal(atomic_load(&shared->received), 500);
                fixture_stop(x, "callee");
                fixture_until_gone(x, p);
                arbiter_proxy_unref(p);
        }
}

/* Few large messages fill a mailbox, too; and one that is larger than all of it still passes. */
static void test_bytes(void **state) {
        struct fixture *x = *state;
        size_t size = 30000;
        char *text = calloc(1, 200001);
        arbiter_future *f[64];
        unsigned replies = 0;

        memset(text, 'a', size);
        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        arbiter_proxy_unref(spawn_small(x, "callee", 0, 1024 * 1024, ARBITER_MAILBOX_REJECT));
        arbiter_future *blocker = fixture_ask_start(x, NULL, "callee", "Exclusive", GUARD_USEC, 1);
        fixture_entered(x);
        for (size_t i = 0; i < ELEMENTS(f); i++)
                assert_ok(arbiter_call_async(x->root, &f[i], "callee", "echo", GUARD_USEC, "v", "s", text));
        fixture_settle(x);
        assert_int_equal(fixture_ask(x, "caller", "callee", "Held", 0, 0).value, 1);
        for (size_t i = 0; i < ELEMENTS(f); i++) {
                fixture_wait(x, f[i]);
                replies += arbiter_future_get_outcome(f[i]) == ARBITER_OUTCOME_REPLY;
                assert_true(arbiter_future_get_outcome(f[i]) == ARBITER_OUTCOME_REPLY ||
                                arbiter_future_get_outcome(f[i]) == ARBITER_OUTCOME_OVERLOAD);
                arbiter_future_unref(f[i]);
        }
        assert_in_range(replies, 1, 1024 * 1024 / size);
        (void)fixture_ask_finish(x, NULL, blocker);

        arbiter_proxy_unref(spawn_small(x, "tiny", 4, 4096, ARBITER_MAILBOX_REJECT));
        memset(text, 'b', 200000);
        for (size_t n = 100; n <= 200000; n *= 3) {
                const char *s;

                text[n] = 0;
                assert_ok(arbiter_call_async(x->root, &f[0], "tiny", "echo", 0, "v", "s", text));
                text[n] = 'b';
                fixture_wait(x, f[0]);
                if (arbiter_future_get_outcome(f[0]) != ARBITER_OUTCOME_REPLY)
                        fail_msg("%zu: %s", n, arbiter_future_get_error_text(f[0]));
                assert_true(arbiter_future_get(f[0], "v", "s", &s) > 0);
                assert_int_equal(strlen(s), n);
                arbiter_future_unref(f[0]);
        }
        free(text);
}

/* Bodies that travel as memfd fill it as well. */
static void test_large_bytes(void **state) {
        struct fixture *x = *state;
        enum { SIZE = 300000, MAILBOX = 1024 * 1024 };
        char *text = calloc(1, SIZE + 1);
        arbiter_future *f[16], *blocker;
        unsigned replies = 0;

        memset(text, 'a', SIZE);
        arbiter_proxy_unref(spawn_small(x, "callee", 0, MAILBOX, ARBITER_MAILBOX_REJECT));
        blocker = fixture_ask_start(x, NULL, "callee", "Exclusive", GUARD_USEC, 1);
        fixture_entered(x);
        for (size_t i = 0; i < ELEMENTS(f); i++)
                assert_ok(arbiter_call_async(x->root, &f[i], "callee", "echo", GUARD_USEC, "v", "s", text));
        /* on the same link, so behind all of them until it is read */
        assert_int_equal(fixture_ask(x, NULL, "callee", "Held", GUARD_USEC, 0).value, 1);
        (void)fixture_ask_finish(x, NULL, blocker);
        for (size_t i = 0; i < ELEMENTS(f); i++) {
                arbiter_outcome outcome;

                fixture_wait(x, f[i]);
                outcome = arbiter_future_get_outcome(f[i]);
                replies += outcome == ARBITER_OUTCOME_REPLY;
                assert_true(outcome == ARBITER_OUTCOME_REPLY || outcome == ARBITER_OUTCOME_OVERLOAD);
                arbiter_future_unref(f[i]);
        }
        assert_int_equal(replies, MAILBOX / SIZE);
        free(text);
}

/* Full, and an exclusive command pending: it can still be asked and stopped, by a sibling and by the
 * arbiter. */
static void test_system_lane(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p = spawn_small(x, "callee", 16, 0, ARBITER_MAILBOX_REJECT);
        arbiter_future *blocker, *f[64];

        blocker = fixture_ask_start(x, NULL, "callee", "Exclusive", GUARD_USEC, 1);
        fixture_entered(x);
        for (size_t i = 0; i < ELEMENTS(f); i++)
                f[i] = fixture_ask_start(x, NULL, "callee", "Work", GUARD_USEC, 1);
        fixture_settle(x);
        for (unsigned i = 0; i < 3; i++) {
                arbiter_future *q;

                assert_ok(arbiter_call_async(x->root, &q, "callee",
                                i == 0   ? "ping"
                                : i == 1 ? "status"
                                         : "info",
                                0, ""));
                fixture_wait(x, q);
                assert_int_equal(arbiter_future_get_outcome(q), ARBITER_OUTCOME_REPLY);
                arbiter_future_unref(q);
        }
        fixture_stop(x, "callee");
        fixture_until_gone(x, p);
        assert_int_equal(fixture_ask_finish(x, NULL, blocker).executed, ARBITER_EXECUTED_MAYBE);
        for (size_t i = 0; i < ELEMENTS(f); i++)
                assert_int_equal(fixture_ask_finish(x, NULL, f[i]).executed, ARBITER_EXECUTED_NO);
        assert_int_equal(atomic_load(&shared->ran), 1);
        arbiter_proxy_unref(p);
}

/* One that never stops talking is stopped like any other. */
static void test_flooder(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p = fixture_spawn(x, "flooder", NULL);
        arbiter_future *f;

        arbiter_proxy_unref(fixture_spawn(x, "callee", "messages=64", "policy=drop-new", NULL));
        for (unsigned i = 0; i < 200; i++)
                assert_ok(arbiter_send(x->root, "flooder", "Burst", "sutuu", "callee", (uint32_t)1,
                                (uint64_t)1, (uint32_t)1000, (uint32_t)0));
        assert_ok(arbiter_call_async(x->root, &f, "callee", "ping", 0, ""));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        fixture_stop(x, "flooder");
        fixture_until_gone(x, p);
        arbiter_proxy_unref(p);
}

/* More senders than the mailbox has room for: shares are given back by links that are idle, so that
 * everybody gets a turn. */
static void test_more_senders_than_room(void **state) {
        struct fixture *x = *state;
        char name[16];

        arbiter_proxy_unref(spawn_small(x, "callee", 8, 0, ARBITER_MAILBOX_REJECT));
        for (unsigned i = 0; i < 20; i++) {
                snprintf(name, sizeof(name), "s%u", i);
                arbiter_proxy_unref(fixture_spawn(x, name, NULL));
        }
        for (unsigned round = 0; round < 3; round++)
                for (unsigned i = 0; i < 20; i++) {
                        snprintf(name, sizeof(name), "s%u", i);
                        assert_outcome(fixture_ask(x, name, "callee", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                                        ARBITER_EXECUTED_YES);
                }
}

static const struct fixture_test tests[] = {
                {"requests", test_requests},
                {"casts", test_casts},
                {"bytes", test_bytes},
                {"large bytes", test_large_bytes},
                {"system lane", test_system_lane},
                {"flooder", test_flooder},
                {"more senders than room", test_more_senders_than_room},
};

int main(void) {
        return fixture_run("mailbox", tests, ELEMENTS(tests));
}
