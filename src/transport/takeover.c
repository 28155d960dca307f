/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a successor does with the descriptor of a dead end: see takeover.h. Called by src/arbiter/relink.c
 * only. Believes nothing of what it reads but what envelope_decode() lets through. */

#include "basic/fd-pass.h"
#include "basic/fd.h"
#include "transport/takeover.h"

static int send_error(int error) {
        switch (error) {
        case EAGAIN:
                return -EAGAIN;
        case ENOBUFS:
        case ENOMEM:
        case ETOOMANYREFS:
                return -ENOBUFS;
        default:
                return -ECONNRESET;
        }
}

static int send_frame(int fd, const uint8_t *frame, size_t size, const int *fds, size_t n_fds) {
        struct iovec iov = {.iov_base = (void *)frame, .iov_len = size};
        ssize_t n = fd_pass_send(fd, &iov, 1, fds, n_fds);

        return n < 0 ? send_error((int) -n) : 0;
}

int takeover_send(int fd, struct envelope *e, const void *body, const int *fds) {
        _cleanup_free_ uint8_t *frame = NULL;
        size_t size;
        uint8_t *p;

        assert(e->n_fds <= FRAME_FDS_MAX && e->body_size <= BODY_INLINE_MAX);

        e->kind = ENVELOPE_SIGNAL;
        e->flags = ENVELOPE_SYSTEM;
        e->sequence = 0;
        e->deadline = UINT64_MAX;
        size = envelope_frame_size(e);
        frame = malloc(size);
        if (!frame)
                return -ENOBUFS;
        p = envelope_encode(e, frame);
        if (e->body_size > 0)
                memcpy(p, body, e->body_size);
        return send_frame(fd, frame, size, fds, e->n_fds);
}

int takeover_receive(int fd, uint8_t *buffer, struct envelope *ret, const uint8_t **ret_body) {
        union {
                struct cmsghdr header;
                uint8_t space[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = buffer, .iov_len = FRAME_SIZE_MAX};
        struct msghdr mh = {
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control),
        };
        int fds[FRAME_FDS_MAX];
        size_t n_fds;
        ssize_t n;

        do
                n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? -EAGAIN : -ECONNRESET;
        n_fds = fd_pass_take(&mh, fds, ELEMENTSOF(fds));
        close_many(fds, n_fds); /* none are wanted */
        if (n == 0)
                return -ECONNRESET;
        if (n_fds > 0 || (mh.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
                return -EBADMSG;
        return envelope_decode(buffer, (size_t) n, ret, ret_body) == n ? 0 : -EBADMSG;
}
