/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interface io.arbiter.Arbiter1.Monitor: monitors as objects. Called by sd-bus. Methods parse and hand over
 * to verbs.c; nothing is kept for a monitor here. */

#include <stdio.h>

#include "bus/vtables.h"

static int fill_object(struct bus_connection *c, const char *name, struct monitor_object **ret) {
        const struct monitor_view *current = c->face->current_monitor;
        struct monitor_object *o = &c->monitor;
        int r;

        if (current && streq(current->name, name))
                o->view = *current;
        else {
                r = control_get_monitor(c->face->arbiter, name, &o->view);
                if (r < 0)
                        return r == -ESRCH ? 0 : r;
        }
        o->connection = c;
        o->description = bus_text(o->view.description, o->text);
        *ret = o;
        return 1;
}

int bus_monitor_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                sd_bus_error *error) {
        _cleanup_free_ char *name = NULL;
        struct monitor_object *o;
        int r;

        r = sd_bus_path_decode(path, BUS_PATH_MONITOR, &name);
        if (r <= 0)
                return r;
        r = fill_object(userdata, name, &o);
        if (r > 0)
                *ret = o;
        return r;
}

int bus_monitor_enumerate(
                sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        _cleanup_free_ struct monitor_view *views = NULL;
        char **paths;
        size_t n;
        int r;

        r = control_list_monitors(c->face->arbiter, &views, &n);
        if (r < 0)
                return r;
        paths = calloc(n + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = sd_bus_path_encode(BUS_PATH_MONITOR, views[i].name, &paths[i]);
                if (r < 0)
                        goto fail;
        }
        *ret = paths;
        return 0;

fail:
        for (size_t i = 0; i < n; i++)
                free(paths[i]);
        free(paths);
        return r;
}

static int method_scale(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct monitor_object *o = userdata;
        uint32_t workers;
        int r;

        r = sd_bus_message_read(m, "u", &workers);
        if (r < 0)
                return r;
        return bus_verb_scale(o->connection, m, o->view.name, workers, error);
}

static int method_restart(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct monitor_object *o = userdata;

        return bus_verb_restart(o->connection, m, o->view.name, error);
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct monitor_object *o = userdata;

        return bus_verb_stop(o->connection, m, o->view.name, error);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct monitor_object *o = userdata;

        return bus_verb_reload(o->connection, m, o->view.name, error);
}

static int method_abort_roll(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct monitor_object *o = userdata;

        return bus_verb_abort_roll(o->connection, m, o->view.name, error);
}

static int append_worker(sd_bus_message *reply, const struct monitor_object *o, uint32_t number) {
        char name[QUALIFIED_NAME_SIZE] = "";

        if (number > 0)
                (void) snprintf(name, sizeof(name), "%s.%u", o->view.name, number);
        return sd_bus_message_append(reply, "s", name);
}

static int get_failing(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct monitor_object *o = userdata;

        return append_worker(reply, o, o->view.roll_failing);
}

static int get_waiting(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct monitor_object *o = userdata;

        return append_worker(reply, o, o->view.roll_waiting);
}

#define PROPERTY(name, signature, field, flags) \
        SD_BUS_PROPERTY(name, signature, NULL, offsetof(struct monitor_object, field), flags)

const sd_bus_vtable bus_monitor_vtable[] = {
        SD_BUS_VTABLE_START(0),
        PROPERTY("AID", "s", view.aid, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Name", "s", view.name, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Description", "s", description, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Strategy", "s", view.strategy, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Parent", "s", view.parent, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("State", "s", view.state, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Workers", "u", view.workers, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Running", "u", view.running, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Failed", "u", view.failed, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Backoff", "u", view.backoff, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Restarts", "u", view.restarts, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Revision", "u", view.revision, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("NextAttemptUsec", "t", view.next_attempt_usec, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Draining", "u", view.draining, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Load", "t", view.load, 0),
        PROPERTY("Backlog", "u", view.backlog, 0),
        PROPERTY("WorkersMin", "u", view.workers_min, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("WorkersMax", "u", view.workers_max, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("RollState", "s", view.roll_state, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("RollReplaced", "u", view.roll_replaced, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("RollLeft", "u", view.roll_left, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("RollFailing", "s", get_failing, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("RollReason", "s", view.roll_reason, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("RollStatus", "i", view.roll_status, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("RollWaiting", "s", get_waiting, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("RollDeadlineUsec", "t", view.roll_deadline_usec, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Breaker", "s", view.breaker, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Scale", SD_BUS_ARGS("u", workers), SD_BUS_RESULT("u", before), method_scale,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Restart", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_restart,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AbortRoll", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_abort_roll,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                        "Stop", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListChildren", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssssubt)", children),
                        bus_method_list_children, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CountChildren", SD_BUS_NO_ARGS,
                        SD_BUS_RESULT("u", specs, "u", active, "u", supervisors, "u", workers),
                        bus_method_count_children, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AddChild", SD_BUS_ARGS("s", definition, "s", name, "s", before),
                        SD_BUS_NO_RESULT, bus_method_add_child, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveChild", SD_BUS_ARGS("s", child), SD_BUS_NO_RESULT,
                        bus_method_remove_child, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("TerminateChild", SD_BUS_ARGS("s", child), SD_BUS_NO_RESULT,
                        bus_method_terminate_child, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RestartChild", SD_BUS_ARGS("s", child), SD_BUS_NO_RESULT,
                        bus_method_restart_child, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END
};
