/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interface io.arbiter.Arbiter1.Manager: the arbiter as an object. Called by sd-bus. Methods parse, look up,
 * and hand the verbs over to verbs.c and spawn.c. */

#include "bus/bulk-reply.h"
#include "bus/convert.h"
#include "bus/error.h"
#include "bus/vtables.h"
#include "wire/message.h"

#define ACTOR_ROW "(sssssuto)"

enum {
        /* lengths and padding included; the two words are ours, and short */
        ACTOR_ROW_SIZE_MAX = 8 * 8 + AID_SIZE + 2 * QUALIFIED_NAME_SIZE + 2 * 16 + 12 + ACTOR_PATH_SIZE,
};

static usec_t uptime(const struct actor_view *v, usec_t now) {
        return v->started_usec == 0 || v->started_usec > now ? 0 : now - v->started_usec;
}

/* Value by value, which saves a fifth of what parsing a row's types again and again takes: lists have a
 * thousand of them. */
static int append_actor(sd_bus_message *reply, const struct actor_view *v, usec_t now) {
        const char *const strings[] = { v->aid, v->name, v->monitor,
                arbiter_concurrency_to_string(v->concurrency), arbiter_state_to_string(v->state) };
        uint32_t pid = (uint32_t) v->pid;
        uint64_t up = uptime(v, now);
        char path[ACTOR_PATH_SIZE];
        int r;

        bus_actor_path(v->aid, path);
        r = sd_bus_message_open_container(reply, 'r', "sssssuto");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(strings); i++)
                r = sd_bus_message_append_basic(reply, 's', strings[i]);
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 'u', &pid);
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 't', &up);
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 'o', path);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* A thousand rows have few different words: the length of one is looked for where it differs from that of
 * the row before. */
struct word {
        const char *s;
        size_t length;
};

static void bulk_append_word(struct bulk *b, struct word *last, const char *s) {
        if (s != last->s)
                *last = (struct word){ s, strlen(s) };
        bulk_append_string(b, s, last->length);
}

static void bulk_append_actor(struct bulk *b, const struct actor_view *v, usec_t now, struct word last[3]) {
        char path[ACTOR_PATH_SIZE];
        size_t length;

        bulk_open_struct(b);
        bulk_append_string(b, v->aid, AID_SIZE);
        bulk_append_string(b, v->name, strlen(v->name));
        bulk_append_word(b, &last[0], v->monitor);
        bulk_append_word(b, &last[1], arbiter_concurrency_to_string(v->concurrency));
        bulk_append_word(b, &last[2], arbiter_state_to_string(v->state));
        bulk_append_u32(b, (uint32_t) v->pid);
        bulk_append_u64(b, uptime(v, now));
        length = bus_actor_path(v->aid, path);
        bulk_append_string(b, path, length);
}

/* The same table past sd-bus, into memory that the next list finds again. */
static int bulk_list_actors(struct bus_connection *c, sd_bus_message *m) {
        struct bulk *b = &c->face->bulk;
        struct word last[3] = {};
        usec_t now = now_usec();
        struct actor_view v;
        void *p = NULL;
        size_t position;

        if (!bulk_begin(b, c) || !bulk_reserve(b, ACTOR_ROW_SIZE_MAX))
                return -EAGAIN;
        position = bulk_open_array(b);
        while (bulk_reserve(b, ACTOR_ROW_SIZE_MAX) && control_next_actor(c->face->arbiter, &p, &v))
                bulk_append_actor(b, &v, now, last);
        bulk_close_array(b, position);
        return bulk_reply(c, m, "a" ACTOR_ROW, b);
}

static int method_list_actors(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct bus_connection *c = userdata;
        usec_t now = now_usec();
        struct actor_view v;
        void *p = NULL;
        int r;

        r = bulk_list_actors(c, m);
        if (r != -EAGAIN)
                return r;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', ACTOR_ROW);
        while (r >= 0 && control_next_actor(c->face->arbiter, &p, &v))
                r = append_actor(reply, &v, now);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int append_monitor(sd_bus_message *reply, const void *row) {
        const struct monitor_view *v = row;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(BUS_PATH_MONITOR, v->name, &path);
        if (r < 0)
                return r;
        return sd_bus_message_append(reply, "(ssuuuuo)", v->name, v->state, v->workers, v->running,
                        v->failed, v->restarts, path);
}

static int method_list_monitors(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ struct monitor_view *views = NULL;
        struct bus_connection *c = userdata;
        size_t n;
        int r;

        r = control_list_monitors(c->face->arbiter, &views, &n);
        if (r < 0)
                return r;
        return bus_reply_rows(m, "(ssuuuuo)", views, n, sizeof(*views), append_monitor);
}

static int method_get_actor(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        char path[ACTOR_PATH_SIZE];
        struct actor_view v;
        const char *target;
        int r;

        r = sd_bus_message_read(m, "s", &target);
        if (r < 0)
                return r;
        r = control_get_actor(c->face->arbiter, target, &v);
        if (r < 0)
                return bus_error_set_verb(error, r, "get", target);
        bus_actor_path(v.aid, path);
        return sd_bus_reply_method_return(m, "o", path);
}

static int method_get_monitor(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        _cleanup_free_ char *path = NULL;
        struct monitor_view v;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        r = control_get_monitor(c->face->arbiter, name, &v);
        if (r < 0)
                return bus_error_set_verb(error, r, "get", name);
        r = sd_bus_path_encode(BUS_PATH_MONITOR, v.name, &path);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "o", path);
}

static int method_spawn(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_verb_spawn(userdata, m, error);
}

static int method_send(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *target, *command;
        int r;

        r = sd_bus_message_read(m, "ss", &target, &command);
        if (r < 0)
                return r;
        return bus_verb_send(userdata, m, target, command, error);
}

static int method_ping(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *target;
        int r;

        r = sd_bus_message_read(m, "s", &target);
        if (r < 0)
                return r;
        return bus_verb_ping(userdata, m, target, error);
}

static int append_command(sd_bus_message *reply, const void *row) {
        const struct command_view *v = row;

        return sd_bus_message_append(reply, "(sssss)", v->name, v->arguments, v->argument_names, v->result,
                        v->result_names);
}

static int method_list_commands(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ struct command_view *views = NULL;
        struct bus_connection *c = userdata;
        const char *target;
        size_t n;
        int r;

        r = sd_bus_message_read(m, "s", &target);
        if (r < 0)
                return r;
        r = control_list_commands(c->face->arbiter, target, &views, &n);
        if (r < 0)
                return bus_error_set_verb(error, r, "introspect", target);
        return bus_reply_rows(m, "(sssss)", views, n, sizeof(*views), append_command);
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *target;
        int r;

        r = sd_bus_message_read(m, "s", &target);
        if (r < 0)
                return r;
        return bus_verb_stop(userdata, m, target, error);
}

static int method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *target;
        int32_t signo;
        int r;

        r = sd_bus_message_read(m, "si", &target, &signo);
        if (r < 0)
                return r;
        return bus_verb_kill(userdata, m, target, signo, error);
}

static int method_restart(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *target;
        int r;

        r = sd_bus_message_read(m, "s", &target);
        if (r < 0)
                return r;
        return bus_verb_restart(userdata, m, target, error);
}

static int method_scale(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *monitor;
        uint32_t workers;
        int r;

        r = sd_bus_message_read(m, "su", &monitor, &workers);
        if (r < 0)
                return r;
        return bus_verb_scale(userdata, m, monitor, workers, error);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        _cleanup_free_ char *text = NULL;
        int r;

        r = bus_authorize(c, m, BUS_ACTION_RELOAD, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = arbiter_reload(c->face->arbiter, &text);
        if (r < 0)
                return sd_bus_error_setf(error, BUS_ERROR_RELOAD_FAILED,
                                "%s\nWhat has errors is as it was; the rest is loaded.",
                                text && bus_utf8_is_valid(text) ? text : strerror(-r));
        return sd_bus_reply_method_return(m, NULL);
}

/* It changes nothing, but all of the configuration is read for it, while everybody else waits, and what is
 * wrong in files that only root may read is said with its words. */
static int method_reload_monitor(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *monitor;
        int r;

        r = sd_bus_message_read(m, "s", &monitor);
        if (r < 0)
                return r;
        return bus_verb_reload(userdata, m, monitor, error);
}

static int method_abort_roll(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *monitor;
        int r;

        r = sd_bus_message_read(m, "s", &monitor);
        if (r < 0)
                return r;
        return bus_verb_abort_roll(userdata, m, monitor, error);
}

static int method_plan_reload(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *plan = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct bus_connection *c = userdata;
        int r;

        r = bus_authorize(c, m, BUS_ACTION_RELOAD, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = arbiter_message_new(&plan);
        if (r >= 0)
                r = arbiter_plan_reload(c->face->arbiter, plan);
        if (r == -EOPNOTSUPP)
                return sd_bus_error_set(error, BUS_ERROR_NOT_SUPPORTED,
                                "This arbiter has no configuration that it could read again.");
        if (r >= 0)
                r = message_seal(plan);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = convert_to_bus(plan, reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_reexecute(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_verb_reexecute(userdata, m, error);
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", arbiter_version());
}

static int get_started(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;

        return sd_bus_message_append(reply, "t", (uint64_t) c->face->started_usec);
}

static int get_n_actors(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) map_size(c->face->actors));
}

static int get_n_monitors(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) map_size(c->face->monitors));
}

static int get_definitions(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        _cleanup_free_ const char **names = NULL;
        size_t n;
        int r;

        r = control_list_definitions(c->face->arbiter, &names, &n);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "s");
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = sd_bus_message_append_basic(reply, 's', names[i]);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

#define ARBITER_PROPERTY(name, signature, flags) \
        SD_BUS_PROPERTY(name, signature, bus_get_arbiter_property, 0, flags)

const sd_bus_vtable bus_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("StartedUsec", "t", get_started, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("NActors", "u", get_n_actors, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("NMonitors", "u", get_n_monitors, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Definitions", "as", get_definitions, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        ARBITER_PROPERTY("State", "s", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        ARBITER_PROPERTY("Instance", "s", SD_BUS_VTABLE_PROPERTY_CONST),
        ARBITER_PROPERTY("ControlGroup", "s", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        ARBITER_PROPERTY("NFailed", "u", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        ARBITER_PROPERTY("Takeovers", "u", SD_BUS_VTABLE_PROPERTY_CONST),
        ARBITER_PROPERTY("DeadLetters", "t", 0),
        ARBITER_PROPERTY("FailedFiles", "as", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("ListActors", SD_BUS_NO_ARGS, SD_BUS_RESULT("a" ACTOR_ROW, actors),
                        method_list_actors, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListMonitors", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ssuuuuo)", monitors),
                        method_list_monitors, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetActor", SD_BUS_ARGS("s", target), SD_BUS_RESULT("o", path),
                        method_get_actor, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMonitor", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", path),
                        method_get_monitor, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Spawn", SD_BUS_ARGS("a{sv}", properties),
                        SD_BUS_RESULT("s", aid, "o", path), method_spawn, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Send",
                        SD_BUS_ARGS("s", target, "s", command, "av", arguments, "a{sv}", options),
                        SD_BUS_RESULT("v", result), method_send, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Ping", SD_BUS_ARGS("s", target), SD_BUS_RESULT("t", roundtrip_usec),
                        method_ping, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListCommands", SD_BUS_ARGS("s", target),
                        SD_BUS_RESULT("a(sssss)", commands), method_list_commands,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListDeaths", SD_BUS_ARGS("s", target),
                        SD_BUS_RESULT("a(tsssuusit)", deaths), bus_method_list_deaths,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Why", SD_BUS_ARGS("s", target), SD_BUS_RESULT("a(sssttsius)", waiting),
                        bus_method_why, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMetrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", text),
                        bus_method_get_metrics, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Stop", SD_BUS_ARGS("s", target), SD_BUS_NO_RESULT, method_stop,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("s", target, "i", signal), SD_BUS_NO_RESULT, method_kill,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Restart", SD_BUS_ARGS("s", target), SD_BUS_NO_RESULT, method_restart,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Scale", SD_BUS_ARGS("s", monitor, "u", workers), SD_BUS_RESULT("u", before),
                        method_scale, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReloadMonitor", SD_BUS_ARGS("s", monitor), SD_BUS_NO_RESULT,
                        method_reload_monitor, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AbortRoll", SD_BUS_ARGS("s", monitor), SD_BUS_NO_RESULT,
                        method_abort_roll, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("PlanReload", SD_BUS_NO_ARGS, SD_BUS_RESULT(BUS_PLAN_RELOAD_SIGNATURE, plan),
                        method_plan_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reexecute", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reexecute,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("ActorNew", SD_BUS_ARGS("s", aid, "s", name, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ActorGone",
                        SD_BUS_ARGS("s", aid, "s", name, "o", path, "s", reason, "i", status), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ActorStateChanged", SD_BUS_ARGS("s", aid, "s", name, "s", state), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MonitorNew", SD_BUS_ARGS("s", name, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MonitorGone", SD_BUS_ARGS("s", name, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MonitorChanged",
                        SD_BUS_ARGS("s", name, "s", state, "u", workers, "u", running, "u", failed), 0),
        SD_BUS_VTABLE_END
};
