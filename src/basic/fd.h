/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* File descriptors: closing, passing, flags. Every descriptor is O_CLOEXEC unless it is about to be
 * inherited. */

#include "basic/macro.h"

/* Closes fd if it is one, keeps errno, returns -EBADF: `fd = close_fd(fd);`. */
int close_fd(int fd);
void close_fdp(int *fd);
#define _cleanup_close_ _cleanup_(close_fdp)

void close_many(const int *fds, size_t n_fds);

int fd_set_nonblock(int fd, bool nonblock);
int fd_set_cloexec(int fd, bool cloexec);
/* A duplicate >= 3 with O_CLOEXEC, or negative errno. */
int fd_duplicate(int fd);

/* Writes all of it, whatever short writes and EINTR say; blocks. */
int write_all(int fd, const void *data, size_t size);
/* Reads a whole small file (at most max bytes, else -EFBIG) and terminates it with NUL. */
int read_file_full(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size);
int write_file_string(int dir_fd, const char *path, const char *value);
