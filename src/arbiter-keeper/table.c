/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the keeper keeps. Called by keeper.c. Must never look into a descriptor, nor keep more than it was
 * told to. */

#include "arbiter-keeper/table.h"

int table_init(struct table *t, size_t max) {
        *t = (struct table){ .max = max };
        list_init(&t->list);
        return map_new(&t->names);
}

static void free_kept(struct table *t, struct kept *k) {
        (void) map_remove_string(t->names, k->name);
        list_remove(&k->list);
        close_fd(k->fd);
        free(k);
}

void table_done(struct table *t) {
        if (t->names)
                LIST_FOREACH(k, &t->list, struct kept, list)
                        free_kept(t, k);
        t->names = map_free(t->names, NULL);
}

static int add(struct table *t, const char *name, struct kept **ret) {
        struct kept *k;
        int r;

        if (table_size(t) >= t->max)
                return -ENOSPC;
        k = calloc(1, sizeof(*k));
        if (!k)
                return -ENOMEM;
        k->fd = -EBADF;
        memcpy(k->name, name, strlen(name));
        r = map_put_string(t->names, name, k);
        if (r < 0) {
                free(k);
                return r;
        }
        list_append(&t->list, &k->list);
        *ret = k;
        return 0;
}

int table_put(struct table *t, const char *name, int fd, uint64_t owner) {
        struct kept *k = map_get_string(t->names, name);
        int r;

        assert(strlen(name) < KEEPER_NAME_SIZE);
        r = k ? 0 : add(t, name, &k);
        if (r < 0) {
                close_fd(fd);
                return r;
        }
        close_fd(k->fd);
        k->fd = fd;
        k->owner = owner;
        return 0;
}

void table_forget(struct table *t, const char *name) {
        struct kept *k = map_get_string(t->names, name);

        if (k)
                free_kept(t, k);
}

void table_prune(struct table *t, uint64_t owner) {
        LIST_FOREACH(k, &t->list, struct kept, list)
                if (k->owner != owner)
                        free_kept(t, k);
}
