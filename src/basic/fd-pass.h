/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptors that travel with the messages of AF_UNIX sockets: SCM_RIGHTS, unix(7). */

#include <sys/socket.h>
#include <sys/uio.h>

#include "basic/macro.h"

enum { FD_PASS_MAX = 253 }; /* the kernel's, for one message */

/* Never waits, raises no SIGPIPE, and is not interrupted. fds stay the caller's. Returns the bytes sent, or
 * negative errno; -EINVAL: more descriptors than one message takes. */
ssize_t fd_pass_send(int socket, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds);

/* All that came with a message that recvmsg() has filled in, however it was cut up. What is more than max is
 * closed: none is left behind unowned. Returns how many. */
size_t fd_pass_take(struct msghdr *m, int *ret, size_t max);
