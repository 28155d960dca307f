/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The module of the functional tests: a command for each thing that an actor can do to itself and to others.
 * Commands that only move the test along are in the system lane. It may run in a fork of the test: it never
 * asserts. */

#include <signal.h>
#include <time.h>

#include "actor-fixture.h"
#include "actor/peer.h"

enum { HELD_MAX = 4096, WATCHES_MAX = 16 };

struct self {
        arbiter_message *held[HELD_MAX];
        unsigned n_held;
        arbiter_proxy *peer;
        uint64_t watches[WATCHES_MAX];
        unsigned n_watches;
        uint64_t last[SENDERS_MAX];
};

/* A forked actor has none of the test's descriptors: it opens its pipes anew. */
static int pipe_end(int fd, int flags) {
        static _Thread_local int opened[2] = {-1, -1};
        int *p = &opened[flags == O_RDONLY];
        char path[64];

        if (getpid() == shared->pid)
                return fd;
        if (*p < 0) {
                snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)shared->pid, fd);
                *p = open(path, flags | O_CLOEXEC);
        }
        return *p;
}

static void say(void) {
        (void)!write(pipe_end(entered_fd[1], O_WRONLY | O_NONBLOCK), "x", 1);
}

static void wait_for_release(void) {
        char c;

        (void)!read(pipe_end(release_fd[0], O_RDONLY), &c, 1);
}

static void note(char c) {
        uint32_t n = atomic_fetch_add(&shared->n_journal, 1);

        if (n < sizeof(shared->journal) - 1)
                shared->journal[n] = c;
}

/* x → x */

static int on_work(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        atomic_fetch_add(&shared->ran, 1);
        return arbiter_message_reply(m, "x", n + 1);
}

/* Spins for so many microseconds. */
static int on_spin(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct timespec start, now;
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        clock_gettime(CLOCK_MONOTONIC, &start);
        do
                clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000 < n);
        return arbiter_message_reply(m, "x", n);
}

_Atomic uint8_t *fixture_marks;

/* Says in shared memory that it ran. */
static int on_mark(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        atomic_store(&fixture_marks[n], 1);
        return arbiter_message_reply(m, "x", n);
}

static int on_block(arbiter_actor *a, arbiter_message *m, void *userdata) {
        atomic_fetch_add(&shared->ran, 1);
        say();
        wait_for_release();
        return arbiter_message_reply(m, "x", (int64_t)1);
}

static int on_hold(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct self *s = userdata;

        if (s->n_held >= HELD_MAX)
                return -ENOBUFS;
        atomic_fetch_add(&shared->ran, 1);
        s->held[s->n_held++] = arbiter_message_ref(m);
        atomic_fetch_add(&shared->held, 1);
        say();
        return 0;
}

/* 0: answers what it holds; 1: drops it; 2: how many of them are cancelled. */
static int on_held(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct self *s = userdata;
        int64_t what, n = 0;
        int r = arbiter_message_read(m, "x", &what);

        if (r < 0)
                return r;
        if (what == 2) {
                for (unsigned i = 0; i < s->n_held; i++)
                        n += arbiter_message_is_cancelled(s->held[i]);
                return arbiter_message_reply(m, "x", n);
        }
        while (s->n_held > 0) {
                if (what == 0)
                        (void)arbiter_message_reply(s->held[s->n_held - 1], "x", (int64_t)42);
                arbiter_message_unref(s->held[--s->n_held]);
                n++;
        }
        return arbiter_message_reply(m, "x", n);
}

static int on_drop(arbiter_actor *a, arbiter_message *m, void *userdata) {
        atomic_fetch_add(&shared->ran, 1);
        return 0;
}

static int on_bad_reply(arbiter_actor *a, arbiter_message *m, void *userdata) {
        atomic_store(&shared->second_reply, (uint64_t)-arbiter_message_reply(m, "s", "not a number"));
        return 0;
}

static int on_twice(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int r = arbiter_message_reply(m, "x", (int64_t)1);

        if (r < 0)
                return r;
        atomic_store(&shared->second_reply, (uint64_t)-arbiter_message_reply(m, "x", (int64_t)2));
        return -EIO; /* too late to matter */
}

static int on_fail(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply_error(m, "com.example.Error.Sad", "it is sad");
}

static int on_errno(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return -EPERM;
}

/* 0: SIGKILL; else an exit code; of a thread or an inline actor: a stop with that code. */
static int on_die(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        atomic_fetch_add(&shared->ran, 1);
        if (n == 0)
                raise(SIGKILL);
        _exit((int)n);
}

static int on_exit_reason(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_actor_exit(a, (arbiter_reason)n);
}

static int on_quit(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        r = arbiter_actor_stop(a, (int)n);
        return r < 0 ? r : arbiter_message_reply(m, "x", n);
}

static int on_pid(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply(m, "x", (int64_t)getpid());
}

/* A blocking call in a handler is refused. */
static int on_deadlock(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply(m, "x", (int64_t)arbiter_call(a, NULL, "arbiter", "ping", 0, ""));
}

static int on_remaining(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct timespec t;
        uint64_t deadline = arbiter_message_get_deadline(m);

        clock_gettime(CLOCK_MONOTONIC, &t);
        return arbiter_message_reply(m, "x",
                        deadline == UINT64_MAX ? INT64_MAX
                                               : (int64_t)(deadline - (uint64_t)t.tv_sec * 1000000) -
                                                                 t.tv_nsec / 1000);
}

/* 0 links, 1 dead letters, 2 late replies, 3 expired, 4 begun, 5 queued, 6 listen fds, 7 generation */
static int on_number(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_mailbox_statistics s = {.size = sizeof(s)};
        const int *fds;
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        r = arbiter_actor_get_statistics(a, &s);
        if (r < 0)
                return r;
        const uint64_t values[] = {
                        s.links,
                        s.dead_letters,
                        s.late_replies,
                        s.expired,
                        s.begun,
                        s.queued,
                        (uint64_t)arbiter_actor_get_listen_fds(a, &fds, NULL),
                        arbiter_actor_get_generation(a),
        };
        return arbiter_message_reply(m, "x", (int64_t)values[n]);
}

/* Casts. */

static int on_sequence(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct self *s = userdata;
        uint32_t sender;
        uint64_t n;
        int r = arbiter_message_read(m, "ut", &sender, &n);

        if (r < 0 || sender >= SENDERS_MAX)
                return r;
        if (n != s->last[sender] + 1)
                atomic_fetch_add(&shared->order_errors, 1);
        s->last[sender] = n;
        atomic_fetch_add(&shared->received, 1);
        return 0;
}

/* Sends casts number first ... first + n - 1 to a target as the sender with this number; and may die of it.
 */
static int on_burst(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *target;
        uint32_t sender, n, die;
        uint64_t first;
        int r = arbiter_message_read(m, "sutuu", &target, &sender, &first, &n, &die);

        if (r < 0)
                return r;
        for (uint32_t i = 0; i < n; i++) {
                r = arbiter_send(a, target, "Sequence", "ut", sender, first + i);
                if (r < 0)
                        return r;
        }
        if (die == 1)
                return arbiter_actor_stop(a, 0);
        return arbiter_message_reply(m, "x", (int64_t)n);
}

/* Relaying. */

static void on_relayed(arbiter_future *f, void *userdata) {
        const char *name = arbiter_future_get_error_name(f), *text = arbiter_future_get_error_text(f);
        arbiter_message *m = userdata;
        int64_t value = 0;
        uint32_t reason;
        int status;

        reason = arbiter_future_get_reason(f, &status);
        if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY)
                (void)arbiter_future_get(f, "x", &value);
        (void)arbiter_message_reply(m, "yyuissx", (uint8_t)arbiter_future_get_outcome(f),
                        (uint8_t)arbiter_future_get_executed(f), reason, (int32_t)status, name ? name : "",
                        text ? text : "", value);
        arbiter_message_unref(m);
}

static int on_relay(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *target, *command;
        arbiter_future *f;
        uint64_t timeout;
        int64_t value;
        int r = arbiter_message_read(m, "sstx", &target, &command, &timeout, &value);

        if (r < 0)
                return r;
        r = arbiter_call_async(a, &f, target, command, timeout, "x", value);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_relayed, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static void on_forwarded(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        int64_t value;

        if (arbiter_future_get(f, "x", &value) > 0)
                (void)arbiter_message_reply(m, "x", value);
        else
                (void)arbiter_message_reply_error(
                                m, arbiter_future_get_error_name(f), arbiter_future_get_error_text(f));
        arbiter_message_unref(m);
}

/* To the command that is the parameter "next" ("TARGET COMMAND"), as part of its own work. */
static int on_forward(arbiter_actor *a, arbiter_message *m, void *userdata) {
        char next[128], *space;
        arbiter_future *f;
        int64_t value;
        int r = arbiter_message_read(m, "x", &value);

        if (r < 0)
                return r;
        snprintf(next, sizeof(next), "%s", arbiter_actor_get_parameter(a, "next"));
        space = strchr(next, ' ');
        *space = 0;
        r = arbiter_call_async(a, &f, next, space + 1, 60 * 1000 * 1000, "x", value);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_forwarded, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static int on_delegate(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct self *s = userdata;

        return arbiter_message_delegate(m, s->peer, arbiter_actor_get_parameter(a, "delegate"));
}

static int read_proxy(arbiter_message *m, arbiter_proxy **ret) {
        const char *id, *name;
        uint32_t generation;
        int r = arbiter_message_read(m, "ssu", &id, &name, &generation);

        return r < 0 ? r : arbiter_proxy_new(id, name, generation, ret);
}

static int on_set_peer(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct self *s = userdata;

        arbiter_proxy_unref(s->peer);
        s->peer = NULL;
        return read_proxy(m, &s->peer);
}

/* Watches and links. */

static void on_resolved(arbiter_future *f, void *userdata) {
        shared->down[(uintptr_t)userdata].resolved = 100 + arbiter_future_get_outcome(f);
        atomic_fetch_add(&shared->stages, 1);
        say();
}

static void on_down(arbiter_actor *a, const arbiter_down *d, void *userdata) {
        uint64_t n = atomic_fetch_add(&shared->down_slots, 1);
        arbiter_future *f;

        if (n < DOWNS_MAX) {
                shared->down[n].watch = d->watch;
                shared->down[n].reason = d->reason;
                shared->down[n].status = d->status;
                shared->down[n].generation = d->generation;
                shared->down[n].received = atomic_load(&shared->received);
                snprintf(shared->down[n].aid, sizeof(shared->down[n].aid), "%s", d->aid);
                snprintf(shared->down[n].name, sizeof(shared->down[n].name), "%s", d->name);
                if (*d->name && arbiter_call_async(a, &f, d->name, "Work", 0, "x", (int64_t)1) >= 0) {
                        (void)arbiter_future_then(f, on_resolved, (void *)(uintptr_t)n);
                        arbiter_future_unref(f);
                }
        }
        atomic_fetch_add(&shared->downs, 1); /* last: who reads it reads the rest, too */
        say();
}

static int on_watch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct self *s = userdata;
        arbiter_proxy *p;
        int r = read_proxy(m, &p);

        if (r < 0)
                return r;
        r = arbiter_actor_watch(a, p, on_down, NULL, &s->watches[s->n_watches % WATCHES_MAX]);
        s->n_watches++;
        arbiter_proxy_unref(p);
        return r;
}

static int on_unwatch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct self *s = userdata;
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        return arbiter_message_reply(m, "x", (int64_t)arbiter_actor_unwatch(a, s->watches[n]));
}

static void on_exit_signal(arbiter_actor *a, const arbiter_down *d, void *userdata) {
        atomic_store(&shared->exit_reason, (uint64_t)d->reason);
        atomic_fetch_add(&shared->exits, 1);
        say();
}

static int on_trap(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int r = arbiter_actor_trap_exit(a, on_exit_signal, NULL);

        return r < 0 ? r : arbiter_message_reply(m, "x", (int64_t)0);
}

static int on_link(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_proxy *p;
        int r = read_proxy(m, &p);

        if (r < 0)
                return r;
        r = arbiter_actor_link(a, p);
        arbiter_proxy_unref(p);
        return r;
}

static int on_unlink(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_proxy *p;
        int r = read_proxy(m, &p);

        if (r < 0)
                return r;
        r = arbiter_actor_unlink(a, p);
        arbiter_proxy_unref(p);
        return r;
}

/* Reads nothing until it is released, and then unlinks. */
static int on_block_unlink(arbiter_actor *a, arbiter_message *m, void *userdata) {
        say();
        wait_for_release();
        return on_unlink(a, m, userdata);
}

/* A child of its own that holds every descriptor, out of reach of a process group; it ends when release_fd
 * closes. */
static int on_fork(arbiter_actor *a, arbiter_message *m, void *userdata) {
        switch (fork()) {
        case -1:
                return -errno;
        case 0:
                (void)setsid();
                say();
                (void)poll(&(struct pollfd){.fd = pipe_end(release_fd[0], O_RDONLY)}, 1,
                                -1); /* for its end, not for a byte */
                _exit(0);
        default:
                return arbiter_message_reply(m, "x", (int64_t)0);
        }
}

/* Spawning and killing. */

static void on_spawned(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        arbiter_proxy *p = NULL;

        if (arbiter_future_get_proxy(f, &p) >= 0)
                (void)arbiter_message_reply(m, "ss", arbiter_future_get_aid(f), arbiter_proxy_get_aid(p));
        else
                (void)arbiter_message_reply_error(
                                m, arbiter_future_get_error_name(f), arbiter_future_get_error_text(f));
        arbiter_proxy_unref(p);
        arbiter_message_unref(m);
}

static int on_spawn_one(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *definition, *name;
        arbiter_future *f;
        int r = arbiter_message_read(m, "ss", &definition, &name);

        if (r < 0)
                return r;
        r = arbiter_actor_spawn(a, definition, name, NULL, &f);
        if (r < 0)
                return r;
        if (!arbiter_future_get_aid(f))
                return -EIO;
        r = arbiter_future_then(f, on_spawned, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static void on_killed(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;

        (void)arbiter_message_reply(m, "x", (int64_t)arbiter_future_get_outcome(f));
        arbiter_message_unref(m);
}

static int on_kill_one(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *target;
        arbiter_future *f;
        int r = arbiter_message_read(m, "s", &target);

        if (r < 0)
                return r;
        r = arbiter_call_async(a, &f, "arbiter", "kill_actor", 0, "s", target);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_killed, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

/* Work in threads. */

static int square(void *userdata) {
        atomic_fetch_add(&shared->work_ran, 1);
        return (int)((intptr_t)userdata * (intptr_t)userdata);
}

static void on_squared(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        int32_t n = -1;

        (void)arbiter_future_get(f, "i", &n);
        (void)arbiter_message_reply(m, "x", (int64_t)n);
        arbiter_message_unref(m);
}

static int on_square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_future *f;
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        r = arbiter_actor_run_in_thread(a, square, (void *)(intptr_t)n, &f);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_squared, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static int on_parameter(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *key, *value;
        int r = arbiter_message_read(m, "s", &key);

        if (r < 0)
                return r;
        value = arbiter_actor_get_parameter(a, key);
        return arbiter_message_reply(m, "s", value ? value : "");
}

static int on_self(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply(m, "ssu", arbiter_actor_get_aid(a), arbiter_actor_get_name(a),
                        arbiter_actor_get_generation(a));
}

/* Breaks all its direct links, as a peer that has said nonsense on them. */
static int on_cut(arbiter_actor *a, arbiter_message *m, void *userdata) {
        LIST_FOREACH(p, &a->peers, struct peer, peers)
        if (!p->control) {
                link_close(p->link);
                peer_handle_closed(p, -EBADMSG);
        }
        return arbiter_message_reply(m, "x", (int64_t)0);
}

static int on_links_max(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        if (r < 0)
                return r;
        a->links_max = (size_t)n;
        return arbiter_message_reply(m, "x", n);
}

static int on_sender(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_proxy *p;
        int r = arbiter_message_get_sender(m, &p);

        if (r < 0)
                return r;
        r = arbiter_message_reply(m, "s", arbiter_proxy_get_name(p));
        arbiter_proxy_unref(p);
        return r;
}

/* Hooks. */

static int mailbox_from_parameters(arbiter_actor *a) {
        const char *messages = arbiter_actor_get_parameter(a, "messages"),
                   *bytes = arbiter_actor_get_parameter(a, "bytes");
        const char *policy = arbiter_actor_get_parameter(a, "policy");
        arbiter_mailbox_policy p = ARBITER_MAILBOX_REJECT;
        int r = 0;

        if (!messages && !policy && !bytes)
                return 0;
        if (policy)
                r = arbiter_mailbox_policy_from_string(policy, &p);
        return r < 0 ? r
                     : arbiter_actor_set_mailbox(a, messages ? strtoull(messages, NULL, 10) : 0,
                                       bytes ? strtoull(bytes, NULL, 10) : 0, p);
}

static int start(arbiter_actor *a, void *userdata) {
        const char *how = arbiter_actor_get_parameter(a, "start");
        struct self *s = calloc(1, sizeof(*s));
        arbiter_future *f = NULL;
        int r;

        note('s');
        if (!s)
                return -ENOMEM;
        arbiter_actor_set_userdata(a, s);
        r = mailbox_from_parameters(a);
        if (r < 0 || !how)
                return r;
        if (strcmp(how, "fail") == 0)
                return -EDOM;
        if (strcmp(how, "delay") == 0)
                r = arbiter_call_async(a, &f, "arbiter", "ping", 0, "");
        else if (strcmp(how, "delay-fail") == 0)
                r = arbiter_call_async(a, &f, "nobody", "Work", 0, "x", (int64_t)1);
        else if (strcmp(how, "never") == 0)
                r = arbiter_call_async(a, &f, "keeper", "Hold", UINT64_MAX, "x", (int64_t)1);
        if (r >= 0 && f)
                r = arbiter_actor_delay_start(a, f);
        arbiter_future_unref(f);
        return r;
}

static int stopping(arbiter_actor *a, void *userdata) {
        const char *how = arbiter_actor_get_parameter(a, "stopping");
        arbiter_future *f;
        int r;

        note('t');
        if (!how)
                return 0;
        if (strcmp(how, "never") == 0)
                r = arbiter_call_async(a, &f, "keeper", "Hold", UINT64_MAX, "x", (int64_t)1);
        else
                r = arbiter_call_async(a, &f, "keeper", "Work", 0, "x", (int64_t)1);
        if (r < 0)
                return r;
        r = arbiter_actor_delay_stop(a, f);
        arbiter_future_unref(f);
        return r;
}

static void at_exit(arbiter_actor *a, void *userdata) {
        struct self *s = userdata;

        note('e');
        if (!s)
                return;
        for (unsigned i = 0; i < s->n_held; i++)
                arbiter_message_unref(s->held[i]);
        arbiter_proxy_unref(s->peer);
        free(s);
        arbiter_actor_set_userdata(a, NULL);
}

static int periodic_task(arbiter_actor *a, void *userdata) {
        atomic_fetch_add(&shared->periodic, 1);
        return 0;
}

static int on_info(arbiter_actor *a, arbiter_message *info, void *userdata) {
        return arbiter_message_append(info, "{sv}", "fixture", "u", (uint32_t)7);
}

static int add(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t x, y;
        int r = arbiter_message_read(m, "(xx)", &x, &y);

        return r < 0 ? r : arbiter_message_reply(m, "v", "(sx)", arbiter_actor_get_name(a), x + y);
}

static const arbiter_command functions[] = {
                ARBITER_COMMAND("add", "(xx)", "pair", "v", "sum", add, 0), ARBITER_COMMANDS_END};

enum { SYSTEM = ARBITER_COMMAND_SYSTEM, EXCLUSIVE = ARBITER_COMMAND_EXCLUSIVE };

static const arbiter_command commands[] = {ARBITER_COMMAND("Work", "x", "n", "x", "n", on_work, 0),
                ARBITER_COMMAND("Spin", "x", "usec", "x", "n", on_spin, 0),
                ARBITER_COMMAND("Mark", "x", "n", "x", "n", on_mark, 0),
                ARBITER_COMMAND("Block", "x", "n", "x", "n", on_block, 0),
                ARBITER_COMMAND("Hold", "x", "n", "x", "n", on_hold, 0),
                ARBITER_COMMAND("Exclusive", "x", "n", "x", "n", on_hold, EXCLUSIVE),
                ARBITER_COMMAND("ExclusiveForward", "x", "n", "x", "n", on_forward, EXCLUSIVE),
                ARBITER_COMMAND("Held", "x", "what", "x", "n", on_held, SYSTEM),
                ARBITER_COMMAND("Drop", "x", "n", "x", "n", on_drop, 0),
                ARBITER_COMMAND("BadReply", "x", "n", "x", "n", on_bad_reply, 0),
                ARBITER_COMMAND("Twice", "x", "n", "x", "n", on_twice, 0),
                ARBITER_COMMAND("Fail", "x", "n", "x", "n", on_fail, 0),
                ARBITER_COMMAND("Errno", "x", "n", "x", "n", on_errno, 0),
                ARBITER_COMMAND("Die", "x", "n", "x", "n", on_die, 0),
                ARBITER_COMMAND("ExitReason", "x", "reason", "", "", on_exit_reason, SYSTEM),
                ARBITER_COMMAND("Quit", "x", "code", "x", "n", on_quit, 0),
                ARBITER_COMMAND("Pid", "x", "n", "x", "pid", on_pid, SYSTEM),
                ARBITER_COMMAND("Deadlock", "x", "n", "x", "n", on_deadlock, 0),
                ARBITER_COMMAND("Remaining", "x", "n", "x", "n", on_remaining, 0),
                ARBITER_COMMAND("Number", "x", "which", "x", "n", on_number, SYSTEM),
                ARBITER_COMMAND("OnlyArbiter", "x", "n", "x", "n", on_work, ARBITER_COMMAND_ARBITER_ONLY),
                ARBITER_COMMAND("Sequence", "ut", "sender n", "", "", on_sequence, 0),
                ARBITER_COMMAND("Burst", "sutuu", "target sender first n die", "x", "n", on_burst, 0),
                ARBITER_COMMAND("Relay", "sstx", "target command timeout n", "yyuissx", NULL, on_relay, 0),
                ARBITER_COMMAND("Forward", "x", "n", "x", "n", on_forward, 0),
                ARBITER_COMMAND("Delegate", "x", "n", "x", "n", on_delegate, 0),
                ARBITER_COMMAND("SetPeer", "ssu", "aid name generation", "", "", on_set_peer, SYSTEM),
                ARBITER_COMMAND("Watch", "ssu", "aid name generation", "", "", on_watch, SYSTEM),
                ARBITER_COMMAND("Unwatch", "x", "n", "x", "r", on_unwatch, SYSTEM),
                ARBITER_COMMAND("Trap", "x", "n", "x", "n", on_trap, SYSTEM),
                ARBITER_COMMAND("Link", "ssu", "aid name generation", "", "", on_link, SYSTEM),
                ARBITER_COMMAND("Unlink", "ssu", "aid name generation", "", "", on_unlink, SYSTEM),
                ARBITER_COMMAND("BlockUnlink", "ssu", "aid name generation", "", "", on_block_unlink, 0),
                ARBITER_COMMAND("Fork", "x", "n", "x", "n", on_fork, 0),
                ARBITER_COMMAND("SpawnOne", "ss", "definition name", "ss", "aid aid", on_spawn_one, 0),
                ARBITER_COMMAND("KillOne", "s", "target", "x", "outcome", on_kill_one, 0),
                ARBITER_COMMAND("Square", "x", "n", "x", "n", on_square, 0),
                ARBITER_COMMAND("Parameter", "s", "key", "s", "value", on_parameter, 0),
                ARBITER_COMMAND("Self", "", "", "ssu", "aid name generation", on_self, SYSTEM),
                ARBITER_COMMAND("Cut", "x", "n", "x", "n", on_cut, SYSTEM),
                ARBITER_COMMAND("LinksMax", "x", "n", "x", "n", on_links_max, SYSTEM),
                ARBITER_COMMAND("Sender", "", "", "s", "name", on_sender, 0), ARBITER_COMMANDS_END};

const arbiter_module fixture_module = {
                ARBITER_MODULE_HEAD,
                .name = "fixture",
                .commands = commands,
                .functions = functions,
                .start = start,
                .stopping = stopping,
                .exit = at_exit,
                .periodic_task = periodic_task,
                .on_info = on_info,
};
