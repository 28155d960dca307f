/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An arbiter is killed at any moment: between two rounds of the loop, or before and after each of its
 * system calls while it does something. Whatever it was about to do is done by the next one, or was not
 * begun; what it has answered holds; nothing runs twice, and nobody else notices. With ARBITER_TEST_LONG
 * at each system call, else at some of them; ARBITER_TEST_SEED chooses as before. */

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "adopt-fixture.h"

enum { WORKERS = 3, STOPS_MAX = 420, TAKEOVER_STOPS_MAX = 1500, LISTS = 60, STEP = 13 };

static struct program program;

static bool is_long(void) {
        return getenv("ARBITER_TEST_LONG") != NULL;
}

static int tear_down(void **state) {
        program_done(&program);
        return 0;
}

/* Load between actors, and kills at random. */

static bool is_paused(struct program *p, void *userdata) {
        unsigned n;
        char aid[16], word[16];

        return program_ask(p, "monitor web") >= 0 &&
               sscanf(p->lines[0], "%15s %15s %*u %u", aid, word, &n) == 3 &&
               atomic_load(&shared->loaded) >= n;
}

static void pause_load(struct program *p) {
        atomic_store(&shared->pause, true);
        while (!is_paused(p, NULL))
                ;
}

static void test_load(void **state) {
        static const char *const names[] = { "web.1", "web.2", "web.3", "web.4", "web.5", "web.6" };
        unsigned rounds = is_long() ? 200 : 25;
        struct row rows[6], now;
        uint64_t before;

        program_init(&program, "monitor web 6 mailbox load=6\n");
        program_start(&program, NULL);
        for (unsigned i = 0; i < 6; i++)
                program_until_running(&program, names[i], &rows[i]);
        while (atomic_load(&shared->ran) < 2000) /* all links are made: those do take one */
                sched_yield();
        for (unsigned i = 0; i < rounds; i++) {
                for (unsigned k = (unsigned) rand() % 4; k > 0; k--)
                        assert_ok(program_ask(&program, "list"));
                program_kill(&program);
                before = atomic_load(&shared->ran);
                while (atomic_load(&shared->ran) < before + 50) /* it does not take an arbiter */
                        sched_yield();
                program_start(&program, NULL);
        }
        program_until_settled(&program, 6);
        for (unsigned i = 0; i < 6; i++) {
                assert_true(program_find(&program, names[i], &now));
                assert_row_equal(&now, &rows[i]);
        }
        pause_load(&program);
        assert_int_equal(atomic_load(&shared->replied), atomic_load(&shared->sent));
        assert_int_equal(atomic_load(&shared->ran), atomic_load(&shared->sent));
        assert_int_equal(atomic_load(&shared->not_executed), 0);
        assert_int_equal(atomic_load(&shared->unknown), 0);
}

/* Workers die while there is an arbiter, and while there is none: what they had not begun is done by those
 * who follow, whichever arbiter that takes. Only what had begun is not known to have run. */
static void test_mail(void **state) {
        unsigned rounds = is_long() ? 200 : 25;
        uint64_t before, sent;
        struct row row;

        program_init(&program, "monitor web 3 mailbox backoff=1\nactor sender mailbox load=3 pool=web\n");
        program_start(&program, NULL);
        for (unsigned i = 0; i < rounds; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "web.%u", 1 + i % 3);
                program_until_running(&program, name, &row);
                before = atomic_load(&shared->ran);
                while (atomic_load(&shared->ran) < before + 20)
                        sched_yield();
                if (i % 2)
                        program_kill(&program);
                kill_and_wait(row.pid);
                if (i % 2)
                        program_start(&program, NULL);
        }
        atomic_store(&shared->pause, true);
        while (atomic_load(&shared->loaded) < 1)
                assert_ok(program_ask(&program, "list"));
        sent = atomic_load(&shared->sent);
        assert_int_equal(atomic_load(&shared->not_executed), 0);
        assert_int_equal(atomic_load(&shared->replied) + atomic_load(&shared->unknown), sent);
        assert_true(atomic_load(&shared->ran) <= sent);
        assert_true(atomic_load(&shared->replied) <= atomic_load(&shared->ran));
        assert_true(atomic_load(&shared->replied) > sent / 2);
}

/* Each request has one outcome, and it is true. */
static void assert_outcomes(void) {
        uint64_t sent, replied, unknown, not_executed, ran;

        pause_load(&program);
        sent = atomic_load(&shared->sent);
        replied = atomic_load(&shared->replied);
        unknown = atomic_load(&shared->unknown);
        not_executed = atomic_load(&shared->not_executed);
        ran = atomic_load(&shared->ran);
        assert_true(replied > 0);
        assert_true(replied + unknown + not_executed <= sent); /* some of who asked have ended */
        assert_true(replied <= ran);
        assert_true(ran + not_executed <= sent);
}

/* Workers come and go all the while. */
static void test_churn(void **state) {
        static const char *const verbs[] = { "begin-scale web 4", "begin-scale web 7", "begin-restart web.1",
                "begin-restart web.2", "begin-restart web", "begin-scale web 6", "list" };
        unsigned rounds = is_long() ? 200 : 25;

        program_init(&program, "monitor web 6 mailbox load=6\n");
        program_start(&program, NULL);
        for (unsigned i = 0; i < rounds; i++) {
                (void) program_ask(&program, "%s", verbs[(unsigned) rand() % ELEMENTSOF(verbs)]);
                for (unsigned k = (unsigned) rand() % 5; k > 0; k--)
                        assert_ok(program_ask(&program, "list"));
                program_kill(&program);
                program_start(&program, NULL);
        }
        assert_ok(program_ask(&program, "scale web 6"));
        program_until_settled(&program, 6);
        assert_outcomes();
        program_until_alone(&program);
}

/* And in rolls that begin, turn back and are halted, while the old ones drain and those that crash wait for
 * their backoff: never more of them than there may be. */

static void kill_one(struct program *p) {
        static struct row rows[ROWS_MAX];
        size_t n = program_list(p, rows);
        int pid = n > 0 ? rows[(unsigned) rand() % n].pid : 0;

        if (pid > 1)
                (void) kill(pid, SIGKILL);
}

static void test_rolls(void **state) {
        static const char *const verbs[] = { "begin-restart web", "begin-restart web", "begin-restart web",
                "begin-abort web", "begin-scale web 5", "begin-scale web 7", "begin-restart web.2", "list" };
        unsigned rounds = is_long() ? 200 : 15, most = 7 + 2, n_rolls = 0;
        static struct row rows[ROWS_MAX];

        program_init(&program, "monitor web 6 mailbox load=6 surge=2 unavailable=1 drain=50 backoff=10\n");
        program_start(&program, NULL);
        for (unsigned i = 0; i < rounds; i++) {
                (void) program_ask(&program, "%s", verbs[(unsigned) rand() % ELEMENTSOF(verbs)]);
                if (rand() % 3 == 0)
                        kill_one(&program);
                for (unsigned k = (unsigned) rand() % 40; k > 0; k--)
                        assert_true(program_list(&program, rows) <= most);
                assert_ok(program_ask(&program, "roll web"));
                n_rolls += streq(program.lines[0], "going") || streq(program.lines[0], "turning-back");
                program_kill(&program);
                program_start(&program, NULL);
                assert_true(program_list(&program, rows) <= most);
        }
        print_message("killed in %u rolls\n", n_rolls);
        assert_true(n_rolls > 0);
        assert_ok(program_ask(&program, "scale web 6"));
        assert_ok(program_ask(&program, "restart web")); /* and this one is done */
        program_until_settled(&program, 6);
        assert_outcomes();
        program_until_alone(&program);
}

/* And in a tree, whose strategies take down and start again all the while: in the end it is as they want
 * it. */

static long long started(const char *name) {
        char path[32], text[1024], *word;
        struct row row;
        ssize_t n;
        int fd;

        program_until_running(&program, name, &row);
        (void) snprintf(path, sizeof(path), "/proc/%d/stat", row.pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        assert_true(n > 0);
        text[n] = 0;
        word = strrchr(text, ')');
        for (unsigned i = 0; i < 20; i++) { /* proc_pid_stat(5): the 22nd, and this is the second */
                word = strchr(word + 1, ' ');
                assert_non_null(word);
        }
        return strtoll(word, NULL, 10);
}

static void test_tree(void **state) {
        static const char *const verbs[] = { "list", "list", "list", "begin-restart web",
                "begin-restart inner", "begin-restart last" };
        unsigned rounds = is_long() ? 200 : 15, most = 4 + 4 + 1;
        static struct row rows[ROWS_MAX];

        program_init(&program, "monitor web 4 mailbox load=4 backoff=10\n"
                               "tree top rest-for-one - 4294967295\nchild top first mailbox load=4\n"
                               "tree inner one-for-all top 4294967295\nchild inner left mailbox load=4\n"
                               "child inner right mailbox\nchild top last mailbox load=4\nstart top\n");
        program_start(&program, NULL);
        program_until_settled(&program, 8);
        for (unsigned i = 0; i < rounds; i++) {
                (void) program_ask(&program, "%s", verbs[(unsigned) rand() % ELEMENTSOF(verbs)]);
                for (unsigned k = (unsigned) rand() % 3; k > 0; k--)
                        kill_one(&program);
                for (unsigned k = (unsigned) rand() % 40; k > 0; k--)
                        assert_true(program_list(&program, rows) <= most);
                program_kill(&program);
                program_start(&program, NULL);
                assert_true(program_list(&program, rows) <= most);
        }
        program_until_settled(&program, 8);
        assert_true(started("first") <= started("left"));
        assert_true(started("first") <= started("last"));
        assert_true(started("left") <= started("right"));
        assert_outcomes();
        program_until_alone(&program);
}

/* At each system call. */

static void trace(struct program *p) {
        int status;

        assert_int_equal(ptrace(PTRACE_SEIZE, p->pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
        assert_int_equal(ptrace(PTRACE_INTERRUPT, p->pid, NULL, NULL), 0);
        assert_int_equal(waitpid(p->pid, &status, __WALL), p->pid);
        assert_true(WIFSTOPPED(status));
}

/* So many stops at the beginning or the end of a system call later. */
static void run_traced(struct program *p, unsigned n) {
        int status = 0, signal = 0;

        while (n > 0) {
                assert_int_equal(ptrace(PTRACE_SYSCALL, p->pid, NULL, signal), 0);
                assert_int_equal(waitpid(p->pid, &status, __WALL), p->pid);
                if (!WIFSTOPPED(status))
                        return; /* it has ended by itself */
                signal = WSTOPSIG(status) == (SIGTRAP | 0x80) || status >> 16 ? 0 : WSTOPSIG(status);
                n -= WSTOPSIG(status) == (SIGTRAP | 0x80);
        }
}

/* Did it say that it was done, or accepted, before its end? */
static bool kill_within(struct program *p, const char *verb, unsigned n) {
        trace(p);
        pthread_mutex_lock(&p->lock);
        p->n_answers = 0;
        pthread_mutex_unlock(&p->lock);
        program_tell(p, verb);
        for (unsigned i = 0; i < LISTS; i++) /* so that there is always something to do */
                program_tell(p, "list");
        run_traced(p, n);
        program_kill(p);
        return p->n_answers > 0 && p->first_answer == 0;
}

static unsigned workers_wanted(struct program *p) {
        char aid[16], word[16];
        unsigned n = 0;

        assert_ok(program_ask(p, "monitor web"));
        assert_int_equal(sscanf(p->lines[0], "%15s %15s %u", aid, word, &n), 3);
        return n;
}

static unsigned first(void) {
        return is_long() ? 1 : 1 + (unsigned) rand() % STEP;
}

#define EACH_STOP(n) for (unsigned n = first(); n <= STOPS_MAX; n += is_long() ? 1 : STEP)

static void begin(void) {
        program_init(&program, "monitor web 3 mailbox\ndefinition made mailbox\n");
        program_start(&program, NULL);
        program_until_settled(&program, WORKERS);
}

static bool is_up_or_gone(struct program *p, void *userdata) {
        struct row row;

        return !program_find(p, "one", &row) || streq(row.state, "running");
}

static void test_spawn(void **state) {
        begin();
        EACH_STOP (n) {
                struct row row;
                bool said = kill_within(&program, "begin-spawn made one", n), there;

                program_start(&program, NULL);
                there = program_find(&program, "one", &row);
                if (said && !there) /* unless it was in its start when it was killed: then it has failed */
                        assert_true(program_ask(&program, "deaths one") >= 0);
                if (there)
                        (void) program_ask(&program, "stop one");
                program_until_gone(&program, "one");
                program_until_settled(&program, WORKERS);
                program_until_alone(&program);
        }
}

/* What a program that knows nothing of arbiter says only once is not lost either. */
static void test_plain(void **state) {
        program_init(&program, "definition said notify\ndefinition tool exec\n");
        program_start(&program, NULL);
        EACH_STOP (n) {
                const char *what = n % 2 ? "begin-spawn said one" : "begin-spawn tool one";
                struct row row;

                (void) kill_within(&program, what, n);
                program_start(&program, NULL);
                if (program_find(&program, "one", &row)) {
                        if (streq(row.state, "starting") || streq(row.state, "running"))
                                program_until(&program, is_up_or_gone, NULL);
                        (void) program_ask(&program, "stop one");
                }
                program_until_gone(&program, "one");
                program_until_alone(&program);
        }
}

static void test_scale_up(void **state) {
        begin();
        EACH_STOP (n) {
                bool said = kill_within(&program, "begin-scale web 5", n);
                unsigned wanted;

                program_start(&program, NULL);
                wanted = workers_wanted(&program);
                assert_true(wanted == 5 || (wanted == WORKERS && !said));
                program_until_settled(&program, wanted);
                program_until_alone(&program);
                assert_ok(program_ask(&program, "scale web 3"));
                program_until_settled(&program, WORKERS);
        }
}

static void test_scale_down(void **state) {
        begin();
        EACH_STOP (n) {
                bool said = kill_within(&program, "begin-scale web 1", n);
                unsigned wanted;

                program_start(&program, NULL);
                wanted = workers_wanted(&program);
                assert_true(wanted == 1 || (wanted == WORKERS && !said));
                program_until_settled(&program, wanted);
                program_until_alone(&program);
                assert_ok(program_ask(&program, "scale web 3"));
                program_until_settled(&program, WORKERS);
        }
}

static void test_restart(void **state) {
        struct row before, after;

        begin();
        EACH_STOP (n) {
                bool said;

                program_until_running(&program, "web.2", &before);
                said = kill_within(&program, "begin-restart web.2", n);
                program_start(&program, NULL);
                program_until_settled(&program, WORKERS);
                do
                        program_until_running(&program, "web.2", &after);
                while (said && after.generation == before.generation);
                assert_true(after.generation <= before.generation + 1 ||
                                program_ask(&program, "deaths web.2") >= 0);
                program_until_alone(&program);
        }
}

static void test_hold(void **state) {
        begin();
        EACH_STOP (n) {
                bool said = kill_within(&program, "begin-stop web.2", n);

                program_start(&program, NULL);
                if (said)
                        program_until_gone(&program, "web.2");
                assert_ok(program_ask(&program, "restart web.2"));
                program_until_settled(&program, WORKERS);
                program_until_alone(&program);
        }
}

/* One that takes over is killed, too, in the midst of it. */
static void test_takeover(void **state) {
        struct row rows[WORKERS], now;
        static const char *const names[] = { "web.1", "web.2", "web.3" };

        begin();
        for (unsigned i = 0; i < WORKERS; i++)
                program_until_running(&program, names[i], &rows[i]);
        for (unsigned n = first(); n <= TAKEOVER_STOPS_MAX; n += is_long() ? 5 : 4 * STEP) {
                program_kill(&program);
                program_spawn(&program);
                trace(&program);
                program_greet_traced(&program, 4 * LISTS);
                run_traced(&program, n);
                program_kill(&program);
                program_start(&program, NULL);
                program_until_settled(&program, WORKERS);
                for (unsigned i = 0; i < WORKERS; i++) {
                        assert_true(program_find(&program, names[i], &now));
                        assert_row_equal(&now, &rows[i]);
                }
                program_until_alone(&program);
        }
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_load),       TEST(test_mail),    TEST(test_churn),
                TEST(test_rolls),      TEST(test_tree),    TEST(test_spawn),
                TEST(test_scale_up),   TEST(test_plain),   TEST(test_scale_down),
                TEST(test_restart),    TEST(test_hold),    TEST(test_takeover),
        };

        const char *seed = getenv("ARBITER_TEST_SEED");
        unsigned n;

        run_program(argc, argv);
        n = seed ? (unsigned) strtoul(seed, NULL, 0) : (unsigned) time(NULL);
        print_message("ARBITER_TEST_SEED=%u\n", n);
        srand(n);
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
