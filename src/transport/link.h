/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A link: one bidirectional, ordered, bounded path for frames between two ends, with file descriptors,
 * per-lane sequence numbers, credit, and the begun page. Three kinds behind one ops table (a fourth, the
 * shared-memory ring, comes later):
 *
 *   stream     AF_UNIX SOCK_STREAM socketpair, batched: the direct link between two actors
 *   seqpacket  AF_UNIX SOCK_SEQPACKET, a datagram a frame: the control link between an actor and the arbiter
 *   local      two ends on one loop of one thread: memory only, delivered in one deferred turn per batch
 *
 * A link belongs to one loop and thread. It knows frames, not messages: the runtime (src/actor) gives it
 * envelopes and bodies and is called back with decoded frames. It never blocks, never prints, never
 * decides policy.
 *
 * Sending. link_send() appends a frame to an output buffer; nothing is written until link_flush(), which
 * the runtime calls at the end of its turn (link_send() flushes by itself at 64 KiB). Frames of the
 * system lane overtake those of the user lane that are still in the buffer; within a lane it is FIFO.
 * What the socket does not take stays buffered and goes on at EPOLLOUT.
 *
 * Credit. REQUEST and CAST frames of the user lane cost credit, in messages and in bytes (frame size);
 * answers, cancels, signals and the system lane do not (the answer's room was reserved by the request),
 * but a bound holds on what is buffered for a peer that does not read: OUTPUT_MAX bytes, beyond which the
 * system lane, too, is refused. The receiver grants a window; link_consumed() gives credit back when a
 * message has left the mailbox. A peer that sends more than it was granted has broken the protocol, and
 * its link is closed.
 *
 * Receiving. Edge-triggered; drained; what was read is dispatched in a batch of at most LINK_BATCH_MESSAGES
 * or LINK_BATCH_USEC and continues in a defer source, so that other sources get their turn. Frames of the
 * system lane among what has been read are dispatched before those of the user lane. Reading never stops
 * because writing does: that would lock up two that write to each other.
 *
 * Anything malformed (envelope, sequence, more fds than announced, over-long frame, credit) closes the
 * link with -EBADMSG; the other links and the reader's memory and time are unharmed. Receive buffers
 * exist only while something is buffered: an idle link costs its struct. */

#include <systemd/sd-event.h>

#include "transport/link-page.h"
#include "wire/envelope.h"

enum {
        LINK_BATCH_MESSAGES = 256,
        LINK_BATCH_USEC = 50,
        /* what these were answered leaves, so that the other end works meanwhile */
        LINK_FLUSH_MESSAGES = 32,
        LINK_FLUSH_SIZE = 64 * 1024,
        LINK_READ_SIZE = 256 * 1024,
        LINK_OUTPUT_MAX = 8 * 1024 * 1024,
        /* descriptors: received ones that wait for their frame; and those of frames that wait for the
         * socket */
        LINK_FDS_MAX = 256,
};

enum link_kind { LINK_STREAM, LINK_SEQPACKET, LINK_LOCAL };

struct link;

struct link_events {
        /* One whole frame, decoded and checked. Body and strings are borrowed for the call; the e->n_fds
         * descriptors are the callee's now. Negative: a violation by the peer; the link closes with that
         * error. But -EAGAIN, for a frame without descriptors: there is no memory, and it is to be
         * delivered again in a later turn. */
        int (*frame)(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds,
                        void *userdata);
        /* A batch, or LINK_FLUSH_MESSAGES of it, has been dispatched: flush what the handlers sent. May
         * be NULL. */
        void (*batch_end)(struct link *l, void *userdata);
        /* Credit has come after link_send() had answered -ENOBUFS. May be NULL. */
        void (*credit)(struct link *l, void *userdata);
        /* The link is no more: error 0 for an orderly EOF, else -EBADMSG, -ECONNRESET ... Exactly once,
         * from the loop (or from link_drain()), never inside link_send() or link_flush(); after
         * everything that had been read was dispatched. Not after link_close() or the last unref. The
         * callee may drop its last reference in it. */
        void (*closed)(struct link *l, int error, void *userdata);
};

/* Takes fd and page in any case. side: 0 or 1, which side of the page is ours (the maker of a link gives
 * one end 0, the other 1). page may be NULL: neither begun nor credit then (a peer that has not shaken
 * hands yet). */
int link_new(sd_event *event, enum link_kind kind, int fd, struct link_page *page, unsigned side,
                const struct link_events *events, void *userdata, struct link **ret);
/* Both ends of a local link, on one loop; each has its own events and userdata (set before anything is
 * dispatched). */
int link_new_local(sd_event *event, struct link **ret_a, struct link **ret_b);
void link_set_events(struct link *l, const struct link_events *events, void *userdata);
/* Adds a page to a link that was made without (after the handshake). Before any credited frame. */
int link_set_page(struct link *l, struct link_page *page, unsigned side);
/* The same where link_page_grant() has granted for our side already: nothing is written, so the page
 * stays untouched until a request or credit moves. */
int link_set_page_granted(
                struct link *l, struct link_page *page, unsigned side, uint64_t messages, uint64_t bytes);
/* The sd-event priority of its sources: control links run before direct ones. */
int link_set_priority(struct link *l, int64_t priority);

struct link *link_ref(struct link *l);
struct link *link_unref(struct link *l);
DEFINE_CLEANUP(struct link *, link_unref)
/* Drops the descriptor and everything buffered; no callback follows. Idempotent. */
void link_close(struct link *l);
bool link_is_open(const struct link *l);
/* False: nobody reads there any more. What came from there may not be dispatched yet; then "closed"
 * comes. */
bool link_can_send(const struct link *l);
enum link_kind link_get_kind(const struct link *l);
int link_get_fd(const struct link *l); /* -EBADF for a local or closed link */

/* Appends one frame: e's sequence is assigned here (and left in *e); body has e->body_size bytes unless
 * ENVELOPE_MEMFD; fds are duplicated. -ENOBUFS: no credit, or too much buffered; -EMSGSIZE; -ENOTCONN
 * after close. Nothing is sent on error. */
int link_send(struct link *l, struct envelope *e, const void *body, const int *fds);
/* Writes as much as the socket takes. 0, or a negative error that "closed" will report, too. */
int link_flush(struct link *l);
/* The socket takes nothing now: what is sent waits for the peer to read. */
bool link_is_blocked(const struct link *l);
/* Bytes that wait for the socket. A link over LINK_FLUSH_SIZE is congested: do not run more of its
 * requests. */
size_t link_get_buffered(const struct link *l);

/* Reads and dispatches until EAGAIN, without the batch bound: for the DOWN barrier and before silence is
 * judged. */
int link_drain(struct link *l);
/* Reads and dispatches one ordinary batch, now. */
int link_read(struct link *l);

/* Somebody may take over the other end's descriptor from a dead process, and he cannot know the sequence:
 * from now on a signal of the system lane with sequence 0 is delivered, too (takeover.h), and shows as such.
 * Only where the other end is trusted: an actor's control link. */
void link_allow_takeover(struct link *l);
/* Everything that waits there to be read is dispatched still; then "closed" comes, with error 0, as if there
 * were EOF behind it. */
void link_end_reading(struct link *l);
bool link_has_page(const struct link *l);

/* The sender's question at a deadline or a death: had the peer begun this message? Reads the page
 * (seq_cst). */
bool link_has_begun(const struct link *l, enum link_lane lane, uint64_t sequence);
/* The receiver, immediately before it reads the clock and enters the handler (seq_cst). Monotonic; lower
 * values are ignored. */
void link_publish_begun(struct link *l, enum link_lane lane, uint64_t sequence);

/* The same for a cast that its sender keeps. */
void link_publish_begun_cast(struct link *l, uint64_t sequence);
/* How far the peer has begun what we have sent in the user lane, as it says. */
uint64_t link_get_begun(const struct link *l);
/* Only once it has granted credit. */
bool link_peer_knows(const struct link *l, enum link_feature feature);

/* The receiver's window for the peer, in messages and bytes. Growing takes effect at once, shrinking as
 * credit returns. */
void link_set_window(struct link *l, uint64_t messages, uint64_t bytes);
/* n user-lane messages of altogether so many frame bytes have left the mailbox: their credit goes back
 * (published in steps of an eighth of the window and at the end of each batch; wakes a starved peer). */
void link_consumed(struct link *l, uint64_t messages, uint64_t bytes);
/* Is there any, for the smallest of messages? If not, "credit" will be called. */
bool link_has_credit(struct link *l);
/* Credit left for sending. */
void link_get_credit(const struct link *l, uint64_t *ret_messages, uint64_t *ret_bytes);

struct link_statistics {
        uint64_t frames_sent, frames_received, bytes_sent, bytes_received, writes, reads, refused;
};
void link_get_statistics(const struct link *l, struct link_statistics *ret);
