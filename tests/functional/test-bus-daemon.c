/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The face on a bus: the name, and what becomes of it when the daemon dies, when another one has it, or
 * when the bus is slow. A real dbus-daemon, an arbiter that is made up. */

#include "bus-daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "basic/fd.h"
#include "bus-xml.h"

#define DBUS "org.freedesktop.DBus"

static void check_introspection(struct bus_fixture *b, const char *path, const char *interface) {
        _cleanup_free_ char *contract = NULL, *expected = NULL, *live = NULL;
        struct call c = {};
        char file[512];
        const char *xml;
        size_t size;

        send_bus_call(b->client, &c, path, DBUS ".Introspectable", "Introspect", "");
        expect_reply(b->x, &c, "s");
        assert_ok(sd_bus_message_read(c.reply, "s", &xml));
        live = bus_xml_normalise(xml, interface);
        (void) snprintf(file, sizeof(file), "%s/%s.xml", DBUS_XML_DIR, interface);
        assert_ok(read_file_full(AT_FDCWD, file, 1024 * 1024, &contract, &size));
        expected = bus_xml_normalise(contract, interface);
        assert_string_equal(live, expected);
        free_call(&c);
}

static void test_introspection(void **state) {
        struct bus_fixture *b = *state;

        check_introspection(b, BUS_PATH, BUS_INTERFACE_MANAGER);
        check_introspection(b, BUS_PATH_ACTOR "/a0000000", BUS_INTERFACE_ACTOR);
        check_introspection(b, BUS_PATH_MONITOR "/my_2dweb", BUS_INTERFACE_MONITOR);
}

static void test_verbs(void **state) {
        struct bus_fixture *b = *state;
        struct call c = {};

        assert_true(has_logged(b, "Reachable on the system bus as " BUS_NAME));
        bus_manager_call(b->client, &c, "ListActors", "");
        expect_reply(b->x, &c, BUS_LIST_ACTORS_SIGNATURE);
        free_call(&c);
        bus_manager_call(b->client, &c, "Stop", "s", "web.1");
        wait_request(b->x, &c);
        fake_reply(b->x->arbiter, NULL);
        expect_empty(b->x, &c);
        send_bus_call(b->client, &c, BUS_PATH_MONITOR "/my_2dweb", BUS_INTERFACE_MONITOR, "Scale", "u", 9);
        wait_request(b->x, &c);
        fake_reply(b->x->arbiter, NULL);
        expect_reply(b->x, &c, "u");
        free_call(&c);
        send_bus_call(b->client, &c, BUS_PATH, DBUS ".ObjectManager", "GetManagedObjects", "");
        expect_reply(b->x, &c, "a{oa{sa{sv}}}");
        free_call(&c);
        bus_manager_call(b->client, &c, "Stop", "s", "nobody");
        expect_error(b->x, &c, BUS_ERROR_NO_PROC, "nobody");
}

static const char *read_probe(struct bus_fixture *b, struct call *c) {
        const char *kind, *how, *verdict, *text;
        uint64_t n_good, n_bad, last;

        expect_reply(b->x, c, "v");
        assert_ok(sd_bus_message_read(c->reply, "v", "a(sssttts)", 1, &kind, &how, &verdict, &n_good, &n_bad,
                        &last, &text));
        return text;
}

/* Everybody may read on the system bus: what a probe's program has printed is told by the private socket. */
static void test_probes(void **state) {
        struct bus_fixture *b = *state;
        struct call c = {};

        b->x->arbiter->n_probes = 1;
        send_bus_call(b->client, &c, BUS_PATH_ACTOR "/a0000000", DBUS ".Properties", "Get", "ss",
                        BUS_INTERFACE_ACTOR, "Probes");
        assert_string_equal(read_probe(b, &c), "status");
        free_call(&c);
        send_call(b->x->client, &c, BUS_PATH_ACTOR "/a0000000", DBUS ".Properties", "Get", "ss",
                        BUS_INTERFACE_ACTOR, "Probes");
        assert_string_equal(read_probe(b, &c), "status ?");
        free_call(&c);
}

/* The daemon is killed and comes back, twice; the private socket is not concerned. */
static void test_restart(void **state) {
        struct bus_fixture *b = *state;
        struct call c = {}, lost = {};

        for (unsigned i = 1; i <= 2; i++) {
                bus_manager_call(b->client, &lost, "Stop", "s", "web.1");
                wait_request(b->x, &lost);
                daemon_kill(b);
                while (the_client(b)->connection)
                        turn(b->x);
                manager_call(b->x, &c, "ListActors", "");
                expect_reply(b->x, &c, BUS_LIST_ACTORS_SIGNATURE);
                free_call(&c);
                fake_reply(b->x->arbiter, NULL); /* its caller has nothing of it */
                assert_int_equal(count_logged(b, "The connection to the system bus is lost"), i);
                b->client = sd_bus_close_unref(b->client);
                free_call(&lost);

                daemon_start(b, NULL);
                wait_name(b);
                b->client = bus_connect(b);
                bus_manager_call(b->client, &c, "ListActors", "");
                expect_reply(b->x, &c, BUS_LIST_ACTORS_SIGNATURE);
                free_call(&c);
        }
        assert_int_equal(count_logged(b, "cannot be reached"), 0); /* that was said by "is lost" */
}

/* Not even the directory of the socket is there at first. */
static void test_later(void **state) {
        struct bus_fixture *b = *state;
        char directory[64];

        (void) snprintf(directory, sizeof(directory), "%s/later", b->x->directory);
        (void) snprintf(b->socket, sizeof(b->socket), "%s/bus", directory);
        (void) snprintf(b->address, sizeof(b->address), "unix:path=%s", b->socket);
        assert_ok(bus_face_listen_bus(b->x->face, ARBITER_BUS_USER, "io.arbiter.Arbiter1.side", b->address));
        while (!has_logged(b, "The user bus cannot be reached"))
                turn(b->x);
        assert_ok(mkdir(directory, 0755));
        settle(b->x);
        daemon_start(b, NULL);
        wait_name(b);
        assert_int_equal(count_logged(b, "cannot be reached"), 1);
        daemon_kill(b);
        assert_ok(unlink(b->socket));
        assert_ok(rmdir(directory));
}

/* Connects as a process of its own, which takes the name and ends; the connection is kept open here. */
static int leave_name(struct bus_fixture *b) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
        pid_t pid;

        assert_true(fd >= 0);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", b->socket);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                sd_bus *bus;

                _exit(connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
                      sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 ||
                      sd_bus_set_bus_client(bus, true) < 0 || sd_bus_start(bus) < 0 ||
                      sd_bus_request_name(bus, BUS_NAME, 0) < 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        return fd;
}

/* The bus has not heard yet that the arbiter before has ended: that is waited for, and nobody is told to
 * stop it. */
static void test_after_the_dead(void **state) {
        struct bus_fixture *b = *state;
        struct bus_client *client;
        int fd;

        daemon_start(b, NULL);
        fd = leave_name(b);
        assert_ok(bus_face_listen_bus(b->x->face, ARBITER_BUS_SYSTEM, NULL, b->address));
        client = the_client(b);
        while (client->name_state != BUS_NAME_WAITING || client->owner)
                turn(b->x);
        assert_false(bus_client_is_settled(client));
        close(fd);
        wait_name(b);
        assert_true(bus_client_is_settled(client));
        assert_false(has_logged(b, "belongs to another process"));
}

/* Two want the name: the second says so, and has it as soon as the first is gone. */
static void test_two(void **state) {
        struct bus_fixture *b = *state;
        struct bus_face *first = b->x->face;
        struct bus_client *second;
        char text[32];

        assert_ok(bus_face_new(b->x->arbiter, &b->x->face));
        assert_ok(bus_face_listen_bus(b->x->face, ARBITER_BUS_SYSTEM, NULL, b->address));
        second = the_client(b);
        while (!has_logged(b, "belongs to another process"))
                turn(b->x);
        (void) snprintf(text, sizeof(text), "(pid %d)", getpid());
        assert_true(has_logged(b, text));
        assert_int_equal(second->name_state, BUS_NAME_TAKEN);
        bus_face_free(first);
        wait_name(b);
        assert_int_equal(count_logged(b, "Reachable on the system bus"), 2);
        assert_ok(bus_face_listen(b->x->face, b->x->path));
        b->x->client = sd_bus_close_unref(b->x->client);
        b->x->client = connect_client(b->x);
}

/* A policy that does not let us have it. */
static void test_denied(void **state) {
        struct bus_fixture *b = *state;

        daemon_start(b, "<policy context=\"default\"><deny own=\"*\"/></policy>");
        assert_ok(bus_face_listen_bus(b->x->face, ARBITER_BUS_SYSTEM, NULL, b->address));
        while (!has_logged(b, "does not give us the name"))
                turn(b->x);
        assert_int_equal(the_client(b)->name_state, BUS_NAME_NONE);
        assert_int_equal(sd_event_source_get_enabled(the_client(b)->retry, NULL), 1); /* to ask again */
        daemon_kill(b);
        while (the_client(b)->connection)
                turn(b->x);
        daemon_start(b, NULL);
        wait_name(b);
}

static void test_arguments(void **state) {
        struct bus_fixture *b = *state;
        struct bus_face *f = b->x->face;

        assert_errno(bus_face_listen_bus(f, 7, NULL, b->address), EINVAL);
        assert_errno(bus_face_listen_bus(f, ARBITER_BUS_USER, "nodot", b->address), EINVAL);
        assert_errno(bus_face_listen_bus(f, ARBITER_BUS_USER, ":1.7", b->address), EINVAL);
        assert_errno(bus_face_listen_bus(f, ARBITER_BUS_USER, NULL, "tcp:host=localhost,port=1"),
                        EPROTONOSUPPORT);
        assert_errno(bus_face_listen_bus(f, ARBITER_BUS_USER, NULL, "unix:path=/x;unixexec:path=/bin/sh"),
                        EPROTONOSUPPORT);
        assert_errno(bus_face_listen_bus(f, ARBITER_BUS_USER, NULL, ""), EPROTONOSUPPORT);
        assert_ok(bus_face_listen_bus(
                        f, ARBITER_BUS_USER, NULL, "unix:abstract=arbiter-nobody-listens-here"));
        assert_errno(bus_face_listen_bus(f, ARBITER_BUS_USER, NULL, b->address), EALREADY);
        while (!has_logged(b, "cannot be reached"))
                turn(b->x);
}

/* What a client hears of our signals. */
struct heard {
        unsigned n_changed, n_new, n_gone, n_added, n_removed;
        char last_gone[16], last_reason[16];
        uint32_t restarts; /* of the first actor */
        bool done;
};

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct heard *h = userdata;
        const char *member = sd_bus_message_get_member(m), *id, *name, *path, *reason;

        if (streq(member, "PropertiesChanged"))
                h->n_changed++;
        else if (streq(member, "InterfacesAdded"))
                h->n_added++;
        else if (streq(member, "InterfacesRemoved"))
                h->n_removed++;
        else if (streq(member, "ActorNew"))
                h->n_new++;
        else if (streq(member, "ActorGone")) {
                h->n_gone++;
                assert_ok(sd_bus_message_read(m, "ssos", &id, &name, &path, &reason));
                (void) snprintf(h->last_gone, sizeof(h->last_gone), "%s", id);
                (void) snprintf(h->last_reason, sizeof(h->last_reason), "%s", reason);
        } else if (streq(member, "MonitorGone"))
                h->done = true;
        return 0;
}

static void listen_to(struct bus_fixture *b, struct heard *h) {
        struct call c = {};

        assert_ok(sd_bus_match_signal_async(
                        b->client, NULL, BUS_NAME, NULL, NULL, NULL, on_signal, NULL, h));
        bus_manager_call(b->client, &c, "GetActor", "s", "web.1"); /* by then the match is in place */
        expect_reply(b->x, &c, "o");
        free_call(&c);
}

static void test_signals(void **state) {
        struct bus_fixture *b = *state;
        struct heard h = {};

        listen_to(b, &h);
        b->x->arbiter->actors[0].view.state = ARBITER_STATE_STOPPING;
        fake_actor_changed(b->x->arbiter, 0);
        fake_actor_gone(b->x->arbiter, 0, ARBITER_REASON_SIGNAL, 9);
        fake_monitor_gone(b->x->arbiter);
        while (!h.done)
                turn(b->x);
        assert_int_equal(h.n_gone, 1);
        assert_string_equal(h.last_gone, "a0000000");
        assert_string_equal(h.last_reason, "signal");
        assert_int_equal(h.n_changed, 1);
}

enum { STORM = 5000 };

/* A daemon that stands still takes nothing: what is kept for it is bounded, and when it goes on, what it
 * hears is what has become of things. */
static void test_slow_bus(void **state) {
        struct bus_fixture *b = *state;
        arbiter *a = b->x->arbiter;
        struct heard h = {};
        uint64_t queued;

        listen_to(b, &h);
        assert_ok(kill(b->daemon, SIGSTOP));
        for (unsigned i = 0; i < STORM; i++) {
                a->actors[1].view.restarts++;
                fake_actor_changed(a, 1);
                if (i == STORM - 2) {
                        fake_actor_gone(a, 2, ARBITER_REASON_OOM_KILL, 9); /* was known */
                        /* for the bus it is new and gone again before it hears of it */
                        fake_actor_new(a, 3);
                        fake_actor_gone(a, 3, ARBITER_REASON_NORMAL, 0);
                        fake_actor_new(a, 4);
                }
                settle(b->x);
                assert_ok(sd_bus_get_n_queued_write(the_client(b)->connection->bus, &queued));
                assert_true(queued <= UNSAID_BEGIN + 4);
        }
        fake_monitor_gone(a);
        assert_int_equal(queued >= UNSAID_BEGIN, 1);
        assert_ok(kill(b->daemon, SIGCONT));
        while (!h.done)
                turn(b->x);
        assert_true(bus_client_has_name(the_client(b)));
        assert_true(h.n_changed < STORM);
        assert_int_equal(h.n_gone, 1);
        assert_string_equal(h.last_gone, a->actors[2].id);
        assert_string_equal(h.last_reason, "oom-kill");
        assert_int_equal(h.n_new, 1);
        settle(b->x);
        assert_false(bus_unsaid_is_pending(the_client(b)->connection->unsaid));
        assert_true(bus_unsaid_is_current(the_client(b)->connection->unsaid));
}

/* The daemon dies while signals are held back. */
static void test_slow_bus_dies(void **state) {
        struct bus_fixture *b = *state;
        arbiter *a = b->x->arbiter;

        assert_ok(kill(b->daemon, SIGSTOP));
        for (unsigned i = 0; i < STORM; i++) {
                a->actors[1].view.restarts++;
                fake_actor_changed(a, 1);
        }
        daemon_kill(b);
        while (the_client(b)->connection)
                turn(b->x);
        daemon_start(b, NULL);
        wait_name(b);
        assert_true(bus_unsaid_is_current(the_client(b)->connection->unsaid));
}

/* As /usr/share/dbus-1/system.conf, and then the policy that we install. */
#define SYSTEM_POLICY                                                                            \
        "<policy context=\"default\"><deny own=\"*\"/><deny send_type=\"method_call\"/>"           \
        "<allow send_destination=\"org.freedesktop.DBus\"/></policy>"                            \
        "<include>" DBUS_XML_DIR "/" BUS_NAME ".conf</include>"
#define SIDE BUS_NAME ".side"

static void call_name(sd_bus *bus, struct call *c, const char *name, const char *path, const char *interface,
                const char *member, const char *types, ...) {
        sd_bus_message *m;
        va_list ap;

        assert_ok(sd_bus_message_new_method_call(bus, &m, name, path, interface, member));
        va_start(ap, types);
        assert_ok(sd_bus_message_appendv(m, types, ap));
        va_end(ap);
        assert_ok(sd_bus_call_async(bus, NULL, m, on_reply, c, 0));
        sd_bus_message_unref(m);
}

static void expect_success(struct bus_fixture *b, struct call *c) {
        wait_done(b->x, c);
        if (sd_bus_message_is_method_error(c->reply, NULL))
                fail_msg("%s", sd_bus_message_get_error(c->reply)->message);
        free_call(c);
}

/* With the installed policy: only root owns, everybody reaches both an arbiter and an instance. */
static void test_policy(void **state) {
        static const char *const names[] = { BUS_NAME, SIDE };
        struct bus_fixture *b = *state;
        struct bus_face *side;
        struct bus_client *client;
        struct call c = {};
        sd_bus *other;

        daemon_start(b, SYSTEM_POLICY);
        assert_ok(bus_face_listen_bus(b->x->face, ARBITER_BUS_SYSTEM, NULL, b->address));
        assert_ok(bus_face_new(b->x->arbiter, &side));
        assert_ok(bus_face_listen_bus(side, ARBITER_BUS_SYSTEM, SIDE, b->address));
        client = LIST_FIRST(&side->clients, struct bus_client, clients);
        wait_name(b);
        while (!bus_client_has_name(client))
                turn(b->x);
        other = bus_connect_as(b, USER_A);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                call_name(other, &c, names[i], BUS_PATH, BUS_INTERFACE_MANAGER, "ListActors", "");
                expect_success(b, &c);
                call_name(other, &c, names[i], BUS_PATH, DBUS ".Introspectable", "Introspect", "");
                expect_success(b, &c);
                call_name(other, &c, names[i], BUS_PATH, DBUS ".ObjectManager", "GetManagedObjects", "");
                expect_success(b, &c);
                call_name(other, &c, names[i], BUS_PATH_ACTOR "/a0000000", BUS_INTERFACE_ACTOR, "Ping", "");
                expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, "polkit"); /* ours, not the bus's */
                call_name(other, &c, DBUS, "/org/freedesktop/DBus", DBUS, "RequestName", "su", names[i], 0);
                expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, "own");
        }
        call_name(other, &c, BUS_NAME, BUS_PATH_ACTOR "/a0000000", DBUS ".Properties", "GetAll", "s",
                        BUS_INTERFACE_ACTOR);
        expect_success(b, &c);
        sd_bus_close_unref(other);
        b->client = bus_connect(b);
        call_name(b->client, &c, SIDE, BUS_PATH_ACTOR "/a0000000", DBUS ".Properties", "GetAll", "s",
                        BUS_INTERFACE_ACTOR);
        expect_success(b, &c);
        bus_face_free(side);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, bus_daemon_setup, bus_daemon_teardown)
#define TEST_BARE(name)                                                                                     \
        cmocka_unit_test_setup_teardown(test_##name, bus_daemon_setup_bare, bus_daemon_teardown)
        const struct CMUnitTest tests[] = {
                TEST(introspection),
                TEST(verbs),
                TEST(probes),
                TEST(restart),
                TEST_BARE(later),
                TEST_BARE(after_the_dead),
                TEST(two),
                TEST_BARE(arguments),
                TEST(signals),
                TEST(slow_bus),
                TEST(slow_bus_dies),
        };
        /* dbus-broker has its policies from its launcher, and there is none here. */
        const struct CMUnitTest of_policies[] = {
                TEST_BARE(denied),
                TEST_BARE(policy),
        };
        int n_failed;

        (void) signal(SIGPIPE, SIG_IGN);
        n_failed = cmocka_run_group_tests(tests, NULL, NULL);
        if (!is_broker() && geteuid() == 0)
                n_failed += cmocka_run_group_tests(of_policies, NULL, NULL);
        return n_failed;
}
