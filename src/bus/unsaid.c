/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See unsaid.h. Called by signals.c for what changes, and by the drive of a bus's connection when there
 * is room again. Without memory for a note the connection is given up: it comes back under another unique
 * name, and everybody looks again. */

#include <stdio.h>

#include "bus/client.h"
#include "bus/unsaid.h"

enum { RUN_MAX = 64 /* notes a turn */, KEY_SIZE = QUALIFIED_NAME_SIZE + 1 };

struct note {
        struct list_node notes;
        enum unsaid_what what;
        const char *reason;
        int status;
        char key[KEY_SIZE]; /* "a" and the aid, or "m" and the monitor's name */
        char name[QUALIFIED_NAME_SIZE];
};

struct bus_unsaid {
        struct bus_connection *connection;
        map *by_key;
        struct list_node notes;
        bool behind, manager;
};

static uint64_t count_queued(struct bus_connection *c) {
        uint64_t n = 0;

        return sd_bus_get_n_queued_write(c->bus, &n) < 0 ? 0 : n;
}

void bus_unsaid_begin(struct bus_face *f) {
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections)
                if (c->client && bus_client_has_name(c->client) && count_queued(c) >= UNSAID_BEGIN)
                        c->unsaid->behind = true;
}

bool bus_unsaid_is_current(struct bus_unsaid *u) {
        return bus_client_has_name(u->connection->client) && !u->behind;
}

static void note_free(struct bus_unsaid *u, struct note *n) {
        list_remove(&n->notes);
        (void) map_remove_string(u->by_key, n->key);
        free(n);
}

static struct note *note_new(struct bus_unsaid *u, const char *key, const char *name) {
        struct note *n;

        n = calloc(1, sizeof(*n));
        if (!n)
                return NULL;
        (void) snprintf(n->key, sizeof(n->key), "%s", key);
        (void) snprintf(n->name, sizeof(n->name), "%s", name);
        if (map_put_string(u->by_key, n->key, n) < 0) {
                free(n);
                return NULL;
        }
        list_append(&u->notes, &n->notes);
        return n;
}

static void note(struct bus_unsaid *u, char kind, const char *id, const char *name, enum unsaid_what what,
                const char *reason, int status) {
        char key[KEY_SIZE];
        struct note *n;

        (void) snprintf(key, sizeof(key), "%c%s", kind, id);
        n = map_get_string(u->by_key, key);
        if (n && what == UNSAID_CHANGED)
                return; /* it is told as it is by then */
        if (n && n->what == UNSAID_NEW && what == UNSAID_GONE) {
                note_free(u, n);
                return;
        }
        /* A monitor that went and came again under its name has just changed, for whoever knew it. */
        if (n && n->what == UNSAID_GONE)
                what = UNSAID_CHANGED;
        if (!n)
                n = note_new(u, key, name);
        if (!n) {
                bus_connection_doom(u->connection);
                return;
        }
        n->what = what;
        n->reason = reason;
        n->status = status;
}

void bus_unsaid_actor(struct bus_face *f, enum unsaid_what what, const struct actor_view *v,
                arbiter_reason reason, int status) {
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections)
                if (c->client && c->unsaid->behind)
                        note(c->unsaid, 'a', v->aid, v->name, what, arbiter_reason_to_string(reason),
                                        status);
}

void bus_unsaid_monitor(struct bus_face *f, enum unsaid_what what, const char *name) {
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections)
                if (c->client && c->unsaid->behind)
                        note(c->unsaid, 'm', name, name, what, NULL, 0);
}

void bus_unsaid_manager(struct bus_face *f) {
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections)
                if (c->client && c->unsaid->behind)
                        c->unsaid->manager = true;
}

static int emit_manager(struct bus_unsaid *u, const char *member, const char *types, ...) {
        va_list ap;
        int r;

        va_start(ap, types);
        r = sd_bus_emit_signalv(u->connection->bus, BUS_PATH, BUS_INTERFACE_MANAGER, member, types, ap);
        va_end(ap);
        return r;
}

static int emit_object(
                struct bus_unsaid *u, enum unsaid_what what, const char *path, const char *interface) {
        sd_bus *bus = u->connection->bus;

        switch (what) {
        case UNSAID_NEW:
                return sd_bus_emit_interfaces_added(bus, path, interface, NULL);
        case UNSAID_CHANGED: /* NULL: all that emit */
                return sd_bus_emit_properties_changed_strv(bus, path, interface, NULL);
        case UNSAID_GONE:
                return sd_bus_emit_interfaces_removed(bus, path, interface, NULL);
        }
        return -EINVAL;
}

static int say_actor(struct bus_unsaid *u, const struct note *n) {
        const char *id = n->key + 1;
        char path[ACTOR_PATH_SIZE];
        struct actor_view v;
        int r;

        bus_actor_path(id, path);
        r = emit_object(u, n->what, path, BUS_INTERFACE_ACTOR);
        if (r < 0)
                return r;
        if (n->what == UNSAID_GONE)
                return emit_manager(u, "ActorGone", "ssosi", id, n->name, path, n->reason, n->status);
        if (n->what == UNSAID_NEW)
                return emit_manager(u, "ActorNew", "sso", id, n->name, path);
        r = control_get_actor(u->connection->face->arbiter, id, &v);
        if (r < 0)
                return r;
        return emit_manager(u, "ActorStateChanged", "sss", id, n->name, arbiter_state_to_string(v.state));
}

static int say_monitor(struct bus_unsaid *u, const struct note *n) {
        const char *name = n->key + 1;
        _cleanup_free_ char *path = NULL;
        struct monitor_view v;
        int r;

        r = sd_bus_path_encode(BUS_PATH_MONITOR, name, &path);
        if (r < 0)
                return r;
        r = emit_object(u, n->what, path, BUS_INTERFACE_MONITOR);
        if (r < 0)
                return r;
        if (n->what == UNSAID_GONE)
                return emit_manager(u, "MonitorGone", "so", name, path);
        if (n->what == UNSAID_NEW)
                return emit_manager(u, "MonitorNew", "so", name, path);
        r = control_get_monitor(u->connection->face->arbiter, name, &v);
        if (r < 0)
                return r;
        return emit_manager(u, "MonitorChanged", "ssuuu", name, v.state, v.workers, v.running, v.failed);
}

bool bus_unsaid_is_pending(struct bus_unsaid *u) {
        return u->behind && count_queued(u->connection) < QUEUE_PAUSE;
}

/* The name was lost: who finds it again looks for itself. */
static void forget_all(struct bus_unsaid *u) {
        LIST_FOREACH(n, &u->notes, struct note, notes)
                note_free(u, n);
        u->behind = u->manager = false;
}

void bus_unsaid_run(struct bus_unsaid *u) {
        int r = 0;

        if (!bus_client_has_name(u->connection->client))
                forget_all(u);

        for (unsigned i = 0; r >= 0 && i < RUN_MAX && bus_unsaid_is_pending(u); i++) {
                struct note *n = LIST_FIRST(&u->notes, struct note, notes);

                if (!n) {
                        if (u->manager)
                                r = sd_bus_emit_properties_changed_strv(
                                                u->connection->bus, BUS_PATH, BUS_INTERFACE_MANAGER, NULL);
                        u->behind = u->manager = false;
                        break;
                }
                r = n->key[0] == 'a' ? say_actor(u, n) : say_monitor(u, n);
                note_free(u, n);
        }
        if (r < 0)
                bus_connection_doom(u->connection);
}

int bus_unsaid_new(struct bus_connection *c, struct bus_unsaid **ret) {
        _cleanup_(bus_unsaid_freep) struct bus_unsaid *u = NULL;
        int r;

        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        u->connection = c;
        list_init(&u->notes);
        r = map_new(&u->by_key);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(u);
        return 0;
}

struct bus_unsaid *bus_unsaid_free(struct bus_unsaid *u) {
        if (!u)
                return NULL;
        forget_all(u);
        map_free(u->by_key, NULL);
        free(u);
        return NULL;
}
