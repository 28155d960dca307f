/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set out of a state journal: whatever is accepted is a state that takes events, goes down when it is
 * told to, and is written as it was read. The input is entries, each a slot number (0: the head) and a
 * size, of two bytes, little-endian, and the bytes. */

#include "fuzz.h"
#include "supervise/supervise.h"

static int decode_entry(uint32_t number, const uint8_t *data, size_t size, supervise **s) {
        _cleanup_free_ uint8_t *copy = fuzz_copy(data, size);

        if (number == 0)
                return *s ? -EBADMSG : supervise_decode_begin(copy, size, s);
        return *s ? supervise_decode_slot(*s, number, copy, size) : -EBADMSG;
}

static int decode(const uint8_t *data, size_t size, supervise **ret) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        int r;

        while (size >= 4) {
                uint32_t number = (uint32_t) data[0] | (uint32_t) data[1] << 8;
                size_t n = (size_t) data[2] | (size_t) data[3] << 8;

                n = MIN(n, size - 4);
                r = decode_entry(number, data + 4, n, &s);
                if (r < 0)
                        return r;
                data += 4 + n;
                size -= 4 + n;
        }
        if (!s)
                return -EBADMSG;
        r = supervise_decode_finish(s);
        if (r >= 0)
                *ret = TAKE_PTR(s);
        return r;
}

/* No entry is larger than is promised. */
static void write_all(supervise *s) {
        uint8_t buffer[SUPERVISE_ENCODED_MAX];
        uint32_t number;

        supervise_mark_all(s);
        while (supervise_next_dirty(s, &number))
                FUZZ_CHECK((number > 0 ? supervise_encode_slot(s, number, buffer, sizeof(buffer)) :
                                         supervise_encode_head(s, buffer, sizeof(buffer))) >= 0);
}

static void pull(supervise *s) {
        supervise_action a;

        while (supervise_next_action(s, &a))
                FUZZ_CHECK(a.slot <= SUPERVISE_SLOTS_MAX);
}

/* Ends one life that was told to end. */
static bool end_one(supervise *s, uint32_t slot_max) {
        supervise_slot_info slot;

        for (uint32_t i = slot_max; i > 0; i--) {
                if (supervise_get_slot(s, i, &slot) < 0 || slot.state != SUPERVISE_SLOT_STOPPING)
                        continue;
                FUZZ_CHECK(supervise_handle(s, &(supervise_event){ .type = SUPERVISE_EXITED,
                                                                   .slot = i,
                                                                   .generation = slot.generation },
                                            0) >= 0);
                pull(s);
                return true;
        }
        return false;
}

static void exercise(supervise *s) {
        supervise_info info;

        supervise_resume(s);
        pull(s);
        FUZZ_CHECK(supervise_handle(s, &(supervise_event){ .type = SUPERVISE_TICK }, INT64_MAX) >= 0);
        pull(s);
        supervise_get_info(s, &info);
        FUZZ_CHECK(supervise_handle(s, &(supervise_event){ .type = SUPERVISE_STOP }, 0) >= 0);
        pull(s);
        while (end_one(s, info.slot_max))
                ;
        supervise_get_info(s, &info);
        FUZZ_CHECK(info.phase == SUPERVISE_PHASE_DOWN && info.due == NSEC_INFINITY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(supervise_freep) supervise *s = NULL;

        if (decode(data, size, &s) >= 0) {
                write_all(s);
                exercise(s);
        }
        return 0;
}
