/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes descriptors, gives them out again, forgets them: what keeper-link.h says, for whoever is of this
 * user. Called by main.c. All connections have the same table: that of an arbiter that has died may still be
 * open in the fd store of its service. Must never wait for one of them, nor believe one that errs: it is
 * closed, and what it has put stays. */

#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "arbiter-keeper/keeper.h"
#include "basic/time-util.h"
#include "shared/log.h"

#define PACKETS_PER_TURN 64
#define PACKETS_BEFORE_LIST 10000 /* more than a socket holds, unless somebody goes on and on */
#define STATUS_USEC USEC_PER_SEC
#define GATHER_USEC (50 * USEC_PER_MSEC) /* of several changes at once the last is told */
#define RETRY_USEC (100 * USEC_PER_MSEC)

struct connection {
        struct list_node connections;
        struct keeper *keeper;
        uint64_t owner;
        int fd;
        sd_event_source *source;
        /* A list that is being sent: its next, or the head of the table, before the end is told. NULL: none.
         */
        struct list_node *cursor;
        uint64_t list_cookie;
};

/* What systemctl status shows: now and then, and only when it has changed. */

static int on_status(sd_event_source *s, uint64_t usec, void *userdata) {
        struct keeper *k = userdata;
        size_t n = table_size(&k->table);

        k->told_usec = now_usec();
        (void) sd_notifyf(false, "STATUS=Keeps %zu descriptor%s%s%s", n, n == 1 ? "" : "s",
                        k->service ? " of " : "", k->service ?: "");
        return 0;
}

static void changed(struct keeper *k) {
        int enabled = SD_EVENT_OFF;

        (void) sd_event_source_get_enabled(k->status_source, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time(k->status_source,
                        MAX(now_usec() + GATHER_USEC, time_add(k->told_usec, STATUS_USEC)));
        (void) sd_event_source_set_enabled(k->status_source, SD_EVENT_ONESHOT);
}

/* Nobody's list may go on at what is not there any more. */
static void leave(struct keeper *k, struct list_node *n) {
        LIST_FOREACH(c, &k->connections, struct connection, connections)
                if (c->cursor == n)
                        c->cursor = n->next;
}

static void forget(struct keeper *k, const char *name) {
        struct kept *kept = map_get_string(k->table.names, name);

        if (!kept)
                return;
        leave(k, &kept->list);
        table_forget(&k->table, name);
        k->complained = false;
        changed(k);
}

static void prune(struct keeper *k, uint64_t owner) {
        LIST_FOREACH(kept, &k->table.list, struct kept, list)
                if (kept->owner != owner)
                        leave(k, &kept->list);
        table_prune(&k->table, owner);
        k->complained = false;
        changed(k);
}

static void complain(struct keeper *k, int error) {
        if (k->complained)
                return;
        k->complained = true;
        log_error_errno(error,
                        "Descriptors cannot be kept, with %zu kept already: %m. Actors that have just been "
                        "started may not outlive their arbiter; LimitNOFILE= of this service is the limit.",
                        table_size(&k->table));
}

static void put(struct keeper *k, uint64_t owner, const struct keeper_packet *p, const int *fds) {
        for (uint32_t i = 0; i < p->head.n; i++) {
                int r = table_put(&k->table, p->names[i], fds[i], owner);

                if (r < 0)
                        complain(k, r);
        }
        changed(k);
}

/* Connections. */

static struct connection *connection_free(struct connection *c) {
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->source);
        if (list_is_linked(&c->connections)) {
                list_remove(&c->connections);
                c->keeper->n_connections--;
        }
        close_fd(c->fd);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(struct connection *, connection_free)

/* As many as one packet takes, from n on; the next one is returned. */
static struct list_node *
fill(const struct keeper *k, struct list_node *n, struct keeper_packet *p, int *fds) {
        for (; n != &k->table.list && p->head.n < KEEPER_BATCH_MAX; n = n->next) {
                struct kept *kept = LIST_ENTRY(n, struct kept, list);

                memcpy(p->names[p->head.n], kept->name, KEEPER_NAME_SIZE);
                fds[p->head.n++] = kept->fd;
        }
        return n;
}

/* The list, as far as the socket takes it. */
static int send_list(struct connection *c) {
        struct keeper_packet p;
        int fds[KEEPER_BATCH_MAX], r;

        while (c->cursor) {
                struct list_node *next;

                p.head = (struct keeper_head){ .op = KEEPER_KEPT, .cookie = c->list_cookie };
                next = fill(c->keeper, c->cursor, &p, fds);
                r = keeper_send(c->fd, &p, fds);
                if (r < 0)
                        return r;
                c->cursor = p.head.n > 0 ? next : NULL;
        }
        return 0;
}

static void retry_later(struct keeper *k) {
        (void) sd_event_source_set_time_relative(k->retry_source, RETRY_USEC);
        (void) sd_event_source_set_enabled(k->retry_source, SD_EVENT_ONESHOT);
}

/* It does not hear us: it finds the end, and we go on to listen, for what it has said is to be kept. */
static void give_up(struct connection *c) {
        c->cursor = NULL;
        (void) shutdown(c->fd, SHUT_WR);
}

static void go_on(struct connection *c) {
        int r = send_list(c);

        if (r == -ETOOMANYREFS) /* of this user's, wherever; the socket itself may have room */
                retry_later(c->keeper);
        else if (r < 0 && r != -EAGAIN)
                give_up(c);
        (void) sd_event_source_set_io_events(c->source, EPOLLIN | (r == -EAGAIN ? EPOLLOUT : 0));
}

static void hear_others(struct keeper *k, const struct connection *c);

static void answer_hello(struct connection *c, uint64_t cookie) {
        const struct keeper_packet p = {
                .head = { .op = KEEPER_HELLO, .n = KEEPER_VERSION, .cookie = cookie }
        };

        c->cursor = NULL; /* that was for another one */
        if (keeper_send(c->fd, &p, NULL) < 0)
                give_up(c);
}

static int handle(struct connection *c, const struct keeper_packet *p, const int *fds) {
        struct keeper *k = c->keeper;

        switch (p->head.op) {
        case KEEPER_HELLO:
                answer_hello(c, p->head.cookie);
                return 0;
        case KEEPER_PUT:
                put(k, c->owner, p, fds);
                return 0;
        case KEEPER_FORGET:
                for (uint32_t i = 0; i < p->head.n; i++)
                        forget(k, p->names[i]);
                return 0;
        case KEEPER_LIST:
                hear_others(k, c);
                c->cursor = k->table.list.next;
                c->list_cookie = p->head.cookie;
                go_on(c);
                return 0;
        case KEEPER_PRUNE:
                prune(k, c->owner);
                return 0;
        default:
                close_many(fds, p->head.n);
                return -EBADMSG;
        }
}

/* So many packets at the most. */
static int receive(struct connection *c, unsigned max) {
        struct keeper_packet p;
        int fds[KEEPER_BATCH_MAX], r;
        size_t n_fds;

        for (unsigned i = 0; i < max; i++) {
                r = keeper_receive(c->fd, &p, fds, &n_fds);
                if (r == -EAGAIN)
                        return 0;
                if (r == -EMFILE) {
                        complain(c->keeper, r);
                        continue;
                }
                if (r == 0)
                        return -ECONNRESET;
                r = r < 0 ? r : handle(c, &p, fds);
                if (r < 0)
                        return r;
        }
        return 0; /* the others have their turn */
}

static void end(struct connection *c, int error) {
        if (error == -EBADMSG)
                log_error("What a client has said cannot be understood; its connection is closed.");
        connection_free(c);
}

/* What an arbiter has handed over before it died is there for the next one, who has another connection. */
static void hear_others(struct keeper *k, const struct connection *c) {
        if (k->hearing)
                return;
        k->hearing = true;
        LIST_FOREACH(i, &k->connections, struct connection, connections) {
                int r = i == c ? 0 : receive(i, PACKETS_BEFORE_LIST);

                if (r < 0)
                        end(i, r);
        }
        k->hearing = false;
}

static int on_connection(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct connection *c = userdata;
        int r;

        if (events & EPOLLOUT)
                go_on(c);
        r = receive(c, PACKETS_PER_TURN);
        if (r < 0)
                end(c, r);
        return 0;
}

static int is_ours(int fd) {
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return negative_errno();
        return peer.uid == geteuid() ? 0 : -EPERM;
}

int keeper_add(struct keeper *k, int fd) {
        _cleanup_(connection_freep) struct connection *c = calloc(1, sizeof(*c));
        int r;

        if (!c) {
                close_fd(fd);
                return -ENOMEM;
        }
        *c = (struct connection){ .keeper = k, .fd = fd, .owner = ++k->n_owners };
        list_init(&c->connections);
        if (k->n_connections >= KEEPER_CONNECTIONS_MAX)
                hear_others(k, NULL); /* some may have ended, and it is only not their turn yet */
        r = k->n_connections < KEEPER_CONNECTIONS_MAX ? is_ours(fd) : -EUSERS;
        if (r >= 0)
                r = sd_event_add_io(k->event, &c->source, fd, EPOLLIN, on_connection, c);
        if (r < 0)
                return r;
        list_append(&k->connections, &c->connections);
        k->n_connections++;
        (void) TAKE_PTR(c);
        return 0;
}

static int on_accept(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        int r, peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct keeper *k = userdata;

        if (peer < 0) {
                if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
                        return 0;
                log_error_errno(errno, "A connection cannot be accepted yet: %m");
                (void) sd_event_source_set_enabled(k->listener_source, SD_EVENT_OFF);
                retry_later(k);
                return 0;
        }
        r = keeper_add(k, peer);
        if (r < 0)
                log_error_errno(r, "A connection was refused: %m");
        return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        struct keeper *k = userdata;

        if (k->listener_source)
                (void) sd_event_source_set_enabled(k->listener_source, SD_EVENT_ON);
        LIST_FOREACH(c, &k->connections, struct connection, connections)
                if (c->cursor)
                        go_on(c);
        return 0;
}

/* The socket. */

static int bind_listener(struct keeper *k) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        mode_t mask;
        int r;

        if (strlen(k->path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, k->path);
        k->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (k->listener < 0)
                return negative_errno();
        (void) unlink(k->path);
        mask = umask(0177);
        r = bind(k->listener, (struct sockaddr *) &address, sizeof(address)) < 0 ? negative_errno() : 0;
        (void) umask(mask);
        if (r >= 0 && listen(k->listener, KEEPER_CONNECTIONS_MAX) < 0)
                r = negative_errno();
        return r;
}

static int listen_at(struct keeper *k, const char *path) {
        int r;

        k->path = strdup(path);
        if (!k->path)
                return -ENOMEM;
        r = bind_listener(k);
        if (r >= 0)
                r = sd_event_add_io(k->event, &k->listener_source, k->listener, EPOLLIN, on_accept, k);
        return r;
}

int keeper_new(const char *path, const char *service, size_t max, struct keeper **ret) {
        _cleanup_(keeper_freep) struct keeper *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return -ENOMEM;
        k->listener = -EBADF;
        k->service = service;
        list_init(&k->connections);
        r = table_init(&k->table, max);
        if (r >= 0)
                r = sd_event_default(&k->event);
        if (r >= 0 && path)
                r = listen_at(k, path);
        if (r >= 0)
                r = sd_event_add_time_relative(
                                k->event, &k->status_source, CLOCK_MONOTONIC, 0, 1, on_status, k);
        if (r >= 0)
                r = sd_event_source_set_enabled(k->status_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(
                                k->event, &k->retry_source, CLOCK_MONOTONIC, 0, 0, on_retry, k);
        if (r >= 0)
                r = sd_event_source_set_enabled(k->retry_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(k);
        return 0;
}

struct keeper *keeper_free(struct keeper *k) {
        if (!k)
                return NULL;
        LIST_FOREACH(c, &k->connections, struct connection, connections)
                connection_free(c);
        sd_event_source_disable_unref(k->listener_source);
        sd_event_source_disable_unref(k->status_source);
        sd_event_source_disable_unref(k->retry_source);
        if (k->listener >= 0 && k->path)
                (void) unlink(k->path);
        close_fd(k->listener);
        table_done(&k->table);
        sd_event_unref(k->event);
        free(k->path);
        free(k);
        return NULL;
}
