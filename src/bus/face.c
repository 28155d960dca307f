/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The face as a whole: made and freed by the arbiter (bus.h), and the little that all its parts share:
 * paths, and strings that are fit for a bus. It may use the arbiter only through arbiter/control.h and the
 * public headers. */

#include <ctype.h>
#include <stdio.h>

#include "bus/client.h"
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
        list_init(&f->clients);
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

/* The address of a socket; the escapes are those of the D-Bus specification. */
static int address_of(const char *directory, const char *socket, char **ret) {
        char *address, *to;

        address = malloc(strlen("unix:path=") + 3 * strlen(directory) + strlen(socket) + 2);
        if (!address)
                return -ENOMEM;
        to = stpcpy(address, "unix:path=");
        for (; *directory; directory++) {
                if (isalnum((unsigned char) *directory) || strchr("-_/.", *directory))
                        *to++ = *directory;
                else
                        to += sprintf(to, "%%%02x", (unsigned char) *directory);
        }
        (void) stpcpy(stpcpy(to, "/"), socket);
        *ret = address;
        return 0;
}

/* As sd_bus_open_system() and sd_bus_open_user() find them. */
static int find_address(arbiter_bus bus, char **ret) {
        const char *given, *directory;

        given = secure_getenv(
                        bus == ARBITER_BUS_SYSTEM ? "DBUS_SYSTEM_BUS_ADDRESS" : "DBUS_SESSION_BUS_ADDRESS");
        if (given || bus == ARBITER_BUS_SYSTEM) {
                *ret = strdup(given ?: "unix:path=/run/dbus/system_bus_socket");
                return *ret ? 0 : -ENOMEM;
        }
        directory = secure_getenv("XDG_RUNTIME_DIR");
        if (!directory || directory[0] != '/')
                return -ENOMEDIUM;
        return address_of(directory, "bus", ret);
}

int bus_face_listen_bus(struct bus_face *f, arbiter_bus bus, const char *name, const char *address) {
        _cleanup_free_ char *found = NULL;
        struct bus_client *client;
        int r;

        if (bus != ARBITER_BUS_SYSTEM && bus != ARBITER_BUS_USER)
                return -EINVAL;
        name = name ?: BUS_NAME;
        if (sd_bus_service_name_is_valid(name) <= 0 || name[0] == ':')
                return -EINVAL;
        LIST_FOREACH(other, &f->clients, struct bus_client, clients)
                if (other->kind == bus)
                        return -EALREADY;
        if (!address) {
                r = find_address(bus, &found);
                if (r < 0)
                        return r;
        }
        return bus_client_new(f, bus, name, address ?: found, &client);
}

bool bus_face_is_settled(struct bus_face *f) {
        LIST_FOREACH(client, &f->clients, struct bus_client, clients)
                if (!bus_client_is_settled(client))
                        return false;
        return true;
}

struct bus_face *bus_face_free(struct bus_face *f) {
        if (!f)
                return NULL;
        f->going = true;
        f->socket = private_socket_free(f->socket);
        LIST_FOREACH(client, &f->clients, struct bus_client, clients)
                (void) bus_client_free(client);
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections)
                (void) bus_connection_free(c);
        bus_signals_stop(f);
        bulk_done(&f->bulk);
        free(f);
        return NULL;
}

/* Without sd_bus_path_encode()'s work: lists have a thousand of them. Of the characters of an aid it
 * escapes a digit, in the first place. */
size_t bus_actor_path(const char *id, char ret[static ACTOR_PATH_SIZE]) {
        char *p = ret + sizeof(BUS_PATH_ACTOR);

        memcpy(ret, BUS_PATH_ACTOR "/", sizeof(BUS_PATH_ACTOR));
        if (id[0] >= '0' && id[0] <= '9') {
                memcpy(p, "_3", 2);
                p += 2;
        }
        memcpy(p, id, AID_SIZE);
        p[AID_SIZE] = 0;
        return (size_t) (p - ret) + AID_SIZE;
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
