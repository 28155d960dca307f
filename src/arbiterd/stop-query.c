/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the manager which job its service arbiter.service has: "systemctl stop" and "systemctl restart" both
 * come as SIGTERM. Called by leave.c. Must never wait without a bound, nor hold up the loop; a manager that
 * says nothing, or nonsense, is no reason to end anybody's work. */

#include <stdio.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/manager.h"
#include "arbiterd/stop-query.h"
#include "shared/log.h"

#define ANSWER_USEC (5 * USEC_PER_SEC)
#define PROPERTIES "org.freedesktop.DBus.Properties"

enum { JOB, ACTIVE, RESTART, N_ANSWERS };

struct stop_query {
        sd_bus *bus;
        sd_event_source *timer, *ended;
        unsigned n_pending;
        bool over, stop;
        char *answers[N_ANSWERS];
        stop_query_done_t done;
        void *userdata;
};

bool stop_facts_mean_stop(const struct stop_facts *f) {
        if (!f->job)
                return false;
        if (*f->job) /* "start": the manager ends a start that took too long */
                return streq(f->job, "stop");
        if (!f->active || !f->restart)
                return false;
        /* By the manager's own decision (RuntimeMaxSec= and the like), which is a failure; it goes by
         * Restart= then. */
        if (streq(f->active, "deactivating"))
                return streq(f->restart, "no") || streq(f->restart, "on-success");
        return !streq(f->restart, "always") && !streq(f->restart, "on-success"); /* somebody's kill(1) */
}

static void finish(struct stop_query *q) {
        const struct stop_facts f = { q->answers[JOB], q->answers[ACTIVE], q->answers[RESTART] };

        if (q->over)
                return;
        q->over = true;
        q->stop = stop_facts_mean_stop(&f);
        log_debug("SIGTERM: job \"%s\", state \"%s\", Restart=%s: actors are %s.", f.job ?: "?",
                        f.active ?: "?", f.restart ?: "?", q->stop ? "stopped" : "left to the next arbiter");
        /* The bus is not closed from within one of its own callbacks. */
        (void) sd_event_source_set_enabled(q->ended, SD_EVENT_ONESHOT);
}

static void answer(struct stop_query *q, unsigned what, const char *value) {
        q->answers[what] = value ? strdup(value) : NULL;
        if (--q->n_pending == 0)
                finish(q);
}

static const char *read_string(sd_bus_message *m) {
        const char *s = NULL;

        return !sd_bus_message_get_error(m) && sd_bus_message_read(m, "v", "s", &s) >= 0 ? s : NULL;
}

static int on_job_type(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        answer(userdata, JOB, read_string(m));
        return 0;
}

static int on_active(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        answer(userdata, ACTIVE, read_string(m));
        return 0;
}

static int on_restart(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        answer(userdata, RESTART, read_string(m));
        return 0;
}

static int get(struct stop_query *q, const char *path, const char *interface, const char *property,
                sd_bus_message_handler_t handler) {
        int r;

        r = sd_bus_call_method_async(q->bus, NULL, SYSTEMD, path, PROPERTIES, "Get", handler, q, "ss",
                        interface, property);
        if (r >= 0)
                q->n_pending++;
        return r;
}

static int on_job(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        struct stop_query *q = userdata;
        const char *path;
        uint32_t id;

        if (sd_bus_message_get_error(m) || sd_bus_message_read(m, "v", "(uo)", &id, &path) < 0)
                answer(q, JOB, NULL);
        else if (id == 0)
                answer(q, JOB, "");
        else if (get(q, path, SYSTEMD ".Job", "JobType", on_job_type) < 0)
                answer(q, JOB, NULL);
        else
                q->n_pending--; /* its type is the answer */
        return 0;
}

static int on_too_long(sd_event_source *s, uint64_t usec, void *userdata) {
        log_warning("systemd does not say whether this is a stop or a restart: the actors go on.");
        finish(userdata);
        return 0;
}

static int on_ended(sd_event_source *s, void *userdata) {
        struct stop_query *q = userdata;

        q->done(q->stop, q->userdata);
        return 0;
}

static int ask(struct stop_query *q) {
        _cleanup_free_ char *service = NULL, *path = NULL;
        int r;

        r = manager_own_service(&service);
        if (r >= 0 && !service)
                r = -ENXIO;
        if (r >= 0)
                r = sd_bus_path_encode(SYSTEMD_PATH "/unit", service, &path);
        if (r >= 0)
                r = get(q, path, SYSTEMD ".Unit", "Job", on_job);
        if (r >= 0)
                r = get(q, path, SYSTEMD ".Unit", "ActiveState", on_active);
        if (r >= 0)
                r = get(q, path, SYSTEMD ".Service", "Restart", on_restart);
        return r;
}

static int add_sources(struct stop_query *q, sd_event *event) {
        int r;

        r = sd_event_add_time_relative(
                        event, &q->timer, CLOCK_MONOTONIC, ANSWER_USEC, 0, on_too_long, q);
        if (r >= 0)
                r = sd_event_add_defer(event, &q->ended, on_ended, q);
        return r < 0 ? r : sd_event_source_set_enabled(q->ended, SD_EVENT_OFF);
}

int stop_query_start(const struct daemon *d, sd_event *event, stop_query_done_t done, void *userdata,
                struct stop_query **ret) {
        _cleanup_(stop_query_freep) struct stop_query *q = calloc(1, sizeof(*q));
        int r;

        if (!q)
                return -ENOMEM;
        q->done = done;
        q->userdata = userdata;
        r = manager_open_direct(d, &q->bus);
        if (r >= 0)
                r = sd_bus_attach_event(q->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = add_sources(q, event);
        if (r >= 0)
                r = ask(q);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(q);
        return 0;
}

struct stop_query *stop_query_free(struct stop_query *q) {
        if (!q)
                return NULL;
        sd_bus_close_unref(q->bus); /* not flushed: that waits for a manager that hangs */
        sd_event_source_disable_unref(q->timer);
        sd_event_source_disable_unref(q->ended);
        for (size_t i = 0; i < N_ANSWERS; i++)
                free(q->answers[i]);
        free(q);
        return NULL;
}

struct run {
        sd_event *event;
        bool stop;
};

static void on_run_done(bool stop, void *userdata) {
        struct run *x = userdata;

        x->stop = stop;
        (void) sd_event_exit(x->event, 0);
}

int stop_query_run(const struct daemon *d) {
        _cleanup_(stop_query_freep) struct stop_query *q = NULL;
        struct run x = {};
        int r;

        r = sd_event_new(&x.event);
        if (r < 0)
                return r;
        r = stop_query_start(d, x.event, on_run_done, &x, &q);
        if (r >= 0)
                r = sd_event_loop(x.event);
        q = stop_query_free(q);
        sd_event_unref(x.event);
        return r < 0 ? r : x.stop;
}
