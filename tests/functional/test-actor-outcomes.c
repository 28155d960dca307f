/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every outcome of a request in a real situation, and what it says about execution against what a counter
 * says. Each from the arbiter (control link) and from a sibling (direct link). */

#include <signal.h>

#include "actor-fixture.h"

static const char *const vias[] = {NULL, "caller"};
#define FOREACH_VIA(via)                                                                                    \
        for (size_t via##_i = 0; via##_i < 2; via##_i++)                                                    \
                for (const char *via = vias[via##_i], *via##_once = ""; via##_once; via##_once = NULL)

static uint64_t ran(void) {
        return atomic_load(&shared->ran);
}

static void two(struct fixture *x) {
        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        arbiter_proxy_unref(fixture_spawn(x, "callee", NULL));
}

static void test_reply(void **state) {
        struct fixture *x = *state;
        struct result q;

        two(x);
        FOREACH_VIA(via) {
                q = fixture_ask(x, via, "callee", "Work", 0, 41);
                assert_outcome(q, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
                assert_int_equal(q.value, 42);
                assert_false(q.has_name);
        }
        assert_int_equal(ran(), 2);
}

static void test_application_error(void **state) {
        struct fixture *x = *state;
        struct result q;

        two(x);
        FOREACH_VIA(via) {
                q = fixture_ask(x, via, "callee", "Fail", 0, 1);
                assert_outcome(q, ARBITER_OUTCOME_APPLICATION_ERROR, ARBITER_EXECUTED_YES);
                assert_string_equal(q.name, "com.example.Error.Sad");
                assert_string_equal(q.text, "it is sad");
                q = fixture_ask(x, via, "callee", "Errno", 0, 1);
                assert_outcome(q, ARBITER_OUTCOME_APPLICATION_ERROR, ARBITER_EXECUTED_YES);
                assert_string_equal(q.name, "System.Error.EPERM");
        }
}

static void test_noproc(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p, *q;
        arbiter_future *f;

        two(x);
        FOREACH_VIA(via) {
                assert_outcome(fixture_ask(x, via, "nobody", "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                                ARBITER_EXECUTED_NO);
                assert_outcome(fixture_ask(x, via, "zzzzzzzz", "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                                ARBITER_EXECUTED_NO);
        }
        p = fixture_spawn(x, "mortal", NULL);
        FOREACH_VIA(via)
        assert_outcome(fixture_ask(x, via, "mortal", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                        ARBITER_EXECUTED_YES);
        fixture_stop(x, "mortal");
        fixture_until_gone(x, p);
        FOREACH_VIA(via) {
                assert_outcome(fixture_ask(x, via, "mortal", "Work", 0, 1), ARBITER_OUTCOME_NOPROC,
                                ARBITER_EXECUTED_NO);
                assert_outcome(fixture_ask(x, via, arbiter_proxy_get_aid(p), "Work", 0, 1),
                                ARBITER_OUTCOME_NOPROC, ARBITER_EXECUTED_NO);
        }

        /* The name has a next life; the proxy of the dead one never leads there, the name does. */
        q = fixture_spawn(x, "mortal", NULL);
        assert_false(arbiter_proxy_equal(p, q));
        assert_int_equal(arbiter_proxy_get_generation(q), arbiter_proxy_get_generation(p) + 1);
        FOREACH_VIA(via) {
                assert_outcome(fixture_ask(x, via, arbiter_proxy_get_aid(p), "Work", 0, 1),
                                ARBITER_OUTCOME_NOPROC, ARBITER_EXECUTED_NO);
                assert_outcome(fixture_ask(x, via, "mortal", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                                ARBITER_EXECUTED_YES);
        }
        assert_ok(arbiter_proxy_call_async(x->root, &f, p, "Work", 0, "x", (int64_t)1));
        assert_outcome(fixture_ask_finish(x, NULL, f), ARBITER_OUTCOME_NOPROC, ARBITER_EXECUTED_NO);
        assert_int_equal(ran(), 4);
        arbiter_proxy_unref(p);
        arbiter_proxy_unref(q);
}

static void test_refused_before_it_runs(void **state) {
        struct fixture *x = *state;
        arbiter_future *f;

        two(x);
        FOREACH_VIA(via)
        assert_outcome(fixture_ask(x, via, "callee", "NoSuch", 0, 1), ARBITER_OUTCOME_UNKNOWN_COMMAND,
                        ARBITER_EXECUTED_NO);
        assert_outcome(fixture_ask(x, "caller", "callee", "OnlyArbiter", 0, 1), ARBITER_OUTCOME_DENIED,
                        ARBITER_EXECUTED_NO);
        assert_outcome(fixture_ask(x, NULL, "callee", "OnlyArbiter", 0, 1), ARBITER_OUTCOME_REPLY,
                        ARBITER_EXECUTED_YES);
        assert_outcome(fixture_ask(x, "caller", "callee", "Sequence", 0, 1), ARBITER_OUTCOME_BAD_ARGUMENTS,
                        ARBITER_EXECUTED_NO);
        assert_ok(arbiter_call_async(x->root, &f, "callee", "Work", 0, "s", "one"));
        assert_outcome(fixture_ask_finish(x, NULL, f), ARBITER_OUTCOME_BAD_ARGUMENTS, ARBITER_EXECUTED_NO);
        assert_int_equal(ran(), 1);
}

/* The receiver is busy past the deadline: certainly never run. And one that had begun: unknown. */
static void test_expired_and_timeout(void **state) {
        struct fixture *x = *state;
        arbiter_future *blocked, *late;

        two(x);
        FOREACH_VIA(via) {
                uint64_t before = ran();

                blocked = fixture_ask_start(x, via, "callee", "Block", 200 * 1000, 1);
                fixture_entered(x);
                late = fixture_ask_start(x, via, "callee", "Work", 100 * 1000, 1);
                assert_outcome(fixture_ask_finish(x, via, late), ARBITER_OUTCOME_EXPIRED,
                                ARBITER_EXECUTED_NO);
                assert_outcome(fixture_ask_finish(x, via, blocked), ARBITER_OUTCOME_TIMEOUT,
                                ARBITER_EXECUTED_MAYBE);
                fixture_release(1);
                /* Behind both in the same queue: when it is answered, what was to run has run. */
                assert_outcome(fixture_ask(x, via, "callee", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                                ARBITER_EXECUTED_YES);
                assert_int_equal(ran(), before + 2);
        }
        assert_int_equal(fixture_do(x, "callee", "Number", 3), 2); /* expired, as the callee counts */
        assert_int_equal(fixture_do(x, "caller", "Number", 2), 1); /* the late reply */
        assert_int_equal(fixture_do(x, "caller", "Number", 1), 1); /* is a dead letter */
}

static void test_promise_timeout_and_late_reply(void **state) {
        struct fixture *x = *state;

        two(x);
        FOREACH_VIA(via) {
                assert_outcome(fixture_ask(x, via, "callee", "Hold", 20 * 1000, 1), ARBITER_OUTCOME_TIMEOUT,
                                ARBITER_EXECUTED_MAYBE);
                assert_int_equal(fixture_do(x, "callee", "Held", 0), 1);
                assert_outcome(fixture_ask(x, via, "callee", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                                ARBITER_EXECUTED_YES);
        }
        assert_int_equal(fixture_do(x, "caller", "Number", 2), 1);
}

static void test_chained_deadline(void **state) {
        struct fixture *x = *state;
        struct result q;

        two(x);
        arbiter_proxy_unref(fixture_spawn(x, "middle", "next=callee Remaining", NULL));
        FOREACH_VIA(via) {
                /* Asks for a minute itself, and gets what is left of two seconds. */
                q = fixture_ask(x, via, "middle", "Forward", 2 * 1000 * 1000, 1);
                assert_outcome(q, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
                assert_in_range(q.value, 1, 2 * 1000 * 1000);
                q = fixture_ask(x, via, "callee", "Remaining", UINT64_MAX, 1);
                /* From the caller's command, which has no deadline either. */
                assert_true(q.value == INT64_MAX);
                q = fixture_ask(x, via, "callee", "Remaining", 0, 1);
                assert_in_range(q.value, 1, 5 * 1000 * 1000);
        }
}

static void test_deadlock(void **state) {
        struct fixture *x = *state;
        struct result q;

        /* a (exclusive) → b → a */
        arbiter_proxy_unref(fixture_spawn(x, "a", "next=b Forward", NULL));
        arbiter_proxy_unref(fixture_spawn(x, "b", "next=a Work", NULL));
        q = fixture_ask(x, NULL, "a", "ExclusiveForward", 0, 1);
        assert_outcome(q, ARBITER_OUTCOME_APPLICATION_ERROR, ARBITER_EXECUTED_YES);
        assert_string_equal(q.name, "io.arbiter.Arbiter1.Error.Deadlock");
        assert_int_equal(ran(), 0);
        /* It is free again; and without the exclusive command such a chain is no problem. */
        q = fixture_ask(x, NULL, "a", "Forward", 0, 1);
        assert_outcome(q, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
        /* An exclusive command that finds itself. */
        arbiter_proxy_unref(fixture_spawn(x, "c", "next=d Forward", NULL));
        arbiter_proxy_unref(fixture_spawn(x, "d", "next=c Exclusive", NULL));
        q = fixture_ask(x, NULL, "c", "Forward", 0, 1);
        assert_string_equal(q.name, "io.arbiter.Arbiter1.Error.Deadlock");
}

/* Ten requests, the first blocks, SIGKILL: one is unknown, nine have certainly not run. */
static void test_callee_died(void **state) {
        struct fixture *x = *state;

        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        FOREACH_VIA(via) {
                arbiter_proxy *p = fixture_spawn(x, "callee", NULL);
                pid_t pid = (pid_t)fixture_do(x, "callee", "Pid", 0);
                uint64_t before = ran();
                arbiter_future *f[10];
                struct result q;

                f[0] = fixture_ask_start(x, via, "callee", "Block", 0, 1);
                fixture_entered(x);
                for (unsigned i = 1; i < 10; i++)
                        f[i] = fixture_ask_start(x, via, "callee", "Work", 0, 1);
                fixture_settle(x);
                if (via) /* behind the others: the caller has sent them */
                        (void)fixture_do(x, "caller", "Work", 1);
                assert_ok(kill(pid, SIGKILL));
                q = fixture_ask_finish(x, via, f[0]);
                assert_outcome(q, ARBITER_OUTCOME_CALLEE_DIED, ARBITER_EXECUTED_MAYBE);
                assert_int_equal(q.reason, ARBITER_REASON_SIGNAL);
                assert_int_equal(q.status, SIGKILL);
                for (unsigned i = 1; i < 10; i++)
                        assert_outcome(fixture_ask_finish(x, via, f[i]), ARBITER_OUTCOME_NOPROC,
                                        ARBITER_EXECUTED_NO);
                assert_int_equal(ran(), before + (via ? 2 : 1));
                fixture_until_gone(x, p);
                arbiter_proxy_unref(p);
        }
}

static void test_callee_exits_in_handler(void **state) {
        struct fixture *x = *state;
        struct result q;

        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        FOREACH_VIA(via) {
                arbiter_proxy *p = fixture_spawn(x, "callee", NULL);

                q = fixture_ask(x, via, "callee", "Die", 0, 3);
                assert_outcome(q, ARBITER_OUTCOME_CALLEE_DIED, ARBITER_EXECUTED_MAYBE);
                assert_int_equal(q.reason, ARBITER_REASON_EXIT_CODE);
                assert_int_equal(q.status, 3);
                fixture_until_gone(x, p);
                arbiter_proxy_unref(p);
        }
}

static void test_cancel(void **state) {
        struct fixture *x = *state;
        arbiter_future *held, *queued;

        two(x);
        /* Running (promised): the callee sees it. */
        held = fixture_ask_start(x, NULL, "callee", "Exclusive", 0, 1);
        fixture_entered(x);
        queued = fixture_ask_start(x, NULL, "callee", "Work", 0, 1);
        fixture_settle(x);
        assert_int_equal(fixture_do(x, "callee", "Held", 2), 0);
        /* Queued behind it: never runs. */
        assert_ok(arbiter_future_cancel(queued));
        assert_errno(arbiter_future_cancel(queued), EALREADY);
        assert_outcome(fixture_ask_finish(x, NULL, queued), ARBITER_OUTCOME_CANCELLED,
                        ARBITER_EXECUTED_MAYBE);
        assert_ok(arbiter_future_cancel(held));
        assert_outcome(fixture_ask_finish(x, NULL, held), ARBITER_OUTCOME_CANCELLED, ARBITER_EXECUTED_MAYBE);
        assert_int_equal(fixture_do(x, "callee", "Held", 2), 1);
        assert_int_equal(fixture_do(x, "callee", "Held", 0), 1); /* an answer that nobody wants: dropped */
        assert_int_equal(fixture_do(x, "callee", "Work", 1), 2);
        assert_int_equal(ran(), 2); /* Exclusive, and the last Work */
}

static void test_broken_promise(void **state) {
        struct fixture *x = *state;
        arbiter_future *f;

        two(x);
        FOREACH_VIA(via) {
                assert_outcome(fixture_ask(x, via, "callee", "Drop", 0, 1), ARBITER_OUTCOME_BROKEN_PROMISE,
                                ARBITER_EXECUTED_MAYBE);
                f = fixture_ask_start(x, via, "callee", "Hold", 0, 1);
                fixture_entered(x);
                assert_int_equal(fixture_do(x, "callee", "Held", 1), 1);
                assert_outcome(fixture_ask_finish(x, via, f), ARBITER_OUTCOME_BROKEN_PROMISE,
                                ARBITER_EXECUTED_MAYBE);
                f = fixture_ask_start(x, via, "callee", "Hold", 0, 1);
                fixture_entered(x);
                assert_int_equal(fixture_do(x, "callee", "Held", 0), 1);
                assert_int_equal(fixture_ask_finish(x, via, f).value, 42);
        }
}

static void test_exactly_one_answer(void **state) {
        struct fixture *x = *state;

        two(x);
        FOREACH_VIA(via) {
                struct result q = fixture_ask(x, via, "callee", "Twice", 0, 1);

                assert_outcome(q, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
                assert_int_equal(q.value, 1);
                assert_int_equal(atomic_load(&shared->second_reply), EALREADY);
                q = fixture_ask(x, via, "callee", "BadReply", 0, 1);
                assert_outcome(q, ARBITER_OUTCOME_APPLICATION_ERROR, ARBITER_EXECUTED_YES);
                assert_string_equal(q.name, "io.arbiter.Arbiter1.Error.BadReply");
                assert_int_equal(atomic_load(&shared->second_reply), EINVAL);
        }
}

static void test_overload(void **state) {
        struct fixture *x = *state;
        arbiter_future *f[64], *blocker;
        unsigned overload = 0, replies = 0;
        arbiter_spawn *s = fixture_describe(x, "callee");

        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        assert_ok(arbiter_spawn_set_mailbox(s, 16, 0, ARBITER_MAILBOX_REJECT));
        arbiter_proxy_unref(fixture_start(x, s));
        blocker = fixture_ask_start(x, "caller", "callee", "Exclusive", 0, 1);
        fixture_entered(x);
        for (unsigned i = 0; i < ELEMENTS(f); i++)
                f[i] = fixture_ask_start(x, "caller", "callee", "Work", 0, 1);
        (void)fixture_do(x, "caller", "Work", 1);
        assert_int_equal(fixture_do(x, "callee", "Held", 0), 1);
        for (unsigned i = 0; i < ELEMENTS(f); i++) {
                struct result q = fixture_ask_finish(x, "caller", f[i]);

                overload += q.outcome == ARBITER_OUTCOME_OVERLOAD;
                replies += q.outcome == ARBITER_OUTCOME_REPLY;
                if (q.outcome == ARBITER_OUTCOME_OVERLOAD)
                        assert_int_equal(q.executed, ARBITER_EXECUTED_NO);
        }
        assert_int_equal(fixture_ask_finish(x, "caller", blocker).value, 42);
        assert_int_equal(overload + replies, ELEMENTS(f));
        assert_true(replies >= 1 && replies <= 16);
        assert_int_equal(ran(), replies + 2);
}

/* A name between two lives. */
static void test_restarting(void **state) {
        struct fixture *x = *state;
        arbiter_spawn *s = fixture_describe(x, "w");
        arbiter_monitor *m;
        arbiter_future *f;
        arbiter_proxy *p;

        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        assert_ok(arbiter_monitor_new(x->arbiter, "pool", s, NULL, &m));
        assert_ok(arbiter_monitor_set_backoff(
                        m, 30 * 1000 * 1000, 30 * 1000 * 1000, 2, 1, 60 * 1000 * 1000));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_start(m, 1, &f));
        fixture_wait(x, f);
        arbiter_future_unref(f);
        for (unsigned i = 0; i < 2; i++) {
                fixture_until_answers(x, "pool.1");
                p = fixture_proxy_of(x, "pool.1");
                assert_int_equal(arbiter_proxy_get_generation(p), i + 1);
                assert_ok(arbiter_send(
                                x->root, "pool.1", "ExitReason", "x", (int64_t)ARBITER_REASON_WATCHDOG));
                fixture_until_gone(x, p);
                arbiter_proxy_unref(p);
                if (i == 0)
                        continue; /* a first one is replaced at once */
                assert_outcome(fixture_ask(x, "caller", "pool.1", "Work", 0, 1), ARBITER_OUTCOME_RESTARTING,
                                ARBITER_EXECUTED_NO);
                assert_outcome(fixture_ask(x, NULL, "pool.1", "Work", 0, 1), ARBITER_OUTCOME_RESTARTING,
                                ARBITER_EXECUTED_NO);
        }
        arbiter_monitor_unref(m);
}

static void test_denied_by_allow(void **state) {
        struct fixture *x = *state;
        const char *allow[] = {"friend*", "pool", NULL};
        arbiter_spawn *s = fixture_describe(x, "caller"), *w = fixture_describe(x, "w");
        arbiter_monitor *pool, *other;

        assert_ok(arbiter_spawn_set_allow(s, allow));
        arbiter_proxy_unref(fixture_start(x, s));
        assert_ok(arbiter_monitor_new(x->arbiter, "pool", w, NULL, &pool));
        assert_ok(arbiter_monitor_start(pool, 1, NULL));
        assert_ok(arbiter_monitor_new(x->arbiter, "other", w, NULL, &other));
        assert_ok(arbiter_monitor_start(other, 1, NULL));
        fixture_until_answers(x, "pool.1");
        fixture_until_answers(x, "other.1");
        arbiter_proxy_unref(fixture_spawn(x, "friendly", NULL));
        arbiter_proxy_unref(fixture_spawn(x, "stranger", NULL));
        assert_outcome(fixture_ask(x, "caller", "friendly", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                        ARBITER_EXECUTED_YES);
        assert_outcome(fixture_ask(x, "caller", "stranger", "Work", 0, 1), ARBITER_OUTCOME_DENIED,
                        ARBITER_EXECUTED_NO);
        /* the name of a monitor stands for its workers */
        assert_outcome(fixture_ask(x, "caller", "pool.1", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                        ARBITER_EXECUTED_YES);
        assert_outcome(fixture_ask(x, "caller", "other.1", "Work", 0, 1), ARBITER_OUTCOME_DENIED,
                        ARBITER_EXECUTED_NO);
        assert_int_equal(ran(), 2);
        arbiter_monitor_unref(pool);
        arbiter_monitor_unref(other);
        arbiter_spawn_unref(w);
}

/* The link alone is lost, the callee lives: it says nonsense on it (here: the test cuts the caller's end).
 */
static void test_no_connection(void **state) {
        struct fixture *x = *state;
        arbiter_future *f;

        two(x);
        f = fixture_ask_start(x, "caller", "callee", "Hold", 0, 1);
        fixture_entered(x);
        (void)fixture_do(x, "callee", "Cut", 0);
        assert_outcome(fixture_ask_finish(x, "caller", f), ARBITER_OUTCOME_NO_CONNECTION,
                        ARBITER_EXECUTED_MAYBE);
        assert_outcome(fixture_ask(x, NULL, "callee", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                        ARBITER_EXECUTED_YES);
        /* The next request makes a new link. */
        assert_outcome(fixture_ask(x, "caller", "callee", "Work", 0, 1), ARBITER_OUTCOME_REPLY,
                        ARBITER_EXECUTED_YES);
}

/* caller → b → c: the answer comes from c, b is out of it. */
static void test_delegation(void **state) {
        struct fixture *x = *state;
        arbiter_proxy *p, *b;
        arbiter_future *f;
        struct result q;

        arbiter_proxy_unref(fixture_spawn(x, "caller", NULL));
        FOREACH_VIA(via) {
                b = fixture_spawn(x, "b", "delegate=Hold", NULL);
                p = fixture_spawn(x, "c", NULL);
                fixture_tell_proxy(x, "b", "SetPeer", p);
                for (unsigned i = 0; i < 3; i++) {
                        f = fixture_ask_start(x, via, "b", "Delegate", 0, 1);
                        fixture_entered(x);
                        assert_int_equal(fixture_do(x, "c", "Held", 0), 1);
                        q = fixture_ask_finish(x, via, f);
                        assert_outcome(q, ARBITER_OUTCOME_REPLY, ARBITER_EXECUTED_YES);
                        assert_int_equal(q.value, 42);
                }
                f = fixture_ask_start(x, via, "b", "Delegate", 0, 1);
                fixture_entered(x);
                (void)fixture_do(x, "b", "Work", 0); /* b has told the caller before this */
                fixture_stop(x, "b");
                fixture_until_gone(x, b); /* b is out of it */
                if (x->kind == ARBITER_CONCURRENCY_PROCESS) {
                        assert_ok(kill((pid_t)fixture_do(x, "c", "Pid", 0), SIGKILL));
                        q = fixture_ask_finish(x, via, f);
                        assert_outcome(q, ARBITER_OUTCOME_CALLEE_DIED, ARBITER_EXECUTED_MAYBE);
                        assert_int_equal(q.reason, ARBITER_REASON_SIGNAL);
                } else {
                        assert_int_equal(fixture_do(x, "c", "Held", 0), 1);
                        assert_int_equal(fixture_ask_finish(x, via, f).value, 42);
                        fixture_stop(x, "c");
                }
                fixture_until_gone(x, p);
                arbiter_proxy_unref(p);
                arbiter_proxy_unref(b);
        }
}

static void test_no_blocking_in_handlers(void **state) {
        struct fixture *x = *state;

        two(x);
        assert_int_equal(fixture_do(x, "callee", "Deadlock", 0), -EDEADLK);
}

static const struct fixture_test tests[] = {
                {"reply", test_reply},
                {"application error", test_application_error},
                {"noproc", test_noproc},
                {"refused before it runs", test_refused_before_it_runs},
                {"expired and timeout", test_expired_and_timeout, ON_THREAD | ON_PROCESS},
                {"promise, timeout, late reply", test_promise_timeout_and_late_reply},
                {"chained deadline", test_chained_deadline},
                {"deadlock", test_deadlock},
                {"callee died", test_callee_died, ON_PROCESS},
                {"callee exits in its handler", test_callee_exits_in_handler, ON_PROCESS},
                {"cancel", test_cancel},
                {"broken promise", test_broken_promise},
                {"exactly one answer", test_exactly_one_answer},
                {"overload", test_overload},
                {"restarting", test_restarting},
                {"denied by Allow=", test_denied_by_allow},
                {"no connection", test_no_connection},
                {"delegation", test_delegation},
                {"no blocking in handlers", test_no_blocking_in_handlers},
};

int main(void) {
        return fixture_run("outcomes", tests, ELEMENTS(tests));
}
