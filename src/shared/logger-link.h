/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What arbiterd tells arbiter-logger, over a SEQPACKET socket that is the logger's standard input: one
 * message a stream, this head and then the fields of each of its lines, encoded as in journal.h, with the
 * descriptor of the reading end (SCM_RIGHTS). A stream may be told of again. The logger outlives an arbiterd
 * that is replaced by a newer one: what an older logger does not know must not matter. */

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#define LOGGER_LINK_VERSION 1U
#define LOGGER_FIELDS_SIZE_MAX 8192U

enum { LOGGER_LEVEL_PREFIX = 1 << 0 }; /* "<3>text" sets the priority of a line */

struct logger_stream_head {
        uint32_t version;
        uint32_t flags;
        uint64_t rate_interval_usec; /* 0: not limited */
        uint32_t rate_burst;         /* lines in that time; what is more is dropped, and counted */
        uint32_t priority;           /* without a prefix */
};

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* since Linux 6.16 */
#endif

/* The reading end of a stream: each line says whose it is, of all that is written from now on. And where the
 * kernel can refuse them, no descriptors: closing one that somebody has passed can take as long as they want
 * (a lingering TCP socket). */
static inline int logger_stream_prepare(int fd) {
        static const int on = 1, off = 0;

        (void) setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
        return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? -errno : 0;
}
