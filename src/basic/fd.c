/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small, total helpers over descriptors; used by every layer. Nothing here keeps state or logs. */

#include <fcntl.h>

#include "basic/fd.h"

int close_fd(int fd) {
        if (fd >= 0) {
                int saved_errno = errno;

                /* EINTR from close() on Linux means that the descriptor is gone all the same */
                (void) close(fd);
                errno = saved_errno;
        }
        return -EBADF;
}

void close_fdp(int *fd) {
        *fd = close_fd(*fd);
}

void close_many(const int *fds, size_t n_fds) {
        for (size_t i = 0; i < n_fds; i++)
                close_fd(fds[i]);
}

static int change_flag(int fd, int get, int set, int flag, bool on) {
        int flags = fcntl(fd, get);

        if (flags < 0)
                return negative_errno();
        if (((flags & flag) != 0) == on)
                return 0;
        if (fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
                return negative_errno();
        return 0;
}

int fd_set_nonblock(int fd, bool nonblock) {
        return change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, nonblock);
}

int fd_set_cloexec(int fd, bool cloexec) {
        return change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, cloexec);
}

int fd_duplicate(int fd) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        return copy < 0 ? negative_errno() : copy;
}

int write_all(int fd, const void *data, size_t size) {
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

int read_file_full(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *buffer = NULL;
        size_t size = 0, allocated = 0;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return negative_errno();

        for (;;) {
                ssize_t n;

                if (allocated - size < 2) {
                        char *bigger;

                        if (size > max)
                                return -EFBIG;
                        allocated = MAX((size_t) 4096, allocated * 2);
                        bigger = realloc(buffer, allocated);
                        if (!bigger)
                                return -ENOMEM;
                        buffer = bigger;
                }
                n = read(fd, buffer + size, allocated - size - 1);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return negative_errno();
                }
                if (n == 0)
                        break;
                size += (size_t) n;
        }
        if (size > max)
                return -EFBIG;

        buffer[size] = 0;
        if (ret_size)
                *ret_size = size;
        *ret = TAKE_PTR(buffer);
        return 0;
}

int write_file_string(int dir_fd, const char *path, const char *value) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return negative_errno();
        return write_all(fd, value, strlen(value));
}
