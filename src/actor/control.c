/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control link of an actor outlives the arbiter at its other end: somebody keeps that end, the next
 * arbiter takes it and sends a new link through it ("relink"). Here the actor changes over: what the old
 * link still holds is dispatched first; each request that waits for an answer is decided by the old page;
 * and the arbiter is told what only the actor knows by then: its commands, its direct links, its watches.
 * Until that moment the actor notices nothing: the old link takes what is sent until it is full, then it
 * waits in memory. Called by peer.c and dispatch.c.
 *
 * What was promised stays true. At most once: a request goes out again only if the old page says that it
 * was never begun, or if doing it twice is doing it once (the runtime's own). In order: requests go out
 * again in the order in which they were sent, before what is sent later; a cast to the arbiter that lay in
 * the old link is lost, as any cast may be. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/group.h"
#include "actor/peer.h"
#include "actor/pool.h"
#include "basic/fd.h"

/* The body is kept until there is an answer. Without memory for that it cannot be sent again, no more. */
void control_keep(struct peer *p, arbiter_future *f, const struct envelope *e, arbiter_message *m) {
        if (!p->control || p->actor->arbiter_ops || !m || link_get_kind(p->link) == LINK_LOCAL)
                return;
        outgoing_free(TAKE_PTR(f->kept));
        (void) outgoing_new(e, m, NULL, NULL, NULL, &f->kept);
}

void control_drop_successor(arbiter_actor *a) {
        a->successor_fd = close_fd(a->successor_fd);
        a->successor_page = link_page_unmap(a->successor_page);
}

/* "relink" (h socket, h page), from one who has taken over the arbiter's end. If several have tried, each
 * dying before it was done, the last one holds. */
int control_handle_relink(arbiter_actor *a, arbiter_message *m) {
        struct link_page *page;
        int fd, page_fd, r;

        r = arbiter_message_read(m, "hh", &fd, &page_fd);
        if (r <= 0)
                return -EBADMSG;
        r = link_page_map(page_fd, &page);
        if (r < 0)
                return r;
        fd = fd_duplicate(fd);
        if (fd < 0) {
                link_page_unmap(page);
                return fd;
        }
        control_drop_successor(a);
        a->successor_fd = fd;
        a->successor_page = page;
        link_end_reading(a->control->link);
        return 0;
}

/* What the new arbiter is told first. */

static int append_link(arbiter_message *m, const struct peer *p) {
        return arbiter_message_append(m, "(ts)", p->link_id, aid_to_string(&p->aid).s);
}

static int tell_links(arbiter_actor *a) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "(ts)");
        LIST_FOREACH(p, &a->peers, struct peer, peers)
                if (r >= 0 && !p->control && !p->self && p->state != PEER_LOST)
                        r = append_link(m, p);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        if (r >= 0)
                r = message_seal(m);
        return r < 0 ? r : actor_send_system(a, &AID_ARBITER, "links", m, 0, NULL);
}

static int tell_who_we_are(arbiter_actor *a) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = actor_build_hello(a, &m);
        if (r >= 0)
                r = actor_send_system(a, &AID_ARBITER, "relinked", m, 0, NULL);
        if (r >= 0)
                r = tell_links(a);
        if (r >= 0)
                r = actor_cast_arbiter(a, "mailbox", "y", (uint8_t) a->mailbox_policy);
        if (r >= 0 && a->exit_reason_set)
                r = actor_cast_arbiter(a, "exiting", "u", (uint32_t) a->exit_reason);
        if (r >= 0)
                r = watches_tell(a);
        if (r >= 0)
                r = pools_tell(a);
        if (r >= 0)
                r = groups_tell(a);
        if (r >= 0)
                r = locks_tell(a);
        if (r >= 0 && a->state >= ARBITER_STATE_RUNNING)
                r = actor_send_notify(a);
        return r;
}

/* What we still wait for. */

static void settle_call(struct peer *p, const struct link *old, arbiter_future *f) {
        struct outgoing *o = TAKE_PTR(f->kept);

        if (!f->repeatable && link_has_begun(old, f->lane, f->sequence)) {
                outgoing_free(o);
                future_fail(f, ARBITER_OUTCOME_NO_CONNECTION,
                                "the arbiter was replaced after it had begun this; it may have run");
                return;
        }
        f->sent = false;
        if (o)
                (void) peer_send(p, &o->envelope, o->message, f, NULL, NULL);
        else
                future_fail(f, ARBITER_OUTCOME_NO_CONNECTION,
                                "the arbiter was replaced, and there was no memory to send this again");
        outgoing_free(o);
}

static void settle_calls(struct peer *p, const struct link *old) {
        struct list_node calls;
        struct waiting_room later;
        arbiter_future *f;

        list_init(&calls);
        while ((f = LIST_FIRST(&p->calls, arbiter_future, calls))) {
                call_take_off(f);
                list_append(&calls, &f->calls);
        }
        /* What has not left yet goes behind what goes out again. */
        room_init(&later);
        room_move(&p->waiting, &later);
        while ((f = LIST_FIRST(&calls, arbiter_future, calls))) {
                list_remove(&f->calls);
                settle_call(p, old, f);
        }
        room_move(&later, &p->waiting);
        peer_flush_waiting(p);
}

/* The dead arbiter waits for no answer. */
static void forget_incoming(struct peer *p) {
        struct incoming *i;

        while ((i = LIST_FIRST(&p->incoming, struct incoming, incoming)))
                incoming_detach(i);
        p->n_queued_fds = 0;
        p->n_early_cancels = 0;
        p->overtaken = 0;
}

static int attach_successor(struct peer *p) {
        arbiter_actor *a = p->actor;
        int r;

        p->link = NULL;
        r = link_new(a->event, LINK_SEQPACKET, TAKE_FD(a->successor_fd), TAKE_PTR(a->successor_page), 1,
                        &actor_link_events, p, &p->link);
        if (r < 0)
                return r;
        link_allow_takeover(p->link);
        if (p->window_messages > 0)
                link_set_window(p->link, p->window_messages, p->window_bytes);
        return a->own_loop ? link_set_priority(p->link, SD_EVENT_PRIORITY_NORMAL - 10) : 0;
}

/* The old link has ended, and everything that lay in it is dispatched. */
bool control_change_over(struct peer *p) {
        _cleanup_(link_unrefp) struct link *old = NULL;
        arbiter_actor *a = p->actor;
        bool welcomed;

        if (a->successor_fd < 0)
                return false;
        old = p->link;
        welcomed = link_has_page(old);
        list_remove(&p->dirty);
        if (attach_successor(p) < 0) {
                p->link = link_unref(p->link);
                return false;
        }
        a->n_arbiters++;
        p->fresh = true;
        p->share_bytes = 0;
        forget_incoming(p);
        /* One without a welcome says hello again, as a request that was not answered. */
        if (welcomed && tell_who_we_are(a) < 0)
                return false;
        settle_calls(p, old);
        return true;
}
