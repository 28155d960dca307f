/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways to the manager whose service arbiterd is. Called by scope-request.c, unit-sweep.c and stop-query.c.
 * Nothing here waits for an answer. */

#include <fcntl.h>
#include <systemd/sd-bus.h>

#include "arbiterd/daemon.h"
#include "arbiterd/manager.h"
#include "basic/fd.h"

#define ATTRIBUTE_MAX 4096

static bool is_of_user(const struct daemon *d) {
        return d->mode != DAEMON_SYSTEM;
}

int manager_open(const struct daemon *d, sd_bus **ret) {
        return systemd_bus_open(is_of_user(d), "manager", ret);
}

int manager_open_direct(const struct daemon *d, sd_bus **ret) {
        return systemd_bus_open_direct(is_of_user(d), "manager", ret);
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
