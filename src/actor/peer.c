/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers: the other ends of an actor's links. Sending on them, with the receiver's policy when there is no
 * credit; their life, from the arbiter's introduction to fin, loss or death. Called by route.c to send,
 * by dispatch.c for what arrives. Never calls user code; outcomes go through futures. */

#include <poll.h>
#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"
#include "actor/pool.h"
#include "basic/fd.h"

void peer_init(arbiter_actor *a) {
        list_init(&a->peers);
        list_init(&a->lru);
        list_init(&a->dirty);
}

/* Writing. */

void peer_mark_dirty(struct peer *p) {
        arbiter_actor *a = p->actor;

        if (!list_is_linked(&p->dirty))
                list_append(&a->dirty, &p->dirty);
        if (a->batch_depth == 0 && a->flush_source)
                (void) sd_event_source_set_enabled(a->flush_source, SD_EVENT_ONESHOT);
}

static void touch(struct peer *p) {
        arbiter_actor *a = p->actor;

        if (p->control || p->self)
                return;
        p->last_used = actor_now(a);
        if (a->lru.prev != &p->lru) {
                list_remove(&p->lru);
                list_append(&a->lru, &p->lru);
        }
        if (!heap_node_is_linked(&a->idle_timer.node))
                (void) actor_timer_set(a, &a->idle_timer, p->last_used + LINK_IDLE_USEC);
}

void actor_flush(arbiter_actor *a) {
        struct peer *p;

        a->n_turns++;
        if (a->arbiter_ops)
                a->arbiter_ops->commit(a);
        if (_unlikely_(a->draining))
                actor_drained(a);
        if (_unlikely_(a->n_links > a->links_max || a->n_unserved > 0))
                peers_close_idle(a, actor_now(a));
        while ((p = LIST_FIRST(&a->dirty, struct peer, dirty))) {
                list_remove(&p->dirty);
                if (!p->link)
                        continue;
                touch(p);
                (void) link_flush(p->link); /* a broken link reports itself by "closed" */
        }
}

static bool is_credited(const struct envelope *e) {
        return (e->kind == ENVELOPE_REQUEST || e->kind == ENVELOPE_CAST) && !(e->flags & ENVELOPE_SYSTEM);
}

/* A frame that is larger than all that this link may ever have under way travels beside it, as a memfd. */
static bool fits_share(struct peer *p, const struct envelope *e) {
        uint64_t messages;

        if (!is_credited(e))
                return true;
        if (p->share_bytes == 0) /* nothing has been sent yet: it is the whole window, or not granted yet */
                link_get_credit(p->link, &messages, &p->share_bytes);
        return p->share_bytes == 0 || envelope_frame_size(e) <= p->share_bytes;
}

static int frame_out(struct peer *p, struct envelope *e, arbiter_message *m, const char *target) {
        _cleanup_close_ int memfd = -EBADF;
        int fds[FRAME_FDS_MAX];

        if (aid_is_null(&e->sender)) { /* a delegated request keeps its caller */
                e->sender = p->actor->aid;
                e->sender_generation = p->actor->generation;
        }
        e->target = p->aid;
        e->target_generation = p->generation;
        e->signature = m ? m->envelope.signature : "";
        e->signature_length = m ? m->envelope.signature_length : 0;
        e->command_length = (uint8_t) strlen(e->command);
        e->body_size = m ? m->envelope.body_size : 0;
        e->n_fds = m ? m->envelope.n_fds : 0;
        e->flags &= (uint8_t) ~ENVELOPE_MEMFD; /* of an earlier attempt */
        kept_mark(p, e, target);
        if (_likely_(e->body_size <= BODY_INLINE_MAX &&
                            (e->body_size < SHARE_BYTES_MIN / 2 || fits_share(p, e))))
                return link_send(p->link, e, m ? m->body : NULL, m ? m->fds : NULL);

        if (e->n_fds >= FRAME_FDS_MAX)
                return -EMSGSIZE;
        memfd = message_body_to_memfd(m);
        if (memfd < 0)
                return memfd;
        if (e->n_fds > 0)
                memcpy(fds, m->fds, e->n_fds * sizeof(int));
        fds[e->n_fds++] = memfd;
        e->flags |= ENVELOPE_MEMFD;
        return link_send(p->link, e, NULL, fds);
}

/* What the other end understands is in the page before its first grant. */
static bool ask_page(struct peer *p) {
        if (!link_has_credit(p->link))
                return false;
        p->asked = link_has_page(p->link);
        p->knows_kept = link_peer_knows(p->link, LINK_KNOWS_KEPT);
        return true;
}

static int link_out(struct peer *p, struct envelope *e, arbiter_message *m, const char *target,
                const struct route_options *o) {
        int r;

        if (_unlikely_(!p->asked) && target && is_credited(e) && !ask_page(p))
                return -ENOBUFS;
        r = frame_out(p, e, m, target);
        if (r >= 0 && (e->flags & ENVELOPE_KEPT))
                kept_add(p, e, m, target, o);
        return r;
}

static int refuse(arbiter_actor *a, struct peer *p, const struct envelope *e, arbiter_future *f, int error) {
        if (f) {
                if (error == -ENOBUFS)
                        future_fail(f, ARBITER_OUTCOME_OVERLOAD, "the mailbox of '%s' is full", p->name);
                else
                        future_fail_errno(f, error, NULL);
                return 0;
        }
        if (e->kind != ENVELOPE_SIGNAL) /* no letter: the library's own, whose sender sees to it */
                actor_dead_letter(a, a->name, p->name, e->command, e->id, ARBITER_OUTCOME_OVERLOAD);
        return error;
}

/* No credit: the receiver's policy, at once. */
static int apply_policy(struct peer *p, const struct envelope *e, arbiter_message *m, arbiter_future *f,
                const char *target, const struct route_options *o) {
        arbiter_actor *a = p->actor;
        struct outgoing *oldest;
        int r;

        a->statistics.overloads++;
        switch (p->policy) {
        case ARBITER_MAILBOX_DROP_NEW:
                if (f)
                        return refuse(a, p, e, f, -ENOBUFS);
                actor_dead_letter(a, a->name, p->name, e->command, e->id, ARBITER_OUTCOME_OVERLOAD);
                return 0;
        case ARBITER_MAILBOX_DROP_OLDEST:
                r = room_wait(a, &p->waiting, e, m, f, target, o);
                oldest = LIST_FIRST(&p->waiting.messages, struct outgoing, waiting);
                if (r == -ENOBUFS && oldest) {
                        outgoing_fail(a, oldest, ARBITER_OUTCOME_OVERLOAD, "dropped: newer messages wait");
                        r = room_wait(a, &p->waiting, e, m, f, target, o);
                }
                return r < 0 ? refuse(a, p, e, f, r) : 0;
        case ARBITER_MAILBOX_BLOCK:
                r = room_wait(a, &p->waiting, e, m, f, target, o);
                return r < 0 ? refuse(a, p, e, f, r) : 0;
        case ARBITER_MAILBOX_REJECT:
        default:
                return refuse(a, p, e, f, -ENOBUFS);
        }
}

/* Whatever the policy of this receiver: it was accepted once. */
static bool is_again(const struct route_options *o) {
        return o && (o->flags & ROUTE_AGAIN);
}

int peer_send(struct peer *p, struct envelope *e, arbiter_message *m, arbiter_future *f, const char *target,
                const struct route_options *o) {
        /* The answer to a fin that has crossed ours must not wait for the end of both. */
        bool closing = p->state != PEER_OPEN && !(p->state == PEER_FIN_SENT && e->kind == ENVELOPE_SIGNAL);
        int r;

        if (closing || (is_credited(e) && p->waiting.n > 0)) {
                if (p->state == PEER_OPEN && !p->fresh && !is_again(o) && link_can_send(p->link))
                        return apply_policy(p, e, m, f, target, o);
                r = room_wait(p->actor, &p->waiting, e, m, f, target, o);
                return r < 0 ? refuse(p->actor, p, e, f, r) : 0;
        }

        r = link_out(p, e, m, target, o);
        if (_likely_(r >= 0)) {
                peer_mark_dirty(p);
                if (_unlikely_(p->fresh) && is_credited(e))
                        p->fresh = false;
                if (f) {
                        call_sent(f, p, e);
                        control_keep(p, f, e, m);
                }
                return 0;
        }
        if (r == -ENOBUFS && is_credited(e)) {
                if (!p->fresh && !is_again(o))
                        return apply_policy(p, e, m, f, target, o);
                r = room_wait(p->actor, &p->waiting, e, m, f, target, o);
                if (r >= 0)
                        return 0;
        }
        /* The link is broken, and the loop has not said so yet: it is as if it had. */
        if (r == -ENOTCONN && p != p->actor->control && e->kind != ENVELOPE_SIGNAL) {
                r = room_wait(p->actor, &p->waiting, e, m, f, target, o);
                if (r >= 0)
                        return 0;
        }
        return refuse(p->actor, p, e, f, r);
}

/* What waited goes out, in order, as far as the credit goes. */
void peer_flush_waiting(struct peer *p) {
        struct outgoing *o;

        while (p->state == PEER_OPEN && (o = LIST_FIRST(&p->waiting.messages, struct outgoing, waiting))) {
                struct envelope copy = o->envelope;
                int r = link_out(p, &copy, o->message, o->target, &o->options);

                if (r == -ENOBUFS)
                        return;
                if (r < 0) {
                        outgoing_fail(p->actor, o, ARBITER_OUTCOME_NO_CONNECTION, strerror(-r));
                        continue;
                }
                peer_mark_dirty(p);
                p->fresh = p->fresh && !is_credited(&copy);
                if (o->future) {
                        call_sent(o->future, p, &copy);
                        control_keep(p, o->future, &copy, o->message);
                }
                outgoing_free(o);
        }
}

void peer_handle_credit(struct peer *p) {
        p->fresh = false;
        peer_flush_waiting(p);
}

bool actor_has_waiting(arbiter_actor *a) {
        LIST_FOREACH(p, &a->peers, struct peer, peers)
                if (p->waiting.n > 0)
                        return true;
        return routes_wait(a);
}

/* Life of a peer. */

struct peer *peer_find(arbiter_actor *a, const aid *id) {
        return map_get(a->peers_by_aid, id->c, AID_SIZE);
}

/* A share for one more link: a quarter of what is left when a small one is kept for each link that may
 * still come. */
static uint64_t share(uint64_t size, uint64_t granted, uint64_t least, size_t n_links) {
        uint64_t left = size - MIN(granted, size),
                 kept = least * (LINKS_EXPECTED - MIN(n_links, (size_t) LINKS_EXPECTED));

        return MIN(left, least + (left > kept ? (left - kept) / 4 : 0));
}

/* The link's share of the mailbox. With none left, idle links are closed until there is (actor_flush()). */
static void grant_window(struct peer *p) {
        arbiter_actor *a = p->actor;

        p->window_messages = share(a->mailbox_messages, a->granted_messages,
                        MAX(a->mailbox_messages / 4096, (uint64_t)1), a->n_links);
        p->window_bytes = share(a->mailbox_bytes, a->granted_bytes,
                        MAX(a->mailbox_bytes / 4096, (uint64_t) SHARE_BYTES_MIN), a->n_links);
        if (p->window_messages == 0 || p->window_bytes < SHARE_BYTES_MIN) {
                p->window_messages = p->window_bytes = 0;
                a->n_unserved++;
                if (a->flush_source)
                        (void) sd_event_source_set_enabled(a->flush_source, SD_EVENT_ONESHOT);
                return;
        }
        a->granted_messages += p->window_messages;
        a->granted_bytes += p->window_bytes;
        link_set_window(p->link, p->window_messages, p->window_bytes);
}

void peer_grant_control(struct peer *p) {
        arbiter_actor *a = p->actor;

        p->window_messages = MAX(a->mailbox_messages / 8, (uint64_t) 1);
        p->window_bytes = MAX(a->mailbox_bytes / 8, (uint64_t) SHARE_BYTES_MIN);
        a->granted_messages += p->window_messages;
        a->granted_bytes += p->window_bytes;
        link_set_window(p->link, p->window_messages, p->window_bytes);
}

/* A share has come back. */
static void serve_unserved(arbiter_actor *a) {
        LIST_FOREACH(p, &a->lru, struct peer, lru) {
                if (a->n_unserved == 0)
                        return;
                if (p->window_messages > 0)
                        continue;
                a->n_unserved--;
                grant_window(p);
                if (p->window_messages == 0)
                        return;
        }
}

static void on_loss_timer(arbiter_actor *a, struct actor_timer *t);

int peer_new(arbiter_actor *a, struct link *link, const aid *id, const char *name, uint32_t generation,
                bool control, struct peer **ret) {
        struct peer *p;
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->actor = a;
        p->aid = *id;
        (void) snprintf(p->name, sizeof(p->name), "%s", name);
        p->generation = generation;
        p->control = control;
        p->fresh = true;
        p->loss_timer = ACTOR_TIMER_INIT(on_loss_timer);
        list_init(&p->lru);
        list_init(&p->dirty);
        list_init(&p->calls);
        list_init(&p->incoming);
        list_init(&p->routes);
        room_init(&p->waiting);

        r = map_put(a->peers_by_aid, id->c, AID_SIZE, p);
        if (r < 0) {
                free(p);
                return r;
        }
        list_append(&a->peers, &p->peers);
        a->peers_epoch++;
        p->link = link_ref(link);
        link_set_events(link, &actor_link_events, p);
        if (!control) {
                p->self = aid_equal(id, &a->aid);
                a->n_links += !p->self;
                grant_window(p);
                touch(p);
        }
        *ret = p;
        return 0;
}

static void drop_link(struct peer *p) {
        arbiter_actor *a = p->actor;

        if (!p->link)
                return;
        link_close(p->link);
        p->link = link_unref(p->link);
        list_remove(&p->dirty);
        list_remove(&p->lru);
        if (!p->control) {
                a->n_links -= !p->self;
                a->granted_messages -= p->window_messages;
                a->granted_bytes -= p->window_bytes;
                if (p->window_messages == 0)
                        a->n_unserved--;
                else if (a->n_unserved > 0)
                        serve_unserved(a);
        }
}

struct peer *peer_free(struct peer *p, arbiter_outcome outcome) {
        arbiter_actor *a;
        arbiter_future *f;
        struct incoming *i;

        if (!p)
                return NULL;
        a = p->actor;
        (void) drop_link(p);
        actor_timer_clear(a, &p->loss_timer);
        if (map_get(a->peers_by_aid, p->aid.c, AID_SIZE) == p)
                map_remove(a->peers_by_aid, p->aid.c, AID_SIZE);
        list_remove(&p->peers);
        a->peers_epoch++;
        routes_forget(p);
        while ((f = LIST_FIRST(&p->calls, arbiter_future, calls))) {
                call_take_off(f);
                future_fail(f, outcome, "the link to '%s' was lost", p->name);
        }
        while ((i = LIST_FIRST(&p->incoming, struct incoming, incoming)))
                incoming_detach(i);
        room_fail(a, &p->waiting, outcome, "the link was lost");
        kept_done(p);
        free(p);
        return NULL;
}

/* What has not left yet and goes to a name finds that name's next life. */
static void take_unsent(struct peer *p, struct waiting_room *to) {
        if (p->drops_mail)
                return;
        LIST_FOREACH(o, &p->waiting.messages, struct outgoing, waiting)
                if (o->target) {
                        o->options.flags |= ROUTE_HOLD;
                        room_take(&p->waiting, o, to);
                }
}

void peer_died(struct peer *p, arbiter_reason reason, int status) {
        arbiter_actor *a = p->actor;
        struct waiting_room rerouted;
        arbiter_future *f;

        pools_forget_member(a, &p->aid);
        room_init(&rerouted);
        kept_recover(p, &rerouted);
        while ((f = LIST_FIRST(&p->calls, arbiter_future, calls))) {
                bool begun = !p->link || link_has_begun(p->link, f->lane, f->sequence);

                call_take_off(f);
                future_fail_death(f, begun ? ARBITER_OUTCOME_CALLEE_DIED : ARBITER_OUTCOME_NOPROC, reason,
                                status);
        }

        take_unsent(p, &rerouted);
        room_fail(a, &p->waiting, ARBITER_OUTCOME_NOPROC, "the actor is dead");
        peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
        room_resend(a, &rerouted, NULL);
}

int peer_introduce(arbiter_actor *a, struct link *link, const struct peer_introduction *i,
                struct peer **ret) {
        struct waiting_room waiting;
        struct peer *p;
        int r;

        /* The same two may have had a link before that has just been closed by fin: the new one takes
         * over, and what waits. */
        room_init(&waiting);
        p = peer_find(a, i->id);
        if (p) {
                room_move(&p->waiting, &waiting);
                peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
        }
        r = peer_new(a, link, i->id, i->name, i->generation, false, &p);
        if (r < 0) {
                room_fail(a, &waiting, ARBITER_OUTCOME_NO_CONNECTION, strerror(-r));
                return r;
        }
        p->link_id = i->link_id;
        p->policy = i->policy;
        p->drops_mail = i->drops_mail;
        room_move(&waiting, &p->waiting);
        peer_flush_waiting(p);
        *ret = p;
        return 0;
}

/* "peer": the arbiter hands us one end of a link: aid, name, generation, link id, side, policy; fds:
 * socket, page; and whether it drops its mail when it dies. */
int peer_handle_peer(arbiter_actor *a, arbiter_message *m) {
        _cleanup_(link_unrefp) struct link *link = NULL;
        struct link_page *page = NULL;
        const char *id_string, *name;
        uint32_t generation;
        uint64_t link_id;
        uint8_t side, policy, drops_mail = 0;
        int socket_fd, page_fd, r;
        struct peer *p;
        aid id;

        r = arbiter_message_read(m, "ssutyyhh", &id_string, &name, &generation, &link_id, &side, &policy,
                        &socket_fd, &page_fd);
        if (r <= 0 || aid_parse(id_string, &id) < 0 || side > 1 || policy > ARBITER_MAILBOX_BLOCK ||
            aid_equal(&id, &AID_ARBITER) || aid_equal(&id, &a->aid))
                return -EBADMSG;
        (void) arbiter_message_read(m, "y", &drops_mail); /* an older arbiter does not say it */
        r = link_page_map(page_fd, &page);
        if (r < 0)
                return r;
        socket_fd = fd_duplicate(socket_fd);
        if (socket_fd < 0) {
                link_page_unmap(page);
                return socket_fd;
        }
        r = link_new(a->event, LINK_STREAM, socket_fd, page, side, &actor_link_events, NULL, &link);
        if (r < 0)
                return r;

        return peer_introduce(a, link,
                        &(struct peer_introduction){
                                        .id = &id,
                                        .name = name,
                                        .generation = generation,
                                        .link_id = link_id,
                                        .policy = policy,
                                        .drops_mail = drops_mail,
                        },
                        &p);
}

/* Closing. */

static bool peer_is_idle(const struct peer *p) {
        return p->state == PEER_OPEN && !p->control && list_is_empty(&p->calls) &&
               list_is_empty(&p->incoming) && p->waiting.n == 0;
}

static void peer_send_fin(struct peer *p) {
        if (actor_signal_peer(p, 0, "fin", "") >= 0)
                p->state = PEER_FIN_SENT;
}

/* A new one is about to be used by whoever asked for it. */
static bool link_was_used(const struct peer *p) {
        struct link_statistics s;

        link_get_statistics(p->link, &s);
        return s.frames_sent + s.frames_received > 0;
}

/* Over the bound, the least recently used idle link goes; at rest, those that have been idle for a
 * minute. */
void peers_close_idle(arbiter_actor *a, usec_t now) {
        size_t surplus = MAX(a->n_unserved, a->n_links > a->links_max ? a->n_links - a->links_max : 0);

        LIST_FOREACH(p, &a->lru, struct peer, lru) {
                bool old = p->last_used + LINK_IDLE_USEC <= now;

                if (surplus == 0 && !old)
                        return;
                if (surplus > 0 && (p->state == PEER_FIN_SENT || p->state == PEER_FIN_ACKED)) {
                        surplus--; /* on its way */
                        continue;
                }
                if (!peer_is_idle(p) || p->window_messages == 0 || (!old && !link_was_used(p)))
                        continue;
                peer_send_fin(p);
                if (surplus > 0)
                        surplus--;
        }
}

/* The link is over in good order: tell the arbiter, and connect anew if something waits. */
static void finish_closing(struct peer *p) {
        arbiter_actor *a = p->actor;
        struct waiting_room w;
        aid id = p->aid;

        (void) actor_cast_arbiter(a, "disconnect", "t", p->link_id);
        room_init(&w);
        room_move(&p->waiting, &w);
        peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
        room_resend(a, &w, &id);
}

void peer_handle_fin(struct peer *p) {
        if (p->state == PEER_FIN_SENT || peer_is_idle(p)) {
                if (actor_signal_peer(p, 0, "fin-ack", "") >= 0 && p->state == PEER_OPEN)
                        p->state = PEER_FIN_ACKED;
                return;
        }
        (void) actor_signal_peer(p, 0, "fin-refused", "");
}

void peer_handle_fin_ack(struct peer *p) {
        if (p->state != PEER_FIN_SENT)
                return;
        (void) link_flush(p->link);
        finish_closing(p);
}

void peer_handle_fin_refused(struct peer *p) {
        if (p->state != PEER_FIN_SENT)
                return;
        p->state = PEER_OPEN;
        touch(p);
        peer_flush_waiting(p);
}

/* Nobody has reported a death: the link alone was lost. */
static void on_loss_timer(arbiter_actor *a, struct actor_timer *t) {
        struct peer *p = CONTAINER_OF(t, struct peer, loss_timer);
        struct waiting_room unsent;

        if (!watch_exists(a, &p->aid))
                (void) actor_cast_arbiter(a, "unwatch", "s", aid_to_string(&p->aid).s);
        (void) actor_cast_arbiter(a, "disconnect", "t", p->link_id);
        room_init(&unsent);
        take_unsent(p, &unsent);
        peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
        room_resend(a, &unsent, NULL);
}

static void control_lost(struct peer *p, int error) {
        arbiter_actor *a = p->actor;

        if (a->arbiter_ops) {
                a->arbiter_ops->peer_lost(a, p, error);
                return;
        }
        if (control_change_over(p))
                return;
        /* Nobody has kept the arbiter's end: an embedded arbiter has no keeper. Actors see EOF and stop, as
         * in pulsar. */
        a->control = NULL;
        peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
        (void) arbiter_actor_stop(a, 0);
}

/* It does not know of a death; one that is being reaped will show soon. Before its answer no time counts:
 * there may be no arbiter just now. */
static void on_lost_told(arbiter_future *f, void *userdata) {
        arbiter_actor *a = userdata;
        struct peer *p = peer_find(a, &f->spawn_aid);

        if (p && p->state == PEER_LOST && a->state < ARBITER_STATE_CLOSED &&
                        actor_timer_set(a, &p->loss_timer, now_usec() + LINK_LOSS_GRACE_USEC) < 0)
                peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
}

static int ask_about_lost(struct peer *p) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter_actor *a = p->actor;
        int r;

        r = actor_request_arbiter(
                        a, &f, "lost", UINT64_MAX, "su", aid_to_string(&p->aid).s, p->generation);
        if (r < 0)
                return r;
        f->spawn_aid = p->aid;
        return future_then_now(f, on_lost_told, a);
}

void peer_handle_closed(struct peer *p, int error) {
        arbiter_actor *a = p->actor;

        if (p->control) {
                control_lost(p, error);
                return;
        }
        if (p->state == PEER_FIN_ACKED || p->state == PEER_FIN_SENT) {
                finish_closing(p);
                return;
        }
        if ((list_is_empty(&p->calls) && p->waiting.n == 0 && !kept_waits(p)) || error == -EBADMSG ||
                        !a->control) {
                (void) actor_cast_arbiter(a, "disconnect", "t", p->link_id);
                peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
                return;
        }
        /* Dead, or only disconnected? What it had begun stays readable in the page until the arbiter has
         * told. */
        p->state = PEER_LOST;
        if (ask_about_lost(p) < 0)
                peer_free(p, ARBITER_OUTCOME_NO_CONNECTION);
}

void peers_flush_finally(arbiter_actor *a) {
        usec_t end = now_usec() + USEC_PER_SEC / 2, now;

        LIST_FOREACH(p, &a->peers, struct peer, peers)
        while (p->link && link_is_open(p->link) && link_flush(p->link) >= 0 &&
                        link_get_buffered(p->link) > 0 && link_get_fd(p->link) >= 0 &&
                        (now = now_usec()) < end) {
                struct pollfd fd = {.fd = link_get_fd(p->link), .events = POLLOUT};

                (void) poll(&fd, 1, (int) ((end - now) / USEC_PER_MSEC) + 1);
        }
}

void peer_done(arbiter_actor *a) {
        struct peer *p;

        while ((p = LIST_FIRST(&a->peers, struct peer, peers))) {
                if (p->link)
                        (void) link_flush(p->link);
                if (p == a->control)
                        a->control = NULL;
                peer_free(p, ARBITER_OUTCOME_CANCELLED);
        }
        routes_done(a);
}
