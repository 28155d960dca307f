/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Follows the arbiter's service by org.freedesktop.systemd1. Called by main.c. Whatever changes, the state
 * and the job of the unit are asked for again, and only what one answer says counts: a service that is
 * restarted passes through states that mean nothing. Must never take silence for an answer: while the
 * manager cannot be asked, the arbiter may come back. */

#include <stdio.h>
#include <systemd/sd-bus.h>

#include "arbiter-keeper/service-watch.h"
#include "basic/time-util.h"
#include "shared/log.h"
#include "shared/systemd-bus.h"

#define SYSTEMD_UNIT SYSTEMD ".Unit"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define RETRY_USEC (USEC_PER_SEC)

struct service_watch {
        sd_event *event;
        sd_bus *bus;
        sd_bus_slot *question; /* under way */
        sd_event_source *retry;
        char *service, *path;
        bool user;
        bool again; /* something has changed since it was put */
        bool settled, confirmed, complained;
        struct service_watch_events events;
        void *userdata;
};

static void retry_later(struct service_watch *w, int error) {
        if (!w->complained)
                log_warning_errno(error, "The state of %s cannot be asked for: %m. It is tried again.",
                                w->service);
        w->complained = true;
        (void) sd_event_source_set_time_relative(w->retry, RETRY_USEC);
        (void) sd_event_source_set_enabled(w->retry, SD_EVENT_ONESHOT);
}

/* The question. */

struct unit_state {
        bool known, down, job;
};

static int read_properties(sd_bus_message *m, struct unit_state *ret) {
        const char *name, *s;
        uint32_t job;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r < 0)
                        return r;
                if (streq(name, "ActiveState")) {
                        r = sd_bus_message_read(m, "v", "s", &s);
                        if (r < 0)
                                return r;
                        ret->known = true;
                        ret->down = streq(s, "inactive") || streq(s, "failed");
                } else if (streq(name, "Job")) {
                        r = sd_bus_message_read(m, "v", "(uo)", &job, NULL);
                        if (r < 0)
                                return r;
                        ret->job = job != 0;
                } else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static void ask(struct service_watch *w);

static void judge(struct service_watch *w, bool down) {
        if (w->settled && !w->confirmed) {
                w->confirmed = true;
                w->events.confirmed(down, w->userdata);
        } else if (down && !w->settled) {
                w->settled = true;
                w->events.settled(w->userdata);
                ask(w);
        }
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct service_watch *w = userdata;
        struct unit_state state = {};
        int r;

        w->question = sd_bus_slot_unref(w->question);
        r = e ? -sd_bus_error_get_errno(e) : read_properties(m, &state);
        if (r >= 0 && !state.known)
                r = -EBADMSG;
        if (r < 0) {
                retry_later(w, r);
                return 0;
        }
        if (w->complained)
                log_info("The state of %s is known again.", w->service);
        w->complained = false;
        if (w->again)
                ask(w);
        else
                judge(w, state.down && !state.job);
        return 0;
}

static void ask(struct service_watch *w) {
        int r;

        w->again = w->question;
        if (w->question)
                return;
        r = sd_bus_call_method_async(w->bus, &w->question, SYSTEMD, w->path, PROPERTIES, "GetAll",
                        on_properties, w, "s", SYSTEMD_UNIT);
        if (r < 0)
                retry_later(w, r);
}

/* It comes with each change of the status line of an arbiter that runs: only an end is looked into. */
static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct unit_state state = {};
        const char *interface;
        int r;

        r = sd_bus_message_read_basic(m, 's', &interface);
        if (r >= 0)
                r = read_properties(m, &state);
        if (r < 0 || !state.known || state.down)
                ask(userdata);
        return 0;
}

/* Done or begun: systemd may have another idea of the unit afterwards. */
static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        ask(userdata);
        return 0;
}

/* Another systemd, or the same one executed anew: it may have forgotten who wants to be told. */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct service_watch *w = userdata;

        (void) sd_bus_call_method_async(
                        w->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe", NULL, NULL, NULL);
        ask(w);
        return 0;
}

/* The connection. */

static void disconnect(struct service_watch *w) {
        w->question = sd_bus_slot_unref(w->question);
        w->bus = sd_bus_close_unref(w->bus); /* not flushed: that waits for a bus that hangs */
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        retry_later(userdata, -ECONNRESET);
        return 0;
}

/* Signals are asked for before the state is: between the two nothing gets lost. */
static int converse(struct service_watch *w) {
        bool bus = sd_bus_is_bus_client(w->bus) > 0;
        _cleanup_free_ char *change = NULL;
        int r;

        r = asprintf(&change,
                            "type='signal',%spath='%s',interface='" PROPERTIES "',"
                            "member='PropertiesChanged',arg0='" SYSTEMD_UNIT "'",
                            bus ? "sender='" SYSTEMD "'," : "", w->path);
        if (r < 0) {
                change = NULL;
                return -ENOMEM;
        }
        r = sd_bus_attach_event(w->bus, w->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_add_match_async(w->bus, NULL, change, on_change, NULL, w);
        if (r >= 0)
                r = sd_bus_match_signal_async(w->bus, NULL, bus ? SYSTEMD : NULL, SYSTEMD_PATH,
                                SYSTEMD_MANAGER, "Reloading", on_reloading, NULL, w);
        if (r >= 0 && bus)
                r = sd_bus_add_match_async(w->bus, NULL,
                                "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "arg0='" SYSTEMD "'",
                                on_owner, NULL, w);
        if (r >= 0)
                r = sd_bus_match_signal_async(w->bus, NULL, "org.freedesktop.DBus.Local", NULL,
                                "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, w);
        if (r >= 0)
                (void) on_owner(NULL, w, NULL);
        return r;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        struct service_watch *w = userdata;
        int r;

        disconnect(w);
        r = systemd_bus_open(w->user, "service-watch", &w->bus);
        if (r >= 0)
                r = converse(w);
        if (r < 0)
                retry_later(w, r);
        return 0;
}

int service_watch_new(sd_event *event, const char *service, bool user,
                const struct service_watch_events *events, void *userdata, struct service_watch **ret) {
        _cleanup_(service_watch_freep) struct service_watch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (struct service_watch){
                .event = sd_event_ref(event),
                .service = strdup(service),
                .user = user,
                .events = *events,
                .userdata = userdata,
        };
        r = w->service ? sd_bus_path_encode(SYSTEMD_PATH "/unit", service, &w->path) : -ENOMEM;
        if (r >= 0)
                r = sd_event_add_time_relative(event, &w->retry, CLOCK_MONOTONIC, 0, 0, on_retry, w);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

struct service_watch *service_watch_free(struct service_watch *w) {
        if (!w)
                return NULL;
        disconnect(w);
        sd_event_source_disable_unref(w->retry);
        sd_event_unref(w->event);
        free(w->service);
        free(w->path);
        free(w);
        return NULL;
}
