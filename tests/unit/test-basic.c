/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/basic: descriptors, heap, map, list, siphash, names, times, parsers, UTF-8. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test-util.h"

#include "basic/fd.h"
#include "basic/heap.h"
#include "basic/identity.h"
#include "basic/list.h"
#include "basic/map.h"
#include "basic/parse.h"
#include "basic/siphash.h"
#include "basic/time-util.h"
#include "basic/utf8.h"

/* The appendix of the SipHash paper: key 00..0f, message 00..0e; and the first entries of its reference
 * vectors. */
static void test_siphash(void **state) {
        const struct siphash_key key = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };
        uint8_t message[15];

        for (size_t i = 0; i < sizeof(message); i++)
                message[i] = (uint8_t) i;
        assert_true(siphash24(message, 15, &key) == 0xa129ca6149be45e5ULL);
        assert_true(siphash24(message, 0, &key) == 0x726fdb47dd0e0e31ULL);
        assert_true(siphash24(message, 1, &key) == 0x74f839c593dc67fdULL);
        assert_true(siphash24(message, 8, &key) == 0x93f5f5799a932462ULL);
}

static void test_siphash_key_random(void **state) {
        struct siphash_key a = {}, b = {};

        assert_ok(siphash_key_random(&a));
        assert_ok(siphash_key_random(&b));
        assert_memory_not_equal(&a, &b, sizeof(a));
}

struct element {
        struct heap_node node;
        unsigned n;
};

static void test_heap_order(void **state) {
        enum { N = 500 };
        static struct element elements[N];
        struct heap h = {};
        uint64_t seed = 1, previous = 0;
        size_t left = N;

        for (unsigned i = 0; i < N; i++) {
                elements[i] = (struct element){ .node.index = HEAP_UNLINKED, .n = i };
                seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                assert_ok(heap_insert(&h, &elements[i].node, (seed >> 33) % 100));
        }
        assert_errno(heap_insert(&h, &elements[0].node, 0), EBUSY);
        for (unsigned i = 0; i < N; i += 3) { /* from the middle */
                heap_remove(&h, &elements[i].node);
                assert_false(heap_node_is_linked(&elements[i].node));
                heap_remove(&h, &elements[i].node); /* idempotent */
                left--;
        }
        for (struct heap_node *n; (n = heap_peek(&h)); left--) {
                assert_true(n->key >= previous);
                assert_true(CONTAINER_OF(n, struct element, node)->n % 3 != 0);
                previous = n->key;
                heap_remove(&h, n);
        }
        assert_int_equal(left, 0);
        heap_done(&h);
}

/* The place of a reserved node is there whatever else is inserted, and is used without allocating. */
static void test_heap_reserve(void **state) {
        struct element reserved[40] = {}, others[100] = {};
        struct heap h = {};
        struct heap_node **nodes;
        size_t allocated;

        for (size_t i = 0; i < ELEMENTSOF(reserved); i++) {
                reserved[i].node.index = HEAP_UNLINKED;
                assert_ok(heap_reserve(&h, &reserved[i].node));
                assert_ok(heap_reserve(&h, &reserved[i].node)); /* idempotent */
        }
        assert_int_equal(h.n_spare, ELEMENTSOF(reserved));
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                others[i].node.index = HEAP_UNLINKED;
                assert_ok(heap_insert(&h, &others[i].node, i));
                assert_true(h.n_nodes + h.n_spare <= h.n_allocated);
        }
        nodes = h.nodes;
        allocated = h.n_allocated;
        for (unsigned round = 0; round < 3; round++) {
                for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                        assert_ok(heap_insert(&h, &reserved[i].node, 1000 - i));
                assert_int_equal(h.n_spare, 0);
                assert_true(h.nodes == nodes && h.n_allocated == allocated);
                for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                        heap_remove(&h, &reserved[i].node);
                assert_int_equal(h.n_spare, ELEMENTSOF(reserved));
        }
        assert_ok(heap_insert(&h, &reserved[0].node, 5));
        assert_errno(heap_reserve(&h, &others[0].node), EBUSY);
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                heap_release(&h, &reserved[i].node);
        assert_int_equal(h.n_spare, 0);
        assert_int_equal(h.n_nodes, ELEMENTSOF(others));
        heap_done(&h);
}

static void test_heap_done_unlinks(void **state) {
        struct element e = { .node.index = HEAP_UNLINKED };
        struct heap h = {};

        assert_null(heap_peek(&h));
        assert_ok(heap_insert(&h, &e.node, 7));
        assert_ptr_equal(heap_peek(&h), &e.node);
        heap_done(&h);
        assert_false(heap_node_is_linked(&e.node));
        assert_null(heap_peek(&h));
}

static void test_map(void **state) {
        int values[3] = { 1, 2, 3 };
        map *m;

        assert_ok(map_new(&m));
        assert_int_equal(map_size(m), 0);
        assert_ok(map_put_string(m, "one", &values[0]));
        assert_ok(map_put_string(m, "two", &values[1]));
        assert_ok(map_put_u64(m, 3, &values[2]));
        assert_errno(map_put_string(m, "one", &values[1]), EEXIST);
        assert_ptr_equal(map_get_string(m, "one"), &values[0]);
        assert_ptr_equal(map_get_u64(m, 3), &values[2]);
        assert_null(map_get_string(m, "on"));
        assert_null(map_get_string(m, ""));
        assert_ptr_equal(map_remove_string(m, "one"), &values[0]);
        assert_null(map_remove_string(m, "one"));
        assert_int_equal(map_size(m), 2);
        assert_null(map_free(m, NULL));
        assert_null(map_free(NULL, NULL));
}

static unsigned n_destroyed;

static void destroy(void *value) {
        n_destroyed++;
        free(value);
}

static void test_map_iterate(void **state) {
        enum { N = 1000 };
        void *position = NULL;
        uint64_t *value, expected = 0;
        map *m;

        assert_ok(map_new(&m));
        assert_null(map_next(m, &position));
        for (uint64_t i = 0; i < N; i++) {
                value = malloc(sizeof(*value));
                assert_non_null(value);
                *value = i;
                assert_ok(map_put_u64(m, i, value));
        }
        position = NULL;
        while ((value = map_next(m, &position))) { /* in order, while every other one is removed */
                assert_int_equal(*value, expected++);
                if (*value % 2) {
                        assert_ptr_equal(map_remove_u64(m, *value), value);
                        free(value);
                }
        }
        assert_int_equal(expected, N);
        assert_null(map_next(m, &position)); /* stays at the end */
        assert_int_equal(map_size(m), N / 2);
        n_destroyed = 0;
        map_free(m, destroy);
        assert_int_equal(n_destroyed, N / 2);
}

struct member {
        int n;
        struct list_node list;
};

static void test_list(void **state) {
        struct member a = { .n = 1 }, b = { .n = 2 }, c = { .n = 3 };
        struct list_node head;
        int sum = 0;

        list_init(&head);
        assert_true(list_is_empty(&head));
        assert_null(LIST_FIRST(&head, struct member, list));
        list_append(&head, &b.list);
        list_append(&head, &c.list);
        list_prepend(&head, &a.list);
        assert_ptr_equal(LIST_FIRST(&head, struct member, list), &a);
        assert_ptr_equal(LIST_LAST(&head, struct member, list), &c);
        LIST_FOREACH(i, &head, struct member, list) {
                sum = sum * 10 + i->n;
                if (i == &b)
                        list_remove(&i->list);
        }
        assert_int_equal(sum, 123);
        assert_false(list_is_linked(&b.list));
        list_remove(&b.list);
        list_remove(&a.list);
        list_remove(&c.list);
        assert_true(list_is_empty(&head));
}

static void test_aid(void **state) {
        aid a, b, untouched = { "abcdefg" };

        assert_ok(aid_random(&a));
        assert_ok(aid_random(&b));
        assert_true(aid_is_valid(&a));
        assert_false(aid_equal(&a, &b));
        assert_ok(aid_parse(aid_to_string(&a).s, &b));
        assert_true(aid_equal(&a, &b));
        assert_ok(aid_parse("arbiter", &b));
        assert_true(aid_equal(&b, &AID_ARBITER));
        assert_true(aid_is_valid(&b));
        b = untouched;
        assert_errno(aid_parse("", &b), EINVAL);
        assert_errno(aid_parse("abcdefg", &b), EINVAL);
        assert_errno(aid_parse("abcdefghi", &b), EINVAL);
        assert_errno(aid_parse("abcdefgH", &b), EINVAL);
        assert_errno(aid_parse("arbiter ", &b), EINVAL);
        assert_true(aid_equal(&b, &untouched));
        assert_true(aid_is_null(&(aid){}));
        assert_false(aid_is_valid(&(aid){}));
}

static void test_names(void **state) {
        static const char *const good[] = { "a", "_", "web", "my-pool", "Web_9", "x-" };
        static const char *const bad[] = { "", "9a", "-a", "a b", "a.", "a/b", "\303\244", ".a", "a\n" };
        static const char *const qualified[] = { "web.1", "a.4294967295", "web" };
        static const char *const bad_qualified[] = { "web.",    "web.0",           "web.01", "web.1x",
                                                     "web.1.2", "web.12345678901", ".1",     "web.-1" };
        char name[NAME_MAX_LENGTH + 2];

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(name_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(name_is_valid(bad[i]));
        for (size_t i = 0; i < ELEMENTSOF(qualified); i++)
                assert_true(qualified_name_is_valid(qualified[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad_qualified); i++)
                assert_false(qualified_name_is_valid(bad_qualified[i]));
        assert_false(name_is_valid("web.1"));

        memset(name, 'a', sizeof(name));
        name[NAME_MAX_LENGTH] = 0;
        assert_true(name_is_valid(name));
        name[NAME_MAX_LENGTH] = 'a';
        name[NAME_MAX_LENGTH + 1] = 0;
        assert_false(name_is_valid(name));
}

static void test_fd(void **state) {
        _cleanup_free_ char *text = NULL;
        char path[] = "/tmp/arbiter-test-XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC), copy;
        size_t size;

        assert_true(fd >= 0);
        copy = fd_duplicate(fd);
        assert_true(copy >= 3 && copy != fd);
        assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
        assert_ok(fd_set_cloexec(copy, false));
        assert_int_equal(fcntl(copy, F_GETFD), 0);
        assert_ok(fd_set_nonblock(copy, true));
        assert_true(fcntl(copy, F_GETFL) & O_NONBLOCK);
        assert_ok(fd_set_nonblock(copy, true)); /* already */
        assert_ok(fd_set_nonblock(copy, false));
        assert_false(fcntl(copy, F_GETFL) & O_NONBLOCK);

        assert_ok(write_all(fd, "hello", 5));
        assert_ok(read_file_full(AT_FDCWD, path, 5, &text, &size));
        assert_string_equal(text, "hello");
        assert_int_equal(size, 5);
        assert_errno(read_file_full(AT_FDCWD, path, 4, &(char *){ NULL }, NULL), EFBIG);
        assert_ok(write_file_string(AT_FDCWD, path, "HE"));
        assert_errno(read_file_full(AT_FDCWD, "/nonexistent", 4, &(char *){ NULL }, NULL), ENOENT);

        errno = ENOTTY;
        assert_int_equal(close_fd(copy), -EBADF);
        assert_int_equal(errno, ENOTTY);
        assert_int_equal(fcntl(copy, F_GETFD), -1);
        assert_int_equal(close_fd(-EBADF), -EBADF);
        close_many(&fd, 1);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(unlink(path), 0);
}

static void test_parse_timespan(void **state) {
        static const struct {
                const char *text;
                usec_t expected;
        } good[] = {
                { "5", 5 * USEC_PER_SEC },     { "0", 0 },
                { "500ms", 500000 },           { "1min 30s", 90 * USEC_PER_SEC },
                { "1min30s", 90 * USEC_PER_SEC }, { "1.5s", 1500000 },
                { ".5", 500000 },              { "2h", 7200 * USEC_PER_SEC },
                { " 3 s ", 3 * USEC_PER_SEC }, { "1d", 86400 * USEC_PER_SEC },
                { "1w", 604800 * USEC_PER_SEC }, { "7us", 7 },
                { "7\302\265s", 7 },           { "7\316\274s", 7 },
                { "1m", 60 * USEC_PER_SEC },   { "1M", 2629800 * USEC_PER_SEC },
                { "1y", 31557600 * USEC_PER_SEC }, { "infinity", USEC_INFINITY },
                { " infinity ", USEC_INFINITY }, { "2 minutes 1 second", 121 * USEC_PER_SEC },
                { "0.0000019s", 1 },
        };
        static const char *const bad[] = { "",     " ",    "s",     "5x", "-5",         "+5",
                                           "5s5x", "1..5", "1.5.5", ".",  "infinity 5", "5 infinity",
                                           "5ss",  "0x5",  "1e3",   "1,5" };
        usec_t t;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_ok(parse_timespan(good[i].text, &t));
                assert_int_equal(t, good[i].expected);
        }
        t = 42;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_errno(parse_timespan(bad[i], &t), EINVAL);
        assert_errno(parse_timespan("99999999999999999999", &t), ERANGE);
        assert_errno(parse_timespan("600000y", &t), ERANGE);
        assert_errno(parse_timespan("18446744073709551615us", &t), ERANGE); /* that would be infinity */
        assert_errno(parse_timespan("300000y 300000y 300000y", &t), ERANGE);
        assert_int_equal(t, 42);
}

static void test_format_timespan(void **state) {
        static const struct {
                usec_t t;
                const char *expected;
        } cases[] = {
                { 0, "0" },           { 1, "1us" },          { 12500, "12.500ms" },
                { 500000, "500ms" },  { 1500000, "1.500s" }, { 90 * USEC_PER_SEC, "1min 30s" },
                { 5 * USEC_PER_SEC, "5s" },   { 60 * USEC_PER_SEC, "1min" },
                { USEC_INFINITY, "infinity" }, { 90061 * USEC_PER_SEC, "1d 1h 1min 1s" },
                { 60500000, "1min 500ms" },
        };
        char buffer[TIMESPAN_STRING_MAX], tiny[4];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(format_timespan(buffer, sizeof(buffer), cases[i].t), cases[i].expected);
        assert_string_equal(format_timespan(tiny, sizeof(tiny), USEC_INFINITY - 1), "584");
        assert_string_equal(format_timespan_rounded(buffer, sizeof(buffer), 2543210), "2.54 s");
        assert_string_equal(format_timespan_rounded(buffer, sizeof(buffer), 100000), "0.1 s");
        assert_string_equal(format_timespan_rounded(buffer, sizeof(buffer), 3690500000), "1h 1min 30s");
        assert_string_equal(format_timespan_rounded(buffer, sizeof(buffer), USEC_INFINITY), "infinity");
        (void) format_timespan(buffer, sizeof(buffer), USEC_INFINITY - 1);
        assert_true(strlen(buffer) < sizeof(buffer) - 1); /* the longest fits */

        /* What is printed is read back, to a part in a thousand. */
        for (usec_t t = 1; t < (usec_t) 1 << 60; t = t * 3 + 1) {
                usec_t back;

                assert_ok(parse_timespan(format_timespan(buffer, sizeof(buffer), t), &back));
                assert_true(back <= t && t - back <= t / 1000);
        }
        assert_int_equal(time_add(USEC_INFINITY, 1), USEC_INFINITY);
        assert_int_equal(time_add(1, 2), 3);
}

static void test_parse_numbers(void **state) {
        uint64_t x = 42;
        uint32_t u = 42;
        int32_t i = 42;
        bool b;

        assert_ok(parse_u64("18446744073709551615", &x));
        assert_true(x == UINT64_MAX);
        assert_errno(parse_u64("18446744073709551616", &x), ERANGE);
        assert_errno(parse_u64("99999999999999999999x", &x), EINVAL);
        assert_errno(parse_u64("", &x), EINVAL);
        assert_errno(parse_u64("-1", &x), EINVAL);
        assert_errno(parse_u64(" 1", &x), EINVAL);
        assert_errno(parse_u64("1 ", &x), EINVAL);
        assert_errno(parse_u64("0x10", &x), EINVAL);
        assert_ok(parse_u64_range("10", 10, 20, &x));
        assert_errno(parse_u64_range("9", 10, 20, &x), ERANGE);
        assert_errno(parse_u64_range("21", 10, 20, &x), ERANGE);
        assert_int_equal(x, 10);
        assert_ok(parse_u32("4294967295", &u));
        assert_errno(parse_u32("4294967296", &u), ERANGE);
        assert_true(u == UINT32_MAX);
        assert_ok(parse_i32("-2147483648", &i));
        assert_int_equal(i, INT32_MIN);
        assert_ok(parse_i32("+7", &i));
        assert_errno(parse_i32("2147483648", &i), ERANGE);
        assert_errno(parse_i32("--1", &i), EINVAL);
        assert_errno(parse_i32("-", &i), EINVAL);
        assert_int_equal(i, 7);
        assert_ok(parse_bool("Yes", &b));
        assert_true(b);
        assert_ok(parse_bool("off", &b));
        assert_false(b);
        assert_errno(parse_bool("maybe", &b), EINVAL);
        assert_errno(parse_bool("", &b), EINVAL);
}

static void test_parse_units(void **state) {
        static const char *const bad[] = {
                "", "K", "1KK", "1 K", "1.5", "1.2345K", "-1", "1X", "1.K", "1kB"
        };
        uint64_t x = 42;
        unsigned percent;
        mode_t mode;

        assert_ok(parse_size("64", &x));
        assert_int_equal(x, 64);
        assert_ok(parse_size("1.5K", &x));
        assert_int_equal(x, 1536);
        assert_ok(parse_size("2G", &x));
        assert_int_equal(x, 2ULL << 30);
        assert_ok(parse_size("15E", &x));
        assert_errno(parse_size("16E", &x), ERANGE);
        assert_errno(parse_size("99999999999999999999K", &x), ERANGE);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_errno(parse_size(bad[i], &x), EINVAL);

        assert_ok(parse_percent("20%", &percent));
        assert_int_equal(percent, 20);
        assert_ok(parse_percent("100", &percent));
        assert_errno(parse_percent("101%", &percent), ERANGE);
        assert_errno(parse_percent("%", &percent), EINVAL);
        assert_errno(parse_percent("5%%", &percent), EINVAL);
        assert_int_equal(percent, 100);

        assert_ok(parse_permille("2", &x));
        assert_int_equal(x, 2000);
        assert_ok(parse_permille("1.5", &x));
        assert_int_equal(x, 1500);
        assert_ok(parse_permille("0.001", &x));
        assert_int_equal(x, 1);
        assert_errno(parse_permille("1.2345", &x), EINVAL);
        assert_errno(parse_permille("1.", &x), EINVAL);
        assert_errno(parse_permille("99999999999999999", &x), ERANGE);

        assert_ok(parse_mode("0022", &mode));
        assert_int_equal(mode, 022);
        assert_errno(parse_mode("8", &mode), EINVAL);
        assert_errno(parse_mode("10000", &mode), ERANGE);
}

static void test_parse_signal(void **state) {
        char buffer[SIGNAL_STRING_MAX];
        int signo = 0, back;

        assert_ok(parse_signal("SIGTERM", &signo));
        assert_int_equal(signo, SIGTERM);
        assert_ok(parse_signal("USR1", &signo));
        assert_int_equal(signo, SIGUSR1);
        assert_ok(parse_signal("9", &signo));
        assert_int_equal(signo, SIGKILL);
        assert_ok(parse_signal("SIGRTMIN+3", &signo));
        assert_int_equal(signo, SIGRTMIN + 3);
        assert_errno(parse_signal("SIGRTMIN+99", &signo), ERANGE);
        assert_errno(parse_signal("0", &signo), ERANGE);
        assert_errno(parse_signal("1000", &signo), ERANGE);
        assert_errno(parse_signal("SIGFOO", &signo), EINVAL);
        assert_errno(parse_signal("", &signo), EINVAL);
        assert_errno(parse_signal("term", &signo), EINVAL);

        for (int i = 1; i <= SIGRTMAX; i++) { /* round trip */
                assert_ok(parse_signal(format_signal(i, buffer), &back));
                assert_int_equal(back, i);
        }
}

static void check_printable(const char *s, size_t size, size_t room, const char *expected) {
        char ret[64];

        memset(ret, 'x', sizeof(ret));
        utf8_make_printable(s, size, ret, room);
        assert_string_equal(ret, expected);
        for (size_t i = room; i < sizeof(ret); i++)
                assert_int_equal(ret[i], 'x');
}

/* U+009B is what ESC [ is: terminals obey it. */
static void test_utf8_control(void **state) {
        char line[] = "a\nb\t\x1b[m\xc2\x9bm\x7f\xff\xc2 \xc3\xa9\xe2\x82\xac";

        assert_true(utf8_is_printable("caf\xc3\xa9 \xc2\xa0"));
        assert_false(utf8_is_printable("\xc2\x9b"));
        assert_false(utf8_is_printable("\n"));
        assert_false(utf8_is_printable("a\xff"));
        assert_int_equal(utf8_control_size("\xc2\x9b"), 2);
        assert_int_equal(utf8_control_size("\xc2"), 0);
        assert_int_equal(utf8_control_size("\x7f"), 1);
        assert_int_equal(utf8_control_size(""), 0);
        utf8_make_harmless(line, "\n");
        assert_string_equal(line, "a\nb??[m??m??? \xc3\xa9\xe2\x82\xac");
}

static void test_utf8_make_printable(void **state) {
        check_printable("", 0, 8, "");
        check_printable("a\nb\x7f\xff", 5, 64, "a\\x0ab\\x7f\\xff");
        check_printable("\xc3\xa9\xc2\x85\xc2\xa0", 6, 64, "\xc3\xa9\\xc2\\x85\xc2\xa0");
        check_printable("\0x", 2, 64, "\\x00x");
        check_printable("12345678", 8, 8, "1234...");
        check_printable("1234", 4, 8, "1234");
        check_printable("123\n", 4, 8, "123...");
        check_printable("\n\n", 2, 8, "\\x0a...");
        check_printable("123\xc3\xa9", 5, 8, "123...");
}

static void test_utf8(void **state) {
        static const char *const good[] = {
                "", "abc", "\303\244", "\342\202\254", "\360\237\230\200", "\364\217\277\277"
        };
        static const char *const bad[] = { "\300\200",         "\303",  "\355\240\200",
                                           "\364\220\200\200", "\377",  "\200",
                                           "\340\200\200",     "a\303", "\360\200\200\200" };
        char buffer[4];

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(utf8_is_valid(good[i], strlen(good[i])));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
        for (uint32_t c = 0; c <= 0x110000; c++) {
                size_t n = utf8_encode(c, buffer);

                if (c >= 0x110000 || (c >= 0xd800 && c < 0xe000))
                        assert_int_equal(n, 0);
                else
                        assert_true(n == utf8_sequence_size(buffer, n) && n > 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_siphash),
                cmocka_unit_test(test_siphash_key_random),
                cmocka_unit_test(test_heap_order),
                cmocka_unit_test(test_heap_reserve),
                cmocka_unit_test(test_heap_done_unlinks),
                cmocka_unit_test(test_map),
                cmocka_unit_test(test_map_iterate),
                cmocka_unit_test(test_list),
                cmocka_unit_test(test_aid),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_fd),
                cmocka_unit_test(test_parse_timespan),
                cmocka_unit_test(test_format_timespan),
                cmocka_unit_test(test_parse_numbers),
                cmocka_unit_test(test_parse_units),
                cmocka_unit_test(test_parse_signal),
                cmocka_unit_test(test_utf8),
                cmocka_unit_test(test_utf8_control),
                cmocka_unit_test(test_utf8_make_printable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
