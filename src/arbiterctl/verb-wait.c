/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wait: until something is in a state. Free of races: it listens to the arbiter's signals first, then looks,
 * and looks again after each of them. Nothing is polled. */

#include "arbiterctl/objects.h"
#include "arbiterctl/progress.h"
#include "arbiterctl/verb-util.h"
#include "basic/suggest.h"

enum { OF_ACTORS = 1 << 0, OF_MONITORS = 1 << 1 };

static const struct state {
        const char *name;
        unsigned whose;
} states[] = {
        { "initial", OF_ACTORS },
        { "inactive", OF_ACTORS },
        { "starting", OF_ACTORS },
        { "running", OF_ACTORS | OF_MONITORS },
        { "ready", OF_ACTORS | OF_MONITORS },
        { "stopping", OF_ACTORS | OF_MONITORS },
        { "closed", OF_ACTORS },
        { "terminated", OF_ACTORS },
        { "failed", OF_MONITORS },
        { "stopped", OF_MONITORS },
        { "gone", OF_ACTORS | OF_MONITORS },
};

struct wait {
        struct context *c;
        const char *pattern;
        const struct state *state;
        sd_event *event;
        sd_event_source *look;
        struct snapshot s;
        struct objects o; /* for "ready": of which row i is object i; else empty */
        char there[128]; /* what is there instead, for complaints */
};

static int find_state(const char *name, const struct state **ret) {
        struct suggestion near = {};

        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                if (streq(states[i].name, name)) {
                        *ret = states + i;
                        return 0;
                }
                suggest(&near, name, states[i].name);
        }
        return complain(EXIT_USAGE,
                        "'%s' is no state%s%s%s Actors: initial, inactive, starting, running, stopping, "
                        "closed, "
                        "terminated. Monitors: running, stopping, failed, stopped. Both: ready, gone.",
                        name, near.word ? ": did you mean '" : "", near.word ? near.word : "",
                        near.word ? "'?" : ".");
}

static void note(struct wait *w, const char *name, const char *state) {
        if (!*w->there)
                (void) snprintf(w->there, sizeof(w->there), "%s is %s", name, state);
}

static bool actor_is(const struct wait *w, size_t i) {
        const struct actor_row *a = w->s.actors + i;

        if (streq(w->state->name, "ready"))
                return streq(a->state, "running") && w->o.actors[i].ready;
        return streq(a->state, w->state->name);
}

/* A monitor runs when all of its workers do, and is ready when all of them are. */
static bool monitor_is(const struct wait *w, const struct monitor_row *m) {
        bool ready = streq(w->state->name, "ready"), running = ready || streq(w->state->name, "running");

        if (!streq(m->state, running ? "running" : w->state->name) || (running && m->running < m->workers))
                return false;
        for (size_t i = 0; ready && i < w->s.n_actors; i++)
                if (streq(w->s.actors[i].monitor, m->name) && !actor_is(w, i))
                        return false;
        return true;
}

/* Is each match in the state, and is there one? */
static bool is_met(struct wait *w) {
        char *patterns[] = { (char *) w->pattern, NULL };
        size_t matches = 0, met = 0;

        w->there[0] = 0;
        for (size_t i = 0; i < w->s.n_monitors; i++) {
                const struct monitor_row *m = w->s.monitors + i;

                if (!(w->state->whose & OF_MONITORS) || !name_matches(patterns, m->name))
                        continue;
                matches++;
                if (monitor_is(w, m))
                        met++;
                else if (streq(m->state, "running") && m->running >= m->workers)
                        note(w, m->name, "not ready with all workers");
                else
                        note(w, m->name,
                                        streq(m->state, "running") ? "not running with all workers"
                                                                   : m->state);
        }
        for (size_t i = 0; i < w->s.n_actors; i++) {
                const struct actor_row *a = w->s.actors + i;

                if (!(w->state->whose & OF_ACTORS) ||
                    !(name_matches(patterns, a->name) || name_matches(patterns, a->aid)))
                        continue;
                matches++;
                if (actor_is(w, i))
                        met++;
                else
                        note(w, a->name,
                                        streq(w->state->name, "ready") && streq(a->state, "running")
                                                        ? "running, but not ready"
                                                        : a->state);
        }
        if (streq(w->state->name, "gone"))
                return matches == 0;
        if (streq(w->state->name, "stopped") &&
                        matches == 0) /* a monitor does not stay when it is stopped */
                return true;
        return matches > 0 && met == matches;
}

static void tell(const struct wait *w) {
        char *patterns[] = { (char *) w->pattern, NULL };
        const struct context *c = w->c;
        struct json j;

        if (c->json == JSON_OFF) {
                if (!c->quiet)
                        (void) printf("%s: %s\n", w->pattern, w->state->name);
                return;
        }
        json_list_begin(&j, c->json);
        for (size_t i = 0; i < w->s.n_actors; i++) {
                const struct actor_row *a = w->s.actors + i;

                if (!name_matches(patterns, a->name) && !name_matches(patterns, a->aid))
                        continue;
                json_open(&j, '{');
                json_key_string(&j, "name", a->name);
                json_key_string(&j, "aid", a->aid);
                json_key_string(&j, "state", a->state);
                json_key_u64(&j, "pid", a->pid);
                json_close(&j, '}');
        }
        json_list_end(&j);
}

static void forget(struct wait *w) {
        snapshot_done(&w->s);
        objects_done(&w->o);
}

/* Who is ready is not in the lists. */
static int look(struct wait *w) {
        int r;

        forget(w);
        if (!streq(w->state->name, "ready"))
                return snapshot_take(w->c, &w->s);
        r = objects_take(w->c, &w->o);
        return r != 0 ? r : objects_to_snapshot(&w->o, &w->s);
}

static int on_look(sd_event_source *s, void *userdata) {
        struct wait *w = userdata;
        int r;

        r = look(w);
        if (r != 0)
                return sd_event_exit(w->event, r);
        if (!is_met(w))
                return 0;
        progress_clear();
        tell(w);
        return sd_event_exit(w->event, 0);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct wait *w = userdata;

        if (is_farewell(w->c, m))
                return sd_event_exit(w->event, complain(EXIT_NOT_RUNNING, "The arbiter is gone."));
        if (sd_bus_message_is_signal(m, NULL, NULL))
                (void) sd_event_source_set_enabled(w->look, SD_EVENT_ONESHOT);
        return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        struct wait *w = userdata;
        char duration[DURATION_STRING_MAX];

        return sd_event_exit(w->event, complain(EXIT_TIMEOUT, "'%s' is not %s after %s: %s.", w->pattern,
                                                w->state->name, format_duration(duration, w->c->timeout),
                                                *w->there ? w->there : "there is none of that name"));
}

static int on_progress(sd_event_source *s, uint64_t usec, void *userdata) {
        struct wait *w = userdata;
        char text[256];
        usec_t next;

        (void) snprintf(text, sizeof(text), "Waiting until '%s' is %s (%s)", w->pattern, w->state->name,
                        *w->there ? w->there : "there is none yet");
        next = progress_show(text);
        if (next == USEC_INFINITY)
                return 0;
        (void) sd_event_source_set_time_relative(s, next);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int add_sources(struct wait *w) {
        int r;

        r = sd_event_add_defer(w->event, &w->look, on_look, w);
        if (r >= 0) /* once for all signals that have come */
                r = sd_event_source_set_priority(w->look, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0 && w->c->timeout > 0)
                r = sd_event_add_time_relative(w->event, NULL, CLOCK_MONOTONIC, w->c->timeout, 1, on_timeout,
                                               w);
        progress_start(w->c);
        if (r >= 0)
                r = sd_event_add_time_relative(w->event, NULL, CLOCK_MONOTONIC, 0, 1, on_progress, w);
        return r < 0 ? r : context_subscribe(w->c, on_message, w);
}

int verb_wait(int argc, char *argv[], void *userdata) {
        struct context *c = userdata;
        struct wait w = { .c = c, .pattern = argv[1] };
        int r;

        r = find_state(argv[2], &w.state);
        if (r == 0)
                r = event_loop_new(c, &w.event);
        if (r != 0)
                return r;
        r = add_sources(&w);
        if (r >= 0)
                r = sd_event_loop(w.event);
        progress_clear();
        (void) sd_bus_detach_event(c->bus);
        sd_event_source_unref(w.look);
        sd_event_unref(w.event);
        forget(&w);
        return r < 0 ? complain_call(&SD_BUS_ERROR_NULL, r, NULL) : r;
}
