/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket on which whoever connects gets the metrics, and nothing else: arbiter_listen_metrics().
 * Driven by the arbiter's loop. Who may connect is the socket's mode to say, and a client may still be
 * hostile: what it sends is not looked at, none is waited for, the number of them is bounded (the oldest
 * goes), and so are the time that each of them has and the connections that are taken in a second. */

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "arbiter/internal.h"
#include "basic/fd.h"

enum {
        CLIENTS_MAX = 16,
        CLIENT_USEC = 5 * 1000 * 1000,
        ACCEPTS_PER_SEC = 200,
        DISCARD_SIZE = 64 * 1024,
};

struct metrics_client {
        struct list_node clients;
        struct metrics_socket *socket;
        sd_event_source *io;
        struct actor_timer timer;
        char *text;
        size_t n, size; /* sent, of */
        int fd;
};

struct metrics_socket {
        arbiter *arbiter;
        sd_event_source *io;
        struct list_node clients;
        unsigned n_clients;
        int fd;
};

static void client_free(struct metrics_client *c) {
        char discard[DISCARD_SIZE];

        /* What it had sent and nobody read would reach it as an error in place of the end. */
        (void) recv(c->fd, discard, sizeof(discard), MSG_DONTWAIT);
        actor_timer_clear(c->socket->arbiter->actor, &c->timer);
        sd_event_source_disable_unref(c->io);
        list_remove(&c->clients);
        c->socket->n_clients--;
        (void) close_fd(c->fd);
        free(c->text);
        free(c);
}

static void on_timer(arbiter_actor *a, struct actor_timer *t) {
        client_free(CONTAINER_OF(t, struct metrics_client, timer));
}

/* As much as it takes now. 1: that was all. */
static int client_write(struct metrics_client *c) {
        ssize_t n;

        while (c->n < c->size) {
                n = send(c->fd, c->text + c->n, c->size - c->n, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
                c->n += (size_t) n;
        }
        return 1;
}

static int on_client(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct metrics_client *c = userdata;

        if ((revents & (EPOLLERR | EPOLLHUP)) || client_write(c) != 0)
                client_free(c);
        return 0;
}

static int client_wait(struct metrics_client *c) {
        arbiter *a = c->socket->arbiter;
        int r;

        r = sd_event_add_io(a->event, &c->io, c->fd, EPOLLOUT, on_client, c);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(c->io, "arbiter-metrics-client");
        return actor_timer_set(a->actor, &c->timer, now_usec() + CLIENT_USEC);
}

static int serve(struct metrics_socket *s, int fd) {
        struct metrics_client *c;
        int r;

        if (s->n_clients == CLIENTS_MAX)
                client_free(LIST_FIRST(&s->clients, struct metrics_client, clients));
        c = calloc(1, sizeof(*c));
        if (!c) {
                (void) close(fd);
                return -ENOMEM;
        }
        c->socket = s;
        c->fd = fd;
        c->timer = ACTOR_TIMER_INIT(on_timer);
        list_append(&s->clients, &c->clients);
        s->n_clients++;
        r = control_get_metrics(s->arbiter, &c->text, &c->size);
        if (r >= 0)
                r = client_write(c);
        if (r == 0)
                r = client_wait(c);
        else if (r > 0)
                r = -ESHUTDOWN; /* done */
        if (r < 0)
                client_free(c);
        return 0;
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct metrics_socket *s = userdata;
        int client = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (client >= 0)
                (void) serve(s, client);
        return 0;
}

static int check_socket(int fd) {
        int domain, type, accepts;
        socklen_t size = sizeof(int);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
                        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
                        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) < 0)
                return negative_errno();
        return domain == AF_UNIX && type == SOCK_STREAM && accepts ? 0 : -EINVAL;
}

static int prepare_fd(int fd) {
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return negative_errno();
        return 0;
}

static int add_source(struct metrics_socket *s) {
        int r;

        r = sd_event_add_io(s->arbiter->event, &s->io, s->fd, EPOLLIN, on_accept, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(s->io, "arbiter-metrics");
        return sd_event_source_set_ratelimit(s->io, USEC_PER_SEC, ACCEPTS_PER_SEC);
}

_public_ int arbiter_listen_metrics(arbiter *a, int fd) {
        struct metrics_socket *s;
        int r;

        if (!a || fd < 0)
                return -EINVAL;
        if (a->metrics_socket)
                return -EALREADY;
        r = check_socket(fd);
        if (r >= 0)
                r = prepare_fd(fd);
        if (r < 0)
                return r;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->arbiter = a;
        s->fd = fd;
        list_init(&s->clients);
        r = add_source(s);
        if (r < 0) {
                sd_event_source_disable_unref(s->io);
                free(s);
                return r;
        }
        a->metrics_socket = s;
        return 0;
}

void metrics_socket_done(arbiter *a) {
        struct metrics_socket *s = TAKE_PTR(a->metrics_socket);

        if (!s)
                return;
        LIST_FOREACH(c, &s->clients, struct metrics_client, clients)
                client_free(c);
        sd_event_source_disable_unref(s->io);
        (void) close_fd(s->fd);
        free(s);
}
