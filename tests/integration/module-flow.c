/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* flow: an actor that, each millisecond, sends numbered casts and a request to another one (parameter
 * target), and counts: what it sends, what comes out of order, what each request came to. For tests of what
 * happens to messages while there is no arbiter, and to those whose worker is about to leave: linger is
 * answered when a file is there. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_USEC = 1000, CASTS = 5 };

struct flow {
        arbiter_actor *actor;
        const char *target;
        sd_event_source *timer;
        bool paused;
        uint64_t sent, got, gaps, asked, answered, failed, refused;
        arbiter_outcome outcome; /* of the last that failed */
};

static void on_answer(arbiter_future *f, void *userdata) {
        struct flow *x = userdata;

        if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY) {
                x->answered++;
                return;
        }
        x->failed++;
        x->outcome = arbiter_future_get_outcome(f);
}

static int ask(struct flow *x) {
        arbiter_future *f = NULL;
        int r;

        r = arbiter_call_async(x->actor, &f, x->target, "repeat", 30 * 1000 * 1000, "t", x->asked);
        if (r >= 0)
                r = arbiter_future_then(f, on_answer, x);
        (void) arbiter_future_unref(f);
        if (r >= 0)
                x->asked++;
        return r;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        struct flow *x = userdata;

        for (int i = 0; i < CASTS; i++)
                if (arbiter_send(x->actor, x->target, "note", "t", x->sent + 1) >= 0)
                        x->sent++;
                else
                        x->refused++; /* overload: told to the sender, so not lost */
        (void) ask(x);
        return x->paused ? 0 : sd_event_source_set_time_relative(s, PERIOD_USEC);
}

static int start(arbiter_actor *a, void *userdata) {
        struct flow *x = calloc(1, sizeof(*x));
        int r;

        if (!x)
                return -ENOMEM;
        arbiter_actor_set_userdata(a, x);
        x->actor = a;
        x->target = arbiter_actor_get_parameter(a, "target");
        if (!x->target)
                return 0;
        r = sd_event_add_time_relative(arbiter_actor_get_event(a), &x->timer, CLOCK_MONOTONIC,
                        PERIOD_USEC, 1, on_tick, x);
        return r < 0 ? r : sd_event_source_set_enabled(x->timer, SD_EVENT_ON);
}

static int note(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct flow *x = userdata;
        uint64_t n;
        int r;

        r = arbiter_message_read(m, "t", &n);
        if (r < 0)
                return r;
        x->gaps += n != ++x->got;
        x->got = n;
        return 0;
}

static int repeat(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint64_t n;
        int r;

        r = arbiter_message_read(m, "t", &n);
        return r < 0 ? r : arbiter_message_reply(m, "t", n);
}

/* No more is sent. */
static int stop_sending(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct flow *x = userdata;

        x->paused = true;
        (void) sd_event_source_set_enabled(x->timer, SD_EVENT_OFF);
        return arbiter_message_reply(m, "");
}

static int report(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const struct flow *x = userdata;

        return arbiter_message_reply(m, "tttttts", x->sent, x->got, x->gaps, x->asked, x->answered,
                        x->failed, arbiter_outcome_to_string(x->outcome));
}

struct linger {
        arbiter_message *request;
        char *path;
};

static int on_look(sd_event_source *s, uint64_t usec, void *userdata) {
        struct linger *x = userdata;

        if (access(x->path, F_OK) < 0)
                return sd_event_source_set_time_relative(s, 10 * PERIOD_USEC) < 0
                                       ? -EIO
                                       : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        (void) arbiter_message_reply(x->request, "");
        arbiter_message_unref(x->request);
        free(x->path);
        free(x);
        sd_event_source_unref(s);
        return 0;
}

/* Whoever asks sees in the journal that it has begun. */
static int linger(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct linger *x = calloc(1, sizeof(*x));
        sd_event *event = arbiter_actor_get_event(a);
        sd_event_source *s = NULL;
        const char *path;
        int r;

        r = x ? arbiter_message_read(m, "s", &path) : -ENOMEM;
        if (r >= 0)
                r = (x->path = strdup(path)) ? 0 : -ENOMEM;
        if (r >= 0)
                r = sd_event_add_time_relative(event, &s, CLOCK_MONOTONIC, 0, 1, on_look, x);
        if (r < 0) {
                free(x ? x->path : NULL);
                free(x);
                return r;
        }
        x->request = arbiter_message_ref(m);
        (void) printf("lingers\n");
        (void) fflush(stdout);
        return 0;
}

static void leave(arbiter_actor *a, void *userdata) {
        struct flow *x = userdata;

        if (x)
                sd_event_source_disable_unref(x->timer);
        free(x);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("note", "t", "n", "", "", note, 0),
        ARBITER_COMMAND("repeat", "t", "n", "t", "n", repeat, 0),
        ARBITER_COMMAND("stop_sending", "", "", "", "", stop_sending, 0),
        ARBITER_COMMAND("linger", "s", "path", "", "", linger, 0),
        ARBITER_COMMAND("report", "", "", "tttttts", "sent got gaps asked answered failed outcome", report,
                        0),
        ARBITER_COMMANDS_END,
};

ARBITER_MODULE(.name = "flow", .commands = commands, .start = start, .exit = leave);
