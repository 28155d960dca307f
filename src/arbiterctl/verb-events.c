/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* events: the signals of the arbiter as they come, a line each, until interrupted or until the arbiter goes.
 */

#include <inttypes.h>
#include <time.h>

#include "arbiterctl/value.h"
#include "arbiterctl/verb-util.h"
#include "shared/bus-names.h"

#define EVENT_ARGUMENTS_MAX 5

/* The signals of .Manager: their arguments by name and type. */
static const struct event {
        const char *signal, *types;
        const char *names[EVENT_ARGUMENTS_MAX];
} events[] = {
        { "ActorNew", "sso", { "aid", "name", "path" } },
        { "ActorGone", "ssosi", { "aid", "name", "path", "reason", "status" } },
        { "ActorStateChanged", "sss", { "aid", "name", "state" } },
        { "MonitorNew", "so", { "name", "path" } },
        { "MonitorGone", "so", { "name", "path" } },
        { "MonitorChanged", "ssuuu", { "name", "state", "workers", "running", "failed" } },
};

struct arguments {
        const char *texts[EVENT_ARGUMENTS_MAX]; /* NULL: a number */
        int64_t numbers[EVENT_ARGUMENTS_MAX];
        const char *name, *aid; /* aid "" if it has none */
};

struct watch {
        struct context *c;
        char *const *patterns;
        sd_event *event;
};

static int read_arguments(sd_bus_message *m, const struct event *e, struct arguments *ret) {
        union {
                const char *s;
                int32_t i;
                uint32_t u;
        } v;
        int r;

        *ret = (struct arguments){ .name = "", .aid = "" };
        for (size_t i = 0; e->types[i]; i++) {
                r = sd_bus_message_read_basic(m, e->types[i], &v);
                if (r < 0)
                        return r;
                if (strchr("so", e->types[i]))
                        ret->texts[i] = v.s;
                else
                        ret->numbers[i] = e->types[i] == 'i' ? (int64_t) v.i : (int64_t) v.u;
                if (streq(e->names[i], "name"))
                        ret->name = v.s;
                if (streq(e->names[i], "aid"))
                        ret->aid = v.s;
        }
        return 0;
}

static void print_time(const struct timespec *ts) {
        char buffer[32];
        struct tm tm;

        if (localtime_r(&ts->tv_sec, &tm) && strftime(buffer, sizeof(buffer), "%F %T", &tm) > 0)
                (void) printf("%s.%06li", buffer, ts->tv_nsec / 1000);
}

static void print_event(const struct event *e, const struct arguments *a, const struct timespec *ts) {
        char reason[REASON_STRING_MAX];

        print_time(ts);
        (void) printf("  %-17s  %s", e->signal, a->name);
        if (*a->aid)
                (void) printf(" (%s)", a->aid);
        if (streq(e->signal, "ActorGone"))
                (void) printf("  %s", format_reason(reason, a->texts[3], (int) a->numbers[4]));
        else if (streq(e->signal, "ActorStateChanged"))
                (void) printf("  %s%s%s", colour(state_colour(a->texts[2])), a->texts[2],
                              colour(COLOUR_NORMAL));
        else if (streq(e->signal, "MonitorChanged"))
                (void) printf("  %s%s%s, %" PRIi64 " of %" PRIi64 " running, %" PRIi64 " failed",
                              colour(state_colour(a->texts[1])), a->texts[1], colour(COLOUR_NORMAL),
                              a->numbers[3], a->numbers[2], a->numbers[4]);
        (void) putchar('\n');
}

static void json_event(const struct event *e, const struct arguments *a, const struct timespec *ts,
                       enum json_mode mode) {
        struct json j;

        json_init(&j, stdout, mode);
        json_open(&j, '{');
        json_key_u64(&j, "time_usec",
                     (uint64_t) ts->tv_sec * USEC_PER_SEC + (uint64_t) ts->tv_nsec / NSEC_PER_USEC);
        json_key_string(&j, "event", e->signal);
        for (size_t i = 0; e->types[i]; i++) {
                json_key(&j, e->names[i]);
                if (a->texts[i])
                        json_string(&j, a->texts[i]);
                else
                        json_i64(&j, a->numbers[i]);
        }
        json_close(&j, '}');
        json_end(&j);
}

static bool is_watched(const struct watch *w, const struct arguments *a) {
        size_t base = strcspn(a->name, ".");
        _cleanup_free_ char *monitor = strndup(a->name, base);

        return !*w->patterns || name_matches(w->patterns, a->name) || name_matches(w->patterns, a->aid) ||
               (monitor && name_matches(w->patterns, monitor));
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct watch *w = userdata;
        struct timespec ts = {};
        struct arguments a;

        if (is_farewell(w->c, m))
                return sd_event_exit(w->event, complain(EXIT_NOT_RUNNING, "The arbiter is gone."));
        for (size_t i = 0; i < ELEMENTSOF(events); i++) {
                if (!sd_bus_message_is_signal(m, BUS_INTERFACE_MANAGER, events[i].signal))
                        continue;
                if (read_arguments(m, events + i, &a) < 0 || !is_watched(w, &a))
                        return 0;
                (void) clock_gettime(CLOCK_REALTIME, &ts);
                if (w->c->json == JSON_OFF)
                        print_event(events + i, &a, &ts);
                else
                        json_event(events + i, &a, &ts, w->c->json);
                if (fflush(stdout) != 0) /* the reader has gone */
                        return sd_event_exit(w->event, EXIT_FAILURE);
        }
        return 0;
}

int verb_events(int argc, char *argv[], void *userdata) {
        struct context *c = userdata;
        struct watch w = { c, argv + 1 };
        int r;

        r = event_loop_new(c, &w.event);
        if (r != 0)
                return r;
        r = context_subscribe(c, on_message, &w);
        if (r >= 0)
                r = sd_event_loop(w.event);
        (void) sd_bus_detach_event(c->bus);
        sd_event_unref(w.event);
        return r < 0 ? complain_call(&SD_BUS_ERROR_NULL, r, NULL) : r;
}
