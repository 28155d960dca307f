/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stops the units of actors (Concurrency=unit) that an arbiter which has died left behind, and waits until
 * they are down: its successor starts units of the same names. Called by scope.c for --stop-actors, in a
 * process of its own, so it may block; never without a bound. Instances of templates are not found by their
 * names: they are stopped if the keeper has left word of them, as it does when the arbiter is not to come
 * back. */

#include <fcntl.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#include "arbiterd/daemon.h"
#include "arbiterd/manager.h"
#include "arbiterd/unit-sweep.h"
#include "basic/fd.h"
#include "shared/instance.h"
#include "shared/log.h"
#include "shared/strv.h"

#define ANSWER_USEC (15 * USEC_PER_SEC)
#define GONE_USEC (90 * USEC_PER_SEC)
#define LEFT_SIZE_MAX (4U * 1024 * 1024)

static int stop_unit(sd_bus *bus, const char *name) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit", &e, NULL, "ss", name,
                        "replace");
        if (r >= 0 || sd_bus_error_has_name(&e, SYSTEMD ".NoSuchUnit"))
                return 0;
        return log_error_errno(r, "Cannot stop %s: %s", name, e.message ?: "?");
}

/* One that has failed stays until somebody has looked at it: nobody will. */
static void forget_unit(sd_bus *bus, const char *name) {
        (void) sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ResetFailedUnit", NULL,
                        NULL, "s", name);
}

/* A name is anybody's to give: what an arbiter has made says so in LogExtraFields=. */
static bool is_marked(sd_bus *bus, const char *path, const char *mark) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const void *field;
        size_t size;

        if (sd_bus_get_property(bus, SYSTEMD, path, SYSTEMD ".Service", "LogExtraFields", NULL, &reply,
                            "aay") < 0 ||
                        sd_bus_message_enter_container(reply, 'a', "ay") < 0)
                return false;
        while (sd_bus_message_read_array(reply, 'y', &field, &size) > 0)
                if (size == strlen(mark) && memcmp(field, mark, size) == 0)
                        return true;
        return false;
}

/* The transient units of this instance's actors. */
static int find_transient(sd_bus *bus, const char *prefix, const char *mark, char ***names) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name, *path;
        int r;

        /* The prefix may have characters that mean something in a pattern. */
        r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByPatterns", NULL,
                        &reply, "asas", 0, 1, "arbiter-*.service");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, NULL, NULL, NULL,
                                          NULL, &path, NULL, NULL, NULL)) > 0)
                if (startswith(name, prefix) && is_marked(bus, path, mark))
                        r = strv_add(names, name);
        return r < 0 ? r : 0;
}

/* How many of them are not down yet. */
static int count_up(sd_bus *bus, char *const *names) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *name, *state;
        int r, n = 0;

        r = sd_bus_message_new_method_call(
                        bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByNames");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) names);
        if (r >= 0)
                r = sd_bus_call(bus, m, 0, NULL, &reply);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, NULL, &state, NULL,
                                          NULL, NULL, NULL, NULL, NULL)) > 0)
                if (streq(state, "failed"))
                        forget_unit(bus, name);
                else if (!streq(state, "inactive"))
                        n++;
        return r < 0 ? r : n;
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        bool *changed = userdata;

        *changed = true;
        return 0;
}

static int wait_until_down(sd_bus *bus, char *const *names) {
        usec_t until = now_usec() + GONE_USEC;
        bool changed = true;
        int r;

        r = sd_bus_match_signal(bus, NULL, NULL, SYSTEMD_PATH, SYSTEMD_MANAGER, "UnitRemoved", on_changed,
                        &changed);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NULL, SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved",
                                on_changed, &changed);
        if (r >= 0)
                r = sd_bus_call_method(
                                bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe", NULL, NULL, NULL);
        while (r >= 0 && now_usec() < until) {
                if (changed) {
                        changed = false;
                        r = count_up(bus, names);
                        if (r <= 0)
                                return r;
                }
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, until - MIN(until, now_usec()));
        }
        return r < 0 ? r : -ETIMEDOUT;
}

/* What an arbiter may have started of a template; never itself, its keeper, or a user's manager. */
static bool is_instance(const char *unit, const char *own) {
        size_t n = strlen(unit), suffix = strlen(".service");

        return strchr(unit, '@') && n > suffix && streq(unit + n - suffix, ".service") &&
                        !streq(unit, own) && !startswith(unit, "user@") &&
                        !startswith(unit, "arbiter-keeper@");
}

static int read_left(const struct daemon *d, char **ret) {
        _cleanup_free_ char *socket = NULL, *path = NULL;
        int r;

        r = instance_keeper_socket(d->instance, d->mode == DAEMON_SYSTEM, &socket);
        if (r >= 0)
                r = instance_keeper_units(socket, &path);
        return r < 0 ? r : read_file_full(AT_FDCWD, path, LEFT_SIZE_MAX, ret, NULL);
}

static int find_instances(const struct daemon *d, char ***names) {
        _cleanup_free_ char *own = NULL, *text = NULL;
        char *rest, *line;
        int r;

        r = read_left(d, &text);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = instance_service_name(d->instance, &own);
        rest = text;
        while (r >= 0 && (line = strsep(&rest, "\n")))
                if (is_instance(line, own))
                        r = strv_add(names, line);
        return r;
}

static int find_units(const struct daemon *d, sd_bus *bus, char ***ret) {
        _cleanup_free_ char *prefix = NULL, *mark = NULL;
        int r;

        r = instance_unit_name(d->instance, "-", &prefix);
        if (r >= 0 && asprintf(&mark, "ARBITER_INSTANCE=%s", d->instance) < 0) {
                mark = NULL;
                r = -ENOMEM;
        }
        if (r >= 0)
                r = find_instances(d, ret);
        return r < 0 ? r : find_transient(bus, prefix, mark, ret);
}

int unit_sweep(struct daemon *d) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_strv_free_ char **names = NULL;
        int r;

        r = manager_open_direct(d, &bus);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(bus, ANSWER_USEC);
        if (r >= 0)
                r = find_units(d, bus, &names);
        if (r >= 0 && names) {
                log_notice("The arbiter has died: %zu units of its actors are stopped.", strv_length(names));
                STRV_FOREACH(i, names) {
                        int q = stop_unit(bus, *i);

                        r = r < 0 ? r : q;
                }
                if (r >= 0)
                        r = wait_until_down(bus, names);
        }
        return r < 0 ? log_error_errno(r, "The units of actors cannot be stopped: %m") : 0;
}
