/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the arbiter tells its program of (include/arbiter/log.h): one printable line with its facts beside
 * it. Called from all over the arbiter. Must never print, nor let a text that an actor has chosen span
 * two lines. */

#include <stdio.h>

#include "arbiter/internal.h"
#include "basic/utf8.h"

static void add_child(arbiter_log_entry *e, const struct child *c) {
        e->aid = c->aid_string.s;
        e->name = c->name;
        if (c->set && c->set->monitor)
                e->monitor = c->set->monitor->name;
        else if (c->host_of[0])
                e->monitor = c->host_of;
        else if (c->monitor_actor) /* all of a monitor is found by its name, itself included */
                e->monitor = c->name;
        e->generation = c->generation;
        e->pid = (int32_t) (c->process.pid > 0 ? c->process.pid : c->last_pid);
        if (!e->reason && c->reason_set)
                e->reason = arbiter_reason_to_string(c->reason);
}

static void tell(arbiter *a, const struct child *c, arbiter_log_entry *e, const char *format, va_list ap) {
        char text[LOG_TEXT_MAX], printable[LOG_TEXT_MAX];

        (void) vsnprintf(text, sizeof(text), format, ap);
        utf8_make_printable(text, strlen(text), printable, sizeof(printable));
        e->size = sizeof(*e);
        e->text = printable;
        if (c)
                add_child(e, c);
        a->log_handler(e, a->log_userdata);
}

void arbiter_log(arbiter *a, int level, const struct child *c, const char *event, const char *format, ...) {
        arbiter_log_entry e = { .level = level, .event = event };
        va_list ap;

        if (!a->log_handler)
                return;
        va_start(ap, format);
        tell(a, c, &e, format, ap);
        va_end(ap);
}

void arbiter_log_facts(
                arbiter *a,
                const struct child *c,
                const arbiter_log_entry *facts,
                const char *format,
                ...) {

        arbiter_log_entry e = *facts;
        va_list ap;

        if (!a->log_handler)
                return;
        va_start(ap, format);
        tell(a, c, &e, format, ap);
        va_end(ap);
}
