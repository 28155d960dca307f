/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets and FIFOs to listen on. Called when a definition that has some is loaded, started or changed, and
 * by the library for programs. Must never look a name up, nor take a path away from somebody who listens
 * there. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "basic/fd.h"
#include "basic/listen-socket.h"
#include "basic/parse.h"

#ifndef SIOCUNIXFILE /* <linux/un.h>, which cannot be had together with <sys/un.h> */
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

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
        if (s[1] == 0 || (s[0] == '/' && s[n - 1] == '/'))
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

        if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET && type != LISTEN_FIFO)
                return -ESOCKTNOSUPPORT;
        if (s[0] == '/' || (s[0] == '@' && type != LISTEN_FIFO))
                r = parse_unix(s, &a);
        else if (type == SOCK_SEQPACKET || type == LISTEN_FIFO)
                r = -EINVAL;
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

bool listen_address_equal(const struct listen_address *a, const struct listen_address *b) {
        return a->type == b->type && a->size == b->size && memcmp(&a->u, &b->u, a->size) == 0;
}

const char *listen_address_path(const struct listen_address *a) {
        return a->u.sa.sa_family == AF_UNIX && a->u.un.sun_path[0] == '/' ? a->u.un.sun_path : NULL;
}

bool listen_address_is_internet(const struct listen_address *a) {
        return a->u.sa.sa_family != AF_UNIX;
}

bool listen_fd_name_is_valid(const char *name) {
        size_t n = strlen(name);

        if (n == 0 || n > LISTEN_FD_NAME_MAX)
                return false;
        for (const char *p = name; *p; p++)
                if (*p <= ' ' || *p >= 0x7f || *p == ':')
                        return false;
        return true;
}

/* Settings. */

static int set_flag(int fd, int level, int option, int value) {
        return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? negative_errno() : 0;
}

/* More than the limit of the machine, if we may; what is had then is for the kernel to say. */
static int set_buffer(int fd, int force, int option, uint64_t size) {
        int value = (int) MIN(size, (uint64_t) INT32_MAX);

        if (size == 0 || set_flag(fd, SOL_SOCKET, force, value) >= 0)
                return 0;
        return set_flag(fd, SOL_SOCKET, option, value);
}

static int set_unbound(int fd, const struct listen_address *a, const struct listen_options *o) {
        bool six = a->u.sa.sa_family == AF_INET6;
        int ipv6 = o->ipv6 == LISTEN_IPV6_DEFAULT && a->any ? LISTEN_IPV6_BOTH : o->ipv6, r;

        if (!listen_address_is_internet(a))
                return 0;
        r = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (r >= 0 && o->reuse_port)
                r = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r >= 0 && six && ipv6 != LISTEN_IPV6_DEFAULT)
                r = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6 == LISTEN_IPV6_ONLY);
        if (r >= 0 && o->free_bind)
                r = six ? set_flag(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
                        : set_flag(fd, IPPROTO_IP, IP_FREEBIND, 1);
        if (r >= 0 && o->device &&
            setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->device, (socklen_t) strlen(o->device) + 1) < 0)
                r = negative_errno();
        return r;
}

static int set_bound(int fd, const struct listen_address *a, const struct listen_options *o) {
        bool internet = listen_address_is_internet(a);
        int r = 0;

        if (a->type == LISTEN_FIFO)
                return o->pipe_size > 0 &&
                               fcntl(fd, F_SETPIPE_SZ, (int) MIN(o->pipe_size, (uint64_t) INT32_MAX)) < 0
                       ? negative_errno()
                       : 0;
        if (internet && a->type == SOCK_STREAM) {
                r = set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, o->keep_alive);
                if (r >= 0)
                        r = set_flag(fd, IPPROTO_TCP, TCP_NODELAY, o->no_delay);
        }
        if (r >= 0 && internet && a->type == SOCK_DGRAM)
                r = set_flag(fd, SOL_SOCKET, SO_BROADCAST, o->broadcast);
        if (r >= 0 && !internet)
                r = set_flag(fd, SOL_SOCKET, SO_PASSCRED, o->pass_credentials);
        if (r >= 0)
                r = set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, o->receive_buffer);
        return r < 0 ? r : set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, o->send_buffer);
}

static int start_listening(int fd, const struct listen_address *a, const struct listen_options *o) {
        if (a->type != SOCK_STREAM && a->type != SOCK_SEQPACKET)
                return 0;
        return listen(fd, o->backlog > 0 ? (int) MIN(o->backlog, (unsigned) INT32_MAX) : SOMAXCONN) < 0
                               ? negative_errno()
                               : 0;
}

/* Of the file: by a descriptor, so that nothing else can be put in its place meanwhile. */
static int set_owner(const struct listen_address *a, const struct listen_options *o) {
        _cleanup_close_ int fd = -EBADF;
        const char *path = listen_address_path(a);
        char self[48];
        struct stat st;
        bool changed;

        if (!path)
                return 0;
        fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return negative_errno();
        if (!S_ISSOCK(st.st_mode) && !S_ISFIFO(st.st_mode))
                return -ESTALE;
        changed = (o->uid != (uid_t) -1 && o->uid != st.st_uid) ||
                  (o->gid != (gid_t) -1 && o->gid != st.st_gid);
        if (changed && fchownat(fd, "", o->uid, o->gid, AT_EMPTY_PATH) < 0)
                return negative_errno();
        (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        if (o->mode != LISTEN_MODE_UMASK && (st.st_mode & 07777) != o->mode && chmod(self, o->mode) < 0)
                return negative_errno();
        return 0;
}

int listen_adjust(int fd, const struct listen_address *a, const struct listen_options *o) {
        int r;

        /* Never taken back: the flag is of all who have it, and they may have set it themselves. */
        r = o->non_blocking ? fd_set_nonblock(fd, true) : 0;
        if (r >= 0)
                r = set_bound(fd, a, o);
        if (r >= 0)
                r = set_owner(a, o);
        return r < 0 ? r : start_listening(fd, a, o);
}

/* Paths. */

static int make_directories(const char *path, mode_t mode) {
        char directory[sizeof(((struct sockaddr_un *) NULL)->sun_path)];
        mode_t old;
        int r = 0;

        if (mode == LISTEN_MODE_UMASK)
                return 0;
        (void) snprintf(directory, sizeof(directory), "%s", path);
        old = umask(0);
        for (char *p = directory + 1; r >= 0 && (p = strchr(p, '/')); p++) {
                *p = 0;
                if (mkdir(directory, mode) < 0 && errno != EEXIST)
                        r = negative_errno();
                *p = '/';
        }
        (void) umask(old);
        return r == -EROFS || r == -EACCES ? 0 : r; /* it may be there all the same: bind() says so */
}

/* In its directory, which is had by a descriptor: who may write where that is could put a link in its place
 * between two looks, and what is removed would be another's. same: that file only. */
static int remove_path(const char *path, const struct stat *same) {
        char directory[sizeof(((struct sockaddr_un *) NULL)->sun_path)];
        const char *slash = strrchr(path, '/');
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if ((size_t) (slash - path) >= sizeof(directory))
                return -ENAMETOOLONG;
        (void) snprintf(directory, sizeof(directory), "%.*s", MAX((int) (slash - path), 1), path);
        fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstatat(fd, slash + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : negative_errno();
        if (!S_ISSOCK(st.st_mode) && !S_ISFIFO(st.st_mode))
                return -EADDRINUSE;
        if (same && (st.st_dev != same->st_dev || st.st_ino != same->st_ino))
                return -ESTALE;
        return unlinkat(fd, slash + 1, 0) < 0 && errno != ENOENT ? negative_errno() : 0;
}

void listen_remove(const struct listen_address *a) {
        if (listen_address_path(a))
                (void) remove_path(listen_address_path(a), NULL);
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
        return remove_path(a->u.un.sun_path, NULL);
}

/* Opening. */

static int bind_masked(int fd, const struct listen_address *a, mode_t mode) {
        bool masked = listen_address_path(a) && mode != LISTEN_MODE_UMASK;
        mode_t old = masked ? umask(~mode & 0777) : 0;
        int r;

        r = bind(fd, &a->u.sa, a->size) < 0 ? negative_errno() : 0;
        if (masked)
                (void) umask(old);
        return r;
}

static int open_socket(const struct listen_address *a, const struct listen_options *o, int *ret_fd) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = socket(a->u.sa.sa_family, a->type | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return negative_errno();
        r = set_unbound(fd, a, o);
        if (r < 0)
                return r;
        r = bind_masked(fd, a, o->mode);
        if (r == -EADDRINUSE && listen_address_path(a)) {
                r = remove_stale(a);
                if (r >= 0)
                        r = bind_masked(fd, a, o->mode);
        }
        if (r < 0)
                return r;
        r = listen_adjust(fd, a, o);
        if (r < 0) {
                listen_remove(a);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* For reading and writing: it never ends, although nobody may have it open for writing. */
static int open_fifo(const struct listen_address *a, const struct listen_options *o, int *ret_fd) {
        _cleanup_close_ int fd = -EBADF;
        const char *path = listen_address_path(a);
        mode_t mode = o->mode == LISTEN_MODE_UMASK ? 0666 : o->mode;
        mode_t old = o->mode == LISTEN_MODE_UMASK ? 0 : umask(0);
        struct stat st;
        bool made;
        int r;

        r = mkfifo(path, mode) < 0 ? negative_errno() : 0;
        if (o->mode != LISTEN_MODE_UMASK)
                (void) umask(old);
        made = r >= 0;
        if (r < 0 && r != -EEXIST)
                return r;
        fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                r = errno == ELOOP || errno == ENXIO ? -EADDRINUSE : negative_errno(); /* a link, a socket */
        else if (fstat(fd, &st) < 0)
                r = negative_errno();
        else
                r = S_ISFIFO(st.st_mode) && (st.st_uid == geteuid() || st.st_uid == o->uid)
                            ? fd_set_nonblock(fd, false)
                            : -EADDRINUSE;
        if (r >= 0)
                r = listen_adjust(fd, a, o);
        if (r < 0) {
                if (made)
                        listen_remove(a);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int listen_open(const struct listen_address *a, const struct listen_options *o, int *ret_fd) {
        struct listen_address v4 = { .type = a->type, .size = sizeof(v4.u.in) };
        int r = 0;

        if (listen_address_path(a))
                r = make_directories(listen_address_path(a), o->directory_mode);
        if (r < 0)
                return r;
        r = a->type == LISTEN_FIFO ? open_fifo(a, o, ret_fd) : open_socket(a, o, ret_fd);
        if (!a->any || o->ipv6 == LISTEN_IPV6_ONLY || (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL))
                return r;
        v4.u.in.sin_family = AF_INET; /* the address is all zero: any */
        v4.u.in.sin_port = a->u.in6.sin6_port;
        return open_socket(&v4, o, ret_fd);
}

/* Whether one that is open already is what is wanted. */

static int get_flag(int fd, int option) {
        socklen_t size = sizeof(int);
        int value;

        return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? negative_errno() : value;
}

static bool is_bound_to(int fd, const struct listen_address *a) {
        struct listen_address b = {};

        b.size = sizeof(b.u);
        if (getsockname(fd, &b.u.sa, &b.size) < 0)
                return false;
        if (a->any && b.u.sa.sa_family == AF_INET)
                return b.u.in.sin_addr.s_addr == htonl(INADDR_ANY) && b.u.in.sin_port == a->u.in6.sin6_port;
        if (b.u.sa.sa_family != a->u.sa.sa_family)
                return false;
        if (a->u.sa.sa_family == AF_INET6) /* what it is a flow of is not said */
                return a->u.in6.sin6_port == b.u.in6.sin6_port &&
                       a->u.in6.sin6_scope_id == b.u.in6.sin6_scope_id &&
                       memcmp(&a->u.in6.sin6_addr, &b.u.in6.sin6_addr, sizeof(struct in6_addr)) == 0;
        if (a->u.sa.sa_family == AF_INET)
                return a->u.in.sin_port == b.u.in.sin_port &&
                       a->u.in.sin_addr.s_addr == b.u.in.sin_addr.s_addr;
        return a->size == b.size && memcmp(&a->u, &b.u, a->size) == 0;
}

static bool is_same_file(int fd, const char *path) {
        struct stat a, b;

        return fstat(fd, &a) >= 0 && lstat(path, &b) >= 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The kernel tells only those who may have it do anything which file a socket is bound to. To others one
 * that is a socket, and there, will do. */
static int verify_path(int fd, const char *path) {
        _cleanup_close_ int file = -EBADF;
        struct stat st;

        file = ioctl(fd, SIOCUNIXFILE);
        if (file >= 0)
                return is_same_file(file, path) ? 0 : -ESTALE;
        return lstat(path, &st) >= 0 && S_ISSOCK(st.st_mode) ? 0 : -ESTALE;
}

int listen_verify(int fd, const struct listen_address *a, const struct listen_options *o) {
        const char *path = listen_address_path(a);
        struct stat st;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (a->type == LISTEN_FIFO)
                return !S_ISFIFO(st.st_mode) ? -EINVAL : is_same_file(fd, path) ? 0 : -ESTALE;
        if (!S_ISSOCK(st.st_mode) || get_flag(fd, SO_TYPE) != a->type || !is_bound_to(fd, a))
                return -EINVAL;
        if (a->type != SOCK_DGRAM && get_flag(fd, SO_ACCEPTCONN) != 1)
                return -EINVAL;
        if (listen_address_is_internet(a) && get_flag(fd, SO_REUSEPORT) != o->reuse_port)
                return -EINVAL;
        return path ? verify_path(fd, path) : 0;
}

/* Where a FIFO was opened only the kernel remembers. */
static int address_of_fifo(int fd, struct listen_address *ret) {
        char self[48], path[sizeof(ret->u.un.sun_path)];
        ssize_t n;

        (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        n = readlink(self, path, sizeof(path) - 1);
        if (n < 0)
                return negative_errno();
        path[n] = 0;
        if (path[0] != '/' || !is_same_file(fd, path))
                return -ENOENT;
        return listen_address_parse(path, LISTEN_FIFO, ret);
}

int listen_address_of(int fd, struct listen_address *ret) {
        struct listen_address a = { .size = sizeof(a.u) };
        struct stat st;
        const char *path;
        int r;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (S_ISFIFO(st.st_mode))
                return address_of_fifo(fd, ret);
        r = get_flag(fd, SO_TYPE);
        if (r < 0)
                return r;
        a.type = r;
        if (getsockname(fd, &a.u.sa, &a.size) < 0)
                return negative_errno();
        path = listen_address_path(&a);
        r = path ? verify_path(fd, path) : 0;
        if (r < 0)
                return r == -ESTALE ? -ENOENT : r;
        *ret = a;
        return 0;
}

void listen_remove_of(int fd) {
        _cleanup_close_ int file = -EBADF;
        struct listen_address a;
        struct stat st;
        bool known;

        if (listen_address_of(fd, &a) < 0 || !listen_address_path(&a))
                return;
        file = a.type == LISTEN_FIFO ? -EBADF : ioctl(fd, SIOCUNIXFILE);
        known = (a.type == LISTEN_FIFO || file >= 0) && fstat(file >= 0 ? file : fd, &st) >= 0;
        (void) remove_path(listen_address_path(&a), known ? &st : NULL);
}
