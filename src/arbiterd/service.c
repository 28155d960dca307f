/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What arbiterd does beyond its arbiter when a service manager runs it: instances, passed sockets, the
 * scope. Called by main.c, in the order of service.h. Must not be needed: each step that fails leaves an
 * arbiter that works. */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "arbiterd/daemon.h"
#include "arbiterd/listener.h"
#include "arbiterd/notify.h"
#include "arbiterd/output.h"
#include "arbiterd/scope.h"
#include "arbiterd/service.h"
#include "arbiterd/takeover.h"
#include "basic/fd.h"
#include "basic/pidfd.h"
#include "shared/instance.h"
#include "shared/log.h"
#include "shared/strv.h"
#include "shared/verbs.h"

#define FD_METRICS "metrics"
#define KEPT_HOLDER "holder"
#define KEPT_HOLDER_PIDFD "holder-pid"

/* Options. */

int service_set_instance(struct daemon *d, const char *name) {
        if (!instance_name_is_valid(name)) {
                log_error("'%s' is no name for an instance; expected " INSTANCE_NAME_EXPECTED
                          ". A name with - is written as it is, not escaped.",
                                name);
                return -EINVAL;
        }
        free(d->instance);
        d->instance = strdup(name);
        return d->instance ? 0 : -ENOMEM;
}

int service_check_options(struct daemon *d) {
        if (d->mode == DAEMON_STANDALONE && d->instance) {
                log_error("--instance= is for a service: add --system or --user.");
                return EXIT_USAGE;
        }
        if (d->mode == DAEMON_STANDALONE && d->stop_actors) {
                log_error("--stop-actors is for a service: add --system or --user.");
                return EXIT_USAGE;
        }
        if (d->if_abandoned && !d->stop_actors) {
                log_error("--if-abandoned goes with --stop-actors.");
                return EXIT_USAGE;
        }
        if (d->mode != DAEMON_STANDALONE && !d->instance) {
                d->instance = strdup(d->mode == DAEMON_SYSTEM ? INSTANCE_SYSTEM : INSTANCE_USER);
                if (!d->instance)
                        return EXIT_FAILURE;
        }
        return 0;
}

/* Sockets. */

static bool take_fd(struct daemon *d, const char *name, int fd) {
        const struct {
                const char *name;
                int *fd;
        } known[] = {
                { FD_METRICS, &d->metrics_fd },
                { NOTIFY_STORE_KEEPER, &d->keeper_fd },
                { NOTIFY_STORE_STATE, &d->state_fd },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(name, known[i].name) && *known[i].fd < 0) {
                        *known[i].fd = fd;
                        return true;
                }
        return false;
}

/* What comes out of the fd store has successors of its own. */
static void note_given(struct daemon *d, const char *name, int fd) {
        struct given_fd g;

        if (!d->given || streq(name, NOTIFY_STORE_KEEPER) || streq(name, NOTIFY_STORE_STATE))
                return;
        g = (struct given_fd){ .name = strdup(name), .fd = fd_duplicate(fd) };
        if (g.name)
                d->given[d->n_given++] = g;
}

int service_take_fds(struct daemon *d) {
        char **names = NULL;
        int n;

        n = sd_listen_fds_with_names(true, &names);
        if (n < 0)
                return log_error_errno(n, "Cannot take the sockets that systemd passed: %m");
        d->given = n > 0 ? calloc((size_t) n, sizeof(*d->given)) : NULL;
        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                note_given(d, names[i], fd);
                if (!take_fd(d, names[i], fd) && listeners_pass(d, names[i], fd) < 0)
                        close_fd(fd);
        }
        strv_free(names);
        return 0;
}

static int listen_bus(struct daemon *d) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = instance_bus_name(d->instance, &name);
        return r < 0 ? r
                     : arbiter_listen_bus(d->arbiter,
                                       d->mode == DAEMON_SYSTEM ? ARBITER_BUS_SYSTEM : ARBITER_BUS_USER,
                                       name);
}

/* The manager whose service we are makes units of actors, too. */
int service_use_systemd(struct daemon *d) {
        if (d->mode == DAEMON_STANDALONE)
                return 0;
        return arbiter_use_systemd(
                        d->arbiter, d->mode == DAEMON_SYSTEM ? ARBITER_BUS_SYSTEM : ARBITER_BUS_USER);
}

/* org.freedesktop.LogControl1: systemctl service-log-level arbiter.service debug. A level that was set so
 * outlasts a reload, as one of the command line does. */

static int get_log_level(void *userdata) {
        return log_get_level();
}

static int set_log_level(int level, void *userdata) {
        struct daemon *d = userdata;

        d->log_level = level;
        log_set_level(level);
        return 0;
}

static const char *get_log_target(void *userdata) {
        return log_get_target();
}

static int set_log_target(const char *target, void *userdata) {
        return log_set_target(target);
}

static int set_log_control(struct daemon *d) {
        static const arbiter_log_control control = {
                .size = sizeof(control),
                .get_level = get_log_level,
                .set_level = set_log_level,
                .get_target = get_log_target,
                .set_target = set_log_target,
                .identifier = "arbiterd",
        };

        return arbiter_set_log_control(d->arbiter, &control, d);
}

void service_listen(struct daemon *d) {
        int r;

        r = set_log_control(d);
        if (r < 0)
                log_warning_errno(r, "The log cannot be controlled by D-Bus: %m");

        r = scope_watch(d);
        if (r < 0)
                log_warning_errno(r, "The scope of the actors cannot be watched: %m");
        if (d->mode != DAEMON_STANDALONE) {
                r = listen_bus(d);
                if (r < 0)
                        log_warning_errno(r, "There is no service on the bus: %m");
        }
        if (d->metrics_fd >= 0) {
                r = arbiter_listen_metrics(d->arbiter, d->metrics_fd);
                if (r >= 0)
                        d->metrics_fd = -EBADF; /* taken over */
                else
                        log_warning_errno(r, "The socket for metrics cannot be served: %m");
        }
}

/* The scope. */

/* Where the output of actors does not go to the journal there is no arbiter-logger to keep the scope
 * while there are no actors in it: this does, and ends with us. */
static _noreturn_ void hold(int fd) {
        sigset_t none;
        char c;

        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        /* Whoever is at the other end of what the arbiter has open must see when the arbiter closes it. */
        if (fd > STDERR_FILENO + 1)
                (void) close_range(STDERR_FILENO + 1, (unsigned) fd - 1, 0);
        (void) close_range((unsigned) fd + 1, UINT_MAX, 0);
        (void) prctl(PR_SET_NAME, "arbiter-holder");
        while (read(fd, &c, 1) < 0 && errno == EINTR)
                ;
        _exit(EXIT_SUCCESS);
}

static void stop_holder(struct daemon *d, int options) {
        if (d->holder_fd >= 0) {
                takeover_keep(d, KEPT_HOLDER, -1);
                takeover_keep(d, KEPT_HOLDER_PIDFD, -1);
                d->holder_fd = close_fd(d->holder_fd);
                /* the arbiter may have reaped it: it is a subreaper */
                (void) waitpid(d->holder, NULL, options);
        }
        d->holder = 0;
}

static void keep_holder(struct daemon *d) {
        _cleanup_close_ int pidfd = pidfd_open_pid(d->holder); /* our child, and not reaped */

        if (pidfd < 0)
                return;
        takeover_keep(d, KEPT_HOLDER, d->holder_fd);
        takeover_keep(d, KEPT_HOLDER_PIDFD, pidfd);
}

int service_start_holder(struct daemon *d) {
        int fds[2];
        pid_t pid;

        stop_holder(d, WNOHANG); /* it may be stopped or frozen, and the arbiter reaps it */
        if (output_wants_journal() && output_start(d, &d->holder) >= 0)
                return 0;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return negative_errno();
        pid = fork();
        if (pid == 0) {
                close_fd(fds[1]);
                hold(fds[0]);
        }
        close_fd(fds[0]);
        if (pid < 0) {
                close_fd(fds[1]);
                return negative_errno();
        }
        d->holder_fd = fds[1];
        d->holder = pid;
        keep_holder(d);
        return 0;
}

/* That of the arbiter before us. */
static int take_over_holder(struct daemon *d) {
        _cleanup_close_ int fd = -EBADF, pidfd = -EBADF;
        int r;

        r = output_take_over(d, &d->holder);
        if (r >= 0)
                return 0;
        fd = takeover_get(d, KEPT_HOLDER);
        pidfd = takeover_get(d, KEPT_HOLDER_PIDFD);
        if (fd < 0 || pidfd < 0)
                return -ENOENT;
        r = pidfd_get_pid(pidfd, &d->holder);
        if (r >= 0)
                r = pidfd_signal(pidfd, 0);
        if (r >= 0)
                d->holder_fd = TAKE_FD(fd);
        return r;
}

int service_make_scope(struct daemon *d) {
        int r;

        if (d->mode == DAEMON_STANDALONE || d->cgroup)
                return 0;
        if (d->takes_over && take_over_holder(d) >= 0 && scope_take_over(d, d->holder) >= 0)
                return 0;
        r = service_start_holder(d);
        if (r < 0)
                return log_error_errno(r, "Cannot start a process to hold the scope of the actors: %m");
        r = scope_make(d, d->holder);
        if (r != 0)
                stop_holder(d, 0);
        return MIN(r, 0);
}

void service_done(struct daemon *d) {
        stop_holder(d, 0);
        d->metrics_fd = close_fd(d->metrics_fd);
        for (size_t i = 0; i < d->n_given; i++) {
                close_fd(d->given[i].fd);
                free(d->given[i].name);
        }
        free(d->given);
        d->given = NULL;
        d->keeper_fd = close_fd(d->keeper_fd);
        d->state_fd = close_fd(d->state_fd);
}
