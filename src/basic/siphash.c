/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SipHash-2-4, straight from the paper; checked against the paper's test vector in test-basic. */

#include <sys/random.h>

#include "basic/siphash.h"

static inline uint64_t rotate(uint64_t x, int b) {
        return (x << b) | (x >> (64 - b));
}

static inline void sip_round(uint64_t v[4]) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
}

static inline uint64_t load_le64(const uint8_t *p, size_t n) {
        uint64_t x = 0;

        for (size_t i = 0; i < n; i++)
                x |= (uint64_t) p[i] << (8 * i);
        return x;
}

uint64_t siphash24(const void *data, size_t size, const struct siphash_key *key) {
        const uint8_t *p = data;
        uint64_t v[4] = {
                key->k0 ^ 0x736f6d6570736575ULL,
                key->k1 ^ 0x646f72616e646f6dULL,
                key->k0 ^ 0x6c7967656e657261ULL,
                key->k1 ^ 0x7465646279746573ULL,
        };
        size_t left = size;
        uint64_t m;

        for (; left >= 8; left -= 8, p += 8) {
                m = load_le64(p, 8);
                v[3] ^= m;
                sip_round(v);
                sip_round(v);
                v[0] ^= m;
        }

        m = ((uint64_t) size << 56) | load_le64(p, left);
        v[3] ^= m;
        sip_round(v);
        sip_round(v);
        v[0] ^= m;

        v[2] ^= 0xff;
        for (int i = 0; i < 4; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int siphash_key_random(struct siphash_key *ret) {
        return getrandom(ret, sizeof(*ret), 0) == (ssize_t) sizeof(*ret) ? 0 : negative_errno();
}
