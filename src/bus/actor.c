/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interface io.arbiter.Arbiter1.Actor: actors as objects. Called by sd-bus. Methods parse and hand over to
 * verbs.c; nothing is kept for an actor here. */

#include "bus/client.h"
#include "bus/vtables.h"

static int fill_object(struct bus_connection *c, const char *id, struct actor_object **ret) {
        const struct actor_view *current = c->face->current_actor;
        struct actor_object *o = &c->actor;
        const char *reason;
        int r;

        if (current && streq(current->aid, id))
                o->view = *current;
        else {
                r = control_get_actor(c->face->arbiter, id, &o->view);
                if (r < 0)
                        return r == -ESRCH ? 0 : r;
                if (!streq(o->view.aid, id)) /* a name, which has no object of its own */
                        return 0;
        }
        reason = o->view.restarts > 0 ? arbiter_reason_to_string(o->view.last_reason) : NULL;
        o->connection = c;
        o->concurrency = arbiter_concurrency_to_string(o->view.concurrency);
        o->state = arbiter_state_to_string(o->view.state);
        o->last_reason = reason ?: "";
        o->description = bus_text(o->view.description, o->text[0]);
        o->program = bus_text(o->view.program, o->text[1]);
        o->status = bus_text(o->view.status, o->text[2]);
        o->pid = (uint32_t) o->view.pid;
        o->plain = o->view.plain;
        o->ready = o->view.ready;
        o->draining = o->view.draining;
        *ret = o;
        return 1;
}

int bus_actor_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                sd_bus_error *error) {
        _cleanup_free_ char *id = NULL;
        struct actor_object *o;
        int r;

        r = sd_bus_path_decode(path, BUS_PATH_ACTOR, &id);
        if (r <= 0)
                return r;
        r = fill_object(userdata, id, &o);
        if (r > 0)
                *ret = o;
        return r;
}

int bus_actor_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        _cleanup_free_ struct actor_view *views = NULL;
        char **paths;
        size_t n;
        int r;

        r = control_list_actors(c->face->arbiter, &views, &n);
        if (r < 0)
                return r;
        paths = calloc(n + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                char path[ACTOR_PATH_SIZE];

                bus_actor_path(views[i].aid, path);
                paths[i] = strdup(path);
                if (!paths[i])
                        goto fail;
        }
        *ret = paths;
        return 0;

fail:
        for (size_t i = 0; i < n; i++)
                free(paths[i]);
        free(paths);
        return -ENOMEM;
}

static int method_ping(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct actor_object *o = userdata;

        return bus_verb_ping(o->connection, m, o->view.aid, error);
}

static int method_send(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct actor_object *o = userdata;
        const char *command;
        int r;

        r = sd_bus_message_read(m, "s", &command);
        if (r < 0)
                return r;
        return bus_verb_send(o->connection, m, o->view.aid, command, error);
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct actor_object *o = userdata;

        return bus_verb_stop(o->connection, m, o->view.aid, error);
}

static int method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct actor_object *o = userdata;
        int32_t signo;
        int r;

        r = sd_bus_message_read(m, "i", &signo);
        if (r < 0)
                return r;
        return bus_verb_kill(o->connection, m, o->view.aid, signo, error);
}

static int method_restart(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct actor_object *o = userdata;

        return bus_verb_restart(o->connection, m, o->view.aid, error);
}

/* MemoryBytes, CPUUsec: not with the object, which is looked up for each call. */
static int get_usage(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct actor_object *o = userdata;
        struct actor_usage u;

        control_get_usage(o->connection->face->arbiter, o->view.aid, &u);
        return sd_bus_message_append(
                        reply, "t", streq(property, "MemoryBytes") ? u.memory_bytes : u.cpu_usec);
}

/* On the system bus everybody may read. What a program has printed is left out there: it is for those who
 * may read its log, and they have the private socket. */
static size_t read_probes(const struct actor_object *o, struct probe_view v[static PROBE_VIEWS_MAX]) {
        const struct bus_connection *c = o->connection;
        size_t n = control_get_probes(c->face->arbiter, o->view.aid, v);

        for (size_t i = 0; i < n; i++)
                if (c->client && c->client->kind == ARBITER_BUS_SYSTEM)
                        v[i].text = v[i].fact;
        return n;
}

/* Probes: what is asked, and what came of it. */
static int get_probes(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct actor_object *o = userdata;
        struct probe_view v[PROBE_VIEWS_MAX];
        size_t n = read_probes(o, v);
        char how[TEXT_SIZE], text[TEXT_SIZE];
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sssttts)");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(reply, "(sssttts)", v[i].kind, bus_text(v[i].how, how),
                                v[i].verdict, v[i].n_good, v[i].n_bad, (uint64_t) v[i].last_usec,
                                bus_text(v[i].text, text));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_probe_status(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct actor_object *o = userdata;
        struct probe_view v[PROBE_VIEWS_MAX];
        size_t n = read_probes(o, v);
        char line[PROBE_VIEWS_MAX * TEXT_SIZE], text[TEXT_SIZE];

        control_format_probes(v, n, line, sizeof(line));
        return sd_bus_message_append(reply, "s", bus_text(line, text));
}

#define PROPERTY(name, signature, field, flags) \
        SD_BUS_PROPERTY(name, signature, NULL, offsetof(struct actor_object, field), flags)

const sd_bus_vtable bus_actor_vtable[] = {
        SD_BUS_VTABLE_START(0),
        PROPERTY("AID", "s", view.aid, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Name", "s", view.name, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Monitor", "s", view.monitor, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Description", "s", description, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Program", "s", program, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Concurrency", "s", concurrency, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Generation", "u", view.generation, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Plain", "b", plain, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("State", "s", state, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("PID", "u", pid, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("StartedUsec", "t", view.started_usec, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Restarts", "u", view.restarts, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("LastReason", "s", last_reason, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("LastStatus", "i", view.last_status, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Status", "s", status, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("LastNotifiedUsec", "t", view.last_notified_usec, 0),
        PROPERTY("MailboxQueued", "t", view.mailbox_queued, 0),
        PROPERTY("RequestsBegun", "u", view.requests_begun, 0),
        PROPERTY("RequestsDone", "t", view.requests_done, 0),
        PROPERTY("Draining", "b", draining, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Ready", "b", ready, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ProbeStatus", "s", get_probe_status, 0, 0),
        SD_BUS_PROPERTY("Probes", "a(sssttts)", get_probes, 0, 0),
        SD_BUS_PROPERTY("MemoryBytes", "t", get_usage, 0, 0),
        SD_BUS_PROPERTY("CPUUsec", "t", get_usage, 0, 0),
        SD_BUS_METHOD_WITH_ARGS("Ping", SD_BUS_NO_ARGS, SD_BUS_RESULT("t", roundtrip_usec), method_ping,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Send", SD_BUS_ARGS("s", command, "av", arguments, "a{sv}", options),
                        SD_BUS_RESULT("v", result), method_send, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                        "Stop", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("i", signal), SD_BUS_NO_RESULT, method_kill,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Restart", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_restart,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END
};
