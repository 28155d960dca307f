/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of a link: what the three kinds and the common part (link.c, link-input.c, link-credit.c)
 * share. Nobody else includes this. A new kind adds one struct link_ops. */

#include <endian.h>
#include <sys/uio.h>

#include "basic/time-util.h"
#include "transport/link-input.h"
#include "transport/link-output.h"
#include "transport/link.h"

struct link_local; /* what the two ends of a local link share; link-local.c */

struct link_ops {
        /* Appends what there is to l->input: once, not until it is gone. Clears l->readable when there is no
         * more, sets l->eof (with l->error) when there never will be. */
        void (*read)(struct link *l);
        /* Writes as much of l->output as goes. May set l->blocked. */
        int (*flush)(struct link *l);
        /* A frame has been appended to l->output. */
        void (*queued)(struct link *l);
        /* Has the loop run link_turn() soon. */
        void (*schedule)(struct link *l);
        int (*set_priority)(struct link *l, int64_t priority);
        void (*close)(struct link *l);
};

extern const struct link_ops link_stream_ops, link_seqpacket_ops, link_local_ops;

/* Cumulative counters of one direction's credit. */
struct link_credit {
        uint64_t messages, bytes;
};

struct link {
        unsigned n_ref;  /* of users: without any it is closed */
        unsigned n_pins; /* of our own frames on the stack: they keep the memory only */
        enum link_kind kind;
        const struct link_ops *ops;
        struct link_events events;
        void *userdata;
        sd_event *event;

        bool closed;      /* link_close() or the closed callback: nothing happens any more */
        bool eof;         /* nothing more is read; closed comes when the input is dispatched */
        bool broken;      /* nothing more is written */
        bool dispatching; /* callbacks may borrow from the input */
        bool draining;    /* in link_drain(): only EAGAIN is the end */
        bool readable;    /* a read may bring something */
        bool hup;         /* the other end is gone: read until EOF */
        bool reset;       /* ... and has not read all of ours */
        bool blocked;     /* the socket is full: wait for EPOLLOUT */
        bool scheduled;   /* a deferred turn is on its way */
        bool no_memory;   /* for the input: the next turn tries again */
        bool want_room;   /* a frame was refused because of LINK_OUTPUT_MAX */
        bool starving;    /* a frame was refused because of credit */
        bool signal_due;  /* a credit signal found no room */
        bool takeover;    /* signals with sequence 0 are let through */
        bool ending;      /* EAGAIN is EOF: see link_end_reading() */
        int error;        /* what closed will say */

        int fd;
        sd_event_source *io, *defer, *retry;
        int64_t priority;
        struct link_local *local;

        struct input input;
        struct output output[LANE_COUNT];
        uint64_t sequence_sent[LANE_COUNT], sequence_received[LANE_COUNT];

        struct link_page *page;
        unsigned side;
        uint64_t begun[LANE_COUNT];
        struct link_credit sent, peer_granted;                  /* as the sender */
        struct link_credit received, consumed, granted, window; /* as the receiver */
        uint32_t starved, answered;

        struct link_statistics statistics;
};

/* The first eight bytes of a frame in one load: envelope.h has the layout. */
static inline uint64_t frame_prefix(const uint8_t *frame) {
        uint64_t v;

        memcpy(&v, frame, sizeof(v));
        return le64toh(v);
}
static inline size_t frame_prefix_size(uint64_t v) {
        return (size_t) (v & UINT32_MAX);
}
static inline bool frame_prefix_is_system(uint64_t v) {
        return (v >> 48) & ENVELOPE_SYSTEM;
}
static inline size_t frame_prefix_n_fds(uint64_t v) {
        return (size_t) (v >> 56);
}
static inline bool frame_size_is_valid(size_t size) {
        return size > ENVELOPE_HEADER_SIZE && size <= FRAME_SIZE_MAX && size % 8 == 0;
}
static inline enum link_lane envelope_lane(const struct envelope *e) {
        return e->flags & ENVELOPE_SYSTEM ? LANE_SYSTEM : LANE_USER;
}
static inline bool envelope_is_credited(const struct envelope *e) {
        return !(e->flags & ENVELOPE_SYSTEM) && (e->kind == ENVELOPE_REQUEST || e->kind == ENVELOPE_CAST);
}

/* The bound on one turn; the two ends of a local link share one. */
struct link_batch {
        unsigned n;
        bool bounded, full;
        nsec_t end;
        size_t bytes_left; /* of an unbounded one: a peer that never stops must not hold us */
};
void link_batch_begin(struct link_batch *b, bool bounded);

/* link.c */
int link_allocate(sd_event *event, enum link_kind kind, const struct link_ops *ops, struct link **ret);
void link_defer(
                sd_event *event, sd_event_source **source, sd_event_handler_t handler, void *userdata,
                int64_t priority);
void link_pin(struct link *l);
void link_unpin(struct link *l);
/* Reads, dispatches, and ends the link if it is at its end. The caller has pinned it. */
void link_turn(struct link *l, struct link_batch *b);
/* The link will end with this error once its input has been dispatched; nothing more is read. */
void link_fail_reading(struct link *l, int error);
/* Tells the runtime, once, that there is room again. From the loop only. */
void link_room(struct link *l);

/* link-input.c: dispatches from the input. Sets b->full when the bound stopped it. */
void link_dispatch(struct link *l, struct link_batch *b);

/* link-credit.c */
bool link_take_credit(struct link *l, size_t size);
void link_return_credit(struct link *l, size_t size);
int link_charge_received(struct link *l, size_t size);
void link_uncharge_received(struct link *l, size_t size);
void link_credit_arrived(struct link *l);
void link_publish_credit(struct link *l);

/* link-local.c: for the last unref. */
struct link_local *link_local_release(struct link_local *p);

/* link-socket.c: what both kinds of socket share. */
struct link_received {
        int fds[FRAME_FDS_MAX];
        size_t n_fds;
};
/* One recvmsg(). > 0 bytes; 0: nothing, l->readable and l->eof say why. */
size_t link_socket_receive(struct link *l, uint8_t *buffer, size_t size, struct link_received *ret);
/* One sendmsg(). > 0: bytes; 0: the socket is full, l->blocked is set; < 0: broken. */
ssize_t link_socket_send(struct link *l, struct iovec *iov, size_t n_iov, const struct output_fds *fds);
int link_socket_block(struct link *l);
int link_socket_attach(struct link *l);
void link_socket_schedule(struct link *l);
void link_socket_queued(struct link *l);
int link_socket_set_priority(struct link *l, int64_t priority);
void link_socket_close(struct link *l);
