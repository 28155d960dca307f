/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The streams of workers, and the journal that their lines go to. */

#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "arbiter-logger/line.h"
#include "basic/list.h"
#include "basic/time-util.h"
#include "shared/journal.h"
#include "shared/logger-link.h"

struct logger {
        sd_event *event;
        int link;                /* to arbiterd; -EBADF: it is gone */
        int journal;             /* -EBADF: to be opened again */
        const char *journal_path;
        bool foreign;            /* the kernel lets us send as another process */
        bool blocked;            /* until the journal takes more */
        bool terminating;        /* SIGTERM has come: not longer than there are streams */
        size_t n_streams;
        struct list_node streams, ready; /* ready: those that have something to be read or sent, in turn */
        sd_event_source *link_source, *turn_source, *room_source, *retry_source, *end_source;
};

struct stream {
        struct list_node streams, ready;
        struct logger *logger;
        int fd;
        ino_t inode; /* of the socket */
        sd_event_source *source;
        struct logger_stream_head head;
        struct journal_fields fields; /* of each line */

        /* What has been read and not sent: data[begin ... end), of writer up to split, of next_writer from
         * there; split == end where there is only one. */
        char *data;
        size_t begin, split, end, allocated, scanned;
        struct ucred writer, next_writer;
        bool eof;
        bool sent;      /* something, in this turn */
        bool continued; /* the next line goes on where the last one was cut */
        int priority;   /* of the line that is being sent */

        usec_t rate_begin;
        uint32_t rate_n;
        uint64_t suppressed;
};

int logger_new(int link, const char *journal_path, struct logger **ret);
struct logger *logger_free(struct logger *l);
DEFINE_CLEANUP(struct logger *, logger_free)
/* Until there is nothing left to do. */
int logger_run(struct logger *l);

/* 0; -EAGAIN: the journal takes nothing now, come again with the same. */
int logger_send(struct logger *l, const struct iovec *iov, size_t n, const struct ucred *writer);
void logger_make_ready(struct logger *l, struct stream *s);

/* Takes over fd. fields: encoded. -EEXIST: it is read already. */
int stream_new(struct logger *l, const struct logger_stream_head *head, const char *fields, size_t size,
                int fd, struct stream **ret);
struct stream *stream_free(struct stream *s);
/* Some lines. 0: nothing is there now; 1: there may be more; -EAGAIN: the journal is full; -ENODATA: it has
 * ended and all is sent. */
int stream_turn(struct stream *s);
