/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one place where the face meets the arbiter that it belongs to: arbiter_listen_private(). Apart from
 * the rest of the face, which knows control.h only and is tested without an arbiter. */

#include <stdio.h>

#include "arbiter/internal.h"
#include "bus/bus.h"

static void face_free(void *face) {
        (void) bus_face_free(face);
}

_public_ int arbiter_listen_private(arbiter *a, const char *path) {
        char buffer[sizeof(((struct sockaddr_un *) 0)->sun_path)];
        struct bus_face *face;
        int r;

        if (!a || (!path && !a->runtime_directory))
                return -EINVAL;
        if (!path) {
                if ((size_t)snprintf(buffer, sizeof(buffer), "%s/private", a->runtime_directory) >=
                                sizeof(buffer))
                        return -ENAMETOOLONG;
                path = buffer;
        }
        if (!a->face) {
                r = bus_face_new(a, &face);
                if (r < 0)
                        return r;
                a->face = face;
                a->face_free = face_free;
        }
        return bus_face_listen(a->face, path);
}
