/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/bus/pace.h: whose turn it is while a flood comes in. */

#include "test-util.h"

#include "bus/pace.h"

enum { LONG = 2 * PACE_FLOOD };

static usec_t now = 1000 * USEC_PER_SEC;

/* Who has few waits for nobody. */
static void test_few(void **state) {
        struct pace p = {};

        pace_read(&p, LONG, now);
        pace_dispatched(&p, LONG, now, now + 5000);
        for (unsigned n = 0; n <= PACE_FEW; n++) {
                assert_int_equal(pace_due(&p, n, true, now), 0);
                pace_dispatched(&p, n, now, now + 70000);
        }
        assert_int_equal(p.turn_usec, now + 5000 + PACE_SHARE * 5000);
}

/* Many, but no flood: while there is more to read they have their share, and then all of the time. */
static void test_many(void **state) {
        struct pace p = {};

        pace_read(&p, PACE_FLOOD, now);
        assert_int_equal(pace_due(&p, PACE_FLOOD, false, now), 0);
        assert_true(pace_due(&p, PACE_FLOOD, true, now) <= now);
        pace_dispatched(&p, PACE_FLOOD, now, now + 100);
        assert_int_equal(pace_due(&p, PACE_FLOOD, true, now + 100), now + 100 + PACE_SHARE * 100);
        assert_int_equal(pace_due(&p, PACE_FEW + 1, true, now + 100), now + 100 + PACE_SHARE * 100);
        assert_int_equal(pace_due(&p, PACE_FLOOD, false, now + 100), 0);
}

/* A flood also waits between two readings, until nothing has come for a moment; and it does not starve. */
static void test_flood(void **state) {
        struct pace p = {};
        usec_t took = PACE_QUIET_USEC / 10, spent = 0, t;

        pace_read(&p, PACE_FLOOD + 1, now);
        pace_dispatched(&p, PACE_FLOOD + 1, now, now + took);
        assert_int_equal(pace_due(&p, LONG, false, now + took), now + PACE_QUIET_USEC);
        assert_int_equal(pace_due(&p, LONG, true, now + took), now + took + PACE_SHARE * took);
        assert_int_equal(pace_due(&p, LONG, false, now + PACE_QUIET_USEC), 0);

        for (t = now; t < now + USEC_PER_SEC; t += 100) {
                pace_read(&p, LONG, t);
                if (pace_due(&p, LONG, false, t) > t)
                        continue;
                pace_dispatched(&p, LONG, t, t + 100);
                spent += 100;
                t += 100;
        }
        assert_in_range(spent, USEC_PER_SEC / (PACE_SHARE + 4), USEC_PER_SEC / PACE_SHARE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_few),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_flood),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
