/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records of those who call by a bus: made for a message that waits, gone when nothing of theirs
 * waits, or when the bus says that they have vanished. Called by queue.c, authorize.c and connection.c.
 * It must not use what of sd-bus asks the bus daemon and waits for the answer (sd_bus_track,
 * sd_bus_query_sender_creds): a daemon that hangs must not stop the arbiter. */

#include <stdio.h>

#include "bus/sender.h"

#define DBUS_NAME "org.freedesktop.DBus"
#define DBUS_PATH "/org/freedesktop/DBus"

static void unwatch(struct bus_sender *s) {
        s->match = sd_bus_slot_unref(s->match); /* removes the rule from the bus, too */
        s->credentials = sd_bus_slot_unref(s->credentials);
        if (s->watched)
                s->senders->n_watched--;
        s->watched = s->known = false;
}

static void leave_idle(struct bus_sender *s) {
        if (!s->is_idle)
                return;
        list_remove(&s->ready);
        s->senders->n_idle--;
        s->is_idle = false;
}

static void sender_free(struct bus_sender *s) {
        (void) map_remove_string(s->senders->by_name, s->name);
        leave_idle(s);
        list_remove(&s->ready);
        unwatch(s);
        free(s);
}

static struct bus_sender *sender_new(struct bus_senders *q, const char *name) {
        struct bus_sender *s;

        if (map_size(q->by_name) >= SENDERS_MAX)
                return NULL;
        s = calloc(1, sizeof(*s) + strlen(name) + 1);
        if (!s)
                return NULL;
        strcpy(s->name, name);
        s->senders = q;
        list_init(&s->ready);
        list_init(&s->messages);
        list_init(&s->calls);
        list_init(&s->checks);
        if (map_put_string(q->by_name, name, s) < 0) {
                free(s);
                return NULL;
        }
        return s;
}

struct bus_sender *bus_sender_get(struct bus_senders *q, sd_bus_message *m, bool new) {
        const char *name = sd_bus_message_get_sender(m);
        struct bus_sender *s;

        if (!name)
                return NULL;
        s = map_get_string(q->by_name, name);
        if (!s && new)
                s = sender_new(q, name);
        if (s)
                leave_idle(s);
        return s;
}

void bus_sender_release(struct bus_sender *s) {
        struct bus_senders *q = s->senders;

        if (s->n_messages > 0 || s->n_calls > 0 || s->n_checks > 0 || s->n_holds > 0 || s->is_idle)
                return;
        if (!s->known) {
                sender_free(s);
                return;
        }
        list_remove(&s->ready);
        list_append(&q->idle, &s->ready);
        s->is_idle = true;
        q->n_idle++;
        if (q->n_idle > SENDERS_IDLE_MAX)
                sender_free(LIST_FIRST(&q->idle, struct bus_sender, ready));
}

/* Nobody waits any more for what this sender has asked for. */
static void vanish(struct bus_sender *s) {
        s->n_holds++;
        bus_queue_drop(s);
        LIST_FOREACH(check, &s->checks, struct bus_check, checks)
                (void) bus_check_free(check);
        LIST_FOREACH(call, &s->calls, struct bus_call, of_sender)
                bus_call_abandon(call);
        leave_idle(s);
        unwatch(s);
        s->n_holds--;
        bus_sender_release(s);
}

/* sd-bus cannot tell by the rule who sent it: anybody may send us a signal of that name. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *before, *after;
        struct bus_sender *s = userdata;

        if (!streq_ptr(sd_bus_message_get_sender(m), DBUS_NAME))
                return 0;
        if (sd_bus_message_read(m, "sss", &name, &before, &after) >= 0 && streq(name, s->name) && !*after)
                vanish(s);
        return 0;
}

/* Without a function of ours sd-bus would end the connection when the bus refuses. */
static int on_match_installed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_sender *s = userdata;

        if (sd_bus_message_is_method_error(m, NULL))
                s->unwatchable = true; /* the credentials come next, and then this is told */
        return 0;
}

int bus_read_credential(sd_bus_message *m, const char *name, uint32_t *ret) {
        const char *key;
        bool found = false;
        uint32_t value = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                if (streq(key, name)) {
                        r = sd_bus_message_read(m, "v", "u", &value);
                        found = r > 0;
                } else
                        r = sd_bus_message_skip(m, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        if (!found)
                return -ENODATA;
        *ret = value;
        return 0;
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_sender *s = userdata;
        uint32_t uid = 0;

        s->credentials = sd_bus_slot_unref(s->credentials);
        if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
                vanish(s); /* before the rule was in place */
                return 0;
        }
        s->known = !s->unwatchable && !sd_bus_message_is_method_error(m, NULL) &&
                   bus_read_credential(m, "UnixUserID", &uid) >= 0;
        s->uid = uid;
        s->n_holds++;
        bus_checks_continue(s);
        if (!s->known)
                unwatch(s);
        s->unwatchable = false;
        s->n_holds--;
        bus_sender_release(s);
        return 0;
}

int bus_sender_watch(struct bus_sender *s) {
        struct bus_senders *q = s->senders;
        char rule[512];
        int r;

        if (s->watched)
                return 0;
        if (q->n_watched >= SENDERS_WATCHED_MAX && !list_is_empty(&q->idle))
                sender_free(LIST_FIRST(&q->idle, struct bus_sender, ready));
        if (q->n_watched >= SENDERS_WATCHED_MAX)
                return -ENOBUFS;
        if ((size_t) snprintf(rule, sizeof(rule),
                            "type='signal',sender='" DBUS_NAME "',path='" DBUS_PATH "',interface='" DBUS_NAME
                            "',member='NameOwnerChanged',arg0='%s'",
                            s->name) >= sizeof(rule))
                return -ENOBUFS;
        r = sd_bus_add_match_async(
                        q->connection->bus, &s->match, rule, on_owner_changed, on_match_installed, s);
        if (r < 0)
                return r;
        s->watched = true;
        q->n_watched++;
        r = sd_bus_call_method_async(q->connection->bus, &s->credentials, DBUS_NAME, DBUS_PATH, DBUS_NAME,
                        "GetConnectionCredentials", on_credentials, s, "s", s->name);
        if (r < 0)
                unwatch(s);
        return r;
}

/* How much one user's senders make us keep. */
static unsigned count_calls(struct bus_senders *q, uid_t uid) {
        void *position = NULL;
        struct bus_sender *s;
        unsigned n = 0;

        while ((s = map_next(q->by_name, &position)))
                if (s->known && s->uid == uid)
                        n += s->n_calls;
        return n;
}

unsigned bus_senders_count(struct bus_senders *q, uid_t uid, size_t *ret_bytes) {
        void *position = NULL;
        struct bus_sender *s;
        size_t bytes = 0;
        unsigned n = 0;

        while ((s = map_next(q->by_name, &position))) {
                if (!s->known || s->uid != uid)
                        continue;
                n += s->n_calls > 0 || s->n_checks > 0;
                bytes += s->n_bytes;
        }
        *ret_bytes = bytes;
        return n;
}

int bus_sender_add_call(struct bus_connection *c, struct bus_call *call, sd_bus_error *error) {
        struct bus_sender *s = bus_sender_get(c->senders, call->message, false);
        unsigned n;

        if (!s || !s->known) /* it was authorised, and so is known */
                return -EACCES;
        n = s->n_calls >= SENDER_CALLS_MAX ? s->n_calls : count_calls(c->senders, s->uid);
        if (s->n_calls >= SENDER_CALLS_MAX || n >= UID_CALLS_MAX || c->n_calls > BUS_CALLS_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "%u calls of yours wait for their answers, more are not accepted. Nothing "
                                "was "
                                "done: try again when some are answered.",
                                n);
        call->sender = s;
        list_append(&s->calls, &call->of_sender);
        s->n_calls++;
        return 0;
}

void bus_sender_remove_call(struct bus_call *call) {
        struct bus_sender *s = call->sender;

        list_remove(&call->of_sender);
        s->n_calls--;
        call->sender = NULL;
        bus_sender_release(s);
}

int bus_senders_new(struct bus_connection *c, struct bus_senders **ret) {
        _cleanup_(bus_senders_freep) struct bus_senders *q = NULL;
        int r;

        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        q->connection = c;
        list_init(&q->ready);
        list_init(&q->idle);
        list_init(&q->granted);
        r = map_new(&q->by_name);
        if (r < 0)
                return r;
        r = bus_queue_start(q);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(q);
        return 0;
}

struct bus_senders *bus_senders_free(struct bus_senders *q) {
        void *position = NULL;
        struct bus_sender *s;

        if (!q)
                return NULL;
        while (q->by_name && (s = map_next(q->by_name, &position))) {
                s->n_holds++; /* to the end: it is we who free it */
                vanish(s);
                sender_free(s);
        }
        map_free(q->by_name, NULL);
        free(q);
        return NULL;
}
