/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages of a bus, in a queue for each sender. Called by sd-bus for each message that is read, and
 * by the connection's drive, which reads all there is before anything is done. Then each sender in turn
 * (pace.h) has one message dispatched: sd-bus gets it once more (sd_bus_enqueue_for_read) and finds the
 * object and the method. What exceeds the bounds is refused unread. Nothing here may hold more of a sender's
 * than sender.h says, or change the order of one sender's messages. */

#include "bus/sender.h"
#include "bus/vtables.h"

enum {
        DISPATCH_USEC = 1000,
        VALUES_MAX = 1024,
};

struct queued {
        struct list_node messages;
        sd_bus_message *message;
        size_t size;
        bool large;
};

struct measure {
        size_t size;
        unsigned n_values;
};

static bool is_large(const struct measure *x) {
        return x->size >= MESSAGE_LARGE || x->n_values >= VALUES_MAX;
}

static int measure_values(sd_bus_message *m, struct measure *x);

static int measure_array(sd_bus_message *m, char type, struct measure *x) {
        const void *data;
        size_t size;
        int r;

        r = sd_bus_message_read_array(m, type, &data, &size);
        if (r < 0)
                return r;
        x->size += size;
        return 0;
}

static int measure_container(sd_bus_message *m, char type, const char *contents, struct measure *x) {
        int r;

        if (type == 'a' && contents[0] && !contents[1] && strchr("ynqiuxtd", contents[0]))
                return measure_array(m, contents[0], x);
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        r = measure_values(m, x);
        if (r < 0 || is_large(x))
                return r;
        return sd_bus_message_exit_container(m);
}

static int measure_basic(sd_bus_message *m, char type, struct measure *x) {
        union {
                const char *string;
                uint64_t number;
        } value;
        int r;

        r = sd_bus_message_read_basic(m, type, &value);
        if (r >= 0 && strchr("sog", type))
                x->size += strlen(value.string);
        return r;
}

/* All that follows here, or up to where it is seen to be large. */
static int measure_values(sd_bus_message *m, struct measure *x) {
        const char *contents;
        char type;
        int r;

        while (!is_large(x)) {
                r = sd_bus_message_peek_type(m, &type, &contents);
                if (r <= 0)
                        return r;
                x->n_values++;
                x->size += 16;
                r = contents ? measure_container(m, type, contents, x) : measure_basic(m, type, x);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* About how much memory a message takes; sd-bus does not tell. */
static void measure_message(sd_bus_message *m, struct measure *ret) {
        struct measure x = { .size = 1000 /* with what sd-bus keeps */ };

        x.size += strlen(sd_bus_message_get_path(m) ?: "");
        if (measure_values(m, &x) < 0)
                x.size = MESSAGE_LARGE;
        if (is_large(&x))
                x.size = MESSAGE_LARGE;
        *ret = x;
}

static bool has_room(struct bus_senders *q, struct bus_sender *s, const struct queued *item) {
        if (item->large && (s->large || q->n_large >= QUEUE_LARGE_MAX))
                return false;
        if (s->n_bytes == 0) /* whatever the others have filled: one for each there is room for */
                return true;
        return s->n_messages < SENDER_MESSAGES_MAX && s->n_bytes + item->size <= SENDER_BYTES_MAX &&
               q->n_messages < QUEUE_MESSAGES_MAX && q->n_bytes + item->size <= QUEUE_BYTES_MAX;
}

void bus_queue_update(struct bus_sender *s) {
        bool ready = s->n_messages > 0 && s->n_checks < SENDER_CHECKS_MAX;

        if (s->is_idle || ready == list_is_linked(&s->ready))
                return;
        if (ready)
                list_append(&s->senders->ready, &s->ready);
        else
                list_remove(&s->ready);
}

static void put(struct bus_sender *s, struct queued *item) {
        struct bus_senders *q = s->senders;

        list_append(&s->messages, &item->messages);
        s->n_messages++;
        s->n_bytes += item->size;
        q->n_messages++;
        q->n_bytes += item->size;
        if (item->large) {
                s->large = true;
                q->n_large++;
        }
        bus_queue_update(s);
}

static sd_bus_message *take(struct bus_sender *s) {
        struct queued *item = LIST_FIRST(&s->messages, struct queued, messages);
        struct bus_senders *q = s->senders;
        sd_bus_message *m = item->message;

        list_remove(&item->messages);
        s->n_messages--;
        s->n_bytes -= item->size;
        q->n_messages--;
        q->n_bytes -= item->size;
        if (item->large) {
                s->large = false;
                q->n_large--;
        }
        q->current_size = item->size;
        q->current_large = item->large;
        free(item);
        bus_queue_update(s);
        return m;
}

void bus_queue_drop(struct bus_sender *s) {
        while (s->n_messages > 0)
                (void) sd_bus_message_unref(take(s));
}

void bus_queue_charge(struct bus_check *check) {
        struct bus_sender *s = check->sender;
        struct bus_senders *q = s->senders;

        check->size = q->current_size;
        check->large = q->current_large;
        s->n_bytes += check->size;
        q->n_bytes += check->size;
        if (check->large) {
                s->large = true;
                q->n_large++;
        }
}

void bus_queue_discharge(struct bus_check *check) {
        struct bus_sender *s = check->sender;
        struct bus_senders *q = s->senders;

        s->n_bytes -= check->size;
        q->n_bytes -= check->size;
        if (!check->large)
                return;
        s->large = false;
        if (check->asked_large)
                q->n_asked_large--;
        else
                q->n_large--;
}

static int refuse(struct bus_sender *s, sd_bus_message *m) {
        if (s && s->n_messages > 0)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "%u messages of yours wait to be read, more are not accepted. Nothing was "
                                "done: try again when some are answered.",
                                s->n_messages);
        return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                        "Too much of what others, or you, have sent is kept already. Nothing was done: try "
                        "again, with a smaller message if it was large.");
}

static int enqueue(struct bus_senders *q, sd_bus_message *m) {
        struct bus_sender *s = bus_sender_get(q, m, true);
        struct measure measure;
        struct queued *item;
        int r;

        if (!s)
                return refuse(NULL, m);
        item = calloc(1, sizeof(*item));
        if (!item)
                r = refuse(s, m);
        else {
                measure_message(m, &measure);
                item->size = measure.size;
                item->large = is_large(&measure);
                list_init(&item->messages);
                if (has_room(q, s, item)) {
                        item->message = sd_bus_message_ref(m);
                        put(s, item);
                        pace_read(&q->pace, s->n_messages, now_usec());
                        return 1;
                }
                free(item);
                r = refuse(s, m);
        }
        bus_sender_release(s);
        return r < 0 ? r : 1;
}

/* It comes for the second time. What sd-bus itself would not ask about is asked for here. */
static int let_through(struct bus_senders *q, sd_bus_message *m, sd_bus_error *error) {
        int r;

        q->current = NULL;
        if (!bus_log_control_is_set(m))
                return 0;
        r = bus_authorize(q->connection, m, BUS_ACTION_MANAGE_ACTORS, error);
        return r < 0 ? r : r == 0;
}

/* Each message that sd-bus has read: > 0: it is done with. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_senders *q = userdata;
        uint8_t type;

        if (m == q->current)
                return let_through(q, m, error);
        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 0;
        return enqueue(q, m);
}

int bus_queue_start(struct bus_senders *q) {
        return sd_bus_add_filter(q->connection->bus, NULL, on_message, q);
}

/* A failure to is a connection that is over, which its drive notices. */
static void dispatch(struct bus_senders *q, sd_bus_message *m) {
        int r;

        q->current = m;
        r = sd_bus_message_rewind(m, true);
        if (r >= 0)
                r = sd_bus_enqueue_for_read(q->connection->bus, m);
        if (r >= 0) {
                do /* it may have something to write first */
                        r = sd_bus_process(q->connection->bus, NULL);
                while (r > 0 && q->current == m);
        }
        q->current = NULL;
}

static void dispatch_granted(struct bus_senders *q) {
        struct bus_check *check = LIST_FIRST(&q->granted, struct bus_check, granted);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = sd_bus_message_ref(check->message);

        list_remove(&check->granted);
        q->grant = check;
        dispatch(q, m);
        /* Its sender may have vanished meanwhile, and taken it along. */
        if (q->grant)
                (void) bus_check_free(q->grant);
        q->grant = NULL;
}

/* One message of s; then it is the turn of the others. */
static void dispatch_sender(struct bus_senders *q, struct bus_sender *s) {
        sd_bus_message *m;

        s->n_holds++;
        m = take(s);
        if (list_is_linked(&s->ready)) {
                list_remove(&s->ready);
                list_append(&q->ready, &s->ready);
        }
        dispatch(q, m);
        sd_bus_message_unref(m);
        s->n_holds--;
        bus_sender_release(s);
}

static uint64_t count_unwritten(struct bus_senders *q) {
        uint64_t n;

        return sd_bus_get_n_queued_write(q->connection->bus, &n) < 0 ? UINT64_MAX : n;
}

/* Who is next? NULL: nobody yet, or at all; then it is said when. What has not been written yet stands
 * before the answers to all others: for those who have many nothing is done meanwhile. That it can be
 * written is an event of its own. */
static struct bus_sender *next_sender(struct bus_senders *q, bool more, usec_t now, usec_t *ret_due) {
        uint64_t unwritten = count_unwritten(q);
        usec_t due = UINT64_MAX;

        LIST_FOREACH(s, &q->ready, struct bus_sender, ready) {
                usec_t at = pace_due(&q->pace, s->n_messages, more, now);

                if (unwritten >= (s->n_messages > PACE_FEW ? 1 : QUEUE_PAUSE))
                        continue;
                if (at <= now)
                        return s;
                due = MIN(due, at);
        }
        *ret_due = due;
        return NULL;
}

usec_t bus_queue_due(struct bus_senders *q) {
        usec_t due = 0;

        if (list_is_empty(&q->granted))
                (void) next_sender(q, false, now_usec(), &due);
        return due;
}

void bus_queue_run(struct bus_senders *q, bool more) {
        usec_t now = now_usec(), until = now + DISPATCH_USEC, due;
        struct bus_connection *c = q->connection;

        while (!c->doomed && sd_bus_is_open(c->bus) > 0 && now < until && count_unwritten(q) < QUEUE_PAUSE) {
                struct bus_sender *s = NULL;
                usec_t begun = now;
                unsigned n = 0;

                if (!list_is_empty(&q->granted))
                        dispatch_granted(q);
                else if ((s = next_sender(q, more, now, &due))) {
                        n = s->n_messages;
                        dispatch_sender(q, s);
                } else
                        break;
                now = now_usec();
                pace_dispatched(&q->pace, n, begun, now);
        }
}
