/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one place where the face meets the arbiter that it belongs to: arbiter_listen_private() and _bus(),
 * and where the arbiter gets its spawner of units: arbiter_use_systemd(). Apart from the rest of the
 * face, which knows control.h only and is tested without an arbiter. */

#include <stdio.h>
#include <sys/un.h>

#include "arbiter/internal.h"
#include "bus/bus.h"
#include "bus/systemd.h"

static void face_free(void *face) {
        (void) bus_face_free(face);
}

static int get_face(arbiter *a, struct bus_face **ret) {
        struct bus_face *face;
        int r;

        if (!a->face) {
                r = bus_face_new(a, &face);
                if (r < 0)
                        return r;
                a->face = face;
                a->face_free = face_free;
        }
        *ret = a->face;
        return 0;
}

_public_ int arbiter_listen_private(arbiter *a, const char *path) {
        char buffer[sizeof(((struct sockaddr_un *) 0)->sun_path)];
        struct bus_face *face;
        int r;

        if (!a || (!path && !a->runtime_directory))
                return -EINVAL;
        if (!path) {
                if ((size_t) snprintf(buffer, sizeof(buffer), "%s/private", a->runtime_directory) >=
                                sizeof(buffer))
                        return -ENAMETOOLONG;
                path = buffer;
        }
        r = get_face(a, &face);
        if (r < 0)
                return r;
        return bus_face_listen(face, path);
}

_public_ int arbiter_listen_bus(arbiter *a, arbiter_bus bus, const char *name) {
        struct bus_face *face;
        int r;

        if (!a)
                return -EINVAL;
        r = get_face(a, &face);
        if (r < 0)
                return r;
        return bus_face_listen_bus(face, bus, name, NULL);
}

_public_ int arbiter_use_systemd(arbiter *a, arbiter_bus bus) {
        struct systemd *s;
        int r;

        if (!a || !a->instance || !*a->instance || (bus != ARBITER_BUS_SYSTEM && bus != ARBITER_BUS_USER))
                return -EINVAL;
        if (a->unit_ops)
                return -EALREADY;
        r = systemd_new(a, a->event, bus, NULL, &s);
        if (r < 0)
                return r;
        a->systemd = s;
        a->unit_ops = &systemd_ops;
        return 0;
}

_public_ int arbiter_bus_is_settled(arbiter *a) {
        if (!a)
                return -EINVAL;
        return !a->face || bus_face_is_settled(a->face);
}

_public_ int arbiter_set_log_control(arbiter *a, const arbiter_log_control *control, void *userdata) {
        struct bus_face *face;
        int r;

        if (!a || !control)
                return -EINVAL;
        r = get_face(a, &face);
        if (r < 0)
                return r;
        return bus_face_set_log_control(face, control, userdata);
}
