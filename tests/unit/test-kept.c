/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sender keeps for a receiver that takes all and begins nothing: bounded, whatever its size. */

#include <systemd/sd-event.h>

#include "actor/peer.h"
#include "actor/resend.h"
#include "test-util.h"
#include "wire/message.h"

struct kept {
        sd_event *event;
        struct link *near, *far;
        struct peer peer;
};

static void setup(struct kept *x) {
        *x = (struct kept){};
        assert_ok(sd_event_new(&x->event));
        assert_ok(link_new_local(x->event, &x->near, &x->far));
        x->peer.link = x->near;
}

static void teardown(struct kept *x) {
        kept_done(&x->peer);
        link_unref(x->near);
        link_unref(x->far);
        sd_event_unref(x->event);
}

static arbiter_message *make_message(size_t size) {
        arbiter_message *m;
        void *p = calloc(1, size);

        assert_non_null(p);
        assert_ok(arbiter_message_new(&m));
        assert_ok(arbiter_message_append_array(m, 'y', p, size));
        assert_ok(message_seal(m));
        free(p);
        return m;
}

static void add(struct kept *x, arbiter_message *m, uint64_t sequence) {
        const struct envelope e = {
                .kind = ENVELOPE_CAST,
                .sequence = sequence,
                .deadline = UINT64_MAX,
                .command = "Take",
                .command_length = 4,
        };

        kept_add(&x->peer, &e, m, "web", NULL);
}

/* Of a megabyte each, which are not copied: so many, and then the oldest are let go of. */
static void test_large_bodies_are_bounded(void **state) {
        enum { SIZE = 1 << 20, BOUND = 32 };
        arbiter_message *m = make_message(SIZE);
        struct kept x;

        setup(&x);
        for (uint64_t i = 1; i <= 200; i++) {
                add(&x, m, i);
                assert_in_range(m->n_ref, 2, BOUND + 1);
        }
        assert_true(kept_waits(&x.peer));
        link_publish_begun(x.far, LANE_USER, 200);
        assert_false(kept_waits(&x.peer));
        assert_int_equal(m->n_ref, 1);
        assert_int_equal(x.peer.kept.beside, 0);
        teardown(&x);
        arbiter_message_unref(m);
}

/* They are lost with it, and that is known: of each there is one outcome. */
static void test_what_is_too_much_is_counted(void **state) {
        enum { SIZE = 1 << 20, N = 200, BEGUN = 50 };
        arbiter_message *m = make_message(SIZE), *small = make_message(100);
        struct waiting_room room;
        arbiter_actor actor = {};
        struct kept x;

        setup(&x);
        x.peer.actor = &actor;
        for (uint64_t i = 1; i <= N; i++)
                add(&x, i % 10 == 0 ? small : m, i);
        link_publish_begun(x.far, LANE_USER, BEGUN);
        room_init(&room);
        kept_recover(&x.peer, &room);
        assert_int_equal(actor.statistics.resent, room.n);
        assert_int_equal(actor.statistics.resent + actor.statistics.dead_letters, N - BEGUN);
        assert_in_range(actor.statistics.resent, 40, 50); /* the last ones, and the small ones */
        room_fail(&actor, &room, ARBITER_OUTCOME_NOPROC, "");
        teardown(&x);
        assert_int_equal(m->n_ref, 1);
        arbiter_message_unref(m);
        arbiter_message_unref(small);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_large_bodies_are_bounded),
                cmocka_unit_test(test_what_is_too_much_is_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
