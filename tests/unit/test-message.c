/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/wire/message*.c and marshal.c: bodies byte for byte, the reader's cursor, and each way to be
 * refused. */

#include "test-message-util.h"

static void test_basic_bytes(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();

        assert_ok(arbiter_message_append(m, "ybnqiuxtdsog", 0x11, 5, -2, 0x2233, -1, 7u, INT64_C(-3),
                        UINT64_C(9), 1.5, "hi", "/a/b", "a{sv}"));
        check_body(m, "ybnqiuxtdsog",
                        "\x11\0\0\0"
                        "\1\0\0\0"
                        "\xfe\xff"
                        "\x33\x22"
                        "\xff\xff\xff\xff"
                        "\7\0\0\0"
                        "\0\0\0\0"
                        "\xfd\xff\xff\xff\xff\xff\xff\xff"
                        "\x09\0\0\0\0\0\0\0"
                        "\0\0\0\0\0\0\xf8\x3f"
                        "\2\0\0\0hi\0\0"
                        "\4\0\0\0/a/b\0"
                        "\5a{sv}",
                        72);
}

static void test_container_bytes(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message(), *n = new_message();
        static const char expected[] = "\x10\0\0\0\0\0\0\0"
                                       "\1\0\0\0k\0\1u"
                                       "\0\0\0\0\5\0\0\0"
                                       "\0\0\0\0\0\0\0\0"
                                       "\x07\0\0\0\0\0\0\0";

        assert_ok(arbiter_message_append(m, "a{sv}at(x)", 1u, "k", "u", 5u, 0u, INT64_C(7)));
        check_body(m, "a{sv}at(x)", expected, 40);

        assert_ok(arbiter_message_open_container(n, 'a', "{sv}"));
        assert_ok(arbiter_message_open_container(n, 'e', "sv"));
        assert_ok(arbiter_message_append_basic(n, 's', "k"));
        assert_ok(arbiter_message_open_container(n, 'v', "u"));
        assert_ok(arbiter_message_append(n, "u", 5u));
        assert_ok(arbiter_message_close_container(n));
        assert_ok(arbiter_message_close_container(n));
        assert_ok(arbiter_message_close_container(n));
        assert_ok(arbiter_message_append_array(n, 't', NULL, 0));
        assert_ok(arbiter_message_open_container(n, 'r', "x"));
        assert_ok(arbiter_message_append(n, "x", INT64_C(7)));
        assert_ok(arbiter_message_close_container(n));
        check_body(n, "a{sv}at(x)", expected, 40);
}

static void test_read_values(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        uint8_t y;
        int b;
        int16_t n;
        double d;
        const char *s, *k1, *k2, *g;
        uint32_t u;
        int64_t x1, x2;

        assert_ok(arbiter_message_append(m, "ybnd(sg)a{sv}ax", 200, 1, -5, 2.5, "été", "as", 2u, "one", "u",
                        1u, "two", "(u)", 2u, 2u, INT64_C(10), INT64_MIN));
        assert_errno(arbiter_message_read(m, "y", &y), EPERM);
        assert_ok(message_seal(m));
        assert_errno(arbiter_message_append(m, "y", 1), EPERM);
        assert_int_equal(arbiter_message_read(m, "ybnd(sg)", &y, &b, &n, &d, &s, &g), 1);
        assert_int_equal(y, 200);
        assert_int_equal(b, 1);
        assert_int_equal(n, -5);
        assert_true(d == 2.5);
        assert_string_equal(s, "été");
        assert_string_equal(g, "as");
        assert_int_equal(arbiter_message_read(m, "a{sv}", 2u, &k1, "u", &u, &k2, "(u)", &u), 1);
        assert_string_equal(k1, "one");
        assert_string_equal(k2, "two");
        assert_int_equal(u, 2);
        assert_int_equal(arbiter_message_at_end(m, true), 0);
        assert_int_equal(arbiter_message_read(m, "ax", 2u, &x1, &x2), 1);
        assert_true(x1 == 10 && x2 == INT64_MIN);
        assert_int_equal(arbiter_message_at_end(m, true), 1);
        assert_int_equal(arbiter_message_read(m, "y", &y), 0);
}

static void test_read_is_whole_or_not(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        uint32_t a = 99, b = 99, c = 99;
        const char *s = NULL;

        assert_ok(arbiter_message_append(m, "u(us)au", 1u, 2u, "x", 2u, 3u, 4u));
        assert_ok(message_seal(m));
        assert_errno(arbiter_message_read(m, "u(uu)", &a, &b, &c), ENXIO);
        assert_errno(arbiter_message_read(m, "u(us)au", &a, &b, &s, 3u, &c, &c, &c), ENXIO);
        assert_errno(arbiter_message_read(m, "u(us)au", &a, &b, &s, 1u, &c), EBUSY);
        assert_errno(arbiter_message_read(m, "u(us)auu", &a, &b, &s, 2u, &c, &c, &c), ENXIO);
        assert_errno(arbiter_message_read(m, "u(", &a), EINVAL);
        assert_errno(arbiter_message_read(m, "x", &a), ENXIO);
        assert_int_equal(a, 99);
        assert_int_equal(b, 99);
        assert_int_equal(c, 99);
        assert_null(s);
        assert_int_equal(arbiter_message_read(m, "u(us)au", &a, &b, &s, 2u, &c, &c), 1);
        assert_int_equal(a, 1);
        assert_int_equal(b, 2);
        assert_int_equal(c, 4);
}

static void test_cursor(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        const char *contents, *s;
        char type;
        uint32_t u;

        assert_ok(arbiter_message_append(m, "asv(ui)", 2u, "a", "b", "a{us}", 1u, 5u, "five", 1u, -1));
        assert_ok(message_seal(m));
        assert_int_equal(arbiter_message_peek_type(m, &type, &contents), 1);
        assert_int_equal(type, 'a');
        assert_string_equal(contents, "s");
        assert_errno(arbiter_message_enter_container(m, 'a', "o"), ENXIO);
        assert_errno(arbiter_message_enter_container(m, 'r', NULL), ENXIO);
        assert_errno(arbiter_message_enter_container(m, 's', NULL), EINVAL);
        assert_errno(arbiter_message_exit_container(m), ENXIO);
        assert_int_equal(arbiter_message_enter_container(m, 'a', "s"), 1);
        assert_int_equal(arbiter_message_read(m, "s", &s), 1);
        assert_errno(arbiter_message_exit_container(m), EBUSY);
        assert_int_equal(arbiter_message_rewind(m, false), 0);
        assert_int_equal(arbiter_message_read(m, "ss", &s, &s), 1);
        assert_string_equal(s, "b");
        assert_int_equal(arbiter_message_read(m, "s", &s), 0);
        assert_int_equal(arbiter_message_at_end(m, false), 1);
        assert_int_equal(arbiter_message_at_end(m, true), 0);
        assert_int_equal(arbiter_message_exit_container(m), 1);

        assert_int_equal(arbiter_message_peek_type(m, &type, &contents), 1);
        assert_int_equal(type, 'v');
        assert_string_equal(contents, "a{us}");
        assert_errno(arbiter_message_enter_container(m, 'v', "a{ss}"), ENXIO);
        assert_int_equal(arbiter_message_enter_container(m, 'v', NULL), 1);
        assert_int_equal(arbiter_message_enter_container(m, 'a', "{us}"), 1);
        assert_int_equal(arbiter_message_peek_type(m, &type, &contents), 1);
        assert_int_equal(type, 'e');
        assert_string_equal(contents, "us");
        assert_int_equal(arbiter_message_enter_container(m, 'e', "us"), 1);
        assert_int_equal(arbiter_message_read(m, "us", &u, &s), 1);
        assert_string_equal(s, "five");
        assert_int_equal(arbiter_message_peek_type(m, &type, &contents), 0);
        assert_int_equal(type, 0);
        assert_int_equal(arbiter_message_exit_container(m), 1);
        assert_int_equal(arbiter_message_enter_container(m, 'e', NULL), 0);
        assert_int_equal(arbiter_message_exit_container(m), 1);
        assert_int_equal(arbiter_message_exit_container(m), 1);
        assert_int_equal(arbiter_message_peek_type(m, &type, &contents), 1);
        assert_int_equal(type, 'r');
        assert_string_equal(contents, "ui");
        assert_int_equal(arbiter_message_skip(m, "(ui)"), 1);
        assert_int_equal(arbiter_message_at_end(m, true), 1);
        assert_int_equal(arbiter_message_rewind(m, true), 0);
        assert_errno(arbiter_message_skip(m, "asvv"), ENXIO);
        assert_int_equal(arbiter_message_skip(m, "asv"), 1);
        assert_int_equal(arbiter_message_skip(m, NULL), 1);
        assert_int_equal(arbiter_message_skip(m, NULL), 0);
        assert_int_equal(arbiter_message_skip(m, "u"), 0);
        assert_errno(arbiter_message_skip(m, "("), EINVAL);
}

static void test_array_in_place(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        const uint64_t in[] = { 1, 2, UINT64_MAX };
        const void *p;
        size_t size;

        assert_ok(arbiter_message_append(m, "y", 1));
        assert_ok(arbiter_message_append_array(m, 't', in, sizeof(in)));
        assert_errno(arbiter_message_append_array(m, 't', in, 7), EINVAL);
        assert_errno(arbiter_message_append_array(m, 's', in, 8), EINVAL);
        assert_errno(arbiter_message_append_array(m, 'b', in, 8), EINVAL);
        assert_ok(message_seal(m));
        assert_int_equal(arbiter_message_skip(m, "y"), 1);
        assert_errno(arbiter_message_read_array(m, 'x', &p, &size), ENXIO);
        assert_errno(arbiter_message_read_array(m, 's', &p, &size), EINVAL);
        assert_int_equal(arbiter_message_read_array(m, 't', &p, &size), 1);
        assert_int_equal(size, sizeof(in));
        assert_int_equal((uintptr_t) p % 8, 0);
        assert_memory_equal(p, in, sizeof(in));
        assert_int_equal(arbiter_message_read_array(m, 't', &p, &size), 0);
}

static void test_append_is_whole_or_not(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        char many[257];

        memset(many, 'y', 256);
        many[256] = 0;
        assert_ok(arbiter_message_append(m, "yh", 1, STDIN_FILENO));
        check_unchanged(m, "yh", 8, 1);
        assert_errno(arbiter_message_append(m, "us", 1u, "\xff"), EINVAL);
        assert_errno(arbiter_message_append(m, "s", "\xc0\x80"), EINVAL);
        assert_errno(arbiter_message_append(m, "s", "\xed\xa0\x80"), EINVAL);
        assert_errno(arbiter_message_append(m, "s", "\xf4\x90\x80\x80"), EINVAL);
        assert_errno(arbiter_message_append(m, "uo", 1u, "a"), EINVAL);
        assert_errno(arbiter_message_append(m, "o", ""), EINVAL);
        assert_errno(arbiter_message_append(m, "o", "/a/"), EINVAL);
        assert_errno(arbiter_message_append(m, "o", "//"), EINVAL);
        assert_errno(arbiter_message_append(m, "o", "/a-b"), EINVAL);
        assert_errno(arbiter_message_append(m, "o", NULL), EINVAL);
        assert_errno(arbiter_message_append(m, "g", "a"), EINVAL);
        assert_errno(arbiter_message_append(m, "g", many), EINVAL);
        assert_errno(arbiter_message_append(m, "v", "yy", 1, 1), EINVAL);
        assert_errno(arbiter_message_append(m, "v", NULL), EINVAL);
        assert_errno(arbiter_message_append(m, "("), EINVAL);
        assert_errno(arbiter_message_append(m, "{sv}"), ENXIO); /* only inside an array that is open */
        assert_errno(arbiter_message_append(m, many), EINVAL);
        assert_errno(arbiter_message_append(m, "hh", STDIN_FILENO, -1), EBADF);
        assert_errno(arbiter_message_append(m, "a(sh)", 2u, "a", STDIN_FILENO, "b", -1), EBADF);
        assert_errno(arbiter_message_append_basic(m, 'a', NULL), EINVAL);
        assert_errno(arbiter_message_append_basic(m, 'u', NULL), EINVAL);
        assert_errno(arbiter_message_open_container(m, 'e', "sv"), ENXIO);
        assert_errno(arbiter_message_open_container(m, 'e', "vs"), EINVAL);
        assert_errno(arbiter_message_open_container(m, 'a', ""), EINVAL);
        assert_errno(arbiter_message_open_container(m, 'a', "ss"), EINVAL);
        assert_errno(arbiter_message_open_container(m, 'v', "ss"), EINVAL);
        assert_errno(arbiter_message_open_container(m, 'r', ""), EINVAL);
        assert_errno(arbiter_message_open_container(m, 'r', many), EINVAL);
        assert_errno(arbiter_message_open_container(m, 's', "s"), EINVAL);
        assert_errno(arbiter_message_open_container(m, 'a', NULL), EINVAL);
        assert_errno(arbiter_message_close_container(m), EINVAL);
        check_unchanged(m, "yh", 8, 1);
        check_body(m, "yh", "\1\0\0\0\0\0\0\0", 8);
}

static void test_contents_are_held_to(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();

        assert_ok(arbiter_message_open_container(m, 'r', "ua(sv)"));
        assert_errno(arbiter_message_append(m, "s", "no"), ENXIO);
        assert_errno(arbiter_message_close_container(m), EINVAL);
        assert_errno(arbiter_message_append(m, "uu", 1u, 1u), ENXIO);
        assert_ok(arbiter_message_append(m, "u", 1u));
        assert_errno(arbiter_message_open_container(m, 'a', "(ss)"), ENXIO);
        assert_ok(arbiter_message_open_container(m, 'a', "(sv)"));
        assert_ok(arbiter_message_append(m, "(sv)(sv)", "a", "y", 1, "b", "s", "z"));
        assert_errno(arbiter_message_append(m, "s", "a"), ENXIO);
        assert_errno(message_seal(m), EBADMSG);
        assert_ok(arbiter_message_close_container(m));
        assert_errno(arbiter_message_append(m, "u", 1u), ENXIO);
        assert_ok(arbiter_message_close_container(m));
        assert_ok(arbiter_message_append(m, "u", 1u));
        assert_ok(message_seal(m));
        assert_ok(message_seal(m));
        assert_string_equal(arbiter_message_get_signature(m), "(ua(sv))u");
}

static void test_limits(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message(), *n = new_message(),
                                                          *s = new_message();
        _cleanup_free_ void *big = calloc(1, 64 * 1024 * 1024 + 8);

        assert_non_null(big);
        for (unsigned i = 0; i < 255; i++)
                assert_ok(arbiter_message_append(s, "y", 1));
        assert_errno(arbiter_message_append(s, "y", 1), E2BIG);
        check_unchanged(s, arbiter_message_get_signature(s), 255, 0);

        assert_errno(arbiter_message_append_array(m, 't', big, 64 * 1024 * 1024 + 8), EMSGSIZE);
        check_unchanged(m, "", 0, 0);
        assert_ok(arbiter_message_append_array(m, 'y', big, 64 * 1024 * 1024));
        assert_ok(arbiter_message_append_array(m, 'y', big, 64 * 1024 * 1024 - 8));
        check_unchanged(m, "ayay", BODY_SIZE_MAX, 0);
        assert_errno(arbiter_message_append(m, "y", 1), EMSGSIZE);
        check_unchanged(m, "ayay", BODY_SIZE_MAX, 0);
        m = arbiter_message_unref(m);

        assert_ok(arbiter_message_open_container(n, 'a', "ay"));
        assert_ok(arbiter_message_append_array(n, 'y', big, 64 * 1024 * 1024 - 4 - 16));
        assert_ok(arbiter_message_append_array(n, 'y', big, 12));
        assert_errno(arbiter_message_append_array(n, 'y', big, 0), EMSGSIZE);
        assert_ok(arbiter_message_close_container(n));
        assert_ok(arbiter_message_append_array(n, 'y', big, 4));
        assert_ok(message_seal(n));
}

static void test_depth(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message(), *deep = new_message();
        _cleanup_(arbiter_message_unrefp) arbiter_message *copy = new_message(), *back = NULL;

        for (unsigned i = 0; i < 63; i++)
                assert_ok(arbiter_message_open_container(m, 'v', "v"));
        assert_ok(arbiter_message_open_container(m, 'v', "y"));
        assert_ok(arbiter_message_append(m, "y", 7));
        for (unsigned i = 0; i < 64; i++)
                assert_ok(arbiter_message_close_container(m));
        assert_ok(message_seal(m));
        assert_ok(from_body("v", m->body, m->envelope.body_size, 0, &back));
        assert_int_equal(arbiter_message_skip(back, NULL), 1);
        assert_int_equal(arbiter_message_at_end(back, true), 1);
        for (unsigned i = 0; i < 64; i++)
                assert_ok(arbiter_message_open_container(deep, 'v', "v"));
        assert_errno(arbiter_message_open_container(deep, 'v', "y"), E2BIG);
        assert_errno(arbiter_message_append(deep, "v", "y", 1), E2BIG);

        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(arbiter_message_rewind(back, true), 0);
                for (unsigned j = 0; j < 64; j++)
                        assert_int_equal(arbiter_message_enter_container(back, 'v', NULL), 1);
        }

        assert_ok(arbiter_message_open_container(copy, 'v', "v"));
        assert_errno(arbiter_message_append_message(copy, m), E2BIG);
        assert_ok(arbiter_message_append(copy, "v", "y", 1));
        assert_ok(arbiter_message_close_container(copy));
        assert_ok(arbiter_message_append_message(copy, m));
        assert_ok(message_seal(copy));
}

static void test_depth_refused(void **state) {
        arbiter_message *m;
        char body[64 * 3 + 8];
        size_t size = 0;

        for (unsigned i = 0; i < 64; i++, size += 3)
                memcpy(body + size, "\1v\0", 3);
        memcpy(body + size, "\1y\0\7", 4);
        assert_errno(from_body("v", body, size + 4, 0, &m), EBADMSG);
        assert_ok(from_body("v", body + 3, size + 1, 0, &m));
        arbiter_message_unref(m);
}

static void test_bodies_refused(void **state) {
        static const struct {
                const char *signature, *bytes;
                size_t size;
        } bad[] = {
                { "", "\0", 1 },                                   /* more than the signature says */
                { "y", "", 0 },                                    /* truncated */
                { "y", "\0\0", 2 },
                { "q", "\0", 1 },
                { "u", "\0\0\0", 3 },
                { "x", "\0\0\0\0\0\0\0", 7 },
                { "yu", "\0\0\0\0\0\0\0", 7 },
                { "yu", "\0\1\0\0\1\0\0\0", 8 },                   /* padding */
                { "yu", "\0\0\0\1\1\0\0\0", 8 },
                { "y(y)", "\0\0\0\0\0\0\1\1", 9 },
                { "b", "\2\0\0\0", 4 },
                { "b", "\0\0\0\1", 4 },
                { "ab", "\4\0\0\0\2\0\0\0", 8 },
                { "s", "\0\0\0", 3 },
                { "s", "\0\0\0\0", 4 },                            /* no NUL */
                { "s", "\1\0\0\0a", 5 },
                { "s", "\1\0\0\0aa", 6 },
                { "s", "\1\0\0\0\0\0", 6 },                        /* NUL inside */
                { "s", "\xff\xff\xff\xff" "a", 6 },
                { "s", "\1\0\0\0\x80", 6 },                        /* UTF-8 */
                { "s", "\2\0\0\0\xc1\x81", 7 },
                { "s", "\3\0\0\0\xe0\x80\x80", 8 },
                { "s", "\3\0\0\0\xed\xa0\x80", 8 },
                { "s", "\4\0\0\0\xf0\x80\x80\x80", 9 },
                { "s", "\4\0\0\0\xf4\x90\x80\x80", 9 },
                { "s", "\4\0\0\0\xf5\x80\x80\x80", 9 },
                { "s", "\2\0\0\0\xe2\x82", 7 },                    /* cut off */
                { "s", "\x0a\0\0\0" "12345678\xc3" "1", 15 },
                { "o", "\0\0\0\0", 5 },
                { "o", "\1\0\0\0a", 6 },
                { "o", "\2\0\0\0/a/", 7 },
                { "o", "\2\0\0\0//", 7 },
                { "g", "\1y", 2 },
                { "g", "\1z", 3 },
                { "g", "\xffy", 3 },
                { "g", "", 0 },
                { "v", "\0", 2 },                                  /* a variant of nothing, of two */
                { "v", "\2yy\0\1\1", 6 },
                { "v", "\1z\0\1", 4 },
                { "v", "\1u\0\1\1\0\0\0", 8 },
                { "v", "\4{sv}\0", 7 },
                { "ay", "\2\0\0\0\1", 5 },
                { "ay", "\1\0\0\0\1\1", 6 },
                { "ay", "\1\0\0\4\1", 5 },
                { "ay", "\xff\xff\xff\xff\1", 5 },
                { "aq", "\3\0\0\0\1\1\1\1", 7 },                   /* half an element */
                { "as", "\3\0\0\0\0\0\0\0", 8 },
                { "as", "\4\0\0\0\0\0\0\0", 9 },
                { "at", "\0\0\0\0", 4 },                           /* padding belongs to empty arrays, too */
                { "at", "\0\0\0\0\0\1\0\0", 8 },
                { "aay", "\4\0\0\0\1\0\0\0\1", 9 },                /* inner over the end of outer */
                { "a(yu)", "\1\0\0\0\0\0\0\0\1", 9 },
                { "a{yy}", "\1\0\0\0\0\0\0\0\1", 9 },
                { "(y)", "", 0 },
                { "h", "\0\0\0\0", 4 },                            /* no such descriptor */
                { "ah", "\4\0\0\0\0\0\0\0", 8 },
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                arbiter_message *m = NULL;

                if (from_body(bad[i].signature, bad[i].bytes, bad[i].size, 0, &m) != -EBADMSG)
                        fail_msg("case %zu, '%s', was accepted", i, bad[i].signature);
                assert_null(m);
        }
}

static void test_array_too_long_refused(void **state) {
        size_t size = 64 * 1024 * 1024 + 1;
        struct envelope e = {.kind = ENVELOPE_CAST, .signature = "ay", .signature_length = 2, .command = ""};
        _cleanup_free_ uint8_t *body = calloc(1, size + 4);
        uint32_t length = (uint32_t) size;
        arbiter_message *m = NULL;

        assert_non_null(body);
        memcpy(body, &length, 4);
        e.body_size = length + 4;
        assert_errno(message_from_frame(&e, body, NULL, &m), EBADMSG);
        length--;
        memcpy(body, &length, 4);
        e.body_size = length + 4;
        assert_ok(message_from_frame(&e, body, NULL, &m));
        arbiter_message_unref(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_basic_bytes),
                cmocka_unit_test(test_container_bytes),
                cmocka_unit_test(test_read_values),
                cmocka_unit_test(test_read_is_whole_or_not),
                cmocka_unit_test(test_cursor),
                cmocka_unit_test(test_array_in_place),
                cmocka_unit_test(test_append_is_whole_or_not),
                cmocka_unit_test(test_contents_are_held_to),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_depth_refused),
                cmocka_unit_test(test_bodies_refused),
                cmocka_unit_test(test_array_too_long_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
