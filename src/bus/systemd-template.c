/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instances of a template that the user has (Unit=): is it there by that name, can its process be watched,
 * and does systemd leave its supervision to the arbiter? Asked at each start, since it can be edited at any
 * time, and once for who loads a configuration. Must never change the template. */

#include <arbiter/arbiter.h>

#include <stdio.h>

#include "bus/systemd.h"

/* In this order; the first is a call of the manager. */
static const struct question {
        const char *interface, *property;
} questions[] = {
        { NULL, "LoadUnit" },
        { SYSTEMD_UNIT, "Id" },
        { SYSTEMD_UNIT, "LoadState" },
        { SYSTEMD_SERVICE, "Restart" },
        { SYSTEMD_SERVICE, "Type" },
        { SYSTEMD_SERVICE, "RemainAfterExit" },
        { SYSTEMD_UNIT, "ActiveState" },
};

static int judge_load_state(arbiter_bus kind, const char *value, const char *name, char **ret_text) {
        const char *option = systemd_option(kind);
        int n = (int) strcspn(name, "@");
        int r;

        if (streq(value, "loaded"))
                return 0;
        if (streq(value, "not-found"))
                r = asprintf(ret_text,
                                "there is no %.*s@.service: put it into %s, and \"systemctl%s "
                                "daemon-reload\"",
                                n, name, *option ? "~/.config/systemd/user" : "/etc/systemd/system", option);
        else if (streq(value, "masked"))
                r = asprintf(ret_text,
                                "systemd cannot start %.*s@.service: it is masked, which \"systemctl%s "
                                "unmask %.*s@.service\" takes back",
                                n, name, option, n, name);
        else
                r = asprintf(ret_text,
                                "systemd cannot start %.*s@.service: it is not well (%s), and \"systemctl%s "
                                "status %s\" says why",
                                n, name, value, option, name);
        if (r < 0)
                *ret_text = NULL;
        return streq(value, "masked") ? -EPERM : -ENOENT;
}

/* What is wrong with this answer: NULL, or words to be freed. name: of the instance. */
static int judge(arbiter_bus kind, const char *property, const char *value, const char *name,
                char **ret_text) {
        const char *option = systemd_option(kind);
        int n = (int) strcspn(name, "@"), r;

        *ret_text = NULL;
        if (streq(property, "LoadState"))
                return judge_load_state(kind, value, name, ret_text);
        if (streq(property, "Id") && !streq(value, name))
                r = asprintf(ret_text,
                                "%.*s@.service is another name of %.*s@.service: write Unit=%.*s@.service",
                                n, name, (int) strcspn(value, "@"), value, (int) strcspn(value, "@"), value);
        else if (streq(property, "Restart") && !streq(value, "no"))
                r = asprintf(ret_text,
                                "%.*s@.service has Restart=%s, and two must not supervise one process. "
                                "Leave it to the arbiter: \"systemctl%s edit %.*s@.service\", and there "
                                "[Service] and Restart=no",
                                n, name, value, option, n, name);
        else if (streq(property, "Type") && streq(value, "oneshot"))
                r = asprintf(ret_text,
                                "%.*s@.service has Type=oneshot, and would run only when it has ended. If "
                                "it is a worker: \"systemctl%s edit %.*s@.service\", and there [Service] "
                                "and Type=exec",
                                n, name, option, n, name);
        else if (streq(property, "RemainAfterExit") && !streq(value, "no"))
                r = asprintf(ret_text,
                                "%.*s@.service has RemainAfterExit=yes, so nobody would see its process "
                                "end: \"systemctl%s edit %.*s@.service\", and there [Service] and "
                                "RemainAfterExit=no",
                                n, name, option, n, name);
        else
                return 0;
        if (r < 0)
                *ret_text = NULL;
        return -EBUSY;
}

/* A variant of a string, or of a boolean. */
static int read_value(sd_bus_message *m, const char **ret) {
        const char *contents;
        int r, yes;

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!streq_ptr(contents, "b"))
                return sd_bus_message_read(m, "v", "s", ret);
        r = sd_bus_message_read(m, "v", "b", &yes);
        if (r >= 0)
                *ret = yes ? "yes" : "no";
        return r;
}

/* As part of a start. */

static void ask(struct systemd_unit *u);

static bool is_refused(struct systemd_unit *u, const char *value) {
        const char *property = questions[u->check].property;
        _cleanup_free_ char *text = NULL;

        if (judge(u->systemd->kind, property, value, u->name, &text) < 0) {
                systemd_unit_fail(u, "%s", text ? text : "its template is not fit");
                return true;
        }
        if (!streq(property, "ActiveState") || streq(value, "inactive") || streq(value, "failed"))
                return false;
        systemd_unit_fail(u,
                        "%s is %s already, and this arbiter has not started it: after \"systemctl%s stop "
                        "%s\" it does",
                        u->name, value, systemd_option(u->systemd->kind), u->name);
        return true;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct systemd_unit *u = userdata;
        const char *value = "";

        u->call = sd_bus_slot_unref(u->call);
        if (e && (systemd_is_absent(e) || systemd_is_unanswered(e))) {
                u->state = UNIT_QUEUED; /* nothing has been done yet */
                list_prepend(&u->systemd->starts, &u->queue);
                if (u->in_flight)
                        u->systemd->n_in_flight--;
                u->in_flight = false;
                systemd_absent(u->systemd);
                return 0;
        }
        if (e || (questions[u->check].interface && read_value(m, &value) < 0)) {
                systemd_unit_fail(u, "systemd does not say what %s is: %s", u->name,
                                e ? e->message ?: e->name : "its answer cannot be read");
                return 0;
        }
        if (questions[u->check].interface && is_refused(u, value))
                return 0;
        u->check++;
        ask(u);
        return 0;
}

static void ask(struct systemd_unit *u) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const struct question *q = &questions[u->check];
        struct systemd *s = u->systemd;
        int r;

        if (u->check == ELEMENTSOF(questions)) {
                /* How often it may be started is the arbiter's to decide, too. */
                systemd_tell(s, "ResetFailedUnit", "s", u->name);
                systemd_unit_begin(u);
                return;
        }
        r = q->interface ? systemd_new_call(s, u->path, "org.freedesktop.DBus.Properties", "Get", &m)
                         : systemd_new_call(s, SYSTEMD_PATH, SYSTEMD_MANAGER, q->property, &m);
        if (r >= 0)
                r = q->interface ? sd_bus_message_append(m, "ss", q->interface, q->property)
                                 : sd_bus_message_append(m, "s", u->name);
        if (r >= 0)
                r = systemd_call(s, m, &u->call, on_answer, u);
        if (r < 0)
                systemd_unit_fail(u, "systemd cannot be asked for %s: %s", u->name, strerror(-r));
}

void systemd_template_check(struct systemd_unit *u) {
        u->check = 0;
        ask(u);
}

/* When a configuration is loaded. */

static int check_property(sd_bus *bus, arbiter_bus kind, const char *name, const char *path,
                const struct question *q, char **ret_text) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *value;
        int r;

        r = sd_bus_call_method(bus, SYSTEMD, path, "org.freedesktop.DBus.Properties", "Get", &e, &reply,
                        "ss", q->interface, q->property);
        if (r >= 0)
                r = read_value(reply, &value);
        if (r >= 0)
                return judge(kind, q->property, value, name, ret_text);
        if (asprintf(ret_text, "systemd does not say what %s is: %s", name, e.message ?: strerror(-r)) < 0)
                *ret_text = NULL;
        return r;
}

/* That it runs already is no fault of the template. */
static int check_properties(
                sd_bus *bus, arbiter_bus kind, const char *name, const char *path, char **ret_text) {
        int r = 0;

        for (size_t i = 1; r >= 0 && i < ELEMENTSOF(questions) - 1; i++)
                r = check_property(bus, kind, name, path, &questions[i], ret_text);
        return r;
}

static int check_on(sd_bus *bus, arbiter_bus kind, const char *name, char **ret_text) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = sd_bus_set_method_call_timeout(bus, TEMPLATE_CHECK_USEC);
        if (r >= 0)
                r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "LoadUnit", &e, &reply,
                                "s", name);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r < 0) {
                if (asprintf(ret_text, "systemd cannot be asked for %s: %s", name,
                                    e.message ?: strerror(-r)) < 0)
                        *ret_text = NULL;
                return r;
        }
        return check_properties(bus, kind, name, path, ret_text);
}

_public_ int arbiter_check_unit_template(arbiter_bus kind, const char *unit_template, char **ret_text) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *text = NULL;
        char name[UNIT_NAME_SIZE];
        int r;

        if (!unit_template || !unit_template_is_valid(unit_template))
                return -EINVAL;
        r = unit_instance_of(unit_template, "1", name);
        if (r < 0)
                return r;
        r = kind == ARBITER_BUS_SYSTEM ? sd_bus_open_system(&bus) : sd_bus_open_user(&bus);
        if (r >= 0)
                r = check_on(bus, kind, name, &text);
        else if (asprintf(&text, "systemd cannot be reached to ask for %s: %s", unit_template,
                                 strerror(-r)) < 0)
                text = NULL;
        if (r < 0 && ret_text)
                *ret_text = TAKE_PTR(text);
        return r < 0 ? r : 0;
}
