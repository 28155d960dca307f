/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The native protocol of journald. Called by log.c for arbiterd's own entries, and by arbiter-logger for the
 * lines of workers. Must never block. */

#include <endian.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "basic/fd.h"
#include "basic/text.h"
#include "shared/journal.h"

#define SEND_BUFFER_SIZE (8 * 1024 * 1024)
#define NAME_SIZE_MAX 64
#define IOV_MAX_HERE 8

static bool name_is_valid_n(const char *name, size_t n) {
        if (n == 0 || n > NAME_SIZE_MAX || name[0] < 'A' || name[0] > 'Z')
                return false;
        for (size_t i = 1; i < n; i++)
                if (!(name[i] >= 'A' && name[i] <= 'Z') && !(name[i] >= '0' && name[i] <= '9') &&
                                name[i] != '_')
                        return false;
        return true;
}

static int reserve(struct journal_fields *f, size_t more) {
        size_t allocated = MAX((size_t) 256, f->allocated);
        char *data;

        if (more > SIZE_MAX / 4 - f->size)
                return -ENOMEM;
        while (allocated < f->size + more)
                allocated *= 2;
        if (allocated == f->allocated)
                return 0;
        data = realloc(f->data, allocated);
        if (!data)
                return -ENOMEM;
        f->data = data;
        f->allocated = allocated;
        return 0;
}

int journal_add(struct journal_fields *f, const char *name, const void *value, size_t size) {
        size_t name_size = strlen(name);
        uint64_t le = htole64(size);
        char *p;
        int r;

        if (!name_is_valid_n(name, name_size))
                return -EINVAL;
        if (size > SIZE_MAX / 4 - NAME_SIZE_MAX - 16)
                return -ENOMEM;
        r = reserve(f, name_size + 1 + sizeof(le) + size + 1);
        if (r < 0)
                return r;
        p = (char *) memcpy(f->data + f->size, name, name_size) + name_size;
        if (size > 0 && memchr(value, '\n', size)) {
                *p++ = '\n';
                p = (char *) memcpy(p, &le, sizeof(le)) + sizeof(le);
        } else
                *p++ = '=';
        if (size > 0)
                p = (char *) memcpy(p, value, size) + size;
        *p++ = '\n';
        f->size = (size_t) (p - f->data);
        return 0;
}

int journal_add_string(struct journal_fields *f, const char *name, const char *value) {
        return value ? journal_add(f, name, value, strlen(value)) : 0;
}

int journal_add_encoded(struct journal_fields *f, const struct journal_fields *more) {
        int r;

        if (more->size == 0)
                return 0;
        r = reserve(f, more->size);
        if (r < 0)
                return r;
        memcpy(f->data + f->size, more->data, more->size);
        f->size += more->size;
        return 0;
}

int journal_add_format(struct journal_fields *f, const char *name, const char *format, ...) {
        _cleanup_free_ char *value = NULL;
        va_list ap;

        va_start(ap, format);
        value = text_formatv(format, ap);
        va_end(ap);
        return value ? journal_add_string(f, name, value) : -ENOMEM;
}

int journal_next(const char **p, const char *end, struct journal_field *ret) {
        struct journal_field f = { .name = *p };
        const char *at = *p, *newline;
        uint64_t le;

        if (at == end)
                return 0;
        while (at < end && *at != '=' && *at != '\n')
                at++;
        f.name_size = (size_t) (at - f.name);
        if (at == end || !name_is_valid_n(f.name, f.name_size))
                return -EBADMSG;
        f.value = at + 1;
        if (*at == '=') {
                newline = memchr(f.value, '\n', (size_t) (end - f.value));
                if (!newline)
                        return -EBADMSG;
                f.value_size = (size_t) (newline - f.value);
        } else {
                if ((size_t) (end - f.value) < sizeof(le))
                        return -EBADMSG;
                memcpy(&le, f.value, sizeof(le));
                f.value += sizeof(le);
                if ((uint64_t) (end - f.value) <= le64toh(le)) /* and a newline */
                        return -EBADMSG;
                f.value_size = (size_t) le64toh(le);
                newline = f.value + f.value_size;
                if (*newline != '\n')
                        return -EBADMSG;
        }
        *p = newline + 1;
        *ret = f;
        return 1;
}

const char *journal_socket_path(void) {
        const char *e = getenv(JOURNAL_SOCKET_VARIABLE);

        return e && *e ? e : JOURNAL_SOCKET;
}

int journal_socket_open(const char *path, int *ret) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        static const int size = SEND_BUFFER_SIZE;
        _cleanup_close_ int fd = -EBADF;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path); /* it fits */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
                (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return negative_errno();
        *ret = TAKE_FD(fd);
        return 0;
}

/* journald wants it sealed: it maps what it gets. */
static int make_memfd(const struct iovec *iov, size_t n, int *ret) {
        _cleanup_close_ int fd = memfd_create("arbiter-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r;

        if (fd < 0)
                return negative_errno();
        for (size_t i = 0; i < n; i++) {
                r = write_all(fd, iov[i].iov_base, iov[i].iov_len);
                if (r < 0)
                        return r;
        }
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return negative_errno();
        *ret = TAKE_FD(fd);
        return 0;
}

static int send_once(int fd, const struct iovec *iov, size_t n, const struct ucred *writer, int memfd) {
        union {
                struct cmsghdr alignment;
                char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec copy[IOV_MAX_HERE];
        struct msghdr m = { .msg_iov = copy, .msg_iovlen = n, .msg_control = control.space };
        struct cmsghdr *c = &control.alignment;

        if (n > 0)
                memcpy(copy, iov, n * sizeof(*iov));
        if (writer) {
                *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_CREDENTIALS,
                        .cmsg_len = CMSG_LEN(sizeof(*writer)) };
                memcpy(CMSG_DATA(c), writer, sizeof(*writer));
                m.msg_controllen += CMSG_SPACE(sizeof(*writer));
                c = (struct cmsghdr *) (control.space + m.msg_controllen);
        }
        if (memfd >= 0) {
                *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(sizeof(memfd)) };
                memcpy(CMSG_DATA(c), &memfd, sizeof(memfd));
                m.msg_controllen += CMSG_SPACE(sizeof(memfd));
        }
        if (m.msg_controllen == 0)
                m.msg_control = NULL;
        while (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return negative_errno();
        return 0;
}

int journal_socket_send(int fd, const struct iovec *iov, size_t n, const struct ucred *writer) {
        _cleanup_close_ int memfd = -EBADF;
        int r;

        assert(n <= IOV_MAX_HERE);
        r = send_once(fd, iov, n, writer, -EBADF);
        if (r != -EMSGSIZE && r != -ENOBUFS)
                return r;
        r = make_memfd(iov, n, &memfd);
        return r < 0 ? r : send_once(fd, NULL, 0, writer, memfd);
}
