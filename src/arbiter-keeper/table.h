/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptors by name. It owns them. */

#include <sys/types.h>

#include "basic/list.h"
#include "basic/map.h"
#include "shared/keeper-link.h"

struct kept {
        struct list_node list;
        int fd;
        uint64_t owner; /* who has put it last */
        char name[KEEPER_NAME_SIZE];
};

struct table {
        map *names;
        struct list_node list; /* oldest first: an arbiter that re-adopts gets them in that order */
        size_t max;
};

int table_init(struct table *t, size_t max);
void table_done(struct table *t);

/* Takes fd over, also on failure. What was there under that name is closed. -ENOSPC, -ENOMEM. */
int table_put(struct table *t, const char *name, int fd, uint64_t owner);
/* Is there none: nothing to do. */
void table_forget(struct table *t, const char *name);
/* Closes all that others have put. */
void table_prune(struct table *t, uint64_t owner);
static inline size_t table_size(const struct table *t) {
        return map_size(t->names);
}
