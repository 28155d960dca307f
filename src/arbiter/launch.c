/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a child comes to run, and how its end is noticed: process (exec of a program or of arbiter-host, or
 * fork of this program), thread, inline. Called by child.c, and by the files that start something in another
 * way (host.c, launch-unit.c, mailbox-socket.c, plain.c) for what they have in common. Effects without
 * policy: what goes wrong is returned. */

#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/socket.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"

enum { UNREAPED_USEC = 1000 * 1000 }; /* a parent that has not reaped by then never will */

struct dying_leaf {
        struct list_node leaves;
        struct cgroup_leaf leaf;
        unsigned tries;
};

int child_attach_link(struct child *c, struct link *l) {
        arbiter_actor *a = c->arbiter->actor;
        int r;

        r = peer_new(a, l, &c->aid, c->name, c->generation, true, &c->peer);
        if (r < 0)
                return r;
        c->peer->userdata = c;
        if (c->spawn)
                c->peer->policy = c->spawn->mailbox_policy;
        c->peer->drops_mail = child_drops_mail(c);
        /* of the same priority as all else: one that never stops talking does not go before the others */
        return 0;
}

/* A SEQPACKET pair: our end becomes the child's control link, the other is returned. */
int launch_make_control(struct child *c, int *ret_fd) {
        _cleanup_(link_unrefp) struct link *l = NULL;
        _cleanup_close_ int theirs = -EBADF;
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return negative_errno();
        theirs = fds[1];
        r = link_new(c->arbiter->event, LINK_SEQPACKET, fds[0], NULL, 0, &actor_link_events, NULL, &l);
        if (r < 0)
                return r;
        r = child_attach_link(c, l);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(theirs);
        return 0;
}

/* Death. */

static arbiter_reason reason_of(struct child *c, const struct process_exit *e) {
        if (c->reason_set)
                return c->reason;
        if (e->end == PROCESS_UNKNOWN)
                return ARBITER_REASON_UNKNOWN;
        if (e->oom_kill)
                return ARBITER_REASON_OOM_KILL;
        if (e->end == PROCESS_SIGNALED)
                return e->core ? ARBITER_REASON_CORE_DUMP : ARBITER_REASON_SIGNAL;
        return e->status == 0 ? ARBITER_REASON_NORMAL : ARBITER_REASON_EXIT_CODE;
}

static void decide_end(struct child *c, const struct process_exit *e) {
        c->ended = true;
        c->end_reason = reason_of(c, e);
        c->end_status = e->status;
        state_mark_child(c);
        state_commit(c->arbiter);
}

static void drain_notify(struct child *c);

static void bury(struct child *c, struct process_exit *e) {
        arbiter *a = c->arbiter;
        arbiter_actor *previous;

        actor_ref(a->actor);
        actor_enter(a->actor, &previous);
        /* What it left behind ends with it, first, so that nobody goes on talking; all that it said comes
         * before its end. */
        (void) process_kill_all(&c->process);
        child_drain(c);
        drain_notify(c);
        c->death_source = sd_event_source_disable_unref(c->death_source);
        c->last_pid = c->process.pid;
        decide_end(c, e); /* nobody can ask for it again */
        if (process_reap(&c->process, e) < 0)
                process_done(&c->process); /* somebody else's child, which nobody has reaped */
        arbiter_reap_orphans(a);
        child_end(c, c->end_reason, c->end_status);
        actor_leave(a->actor, previous);
        actor_turn_end(a->actor);
        actor_unref(a->actor);
}

static int on_death(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct child *c = userdata;
        struct process_exit e = { .end = PROCESS_UNKNOWN };
        int r;

        r = process_peek(&c->process, &e);
        if (r == -EBUSY) /* its parent is about to reap it, and then we are told how it ended */
                return actor_timer_set(c->arbiter->actor, &c->end_timer, now_usec() + UNREAPED_USEC);
        if (r != -EAGAIN)
                bury(c, &e);
        return 0;
}

void child_bury(struct child *c) {
        bury(c, &(struct process_exit){ .end = PROCESS_UNKNOWN });
}

void child_link_lost(struct child *c, int error) {
        arbiter_actor *a = c->arbiter->actor;

        if (c->process.pid <= 0 && !c->unit) { /* a thread or an inline actor: that is how they end */
                (void) actor_timer_set(a, &c->end_timer, 0);
                return;
        }
        c->link_lost = true;
        state_mark_child(c);
        /* A reset is how a process ends that had mail from us unread: its status says more. */
        if (error < 0 && error != -ECONNRESET && error != -EPIPE) {
                child_escalate(c, c->welcomed ? ARBITER_REASON_NO_CONNECTION : ARBITER_REASON_HANDSHAKE);
                return;
        }
        /* Usually its end is on the way. If not, it lives on without us: that cannot be. */
        if (c->stop_stage == CHILD_STOP_NONE) {
                c->stop_stage = CHILD_STOP_ASKED;
                c->waiting_usec = now_usec();
                (void) actor_timer_set(a, &c->stop_timer, now_usec() + USEC_PER_SEC);
        }
}

void launch_keep(arbiter *a, char kind, const aid *id, int fd) {
        char name[AID_SIZE + 3];
        int r;

        (void) snprintf(name, sizeof(name), "%c.%s", kind, aid_to_string(id).s);
        r = arbiter_keep(a, name, fd);
        if (r < 0)
                arbiter_log(a, LOG_WARNING, map_get(a->by_aid, id->c, AID_SIZE), "keep-failed",
                                "descriptor %s cannot be kept: %s", name, strerror(-r));
}

void launch_keep_process(const struct child *c, int fd) {
        launch_keep(c->arbiter, c->concurrency == ARBITER_CONCURRENCY_UNIT ? 'u' : 'p', &c->aid, fd);
}

/* Leaves. */

void leaf_dispose(arbiter *a, struct cgroup_leaf *leaf) {
        struct dying_leaf *d;

        if (!cgroup_leaf_exists(leaf))
                return;
        if (cgroup_leaf_remove(leaf) != -EBUSY) {
                cgroup_leaf_done(leaf);
                return;
        }
        (void) cgroup_leaf_kill(leaf);
        d = calloc(1, sizeof(*d));
        if (!d)
                return;
        d->leaf = *leaf;
        *leaf = CGROUP_LEAF_INIT;
        list_append(&a->leaves, &d->leaves);
        if (!heap_node_is_linked(&a->leaf_timer.node))
                (void) actor_timer_set(a->actor, &a->leaf_timer, now_usec() + LEAF_RETRY_USEC);
}

void leaves_retry(arbiter *a) {
        usec_t delay = 0;

        LIST_FOREACH(d, &a->leaves, struct dying_leaf, leaves) {
                if (cgroup_leaf_remove(&d->leaf) == -EBUSY && ++d->tries < 100) {
                        delay = MAX(delay, (usec_t) LEAF_RETRY_USEC * d->tries);
                        continue;
                }
                list_remove(&d->leaves);
                cgroup_leaf_done(&d->leaf);
                free(d);
        }
        if (delay > 0)
                (void) actor_timer_set(a->actor, &a->leaf_timer, now_usec() + delay);
}

static int make_leaf(struct child *c) {
        char name[QUALIFIED_NAME_SIZE + AID_SIZE + 2];
        int r;

        if (arbiter_open_cgroup(c->arbiter) < 0)
                return 0; /* process groups instead; status says so */
        (void) snprintf(name, sizeof(name), "%s.%s", c->name, c->aid_string.s);
        r = cgroup_leaf_make(&c->arbiter->cgroup_root, name, &c->leaf);
        if (r < 0) {
                free(c->failure);
                if (asprintf(&c->failure, "cannot make a cgroup for it: %s", strerror(-r)) < 0)
                        c->failure = NULL;
        }
        return r;
}

/* Plain programs. */

static void handle_notify(struct child *c, const struct notify_message *n) {
        arbiter_actor *a = c->arbiter->actor;

        child_heard(c);
        if (n->flags & (NOTIFY_STATUS | NOTIFY_WATCHDOG_USEC | NOTIFY_EXTEND_TIMEOUT))
                state_mark_child(c);
        if (n->flags & NOTIFY_STATUS) {
                free(c->status);
                c->status = strdup(n->status);
                control_actor_changed(c);
        }
        if ((n->flags & NOTIFY_WATCHDOG_USEC) && c->watchdog_usec != n->watchdog) {
                c->watchdog_usec = n->watchdog;
                if (c->state == ARBITER_STATE_RUNNING)
                        (void) actor_timer_set(a, &c->silence_timer,
                                        n->watchdog > 0 ? time_add(c->last_heard_usec, n->watchdog)
                                                        : USEC_INFINITY);
        }
        if ((n->flags & NOTIFY_EXTEND_TIMEOUT) && c->state == ARBITER_STATE_STARTING)
                (void) actor_timer_set(a, &c->start_timer, time_add(now_usec(), n->extend_timeout));
        if ((n->flags & NOTIFY_READY) && c->spawn->exec_type == ARBITER_EXEC_NOTIFY)
                child_running(c);
        if (n->flags & NOTIFY_WATCHDOG_TRIGGER)
                child_escalate(c, ARBITER_REASON_WATCHDOG);
}

static void drain_notify(struct child *c) {
        struct notify_message *n;
        int r;

        if (c->notify.fd < 0)
                return;
        n = malloc(sizeof(*n));
        if (!n)
                return;
        for (unsigned i = 0; i < NOTIFY_DATAGRAMS_PER_TURN; i++) {
                /* READY=1 is said once: the next arbiter hears it, too, if it is not written down yet. */
                bool once = c->state == ARBITER_STATE_STARTING;

                r = once ? notify_socket_peek(&c->notify, &c->process, n)
                         : notify_socket_receive(&c->notify, &c->process, n);
                if (r < 0)
                        break;
                if (r > 0)
                        handle_notify(c, n);
                if (once) {
                        state_commit(c->arbiter);
                        notify_socket_skip(&c->notify);
                }
        }
        free(n);
}

static int on_notify(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct child *c = userdata;
        arbiter_actor *a = actor_ref(c->arbiter->actor), *previous;

        actor_enter(a, &previous);
        drain_notify(c);
        actor_leave(a, previous);
        actor_turn_end(a);
        actor_unref(a);
        return 0;
}

static int open_notify(struct child *c) {
        uid_t uid = c->spawn->context.has_uid ? c->spawn->context.uid : geteuid();
        int r;

        /* An abstract name: it reaches also those who may not enter our runtime directory; credentials
         * decide. */
        r = notify_socket_open(NULL, NULL, uid, &c->notify);
        if (r < 0)
                return r;
        launch_keep(c->arbiter, 'n', &c->aid, c->notify.fd);
        return child_watch_notify(c);
}

int child_watch_notify(struct child *c) {
        return sd_event_add_io(c->arbiter->event, &c->notify_source, c->notify.fd, EPOLLIN, on_notify, c);
}

/* Processes. */

static void fill_fds(struct child *c, struct process_fds *fds, int mailbox) {
        arbiter_spawn *s = c->spawn;

        *fds = PROCESS_FDS_INIT;
        fds->mailbox = mailbox;
        fds->listen = s->listen_fds;
        fds->n_listen = s->n_listen_fds;
        fds->listen_names = s->listen_names_joined;
        for (unsigned i = 0; i < 2; i++)
                fds->standard[i + 1] = s->output[i] == -2 ? PROCESS_FD_NULL :
                                s->output[i] >= 0         ? s->output[i] :
                                                            PROCESS_FD_DEFAULT;
        if (c->plain) {
                fds->notify_socket = c->notify.address;
                fds->watchdog = c->watchdog_usec;
        }
}

_noreturn_ static void run_forked(struct child *c, int mailbox) {
        arbiter_spawn *s = c->spawn;
        int fds[64], r;
        size_t n = MIN(s->n_listen_fds, ELEMENTSOF(fds));

        for (size_t i = 0; i < n; i++)
                fds[i] = 3 + (int) i;
        /* What this program has not written yet it will write itself; a worker that prints must not, too. */
        __fpurge(stdout);
        actor_forget_current();
        r = actor_run(s->module, mailbox, ARBITER_CONCURRENCY_PROCESS, (const char *const *)s->listen_names,
                        fds, n);
        /* Not exit(): its handlers and buffers are the parent's. */
        _exit(r < 0 ? 1 : r);
}

/* exec of a program, or of arbiter-host for a module. The context is borrowed, with what differs from
 * life to life. */
static int start_program(struct child *c, const struct process_fds *fds, const struct cgroup_leaf *leaf,
                struct exec_failure *failure) {
        arbiter_spawn *s = c->spawn;
        struct exec_context context = s->context;
        char *host_argv[] = {s->process_name ? s->process_name : c->name, s->module_file,
                        c->is_host ? (char *)"--threads" : NULL, NULL};
        char **argv = context.argv, *program_name = NULL;
        int r;

        if (s->module_file) {
                context.path = c->arbiter->host_program;
                context.argv = host_argv;
        } else if (s->process_name) {
                program_name = argv[0];
                argv[0] = s->process_name;
        }
        r = process_spawn(&context, fds, leaf, &c->process, failure);
        if (program_name)
                argv[0] = program_name;
        return r;
}

static int start_process(struct child *c, int mailbox) {
        arbiter_spawn *s = c->spawn;
        const struct cgroup_leaf *leaf = cgroup_leaf_exists(&c->leaf) ? &c->leaf : NULL;
        struct exec_failure failure = {};
        struct process_fds fds;
        int r, child_mailbox = -EBADF;

        fill_fds(c, &fds, mailbox);
        if (s->module) {
                r = process_fork(s->context_changed ? &s->context : NULL, &fds, leaf, &c->process,
                                &child_mailbox, &failure);
                if (r == 0)
                        run_forked(c, child_mailbox);
        } else
                r = start_program(c, &fds, leaf, &failure);
        if (r < 0) {
                struct exec_context shown = s->context;
                char text[EXEC_FAILURE_STRING_MAX];

                if (s->module_file)
                        shown.path = c->arbiter->host_program;
                free(c->failure);
                c->failure = strdup(exec_failure_format(&failure, &shown, text, sizeof(text)));
                return r;
        }
        return 0;
}

int child_watch_death(struct child *c) {
        /* Edge-triggered: a thousand deaths at once must not be polled a thousand times each. */
        return sd_event_add_io(c->arbiter->event, &c->death_source, c->process.pidfd, EPOLLIN | EPOLLET,
                        on_death, c);
}

int launch_process(struct child *c) {
        _cleanup_close_ int theirs = -EBADF;
        int r;

        c->spawn->context.soft_nofile = c->arbiter->soft_nofile;
        r = make_leaf(c);
        if (r < 0)
                return r;
        if (c->plain) {
                c->watchdog_usec = c->spawn->watchdog_usec;
                if (c->spawn->exec_type == ARBITER_EXEC_NOTIFY || c->watchdog_usec > 0)
                        r = open_notify(c);
        } else {
                r = launch_make_control(c, &theirs);
                if (r >= 0)
                        child_keep_link(c);
        }
        if (r < 0)
                return r;
        state_commit(c->arbiter);
        r = start_process(c, theirs);
        if (r < 0)
                return r;
        launch_keep_process(c, c->process.pidfd);
        state_mark_child(c);
        if (c->spawn->prepared)
                spawn_close_output(c->spawn); /* only its process holds them now, so that its end shows */
        r = child_watch_death(c);
        if (r < 0) {
                process_end(&c->process);
        }
        return r;
}

/* Threads. */

struct thread_start {
        const arbiter_module *module;
        int mailbox, *listen_fds;
        const char *const *listen_names;
        size_t n_listen_fds;
};

static void *thread_main(void *userdata) {
        struct thread_start *t = userdata;

        (void) actor_run(t->module, t->mailbox, ARBITER_CONCURRENCY_THREAD, t->listen_names, t->listen_fds,
                        t->n_listen_fds);
        free(t->listen_fds);
        free(t);
        return NULL;
}

static int duplicate_listen_fds(const arbiter_spawn *s, struct thread_start *t) {
        if (s->n_listen_fds == 0)
                return 0;
        t->listen_fds = calloc(s->n_listen_fds, sizeof(int));
        if (!t->listen_fds)
                return -ENOMEM;
        for (; t->n_listen_fds < s->n_listen_fds; t->n_listen_fds++) {
                int fd = fd_duplicate(s->listen_fds[t->n_listen_fds]);

                if (fd < 0)
                        return fd;
                t->listen_fds[t->n_listen_fds] = fd;
        }
        t->listen_names = (const char *const *) s->listen_names;
        return 0;
}

int launch_thread(struct child *c) {
        struct thread_start *t = calloc(1, sizeof(*t));
        sigset_t all, old;
        int r;

        if (!t)
                return -ENOMEM;
        t->module = c->spawn->module;
        t->mailbox = -EBADF;
        r = duplicate_listen_fds(c->spawn, t);
        if (r >= 0)
                r = launch_make_control(c, &t->mailbox);
        if (r >= 0) {
                sigfillset(&all);
                pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the process's main loop */
                r = -pthread_create(&c->thread, NULL, thread_main, t);
                pthread_sigmask(SIG_SETMASK, &old, NULL);
        }
        if (r < 0) {
                close_fd(t->mailbox);
                close_many(t->listen_fds, t->n_listen_fds);
                free(t->listen_fds);
                free(t);
                return r;
        }
        c->has_thread = true;
        return 0;
}

/* On the arbiter's own loop. */

static int give_listen_fds(const arbiter_spawn *s, arbiter_actor *a) {
        struct thread_start t = {};
        int r;

        r = duplicate_listen_fds(s, &t);
        if (r >= 0)
                r = actor_set_listen_fds(a, t.listen_fds, t.listen_names, t.n_listen_fds);
        if (r < 0) /* those that the actor has taken are the last to go with it */
                close_many(t.listen_fds + a->n_listen_fds, t.n_listen_fds - a->n_listen_fds);
        free(t.listen_fds);
        return r;
}

static void on_inline_ended(arbiter_actor *a, void *userdata) {
        struct child *c = userdata;

        if (c->plain) { /* the stand-in was asked to stop: that means the program */
                (void) child_stop(c, NULL);
                return;
        }
        c->closed_code = a->exit_code;
        state_mark_child(c);
        (void) actor_timer_set(c->arbiter->actor, &c->end_timer, 0);
}

int launch_inline(struct child *c, const arbiter_module *module, void *userdata) {
        _cleanup_(link_unrefp) struct link *ours = NULL, *theirs = NULL;
        struct actor_options o = {
                .event = c->arbiter->event,
                .aid = &c->aid,
                .name = c->name,
                .manager = "arbiter",
                .generation = c->generation,
                .module = module,
                .concurrency = ARBITER_CONCURRENCY_INLINE,
        };
        int r;

        r = actor_new(&o, &c->inline_actor);
        if (r < 0)
                return r;
        r = c->spawn ? give_listen_fds(c->spawn, c->inline_actor) : 0;
        if (r < 0)
                return r;
        c->inline_actor->userdata = userdata;
        c->inline_actor->ended = on_inline_ended;
        c->inline_actor->ended_userdata = c;
        r = link_new_local(c->arbiter->event, &ours, &theirs);
        if (r < 0)
                return r;
        r = child_attach_link(c, ours);
        if (r < 0)
                return r;
        return actor_attach_control(c->inline_actor, theirs);
}
