/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* encode.c: what is written comes back as the same state, and no bytes whatever do harm. */

#include "test-util.h"

#include "supervise/supervise.h"

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

/* One for all, in the middle of being taken down by one that failed. */
static supervise *falling_group(void) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        supervise *s;

        p.strategy = SUPERVISE_ONE_FOR_ALL;
        p.escalate = p.ordered = true;
        p.auto_shutdown = SUPERVISE_AUTO_SHUTDOWN_ALL;
        assert_ok(supervise_new(&p, 0, 1, 3, &s));
        for (uint32_t i = 0; i < 3; i++)
                feed(s, 2, (supervise_event){ .type = SUPERVISE_ADD_CHILD,
                                              .restart = i,
                                              .significant = i == 1,
                                              .before = i > 0,
                                              .shutdown = i });
        feed(s, 3, (supervise_event){ .type = SUPERVISE_START, .generation = 9 });
        report(s, 200, SUPERVISE_STARTED, 2); /* the order is 2, 3, 1 */
        report(s, 250, SUPERVISE_STARTED, 3);
        report(s, 300, SUPERVISE_EXITED, 2);
        return s;
}

/* A pool that uses all there is: rolled with a third definition waiting, drained, to be recycled, and its
 * breaker open. */
static supervise *rich_pool(void) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        supervise *s;

        p.max_surge = 2;
        p.readiness = true;
        p.drain = NSEC_PER_SEC;
        p.runtime_max = 1000;
        p.requests_max = p.memory_max = 5000;
        p.recycle_spread = 10;
        p.workers_min = 2;
        p.workers_max = 5;
        p.scale_up = 80;
        p.scale_down = 20;
        p.scale_up_after = p.scale_down_after = 100;
        p.breaker_failures = 2;
        p.breaker_period = p.breaker_min = p.breaker_max = 10000;
        assert_ok(supervise_new(&p, 4, 1, 3, &s));
        feed(s, 100, (supervise_event){ .type = SUPERVISE_START });
        for (uint32_t i = 1; i <= 4; i++) {
                report(s, 200, SUPERVISE_STARTED, i);
                feed(s, 200, (supervise_event){ .type = SUPERVISE_READY,
                                                .slot = i,
                                                .generation = generation_of(s, i),
                                                .ok = true });
                feed(s, 210, (supervise_event){ .type = SUPERVISE_LOAD,
                                                .slot = i,
                                                .generation = generation_of(s, i),
                                                .n = 1 });
        }
        feed(s, 400, (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED, .revision = 2 });
        report(s, 500, SUPERVISE_STARTED, 5);
        feed(s, 500, (supervise_event){ .type = SUPERVISE_READY,
                                        .slot = 5,
                                        .generation = generation_of(s, 5),
                                        .ok = true });
        feed(s, 600, (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED, .revision = 3 });
        report(s, 650, SUPERVISE_RECYCLE, 4);
        report(s, 700, SUPERVISE_EXITED, 2);
        report(s, 700, SUPERVISE_EXITED, 3);
        return s;
}

/* A roll that waits for one that does not get ready; late: for too long. */
static supervise *slow_pool(nsec_t late) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        supervise *s;

        p.max_surge = 1;
        p.max_unavailable = 0;
        p.readiness = true;
        p.min_ready = 50;
        p.progress_deadline = 1000;
        assert_ok(supervise_new(&p, 1, 1, 3, &s));
        feed(s, 100, (supervise_event){ .type = SUPERVISE_START });
        report(s, 200, SUPERVISE_STARTED, 1);
        feed(s, 200, (supervise_event){ .type = SUPERVISE_READY, .slot = 1, .generation = 1, .ok = true });
        feed(s, 300, (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED, .revision = 2 });
        report(s, 400, SUPERVISE_STARTED, 2);
        feed(s, 400 + late, (supervise_event){ .type = SUPERVISE_TICK });
        return s;
}
static supervise *waiting_pool(void) {
        return slow_pool(0);
}
static supervise *overdue_pool(void) {
        return slow_pool(900);
}

static supervise *(*const makers[])(void) = { busy_pool, escalating_children, falling_group, rich_pool,
                down_pool, waiting_pool, overdue_pool };

static void assert_same(const supervise *a, const supervise *b) {
        supervise_info x, y;

        supervise_get_info(a, &x);
        supervise_get_info(b, &y);
        assert_memory_equal(&x.n, &y.n, sizeof(x.n));
        assert_int_equal(x.phase, y.phase);
        assert_int_equal(x.n_wanted, y.n_wanted);
        assert_int_equal(x.rolling, y.rolling);
        assert_true(x.due == y.due && x.revision == y.revision && x.outdated == y.outdated);
        assert_true(x.roll_awaits == y.roll_awaits && x.roll_until == y.roll_until);
        assert_int_equal(x.roll_overdue, y.roll_overdue);
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

#define SLOTS 16U

/* What the journal holds of a set. */
struct image {
        uint8_t head[SUPERVISE_ENCODED_MAX], slots[SLOTS + 1][SUPERVISE_ENCODED_MAX];
        size_t head_size, slot_sizes[SLOTS + 1];
};

static void save(supervise *s, struct image *image) {
        uint32_t number;

        while (supervise_next_dirty(s, &number)) {
                uint8_t *to = number > 0 ? image->slots[number] : image->head;
                int r;

                assert_true(number <= SLOTS);
                r = number > 0 ? supervise_encode_slot(s, number, to, SUPERVISE_ENCODED_MAX) :
                                 supervise_encode_head(s, to, SUPERVISE_ENCODED_MAX);
                assert_ok(r);
                *(number > 0 ? image->slot_sizes + number : &image->head_size) = (size_t) r;
        }
        assert_false(supervise_is_dirty(s));
}

/* In memory of exactly its size, so that ASan sees a byte more. */
static uint8_t *exact(const uint8_t *data, size_t size) {
        uint8_t *copy = malloc(MAX(size, 1U));

        assert_non_null(copy);
        memcpy(copy, data, size);
        return copy;
}

static int load(const struct image *image, supervise **ret) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        _cleanup_free_ uint8_t *head = exact(image->head, image->head_size);
        int r;

        r = supervise_decode_begin(head, image->head_size, &s);
        for (uint32_t i = 1; r >= 0 && i <= SLOTS; i++) {
                _cleanup_free_ uint8_t *slot = exact(image->slots[i], image->slot_sizes[i]);

                if (image->slot_sizes[i] > 0)
                        r = supervise_decode_slot(s, i, slot, image->slot_sizes[i]);
        }
        if (r >= 0)
                r = supervise_decode_finish(s);
        if (r >= 0)
                *ret = TAKE_PTR(s);
        return r;
}

static void test_round_trip(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(makers); i++) {
                _cleanup_(supervise_freep) supervise *s = makers[i](), *t = NULL;
                struct image a = {}, b = {};

                assert_true(supervise_is_dirty(s));
                save(s, &a);
                assert_ok(load(&a, &t));
                assert_same(s, t);
                assert_false(supervise_is_dirty(t));
                supervise_mark_all(t);
                save(t, &b);
                assert_memory_equal(&a, &b, sizeof(a));
        }
}

/* Only what an event has touched is written again, and what does not exist any more has no entry. */
static void test_dirty(void **state) {
        _cleanup_(supervise_freep) supervise *s = busy_pool();
        uint8_t buffer[SUPERVISE_ENCODED_MAX];
        struct image image = {};
        uint32_t number;
        size_t sizes[SLOTS + 1];

        save(s, &image);
        assert_int_equal(image.slot_sizes[1], 0); /* left when it was scaled down */
        report(s, 800, SUPERVISE_EXITED, 6);
        assert_true(supervise_next_dirty(s, &number) && number == 6);
        assert_true(supervise_next_dirty(s, &number) && number == 0);
        assert_false(supervise_next_dirty(s, &number));

        memcpy(sizes, image.slot_sizes, sizeof(sizes));
        for (size_t n = 0; n < sizes[2]; n++)
                assert_errno(supervise_encode_slot(s, 2, buffer, n), ENOBUFS);
        for (size_t n = 0; n < image.head_size; n++)
                assert_errno(supervise_encode_head(s, buffer, n), ENOBUFS);
        assert_int_equal(supervise_encode_slot(s, 0, buffer, sizeof(buffer)), 0);
        assert_int_equal(supervise_encode_slot(s, 999, buffer, sizeof(buffer)), 0);
}

/* Pending actions are no state: they come again from what they have led to. */
static void test_resume(void **state) {
        _cleanup_(supervise_freep) supervise *s = down_pool(), *t = NULL;
        supervise_event e = { .type = SUPERVISE_START };
        supervise_action a;
        struct image image = {};

        assert_ok(supervise_handle(s, &e, 1));
        save(s, &image);
        assert_ok(load(&image, &t));
        assert_false(supervise_next_action(t, &a));
        supervise_resume(t);
        for (uint32_t i = 1; i <= 2; i++) {
                assert_true(supervise_next_action(t, &a));
                assert_true(a.type == SUPERVISE_ACTION_SPAWN && a.slot == i && a.generation == i);
        }
        assert_false(supervise_next_action(t, &a)); /* the first starts have had no outcome yet */
        report(t, 2, SUPERVISE_STARTED, 1);
        report(t, 2, SUPERVISE_STARTED, 2);
        supervise_resume(t);
        assert_true(supervise_next_action(t, &a) && a.type == SUPERVISE_ACTION_STARTED_ALL);
        report(t, 3, SUPERVISE_EXITED, 1);
        report(t, 3, SUPERVISE_EXITED, 1);
        supervise_resume(t);
        while (supervise_next_action(t, &a) && a.type != SUPERVISE_ACTION_ARM)
                ;
        assert_int_equal(a.type, SUPERVISE_ACTION_ARM);
        feed(t, 4, (supervise_event){ .type = SUPERVISE_STOP });
        supervise_resume(t);
        assert_true(supervise_next_action(t, &a) && a.type == SUPERVISE_ACTION_STOP && a.slot == 2);
        assert_false(supervise_next_action(t, &a));
        report(t, 5, SUPERVISE_EXITED, 2);
        supervise_resume(t);
        assert_true(supervise_next_action(t, &a) && a.type == SUPERVISE_ACTION_STOPPED);
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
        for (uint32_t i = 0; supervise_get_info(s, &info), i < info.slot_max; i++) {
                supervise_slot_info slot;

                if (supervise_get_slot(s, i + 1, &slot) < 0 || slot.state != SUPERVISE_SLOT_STOPPING)
                        continue;
                report(s, 0, SUPERVISE_EXITED, i + 1);
                i = UINT32_MAX; /* the next may be one before it */
        }
        supervise_get_info(s, &info);
        assert_int_equal(info.phase, SUPERVISE_PHASE_DOWN);
        assert_true(info.due == NSEC_INFINITY);
}

/* Returns whether the image was accepted. */
static bool offer(const struct image *image) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        int r = load(image, &s);

        if (r >= 0)
                exercise(s);
        else if (r != -EPROTONOSUPPORT && r != -ENOMEM)
                assert_errno(r, EBADMSG);
        return r >= 0;
}

/* The head as entry 0, and the slots. */
static uint8_t *entry(struct image *image, uint32_t number, size_t **ret_size) {
        *ret_size = number > 0 ? image->slot_sizes + number : &image->head_size;
        return number > 0 ? image->slots[number] : image->head;
}

static void test_truncated(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(makers); i++) {
                _cleanup_(supervise_freep) supervise *s = makers[i]();
                struct image image = {};

                save(s, &image);
                for (uint32_t number = 0; number <= SLOTS; number++) {
                        size_t *size, right;

                        (void) entry(&image, number, &size);
                        right = *size;
                        if (right == 0)
                                continue;
                        for (*size = 0; *size < right; (*size)++)
                                assert_false(offer(&image)); /* 0: a slot that the head has counted */
                        *size = right + 1;
                        assert_false(offer(&image));
                        *size = right;
                        assert_true(offer(&image));
                }
        }
}

static void test_every_byte_flipped(void **state) {
        unsigned refused = 0;

        for (size_t i = 0; i < ELEMENTSOF(makers); i++) {
                _cleanup_(supervise_freep) supervise *s = makers[i]();
                struct image image = {};

                save(s, &image);
                for (uint32_t number = 0; number <= SLOTS; number++) {
                        size_t *size;
                        uint8_t *data = entry(&image, number, &size);

                        for (size_t at = 0; at < *size; at++)
                                for (unsigned value = 0; value < 256; value++) {
                                        uint8_t right = data[at];

                                        data[at] = (uint8_t) value;
                                        if (!offer(&image)) {
                                                assert_int_not_equal(value, right);
                                                refused++;
                                        }
                                        data[at] = right;
                                }
                }
        }
        assert_true(refused > 1000);
}

static void test_entries_that_do_not_fit(void **state) {
        _cleanup_(supervise_freep) supervise *s = busy_pool(), *t = NULL;
        struct image image = {};

        save(s, &image);
        assert_ok(supervise_decode_begin(image.head, image.head_size, &t));
        assert_errno(supervise_decode_slot(t, 0, image.slots[2], image.slot_sizes[2]), EBADMSG);
        assert_errno(supervise_decode_slot(t, 7, image.slots[2], image.slot_sizes[2]), EBADMSG);
        assert_ok(supervise_decode_slot(t, 2, image.slots[2], image.slot_sizes[2]));
        assert_errno(supervise_decode_slot(t, 2, image.slots[2], image.slot_sizes[2]), EBADMSG);
        assert_errno(supervise_decode_finish(t), EBADMSG); /* the others are missing */

        image.slots[3][0]++;
        assert_errno(supervise_decode_slot(t, 3, image.slots[3], image.slot_sizes[3]), EPROTONOSUPPORT);
        image.head[0]++;
        t = supervise_free(t);
        assert_errno(supervise_decode_begin(image.head, image.head_size, &t), EPROTONOSUPPORT);
        image.head[0] = 0;
        assert_errno(supervise_decode_begin(image.head, image.head_size, &t), EBADMSG);
}

static const uint8_t v1_head[] = {
        1, 1, 0, 1, 2, 0, 0, 0, 0, 0xe4, 0x0b, 0x54, 2, 0, 0, 0, 0, 0xe1, 0xf5, 5, 0, 0, 0, 0, 0,
        0xac, 0x23, 0xfc, 6, 0, 0, 0, 2, 0, 0, 0, 0x14, 0, 0, 0, 0, 0xe4, 0x0b, 0x54, 2, 0, 0, 0, 3,
        1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0x18, 0x7c, 0x4a, 0x7f, 0xb9, 0x79, 0x37,
        0x9e, 0xf4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 0x2c,
        1, 0, 0, 0, 0, 0, 0, 0x90, 1, 0, 0, 0, 0, 0, 0, 0xf4, 1, 0, 0, 0, 0, 0, 0,
};
static const uint8_t v1_slot_1[] = {
        1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xf4, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x90, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0x2c, 1, 0, 0, 0, 0, 0,
        0, 0x90, 1, 0, 0, 0, 0, 0, 0,
};
static const uint8_t v1_slot_2[] = {
        1, 6, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
        0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xf4, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf4, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0xf4, 1, 0, 0, 0, 0, 0,
        0,
};
static const uint8_t v1_slot_3[] = {
        1, 5, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
        0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xf4, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

/* As version 1 wrote it: three children of an `escalate` set that comes down. */
static void test_old_version(void **state) {
        static const struct {
                const uint8_t *data;
                size_t size;
        } slots[] = {
                { v1_slot_1, sizeof(v1_slot_1) },
                { v1_slot_2, sizeof(v1_slot_2) },
                { v1_slot_3, sizeof(v1_slot_3) },
        };
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_info info;

        assert_ok(supervise_decode_begin(v1_head, sizeof(v1_head), &s));
        for (uint32_t i = 0; i < ELEMENTSOF(slots); i++)
                assert_ok(supervise_decode_slot(s, i + 1, slots[i].data, slots[i].size));
        assert_ok(supervise_decode_finish(s));
        supervise_get_info(s, &info);
        assert_int_equal(info.phase, SUPERVISE_PHASE_GIVING_UP);
        assert_int_equal(info.n_wanted, ELEMENTSOF(slots));
        assert_int_equal(supervise_next_child(s, 0), 1);
        assert_int_equal(supervise_next_child(s, 1), 2);
        exercise(s);
}

/* A head of version 3 lacks two fields of the policy, and how long a roll has waited. */
static void to_version_3(struct image *image) {
        enum { POLICY_END = 155, POLICY_MORE = 16, WAIT = 13, TAIL = 4 }; /* no failures */
        size_t wait = image->head_size - TAIL - WAIT;

        memmove(image->head + wait, image->head + wait + WAIT, TAIL);
        memmove(image->head + POLICY_END, image->head + POLICY_END + POLICY_MORE,
                wait + TAIL - POLICY_END - POLICY_MORE);
        image->head_size -= POLICY_MORE + WAIT;
        image->head[0] = 3;
        for (uint32_t i = 1; i <= SLOTS; i++)
                image->slots[i][0] = 3;
}

/* A roll that an older arbiter has begun: its deadline counts from the last that it has heard. */
static void test_version_3(void **state) {
        _cleanup_(supervise_freep) supervise *s = waiting_pool(), *t = NULL;
        struct image image = {};
        supervise_policy p;
        supervise_info info;

        save(s, &image);
        assert_ok(load(&image, &t));
        supervise_get_info(t, &info);
        assert_true(info.roll_until == 1300); /* of this version: what it was */
        t = supervise_free(t);

        to_version_3(&image);
        assert_int_equal(image.head_size, 270);
        assert_ok(load(&image, &t));
        supervise_get_info(t, &info);
        assert_int_equal(info.roll, SUPERVISE_ROLL_GOING);
        assert_int_equal(info.roll_awaits, 2);
        assert_true(info.roll_until == NSEC_INFINITY);
        p = *supervise_get_policy(t);
        assert_true(p.progress_deadline == 0 && p.min_ready == 0);
        p.progress_deadline = 1000;
        assert_ok(supervise_set_policy(t, &p));
        supervise_resume(t);
        supervise_get_info(t, &info);
        assert_true(info.roll_until == 1400);
        pull(t);
        feed(t, 1400, (supervise_event){ .type = SUPERVISE_TICK });
        supervise_get_info(t, &info);
        assert_int_equal(info.roll, SUPERVISE_ROLL_HALTED);
        exercise(t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_dirty),
                cmocka_unit_test(test_resume),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_every_byte_flipped),
                cmocka_unit_test(test_entries_that_do_not_fit),
                cmocka_unit_test(test_old_version),
                cmocka_unit_test(test_version_3),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
