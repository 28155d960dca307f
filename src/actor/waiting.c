/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages that cannot leave yet: they wait for a link, for credit, or for the end of a closing link, in a
 * room that is bounded in messages and bytes. Used by peer.c, route.c and pool.c, and by control.c when
 * another arbiter takes over. A message that is given up ends its future, or is a dead letter; never both,
 * never neither. */

#include "actor/call.h"
#include "actor/peer.h"
#include "actor/waiting.h"

void room_init(struct waiting_room *w) {
        list_init(&w->messages);
        w->n = w->bytes = 0;
}

void outgoing_free(struct outgoing *o) {
        if (!o)
                return;
        if (o->room) {
                list_remove(&o->waiting);
                o->room->n--;
                o->room->bytes -= o->envelope.body_size;
        }
        if (o->future) {
                o->future->outgoing = NULL;
                arbiter_future_unref(o->future);
        }
        arbiter_message_unref(o->message);
        free(o->target);
        free(o->command);
        free(o);
}

int outgoing_new(const struct envelope *e, arbiter_message *m, arbiter_future *f, const char *target,
                const struct route_options *options, struct outgoing **ret) {
        struct outgoing *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        o->envelope = *e;
        if (options)
                o->options = *options;
        o->command = strdup(e->command);
        if (target)
                o->target = strdup(target);
        if (!o->command || (target && !o->target)) {
                free(o->command);
                free(o->target);
                free(o);
                return -ENOMEM;
        }
        o->envelope.command = o->command;
        if (e->n_chain > 0)
                memcpy(o->chain, e->chain, e->n_chain * AID_SIZE);
        o->envelope.chain = o->chain;
        o->message = arbiter_message_ref(m);
        o->future = arbiter_future_ref(f);
        *ret = o;
        return 0;
}

void room_add(struct waiting_room *w, struct outgoing *o) {
        list_append(&w->messages, &o->waiting);
        o->room = w;
        w->n++;
        w->bytes += o->envelope.body_size;
        if (o->future)
                o->future->outgoing = o;
}

/* What is sent again was bounded by the credit that it had. */
static bool room_is_full(const struct waiting_room *w, const struct envelope *e,
                const struct route_options *o) {
        if (o && (o->flags & ROUTE_AGAIN))
                return false;
        return w->n >= WAITING_MESSAGES_MAX ||
               w->bytes + e->body_size > WAITING_BYTES_MAX + BODY_SIZE_MAX * (w->n == 0);
}

/* Ends a message that will not be sent. A cast's end is a dead letter. */
void outgoing_fail(arbiter_actor *a, struct outgoing *o, arbiter_outcome outcome, const char *text) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = arbiter_future_ref(o->future);
        aid_string target = aid_to_string(&o->envelope.target);

        if (!f)
                actor_dead_letter(a, a->name, o->target ? o->target : target.s, o->command, o->envelope.id,
                                outcome);
        outgoing_free(o);
        if (f)
                future_fail(f, outcome, "%s", text);
}

void room_fail(arbiter_actor *a, struct waiting_room *w, arbiter_outcome outcome, const char *text) {
        struct outgoing *o;

        while ((o = LIST_FIRST(&w->messages, struct outgoing, waiting)))
                outgoing_fail(a, o, outcome, text);
}

int room_wait(arbiter_actor *a, struct waiting_room *w, const struct envelope *e, arbiter_message *m,
                arbiter_future *f, const char *target, const struct route_options *options) {
        struct outgoing *o;
        int r;

        if (room_is_full(w, e, options)) {
                a->statistics.overloads++;
                return -ENOBUFS;
        }
        r = outgoing_new(e, m, f, target, options, &o);
        if (r < 0)
                return r;
        room_add(w, o);
        return 0;
}

void room_take(struct waiting_room *from, struct outgoing *o, struct waiting_room *to) {
        list_remove(&o->waiting);
        from->n--;
        from->bytes -= o->envelope.body_size;
        room_add(to, o);
}

void room_move(struct waiting_room *from, struct waiting_room *to) {
        struct outgoing *o;

        while ((o = LIST_FIRST(&from->messages, struct outgoing, waiting)))
                room_take(from, o, to);
}

/* Sends anew what waited for a link that is no more: by name, or to the life id. */
void room_resend(arbiter_actor *a, struct waiting_room *w, const aid *id) {
        struct outgoing *o;

        while ((o = LIST_FIRST(&w->messages, struct outgoing, waiting))) {
                if (o->future)
                        o->future->outgoing = NULL; /* sending may make it wait in another room */
                (void) route_send(a, o->target, o->target ? NULL : id, &o->envelope, o->message, o->future,
                                &o->options);
                o->future = arbiter_future_unref(o->future);
                outgoing_free(o);
        }
}
