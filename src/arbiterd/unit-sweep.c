/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stops the units of actors (Concurrency=unit) that an arbiter which has died left behind, and waits until
 * they are gone: its successor starts units of the same names. Called by scope.c for --stop-actors, in a
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

/* How many of them there are; stop: each is asked to go. */
static int look(sd_bus *bus, const char *prefix, bool stop) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name, *state;
        int r, n = 0;

        /* The prefix may have characters that mean something in a pattern. */
        r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByPatterns", NULL,
                        &reply, "asas", 0, 1, "arbiter-*.service");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, NULL, &state, NULL,
                                          NULL, NULL, NULL, NULL, NULL)) > 0) {
                if (!startswith(name, prefix))
                        continue;
                if (streq(state, "failed")) {
                        forget_unit(bus, name);
                        continue;
                }
                n++;
                if (stop)
                        r = stop_unit(bus, name);
        }
        return r < 0 ? r : n;
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        bool *changed = userdata;

        *changed = true;
        return 0;
}

static int wait_until_gone(sd_bus *bus, const char *prefix) {
        usec_t until = now_usec() + GONE_USEC;
        bool changed = true;
        int r;

        r = sd_bus_match_signal(bus, NULL, NULL, SYSTEMD_PATH, SYSTEMD_MANAGER, "UnitRemoved", on_changed,
                        &changed);
        if (r >= 0) /* one that would not stop stays, as failed */
                r = sd_bus_match_signal(bus, NULL, NULL, SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved",
                                on_changed, &changed);
        if (r >= 0)
                r = sd_bus_call_method(
                                bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe", NULL, NULL, NULL);
        while (r >= 0 && now_usec() < until) {
                if (changed) {
                        changed = false;
                        r = look(bus, prefix, false);
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

static int stop_instances(const struct daemon *d, sd_bus *bus) {
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
                if (is_instance(line, own)) {
                        log_notice("The arbiter has died: %s is stopped.", line);
                        r = stop_unit(bus, line);
                }
        return r;
}

int unit_sweep(struct daemon *d) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *prefix = NULL;
        int r;

        r = instance_unit_name(d->instance, "-", &prefix);
        if (r >= 0)
                r = manager_open(d, &bus);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(bus, ANSWER_USEC);
        if (r >= 0)
                r = stop_instances(d, bus);
        if (r >= 0)
                r = look(bus, prefix, true);
        if (r > 0) {
                log_notice("The arbiter has died: %d units of its actors are stopped.", r);
                r = wait_until_gone(bus, prefix);
        }
        return r < 0 ? log_error_errno(r, "The units of actors cannot be stopped: %m") : 0;
}
