/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One message with descriptors, to be found by a process that is yet to be. Called by the arbiter when it
 * asks systemd for a unit, and by arbiter-exec in that unit. Must never wait for the other side. */

#include "basic/fd-pass.h"
#include "basic/fd.h"
#include "basic/hand-over.h"

/* The first byte is the version, the second says whether the last descriptor is a mailbox; names follow. */
#define VERSION '1'
#define MAILBOX 'm'
#define NO_MAILBOX '-'
#define HEADER_SIZE 2

int hand_over_send(const int *fds, size_t n_fds, const char *names, int mailbox, int *ret_fd) {
        char header[HEADER_SIZE] = { VERSION, mailbox >= 0 ? MAILBOX : NO_MAILBOX };
        struct iovec iov[] = { { header, sizeof(header) },
                               { (char *) (names ? names : ""), names ? strlen(names) : 0 } };
        size_t n = n_fds + (mailbox >= 0);
        _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
        int all[HAND_OVER_FDS_MAX], pair[2];
        ssize_t sent;

        if (n == 0 || n > HAND_OVER_FDS_MAX || iov[1].iov_len >= HAND_OVER_NAMES_MAX)
                return -EINVAL;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return negative_errno();
        ours = pair[0];
        theirs = pair[1];
        if (n_fds > 0)
                memcpy(all, fds, n_fds * sizeof(int));
        if (mailbox >= 0)
                all[n_fds] = mailbox;
        sent = fd_pass_send(ours, iov, ELEMENTSOF(iov), all, n);
        if (sent < 0)
                return (int) sent;
        *ret_fd = TAKE_FD(theirs); /* what waits in it stays there without our end */
        return 0;
}

int hand_over_receive(int fd, struct hand_over *ret) {
        char header[HEADER_SIZE];
        struct iovec iov[] = { { header, sizeof(header) }, { ret->names, sizeof(ret->names) - 1 } };
        union {
                struct cmsghdr header; /* for its alignment */
                char space[CMSG_SPACE(HAND_OVER_FDS_MAX * sizeof(int))];
        } c = {};
        struct msghdr m = { .msg_iov = iov,
                            .msg_iovlen = ELEMENTSOF(iov),
                            .msg_control = &c,
                            /* not of the buffer: its padding would be room for one more */
                            .msg_controllen = CMSG_LEN(HAND_OVER_FDS_MAX * sizeof(int)) };
        ssize_t n;

        n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EAGAIN ? -ENODATA : errno == ENOTSOCK ? -EBADMSG : negative_errno();
        ret->n_fds = fd_pass_take(&m, ret->fds, HAND_OVER_FDS_MAX);
        ret->mailbox = n >= HEADER_SIZE && header[1] == MAILBOX;
        if (n > 0 && n >= HEADER_SIZE && header[0] == VERSION && ret->n_fds > 0 &&
            (ret->mailbox || header[1] == NO_MAILBOX) && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
                ret->names[n - HEADER_SIZE] = 0;
                return 0;
        }
        hand_over_done(ret);
        return n == 0 ? -ENODATA : -EBADMSG;
}

void hand_over_done(struct hand_over *h) {
        close_many(h->fds, h->n_fds);
        h->n_fds = 0;
}
