/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways to systemd's manager. Called by arbiterd (manager.c) and by the keeper (service-watch.c). Nothing
 * here waits for an answer. */

#include <stdio.h>
#include <systemd/sd-bus.h>

#include "shared/systemd-bus.h"

typedef int (*open_fn)(bool user, const char *description, sd_bus **ret);

/* Without a bus daemon, as systemctl does it. */
static int open_private(bool user, const char *description, sd_bus **ret) {
        const char *base = user ? getenv("XDG_RUNTIME_DIR") : "/run";
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *address = NULL;
        int r;

        if (!base || asprintf(&address, "unix:path=%s/systemd/private", base) < 0) {
                address = NULL;
                return base ? -ENOMEM : -ENXIO;
        }
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_description(bus, description);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int open_bus(bool user, const char *description, sd_bus **ret) {
        return user ? sd_bus_open_user_with_description(ret, description)
                    : sd_bus_open_system_with_description(ret, description);
}

static int open_either(open_fn first, open_fn second, bool user, const char *description, sd_bus **ret) {
        int r;

        r = first(user, description, ret);
        return r >= 0 || second(user, description, ret) >= 0 ? 0 : r;
}

int systemd_bus_open(bool user, const char *description, sd_bus **ret) {
        return open_either(open_bus, open_private, user, description, ret);
}

int systemd_bus_open_direct(bool user, const char *description, sd_bus **ret) {
        return open_either(open_private, open_bus, user, description, ret);
}
