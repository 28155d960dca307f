/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between state.c, which knows when entries are written, and state-fill.c, which knows what they say. */

#include "arbiter/internal.h"

/* One description that lives are started from, shared by all that are started from the same. */
struct state_use {
        struct state_key key;
        unsigned n_ref;
};

/* Stage one entry. A failure is remembered, and told, by state.c. */
void state_put(arbiter *a, const struct state_record *r);
void state_put_value(arbiter *a, uint8_t kind, const struct state_key *key, const void *value, size_t size);
void state_forget(arbiter *a, uint8_t kind, const void *key, size_t key_size);
void state_forget_number(arbiter *a, uint8_t kind, uint64_t n, unsigned n_bytes);
void state_failed(arbiter *a, int error);

/* The entry as it would be written now. Of what lives are started from the use counts. */
void state_fill_arbiter(arbiter *a, struct state_record *ret);
void state_fill_name(const struct name_memory *n, struct state_record *ret);
void state_fill_dead_aid(const arbiter *a, uint32_t i, struct state_record *ret);
void state_fill_child(const struct child *c, struct state_record *ret);
void state_fill_monitor(const arbiter_monitor *m, struct state_record *ret);
void state_fill_set(const struct set *s, struct state_record *ret);
/* False: there is no such slot. */
bool state_fill_slot(const struct set *s, uint32_t slot, struct state_record *ret);
void state_fill_tree_child(const struct set *s, uint32_t slot, struct state_record *ret);
void state_fill_place(const struct set *s, uint32_t slot, struct state_record *ret);

/* What is marked, as it is now. */
void state_write_arbiter(arbiter *a);
int state_write_monitor(arbiter_monitor *m);
int state_write_set(struct set *s);
int state_write_child(struct child *c);

/* Everything that lives is to be written, whether it was before or not. */
void state_mark_all(arbiter *a);

void state_release_spawn(arbiter *a, struct state_use **use);
