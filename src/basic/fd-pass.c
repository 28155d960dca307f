/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control data of messages. Called by whatever passes descriptors. Must never leak one. */

#include "basic/fd-pass.h"
#include "basic/fd.h"

union control {
        struct cmsghdr header; /* for its alignment */
        char space[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
};

static void put(struct msghdr *m, union control *c, const int *fds, size_t n) {
        m->msg_control = c;
        m->msg_controllen = CMSG_SPACE(n * sizeof(int));
        memset(c, 0, m->msg_controllen); /* the padding, too */
        c->header.cmsg_level = SOL_SOCKET;
        c->header.cmsg_type = SCM_RIGHTS;
        c->header.cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(&c->header), fds, n * sizeof(int));
}

ssize_t fd_pass_send(int socket, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds) {
        struct msghdr m = { .msg_iov = (struct iovec *) iov, .msg_iovlen = n_iov };
        union control control;
        ssize_t n;

        if (n_fds > FD_PASS_MAX)
                return -EINVAL;
        if (_unlikely_(n_fds > 0))
                put(&m, &control, fds, n_fds);
        do
                n = sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? negative_errno() : n;
}

size_t fd_pass_take(struct msghdr *m, int *ret, size_t max) {
        size_t n_taken = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                const int *fds = (const int *) (const void *) CMSG_DATA(c);
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), taken;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                taken = MIN(n, max - n_taken);
                memcpy(ret + n_taken, fds, taken * sizeof(int));
                close_many(fds + taken, n - taken);
                n_taken += taken;
        }
        return n_taken;
}
