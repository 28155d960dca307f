/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenMetrics text: see metrics.h. Called by control-metrics.c. Numbers are written as integers, or as
 * seconds with six digits made of integers: a program's locale must not change them. */

#include <stdarg.h>
#include <stdio.h>

#include <arbiter/probe.h>

#include "arbiter/metrics.h"

struct text {
        char *s;
        size_t n, allocated;
        bool failed;
};

static void grow(struct text *t, size_t more) {
        size_t wanted = MAX(t->allocated * 2, t->n + more + 1);
        char *s;

        if (t->failed || t->n + more < t->allocated)
                return;
        wanted = MAX(wanted, (size_t) 4096);
        s = realloc(t->s, wanted);
        if (!s) {
                t->failed = true;
                return;
        }
        t->s = s;
        t->allocated = wanted;
}

static void add(struct text *t, const char *s, size_t n) {
        grow(t, n);
        if (t->failed)
                return;
        memcpy(t->s + t->n, s, n);
        t->n += n;
        t->s[t->n] = 0;
}

static void put(struct text *t, const char *s) {
        add(t, s, strlen(s));
}

static void put_number(struct text *t, uint64_t n) {
        char digits[24];

        (void) snprintf(digits, sizeof(digits), "%llu", (unsigned long long) n);
        put(t, digits);
}

static void put_seconds(struct text *t, usec_t usec) {
        char digits[32];

        (void) snprintf(digits, sizeof(digits), "%llu.%06u", (unsigned long long) (usec / USEC_PER_SEC),
                        (unsigned) (usec % USEC_PER_SEC));
        put(t, digits);
}

/* A label's value, escaped. */
static void put_value(struct text *t, const char *s) {
        for (; *s; s++)
                if (*s == '\\')
                        put(t, "\\\\");
                else if (*s == '"')
                        put(t, "\\\"");
                else if (*s == '\n')
                        put(t, "\\n");
                else
                        add(t, s, 1);
}

/* unit: the end of the name, or NULL. */
static void family(struct text *t, const char *name, const char *type, const char *unit, const char *help) {
        put(t, "# TYPE ");
        put(t, name);
        put(t, " ");
        put(t, type);
        if (unit) {
                put(t, "\n# UNIT ");
                put(t, name);
                put(t, " ");
                put(t, unit);
        }
        put(t, "\n# HELP ");
        put(t, name);
        put(t, " ");
        put(t, help);
        put(t, "\n");
}

struct label {
        const char *name, *value; /* value NULL: it is left out */
};

static void begin_sample(
                struct text *t, const char *name, const char *suffix, struct label a, struct label b) {
        const struct label labels[] = { a, b };
        const char *before = "{";

        put(t, name);
        put(t, suffix);
        for (size_t i = 0; i < ELEMENTSOF(labels); i++) {
                if (!labels[i].value)
                        continue;
                put(t, before);
                put(t, labels[i].name);
                put(t, "=\"");
                put_value(t, labels[i].value);
                put(t, "\"");
                before = ",";
        }
        put(t, *before == ',' ? "} " : " ");
}

#define LABEL(n, v) ((struct label){ (n), (v) })
#define NO_LABEL ((struct label){})

static void sample(struct text *t, const char *name, const char *suffix, struct label a, struct label b,
                uint64_t value) {
        begin_sample(t, name, suffix, a, b);
        put_number(t, value);
        put(t, "\n");
}

static void sample_seconds(
                struct text *t, const char *name, const char *suffix, struct label a, usec_t value) {
        begin_sample(t, name, suffix, a, NO_LABEL);
        put_seconds(t, value);
        put(t, "\n");
}

static void put_ratio(struct text *t, const char *name, struct label a, uint64_t percent) {
        char digits[32];

        begin_sample(t, name, "", a, NO_LABEL);
        (void) snprintf(digits, sizeof(digits), "%llu.%02u\n", (unsigned long long) (percent / 100),
                        (unsigned) (percent % 100));
        put(t, digits);
}

static void gauge(struct text *t, const char *name, const char *help, uint64_t value) {
        family(t, name, "gauge", NULL, help);
        sample(t, name, "", NO_LABEL, NO_LABEL, value);
}

static void counter(struct text *t, const char *name, const char *help, uint64_t value) {
        family(t, name, "counter", NULL, help);
        sample(t, name, "_total", NO_LABEL, NO_LABEL, value);
}

static void put_identity(struct text *t, const struct metrics_snapshot *s) {
        family(t, "arbiter_build", "info", NULL, "Version of arbiter, and the instance that this is.");
        sample(t, "arbiter_build", "_info", LABEL("version", s->version),
                        LABEL("arbiter_instance", s->instance), 1);
        family(t, "arbiter_state", "stateset", NULL, "State of the arbiter itself.");
        for (arbiter_status_state i = ARBITER_STATUS_STARTING; i <= ARBITER_STATUS_STOPPING; i++)
                sample(t, "arbiter_state", "",
                                LABEL("arbiter_state", arbiter_status_state_to_string(i)), NO_LABEL,
                                i == s->status.state);
        family(t, "arbiter_start_time_seconds", "gauge", "seconds", "When the arbiter was started.");
        if (s->started_usec > 0)
                sample_seconds(t, "arbiter_start_time_seconds", "", NO_LABEL, s->started_usec);
        family(t, "arbiter_process_cpu_seconds", "counter", "seconds",
                        "CPU time of the arbiter's own process.");
        sample_seconds(t, "arbiter_process_cpu_seconds", "_total", NO_LABEL, s->cpu_usec);
        counter(t, "arbiter_loop_turns", "Turns of the arbiter's event loop.", s->loop_turns);
        counter(t, "arbiter_messages", "Messages that the arbiter itself has begun to handle.", s->messages);
        counter(t, "arbiter_dead_letters",
                        "Messages that could not be delivered, as far as actors have told.",
                        s->status.dead_letters);
}

static void put_actors(struct text *t, const struct metrics_snapshot *s) {
        static const arbiter_state usual = 1 << ARBITER_STATE_STARTING | 1 << ARBITER_STATE_RUNNING |
                                           1 << ARBITER_STATE_STOPPING;

        family(t, "arbiter_actors", "gauge", NULL, "Lives of actors by state and concurrency.");
        for (unsigned i = 0; i < METRICS_STATES; i++)
                for (unsigned k = 0; k < METRICS_CONCURRENCIES; k++) {
                        const char *kind = arbiter_concurrency_to_string((arbiter_concurrency) k);

                        if (kind && (s->actors[i][k] > 0 || usual >> i & 1))
                                sample(t, "arbiter_actors", "",
                                                LABEL("state", arbiter_state_to_string((arbiter_state) i)),
                                                LABEL("concurrency", kind), s->actors[i][k]);
                }
        gauge(t, "arbiter_monitors", "Monitors.", s->status.monitors);
        gauge(t, "arbiter_monitors_failed", "Monitors that have given up.", s->status.monitors_failed);
        gauge(t, "arbiter_actors_wanted", "Workers and lone actors that should be.", s->status.wanted);
        gauge(t, "arbiter_actors_backoff", "Of these, those that wait for their next start.",
                        s->status.backoff);
        gauge(t, "arbiter_actors_failed", "Of these, those that were given up.", s->status.failed);
        counter(t, "arbiter_restarts", "Lives of actors after the first of their name.", s->status.restarts);
        family(t, "arbiter_deaths", "counter", NULL, "Ends of lives by reason, failed starts included.");
        for (unsigned i = 0; i < METRICS_REASONS; i++)
                if (i != ARBITER_REASON_NOPROC)
                        sample(t, "arbiter_deaths", "_total",
                                        LABEL("reason", arbiter_reason_to_string((arbiter_reason) i)),
                                        NO_LABEL, s->deaths[i]);
}

#define FOREACH_MONITOR(m, s) \
        for (const struct metrics_monitor *m = (s)->monitors; m < (s)->monitors + (s)->n_monitors; m++)

static void put_workers(struct text *t, const struct metrics_snapshot *s) {
        family(t, "arbiter_monitor_workers", "gauge", NULL, "Workers of a monitor by state.");
        FOREACH_MONITOR (m, s) {
                const struct {
                        const char *state;
                        uint32_t n;
                } rows[] = {
                        { "starting", m->starting }, { "running", m->running }, { "stopping", m->stopping },
                        { "backoff", m->backoff },   { "failed", m->failed },   { "stopped", m->stopped },
                        { "draining", m->draining },
                };

                for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                        sample(t, "arbiter_monitor_workers", "", LABEL("monitor", m->name),
                                        LABEL("state", rows[i].state), rows[i].n);
        }
        family(t, "arbiter_monitor_workers_wanted", "gauge", NULL, "Workers that a monitor should have.");
        FOREACH_MONITOR (m, s)
                sample(t, "arbiter_monitor_workers_wanted", "", LABEL("monitor", m->name), NO_LABEL,
                                m->wanted);
        family(t, "arbiter_monitor_restarts", "counter", NULL, "Lives of workers after the first.");
        FOREACH_MONITOR (m, s)
                sample(t, "arbiter_monitor_restarts", "_total", LABEL("monitor", m->name), NO_LABEL,
                                m->restarts);
        family(t, "arbiter_monitor_deaths", "counter", NULL,
                        "Ends of workers' lives by reason, for those reasons that there were.");
        FOREACH_MONITOR (m, s)
                for (unsigned i = 0; i < METRICS_REASONS; i++)
                        if (m->deaths[i] > 0)
                                sample(t, "arbiter_monitor_deaths", "_total", LABEL("monitor", m->name),
                                                LABEL("reason", arbiter_reason_to_string((arbiter_reason)i)),
                                                m->deaths[i]);
}

/* By kind; those that were never asked are left out. */
static void put_results(struct text *t, const char *name, const struct metrics_monitor *m, size_t i) {
        for (unsigned kind = 0; kind < ELEMENTSOF(m->probes); kind++) {
                const char *word = arbiter_probe_kind_to_string((arbiter_probe_kind) kind);

                if (m->probes[kind][0] > 0 || m->probes[kind][1] > 0)
                        sample(t, name, "_total", LABEL("monitor", m->name), LABEL("probe", word),
                                        m->probes[kind][i]);
        }
}

static void put_probes(struct text *t, const struct metrics_snapshot *s) {
        static const struct {
                const char *name, *help;
        } families[] = {
                { "arbiter_monitor_probes_passed", "Answers of workers to their probes that were good." },
                { "arbiter_monitor_probes_failed", "Answers of workers to their probes that were bad." },
        };

        family(t, "arbiter_monitor_workers_ready", "gauge", NULL,
                        "Workers that run, and whose readiness probe is good if they have one.");
        FOREACH_MONITOR (m, s)
                sample(t, "arbiter_monitor_workers_ready", "", LABEL("monitor", m->name), NO_LABEL,
                                m->ready);
        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                family(t, families[i].name, "counter", NULL, families[i].help);
                FOREACH_MONITOR (m, s)
                        put_results(t, families[i].name, m, i);
        }
}

/* Only of those whose size follows it: nobody looks at the others. */
static void put_load(struct text *t, const struct metrics_snapshot *s) {
        family(t, "arbiter_monitor_load_ratio", "gauge", "ratio",
                        "Work that a monitor's workers have, in workers that it keeps busy.");
        FOREACH_MONITOR (m, s)
                if (m->scales)
                        put_ratio(t, "arbiter_monitor_load_ratio", LABEL("monitor", m->name),
                                        m->load_percent);
        family(t, "arbiter_monitor_backlog_connections", "gauge", NULL,
                        "Connections that wait in the listening sockets of a monitor's workers.");
        FOREACH_MONITOR (m, s)
                if (m->scales)
                        sample(t, "arbiter_monitor_backlog_connections", "", LABEL("monitor", m->name),
                                        NO_LABEL, m->backlog);
}

static void put_usage(struct text *t, const struct metrics_snapshot *s) {
        family(t, "arbiter_monitor_mailbox_messages", "gauge", NULL,
                        "Messages that wait in the mailboxes of a monitor's workers, as last told.");
        FOREACH_MONITOR (m, s)
                sample(t, "arbiter_monitor_mailbox_messages", "", LABEL("monitor", m->name), NO_LABEL,
                                m->mailbox_queued);
        family(t, "arbiter_monitor_start_seconds", "summary", "seconds",
                        "How long workers took from their start to running.");
        FOREACH_MONITOR (m, s) {
                sample(t, "arbiter_monitor_start_seconds", "_count", LABEL("monitor", m->name), NO_LABEL,
                                m->starts);
                sample_seconds(t, "arbiter_monitor_start_seconds", "_sum", LABEL("monitor", m->name),
                                m->start_usec);
        }
        family(t, "arbiter_monitor_cpu_seconds", "counter", "seconds",
                        "CPU time of a monitor's workers, dead ones included.");
        FOREACH_MONITOR (m, s)
                if (m->cpu_usec != METRICS_UNKNOWN)
                        sample_seconds(t, "arbiter_monitor_cpu_seconds", "_total", LABEL("monitor", m->name),
                                        m->cpu_usec);
        family(t, "arbiter_monitor_memory_bytes", "gauge", "bytes",
                        "Memory of a monitor's workers, as their cgroups count it.");
        FOREACH_MONITOR (m, s)
                if (m->memory_bytes != METRICS_UNKNOWN)
                        sample(t, "arbiter_monitor_memory_bytes", "", LABEL("monitor", m->name), NO_LABEL,
                                        m->memory_bytes);
}

int metrics_format(const struct metrics_snapshot *s, char **ret, size_t *ret_size) {
        struct text t = {};

        put_identity(&t, s);
        put_actors(&t, s);
        put_workers(&t, s);
        put_probes(&t, s);
        put_load(&t, s);
        put_usage(&t, s);
        put(&t, "# EOF\n");
        if (t.failed) {
                free(t.s);
                return -ENOMEM;
        }
        *ret = t.s;
        *ret_size = t.n;
        return 0;
}
