/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiter-keeper, the program, and its client in arbiterd: what was handed over is there for the next one,
 * whoever dies meanwhile; and whoever connects and talks nonsense harms nobody. */

#include "test-util.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arbiterd/keeper.h"
#include "basic/time-util.h"
#include "shared/log.h"

#define PATIENCE (30 * USEC_PER_SEC) /* only a failing test waits that long */

static const char *program;

struct fixture {
        char directory[32], path[64], notify_path[64];
        int notify; /* what the keeper tells systemd */
        pid_t pid;
        sd_event *event;
};

static void bind_to(int fd, const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        strcpy(address.sun_path, path);
        assert_ok(bind(fd, (struct sockaddr *) &address, sizeof(address)));
}

static void await_input(int fd) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        assert_int_equal(poll(&p, 1, (int) (PATIENCE / USEC_PER_MSEC)), 1);
}

/* Until it has said what; its last STATUS= is of no interest here. */
static void await_notify(struct fixture *f, const char *what) {
        char text[512];
        ssize_t n;

        do {
                await_input(f->notify);
                n = recv(f->notify, text, sizeof(text) - 1, 0);
                assert_true(n > 0);
                text[n] = 0;
        } while (!strstr(text, what));
}

static void start_with(struct fixture *f, unsigned nofile) {
        f->pid = fork();
        assert_ok(f->pid);
        if (f->pid == 0) {
                struct rlimit l = { nofile, nofile };

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) setenv("NOTIFY_SOCKET", f->notify_path, 1);
                if (nofile > 0 && setrlimit(RLIMIT_NOFILE, &l) < 0)
                        _exit(99);
                execl(program, program, "--socket", f->path, NULL);
                _exit(99);
        }
        await_notify(f, "READY=1");
}

static void start(struct fixture *f) {
        start_with(f, 0);
}

static void end(struct fixture *f, int sig, int status) {
        int s;

        assert_ok(kill(f->pid, sig));
        assert_int_equal(waitpid(f->pid, &s, 0), f->pid);
        assert_int_equal(s, status);
        f->pid = 0;
}

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        strcpy(f->directory, "/tmp/test-keeper-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        (void) snprintf(f->path, sizeof(f->path), "%s/socket", f->directory);
        (void) snprintf(f->notify_path, sizeof(f->notify_path), "%s/notify", f->directory);
        f->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_ok(f->notify);
        bind_to(f->notify, f->notify_path);
        assert_ok(sd_event_new(&f->event));
        *state = f;
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        if (f->pid > 0)
                end(f, SIGTERM, 0);
        sd_event_unref(f->event);
        close(f->notify);
        (void) unlink(f->notify_path);
        (void) unlink(f->path);
        assert_ok(rmdir(f->directory));
        free(f);
        return 0;
}

/* The client's side. */

static struct keeper *client_with(struct fixture *f, int stored) {
        struct keeper *k;

        assert_ok(keeper_new(f->path, stored, &k));
        return k;
}

static struct keeper *client(struct fixture *f) {
        return client_with(f, -EBADF);
}

static void attach(struct fixture *f, struct keeper *k) {
        assert_ok(keeper_attach(k, f->event, &(struct keeper_events){}, NULL));
}

static void on_settled(void *userdata) {
        unsigned *n = userdata;

        ++*n;
}

static void await_settled(struct fixture *f, struct keeper *k) {
        usec_t until = now_usec() + PATIENCE;

        while (!keeper_is_settled(k)) {
                assert_true(now_usec() < until);
                assert_ok(sd_event_run(f->event, PATIENCE));
        }
}

/* A descriptor that can be told from others: a pipe's writing end. */
static int make_pipe(int *ret_reading) {
        int fds[2];

        assert_ok(pipe2(fds, O_CLOEXEC));
        *ret_reading = fds[0];
        return fds[1];
}

static bool is_same(int a, int b) {
        struct stat x, y;

        assert_ok(fstat(a, &x));
        assert_ok(fstat(b, &y));
        return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The other ends have all been closed. */
static void await_end(int reading) {
        char c;

        await_input(reading);
        assert_true(read(reading, &c, 1) <= 0);
}

static size_t count(struct keeper *k) {
        void *position = NULL;
        size_t n = 0;

        while (keeper_next(k, &position))
                n++;
        return n;
}

static void test_next_arbiter(void **state) {
        struct fixture *f = *state;
        int reading, writing, fd;
        void *position = NULL;
        struct stat st;
        struct keeper *k;

        start(f);
        assert_ok(stat(f->path, &st));
        assert_int_equal(st.st_mode & 0777, 0600);
        k = client(f);
        assert_int_equal(count(k), 0);
        writing = make_pipe(&reading);
        assert_int_equal(keeper_keep(NULL, "c.17", writing, k), 0);
        assert_int_equal(keeper_keep(NULL, "p.17", reading, k), 0);
        close(writing);
        keeper_free(k); /* the arbiter has died */

        k = client(f);
        assert_string_equal(keeper_next(k, &position), "c.17");
        assert_string_equal(keeper_next(k, &position), "p.17");
        assert_null(keeper_next(k, &position));
        assert_errno(keeper_get(k, "x"), ENOENT);
        fd = keeper_get(k, "c.17");
        assert_true(fd >= 0);
        assert_true(is_same(fd, reading));
        assert_int_equal(write(fd, "x", 1), 1);
        close(fd);
        assert_int_equal(keeper_keep(NULL, "p.17", -1, k), 0);
        assert_errno(keeper_get(k, "p.17"), ENOENT);
        keeper_free(k);

        k = client(f);
        assert_int_equal(count(k), 1);
        keeper_free(k);
        close(reading);
        await_notify(f, "STATUS=Keeps 1 descriptor");
}

/* Who walks through what is kept does not stumble over what the keeper has been told meanwhile to forget. */
static void test_forgotten_on_the_way(void **state) {
        struct fixture *f = *state;
        int reading, writing = make_pipe(&reading);
        void *position = NULL;
        struct keeper *k;

        start(f);
        k = client(f);
        assert_int_equal(keeper_keep(NULL, "a", reading, k), 0);
        assert_int_equal(keeper_keep(NULL, "b", reading, k), 0);
        assert_int_equal(keeper_keep(NULL, "c", reading, k), 0);
        assert_ok(kill(f->pid, SIGSTOP));
        while (keeper_keep(NULL, "d", reading, k) == 0)
                ; /* until its socket is full */
        assert_int_equal(keeper_keep(NULL, "b", -1, k), 1);
        assert_string_equal(keeper_next(k, &position), "a");
        assert_ok(kill(f->pid, SIGCONT));
        while (keeper_keep(NULL, "e", reading, k) > 0)
                sched_yield();
        assert_string_equal(keeper_next(k, &position), "c");
        assert_string_equal(keeper_next(k, &position), "d");
        assert_string_equal(keeper_next(k, &position), "e");
        assert_null(keeper_next(k, &position));
        keeper_free(k);
        close(reading);
        close(writing);
}

/* What nobody wants any more is closed, by the client as by the keeper. */
static void test_forget(void **state) {
        struct fixture *f = *state;
        int first, second, writing;
        struct keeper *k;

        start(f);
        k = client(f);
        writing = make_pipe(&first);
        assert_int_equal(keeper_keep(NULL, "c.1", writing, k), 0);
        close(writing);
        writing = make_pipe(&second);
        assert_int_equal(keeper_keep(NULL, "c.1", writing, k), 0); /* in place of the other */
        close(writing);
        await_end(first);
        assert_int_equal(keeper_keep(NULL, "c.1", -1, k), 0);
        assert_int_equal(keeper_keep(NULL, "c.1", -1, k), 0);
        await_end(second);
        keeper_free(k);
        close(first);
        close(second);
}

/* What an end had sent before it died is there, though something for it lies unread: that is what the kernel
 * tells first. */
static void test_last_words(void **state) {
        struct keeper_packet hello = { .head = { .op = KEEPER_HELLO, .n = KEEPER_VERSION } },
                             put = { .head = { .op = KEEPER_PUT, .n = 1 }, .names = { "c.abcdefgh" } }, p;
        int ends[2], fds[KEEPER_BATCH_MAX], reading, writing = make_pipe(&reading);
        size_t n = 0;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        assert_ok(keeper_send(ends[0], &hello, NULL));
        assert_ok(keeper_send(ends[1], &put, &writing));
        close_fd(ends[1]);
        close_fd(writing);
        assert_int_equal(keeper_receive(ends[0], &p, fds, &n), 1);
        assert_int_equal(p.head.op, KEEPER_PUT);
        assert_int_equal(n, 1);
        close_fd(fds[0]);
        await_end(reading);
        assert_int_equal(keeper_receive(ends[0], &p, fds, &n), 0);
        close_fd(ends[0]);
        close_fd(reading);
}

static void test_bad_names(void **state) {
        struct fixture *f = *state;
        char name[KEEPER_NAME_SIZE + 1];
        struct keeper *k;

        start(f);
        k = client(f);
        memset(name, 'x', sizeof(name));
        name[KEEPER_NAME_SIZE] = 0;
        assert_errno(keeper_keep(NULL, name, 0, k), EINVAL);
        assert_errno(keeper_keep(NULL, "", 0, k), EINVAL);
        assert_errno(keeper_keep(NULL, "a b", 0, k), EINVAL);
        assert_errno(keeper_keep(NULL, "caf\303\251", 0, k), EINVAL);
        assert_errno(keeper_keep(NULL, "x\n", 0, k), EINVAL);
        assert_errno(keeper_keep(NULL, "x", 9999, k), EBADF);
        name[KEEPER_NAME_SIZE - 1] = 0;
        assert_int_equal(keeper_keep(NULL, name, 0, k), 0);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), 1);
        keeper_free(k);
}

/* More than a packet and than a socket take, while the keeper does not read: nothing blocks, nothing is
 * lost.
 * */
static void test_many(void **state) {
        struct fixture *f = *state;
        enum { N = 4000 };
        unsigned n_settled = 0;
        struct keeper *k;
        int s;

        start(f);
        k = client(f);
        assert_ok(keeper_attach(k, f->event, &(struct keeper_events){ .settled = on_settled }, &n_settled));
        assert_ok(kill(f->pid, SIGSTOP));
        assert_int_equal(waitpid(f->pid, &s, WUNTRACED), f->pid);
        for (unsigned i = 0; i < N; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "c.%u", i);
                assert_true(keeper_keep(NULL, name, f->notify, k) >= 0);
        }
        assert_false(keeper_is_settled(k));
        /* the last word counts */
        assert_int_equal(keeper_keep(NULL, "c.3999", -1, k), 1);
        assert_int_equal(keeper_keep(NULL, "c.3998", -1, k), 1);
        assert_int_equal(keeper_keep(NULL, "c.3998", f->notify, k), 1);
        assert_int_equal(keeper_keep(NULL, "new", -1, k), 0);
        assert_ok(kill(f->pid, SIGCONT));
        await_settled(f, k);
        while (n_settled == 0)
                assert_ok(sd_event_run(f->event, PATIENCE));
        assert_int_equal(n_settled, 1);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), N - 1);
        s = keeper_get(k, "c.3998");
        assert_true(is_same(s, f->notify));
        close(s);
        assert_errno(keeper_get(k, "c.3999"), ENOENT);
        keeper_free(k);
}

/* It is given all anew, without what has been dropped meanwhile. */
static void test_keeper_dies(void **state) {
        struct fixture *f = *state;
        struct keeper *k;
        int reading, writing;

        start(f);
        k = client(f);
        attach(f, k);
        writing = make_pipe(&reading);
        assert_int_equal(keeper_keep(NULL, "c.1", writing, k), 0);
        assert_int_equal(keeper_keep(NULL, "c.2", f->notify, k), 0);
        close(writing);
        end(f, SIGKILL, SIGKILL);
        while (keeper_is_settled(k))
                assert_ok(sd_event_run(f->event, PATIENCE));
        assert_int_equal(keeper_keep(NULL, "c.1", -1, k), 0);
        await_end(reading); /* with nobody there to be told */
        assert_int_equal(keeper_keep(NULL, "c.3", f->notify, k), 1);
        start(f);
        await_settled(f, k);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), 2);
        assert_errno(keeper_get(k, "c.1"), ENOENT);
        keeper_free(k);
        close(reading);
}

/* At the start there is none; later there is one, and it has things from somebody else. */
static void test_late_keeper(void **state) {
        struct fixture *f = *state;
        struct keeper *k, *other;

        assert_false(keeper_lives(f->path));
        k = client(f);
        assert_int_equal(keeper_keep(NULL, "c.1", f->notify, k), 1);
        start(f);
        assert_true(keeper_lives(f->path));
        other = client(f);
        assert_int_equal(keeper_keep(NULL, "c.9", f->notify, other), 0);
        attach(f, k);
        await_settled(f, k);
        keeper_free(other);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), 1);
        assert_ok(keeper_keep(NULL, "c.1", -1, k));
        keeper_free(k);
}

static void on_connected(int socket, void *userdata) {
        int *stored = userdata;

        close_fd(*stored);
        *stored = fd_duplicate(socket);
        assert_true(*stored >= 0);
}

/* The connection lay in the fd store, with an answer that nobody has read; the path is gone. */
static void test_stored(void **state) {
        struct keeper_packet p = { .head = { .op = KEEPER_LIST, .cookie = 7 } };
        struct fixture *f = *state;
        int stored = -EBADF;
        struct keeper *k;

        start(f);
        k = client(f);
        assert_ok(keeper_attach(k, f->event, &(struct keeper_events){ .connected = on_connected }, &stored));
        assert_int_equal(keeper_keep(NULL, "c.1", f->notify, k), 0);
        assert_true(stored >= 0);
        keeper_free(k);
        assert_ok(keeper_send(stored, &p, NULL));
        assert_ok(unlink(f->path));
        k = client_with(f, stored);
        assert_int_equal(count(k), 1);
        keeper_free(k);
}

/* The stored connection leads to a keeper that is dead. */
static void test_stored_dead(void **state) {
        struct fixture *f = *state;
        int stored = -EBADF;
        struct keeper *k;

        start(f);
        k = client(f);
        assert_ok(keeper_attach(k, f->event, &(struct keeper_events){ .connected = on_connected }, &stored));
        keeper_free(k);
        end(f, SIGKILL, SIGKILL);
        start(f);
        k = client_with(f, stored);
        assert_int_equal(keeper_keep(NULL, "c.1", f->notify, k), 0);
        keeper_free(k);
}

/* It does not answer: the arbiter starts all the same, and takes it when it is well again. */
static void test_hanging_keeper(void **state) {
        struct fixture *f = *state;
        struct keeper *k;
        int s;

        start(f);
        assert_ok(kill(f->pid, SIGSTOP));
        assert_int_equal(waitpid(f->pid, &s, WUNTRACED), f->pid);
        k = client(f);
        assert_int_equal(keeper_keep(NULL, "c.1", f->notify, k), 1);
        attach(f, k);
        assert_ok(kill(f->pid, SIGCONT));
        await_settled(f, k);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), 1);
        keeper_free(k);
}

/* There is no room: told, and the rest goes on. */
static void test_full(void **state) {
        struct fixture *f = *state;
        struct keeper *k;

        start_with(f, 600);
        k = client(f);
        attach(f, k);
        for (unsigned i = 0; i < 1000; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "c.%u", i);
                assert_true(keeper_keep(NULL, name, f->notify, k) >= 0);
        }
        await_settled(f, k);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), 600 - 2 * KEEPER_BATCH_MAX);
        assert_int_equal(keeper_keep(NULL, "c.0", -1, k), 0);
        assert_int_equal(keeper_keep(NULL, "another", f->notify, k), 0);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), 600 - 2 * KEEPER_BATCH_MAX);
        assert_ok(keeper_keep(NULL, "another", -1, k));
        keeper_free(k);
}

/* Hostile. */

static int connect_raw(struct fixture *f) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd;

        strcpy(address.sun_path, f->path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_ok(fd);
        assert_ok(connect(fd, (struct sockaddr *) &address, sizeof(address)));
        return fd;
}

static void say_raw(struct fixture *f, const void *data, size_t size, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int) * 200)];
        } control = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        int fd = connect_raw(f);

        if (n_fds > 0) {
                control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
                memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        assert_ok(sendmsg(fd, &m, MSG_NOSIGNAL));
        await_end(fd); /* who talks nonsense is not talked to any more */
        close(fd);
}

static void test_nonsense(void **state) {
        static struct keeper_packet p;
        struct fixture *f = *state;
        int reading, fds[200];
        char big[sizeof(p) + 64] = {};
        struct keeper *k;

        start(f);
        k = client(f);
        assert_int_equal(keeper_keep(NULL, "c.1", f->notify, k), 0);
        fds[0] = make_pipe(&reading);
        for (size_t i = 1; i < 200; i++)
                fds[i] = fds[0];

        say_raw(f, "x", 1, fds, 1);
        say_raw(f, &p.head, sizeof(p.head), NULL, 0); /* no such op */
        p.head.op = KEEPER_KEPT; /* not its to say */
        say_raw(f, &p.head, sizeof(p.head), NULL, 0);
        p.head.op = 77;
        say_raw(f, &p.head, sizeof(p.head), fds, 3);
        p.head = (struct keeper_head){ .op = KEEPER_PUT, .n = 1 };
        strcpy(p.names[0], "x");
        say_raw(f, &p, sizeof(p.head) + KEEPER_NAME_SIZE, NULL, 0); /* without its descriptor */
        say_raw(f, &p, sizeof(p.head) + KEEPER_NAME_SIZE, fds, 2);
        say_raw(f, &p, sizeof(p.head) + KEEPER_NAME_SIZE - 1, fds, 1);
        p.head.n = UINT32_MAX;
        say_raw(f, &p, sizeof(p.head) + KEEPER_NAME_SIZE, fds, 1);
        p.head.n = KEEPER_BATCH_MAX + 1;
        memcpy(big, &p, sizeof(p));
        say_raw(f, big, sizeof(big), fds, 129);
        p.head.n = 1;
        memset(p.names[0], 'x', KEEPER_NAME_SIZE); /* no end */
        say_raw(f, &p, sizeof(p.head) + KEEPER_NAME_SIZE, fds, 1);
        strcpy(p.names[0], "a\nb");
        say_raw(f, &p, sizeof(p.head) + KEEPER_NAME_SIZE, fds, 1);
        p.head.op = KEEPER_FORGET; /* with one too many */
        strcpy(p.names[0], "c.1");
        say_raw(f, &p, sizeof(p.head) + KEEPER_NAME_SIZE, fds, 1);
        p.head = (struct keeper_head){ .op = KEEPER_LIST };
        say_raw(f, &p.head, sizeof(p.head), fds, 200);

        close(fds[0]);
        await_end(reading); /* none of them was kept */
        close(reading);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), 1);
        keeper_free(k);
}

/* More of them than it takes, and some that ask for lists and never read. */
static void test_crowd(void **state) {
        const struct keeper_packet list = { .head = { .op = KEEPER_LIST } };
        struct fixture *f = *state;
        struct keeper *k;
        int fds[40];

        start(f);
        k = client(f);
        attach(f, k);
        for (unsigned i = 0; i < 4000; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "c.%u", i);
                assert_true(keeper_keep(NULL, name, f->notify, k) >= 0);
        }
        await_settled(f, k);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = connect_raw(f);
                for (unsigned n = 0; n < 3; n++)
                        (void) keeper_send(fds[i], &list, NULL);
        }
        await_end(fds[ELEMENTSOF(fds) - 1]);
        for (unsigned i = 0; i < 4000; i += 2) {
                char name[16];

                (void) snprintf(name, sizeof(name), "c.%u", i);
                assert_true(keeper_keep(NULL, name, -1, k) >= 0);
        }
        await_settled(f, k);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
        keeper_free(k);
        k = client(f);
        assert_int_equal(count(k), 2000);
        keeper_free(k);
}

/* Who comes when they have gone is not refused, though the keeper sees him first. */
static void test_crowd_has_gone(void **state) {
        struct keeper_packet hello = { .head = { .op = KEEPER_HELLO, .n = KEEPER_VERSION } }, p;
        int fds[100], last, received[KEEPER_BATCH_MAX], s;
        struct fixture *f = *state;
        size_t n_fds, n = 0;

        start(f);
        do { /* until one is too many */
                assert_true(n < ELEMENTSOF(fds));
                fds[n] = connect_raw(f);
                (void) keeper_send(fds[n], &hello, NULL);
                await_input(fds[n]);
        } while (keeper_receive(fds[n++], &p, received, &n_fds) == 1);
        assert_ok(kill(f->pid, SIGSTOP));
        assert_int_equal(waitpid(f->pid, &s, WUNTRACED), f->pid);
        last = connect_raw(f);
        assert_ok(keeper_send(last, &hello, NULL));
        while (n > 0)
                close(fds[--n]);
        assert_ok(kill(f->pid, SIGCONT));
        await_input(last);
        assert_int_equal(keeper_receive(last, &p, received, &n_fds), 1);
        assert_int_equal(p.head.op, KEEPER_HELLO);
        close(last);
}

/* Of another user: not even by root's own hands. */
static void test_other_user(void **state) {
        struct fixture *f = *state;
        int status;
        pid_t pid;

        if (geteuid() != 0)
                skip();
        start(f);
        assert_ok(chmod(f->directory, 0755));
        assert_ok(chmod(f->path, 0666));
        pid = fork();
        assert_ok(pid);
        if (pid == 0) {
                const struct keeper_packet list = { .head = { .op = KEEPER_LIST } };
                struct sockaddr_un address = { .sun_family = AF_UNIX };
                char c;
                int fd;

                strcpy(address.sun_path, f->path);
                fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
                if (setresuid(65534, 65534, 65534) < 0 ||
                                connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                        _exit(1);
                (void) keeper_send(fd, &list, NULL);
                _exit(read(fd, &c, 1) <= 0 ? 0 : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

int main(int argc, char *argv[]) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(next_arbiter),
                TEST(forget),
                TEST(forgotten_on_the_way),
                cmocka_unit_test(test_last_words),
                TEST(bad_names),
                TEST(many),
                TEST(keeper_dies),
                TEST(late_keeper),
                TEST(stored),
                TEST(stored_dead),
                TEST(hanging_keeper),
                TEST(full),
                TEST(nonsense),
                TEST(crowd),
                TEST(crowd_has_gone),
                TEST(other_user),
        };

        assert(argc == 2);
        program = argv[1];
        log_open("test-keeper");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
