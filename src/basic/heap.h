/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A binary min-heap of deadlines, with the node inside the element, so that thousands of deadlines share one
 * sd-event timer (a timer source costs 6-7 us per dispatch). Insert and remove are O(log n); inserting in
 * rising order, the usual case, is O(1). */

#include "basic/time-util.h"

#define HEAP_UNLINKED SIZE_MAX

struct heap_node {
        uint64_t key; /* set by heap_insert() */
        size_t index; /* HEAP_UNLINKED when in no heap: initialise to that */
        bool reserved;
};

struct heap {
        struct heap_node **nodes;
        size_t n_nodes, n_allocated;
        size_t n_spare; /* places kept for reserved nodes that are not in it now */
};

void heap_done(struct heap *h);
/* A place is kept for this node, so that inserting it never fails for want of memory, until heap_release(),
 * which takes it out. The node must not be in the heap. -ENOMEM if the heap cannot grow. */
int heap_reserve(struct heap *h, struct heap_node *n);
void heap_release(struct heap *h, struct heap_node *n);
/* -ENOMEM if it cannot grow; -EBUSY if the node is in a heap already. */
int heap_insert(struct heap *h, struct heap_node *n, uint64_t key);
/* Idempotent. */
void heap_remove(struct heap *h, struct heap_node *n);
/* The node with the smallest key, or NULL. */
struct heap_node *heap_peek(const struct heap *h);

static inline bool heap_node_is_linked(const struct heap_node *n) {
        return n->index != HEAP_UNLINKED;
}
