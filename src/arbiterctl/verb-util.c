/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What verbs of more than one family do: waiting for several answers, reading properties, saying why an
 * actor ended. */

#include <signal.h>

#include "arbiterctl/agent.h"
#include "arbiterctl/verb-util.h"
#include "basic/parse.h"

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

static int work_wait(struct context *c, struct work *works, size_t n) {
        int r;

        while (!all_done(works, n)) {
                r = sd_bus_process(c->bus, NULL);
                if (r == 0 && !all_done(works, n)) /* a timeout that was dispatched counts as nothing */
                        r = sd_bus_wait(c->bus, USEC_INFINITY);
                if (r < 0 && r != -EINTR && !all_done(works, n))
                        return complain_call(&SD_BUS_ERROR_NULL, r, NULL);
        }
        return 0;
}

int work_run(struct context *c, struct work *works, size_t n) {
        int r;

        agent_open(c);
        for (size_t i = 0; i < n; i++) {
                if (!c->block) {
                        works[i].status = call_for_work(c, works[i].message, works[i].what, NULL);
                        works[i].done = true;
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
        for (size_t i = 0; i < n && r == 0; i++)
                r = works[i].status;
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
