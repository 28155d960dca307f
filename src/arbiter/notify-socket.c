/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Receives sd_notify(3) messages of plain programs. Called by the process spawner's loop sources. Must never
 * believe a message without its sender's kernel credentials, nor let a sender put descriptors into our
 * table. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "arbiter/notify-socket.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/utf8.h"

#define ERRNO_MAX 4095

static int make_path(const char *dir, const char *name, struct sockaddr_un *ret) {
        int n;

        if (strchr(name, '/') || name[0] == 0)
                return -EINVAL;
        n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", dir, name);
        return n < 0 || (size_t) n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

/* The runtime directory is ours, so what lies there under this name is from an earlier life. */
static int bind_path(int fd, const struct sockaddr_un *sun, uid_t uid) {
        struct stat st;

        if (lstat(sun->sun_path, &st) == 0) {
                if (!S_ISSOCK(st.st_mode))
                        return -EEXIST;
                if (unlink(sun->sun_path) < 0)
                        return negative_errno();
        }
        /* the mode of the socket becomes that of the file, so there is no moment with a wider one */
        if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *) sun, sizeof(*sun)) < 0)
                return negative_errno();
        if (uid != geteuid() && chown(sun->sun_path, uid, (gid_t) -1) < 0) {
                int r = negative_errno();

                (void) unlink(sun->sun_path);
                return r;
        }
        return 0;
}

/* The kernel picks a free name when it is given none. */
static int bind_abstract(int fd, struct sockaddr_un *sun, socklen_t *size) {
        if (bind(fd, (const struct sockaddr *) sun, sizeof(sa_family_t)) < 0)
                return negative_errno();
        *size = sizeof(*sun);
        return getsockname(fd, (struct sockaddr *) sun, size) < 0 ? negative_errno() : 0;
}

int notify_socket_open(const char *dir, const char *name, uid_t uid, struct notify_socket *ret) {
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;
        socklen_t size;
        char *address;
        int r;

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        /* before the name exists: a message that came without credentials would be lost */
        if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)) < 0)
                return negative_errno();
        if (dir) {
                r = make_path(dir, name, &sun);
                if (r < 0)
                        return r;
                /* made before binding, so that nothing is left behind when memory runs out */
                address = strdup(sun.sun_path);
                if (!address)
                        return -ENOMEM;
                r = bind_path(fd, &sun, uid);
        } else {
                r = bind_abstract(fd, &sun, &size);
                if (r < 0)
                        return r;
                size -= (socklen_t) offsetof(struct sockaddr_un, sun_path) + 1;
                if (asprintf(&address, "@%.*s", (int) size, sun.sun_path + 1) < 0)
                        return -ENOMEM;
        }
        if (r < 0) {
                free(address);
                return r;
        }
        *ret = (struct notify_socket){ .fd = TAKE_FD(fd), .address = address, .uid = uid };
        return 0;
}

void notify_socket_done(struct notify_socket *s) {
        if (s->address && s->address[0] == '/')
                (void) unlink(s->address);
        close_fd(s->fd);
        free(s->address);
        *s = NOTIFY_SOCKET_INIT;
}

static bool is_of_process(const struct process *p, pid_t pid) {
        if (p->pid <= 0 || pid <= 0)
                return false;
        if (pid == p->pid)
                return true;
        if (p->leaf)
                return cgroup_leaf_contains(p->leaf, pid) > 0;
        return p->own_group && getpgid(pid) == p->pid;
}

/* The uid bars a stranger who sends and dies, so that the program may get his pid before we look; the pid
 * bars other programs of the same user. */
static bool sender_is_allowed(
                const struct notify_socket *s, const struct process *p, const struct ucred *u) {
        return (u->uid == s->uid || u->uid == 0) && is_of_process(p, u->pid);
}

static void parse_status(const char *value, struct notify_message *m) {
        if (!utf8_is_printable(value))
                return;
        m->status = value;
        m->flags |= NOTIFY_STATUS;
}

static void parse_flag(const char *line, struct notify_message *m) {
        static const struct {
                const char *line;
                unsigned flag;
        } table[] = {
                { "READY=1", NOTIFY_READY },
                { "STOPPING=1", NOTIFY_STOPPING },
                { "RELOADING=1", NOTIFY_RELOADING },
                { "WATCHDOG=1", NOTIFY_WATCHDOG },
                { "WATCHDOG=trigger", NOTIFY_WATCHDOG_TRIGGER },
                { "BARRIER=1", NOTIFY_BARRIER },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(line, table[i].line))
                        m->flags |= table[i].flag;
}

static void parse_line(const struct process *p, const char *line, struct notify_message *m) {
        const char *value;
        uint64_t number;

        if ((value = startswith(line, "STATUS=")))
                parse_status(value, m);
        else if ((value = startswith(line, "ERRNO="))) {
                if (parse_u64_range(value, 0, ERRNO_MAX, &number) >= 0) {
                        m->error = (int) number;
                        m->flags |= NOTIFY_ERRNO;
                }
        } else if ((value = startswith(line, "WATCHDOG_USEC="))) {
                if (parse_u64(value, &number) >= 0) {
                        m->watchdog = number;
                        m->flags |= NOTIFY_WATCHDOG_USEC;
                }
        } else if ((value = startswith(line, "EXTEND_TIMEOUT_USEC="))) {
                if (parse_u64(value, &number) >= 0) {
                        m->extend_timeout = number;
                        m->flags |= NOTIFY_EXTEND_TIMEOUT;
                }
        } else if ((value = startswith(line, "MAINPID="))) {
                if (parse_u64_range(value, 1, INT32_MAX, &number) >= 0 && is_of_process(p, (pid_t) number)) {
                        m->main_pid = (pid_t) number;
                        m->flags |= NOTIFY_MAINPID;
                }
        } else
                parse_flag(line, m);
}

static void parse_message(const struct process *p, struct notify_message *m) {
        char *save = NULL;

        for (char *line = strtok_r(m->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                parse_line(p, line, m);
}

static const struct ucred *find_credentials(struct msghdr *mh) {
        struct cmsghdr *c;

        for (c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
                    c->cmsg_len == CMSG_LEN(sizeof(struct ucred)))
                        return (const struct ucred *) (const void *) CMSG_DATA(c);
        return NULL;
}

static int receive(const struct notify_socket *s, const struct process *p, int flags,
                struct notify_message *ret) {
        /* Room for the credentials only, which come first: the kernel then drops descriptors unseen. */
        union {
                struct cmsghdr header;
                uint8_t space[CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct iovec iov = { ret->text, sizeof(ret->text) - 1 };
        struct msghdr mh = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        const struct ucred *u;
        ssize_t n;

        do
                n = recvmsg(s->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC | flags);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return negative_errno();

        u = find_credentials(&mh);
        if (!u || n == 0 || n > NOTIFY_DATAGRAM_MAX || !sender_is_allowed(s, p, u))
                return 0;
        if (memchr(ret->text, 0, (size_t) n - 1)) /* one at the end is allowed, as in systemd */
                return 0;
        ret->text[n] = 0;
        ret->flags = 0;
        ret->sender = u->pid;
        ret->error = 0;
        ret->watchdog = ret->extend_timeout = 0;
        ret->main_pid = 0;
        ret->status = NULL;
        parse_message(p, ret);
        return 1;
}

int notify_socket_receive(
                const struct notify_socket *s,
                const struct process *p,
                struct notify_message *ret) {

        return receive(s, p, 0, ret);
}

int notify_socket_peek(
                const struct notify_socket *s,
                const struct process *p,
                struct notify_message *ret) {

        return receive(s, p, MSG_PEEK, ret);
}

void notify_socket_skip(const struct notify_socket *s) {
        while (recv(s->fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) < 0 && errno == EINTR)
                ;
}
