/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of the face: the face, its connections, the calls that wait for a future, and the objects that
 * vtables are called with. One struct bus_connection per sd_bus, whatever is at the other end: a peer of the
 * private socket, or the system's or the user's bus with everybody who calls by it. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "arbiter/control.h"
#include "basic/map.h"
#include "bus/bulk-reply.h"
#include "bus/bus.h"
#include "shared/bus-names.h"

enum {
        CONNECTIONS_MAX = 256,
        CALLS_MAX = 1024,  /* that wait for a future, per peer of the private socket; more are refused */
        QUEUE_PAUSE = 32,  /* messages not taken by the peer: from here on we read no more requests ... */
        QUEUE_DROP = 4096, /* ... and here it is disconnected: it does not read its signals */
        ACTOR_PATH_SIZE = sizeof(BUS_PATH_ACTOR) + 1 + 3 * AID_SIZE,
        TEXT_SIZE = 256,
};

/* What vtables get as userdata: the properties are read at their offsets. Filled when a path is looked up,
 * valid for that dispatch only. */
struct actor_object {
        struct bus_connection *connection;
        struct actor_view view;
        const char *concurrency, *state, *last_reason;
        const char *description, *program, *status;
        uint32_t pid;
        int plain, ready, draining;
        char text[3][TEXT_SIZE]; /* of the three above, when what was given is no UTF-8 */
};

struct monitor_object {
        struct bus_connection *connection;
        struct monitor_view view;
        const char *description;
        char text[TEXT_SIZE];
};

struct bus_connection {
        struct list_node connections;
        struct bus_face *face;
        sd_bus *bus;
        sd_event_source *io, *timer;
        struct bus_client *client;   /* of a bus (client.h); NULL: a peer of the private socket */
        struct bus_senders *senders; /* who calls by the bus (sender.h); NULL for a peer */
        struct bus_unsaid *unsaid;   /* signals held back (unsaid.h); NULL for a peer */
        struct list_node calls;
        unsigned n_calls;
        bool settled, ask_again; /* of a peer: it is past its authentication; see drive_peer() */
        bool doomed; /* freed from the loop as soon as nobody is inside it */
        struct actor_object actor;
        struct monitor_object monitor;
};

struct bus_face {
        arbiter *arbiter;
        struct control_observer observer;
        map *actors, *monitors; /* aid, resp. name -> what was last told to the world: signals.c */
        struct list_node connections, clients;
        unsigned n_connections; /* of the private socket */
        bool has_log_control, going;
        arbiter_log_control log_control;
        void *log_control_userdata;
        usec_t started_usec;
        sd_event_source *counts; /* armed when NActors or NMonitors changed: they are told once per turn */
        size_t told_actors, told_monitors;
        /* What an observer was just given, so that emitting about it looks nothing up. */
        const struct actor_view *current_actor;
        const struct monitor_view *current_monitor;
        struct private_socket *socket;
        struct bulk bulk; /* for one table at a time */
};

/* Takes its own reference to the bus, registers all vtables on it and drives it from the arbiter's loop. The
 * connection frees itself when the other end is gone; the client (NULL for a peer) is told. */
int bus_connection_new(
                struct bus_face *f, sd_bus *bus, struct bus_client *client, struct bus_connection **ret);
struct bus_connection *bus_connection_free(struct bus_connection *c);
DEFINE_CLEANUP(struct bus_connection *, bus_connection_free);
/* To be freed from the loop: safe wherever we are. */
void bus_connection_doom(struct bus_connection *c);

/* May the sender of this message do it (BUS_ACTION_* of bus-names.h)? > 0: yes; < 0: no, with the error
 * set; 0: not known yet, the message comes again if it may: the handler returns 1 and has changed
 * nothing. Peers of the private socket were authorised when they were accepted. */
int bus_authorize(struct bus_connection *c, sd_bus_message *m, const char *action, sd_bus_error *error);

/* A method call that is answered when a future resolves. It outlives its connection: then nobody is
 * answered. */
struct bus_call {
        struct list_node calls;
        struct bus_connection *connection; /* NULL, and no message: the caller has vanished */
        struct list_node of_sender;
        struct bus_sender *sender; /* on a bus */
        sd_bus_message *message;
        arbiter_future *request; /* to be cancelled when the caller vanishes; NULL: the work goes on */
        /* Called for a reply only; < 0 becomes the error. */
        int (*answer)(struct bus_call *c, arbiter_future *f);
        usec_t started_usec;
        uint32_t before;
};

/* Before the work begins: refuses when too many are waiting. */
int bus_call_new(struct bus_connection *c, sd_bus_message *m,
                int (*answer)(struct bus_call *c, arbiter_future *f), sd_bus_error *error,
                struct bus_call **ret);
struct bus_call *bus_call_free(struct bus_call *c);
DEFINE_CLEANUP(struct bus_call *, bus_call_free);
/* Hands the call over to the future. Returns 1 for the handler to return. The work outlives its caller
 * ... */
int bus_call_wait(struct bus_call *c, arbiter_future *f);
/* ... or, a mere request to an actor, is cancelled with it. */
int bus_call_wait_cancel(struct bus_call *c, arbiter_future *f);
/* Its caller has vanished. */
void bus_call_abandon(struct bus_call *c);
/* The answer without values. */
int bus_call_answer_empty(struct bus_call *c, arbiter_future *f);

/* The object's path, and its length; the escaping is sd_bus_path_encode()'s. */
size_t bus_actor_path(const char *id, char ret[static ACTOR_PATH_SIZE]);
/* s, or, when it is no UTF-8 and so must not go on a bus, what can be shown of it. */
const char *bus_text(const char *s, char buffer[static TEXT_SIZE]);
