/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bus and our name on it. Made by arbiter_listen_bus(), and told by connection.c when a connection is
 * over. Connecting, authenticating and asking for the name all go on in the loop; when one fails it is
 * said once, and tried again: soon after a loss, then less and less often, and at once when the bus's
 * socket appears. It must not wait for a bus daemon, nor let an address make sd-bus do so (name
 * resolution, a child process). */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "bus/client.h"
#include "bus/sender.h"
#include "bus/vtables.h"

#define DBUS_NAME "org.freedesktop.DBus"
#define DBUS_PATH "/org/freedesktop/DBus"

#define DELAY_FIRST (20 * USEC_PER_MSEC)
#define DELAY_MAX (2 * USEC_PER_SEC)
/* When the socket is watched and what we wait for is that it appears. */
#define DELAY_WATCHED_MAX (60 * USEC_PER_SEC)
#define DELAY_NAME (10 * USEC_PER_SEC)

enum { NAME_QUEUE = 0, REPLY_OWNER = 1, REPLY_IN_QUEUE = 2, REPLY_ALREADY_OWNER = 4 };

enum { BUFFER_SIZE = 64 * 1024 };

enum { LEVEL_ERROR = 3, LEVEL_WARNING = 4, LEVEL_INFO = 6 };

static const char *bus_kind(const struct bus_client *client) {
        return client->kind == ARBITER_BUS_SYSTEM ? "system" : "user";
}

static void retry_in(struct bus_client *client, usec_t delay) {
        if (client->face->going)
                return;
        (void) sd_event_source_set_time(client->retry, time_add(now_usec(), delay));
        (void) sd_event_source_set_enabled(client->retry, SD_EVENT_ONESHOT);
}

/* After a failure: the delay doubles. */
static void retry_later(struct bus_client *client, int error) {
        bool absent = client->watch && (error == -ENOENT || error == -ECONNREFUSED);

        retry_in(client, client->delay);
        client->delay = MIN(client->delay * 2, absent ? DELAY_WATCHED_MAX : DELAY_MAX);
}

static void tell_connection(struct bus_client *client, int error) {
        if (client->told)
                return;
        client->told = true;
        control_log(client->face->arbiter, LEVEL_WARNING,
                        "The %s bus cannot be reached at %s (%s). It is tried again; actors and the private "
                        "socket are not concerned.",
                        bus_kind(client), client->address, strerror(-error));
}

/* sd-bus asks for 8 MB, in which an answer to one caller would stand behind thousands to another: what is
 * there cannot be overtaken. A failure is not worth a word. */
static void limit_buffer(sd_bus *bus) {
        const int size = BUFFER_SIZE;

        (void) setsockopt(sd_bus_get_fd(bus), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int start_bus(struct bus_client *client, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        (void) sd_bus_set_description(bus, client->kind == ARBITER_BUS_SYSTEM ? "system" : "user");
        r = sd_bus_set_address(bus, client->address);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(bus, true);
        if (r < 0)
                return r;
        /* No command takes descriptors by D-Bus, and so nobody may fill our table with them. */
        r = sd_bus_negotiate_fds(bus, false);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        limit_buffer(bus);
        *ret = TAKE_PTR(bus);
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_client *client = userdata;
        uint32_t pid = 0;

        client->owner = sd_bus_slot_unref(client->owner);
        if (sd_bus_message_is_method_error(m, NULL) || client->name_state != BUS_NAME_WAITING)
                return 0; /* it has gone again: the bus will say so */
        if (bus_read_credential(m, "ProcessID", &pid) >= 0 && kill((pid_t) pid, 0) < 0 && errno == ESRCH)
                return 0; /* an arbiter before us: the bus will hear of its end in a moment */
        client->name_state = BUS_NAME_TAKEN;
        control_log(client->face->arbiter, LEVEL_ERROR,
                        "The name %s on the %s bus belongs to another process (pid %" PRIu32
                        "): stop that one, or "
                        "this. The name is taken as soon as it is free; until then only the private socket "
                        "leads "
                        "here.",
                        client->name, bus_kind(client), pid);
        return 0;
}

static void wait_for_name(struct bus_client *client) {
        client->name_state = BUS_NAME_WAITING;
        client->owner = sd_bus_slot_unref(client->owner);
        (void) sd_bus_call_method_async(client->connection->bus, &client->owner, DBUS_NAME, DBUS_PATH,
                        DBUS_NAME, "GetConnectionCredentials", on_owner, client, "s", client->name);
}

static void name_acquired(struct bus_client *client) {
        if (client->name_state == BUS_NAME_OWNED)
                return;
        client->name_state = BUS_NAME_OWNED;
        client->delay = DELAY_FIRST;
        client->told = false;
        client->refused = false;
        control_log(client->face->arbiter, LEVEL_INFO, "Reachable on the %s bus as %s.", bus_kind(client),
                        client->name);
}

static void name_refused(struct bus_client *client, const sd_bus_error *e) {
        client->name_state = BUS_NAME_NONE;
        retry_in(client, DELAY_NAME);
        /* that the connection is lost is told elsewhere */
        if (client->refused || sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY))
                return;
        client->refused = true;
        control_log(client->face->arbiter, LEVEL_ERROR,
                        "The %s bus does not give us the name %s: %s. Its policy must allow it (%s.conf in "
                        "/usr/share/dbus-1/system.d). It is tried again.",
                        bus_kind(client), client->name, e->message ?: e->name, BUS_NAME);
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_client *client = userdata;
        uint32_t reply = 0;

        client->asked = sd_bus_slot_unref(client->asked);
        if (sd_bus_message_is_method_error(m, NULL)) {
                name_refused(client, sd_bus_message_get_error(m));
                return 0;
        }
        if (sd_bus_message_read(m, "u", &reply) < 0)
                return 0;
        if (reply == REPLY_OWNER || reply == REPLY_ALREADY_OWNER)
                name_acquired(client);
        else if (reply == REPLY_IN_QUEUE && client->name_state == BUS_NAME_ASKED)
                wait_for_name(client);
        return 0;
}

static int ask_for_name(struct bus_client *client) {
        int r;

        client->asked = sd_bus_slot_unref(client->asked);
        r = sd_bus_call_method_async(client->connection->bus, &client->asked, DBUS_NAME, DBUS_PATH,
                        DBUS_NAME, "RequestName", on_name, client, "su", client->name,
                        (uint32_t) NAME_QUEUE);
        if (r >= 0)
                client->name_state = BUS_NAME_ASKED;
        return r;
}

/* What the bus itself says to us; others may send us signals of that name. */
static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_client *client = userdata;
        const char *name;
        bool acquired;

        acquired = sd_bus_message_is_signal(m, DBUS_NAME, "NameAcquired") > 0;
        if (!acquired && sd_bus_message_is_signal(m, DBUS_NAME, "NameLost") <= 0)
                return 0;
        if (!streq_ptr(sd_bus_message_get_sender(m), DBUS_NAME) || sd_bus_message_read(m, "s", &name) < 0 ||
                        !streq(name, client->name))
                return 0;
        if (acquired)
                name_acquired(client);
        else if (client->name_state == BUS_NAME_OWNED) {
                client->name_state = BUS_NAME_NONE;
                control_log(client->face->arbiter, LEVEL_WARNING,
                                "The name %s on the %s bus was taken from us. It is asked for again.",
                                client->name, bus_kind(client));
                retry_in(client, DELAY_FIRST);
        }
        return 0;
}

static int connect_bus(struct bus_client *client) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = start_bus(client, &bus);
        if (r < 0)
                return r;
        r = sd_bus_add_filter(bus, NULL, on_signal, client);
        if (r < 0)
                return r;
        r = bus_connection_new(client->face, bus, client, &client->connection);
        if (r < 0)
                return r;
        return ask_for_name(client);
}

static void try(struct bus_client *client) {
        int r;

        if (client->connection) {
                if (client->name_state == BUS_NAME_NONE && ask_for_name(client) < 0)
                        bus_connection_doom(client->connection);
                return;
        }
        r = connect_bus(client);
        if (client->connection && r >= 0)
                return;
        if (client->connection) {
                bus_connection_doom(client->connection); /* which tells of its end */
                return;
        }
        tell_connection(client, r);
        retry_later(client, r);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        try(userdata);
        return 0;
}

static void on_socket(void *userdata) {
        struct bus_client *client = userdata;

        if (client->connection)
                return;
        client->delay = DELAY_FIRST;
        retry_in(client, 0);
}

void bus_client_lost(struct bus_client *client) {
        bool was_there = client->name_state == BUS_NAME_OWNED;

        client->connection = NULL;
        client->name_state = BUS_NAME_NONE;
        client->asked = sd_bus_slot_unref(client->asked);
        client->owner = sd_bus_slot_unref(client->owner);
        if (client->face->going)
                return;
        if (was_there) {
                client->told = true;
                control_log(client->face->arbiter, LEVEL_WARNING,
                                "The connection to the %s bus is lost. It is made again when the bus is "
                                "back; "
                                "actors and the private socket are not concerned.",
                                bus_kind(client));
        } else
                tell_connection(client, -ECONNRESET);
        retry_later(client, -ECONNRESET);
}

/* A list whose every entry is an AF_UNIX socket. */
static bool address_is_local(const char *address) {
        while (startswith(address, "unix:")) {
                address = strchr(address, ';');
                if (!address || !*++address)
                        return true;
        }
        return false;
}

int bus_client_new(struct bus_face *f, arbiter_bus kind, const char *name, const char *address,
                struct bus_client **ret) {
        _cleanup_(bus_client_freep) struct bus_client *client = NULL;
        sd_event *event = arbiter_get_event(f->arbiter);
        int r;

        if (!address_is_local(address))
                return -EPROTONOSUPPORT;
        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        client->face = f;
        client->kind = kind;
        client->delay = DELAY_FIRST;
        list_append(&f->clients, &client->clients);
        client->name = strdup(name);
        client->address = strdup(address);
        if (!client->name || !client->address)
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &client->retry, CLOCK_MONOTONIC, 0, 1, on_retry, client);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(client->retry, "arbiter-bus-retry");
        /* Without it we look every two seconds. */
        r = bus_watch_new(event, address, on_socket, client, &client->watch);
        if (r == -ENOMEM)
                return r;
        *ret = TAKE_PTR(client);
        return 0;
}

struct bus_client *bus_client_free(struct bus_client *client) {
        struct bus_connection *c;

        if (!client)
                return NULL;
        c = TAKE_PTR(client->connection);
        client->asked = sd_bus_slot_unref(client->asked);
        client->owner = sd_bus_slot_unref(client->owner);
        (void) bus_connection_free(c);
        list_remove(&client->clients);
        sd_event_source_disable_unref(client->retry);
        client->watch = bus_watch_free(client->watch);
        free(client->name);
        free(client->address);
        free(client);
        return NULL;
}
