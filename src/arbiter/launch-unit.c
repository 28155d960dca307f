/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child as a unit of systemd (Concurrency=unit): what is asked for, and what becomes of the child when
 * systemd tells how its unit fares. Called by child.c and by src/bus/systemd.c, through units.h. Who lives
 * and who dies is systemd's word alone: a pidfd is kept to show and to signal the main process, never to
 * decide. Must never wait for systemd. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/statfs.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"
#include "basic/hand-over.h"
#include "basic/pidfd.h"

#define HIERARCHY "/sys/fs/cgroup"
#define CGROUP_FILE_MAX 4096

static const char *monitor_of(const struct child *c) {
        return c->set && c->set->monitor ? c->set->monitor->name : NULL;
}

static const char *instance_of(const arbiter *a) {
        return a->instance ? a->instance : "";
}

/* What it is asked for with. */

static int add_log_field(arbiter_message *m, const char *key, const char *value) {
        _cleanup_free_ char *text = NULL;
        int n;

        n = asprintf(&text, "%s=%s", key, value);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return arbiter_message_append_array(m, 'y', text, (size_t)n);
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
                r = add_log_field(m, "ARBITER_INSTANCE", instance_of(c->arbiter));
        if (r >= 0)
                r = add_log_field(m, "ARBITER_AID", c->aid_string.s);
        if (r >= 0)
                r = add_log_field(m, "ARBITER_NAME", c->name);
        if (r >= 0 && monitor_of(c))
                r = add_log_field(m, "ARBITER_MONITOR", monitor_of(c));
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
                                (uint64_t)x->limits[i].value.rlim_max, soft, "t",
                                (uint64_t)x->limits[i].value.rlim_cur);
        }
        return r;
}

static int add_context(const arbiter_spawn *s, arbiter_message *m) {
        const struct exec_context *x = &s->context;
        int r = 0;

        if (x->user)
                r = arbiter_message_append(m, "(sv)", "User", "s", x->user);
        if (r >= 0 && x->group)
                r = arbiter_message_append(m, "(sv)", "Group", "s", x->group);
        if (r >= 0)
                r = add_strings(m, "SupplementaryGroups", x->supplementary_groups);
        if (r >= 0)
                r = add_environment(m, x->environment);
        if (r >= 0 && x->working_directory)
                r = arbiter_message_append(m, "(sv)", "WorkingDirectory", "s", x->working_directory);
        if (r >= 0 && x->has_umask)
                r = arbiter_message_append(m, "(sv)", "UMask", "u", (uint32_t)x->umask);
        if (r >= 0 && x->has_nice)
                r = arbiter_message_append(m, "(sv)", "Nice", "i", (int32_t)x->nice);
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
                        "NotifyAccess", "s", "main",
                        "Restart", "s", "no",
                        "KillSignal", "i", (int32_t) s->kill_signal,
                        "TimeoutStartUSec", "t", (uint64_t) s->start_usec,
                        "TimeoutStopUSec", "t", (uint64_t) s->stop_usec,
                        /* What fails while no arbiter is there stays until one has looked at it. */
                        "CollectMode", "s", "inactive");
        if (r >= 0 && s->watchdog_usec > 0)
                r = arbiter_message_append(m, "(sv)", "WatchdogUSec", "t", (uint64_t)s->watchdog_usec);
        /* An actor that a signal has stopped in order says so by its exit code. */
        if (r >= 0 && !c->plain)
                r = arbiter_message_append(
                                m, "(sv)", "SuccessExitStatus", "(aiai)", 1U, (int32_t)s->kill_signal, 0U);
        return r;
}

static int add_identity(struct child *c, arbiter_message *m) {
        const arbiter_spawn *s = c->spawn;
        char slice[UNIT_NAME_SIZE], text[256];
        int r;

        r = unit_slice_of(instance_of(c->arbiter), monitor_of(c), slice);
        if (r < 0)
                return r;
        (void) snprintf(text, sizeof(text), "Actor %s of arbiter (%s)", c->name, instance_of(c->arbiter));
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

static int make_properties(struct child *c, int mailbox, arbiter_message **ret) {
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
                r = add_context(c->spawn, m);
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

/* What systemd tells. */

static arbiter_actor *enter(struct child *c, arbiter_actor **ret_previous) {
        arbiter_actor *a = actor_ref(c->arbiter->actor);

        actor_enter(a, ret_previous);
        return a;
}

static void leave(arbiter_actor *a, arbiter_actor *previous) {
        actor_leave(a, previous);
        actor_turn_end(a);
        actor_unref(a);
}

/* What it takes from here on is its own time, not that of those before it in the queue. */
static void on_begun(void *userdata) {
        struct child *c = userdata;
        usec_t bound = c->spawn->start_usec;

        if (c->plain) /* systemd knows the bound: its word comes first */
                bound = time_add(bound, UNIT_GRACE_USEC);
        if (c->state == ARBITER_STATE_STARTING)
                (void)actor_timer_set(c->arbiter->actor, &c->start_timer, time_add(now_usec(), bound));
}

/* systemd has seen it start: whether the pid still means that process is asked of its cgroup. */
static bool is_of_unit(pid_t pid, const char *unit, char **ret_path) {
        _cleanup_free_ char *text = NULL;
        char file[64], *path, *end;
        const char *at;
        size_t n = strlen(unit);

        (void)snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
        if (read_file_full(AT_FDCWD, file, CGROUP_FILE_MAX, &text, NULL) < 0)
                return false;
        path = strstr(text, "0::/");
        if (!path)
                return false;
        path += strlen("0::/");
        end = path + strcspn(path, "\n");
        *end = 0;
        for (at = strstr(path, unit); at; at = strstr(at + 1, unit))
                if ((at == path || at[-1] == '/') && (at[n] == 0 || at[n] == '/'))
                        break;
        if (!at)
                return false;
        *ret_path = strndup(path, (size_t)(at - path) + n);
        return *ret_path;
}

/* For its figures; reading needs no delegation. */
static void remember_cgroup(struct child *c, const char *path) {
        struct cgroup_root *h = &c->arbiter->hierarchy;

        if (h->fd < 0)
                h->fd = open(HIERARCHY, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (h->fd < 0)
                return;
        c->unit_leaf.name = strdup(path);
        if (c->unit_leaf.name)
                c->unit_leaf.root = h;
}

static void on_main_process(pid_t pid, const char *invocation_id, void *userdata) {
        struct child *c = userdata;
        _cleanup_free_ char *path = NULL;
        int pidfd;

        (void) snprintf(c->unit_invocation, sizeof(c->unit_invocation), "%s", invocation_id);
        if (c->process.pid == pid && cgroup_leaf_exists(&c->unit_leaf))
                return;
        pidfd = pidfd_open_pid(pid);
        if (pidfd < 0)
                return; /* it has ended already: that follows */
        if (!is_of_unit(pid, c->unit_name, &path)) {
                close_fd(pidfd);
                return;
        }
        process_done(&c->process);
        c->process = (struct process){ .pid = pid, .pidfd = pidfd, .foreign = true };
        if (!cgroup_leaf_exists(&c->unit_leaf))
                remember_cgroup(c, path);
        control_actor_changed(c);
}

static void on_started(void *userdata) {
        struct child *c = userdata;
        arbiter_actor *previous, *a = enter(c, &previous);

        if (c->plain)
                child_running(c);
        leave(a, previous);
}

static void on_status(const char *text, void *userdata) {
        struct child *c = userdata;

        if (streq(text, c->status ? c->status : ""))
                return;
        free(c->status);
        c->status = strdup(text);
        control_actor_changed(c);
}

static void on_stopping(bool by_others, void *userdata) {
        struct child *c = userdata;
        arbiter_actor *previous, *a = enter(c, &previous);

        if (c->state == ARBITER_STATE_RUNNING || c->state == ARBITER_STATE_STARTING)
                child_set_state(c, ARBITER_STATE_STOPPING);
        if (by_others) /* how long that may take is between them and systemd */
                child_left_to_systemd(c);
        leave(a, previous);
}

/* An operator has said it to systemd, not to us: the place stays empty as if he had. */
static void respect(struct child *c, enum unit_wish wish) {
        if (wish == UNIT_WISH_RESTART) {
                arbiter_log(c->arbiter, LOG_NOTICE, c, NULL,
                                "%s is restarted: %s was restarted by systemctl", c->name, c->unit_name);
                control_wish(c, true);
                return;
        }
        arbiter_log(c->arbiter, LOG_NOTICE, c, NULL,
                        "%s stays down: %s was stopped by systemctl. \"arbiterctl restart %s\" starts it",
                        c->name, c->unit_name, c->name);
        control_wish(c, false);
}

static void explain(struct child *c, const struct unit_end *e) {
        if (c->failure)
                return;
        if (e->text)
                c->failure = strdup(e->text);
        else if (c->started_usec == 0 && *e->result &&
                        asprintf(&c->failure, "%s has failed: %s", c->unit_name, e->result) < 0)
                c->failure = NULL;
}

/* systemd has let go of it before anybody looked: of transient ones it does so only if they have not failed.
 * How its process ended the kernel may still know. */
static arbiter_reason reason_of_vanished(struct child *c, int *ret_status) {
        struct process_exit e = { .end = PROCESS_UNKNOWN };

        *ret_status = 0;
        if (c->process.pidfd < 0 || process_peek(&c->process, &e) < 0 || e.end == PROCESS_UNKNOWN)
                return c->spawn->unit_template ? ARBITER_REASON_UNKNOWN : ARBITER_REASON_NORMAL;
        *ret_status = e.status;
        if (e.end == PROCESS_SIGNALED)
                return e.core ? ARBITER_REASON_CORE_DUMP : ARBITER_REASON_SIGNAL;
        return e.status == 0 ? ARBITER_REASON_NORMAL : ARBITER_REASON_EXIT_CODE;
}

static arbiter_reason reason_of(struct child *c, const struct unit_end *e, int *ret_status) {
        bool stopping = c->stop_stage != CHILD_STOP_NONE;
        arbiter_reason reason = unit_reason_of(e, c->started_usec > 0, stopping, ret_status);

        if (e->started && !*e->result && (!e->text || c->started_usec > 0))
                reason = reason_of_vanished(c, ret_status);
        else if ((e->text || c->failure) && e->code == 0 && reason == ARBITER_REASON_UNKNOWN)
                reason = ARBITER_REASON_HANDSHAKE;
        /* What we know is why it had to end; that it took force then is systemd's to say. */
        if (c->reason_set && c->reason != ARBITER_REASON_SHUTDOWN)
                return c->reason;
        if (reason == ARBITER_REASON_STOP_TIMEOUT)
                return reason;
        return c->reason_set || e->wish != UNIT_WISH_NONE ? ARBITER_REASON_SHUTDOWN : reason;
}

static void drop_control(struct child *c) {
        struct peer *p = TAKE_PTR(c->peer);

        c->welcomed = c->link_lost = false;
        if (!p)
                return;
        p->userdata = NULL;
        peer_free(p, ARBITER_OUTCOME_NOPROC);
}

/* An arbiter has meant to start it, and died before systemd heard of it. */
static bool start_again(struct child *c) {
        int r;

        if (c->reason_set) /* it is not wanted any more */
                return false;
        drop_control(c);
        c->stop_stage = CHILD_STOP_NONE;
        actor_timer_clear(c->arbiter->actor, &c->stop_timer);
        free(c->unit_name);
        c->unit_name = NULL;
        r = launch_unit(c);
        if (r < 0 && !c->failure)
                c->failure = strdup(strerror(-r));
        return r >= 0;
}

static void tell_failure(struct child *c, const struct unit_end *e) {
        if (!c->failure || c->reason_set)
                return;
        if (!e->started)
                arbiter_log(c->arbiter, LOG_WARNING, c, "start-failed", "%s: %s", c->name, c->failure);
        else if (e->text && c->started_usec > 0)
                arbiter_log(c->arbiter, LOG_ERR, c, NULL, "%s: %s", c->name, c->failure);
}

static void on_ended(const struct unit_end *e, void *userdata) {
        struct child *c = userdata;
        arbiter_actor *previous, *a = enter(c, &previous);
        bool wished = c->reason_set; /* by us */
        arbiter_reason reason;
        int status;

        c->unit = NULL;
        if (e->absent && start_again(c)) {
                leave(a, previous);
                return;
        }
        child_drain(c); /* its last words come before its end */
        explain(c, e);
        reason = reason_of(c, e, &status);
        c->last_pid = c->process.pid;
        process_done(&c->process);
        tell_failure(c, e);
        c->ending = true; /* what is asked for now is carried out by its end */
        if (e->wish != UNIT_WISH_NONE && !wished)
                respect(c, e->wish);
        child_end(c, reason, status);
        leave(a, previous);
}

static const struct unit_events events = {
        .begun = on_begun,
        .main_process = on_main_process,
        .started = on_started,
        .status = on_status,
        .stopping = on_stopping,
        .ended = on_ended,
};

/* What child.c does to it. */

static int name_unit(struct child *c) {
        char name[UNIT_NAME_SIZE], number[16];
        const char *template = c->spawn->unit_template;
        int r;

        (void) snprintf(number, sizeof(number), "%u", c->slot);
        r = template ? unit_instance_of(template, monitor_of(c) ? number : c->name, name)
                     : unit_name_of(instance_of(c->arbiter), monitor_of(c), c->name, name);
        if (r < 0)
                return r;
        c->unit_name = strdup(name);
        return c->unit_name ? 0 : -ENOMEM;
}

static void make_mark(const struct child *c, char ret[static 32]) {
        (void) snprintf(ret, 32, "ARBITER_AID=%s", c->aid_string.s);
}

int launch_unit(struct child *c) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        _cleanup_close_ int theirs = -EBADF;
        arbiter *a = c->arbiter;
        struct unit_request q;
        char mark[32];
        int r;

        r = unit_check(a, &c->failure);
        if (r >= 0)
                r = name_unit(c);
        if (r >= 0 && !c->plain) {
                r = launch_make_control(c, &theirs);
                if (r >= 0)
                        child_keep_link(c);
        }
        if (r >= 0 && !c->spawn->unit_template)
                r = make_properties(c, theirs, &m);
        if (r < 0)
                return r;
        make_mark(c, mark);
        q = (struct unit_request){ .name = c->unit_name, .mark = mark, .properties = m };
        r = a->unit_ops->start(a->systemd, &q, &events, c, &c->unit);
        if (r < 0)
                return r;
        /* Until its turn comes it may wait for others. */
        return actor_timer_set(a->actor, &c->start_timer,
                        time_add(time_add(c->created_usec, c->spawn->start_usec), UNIT_QUEUE_USEC));
}

int unit_adopt(struct child *c) {
        arbiter *a = c->arbiter;
        struct unit_adoption q;
        char mark[32];
        int r;

        r = unit_check(a, &c->failure);
        if (r < 0)
                return r;
        make_mark(c, mark);
        q = (struct unit_adoption){
                .name = c->unit_name,
                .mark = mark,
                .transient = !c->spawn->unit_template,
                .invocation_id = c->unit_invocation,
                .since_usec = c->created_usec,
        };
        r = a->unit_ops->adopt(a->systemd, &q, &events, c, &c->unit);
        if (r >= 0 && c->stop_stage >= CHILD_STOP_SIGNALED)
                unit_stop(c);
        return r;
}

void unit_stop(struct child *c) {
        c->arbiter->unit_ops->stop(c->unit);
}

int unit_signal(struct child *c, int signal) {
        return c->arbiter->unit_ops->kill(c->unit, signal, false);
}

void unit_kill(struct child *c) {
        (void) process_signal(&c->process, SIGKILL); /* also when systemd cannot be reached */
        (void) c->arbiter->unit_ops->kill(c->unit, SIGKILL, true);
        c->arbiter->unit_ops->stop(c->unit); /* what has not begun yet does not begin */
}

bool unit_is_dead(const struct child *c) {
        struct pollfd p = { .fd = c->process.pidfd, .events = POLLIN };

        return c->process.pidfd >= 0 && poll(&p, 1, 0) > 0;
}

void unit_forget(struct child *c) {
        struct systemd_unit *u = TAKE_PTR(c->unit);

        if (u)
                c->arbiter->unit_ops->forget(u);
        free(c->unit_name);
        c->unit_name = NULL;
        cgroup_leaf_done(&c->unit_leaf);
}

/* A slice is not stopped by systemd when it is empty. */
void unit_release_slice(arbiter *a, const char *monitor) {
        char slice[UNIT_NAME_SIZE];

        if (a->unit_ops && unit_slice_of(instance_of(a), monitor, slice) >= 0)
                a->unit_ops->release_slice(a->systemd, slice);
}

/* May units be had? */
int unit_check(arbiter *a, char **ret_text) {
        const char *why = a->unit_ops ? a->unit_ops->why_not(a->systemd)
                                      : "this arbiter is not one of systemd's services: run it as "
                                        "arbiter.service, or with --system or --user";

        if (!why)
                return 0;
        if (ret_text && asprintf(ret_text, "Concurrency=unit cannot be had: %s", why) < 0)
                *ret_text = NULL;
        return -EOPNOTSUPP;
}
