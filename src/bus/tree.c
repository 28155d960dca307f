/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of io.arbiter.Arbiter1.Monitor about children. Called by sd-bus, by the table in monitor.c.
 * Parses, authorises, calls and answers; what a child is, is the arbiter's to say. */

#include "bus/error.h"
#include "bus/vtables.h"

static int child_error(sd_bus_error *error, int r, const char *verb, const char *child,
                const char *monitor) {
        if (r == -EOPNOTSUPP)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_SUPPORTED,
                                "%s has no children of its own: it is a pool, which can be scaled.",
                                bus_quote(monitor).s);
        if (r == -ENOENT)
                return sd_bus_error_setf(error, BUS_ERROR_NO_PROC,
                                "%s is no child of %s. \"arbiterctl list-children\" shows who is.",
                                bus_quote(child).s, bus_quote(monitor).s);
        return bus_error_set_verb(error, r, verb, child);
}

static int append_child(sd_bus_message *m, const arbiter_child_info *i) {
        return sd_bus_message_append(m, "(sssssubt)", i->name, i->is_monitor ? "monitor" : "actor",
                        arbiter_restart_to_string(i->restart), i->state, i->aid, (uint32_t) i->pid,
                        (int) i->significant, i->restarts);
}

int bus_method_list_children(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ arbiter_child_info *children = NULL;
        struct monitor_object *o = userdata;
        size_t n = 0;
        int r;

        r = control_list_children(o->connection->face->arbiter, o->view.name, &children, &n);
        if (r < 0)
                return child_error(error, r, "list", "", o->view.name);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sssssubt)");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append_child(reply, children + i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int bus_method_count_children(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        arbiter_child_counts n = { .size = sizeof(n) };
        struct monitor_object *o = userdata;
        int r;

        r = control_count_children(o->connection->face->arbiter, o->view.name, &n);
        if (r < 0)
                return child_error(error, r, "count", "", o->view.name);
        return sd_bus_reply_method_return(m, "uuuu", n.specs, n.active, n.supervisors, n.workers);
}

/* Authorised, and room for the answer: 1. 0: the message comes again. */
static int begin(struct monitor_object *o, sd_bus_message *m, sd_bus_error *error, struct bus_call **ret) {
        int r;

        r = bus_authorize(o->connection, m, BUS_ACTION_MANAGE_ACTORS, error);
        if (r <= 0)
                return r;
        r = bus_call_new(o->connection, m, bus_call_answer_empty, error, ret);
        return r < 0 ? r : 1;
}

int bus_method_add_child(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        const char *definition, *name, *before;
        struct monitor_object *o = userdata;
        int r;

        r = sd_bus_message_read(m, "sss", &definition, &name, &before);
        if (r < 0)
                return r;
        r = begin(o, m, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = control_add_child(o->connection->face->arbiter, o->view.name, definition, name, before, &f);
        if (r == -ENOENT && !*before)
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_DEFINITION, "There is no definition %s.",
                                bus_quote(definition).s);
        if (r == -ENOENT)
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_DEFINITION,
                                "There is no definition %s, or no child %s to stand before.",
                                bus_quote(definition).s, bus_quote(before).s);
        if (r == -EEXIST)
                return sd_bus_error_setf(error, BUS_ERROR_NAME_TAKEN, "The name %s is taken.",
                                bus_quote(*name ? name : definition).s);
        if (r < 0)
                return child_error(error, r, "add", definition, o->view.name);
        return bus_call_wait(TAKE_PTR(call), f);
}

static int of_child(sd_bus_message *m, struct monitor_object *o, sd_bus_error *error, const char *verb,
                int (*start)(arbiter *a, const char *monitor, const char *child, arbiter_future **ret)) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        const char *child;
        int r;

        r = sd_bus_message_read(m, "s", &child);
        if (r < 0)
                return r;
        r = begin(o, m, error, &call);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = start(o->connection->face->arbiter, o->view.name, child, &f);
        if (r < 0)
                return child_error(error, r, verb, child, o->view.name);
        return bus_call_wait(TAKE_PTR(call), f);
}

int bus_method_remove_child(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return of_child(m, userdata, error, "remove", control_remove_child);
}

int bus_method_terminate_child(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return of_child(m, userdata, error, "stop", control_terminate_child);
}

int bus_method_restart_child(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return of_child(m, userdata, error, "restart", control_restart_child);
}
