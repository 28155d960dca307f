/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-web-load PORT RATE CONNECTIONS: requests by HTTP at a fixed rate, whatever becomes of them; every
 * other one with a connection of its own, the others in turn on CONNECTIONS that stay open, and are made
 * anew where the service says "Connection: close". For each line on stdin, and at the end of it when all
 * is answered: a line of JSON about the time since the one before.
 *
 * A request has failed if there is anything but its answer: no connection, a reset, an end without an
 * answer, nothing for PATIENCE. Nothing is ever sent again. The time that one takes begins when it was due,
 * not when it could be sent. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { CONNECTIONS_MAX = 16384, ANSWER_MAX = 256, TURN_EVENTS = 64 };
#define PATIENCE_US 10e6

enum state { CLOSED, CONNECTING, WAITING, IDLE, ENDING };

struct connection {
        enum state state;
        bool stays;
        double due;
        int next; /* of those that are idle */
        size_t n;
        char answer[ANSWER_MAX];
};

struct load {
        struct connection connections[CONNECTIONS_MAX]; /* by descriptor */
        struct sockaddr_in address;
        int epoll, first_idle, last_idle;
        unsigned n_stay, n_stay_max, n_outstanding;
        double rate, begin, phase_begin, max_us, checked;
        uint64_t n_due, requests, failed, reconnected;
        struct histogram *histogram;
        char failure[128];
        bool over;
};

static void fail(struct load *l, const char *what, int error) {
        if (!l->failure[0])
                (void)snprintf(l->failure, sizeof(l->failure), "%s: %s", what, strerror(error));
        l->failed++;
        l->n_outstanding--;
}

static void shut(struct load *l, int fd) {
        struct connection *c = l->connections + fd;

        l->n_stay -= c->stays;
        c->state = CLOSED;
        (void)close(fd);
}

static void want(struct load *l, int fd, uint32_t events, int operation) {
        struct epoll_event e = {.events = events, .data.fd = fd};

        if (epoll_ctl(l->epoll, operation, fd, &e) < 0)
                bench_die("epoll_ctl", errno);
}

static void request(struct load *l, int fd) {
        static const char stays[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                          once[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        struct connection *c = l->connections + fd;
        const char *s = c->stays ? stays : once;

        c->state = WAITING;
        c->n = 0;
        if (send(fd, s, strlen(s), MSG_NOSIGNAL) != (ssize_t)strlen(s)) {
                fail(l, c->stays ? "send, on one that stays" : "send", errno);
                shut(l, fd);
        }
}

static void connect_to(struct load *l, bool stays, double due) {
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || fd >= CONNECTIONS_MAX)
                bench_die("socket", fd < 0 ? errno : EMFILE);
        l->connections[fd] = (struct connection){.state = CONNECTING, .stays = stays, .due = due};
        l->n_stay += stays;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (connect(fd, (struct sockaddr *)&l->address, sizeof(l->address)) < 0 && errno != EINPROGRESS) {
                fail(l, "connect", errno);
                shut(l, fd);
                return;
        }
        want(l, fd, EPOLLOUT, EPOLL_CTL_ADD);
}

static void begin_request(struct load *l, double due) {
        int fd = l->first_idle;

        l->requests++;
        l->n_outstanding++;
        if (l->n_due % 2 == 0)
                connect_to(l, false, due);
        else if (fd >= 0 && l->n_stay >= l->n_stay_max) {
                l->first_idle = l->connections[fd].next;
                l->connections[fd].due = due;
                request(l, fd);
        } else
                connect_to(l, true, due);
}

static void make_idle(struct load *l, int fd) {
        struct connection *c = l->connections + fd;

        c->state = IDLE;
        c->next = -1;
        if (l->first_idle < 0)
                l->first_idle = fd;
        else
                l->connections[l->last_idle].next = fd;
        l->last_idle = fd;
}

static void forget_idle(struct load *l, int fd) {
        int *p = &l->first_idle;

        for (l->last_idle = -1; *p >= 0 && *p != fd; p = &l->connections[*p].next)
                l->last_idle = *p;
        if (*p == fd)
                *p = l->connections[fd].next;
        for (int i = *p; i >= 0; i = l->connections[i].next)
                l->last_idle = i;
}

static void answered(struct load *l, int fd) {
        struct connection *c = l->connections + fd;
        double us = now_us() - c->due;

        histogram_add(l->histogram, us * 1e3);
        l->max_us = fmax(l->max_us, us);
        l->n_outstanding--;
        if (strstr(c->answer, "\r\nConnection: close\r\n")) {
                c->state = ENDING;
                l->reconnected += c->stays;
        } else if (c->stays)
                make_idle(l, fd);
        else {
                l->failed++;
                (void)snprintf(l->failure, sizeof(l->failure), "stays open: %.60s", c->answer);
                shut(l, fd);
        }
}

/* HEADER LENGTH and ten digits. */
static bool is_whole(const struct connection *c) {
        const char *body = strstr(c->answer, "\r\n\r\n");

        return body && strncmp(c->answer, "HTTP/1.1 200 ", 13) == 0 && strlen(body + 4) == 10;
}

static void receive(struct load *l, int fd) {
        struct connection *c = l->connections + fd;
        ssize_t n = recv(fd, c->answer + c->n, ANSWER_MAX - 1 - c->n, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0 && c->state == WAITING) {
                c->n += (size_t)n;
                c->answer[c->n] = 0;
                if (is_whole(c))
                        answered(l, fd);
                return;
        }
        if (c->state == WAITING)
                fail(l, c->stays ? "no answer, on one that stays" : "no answer", n < 0 ? errno : EPIPE);
        if (c->state == IDLE)
                forget_idle(l, fd);
        shut(l, fd);
}

static void handle(struct load *l, int fd) {
        struct connection *c = l->connections + fd;
        socklen_t size = sizeof(int);
        int error = 0;

        if (c->state == CLOSED)
                return;
        if (c->state != CONNECTING) {
                receive(l, fd);
                return;
        }
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
                fail(l, "connect", error);
                shut(l, fd);
                return;
        }
        want(l, fd, EPOLLIN, EPOLL_CTL_MOD);
        request(l, fd);
}

static void check_patience(struct load *l, double now) {
        if (now < l->checked + 1e5)
                return;
        l->checked = now;
        for (int fd = 0; fd < CONNECTIONS_MAX; fd++) {
                struct connection *c = l->connections + fd;

                if ((c->state != CONNECTING && c->state != WAITING) || now < c->due + PATIENCE_US)
                        continue;
                fail(l, c->state == CONNECTING ? "connecting" : "waiting", ETIMEDOUT);
                shut(l, fd);
        }
}

static double or_zero(double v) {
        return isfinite(v) ? v : 0;
}

static void report(struct load *l) {
        double now = now_us();

        printf("{\"requests\": %lu, \"failed\": %lu, \"waiting\": %u, \"reconnected\": %lu, \"seconds\": "
               "%.3f, "
               "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"failure\": \"%s\"}\n",
                        l->requests, l->failed, l->n_outstanding, l->reconnected,
                        (now - l->phase_begin) / 1e6, or_zero(histogram_quantile(l->histogram, 0.5) / 1e3),
                        or_zero(histogram_quantile(l->histogram, 0.99) / 1e3), l->max_us, l->failure);
        (void)fflush(stdout);
        free(l->histogram);
        l->histogram = histogram_new();
        l->requests = l->failed = l->reconnected = 0;
        l->max_us = 0;
        l->failure[0] = 0;
        l->phase_begin = now;
}

static void read_command(struct load *l) {
        char line[64];
        ssize_t n = read(0, line, sizeof(line));

        if (n > 0) {
                report(l);
                return;
        }
        l->over = true;
        (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, 0, NULL);
}

static void run(struct load *l) {
        struct epoll_event events[TURN_EVENTS];

        l->begin = l->phase_begin = now_us();
        while (!l->over || l->n_outstanding > 0) {
                double now = now_us(), due;
                struct timespec wait = {.tv_nsec = 100 * 1000 * 1000};
                int n;

                while (!l->over && (due = l->begin + (double)l->n_due * 1e6 / l->rate) <= now) {
                        begin_request(l, due);
                        l->n_due++;
                }
                if (!l->over)
                        wait.tv_nsec = (long)fmin(fmax((due - now) * 1e3, 1), 1e8);
                n = epoll_pwait2(l->epoll, events, TURN_EVENTS, &wait, NULL);
                for (int i = 0; i < n; i++)
                        if (events[i].data.fd == 0)
                                read_command(l);
                        else
                                handle(l, events[i].data.fd);
                check_patience(l, now_us());
        }
        report(l);
}

int main(int argc, char **argv) {
        struct load *l = calloc(1, sizeof(*l));

        if (argc < 4 || !l || !(l->histogram = histogram_new()))
                return 2;
        l->address = (struct sockaddr_in){.sin_family = AF_INET,
                        .sin_port = htons((uint16_t)atoi(argv[1])),
                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        l->rate = atof(argv[2]);
        l->n_stay_max = (unsigned)atoi(argv[3]);
        l->first_idle = l->last_idle = -1;
        l->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (l->epoll < 0 || !(l->rate > 0))
                return 2;
        want(l, 0, EPOLLIN, EPOLL_CTL_ADD);
        run(l);
        free(l->histogram);
        free(l);
        return 0;
}
