/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plain worker of bench/roll: an HTTP service on sockets that it inherits, which knows nothing of
 * arbiter. What a program has to do so that no request is lost when it is replaced, and no more: at SIGTERM
 * it takes whoever waits already, answers each connection's next request with "Connection: close", and ends
 * when all have gone. It never closes a connection on which a request may be under way; those on which
 * nothing comes for IDLE_MS are not waited for. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, CONNECTIONS_MAX = 4096, REQUEST_MAX = 1024, IDLE_MS = 1000 };

struct connection {
        bool open;
        size_t n;
        char request[REQUEST_MAX];
};

static struct connection connections[CONNECTIONS_MAX]; /* by descriptor */
static unsigned n_open;
static bool stopping;

static void add(int epoll, int fd) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
                exit(1);
}

static void leave(int fd) {
        connections[fd].open = false;
        n_open--;
        (void)close(fd);
}

static void take(int epoll, int listener) {
        int fd;

        while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
                if (fd >= CONNECTIONS_MAX) {
                        (void)close(fd);
                        continue;
                }
                connections[fd] = (struct connection){.open = true};
                n_open++;
                add(epoll, fd);
        }
}

/* One request at a time: who sends the next one before it has the answer is not served. */
static void serve(int fd) {
        struct connection *c = connections + fd;
        char answer[128];
        bool last;
        ssize_t r;
        int n;

        r = recv(fd, c->request + c->n, REQUEST_MAX - 1 - c->n, 0);
        if (r < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (r <= 0) {
                leave(fd);
                return;
        }
        c->n += (size_t)r;
        c->request[c->n] = 0;
        if (c->n < 4 || memcmp(c->request + c->n - 4, "\r\n\r\n", 4) != 0) {
                if (c->n == REQUEST_MAX - 1)
                        leave(fd);
                return;
        }
        last = stopping || strstr(c->request, "\r\nConnection: close\r\n");
        n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n%s\r\n%010d",
                        last ? "Connection: close\r\n" : "", (int)getpid());
        c->n = 0;
        if (send(fd, answer, (size_t)n, MSG_NOSIGNAL) != n || last)
                leave(fd);
}

/* READY=1, as systemd's sd_notify(3) says it. */
static void say_ready(void) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        const char *path = getenv("NOTIFY_SOCKET");
        size_t size = path ? strlen(path) : 0;
        int fd;

        if (size == 0 || size >= sizeof(to.sun_path))
                return;
        memcpy(to.sun_path, path, size);
        if (path[0] == '@')
                to.sun_path[0] = 0;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return;
        (void)sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&to,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
        (void)close(fd);
}

int main(void) {
        const char *fds = getenv("LISTEN_FDS");
        int end = FIRST_FD + (fds ? atoi(fds) : 0), epoll, signals, n;
        struct epoll_event events[64];
        sigset_t mask;

        (void)sigemptyset(&mask);
        (void)sigaddset(&mask, SIGTERM);
        epoll = epoll_create1(EPOLL_CLOEXEC);
        if (end == FIRST_FD || epoll < 0 || sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return 1;
        signals = signalfd(-1, &mask, SFD_CLOEXEC);
        add(epoll, signals);
        for (int fd = FIRST_FD; fd < end; fd++) {
                /* Another one may have been faster: nobody must wait in accept4(). */
                if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                        return 1;
                add(epoll, fd);
        }
        say_ready();
        while (!stopping || n_open > 0) {
                n = epoll_wait(epoll, events, 64, stopping ? IDLE_MS : -1);
                if (n == 0)
                        break;
                for (int i = 0; i < n; i++) {
                        int fd = events[i].data.fd;

                        if (fd == signals) {
                                stopping = true;
                                (void)epoll_ctl(epoll, EPOLL_CTL_DEL, signals, NULL);
                        } else if (fd >= end && connections[fd].open)
                                serve(fd);
                        if (fd >= FIRST_FD && fd < end && !stopping)
                                take(epoll, fd);
                        if (fd == signals)
                                for (int l = FIRST_FD; l < end; l++) {
                                        take(epoll, l);
                                        (void)epoll_ctl(epoll, EPOLL_CTL_DEL, l, NULL);
                                }
                }
        }
        return 0;
}
