/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/arbiter/metrics: what the text says. That a real parser reads it is tests/functional/test-metrics.py's
 * to say, which runs this program with --print. */

#include "test-util.h"

#include <locale.h>
#include <stdio.h>

#include "arbiter/metrics.h"

static const struct metrics_monitor monitors[] = {
        {
                .name = "web",
                .wanted = 4,
                .running = 3,
                .backoff = 1,
                .restarts = 7,
                .deaths = { [ARBITER_REASON_EXIT_CODE] = 5, [ARBITER_REASON_SIGNAL] = 2 },
                .starts = 10,
                .start_usec = 1234567,
                .mailbox_queued = 3,
                .memory_bytes = 1 << 20,
                .cpu_usec = 60000001,
        },
        { .name = "quiet", .memory_bytes = METRICS_UNKNOWN, .cpu_usec = METRICS_UNKNOWN },
        { .name = "most", .wanted = UINT32_MAX, .restarts = UINT64_MAX, .start_usec = UINT64_MAX - 1,
                .mailbox_queued = UINT64_MAX, .memory_bytes = UINT64_MAX - 1, .cpu_usec = UINT64_MAX - 1 },
};

static struct metrics_snapshot snapshot(void) {
        struct metrics_snapshot s = {
                .version = "1.2\"3\\4\n5",
                .instance = "sch\xc3\xb6n",
                .status = { .state = ARBITER_STATUS_RUNNING, .monitors = 3, .wanted = 9, .restarts = 7,
                                .dead_letters = 11 },
                .started_usec = 1700000000000001,
                .messages = 12,
                .loop_turns = 13,
                .cpu_usec = 1500000,
                .monitors = monitors,
                .n_monitors = ELEMENTSOF(monitors),
        };

        s.actors[ARBITER_STATE_RUNNING][ARBITER_CONCURRENCY_PROCESS] = 3;
        s.actors[ARBITER_STATE_CLOSED][ARBITER_CONCURRENCY_INLINE] = 1;
        s.deaths[ARBITER_REASON_EXIT_CODE] = 5;
        return s;
}

static void assert_lines(const char *text, const char *const *lines) {
        for (; *lines; lines++) {
                const char *at = strstr(text, *lines);

                if (!at || (at != text && at[-1] != '\n') || at[strlen(*lines)] != '\n')
                        fail_msg("no line '%s' in:\n%s", *lines, text);
        }
}

static void test_text(void **state) {
        static const char *const lines[] = {
                "arbiter_build_info{version=\"1.2\\\"3\\\\4\\n5\",arbiter_instance=\"sch\xc3\xb6n\"} 1",
                "arbiter_state{arbiter_state=\"running\"} 1",
                "arbiter_state{arbiter_state=\"stopping\"} 0",
                "arbiter_start_time_seconds 1700000000.000001",
                "# UNIT arbiter_start_time_seconds seconds",
                "arbiter_process_cpu_seconds_total 1.500000",
                "arbiter_loop_turns_total 13",
                "arbiter_actors{state=\"running\",concurrency=\"process\"} 3",
                "arbiter_actors{state=\"starting\",concurrency=\"process\"} 0",
                "arbiter_actors{state=\"closed\",concurrency=\"inline\"} 1",
                "arbiter_deaths_total{reason=\"exit-code\"} 5",
                "arbiter_deaths_total{reason=\"oom-kill\"} 0",
                "arbiter_monitor_workers{monitor=\"web\",state=\"backoff\"} 1",
                "arbiter_monitor_workers_wanted{monitor=\"web\"} 4",
                "arbiter_monitor_deaths_total{monitor=\"web\",reason=\"signal\"} 2",
                "arbiter_monitor_start_seconds_count{monitor=\"web\"} 10",
                "arbiter_monitor_start_seconds_sum{monitor=\"web\"} 1.234567",
                "arbiter_monitor_cpu_seconds_total{monitor=\"web\"} 60.000001",
                "arbiter_monitor_memory_bytes{monitor=\"web\"} 1048576",
                NULL,
        };
        struct metrics_snapshot s = snapshot();
        char *text;
        size_t n;

        assert_ok(metrics_format(&s, &text, &n));
        assert_int_equal(n, strlen(text));
        assert_string_equal(text + n - 7, "\n# EOF\n");
        assert_lines(text, lines);
        assert_null(strstr(text, "memory_bytes{monitor=\"quiet\"}")); /* not known is not 0 */
        assert_null(strstr(text, "deaths_total{monitor=\"quiet\""));
        free(text);
}

/* Whatever the program has done to its locale. */
static void test_locale(void **state) {
        static const char *const names[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "C" };
        struct metrics_snapshot s = snapshot();
        char *before, *text;
        size_t n;

        assert_ok(metrics_format(&s, &before, &n));
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                (void) setlocale(LC_ALL, names[i]);
                assert_ok(metrics_format(&s, &text, &n));
                assert_string_equal(text, before);
                free(text);
        }
        free(before);
}

/* The n-th allocation fails. */
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
static unsigned fail_at;

void *__wrap_realloc(void *p, size_t size) {
        return fail_at > 0 && --fail_at == 0 ? NULL : __real_realloc(p, size);
}

static void test_no_memory(void **state) {
        struct metrics_snapshot s = snapshot();
        char *text = NULL;
        unsigned n = 0;
        size_t size;
        int r;

        do {
                fail_at = ++n;
                r = metrics_format(&s, &text, &size);
                if (r < 0) {
                        assert_errno(r, ENOMEM);
                        assert_null(text);
                }
        } while (r < 0);
        fail_at = 0;
        assert_true(n > 2);
        assert_string_equal(text + size - 6, "# EOF\n");
        free(text);
}

static int print(void) {
        struct metrics_snapshot s = snapshot();
        char *text;
        size_t n;

        if (metrics_format(&s, &text, &n) < 0)
                return 1;
        (void) fwrite(text, 1, n, stdout);
        free(text);
        return 0;
}

int main(int argc, char **argv) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_locale),
                cmocka_unit_test(test_no_memory),
        };

        if (argc == 2 && streq(argv[1], "--print"))
                return print();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
