/* SPDX-License-Identifier: MIT-0 */
/* periodic: an actor that does something regularly, in both ways that there are. The periodic_task hook
 * runs with each sign of life that the actor sends (0.3 x its timeout): for housekeeping, at no cost of
 * its own. For anything else an actor has a whole sd-event loop: timers, sockets, inotify, child
 * processes. Here, a timer. Ends when both have done enough. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define TICK_USEC 20000
#define TICKS 10
#define TASKS 2

/* An actor's own state hangs on its userdata: made in start, gone after exit. */
struct clock {
        sd_event_source *timer;
        unsigned ticks, tasks;
};

static int enough(arbiter_actor *a, struct clock *c) {
        /* Idempotent: the actor asks itself to leave, with exit code 0. */
        return c->ticks >= TICKS && c->tasks >= TASKS ? arbiter_actor_stop(a, 0) : 0;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        arbiter_actor *a = userdata;
        struct clock *c = arbiter_actor_get_userdata(a);
        int r;

        c->ticks++;
        r = sd_event_source_set_time_relative(s, TICK_USEC);
        if (r < 0)
                return r;
        return enough(a, c);
}

static int start(arbiter_actor *a, void *userdata) {
        struct clock *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        arbiter_actor_set_userdata(a, c);
        /* An accuracy of 1 ms: 0 would be the default, a quarter of a second. */
        r = sd_event_add_time_relative(arbiter_actor_get_event(a), &c->timer, CLOCK_MONOTONIC,
                        TICK_USEC, 1000, on_tick, a);
        if (r < 0)
                return r; /* a start hook that fails fails the spawn */
        return sd_event_source_set_enabled(c->timer, SD_EVENT_ON);
}

static int periodic_task(arbiter_actor *a, void *userdata) {
        struct clock *c = userdata;

        c->tasks++;
        return enough(a, c);
}

/* The last call. */
static void leave(arbiter_actor *a, void *userdata) {
        struct clock *c = userdata;

        if (!c)
                return;
        printf("the timer ticked %s, the periodic task ran %s\n", c->ticks >= TICKS ? "often" : "rarely",
                        c->tasks >= TASKS ? "often" : "rarely");
        fflush(stdout); /* a process actor leaves by _exit(): the buffers of stdio are the parent's */
        sd_event_source_disable_unref(c->timer);
        free(c);
}

static const arbiter_module clock_module = {
        ARBITER_MODULE_HEAD,
        .name = "clock",
        .start = start,
        .periodic_task = periodic_task,
        .exit = leave,
};

static void on_down(arbiter_actor *self, const arbiter_down *down, void *userdata) {
        printf("%s is gone: %s\n", down->name, arbiter_reason_to_string(down->reason));
        arbiter_stop(userdata, arbiter_reason_is_normal(down->reason, down->status) ? 0 : 1);
}

static int run(void) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *spawn = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *started = NULL;
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *p = NULL;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r >= 0)
                r = arbiter_start(a);
        if (r >= 0)
                r = arbiter_spawn_new(a, "clock", &spawn);
        if (r >= 0)
                r = arbiter_spawn_set_module(spawn, &clock_module);
        /* Two seconds without a sign of life would mean that it hangs; so it gives one every 0.6 s. */
        if (r >= 0)
                r = arbiter_spawn_set_timeouts(spawn, 2000000, 0, 0, 0);
        if (r >= 0)
                r = arbiter_spawn_start(spawn, &started);
        if (r >= 0)
                r = arbiter_future_wait(started, 0);
        if (r >= 0)
                r = arbiter_future_get_proxy(started, &p);
        if (r >= 0)
                r = arbiter_actor_watch(arbiter_get_actor(a), p, on_down, a, NULL);
        return r < 0 ? r : arbiter_run(a, true);
}

int main(void) {
        int r = run();

        if (r < 0)
                fprintf(stderr, "periodic: %s\n", strerror(-r));
        return r < 0 ? 1 : r;
}
