/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who calls by a bus. All share one socket, so what a peer of the private socket has by being a
 * connection of its own, a sender has here: a queue (queue.c), bounds on what waits for it, and an end
 * (sender.c); and what it may do is asked (authorize.c). */

#include "bus/face.h"
#include "bus/pace.h"

enum {
        SENDERS_MAX = 1024,        /* records */
        /* of them, with a match rule each: dbus-daemon has 512 for a connection */
        SENDERS_WATCHED_MAX = 400,
        SENDERS_IDLE_MAX = 32,     /* kept although they want nothing, to be known when they come again */
        SENDERS_UID_MAX = 128,     /* of one user's, that wait for something */
        SENDER_CALLS_MAX = 256,    /* that wait for a future */
        UID_CALLS_MAX = 1024,
        BUS_CALLS_MAX = 4096,
        SENDER_CHECKS_MAX = 16,    /* that wait for an authorisation: its next messages stay in its queue */
        SENDER_MESSAGES_MAX = 8192, /* in its queue */
        SENDER_BYTES_MAX = 8 * 1024 * 1024,
        QUEUE_MESSAGES_MAX = 32768, /* in all queues */
        QUEUE_BYTES_MAX = 32 * 1024 * 1024,
        MESSAGE_LARGE = 64 * 1024, /* one for each sender, and ... */
        QUEUE_LARGE_MAX = 4,
        ASKED_LARGE_MAX = 8, /* for which polkit is asked: one for each user */
        UID_BYTES_MAX = 8 * 1024 * 1024, /* of one user's, when polkit is to be asked for more */
};

struct bus_sender {
        struct bus_senders *senders;
        struct list_node ready; /* while it has messages that may be dispatched, or is kept idle */
        bool is_idle, large;
        unsigned n_holds; /* code that uses the record now */
        struct list_node messages, calls, checks;
        unsigned n_messages, n_calls, n_checks;
        size_t n_bytes; /* of messages and checks */
        /* It is watched from the first call on that is more than a read: its end, and who it is. */
        bool watched, known, unwatchable;
        uid_t uid;
        sd_bus_slot *match, *credentials;
        char name[];
};

/* A message that waits for an authorisation. */
struct bus_check {
        struct list_node checks;  /* of the sender */
        struct list_node granted; /* of the connection: to be dispatched again */
        struct bus_sender *sender;
        sd_bus_message *message;
        const char *action;
        size_t size;
        bool large, asked_large; /* it counts as one in the queues, and then as one that is asked for */
        sd_bus_slot *asked;      /* polkit */
        uint64_t id;
};

struct bus_senders {
        struct bus_connection *connection;
        struct pace pace;
        map *by_name;
        struct list_node ready, idle, granted;
        unsigned n_idle, n_watched, n_messages, n_large, n_asked_large;
        size_t n_bytes;
        uint64_t last_check;
        sd_bus_message *current;    /* given back to sd-bus: the filter lets it through */
        size_t current_size;
        bool current_large;
        struct bus_check *grant;    /* by which it is */
};

int bus_senders_new(struct bus_connection *c, struct bus_senders **ret);
struct bus_senders *bus_senders_free(struct bus_senders *q);
DEFINE_CLEANUP(struct bus_senders *, bus_senders_free);

/* The record of a message's sender; new: made if there is none. NULL: no room, or nobody. */
struct bus_sender *bus_sender_get(struct bus_senders *q, sd_bus_message *m, bool new);
/* Asks the bus for its user, and to be told of its end. A refusal goes to all its checks. -ENOBUFS: too many
 * are watched. */
int bus_sender_watch(struct bus_sender *s);
/* A number in the answer of GetConnectionCredentials. -ENODATA: it is not there. */
int bus_read_credential(sd_bus_message *m, const char *name, uint32_t *ret);
/* After something that it wanted is done with: the record goes if that was the last. */
void bus_sender_release(struct bus_sender *s);
/* How many senders of this user wait for something more than a read, and how much they all make us keep. */
unsigned bus_senders_count(struct bus_senders *q, uid_t uid, size_t *ret_bytes);
int bus_sender_add_call(struct bus_connection *c, struct bus_call *call, sd_bus_error *error);
void bus_sender_remove_call(struct bus_call *call);

/* queue.c */
int bus_queue_start(struct bus_senders *q);
/* Whether its messages may be dispatched may have changed. */
void bus_queue_update(struct bus_sender *s);
void bus_queue_drop(struct bus_sender *s);
/* A check keeps the message that is dispatched now, and no longer. */
void bus_queue_charge(struct bus_check *check);
void bus_queue_discharge(struct bus_check *check);
/* Dispatches, a message of each sender in turn, for a bounded time. more: the bus has more to read. */
void bus_queue_run(struct bus_senders *q, bool more);
/* When there is something to dispatch: 0: now. UINT64_MAX: there is nothing. */
usec_t bus_queue_due(struct bus_senders *q);

/* authorize.c */
/* The sender is known now, or its credentials are not to be had: what waits for that goes on. */
void bus_checks_continue(struct bus_sender *s);
struct bus_check *bus_check_free(struct bus_check *check);
/* Whether bus_authorize() has said or would say yes, without asking anybody. */
bool bus_is_authorized(struct bus_connection *c, sd_bus_message *m, const char *action);
