/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What settings of units become. That systemd understands the same by each, tests/integration/
 * test-unit-settings.py asks systemd itself; here is what it cannot show: what is refused, with which words,
 * and that then nothing has changed. */

#include "test-util.h"

#include <stdlib.h>

#include <arbiter/message.h>

#include "arbiter/unit-settings.h"
#include "wire/signature.h"

static unsigned fail_at; /* which allocation fails; 0: none */

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s) {
        return fail_at > 0 && --fail_at == 0 ? NULL : __real_strdup(s);
}

void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size) {
        return fail_at > 0 && --fail_at == 0 ? NULL : __real_reallocarray(p, n, size);
}

static void assign(struct unit_properties *p, const char *name, const char *value) {
        char *text = NULL;

        if (unit_properties_assign(p, name, value, &text) < 0)
                fail_msg("%s=%s: %s", name, value, text ? text : "no text");
        assert_null(text);
}

static void expect_refused(const char *name, const char *value, const char *expected) {
        struct unit_properties p = {};
        char *text = NULL;

        assert_errno(unit_properties_assign(&p, name, value, &text), EINVAL);
        assert_string_equal(text, expected);
        free(text);
        assert_errno(unit_properties_assign(&p, name, value, NULL), EINVAL);
        assert_int_equal(p.n, 0);
        unit_properties_done(&p);
}

static void test_examples(void **state) {
        struct unit_setting_info s;
        unsigned n = 0, n_refused = 0;

        for (unsigned i = 0; unit_setting_get(i, &s); i++) {
                struct unit_properties p = {};

                assert_true(!s.example == !!s.refusal);
                if (s.refusal) {
                        assert_errno(unit_properties_assign(&p, s.name, "1", NULL), EINVAL);
                        n_refused++;
                        continue;
                }
                assign(&p, s.name, s.example);
                assert_true(p.n > 0);
                for (size_t j = 0; j < p.n; j++) {
                        assert_true(signature_is_single(p.items[j].signature));
                        assert_string_equal(arbiter_message_get_signature(p.items[j].value),
                                        p.items[j].signature);
                }
                assign(&p, s.name, "");
                assert_int_equal(p.n, streq(s.name, "CapabilityBoundingSet") || streq(s.name, "Delegate"));
                unit_properties_done(&p);
                n++;
        }
        assert_true(n > 180);
        assert_true(n_refused > 30);
}

static void test_scalars_replace_and_lists_add(void **state) {
        struct unit_properties p = {};
        uint32_t scale;
        uint64_t t;

        assign(&p, "MemoryMax", "1G");
        assign(&p, "Environment", "A=1");
        assign(&p, "MemoryMax", "20%");
        assign(&p, "Environment", "B=2");
        assert_int_equal(p.n, 3);
        assert_string_equal(p.items[0].name, "Environment");
        assert_string_equal(p.items[1].name, "MemoryMaxScale");
        assert_true(arbiter_message_read(p.items[1].value, "u", &scale) > 0);
        assert_int_equal(scale, UINT32_MAX / 5);
        assign(&p, "MemoryMax", " 500M\t");
        assert_string_equal(p.items[2].name, "MemoryMax");
        assert_true(arbiter_message_read(p.items[2].value, "t", &t) > 0);
        assert_int_equal(t, 500 << 20);
        assign(&p, "Environment", "");
        assert_int_equal(p.n, 1);
        unit_properties_done(&p);
}

/* As in unit files: not that nothing was said, but that nothing is allowed. */
static void test_empty_values(void **state) {
        struct unit_properties p = {};
        uint64_t t;

        assign(&p, "CapabilityBoundingSet", "CAP_CHOWN");
        assign(&p, "CapabilityBoundingSet", "");
        assign(&p, "Delegate", "");
        assert_int_equal(p.n, 2);
        assert_true(arbiter_message_read(p.items[0].value, "t", &t) > 0);
        assert_int_equal(t, 0);
        assert_string_equal(p.items[1].name, "DelegateControllers");
        assert_true(arbiter_message_enter_container(p.items[1].value, 'a', "s") >= 0);
        assert_true(arbiter_message_at_end(p.items[1].value, false) > 0);
        unit_properties_done(&p);
}

static void test_sets_merge(void **state) {
        struct unit_properties p = {};
        const uint8_t *cpus;
        const void *v;
        size_t size;
        uint64_t t;

        assign(&p, "CapabilityBoundingSet", "CAP_CHOWN");
        assign(&p, "CapabilityBoundingSet", "cap_kill CAP_FOWNER");
        assign(&p, "CapabilityBoundingSet", "~CAP_FOWNER");
        assert_int_equal(p.n, 1);
        assert_true(arbiter_message_read(p.items[0].value, "t", &t) > 0);
        assert_int_equal(t, 1 | 1 << 5);
        assign(&p, "CPUAffinity", "0 2");
        assign(&p, "CPUAffinity", "9-10,1");
        assert_int_equal(p.n, 2);
        assert_true(arbiter_message_read_array(p.items[1].value, 'y', &v, &size) > 0);
        cpus = v;
        assert_int_equal(size, 2);
        assert_int_equal(cpus[0], 7);
        assert_int_equal(cpus[1], 6);
        unit_properties_done(&p);
}

static void test_refusals(void **state) {
        expect_refused("Restart", "always",
                       "Restart= would have two supervisors act on one process; write Restart= in section "
                       "[Actor].");
        expect_refused("User", "nobody", "User= is the arbiter's to know; write User= in section [Actor].");
        expect_refused("cpuweight", "1", "cpuweight= is not known; did you mean CPUWeight=?");
        expect_refused("CPUQouta", "20%", "CPUQouta= is not known; did you mean CPUQuota=?");
        expect_refused("", "1",
                       "= is not a setting of systemd.exec(5), systemd.resource-control(5) or "
                       "systemd.kill(5) that a unit can be given; remove it, or correct its name.");
        expect_refused("Nice", "20", "Nice=20 is not a whole number from -20 to 19.");
        expect_refused("ProtectSystem", "maybe", "ProtectSystem=maybe is not yes, no, full or strict.");
        expect_refused("SyslogLevel", "8",
                       "SyslogLevel=8 is not emerg, alert, crit, err, warning, notice, info, debug, or its "
                       "number.");
        expect_refused("KillSignal", "SIGFOO",
                       "KillSignal=SIGFOO is not a signal; write its name, for example KillSignal=SIGTERM.");
        expect_refused("UMask", "8", "UMask=8 is not an octal file mode; write for example UMask=0755.");
        expect_refused("CPUQuota", "20",
                       "CPUQuota=20 is not a percentage of one CPU; write for example CPUQuota=20%.");
        expect_refused("LimitNOFILE", "5:4",
                       "LimitNOFILE=5:4 is not SOFT:HARD with a soft limit that is at most the hard one.");
        expect_refused("ReadOnlyPaths", "/srv opt",
                       "ReadOnlyPaths=/srv opt is not a list of absolute paths, with or without - and + in "
                       "front: \"opt\".");
        expect_refused("Environment", "A=\"x", "Environment=A=\"x is not a list of words: a quote is opened "
                                               "and not closed.");
        expect_refused("LogExtraFields", "ARBITER_AID=x",
                        "LogExtraFields=ARBITER_AID=x is not free: fields that begin with ARBITER_ are set "
                        "by "
                        "the arbiter.");
        expect_refused("Documentation", "man:",
                       "Documentation=man: is not a list of URIs (http://, https://, file:/, info:, "
                       "man:): \"man:\".");
        expect_refused("ExecStartPre", "/bin/a ; /bin/b",
                       "ExecStartPre=/bin/a ; /bin/b is not one command; write a line for each.");
        expect_refused("Environment", "A=\n1", "Environment=A=\\x0a1 is not free of control characters; "
                                               "write them as escapes such as \\n.");
        expect_refused("Environment", "A=\xff", "Environment=A=\\xff is not valid UTF-8.");
}

static void test_a_long_value(void **state) {
        struct unit_properties p = {};
        char *value = malloc(70000), *text = NULL;

        assert_non_null(value);
        memset(value, 'x', 69999);
        value[69999] = 0;
        assert_errno(unit_properties_assign(&p, "SyslogIdentifier", value, &text), EINVAL);
        assert_non_null(strstr(text, "... is not short enough: it is over 64 KiB."));
        free(text);
        free(value);
}

static void test_without_memory(void **state) {
        struct unit_properties p = {}, copy = {};
        int r = -ENOMEM;

        assign(&p, "LimitNOFILE", "5:6");
        for (unsigned at = 1; r == -ENOMEM; at++) {
                fail_at = at;
                r = unit_properties_assign(&p, "LimitNOFILE", "7:8", NULL);
                fail_at = 0;
                assert_int_equal(p.n, 2);
        }
        assert_ok(r);
        r = -ENOMEM;
        for (unsigned at = 1; r == -ENOMEM; at++) {
                fail_at = at;
                r = unit_properties_copy(&p, &copy);
                fail_at = 0;
                assert_int_equal(copy.n, r < 0 ? 0 : 2);
        }
        assert_ok(r);
        unit_properties_done(&p);
        unit_properties_done(&copy);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_examples),
                cmocka_unit_test(test_scalars_replace_and_lists_add),
                cmocka_unit_test(test_empty_values),
                cmocka_unit_test(test_sets_merge),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_a_long_value),
                cmocka_unit_test(test_without_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
