/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A state journal that somebody else has written: the first byte says whether the rest is the whole
 * memfd, or the records of a group whose checksum is put right, because no fuzzer finds one. */

#include <fcntl.h>
#include <sys/mman.h>

#include "arbiter/state-journal.h"
#include "basic/fd.h"
#include "basic/siphash.h"
#include "fuzz.h"

#define SIZE STATE_JOURNAL_SIZE_MIN
#define HALF ((SIZE - 4096) / 2)

static void write_at(int fd, const void *data, size_t size, size_t offset) {
        FUZZ_CHECK(pwrite(fd, data, size, (off_t) offset) == (ssize_t) size);
}

/* The group as src/arbiter/state-journal.c lays it out, behind the empty image of a new journal. */
static void write_group(int fd, const uint8_t *data, size_t size) {
        struct {
                uint64_t word, checksum;
                uint32_t size, n_records;
                uint8_t records[HALF];
        } g = { .word = UINT64_C(1) << 32 | 1 };
        size_t length;

        FUZZ_CHECK(size >= 1);
        g.n_records = data[0];
        length = MIN(size - 1, HALF - 64) & ~(size_t) 7;
        memcpy(g.records, data + 1, length);
        g.size = (uint32_t) length;
        g.checksum = siphash24(&g.size, 8 + length,
                        &(struct siphash_key){ g.word, UINT64_C(0x6c6e726a74627261) });
        write_at(fd, &g, 24 + length, 4096 + HALF + 24);
}

static void walk(struct state_journal *j) {
        struct state_entry e;
        void *position = NULL;
        size_t n = 0;

        while (state_journal_next(j, 0, &position, &e)) {
                struct state_entry again;

                FUZZ_CHECK(e.kind != 0 && e.key_size <= STATE_KEY_MAX);
                FUZZ_CHECK(state_journal_get(j, e.kind, e.key, e.key_size, &again) == 0);
                FUZZ_CHECK(again.value == e.value && again.value_size == e.value_size);
                n++;
        }
        FUZZ_CHECK(state_journal_begin(j) == 0);
        if (state_journal_put(j, 9, "fuzz", 4, "x", 1) >= 0) {
                state_journal_commit(j);
                FUZZ_CHECK(state_journal_get(j, 9, "fuzz", 4, &e) == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct state_journal *j = NULL, *copy = NULL;
        int r;

        if (size < 2 || size > SIZE)
                return 0;
        FUZZ_CHECK(state_journal_new(SIZE, &j) == 0);
        if (data[0] % 2 == 0)
                write_at(state_journal_fd(j), data + 1, size - 1, 0);
        else
                write_group(state_journal_fd(j), data + 1, size - 1);
        r = state_journal_open(state_journal_fd(j), &copy);
        FUZZ_CHECK(r >= 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -ENOSPC);
        if (r >= 0) {
                walk(copy);
                state_journal_free(copy);
                FUZZ_CHECK(state_journal_open(state_journal_fd(j), &copy) == 0);
                walk(copy);
        }
        state_journal_free(copy);
        state_journal_free(j);
        return 0;
}
