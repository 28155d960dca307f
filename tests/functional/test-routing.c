/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages to the name of a pool: whom they go to by each policy, what stays the monitor's, and what becomes
 * of them when workers come and go. */

#include "actor/pool.h"
#include "arbiter/internal.h"
#include "mail-fixture.h"

static const arbiter_concurrency kinds[] = {
        ARBITER_CONCURRENCY_PROCESS, ARBITER_CONCURRENCY_THREAD, ARBITER_CONCURRENCY_INLINE };

static arbiter_future *ask(struct mail *x, const char *target, const char *command, uint32_t number,
                const arbiter_send_options *o) {
        arbiter_message *m;
        arbiter_future *f;

        assert_ok(arbiter_message_new(&m));
        assert_ok(arbiter_message_append(m, "u", number));
        assert_ok(arbiter_send_with(x->root, target, command, m, o, &f));
        arbiter_message_unref(m);
        assert_ok(arbiter_future_wait(f, GUARD_USEC));
        return f;
}

static arbiter_outcome ask_outcome(struct mail *x, const char *target, uint32_t number,
                const arbiter_send_options *o) {
        arbiter_future *f = ask(x, target, "Number", number, o);
        arbiter_outcome outcome = arbiter_future_get_outcome(f);

        arbiter_future_unref(f);
        return outcome;
}

static void scale(struct mail *x, unsigned n) {
        arbiter_future *f;

        assert_ok(arbiter_monitor_scale(x->pool, n, &f));
        mail_wait(x, f);
        arbiter_future_unref(f);
}

/* From an actor and from the arbiter; each worker has the same share. */
static void test_round_robin(void **state) {
        for (size_t k = 0; k < 3; k++) {
                struct mail x;

                mail_setup(&x, kinds[k]);
                mail_start_pool(&x, 4, ARBITER_ROUTING_DEFAULT, ARBITER_MAIL_KEEP);
                mail_start_sender(&x, "sender");
                mail_finish(&x, mail_stream(&x, "sender", "web", 0, 4000, 0));
                assert_int_equal(mail_check(0, 4000), 0);
                mail_until(&x, mail_count_lost_casts(0, 4000) == 0);
                for (unsigned i = 1; i <= 4; i++)
                        assert_int_equal(atomic_load(&board->n_ran[i]), 1000);
                for (unsigned i = 0; i < 8; i++)
                        assert_int_equal(ask_outcome(&x, "web", 4000 + i, NULL), ARBITER_OUTCOME_REPLY);
                for (unsigned i = 1; i <= 4; i++)
                        assert_int_equal(atomic_load(&board->n_ran[i]), 1002);
                mail_teardown(&x);
        }
}

/* One worker is held up: the others have the rest of the work. */
static void test_least_outstanding(void **state) {
        struct mail x;
        arbiter_future *blocked, *f;
        arbiter_message *m;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 3, ARBITER_ROUTING_LEAST_OUTSTANDING, ARBITER_MAIL_KEEP);
        mail_start_sender(&x, "sender");
        atomic_store(&board->blocks, 1);
        f = mail_stream(&x, "sender", "web", 0, BURST, MAIL_REQUESTS); /* the first is Block */
        mail_until(&x, mail_count_not_run(0, BURST) <= BURST / 3 + 1);
        atomic_store(&board->blocks, 0);
        mail_finish(&x, f);
        assert_int_equal(mail_check(0, BURST), 0);

        /* One at a time: never to the one that has not answered. */
        atomic_store(&board->blocks, 1);
        for (unsigned i = 1; i <= 3; i++)
                atomic_store(&board->n_ran[i], 0);
        assert_ok(arbiter_message_new(&m));
        assert_ok(arbiter_message_append(m, "u", 1000));
        assert_ok(arbiter_send_with(x.root, "web", "Block", m, NULL, &blocked));
        arbiter_message_unref(m);
        for (unsigned i = 0; i < 60; i++)
                assert_int_equal(ask_outcome(&x, "web", 2000 + i, NULL), ARBITER_OUTCOME_REPLY);
        atomic_store(&board->blocks, 0);
        mail_finish(&x, blocked);
        unsigned idle = 0;
        for (unsigned i = 1; i <= 3; i++) {
                idle += atomic_load(&board->n_ran[i]) == 0;
                assert_true(atomic_load(&board->n_ran[i]) == 0 || atomic_load(&board->n_ran[i]) == 30);
        }
        assert_int_equal(idle, 1);
        mail_teardown(&x);
}

static uint8_t where[1000];

static void remember(uint32_t first) {
        for (unsigned i = 0; i < 1000; i++)
                where[i] = board->by[first + i];
}

/* How many keys are with another worker than they were; and how many of those were not with `gone`. */
static unsigned count_moved(uint32_t first, unsigned gone, unsigned came, unsigned *ret_wrong) {
        unsigned moved = 0;

        *ret_wrong = 0;
        for (unsigned i = 0; i < 1000; i++) {
                if (where[i] == board->by[first + i])
                        continue;
                moved++;
                *ret_wrong += gone ? where[i] != gone : board->by[first + i] != came;
        }
        return moved;
}

/* The same worker for the same key, from whoever sends, over restarts; a worker that comes or goes moves its
 * own keys and no others. */
static void test_consistent_hash(void **state) {
        unsigned moved, wrong, own = 0;
        struct mail x;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 5, ARBITER_ROUTING_CONSISTENT_HASH, ARBITER_MAIL_KEEP);
        mail_start_sender(&x, "a");
        mail_start_sender(&x, "b");
        mail_finish(&x, mail_stream(&x, "a", "web", 0, 1000, MAIL_KEYS | MAIL_REQUESTS));
        remember(0);
        for (unsigned i = 0; i < 1000; i++)
                assert_in_range(where[i], 1, 5);
        mail_finish(&x, mail_stream(&x, "b", "web", 1000, 1000, MAIL_KEYS | MAIL_REQUESTS));
        assert_int_equal(count_moved(1000, 0, 0, &wrong), 0);

        /* A next life has the keys of the one before. */
        assert_ok(kill(atomic_load(&board->pid[2]), SIGKILL));
        mail_until(&x, atomic_load(&board->lives[2]) == 2);
        while (ask_outcome(&x, "web.2", 900000, NULL) != ARBITER_OUTCOME_REPLY)
                ;
        mail_finish(&x, mail_stream(&x, "a", "web", 2000, 1000, MAIL_KEYS | MAIL_REQUESTS));
        (void) count_moved(2000, 2, 0, &wrong); /* "a" may not have heard of it in time */
        assert_int_equal(wrong, 0);
        mail_finish(&x, mail_stream(&x, "a", "web", 3000, 1000, MAIL_KEYS | MAIL_REQUESTS));
        assert_int_equal(count_moved(3000, 0, 0, &wrong), 0);

        /* One more: only it gets keys. */
        scale(&x, 6);
        mail_finish(&x, mail_stream(&x, "a", "web", 4000, 1000, MAIL_KEYS | MAIL_REQUESTS));
        moved = count_moved(4000, 0, 6, &wrong);
        assert_int_equal(wrong, 0);
        assert_in_range(moved, 80, 270); /* about a sixth */
        remember(4000);

        /* The oldest goes: only its keys move. */
        scale(&x, 5);
        mail_finish(&x, mail_stream(&x, "a", "web", 5000, 1000, MAIL_KEYS | MAIL_REQUESTS));
        unsigned gone = 0;
        for (unsigned i = 0; i < 1000; i++)
                if (where[i] != board->by[5000 + i])
                        gone = where[i];
        assert_true(gone > 0);
        for (unsigned i = 0; i < 1000; i++)
                own += where[i] == gone;
        assert_int_equal(count_moved(5000, gone, 0, &wrong), own);
        assert_int_equal(wrong, 0);
        assert_int_equal(mail_check(0, 6000), 0);
        mail_teardown(&x);
}

static void test_broadcast(void **state) {
        arbiter_send_options o = { .size = sizeof(o), .routing = ARBITER_ROUTING_BROADCAST };

        for (size_t k = 0; k < 3; k++) {
                arbiter_future *f, *member;
                const char *name;
                uint32_t number;
                unsigned n = 0;
                struct mail x;

                mail_setup(&x, kinds[k]);
                mail_start_pool(&x, 3, ARBITER_ROUTING_DEFAULT, ARBITER_MAIL_KEEP);
                f = ask(&x, "web", "Number", 7, &o);
                assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
                assert_int_equal(atomic_load(&board->ran[7]), 3);
                arbiter_message *reply;
                assert_ok(arbiter_future_get_reply(f, &reply));
                assert_string_equal(arbiter_message_get_signature(reply), "a{sv}");
                assert_true(arbiter_message_enter_container(reply, 'a', "{sv}") > 0);
                while (arbiter_message_read(reply, "{sv}", &name, "u", &number) > 0) {
                        assert_int_equal(strncmp(name, "web.", 4), 0);
                        assert_int_equal(number, 7);
                        n++;
                }
                assert_int_equal(n, 3);
                for (n = 0; arbiter_future_get_member(f, n, &member) >= 0; n++) {
                        arbiter_proxy *p;

                        assert_ok(arbiter_future_get_proxy(member, &p));
                        assert_int_equal(strncmp(arbiter_proxy_get_name(p), "web.", 4), 0);
                        arbiter_proxy_unref(p);
                }
                assert_int_equal(n, 3);
                arbiter_future_unref(f);
                for (unsigned i = 1; i <= 3; i++)
                        assert_int_equal(atomic_load(&board->n_ran[i]), 1);
                /* One that nobody knows: the first refusal. */
                f = ask(&x, "web", "NoSuch", 1, &o);
                assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_UNKNOWN_COMMAND);
                arbiter_future_unref(f);
                /* As the pool's own, and as a cast. */
                assert_ok(arbiter_monitor_set_routing(x.pool, ARBITER_ROUTING_BROADCAST));
                assert_ok(arbiter_call(x.root, NULL, "arbiter", "ping", 0, "")); /* behind the news of it */
                assert_ok(arbiter_send(x.root, "web", "Number", "u", (uint32_t) 8));
                mail_until(&x, atomic_load(&board->ran[8]) == 3);
                mail_teardown(&x);
        }
}

/* What is the monitor's, and what the pool's; and an explicit way to both. */
static void test_monitors_commands(void **state) {
        arbiter_send_options o = { .size = sizeof(o), .flags = ARBITER_SEND_TO_MONITOR };
        arbiter_message *m;
        arbiter_future *f;
        const char *s;
        struct mail x;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 2, ARBITER_ROUTING_DEFAULT, ARBITER_MAIL_KEEP);
        assert_int_equal(ask_outcome(&x, "web", 1, NULL), ARBITER_OUTCOME_REPLY);
        assert_int_equal(ask_outcome(&x, "web", 2, &o), ARBITER_OUTCOME_UNKNOWN_COMMAND);
        assert_ok(arbiter_call(x.root, &m, "web", "ping", 0, ""));
        arbiter_message_unref(m);
        for (unsigned i = 0; i < 2; i++) { /* "config" is everybody's */
                o.flags = i ? ARBITER_SEND_TO_POOL : 0;
                assert_ok(arbiter_message_new(&m));
                assert_ok(arbiter_message_append(m, "ssv", "get", "concurrency", "s", ""));
                assert_ok(arbiter_send_with(x.root, "web", "config", m, &o, &f));
                arbiter_message_unref(m);
                mail_wait(&x, f);
                assert_true(arbiter_future_get(f, "v", "s", &s) > 0);
                assert_string_equal(s, i ? "process" : "inline");
                arbiter_future_unref(f);
        }
        /* the module's own: scale */
        assert_ok(arbiter_call_async(x.root, &f, "web", "scale", 0, "u", (uint32_t) 3));
        assert_ok(arbiter_future_wait(f, GUARD_USEC));
        assert_int_not_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_UNKNOWN_COMMAND);
        arbiter_future_unref(f);
        o.flags = ARBITER_SEND_TO_POOL | ARBITER_SEND_TO_MONITOR;
        assert_ok(arbiter_message_new(&m));
        assert_errno(arbiter_send_with(x.root, "web", "Number", m, &o, &f), EINVAL);
        arbiter_message_unref(m);
        mail_teardown(&x);
}

/* Nobody there: noproc at once, or, while there will be somebody, held. */
static void test_nobody(void **state) {
        arbiter_send_options hold = {
                .size = sizeof(hold), .flags = ARBITER_SEND_HOLD, .timeout_usec = GUARD_USEC };
        arbiter_future *f[2];
        struct mail x;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 1, ARBITER_ROUTING_DEFAULT, ARBITER_MAIL_KEEP);
        mail_start_sender(&x, "sender");
        assert_int_equal(ask_outcome(&x, "web", 1, &hold), ARBITER_OUTCOME_REPLY);
        for (unsigned i = 0; i < 50; i++) {
                uint32_t lives = atomic_load(&board->lives[1]), number = 100 + 100 * i;

                assert_ok(kill(atomic_load(&board->pid[1]), SIGKILL));
                f[0] = mail_stream(&x, "sender", "web", number, 40, MAIL_HOLD | MAIL_REQUESTS);
                assert_int_equal(ask_outcome(&x, "web", number + 50, &hold), ARBITER_OUTCOME_REPLY);
                mail_finish(&x, f[0]);
                assert_int_equal(mail_check(number, 40), 0);
                assert_true(atomic_load(&board->lives[1]) > lives);
        }
        scale(&x, 0);
        assert_int_equal(ask_outcome(&x, "web", 2, NULL), ARBITER_OUTCOME_NOPROC);
        assert_int_equal(ask_outcome(&x, "web", 3, &hold), ARBITER_OUTCOME_NOPROC);
        mail_finish(&x, mail_stream(&x, "sender", "web", 10, 40, 0));
        assert_int_equal(mail_check(10, 40), 20);
        assert_int_equal(board->outcome[10], ARBITER_OUTCOME_NOPROC);
        scale(&x, 2);
        mail_finish(&x, mail_stream(&x, "sender", "web", 60, 40, 0));
        assert_int_equal(mail_check(60, 40), 0);
        /* The monitor itself goes. */
        assert_ok(arbiter_monitor_stop(x.pool, &f[0]));
        mail_wait(&x, f[0]);
        arbiter_future_unref(f[0]);
        assert_int_equal(ask_outcome(&x, "web", 4, &hold), ARBITER_OUTCOME_NOPROC);
        mail_finish(&x, mail_stream(&x, "sender", "web", 6000, 40, MAIL_HOLD));
        assert_int_equal(board->outcome[6000], ARBITER_OUTCOME_NOPROC);
        mail_teardown(&x);
}

/* Pools grow and shrink under load, and their policy changes: nothing is lost, nothing fails. */
static void test_scale_under_load(void **state) {
        const uint32_t n = 20000;
        struct mail x;

        for (unsigned policy = ARBITER_ROUTING_ROUND_ROBIN; policy <= ARBITER_ROUTING_CONSISTENT_HASH;
                        policy++) {
                arbiter_future *f;
                unsigned i = 0;

                mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
                mail_start_pool(&x, 3, policy, ARBITER_MAIL_KEEP);
                mail_start_sender(&x, "sender");
                f = mail_stream(&x, "sender", "web", 0, n, MAIL_KEYS | MAIL_HOLD);
                while (arbiter_future_is_pending(f) || i < 6) {
                        scale(&x, 1 + i++ % 5);
                        assert_ok(arbiter_monitor_set_routing(x.pool, 1 + i % 3));
                }
                mail_finish(&x, f);
                assert_int_equal(mail_check(0, n), 0);
                mail_until(&x, mail_count_lost_casts(0, n) == 0);
                assert_int_equal(atomic_load(&board->dead_letters), 0);
                mail_teardown(&x);
        }
}

/* Whatever is said of a pool, a sender believes only what makes sense, and whom it cannot reach it does
 * without. Here the arbiter itself says it, since anybody else who does loses his link. */
static void test_lies(void **state) {
        static const struct {
                const char *pool;
                uint32_t what;
                const char *aid, *name;
                uint32_t value;
        } lies[] = {
                { "web", POOL_JOINED, "zzzzzzzz", "web.9", 1 }, /* nobody has that */
                { "web", POOL_JOINED, "zzzzzzzy", "web.1", 7 },
                { "web", POOL_JOINED, "", "", 0 },
                { "web", POOL_JOINED, "too-long-for-an-aid", "web.3", 0 },
                { "web", POOL_JOINED, "zzzzzzzx", "no name at all", 0 },
                { "web", POOL_LEFT, "zzzzzzzw", "web.8", 0 },
                { "web", POOL_LEFT, "?", "", 0 },
                { "web", POOL_HOPE, "", "", 77 },
                { "web", POOL_ROUTING, "", "", 77 },
                { "web", 99, "x", "y", 1 },
                { "nobody", POOL_GONE, "", "", 0 },
                { "", POOL_STALE, "", "", 0 },
        };
        struct child *sender;
        struct mail x;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        mail_start_pool(&x, 2, ARBITER_ROUTING_DEFAULT, ARBITER_MAIL_KEEP);
        mail_start_sender(&x, "sender");
        mail_finish(&x, mail_stream(&x, "sender", "web", 0, 40, 0));
        sender = child_find(x.arbiter, "sender");
        assert_non_null(sender);
        for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
                uint32_t first = 100 + 100 * (uint32_t) i;

                assert_ok(actor_signal_peer(sender->peer, ENVELOPE_SYSTEM, "pool", "sussu", lies[i].pool,
                                lies[i].what, lies[i].aid, lies[i].name, lies[i].value));
                assert_ok(actor_signal_peer(sender->peer, ENVELOPE_SYSTEM, "pool", "s", lies[i].pool));
                mail_finish(&x, mail_stream(&x, "sender", "web", first, 100, 0));
                assert_int_equal(mail_check(first, 100), 0);
        }
        /* That it is gone is a reason to ask, and no more. */
        assert_ok(actor_signal_peer(sender->peer, ENVELOPE_SYSTEM, "pool", "sussu", "web",
                        (uint32_t) POOL_GONE, "", "", 0U));
        mail_finish(&x, mail_stream(&x, "sender", "web", 5000, 100, 0));
        assert_int_equal(mail_check(5000, 100), 0);
        mail_until(&x, mail_count_lost_casts(100, 100 * ELEMENTSOF(lies)) == 0);
        mail_teardown(&x);
}

static void test_words(void **state) {
        arbiter_routing r;

        for (unsigned i = ARBITER_ROUTING_ROUND_ROBIN; i <= ARBITER_ROUTING_BROADCAST; i++) {
                assert_ok(arbiter_routing_from_string(arbiter_routing_to_string(i), &r));
                assert_int_equal(r, i);
        }
        assert_null(arbiter_routing_to_string(0));
        assert_null(arbiter_routing_to_string(9));
        assert_errno(arbiter_routing_from_string("random", &r), EINVAL);
}

static void start_snoop(struct mail *x) {
        static const char *const allow[] = { "nobody-else", NULL };
        arbiter_spawn *s = mail_describe(x, "snoop", &mail_sender);
        arbiter_future *f;

        assert_ok(arbiter_spawn_set_allow(s, allow));
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        mail_finish(x, f);
}

/* Two deaths: the second is followed by a backoff of an hour. */
static void start_and_kill(struct mail *x) {
        const uint64_t hour = UINT64_C(3600) * 1000000;
        arbiter_spawn *s = mail_describe(x, "web", &mail_worker);
        arbiter_future *f;

        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_PERMANENT));
        assert_ok(arbiter_monitor_new(x->arbiter, "web", s, NULL, &x->pool));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_set_backoff(x->pool, hour, hour, 0, UINT_MAX, hour));
        assert_ok(arbiter_monitor_start(x->pool, 1, &f));
        mail_finish(x, f);
        assert_ok(kill(atomic_load(&board->pid[1]), SIGKILL));
        mail_until(x, atomic_load(&board->lives[1]) == 2);
        assert_ok(kill(atomic_load(&board->pid[1]), SIGKILL));
        while (ask_outcome(x, "web.1", 1000, NULL) != ARBITER_OUTCOME_RESTARTING)
                ;
}

/* Whoever may not connect to a worker may not either by waiting for its next life. */
static void test_hold_is_not_allowed(void **state) {
        struct mail x;
        arbiter_future *f, *restarted;
        arbiter_message *m;

        mail_setup(&x, ARBITER_CONCURRENCY_PROCESS);
        start_and_kill(&x);
        start_snoop(&x);
        f = mail_stream(&x, "snoop", "web.1", 0, 2, MAIL_HOLD);
        assert_ok(arbiter_call(x.root, &m, "snoop", "ping", UINT64_MAX, "")); /* it has asked by now */
        arbiter_message_unref(m);
        assert_ok(arbiter_monitor_restart(x.pool, NULL, &restarted));
        mail_finish(&x, restarted);
        mail_finish(&x, f);
        assert_int_equal(board->outcome[0], ARBITER_OUTCOME_DENIED);
        assert_int_equal(board->ran[0] + board->ran[1], 0);
        mail_teardown(&x);
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_robin),
                cmocka_unit_test(test_least_outstanding),
                cmocka_unit_test(test_consistent_hash),
                cmocka_unit_test(test_broadcast),
                cmocka_unit_test(test_monitors_commands),
                cmocka_unit_test(test_nobody),
                cmocka_unit_test(test_scale_under_load),
                cmocka_unit_test(test_lies),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_hold_is_not_allowed),
        };

        mail_board();
        if (argc > 1) /* one of them */
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
