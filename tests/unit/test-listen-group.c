/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of sockets that listen on one port, one is closed: who waits there is with the others. */

#include <netinet/in.h>
#include <sys/epoll.h>

#include "basic/backlog.h"
#include "basic/fd.h"
#include "basic/listen-group.h"
#include "basic/listen-socket.h"
#include "test-util.h"

#define CLIENTS 64

static struct sockaddr_storage address;
static socklen_t address_size;

static int open_one(void) {
        int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

        assert_ok(fd);
        assert_ok(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
        assert_ok(bind(fd, (struct sockaddr *) &address, address_size));
        assert_ok(listen(fd, CLIENTS));
        assert_ok(getsockname(fd, (struct sockaddr *) &address, &address_size));
        return fd;
}

static void open_group(int family, int fds[static 3]) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

        address_size = family == AF_INET ? sizeof(in) : sizeof(in6);
        memcpy(&address, family == AF_INET ? (void *) &in : (void *) &in6, address_size);
        for (unsigned i = 0; i < 3; i++)
                fds[i] = open_one();
}

static uint32_t waiting(int fd) {
        uint32_t n;

        assert_ok(backlog_read(fd, &n));
        return n;
}

static void connect_all(int clients[static CLIENTS]) {
        for (unsigned i = 0; i < CLIENTS; i++) {
                clients[i] = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_ok(clients[i]);
                assert_ok(connect(clients[i], (struct sockaddr *) &address, address_size));
        }
}

static void check_group(int family) {
        int fds[3], clients[CLIENTS], other, epoll = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event e = { .events = EPOLLIN | EPOLLET };

        open_group(family, fds);
        assert_ok(listen_group_migrate(fds[0]));
        connect_all(clients);
        assert_int_equal(waiting(fds[0]) + waiting(fds[1]) + waiting(fds[2]), CLIENTS);
        /* whoever has it open beside us */
        other = fd_duplicate(fds[0]);
        assert_ok(other);
        listen_group_leave(fds[0]);
        assert_errno(backlog_read(other, &(uint32_t){ 0 }), EOPNOTSUPP);
        assert_int_equal(waiting(fds[1]) + waiting(fds[2]), CLIENTS);
        /* as the group is now, also when it is simply closed */
        close_fd(fds[1]);
        assert_int_equal(waiting(fds[2]), CLIENTS);
        assert_ok(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[2], &e));
        assert_int_equal(epoll_wait(epoll, &e, 1, 0), 1);
        assert_int_equal(epoll_wait(epoll, &e, 1, 0), 0);
        listen_group_wake(fds[2]);
        assert_int_equal(epoll_wait(epoll, &e, 1, 0), 1);
        /* it goes on */
        for (unsigned i = 0; i < CLIENTS; i++) {
                int fd = accept4(fds[2], NULL, NULL, SOCK_CLOEXEC);

                assert_ok(fd);
                close_many(&(int[]){ clients[i], fd }[0], 2);
        }
        connect_all(clients);
        assert_int_equal(waiting(fds[2]), CLIENTS);
        close_many(clients, CLIENTS);
        close_many((int[]){ other, epoll, fds[0], fds[2] }, 4);
}

static void skip_unless_possible(void) {
        int fds[3], r;

        open_group(AF_INET, fds);
        r = listen_group_migrate(fds[0]);
        close_many(fds, 3);
        if (r == -EPERM || r == -EINVAL || r == -ENOSYS)
                skip();
}

static void test_ipv4(void **state) {
        skip_unless_possible();
        check_group(AF_INET);
}

static void test_ipv6(void **state) {
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        bool possible = fd >= 0 && bind(fd, (struct sockaddr *) &in6, sizeof(in6)) >= 0;

        close_fd(fd);
        if (!possible)
                skip();
        skip_unless_possible();
        check_group(AF_INET6);
}

/* Without SO_REUSEPORT there is no group. */
static void test_alone(void **state) {
        struct listen_options o = LISTEN_OPTIONS_INIT;
        struct listen_address a;
        int fd;

        assert_ok(listen_address_parse("@arbiter-group-test", SOCK_STREAM, &a));
        assert_ok(listen_open(&a, &o, &fd));
        assert_true(listen_group_migrate(fd) < 0);
        close_fd(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ipv4),
                cmocka_unit_test(test_ipv6),
                cmocka_unit_test(test_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
