/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The arbiter as a client of a bus: a connection that is made again whenever it is lost, and a name. */

#include "bus/bus-watch.h"
#include "bus/face.h"

enum bus_name_state {
        BUS_NAME_NONE,
        BUS_NAME_ASKED,
        BUS_NAME_WAITING, /* in the bus's queue for it */
        BUS_NAME_TAKEN,   /* and who has it is there to stay; that was told */
        BUS_NAME_OWNED,
};

struct bus_client {
        struct list_node clients; /* of the face */
        struct bus_face *face;
        arbiter_bus kind;
        char *name, *address;
        struct bus_connection *connection; /* NULL: there is none now */
        enum bus_name_state name_state;
        sd_bus_slot *asked, *owner;
        sd_event_source *retry; /* of the connection, or of the name */
        struct bus_watch *watch;
        usec_t delay;
        bool told;    /* that there is no connection, since there was one */
        bool refused; /* the same of the name */
};

/* name and address are copied. Connects from the loop. */
int bus_client_new(struct bus_face *f, arbiter_bus kind, const char *name, const char *address,
                struct bus_client **ret);
struct bus_client *bus_client_free(struct bus_client *client);
DEFINE_CLEANUP(struct bus_client *, bus_client_free);

/* Its connection has just been freed. */
void bus_client_lost(struct bus_client *client);
/* Its first attempt has had an outcome: the name, or a failure that was told and is tried again. Not if
 * it is in the queue behind one who has ended, of whom the bus has not heard that yet: calls would go to
 * him. */
static inline bool bus_client_is_settled(const struct bus_client *client) {
        return client->name_state >= BUS_NAME_TAKEN || client->told || client->refused;
}
static inline bool bus_client_has_name(const struct bus_client *client) {
        return client->name_state == BUS_NAME_OWNED;
}
