/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* encode.c: what is written comes back as the same state, and no bytes whatever do harm. */

#include "test-util.h"

#include "supervise/pool.h"

static void pull(supervise *s) {
        supervise_action a;

        while (supervise_next_action(s, &a))
                ;
}

static void feed(supervise *s, nsec_t now, supervise_event e) {
        assert_ok(supervise_handle(s, &e, now));
        pull(s);
}

static uint64_t generation_of(const supervise *s, uint32_t slot) {
        supervise_slot_info i;

        assert_ok(supervise_get_slot(s, slot, &i));
        return i.generation;
}

static void report(supervise *s, nsec_t now, supervise_event_type type, uint32_t slot) {
        feed(s, now, (supervise_event){ .type = type, .slot = slot, .generation = generation_of(s, slot) });
}

/* A pool with a slot in nearly every state, in the middle of a roll, with a free number. */
static supervise *busy_pool(void) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        supervise *s;

        assert_ok(supervise_new(&p, 6, 1, 3, &s));
        feed(s, 100, (supervise_event){ .type = SUPERVISE_START });
        for (uint32_t i = 1; i <= 5; i++)
                report(s, 200, SUPERVISE_STARTED, i);
        feed(s, 210, (supervise_event){ .type = SUPERVISE_SCALE, .n = 5 });
        report(s, 220, SUPERVISE_EXITED, 1);
        report(s, 300, SUPERVISE_EXITED, 2);
        report(s, 400, SUPERVISE_START_FAILED, 2);
        feed(s, 500, (supervise_event){ .type = SUPERVISE_STOP_CHILD, .slot = 3 });
        report(s, 600, SUPERVISE_EXITED, 3);
        feed(s, 700, (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED, .revision = 2 });
        return s;
}

static supervise *escalating_children(void) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        supervise *s;

        p.strategy = SUPERVISE_ONE_FOR_ONE;
        p.escalate = true;
        p.intensity = 2;
        assert_ok(supervise_new(&p, 0, 1, 3, &s));
        feed(s, 1, (supervise_event){ .type = SUPERVISE_START });
        for (uint32_t i = 0; i < 3; i++)
                feed(s, 2, (supervise_event){ .type = SUPERVISE_ADD_CHILD, .restart = i, .revision = i });
        for (uint32_t i = 1; i <= 3; i++)
                report(s, 200, SUPERVISE_STARTED, i);
        report(s, 300, SUPERVISE_EXITED, 1);
        report(s, 400, SUPERVISE_START_FAILED, 1);
        report(s, 500, SUPERVISE_EXITED, 2);
        return s;
}

static supervise *down_pool(void) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        supervise *s;

        assert_ok(supervise_new(&p, 2, 1, 3, &s));
        return s;
}

static supervise *(*const makers[])(void) = { busy_pool, escalating_children, down_pool };

static void assert_same(const supervise *a, const supervise *b) {
        supervise_info x, y;

        supervise_get_info(a, &x);
        supervise_get_info(b, &y);
        assert_memory_equal(&x.n, &y.n, sizeof(x.n));
        assert_int_equal(x.phase, y.phase);
        assert_int_equal(x.n_wanted, y.n_wanted);
        assert_int_equal(x.rolling, y.rolling);
        assert_true(x.due == y.due && x.revision == y.revision && x.outdated == y.outdated);
        for (uint32_t i = 1; i <= x.slot_max; i++) {
                supervise_slot_info m = {}, n = {};
                nsec_t s[8], t[8];

                assert_int_equal(supervise_get_slot(a, i, &m), supervise_get_slot(b, i, &n));
                assert_int_equal(m.state, n.state);
                assert_true(m.generation == n.generation && m.until == n.until && m.restarts == n.restarts);
                assert_int_equal(supervise_failures(a, i, s, 8), supervise_failures(b, i, t, 8));
                assert_memory_equal(s, t, MIN(m.n_failures, 8U) * sizeof(nsec_t));
        }
}

static void test_round_trip(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(makers); i++) {
                _cleanup_(supervise_freep) supervise *s = makers[i](), *t = NULL;
                _cleanup_free_ uint8_t *a = NULL, *b = NULL;
                size_t a_size, b_size;

                assert_ok(supervise_encode(s, &a, &a_size));
                assert_ok(supervise_decode(a, a_size, &t));
                assert_same(s, t);
                assert_ok(supervise_encode(t, &b, &b_size));
                assert_int_equal(a_size, b_size);
                assert_memory_equal(a, b, a_size);
        }
}

static void test_unpulled(void **state) {
        _cleanup_(supervise_freep) supervise *s = down_pool();
        supervise_event e = { .type = SUPERVISE_START };
        uint8_t *data;
        size_t size;

        assert_ok(supervise_handle(s, &e, 1));
        assert_errno(supervise_encode(s, &data, &size), EBUSY);
        pull(s);
        assert_ok(supervise_encode(s, &data, &size));
        free(data);
}

/* Whatever was accepted must take events and end a stop like any other state. */
static void exercise(supervise *s) {
        supervise_info info;

        pull(s);
        supervise_get_info(s, &info);
        (void) supervise_handle(s, &(supervise_event){ .type = SUPERVISE_TICK }, INT64_MAX);
        pull(s);
        (void) supervise_handle(s, &(supervise_event){ .type = SUPERVISE_SCALE, .n = 3 }, 0);
        pull(s);
        feed(s, 0, (supervise_event){ .type = SUPERVISE_STOP });
        for (uint32_t round = 0; round <= info.slot_max + 8; round++)
                for (uint32_t i = 1; i <= info.slot_max + 8; i++) {
                        supervise_slot_info slot;

                        if (supervise_get_slot(s, i, &slot) < 0 || slot.state != SUPERVISE_SLOT_STOPPING)
                                continue;
                        report(s, 0, SUPERVISE_EXITED, i);
                }
        supervise_get_info(s, &info);
        assert_int_equal(info.phase, SUPERVISE_PHASE_DOWN);
        assert_true(info.due == NSEC_INFINITY);
}

/* Returns whether the bytes were accepted. They lie in memory of exactly their size, so that ASan sees a
 * byte more. */
static bool offer(const uint8_t *data, size_t size) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        _cleanup_free_ uint8_t *exact = malloc(MAX(size, 1U));
        int r;

        assert_non_null(exact);
        memcpy(exact, data, size);
        r = supervise_decode(exact, size, &s);
        if (r >= 0)
                exercise(s);
        else if (r != -EPROTONOSUPPORT && r != -ENOMEM)
                assert_errno(r, EBADMSG);
        return r >= 0;
}

static void test_truncated(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(makers); i++) {
                _cleanup_(supervise_freep) supervise *s = makers[i]();
                _cleanup_free_ uint8_t *data = NULL, *longer = NULL;
                size_t size;

                assert_ok(supervise_encode(s, &data, &size));
                for (size_t n = 0; n < size; n++)
                        assert_false(offer(data, n));
                longer = calloc(1, size + 1);
                assert_non_null(longer);
                memcpy(longer, data, size);
                assert_false(offer(longer, size + 1));
                assert_true(offer(longer, size));
        }
}

static void test_every_byte_flipped(void **state) {
        unsigned refused = 0;

        for (size_t i = 0; i < ELEMENTSOF(makers); i++) {
                _cleanup_(supervise_freep) supervise *s = makers[i]();
                _cleanup_free_ uint8_t *data = NULL;
                size_t size;

                assert_ok(supervise_encode(s, &data, &size));
                for (size_t at = 0; at < size; at++)
                        for (unsigned value = 0; value < 256; value++) {
                                uint8_t right = data[at];

                                data[at] = (uint8_t) value;
                                if (!offer(data, size)) {
                                        assert_int_not_equal(value, right);
                                        refused++;
                                }
                                data[at] = right;
                        }
        }
        assert_true(refused > 1000);
}

static void test_version(void **state) {
        _cleanup_(supervise_freep) supervise *s = down_pool(), *t = NULL;
        _cleanup_free_ uint8_t *data = NULL;
        size_t size;

        assert_ok(supervise_encode(s, &data, &size));
        data[4]++;
        assert_errno(supervise_decode(data, size, &t), EPROTONOSUPPORT);
        data[0]++;
        assert_errno(supervise_decode(data, size, &t), EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_unpulled),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_every_byte_flipped),
                cmocka_unit_test(test_version),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
