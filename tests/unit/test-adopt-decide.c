/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of the lives that an arbiter has left: all combinations of what can be known, against the
 * rules that must hold for each; and the rows that the rules do not decide, one by one. */

#include "arbiter/adopt-decide.h"
#include "test-util.h"

static const arbiter_state states[] = {
        ARBITER_STATE_STARTING,
        ARBITER_STATE_RUNNING,
        ARBITER_STATE_STOPPING,
};

static bool is_bad(arbiter_reason reason) {
        return !arbiter_reason_is_normal(reason, 0);
}

static void check_process(const struct adopt_facts *f, const struct adopt_decision *d) {
        bool reachable = f->mailbox ? f->link != ADOPT_LINK_LOST : !f->needs_notify || f->has_notify;

        /* How one that is dead has ended is for its descriptor to say, and for nobody else. */
        assert_int_equal(d->verdict == ADOPT_BURY, f->process == ADOPT_PROCESS_DEAD);
        /* What lives goes on, or is killed; it goes on exactly if it can be reached. */
        if (f->process == ADOPT_PROCESS_LIVES)
                assert_int_equal(d->verdict, reachable ? ADOPT_RESUME : ADOPT_KILL);
        /* What is somewhere in the leaf, and nobody knows who it is, is killed. */
        if (f->process == ADOPT_PROCESS_UNKNOWN)
                assert_int_equal(d->verdict == ADOPT_KILL, f->leaf == ADOPT_LEAF_POPULATED);
        /* Nothing is started that may be there, or may have been. */
        if (d->verdict == ADOPT_START) {
                assert_int_equal(f->process, ADOPT_PROCESS_UNKNOWN);
                assert_int_equal(f->leaf, ADOPT_LEAF_GONE);
                assert_int_equal(f->state, ARBITER_STATE_STARTING);
                assert_false(f->launched);
        }
        assert_int_not_equal(d->verdict, ADOPT_REHOST);
}

static void check_thread(const struct adopt_facts *f, const struct adopt_decision *d) {
        assert_int_not_equal(d->verdict, ADOPT_KILL); /* nothing can kill a thread */
        if (f->has_host && !f->host_lives)
                assert_int_equal(d->verdict, ADOPT_BURY);
        if (d->verdict == ADOPT_RESUME || d->verdict == ADOPT_REHOST)
                assert_true(f->has_host && f->host_lives && f->link != ADOPT_LINK_LOST);
        if (d->verdict == ADOPT_REHOST || d->verdict == ADOPT_START)
                assert_int_equal(f->state, ARBITER_STATE_STARTING);
        if (d->verdict == ADOPT_START)
                assert_false(f->has_host);
}

static void check(const struct adopt_facts *f) {
        struct adopt_decision d = adopt_decide(f), again = adopt_decide(f);

        assert_memory_equal(&d, &again, sizeof(d));
        assert_true((unsigned) d.verdict < _ADOPT_VERDICT_MAX);
        /* Nobody hears "normal" of what was lost. */
        assert_int_equal(d.verdict == ADOPT_KILL || d.verdict == ADOPT_END, is_bad(d.reason));
        if (d.verdict == ADOPT_KILL || (d.verdict == ADOPT_END && f->kind != ADOPT_INSIDE))
                assert_int_equal(d.reason == ARBITER_REASON_HANDSHAKE, f->state == ARBITER_STATE_STARTING);
        if (d.verdict == ADOPT_START)
                assert_true(f->has_place); /* or nobody would start it, nor end it */
        switch (f->kind) {
        case ADOPT_PROCESS:
                check_process(f, &d);
                break;
        case ADOPT_THREAD:
                check_thread(f, &d);
                break;
        case ADOPT_UNIT:
                assert_true(d.verdict == ADOPT_RESUME || d.verdict == ADOPT_KILL);
                assert_int_equal(d.verdict == ADOPT_KILL,
                                f->mailbox && f->link == ADOPT_LINK_LOST &&
                                                f->state != ARBITER_STATE_STARTING);
                break;
        default: /* it has died with its process */
                assert_int_equal(d.verdict, ADOPT_END);
        }
}

/* Every bit pattern of the flags for every value of the rest. */
static void test_all(void **state) {
        unsigned n = 0;

        for (unsigned kind = 0; kind < _ADOPT_KIND_MAX; kind++)
                for (size_t s = 0; s < ELEMENTSOF(states); s++)
                        for (unsigned x = 0; x < _ADOPT_PROCESS_MAX * _ADOPT_LEAF_MAX * _ADOPT_LINK_MAX; x++)
                                for (unsigned flags = 0; flags < 128; flags++, n++)
                                        check(&(struct adopt_facts){
                                                        .kind = kind,
                                                        .state = states[s],
                                                        .mailbox = flags & 1,
                                                        .launched = flags & 2,
                                                        .needs_notify = flags & 4,
                                                        .has_notify = flags & 8,
                                                        .has_host = flags & 16,
                                                        .host_lives = flags & 32,
                                                        .has_place = flags & 64,
                                                        .process = x % _ADOPT_PROCESS_MAX,
                                                        .leaf = x / _ADOPT_PROCESS_MAX % _ADOPT_LEAF_MAX,
                                                        .link = x / _ADOPT_PROCESS_MAX / _ADOPT_LEAF_MAX,
                                        });
        assert_int_equal(n, 4 * 3 * 36 * 128);
}

static void test_rows(void **state) {
        static const struct {
                struct adopt_facts f;
                enum adopt_verdict verdict;
                arbiter_reason reason;
        } rows[] = {
                /* killed before the leaf was made; with it; after the fork, before the keeper knew */
                { { ADOPT_PROCESS, ARBITER_STATE_STARTING, .mailbox = true, .has_place = true,
                                  .leaf = ADOPT_LEAF_GONE, .link = ADOPT_LINK_KEPT },
                  ADOPT_START, ARBITER_REASON_NORMAL },
                /* a host of which nothing but its name was there yet */
                { { ADOPT_PROCESS, ARBITER_STATE_STARTING, .mailbox = true, .leaf = ADOPT_LEAF_GONE,
                                  .link = ADOPT_LINK_KEPT },
                  ADOPT_END, ARBITER_REASON_HANDSHAKE },
                { { ADOPT_PROCESS, ARBITER_STATE_STARTING, .mailbox = true, .leaf = ADOPT_LEAF_EMPTY },
                  ADOPT_END, ARBITER_REASON_HANDSHAKE },
                { { ADOPT_PROCESS, ARBITER_STATE_STARTING, .mailbox = true, .leaf = ADOPT_LEAF_POPULATED },
                  ADOPT_KILL, ARBITER_REASON_HANDSHAKE },
                /* without cgroups nothing is known of the past */
                { { ADOPT_PROCESS, ARBITER_STATE_STARTING, .leaf = ADOPT_LEAF_NONE }, ADOPT_END,
                  ARBITER_REASON_HANDSHAKE },
                /* its leaf was removed behind everybody's back */
                { { ADOPT_PROCESS, ARBITER_STATE_RUNNING, .launched = true, .leaf = ADOPT_LEAF_GONE },
                  ADOPT_END, ARBITER_REASON_UNKNOWN },
                { { ADOPT_PROCESS, ARBITER_STATE_RUNNING, .mailbox = true, .launched = true,
                                  .process = ADOPT_PROCESS_LIVES },
                  ADOPT_KILL, ARBITER_REASON_NO_CONNECTION },
                { { ADOPT_PROCESS, ARBITER_STATE_RUNNING, .launched = true, .process = ADOPT_PROCESS_LIVES },
                  ADOPT_RESUME, ARBITER_REASON_NORMAL },
                { { ADOPT_PROCESS, ARBITER_STATE_RUNNING, .launched = true, .needs_notify = true,
                                  .process = ADOPT_PROCESS_LIVES },
                  ADOPT_KILL, ARBITER_REASON_NO_CONNECTION },
                { { ADOPT_UNIT, ARBITER_STATE_STARTING, .mailbox = true }, ADOPT_RESUME,
                  ARBITER_REASON_NORMAL },
                { { ADOPT_THREAD, ARBITER_STATE_STARTING, .has_host = true, .host_lives = true,
                                  .link = ADOPT_LINK_CLOSED },
                  ADOPT_REHOST, ARBITER_REASON_NORMAL },
                { { ADOPT_THREAD, ARBITER_STATE_RUNNING, .link = ADOPT_LINK_LOST }, ADOPT_END,
                  ARBITER_REASON_UNKNOWN },
                { { ADOPT_THREAD, ARBITER_STATE_STARTING, .has_place = true, .link = ADOPT_LINK_LOST },
                  ADOPT_START, ARBITER_REASON_NORMAL },
                { { ADOPT_INSIDE, ARBITER_STATE_RUNNING }, ADOPT_END, ARBITER_REASON_KILLED },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct adopt_decision d = adopt_decide(&rows[i].f);

                if (d.verdict != rows[i].verdict || d.reason != rows[i].reason)
                        fail_msg("row %zu: verdict %d, reason %d", i, (int) d.verdict, (int) d.reason);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all),
                cmocka_unit_test(test_rows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
