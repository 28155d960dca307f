/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection: the vtables on one sd_bus, its drive from the arbiter's loop, and the calls that wait for
 * futures. Called by the private socket for each peer, by client.c for a bus, and by the loop.
 *
 * The drive is ours, not sd_bus_attach_event(), for one reason: a peer that sends requests and does not read
 * the answers must not make us keep them all. Such a peer is not read from until it reads. Signals do not
 * wait for it: past their bound it is disconnected. Nothing here may block, or free a connection while
 * sd-bus is inside it. */

#include <sys/epoll.h>
#include <sys/socket.h>

#include "basic/fd.h"
#include "bus/client.h"
#include "bus/error.h"
#include "bus/sender.h"
#include "bus/unsaid.h"
#include "bus/vtables.h"

enum {
        READ_MAX = 256, /* messages of a bus, a turn */
        /* So many, and there are more: dbus-broker passes on sixteen at a time. */
        READ_MANY = 16,
        /* Answers that a bus has not taken, all of them refusals by then: from here on it is not read
         * from. Until then it is, or those who have asked little would wait behind those who have asked
         * too much. */
        BUS_QUEUE_PAUSE = 2048,
        BUS_PIPE_SIZE = 64 * 1024, /* the kernel doubles it, and counts its own expense */
};

static int register_objects(struct bus_connection *c) {
        int r;

        r = sd_bus_add_object_manager(c->bus, NULL, BUS_PATH);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(c->bus, NULL, BUS_PATH, BUS_INTERFACE_MANAGER, bus_manager_vtable, c);
        if (r < 0)
                return r;
        r = sd_bus_add_fallback_vtable(c->bus, NULL, BUS_PATH_ACTOR, BUS_INTERFACE_ACTOR, bus_actor_vtable,
                        bus_actor_find, c);
        if (r < 0)
                return r;
        r = sd_bus_add_fallback_vtable(c->bus, NULL, BUS_PATH_MONITOR, BUS_INTERFACE_MONITOR,
                        bus_monitor_vtable, bus_monitor_find, c);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(c->bus, NULL, BUS_PATH_ACTOR, bus_actor_enumerate, c);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(c->bus, NULL, BUS_PATH_MONITOR, bus_monitor_enumerate, c);
        if (r < 0)
                return r;
        return c->face->has_log_control ? bus_log_control_register(c) : 0;
}

static bool is_clogged(struct bus_connection *c, uint64_t limit) {
        uint64_t queued = 0;

        return sd_bus_get_n_queued_write(c->bus, &queued) < 0 || queued >= limit;
}

/* A bus: all that call by it are behind one socket. What is there is read and put aside by sender
 * (queue.c), so that one with thousands of messages does not stand before the others. */
static int drive_client(struct bus_connection *c) {
        unsigned n = 0;
        int r = 1;

        for (; r > 0 && n < READ_MAX && !c->doomed; n++) {
                if (n > 0 && is_clogged(c, BUS_QUEUE_PAUSE))
                        break;
                r = sd_bus_process(c->bus, NULL);
        }
        if (r < 0 || c->doomed || is_clogged(c, QUEUE_PAUSE))
                return r;
        bus_queue_run(c->senders, n > READ_MANY);
        bus_unsaid_run(c->unsaid);
        return 0;
}

/* Of a peer one message per turn, so that a busy one leaves the others theirs. What comes together with the
 * last line of its authentication sd-bus has read by then, and tells nobody: neither the socket nor its
 * timeout. So at first it is asked again until it has nothing to do. */
static int drive_peer(struct bus_connection *c) {
        int r = sd_bus_process(c->bus, NULL);

        c->ask_again = !c->settled && r > 0;
        c->settled = c->settled || (r == 0 && sd_bus_is_ready(c->bus) > 0);
        return r;
}

static void drive(struct bus_connection *c) {
        arbiter *a = c->face->arbiter;
        int r = -ENOTCONN;

        control_turn_begin(a);
        if (!c->doomed)
                r = c->client ? drive_client(c) : drive_peer(c);
        if (r < 0 || c->doomed || sd_bus_is_open(c->bus) <= 0)
                (void) bus_connection_free(c);
        control_turn_end(a);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        drive(userdata);
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        drive(userdata);
        return 0;
}

static int set_timer(struct bus_connection *c, uint64_t usec) {
        int r;

        r = sd_event_source_set_time(c->timer, usec);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(c->timer, usec == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int prepare(struct bus_connection *c) {
        uint64_t until = UINT64_MAX, due = UINT64_MAX;
        int events, r;

        if (c->doomed)
                return -ENOTCONN;
        events = sd_bus_get_events(c->bus);
        if (events < 0)
                return events;
        if (is_clogged(c, c->client ? BUS_QUEUE_PAUSE : QUEUE_PAUSE))
                events &= ~EPOLLIN;
        r = sd_event_source_set_io_events(c->io, (uint32_t) events);
        if (r < 0)
                return r;
        r = sd_bus_get_timeout(c->bus, &until);
        if (r < 0)
                return r;
        if (c->client && !is_clogged(c, QUEUE_PAUSE))
                due = bus_unsaid_is_pending(c->unsaid) ? 0 : bus_queue_due(c->senders);
        /* What is due at once, too, and not by a defer source, which sd-event takes as pending since it was
         * made: it would run before all others of its priority, for as long as there is work. */
        return set_timer(c, c->ask_again ? 0 : MIN(until, due));
}

/* Before each poll: what to wait for. A connection that is over is freed by its timer, at once. */
static int on_prepare(sd_event_source *s, void *userdata) {
        struct bus_connection *c = userdata;

        if (prepare(c) < 0) {
                bus_connection_doom(c);
                (void) set_timer(c, 0);
        }
        return 0;
}

void bus_connection_doom(struct bus_connection *c) {
        c->doomed = true;
}

static int add_sources(struct bus_connection *c) {
        sd_event *event = arbiter_get_event(c->face->arbiter);
        int fd, r;

        /* A descriptor of our own: sd-bus closes its one as soon as the other end is gone, while it is
         * polled. The kernel would go on polling it for as long as a child has a copy, for a source that
         * is no more, and the number may be another's by the time that the source is taken off. */
        fd = sd_bus_get_fd(c->bus);
        if (fd < 0)
                return fd;
        fd = fd_duplicate(fd);
        if (fd < 0)
                return fd;
        r = sd_event_add_io(event, &c->io, fd, EPOLLIN, on_io, c);
        if (r < 0) {
                close_fd(fd);
                return r;
        }
        (void) sd_event_source_set_io_fd_own(c->io, true);
        (void) sd_event_source_set_description(c->io, "arbiter-bus-connection");
        r = sd_event_source_set_prepare(c->io, on_prepare);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &c->timer, CLOCK_MONOTONIC, 0, 1, on_timer, c);
        if (r < 0)
                return r;
        return set_timer(c, UINT64_MAX);
}

/* sd-bus has made it 8 MB where it may: answers of a second, to be looked through by the bus daemon before
 * it comes to that for somebody else. What does not fit waits here, where it is known of. */
static void shorten_pipe(struct bus_connection *c) {
        int size = BUS_PIPE_SIZE, fd = sd_bus_get_fd(c->bus);

        if (fd >= 0)
                (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int add_client_parts(struct bus_connection *c) {
        int r;

        shorten_pipe(c);

        r = bus_senders_new(c, &c->senders);
        if (r < 0)
                return r;
        return bus_unsaid_new(c, &c->unsaid);
}

int bus_connection_new(
                struct bus_face *f, sd_bus *bus, struct bus_client *client, struct bus_connection **ret) {
        _cleanup_(bus_connection_freep) struct bus_connection *c = NULL;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->face = f;
        c->bus = sd_bus_ref(bus);
        list_init(&c->calls);
        list_append(&f->connections, &c->connections);
        if (client) {
                r = add_client_parts(c);
                if (r < 0)
                        return r;
                c->client = client; /* from here on it is told of our end */
        } else
                f->n_connections++;

        r = register_objects(c);
        if (r < 0)
                return r;
        r = add_sources(c);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

/* The call leaves its connection and its sender. */
static void forget_call(struct bus_call *call) {
        list_remove(&call->calls);
        if (call->sender)
                bus_sender_remove_call(call);
        if (call->connection)
                call->connection->n_calls--;
        call->message = sd_bus_message_unref(call->message);
        call->connection = NULL;
}

void bus_call_abandon(struct bus_call *call) {
        bool going = call->connection && call->connection->face->going;

        forget_call(call);
        if (call->request && !going)
                (void) arbiter_future_cancel(call->request);
}

struct bus_connection *bus_connection_free(struct bus_connection *c) {
        struct bus_client *client;

        if (!c)
                return NULL;
        client = c->client;
        LIST_FOREACH(call, &c->calls, struct bus_call, calls)
                bus_call_abandon(call);
        c->senders = bus_senders_free(c->senders);
        c->unsaid = bus_unsaid_free(c->unsaid);
        sd_event_source_disable_unref(c->io);
        sd_event_source_disable_unref(c->timer);
        list_remove(&c->connections);
        if (!client)
                c->face->n_connections--;
        sd_bus_close(c->bus);
        sd_bus_unref(c->bus);
        free(c);
        if (client)
                bus_client_lost(client);
        return NULL;
}

int bus_call_new(struct bus_connection *c, sd_bus_message *m,
                int (*answer)(struct bus_call *c, arbiter_future *f), sd_bus_error *error,
                struct bus_call **ret) {
        _cleanup_(bus_call_freep) struct bus_call *call = NULL;
        int r;

        if (!c->client && c->n_calls >= CALLS_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "%u calls of this connection wait for their answers, more are not accepted. "
                                "Nothing was done: try again when some are answered.",
                                c->n_calls);
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->connection = c;
        call->message = sd_bus_message_ref(m);
        call->answer = answer;
        call->started_usec = now_usec();
        list_append(&c->calls, &call->calls);
        c->n_calls++;
        if (c->client) {
                r = bus_sender_add_call(c, call, error);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(call);
        return 0;
}

struct bus_call *bus_call_free(struct bus_call *call) {
        if (!call)
                return NULL;
        forget_call(call);
        (void) arbiter_future_unref(call->request);
        free(call);
        return NULL;
}

static void on_resolved(arbiter_future *f, void *userdata) {
        _cleanup_(bus_call_freep) struct bus_call *call = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        if (!call->connection || call->connection->doomed)
                return;
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                r = bus_error_set_future(&error, f);
        else
                r = call->answer(call, f);
        if (r >= 0)
                return;
        if (sd_bus_error_is_set(&error))
                r = sd_bus_reply_method_error(call->message, &error);
        else
                r = sd_bus_reply_method_errnof(call->message, r,
                                "The work was done, but its answer cannot be sent: %s.", strerror(-r));
        /* Nothing can be said: the end of its connection tells a peer so. Others call by a bus as well, and
         * their caller has a timeout. */
        if (r < 0 && !call->connection->client)
                bus_connection_doom(call->connection);
}

int bus_call_wait(struct bus_call *call, arbiter_future *f) {
        int r;

        r = arbiter_future_then(f, on_resolved, call);
        if (r < 0) {
                (void) bus_call_free(call);
                return r;
        }
        return 1;
}

int bus_call_wait_cancel(struct bus_call *call, arbiter_future *f) {
        call->request = arbiter_future_ref(f);
        return bus_call_wait(call, f);
}

int bus_call_answer_empty(struct bus_call *call, arbiter_future *f) {
        return sd_bus_reply_method_return(call->message, NULL);
}
