/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The receiving end of the sd_notify(3) protocol for programs that know nothing of arbiter.
 *
 * One socket per program, not one for all: the queue of an AF_UNIX datagram socket holds few messages (10 by
 * default) and a full one blocks its senders, so on a shared socket one program that floods would keep the
 * others' READY=1 and WATCHDOG=1 from us. It costs one descriptor (a plain program has no control link, so
 * pidfd + this = 2 of the budget of 3) and nothing while idle. The socket says *whose*
 * message it claims to be; the kernel's credentials say whether it is: the sender must be the process
 * itself, in its leaf cgroup, or without one in its process group, and of the program's own uid or root. */

#include "arbiter/process.h"

#define NOTIFY_DATAGRAM_MAX 4096 /* as systemd: longer ones are ignored */
/* Handle at most that many in one turn of the loop (level-triggered, the rest comes in the next). */
#define NOTIFY_DATAGRAMS_PER_TURN 16

struct notify_socket {
        int fd;        /* non-blocking */
        char *address; /* for NOTIFY_SOCKET: a path, or "@name" */
        uid_t uid;     /* of the program */
};
#define NOTIFY_SOCKET_INIT ((struct notify_socket){ .fd = -EBADF })

enum notify_flags {
        NOTIFY_READY = 1 << 0,
        NOTIFY_STOPPING = 1 << 1,
        NOTIFY_RELOADING = 1 << 2,
        NOTIFY_WATCHDOG = 1 << 3,         /* WATCHDOG=1 */
        NOTIFY_WATCHDOG_TRIGGER = 1 << 4, /* WATCHDOG=trigger: treat as if the watchdog had expired */
        NOTIFY_BARRIER = 1 << 5,          /* its descriptor is closed already */
        NOTIFY_STATUS = 1 << 6,
        NOTIFY_ERRNO = 1 << 7,
        NOTIFY_WATCHDOG_USEC = 1 << 8,
        NOTIFY_EXTEND_TIMEOUT = 1 << 9,
        NOTIFY_MAINPID = 1 << 10,
};

struct notify_message {
        unsigned flags;
        pid_t sender;
        int error;             /* ERRNO= */
        usec_t watchdog;       /* WATCHDOG_USEC=; 0 turns it off */
        usec_t extend_timeout; /* EXTEND_TIMEOUT_USEC= */
        pid_t main_pid;        /* MAINPID=, only if it is a process of the program */
        const char *status;    /* STATUS=, valid UTF-8 without control characters; points into text */
        char text[NOTIFY_DATAGRAM_MAX + 1];
};

/* Binds DIR/NAME (mode 0600, owned by uid), or without a directory an abstract name that the kernel picks. A
 * socket left over at the path is replaced. -ENAMETOOLONG: use dir NULL. */
int notify_socket_open(const char *dir, const char *name, uid_t uid, struct notify_socket *ret);
/* Closes and unlinks. */
void notify_socket_done(struct notify_socket *s);

/* One datagram. 1: *ret is a message of p. 0: one was thrown away (malformed, too long, foreign sender).
 * -EAGAIN: no more. Descriptors that come along never enter our table: the kernel drops them. p must not be
 * reaped yet: drain the socket between process_peek() and process_reap(). */
int notify_socket_receive(
                const struct notify_socket *s,
                const struct process *p,
                struct notify_message *ret);
/* The same, and it stays the next one, until it is skipped: so that what it leads to can be written down
 * before nobody could read it again. */
int notify_socket_peek(
                const struct notify_socket *s,
                const struct process *p,
                struct notify_message *ret);
void notify_socket_skip(const struct notify_socket *s);
