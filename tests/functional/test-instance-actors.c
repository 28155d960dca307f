/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instances of templates whose program is an actor: they come to the well-known socket without any
 * secret, and are known by what systemd says of them. Here systemd is the test: it says which process is
 * in which unit, and which one is the main process, and others say that they are, too. On this kernel and
 * as on one before 6.5. */

#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "arbiter/internal.h"
#include "test-hostile-util.h"

#define UNIT "primes@worker.service"

enum { STARTED_MAX = 8, IN_UNIT_MAX = 8 };

static int on_square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_message_reply(m, "x", n * n);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", on_square, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module squares = { ARBITER_MODULE_HEAD, .name = "squares", .commands = commands };

struct systemd_unit {
        const struct unit_events *events;
        void *userdata;
        bool stopped;
};

struct fixture {
        arbiter *a;
        char directory[64], socket[96];
        unsigned n_refused;
        char refused[256]; /* why, the last time */
        struct systemd_unit unit;
        unsigned n_starts, n_stops;
        struct {
                pid_t pid;
                const char *unit;
        } processes[IN_UNIT_MAX];
        unsigned n_processes;
        arbiter_future *future;
        int kept; /* the socket, for the next arbiter */
};

/* systemd */

static const char *why_not(void *userdata) {
        return NULL;
}

static int start_unit(void *userdata, const struct unit_request *q, const struct unit_events *events,
                void *events_userdata, struct systemd_unit **ret) {
        struct fixture *f = userdata;

        assert_string_equal(q->name, UNIT);
        assert_null(q->properties);
        f->unit = (struct systemd_unit){ .events = events, .userdata = events_userdata };
        f->n_starts++;
        *ret = &f->unit;
        return 0;
}

static void stop_unit(struct systemd_unit *u) {
        u->stopped = true;
}

static int kill_unit(struct systemd_unit *u, int signal, bool all) {
        return 0;
}

static void forget_unit(struct systemd_unit *u) {
}

static int unit_of(void *userdata, pid_t pid, char **ret) {
        struct fixture *f = userdata;

        for (unsigned i = 0; i < f->n_processes; i++)
                if (f->processes[i].pid == pid) {
                        *ret = strdup(f->processes[i].unit);
                        return *ret ? 0 : -ENOMEM;
                }
        return -ENXIO;
}

static void release_slice(void *userdata, const char *slice) {
}

static void free_systemd(void *userdata) {
}

static const struct unit_ops ops = {
        .why_not = why_not,
        .start = start_unit,
        .stop = stop_unit,
        .kill = kill_unit,
        .forget = forget_unit,
        .unit_of = unit_of,
        .release_slice = release_slice,
        .free = free_systemd,
};

static void put_into(struct fixture *f, pid_t pid, const char *unit) {
        assert_true(f->n_processes < IN_UNIT_MAX);
        f->processes[f->n_processes].pid = pid;
        f->processes[f->n_processes++].unit = unit;
}

static void tell_main(struct fixture *f, pid_t pid) {
        f->unit.events->main_process(pid, "0123456789abcdef0123456789abcdef", f->unit.userdata);
}

static void tell_end(struct fixture *f, int code, int status) {
        const struct unit_end e = {
                .started = true,
                .result = code == CLD_EXITED ? "success" : "signal",
                .code = code,
                .status = status,
        };

        f->unit.events->ended(&e, f->unit.userdata);
}

/* The arbiter */

static void on_log(const arbiter_log_entry *e, void *userdata) {
        struct fixture *f = userdata;

        if (!e->event || strcmp(e->event, "refused") != 0)
                return;
        f->n_refused++;
        (void) snprintf(f->refused, sizeof(f->refused), "%s", e->text);
}

static int keep(arbiter *a, const char *name, int fd, void *userdata) {
        struct fixture *f = userdata;

        if (strcmp(name, "mailbox") != 0)
                return 0;
        f->kept = close_fd(f->kept);
        if (fd >= 0)
                f->kept = fd_duplicate(fd);
        return 0;
}

static void start_arbiter(struct fixture *f, bool old_identity) {
        assert_ok(arbiter_new(NULL, NULL, &f->a));
        assert_ok(arbiter_set_log_handler(f->a, on_log, f));
        assert_ok(arbiter_set_runtime_directory(f->a, f->directory));
        f->a->unit_ops = &ops;
        f->a->systemd = f;
        f->a->old_identity = old_identity;
        assert_ok(arbiter_start(f->a));
        assert_ok(arbiter_set_keep_handler(f->a, keep, f));
}

static void start_worker(struct fixture *f) {
        unsigned n = f->n_starts;
        arbiter_spawn *s = NULL;

        assert_ok(arbiter_spawn_new(f->a, "worker", &s));
        assert_ok(arbiter_spawn_set_concurrency(s, ARBITER_CONCURRENCY_UNIT));
        assert_ok(arbiter_spawn_set_unit_template(s, "primes@.service", ARBITER_EXEC_MAILBOX));
        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_TEMPORARY));
        assert_ok(arbiter_spawn_start(s, &f->future));
        arbiter_spawn_unref(s);
        while (f->n_starts == n)
                assert_ok(sd_event_run(arbiter_get_event(f->a), UINT64_MAX));
        f->unit.events->begun(f->unit.userdata);
}

static int setup_as(void **state, bool old_identity) {
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        f->kept = -EBADF;
        strcpy(f->directory, "/tmp/test-instance-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        (void) snprintf(f->socket, sizeof(f->socket), "%s/mailbox", f->directory);
        start_arbiter(f, old_identity);
        start_worker(f);
        *state = f;
        return 0;
}

static int setup(void **state) {
        return setup_as(state, false);
}

static int setup_old(void **state) {
        return setup_as(state, true);
}

static int teardown(void **state) {
        struct fixture *f = *state;
        struct child *c = child_find(f->a, "worker");

        if (c && c->process.pid > 0)
                (void) kill(c->process.pid, SIGKILL);
        if (c)
                tell_end(f, CLD_KILLED, SIGKILL);
        arbiter_future_unref(f->future);
        assert_ok(arbiter_stop(f->a, 0));
        assert_int_equal(arbiter_run(f->a, false), 0);
        arbiter_unref(f->a);
        assert_int_equal(f->kept, -EBADF); /* nobody comes any more */
        while (waitpid(-1, NULL, 0) > 0)
                ;
        assert_int_equal(access(f->socket, F_OK), -1);
        assert_int_equal(rmdir(f->directory), 0);
        free(f);
        return 0;
}

/* Until the arbiter has seen all that is there to be seen. */
static void run_idle(struct fixture *f) {
        for (unsigned idle = 0; idle < 3;) {
                int r = sd_event_run(arbiter_get_event(f->a), 0);

                assert_ok(r);
                idle = r > 0 ? 0 : idle + 1;
        }
}

static pid_t start_actor(struct fixture *f) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                setenv("ARBITER_MAILBOX_SOCKET", f->socket, 1);
                _exit(arbiter_actor_main(&squares) == 0 ? 0 : 1);
        }
        return pid;
}

static void assert_works(struct fixture *f, pid_t pid) {
        arbiter_message *reply = NULL;
        int64_t n = 0;

        assert_ok(arbiter_future_wait(f->future, 0));
        assert_int_equal(arbiter_future_get_outcome(f->future), ARBITER_OUTCOME_REPLY);
        assert_int_equal(child_find(f->a, "worker")->process.pid, pid);
        assert_ok(arbiter_call(arbiter_get_actor(f->a), &reply, "worker", "square", 0, "x", (int64_t) 12));
        assert_int_equal(arbiter_message_read(reply, "x", &n), 1);
        assert_int_equal(n, 144);
        arbiter_message_unref(reply);
}

static void test_comes(void **state) {
        struct fixture *f = *state;
        struct stat st;
        pid_t pid;
        int status;

        assert_int_equal(stat(f->socket, &st), 0);
        pid = start_actor(f);
        put_into(f, pid, UNIT);
        tell_main(f, pid);
        assert_works(f, pid);
        assert_int_equal(f->n_refused, 0);
        /* A stop is a message first, as to any actor. */
        assert_ok(arbiter_stop(f->a, 0));
        while (waitpid(pid, &status, WNOHANG) == 0)
                assert_ok(sd_event_run(arbiter_get_event(f->a), 10 * 1000));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_false(f->unit.stopped);
        tell_end(f, CLD_EXITED, 0);
}

/* It is faster than systemd's word of it. */
static void test_comes_early(void **state) {
        struct fixture *f = *state;
        pid_t pid;

        pid = start_actor(f);
        put_into(f, pid, UNIT);
        run_until(f->a, &f->a->n_strangers, 1);
        run_idle(f);
        assert_int_equal(f->a->n_strangers, 1);
        assert_true(arbiter_future_is_pending(f->future));
        tell_main(f, pid);
        assert_works(f, pid);
        assert_int_equal(f->n_refused, 0);
}

/* It comes while no arbiter is there, and waits for the next one. */
static void test_comes_meanwhile(void **state) {
        struct fixture *f = *state;
        struct systemd_unit unit = f->unit;
        arbiter_future *future = f->future;
        arbiter *dead = f->a;
        struct stat st;
        pid_t pid;
        int fd;

        assert_true(f->kept >= 0);
        fd = fd_duplicate(f->kept);
        assert_ok(arbiter_set_keep_handler(dead, NULL, NULL));
        pid = start_actor(f);
        put_into(f, pid, UNIT);

        start_arbiter(f, dead->old_identity);
        assert_errno(mailbox_socket_adopt(f->a, STDIN_FILENO), ENOTSOCK);
        assert_ok(mailbox_socket_adopt(f->a, fd));
        assert_errno(mailbox_socket_adopt(f->a, fd), EALREADY);
        start_worker(f);
        tell_main(f, pid);
        assert_works(f, pid);
        assert_int_equal(stat(f->socket, &st), 0);

        arbiter_future_unref(future);
        unit.events->ended(&(struct unit_end){ .started = true, .result = "success" }, unit.userdata);
        assert_ok(arbiter_stop(dead, 0)); /* as far as one that is dead can */
        assert_int_equal(arbiter_run(dead, false), 0);
        arbiter_unref(dead);
}

/* Another socket, or one that nobody finds any more. */
static void test_not_the_socket(void **state) {
        struct fixture *f = *state;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        arbiter *a = NULL;
        int fd;

        assert_ok(arbiter_new(NULL, NULL, &a));
        assert_ok(arbiter_set_runtime_directory(a, f->directory));
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_errno(mailbox_socket_adopt(a, fd), EBADMSG);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/other", f->directory);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_errno(mailbox_socket_adopt(a, fd), EBADMSG);
        assert_int_equal(unlink(address.sun_path), 0);
        close(fd);
        assert_int_equal(unlink(f->socket), 0);
        assert_errno(mailbox_socket_adopt(a, f->kept), EBADMSG);
        arbiter_unref(a);
}

/* The others */

static int connect_socket(struct fixture *f) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        EXPECT(fd >= 0);
        strcpy(address.sun_path, f->socket);
        EXPECT(connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0);
        return fd;
}

static void wait_end(struct fixture *f, pid_t pid) {
        int status;

        while (waitpid(pid, &status, WNOHANG) == 0)
                assert_ok(sd_event_run(arbiter_get_event(f->a), 10 * 1000));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1); /* it was never one */
}

/* A process of this unit, started and connecting; NULL: of none. */
static pid_t start_stranger(struct fixture *f, const char *unit) {
        int go[2];
        pid_t pid;

        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                char byte;

                close(go[1]);
                (void) !read(go[0], &byte, 1); /* until it is where it belongs */
                setenv("ARBITER_MAILBOX_SOCKET", f->socket, 1);
                _exit(arbiter_actor_main(&squares) == 0 ? 0 : 1);
        }
        close(go[0]);
        if (unit)
                put_into(f, pid, unit);
        close(go[1]);
        return pid;
}

static void test_strangers(void **state) {
        static const char *const units[] = { NULL, "primes@2.service", "user@1000.service", "init.scope" };
        struct fixture *f = *state;
        pid_t pid = 0;

        for (unsigned i = 0; i < 2 * ELEMENTSOF(units); i++) {
                if (i == ELEMENTSOF(units)) { /* from here on it is known whom it waits for */
                        pid = start_stranger(f, UNIT);
                        tell_main(f, pid);
                }
                wait_end(f, start_stranger(f, units[i % ELEMENTSOF(units)]));
                assert_int_equal(i < ELEMENTSOF(units) ? f->a->n_strangers : 0, 0);
                if (i < ELEMENTSOF(units))
                        assert_true(arbiter_future_is_pending(f->future));
        }
        assert_true(f->n_refused > 0); /* told of once a second */
        assert_works(f, pid);
}

/* Of its unit, but a child of it, or a helper that runs before it. */
static void test_not_the_main_process(void **state) {
        struct fixture *f = *state;
        pid_t pid, early, late;

        pid = fork();
        if (pid == 0) {
                setenv("ARBITER_MAILBOX_SOCKET", f->socket, 1);
                (void) raise(SIGSTOP);
                _exit(arbiter_actor_main(&squares) == 0 ? 0 : 1);
        }
        put_into(f, pid, UNIT);
        early = start_stranger(f, UNIT);
        run_until(f->a, &f->a->n_strangers, 1); /* it may be the one */
        run_idle(f);
        assert_int_equal(f->n_refused, 0);
        tell_main(f, pid);
        wait_end(f, early);
        assert_int_equal(f->n_refused, 1);
        assert_non_null(strstr(f->refused, "it is not the main process of its unit"));
        late = start_stranger(f, UNIT);
        wait_end(f, late);
        assert_true(arbiter_future_is_pending(f->future));
        assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_works(f, pid);
        /* And when it is there, nobody else is. */
        wait_end(f, start_stranger(f, UNIT));
        assert_works(f, pid);
}

static void send_hello(int fd, const char *token) {
        static struct raw r;
        arbiter_message *m = raw_message("usu", (uint32_t) ENVELOPE_VERSION, token, (uint32_t) getpid());

        memset(&r, 0, sizeof(r));
        r.fd = fd;
        raw_send(&r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "hello", m);
}

/* The main process connects and dies; its child, which is in the unit still, speaks for it. */
static void test_speak_for_the_dead(void **state) {
        struct fixture *f = *state;
        int go[2], done[2];
        char byte = 0;
        pid_t pid;

        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        assert_int_equal(pipe2(done, O_CLOEXEC | O_NONBLOCK), 0);
        pid = fork();
        if (pid == 0) {
                int fd = connect_socket(f);

                if (fork() == 0) {
                        close(go[1]);
                        (void) !read(go[0], &byte, 1);
                        send_hello(fd, "");
                        (void) !read(fd, &byte, 1); /* until the arbiter hangs up */
                        _exit(0);
                }
                (void) raise(SIGSTOP);
                _exit(0);
        }
        close(go[0]);
        close(done[1]);
        put_into(f, pid, UNIT);
        assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
        tell_main(f, pid);
        run_until(f->a, &f->a->n_strangers, 1);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        close(go[1]);
        while (read(done[0], &byte, 1) < 0 || f->n_refused == 0) /* its child has ended, too */
                assert_ok(sd_event_run(arbiter_get_event(f->a), 10 * 1000));
        assert_non_null(strstr(f->refused, "it is dead, and somebody else speaks for it"));
        assert_true(arbiter_future_is_pending(f->future));
        close(done[0]);
}

/* Something that looks like a secret does not help: it was never given one. */
static void test_token(void **state) {
        struct fixture *f = *state;
        char byte;
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                int fd = connect_socket(f);

                send_hello(fd, "0000000000000000000000000000000000000000000000000000000000000000");
                _exit(read(fd, &byte, 1) == 0 ? 1 : 2);
        }
        put_into(f, pid, UNIT);
        tell_main(f, pid);
        wait_end(f, pid);
        assert_int_equal(f->n_refused, 1);
        assert_non_null(strstr(f->refused, "its token is not known"));
}

static void test_never_comes(void **state) {
        struct fixture *f = *state;
        struct child *c = child_find(f->a, "worker");
        pid_t pid = fork();

        if (pid == 0) {
                (void) pause();
                _exit(0);
        }
        put_into(f, pid, UNIT);
        tell_main(f, pid);
        f->unit.events->started(f->unit.userdata); /* to systemd it is */
        run_idle(f);
        assert_true(arbiter_future_is_pending(f->future));
        assert_ok(actor_timer_set(f->a->actor, &c->start_timer, 0));
        run_idle(f);
        assert_true(f->unit.stopped);
        assert_non_null(strstr(c->failure, "does its program call arbiter_actor_main()?"));
        assert_int_equal(kill(pid, SIGKILL), 0);
        tell_end(f, CLD_KILLED, SIGTERM);
        assert_ok(arbiter_future_wait(f->future, 0));
        assert_int_equal(arbiter_future_get_reason(f->future, NULL), ARBITER_REASON_START_TIMEOUT);
}

#define both(f)                                                                                            \
        cmocka_unit_test_setup_teardown(f, setup, teardown),                                               \
                        { #f "_old_kernel", f, setup_old, teardown, NULL }

int main(void) {
        const struct CMUnitTest tests[] = {
                both(test_comes),
                both(test_comes_early),
                both(test_comes_meanwhile),
                both(test_not_the_socket),
                both(test_strangers),
                both(test_not_the_main_process),
                both(test_speak_for_the_dead),
                both(test_token),
                both(test_never_comes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
