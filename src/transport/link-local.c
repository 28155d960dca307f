/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The local link: two ends on one loop. What one end sends is encoded into its output as for a socket; the
 * other end takes the memory of that over as its input, in a deferred turn that both ends share: frames go
 * to and fro in it until there are none or the batch is full. Nothing is ever delivered inside link_send().
 */

#include "basic/fd.h"
#include "transport/link-ops.h"

struct link_local {
        unsigned n_ref;       /* one for each struct link, open or closed: the page outlives the close */
        struct link *ends[2]; /* open ones */
        struct output left[LANE_COUNT]; /* what an end had sent before it closed */
        struct link_page *page;
        sd_event *event; /* the links keep it */
        sd_event_source *defer;
        int64_t priority[2];
        bool scheduled, dispatching;
        unsigned first; /* whose turn it is to go first */
};

struct link_local *link_local_release(struct link_local *p) {
        if (!p || --p->n_ref > 0)
                return NULL;
        for (unsigned lane = 0; lane < LANE_COUNT; lane++)
                output_done(&p->left[lane]);
        sd_event_source_disable_unref(p->defer);
        link_page_unmap(p->page);
        free(p);
        return NULL;
}

static struct link *peer_of(const struct link *l) {
        return l->local->ends[!l->side];
}

static struct output *source_of(struct link *l) {
        return peer_of(l) ? peer_of(l)->output : l->local->left;
}

static void take_fds(struct input *in, struct output *o) {
        while (o->fds) {
                struct output_fds *f = output_take_fds(o);

                (void) input_add_fds(in, f->fds, f->n_fds); /* there is room */
                free(f);
        }
}

/* Moves all of a lane into the input. An empty input trades its memory for it. */
static int take(struct input *in, struct output *o) {
        size_t size = output_size(o);
        int r;

        /* Room first: then nothing is taken by half. */
        r = input_size(in) == 0 ? 0 : input_make_room(in, size);
        if (r >= 0 && o->n_fds > 0)
                r = input_reserve_fds(in, o->n_fds);
        if (r < 0)
                return r;
        take_fds(in, o);
        o->position += size;
        if (input_size(in) == 0) {
                uint8_t *data = in->data;
                size_t allocated = in->allocated;

                in->data = o->data;
                in->allocated = o->allocated;
                in->start = in->scanned = o->start;
                in->end = o->end;
                o->data = data;
                o->allocated = allocated;
                o->start = o->end = 0;
                return 0;
        }
        memcpy(in->data + in->end, o->data + o->start, size);
        in->end += size;
        o->start = o->end = 0;
        return 0;
}

static void local_read(struct link *l) {
        struct output *source = source_of(l);
        int r = 0;

        if (output_size(&source[LANE_SYSTEM]) > 0)
                r = take(&l->input, &source[LANE_SYSTEM]);
        else if (input_size(&l->input) == 0 && output_size(&source[LANE_USER]) > 0)
                r = take(&l->input, &source[LANE_USER]);
        if (r < 0) {
                l->no_memory = true;
                return;
        }
        l->statistics.reads++;
        l->readable = output_size(&source[LANE_SYSTEM]) > 0 || output_size(&source[LANE_USER]) > 0;
        if (!l->readable && !peer_of(l))
                link_fail_reading(l, 0);
}

static bool has_work(const struct link *l) {
        return l && (l->readable || l->eof || input_size(&l->input) > 0);
}

static int on_defer(sd_event_source *s, void *userdata);

static void pair_schedule(struct link_local *p) {
        if (p->scheduled || p->dispatching)
                return;
        p->scheduled = true;
        link_defer(p->event, &p->defer, on_defer, p, MIN(p->priority[0], p->priority[1]));
}

static void pair_settle(struct link_local *p) {
        bool more = false;

        for (unsigned i = 0; i < 2; i++)
                more = more || has_work(p->ends[i]);
        if (more) {
                pair_schedule(p);
                return;
        }
        for (unsigned i = 0; i < 2; i++)
                if (p->ends[i]) {
                        input_release(&p->ends[i]->input);
                        for (unsigned lane = 0; lane < LANE_COUNT; lane++)
                                output_release(&p->ends[i]->output[lane]);
                }
}

static bool run_end(struct link_local *p, unsigned i, struct link_batch *b) {
        struct link *l = p->ends[i];

        if (!has_work(l) || l->dispatching)
                return false;
        link_pin(l);
        link_turn(l, b);
        link_unpin(l);
        if (p->ends[!i])
                link_room(p->ends[!i]); /* its output has been taken */
        return true;
}

static int on_defer(sd_event_source *s, void *userdata) {
        struct link_local *p = userdata;
        struct link_batch b;
        bool progress;

        p->n_ref++;
        p->scheduled = false;
        p->dispatching = true;
        link_batch_begin(&b, true);
        do {
                progress = run_end(p, p->first, &b);
                progress = (!b.full && run_end(p, !p->first, &b)) || progress;
        } while (progress && !b.full);
        p->first = !p->first;
        p->dispatching = false;
        pair_settle(p);
        link_local_release(p);
        return 0;
}

/* Delivery goes straight to the other end's turn: there is nothing to write. */
static int local_flush(struct link *l) {
        return 0;
}

static void local_queued(struct link *l) {
        peer_of(l)->readable = true;
        l->statistics.writes++;
        pair_schedule(l->local);
}

static void local_schedule(struct link *l) {
        pair_schedule(l->local);
}

static int local_set_priority(struct link *l, int64_t priority) {
        l->local->priority[l->side] = priority;
        return sd_event_source_set_priority(
                        l->local->defer, MIN(l->local->priority[0], l->local->priority[1]));
}

static void local_close(struct link *l) {
        struct link_local *p = l->local;
        struct link *peer;

        if (!p)
                return;
        peer = peer_of(l);
        p->ends[l->side] = NULL;
        if (!peer)
                return;
        for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
                p->left[lane] = l->output[lane];
                l->output[lane] = (struct output){};
                output_done(&peer->output[lane]); /* nobody will take it */
        }
        peer->broken = true;
        peer->readable = !peer->eof;
        pair_schedule(p);
}

const struct link_ops link_local_ops = {
                .read = local_read,
                .flush = local_flush,
                .queued = local_queued,
                .schedule = local_schedule,
                .set_priority = local_set_priority,
                .close = local_close,
};

static int pair_new(sd_event *event, struct link_local **ret) {
        struct link_local *p;
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->n_ref = 1;
        p->event = event;
        r = link_page_map_local(&p->page);
        if (r >= 0)
                r = sd_event_add_defer(event, &p->defer, on_defer, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->defer, SD_EVENT_OFF);
        if (r < 0) {
                link_local_release(p);
                return r;
        }
        *ret = p;
        return 0;
}

static void pair_attach(struct link_local *p, unsigned side, struct link *l) {
        p->n_ref++;
        p->ends[side] = l;
        l->local = p;
        l->page = p->page;
        l->side = side;
        atomic_store(&p->page->side[side].features, LINK_KNOWS_KEPT);
}

int link_new_local(sd_event *event, struct link **ret_a, struct link **ret_b) {
        _cleanup_(link_unrefp) struct link *a = NULL, *b = NULL;
        struct link_local *p;
        int r;

        r = link_allocate(event, LINK_LOCAL, &link_local_ops, &a);
        if (r < 0)
                return r;
        r = link_allocate(event, LINK_LOCAL, &link_local_ops, &b);
        if (r < 0)
                return r;
        r = pair_new(event, &p);
        if (r < 0)
                return r;
        pair_attach(p, 0, a);
        pair_attach(p, 1, b);
        link_local_release(p); /* the ends keep it now */

        *ret_a = TAKE_PTR(a);
        *ret_b = TAKE_PTR(b);
        return 0;
}
