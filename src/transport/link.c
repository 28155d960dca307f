/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The common part of a link: its life, sending, and the turn in which it reads, dispatches and ends. Called
 * by the runtime (src/actor) and the handshake (src/arbiter). Callbacks run only from link_turn() and, for
 * credit, from the event sources beneath it; each may close or drop the link, so the link is pinned
 * meanwhile, and "closed" is looked at after every one.
 *
 * States: open; broken (writing failed: reading goes on until nothing is left); eof (nothing more is read:
 * closed comes once the input is dispatched); closed. */

#include "basic/fd.h"
#include "transport/link-ops.h"

int link_allocate(sd_event *event, enum link_kind kind, const struct link_ops *ops, struct link **ret) {
        struct link *l;

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->n_ref = 1;
        l->kind = kind;
        l->ops = ops;
        l->event = sd_event_ref(event);
        l->fd = -EBADF;
        *ret = l;
        return 0;
}

int link_new(sd_event *event, enum link_kind kind, int fd, struct link_page *page, unsigned side,
                const struct link_events *events, void *userdata, struct link **ret) {
        _cleanup_(link_unrefp) struct link *l = NULL;
        int r;

        assert(kind == LINK_STREAM || kind == LINK_SEQPACKET);

        r = link_allocate(event, kind, kind == LINK_STREAM ? &link_stream_ops : &link_seqpacket_ops, &l);
        if (r < 0) {
                close_fd(fd);
                link_page_unmap(page);
                return r;
        }
        l->fd = fd;
        link_set_events(l, events, userdata);
        if (page) {
                r = link_set_page(l, page, side);
                if (r < 0)
                        return r;
        }
        r = link_socket_attach(l);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(l);
        return 0;
}

/* sd-event dispatches what has been pending longest, and a defer source counts as pending since it was made:
 * one that is enabled again and again starves every source of its priority. So each turn gets a new one; the
 * old one stays as the way out when there is no memory. */
void link_defer(sd_event *event, sd_event_source **source, sd_event_handler_t handler, void *userdata,
                int64_t priority) {
        sd_event_source *fresh = NULL;

        if (sd_event_add_defer(event, &fresh, handler, userdata) >= 0 &&
                        sd_event_source_set_priority(fresh, priority) >= 0) {
                sd_event_source_disable_unref(*source);
                *source = fresh;
                return;
        }
        sd_event_source_disable_unref(fresh);
        (void) sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

void link_set_events(struct link *l, const struct link_events *events, void *userdata) {
        l->events = *events;
        l->userdata = userdata;
}

int link_set_priority(struct link *l, int64_t priority) {
        if (l->closed)
                return -ENOTCONN;
        l->priority = priority;
        return l->ops->set_priority(l, priority);
}

struct link *link_ref(struct link *l) {
        l->n_ref++;
        return l;
}

static void destroy(struct link *l) {
        if (l->kind == LINK_LOCAL)
                link_local_release(l->local); /* and with it the page */
        else
                link_page_unmap(l->page);
        sd_event_unref(l->event);
        free(l);
}

struct link *link_unref(struct link *l) {
        if (!l || --l->n_ref > 0)
                return NULL;
        link_close(l);
        if (l->n_pins == 0)
                destroy(l);
        return NULL;
}

void link_pin(struct link *l) {
        l->n_pins++;
}

void link_unpin(struct link *l) {
        if (--l->n_pins == 0 && l->n_ref == 0)
                destroy(l);
}

void link_close(struct link *l) {
        if (l->closed)
                return;
        l->closed = true;
        l->readable = l->blocked = l->scheduled = false;
        l->ops->close(l);
        for (unsigned lane = 0; lane < LANE_COUNT; lane++)
                output_done(&l->output[lane]);
        /* A callback may be looking at its frame still: then link_turn() frees the input. */
        if (!l->dispatching)
                input_done(&l->input);
}

bool link_is_open(const struct link *l) {
        return !l->closed;
}

bool link_can_send(const struct link *l) {
        return !l->closed && !l->broken;
}

enum link_kind link_get_kind(const struct link *l) {
        return l->kind;
}

int link_get_fd(const struct link *l) {
        return l->fd >= 0 ? l->fd : -EBADF;
}

size_t link_get_buffered(const struct link *l) {
        return output_size(&l->output[LANE_USER]) + output_size(&l->output[LANE_SYSTEM]);
}

bool link_is_blocked(const struct link *l) {
        return l->blocked;
}

bool link_has_page(const struct link *l) {
        return l->page;
}

void link_get_statistics(const struct link *l, struct link_statistics *ret) {
        *ret = l->statistics;
}

static int refuse(struct link *l, int error) {
        l->statistics.refused++;
        return error;
}

static int append(struct link *l, struct envelope *e, size_t size, const void *body, const int *fds) {
        enum link_lane lane = envelope_lane(e);
        struct output *o = &l->output[lane];
        uint8_t *frame, *p;
        int r;

        r = output_reserve(o, size, &frame);
        if (r < 0)
                return r;
        if (_unlikely_(envelope_is_credited(e) && !link_take_credit(l, size)))
                return refuse(l, -ENOBUFS);
        if (_unlikely_(e->n_fds > 0)) {
                r = output_add_fds(o, fds, e->n_fds);
                if (r < 0) {
                        if (envelope_is_credited(e))
                                link_return_credit(l, size);
                        return r;
                }
        }

        e->sequence = ++l->sequence_sent[lane];
        p = envelope_encode(e, frame);
        if (e->body_size > 0 && !(e->flags & ENVELOPE_MEMFD))
                memcpy(p, body, e->body_size);
        output_commit(o, size);
        l->statistics.frames_sent++;
        return 0;
}

int link_send(struct link *l, struct envelope *e, const void *body, const int *fds) {
        size_t size;
        int r;

        if (_unlikely_(l->closed || l->broken))
                return -ENOTCONN;
        if (_unlikely_(e->n_fds > FRAME_FDS_MAX || e->n_chain > CHAIN_MAX ||
                            (!(e->flags & ENVELOPE_MEMFD) && e->body_size > BODY_INLINE_MAX)))
                return -EMSGSIZE;
        size = envelope_frame_size(e);
        if (_unlikely_(link_get_buffered(l) + size > LINK_OUTPUT_MAX ||
                            (e->n_fds > 0 && l->output[LANE_USER].n_fds + l->output[LANE_SYSTEM].n_fds +
                                                             e->n_fds > LINK_FDS_MAX))) {
                l->want_room = true;
                return refuse(l, -ENOBUFS);
        }

        r = append(l, e, size, body, fds);
        if (_unlikely_(r < 0))
                return r;
        l->ops->queued(l);
        return 0;
}

/* Writing has failed. What the peer had sent is still dispatched, and closed comes from the loop. */
static void break_link(struct link *l, int error) {
        l->broken = true;
        l->blocked = false;
        if (l->error == 0)
                l->error = error;
        for (unsigned lane = 0; lane < LANE_COUNT; lane++)
                output_done(&l->output[lane]);
        l->readable = !l->eof;
        l->ops->schedule(l);
}

int link_flush(struct link *l) {
        int r;

        if (l->closed)
                return -ENOTCONN;
        if (l->broken)
                return l->error < 0 ? l->error : -ENOTCONN;
        if (l->blocked || link_get_buffered(l) == 0)
                return 0;
        r = l->ops->flush(l);
        if (r < 0) {
                break_link(l, r);
                return l->error;
        }
        return 0;
}

void link_room(struct link *l) {
        if (l->closed || link_get_buffered(l) > LINK_OUTPUT_MAX / 2 ||
                        l->output[LANE_USER].n_fds + l->output[LANE_SYSTEM].n_fds > LINK_FDS_MAX / 2)
                return;
        if (l->signal_due)
                link_publish_credit(l);
        if (!l->want_room)
                return;
        l->want_room = false;
        if (l->events.credit)
                l->events.credit(l, l->userdata);
}

void link_fail_reading(struct link *l, int error) {
        if (l->error == 0)
                l->error = error;
        l->eof = true;
        l->readable = false;
}

void link_allow_takeover(struct link *l) {
        l->takeover = true;
}

void link_end_reading(struct link *l) {
        if (l->closed || l->eof)
                return;
        l->ending = l->readable = true;
        if (!l->dispatching)
                l->ops->schedule(l);
}

static void end_batch(struct link *l) {
        link_publish_credit(l);
        if (l->events.batch_end)
                l->events.batch_end(l, l->userdata);
        if (!l->closed)
                (void) link_flush(l);
}

static void finish(struct link *l) {
        int error = l->error;

        /* The front of a frame is left: its writer died, or closed, in the middle of it. */
        if (error == 0 && input_size(&l->input) > 0)
                error = -ECONNRESET;
        link_close(l);
        if (l->events.closed)
                l->events.closed(l, error, l->userdata);
}

void link_turn(struct link *l, struct link_batch *b) {
        unsigned before = b->n;

        l->dispatching = true;
        l->no_memory = false;
        do {
                if (l->readable)
                        l->ops->read(l);
                link_dispatch(l, b);
        } while (!l->closed && !b->full && l->readable && !l->no_memory);
        if (!l->closed && b->n > before)
                end_batch(l);
        l->dispatching = false;

        if (l->closed)
                input_done(&l->input);
        else if (l->no_memory)
                l->ops->schedule(l);
        else if (b->full && (l->readable || l->eof || input_size(&l->input) > 0))
                l->ops->schedule(l);
        else if (l->eof)
                finish(l);
        else if (l->readable)
                l->ops->schedule(l); /* writing broke in this very batch */
        else if (l->kind != LINK_LOCAL)
                input_release(&l->input);
}

static int read_now(struct link *l, bool bounded) {
        struct link_batch b;

        if (l->closed)
                return -ENOTCONN;
        if (l->dispatching)
                return -EDEADLK;
        link_batch_begin(&b, bounded);
        link_pin(l);
        l->readable = !l->eof;
        l->draining = !bounded;
        link_turn(l, &b);
        l->draining = false;
        link_unpin(l);
        return 0;
}

int link_drain(struct link *l) {
        return read_now(l, false);
}

int link_read(struct link *l) {
        return read_now(l, true);
}
