/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state journal: see the header for what it is and how it stays readable. Called by the arbiter with
 * each change of what must survive it, and once by its successor. Must never leave a moment at which a
 * kill would leave something else than the state before or after a commit, and never believe what it
 * reads. */

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "arbiter/state-journal.h"
#include "basic/fd.h"
#include "basic/list.h"
#include "basic/map.h"

#define JOURNAL_MAGIC UINT64_C(0x6c6e726a74627261) /* "arbtjrnl" */
#define JOURNAL_VERSION 1U
#define JOURNAL_SIZE_MAX ((size_t) 1 << 30)
#define JOURNAL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define EPOCH_MAX UINT64_C(0xffffffff)
#define HEADER_SIZE 4096U
#define ALIGNMENT 8U
/* Dead entries are worth another image when all is so many times what is alive, but not for so little: the
 * next one reads all of it before it does anything else, and what was written to is memory. */
#define LOG_RATIO 4U
#define LOG_SIZE_MIN ((size_t) 512 * 1024)

struct header {
        uint64_t magic;
        uint32_t version;
        uint32_t reserved;
        uint64_t size;
        _Atomic uint64_t last; /* the word of the last group, written after it: says also which half holds */
};

/* Followed by its records. */
struct group {
        _Atomic uint64_t word; /* epoch << 32 | index in the half: there once the rest is */
        uint64_t checksum;     /* of all that follows, with the word in the key */
        uint32_t size;         /* of the records */
        uint32_t n_records;
};

/* Followed by key and value, and zeros up to the alignment. */
struct record {
        uint8_t kind;
        uint8_t removed;
        uint16_t key_size;
        uint32_t value_size;
};

/* Offsets are into the half in use; 0 is none, because a group comes before every record. */
struct entry {
        struct list_node changed; /* in the transaction */
        size_t offset;            /* of its record, as committed */
        size_t pending;           /* of its record in the transaction */
        bool removed;             /* in the transaction */
        uint8_t key_size;
        uint8_t key[]; /* the kind comes first */
};

struct state_journal {
        int fd;
        uint8_t *memory;
        size_t size, half_size;
        uint64_t epoch;
        uint32_t index;        /* of the next group */
        size_t tail;           /* where it goes */
        size_t limit;          /* of the tail: an image is due */
        size_t staged;         /* bytes of records behind its header; SIZE_MAX: no transaction */
        uint32_t n_staged;
        struct list_node changed;
        map *entries;
};

static struct header *header_of(const struct state_journal *j) {
        return (struct header *) j->memory;
}

static uint8_t *half_at(const struct state_journal *j, uint64_t epoch) {
        return j->memory + HEADER_SIZE + (epoch % 2) * j->half_size;
}

static struct group *group_at(const struct state_journal *j, uint64_t epoch, size_t offset) {
        return (struct group *) (half_at(j, epoch) + offset);
}

static const struct record *record_at(const struct state_journal *j, size_t offset) {
        return (const struct record *) (half_at(j, j->epoch) + offset);
}

static size_t record_size(size_t key_size, size_t value_size) {
        return ALIGN_TO(sizeof(struct record) + key_size + value_size, ALIGNMENT);
}

static uint64_t group_word(uint64_t epoch, uint32_t index) {
        return epoch << 32 | index;
}

static uint64_t group_checksum(const struct group *g, uint64_t word, size_t size) {
        return siphash24(&g->size, sizeof(*g) - offsetof(struct group, size) + size,
                        &(struct siphash_key){ word, JOURNAL_MAGIC });
}

/* The records are there: makes them true. */
static void group_commit(const struct state_journal *j, struct group *g, uint64_t word, size_t size,
                uint32_t n_records) {

        g->size = (uint32_t) size;
        g->n_records = n_records;
        g->checksum = group_checksum(g, word, size);
        atomic_store_explicit(&g->word, word, memory_order_release);
        atomic_store_explicit(&header_of(j)->last, word, memory_order_release);
}

/* Entries. */

static void make_key(uint8_t *ret, uint8_t kind, const void *key, size_t key_size) {
        ret[0] = kind;
        if (key_size > 0)
                memcpy(ret + 1, key, key_size);
}

static struct entry *find_entry(const struct state_journal *j, uint8_t kind, const void *key,
                size_t key_size) {
        uint8_t k[1 + STATE_KEY_MAX];

        if (key_size > STATE_KEY_MAX)
                return NULL;
        make_key(k, kind, key, key_size);
        return map_get(j->entries, k, 1 + key_size);
}

static int add_entry(struct state_journal *j, uint8_t kind, const void *key, size_t key_size,
                struct entry **ret) {
        struct entry *e = calloc(1, sizeof(*e) + 1 + key_size);
        int r;

        if (!e)
                return -ENOMEM;
        list_init(&e->changed);
        e->key_size = (uint8_t) key_size;
        make_key(e->key, kind, key, key_size);
        r = map_put(j->entries, e->key, 1 + key_size, e);
        if (r < 0) {
                free(e);
                return r;
        }
        *ret = e;
        return 0;
}

static void drop_entry(struct state_journal *j, struct entry *e) {
        (void) map_remove(j->entries, e->key, 1 + e->key_size);
        list_remove(&e->changed);
        free(e);
}

/* Writing. */

static void write_record(void *at, uint8_t kind, bool removed, const void *key, size_t key_size,
                const void *value, size_t value_size) {
        struct record r = {
                .kind = kind,
                .removed = removed,
                .key_size = (uint16_t) key_size,
                .value_size = (uint32_t) value_size,
        };
        size_t size = record_size(key_size, value_size), used = sizeof(r) + key_size + value_size;
        uint8_t *p = at;

        memcpy(p, &r, sizeof(r));
        if (key_size > 0)
                memcpy(p + sizeof(r), key, key_size);
        if (value_size > 0)
                memcpy(p + sizeof(r) + key_size, value, value_size);
        memset(p + used, 0, size - used);
}

static size_t image_size(const struct state_journal *j) {
        void *position = NULL;
        size_t size = 0;
        struct entry *e;

        while ((e = map_next(j->entries, &position)))
                if (e->offset > 0) {
                        const struct record *r = record_at(j, e->offset);

                        size += record_size(r->key_size, r->value_size);
                }
        return size;
}

/* Copies what is committed to the other half, in one group. The entries still say where it was. */
static uint32_t copy_entries(const struct state_journal *j, uint8_t *to) {
        void *position = NULL;
        uint32_t n = 0;
        struct entry *e;

        while ((e = map_next(j->entries, &position)))
                if (e->offset > 0) {
                        const struct record *r = record_at(j, e->offset);
                        size_t size = record_size(r->key_size, r->value_size);

                        memcpy(to, r, size);
                        to += size;
                        n++;
                }
        return n;
}

/* The same walk again, once the copy holds. */
static void move_entries(struct state_journal *j, size_t offset) {
        void *position = NULL;
        struct entry *e;

        while ((e = map_next(j->entries, &position)))
                if (e->offset > 0) {
                        const struct record *r = record_at(j, e->offset);
                        size_t size = record_size(r->key_size, r->value_size);

                        e->offset = offset;
                        offset += size;
                }
}

/* What the transaction has written so far moves behind the image. */
static void move_staged(struct state_journal *j, const uint8_t *from, size_t new_tail) {
        memcpy(half_at(j, j->epoch) + new_tail + sizeof(struct group), from + j->tail + sizeof(struct group),
                        j->staged);
        LIST_FOREACH(e, &j->changed, struct entry, changed)
                e->pending += new_tail - j->tail;
}

static void set_limit(struct state_journal *j, size_t alive) {
        j->limit = MIN(j->half_size, MAX(LOG_SIZE_MIN, LOG_RATIO * alive));
}

/* All entries as one image in the other half, which then holds. more: what must fit behind it. */
static int write_image(struct state_journal *j, size_t more) {
        size_t size = image_size(j), staged = j->staged == SIZE_MAX ? 0 : j->staged;
        size_t tail = sizeof(struct group) + size;
        const uint8_t *from = half_at(j, j->epoch);
        uint64_t epoch = j->epoch + 1;
        struct group *g = group_at(j, epoch, 0);
        uint32_t n;

        if (tail + sizeof(struct group) + staged + more > j->half_size)
                return -ENOSPC;
        /* The first word of that half may say that it holds an older image: not while this is written. */
        atomic_store_explicit(&g->word, 0, memory_order_release);
        n = copy_entries(j, (uint8_t *) g + sizeof(*g));
        group_commit(j, g, group_word(epoch, 0), size, n);

        move_entries(j, sizeof(*g));
        j->epoch = epoch;
        if (j->staged != SIZE_MAX)
                move_staged(j, from, tail);
        j->tail = tail;
        j->index = 1;
        set_limit(j, tail + staged + more);
        return 0;
}

/* Transactions. */

int state_journal_begin(struct state_journal *j) {
        if (!j)
                return 0;
        assert(j->staged == SIZE_MAX);
        j->staged = 0;
        j->n_staged = 0;
        return 0;
}

static void end_transaction(struct state_journal *j) {
        j->staged = SIZE_MAX;
        j->n_staged = 0;
}

void state_journal_cancel(struct state_journal *j) {
        if (!j || j->staged == SIZE_MAX)
                return;
        LIST_FOREACH(e, &j->changed, struct entry, changed) {
                list_remove(&e->changed);
                e->pending = 0;
                e->removed = false;
                if (e->offset == 0)
                        drop_entry(j, e);
        }
        end_transaction(j);
}

static int stage(struct state_journal *j, struct entry *e, bool removed, const void *value,
                size_t value_size) {
        size_t size = record_size(e->key_size, value_size), offset;
        int r;

        if (j->tail + sizeof(struct group) + j->staged + size > j->limit) {
                r = write_image(j, size);
                if (r < 0)
                        return r;
        }
        offset = j->tail + sizeof(struct group) + j->staged;
        write_record(half_at(j, j->epoch) + offset, e->key[0], removed, e->key + 1, e->key_size, value,
                        value_size);
        j->staged += size;
        j->n_staged++;
        e->pending = offset;
        e->removed = removed;
        if (!list_is_linked(&e->changed))
                list_append(&j->changed, &e->changed);
        return 0;
}

static int put(struct state_journal *j, uint8_t kind, const void *key, size_t key_size, const void *value,
                size_t value_size) {
        struct entry *e = find_entry(j, kind, key, key_size);
        int r;

        if (key_size > STATE_KEY_MAX || value_size > STATE_VALUE_MAX)
                return -E2BIG;
        if (!e) {
                r = add_entry(j, kind, key, key_size, &e);
                if (r < 0)
                        return r;
        }
        r = stage(j, e, false, value, value_size);
        if (r < 0 && e->offset == 0 && e->pending == 0)
                drop_entry(j, e);
        return r;
}

int state_journal_put(struct state_journal *j, uint8_t kind, const void *key, size_t key_size,
                const void *value, size_t value_size) {
        int r;

        if (!j)
                return 0;
        assert(j->staged != SIZE_MAX);
        assert(kind != 0);
        r = put(j, kind, key, key_size, value, value_size);
        if (r < 0)
                state_journal_cancel(j);
        return r;
}

int state_journal_remove(struct state_journal *j, uint8_t kind, const void *key, size_t key_size) {
        struct entry *e;
        int r;

        if (!j)
                return 0;
        assert(j->staged != SIZE_MAX);
        e = find_entry(j, kind, key, key_size);
        if (!e)
                return 0;
        r = stage(j, e, true, NULL, 0);
        if (r < 0)
                state_journal_cancel(j);
        return r;
}

void state_journal_commit(struct state_journal *j) {
        if (!j || j->staged == SIZE_MAX)
                return;
        if (j->n_staged > 0) {
                group_commit(j, group_at(j, j->epoch, j->tail), group_word(j->epoch, j->index), j->staged,
                                j->n_staged);
                j->tail += sizeof(struct group) + j->staged;
                j->index++;
        }
        LIST_FOREACH(e, &j->changed, struct entry, changed) {
                list_remove(&e->changed);
                e->offset = e->removed ? 0 : e->pending;
                e->pending = 0;
                if (e->offset == 0)
                        drop_entry(j, e);
        }
        end_transaction(j);
}

/* Reading. */

/* One record at offset of a group whose records end at end. Its size, or -EBADMSG. */
static ssize_t check_record(const uint8_t *half, size_t offset, size_t end) {
        struct record r;
        size_t size;

        if (end - offset < sizeof(r))
                return -EBADMSG;
        memcpy(&r, half + offset, sizeof(r));
        if (r.kind == 0 || r.removed > 1 || r.key_size > STATE_KEY_MAX || r.value_size > STATE_VALUE_MAX ||
                        (r.removed && r.value_size > 0))
                return -EBADMSG;
        size = record_size(r.key_size, r.value_size);
        return size <= end - offset ? (ssize_t) size : -EBADMSG;
}

static int apply_record(struct state_journal *j, size_t offset) {
        const struct record *r = record_at(j, offset);
        const uint8_t *key = (const uint8_t *) (r + 1);
        struct entry *e = find_entry(j, r->kind, key, r->key_size);
        int q;

        if (r->removed) {
                if (e)
                        drop_entry(j, e);
                return 0;
        }
        if (!e) {
                q = add_entry(j, r->kind, key, r->key_size, &e);
                if (q < 0)
                        return q;
        }
        e->offset = offset;
        return 0;
}

/* The next group of j->epoch, at j->tail: 1, and the tail is behind it; 0: there is none; -EBADMSG: it is
 * damaged. It counts as a whole or not at all. */
static int read_group(struct state_journal *j) {
        const uint8_t *half = half_at(j, j->epoch);
        size_t start = j->tail + sizeof(struct group), end;
        uint64_t word = group_word(j->epoch, j->index);
        struct group *g = group_at(j, j->epoch, j->tail);
        uint32_t n = 0;

        if (start > j->half_size || atomic_load_explicit(&g->word, memory_order_acquire) != word)
                return 0;
        if (g->size > j->half_size - start || g->size % ALIGNMENT != 0 ||
                        g->checksum != group_checksum(g, word, g->size))
                return -EBADMSG;
        end = start + g->size;
        for (size_t offset = start; offset < end; n++) {
                ssize_t size = check_record(half, offset, end);

                if (size < 0)
                        return (int) size;
                offset += (size_t) size;
        }
        if (n != g->n_records)
                return -EBADMSG;
        for (size_t offset = start; offset < end;) {
                const struct record *r = record_at(j, offset);
                int q = apply_record(j, offset);

                if (q < 0)
                        return q;
                offset += record_size(r->key_size, r->value_size);
        }
        j->tail = end;
        j->index++;
        return 1;
}

static void forget_entries(struct state_journal *j) {
        void *position = NULL;
        struct entry *e;

        while ((e = map_next(j->entries, &position)))
                drop_entry(j, e);
}

/* 1: damaged after its image, or short of the last group; 0: whole; -EBADMSG: not even its image can be
 * read. */
static int read_half(struct state_journal *j, uint64_t epoch, uint64_t last) {
        int r;

        forget_entries(j);
        j->epoch = epoch;
        j->tail = 0;
        j->index = 0;
        do
                r = read_group(j);
        while (r > 0);
        if (r < 0 && r != -EBADMSG)
                return r;
        if (j->index == 0)
                return -EBADMSG;
        return r < 0 || group_word(epoch, j->index - 1) < last ? 1 : 0;
}

/* What the half itself says that its image is of. */
static uint64_t image_epoch(const struct state_journal *j, unsigned half) {
        return atomic_load_explicit(&group_at(j, half, 0)->word, memory_order_acquire) >> 32;
}

/* What is behind the damage must not come to life again behind the next group. So all that was read goes to
 * the other half, in an epoch that no group anywhere can be of. */
static int leave_damage(struct state_journal *j, uint64_t last_epoch) {
        uint64_t highest = MAX(MAX(j->epoch, last_epoch), MAX(image_epoch(j, 0), image_epoch(j, 1)));

        if (highest > EPOCH_MAX - 2)
                return -EBADMSG;
        j->epoch = highest + (highest ^ j->epoch) % 2;
        return write_image(j, 0);
}

static int read_all(struct state_journal *j) {
        uint64_t last = atomic_load_explicit(&header_of(j)->last, memory_order_acquire), other;
        int r;

        r = read_half(j, last >> 32, last);
        if (r == -EBADMSG) { /* better an older image than none: who asks has other sources, too */
                other = image_epoch(j, ((last >> 32) + 1) % 2);
                if (other % 2 == (last >> 32) % 2)
                        return -EBADMSG;
                r = read_half(j, other, UINT64_MAX);
        }
        if (r <= 0)
                return r;
        r = leave_damage(j, last >> 32);
        return r < 0 ? r : 1;
}

/* Life. */

static int map_memory(struct state_journal *j) {
        void *p = mmap(NULL, j->size, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);

        if (p == MAP_FAILED)
                return negative_errno();
        /* A forked actor must not have it to write to. */
        if (madvise(p, j->size, MADV_DONTFORK) < 0) {
                int r = negative_errno();

                (void) munmap(p, j->size);
                return r;
        }
        j->memory = p;
        j->half_size = (j->size - HEADER_SIZE) / 2; /* pages: aligned for everything */
        return map_new(&j->entries);
}

static struct state_journal *allocate(int fd, size_t size) {
        struct state_journal *j = calloc(1, sizeof(*j));

        if (!j)
                return NULL;
        j->fd = fd;
        j->size = size;
        j->staged = SIZE_MAX;
        list_init(&j->changed);
        return j;
}

int state_journal_new(size_t size, struct state_journal **ret) {
        _cleanup_(state_journal_freep) struct state_journal *j = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        size = ALIGN_TO(CLAMP(size, (size_t) STATE_JOURNAL_SIZE_MIN, JOURNAL_SIZE_MAX), HEADER_SIZE);
        fd = memfd_create("arbiter-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return negative_errno();
        if (ftruncate(fd, (off_t) size) < 0 || fcntl(fd, F_ADD_SEALS, JOURNAL_SEALS) < 0)
                return negative_errno();
        j = allocate(fd, size);
        if (!j)
                return -ENOMEM;
        (void) TAKE_FD(fd);
        r = map_memory(j);
        if (r < 0)
                return r;
        *header_of(j) = (struct header){.magic = JOURNAL_MAGIC, .version = JOURNAL_VERSION, .size = size};
        r = write_image(j, 0); /* of nothing: epoch 1 */
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

/* A mapping of it cannot fault, and its size is what it says. */
static int check_memfd(int fd, size_t *ret_size) {
        struct stat st;
        int seals;

        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0)
                return errno == EINVAL ? -EBADMSG : negative_errno();
        if ((seals & JOURNAL_SEALS) != JOURNAL_SEALS || (seals & F_SEAL_WRITE))
                return -EBADMSG;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (st.st_size < STATE_JOURNAL_SIZE_MIN || (uint64_t) st.st_size > JOURNAL_SIZE_MAX ||
                        st.st_size % HEADER_SIZE != 0)
                return -EBADMSG;
        *ret_size = (size_t) st.st_size;
        return 0;
}

static int check_header(const struct state_journal *j) {
        const struct header *h = header_of(j);

        if (h->magic != JOURNAL_MAGIC)
                return -EBADMSG;
        if (h->version != JOURNAL_VERSION)
                return -EPROTONOSUPPORT;
        return h->size == j->size ? 0 : -EBADMSG;
}

int state_journal_open(int fd, struct state_journal **ret) {
        _cleanup_(state_journal_freep) struct state_journal *j = NULL;
        _cleanup_close_ int copy = -EBADF;
        size_t size;
        int r;

        r = check_memfd(fd, &size);
        if (r < 0)
                return r;
        copy = fd_duplicate(fd);
        if (copy < 0)
                return copy;
        j = allocate(copy, size);
        if (!j)
                return -ENOMEM;
        (void) TAKE_FD(copy);
        r = map_memory(j);
        if (r < 0)
                return r;
        r = check_header(j);
        if (r < 0)
                return r;
        r = read_all(j);
        if (r < 0)
                return r;
        set_limit(j, state_journal_get_alive(j));
        *ret = TAKE_PTR(j);
        return r;
}

struct state_journal *state_journal_free(struct state_journal *j) {
        if (!j)
                return NULL;
        if (j->entries) {
                state_journal_cancel(j);
                forget_entries(j);
                map_free(j->entries, NULL);
        }
        if (j->memory)
                (void) munmap(j->memory, j->size);
        close_fd(j->fd);
        free(j);
        return NULL;
}

int state_journal_fd(const struct state_journal *j) {
        return j ? j->fd : -EBADF;
}

/* Looking. */

static void show_entry(const struct state_journal *j, const struct entry *e, struct state_entry *ret) {
        const struct record *r = record_at(j, e->offset);

        *ret = (struct state_entry){
                .kind = r->kind,
                .key = e->key + 1,
                .key_size = e->key_size,
                .value = (const uint8_t *) (r + 1) + r->key_size,
                .value_size = r->value_size,
        };
}

int state_journal_get(const struct state_journal *j, uint8_t kind, const void *key, size_t key_size,
                struct state_entry *ret) {
        const struct entry *e = j ? find_entry(j, kind, key, key_size) : NULL;

        if (!e || e->offset == 0)
                return -ENOENT;
        show_entry(j, e, ret);
        return 0;
}

bool state_journal_next(const struct state_journal *j, uint8_t kind, void **position,
                struct state_entry *ret) {
        const struct entry *e;

        if (!j)
                return false;
        while ((e = map_next(j->entries, position)))
                if (e->offset > 0 && (kind == 0 || e->key[0] == kind)) {
                        show_entry(j, e, ret);
                        return true;
                }
        return false;
}

size_t state_journal_get_alive(const struct state_journal *j) {
        return j ? sizeof(struct group) + image_size(j) : 0;
}

void state_journal_get_usage(const struct state_journal *j, struct state_journal_usage *ret) {
        *ret = j ? (struct state_journal_usage){
                .size = j->half_size,
                .used = j->tail,
                .entries = map_size(j->entries),
                .epoch = j->epoch,
        } : (struct state_journal_usage){};
}
