/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the manager reports beside its lists: deaths, what is waited for, and the properties of the
 * arbiter as a whole. Called by sd-bus through the vtable in manager.c. Reads only: nobody needs to be
 * authorised. */

#include "bus/error.h"
#include "bus/vtables.h"

int bus_reply_rows(sd_bus_message *m, const char *type, const void *rows, size_t n, size_t size,
                int (*append)(sd_bus_message *reply, const void *row)) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', type);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append(reply, (const char *) rows + i * size);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

#define DEATH "(tsssuusit)"

static int append_death(sd_bus_message *reply, const void *row) {
        const struct death_view *v = row;

        return sd_bus_message_append(reply, DEATH, v->when_usec, v->name, v->aid, v->monitor, v->generation,
                        (uint32_t) v->pid, arbiter_reason_to_string(v->reason) ?: "unknown",
                        (int32_t) v->status, v->lifetime_usec);
}

int bus_method_list_deaths(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ struct death_view *views = NULL;
        struct bus_connection *c = userdata;
        const char *target;
        size_t n;
        int r;

        r = sd_bus_message_read(m, "s", &target);
        if (r < 0)
                return r;
        r = control_list_deaths(c->face->arbiter, target, &views, &n);
        if (r < 0)
                return bus_error_set_verb(error, r, "list the deaths of", target);
        return bus_reply_rows(m, DEATH, views, n, sizeof(*views), append_death);
}

#define WHY "(sssttsius)"

static int append_why(sd_bus_message *reply, const void *row) {
        const struct why_view *v = row;

        return sd_bus_message_append(reply, WHY, v->name, v->state, v->waiting_for, (uint64_t) v->since,
                        (uint64_t) v->until, v->last_reason, (int32_t) v->last_status, v->attempts, v->text);
}

int bus_method_why(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ struct why_view *views = NULL;
        struct bus_connection *c = userdata;
        const char *target;
        size_t n;
        int r;

        r = sd_bus_message_read(m, "s", &target);
        if (r < 0)
                return r;
        r = control_list_why(c->face->arbiter, target, &views, &n);
        if (r < 0)
                return bus_error_set_verb(error, r, "explain", target);
        return bus_reply_rows(m, WHY, views, n, sizeof(*views), append_why);
}

int bus_method_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = control_get_metrics(c->face->arbiter, &text, &size);
        return r < 0 ? r : sd_bus_reply_method_return(m, "s", text);
}

static int append_strings(sd_bus_message *reply, const char *const *strings) {
        char buffer[TEXT_SIZE];
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        for (; r >= 0 && *strings; strings++)
                r = sd_bus_message_append_basic(reply, 's', bus_text(*strings, buffer));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* State, Instance, ControlGroup, NFailed, Takeovers, DeadLetters, FailedFiles. */
int bus_get_arbiter_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        char buffer[TEXT_SIZE];
        struct arbiter_view v;

        control_get_arbiter(c->face->arbiter, &v);
        if (streq(property, "State"))
                return sd_bus_message_append(reply, "s", v.state);
        if (streq(property, "Instance"))
                return sd_bus_message_append(reply, "s", bus_text(v.instance, buffer));
        if (streq(property, "ControlGroup"))
                return sd_bus_message_append(reply, "s", bus_text(v.cgroup, buffer));
        if (streq(property, "NFailed"))
                return sd_bus_message_append(reply, "u", v.n_failed);
        if (streq(property, "Takeovers"))
                return sd_bus_message_append(reply, "u", v.takeovers);
        if (streq(property, "DeadLetters"))
                return sd_bus_message_append(reply, "t", v.dead_letters);
        return append_strings(reply, v.failed_files);
}
