/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sockets of ListenStream= and ListenDatagram=: parsed from systemd.socket(5)'s forms, bound once by the
 * arbiter, passed to each worker as LISTEN_FDS. */

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "arbiter/process.h"

struct listen_address {
        int type; /* SOCK_STREAM or SOCK_DGRAM */
        socklen_t size;
        bool any; /* only a port was given: IPv6 and IPv4 on one socket, or IPv4 where there is no IPv6 */
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
                struct sockaddr_un un;
        } u;
};

/* "8080", "127.0.0.1:8080", "[::1]:8080", "[fe80::1%eth0]:8080", "/run/x.sock", "@abstract". Addresses are
 * literal: no name is looked up. -EINVAL, -ENAMETOOLONG, -ENODEV (no such interface), -ESOCKTNOSUPPORT. */
int listen_address_parse(const char *s, int type, struct listen_address *ret);
/* Binds (and listens); blocking, as programs of LISTEN_FDS expect (systemd's NonBlocking=no). A unix socket
 * in the way is removed only if it is a socket and nobody listens there; else -EADDRINUSE. backlog <= 0:
 * SOMAXCONN. */
int listen_address_bind(const struct listen_address *a, int backlog, int *ret_fd);

struct listen_sockets {
        int *fds;
        size_t n_fds;
        char *names;                      /* joined with ':', as LISTEN_FDNAMES wants them; NULL: none */
        struct listen_address *addresses; /* for comparing on reload and unlinking at the end */
};
#define LISTEN_SOCKETS_INIT ((struct listen_sockets){})

/* Parses, binds, appends. name: as FileDescriptorName=, at most 255 printable ASCII characters without ':';
 * NULL: "unknown", as systemd. -EINVAL, -E2BIG beyond PROCESS_LISTEN_FDS_MAX, or an error of the above; the
 * set is then unchanged. */
int listen_sockets_add(
                struct listen_sockets *s,
                const char *address,
                int type,
                const char *name,
                int backlog);
/* Points fds->listen, n_listen and listen_names at the set. */
void listen_sockets_pass(const struct listen_sockets *s, struct process_fds *fds);
/* Closes all and unlinks the unix sockets that it bound. */
void listen_sockets_done(struct listen_sockets *s);
