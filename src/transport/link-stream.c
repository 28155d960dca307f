/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stream link: frames back to back on an AF_UNIX SOCK_STREAM, as many as possible per system call.
 * Called through its ops by link.c only. Descriptors travel with the first byte of their frame, which
 * therefore begins a sendmsg of its own. */

#include "transport/link-ops.h"

static void stream_read(struct link *l) {
        struct input *in = &l->input;
        struct link_received received;
        size_t size, n;
        ssize_t room;
        int r;

        if (in->n_fds - in->fds_start > LINK_FDS_MAX - FRAME_FDS_MAX)
                return; /* dispatch first */

        size = in->bulk ? LINK_READ_SIZE : INPUT_SIZE_SMALL;
        if (input_is_exhausted(in) && input_size(in) >= sizeof(uint64_t) &&
                        frame_prefix_size(frame_prefix(in->data + in->start)) > size)
                size = LINK_READ_SIZE;
        room = input_prepare(in, size, 0);
        if (room <= 0) {
                l->no_memory = room < 0;
                return;
        }

        n = link_socket_receive(l, in->data + in->end, (size_t) room, &received);
        if (n == 0)
                return;
        in->end += n;
        if (n == (size_t) room)
                in->bulk = true;
        else if (received.n_fds == 0)
                /* A short read has emptied the socket, and what comes from now on is a new edge. (With
                 * descriptors the kernel stops early.) After a hang-up there is none: go on to EOF. */
                l->readable = l->hup || l->draining;
        if (received.n_fds > 0) {
                r = input_add_fds(in, received.fds, received.n_fds);
                if (r < 0)
                        link_fail_reading(l, r);
        }
}

struct segment {
        struct output *output;
        size_t size;
};

/* What one sendmsg may take: the rest of a frame that a short write cut, then the system lane, then the user
 * lane; it ends before a frame with descriptors, unless that is the first. */
static size_t build_segments(struct link *l, struct segment *segments, struct iovec *iov,
                const struct output_fds **ret_fds) {
        static const enum link_lane order[LANE_COUNT] = {LANE_SYSTEM, LANE_USER};
        size_t n = 0;

        *ret_fds = NULL;
        if (l->output[LANE_USER].partial > 0) {
                struct output *o = &l->output[LANE_USER];

                segments[n] = (struct segment){o, o->partial};
                iov[n++] = (struct iovec){o->data + o->start, o->partial};
        }
        for (unsigned i = 0; i < LANE_COUNT; i++) {
                struct output *o = &l->output[order[i]];
                size_t skip = order[i] == LANE_USER ? o->partial : 0, size;

                if (output_size(o) == skip)
                        continue;
                if (_unlikely_(o->fds)) {
                        const struct output_fds *fds = output_peek_fds(o, skip);

                        if (fds && n > 0)
                                break;
                        if (fds)
                                *ret_fds = fds;
                        size = output_run(o, skip);
                } else
                        size = output_size(o) - skip;
                segments[n] = (struct segment){o, size};
                iov[n++] = (struct iovec){o->data + o->start + skip, size};
                if (skip + size < output_size(o))
                        break;
        }
        return n;
}

static void advance(struct segment *segments, size_t n_segments, size_t n) {
        for (size_t i = 0; i < n_segments && n > 0; i++) {
                size_t k = MIN(n, segments[i].size);

                output_advance(segments[i].output, k);
                n -= k;
        }
}

static int stream_flush(struct link *l) {
        while (link_get_buffered(l) > 0 && !l->blocked) {
                struct segment segments[LANE_COUNT + 1];
                struct iovec iov[LANE_COUNT + 1];
                const struct output_fds *fds;
                size_t n_segments, total = 0;
                ssize_t n;

                n_segments = build_segments(l, segments, iov, &fds);
                for (size_t i = 0; i < n_segments; i++)
                        total += segments[i].size;
                n = link_socket_send(l, iov, n_segments, fds);
                if (n < 0)
                        return (int) n;
                if (n > 0 && fds)
                        output_drop_fds(segments[0].output);
                advance(segments, n_segments, (size_t) n);
                if (n > 0 && (size_t) n < total) {
                        int r = link_socket_block(l);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

const struct link_ops link_stream_ops = {
                .read = stream_read,
                .flush = stream_flush,
                .queued = link_socket_queued,
                .schedule = link_socket_schedule,
                .set_priority = link_socket_set_priority,
                .close = link_socket_close,
};
