/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mail that survives the death of its receiver. What goes out by name is kept here until the receiver says
 * in the link's page that it has begun it; when the receiver dies, or ends in order, what it has not begun
 * goes out again to whoever has the name then, or to another member of the pool, in the order in which it
 * was sent. What had begun is never sent again. Called by peer.c.
 *
 * It is on the way of each message by name, so: small bodies are copied into one buffer, with all that it
 * takes to send them once more, and large ones are kept as the message itself; nothing is allocated for a
 * message; and the page, which the receiver writes all the time, is looked at when the buffer has doubled,
 * and then everything that has begun goes at once.
 *
 * The memory is bounded by credit: what is here has not begun, so its credit has not come back, and of
 * that there is one window for each link. Since a receiver may have a large mailbox, or might grant without
 * ever beginning, there is a bound of our own, too: beyond KEPT_BYTES_MAX large bodies are not kept any
 * longer, the oldest first; if it dies, those messages are not sent again, but it is known that they are
 * lost. (So many small ones that their records alone are too much are lost without a word.) Whoever lies in
 * its page harms its own callers only. */

#include "actor/call.h"
#include "actor/peer.h"
#include "actor/resend.h"

enum {
        KEPT_BODY_COPIED_MAX = 512,
        KEPT_SIZE_MIN = 1024,
        KEPT_PRUNE_MIN = 4096,
        KEPT_BYTES_MAX = 32 * 1024 * 1024, /* eight windows of a mailbox as it is by default */
        KEPT_NAMES_MAX = 16,
};

struct record {
        uint32_t size; /* of all of it; a multiple of 8 */
        uint32_t body_size;
        uint64_t sequence, id, deadline;
        arbiter_message *message; /* NULL: the body follows */
        struct route_options options;
        uint8_t kind, name, n_chain, command_length, signature_length;
        bool dropped; /* kept only to be counted */
        uint8_t data[]; /* command, signature (each with its NUL), chain, body (aligned) */
};

static struct record *record_at(const struct kept_mail *k, size_t position) {
        return (struct record *) (k->buffer + position);
}

static void drop_first(struct kept_mail *k) {
        struct record *r = record_at(k, k->head);

        k->head += r->size;
        k->n_casts -= r->kind == ENVELOPE_CAST;
        k->beside -= r->message ? r->body_size : 0;
        arbiter_message_unref(r->message);
}

/* Where they begin anew costs nothing when there are none. */
static void rewind_if_empty(struct kept_mail *k) {
        if (k->head == k->tail)
                k->head = k->tail = k->counted = 0;
}

void kept_prune(struct peer *p) {
        struct kept_mail *k = &p->kept;
        uint64_t begun;

        if (k->head == k->tail)
                return;
        begun = p->link ? link_get_begun(p->link) : UINT64_MAX;
        while (k->head < k->tail && record_at(k, k->head)->sequence <= begun)
                drop_first(k);
        rewind_if_empty(k);
        k->prune_at = MAX((size_t) KEPT_PRUNE_MIN, 2 * (k->tail - k->head));
}

bool kept_waits(struct peer *p) {
        kept_prune(p);
        return p->kept.head < p->kept.tail;
}

/* With drop only what would be lost in silence is of interest. */
static bool is_kept(const struct peer *p, const struct envelope *e) {
        if (e->flags & ENVELOPE_SYSTEM)
                return false;
        return e->kind == ENVELOPE_CAST || (e->kind == ENVELOPE_REQUEST && !p->drops_mail);
}

void kept_mark(struct peer *p, struct envelope *e, const char *target) {
        e->flags &= (uint8_t) ~ENVELOPE_KEPT; /* of an earlier attempt */
        if (target && p->knows_kept && is_kept(p, e))
                e->flags |= ENVELOPE_KEPT;
}

static int find_name(struct kept_mail *k, const char *target, uint8_t *ret) {
        char **names;

        for (unsigned i = 0, at = k->last_name; i < k->n_names; i++, at = (at + 1) % k->n_names)
                if (streq(k->names[at], target)) {
                        *ret = (uint8_t) (k->last_name = at);
                        return 0;
                }
        if (k->n_names >= KEPT_NAMES_MAX)
                return -ENOBUFS;
        names = reallocarray(k->names, k->n_names + 1, sizeof(*names));
        if (!names)
                return -ENOMEM;
        k->names = names;
        names[k->n_names] = strdup(target);
        if (!names[k->n_names])
                return -ENOMEM;
        *ret = (uint8_t) (k->last_name = k->n_names++);
        return 0;
}

static bool is_too_much(const struct kept_mail *k, size_t need) {
        return k->tail - k->head + k->beside + need > KEPT_BYTES_MAX;
}

/* The oldest body that is kept beside. */
static bool drop_body(struct kept_mail *k) {
        k->counted = MAX(k->counted, k->head);
        while (k->counted < k->tail) {
                struct record *r = record_at(k, k->counted);

                k->counted += r->size;
                if (!r->message)
                        continue;
                k->beside -= r->body_size;
                r->message = arbiter_message_unref(r->message);
                r->dropped = true;
                return true;
        }
        return false;
}

/* beside: of a body that is not to be copied. */
static int make_room(struct peer *p, size_t need, size_t beside) {
        struct kept_mail *k = &p->kept;
        uint8_t *buffer;
        size_t size;

        if (k->tail - k->head + need > k->prune_at || is_too_much(k, need + beside))
                kept_prune(p);
        while (is_too_much(k, need + beside) && drop_body(k))
                ;
        while (k->head < k->tail && is_too_much(k, need + beside))
                drop_first(k);
        rewind_if_empty(k);
        if (k->tail + need <= k->size)
                return 0;
        if (k->head > 0) { /* amortised: at least half of it is free, or it grows */
                memmove(k->buffer, k->buffer + k->head, k->tail - k->head);
                k->tail -= k->head;
                k->counted -= MIN(k->counted, k->head);
                k->head = 0;
        }
        if (k->tail + need <= k->size / 2 || (k->size >= KEPT_BYTES_MAX && k->tail + need <= k->size))
                return 0;
        for (size = MAX(k->size, (size_t) KEPT_SIZE_MIN); size < 2 * (k->tail + need);)
                size *= 2;
        buffer = realloc(k->buffer, size);
        if (!buffer)
                return k->tail + need <= k->size ? 0 : -ENOMEM;
        k->buffer = buffer;
        k->size = size;
        return 0;
}

static uint8_t *put(uint8_t *to, const void *from, size_t size) {
        if (size > 0)
                memcpy(to, from, size);
        return to + size;
}

static size_t body_at(const struct record *r) {
        return ALIGN_TO(offsetof(struct record, data) + r->command_length + 1U + r->signature_length + 1U +
                                        (size_t) r->n_chain * AID_SIZE,
                        8);
}

/* Without memory it is as if it had not been kept. */
void kept_add(struct peer *p, const struct envelope *e, arbiter_message *m, const char *target,
                const struct route_options *o) {
        struct record head = {
                .body_size = m->envelope.body_size,
                .sequence = e->sequence,
                .id = e->kind == ENVELOPE_REQUEST ? e->id : 0,
                .deadline = e->deadline,
                .kind = (uint8_t) e->kind,
                .n_chain = e->n_chain,
                .command_length = e->command_length,
                .signature_length = m->envelope.signature_length,
                .dropped = p->drops_mail,
        };
        bool copy = head.body_size <= KEPT_BODY_COPIED_MAX && m->envelope.n_fds == 0 && !head.dropped;
        struct kept_mail *k = &p->kept;
        size_t beside;
        uint8_t *to;

        if (find_name(k, target, &head.name) < 0)
                return;
        if (o)
                head.options = *o;
        head.size = (uint32_t) ALIGN_TO(body_at(&head) + (copy ? head.body_size : 0), 8);
        beside = copy || head.dropped ? 0 : head.body_size;
        if (make_room(p, head.size, beside) < 0)
                return;
        if (!copy && !head.dropped)
                head.message = arbiter_message_ref(m);
        k->beside += beside;
        to = k->buffer + k->tail;
        *(struct record *) to = head;
        to = put(to + offsetof(struct record, data), e->command, e->command_length + 1U);
        to = put(to, m->envelope.signature, m->envelope.signature_length);
        *to++ = 0;
        (void) put(to, e->chain, (size_t) e->n_chain * AID_SIZE);
        if (copy)
                (void) put(k->buffer + k->tail + body_at(&head), m->body, head.body_size);
        k->tail += head.size;
        k->n_casts += head.kind == ENVELOPE_CAST;
}

static int rebuild_message(const struct record *r, arbiter_message **ret) {
        const char *signature = (const char *) r->data + r->command_length + 1;
        const struct envelope e = {
                .kind = (enum envelope_kind) r->kind,
                .deadline = UINT64_MAX,
                .body_size = r->body_size,
                .command = (const char *) r->data,
                .command_length = r->command_length,
                .signature = signature,
                .signature_length = r->signature_length,
        };
        int q;

        if (r->message) {
                *ret = arbiter_message_ref(r->message);
                return 0;
        }
        q = message_from_frame(&e, (const uint8_t *) r + body_at(r), NULL, ret);
        if (q < 0)
                return q;
        q = message_own(*ret);
        if (q < 0)
                *ret = arbiter_message_unref(*ret);
        return q;
}

/* Takes the request off the peer: it has not left. */
static void unsend(arbiter_future *f) {
        call_take_off(f);
        f->sent = false;
}

static int send_again(struct peer *p, const struct record *r, arbiter_future *f, struct waiting_room *room) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        const struct envelope e = {
                .kind = (enum envelope_kind) r->kind,
                .id = r->id,
                .deadline = r->deadline,
                .command = (const char *) r->data,
                .command_length = r->command_length,
                .body_size = r->body_size,
                .n_chain = r->n_chain,
                .chain = r->data + r->command_length + 1 + r->signature_length + 1,
        };
        struct route_options o = r->options;
        struct outgoing *out;
        int q;

        q = rebuild_message(r, &m);
        if (q >= 0)
                q = outgoing_new(&e, m, f, p->kept.names[r->name], &o, &out);
        if (q < 0)
                return q;
        out->options.flags |= ROUTE_AGAIN;
        if (f)
                unsend(f);
        room_add(room, out);
        return 0;
}

static void recover(struct peer *p, const struct record *r, struct waiting_room *room) {
        arbiter_future *f = r->kind == ENVELOPE_REQUEST ? call_find(p->actor, r->id) : NULL;

        if (r->kind == ENVELOPE_REQUEST && (!f || f->peer != p))
                return; /* cancelled, late, or somebody else's by now */
        if (r->dropped || send_again(p, r, f, room) < 0) {
                if (!f)
                        actor_dead_letter(p->actor, p->actor->name, p->kept.names[r->name],
                                        (const char *) r->data, r->id, ARBITER_OUTCOME_NOPROC);
                return;
        }
        p->actor->statistics.resent++;
}

void kept_recover(struct peer *p, struct waiting_room *room) {
        struct kept_mail *k = &p->kept;

        kept_prune(p);
        for (; k->head < k->tail; drop_first(k))
                recover(p, record_at(k, k->head), room);
}

void kept_done(struct peer *p) {
        struct kept_mail *k = &p->kept;

        while (k->head < k->tail)
                drop_first(k);
        for (unsigned i = 0; i < k->n_names; i++)
                free(k->names[i]);
        free(k->names);
        free(k->buffer);
        *k = (struct kept_mail){};
}
