/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterctl's end of the conversation: calls methods of the arbiter's objects, and turns failures into a
 * sentence on stderr and an exit status. All verbs that talk to an arbiter come through here (connect.c
 * finds it). It must never wait longer than the user allowed by --timeout=. */

#include "arbiterctl/agent.h"
#include "arbiterctl/ctl.h"
#include "arbiterctl/progress.h"
#include "arbiterctl/screen.h"
#include "shared/bus-names.h"
#include "shared/log.h"
#include "shared/strv.h"

#define QUERY_TIMEOUT (25 * USEC_PER_SEC) /* as all of D-Bus */

void context_done(struct context *c) {
        c->bus = sd_bus_flush_close_unref(c->bus);
        agent_close(c);
        c->runtime_dir = (free(c->runtime_dir), NULL);
        c->host = (free(c->host), NULL);
        c->machine = (free(c->machine), NULL);
        c->instance = (free(c->instance), NULL);
        c->destination = (free(c->destination), NULL);
        c->output = (free(c->output), NULL);
        c->since = (free(c->since), NULL);
        c->until = (free(c->until), NULL);
        c->priority = (free(c->priority), NULL);
        c->routing = (free(c->routing), NULL);
        c->key = (free(c->key), NULL);
        c->to = (free(c->to), NULL);
        c->config_dirs = strv_free(c->config_dirs);
        c->properties = strv_free(c->properties);
}

int complain(int status, const char *format, ...) {
        va_list ap;

        progress_clear();
        screen_leave();
        va_start(ap, format);
        (void) log_internalv(LOG_ERR, 0, format, ap);
        va_end(ap);
        return status;
}

int out_of_memory(void) {
        return complain(EXIT_FAILURE, "Out of memory.");
}

usec_t query_timeout(const struct context *c) {
        return c->timeout > 0 ? c->timeout : QUERY_TIMEOUT;
}

int complain_reply(int r) {
        errno = -r;
        return complain(EXIT_FAILURE,
                        "Cannot read the answer of the arbiter: %m. Are arbiterd and arbiterctl of the "
                        "same version?");
}

/* What to do next, where the error's own text cannot know it. */
static const char *hint(const sd_bus_error *error) {
        static const struct {
                const char *name, *hint;
        } hints[] = {
                { BUS_ERROR_NO_PROC, "See 'arbiterctl list-actors'." },
                { BUS_ERROR_BAD_ARGUMENTS, "'arbiterctl introspect NAME' lists the signatures." },
                { BUS_ERROR_NO_SUCH_DEFINITION, "'arbiterctl show -p Definitions' lists them." },
                { SD_BUS_ERROR_UNKNOWN_METHOD, "Are arbiterd and arbiterctl of the same version?" },
                { SD_BUS_ERROR_ACCESS_DENIED, "Be root, or have the administrator allow it by a polkit rule "
                                              "for io.arbiter.Arbiter1.*." },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                  "It takes a password: run this on a terminal, without --no-ask-password, or be root." },
        };

        for (size_t i = 0; i < ELEMENTSOF(hints); i++)
                if (sd_bus_error_has_name(error, hints[i].name))
                        return hints[i].hint;
        return NULL;
}

static bool is_disconnect(int r) {
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE;
}

/* Its name was there when we connected, or when the bus passed the call on: it then says "Remote peer
 * disconnected" (dbus-broker) or "Message recipient disconnected ..." (dbus-daemon). */
static bool is_departure(const sd_bus_error *error) {
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) && error->message &&
                        strstr(error->message, "disconnected"))
                return true;
        return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

static int status_of_error(const sd_bus_error *error) {
        return sd_bus_error_has_name(error, BUS_ERROR_NO_PROC) ? EXIT_NO_SUCH : EXIT_FAILURE;
}

/* All lines but the last, each for itself. Returns the last. */
static const char *complain_lines(const char *text) {
        const char *end;

        for (; (end = strchr(text, '\n')); text = end + 1)
                (void) complain(EXIT_FAILURE, "%.*s", (int) (end - text), text);
        return text;
}

int complain_call(const sd_bus_error *error, int r, const char *what) {
        const char *next = hint(error),
                   *text = error->message && *error->message ? error->message : strerror(-r), *colon = ": ";
        bool ours = error->name && startswith(error->name, BUS_ERROR_PREFIX);
        size_t n = strlen(text);
        bool ended = n > 0 && strchr(".?!", text[n - 1]);

        if (!what || strstr(text, what))
                what = colon = "";
        /* it says itself what to do */
        if (strstr(text, "arbiterctl") || strstr(text, "polkit") || strstr(text, "Definitions"))
                next = NULL;
        /* signatures are not what is wrong with an option */
        if (sd_bus_error_has_name(error, BUS_ERROR_BAD_ARGUMENTS) && !strcasestr(text, "argument"))
                next = NULL;
        if (!ours && r == -ETIMEDOUT && !is_departure(error))
                return complain(EXIT_FAILURE,
                                "%s%sNo answer in time. What was asked for goes on all the same: see "
                                "'arbiterctl status'; --timeout=SEC waits longer.",
                                what, colon);
        if (!ours && (is_disconnect(r) || is_departure(error)))
                return complain(EXIT_NOT_RUNNING,
                                "%s%sThe arbiter closed the connection. Has it been stopped?", what, colon);
        text = complain_lines(text);
        return complain(status_of_error(error), "%s%s%s%s%s%s", what, colon, text, ended ? "" : ".",
                        next ? " " : "", next ? next : "");
}

static int call(struct context *c, sd_bus_message *m, usec_t timeout, const char *what,
                sd_bus_message **ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(c->bus, m, timeout, &error, ret);
        return r < 0 ? complain_call(&error, r, what) : 0;
}

int new_call(struct context *c, const char *path, const char *interface, const char *method,
             sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = context_connect(c);
        if (r != 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, &m, c->destination, path, interface, method);
        if (r >= 0) /* to look at an arbiter must not start it */
                r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return out_of_memory();
        *ret = TAKE_PTR(m);
        return 0;
}

int new_manager_call(struct context *c, const char *method, sd_bus_message **ret) {
        return new_call(c, BUS_PATH, BUS_INTERFACE_MANAGER, method, ret);
}

int call_manager(struct context *c, const char *method, const char *what, sd_bus_message **ret,
                 const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = new_manager_call(c, method, &m);
        if (r != 0)
                return r;
        if (types) {
                va_start(ap, types);
                r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
                if (r < 0)
                        return out_of_memory();
        }
        return call(c, m, query_timeout(c), what, ret);
}
