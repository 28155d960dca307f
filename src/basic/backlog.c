/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The length of the queue of a listening socket. Of TCP, TCP_INFO of the socket itself says it: in the
 * state LISTEN, tcpi_unacked is what sock_diag calls rqueue (tcp_get_info() in net/ipv4/tcp.c), and no
 * netlink and no search through all sockets of the machine is needed. AF_UNIX has only sock_diag: one
 * request for one inode, with the cookie, so that a number that means another socket by now is not
 * answered. Never waits: the kernel answers such a request before sendto() returns. */

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/backlog.h"
#include "basic/fd.h"

static int read_tcp(int fd, uint32_t *ret) {
        struct tcp_info i = {};
        socklen_t size = sizeof(i);

        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size) < 0)
                return negative_errno();
        if (i.tcpi_state != TCP_LISTEN)
                return -EOPNOTSUPP;
        *ret = i.tcpi_unacked;
        return 0;
}

struct question {
        struct nlmsghdr head;
        struct unix_diag_req request;
};

static int ask(int netlink, ino_t inode, uint64_t cookie) {
        const struct question q = {
                .head = { .nlmsg_len = sizeof(q),
                          .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                          .nlmsg_flags = NLM_F_REQUEST },
                .request = { .sdiag_family = AF_UNIX,
                             .udiag_states = UINT32_MAX,
                             .udiag_ino = (uint32_t) inode,
                             .udiag_show = UDIAG_SHOW_RQLEN,
                             .udiag_cookie = { (uint32_t) cookie, (uint32_t) (cookie >> 32) } },
        };
        const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

        if (sendto(netlink, &q, sizeof(q), MSG_DONTWAIT, (const struct sockaddr *) &kernel,
                   sizeof(kernel)) < 0)
                return negative_errno();
        return 0;
}

static int read_answer(const struct nlmsghdr *head, size_t size, uint32_t *ret) {
        const struct unix_diag_msg *m = NLMSG_DATA(head);
        const struct unix_diag_rqlen *length;
        struct rtattr *a;
        size_t left;

        if (size < sizeof(*head) || head->nlmsg_len > size || head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            head->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
                return -EOPNOTSUPP; /* an error: no such socket here, or no such module */
        if (m->udiag_state != TCP_LISTEN)
                return -EOPNOTSUPP;
        left = head->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
        for (a = (struct rtattr *) (m + 1); RTA_OK(a, left); a = RTA_NEXT(a, left))
                if (a->rta_type == UNIX_DIAG_RQLEN && RTA_PAYLOAD(a) >= sizeof(*length)) {
                        length = RTA_DATA(a);
                        *ret = length->udiag_rqueue;
                        return 0;
                }
        return -EOPNOTSUPP;
}

static int read_unix(int fd, uint32_t *ret) {
        _cleanup_close_ int netlink = -EBADF;
        union {
                struct nlmsghdr head;
                char bytes[1024];
        } answer;
        uint64_t cookie;
        socklen_t size = sizeof(cookie);
        struct stat st;
        ssize_t n;
        int r;

        if (fstat(fd, &st) < 0 || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
                return negative_errno();
        netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
        if (netlink < 0)
                return negative_errno();
        r = ask(netlink, st.st_ino, cookie);
        if (r < 0)
                return r;
        n = recv(netlink, &answer, sizeof(answer), MSG_DONTWAIT);
        return n < 0 ? negative_errno() : read_answer(&answer.head, (size_t) n, ret);
}

int backlog_read(int fd, uint32_t *ret) {
        int domain, protocol;
        socklen_t size = sizeof(domain);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
                return negative_errno();
        if (domain == AF_UNIX)
                return read_unix(fd, ret);
        size = sizeof(protocol);
        if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
                return negative_errno();
        if ((domain == AF_INET || domain == AF_INET6) && protocol == IPPROTO_TCP)
                return read_tcp(fd, ret);
        return -EOPNOTSUPP;
}
