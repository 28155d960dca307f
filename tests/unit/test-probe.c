/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/arbiter/probe-decide and probe-target: the rules of probes, each run of results of a length, and the
 * parsers for what people and servers write. */

#include "test-util.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "arbiter/probe-decide.h"
#include "arbiter/probe-target.h"

#define SECOND USEC_PER_SEC

static struct probe_timing timing(arbiter_probe_kind kind, unsigned failures, unsigned successes) {
        struct probe_timing t = { .failures = failures, .successes = successes };

        probe_timing_complete(&t, kind);
        return t;
}

static void test_defaults(void **state) {
        struct probe_timing t = timing(ARBITER_PROBE_READINESS, 0, 0);

        assert_true(t.interval == 10 * SECOND && t.timeout == SECOND && t.delay == 0);
        assert_true(t.failures == 3 && t.successes == 1);
        t = timing(ARBITER_PROBE_START, 0, 0);
        assert_true(t.interval == SECOND && t.failures == 30);
        t = (struct probe_timing){ .interval = 7, .timeout = 8, .failures = 9, .successes = 10 };
        probe_timing_complete(&t, ARBITER_PROBE_LIVENESS);
        assert_true(t.interval == 7 && t.timeout == 8 && t.failures == 9 && t.successes == 10);
}

/* The rule again, from the words of the manual: so many alike in a row. */
static bool is_row(unsigned results, unsigned n, unsigned wanted, unsigned value) {
        if (n < wanted)
                return false;
        for (unsigned i = 0; i < wanted; i++)
                if ((results >> (n - 1 - i) & 1) != value)
                        return false;
        return true;
}

static void play(arbiter_probe_kind kind, unsigned failures, unsigned successes, unsigned results) {
        struct probe_timing t = timing(kind, failures, successes);
        int verdict = -1; /* the last one: 1 good, 0 bad */
        struct probe_state s;
        usec_t now = 1000;
        bool over = false;

        probe_decide_begin(&s, kind, &t, results, now, now, true);
        for (unsigned n = 1; n <= 8; n++) {
                bool good = results >> (n - 1) & 1, passes, fails;
                probe_verdict v;

                now = over ? now + 1 : s.due;
                probe_decide_asked(&s, now);
                v = probe_decide_answered(&s, &t, good ? PROBE_GOOD : PROBE_BAD, now + 5);
                passes = !over && good && verdict != 1 && is_row(results, n, successes, 1);
                fails = !over && !good && verdict != 0 && is_row(results, n, failures, 0);
                if (passes || fails)
                        verdict = passes;
                if (passes && kind == ARBITER_PROBE_LIVENESS)
                        passes = false; /* nobody had doubted it */
                assert_int_equal(v, passes ? PROBE_PASSED : fails ? PROBE_FAILED : PROBE_NOTHING);
                over = over || (passes && kind == ARBITER_PROBE_START) ||
                       (fails && kind != ARBITER_PROBE_READINESS);
                assert_int_equal(s.over, over);
                assert_true(over ? s.due == USEC_INFINITY : s.due >= now + 5 && s.due <= now + t.interval);
        }
}

static void test_rows(void **state) {
        for (unsigned kind = 0; kind < PROBE_KINDS; kind++)
                for (unsigned failures = 1; failures <= 4; failures++)
                        for (unsigned successes = 1; successes <= 4; successes++)
                                for (unsigned results = 0; results < 256; results++)
                                        play((arbiter_probe_kind) kind, failures, successes, results);
}

/* It counts for nothing, wherever it comes in a row. */
static void test_unknown(void **state) {
        struct probe_timing t = timing(ARBITER_PROBE_LIVENESS, 3, 1);
        struct probe_state s;

        probe_decide_begin(&s, ARBITER_PROBE_LIVENESS, &t, 1, 0, 0, true);
        for (unsigned i = 0; i < 3; i++) {
                probe_decide_asked(&s, 100);
                assert_int_equal(probe_decide_answered(&s, &t, PROBE_UNKNOWN, 200), PROBE_NOTHING);
                assert_true(s.due == 200 + SECOND);
                probe_decide_asked(&s, 300);
                assert_int_equal(probe_decide_answered(&s, &t, PROBE_BAD, 400),
                                i == 2 ? PROBE_FAILED : PROBE_NOTHING);
        }
        assert_int_equal(probe_decide_answered(&s, &t, PROBE_GOOD, 500), PROBE_NOTHING);
        assert_true(s.due == USEC_INFINITY);
}

/* What was said before is not said again. */
static void test_restored(void **state) {
        struct probe_timing t = timing(ARBITER_PROBE_READINESS, 2, 2);

        for (unsigned was = 0; was < 2; was++)
                for (unsigned is = 0; is < 2; is++) {
                        struct probe_state s;

                        probe_decide_begin(&s, ARBITER_PROBE_READINESS, &t, 1, 0, 1000, false);
                        probe_decide_restore(&s, was);
                        probe_decide_asked(&s, s.due);
                        assert_int_equal(probe_decide_answered(&s, &t, is ? PROBE_GOOD : PROBE_BAD, s.begun),
                                        PROBE_NOTHING);
                        probe_decide_asked(&s, s.due);
                        assert_int_equal(probe_decide_answered(&s, &t, is ? PROBE_GOOD : PROBE_BAD, s.begun),
                                        was == is ? PROBE_NOTHING : is ? PROBE_PASSED : PROBE_FAILED);
                }
}

static void test_begin(void **state) {
        struct probe_timing t = timing(ARBITER_PROBE_READINESS, 3, 1);
        struct probe_state s;

        probe_decide_begin(&s, ARBITER_PROBE_READINESS, &t, 1, 500, 500, true);
        assert_true(s.due == 500); /* somebody waits for it */
        t.delay = 100;
        probe_decide_begin(&s, ARBITER_PROBE_START, &t, 1, 500, 500, true);
        assert_true(s.due == 600);
        probe_decide_begin(&s, ARBITER_PROBE_START, &t, 1, 500, 9000, true);
        assert_true(s.due == 9000); /* the delay is over */
        probe_decide_begin(&s, ARBITER_PROBE_LIVENESS, &t, 1, 500, 500, true);
        assert_true(s.due >= 600 && s.due <= 600 + t.interval);
        t.delay = USEC_INFINITY;
        probe_decide_begin(&s, ARBITER_PROBE_LIVENESS, &t, 1, 500, 500, true);
        assert_true(s.due == USEC_INFINITY);
        t = (struct probe_timing){ .interval = USEC_INFINITY, .timeout = 1, .failures = 1, .successes = 1 };
        probe_decide_begin(&s, ARBITER_PROBE_READINESS, &t, 1, 500, 500, false);
        probe_decide_asked(&s, 700);
        assert_int_equal(probe_decide_answered(&s, &t, PROBE_BAD, 800), PROBE_FAILED);
        assert_true(s.due > 800);
}

/* Until it is ready it is asked soon; afterwards, and when it has failed, at the interval. */
static void test_pace(void **state) {
        struct probe_timing t = timing(ARBITER_PROBE_READINESS, 3, 1);
        struct probe_state s;
        usec_t now = 0;

        probe_decide_begin(&s, ARBITER_PROBE_READINESS, &t, 9, now, now, true);
        for (unsigned i = 1; i <= 6; i++) {
                usec_t begun = now = s.due, gap;

                probe_decide_asked(&s, now);
                assert_true(s.due == USEC_INFINITY); /* it is under way */
                (void) probe_decide_answered(&s, &t, PROBE_BAD, now);
                gap = s.due - begun;
                if (i < 3)
                        assert_true(gap <= SECOND && gap >= SECOND / 2);
                else
                        assert_true(gap <= 10 * SECOND && gap >= 9 * SECOND);
        }
        probe_decide_asked(&s, s.due);
        assert_int_equal(probe_decide_answered(&s, &t, PROBE_GOOD, s.begun), PROBE_PASSED);
        assert_true(s.due - s.begun >= 9 * SECOND && s.due - s.begun <= 10 * SECOND);
        /* one that took longer than its interval is followed at once, and never two at a time */
        probe_decide_asked(&s, s.due);
        now = s.begun + 60 * SECOND;
        (void) probe_decide_answered(&s, &t, PROBE_GOOD, now);
        assert_true(s.due == now);
}

/* Ten thousand that begin together are asked all over the interval: after a start in the third round, after
 * a takeover at once. */
static void test_spread(void **state) {
        enum { N = 10000, BINS = 20 };
        struct probe_timing t = timing(ARBITER_PROBE_LIVENESS, 3, 1);

        for (unsigned fresh = 0; fresh < 2; fresh++) {
                unsigned bins[BINS] = {};

                for (uint64_t i = 0; i < N; i++) {
                        struct probe_state s;

                        probe_decide_begin(&s, ARBITER_PROBE_LIVENESS, &t, i, 0, 0, fresh);
                        assert_true(s.due <= t.interval);
                        bins[s.due * BINS / (t.interval + 1)]++;
                }
                for (unsigned i = 0; i < BINS; i++)
                        assert_true(bins[i] > N / BINS / 2 && bins[i] < 2 * N / BINS);
        }
        for (arbiter_probe_kind kind = ARBITER_PROBE_START; kind < PROBE_KINDS; kind++) {
                unsigned together = 0;

                for (uint64_t i = 0; i < N; i++) {
                        struct probe_state s;

                        probe_decide_begin(&s, kind, &t, i, 0, 0, true);
                        for (unsigned k = 0; k < 3; k++) {
                                probe_decide_asked(&s, s.due);
                                (void) probe_decide_answered(&s, &t, PROBE_GOOD, s.begun);
                                if (s.over)
                                        break;
                        }
                        together += !s.over && s.due % t.interval < t.interval / 100;
                }
                assert_true(together < N / 20);
        }
}

/* Texts. */

static void test_expand(void **state) {
        static const struct {
                const char *text, *name, *expected;
        } rows[] = {
                { "", "web.3", "" },
                { "127.0.0.1:80%i", "web.3", "127.0.0.1:803" },
                { "/run/%N/%i.sock", "web.12", "/run/web/12.sock" },
                { "%n", "web.12", "web.12" },
                { "%n|%N|%i|%%", "clock", "clock|clock||%" },
        };
        char text[PROBE_TARGET_TEXT_MAX], *long_text;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(probe_expand(rows[i].text, rows[i].name, text), 0);
                assert_string_equal(text, rows[i].expected);
        }
        assert_int_equal(probe_expand("a%", "web.3", text), -EINVAL);
        assert_int_equal(probe_expand("%h", "web.3", text), -EINVAL);
        long_text = calloc(1, PROBE_TARGET_TEXT_MAX + 1);
        memset(long_text, 'x', PROBE_TARGET_TEXT_MAX);
        assert_int_equal(probe_expand(long_text, "web.3", text), -E2BIG);
        long_text[PROBE_TARGET_TEXT_MAX - 1] = 0;
        assert_int_equal(probe_expand(long_text, "web.3", text), 0);
        free(long_text);
}

static void test_address(void **state) {
        static const char *const bad[] = { "", "0", "65536", "localhost", "localhost:", "localhost:0",
                                           "localhost:[::1]:1", "example.org:80", "1.2.3:80", "[::1]",
                                           "::1:80", "unix:", "unix:x", "unix:8080", "x", "http://1", "-1",
                                           "127.0.0.1:80/x" };
        struct probe_address a;
        const char *why = NULL;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(probe_parse_address(bad[i], &a, &why), -EINVAL);
                assert_non_null(why);
        }
        assert_int_equal(probe_parse_address("8080", &a, &why), 0);
        assert_true(a.n == 2 && a.addresses[0].u.in.sin_addr.s_addr == htonl(INADDR_LOOPBACK) &&
                    a.addresses[0].u.in.sin_port == htons(8080));
        assert_true(a.addresses[1].u.in6.sin6_family == AF_INET6 &&
                    a.addresses[1].u.in6.sin6_port == htons(8080) &&
                    memcmp(&a.addresses[1].u.in6.sin6_addr, &in6addr_loopback, 16) == 0);
        assert_int_equal(probe_parse_address("localhost:1", &a, &why), 0);
        assert_int_equal(a.n, 2);
        assert_int_equal(probe_parse_address("10.0.0.1:1", &a, &why), 0);
        assert_true(a.n == 1 && a.addresses[0].u.in.sin_addr.s_addr == htonl(0x0a000001));
        assert_int_equal(probe_parse_address("[::1]:443", &a, &why), 0);
        assert_true(a.n == 1 && a.addresses[0].u.in6.sin6_port == htons(443));
        assert_int_equal(probe_parse_address("/run/x", &a, &why), 0);
        assert_string_equal(a.addresses[0].u.un.sun_path, "/run/x");
        assert_int_equal(probe_parse_address("unix:/run/x", &a, &why), 0);
        assert_string_equal(a.addresses[0].u.un.sun_path, "/run/x");
        assert_int_equal(probe_parse_address("@x", &a, &why), 0);
        assert_true(a.addresses[0].u.un.sun_path[0] == 0 && a.addresses[0].u.un.sun_path[1] == 'x');
}

static void test_url(void **state) {
        static const struct {
                const char *text, *path, *host;
        } good[] = {
                { "8080", "/", "localhost" },
                { "127.0.0.1:8080", "/", "127.0.0.1:8080" },
                { "127.0.0.1:8080/", "/", "127.0.0.1:8080" },
                { "http://localhost:80/health?a=b&c=%20", "/health?a=b&c=%20", "localhost" },
                { "http://[::1]:80/x/y", "/x/y", "[::1]:80" },
                { "[fe80::1%lo]:80/x", "/x", "[fe80::1]:80" },
                { "unix:/run/x.sock", "/", "localhost" },
                { "unix:/run/x.sock:/health", "/health", "localhost" },
                { "http://unix:@name:/health", "/health", "localhost" },
        };
        static const char *const bad[] = {
                "",       "/run/x.sock", "@x",  "https://127.0.0.1:8443/", "http://example.org/",
                "80/a b", "80/\t",       "80/#", "80/\x80",                "unix:/x:/ ",
        };
        char text[PROBE_PATH_MAX + 8] = "80/";
        const char *why = NULL;
        struct probe_url u;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(probe_parse_url(good[i].text, &u, &why), 0);
                assert_string_equal(u.path, good[i].path);
                assert_string_equal(u.host, good[i].host);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                why = NULL;
                assert_int_equal(probe_parse_url(bad[i], &u, &why), -EINVAL);
                assert_non_null(why);
        }
        memset(text + 3, 'x', PROBE_PATH_MAX - 2);
        assert_int_equal(probe_parse_url(text, &u, &why), 0);
        text[PROBE_PATH_MAX + 1] = 'x';
        assert_int_equal(probe_parse_url(text, &u, &why), -EINVAL);
        assert_true(probe_host_is_valid("example.org:80") && !probe_host_is_valid("") &&
                    !probe_host_is_valid("a b") && !probe_host_is_valid("a\r\nX: y"));
}

/* HTTP. */

static int parse(const char *s, unsigned *ret) {
        return probe_parse_reply(s, strlen(s), ret);
}

static void test_reply(void **state) {
        static const struct {
                const char *text;
                int result;
                unsigned status;
        } rows[] = {
                { "HTTP/1.1 200 OK\r\n", 1, 200 },
                { "HTTP/1.0 404 Not Found\n", 1, 404 },
                { "HTTP/1.1 204 \r\n", 1, 204 },
                { "HTTP/1.1 204\r\nX: y\r\n\r\n", 1, 204 },
                { "HTTP/1.1 101 Switching\r\n", 1, 101 },
                { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\n", 1, 503 },
                { "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n", 1,
                  200 },
                { "HTTP/1.1 100 Continue\r\n", 0, 0 },
                { "HTTP/1.1 100 Continue\r\nA: b\r\n", 0, 0 },
                { "", 0, 0 },
                { "H", 0, 0 },
                { "HTTP/1.1 20", 0, 0 },
                { "HTTP/1.1 200 OK", 0, 0 },
                { "HTTP/1.1 200 OK\r", 0, 0 },
                { "HTTP/2 200\r\n", -EBADMSG, 0 },
                { "HTTP/1.1  200 OK\r\n", -EBADMSG, 0 },
                { "HTTP/1.1 2000 OK\r\n", -EBADMSG, 0 },
                { "HTTP/1.1 20\r\n", -EBADMSG, 0 },
                { "HTTP/1.1 099 x\r\n", -EBADMSG, 0 },
                { "HTTP/1.1 600 x\r\n", -EBADMSG, 0 },
                { "HTTP/1.1 -20 x\r\n", -EBADMSG, 0 },
                { "HTTP/1.1 200 a\rb\r\n", -EBADMSG, 0 },
                { "HTTP/1.1 200 \x1b[2J\r\n", -EBADMSG, 0 },
                { "http/1.1 200 OK\r\n", -EBADMSG, 0 },
                { "\r\nHTTP/1.1 200 OK\r\n", -EBADMSG, 0 },
                { "SSH-2.0-OpenSSH\r\n", -EBADMSG, 0 },
                { "HTTP/1.1 100 Continue\r\n\r\ngarbage", -EBADMSG, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                unsigned status = 0;

                assert_int_equal(parse(rows[i].text, &status), rows[i].result);
                if (rows[i].result == 1)
                        assert_int_equal(status, rows[i].status);
                /* piece by piece it is the same, and no piece is taken for the whole too early */
                for (size_t n = 0; n < strlen(rows[i].text) && rows[i].result >= 0; n++) {
                        int r = probe_parse_reply(rows[i].text, n, &status);

                        assert_true(r == 0 || (r == 1 && status == rows[i].status));
                }
        }
        assert_int_equal(probe_parse_reply("HTTP/1.1 200 \0\r\n", 16, &(unsigned){ 0 }), -EBADMSG);
}

static void test_reply_sizes(void **state) {
        char *p = malloc(PROBE_REPLY_MAX);
        unsigned status;
        int n;

        memset(p, 'x', PROBE_REPLY_MAX);
        n = sprintf(p, "HTTP/1.1 200 ");
        p[n] = 'x';
        assert_int_equal(probe_parse_reply(p, PROBE_STATUS_LINE_MAX, &status), 0);
        assert_int_equal(probe_parse_reply(p, PROBE_STATUS_LINE_MAX + 1, &status), -EBADMSG);
        n = sprintf(p, "HTTP/1.1 100 C\r\nX: ");
        p[n] = 'x';
        assert_int_equal(probe_parse_reply(p, PROBE_REPLY_MAX - 1, &status), 0);
        assert_int_equal(probe_parse_reply(p, PROBE_REPLY_MAX, &status), -EMSGSIZE);
        for (n = 0; n + 18 <= PROBE_REPLY_MAX; n += 18)
                memcpy(p + n, "HTTP/1.1 100 C\r\n\r\n", 18);
        memcpy(p + n, "HTTP/1.1 100 C\r\n\r\n", (size_t) (PROBE_REPLY_MAX - n));
        assert_int_equal(probe_parse_reply(p, PROBE_REPLY_MAX, &status), -EMSGSIZE);
        free(p);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),    cmocka_unit_test(test_rows),
                cmocka_unit_test(test_unknown),     cmocka_unit_test(test_restored),
                cmocka_unit_test(test_begin),       cmocka_unit_test(test_pace),
                cmocka_unit_test(test_spread),      cmocka_unit_test(test_expand),
                cmocka_unit_test(test_address),     cmocka_unit_test(test_url),
                cmocka_unit_test(test_reply),       cmocka_unit_test(test_reply_sizes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
