/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The deadline heap. Owns only its array of pointers; the nodes belong to whoever embeds them. */

#include "basic/heap.h"

void heap_done(struct heap *h) {
        for (size_t i = 0; i < h->n_nodes; i++)
                h->nodes[i]->index = HEAP_UNLINKED;
        free(h->nodes);
        *h = (struct heap){};
}

static void place(struct heap *h, size_t i, struct heap_node *n) {
        h->nodes[i] = n;
        n->index = i;
}

static void sift_up(struct heap *h, size_t i, struct heap_node *n) {
        while (i > 0) {
                size_t parent = (i - 1) / 2;

                if (h->nodes[parent]->key <= n->key)
                        break;
                place(h, i, h->nodes[parent]);
                i = parent;
        }
        place(h, i, n);
}

static void sift_down(struct heap *h, size_t i, struct heap_node *n) {
        for (;;) {
                size_t child = 2 * i + 1;

                if (child >= h->n_nodes)
                        break;
                if (child + 1 < h->n_nodes && h->nodes[child + 1]->key < h->nodes[child]->key)
                        child++;
                if (n->key <= h->nodes[child]->key)
                        break;
                place(h, i, h->nodes[child]);
                i = child;
        }
        place(h, i, n);
}

/* For one node more than there are and are kept for. */
static int make_room(struct heap *h) {
        struct heap_node **nodes;
        size_t allocated;

        if (h->n_nodes + h->n_spare < h->n_allocated)
                return 0;
        allocated = MAX((size_t) 16, h->n_allocated * 2);
        nodes = reallocarray(h->nodes, allocated, sizeof(*nodes));
        if (!nodes)
                return -ENOMEM;
        h->nodes = nodes;
        h->n_allocated = allocated;
        return 0;
}

int heap_reserve(struct heap *h, struct heap_node *n) {
        int r;

        if (n->reserved)
                return 0;
        if (heap_node_is_linked(n))
                return -EBUSY;
        r = make_room(h);
        if (r < 0)
                return r;
        n->reserved = true;
        h->n_spare++;
        return 0;
}

void heap_release(struct heap *h, struct heap_node *n) {
        heap_remove(h, n);
        if (!n->reserved)
                return;
        n->reserved = false;
        if (h->n_spare > 0) /* 0: after heap_done() */
                h->n_spare--;
}

int heap_insert(struct heap *h, struct heap_node *n, uint64_t key) {
        int r;

        if (heap_node_is_linked(n))
                return -EBUSY;
        if (n->reserved && h->n_spare > 0)
                h->n_spare--;
        else {
                r = make_room(h);
                if (r < 0)
                        return r;
        }
        n->key = key;
        sift_up(h, h->n_nodes++, n);
        return 0;
}

void heap_remove(struct heap *h, struct heap_node *n) {
        size_t i = n->index;
        struct heap_node *last;

        if (!heap_node_is_linked(n))
                return;

        n->index = HEAP_UNLINKED;
        if (n->reserved)
                h->n_spare++;
        last = h->nodes[--h->n_nodes];
        if (last == n)
                return;

        if (i > 0 && last->key < h->nodes[(i - 1) / 2]->key)
                sift_up(h, i, last);
        else
                sift_down(h, i, last);
}

struct heap_node *heap_peek(const struct heap *h) {
        return h->n_nodes > 0 ? h->nodes[0] : NULL;
}
