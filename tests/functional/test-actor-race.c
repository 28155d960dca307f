/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Receiver and deadline race: a million requests whose deadlines lie around the time that their service
 * takes. expired: the handler did not run, and never will; reply: it did; timeout: it may have. */

#include <stdio.h>

#include "actor-fixture.h"

enum { ROUNDS = 1000000, IN_FLIGHT = 64 };

static uint8_t *outcomes;
static size_t n_done;

static void on_done(arbiter_future *f, void *userdata) {
        outcomes[(uintptr_t)userdata] = (uint8_t)(arbiter_future_get_outcome(f) + 1);
        n_done++;
}

static void test_race(void **state) {
        struct fixture *x = *state;
        size_t n = UNDER_SANITIZER ? ROUNDS / 20 : ROUNDS, counts[16] = {}, ran_late = 0;
        arbiter_outcome last;

        outcomes = calloc(n, 1);
        n_done = 0;
        memset((void *)fixture_marks, 0, ROUNDS);
        arbiter_proxy_unref(fixture_spawn(x, "callee", NULL));
        for (size_t i = 0; i < n; i++) {
                arbiter_future *f;

                /* 1 to 128 microseconds: some pass in the socket, some in the mailbox, some in the
                 * handler. A few have time enough on any machine. */
                assert_ok(arbiter_call_async(x->root, &f, "callee", "Mark",
                                i % 32 == 0 ? 100 * 1000 : 1 + (i * 2654435761U >> 7) % 128,
                                "x", (int64_t)i));
                assert_ok(arbiter_future_then(f, on_done, (void *)i));
                arbiter_future_unref(f);
                while (i + 1 - n_done >= IN_FLIGHT)
                        assert_ok(sd_event_run(x->event, UINT64_MAX));
        }
        while (n_done < n)
                assert_ok(sd_event_run(x->event, UINT64_MAX));
        /* Behind all of them: whatever was to run has run. */
        while ((last = fixture_ask(x, NULL, "callee", "Work", GUARD_USEC, 1).outcome) ==
                        ARBITER_OUTCOME_OVERLOAD)
                assert_ok(sd_event_run(x->event, 1000));
        assert_int_equal(last, ARBITER_OUTCOME_REPLY);
        for (size_t i = 0; i < n; i++) {
                arbiter_outcome o = outcomes[i] - 1;
                bool marked = atomic_load(&fixture_marks[i]);

                assert_in_range(o, 0, 14);
                counts[o]++;
                if (o == ARBITER_OUTCOME_REPLY && !marked)
                        fail_msg("%zu was answered, and has not run", i);
                if ((o == ARBITER_OUTCOME_EXPIRED || o == ARBITER_OUTCOME_OVERLOAD) && marked)
                        fail_msg("%zu is %s, and has run", i, arbiter_outcome_to_string(o));
                ran_late += o == ARBITER_OUTCOME_TIMEOUT && marked;
        }
        /* Callers that give up may be ahead of the receiver by all of its mailbox. */
        assert_int_equal(counts[ARBITER_OUTCOME_REPLY] + counts[ARBITER_OUTCOME_EXPIRED] +
                                         counts[ARBITER_OUTCOME_TIMEOUT] + counts[ARBITER_OUTCOME_OVERLOAD],
                        n);
        assert_true(counts[ARBITER_OUTCOME_REPLY] > 0 && counts[ARBITER_OUTCOME_EXPIRED] > 0);
        print_message("%zu replies, %zu expired, %zu timeouts (%zu of them ran)\n",
                        counts[ARBITER_OUTCOME_REPLY], counts[ARBITER_OUTCOME_EXPIRED],
                        counts[ARBITER_OUTCOME_TIMEOUT], ran_late);
        free(outcomes);
}

static const struct fixture_test tests[] = {
                {"receiver and deadline", test_race, ON_THREAD | ON_PROCESS},
};

int main(void) {
        int r;

        fixture_marks = mmap(NULL, ROUNDS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (fixture_marks == MAP_FAILED)
                return 1;
        r = fixture_run("race", tests, ELEMENTS(tests));
        munmap((void *)fixture_marks, ROUNDS);
        return r;
}
