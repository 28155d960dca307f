/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How arbiter-logger cuts bytes into lines. */

#include <stdlib.h>

#include "arbiter-logger/line.h"
#include "test-util.h"

static void check(const char *data, size_t size, size_t scanned, enum line_break end, size_t length,
                size_t consumed, enum line_break line_break) {
        struct line l = {};

        assert_true(line_next(data, size, scanned, end, &l));
        assert_int_equal(l.length, length);
        assert_int_equal(l.consumed, consumed);
        assert_int_equal(l.line_break, line_break);
}

static void test_separators(void **state) {
        struct line l;

        check("one\ntwo\n", 8, 0, LINE_BREAK_NEWLINE, 3, 4, LINE_BREAK_NEWLINE);
        check("one\ntwo\n", 8, 2, LINE_BREAK_NEWLINE, 3, 4, LINE_BREAK_NEWLINE);
        check("\n", 1, 0, LINE_BREAK_NEWLINE, 0, 1, LINE_BREAK_NEWLINE);
        check("a\0b\n", 4, 0, LINE_BREAK_NEWLINE, 1, 2, LINE_BREAK_NUL);
        check("a\nb\0", 4, 0, LINE_BREAK_NEWLINE, 1, 2, LINE_BREAK_NEWLINE);
        check("last", 4, 4, LINE_BREAK_EOF, 4, 4, LINE_BREAK_EOF);
        check("last", 4, 0, LINE_BREAK_PID_CHANGE, 4, 4, LINE_BREAK_PID_CHANGE);
        assert_false(line_next("last", 4, 0, LINE_BREAK_NEWLINE, &l));
        assert_false(line_next("", 0, 0, LINE_BREAK_EOF, &l));
}

static void test_limit(void **state) {
        size_t size = LINE_LENGTH_MAX + 8;
        char *data = malloc(size);
        struct line l;

        assert_non_null(data);
        memset(data, 'x', size);
        assert_false(line_next(data, LINE_LENGTH_MAX, 0, LINE_BREAK_NEWLINE, &l));
        check(data, LINE_LENGTH_MAX, 0, LINE_BREAK_EOF, LINE_LENGTH_MAX, LINE_LENGTH_MAX, LINE_BREAK_EOF);
        check(data, LINE_LENGTH_MAX + 1, 0, LINE_BREAK_EOF, LINE_LENGTH_MAX, LINE_LENGTH_MAX,
                        LINE_BREAK_LINE_MAX);
        data[LINE_LENGTH_MAX] = '\n'; /* exactly as long as may be */
        check(data, size, 0, LINE_BREAK_NEWLINE, LINE_LENGTH_MAX, LINE_LENGTH_MAX + 1, LINE_BREAK_NEWLINE);
        check(data, size, LINE_LENGTH_MAX, LINE_BREAK_NEWLINE, LINE_LENGTH_MAX, LINE_LENGTH_MAX + 1,
                        LINE_BREAK_NEWLINE);
        data[LINE_LENGTH_MAX] = 'x';
        data[LINE_LENGTH_MAX + 1] = '\n'; /* too late */
        check(data, size, 0, LINE_BREAK_NEWLINE, LINE_LENGTH_MAX, LINE_LENGTH_MAX, LINE_BREAK_LINE_MAX);

        /* a character that ends before the limit, at it, and behind it */
        for (size_t begin = LINE_LENGTH_MAX - 5; begin < LINE_LENGTH_MAX; begin++) {
                size_t expected = begin + 4 > LINE_LENGTH_MAX ? begin : LINE_LENGTH_MAX;

                memset(data, 'x', size);
                memcpy(data + begin, "\xf0\x9f\x98\x80", 4);
                check(data, size, 0, LINE_BREAK_NEWLINE, expected, expected, LINE_BREAK_LINE_MAX);
        }
        memset(data, 0x80, size); /* no UTF-8 at all */
        check(data, size, 0, LINE_BREAK_NEWLINE, LINE_LENGTH_MAX, LINE_LENGTH_MAX, LINE_BREAK_LINE_MAX);
        free(data);
}

static void test_priority(void **state) {
        static const char *const bad[] = { "", "<", "<3", "<8>", "<-1>", "3>", "<33>", " <3>", "<a>", "<>" };
        int priority = -1;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(line_priority(bad[i], strlen(bad[i]), &priority), 0);
        assert_int_equal(line_priority("<3>", 2, &priority), 0);
        assert_int_equal(priority, -1);
        assert_int_equal(line_priority("<3>", 3, &priority), 3);
        assert_int_equal(priority, 3);
        assert_int_equal(line_priority("<0>text", 7, &priority), 3);
        assert_int_equal(priority, 0);
}

static void test_names(void **state) {
        assert_null(line_break_to_string(LINE_BREAK_NEWLINE));
        assert_string_equal(line_break_to_string(LINE_BREAK_NUL), "nul");
        assert_string_equal(line_break_to_string(LINE_BREAK_PID_CHANGE), "pid-change");
        assert_null(line_break_to_string(LINE_BREAK_PID_CHANGE + 1));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_separators),
                cmocka_unit_test(test_limit),
                cmocka_unit_test(test_priority),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
