/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a link has read and not yet dispatched: bytes in private memory, where frames begin 8-aligned, and
 * received descriptors in the order of their arrival. Both exist only while something is buffered. */

#include "basic/macro.h"

enum { INPUT_SIZE_SMALL = 8 * 1024 };

struct input {
        uint8_t *data;
        size_t allocated;
        /* [start, scanned): whole frames whose size is checked and whose system-lane members are already
         * dispatched; [scanned, end): not looked at yet, or the front of a frame */
        size_t start, scanned, end;
        int *fds; /* [fds_start, n_fds) are live; a slot whose descriptor was handed out is -EBADF */
        size_t fds_start, fds_scanned, n_fds, fds_allocated;
        bool bulk; /* the last reads filled a small buffer: begin with a large one */
};

static inline size_t input_size(const struct input *in) {
        return in->end - in->start;
}
static inline bool input_is_exhausted(const struct input *in) {
        return in->start == in->scanned;
}

/* Room for a read; the number of bytes from data + end on, 0 if what is there should be dispatched first,
 * -ENOMEM. room_min: as much is needed for one read (the size of a datagram); 0: any. */
ssize_t input_prepare(struct input *in, size_t size, size_t room_min);
/* Room for exactly so much behind what is there. */
int input_make_room(struct input *in, size_t size);
/* Room for so many more: what has been received must not be lost for want of it. */
int input_reserve_fds(struct input *in, size_t n_fds);
/* Takes the descriptors in any case. */
int input_add_fds(struct input *in, const int *fds, size_t n_fds);
/* Frees the memory if nothing is in it. */
void input_release(struct input *in);
/* Drops everything. */
void input_done(struct input *in);
