/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors for a process that systemd starts: what was put in comes out, and nothing else is believed. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/hand-over.h"
#include "test-util.h"

static bool is_same(int a, int b) {
        struct stat x, y;

        return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static void test_there_and_back(void **state) {
        static struct hand_over h;
        int pipes[4], fd;

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        assert_int_equal(pipe2(pipes + 2, O_CLOEXEC), 0);
        for (unsigned mailbox = 0; mailbox < 2; mailbox++) {
                assert_ok(hand_over_send(pipes, 3, "a:b:c", mailbox ? pipes[3] : -EBADF, &fd));
                assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
                assert_ok(hand_over_receive(fd, &h));
                assert_int_equal(h.n_fds, 3 + mailbox);
                assert_int_equal(h.mailbox, mailbox);
                assert_string_equal(h.names, "a:b:c");
                for (size_t i = 0; i < h.n_fds; i++) {
                        assert_true(is_same(h.fds[i], pipes[i]));
                        assert_int_equal(fcntl(h.fds[i], F_GETFD), FD_CLOEXEC);
                }
                hand_over_done(&h);
                assert_errno(hand_over_receive(fd, &h), ENODATA);
                close_fd(fd);
        }
        close_many(pipes, 4);
}

static void test_limits(void **state) {
        static struct hand_over h;
        static char names[HAND_OVER_NAMES_MAX + 1];
        int fds[HAND_OVER_FDS_MAX], fd;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = STDERR_FILENO;
        memset(names, 'x', sizeof(names) - 1);
        assert_errno(hand_over_send(fds, 0, NULL, -EBADF, &fd), EINVAL);
        assert_errno(hand_over_send(fds, HAND_OVER_FDS_MAX, NULL, 2, &fd), EINVAL);
        assert_errno(hand_over_send(fds, 1, names, -EBADF, &fd), EINVAL);
        names[HAND_OVER_NAMES_MAX - 1] = 0;
        assert_ok(hand_over_send(fds, HAND_OVER_FDS_MAX - 1, names, 2, &fd));
        assert_ok(hand_over_receive(fd, &h));
        assert_int_equal(h.n_fds, HAND_OVER_FDS_MAX);
        assert_string_equal(h.names, names);
        hand_over_done(&h);
        close_fd(fd);
}

static void send_raw(int fd, const void *data, size_t size, unsigned n_fds) {
        union {
                struct cmsghdr header;
                char buffer[CMSG_SPACE(100 * sizeof(int))];
        } c = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                m.msg_control = &c;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c.header.cmsg_level = SOL_SOCKET;
                c.header.cmsg_type = SCM_RIGHTS;
                c.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                for (unsigned i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(&c.header) + i * sizeof(int), &(int){ STDERR_FILENO }, sizeof(int));
        }
        assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), size);
}

static void test_rubbish(void **state) {
        static char large[HAND_OVER_NAMES_MAX + 100];
        static struct hand_over h;
        static const struct {
                const char *data;
                unsigned n_fds;
        } bad[] = { { "1", 1 }, { "1-a", 0 }, { "2-a", 1 }, { "1xa", 1 }, { "1-a", 100 },
                    { "1-a", HAND_OVER_FDS_MAX + 1 } };
        int pair[2], before, after;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        before = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close_fd(before);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                send_raw(pair[0], bad[i].data, strlen(bad[i].data), bad[i].n_fds);
                assert_errno(hand_over_receive(pair[1], &h), EBADMSG);
        }
        memset(large, 'x', sizeof(large));
        memcpy(large, "1-", 2);
        send_raw(pair[0], large, sizeof(large), 1);
        assert_errno(hand_over_receive(pair[1], &h), EBADMSG);
        after = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(after, before); /* none was left open */
        close_fd(after);
        close_many(pair, 1);
        assert_errno(hand_over_receive(pair[1], &h), ENODATA);
        assert_errno(hand_over_receive(STDERR_FILENO, &h), EBADMSG);
        close_fd(pair[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_rubbish),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
