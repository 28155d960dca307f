/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what on a bus. Called by methods before they change anything: a message of somebody who is
 * not known to be allowed is put aside, the bus is asked who that is and, on the system bus, polkit what
 * they may, and then the message is dispatched once more, so that its object and arguments are looked at
 * as they are by then. Nothing is remembered but the user of a connection, which cannot change. It must
 * never wait, and never take the lack of an answer for a yes. */

#include <stdio.h>

#include "bus/client.h"
#include "bus/sender.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

enum { POLKIT_INTERACT = 1 };

static const char *describe(const char *action) {
        return streq(action, BUS_ACTION_MANAGE_ACTORS)    ? "manage actors"
               : streq(action, BUS_ACTION_SEND_MESSAGES) ? "send messages to actors"
               : streq(action, BUS_ACTION_REEXECUTE)     ? "have the arbiter executed anew"
                                                          : "have the configuration read again";
}

static bool is_user_bus(struct bus_senders *q) {
        return q->connection->client->kind == ARBITER_BUS_USER;
}

/* Our own user can do all this by the private socket as well. */
static bool is_trusted(struct bus_sender *s) {
        return s->known && (s->uid == geteuid() || (s->uid == 0 && !is_user_bus(s->senders)));
}

struct bus_check *bus_check_free(struct bus_check *check) {
        struct bus_sender *s = check->sender;
        struct bus_senders *q = s->senders;
        char id[32];

        if (check->asked) {
                (void) snprintf(id, sizeof(id), "arbiter%" PRIu64, check->id);
                (void) sd_bus_call_method_async(q->connection->bus, NULL, POLKIT_NAME, POLKIT_PATH,
                                POLKIT_INTERFACE, "CancelCheckAuthorization", NULL, NULL, "s", id);
                check->asked = sd_bus_slot_unref(check->asked);
        }
        if (q->grant == check)
                q->grant = NULL;
        list_remove(&check->checks);
        list_remove(&check->granted);
        bus_queue_discharge(check);
        s->n_checks--;
        sd_bus_message_unref(check->message);
        free(check);
        bus_queue_update(s);
        bus_sender_release(s);
        return NULL;
}

/* Answers, and is done with it. */
_printf_(3, 4) static void deny(struct bus_check *check, const char *name, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) sd_bus_reply_method_errorfv(check->message, name, format, ap);
        va_end(ap);
        (void) bus_check_free(check);
}

static void grant(struct bus_check *check) {
        list_append(&check->sender->senders->granted, &check->granted);
}

static void take_error(struct bus_check *check, const sd_bus_error *e) {
        bool absent = sd_bus_error_has_names(
                        e, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER);

        deny(check, SD_BUS_ERROR_ACCESS_DENIED,
                        absent ? "To %s takes the right %s, and polkit, which gives it, is not there (%s). "
                                 "Be "
                                 "root, or install polkit."
                               : "To %s takes the right %s, and polkit, which gives it, did not answer as "
                                 "expected (%s). Be root, or see to polkit.",
                        describe(check->action), check->action, e->name);
}

static void take_answer(struct bus_check *check, bool authorized, bool challenge) {
        if (authorized)
                grant(check);
        else if (challenge && sd_bus_message_get_allow_interactive_authorization(check->message) > 0)
                deny(check, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                "To %s takes the right %s, for which polkit would ask for a password, and "
                                "nothing is there to ask it with: run this in a session with a polkit agent "
                                "(pkttyagent), or be root.",
                                describe(check->action), check->action);
        else if (challenge)
                deny(check, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                "To %s takes the right %s, for which polkit would ask for a password, and "
                                "the "
                                "call does not let it: allow interactive authorization, or be root.",
                                describe(check->action), check->action);
        else
                deny(check, SD_BUS_ERROR_ACCESS_DENIED,
                                "To %s takes the right %s, and polkit does not give it to you: an "
                                "administrator can, by a rule in /etc/polkit-1/rules.d.",
                                describe(check->action), check->action);
}

static int on_polkit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int authorized = false, challenge = false, r;
        struct bus_check *check = userdata;

        check->asked = sd_bus_slot_unref(check->asked);
        if (sd_bus_message_is_method_error(m, NULL)) {
                take_error(check, sd_bus_message_get_error(m));
                return 0;
        }
        r = sd_bus_message_has_signature(m, "(bba{ss})");
        if (r > 0)
                r = sd_bus_message_enter_container(m, 'r', "bba{ss}");
        if (r > 0)
                r = sd_bus_message_read(m, "bb", &authorized, &challenge);
        if (r <= 0)
                deny(check, SD_BUS_ERROR_ACCESS_DENIED,
                                "To %s takes the right %s, and what polkit answered cannot be understood. "
                                "Be "
                                "root, or see to polkit.",
                                describe(check->action), check->action);
        else
                take_answer(check, authorized, challenge);
        return 0;
}

static int ask_polkit(struct bus_check *check) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct bus_senders *q = check->sender->senders;
        sd_bus *bus = q->connection->bus;
        bool interactive = sd_bus_message_get_allow_interactive_authorization(check->message) > 0;
        char id[32];
        int r;

        check->id = ++q->last_check;
        (void) snprintf(id, sizeof(id), "arbiter%" PRIu64, check->id);
        r = sd_bus_message_new_method_call(
                        bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                        check->sender->name, check->action, 0, interactive ? POLKIT_INTERACT : 0, id);
        if (r < 0)
                return r;
        /* People take their time to type a password; else the default of 25 s. The sender's end ends it. */
        return sd_bus_call_async(bus, &check->asked, m, on_polkit, check, interactive ? UINT64_MAX : 0);
}

/* It takes people as long as they want to answer polkit, or for ever. A message that is kept so long must
 * not take what others need. */
static bool is_kept_large(struct bus_senders *q, uid_t uid) {
        void *position = NULL;
        struct bus_sender *s;

        while ((s = map_next(q->by_name, &position)))
                if (s->known && s->uid == uid && s->large)
                        LIST_FOREACH(check, &s->checks, struct bus_check, checks)
                                if (check->asked_large)
                                        return true;
        return false;
}

static bool may_be_kept(struct bus_check *check, size_t bytes) {
        struct bus_sender *s = check->sender;
        struct bus_senders *q = s->senders;

        if (bytes > UID_BYTES_MAX)
                return false;
        if (!check->large)
                return true;
        if (q->n_asked_large >= ASKED_LARGE_MAX || is_kept_large(q, s->uid))
                return false;
        check->asked_large = true;
        q->n_asked_large++;
        q->n_large--;
        return true;
}

/* The sender is known: what now? */
static void proceed(struct bus_check *check) {
        struct bus_sender *s = check->sender;
        size_t bytes;
        int r;

        if (is_trusted(s))
                grant(check);
        else if (is_user_bus(s->senders))
                deny(check, SD_BUS_ERROR_ACCESS_DENIED,
                                "This arbiter belongs to user %u, and only they may %s: you are user %u.",
                                (unsigned) geteuid(), describe(check->action), (unsigned) s->uid);
        else if (bus_senders_count(s->senders, s->uid, &bytes) > SENDERS_UID_MAX)
                deny(check, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "More than %d connections of yours wait for something already. Nothing was "
                                "done: try again when some are answered.",
                                SENDERS_UID_MAX);
        else if (!may_be_kept(check, bytes))
                deny(check, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "What of yours waits for polkit takes too much memory already. Nothing was "
                                "done: try again when some is answered, or with smaller messages.");
        else {
                r = ask_polkit(check);
                if (r < 0)
                        deny(check, SD_BUS_ERROR_ACCESS_DENIED, "Polkit cannot be asked: %s.", strerror(-r));
        }
}

void bus_checks_continue(struct bus_sender *s) {
        LIST_FOREACH(check, &s->checks, struct bus_check, checks) {
                if (s->known)
                        proceed(check);
                else if (s->unwatchable)
                        deny(check, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "The bus does not let us know when you go. Nothing was done: try "
                                        "again "
                                        "later, or use the private socket.");
                else
                        deny(check, SD_BUS_ERROR_ACCESS_DENIED,
                                        "The bus does not say who you are. Nothing was done: use the "
                                        "private "
                                        "socket.");
        }
}

static int check_new(struct bus_sender *s, sd_bus_message *m, const char *action, sd_bus_error *error) {
        struct bus_check *check;
        int r;

        r = s->known ? 0 : bus_sender_watch(s);
        if (r == -ENOBUFS)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "%d connections wait for something already, more are not accepted. Nothing "
                                "was "
                                "done: try again later, or use the private socket.",
                                SENDERS_WATCHED_MAX);
        if (r < 0)
                return r;
        check = calloc(1, sizeof(*check));
        if (!check)
                return -ENOMEM;
        check->sender = s;
        check->message = sd_bus_message_ref(m);
        check->action = action;
        list_init(&check->granted);
        list_append(&s->checks, &check->checks);
        bus_queue_charge(check);
        s->n_checks++;
        bus_queue_update(s);
        if (s->known)
                proceed(check);
        return 0;
}

bool bus_is_authorized(struct bus_connection *c, sd_bus_message *m, const char *action) {
        struct bus_senders *q = c->senders;
        struct bus_sender *s;

        if (!c->client)
                return true; /* all that connect by the private socket are our own user or root */
        if (q->grant && q->grant->message == m && streq(q->grant->action, action))
                return true;
        s = bus_sender_get(q, m, false);
        return s && is_trusted(s);
}

int bus_authorize(struct bus_connection *c, sd_bus_message *m, const char *action, sd_bus_error *error) {
        struct bus_sender *s;

        if (bus_is_authorized(c, m, action))
                return 1;
        s = bus_sender_get(c->senders, m, false);
        if (!s || (c->senders->grant && c->senders->grant->message == m))
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                "To %s takes another right (%s) than what was asked for.", describe(action),
                                action);
        return check_new(s, m, action, error);
}
