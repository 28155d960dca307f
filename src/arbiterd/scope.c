/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scope of the actors: made before the arbiter runs, made anew when it is gone, used by the arbiter as
 * the subtree for its leaves. Called by service.c. Must never touch a cgroup that is not the scope's, nor
 * hold up the arbiter's loop once that runs. */

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/scope-request.h"
#include "arbiterd/scope.h"
#include "arbiterd/service.h"
#include "arbiterd/unit-sweep.h"
#include "basic/fd.h"
#include "basic/pidfd.h"
#include "shared/log.h"

#define ATTRIBUTE_MAX 4096
#define AGAIN_USEC (2 * USEC_PER_SEC) /* between two that go as soon as they come */

struct scope {
        struct scope_request *request; /* under way */
        sd_event_source *events, *death, *timer;
        sd_event *waiting; /* the loop that scope_make() runs */
        bool stopped;      /* a signal asked us to stop meanwhile */
        int events_fd;     /* cgroup.events */
        usec_t again_usec; /* it was made anew */
};

/* Its cgroup. */

/* The directory of the cgroup that a process is in. systemd has the hierarchy in one of two places. */
static int cgroup_directory(pid_t pid, char **ret) {
        static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        _cleanup_free_ char *text = NULL;
        char file[64], *path;
        struct statfs fs;
        int r;

        (void) snprintf(file, sizeof(file), "/proc/%d/cgroup", (int) pid);
        r = read_file_full(AT_FDCWD, file, ATTRIBUTE_MAX, &text, NULL);
        if (r < 0)
                return r;
        path = strstr(text, "0::/");
        if (!path)
                return -EOPNOTSUPP;
        path += strlen("0::");
        path[strcspn(path, "\n")] = 0;
        for (size_t i = 0; i < ELEMENTSOF(mounts); i++)
                if (statfs(mounts[i], &fs) >= 0 && (unsigned long) fs.f_type == CGROUP2_SUPER_MAGIC)
                        return asprintf(ret, "%s%s", mounts[i], path) < 0 ? -ENOMEM : 0;
        return -EOPNOTSUPP;
}

/* A cgroup with processes of its own cannot have controllers below it. */
static int move_first(int fd, pid_t first) {
        char pid[16];

        if (mkdirat(fd, SCOPE_LEAF, 0755) < 0 && errno != EEXIST)
                return negative_errno();
        (void) snprintf(pid, sizeof(pid), "%d", (int) first);
        return write_file_string(fd, SCOPE_LEAF "/cgroup.procs", pid);
}

/* For what the actors use, and whether one of them was killed for want of it. Where there is none:
 * without. */
static void enable_memory(int fd) {
        int r = write_file_string(fd, "cgroup.subtree_control", "+memory");

        if (r < 0)
                log_debug_errno(r, "The memory controller cannot be had for the actors: %m");
}

/* Takes the cgroup that the process is in by now, or in a leaf of. */
static int take_cgroup(struct daemon *d, pid_t first) {
        _cleanup_free_ char *directory = NULL;
        _cleanup_close_ int fd = -EBADF, events = -EBADF;
        char *leaf;
        int r;

        r = cgroup_directory(first, &directory);
        if (r < 0)
                return r;
        leaf = strrchr(directory, '/');
        if (streq(leaf + 1, SCOPE_LEAF))
                *leaf = 0;
        if (!strstr(directory, "-actors.scope")) /* moved on by somebody, or a hierarchy of version 1 */
                return -EOPNOTSUPP;
        fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? negative_errno() : move_first(fd, first);
        if (r < 0)
                return r;
        (void) write_file_string(fd, "cgroup.max.descendants", "max"); /* scope_abandon() */
        enable_memory(fd);
        events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        if (events < 0)
                return negative_errno();
        free(d->cgroup);
        d->cgroup = TAKE_PTR(directory);
        close_fd(d->scope->events_fd);
        d->scope->events_fd = TAKE_FD(events);
        d->no_scope = (free(d->no_scope), NULL);
        return 0;
}

void scope_abandon(struct daemon *d, bool kill) {
        _cleanup_free_ char *own = NULL;
        _cleanup_close_ int fd = -EBADF, own_fd = -EBADF;
        char pid[16];

        if (!d->cgroup) /* that of an arbiter before us */
                return;
        fd = open(d->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return; /* it has gone */
        (void) write_file_string(fd, "cgroup.max.descendants", "0");
        (void) snprintf(pid, sizeof(pid), "%d", (int) d->holder);
        if (cgroup_directory(getpid(), &own) >= 0)
                own_fd = open(own, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (own_fd >= 0)
                (void) write_file_string(own_fd, "cgroup.procs", pid);
        if (kill)
                (void) write_file_string(fd, "cgroup.kill", "1");
}

static int note_missing(struct daemon *d, const char *why) {
        char *copy = strdup(why);

        if (!copy)
                return -ENOMEM;
        free(d->no_scope);
        d->no_scope = copy;
        return 1;
}

/* Before the arbiter runs. */

static int fall_back(struct daemon *d, const char *what, int error) {
        char text[256];

        (void) snprintf(text, sizeof(text), "%s%s%s", what, error != 0 ? ": " : "",
                        error != 0 ? strerror(-error) : "");
        log_warning("There is no scope for the actors (%s): they run in process groups in place of "
                    "cgroups, and a descendant that leaves its group can outlive its actor.",
                        text);
        return note_missing(d, text);
}

static void on_made_at_start(struct daemon *d, const char *why, bool anew) {
        if (why)
                (void) note_missing(d, why);
        (void) sd_event_exit(d->scope->waiting, why ? 1 : 0);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        struct scope *x = userdata;

        x->stopped = true;
        return sd_event_exit(x->waiting, 1);
}

static int wait_for_scope(struct daemon *d, pid_t first) {
        static const int signals[] = { SIGTERM, SIGINT };
        struct scope *x = d->scope;
        int r;

        r = sd_event_new(&x->waiting);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(x->waiting, NULL, signals[i], on_signal, x);
        if (r >= 0)
                r = scope_request_make(d, x->waiting,
                                d->takes_over ? SCOPE_REQUEST_HOLD : SCOPE_REQUEST_FRESH, first,
                                on_made_at_start, &x->request);
        if (r >= 0)
                r = sd_event_loop(x->waiting);
        x->request = scope_request_free(x->request);
        x->waiting = sd_event_unref(x->waiting);
        return r;
}

static int new_scope(struct daemon *d) {
        if (d->scope)
                return 0;
        d->scope = calloc(1, sizeof(*d->scope));
        if (!d->scope)
                return -ENOMEM;
        d->scope->events_fd = -EBADF;
        return 0;
}

int scope_take_over(struct daemon *d, pid_t first) {
        int r = new_scope(d);

        return r < 0 ? r : take_cgroup(d, first);
}

int scope_make(struct daemon *d, pid_t first) {
        int r;

        r = new_scope(d);
        if (r < 0)
                return r;
        if (d->mode == DAEMON_SYSTEM && sd_booted() <= 0)
                return fall_back(d, "this system was not booted with systemd", 0);
        r = wait_for_scope(d, first);
        if (d->scope->stopped)
                return -ECANCELED;
        if (r < 0)
                return fall_back(d, "systemd cannot be reached", r);
        if (r > 0) {
                _cleanup_free_ char *why = TAKE_PTR(d->no_scope);

                return fall_back(d, why && *why ? why : "out of memory", 0);
        }
        r = take_cgroup(d, first);
        return r < 0 ? fall_back(d, "its cgroup cannot be used", r) : 0;
}

/* While the arbiter runs. A scope ends with the last process in it, or when an administrator stops it; the
 * process that holds it can be killed. While systemd stops it actors may have been started again in it: the
 * cgroup then outlasts its unit, and a new unit of the same name has it, and them. */

static int watch(struct daemon *d);

static void again_later(struct daemon *d, const char *why) {
        struct scope *x = d->scope;
        size_t n = strlen(why);

        log_warning("The scope of the actors is gone and cannot be made anew: %.*s. It is tried again.",
                    (int) (n - (n > 0 && why[n - 1] == '.')), why); /* systemd's texts end in one */
        (void) note_missing(d, why);
        if (sd_event_source_set_time_relative(x->timer, AGAIN_USEC) < 0 ||
                        sd_event_source_set_enabled(x->timer, SD_EVENT_ONESHOT) < 0)
                log_error("No timer for another try.");
}

static void on_made_again(struct daemon *d, const char *why, bool anew) {
        struct scope *x = d->scope;
        int r;

        x->request = scope_request_free(x->request);
        x->again_usec = now_usec();
        if (why) {
                again_later(d, why);
                return;
        }
        r = take_cgroup(d, d->holder);
        if (r >= 0)
                r = arbiter_set_cgroup(d->arbiter, d->cgroup);
        if (r == -EBUSY) /* it is the same */
                r = 0;
        if (r >= 0)
                r = watch(d);
        if (r < 0)
                again_later(d, strerror(-r));
        else if (anew)
                log_notice("The scope of the actors was gone, and is made anew.");
        else
                log_info("The scope of the actors is held by process %d now.", (int) d->holder);
}

static int make_again(sd_event_source *s, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        struct scope *x = d->scope;
        int r;

        if (x->request || arbiter_actor_get_state(arbiter_get_actor(d->arbiter)) >= ARBITER_STATE_STOPPING)
                return 0;
        r = service_start_holder(d);
        if (r >= 0)
                r = scope_request_make(d, arbiter_get_event(d->arbiter), SCOPE_REQUEST_HOLD, d->holder,
                                on_made_again, &x->request);
        if (r < 0)
                again_later(d, strerror(-r));
        return 0;
}

static int again(struct daemon *d) {
        struct scope *x = d->scope;
        usec_t at = x->again_usec > 0 ? time_add(x->again_usec, AGAIN_USEC) : 0;
        int r;

        x->events = sd_event_source_disable_unref(x->events);
        x->death = sd_event_source_disable_unref(x->death);
        r = sd_event_source_set_time(x->timer, at);
        return r < 0 ? r : sd_event_source_set_enabled(x->timer, SD_EVENT_ONESHOT);
}

static bool is_populated(int fd) {
        char text[ATTRIBUTE_MAX];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        if (n < 0)
                return false; /* removed */
        text[n] = 0;
        return strstr(text, "populated 1");
}

static int on_events(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        return is_populated(fd) ? 0 : again(userdata);
}

static int on_death(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        return again(userdata);
}

static int watch(struct daemon *d) {
        sd_event *event = arbiter_get_event(d->arbiter);
        _cleanup_close_ int pidfd = -EBADF;
        struct scope *x = d->scope;
        int r;

        pidfd = pidfd_open_pid(d->holder);
        if (pidfd < 0) /* dead already, and reaped */
                return pidfd == -ESRCH ? again(d) : pidfd;
        r = sd_event_add_io(event, &x->events, x->events_fd, EPOLLPRI | EPOLLET, on_events, d);
        if (r >= 0)
                r = sd_event_add_io(event, &x->death, pidfd, EPOLLIN, on_death, d);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(x->death, true);
        if (r < 0)
                return r;
        (void) TAKE_FD(pidfd);
        return 0;
}

int scope_watch(struct daemon *d) {
        struct scope *x = d->scope;
        int r;

        if (!x || x->events_fd < 0)
                return 0;
        r = sd_event_add_time(
                        arbiter_get_event(d->arbiter), &x->timer, CLOCK_MONOTONIC, 0, 0, make_again, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(x->timer, SD_EVENT_OFF);
        return r < 0 ? r : watch(d);
}

int scope_stop(struct daemon *d) {
        int r = scope_request_stop(d), q = unit_sweep(d);

        return MIN(r, q);
}

void scope_done(struct daemon *d) {
        struct scope *x = d->scope;

        if (!x)
                return;
        scope_request_free(x->request);
        sd_event_source_disable_unref(x->events);
        sd_event_source_disable_unref(x->death);
        sd_event_source_disable_unref(x->timer);
        close_fd(x->events_fd);
        free(x);
        d->scope = NULL;
}
