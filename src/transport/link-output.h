/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One lane of what a link has yet to write: whole encoded frames in one piece of memory, and the descriptors
 * that travel with some of them. It exists only while something is buffered. */

#include "basic/macro.h"

struct output_fds {
        struct output_fds *next;
        uint64_t position; /* of the frame's first byte, counted like output.position */
        size_t n_fds;
        int fds[];
};

struct output {
        uint8_t *data;
        size_t start, end, allocated;
        size_t partial; /* bytes of the frame at start that a short write left; 0: a frame begins at start */
        size_t hint;    /* how much the last burst needed */
        uint64_t position; /* of data[start] in this lane since the link was made */
        struct output_fds *fds, *last_fds;
        size_t n_fds; /* altogether */
};

static inline size_t output_size(const struct output *o) {
        return o->end - o->start;
}

/* Room for size bytes at the end; taken by output_commit(). The pointer is 8-aligned. */
int output_reserve(struct output *o, size_t size, uint8_t **ret);
/* Duplicates the descriptors of the frame that the next output_commit() takes. */
int output_add_fds(struct output *o, const int *fds, size_t n_fds);
static inline void output_commit(struct output *o, size_t size) {
        o->end += size;
}

/* The descriptors of the frame at this distance from start, or NULL. */
static inline const struct output_fds *output_peek_fds(const struct output *o, size_t distance) {
        return o->fds && o->fds->position == o->position + distance ? o->fds : NULL;
}
/* Unlinks the first of them; the caller frees it, and owns the descriptors. */
struct output_fds *output_take_fds(struct output *o);
/* They have been sent: closes our copies. */
void output_drop_fds(struct output *o);
/* How many bytes from this distance on belong to frames up to, not including, the next one with descriptors
 * after it. */
size_t output_run(const struct output *o, size_t distance);
/* So many bytes from start on are done with. Frees the memory when nothing is left. */
void output_advance(struct output *o, size_t n);
/* Frees the memory if nothing is in it. */
void output_release(struct output *o);
/* Drops everything. */
void output_done(struct output *o);
