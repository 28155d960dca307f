/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metrics' socket on a real arbiter, with good clients and bad ones on the same loop. "--serve PATH
 * [CGROUP]": an arbiter with workers and the socket, until its stdin ends: for test-metrics.py. */

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <arbiter/arbiter.h>
#include <systemd/sd-event.h>

#include "arbiter/internal.h"
#include "test-util.h"

static arbiter *the;
static char directory[] = "/tmp/test-metrics-XXXXXX", path[64];
static int n_fds;

static int count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        int n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static struct sockaddr_un address_of(const char *p) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", p);
        return a;
}

static int listen_on(const char *p) {
        struct sockaddr_un a = address_of(p);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 128) < 0)
                return -errno;
        return fd;
}

static int set_up(void **state) {
        alarm(60); /* only a failing test takes that long */
        n_fds = count_fds();
        assert_non_null(mkdtemp(strcpy(directory, "/tmp/test-metrics-XXXXXX")));
        (void) snprintf(path, sizeof(path), "%s/metrics", directory);
        assert_ok(arbiter_new(NULL, NULL, &the));
        assert_ok(arbiter_start(the));
        assert_ok(arbiter_listen_metrics(the, listen_on(path)));
        return 0;
}

static int tear_down(void **state) {
        assert_ok(arbiter_stop(the, 0));
        assert_int_equal(arbiter_run(the, false), 0);
        the = arbiter_unref(the);
        assert_int_equal(count_fds(), n_fds);
        assert_ok(unlink(path));
        assert_ok(rmdir(directory));
        alarm(0);
        return 0;
}

static int connect_client(void) {
        struct sockaddr_un a = address_of(path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        assert_ok(connect(fd, (struct sockaddr *) &a, sizeof(a)));
        return fd;
}

static void turn(void) {
        assert_ok(sd_event_run(arbiter_get_event(the), UINT64_MAX));
}

static int on_readable(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        return 0;
}

/* Until the end, on the arbiter's loop. */
static char *read_all(int fd) {
        sd_event_source *source;
        size_t n = 0, size = 1 << 20;
        char *text = malloc(size);
        ssize_t r;

        assert_non_null(text);
        assert_ok(sd_event_add_io(arbiter_get_event(the), &source, fd, EPOLLIN, on_readable, NULL));
        while ((r = read(fd, text + n, size - n - 1)) != 0) {
                assert_true(r > 0 || errno == EAGAIN);
                if (r < 0)
                        turn();
                else
                        n += (size_t) r;
                assert_true(n + 1 < size);
        }
        text[n] = 0;
        sd_event_source_disable_unref(source);
        close(fd);
        return text;
}

static void expect_text(int fd) {
        _cleanup_free_ char *text = read_all(fd);

        assert_true(strlen(text) > 500);
        assert_non_null(startswith(text, "# TYPE arbiter_build info\n"));
        assert_string_equal(text + strlen(text) - 7, "\n# EOF\n");
}

static void test_good(void **state) {
        for (unsigned i = 0; i < 3; i++)
                expect_text(connect_client());
        assert_errno(arbiter_listen_metrics(the, 0), EALREADY);
}

static void test_wrong_descriptors(void **state) {
        arbiter *other;
        int pair[2], udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_ok(arbiter_new(NULL, NULL, &other));
        assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        assert_errno(arbiter_listen_metrics(other, -1), EINVAL);
        assert_errno(arbiter_listen_metrics(other, pair[0]), EINVAL); /* does not listen */
        assert_errno(arbiter_listen_metrics(other, udp), EINVAL);
        assert_errno(arbiter_listen_metrics(other, STDERR_FILENO), ENOTSOCK);
        assert_ok(fcntl(pair[0], F_GETFD)); /* still the caller's */
        close(pair[0]);
        close(pair[1]);
        close(udp);
        arbiter_unref(other);
}

/* Those that talk, and those that leave at once, harm nobody. */
static void test_rude(void **state) {
        static char rubbish[64 * 1024];
        int fd;

        memset(rubbish, 0xff, sizeof(rubbish));
        fd = connect_client();
        assert_true(write(fd, "GET /metrics HTTP/1.1\r\n\r\n", 25) == 25);
        expect_text(fd);
        fd = connect_client();
        assert_true(write(fd, rubbish, sizeof(rubbish)) > 0);
        close(fd);
        fd = connect_client();
        assert_ok(shutdown(fd, SHUT_WR));
        expect_text(fd);
        fd = connect_client();
        assert_ok(shutdown(fd, SHUT_RD));
        close(fd);
        expect_text(connect_client());
}

/* Enough monitors that no socket buffer holds their text. */
static void make_text_huge(void) {
        const char *const argv[] = { "/bin/true", NULL };
        arbiter_spawn *s;

        assert_ok(arbiter_spawn_new(the, "w", &s));
        assert_ok(arbiter_spawn_set_exec(s, argv, ARBITER_EXEC_EXEC));
        for (unsigned i = 0; i < 400; i++) {
                arbiter_monitor *m;
                char name[64];

                (void) snprintf(name, sizeof(name), "a-monitor-of-a-rather-long-name-%u", i);
                assert_ok(arbiter_monitor_new(the, name, s, NULL, &m));
                assert_ok(arbiter_monitor_start(m, 0, NULL));
                arbiter_monitor_unref(m);
        }
        arbiter_spawn_unref(s);
}

/* Many that do not read are bounded in number, keep nobody waiting, and go when their time is over. */
static void test_slow(void **state) {
        enum { N = 40 };
        int fds[N], n_before;

        make_text_huge();
        n_before = count_fds();
        for (unsigned i = 0; i < N; i++)
                fds[i] = connect_client();
        expect_text(connect_client());
        assert_true(count_fds() <= n_before + N + 16);
        expect_text(fds[N - 1]); /* one of the last reads after all */
        while (count_fds() > n_before + N - 1) /* their timers */
                turn();
        for (unsigned i = 0; i < N - 1; i++)
                close(fds[i]);
        expect_text(connect_client());
}

/* They end with the arbiter. */
static void test_stop_in_between(void **state) {
        int fd;

        make_text_huge();
        fd = connect_client();
        turn();
        close(fd);
        fd = connect_client();
        turn();
        n_fds++; /* fd, until it is closed by the end of the process */
}

static int on_stdin(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        return arbiter_stop(userdata, 0);
}

static int start_workers(arbiter *a, const char *name, const char *script) {
        const char *const argv[] = { "/bin/sh", "-c", script, NULL };
        arbiter_monitor *m = NULL;
        arbiter_spawn *s = NULL;
        int r;

        r = arbiter_spawn_new(a, "w", &s);
        if (r >= 0)
                r = arbiter_spawn_set_exec(s, argv, ARBITER_EXEC_EXEC);
        if (r >= 0)
                r = arbiter_monitor_new(a, name, s, NULL, &m);
        if (r >= 0)
                r = arbiter_monitor_set_intensity(m, 2, 60 * USEC_PER_SEC);
        if (r >= 0)
                r = arbiter_monitor_set_backoff(m, UINT64_MAX, 0, 0, 0, 0);
        if (r >= 0)
                r = arbiter_monitor_start(m, 2, NULL);
        (void) arbiter_monitor_unref(m);
        (void) arbiter_spawn_unref(s);
        return r;
}

/* The process of a monitor's threads ends when another one has taken its place: its memory was the monitor's
 * all the same. One of another monitor of that name takes away no more than there is. */
static void test_replaced_host(void **state) {
        struct child host = { .arbiter = the, .is_host = true, .host_of = "web", .leaf = CGROUP_LEAF_INIT };
        arbiter_monitor *m;

        assert_ok(start_workers(the, "web", "sleep 1000"));
        m = arbiter_find_monitor(the, "web");
        assert_non_null(m);
        m->set.sums.memory_bytes = 1500;
        host.memory_bytes = 1000;
        metrics_count_death(&host, ARBITER_REASON_SILENT);
        assert_int_equal(m->set.sums.memory_bytes, 500);
        host.memory_bytes = 1000;
        metrics_count_death(&host, ARBITER_REASON_SILENT);
        assert_int_equal(m->set.sums.memory_bytes, 0);
}

static int serve(const char *where, const char *cgroup) {
        arbiter *a;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r >= 0)
                r = arbiter_set_instance(a, "te\"st\\");
        if (r >= 0 && cgroup)
                r = arbiter_set_cgroup(a, cgroup);
        if (r >= 0)
                r = arbiter_listen_metrics(a, listen_on(where));
        if (r >= 0)
                r = arbiter_start(a);
        if (r >= 0)
                r = start_workers(a, "web", "sleep 1000");
        if (r >= 0)
                r = start_workers(a, "bad", "exit 7");
        if (r >= 0)
                r = sd_event_add_io(arbiter_get_event(a), NULL, STDIN_FILENO, EPOLLIN | EPOLLHUP, on_stdin,
                                a);
        if (r >= 0)
                r = arbiter_run(a, false);
        if (r < 0)
                (void) fprintf(stderr, "%s\n", strerror(-r));
        (void) arbiter_unref(a);
        return r < 0;
}

int main(int argc, char **argv) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(good), TEST(wrong_descriptors), TEST(rude), TEST(slow), TEST(stop_in_between),
                TEST(replaced_host),
        };

        if (argc >= 3 && streq(argv[1], "--serve"))
                return serve(argv[2], argv[3]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
