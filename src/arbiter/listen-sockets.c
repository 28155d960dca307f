/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets of ListenStream= and ListenDatagram=. Called when a monitor or actor that has them starts, and on
 * reload. Must never look a name up, nor take a unix socket away from somebody who listens on it. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>

#include "arbiter/listen-sockets.h"
#include "basic/fd.h"
#include "basic/parse.h"

#define FD_NAME_MAX 255

static int parse_port(const char *s, in_port_t *ret) {
        uint64_t port;
        int r;

        r = parse_u64_range(s, 1, UINT16_MAX, &port);
        if (r < 0)
                return -EINVAL;
        *ret = htons((uint16_t) port);
        return 0;
}

static int parse_unix(const char *s, struct listen_address *a) {
        size_t n = strlen(s);

        a->u.un.sun_family = AF_UNIX;
        if (s[1] == 0)
                return -EINVAL;
        /* a path keeps its NUL: some programs need it */
        if (n + (s[0] == '/') > sizeof(a->u.un.sun_path))
                return -ENAMETOOLONG;
        memcpy(a->u.un.sun_path, s, n);
        if (s[0] == '@')
                a->u.un.sun_path[0] = 0;
        a->size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n + (s[0] == '/'));
        return 0;
}

static int parse_in6(const char *s, struct listen_address *a) {
        char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE], *scope;
        const char *end = strchr(s, ']');
        size_t n;

        if (!end || end[1] != ':')
                return -EINVAL;
        n = (size_t) (end - s) - 1;
        if (n >= sizeof(host))
                return -EINVAL;
        memcpy(host, s + 1, n);
        host[n] = 0;
        scope = strchr(host, '%');
        if (scope) {
                *scope++ = 0;
                a->u.in6.sin6_scope_id = if_nametoindex(scope);
                if (a->u.in6.sin6_scope_id == 0)
                        return -ENODEV;
        }
        a->u.in6.sin6_family = AF_INET6;
        a->size = sizeof(a->u.in6);
        if (inet_pton(AF_INET6, host, &a->u.in6.sin6_addr) != 1)
                return -EINVAL;
        return parse_port(end + 2, &a->u.in6.sin6_port);
}

static int parse_in(const char *s, const char *colon, struct listen_address *a) {
        char host[INET_ADDRSTRLEN];
        size_t n = (size_t) (colon - s);

        if (n >= sizeof(host))
                return -EINVAL;
        memcpy(host, s, n);
        host[n] = 0;
        a->u.in.sin_family = AF_INET;
        a->size = sizeof(a->u.in);
        if (inet_pton(AF_INET, host, &a->u.in.sin_addr) != 1)
                return -EINVAL;
        return parse_port(colon + 1, &a->u.in.sin_port);
}

int listen_address_parse(const char *s, int type, struct listen_address *ret) {
        struct listen_address a = { .type = type };
        const char *colon;
        int r;

        if (type != SOCK_STREAM && type != SOCK_DGRAM)
                return -ESOCKTNOSUPPORT;
        if (s[0] == '/' || s[0] == '@')
                r = parse_unix(s, &a);
        else if (s[0] == '[')
                r = parse_in6(s, &a);
        else if ((colon = strchr(s, ':')))
                r = parse_in(s, colon, &a);
        else {
                a.any = true;
                a.u.in6.sin6_family = AF_INET6;
                a.u.in6.sin6_addr = in6addr_any;
                a.size = sizeof(a.u.in6);
                r = parse_port(s, &a.u.in6.sin6_port);
        }
        if (r < 0)
                return r;
        *ret = a;
        return 0;
}

static bool has_path(const struct listen_address *a) {
        return a->u.sa.sa_family == AF_UNIX && a->u.un.sun_path[0] == '/';
}

/* Nobody listens there any more, and it is a socket: a leftover. Says so, or removes nothing. */
static int remove_stale(const struct listen_address *a) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (lstat(a->u.un.sun_path, &st) < 0)
                return errno == ENOENT ? 0 : negative_errno();
        if (!S_ISSOCK(st.st_mode))
                return -EADDRINUSE;
        fd = socket(AF_UNIX, a->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        /* EAGAIN (full backlog) and EPROTOTYPE (another type) are signs of life */
        if (connect(fd, &a->u.sa, a->size) >= 0 || errno != ECONNREFUSED)
                return -EADDRINUSE;
        return unlink(a->u.un.sun_path) < 0 && errno != ENOENT ? negative_errno() : 0;
}

static int set_options(int fd, const struct listen_address *a) {
        static const int on = 1;
        int only_v6 = !a->any;

        if (a->u.sa.sa_family == AF_UNIX)
                return 0;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
                return negative_errno();
        /* said both ways: the default is a sysctl */
        if (a->u.sa.sa_family == AF_INET6 &&
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6)) < 0)
                return negative_errno();
        return 0;
}

static int bind_once(const struct listen_address *a, int backlog, int *ret_fd) {
        _cleanup_close_ int fd = -EBADF;
        bool bound = false;
        int r;

        fd = socket(a->u.sa.sa_family, a->type | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return negative_errno();
        r = set_options(fd, a);
        if (r < 0)
                return r;
        r = bind(fd, &a->u.sa, a->size);
        if (r < 0 && errno == EADDRINUSE && has_path(a)) {
                r = remove_stale(a);
                if (r < 0)
                        return r;
                r = bind(fd, &a->u.sa, a->size);
        }
        bound = r >= 0;
        if (r >= 0 && a->type == SOCK_STREAM)
                r = listen(fd, backlog > 0 ? backlog : SOMAXCONN);
        if (r < 0) {
                r = negative_errno();
                if (bound && has_path(a))
                        (void) unlink(a->u.un.sun_path);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int listen_address_bind(const struct listen_address *a, int backlog, int *ret_fd) {
        struct listen_address v4 = { .type = a->type, .size = sizeof(v4.u.in) };
        int r;

        r = bind_once(a, backlog, ret_fd);
        if (!a->any || (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL))
                return r;
        v4.u.in.sin_family = AF_INET; /* the address is all zero: any */
        v4.u.in.sin_port = a->u.in6.sin6_port;
        return bind_once(&v4, backlog, ret_fd);
}

static bool fd_name_is_valid(const char *name) {
        size_t n = strlen(name);

        if (n == 0 || n > FD_NAME_MAX)
                return false;
        for (const char *p = name; *p; p++)
                if (*p <= ' ' || *p >= 0x7f || *p == ':')
                        return false;
        return true;
}

/* Makes room for one more, so that nothing can fail once the socket is bound. */
static int grow(struct listen_sockets *s, const char *name, char **ret_names) {
        struct listen_address *addresses;
        int *fds;

        if (s->n_fds >= PROCESS_LISTEN_FDS_MAX)
                return -E2BIG;
        fds = reallocarray(s->fds, s->n_fds + 1, sizeof(*fds));
        if (!fds)
                return -ENOMEM;
        s->fds = fds;
        addresses = reallocarray(s->addresses, s->n_fds + 1, sizeof(*addresses));
        if (!addresses)
                return -ENOMEM;
        s->addresses = addresses;
        if (asprintf(ret_names, "%s%s%s", s->names ?: "", s->names ? ":" : "", name) < 0)
                return -ENOMEM;
        return 0;
}

int listen_sockets_add(
                struct listen_sockets *s,
                const char *address,
                int type,
                const char *name,
                int backlog) {

        struct listen_address a;
        char *names;
        int r, fd;

        if (name && !fd_name_is_valid(name))
                return -EINVAL;
        r = listen_address_parse(address, type, &a);
        if (r < 0)
                return r;
        r = grow(s, name ?: "unknown", &names);
        if (r < 0)
                return r;
        r = listen_address_bind(&a, backlog, &fd);
        if (r < 0) {
                free(names);
                return r;
        }
        s->addresses[s->n_fds] = a;
        s->fds[s->n_fds++] = fd;
        free(s->names);
        s->names = names;
        return 0;
}

void listen_sockets_pass(const struct listen_sockets *s, struct process_fds *fds) {
        fds->listen = s->fds;
        fds->n_listen = s->n_fds;
        fds->listen_names = s->names;
}

void listen_sockets_done(struct listen_sockets *s) {
        for (size_t i = 0; i < s->n_fds; i++) {
                if (has_path(&s->addresses[i]))
                        (void) unlink(s->addresses[i].u.un.sun_path);
                close_fd(s->fds[i]);
        }
        free(s->fds);
        free(s->addresses);
        free(s->names);
        *s = LISTEN_SOCKETS_INIT;
}
