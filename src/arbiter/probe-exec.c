/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes by a program, run as the actor is: its user, limits, environment and directory, in a cgroup of its
 * own where there is a subtree. Its end is waited for by its pidfd; at its timeout, and behind its end, all
 * that is left of it is killed. Of what it prints the end is kept. An arbiter that dies takes it with it: by
 * the parent's death signal, and the next one sweeps its cgroup. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "arbiter/internal.h"
#include "arbiter/probes.h"
#include "basic/fd.h"

/* The last of it, without what would be cut off. */
static void keep_output(struct probe_attempt *x, const char *p, size_t n) {
        size_t room = sizeof(x->output) - 1, drop;

        if (n > room) {
                p += n - room;
                n = room;
        }
        drop = x->n_output + n > room ? x->n_output + n - room : 0;
        memmove(x->output, x->output + drop, x->n_output - drop);
        x->n_output -= drop;
        memcpy(x->output + x->n_output, p, n);
        x->n_output += n;
        x->output[x->n_output] = 0;
}

/* At most so much, for it may never stop. */
static void read_output(struct probe_attempt *x) {
        char buffer[4096];

        for (size_t n = 0; x->fd >= 0 && n < PROBE_READ_PER_TURN;) {
                ssize_t k = read(x->fd, buffer, sizeof(buffer));

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0 && errno == EAGAIN)
                        return;
                if (k <= 0) {
                        x->source = sd_event_source_disable_unref(x->source);
                        x->fd = close_fd(x->fd);
                        return;
                }
                n += (size_t) k;
                keep_output(x, buffer, (size_t) k);
        }
}

static int on_output(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        read_output(userdata);
        return 0;
}

/* In one line, without the blanks around; NULs are none of it. */
const char *probe_last_words(struct probe_attempt *x) {
        char *s = x->output;

        for (size_t i = 0; i < x->n_output; i++)
                if (s[i] == 0)
                        s[i] = '?';
                else if (strchr("\t\r\n", s[i]))
                        s[i] = ' ';
        while (x->n_output > 0 && s[x->n_output - 1] == ' ')
                s[--x->n_output] = 0;
        return s + strspn(s, " ");
}

static void judge(struct probe_attempt *x, const struct process_exit *e) {
        const char *said = probe_last_words(x), *colon = *said ? ": " : "";
        char fact[PROBE_FACT_SIZE] = "";

        if (e->end == PROCESS_EXITED)
                (void) snprintf(fact, sizeof(fact), "exited with status %d", e->status);
        else if (e->end == PROCESS_SIGNALED)
                (void) snprintf(fact, sizeof(fact), "killed by SIG%s",
                                sigabbrev_np(e->status) ? sigabbrev_np(e->status) : "?");
        (void) snprintf(x->fact, sizeof(x->fact), "%s", fact);
        if (e->end == PROCESS_EXITED && e->status == 0)
                probe_attempt_end(x, PROBE_GOOD, "%s", *said ? said : fact);
        else if (*fact)
                probe_attempt_end(x, PROBE_BAD, "%s%s%s", fact, colon, said);
        else
                probe_attempt_end(x, PROBE_UNKNOWN, "how it ended is not known");
}

static int on_death(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct probe_attempt *x = userdata;
        struct process_exit e;
        arbiter_actor *previous;
        arbiter *a;

        if (process_peek(&x->process, &e) == -EAGAIN)
                return 0;
        a = probe_enter(x, &previous);
        (void) process_kill_all(&x->process);
        read_output(x);
        x->death_source = sd_event_source_disable_unref(x->death_source);
        if (process_reap(&x->process, &e) < 0)
                process_done(&x->process);
        arbiter_reap_orphans(a);
        if (x->run)
                judge(x, &e);
        else
                probe_free_attempt(x);
        probe_leave(a, previous);
        return 0;
}

/* A name like a life's, of nobody who lives: by that the next arbiter sweeps it. */
static int make_leaf(struct probe_attempt *x) {
        char name[QUALIFIED_NAME_SIZE + AID_SIZE + 2];
        aid id;
        int r;

        if (arbiter_open_cgroup(x->arbiter) < 0)
                return 0;
        r = aid_random(&id);
        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), "%s.%s", x->run->child->name, aid_to_string(&id).s);
        return cgroup_leaf_make(&x->arbiter->cgroup_root, name, &x->leaf);
}

static int open_output(struct probe_attempt *x, int *ret_theirs) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return negative_errno();
        x->fd = fds[0];
        *ret_theirs = fds[1];
        r = fcntl(x->fd, F_SETFL, O_NONBLOCK) < 0 ? negative_errno() : 0;
        if (r >= 0)
                r = sd_event_add_io(x->arbiter->event, &x->source, x->fd, EPOLLIN, on_output, x);
        return r;
}

static void free_strings(char **l) {
        for (char **i = l; i && *i; i++)
                free(*i);
        free(l);
}

static int expand_arguments(const arbiter_probe *p, const char *name, char ***ret) {
        char text[PROBE_TARGET_TEXT_MAX], **l;
        size_t n = 0;
        int r = 0;

        while (p->argv[n])
                n++;
        l = calloc(n + 1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = probe_expand(p->argv[i], name, text);
                if (r >= 0)
                        l[i] = strdup(text);
                if (r >= 0 && !l[i])
                        r = -ENOMEM;
        }
        if (r < 0) {
                free_strings(l);
                return r;
        }
        *ret = l;
        return 0;
}

/* Of a thread it is that of its host; 0: none. */
static pid_t main_process(const struct child *c) {
        return c->host ? c->host->process.pid : c->process.pid;
}

/* The actor's, and MAINPID; borrowed, but for the list. */
static int make_environment(const struct child *c, char *main_pid, char ***ret) {
        char **l, *const *e = c->spawn->context.environment;
        size_t n = 0;

        while (e && e[n])
                n++;
        l = calloc(n + 2, sizeof(*l));
        if (!l)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                l[i] = e[i];
        if (main_process(c) > 0)
                l[n] = main_pid;
        *ret = l;
        return 0;
}

static int run(struct probe_attempt *x, struct exec_context *context, int output,
                struct exec_failure *ret_failure) {
        struct process_fds fds = PROCESS_FDS_INIT;
        int r;

        context->soft_nofile = x->arbiter->soft_nofile;
        context->parent_death_signal = SIGKILL;
        context->keep_process_group = false;
        fds.standard[1] = fds.standard[2] = output;
        r = process_spawn(context, &fds, cgroup_leaf_exists(&x->leaf) ? &x->leaf : NULL, &x->process,
                        ret_failure);
        if (r < 0)
                return r;
        r = sd_event_add_io(x->arbiter->event, &x->death_source, x->process.pidfd, EPOLLIN | EPOLLET,
                        on_death, x);
        if (r < 0)
                process_end(&x->process);
        return r;
}

/* Of a life that another arbiter has started it is only known who its user is. */
static int resolve(struct child *c, struct exec_failure *ret_failure) {
        int r;

        if (c->spawn->resolved)
                return 0;
        r = exec_context_resolve(&c->spawn->context, ret_failure);
        if (r >= 0)
                c->spawn->resolved = true;
        return r;
}

static int start(struct probe_attempt *x, struct exec_context *context, struct exec_failure *ret_failure) {
        _cleanup_close_ int output = -EBADF;
        int r;

        r = make_leaf(x);
        if (r >= 0)
                r = open_output(x, &output);
        return r < 0 ? r : run(x, context, output, ret_failure);
}

int probe_exec_begin(struct probe_attempt *x) {
        struct child *c = x->run->child;
        char text[EXEC_FAILURE_STRING_MAX], main_pid[32], **argv = NULL;
        _cleanup_free_ char **environment = NULL;
        struct exec_failure failure = {};
        struct exec_context context;
        int r;

        (void) snprintf(main_pid, sizeof(main_pid), "MAINPID=%d", (int) main_process(c));
        r = resolve(c, &failure);
        if (r >= 0)
                r = expand_arguments(x->run->probe, c->name, &argv);
        if (r >= 0)
                r = make_environment(c, main_pid, &environment);
        context = c->spawn->context;
        if (r >= 0) {
                context.path = argv[0];
                context.argv = argv;
                context.environment = environment;
                r = start(x, &context, &failure);
        }
        if (r < 0 && failure.step != EXEC_STEP_NONE && !probe_error_is_ours(r)) {
                probe_attempt_end(x, PROBE_BAD, "%s",
                                exec_failure_format(&failure, &context, text, sizeof(text)));
                r = 0;
        }
        free_strings(argv);
        return r;
}
