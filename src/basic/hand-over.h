/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptors on their way to a process that systemd starts: it can pass one, as standard input. That is a
 * socket, in which one message with all of them waits. Written by the arbiter, read by arbiter-exec, which
 * makes of it what a forked actor inherits: sockets from descriptor 3 on, LISTEN_FDS, and the control link
 * behind them. */

#include "basic/macro.h"

#define HAND_OVER_FDS_MAX 65           /* 64 sockets and a control link */
#define HAND_OVER_NAMES_MAX (64 * 256) /* with the ':' between them */

struct hand_over {
        int fds[HAND_OVER_FDS_MAX]; /* the last one is the mailbox, if there is one */
        size_t n_fds;
        bool mailbox;
        char names[HAND_OVER_NAMES_MAX]; /* "a:b", as LISTEN_FDNAMES */
};

/* A new socket with the message in it. names may be NULL: none. mailbox: -EBADF if there is none. */
int hand_over_send(const int *fds, size_t n_fds, const char *names, int mailbox, int *ret_fd);
/* Reads it, without waiting. -ENODATA: there is none; -EBADMSG: it is something else. The descriptors are
 * O_CLOEXEC. */
int hand_over_receive(int fd, struct hand_over *ret);
/* Closes them. */
void hand_over_done(struct hand_over *h);
