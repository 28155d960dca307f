/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The face as a whole: made and freed by the arbiter (bus.h), and the little that all its parts share:
 * paths, and strings that are fit for a bus. It may use the arbiter only through arbiter/control.h and the
 * public headers. */

#include "bus/error.h"
#include "bus/face.h"
#include "bus/private-socket.h"
#include "bus/vtables.h"

int bus_face_new(arbiter *a, struct bus_face **ret) {
        _cleanup_(bus_face_freep) struct bus_face *f = NULL;
        int r;

        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->arbiter = a;
        f->started_usec = now_usec();
        list_init(&f->connections);
        r = bus_signals_start(f);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

int bus_face_listen(struct bus_face *f, const char *path) {
        if (f->socket)
                return -EALREADY;
        return private_socket_new(f, path, &f->socket);
}

struct bus_face *bus_face_free(struct bus_face *f) {
        if (!f)
                return NULL;
        f->socket = private_socket_free(f->socket);
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections)
                (void) bus_connection_free(c);
        bus_signals_stop(f);
        free(f);
        return NULL;
}

/* Without sd_bus_path_encode()'s allocation: lists have a thousand of them. */
void bus_actor_path(const char *id, char ret[static ACTOR_PATH_SIZE]) {
        static const char digits[] = "0123456789abcdef";
        char *p = ret + sizeof(BUS_PATH_ACTOR) - 1;

        memcpy(ret, BUS_PATH_ACTOR, sizeof(BUS_PATH_ACTOR) - 1);
        *p++ = '/';
        for (size_t i = 0; i < AID_SIZE && id[i]; i++) {
                uint8_t c = (uint8_t) id[i];

                if ((c >= 'a' && c <= 'z') || (i > 0 && c >= '0' && c <= '9')) {
                        *p++ = (char) c;
                        continue;
                }
                *p++ = '_';
                *p++ = digits[c >> 4];
                *p++ = digits[c & 15];
        }
        *p = 0;
}

const char *bus_text(const char *s, char buffer[static TEXT_SIZE]) {
        size_t n = 0;

        if (!s)
                return "";
        if (bus_utf8_is_valid(s))
                return s;
        for (; s[n] && n < TEXT_SIZE - 1; n++)
                buffer[n] = (uint8_t) s[n] < 0x80 ? s[n] : '?';
        buffer[n] = 0;
        return buffer;
}
