/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lists of those who wait for one and the same event: futures that have one outcome together. */

#include <arbiter/actor.h>
#include <arbiter/future.h>

#include "basic/list.h"
#include "basic/macro.h"

int waiters_add(struct list_node *list, arbiter_future *f);
/* The same with a new future of this actor; ret NULL: nobody wants to know. */
int waiters_add_new(struct list_node *list, arbiter_actor *a, arbiter_future **ret);
/* Each of these leaves an empty list. */
void waiters_resolve(struct list_node *list);
void waiters_fail(struct list_node *list, arbiter_outcome outcome, const char *format, ...) _printf_(3, 4);
/* With no outcome of ours: the futures are their actor's, which is ending. */
void waiters_forget(struct list_node *list);
