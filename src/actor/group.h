/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an actor has at the arbiter beside its life: groups that it is a member of or watches (group.c),
 * locks that it holds (lock.c). */

#include "actor/actor.h"

/* "group" (s group, b joined, s aid, s name, u generation); "group-stale" (s group): look again. */
void group_handle_change(arbiter_actor *a, arbiter_message *m);
void group_handle_stale(arbiter_actor *a, arbiter_message *m);
/* "lock-ended" (s name, t number) */
void lock_handle_ended(arbiter_actor *a, arbiter_message *m);
/* To an arbiter that has just taken over. What is held is the last word of all. */
int groups_tell(arbiter_actor *a);
int locks_tell(arbiter_actor *a);
void groups_done(arbiter_actor *a);
void locks_done(arbiter_actor *a);
