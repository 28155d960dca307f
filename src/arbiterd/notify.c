/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd_notify(3) for arbiterd. STATUS= is written when it has changed, at most once a second: a timer is
 * armed only while something waits to be told, so that an idle arbiter is not woken. WATCHDOG=1 is
 * sd-event's own, which sends it while it collects what is ready: only a loop that turns does. All
 * sources of the arbiter have one priority, and sd-event serves those in the order in which they became
 * ready, so that a loop which turns starves nobody. Called from the arbiter's loop. Must never block or
 * wait. */

#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/notify.h"
#include "arbiterd/status-line.h"
#include "shared/log.h"

#define STATUS_USEC USEC_PER_SEC
#define SETTLE_USEC (5 * USEC_PER_SEC)
#define EXTEND_MARGIN_USEC (30 * USEC_PER_SEC)

struct notify {
        arbiter_status status;
        enum status_phase phase;
        struct status_death death;
        char *trouble;
        char told[STATUS_LINE_MAX]; /* the last STATUS= */
        usec_t told_usec;
        usec_t progress_usec;
        bool ready;
        sd_event_source *timer;
        sd_event_source *settling, *settling_timer; /* READY=1 waits for the buses */
};

static bool is_asked(void) {
        const char *e = getenv("NOTIFY_SOCKET");

        return e && *e;
}

void notify_starting(struct daemon *d, const char *what, usec_t usec) {
        if (!is_asked())
                return;
        (void) sd_notifyf(false, "STATUS=%s\nEXTEND_TIMEOUT_USEC=%" PRIu64, what,
                        time_add(usec, EXTEND_MARGIN_USEC));
        if (d->notify)
                d->notify->progress_usec = now_usec();
}

void notify_failed(struct daemon *d, int error, const char *text) {
        if (is_asked())
                (void) sd_notifyf(false, "STATUS=%s\nERRNO=%d", text, abs(error));
}

/* The fd store. Not polled: systemd would remove what hangs up, and the next arbiter looks at it itself. */

void notify_store_remove(const char *name) {
        if (is_asked())
                (void) sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void notify_store(const char *name, int fd) {
        char text[128];
        int r;

        if (!is_asked())
                return;
        notify_store_remove(name);
        (void) snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
        r = sd_pid_notify_with_fds(0, false, text, &fd, 1);
        if (r < 0)
                log_warning_errno(r, "The descriptor '%s' cannot be put into the fd store: %m", name);
}

/* The status. */

static const char *compose(const struct daemon *d, char *buffer) {
        const struct notify *n = d->notify;
        const arbiter_status *s = &n->status;
        uint32_t down = s->backoff + s->failed;

        return status_line(&(struct status_figures){
                                           .phase = n->phase,
                                           .monitors = s->monitors,
                                           .wanted = s->wanted,
                                           /* a process that holds threads is none of them */
                                           .running = MIN(s->running, s->wanted - MIN(down, s->wanted)),
                                           .backoff = s->backoff,
                                           .failed = s->failed,
                                           .left = s->actors,
                                           .trouble = down > 0 || s->monitors_failed > 0 ? n->trouble : NULL,
                                           .unwritten = s->unwritten,
                                           .no_scope = d->no_scope,
                                           .directory = d->directories ? d->directories[0] : NULL,
                                           .failed_files = d->failed_files,
                           },
                        buffer);
}

/* More than the longest that one actor may take: each that has gone gives the others as much again. */
static usec_t extension(const struct daemon *d) {
        return time_add(daemon_timeout_stop(d), EXTEND_MARGIN_USEC);
}

static void send_status(struct daemon *d, const char *more) {
        char line[STATUS_LINE_MAX], extend[64] = "";
        struct notify *n = d->notify;

        (void) compose(d, line);
        if (streq(line, n->told) && !*more)
                return;
        if (n->phase == STATUS_STOPPING)
                (void) snprintf(extend, sizeof(extend), "EXTEND_TIMEOUT_USEC=%" PRIu64 "\n", extension(d));
        (void) sd_notifyf(false, "%s%sSTATUS=%s", more, extend, line);
        (void) snprintf(n->told, sizeof(n->told), "%s", line);
        n->told_usec = now_usec();
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        send_status(userdata, "");
        return 0;
}

/* Now, or as soon as a second has passed since the last. */
static void send_later(struct daemon *d) {
        struct notify *n = d->notify;
        usec_t at = time_add(n->told_usec, STATUS_USEC);

        if (at <= now_usec())
                send_status(d, "");
        else if (sd_event_source_set_time(n->timer, at) < 0 ||
                        sd_event_source_set_enabled(n->timer, SD_EVENT_ONESHOT) < 0)
                send_status(d, "");
}

void notify_stopping(struct daemon *d) {
        struct notify *n = d->notify;

        if (!n || n->phase == STATUS_STOPPING)
                return;
        n->phase = STATUS_STOPPING;
        (void) arbiter_get_status(d->arbiter, &n->status);
        send_status(d, "STOPPING=1\n");
}

static void on_status(arbiter *a, const arbiter_status *status, void *userdata) {
        struct daemon *d = userdata;
        struct notify *n = d->notify;

        n->status = *status;
        if (status->state == ARBITER_STATUS_STOPPING && n->phase != STATUS_STOPPING)
                notify_stopping(d);
        else
                send_later(d);
}

void notify_log_entry(struct daemon *d, const arbiter_log_entry *e) {
        struct notify *n = d->notify;
        char *trouble;

        if (!n)
                return;
        trouble = status_trouble(e, &n->death);
        if (!trouble)
                return;
        free(n->trouble);
        n->trouble = trouble; /* what it has done to the figures is told after this turn */
}

/* Phases. */

static void send_ready(struct daemon *d) {
        struct notify *n = d->notify;

        n->ready = true;
        (void) arbiter_get_status(d->arbiter, &n->status);
        send_status(d, "READY=1\n");
}

static int on_settled(sd_event_source *s, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        struct notify *n = d->notify;

        n->settling = sd_event_source_disable_unref(n->settling);
        n->settling_timer = sd_event_source_disable_unref(n->settling_timer);
        if (n->phase == STATUS_RUNNING) /* else the end of that phase says it, or nobody needs to know */
                send_ready(d);
        return 0;
}

/* After each turn. */
static int on_settling(sd_event_source *s, void *userdata) {
        struct daemon *d = userdata;

        return arbiter_bus_is_settled(d->arbiter) == 0 ? 0 : on_settled(s, 0, d);
}

static int start_settling(struct daemon *d) {
        sd_event *event = arbiter_get_event(d->arbiter);
        struct notify *n = d->notify;
        int r;

        r = sd_event_add_post(event, &n->settling, on_settling, d);
        if (r < 0)
                return r;
        return sd_event_add_time_relative(event, &n->settling_timer, CLOCK_MONOTONIC, SETTLE_USEC, 0,
                        on_settled, d);
}

/* What is started after us looks for our name on the bus, and must not be too early. A bus that is not
 * there is not waited for, and one that does not answer not for long. */
void notify_ready(struct daemon *d) {
        if (d->notify && (arbiter_bus_is_settled(d->arbiter) != 0 || start_settling(d) < 0))
                (void) on_settled(NULL, 0, d);
}

void notify_reloading(struct daemon *d) {
        struct notify *n = d->notify;
        char text[96];

        if (!n || n->phase != STATUS_RUNNING)
                return;
        n->phase = STATUS_RELOADING;
        (void) snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", now_usec());
        send_status(d, text);
}

void notify_reloaded(struct daemon *d) {
        struct notify *n = d->notify;

        if (!n || n->phase != STATUS_RELOADING)
                return;
        n->phase = STATUS_RUNNING;
        send_ready(d);
}

void notify_progress(struct daemon *d) {
        struct notify *n = d->notify;
        usec_t now = now_usec();

        if (!n || now < time_add(n->progress_usec, STATUS_USEC))
                return;
        n->progress_usec = now;
        if (n->ready)
                (void) sd_notify(false, "WATCHDOG=1");
        else
                notify_starting(d, "Starting the actors", 0);
}

int notify_attach(struct daemon *d) {
        sd_event *event = arbiter_get_event(d->arbiter);
        int r;

        if (!is_asked())
                return 0;
        d->notify = calloc(1, sizeof(*d->notify));
        if (!d->notify)
                return -ENOMEM;
        d->notify->status.size = sizeof(d->notify->status);
        r = sd_event_add_time(event, &d->notify->timer, CLOCK_MONOTONIC, 0, 0, on_timer, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->notify->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = arbiter_set_status_handler(d->arbiter, on_status, d);
        if (r < 0)
                return r;
        r = sd_event_set_watchdog(event, true);
        if (r < 0)
                log_warning_errno(r, "The watchdog cannot be fed: %m");
        return 0;
}

void notify_done(struct daemon *d) {
        if (!d->notify)
                return;
        if (d->arbiter)
                (void) arbiter_set_status_handler(d->arbiter, NULL, NULL);
        sd_event_source_disable_unref(d->notify->timer);
        sd_event_source_disable_unref(d->notify->settling);
        sd_event_source_disable_unref(d->notify->settling_timer);
        free(d->notify->trouble);
        free(d->notify);
        d->notify = NULL;
}
