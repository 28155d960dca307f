/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The seqpacket link: a datagram is a frame, and the descriptors of the one are those of the other. Called
 * through its ops by link.c only. Datagrams are gathered before they are dispatched, so that the system lane
 * goes first here, too. */

#include "basic/fd.h"
#include "transport/link-ops.h"

enum {
        /* Room for the largest frame after 30 KiB of small ones, yet below malloc's threshold for mmap */
        PACKET_BUFFER_SIZE = 96 * 1024,
        PACKETS_PER_READ = 64,
};

static void read_packet(struct link *l, size_t room) {
        struct input *in = &l->input;
        struct link_received received;
        const uint8_t *frame = in->data + in->end;
        size_t n;
        int r;

        n = link_socket_receive(l, in->data + in->end, room, &received);
        if (n == 0)
                return;
        if (n < sizeof(uint64_t) || frame_prefix_size(frame_prefix(frame)) != n || n % 8 != 0 ||
                        frame_prefix_n_fds(frame_prefix(frame)) != received.n_fds) {
                close_many(received.fds, received.n_fds);
                link_fail_reading(l, -EBADMSG);
                return;
        }
        if (received.n_fds > 0) {
                r = input_add_fds(in, received.fds, received.n_fds);
                if (r < 0) {
                        link_fail_reading(l, r);
                        return;
                }
        }
        in->end += n;
}

static void seqpacket_read(struct link *l) {
        struct input *in = &l->input;

        for (unsigned i = 0; i < PACKETS_PER_READ && l->readable; i++) {
                ssize_t room;

                if (in->n_fds - in->fds_start > LINK_FDS_MAX - FRAME_FDS_MAX)
                        return;
                room = input_prepare(in, PACKET_BUFFER_SIZE, FRAME_SIZE_MAX);
                if (room <= 0) {
                        l->no_memory = room < 0;
                        return;
                }
                if (input_reserve_fds(in, FRAME_FDS_MAX) < 0) {
                        l->no_memory = true;
                        return;
                }
                read_packet(l, (size_t) room);
        }
}

/* The system lane first; a datagram goes whole or not at all. */
static int seqpacket_flush(struct link *l) {
        while (!l->blocked) {
                struct output *o = &l->output[output_size(&l->output[LANE_SYSTEM]) > 0 ? LANE_SYSTEM
                                                                                       : LANE_USER];
                const struct output_fds *fds;
                struct iovec iov;
                ssize_t n;

                if (output_size(o) == 0)
                        return 0;
                iov = (struct iovec){
                                .iov_base = o->data + o->start,
                                .iov_len = frame_prefix_size(frame_prefix(o->data + o->start)),
                };
                fds = output_peek_fds(o, 0);
                n = link_socket_send(l, &iov, 1, fds);
                if (n < 0)
                        return (int) n;
                if (n > 0) {
                        if (fds)
                                output_drop_fds(o);
                        output_advance(o, (size_t) n);
                }
        }
        return 0;
}

const struct link_ops link_seqpacket_ops = {
                .read = seqpacket_read,
                .flush = seqpacket_flush,
                .queued = link_socket_queued,
                .schedule = link_socket_schedule,
                .set_priority = link_socket_set_priority,
                .close = link_socket_close,
};
