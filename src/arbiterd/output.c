/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link to arbiter-logger, and what is needed to start it again. Called by main.c and from the prepare
 * function of definition.c. Must never block on the logger, nor read what workers write: the arbiter's loop
 * is not to be had by who writes most. */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <syslog.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/journal.h"
#include "arbiterd/output.h"
#include "arbiterd/program.h"
#include "arbiterd/scope.h"
#include "arbiterd/takeover.h"
#include "basic/fd-pass.h"
#include "basic/fd.h"
#include "basic/list.h"
#include "basic/pidfd.h"
#include "shared/journal.h"
#include "shared/keeper-link.h"
#include "shared/log.h"
#include "shared/logger-link.h"
#include "shared/strv.h"

#define RETRY_USEC (USEC_PER_SEC)
#define DONE_MSEC 2000
/* What is kept while there is no arbiter. */
#define KEPT_LINK "logger"
#define KEPT_PIDFD "logger-pid"

struct stream {
        struct list_node streams;
        struct output *output;
        int fd; /* the reading end, as the logger has it */
        sd_event_source *hangup;
        bool given, ended;
        char kept[KEEPER_NAME_SIZE];
        size_t size;
        char data[]; /* the message that tells the logger of it */
};

struct output {
        struct daemon *daemon;
        int link, pidfd;
        pid_t pid;
        usec_t started_usec;
        sd_event_source *death, *room, *retry;
        struct list_node streams;
        bool complained; /* that there is no logger: once */
};

static int start_logger(struct output *o);

bool output_wants_journal(void) {
        return journal_is_log();
}

/* Streams. */

static void free_stream(struct stream *s) {
        sd_event_source_disable_unref(s->hangup);
        list_remove(&s->streams);
        takeover_keep(s->output->daemon, s->kept, -1);
        close_fd(s->fd);
        free(s);
}

static int send_stream(struct output *o, struct stream *s) {
        struct iovec iov = { s->data, s->size };

        ssize_t n = fd_pass_send(o->link, &iov, 1, &s->fd, 1);

        return n < 0 ? (int) n : 0;
}

static void retry_later(struct output *o, usec_t usec) {
        (void) sd_event_source_set_time_relative(o->retry, usec);
        (void) sd_event_source_set_enabled(o->retry, SD_EVENT_ONESHOT);
}

/* All that the logger has not been told of yet, oldest first. */
static void give(struct output *o) {
        int r = 0;

        if (o->link < 0)
                return;
        LIST_FOREACH(s, &o->streams, struct stream, streams) {
                if (s->given)
                        continue;
                r = send_stream(o, s);
                if (r < 0)
                        break;
                s->given = true;
                if (s->ended)
                        free_stream(s);
        }
        (void) sd_event_source_set_enabled(o->room, r == -EAGAIN ? SD_EVENT_ON : SD_EVENT_OFF);
        if (r == -ETOOMANYREFS) /* descriptors under way; the socket itself has room */
                retry_later(o, RETRY_USEC / 10);
}

static int on_room(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        give(userdata);
        return 0;
}

/* Nobody can write there any more. What has been written is the logger's to read, as soon as it has it. */
static int on_hangup(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct stream *s = userdata;

        s->ended = true;
        if (s->given)
                free_stream(s);
        else
                (void) sd_event_source_set_enabled(s->hangup, SD_EVENT_OFF);
        return 0;
}

/* The logger. */

/* Everywhere: it ends with the last of them. */
static void close_link(struct output *o) {
        takeover_keep(o->daemon, KEPT_LINK, -1);
        takeover_keep(o->daemon, KEPT_PIDFD, -1);
        o->room = sd_event_source_disable_unref(o->room);
        o->link = close_fd(o->link);
}

static int on_death(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct output *o = userdata;
        siginfo_t info = {};
        usec_t age = now_usec() - o->started_usec;

        (void) pidfd_wait(o->pidfd, WNOHANG, &info); /* -ECHILD: the arbiter reaps what it does not know */
        o->death = sd_event_source_disable_unref(o->death);
        o->pidfd = close_fd(o->pidfd);
        close_link(o);
        log_warning("arbiter-logger has ended; another one is started, and workers that write wait for it.");
        LIST_FOREACH(s, &o->streams, struct stream, streams)
                s->given = false;
        if (age < RETRY_USEC || start_logger(o) < 0)
                retry_later(o, RETRY_USEC);
        return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        struct output *o = userdata;

        if (o->link >= 0)
                give(o);
        else if (start_logger(o) < 0)
                retry_later(o, RETRY_USEC);
        return 0;
}

/* It sees to workers, and lives where they do: not in the cgroup of arbiterd's own service. */
static void enter_scope(struct output *o) {
        _cleanup_free_ char *path = NULL;
        char pid[16];
        int r;

        if (!o->daemon->cgroup)
                return;
        if (asprintf(&path, "%s/" SCOPE_LEAF "/cgroup.procs", o->daemon->cgroup) < 0) {
                path = NULL;
                return;
        }
        (void) snprintf(pid, sizeof(pid), "%d", (int) o->pid);
        r = write_file_string(AT_FDCWD, path, pid);
        if (r < 0 && r != -ENOENT)
                log_warning_errno(r, "Cannot move arbiter-logger to %s: %m", path);
}

static int make_environment(const struct output *o, char ***ret) {
        _cleanup_strv_free_ char **e = NULL;
        const char *socket = getenv(JOURNAL_SOCKET_VARIABLE);
        _cleanup_free_ char *assignment = NULL;
        int r;

        r = strv_copy(o->daemon->environment, &e);
        if (r < 0)
                return r;
        if (socket) {
                if (asprintf(&assignment, JOURNAL_SOCKET_VARIABLE "=%s", socket) < 0) {
                        assignment = NULL;
                        return -ENOMEM;
                }
                r = strv_set_environment(&e, assignment);
        }
        *ret = TAKE_PTR(e);
        return r;
}

static int spawn_logger(const struct output *o, int link, pid_t *ret) {
        const char *program = o->daemon->logger_program;
        char *argv[] = { (char *) (program ? program : ARBITER_LOGGER_PATH), NULL };
        _cleanup_strv_free_ char **environment = NULL;
        int r;

        r = make_environment(o, &environment);
        if (r < 0)
                return r;
        r = program_spawn(argv, environment ? environment : argv + 1, (const int[3]){ link, -1, -1 }, ret);
        if (r < 0 && r != -ENOMEM && !o->complained)
                log_error_errno(r, "Cannot start %s: %m. The output of workers goes where arbiterd's does.",
                                argv[0]);
        return r;
}

/* There are link and pidfd. */
static int watch_logger(struct output *o) {
        sd_event *event = arbiter_get_event(o->daemon->arbiter);
        int r;

        r = sd_event_add_io(event, &o->death, o->pidfd, EPOLLIN, on_death, o);
        if (r >= 0)
                r = sd_event_add_io(event, &o->room, o->link, EPOLLOUT, on_room, o);
        if (r < 0) {
                o->death = sd_event_source_disable_unref(o->death);
                o->pidfd = close_fd(o->pidfd);
                close_link(o);
        }
        return r;
}

static int start_logger(struct output *o) {
        _cleanup_close_ int link = -EBADF, theirs = -EBADF;
        int fds[2], r;

        if (o->started_usec == 0 && access(journal_socket_path(), W_OK) < 0) {
                r = negative_errno(); /* it would hold what workers write for ever */
                if (!o->complained)
                        log_warning_errno(r,
                                        "There is no journal (%s: %m): the output of workers goes where "
                                        "arbiterd's does.",
                                        journal_socket_path());
                o->complained = true;
                return r;
        }
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return negative_errno();
        link = fds[0];
        theirs = fds[1];
        r = spawn_logger(o, theirs, &o->pid);
        if (r < 0) {
                o->complained = true;
                return r;
        }
        o->complained = false;
        o->started_usec = now_usec();
        enter_scope(o);
        /* our child, and not reaped: nothing has run since that could have */
        o->pidfd = pidfd_open_pid(o->pid);
        if (o->pidfd < 0)
                return o->pidfd; /* it ends with the link */
        o->link = TAKE_FD(link);
        r = watch_logger(o);
        if (r < 0)
                return r;
        takeover_keep(o->daemon, KEPT_LINK, o->link);
        takeover_keep(o->daemon, KEPT_PIDFD, o->pidfd);
        give(o);
        return 0;
}

static int make_output(struct daemon *d) {
        struct output *o;
        int r;

        if (d->output)
                return 0;
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        *o = (struct output){ .daemon = d, .link = -EBADF, .pidfd = -EBADF };
        list_init(&o->streams);
        r = sd_event_add_time_relative(arbiter_get_event(d->arbiter), &o->retry, CLOCK_MONOTONIC, 0, 0,
                        on_retry, o);
        if (r >= 0)
                r = sd_event_source_set_enabled(o->retry, SD_EVENT_OFF);
        if (r < 0) {
                sd_event_source_disable_unref(o->retry);
                free(o);
                return r;
        }
        d->output = o;
        return 0;
}

int output_start(struct daemon *d, pid_t *ret_pid) {
        int r;

        r = make_output(d);
        if (r >= 0 && d->output->link < 0)
                r = start_logger(d->output);
        if (r < 0)
                return r;
        if (ret_pid)
                *ret_pid = d->output->pid;
        return 0;
}

/* That of the arbiter before us, which has gone on. */
int output_take_over(struct daemon *d, pid_t *ret_pid) {
        _cleanup_close_ int link = -EBADF, pidfd = -EBADF;
        struct output *o;
        pid_t pid;
        int r;

        link = takeover_get(d, KEPT_LINK);
        pidfd = takeover_get(d, KEPT_PIDFD);
        if (link < 0 || pidfd < 0)
                return -ENOENT;
        r = pidfd_get_pid(pidfd, &pid);
        if (r >= 0 && poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 0) != 0)
                r = -ESRCH;
        if (r >= 0)
                r = make_output(d);
        if (r < 0)
                return r;
        o = d->output;
        o->link = TAKE_FD(link);
        o->pidfd = TAKE_FD(pidfd);
        o->pid = pid;
        o->started_usec = now_usec();
        r = watch_logger(o);
        if (r >= 0)
                *ret_pid = pid;
        return r;
}

/* A life. */

static int encode(const struct daemon *d, const arbiter_life *life, const char *identifier,
                struct journal_fields *f) {
        int r;

        r = journal_add_string(f, "SYSLOG_IDENTIFIER", identifier ? identifier : life->name);
        if (r >= 0)
                r = journal_add_string(f, "SYSLOG_FACILITY", "3"); /* daemon */
        if (r >= 0 && d->instance)
                r = journal_add_string(f, "ARBITER_INSTANCE", d->instance);
        if (r >= 0)
                r = journal_add_string(f, "ARBITER_AID", life->aid);
        if (r >= 0)
                r = journal_add_string(f, "ARBITER_NAME", life->name);
        if (r >= 0)
                r = journal_add_string(f, "ARBITER_MONITOR", life->monitor);
        if (r >= 0)
                r = journal_add_format(f, "ARBITER_GENERATION", "%u", life->generation);
        return r;
}

static int new_stream(struct daemon *d, const arbiter_life *life, const struct actor_config *a,
                const char *identifier, struct stream **ret) {
        struct logger_stream_head head = {
                .version = LOGGER_LINK_VERSION,
                .flags = LOGGER_LEVEL_PREFIX,
                .priority = LOG_INFO,
        };
        _cleanup_(freep) void *data = NULL;
        struct journal_fields f = {};
        struct stream *s;
        int r;

        if (a) {
                head.flags = a->syslog_level_prefix ? LOGGER_LEVEL_PREFIX : 0;
                head.rate_interval_usec = a->log_rate_burst > 0 ? a->log_rate_interval_usec : 0;
                head.rate_burst = a->log_rate_burst;
        }
        r = encode(d, life, identifier, &f);
        data = f.data;
        if (r < 0)
                return r;
        if (f.size > LOGGER_FIELDS_SIZE_MAX)
                return -E2BIG;
        s = calloc(1, sizeof(*s) + sizeof(head) + f.size);
        if (!s)
                return -ENOMEM;
        list_init(&s->streams);
        s->output = d->output;
        s->fd = -EBADF;
        (void) snprintf(s->kept, sizeof(s->kept), OUTPUT_KEPT_STREAM "%s", life->aid);
        s->size = sizeof(head) + f.size;
        memcpy(s->data, &head, sizeof(head));
        memcpy(s->data + sizeof(head), f.data, f.size);
        *ret = s;
        return 0;
}

/* No events asked for: a hangup is always told, and what is written does not wake us. */
static int watch_stream(struct stream *s) {
        return sd_event_add_io(
                        arbiter_get_event(s->output->daemon->arbiter), &s->hangup, s->fd, 0, on_hangup, s);
}

/* The worker's end, to be closed; s has the other. */
static int open_stream(struct stream *s, int *ret) {
        _cleanup_close_ int theirs = -EBADF;
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return negative_errno();
        s->fd = fds[0];
        theirs = fds[1];
        r = logger_stream_prepare(s->fd);
        if (r < 0)
                return r;
        if (shutdown(theirs, SHUT_RD) < 0)
                return negative_errno();
        r = fd_set_nonblock(s->fd, true); /* it is shared with the logger */
        if (r < 0)
                return r;
        r = watch_stream(s);
        if (r < 0)
                return r;
        takeover_keep(s->output->daemon, s->kept, s->fd);
        *ret = TAKE_FD(theirs);
        return 0;
}

static int to_journal(struct daemon *d, const arbiter_life *life, const struct actor_config *a,
                const char *identifier, int *ret) {
        struct stream *s = NULL;
        int r;

        r = output_start(d, NULL);
        /* one that has died is about to be replaced: its workers can write already */
        if (r < 0 && list_is_empty(&d->output->streams))
                return r;
        r = new_stream(d, life, a, identifier, &s);
        if (r < 0)
                return r;
        r = open_stream(s, ret);
        if (r < 0) {
                free_stream(s);
                return r;
        }
        list_append(&d->output->streams, &s->streams);
        give(d->output);
        return 0;
}

int output_take_over_stream(struct daemon *d, const arbiter_life *life, const struct actor_config *a,
                const char *identifier) {
        _cleanup_close_ int fd = -EBADF;
        char name[KEEPER_NAME_SIZE];
        struct stream *s;
        int r;

        (void) snprintf(name, sizeof(name), OUTPUT_KEPT_STREAM "%s", life->aid);
        fd = takeover_get(d, name);
        if (fd < 0)
                return 0; /* it goes elsewhere */
        r = output_start(d, NULL);
        if (!d->output)
                return r;
        r = new_stream(d, life, a, identifier, &s);
        if (r < 0)
                return r;
        s->fd = TAKE_FD(fd);
        list_append(&d->output->streams, &s->streams);
        r = watch_stream(s);
        if (r < 0) {
                free_stream(s);
                return r;
        }
        give(d->output); /* the logger may not have heard of it */
        return 0;
}

bool output_has_stream(const struct daemon *d, const char *kept) {
        if (d->output)
                LIST_FOREACH(s, &d->output->streams, struct stream, streams)
                        if (streq(s->kept, kept))
                                return true;
        return false;
}

static int resolve(int output) {
        if (output != CONFIG_OUTPUT_DEFAULT)
                return output;
        return output_wants_journal() ? CONFIG_OUTPUT_JOURNAL : CONFIG_OUTPUT_INHERIT;
}

int output_prepare(struct daemon *d, const arbiter_life *life, arbiter_spawn *s,
                const struct actor_config *a, const char *identifier) {
        const int wanted[2] = { resolve(a->standard_output), resolve(a->standard_error) };
        _cleanup_close_ int journal = -EBADF;
        int fds[2];

        if (life->concurrency != ARBITER_CONCURRENCY_PROCESS)
                return 0; /* a thread: its host has it */
        if (wanted[0] == CONFIG_OUTPUT_JOURNAL || wanted[1] == CONFIG_OUTPUT_JOURNAL) {
                int r = to_journal(d, life, a, identifier, &journal);

                if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                        return r; /* the start is tried again; any other has been told, and is for good */
        }
        for (unsigned i = 0; i < 2; i++)
                fds[i] = wanted[i] == CONFIG_OUTPUT_NULL ? -2
                         : wanted[i] == CONFIG_OUTPUT_JOURNAL && journal >= 0 ? journal
                                                                              : -1;
        return arbiter_spawn_set_output(s, fds[0], fds[1]);
}

void output_done(struct daemon *d) {
        struct output *o = d->output;

        if (!o)
                return;
        d->output = NULL;
        LIST_FOREACH(s, &o->streams, struct stream, streams)
                free_stream(s);
        close_link(o);
        o->death = sd_event_source_disable_unref(o->death);
        sd_event_source_disable_unref(o->retry);
        if (o->pidfd >= 0) {
                struct pollfd p = { .fd = o->pidfd, .events = POLLIN };
                siginfo_t info;

                if (poll(&p, 1, DONE_MSEC) > 0)
                        (void) pidfd_wait(o->pidfd, WNOHANG, &info);
                close_fd(o->pidfd);
        }
        free(o);
}
