/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events into entries of the journal: their fields, and a MESSAGE_ID for those that somebody may wait for.
 * Called by main.c and reload.c. Must never block, whatever journald does: log-journal.h keeps what it does
 * not take. */

#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/journal.h"
#include "basic/time-util.h"
#include "shared/log-journal.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#define RETRY_USEC (500 * USEC_PER_MSEC)
/* journald takes 10,000 messages of a unit in 30 s (journald.conf(5)). Warnings have more room than the
 * rest. */
#define RATE_INTERVAL_USEC (30 * USEC_PER_SEC)
#define RATE_BURST 4000
#define RATE_BURST_WARNINGS 8000
#define FIELDS_MAX 16
#define NUMBER_SIZE 32

/* Numbers are kept here until the entry has been sent. */
struct fields {
        struct log_field fields[FIELDS_MAX];
        char numbers[FIELDS_MAX][NUMBER_SIZE];
        size_t n;
};

static struct {
        usec_t begin;
        unsigned n;
        uint64_t suppressed;
        sd_event_source *room, *retry;
        sd_event *event;
        bool is_log;
} state;

static void add(struct fields *f, const char *name, const char *value) {
        assert(f->n < FIELDS_MAX);
        if (value && *value)
                f->fields[f->n++] = (struct log_field){ name, value };
}

static void add_number(struct fields *f, const char *name, int64_t value) {
        char *text = f->numbers[f->n];

        (void) snprintf(text, NUMBER_SIZE, "%" PRId64, value);
        add(f, name, text);
}

/* "2.5 s", and as a number. */
static void add_time(struct fields *f, usec_t usec) {
        char *text = f->numbers[f->n];

        add(f, "ARBITER_TIME", format_timespan_rounded(text, NUMBER_SIZE, usec));
        add_number(f, "ARBITER_TIME_USEC", usec == USEC_INFINITY ? -1 : (int64_t) usec);
}

/* Events. */

static void add_time_of(const arbiter_log_entry *e, struct fields *f) {
        add_time(f, e->usec);
}

static void add_failures(const arbiter_log_entry *e, struct fields *f) {
        add_time(f, e->usec);
        add_number(f, "ARBITER_FAILURES", e->n);
}

static void add_limit(const arbiter_log_entry *e, struct fields *f) {
        add_time(f, e->usec);
        add_number(f, "ARBITER_RESTARTS", e->n);
}

static void add_workers(const arbiter_log_entry *e, struct fields *f) {
        add_number(f, "ARBITER_WORKERS", e->n);
        add_number(f, "ARBITER_WORKERS_BEFORE", e->n_before);
}

static void add_text(const arbiter_log_entry *e, struct fields *f) {
        add(f, "ARBITER_TEXT", e->text);
}

static void add_probe(const arbiter_log_entry *e, struct fields *f) {
        add_text(e, f);
        add_number(f, "ARBITER_FAILURES", e->n);
}

static void add_escalation(const arbiter_log_entry *e, struct fields *f) {
        add_text(e, f);
        add_limit(e, f);
}

static void add_exit_status(const arbiter_log_entry *e, struct fields *f) {
        add_number(f, "ARBITER_STATUS", e->status);
}

static void add_actors(const arbiter_log_entry *e, struct fields *f) {
        add_number(f, "ARBITER_ACTORS", e->n);
}

static const struct event {
        const char *event;
        bool named; /* of an actor; else of a monitor, or of the arbiter */
        const char *message_id;
        void (*add)(const arbiter_log_entry *e, struct fields *f);
} events[] = {
        { "started", true, MESSAGE_ACTOR_STARTED },
        { "replaced", true, MESSAGE_ACTOR_REPLACED },
        { "died", true, MESSAGE_ACTOR_DIED },
        { "stopped", true, MESSAGE_ACTOR_STOPPED },
        { "start-failed", true, MESSAGE_ACTOR_START_FAILED, add_text },
        { "silent", true, MESSAGE_ACTOR_SILENT, add_time_of },
        { "watchdog", true, MESSAGE_ACTOR_SILENT, add_time_of },
        { "unhealthy", true, MESSAGE_ACTOR_UNHEALTHY, add_probe },
        { "ready", true, MESSAGE_ACTOR_READY, add_text },
        { "unready", true, MESSAGE_ACTOR_UNREADY, add_probe },
        { "stuck", true, MESSAGE_ACTOR_STUCK },
        { "backoff", true, MESSAGE_ACTOR_BACKOFF, add_failures },
        { "gave-up", true, MESSAGE_ACTOR_GAVE_UP, add_limit },
        { "gave-up", false, MESSAGE_MONITOR_GAVE_UP, add_limit },
        { "escalated", false, MESSAGE_MONITOR_ESCALATED, add_escalation },
        { "auto-shutdown", false, MESSAGE_MONITOR_AUTO_SHUTDOWN, add_text },
        { "root-gave-up", false, MESSAGE_ROOT_GAVE_UP, add_exit_status },
        { "scaled", true, MESSAGE_MONITOR_SCALED, add_workers },
        { "roll-halted", true, MESSAGE_ROLL_HALTED, add_text },
        { "rolled", false, MESSAGE_ROLLED },
        { "roll-aborted", false, MESSAGE_ROLL_ABORTED },
        { "breaker-open", false, MESSAGE_BREAKER_OPEN, add_failures },
        { "breaker-closed", false, MESSAGE_BREAKER_CLOSED },
        { "recycled", true, MESSAGE_ACTOR_RECYCLED },
        { "re-adopted", false, MESSAGE_TAKEN_OVER, add_actors },
};

static const struct event *find_event(const arbiter_log_entry *e) {
        for (size_t i = 0; e->event && i < ELEMENTSOF(events); i++)
                if (streq(events[i].event, e->event) && events[i].named == (e->name != NULL))
                        return events + i;
        return NULL;
}

static void add_entry(const arbiter_log_entry *e, struct fields *f) {
        const struct event *event = find_event(e);

        if (event)
                add(f, "MESSAGE_ID", event->message_id);
        add(f, "ARBITER_EVENT", e->event);
        add(f, "ARBITER_AID", e->aid);
        add(f, "ARBITER_NAME", e->name);
        add(f, "ARBITER_MONITOR", e->monitor);
        add(f, "ARBITER_REASON", e->reason);
        if (e->reason)
                add_number(f, "ARBITER_STATUS", e->status);
        if (e->generation > 0)
                add_number(f, "ARBITER_GENERATION", e->generation);
        if (e->pid > 0)
                add_number(f, "ARBITER_PID", e->pid);
        if (event && event->add)
                event->add(e, f);
}

/* Is there room for one more? */
static bool admit(int level) {
        usec_t now = now_usec();

        if (now - state.begin >= RATE_INTERVAL_USEC) {
                if (state.suppressed > 0)
                        log_warning("%" PRIu64 " messages were left out: there were too many at a time.",
                                        state.suppressed);
                state.begin = now;
                state.n = 0;
                state.suppressed = 0;
        }
        if (state.n >= (level <= LOG_WARNING ? RATE_BURST_WARNINGS : RATE_BURST)) {
                state.suppressed++;
                return false;
        }
        state.n++;
        return true;
}

void journal_log_entry(const arbiter_log_entry *e) {
        struct fields f = {};

        if (e->level > log_get_level() || !admit(e->level))
                return;
        add_entry(e, &f);
        log_entry(e->level, f.fields, f.n, e->text);
}

void journal_configuration(enum conf_level level, const char *file, unsigned line, const char *text) {
        _cleanup_free_ char *message = NULL;
        struct fields f = {};
        char place[NUMBER_SIZE] = "";

        if (level <= CONF_ERROR)
                add(&f, "MESSAGE_ID", MESSAGE_CONFIGURATION_REFUSED);
        add(&f, "ARBITER_EVENT", level <= CONF_ERROR ? "configuration-refused" : NULL);
        add(&f, "ARBITER_FILE", file);
        add(&f, "ARBITER_TEXT", text);
        if (line > 0) {
                add_number(&f, "ARBITER_LINE", line);
                (void) snprintf(place, sizeof(place), ":%u", line);
        }
        if (asprintf(&message, "%s%s: %s", file, place, text) < 0)
                message = NULL;
        log_entry((int) level, f.fields, f.n, message ? message : text);
}

void journal_left(size_t n, const char *why) {
        struct fields f = {};
        char text[256];

        add(&f, "MESSAGE_ID", MESSAGE_LEFT);
        add(&f, "ARBITER_EVENT", "left");
        add_number(&f, "ARBITER_ACTORS", (int64_t) n);
        add(&f, "ARBITER_TEXT", why);
        (void) snprintf(text, sizeof(text), "Leaving %zu actor%s to the next arbiter: %s.", n,
                        n == 1 ? "" : "s", why);
        log_entry(LOG_NOTICE, f.fields, f.n, text);
}

void journal_reexecution_refused(const char *why) {
        _cleanup_free_ char *text = NULL;
        struct fields f = {};

        add(&f, "MESSAGE_ID", MESSAGE_REEXECUTION_REFUSED);
        add(&f, "ARBITER_EVENT", "reexecution-refused");
        add(&f, "ARBITER_TEXT", why);
        if (asprintf(&text, "The program on disk is not executed: %s", why) < 0)
                text = NULL;
        log_entry(LOG_ERR, f.fields, f.n, text ? text : why);
}

void journal_state_refused(int error) {
        const char *why = error == -EPROTONOSUPPORT ? "a newer version has written it" : strerror(-error);
        struct fields f = {};
        char text[256];

        add(&f, "MESSAGE_ID", MESSAGE_STATE_REFUSED);
        add(&f, "ARBITER_EVENT", "state-refused");
        add(&f, "ARBITER_TEXT", why);
        (void) snprintf(text, sizeof(text),
                        "What the arbiter before has left cannot be taken over (%s): its actors are "
                        "stopped, and started anew.",
                        why);
        log_entry(LOG_ERR, f.fields, f.n, text);
}

void journal_reloaded(size_t n_failed) {
        struct fields f = {};

        add(&f, "MESSAGE_ID", MESSAGE_RELOADED);
        add(&f, "ARBITER_EVENT", "reloaded");
        add_number(&f, "ARBITER_FAILED_FILES", (int64_t) n_failed);
        log_entry(LOG_INFO, f.fields, f.n,
                        n_failed > 0 ? "The configuration is reloaded, but for what has errors."
                                     : "The configuration is reloaded.");
}

/* What waits. */

static void watch_room(void);

static int on_room(sd_event_source *s, int fd, uint32_t events_seen, void *userdata) {
        watch_room();
        return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        watch_room();
        return 0;
}

/* Sends what it can; waits for room, or for another journald, if there is something left. */
static void watch_room(void) {
        state.room = sd_event_source_disable_unref(state.room);
        if (!state.event || log_journal_flush())
                return;
        if (log_journal_fd() >= 0 && sd_event_add_io(state.event, &state.room, log_journal_fd(), EPOLLOUT,
                                                     on_room, NULL) >= 0)
                return;
        (void) sd_event_source_set_time_relative(state.retry, RETRY_USEC);
        (void) sd_event_source_set_enabled(state.retry, SD_EVENT_ONESHOT);
}

static void on_wait(void *userdata) {
        watch_room();
}

int journal_attach(struct daemon *d) {
        sd_event *event = arbiter_get_event(d->arbiter);
        int r;

        r = sd_event_add_time_relative(event, &state.retry, CLOCK_MONOTONIC, 0, 0, on_retry, NULL);
        if (r >= 0)
                r = sd_event_source_set_enabled(state.retry, SD_EVENT_OFF);
        if (r < 0)
                return r;
        state.event = sd_event_ref(event);
        log_journal_on_wait(on_wait, NULL);
        watch_room();
        return 0;
}

void journal_detach(void) {
        log_journal_on_wait(NULL, NULL);
        state.room = sd_event_source_disable_unref(state.room);
        state.retry = sd_event_source_disable_unref(state.retry);
        state.event = sd_event_unref(state.event);
}

void journal_open(void) {
        log_set_default_target();
        state.is_log = log_journal_is_open();
}

bool journal_is_log(void) {
        return state.is_log;
}

void journal_set_instance(const char *instance) {
        (void) log_set_fields((const struct log_field[]){ { "ARBITER_INSTANCE", instance } }, 1);
}

void journal_close(void) {
        log_close();
}
