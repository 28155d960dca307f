/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening sockets of actors: opened once, inherited by all lives of their workers, kept over reloads so
 * that no connection is refused meanwhile. Called by definition.c, reload.c and service.c. Must not let two
 * definitions share an address unawares. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arbiterd/daemon.h"
#include "arbiterd/generation.h"
#include "arbiterd/keeper.h"
#include "arbiterd/listen-error.h"
#include "arbiterd/listener.h"
#include "arbiterd/takeover.h"
#include "basic/fd.h"
#include "basic/listen-group.h"
#include "basic/parse.h"
#include "basic/siphash.h"
#include "shared/log.h"

#define KEPT_PREFIX "l."
#define KEPT_NOTE_PREFIX "l.n."
#define KEPT_PREFIX_SIZE 32
#define KEPT_NAME_SIZE 64

struct listener {
        char *text, *owner; /* the address as written; the name of the actor or monitor */
        struct listen_address address;
        bool reuse_port, free_bind;
        int ipv6;
        char device[16]; /* IFNAMSIZ */
        unsigned slot;   /* of the worker that it is for; 0: of all, or of a lone actor */
        uint64_t begun;  /* when that one was started, in the order of all such starts */
        int fd; /* of a socket that another worker's may be of, too: see share_leaving() */
        bool taken;   /* over, from the arbiter before us */
        bool renewed; /* what its workers have is another one */
};

struct passed_socket {
        char *name;
        int fd;
        bool wanted, noted; /* noted: that it is in non-blocking mode */
};

/* Does each worker have its own? */
static bool is_own(const struct actor_config *a, const struct config_socket *s) {
        return a->listen.reuse_port && !s->passed && listen_address_is_internet(&s->address);
}

static bool is_bound_as(const struct listener *l, const struct listen_options *o) {
        return !listen_address_is_internet(&l->address) ||
               (l->reuse_port == o->reuse_port && l->free_bind == o->free_bind && l->ipv6 == o->ipv6 &&
                streq(l->device, o->device ? o->device : ""));
}

static bool has(const struct actor_config *a, const struct listener *l) {
        for (size_t i = 0; a && i < a->n_sockets; i++)
                if (!a->sockets[i].passed && listen_address_equal(&a->sockets[i].address, &l->address))
                        return is_bound_as(l, &a->listen);
        return false;
}

static const struct actor_config *find_config(const struct daemon *d, const char *name) {
        const struct monitor_config *m = config_find_monitor(d->config, name);

        return m ? &m->actor : config_find_actor(d->config, name);
}

/* A pool that is rolled may turn back to the definition before. */
static bool had(const struct daemon *d, const struct listener *l) {
        const struct monitor_config *m;

        for (size_t i = 0; (m = generation_get(d, i)); i++)
                if (streq(m->name, l->owner) && has(&m->actor, l))
                        return true;
        return false;
}

/* Does the configuration still give it to its owner? */
static bool is_owned(const struct daemon *d, const struct listener *l) {
        return has(find_config(d, l->owner), l) || had(d, l);
}

/* Does it give it to anybody? */
static bool is_wanted(const struct daemon *d, const struct listener *l) {
        if (is_owned(d, l))
                return true;
        for (size_t i = 0; i < d->config->n_monitors; i++)
                if (has(&d->config->monitors[i]->actor, l))
                        return true;
        for (size_t i = 0; i < d->config->n_actors; i++)
                if (has(d->config->actors[i], l))
                        return true;
        return false;
}

static struct listener *find(struct daemon *d, const struct actor_config *a, const struct config_socket *s,
                             unsigned slot) {
        for (size_t i = 0; i < d->n_listeners; i++) {
                struct listener *l = d->listeners + i;

                if (listen_address_equal(&l->address, &s->address) && is_bound_as(l, &a->listen) &&
                    l->slot == (is_own(a, s) ? slot : 0))
                        return l;
        }
        return NULL;
}

/* What is kept for the next arbiter has a name that says what it is, whatever a definition is called, and
 * wherever it stands in it: "l.HASH.SLOT". */

static void kept_prefix(const struct listener *l, char ret[static KEPT_PREFIX_SIZE]) {
        static const struct siphash_key key = { UINT64_C(0x617262697465722d), UINT64_C(0x6c697374656e6572) };
        struct {
                int type, ipv6;
                bool reuse_port, free_bind;
                char device[16];
                unsigned char address[sizeof(l->address.u)];
        } x;

        memset(&x, 0, sizeof(x)); /* what is between them, too */
        x.type = l->address.type;
        if (listen_address_is_internet(&l->address)) {
                x.ipv6 = l->ipv6;
                x.reuse_port = l->reuse_port;
                x.free_bind = l->free_bind;
                memcpy(x.device, l->device, sizeof(x.device));
        }
        memcpy(x.address, &l->address.u, l->address.size);
        (void) snprintf(ret, KEPT_PREFIX_SIZE, KEPT_PREFIX "%016" PRIx64 ".",
                        siphash24(&x, sizeof(x), &key));
}

static void keep(struct daemon *d, const struct listener *l, int fd) {
        char prefix[KEPT_PREFIX_SIZE], name[KEPT_NAME_SIZE];

        kept_prefix(l, prefix);
        (void) snprintf(name, sizeof(name), "%s%u", prefix, l->slot);
        takeover_keep(d, name, fd);
}

static void close_listener(struct daemon *d, struct listener *l, bool remove) {
        if (l->fd >= 0)
                keep(d, l, -1);
        if (remove)
                listen_remove(&l->address);
        close_fd(l->fd);
        free(l->text);
        free(l->owner);
}

/* Takes l over, whatever comes of it. */
static int append(struct daemon *d, struct listener *l, struct listener **ret) {
        struct listener *bigger = reallocarray(d->listeners, d->n_listeners + 1, sizeof(*bigger));

        if (!bigger || !l->text || !l->owner) {
                close_listener(d, l, false);
                return -ENOMEM;
        }
        d->listeners = bigger;
        bigger[d->n_listeners] = *l;
        *ret = bigger + d->n_listeners++;
        return 0;
}

static struct listener describe(const struct actor_config *a, const struct config_socket *s, unsigned slot) {
        struct listener l = {
                .address = s->address,
                .reuse_port = a->listen.reuse_port,
                .free_bind = a->listen.free_bind,
                .ipv6 = a->listen.ipv6,
                .slot = slot,
                .fd = -EBADF,
                .text = strdup(s->text),
                .owner = strdup(a->name),
        };

        (void) snprintf(l.device, sizeof(l.device), "%s", a->listen.device ? a->listen.device : "");
        return l;
}

/* Do these two get the connections to one port in turn? */
static bool is_of_group(const struct listener *a, const struct listener *b) {
        return a->slot > 0 && b->slot > 0 && a->slot != b->slot && a->address.type == SOCK_STREAM &&
               listen_address_equal(&a->address, &b->address) && a->ipv6 == b->ipv6 &&
               streq(a->device, b->device);
}

/* Said once, by the first: a worker may have given the group a program of its own since. */
static void found_group(const struct daemon *d, const struct listener *l) {
        int r;

        if (l->slot == 0 || l->address.type != SOCK_STREAM)
                return;
        for (size_t i = 0; i < d->n_listeners; i++)
                if (is_of_group(d->listeners + i, l))
                        return;
        r = listen_group_migrate(l->fd);
        if (r < 0)
                log_debug_errno(r, "What waits at a socket of %s is lost when that is closed: %m", l->text);
}

static int open_listener(struct daemon *d, const struct actor_config *a, const struct config_socket *s,
                         unsigned slot, struct listener **ret) {
        struct listener l = describe(a, s, is_own(a, s) ? slot : 0);
        int r;

        r = listen_open(&s->address, &a->listen, &l.fd);
        if (r < 0) {
                close_listener(d, &l, false);
                return r;
        }
        found_group(d, &l);
        keep(d, &l, l.fd);
        return append(d, &l, ret);
}

/* Of an arbiter before us. A path that leads elsewhere by now is bound anew. */
static int take_over_kept(struct daemon *d, const struct actor_config *a, const struct config_socket *s,
                          unsigned slot, const char *name) {
        struct listener l = describe(a, s, slot), *taken;
        int r;

        l.taken = true;
        l.fd = takeover_get(d, name);
        r = l.fd < 0 ? l.fd : listen_verify(l.fd, &s->address, &a->listen);
        if (r >= 0)
                return append(d, &l, &taken);
        log_warning("%s: what was listened to on %s %s; it is opened anew", a->path, s->text,
                    r == -ESTALE ? "is not to be found there any more" : "has become something else");
        l.fd = close_fd(l.fd);
        l.renewed = true;
        r = listen_open(&s->address, &a->listen, &l.fd);
        if (r < 0) {
                close_listener(d, &l, false);
                return r;
        }
        keep(d, &l, l.fd);
        return append(d, &l, &taken);
}

/* With ReusePort= those of all workers, whether they are to be started or go on. */
static int take_kept(struct daemon *d, const struct actor_config *a, const struct config_socket *s) {
        char prefix[KEPT_PREFIX_SIZE];
        struct listener wanted;
        void *position = NULL;
        const char *name;
        uint64_t slot;
        int r = 0;

        if (!d->keeper || d->listeners_settled)
                return 0;
        wanted = describe(a, s, 0);
        kept_prefix(&wanted, prefix);
        close_listener(d, &wanted, false);
        while (r >= 0 && (name = keeper_next(d->keeper, &position)))
                if (startswith(name, prefix) &&
                    parse_u64_range(name + strlen(prefix), 0, CONFIG_SLOTS_MAX, &slot) >= 0 &&
                    !find(d, a, s, (unsigned) slot))
                        r = take_over_kept(d, a, s, (unsigned) slot, name);
        return r;
}

/* From one definition to another within one reload. */
static int take_over(struct daemon *d, struct listener *l, const struct actor_config *a) {
        char *owner;
        int r;

        if (!streq(l->owner, a->name)) {
                if (is_owned(d, l))
                        return daemon_refuse(d, -EADDRINUSE,
                                               "%s: cannot listen on %s: %s does; use another address",
                                               a->path, l->text, l->owner);
                owner = strdup(a->name);
                if (!owner)
                        return -ENOMEM;
                free(l->owner);
                l->owner = owner;
        }
        r = listen_adjust(l->fd, &l->address, &a->listen);
        if (r < 0)
                log_warning_errno(r, "%s: the settings of %s cannot be changed: %m", a->path, l->text);
        return 0;
}

static bool is_same_socket(const struct listener *x, const struct listener *y) {
        struct stat a, b;

        return fstat(x->fd, &a) >= 0 && fstat(y->fd, &b) >= 0 && a.st_dev == b.st_dev &&
               a.st_ino == b.st_ino;
}

static bool is_shared(const struct daemon *d, const struct listener *l) {
        for (size_t i = 0; i < d->n_listeners; i++)
                if (d->listeners + i != l && listen_address_equal(&d->listeners[i].address, &l->address) &&
                    is_same_socket(d->listeners + i, l))
                        return true;
        return false;
}

/* What waits there goes to the others. */
static void leave_group(const struct daemon *d, const struct listener *l) {
        bool left = false;

        if (is_shared(d, l))
                return; /* it is another's, too */
        for (size_t i = 0; i < d->n_listeners; i++)
                if (is_of_group(d->listeners + i, l)) {
                        if (!left)
                                listen_group_leave(l->fd);
                        left = true;
                        listen_group_wake(d->listeners[i].fd);
                }
}

/* Who leaves next when a roll makes a surplus worker: the oldest that nobody stands in for yet. */
static const struct listener *find_leaving(struct daemon *d, const struct actor_config *a,
                                           const struct config_socket *s) {
        arbiter_monitor *m = arbiter_find_monitor(d->arbiter, a->name);
        const struct listener *oldest = NULL;

        for (size_t i = 0; m && i < d->n_listeners; i++) {
                const struct listener *l = d->listeners + i;

                if (l->slot > 0 && streq(l->owner, a->name) && is_bound_as(l, &a->listen) &&
                    listen_address_equal(&l->address, &s->address) &&
                    (!oldest || l->begun < oldest->begun) &&
                    arbiter_monitor_is_outdated(m, l->slot) > 0 && !is_shared(d, l))
                        oldest = l;
        }
        return oldest;
}

/* With a surge a worker's place goes when it is replaced, and what waits at its socket would go with it.
 * So the new one, in a place of its own, is given the same socket: both serve it until one leaves.
 * -ENOENT: nobody leaves. */
static int share_leaving(struct daemon *d, const struct actor_config *a, const struct config_socket *s,
                         unsigned slot, struct listener **ret) {
        const struct listener *leaving = find_leaving(d, a, s);
        struct listener l;
        int r;

        if (!leaving)
                return -ENOENT;
        l = describe(a, s, slot);
        l.fd = r = fd_duplicate(leaving->fd);
        if (r < 0) {
                close_listener(d, &l, false);
                return r;
        }
        keep(d, &l, l.fd);
        r = append(d, &l, ret);
        return r < 0 ? r : take_over(d, *ret, a);
}

static in_port_t port_of(const struct listen_address *a) {
        return !listen_address_is_internet(a) ? 0
               : a->u.sa.sa_family == AF_INET ? a->u.in.sin_port
                                              : a->u.in6.sin6_port;
}

static bool is_of_all(const struct listen_address *a) {
        return a->u.sa.sa_family == AF_INET ? a->u.in.sin_addr.s_addr == htonl(INADDR_ANY)
                                            : IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
}

/* Ours: the kernel says only that somebody is. */
static const struct listener *find_in_the_way(const struct daemon *d, const struct config_socket *s) {
        in_port_t port = port_of(&s->address);

        for (size_t i = 0; port > 0 && i < d->n_listeners; i++)
                if (d->listeners[i].address.type == s->address.type &&
                    port_of(&d->listeners[i].address) == port &&
                    (is_of_all(&s->address) || is_of_all(&d->listeners[i].address) ||
                     listen_address_equal(&s->address, &d->listeners[i].address)))
                        return d->listeners + i;
        return NULL;
}

static int refuse(struct daemon *d, const struct actor_config *a, const struct config_socket *s, int error) {
        const struct listener *other = error == -EADDRINUSE ? find_in_the_way(d, s) : NULL;
        char text[LISTEN_ERROR_SIZE];

        if (other)
                return daemon_refuse(d, error,
                                       "%s: cannot listen on %s: it is in use by %s, which listens on %s; "
                                       "use another port",
                                       a->path, s->text, other->owner, other->text);
        listen_error_explain(a, s, error, text);
        return daemon_refuse(d, error, "%s: cannot listen on %s: %s%s", a->path, s->text, strerror(-error),
                               text);
}

/* Found or opened; told. */
static int get(struct daemon *d, const struct actor_config *a, const struct config_socket *s, unsigned slot,
               struct listener **ret) {
        struct listener *l = NULL;
        int r;

        r = take_kept(d, a, s);
        if (r < 0)
                return refuse(d, a, s, r);
        l = find(d, a, s, slot);
        r = l ? take_over(d, l, a) : is_own(a, s) ? share_leaving(d, a, s, slot, &l) : -ENOENT;
        if (r == -ENOENT)
                r = open_listener(d, a, s, slot, &l);
        if (r < 0)
                return l ? r : refuse(d, a, s, r);
        *ret = l;
        return 0;
}

static int add_passed(struct daemon *d, const struct actor_config *a, const char *name, arbiter_spawn *s) {
        bool found = false;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < d->n_passed; i++)
                if (streq(d->passed[i].name, name)) {
                        found = d->passed[i].wanted = true;
                        r = a->listen.non_blocking ? fd_set_nonblock(d->passed[i].fd, true) : 0;
                        if (r >= 0 && s)
                                r = arbiter_spawn_add_listen_fd(s, d->passed[i].fd, name);
                }
        if (found || r < 0)
                return r;
        return daemon_refuse(
                d, -ENOENT,
                "%s: systemd has passed no socket with the name %s. Write Service=arbiter.service (or "
                "this instance's) into its socket unit, and FileDescriptorName=%s unless that is the "
                "unit's own name; then stop the arbiter, start the socket, and start the arbiter",
                a->path, name, name);
}

/* Of FileDescriptorName=, that of the n-th socket which is ours. */
static int name_of(const struct actor_config *a, size_t n, char **ret) {
        const char *name = a->fd_name ? a->fd_name : listen_fd_name_is_valid(a->name) ? a->name : "unknown";

        for (; n > 0 && strchr(name, ':'); n--)
                name = strchr(name, ':') + 1;
        *ret = strndup(name, strcspn(name, ":"));
        return *ret ? 0 : -ENOMEM;
}

/* Does a worker of it have one already? Then the address is good; and one in the place of a worker that
 * there is not would only have connections that nobody answers. */
static bool is_open(struct daemon *d, const struct actor_config *a, const struct config_socket *s) {
        (void) take_kept(d, a, s); /* what is wrong with them shows when one is to be had */
        for (size_t i = 0; i < d->n_listeners; i++)
                if (d->listeners[i].slot > 0 && streq(d->listeners[i].owner, a->name) &&
                    listen_address_equal(&d->listeners[i].address, &s->address) &&
                    is_bound_as(d->listeners + i, &a->listen))
                        return true;
        return false;
}

/* Whoever connects would wait for somebody who does not come. */
static void close_from(struct daemon *d, size_t first) {
        for (size_t i = d->n_listeners; i-- > first;)
                if (!d->listeners[i].taken) { /* else their workers may live */
                        leave_group(d, d->listeners + i);
                        close_listener(d, d->listeners + i, true);
                        d->listeners[i] = d->listeners[--d->n_listeners];
                }
}

/* All of a definition, in the order written, or none. s NULL: they are only opened. */
static int add_all(struct daemon *d, const struct actor_config *a, unsigned slot, arbiter_spawn *s) {
        size_t n = 0, before = d->n_listeners;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < a->n_sockets; i++) {
                const struct config_socket *x = a->sockets + i;
                _cleanup_free_ char *name = NULL;
                struct listener *l = NULL;

                if (x->passed) {
                        r = add_passed(d, a, x->text, s);
                        continue;
                }
                if (!s && is_open(d, a, x))
                        continue;
                r = name_of(a, n++, &name);
                if (r >= 0)
                        r = get(d, a, x, slot, &l);
                if (r >= 0 && s)
                        r = arbiter_spawn_add_listen_fd(s, l->fd, name);
                if (r >= 0 && s && l->slot > 0)
                        l->begun = ++d->listeners_begun;
        }
        if (r < 0)
                close_from(d, before);
        return r;
}

/* With ReusePort= it is before each start that a worker gets its sockets. Those of the first are opened now:
 * what is wrong with the address shows at once. */
int listeners_add_to(struct daemon *d, const struct actor_config *a, arbiter_spawn *s) {
        const struct monitor_config *m = config_find_monitor(d->config, a->name);

        return add_all(d, a, m ? 1 : 0, a->listen.reuse_port ? NULL : s);
}

int listeners_prepare(struct daemon *d, const struct actor_config *a, unsigned slot, arbiter_spawn *s,
                      char **ret_text) {
        int r;

        if (!a->listen.reuse_port)
                return 0;
        r = add_all(d, a, slot, s);
        if (r < 0 && asprintf(ret_text, "its sockets cannot be had: %s", strerror(-r)) < 0)
                *ret_text = NULL;
        return r;
}

bool listeners_rebind(const struct actor_config *a, const struct actor_config *b) {
        const struct listen_options *x = &a->listen, *y = &b->listen;

        return x->reuse_port != y->reuse_port || x->free_bind != y->free_bind || x->ipv6 != y->ipv6 ||
               !streq(x->device ? x->device : "", y->device ? y->device : "");
}

/* systemd puts what it passes into blocking mode each time, although the workers of an arbiter before us
 * have it open, too, and may have made it non-blocking: they would hang in accept(). So that is kept in
 * mind, as a descriptor under a name that is a hash of the socket's. */

static void note_name(const struct passed_socket *p, char ret[static KEPT_NAME_SIZE]) {
        static const struct siphash_key key = { UINT64_C(0x617262697465722d), UINT64_C(0x6e6f6e626c6f636b) };

        (void) snprintf(ret, KEPT_NAME_SIZE, KEPT_NOTE_PREFIX "%016" PRIx64,
                        siphash24(p->name, strlen(p->name), &key));
}

void listeners_note(struct daemon *d) {
        char name[KEPT_NAME_SIZE];

        for (size_t i = 0; d->keeper && i < d->n_passed; i++) {
                struct passed_socket *p = d->passed + i;
                int flags = p->noted ? 0 : fcntl(p->fd, F_GETFL);

                if (flags < 0 || !(flags & O_NONBLOCK))
                        continue;
                note_name(p, name);
                takeover_keep(d, name, p->fd);
                p->noted = true;
        }
}

void listeners_recall(struct daemon *d) {
        char name[KEPT_NAME_SIZE];

        for (size_t i = 0; d->keeper && i < d->n_passed; i++) {
                _cleanup_close_ int fd = -EBADF;

                note_name(d->passed + i, name);
                fd = takeover_get(d, name);
                d->passed[i].noted = fd >= 0 && fd_set_nonblock(d->passed[i].fd, true) >= 0;
        }
}

static bool is_of_place(const struct listener *l, const arbiter_log_entry *e) {
        return l->slot > 0 && l->slot == e->n && streq(l->owner, e->monitor);
}

void listeners_log_entry(struct daemon *d, const arbiter_log_entry *e) {
        size_t n = 0;

        listeners_note(d);
        if (!e->event || !streq(e->event, "removed") || !e->monitor)
                return;
        for (size_t i = 0; i < d->n_listeners; i++)
                if (is_of_place(d->listeners + i, e))
                        leave_group(d, d->listeners + i);
        for (size_t i = 0; i < d->n_listeners; i++)
                if (is_of_place(d->listeners + i, e))
                        close_listener(d, d->listeners + i, false);
                else
                        d->listeners[n++] = d->listeners[i];
        d->n_listeners = n;
}

void listeners_sweep(struct daemon *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_listeners; i++)
                if (is_wanted(d, d->listeners + i))
                        d->listeners[n++] = d->listeners[i];
                else
                        close_listener(d, d->listeners + i, true);
        d->n_listeners = n;
}

static bool is_had(const struct daemon *d, const char *name) {
        char prefix[KEPT_PREFIX_SIZE], note[KEPT_NAME_SIZE];
        uint64_t slot;

        for (size_t i = 0; i < d->n_passed; i++) {
                note_name(d->passed + i, note);
                if (d->passed[i].noted && streq(name, note))
                        return true;
        }
        for (size_t i = 0; i < d->n_listeners; i++) {
                const struct listener *l = d->listeners + i;

                kept_prefix(l, prefix);
                if (startswith(name, prefix) && parse_u64(name + strlen(prefix), &slot) >= 0 &&
                    slot == l->slot)
                        return true;
        }
        return false;
}

/* What nobody has any more, with its path. */
static void close_kept(struct daemon *d, const char *name) {
        _cleanup_close_ int fd = takeover_get(d, name);

        if (fd >= 0)
                listen_remove_of(fd);
        takeover_keep(d, name, -1);
}

/* Its workers go on serving what nobody finds any more: they are replaced, one after the other. */
static void replace_workers(struct daemon *d, const char *owner) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        const struct monitor_config *m = config_find_monitor(d->config, owner);
        arbiter_monitor *monitor = arbiter_find_monitor(d->arbiter, owner);
        int r;

        if (!m || !monitor) {
                log_warning("%s has its old socket until it is restarted", owner);
                return;
        }
        r = definition_new_worker(d, m, &s);
        if (r >= 0)
                r = arbiter_monitor_restart(monitor, s, NULL);
        if (r < 0)
                log_warning_errno(r, "%s has its old sockets until it is restarted: %m", owner);
}

static void complain(struct daemon *d) {
        for (size_t i = 0; i < d->n_passed; i++)
                if (!d->passed[i].wanted)
                        log_warning("systemd has passed a socket with the name %s, which no actor has: who "
                                    "connects to it waits until one is loaded that has Sockets=%s",
                                    d->passed[i].name, d->passed[i].name);
}

/* Of a worker that an arbiter before us had. */
static bool is_left_over(const struct daemon *d, const struct listener *l) {
        arbiter_monitor *m = arbiter_find_monitor(d->arbiter, l->owner);

        return l->taken && l->slot > 0 && !(m && arbiter_monitor_has_worker(m, l->slot) > 0);
}

void listeners_settle(struct daemon *d) {
        void *position = NULL;
        const char *name;
        size_t n = 0;

        complain(d);
        d->listeners_settled = true;
        if (!d->keeper)
                return;
        for (size_t i = 0; i < d->n_listeners; i++)
                if (is_left_over(d, d->listeners + i))
                        leave_group(d, d->listeners + i);
        for (size_t i = 0; i < d->n_listeners; i++)
                if (is_left_over(d, d->listeners + i))
                        close_listener(d, d->listeners + i, false);
                else
                        d->listeners[n++] = d->listeners[i];
        d->n_listeners = n;
        while ((name = keeper_next(d->keeper, &position)))
                if (startswith(name, KEPT_NOTE_PREFIX) && !is_had(d, name))
                        takeover_keep(d, name, -1);
                else if (startswith(name, KEPT_PREFIX) && !is_had(d, name))
                        close_kept(d, name);
        for (size_t i = 0; i < d->n_listeners; i++)
                if (d->listeners[i].renewed) {
                        d->listeners[i].renewed = false;
                        replace_workers(d, d->listeners[i].owner);
                }
}

int listeners_pass(struct daemon *d, const char *name, int fd) {
        struct passed_socket *bigger = reallocarray(d->passed, d->n_passed + 1, sizeof(*bigger));

        if (!bigger)
                return -ENOMEM;
        d->passed = bigger;
        bigger[d->n_passed] = (struct passed_socket){ .name = strdup(name), .fd = fd };
        return bigger[d->n_passed].name ? (d->n_passed++, 0) : -ENOMEM;
}

void listeners_done(struct daemon *d) {
        for (size_t i = 0; i < d->n_listeners; i++)
                close_listener(d, d->listeners + i, true);
        for (size_t i = 0; i < d->n_passed; i++) {
                close_fd(d->passed[i].fd);
                free(d->passed[i].name);
        }
        free(d->listeners);
        free(d->passed);
        d->listeners = NULL;
        d->passed = NULL;
        d->n_listeners = d->n_passed = 0;
}
