/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The screens of status in the manner of systemctl: a dot and a name, then a line for each thing to know.
 * What is not known has no line. */

#include <inttypes.h>
#include <time.h>

#include "arbiterctl/status.h"
#include "arbiterctl/verb-util.h"
#include "shared/strv.h"

static void heading(enum colour c, const char *name, const char *text) {
        (void) printf("%s%s%s %s%s%s%s%s\n", colour(c), glyph(GLYPH_DOT),
                      *colour(c) ? colour(COLOUR_NORMAL) : "", colour(COLOUR_BOLD), name,
                      colour(COLOUR_NORMAL), *text ? " - " : "", text);
}

static void label(const char *name) {
        (void) printf("%12s: ", name);
}

/* "running since Sun 2026-11-22 01:39:14 UTC; 2h 7min ago", of a point of CLOCK_MONOTONIC; 0: no since. */
static void print_state(enum colour c, const char *state, usec_t started) {
        usec_t now = now_usec();
        time_t t = time(NULL);
        char when[64], ago[DURATION_STRING_MAX];
        struct tm tm;

        label("State");
        (void) printf("%s%s%s", colour(c), state, colour(COLOUR_NORMAL));
        if (started > 0 && started <= now) {
                t -= (time_t) ((now - started) / USEC_PER_SEC);
                if (localtime_r(&t, &tm) && strftime(when, sizeof(when), "%a %F %T %Z", &tm) > 0)
                        (void) printf(" since %s; %s ago", when, format_duration(ago, now - started));
        }
        (void) putchar('\n');
}

static void print_bytes(const char *name, uint64_t n) {
        char buffer[BYTES_STRING_MAX];

        if (n == UINT64_MAX)
                return;
        label(name);
        (void) printf("%s\n", format_bytes(buffer, n));
}

static void print_duration(const char *name, uint64_t usec, const char *after) {
        char buffer[DURATION_STRING_MAX];

        if (usec == UINT64_MAX)
                return;
        label(name);
        (void) printf("%s%s\n", format_duration(buffer, usec), after);
}

static void print_text(const char *name, const char *text) {
        if (!*text)
                return;
        label(name);
        (void) printf("%s\n", text);
}

static void print_empty(const struct actor_object *a) {
        heading(state_colour(a->state), a->name, "");
        print_state(state_colour(a->state), a->state, 0);
        print_text("Monitor", a->monitor);
        print_text("Why", a->status);
}

static void print_restarts(const struct actor_object *a) {
        char reason[REASON_STRING_MAX];

        label("Restarts");
        if (*a->last_reason)
                (void) printf("%" PRIu32 "; the life before ended by: %s\n", a->restarts,
                              format_reason(reason, a->last_reason, a->last_status));
        else
                (void) printf("%" PRIu32 "\n", a->restarts);
}

void status_print_actor(const struct actor_object *a) {
        usec_t now = now_usec();

        if (a->empty) {
                print_empty(a);
                return;
        }
        heading(state_colour(a->state), a->name, a->description);
        print_state(state_colour(a->state), a->state, a->started_usec);
        print_text("Monitor", a->monitor);
        label("AID");
        (void) printf("%s, generation %" PRIu32 "\n", a->aid, a->generation);
        if (a->pid > 0) {
                label("PID");
                (void) printf("%" PRIu32 " (%s)\n", a->pid, a->concurrency);
        } else
                print_text("Concurrency", a->concurrency);
        print_text("Program", a->program);
        print_restarts(a);
        if (*a->status) {
                label("Status");
                (void) printf("\"%s\"\n", a->status);
        }
        print_text("Probes", a->probe_status);
        if (!a->plain) {
                label("Mailbox");
                (void) printf("%" PRIu64 " message%s\n", a->mailbox_queued,
                                a->mailbox_queued == 1 ? "" : "s");
        }
        if (a->last_notified_usec > 0 && a->last_notified_usec <= now)
                print_duration("Last sign", now - a->last_notified_usec, " ago");
        print_bytes("Memory", a->memory_bytes);
        print_duration("CPU", a->cpu_usec, "");
}

int status_print_monitor(const struct context *c, const struct objects *o, const struct monitor_object *m) {
        char detail[400];
        struct sums sums;

        monitor_sums(o, m, &sums);
        monitor_detail(m, detail, sizeof(detail));
        heading(monitor_colour(m), m->name, m->description);
        print_state(monitor_colour(m), m->state, 0);
        print_text("Workers", detail);
        label("Restarts");
        (void) printf("%" PRIu32 "\n", m->restarts);
        label("Revision");
        (void) printf("%" PRIu32 "\n", m->revision);
        label("Mailboxes");
        (void) printf("%" PRIu64 " message%s\n", sums.mailbox_queued, sums.mailbox_queued == 1 ? "" : "s");
        print_bytes("Memory", sums.memory_bytes);
        print_duration("CPU", sums.cpu_usec, "");
        (void) putchar('\n');
        return status_print_tree(c, o, m);
}

/* The worst of what it runs. */
static enum colour arbiter_colour(const struct objects *o, const struct manager_object *a) {
        enum colour worst = *a->state ? state_colour(a->state) : COLOUR_GREEN;

        for (size_t i = 0; i < o->n_monitors && worst != COLOUR_RED; i++) {
                enum colour c = monitor_colour(o->monitors + i);

                if (c == COLOUR_RED || (c == COLOUR_YELLOW && worst == COLOUR_GREEN))
                        worst = c;
        }
        return a->failed_files && worst == COLOUR_GREEN ? COLOUR_YELLOW : worst;
}

static void print_counts(const struct objects *o) {
        size_t failed = 0, running = 0;

        for (size_t i = 0; i < o->n_monitors; i++)
                failed += o->monitors[i].failed;
        for (size_t i = 0; i < o->n_actors; i++)
                running += streq(o->actors[i].state, "running");
        label("Actors");
        (void) printf("%zu of %zu running, in %zu monitor%s", running, o->n_actors, o->n_monitors,
                      o->n_monitors == 1 ? "" : "s");
        if (failed > 0)
                (void) printf("; %s%zu given up%s (see 'arbiterctl why')", colour(COLOUR_RED), failed,
                              colour(COLOUR_NORMAL));
        (void) putchar('\n');
}

void status_print_arbiter(const struct context *c, const struct objects *o, const struct manager_object *a) {
        char where[WHERE_STRING_MAX], title[WHERE_STRING_MAX + 64];
        enum colour state = arbiter_colour(o, a);

        (void) snprintf(title, sizeof(title), "version %s, %s", a->version, context_where(c, where));
        heading(state, "arbiter", title);
        print_state(state, *a->state ? a->state : "running", a->started_usec);
        if (a->pid > 0) {
                label("Main PID");
                (void) printf("%i\n", (int) a->pid);
        }
        print_counts(o);
        if (a->takeovers > 0) {
                label("Takeovers");
                (void) printf("%" PRIu32 ", the actors go on since the first\n", a->takeovers);
        }
        if (a->dead_letters > 0) {
                label("Dead letters");
                (void) printf("%" PRIu64 "\n", a->dead_letters);
        }
        STRV_FOREACH (file, a->failed_files) {
                label("Not loaded");
                (void) printf("%s%s%s (see 'arbiterctl verify', 'arbiterctl log -p err')\n",
                                colour(COLOUR_RED), *file, colour(COLOUR_NORMAL));
        }
        print_text("CGroup", a->control_group);
        if (o->n_actors + o->n_monitors > 0)
                (void) putchar('\n');
        else if (c->legend && !c->quiet)
                (void) printf("\nNothing runs. Write a NAME.monitor or NAME.actor, see\n"
                              "arbiter.monitor(5), then 'arbiterctl daemon-reload'; or try\n"
                              "'arbiterctl spawn NAME -- PROGRAM'. What was stopped starts by\n"
                              "'arbiterctl restart NAME'.\n");
}
