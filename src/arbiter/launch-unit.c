/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child as a unit of systemd (Concurrency=unit): what is asked for, and what becomes of the child when
 * systemd tells how its unit fares. Called by child.c and by src/bus/systemd.c, through units.h. Who lives
 * and who dies is systemd's word alone: a pidfd is kept to show and to signal the main process, never to
 * decide. Must never wait for systemd. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"
#include "basic/pidfd.h"

enum { UNIT_QUEUE_USEC = 90 * 1000 * 1000 }; /* until systemd is asked to start it */

#define HIERARCHY "/sys/fs/cgroup"
#define CGROUP_FILE_MAX 4096

const char *unit_monitor_of(const struct child *c) {
        const arbiter_monitor *m = child_pool(c);

        return m ? m->name : NULL;
}

const char *unit_arbiter_of(const arbiter *a) {
        return a->instance ? a->instance : "";
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
        state_mark_child(c);
}

/* For its figures; reading needs no delegation. */
static void remember_cgroup(struct child *c, pid_t pid) {
        struct cgroup_root *h = &c->arbiter->hierarchy;
        _cleanup_free_ char *text = NULL;
        size_t n = strlen(c->unit_name);
        char file[64], *path;
        const char *at;

        (void) snprintf(file, sizeof(file), "/proc/%d/cgroup", (int) pid);
        if (read_file_full(AT_FDCWD, file, CGROUP_FILE_MAX, &text, NULL) < 0)
                return;
        path = strstr(text, "0::/");
        if (!path)
                return;
        path += strlen("0::/");
        path[strcspn(path, "\n")] = 0;
        for (at = strstr(path, c->unit_name); at; at = strstr(at + 1, c->unit_name))
                if ((at == path || at[-1] == '/') && (at[n] == 0 || at[n] == '/'))
                        break;
        if (h->fd < 0)
                h->fd = open(HIERARCHY, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (!at || h->fd < 0)
                return;
        c->unit_leaf.name = strndup(path, (size_t) (at - path) + n);
        if (c->unit_leaf.name)
                c->unit_leaf.root = h;
}

static void take_main_process(struct child *c, pid_t pid, const char *invocation_id) {
        _cleanup_free_ char *unit = NULL;
        int pidfd;

        (void) snprintf(c->unit_invocation, sizeof(c->unit_invocation), "%s", invocation_id);
        state_mark_child(c);
        if (c->process.pid == pid && cgroup_leaf_exists(&c->unit_leaf))
                return;
        pidfd = pidfd_open_pid(pid);
        if (pidfd < 0)
                return; /* it has ended already: that follows */
        /* systemd has seen it start: whether the pid still means that process is asked of its cgroup. */
        if (unit_of_process(c->arbiter, pid, &unit) < 0 || !streq(unit, c->unit_name)) {
                close_fd(pidfd);
                return;
        }
        process_done(&c->process);
        c->process = (struct process){ .pid = pid, .pidfd = pidfd, .foreign = true };
        /* How it ended, if that is while no arbiter is there, the kernel tells by it. */
        launch_keep_process(c, pidfd);
        if (!cgroup_leaf_exists(&c->unit_leaf))
                remember_cgroup(c, pid);
        control_actor_changed(c);
        mailbox_socket_main_process(c);
}

static void on_main_process(pid_t pid, const char *invocation_id, void *userdata) {
        struct child *c = userdata;
        arbiter_actor *previous, *a = enter(c, &previous);

        take_main_process(c, pid, invocation_id);
        leave(a, previous);
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
        state_mark_child(c);
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
        /* What was kept of it is lost: the keeper has died, too, and may have had it stopped. */
        if (c->adopted && c->process.pidfd < 0)
                return ARBITER_REASON_UNKNOWN;
        if (c->process.pidfd < 0 || process_peek(&c->process, &e) < 0 || e.end == PROCESS_UNKNOWN)
                return c->spawn->unit_template ? ARBITER_REASON_UNKNOWN : ARBITER_REASON_NORMAL;
        *ret_status = e.status;
        if (e.end == PROCESS_SIGNALED)
                return e.core ? ARBITER_REASON_CORE_DUMP : ARBITER_REASON_SIGNAL;
        return e.status == 0 ? ARBITER_REASON_NORMAL : ARBITER_REASON_EXIT_CODE;
}

/* SuccessExitStatus= says so. What systemd takes for an order by itself, SIGTERM and its like, has come from
 * somebody; and of the exit code of an actor that heard one see add_service(). */
static bool is_success(const struct child *c, const struct unit_end *e, arbiter_reason reason) {
        static const int orders[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };

        if (!streq(e->result, "success"))
                return false;
        if (reason == ARBITER_REASON_EXIT_CODE)
                return c->plain || e->status != c->spawn->kill_signal;
        for (size_t i = 0; i < ELEMENTSOF(orders); i++)
                if (e->status == orders[i])
                        return false;
        return reason == ARBITER_REASON_SIGNAL;
}

static arbiter_reason reason_of(struct child *c, const struct unit_end *e, int *ret_status) {
        bool stopping = c->stop_stage != CHILD_STOP_NONE;
        arbiter_reason reason = unit_reason_of(e, c->started_usec > 0, stopping, ret_status);

        if (is_success(c, e, reason))
                reason = ARBITER_REASON_NORMAL;
        else if (e->started && !*e->result && (!e->text || c->started_usec > 0))
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

        relink_forget(c);
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
        if (!e->started || (e->text && c->started_usec == 0))
                arbiter_log(c->arbiter, LOG_WARNING, c, "start-failed", "%s: %s", c->name, c->failure);
        else if (e->text)
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
        r = template ? unit_instance_of(template, unit_monitor_of(c) ? number : c->name, name)
                     : unit_name_of(unit_arbiter_of(c->arbiter), unit_monitor_of(c), c->name, name);
        if (r < 0)
                return r;
        c->unit_name = strdup(name);
        return c->unit_name ? 0 : -ENOMEM;
}

static void make_mark(const struct child *c, char ret[static 32]) {
        (void) snprintf(ret, 32, "ARBITER_AID=%s", c->aid_string.s);
}

static bool leaves_processes(const struct child *c) {
        const struct unit_properties *p = &c->spawn->unit_properties;
        const char *mode;

        for (size_t i = 0; i < p->n; i++)
                if (streq(p->items[i].name, "KillMode") &&
                                arbiter_message_rewind(p->items[i].value, true) >= 0 &&
                                arbiter_message_read(p->items[i].value, "s", &mode) > 0)
                        return streq(mode, "process") || streq(mode, "none");
        return false;
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
        if (r >= 0 && !c->plain)
                r = c->spawn->unit_template ? mailbox_socket_await_instance(c)
                                            : launch_make_control(c, &theirs);
        if (r >= 0 && c->peer)
                child_keep_link(c);
        if (r >= 0 && !c->spawn->unit_template)
                r = unit_make_properties(c, theirs, &m);
        if (r < 0)
                return r;
        make_mark(c, mark);
        q = (struct unit_request){
                .name = c->unit_name, .mark = mark, .properties = m, .leaves = leaves_processes(c)
        };
        /* Until its turn comes it may wait for others. */
        r = actor_timer_set(a->actor, &c->start_timer,
                        time_add(time_add(c->created_usec, c->spawn->start_usec), UNIT_QUEUE_USEC));
        if (r < 0)
                return r;
        state_mark_child(c);
        state_commit(a);
        return a->unit_ops->start(a->systemd, &q, &events, c, &c->unit);
}

int unit_adopt(struct child *c) {
        arbiter *a = c->arbiter;
        struct unit_adoption q;
        char mark[32];
        int r;

        r = unit_check(a, &c->failure);
        if (r >= 0 && unit_is_awaited(c))
                r = mailbox_socket_await_instance(c);
        if (r < 0)
                return r;
        make_mark(c, mark);
        q = (struct unit_adoption){
                .name = c->unit_name,
                .mark = mark,
                .transient = !c->spawn->unit_template,
                .leaves = leaves_processes(c),
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

bool unit_is_awaited(const struct child *c) {
        return c->unit_name && c->spawn->unit_template && !c->plain && !c->peer && !c->ending;
}

int unit_of_process(arbiter *a, pid_t pid, char **ret) {
        return a->unit_ops ? a->unit_ops->unit_of(a->systemd, pid, ret) : -ENXIO;
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

        if (a->unit_ops && unit_slice_of(unit_arbiter_of(a), monitor, slice) >= 0)
                a->unit_ops->release_slice(a->systemd, slice);
}

void units_sweep(arbiter *a) {
        char prefix[UNIT_NAME_SIZE], mark[sizeof("ARBITER_INSTANCE=") + NAME_MAX_LENGTH];
        size_t n;

        if (!a->unit_ops || unit_check(a, NULL) < 0 ||
                        unit_slice_of(unit_arbiter_of(a), NULL, prefix) < 0)
                return;
        n = strlen(prefix) - strlen(".slice");
        prefix[n] = '-';
        prefix[n + 1] = 0;
        (void) snprintf(mark, sizeof(mark), "ARBITER_INSTANCE=%s", unit_arbiter_of(a));
        a->unit_ops->sweep(a->systemd, prefix, mark);
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
