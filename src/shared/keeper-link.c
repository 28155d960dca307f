/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packets of the keeper's protocol over a socket. Called by arbiterd and by arbiter-keeper. Must never
 * block, nor lose a descriptor that came with a packet. */

#include "basic/fd-pass.h"
#include "shared/keeper-link.h"

/* How many descriptors it comes with. */
static size_t with_fds(const struct keeper_packet *p) {
        return p->head.op == KEEPER_PUT || p->head.op == KEEPER_KEPT ? p->head.n : 0;
}

static size_t packet_size(const struct keeper_packet *p) {
        return sizeof(p->head) +
                        (p->head.op == KEEPER_HELLO ? 0 : (size_t) p->head.n * KEEPER_NAME_SIZE);
}

int keeper_send(int socket, const struct keeper_packet *p, const int *fds) {
        struct iovec iov = { (void *) p, packet_size(p) };

        ssize_t n = fd_pass_send(socket, &iov, 1, fds, with_fds(p));

        return n < 0 ? (int) n : 0;
}

int keeper_receive(int socket, struct keeper_packet *p, int *ret_fds, size_t *ret_n_fds) {
        struct iovec iov = { p, sizeof(*p) };
        union {
                struct cmsghdr header; /* for its alignment */
                char space[CMSG_SPACE(sizeof(int) * KEEPER_BATCH_MAX)];
        } control;
        struct msghdr m = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        int fds[KEEPER_BATCH_MAX];
        size_t n_fds;
        ssize_t n;
        int r;

        memset(&p->head, 0, sizeof(p->head));
        n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == ECONNRESET) /* died with something unread: what it had said comes next */
                n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : errno == ECONNRESET ? 0 : negative_errno();
        n_fds = fd_pass_take(&m, fds, KEEPER_BATCH_MAX);
        if (n == 0) { /* or an empty packet, which may have some all the same */
                close_many(fds, n_fds);
                return 0;
        }
        r = -EBADMSG;
        if (!(m.msg_flags & MSG_TRUNC) && keeper_packet_is_valid(p, (size_t) n)) {
                if (n_fds == with_fds(p))
                        r = m.msg_flags & MSG_CTRUNC ? -EBADMSG : 1;
                else if (n_fds < with_fds(p) && (m.msg_flags & MSG_CTRUNC))
                        r = -EMFILE; /* this process has no room for more */
        }
        if (r < 0) {
                close_many(fds, n_fds);
                return r;
        }
        memcpy(ret_fds, fds, n_fds * sizeof(int));
        *ret_n_fds = n_fds;
        return 1;
}
