/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words for the figures of an arbiter (status-line.h). Called by notify.c whenever they have changed. Must
 * never look at anything but its arguments. */

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "arbiterd/status-line.h"
#include "basic/time-util.h"

struct text {
        char *buffer;
        size_t used;
};

static void add(struct text *t, const char *format, ...) _printf_(2, 3);
static void add(struct text *t, const char *format, ...) {
        size_t room = STATUS_LINE_MAX - t->used;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(t->buffer + t->used, room, format, ap);
        va_end(ap);
        if (n > 0)
                t->used += MIN((size_t) n, room - 1);
}

static const char *plural(unsigned n) {
        return n == 1 ? "" : "s";
}

static void add_files(struct text *t, char *const *files) {
        size_t n = 0;

        while (files && files[n])
                n++;
        if (n == 1)
                add(t, "; %s has errors and is not loaded", files[0]);
        else if (n > 1)
                add(t, "; %s and %zu more file%s have errors and are not loaded", files[0], n - 1,
                                plural((unsigned) n - 1));
}

/* A line is one line: the next would be another assignment of sd_notify(3). */
static const char *finish(char *buffer) {
        for (char *p = buffer; *p; p++)
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        *p = '?';
        return buffer;
}

const char *status_line(const struct status_figures *f, char *buffer) {
        struct text t = { .buffer = buffer };

        buffer[0] = 0;
        if (f->phase == STATUS_STOPPING) {
                add(&t, "Stopping: %u actor%s left", f->left, plural(f->left));
                return buffer;
        }
        if (f->phase == STATUS_RELOADING)
                add(&t, "Reloading; ");
        if (f->monitors == 0 && f->wanted == 0 && f->directory)
                add(&t, "Nothing to run: there is no NAME.monitor or NAME.actor in %s", f->directory);
        else
                add(&t, "%u monitor%s, %u of %u actor%s running", f->monitors, plural(f->monitors),
                                f->running, f->wanted, plural(f->wanted));
        if (f->failed > 0)
                add(&t, ", %u given up", f->failed);
        if (f->backoff > 0)
                add(&t, ", %u in backoff", f->backoff);
        if (f->trouble)
                add(&t, "; %s", f->trouble);
        if (f->unwritten)
                add(&t, "; not all can be written down for the next arbiter");
        add_files(&t, f->failed_files);
        if (f->no_scope)
                add(&t, "; without cgroups: %s", f->no_scope);
        return finish(buffer);
}

/* "web.2: cannot run /x" says whose it is already. */
static const char *without_name(const char *text, const char *name) {
        const char *rest = startswith(text, name);

        return rest && startswith(rest, ": ") ? rest + 2 : text;
}

static void keep_start_failure(const arbiter_log_entry *e, struct status_death *last) {
        *last = (struct status_death){ .generation = e->generation };
        (void) snprintf(last->name, sizeof(last->name), "%s", e->name);
        (void) snprintf(last->text, sizeof(last->text), "%s", without_name(e->text, e->name));
}

static void keep_death(const arbiter_log_entry *e, struct status_death *last) {
        const char *signal = sigabbrev_np(e->status);

        /* why it could not start says more than how it ended then */
        if (e->generation != 0 && e->generation == last->generation && streq(e->name, last->name))
                return;
        *last = (struct status_death){ .generation = e->generation };
        (void) snprintf(last->name, sizeof(last->name), "%s", e->name);
        if (streq(e->reason, "exit-code"))
                (void) snprintf(last->text, sizeof(last->text), "exited with status %d", e->status);
        else if (streq(e->reason, "signal") || streq(e->reason, "core-dump"))
                (void) snprintf(last->text, sizeof(last->text), "killed by SIG%s", signal ?: "?");
        else
                (void) snprintf(last->text, sizeof(last->text), "ended by %s", e->reason);
}

static bool is_worker(const char *name, const char *monitor) {
        const char *rest = startswith(name, monitor);

        return rest && *rest == '.';
}

char *status_trouble(const arbiter_log_entry *e, struct status_death *last) {
        const char *name = e->name ?: e->monitor;
        char buffer[STATUS_LINE_MAX], wait[TIMESPAN_STRING_MAX];
        struct text t = { .buffer = buffer };

        if (!e->event || !name)
                return NULL;
        if (streq(e->event, "start-failed") && e->name)
                keep_start_failure(e, last);
        else if (streq(e->event, "died") && e->name && e->reason)
                keep_death(e, last);
        else if (streq(e->event, "backoff"))
                add(&t, "%s: backoff %s", name, format_timespan_rounded(wait, sizeof(wait), e->usec));
        else if (streq(e->event, "gave-up"))
                add(&t, "%s%s: given up", e->name ? "" : "monitor ", name);
        else if (streq(e->event, "escalated"))
                add(&t, "monitor %s: failed", name);
        if (t.used == 0)
                return NULL;
        if (e->name && streq(e->name, last->name))
                add(&t, ", %s", last->text);
        else if (!e->name && is_worker(last->name, e->monitor))
                add(&t, ", %s %s", last->name, last->text);
        return strdup(buffer);
}
