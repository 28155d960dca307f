/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/wire/message*.c and marshal.c: bodies byte for byte, the reader's cursor, and each way to be
 * refused. */

#include "test-util.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "basic/fd.h"
#include "wire/message.h"

void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *p, size_t size);

static unsigned fail_allocation; /* the n-th from now on, 0: none */

static bool allocation_fails(void) {
        return fail_allocation > 0 && --fail_allocation == 0;
}

void *__wrap_malloc(size_t size) {
        return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *p, size_t size) {
        return allocation_fails() ? NULL : __real_realloc(p, size);
}

static arbiter_message *new_message(void) {
        arbiter_message *m = NULL;

        assert_ok(arbiter_message_new(&m));
        return m;
}

static void check_body(arbiter_message *m, const char *signature, const void *bytes, size_t size) {
        const void *body;
        size_t body_size;

        assert_ok(message_seal(m));
        assert_ok(arbiter_message_get_body(m, &body, &body_size));
        assert_string_equal(arbiter_message_get_signature(m), signature);
        assert_int_equal(body_size, size);
        assert_memory_equal(body, bytes, size);
}

/* A body in memory of its exact size, so that the sanitizer sees each byte too far. */
static int from_body(const char *signature, const void *bytes, size_t size, unsigned n_fds,
                arbiter_message **ret) {
        struct envelope e = {
                .kind = ENVELOPE_REQUEST,
                .command = "x",
                .command_length = 1,
                .signature = signature,
                .signature_length = (uint8_t) strlen(signature),
                .n_fds = (uint8_t) n_fds,
                .body_size = (uint32_t) size,
        };
        arbiter_message *m = NULL;
        uint8_t *exact = malloc(MAX(size, (size_t) 1));
        int fds[FRAME_FDS_MAX], r;

        assert_non_null(exact);
        memcpy(exact, bytes, size);
        for (unsigned i = 0; i < n_fds; i++)
                assert_ok(fds[i] = fd_duplicate(STDIN_FILENO));
        r = message_from_frame(&e, exact, fds, &m);
        if (r >= 0)
                assert_ok(message_own(m));
        free(exact);
        *ret = m;
        return r;
}

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

static void check_unchanged(arbiter_message *m, const char *signature, uint32_t size, unsigned n_fds) {
        assert_string_equal(arbiter_message_get_signature(m), signature);
        assert_int_equal(m->envelope.signature_length, strlen(signature));
        assert_int_equal(m->envelope.body_size, size);
        assert_int_equal(m->envelope.n_fds, n_fds);
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

static int open_fds(void) {
        int n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void test_fds(void **state) {
        arbiter_message *m = new_message(), *received = NULL, *copy = new_message();
        int before = open_fds(), a, b, fds[2];

        assert_ok(arbiter_message_append(m, "hah", STDIN_FILENO, 1u, STDOUT_FILENO));
        assert_int_equal(open_fds(), before + 2);
        assert_errno(arbiter_message_append(m, "hh", STDIN_FILENO, -1), EBADF);
        assert_int_equal(open_fds(), before + 2);
        check_body(m, "hah", "\0\0\0\0\4\0\0\0\1\0\0\0", 12);
        assert_int_equal(fcntl(m->fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);

        fds[0] = fd_duplicate(m->fds[0]);
        fds[1] = fd_duplicate(m->fds[1]);
        assert_ok(message_from_frame(&m->envelope, m->body, fds, &received));
        assert_int_equal(arbiter_message_read(received, "hah", &a, 1u, &b), 1);
        assert_int_equal(a, fds[0]);
        assert_int_equal(b, fds[1]);

        assert_int_equal(arbiter_message_rewind(received, true), 0);
        assert_int_equal(arbiter_message_skip(received, "h"), 1);
        assert_ok(arbiter_message_append_message(copy, received));
        check_body(copy, "ah", "\4\0\0\0\0\0\0\0", 8);
        assert_int_equal(copy->envelope.n_fds, 1);
        arbiter_message_unref(received);
        arbiter_message_unref(m);
        arbiter_message_unref(copy);
        assert_int_equal(open_fds(), before);

        /* taken over also on error */
        assert_errno(from_body("h", "\2\0\0\0", 4, 2, &m), EBADMSG);
        assert_int_equal(open_fds(), before);
        assert_ok(from_body("h", "\1\0\0\0", 4, 2, &m));
        arbiter_message_unref(m);
        assert_int_equal(open_fds(), before);

        m = new_message();
        for (unsigned i = 0; i < MESSAGE_FDS_MAX; i++)
                assert_ok(arbiter_message_append(m, "h", STDIN_FILENO));
        assert_errno(arbiter_message_append(m, "h", STDIN_FILENO), E2BIG);
        arbiter_message_unref(m);
        assert_int_equal(open_fds(), before);
}

/* An array of bytes that would be valid in 70000 bytes, in size of them. */
static int memfd(size_t size, int seals) {
        const uint32_t length = 70000 - sizeof(uint32_t);
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_ok(fd);
        assert_ok(write_all(fd, &length, sizeof(length)));
        assert_int_equal(ftruncate(fd, (off_t) size), 0);
        if (seals != 0)
                assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static void test_memfd_body(void **state) {
        const size_t size = 100000;
        _cleanup_free_ void *data = malloc(size);
        arbiter_message *m = new_message(), *received = NULL;
        struct envelope e;
        int before = open_fds(), fds[2], fd;
        const void *p;
        size_t n;

        assert_non_null(data);
        memset(data, 0x5A, size);
        assert_ok(arbiter_message_append(m, "h", STDIN_FILENO));
        assert_ok(arbiter_message_append_array(m, 'y', data, size));
        assert_errno(message_body_to_memfd(m), EPERM);
        assert_ok(message_seal(m));
        assert_ok(fds[1] = message_body_to_memfd(m));
        assert_ok(fds[0] = fd_duplicate(m->fds[0]));
        e = m->envelope;
        e.flags |= ENVELOPE_MEMFD;
        e.n_fds++;
        assert_ok(message_from_frame(&e, NULL, fds, &received));
        assert_int_equal(received->envelope.n_fds, 1);
        assert_int_equal(received->envelope.flags, 0);
        assert_ok(message_own(received));
        assert_int_equal(arbiter_message_read(received, "h", &fd), 1);
        assert_int_equal(fd, fds[0]);
        assert_int_equal(arbiter_message_read_array(received, 'y', &p, &n), 1);
        assert_int_equal(n, size);
        assert_memory_equal(p, data, size);
        arbiter_message_unref(received);
        arbiter_message_unref(m);
        assert_int_equal(open_fds(), before);
}

static void test_memfd_refused(void **state) {
        const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        const struct {
                size_t size;
                int seals;
        } bad[] = {
                { 70000, 0 },
                { 70000, F_SEAL_SHRINK | F_SEAL_GROW },
                { 70000, F_SEAL_SHRINK | F_SEAL_WRITE },
                { 70000, F_SEAL_GROW | F_SEAL_WRITE },
                { 70000, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE },
                { 69999, seals },
                { 70001, seals },
                { 0, seals },
        };
        struct envelope e = {
                .kind = ENVELOPE_CAST,
                .flags = ENVELOPE_MEMFD,
                .n_fds = 1,
                .body_size = 70000,
                .command = "",
                .signature = "ay",
                .signature_length = 2,
        };
        arbiter_message *m = NULL;
        int before = open_fds(), fd;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                fd = memfd(bad[i].size, bad[i].seals);
                assert_errno(message_from_frame(&e, NULL, &fd, &m), EBADMSG);
        }
        fd = memfd(70000, seals);
        assert_ok(message_from_frame(&e, NULL, &fd, &m));
        m = arbiter_message_unref(m);
        e.signature = "as"; /* sealed as it must be, but its body is another one */
        fd = memfd(70000, seals);
        assert_errno(message_from_frame(&e, NULL, &fd, &m), EBADMSG);
        assert_ok(fd = open("/dev/null", O_RDONLY | O_CLOEXEC));
        assert_errno(message_from_frame(&e, NULL, &fd, &m), EBADMSG);
        e.n_fds = 0; /* fewer than claimed */
        assert_errno(message_from_frame(&e, NULL, NULL, &m), EBADMSG);
        assert_null(m);
        assert_int_equal(open_fds(), before);
}

static void test_own(void **state) {
        char command[256], signature[] = "a(us)", chain[] = "aaaaaaaabbbbbbbb";
        arbiter_message *built = new_message(), *m = NULL;
        struct envelope e;
        uint8_t *body;
        const char *s;
        uint32_t u;

        memset(command, 'c', 255);
        command[255] = 0;
        assert_ok(arbiter_message_append(built, "a(us)", 2u, 1u, "one", 2u, "two"));
        assert_ok(message_seal(built));
        for (unsigned length = 0; length <= 255; length += 51) {
                e = built->envelope;
                e.command = command + 255 - length;
                e.command_length = (uint8_t) length;
                e.signature = signature;
                e.chain = (const uint8_t *) chain;
                e.n_chain = 2;
                body = malloc(e.body_size);
                assert_non_null(body);
                memcpy(body, built->body, e.body_size);
                assert_ok(message_from_frame(&e, body, NULL, &m));
                assert_ptr_equal(m->body, body);
                assert_int_equal(arbiter_message_enter_container(m, 'a', NULL), 1);
                assert_int_equal(arbiter_message_read(m, "(us)", &u, &s), 1);
                assert_ok(message_own(m));
                assert_ok(message_own(m));
                memset(body, 0xff, e.body_size);
                free(body);
                memset(signature, 'y', 5);
                memset(chain, 'z', 16);
                assert_int_equal(arbiter_message_read(m, "(us)", &u, &s), 1); /* the cursor survived */
                assert_int_equal(u, 2);
                assert_string_equal(s, "two");
                assert_string_equal(arbiter_message_get_command(m), command + 255 - length);
                assert_string_equal(arbiter_message_get_signature(m), "a(us)");
                assert_memory_equal(m->envelope.chain, "aaaaaaaabbbbbbbb", 16);
                arbiter_message_unref(m);
                strcpy(signature, "a(us)");
                strcpy(chain, "aaaaaaaabbbbbbbb");
        }
        arbiter_message_unref(built);
}

static void test_append_message(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *a = new_message(), *b = new_message(),
                                                          *c = new_message();
        uint32_t u;

        assert_ok(arbiter_message_append(
                        a, "ua{yv}sa(yx)", 1u, 1u, 9, "(sg)", "in", "as", "text", 1u, 1, INT64_C(5)));
        assert_errno(arbiter_message_append_message(b, a), EPERM);
        assert_ok(message_seal(a));
        assert_ok(arbiter_message_append_message(b, a));
        assert_int_equal(arbiter_message_at_end(a, true), 1);
        check_body(b, "ua{yv}sa(yx)", a->body, a->envelope.body_size);

        /* the rest only, at another alignment */
        assert_int_equal(arbiter_message_rewind(a, true), 0);
        assert_int_equal(arbiter_message_read(a, "u", &u), 1);
        assert_ok(arbiter_message_append(c, "y", 1));
        assert_ok(arbiter_message_append_message(c, a));
        assert_ok(message_seal(c));
        assert_string_equal(arbiter_message_get_signature(c), "ya{yv}sa(yx)");
        assert_errno(arbiter_message_append_message(c, a), EPERM);
        {
                _cleanup_(arbiter_message_unrefp) arbiter_message *d = new_message(), *e = new_message();

                assert_ok(arbiter_message_append(
                                d, "ya{yv}sa(yx)", 1, 1u, 9, "(sg)", "in", "as", "text", 1u, 1, INT64_C(5)));
                check_body(d, "ya{yv}sa(yx)", c->body, c->envelope.body_size);

                /* into a container that wants something else: nothing happens, on neither side */
                assert_int_equal(arbiter_message_rewind(a, true), 0);
                assert_ok(arbiter_message_open_container(e, 'r', "uy"));
                assert_errno(arbiter_message_append_message(e, a), ENXIO);
                assert_int_equal(e->envelope.body_size, 0);
                assert_int_equal(arbiter_message_read(a, "u", &u), 1);
                assert_ok(arbiter_message_append(e, "uy", 1u, 1));
                assert_ok(arbiter_message_close_container(e));
                assert_ok(message_seal(e));
        }
}

static void test_growth(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        const void *p;
        const char *s;
        size_t size;
        uint32_t u;

        assert_ok(arbiter_message_open_container(m, 'v', "a(su)"));
        assert_ok(arbiter_message_open_container(m, 'a', "(su)"));
        for (unsigned i = 0; i < 20000; i++)
                assert_ok(arbiter_message_append(m, "(su)", i % 2 ? "odd" : "even number", i));
        assert_ok(arbiter_message_close_container(m));
        assert_ok(arbiter_message_close_container(m));
        assert_ok(message_seal(m));
        assert_ok(arbiter_message_get_body(m, &p, &size));
        assert_true(size > BODY_INLINE_MAX);
        assert_int_equal(arbiter_message_enter_container(m, 'v', "a(su)"), 1);
        assert_int_equal(arbiter_message_enter_container(m, 'a', "(su)"), 1);
        for (unsigned i = 0; i < 20000; i++) {
                assert_int_equal(arbiter_message_read(m, "(su)", &s, &u), 1);
                assert_string_equal(s, i % 2 ? "odd" : "even number");
                assert_int_equal(u, i);
        }
        assert_int_equal(arbiter_message_read(m, "(su)", &s, &u), 0);
}

/* Something of everything that allocates. */
static int allocate_much(const char *text) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL, *received = NULL;
        struct envelope e;
        int r, fds[1];

        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        r = arbiter_message_append(m, "ashs", 1u, "short", STDIN_FILENO, text);
        if (r < 0) {
                check_unchanged(m, "", 0, 0);
                return r;
        }
        r = arbiter_message_open_container(m, 'v', "y");
        if (r < 0) {
                assert_string_equal(arbiter_message_get_signature(m), "ashs");
                return r;
        }
        assert_ok(arbiter_message_append(m, "y", 1));
        assert_ok(arbiter_message_close_container(m));
        assert_ok(message_seal(m));
        r = message_set_command(m, text);
        if (r < 0) {
                assert_string_equal(arbiter_message_get_command(m), "");
                return r;
        }

        e = m->envelope;
        e.n_chain = 1;
        e.chain = (const uint8_t *) "abcdefgh";
        assert_ok(fds[0] = fd_duplicate(STDIN_FILENO));
        r = message_from_frame(&e, m->body, fds, &received);
        if (r < 0)
                return r;
        r = arbiter_message_enter_container(received, 'a', "s");
        if (r < 0) {
                assert_int_equal(arbiter_message_skip(received, "ashsv"), 1); /* the cursor did not move */
                return r;
        }
        r = message_own(received);
        if (r < 0)
                assert_ptr_equal(received->body, m->body);
        return r;
}

static void test_no_memory(void **state) {
        int before = open_fds(), r = -ENOMEM;
        char text[256] = {};
        unsigned n = 0;

        memset(text, 't', 250);
        while (r == -ENOMEM) {
                fail_allocation = ++n;
                r = allocate_much(text);
                assert_int_equal(open_fds(), before);
        }
        fail_allocation = 0;
        assert_ok(r);
        assert_true(n > 8); /* so many could fail */
}

static void test_only_building_or_reading(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        const char *contents;
        const void *p;
        uint32_t u = 1;
        size_t size;
        char type;

        assert_errno(arbiter_message_read_basic(m, 'u', &u), EPERM);
        assert_errno(arbiter_message_read_array(m, 'u', &p, &size), EPERM);
        assert_errno(arbiter_message_enter_container(m, 'a', "u"), EPERM);
        assert_errno(arbiter_message_exit_container(m), EPERM);
        assert_errno(arbiter_message_peek_type(m, &type, &contents), EPERM);
        assert_errno(arbiter_message_skip(m, NULL), EPERM);
        assert_errno(arbiter_message_rewind(m, true), EPERM);
        assert_errno(arbiter_message_at_end(m, true), EPERM);
        assert_errno(arbiter_message_get_body(m, &p, &size), EPERM);
        assert_ok(message_seal(m));
        assert_errno(arbiter_message_read_basic(m, 'a', &u), EINVAL);
        assert_errno(arbiter_message_read(m, "v", "uu", &u, &u), EINVAL);
        assert_int_equal(arbiter_message_read_array(m, 'u', &p, &size), 0);
        assert_errno(arbiter_message_append_basic(m, 'u', &u), EPERM);
        assert_errno(arbiter_message_append_array(m, 'u', &u, 4), EPERM);
        assert_errno(arbiter_message_open_container(m, 'a', "u"), EPERM);
        assert_errno(arbiter_message_close_container(m), EPERM);
        assert_errno(arbiter_message_append_message(m, m), EPERM);
}

static void count_free(arbiter_message *m) {
        (*(unsigned *) m->context)++;
}

static void test_envelope_accessors(void **state) {
        arbiter_message *m = new_message();
        char longest[257];
        unsigned n = 0;

        assert_string_equal(arbiter_message_get_command(m), "");
        assert_string_equal(arbiter_message_get_signature(m), "");
        assert_true(arbiter_message_get_deadline(m) == UINT64_MAX);
        assert_false(arbiter_message_expects_reply(m));
        assert_int_equal(arbiter_message_get_outcome(m), ARBITER_OUTCOME_REPLY);
        assert_null(arbiter_message_get_error_name(m));
        assert_null(arbiter_message_get_error_text(m));
        m->envelope.kind = ENVELOPE_REQUEST;
        assert_true(arbiter_message_expects_reply(m));

        memset(longest, 'q', 256);
        longest[256] = 0;
        assert_ok(message_set_command(m, "ping"));
        assert_errno(message_set_command(m, "a b"), EINVAL);
        assert_errno(message_set_command(m, longest), EINVAL);
        assert_string_equal(arbiter_message_get_command(m), "ping");
        assert_ok(message_set_command(m, longest + 1));
        assert_string_equal(arbiter_message_get_command(m), longest + 1);
        assert_int_equal(m->envelope.command_length, 255);
        assert_ok(message_set_command(m, "pong"));
        assert_string_equal(arbiter_message_get_command(m), "pong");

        m->context = &n;
        m->context_free = count_free;
        assert_ptr_equal(arbiter_message_ref(m), m);
        assert_null(arbiter_message_unref(m));
        assert_int_equal(n, 0);
        assert_null(arbiter_message_unref(m));
        assert_int_equal(n, 1);
        assert_null(arbiter_message_unref(NULL));
        assert_null(arbiter_message_ref(NULL));
}

static void test_errors(void **state) {
        arbiter_message *m = NULL;

        assert_ok(message_new_error(ARBITER_OUTCOME_NOPROC, NULL, "gone", &m));
        assert_int_equal(m->envelope.kind, ENVELOPE_ERROR);
        assert_int_equal(arbiter_message_get_outcome(m), ARBITER_OUTCOME_NOPROC);
        assert_string_equal(arbiter_message_get_error_name(m), "io.arbiter.Arbiter1.Error.NoProc");
        assert_string_equal(arbiter_message_get_error_text(m), "gone");
        assert_errno(arbiter_message_append(m, "y", 1), EPERM);
        m = arbiter_message_unref(m);

        assert_ok(message_new_error(ARBITER_OUTCOME_APPLICATION_ERROR, "org.example.Mine", NULL, &m));
        assert_string_equal(arbiter_message_get_error_name(m), "org.example.Mine");
        assert_null(arbiter_message_get_error_text(m));
        m = arbiter_message_unref(m);

        assert_errno(message_new_error(ARBITER_OUTCOME_REPLY, "a", "b", &m), EINVAL);
        assert_errno(message_new_error((arbiter_outcome) 99, "a", "b", &m), EINVAL);
        assert_errno(message_new_error(ARBITER_OUTCOME_DENIED, "a b", "b", &m), EINVAL);
        assert_errno(message_new_error(ARBITER_OUTCOME_DENIED, NULL, "\xff", &m), EINVAL);
        assert_null(m);
}

static void test_outcomes(void **state) {
        for (unsigned i = 0; i <= ARBITER_OUTCOME_BROKEN_PROMISE; i++) {
                arbiter_outcome o = (arbiter_outcome) i;

                assert_non_null(arbiter_outcome_to_string(o));
                assert_int_equal(outcome_to_error_name(o) == NULL, o == ARBITER_OUTCOME_REPLY);
                assert_int_equal(arbiter_outcome_to_errno(o) == 0, o == ARBITER_OUTCOME_REPLY);
                assert_int_equal(arbiter_outcome_executed(o), i < 2    ? ARBITER_EXECUTED_YES
                                                              : i < 10 ? ARBITER_EXECUTED_NO
                                                                       : ARBITER_EXECUTED_MAYBE);
        }
        assert_string_equal(arbiter_outcome_to_string(ARBITER_OUTCOME_CALLEE_DIED), "callee-died");
        assert_int_equal(arbiter_outcome_to_errno(ARBITER_OUTCOME_CALLEE_DIED), -EOWNERDEAD);
        assert_null(arbiter_outcome_to_string((arbiter_outcome) 15));
        assert_null(arbiter_outcome_to_string((arbiter_outcome) -1));
        assert_int_equal(arbiter_outcome_executed((arbiter_outcome) 15), ARBITER_EXECUTED_MAYBE);
        assert_true(arbiter_outcome_to_errno((arbiter_outcome) 15) < 0);
}

static void test_reasons(void **state) {
        arbiter_reason r = ARBITER_REASON_OOM_KILL;

        for (unsigned i = 0; i <= ARBITER_REASON_UNKNOWN; i++) {
                assert_ok(arbiter_reason_from_string(arbiter_reason_to_string((arbiter_reason) i), &r));
                assert_int_equal(r, i);
        }
        r = ARBITER_REASON_OOM_KILL;
        assert_errno(arbiter_reason_from_string("", &r), EINVAL);
        assert_errno(arbiter_reason_from_string("Normal", &r), EINVAL);
        assert_int_equal(r, ARBITER_REASON_OOM_KILL);
        assert_null(arbiter_reason_to_string((arbiter_reason) 15));
        assert_true(arbiter_reason_is_normal(ARBITER_REASON_NORMAL, 1));
        assert_true(arbiter_reason_is_normal(ARBITER_REASON_SHUTDOWN, 0));
        assert_true(arbiter_reason_is_normal(ARBITER_REASON_EXIT_CODE, 0));
        assert_false(arbiter_reason_is_normal(ARBITER_REASON_EXIT_CODE, 1));
        assert_false(arbiter_reason_is_normal(ARBITER_REASON_SIGNAL, 0));
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
                cmocka_unit_test(test_fds),
                cmocka_unit_test(test_memfd_body),
                cmocka_unit_test(test_memfd_refused),
                cmocka_unit_test(test_own),
                cmocka_unit_test(test_append_message),
                cmocka_unit_test(test_growth),
                cmocka_unit_test(test_no_memory),
                cmocka_unit_test(test_only_building_or_reading),
                cmocka_unit_test(test_envelope_accessors),
                cmocka_unit_test(test_errors),
                cmocka_unit_test(test_outcomes),
                cmocka_unit_test(test_reasons),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
