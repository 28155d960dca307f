/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See waiters.h. Called by child.c, monitor.c, roll.c and tree*.c. Runs nobody's callback: those of a future
 * come in a later turn of the loop. */

#include <stdio.h>

#include "actor/call.h"
#include "arbiter/internal.h"

struct waiter {
        struct list_node waiters;
        arbiter_future *future;
};

int waiters_add(struct list_node *list, arbiter_future *f) {
        struct waiter *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->future = arbiter_future_ref(f);
        list_append(list, &w->waiters);
        return 0;
}

int waiters_add_new(struct list_node *list, arbiter_actor *a, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        if (!ret)
                return 0;
        r = future_new(a, &f);
        if (r >= 0)
                r = waiters_add(list, f);
        if (r >= 0)
                *ret = TAKE_PTR(f);
        return r;
}

/* The first one, which is in the list no more; NULL: none is left. */
static arbiter_future *take(struct list_node *list) {
        struct waiter *w = LIST_FIRST(list, struct waiter, waiters);
        arbiter_future *f;

        if (!w)
                return NULL;
        f = w->future;
        list_remove(&w->waiters);
        free(w);
        return f;
}

void waiters_resolve(struct list_node *list) {
        arbiter_future *f;

        while ((f = take(list))) {
                future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
                arbiter_future_unref(f);
        }
}

void waiters_fail(struct list_node *list, arbiter_outcome outcome, const char *format, ...) {
        char text[FAILURE_TEXT_MAX];
        arbiter_future *f;
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        while ((f = take(list))) {
                future_fail(f, outcome, "%s", text);
                arbiter_future_unref(f);
        }
}

void waiters_forget(struct list_node *list) {
        arbiter_future *f;

        while ((f = take(list)))
                arbiter_future_unref(f);
}
