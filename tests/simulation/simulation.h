/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every simulation here shares: one 64-bit seed is one history, bit for bit; a history is steps that
 * draw from generators of their own, so that any of them can be left out and the others stay what they
 * were. A history that violates something is made as short as leaving out allows, and its replay told.
 *
 *         simulate-X [--histories=N] [--first=SEED] | --seed=SEED [--steps=1,4-7] (with a trace)
 *
 * --only-oracle leaves all invariants out: what is found then, the oracle of OTP's rules has found. */

#include <inttypes.h>
#include <stdio.h>

#include "supervise/supervise.h"

#define STEPS_MAX 128U

struct simulation {
        uint64_t seed, random;
        bool trace, only_oracle;
        unsigned step;        /* of the history */
        unsigned event;       /* so far, for messages */
        bool skip[STEPS_MAX];
        uint64_t counts[16];  /* of what the program likes to know about a run */
};

/* Defined by each program. */
void history(struct simulation *sim);
extern const char *const count_names[16];
extern const uint64_t history_cost; /* how many of src/supervise alone take as long as one of its */

int simulate(int argc, char *argv[]);
/* Whether step i is part of this history. */
bool begin_step(struct simulation *sim, unsigned i);
_noreturn_ void violated(struct simulation *sim, const char *what, unsigned slot);

static inline uint64_t draw(struct simulation *sim) { /* xorshift64*, Vigna 2014 */
        sim->random ^= sim->random >> 12;
        sim->random ^= sim->random << 25;
        sim->random ^= sim->random >> 27;
        return sim->random * UINT64_C(0x2545f4914f6cdd1d);
}
static inline uint32_t below(struct simulation *sim, uint32_t end) {
        return (uint32_t) (((draw(sim) >> 32) * end) >> 32);
}
static inline bool one_in(struct simulation *sim, uint32_t n) {
        return below(sim, n) == 0;
}

#define require(sim, condition, slot)                              \
        do {                                                       \
                if (!(condition))                                  \
                        violated((sim), #condition, (slot));       \
        } while (0)

void trace_event(const struct simulation *sim, unsigned set, const supervise_event *e, nsec_t now, int r);
void trace_action(const struct simulation *sim, unsigned set, const supervise_action *a);

/* What the journal holds of a set: written before actions are carried out, from what is marked dirty
 * alone. */
#define IMAGE_SLOTS 20U
struct image {
        size_t sizes[IMAGE_SLOTS + 1]; /* [0] is the head */
        uint8_t data[IMAGE_SLOTS + 1][512];
};
void image_commit(struct simulation *sim, struct image *image, supervise *s);
/* Whoever changes a slot marks it: the image is the whole set. */
void image_check(struct simulation *sim, const struct image *image, const supervise *s);
supervise *image_load(struct simulation *sim, const struct image *image);
