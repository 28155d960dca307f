/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one place that includes uthash. */

#include "basic/map.h"

struct entry;
static uint64_t hash_key(const void *key, size_t size);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(keyptr, keylen, hashv) (hashv) = (unsigned) hash_key(keyptr, keylen)
#define uthash_nonfatal_oom(e) ((e)->failed = true)
#include <uthash.h>

struct entry {
        void *value;
        bool failed; /* uthash reports a failed insertion through its callback only */
        UT_hash_handle hh;
        uint8_t key[];
};

struct map {
        struct entry *head;
};

static uint64_t hash_key(const void *key, size_t size) {
        /* Address space layout randomisation is the only seed that needs no mutable static; mixed by
         * SipHash it is enough against chosen keys from a peer that cannot read our memory. */
        static const char anchor;
        const struct siphash_key k = {
                (uint64_t) (uintptr_t) &anchor,
                (uint64_t) (uintptr_t) &hash_key * 0x9e3779b97f4a7c15ULL,
        };

        return siphash24(key, size, &k);
}

int map_new(map **ret) {
        map *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        *ret = m;
        return 0;
}

map *map_free(map *m, void (*destroy)(void *value)) {
        struct entry *e, *next;

        if (!m)
                return NULL;
        HASH_ITER(hh, m->head, e, next) {
                HASH_DEL(m->head, e);
                if (destroy)
                        destroy(e->value);
                free(e);
        }
        free(m);
        return NULL;
}

static struct entry *find(const map *m, const void *key, size_t key_size) {
        struct entry *e;

        HASH_FIND(hh, m->head, key, key_size, e);
        return e;
}

int map_put(map *m, const void *key, size_t key_size, void *value) {
        struct entry *e;

        if (find(m, key, key_size))
                return -EEXIST;

        e = malloc(sizeof(*e) + key_size);
        if (!e)
                return -ENOMEM;
        *e = (struct entry){ .value = value };
        memcpy(e->key, key, key_size);

        HASH_ADD_KEYPTR(hh, m->head, e->key, key_size, e);
        if (e->failed) {
                free(e);
                return -ENOMEM;
        }
        return 0;
}

void *map_get(const map *m, const void *key, size_t key_size) {
        struct entry *e = find(m, key, key_size);

        return e ? e->value : NULL;
}

void *map_remove(map *m, const void *key, size_t key_size) {
        struct entry *e = find(m, key, key_size);
        void *value;

        if (!e)
                return NULL;
        value = e->value;
        HASH_DEL(m->head, e);
        free(e);
        return value;
}

size_t map_size(const map *m) {
        return HASH_COUNT(m->head);
}

void *map_next(const map *m, void **position) {
        /* position holds the *next* entry, so that the body may remove the current one; a sentinel marks
         * the end */
        struct entry *e = *position ? *position : m->head;

        if (!e || e == (struct entry *) m)
                return NULL;
        *position = e->hh.next ? e->hh.next : (void *) m;
        return e->value;
}
