/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches and links between actors: DOWN exactly once, after the name is free, after all mail. */

#include <signal.h>

#include "actor-fixture.h"

static void test_down_when_it_stops(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p, *next;

        arbiter_proxy_unref(fixture_spawn(x, "watcher", NULL));
        p = fixture_spawn(x, "mortal", NULL);
        for (unsigned i = 0; i < 3; i++) /* three watches, three DOWNs */
                fixture_tell_proxy(x, "watcher", "Watch", p);
        fixture_stop(x, "mortal");
        fixture_until(x, &shared->stages, 3);
        assert_int_equal(atomic_load(&shared->downs), 3);
        for (unsigned i = 0; i < 3; i++) {
                assert_string_equal(shared->down[i].aid, arbiter_proxy_get_aid(p));
                assert_string_equal(shared->down[i].name, "mortal");
                assert_int_equal(shared->down[i].generation, arbiter_proxy_get_generation(p));
                assert_true(shared->down[i].reason == ARBITER_REASON_SHUTDOWN ||
                                shared->down[i].reason == ARBITER_REASON_NORMAL);
                /* Its name was free by then. */
                assert_int_equal(shared->down[i].resolved, 100 + ARBITER_OUTCOME_NOPROC);
        }
        assert_int_not_equal(shared->down[0].watch, shared->down[1].watch);

        /* And no more of them: what the arbiter had to say came before the next answer. */
        next = fixture_spawn(x, "mortal", NULL);
        (void)fixture_do(x, "watcher", "Number", 0);
        assert_int_equal(atomic_load(&shared->downs), 3);

        /* On the dead: noproc. */
        fixture_tell_proxy(x, "watcher", "Watch", p);
        fixture_until(x, &shared->downs, 4);
        assert_int_equal(shared->down[3].reason, ARBITER_REASON_NOPROC);
        assert_string_equal(shared->down[3].aid, arbiter_proxy_get_aid(p));
        arbiter_proxy_unref(p);
        arbiter_proxy_unref(next);
}

static void test_unwatch(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p;

        arbiter_proxy_unref(fixture_spawn(x, "watcher", NULL));
        p = fixture_spawn(x, "mortal", NULL);
        fixture_tell_proxy(x, "watcher", "Watch", p);
        fixture_tell_proxy(x, "watcher", "Watch", p);
        assert_int_equal(fixture_do(x, "watcher", "Unwatch", 0), 0);
        assert_int_equal(fixture_do(x, "watcher", "Unwatch", 0), -ENOENT);
        fixture_stop(x, "mortal");
        fixture_until_gone(x, p);
        fixture_until(x, &shared->downs, 1);
        arbiter_proxy_unref(p);

        p = fixture_spawn(x, "mortal", NULL);
        fixture_tell_proxy(x, "watcher", "Watch", p);
        assert_int_equal(fixture_do(x, "watcher", "Unwatch", 2), 0);
        fixture_stop(x, "mortal");
        fixture_until_gone(x, p);
        (void)fixture_do(x, "watcher", "Number", 0);
        assert_int_equal(atomic_load(&shared->downs), 1);
        arbiter_proxy_unref(p);
}

/* All that was handed to the kernel comes first. die: 1 a stop, 2 SIGKILL after the flush, 3 with a
 * descendant that keeps all open. */
static void mail_then_down(struct fixture *x, unsigned die) {
        arbiter_future *f;
        arbiter_proxy *p;

        arbiter_proxy_unref(fixture_spawn(x, "watcher", NULL));
        p = fixture_spawn(x, "mortal", NULL);
        /* Without a link at first, then over one; who is killed has only said what the kernel has. */
        for (unsigned round = die == 1 ? 0 : 1; round < 2; round++) {
                atomic_store(&shared->received, 0);
                atomic_store(&shared->downs, 0);
                atomic_store(&shared->down_slots, 0);
                if (round == 1) {
                        if (die == 1) {
                                arbiter_proxy_unref(p);
                                p = fixture_spawn(x, "mortal", NULL);
                        }
                        assert_ok(arbiter_call_async(x->root, &f, "mortal", "Burst", 0, "sutuu", "watcher",
                                        (uint32_t)round, (uint64_t)1, (uint32_t)1, (uint32_t)0));
                        fixture_wait(x, f);
                        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
                        arbiter_future_unref(f);
                        fixture_until(x, &shared->received, 1);
                }
                if (die == 3) {
                        (void)fixture_do(x, "mortal", "Fork", 0);
                        fixture_entered(x);
                }
                fixture_tell_proxy(x, "watcher", "Watch", p);
                (void)fixture_do(x, "watcher", "Number", 0);
                if (die == 1)
                        assert_ok(arbiter_send(x->root, "mortal", "Burst", "sutuu", "watcher",
                                        (uint32_t)round, (uint64_t)(round + 1), (uint32_t)1000,
                                        (uint32_t)1));
                else {
                        pid_t pid = (pid_t)fixture_do(x, "mortal", "Pid", 0);
                        arbiter_future *held = fixture_ask_start(x, NULL, "watcher", "Block", GUARD_USEC, 1);

                        /* The watcher does not read; the mail waits in its socket when the sender is killed.
                         */
                        fixture_entered(x);
                        assert_ok(arbiter_call_async(x->root, &f, "mortal", "Burst", 0, "sutuu", "watcher",
                                        (uint32_t)round, (uint64_t)(round + 1), (uint32_t)1000,
                                        (uint32_t)0));
                        fixture_wait(x, f);
                        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
                        arbiter_future_unref(f);
                        assert_ok(kill(pid, SIGKILL));
                        fixture_until_gone(x, p);
                        fixture_release(1);
                        assert_int_equal(fixture_ask_finish(x, NULL, held).outcome, ARBITER_OUTCOME_REPLY);
                }
                fixture_until(x, &shared->downs, 1);
                assert_int_equal(shared->down[0].received, 1000 + round);
                assert_int_equal(atomic_load(&shared->received), 1000 + round);
                assert_int_equal(atomic_load(&shared->order_errors), 0);
                fixture_until_gone(x, p);
        }
        assert_int_equal(atomic_load(&shared->downs), 1);
        arbiter_proxy_unref(p);
}

static void test_mail_then_stop(void **state) {
        mail_then_down(*state, 1);
}

static void test_mail_then_sigkill(void **state) {
        mail_then_down(*state, 2);
}

static void test_mail_then_sigkill_with_descendant(void **state) {
        mail_then_down(*state, 3);
}

static void test_reasons(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p;

        arbiter_proxy_unref(fixture_spawn(x, "watcher", NULL));
        p = fixture_spawn(x, "mortal", NULL);
        fixture_tell_proxy(x, "watcher", "Watch", p);
        assert_ok(kill((pid_t)fixture_do(x, "mortal", "Pid", 0), SIGKILL));
        fixture_until(x, &shared->downs, 1);
        assert_int_equal(shared->down[0].reason, ARBITER_REASON_SIGNAL);
        assert_int_equal(shared->down[0].status, SIGKILL);
        fixture_until_gone(x, p);
        arbiter_proxy_unref(p);

        p = fixture_spawn(x, "mortal", NULL);
        fixture_tell_proxy(x, "watcher", "Watch", p);
        assert_ok(arbiter_send(x->root, "mortal", "Die", "x", (int64_t)3));
        fixture_until(x, &shared->downs, 2);
        assert_int_equal(shared->down[1].reason, ARBITER_REASON_EXIT_CODE);
        assert_int_equal(shared->down[1].status, 3);
        fixture_until_gone(x, p);
        arbiter_proxy_unref(p);
}

static void test_links(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *a = fixture_spawn(x, "a", NULL), *b = fixture_spawn(x, "b", NULL),
                      *c = fixture_spawn(x, "c", NULL);
        arbiter_proxy *d = fixture_spawn(x, "d", NULL), *e = fixture_spawn(x, "e", NULL);

        /* a normal end does not pass; idempotent. */
        fixture_tell_proxy(x, "a", "Link", b);
        fixture_tell_proxy(x, "a", "Link", b);
        fixture_tell_proxy(x, "b", "Link", a);
        (void)fixture_do(x, "a", "Number", 0);
        (void)fixture_do(x, "b", "Number", 0);
        assert_int_equal(fixture_do(x, "a", "Quit", 0), 0);
        fixture_until_gone(x, a);
        assert_int_equal(fixture_do(x, "b", "Work", 1), 2);

        /* Any other does, in both directions, with its reason; a trap makes it a message; without a link
         * nothing. */
        fixture_tell_proxy(x, "b", "Link", c);
        fixture_tell_proxy(x, "d", "Link", c);
        (void)fixture_do(x, "d", "Trap", 0);
        fixture_tell_proxy(x, "e", "Link", c);
        fixture_tell_proxy(x, "e", "Unlink", c);
        (void)fixture_do(x, "b", "Number", 0);
        (void)fixture_do(x, "e", "Number", 0);
        fixture_settle(x);
        arbiter_proxy_unref(fixture_spawn(x, "watcher", NULL));
        fixture_tell_proxy(x, "watcher", "Watch", b);
        assert_ok(arbiter_send(x->root, "c", "ExitReason", "x", (int64_t)ARBITER_REASON_WATCHDOG));
        fixture_until_gone(x, c);
        fixture_until_gone(x, b);
        fixture_until(x, &shared->downs, 1);
        assert_int_equal(shared->down[0].reason, ARBITER_REASON_WATCHDOG);
        fixture_until(x, &shared->exits, 1);
        assert_int_equal(fixture_do(x, "d", "Work", 1), 2);
        assert_int_equal(fixture_do(x, "e", "Work", 1), 2);
        assert_int_equal(atomic_load(&shared->exits), 1);

        /* To the dead: an exit with noproc. */
        fixture_tell_proxy(x, "d", "Link", c);
        fixture_until(x, &shared->exits, 2);
        assert_int_equal(atomic_load(&shared->exit_reason), ARBITER_REASON_NOPROC);
        arbiter_proxy_unref(a);
        arbiter_proxy_unref(b);
        arbiter_proxy_unref(c);
        arbiter_proxy_unref(d);
        arbiter_proxy_unref(e);
}

/* The exit is on its way already when the link is given up: it does not arrive. */
static void test_unlink_flushes(void **state) {
        struct fixture *x = *state;

        arbiter_proxy_unref(fixture_spawn(x, "a", NULL));
        for (unsigned i = 0; i < 20; i++) {
                arbiter_proxy *b = fixture_spawn(x, "b", NULL);
                arbiter_future *f;

                fixture_tell_proxy(x, "a", "Link", b);
                (void)fixture_do(x, "a", "Number", 0);
                assert_ok(arbiter_call_async(x->root, &f, "a", "BlockUnlink", GUARD_USEC, "ssu",
                                arbiter_proxy_get_aid(b), arbiter_proxy_get_name(b),
                                arbiter_proxy_get_generation(b)));
                fixture_entered(x); /* a reads nothing now */
                assert_ok(arbiter_send(x->root, "b", "ExitReason", "x", (int64_t)ARBITER_REASON_WATCHDOG));
                fixture_until_gone(x, b);
                fixture_release(1);
                fixture_wait(x, f);
                assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
                arbiter_future_unref(f);
                assert_int_equal(fixture_do(x, "a", "Work", 1), 2);
                arbiter_proxy_unref(b);
        }
}

static void on_down(arbiter_actor *a, const arbiter_down *down, void *userdata) {
        unsigned *n = userdata;

        (*n)++;
        assert_true(atomic_load(&shared->received) == 0);
        assert_null(arbiter_actor_get_parameter(a, "nothing"));
}

/* The arbiter as the watcher. */
static void test_arbiter_watches(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p = fixture_spawn(x, "mortal", NULL);
        unsigned downs = 0;
        uint64_t watch, other;

        assert_ok(arbiter_actor_watch(x->root, p, on_down, &downs, &watch));
        assert_ok(arbiter_actor_watch(x->root, p, on_down, &downs, &other));
        assert_ok(arbiter_actor_unwatch(x->root, other));
        fixture_stop(x, "mortal");
        fixture_until_gone(x, p);
        assert_int_equal(downs, 1);
        assert_errno(arbiter_actor_unwatch(x->root, watch), ENOENT);
        /* On the dead: from the loop, never inside of the call. */
        assert_ok(arbiter_actor_watch(x->root, p, on_down, &downs, NULL));
        assert_int_equal(downs, 1);
        fixture_until_gone(x, p);
        assert_int_equal(downs, 2);
        arbiter_proxy_unref(p);
}

/* Nothing more can be said to the watcher, since it does not listen: it is told once it does. */
static void test_down_to_a_full_one(void **state) {
        struct fixture *x = *state;
        enum { SIZE = 60000 };
        char *text = calloc(1, SIZE + 1);
        arbiter_proxy *a, *b;
        unsigned n = 0;
        pid_t pid;

        memset(text, 'x', SIZE);
        arbiter_proxy_unref(fixture_spawn(x, "watcher", NULL));
        a = fixture_spawn(x, "first", NULL);
        b = fixture_spawn(x, "second", NULL);
        fixture_tell_proxy(x, "watcher", "Watch", a);
        fixture_tell_proxy(x, "watcher", "Watch", b);
        pid = (pid_t)fixture_do(x, "watcher", "Pid", 0);
        assert_int_equal(kill(pid, SIGSTOP), 0);
        while (arbiter_send(x->root, "watcher", "config", "ssv", "set", "text", "s", text) >= 0)
                assert_true(++n < 10000);
        while (arbiter_send(x->root, "watcher", "ping", "") >= 0)
                assert_true(++n < 100000);
        fixture_stop(x, "first");
        fixture_until_gone(x, a);
        fixture_stop(x, "second");
        fixture_until_gone(x, b);
        assert_int_equal(kill(pid, SIGCONT), 0);
        fixture_until(x, &shared->downs, 2);
        assert_string_equal(shared->down[0].name, "first"); /* in order */
        assert_string_equal(shared->down[1].name, "second");
        arbiter_proxy_unref(a);
        arbiter_proxy_unref(b);
        free(text);
}

static const struct fixture_test tests[] = {
                {"down when it stops", test_down_when_it_stops},
                {"unwatch", test_unwatch},
                {"mail, then a stop", test_mail_then_stop},
                {"mail, then SIGKILL", test_mail_then_sigkill, ON_PROCESS},
                {"mail, then SIGKILL, with a descendant", test_mail_then_sigkill_with_descendant,
                                ON_PROCESS},
                {"reasons", test_reasons, ON_PROCESS},
                {"to a full one", test_down_to_a_full_one, ON_PROCESS},
                {"links", test_links},
                {"unlink flushes", test_unlink_flushes, ON_THREAD | ON_PROCESS},
                {"the arbiter watches", test_arbiter_watches},
};

int main(void) {
        return fixture_run("watches", tests, ELEMENTS(tests));
}
