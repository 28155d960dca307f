/* SPDX-License-Identifier: MIT-0 */
/* clock: a module of an actor that is busy by itself (clock.actor): a timer on its own sd-event loop
 * ticks ten times a second, and anybody may ask how often it has. See periodic.c for the same inside a
 * program of one's own. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <time.h>

struct clock {
        sd_event_source *timer;
        uint64_t period_usec, ticks, tasks;
};

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        struct clock *c = userdata;

        c->ticks++;
        return sd_event_source_set_time_relative(s, c->period_usec);
}

static int start(arbiter_actor *a, void *userdata) {
        const char *period = arbiter_actor_get_parameter(a, "period_ms"); /* Params= of the configuration */
        struct clock *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        arbiter_actor_set_userdata(a, c);
        c->period_usec = period ? strtoull(period, NULL, 10) * 1000 : 100000;
        if (c->period_usec == 0)
                return -EINVAL; /* fails the start, and says why */
        r = sd_event_add_time_relative(arbiter_actor_get_event(a), &c->timer, CLOCK_MONOTONIC,
                        c->period_usec, 1000, on_tick, c);
        return r < 0 ? r : sd_event_source_set_enabled(c->timer, SD_EVENT_ON);
}

/* With each sign of life: for housekeeping. */
static int periodic_task(arbiter_actor *a, void *userdata) {
        struct clock *c = userdata;
        char text[32];

        (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) ++c->tasks);
        return arbiter_actor_set_extra(a, "periodic_tasks", text); /* seen in "arbiterctl info clock" */
}

static int ticks(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct clock *c = userdata;

        return arbiter_message_reply(m, "t", c->ticks);
}

static void leave(arbiter_actor *a, void *userdata) {
        struct clock *c = userdata;

        if (c)
                sd_event_source_disable_unref(c->timer);
        free(c);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("ticks", "", NULL, "t", "number", ticks, 0),
        ARBITER_COMMANDS_END,
};

ARBITER_MODULE(.name = "clock", .description = "Ticks", .commands = commands, .start = start,
               .periodic_task = periodic_task, .exit = leave);
