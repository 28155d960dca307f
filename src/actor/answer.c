/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that we received: the obligation to answer exactly once. An incoming request hangs on its
 * message; the last reference to the message, dropped unanswered, answers broken-promise. A caller that is
 * gone is noticed (is_cancelled) and its answer is dropped and counted. Called by dispatch.c for what
 * arrives, and by handlers. Must never answer twice. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"

enum { FREE_INCOMING_MAX = 64 };

static void incoming_release(struct incoming *i) {
        arbiter_actor *a = i->actor;

        load_done(i);
        list_remove(&i->incoming);
        if (i->peer)
                i->peer->n_incoming--;
        i->from = arbiter_proxy_unref(i->from);
        if (a->exclusive == i) {
                a->exclusive = NULL;
                dispatch_wake(a);
        }
        list_append(&a->free_incoming, &i->incoming);
        actor_unref(a);
}

static void context_free(arbiter_message *m) {
        struct incoming *i = TAKE_PTR(m->context);

        if (i->wants_reply && !i->answered)
                incoming_refuse(i, ARBITER_OUTCOME_BROKEN_PROMISE, "the handler of '%s' did not answer",
                                i->command ? i->command->name : "");
        incoming_release(i);
}

int incoming_new(arbiter_actor *a, struct peer *p, arbiter_message *m, struct incoming **ret) {
        struct incoming *i = LIST_FIRST(&a->free_incoming, struct incoming, incoming);

        if (i)
                list_remove(&i->incoming);
        else {
                i = malloc(sizeof(*i));
                if (!i)
                        return -ENOMEM;
        }
        *i = (struct incoming){
                .actor = actor_ref(a),
                .peer = p,
                .message = m,
                .id = m->envelope.id,
                .sender = m->envelope.sender,
                .sender_generation = m->envelope.sender_generation,
                .wants_reply = m->envelope.kind == ENVELOPE_REQUEST,
                .delegated = !aid_is_null(&m->envelope.sender) && !aid_equal(&m->envelope.sender, &p->aid),
                .flags = m->envelope.flags & ENVELOPE_SYSTEM,
        };
        list_append(&p->incoming, &i->incoming);
        p->n_incoming++;
        m->context = i;
        m->context_free = context_free;
        *ret = i;
        return 0;
}

void incoming_free_all(arbiter_actor *a) {
        struct incoming *i;

        while ((i = LIST_FIRST(&a->free_incoming, struct incoming, incoming))) {
                list_remove(&i->incoming);
                free(i);
        }
}

void incoming_detach(struct incoming *i) {
        aid_string id;

        list_remove(&i->incoming);
        if (i->peer) {
                id = aid_to_string(&i->peer->aid);
                i->peer->n_incoming--;
                /* What waits for its turn can still say whom it is from. */
                (void) arbiter_proxy_new(id.s, i->peer->name, i->peer->generation, &i->from);
        }
        i->peer = NULL;
        if (i->delegated)
                return; /* its caller is somebody else, who still waits */
        i->cancelled = true;
        if (i->exclusive && i->actor->exclusive == i) {
                i->actor->exclusive = NULL; /* nobody waits any more */
                dispatch_wake(i->actor);
        }
}

/* Sends an answer where it belongs: back on the link, or, if the request was delegated to us, to the
 * original caller. */
static int send_answer(struct incoming *i, enum envelope_kind kind, arbiter_outcome outcome,
                const char *name, arbiter_message *m) {
        struct envelope e = {
                .kind = kind,
                .flags = i->flags,
                .outcome = (uint8_t) outcome,
                .id = i->id,
                .deadline = UINT64_MAX,
                .command = name,
                .body_size = m->envelope.body_size,
        };
        arbiter_actor *a = i->actor;

        i->answered = true;
        if (!i->command || !(i->command->flags & ARBITER_COMMAND_NO_REPLY)) /* there the work is to come */
                load_done(i);
        if (i->exclusive && a->exclusive == i) {
                a->exclusive = NULL;
                dispatch_wake(a);
        }
        if ((!i->peer && !i->delegated) || i->cancelled) {
                a->statistics.reply_dropped++;
                return 0;
        }
        if (i->delegated)
                return route_send(a, NULL, &i->sender, &e, m, NULL, NULL);
        return peer_send(i->peer, &e, m, NULL, NULL, NULL);
}

void incoming_refuse(struct incoming *i, arbiter_outcome outcome, const char *format, ...) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        char text[512];
        va_list ap;

        if (!i->wants_reply || i->answered)
                return;
        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        /* Without memory for an answer the caller's deadline has to do. */
        if (message_new_error(outcome, outcome_to_error_name(outcome), text, &m) >= 0)
                (void) send_answer(i, ENVELOPE_ERROR, outcome, outcome_to_error_name(outcome), m);
        i->answered = true;
}

static int check_answerable(arbiter_message *m, struct incoming **ret) {
        struct incoming *i = m ? m->context : NULL;

        if (!i)
                return -EINVAL;
        if (i->answered)
                return -EALREADY;
        *ret = i;
        return i->wants_reply;
}

_public_ int arbiter_message_reply_message(arbiter_message *m, arbiter_message *reply) {
        struct incoming *i;
        int r;

        r = check_answerable(m, &i);
        if (r <= 0)
                return r;
        r = message_seal(reply);
        if (r < 0)
                return r;
        if (i->command && i->command->result && !streq(i->command->result, reply->envelope.signature)) {
                (void) arbiter_message_reply_error(m, "io.arbiter.Arbiter1.Error.BadReply",
                                "the handler answered with another signature than its command declares");
                return -EINVAL;
        }
        return send_answer(i, ENVELOPE_REPLY, ARBITER_OUTCOME_REPLY, "", reply);
}

_public_ int arbiter_message_reply(arbiter_message *m, const char *signature, ...) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        struct incoming *i;
        va_list ap;
        int r;

        r = check_answerable(m, &i);
        if (r <= 0)
                return r;
        r = arbiter_message_new(&reply);
        if (r < 0)
                return r;
        if (signature && *signature) {
                va_start(ap, signature);
                r = arbiter_message_appendv(reply, signature, ap);
                va_end(ap);
                if (r < 0)
                        return r;
        }
        return arbiter_message_reply_message(m, reply);
}

_public_ int arbiter_message_reply_error(arbiter_message *m, const char *name, const char *text) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *error = NULL;
        struct incoming *i;
        int r;

        r = check_answerable(m, &i);
        if (r <= 0)
                return r;
        r = message_new_error(ARBITER_OUTCOME_APPLICATION_ERROR, name, text, &error);
        if (r < 0)
                return r;
        return send_answer(i, ENVELOPE_ERROR, ARBITER_OUTCOME_APPLICATION_ERROR, name, error);
}

_public_ int arbiter_message_reply_errno(arbiter_message *m, int error) {
        const char *symbol;
        char name[64];

        if (error >= 0)
                return -EINVAL;
        symbol = strerrorname_np(-error);
        (void) snprintf(name, sizeof(name), "System.Error.%s", symbol ? symbol : "EIO");
        return arbiter_message_reply_error(m, name, strerror(-error));
}

_public_ int arbiter_message_delegate(arbiter_message *m, const arbiter_proxy *to, const char *command) {
        struct incoming *i;
        struct envelope e;
        aid id;
        int r;

        if (!to || aid_parse(arbiter_proxy_get_aid(to), &id) < 0)
                return -EINVAL;
        r = check_answerable(m, &i);
        if (r < 0)
                return r;
        r = message_own(m);
        if (r < 0)
                return r;

        /* the caller's id, deadline and chain; and its aid as the sender: that is whom to answer */
        e = m->envelope;
        e.command = command ? command : m->envelope.command;
        e.flags &= (uint8_t) ~ENVELOPE_MEMFD;
        e.sender = i->sender;
        r = route_send(i->actor, NULL, &id, &e, m, NULL, NULL);
        if (r < 0)
                return r;
        if (i->wants_reply && i->peer && aid_equal(&i->sender, &i->peer->aid))
                (void) actor_signal_peer(i->peer, 0, "delegated", "ts", i->id, arbiter_proxy_get_aid(to));
        i->answered = true;
        load_done(i);
        if (i->actor->exclusive == i) {
                i->actor->exclusive = NULL;
                dispatch_wake(i->actor);
        }
        return 0;
}

_public_ bool arbiter_message_is_cancelled(arbiter_message *m) {
        struct incoming *i = m->context;

        if (!i)
                return false;
        return i->cancelled || (m->envelope.deadline != UINT64_MAX && now_usec() > m->envelope.deadline);
}

struct peer *message_get_peer(arbiter_message *m) {
        struct incoming *i = m->context;

        return i ? i->peer : NULL;
}

_public_ int arbiter_message_get_sender(arbiter_message *m, arbiter_proxy **ret) {
        struct incoming *i = m->context;
        aid_string s;

        if (!i || (!i->peer && !i->from))
                return -ENODATA;
        if (!i->peer) {
                *ret = arbiter_proxy_ref(i->from);
                return 0;
        }
        s = aid_to_string(&i->peer->aid);
        return arbiter_proxy_new(s.s, i->peer->name, i->peer->generation, ret);
}
