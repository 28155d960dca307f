/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that are somebody else's children: how they live, die, and are killed, as an arbiter sees it
 * that has their descriptor from one before it. Each has a parent here that reaps it when it is told to. */

#include <sys/prctl.h>
#include <sys/socket.h>

#include "basic/pidfd.h"
#include "test-process-util.h"

/* A parent, and its child, which does as it is told by one byte: 'x' exits with 7, 'a' aborts. */
struct family {
        pid_t parent, child;
        int child_fd;  /* what the child is told by */
        int parent_fd; /* the parent reaps when there is a byte, and then ends at EOF */
        struct process process;
};

static _noreturn_ void run_child(int fd) {
        char c = 0;

        (void) setpgid(0, 0);
        (void) write(fd, "r", 1);
        (void) read(fd, &c, 1);
        if (c == 'a') {
                (void) signal(SIGABRT, SIG_DFL);
                abort();
        }
        _exit(c == 'x' ? 7 : 8);
}

static _noreturn_ void run_parent(int fd, int theirs) {
        pid_t pid = fork();
        char c;

        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failing test leaves nothing behind */
                close_fd(fd);
                run_child(theirs);
        }
        close_fd(theirs);
        (void) write(fd, &pid, sizeof(pid));
        if (read(fd, &c, 1) == 1)
                (void) waitpid(pid, NULL, 0);
        (void) write(fd, "d", 1);
        (void) read(fd, &c, 1);
        _exit(0);
}

static void make_family(struct family *f) {
        int fds[2], control[2], pidfd;
        char c;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
        *f = (struct family){ .child_fd = fds[0], .parent_fd = control[0] };
        f->parent = fork();
        if (f->parent == 0) {
                close_fd(fds[0]);
                close_fd(control[0]);
                run_parent(control[1], fds[1]);
        }
        close_fd(fds[1]);
        close_fd(control[1]);
        assert_int_equal(read(f->parent_fd, &f->child, sizeof(pid_t)), sizeof(pid_t));
        assert_int_equal(read(f->child_fd, &c, 1), 1);
        pidfd = pidfd_open_pid(f->child);
        assert_ok(pidfd);
        assert_ok(process_adopt(pidfd, f->child, true, &f->process));
        assert_int_equal(f->process.pid, f->child);
}

static void reap(struct family *f) {
        char c;

        assert_int_equal(write(f->parent_fd, "r", 1), 1);
        assert_int_equal(read(f->parent_fd, &c, 1), 1);
}

static void end_family(struct family *f) {
        close_fd(f->child_fd);
        close_fd(f->parent_fd);
        assert_int_equal(waitpid(f->parent, NULL, 0), f->parent);
}

static bool kernel_tells(void) {
        static int tells = -1;
        struct family f;
        int status;

        if (tells >= 0)
                return tells;
        make_family(&f);
        assert_int_equal(write(f.child_fd, "x", 1), 1);
        await_death(&f.process);
        reap(&f);
        tells = pidfd_get_exit(f.process.pidfd, &status) == 0;
        process_done(&f.process);
        end_family(&f);
        return tells;
}

static void test_exit(void **state) {
        bool tells = kernel_tells();
        struct process_exit e = {};
        struct family f;

        make_family(&f);
        assert_errno(process_peek(&f.process, &e), EAGAIN);
        assert_errno(process_reap(&f.process, &e), EAGAIN);
        assert_int_equal(write(f.child_fd, "x", 1), 1);
        await_death(&f.process);
        if (tells)
                assert_errno(process_peek(&f.process, &e), EBUSY);
        reap(&f);
        assert_ok(process_peek(&f.process, &e));
        assert_int_equal(e.end, tells ? PROCESS_EXITED : PROCESS_UNKNOWN);
        assert_int_equal(e.status, tells ? 7 : 0);
        e = (struct process_exit){};
        assert_ok(process_reap(&f.process, &e));
        assert_int_equal(e.end, tells ? PROCESS_EXITED : PROCESS_UNKNOWN);
        assert_int_equal(f.process.pidfd, -EBADF);
        assert_int_equal(f.process.pid, 0);
        assert_errno(process_signal(&f.process, SIGTERM), ESRCH);
        end_family(&f);
}

static void test_signal(void **state) {
        bool tells = kernel_tells();
        struct process_exit e = {};
        struct family f;

        make_family(&f);
        assert_int_equal(write(f.child_fd, "a", 1), 1);
        await_death(&f.process);
        reap(&f);
        assert_ok(process_reap(&f.process, &e));
        assert_int_equal(e.end, tells ? PROCESS_SIGNALED : PROCESS_UNKNOWN);
        assert_int_equal(e.status, tells ? SIGABRT : 0);
        end_family(&f);
}

/* Its parent hears of the reaping by the same descriptor, so nobody need ask again and again. */
static void test_reaping_is_told(void **state) {
        struct pollfd p = { .events = POLLIN };
        struct family f;

        if (!kernel_tells())
                skip();
        make_family(&f);
        p.fd = f.process.pidfd;
        assert_int_equal(write(f.child_fd, "x", 1), 1);
        await_death(&f.process);
        assert_int_equal(poll(&p, 1, 0), 1);
        assert_false(p.revents & POLLHUP);
        reap(&f);
        assert_int_equal(poll(&p, 1, 0), 1);
        assert_true(p.revents & POLLHUP);
        process_done(&f.process);
        end_family(&f);
}

static void test_kill(void **state) {
        struct process_exit e = {};
        struct family f;

        make_family(&f);
        assert_ok(process_kill_all(&f.process));
        await_death(&f.process);
        reap(&f);
        assert_ok(process_reap(&f.process, &e));
        assert_int_equal(e.status, e.end == PROCESS_SIGNALED ? SIGKILL : 0);
        assert_errno(process_kill_all(&f.process), ESRCH);
        end_family(&f);
}

/* What is left of its process group ends, too, though the leader has been reaped. */
static void test_kill_group(void **state) {
        struct family f;
        pid_t other;
        int status;

        make_family(&f);
        other = fork();
        if (other == 0) {
                (void) pause();
                _exit(0);
        }
        assert_int_equal(setpgid(other, f.child), 0);
        assert_int_equal(write(f.child_fd, "x", 1), 1);
        await_death(&f.process);
        if (pidfd_signal_group(f.process.pidfd, 0) != -EOPNOTSUPP)
                reap(&f); /* else the number must still be its own */
        (void) process_kill_all(&f.process);
        assert_int_equal(waitpid(other, &status, 0), other);
        assert_true(WIFSIGNALED(status));
        process_done(&f.process);
        end_family(&f);
}

static void test_end(void **state) {
        struct family f;

        make_family(&f);
        process_end(&f.process); /* its parent does not reap it: that must not hold us */
        assert_int_equal(f.process.pidfd, -EBADF);
        end_family(&f);
}

static void test_not_it(void **state) {
        struct process p = PROCESS_INIT;
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), pidfd = pidfd_open_pid(getpid());

        assert_ok(pidfd);
        assert_errno(process_adopt(fd, 0, false, &p), ENOTTY);
        assert_errno(process_adopt(pidfd, getppid(), false, &p), EBADMSG);
        assert_errno(process_adopt(-1, 1, false, &p), EBADF);
        assert_int_equal(p.pidfd, -EBADF);
        assert_ok(process_adopt(pidfd, 0, false, &p));
        assert_int_equal(p.pid, getpid());
        process_done(&p);
        close_fd(fd);
}

/* It may be long dead when its descriptor comes. */
static void test_dead_before(void **state) {
        struct process_exit e = {};
        struct process p;
        struct family f;

        make_family(&f);
        assert_int_equal(write(f.child_fd, "x", 1), 1);
        await_death(&f.process);
        reap(&f);
        assert_ok(process_adopt(fd_duplicate(f.process.pidfd), f.child, true, &p));
        assert_int_equal(p.pid, f.child);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.status, kernel_tells() ? 7 : 0);
        process_done(&f.process);
        end_family(&f);
}

/* The arbiter has executed another program, which takes over: its children are that one's. */
static void test_own_child(void **state) {
        struct process_exit e = {};
        struct process p;
        pid_t pid = fork();

        if (pid == 0)
                _exit(5);
        assert_ok(process_adopt(pidfd_open_pid(pid), pid, true, &p));
        assert_false(p.foreign);
        await_death(&p);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.end, PROCESS_EXITED);
        assert_int_equal(e.status, 5);
        assert_no_children();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exit),         cmocka_unit_test(test_signal),
                cmocka_unit_test(test_reaping_is_told), cmocka_unit_test(test_kill),
                cmocka_unit_test(test_kill_group),   cmocka_unit_test(test_end),
                cmocka_unit_test(test_not_it),       cmocka_unit_test(test_dead_before),
                cmocka_unit_test(test_own_child),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
