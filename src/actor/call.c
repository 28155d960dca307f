/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that we send: ids, deadlines, outcomes, and the public functions that send. An id is a slot
 * number and a tag that a peer cannot guess, so possession of the id is what entitles to answer: that is
 * what lets a request be delegated. Called by the program, and by the runtime where it asks the arbiter
 * itself. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"

enum { NO_SLOT = UINT32_MAX, CALLS_MAX = 1 << 20 };

static int grow_slots(arbiter_actor *a) {
        uint32_t n = MAX(64U, a->n_slots * 2);
        struct call_slot *slots;

        if (a->n_slots >= CALLS_MAX)
                return -ENOBUFS;
        slots = reallocarray(a->slots, n, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        for (uint32_t i = a->n_slots; i < n; i++)
                slots[i] = (struct call_slot){ .next_free = i + 1 < n ? i + 1 : NO_SLOT };
        a->first_free_slot = a->n_slots;
        a->slots = slots;
        a->n_slots = n;
        return 0;
}

/* The deadline has passed: had the receiver begun? If not it never will: it publishes "begun" before it
 * reads the clock. */
static void on_deadline(arbiter_actor *a, struct actor_timer *t) {
        arbiter_future *f = CONTAINER_OF(t, arbiter_future, deadline);

        if (!f->sent || (f->peer && f->peer->link && f->sequence > 0 &&
                                        !link_has_begun(f->peer->link, f->lane, f->sequence)))
                future_fail(f, ARBITER_OUTCOME_EXPIRED, "the deadline passed before the receiver had begun");
        else
                future_fail(f, ARBITER_OUTCOME_TIMEOUT, "no answer within the deadline; it may have run");
}

/* The callers so far, and us: who would wait for whom. */
static int add_chain(arbiter_actor *a, struct envelope *e, uint8_t *chain) {
        const struct envelope *parent = a->current ? &a->current->message->envelope : NULL;
        uint8_t n = parent ? parent->n_chain : 0;

        if (n >= CHAIN_MAX)
                return -EDEADLK;
        if (n > 0)
                memcpy(chain, parent->chain, n * AID_SIZE);
        memcpy(chain + n * AID_SIZE, a->aid.c, AID_SIZE);
        e->chain = chain;
        e->n_chain = (uint8_t) (n + 1);
        return 0;
}

int call_register(arbiter_actor *a, arbiter_future *f, struct envelope *e, uint8_t *chain, usec_t timeout,
                bool inherit) {
        usec_t deadline;
        uint32_t slot;
        int r;

        r = add_chain(a, e, chain);
        if (r < 0)
                return r;
        if (a->first_free_slot == NO_SLOT) {
                r = grow_slots(a);
                if (r < 0)
                        return r;
        }

        deadline = timeout == UINT64_MAX ? UINT64_MAX
                                         : time_add(actor_now(a), timeout > 0 ? timeout
                                                                              : CALL_TIMEOUT_DEFAULT_USEC);
        /* A chained request inherits what is left to the one that it serves. */
        if (a->current && inherit)
                deadline = MIN(deadline, a->current->message->envelope.deadline);
        f->deadline.fire = on_deadline;
        r = actor_timer_set(a, &f->deadline, deadline);
        if (r < 0)
                return r;

        slot = a->first_free_slot;
        a->call_counter++;
        a->slots[slot].tag =
                        (uint32_t) siphash24(&a->call_counter, sizeof(a->call_counter), &a->id_key) | 1U;
        a->slots[slot].future = arbiter_future_ref(f);
        a->first_free_slot = a->slots[slot].next_free;
        f->slot = slot;
        f->has_slot = true;
        f->lane = e->flags & ENVELOPE_SYSTEM ? LANE_SYSTEM : LANE_USER;
        f->id = ((uint64_t) a->slots[slot].tag << 32) | slot;
        e->id = f->id;
        e->deadline = deadline;
        return 0;
}

void call_put_on(arbiter_future *f, struct peer *p) {
        f->peer = p;
        p->n_calls++;
        list_append(&p->calls, &f->calls);
}

void call_take_off(arbiter_future *f) {
        if (f->peer && list_is_linked(&f->calls))
                f->peer->n_calls--;
        list_remove(&f->calls);
        f->peer = NULL;
}

void call_sent(arbiter_future *f, struct peer *p, const struct envelope *e) {
        f->sent = true;
        f->sequence = e->sequence;
        call_put_on(f, p);
}

void call_forget(arbiter_future *f) {
        arbiter_actor *a = f->actor;
        struct call_slot *slot;

        call_take_off(f);
        if (!f->has_slot || !a)
                return;
        if (f->outgoing) {
                struct outgoing *o = TAKE_PTR(f->outgoing);

                outgoing_free(o); /* it has not left: withdrawn */
        }
        outgoing_free(TAKE_PTR(f->kept));
        actor_timer_clear(a, &f->deadline);
        slot = &a->slots[f->slot];
        slot->future = NULL;
        slot->tag = 0;
        slot->next_free = a->first_free_slot;
        a->first_free_slot = f->slot;
        f->has_slot = false;
        arbiter_future_unref(f);
}

arbiter_future *call_find(arbiter_actor *a, uint64_t id) {
        uint32_t slot = (uint32_t) id;

        if (slot >= a->n_slots || a->slots[slot].tag != (uint32_t) (id >> 32))
                return NULL;
        return a->slots[slot].future;
}

void call_handle_answer(arbiter_actor *a, struct peer *p, arbiter_message *m) {
        arbiter_future *f = call_find(a, m->envelope.id);

        if (!f) {
                a->statistics.late_replies++;
                actor_dead_letter(a, p->name, a->name, m->envelope.command, m->envelope.id,
                                ARBITER_OUTCOME_CANCELLED);
                return;
        }
        if (m->envelope.kind == ENVELOPE_REPLY)
                future_resolve(f, ARBITER_OUTCOME_REPLY, arbiter_message_ref(m));
        else
                future_resolve(f,
                                m->envelope.outcome ? m->envelope.outcome
                                                    : ARBITER_OUTCOME_APPLICATION_ERROR,
                                arbiter_message_ref(m));
}

/* From the actor that we asked: somebody else will answer. (t id, s aid) */
void call_handle_delegated(arbiter_actor *a, struct peer *p, arbiter_message *m) {
        const char *id_string;
        arbiter_future *f;
        uint64_t call_id;
        struct peer *to;
        aid id;

        if (arbiter_message_read(m, "ts", &call_id, &id_string) <= 0 || aid_parse(id_string, &id) < 0)
                return;
        f = call_find(a, call_id);
        if (!f || f->peer != p)
                return;
        to = peer_find(a, &id);
        if (to) {
                call_take_off(f);
                f->sequence = 0; /* not ours: begun, for all that we know */
                call_put_on(f, to);
        } else if (route_rehome(a, &id, f) < 0)
                future_fail(f, ARBITER_OUTCOME_CALLEE_DIED,
                                "the actor that the request was delegated to cannot be reached");
}

void calls_done(arbiter_actor *a) {
        for (uint32_t i = 0; i < a->n_slots; i++)
                if (a->slots[i].future)
                        future_fail(a->slots[i].future, ARBITER_OUTCOME_CANCELLED,
                                        "the actor that asked ends");
        free(a->slots);
        a->slots = NULL;
        a->n_slots = 0;
        a->first_free_slot = NO_SLOT;
}

/* The public functions. */

/* What every actor answers past all that waits in its mailbox travels past it, too, and costs no credit. */
static bool is_standard_system(const char *command) {
        for (const arbiter_command *c = actor_standard_commands; c->name; c++)
                if (*c->name == *command && streq(c->name, command))
                        return c->flags & ARBITER_COMMAND_SYSTEM;
        return false;
}

static int send_message(arbiter_actor *a, const char *target, const aid *id, const char *command,
                arbiter_message *m, usec_t timeout, uint8_t flags, const struct route_options *options,
                arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        uint8_t chain[CHAIN_MAX * AID_SIZE];
        struct envelope e = {
                .kind = ret ? ENVELOPE_REQUEST : ENVELOPE_CAST,
                .flags = (uint8_t) (flags | (is_standard_system(command) ? ENVELOPE_SYSTEM : 0)),
                .deadline = UINT64_MAX,
                .command = command,
                .body_size = m->envelope.body_size,
        };
        int r;

        if (a->state >= ARBITER_STATE_CLOSED)
                return -ESHUTDOWN;
        if (ret) {
                r = future_new(a, &f);
                if (r < 0)
                        return r;
                r = call_register(a, f, &e, chain, timeout, !(flags & ENVELOPE_SYSTEM));
                if (r == -EDEADLK) {
                        future_fail(f, ARBITER_OUTCOME_DEADLOCK, "the chain of calls is longer than %d",
                                        CHAIN_MAX);
                        *ret = TAKE_PTR(f);
                        return 0;
                }
                if (r < 0)
                        return r;
        }
        r = route_send(a, target, id, &e, m, f, options);
        if (ret && r < 0)
                future_fail_errno(f, r, NULL);
        if (ret) {
                *ret = TAKE_PTR(f);
                return 0;
        }
        return r;
}

_public_ int arbiter_send_message(arbiter_actor *a, const char *target, const arbiter_proxy *p,
                const char *command, arbiter_message *m, uint64_t timeout_usec, arbiter_future **ret) {
        aid id;
        int r;

        if (!a || !command || !m || !command_is_valid(command, strlen(command)) || !*command ||
                        !target == !p)
                return -EINVAL;
        if (target && !qualified_name_is_valid(target) && aid_parse(target, &id) < 0)
                return -EINVAL;
        if (p && aid_parse(arbiter_proxy_get_aid(p), &id) < 0)
                return -EINVAL;
        r = message_seal(m);
        if (r < 0)
                return r;
        return send_message(a, target, p ? &id : NULL, command, m, timeout_usec, 0, NULL, ret);
}

static bool options_are_valid(const arbiter_send_options *o) {
        const uint64_t both = ARBITER_SEND_TO_MONITOR | ARBITER_SEND_TO_POOL;

        return o->size == sizeof(*o) && !(o->flags & ~(both | ARBITER_SEND_HOLD)) &&
               (o->flags & both) != both && (unsigned) o->routing <= ARBITER_ROUTING_BROADCAST &&
               (o->key || o->key_size == 0);
}

_public_ int arbiter_send_with(arbiter_actor *a, const char *target, const char *command, arbiter_message *m,
                const arbiter_send_options *options, arbiter_future **ret) {
        static const struct siphash_key everywhere_the_same = {};
        struct route_options o = {};
        uint64_t timeout = 0;
        aid id;
        int r;

        if (!a || !target || !command || !m || !command_is_valid(command, strlen(command)) || !*command ||
                        (!qualified_name_is_valid(target) && aid_parse(target, &id) < 0) ||
                        (options && !options_are_valid(options)))
                return -EINVAL;
        if (options) {
                timeout = options->timeout_usec;
                o.routing = (uint8_t) options->routing;
                o.flags = (options->flags & ARBITER_SEND_HOLD ? ROUTE_HOLD : 0) |
                          (options->flags & ARBITER_SEND_TO_MONITOR ? ROUTE_MONITOR : 0) |
                          (options->flags & ARBITER_SEND_TO_POOL ? ROUTE_POOL : 0) |
                          (options->key ? ROUTE_KEY : 0);
                if (options->key)
                        o.key = siphash24(options->key, options->key_size, &everywhere_the_same);
        }
        r = message_seal(m);
        return r < 0 ? r : send_message(a, target, NULL, command, m, timeout, 0, &o, ret);
}

static int build_and_send(arbiter_actor *a, const char *target, const arbiter_proxy *p, const char *command,
                uint64_t timeout, arbiter_future **ret, const char *signature, va_list ap) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        if (signature && *signature) {
                r = arbiter_message_appendv(m, signature, ap);
                if (r < 0)
                        return r;
        }
        return arbiter_send_message(a, target, p, command, m, timeout, ret);
}

_public_ int arbiter_send(
                arbiter_actor *a, const char *target, const char *command, const char *signature, ...) {
        va_list ap;
        int r;

        va_start(ap, signature);
        r = build_and_send(a, target, NULL, command, 0, NULL, signature, ap);
        va_end(ap);
        return r;
}

_public_ int arbiter_proxy_send(
                arbiter_actor *a, const arbiter_proxy *p, const char *command, const char *signature, ...) {
        va_list ap;
        int r;

        va_start(ap, signature);
        r = build_and_send(a, NULL, p, command, 0, NULL, signature, ap);
        va_end(ap);
        return r;
}

_public_ int arbiter_call_async(arbiter_actor *a, arbiter_future **ret, const char *target,
                const char *command, uint64_t timeout_usec, const char *signature, ...) {
        va_list ap;
        int r;

        if (!ret)
                return -EINVAL;
        va_start(ap, signature);
        r = build_and_send(a, target, NULL, command, timeout_usec, ret, signature, ap);
        va_end(ap);
        return r;
}

_public_ int arbiter_proxy_call_async(arbiter_actor *a, arbiter_future **ret, const arbiter_proxy *p,
                const char *command, uint64_t timeout_usec, const char *signature, ...) {
        va_list ap;
        int r;

        if (!ret)
                return -EINVAL;
        va_start(ap, signature);
        r = build_and_send(a, NULL, p, command, timeout_usec, ret, signature, ap);
        va_end(ap);
        return r;
}

_public_ int arbiter_call(arbiter_actor *a, arbiter_message **ret_reply, const char *target,
                const char *command, uint64_t timeout_usec, const char *signature, ...) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter_message *reply = NULL;
        va_list ap;
        int r;

        if (a->callback_depth > 0 || arbiter_actor_current())
                return -EDEADLK;
        va_start(ap, signature);
        r = build_and_send(a, target, NULL, command, timeout_usec, &f, signature, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = arbiter_future_wait(f, 0);
        if (r < 0)
                return r;
        r = arbiter_future_get_reply(f, &reply);
        if (r < 0)
                return r;
        if (ret_reply)
                *ret_reply = arbiter_message_ref(reply);
        return 0;
}

/* The library's own messages. */

int actor_send_system(arbiter_actor *a, const aid *id, const char *command, arbiter_message *m,
                usec_t timeout, arbiter_future **ret) {
        return send_message(a, NULL, id, command, m, timeout, ENVELOPE_SYSTEM, NULL, ret);
}

static int build(arbiter_message **ret, const char *signature, va_list ap) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        if (*signature) {
                r = arbiter_message_appendv(m, signature, ap);
                if (r < 0)
                        return r;
        }
        r = message_seal(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int actor_cast_arbiter(arbiter_actor *a, const char *command, const char *signature, ...) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        struct envelope e = {.kind = ENVELOPE_CAST,
                        .flags = ENVELOPE_SYSTEM,
                        .deadline = UINT64_MAX,
                        .command = command};
        va_list ap;
        int r;

        if (!a->control && !a->arbiter_ops)
                return -ENOTCONN;
        va_start(ap, signature);
        r = build(&m, signature, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return a->control ? peer_send(a->control, &e, m, NULL, NULL, NULL)
                          : route_send(a, NULL, &AID_ARBITER, &e, m, NULL, NULL);
}

int actor_request_arbiter(arbiter_actor *a, arbiter_future **ret, const char *command, usec_t timeout,
                const char *signature, ...) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        va_list ap;
        int r;

        if (!a->control && !a->arbiter_ops)
                return -ENOTCONN;
        va_start(ap, signature);
        r = build(&m, signature, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = actor_send_system(a, &AID_ARBITER, command, m, timeout, ret);
        if (r >= 0)
                (*ret)->repeatable = true;
        return r;
}

int actor_signal_peer(struct peer *p, uint8_t flags, const char *command, const char *signature, ...) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        struct envelope e = {
                        .kind = ENVELOPE_SIGNAL, .flags = flags, .deadline = UINT64_MAX, .command = command};
        va_list ap;
        int r;

        va_start(ap, signature);
        r = build(&m, signature, ap);
        va_end(ap);
        return r < 0 ? r : peer_send(p, &e, m, NULL, NULL, NULL);
}
