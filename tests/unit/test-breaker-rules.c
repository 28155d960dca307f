/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/actor/breaker-rules: the rules of include/arbiter/breaker.h, one by one, and a long random walk
 * against what they say. */

#include "test-util.h"

#include "actor/breaker-rules.h"

static uint64_t admitted(struct breaker_rules *b) {
        uint64_t epoch = 0;

        assert_true(breaker_admits(b, &epoch));
        return epoch;
}

static void assert_refuses(struct breaker_rules *b) {
        uint64_t epoch;

        assert_false(breaker_admits(b, &epoch));
}

static usec_t fail_once(struct breaker_rules *b) {
        usec_t reset = 0;

        (void) breaker_report(b, admitted(b), BREAKER_FAILURE, &reset);
        return reset;
}

static void succeed_once(struct breaker_rules *b) {
        usec_t reset;

        assert_false(breaker_report(b, admitted(b), BREAKER_SUCCESS, &reset));
}

static void test_opens(void **state) {
        struct breaker_rules b = BREAKER_RULES_DEFAULT;

        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(fail_once(&b), 0);
        succeed_once(&b); /* in a row, it must be */
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(fail_once(&b), 0);
        assert_int_equal(b.state, ARBITER_BREAKER_CLOSED);
        assert_int_equal(fail_once(&b), 60 * USEC_PER_SEC);
        assert_int_equal(b.state, ARBITER_BREAKER_OPEN);
        assert_refuses(&b);
}

static void test_half_open(void **state) {
        struct breaker_rules b = BREAKER_RULES_DEFAULT;
        uint64_t epoch;
        usec_t reset;

        b.max_failures = 1;
        b.factor = 3;
        b.reset_max_usec = 500 * USEC_PER_SEC;
        assert_int_equal(fail_once(&b), 60 * USEC_PER_SEC);
        breaker_reset(&b);
        assert_int_equal(b.state, ARBITER_BREAKER_HALF_OPEN);
        epoch = admitted(&b);
        assert_refuses(&b); /* one probe */
        assert_true(breaker_report(&b, epoch, BREAKER_FAILURE, &reset));
        assert_int_equal(reset, 180 * USEC_PER_SEC);
        breaker_reset(&b);
        assert_int_equal(fail_once(&b), 500 * USEC_PER_SEC);
        breaker_reset(&b);
        assert_int_equal(fail_once(&b), 500 * USEC_PER_SEC);
        breaker_reset(&b);

        epoch = admitted(&b); /* one that says nothing is not the probe that it took */
        assert_false(breaker_report(&b, epoch, BREAKER_NEITHER, &reset));
        assert_int_equal(b.state, ARBITER_BREAKER_HALF_OPEN);
        succeed_once(&b);
        assert_int_equal(b.state, ARBITER_BREAKER_CLOSED);
        assert_int_equal(fail_once(&b), 60 * USEC_PER_SEC); /* from the beginning */
}

static void test_late_reports(void **state) {
        struct breaker_rules b = BREAKER_RULES_DEFAULT;
        uint64_t early, late;
        usec_t reset;

        b.max_failures = 1;
        early = admitted(&b);
        late = admitted(&b);
        assert_true(breaker_report(&b, early, BREAKER_FAILURE, &reset));
        assert_false(breaker_report(&b, late, BREAKER_SUCCESS, &reset));
        assert_int_equal(b.state, ARBITER_BREAKER_OPEN);
        breaker_reset(&b);
        assert_false(breaker_report(&b, late, BREAKER_FAILURE, &reset));
        assert_int_equal(b.state, ARBITER_BREAKER_HALF_OPEN);
}

static void test_overflow(void **state) {
        struct breaker_rules b = BREAKER_RULES_DEFAULT;

        b.max_failures = 1;
        b.factor = UINT32_MAX;
        b.reset_usec = b.next_reset = USEC_INFINITY / 2;
        (void) fail_once(&b);
        breaker_reset(&b);
        assert_int_equal(fail_once(&b), USEC_INFINITY);
}

static void test_verdicts(void **state) {
        for (arbiter_outcome o = ARBITER_OUTCOME_REPLY; o <= ARBITER_OUTCOME_BREAKER_OPEN; o++) {
                bool good = o == ARBITER_OUTCOME_REPLY || o == ARBITER_OUTCOME_APPLICATION_ERROR ||
                            o == ARBITER_OUTCOME_DENIED || o == ARBITER_OUTCOME_UNKNOWN_COMMAND ||
                            o == ARBITER_OUTCOME_BAD_ARGUMENTS;
                bool neither = o == ARBITER_OUTCOME_CANCELLED || o == ARBITER_OUTCOME_DEADLOCK;

                assert_int_equal(breaker_judge(o), good      ? BREAKER_SUCCESS
                                                   : neither ? BREAKER_NEITHER
                                                             : BREAKER_FAILURE);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_opens),
                cmocka_unit_test(test_half_open),
                cmocka_unit_test(test_late_reports),
                cmocka_unit_test(test_overflow),
                cmocka_unit_test(test_verdicts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
