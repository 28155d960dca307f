/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/socket.h>

#include "arbiterctl/value.h"
#include "test-util.h"

/* Messages need a bus, if only one that never talks to anybody. */
static int setup(void **state) {
        static int fds[2];
        sd_bus *bus;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
            sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
                return -1;
        *state = bus;
        (void) close(fds[1]);
        return 0;
}

static int teardown(void **state) {
        sd_bus_close_unref(*state);
        return 0;
}

static sd_bus_message *message_new(sd_bus *bus) {
        sd_bus_message *m;

        assert_ok(sd_bus_message_new_method_call(bus, &m, NULL, "/x", "x.y", "Z"));
        return m;
}

#define ARGUMENTS(...) ((char *const[]){ __VA_ARGS__, NULL })

static void assert_round(sd_bus *bus, const char *signature, char *const *arguments, const char *printed) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_new(bus);
        struct value_error e = {};
        char *text = NULL;
        size_t size;
        FILE *f;

        if (value_append(m, signature, &arguments, &e) < 0)
                fail_msg("%s: '%s' %s", signature, e.argument ? e.argument : "", e.why);
        assert_null(*arguments);
        assert_ok(sd_bus_message_seal(m, 1, 0));
        assert_string_equal(sd_bus_message_get_signature(m, true), signature);
        f = open_memstream(&text, &size);
        assert_ok(value_print(m, f));
        (void) fclose(f);
        assert_string_equal(text, printed);
        free(text);
}

static void test_round(void **state) {
        assert_round(*state, "ybnqiuxtd",
                     ARGUMENTS("255", "yes", "-32768", "65535", "-7", "4294967295", "-9223372036854775808",
                               "18446744073709551615", "0.1"),
                     "255 true -32768 65535 -7 4294967295 -9223372036854775808 18446744073709551615 0.1");
        assert_round(*state, "sog", ARGUMENTS("a \"b\"\n\\", "/x/y", "a{sv}"),
                     "\"a \\\"b\\\"\\n\\\\\" \"/x/y\" \"a{sv}\"");
        assert_round(*state, "as", ARGUMENTS("3", "a", "", "c"), "3 \"a\" \"\" \"c\"");
        assert_round(*state, "ai", ARGUMENTS("0"), "0");
        assert_round(*state, "a{sv}", ARGUMENTS("2", "one", "i", "1", "two", "as", "1", "x"),
                     "2 \"one\" i 1 \"two\" as 1 \"x\"");
        assert_round(*state, "(i(sv))aau", ARGUMENTS("1", "s", "v", "b", "no", "2", "1", "5", "0"),
                     "1 \"s\" v b false 2 1 5 0");
}

static void assert_refused(sd_bus *bus, const char *signature, char *const *arguments, const char *argument,
                           const char *why) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_new(bus);
        struct value_error e = {};

        assert_errno(value_append(m, signature, &arguments, &e), EINVAL);
        if (argument)
                assert_string_equal(e.argument, argument);
        else
                assert_null(e.argument);
        if (!strstr(e.why, why))
                fail_msg("\"%s\" is not in \"%s\"", why, e.why);
}

static void test_refused(void **state) {
        assert_refused(*state, "y", ARGUMENTS("256"), "256", "0 to 255");
        assert_refused(*state, "u", ARGUMENTS("-1"), "-1", "0 to 4294967295");
        assert_refused(*state, "n", ARGUMENTS("32768"), "32768", "-32768 to 32767");
        assert_refused(*state, "x", ARGUMENTS("-9223372036854775809"), "-9223372036854775809", "64 bits");
        assert_refused(*state, "x", ARGUMENTS("--1"), "--1", "64 bits");
        assert_refused(*state, "i", ARGUMENTS(""), "", "whole number");
        assert_refused(*state, "b", ARGUMENTS("perhaps"), "perhaps", "yes or no");
        assert_refused(*state, "d", ARGUMENTS("1.5x"), "1.5x", "number");
        assert_refused(*state, "d", ARGUMENTS("1e999"), "1e999", "number");
        assert_refused(*state, "s", ARGUMENTS("\xff"), "\xff", "UTF-8");
        assert_refused(*state, "o", ARGUMENTS("x"), "x", "object path");
        assert_refused(*state, "g", ARGUMENTS("a"), "a", "signature");
        assert_refused(*state, "h", ARGUMENTS("999999"), "999999", "file descriptor");
        assert_refused(*state, "ss", ARGUMENTS("one"), NULL, "each type");
        assert_refused(*state, "as", ARGUMENTS("3", "a", "b"), NULL, "each type");
        assert_refused(*state, "as", ARGUMENTS("x"), "x", "number of elements");
        assert_refused(*state, "as", ARGUMENTS("4294967296"), "4294967296", "number of elements");
        assert_refused(*state, "v", ARGUMENTS("ss", "a", "b"), "ss", "one complete type");
        assert_refused(*state, "v", ARGUMENTS("", "b"), "", "one complete type");
        assert_refused(*state, "v", ARGUMENTS("s"), NULL, "each type");
        assert_refused(*state, "k", ARGUMENTS("1"), "k", "D-Bus types");
        assert_refused(*state, "{sv}", ARGUMENTS("1"), "{sv}", "inside an array");
}

static void test_signature_element(void **state) {
        static const struct {
                const char *signature;
                size_t length; /* 0: wrong */
        } cases[] = {
                { "s", 1 },     { "su", 1 },       { "as", 2 },     { "a{sv}x", 5 }, { "(s(ii))b", 7 },
                { "aa(v)", 5 }, { "a{s(ii)}", 8 }, { "a", 0 },      { "(s", 0 },     { "()", 0 },
                { "a{vs}", 0 }, { "a{s}", 0 },     { "a{sss}", 0 }, { "{ss}", 0 },   { ")", 0 },
                { "z", 0 },     { "a{as s}", 0 },  { "a{", 0 },
        };
        char deep[128];
        const char *why;
        size_t l;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = signature_element_length(cases[i].signature, &l, &why);

                assert_int_equal(r, cases[i].length > 0 ? 0 : -EINVAL);
                if (r == 0)
                        assert_int_equal(l, cases[i].length);
        }
        assert_ok(signature_element_length("", &l, &why));
        assert_int_equal(l, 0);
        memset(deep, 'a', sizeof(deep) - 2);
        deep[sizeof(deep) - 2] = 's';
        deep[sizeof(deep) - 1] = 0;
        assert_errno(signature_element_length(deep, &l, &why), EINVAL);
}

static void test_variants(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_new(*state);
        char *const *arguments = ARGUMENTS("1", "2", "x", "y", "7");
        struct value_error e = {};
        char *text = NULL;
        size_t size;
        FILE *f;

        assert_ok(sd_bus_message_open_container(m, 'a', "v"));
        assert_ok(value_append_variants(m, "uas(y)", &arguments, &e));
        assert_ok(sd_bus_message_close_container(m));
        assert_ok(sd_bus_message_seal(m, 1, 0));
        f = open_memstream(&text, &size);
        assert_ok(value_print(m, f));
        (void) fclose(f);
        assert_string_equal(text, "3 u 1 as 2 \"x\" \"y\" (y) 7");
        free(text);
}

static sd_bus_message *sample(sd_bus *bus) {
        char *const *arguments =
                        ARGUMENTS("a{sv}", "4", "one", "i", "-1", "list", "av", "2", "s", "x\n", "d", "0.5",
                                  "map", "a{ub}", "1", "7", "true", "pair", "(st)", "é", "9");
        sd_bus_message *m = message_new(bus);
        struct value_error e = {};

        assert_ok(value_append(m, "v", &arguments, &e));
        assert_ok(sd_bus_message_seal(m, 1, 0));
        return m;
}

typedef int (*to_json)(sd_bus_message *m, struct json *j);

static void assert_json(sd_bus *bus, to_json function, const char *expected) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = sample(bus);
        char *text = NULL;
        struct json j;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        json_init(&j, f, JSON_SHORT);
        assert_ok(function(m, &j));
        (void) fclose(f);
        assert_string_equal(text, expected);
        free(text);
}

static void test_json(void **state) {
        assert_json(*state, value_to_json,
                    "{\"one\":-1,\"list\":[\"x\\n\",0.5],\"map\":{\"7\":true},\"pair\":[\"é\",9]}");
        assert_json(*state, value_to_typed_json,
                    "{\"type\":\"a{sv}\",\"data\":{\"one\":{\"type\":\"i\",\"data\":-1},\"list\":{\"type\":"
                    "\"av\",\"data\":["
                    "{\"type\":\"s\",\"data\":\"x\\n\"},{\"type\":\"d\",\"data\":0.5}]},\"map\":{\"type\":"
                    "\"a{ub}\",\"data\":"
                    "{\"7\":true}},\"pair\":{\"type\":\"(st)\",\"data\":[\"é\",9]}}}");
}

static void test_tree(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = sample(*state);
        char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        assert_ok(value_print_tree(m, f, 0));
        (void) fclose(f);
        assert_string_equal(text,
                            "one: -1\nlist:\n    - x\\x0a\n    - 0.5\nmap:\n    7: true\npair: \"é\" 9\n");
        free(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_signature_element),
                cmocka_unit_test(test_variants),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_tree),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
