/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Single fields of the state journal's entries, written and read: for state-entry.c and state-spawn.c. */

#include "arbiter/state.h"
#include "basic/utf8.h"

/* What does not fit any more is not written, and remembered. */
struct state_writer {
        uint8_t *p;
        size_t used, size;
        bool full;
};

static inline void state_put_raw(struct state_writer *w, const void *data, size_t size) {
        if (w->full || size > w->size - w->used) {
                w->full = true;
                return;
        }
        if (size > 0)
                memcpy(w->p + w->used, data, size);
        w->used += size;
}

static inline void state_put(struct state_writer *w, uint64_t value, unsigned n_bytes) {
        uint8_t bytes[8];

        for (unsigned i = 0; i < n_bytes; i++)
                bytes[i] = (uint8_t) (value >> (8 * i));
        state_put_raw(w, bytes, n_bytes);
}

static inline void state_put_bool(struct state_writer *w, bool b) {
        state_put(w, b, 1);
}

/* Cut to what its field holds, size with its NUL, and not within a character. */
static inline void state_put_string(struct state_writer *w, const char *s, size_t size) {
        size_t n = s ? strnlen(s, size) : 0;

        if (n == size)
                for (n--; n > 0 && ((uint8_t) s[n] & 0xc0) == 0x80; n--)
                        ;
        state_put(w, n, 2);
        state_put_raw(w, s, n);
}

static inline void state_put_aid(struct state_writer *w, const aid *id) {
        state_put_raw(w, id->c, AID_SIZE);
}

static inline void state_put_key(struct state_writer *w, const struct state_key *k) {
        state_put(w, k->k[0], 8);
        state_put(w, k->k[1], 8);
}

static inline void state_put_bytes(struct state_writer *w, const void *data, size_t size) {
        state_put(w, size, 4);
        state_put_raw(w, data, size);
}

/* Reading never fails at once: past the end, or for what is none, it answers 0 and remembers. */
struct state_reader {
        const uint8_t *p;
        size_t left;
        uint32_t version;
        bool bad;
};

static inline const uint8_t *state_get_raw(struct state_reader *r, size_t size) {
        const uint8_t *p = r->p;

        if (r->bad || r->left < size) {
                r->bad = true;
                return NULL;
        }
        r->p += size;
        r->left -= size;
        return p;
}

static inline uint64_t state_get(struct state_reader *r, unsigned n_bytes) {
        const uint8_t *p = state_get_raw(r, n_bytes);
        uint64_t value = 0;

        for (unsigned i = 0; p && i < n_bytes; i++)
                value |= (uint64_t) p[i] << (8 * i);
        return value;
}

static inline uint64_t state_get_below(struct state_reader *r, unsigned n_bytes, uint64_t end) {
        uint64_t value = state_get(r, n_bytes);

        if (value < end)
                return value;
        r->bad = true;
        return 0;
}

static inline bool state_get_bool(struct state_reader *r) {
        return state_get_below(r, 1, 2) == 1;
}

/* UTF-8 without NUL; size with that. */
static inline void state_get_string(struct state_reader *r, char *ret, size_t size) {
        size_t n = state_get_below(r, 2, size);
        const uint8_t *p = state_get_raw(r, n);

        ret[0] = 0;
        if (!p || n == 0)
                return;
        if (memchr(p, 0, n) || !utf8_is_valid((const char *) p, n)) {
                r->bad = true;
                return;
        }
        memcpy(ret, p, n);
        ret[n] = 0;
}

static inline void state_get_aid(struct state_reader *r, aid *ret, bool may_be_null) {
        const uint8_t *p = state_get_raw(r, AID_SIZE);
        static const aid none;

        *ret = none;
        if (!p)
                return;
        memcpy(ret->c, p, AID_SIZE);
        if (aid_equal(ret, &none) ? !may_be_null : !aid_is_valid(ret)) {
                r->bad = true;
                *ret = none;
        }
}

static inline void state_get_key(struct state_reader *r, struct state_key *ret) {
        ret->k[0] = state_get(r, 8);
        ret->k[1] = state_get(r, 8);
}

static inline size_t state_get_bytes(struct state_reader *r, uint8_t *ret, size_t size) {
        size_t n = state_get_below(r, 4, size + 1);
        const uint8_t *p = state_get_raw(r, n);

        if (!p)
                return 0;
        if (n > 0)
                memcpy(ret, p, n);
        return n;
}
