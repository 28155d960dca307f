/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An arbiter of trees is killed, and the next one takes over: the same lives go on, what was counted is
 * counted, a restart of many goes on where it was, and what is configured otherwise is put into effect. */

#include <unistd.h>

#include "adopt-fixture.h"

#define TREE(strategy, intensity)                                                                           \
        "tree tree " strategy " - " intensity "\n"                                                          \
        "child tree a mailbox\n"                                                                            \
        "tree inner one-for-one tree 0\n"                                                                   \
        "child inner b mailbox\n"                                                                           \
        "child inner c exec\n"                                                                              \
        "pool tree p 2 mailbox\n"                                                                           \
        "child tree d notify\n"                                                                             \
        "start tree\n"

enum { N_ACTORS = 6 };

static struct program program;

static int tear_down(void **state) {
        program_done(&program);
        return 0;
}

static const char *const names[N_ACTORS] = { "a", "b", "c", "p.1", "p.2", "d" };

static void remember(struct row *ret) {
        for (unsigned i = 0; i < N_ACTORS; i++)
                program_until_running(&program, names[i], &ret[i]);
}

static void assert_unchanged(const struct row *row) {
        struct row now;

        assert_true(program_find(&program, row->name, &now));
        assert_row_equal(&now, row);
}

static void check_monitor(const char *name, char aid[static 16]) {
        char word[16];

        assert_ok(program_ask(&program, "monitor %s", name));
        assert_int_equal(sscanf(program.lines[0], "%15s %15s", aid, word), 2);
        assert_string_equal(word, "running");
}

static bool is_generation(struct program *p, void *userdata) {
        const struct row *wanted = userdata;
        struct row now;

        return program_find(p, wanted->name, &now) && now.generation == wanted->generation &&
               streq(now.state, "running");
}

static void until_generation(const char *name, unsigned generation) {
        struct row wanted = { .generation = generation };

        (void) snprintf(wanted.name, sizeof(wanted.name), "%s", name);
        program_until(&program, is_generation, &wanted);
}

static void test_goes_on(void **state) {
        char aid[3][16], now[16];
        struct row rows[N_ACTORS];
        arbiter_adoption report;
        uint64_t starts;

        program_init(&program, TREE("rest-for-one", "3"));
        program_start(&program, NULL);
        remember(rows);
        check_monitor("tree", aid[0]);
        check_monitor("inner", aid[1]);
        check_monitor("p", aid[2]);
        while ((starts = atomic_load(&shared->starts)) < 1 + N_ACTORS)
                sched_yield();
        for (unsigned i = 0; i < 3; i++) {
                program_kill(&program);
                program_start(&program, &report);
                assert_int_equal(report.actors, N_ACTORS);
                assert_int_equal(report.monitors, 3);
                assert_int_equal(report.ended + report.killed + report.stopped, 0);
                for (unsigned k = 0; k < N_ACTORS; k++)
                        assert_unchanged(&rows[k]);
                assert_ok(program_ask(&program, "check"));
        }
        assert_int_equal(atomic_load(&shared->starts), starts + 3); /* the arbiters themselves */
        check_monitor("tree", now);
        assert_string_equal(now, aid[0]);
        check_monitor("inner", now);
        assert_string_equal(now, aid[1]);
        check_monitor("p", now);
        assert_string_equal(now, aid[2]);
        assert_ok(program_ask(&program, "ask b Work 1"));

        /* And it is a tree still: b takes inner with it, and that all behind it. */
        kill_and_wait(rows[1].pid);
        until_generation("d", 2);
        until_generation("p.2", 2);
        until_generation("b", 2);
        until_generation("c", 2);
        assert_unchanged(&rows[0]);
}

/* Who dies while nobody looks. */
static void test_death_meanwhile(void **state) {
        struct row rows[N_ACTORS];
        arbiter_adoption report;

        program_init(&program, TREE("one-for-all", "3"));
        program_start(&program, NULL);
        remember(rows);
        program_kill(&program);
        kill_and_wait(rows[5].pid);
        program_start(&program, &report);
        assert_int_equal(report.ended, 1);
        for (unsigned i = 0; i < N_ACTORS; i++)
                until_generation(names[i], 2);
}

/* What was counted before is counted after: the second failure of two arbiters is one too many. */
static void test_history(void **state) {
        struct row rows[N_ACTORS];

        program_init(&program, TREE("one-for-one", "1"));
        program_start(&program, NULL);
        remember(rows);
        kill_and_wait(rows[0].pid);
        until_generation("a", 2);
        program_until_running(&program, "a", &rows[0]);
        program_kill(&program);
        program_start(&program, NULL);
        assert_unchanged(&rows[0]);
        kill_and_wait(rows[0].pid);
        for (unsigned i = 0; i < N_ACTORS; i++)
                program_until_gone(&program, names[i]);
        assert_ok(program_ask(&program, "monitor tree"));
        assert_non_null(strstr(program.lines[0], " failed "));
}

static bool is_stopping(struct program *p, void *userdata) {
        struct row now;

        return program_find(p, userdata, &now) && streq(now.state, "stopping");
}

/* In the midst of a restart of all: c is down, b hangs in its stop. The next arbiter goes on from there. */
static void test_restart_goes_on(void **state) {
        struct row a, c, d;

        program_init(&program, "tree tree one-for-all - 3\n"
                               "child tree a mailbox\n"
                               "tree inner one-for-one tree 3\n"
                               "child inner b mailbox never-stops=1 stop=1000\n"
                               "child inner c mailbox\n"
                               "child tree d mailbox\n"
                               "start tree\n");
        program_start(&program, NULL);
        program_until_running(&program, "a", &a);
        program_until_running(&program, "c", &c);
        program_until_running(&program, "d", &d);
        kill_and_wait(a.pid);
        program_until(&program, is_stopping, (void *) "b");
        program_kill(&program);
        program_start(&program, NULL);
        until_generation("a", 2);
        until_generation("b", 2);
        until_generation("c", 2);
        until_generation("d", 2);
        assert_ok(program_ask(&program, "check"));
}

/* The next one is configured otherwise: only what differs is touched. */
static void test_changed(void **state) {
        struct row rows[N_ACTORS];
        arbiter_adoption report;

        program_init(&program, TREE("one-for-all", "3"));
        program_start(&program, NULL);
        remember(rows);
        program_kill(&program);
        (void) snprintf(program.config, sizeof(program.config), "%s",
                        "tree tree one-for-all - 3\n"
                        "child tree a mailbox\n"
                        "child tree n mailbox\n"       /* it is new */
                        "child tree d notify x=1\n"    /* it has changed */
                        "pool tree p 3 mailbox\n"      /* has one more */
                        "start tree\n");               /* and inner is no more */
        program_start(&program, &report);
        assert_int_equal(report.actors, N_ACTORS);
        program_until_gone(&program, "b");
        program_until_gone(&program, "c");
        until_generation("n", 1);
        until_generation("d", 2);
        until_generation("p.3", 1);
        assert_unchanged(&rows[0]);
        assert_unchanged(&rows[3]);
        assert_ok(program_ask(&program, "monitor tree"));
}

/* The next one has the same children in another order: nobody is touched for that, and it is the order. */
static void test_another_order(void **state) {
        struct row rows[N_ACTORS];
        arbiter_adoption report;

        program_init(&program, TREE("rest-for-one", "3"));
        program_start(&program, NULL);
        remember(rows);
        program_kill(&program);
        (void) snprintf(program.config, sizeof(program.config), "%s",
                        "tree tree rest-for-one - 3\n"
                        "child tree d notify\n"
                        "child tree a mailbox\n"
                        "tree inner one-for-one tree 0\n"
                        "child inner b mailbox\n"
                        "child inner c exec\n"
                        "pool tree p 2 mailbox\n"
                        "start tree\n");
        program_start(&program, &report);
        assert_int_equal(report.actors, N_ACTORS);
        assert_int_equal(report.ended + report.killed + report.stopped, 0);
        for (unsigned i = 0; i < N_ACTORS; i++)
                assert_unchanged(&rows[i]);
        kill_and_wait(rows[0].pid);
        for (unsigned i = 0; i < N_ACTORS - 1; i++)
                until_generation(names[i], 2);
        assert_unchanged(&rows[5]); /* it was behind a, and is not now */
}

/* Nobody wants it any more: all of it is stopped. */
static void test_unwanted(void **state) {
        struct row rows[N_ACTORS];
        arbiter_adoption report;

        program_init(&program, TREE("one-for-all", "3"));
        program_start(&program, NULL);
        remember(rows);
        program_kill(&program);
        (void) snprintf(program.config, sizeof(program.config), "actor other mailbox\n");
        program_start(&program, &report);
        assert_int_equal(report.actors, N_ACTORS);
        for (unsigned i = 0; i < N_ACTORS; i++)
                program_until_gone(&program, names[i]);
}

/* What an operator has held down stays down; so does a temporary one that has ended. */
static void test_held(void **state) {
        struct row b, t, row;

        program_init(&program, "tree tree one-for-one - 3\n"
                               "child tree a mailbox\n"
                               "tree inner one-for-one tree 3\n"
                               "child inner b mailbox\n"
                               "child tree t mailbox restart=temporary\n"
                               "start tree\n");
        program_start(&program, NULL);
        program_until_running(&program, "b", &b);
        program_until_running(&program, "t", &t);
        assert_ok(program_ask(&program, "stop inner"));
        kill_and_wait(t.pid);
        program_until_gone(&program, "t");
        for (unsigned i = 0; i < 2; i++) {
                program_kill(&program);
                program_start(&program, NULL);
                program_until_running(&program, "a", &row);
                assert_false(program_find(&program, "b", &row));
                assert_false(program_find(&program, "t", &row));
                assert_ok(program_ask(&program, "check"));
        }
        assert_ok(program_ask(&program, "restart inner"));
        until_generation("b", 2);
}

/* Threads: with their hosts they are taken over, and know their monitors. */
static void test_threads(void **state) {
        static const char *const threads[] = { "a", "b", "p.1", "p.2", "d", "b-host" };
        arbiter_adoption report;
        struct row rows[ELEMENTSOF(threads)];

        if (!getenv("ADOPT_HOST"))
                skip();
        program_init(&program, "tree tree rest-for-one - 3\n"
                               "child tree a thread\n"
                               "tree inner one-for-one tree 0\n"
                               "child inner b thread\n"
                               "pool tree p 2 thread\n"
                               "child tree d mailbox\n"
                               "start tree\n");
        program_start(&program, NULL);
        for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                program_until_running(&program, threads[i], &rows[i]);
        for (unsigned n = 0; n < 2; n++) {
                program_kill(&program);
                program_start(&program, &report);
                assert_int_equal(report.monitors, 3);
                assert_int_equal(report.ended + report.killed + report.stopped, 0);
                for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                        assert_unchanged(&rows[i]);
                assert_ok(program_ask(&program, "check"));
        }
        assert_ok(program_ask(&program, "ask b square 3"));

        /* The last in order takes nobody with it. */
        kill_and_wait(rows[4].pid);
        until_generation("d", 2);
        for (size_t i = 0; i < 4; i++)
                assert_unchanged(&rows[i]);

        /* b dies with its host, which counts: inner gives up, and what comes behind it starts anew, too. */
        kill_and_wait(rows[5].pid);
        until_generation("b", 2);
        until_generation("p.1", 2);
        until_generation("p.2", 2);
        until_generation("d", 3);
        assert_unchanged(&rows[0]);
        assert_ok(program_ask(&program, "check"));
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_goes_on, tear_down),
                cmocka_unit_test_teardown(test_death_meanwhile, tear_down),
                cmocka_unit_test_teardown(test_history, tear_down),
                cmocka_unit_test_teardown(test_restart_goes_on, tear_down),
                cmocka_unit_test_teardown(test_changed, tear_down),
                cmocka_unit_test_teardown(test_another_order, tear_down),
                cmocka_unit_test_teardown(test_unwanted, tear_down),
                cmocka_unit_test_teardown(test_held, tear_down),
                cmocka_unit_test_teardown(test_threads, tear_down),
        };

        run_program(argc, argv);
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
