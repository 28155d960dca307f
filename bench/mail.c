/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See mail.h. The sender's rate is fixed, whatever becomes of its requests, and the time that one takes
 * begins when it was due: an arbiter that stands still for a while is seen in all that were due meanwhile.
 * Nothing is sent again here. Some are answered later: that their
 * worker is not stopped before is what is counted of them, and not their time. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "bench.h"
#include "mail.h"

enum { TURN_US = 250, LATER_US = 2000, LATER_EVERY = 10 };

struct sender {
        arbiter_actor *actor;
        sd_event_source *timer;
        const char *target;
        unsigned workers;
        arbiter_message *resting; /* to be answered when nothing waits any more */
        double rate, begin, phase_begin, max_us;
        uint64_t n_due, requests, failed, waiting;
        struct histogram *histogram;
        char failure[160];
};

struct request {
        struct sender *sender;
        double due;
        bool later;
};

static double or_zero(double v) {
        return isfinite(v) ? v : 0;
}

static int say(struct sender *s, arbiter_message *m) {
        double now = now_us();
        int r;

        r = arbiter_message_reply(m, "tttdddds", s->requests, s->failed, s->waiting,
                        (now - s->phase_begin) / 1e6, or_zero(histogram_quantile(s->histogram, 0.5) / 1e3),
                        or_zero(histogram_quantile(s->histogram, 0.99) / 1e3), s->max_us, s->failure);
        free(s->histogram);
        s->histogram = histogram_new();
        s->requests = s->failed = 0;
        s->max_us = 0;
        s->failure[0] = 0;
        s->phase_begin = now;
        return r < 0 || s->histogram ? r : -ENOMEM;
}

static void say_at_rest(struct sender *s) {
        if (!s->resting || s->waiting > 0)
                return;
        (void)say(s, s->resting);
        s->resting = arbiter_message_unref(s->resting);
}

static void on_answer(arbiter_future *f, void *userdata) {
        struct request *q = userdata;
        struct sender *s = q->sender;
        double us = now_us() - q->due;

        s->waiting--;
        if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY) {
                if (!q->later)
                        histogram_add(s->histogram, us * 1e3);
                s->max_us = fmax(s->max_us, us);
        } else {
                if (!s->failure[0])
                        (void)snprintf(s->failure, sizeof(s->failure), "%s: %.100s",
                                        arbiter_outcome_to_string(arbiter_future_get_outcome(f)),
                                        arbiter_future_get_error_text(f));
                s->failed++;
        }
        free(q);
        say_at_rest(s);
}

/* To one worker, who may be between two lives. */
static int send_to(struct sender *s, unsigned number, const char *command, arbiter_future **ret) {
        arbiter_send_options o = {.size = sizeof(o), .flags = ARBITER_SEND_HOLD};
        arbiter_message *m;
        char name[64];
        int r;

        (void)snprintf(name, sizeof(name), "%s.%u", s->target, number);
        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        r = arbiter_message_append(m, "t", s->n_due);
        if (r >= 0)
                r = arbiter_send_with(s->actor, name, command, m, &o, ret);
        (void)arbiter_message_unref(m);
        return r;
}

static int send_one(struct sender *s, double due) {
        struct request *q = malloc(sizeof(*q));
        arbiter_future *f = NULL;
        const char *command;
        int r;

        if (!q)
                return -ENOMEM;
        *q = (struct request){.sender = s, .due = due, .later = s->n_due % LATER_EVERY == 0};
        command = q->later ? "later" : "work";
        s->requests++;
        s->waiting++;
        if (s->workers > 0)
                r = send_to(s, (unsigned)(s->n_due % s->workers) + 1, command, &f);
        else
                r = arbiter_call_async(s->actor, &f, s->target, command, 0, "t", s->n_due);
        if (r >= 0)
                r = arbiter_future_then(f, on_answer, q);
        (void)arbiter_future_unref(f);
        return r;
}

static int on_turn(sd_event_source *source, uint64_t usec, void *userdata) {
        struct sender *s = userdata;
        double now = now_us(), due;
        int r = 0;

        while (r >= 0 && (due = s->begin + (double)s->n_due * 1e6 / s->rate) <= now) {
                r = send_one(s, due);
                s->n_due++;
        }
        if (r < 0)
                return r;
        return sd_event_source_set_time_relative(source, TURN_US);
}

static int begin(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct sender *s = userdata;
        int r;

        if (!s || s->timer)
                return -EINVAL;
        s->begin = s->phase_begin = now_us();
        r = sd_event_add_time_relative(
                        arbiter_actor_get_event(a), &s->timer, CLOCK_MONOTONIC, TURN_US, 1, on_turn, s);
        return r < 0 ? r : sd_event_source_set_enabled(s->timer, SD_EVENT_ON);
}

static int report(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return userdata ? say(userdata, m) : -EINVAL;
}

/* Sends no more, and reports when all is answered. */
static int rest(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct sender *s = userdata;

        if (!s || !s->timer || s->resting)
                return -EINVAL;
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        s->resting = arbiter_message_ref(m);
        say_at_rest(s);
        return 0;
}

static int work(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint64_t n;
        int r = arbiter_message_read(m, "t", &n);

        return r < 0 ? r : arbiter_message_reply(m, "t", n);
}

/* It is not on a handler that such a request waits. */
struct delayed {
        arbiter_message *message;
        sd_event_source *timer;
        uint64_t n;
};

static int on_later(sd_event_source *timer, uint64_t usec, void *userdata) {
        struct delayed *d = userdata;
        int r = arbiter_message_reply(d->message, "t", d->n);

        (void)arbiter_message_unref(d->message);
        sd_event_source_disable_unref(d->timer);
        free(d);
        return r;
}

static int later(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct delayed *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        r = arbiter_message_read(m, "t", &d->n);
        if (r >= 0)
                r = sd_event_add_time_relative(arbiter_actor_get_event(a), &d->timer, CLOCK_MONOTONIC,
                                LATER_US, 1, on_later, d);
        if (r < 0) {
                free(d);
                return r;
        }
        d->message = arbiter_message_ref(m);
        return 0;
}

static int start(arbiter_actor *a, void *userdata) {
        const char *target = arbiter_actor_get_parameter(a, "target"),
                   *rate = arbiter_actor_get_parameter(a, "rate"),
                   *workers = arbiter_actor_get_parameter(a, "workers");
        struct sender *s;

        if (!target || !rate)
                return 0;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct sender){.actor = a,
                        .target = target,
                        .rate = atof(rate),
                        .workers = workers ? (unsigned)atoi(workers) : 0,
                        .histogram = histogram_new()};
        arbiter_actor_set_userdata(a, s);
        return s->histogram && s->rate > 0 ? 0 : -EINVAL;
}

static void leave(arbiter_actor *a, void *userdata) {
        struct sender *s = userdata;

        if (!s)
                return;
        sd_event_source_disable_unref(s->timer);
        (void)arbiter_message_unref(s->resting);
        free(s->histogram);
        free(s);
}

static const arbiter_command commands[] = {
                ARBITER_COMMAND("work", "t", "number", "t", "number", work, 0),
                ARBITER_COMMAND("later", "t", "number", "t", "number", later, 0),
                ARBITER_COMMAND("begin", "", NULL, "", NULL, begin, 0),
                ARBITER_COMMAND("report", "", NULL, "tttdddds",
                                "requests failed waiting seconds p50_us p99_us max_us failure", report, 0),
                ARBITER_COMMAND("rest", "", NULL, "tttdddds",
                                "requests failed waiting seconds p50_us p99_us max_us failure", rest, 0),
                ARBITER_COMMANDS_END,
};

#ifdef MAIL_MODULE
ARBITER_MODULE(.name = "mail", .commands = commands, .start = start, .exit = leave);
#else
const arbiter_module mail_actor = {
                ARBITER_MODULE_HEAD, .name = "mail", .commands = commands, .start = start, .exit = leave};
#endif
