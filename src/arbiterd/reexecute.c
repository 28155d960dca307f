/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program on disk in place of this one: asked first, in a process of its own and about a copy of the
 * state, whether it can read it; then executed. By exec and not by an end that systemd answers with a
 * restart: children stay ours, with their exit codes, nothing is counted against StartLimitBurst=, and the
 * next one is there some milliseconds later. Called by leave.c. */

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/leave.h"
#include "arbiterd/notify.h"
#include "arbiterd/program.h"
#include "basic/fd.h"
#include "basic/pidfd.h"
#include "basic/text.h"
#include "basic/time-util.h"
#include "basic/utf8.h"
#include "shared/log.h"
#include "shared/verbs.h"

#define CHECK_USEC (10 * USEC_PER_SEC)
/* What it says when it can. The status alone would do, but whoever reaps orphans may be faster. */
#define YES "The state can be taken over by arbiterd "

/* A copy: what is tried on it does not matter. */

static int copy_range(int from, int to, off_t begin, off_t end) {
        while (begin < end) {
                ssize_t n;

                if (lseek(to, begin, SEEK_SET) < 0)
                        return negative_errno();
                n = sendfile(to, from, &begin, (size_t) (end - begin));
                if (n <= 0)
                        return n < 0 ? negative_errno() : -EIO;
        }
        return 0;
}

static int copy_state(int state, int *ret) {
        _cleanup_close_ int copy = -EBADF, from = -EBADF;
        off_t begin = 0, end;
        char path[32];
        struct stat st;
        int r = 0;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", state);
        from = open(path, O_RDONLY | O_CLOEXEC); /* a position of its own */
        copy = memfd_create("arbiter-state-copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (from < 0 || copy < 0 || fstat(from, &st) < 0 || ftruncate(copy, st.st_size) < 0)
                return negative_errno();
        while (r >= 0 && (begin = lseek(from, begin, SEEK_DATA)) >= 0) {
                end = lseek(from, begin, SEEK_HOLE);
                r = end < 0 ? negative_errno() : copy_range(from, copy, begin, end);
                begin = end;
        }
        if (r < 0)
                return r;
        if (fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
                        lseek(copy, 0, SEEK_SET) < 0)
                return negative_errno();
        *ret = TAKE_FD(copy);
        return 0;
}

/* Asking. */

struct reexecute_check {
        struct daemon *daemon;
        sd_event_source *output, *timer, *ended;
        int pidfd;
        char text[1024]; /* what it says */
        size_t size;
        int error;
        char *why;
        reexecute_checked_t done;
};

static int on_ended(sd_event_source *s, void *userdata) {
        struct reexecute_check *c = userdata;

        c->done(c->daemon, c->error, c->why);
        return 0;
}

_printf_(3, 4) static void finish(struct reexecute_check *c, int error, const char *format, ...) {
        va_list ap;

        c->error = error;
        va_start(ap, format);
        if (error < 0)
                c->why = text_formatv(format, ap);
        va_end(ap);
        (void) sd_event_source_set_enabled(c->output, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(c->ended, SD_EVENT_ONESHOT);
}

static void judge(struct reexecute_check *c) {
        char *said = c->text + strspn(c->text, "\n");
        size_t n = strcspn(said, "\n");

        said[n] = 0;
        utf8_make_harmless(said, ""); /* whatever program it is */
        if (startswith(said, YES))
                finish(c, 0, " ");
        else
                finish(c, -EPROTONOSUPPORT, "%s cannot take over: %s%s Nothing was done.",
                                c->daemon->program, n > 0 ? said : "it says nothing",
                                n > 0 && said[n - 1] == '.' ? "" : ".");
}

static int on_output(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct reexecute_check *c = userdata;
        char more[sizeof(c->text)];
        ssize_t n = read(fd, more, sizeof(more));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                judge(c);
                return 0;
        }
        n = MIN((size_t) n, sizeof(c->text) - 1 - c->size); /* what is too much is read, too */
        memcpy(c->text + c->size, more, (size_t) n);
        c->size += (size_t) n;
        return 0;
}

static int on_too_long(sd_event_source *s, uint64_t usec, void *userdata) {
        struct reexecute_check *c = userdata;

        finish(c, -ETIMEDOUT, "%s does not say whether it can take over. Nothing was done.",
                        c->daemon->program);
        return 0;
}

struct reexecute_check *reexecute_check_free(struct reexecute_check *c) {
        siginfo_t info;

        if (!c)
                return NULL;
        if (c->pidfd >= 0) {
                (void) pidfd_signal(c->pidfd, SIGKILL);
                (void) pidfd_wait(c->pidfd, 0, &info); /* -ECHILD: the arbiter has reaped it */
                close_fd(c->pidfd);
        }
        sd_event_source_disable_unref(c->output);
        sd_event_source_disable_unref(c->timer);
        sd_event_source_disable_unref(c->ended);
        free(c->why);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(struct reexecute_check *, reexecute_check_free)

static int ask(struct reexecute_check *c, int state, int output) {
        char *argv[] = { c->daemon->program, (char *) "--check-state", NULL };
        pid_t pid;
        int r;

        r = program_spawn(argv, c->daemon->environment ? c->daemon->environment : argv + 2,
                        (const int[3]){ state, output, output }, &pid);
        if (r < 0)
                return r;
        c->pidfd = pidfd_open_pid(pid); /* our child, and not reaped */
        return MIN(c->pidfd, 0);
}

static int add_sources(struct reexecute_check *c, int output) {
        sd_event *event = arbiter_get_event(c->daemon->arbiter);
        int r;

        r = sd_event_add_io(event, &c->output, output, EPOLLIN, on_output, c);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(c->output, true);
        if (r < 0) {
                close_fd(output);
                return r;
        }
        r = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, CHECK_USEC, 0, on_too_long, c);
        if (r >= 0)
                r = sd_event_add_defer(event, &c->ended, on_ended, c);
        return r < 0 ? r : sd_event_source_set_enabled(c->ended, SD_EVENT_OFF);
}

int reexecute_check_start(struct daemon *d, reexecute_checked_t done, struct reexecute_check **ret) {
        _cleanup_(reexecute_check_freep) struct reexecute_check *c = calloc(1, sizeof(*c));
        _cleanup_close_ int state = -EBADF, theirs = -EBADF;
        int fds[2], r;

        if (!c)
                return -ENOMEM;
        *c = (struct reexecute_check){ .daemon = d, .pidfd = -EBADF, .done = done };
        r = copy_state(arbiter_get_state_fd(d->arbiter), &state);
        if (r < 0)
                return r;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return negative_errno();
        theirs = fds[1];
        r = add_sources(c, fds[0]);
        if (r >= 0)
                r = ask(c, state, theirs);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

/* Answering. */

int reexecute_answer(void) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r >= 0)
                r = arbiter_set_state(a, STDIN_FILENO);
        if (r >= 0) {
                (void) printf(YES "%s.\n", arbiter_version());
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        }
        if (r == -EPROTONOSUPPORT)
                log_error("Its state has been written by a newer version than %s.", arbiter_version());
        else
                log_error_errno(r, "Its state cannot be read by version %s: %m", arbiter_version());
        return EXIT_FAILURE;
}

/* Executing. */

/* To 3, 4, ... */
static int pass(int *n_passed, char **names, const char *name, int fd) {
        _cleanup_free_ char *before = *names;

        if (fd < 0) {
                *names = TAKE_PTR(before);
                return 0;
        }
        *names = NULL;
        if (asprintf(names, "%s%s%s", before ? before : "", before ? ":" : "", name) < 0) {
                *names = NULL;
                return -ENOMEM;
        }
        if (dup2(fd, SD_LISTEN_FDS_START + *n_passed) < 0) /* without O_CLOEXEC */
                return negative_errno();
        ++*n_passed;
        return 0;
}

/* Out of the way of those that are to be passed. */
static int lift(int *fd, size_t n) {
        int copy;

        if (*fd < 0)
                return 0;
        copy = fcntl(*fd, F_DUPFD_CLOEXEC, SD_LISTEN_FDS_START + (int) n);
        if (copy < 0)
                return negative_errno();
        *fd = copy;
        return 0;
}

static int pass_all(struct daemon *d) {
        int state = arbiter_get_state_fd(d->arbiter), n_passed = 0, r;
        size_t n = d->n_given + 2;
        _cleanup_free_ char *names = NULL;
        char text[32];

        r = lift(&state, n);
        if (r >= 0)
                r = lift(&d->keeper_fd, n);
        for (size_t i = 0; r >= 0 && i < d->n_given; i++)
                r = lift(&d->given[i].fd, n);
        if (r >= 0)
                r = pass(&n_passed, &names, NOTIFY_STORE_STATE, state);
        if (r >= 0)
                r = pass(&n_passed, &names, NOTIFY_STORE_KEEPER, d->keeper_fd);
        for (size_t i = 0; r >= 0 && i < d->n_given; i++)
                r = pass(&n_passed, &names, d->given[i].name, d->given[i].fd);
        if (r < 0)
                return r;
        (void) snprintf(text, sizeof(text), "%d", (int) getpid());
        if (setenv("LISTEN_PID", text, 1) < 0)
                return negative_errno();
        (void) snprintf(text, sizeof(text), "%d", n_passed);
        if (setenv("LISTEN_FDS", text, 1) < 0 || setenv("LISTEN_FDNAMES", names ?: "", 1) < 0)
                return negative_errno();
        return 0;
}

int reexecute(struct daemon *d) {
        int r = pass_all(d);

        if (r < 0)
                return r;
        if (d->nofile.rlim_max > 0)
                (void) setrlimit(RLIMIT_NOFILE, &d->nofile);
        (void) execv(d->program, d->arguments);
        return negative_errno();
}
