/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of arbiter-keeper. Called by main.c at the start, then by the library and by those files of
 * arbiterd that own descriptors. What could not be sent at once is sent when the socket has room; of a name
 * only the last word counts. Must never block once the loop runs, nor fail an actor's start because nobody
 * keeps its descriptors. */

#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/un.h>

#include "arbiterd/keeper.h"
#include "basic/list.h"
#include "basic/map.h"
#include "basic/time-util.h"
#include "shared/log.h"

#define ANSWER_USEC (5 * USEC_PER_SEC) /* so long a keeper may take */
#define RETRY_MIN_USEC (100 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (10 * USEC_PER_SEC)
#define CROWDED_USEC (100 * USEC_PER_MSEC)
#define AWAY_USEC (5 * USEC_PER_SEC) /* so long somebody waits for a keeper to come back */

struct entry {
        struct list_node list;   /* of all, oldest first */
        struct list_node unsent; /* the keeper does not know yet */
        int fd;                  /* -EBADF: it is to be forgotten */
        char name[KEEPER_NAME_SIZE];
};

struct keeper {
        char *path;
        int socket; /* -EBADF: there is none */
        bool complained;
        bool prune; /* the keeper may have what nobody wants any more: once all is sent, it is told so */
        map *names;
        struct list_node list, unsent;
        bool owing; /* somebody waits for what is not sent yet */
        usec_t delay, lost_usec;
        keeper_answered_t answered; /* NULL: it is not asked */
        uint64_t question;
        sd_event *event;
        sd_event_source *io, *retry, *settled, *too_long;
        struct keeper_events events;
        void *userdata;
};

static void free_entry(struct keeper *k, struct entry *e) {
        (void) map_remove_string(k->names, e->name);
        list_remove(&e->list);
        list_remove(&e->unsent);
        close_fd(e->fd);
        free(e);
}

/* Takes fd over, also on failure. */
static int add_entry(struct keeper *k, const char *name, int fd, struct entry **ret) {
        struct entry *e = calloc(1, sizeof(*e));
        int r;

        if (!e) {
                close_fd(fd);
                return -ENOMEM;
        }
        e->fd = fd;
        (void) snprintf(e->name, sizeof(e->name), "%s", name);
        list_init(&e->unsent);
        r = map_put_string(k->names, name, e);
        if (r < 0) {
                close_fd(fd);
                free(e);
                return r;
        }
        list_append(&k->list, &e->list);
        if (ret)
                *ret = e;
        return 0;
}

/* Connecting. */

static int connect_path(const char *path, int *ret) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return negative_errno();
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return negative_errno();
        if (peer.uid != geteuid())
                return -EPERM;
        *ret = TAKE_FD(fd);
        return 0;
}

bool keeper_lives(const char *path) {
        _cleanup_close_ int fd = -EBADF;
        int r = connect_path(path, &fd);

        return r >= 0 || r == -EAGAIN; /* it has much to do */
}

static int send_op(int socket, enum keeper_op op, uint32_t n, uint64_t cookie) {
        const struct keeper_packet p = { .head = { .op = op, .n = n, .cookie = cookie } };

        return keeper_send(socket, &p, NULL);
}

/* At the start. */

static int receive_until(int socket, usec_t until, struct keeper_packet *p, int *fds, size_t *n_fds) {
        for (;;) {
                struct pollfd pollfd = { .fd = socket, .events = POLLIN };
                usec_t now = now_usec();
                int r;

                r = keeper_receive(socket, p, fds, n_fds);
                if (r != -EAGAIN)
                        return r == 0 ? -ECONNRESET : r;
                if (now >= until)
                        return -ETIMEDOUT;
                if (poll(&pollfd, 1, (int) ((until - now) / USEC_PER_MSEC) + 1) < 0 && errno != EINTR)
                        return negative_errno();
        }
}

/* Behind what was for an arbiter before us. */
static int say_hello(int socket, usec_t until) {
        int fds[KEEPER_BATCH_MAX], r;
        struct keeper_packet p;
        uint64_t cookie;
        size_t n_fds;

        if (getrandom(&cookie, sizeof(cookie), 0) != sizeof(cookie))
                return -EIO;
        r = send_op(socket, KEEPER_HELLO, KEEPER_VERSION, cookie);
        while (r >= 0) {
                r = receive_until(socket, until, &p, fds, &n_fds);
                if (r == -EMFILE)
                        r = 1;
                else if (r >= 0)
                        close_many(fds, n_fds);
                if (r >= 0 && p.head.op == KEEPER_HELLO && p.head.cookie == cookie)
                        return 0;
        }
        return r;
}

static int take_list(struct keeper *k, usec_t until) {
        int fds[KEEPER_BATCH_MAX], r;
        struct keeper_packet p;
        size_t n_fds;

        r = send_op(k->socket, KEEPER_LIST, 0, 0);
        while (r >= 0) {
                r = receive_until(k->socket, until, &p, fds, &n_fds);
                if (r < 0)
                        return r;
                if (p.head.op != KEEPER_KEPT) {
                        close_many(fds, n_fds);
                        return -EBADMSG;
                }
                if (p.head.n == 0)
                        return 0;
                for (uint32_t i = 0; i < p.head.n; i++)
                        if (r < 0 || map_get_string(k->names, p.names[i]))
                                close_fd(fds[i]);
                        else
                                r = add_entry(k, p.names[i], fds[i], NULL);
        }
        return r;
}

static void drop(struct keeper *k) {
        if (k->socket >= 0)
                k->lost_usec = now_usec();
        k->io = sd_event_source_disable_unref(k->io);
        k->socket = close_fd(k->socket);
}

static int converse(struct keeper *k) {
        usec_t until = now_usec() + ANSWER_USEC;
        int r;

        r = say_hello(k->socket, until);
        if (r >= 0)
                r = take_list(k, until);
        if (r < 0) {
                drop(k);
                LIST_FOREACH(e, &k->list, struct entry, list)
                        free_entry(k, e);
        }
        return r;
}

/* That of the fd store needs neither a path nor a keeper that can accept. */
int keeper_new(const char *path, int stored, struct keeper **ret) {
        _cleanup_(keeper_freep) struct keeper *k = calloc(1, sizeof(*k));
        int r;

        if (!k) {
                close_fd(stored);
                return -ENOMEM;
        }
        list_init(&k->list);
        list_init(&k->unsent);
        k->socket = stored;
        k->lost_usec = now_usec();
        k->path = strdup(path);
        r = k->path ? map_new(&k->names) : -ENOMEM;
        if (r < 0)
                return r;
        r = stored >= 0 ? fd_set_nonblock(stored, true) : -ENOTCONN;
        if (r >= 0)
                r = converse(k);
        if (r < 0 && r != -ETIMEDOUT) { /* else it is there, and hangs */
                k->socket = close_fd(k->socket);
                r = connect_path(path, &k->socket);
                if (r >= 0)
                        r = converse(k);
        }
        if (r < 0) {
                log_warning_errno(r,
                                "No arbiter-keeper at %s: %m. Until there is one, actors do not outlive "
                                "this arbiter.",
                                path);
                k->complained = true;
        }
        *ret = TAKE_PTR(k);
        return 0;
}

struct keeper *keeper_free(struct keeper *k) {
        if (!k)
                return NULL;
        drop(k);
        sd_event_source_disable_unref(k->retry);
        sd_event_source_disable_unref(k->settled);
        sd_event_source_disable_unref(k->too_long);
        sd_event_unref(k->event);
        if (k->names)
                LIST_FOREACH(e, &k->list, struct entry, list)
                        free_entry(k, e);
        map_free(k->names, NULL);
        free(k->path);
        free(k);
        return NULL;
}

/* What is to be forgotten goes as soon as the keeper has heard it, whoever is in the midst of a walk. */
static struct list_node *skip_forgotten(struct keeper *k, struct list_node *n) {
        while (n != &k->list && LIST_ENTRY(n, struct entry, list)->fd < 0)
                n = n->next;
        return n;
}

const char *keeper_next(struct keeper *k, void **position) {
        /* the position is the one that comes next: the one before may be gone by then */
        struct list_node *n = *position ? *position : skip_forgotten(k, k->list.next);

        if (n == &k->list)
                return NULL;
        *position = skip_forgotten(k, n->next);
        return LIST_ENTRY(n, struct entry, list)->name;
}

int keeper_get(struct keeper *k, const char *name) {
        struct entry *e = map_get_string(k->names, name);

        return e && e->fd >= 0 ? fd_duplicate(e->fd) : -ENOENT;
}

/* While the arbiter runs. */

static void retry_in(struct keeper *k, usec_t usec) {
        if (!k->retry)
                return;
        (void) sd_event_source_set_time_relative(k->retry, usec);
        (void) sd_event_source_set_enabled(k->retry, SD_EVENT_ONESHOT);
}

static void reconnect_later(struct keeper *k) {
        retry_in(k, k->delay);
        k->delay = MIN(k->delay * 2, RETRY_MAX_USEC);
}

static void answer(struct keeper *k, int r) {
        keeper_answered_t answered = TAKE_PTR(k->answered);

        if (!answered)
                return;
        (void) sd_event_source_set_enabled(k->too_long, SD_EVENT_OFF);
        answered(r, k->userdata);
}

static int on_too_long(sd_event_source *s, uint64_t usec, void *userdata) {
        answer(userdata, -ETIMEDOUT);
        return 0;
}

int keeper_ask(struct keeper *k, keeper_answered_t answered) {
        int r;

        if (k->answered)
                return -EBUSY;
        r = k->socket < 0 ? -ENOTCONN : send_op(k->socket, KEEPER_HELLO, KEEPER_VERSION, ++k->question);
        if (r >= 0)
                r = sd_event_source_set_time_relative(k->too_long, ANSWER_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(k->too_long, SD_EVENT_ONESHOT);
        if (r >= 0)
                k->answered = answered;
        return r;
}

/* Another one has nothing, and this one may have been told what it should not keep, and not have heard it.
 */
static void lose(struct keeper *k) {
        drop(k);
        LIST_FOREACH(e, &k->list, struct entry, list)
                if (e->fd < 0)
                        free_entry(k, e);
                else if (!list_is_linked(&e->unsent))
                        list_append(&k->unsent, &e->unsent);
        k->prune = true;
        reconnect_later(k);
        answer(k, -ECONNRESET);
}

static void complain(struct keeper *k, int error) {
        if (!k->complained)
                log_warning_errno(error,
                                "The connection to arbiter-keeper is lost: %m. Until it is there again, "
                                "actors do not outlive this arbiter.");
        k->complained = true;
}

/* One packet: the oldest that is unsent, and those behind it that are of its kind. */
static uint32_t fill(struct keeper *k, struct keeper_packet *p, int *fds) {
        struct entry *first = LIST_FIRST(&k->unsent, struct entry, unsent);

        p->head = (struct keeper_head){ .op = first->fd >= 0 ? KEEPER_PUT : KEEPER_FORGET };
        LIST_FOREACH(e, &k->unsent, struct entry, unsent) {
                if ((e->fd >= 0) != (first->fd >= 0) || p->head.n == KEEPER_BATCH_MAX)
                        break;
                memcpy(p->names[p->head.n], e->name, KEEPER_NAME_SIZE);
                fds[p->head.n++] = e->fd;
        }
        return p->head.n;
}

static int send_unsent(struct keeper *k) {
        int fds[KEEPER_BATCH_MAX], r;
        struct keeper_packet p;

        while (!list_is_empty(&k->unsent)) {
                uint32_t n = fill(k, &p, fds);

                r = keeper_send(k->socket, &p, fds);
                if (r < 0)
                        return r;
                while (n-- > 0) {
                        struct entry *e = LIST_FIRST(&k->unsent, struct entry, unsent);

                        list_remove(&e->unsent);
                        if (e->fd < 0)
                                free_entry(k, e);
                }
        }
        if (k->prune) {
                r = send_op(k->socket, KEEPER_PRUNE, 0, 0);
                if (r < 0)
                        return r;
                k->prune = false;
        }
        return 0;
}

static bool is_pending(const struct keeper *k) {
        return !keeper_is_settled(k) && (k->socket >= 0 || now_usec() < time_add(k->lost_usec, AWAY_USEC));
}

/* Not from here: the one who is told may be the one who has called. */
static void tell_settled(struct keeper *k) {
        if (k->owing && k->settled && !is_pending(k))
                (void) sd_event_source_set_enabled(k->settled, SD_EVENT_ONESHOT);
}

static int on_settled(sd_event_source *s, void *userdata) {
        struct keeper *k = userdata;

        if (!k->owing || is_pending(k))
                return 0;
        k->owing = false;
        if (k->events.settled)
                k->events.settled(k->userdata);
        return 0;
}

static void flush_unsent(struct keeper *k) {
        int r;

        if (k->socket < 0)
                return;
        r = send_unsent(k);
        if (r < 0 && r != -EAGAIN && r != -ETOOMANYREFS && r != -ENOMEM && r != -ENOBUFS) {
                complain(k, r);
                lose(k);
                return;
        }
        if (r < 0 && r != -EAGAIN) /* too many descriptors are under way; the socket itself has room */
                retry_in(k, CROWDED_USEC);
        if (k->io)
                (void) sd_event_source_set_io_events(k->io, EPOLLIN | (r == -EAGAIN ? EPOLLOUT : 0));
        if (r >= 0 && k->complained) {
                k->complained = false;
                log_info("arbiter-keeper is there, and has what it is to keep.");
        }
        if (r >= 0) {
                k->delay = RETRY_MIN_USEC;
                tell_settled(k);
        }
}

/* It says nothing unasked: an answer to us, or to an arbiter before us, or its end. */
static int on_io(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        int fds[KEEPER_BATCH_MAX], r = -EAGAIN;
        struct keeper *k = userdata;
        struct keeper_packet p;
        size_t n_fds;

        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                r = keeper_receive(k->socket, &p, fds, &n_fds);
        if (r > 0) {
                close_many(fds, n_fds);
                if (k->answered && p.head.op == KEEPER_HELLO && p.head.cookie == k->question)
                        answer(k, 0);
        } else if (r != -EAGAIN) {
                complain(k, r < 0 ? r : -ECONNRESET);
                lose(k);
                return 0;
        }
        flush_unsent(k);
        return 0;
}

static int on_connected(struct keeper *k) {
        int r;

        r = sd_event_add_io(k->event, &k->io, k->socket, EPOLLIN, on_io, k);
        if (r < 0)
                return r;
        if (k->events.connected)
                k->events.connected(k->socket, k->userdata);
        flush_unsent(k);
        return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        struct keeper *k = userdata;
        int r;

        if (k->socket >= 0) {
                flush_unsent(k);
                return 0;
        }
        r = connect_path(k->path, &k->socket);
        if (r >= 0)
                r = send_op(k->socket, KEEPER_HELLO, KEEPER_VERSION, 0);
        if (r >= 0)
                r = on_connected(k);
        if (r < 0) {
                k->socket = close_fd(k->socket);
                reconnect_later(k);
                tell_settled(k);
        }
        return 0;
}

int keeper_attach(struct keeper *k, sd_event *event, const struct keeper_events *events, void *userdata) {
        int r;

        k->event = sd_event_ref(event);
        k->events = *events;
        k->userdata = userdata;
        k->delay = RETRY_MIN_USEC;
        r = sd_event_add_time_relative(event, &k->retry, CLOCK_MONOTONIC, 0, 0, on_retry, k);
        if (r >= 0)
                r = sd_event_source_set_enabled(k->retry, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(
                                event, &k->too_long, CLOCK_MONOTONIC, 0, 0, on_too_long, k);
        if (r >= 0)
                r = sd_event_source_set_enabled(k->too_long, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &k->settled, on_settled, k);
        if (r < 0)
                return r;
        if (k->socket >= 0)
                return on_connected(k);
        lose(k);
        return 0;
}

int keeper_keep(arbiter *a, const char *name, int fd, void *userdata) {
        struct keeper *k = userdata;
        struct entry *e = map_get_string(k->names, name);
        int copy = -EBADF, r;

        if (!keeper_name_is_valid(name, KEEPER_NAME_SIZE))
                return -EINVAL;
        if (fd < 0 && (!e || e->fd < 0))
                return 0;
        if (fd >= 0) {
                copy = fd_duplicate(fd);
                if (copy < 0)
                        return copy;
        }
        if (!e) {
                r = add_entry(k, name, copy, &e);
                if (r < 0)
                        return r;
        } else {
                close_fd(e->fd);
                e->fd = copy;
        }
        if (!list_is_linked(&e->unsent))
                list_append(&k->unsent, &e->unsent);
        if (k->socket < 0 && fd < 0) {
                free_entry(k, e);
                return 0;
        }
        flush_unsent(k);
        if (!is_pending(k))
                return 0;
        k->owing = true;
        return 1;
}

bool keeper_is_there(struct keeper *k) {
        if (k->socket < 0 && k->delay > RETRY_MIN_USEC) {
                k->delay = RETRY_MIN_USEC;
                reconnect_later(k);
        }
        return k->socket >= 0;
}

bool keeper_is_settled(const struct keeper *k) {
        return k->socket >= 0 && list_is_empty(&k->unsent) && !k->prune;
}
