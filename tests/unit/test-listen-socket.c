/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets and FIFOs of ListenStream= and its like: parsed, bound, connected to, recognised. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/listen-socket.h"
#include "basic/macro.h"
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

static int open_it(const char *text, int type, const struct listen_options *o) {
        struct listen_address a;
        int fd = -EBADF, r;

        assert_ok(listen_address_parse(text, type, &a));
        r = listen_open(&a, o, &fd);
        return r < 0 ? r : fd;
}

static int open_plainly(const char *text, int type) {
        struct listen_options o = LISTEN_OPTIONS_INIT;

        return open_it(text, type, &o);
}

static int get_option(int fd, int level, int option) {
        socklen_t size = sizeof(int);
        int value = -1;

        assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
        return value;
}

static void test_parse_others(void **state) {
        struct listen_address a;

        assert_errno(listen_address_parse("@x", LISTEN_FIFO, &a), EINVAL);
        assert_errno(listen_address_parse("80", LISTEN_FIFO, &a), EINVAL);
        assert_errno(listen_address_parse("80", SOCK_SEQPACKET, &a), EINVAL);
        assert_errno(listen_address_parse("[::1]:80", SOCK_SEQPACKET, &a), EINVAL);
        assert_ok(listen_address_parse("/x", LISTEN_FIFO, &a));
        assert_string_equal(listen_address_path(&a), "/x");
        assert_ok(listen_address_parse("@x", SOCK_SEQPACKET, &a));
        assert_null(listen_address_path(&a));
}

static void test_internet(void **state) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        unsigned port = free_port();
        char any[16], four[32];
        int fd, datagrams, client;

        (void) snprintf(any, sizeof(any), "%u", port);
        (void) snprintf(four, sizeof(four), "127.0.0.1:%u", port);
        fd = open_plainly(any, SOCK_STREAM);
        assert_ok(fd);
        in.sin_port = htons((uint16_t) port);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *) &in, sizeof(in)), 0);
        close_fd(client);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);

        assert_errno(open_plainly(four, SOCK_STREAM), EADDRINUSE);
        datagrams = open_plainly(four, SOCK_DGRAM);
        assert_ok(datagrams);
        close_fd(datagrams);
        close_fd(fd);
        /* at once again: the connection of before may be in TIME_WAIT */
        fd = open_plainly(four, SOCK_STREAM);
        assert_ok(fd);
        close_fd(fd);
}

static void test_options(void **state) {
        struct listen_options o = LISTEN_OPTIONS_INIT;
        char text[32];
        int a, b;

        (void) snprintf(text, sizeof(text), "[::1]:%u", free_port());
        o.reuse_port = o.keep_alive = o.no_delay = o.free_bind = true;
        o.ipv6 = LISTEN_IPV6_ONLY;
        o.receive_buffer = 100000;
        o.device = "lo";
        a = open_it(text, SOCK_STREAM, &o);
        if (a == -EAFNOSUPPORT || a == -EADDRNOTAVAIL)
                skip();
        assert_ok(a);
        assert_int_equal(get_option(a, SOL_SOCKET, SO_REUSEPORT), 1);
        assert_int_equal(get_option(a, SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(get_option(a, IPPROTO_TCP, TCP_NODELAY), 1);
        assert_int_equal(get_option(a, IPPROTO_IPV6, IPV6_V6ONLY), 1);
        assert_int_equal(get_option(a, SOL_SOCKET, SO_RCVBUF), 200000); /* the kernel's own share */
        b = open_it(text, SOCK_STREAM, &o);
        assert_ok(b);
        assert_errno(open_plainly(text, SOCK_STREAM), EADDRINUSE);
        close_fd(a);
        close_fd(b);
        o.device = "no-such-if";
        assert_errno(open_it(text, SOCK_STREAM, &o), ENODEV);
}

static void test_unix(int type) {
        struct listen_options o = LISTEN_OPTIONS_INIT;
        struct listen_address a;
        struct stat st;
        char path[64], deep[96];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/x", directory);
        fd = open_plainly(path, type);
        assert_ok(fd);
        assert_errno(open_plainly(path, type), EADDRINUSE);
        assert_errno(open_plainly(path, type == SOCK_STREAM ? SOCK_DGRAM : SOCK_STREAM), EADDRINUSE);
        assert_errno(open_plainly(path, LISTEN_FIFO), EADDRINUSE);

        /* nobody listens any more, but the file is there */
        close_fd(fd);
        assert_int_equal(lstat(path, &st), 0);
        fd = open_plainly(path, type);
        assert_ok(fd);
        assert_ok(listen_address_parse(path, type, &a));
        listen_remove(&a);
        assert_int_equal(lstat(path, &st), -1);
        close_fd(fd);

        /* a file that is no socket stays */
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_ok(fd);
        close_fd(fd);
        assert_errno(open_plainly(path, type), EADDRINUSE);
        listen_remove(&a);
        assert_int_equal(unlink(path), 0);

        /* whatever the umask is */
        o.mode = 0666;
        o.directory_mode = 0751;
        o.pass_credentials = true;
        (void) snprintf(deep, sizeof(deep), "%s/a/b/x", directory);
        assert_errno(open_plainly(deep, type), ENOENT);
        (void) umask(0077);
        fd = open_it(deep, type, &o);
        assert_int_equal(umask(0022), 0077);
        assert_ok(fd);
        assert_int_equal(get_option(fd, SOL_SOCKET, SO_PASSCRED), 1);
        assert_int_equal(stat(deep, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0666);
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        assert_ok(listen_address_parse(deep, type, &a));
        o.mode = 0600;
        o.non_blocking = true;
        assert_ok(listen_adjust(fd, &a, &o));
        assert_int_equal(stat(deep, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        o.non_blocking = false; /* others may have set it, who have it open, too */
        assert_ok(listen_adjust(fd, &a, &o));
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        listen_remove(&a);
        close_fd(fd);
        for (unsigned i = 0; i < 2; i++) {
                *strrchr(deep, '/') = 0;
                assert_int_equal(stat(deep, &st), 0);
                assert_int_equal(st.st_mode & 0777, 0751);
                assert_int_equal(rmdir(deep), 0);
        }
}

static void test_unix_stream(void **state) {
        test_unix(SOCK_STREAM);
}

static void test_unix_datagram(void **state) {
        test_unix(SOCK_DGRAM);
}

static void test_unix_packets(void **state) {
        test_unix(SOCK_SEQPACKET);
}

static void test_fifo(void **state) {
        struct listen_options o = LISTEN_OPTIONS_INIT;
        struct listen_address a, b;
        struct stat st;
        char path[64], link[64], c = 0;
        int fd, again, writer;

        (void) snprintf(path, sizeof(path), "%s/fifo", directory);
        (void) snprintf(link, sizeof(link), "%s/link", directory);
        o.mode = 0620;
        o.pipe_size = 1 << 17;
        (void) umask(0077);
        fd = open_it(path, LISTEN_FIFO, &o);
        (void) umask(0022);
        assert_ok(fd);
        assert_int_equal(fcntl(fd, F_GETPIPE_SZ), 1 << 17);
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0620);

        /* what was written stays for whoever opens it next, and no reader ever sees an end */
        writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        assert_ok(writer);
        assert_int_equal(write(writer, "x", 1), 1);
        close_fd(writer);
        again = open_it(path, LISTEN_FIFO, &o);
        assert_ok(again);
        close_fd(fd);
        assert_int_equal(read(again, &c, 1), 1);
        assert_int_equal(c, 'x');
        assert_ok(fd_set_nonblock(again, true));
        assert_int_equal(read(again, &c, 1), -1);
        assert_int_equal(errno, EAGAIN);

        assert_ok(listen_address_parse(path, LISTEN_FIFO, &a));
        assert_ok(listen_verify(again, &a, &o));
        assert_ok(listen_address_of(again, &b));
        assert_string_equal(listen_address_path(&b), path);
        assert_int_equal(symlink(path, link), 0);
        assert_errno(open_it(link, LISTEN_FIFO, &o), EADDRINUSE);
        assert_int_equal(unlink(link), 0);
        assert_int_equal(rename(path, link), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        listen_remove_of(again);
        assert_int_equal(stat(link, &st), -1);
        assert_int_equal(stat(path, &st), 0); /* that is another one */
        listen_remove(&a);
        assert_errno(listen_verify(again, &a, &o), ESTALE);
        assert_errno(listen_address_of(again, &b), ENOENT);
        assert_int_equal(stat(path, &st), -1);
        close_fd(again);
}

static void test_abstract(void **state) {
        char address[64];
        int fd;

        (void) snprintf(address, sizeof(address), "@arbiter-test-%ld", (long) getpid());
        fd = open_plainly(address, SOCK_STREAM);
        assert_ok(fd);
        assert_errno(open_plainly(address, SOCK_STREAM), EADDRINUSE);
        close_fd(fd);
}

static void test_names(void **state) {
        char name[300];

        assert_true(listen_fd_name_is_valid("web.socket"));
        assert_false(listen_fd_name_is_valid(""));
        assert_false(listen_fd_name_is_valid("a:b"));
        assert_false(listen_fd_name_is_valid("a b"));
        memset(name, 'a', sizeof(name));
        name[255] = 0;
        assert_true(listen_fd_name_is_valid(name));
        name[255] = 'a';
        name[256] = 0;
        assert_false(listen_fd_name_is_valid(name));
}

/* Each is recognised by its own address, and by no other. */
static void test_verify(void **state) {
        struct listen_options o = LISTEN_OPTIONS_INIT;
        unsigned port = free_port();
        char text[5][96];
        struct listen_address a[5];
        int fds[5], pair[2];

        (void) snprintf(text[0], sizeof(text[0]), "%u", port);
        (void) snprintf(text[1], sizeof(text[1]), "127.0.0.1:%u", free_port());
        (void) snprintf(text[2], sizeof(text[2]), "@arbiter-verify-%ld", (long) getpid());
        (void) snprintf(text[3], sizeof(text[3]), "%s/verify", directory);
        (void) snprintf(text[4], sizeof(text[4]), "127.0.0.1:%u", port);
        for (unsigned i = 0; i < 5; i++) {
                assert_ok(listen_address_parse(text[i], i == 4 ? SOCK_DGRAM : SOCK_STREAM, &a[i]));
                assert_ok(listen_open(&a[i], &o, &fds[i]));
        }
        for (unsigned i = 0; i < 5; i++)
                for (unsigned k = 0; k < 5; k++)
                        assert_int_equal(listen_verify(fds[i], &a[k], &o), i == k ? 0 : -EINVAL);
        for (unsigned i = 0; i < 5; i++) {
                struct listen_address b;

                assert_ok(listen_address_of(fds[i], &b));
                assert_int_equal(b.type, a[i].type);
                if (i > 0) /* the first is of any address, which may be that of IPv4 */
                        assert_true(listen_address_equal(&a[i], &b));
        }
        o.reuse_port = true; /* bound otherwise */
        assert_errno(listen_verify(fds[1], &a[1], &o), EINVAL);
        assert_ok(listen_verify(fds[3], &a[3], &o));

        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        assert_errno(listen_verify(pair[0], &a[3], &o), EINVAL);
        close_many(pair, 2);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_errno(listen_verify(pair[0], &a[3], &o), EINVAL);
        close_many(pair, 2);

        listen_remove_of(fds[3]);
        assert_errno(listen_verify(fds[3], &a[3], &o), ESTALE);
        assert_errno(listen_address_of(fds[3], &a[0]), ENOENT);
        assert_ok(close(open(text[3], O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
        assert_errno(listen_verify(fds[3], &a[3], &o), ESTALE);
        assert_int_equal(unlink(text[3]), 0);
        close_many(fds, 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_parse_others),
                cmocka_unit_test(test_internet),
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_unix_stream),
                cmocka_unit_test(test_unix_datagram),
                cmocka_unit_test(test_unix_packets),
                cmocka_unit_test(test_fifo),
                cmocka_unit_test(test_abstract),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_verify),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
