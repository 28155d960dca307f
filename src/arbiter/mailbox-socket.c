/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The well-known socket, RUNTIME_DIRECTORY/mailbox: how an actor that did not inherit its control link comes
 * to it. Whoever connects is a stranger with one message to say, hello, and little time to say it; identity
 * is what the kernel says of the connection. An actor that somebody else starts has a one-time token; an
 * instance of a template has none: it is the main process of its unit, by the word of systemd. The socket
 * exists only once somebody is expected. Every user may connect, since the actor may be another's; whose
 * actor nobody waits for is turned away at once. Called by child.c and launch-unit.c for who is expected,
 * and by the loop. Must never wait for a stranger. */

#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "basic/fd.h"
#include "basic/pidfd.h"

enum { ACCEPT_RETRY_USEC = 100 * 1000, STRANGER_USEC = 5 * 1000 * 1000 };

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

struct stranger {
        struct list_node strangers;
        arbiter *arbiter;
        struct link *link;
        int fd;     /* until there is a link: it is not listened to yet */
        char *unit; /* of an instance that is expected; NULL: of none */
        struct actor_timer timer;
        struct ucred credentials;
        struct process_identity identity; /* where the kernel gives no pidfd of the peer */
        int pidfd;
};

static void stranger_free(struct stranger *s) {
        list_remove(&s->strangers);
        s->arbiter->n_strangers--;
        actor_timer_clear(s->arbiter->actor, &s->timer);
        if (s->link) {
                link_close(s->link);
                link_unref(s->link);
        }
        close_fd(s->fd);
        close_fd(s->pidfd);
        free(s->unit);
        process_identity_done(&s->identity);
        free(s);
}

static void refuse(struct stranger *s, const char *why) {
        arbiter_log(s->arbiter, LOG_WARNING, NULL, "refused",
                        "refused a connection of process %d (uid %u): %s", (int) s->credentials.pid,
                        (unsigned) s->credentials.uid, why);
}

/* In constant time: how much of a token was right is nobody's business. */
static bool token_equal(const char *a, const char *b) {
        volatile uint8_t difference = 0;

        for (size_t i = 0; i < TOKEN_LENGTH; i++)
                difference |= (uint8_t) (a[i] ^ b[i]);
        return difference == 0;
}

static struct child *find_expected(arbiter *a, const char *token) {
        struct child *found = NULL;

        if (strlen(token) != TOKEN_LENGTH)
                return NULL;
        LIST_FOREACH(c, &a->children, struct child, children)
                if (c->token && token_equal(c->token, token))
                        found = c;
        return found;
}

static bool same_as(const struct stranger *s) {
        struct process_identity now = {};
        bool same;

        same = process_identity_read(s->credentials.pid, &now) >= 0 &&
               process_identity_equal(&now, &s->identity);
        process_identity_done(&now);
        return same;
}

/* Is the process that connected alive, and is it the one that the pidfd means? A descendant may hold the
 * connection of a dead one; a stored pid may be another's by now. */
static bool is_still_there(const struct stranger *s) {
        struct pollfd p[] = {
                { .fd = link_get_fd(s->link), .events = POLLIN },
                { .fd = s->pidfd, .events = POLLIN }, /* it is readable once its process has died */
        };

        if (poll(p, ELEMENTSOF(p), 0) < 0 || (p[0].revents & (POLLHUP | POLLERR)) || p[1].revents)
                return false;
        return !s->identity.cgroup || same_as(s);
}

static uid_t wanted_uid(const struct child *c) {
        return c->spawn->context.has_uid ? c->spawn->context.uid : geteuid();
}

/* Its pid is ours to watch from here on, by pidfd. */
static int adopt(struct stranger *s, struct child *c) {
        int r;

        if (s->credentials.uid != wanted_uid(c)) {
                refuse(s, "its token belongs to an actor of another user");
                return -EACCES;
        }
        c->process.pid = s->credentials.pid;
        c->process.pidfd = TAKE_FD(s->pidfd);
        c->process.own_group = false;
        r = child_watch_death(c);
        if (r >= 0)
                r = child_attach_link(c, s->link);
        if (r < 0) { /* as if it had not come: the token is still good */
                c->death_source = sd_event_source_disable_unref(c->death_source);
                process_done(&c->process);
                c->process = PROCESS_INIT;
                return r;
        }
        s->link = link_unref(s->link); /* the peer's now */
        child_keep_link(c);
        launch_keep_process(c, c->process.pidfd);
        free(c->token);
        c->token = NULL;
        state_mark_child(c);
        return 0;
}

static struct child *find_instance(arbiter *a, const char *unit) {
        LIST_FOREACH(c, &a->children, struct child, children)
                if (unit_is_awaited(c) && streq(c->unit_name, unit))
                        return c;
        return NULL;
}

/* It is in the unit, so systemd has started it or an ancestor of it. Only one process of it is the actor:
 * the one that systemd names, and whose end is the unit's. */
static bool is_main_process(const struct stranger *s, const struct child *c) {
        return c->process.pid == s->credentials.pid && !unit_is_dead(c);
}

static int adopt_instance(struct stranger *s, struct child *c) {
        int r;

        if (!is_main_process(s, c)) {
                refuse(s, "it is not the main process of its unit");
                return -EACCES;
        }
        r = child_attach_link(c, s->link);
        if (r < 0)
                return r;
        child_keep_link(c);
        s->link = link_unref(s->link); /* the peer's now */
        return 0;
}

static int read_token(const struct envelope *e, const uint8_t *body, arbiter_message **ret_message,
                const char **ret_token) {
        uint32_t version;
        int r;

        if (e->kind != ENVELOPE_REQUEST || !streq(e->command, "hello") || e->n_fds > 0)
                return -EBADMSG;
        r = message_from_frame(e, body, NULL, ret_message);
        if (r < 0)
                return r;
        r = arbiter_message_read(*ret_message, "us", &version, ret_token);
        return r > 0 ? 0 : -EBADMSG;
}

/* Whose is it? */
static int settle(struct stranger *s, const char *token, struct child **ret) {
        struct child *c;
        int r;

        c = *token ? find_expected(s->arbiter, token) : s->unit ? find_instance(s->arbiter, s->unit) : NULL;
        if (!c) {
                refuse(s, *token ? "its token is not known, or was used before" : "it has no token");
                return -EACCES;
        }
        if (!is_still_there(s)) {
                refuse(s, "it is dead, and somebody else speaks for it");
                return -ESRCH;
        }
        r = *token ? adopt(s, c) : adopt_instance(s, c);
        if (r >= 0)
                *ret = c;
        return r;
}

static int on_frame(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds,
                void *userdata) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        struct stranger *s = userdata;
        const char *token;
        struct child *c;
        int r;

        r = read_token(e, body, &m, &token);
        if (r < 0) {
                close_many(fds, e->n_fds);
                refuse(s, "it did not say hello");
                return -EBADMSG;
        }
        r = settle(s, token, &c);
        if (r < 0)
                return r;
        stranger_free(s);
        /* From here it is an actor like any other: the same hello, now on its own control link. */
        return actor_link_events.frame(l, e, body, fds, c->peer);
}

static void on_closed(struct link *l, int error, void *userdata) {
        stranger_free(userdata);
}

static const struct link_events stranger_events = { .frame = on_frame, .closed = on_closed };

static void on_timer(arbiter_actor *a, struct actor_timer *t) {
        struct stranger *s = CONTAINER_OF(t, struct stranger, timer);

        refuse(s, "it said nothing");
        stranger_free(s);
}

static int identify(int fd, bool force_old, struct stranger *s) {
        socklen_t size = sizeof(s->credentials);
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &s->credentials, &size) < 0)
                return negative_errno();
        size = sizeof(s->pidfd);
        if (!force_old && getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &s->pidfd, &size) >= 0)
                return 0;
        /* Linux before 6.5: what the pid meant before the pidfd was made, it must mean still. */
        r = process_identity_read(s->credentials.pid, &s->identity);
        if (r < 0)
                return r;
        s->pidfd = pidfd_open_pid(s->credentials.pid);
        if (s->pidfd < 0)
                return s->pidfd;
        return same_as(s) ? 0 : -ESRCH;
}

/* The socket is open to every user, so that an actor of another user reaches it. Who is nobody's actor takes
 * no place among those who are waited for. */
static bool is_awaited(arbiter *a, struct stranger *s) {
        bool by_token = false, by_unit = false;
        struct child *instance;

        LIST_FOREACH(c, &a->children, struct child, children) {
                by_token |= c->token && wanted_uid(c) == s->credentials.uid;
                by_unit |= unit_is_awaited(c);
        }
        if (!by_unit || unit_of_process(a, s->credentials.pid, &s->unit) < 0)
                return by_token;
        instance = find_instance(a, s->unit);
        if (instance && (instance->process.pid <= 0 || is_main_process(s, instance)))
                return true;
        free(s->unit);
        s->unit = NULL;
        return by_token;
}

/* Told at a limited rate: anybody can be refused as often as he likes. */
static int turn_away(struct stranger *s) {
        usec_t now = now_usec();

        if (now >= s->arbiter->turned_away_usec + USEC_PER_SEC) {
                s->arbiter->turned_away_usec = now;
                refuse(s, "no actor that it could be is expected");
        }
        return -EACCES;
}

static int listen_to(struct stranger *s) {
        arbiter *a = s->arbiter;
        int r;

        r = link_new(a->event, LINK_SEQPACKET, TAKE_FD(s->fd), NULL, 0, &stranger_events, s, &s->link);
        return r < 0 ? r : actor_timer_set(a->actor, &s->timer, now_usec() + STRANGER_USEC);
}

/* Faster than systemd's word of it: it waits, as long as its start may take. */
static int put_off(struct stranger *s, const struct child *c) {
        return actor_timer_set(s->arbiter->actor, &s->timer, time_add(now_usec(), c->spawn->start_usec));
}

void mailbox_socket_main_process(struct child *c) {
        LIST_FOREACH(s, &c->arbiter->strangers, struct stranger, strangers)
                if (!s->link && streq_ptr(s->unit, c->unit_name) && listen_to(s) < 0)
                        stranger_free(s);
}

static int stranger_new(arbiter *a, int fd) {
        struct stranger *s = calloc(1, sizeof(*s));
        struct child *instance;
        int r;

        if (!s) {
                close_fd(fd);
                return -ENOMEM;
        }
        s->arbiter = a;
        s->fd = fd;
        s->pidfd = -EBADF;
        s->timer = ACTOR_TIMER_INIT(on_timer);
        list_append(&a->strangers, &s->strangers);
        a->n_strangers++;
        r = identify(fd, a->old_identity, s);
        if (r >= 0 && !is_awaited(a, s))
                r = turn_away(s);
        if (r >= 0) {
                instance = s->unit ? find_instance(a, s->unit) : NULL;
                r = instance && instance->process.pid <= 0 ? put_off(s, instance) : listen_to(s);
        }
        if (r < 0)
                stranger_free(s);
        return r;
}

void mailbox_socket_retry(arbiter_actor *actor, struct actor_timer *t) {
        arbiter *a = CONTAINER_OF(t, arbiter, accept_timer);

        if (a->mailbox_source)
                (void) sd_event_source_set_enabled(a->mailbox_source, SD_EVENT_ON);
}

static bool is_alike(const struct stranger *a, const struct stranger *b) {
        return a->credentials.uid == b->credentials.uid &&
               (a->unit && b->unit ? streq(a->unit, b->unit) : a->unit == b->unit);
}

/* There are too many: the oldest has had its chance. Of those that are like the newest, if there are any:
 * who floods the socket is in nobody's way but his own. */
static void make_room(arbiter *a) {
        struct stranger *newest = LIST_LAST(&a->strangers, struct stranger, strangers);

        LIST_FOREACH(s, &a->strangers, struct stranger, strangers)
                if (s != newest && is_alike(s, newest)) {
                        stranger_free(s);
                        return;
                }
        stranger_free(LIST_FIRST(&a->strangers, struct stranger, strangers));
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        arbiter *a = userdata;
        int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (connection < 0) {
                if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                        /* No descriptors, no memory: it would be reported again and again. */
                        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
                        (void) actor_timer_set(a->actor, &a->accept_timer, now_usec() + ACCEPT_RETRY_USEC);
                }
                return 0;
        }
        (void) stranger_new(a, connection);
        if (a->n_strangers > STRANGERS_MAX)
                make_room(a);
        return 0;
}

static int make_address(const arbiter *a, struct sockaddr_un *ret) {
        if (!a->runtime_directory)
                return -EOPNOTSUPP;
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        if ((size_t) snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/mailbox", a->runtime_directory) >=
                        sizeof(ret->sun_path))
                return -ENAMETOOLONG;
        return 0;
}

/* Takes fd on success. */
static int watch_socket(arbiter *a, int fd) {
        int r;

        r = sd_event_add_io(a->event, &a->mailbox_source, fd, EPOLLIN, on_accept, a);
        return r < 0 ? r : sd_event_source_set_io_fd_own(a->mailbox_source, true);
}

static int listen_mailbox(arbiter *a) {
        _cleanup_close_ int fd = -EBADF;
        struct sockaddr_un address;
        int r;

        if (a->mailbox_source)
                return 0;
        r = make_address(a, &address);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        (void) unlink(address.sun_path); /* the directory is ours alone */
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
                        chmod(address.sun_path, 0666) < 0 || listen(fd, 64) < 0)
                return negative_errno();
        r = watch_socket(a, fd);
        if (r < 0)
                return r;
        /* Who comes while no arbiter is there waits until one is. */
        (void) arbiter_keep(a, MAILBOX_SOCKET_KEPT, TAKE_FD(fd)); /* the source's */
        return 0;
}

int mailbox_socket_adopt(arbiter *a, int fd) {
        struct sockaddr_un address, bound;
        socklen_t size = sizeof(bound);
        struct stat st;
        int r;

        r = a->mailbox_source ? -EALREADY : make_address(a, &address);
        if (r < 0)
                return r;
        if (getsockname(fd, (struct sockaddr *) &bound, &size) < 0)
                return negative_errno();
        if (size <= offsetof(struct sockaddr_un, sun_path) || bound.sun_family != AF_UNIX ||
                        !memchr(bound.sun_path, 0, sizeof(bound.sun_path)) ||
                        !streq(bound.sun_path, address.sun_path) || stat(address.sun_path, &st) < 0 ||
                        !S_ISSOCK(st.st_mode))
                return -EBADMSG; /* it does not lead here (any more) */
        r = watch_socket(a, fd);
        return r < 0 ? r : 0;
}

void mailbox_socket_done(arbiter *a) {
        struct stranger *s;

        actor_timer_clear(a->actor, &a->accept_timer);
        while ((s = LIST_FIRST(&a->strangers, struct stranger, strangers)))
                stranger_free(s);
        if (a->mailbox_source) {
                char path[sizeof(((struct sockaddr_un *) 0)->sun_path)];

                (void) arbiter_keep(a, MAILBOX_SOCKET_KEPT, -1);
                (void) snprintf(path, sizeof(path), "%s/mailbox", a->runtime_directory);
                (void) unlink(path);
        }
        a->mailbox_source = sd_event_source_disable_unref(a->mailbox_source);
}

static int token_new(char ret[static TOKEN_LENGTH + 1]) {
        uint8_t bytes[TOKEN_LENGTH / 2];

        if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
                return negative_errno();
        for (size_t i = 0; i < sizeof(bytes); i++)
                (void) snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
        return 0;
}

int mailbox_socket_await_instance(struct child *c) {
        return listen_mailbox(c->arbiter);
}

int mailbox_socket_expect(struct child *c, const char *token) {
        int r;

        r = listen_mailbox(c->arbiter);
        if (r < 0)
                return r;
        c->token = strdup(token);
        if (!c->token)
                return -ENOMEM;
        state_commit(c->arbiter);
        return 0;
}

int launch_expected(struct child *c) {
        return mailbox_socket_expect(c, c->spawn->token);
}

_public_ int arbiter_spawn_expect(arbiter_spawn *s, char **ret_token, arbiter_future **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *instance = NULL;
        int r;

        if (!s || !ret_token || s->concurrency != ARBITER_CONCURRENCY_PROCESS)
                return -EINVAL;
        if (s->module || s->module_file || s->exec)
                return -EINVAL; /* what it runs is its own business */
        r = spawn_instance(s, NULL, NULL, &instance);
        if (r < 0)
                return r;
        instance->expected = true;
        r = token_new(instance->token);
        if (r < 0)
                return r;
        *ret_token = strdup(instance->token);
        if (!*ret_token)
                return -ENOMEM;
        r = spawn_start_as(instance, NULL, NULL, true, ret);
        if (r < 0) {
                free(*ret_token);
                *ret_token = NULL;
        }
        return r;
}
