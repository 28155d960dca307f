/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An arbiter is killed, and the next one takes over: with the test as the keeper. An argument is a
 * pattern: the tests to run. */

#include <unistd.h>

#include "adopt-fixture.h"

#define POOL                                                                                                \
        "monitor web 3 mailbox\n"                                                                           \
        "actor lone mailbox restart=permanent\n"                                                            \
        "actor tool exec restart=permanent\n"                                                               \
        "actor said notify restart=permanent\n"

static struct program program;

static int tear_down(void **state) {
        program_done(&program);
        return 0;
}

static void remember(struct program *p, const char *const *names, size_t n, struct row *ret) {
        for (size_t i = 0; i < n; i++)
                program_until_running(p, names[i], &ret[i]);
}

static void assert_unchanged(struct program *p, const struct row *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                struct row now;

                assert_true(program_find(p, rows[i].name, &now));
                assert_row_equal(&now, &rows[i]);
                assert_string_equal(now.state, "running");
        }
}

static const char *const pool[] = { "web.1", "web.2", "web.3", "lone", "tool", "said" };

static void test_goes_on(void **state) {
        struct row rows[ELEMENTSOF(pool)];
        arbiter_adoption report;
        uint64_t starts;

        program_init(&program, POOL);
        program_start(&program, &report);
        assert_int_equal(report.takeovers, 0);
        remember(&program, pool, ELEMENTSOF(pool), rows);
        while ((starts = atomic_load(&shared->starts)) < 1 + ELEMENTSOF(pool))
                sched_yield(); /* a plain program runs as soon as it is executed, and counts itself later */
        for (unsigned i = 1; i <= 3; i++) {
                program_kill(&program);
                program_start(&program, &report);
                assert_int_equal(report.takeovers, i);
                assert_int_equal(report.monitors, 1);
                assert_int_equal(report.actors, ELEMENTSOF(pool));
                assert_int_equal(report.ended, 0);
                assert_int_equal(report.killed, 0);
                assert_int_equal(report.stopped, 0);
                assert_unchanged(&program, rows, ELEMENTSOF(pool));
                assert_ok(program_ask(&program, "ask web.2 Work 1"));
        }
        assert_int_equal(atomic_load(&shared->starts), starts + 3); /* the arbiters themselves */
        kill_and_wait(rows[0].pid);
        program_until_gone_or_new(&program, &rows[0]);
        program_until_running(&program, rows[0].name, &rows[0]);
        assert_int_equal(rows[0].generation, 2); /* none was lost on the way */
}

/* What it was told at run time outlasts it, too. */
static void test_scaled(void **state) {
        char aid[16], aid_now[16], word[16];
        unsigned workers;

        program_init(&program, POOL);
        program_start(&program, NULL);
        program_until_settled(&program, 6);
        assert_ok(program_ask(&program, "scale web 5"));
        assert_ok(program_ask(&program, "monitor web"));
        assert_int_equal(sscanf(program.lines[0], "%15s", aid), 1);
        program_kill(&program);
        program_start(&program, NULL);
        program_until_settled(&program, 8);
        assert_ok(program_ask(&program, "monitor web"));
        assert_int_equal(sscanf(program.lines[0], "%15s %15s %u", aid_now, word, &workers), 3);
        assert_string_equal(aid, aid_now);
        assert_string_equal(word, "running");
        assert_int_equal(workers, 5);
        assert_ok(program_ask(&program, "scale web 2"));
        program_until_settled(&program, 5);
}

/* Who dies while nobody looks is mourned, and replaced. */
static void test_death_meanwhile(void **state) {
        struct row before, after;
        arbiter_adoption report;
        char reason[32], name[32];
        unsigned generation;
        int status;

        program_init(&program, POOL);
        program_start(&program, NULL);
        program_until_settled(&program, 6);
        program_until_running(&program, "web.2", &before);
        program_kill(&program);
        kill_and_wait(before.pid);
        program_start(&program, &report);
        assert_int_equal(report.ended, 1);
        assert_int_equal(report.actors, 6);
        program_until_settled(&program, 6);
        program_until_running(&program, "web.2", &after);
        assert_int_equal(after.generation, 2);
        assert_string_not_equal(after.aid, before.aid);
        assert_ok(program_ask(&program, "deaths %s", before.aid));
        assert_int_equal(sscanf(program.lines[0], "%31s %u %31s %d", name, &generation, reason, &status), 4);
        assert_int_equal(generation, 1);
        assert_true((streq(reason, "signal") && status == SIGKILL) || streq(reason, "unknown"));
}

/* A restart that had been put off is still put off, and what was counted is counted. */
static void test_backoff(void **state) {
        unsigned failed, backoff, restarts, restarts_now, running, workers;
        char aid[16], word[16];

        program_init(&program, "monitor bad 1 crash\n");
        program_start(&program, NULL);
        do
                assert_ok(program_ask(&program, "monitor bad"));
        while (sscanf(program.lines[0], "%15s %15s %u %u %u %u %u", aid, word, &workers, &running, &failed,
                               &backoff, &restarts) == 7 &&
                        restarts < 3);
        program_kill(&program);
        program_start(&program, NULL);
        assert_ok(program_ask(&program, "monitor bad"));
        assert_int_equal(sscanf(program.lines[0], "%15s %15s %u %u %u %u %u", aid, word, &workers, &running,
                                         &failed, &backoff, &restarts_now),
                        7);
        assert_true(restarts_now >= restarts);
        assert_int_equal(workers, 1);
}

static void test_held(void **state) {
        struct row row;

        program_init(&program, POOL);
        program_start(&program, NULL);
        program_until_settled(&program, 6);
        assert_ok(program_ask(&program, "stop web.2"));
        assert_ok(program_ask(&program, "stop lone"));
        program_kill(&program);
        program_start(&program, NULL);
        program_until_settled(&program, 4);
        assert_false(program_find(&program, "web.2", NULL));
        assert_false(program_find(&program, "lone", NULL));
        assert_ok(program_ask(&program, "restart web.2"));
        assert_ok(program_ask(&program, "restart lone"));
        assert_true(program_find(&program, "web.2", &row));
        assert_int_equal(row.generation, 2);
        assert_true(program_find(&program, "lone", &row));
        assert_int_equal(row.generation, 2);
}

/* What has ended for good does not begin again because the arbiter does. */
static void test_over(void **state) {
        struct row row;

        program_init(&program, "monitor web 2 mailbox\nactor once exec restart=temporary\n");
        program_start(&program, NULL);
        program_until_settled(&program, 3);
        program_until_running(&program, "once", &row);
        kill_and_wait(row.pid);
        program_until_gone(&program, "once");
        assert_ok(program_ask(&program, "stop web"));
        program_kill(&program);
        program_start(&program, NULL);
        assert_int_equal(program_list(&program, &row), 0);
        program_kill(&program);
        program_start(&program, NULL);
        assert_int_equal(program_list(&program, &row), 0);
}

/* Definitions that are gone, changed, or of which there are instances. */

static void test_gone(void **state) {
        arbiter_adoption report;
        struct row row;

        program_init(&program, POOL);
        program_start(&program, NULL);
        program_until_settled(&program, 6);
        program_kill(&program);
        (void) snprintf(program.config, sizeof(program.config), "actor tool exec restart=permanent\n");
        program_start(&program, &report);
        assert_int_equal(report.stopped, 3);
        program_until_settled(&program, 1);
        assert_true(program_find(&program, "tool", &row));
        assert_int_equal(row.generation, 1);
        assert_true(program_ask(&program, "monitor web") < 0);
}

static void test_changed(void **state) {
        struct row before[6], after;

        program_init(&program, POOL);
        program_start(&program, NULL);
        remember(&program, pool, ELEMENTSOF(pool), before);
        program_kill(&program);
        (void) snprintf(program.config, sizeof(program.config),
                        "monitor web 4 mailbox answer=42\nactor lone mailbox restart=permanent answer=42\n"
                        "actor tool exec restart=permanent\nactor said notify restart=permanent\n");
        program_start(&program, NULL);
        program_until_settled(&program, 7);
        for (unsigned i = 0; i < 4; i++) {
                program_until_running(&program, pool[i], &after);
                while (after.generation == 1)
                        program_until_running(&program, pool[i], &after);
                assert_int_equal(after.generation, 2);
        }
        assert_unchanged(&program, before + 4, 2);
}

static void test_instances(void **state) {
        static const char *const names[] = { "one", "two" };
        arbiter_adoption report;
        struct row rows[2];

        program_init(&program, "definition made mailbox\n");
        program_start(&program, NULL);
        assert_ok(program_ask(&program, "spawn made one"));
        assert_ok(program_ask(&program, "spawn made two"));
        remember(&program, names, 2, rows);
        program_kill(&program);
        program_start(&program, &report);
        assert_int_equal(report.actors, 2);
        assert_int_equal(report.stopped, 0);
        assert_unchanged(&program, rows, 2);
        program_kill(&program);
        program.config[0] = 0;
        program_start(&program, &report);
        assert_int_equal(report.stopped, 0);
        assert_unchanged(&program, rows, 2); /* there is no definition any more, but they run */
}

/* One that finishes what it has begun before it is stopped. */

struct load {
        const char *name;
        unsigned begun, draining;
};

/* The arbiter knows that it has so much, and whether it drains. */
static bool has_load(struct program *p, void *userdata) {
        const struct load *wanted = userdata;
        unsigned begun, draining;
        unsigned long long done;

        return program_ask(p, "load %s", wanted->name) >= 0 &&
               sscanf(p->lines[0], "%u %llu %u", &begun, &done, &draining) == 3 && begun == wanted->begun &&
               draining == wanted->draining;
}

static void test_drain_goes_on(void **state) {
        struct load busy = { "web.1", 1, 0 }, drains = { "web.1", 1, 1 };
        arbiter_adoption report;
        struct row row;

        for (unsigned i = 0; i < 2; i++) {
                program_init(&program, "monitor web 2 mailbox drain=60000\n"
                             "actor lone mailbox restart=permanent\n");
                program_start(&program, NULL);
                program_until_settled(&program, 3);
                program_until_running(&program, "web.1", &row);
                assert_ok(program_ask(&program, "ask lone HoldAt web.1"));
                program_until(&program, has_load, &busy);
                assert_ok(program_ask(&program, "begin-scale web 0"));
                program_until_gone(&program, "web.2"); /* it is idle, although it is the younger one */
                program_until(&program, has_load, &drains);
                if (i == 1) /* whoever hears that it is idle now */
                        assert_ok(program_ask(&program, "ask web.1 Release 0"));
                program_kill(&program);
                program_start(&program, &report);
                if (i == 0) {
                        assert_int_equal(report.actors, 2);
                        assert_unchanged(&program, &row, 1);
                        program_until(&program, has_load, &drains);
                        assert_ok(program_ask(&program, "ask web.1 Release 0"));
                }
                program_until_gone(&program, "web.1");
                while (atomic_load(&shared->replied) == 0)
                        sched_yield(); /* the answer was on its way when its sender ended */
                assert_int_equal(atomic_load(&shared->replied), 1);
                assert_int_equal(atomic_load(&shared->unknown), 0);
                program_done(&program);
        }
}

/* Stops under way. */

static void test_stop_goes_on(void **state) {
        struct row row;

        program_init(&program, "monitor web 2 mailbox never-stops=1 stop=100\n");
        program_start(&program, NULL);
        program_until_settled(&program, 2);
        assert_ok(program_ask(&program, "begin-stop web.1"));
        program_kill(&program);
        program_start(&program, NULL);
        program_until_gone(&program, "web.1");
        assert_true(program_find(&program, "web.2", &row));
        assert_int_equal(row.generation, 1);
        assert_ok(program_ask(&program, "begin-stop web"));
        program_kill(&program);
        program_start(&program, NULL);
        assert_true(program_find(&program, "web.2", &row));
        assert_string_equal(row.state, "stopping");
        program_until_gone(&program, "web.2");
        program_kill(&program);
        program_start(&program, NULL);
        assert_int_equal(program_list(&program, &row), 0);
        while (program_ask(&program, "monitor web") >= 0) /* it may have been about to go, too */
                ;
}

/* An arbiter that was about to stop all, and is started again, runs what it is to run. */
static void test_killed_while_stopping(void **state) {
        program_init(&program,
                        "monitor web 2 mailbox never-stops=1 stop=200\n"
                        "actor lone mailbox restart=permanent\n");
        program_start(&program, NULL);
        program_until_settled(&program, 3);
        (void) program_ask(&program, "exit");
        program_kill(&program);
        program_start(&program, NULL);
        program_until_settled(&program, 3);
}

/* What cannot be reached. */

static void test_lost_link(void **state) {
        struct row before, after;
        arbiter_adoption report;
        char name[32];

        program_init(&program, POOL);
        program_start(&program, NULL);
        program_until_settled(&program, 6);
        program_until_running(&program, "web.1", &before);
        program_kill(&program);
        (void) snprintf(name, sizeof(name), "c.%s", before.aid);
        assert_true(program_lose(&program, name));
        program_start(&program, &report);
        assert_int_equal(report.killed + report.ended, 1); /* it may have seen the end of its link first */
        program_until_settled(&program, 6);
        program_until_running(&program, "web.1", &after);
        assert_int_equal(after.generation, 2);
        assert_int_not_equal(after.pid, before.pid);
}

/* Found again in its leaf. */
static void test_lost_pidfd(void **state) {
        struct row rows[ELEMENTSOF(pool)];
        arbiter_adoption report;
        char name[32];

        program_init(&program, POOL);
        if (!program.cgroup)
                skip();
        program_start(&program, NULL);
        remember(&program, pool, ELEMENTSOF(pool), rows);
        program_kill(&program);
        for (size_t i = 0; i < ELEMENTSOF(pool); i++) {
                (void) snprintf(name, sizeof(name), "p.%s", rows[i].aid);
                assert_true(program_lose(&program, name));
        }
        program_start(&program, &report);
        assert_int_equal(report.killed, 0);
        assert_unchanged(&program, rows, ELEMENTSOF(pool));
}

/* One that does not come to run does not hold the others, nor is it forgotten. */
static void test_starting(void **state) {
        struct row row, now;

        program_init(&program,
                        "monitor web 1 mailbox\n"
                        "actor slow mailbox restart=permanent never-starts=1 stop=100\n");
        program_start(&program, NULL);
        program_until_running(&program, "web.1", NULL);
        assert_true(program_find(&program, "slow", &row));
        assert_string_equal(row.state, "starting");
        program_kill(&program);
        program_start(&program, NULL);
        assert_true(program_find(&program, "slow", &now));
        assert_row_equal(&now, &row);
        assert_string_equal(now.state, "starting");
        assert_ok(program_ask(&program, "stop slow"));
}

static void test_links(void **state) {
        struct row one, two;

        program_init(&program, "monitor web 2 mailbox\n");
        program_start(&program, NULL);
        program_until_running(&program, "web.1", &one);
        program_until_running(&program, "web.2", &two);
        assert_ok(program_ask(&program, "ask web.1 LinkTo %s", two.aid));
        assert_ok(program_ask(&program, "ask web.1 Work 1")); /* the arbiter has it by then */
        program_kill(&program);
        kill_and_wait(two.pid);
        program_start(&program, NULL);
        program_until_running(&program, "web.2", &two);
        assert_int_equal(two.generation, 2);
        while (atomic_load(&shared->exits_heard) == 0)
                assert_ok(program_ask(&program, "ask web.1 Work 1"));
        program_until_running(&program, "web.1", &two);
        assert_row_equal(&one, &two);
        assert_int_equal(atomic_load(&shared->exits_heard), 1);
}

/* A state that cannot be trusted, or only in part: what is not known any more is ended, what is to run runs,
 * and nothing runs twice. */
static void test_damaged(void **state) {
        /* None that says only once that it is ready: that may be what is lost, until its start timeout. */
        program_init(&program,
                        "monitor web 3 mailbox\nactor lone mailbox restart=permanent\n"
                        "actor tool exec restart=permanent\n");
        if (!program.cgroup)
                skip();
        program_start(&program, NULL);
        for (unsigned i = 0; i < 40; i++) {
                off_t start, end;

                program_until_settled(&program, 5);
                program_until_alone(&program);
                program_kill(&program);
                for (unsigned k = (unsigned) rand() % 4; k < 4; k++) {
                        uint8_t byte = (uint8_t) rand();

                        start = i % 8 == 0 ? 0 : lseek(program.state_fd, rand() % 65536, SEEK_DATA);
                        end = i % 8 == 0 ? 64 : 4096;
                        if (start >= 0)
                                (void) pwrite(program.state_fd, &byte, 1, start + rand() % end);
                }
                program_start(&program, NULL);
        }
        program_until_settled(&program, 5);
}

/* Forks of the arbiter's own program: what they run is in no file. */
static void test_forked(void **state) {
        static const char *const names[] = { "fork.1", "fork.2" };
        struct row rows[2];

        program_init(&program, "monitor fork 2 forked\n");
        program_start(&program, NULL);
        remember(&program, names, 2, rows);
        program_kill(&program);
        program_start(&program, NULL);
        assert_unchanged(&program, rows, 2);
        kill_and_wait(rows[1].pid);
        program_until_gone_or_new(&program, &rows[1]);
        program_until_settled(&program, 2);
}

/* What was on the arbiter's loop has died with it, and is started again. */
static void test_inline(void **state) {
        arbiter_adoption report;
        struct row row;

        program_init(&program, "monitor in 2 inline\nmonitor web 1 mailbox\n");
        program_start(&program, NULL);
        program_until_settled(&program, 3);
        program_kill(&program);
        program_start(&program, &report);
        assert_int_equal(report.actors, 3);
        assert_int_equal(report.ended, 2);
        program_until_settled(&program, 3);
        assert_true(program_find(&program, "in.1", &row));
        assert_int_equal(row.generation, 2);
        assert_true(program_find(&program, "web.1", &row));
        assert_int_equal(row.generation, 1);
}

/* In a process of arbiter-host: the host is taken over, and its threads with it. */
static void test_threads(void **state) {
        static const char *const names[] = { "pool.1", "pool.2", "pool.3", "pool-host" };
        struct row rows[4], now;
        arbiter_adoption report;

        if (!getenv("ADOPT_HOST"))
                skip();
        program_init(&program, "monitor pool 3 thread\n");
        program_start(&program, NULL);
        remember(&program, names, 4, rows);
        program_kill(&program);
        program_start(&program, &report);
        assert_int_equal(report.actors, 4);
        assert_unchanged(&program, rows, 4);
        assert_ok(program_ask(&program, "ask pool.2 square 3"));
        assert_ok(program_ask(&program, "restart pool.2")); /* another thread of the same host */
        program_until_running(&program, "pool.2", &now);
        assert_int_equal(now.generation, 2);
        assert_true(program_find(&program, "pool-host", &now));
        assert_row_equal(&now, &rows[3]);
        program_kill(&program);
        kill_and_wait(rows[3].pid);
        program_start(&program, &report);
        program_until_settled(&program, 4);
        assert_true(program_find(&program, "pool.1", &now));
        assert_int_equal(now.generation, 2);
}

/* The end of all, by one who has started none of it. */
static void test_stop_all(void **state) {
        program_init(&program, POOL);
        program_start(&program, NULL);
        program_until_settled(&program, 6);
        program_kill(&program);
        program_start(&program, NULL);
        program_stop(&program);
        assert_int_equal(program.n_kept, 0);
        program_start(&program, NULL); /* and nothing is taken over from one that has ended in order */
        program_until_settled(&program, 6);
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_goes_on),     TEST(test_scaled),       TEST(test_death_meanwhile),
                TEST(test_backoff),     TEST(test_held),         TEST(test_over),
                TEST(test_gone),        TEST(test_changed),      TEST(test_instances),
                TEST(test_stop_goes_on), TEST(test_killed_while_stopping), TEST(test_lost_link),
                TEST(test_lost_pidfd),  TEST(test_starting),     TEST(test_links),
                TEST(test_forked),      TEST(test_inline),       TEST(test_threads),
                TEST(test_damaged),
                TEST(test_stop_all),    TEST(test_drain_goes_on),
        };

        run_program(argc, argv);
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
