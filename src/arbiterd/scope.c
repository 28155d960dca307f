/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes and stops the scope of the actors, by org.freedesktop.systemd1.Manager. Called once before the
 * arbiter runs, and by `arbiterd --stop-actors`. The connection is closed again: what becomes of the bus
 * later does not matter to the actors. Must never wait without a bound, nor touch a cgroup that is not the
 * scope's. */

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/notify.h"
#include "arbiterd/scope.h"
#include "basic/fd.h"
#include "shared/instance.h"
#include "shared/log.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD ".Manager"
#define ANSWER_USEC (15 * USEC_PER_SEC) /* for one answer of the manager, and for one job */
#define STOP_MIN_USEC (5 * USEC_PER_SEC)
#define STOP_MAX_USEC (90 * USEC_PER_SEC)
#define FIRST_LEAF "arbiter-logger" /* no actor's leaf: those have an aid behind a dot */
#define ATTRIBUTE_MAX 4096

enum stage { STARTING, STOPPING, DONE };

struct request {
        struct daemon *daemon;
        sd_event *event;
        sd_bus *bus;
        sd_event_source *timer;
        char *unit, *slice, *service, *job;
        pid_t first;
        enum stage stage;
        bool plain;   /* without what older versions of systemd do not know */
        bool swept;   /* what was left of an earlier one has been asked to go */
        bool stopped; /* a signal asked us to stop */
        bool made;
        char *why;
};

static void finish(struct request *q, const char *why) {
        if (q->stage == DONE)
                return;
        q->stage = DONE;
        q->made = !why;
        q->why = why ? strdup(why) : NULL;
        (void) sd_event_exit(q->event, 0);
}

static int finish_error(struct request *q, const char *what, int error) {
        char text[256];

        (void) snprintf(text, sizeof(text), "%s: %s", what, strerror(-error));
        finish(q, text);
        return 0;
}

static int rearm(struct request *q, usec_t usec) {
        int r = sd_event_source_set_time_relative(q->timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(q->timer, SD_EVENT_ONESHOT);
}

/* How long it takes systemd to end what does not end by itself: as long as we would wait for our slowest. */
static usec_t stop_usec(const struct daemon *d) {
        usec_t usec = MAX(STOP_MIN_USEC, daemon_timeout_stop(d));

        return MIN(usec, STOP_MAX_USEC);
}

/* The properties. */

static int append_base(struct request *q, sd_bus_message *m) {
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

static int ask_start(struct request *q) {
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

static int ask_stop(struct request *q) {
        int r;

        q->stage = STOPPING;
        r = sd_bus_call_method_async(q->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit",
                        on_stop_answer, q, "ss", q->unit, "replace");
        return r < 0 ? r : rearm(q, stop_usec(q->daemon) + ANSWER_USEC);
}

/* Of an arbiter that did not come to stop them. */
static int sweep(struct request *q) {
        int r;

        log_notice("%s is there already: an arbiter has died and left actors behind. They are stopped "
                   "before new ones are started.",
                        q->unit);
        notify_starting(q->daemon, "Stopping what an arbiter that has died left behind",
                        stop_usec(q->daemon) + 2 * ANSWER_USEC);
        q->swept = true;
        r = ask_stop(q);
        return r < 0 ? finish_error(q, "Cannot stop the old scope", r) : 0;
}

static int on_start_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct request *q = userdata;
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

static int start_again(struct request *q) {
        int r = ask_start(q);

        return r < 0 ? finish_error(q, "Cannot ask systemd", r) : 0;
}

static int on_stop_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct request *q = userdata;

        if (q->stage != STOPPING || !e)
                return 0; /* UnitRemoved follows */
        if (sd_bus_error_has_name(e, SYSTEMD ".NoSuchUnit"))
                return start_again(q);
        finish(q, e->message ?: e->name);
        return 0;
}

/* What the manager tells everybody. */

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const char *job, *unit, *result;
        struct request *q = userdata;
        uint32_t id;
        char text[128];

        if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0 || q->stage != STARTING ||
                        !streq_ptr(job, q->job))
                return 0;
        (void) snprintf(text, sizeof(text), "its job has ended with result \"%s\"", result);
        finish(q, streq(result, "done") ? NULL : text);
        return 0;
}

static int on_unit_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        struct request *q = userdata;
        const char *unit, *path;

        if (sd_bus_message_read(m, "so", &unit, &path) < 0 || q->stage != STOPPING || !streq(unit, q->unit))
                return 0;
        return start_again(q);
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct request *q = userdata;

        /* on a direct connection everybody is */
        if (e && !sd_bus_error_has_name(e, SYSTEMD ".AlreadySubscribed")) {
                finish(q, e->message ?: e->name);
                return 0;
        }
        return start_again(q);
}

static int on_too_long(sd_event_source *s, uint64_t usec, void *userdata) {
        struct request *q = userdata;

        finish(q, q->stage == STOPPING ? "what was left of an earlier arbiter does not end"
                                       : "systemd does not answer");
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        finish(userdata, "the connection to systemd has ended");
        return 0;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        struct request *q = userdata;

        q->stopped = true;
        finish(q, "");
        return 0;
}

/* The connection. */

/* Without a bus daemon, as systemctl does it. */
static int open_private(const struct daemon *d, sd_bus **ret) {
        const char *base = d->mode == DAEMON_SYSTEM ? "/run" : getenv("XDG_RUNTIME_DIR");
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *address = NULL;
        int r;

        if (!base || asprintf(&address, "unix:path=%s/systemd/private", base) < 0) {
                address = NULL;
                return base ? -ENOMEM : -ENXIO;
        }
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int open_manager(const struct daemon *d, sd_bus **ret) {
        int r, q;

        r = d->mode == DAEMON_SYSTEM ? sd_bus_open_system_with_description(ret, "scope")
                                     : sd_bus_open_user_with_description(ret, "scope");
        if (r >= 0)
                return 0;
        q = open_private(d, ret);
        return q >= 0 ? 0 : r;
}

static int match(struct request *q, const char *signal, sd_bus_message_handler_t handler) {
        const char *sender = sd_bus_is_bus_client(q->bus) > 0 ? SYSTEMD : NULL;

        return sd_bus_match_signal_async(
                        q->bus, NULL, sender, SYSTEMD_PATH, SYSTEMD_MANAGER, signal, handler, NULL, q);
}

/* Calls and matches are answered in order: who asks for the signals has them before the first job. */
static int converse(struct request *q) {
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
        return r < 0 ? r : sd_event_loop(q->event);
}

static int make_loop(struct request *q) {
        static const int signals[] = { SIGTERM, SIGINT };
        int r;

        r = sd_event_new(&q->event);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(q->event, NULL, signals[i], on_signal, q);
        return r < 0 ? r
                     : sd_event_add_time_relative(q->event, &q->timer, CLOCK_MONOTONIC, ANSWER_USEC, 0,
                                       on_too_long, q);
}

static void request_done(struct request *q) {
        if (q->bus)
                (void) sd_bus_flush_close_unref(q->bus);
        sd_event_source_disable_unref(q->timer);
        sd_event_unref(q->event);
        free(q->unit);
        free(q->slice);
        free(q->service);
        free(q->job);
        free(q->why);
}

/* The service that we are, NULL if we are none. */
static int own_service(char **ret) {
        _cleanup_free_ char *text = NULL;
        char *name, *end;
        int r;

        *ret = NULL;
        r = read_file_full(AT_FDCWD, "/proc/self/cgroup", ATTRIBUTE_MAX, &text, NULL);
        name = r < 0 ? NULL : strstr(text, "0::/");
        end = name ? name + strcspn(name, "\n") : NULL;
        if (!end)
                return 0;
        *end = 0;
        name = strrchr(name, '/') + 1;
        end = strrchr(name, '.');
        if (!end || !streq(end, ".service"))
                return 0;
        *ret = strdup(name);
        return *ret ? 0 : -ENOMEM;
}

static int name_units(struct request *q) {
        int r;

        r = instance_unit_name(q->daemon->instance, "-actors.scope", &q->unit);
        if (r >= 0)
                r = instance_unit_name(q->daemon->instance, ".slice", &q->slice);
        return r < 0 ? r : own_service(&q->service);
}

/* Its cgroup. */

/* The directory of the cgroup that a process is in. systemd has the hierarchy in one of two places. */
static int cgroup_directory(pid_t pid, char **ret) {
        static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        _cleanup_free_ char *text = NULL;
        char file[64], *path;
        struct statfs fs;
        int r;

        (void) snprintf(file, sizeof(file), "/proc/%d/cgroup", (int) pid);
        r = read_file_full(AT_FDCWD, file, ATTRIBUTE_MAX, &text, NULL);
        if (r < 0)
                return r;
        path = strstr(text, "0::/");
        if (!path)
                return -EOPNOTSUPP;
        path += strlen("0::");
        path[strcspn(path, "\n")] = 0;
        for (size_t i = 0; i < ELEMENTSOF(mounts); i++)
                if (statfs(mounts[i], &fs) >= 0 && (unsigned long) fs.f_type == CGROUP2_SUPER_MAGIC)
                        return asprintf(ret, "%s%s", mounts[i], path) < 0 ? -ENOMEM : 0;
        return -EOPNOTSUPP;
}

/* A cgroup with processes of its own cannot have controllers below it. */
static int move_first(int fd, pid_t first) {
        char pid[16];

        if (mkdirat(fd, FIRST_LEAF, 0755) < 0 && errno != EEXIST)
                return negative_errno();
        (void) snprintf(pid, sizeof(pid), "%d", (int) first);
        return write_file_string(fd, FIRST_LEAF "/cgroup.procs", pid);
}

/* For what the actors use, and whether one of them was killed for want of it. Where there is none:
 * without. */
static void enable_memory(int fd) {
        int r = write_file_string(fd, "cgroup.subtree_control", "+memory");

        if (r < 0)
                log_debug_errno(r, "The memory controller cannot be had for the actors: %m");
}

static int take_cgroup(struct request *q) {
        _cleanup_free_ char *directory = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = cgroup_directory(q->first, &directory);
        if (r < 0)
                return r;
        if (!strstr(directory, "-actors.scope")) /* moved on by somebody, or a hierarchy of version 1 */
                return -EOPNOTSUPP;
        fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? negative_errno() : move_first(fd, q->first);
        if (r < 0)
                return r;
        enable_memory(fd);
        q->daemon->cgroup = TAKE_PTR(directory);
        return 0;
}

static int fall_back(struct request *q, const char *why) {
        struct daemon *d = q->daemon;

        free(d->no_scope);
        d->no_scope = strdup(why);
        if (!d->no_scope)
                return -ENOMEM;
        log_warning("There is no %s (%s): actors run in process groups in place of cgroups, and a "
                    "descendant that leaves its group can outlive its actor.",
                        q->unit, why);
        return 1;
}

static int fall_back_errno(struct request *q, const char *what, int error) {
        char text[256];

        (void) snprintf(text, sizeof(text), "%s: %s", what, strerror(-error));
        return fall_back(q, text);
}

int scope_make(struct daemon *d, pid_t first) {
        _cleanup_(request_done) struct request q = { .daemon = d, .first = first };
        int r;

        r = name_units(&q);
        if (r < 0)
                return r;
        if (d->mode == DAEMON_SYSTEM && sd_booted() <= 0)
                return fall_back(&q, "this system was not booted with systemd");
        r = open_manager(d, &q.bus);
        if (r < 0)
                return fall_back_errno(&q, "systemd cannot be reached", r);
        r = make_loop(&q);
        if (r >= 0)
                r = converse(&q);
        if (r < 0)
                return fall_back_errno(&q, "systemd cannot be asked", r);
        if (q.stopped)
                return -ECANCELED;
        if (!q.made)
                return fall_back(&q, q.why ?: "out of memory");
        r = take_cgroup(&q);
        return r < 0 ? fall_back_errno(&q, "its cgroup cannot be used", r) : 0;
}

int scope_stop(struct daemon *d) {
        _cleanup_(request_done) struct request q = { .daemon = d };
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int r;

        r = name_units(&q);
        if (r >= 0)
                r = open_manager(d, &q.bus);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(q.bus, ANSWER_USEC);
        if (r < 0)
                return log_error_errno(r, "systemd cannot be reached to stop the actors: %m");
        r = sd_bus_call_method(q.bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit", &e, NULL, "ss",
                        q.unit, "replace");
        if (r >= 0) {
                log_notice("The arbiter has died: what is left in %s is stopped.", q.unit);
                return 0;
        }
        if (sd_bus_error_has_name(&e, SYSTEMD ".NoSuchUnit"))
                return 0;
        return log_error_errno(r, "Cannot stop %s: %s", q.unit, e.message ?: "?");
}
