/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/bus: the face over its private socket, with real sd-bus clients on the same loop and an arbiter that
 * is made up (fake-control.h). No bus daemon. */

#include "bus-fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "basic/fd.h"
#include "bus-xml.h"
#include "bus/error.h"
#include "wire/message.h"

static void test_lists(void **state) {
        struct fixture *x = *state;
        const char *id, *name, *monitor, *concurrency, *actor_state, *path;
        uint32_t pid, workers, running, failed, restarts;
        uint64_t uptime;
        struct call c = {};

        manager_call(x, &c, "ListActors", "");
        expect_reply(x, &c, BUS_LIST_ACTORS_SIGNATURE);
        assert_ok(sd_bus_message_enter_container(c.reply, 'a', "(sssssuto)"));
        for (size_t i = 0; i < N_ACTORS; i++) {
                _cleanup_free_ char *expected = NULL;

                assert_int_equal(sd_bus_message_read(c.reply, "(sssssuto)", &id, &name, &monitor,
                                                 &concurrency, &actor_state, &pid, &uptime, &path),
                                1);
                assert_string_equal(id, x->arbiter->actors[i].id);
                assert_string_equal(name, x->arbiter->actors[i].name);
                assert_string_equal(monitor, "web");
                assert_string_equal(concurrency, "process");
                assert_string_equal(actor_state, "running");
                assert_int_equal(pid, 1000 + i);
                assert_true(uptime < 100 * USEC_PER_SEC);
                assert_ok(sd_bus_path_encode(BUS_PATH_ACTOR, id, &expected));
                assert_string_equal(path, expected);
        }
        assert_int_equal(sd_bus_message_at_end(c.reply, false), 1);
        free_call(&c);

        manager_call(x, &c, "ListMonitors", "");
        expect_reply(x, &c, BUS_LIST_MONITORS_SIGNATURE);
        assert_ok(sd_bus_message_enter_container(c.reply, 'a', "(ssuuuuo)"));
        assert_int_equal(sd_bus_message_read(c.reply, "(ssuuuuo)", &name, &actor_state, &workers, &running,
                                         &failed, &restarts, &path),
                        1);
        assert_string_equal(name, "my-web");
        assert_int_equal(workers + 100 * running + 10000 * failed + 1000000 * restarts, 12010304);
        assert_string_equal(path, BUS_PATH_MONITOR "/my_2dweb");
        free_call(&c);

        manager_call(x, &c, "ListCommands", "s", "web.1");
        expect_reply(x, &c, BUS_LIST_COMMANDS_SIGNATURE);
        free_call(&c);
}

static void test_deaths(void **state) {
        struct fixture *x = *state;
        uint32_t generation, pid;
        uint64_t when, lifetime;
        const char *s[4];
        struct call c = {};
        int32_t status;

        manager_call(x, &c, "ListDeaths", "s", "web.1");
        expect_reply(x, &c, BUS_LIST_DEATHS_SIGNATURE);
        assert_ok(sd_bus_message_enter_container(c.reply, 'a', "(tsssuusit)"));
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(sd_bus_message_read(c.reply, "(tsssuusit)", &when, &s[0], &s[1], &s[2],
                                                 &generation, &pid, &s[3], &status, &lifetime),
                                1);
                assert_int_equal(when, 1700000000000000 - i);
                assert_string_equal(s[0], "web.1");
                assert_string_equal(s[1], "a0000000");
                assert_string_equal(s[2], "web");
                assert_int_equal(generation * 1000 + pid, 9077 - 1000 * i);
                assert_string_equal(s[3], "exit-code");
                assert_int_equal(status + (int) lifetime, 1500001);
        }
        assert_int_equal(sd_bus_message_at_end(c.reply, false), 1);
        free_call(&c);

        manager_call(x, &c, "ListDeaths", "s", "web.2");
        expect_reply(x, &c, BUS_LIST_DEATHS_SIGNATURE);
        assert_ok(sd_bus_message_enter_container(c.reply, 'a', "(tsssuusit)"));
        assert_int_equal(sd_bus_message_at_end(c.reply, false), 1);
        free_call(&c);
        manager_call(x, &c, "ListDeaths", "s", "nobody");
        expect_error(x, &c, BUS_ERROR_NO_PROC, "\"nobody\"");
}

static void test_why(void **state) {
        struct fixture *x = *state;
        const char *name, *actor_state, *waiting_for, *reason, *text;
        uint64_t since, until;
        struct call c = {};
        uint32_t attempts;
        int32_t status;

        manager_call(x, &c, "Why", "s", "web.3");
        expect_reply(x, &c, BUS_WHY_SIGNATURE);
        assert_ok(sd_bus_message_enter_container(c.reply, 'a', "(sssttsius)"));
        assert_int_equal(sd_bus_message_read(c.reply, "(sssttsius)", &name, &actor_state, &waiting_for,
                                         &since, &until, &reason, &status, &attempts, &text),
                        1);
        assert_string_equal(name, "web.3");
        assert_string_equal(actor_state, "backoff");
        assert_string_equal(waiting_for, "backoff");
        assert_int_equal(since + until, 5200000);
        assert_string_equal(reason, "exit-code");
        assert_int_equal(status + (int) attempts, 5);
        assert_non_null(strstr(text, "3.2 s"));
        free_call(&c);
        manager_call(x, &c, "Why", "s", "nobody");
        expect_error(x, &c, BUS_ERROR_NO_PROC, "\"nobody\"");
}

static void test_metrics(void **state) {
        struct fixture *x = *state;
        struct call c = {};
        const char *text;

        manager_call(x, &c, "GetMetrics", "");
        expect_reply(x, &c, "s");
        assert_ok(sd_bus_message_read(c.reply, "s", &text));
        assert_string_equal(text + strlen(text) - 6, "# EOF\n");
        free_call(&c);
}

/* What nobody is called: refused with words, and a text that fits into a line. */
static void test_nonsense_targets(void **state) {
        static const char *const methods[] = { "ListDeaths", "Why", "GetActor", "Stop", "Ping" };
        enum { SIZE = 1024 * 1024 };
        struct fixture *x = *state;
        struct call c = {};
        char *huge = malloc(SIZE + 1);

        assert_non_null(huge);
        memset(huge, 'w', SIZE);
        huge[SIZE] = 0;
        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                const char *const targets[] = { huge, "web.", ".1", "web.1.1", "/", "\xc3\xa4 \n\t%s%n" };

                for (size_t k = 0; k < ELEMENTSOF(targets); k++) {
                        manager_call(x, &c, methods[i], "s", targets[k]);
                        wait_done(x, &c);
                        assert_true(strlen(sd_bus_message_get_error(c.reply)->message) < 300);
                        expect_error(x, &c, BUS_ERROR_NO_PROC, NULL);
                }
        }
        free(huge);
}

static void test_get(void **state) {
        struct fixture *x = *state;
        struct call c = {};
        const char *path;

        manager_call(x, &c, "GetActor", "s", "web.2");
        expect_reply(x, &c, "o");
        assert_ok(sd_bus_message_read(c.reply, "o", &path));
        assert_string_equal(path, BUS_PATH_ACTOR "/_370000001");
        free_call(&c);

        manager_call(x, &c, "GetMonitor", "s", "my-web");
        expect_reply(x, &c, "o");
        free_call(&c);

        manager_call(x, &c, "GetActor", "s", "web.99");
        expect_error(x, &c, BUS_ERROR_NO_PROC, "\"web.99\"");
        manager_call(x, &c, "GetMonitor", "s", "\xc3\xa4\n");
        expect_error(x, &c, BUS_ERROR_NO_PROC, "\"???\"");
}

static void test_verbs(void **state) {
        static const char *const verbs[] = { "Stop", "Restart" };
        struct fixture *x = *state;
        struct call c = {};
        uint32_t before;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                manager_call(x, &c, verbs[i], "s", "web.1");
                wait_request(x, &c);
                settle(x);
                assert_false(c.done); /* not before the work is done */
                assert_string_equal(x->arbiter->requests->target, "web.1");
                fake_reply(x->arbiter, NULL);
                expect_empty(x, &c);

                manager_call(x, &c, verbs[i], "s", "nobody");
                expect_error(x, &c, BUS_ERROR_NO_PROC, "nobody");

                send_call(x->client, &c, BUS_PATH_ACTOR "/_370000001", BUS_INTERFACE_ACTOR, verbs[i], "");
                wait_request(x, &c);
                assert_string_equal(x->arbiter->requests->target, "70000001");
                fake_fail(x->arbiter, ARBITER_OUTCOME_CALLEE_DIED, NULL, NULL);
                expect_error(x, &c, BUS_ERROR_CALLEE_DIED, "died");

                send_call(x->client, &c, BUS_PATH_MONITOR "/my_2dweb", BUS_INTERFACE_MONITOR, verbs[i], "");
                wait_request(x, &c);
                assert_string_equal(x->arbiter->requests->target, "my-web");
                fake_reply(x->arbiter, NULL);
                expect_empty(x, &c);
        }

        manager_call(x, &c, "Kill", "si", "web.1", SIGUSR1);
        expect_empty(x, &c);
        assert_int_equal(x->arbiter->kill_signal, SIGUSR1);
        manager_call(x, &c, "Kill", "si", "web.1", 0);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "0 came");
        manager_call(x, &c, "Kill", "si", "web.1", 1000);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "1000 came");
        manager_call(x, &c, "Kill", "si", "nobody", SIGUSR1);
        expect_error(x, &c, BUS_ERROR_NO_PROC, NULL);
        send_call(x->client, &c, BUS_PATH_ACTOR "/a0000000", BUS_INTERFACE_ACTOR, "Kill", "i", SIGUSR2);
        expect_empty(x, &c);
        assert_int_equal(x->arbiter->kill_signal, SIGUSR2);

        manager_call(x, &c, "Scale", "su", "my-web", 9);
        wait_request(x, &c);
        assert_int_equal(x->arbiter->monitor.workers, 9);
        fake_reply(x->arbiter, NULL);
        expect_reply(x, &c, "u");
        assert_ok(sd_bus_message_read(c.reply, "u", &before));
        assert_int_equal(before, 4);
        free_call(&c);
        manager_call(x, &c, "Scale", "su", "web.1", 9);
        expect_error(x, &c, BUS_ERROR_NO_PROC, NULL);

        manager_call(x, &c, "Reload", "");
        expect_empty(x, &c);
        assert_int_equal(x->arbiter->n_reloads, 1);
        x->arbiter->reload_result = -EINVAL;
        manager_call(x, &c, "Reload", "");
        expect_error(x, &c, BUS_ERROR_RELOAD_FAILED, "Wrokers");

        manager_call(x, &c, "Reexecute", "");
        wait_request(x, &c);
        fake_reply(x->arbiter, NULL);
        expect_empty(x, &c);
        manager_call(x, &c, "Reexecute", "");
        wait_request(x, &c);
        fake_fail(x->arbiter, ARBITER_OUTCOME_APPLICATION_ERROR, BUS_ERROR_REEXECUTE_FAILED,
                        "It cannot read version 9.");
        expect_error(x, &c, BUS_ERROR_REEXECUTE_FAILED, "It cannot read version 9.");
        x->arbiter->reexecute_result = -EOPNOTSUPP;
        manager_call(x, &c, "Reexecute", "");
        expect_error(x, &c, BUS_ERROR_NOT_SUPPORTED, "service of systemd");
}

static void test_ping(void **state) {
        struct fixture *x = *state;
        struct call c = {};
        uint64_t usec;

        manager_call(x, &c, "Ping", "s", "web.1");
        wait_request(x, &c);
        assert_string_equal(x->arbiter->requests->command, "ping");
        fake_reply(x->arbiter, NULL);
        expect_reply(x, &c, "t");
        assert_ok(sd_bus_message_read(c.reply, "t", &usec));
        assert_true(usec < 100 * USEC_PER_SEC);
        free_call(&c);

        send_call(x->client, &c, BUS_PATH_ACTOR "/a0000000", BUS_INTERFACE_ACTOR, "Ping", "");
        wait_request(x, &c);
        fake_fail(x->arbiter, ARBITER_OUTCOME_TIMEOUT, NULL, "It had begun 5s ago.");
        expect_error(x, &c, BUS_ERROR_TIMEOUT, "It had begun 5s ago.");
}

static void test_plan_reload(void **state) {
        struct fixture *x = *state;
        const char *name, *verb, *details;
        struct call c = {};

        manager_call(x, &c, "PlanReload", "");
        expect_reply(x, &c, BUS_PLAN_RELOAD_SIGNATURE);
        assert_ok(sd_bus_message_enter_container(c.reply, 'a', "(sss)"));
        assert_int_equal(sd_bus_message_read(c.reply, "(sss)", &name, &verb, &details), 1);
        assert_string_equal(verb, "scale");
        assert_int_equal(x->arbiter->n_reloads, 0); /* it was not done */
        free_call(&c);
        x->arbiter->reload_result = -EOPNOTSUPP;
        manager_call(x, &c, "PlanReload", "");
        expect_error(x, &c, BUS_ERROR_NOT_SUPPORTED, NULL);
}

/* Each outcome has its name and a text, and what an actor says goes through as far as a bus can carry it. */
static void test_outcomes(void **state) {
        struct fixture *x = *state;
        struct call c = {};

        for (arbiter_outcome o = ARBITER_OUTCOME_NOPROC; o <= ARBITER_OUTCOME_BREAKER_OPEN; o++) {
                manager_call(x, &c, "Ping", "s", "web.1");
                wait_request(x, &c);
                fake_fail(x->arbiter, o, NULL, NULL);
                expect_error(x, &c, outcome_to_error_name(o), NULL);
        }

        manager_call(x, &c, "Ping", "s", "web.1");
        wait_request(x, &c);
        fake_fail(x->arbiter, ARBITER_OUTCOME_APPLICATION_ERROR, "com.example.Error.NoSuchWord",
                        "No such word.");
        expect_error(x, &c, "com.example.Error.NoSuchWord", "No such word.");

        static const char *const bad_names[] = { "", "word", "a..b", ".a.b", "a.b.", "a.9b", "a.b c",
                "a.\xc3\xa4" };
        for (size_t i = 0; i < ELEMENTSOF(bad_names); i++) {
                manager_call(x, &c, "Ping", "s", "web.1");
                wait_request(x, &c);
                fake_fail(x->arbiter, ARBITER_OUTCOME_APPLICATION_ERROR, bad_names[i], "bad \xff\xfe bytes");
                expect_error(x, &c, BUS_ERROR_APPLICATION_ERROR, "no text");
        }
}

static void test_spawn(void **state) {
        struct fixture *x = *state;
        const char *id, *path;
        struct call c = {};

        manager_call(x, &c, "Spawn", "a{sv}", 3, "Definition", "s", "clock", "Name", "s", "clock-2",
                        "Parameters", "a{ss}", 3, "a", "1", "b", "=x=", "c", "");
        wait_request(x, &c);
        assert_string_equal(x->arbiter->requests->text, "clock|a=1;b==x=;c=;");
        assert_string_equal(x->arbiter->requests->target, "clock-2");
        fake_reply(x->arbiter, NULL);
        expect_reply(x, &c, "so");
        assert_ok(sd_bus_message_read(c.reply, "so", &id, &path));
        assert_string_equal(id, "9spawned");
        assert_string_equal(path, BUS_PATH_ACTOR "/_39spawned");
        free_call(&c);

        manager_call(x, &c, "Spawn", "a{sv}", 2, "Exec", "as", 2, "/bin/sleep", "9", "Name", "s", "nap");
        wait_request(x, &c);
        assert_string_equal(x->arbiter->requests->text, "|</bin/sleep><9>");
        fake_fail(x->arbiter, ARBITER_OUTCOME_APPLICATION_ERROR, BUS_ERROR_APPLICATION_ERROR,
                        "It exited at once.");
        expect_error(x, &c, BUS_ERROR_APPLICATION_ERROR, "It exited at once.");

        manager_call(x, &c, "Spawn", "a{sv}", 1, "Definition", "s", "clokc");
        expect_error(x, &c, BUS_ERROR_NO_SUCH_DEFINITION, "\"clokc\"");
        manager_call(x, &c, "Spawn", "a{sv}", 2, "Definition", "s", "clock", "Usr", "s", "root");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "\"Usr\"");
        manager_call(x, &c, "Spawn", "a{sv}", 1, "Definition", "u", 7);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "must be of type \"s\", and \"u\" came");
        manager_call(x, &c, "Spawn", "a{sv}", 2, "Definition", "s", "clock", "Definition", "s", "clock");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "twice");
        manager_call(x, &c, "Spawn", "a{sv}", 0);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "neither");
        manager_call(x, &c, "Spawn", "a{sv}", 3, "Definition", "s", "clock", "Exec", "as", 1, "/bin/x",
                        "Name", "s", "n");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "both");
        manager_call(x, &c, "Spawn", "a{sv}", 1, "Exec", "as", 1, "/bin/x");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "Name");
        manager_call(x, &c, "Spawn", "a{sv}", 2, "Exec", "as", 0, "Name", "s", "n");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "empty");
        manager_call(x, &c, "Spawn", "a{sv}", 2, "Definition", "s", "clock", "Name", "s", "a.b");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "\"a.b\"");
        manager_call(x, &c, "Spawn", "a{sv}", 2, "Definition", "s", "clock", "Parameters", "a{ss}", 1, "a=b",
                        "c");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "\"a=b\"");
        assert_int_equal(x->arbiter->n_requests, 0);
}

static void check_introspection(struct fixture *x, const char *path, const char *interface) {
        _cleanup_free_ char *contract = NULL, *expected = NULL, *live = NULL;
        struct call c = {};
        char file[512];
        const char *xml;
        size_t size;

        send_call(x->client, &c, path, "org.freedesktop.DBus.Introspectable", "Introspect", "");
        expect_reply(x, &c, "s");
        assert_ok(sd_bus_message_read(c.reply, "s", &xml));
        live = bus_xml_normalise(xml, interface);
        (void) snprintf(file, sizeof(file), "%s/%s.xml", DBUS_XML_DIR, interface);
        assert_ok(read_file_full(AT_FDCWD, file, 1024 * 1024, &contract, &size));
        expected = bus_xml_normalise(contract, interface);
        assert_true(strlen(expected) > 500);
        assert_string_equal(live, expected);
        free_call(&c);
}

static void test_introspection(void **state) {
        struct fixture *x = *state;

        check_introspection(x, BUS_PATH, BUS_INTERFACE_MANAGER);
        check_introspection(x, BUS_PATH_ACTOR "/a0000000", BUS_INTERFACE_ACTOR);
        check_introspection(x, BUS_PATH_MONITOR "/my_2dweb", BUS_INTERFACE_MONITOR);
}

/* The comparison sees what it must see. */
static void test_normalise(void **state) {
        static const char *const different[] = {
                "<interface name=\"i\"><method name=\"M\"><arg name=\"a\" type=\"u\" "
                "direction=\"in\"/></method></interface>",
                "<interface name=\"i\"><method name=\"M\"><arg name=\"b\" type=\"s\" "
                "direction=\"in\"/></method></interface>",
                "<interface name=\"i\"><method name=\"M\"><arg name=\"a\" type=\"s\" "
                "direction=\"out\"/></method></interface>",
                "<interface name=\"i\"><method name=\"N\"><arg name=\"a\" type=\"s\" "
                "direction=\"in\"/></method></interface>",
                "<interface name=\"i\"><signal name=\"M\"><arg name=\"a\" "
                "type=\"s\"/></signal></interface>",
                "<interface name=\"i\"></interface>",
        };
        _cleanup_free_ char *one = bus_xml_normalise(
                        "<?xml?><!-- <method name=\"X\"> --><interface name=\"i\"><method "
                        "name=\"M\"><arg direction=\"in\" type=\"s\" name=\"a\"/></method>"
                        "</interface><interface name=\"j\"><method name=\"O\"/></interface>",
                        "i");

        assert_string_equal(one, "method M  \nmethod M argument 0 a s in\n");
        for (size_t i = 0; i < ELEMENTSOF(different); i++) {
                _cleanup_free_ char *other = bus_xml_normalise(different[i], "i");

                assert_string_not_equal(other, one);
        }
}

static void get_property(struct fixture *x, struct call *c, const char *path, const char *interface,
                const char *name) {
        send_call(x->client, c, path, "org.freedesktop.DBus.Properties", "Get", "ss", interface, name);
        expect_reply(x, c, "v");
}

#define assert_string_property(x, path, interface, name, expected)       \
        do {                                                             \
                struct call _c = {};                                     \
                const char *_s;                                          \
                get_property(x, &_c, path, interface, name);             \
                assert_ok(sd_bus_message_read(_c.reply, "v", "s", &_s)); \
                assert_string_equal(_s, expected);                       \
                free_call(&_c);                                          \
        } while (0)

#define assert_number_property(x, path, interface, name, signature, type, expected) \
        do {                                                                        \
                struct call _c = {};                                                \
                type _n;                                                            \
                get_property(x, &_c, path, interface, name);                        \
                assert_ok(sd_bus_message_read(_c.reply, "v", signature, &_n));      \
                assert_true(_n == (type) (expected));                               \
                free_call(&_c);                                                     \
        } while (0)

static void assert_probes(struct fixture *x, const char *actor) {
        const char *kind, *how, *verdict, *text;
        uint64_t n_good, n_bad, last;
        struct call c = {};

        get_property(x, &c, actor, BUS_INTERFACE_ACTOR, "Probes");
        assert_ok(sd_bus_message_read(c.reply, "v", "a(sssttts)", 1, &kind, &how, &verdict, &n_good, &n_bad,
                        &last, &text));
        assert_string_equal(kind, "readiness");
        assert_string_equal(how, "http 8080/");
        assert_string_equal(verdict, "bad");
        assert_true(n_good == 3 && n_bad == 4 && last == 5);
        assert_string_equal(text, "status ?");
        free_call(&c);
}

static void test_properties(void **state) {
        struct fixture *x = *state;
        const char *actor = BUS_PATH_ACTOR "/_370000003", *monitor = BUS_PATH_MONITOR "/my_2dweb";
        struct call c = {};

        assert_string_property(x, BUS_PATH, BUS_INTERFACE_MANAGER, "Version", "1.2.3");
        assert_number_property(x, BUS_PATH, BUS_INTERFACE_MANAGER, "NActors", "u", uint32_t, N_ACTORS);
        assert_number_property(x, BUS_PATH, BUS_INTERFACE_MANAGER, "NMonitors", "u", uint32_t, 1);
        get_property(x, &c, BUS_PATH, BUS_INTERFACE_MANAGER, "Definitions");
        const char *first, *second;
        assert_ok(sd_bus_message_read(c.reply, "v", "as", 2, &first, &second));
        assert_string_equal(first, "clock");
        assert_string_equal(second, "web");
        free_call(&c);

        static const char *const failed_files[] = { "/etc/arbiter/web.monitor", "bad \xff", NULL };
        x->arbiter->view.n_failed = 7;
        x->arbiter->view.takeovers = 3;
        x->arbiter->view.dead_letters = 1000000000000;
        x->arbiter->view.failed_files = failed_files;
        assert_string_property(x, BUS_PATH, BUS_INTERFACE_MANAGER, "State", "running");
        assert_string_property(x, BUS_PATH, BUS_INTERFACE_MANAGER, "Instance", "system");
        assert_string_property(x, BUS_PATH, BUS_INTERFACE_MANAGER, "ControlGroup", "/x");
        assert_number_property(x, BUS_PATH, BUS_INTERFACE_MANAGER, "NFailed", "u", uint32_t, 7);
        assert_number_property(x, BUS_PATH, BUS_INTERFACE_MANAGER, "Takeovers", "u", uint32_t, 3);
        assert_number_property(
                        x, BUS_PATH, BUS_INTERFACE_MANAGER, "DeadLetters", "t", uint64_t, 1000000000000);
        get_property(x, &c, BUS_PATH, BUS_INTERFACE_MANAGER, "FailedFiles");
        assert_ok(sd_bus_message_read(c.reply, "v", "as", 2, &first, &second));
        assert_string_equal(first, "/etc/arbiter/web.monitor");
        assert_string_equal(second, "bad ?");
        free_call(&c);

        x->arbiter->actors[3].view.status = "bad \xff";
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "AID", "70000003");
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "Name", "web.4");
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "Monitor", "web");
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "Description", "Web worker");
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "Program", "/bin/web");
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "Concurrency", "process");
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "State", "running");
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "Status", "bad ?");
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "LastReason", "signal");
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "LastStatus", "i", int32_t, 9);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "PID", "u", uint32_t, 1003);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "Generation", "u", uint32_t, 2);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "Restarts", "u", uint32_t, 1);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "Plain", "b", int, 1);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "Ready", "b", int, 0);
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "ProbeStatus", "");
        x->arbiter->n_probes = 1;
        assert_string_property(x, actor, BUS_INTERFACE_ACTOR, "ProbeStatus", "readiness: bad");
        assert_probes(x, actor);
        assert_int_equal(x->arbiter->n_usages, 0); /* files are read for who asks, not to find the object */
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "MemoryBytes", "t", uint64_t, UINT64_MAX);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "CPUUsec", "t", uint64_t, 5);
        assert_int_equal(x->arbiter->n_usages, 2);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "MailboxQueued", "t", uint64_t, 3);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "LastNotifiedUsec", "t", uint64_t, 7);
        assert_number_property(x, actor, BUS_INTERFACE_ACTOR, "StartedUsec", "t", uint64_t,
                        x->arbiter->actors[3].view.started_usec);

        assert_string_property(x, monitor, BUS_INTERFACE_MONITOR, "Name", "my-web");
        assert_string_property(x, monitor, BUS_INTERFACE_MONITOR, "State", "running");
        assert_number_property(x, monitor, BUS_INTERFACE_MONITOR, "Workers", "u", uint32_t, 4);
        assert_number_property(x, monitor, BUS_INTERFACE_MONITOR, "Running", "u", uint32_t, 3);
        assert_number_property(x, monitor, BUS_INTERFACE_MONITOR, "Failed", "u", uint32_t, 1);
        assert_number_property(x, monitor, BUS_INTERFACE_MONITOR, "Restarts", "u", uint32_t, 12);
        assert_number_property(x, monitor, BUS_INTERFACE_MONITOR, "NextAttemptUsec", "t", uint64_t, 99);

        /* One dump, one look at the actor. */
        x->arbiter->n_lookups = 0;
        send_call(x->client, &c, actor, "org.freedesktop.DBus.Properties", "GetAll", "s",
                        BUS_INTERFACE_ACTOR);
        expect_reply(x, &c, "a{sv}");
        assert_int_equal(x->arbiter->n_lookups, 1);
        free_call(&c);
}

static void test_managed_objects(void **state) {
        struct fixture *x = *state;
        struct call c = {};
        unsigned n = 0;
        int r;

        send_call(x->client, &c, BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "");
        expect_reply(x, &c, "a{oa{sa{sv}}}");
        assert_ok(sd_bus_message_enter_container(c.reply, 'a', "{oa{sa{sv}}}"));
        while ((r = sd_bus_message_skip(c.reply, "{oa{sa{sv}}}")) > 0)
                n++;
        assert_int_equal(n, N_ACTORS + 1);
        free_call(&c);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, bus_setup, bus_teardown)
        const struct CMUnitTest tests[] = {
                TEST(lists),
                TEST(deaths),
                TEST(why),
                TEST(nonsense_targets),
                TEST(metrics),
                TEST(get),
                TEST(verbs),
                TEST(ping),
                TEST(plan_reload),
                TEST(outcomes),
                TEST(spawn),
                TEST(introspection),
                cmocka_unit_test(test_normalise),
                TEST(properties),
                TEST(managed_objects),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
