/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SipHash-2-4 (Aumasson and Bernstein, 2012): the keyed hash for tables whose keys come from outside, and
 * for request ids that a peer must not be able to guess. */

#include "basic/macro.h"

struct siphash_key {
        uint64_t k0, k1;
};

uint64_t siphash24(const void *data, size_t size, const struct siphash_key *key);
/* Fills the key from getrandom(2). Blocks only before the kernel's pool is ready, early at boot. */
int siphash_key_random(struct siphash_key *ret);
