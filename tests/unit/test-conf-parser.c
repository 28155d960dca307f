/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shared/conf-parser and conf-value: the dialect, the places of messages, hostile text. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "test-util.h"

#include "basic/time-util.h"
#include "shared/conf-parser.h"
#include "shared/strv.h"

struct object {
        char *name, *path;
        char **list, **words;
        bool flag;
        unsigned n;
        uint64_t big, size;
        usec_t span, timeout;
        int word, signo;
        mode_t mode;
};

static const struct conf_range range_n = { 1, 10, "4" }, range_size = { 16, 1 << 20, "1K" },
                               range_span = { 1000, 60 * USEC_PER_SEC, "5s" },
                               range_timeout = { 100000, USEC_INFINITY, "30s" };
static const struct conf_word words[] = {
        { "red", 1 }, { "green", 2 }, { "blue", 3, "is not painted yet; use red" }, {}
};

#define ITEM(key, kind, field, ...)                                                                         \
        { "Main", key, conf_parse_##kind, offsetof(struct object, field), __VA_ARGS__ }
static const struct conf_item items[] = {
        ITEM("Name", string, name),
        ITEM("Path", path, path),
        ITEM("List", strings, list),
        ITEM("Words", words, words),
        ITEM("Flag", bool, flag),
        ITEM("Number", unsigned, n, &range_n),
        ITEM("Big", u64, big, &range_n),
        ITEM("Size", size, size, &range_size),
        ITEM("Span", timespan, span, &range_span),
        ITEM("TimeoutSec", timeout, timeout, &range_timeout),
        ITEM("Colour", word, word, words),
        ITEM("Signal", signal, signo),
        ITEM("Mode", mode, mode),
        { "Raw", NULL, conf_parse_strings, offsetof(struct object, list) },
        {},
};

/* All messages of one run, "LEVEL FILE:LINE TEXT" a line. */
static char messages[64 * 1024];
static size_t n_messages;

static void collect(void *userdata, enum conf_level level, const char *file, unsigned line,
                    const char *text) {
        size_t n = strlen(messages);

        assert_ptr_equal(userdata, messages);
        assert_null(strchr(text, '\n'));
        n_messages++;
        (void) snprintf(messages + n, sizeof(messages) - n, "%d %s:%u %s\n", (int) level, file, line, text);
}

static const struct object defaults = { .n = 7, .span = 5 * USEC_PER_SEC, .word = 2 };

static int parse_sized(struct object *o, const char *text, size_t size) {
        const struct conf_parser p = { items, o, &defaults, NULL, { collect, messages } };

        messages[0] = 0;
        n_messages = 0;
        return conf_parse_buffer(&p, "f", text, size);
}

static int parse(struct object *o, const char *text) {
        return parse_sized(o, text, strlen(text));
}

static void done(struct object *o) {
        free(o->name);
        free(o->path);
        strv_free(o->list);
        strv_free(o->words);
        *o = (struct object){};
}

/* One line of [Main] (line 2) must fail with just this text. */
static void expect_error(const char *line, const char *text) {
        char buffer[512], expected[1024];
        struct object o = defaults;

        (void) snprintf(buffer, sizeof(buffer), "[Main]\n%s\n", line);
        (void) snprintf(expected, sizeof(expected), "3 f:2 %s\n", text);
        assert_errno(parse(&o, buffer), EBADMSG);
        assert_string_equal(messages, expected);
        done(&o);
}

static void test_all_kinds(void **state) {
        struct object o = {};

        assert_ok(parse(&o, "[Main]\nName = a b \nPath=/x\nList=one\nList=two words\nWords=a \"b c\" d\n"
                            "Flag=yes\nNumber=3\nBig=4\nSize=2K\nSpan=1s\nTimeoutSec=0\nColour=green\n"
                            "Signal=SIGHUP\nMode=0640\n"));
        assert_string_equal(messages, "");
        assert_string_equal(o.name, "a b");
        assert_string_equal(o.path, "/x");
        assert_int_equal(strv_length(o.list), 2);
        assert_string_equal(o.list[1], "two words");
        assert_int_equal(strv_length(o.words), 3);
        assert_string_equal(o.words[1], "b c");
        assert_true(o.flag);
        assert_int_equal(o.n, 3);
        assert_int_equal(o.big, 4);
        assert_int_equal(o.size, 2048);
        assert_int_equal(o.span, USEC_PER_SEC);
        assert_true(o.timeout == USEC_INFINITY);
        assert_int_equal(o.word, 2);
        assert_int_equal(o.signo, 1);
        assert_int_equal(o.mode, 0640);
        done(&o);
}

static void test_resets(void **state) {
        struct object o = {};

        assert_ok(parse(&o, "[Main]\nName=a\nName=\nList=a\nList=\nList=b\nWords=x\nWords=\nNumber="
                            "3\nNumber=\n"
                            "Span=1s\nSpan=\nColour=red\nColour=\n"));
        assert_null(o.name);
        assert_int_equal(strv_length(o.list), 1);
        assert_string_equal(o.list[0], "b");
        assert_int_equal(strv_length(o.words), 0);
        assert_int_equal(o.n, 7);
        assert_int_equal(o.span, 5 * USEC_PER_SEC);
        assert_int_equal(o.word, 2);
        done(&o);
}

static void test_dialect(void **state) {
        struct object o = {};

        assert_ok(parse(&o, "\357\273\277# comment\n\n  ; another\n[Main]\r\n  Name=x=y # not a comment\r\n"
                            "Words=a \\\n# in between\n  b \\\n; and "
                            "again\nc\nX-Mine=1\n[X-Other]\nWhat=ever\nrubbish\n"
                            "[Raw]\nAny=thing\n[Main]\nList=back\\\\\nFlag=1"));
        assert_string_equal(messages, "");
        assert_string_equal(o.name, "x=y # not a comment");
        assert_int_equal(strv_length(o.words), 3);
        assert_string_equal(o.words[2], "c");
        assert_int_equal(strv_length(o.list), 2);
        assert_string_equal(o.list[0], "thing");
        assert_string_equal(o.list[1], "back\\\\"); /* an even number of backslashes goes on nowhere */
        assert_true(o.flag);
        done(&o);
}

static void test_warnings(void **state) {
        struct object o = {};

        assert_ok(parse(&o, "[Main]\nNmae=x\nEntirelyOther=1\n[Mian]\nName=y\n[Raw]\n[Elsewhere]\n"));
        assert_string_equal(messages,
                            "4 f:2 Unknown key Nmae= in section [Main], ignored; did you mean Name=?\n"
                            "4 f:3 Unknown key EntirelyOther= in section [Main], ignored.\n"
                            "4 f:4 Unknown section [Mian], all of it is ignored; did you mean [Main]?\n"
                            "4 f:7 Unknown section [Elsewhere], all of it is ignored.\n");
        assert_null(o.name);
        done(&o);
}

static void test_places(void **state) {
        struct object o = {};

        /* The place of a continued line is its first; all mistakes are told, the good lines count. */
        assert_errno(parse(&o, "Early=1\n[Main]\nNumber=\\\n  11\nName=fine\nno "
                               "assignment\n=x\n[Bad\nFlag=maybe\n[Main]\nFlag=maybe\n"),
                     EBADMSG);
        assert_string_equal(
                messages,
                "3 f:1 \"Early=1\" stands before the first section; write the [SECTION] above it.\n"
                "3 f:3 Number=11 is not a whole number from 1 to 10; write for example Number=4.\n"
                "3 f:6 \"no assignment\" is no assignment; write KEY=VALUE, or # in front of a comment.\n"
                "3 f:7 \"=x\" is no assignment; write KEY=VALUE, or # in front of a comment.\n"
                "3 f:8 \"[Bad\" is no section header; write [NAME] alone on its line.\n"
                "3 f:11 Flag=maybe is not yes or no.\n");
        assert_string_equal(o.name, "fine");
        done(&o);
}

static void test_bad_values(void **state) {
        expect_error("Path=x/y", "Path=x/y is not an absolute path; write it from / on.");
        expect_error("Number=0", "Number=0 is not a whole number from 1 to 10; write for example Number=4.");
        expect_error("Number=-1", "Number=-1 is not a whole number from 1 to 10; write for example "
                                  "Number=4.");
        expect_error("Number=99999999999999999999999", "Number=99999999999999999999999 is not a whole "
                                                       "number from 1 to 10; write for example Number=4.");
        expect_error("Size=1", "Size=1 is not a size from 16 to 1048576 bytes, plain or with K, M, G; write "
                               "for example "
                               "Size=1K.");
        expect_error("Span=soon", "Span=soon is not a time span; write for example Span=5s, 500ms or 2min.");
        expect_error("Span=2min", "Span=2min is not within 1ms to 1min; write for example Span=5s.");
        expect_error("Span=infinity", "Span=infinity is not within 1ms to 1min; write for example Span=5s.");
        expect_error("TimeoutSec=50ms",
                     "TimeoutSec=50ms is not within 100ms to infinity; write for example TimeoutSec=30s.");
        expect_error("Colour=pink", "Colour=pink is not red or green.");
        expect_error("Colour=blue", "Colour=blue is not painted yet; use red.");
        expect_error("Signal=SIGNOT", "Signal=SIGNOT is not a signal; write its name, for example "
                                      "Signal=SIGTERM.");
        expect_error("Mode=999", "Mode=999 is not an octal file mode; write for example Mode=0022.");
        expect_error("Words=\"open", "Words=\"open is not a list of words: a quote is opened and not "
                                     "closed.");
}

static void test_hostile_bytes(void **state) {
        static const char nul[] = "[Main]\nName=a\0b\n";
        struct object o = {};

        assert_errno(parse_sized(&o, nul, sizeof(nul) - 1), EBADMSG);
        assert_string_equal(messages, "3 f:2 The file contains a NUL byte; it is not a text file.\n");
        assert_null(o.name);
        expect_error("Name=\377", "The line is not valid UTF-8; save the file in UTF-8.");
        expect_error("Name=a\033[31m",
                     "The line contains a control character (code 27); remove it, or write it as an "
                     "escape such as \\x1b where escapes are known.");
        assert_ok(parse_sized(&o, NULL, 0));
        assert_ok(parse(&o, "\n\n\n"));
        done(&o);
}

static void test_value_is_shown_safely(void **state) {
        char line[400] = "Number=";
        struct object o = {};

        memset(line + 7, 'x', 300);
        line[307] = 0;
        expect_error(line, "Number="
                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                           "... is "
                           "not a whole number from 1 to 10; write for example Number=4.");
        assert_errno(parse(&o, "[Main]\nNumber=%s%n%s\n"), EBADMSG);
        assert_non_null(strstr(messages, "Number=%s%n%s is not"));
        done(&o);
}

static void test_limits(void **state) {
        size_t size = CONF_FILE_MAX + 1;
        struct object o = {};
        char *text = malloc(size);

        assert_non_null(text);
        memset(text, 'a', size);
        assert_errno(parse_sized(&o, text, size), EBADMSG);
        assert_string_equal(messages, "3 f:0 The file is larger than 1048576 bytes; it is not read.\n");

        memcpy(text, "[Main]\nName=", 12);
        assert_ok(parse_sized(&o, text, 7 + CONF_LINE_MAX)); /* just as long as a line may be */
        assert_int_equal(strlen(o.name), CONF_LINE_MAX - 5);
        assert_errno(parse_sized(&o, text, 7 + CONF_LINE_MAX + 1), EBADMSG);
        assert_string_equal(messages, "3 f:2 The line is longer than 65536 bytes; split the assignment.\n");

        /* joined from lines that are short each */
        for (size_t i = 12; i < CONF_FILE_MAX; i++)
                text[i] = i % 100 == 0 ? '\n' : i % 100 == 99 ? '\\' : 'a';
        assert_errno(parse_sized(&o, text, CONF_FILE_MAX), EBADMSG);
        assert_string_equal(messages, "3 f:2 The line is longer than 65536 bytes; split the assignment.\n");

        for (size_t i = 7; i < CONF_FILE_MAX; i++)
                text[i] = i % 2 ? '=' : '\n';
        assert_errno(parse_sized(&o, text, CONF_FILE_MAX), EBADMSG);
        assert_int_equal(n_messages, 101);
        assert_non_null(strstr(messages, "3 f:101 Too many mistakes; the rest of the file is not read.\n"));
        free(text);
        done(&o);
}

static void test_files(void **state) {
        struct object o = {};
        const struct conf_parser p = { items, &o, &defaults, NULL, { collect, messages } };
        char root[] = "/tmp/arbiter-test-XXXXXX", path[64], expected[256];

        assert_non_null(mkdtemp(root));
        (void) snprintf(path, sizeof(path), "%s/f", root);
        messages[0] = 0;
        assert_errno(conf_parse_file(&p, path), EBADMSG);
        (void) snprintf(expected, sizeof(expected),
                        "3 %s:0 The file cannot be read: No such file or directory. It may "
                        "be a symbolic link to nowhere; remove or mend it.\n",
                        path);
        assert_string_equal(messages, expected);

        assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: reading it must not wait */
        messages[0] = 0;
        assert_errno(conf_parse_file(&p, path), EBADMSG);
        assert_non_null(strstr(messages, "This is a device, pipe or socket, not a regular file"));
        assert_int_equal(unlink(path), 0);

        messages[0] = 0;
        assert_errno(conf_parse_file(&p, root), EBADMSG);
        assert_non_null(strstr(messages, "This is a directory, not a regular file"));
        assert_int_equal(rmdir(root), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_kinds),
                cmocka_unit_test(test_resets),
                cmocka_unit_test(test_dialect),
                cmocka_unit_test(test_warnings),
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_bad_values),
                cmocka_unit_test(test_hostile_bytes),
                cmocka_unit_test(test_value_is_shown_safely),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
