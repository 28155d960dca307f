/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stream and seqpacket links share: one recvmsg, one sendmsg, and the event sources. Never blocks; of
 * what the peer sends it interprets only the ancillary data.
 *
 * EPOLLOUT is asked for only while the socket is full: edge-triggered or not, it would wake us each time the
 * peer reads. */

#include <sys/epoll.h>
#include <sys/socket.h>

#include "basic/fd-pass.h"
#include "basic/fd.h"
#include "transport/link-ops.h"

enum {
        IO_EVENTS = EPOLLIN | EPOLLRDHUP | EPOLLET,
        IO_ENDED = EPOLLRDHUP | EPOLLHUP | EPOLLERR,
        RETRY_USEC = 10 * 1000,
};

static void run(struct link *l) {
        struct link_batch b;

        link_batch_begin(&b, true);
        link_pin(l);
        link_turn(l, &b);
        link_unpin(l);
}

static void unblock(struct link *l) {
        l->blocked = false;
        link_pin(l);
        if (link_flush(l) >= 0 && !l->blocked) {
                (void) sd_event_source_set_io_events(l->io, IO_EVENTS);
                link_room(l);
        }
        link_unpin(l);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct link *l = userdata;

        link_pin(l);
        if (revents & (EPOLLIN | IO_ENDED))
                l->readable = !l->eof;
        if (revents & IO_ENDED)
                l->hup = true;
        if (l->blocked && (revents & (EPOLLOUT | IO_ENDED)))
                unblock(l);
        /* A batch that was cut short goes on in its own turn. */
        if (!l->closed && l->readable && !l->scheduled)
                run(l);
        link_unpin(l);
        return 0;
}

static int on_defer(sd_event_source *s, void *userdata) {
        struct link *l = userdata;

        l->scheduled = false;
        run(l);
        return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        struct link *l = userdata;

        if (l->blocked)
                unblock(l);
        return 0;
}

int link_socket_attach(struct link *l) {
        int r;

        r = sd_event_add_io(l->event, &l->io, l->fd, IO_EVENTS, on_io, l);
        if (r < 0)
                return r;
        /* Made now so that it cannot fail when there is work that only it will do. */
        r = sd_event_add_defer(l->event, &l->defer, on_defer, l);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(l->defer, SD_EVENT_OFF);
}

void link_socket_schedule(struct link *l) {
        if (l->scheduled || l->closed)
                return;
        l->scheduled = true;
        link_defer(l->event, &l->defer, on_defer, l, l->priority);
}

int link_socket_set_priority(struct link *l, int64_t priority) {
        int r;

        r = sd_event_source_set_priority(l->io, priority);
        if (r < 0)
                return r;
        return sd_event_source_set_priority(l->defer, priority);
}

void link_socket_close(struct link *l) {
        l->io = sd_event_source_disable_unref(l->io);
        l->defer = sd_event_source_disable_unref(l->defer);
        l->retry = sd_event_source_disable_unref(l->retry);
        l->fd = close_fd(l->fd);
}

void link_socket_queued(struct link *l) {
        if (link_get_buffered(l) >= LINK_FLUSH_SIZE)
                (void) link_flush(l); /* the frame is queued; that the socket broke, "closed" will say */
}

static void receive_failed(struct link *l, int error) {
        l->readable = false;
        if (error == EAGAIN || error == EWOULDBLOCK) {
                if (l->broken || l->ending)
                        link_fail_reading(l, 0);
                return;
        }
        /* The peer is gone without having read all of ours; what it had sent is there still, and then comes
         * EOF. */
        if (error == ECONNRESET && !l->reset) {
                if (l->error == 0)
                        l->error = -ECONNRESET;
                l->reset = l->readable = l->hup = true;
                return;
        }
        link_fail_reading(l, -error);
}

size_t link_socket_receive(struct link *l, uint8_t *buffer, size_t size, struct link_received *ret) {
        union {
                struct cmsghdr header;
                uint8_t space[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = buffer, .iov_len = size};
        struct msghdr mh = {
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control),
        };
        ssize_t n;

        ret->n_fds = 0;
        do
                n = recvmsg(l->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        l->statistics.reads++;
        if (n < 0) {
                receive_failed(l, errno);
                return 0;
        }

        if (mh.msg_controllen > 0)
                ret->n_fds = fd_pass_take(&mh, ret->fds, FRAME_FDS_MAX);
        if (_unlikely_(mh.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
                close_many(ret->fds, ret->n_fds);
                link_fail_reading(l, -EBADMSG);
                return 0;
        }
        if (n == 0) {
                close_many(ret->fds, ret->n_fds);
                link_fail_reading(l, 0);
                return 0;
        }
        l->statistics.bytes_received += (uint64_t) n;
        return (size_t) n;
}

int link_socket_block(struct link *l) {
        l->blocked = true;
        return sd_event_source_set_io_events(l->io, IO_EVENTS | EPOLLOUT);
}

/* Memory of the kernel, or too many descriptors in flight: no event says when it is over. */
static int block_and_retry(struct link *l) {
        int r;

        l->blocked = true;
        if (!l->retry) {
                r = sd_event_add_time_relative(
                                l->event, &l->retry, CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry, l);
                if (r < 0)
                        return r;
                return sd_event_source_set_priority(l->retry, l->priority);
        }
        r = sd_event_source_set_time_relative(l->retry, RETRY_USEC);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(l->retry, SD_EVENT_ONESHOT);
}

static ssize_t send_failed(struct link *l, int error) {
        switch (error) {
        case EAGAIN:
                return link_socket_block(l);
        case ENOBUFS:
        case ENOMEM:
        case ETOOMANYREFS:
                return block_and_retry(l);
        case EPIPE:
                return -ECONNRESET;
        default:
                return -error;
        }
}

ssize_t link_socket_send(struct link *l, struct iovec *iov, size_t n_iov, const struct output_fds *fds) {
        ssize_t n = fd_pass_send(l->fd, iov, n_iov, fds ? fds->fds : NULL, fds ? fds->n_fds : 0);

        l->statistics.writes++;
        if (n < 0)
                return send_failed(l, (int) -n);
        l->statistics.bytes_sent += (uint64_t) n;
        return n;
}
