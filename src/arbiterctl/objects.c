/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the arbiter's tree of objects into structs, and writes them as JSON, both by one table of
 * properties. Called by status, and by the lists when they are to be JSON. Properties that it does not know
 * are skipped, so that a newer arbiterd can be asked. */

#include "arbiterctl/objects.h"
#include "shared/bus-names.h"

/* In the order of the JSON keys. */
struct property {
        const char *name; /* on D-Bus; NULL: made here */
        const char *key;
        char type;
        size_t offset;
        uint64_t unknown; /* of type t: this value means that it is not known, null in JSON; 0: none does */
};

#define ACTOR(name, type, field) \
        { name, #field, type, offsetof(struct actor_object, field), 0 }
static const struct property actor_properties[] = {
        ACTOR("AID", 's', aid),
        ACTOR("Name", 's', name),
        ACTOR("Monitor", 's', monitor),
        ACTOR("Concurrency", 's', concurrency),
        ACTOR("State", 's', state),
        ACTOR("PID", 'u', pid),
        ACTOR(NULL, 't', uptime_usec),
        ACTOR("Restarts", 'u', restarts),
        ACTOR(NULL, 's', path),
        ACTOR("Description", 's', description),
        ACTOR("Program", 's', program),
        ACTOR("Generation", 'u', generation),
        ACTOR("Plain", 'b', plain),
        ACTOR("StartedUsec", 't', started_usec),
        ACTOR("LastNotifiedUsec", 't', last_notified_usec),
        ACTOR("LastReason", 's', last_reason),
        ACTOR("LastStatus", 'i', last_status),
        ACTOR("Status", 's', status),
        ACTOR("Ready", 'b', ready),
        ACTOR("ProbeStatus", 's', probe_status),
        ACTOR("MailboxQueued", 't', mailbox_queued),
        ACTOR("RequestsBegun", 'u', requests_begun),
        ACTOR("RequestsDone", 't', requests_done),
        ACTOR("Draining", 'b', draining),
        { "MemoryBytes", "memory_bytes", 't', offsetof(struct actor_object, memory_bytes), UINT64_MAX },
        { "CPUUsec", "cpu_usec", 't', offsetof(struct actor_object, cpu_usec), UINT64_MAX },
        {},
};

#define MONITOR(name, type, field) \
        { name, #field, type, offsetof(struct monitor_object, field), 0 }
static const struct property monitor_properties[] = {
        MONITOR("Name", 's', name),
        MONITOR("State", 's', state),
        MONITOR("Workers", 'u', workers),
        MONITOR("Running", 'u', running),
        MONITOR("Restarts", 'u', restarts),
        MONITOR(NULL, 's', path),
        MONITOR("AID", 's', aid),
        MONITOR("Description", 's', description),
        MONITOR("Strategy", 's', strategy),
        MONITOR("Parent", 's', parent),
        MONITOR("Failed", 'u', failed),
        MONITOR("Backoff", 'u', backoff),
        MONITOR("Revision", 'u', revision),
        MONITOR("NextAttemptUsec", 't', next_attempt_usec),
        MONITOR("Draining", 'u', draining),
        MONITOR("Load", 't', load),
        MONITOR("Backlog", 'u', backlog),
        MONITOR("WorkersMin", 'u', workers_min),
        MONITOR("WorkersMax", 'u', workers_max),
        MONITOR("RollState", 's', roll_state),
        MONITOR("RollReplaced", 'u', roll_replaced),
        MONITOR("RollLeft", 'u', roll_left),
        MONITOR("RollFailing", 's', roll_failing),
        MONITOR("RollReason", 's', roll_reason),
        MONITOR("RollStatus", 'i', roll_status),
        MONITOR("RollWaiting", 's', roll_waiting),
        MONITOR("RollDeadlineUsec", 't', roll_deadline_usec),
        MONITOR("Breaker", 's', breaker),
        {},
};

static const struct property *find_property(const struct property *table, const char *name) {
        for (const struct property *p = table; p->key; p++)
                if (p->name && streq(p->name, name))
                        return p;
        return NULL;
}

static int read_property(sd_bus_message *m, const struct property *p, void *object) {
        void *field = (char *) object + p->offset;
        int b, r;

        if (p->type != 'b')
                return sd_bus_message_read(m, "v", (char[]){ p->type, 0 }, field);
        r = sd_bus_message_read(m, "v", "b", &b);
        if (r >= 0)
                *(bool *) field = b;
        return r;
}

/* The a{sv} of one interface. */
static int read_properties(sd_bus_message *m, const struct property *table, void *object) {
        const struct property *p;
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r < 0)
                        return r;
                p = find_property(table, name);
                r = p ? read_property(m, p, object) : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Texts that an arbiter left out are "", so that nobody has to ask. */
static void set_texts(const struct property *table, void *object) {
        for (const struct property *p = table; p->key; p++)
                if (p->type == 's')
                        *(const char **) ((char *) object + p->offset) = "";
}

static int add_actor(sd_bus_message *m, const char *path, struct objects *o) {
        struct actor_object *a = grow(o->actors, o->n_actors, sizeof(*a));
        usec_t now = now_usec();
        int r;

        if (!a)
                return -ENOMEM;
        o->actors = a;
        a += o->n_actors;
        *a = (struct actor_object){ .ready = true, .memory_bytes = UINT64_MAX, .cpu_usec = UINT64_MAX };
        set_texts(actor_properties, a);
        r = read_properties(m, actor_properties, a);
        if (r < 0)
                return r;
        a->path = path;
        a->uptime_usec = a->started_usec > 0 && a->started_usec < now ? now - a->started_usec : 0;
        o->n_actors++;
        return 0;
}

static int add_monitor(sd_bus_message *m, const char *path, struct objects *o) {
        struct monitor_object *a = grow(o->monitors, o->n_monitors, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        o->monitors = a;
        a += o->n_monitors;
        *a = (struct monitor_object){};
        set_texts(monitor_properties, a);
        r = read_properties(m, monitor_properties, a);
        if (r < 0)
                return r;
        a->path = path;
        o->n_monitors++;
        return 0;
}

/* The a{sa{sv}} of one object. */
static int read_interfaces(sd_bus_message *m, const char *path, struct objects *o) {
        const char *interface;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &interface);
                if (r < 0)
                        return r;
                if (streq(interface, BUS_INTERFACE_ACTOR))
                        r = add_actor(m, path, o);
                else if (streq(interface, BUS_INTERFACE_MONITOR))
                        r = add_monitor(m, path, o);
                else
                        r = sd_bus_message_skip(m, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(sd_bus_message *m, struct objects *o) {
        const char *path;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_read_basic(m, 'o', &path);
                if (r >= 0)
                        r = read_interfaces(m, path, o);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int compare_actors(const void *a, const void *b) {
        return strverscmp(((const struct actor_object *) a)->name, ((const struct actor_object *) b)->name);
}

static int compare_monitors(const void *a, const void *b) {
        return strverscmp(((const struct monitor_object *) a)->name,
                          ((const struct monitor_object *) b)->name);
}

int objects_take(struct context *c, struct objects *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(c, BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &m);
        if (r != 0)
                return r;
        r = sd_bus_call(c->bus, m, query_timeout(c), &error, &ret->reply);
        if (r < 0)
                return complain_call(&error, r, NULL);
        r = read_objects(ret->reply, ret);
        if (r < 0)
                return complain_reply(r);
        if (ret->n_actors > 0)
                qsort(ret->actors, ret->n_actors, sizeof(*ret->actors), compare_actors);
        if (ret->n_monitors > 0)
                qsort(ret->monitors, ret->n_monitors, sizeof(*ret->monitors), compare_monitors);
        return 0;
}

static const char *monitor_of(const struct objects *o, const char *name) {
        size_t n = strcspn(name, ".");

        for (size_t i = 0; name[n] && i < o->n_monitors; i++)
                if (strlen(o->monitors[i].name) == n && startswith(name, o->monitors[i].name))
                        return o->monitors[i].name;
        return "";
}

static bool is_known(const struct objects *o, size_t n_actors, const char *name) {
        struct actor_object key = { .name = name };

        for (size_t i = 0; i < o->n_monitors; i++)
                if (streq(o->monitors[i].name, name))
                        return true;
        return n_actors > 0 && bsearch(&key, o->actors, n_actors, sizeof(key), compare_actors);
}

int objects_add_waiting(struct objects *o, const struct waiting *w) {
        size_t n = o->n_actors;

        for (size_t i = 0; i < w->n_rows; i++) {
                const struct waiting_row *row = w->rows + i;
                struct actor_object *a;

                if (is_known(o, n, row->name))
                        continue;
                a = grow(o->actors, o->n_actors, sizeof(*a));
                if (!a)
                        return out_of_memory();
                o->actors = a;
                a += o->n_actors++;
                *a = (struct actor_object){
                        .empty = true,
                        .last_status = row->last_status,
                        .memory_bytes = UINT64_MAX,
                        .cpu_usec = UINT64_MAX,
                };
                set_texts(actor_properties, a);
                a->name = row->name;
                a->monitor = monitor_of(o, row->name);
                a->state = row->state;
                a->last_reason = row->last_reason;
                a->status = row->text;
        }
        if (o->n_actors > n)
                qsort(o->actors, o->n_actors, sizeof(*o->actors), compare_actors);
        return 0;
}

void objects_done(struct objects *o) {
        free(o->actors);
        free(o->monitors);
        sd_bus_message_unref(o->reply);
        *o = (struct objects){};
}

int objects_to_snapshot(const struct objects *o, struct snapshot *ret) {
        ret->actors = calloc(o->n_actors + 1, sizeof(*ret->actors));
        ret->monitors = calloc(o->n_monitors + 1, sizeof(*ret->monitors));
        if (!ret->actors || !ret->monitors)
                return out_of_memory();
        for (size_t i = 0; i < o->n_actors; i++) {
                const struct actor_object *a = o->actors + i;

                ret->actors[i] = (struct actor_row){ a->aid,   a->name, a->monitor,     a->concurrency,
                                                     a->state, a->pid,  a->uptime_usec, a->path };
        }
        for (size_t i = 0; i < o->n_monitors; i++) {
                const struct monitor_object *m = o->monitors + i;

                ret->monitors[i] = (struct monitor_row){ m->name,   m->state,    m->workers, m->running,
                                                         m->failed, m->restarts, m->path };
        }
        ret->n_actors = o->n_actors;
        ret->n_monitors = o->n_monitors;
        return 0;
}

static void object_to_json(const struct property *table, const void *object, const char *kind,
                           struct json *j) {
        json_open(j, '{');
        if (kind)
                json_key_string(j, "kind", kind);
        for (const struct property *p = table; p->key; p++) {
                const void *field = (const char *) object + p->offset;

                json_key(j, p->key);
                if (p->type == 's')
                        json_string(j, *(const char *const *) field);
                else if (p->type == 'b')
                        json_bool(j, *(const bool *) field);
                else if (p->type == 'i')
                        json_i64(j, *(const int32_t *) field);
                else if (p->type == 'u')
                        json_u64(j, *(const uint32_t *) field);
                else if (p->unknown != 0 && *(const uint64_t *) field == p->unknown)
                        json_null(j);
                else
                        json_u64(j, *(const uint64_t *) field);
        }
        json_close(j, '}');
}

void actor_to_json(const struct actor_object *a, const char *kind, struct json *j) {
        object_to_json(actor_properties, a, kind && a->empty ? "slot" : kind, j);
}

void monitor_to_json(const struct monitor_object *m, const char *kind, struct json *j) {
        object_to_json(monitor_properties, m, kind, j);
}
