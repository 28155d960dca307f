/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the rest of the arbiter says to the state journal: what has changed. Part of internal.h. */

#include <arbiter/arbiter.h>

#include "arbiter/names.h"

struct child;
struct notice;
struct relation;
struct set;
struct state_key;
struct state_use;

/* state.c. All of it is for nothing, and costs nothing, without a journal. */
void state_init(arbiter *a);
void state_done(arbiter *a);
/* It has changed, and is to be written as it is by the next commit. */
void state_mark_arbiter(arbiter *a);
void state_mark_child(struct child *c);
void state_mark_set(struct set *s);
void state_mark_monitor(arbiter_monitor *m);
/* It is no more. */
void state_forget_child(struct child *c);
void state_forget_monitor(arbiter_monitor *m);
/* All that has been marked and put since the last one becomes true at once: before each effect of a
 * decision, and at the end of each turn before what was sent leaves. */
void state_commit(arbiter *a);
/* It has ended in order: nothing is left to take over. */
void state_end(arbiter *a);
/* There is room for what actors ask for: they share half of it, so that they cannot keep what the
 * configuration says from being written. */
bool state_has_room(arbiter *a);
/* Who takes over: from arbiter_set_state() on nothing is committed, so that what was left can be read in
 * peace; once it has been taken up, what nobody has taken up is swept out, and it goes on. */
void state_sweep(arbiter *a);
void state_release(arbiter *a);

/* state-fill.c: what is written as soon as it is there, with the next commit. */
struct death;
void state_put_name(arbiter *a, const struct name_memory *n);
void state_forget_name(arbiter *a, const struct name_memory *n);
void state_put_dead_aid(arbiter *a, uint32_t i);
void state_put_death(arbiter *a, const char *name, const char *monitor, const struct death *death);
void state_put_place(struct set *s, uint32_t slot);
void state_forget_place(struct set *s, uint32_t slot);
void state_put_link(const struct relation *r);
void state_forget_link(const struct relation *r);
void state_put_exit(struct notice *n);
void state_forget_exit(const struct notice *n);
/* It has been sent; true: it stays until it has left for sure. */
bool state_exit_sent(struct notice *n);
/* What is configured by this name is over, and not to be started by who takes over; or (on false) is not. */
void state_mark_rest(arbiter *a, const char *name, bool monitor, bool on);
/* *use: a description that it is started from, taken in place of the one that it had; as it was left by the
 * arbiter before, by its key. */
int state_use_spawn(arbiter *a, const arbiter_spawn *s, struct state_use **use);
int state_use_left(arbiter *a, const struct state_key *key, struct state_use **use);
