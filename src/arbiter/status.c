/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arbiter's figures about itself (include/arbiter/status.h): kept as things happen, by the hooks that
 * child.c, set.c and control.c call, and told at most once a turn to the program's handler and to faces.
 * Must never walk over actors. */

#include "arbiter/internal.h"
#include "basic/utf8.h"

_public_ const char *arbiter_status_state_to_string(arbiter_status_state state) {
        static const char *const names[] = { "starting", "running", "reloading", "stopping" };

        return (unsigned) state < ELEMENTSOF(names) ? names[state] : NULL;
}

static arbiter_status_state current_state(const arbiter *a) {
        if (a->actor->state >= ARBITER_STATE_STOPPING)
                return ARBITER_STATUS_STOPPING;
        if (a->reloading)
                return ARBITER_STATUS_RELOADING;
        return a->settled ? ARBITER_STATUS_RUNNING : ARBITER_STATUS_STARTING;
}

static void fill(const arbiter *a, arbiter_status *ret) {
        const struct status_counters *k = &a->counters;

        *ret = (arbiter_status){
                .size = sizeof(*ret),
                .state = current_state(a),
                .monitors = (uint32_t) map_size(a->monitors_by_name),
                .monitors_failed = k->monitors_failed,
                .wanted = k->wanted,
                .backoff = k->backoff,
                .failed = k->failed,
                .starting = k->lives[ARBITER_STATE_STARTING],
                .running = k->lives[ARBITER_STATE_RUNNING],
                .stopping = k->lives[ARBITER_STATE_STOPPING],
                .restarts = k->restarts,
                .deaths = k->deaths,
                .dead_letters = k->dead_letters + a->actor->statistics.dead_letters,
                .unwritten = a->state.broken,
        };
        for (size_t i = 0; i < ELEMENTSOF(k->lives); i++)
                ret->actors += k->lives[i];
}

_public_ int arbiter_get_status(arbiter *a, arbiter_status *ret) {
        if (!a || !ret || ret->size < sizeof(*ret))
                return -EINVAL;
        fill(a, ret);
        return 0;
}

/* Telling. */

static void tell(arbiter *a) {
        arbiter_status now, last = a->told;
        unsigned changes = TAKE_GENERIC(a->changes, unsigned, 0);
        bool asked = TAKE_GENERIC(a->status_asked, bool, false);

        fill(a, &now);
        a->told = now;
        if (last.state != now.state)
                changes |= CONTROL_CHANGE_STATE;
        if (last.failed != now.failed)
                changes |= CONTROL_CHANGE_N_FAILED;
        if (a->status_handler && (asked || memcmp(&last, &now, sizeof(now)) != 0))
                a->status_handler(a, &now, a->status_userdata);
        if (changes == 0)
                return;
        LIST_FOREACH(o, &a->observers, struct control_observer, observers)
                if (o->arbiter_changed)
                        o->arbiter_changed(changes, o->userdata);
}

/* The end of a turn in which something changed. What was asked for before it has begun by now, so that
 * nobody is starting means that all have had their outcome. */
static int on_status(sd_event_source *s, void *userdata) {
        arbiter *a = arbiter_ref(userdata);

        if (a->started && !a->settled && a->counters.lives[ARBITER_STATE_STARTING] == 0) {
                a->settled = true;
                state_mark_arbiter(a);
        }
        tell(a);
        arbiter_unref(a);
        return 0;
}

void status_changed(arbiter *a, unsigned changes) {
        a->changes |= changes;
        if (a->status_source)
                (void) sd_event_source_set_enabled(a->status_source, SD_EVENT_ONESHOT);
}

int status_init(arbiter *a) {
        int r;

        r = sd_event_add_defer(a->event, &a->status_source, on_status, a);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(a->status_source, "arbiter-status");
        fill(a, &a->told);
        return sd_event_source_set_enabled(a->status_source, SD_EVENT_OFF);
}

void status_done(arbiter *a) {
        a->status_source = sd_event_source_disable_unref(a->status_source);
        free(a->instance);
        for (char **p = a->failed_files; p && *p; p++)
                free(*p);
        free(a->failed_files);
}

_public_ int arbiter_set_status_handler(arbiter *a, arbiter_status_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->status_handler = handler;
        a->status_userdata = userdata;
        a->status_asked = handler;
        status_changed(a, 0);
        return 0;
}

/* Counting. */

void status_count_child(struct child *c, bool lives) {
        struct status_counters *k = &c->arbiter->counters;

        if (c->monitor_actor)
                return;
        if (c->counted)
                k->lives[c->counted_state]--;
        c->counted = lives;
        c->counted_state = c->state;
        if (lives)
                k->lives[c->counted_state]++;
        status_changed(c->arbiter, 0);
}

void status_count_start(struct child *c) {
        status_count_child(c, true);
        if (c->generation == 1 || c->monitor_actor)
                return;
        c->arbiter->counters.restarts++;
        state_mark_arbiter(c->arbiter);
        if (!c->set)
                return;
        c->set->sums.restarts++;
        state_mark_set(c->set);
}

void status_count_dead_letters(arbiter *a, uint64_t n) {
        a->counters.dead_letters += n;
        state_mark_arbiter(a);
        status_changed(a, 0);
}

/* From what was counted of it to what is now. */
static void move_set(struct set *s, const struct set_counts *now) {
        struct status_counters *k = &s->arbiter->counters;

        k->wanted += now->wanted - s->counted.wanted;
        k->backoff += now->backoff - s->counted.backoff;
        k->failed += now->failed - s->counted.failed;
        k->monitors_failed += now->monitor_failed - s->counted.monitor_failed;
        s->counted = *now;
        status_changed(s->arbiter, 0);
}

void status_count_set(struct set *s) {
        supervise_info i;

        if (!s->supervise)
                return;
        supervise_get_info(s->supervise, &i);
        move_set(s, &(struct set_counts){
                                    .wanted = i.n_wanted,
                                    .backoff = i.n[SUPERVISE_SLOT_BACKOFF],
                                    .failed = i.n[SUPERVISE_SLOT_FAILED],
                                    .monitor_failed = s->monitor && s->monitor->failed,
                    });
}

void status_forget_set(struct set *s) {
        if (!s->arbiter) /* it was never started */
                return;
        move_set(s, &(struct set_counts){});
}

/* What the program says of itself. */

_public_ int arbiter_set_instance(arbiter *a, const char *instance) {
        char *copy;

        if (!a || !instance || !utf8_is_valid(instance, strlen(instance)))
                return -EINVAL;
        if (a->started)
                return -EBUSY;
        copy = strdup(instance);
        if (!copy)
                return -ENOMEM;
        free(a->instance);
        a->instance = copy;
        return 0;
}

static bool lists_equal(char *const *a, const char *const *b) {
        while (a && *a && b && *b && streq(*a, *b)) {
                a++;
                b++;
        }
        return !(a && *a) && !(b && *b);
}

_public_ int arbiter_set_failed_files(arbiter *a, const char *const *files) {
        char **copy;
        size_t n = 0;

        if (!a)
                return -EINVAL;
        if (lists_equal(a->failed_files, files))
                return 0;
        while (files && files[n])
                n++;
        copy = calloc(n + 1, sizeof(*copy));
        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                copy[i] = strdup(files[i]);
                if (!copy[i]) {
                        while (i > 0)
                                free(copy[--i]);
                        free(copy);
                        return -ENOMEM;
                }
        }
        for (char **p = a->failed_files; p && *p; p++)
                free(*p);
        free(a->failed_files);
        a->failed_files = copy;
        status_changed(a, CONTROL_CHANGE_FAILED_FILES);
        return 0;
}
