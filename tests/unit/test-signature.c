/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/wire/signature.c: which strings are signatures, and what type codes are. */

#include "test-util.h"

#include "wire/signature.h"

static void fill(char *s, char c, size_t n) {
        memset(s, c, n);
        s[n] = 0;
}

static void test_valid(void **state) {
        static const char *const valid[] = {
                        "",
                        "y",
                        "b",
                        "n",
                        "q",
                        "i",
                        "u",
                        "x",
                        "t",
                        "d",
                        "s",
                        "o",
                        "g",
                        "h",
                        "v",
                        "ay",
                        "aay",
                        "av",
                        "(i)",
                        "(ii)",
                        "((i)(s))",
                        "a{sv}",
                        "a{ya{o(vg)}}",
                        "aa{ss}",
                        "a(sa{sv}h)",
                        "ybnqiuxtdsogh",
                        "(((((y)))))",
        };
        static const char *const invalid[] = {
                        "a",
                        "aa",
                        "()",
                        "(",
                        ")",
                        "(i",
                        "i)",
                        "{sv}",
                        "a{}",
                        "a{s}",
                        "a{sss}",
                        "a{vs}",
                        "a{(i)s}",
                        "a{ass}",
                        "({sv})",
                        "a{sv",
                        "a(",
                        "a)",
                        "z",
                        "r",
                        "e",
                        "m",
                        "*",
                        "i i",
                        "ii\xff",
                        "a{s{ss}}",
                        "(a)",
                        "a{sa}",
        };

        for (size_t i = 0; i < ELEMENTSOF(valid); i++)
                if (!signature_string_is_valid(valid[i]))
                        fail_msg("'%s' was refused", valid[i]);
        for (size_t i = 0; i < ELEMENTSOF(invalid); i++)
                if (signature_string_is_valid(invalid[i]))
                        fail_msg("'%s' was accepted", invalid[i]);
        assert_false(signature_is_valid("y\0y", 3));
        assert_true(signature_is_valid("yyz", 2));
        assert_false(signature_is_valid("(y)", 2));
}

static void test_limits(void **state) {
        char s[300];

        fill(s, 'y', 255);
        assert_true(signature_string_is_valid(s));
        fill(s, 'y', 256);
        assert_false(signature_string_is_valid(s));

        fill(s, 'a', 32);
        strcat(s, "y");
        assert_true(signature_string_is_valid(s));
        fill(s, 'a', 33);
        strcat(s, "y");
        assert_false(signature_string_is_valid(s));

        fill(s, '(', 32);
        strcat(s, "y");
        fill(s + 33, ')', 32);
        assert_true(signature_string_is_valid(s));
        fill(s, '(', 33);
        strcat(s, "y");
        fill(s + 34, ')', 33);
        assert_false(signature_string_is_valid(s));

        /* both limits at once: 32 arrays in 32 structs */
        fill(s, 'a', 32);
        fill(s + 32, '(', 32);
        strcat(s, "y");
        fill(s + 65, ')', 32);
        assert_true(signature_string_is_valid(s));
}

static void test_single(void **state) {
        assert_true(signature_is_single("y"));
        assert_true(signature_is_single("a{sv}"));
        assert_true(signature_is_single("(yy)"));
        assert_false(signature_is_single(""));
        assert_false(signature_is_single("yy"));
        assert_false(signature_is_single("a"));
        assert_false(signature_is_single("(y)y"));
        assert_false(signature_is_single("{sv}"));
}

static void test_element_length(void **state) {
        size_t l = 99;

        assert_ok(signature_element_length("yz", &l));
        assert_int_equal(l, 1);
        assert_ok(signature_element_length("a{s(iv)}(", &l));
        assert_int_equal(l, 8);
        l = 99;
        assert_errno(signature_element_length("", &l), EINVAL);
        assert_errno(signature_element_length("(y", &l), EINVAL);
        assert_errno(signature_element_length("{sv}", &l), EINVAL);
        assert_int_equal(l, 99);
}

static void test_types(void **state) {
        static const struct {
                char type;
                bool basic, trivial;
                size_t alignment, size;
        } types[] = {
                { 'y', true, true, 1, 1 },  { 'b', true, false, 4, 4 },  { 'n', true, true, 2, 2 },
                { 'q', true, true, 2, 2 },  { 'i', true, true, 4, 4 },   { 'u', true, true, 4, 4 },
                { 'x', true, true, 8, 8 },  { 't', true, true, 8, 8 },   { 'd', true, true, 8, 8 },
                { 'h', true, false, 4, 4 }, { 's', true, false, 4, 0 },  { 'o', true, false, 4, 0 },
                { 'g', true, false, 1, 0 }, { 'v', false, false, 1, 0 }, { 'a', false, false, 4, 0 },
                { '(', false, false, 8, 0 }, { '{', false, false, 8, 0 }, { 'z', false, false, 0, 0 },
                { ')', false, false, 0, 0 }, { '\xff', false, false, 0, 0 }, { 0, false, false, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                assert_int_equal(signature_type_is_basic(types[i].type), types[i].basic);
                assert_int_equal(signature_type_is_trivial(types[i].type), types[i].trivial);
                assert_int_equal(signature_type_alignment(types[i].type), types[i].alignment);
                assert_int_equal(signature_type_size(types[i].type), types[i].size);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_valid),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_single),
                cmocka_unit_test(test_element_length),
                cmocka_unit_test(test_types),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
