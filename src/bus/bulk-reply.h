/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Long tables, answered past sd-bus. What sd-bus appends value by value takes 25 ns a value, and a table
 * of a thousand actors has eight thousand; it takes no body that is ready. On the private socket the
 * stream is ours alone, so while sd-bus has nothing to write on it a whole message can be: one that the
 * socket takes at once. Where that is not so (a bus, a peer that has not read what came before, a table
 * that is longer) sd-bus answers. */

#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "basic/macro.h"

struct bus_connection;

enum { BULK_SIZE_MAX = 160 * 1024 }; /* what an empty socket takes of default size, with room to spare */

/* A D-Bus body as it grows (D-Bus Specification, "Marshaling"), little-endian. After an error the rest does
 * nothing, and the reply says it. */
struct bulk {
        uint8_t *data;
        size_t size, allocated;
        int error;
};

static inline void bulk_done(struct bulk *b) {
        free(b->data);
}

/* Room for this many more bytes, padding included, for what is appended next. false: nothing can be, and
 * bulk_reply() says why (a table that is too long is not gone on with). */
bool bulk_reserve(struct bulk *b, size_t size);

/* Writes eight bytes, of which those count that are needed: bulk_reserve() has room for them. */
static inline void bulk_align(struct bulk *b, size_t alignment) {
        memset(b->data + b->size, 0, 8);
        b->size = (b->size + alignment - 1) / alignment * alignment;
}
static inline void bulk_put(struct bulk *b, const void *p, size_t size) {
        memcpy(b->data + b->size, p, size);
        b->size += size;
}
static inline void bulk_append_u32(struct bulk *b, uint32_t v) {
        bulk_align(b, sizeof(v));
        bulk_put(b, &v, sizeof(v));
}
static inline void bulk_append_u64(struct bulk *b, uint64_t v) {
        bulk_align(b, sizeof(v));
        bulk_put(b, &v, sizeof(v));
}
/* A string or an object path that is known to be valid; with its NUL. */
static inline void bulk_append_string(struct bulk *b, const char *s, size_t length) {
        bulk_append_u32(b, (uint32_t) length);
        bulk_put(b, s, length + 1);
}
static inline void bulk_open_struct(struct bulk *b) {
        bulk_align(b, 8);
}
/* Of structs: where its length is filled in at the end. */
static inline size_t bulk_open_array(struct bulk *b) {
        size_t position;

        bulk_append_u32(b, 0);
        position = b->size;
        bulk_open_struct(b);
        return position;
}
static inline void bulk_close_array(struct bulk *b, size_t position) {
        /* the padding before the first struct is not part of the length */
        uint32_t length = (uint32_t) (b->size - (position + 7) / 8 * 8);

        memcpy(b->data + position - sizeof(length), &length, sizeof(length));
}

/* Empties b for an answer on c. false: it is not possible there and now. */
bool bulk_begin(struct bulk *b, const struct bus_connection *c);
/* -EAGAIN: it has become too long, or something lies in the socket: let sd-bus do it. Nothing was
 * written. */
int bulk_reply(struct bus_connection *c, sd_bus_message *m, const char *signature, const struct bulk *b);
