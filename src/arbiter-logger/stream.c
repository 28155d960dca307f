/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One stream: what a worker and its descendants write on stdout and stderr, read, cut into lines, and sent
 * with the fields of that life. Called by logger.c, in turns. Must never read more than it has sent, but for
 * a line that is not whole yet: a worker that writes faster than the journal takes waits in its write(2). */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>

#include "arbiter-logger/logger.h"
#include "basic/fd.h"

#define READ_SIZE (32 * 1024)
#define LINES_PER_TURN 128

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct stream *s = userdata;

        /* Off while it is in the queue: who writes all the time must not wake us for each line. */
        (void) sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
        logger_make_ready(s->logger, s);
        return 0;
}

static bool is_known(const struct logger *l, ino_t inode) {
        LIST_FOREACH(s, &l->streams, struct stream, streams)
                if (s->inode == inode)
                        return true;
        return false;
}

int stream_new(
                struct logger *l,
                const struct logger_stream_head *head,
                const char *fields,
                size_t size,
                int fd,
                struct stream **ret) {

        struct stream *s;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                r = negative_errno();
        else
                r = is_known(l, st.st_ino) ? -EEXIST : 0;
        s = r < 0 ? NULL : calloc(1, sizeof(*s));
        if (!s) {
                close_fd(fd);
                return r < 0 ? r : -ENOMEM;
        }
        s->inode = st.st_ino;
        list_init(&s->streams);
        list_init(&s->ready);
        s->logger = l;
        s->fd = fd;
        s->head = *head;
        list_append(&l->streams, &s->streams);
        l->n_streams++;
        s->fields.data = malloc(size + 1);
        r = s->fields.data ? fd_set_nonblock(fd, true) : -ENOMEM;
        if (r >= 0) {
                memcpy(s->fields.data, fields, size);
                s->fields.size = size;
                (void) logger_stream_prepare(fd);
                r = sd_event_add_io(l->event, &s->source, fd, EPOLLIN, on_readable, s);
        }
        if (r < 0) {
                stream_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct stream *stream_free(struct stream *s) {
        sd_event_source_disable_unref(s->source);
        list_remove(&s->streams);
        list_remove(&s->ready);
        s->logger->n_streams--;
        close_fd(s->fd);
        free(s->fields.data);
        free(s->data);
        free(s);
        return NULL;
}

/* Reading. */

static bool same_writer(const struct ucred *a, const struct ucred *b) {
        return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

static int make_room(struct stream *s) {
        char *data;

        if (s->begin > 0) {
                memmove(s->data, s->data + s->begin, s->end - s->begin);
                s->end -= s->begin;
                s->split -= s->begin;
                s->begin = 0;
        }
        if (s->allocated - s->end >= READ_SIZE)
                return 0;
        /* At most a line that is not whole, and a read: it does not grow beyond that. */
        data = realloc(s->data, s->end + READ_SIZE);
        if (!data)
                return -ENOMEM;
        s->data = data;
        s->allocated = s->end + READ_SIZE;
        return 0;
}

/* pid 0: it is in a pid namespace that we do not see. */
static struct ucred writer_of(struct msghdr *m) {
        struct ucred writer = {};

        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
                                c->cmsg_len == CMSG_LEN(sizeof(writer)))
                        memcpy(&writer, CMSG_DATA(c), sizeof(writer));
                else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                        close_many((const int *) (const void *) CMSG_DATA(c),
                                        (c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        return writer;
}

static ssize_t receive(struct stream *s, struct ucred *ret_writer) {
        union {
                struct cmsghdr alignment;
                char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 4)];
        } control;
        struct iovec iov = { s->data + s->end, READ_SIZE };
        struct msghdr m = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        do
                n = recvmsg(s->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return negative_errno();
        *ret_writer = writer_of(&m);
        return n;
}

/* 1: there is more; 0: nothing now; or the end has been noted. */
static int fill(struct stream *s) {
        struct ucred writer;
        ssize_t n;
        int r;

        r = make_room(s);
        if (r < 0)
                return r;
        n = receive(s, &writer);
        if (n == -EAGAIN)
                return 0;
        if (n <= 0) {
                s->eof = true;
                return 1;
        }
        if (s->begin == s->end)
                s->writer = writer;
        s->end += (size_t) n;
        if (same_writer(&s->writer, &writer))
                s->split = s->end;
        else
                s->next_writer = writer;
        return 1;
}

/* Sending. */

static int send_line(struct stream *s, const char *text, size_t length, int priority, const char *broken) {
        bool foreign = s->writer.pid > 0;
        char head[160];
        struct iovec iov[] = {
                { s->fields.data, s->fields.size },
                { head, 0 },
                { (char *) "MESSAGE=", 8 },
                { (char *) text, length },
                { (char *) "\n", 1 },
        };
        int n, r;

        n = snprintf(head, sizeof(head), "PRIORITY=%d\n", priority);
        if (foreign)
                n += snprintf(head + n, sizeof(head) - (size_t) n, "ARBITER_PID=%d\n", (int) s->writer.pid);
        if (broken)
                n += snprintf(head + n, sizeof(head) - (size_t) n, "ARBITER_LINE_BREAK=%s\n", broken);
        iov[1].iov_len = (size_t) n;
        r = logger_send(s->logger, iov, ELEMENTSOF(iov), foreign ? &s->writer : NULL);
        s->sent = s->sent || r >= 0;
        return r;
}

static int tell_suppressed(struct stream *s) {
        char text[200];
        int n, r;

        if (s->suppressed == 0)
                return 0;
        n = snprintf(text, sizeof(text),
                        "%llu lines were dropped: more than %u in %.3g s (LogRateLimitBurst=, "
                        "LogRateLimitIntervalSec=).",
                        (unsigned long long) s->suppressed, (unsigned) s->head.rate_burst,
                        (double) s->head.rate_interval_usec / (double) USEC_PER_SEC);
        r = send_line(s, text, (size_t) n, LOG_WARNING, NULL);
        if (r >= 0)
                s->suppressed = 0;
        return r;
}

/* 1: it may be sent; 0: it is one too many. Windows begin with the first line after the last one. */
static int admit(struct stream *s) {
        usec_t now;
        int r;

        if (s->head.rate_interval_usec == 0)
                return 1;
        if (s->rate_n >= s->head.rate_burst || s->rate_n == 0) {
                now = now_usec();
                if (s->rate_n == 0 || now - s->rate_begin >= s->head.rate_interval_usec) {
                        r = tell_suppressed(s);
                        if (r < 0)
                                return r;
                        s->rate_begin = now;
                        s->rate_n = 0;
                }
        }
        return s->rate_n < s->head.rate_burst;
}

static int handle_line(struct stream *s, const struct line *line) {
        const char *text = s->data + s->begin;
        size_t length = line->length, prefix = 0;
        int priority = s->continued ? s->priority : (int) s->head.priority, r;

        if (!s->continued && (s->head.flags & LOGGER_LEVEL_PREFIX))
                prefix = line_priority(text, length, &priority);
        if (length > prefix) { /* as journald: an empty line is none */
                r = admit(s);
                if (r < 0)
                        return r;
                if (r > 0) {
                        r = send_line(s, text + prefix, length - prefix, priority,
                                        line_break_to_string(line->line_break));
                        if (r < 0)
                                return r;
                        s->rate_n++;
                } else
                        s->suppressed++;
        }
        s->priority = priority;
        s->continued = line->line_break == LINE_BREAK_LINE_MAX;
        s->begin += line->consumed;
        s->scanned = 0;
        return 0;
}

/* Of what has been read. 1: one has gone; 0: there is none; -EAGAIN. */
static int next_line(struct stream *s) {
        bool other = s->split < s->end;
        struct line line;
        int r;

        if (line_next(s->data + s->begin, s->split - s->begin, s->scanned,
                            other           ? LINE_BREAK_PID_CHANGE
                                    : s->eof ? LINE_BREAK_EOF
                                             : LINE_BREAK_NEWLINE,
                            &line)) {
                r = handle_line(s, &line);
                return r < 0 ? r : 1;
        }
        if (other) {
                s->writer = s->next_writer;
                s->split = s->end;
                s->scanned = 0;
                s->continued = false;
                return 1;
        }
        s->scanned = s->end - s->begin;
        return 0;
}

int stream_turn(struct stream *s) {
        int r;

        s->sent = false;
        for (unsigned n = 0; n < LINES_PER_TURN; n++) {
                r = s->begin < s->end ? next_line(s) : 0;
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                if (s->eof) {
                        r = tell_suppressed(s);
                        return r < 0 ? r : -ENODATA;
                }
                r = fill(s);
                if (r < 0)
                        return r == -ENOMEM ? -ENODATA : r;
                if (r > 0)
                        continue;
                if (s->begin == s->end) { /* a thousand quiet workers cost nothing */
                        free(TAKE_PTR(s->data));
                        s->begin = s->split = s->end = s->allocated = s->scanned = 0;
                }
                return sd_event_source_set_enabled(s->source, SD_EVENT_ON);
        }
        return 1;
}
