/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiter-keeper: holds the descriptors of an arbiter, so that they outlive it, and ends when the arbiter's
 * service has ended for good. With it goes what it holds: actors see the end of their links. Whatever else
 * is left to stop is for ExecStopPost= of its service; so a new start of the arbiter waits until that is
 * done. Must never decide anything else, nor read from what it holds. */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include <arbiter/version.h>

#include "arbiter-keeper/keeper.h"
#include "arbiter-keeper/leave.h"
#include "arbiter-keeper/service-watch.h"
#include "basic/time-util.h"
#include "shared/instance.h"
#include "shared/log.h"
#include "shared/verbs.h"

#define PROGRAM "arbiter-keeper"
/* Descriptors for ourselves, and for a packet that there may be no room for. */
#define FDS_OWN (2 * KEEPER_BATCH_MAX)
#define BARRIER_USEC (5 * USEC_PER_SEC)
/* There was to be nothing to do any more, and now an arbiter starts: systemd starts another keeper, and
 * nothing is stopped. */
#define EXIT_AGAIN 75

enum { OPTION_SYSTEM = 0x100, OPTION_USER, OPTION_INSTANCE, OPTION_SOCKET, OPTION_VERSION };

static const struct option long_options[] = {
        { "system", no_argument, NULL, OPTION_SYSTEM },
        { "user", no_argument, NULL, OPTION_USER },
        { "instance", required_argument, NULL, OPTION_INSTANCE },
        { "socket", required_argument, NULL, OPTION_SOCKET },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

static const char *const option_help[][2] = {
        { "--system", "For the system's arbiter.service" },
        { "--user", "For arbiter.service of this user" },
        { "--instance=NAME", "With one of these: for arbiter@NAME.service" },
        { "--socket=PATH", "Where to listen. By default where the arbiter looks for it. Without --system "
                           "and --user: keep until SIGTERM, whatever becomes of the arbiter" },
        { "-h, --help", "Show this help" },
        { "--version", "Show the version" },
};

struct arguments {
        bool system, user;
        const char *instance, *socket;
};

static int print_help(void) {
        (void) puts(PROGRAM " OPTION...\n\nHolds the file descriptors of an arbiter, so that they outlive "
                            "it.\n\nOptions:");
        for (size_t i = 0; i < ELEMENTSOF(option_help); i++)
                help_print_line(stdout, option_help[i][0], option_help[i][1]);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* -EAGAIN: go on. Else the exit status. */
static int take_option(struct arguments *a, int option) {
        switch (option) {
        case OPTION_SYSTEM:
        case OPTION_USER:
                a->system = option == OPTION_SYSTEM;
                a->user = option == OPTION_USER;
                return -EAGAIN;
        case OPTION_INSTANCE:
                if (!instance_name_is_valid(optarg)) {
                        log_error("'%s' is no name for an instance; expected " INSTANCE_NAME_EXPECTED ".",
                                        optarg);
                        return EXIT_USAGE;
                }
                a->instance = optarg;
                return -EAGAIN;
        case OPTION_SOCKET:
                a->socket = optarg;
                return -EAGAIN;
        case 'h':
                return print_help();
        case OPTION_VERSION:
                (void) printf(PROGRAM " %s\n", ARBITER_VERSION_STRING);
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        default: /* getopt_long() has said what is wrong */
                log_error("See " PROGRAM " --help.");
                return EXIT_USAGE;
        }
}

static int parse_options(struct arguments *a, int argc, char *argv[]) {
        int option, r;

        while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
                r = take_option(a, option);
                if (r != -EAGAIN)
                        return r;
        }
        if (optind < argc)
                log_error("Unexpected argument '%s'; see " PROGRAM " --help.", argv[optind]);
        else if (!a->system && !a->user && !a->socket)
                log_error("It is started by systemd: --system or --user is missing.");
        else if (!a->system && !a->user && a->instance)
                log_error("--instance= is for a service: add --system or --user.");
        else
                return -EAGAIN;
        return EXIT_USAGE;
}

/* As many as there may be. */
static size_t raise_nofile(void) {
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) < 0)
                return FDS_OWN;
        l.rlim_cur = l.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &l) < 0 && getrlimit(RLIMIT_NOFILE, &l) < 0)
                return FDS_OWN;
        return l.rlim_cur > 2 * FDS_OWN ? l.rlim_cur - FDS_OWN : FDS_OWN;
}

/* From what systemd has heard this on, a start of the arbiter waits until we have ended, and what is left is
 * stopped. One that was asked for before does not. */
static void on_settled(void *userdata) {
        int r;

        (void) sd_notify(false, "STOPPING=1");
        r = sd_notify_barrier(false, BARRIER_USEC);
        if (r < 0)
                log_warning_errno(r, "systemd has not said that it has heard of our end: %m");
}

static void on_confirmed(bool still, void *userdata) {
        struct keeper *k = userdata;

        if (still)
                log_info("%s has ended, and is not about to be started again: %zu descriptors are closed.",
                                k->service, table_size(&k->table));
        else
                log_info("%s is being started: its next keeper will be another one.", k->service);
        (void) sd_event_exit(k->event, still ? 0 : EXIT_AGAIN);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        return sd_event_exit(userdata, 0);
}

static int handle_signals(sd_event *event) {
        static const int signals[] = { SIGTERM, SIGINT };
        sigset_t set;
        int r = 0;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return negative_errno();
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(event, NULL, signals[i], on_signal, event);
        return r;
}

/* Beside the socket. */
static void leave(const struct arguments *a, const struct keeper *k, const char *socket) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = instance_keeper_units(socket, &path);
        if (r >= 0)
                r = leave_units(&k->table, a->user, path);
        if (r < 0)
                log_warning_errno(r, "Cannot say which units are left: %m");
}

static int run(const struct arguments *a, const char *service, const char *path) {
        static const struct service_watch_events events = { on_settled, on_confirmed };
        _cleanup_(service_watch_freep) struct service_watch *watch = NULL;
        _cleanup_(keeper_freep) struct keeper *k = NULL;
        int r;

        r = keeper_new(path, service, raise_nofile(), &k);
        if (r < 0)
                return log_error_errno(r, "Cannot listen on %s: %m", path);
        r = handle_signals(k->event);
        if (r >= 0) /* one that hangs gives nothing back: another one comes, which is given all anew */
                r = sd_event_set_watchdog(k->event, true);
        if (r >= 0 && service)
                r = service_watch_new(k->event, service, a->user, &events, k, &watch);
        if (r >= 0)
                (void) sd_notify(false, "READY=1");
        if (r >= 0)
                r = sd_event_loop(k->event);
        if (r == 0 && service)
                leave(a, k, path);
        return r < 0 ? log_error_errno(r, "It has failed: %m") : r;
}

int main(int argc, char *argv[]) {
        _cleanup_free_ char *service = NULL, *path = NULL;
        struct arguments a = {};
        int r;

        log_open(PROGRAM);
        r = parse_options(&a, argc, argv);
        if (r != -EAGAIN)
                return r;
        r = 0;
        if (a.system || a.user) {
                const char *instance = a.instance ?: (a.system ? INSTANCE_SYSTEM : INSTANCE_USER);

                r = instance_service_name(instance, &service);
                if (r >= 0 && !a.socket)
                        r = instance_keeper_socket(instance, a.system, &path);
        }
        if (r == -ENXIO)
                log_error("Where to listen? $XDG_RUNTIME_DIR is not set; name a path with --socket=PATH.");
        else if (r < 0)
                log_error_errno(r, "It cannot start: %m");
        if (r >= 0)
                r = run(&a, service, a.socket ?: path);
        return r < 0 ? EXIT_FAILURE : r;
}
