/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd is asked to make of a child that is to be a transient unit: the properties of
 * StartTransientUnit, of its definition and of what the arbiter decides for all units. Called by
 * launch-unit.c. Must never put into them what not everybody may know: anybody can read them. */

#include <stdio.h>

#include "arbiter/internal.h"
#include "basic/fd.h"
#include "basic/hand-over.h"

static int add_log_field(arbiter_message *m, const char *key, const char *value) {
        _cleanup_free_ char *text = NULL;
        int n;

        n = asprintf(&text, "%s=%s", key, value);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return arbiter_message_append_array(m, 'y', text, (size_t) n);
}

static int open_property(arbiter_message *m, const char *name, const char *signature) {
        int r;

        r = arbiter_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = arbiter_message_append_basic(m, 's', name);
        return r < 0 ? r : arbiter_message_open_container(m, 'v', signature);
}

static int close_property(arbiter_message *m) {
        int r;

        r = arbiter_message_close_container(m);
        return r < 0 ? r : arbiter_message_close_container(m);
}

/* So that the journal finds what it prints. */
static int add_log_fields(struct child *c, arbiter_message *m) {
        char generation[16];
        int r;

        (void) snprintf(generation, sizeof(generation), "%u", c->generation);
        r = open_property(m, "LogExtraFields", "aay");
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "ay");
        if (r >= 0)
                r = add_log_field(m, "ARBITER_INSTANCE", unit_arbiter_of(c->arbiter));
        if (r >= 0)
                r = add_log_field(m, "ARBITER_AID", c->aid_string.s);
        if (r >= 0)
                r = add_log_field(m, "ARBITER_NAME", c->name);
        if (r >= 0 && unit_monitor_of(c))
                r = add_log_field(m, "ARBITER_MONITOR", unit_monitor_of(c));
        if (r >= 0)
                r = add_log_field(m, "ARBITER_GENERATION", generation);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        return r < 0 ? r : close_property(m);
}

static int add_strings(arbiter_message *m, const char *name, char *const *v) {
        int r;

        if (!v || !v[0])
                return 0;
        r = open_property(m, name, "as");
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "s");
        for (; r >= 0 && *v; v++)
                r = arbiter_message_append_basic(m, 's', *v);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        return r < 0 ? r : close_property(m);
}

/* systemd puts the values of variables in place of "$NAME"; what it is given here is what the definition has
 * made of it. (ExecStartEx= has a flag for that, and 252 writes it down so that it cannot read it again.) */
static int add_argument(arbiter_message *m, const char *s) {
        _cleanup_free_ char *escaped = malloc(2 * strlen(s) + 1);
        char *to = escaped;

        if (!escaped)
                return -ENOMEM;
        for (; *s; s++) {
                if (*s == '$')
                        *to++ = '$';
                *to++ = *s;
        }
        *to = 0;
        return arbiter_message_append_basic(m, 's', escaped);
}

static int add_command(struct child *c, arbiter_message *m) {
        const arbiter_spawn *s = c->spawn;
        const char *path = s->module_file ? c->arbiter->host_program : s->context.path;
        const char *const host_argv[] = { c->name, s->module_file, NULL };
        const char *const *argv = s->module_file ? host_argv : (const char *const *) s->context.argv;
        bool handed = s->n_listen_fds > 0;
        int r;

        r = open_property(m, "ExecStart", "a(sasb)");
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "(sasb)");
        if (r >= 0)
                r = arbiter_message_open_container(m, 'r', "sasb");
        if (r >= 0)
                r = arbiter_message_append_basic(m, 's', handed ? ARBITER_EXEC_PATH : path);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "s");
        if (r >= 0 && handed)
                r = add_argument(m, "arbiter-exec");
        if (r >= 0 && handed)
                r = add_argument(m, path);
        if (r >= 0)
                r = add_argument(m, s->process_name ? s->process_name : argv[0]);
        for (size_t i = 1; r >= 0 && argv[i]; i++)
                r = add_argument(m, argv[i]);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        if (r >= 0)
                r = arbiter_message_append(m, "b", 0);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        return r < 0 ? r : close_property(m);
}

/* What systemd says to each of its services by itself: of the arbiter's own it would be wrong. */
static bool is_of_service(const char *assignment) {
        static const char *const names[] = {
                        "ARBITER_MAILBOX=", "CACHE_DIRECTORY=", "CONFIGURATION_DIRECTORY=",
                        "CREDENTIALS_DIRECTORY=", "INVOCATION_ID=", "JOURNAL_STREAM=", "LISTEN_",
                        "LOGS_DIRECTORY=", "MAINPID=", "MANAGERPID=", "MEMORY_PRESSURE_", "NOTIFY_SOCKET=",
                        "RUNTIME_DIRECTORY=", "STATE_DIRECTORY=", "SYSTEMD_EXEC_PID=", "WATCHDOG_"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (startswith(assignment, names[i]))
                        return true;
        return false;
}

static int add_environment(arbiter_message *m, char *const *v) {
        int r;

        r = open_property(m, "Environment", "as");
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "s");
        for (; r >= 0 && v && *v; v++)
                if (!is_of_service(*v))
                        r = arbiter_message_append_basic(m, 's', *v);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        return r < 0 ? r : close_property(m);
}

static const char *const limit_names[RLIM_NLIMITS] = {
                [RLIMIT_AS] = "LimitAS",         [RLIMIT_CORE] = "LimitCORE",
                [RLIMIT_CPU] = "LimitCPU",       [RLIMIT_DATA] = "LimitDATA",
                [RLIMIT_FSIZE] = "LimitFSIZE",   [RLIMIT_LOCKS] = "LimitLOCKS",
                [RLIMIT_MEMLOCK] = "LimitMEMLOCK", [RLIMIT_MSGQUEUE] = "LimitMSGQUEUE",
                [RLIMIT_NICE] = "LimitNICE",     [RLIMIT_NOFILE] = "LimitNOFILE",
                [RLIMIT_NPROC] = "LimitNPROC",   [RLIMIT_RSS] = "LimitRSS",
                [RLIMIT_RTPRIO] = "LimitRTPRIO", [RLIMIT_RTTIME] = "LimitRTTIME",
                [RLIMIT_SIGPENDING] = "LimitSIGPENDING", [RLIMIT_STACK] = "LimitSTACK",
};

static int add_limits(const struct exec_context *x, arbiter_message *m) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < RLIM_NLIMITS; i++) {
                char soft[32];

                if (!x->limits[i].set)
                        continue;
                (void) snprintf(soft, sizeof(soft), "%sSoft", limit_names[i]);
                r = arbiter_message_append(m, "(sv)(sv)", limit_names[i], "t",
                                (uint64_t) x->limits[i].value.rlim_max, soft, "t",
                                (uint64_t) x->limits[i].value.rlim_cur);
        }
        return r;
}

/* What is so for each service of the system need not be said, and is not for nothing: for User= its process
 * tells PID 1 who that is, and that tells all who listen; "/" as directory is a dependency on its mount,
 * which has changed, then, with each start. Settings in [Service] may ask for what is said. */
static bool is_plain_service(const struct child *c) {
        return c->spawn->unit_properties.n == 0 && c->arbiter->unit_ops->is_of_system(c->arbiter->systemd);
}

static bool is_of_root(const struct exec_context *x) {
        return streq_ptr(x->user, "root") && !x->group && !x->supplementary_groups;
}

static int add_context(const struct child *c, arbiter_message *m) {
        const struct exec_context *x = &c->spawn->context;
        bool plain = is_plain_service(c);
        int r = 0;

        if (x->user && !(plain && is_of_root(x)))
                r = arbiter_message_append(m, "(sv)", "User", "s", x->user);
        if (r >= 0 && x->group)
                r = arbiter_message_append(m, "(sv)", "Group", "s", x->group);
        if (r >= 0)
                r = add_strings(m, "SupplementaryGroups", x->supplementary_groups);
        if (r >= 0)
                r = add_environment(m, x->environment);
        if (r >= 0 && x->working_directory && !(plain && streq(x->working_directory, "/")))
                r = arbiter_message_append(m, "(sv)", "WorkingDirectory", "s", x->working_directory);
        if (r >= 0 && x->has_umask)
                r = arbiter_message_append(m, "(sv)", "UMask", "u", (uint32_t) x->umask);
        if (r >= 0 && x->has_nice)
                r = arbiter_message_append(m, "(sv)", "Nice", "i", (int32_t) x->nice);
        return r < 0 ? r : add_limits(x, m);
}

static int add_output(const arbiter_spawn *s, arbiter_message *m) {
        static const char *const names[][2] = {
                        {"StandardOutput", "StandardOutputFileDescriptor"},
                        {"StandardError", "StandardErrorFileDescriptor"},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(names); i++) {
                if (s->output[i] >= 0)
                        r = arbiter_message_append(m, "(sv)", names[i][1], "h", s->output[i]);
                else
                        r = arbiter_message_append(m, "(sv)", names[i][0], "s",
                                        s->output[i] == -2 ? "null" : "journal");
        }
        return r;
}

/* Standard input is the one descriptor that systemd passes: the control link, or that which arbiter-exec
 * makes listening sockets and a control link of. In the environment there is no secret: that of a unit is
 * anybody's to read. */
static int add_input(const arbiter_spawn *s, arbiter_message *m, int mailbox) {
        _cleanup_close_ int parcel = -EBADF;
        int r;

        if (s->n_listen_fds > 0) {
                r = hand_over_send(s->listen_fds, s->n_listen_fds, s->listen_names_joined, mailbox, &parcel);
                if (r < 0)
                        return r;
                return arbiter_message_append(m, "(sv)", "StandardInputFileDescriptor", "h", parcel);
        }
        if (mailbox < 0)
                return 0;
        r = arbiter_message_append(m, "(sv)", "StandardInputFileDescriptor", "h", mailbox);
        return r < 0 ? r : arbiter_message_append(m, "(sv)", "Environment", "as", 1U, "ARBITER_MAILBOX=0");
}

static int add_service(struct child *c, arbiter_message *m) {
        const arbiter_spawn *s = c->spawn;
        bool notify = c->plain && s->exec_type == ARBITER_EXEC_NOTIFY;
        int r;

        /* An actor with a mailbox is executed, and then says by itself that it runs: a job that went on
         * until its start hook is done would keep the others from being started. */
        r = arbiter_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)",
                        "Type", "s", notify ? "notify" : "exec",
                        /* Of a program each of its processes, as where the arbiter listens itself. */
                        "NotifyAccess", "s", c->plain ? "all" : "main",
                        "Restart", "s", "no",
                        "KillSignal", "i", (int32_t) s->kill_signal,
                        "TimeoutStartUSec", "t", (uint64_t) s->start_usec,
                        "TimeoutStopUSec", "t", (uint64_t) s->stop_usec,
                        /* What fails while no arbiter is there stays until one has looked at it. */
                        "CollectMode", "s", "inactive");
        if (r >= 0 && s->watchdog_usec > 0)
                r = arbiter_message_append(m, "(sv)", "WatchdogUSec", "t", (uint64_t) s->watchdog_usec);
        /* An actor that a signal has stopped in order says so by its exit code. */
        if (r >= 0 && !c->plain)
                r = arbiter_message_append(
                                m, "(sv)", "SuccessExitStatus", "(aiai)", 1U, (int32_t) s->kill_signal, 0U);
        return r;
}

static int add_identity(struct child *c, arbiter_message *m) {
        const arbiter_spawn *s = c->spawn;
        char slice[UNIT_NAME_SIZE], text[256];
        int r;

        r = unit_slice_of(unit_arbiter_of(c->arbiter), unit_monitor_of(c), slice);
        if (r < 0)
                return r;
        (void) snprintf(text, sizeof(text), "Actor %s of arbiter (%s)", c->name,
                        unit_arbiter_of(c->arbiter));
        r = arbiter_message_append(m, "(sv)(sv)(sv)",
                        "Description", "s", s->description && *s->description ? s->description : text,
                        "Slice", "s", slice,
                        "SyslogIdentifier", "s", c->name);
        return r < 0 ? r : add_log_fields(c, m);
}

/* After ours: what the definition says of a thing that has a default wins. */
static int add_settings(const arbiter_spawn *s, arbiter_message *m) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->unit_properties.n; i++) {
                const struct unit_property *p = &s->unit_properties.items[i];

                r = open_property(m, p->name, p->signature);
                if (r >= 0)
                        r = arbiter_message_rewind(p->value, true);
                if (r >= 0)
                        r = arbiter_message_append_message(m, p->value);
                if (r >= 0)
                        r = close_property(m);
        }
        return r;
}

int unit_make_properties(struct child *c, int mailbox, arbiter_message **ret) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = add_identity(c, m);
        if (r >= 0)
                r = add_service(c, m);
        if (r >= 0)
                r = add_command(c, m);
        if (r >= 0)
                r = add_context(c, m);
        if (r >= 0)
                r = add_output(c->spawn, m);
        if (r >= 0)
                r = add_input(c->spawn, m, mailbox);
        if (r >= 0)
                r = add_settings(c->spawn, m);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        if (r >= 0)
                r = message_seal(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}
