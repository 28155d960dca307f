/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterd: an arbiter that runs what the configuration says, in the foreground: as a service of systemd,
 * or with neither systemd nor a bus. Here are the options, the order of the start, and the end. Exit
 * status: 0 done; 1 something unexpected; 2 usage, configuration, or another one runs already. */

#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/generation.h"
#include "arbiterd/journal.h"
#include "arbiterd/leave.h"
#include "arbiterd/listener.h"
#include "arbiterd/notify.h"
#include "arbiterd/output.h"
#include "arbiterd/pid-file.h"
#include "arbiterd/plan.h"
#include "arbiterd/scope.h"
#include "arbiterd/service.h"
#include "arbiterd/takeover.h"
#include "basic/fd.h"
#include "basic/text.h"
#include "shared/config-dirs.h"
#include "shared/instance.h"
#include "shared/log.h"
#include "shared/strv.h"
#include "shared/verbs.h"

#define PROGRAM "arbiterd"

enum {
        OPTION_SYSTEM = 0x100,
        OPTION_USER,
        OPTION_INSTANCE,
        OPTION_RUNTIME_DIR,
        OPTION_CONFIG_DIR,
        OPTION_LOG_LEVEL,
        OPTION_CGROUP,
        OPTION_HOST_PROGRAM,
        OPTION_LOGGER_PROGRAM,
        OPTION_CHECK,
        OPTION_STOP_ACTORS,
        OPTION_IF_ABANDONED,
        OPTION_CHECK_STATE,
        OPTION_VERSION
};

static const struct option long_options[] = {
        { "system", no_argument, NULL, OPTION_SYSTEM },
        { "user", no_argument, NULL, OPTION_USER },
        { "instance", required_argument, NULL, OPTION_INSTANCE },
        { "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
        { "config-dir", required_argument, NULL, OPTION_CONFIG_DIR },
        { "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
        { "cgroup", required_argument, NULL, OPTION_CGROUP },
        { "host-program", required_argument, NULL, OPTION_HOST_PROGRAM },
        { "logger-program", required_argument, NULL, OPTION_LOGGER_PROGRAM },
        { "check", no_argument, NULL, OPTION_CHECK },
        { "stop-actors", no_argument, NULL, OPTION_STOP_ACTORS },
        { "if-abandoned", no_argument, NULL, OPTION_IF_ABANDONED },
        { "check-state", no_argument, NULL, OPTION_CHECK_STATE },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

static const char *const option_help[][2] = {
        { "--system", "Be the arbiter of the system, as arbiter.service: on the system bus, with the actors "
                      "in a scope of their own. Without --system and --user: stand alone" },
        { "--user", "Be the arbiter of this user, as the user's arbiter.service" },
        { "--instance=NAME", "With one of these: be arbiter@NAME.service" },
        { "--runtime-dir=DIR", "Directory for its sockets; made if missing. By default "
                               "$ARBITER_RUNTIME_DIR, else /run/arbiter for root, else "
                               "$XDG_RUNTIME_DIR/arbiter; of an instance arbiter-NAME there" },
        { "--config-dir=DIR", "Read NAME.monitor, NAME.actor and arbiterd.conf from there; may be "
                              "given several times, "
                              "earlier wins. By default /etc/arbiter and so on" },
        { "--log-level=LEVEL", "emerg, alert, crit, err, warning, notice, info or debug; wins over "
                               "LogLevel=" },
        { "--cgroup=DIR", "A delegated cgroup v2 directory, for a leaf of each process. By default "
                          "the scope; standing alone its own, if that is delegated" },
        { "--host-program=PATH", "The program that loads modules. By default arbiter-host as installed" },
        { "--logger-program=PATH", "The program that takes the output of actors to the journal. By default "
                                   "arbiter-logger as installed" },
        { "--check", "Check the configuration and exit" },
        { "--stop-actors", "Stop the actors that an arbiter which has died left in its scope, and exit" },
        { "--if-abandoned", "With --stop-actors: only if the service was to stop, or nobody keeps them for "
                            "another arbiter" },
        { "--check-state", "Say whether the state of an arbiter, on stdin, can be taken over, and exit" },
        { "-h, --help", "Show this help" },
        { "--version", "Show the version" },
};

static int print_help(void) {
        (void) puts(PROGRAM " [OPTION...]\n\nRuns actors as the configuration says, in the "
                           "foreground.\n\nOptions:");
        for (size_t i = 0; i < ELEMENTSOF(option_help); i++)
                help_print_line(stdout, option_help[i][0], option_help[i][1]);
        (void) puts("\nSIGTERM and SIGINT stop everything in order, SIGHUP reads the configuration\nagain. "
                   "arbiterctl talks to "
                   "it.");
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int out_of_memory(void) {
        log_error("Out of memory.");
        return EXIT_FAILURE;
}

static char *absolute_path(const char *path) {
        _cleanup_free_ char *cwd = NULL;
        char *joined;

        if (*path == '/')
                return strdup(path);
        cwd = getcwd(NULL, 0);
        return cwd && asprintf(&joined, "%s/%s", cwd, path) >= 0 ? joined : NULL;
}

static int set_path(char **p, const char *value) {
        free(*p);
        *p = absolute_path(value);
        return *p ? 0 : -ENOMEM;
}

/* -EAGAIN: go on. Else the exit status. */
static int take_option(struct daemon *d, int option) {
        int r = 0;

        switch (option) {
        case OPTION_SYSTEM:
                d->mode = DAEMON_SYSTEM;
                break;
        case OPTION_USER:
                d->mode = DAEMON_USER;
                break;
        case OPTION_INSTANCE:
                r = service_set_instance(d, optarg);
                if (r == -EINVAL)
                        return EXIT_USAGE;
                break;
        case OPTION_RUNTIME_DIR:
                r = set_path(&d->runtime_directory, optarg);
                break;
        case OPTION_CONFIG_DIR:
                d->directories_given = true;
                r = strv_take(&d->directories, absolute_path(optarg));
                break;
        case OPTION_LOG_LEVEL:
                d->log_level = log_level_from_string(optarg);
                if (d->log_level < 0) {
                        log_error("'%s' is no log level; expected emerg, alert, crit, err, warning, notice, "
                                  "info or debug.",
                                        optarg);
                        return EXIT_USAGE;
                }
                log_set_level(d->log_level);
                break;
        case OPTION_CGROUP:
                r = set_path(&d->cgroup, optarg);
                break;
        case OPTION_HOST_PROGRAM:
                r = set_path(&d->host_program, optarg);
                break;
        case OPTION_LOGGER_PROGRAM:
                r = set_path(&d->logger_program, optarg);
                break;
        case OPTION_CHECK:
                d->check = true;
                break;
        case OPTION_STOP_ACTORS:
                d->stop_actors = true;
                break;
        case OPTION_IF_ABANDONED:
                d->if_abandoned = true;
                break;
        case OPTION_CHECK_STATE:
                d->check_state = true;
                break;
        case 'h':
                return print_help();
        case OPTION_VERSION:
                (void) printf(PROGRAM " %s\n", arbiter_version());
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        default: /* getopt_long() has said what is wrong */
                log_error("See " PROGRAM " --help.");
                return EXIT_USAGE;
        }
        return r < 0 ? out_of_memory() : -EAGAIN;
}

static int parse_options(struct daemon *d, int argc, char *argv[]) {
        int option, r;

        while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
                r = take_option(d, option);
                if (r != -EAGAIN)
                        return r;
        }
        if (optind < argc) {
                log_error("Unexpected argument '%s'; see " PROGRAM " --help.", argv[optind]);
                return EXIT_USAGE;
        }
        r = service_check_options(d);
        return r == 0 ? -EAGAIN : r;
}

/* As systemd has called it, for what it was then may be a link to another one now. */
static int find_program(struct daemon *d) {
        char path[PATH_MAX];
        ssize_t n;

        if (d->arguments[0][0] == '/') {
                d->program = strdup(d->arguments[0]);
                return d->program ? 0 : -ENOMEM;
        }
        n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        if (n < 0)
                return negative_errno();
        path[n] = 0;
        d->program = strdup(path);
        return d->program ? 0 : -ENOMEM;
}

static int find_home(struct daemon *d) {
        const char *e = getenv("HOME");
        struct passwd *pw = e && *e == '/' ? NULL : getpwuid(geteuid());

        d->home = strdup(e && *e == '/' ? e : pw ? pw->pw_dir : "/");
        return d->home ? 0 : -ENOMEM;
}

/* What systemd or a supervisor told us alone is not for workers. */
static int find_environment(struct daemon *d) {
        static const char *const ours[] = { "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_",
                "INVOCATION_ID=", "MAINPID=", "ARBITER_", "SYSTEMD_EXEC_PID=", "CREDENTIALS_DIRECTORY=",
                "CONFIGURATION_DIRECTORY=", "RUNTIME_DIRECTORY=" };
        int r;

        for (char **e = environ; *e; e++) {
                bool leave = false;

                for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                        leave = leave || startswith(*e, ours[i]);
                if (leave || !strchr(*e, '='))
                        continue;
                r = strv_add(&d->environment, *e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool is_system(const struct daemon *d) {
        return d->mode == DAEMON_SYSTEM || (d->mode == DAEMON_STANDALONE && geteuid() == 0);
}

static int find_runtime_directory(struct daemon *d) {
        const char *e = getenv("ARBITER_RUNTIME_DIR");
        int r;

        if (d->runtime_directory)
                return 0;
        if (e && *e) {
                d->runtime_directory = absolute_path(e);
                return d->runtime_directory ? 0 : out_of_memory();
        }
        r = instance_runtime_directory(d->instance ?: INSTANCE_SYSTEM, is_system(d), &d->runtime_directory);
        if (r == -ENXIO) {
                log_error("Where to run? $XDG_RUNTIME_DIR is not set; name a directory with "
                          "--runtime-dir=DIR.");
                return EXIT_USAGE;
        }
        return r < 0 ? out_of_memory() : 0;
}

static int find_out(struct daemon *d) {
        const char *instance = d->instance && !instance_is_main(d->instance) ? d->instance : NULL;
        int r;

        r = find_runtime_directory(d);
        if (r != 0)
                return r;
        d->options.require_user = geteuid() == 0 && d->mode != DAEMON_USER;
        d->options.own_user = d->mode == DAEMON_USER;
        d->options.check_programs = d->check;
        if (!d->directories_given && config_directories(is_system(d), instance, &d->directories) < 0)
                return out_of_memory();
        return find_program(d) < 0 || find_home(d) < 0 || find_environment(d) < 0 ? out_of_memory() : 0;
}

/* Configuration, before anything is touched. */

static bool any_directory(const struct daemon *d) {
        STRV_FOREACH(i, d->directories)
        if (access(*i, F_OK) == 0)
                return true;
        return false;
}

static int load(struct daemon *d, struct config **ret) {
        struct config *c;
        int r;

        r = daemon_load(d, &c);
        if (r < 0)
                return out_of_memory();
        if (d->log_level < 0 && c->daemon.log_level >= 0)
                log_set_level(c->daemon.log_level);
        if (d->directories_given && !any_directory(d)) {
                log_error("There is no directory %s: nothing to run. Make it and put NAME.monitor or "
                          "NAME.actor files there, or "
                          "name another one with --config-dir=DIR.",
                                d->directories[0]);
                config_free(c);
                return EXIT_USAGE;
        }
        *ret = c;
        return 0;
}

static const char *plural(size_t n) {
        return n == 1 ? "" : "s";
}

static int check(struct daemon *d, struct config *c) {
        size_t n_failed = strv_length(c->failed);

        if (n_failed == 0)
                log_info("The configuration is good: %zu monitor%s, %zu lone actor%s.", c->n_monitors,
                                plural(c->n_monitors), c->n_actors, plural(c->n_actors));
        else
                log_error("%zu file%s of the configuration cannot be used.", n_failed, plural(n_failed));
        return n_failed == 0 ? EXIT_SUCCESS : EXIT_USAGE;
}

/* The place. */

static int make_runtime_directory(const char *path) {
        struct stat st;

        if (mkdir(path, 0711) < 0 && errno != EEXIST)
                return log_error_errno(errno, "Cannot make the runtime directory %s: %m", path);
        if (stat(path, &st) < 0)
                return log_error_errno(errno, "Cannot use the runtime directory %s: %m", path);
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
                return log_error_errno(-EPERM,
                                "%s is no directory of ours; name another one with --runtime-dir=DIR.",
                                path);
        return 0;
}

static int take_lock(struct daemon *d, struct pid_file *lock) {
        _cleanup_free_ char *path = NULL;
        pid_t pid = 0;
        int r;

        r = make_runtime_directory(d->runtime_directory);
        if (r < 0)
                return EXIT_FAILURE;
        if (asprintf(&path, "%s/lock", d->runtime_directory) < 0) {
                path = NULL;
                return out_of_memory();
        }
        r = pid_file_take(path, lock, &pid);
        if (r == -EBUSY && d->stop_actors && getenv("SERVICE_RESULT")) {
                log_info("The arbiter runs: its actors are left alone."); /* only its keeper was stopped */
                return EXIT_USAGE;
        }
        if (r == -EBUSY) {
                log_error("An arbiter runs in %s already (PID %d); stop it first, or name another directory "
                          "with "
                          "--runtime-dir=DIR.",
                                d->runtime_directory, (int) pid);
                return EXIT_USAGE;
        }
        if (r < 0) {
                log_error_errno(r, "Cannot lock %s: %m", path);
                return EXIT_FAILURE;
        }
        return 0;
}

static int take_pid_file(const char *path, struct pid_file *p) {
        pid_t pid = 0;
        int r;

        if (!path)
                return 0;
        r = pid_file_take(path, p, &pid);
        if (r >= 0)
                return 0;
        if (r == -EBUSY)
                log_error("Already running on PID %d (pid file '%s')", (int) pid, path);
        else
                log_error_errno(r, "Cannot write the pid file '%s': %m", path);
        return EXIT_USAGE;
}

/* ps and top show it. The kernel reads the arguments where it has put them: what does not fit there is
 * cut. */
static void set_process_name(const char *name, char *arguments, size_t room) {
        size_t n;

        if (!name)
                return;
        n = MIN(strlen(name), room);
        memcpy(arguments, name, n);
        memset(arguments + n, 0, room - n);
        (void) prctl(PR_SET_NAME, name);
}

/* Running. */

static void on_log(const arbiter_log_entry *e, void *userdata) {
        journal_log_entry(e);
        takeover_log_entry(userdata, e);
        notify_log_entry(userdata, e);
        generations_log_entry(userdata, e);
        listeners_log_entry(userdata, e);
}

static int on_reload_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        struct daemon *d = userdata;

        (void) arbiter_reload(d->arbiter, NULL); /* what is wrong has been logged */
        return 0;
}

static int block_signals(void) {
        sigset_t set;

        (void) signal(SIGPIPE, SIG_IGN); /* of whoever reads our log */
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? negative_errno() : 0;
}

/* Three descriptors an actor. Workers get the limit as it was: the arbiter keeps it in mind from
 * arbiter_new() on. */
static void raise_nofile(struct daemon *d) {
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) < 0)
                return;
        d->nofile = l;
        if (l.rlim_cur < l.rlim_max) {
                l.rlim_cur = l.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &l);
        }
}

static int set_up(struct daemon *d) {
        int r;

        r = arbiter_new(NULL, NULL, &d->arbiter);
        if (r < 0)
                return r;
        raise_nofile(d);
        r = journal_attach(d);
        if (r >= 0)
                r = arbiter_set_log_handler(d->arbiter, on_log, d);
        if (r >= 0)
                r = arbiter_set_runtime_directory(d->arbiter, d->runtime_directory);
        if (r >= 0 && d->instance)
                r = arbiter_set_instance(d->arbiter, d->instance);
        if (r >= 0)
                r = service_use_systemd(d);
        if (r >= 0)
                r = takeover_begin(d);
        if (r >= 0)
                listeners_recall(d);
        if (r >= 0)
                r = service_make_scope(d);
        if (r >= 0 && d->cgroup)
                r = arbiter_set_cgroup(d->arbiter, d->cgroup);
        if (r >= 0 && output_wants_journal())
                (void) output_start(d, NULL);
        if (r >= 0 && d->host_program)
                r = arbiter_set_host_program(d->arbiter, d->host_program);
        if (r >= 0)
                r = arbiter_set_subreaper(d->arbiter, true);
        if (r >= 0)
                r = notify_attach(d);
        if (r >= 0)
                r = arbiter_set_reload_handler(d->arbiter, daemon_reload, d);
        if (r >= 0)
                r = arbiter_set_plan_handler(d->arbiter, daemon_plan, d);
        if (r >= 0)
                r = arbiter_set_start_handler(d->arbiter, daemon_start_stopped, d);
        if (r >= 0)
                r = arbiter_set_reload_monitor_handler(d->arbiter, daemon_reload_monitor, d);
        if (r >= 0)
                r = sd_event_add_signal(arbiter_get_event(d->arbiter), NULL, SIGHUP, on_reload_signal, d);
        if (r >= 0)
                r = leave_attach(d);
        if (r >= 0)
                r = takeover_hand_over(d);
        return r >= 0 ? arbiter_start(d->arbiter) : r;
}

static int fail(struct daemon *d, int error, const char *format, ...) _printf_(3, 4);
static int fail(struct daemon *d, int error, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        errno = abs(error);
        va_start(ap, format);
        text = text_formatv(format, ap);
        va_end(ap);
        if (!text)
                return out_of_memory();
        log_error("%s", text);
        notify_failed(d, error, text);
        return EXIT_FAILURE;
}

/* Whoever has the lock is the only one here: a socket that is there is of an arbiter that has died, even if
 * somebody still listens, a child that it had forked and that is on its way to its program. */
static int remove_private_socket(const struct daemon *d) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/private", d->runtime_directory) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return unlink(path) < 0 && errno != ENOENT ? negative_errno() : 0;
}

static int listen_all(struct daemon *d) {
        int r;

        r = remove_private_socket(d);
        if (r >= 0)
                r = arbiter_listen_private(d->arbiter, NULL);
        if (r < 0)
                return fail(d, r, "Cannot listen on %s/private: %m", d->runtime_directory);
        service_listen(d);
        return 0;
}

/* Takes c over. */
static int open_up(struct daemon *d, struct config *c) {
        int r;

        r = set_up(d);
        if (r < 0) {
                config_free(c);
                return r == -ECANCELED ? r : fail(d, r, "Cannot start: %m");
        }
        r = d->takes_over ? 0 : listen_all(d);
        if (r != 0) {
                config_free(c);
                return r;
        }
        notify_starting(d, "Starting the actors", 0);
        r = daemon_apply(d, c);
        if (r >= 0)
                r = takeover_finish(d);
        if (r < 0)
                return fail(d, r, "Cannot apply the configuration: %m");
        listeners_settle(d);
        r = takeover_settle(d);
        if (leave_is_due(d, r))
                leave_now(d);
        if (r < 0)
                return fail(d, r, "The event loop has failed: %m");
        return d->takes_over ? listen_all(d) : 0;
}

static int run(struct daemon *d, struct config *c) {
        int r;

        r = open_up(d, c);
        if (r == -ECANCELED) {
                log_info("Stopped before anything was started.");
                return EXIT_SUCCESS;
        }
        if (r != 0)
                return r;
        log_info("%zu monitor%s and %zu lone actor%s in %s.", d->config->n_monitors,
                        plural(d->config->n_monitors), d->config->n_actors, plural(d->config->n_actors),
                        d->runtime_directory);
        notify_ready(d);
        r = arbiter_run(d->arbiter, false);
        if (leave_is_due(d, r)) {
                listeners_note(d);
                leave_now(d);
        }
        notify_stopping(d);
        return r < 0 ? fail(d, r, "The event loop has failed: %m") : r;
}

/* Of an arbiter that has died, not of one that runs. Where there is no runtime directory none does; and none
 * is left behind. */
static int stop_actors(struct daemon *d) {
        const char *result = getenv("SERVICE_RESULT");
        struct pid_file lock = PID_FILE_INIT;
        int r;

        /* ExecStopPost= of a keeper that has died: systemd starts it again, and that one looks anew. */
        if (!d->if_abandoned && result && !streq(result, "success"))
                return EXIT_SUCCESS;
        if (d->if_abandoned && !leave_is_for_good(d))
                return EXIT_SUCCESS;
        r = find_runtime_directory(d);
        if (r == 0 && access(d->runtime_directory, F_OK) == 0)
                r = take_lock(d, &lock);
        if (r == 0)
                r = scope_stop(d) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        pid_file_done(&lock);
        return r;
}

static int start(struct daemon *d, char *arguments, size_t room) {
        struct pid_file lock = PID_FILE_INIT, pid_file = PID_FILE_INIT;
        struct config *c = NULL;
        int r;

        journal_set_instance(d->instance);
        if (d->check_state)
                return reexecute_answer();
        if (d->stop_actors)
                return stop_actors(d);
        if (service_take_fds(d) < 0)
                return EXIT_FAILURE;
        r = find_out(d);
        if (r == 0)
                r = load(d, &c);
        if (r != 0)
                return r;
        if (d->check) {
                r = check(d, c);
                config_free(c);
                return r;
        }
        r = take_lock(d, &lock);
        if (r == 0)
                r = take_pid_file(c->daemon.pid_file, &pid_file);
        if (r == 0) {
                set_process_name(c->daemon.process_name, arguments, room);
                r = run(d, c);
        } else
                config_free(c);
        if (takeover_is_due(d)) {
                journal_close();
                _exit(r);
        }
        notify_done(d);
        leave_done(d);
        scope_done(d);
        d->arbiter = arbiter_unref(d->arbiter);
        output_done(d);
        journal_detach();
        service_done(d);
        listeners_done(d);
        generations_done(d);
        takeover_done(d);
        pid_file_done(&pid_file);
        pid_file_done(&lock);
        return r;
}

int main(int argc, char *argv[]) {
        struct daemon d = { .log_level = -1, .holder_fd = -EBADF, .metrics_fd = -EBADF, .keeper_fd = -EBADF,
                .state_fd = -EBADF };
        /* Before getopt_long() changes their order. */
        size_t room = argc > 0 ? (size_t) (argv[argc - 1] - argv[0]) + strlen(argv[argc - 1]) : 0;
        int r;

        log_open(PROGRAM);
        journal_open();
        if (strv_copy(argv, &d.arguments) < 0)
                return out_of_memory();
        r = parse_options(&d, argc, argv);
        if (r == -EAGAIN) {
                r = block_signals();
                r = r < 0 ? EXIT_FAILURE : start(&d, argv[0], room);
        }
        config_free(d.config);
        strv_free(d.directories);
        strv_free(d.environment);
        strv_free(d.arguments);
        strv_free(d.leaving);
        strv_free(d.unstarted);
        strv_free(d.waiting);
        strv_free(d.failed_files);
        free(d.instance);
        free(d.no_scope);
        free(d.complaints);
        free(d.runtime_directory);
        free(d.home);
        free(d.program);
        free(d.cgroup);
        free(d.host_program);
        free(d.logger_program);
        journal_close();
        return r;
}
