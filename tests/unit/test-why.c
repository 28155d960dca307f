/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/arbiter/why: the sentences, word by word: they are what an operator goes by. */

#include "test-util.h"

#include <limits.h>

#include "arbiter/why.h"

#define SECONDS(s) ((usec_t) ((s) * 1000000))

/* What most of them have; since 1 and intensity UINT32_MAX - 1 stand for 0. */
static struct why *usual(struct why *w) {
        w->name = w->name ? w->name : "web.3";
        w->state = w->state ? w->state : "starting";
        w->since = w->since == 0 ? SECONDS(98) : w->since == 1 ? 0 : w->since;
        w->intensity = w->intensity == 0 ? 5 : w->intensity == UINT32_MAX - 1 ? 0 : w->intensity;
        w->now = SECONDS(100);
        w->period = w->period ? w->period : SECONDS(10);
        return w;
}

#define WHY(...) usual(&(struct why){ __VA_ARGS__ })
#define assert_text(w, expected)                           \
        do {                                               \
                char _text[512];                           \
                why_format(w, _text, sizeof(_text));       \
                assert_string_equal(_text, expected);      \
        } while (0)

static void test_backoff(void **state) {
        assert_text(WHY(.kind = WHY_BACKOFF, .until = SECONDS(103.2), .ended = true,
                                    .reason = ARBITER_REASON_EXIT_CODE, .status = 1, .attempts = 4,
                                    .alike = 7),
                        "web.3 waits 3.2 s more before its next start: it exited with status 1 four times "
                        "in "
                        "10 s.");
        assert_text(WHY(.kind = WHY_BACKOFF, .until = SECONDS(190.2), .ended = true,
                                    .reason = ARBITER_REASON_SIGNAL, .status = 9, .attempts = 12,
                                    .alike = 11),
                        "web.3 waits 1min 30s more before its next start: it failed 12 times in 10 s, and "
                        "the last time it was killed by SIGKILL.");
        assert_text(WHY(.kind = WHY_BACKOFF, .until = SECONDS(103), .ended = true,
                                    .reason = ARBITER_REASON_EXIT_CODE, .status = 243, .attempts = 1),
                        "web.3 waits 3.0 s more before its next start: it exited with status "
                        "243/CREDENTIALS.");
        assert_text(WHY(.kind = WHY_BACKOFF, .until = SECONDS(103), .ended = true,
                                    .reason = ARBITER_REASON_EXIT_CODE, .status = 245, .attempts = 1),
                        "web.3 waits 3.0 s more before its next start: it exited with status 245.");
        /* Overdue, and the first failure. */
        assert_text(WHY(.kind = WHY_BACKOFF, .until = SECONDS(99), .ended = true,
                                    .reason = ARBITER_REASON_HANDSHAKE, .attempts = 1, .alike = 1),
                        "web.3 waits 0.0 s more before its next start: its start failed (\"arbiterctl log "
                        "web.3\" says why).");
        assert_text(WHY(.kind = WHY_BACKOFF, .until = SECONDS(101), .ended = true,
                                    .reason = ARBITER_REASON_CORE_DUMP, .status = 99, .attempts = 1),
                        "web.3 waits 1.0 s more before its next start: it crashed with signal 99.");
}

static void test_starting(void **state) {
        assert_text(WHY(.kind = WHY_HANDSHAKE, .until = SECONDS(188)),
                        "web.3 is starting: it was begun 2.0 s ago and has not said hello to the arbiter "
                        "yet; its start is given up in 1min 28s.");
        assert_text(WHY(.kind = WHY_START_HOOK, .until = SECONDS(110)),
                        "web.3 is starting: it was begun 2.0 s ago and is in its start hook; its start is "
                        "given up in 10.0 s.");
        assert_text(WHY(.kind = WHY_READY),
                        "web.3 is starting: it was begun 2.0 s ago and has not sent READY=1 yet.");
        assert_text(WHY(.kind = WHY_UNIT),
                        "web.3 is starting: it was begun 2.0 s ago and waits for systemd to start its "
                        "unit.");
        assert_text(WHY(.kind = WHY_HOST, .since = 1),
                        "web.3 is starting: it was begun and waits for the process that its thread is to "
                        "live in.");
}

static void test_given_up(void **state) {
        assert_text(WHY(.kind = WHY_INTENSITY, .empty = true, .ended = true,
                                    .reason = ARBITER_REASON_EXIT_CODE, .status = 1, .attempts = 6,
                                    .alike = 6),
                        "web.3 was given up 2.0 s ago: it exited with status 1 six times in 10 s, and 5 "
                        "restarts in 10 s are allowed. Once that is mended, \"arbiterctl restart web.3\" "
                        "tries again.");
        assert_text(WHY(.kind = WHY_INTENSITY, .empty = true, .ended = true, .intensity = UINT32_MAX - 1,
                                    .reason = ARBITER_REASON_OOM_KILL, .attempts = 1),
                        "web.3 was given up 2.0 s ago: the kernel killed it for want of memory. Once that "
                        "is mended, \"arbiterctl restart web.3\" tries again.");
        assert_text(WHY(.name = "web", .kind = WHY_INTENSITY, .is_monitor = true),
                        "web has given up 2.0 s ago: no worker is left. Once what makes them fail is "
                        "mended, \"arbiterctl restart web\" tries again.");
        assert_text(WHY(.kind = WHY_STOPPED, .empty = true),
                        "web.3 was stopped by an operator 2.0 s ago. \"arbiterctl restart web.3\" starts "
                        "it.");
}

static void test_stopping(void **state) {
        assert_text(WHY(.kind = WHY_STOP, .until = SECONDS(103)),
                        "web.3 is stopping: it was asked to 2.0 s ago, and has 3.0 s more.");
        assert_text(WHY(.kind = WHY_STOP, .until = SECONDS(103), .signaled = true),
                        "web.3 is stopping: it was sent its stop signal 2.0 s ago, and is killed in 3.0 s "
                        "if it does not end.");
        assert_text(WHY(.kind = WHY_KILL), "web.3 was killed 2.0 s ago, and its end has not come yet.");
        assert_text(WHY(.kind = WHY_KILL, .stuck = true),
                        "web.3 does not end, and a thread cannot be killed: it stays until its process "
                        "ends.");
        assert_text(WHY(.name = "web", .kind = WHY_STOP, .is_monitor = true),
                        "web is stopping: its workers are ending.");
}

static void test_settling(void **state) {
        assert_text(WHY(.name = "web", .kind = WHY_SETTLING, .is_monitor = true, .wanted = 4, .running = 3),
                        "web has 3 of 4 workers running.");
        assert_text(WHY(.name = "web", .kind = WHY_SETTLING, .is_monitor = true, .wanted = 4, .running = 2,
                                    .backoff = 2, .until = SECONDS(103.2)),
                        "web has 2 of 4 workers running; 2 wait for the next start, the first in 3.2 s.");
        assert_text(WHY(.state = "running"), "web.3 is running, and waits for nothing.");
        assert_text(WHY(.empty = true, .ended = true, .reason = ARBITER_REASON_NORMAL),
                        "web.3 is not running, and waits for nothing: it ended by itself.");
        assert_text(WHY(.empty = true), "web.3 has not been started, and waits for nothing.");
}

/* Each kind and each reason has words, and none writes past its buffer, whatever the numbers. */
static void test_trees(void **state) {
        assert_text(WHY(.name = "web", .kind = WHY_TURN, .empty = true), "web waits for its turn to start.");
        assert_text(WHY(.name = "web", .kind = WHY_TURN, .empty = true, .other = "db"),
                        "web waits for its turn to start: db comes before it, and does not run yet.");
        assert_text(WHY(.name = "web", .kind = WHY_TURN, .empty = true, .other = "db", .other_stops = true),
                        "web waits for its turn to start: first db has to be down.");
        assert_text(WHY(.name = "shop", .kind = WHY_INTENSITY, .is_monitor = true, .is_tree = true,
                                    .unstarted = true, .other = "db"),
                        "shop has failed 2.0 s ago: db did not start (\"arbiterctl log db\" says more). "
                        "Once that is mended, \"arbiterctl restart shop\" tries again.");
        assert_text(WHY(.name = "shop", .kind = WHY_INTENSITY, .is_monitor = true, .is_tree = true,
                                    .other = "db"),
                        "shop has failed 2.0 s ago: its children ended too often, db at last, and 5 "
                        "restarts of them in 10 s are allowed. Once that is mended, \"arbiterctl restart "
                        "shop\" tries again.");
        assert_text(WHY(.name = "shop", .kind = WHY_INTENSITY, .is_monitor = true, .is_tree = true,
                                    .since = 1, .intensity = 1),
                        "shop has failed: its children ended too often, a child of it at last, and 1 "
                        "restart of them in 10 s is allowed. Once that is mended, \"arbiterctl restart "
                        "shop\" tries again.");
        assert_text(WHY(.name = "shop", .kind = WHY_STOP, .is_monitor = true, .is_tree = true),
                        "shop is stopping: its children are ending.");
        assert_text(WHY(.name = "shop", .kind = WHY_SETTLING, .is_monitor = true, .is_tree = true,
                                    .wanted = 4, .running = 3),
                        "shop has 3 of 4 children running.");
}

static void test_extremes(void **state) {
        for (unsigned kind = 0; kind < _WHY_KIND_MAX; kind++)
                for (unsigned reason = 0; reason <= ARBITER_REASON_UNKNOWN + 1; reason++)
                        for (size_t size = 1; size <= 512; size = size * 2 + 1) {
                                char text[600];

                                memset(text, 'x', sizeof(text));
                                why_format(WHY(.kind = (enum why_kind) kind, .since = UINT64_MAX,
                                                           .until = UINT64_MAX, .ended = reason % 2,
                                                           .reason = (arbiter_reason) reason,
                                                           .status = INT_MIN, .attempts = UINT32_MAX,
                                                           .period = UINT64_MAX, .intensity = 7,
                                                           .backoff = UINT32_MAX,
                                                           .is_monitor = reason % 3 == 0,
                                                           .is_tree = reason % 6 == 0,
                                                           .empty = reason % 5 == 0),
                                                text, size);
                                assert_true(strlen(text) < size);
                                for (size_t i = size; i < sizeof(text); i++)
                                        assert_int_equal(text[i], 'x');
                                assert_non_null(why_kind_to_string((enum why_kind) kind));
                        }
        assert_null(why_kind_to_string(_WHY_KIND_MAX));
}

static void test_probes(void **state) {
        assert_text(WHY(.kind = WHY_PROBE, .until = SECONDS(188), .probe = "status 503"),
                        "web.3 is starting: its start probe was begun 2.0 s ago and has not passed yet; it "
                        "said last: status 503; its start is given up in 1min 28s.");
        assert_text(WHY(.kind = WHY_PROBE, .probe = ""),
                        "web.3 is starting: its start probe was begun 2.0 s ago and has not passed yet.");
        assert_text(WHY(.kind = WHY_READINESS, .state = "running", .probe = "status 503"),
                        "web.3 runs, but is not ready: its readiness probe says: status 503.");
        assert_text(WHY(.kind = WHY_READINESS, .state = "running"),
                        "web.3 runs, but is not ready: its readiness probe has not passed yet.");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_backoff),  cmocka_unit_test(test_starting),
                cmocka_unit_test(test_given_up), cmocka_unit_test(test_stopping),
                cmocka_unit_test(test_settling), cmocka_unit_test(test_extremes),
                cmocka_unit_test(test_probes),   cmocka_unit_test(test_trees),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
