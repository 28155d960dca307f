/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private socket: D-Bus without a bus. Made for the arbiter by bus_face_listen(); accepts from the loop.
 * Only our own user and root get in, by the kernel's word; whoever is in may do everything. It must not spin
 * when descriptors run out, nor take a socket away from another arbiter that is alive. */

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "basic/fd.h"
#include "basic/time-util.h"
#include "bus/private-socket.h"

struct private_socket {
        struct bus_face *face;
        sd_event_source *io;
        struct sockaddr_un address;
        int fd;
        int reserve; /* given up to accept and refuse when no other descriptor is to be had */
        dev_t device;
        ino_t inode; /* of what we bound: 0 is none */
};

enum { BACKLOG = 128, ACCEPT_MAX = 16, ACCEPT_EVENTS_MAX = 1000 /* a second */ };

static int set_address(struct sockaddr_un *ret, const char *path) {
        size_t length = strlen(path);

        if (length == 0 || path[0] != '/')
                return -EINVAL;
        if (length >= sizeof(ret->sun_path))
                return -ENAMETOOLONG;
        ret->sun_family = AF_UNIX;
        memcpy(ret->sun_path, path, length + 1);
        return 0;
}

/* The directory of the socket, made if missing. In one where others may rename and remove, they could put
 * theirs in place of ours. */
static int open_directory(const char *path) {
        char directory[sizeof(((struct sockaddr_un *) NULL)->sun_path)];
        _cleanup_close_ int fd = -EBADF;
        const char *slash = strrchr(path, '/');
        struct stat st;

        memcpy(directory, path, (size_t) (slash - path));
        directory[slash - path] = 0;
        if (slash == path)
                memcpy(directory, "/", 2);
        if (mkdir(directory, 0711) < 0 && errno != EEXIST)
                return negative_errno();
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return negative_errno();
        if ((st.st_uid != geteuid() && st.st_uid != 0) ||
                        ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX)))
                return -EPERM;
        return TAKE_FD(fd);
}

/* Removes a socket that nobody listens on any more. */
static int remove_stale(const struct sockaddr_un *address) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (lstat(address->sun_path, &st) < 0)
                return errno == ENOENT ? 0 : negative_errno();
        if (!S_ISSOCK(st.st_mode))
                return -EEXIST;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        if (connect(fd, (const struct sockaddr *) address, sizeof(*address)) >= 0 || errno == EAGAIN)
                return -EADDRINUSE;
        if (errno != ECONNREFUSED)
                return errno == ENOENT ? 0 : negative_errno();
        return unlink(address->sun_path) < 0 && errno != ENOENT ? negative_errno() : 0;
}

/* The lock makes looking for a stale socket and binding one step, for two that start at the same time. */
static int bind_and_listen(struct private_socket *s) {
        _cleanup_close_ int directory = -EBADF;
        struct stat st;
        int r;

        directory = open_directory(s->address.sun_path);
        if (directory < 0)
                return directory;
        if (flock(directory, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EADDRINUSE : negative_errno();
        r = remove_stale(&s->address);
        if (r < 0)
                return r;
        /* The mode of the socket's inode is that of its name, less the umask: never open to others, not even
         * at first. */
        if (fchmod(s->fd, 0600) < 0)
                return negative_errno();
        if (bind(s->fd, (const struct sockaddr *) &s->address, sizeof(s->address)) < 0)
                return negative_errno();
        if (lstat(s->address.sun_path, &st) < 0)
                return negative_errno();
        s->device = st.st_dev;
        s->inode = st.st_ino;
        return listen(s->fd, BACKLOG) < 0 ? negative_errno() : 0;
}

static bool peer_is_allowed(int fd) {
        struct ucred ucred = {};
        socklen_t size = sizeof(ucred);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &size) < 0 || size != sizeof(ucred))
                return false;
        return ucred.uid == geteuid() || ucred.uid == 0;
}

static int start_server(int fd, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        sd_id128_t id;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_id128_randomize(&id);
        if (r < 0)
                return r;
        (void) sd_bus_set_description(bus, "arbiter-private");
        r = sd_bus_set_server(bus, true, id);
        if (r < 0)
                return r;
        r = sd_bus_negotiate_fds(bus, true);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(bus, fd, fd); /* it is the bus's from here on */
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

/* A peer that fails here is closed; there is nobody to tell. */
static void welcome(struct private_socket *s, int fd_given) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_close_ int fd = fd_given;
        struct bus_connection *c;

        if (s->face->n_connections >= CONNECTIONS_MAX || !peer_is_allowed(fd))
                return;
        if (start_server(fd, &bus) < 0)
                return;
        TAKE_FD(fd);
        if (sd_bus_start(bus) < 0)
                return;
        (void) bus_connection_new(s->face, bus, NULL, &c);
}

/* Without a free descriptor a waiting peer would keep the listening socket readable, and us awake, for ever.
 */
static void refuse_one(struct private_socket *s) {
        s->reserve = close_fd(s->reserve);
        (void) close_fd(accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct private_socket *s = userdata;

        for (unsigned i = 0; i < ACCEPT_MAX; i++) {
                int peer = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (peer >= 0)
                        welcome(s, peer);
                else if (errno == EMFILE || errno == ENFILE)
                        refuse_one(s);
                else
                        break;
        }
        return 0;
}

int private_socket_new(struct bus_face *f, const char *path, struct private_socket **ret) {
        _cleanup_(private_socket_freep) struct private_socket *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->face = f;
        s->fd = s->reserve = -EBADF;
        r = set_address(&s->address, path);
        if (r < 0)
                return r;
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (s->fd < 0 || s->reserve < 0)
                return negative_errno();
        r = bind_and_listen(s);
        if (r < 0)
                return r;
        r = sd_event_add_io(arbiter_get_event(f->arbiter), &s->io, s->fd, EPOLLIN, on_accept, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(s->io, "arbiter-private-socket");
        /* Only met when not even the reserve can be had. */
        r = sd_event_source_set_ratelimit(s->io, USEC_PER_SEC, ACCEPT_EVENTS_MAX);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

struct private_socket *private_socket_free(struct private_socket *s) {
        struct stat st;

        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->io);
        if (s->inode != 0 && lstat(s->address.sun_path, &st) >= 0 && st.st_dev == s->device &&
                        st.st_ino == s->inode)
                (void) unlink(s->address.sun_path);
        (void) close_fd(s->fd);
        (void) close_fd(s->reserve);
        free(s);
        return NULL;
}
