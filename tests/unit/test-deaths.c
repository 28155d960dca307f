/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/arbiter/deaths: what is kept, what goes, and that it is bounded. */

#include "test-failing-calloc.h"

#include <stdio.h>

#include "arbiter/deaths.h"

static int set_up(void **state) {
        struct deaths *d;

        assert_ok(deaths_new(&d));
        *state = d;
        return 0;
}

static int tear_down(void **state) {
        deaths_free(*state);
        return 0;
}

static void add(struct deaths *d, const char *name, const char *monitor, unsigned n) {
        struct death death = { .when_usec = n, .reason = ARBITER_REASON_EXIT_CODE, .status = (int) (n % 3) };

        (void) snprintf(death.aid.s, sizeof(death.aid.s), "%08u", n);
        assert_ok(deaths_add(d, name, monitor, &death));
}

/* How many there are, and that they are newest first. */
static size_t count(const struct deaths *d, const char *target) {
        static struct death_view v[40000];
        size_t n = deaths_list(d, target, v, ELEMENTSOF(v));

        for (size_t i = 1; i < n; i++)
                assert_true(v[i - 1].when_usec > v[i].when_usec);
        return n;
}

static size_t kept(const struct deaths *d) {
        size_t bytes;

        return deaths_size(d, &bytes);
}

static void test_order(void **state) {
        struct deaths *d = *state;
        struct death_view v[3];

        assert_int_equal(count(d, ""), 0);
        assert_int_equal(count(d, "web.1"), 0);
        add(d, "web.1", "web", 1);
        add(d, "web.2", "web", 2);
        add(d, "clock", "", 3);
        add(d, "web.1", "web", 4);
        assert_int_equal(count(d, ""), 4);
        assert_int_equal(count(d, "web"), 3);
        assert_int_equal(count(d, "web.1"), 2);
        assert_int_equal(count(d, "clock"), 1);
        assert_int_equal(count(d, "00000002"), 1);
        assert_int_equal(count(d, "we"), 0);
        assert_int_equal(deaths_list(d, "", v, 2), 2); /* not more than fit */
        assert_int_equal(v[0].when_usec, 4);
        assert_string_equal(v[0].name, "web.1");
        assert_string_equal(v[0].monitor, "web");
        assert_string_equal(v[0].aid, "00000004");
        assert_int_equal(v[0].status, 1);
        assert_string_equal(v[1].monitor, "");
}

/* The last of all push older ones out, but not the last sixteen of a name that still is somebody's. */
static void test_bounds(void **state) {
        struct deaths *d = *state;

        for (unsigned i = 0; i < 40; i++)
                add(d, "rare.1", "rare", i);
        assert_int_equal(count(d, "rare.1"), 40); /* all are among the last thousand */
        for (unsigned i = 0; i < 3000; i++)
                add(d, "often.1", "often", 100 + i);
        assert_int_equal(count(d, ""), DEATHS_MAX);
        assert_int_equal(count(d, "often.1"), DEATHS_MAX);
        assert_int_equal(count(d, "rare.1"), DEATHS_PER_NAME);
        assert_int_equal(count(d, "00000039"), 1);
        assert_int_equal(count(d, "00000023"), 0);
        assert_int_equal(kept(d), DEATHS_MAX + DEATHS_PER_NAME);

        deaths_forget(d, "rare.1");
        assert_int_equal(count(d, "rare.1"), 0);
        assert_int_equal(kept(d), DEATHS_MAX);
        deaths_forget(d, "often.1"); /* these are recent */
        assert_int_equal(kept(d), DEATHS_MAX);
        deaths_forget(d, "nobody");
        for (unsigned i = 0; i < DEATHS_MAX; i++)
                add(d, "new", "", 10000 + i);
        assert_int_equal(count(d, "often.1"), 0);
        assert_int_equal(kept(d), DEATHS_MAX);

        /* A name that lives again after that. */
        add(d, "often.1", "often", 20000);
        assert_int_equal(count(d, "often.1"), 1);
}

static void test_forget_monitor(void **state) {
        struct deaths *d = *state;
        size_t before, after;
        char name[32];

        (void) deaths_size(d, &before);
        for (unsigned i = 0; i < 100 * 20; i++) {
                (void) snprintf(name, sizeof(name), "pool.%u", i % 100 + 1);
                add(d, name, "pool", i);
        }
        for (unsigned i = 0; i < DEATHS_MAX; i++)
                add(d, "other", "", 3000 + i);
        assert_int_equal(count(d, "pool"), 100 * DEATHS_PER_NAME);
        assert_int_equal(kept(d), DEATHS_MAX + 100 * DEATHS_PER_NAME);
        deaths_forget_monitor(d, "pool");
        assert_int_equal(count(d, "pool"), 0);
        assert_int_equal(kept(d), DEATHS_MAX);
        deaths_forget_monitor(d, ""); /* of lone ones: recent, so nothing goes */
        assert_int_equal(kept(d), DEATHS_MAX);
        (void) deaths_size(d, &after);
        assert_true(after - before < DEATHS_MAX * (size_t) 200);
}

/* A thousand names, none of which lives again: no name is left without a death. */
static void test_many_names(void **state) {
        struct deaths *d = *state;
        size_t first = 0, bytes;
        char name[32];

        for (unsigned i = 0; i < 20000; i++) {
                (void) snprintf(name, sizeof(name), "lone-%05u", i);
                add(d, name, "", i);
                deaths_forget(d, name);
                if (i == 5000)
                        (void) deaths_size(d, &first);
        }
        assert_int_equal(deaths_size(d, &bytes), DEATHS_MAX);
        assert_int_equal(bytes, first);
        assert_true(bytes < 256 * 1024);
}

static void test_alike(void **state) {
        struct deaths *d = *state;

        assert_int_equal(deaths_alike(d, "w"), 0);
        add(d, "w", "", 1);
        add(d, "w", "", 3);
        add(d, "w", "", 6);
        add(d, "w", "", 9);
        assert_int_equal(deaths_alike(d, "w"), 3);
        add(d, "w", "", 10);
        assert_int_equal(deaths_alike(d, "w"), 1);
}

/* What cannot be remembered is not, and all else is as it was. */
static void test_no_memory(void **state) {
        struct death death = { .when_usec = 9, .aid.s = "99999999" };
        struct deaths *d = *state;
        unsigned n = 0;
        int r;

        add(d, "web.1", "web", 1);
        do {
                failing_calloc = ++n;
                r = deaths_add(d, "web.2", "web", &death);
                failing_calloc = 0;
                if (r < 0) {
                        assert_errno(r, ENOMEM);
                        assert_int_equal(count(d, "web"), 1);
                        assert_int_equal(count(d, "web.2"), 0);
                }
        } while (r < 0);
        assert_true(n > 2);
        assert_int_equal(count(d, "web"), 2);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_forget_monitor, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_many_names, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_alike, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
