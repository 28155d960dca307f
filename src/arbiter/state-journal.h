/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state journal: what the next arbiter must know of this one, in memory that outlives it (a memfd that
 * is kept elsewhere: the fd store, the keeper). A set of entries, (kind, key) -> value, changed in
 * transactions. Whenever its writer is killed, at whatever instruction, the next one reads the entries as
 * the last commit left them.
 *
 * How. The memfd has a fixed size, sealed against shrinking and growing, so that a mapping of it cannot
 * fault. After a header come two halves. A half is a row of groups, one for each commit; its first group
 * is an image of all entries, those after it are the log. A group counts once its commit word is there,
 * which is written after all the rest of it; it says which group of which epoch this is, so that what an
 * earlier use has left behind is never taken for one. When a half is full, or nearly all of what is in it is
 * dead, an image of all entries is written to the other one, and one word in the header says that it holds
 * from now on. A process that is killed has done its stores up to some instruction and none after: on the
 * same memory no barrier but the compiler's is needed, and it has them from C11 atomics.
 *
 * What is read is believed only if the checksums hold and every length is inside its bounds: what is
 * damaged ends the reading, and is reported.
 *
 * All functions take NULL for the journal of an arbiter that has none, and then do nothing. One thread. */

#include "basic/macro.h"

enum {
        STATE_KEY_MAX = 128,
        STATE_VALUE_MAX = 1 << 20,
        STATE_JOURNAL_SIZE_MIN = 16 * 1024,
        STATE_JOURNAL_SIZE_DEFAULT = 64 * 1024 * 1024, /* only what is written to is memory */
};

struct state_journal;

struct state_entry {
        uint8_t kind;
        const void *key, *value; /* borrowed: until the next change */
        size_t key_size, value_size;
};

/* A new one, empty. size is rounded to pages. */
int state_journal_new(size_t size, struct state_journal **ret);
/* The one in this memfd, which is duplicated. 1: a part of it is damaged, and the entries are those of the
 * last group before that; 0: all is there. -EBADMSG: no journal, or nothing in it can be read;
 * -EPROTONOSUPPORT: one of a version that we do not know. The memfd may still be written to by nobody else:
 * its former writer must be dead. */
int state_journal_open(int fd, struct state_journal **ret);
struct state_journal *state_journal_free(struct state_journal *j);
DEFINE_CLEANUP(struct state_journal *, state_journal_free)
/* Borrowed; -EBADF without a journal. */
int state_journal_fd(const struct state_journal *j);

/* A transaction: any number of changes that become true together with the commit, or not at all. After an
 * error of put or remove there is nothing to commit: the transaction is over and all is as it was before
 * it. -ENOSPC: what is alive does not fit in half of the journal; -ENOMEM; -E2BIG: see the limits above. */
int state_journal_begin(struct state_journal *j);
int state_journal_put(struct state_journal *j, uint8_t kind, const void *key, size_t key_size,
                const void *value, size_t value_size);
/* 0 also when there is no such entry. */
int state_journal_remove(struct state_journal *j, uint8_t kind, const void *key, size_t key_size);
void state_journal_commit(struct state_journal *j);
void state_journal_cancel(struct state_journal *j);

/* As committed. -ENOENT. */
int state_journal_get(const struct state_journal *j, uint8_t kind, const void *key, size_t key_size,
                struct state_entry *ret);
/* All of a kind (0: of any), in the order in which they were first put:
 *         void *position = NULL;
 *         while (state_journal_next(j, kind, &position, &entry)) ...
 * Nothing may be put meanwhile; that what it shows is removed is all right. */
bool state_journal_next(const struct state_journal *j, uint8_t kind, void **position,
                struct state_entry *ret);

struct state_journal_usage {
        size_t size;     /* of a half */
        size_t used;     /* of the half in use, log and dead entries included */
        size_t entries;
        uint64_t epoch;  /* images written so far */
};
/* So much of it is alive. Looks at each entry. */
size_t state_journal_get_alive(const struct state_journal *j);
void state_journal_get_usage(const struct state_journal *j, struct state_journal_usage *ret);
