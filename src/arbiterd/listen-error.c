/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why an address cannot be listened on, for whoever wrote it. Called by listener.c when the kernel has
 * refused. Looks only. */

#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>

#include "arbiterd/listen-error.h"

static const char in_use[] = "\"ss -lp\" shows who does";

static const char *explain_what_is_there(const struct config_socket *s) {
        const char *path = listen_address_path(&s->address);
        bool fifo = s->address.type == LISTEN_FIFO;
        struct stat st;

        if (!path) /* an abstract name */
                return in_use;
        if (lstat(path, &st) < 0)
                return NULL;
        if (fifo && S_ISFIFO(st.st_mode))
                return "The FIFO that is there belongs to another user; remove it, or use another path";
        if (fifo)
                return "What is there is no FIFO; remove it, or use another path";
        return S_ISSOCK(st.st_mode) ? in_use : "What is there is no socket; remove it, or use another path";
}

static const char *explain_path(const struct actor_config *a, const struct config_socket *s, int error) {
        switch (error) {
        case -EADDRINUSE:
                return explain_what_is_there(s);
        case -EACCES:
                return "The arbiter's user may not make it there; use another path, or change the "
                       "directory's mode";
        case -EPERM:
                return a->socket_user || a->socket_group
                                       ? "Only root may give it to others; leave SocketUser= and "
                                         "SocketGroup= out"
                                       : NULL;
        case -ENOENT:
        case -ENOTDIR:
        case -EROFS:
                return "Its directory is not there, and cannot be made; use another path";
        default:
                return NULL;
        }
}

static bool lacks_interface(const struct config_socket *s) {
        const struct sockaddr_in6 *in6 = &s->address.u.in6;

        return in6->sin6_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) &&
               in6->sin6_scope_id == 0;
}

static const char *explain_internet(const struct actor_config *a, const struct config_socket *s,
                                    int error) {
        switch (error) {
        case -EADDRINUSE:
                return in_use;
        case -EADDRNOTAVAIL:
                return "No interface of this machine has this address; correct it, or write FreeBind=yes if "
                       "one will have it";
        case -EACCES:
                return "Ports below 1024 are for root (sysctl net.ipv4.ip_unprivileged_port_start); use "
                       "another one, or let a socket unit of systemd pass it (Sockets=)";
        case -EINVAL:
                return lacks_interface(s) ? "A link-local address needs its interface; write for example "
                                            "[fe80::1%%eth0]:80"
                                          : NULL;
        case -ENODEV:
                return a->listen.device ? "There is no interface that is called as BindToDevice= says"
                                        : NULL;
        case -EPERM:
                return a->listen.device ? "BindToDevice= is for root" : NULL;
        default:
                return NULL;
        }
}

void listen_error_explain(const struct actor_config *a, const struct config_socket *s, int error,
                          char ret[static LISTEN_ERROR_SIZE]) {
        const char *text = listen_address_is_internet(&s->address) ? explain_internet(a, s, error)
                                                                   : explain_path(a, s, error);

        (void) snprintf(ret, LISTEN_ERROR_SIZE, "%s%s", text ? ". " : "", text ? text : "");
}
