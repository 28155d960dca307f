/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of src/supervise for sets as wholes: scaling, stopping, rolling, other policies; the clock, and
 * want of memory. */

#include "test-failing-calloc.h"
#include "test-supervise-util.h"

/* What serves nobody leaves before what runs, and of that the oldest. */
static void test_scale_down(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 5);
        s = f.s;
        start_all(&f);
        assert_ok(crashed(&f, 1)); /* the youngest now */
        assert_ok(started(&f, 1));
        assert_ok(crashed(&f, 4));
        assert_ok(crashed(&f, 4));
        assert_int_equal(state_of(&f, 4), SUPERVISE_SLOT_BACKOFF);
        assert_ok(verb(&f, SUPERVISE_RESTART_CHILD, 5)); /* on its way down anyway */
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_SCALE, .n = 2 }));
        assert_action(&f, REMOVED, 4);
        assert_true(slot_of(&f, 5).leaving);
        assert_action(&f, STOP, 2);
        assert_int_equal(info_of(&f).n_wanted, 2);
        assert_int_equal(state_of(&f, 1), SUPERVISE_SLOT_RUNNING);
        assert_int_equal(state_of(&f, 3), SUPERVISE_SLOT_RUNNING);

        /* Back to 5: the two that are leaving come back after their end, the free number is taken. */
        assert_ok(scale(&f, 5));
        assert_action(&f, SPAWN, 4);
        assert_int_equal(f.n_actions, 1);
        assert_ok(crashed(&f, 2));
        assert_action(&f, SPAWN, 2);
        assert_ok(crashed(&f, 5));
        assert_action(&f, SPAWN, 5);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 3);
        assert_ok(scale(&f, 0));
        for (uint32_t i = 1; i <= 5; i++)
                assert_ok(crashed(&f, i));
        assert_int_equal(info_of(&f).slot_max, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_UP);
}

static void test_stop_pool(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 3);
        s = f.s;
        start_all(&f);
        assert_ok(crashed(&f, 1));
        assert_ok(crashed(&f, 1)); /* in backoff: nothing to wait for */
        assert_ok(simple(&f, SUPERVISE_STOP));
        assert_action(&f, STOP, 2);
        assert_action(&f, STOP, 3);
        assert_true(info_of(&f).due == NSEC_INFINITY);
        assert_errno(simple(&f, SUPERVISE_START), ESHUTDOWN);
        assert_errno(scale(&f, 1), ESHUTDOWN);
        assert_errno(verb(&f, SUPERVISE_RESTART_CHILD, 2), ESHUTDOWN);
        assert_ok(exited_normally(&f, 3));
        assert_no_action(&f, STOPPED, 0);
        assert_ok(crashed(&f, 2));
        assert_action(&f, STOPPED, 0);
        assert_int_equal(info_of(&f).phase, SUPERVISE_PHASE_DOWN);
        assert_ok(scale(&f, 1)); /* a set that is down is scaled on paper */
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_IDLE], 1);
        assert_no_action(&f, SPAWN, 1);
        assert_ok(simple(&f, SUPERVISE_START));
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_STARTING], 1);
}

static void test_stop_children_in_reverse(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = children_policy();
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        for (int i = 1; i <= 4; i++)
                assert_int_equal(add_child(&f, i == 3 ? SUPERVISE_TEMPORARY : SUPERVISE_PERMANENT), i);
        start_all(&f);
        assert_ok(simple(&f, SUPERVISE_STOP));
        assert_int_equal(f.n_actions, 1);
        assert_action(&f, STOP, 4);
        assert_ok(crashed(&f, 2)); /* out of turn: stays down */
        assert_int_equal(f.n_actions, 0);
        assert_ok(crashed(&f, 4));
        assert_action(&f, STOP, 3);
        assert_ok(crashed(&f, 3));
        assert_action(&f, REMOVED, 3);
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_action(&f, STOPPED, 0);
        assert_int_equal(info_of(&f).n[SUPERVISE_SLOT_IDLE], 3);
}

static void redefine(struct fixture *f, uint64_t revision) {
        supervise_event e = { .type = SUPERVISE_DEFINITION_CHANGED, .revision = revision };

        assert_ok(handle(f, e));
}

static void test_roll(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = plain_policy();
        struct fixture f;

        fixture_new(&f, &p, 3);
        s = f.s;
        start_all(&f);
        redefine(&f, 1); /* nothing new */
        assert_int_equal(f.n_actions, 0);
        redefine(&f, 2);
        for (uint32_t i = 1; i <= 3; i++) {
                assert_int_equal(info_of(&f).rolling, i);
                assert_int_equal(f.n_actions, 1);
                assert_action(&f, STOP, i);
                assert_ok(exited_normally(&f, i));
                assert_int_equal(f.n_actions, 1);
                assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, i)->revision, 2);
                assert_ok(started(&f, i));
        }
        assert_false(info_of(&f).outdated);
        assert_int_equal(slot_of(&f, 3).n_failures, 0);
}

/* A definition that fails halts the roll; the rest goes on serving, and the next definition is tried at
 * once. */
static void test_roll_halts(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(0);
        struct fixture f;

        fixture_new(&f, &p, 2);
        s = f.s;
        start_all(&f);
        redefine(&f, 2);
        assert_ok(crashed(&f, 1));
        assert_ok(report(&f, SUPERVISE_START_FAILED, 1));
        assert_action(&f, PARKED, 1);
        assert_true(info_of(&f).outdated && info_of(&f).rolling == 1);
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_RUNNING);
        redefine(&f, 3);
        assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1)->revision, 3);
        redefine(&f, 4); /* before that one has started */
        assert_action(&f, STOP, 1);
        assert_ok(crashed(&f, 1));
        assert_int_equal(find(&f, SUPERVISE_ACTION_SPAWN, 1)->revision, 4);
        assert_ok(started(&f, 1));
        assert_action(&f, STOP, 2);
        assert_ok(verb(&f, SUPERVISE_STOP_CHILD, 2)); /* taken out of the roll */
        assert_false(info_of(&f).outdated);
        assert_ok(crashed(&f, 2));
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_HELD);
}

static void test_redefine_child(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = children_policy();
        struct fixture f;

        fixture_new(&f, &p, 0);
        s = f.s;
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 1);
        assert_int_equal(add_child(&f, SUPERVISE_PERMANENT), 2);
        start_all(&f);
        assert_ok(handle(&f, (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED,
                                                .slot = 2,
                                                .restart = SUPERVISE_TRANSIENT,
                                                .revision = 5 }));
        assert_action(&f, STOP, 2);
        assert_ok(crashed(&f, 2));
        assert_ok(started(&f, 2));
        assert_int_equal(slot_of(&f, 2).revision, 5);
        assert_int_equal(slot_of(&f, 1).revision, 1);
        assert_ok(exited_normally(&f, 2));
        assert_int_equal(state_of(&f, 2), SUPERVISE_SLOT_IDLE);
}

static void test_set_policy(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(5), bad;
        nsec_t times[8];
        struct fixture f;

        fixture_new(&f, &p, 1);
        s = f.s;
        start_all(&f);
        for (int i = 0; i < 4; i++) {
                f.now += MS;
                assert_ok(crashed(&f, 1));
                assert_ok(started(&f, 1));
        }
        p.intensity = 2;
        assert_ok(supervise_set_policy(f.s, &p));
        assert_int_equal(supervise_failures(f.s, 1, times, 8), 3);
        assert_true(times[0] == f.now && times[2] == f.now - 2 * MS);
        p.intensity = 100;
        assert_ok(supervise_set_policy(f.s, &p));
        assert_int_equal(slot_of(&f, 1).n_failures, 3);

        bad = p, bad.strategy = SUPERVISE_ONE_FOR_ONE;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.escalate = true;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.intensity = SUPERVISE_INTENSITY_MAX + 1;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.backoff_min = 2, bad.backoff_max = 1;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.period = 0;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.backoff_factor = 0;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
        bad = p, bad.backoff_jitter = 101;
        assert_errno(supervise_set_policy(f.s, &bad), EINVAL);
}

/* Time never runs backwards here, and a caller who does not pull is told, before anything is lost. */
static void test_clock_and_queue(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        supervise_policy p = verdict_policy(SUPERVISE_INTENSITY_INFINITY);
        supervise_event e = { .type = SUPERVISE_START };
        struct fixture f;
        uint64_t generation = 1, spawned = 0;
        int r;

        fixture_new(&f, &p, 1);
        s = f.s;
        assert_ok(supervise_handle(f.s, &e, f.now));
        e.type = SUPERVISE_STARTED, e.slot = 1, e.generation = generation;
        assert_ok(supervise_handle(f.s, &e, 0));
        assert_true(slot_of(&f, 1).since == f.now);
        for (;;) {
                e.type = SUPERVISE_EXITED;
                r = supervise_handle(f.s, &e, f.now);
                if (r == -EBUSY)
                        break;
                assert_ok(r);
                e.type = SUPERVISE_STARTED, e.generation = ++generation;
                r = supervise_handle(f.s, &e, f.now);
                if (r == -EBUSY)
                        break;
                assert_ok(r);
                assert_true(generation < 1000);
        }
        drain(&f);
        for (size_t i = 0; i < f.n_actions; i++)
                if (f.actions[i].type == SUPERVISE_ACTION_SPAWN)
                        assert_int_equal(f.actions[i].generation, ++spawned);
        assert_true(spawned > 4);
        assert_ok(supervise_handle(f.s, &e, f.now));
}

/* -ENOMEM comes before any change. */
static void test_no_memory(void **state) {
        _cleanup_(supervise_freep) supervise *s = NULL, *t = NULL;
        uint8_t before[SUPERVISE_ENCODED_MAX], after[SUPERVISE_ENCODED_MAX],
                slot[SUPERVISE_ENCODED_MAX];
        supervise_policy p = plain_policy();
        int size, slot_size;
        void *(*volatile any_calloc)(size_t, size_t) = calloc;
        struct fixture f;
        void *probe;

        failing_calloc = 1;
        probe = any_calloc(1, 1);
        free(probe);
        failing_calloc = 0;
        if (probe)
                skip(); /* valgrind has put its own in place of ours */

        for (unsigned n = 1; n <= 2; n++) {
                failing_calloc = n;
                assert_errno(supervise_new(&p, 3, 1, 1, &t), ENOMEM);
                assert_null(t);
        }
        fixture_new(&f, &p, 3);
        s = f.s;
        start_all(&f);
        size = supervise_encode_head(f.s, before, sizeof(before));
        assert_ok(size);
        f.now += SEC;
        failing_calloc = 1;
        assert_errno(scale(&f, 50), ENOMEM);
        failing_calloc = 1;
        p.intensity = 7;
        assert_errno(supervise_set_policy(f.s, &p), ENOMEM);
        assert_int_equal(f.n_actions, 0);
        assert_int_equal(supervise_encode_head(f.s, after, sizeof(after)), size);
        assert_memory_equal(before, after, (size_t) size);
        for (unsigned n = 1; n <= 2; n++) {
                failing_calloc = n;
                assert_errno(supervise_decode_begin(before, (size_t) size, &t), ENOMEM);
                assert_null(t);
        }
        assert_ok(scale(&f, 50));
        assert_int_equal(f.n_actions, 47);
        size = supervise_encode_head(f.s, before, sizeof(before));
        slot_size = supervise_encode_slot(f.s, 50, slot, sizeof(slot));
        assert_ok(supervise_decode_begin(before, (size_t) size, &t));
        failing_calloc = 1;
        assert_errno(supervise_decode_slot(t, 50, slot, (size_t) slot_size), ENOMEM);
        assert_ok(supervise_decode_slot(t, 50, slot, (size_t) slot_size));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scale_down),
                cmocka_unit_test(test_stop_pool),
                cmocka_unit_test(test_stop_children_in_reverse),
                cmocka_unit_test(test_roll),
                cmocka_unit_test(test_roll_halts),
                cmocka_unit_test(test_redefine_child),
                cmocka_unit_test(test_set_policy),
                cmocka_unit_test(test_clock_and_queue),
                cmocka_unit_test(test_no_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
