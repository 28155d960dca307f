/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop of arbiter-logger. New streams come over the link; each that has something to be read waits in a
 * queue for its turn, and goes to the end of it after some lines, so that one that writes without end delays
 * the others by no more than its turn. When the journal takes nothing, nothing is read. Called by main.c. */

#include <poll.h>
#include <stdio.h>

#include "arbiter-logger/logger.h"
#include "basic/fd-pass.h"
#include "basic/fd.h"
#include "shared/log.h"

#define TURNS_PER_DISPATCH 16
#define RETRY_USEC (250 * USEC_PER_MSEC)
/* How long the last words of all workers are kept for a journal that does not take them. */
#define END_USEC (30 * USEC_PER_SEC)

/* The journal. */

/* Nobody is left who could be kept waiting by a journal that takes nothing: for so long, and no longer. */
static void bound_end(struct logger *l) {
        int enabled = SD_EVENT_OFF;

        (void) sd_event_source_get_enabled(l->end_source, &enabled);
        if (l->link >= 0 || !l->blocked || enabled != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time_relative(l->end_source, END_USEC);
        (void) sd_event_source_set_enabled(l->end_source, SD_EVENT_ONESHOT);
}

static void block(struct logger *l) {
        l->blocked = true;
        (void) sd_event_source_set_enabled(l->turn_source, SD_EVENT_OFF);
        if (l->room_source)
                (void) sd_event_source_set_enabled(l->room_source, SD_EVENT_ON);
        else {
                (void) sd_event_source_set_time_relative(l->retry_source, RETRY_USEC);
                (void) sd_event_source_set_enabled(l->retry_source, SD_EVENT_ONESHOT);
        }
        bound_end(l);
}

static void unblock(struct logger *l) {
        l->blocked = false;
        if (l->room_source)
                (void) sd_event_source_set_enabled(l->room_source, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(l->turn_source, SD_EVENT_ON);
}

static int on_room(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        unblock(userdata);
        return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        unblock(userdata);
        return 0;
}

static void close_journal(struct logger *l) {
        l->room_source = sd_event_source_disable_unref(l->room_source);
        l->journal = close_fd(l->journal);
}

static int open_journal(struct logger *l) {
        int r;

        if (l->journal >= 0)
                return 0;
        r = journal_socket_open(l->journal_path, &l->journal);
        if (r < 0)
                return r;
        r = sd_event_add_io(l->event, &l->room_source, l->journal, EPOLLOUT, on_room, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->room_source, SD_EVENT_OFF);
        if (r < 0)
                close_journal(l);
        return r;
}

/* As another process where the kernel lets us; else, and for one that is gone, as ourselves: the fields that
 * the arbiter has given say whose line it is. */
static int send_as(struct logger *l, const struct iovec *iov, size_t n, const struct ucred *writer) {
        int r;

        if (l->foreign && writer) {
                r = journal_socket_send(l->journal, iov, n, writer);
                if (r != -EPERM && r != -ESRCH && r != -EINVAL)
                        return r;
                if (r == -EPERM)
                        l->foreign = false;
        }
        return journal_socket_send(l->journal, iov, n, NULL);
}

int logger_send(struct logger *l, const struct iovec *iov, size_t n, const struct ucred *writer) {
        for (unsigned tries = 0; tries < 2; tries++) {
                int r;

                if (open_journal(l) < 0)
                        break;
                r = send_as(l, iov, n, writer);
                if (!journal_socket_is_gone(r)) /* any other failure is this line's, and would be for ever */
                        return r == -EAGAIN ? r : 0;
                close_journal(l); /* journald has a new socket */
        }
        return -EAGAIN;
}

/* The queue. */

void logger_make_ready(struct logger *l, struct stream *s) {
        list_append(&l->ready, &s->ready);
        if (!l->blocked)
                (void) sd_event_source_set_enabled(l->turn_source, SD_EVENT_ON);
}

static void end_if_done(struct logger *l) {
        if (l->n_streams == 0 && (l->link < 0 || l->terminating))
                (void) sd_event_exit(l->event, 0);
}

static int on_turn(sd_event_source *source, void *userdata) {
        struct logger *l = userdata;

        for (unsigned n = 0; n < TURNS_PER_DISPATCH; n++) {
                struct stream *s = LIST_FIRST(&l->ready, struct stream, ready);
                int r;

                if (!s) {
                        (void) sd_event_source_set_enabled(l->turn_source, SD_EVENT_OFF);
                        break;
                }
                r = stream_turn(s);
                if (s->sent)
                        (void) sd_event_source_set_enabled(l->end_source, SD_EVENT_OFF);
                if (r < 0 && r != -EAGAIN) {
                        stream_free(s);
                        continue;
                }
                if (r == 0 || s->sent) { /* who could send nothing has not had its turn */
                        list_remove(&s->ready);
                        if (r != 0)
                                list_append(&l->ready, &s->ready);
                }
                if (r == -EAGAIN) {
                        block(l);
                        break;
                }
        }
        end_if_done(l);
        return 0;
}

/* The link. */

static bool fields_are_valid(const char *fields, size_t size) {
        const char *p = fields;
        struct journal_field f;
        int r;

        do
                r = journal_next(&p, fields + size, &f);
        while (r > 0);
        return r == 0;
}

static void take_stream(struct logger *l, const char *data, size_t size, int fd) {
        struct logger_stream_head head;
        struct stream *s;
        int r = -EBADMSG;

        if (size >= sizeof(head) && fd >= 0) {
                memcpy(&head, data, sizeof(head));
                data += sizeof(head);
                size -= sizeof(head);
                if (head.version == LOGGER_LINK_VERSION && head.priority <= 7 &&
                                fields_are_valid(data, size))
                        r = 0;
        }
        if (r == 0)
                r = stream_new(l, &head, data, size, TAKE_FD(fd), &s);
        close_fd(fd);
        if (r < 0 && r != -EEXIST) /* another arbiter does not know what the one before has told us */
                log_error_errno(r, "Cannot take over a stream: %m");
}

static void close_link(struct logger *l) {
        l->link_source = sd_event_source_disable_unref(l->link_source);
        l->link = close_fd(l->link);
        bound_end(l);
        end_if_done(l);
}

static int on_link(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct logger *l = userdata;
        char data[sizeof(struct logger_stream_head) + LOGGER_FIELDS_SIZE_MAX];
        union {
                struct cmsghdr alignment;
                char space[CMSG_SPACE(sizeof(int) * 4)];
        } control;
        struct iovec iov = { data, sizeof(data) };
        struct msghdr m = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n = recvmsg(l->link, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        int stream = -EBADF;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                close_link(l);
                return 0;
        }
        (void) fd_pass_take(&m, &stream, 1);
        take_stream(l, data, m.msg_flags & MSG_TRUNC ? 0 : (size_t) n, stream);
        return 0;
}

static int on_end(sd_event_source *source, uint64_t usec, void *userdata) {
        struct logger *l = userdata;

        log_error("The journal takes nothing: the last lines of %zu streams are lost.", l->n_streams);
        return sd_event_exit(l->event, 1);
}

/* Our unit is stopped: the last words of the workers are yet to come. */
static int on_sigterm(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct logger *l = userdata;

        l->terminating = true;
        end_if_done(l);
        return 0;
}

static int add_sources(struct logger *l) {
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return negative_errno();
        r = sd_event_default(&l->event);
        if (r >= 0)
                r = sd_event_add_signal(l->event, NULL, SIGTERM, on_sigterm, l);
        if (r >= 0)
                r = sd_event_add_io(l->event, &l->link_source, l->link, EPOLLIN, on_link, l);
        if (r >= 0)
                r = sd_event_add_defer(l->event, &l->turn_source, on_turn, l);
        /* A deferred source is always the one that has waited longest: what has just come goes first. */
        if (r >= 0)
                r = sd_event_source_set_priority(l->turn_source, SD_EVENT_PRIORITY_NORMAL + 1);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->turn_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(
                                l->event, &l->retry_source, CLOCK_MONOTONIC, 0, 0, on_retry, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->retry_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(
                                l->event, &l->end_source, CLOCK_MONOTONIC, END_USEC, 0, on_end, l);
        return r < 0 ? r : sd_event_source_set_enabled(l->end_source, SD_EVENT_OFF);
}

int logger_new(int link, const char *journal_path, struct logger **ret) {
        struct logger *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        list_init(&l->streams);
        list_init(&l->ready);
        l->link = link;
        l->journal = -EBADF;
        l->journal_path = journal_path;
        l->foreign = true;
        r = add_sources(l);
        if (r < 0) {
                l->link = -EBADF; /* still the caller's */
                logger_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

struct logger *logger_free(struct logger *l) {
        LIST_FOREACH(s, &l->streams, struct stream, streams)
                stream_free(s);
        close_journal(l);
        sd_event_source_disable_unref(l->link_source);
        sd_event_source_disable_unref(l->turn_source);
        sd_event_source_disable_unref(l->retry_source);
        sd_event_source_disable_unref(l->end_source);
        sd_event_unref(l->event);
        close_fd(l->link);
        free(l);
        return NULL;
}

int logger_run(struct logger *l) {
        return sd_event_loop(l->event);
}
