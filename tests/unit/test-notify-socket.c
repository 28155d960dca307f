/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd_notify(3) messages from real senders: the process itself, its group, strangers; and broken ones. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "arbiter/notify-socket.h"
#include "basic/fd.h"
#include "test-util.h"

static char directory[] = "/tmp/test-notify-XXXXXX";

static int make_directory(void **state) {
        return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
        return rmdir(directory);
}

/* This program itself plays the process: then everything that it sends comes from the right pid. */
static struct process own_process(void) {
        return (struct process){ .pid = getpid(), .pidfd = -EBADF, .own_group = false };
}

static int connect_to(const struct notify_socket *s) {
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        size_t n = strlen(s->address);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        memcpy(sun.sun_path, s->address, n);
        if (s->address[0] == '@')
                sun.sun_path[0] = 0;
        if (fd < 0 || connect(fd, (struct sockaddr *) &sun,
                              (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n)) < 0)
                return -1;
        return fd;
}

static void send_text(int fd, const char *text, size_t n) {
        assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

static void test_fields(void **state) {
        struct notify_socket s;
        struct notify_message m;
        struct process p = own_process();
        struct stat st;
        int fd;

        assert_ok(notify_socket_open(directory, "web.1", getuid(), &s));
        assert_int_equal(lstat(s.address, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        fd = connect_to(&s);
        assert_ok(fd);
#define SEND(text) send_text(fd, text, strlen(text))
        assert_errno(notify_socket_receive(&s, &p, &m), EAGAIN);
        SEND("READY=1\nSTATUS=serving naïvely\nWATCHDOG_USEC=500000\nMAINPID=1\nFDSTORE=1\nX_UNKNOWN=1\n\n");
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_READY | NOTIFY_STATUS | NOTIFY_WATCHDOG_USEC);
        assert_string_equal(m.status, "serving naïvely");
        assert_int_equal(m.watchdog, 500000);
        assert_int_equal(m.sender, getpid());
        SEND("WATCHDOG=1");
        SEND("WATCHDOG=trigger");
        SEND("STOPPING=1\nERRNO=2\nEXTEND_TIMEOUT_USEC=7000000");
        SEND("RELOADING=1");
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_WATCHDOG);
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_WATCHDOG_TRIGGER);
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_STOPPING | NOTIFY_ERRNO | NOTIFY_EXTEND_TIMEOUT);
        assert_int_equal(m.error, ENOENT);
        assert_int_equal(m.extend_timeout, 7000000);
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_RELOADING);
        {
                char text[64];

                (void) snprintf(text, sizeof(text), "MAINPID=%ld", (long) getpid());
                SEND(text);
        }
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_MAINPID);
        assert_int_equal(m.main_pid, getpid());
        close_fd(fd);
        notify_socket_done(&s);
        assert_int_equal(lstat(directory, &st), 0);
}

static void test_malformed(void **state) {
        static const char *const without_effect[] = {
                "READY=2", "READY", "=", "\n\n\n", "STATUS=\xff\xfe", "STATUS=a\tb", "ERRNO=-1", "ERRNO=x",
                "ERRNO=99999", "WATCHDOG_USEC=", "WATCHDOG_USEC=99999999999999999999999", "MAINPID=0",
                "MAINPID=-5", " READY=1",
        };
        char big[NOTIFY_DATAGRAM_MAX + 1];
        struct notify_socket s;
        struct notify_message m;
        struct process p = own_process();
        int fd;

        assert_ok(notify_socket_open(NULL, "web.1", getuid(), &s));
        assert_int_equal(s.address[0], '@');
        fd = connect_to(&s);
        assert_ok(fd);
        for (size_t i = 0; i < ELEMENTSOF(without_effect); i++) {
                SEND(without_effect[i]);
                assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
                assert_int_equal(m.flags, 0);
        }
        send_text(fd, "", 0);
        assert_int_equal(notify_socket_receive(&s, &p, &m), 0);
        send_text(fd, "READY=1\0STOPPING=1", 18);
        assert_int_equal(notify_socket_receive(&s, &p, &m), 0);
        send_text(fd, "READY=1", 8); /* one NUL at the end */
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_READY);
        memset(big, 'x', sizeof(big));
        memcpy(big, "READY=1\n", 8);
        send_text(fd, big, sizeof(big));
        assert_int_equal(notify_socket_receive(&s, &p, &m), 0);
        send_text(fd, big, sizeof(big) - 1);
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_READY);
        close_fd(fd);
        notify_socket_done(&s);
}

/* sd_notify_barrier() waits until the descriptor that it sent is closed. Many descriptors must not stay with
 * us. */
static void test_descriptors_are_dropped(void **state) {
        struct notify_socket s;
        struct notify_message m;
        struct process p = own_process();
        union {
                struct cmsghdr header;
                uint8_t space[CMSG_SPACE(200 * sizeof(int))];
        } control = {};
        struct iovec iov = { (char *) "BARRIER=1", 9 };
        struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof(control) };
        struct pollfd pfd = { .events = 0 };
        int pipe_fds[2], fds[200], fd, lowest, after;

        assert_ok(notify_socket_open(directory, "b", getuid(), &s));
        fd = connect_to(&s);
        assert_ok(fd);
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        for (int i = 0; i < 200; i++)
                fds[i] = pipe_fds[1];
        control.header = (struct cmsghdr){ CMSG_LEN(sizeof(fds)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
        assert_int_equal(sendmsg(fd, &mh, 0), 9);
        pipe_fds[1] = close_fd(pipe_fds[1]);
        pfd.fd = pipe_fds[0];
        assert_int_equal(poll(&pfd, 1, 0), 0);
        lowest = fd_duplicate(fd);
        close_fd(lowest);
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_BARRIER);
        after = fd_duplicate(fd);
        assert_int_equal(after, lowest);
        close_fd(after);
        assert_int_equal(poll(&pfd, 1, 60000), 1);
        assert_true(pfd.revents & POLLHUP);
        close_fd(pipe_fds[0]);
        close_fd(fd);
        notify_socket_done(&s);
}

/* Runs in a child: sends and stays until told to go, so that its credentials can be looked up. */
_noreturn_ static void send_and_wait(const struct notify_socket *s, uid_t uid, bool new_session, int go[2]) {
        char byte;
        int fd;

        close_fd(go[1]);
        if (new_session && setsid() < 0)
                _exit(1);
        fd = connect_to(s); /* before giving up rights: the file is of another user */
        if (fd < 0 || (uid != getuid() && setresuid(uid, uid, uid) < 0) || send(fd, "READY=1", 7, 0) != 7)
                _exit(2);
        (void) !read(go[0], &byte, 1);
        _exit(0);
}

static int receive_from_child(const struct notify_socket *s, struct process p, uid_t uid, bool new_session) {
        struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
        struct notify_message m;
        int go[2], status, r;
        pid_t child;

        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        child = fork();
        if (child == 0)
                send_and_wait(s, uid, new_session, go);
        assert_int_equal(poll(&pfd, 1, 60000), 1);
        if (p.pid == 0)
                p.pid = child;
        r = notify_socket_receive(s, &p, &m);
        close_many(go, 2);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        return r;
}

static void test_senders(void **state) {
        struct notify_socket s;
        struct process group = { .pid = getpgrp(), .pidfd = -EBADF, .own_group = true };
        struct process stranger = { .pid = 1, .pidfd = -EBADF, .own_group = true };
        struct process child = { .pidfd = -EBADF, .own_group = true };

        assert_ok(notify_socket_open(NULL, "s", getuid(), &s));
        assert_int_equal(receive_from_child(&s, child, getuid(), true), 1);
        assert_int_equal(receive_from_child(&s, group, getuid(), false), 1);
        assert_int_equal(receive_from_child(&s, group, getuid(), true), 0);
        assert_int_equal(receive_from_child(&s, stranger, getuid(), false), 0);
        if (geteuid() == 0)
                assert_int_equal(receive_from_child(&s, group, 65534, false), 0);
        notify_socket_done(&s);

        if (geteuid() == 0) { /* of a program of another user: that user and root */
                assert_ok(notify_socket_open(directory, "s", 65534, &s));
                assert_int_equal(receive_from_child(&s, group, 65534, false), 1);
                assert_int_equal(receive_from_child(&s, group, 0, false), 1);
                assert_int_equal(receive_from_child(&s, group, 65533, false), 0);
                notify_socket_done(&s);
        }
}

static void test_real_library(void **state) {
        struct notify_socket s;
        struct notify_message m;
        struct process p = own_process();

        assert_ok(notify_socket_open(directory, "lib", getuid(), &s));
        assert_int_equal(setenv("NOTIFY_SOCKET", s.address, 1), 0);
        assert_true(sd_notifyf(0, "READY=1\nSTATUS=pid %d", 5) > 0);
        assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
        assert_int_equal(notify_socket_receive(&s, &p, &m), 1);
        assert_int_equal(m.flags, NOTIFY_READY | NOTIFY_STATUS);
        assert_string_equal(m.status, "pid 5");
        notify_socket_done(&s);
}

static void test_open_failures(void **state) {
        struct notify_socket s, again;
        char name[200], path[256];
        int fd;

        memset(name, 'a', sizeof(name));
        name[sizeof(name) - 1] = 0;
        assert_errno(notify_socket_open(directory, name, getuid(), &s), ENAMETOOLONG);
        assert_errno(notify_socket_open(directory, "a/b", getuid(), &s), EINVAL);
        assert_errno(notify_socket_open("/no/where", "a", getuid(), &s), ENOENT);
        (void) snprintf(path, sizeof(path), "%s/file", directory);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_ok(fd);
        close_fd(fd);
        assert_errno(notify_socket_open(directory, "file", getuid(), &s), EEXIST);
        assert_int_equal(unlink(path), 0);
        /* what an earlier life left is replaced */
        assert_ok(notify_socket_open(directory, "s", getuid(), &s));
        assert_ok(notify_socket_open(directory, "s", getuid(), &again));
        close_fd(s.fd);
        free(s.address);
        notify_socket_done(&again);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_descriptors_are_dropped),
                cmocka_unit_test(test_senders),
                cmocka_unit_test(test_real_library),
                cmocka_unit_test(test_open_failures),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
