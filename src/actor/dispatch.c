/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What arrives: frames from links become messages, messages find their command, handlers run. Order is FIFO
 * for each sender and lane. User messages wait in the actor's queue only while they may not run: before the
 * actor is running, behind an exclusive command, or behind others that wait. System commands never wait.
 * Called by peer.c with what its link has read. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/group.h"
#include "actor/peer.h"
#include "actor/pool.h"
#include "basic/fd.h"

/* A user message that waits; or, with reached, a barrier: called when all that was queued before has been
 * dispatched. */
struct queued {
        struct list_node queue;
        struct incoming *incoming; /* owns its message by one reference */
        uint64_t frame_size, sequence;
        uint64_t bytes; /* of the frame, and of a body that travelled beside it */
        unsigned peer_fds;
        void (*reached)(arbiter_actor *a, void *userdata);
        void *userdata;
};

static bool may_dispatch(const arbiter_actor *a) {
        return !a->exclusive && (a->state == ARBITER_STATE_RUNNING || a->state == ARBITER_STATE_STOPPING);
}

static const arbiter_command *find_command(arbiter_actor *a, struct peer *p, const struct envelope *e) {
        const arbiter_command *c;

        if (p->last_command && streq(p->last_command_name, e->command))
                return p->last_command;
        c = map_get(a->commands, e->command, e->command_length);
        if (c && e->command_length < sizeof(p->last_command_name)) {
                memcpy(p->last_command_name, e->command, e->command_length + 1U);
                p->last_command = c;
        }
        return c;
}

static bool chain_contains(const struct envelope *e, const aid *id) {
        for (unsigned i = 0; i < e->n_chain; i++)
                if (memcmp(e->chain + i * AID_SIZE, id->c, AID_SIZE) == 0)
                        return true;
        return false;
}

/* Everything that is decided before user code runs. True: run it. */
static bool admit(arbiter_actor *a, struct incoming *i) {
        const struct envelope *e = &i->message->envelope;
        const arbiter_command *c = i->command;

        if (!c) {
                incoming_refuse(i, ARBITER_OUTCOME_UNKNOWN_COMMAND,
                                "'%s' has no command '%s'; 'introspect' lists what it has", a->name,
                                e->command);
                return false;
        }
        if (c->arguments && !streq(c->arguments, e->signature)) {
                incoming_refuse(i, ARBITER_OUTCOME_BAD_ARGUMENTS,
                                "'%s' takes arguments of signature '%s', not '%s'", c->name, c->arguments,
                                e->signature);
                return false;
        }
        if ((c->flags & ARBITER_COMMAND_ARBITER_ONLY) && !(i->peer && i->peer->control && !a->arbiter_ops)) {
                incoming_refuse(i, ARBITER_OUTCOME_DENIED, "'%s' is for the arbiter only", c->name);
                return false;
        }
        if ((c->flags & ARBITER_COMMAND_EXCLUSIVE) && chain_contains(e, &a->aid)) {
                incoming_refuse(i, ARBITER_OUTCOME_DEADLOCK, "'%s' is exclusive, and '%s' waits for itself",
                                c->name, a->name);
                return false;
        }
        return true;
}

static void handler_returned(arbiter_actor *a, struct incoming *i, int r) {
        arbiter_message *m = i->message;

        if (r < 0 && !i->answered) {
                if (r == -ENXIO || r == -EBADMSG)
                        incoming_refuse(i, ARBITER_OUTCOME_BAD_ARGUMENTS,
                                        "the arguments of '%s' cannot be read", i->command->name);
                else if (i->wants_reply)
                        (void) arbiter_message_reply_errno(m, r);
                return;
        }
        if (i->answered || m->n_ref > 1)
                return;
        if (i->wants_reply && i->command->result && *i->command->result == 0)
                (void) arbiter_message_reply(m, "");
}

static void run_handler(arbiter_actor *a, struct incoming *i) {
        arbiter_message *m = i->message;
        struct incoming *outer = a->current;
        int r;

        if (_unlikely_(a->trace))
                (void) actor_cast_arbiter(a, "traced", "ss", i->peer ? i->peer->name : "", i->command->name);
        if (i->command->flags & ARBITER_COMMAND_NO_REPLY)
                (void) arbiter_message_reply(m, "");
        if ((i->command->flags & ARBITER_COMMAND_EXCLUSIVE) && i->wants_reply) {
                i->exclusive = true;
                a->exclusive = i;
        }

        a->current = i;
        a->callback_depth++;
        r = i->command->handler(a, m, a->userdata);
        a->callback_depth--;
        a->current = outer;

        handler_returned(a, i, r);
        if (m->n_ref > 1 && message_own(m) < 0 && !i->answered)
                incoming_refuse(i, ARBITER_OUTCOME_OVERLOAD, "out of memory");
}

/* Begins a message: publish, then read the clock, then run, in this order. */
static void begin(arbiter_actor *a, struct incoming *i, enum link_lane lane, uint64_t sequence,
                uint64_t frame_size) {
        uint64_t deadline = i->message->envelope.deadline;
        struct link *l = i->peer ? i->peer->link : NULL;

        if (l && lane == LANE_USER)
                link_consumed(l, 1, frame_size);
        if (i->wants_reply && l)
                link_publish_begun(l, lane, sequence);
        else if (l && (i->message->envelope.flags & ENVELOPE_KEPT))
                link_publish_begun_cast(l, sequence);
        if (_unlikely_(i->cancelled && i->wants_reply)) {
                i->answered = true; /* cancelled, or its caller is gone: never started */
                return;
        }
        /* Not even in its last microsecond: that is when the caller may look at the page. */
        if (deadline != UINT64_MAX && now_usec() >= deadline) {
                a->statistics.expired++;
                i->answered = true; /* the caller knows by itself, exactly */
                actor_dead_letter(a, i->peer ? i->peer->name : "", a->name, i->message->envelope.command,
                                i->id, ARBITER_OUTCOME_EXPIRED);
                return;
        }
        a->statistics.begun++;
        if (lane == LANE_USER)
                load_begun(a, i);
        if (admit(a, i)) {
                run_handler(a, i);
                if (lane == LANE_USER)
                        load_returned(a);
        }
}

static void queued_free(arbiter_actor *a, struct queued *q) {
        list_remove(&q->queue);
        if (q->incoming) {
                load_queue_changes(a);
                a->n_queued--;
                a->queued_bytes -= q->bytes;
                if (q->incoming->peer)
                        q->incoming->peer->n_queued_fds -= q->peer_fds;
        }
        free(q);
}

static uint64_t bytes_of(const struct envelope *e) {
        return envelope_frame_size(e) + (e->flags & ENVELOPE_MEMFD ? e->body_size : 0);
}

/* Credit covers what is in frames. Bodies beside them are known here only: the first may be of any size, and
 * the next must fit. */
static bool fits_mailbox(const arbiter_actor *a, const struct envelope *e) {
        uint64_t bytes = bytes_of(e);

        return !(e->flags & ENVELOPE_MEMFD) || a->queued_bytes == 0 ||
               (bytes <= a->mailbox_bytes && a->queued_bytes <= a->mailbox_bytes - bytes);
}

static int enqueue(arbiter_actor *a, struct incoming *i, const struct envelope *e) {
        struct queued *q;
        int r;

        r = message_own(i->message);
        if (r < 0)
                return r;
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        q->incoming = i;
        q->sequence = e->sequence;
        q->frame_size = envelope_frame_size(e);
        q->bytes = bytes_of(e);
        q->peer_fds = i->message->envelope.n_fds;
        i->peer->n_queued_fds += q->peer_fds;
        arbiter_message_ref(i->message);
        list_append(&a->queue, &q->queue);
        load_queue_changes(a);
        a->n_queued++;
        a->queued_bytes += q->bytes;
        if (may_dispatch(a))
                dispatch_wake(a);
        return 0;
}

int dispatch_barrier(arbiter_actor *a, void (*reached)(arbiter_actor *a, void *userdata), void *userdata) {
        struct queued *q;

        if (list_is_empty(&a->queue)) {
                reached(a, userdata);
                return 0;
        }
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        q->reached = reached;
        q->userdata = userdata;
        list_append(&a->queue, &q->queue);
        return 0;
}

void dispatch_wake(arbiter_actor *a) {
        if (a->queue_source && !list_is_empty(&a->queue) && may_dispatch(a))
                (void) sd_event_source_set_enabled(a->queue_source, SD_EVENT_ONESHOT);
}

static void dispatch_queued(arbiter_actor *a, struct queued *q) {
        struct incoming *i = q->incoming;
        uint64_t sequence = q->sequence, size = q->frame_size;
        void (*reached)(arbiter_actor *, void *) = q->reached;
        void *userdata = q->userdata;
        arbiter_message *m;

        queued_free(a, q);
        if (reached) {
                reached(a, userdata);
                return;
        }
        m = i->message;
        begin(a, i, LANE_USER, sequence, size);
        arbiter_message_unref(m);
}

void actor_turn_end(arbiter_actor *a) {
        if (a->batch_depth > 0)
                return; /* of an outer one */
        actor_ref(a);
        a->batch_depth++;
        if (a->arbiter_ops)
                a->arbiter_ops->commit(a);
        futures_run_ready(a);
        load_turn_end(a);
        a->batch_depth--;
        actor_flush(a);
        a->turn_usec = 0;
        actor_unref(a);
}

static int on_queue(sd_event_source *s, void *userdata);

/* sd-event takes a defer source as pending since it was *made*: one that stays enabled runs before all
 * others of its priority, for ever. So that the others get their turn, it is made anew for each turn. */
static int renew_queue_source(arbiter_actor *a) {
        sd_event_source *s;
        int r;

        r = sd_event_add_defer(a->event, &s, on_queue, a);
        if (r < 0)
                return r;
        sd_event_source_disable_unref(a->queue_source);
        a->queue_source = s;
        return 0;
}

static int on_queue(sd_event_source *s, void *userdata) {
        arbiter_actor *a = actor_ref(userdata), *previous;
        struct queued *q;

        actor_enter(a, &previous);
        a->batch_depth++;
        for (unsigned n = 0; n < (a->load.blocks ? 1 : LINK_BATCH_MESSAGES) && may_dispatch(a); n++) {
                q = LIST_FIRST(&a->queue, struct queued, queue);
                if (!q)
                        break;
                dispatch_queued(a, q);
        }
        a->batch_depth--;
        actor_leave(a, previous);
        actor_turn_end(a);
        if (a->queue_source && !list_is_empty(&a->queue) && may_dispatch(a) && renew_queue_source(a) < 0)
                /* unfair is better than stuck */
                (void) sd_event_source_set_enabled(a->queue_source, SD_EVENT_ONESHOT);
        actor_unref(a);
        return 0;
}

/* Its sender sees that it was never begun, and sends it again: if it is still there to see it, and nothing
 * that came after has overtaken it, so that it looks begun. */
static bool is_handed_back(const struct incoming *i, uint64_t sequence) {
        return (i->message->envelope.flags & ENVELOPE_KEPT) && i->peer && i->peer->link &&
               sequence > i->peer->overtaken;
}

void dispatch_refuse_all(arbiter_actor *a) {
        struct queued *q;

        while ((q = LIST_FIRST(&a->queue, struct queued, queue))) {
                struct incoming *i = q->incoming;
                void (*reached)(arbiter_actor *, void *) = q->reached;
                void *userdata = q->userdata;
                uint64_t sequence = q->sequence;
                bool handed_back;

                queued_free(a, q);
                if (reached) {
                        reached(a, userdata);
                        continue;
                }
                handed_back = is_handed_back(i, sequence);
                if (handed_back)
                        i->answered = true;
                else
                        incoming_refuse(i, ARBITER_OUTCOME_NOPROC, "'%s' is %s", a->name,
                                        arbiter_state_to_string(a->state));
                if (!i->wants_reply && !handed_back)
                        actor_dead_letter(a, i->peer ? i->peer->name : "", a->name,
                                        i->message->envelope.command, i->id, ARBITER_OUTCOME_NOPROC);
                arbiter_message_unref(i->message);
        }
}

/* Frames. */

/* A refusal before its turn: its credit goes back all the same. */
static void refuse_early(arbiter_actor *a, struct incoming *i, const struct envelope *e,
                arbiter_outcome outcome, const char *format) {
        if (!(e->flags & ENVELOPE_SYSTEM) && i->peer && i->peer->link)
                link_consumed(i->peer->link, 1, envelope_frame_size(e));
        incoming_refuse(i, outcome, format, a->name);
        if (!i->wants_reply)
                actor_dead_letter(a, i->peer ? i->peer->name : "", a->name, e->command, i->id, outcome);
}

/* Only the arbiter may send in the system lane what is not a system command: a sibling would bypass the
 * mailbox. */
static bool lane_is_allowed(const arbiter_actor *a, const struct peer *p, const struct incoming *i,
                const struct envelope *e) {
        return !(e->flags & ENVELOPE_SYSTEM) || !i->command ||
               (i->command->flags & ARBITER_COMMAND_SYSTEM) || (p->control && !a->arbiter_ops);
}

static bool is_cancelled_early(const struct peer *p, uint64_t id) {
        for (size_t i = 0; i < MIN((size_t) p->n_early_cancels, ELEMENTSOF(p->early_cancels)); i++)
                if (p->early_cancels[i] == id)
                        return true;
        return false;
}

/* Into the queue, unless it is known by now that it will not begin. */
static void wait_its_turn(arbiter_actor *a, struct incoming *i, const struct envelope *e) {
        if (a->state >= ARBITER_STATE_CLOSED && (e->flags & ENVELOPE_KEPT))
                i->answered = true; /* its sender has it still, and sends it to the next one */
        else if (a->state >= ARBITER_STATE_CLOSED)
                refuse_early(a, i, e, ARBITER_OUTCOME_NOPROC, "'%s' has ended");
        else if (a->exclusive && chain_contains(e, &a->aid))
                refuse_early(a, i, e, ARBITER_OUTCOME_DEADLOCK,
                                "'%s' waits for itself behind an exclusive command");
        else if (e->n_fds > 0 && i->peer->n_queued_fds + e->n_fds > QUEUED_FDS_MAX)
                refuse_early(a, i, e, ARBITER_OUTCOME_OVERLOAD,
                                "too many descriptors of this caller wait in the mailbox of '%s'");
        else if (!fits_mailbox(a, e))
                refuse_early(a, i, e, ARBITER_OUTCOME_OVERLOAD, "the mailbox of '%s' is full");
        else if (enqueue(a, i, e) < 0)
                refuse_early(a, i, e, ARBITER_OUTCOME_OVERLOAD, "'%s' is out of memory");
}

static int on_call(arbiter_actor *a, struct peer *p, arbiter_message *m, const struct envelope *e) {
        struct incoming *i;
        int r;

        r = incoming_new(a, p, m, &i);
        if (r < 0) { /* lost, as any message may be */
                if (!(e->flags & ENVELOPE_SYSTEM))
                        link_consumed(p->link, 1, envelope_frame_size(e));
                return 0;
        }
        if (_unlikely_(p->n_early_cancels > 0))
                i->cancelled = is_cancelled_early(p, i->id);
        i->command = find_command(a, p, e);
        if (_unlikely_(!lane_is_allowed(a, p, i, e))) {
                i->answered = true;
                return -EBADMSG;
        }
        if (_unlikely_(p->n_incoming > (a->arbiter_ops ? (uint64_t) REQUESTS_MAX : a->mailbox_messages))) {
                refuse_early(a, i, e, ARBITER_OUTCOME_OVERLOAD,
                                "too many requests of this caller wait for answers of '%s'");
                return 0;
        }

        /* A module's own system command comes in the user lane, as its sender cannot know. It overtakes
         * what waits; what has begun is told by one number, so what its caller has waiting here looks
         * begun, too: "timeout" where "expired" were true, and nothing of it is sent again. That errs on the
         * safe side; but then, if we end, it must be told of what waits (is_handed_back()). */
        if ((e->flags & ENVELOPE_SYSTEM) || (i->command && (i->command->flags & ARBITER_COMMAND_SYSTEM))) {
                bool user = !(e->flags & ENVELOPE_SYSTEM);

                if (user && (i->wants_reply || (e->flags & ENVELOPE_KEPT)))
                        p->overtaken = e->sequence;
                begin(a, i, user ? LANE_USER : LANE_SYSTEM, e->sequence, user ? envelope_frame_size(e) : 0);
                return 0;
        }
        if (_likely_(may_dispatch(a) && list_is_empty(&a->queue) && !a->load.blocks)) {
                begin(a, i, LANE_USER, e->sequence, envelope_frame_size(e));
                return 0;
        }
        wait_its_turn(a, i, e);
        return 0;
}

static bool cancel_from(struct peer *p, uint64_t id, const aid *sender) {
        arbiter_actor *a = p->actor;

        LIST_FOREACH(i, &p->incoming, struct incoming, incoming)
                if (i->id == id && i->wants_reply && aid_equal(&i->sender, sender)) {
                        i->cancelled = true;
                        if (a->exclusive == i) {
                                a->exclusive = NULL;
                                dispatch_wake(a);
                        }
                        return true;
                }
        return false;
}

static void on_cancel(arbiter_actor *a, struct peer *p, uint64_t id) {
        if (cancel_from(p, id, &p->aid))
                return;
        /* Delegated to us: it came by another way. */
        LIST_FOREACH(other, &a->peers, struct peer, peers)
                if (other != p && cancel_from(other, id, &p->aid))
                        return;
        /* It has overtaken its request, as the system lane does. (Or the answer is on its way; ids are
         * not used twice.) */
        p->early_cancels[p->n_early_cancels++ % ELEMENTSOF(p->early_cancels)] = id;
}

static int on_signal(arbiter_actor *a, struct peer *p, arbiter_message *m) {
        const char *s = m->envelope.command;

        /* From one who has taken over the arbiter's end, which is all that he can say. */
        if (_unlikely_(m->envelope.sequence == 0))
                return p == a->control && streq(s, "relink") ? control_handle_relink(a, m) : -EBADMSG;
        /* From the other end of a direct link. */
        if (streq(s, "fin"))
                peer_handle_fin(p);
        else if (streq(s, "fin-ack"))
                peer_handle_fin_ack(p);
        else if (streq(s, "fin-refused"))
                peer_handle_fin_refused(p);
        else if (streq(s, "delegated"))
                call_handle_delegated(a, p, m);
        else if (p != a->control && !(p->self && a->arbiter_ops))
                return -EBADMSG; /* the rest is the arbiter's to say */
        else if (streq(s, "peer"))
                return peer_handle_peer(a, m) == -EBADMSG ? -EBADMSG : 0;
        else if (streq(s, "down"))
                watch_handle_down(a, m);
        else if (streq(s, "exit"))
                watch_handle_exit(a, m);
        else if (streq(s, "load"))
                return load_handle_asked(a, m);
        else if (streq(s, "group"))
                group_handle_change(a, m);
        else if (streq(s, "group-stale"))
                group_handle_stale(a, m);
        else if (streq(s, "pool"))
                pool_handle_news(a, m);
        else if (streq(s, "lock-ended"))
                lock_handle_ended(a, m);
        return 0;
}

static int handle_message(arbiter_actor *a, struct peer *p, arbiter_message *m, const struct envelope *e) {
        switch (e->kind) {
        case ENVELOPE_REQUEST:
        case ENVELOPE_CAST:
                return on_call(a, p, m, e);
        case ENVELOPE_REPLY:
        case ENVELOPE_ERROR:
                call_handle_answer(a, p, m);
                return 0;
        case ENVELOPE_CANCEL:
                on_cancel(a, p, e->id);
                return 0;
        case ENVELOPE_SIGNAL:
                return on_signal(a, p, m);
        default:
                return -EBADMSG;
        }
}

static int on_frame(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds,
                void *userdata) {
        struct peer *p = userdata;
        arbiter_actor *a = p->actor, *previous;
        arbiter_message *m;
        int r;

        if (a->arbiter_ops && !a->arbiter_ops->admits(a, p, e)) {
                close_many(fds, e->n_fds);
                return -EACCES;
        }
        r = message_from_frame(e, body, fds, &m);
        if (r == -EBADMSG)
                return r; /* a body that is not what its signature says costs the link */
        if (r < 0 && e->n_fds == 0)
                return -EAGAIN; /* no memory: it comes again */
        if (r < 0) { /* it has lost its descriptors: a lost message is what at-most-once allows */
                if ((e->kind == ENVELOPE_REQUEST || e->kind == ENVELOPE_CAST) &&
                                !(e->flags & ENVELOPE_SYSTEM))
                        link_consumed(l, 1, envelope_frame_size(e));
                return 0;
        }

        actor_ref(a);
        a->batch_depth++;
        actor_enter(a, &previous);
        r = handle_message(a, p, m, e);
        actor_leave(a, previous);
        /* An answer that its callback has read in place need not be copied. */
        if (a->batch_depth == 1)
                futures_run_ready(a);
        a->batch_depth--;
        if (m->n_ref > 1 && message_own(m) < 0)
                /* somebody keeps what we cannot keep: the link's buffer must not be reused under them */
                r = -ENOMEM;
        arbiter_message_unref(m);
        if (!link_is_open(l))
                actor_turn_end(a); /* of a closed link's batch no end is told */
        actor_unref(a);
        return r == -ENOMEM || r == -EBADMSG || r == -EACCES ? r : 0;
}

static void on_batch_end(struct link *l, void *userdata) {
        struct peer *p = userdata;

        if (p)
                actor_turn_end(p->actor);
}

static void on_credit(struct link *l, void *userdata) {
        struct peer *p = userdata;

        peer_handle_credit(p);
}

static void on_closed(struct link *l, int error, void *userdata) {
        struct peer *p = userdata;
        arbiter_actor *a = actor_ref(p->actor), *previous;

        actor_enter(a, &previous);
        a->batch_depth++;
        peer_handle_closed(p, error);
        a->batch_depth--;
        actor_leave(a, previous);
        actor_turn_end(a);
        actor_unref(a);
}

const struct link_events actor_link_events = {
        .frame = on_frame,
        .batch_end = on_batch_end,
        .credit = on_credit,
        .closed = on_closed,
};

static int on_flush(sd_event_source *s, void *userdata) {
        actor_flush(userdata);
        return 0;
}

static int on_ready(sd_event_source *s, void *userdata) {
        arbiter_actor *a = actor_ref(userdata);

        actor_turn_end(a);
        actor_unref(a);
        return 0;
}

int dispatch_init(arbiter_actor *a) {
        int r;

        list_init(&a->queue);
        list_init(&a->free_incoming);
        r = sd_event_add_defer(a->event, &a->queue_source, on_queue, a);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(a->queue_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_defer(a->event, &a->flush_source, on_flush, a);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(a->flush_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_defer(a->event, &a->ready_source, on_ready, a);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(a->ready_source, SD_EVENT_OFF);
}

void dispatch_done(arbiter_actor *a) {
        dispatch_refuse_all(a);
        a->queue_source = sd_event_source_disable_unref(a->queue_source);
        a->flush_source = sd_event_source_disable_unref(a->flush_source);
        a->ready_source = sd_event_source_disable_unref(a->ready_source);
}
