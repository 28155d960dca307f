/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many decisions a second src/supervise makes on one core: an event handled, its actions pulled. The
 * limit beside it is the same loop with a function that does nothing in its place. And what a decision
 * costs in a set of ten thousand, beside the same in one of ten. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "supervise/supervise.h"

#define BATCH 20000U

struct set {
        supervise *s;
        nsec_t now;
        uint32_t first, n; /* who crashes: n of them, behind the first so many */
        uint64_t random;
        bool journal; /* what changes is written down, as for a state journal */
};

static void check(bool condition, const char *what) {
        if (condition)
                return;
        fprintf(stderr, "decisions: %s\n", what);
        exit(EXIT_FAILURE);
}

static void pull(struct set *set) {
        supervise_action a;

        while (supervise_next_action(set->s, &a))
                ;
}

static void write_down(struct set *set) {
        uint8_t buffer[SUPERVISE_ENCODED_MAX];
        uint32_t slot;

        while (supervise_next_dirty(set->s, &slot))
                (void) (slot > 0 ? supervise_encode_slot(set->s, slot, buffer, sizeof(buffer)) :
                                   supervise_encode_head(set->s, buffer, sizeof(buffer)));
}

static void decide(struct set *set, const supervise_event *e) {
        check(supervise_handle(set->s, e, set->now) >= 0, "an event was refused");
        if (set->journal)
                write_down(set);
        pull(set);
}

static void __attribute__((noinline)) decide_nothing(struct set *set, const supervise_event *e) {
        __asm__ volatile("" : : "r"(set), "r"(e) : "memory");
}

static struct set set_new(supervise_strategy strategy, uint32_t n, bool journal) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;
        struct set set = { .now = NSEC_PER_SEC, .n = n, .random = 1, .journal = journal };

        p.strategy = strategy;
        p.intensity = SUPERVISE_INTENSITY_INFINITY;
        p.backoff_min = p.backoff_max = 0;
        p.escalate = p.ordered = strategy == SUPERVISE_REST_FOR_ONE;
        check(supervise_new(&p, strategy == SUPERVISE_POOL ? n : 0, 1, 1, &set.s) >= 0, "no memory");
        for (uint32_t i = 0; i < n && strategy != SUPERVISE_POOL; i++)
                decide(&set, &(supervise_event){ .type = SUPERVISE_ADD_CHILD });
        decide(&set, &(supervise_event){ .type = SUPERVISE_START });
        for (uint32_t i = 1; i <= n; i++)
                decide(&set, &(supervise_event){ .type = SUPERVISE_STARTED, .slot = i, .generation = i });
        return set;
}

/* Somebody crashes, is started again, and runs: two decisions. Millions a second. */
static double measure(struct set *set, double seconds, void (*what)(struct set *, const supervise_event *)) {
        double begin = now_us(), end = begin;
        uint64_t n = 0;

        while (end - begin < seconds * 1e6) {
                for (unsigned i = 0; i < BATCH / 2; i++) {
                        supervise_event e = { .type = SUPERVISE_EXITED };
                        supervise_slot_info slot = {};

                        set->random = set->random * UINT64_C(6364136223846793005) + 1;
                        e.slot = set->first + 1 + (uint32_t) ((set->random >> 33) % set->n);
                        (void) supervise_get_slot(set->s, e.slot, &slot);
                        set->now += NSEC_PER_USEC;
                        e.generation = slot.generation;
                        what(set, &e);
                        (void) supervise_get_slot(set->s, e.slot, &slot);
                        e.type = SUPERVISE_STARTED;
                        e.generation = slot.generation;
                        what(set, &e);
                }
                n += BATCH;
                end = now_us();
        }
        return (double) n / (end - begin);
}

static void figure(const struct bench_options *o, const char *name, struct set set, double target) {
        struct samples value = {}, raw = {};
        char promise[32];
        struct figure f = { .bench = "decisions",
                            .what = name,
                            .unit = "M/s",
                            .value = &value,
                            .raw = &raw,
                            .raw_what = "the loop alone",
                            .target = target > 0 ? promise : NULL };

        (void) snprintf(promise, sizeof(promise), ">= %g M/s", target);
        for (unsigned i = 0; i < o->repetitions && bench_wants(o, name); i++) {
                samples_add(&raw, measure(&set, o->seconds, decide_nothing));
                samples_add(&value, measure(&set, o->seconds, decide));
        }
        f.missed = samples_median(&value) < target;
        if (value.n > 0)
                figure_print(&f);
        supervise_free(set.s);
}

/* One restart costs in a large set what it costs in a small one. Where any of `among` may crash, memory is
 * what is measured, too: ten are in the first cache, ten thousand are not. By rest-for-one, the last. */
static void size_figure(const struct bench_options *o, const char *name, supervise_strategy strategy,
                uint32_t n, uint32_t among) {
        struct set large, small;
        struct samples value = {}, raw = {};

        if (!bench_wants(o, name))
                return;
        large = set_new(strategy, n, false);
        small = set_new(strategy, 10, false);
        large.n = among;
        if (strategy == SUPERVISE_REST_FOR_ONE) {
                large.first = n - 1;
                small.first = 9;
                small.n = among;
        }
        for (unsigned i = 0; i < o->repetitions; i++) {
                samples_add(&raw, 2000 / measure(&small, o->seconds, decide));
                samples_add(&value, 2000 / measure(&large, o->seconds, decide));
        }
        figure_print(&(struct figure){ .bench = "decisions",
                                       .what = name,
                                       .unit = "ns",
                                       .value = &value,
                                       .raw = &raw,
                                       .raw_what = "in a set of 10" });
        supervise_free(large.s);
        supervise_free(small.s);
}

int main(int argc, char *argv[]) {
        struct bench_options o;

        bench_parse(argc, argv, &o);
        pin_to_cpu(0);
        figure(&o, "pool-of-10", set_new(SUPERVISE_POOL, 10, false), 2);
        figure(&o, "pool-of-1000", set_new(SUPERVISE_POOL, 1000, false), 2);
        figure(&o, "children-10", set_new(SUPERVISE_ONE_FOR_ONE, 10, false), 2);
        figure(&o, "pool-of-10-written", set_new(SUPERVISE_POOL, 10, true), 0);
        size_figure(&o, "restart-of-1000", SUPERVISE_ONE_FOR_ONE, 1000, 1000);
        size_figure(&o, "restart-of-10000", SUPERVISE_ONE_FOR_ONE, 10000, 10000);
        size_figure(&o, "restart-of-ten-in-10000", SUPERVISE_ONE_FOR_ONE, 10000, 10);
        size_figure(&o, "restart-of-the-last-of-10000", SUPERVISE_REST_FOR_ONE, 10000, 1);
        return EXIT_SUCCESS;
}
