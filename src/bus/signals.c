/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What changes in the arbiter, told to all connections: the manager's signals, InterfacesAdded and
 * InterfacesRemoved, and PropertiesChanged with just what changed. Called by the arbiter through its
 * observer. For that it remembers what it told last of each actor and monitor. It must not wait for a
 * reader: a peer that does not take its signals is disconnected, and for a bus they are condensed
 * (unsaid.h). */

#include <stdio.h>

#include "bus/face.h"
#include "bus/unsaid.h"
#include "bus/vtables.h"

struct actor_record {
        arbiter_state state;
        pid_t pid;
        usec_t started_usec;
        uint32_t restarts;
        bool ready, draining;
        char *status; /* NULL: "" */
};

struct monitor_record {
        char state[16];
        char *description;        /* NULL: "" */
        struct monitor_view view; /* its strings are not ours and not looked at */
};

enum { CHANGES_MAX = 32 };

/* Names of properties for PropertiesChanged. */
struct changes {
        const char *names[CHANGES_MAX + 1];
        size_t n;
};

static void add_change(struct changes *c, bool changed, const char *name) {
        if (changed && c->n < CHANGES_MAX)
                c->names[c->n++] = name;
}

static bool takes_signals(struct bus_connection *c) {
        uint64_t queued = 0;

        if (c->doomed)
                return false;
        if (c->unsaid)
                return bus_unsaid_is_current(c->unsaid);
        if (sd_bus_is_ready(c->bus) <= 0)
                return false; /* what waits for it would keep us from reading who it is, for ever */
        if (sd_bus_get_n_queued_write(c->bus, &queued) >= 0 && queued <= QUEUE_DROP)
                return true;
        bus_connection_doom(c);
        return false;
}

/* A signal that cannot be sent (memory, a connection that just broke) would leave the client with a wrong
 * picture for ever. */
static void check_sent(struct bus_connection *c, int r) {
        if (r < 0)
                bus_connection_doom(c);
}

static void emit_manager(struct bus_face *f, const char *member, const char *types, ...) {
        va_list ap, copy;

        va_start(ap, types);
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections) {
                if (!takes_signals(c))
                        continue;
                va_copy(copy, ap);
                check_sent(c, sd_bus_emit_signalv(
                                              c->bus, BUS_PATH, BUS_INTERFACE_MANAGER, member, types, copy));
                va_end(copy);
        }
        va_end(ap);
}

/* Only our own interface is told, coming and going alike: it is what makes the object. */
static void emit_added(struct bus_face *f, const char *path, const char *interface) {
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections) {
                if (!takes_signals(c))
                        continue;
                check_sent(c, sd_bus_emit_interfaces_added(c->bus, path, interface, NULL));
        }
}

static void emit_removed(struct bus_face *f, const char *path, const char *interface) {
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections) {
                if (!takes_signals(c))
                        continue;
                check_sent(c, sd_bus_emit_interfaces_removed(c->bus, path, interface, NULL));
        }
}

static void emit_changes(
                struct bus_face *f, const char *path, const char *interface, struct changes *changes) {
        if (changes->n == 0)
                return;
        LIST_FOREACH(c, &f->connections, struct bus_connection, connections) {
                if (!takes_signals(c))
                        continue;
                check_sent(c, sd_bus_emit_properties_changed_strv(
                                              c->bus, path, interface, (char **) changes->names));
        }
}

static int on_counts(sd_event_source *s, void *userdata) {
        struct bus_face *f = userdata;
        struct changes changes = {};

        bus_unsaid_begin(f);
        bus_unsaid_manager(f);
        add_change(&changes, map_size(f->actors) != f->told_actors, "NActors");
        add_change(&changes, map_size(f->monitors) != f->told_monitors, "NMonitors");
        f->told_actors = map_size(f->actors);
        f->told_monitors = map_size(f->monitors);
        emit_changes(f, BUS_PATH, BUS_INTERFACE_MANAGER, &changes);
        return 0;
}

static void counts_changed(struct bus_face *f) {
        (void) sd_event_source_set_enabled(f->counts, SD_EVENT_ONESHOT);
}

/* A string that is kept: nothing for the usual "". When memory is short it counts as changed next time. */
static void keep_string(char **kept, const char *s) {
        free(*kept);
        *kept = s && *s ? strdup(s) : NULL;
}

static bool string_differs(const char *kept, const char *s) {
        return strcmp(kept ?: "", s ?: "") != 0;
}

static void actor_record_free(void *p) {
        struct actor_record *record = p;

        if (!record)
                return;
        free(record->status);
        free(record);
}

/* Takes the view as the last told, and gives what is different from what was. Without memory for the record
 * everything counts as changed. */
static void update_actor(struct bus_face *f, const struct actor_view *v, struct changes *ret) {
        struct actor_record *record = map_get_string(f->actors, v->aid);
        bool first = !record;

        if (first) {
                record = calloc(1, sizeof(*record));
                if (record && map_put_string(f->actors, v->aid, record) < 0) {
                        free(record);
                        record = NULL;
                }
        }
        add_change(ret, first || record->state != v->state, "State");
        add_change(ret, first || record->pid != v->pid, "PID");
        add_change(ret, first || record->started_usec != v->started_usec, "StartedUsec");
        add_change(ret, first || record->restarts != v->restarts, "Restarts");
        add_change(ret, first || string_differs(record->status, v->status), "Status");
        add_change(ret, first || record->ready != v->ready, "Ready");
        add_change(ret, first || record->draining != v->draining, "Draining");
        if (!record)
                return;
        record->state = v->state;
        record->pid = v->pid;
        record->started_usec = v->started_usec;
        record->restarts = v->restarts;
        record->ready = v->ready;
        record->draining = v->draining;
        keep_string(&record->status, v->status);
}

static void on_actor_new(const struct actor_view *v, void *userdata) {
        struct bus_face *f = userdata;
        struct changes changes = {};
        char path[ACTOR_PATH_SIZE];

        bus_unsaid_begin(f);
        bus_unsaid_actor(f, UNSAID_NEW, v, 0, 0);
        update_actor(f, v, &changes);
        counts_changed(f);
        bus_actor_path(v->aid, path);
        f->current_actor = v;
        emit_added(f, path, BUS_INTERFACE_ACTOR);
        f->current_actor = NULL;
        emit_manager(f, "ActorNew", "sso", v->aid, v->name, path);
}

static void on_actor_changed(const struct actor_view *v, void *userdata) {
        struct bus_face *f = userdata;
        struct changes changes = {};
        char path[ACTOR_PATH_SIZE];

        update_actor(f, v, &changes);
        if (changes.n == 0)
                return;
        bus_unsaid_begin(f);
        bus_unsaid_actor(f, UNSAID_CHANGED, v, 0, 0);
        bus_actor_path(v->aid, path);
        f->current_actor = v;
        emit_changes(f, path, BUS_INTERFACE_ACTOR, &changes);
        f->current_actor = NULL;
        if (streq(changes.names[0], "State"))
                emit_manager(f, "ActorStateChanged", "sss", v->aid, v->name,
                                arbiter_state_to_string(v->state));
}

static void on_actor_gone(const struct actor_view *v, arbiter_reason reason, int status, void *userdata) {
        struct bus_face *f = userdata;
        char path[ACTOR_PATH_SIZE];

        bus_unsaid_begin(f);
        bus_unsaid_actor(f, UNSAID_GONE, v, reason, status);
        actor_record_free(map_remove_string(f->actors, v->aid));
        counts_changed(f);
        bus_actor_path(v->aid, path);
        emit_removed(f, path, BUS_INTERFACE_ACTOR);
        emit_manager(f, "ActorGone", "ssosi", v->aid, v->name, path, arbiter_reason_to_string(reason),
                        status);
}

static void monitor_record_free(void *p) {
        struct monitor_record *record = p;

        if (!record)
                return;
        free(record->description);
        free(record);
}

static void compare_monitors(
                const struct monitor_record *record, const struct monitor_view *v, struct changes *ret) {
        const struct monitor_view *old = record ? &record->view : NULL;

        add_change(ret, !old || !streq(record->state, v->state), "State");
        add_change(ret, !old || old->workers != v->workers, "Workers");
        add_change(ret, !old || old->running != v->running, "Running");
        add_change(ret, !old || old->failed != v->failed, "Failed");
        add_change(ret, !old || old->backoff != v->backoff, "Backoff");
        add_change(ret, !old || old->restarts != v->restarts, "Restarts");
        add_change(ret, !old || old->revision != v->revision, "Revision");
        add_change(ret, !old || old->next_attempt_usec != v->next_attempt_usec, "NextAttemptUsec");
        add_change(ret, !old || old->draining != v->draining, "Draining");
        add_change(ret, !old || old->workers_min != v->workers_min, "WorkersMin");
        add_change(ret, !old || old->workers_max != v->workers_max, "WorkersMax");
        add_change(ret, !old || old->roll_state != v->roll_state, "RollState"); /* one string a word */
        add_change(ret, !old || old->roll_replaced != v->roll_replaced, "RollReplaced");
        add_change(ret, !old || old->roll_left != v->roll_left, "RollLeft");
        add_change(ret, !old || old->roll_failing != v->roll_failing, "RollFailing");
        add_change(ret, !old || old->roll_reason != v->roll_reason, "RollReason");
        add_change(ret, !old || old->roll_status != v->roll_status, "RollStatus");
        add_change(ret, !old || old->roll_waiting != v->roll_waiting, "RollWaiting");
        add_change(ret, !old || old->roll_deadline_usec != v->roll_deadline_usec, "RollDeadlineUsec");
        add_change(ret, !old || old->breaker != v->breaker, "Breaker");
        add_change(ret, !old || string_differs(record->description, v->description), "Description");
}

static void update_monitor(struct bus_face *f, const struct monitor_view *v, struct changes *ret) {
        struct monitor_record *record = map_get_string(f->monitors, v->name);

        compare_monitors(record, v, ret);
        if (!record) {
                record = calloc(1, sizeof(*record));
                if (!record || map_put_string(f->monitors, v->name, record) < 0) {
                        free(record);
                        return;
                }
        }
        (void) snprintf(record->state, sizeof(record->state), "%s", v->state);
        keep_string(&record->description, v->description);
        record->view = *v;
}

static void on_monitor_new(const struct monitor_view *v, void *userdata) {
        _cleanup_free_ char *path = NULL;
        struct bus_face *f = userdata;
        struct changes changes = {};

        bus_unsaid_begin(f);
        bus_unsaid_monitor(f, UNSAID_NEW, v->name);
        update_monitor(f, v, &changes);
        counts_changed(f);
        if (sd_bus_path_encode(BUS_PATH_MONITOR, v->name, &path) < 0)
                return;
        f->current_monitor = v;
        emit_added(f, path, BUS_INTERFACE_MONITOR);
        f->current_monitor = NULL;
        emit_manager(f, "MonitorNew", "so", v->name, path);
}

static void on_monitor_changed(const struct monitor_view *v, void *userdata) {
        _cleanup_free_ char *path = NULL;
        struct bus_face *f = userdata;
        struct changes changes = {};

        update_monitor(f, v, &changes);
        if (changes.n == 0 || sd_bus_path_encode(BUS_PATH_MONITOR, v->name, &path) < 0)
                return;
        bus_unsaid_begin(f);
        bus_unsaid_monitor(f, UNSAID_CHANGED, v->name);
        f->current_monitor = v;
        emit_changes(f, path, BUS_INTERFACE_MONITOR, &changes);
        f->current_monitor = NULL;
        emit_manager(f, "MonitorChanged", "ssuuu", v->name, v->state, v->workers, v->running, v->failed);
}

static void on_monitor_gone(const char *name, void *userdata) {
        _cleanup_free_ char *path = NULL;
        struct bus_face *f = userdata;

        bus_unsaid_begin(f);
        bus_unsaid_monitor(f, UNSAID_GONE, name);
        monitor_record_free(map_remove_string(f->monitors, name));
        counts_changed(f);
        if (sd_bus_path_encode(BUS_PATH_MONITOR, name, &path) < 0)
                return;
        emit_removed(f, path, BUS_INTERFACE_MONITOR);
        emit_manager(f, "MonitorGone", "so", name, path);
}

static void on_arbiter_changed(unsigned what, void *userdata) {
        struct changes changes = {};

        add_change(&changes, what & CONTROL_CHANGE_STATE, "State");
        add_change(&changes, what & CONTROL_CHANGE_N_FAILED, "NFailed");
        add_change(&changes, what & CONTROL_CHANGE_CGROUP, "ControlGroup");
        add_change(&changes, what & CONTROL_CHANGE_DEFINITIONS, "Definitions");
        add_change(&changes, what & CONTROL_CHANGE_FAILED_FILES, "FailedFiles");
        bus_unsaid_begin(userdata);
        bus_unsaid_manager(userdata);
        emit_changes(userdata, BUS_PATH, BUS_INTERFACE_MANAGER, &changes);
}

static int remember_all(struct bus_face *f) {
        _cleanup_free_ struct actor_view *actors = NULL;
        _cleanup_free_ struct monitor_view *monitors = NULL;
        size_t n_actors, n_monitors;
        int r;

        r = control_list_actors(f->arbiter, &actors, &n_actors);
        if (r < 0)
                return r;
        r = control_list_monitors(f->arbiter, &monitors, &n_monitors);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_actors; i++)
                update_actor(f, &actors[i], &(struct changes){});
        for (size_t i = 0; i < n_monitors; i++)
                update_monitor(f, &monitors[i], &(struct changes){});
        f->told_actors = map_size(f->actors);
        f->told_monitors = map_size(f->monitors);
        return 0;
}

int bus_signals_start(struct bus_face *f) {
        int r;

        r = map_new(&f->actors);
        if (r < 0)
                return r;
        r = map_new(&f->monitors);
        if (r < 0)
                return r;
        r = sd_event_add_defer(arbiter_get_event(f->arbiter), &f->counts, on_counts, f);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(f->counts, "arbiter-bus-counts");
        r = sd_event_source_set_enabled(f->counts, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = remember_all(f);
        if (r < 0)
                return r;
        f->observer = (struct control_observer){
                .userdata = f,
                .actor_new = on_actor_new,
                .actor_changed = on_actor_changed,
                .actor_gone = on_actor_gone,
                .monitor_new = on_monitor_new,
                .monitor_changed = on_monitor_changed,
                .monitor_gone = on_monitor_gone,
                .arbiter_changed = on_arbiter_changed,
        };
        control_subscribe(f->arbiter, &f->observer);
        return 0;
}

void bus_signals_stop(struct bus_face *f) {
        control_unsubscribe(&f->observer);
        sd_event_source_disable_unref(f->counts);
        f->actors = map_free(f->actors, actor_record_free);
        f->monitors = map_free(f->monitors, monitor_record_free);
}
