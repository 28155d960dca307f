/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sockets and FIFOs on which others are listened to: the addresses and the settings of systemd.socket(5).
 * They are opened once, for processes that inherit them. */

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "basic/macro.h"

#define LISTEN_FIFO (-1) /* beside the types of socket(2) */
#define LISTEN_FD_NAME_MAX 255

struct listen_address {
        int type; /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET or LISTEN_FIFO */
        socklen_t size;
        bool any; /* only a port was given: IPv6 and IPv4 on one socket, or IPv4 where there is no IPv6 */
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
                struct sockaddr_un un; /* of a FIFO, too */
        } u;
};

/* "8080", "127.0.0.1:8080", "[::1]:8080", "[fe80::1%eth0]:8080", "/run/x.sock", "@abstract"; of a FIFO only
 * a path, of packets in sequence only a path or an abstract name. Addresses are literal: no name is looked
 * up. -EINVAL, -ENAMETOOLONG, -ENODEV (no such interface), -ESOCKTNOSUPPORT. */
int listen_address_parse(const char *s, int type, struct listen_address *ret);
bool listen_address_equal(const struct listen_address *a, const struct listen_address *b);
/* NULL: it is not in the file system. */
const char *listen_address_path(const struct listen_address *a);
bool listen_address_is_internet(const struct listen_address *a);

enum listen_ipv6 {
        LISTEN_IPV6_DEFAULT, /* a bare port: both; an address: as the kernel has it */
        LISTEN_IPV6_BOTH,
        LISTEN_IPV6_ONLY,
};

/* What does not apply to a kind of socket is not looked at. */
struct listen_options {
        unsigned backlog; /* 0: the most */
        int ipv6;         /* enum listen_ipv6 */
        bool reuse_port, free_bind;
        const char *device; /* of the network, or NULL */
        bool non_blocking, keep_alive, no_delay, broadcast, pass_credentials;
        uint64_t receive_buffer, send_buffer, pipe_size; /* bytes; 0: as the kernel has it */
        mode_t mode;           /* of what is in the file system; LISTEN_MODE_UMASK: as the umask has it */
        mode_t directory_mode; /* of directories that are missing; LISTEN_MODE_UMASK: none is made */
        uid_t uid;             /* (uid_t) -1: our own */
        gid_t gid;
};
#define LISTEN_MODE_UMASK ((mode_t) -1)
#define LISTEN_OPTIONS_INIT                                                                                 \
        ((struct listen_options){ .mode = LISTEN_MODE_UMASK,                                                \
                                  .directory_mode = LISTEN_MODE_UMASK,                                      \
                                  .uid = (uid_t) -1,                                                        \
                                  .gid = (gid_t) -1 })

/* Binds and listens. What is in the way is removed only if it is a socket and nobody listens there; a FIFO
 * of ours that is there is used; else -EADDRINUSE. With a mode, the umask of this process is another one for
 * a moment. */
int listen_open(const struct listen_address *a, const struct listen_options *o, int *ret_fd);
/* Those of the options that can be changed while it is open. */
int listen_adjust(int fd, const struct listen_address *a, const struct listen_options *o);
/* Is this what listen_open() would have opened, and do others reach it there? -EINVAL: it is something else;
 * -ESTALE: it was, and its path is gone or somebody else's. */
int listen_verify(int fd, const struct listen_address *a, const struct listen_options *o);
/* Of one that is open: where it is to be found, if it still is there. -ENOENT: its path is somebody
 * else's. */
int listen_address_of(int fd, struct listen_address *ret);
/* Removes its path, if it has one, and if that is still a socket or a FIFO. */
void listen_remove(const struct listen_address *a);
/* That of one that is open; nothing that is another's, whoever may have moved it. */
void listen_remove_of(int fd);

/* As FileDescriptorName=: at most 255 printable ASCII characters without ':'. */
bool listen_fd_name_is_valid(const char *name);
