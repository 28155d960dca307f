/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/bus: Send, with values of all types there and back (convert.c), over the private socket. The arbiter
 * is made up (fake-control.h). */

#include "bus-fixture.h"

#include <fcntl.h>
#include <stdio.h>

#include "bus/error.h"
#include "wire/message.h"

#define send_command(x, c, command, types, ...) \
        manager_call(x, c, "Send", "ss" types "a{sv}", "web.1", command, __VA_ARGS__, 0)

static void test_send_results(void **state) {
        struct fixture *x = *state;
        struct call c = {};
        const char *s;
        int64_t n;
        uint8_t y;
        uint16_t q;
        int b;

        /* One result as it is; an integer of another type that fits. */
        send_command(x, &c, "square", "av", 1, "y", 12);
        wait_request(x, &c);
        assert_string_equal(arbiter_message_get_signature(x->arbiter->requests->message), "x");
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        assert_ok(sd_bus_message_read(c.reply, "v", "x", &n));
        assert_int_equal(n, 12);
        free_call(&c);

        /* Several as a struct. */
        send_command(x, &c, "pair", "av", 2, "t", (uint64_t) 255, "n", 65);
        wait_request(x, &c);
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        assert_ok(sd_bus_message_read(c.reply, "v", "(yq)", &y, &q));
        assert_int_equal(y * 1000 + q, 255065);
        free_call(&c);

        /* None as true. */
        send_command(x, &c, "none", "av", 0);
        wait_request(x, &c);
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        assert_ok(sd_bus_message_read(c.reply, "v", "b", &b));
        assert_int_equal(b, 1);
        free_call(&c);

        /* A variant is neither wrapped nor unwrapped. */
        send_command(x, &c, "echo", "av", 1, "s", "hello");
        wait_request(x, &c);
        assert_string_equal(arbiter_message_get_signature(x->arbiter->requests->message), "v");
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        assert_ok(sd_bus_message_read(c.reply, "v", "s", &s));
        assert_string_equal(s, "hello");
        free_call(&c);
        send_command(x, &c, "echo", "av", 1, "v", "x", (int64_t) -5);
        wait_request(x, &c);
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        assert_ok(sd_bus_message_read(c.reply, "v", "x", &n));
        assert_int_equal(n, -5);
        free_call(&c);
}

static void test_send_integers(void **state) {
        struct fixture *x = *state;
        struct call c = {};
        static const struct {
                const char *command, *type;
                uint64_t value;
                bool fits;
        } cases[] = {
                { "byte", "t", 255, true },
                { "byte", "t", 256, false },
                { "byte", "x", (uint64_t) -1, false },
                { "short", "x", (uint64_t) -32768, true },
                { "short", "x", (uint64_t) -32769, false },
                { "short", "t", 32767, true },
                { "short", "t", 32768, false },
                { "square", "t", INT64_MAX, true },
                { "square", "t", (uint64_t) INT64_MAX + 1, false },
                { "square", "x", (uint64_t) INT64_MIN, true },
                { "big", "x", (uint64_t) -1, false },
                { "big", "x", INT64_MAX, true },
                { "big", "t", UINT64_MAX, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                send_call(x->client, &c, BUS_PATH_ACTOR "/a0000000", BUS_INTERFACE_ACTOR, "Send", "sava{sv}",
                                cases[i].command, 1, cases[i].type, cases[i].value, 0);
                if (!cases[i].fits) {
                        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "came");
                        continue;
                }
                wait_request(x, &c);
                fake_echo(x->arbiter);
                expect_reply(x, &c, "v");
                free_call(&c);
        }
        assert_int_equal(x->arbiter->n_requests, 0);
}

static void test_send_all_types(void **state) {
        struct fixture *x = *state;
        sd_bus_message *m;
        struct call c = {};

#define ALL "ybnqiuxtdsoga(nv)a{sv}ayab(u(s))aax"
        assert_ok(sd_bus_message_new_method_call(
                        x->client, &m, NULL, BUS_PATH, BUS_INTERFACE_MANAGER, "Send"));
        assert_ok(sd_bus_message_append(m, "ssav", "web.1", "all", 18, "y", 1, "b", 1, "n", -2, "q", 3, "i",
                        -4, "u", 5, "x", (int64_t) -6, "t", (uint64_t) 7, "d", 8.5, "s", "nine", "o", "/ten",
                        "g", "a{sv}", "a(nv)", 2, 1, "s", "a", 2, "v", "u", 3, "a{sv}", 1, "k", "as", 2, "x",
                        "y", "ay", 3, 1, 2, 3, "ab", 2, 1, 0, "(u(s))", 4, "deep", "aax", 2, 0, 2,
                        (int64_t) 1, (int64_t) 2));
        assert_ok(sd_bus_message_append(m, "a{sv}", 1, "Timeout", "t", (uint64_t) 1234567));
        assert_ok(sd_bus_call_async(x->client, NULL, m, on_reply, &c, 0));
        sd_bus_message_unref(m);
        wait_request(x, &c);
        assert_string_equal(arbiter_message_get_signature(x->arbiter->requests->message), ALL);
        assert_int_equal(x->arbiter->requests->timeout, 1234567);
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");

        uint8_t y;
        int b;
        int16_t n;
        uint16_t q;
        int32_t i;
        uint32_t u, u2;
        int64_t x1, x2, x3;
        uint64_t t;
        double d;
        const char *s, *o, *g, *k, *k1, *k2, *deep;
        const void *bytes;
        size_t size;
        assert_ok(sd_bus_message_enter_container(c.reply, 'v', "(" ALL ")"));
        assert_ok(sd_bus_message_enter_container(c.reply, 'r', ALL));
        assert_ok(sd_bus_message_read(
                        c.reply, "ybnqiuxtdsog", &y, &b, &n, &q, &i, &u, &x1, &t, &d, &s, &o, &g));
        assert_int_equal(y + b + n + q + i + u + x1 + (int64_t) t, 1 + 1 - 2 + 3 - 4 + 5 - 6 + 7);
        assert_true(d > 8.4 && d < 8.6);
        assert_string_equal(s, "nine");
        assert_string_equal(o, "/ten");
        assert_string_equal(g, "a{sv}");
        assert_ok(sd_bus_message_read(c.reply, "a(nv)", 2, &n, "s", &s, &n, "v", "u", &u2));
        assert_string_equal(s, "a");
        assert_int_equal(u2, 3);
        assert_ok(sd_bus_message_read(c.reply, "a{sv}", 1, &k, "as", 2, &k1, &k2));
        assert_string_equal(k2, "y");
        assert_ok(sd_bus_message_read_array(c.reply, 'y', &bytes, &size));
        assert_int_equal(size, 3);
        assert_memory_equal(bytes, "\1\2\3", 3);
        assert_ok(sd_bus_message_read(c.reply, "ab(u(s))aax", 2, &b, &b, &u, &deep, 2, 0, 2, &x2, &x3));
        assert_string_equal(deep, "deep");
        assert_int_equal(x2 * 10 + x3, 12);
        free_call(&c);
}

static void test_send_fd(void **state) {
        struct fixture *x = *state;
        struct call c = {};
        char buffer[4] = {};
        int fds[2], fd;

        assert_ok(pipe2(fds, O_CLOEXEC));
        send_command(x, &c, "file", "av", 1, "h", fds[0]);
        close(fds[0]);
        wait_request(x, &c);
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        assert_ok(sd_bus_message_read(c.reply, "v", "h", &fd));
        assert_int_equal(write(fds[1], "abc", 3), 3);
        assert_int_equal(read(fd, buffer, sizeof(buffer)), 3);
        assert_string_equal(buffer, "abc");
        close(fds[1]);
        free_call(&c);
}

static void test_send_refused(void **state) {
        struct fixture *x = *state;
        struct call c = {};

        send_command(x, &c, "squere", "av", 0);
        expect_error(x, &c, BUS_ERROR_UNKNOWN_COMMAND, "\"squere\"");
        send_command(x, &c, "square", "av", 0);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "takes 1 argument (\"x\"), and 0 came");
        send_command(x, &c, "pair", "av", 3, "y", 1, "q", 2, "q", 3);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "takes 2 arguments (\"yq\"), and more than 2 came");
        send_command(x, &c, "square", "av", 1, "s", "12");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "Argument 1 of \"square\" must be of type \"x\"");
        send_command(x, &c, "pair", "av", 2, "y", 1, "i", 65536);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS,
                        "Argument 2 of \"pair\" must fit its type \"q\" (0 to 65535)");
        send_command(x, &c, "note", "av", 1, "o", "/x");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "must be of type \"s\", and \"o\" came");
        manager_call(x, &c, "Send", "ssava{sv}", "web.1", "none", 0, 1, "Timout", "t", (uint64_t) 1);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "\"Timout\"");
        manager_call(x, &c, "Send", "ssava{sv}", "web.1", "none", 0, 1, "Timeout", "u", 1);
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "must be of type \"t\"");
        manager_call(x, &c, "Send", "ssava{sv}", "nobody", "none", 0, 0);
        expect_error(x, &c, BUS_ERROR_NO_PROC, "\"nobody\"");
        assert_int_equal(x->arbiter->n_requests, 0);
}

static void test_send_options(void **state) {
        struct fixture *x = *state;
        struct fake_request *q;
        struct call c = {};

        manager_call(x, &c, "Send", "ssava{sv}", "web.1", "none", 0, 4, "Hold", "b", 1, "Routing", "s",
                        "broadcast", "Key", "s", "alice", "To", "s", "pool");
        wait_request(x, &c);
        q = x->arbiter->requests;
        assert_int_equal(q->flags, ARBITER_SEND_HOLD | ARBITER_SEND_TO_POOL);
        assert_int_equal(q->routing, ARBITER_ROUTING_BROADCAST);
        assert_string_equal(q->key, "alice");
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        free_call(&c);

        manager_call(x, &c, "Send", "ssava{sv}", "web.1", "none", 0, 2, "Hold", "b", 0, "To", "s",
                        "monitor");
        wait_request(x, &c);
        assert_int_equal(x->arbiter->requests->flags, ARBITER_SEND_TO_MONITOR);
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        free_call(&c);

        manager_call(x, &c, "Send", "ssava{sv}", "web.1", "none", 0, 1, "Routing", "s", "random");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "\"random\" is none of round-robin");
        manager_call(x, &c, "Send", "ssava{sv}", "web.1", "none", 0, 1, "To", "s", "all");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "\"all\" is neither monitor nor pool");
        manager_call(x, &c, "Send", "ssava{sv}", "web.1", "none", 0, 1, "Hold", "s", "yes");
        expect_error(x, &c, BUS_ERROR_BAD_ARGUMENTS, "must be of type \"b\"");
        assert_int_equal(x->arbiter->n_requests, 0);
}

/* Deeper than we go: refused, or carried, but never followed for ever. */
static void test_send_deep(void **state) {
        struct fixture *x = *state;
        sd_bus_message *m;
        struct call c = {};

        assert_ok(sd_bus_message_new_method_call(
                        x->client, &m, NULL, BUS_PATH, BUS_INTERFACE_MANAGER, "Send"));
        assert_ok(sd_bus_message_append(m, "ss", "web.1", "echo"));
        assert_ok(sd_bus_message_open_container(m, 'a', "v"));
        for (unsigned i = 0; i < 100; i++)
                assert_ok(sd_bus_message_open_container(m, 'v', "v"));
        assert_ok(sd_bus_message_append(m, "v", "s", "x"));
        for (unsigned i = 0; i < 101; i++)
                assert_ok(sd_bus_message_close_container(m));
        assert_ok(sd_bus_message_append(m, "a{sv}", 0));
        assert_ok(sd_bus_call_async(x->client, NULL, m, on_reply, &c, 0));
        sd_bus_message_unref(m);
        wait_done(x, &c);
        assert_true(sd_bus_message_is_method_error(c.reply, NULL));
        free_call(&c);
        assert_int_equal(x->arbiter->n_requests, 0);
}

static void test_send_huge(void **state) {
        struct fixture *x = *state;
        enum { SIZE = 8 * 1024 * 1024 };
        struct call c = {};
        const char *s;
        char *text = malloc(SIZE + 1);

        assert_non_null(text);
        memset(text, 'x', SIZE);
        text[SIZE] = 0;
        send_command(x, &c, "echo", "av", 1, "s", text);
        wait_request(x, &c);
        fake_echo(x->arbiter);
        expect_reply(x, &c, "v");
        assert_ok(sd_bus_message_read(c.reply, "v", "s", &s));
        assert_string_equal(s, text);
        free_call(&c);
        free(text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, bus_setup, bus_teardown)
        const struct CMUnitTest tests[] = {
                TEST(send_results),
                TEST(send_integers),
                TEST(send_all_types),
                TEST(send_fd),
                TEST(send_refused),
                TEST(send_options),
                TEST(send_deep),
                TEST(send_huge),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
