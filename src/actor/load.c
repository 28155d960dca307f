/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much an actor has to do: the messages that wait in its mailbox, and those that it has begun and not
 * answered yet. Counted always, as that costs nothing; but the arbiter hears of it only if it has asked
 * (the signal "load"), because it scales the pool by it, counts requests, or drains. Then it is told, at
 * most once in the interval that it has named, and only when something has changed: who has nothing to do
 * says nothing and sets no timer. The one exception is an actor that drains: when it has nothing left, it
 * says so at once, because somebody waits for that.
 *
 * A handler may take longer than the interval, and nothing leaves while it runs. So what is due is told
 * before the handler is entered: then the arbiter knows that it is busy, and that silence goes with it. And
 * nothing is read while it runs: once one has taken so long, the sockets are read between two of them
 * (dispatch.c), or all that waits there would not be seen as waiting.
 *
 * "Done" is a request when it is answered (or handed on), and a cast when its message is let go of, at the
 * end of the handler or later. Called by dispatch.c and answer.c. Must never block, nor fail a message. */

#include "actor/call.h"
#include "actor/peer.h"

static bool is_asked(const arbiter_actor *a) {
        return a->load.interval_usec > 0;
}

/* Up to now. */
static usec_t measure(arbiter_actor *a) {
        struct actor_load *l = &a->load;
        usec_t now = now_usec(), passed = now - MIN(now, l->since);

        l->busy_usec += l->begun > 0 ? passed : 0;
        l->work_usec += passed * ((uint64_t) l->begun + a->n_queued);
        l->since = now;
        return now;
}

static bool has_changed(const arbiter_actor *a) {
        const struct actor_load *l = &a->load;

        return l->told.begun != l->begun + l->own || l->told.queued != a->n_queued ||
               l->told.done != l->done || l->told.draining != l->draining;
}

static bool is_idle(const arbiter_actor *a) {
        return a->load.begun == 0 && a->load.own == 0 && a->n_queued == 0;
}

/* What the link does not take now is said later. */
static void tell(arbiter_actor *a, usec_t now) {
        struct actor_load *l = &a->load;

        if (!a->control || !a->control->link ||
            (link_get_kind(a->control->link) != LINK_LOCAL && link_is_blocked(a->control->link)))
                return;
        l->told = (struct load_told){
                .usec = now,
                .queued = a->n_queued,
                .done = l->done,
                .begun = l->begun + l->own,
                .draining = l->draining,
        };
        (void) actor_cast_arbiter(a, "load", "tutttb", l->told.queued, l->told.begun, l->done, l->busy_usec,
                                  l->work_usec, (int) l->draining);
}

void load_tell(arbiter_actor *a) {
        if (is_asked(a))
                tell(a, measure(a));
}

/* The timer only ends the turn in which it fires; that does the rest. */
static void on_timer(arbiter_actor *a, struct actor_timer *t) {
}

void load_init(arbiter_actor *a) {
        a->load_timer = ACTOR_TIMER_INIT(on_timer);
}

void load_turn_end(arbiter_actor *a) {
        struct actor_load *l = &a->load;
        usec_t now, due;

        if (_likely_(!is_asked(a)) || !has_changed(a) || a->state >= ARBITER_STATE_CLOSED)
                return;
        now = measure(a);
        due = time_add(l->told.usec, l->interval_usec);
        if (now >= due || (l->draining && is_idle(a)))
                tell(a, now);
        else if (!heap_node_is_linked(&a->load_timer.node))
                (void) actor_timer_set(a, &a->load_timer, due);
}

void load_begun(arbiter_actor *a, struct incoming *i) {
        struct actor_load *l = &a->load;
        usec_t now;

        l->entered = 0;
        if (i->command && (i->command->flags & ARBITER_COMMAND_SYSTEM))
                return; /* that is not work */
        i->counted = true;
        if (_likely_(!is_asked(a))) {
                l->begun++;
                return;
        }
        now = l->entered = measure(a);
        l->begun++;
        if (now < time_add(l->told.usec, l->interval_usec) && !l->blocks)
                return;
        tell(a, now);
        if (a->control && a->control->link)
                (void) link_flush(a->control->link);
}

void load_returned(arbiter_actor *a) {
        struct actor_load *l = &a->load;

        if (_unlikely_(is_asked(a)) && l->entered > 0)
                l->blocks = now_usec() - l->entered > l->interval_usec;
}

void load_done(struct incoming *i) {
        arbiter_actor *a = i->actor;

        if (!i->counted)
                return;
        i->counted = false;
        if (_unlikely_(is_asked(a)))
                (void) measure(a);
        a->load.begun--;
        a->load.done++;
        if (_unlikely_(a->load.draining || a->draining) && a->batch_depth == 0 && a->ready_source)
                /* answered outside of any turn: there is to be one, whose end sees it */
                (void) sd_event_source_set_enabled(a->ready_source, SD_EVENT_ONESHOT);
}

bool load_owes_answers(const arbiter_actor *a) {
        if (a->load.begun == 0)
                return false;
        LIST_FOREACH(p, &a->peers, struct peer, peers)
                LIST_FOREACH(i, &p->incoming, struct incoming, incoming)
                        if (i->counted && i->wants_reply && !i->cancelled)
                                return true;
        return false;
}

void load_queue_changes(arbiter_actor *a) {
        if (_unlikely_(is_asked(a)))
                (void) measure(a);
}

static void set_draining(arbiter_actor *a, bool draining) {
        struct actor_load *l = &a->load;
        arbiter_actor *previous;

        if (l->draining == draining)
                return;
        l->draining = draining;
        if (!l->drain_handler)
                return;
        actor_enter(a, &previous);
        l->drain_handler(a, draining, l->drain_userdata);
        actor_leave(a, previous);
}

/* "load" (t interval, t patience, b draining): what the arbiter wants to know from now on; interval 0:
 * nothing. Patience: how long what is begun may take if it is told to stop. It is answered at once, by an
 * actor that has long been idle, too: who asks may be new. */
int load_handle_asked(arbiter_actor *a, arbiter_message *m) {
        struct actor_load *l = &a->load;
        uint64_t interval, patience;
        int draining, r;

        r = arbiter_message_read(m, "ttb", &interval, &patience, &draining);
        if (r <= 0)
                return -EBADMSG;
        if (!is_asked(a))
                l->since = now_usec();
        l->interval_usec = interval;
        l->blocks = l->blocks && is_asked(a);
        l->patience_usec = patience;
        actor_timer_clear(a, &a->load_timer);
        set_draining(a, draining);
        if (is_asked(a))
                tell(a, measure(a));
        return 0;
}

_public_ int arbiter_actor_set_load(arbiter_actor *a, unsigned n) {
        if (!a)
                return -EINVAL;
        a->load.own = n;
        if (is_asked(a) && a->batch_depth == 0 && a->ready_source)
                return sd_event_source_set_enabled(a->ready_source, SD_EVENT_ONESHOT);
        return 0;
}

_public_ int arbiter_actor_is_draining(arbiter_actor *a) {
        return a ? a->load.draining : -EINVAL;
}

_public_ int arbiter_actor_set_drain_handler(arbiter_actor *a, arbiter_drain_handler_t handler,
                                             void *userdata) {
        if (!a)
                return -EINVAL;
        a->load.drain_handler = handler;
        a->load.drain_userdata = userdata;
        return 0;
}
