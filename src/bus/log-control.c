/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.freedesktop.LogControl1 (its manual page has the interface): "systemctl service-log-level". Called
 * by sd-bus. What levels and targets do is the program's. A setter answers at once, so whoever comes by a
 * bus was asked for before (queue.c); here that is only looked up. */

#include "bus/bus.h"
#include "bus/error.h"
#include "bus/sender.h"
#include "bus/vtables.h"

#define LOG_CONTROL_PATH "/org/freedesktop/LogControl1"
#define LOG_CONTROL_INTERFACE "org.freedesktop.LogControl1"

static const char *const levels[] = {"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};

static int get_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        int level = c->face->log_control.get_level(c->face->log_control_userdata);

        return sd_bus_message_append(reply, "s", levels[CLAMP(level, 0, (int) ELEMENTSOF(levels) - 1)]);
}

static int get_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;

        return sd_bus_message_append(
                        reply, "s", c->face->log_control.get_target(c->face->log_control_userdata));
}

static int get_identifier(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;

        return sd_bus_message_append(reply, "s", c->face->log_control.identifier);
}

/* The value of a Set that may be done. */
static int read_value(struct bus_connection *c, sd_bus *bus, sd_bus_message *value, const char **ret,
                sd_bus_error *error) {
        sd_bus_message *m = sd_bus_get_current_message(bus);

        if (!m || !bus_is_authorized(c, m, BUS_ACTION_MANAGE_ACTORS))
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                "To set it takes the right " BUS_ACTION_MANAGE_ACTORS ".");
        return sd_bus_message_read(value, "s", ret);
}

static int set_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *value, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        const arbiter_log_control *control = &c->face->log_control;
        const char *s;
        int r;

        r = read_value(c, bus, value, &s, error);
        if (r < 0)
                return r;
        if (!control->set_level)
                return sd_bus_error_setf(error, SD_BUS_ERROR_NOT_SUPPORTED, "This log's level is fixed.");
        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (streq(levels[i], s))
                        return control->set_level((int) i, c->face->log_control_userdata);
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                        "\"%s\" is no log level: emerg, alert, crit, err, warning, notice, info or debug.",
                        bus_quote(s).s);
}

static int set_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *value, void *userdata, sd_bus_error *error) {
        struct bus_connection *c = userdata;
        const arbiter_log_control *control = &c->face->log_control;
        const char *s;
        int r;

        r = read_value(c, bus, value, &s, error);
        if (r < 0)
                return r;
        if (!control->set_target)
                return sd_bus_error_setf(error, SD_BUS_ERROR_NOT_SUPPORTED, "This log's target is fixed.");
        r = control->set_target(s, c->face->log_control_userdata);
        if (r == -EINVAL)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                "\"%s\" is no target that this program can log to.", bus_quote(s).s);
        return r;
}

/* Unprivileged for sd-bus, which would ask the bus daemon for the sender's privileges and wait. */
static const sd_bus_vtable log_control_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, set_target, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, 0),
        SD_BUS_VTABLE_END
};

int bus_log_control_register(struct bus_connection *c) {
        return sd_bus_add_object_vtable(
                        c->bus, NULL, LOG_CONTROL_PATH, LOG_CONTROL_INTERFACE, log_control_vtable, c);
}

bool bus_log_control_is_set(sd_bus_message *m) {
        return streq_ptr(sd_bus_message_get_path(m), LOG_CONTROL_PATH) &&
               sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Set") > 0;
}

int bus_face_set_log_control(struct bus_face *f, const arbiter_log_control *control, void *userdata) {
        int r;

        if (f->has_log_control)
                return -EALREADY;
        if (control->size < sizeof(*control) || !control->get_level || !control->get_target ||
                        !control->identifier)
                return -EINVAL;
        f->log_control = *control;
        f->log_control_userdata = userdata;
        f->has_log_control = true;
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections) {
                r = bus_log_control_register(c);
                if (r < 0)
                        bus_connection_doom(c); /* it comes again */
        }
        return 0;
}
