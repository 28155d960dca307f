/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state journal: transactions, images, every kind of damage, and a writer that is killed after each
 * single one of its instructions. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "arbiter/state-journal.h"
#include "basic/fd.h"
#include "test-util.h"

#define SMALL STATE_JOURNAL_SIZE_MIN

static void put(struct state_journal *j, const char *key, const char *value) {
        assert_ok(state_journal_put(j, 1, key, strlen(key), value, strlen(value)));
}

static void put_one(struct state_journal *j, const char *key, const char *value) {
        assert_ok(state_journal_begin(j));
        put(j, key, value);
        state_journal_commit(j);
}

static void remove_one(struct state_journal *j, const char *key) {
        assert_ok(state_journal_begin(j));
        assert_ok(state_journal_remove(j, 1, key, strlen(key)));
        state_journal_commit(j);
}

static void assert_value(const struct state_journal *j, const char *key, const char *expected) {
        struct state_entry e;

        if (!expected) {
                assert_errno(state_journal_get(j, 1, key, strlen(key), &e), ENOENT);
                return;
        }
        assert_ok(state_journal_get(j, 1, key, strlen(key), &e));
        assert_int_equal(e.value_size, strlen(expected));
        assert_memory_equal(e.value, expected, e.value_size);
}

static struct state_journal *reopen(struct state_journal *j, int expected) {
        _cleanup_close_ int fd = fd_duplicate(state_journal_fd(j));
        struct state_journal *ret = NULL;

        assert_true(fd >= 0);
        state_journal_free(j);
        assert_int_equal(state_journal_open(fd, &ret), expected);
        return ret;
}

static void test_nothing(void **state) {
        struct state_entry e;
        void *position = NULL;

        assert_ok(state_journal_begin(NULL));
        assert_ok(state_journal_put(NULL, 1, "a", 1, "b", 1));
        assert_ok(state_journal_remove(NULL, 1, "a", 1));
        state_journal_commit(NULL);
        state_journal_cancel(NULL);
        assert_errno(state_journal_get(NULL, 1, "a", 1, &e), ENOENT);
        assert_false(state_journal_next(NULL, 0, &position, &e));
        assert_errno(state_journal_fd(NULL), EBADF);
        assert_null(state_journal_free(NULL));
}

static void test_transactions(void **state) {
        struct state_journal *j;

        assert_ok(state_journal_new(SMALL, &j));
        assert_ok(state_journal_begin(j));
        put(j, "a", "1");
        put(j, "b", "2");
        put(j, "a", "3");
        assert_value(j, "a", NULL); /* not yet */
        state_journal_commit(j);
        assert_value(j, "a", "3");
        assert_value(j, "b", "2");

        assert_ok(state_journal_begin(j));
        put(j, "a", "4");
        put(j, "c", "5");
        assert_ok(state_journal_remove(j, 1, "b", 1));
        state_journal_cancel(j);
        assert_value(j, "a", "3");
        assert_value(j, "b", "2");
        assert_value(j, "c", NULL);

        assert_ok(state_journal_begin(j));
        put(j, "c", "");
        assert_ok(state_journal_remove(j, 1, "b", 1));
        assert_ok(state_journal_remove(j, 1, "never", 5));
        put(j, "d", "6");
        assert_ok(state_journal_remove(j, 1, "d", 1));
        state_journal_commit(j);

        j = reopen(j, 0);
        assert_value(j, "a", "3");
        assert_value(j, "b", NULL);
        assert_value(j, "c", "");
        assert_value(j, "d", NULL);
        state_journal_free(j);
}

static void test_uncommitted_is_lost(void **state) {
        struct state_journal *j;

        assert_ok(state_journal_new(SMALL, &j));
        put_one(j, "a", "1");
        assert_ok(state_journal_begin(j));
        put(j, "a", "2");
        j = reopen(j, 0);
        assert_value(j, "a", "1");
        state_journal_free(j);
}

static void test_kinds_and_order(void **state) {
        static const uint8_t kinds[] = {2, 1, 3, 1};
        struct state_journal *j;
        struct state_entry e;
        void *position = NULL;
        unsigned n = 0;

        assert_ok(state_journal_new(SMALL, &j));
        for (uint8_t i = 0; i < ELEMENTSOF(kinds); i++) {
                assert_ok(state_journal_begin(j));
                assert_ok(state_journal_put(j, kinds[i], &i, 1, &i, 1));
                state_journal_commit(j);
        }
        while (state_journal_next(j, 1, &position, &e)) {
                assert_int_equal(*(const uint8_t *) e.key, n == 0 ? 1 : 3);
                n++;
        }
        assert_int_equal(n, 2);
        position = NULL;
        for (n = 0; state_journal_next(j, 0, &position, &e); n++)
                assert_int_equal(e.kind, kinds[n]);
        assert_int_equal(n, 4);
        state_journal_free(j);
}

/* Many more bytes than there is room for, most of them dead. */
static void test_images(void **state) {
        struct state_journal_usage usage;
        struct state_journal *j;
        char key[16], value[64];

        assert_ok(state_journal_new(SMALL, &j));
        for (unsigned i = 0; i < 5000; i++) {
                (void) snprintf(key, sizeof(key), "k%u", i % 20);
                (void) snprintf(value, sizeof(value), "value %u of many", i);
                put_one(j, key, value);
                if (i % 7 == 0)
                        remove_one(j, "k3");
                if (i % 501 == 0)
                        j = reopen(j, 0);
        }
        state_journal_get_usage(j, &usage);
        assert_true(usage.epoch > 10);
        j = reopen(j, 0);
        assert_value(j, "k19", "value 4999 of many");
        assert_value(j, "k3", NULL);
        assert_value(j, "k0", "value 4980 of many");
        state_journal_free(j);
}

/* What is dead is not kept for long, however much room there is: the next one reads it, and it is memory. */
static void test_log_is_short(void **state) {
        static uint8_t value[300], large[100 * 1000];
        struct state_journal_usage usage;
        struct state_journal *j;
        struct stat st;
        uint64_t epoch;

        assert_ok(state_journal_new(STATE_JOURNAL_SIZE_DEFAULT, &j));
        for (unsigned i = 0; i < 100 * 1000; i++) {
                assert_ok(state_journal_begin(j));
                assert_ok(state_journal_put(j, 1, &(uint8_t){ i % 10 }, 1, value, sizeof(value)));
                state_journal_commit(j);
                if (i == 50 * 1000)
                        j = reopen(j, 0);
        }
        state_journal_get_usage(j, &usage);
        assert_true(usage.used < 1024 * 1024);
        assert_int_equal(fstat(state_journal_fd(j), &st), 0);
        assert_true(st.st_blocks < 4 * 1024 * 1024 / 512);

        /* But no image for each of many that are alive. */
        assert_ok(state_journal_begin(j));
        for (uint32_t i = 0; i < 200; i++)
                assert_ok(state_journal_put(j, 2, &i, sizeof(i), large, sizeof(large)));
        state_journal_commit(j);
        for (uint32_t i = 200; i < 300; i++) {
                assert_ok(state_journal_begin(j));
                assert_ok(state_journal_put(j, 2, &i, sizeof(i), large, sizeof(large)));
                state_journal_commit(j);
        }
        epoch = usage.epoch;
        state_journal_get_usage(j, &usage);
        assert_true(usage.epoch < epoch + 10);
        j = reopen(j, 0);
        state_journal_get_usage(j, &usage);
        assert_int_equal(usage.entries, 310);
        state_journal_free(j);
}

static void test_limits(void **state) {
        char big[STATE_KEY_MAX + 1] = {}, key[16], value[200] = {};
        struct state_journal *j;
        unsigned n = 0;
        int r;

        assert_ok(state_journal_new(SMALL, &j));
        assert_ok(state_journal_begin(j));
        assert_errno(state_journal_put(j, 1, big, sizeof(big), "", 0), E2BIG);
        assert_ok(state_journal_begin(j)); /* that one is over */
        assert_errno(state_journal_put(j, 1, "a", 1, value, STATE_VALUE_MAX + 1), E2BIG);
        assert_ok(state_journal_begin(j));
        assert_ok(state_journal_put(j, 1, big, STATE_KEY_MAX, "x", 1));
        state_journal_commit(j);

        do {
                (void) snprintf(key, sizeof(key), "full%u", n);
                assert_ok(state_journal_begin(j));
                r = state_journal_put(j, 1, key, strlen(key), value, sizeof(value));
                state_journal_commit(j);
        } while (r >= 0 && ++n < 1000);
        assert_int_equal(r, -ENOSPC);
        assert_true(n > 10);
        assert_value(j, key, NULL);
        /* room is made by what goes */
        remove_one(j, "full0");
        assert_ok(state_journal_begin(j));
        assert_ok(state_journal_put(j, 1, key, strlen(key), value, sizeof(value)));
        state_journal_commit(j);
        j = reopen(j, 0);
        assert_value(j, "full0", NULL);
        state_journal_free(j);
}

/* An entry that is too big for what is left takes the earlier ones of its transaction with it. */
static void test_full_in_transaction(void **state) {
        static const uint8_t value[5000];
        struct state_journal *j;

        assert_ok(state_journal_new(SMALL, &j));
        put_one(j, "a", "1");
        assert_ok(state_journal_begin(j));
        put(j, "a", "2");
        put(j, "b", "2");
        assert_errno(state_journal_put(j, 1, "c", 1, value, 7000), ENOSPC);
        assert_value(j, "a", "1");
        assert_value(j, "b", NULL);
        for (unsigned i = 0; i < 10; i++) { /* each with an image in the middle */
                assert_ok(state_journal_begin(j));
                put(j, "b", "early");
                assert_ok(state_journal_put(j, 1, "c", 1, value, 1500));
                assert_ok(state_journal_put(j, 1, "c", 1, value, 1600));
                put(j, "d", "late");
                state_journal_commit(j);
        }
        j = reopen(j, 0);
        assert_value(j, "a", "1");
        assert_value(j, "b", "early");
        assert_value(j, "d", "late");
        state_journal_free(j);
}

static void refuse(off_t size, int seals, int expected) {
        struct state_journal *j = NULL;
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, size), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        assert_int_equal(state_journal_open(fd, &j), expected);
        assert_null(j);
        close_fd(fd);
}

static void test_refused(void **state) {
        const int good = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
        struct state_journal *j = NULL;
        uint32_t version = 99;
        int fd;

        refuse(SMALL, good, -EBADMSG); /* nothing in it */
        refuse(SMALL, F_SEAL_GROW | F_SEAL_SEAL, -EBADMSG);
        refuse(SMALL, good | F_SEAL_WRITE, -EBADMSG);
        refuse(0, good, -EBADMSG);
        refuse(4096, good, -EBADMSG);
        refuse(SMALL + 1, good, -EBADMSG);
        assert_errno(state_journal_open(-EBADF, &j), EBADF);
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        assert_errno(state_journal_open(fd, &j), EBADMSG);
        close_fd(fd);

        assert_ok(state_journal_new(SMALL, &j));
        assert_int_equal(pwrite(state_journal_fd(j), &version, sizeof(version), 8), sizeof(version));
        assert_null(reopen(j, -EPROTONOSUPPORT));
}

static struct state_journal *make_example(char values[static 40][32]) {
        struct state_journal *j;

        assert_ok(state_journal_new(SMALL, &j));
        for (unsigned i = 0; i < 40; i++) {
                (void) snprintf(values[i], sizeof(values[i]), "value %u", i);
                put_one(j, "a", values[i]);
                put_one(j, "b", values[i]);
        }
        return j;
}

/* Each bit of what is written flipped once: what can be read is what stood there after some commit, and the
 * journal goes on from there. */
static void test_bit_flips(void **state) {
        char values[40][32];
        struct state_journal_usage usage;
        struct state_journal *j = make_example(values), *other;
        uint8_t *image = malloc(SMALL);
        size_t n;

        assert_non_null(image);
        state_journal_get_usage(j, &usage);
        n = 4096 + 6144 + usage.used; /* header, the first half, which is empty, and what is used */
        assert_int_equal(pread(state_journal_fd(j), image, SMALL, 0), SMALL);
        for (size_t bit = 0; bit < n * 8; bit += bit < 64 * 8 || bit > (4096 + 6144) * 8 ? 1 : 257) {
                uint8_t flipped = image[bit / 8] ^ (uint8_t) (1U << bit % 8);
                struct state_entry a, b;
                int r, fd;

                assert_int_equal(pwrite(state_journal_fd(j), image, SMALL, 0), SMALL);
                assert_int_equal(pwrite(state_journal_fd(j), &flipped, 1, (off_t) (bit / 8)), 1);
                r = state_journal_open(state_journal_fd(j), &other);
                if (r < 0) {
                        assert_true(r == -EBADMSG || r == -EPROTONOSUPPORT);
                        continue;
                }
                if (state_journal_get(other, 1, "a", 1, &a) >= 0 &&
                                state_journal_get(other, 1, "b", 1, &b) >= 0) {
                        unsigned i;

                        for (i = 0; i < 40; i++)
                                if (strlen(values[i]) == a.value_size &&
                                                memcmp(values[i], a.value, a.value_size) == 0)
                                        break;
                        assert_true(i < 40);
                        assert_true(b.value_size <= a.value_size);
                        if (r == 0)
                                assert_int_equal(i, 39);
                }
                put_one(other, "z", "new");
                fd = fd_duplicate(state_journal_fd(other));
                state_journal_free(other);
                assert_int_equal(state_journal_open(fd, &other), 0);
                assert_value(other, "z", "new");
                state_journal_free(other);
                close_fd(fd);
        }
        free(image);
        state_journal_free(j);
}

/* The writer's program: after step i "step" is i, and so is "other"; images are made on the way. */
enum { STEPS = 14 };

static void write_step(struct state_journal *j, unsigned i) {
        char value[1200];
        size_t size = i % 3 == 0 ? sizeof(value) : 8;

        memset(value, (int) i, sizeof(value));
        (void) state_journal_begin(j);
        (void) state_journal_put(j, 1, "step", 4, value, 8);
        (void) state_journal_put(j, 2, &i, sizeof(i), value, size);
        if (i >= 2) {
                unsigned old = i - 2;

                (void) state_journal_remove(j, 2, &old, sizeof(old));
        }
        (void) state_journal_put(j, 1, "other", 5, value, size);
        state_journal_commit(j);
}

/* The mapping is not inherited: it has one of its own. */
_noreturn_ static void be_killed(int fd) {
        struct state_journal *j;

        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                _exit(77);
        if (state_journal_open(fd, &j) != 0)
                _exit(1);
        (void) raise(SIGSTOP);
        for (unsigned i = 1; i <= STEPS; i++)
                write_step(j, i);
        _exit(0);
}

/* A forked actor has nothing of it to write to. */
static void test_not_inherited(void **state) {
        struct state_journal *j;
        int status;
        pid_t pid;

        assert_ok(state_journal_new(SMALL, &j));
        put_one(j, "a", "1");
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) signal(SIGSEGV, SIG_DFL); /* also where a sanitizer has its own */
                put_one(j, "a", "2");
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        assert_value(j, "a", "1");
        state_journal_free(j);
}

/* The memory as it is now is what a kill would leave now. The step it tells of. */
static unsigned check_snapshot(int fd, int copy) {
        static uint8_t buffer[SMALL];
        struct state_journal *j = NULL;
        struct state_entry step, other, own;
        unsigned i;

        assert_int_equal(pread(fd, buffer, SMALL, 0), SMALL);
        assert_int_equal(pwrite(copy, buffer, SMALL, 0), SMALL);
        assert_int_equal(state_journal_open(copy, &j), 0);
        if (state_journal_get(j, 1, "step", 4, &step) < 0) {
                assert_errno(state_journal_get(j, 1, "other", 5, &other), ENOENT);
                state_journal_free(j);
                return 0;
        }
        i = *(const uint8_t *) step.value;
        assert_ok(state_journal_get(j, 1, "other", 5, &other));
        assert_int_equal(*(const uint8_t *) other.value, i);
        assert_ok(state_journal_get(j, 2, &i, sizeof(i), &own));
        assert_int_equal(own.value_size, i % 3 == 0 ? 1200 : 8);
        state_journal_free(j);
        return i;
}

/* Has this instruction changed the memory at all? Most have not. */
static bool has_changed(const uint8_t *memory, uint8_t *last) {
        if (memcmp(memory, last, SMALL) == 0)
                return false;
        memcpy(last, memory, SMALL);
        return true;
}

static void test_killed_anywhere(void **state) {
        static uint8_t last[SMALL];
        struct state_journal *j, *copy;
        unsigned step = 0, seen = 0, n_checked = 0, status_step;
        const uint8_t *memory;
        int status, fd;
        pid_t pid;

        if (getenv("ARBITER_TEST_VALGRIND"))
                skip(); /* the instructions would be those of valgrind itself */
        assert_ok(state_journal_new(SMALL, &j));
        assert_ok(state_journal_new(SMALL, &copy));
        fd = state_journal_fd(j);
        memory = mmap(NULL, SMALL, PROT_READ, MAP_SHARED, fd, 0);
        assert_ptr_not_equal(memory, MAP_FAILED);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                be_killed(fd);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip(); /* tracing is forbidden here */
        assert_true(WIFSTOPPED(status));
        for (;;) {
                assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (!WIFSTOPPED(status))
                        break;
                assert_int_equal(WSTOPSIG(status), SIGTRAP);
                if (!has_changed(memory, last))
                        continue;
                status_step = check_snapshot(fd, state_journal_fd(copy));
                assert_true(status_step == step || status_step == step + 1);
                seen += status_step != step;
                step = status_step;
                n_checked++;
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(seen, STEPS);
        assert_true(n_checked > 300);
        (void) munmap((void *) memory, SMALL);
        state_journal_free(copy);
        state_journal_free(j);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing),
                cmocka_unit_test(test_transactions),
                cmocka_unit_test(test_uncommitted_is_lost),
                cmocka_unit_test(test_kinds_and_order),
                cmocka_unit_test(test_images),
                cmocka_unit_test(test_log_is_short),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_full_in_transaction),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_bit_flips),
                cmocka_unit_test(test_not_inherited),
                cmocka_unit_test(test_killed_anywhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
