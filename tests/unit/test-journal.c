/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The native protocol, and the log that goes to the journal: above all, that a journald that does not read
 * stops nobody. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "basic/fd.h"
#include "shared/journal.h"
#include "shared/log-journal.h"
#include "shared/log.h"
#include "test-util.h"

struct fixture {
        char directory[64], path[96];
        int socket;
        unsigned n_waits;
        int polled;
        char buffer[1 << 16];
        struct journal_fields fields;
};

static int open_socket(struct fixture *f) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        f->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(f->socket >= 0);
        strcpy(address.sun_path, f->path);
        return bind(f->socket, (const struct sockaddr *) &address, sizeof(address));
}

static int set_up(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        alarm(60);
        assert_non_null(f);
        strcpy(f->directory, "/tmp/test-journal-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        (void) snprintf(f->path, sizeof(f->path), "%s/socket", f->directory);
        assert_int_equal(setenv(JOURNAL_SOCKET_VARIABLE, f->path, 1), 0);
        *state = f;
        return open_socket(f);
}

static int tear_down(void **state) {
        struct fixture *f = *state;

        log_close();
        close_fd(f->socket);
        (void) unlink(f->path);
        assert_int_equal(rmdir(f->directory), 0);
        free(f->fields.data);
        free(f);
        return 0;
}

/* A field of the next entry; NULL: there is no entry, or no such field. */
static bool receive(struct fixture *f) {
        ssize_t n = recv(f->socket, f->buffer, sizeof(f->buffer), MSG_DONTWAIT);

        f->fields.size = 0;
        if (n < 0)
                return false;
        assert_ok(journal_add_encoded(&f->fields, &(struct journal_fields){ f->buffer, (size_t) n }));
        return true;
}

static const char *field(struct fixture *f, const char *name) {
        static char value[1024];
        const char *p = f->fields.data, *end = p + f->fields.size;
        struct journal_field x;

        while (journal_next(&p, end, &x) > 0)
                if (x.name_size == strlen(name) && memcmp(x.name, name, x.name_size) == 0) {
                        assert_true(x.value_size < sizeof(value));
                        memcpy(value, x.value, x.value_size);
                        value[x.value_size] = 0;
                        return value;
                }
        return NULL;
}

static void test_fields(void **state) {
        struct journal_fields f = {};
        struct journal_field x;
        const char *p;

        assert_ok(journal_add_string(&f, "A", "1"));
        assert_ok(journal_add_string(&f, "NOTHING", NULL));
        assert_ok(journal_add(&f, "B_2", "x\nPRIORITY=0", 12));
        assert_ok(journal_add(&f, "C", "", 0));
        assert_ok(journal_add(&f, "D", "\0=", 2));
        assert_ok(journal_add_format(&f, "E", "%d", 5));
        assert_int_equal(f.size, strlen("A=1\n") + 4 + 8 + 12 + 1 + strlen("C=\n") + 5 + strlen("E=5\n"));
        assert_memory_equal(f.data, "A=1\nB_2\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\nC=\nD=\0=\nE=5\n", f.size);
        p = f.data;
        for (unsigned i = 0; i < 5; i++) {
                assert_int_equal(journal_next(&p, f.data + f.size, &x), 1);
                assert_int_equal(x.name[0], 'A' + (int) i);
                assert_int_equal(x.value_size, ((size_t[]){ 1, 12, 0, 2, 1 })[i]);
        }
        assert_int_equal(journal_next(&p, f.data + f.size, &x), 0);
        free(f.data);
}

static void test_names(void **state) {
        static const char *const bad[] = { "", "_PID", "1A", "a", "A-B", "A B", "A=", "A\n", "\xc3\x84" };
        struct journal_fields f = {};
        char longest[66];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_errno(journal_add_string(&f, bad[i], "x"), EINVAL);
        }
        memset(longest, 'A', sizeof(longest));
        longest[65] = 0;
        assert_errno(journal_add_string(&f, longest, "x"), EINVAL);
        assert_null(f.data);
        longest[64] = 0;
        assert_ok(journal_add_string(&f, longest, "x"));
        free(f.data);
}

static void test_bad_encodings(void **state) {
        static const struct {
                const char *data;
                size_t size;
        } bad[] = { { "A", 1 }, { "A=", 2 }, { "=x\n", 3 }, { "a=x\n", 4 }, { "A\n", 2 },
                { "A\n\1\0\0\0\0\0\0\0x", 11 }, { "A\n\1\0\0\0\0\0\0\0xy", 12 },
                { "A\n\xff\xff\xff\xff\xff\xff\xff\xff\n\n", 12 }, { "\n", 1 } };
        struct journal_field x;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                const char *p = bad[i].data;

                assert_errno(journal_next(&p, bad[i].data + bad[i].size, &x), EBADMSG);
        }
}

static void test_large(void **state) {
        struct fixture *f = *state;
        size_t size = 40 << 20; /* beyond any send buffer */
        char *large = malloc(size), control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = { large, size };
        struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
        struct cmsghdr *c;
        int fd, memfd;
        void *p;

        assert_non_null(large);
        memset(large, 'x', size);
        assert_ok(journal_socket_open(f->path, &fd));
        assert_ok(journal_socket_send(fd, &iov, 1, NULL));
        assert_int_equal(recvmsg(f->socket, &m, MSG_CMSG_CLOEXEC), 0);
        c = CMSG_FIRSTHDR(&m);
        assert_non_null(c);
        assert_int_equal(c->cmsg_type, SCM_RIGHTS);
        memcpy(&memfd, CMSG_DATA(c), sizeof(memfd));
        assert_int_equal(fcntl(memfd, F_GET_SEALS),
                        F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        assert_int_equal(lseek(memfd, 0, SEEK_END), (off_t) size);
        p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, memfd, 0);
        assert_true(p != MAP_FAILED);
        assert_memory_equal(p, large, size);
        munmap(p, size);
        close_fd(memfd);
        close_fd(fd);
        free(large);
}

static void test_targets(void **state) {
        struct fixture *f = *state;

        log_open("test");
        assert_string_equal(log_get_target(), "console");
        assert_errno(log_set_target("nonsense"), EINVAL);
        assert_ok(log_set_target("journal"));
        assert_string_equal(log_get_target(), "journal");
        assert_ok(log_set_fields((const struct log_field[]){ { "ARBITER_INSTANCE", "system" } }, 1));
        log_entry(LOG_ERR, (const struct log_field[]){{"ARBITER_NAME", "web.1"}, {"ARBITER_AID", NULL}}, 2,
                        "two\nlines");
        assert_true(receive(f));
        assert_string_equal(field(f, "MESSAGE"), "two\nlines");
        assert_string_equal(field(f, "PRIORITY"), "3");
        assert_string_equal(field(f, "SYSLOG_IDENTIFIER"), "test");
        assert_string_equal(field(f, "ARBITER_INSTANCE"), "system");
        assert_string_equal(field(f, "ARBITER_NAME"), "web.1");
        assert_null(field(f, "ARBITER_AID"));
        log_debug("not shown");
        assert_int_equal(log_error_errno(-ENOENT, "opening: %m"), -ENOENT);
        assert_true(receive(f));
        assert_string_equal(field(f, "MESSAGE"), "opening: No such file or directory");
        assert_ok(log_set_target("null"));
        log_error("not sent");
        assert_false(receive(f));
        assert_string_equal(log_get_target(), "null");
        (void) unlink(f->path);
        assert_errno(log_set_target("journal"), ENOENT);
        assert_string_equal(log_get_target(), "null");
}

static void on_wait(void *userdata) {
        struct fixture *f = userdata;

        f->n_waits++;
        f->polled = -EBADF;
        if (!log_journal_flush())
                f->polled = log_journal_fd();
}

/* Without a reader: it must neither block nor grow, and what is lost is counted. */
static void test_stopped_journal(void **state) {
        struct fixture *f = *state;
        unsigned n = 20000, received = 0, lost = 0;

        log_open("test");
        assert_ok(log_set_target("journal"));
        log_journal_on_wait(on_wait, f);
        for (unsigned i = 0; i < n; i++)
                log_error("%u", i);
        assert_true(f->n_waits > 0);
        assert_int_equal(f->polled, log_journal_fd());
        assert_true(log_journal_is_waiting());
        assert_false(log_journal_flush());
        while (received + lost < n) {
                while (receive(f)) {
                        char expected[16];

                        (void) snprintf(expected, sizeof(expected), "%u", received);
                        assert_string_equal(field(f, "SYSLOG_IDENTIFIER"), "test");
                        if (strcmp(field(f, "MESSAGE"), expected) == 0)
                                received++;
                        else
                                assert_int_equal(sscanf(field(f, "MESSAGE"), "%u messages of", &lost), 1);
                }
                (void) log_journal_flush();
        }
        assert_int_equal(received + lost, n);
        assert_in_range(received, 1000, 3000);
        assert_false(log_journal_is_waiting());
        log_error("and on");
        assert_true(receive(f));
        log_journal_on_wait(NULL, NULL);
}

/* A number that is polled belongs to an open descriptor: else a loop would take away another one's. */
static void test_polled(void **state) {
        struct fixture *f = *state;

        log_open("test");
        assert_ok(log_set_target("journal"));
        log_journal_on_wait(on_wait, f);
        while (!log_journal_is_waiting())
                log_error("x");
        assert_true(f->polled >= 0);
        assert_int_equal(f->polled, log_journal_fd());
        close_fd(f->socket);
        (void) unlink(f->path);
        log_error("nobody is there");
        assert_int_equal(f->polled, -EBADF);
        assert_int_equal(log_journal_fd(), -EBADF);
        assert_int_equal(open_socket(f), 0);
        while (f->polled < 0) /* full again */
                log_error("x");
        assert_int_equal(f->polled, log_journal_fd());
        assert_ok(log_set_target("null"));
        assert_int_equal(f->polled, -EBADF);
        log_journal_on_wait(NULL, NULL);
}

static void test_new_journal(void **state) {
        struct fixture *f = *state;

        log_open("test");
        assert_ok(log_set_target("journal"));
        log_error("one");
        assert_true(receive(f));
        close_fd(f->socket);
        (void) unlink(f->path);
        log_error("two"); /* nobody is there */
        assert_true(log_journal_is_waiting());
        assert_int_equal(open_socket(f), 0);
        log_error("three");
        assert_false(log_journal_is_waiting());
        assert_true(receive(f));
        assert_string_equal(field(f, "MESSAGE"), "two");
        assert_true(receive(f));
        assert_string_equal(field(f, "MESSAGE"), "three");
        close_fd(f->socket); /* and once more, at once */
        (void) unlink(f->path);
        assert_int_equal(open_socket(f), 0);
        log_error("four");
        assert_true(receive(f));
        assert_string_equal(field(f, "MESSAGE"), "four");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_bad_encodings),
                cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_targets, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stopped_journal, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_polled, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_new_journal, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
