/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The output buffer of one lane. Filled by link_send(), emptied by the writers (link-stream.c,
 * link-seqpacket.c) or handed to the other end as a whole (link-local.c). It knows nothing of sockets and
 * enforces no bound: link.c does. */

#include "basic/fd.h"
#include "transport/link-output.h"
#include "transport/link-ops.h"

enum { OUTPUT_SIZE_MIN = 1024 };

static int output_grow(struct output *o, size_t size) {
        size_t live = output_size(o), allocated;
        uint8_t *data;

        if (o->start > 0 && live <= o->allocated / 2 && live + size <= o->allocated) {
                memmove(o->data, o->data + o->start, live);
                o->start = 0;
                o->end = live;
                return 0;
        }

        allocated = MAX(o->data ? o->allocated * 2 : o->hint, (size_t) OUTPUT_SIZE_MIN);
        while (allocated < live + size)
                allocated *= 2;

        data = malloc(allocated);
        if (!data)
                return -ENOMEM;
        if (live > 0)
                memcpy(data, o->data + o->start, live);
        free(o->data);
        o->data = data;
        o->allocated = allocated;
        o->start = 0;
        o->end = live;
        return 0;
}

int output_reserve(struct output *o, size_t size, uint8_t **ret) {
        int r;

        if (_unlikely_(o->allocated - o->end < size)) {
                r = output_grow(o, size);
                if (r < 0)
                        return r;
        }
        *ret = o->data + o->end;
        return 0;
}

int output_add_fds(struct output *o, const int *fds, size_t n_fds) {
        struct output_fds *f;

        f = malloc(offsetof(struct output_fds, fds) + n_fds * sizeof(int));
        if (!f)
                return -ENOMEM;
        f->next = NULL;
        f->position = o->position + output_size(o);
        f->n_fds = n_fds;

        for (size_t i = 0; i < n_fds; i++) {
                f->fds[i] = fd_duplicate(fds[i]);
                if (f->fds[i] < 0) {
                        int r = f->fds[i];

                        close_many(f->fds, i);
                        free(f);
                        return r;
                }
        }

        if (o->last_fds)
                o->last_fds->next = f;
        else
                o->fds = f;
        o->last_fds = f;
        o->n_fds += n_fds;
        return 0;
}

struct output_fds *output_take_fds(struct output *o) {
        struct output_fds *f = o->fds;

        o->fds = f->next;
        if (!o->fds)
                o->last_fds = NULL;
        o->n_fds -= f->n_fds;
        return f;
}

void output_drop_fds(struct output *o) {
        struct output_fds *f = output_take_fds(o);

        close_many(f->fds, f->n_fds);
        free(f);
}

size_t output_run(const struct output *o, size_t distance) {
        uint64_t position = o->position + distance, end = o->position + output_size(o);

        for (const struct output_fds *f = o->fds; f; f = f->next)
                if (f->position > position) {
                        end = f->position;
                        break;
                }
        return (size_t) (end - position);
}

void output_release(struct output *o) {
        if (!o->data || output_size(o) > 0)
                return;
        /* The next burst is likely to be like this one: it should not grow its way up again. */
        o->hint = o->end > o->allocated / 4 ? o->allocated : o->allocated / 2;
        free(o->data);
        o->data = NULL;
        o->start = o->end = o->allocated = o->partial = 0;
}

void output_advance(struct output *o, size_t n) {
        size_t left = n;

        o->position += n;
        if (n == output_size(o)) {
                o->start = o->end;
                output_release(o);
                return;
        }

        if (left < o->partial) {
                o->partial -= left;
                o->start += left;
                return;
        }
        left -= o->partial;
        o->start += o->partial;
        o->partial = 0;
        while (left > 0) {
                size_t size = frame_prefix_size(frame_prefix(o->data + o->start));

                if (left < size) {
                        o->partial = size - left;
                        o->start += left;
                        break;
                }
                o->start += size;
                left -= size;
        }
}

void output_done(struct output *o) {
        while (o->fds)
                output_drop_fds(o);
        free(o->data);
        *o = (struct output){};
}
