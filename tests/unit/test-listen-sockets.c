/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses of ListenStream= and ListenDatagram=: parsed, bound, connected to. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "arbiter/listen-sockets.h"
#include "basic/fd.h"
#include "test-util.h"

static char directory[] = "/tmp/test-listen-XXXXXX";

static int make_directory(void **state) {
        return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
        return rmdir(directory);
}

static void test_parse(void **state) {
        static const struct {
                const char *text;
                int error;
        } bad[] = {
                        {"", EINVAL},
                        {"0", EINVAL},
                        {"65536", EINVAL},
                        {"x", EINVAL},
                        {"/", EINVAL},
                        {"@", EINVAL},
                        {":80", EINVAL},
                        {"1.2.3.4:", EINVAL},
                        {"1.2.3:80", EINVAL},
                        {"localhost:80", EINVAL},
                        {"[::1]", EINVAL},
                        {"[::1]80", EINVAL},
                        {"[::1:80", EINVAL},
                        {"[::g]:80", EINVAL},
                        {"-1", EINVAL},
                        {"80 ", EINVAL},
                        {"[fe80::1%no-such-if]:80", ENODEV},
        };
        struct listen_address a;
        char path[200];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_errno(listen_address_parse(bad[i].text, SOCK_STREAM, &a), bad[i].error);
        assert_errno(listen_address_parse("80", SOCK_RAW, &a), ESOCKTNOSUPPORT);
        memset(path, 'a', sizeof(path));
        path[0] = '/';
        path[108] = 0; /* no room for the NUL */
        assert_errno(listen_address_parse(path, SOCK_STREAM, &a), ENAMETOOLONG);
        path[0] = '@';
        assert_ok(listen_address_parse(path, SOCK_STREAM, &a));

        assert_ok(listen_address_parse("127.0.0.1:8080", SOCK_STREAM, &a));
        assert_int_equal(a.u.in.sin_port, htons(8080));
        assert_int_equal(a.u.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        assert_ok(listen_address_parse("[::1]:81", SOCK_DGRAM, &a));
        assert_int_equal(a.u.in6.sin6_port, htons(81));
        assert_memory_equal(&a.u.in6.sin6_addr, &in6addr_loopback, 16);
        assert_ok(listen_address_parse("[fe80::1%lo]:81", SOCK_DGRAM, &a));
        assert_true(a.u.in6.sin6_scope_id > 0);
        assert_ok(listen_address_parse("8080", SOCK_STREAM, &a));
        assert_true(a.any);
        assert_ok(listen_address_parse("@x", SOCK_STREAM, &a));
        assert_int_equal(a.size, offsetof(struct sockaddr_un, sun_path) + 2);
}

/* A port that was free a moment ago. */
static unsigned free_port(void) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(in);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *) &in, sizeof(in)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) &in, &size), 0);
        close_fd(fd);
        return ntohs(in.sin_port);
}

static void test_internet(void **state) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct listen_sockets s = LISTEN_SOCKETS_INIT;
        struct process_fds fds = PROCESS_FDS_INIT;
        unsigned port = free_port();
        char any[16], four[32];
        int client;

        (void) snprintf(any, sizeof(any), "%u", port);
        (void) snprintf(four, sizeof(four), "127.0.0.1:%u", port);
        assert_ok(listen_sockets_add(&s, any, SOCK_STREAM, "web", 5));
        in.sin_port = htons((uint16_t) port);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *) &in, sizeof(in)), 0);
        close_fd(client);
        assert_int_equal(fcntl(s.fds[0], F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(s.fds[0], F_GETFL) & O_NONBLOCK, 0);

        assert_errno(listen_sockets_add(&s, four, SOCK_STREAM, NULL, 0), EADDRINUSE);
        assert_int_equal(s.n_fds, 1);
        assert_ok(listen_sockets_add(&s, four, SOCK_DGRAM, NULL, 0));
        listen_sockets_pass(&s, &fds);
        assert_int_equal(fds.n_listen, 2);
        assert_string_equal(fds.listen_names, "web:unknown");
        listen_sockets_done(&s);
        /* at once again: the connection of before may be in TIME_WAIT */
        assert_ok(listen_sockets_add(&s, four, SOCK_STREAM, NULL, 0));
        listen_sockets_done(&s);
}

static void test_unix(int type) {
        struct listen_sockets s = LISTEN_SOCKETS_INIT, other = LISTEN_SOCKETS_INIT;
        struct listen_address a;
        struct stat st;
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/x", directory);
        assert_ok(listen_sockets_add(&s, path, type, "x", 0));
        assert_errno(listen_sockets_add(&other, path, type, "x", 0), EADDRINUSE);
        assert_errno(listen_sockets_add(
                                     &other, path, type == SOCK_STREAM ? SOCK_DGRAM : SOCK_STREAM, "x", 0),
                        EADDRINUSE);
        assert_null(other.names);
        listen_sockets_done(&other);

        /* nobody listens any more, but the file is there */
        assert_ok(listen_address_parse(path, type, &a));
        listen_sockets_done(&s);
        assert_int_equal(lstat(path, &st), -1);
        assert_ok(listen_address_bind(&a, 0, &fd));
        close_fd(fd);
        assert_int_equal(lstat(path, &st), 0);
        assert_ok(listen_sockets_add(&s, path, type, "x", 0));
        listen_sockets_done(&s);

        /* a file that is no socket stays */
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_ok(fd);
        close_fd(fd);
        assert_errno(listen_sockets_add(&s, path, type, "x", 0), EADDRINUSE);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(unlink(path), 0);
        listen_sockets_done(&s);
}

static void test_unix_stream(void **state) {
        test_unix(SOCK_STREAM);
}

static void test_unix_datagram(void **state) {
        test_unix(SOCK_DGRAM);
}

static void test_abstract_and_names(void **state) {
        struct listen_sockets s = LISTEN_SOCKETS_INIT;
        char address[64], name[300];

        (void) snprintf(address, sizeof(address), "@arbiter-test-%ld", (long) getpid());
        assert_errno(listen_sockets_add(&s, address, SOCK_STREAM, "a:b", 0), EINVAL);
        assert_errno(listen_sockets_add(&s, address, SOCK_STREAM, "", 0), EINVAL);
        assert_errno(listen_sockets_add(&s, address, SOCK_STREAM, "a b", 0), EINVAL);
        memset(name, 'a', sizeof(name));
        name[256] = 0;
        assert_errno(listen_sockets_add(&s, address, SOCK_STREAM, name, 0), EINVAL);
        assert_ok(listen_sockets_add(&s, address, SOCK_STREAM, "a", 0));
        assert_errno(listen_sockets_add(&s, address, SOCK_STREAM, "b", 0), EADDRINUSE);
        assert_string_equal(s.names, "a");
        listen_sockets_done(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_internet),
                cmocka_unit_test(test_unix_stream),
                cmocka_unit_test(test_unix_datagram),
                cmocka_unit_test(test_abstract_and_names),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
