/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many callers on one bus, and bad ones: a flood from one, a hundred of which some vanish, messages of
 * any size and shape. A real dbus-daemon, an arbiter that is made up. */

#include "bus-daemon.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "basic/fd.h"

static struct bus_senders *the_senders(struct bus_fixture *b) {
        return the_client(b)->connection->senders;
}

static void expect_nothing_kept(struct bus_fixture *b) {
        struct bus_senders *q = the_senders(b);

        settle(b->x);
        assert_int_equal(q->n_messages + q->n_bytes + q->n_large, 0);
        assert_int_equal(the_client(b)->connection->n_calls, 0);
}

enum { FLOOD = 10000 };

/* Ten thousand calls from one, at once: another's is answered in their midst, each of them is answered, and
 * those that exceed what is kept are refused. */
static void test_flood(void **state) {
        struct bus_fixture *b = *state;
        struct call *calls = calloc(FLOOD, sizeof(*calls)), c = {};
        sd_bus *other = bus_connect(b);
        unsigned n_done = 0, n_refused = 0;

        assert_non_null(calls);
        for (unsigned i = 0; i < FLOOD; i++) {
                calls[i].n_done = &n_done;
                bus_manager_call(b->client, &calls[i], "ListActors", "");
        }
        while (n_done == 0)
                turn(b->x);
        bus_manager_call(other, &c, "GetActor", "s", "web.1");
        expect_reply(b->x, &c, "o");
        free_call(&c);
        assert_true(n_done < FLOOD);
        while (n_done < FLOOD) {
                assert_true(the_senders(b)->n_messages <= SENDER_MESSAGES_MAX + 1);
                turn(b->x);
        }
        for (unsigned i = 0; i < FLOOD; i++) {
                if (sd_bus_message_is_method_error(calls[i].reply, NULL)) {
                        assert_true(sd_bus_message_is_method_error(
                                        calls[i].reply, SD_BUS_ERROR_LIMITS_EXCEEDED));
                        n_refused++;
                }
                free_call(&calls[i]);
        }
        assert_true(n_refused < FLOOD - SENDER_MESSAGES_MAX);
        free(calls);
        sd_bus_close_unref(other);
        expect_nothing_kept(b);
}

/* Reads what the bus has for us, N messages, and dispatches none of them yet. */
static void read_only(struct bus_fixture *b, unsigned n) {
        struct bus_connection *c = the_client(b)->connection;

        while (the_senders(b)->n_messages < n) {
                int r = sd_bus_process(c->bus, NULL);

                assert_ok(r);
                if (r == 0)
                        assert_ok(sd_bus_wait(c->bus, UINT64_MAX));
        }
}

static int on_other(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct bus_fixture *b = userdata;

        assert_true(the_senders(b)->n_messages > 0);
        return sd_event_source_set_enabled(s, SD_EVENT_OFF);
}

/* What waits in the queues is done a bit at a time: whatever else there is on the loop has its turn. Not
 * one of the calls wants an answer, so that no full socket makes a pause. */
static void test_others_on_the_loop(void **state) {
        enum { N = PACE_FLOOD - 1 };
        struct bus_fixture *b = *state;
        _cleanup_(sd_event_source_unrefp) sd_event_source *other = NULL;
        _cleanup_close_ int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        int enabled = SD_EVENT_ON;

        for (unsigned i = 0; i < N; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

                assert_ok(sd_bus_message_new_method_call(b->client, &m, BUS_NAME, BUS_PATH,
                                                         BUS_INTERFACE_MANAGER, "ListActors"));
                assert_ok(sd_bus_message_set_expect_reply(m, false));
                assert_ok(sd_bus_send(b->client, m, NULL));
        }
        assert_ok(sd_bus_flush(b->client));
        read_only(b, N);
        assert_ok(sd_event_add_io(b->x->arbiter->event, &other, fd, EPOLLIN, on_other, b));
        while (enabled != SD_EVENT_OFF) {
                turn(b->x);
                assert_ok(sd_event_source_get_enabled(other, &enabled));
        }
        expect_nothing_kept(b);
}

/* One message of each sender in turn: after the first of a great many of one comes the first of another. */
static void test_turns(void **state) {
        enum { N = 50 };
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect(b);
        struct call calls[N], c = {};
        unsigned n_done = 0;

        bus_manager_call(b->client, &c, "Reload", ""); /* both are known by then */
        expect_empty(b->x, &c);
        bus_manager_call(other, &c, "Reload", "");
        expect_empty(b->x, &c);
        memset(calls, 0, sizeof(calls));
        for (unsigned i = 0; i < N; i++) {
                calls[i].n_done = &n_done;
                bus_manager_call(b->client, &calls[i], "Ping", "s", "web.1");
        }
        assert_ok(sd_bus_flush(b->client));
        read_only(b, N);
        bus_manager_call(other, &c, "Ping", "s", "web.2");
        assert_ok(sd_bus_flush(other));
        read_only(b, N + 1);
        while (b->x->arbiter->n_requests < N + 1)
                turn(b->x);
        assert_string_equal(b->x->arbiter->requests->target, "web.1");
        assert_string_equal(b->x->arbiter->requests->next->target, "web.2");
        while (b->x->arbiter->requests)
                fake_reply(b->x->arbiter, NULL);
        expect_reply(b->x, &c, "t");
        free_call(&c);
        while (n_done < N)
                turn(b->x);
        for (unsigned i = 0; i < N; i++)
                free_call(&calls[i]);
        sd_bus_close_unref(other);
        expect_nothing_kept(b);
}

/* Calls that wait for actors are bounded for each sender. */
static void test_waiting(void **state) {
        enum { N = SENDER_CALLS_MAX + 20 };
        struct bus_fixture *b = *state;
        struct call *calls = calloc(N, sizeof(*calls)), c = {};
        sd_bus *other = bus_connect(b);
        unsigned n_done = 0, n_refused = 0;

        assert_non_null(calls);
        for (unsigned i = 0; i < N; i++) {
                calls[i].n_done = &n_done;
                bus_manager_call(b->client, &calls[i], "Ping", "s", "web.1");
        }
        while (n_done < 20)
                turn(b->x);
        settle(b->x);
        assert_int_equal(n_done, 20);
        assert_int_equal(b->x->arbiter->n_requests, SENDER_CALLS_MAX);
        bus_manager_call(other, &c, "Stop", "s", "web.1");
        while (b->x->arbiter->n_requests < SENDER_CALLS_MAX + 1)
                turn(b->x);
        while (b->x->arbiter->requests)
                fake_reply(b->x->arbiter, NULL);
        expect_empty(b->x, &c);
        while (n_done < N)
                turn(b->x);
        for (unsigned i = 0; i < N; i++) {
                n_refused += sd_bus_message_is_method_error(calls[i].reply, SD_BUS_ERROR_LIMITS_EXCEEDED) >
                             0;
                free_call(&calls[i]);
        }
        assert_int_equal(n_refused, 20);
        free(calls);
        sd_bus_close_unref(other);
        expect_nothing_kept(b);
}

/* Requests of a caller that vanishes are cancelled, work that it began goes on. */
static void test_vanish(void **state) {
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect(b);
        struct call c = {};

        for (unsigned i = 0; i < 5; i++)
                bus_manager_call(other, &c, "Stop", "s", "web.1");
        for (unsigned i = 0; i < 5; i++)
                bus_manager_call(other, &c, "Ping", "s", "web.1");
        while (b->x->arbiter->n_requests < 10)
                turn(b->x);
        sd_bus_close_unref(other);
        free_call(&c);
        while (the_client(b)->connection->n_calls > 0)
                turn(b->x);
        assert_int_equal(b->x->arbiter->n_cancelled, 5);
        assert_int_equal(b->x->arbiter->n_requests, 5);
        while (b->x->arbiter->requests) {
                assert_string_equal(b->x->arbiter->requests->verb, "stop");
                fake_reply(b->x->arbiter, NULL);
        }
        expect_nothing_kept(b);
}

enum { CLIENTS = 100 };

/* Every third goes at once, every other third in mid-call. */
static void test_hundred(void **state) {
        struct bus_fixture *b = *state;
        struct call *lists = calloc(CLIENTS, sizeof(*lists)), *pings = calloc(CLIENTS, sizeof(*pings));
        sd_bus *clients[CLIENTS];
        unsigned n_done = 0, n_expected = 0;

        assert_non_null(lists);
        assert_non_null(pings);
        for (unsigned i = 0; i < CLIENTS; i++)
                clients[i] = bus_connect(b);
        for (unsigned i = 0; i < CLIENTS; i++) {
                lists[i].n_done = pings[i].n_done = i % 3 == 2 ? &n_done : NULL;
                n_expected += i % 3 == 2 ? 2 : 0;
                bus_manager_call(clients[i], &lists[i], "ListActors", "");
                bus_manager_call(clients[i], &pings[i], "Ping", "s", "web.1");
                if (i % 3 == 0) {
                        assert_ok(sd_bus_flush(clients[i]));
                        clients[i] = sd_bus_close_unref(clients[i]);
                }
        }
        while (b->x->arbiter->n_requests + b->x->arbiter->n_cancelled < CLIENTS * 2 / 3)
                turn(b->x);
        for (unsigned i = 1; i < CLIENTS; i += 3)
                clients[i] = sd_bus_close_unref(clients[i]);
        while (n_done < n_expected) {
                if (b->x->arbiter->requests)
                        fake_reply(b->x->arbiter, NULL);
                turn(b->x);
        }
        for (unsigned i = 0; i < CLIENTS; i++) {
                if (i % 3 == 2)
                        assert_false(sd_bus_message_is_method_error(lists[i].reply, NULL));
                free_call(&lists[i]);
                free_call(&pings[i]);
                sd_bus_close_unref(clients[i]);
        }
        while (map_size(the_senders(b)->by_name) > 0) {
                if (b->x->arbiter->requests)
                        fake_reply(b->x->arbiter, NULL);
                turn(b->x);
        }
        free(lists);
        free(pings);
        expect_nothing_kept(b);
        assert_int_equal(the_senders(b)->n_watched, 0);
}

/* More senders than are remembered while idle: the oldest are forgotten, and known again when they come. */
static void test_idle(void **state) {
        enum { N = SENDERS_IDLE_MAX + 10 };
        struct bus_fixture *b = *state;
        sd_bus *clients[N];
        struct call c = {};

        for (unsigned i = 0; i < N; i++)
                clients[i] = bus_connect(b);
        for (unsigned i = 0; i < 2 * N; i++) {
                bus_manager_call(clients[i % N], &c, "Reload", "");
                expect_empty(b->x, &c);
                assert_true(map_size(the_senders(b)->by_name) <= SENDERS_IDLE_MAX);
        }
        assert_int_equal(b->x->arbiter->n_reloads, 2 * N);
        assert_int_equal(the_senders(b)->n_watched, SENDERS_IDLE_MAX);
        for (unsigned i = 0; i < N; i++)
                sd_bus_close_unref(clients[i]);
        while (map_size(the_senders(b)->by_name) > 0)
                turn(b->x);
        expect_nothing_kept(b);
}

static sd_bus_message *spawn_message(sd_bus *bus, size_t n_strings, size_t length) {
        char *text = malloc(length + 1);
        sd_bus_message *m;

        assert_non_null(text);
        memset(text, 'x', length);
        text[length] = 0;
        assert_ok(sd_bus_message_new_method_call(
                        bus, &m, BUS_NAME, BUS_PATH, BUS_INTERFACE_MANAGER, "Spawn"));
        assert_ok(sd_bus_message_append(m, "a{sv}", 2, "Name", "s", "x", "Exec", "as", 1, "/bin/x"));
        if (n_strings > 0) {
                m = sd_bus_message_unref(m);
                assert_ok(sd_bus_message_new_method_call(
                                bus, &m, BUS_NAME, BUS_PATH, BUS_INTERFACE_MANAGER, "Spawn"));
                assert_ok(sd_bus_message_open_container(m, 'a', "{sv}"));
                assert_ok(sd_bus_message_open_container(m, 'e', "sv"));
                assert_ok(sd_bus_message_append(m, "s", "Exec"));
                assert_ok(sd_bus_message_open_container(m, 'v', "as"));
                assert_ok(sd_bus_message_open_container(m, 'a', "s"));
                for (size_t i = 0; i < n_strings; i++)
                        assert_ok(sd_bus_message_append(m, "s", text));
                for (unsigned i = 0; i < 4; i++)
                        assert_ok(sd_bus_message_close_container(m));
        }
        free(text);
        return m;
}

/* Big messages: few are kept, the rest is refused; small ones of others go on. */
static void test_large(void **state) {
        enum { N = 20 };
        struct bus_fixture *b = *state;
        sd_bus *other = bus_connect(b);
        unsigned n_done = 0, n_refused = 0;
        struct call calls[N], c = {};

        memset(calls, 0, sizeof(calls));
        for (unsigned i = 0; i < N; i++) {
                sd_bus_message *m = i % 2 == 0 ? spawn_message(b->client, 1, 1024 * 1024)
                                               : spawn_message(b->client, 100000, 0);

                calls[i].n_done = &n_done;
                assert_ok(sd_bus_call_async(b->client, NULL, m, on_reply, &calls[i], UINT64_MAX));
                sd_bus_message_unref(m);
        }
        bus_manager_call(other, &c, "ListActors", "");
        expect_reply(b->x, &c, BUS_LIST_ACTORS_SIGNATURE);
        free_call(&c);
        while (n_done < N)
                turn(b->x);
        for (unsigned i = 0; i < N; i++) {
                assert_true(sd_bus_message_is_method_error(calls[i].reply, NULL)); /* Name is missing */
                n_refused += sd_bus_message_is_method_error(calls[i].reply, SD_BUS_ERROR_LIMITS_EXCEEDED) >
                             0;
                free_call(&calls[i]);
        }
        assert_true(n_refused < N);
        assert_int_equal(b->x->arbiter->n_requests, 0);
        sd_bus_close_unref(other);
        expect_nothing_kept(b);
}

static void test_nonsense(void **state) {
        struct bus_fixture *b = *state;
        struct call c = {};

        bus_manager_call(b->client, &c, "Stop", "u", 7);
        expect_error(b->x, &c, SD_BUS_ERROR_INVALID_ARGS, NULL);
        bus_manager_call(b->client, &c, "Stop", "");
        expect_error(b->x, &c, SD_BUS_ERROR_INVALID_ARGS, NULL);
        bus_manager_call(b->client, &c, "Stopp", "s", "web.1");
        expect_error(b->x, &c, SD_BUS_ERROR_UNKNOWN_METHOD, NULL);
        send_bus_call(b->client, &c, "/", BUS_INTERFACE_MANAGER, "Stop", "s", "web.1");
        expect_error(b->x, &c, SD_BUS_ERROR_UNKNOWN_OBJECT, NULL);
        send_bus_call(b->client, &c, BUS_PATH_ACTOR "/a0000000/x", BUS_INTERFACE_ACTOR, "Stop", "");
        expect_error(b->x, &c, SD_BUS_ERROR_UNKNOWN_OBJECT, NULL);
        send_bus_call(b->client, &c, BUS_PATH, "org.freedesktop.DBus.Properties", "Set", "ssv",
                        BUS_INTERFACE_MANAGER, "NActors", "u", 5);
        expect_error(b->x, &c, SD_BUS_ERROR_PROPERTY_READ_ONLY, NULL);
        bus_manager_call(b->client, &c, "Send", "ssava{sv}", "web.1", "echo", 0, 1, "Nope", "u", 1);
        wait_done(b->x, &c);
        assert_true(sd_bus_message_is_method_error(c.reply, BUS_ERROR_BAD_ARGUMENTS));
        free_call(&c);
        bus_manager_call(b->client, &c, "GetActor", "s", "web.1");
        expect_reply(b->x, &c, "o");
        free_call(&c);
        assert_int_equal(b->x->arbiter->n_requests, 0);
        expect_nothing_kept(b);
}

/* Somebody says that our name was taken, that a client is gone. Only the bus is believed. */
static void test_forged_signals(void **state) {
        struct bus_fixture *b = *state;
        const char *unique, *victim;
        sd_bus *other = bus_connect(b);
        sd_bus_message *m;
        struct call c = {}, waiting = {};

        bus_manager_call(b->client, &waiting, "Stop", "s", "web.1");
        wait_request(b->x, &waiting);
        assert_ok(sd_bus_get_unique_name(the_client(b)->connection->bus, &unique));
        assert_ok(sd_bus_get_unique_name(b->client, &victim));
        assert_ok(sd_bus_message_new_signal(
                        other, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameLost"));
        assert_ok(sd_bus_message_append(m, "s", BUS_NAME));
        assert_ok(sd_bus_send_to(other, m, unique, NULL));
        sd_bus_message_unref(m);
        assert_ok(sd_bus_message_new_signal(
                        other, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged"));
        assert_ok(sd_bus_message_append(m, "sss", victim, victim, ""));
        assert_ok(sd_bus_send_to(other, m, unique, NULL));
        sd_bus_message_unref(m);
        bus_manager_call(other, &c, "Reload", ""); /* it comes after them */
        expect_empty(b->x, &c);
        assert_true(bus_client_has_name(the_client(b)));
        fake_reply(b->x->arbiter, NULL);
        expect_empty(b->x, &waiting);
        sd_bus_close_unref(other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, bus_daemon_setup, bus_daemon_teardown)
        const struct CMUnitTest tests[] = {
                TEST(flood),
                TEST(others_on_the_loop),
                TEST(turns),
                TEST(waiting),
                TEST(vanish),
                TEST(hundred),
                TEST(idle),
                TEST(large),
                TEST(nonsense),
                TEST(forged_signals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
