/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways to the manager whose service arbiterd is. Called by scope-request.c, unit-sweep.c and stop-query.c.
 * Nothing here waits for an answer. */

#include <fcntl.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#include "arbiterd/daemon.h"
#include "arbiterd/manager.h"
#include "basic/fd.h"

#define ATTRIBUTE_MAX 4096

/* Without a bus daemon, as systemctl does it. */
static int open_private(const struct daemon *d, sd_bus **ret) {
        const char *base = d->mode == DAEMON_SYSTEM ? "/run" : getenv("XDG_RUNTIME_DIR");
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *address = NULL;
        int r;

        if (!base || asprintf(&address, "unix:path=%s/systemd/private", base) < 0) {
                address = NULL;
                return base ? -ENOMEM : -ENXIO;
        }
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int open_bus(const struct daemon *d, sd_bus **ret) {
        return d->mode == DAEMON_SYSTEM ? sd_bus_open_system_with_description(ret, "manager")
                                        : sd_bus_open_user_with_description(ret, "manager");
}

static int open_one(const struct daemon *d, int (*first)(const struct daemon *d, sd_bus **ret),
                int (*second)(const struct daemon *d, sd_bus **ret), sd_bus **ret) {
        int r, q;

        r = first(d, ret);
        if (r >= 0)
                return 0;
        q = second(d, ret);
        return q >= 0 ? 0 : r;
}

int manager_open(const struct daemon *d, sd_bus **ret) {
        return open_one(d, open_bus, open_private, ret);
}

int manager_open_direct(const struct daemon *d, sd_bus **ret) {
        return open_one(d, open_private, open_bus, ret);
}

int manager_own_service(char **ret) {
        _cleanup_free_ char *text = NULL;
        char *name, *end;
        int r;

        *ret = NULL;
        r = read_file_full(AT_FDCWD, "/proc/self/cgroup", ATTRIBUTE_MAX, &text, NULL);
        name = r < 0 ? NULL : strstr(text, "0::/");
        end = name ? name + strcspn(name, "\n") : NULL;
        if (!end)
                return 0;
        *end = 0;
        name = strrchr(name, '/') + 1;
        end = strrchr(name, '.');
        if (!end || !streq(end, ".service"))
                return 0;
        *ret = strdup(name);
        return *ret ? 0 : -ENOMEM;
}
