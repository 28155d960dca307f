/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See relink-fixture.h. Nothing here waits for time: a process that has no event for what it waits for looks
 * again each millisecond. */

#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "relink-fixture.h"

struct board *board;
const char *host_program, *module_file;
struct kept kept[KEPT];
unsigned n_kept;

/* The keeper. */

static void keep(const char *name, int fd) {
        for (unsigned i = 0; i < n_kept; i++)
                if (streq(kept[i].name, name)) {
                        close_fd(kept[i].fd);
                        kept[i] = kept[--n_kept];
                        break;
                }
        if (fd < 0)
                return;
        assert_true(n_kept < KEPT);
        (void)snprintf(kept[n_kept].name, sizeof(kept[n_kept].name), "%s", name);
        kept[n_kept++].fd = fd;
}

void forget_all_kept(void) {
        while (n_kept > 0)
                close_fd(kept[--n_kept].fd);
}

static aid aid_of(const char *actor) {
        aid id = {};

        for (uint32_t i = 0; i < board->n_actors; i++)
                if (streq(board->actors[i].name, actor))
                        assert_ok(aid_parse(board->actors[i].aid, &id));
        assert_false(aid_is_null(&id));
        return id;
}

unsigned count_kept_links(const char *actor) {
        aid id = aid_of(actor), other;
        unsigned n = 0, number;

        for (unsigned i = 0; i < n_kept; i++)
                n += child_link_parse_name(kept[i].name, &other, &number) >= 0 && aid_equal(&id, &other);
        return n;
}

/* A datagram is a name, with a descriptor or without; "!" says that the script is over. */
static void say(int socket, const char *name, int fd) {
        char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {};
        struct iovec iov = {(void *)name, strlen(name) + 1};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

        if (fd >= 0) {
                struct cmsghdr *c = (struct cmsghdr *)control;

                mh.msg_control = control;
                mh.msg_controllen = sizeof(control);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &fd, sizeof(int));
        }
        if (sendmsg(socket, &mh, MSG_NOSIGNAL) < 0)
                _exit(3);
}

/* False: there is no more. */
static bool hear(int socket, bool *ret_ready) {
        char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))), name[64] = {};
        struct iovec iov = {name, sizeof(name) - 1};
        struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control)};
        int fd = -EBADF;

        if (recvmsg(socket, &mh, MSG_CMSG_CLOEXEC) <= 0)
                return false;
        if (mh.msg_controllen > 0)
                memcpy(&fd, CMSG_DATA((struct cmsghdr *)control), sizeof(int));
        if (streq(name, "!"))
                *ret_ready = true;
        else
                keep(name, fd);
        return true;
}

static int on_keep(arbiter *a, const char *name, int fd, void *userdata) {
        struct stage *s = userdata;

        if (s->pid == 0)
                keep(name, fd >= 0 ? fd_duplicate(fd) : -EBADF);
        else
                say(s->socket, name, fd);
        s->promised += s->slow_keeper;
        return s->slow_keeper;
}

/* Arbiters. */

static void on_log(const arbiter_log_entry *e, void *userdata) {
        if (getenv("ARBITER_TEST_LOG"))
                fprintf(stderr, "# %d %s: %s\n", (int)getpid(), e->event ? e->event : "", e->text);
}

static void begin(struct stage *s) {
        assert_ok(arbiter_new(NULL, &arbiter_module_of_test, &s->arbiter));
        s->root = arbiter_get_actor(s->arbiter);
        assert_ok(arbiter_set_log_handler(s->arbiter, on_log, s));
        assert_ok(arbiter_set_keep_handler(s->arbiter, on_keep, s));
        if (host_program)
                assert_ok(arbiter_set_host_program(s->arbiter, host_program));
        assert_ok(arbiter_start(s->arbiter));
}

static _Noreturn void run_script(struct stage *s, void (*script)(struct stage *s)) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed assertion is not the next test's */
        s->pid = getpid();
        begin(s);
        script(s);
        say(s->socket, "!", -EBADF);
        for (;;)
                (void)sd_event_run(arbiter_get_event(s->arbiter), UINT64_MAX);
}

void stage_begin(struct stage *s, void (*script)(struct stage *s)) {
        bool ready = false;
        int fds[2];

        *s = (struct stage){};
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        s->socket = fds[1];
        s->pid = fork();
        assert_true(s->pid >= 0);
        if (s->pid == 0)
                run_script(s, script);
        close_fd(fds[1]);
        s->socket = fds[0];
        while (!ready)
                if (!hear(s->socket, &ready))
                        fail_msg("the script has failed");
}

void stage_kill(struct stage *s) {
        bool ready;
        int status;

        assert_int_equal(kill(s->pid, SIGKILL), 0);
        assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
        while (hear(s->socket, &ready)) /* what the keeper has in its socket, it has */
                ;
        s->socket = close_fd(s->socket);
}

void stage_begin_here(struct stage *s) {
        *s = (struct stage){.socket = -EBADF};
        begin(s);
}

void stage_end_here(struct stage *s) {
        for (unsigned i = 0; i < GATES; i++)
                open_gate(i);
        LIST_FOREACH(c, &s->arbiter->children, struct child, children)
                (void)child_stop(c, NULL);
        UNTIL(s, list_is_empty(&s->arbiter->children));
        assert_int_equal(n_kept, 0); /* nothing is kept of those who are no more */
        assert_ok(arbiter_stop(s->arbiter, 0));
        assert_ok(arbiter_run(s->arbiter, false));
        arbiter_unref(s->arbiter);
}

void stage_turn(struct stage *s, uint64_t end) {
        assert_ok(sd_event_run(arbiter_get_event(s->arbiter), 1000));
}

struct child *stage_child(struct stage *s, const char *name) {
        return child_find(s->arbiter, name);
}

arbiter_spawn *stage_describe(struct stage *s, const char *name) {
        arbiter_spawn *spawn;

        assert_ok(arbiter_spawn_new(s->arbiter, name, &spawn));
        assert_ok(arbiter_spawn_set_module(spawn, &relink_module));
        assert_ok(arbiter_spawn_set_concurrency(spawn, ARBITER_CONCURRENCY_PROCESS));
        if (geteuid() == 0)
                assert_ok(arbiter_spawn_set_user(spawn, "root"));
        return spawn;
}

arbiter_spawn *stage_describe_file(struct stage *s, const char *name, arbiter_concurrency c) {
        arbiter_spawn *spawn;

        assert_ok(arbiter_spawn_new(s->arbiter, name, &spawn));
        assert_ok(arbiter_spawn_set_module_file(spawn, module_file));
        assert_ok(arbiter_spawn_set_concurrency(spawn, c));
        if (geteuid() == 0)
                assert_ok(arbiter_spawn_set_user(spawn, "root"));
        return spawn;
}

/* Takes the spawn. */
void stage_start(struct stage *s, arbiter_spawn *spawn) {
        arbiter_future *f;

        assert_ok(arbiter_spawn_start(spawn, &f));
        UNTIL(s, !arbiter_future_is_pending(f));
        if (arbiter_future_get(f, "") < 0)
                fail_msg("spawn: %s", arbiter_future_get_error_text(f));
        arbiter_future_unref(f);
        stage_note(s, spawn->name);
        arbiter_spawn_unref(spawn);
}

void stage_spawn(struct stage *s, const char *name) {
        stage_start(s, stage_describe(s, name));
}

void stage_note(struct stage *s, const char *name) {
        struct child *c = child_find(s->arbiter, name);

        assert_non_null(c);
        (void)snprintf(board->actors[board->n_actors].name, sizeof(board->actors[0].name), "%s", name);
        (void)snprintf(board->actors[board->n_actors].aid, sizeof(board->actors[0].aid), "%s",
                        c->aid_string.s);
        board->actors[board->n_actors].generation = c->generation;
        board->actors[board->n_actors++].pid = c->process.pid;
}

static void relink_all(struct child *c) {
        unsigned number;
        aid other;

        for (unsigned i = 0; i < n_kept; i++)
                if (child_link_parse_name(kept[i].name, &other, &number) >= 0 && aid_equal(&other, &c->aid))
                        assert_ok(child_relink(c, number, fd_duplicate(kept[i].fd)));
}

/* Takes the spawn. */
static struct child *adopt_name(struct stage *s, arbiter_spawn *spawn, const char *name) {
        aid id = aid_of(name);
        struct child *c;

        assert_ok(child_new(s->arbiter, spawn, name, &id, &c));
        arbiter_spawn_unref(spawn);
        for (uint32_t i = 0; i < board->n_actors; i++)
                if (streq(board->actors[i].name, name)) {
                        c->generation = board->actors[i].generation;
                        c->process.pid = board->actors[i].pid;
                }
        return c;
}

static struct child *adopt(struct stage *s, arbiter_spawn *spawn, const char *name) {
        struct child *c = adopt_name(s, spawn, name);

        /* The test is its subreaper, so it is a child of whoever runs in the test. */
        c->process.pidfd = (int)syscall(SYS_pidfd_open, c->process.pid, 0);
        assert_true(c->process.pidfd >= 0);
        c->process.own_group = true;
        assert_ok(child_watch_death(c));
        return c;
}

static struct child *adopt_running(struct child *c) {
        c->welcomed = true;
        c->started_usec = now_usec();
        child_set_state(c, ARBITER_STATE_RUNNING);
        relink_all(c);
        return c;
}

struct child *stage_adopt(struct stage *s, const char *name) {
        return adopt_running(adopt(s, stage_describe(s, name), name));
}

struct child *stage_adopt_host(struct stage *s, const char *name) {
        struct child *c = adopt(s, stage_describe_file(s, name, ARBITER_CONCURRENCY_PROCESS), name);

        c->is_host = true;
        return adopt_running(c);
}

struct child *stage_adopt_thread(struct stage *s, const char *name, struct child *host) {
        struct child *c = adopt_name(s, stage_describe_file(s, name, ARBITER_CONCURRENCY_THREAD), name);

        c->host = host;
        list_append(&host->hosted, &c->hosted);
        return adopt_running(c);
}

struct child *stage_adopt_starting(struct stage *s, const char *name, const char *spawner, bool welcomed) {
        struct child *c = adopt(s, stage_describe(s, name), name);

        c->welcomed = welcomed;
        if (spawner)
                c->spawner = aid_of(spawner);
        child_set_state(c, ARBITER_STATE_STARTING);
        relink_all(c);
        return c;
}

void stage_tell(struct stage *s, const char *name, const char *command, const char *signature, ...) {
        arbiter_message *m;
        va_list ap;

        assert_ok(arbiter_message_new(&m));
        va_start(ap, signature);
        if (*signature)
                assert_ok(arbiter_message_appendv(m, signature, ap));
        va_end(ap);
        assert_ok(arbiter_send_message(s->root, name, NULL, command, m, 0, NULL));
        arbiter_message_unref(m);
        UNTIL(s, link_get_buffered(stage_child(s, name)->peer->link) == 0);
}

int64_t stage_ask(struct stage *s, const char *name, const char *command, int64_t value) {
        arbiter_future *f;
        int64_t answer = -1;

        assert_ok(arbiter_call_async(s->root, &f, name, command, GUARD_USEC, "x", value));
        UNTIL(s, !arbiter_future_is_pending(f));
        if (arbiter_future_get(f, "x", &answer) <= 0)
                fail_msg("%s of %s: %s", command, name, arbiter_future_get_error_text(f));
        arbiter_future_unref(f);
        return answer;
}

void wait_for(_Atomic uint32_t *counter, uint32_t value) {
        uint64_t end = now_usec() + GUARD_USEC;
        uint32_t n;

        while ((n = atomic_load(counter)) < value) {
                const struct timespec guard = {.tv_sec = 1};

                if (now_usec() > end)
                        fail_msg("the counter is %u, not %u", n, value);
                (void)syscall(SYS_futex, counter, FUTEX_WAIT, n, &guard, NULL, 0);
        }
}

/* The actors: forks, which never assert. */

static uint32_t count(_Atomic uint32_t *counter) {
        uint32_t n = atomic_fetch_add(counter, 1) + 1;

        (void)syscall(SYS_futex, counter, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
        return n;
}

/* No longer than the test would wait: one that has failed leaves nobody behind. */
static void wait_at(unsigned n) {
        const struct timespec guard = {.tv_sec = 1};
        uint64_t end = now_usec() + 2 * GUARD_USEC;

        (void)count(&board->entered[n]);
        while (atomic_load(&board->open[n]) == 0 && now_usec() < end)
                (void)syscall(SYS_futex, &board->open[n], FUTEX_WAIT, 0, &guard, NULL, 0);
}

void open_gate(unsigned n) {
        atomic_store(&board->open[n], 1);
        (void)syscall(SYS_futex, &board->open[n], FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void note(arbiter_future *f, void *userdata) {
        unsigned i = (unsigned)(uintptr_t)userdata;
        const char *text = arbiter_future_get_error_text(f);

        board->result[i].outcome = arbiter_future_get_outcome(f);
        board->result[i].executed = arbiter_future_get_executed(f);
        (void)snprintf(board->result[i].text, sizeof(board->result[i].text), "%s", text ? text : "");
        (void)count(&board->result[i].n);
}

static int note_when_there(arbiter_future *f, uint32_t i) {
        int r = arbiter_future_then(f, note, (void *)(uintptr_t)i);

        arbiter_future_unref(f);
        (void)count(&board->asked);
        return r;
}

static int on_ask(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *target, *command;
        arbiter_future *f;
        uint64_t timeout;
        uint32_t i;
        int r = arbiter_message_read(m, "sstu", &target, &command, &timeout, &i);

        if (r < 0)
                return r;
        r = streq(target, "arbiter") ? arbiter_call_async(a, &f, target, command, timeout, "")
                                     : arbiter_call_async(a, &f, target, command, timeout, "x", (int64_t)1);
        return r < 0 ? r : note_when_there(f, i);
}

static int on_spawn(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *definition, *name;
        arbiter_future *f;
        uint32_t i;
        int r = arbiter_message_read(m, "ssu", &definition, &name, &i);

        if (r < 0)
                return r;
        r = arbiter_actor_spawn(a, definition, *name ? name : NULL, NULL, &f);
        return r < 0 ? r : note_when_there(f, i);
}

static int read_proxy(arbiter_message *m, arbiter_proxy **ret) {
        const char *id, *name;
        uint32_t generation;
        int r = arbiter_message_read(m, "ssu", &id, &name, &generation);

        return r < 0 ? r : arbiter_proxy_new(id, name, generation, ret);
}

static void on_down(arbiter_actor *a, const arbiter_down *d, void *userdata) {
        unsigned i = (unsigned)(uintptr_t)userdata;

        board->down[i].reason = d->reason;
        board->down[i].status = d->status;
        atomic_fetch_add(&board->down[i].n, 1);
}

static int on_watch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_proxy *p;
        uint32_t i;
        int r = read_proxy(m, &p);

        if (r < 0)
                return r;
        r = arbiter_message_read(m, "u", &i);
        if (r >= 0)
                r = arbiter_actor_watch(a, p, on_down, (void *)(uintptr_t)i, NULL);
        arbiter_proxy_unref(p);
        return r;
}

static void on_exit_signal(arbiter_actor *a, const arbiter_down *d, void *userdata) {
        board->exits.reason = d->reason;
        atomic_fetch_add(&board->exits.n, 1);
}

static int on_link(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_proxy *p;
        int r = read_proxy(m, &p);

        if (r < 0)
                return r;
        r = arbiter_actor_trap_exit(a, on_exit_signal, NULL);
        if (r >= 0)
                r = arbiter_actor_link(a, p);
        arbiter_proxy_unref(p);
        return r;
}

static int on_block(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint32_t n;
        int r = arbiter_message_read(m, "u", &n);

        if (r >= 0)
                wait_at(n);
        return r;
}

static int on_exit_reason(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint32_t reason;
        int r = arbiter_message_read(m, "u", &reason);

        return r < 0 ? r : arbiter_actor_exit(a, (arbiter_reason)reason);
}

static int on_sequence(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint64_t n;
        int r = arbiter_message_read(m, "t", &n);

        if (r < 0)
                return r;
        if (count(&board->received) != n)
                atomic_fetch_add(&board->order_errors, 1);
        return 0;
}

/* Casts number first ... first + n - 1 to a target. */
static int on_burst(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *target;
        uint64_t first, n;
        int r = arbiter_message_read(m, "stt", &target, &first, &n);

        for (uint64_t i = 0; r >= 0 && i < n; i++)
                r = arbiter_send(a, target, "Sequence", "t", first + i);
        return r;
}

static int on_echo(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        atomic_fetch_add(&board->served, 1);
        return r < 0 ? r : arbiter_message_reply(m, "x", n + 1);
}

static int on_pid(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_message_reply(m, "x", (int64_t)getpid());
}

static int on_number_of_links(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_mailbox_statistics s = {.size = sizeof(s)};
        int r = arbiter_actor_get_statistics(a, &s);

        return r < 0 ? r : arbiter_message_reply(m, "x", (int64_t)s.links);
}

/* An actor by this name takes its time to start. */
static int start(arbiter_actor *a, void *userdata) {
        if (streq(arbiter_actor_get_name(a), "slow"))
                wait_at(7);
        return 0;
}

static void on_group_change(arbiter_actor *a, const arbiter_group_change *change, void *userdata) {
        if (change->event != ARBITER_GROUP_SETTLED)
                atomic_fetch_add(&board->changes, 1);
}

static int on_join(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *group;
        int r;

        r = arbiter_message_read(m, "s", &group);
        if (r >= 0)
                r = arbiter_actor_watch_group(a, group, on_group_change, NULL, NULL);
        return r < 0 ? r : arbiter_actor_join(a, group, NULL);
}

static void on_locked(arbiter_future *f, void *userdata) {
        if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY)
                atomic_fetch_add(&board->locked, 1);
}

static int on_lock(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        const char *name;
        int r;

        r = arbiter_message_read(m, "s", &name);
        if (r >= 0)
                r = arbiter_actor_lock(a, name, 0, UINT64_MAX, &f);
        return r < 0 ? r : arbiter_future_then(f, on_locked, NULL);
}

static const arbiter_command commands[] = {
                ARBITER_COMMAND("Join", "s", "group", "", "", on_join, 0),
                ARBITER_COMMAND("Lock", "s", "name", "", "", on_lock, 0),
                ARBITER_COMMAND("Ask", "sstu", "target command timeout result", "", "", on_ask, 0),
                ARBITER_COMMAND("Spawn", "ssu", "definition name result", "", "", on_spawn, 0),
                ARBITER_COMMAND("Watch", "ssuu", "aid name generation down", "", "", on_watch, 0),
                ARBITER_COMMAND("Link", "ssu", "aid name generation", "", "", on_link, 0),
                ARBITER_COMMAND("Block", "u", "gate", "", "", on_block, 0),
                ARBITER_COMMAND("Exit", "u", "reason", "", "", on_exit_reason, 0),
                ARBITER_COMMAND("Sequence", "t", "n", "", "", on_sequence, 0),
                ARBITER_COMMAND("Burst", "stt", "target first n", "", "", on_burst, 0),
                ARBITER_COMMAND("Echo", "x", "n", "x", "n", on_echo, 0),
                ARBITER_COMMAND("Pid", "x", "n", "x", "pid", on_pid, 0),
                ARBITER_COMMAND("Links", "x", "n", "x", "n", on_number_of_links, 0),
                ARBITER_COMMANDS_END};

const arbiter_module relink_module = {
                ARBITER_MODULE_HEAD, .name = "relink", .commands = commands, .start = start};

/* Of the arbiter itself. */

static int on_hold(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_message_ref(m); /* it dies with it */
        atomic_fetch_add(&board->entered[6], 1);
        return 0;
}

static int on_serve(arbiter_actor *a, arbiter_message *m, void *userdata) {
        atomic_fetch_add(&board->served, 1);
        return arbiter_message_reply(m, "x", (int64_t)1);
}

static const arbiter_command arbiter_commands_of_test[] = {
                ARBITER_COMMAND("Hold", "", "", "", "", on_hold, 0),
                ARBITER_COMMAND("Serve", "", "", "x", "n", on_serve, 0), ARBITER_COMMANDS_END};

const arbiter_module arbiter_module_of_test = {
                ARBITER_MODULE_HEAD, .name = "test", .commands = arbiter_commands_of_test};

int relink_run(const char *group, const struct CMUnitTest *tests, size_t n) {
        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (board == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return 1;
        return _cmocka_run_group_tests(group, tests, n, NULL, NULL);
}
