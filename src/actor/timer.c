/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The actor's deadlines: a heap of our own behind one sd-event timer. The timer is only ever moved
 * forward when something earlier is inserted; when the earliest deadline is withdrawn it fires once for
 * nothing and is then set right, which is cheaper than timerfd_settime() for each request that is
 * answered in time. */

#include "actor/actor.h"

static void arm(arbiter_actor *a, usec_t at) {
        a->timer_armed = at;
        (void) sd_event_source_set_time(a->timer_source, at);
        (void) sd_event_source_set_enabled(a->timer_source, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        arbiter_actor *a = actor_ref(userdata), *previous;
        struct heap_node *n;
        usec_t now = now_usec();

        a->timer_armed = USEC_INFINITY;
        actor_enter(a, &previous);
        a->batch_depth++;
        while ((n = heap_peek(&a->timers)) && n->key <= now) {
                struct actor_timer *t = CONTAINER_OF(n, struct actor_timer, node);

                heap_remove(&a->timers, n);
                t->fire(a, t);
        }
        a->batch_depth--;
        actor_leave(a, previous);
        actor_turn_end(a);
        n = heap_peek(&a->timers);
        if (n && n->key < a->timer_armed && a->timer_source)
                arm(a, n->key);
        actor_unref(a);
        return 0;
}

int actor_timers_init(arbiter_actor *a) {
        int r;

        a->timer_armed = USEC_INFINITY;
        r = sd_event_add_time(a->event, &a->timer_source, CLOCK_MONOTONIC, 0, 1, on_timer, a);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(a->timer_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        /* Of the same priority as mail: sd-event's are strict, and neither a loop that always has mail
         * may miss its deadlines, nor one whose deadlines are always due its mail. Among equals, who has
         * waited longest goes first. */
        return 0;
}

void actor_timers_done(arbiter_actor *a) {
        a->timer_source = sd_event_source_disable_unref(a->timer_source);
        heap_done(&a->timers);
}

int actor_timer_set(arbiter_actor *a, struct actor_timer *t, usec_t at) {
        int r;

        heap_remove(&a->timers, &t->node);
        if (at == USEC_INFINITY)
                return 0;
        if (!a->timer_source)
                return -ESHUTDOWN;
        r = heap_insert(&a->timers, &t->node, at);
        if (r < 0)
                return r;
        if (at < a->timer_armed)
                arm(a, at);
        return 0;
}

int actor_timer_reserve(arbiter_actor *a, struct actor_timer *t) {
        return heap_reserve(&a->timers, &t->node);
}

void actor_timer_release(arbiter_actor *a, struct actor_timer *t) {
        heap_release(&a->timers, &t->node);
}

void actor_timer_clear(arbiter_actor *a, struct actor_timer *t) {
        heap_remove(&a->timers, &t->node);
}
