/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What verbs of more than one family do: waiting for several answers, reading properties, saying why an
 * actor ended. */

#include <signal.h>

#include "arbiterctl/agent.h"
#include "arbiterctl/journal.h"
#include "arbiterctl/manager.h"
#include "arbiterctl/progress.h"
#include "arbiterctl/verb-util.h"
#include "basic/parse.h"
#include "shared/config-dirs.h"

#define FAILURE_LINES 10 /* as of status */

const char *format_reason(char buffer[static REASON_STRING_MAX], const char *reason, int status) {
        char name[SIGNAL_STRING_MAX];

        if ((streq(reason, "signal") || streq(reason, "core-dump") || streq(reason, "killed")) && status > 0)
                (void) snprintf(buffer, REASON_STRING_MAX, "%s %s", reason, format_signal(status, name));
        else if (streq(reason, "exit-code"))
                (void) snprintf(buffer, REASON_STRING_MAX, "%s %i", reason, status);
        else
                (void) snprintf(buffer, REASON_STRING_MAX, "%s", reason);
        return buffer;
}

int get_all_properties(struct context *c, const char *path, const char *interface, sd_bus_message **ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(c, path, "org.freedesktop.DBus.Properties", "GetAll", &m);
        if (r != 0)
                return r;
        if (sd_bus_message_append(m, "s", interface) < 0)
                return out_of_memory();
        r = sd_bus_call(c->bus, m, query_timeout(c), &error, ret);
        return r < 0 ? complain_call(&error, r, NULL) : 0;
}

bool context_is_system(const struct context *c) {
        return c->scope == SCOPE_SYSTEM || (c->scope == SCOPE_DEFAULT && geteuid() == 0);
}

int context_config_dirs(struct context *c) {
        if (c->config_dirs)
                return 0;
        if (c->host || c->machine)
                return complain(EXIT_USAGE, "Configuration is read where it lies: log in there.");
        if (config_directories(context_is_system(c), c->instance, &c->config_dirs) < 0)
                return out_of_memory();
        return 0;
}

int complain_error_reply(sd_bus_message *m, const char *what) {
        const sd_bus_error *e = sd_bus_message_get_error(m);

        /* sd-bus says the same of calls that were under way when the connection broke. */
        if (sd_bus_is_open(sd_bus_message_get_bus(m)) <= 0)
                return complain_call(&SD_BUS_ERROR_NULL, -ECONNRESET, what);
        return complain_call(e, -sd_bus_message_get_errno(m), what);
}

static int on_work_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct work *w = userdata;

        w->done = true;
        if (sd_bus_message_is_method_error(m, NULL))
                w->status = complain_error_reply(m, w->what);
        else
                w->reply = sd_bus_message_ref(m);
        return 0;
}

static bool all_done(const struct work *works, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!works[i].done)
                        return false;
        return true;
}

/* "Waiting for web.1, web.2 and 5 more" */
static void describe(const struct work *works, size_t n, char *buffer, size_t size) {
        size_t left = 0, named = 0, at = (size_t) snprintf(buffer, size, "Waiting for ");

        for (size_t i = 0; i < n; i++)
                left += !works[i].done;
        for (size_t i = 0; i < n && named < 2 && at < size; i++)
                if (!works[i].done)
                        at += (size_t) snprintf(buffer + at, size - at, "%s%s", named++ > 0 ? ", " : "",
                                                works[i].what ? works[i].what : "the arbiter");
        if (left > named && at < size)
                (void) snprintf(buffer + at, size - at, " and %zu more", left - named);
}

static int work_wait(struct context *c, struct work *works, size_t n) {
        char text[160];
        int r = 0;

        progress_start(c);
        while (!all_done(works, n)) {
                r = sd_bus_process(c->bus, NULL);
                if (r == 0 && !all_done(works, n)) { /* a timeout that was dispatched counts as nothing */
                        describe(works, n, text, sizeof(text));
                        r = sd_bus_wait(c->bus, progress_show(text));
                }
                if (r < 0 && r != -EINTR && !all_done(works, n)) {
                        r = complain_call(&SD_BUS_ERROR_NULL, r, NULL);
                        break;
                }
                r = 0;
        }
        progress_clear();
        return r;
}

static void send_without_reply(struct context *c, struct work *w) {
        int r;

        r = sd_bus_message_set_expect_reply(w->message, false);
        if (r >= 0)
                r = sd_bus_send(c->bus, w->message, NULL);
        if (r >= 0)
                r = sd_bus_flush(c->bus);
        w->done = true;
        w->status = r < 0 ? complain_call(&SD_BUS_ERROR_NULL, r, w->what) : 0;
}

/* What the lives that failed just now have left in the journal. */
static void tell_last_lines(struct context *c, const struct work *works, size_t n, uint64_t since) {
        _cleanup_(manager_done) struct manager_object m = {};
        size_t lines = c->lines == LINES_DEFAULT ? FAILURE_LINES : c->lines;
        struct journal_filter f;
        size_t i = 0;

        while (i < n && works[i].status != EXIT_FAILURE)
                i++;
        if (i == n || c->quiet || lines == 0 || sd_bus_is_open(c->bus) <= 0 || manager_take(c, &m) != 0)
                return;
        journal_filter_init(&f, c, m.instance);
        f.since_usec = since;
        for (; i < n; i++) {
                f.name = works[i].failing ? works[i].failing(works + i) : NULL;
                if (!f.name)
                        f.name = works[i].what;
                if (f.name && works[i].status == EXIT_FAILURE)
                        (void) journal_print_last_life(&f, lines, 0, stderr);
        }
}

static uint64_t real_time(void) {
        struct timespec ts = {};

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / NSEC_PER_USEC;
}

int work_run(struct context *c, struct work *works, size_t n) {
        uint64_t since = real_time();
        int r;

        agent_open(c);
        for (size_t i = 0; i < n; i++) {
                if (!c->block) {
                        send_without_reply(c, works + i);
                        continue;
                }
                r = sd_bus_call_async(c->bus, NULL, works[i].message, on_work_reply, works + i,
                                      c->timeout > 0 ? c->timeout : USEC_INFINITY);
                if (r < 0) {
                        works[i].status = complain_call(&SD_BUS_ERROR_NULL, r, works[i].what);
                        works[i].done = true;
                }
        }
        r = work_wait(c, works, n);
        if (r == 0)
                tell_last_lines(c, works, n, since);
        for (size_t i = 0; i < n && r == 0; i++)
                r = works[i].status;
        return r;
}

int call_for_work(struct context *c, sd_bus_message *m, const char *what, sd_bus_message **ret) {
        struct work w = { .what = what, .message = m };
        int r;

        r = work_run(c, &w, 1);
        if (r == 0)
                *ret = w.reply;
        else
                sd_bus_message_unref(w.reply);
        return r;
}

int call_manager_for_work(struct context *c, const char *method, const char *asked, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_manager_call(c, method, &m);
        if (r == 0)
                r = call_for_work(c, m, NULL, ret);
        if (r == 0 && !c->block && !c->quiet)
                (void) printf("%s asked for.\n", asked);
        return r;
}

void work_free(struct work *works, size_t n) {
        for (size_t i = 0; works && i < n; i++) {
                sd_bus_message_unref(works[i].message);
                sd_bus_message_unref(works[i].reply);
        }
        free(works);
}

int event_loop_new(struct context *c, sd_event **ret) {
        _cleanup_(sd_event_unrefp) sd_event *e = NULL;
        sigset_t mask;
        int r;

        r = context_connect(c);
        if (r != 0)
                return r;
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        r = sd_event_new(&e);
        if (r >= 0)
                r = sd_event_add_signal(e, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(e, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_bus_attach_event(c->bus, e, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0) {
                errno = -r;
                return complain(EXIT_FAILURE, "Cannot set up an event loop: %m");
        }
        *ret = TAKE_PTR(e);
        return 0;
}
