/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arbiterctl/output.h"
#include "test-util.h"

struct text {
        char *s;
        size_t size;
        FILE *f;
        struct json j;
};

static void text_open(struct text *t, enum json_mode mode) {
        t->f = open_memstream(&t->s, &t->size);
        assert_non_null(t->f);
        json_init(&t->j, t->f, mode);
}

static void assert_text(struct text *t, const char *expected) {
        (void) fclose(t->f);
        assert_string_equal(t->s, expected);
        free(t->s);
}

static void write_sample(struct json *j) {
        json_open(j, '[');
        json_open(j, '{');
        json_key_string(j, "name", "web");
        json_key_u64(j, "n", UINT64_MAX);
        json_key(j, "empty");
        json_open(j, '[');
        json_close(j, ']');
        json_close(j, '}');
        json_i64(j, INT64_MIN);
        json_bool(j, true);
        json_null(j);
        json_close(j, ']');
        json_end(j);
}

static void test_json_short(void **state) {
        struct text t = {};

        text_open(&t, JSON_SHORT);
        write_sample(&t.j);
        assert_text(&t, "[{\"name\":\"web\",\"n\":18446744073709551615,\"empty\":[]},-9223372036854775808,"
                        "true,null]\n");
}

static void test_json_pretty(void **state) {
        struct text t = {};

        text_open(&t, JSON_PRETTY);
        write_sample(&t.j);
        assert_text(&t, "[\n\t{\n\t\t\"name\" : \"web\",\n\t\t\"n\" : 18446744073709551615,\n\t\t\"empty\" "
                        ": []\n\t},\n"
                        "\t-9223372036854775808,\n\ttrue,\n\tnull\n]\n");
}

static void test_json_escapes(void **state) {
        struct text t = {};

        text_open(&t, JSON_SHORT);
        json_string(&t.j, "a\"b\\c\n\t\x01\x7f\x1b[31m é\xc2\x9b/");
        assert_text(&t, "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\\u001b[31m é\\u009b/\"");
        text_open(&t, JSON_SHORT);
        json_string(&t.j, NULL);
        assert_text(&t, "null");
        text_open(&t, JSON_SHORT);
        json_open(&t.j, '{');
        json_key_string(&t.j, "\"\n", "");
        json_close(&t.j, '}');
        assert_text(&t, "{\"\\\"\\n\":\"\"}");
}

static void test_json_double(void **state) {
        static const struct {
                double d;
                const char *text;
        } cases[] = {
                { 0.1, "0.1" },
                { 1, "1" },
                { -2.5e300, "-2.5e+300" },
                { 1.0 / 3, "0.3333333333333333" },
                { __builtin_inf(), "null" },
                { __builtin_nan(""), "null" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct text t = {};

                text_open(&t, JSON_SHORT);
                json_double(&t.j, cases[i].d);
                assert_text(&t, cases[i].text);
        }
}

static void test_json_mode(void **state) {
        enum json_mode m = JSON_PRETTY;

        assert_ok(json_mode_from_string("off", &m));
        assert_int_equal(m, JSON_OFF);
        assert_ok(json_mode_from_string("short", &m));
        assert_int_equal(m, JSON_SHORT);
        assert_errno(json_mode_from_string("", &m), EINVAL);
        assert_errno(json_mode_from_string("Pretty", &m), EINVAL);
        assert_int_equal(m, JSON_SHORT);
}

static void test_snake_case(void **state) {
        static const char *const cases[][2] = {
                { "AID", "aid" },
                { "Name", "name" },
                { "MemoryBytes", "memory_bytes" },
                { "CPUUsec", "cpu_usec" },
                { "NActors", "n_actors" },
                { "PID", "pid" },
                { "", "" },
                { "already_small", "already_small" },
        };
        char buffer[64];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(snake_case(cases[i][0], buffer, sizeof(buffer)), cases[i][1]);
        assert_true(strlen(snake_case("AVeryLongNameIndeed", buffer, 8)) < 8);
}

static void test_duration(void **state) {
        static const struct {
                usec_t t;
                const char *text;
        } cases[] = {
                { 999 * USEC_PER_MSEC, "999.0ms" },
                { 1500, "1.5ms" },
                { 1500 * USEC_PER_MSEC, "1.5s" },
                { 59 * USEC_PER_SEC, "59s" },
                { 60 * USEC_PER_SEC, "1min" },
                { 303 * USEC_PER_SEC, "5min 3s" },
                { 3600 * USEC_PER_SEC, "1h" },
                { 7620 * USEC_PER_SEC, "2h 7min" },
                { 86400 * 3 * USEC_PER_SEC + 4 * 3600 * USEC_PER_SEC, "3d 4h" },
                { USEC_INFINITY, "infinity" },
        };
        char buffer[DURATION_STRING_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(format_duration(buffer, cases[i].t), cases[i].text);
        /* The longest there is must fit. */
        assert_non_null(strstr(format_duration(buffer, USEC_INFINITY - 1), "d "));
}

static void test_bytes(void **state) {
        static const struct {
                uint64_t n;
                const char *text;
        } cases[] = {
                { 0, "0B" },
                { 1023, "1023B" },
                { 1024, "1K" },
                { 1536, "1.5K" },
                { 100 * 1024 + 512, "100K" },
                { 1024 * 1024 - 1, "1023K" },
                { 1024 * 1024, "1M" },
                { UINT64_C(5) << 30, "5G" },
                { UINT64_MAX - 1, "15.9E" },
                { UINT64_MAX, "-" },
        };
        char buffer[BYTES_STRING_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(format_bytes(buffer, cases[i].n), cases[i].text);
}

/* Before output_init(), and without a terminal, there are no colours and nothing but ASCII. */
static void test_plain(void **state) {
        for (enum colour c = COLOUR_NORMAL; c <= COLOUR_BOLD; c++)
                assert_string_equal(colour(c), "");
        for (enum glyph g = GLYPH_DOT; g <= GLYPH_USEC; g++)
                for (const char *s = glyph(g); *s; s++)
                        assert_true(*s > 0);
        assert_int_equal(state_colour("running"), COLOUR_GREEN);
        assert_int_equal(state_colour("failed"), COLOUR_RED);
        assert_int_equal(state_colour("starting"), COLOUR_YELLOW);
        assert_int_equal(state_colour("stopped"), COLOUR_GREY);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_json_short),   cmocka_unit_test(test_json_pretty),
                cmocka_unit_test(test_json_escapes), cmocka_unit_test(test_json_double),
                cmocka_unit_test(test_json_mode),    cmocka_unit_test(test_snake_case),
                cmocka_unit_test(test_duration),     cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_plain),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
