/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An intrusive, circular, doubly linked list: the node lives inside the element, so linking never
 * allocates and an element can leave in O(1) knowing only itself. A list_node that is in no list points
 * at itself. */

#include "basic/macro.h"

struct list_node {
        struct list_node *prev, *next;
};

static inline void list_init(struct list_node *n) {
        n->prev = n->next = n;
}

static inline bool list_is_empty(const struct list_node *head) {
        return head->next == head;
}

/* True while the node is a member of a list. */
static inline bool list_is_linked(const struct list_node *n) {
        return n->next && n->next != n;
}

static inline void list_insert_before(struct list_node *at, struct list_node *n) {
        n->prev = at->prev;
        n->next = at;
        at->prev->next = n;
        at->prev = n;
}

static inline void list_append(struct list_node *head, struct list_node *n) {
        list_insert_before(head, n);
}

static inline void list_prepend(struct list_node *head, struct list_node *n) {
        list_insert_before(head->next, n);
}

/* Idempotent. */
static inline void list_remove(struct list_node *n) {
        if (!n->next)
                return;
        n->prev->next = n->next;
        n->next->prev = n->prev;
        list_init(n);
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
#define LIST_FIRST(head, type, member) (list_is_empty(head) ? NULL : LIST_ENTRY((head)->next, type, member))
#define LIST_LAST(head, type, member) (list_is_empty(head) ? NULL : LIST_ENTRY((head)->prev, type, member))

/* Safe against removal of the current element (only of the current one) by the body. */
#define LIST_FOREACH(i, head, type, member)                                                              \
        for (type *i = LIST_ENTRY((head)->next, type, member),                                           \
                  *_next_##i = LIST_ENTRY(i->member.next, type, member);                                 \
             &i->member != (head);                                                                       \
             i = _next_##i, _next_##i = LIST_ENTRY(i->member.next, type, member))
