/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Futures, and work in threads: each outcome exactly once, callbacks in order and from the loop. */

#include "actor-fixture.h"

static unsigned calls;
static char order[32];

static void on_done(arbiter_future *f, void *userdata) {
        assert_false(arbiter_future_is_pending(f));
        order[calls++] = (char)(uintptr_t)userdata;
}

static void on_wait(arbiter_future *f, void *userdata) {
        arbiter_future **other = userdata;

        assert_errno(arbiter_future_wait(*other, 0), EDEADLK);
        assert_errno(arbiter_call(arbiter_actor_current(), NULL, "alice", "ping", 0, ""), EDEADLK);
        calls++;
}

static void on_again(arbiter_future *f, void *userdata) {
        order[calls++] = 'x';
        assert_ok(arbiter_future_then(f, on_done, (void *)'y'));
}

static void test_then(void **state) {
        struct fixture *x = *state;
        arbiter_future *f, *other;

        calls = 0;
        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        f = fixture_ask_start(x, NULL, "alice", "Work", 0, 1);
        assert_true(arbiter_future_is_pending(f));
        assert_errno(arbiter_future_get_reply(f, NULL), EBUSY);
        for (char c = 'a'; c < 'e'; c++)
                assert_ok(arbiter_future_then(f, on_done, (void *)(uintptr_t)c));
        assert_ok(arbiter_future_then(f, on_again, NULL));
        fixture_wait(x, f);
        fixture_settle(x);
        assert_int_equal(calls, 6);
        assert_memory_equal(order, "abcdxy", 6);
        /* Resolved already: from the loop all the same. */
        assert_ok(arbiter_future_then(f, on_done, (void *)'z'));
        assert_int_equal(calls, 6);
        fixture_settle(x);
        assert_int_equal(calls, 7);
        fixture_settle(x);
        assert_int_equal(calls, 7);

        other = fixture_ask_start(x, NULL, "alice", "Hold", 0, 1);
        calls = 0;
        assert_ok(arbiter_future_then(f, on_wait, &other));
        fixture_settle(x);
        while (calls == 0)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        /* A wait has a bound of its own, and leaves the future pending. */
        assert_errno(arbiter_future_wait(other, 1000), ETIMEDOUT);
        assert_true(arbiter_future_is_pending(other));
        (void)fixture_do(x, "alice", "Held", 0);
        assert_int_equal(fixture_ask_finish(x, NULL, other).value, 42);
        arbiter_future_unref(f);
}

/* Nobody holds it any more: its callbacks still run. */
static void test_unref_of_pending(void **state) {
        struct fixture *x = *state;
        arbiter_future *f;

        calls = 0;
        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        f = fixture_ask_start(x, NULL, "alice", "Work", 0, 1);
        assert_ok(arbiter_future_then(f, on_done, (void *)'a'));
        arbiter_future_unref(f);
        while (calls == 0)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        assert_int_equal(atomic_load(&shared->ran), 1);
        f = fixture_ask_start(x, NULL, "alice", "Work", 0, 1);
        arbiter_future_unref(f);
        assert_int_equal(fixture_do(x, "alice", "Work", 1), 2);
        assert_int_equal(atomic_load(&shared->ran), 3);
}

static void test_composites(void **state) {
        struct fixture *x = *state;
        arbiter_future *f[5], *all, *any;

        arbiter_proxy_unref(fixture_spawn(x, "alice", NULL));
        for (unsigned i = 0; i < 5; i++)
                f[i] = fixture_ask_start(x, NULL, "alice", "Work", 0, i);
        assert_ok(arbiter_future_all(f, 5, &all));
        assert_ok(arbiter_future_any(f, 5, &any));
        fixture_wait(x, all);
        assert_int_equal(arbiter_future_get_outcome(all), ARBITER_OUTCOME_REPLY);
        assert_int_equal(arbiter_future_get_outcome(any), ARBITER_OUTCOME_REPLY);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(fixture_ask_finish(x, NULL, f[i]).value, i + 1);
        arbiter_future_unref(all);
        arbiter_future_unref(any);

        f[0] = fixture_ask_start(x, NULL, "alice", "Work", 0, 1);
        f[1] = fixture_ask_start(x, NULL, "alice", "NoSuch", 0, 1);
        f[2] = fixture_ask_start(x, NULL, "alice", "Fail", 0, 1);
        assert_ok(arbiter_future_all(f, 3, &all));
        fixture_wait(x, all);
        assert_int_equal(arbiter_future_get_outcome(all), ARBITER_OUTCOME_UNKNOWN_COMMAND);
        arbiter_future_unref(all);
        for (unsigned i = 0; i < 3; i++)
                (void)fixture_ask_finish(x, NULL, f[i]);

        f[0] = fixture_ask_start(x, NULL, "alice", "Hold", 0, 1);
        f[1] = fixture_ask_start(x, NULL, "alice", "Fail", 0, 1);
        assert_ok(arbiter_future_any(f, 2, &any));
        assert_ok(arbiter_future_all(f, 2, &all));
        fixture_wait(x, any);
        assert_int_equal(arbiter_future_get_outcome(any), ARBITER_OUTCOME_APPLICATION_ERROR);
        assert_ok(arbiter_future_cancel(all)); /* the members are not touched */
        assert_true(arbiter_future_is_pending(f[0]));
        arbiter_future_unref(any);
        arbiter_future_unref(all);
        (void)fixture_do(x, "alice", "Held", 0);
        assert_int_equal(fixture_ask_finish(x, NULL, f[0]).value, 42);
        (void)fixture_ask_finish(x, NULL, f[1]);
}

/* Cancelled before it has left: certainly not executed. */
static void test_cancel_early(void **state) {
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "alice");
        arbiter_future *f, *many[64];

        assert_ok(arbiter_spawn_set_mailbox(s, 8, 0, ARBITER_MAILBOX_BLOCK));
        arbiter_proxy_unref(fixture_start(x, s));
        f = fixture_ask_start(x, NULL, "alice", "Exclusive", 0, 1);
        fixture_entered(x);
        for (size_t i = 0; i < ELEMENTS(many); i++)
                many[i] = fixture_ask_start(x, NULL, "alice", "Work", 0, 1);
        for (size_t i = 0; i < ELEMENTS(many); i++)
                assert_ok(arbiter_future_cancel(many[i]));
        assert_int_equal(arbiter_future_get_executed(many[ELEMENTS(many) - 1]), ARBITER_EXECUTED_NO);
        for (size_t i = 0; i < ELEMENTS(many); i++)
                arbiter_future_unref(many[i]);
        assert_ok(arbiter_future_cancel(f));
        arbiter_future_unref(f);
        assert_int_equal(fixture_do(x, "alice", "Work", 1), 2);
        assert_int_equal(atomic_load(&shared->ran), 2);
}

/* Threads. */

static int wait_for_byte(void *userdata) {
        char c;

        atomic_fetch_add(&shared->work_ran, 1);
        (void)!write(entered_fd[1], "x", 1);
        (void)!read(release_fd[0], &c, 1);
        return 5;
}

static int fail_work(void *userdata) {
        return -EDOM;
}

static int one(void *userdata) {
        atomic_fetch_add(&shared->work_ran, 1);
        return 1;
}

static int wait_until_cancelled(void *userdata) {
        const struct timespec pause = { .tv_nsec = 1000 * 1000 };

        (void)!write(entered_fd[1], "x", 1);
        while (!arbiter_work_is_cancelled())
                (void)nanosleep(&pause, NULL); /* at work */
        return -ECANCELED;
}

static void test_threads(void **state) {
        struct fixture *x = *state;
        arbiter_future *f, *blocked[5], *queued[3], *many[1000];
        int32_t n;

        assert_ok(arbiter_actor_run_in_thread(x->root, fail_work, NULL, &f));
        fixture_wait(x, f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_APPLICATION_ERROR);
        assert_string_equal(arbiter_future_get_error_name(f), "System.Error.EDOM");
        arbiter_future_unref(f);

        for (unsigned i = 0; i < 5; i++) { /* all threads of the pool */
                assert_ok(arbiter_actor_run_in_thread(x->root, wait_for_byte, NULL, &blocked[i]));
                fixture_entered(x);
        }
        for (unsigned i = 0; i < 3; i++)
                assert_ok(arbiter_actor_run_in_thread(x->root, one, NULL, &queued[i]));
        assert_ok(arbiter_future_cancel(queued[1]));
        assert_errno(arbiter_future_cancel(queued[1]), EALREADY);
        assert_int_equal(arbiter_future_get_outcome(queued[1]), ARBITER_OUTCOME_CANCELLED);
        assert_ok(arbiter_future_cancel(blocked[0])); /* runs to its end, and nobody listens */
        fixture_release(5);
        for (unsigned i = 0; i < 5; i++) {
                fixture_wait(x, blocked[i]);
                if (i > 0) {
                        assert_true(arbiter_future_get(blocked[i], "i", &n) > 0);
                        assert_int_equal(n, 5);
                }
                arbiter_future_unref(blocked[i]);
        }
        for (unsigned i = 0; i < 3; i++) {
                fixture_wait(x, queued[i]);
                arbiter_future_unref(queued[i]);
        }
        assert_int_equal(atomic_load(&shared->work_ran), 7);

        for (size_t i = 0; i < ELEMENTS(many); i++)
                assert_ok(arbiter_actor_run_in_thread(x->root, one, NULL, &many[i]));
        for (size_t i = 0; i < ELEMENTS(many); i++) {
                fixture_wait(x, many[i]);
                assert_int_equal(arbiter_future_get_outcome(many[i]), ARBITER_OUTCOME_REPLY);
                arbiter_future_unref(many[i]);
        }
        assert_int_equal(atomic_load(&shared->work_ran), 7 + ELEMENTS(many));
}

/* Its work ends because nobody wants it any more: one future is cancelled, and the actor of the others
 * ends. */
static void test_cancelled_work(void **state) {
        struct fixture *x = *state;
        arbiter_future *f[5], *after;

        for (unsigned i = 0; i < ELEMENTS(f); i++) { /* all threads of the pool */
                assert_ok(arbiter_actor_run_in_thread(x->root, wait_until_cancelled, NULL, &f[i]));
                fixture_entered(x);
        }
        assert_false(arbiter_work_is_cancelled());
        assert_ok(arbiter_actor_run_in_thread(x->root, one, NULL, &after));
        assert_ok(arbiter_future_cancel(f[0]));
        fixture_wait(x, after);
        assert_int_equal(arbiter_future_get_outcome(after), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(after);
        for (unsigned i = 0; i < ELEMENTS(f); i++)
                arbiter_future_unref(f[i]);
}

/* In actors of each kind; and one that ends while its work runs. */
static void test_threads_of_actors(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p = fixture_spawn(x, "alice", NULL);
        arbiter_future *f[50];

        for (unsigned i = 0; i < ELEMENTS(f); i++)
                f[i] = fixture_ask_start(x, NULL, "alice", "Square", 0, i);
        for (unsigned i = 0; i < ELEMENTS(f); i++)
                assert_int_equal(fixture_ask_finish(x, NULL, f[i]).value, i * i);
        for (unsigned i = 0; i < ELEMENTS(f); i++)
                f[i] = fixture_ask_start(x, NULL, "alice", "Square", 0, i);
        fixture_stop(x, "alice");
        fixture_until_gone(x, p);
        for (unsigned i = 0; i < ELEMENTS(f); i++) {
                fixture_wait(x, f[i]);
                assert_false(arbiter_future_is_pending(f[i]));
                arbiter_future_unref(f[i]);
        }
        arbiter_proxy_unref(p);
}

/* Futures outlive their actor, and nothing can wait for them then. */
static void test_composite_of_the_ended(void **state) {
        arbiter_future *f[2], *all = NULL;
        arbiter *other;

        assert_errno(arbiter_future_all(NULL, 1, &all), EINVAL);
        f[0] = f[1] = NULL;
        assert_errno(arbiter_future_any(f, 2, &all), EINVAL);
        assert_ok(arbiter_new(NULL, NULL, &other));
        assert_ok(arbiter_start(other));
        for (unsigned i = 0; i < 2; i++)
                assert_ok(arbiter_call_async(arbiter_get_actor(other), &f[i], "nobody", "ping", 0, ""));
        assert_ok(arbiter_stop(other, 0));
        assert_ok(arbiter_run(other, false));
        arbiter_unref(other);
        assert_errno(arbiter_future_all(f, 2, &all), ESHUTDOWN);
        assert_errno(arbiter_future_any(f, 2, &all), ESHUTDOWN);
        assert_null(all);
        arbiter_future_unref(f[0]);
        arbiter_future_unref(f[1]);
}

static const struct fixture_test tests[] = {
                {"then", test_then},
                {"unref of a pending one", test_unref_of_pending},
                {"all, any", test_composites},
                {"all of the ended", test_composite_of_the_ended, ON_ONE},
                {"cancelled early", test_cancel_early},
                {"threads", test_threads, ON_ONE},
                {"cancelled work", test_cancelled_work, ON_ONE},
                {"threads of actors", test_threads_of_actors},
};

int main(void) {
        return fixture_run("futures", tests, ELEMENTS(tests));
}
