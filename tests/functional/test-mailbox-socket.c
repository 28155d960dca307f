/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The well-known socket: actors that somebody else starts, and strangers who would like to be one. */

#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "arbiter/internal.h"
#include "state-check.h"
#include "test-hostile-util.h"

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

struct fixture {
        arbiter *a;
        char directory[64], socket[96], token_file[96];
        unsigned n_refused;
        unsigned n_kept; /* pidfds */
};

static void on_log(const arbiter_log_entry *e, void *userdata) {
        struct fixture *f = userdata;

        if (e->event && strcmp(e->event, "refused") == 0)
                f->n_refused++;
}

static int on_keep(arbiter *a, const char *name, int fd, void *userdata) {
        struct fixture *f = userdata;

        f->n_kept += name[0] == 'p' && fd >= 0;
        return 0;
}

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        strcpy(f->directory, "/tmp/test-mailbox-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        assert_int_equal(chmod(f->directory, 0711), 0);
        (void) snprintf(f->socket, sizeof(f->socket), "%s/mailbox", f->directory);
        (void) snprintf(f->token_file, sizeof(f->token_file), "%s/token", f->directory);
        assert_ok(arbiter_new(NULL, NULL, &f->a));
        state_check_turns(f->a);
        assert_ok(arbiter_set_log_handler(f->a, on_log, f));
        assert_ok(arbiter_set_keep_handler(f->a, on_keep, f));
        assert_ok(arbiter_set_runtime_directory(f->a, f->directory));
        assert_ok(arbiter_start(f->a));
        *state = f;
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        assert_ok(arbiter_stop(f->a, 0));
        assert_int_equal(arbiter_run(f->a, false), 0);
        arbiter_unref(f->a);
        (void) unlink(f->token_file);
        assert_int_equal(access(f->socket, F_OK), -1); /* nothing is left behind */
        assert_int_equal(rmdir(f->directory), 0);
        free(f);
        return 0;
}

enum { NOBODY = 65534 };

static arbiter_future *expect_user(struct fixture *f, const char *name, uint64_t start_timeout,
                const char *user) {
        arbiter_spawn *s = NULL;
        arbiter_future *future = NULL;
        char *token = NULL;
        int fd;

        assert_ok(arbiter_spawn_new(f->a, name, &s));
        assert_ok(arbiter_spawn_set_timeouts(s, 0, start_timeout, 0, 0));
        if (user)
                assert_ok(arbiter_spawn_set_user(s, user));
        assert_ok(arbiter_spawn_expect(s, &token, &future));
        assert_int_equal(strlen(token), 64);
        fd = open(f->token_file, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_ok(write_all(fd, token, 64));
        if (user)
                assert_int_equal(fchown(fd, NOBODY, NOBODY), 0);
        close(fd);
        free(token);
        arbiter_spawn_unref(s);
        return future;
}

static arbiter_future *expect_named(struct fixture *f, const char *name, uint64_t start_timeout) {
        return expect_user(f, name, start_timeout, NULL);
}

/* As another program would: only the environment tells it. */
static pid_t start_actor_as(struct fixture *f, uid_t uid) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (uid != geteuid() && (setgroups(0, NULL) < 0 || setresuid(uid, uid, uid) < 0))
                        _exit(2);
                setenv("ARBITER_MAILBOX_SOCKET", f->socket, 1);
                setenv("ARBITER_TOKEN_FILE", f->token_file, 1);
                _exit(arbiter_actor_main(&squares) == 0 ? 0 : 1);
        }
        return pid;
}

static pid_t start_actor(struct fixture *f) {
        return start_actor_as(f, geteuid());
}

static void assert_squares(struct fixture *f, const char *name) {
        arbiter_message *reply = NULL;
        int64_t n = 0;

        assert_ok(arbiter_call(arbiter_get_actor(f->a), &reply, name, "square", 0, "x", (int64_t) 12));
        assert_int_equal(arbiter_message_read(reply, "x", &n), 1);
        assert_int_equal(n, 144);
        arbiter_message_unref(reply);
}

static void run_expected(struct fixture *f, bool old_identity) {
        arbiter_future *future = expect_named(f, "guest", 0);
        pid_t pid, again;
        int status;

        f->a->old_identity = old_identity;
        pid = start_actor(f);
        assert_ok(arbiter_future_wait(future, 0));
        assert_int_equal(arbiter_future_get_outcome(future), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(future);
        assert_squares(f, "guest");
        assert_int_equal(child_find(f->a, "guest")->process.pid, pid);
        assert_int_equal(f->n_kept, 1); /* the next arbiter has it as we do */

        /* A used token opens nothing, and does not disturb whom it belonged to. */
        again = start_actor(f);
        while (f->n_refused == 0)
                assert_ok(sd_event_run(arbiter_get_event(f->a), UINT64_MAX));
        assert_int_equal(waitpid(again, &status, 0), again);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1); /* it was never one, and leaves */
        assert_squares(f, "guest");
}

static void test_expected(void **state) {
        run_expected(*state, false);
}

static void test_expected_old_kernel(void **state) {
        run_expected(*state, true);
}

static void test_never_comes(void **state) {
        struct fixture *f = *state;
        arbiter_future *future = expect_named(f, "late", 100 * 1000);
        int status;

        assert_ok(arbiter_future_wait(future, 0));
        assert_int_equal(arbiter_future_get_outcome(future), ARBITER_OUTCOME_CALLEE_DIED);
        assert_int_equal(arbiter_future_get_reason(future, &status), ARBITER_REASON_START_TIMEOUT);
        arbiter_future_unref(future);
        assert_null(child_find(f->a, "late"));
}

static void on_down(arbiter_actor *a, const arbiter_down *down, void *userdata) {
        *(arbiter_reason *) userdata = down->reason;
}

static void test_death_is_seen(void **state) {
        struct fixture *f = *state;
        arbiter_future *future = expect_named(f, "guest", 0);
        arbiter_reason reason = ARBITER_REASON_NORMAL;
        arbiter_proxy *p = NULL;
        pid_t pid = start_actor(f);

        assert_ok(arbiter_future_wait(future, 0));
        assert_ok(arbiter_future_get_proxy(future, &p));
        assert_ok(arbiter_actor_watch(arbiter_get_actor(f->a), p, on_down, &reason, NULL));
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (reason == ARBITER_REASON_NORMAL)
                assert_ok(sd_event_run(arbiter_get_event(f->a), UINT64_MAX));
        assert_int_equal(reason, ARBITER_REASON_SIGNAL);
        arbiter_proxy_unref(p);
        arbiter_future_unref(future);
}

static int connect_socket(struct fixture *f) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        strcpy(address.sun_path, f->socket);
        assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

/* The arbiter hangs up, and says why. */
static void assert_refused(struct fixture *f, int fd) {
        unsigned before = f->n_refused;
        struct pollfd p = { .fd = fd, .events = POLLIN };

        while (poll(&p, 1, 0) == 0)
                assert_ok(sd_event_run(arbiter_get_event(f->a), 10 * 1000));
        assert_true(p.revents & (POLLHUP | POLLIN));
        assert_true(f->n_refused >= before);
        close(fd);
}

static void another_user(struct fixture *f, bool old_identity) {
        arbiter_future *future;
        struct stat st;
        pid_t pid;

        if (geteuid() != 0)
                skip();
        f->a->old_identity = old_identity;
        future = expect_user(f, "guest", 0, "nobody");
        assert_int_equal(stat(f->socket, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0666);
        pid = start_actor_as(f, NOBODY);
        assert_ok(arbiter_future_wait(future, 0));
        assert_int_equal(arbiter_future_get_outcome(future), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(future);
        assert_squares(f, "guest");
        assert_int_equal(child_find(f->a, "guest")->process.pid, pid);
}

static void test_another_user(void **state) {
        another_user(*state, false);
}

static void test_another_user_old_kernel(void **state) {
        another_user(*state, true);
}

/* Who may have no actor here takes nobody's place, and learns nothing, even with a token that is good: it
 * was stolen. */
static void strangers_of_another_user(struct fixture *f, bool old_identity) {
        arbiter_future *future;
        int status;
        pid_t pid;

        if (geteuid() != 0)
                skip();
        f->a->old_identity = old_identity;
        future = expect_named(f, "guest", 0);
        assert_int_equal(chmod(f->token_file, 0644), 0);
        for (unsigned i = 0; i < 3; i++) {
                pid = start_actor_as(f, NOBODY);
                while (waitpid(pid, &status, WNOHANG) == 0) {
                        assert_ok(sd_event_run(arbiter_get_event(f->a), 10 * 1000));
                        assert_int_equal(f->a->n_strangers, 0);
                }
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        }
        assert_int_equal(f->n_refused, 1); /* told of once a second */
        assert_true(arbiter_future_is_pending(future));
        (void) start_actor(f);
        assert_ok(arbiter_future_wait(future, 0));
        assert_int_equal(arbiter_future_get_outcome(future), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(future);
}

static void test_strangers_of_another_user(void **state) {
        strangers_of_another_user(*state, false);
}

static void test_strangers_of_another_user_old_kernel(void **state) {
        strangers_of_another_user(*state, true);
}

static void send_hello(int fd, const char *token) {
        static struct raw r;
        arbiter_message *m = raw_message("usu", (uint32_t) ENVELOPE_VERSION, token, (uint32_t) getpid());

        memset(&r, 0, sizeof(r));
        r.fd = fd;
        raw_send(&r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "hello", m);
}

static void test_strangers(void **state) {
        struct fixture *f = *state;
        arbiter_future *future = expect_named(f, "guest", 0);
        uint8_t garbage[256];
        uint32_t huge[16] = { 0xfffffff8 };
        int fd;

        fd = connect_socket(f);
        send_hello(fd, "");
        assert_refused(f, fd);

        fd = connect_socket(f);
        send_hello(fd, "0000000000000000000000000000000000000000000000000000000000000000");
        assert_refused(f, fd);

        fd = connect_socket(f);
        send_hello(fd, "short");
        assert_refused(f, fd);

        memset(garbage, 0xa5, sizeof(garbage));
        fd = connect_socket(f);
        assert_int_equal(send(fd, garbage, sizeof(garbage), 0), sizeof(garbage));
        assert_refused(f, fd);

        fd = connect_socket(f);
        assert_int_equal(send(fd, huge, sizeof(huge), 0), sizeof(huge));
        assert_refused(f, fd);

        fd = connect_socket(f);
        assert_int_equal(send(fd, huge, 7, 0), 7); /* half a message */
        assert_refused(f, fd);
        assert_true(f->n_refused >= 3);

        /* None of them has used up the token. */
        (void) start_actor(f);
        assert_ok(arbiter_future_wait(future, 0));
        assert_int_equal(arbiter_future_get_outcome(future), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(future);
        assert_squares(f, "guest");
}

/* A process connects and dies; its child, which holds the connection, knows the token. */
static void speak_for_the_dead(struct fixture *f, bool old_identity) {
        arbiter_future *future = expect_named(f, "guest", 0);
        char token[65] = "", byte = 0;
        int go[2], fd, status;
        pid_t pid;

        f->a->old_identity = old_identity;
        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        fd = open(f->token_file, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, token, 64), 64);
        close(fd);
        pid = fork();
        if (pid == 0) {
                fd = connect_socket(f);
                if (fork() == 0) {
                        close(go[1]);
                        (void) !read(go[0], &byte, 1);
                        send_hello(fd, token);
                        (void) !read(fd, &byte, 1); /* until the arbiter hangs up */
                        _exit(0);
                }
                _exit(0);
        }
        close(go[0]);
        while (f->a->n_strangers == 0 && f->n_refused == 0) /* an old kernel: refused at the door, if dead */
                assert_ok(sd_event_run(arbiter_get_event(f->a), UINT64_MAX));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        close(go[1]);
        while (f->n_refused == 0 && arbiter_future_is_pending(future))
                assert_ok(sd_event_run(arbiter_get_event(f->a), UINT64_MAX));
        assert_true(arbiter_future_is_pending(future));

        (void) start_actor(f); /* the token is good still */
        assert_ok(arbiter_future_wait(future, 0));
        assert_int_equal(arbiter_future_get_outcome(future), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(future);
        assert_squares(f, "guest");
}

static void test_speak_for_the_dead(void **state) {
        speak_for_the_dead(*state, false);
}

static void test_speak_for_the_dead_old_kernel(void **state) {
        speak_for_the_dead(*state, true);
}

static void test_silent_strangers(void **state) {
        struct fixture *f = *state;
        arbiter_future *future = expect_named(f, "guest", 0);
        int fds[2 * STRANGERS_MAX];

        for (unsigned i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = connect_socket(f);
                assert_ok(sd_event_run(arbiter_get_event(f->a), 0));
        }
        assert_true(f->a->n_strangers <= STRANGERS_MAX);
        /* The door is not blocked by those who stand in it. */
        (void) start_actor(f);
        assert_ok(arbiter_future_wait(future, 0));
        assert_int_equal(arbiter_future_get_outcome(future), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(future);
        for (unsigned i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

/* Who floods the socket, as a user whose actor is awaited, pushes out nobody but himself. */
static void test_flood(void **state) {
        struct fixture *f = *state;
        arbiter_future *ours, *theirs;
        struct pollfd p = { .events = POLLIN };
        int connected[2], status;
        pid_t pid;
        char c;

        if (geteuid() != 0)
                skip();
        theirs = expect_user(f, "theirs", 0, "nobody");
        ours = expect_named(f, "ours", 0);
        p.fd = connect_socket(f);
        while (f->a->n_strangers == 0)
                assert_ok(sd_event_run(arbiter_get_event(f->a), UINT64_MAX));
        assert_int_equal(pipe2(connected, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setgroups(0, NULL) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                        _exit(2);
                for (unsigned i = 0; i < 3 * STRANGERS_MAX; i++)
                        (void) connect_socket(f);
                _exit(write(connected[1], "x", 1) == 1 ? pause() : 3);
        }
        while (poll(&(struct pollfd){ .fd = connected[0], .events = POLLIN }, 1, 0) == 0 ||
                        sd_event_run(arbiter_get_event(f->a), 0) > 0)
                assert_ok(sd_event_run(arbiter_get_event(f->a), 10 * 1000));
        assert_int_equal(read(connected[0], &c, 1), 1);
        assert_int_equal(f->a->n_strangers, STRANGERS_MAX);
        assert_int_equal(kill(pid, SIGKILL), 0); /* it has the arbiter's ends, too, as a fork */
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(poll(&p, 1, 0), 0);
        close(p.fd);
        close_many(connected, 2);
        arbiter_future_unref(ours);
        arbiter_future_unref(theirs);
}

static void test_refused_settings(void **state) {
        struct fixture *f = *state;
        arbiter_spawn *s = NULL;
        char *token = NULL;

        assert_ok(arbiter_spawn_new(f->a, "both", &s));
        assert_ok(arbiter_spawn_set_module(s, &squares));
        assert_errno(arbiter_spawn_expect(s, &token, NULL), EINVAL);
        assert_null(token);
        arbiter_spawn_unref(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_expected, setup, teardown),
                cmocka_unit_test_setup_teardown(test_expected_old_kernel, setup, teardown),
                cmocka_unit_test_setup_teardown(test_never_comes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_death_is_seen, setup, teardown),
                cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_silent_strangers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_speak_for_the_dead, setup, teardown),
                cmocka_unit_test_setup_teardown(test_speak_for_the_dead_old_kernel, setup, teardown),
                cmocka_unit_test_setup_teardown(test_another_user, setup, teardown),
                cmocka_unit_test_setup_teardown(test_strangers_of_another_user, setup, teardown),
                cmocka_unit_test_setup_teardown(test_another_user_old_kernel, setup, teardown),
                cmocka_unit_test_setup_teardown(test_strangers_of_another_user_old_kernel, setup, teardown),
                cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refused_settings, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
