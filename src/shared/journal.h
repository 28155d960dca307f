/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): fields into bytes, bytes to its socket.
 * Not sd_journal_sendv(): that has a blocking socket, and who uses it stands still while journald does. */

#include <sys/socket.h>
#include <sys/uio.h>

#include "basic/macro.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/* Another socket, for tests. */
#define JOURNAL_SOCKET_VARIABLE "ARBITER_JOURNAL_SOCKET"

/* Fields one after the other, as they are sent. {} is empty; free(data) when done. */
struct journal_fields {
        char *data;
        size_t size, allocated;
};

/* Any bytes: a newline in the value cannot begin another field. -ENOMEM; -EINVAL: the name, which is of
 * upper case letters, digits and underscores, not an underscore or a digit first, at most 64. */
int journal_add(struct journal_fields *f, const char *name, const void *value, size_t size);
int journal_add_string(struct journal_fields *f, const char *name, const char *value); /* NULL: nothing */
/* All fields of another one. */
int journal_add_encoded(struct journal_fields *f, const struct journal_fields *more);
int journal_add_format(struct journal_fields *f, const char *name, const char *format, ...) _printf_(3, 4);

/* The next field of what was encoded: 1, 0 at the end, -EBADMSG. For tests and fuzzing. */
struct journal_field {
        const char *name, *value;
        size_t name_size, value_size;
};
int journal_next(const char **p, const char *end, struct journal_field *ret);

const char *journal_socket_path(void);
/* Connected, and never blocking. -ENOENT, -ECONNREFUSED: there is no journald. */
int journal_socket_open(const char *path, int *ret);
/* One entry. writer, if not NULL: whose it is; the kernel lets only the privileged say so (-EPERM), and only
 * while that process exists (-ESRCH). What is too long for a datagram goes in a memfd. -EAGAIN: the socket
 * is full, poll it for EPOLLOUT. -ECONNREFUSED, -ENOTCONN, -ECONNRESET: open another one. */
int journal_socket_send(int fd, const struct iovec *iov, size_t n, const struct ucred *writer);
static inline bool journal_socket_is_gone(int r) {
        return r == -ECONNREFUSED || r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE || r == -ENOENT ||
               r == -EBADF;
}
