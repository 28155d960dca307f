/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/bus: what changes is told to all, and what peers do to each other and to us: vanish, flood, never
 * read, send nonsense. And the socket's place in the file system. */

#include "bus-fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "basic/fd.h"

/* Signals as lines. */
struct log {
        char text[4096];
        size_t n;
};

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct log *log = userdata;
        uint8_t type;

        assert_ok(sd_bus_message_get_type(m, &type));
        if (type != SD_BUS_MESSAGE_SIGNAL || !startswith(sd_bus_message_get_path(m) ?: "", BUS_PATH))
                return 0;
        log->n += (size_t) snprintf(log->text + log->n, sizeof(log->text) - log->n, "%s %s",
                        sd_bus_message_get_path(m) + strlen(BUS_PATH), sd_bus_message_get_member(m));
        for (;;) {
                const char *contents, *s;
                char what;

                if (sd_bus_message_peek_type(m, &what, &contents) <= 0)
                        break;
                if (what == 's' || what == 'o') {
                        assert_ok(sd_bus_message_read_basic(m, what, &s));
                        log->n += (size_t) snprintf(
                                        log->text + log->n, sizeof(log->text) - log->n, " %s", s);
                } else if (what == 'i' || what == 'u') {
                        int32_t number;

                        assert_ok(sd_bus_message_read_basic(m, what, &number));
                        log->n += (size_t) snprintf(
                                        log->text + log->n, sizeof(log->text) - log->n, " %d", number);
                } else if (what == 'a' && streq(contents, "{sv}")) {
                        assert_ok(sd_bus_message_enter_container(m, 'a', "{sv}"));
                        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                                assert_ok(sd_bus_message_read_basic(m, 's', &s));
                                assert_ok(sd_bus_message_skip(m, "v"));
                                assert_ok(sd_bus_message_exit_container(m));
                                log->n += (size_t) snprintf(
                                                log->text + log->n, sizeof(log->text) - log->n, " %s", s);
                        }
                        assert_ok(sd_bus_message_exit_container(m));
                } else
                        assert_ok(sd_bus_message_skip(m, NULL));
        }
        log->n += (size_t) snprintf(log->text + log->n, sizeof(log->text) - log->n, "\n");
        return 0;
}

static void expect_log(struct fixture *x, struct log *log, const char *expected) {
        settle(x);
        assert_string_equal(log->text, expected);
        memset(log, 0, sizeof(*log));
}

static void test_actor_signals(void **state) {
        struct fixture *x = *state;
        struct fake_actor *actor = &x->arbiter->actors[1];
        struct log log = {}, log2 = {};
        sd_bus *second = connect_client(x);

        assert_ok(sd_bus_add_filter(x->client, NULL, on_signal, &log));
        assert_ok(sd_bus_add_filter(second, NULL, on_signal, &log2));
        x->arbiter->n_lookups = 0;

        actor->view.state = ARBITER_STATE_STOPPING;
        fake_actor_changed(x->arbiter, 1);
        expect_log(x, &log,
                        "/actor/_370000001 PropertiesChanged io.arbiter.Arbiter1.Actor State\n"
                        " ActorStateChanged 70000001 web.2 stopping\n");
        expect_log(x, &log2,
                        "/actor/_370000001 PropertiesChanged io.arbiter.Arbiter1.Actor State\n"
                        " ActorStateChanged 70000001 web.2 stopping\n");

        /* Only what changed, and counters not at all. */
        actor->view.last_notified_usec++;
        actor->view.mailbox_queued++;
        fake_actor_changed(x->arbiter, 1);
        expect_log(x, &log, "");
        actor->view.status = "half way";
        actor->view.restarts++;
        fake_actor_changed(x->arbiter, 1);
        expect_log(x, &log,
                        "/actor/_370000001 PropertiesChanged io.arbiter.Arbiter1.Actor Restarts Status\n");

        fake_actor_gone(x->arbiter, 1, ARBITER_REASON_SIGNAL, 9);
        expect_log(x, &log,
                        " InterfacesRemoved /io/arbiter/Arbiter1/actor/_370000001\n"
                        " ActorGone 70000001 web.2 /io/arbiter/Arbiter1/actor/_370000001 signal 9\n"
                        " PropertiesChanged io.arbiter.Arbiter1.Manager NActors\n");
        fake_actor_new(x->arbiter, 1);
        expect_log(x, &log,
                        " InterfacesAdded /io/arbiter/Arbiter1/actor/_370000001\n"
                        " ActorNew 70000001 web.2 /io/arbiter/Arbiter1/actor/_370000001\n"
                        " PropertiesChanged io.arbiter.Arbiter1.Manager NActors\n");
        /* All that without one look-up: the arbiter had said what there was to say. */
        assert_int_equal(x->arbiter->n_lookups, 0);
        sd_bus_close_unref(second);
}

static void test_monitor_signals(void **state) {
        struct fixture *x = *state;
        struct log log = {};

        assert_ok(sd_bus_add_filter(x->client, NULL, on_signal, &log));
        fake_monitor_changed(x->arbiter);
        expect_log(x, &log, "");
        x->arbiter->monitor.running = 4;
        x->arbiter->monitor.failed = 0;
        fake_monitor_changed(x->arbiter);
        expect_log(x, &log,
                        "/monitor/my_2dweb PropertiesChanged io.arbiter.Arbiter1.Monitor Running Failed\n"
                        " MonitorChanged my-web running 4 4 0\n");
        fake_monitor_gone(x->arbiter);
        expect_log(x, &log,
                        " InterfacesRemoved /io/arbiter/Arbiter1/monitor/my_2dweb\n"
                        " MonitorGone my-web /io/arbiter/Arbiter1/monitor/my_2dweb\n"
                        " PropertiesChanged io.arbiter.Arbiter1.Manager NMonitors\n");
        x->arbiter->monitor.name = "my-web";
        fake_monitor_new(x->arbiter);
        expect_log(x, &log,
                        " InterfacesAdded /io/arbiter/Arbiter1/monitor/my_2dweb\n"
                        " MonitorNew my-web /io/arbiter/Arbiter1/monitor/my_2dweb\n"
                        " PropertiesChanged io.arbiter.Arbiter1.Manager NMonitors\n");
}

static void test_arbiter_signals(void **state) {
        struct fixture *x = *state;
        struct log log = {};

        assert_ok(sd_bus_add_filter(x->client, NULL, on_signal, &log));
        fake_arbiter_changed(x->arbiter, 0);
        expect_log(x, &log, "");
        fake_arbiter_changed(x->arbiter, CONTROL_CHANGE_DEFINITIONS);
        expect_log(x, &log, " PropertiesChanged io.arbiter.Arbiter1.Manager Definitions\n");
        fake_arbiter_changed(x->arbiter, ~0U);
        expect_log(x, &log,
                        " PropertiesChanged io.arbiter.Arbiter1.Manager State NFailed ControlGroup "
                        "Definitions FailedFiles\n");
}

/* What is the client's business ends with it; the work goes on. */
static void test_vanish_in_mid_call(void **state) {
        struct fixture *x = *state;
        sd_bus *second = connect_client(x);
        struct call c = {}, c2 = {};

        for (unsigned i = 0; i < 10; i++)
                send_call(second, &c, BUS_PATH, BUS_INTERFACE_MANAGER, "Stop", "s", "web.1");
        while (x->arbiter->n_requests < 10)
                turn(x);
        sd_bus_close_unref(second);
        while (x->face->n_connections > 1)
                turn(x);
        assert_int_equal(x->arbiter->n_requests, 10);
        while (x->arbiter->n_requests > 5)
                fake_reply(x->arbiter, NULL);
        fake_fail(x->arbiter, ARBITER_OUTCOME_NOPROC, NULL, NULL);
        settle(x);
        free_call(&c);

        /* And one that vanishes in the turn in which it would be answered. */
        second = connect_client(x);
        send_call(second, &c, BUS_PATH, BUS_INTERFACE_MANAGER, "Restart", "s", "web.1");
        while (x->arbiter->n_requests < 5)
                turn(x);
        sd_bus_close_unref(second);
        while (x->arbiter->requests)
                fake_reply(x->arbiter, NULL);
        settle(x);
        free_call(&c);

        manager_call(x, &c2, "ListActors", "");
        expect_reply(x, &c2, BUS_LIST_ACTORS_SIGNATURE);
        free_call(&c2);
}

/* The face goes while calls wait: their futures resolve later, into nothing. */
static void test_face_gone_in_mid_call(void **state) {
        struct fixture *x = *state;
        struct call c = {};

        manager_call(x, &c, "Stop", "s", "web.1");
        wait_request(x, &c);
        bus_face_free(x->face);
        assert_int_equal(access(x->path, F_OK), -1);
        fake_reply(x->arbiter, NULL);
        settle(x);
        assert_true(c.done); /* by its disconnection */
        assert_true(sd_bus_message_is_method_error(c.reply, NULL));
        free_call(&c);
        assert_int_equal(x->arbiter->n_futures, 0);
        sd_bus_close_unref(x->client);
        assert_ok(bus_face_new(x->arbiter, &x->face));
        assert_ok(bus_face_listen(x->face, x->path));
        x->client = connect_client(x);
}

enum { PIPELINED = 1000 };

/* A thousand calls at once from one; another is answered between them. */
static void test_pipeline(void **state) {
        struct fixture *x = *state;
        struct call *calls = calloc(PIPELINED, sizeof(*calls)), c = {};
        sd_bus *second = connect_client(x);
        unsigned n_done = 0;

        assert_non_null(calls);
        for (unsigned i = 0; i < PIPELINED; i++) {
                calls[i].n_done = &n_done;
                manager_call(x, &calls[i], "GetActor", "s", i % 10 == 0 ? "nobody" : "web.1");
        }
        send_call(second, &c, BUS_PATH, BUS_INTERFACE_MANAGER, "ListActors", "");
        expect_reply(x, &c, BUS_LIST_ACTORS_SIGNATURE);
        free_call(&c);
        assert_true(n_done < PIPELINED / 2);

        while (n_done < PIPELINED)
                turn(x);
        for (unsigned i = 0; i < PIPELINED; i++) {
                assert_int_equal(sd_bus_message_is_method_error(calls[i].reply, BUS_ERROR_NO_PROC),
                                i % 10 == 0);
                free_call(&calls[i]);
        }
        free(calls);
        sd_bus_close_unref(second);
}

/* Calls that wait are bounded per connection; the others are answered, and all when the work is done. */
static void test_too_many_waiting(void **state) {
        struct fixture *x = *state;
        enum { N = CALLS_MAX + 10 };
        struct call *calls = calloc(N, sizeof(*calls));
        unsigned n_done = 0, n_refused = 0;

        assert_non_null(calls);
        for (unsigned i = 0; i < N; i++) {
                calls[i].n_done = &n_done;
                manager_call(x, &calls[i], "Ping", "s", "web.1");
        }
        while (n_done < 10)
                turn(x);
        settle(x);
        assert_int_equal(n_done, 10);
        assert_int_equal(x->arbiter->n_requests, CALLS_MAX);
        while (x->arbiter->requests)
                fake_reply(x->arbiter, NULL);
        while (n_done < N)
                turn(x);
        for (unsigned i = 0; i < N; i++) {
                n_refused += sd_bus_message_is_method_error(calls[i].reply, SD_BUS_ERROR_LIMITS_EXCEEDED) >
                             0;
                free_call(&calls[i]);
        }
        assert_int_equal(n_refused, 10);
        free(calls);
}

static void say(int fd, const char *data, size_t size) {
        assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
}

/* As a client that says all it has to say before it reads; the loop reads it. */
static void authenticate(struct fixture *x, int fd) {
        char line[64];
        int n;

        n = snprintf(line, sizeof(line), "%cAUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", 0);
        say(fd, line, (size_t) n);
        settle(x);
}

/* Never reads, asks on: we stop reading it long before its answers are a burden. */
static void test_never_reads(void **state) {
        struct fixture *x = *state;
        sd_bus *second = connect_client(x);
        struct bus_connection *c;
        uint64_t queued, cookie;
        sd_bus_message *m;

        c = LIST_LAST(&x->face->connections, struct bus_connection, connections);
        assert_ok(sd_bus_detach_event(second));
        for (unsigned i = 0; i < 20000; i++) {
                assert_ok(sd_bus_message_new_method_call(
                                second, &m, NULL, BUS_PATH, BUS_INTERFACE_MANAGER, "ListActors"));
                assert_ok(sd_bus_send(second, m, &cookie)); /* with a cookie it wants an answer */
                sd_bus_message_unref(m);
                if (i % 100 == 0)
                        settle(x);
        }
        settle(x);
        assert_ok(sd_bus_get_n_queued_write(c->bus, &queued));
        assert_in_range(queued, QUEUE_PAUSE, QUEUE_PAUSE + 1);

        /* Signals are not held back: they end it. */
        for (unsigned i = 0; i < 2 * QUEUE_DROP; i++) {
                x->arbiter->actors[0].view.restarts++;
                fake_actor_changed(x->arbiter, 0);
                if (i % 100 == 0)
                        settle(x);
        }
        settle(x);
        assert_int_equal(x->face->n_connections, 1);
        sd_bus_close_unref(second);
}

static bool is_closed(int fd) {
        char buffer[4096];
        ssize_t n;

        while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
                ;
        return n == 0 || errno == ECONNRESET || errno == EPIPE;
}

static void test_nonsense(void **state) {
        struct fixture *x = *state;
        char garbage[512];
        int fd;

        for (size_t i = 0; i < sizeof(garbage); i++)
                garbage[i] = (char) (i * 7 + 1);
        /* Instead of authentication. */
        fd = raw_connect(x);
        say(fd, garbage, sizeof(garbage));
        settle(x);
        assert_true(is_closed(fd));
        close(fd);

        /* Another one's uid, in hex: the kernel says otherwise. */
        char answer[64] = {};
        fd = raw_connect(x);
        say(fd, "\0AUTH EXTERNAL 3939393939\r\n", sizeof("\0AUTH EXTERNAL 3939393939\r\n") - 1);
        settle(x);
        assert_int_equal(recv(fd, answer, sizeof(answer) - 1, 0), strlen("REJECTED\r\n"));
        assert_string_equal(answer, "REJECTED\r\n");
        close(fd);
        settle(x);
        assert_int_equal(x->face->n_connections, 1);

        /* Authenticated, then garbage; and a header that promises 2 GB. */
        static const char huge[16] = { 'l', 1, 0, 1, 0, 0, 0, 127, 1, 0, 0, 0, 0, 0, 0, 127 };
        for (unsigned i = 0; i < 2; i++) {
                fd = raw_connect(x);
                authenticate(x, fd);
                assert_int_equal(x->face->n_connections, 2);
                if (i == 0)
                        say(fd, garbage, sizeof(garbage));
                else
                        say(fd, huge, sizeof(huge));
                settle(x);
                assert_true(is_closed(fd));
                assert_int_equal(x->face->n_connections, 1);
                close(fd);
        }

        /* Half a message, then gone. */
        static const char half[16] = { 'l', 1, 0, 1, 8, 0, 0, 0, 1, 0, 0, 0, 64, 0, 0, 0 };
        fd = raw_connect(x);
        authenticate(x, fd);
        say(fd, half, sizeof(half));
        settle(x);
        assert_int_equal(x->face->n_connections, 2);
        close(fd);
        settle(x);
        assert_int_equal(x->face->n_connections, 1);
}

/* Its first call may come together with the end of its authentication (D-Bus Specification, "Authentication
 * Protocol"): then nothing more comes that would wake us. */
static void test_begin_and_call(void **state) {
        static const char call[] = "BEGIN\r\n"
                                   "l\1\0\1\0\0\0\0\1\0\0\0\x42\0\0\0"
                                   "\1\1o\0\1\0\0\0/\0\0\0\0\0\0\0"
                                   "\3\1s\0\4\0\0\0Ping\0\0\0\0"
                                   "\2\1s\0\x19\0\0\0org.freedesktop.DBus.Peer\0\0\0\0\0\0\0";
        struct fixture *x = *state;
        uint8_t answer[256];
        int fd = raw_connect(x);

        say(fd, "\0AUTH EXTERNAL\r\nDATA\r\n", sizeof("\0AUTH EXTERNAL\r\nDATA\r\n") - 1);
        settle(x);
        assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
        say(fd, call, sizeof(call) - 1);
        settle(x);
        assert_true(recv(fd, answer, sizeof(answer), 0) >= 16);
        assert_int_equal(answer[0], 'l');
        assert_int_equal(answer[1], SD_BUS_MESSAGE_METHOD_RETURN);
        close(fd);
        settle(x);
}

/* However much happens between the two. */
static void test_signals_before_authentication(void **state) {
        struct fixture *x = *state;
        int fd = raw_connect(x);
        char answer[256];

        settle(x);
        for (unsigned i = 0; i < 2 * QUEUE_DROP; i++) {
                x->arbiter->actors[0].view.restarts++;
                fake_actor_changed(x->arbiter, 0);
                if (i % 10 == 0)
                        settle(x);
        }
        authenticate(x, fd);
        assert_true(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0);
        assert_memory_equal(answer, "DATA\r\nOK ", 9);
        /* from here on */
        x->arbiter->actors[0].view.restarts++;
        fake_actor_changed(x->arbiter, 0);
        settle(x);
        assert_true(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0);
        assert_int_equal(answer[1], SD_BUS_MESSAGE_SIGNAL);
        close(fd);
        settle(x);
}

static void test_wrong_calls(void **state) {
        struct fixture *x = *state;
        struct call c = {};
        static const char *const paths[] = {
                "/",
                "/x",
                BUS_PATH_ACTOR,
                BUS_PATH_ACTOR "/zzzzzzzz",
                BUS_PATH_ACTOR "/a0000000/deeper",
                BUS_PATH_ACTOR "/web_2e1",
                BUS_PATH_MONITOR,
                BUS_PATH_MONITOR "/_",
                BUS_PATH_MONITOR "/my_2dweb_zz",
                BUS_PATH "/nothing",
        };

        manager_call(x, &c, "Stop", "u", 7);
        expect_error(x, &c, SD_BUS_ERROR_INVALID_ARGS, NULL);
        manager_call(x, &c, "Stop", "");
        expect_error(x, &c, SD_BUS_ERROR_INVALID_ARGS, NULL);
        manager_call(x, &c, "Stopp", "s", "web.1");
        expect_error(x, &c, SD_BUS_ERROR_UNKNOWN_METHOD, NULL);
        send_call(x->client, &c, BUS_PATH, "io.arbiter.Nothing", "Stop", "s", "web.1");
        expect_error(x, &c, SD_BUS_ERROR_UNKNOWN_METHOD, NULL);
        send_call(x->client, &c, BUS_PATH, "org.freedesktop.DBus.Properties", "Get", "ss",
                        BUS_INTERFACE_MANAGER, "Nope");
        expect_error(x, &c, SD_BUS_ERROR_UNKNOWN_PROPERTY, NULL);
        send_call(x->client, &c, BUS_PATH, "org.freedesktop.DBus.Properties", "Set", "ssv",
                        BUS_INTERFACE_MANAGER, "NActors", "u", 5);
        expect_error(x, &c, SD_BUS_ERROR_PROPERTY_READ_ONLY, NULL);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                send_call(x->client, &c, paths[i], BUS_INTERFACE_ACTOR, "Stop", "");
                wait_done(x, &c);
                assert_true(sd_bus_message_is_method_error(c.reply, NULL));
                free_call(&c);
        }
        assert_int_equal(x->arbiter->n_requests, 0);
}

static void test_too_many_connections(void **state) {
        struct fixture *x = *state;
        int fds[CONNECTIONS_MAX + 8];
        unsigned n_closed = 0;
        struct call c = {};

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = raw_connect(x);
                if (i % 64 == 0)
                        settle(x); /* the kernel's queue is shorter than that */
        }
        settle(x);
        assert_int_equal(x->face->n_connections, CONNECTIONS_MAX);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                n_closed += is_closed(fds[i]);
        assert_int_equal(n_closed, 9); /* one place is the client's of the fixture */

        manager_call(x, &c, "ListActors", "");
        expect_reply(x, &c, BUS_LIST_ACTORS_SIGNATURE);
        free_call(&c);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
        settle(x);
        assert_int_equal(x->face->n_connections, 1);
}

static void test_socket_mode(void **state) {
        struct fixture *x = *state;
        struct stat st;
        char run[64];

        assert_ok(stat(x->path, &st));
        assert_true(S_ISSOCK(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0600);
        (void) snprintf(run, sizeof(run), "%s/run", x->directory);
        assert_ok(stat(run, &st));
        assert_int_equal(st.st_mode & 07777, 0711);
}

static void test_socket_taken(void **state) {
        struct fixture *x = *state;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct bus_face *second;
        char path[80], long_path[200];
        struct stat st;
        int fd;

        assert_ok(bus_face_new(x->arbiter, &second));
        assert_errno(bus_face_listen(x->face, x->path), EALREADY);
        assert_errno(bus_face_listen(second, x->path), EADDRINUSE);
        assert_ok(stat(x->path, &st));
        assert_errno(bus_face_listen(second, "relative"), EINVAL);
        memset(long_path, 'x', sizeof(long_path));
        long_path[0] = '/';
        long_path[sizeof(long_path) - 1] = 0;
        assert_errno(bus_face_listen(second, long_path), ENAMETOOLONG);
        assert_errno(bus_face_listen(second, "/nonexistent/directory/private"), ENOENT);

        /* A file is not ours to remove. */
        (void) snprintf(path, sizeof(path), "%s/file", x->directory);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_ok(fd);
        close(fd);
        assert_errno(bus_face_listen(second, path), EEXIST);
        assert_ok(stat(path, &st));
        assert_ok(unlink(path));

        /* A socket that nobody listens on is. */
        (void) snprintf(path, sizeof(path), "%s/stale", x->directory);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_ok(fd);
        strcpy(address.sun_path, path);
        assert_ok(bind(fd, (struct sockaddr *) &address, sizeof(address)));
        close(fd);
        assert_ok(bus_face_listen(second, path));

        /* One that took its place is not. */
        assert_ok(unlink(path));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_ok(bind(fd, (struct sockaddr *) &address, sizeof(address)));
        bus_face_free(second);
        assert_ok(stat(path, &st));
        assert_ok(unlink(path));
        close(fd);
}

static void test_socket_directory(void **state) {
        struct fixture *x = *state;
        struct bus_face *second;
        char directory[64], path[80];

        assert_ok(bus_face_new(x->arbiter, &second));
        (void) snprintf(directory, sizeof(directory), "%s/open", x->directory);
        (void) snprintf(path, sizeof(path), "%s/private", directory);
        assert_ok(mkdir(directory, 0700));
        assert_ok(chmod(directory, 0777));
        assert_errno(bus_face_listen(second, path), EPERM);
        assert_ok(chmod(directory, 0755));
        assert_ok(bus_face_listen(second, path));
        bus_face_free(second);
        assert_ok(rmdir(directory));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, bus_setup, bus_teardown)
        const struct CMUnitTest tests[] = {
                TEST(actor_signals),
                TEST(monitor_signals),
                TEST(arbiter_signals),
                TEST(vanish_in_mid_call),
                TEST(face_gone_in_mid_call),
                TEST(pipeline),
                TEST(too_many_waiting),
                TEST(never_reads),
                TEST(nonsense),
                TEST(begin_and_call),
                TEST(signals_before_authentication),
                TEST(wrong_calls),
                TEST(too_many_connections),
                TEST(socket_mode),
                TEST(socket_taken),
                TEST(socket_directory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
