/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what on a bus: a real dbus-daemon, clients that are other users, and a polkit that answers
 * as each test wants it to. */

#include "fake-polkit.h"

#include <stdio.h>

#include "bus-xml.h"

#define LOG_CONTROL "org.freedesktop.LogControl1"
#define LOG_CONTROL_PATH "/org/freedesktop/LogControl1"
#define PROPERTIES "org.freedesktop.DBus.Properties"

static struct bus_senders *the_senders(struct bus_fixture *b) {
        return the_client(b)->connection->senders;
}

/* Nothing of theirs is left. */
static void expect_no_senders(struct bus_fixture *b) {
        settle(b->x);
        while (map_size(the_senders(b)->by_name) > 0)
                turn(b->x);
        assert_int_equal(the_senders(b)->n_watched, 0);
        assert_int_equal(the_senders(b)->n_messages, 0);
        assert_int_equal(the_senders(b)->n_bytes, 0);
        assert_int_equal(the_client(b)->connection->n_calls, 0);
}

static void test_reads_are_free(void **state) {
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct call c = {};

        bus_manager_call(other, &c, "ListActors", "");
        expect_reply(b->x, &c, BUS_LIST_ACTORS_SIGNATURE);
        free_call(&c);
        send_bus_call(other, &c, BUS_PATH_ACTOR "/a0000000", PROPERTIES, "Get", "ss", BUS_INTERFACE_ACTOR,
                        "State");
        expect_reply(b->x, &c, "v");
        free_call(&c);
        send_bus_call(other, &c, BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "");
        expect_reply(b->x, &c, "a{oa{sa{sv}}}");
        free_call(&c);
        sd_bus_close_unref(other);
        expect_no_senders(b);
}

/* What changes something is refused to others as long as there is no polkit, and never to root. */
static void test_absent(void **state) {
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct call c = {};

        bus_manager_call(other, &c, "Stop", "s", "web.1");
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, "polkit");
        bus_manager_call(other, &c, "Reload", "");
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, BUS_ACTION_RELOAD);
        bus_manager_call(other, &c, "PlanReload", "");
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, BUS_ACTION_RELOAD);
        bus_manager_call(other, &c, "Reexecute", "");
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, BUS_ACTION_REEXECUTE);
        bus_manager_call(other, &c, "Ping", "s", "web.1");
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, BUS_ACTION_SEND_MESSAGES);
        send_bus_call(other, &c, BUS_PATH_ACTOR "/a0000000", BUS_INTERFACE_ACTOR, "Kill", "i", 9);
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, BUS_ACTION_MANAGE_ACTORS);
        assert_int_equal(b->x->arbiter->kill_signal, 0);
        assert_int_equal(b->x->arbiter->n_reloads, 0);
        assert_int_equal(b->x->arbiter->n_plans, 0);
        assert_int_equal(b->x->arbiter->n_requests, 0);

        bus_manager_call(b->client, &c, "Reload", "");
        expect_empty(b->x, &c);
        assert_int_equal(b->x->arbiter->n_reloads, 1);
        sd_bus_close_unref(other);
        b->client = sd_bus_close_unref(b->client);
        expect_no_senders(b);
}

static void test_answers(void **state) {
        static const struct {
                enum fake_polkit_answer answer;
                const char *name, *text;
        } refusals[] = {
                { POLKIT_NO, SD_BUS_ERROR_ACCESS_DENIED, "does not give it to you" },
                { POLKIT_CHALLENGE, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, "password" },
                { POLKIT_GARBAGE, SD_BUS_ERROR_ACCESS_DENIED, "cannot be understood" },
                { POLKIT_ERROR, SD_BUS_ERROR_ACCESS_DENIED, "PolicyKit1.Error.Failed" },
        };
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct fake_polkit p = {};
        struct call c = {};
        const char *unique;

        fake_polkit_start(b, &p);
        for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
                p.answer = refusals[i].answer;
                bus_manager_call(other, &c, "Restart", "s", "web.1");
                expect_error(b->x, &c, refusals[i].name, refusals[i].text);
                assert_int_equal(p.n_asked, i + 1); /* nothing is remembered */
                assert_int_equal(b->x->arbiter->n_requests, 0);
        }
        assert_ok(sd_bus_get_unique_name(other, &unique));
        assert_string_equal(p.sender, unique);
        assert_string_equal(p.action, BUS_ACTION_MANAGE_ACTORS);
        assert_int_equal(p.flags, 0);

        p.answer = POLKIT_YES;
        bus_manager_call(other, &c, "Restart", "s", "web.1");
        wait_request(b->x, &c);
        fake_reply(b->x->arbiter, NULL);
        expect_empty(b->x, &c);
        bus_manager_call(other, &c, "Ping", "s", "web.1");
        wait_request(b->x, &c);
        assert_string_equal(p.action, BUS_ACTION_SEND_MESSAGES);
        fake_reply(b->x->arbiter, NULL);
        expect_reply(b->x, &c, "t");
        free_call(&c);
        bus_manager_call(other, &c, "Spawn", "a{sv}", 1, "Definition", "s", "clock");
        wait_request(b->x, &c);
        fake_fail(b->x->arbiter, ARBITER_OUTCOME_NOPROC, NULL, NULL);
        expect_error(b->x, &c, BUS_ERROR_NO_PROC, NULL);
        bus_manager_call(other, &c, "Reload", "");
        expect_empty(b->x, &c);
        assert_string_equal(p.action, BUS_ACTION_RELOAD);
        p.action[0] = 0;
        bus_manager_call(other, &c, "PlanReload", "");
        expect_reply(b->x, &c, BUS_PLAN_RELOAD_SIGNATURE);
        free_call(&c);
        assert_string_equal(p.action, BUS_ACTION_RELOAD);
        assert_int_equal(b->x->arbiter->n_plans, 1);
        bus_manager_call(other, &c, "Reexecute", "");
        wait_request(b->x, &c);
        assert_string_equal(p.action, BUS_ACTION_REEXECUTE);
        fake_reply(b->x->arbiter, NULL);
        expect_empty(b->x, &c);
        assert_int_equal(p.n_asked, ELEMENTSOF(refusals) + 6);
        assert_int_equal(p.n_cancelled, 0);

        bus_manager_call(b->client, &c, "Reload", "");
        expect_empty(b->x, &c); /* root is not asked about */
        assert_int_equal(p.n_asked, ELEMENTSOF(refusals) + 6);
        sd_bus_close_unref(other);
        fake_polkit_stop(&p);
}

/* The children of a monitor: nobody's to change but for whom polkit says so. That the arbiter here has no
 * tree is said only to those. */
static void test_children(void **state) {
        static const char *const members[] = { "AddChild", "RemoveChild", "TerminateChild", "RestartChild" };
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct fake_polkit p = {};
        struct call c = {};

        fake_polkit_start(b, &p);
        for (size_t i = 0; i < 2 * ELEMENTSOF(members); i++) {
                const char *member = members[i / 2];

                p.answer = i % 2 == 0 ? POLKIT_NO : POLKIT_YES;
                p.action[0] = 0;
                if (streq(member, "AddChild"))
                        send_bus_call(other, &c, BUS_PATH_MONITOR "/my_2dweb", BUS_INTERFACE_MONITOR, member,
                                        "sss", "clock", "", "");
                else
                        send_bus_call(other, &c, BUS_PATH_MONITOR "/my_2dweb", BUS_INTERFACE_MONITOR, member,
                                        "s", "clock");
                expect_error(b->x, &c,
                                i % 2 == 0 ? SD_BUS_ERROR_ACCESS_DENIED : BUS_ERROR_NOT_SUPPORTED,
                                i % 2 == 0 ? BUS_ACTION_MANAGE_ACTORS : "it is a pool");
                assert_string_equal(p.action, BUS_ACTION_MANAGE_ACTORS);
                assert_int_equal(p.n_asked, i + 1);
        }
        sd_bus_close_unref(other);
        fake_polkit_stop(&p);
}

static void test_interactive(void **state) {
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct fake_polkit p = { .answer = POLKIT_CHALLENGE };
        sd_bus_message *m;
        struct call c = {};

        fake_polkit_start(b, &p);
        assert_ok(sd_bus_message_new_method_call(
                        other, &m, BUS_NAME, BUS_PATH, BUS_INTERFACE_MANAGER, "Reload"));
        assert_ok(sd_bus_message_set_allow_interactive_authorization(m, true));
        assert_ok(sd_bus_call_async(other, NULL, m, on_reply, &c, 0));
        sd_bus_message_unref(m);
        expect_error(b->x, &c, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, "agent");
        assert_int_equal(p.flags, 1);
        sd_bus_close_unref(other);
        fake_polkit_stop(&p);
}

/* While polkit thinks everybody else is served, the same client's reads too; what it then allows is
 * looked at as it is by then. */
static void test_slow(void **state) {
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct fake_polkit p = { .answer = POLKIT_LATER };
        struct call c = {}, c2 = {}, gone = {};

        fake_polkit_start(b, &p);
        bus_manager_call(other, &c, "Stop", "s", "web.1");
        send_bus_call(other, &gone, BUS_PATH_MONITOR "/my_2dweb", BUS_INTERFACE_MONITOR, "Stop", "");
        while (p.n_pending < 2)
                turn(b->x);
        bus_manager_call(other, &c2, "ListActors", "");
        expect_reply(b->x, &c2, BUS_LIST_ACTORS_SIGNATURE);
        free_call(&c2);
        bus_manager_call(b->client, &c2, "Reload", "");
        expect_empty(b->x, &c2);
        assert_int_equal(b->x->arbiter->n_requests, 0);

        fake_monitor_gone(b->x->arbiter);
        b->x->arbiter->monitor.name = NULL;
        fake_polkit_answer(&p, POLKIT_YES);
        fake_polkit_answer(&p, POLKIT_YES);
        wait_request(b->x, &c);
        fake_reply(b->x->arbiter, NULL);
        expect_empty(b->x, &c);
        expect_error(b->x, &gone, SD_BUS_ERROR_UNKNOWN_OBJECT, NULL);
        assert_int_equal(b->x->arbiter->n_requests, 0);
        sd_bus_close_unref(other);
        fake_polkit_stop(&p);
}

/* A caller that vanishes while polkit thinks: polkit is told, and a late yes does nothing. */
static void test_vanish(void **state) {
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct fake_polkit p = { .answer = POLKIT_LATER };
        struct call c = {};

        fake_polkit_start(b, &p);
        bus_manager_call(other, &c, "Stop", "s", "web.1");
        while (p.n_pending < 1)
                turn(b->x);
        sd_bus_close_unref(other);
        while (p.n_cancelled < 1)
                turn(b->x);
        assert_string_equal(p.cancelled, p.id);
        fake_polkit_answer(&p, POLKIT_YES);
        expect_no_senders(b);
        assert_int_equal(b->x->arbiter->n_requests, 0);
        free_call(&c);
        fake_polkit_stop(&p);
}

/* polkit goes, or the whole bus, while it thinks. */
static void test_polkit_dies(void **state) {
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct fake_polkit p = { .answer = POLKIT_LATER };
        struct call c = {};

        fake_polkit_start(b, &p);
        bus_manager_call(other, &c, "Stop", "s", "web.1");
        while (p.n_pending < 1)
                turn(b->x);
        fake_polkit_stop(&p);
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, "did not answer");

        p = (struct fake_polkit){ .answer = POLKIT_LATER };
        fake_polkit_start(b, &p);
        bus_manager_call(other, &c, "Stop", "s", "web.1");
        while (p.n_pending < 1)
                turn(b->x);
        daemon_kill(b);
        while (the_client(b)->connection)
                turn(b->x);
        assert_int_equal(b->x->arbiter->n_requests, 0);
        sd_bus_close_unref(other);
        fake_polkit_stop(&p);
        settle(b->x);
        free_call(&c);
}

/* Few of one sender's are before polkit at a time, the others wait in its queue, and all are answered. */
static void test_many(void **state) {
        enum { N = 100 };
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct fake_polkit p = { .answer = POLKIT_LATER };
        unsigned n_done = 0, i;
        struct call calls[N];

        memset(calls, 0, sizeof(calls));
        fake_polkit_start(b, &p);
        for (i = 0; i < N; i++) {
                calls[i].n_done = &n_done;
                bus_manager_call(other, &calls[i], "Stop", "s", "web.1");
        }
        for (i = 0; i < N; i++) {
                while (p.n_pending < (N - i < SENDER_CHECKS_MAX ? N - i : SENDER_CHECKS_MAX))
                        turn(b->x);
                settle(b->x);
                assert_true(p.n_pending <= SENDER_CHECKS_MAX);
                fake_polkit_answer(&p, i % 2 == 0 ? POLKIT_YES : POLKIT_NO);
                while (n_done < i + 1) {
                        if (b->x->arbiter->requests)
                                fake_reply(b->x->arbiter, NULL);
                        turn(b->x);
                }
        }
        for (i = 0; i < N; i++) {
                assert_int_equal(sd_bus_message_is_method_error(calls[i].reply, NULL) > 0, i % 2);
                free_call(&calls[i]);
        }
        sd_bus_close_unref(other);
        fake_polkit_stop(&p);
}

static void send_text(sd_bus *bus, struct call *c, char *text, size_t size) {
        text[size] = 0;
        bus_manager_call(bus, c, "Send", "ssava{sv}", "web.1", "echo", 1, "s", text, 0);
        text[size] = 'x';
}

/* What waits for polkit, perhaps for ever, is kept: a user must not fill our memory with it, nor the room of
 * others. */
static void test_memory(void **state) {
        enum { LARGE = 100 * 1024, SMALL = 60 * 1024, N = 10 };
        struct bus_fixture *b = *state;
        sd_bus *own[N], *other = bus_connect_as(b, USER_B);
        struct fake_polkit p = { .answer = POLKIT_LATER };
        struct call waiting[N][SENDER_CHECKS_MAX], large = {}, large2 = {}, c = {};
        unsigned n_done = 0, n_sent = 1;
        char text[LARGE + 1];

        memset(waiting, 0, sizeof(waiting));
        memset(text, 'x', sizeof(text));
        fake_polkit_start(b, &p);
        for (unsigned i = 0; i < N; i++)
                own[i] = bus_connect_as(b, USER_A);
        send_text(own[0], &large, text, LARGE);
        while (p.n_pending < 1)
                turn(b->x);
        send_text(own[1], &c, text, LARGE);
        expect_error(b->x, &c, SD_BUS_ERROR_LIMITS_EXCEEDED, "memory");
        for (unsigned i = 1; i < N; i++)
                for (unsigned k = 0; k < SENDER_CHECKS_MAX; k++) {
                        waiting[i][k].n_done = &n_done;
                        send_text(own[i], &waiting[i][k], text, SMALL);
                        n_sent++;
                        while (p.n_pending + n_done < n_sent)
                                turn(b->x);
                }
        assert_true(n_done > 0); /* were refused */
        assert_true(the_senders(b)->n_bytes <= UID_BYTES_MAX + 2 * MESSAGE_LARGE);
        assert_true(the_senders(b)->n_bytes > UID_BYTES_MAX / 2);

        send_text(other, &large2, text, LARGE); /* others have room */
        while (p.n_pending + n_done < n_sent + 1)
                turn(b->x);
        send_text(b->client, &c, text, LARGE);
        wait_request(b->x, &c);
        fake_reply(b->x->arbiter, NULL);
        wait_done(b->x, &c);
        free_call(&c);
        for (unsigned i = 0; i < N; i++)
                sd_bus_close_unref(own[i]);
        sd_bus_close_unref(other);
        b->client = sd_bus_close_unref(b->client);
        expect_no_senders(b);
        assert_int_equal(the_senders(b)->n_large, 0);
        assert_int_equal(the_senders(b)->n_asked_large, 0);
        free_call(&large);
        free_call(&large2);
        for (unsigned i = 0; i < N; i++)
                for (unsigned k = 0; k < SENDER_CHECKS_MAX; k++)
                        free_call(&waiting[i][k]);
        fake_polkit_stop(&p);
}

/* On a user's bus there is no polkit: it is that user's alone. */
static void test_user_bus(void **state) {
        struct bus_fixture *b = *state;
        struct fake_polkit p = { .answer = POLKIT_YES };
        struct call c = {};
        sd_bus *other;

        daemon_start(b, NULL);
        assert_ok(bus_face_listen_bus(b->x->face, ARBITER_BUS_USER, NULL, b->address));
        wait_name(b);
        fake_polkit_start(b, &p);
        b->client = bus_connect(b);
        bus_manager_call(b->client, &c, "Reload", "");
        expect_empty(b->x, &c);
        other = bus_connect_as(b, USER_A);
        bus_manager_call(other, &c, "Reload", "");
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, "belongs to user 0");
        assert_int_equal(b->x->arbiter->n_reloads, 1);
        assert_int_equal(p.n_asked, 0);
        bus_manager_call(other, &c, "ListActors", "");
        expect_reply(b->x, &c, BUS_LIST_ACTORS_SIGNATURE);
        free_call(&c);
        sd_bus_close_unref(other);
        fake_polkit_stop(&p);
}

struct log_state {
        int level;
        char target[16];
};

static int get_level(void *userdata) {
        return ((struct log_state *) userdata)->level;
}

static int set_level(int level, void *userdata) {
        ((struct log_state *) userdata)->level = level;
        return 0;
}

static const char *get_target(void *userdata) {
        return ((struct log_state *) userdata)->target;
}

static int set_target(const char *target, void *userdata) {
        struct log_state *l = userdata;

        if (!streq(target, "console") && !streq(target, "journal"))
                return -EINVAL;
        (void) snprintf(l->target, sizeof(l->target), "%s", target);
        return 0;
}

static void expect_level(struct bus_fixture *b, sd_bus *bus, const char *expected) {
        struct call c = {};
        const char *s;

        send_bus_call(bus, &c, LOG_CONTROL_PATH, PROPERTIES, "Get", "ss", LOG_CONTROL, "LogLevel");
        expect_reply(b->x, &c, "v");
        assert_ok(sd_bus_message_read(c.reply, "v", "s", &s));
        assert_string_equal(s, expected);
        free_call(&c);
}

static void set_log(sd_bus *bus, struct call *c, const char *property, const char *value) {
        send_bus_call(bus, c, LOG_CONTROL_PATH, PROPERTIES, "Set", "ssv", LOG_CONTROL, property, "s", value);
}

/* As org.freedesktop.LogControl1(5) has it, less the annotation that says that it takes privileges. */
static void check_log_interface(struct bus_fixture *b, sd_bus *bus) {
        static const char expected[] =
                        "property LogLevel org.freedesktop.DBus.Property.EmitsChangedSignal=false\n"
                        "property LogLevel s readwrite\n"
                        "property LogTarget org.freedesktop.DBus.Property.EmitsChangedSignal=false\n"
                        "property LogTarget s readwrite\n"
                        "property SyslogIdentifier org.freedesktop.DBus.Property.EmitsChangedSignal=false\n"
                        "property SyslogIdentifier s read\n";
        _cleanup_free_ char *live = NULL;
        struct call c = {};
        const char *xml;

        send_bus_call(bus, &c, LOG_CONTROL_PATH, "org.freedesktop.DBus.Introspectable", "Introspect", "");
        expect_reply(b->x, &c, "s");
        assert_ok(sd_bus_message_read(c.reply, "s", &xml));
        live = bus_xml_normalise(xml, LOG_CONTROL);
        assert_string_equal(live, expected);
        free_call(&c);
}

static void test_log_control(void **state) {
        struct log_state l = { .level = 6, .target = "console" };
        const arbiter_log_control control = {
                .size = sizeof(control),
                .get_level = get_level,
                .set_level = set_level,
                .get_target = get_target,
                .set_target = set_target,
                .identifier = "arbiterd",
        };
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect_as(b, USER_A);
        struct fake_polkit p = { .answer = POLKIT_NO };
        struct call c = {};

        assert_errno(bus_face_set_log_control(b->x->face, &(arbiter_log_control){}, &l), EINVAL);
        assert_ok(bus_face_set_log_control(b->x->face, &control, &l));
        assert_errno(bus_face_set_log_control(b->x->face, &control, &l), EALREADY);
        check_log_interface(b, other);
        expect_level(b, other, "info");
        set_log(b->client, &c, "LogLevel", "debug");
        expect_empty(b->x, &c);
        expect_level(b, other, "debug");
        set_log(b->client, &c, "LogLevel", "loud");
        expect_error(b->x, &c, SD_BUS_ERROR_INVALID_ARGS, "loud");
        set_log(b->client, &c, "LogTarget", "moon");
        expect_error(b->x, &c, SD_BUS_ERROR_INVALID_ARGS, "moon");
        set_log(b->client, &c, "LogTarget", "journal");
        expect_empty(b->x, &c);
        assert_string_equal(l.target, "journal");
        set_log(b->client, &c, "SyslogIdentifier", "x");
        expect_error(b->x, &c, SD_BUS_ERROR_PROPERTY_READ_ONLY, NULL);

        set_log(other, &c, "LogLevel", "emerg");
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, "polkit");
        fake_polkit_start(b, &p);
        set_log(other, &c, "LogLevel", "emerg");
        expect_error(b->x, &c, SD_BUS_ERROR_ACCESS_DENIED, "polkit");
        expect_level(b, other, "debug");
        p.answer = POLKIT_YES;
        set_log(other, &c, "LogLevel", "err");
        expect_empty(b->x, &c);
        expect_level(b, other, "err");
        assert_int_equal(p.n_asked, 2);
        assert_string_equal(p.action, BUS_ACTION_MANAGE_ACTORS);

        /* By the private socket as well. */
        send_call(b->x->client, &c, LOG_CONTROL_PATH, PROPERTIES, "Set", "ssv", LOG_CONTROL, "LogLevel", "s",
                        "notice");
        expect_empty(b->x, &c);
        assert_int_equal(l.level, 5);
        sd_bus_close_unref(other);
        fake_polkit_stop(&p);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, bus_daemon_setup, bus_daemon_teardown)
#define TEST_BARE(name)                                                                                     \
        cmocka_unit_test_setup_teardown(test_##name, bus_daemon_setup_bare, bus_daemon_teardown)
        const struct CMUnitTest tests[] = {
                TEST(reads_are_free),
                TEST(absent),
                TEST(answers),
                TEST(children),
                TEST(interactive),
                TEST(slow),
                TEST(vanish),
                TEST(polkit_dies),
                TEST(many),
                TEST(memory),
                TEST_BARE(user_bus),
                TEST(log_control),
        };

        if (geteuid() != 0) /* nobody else can be made to connect */
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
