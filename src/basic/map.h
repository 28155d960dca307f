/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A hash table from a short byte string (name, aid) or a 64-bit number to a pointer. uthash underneath,
 * wrapped once: its default dies when memory runs out and hashes without a key. Keys are copied, values
 * are borrowed. Iteration is in insertion order. */

#include "basic/siphash.h"

typedef struct map map;

int map_new(map **ret);
/* Frees the table; calls destroy (if given) for each value. Takes NULL; returns NULL. */
map *map_free(map *m, void (*destroy)(void *value));

/* -EEXIST if the key is there already, -ENOMEM. */
int map_put(map *m, const void *key, size_t key_size, void *value);
void *map_get(const map *m, const void *key, size_t key_size);
/* Removes the key and returns what it stood for, or NULL. */
void *map_remove(map *m, const void *key, size_t key_size);
size_t map_size(const map *m);

static inline int map_put_string(map *m, const char *key, void *value) {
        return map_put(m, key, strlen(key), value);
}
static inline void *map_get_string(const map *m, const char *key) {
        return map_get(m, key, strlen(key));
}
static inline void *map_remove_string(map *m, const char *key) {
        return map_remove(m, key, strlen(key));
}
static inline int map_put_u64(map *m, uint64_t key, void *value) {
        return map_put(m, &key, sizeof(key), value);
}
static inline void *map_get_u64(const map *m, uint64_t key) {
        return map_get(m, &key, sizeof(key));
}
static inline void *map_remove_u64(map *m, uint64_t key) {
        return map_remove(m, &key, sizeof(key));
}

/* Safe against removal of the current element by the body:
 *         void *position = NULL;
 *         foo *f;
 *         while ((f = map_next(m, &position))) ...
 */
void *map_next(const map *m, void **position);
