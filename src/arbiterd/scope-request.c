/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has the service manager make or stop the scope of the actors, by org.freedesktop.systemd1.Manager. Called
 * by scope.c. The connection is closed again: what becomes of the bus later does not matter to the actors.
 * Must never wait without a bound. */

#include <stdio.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/manager.h"
#include "arbiterd/notify.h"
#include "arbiterd/scope-request.h"
#include "arbiterd/scope.h"
#include "shared/instance.h"
#include "shared/log.h"

#define ANSWER_USEC (15 * USEC_PER_SEC) /* for one answer of the manager, and for one job */
#define STOP_MIN_USEC (5 * USEC_PER_SEC)
#define STOP_MAX_USEC (90 * USEC_PER_SEC)

enum stage { STARTING, STOPPING, DONE };

struct scope_request {
        struct daemon *daemon;
        sd_event *event;
        sd_bus *bus;
        sd_event_source *timer, *ended;
        char *unit, *slice, *service, *job;
        char *manager; /* its unique name on the bus; NULL: a direct connection, where nobody else is */
        pid_t first;
        enum stage stage;
        enum scope_request_mode mode;
        bool anew;  /* the scope was made */
        bool plain; /* without what older versions of systemd do not know */
        bool root;  /* the process joins its cgroup itself, and no leaf of it */
        bool swept; /* what was left of an earlier one has been asked to go */
        char *why;  /* it was not made */
        scope_request_done_t done;
};

static void finish(struct scope_request *q, const char *why) {
        if (q->stage == DONE)
                return;
        q->stage = DONE;
        q->why = why ? strdup(why) : NULL;
        if (why && !q->why)
                q->why = strdup("");
        /* The bus is not closed from within one of its own callbacks. */
        (void) sd_event_source_set_enabled(q->ended, SD_EVENT_ONESHOT);
}

static int finish_error(struct scope_request *q, const char *what, int error) {
        char text[256];

        (void) snprintf(text, sizeof(text), "%s: %s", what, strerror(-error));
        finish(q, text);
        return 0;
}

static int rearm(struct scope_request *q, usec_t usec) {
        int r = sd_event_source_set_time_relative(q->timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(q->timer, SD_EVENT_ONESHOT);
}

/* How long it takes systemd to end what does not end by itself: as long as we would wait for our slowest. */
static usec_t stop_usec(const struct daemon *d) {
        usec_t usec = MAX(STOP_MIN_USEC, daemon_timeout_stop(d));

        return MIN(usec, STOP_MAX_USEC);
}

/* The properties. */

static int append_base(struct scope_request *q, sd_bus_message *m) {
        char description[128];
        int r;

        (void) snprintf(description, sizeof(description), "Actors of arbiter (%s)", q->daemon->instance);
        r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)",
                        "Description", "s", description,
                        "Slice", "s", q->slice,
                        "Delegate", "b", 1,
                        "CollectMode", "s", "inactive-or-failed",
                        "TasksMax", "t", UINT64_MAX, /* as many as arbiter.slice may have */
                        "TimeoutStopUSec", "t", (uint64_t) stop_usec(q->daemon));
        /* At a shutdown the arbiter first stops them in its own order. */
        if (r >= 0 && q->service)
                r = sd_bus_message_append(m, "(sv)", "Before", "as", 1, q->service);
        /* One that is killed for want of memory is replaced; the others have nothing to do with it. */
        if (r >= 0 && !q->plain)
                r = sd_bus_message_append(m, "(sv)", "OOMPolicy", "s", "continue");
        return r < 0 ? r : sd_bus_message_append(m, "(sv)", "PIDs", "au", 1, (uint32_t) q->first);
}

static int on_start_answer(sd_bus_message *m, void *userdata, sd_bus_error *e);
static int on_stop_answer(sd_bus_message *m, void *userdata, sd_bus_error *e);

static int ask_start(struct scope_request *q) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        q->stage = STARTING;
        r = sd_bus_message_new_method_call(
                        q->bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", q->unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = append_base(q, m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_call_async(q->bus, NULL, m, on_start_answer, q, ANSWER_USEC);
        if (r >= 0)
                r = rearm(q, ANSWER_USEC);
        return r;
}

static int ask_stop(struct scope_request *q) {
        int r;

        q->stage = STOPPING;
        r = sd_bus_call_method_async(q->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit",
                        on_stop_answer, q, "ss", q->unit, "replace");
        return r < 0 ? r : rearm(q, stop_usec(q->daemon) + ANSWER_USEC);
}

/* An arbiter did not come to stop its actors, or it is about to go. */
static int sweep(struct scope_request *q) {
        int r;

        log_notice("%s is there already. What is left in it is stopped before actors are started.", q->unit);
        notify_starting(q->daemon, "Stopping the actors of an arbiter that has died",
                        stop_usec(q->daemon) + 2 * ANSWER_USEC);
        q->swept = true;
        r = ask_stop(q);
        return r < 0 ? finish_error(q, "Cannot stop the old scope", r) : 0;
}

static int start_again(struct scope_request *q) {
        int r = ask_start(q);

        return r < 0 ? finish_error(q, "Cannot ask systemd", r) : 0;
}

static int attach(struct scope_request *q);

static int on_join_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct scope_request *q = userdata;

        if (e && !q->root) {
                q->root = true;
                return attach(q);
        }
        finish(q, e ? (e->message ?: e->name) : NULL);
        return 0;
}

/* Where controllers are enabled for the leaves nothing may be beside them; else the leaf may be missing. */
static int attach(struct scope_request *q) {
        int r;

        r = sd_bus_call_method_async(q->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
                        "AttachProcessesToUnit", on_join_answer, q, "ssau", q->unit,
                        q->root ? "" : "/" SCOPE_LEAF, 1, (uint32_t) q->first);
        if (r >= 0)
                r = rearm(q, ANSWER_USEC);
        return r < 0 ? finish_error(q, "Cannot ask systemd", r) : 0;
}

/* Its unit is not active: what has been started in it meanwhile keeps it from going away. */
static int on_state_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct scope_request *q = userdata;
        const char *state = "";
        int r;

        if (!e && sd_bus_message_read(m, "v", "s", &state) < 0)
                state = "";
        if (streq(state, "active"))
                return attach(q);
        q->stage = STOPPING; /* until it is removed */
        r = rearm(q, 2 * stop_usec(q->daemon) + ANSWER_USEC);
        if (r < 0)
                return finish_error(q, "Cannot wait for systemd", r);
        scope_abandon(q->daemon, !streq(state, "deactivating"));
        return 0;
}

static int join(struct scope_request *q) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", q->unit, &path);
        if (r >= 0)
                r = sd_bus_call_method_async(q->bus, NULL, SYSTEMD, path, "org.freedesktop.DBus.Properties",
                                "Get", on_state_answer, q, "ss", SYSTEMD ".Unit", "ActiveState");
        if (r >= 0)
                r = rearm(q, ANSWER_USEC);
        return r < 0 ? finish_error(q, "Cannot ask systemd", r) : 0;
}

static int on_start_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct scope_request *q = userdata;
        const char *job;
        char *copy;
        int r;

        if (!e) {
                r = sd_bus_message_read(m, "o", &job);
                copy = r >= 0 ? strdup(job) : NULL;
                if (!copy)
                        return finish_error(q, "Cannot read the answer of systemd", r < 0 ? r : -ENOMEM);
                free(q->job);
                q->job = copy;
                return 0;
        }
        if (sd_bus_error_has_name(e, SYSTEMD ".UnitExists") && q->mode == SCOPE_REQUEST_HOLD)
                return join(q);
        if (sd_bus_error_has_name(e, SYSTEMD ".UnitExists") && !q->swept)
                return sweep(q);
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_PROPERTY_READ_ONLY) && !q->plain) {
                q->plain = true;
                r = ask_start(q);
                return r < 0 ? finish_error(q, "Cannot ask systemd", r) : 0;
        }
        finish(q, e->message ?: e->name);
        return 0;
}

static int on_stop_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct scope_request *q = userdata;

        if (q->stage != STOPPING || !e)
                return 0; /* UnitRemoved follows */
        if (sd_bus_error_has_name(e, SYSTEMD ".NoSuchUnit"))
                return start_again(q);
        finish(q, e->message ?: e->name);
        return 0;
}

/* What the manager tells everybody. The bus delivers what anybody sends to us alone, asked for or not, and
 * sd-bus cannot tell by a well-known name who it was. */

static bool is_of_manager(const struct scope_request *q, sd_bus_message *m) {
        return !q->manager || streq_ptr(sd_bus_message_get_sender(m), q->manager);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const char *job, *unit, *result;
        struct scope_request *q = userdata;
        uint32_t id;
        char text[128];

        if (!is_of_manager(q, m) || sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0 ||
                        q->stage != STARTING || !streq_ptr(job, q->job))
                return 0;
        (void) snprintf(text, sizeof(text), "its job has ended with result \"%s\"", result);
        q->anew = true;
        finish(q, streq(result, "done") ? NULL : text);
        return 0;
}

static int on_unit_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct scope_request *q = userdata;
        const char *unit, *path;

        if (!is_of_manager(q, m) || sd_bus_message_read(m, "so", &unit, &path) < 0 ||
                        q->stage != STOPPING || !streq(unit, q->unit))
                return 0;
        return start_again(q);
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct scope_request *q = userdata;

        /* on a direct connection everybody is */
        if (e && !sd_bus_error_has_name(e, SYSTEMD ".AlreadySubscribed")) {
                finish(q, e->message ?: e->name);
                return 0;
        }
        if (sd_bus_is_bus_client(q->bus) > 0) {
                q->manager = strdup(sd_bus_message_get_sender(m) ?: "");
                if (!q->manager)
                        return finish_error(q, "Cannot ask systemd", -ENOMEM);
        }
        return start_again(q);
}

static int on_too_long(sd_event_source *s, uint64_t usec, void *userdata) {
        struct scope_request *q = userdata;

        finish(q, q->stage == STOPPING ? "what was left of an earlier arbiter does not end"
                                       : "systemd does not answer");
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        finish(userdata, "the connection to systemd has ended");
        return 0;
}

static int on_ended(sd_event_source *s, void *userdata) {
        struct scope_request *q = userdata;
        _cleanup_free_ char *why = TAKE_PTR(q->why);

        q->done(q->daemon, why, q->anew);
        return 0;
}

/* The connection. */

static int match(struct scope_request *q, const char *signal, sd_bus_message_handler_t handler) {
        const char *sender = sd_bus_is_bus_client(q->bus) > 0 ? SYSTEMD : NULL;

        return sd_bus_match_signal_async(
                        q->bus, NULL, sender, SYSTEMD_PATH, SYSTEMD_MANAGER, signal, handler, NULL, q);
}

/* Calls and matches are answered in order: who asks for the signals has them before the first job. */
static int converse(struct scope_request *q) {
        int r;

        r = sd_bus_attach_event(q->bus, q->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = match(q, "JobRemoved", on_job_removed);
        if (r >= 0)
                r = match(q, "UnitRemoved", on_unit_removed);
        if (r >= 0)
                r = sd_bus_match_signal_async(q->bus, NULL, "org.freedesktop.DBus.Local", NULL,
                                "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, q);
        if (r >= 0)
                r = sd_bus_call_method_async(q->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                "Subscribe", on_subscribed, q, NULL);
        return r;
}

struct scope_request *scope_request_free(struct scope_request *q) {
        if (!q)
                return NULL;
        sd_bus_close_unref(q->bus); /* not flushed: that waits for a bus that hangs */
        sd_event_source_disable_unref(q->timer);
        sd_event_source_disable_unref(q->ended);
        sd_event_unref(q->event);
        free(q->unit);
        free(q->slice);
        free(q->service);
        free(q->job);
        free(q->manager);
        free(q->why);
        free(q);
        return NULL;
}

static int name_units(struct scope_request *q) {
        int r;

        r = instance_unit_name(q->daemon->instance, "-actors.scope", &q->unit);
        if (r >= 0)
                r = instance_unit_name(q->daemon->instance, ".slice", &q->slice);
        return r < 0 ? r : manager_own_service(&q->service);
}

static int add_sources(struct scope_request *q) {
        int r;

        r = sd_event_add_time_relative(
                        q->event, &q->timer, CLOCK_MONOTONIC, ANSWER_USEC, 0, on_too_long, q);
        if (r >= 0)
                r = sd_event_add_defer(q->event, &q->ended, on_ended, q);
        return r < 0 ? r : sd_event_source_set_enabled(q->ended, SD_EVENT_OFF);
}

static int new_request(struct daemon *d, int (*open)(const struct daemon *, sd_bus **),
                struct scope_request **ret) {
        _cleanup_(scope_request_freep) struct scope_request *q = calloc(1, sizeof(*q));
        int r;

        if (!q)
                return -ENOMEM;
        q->daemon = d;
        r = name_units(q);
        if (r >= 0)
                r = open(d, &q->bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(q);
        return 0;
}

int scope_request_make(struct daemon *d, struct sd_event *event, enum scope_request_mode mode, pid_t first,
                scope_request_done_t done, struct scope_request **ret) {
        _cleanup_(scope_request_freep) struct scope_request *q = NULL;
        int r;

        r = new_request(d, manager_open, &q);
        if (r < 0)
                return r;
        q->event = sd_event_ref(event);
        q->mode = mode;
        q->first = first;
        q->done = done;
        r = add_sources(q);
        if (r >= 0)
                r = converse(q);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(q);
        return 0;
}

int scope_request_stop(struct daemon *d) {
        _cleanup_(scope_request_freep) struct scope_request *q = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int r;

        r = new_request(d, manager_open_direct, &q);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(q->bus, ANSWER_USEC);
        if (r < 0)
                return log_error_errno(r, "systemd cannot be reached to stop the actors: %m");
        r = sd_bus_call_method(q->bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit", &e, NULL, "ss",
                        q->unit, "replace");
        if (r >= 0) {
                log_notice("The arbiter has died: what is left in %s is stopped.", q->unit);
                return 0;
        }
        if (sd_bus_error_has_name(&e, SYSTEMD ".NoSuchUnit"))
                return 0;
        return log_error_errno(r, "Cannot stop %s: %s", q->unit, e.message ?: "?");
}
