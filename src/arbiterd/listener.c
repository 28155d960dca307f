/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening sockets: ListenStream=, ListenDatagram=. Opened when the first definition that has one is
 * made, inherited by all its workers, kept over reloads so that no connection is refused meanwhile. Must
 * not let two definitions share an address unawares. */

#include "arbiterd/daemon.h"
#include "basic/fd.h"
#include "shared/log.h"

struct listener {
        char *text, *owner; /* the address as written; the name of the actor or monitor */
        int type, fd;
};

static bool actor_has(const struct actor_config *a, const struct listener *l) {
        for (size_t i = 0; a && i < a->n_sockets; i++)
                if (a->sockets[i].type == l->type && streq(a->sockets[i].text, l->text))
                        return true;
        return false;
}

/* Does the configuration still give it to its owner? */
static bool is_wanted(const struct daemon *d, const struct listener *l) {
        const struct monitor_config *m = config_find_monitor(d->config, l->owner);

        return actor_has(m ? &m->actor : config_find_actor(d->config, l->owner), l);
}

static struct listener *find(struct daemon *d, const struct config_socket *s) {
        for (size_t i = 0; i < d->n_listeners; i++)
                if (d->listeners[i].type == s->type && streq(d->listeners[i].text, s->text))
                        return d->listeners + i;
        return NULL;
}

static int open_listener(struct daemon *d, const struct actor_config *a, const struct config_socket *s) {
        struct listener *bigger = reallocarray(d->listeners, d->n_listeners + 1, sizeof(*bigger)),
                        l = { .type = s->type };
        int r;

        if (!bigger)
                return -ENOMEM;
        d->listeners = bigger;
        l.text = strdup(s->text);
        l.owner = strdup(a->name);
        r = l.text && l.owner ? arbiter_listen_socket(s->text, s->type, (int)a->backlog, &l.fd) : -ENOMEM;
        if (r < 0) {
                free(l.text);
                free(l.owner);
                return log_error_errno(r, "%s: cannot listen on %s: %m", a->path, s->text);
        }
        bigger[d->n_listeners++] = l;
        return 0;
}

/* From one definition to another within one reload. */
static int take_over(struct daemon *d, struct listener *l, const struct actor_config *a) {
        char *owner;

        if (streq(l->owner, a->name))
                return 0;
        if (is_wanted(d, l))
                return log_error_errno(-EADDRINUSE, "%s: cannot listen on %s: %s does; use another address",
                                a->path, l->text, l->owner);
        owner = strdup(a->name);
        if (!owner)
                return -ENOMEM;
        free(l->owner);
        l->owner = owner;
        return 0;
}

int listeners_add_to(struct daemon *d, const struct actor_config *a, arbiter_spawn *s) {
        int r;

        for (size_t i = 0; i < a->n_sockets; i++) {
                struct listener *l = find(d, a->sockets + i);

                r = l ? take_over(d, l, a) : open_listener(d, a, a->sockets + i);
                if (r < 0)
                        return r;
                r = arbiter_spawn_add_listen_fd(s, find(d, a->sockets + i)->fd, a->name);
                if (r < 0)
                        return log_error_errno(r, "%s: cannot pass %s on: %m", a->path, a->sockets[i].text);
        }
        return 0;
}

static void close_listener(struct listener *l) {
        if (l->text[0] == '/')
                (void)unlink(l->text);
        close_fd(l->fd);
        free(l->text);
        free(l->owner);
}

void listeners_sweep(struct daemon *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_listeners; i++)
                if (is_wanted(d, d->listeners + i))
                        d->listeners[n++] = d->listeners[i];
                else
                        close_listener(d->listeners + i);
        d->n_listeners = n;
}

void listeners_done(struct daemon *d) {
        for (size_t i = 0; i < d->n_listeners; i++)
                close_listener(d->listeners + i);
        free(d->listeners);
        d->listeners = NULL;
        d->n_listeners = 0;
}
