/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* systemd as the spawner of units (Concurrency=unit): the connection to the manager of the system or of this
 * user, the queue of what is asked of it, and what it tells of units. Used by the arbiter through units.h,
 * made by arbiter_use_systemd(). The connection is made when the first unit is to start, and again when it
 * has been lost, and then each unit is asked how it is. Must never wait, decide about a restart, or touch a
 * unit that is not the arbiter's. */

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-login.h>

#include "arbiter/control.h"
#include "bus/systemd.h"

/* Calls. */

bool systemd_is_unanswered(const sd_bus_error *e) {
        return sd_bus_error_has_names(e, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT,
                        SD_BUS_ERROR_DISCONNECTED, "System.Error.ECONNRESET", "System.Error.ETIMEDOUT");
}

bool systemd_is_absent(const sd_bus_error *e) {
        return sd_bus_error_has_names(e, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

const char *systemd_option(arbiter_bus kind) {
        return kind == ARBITER_BUS_USER ? " --user" : "";
}

int systemd_new_call(struct systemd *s, const char *path, const char *interface, const char *method,
                sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (!s->bus)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(s->bus, &m, SYSTEMD, path, interface, method);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, 0); /* it is there, or it is on its way by itself */
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int systemd_call(struct systemd *s, sd_bus_message *m, sd_bus_slot **ret_slot, sd_bus_message_handler_t done,
                void *userdata) {
        int r = sd_bus_call_async(s->bus, ret_slot, m, done, userdata, UNIT_CALL_USEC);

        return r < 0 ? r : 0;
}

void systemd_tell(struct systemd *s, const char *method, const char *signature, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = systemd_new_call(s, SYSTEMD_PATH, SYSTEMD_MANAGER, method, &m);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, 0);
        if (r >= 0) {
                va_start(ap, signature);
                r = sd_bus_message_appendv(m, signature, ap);
                va_end(ap);
        }
        if (r >= 0)
                (void) sd_bus_send(s->bus, m, NULL);
}

/* Turns of our own. */

void systemd_again(struct systemd *s) {
        (void) sd_event_source_set_enabled(s->again, SD_EVENT_ONESHOT);
}

static int connect_systemd(struct systemd *s);
static void compare_all(struct systemd *s);

static void retry_later(struct systemd *s) {
        if (sd_event_source_get_enabled(s->retry, NULL) > 0)
                return; /* many calls may tell of one loss */
        s->delay = MIN(MAX(s->delay * 2, (usec_t) SYSTEMD_RETRY_MIN_USEC), (usec_t) SYSTEMD_RETRY_MAX_USEC);
        if (sd_event_source_set_time_relative(s->retry, s->delay) >= 0)
                (void) sd_event_source_set_enabled(s->retry, SD_EVENT_ONESHOT);
}

void systemd_absent(struct systemd *s) {
        s->ready = false;
        retry_later(s);
}

static void tell_trouble(struct systemd *s, const char *text) {
        if (streq_ptr(text, s->trouble))
                return;
        free(s->trouble);
        s->trouble = strdup(text);
        control_log(s->arbiter, LOG_WARNING,
                        "the connection to systemd is not there, units can neither be started nor stopped: "
                        "%s",
                        text);
}

static void each_unit(struct systemd *s, void (*f)(struct systemd_unit *u)) {
        void *position = NULL;
        struct systemd_unit *u;

        while ((u = map_next(s->by_name, &position)))
                f(u);
}

static int note_manager(struct systemd *s, const char *name) {
        char *copy = name ? strdup(name) : NULL;

        free(s->manager);
        s->manager = copy;
        return name && !copy ? -ENOMEM : 0;
}

static void disconnect(struct systemd *s) {
        s->ready = s->broken = s->reloading = false;
        each_unit(s, systemd_unit_stop_asking);
        (void) note_manager(s, NULL);
        s->bus = sd_bus_close_unref(s->bus);
}

static void tell_over(struct systemd *s) {
        struct systemd_unit *u;

        while ((u = LIST_FIRST(&s->over, struct systemd_unit, queue))) {
                const struct unit_events *events = u->events;
                char result[UNIT_RESULT_SIZE];
                _cleanup_free_ char *text = TAKE_PTR(u->text);
                struct unit_end end = u->end;
                void *userdata = u->userdata;

                (void) snprintf(result, sizeof(result), "%s", u->result);
                end.result = result;
                end.text = text;
                (void) systemd_unit_free(u); /* a unit of its name may be started at once */
                events->ended(&end, userdata);
        }
}

static void run_queue(struct systemd *s) {
        struct systemd_unit *u;

        while (s->n_in_flight < UNITS_IN_FLIGHT_MAX && s->ready) {
                u = LIST_FIRST(&s->stops, struct systemd_unit, queue);
                if (u) {
                        list_remove(&u->queue);
                        systemd_unit_call_stop(u);
                        continue;
                }
                u = LIST_FIRST(&s->starts, struct systemd_unit, queue);
                if (!u)
                        break;
                list_remove(&u->queue);
                systemd_unit_start(u);
        }
}

static void run_questions(struct systemd *s) {
        struct systemd_unit *u;

        while (s->ready && s->n_asked < UNITS_ASKED_MAX &&
                        (u = LIST_FIRST(&s->to_ask, struct systemd_unit, to_ask))) {
                list_remove(&u->to_ask);
                systemd_unit_ask(u);
        }
}

static int on_again(sd_event_source *source, void *userdata) {
        struct systemd *s = userdata;
        arbiter *a = arbiter_ref(s->arbiter);
        bool wanted;

        control_turn_begin(a);
        if (s->broken) {
                disconnect(s);
                retry_later(s);
        }
        if (s->ready && s->compare)
                compare_all(s);
        if (s->ready && s->sweep)
                systemd_sweep_begin(s);
        run_questions(s);
        run_queue(s);
        tell_over(s);
        run_queue(s);
        wanted = s->compare || s->sweep || !list_is_empty(&s->starts) || !list_is_empty(&s->stops);
        if (wanted && !s->bus && s->delay == 0) {
                s->delay = 1; /* from here on the timer */
                (void) connect_systemd(s);
        }
        control_turn_end(a);
        (void) arbiter_unref(a);
        return 0;
}

/* What the manager tells everybody. The bus delivers what anybody sends to us alone, asked for or not, and
 * sd-bus cannot tell by a well-known name who it was. What the manager has said before it is known who it is
 * is in its answers to what is asked then. */

static bool is_of_manager(const struct systemd *s, sd_bus_message *m) {
        return s->direct || (s->manager && streq_ptr(sd_bus_message_get_sender(m), s->manager));
}

static int on_job_new(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct systemd *s = userdata;
        const char *job, *name;
        struct systemd_unit *u;
        uint32_t id;

        if (!is_of_manager(s, m) || sd_bus_message_read(m, "uos", &id, &job, &name) < 0)
                return 0;
        u = map_get_string(s->by_name, name);
        if (u)
                systemd_unit_job_new(u, job);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const char *job, *name, *result;
        struct systemd *s = userdata;
        struct systemd_unit *u;
        uint32_t id;

        if (!is_of_manager(s, m) || s->reloading ||
                        sd_bus_message_read(m, "uoss", &id, &job, &name, &result) < 0)
                return 0;
        u = map_get_string(s->by_name, name);
        if (u)
                systemd_unit_job_removed(u, job, result);
        return 0;
}

static int on_unit_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct systemd *s = userdata;
        const char *name, *path;
        struct systemd_unit *u;

        if (!is_of_manager(s, m) || s->reloading || sd_bus_message_read(m, "so", &name, &path) < 0)
                return 0;
        u = map_get_string(s->by_name, name);
        if (u)
                systemd_unit_removed(u);
        return 0;
}

/* Of all units and services of the machine: few of them are ours. Those of the service come before those of
 * the unit, with which a change is complete. */
static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct systemd *s = userdata;
        const char *path = sd_bus_message_get_path(m), *interface;
        struct systemd_unit *u = path ? map_get_string(s->by_path, path) : NULL;

        if (!u || !is_of_manager(s, m) || sd_bus_message_read_basic(m, 's', &interface) < 0 ||
                        unit_facts_read(&u->facts, m, u->mark) < 0)
                return 0;
        if (streq(interface, SYSTEMD_UNIT))
                systemd_unit_changed(u);
        return 0;
}

/* The connection. */

/* Of all units in one answer: hundreds of them are asked for by one question, those that have changed by
 * another one each. */
static int on_listed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const char *name, *load_state, *active_state;
        struct systemd *s = userdata;
        struct systemd_unit *u;

        if (sd_bus_message_get_error(m) || sd_bus_message_enter_container(m, 'a', "(ssssssouso)") < 0) {
                systemd_absent(s);
                return 0;
        }
        while (sd_bus_message_read(m, "(ssssssouso)", &name, NULL, &load_state, &active_state, NULL, NULL,
                               NULL, NULL, NULL, NULL) > 0) {
                u = map_get_string(s->by_name, name);
                if (u)
                        systemd_unit_compare(u, load_state, active_state);
        }
        return 0;
}

static int append_known(struct systemd *s, sd_bus_message *m) {
        void *position = NULL;
        struct systemd_unit *u;
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        while (r >= 0 && (u = map_next(s->by_name, &position)))
                if (systemd_unit_is_known(u))
                        r = sd_bus_message_append_basic(m, 's', u->name);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void compare_all(struct systemd *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        s->compare = false;
        r = systemd_new_call(s, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByNames", &m);
        if (r >= 0)
                r = append_known(s, m);
        if (r >= 0)
                r = systemd_call(s, m, NULL, on_listed, s);
        if (r < 0)
                systemd_absent(s);
}

/* "systemctl daemon-reload", or daemon-reexec: all units are removed and made again, says systemd. */
static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct systemd *s = userdata;
        int active;

        if (!is_of_manager(s, m) || sd_bus_message_read(m, "b", &active) < 0)
                return 0;
        s->reloading = active;
        if (active) {
                systemd_absent(s);
                return 0;
        }
        s->ready = true;
        compare_all(s);
        systemd_again(s);
        return 0;
}

static int on_version(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct systemd *s = userdata;
        const char *version;

        if (sd_bus_message_get_error(m) || sd_bus_message_read(m, "v", "s", &version) < 0)
                return 0;
        free(s->version);
        s->version = strdup(version);
        return 0;
}

static void ask_version(struct systemd *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = systemd_new_call(s, SYSTEMD_PATH, "org.freedesktop.DBus.Properties", "Get", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", SYSTEMD_MANAGER, "Version");
        if (r >= 0)
                (void) systemd_call(s, m, NULL, on_version, s);
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct systemd *s = userdata;

        if (e && !sd_bus_error_has_name(e, SYSTEMD ".AlreadySubscribed")) {
                tell_trouble(s, e->message ?: e->name);
                retry_later(s);
                return 0;
        }
        if (note_manager(s, sd_bus_message_get_sender(m)) < 0) {
                retry_later(s);
                return 0;
        }
        s->ready = true;
        s->reloading = false; /* it answers */
        s->delay = 0;
        (void) sd_event_source_set_enabled(s->retry, SD_EVENT_OFF);
        if (s->trouble)
                control_log(s->arbiter, LOG_NOTICE, "the connection to systemd is back");
        free(s->trouble);
        s->trouble = NULL;
        ask_version(s);
        compare_all(s);
        systemd_again(s);
        return 0;
}

static int subscribe(struct systemd *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = systemd_new_call(s, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe", &m);
        return r < 0 ? r : systemd_call(s, m, NULL, on_subscribed, s);
}

/* systemd has executed itself anew: it has kept what it knew, but what it told meanwhile is lost. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const char *name, *old, *new;
        struct systemd *s = userdata;

        if (!streq_ptr(sd_bus_message_get_sender(m), "org.freedesktop.DBus") ||
                        sd_bus_message_read(m, "sss", &name, &old, &new) < 0)
                return 0;
        (void) note_manager(s, NULL);
        if (*new)
                (void) subscribe(s);
        else
                systemd_absent(s);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct systemd *s = userdata;

        /* A bus may be there for connecting only: that of a user whose session ends is not started any more,
         * and its socket is open. */
        s->bus_is_mute = !s->ready && !s->direct;
        s->ready = false;
        s->broken = true;
        tell_trouble(s, "it has ended");
        systemd_again(s); /* the connection is not closed from within itself */
        return 0;
}

static int match(struct systemd *s, const char *signal, sd_bus_message_handler_t handler) {
        return sd_bus_match_signal_async(s->bus, NULL, s->direct ? NULL : SYSTEMD, SYSTEMD_PATH,
                        SYSTEMD_MANAGER, signal, handler, NULL, s);
}

/* Each start of a unit touches half a dozen of others (targets, slices, mounts), all of whose changes the
 * manager tells by two signals each: what need not be woken for is not. */
static int match_changes(struct systemd *s, const char *interface) {
        char filter[512];

        (void) snprintf(filter, sizeof(filter),
                        "type='signal',interface='org.freedesktop.DBus.Properties',"
                        "member='PropertiesChanged',path_namespace='" SYSTEMD_UNIT_PATH "',arg0='%s'%s",
                        interface, s->direct ? "" : ",sender='" SYSTEMD "'");
        return sd_bus_add_match_async(s->bus, NULL, filter, on_properties_changed, NULL, s);
}

static int match_all(struct systemd *s) {
        static const char owner[] =
                        "type='signal',sender='org.freedesktop.DBus',"
                        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" SYSTEMD "'";
        int r;

        r = match(s, "Reloading", on_reloading);
        if (r >= 0)
                r = match(s, "JobNew", on_job_new);
        if (r >= 0)
                r = match(s, "JobRemoved", on_job_removed);
        if (r >= 0)
                r = match(s, "UnitRemoved", on_unit_removed);
        if (r >= 0)
                r = match_changes(s, SYSTEMD_SERVICE);
        if (r >= 0)
                r = match_changes(s, SYSTEMD_UNIT);
        if (r >= 0 && !s->direct)
                r = sd_bus_add_match_async(s->bus, NULL, owner, on_owner_changed, NULL, s);
        if (r >= 0)
                r = sd_bus_match_signal_async(s->bus, NULL, "org.freedesktop.DBus.Local", NULL,
                                "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, s);
        return r;
}

/* As systemctl does it without a bus daemon. */
static int open_direct(const char *address, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_description(bus, "units");
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int open_private(struct systemd *s) {
        const char *base = s->kind == ARBITER_BUS_SYSTEM ? "/run" : secure_getenv("XDG_RUNTIME_DIR");
        _cleanup_free_ char *address = NULL;

        if (!base)
                return -ENXIO;
        if (asprintf(&address, "unix:path=%s/systemd/private", base) < 0) {
                address = NULL;
                return -ENOMEM;
        }
        return open_direct(address, &s->bus);
}

/* The bus first: the other way is for when there is none, or it does not answer. */
static int open_bus(struct systemd *s) {
        int r, q;

        s->direct = s->address || s->bus_is_mute;
        if (s->address)
                return open_direct(s->address, &s->bus);
        if (TAKE_GENERIC(s->bus_is_mute, bool, false) && open_private(s) >= 0)
                return 0;
        s->direct = false;
        r = s->kind == ARBITER_BUS_SYSTEM ? sd_bus_open_system_with_description(&s->bus, "units")
                                          : sd_bus_open_user_with_description(&s->bus, "units");
        if (r >= 0)
                return 0;
        s->direct = true;
        q = open_private(s);
        return q < 0 ? r : 0;
}

static int connect_systemd(struct systemd *s) {
        int r;

        r = open_bus(s);
        if (r >= 0)
                r = sd_bus_attach_event(s->bus, s->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = match_all(s);
        if (r >= 0)
                r = subscribe(s);
        if (r < 0) {
                tell_trouble(s, strerror(-r));
                disconnect(s);
                retry_later(s);
        }
        return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        struct systemd *s = userdata;

        if (s->n_units == 0 && !s->bus)
                s->delay = 0; /* nobody needs it: when the next one starts */
        else if (!s->bus)
                (void) connect_systemd(s);
        else if (!s->ready)
                (void) subscribe(s);
        return 0;
}

/* What the arbiter uses. */

static const char *why_not(void *userdata) {
        struct systemd *s = userdata;

        return s->why_not;
}

static int start(void *userdata, const struct unit_request *q, const struct unit_events *events,
                void *events_userdata, struct systemd_unit **ret) {
        struct systemd *s = userdata;
        struct systemd_unit *u;
        int r;

        r = systemd_unit_new(s, q, events, events_userdata, &u);
        if (r < 0)
                return r;
        list_append(&s->starts, &u->queue);
        *ret = u;
        /* Of a hundred the first ones are systemd's to start while the others are still thought of. */
        if (s->ready && list_is_empty(&s->stops) && s->n_in_flight < UNITS_IN_FLIGHT_MAX &&
                        LIST_FIRST(&s->starts, struct systemd_unit, queue) == u) {
                list_remove(&u->queue);
                systemd_unit_start(u);
        }
        systemd_again(s);
        return 0;
}

static bool is_of_system(void *userdata) {
        struct systemd *s = userdata;

        return s->kind == ARBITER_BUS_SYSTEM;
}

static int adopt(void *userdata, const struct unit_adoption *q, const struct unit_events *events,
                void *events_userdata, struct systemd_unit **ret) {
        struct systemd *s = userdata;
        struct systemd_unit *u;
        int r;

        r = systemd_unit_new_adopted(s, q, events, events_userdata, &u);
        if (r < 0)
                return r;
        s->compare = true;
        systemd_again(s);
        *ret = u;
        return 0;
}

/* Of a user's manager it must be that of this user: others have managers that make units, too. */
static int unit_of(void *userdata, pid_t pid, char **ret) {
        struct systemd *s = userdata;
        uid_t uid;
        int r;

        if (s->kind == ARBITER_BUS_SYSTEM)
                r = sd_pid_get_unit(pid, ret);
        else {
                r = sd_pid_get_owner_uid(pid, &uid);
                if (r >= 0)
                        r = uid == geteuid() ? sd_pid_get_user_unit(pid, ret) : -ENXIO;
        }
        return r == -ENODATA ? -ENXIO : r < 0 ? r : 0;
}

static void release_slice(void *userdata, const char *slice) {
        struct systemd *s = userdata;

        if (s->ready)
                systemd_tell(s, "StopUnit", "ss", slice, "replace");
}

static void free_systemd(void *userdata) {
        (void) systemd_free(userdata);
}

const struct unit_ops systemd_ops = {
        .why_not = why_not,
        .is_of_system = is_of_system,
        .start = start,
        .adopt = adopt,
        .stop = systemd_unit_stop,
        .kill = systemd_unit_kill,
        .forget = systemd_unit_forget,
        .unit_of = unit_of,
        .sweep = systemd_sweep,
        .release_slice = release_slice,
        .free = free_systemd,
};

/* Without asking anybody: is there a manager at all? */
static int find_manager(struct systemd *s) {
        const char *text = NULL, *runtime = secure_getenv("XDG_RUNTIME_DIR");
        _cleanup_free_ char *directory = NULL;
        struct stat st;

        if (s->address)
                return 0;
        if (s->kind == ARBITER_BUS_SYSTEM) {
                if (lstat("/run/systemd/system/", &st) < 0)
                        text = "this machine was not booted with systemd, or this is a container without "
                               "it; use "
                               "Concurrency=process";
                else if (geteuid() != 0)
                        text = "the system's systemd makes units for root only; let this user's do it, by a "
                               "user's arbiter";
        } else if (!runtime || !*runtime)
                text = "$XDG_RUNTIME_DIR is not set, so this user's systemd cannot be found";
        else {
                if (asprintf(&directory, "%s/systemd/", runtime) < 0) {
                        directory = NULL;
                        return -ENOMEM;
                }
                if (lstat(directory, &st) < 0)
                        text = "no systemd runs for this user: \"loginctl enable-linger\" lets it run "
                               "without a session";
        }
        s->why_not = text ? strdup(text) : NULL;
        return text && !s->why_not ? -ENOMEM : 0;
}

static int add_sources(struct systemd *s) {
        int r;

        r = sd_event_add_defer(s->event, &s->again, on_again, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->again, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(s->event, &s->retry, CLOCK_MONOTONIC, UINT64_MAX, 0, on_retry, s);
        return r < 0 ? r : sd_event_source_set_enabled(s->retry, SD_EVENT_OFF);
}

int systemd_new(arbiter *a, sd_event *event, arbiter_bus kind, const char *address, struct systemd **ret) {
        _cleanup_(systemd_freep) struct systemd *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        list_init(&s->starts);
        list_init(&s->stops);
        list_init(&s->over);
        list_init(&s->to_ask);
        s->arbiter = a;
        s->event = sd_event_ref(event);
        s->kind = kind;
        s->address = address ? strdup(address) : NULL;
        if (address && !s->address)
                return -ENOMEM;
        r = map_new(&s->by_name);
        if (r >= 0)
                r = map_new(&s->by_path);
        if (r >= 0)
                r = add_sources(s);
        if (r >= 0)
                r = find_manager(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

struct systemd *systemd_free(struct systemd *s) {
        void *position = NULL;
        struct systemd_unit *u;

        if (!s)
                return NULL;
        while (s->by_name && (u = map_next(s->by_name, &position))) {
                systemd_unit_forget(u);
                position = NULL;
        }
        sd_event_source_disable_unref(s->again);
        sd_event_source_disable_unref(s->retry);
        sd_bus_flush_close_unref(s->bus); /* what is left of units is to end */
        sd_event_unref(s->event);
        map_free(s->by_name, NULL);
        map_free(s->by_path, NULL);
        free(s->address);
        free(s->version);
        free(s->manager);
        free(s->sweep_prefix);
        free(s->sweep_mark);
        free(s->why_not);
        free(s->trouble);
        free(s);
        return NULL;
}
