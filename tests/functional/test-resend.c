/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mail that its receiver had not begun when it died, or ended in order: sent again by name, exactly once and
 * in order; never sent again to a life, or when it had begun. */

#include "mail-fixture.h"

static unsigned rounds(unsigned n) {
        return getenv("ARBITER_TEST_LONG") ? n * 10 : n;
}

/* Behind one that has begun waits a queue; SIGKILL. Each round is a death. */
static void test_kill_behind_begun(void **state) {
        const unsigned n_rounds = rounds(1000), per_round = 24;
        struct mail x;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 1, ARBITER_ROUTING_ROUND_ROBIN, ARBITER_MAIL_KEEP);
        mail_start_sender(&x, "sender");
        for (unsigned i = 0; i < n_rounds; i++) {
                uint32_t first = i * per_round % (NUMBERS - per_round) / 2 * 2;
                uint64_t entered = atomic_load(&board->entered);
                arbiter_future *f;

                for (unsigned k = first; k < first + per_round; k++)
                        board->ran[k] = board->outcomes[k] = 0;
                atomic_store(&board->last, -1);
                atomic_store(&board->blocks, 1);
                f = mail_stream(&x, "sender", "web.1", first, per_round, 0);
                mail_until(&x, atomic_load(&board->entered) > entered);
                assert_ok(kill(atomic_load(&board->pid[1]), SIGKILL));
                atomic_store(&board->blocks, 0);
                mail_finish(&x, f);
                mail_until(&x, atomic_load(&board->last) == (int64_t) first + per_round - 1);

                assert_int_equal(mail_check(first, per_round), 1);
                assert_int_equal(board->outcome[first], ARBITER_OUTCOME_CALLEE_DIED);
                assert_int_equal(board->executed[first], ARBITER_EXECUTED_MAYBE);
                for (unsigned k = first; k < first + per_round; k++)
                        assert_int_equal(board->ran[k], 1);
        }
        assert_int_equal(atomic_load(&board->order_errors), 0);
        assert_int_equal(atomic_load(&board->dead_letters), 0);
        assert_int_equal(atomic_load(&board->lives[1]), n_rounds + 1);
        mail_teardown(&x);
}

/* The worker dies again and again in the midst of what it does: before it has run a message, or after. */
static void test_random_kills(void **state) {
        const uint32_t n = rounds(20000);
        struct mail x;
        unsigned failed;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 1, ARBITER_ROUTING_ROUND_ROBIN, ARBITER_MAIL_KEEP);
        mail_start_sender(&x, "sender");
        atomic_store(&board->kill_every, 16);
        mail_finish(&x, mail_stream(&x, "sender", "web.1", 0, n, 0));
        atomic_store(&board->kill_every, 0);
        mail_finish(&x, mail_stream(&x, "sender", "web.1", n, 2, 0)); /* behind the casts */
        failed = mail_check(0, n);
        assert_int_equal(atomic_load(&board->order_errors), 0);
        assert_int_equal(atomic_load(&board->dead_letters), 0);
        assert_true(atomic_load(&board->kills) > n / 32);
        /* With each life one message ends that had begun and had not run; nothing else is lost. Answers that
         * had not left yet are. */
        assert_true(mail_count_not_run(0, n) <= atomic_load(&board->kills));
        assert_true(failed >= atomic_load(&board->kills) / 4);
        for (uint32_t i = 0; i < n; i += 2) {
                assert_int_equal(board->outcomes[i], 1);
                assert_true(board->outcome[i] == ARBITER_OUTCOME_REPLY ||
                                board->outcome[i] == ARBITER_OUTCOME_CALLEE_DIED);
        }
        mail_teardown(&x);
}

/* Several senders, a pool, and kills from outside. */
static void test_random_kills_of_a_pool(void **state) {
        enum { SENDERS = 3 };
        const uint32_t n = rounds(10000);
        arbiter_future *f[SENDERS];
        struct mail x;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 4, ARBITER_ROUTING_LEAST_OUTSTANDING, ARBITER_MAIL_KEEP);
        for (unsigned i = 0; i < SENDERS; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "sender%u", i);
                mail_start_sender(&x, name);
        }
        atomic_store(&board->kill_every, 32);
        for (unsigned i = 0; i < SENDERS; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "sender%u", i);
                f[i] = mail_stream(&x, name, "web", i * n, n, MAIL_HOLD);
        }
        for (unsigned i = 0; i < SENDERS; i++)
                mail_finish(&x, f[i]);
        atomic_store(&board->kill_every, 0);
        mail_until(&x, mail_count_not_run(0, SENDERS * n) <= atomic_load(&board->kills));
        (void) mail_check(0, SENDERS * n);
        assert_int_equal(atomic_load(&board->dead_letters), 0);
        for (uint32_t i = 0; i < SENDERS * n; i += 2)
                assert_int_equal(board->outcomes[i], 1);
        mail_teardown(&x);
}

/* In order: nothing is lost, and nothing fails; for each concurrency. */
static void test_orderly_stops(void **state) {
        static const arbiter_concurrency kinds[] = {
                ARBITER_CONCURRENCY_PROCESS, ARBITER_CONCURRENCY_THREAD, ARBITER_CONCURRENCY_INLINE };
        const uint32_t n = rounds(5000);

        for (size_t k = 0; k < 3; k++) {
                struct mail x;

                mail_setup(&x, kinds[k]);
                mail_start_pool(&x, 1, ARBITER_ROUTING_ROUND_ROBIN, ARBITER_MAIL_KEEP);
                mail_start_sender(&x, "sender");
                atomic_store(&board->stop_every, 16);
                mail_finish(&x, mail_stream(&x, "sender", "web.1", 0, n, 0));
                atomic_store(&board->stop_every, 0);
                /* nothing waits for web.1 any more, and it may stop once more: these say that they would */
                mail_finish(&x, mail_stream(&x, "sender", "web.1", n, 2, MAIL_HOLD));
                assert_int_equal(mail_check(0, n), 0);
                assert_int_equal(mail_count_lost_casts(0, n), 0);
                assert_int_equal(atomic_load(&board->order_errors), 0);
                assert_int_equal(atomic_load(&board->dead_letters), 0);
                assert_in_range(atomic_load(&board->lives[1]), 6, n);
                mail_teardown(&x);
        }
}

/* Each worker is replaced, over and over, while two senders send: not one failed request. */
static void test_replaced_under_load(void **state) {
        const uint32_t n = rounds(20000);
        arbiter_future *f, *g, *restarted;
        unsigned rolls = 0;
        struct mail x;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 4, ARBITER_ROUTING_ROUND_ROBIN, ARBITER_MAIL_KEEP);
        mail_start_sender(&x, "a");
        mail_start_sender(&x, "b");
        f = mail_stream(&x, "a", "web", 0, n, MAIL_HOLD);
        g = mail_stream(&x, "b", "web.1", n, n, MAIL_HOLD);
        while (arbiter_future_is_pending(f) || arbiter_future_is_pending(g) || rolls < 5) {
                assert_ok(arbiter_monitor_restart(x.pool, NULL, &restarted));
                mail_wait(&x, restarted);
                arbiter_future_unref(restarted);
                rolls++;
        }
        mail_finish(&x, f);
        mail_finish(&x, g);
        assert_int_equal(mail_check(0, 2 * n), 0);
        mail_until(&x, mail_count_lost_casts(0, 2 * n) == 0);
        assert_int_equal(atomic_load(&board->dead_letters), 0);
        mail_teardown(&x);
}

/* To a life: what it had not begun is over with it. */
static void test_by_proxy(void **state) {
        struct mail x;
        arbiter_future *f;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 1, ARBITER_ROUTING_ROUND_ROBIN, ARBITER_MAIL_KEEP);
        mail_start_sender(&x, "sender");
        atomic_store(&board->blocks, 1);
        f = mail_stream(&x, "sender", "web.1", 0, 40, MAIL_BY_PROXY);
        mail_until(&x, atomic_load(&board->entered) > 0);
        assert_ok(kill(atomic_load(&board->pid[1]), SIGKILL));
        atomic_store(&board->blocks, 0);
        mail_finish(&x, f);
        assert_int_equal(mail_check(0, 40), 20);
        for (unsigned i = 2; i < 40; i += 2) {
                assert_int_equal(board->outcome[i], ARBITER_OUTCOME_NOPROC);
                assert_int_equal(board->ran[i], 0);
        }
        mail_finish(&x, mail_stream(&x, "sender", "web.1", 40, 2, MAIL_HOLD));
        for (unsigned i = 1; i < 40; i++)
                assert_int_equal(board->ran[i], 0);
        mail_teardown(&x);
}

/* Nobody wants it kept: what was not begun is refused, and casts are dead letters. */
static void test_drop(void **state) {
        struct mail x;
        arbiter_future *f;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 1, ARBITER_ROUTING_ROUND_ROBIN, ARBITER_MAIL_DROP);
        mail_start_sender(&x, "sender");
        atomic_store(&board->blocks, 1);
        f = mail_stream(&x, "sender", "web.1", 0, 40, 0);
        mail_until(&x, atomic_load(&board->entered) > 0);
        assert_ok(kill(atomic_load(&board->pid[1]), SIGKILL));
        atomic_store(&board->blocks, 0);
        mail_finish(&x, f);
        assert_int_equal(mail_check(0, 40), 20);
        for (unsigned i = 2; i < 40; i += 2)
                assert_int_equal(board->outcome[i], ARBITER_OUTCOME_NOPROC);
        assert_int_equal(atomic_load(&board->dead_letters), 20);
        mail_finish(&x, mail_stream(&x, "sender", "web.1", 40, 2, MAIL_HOLD));
        for (unsigned i = 1; i < 40; i++)
                assert_int_equal(board->ran[i], 0);
        mail_teardown(&x);
}

/* Nobody restarts it: noproc for all that it had not begun, at once; and so for what waits for a name that
 * is given up. */
static void test_nobody_restarts(void **state) {
        struct mail x;
        arbiter_future *f;
        arbiter_spawn *s;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_sender(&x, "sender");
        s = mail_describe(&x, "lone", &mail_worker);
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        mail_finish(&x, f);
        atomic_store(&board->blocks, 1);
        f = mail_stream(&x, "sender", "lone", 0, 40, MAIL_HOLD);
        mail_until(&x, atomic_load(&board->entered) > 0);
        assert_ok(kill(atomic_load(&board->pid[0]), SIGKILL));
        mail_finish(&x, f);
        assert_int_equal(mail_check(0, 40), 20);
        for (unsigned i = 2; i < 40; i += 2)
                assert_int_equal(board->outcome[i], ARBITER_OUTCOME_NOPROC);
        assert_int_equal(atomic_load(&board->dead_letters), 20);
        mail_teardown(&x);
}

/* The worker is in backoff: what it had not begun waits, and its deadline goes on counting. */
static void test_deadline_counts(void **state) {
        const uint64_t hour = UINT64_C(3600) * 1000000;
        arbiter_future *f, *g;
        arbiter_message *m;
        struct mail x;
        arbiter_send_options o = {
                .size = sizeof(o), .timeout_usec = 50 * 1000, .flags = ARBITER_SEND_HOLD };
        arbiter_spawn *s;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        s = mail_describe(&x, "web", &mail_worker);
        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
        assert_ok(arbiter_monitor_new(x.arbiter, "web", s, NULL, &x.pool));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_backoff(x.pool, hour, hour, 0, UINT_MAX, hour));
        assert_ok(arbiter_monitor_start(x.pool, 1, &f));
        mail_finish(&x, f);
        /* The first death is followed by a start at once, the second is not. */
        assert_ok(kill(atomic_load(&board->pid[1]), SIGKILL));
        mail_until(&x, atomic_load(&board->lives[1]) == 2);
        assert_ok(kill(atomic_load(&board->pid[1]), SIGKILL));
        for (;;) { /* until it is between two lives */
                assert_ok(arbiter_message_new(&m));
                assert_ok(arbiter_message_append(m, "u", 1));
                assert_ok(arbiter_send_with(x.root, "web.1", "Number", m, NULL, &g));
                arbiter_message_unref(m);
                assert_ok(arbiter_future_wait(g, GUARD_USEC));
                if (arbiter_future_get_outcome(g) == ARBITER_OUTCOME_RESTARTING)
                        break;
                arbiter_future_unref(g);
        }
        arbiter_future_unref(g);
        assert_ok(arbiter_message_new(&m));
        assert_ok(arbiter_message_append(m, "u", 2));
        for (unsigned i = 0; i < 2; i++) {
                assert_ok(arbiter_send_with(x.root, i ? "web" : "web.1", "Number", m, &o, &g));
                assert_ok(arbiter_future_wait(g, GUARD_USEC));
                assert_int_equal(arbiter_future_get_outcome(g), ARBITER_OUTCOME_EXPIRED);
                assert_int_equal(arbiter_future_get_executed(g), ARBITER_EXECUTED_NO);
                arbiter_future_unref(g);
        }
        arbiter_message_unref(m);
        mail_teardown(&x);
}

static void cast_from_root(struct mail *x, const char *command, uint32_t number) {
        arbiter_message *m;

        assert_ok(arbiter_message_new(&m));
        if (number > 0)
                assert_ok(arbiter_message_append(m, "u", number));
        assert_ok(arbiter_send_with(x->root, "web.1", command, m, NULL, NULL));
        arbiter_message_unref(m);
}

static unsigned count_run(uint32_t n) {
        unsigned run = 0;

        for (uint32_t i = 1; i <= n; i++)
                run += atomic_load(&board->ran[i]);
        return run;
}

/* A system command overtakes casts that wait, so they look begun to their sender, and are not sent again:
 * then they are dead letters, and not lost in silence. */
static void test_overtaken(void **state) {
        enum { CASTS = 10 };
        arbiter_future *f;
        struct mail x;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 1, ARBITER_ROUTING_ROUND_ROBIN, ARBITER_MAIL_KEEP);
        assert_ok(arbiter_call_async(x.root, &f, "web.1", "HoldUp", UINT64_MAX, ""));
        for (uint32_t i = 1; i <= CASTS; i++)
                cast_from_root(&x, "Number", i);
        cast_from_root(&x, "StopAtOnce", 0);
        mail_until(&x, atomic_load(&board->lives[1]) == 2);
        mail_until(&x, atomic_load(&board->dead_letters) + count_run(CASTS) == CASTS);
        for (uint32_t i = 1; i <= CASTS; i++)
                assert_in_range(atomic_load(&board->ran[i]), 0, 1);
        arbiter_future_unref(f);
        mail_teardown(&x);
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kill_behind_begun),
                cmocka_unit_test(test_random_kills),
                cmocka_unit_test(test_random_kills_of_a_pool),
                cmocka_unit_test(test_orderly_stops),
                cmocka_unit_test(test_replaced_under_load),
                cmocka_unit_test(test_by_proxy),
                cmocka_unit_test(test_drop),
                cmocka_unit_test(test_nobody_restarts),
                cmocka_unit_test(test_deadline_counts),
                cmocka_unit_test(test_overtaken),
        };

        mail_board();
        if (argc > 1) /* one of them */
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
