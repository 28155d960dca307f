/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Failures as D-Bus errors: from errnos of the operator's verbs, and from the outcomes of futures. Called by
 * the methods of the face. What comes from outside (names, texts of actors) is made fit for a bus here: an
 * invalid string would make the client's library drop the whole connection. */

#include <stdarg.h>
#include <stdio.h>

#include "bus/error.h"
#include "shared/bus-names.h"
#include "wire/message.h"

/* Texts for who is told nothing better; %s is the quoted target. */
static const struct errno_info {
        int error;
        const char *name, *text;
} errnos[] = {
        { ESRCH, BUS_ERROR_NO_PROC,
          "There is no actor or monitor \"%s\". \"arbiterctl status\" shows those that there are." },
        { ENOENT, BUS_ERROR_UNKNOWN_COMMAND,
          "\"%s\" has no such command. \"arbiterctl introspect\" shows those that it has." },
        { EEXIST, BUS_ERROR_NAME_TAKEN,
          "The name \"%s\" is taken. Stop that one first, or choose another name." },
        { EINVAL, BUS_ERROR_BAD_ARGUMENTS,
          "What was asked of \"%s\" is not possible: the values contradict it." },
        { ERANGE, BUS_ERROR_BAD_ARGUMENTS,
          "What was asked of \"%s\" is not possible: a value is out of range." },
        { ENOBUFS, BUS_ERROR_OVERLOAD, "\"%s\" takes no more for now. Nothing was done: try again later." },
        { EAGAIN, BUS_ERROR_RESTARTING,
          "\"%s\" is not running yet, or not again. Nothing was done: try again when it is." },
        { EHOSTDOWN, BUS_ERROR_NO_PROC,
          "No worker of \"%s\" is running, and none is about to. \"arbiterctl why\" knows more." },
        { EACCES, BUS_ERROR_DENIED, "This is not allowed on \"%s\"." },
        { EPERM, BUS_ERROR_DENIED, "This is not allowed on \"%s\"." },
        { EOPNOTSUPP, BUS_ERROR_NOT_SUPPORTED,
          "This cannot be done with \"%s\": its kind does not support it." },
        { EBUSY, BUS_ERROR_BUSY,
          "\"%s\" is busy with an earlier request of this kind. Try again when that is done." },
        { EALREADY, BUS_ERROR_BUSY, "This is being done with \"%s\" already." },
        { ESHUTDOWN, BUS_ERROR_DENIED, "The arbiter is stopping, nothing new is begun on \"%s\"." },
        { ECANCELED, BUS_ERROR_CANCELLED, "The request to \"%s\" was cancelled." },
        { ETIMEDOUT, BUS_ERROR_TIMEOUT, "\"%s\" did not answer in time." },
        { ECONNRESET, BUS_ERROR_NO_CONNECTION, "The connection to \"%s\" was lost. It may have begun." },
};

int bus_error_set_verb(sd_bus_error *e, int error, const char *verb, const char *target) {
        struct quoted t = bus_quote(target);
        bool of_a_start;

        error = error < 0 ? -error : error;
        /* A file or a port that a definition names, not the target. */
        of_a_start = streq(verb, "restart") && (error == ENOENT || error == EACCES || error == EPERM);
        if (error == ENOENT && streq(verb, "spawn"))
                return sd_bus_error_setf(e, BUS_ERROR_NO_SUCH_DEFINITION,
                                "There is no definition \"%s\": those that there are, are the lone "
                                "actors of the configuration (NAME.actor), in the property Definitions.",
                                t.s);
        if (error == EOPNOTSUPP && streq(verb, "kill"))
                return sd_bus_error_setf(e, BUS_ERROR_NOT_SUPPORTED,
                                "\"%s\" has no process of its own, and so gets no signal. To have it "
                                "replaced: "
                                "\"arbiterctl restart\".",
                                t.s);
        for (size_t i = 0; i < ELEMENTSOF(errnos) && !of_a_start; i++)
                if (errnos[i].error == error)
                        return sd_bus_error_setf(e, errnos[i].name, errnos[i].text, t.s);
        return sd_bus_error_set_errnof(e, error, "Cannot %s \"%s\": %s.", verb, t.s, strerror(error));
}

static const char *const outcome_texts[] = {
        [ARBITER_OUTCOME_APPLICATION_ERROR] = "The actor's handler failed and gave no text.",
        [ARBITER_OUTCOME_NOPROC] = "There is no such actor, or that life of it is over. It was not run.",
        [ARBITER_OUTCOME_OVERLOAD] = "The actor's mailbox is full. It was not run: try again later.",
        [ARBITER_OUTCOME_EXPIRED] =
                        "The deadline passed before the actor began. It was not run: try again, or give a "
                        "longer Timeout.",
        [ARBITER_OUTCOME_RESTARTING] =
                        "The actor is not running yet, or not again. It was not run: try again when it is.",
        [ARBITER_OUTCOME_DENIED] = "The actor may not be asked this. It was not run.",
        [ARBITER_OUTCOME_UNKNOWN_COMMAND] =
                        "The actor has no such command. \"arbiterctl introspect\" shows those that it has.",
        [ARBITER_OUTCOME_BAD_ARGUMENTS] =
                        "The arguments do not match the command's signature. \"arbiterctl introspect\" "
                        "shows it.",
        [ARBITER_OUTCOME_DEADLOCK] = "The call would wait for itself. It was not run.",
        [ARBITER_OUTCOME_TIMEOUT] =
                        "The actor had begun when the deadline passed. Whether it finished is not known.",
        [ARBITER_OUTCOME_CANCELLED] = "The request was cancelled. Whether it was run is not known.",
        [ARBITER_OUTCOME_CALLEE_DIED] = "The actor died at work on it. How far it came is not known.",
        [ARBITER_OUTCOME_NO_CONNECTION] =
                        "The connection to the actor was lost. Whether it was run is not known.",
        [ARBITER_OUTCOME_BROKEN_PROMISE] =
                        "The actor took the request and dropped it unanswered: a bug in it.",
        [ARBITER_OUTCOME_BREAKER_OPEN] =
                        "A circuit breaker leaves the actor alone after too many failures. Nothing was run.",
};

static bool error_name_is_valid(const char *s) {
        bool start = true, dot = false;

        if (strlen(s) > 255)
                return false;
        for (; *s; s++) {
                if (*s == '.') {
                        if (start)
                                return false;
                        start = dot = true;
                        continue;
                }
                if (!(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') && *s != '_' &&
                                (start || !(*s >= '0' && *s <= '9')))
                        return false;
                start = false;
        }
        return dot && !start;
}

int bus_error_set_future(sd_bus_error *e, arbiter_future *f) {
        arbiter_outcome outcome = arbiter_future_get_outcome(f);
        const char *name = arbiter_future_get_error_name(f), *text = arbiter_future_get_error_text(f);

        if (!name || !error_name_is_valid(name))
                name = outcome_to_error_name(outcome);
        if (!name)
                name = BUS_ERROR_APPLICATION_ERROR;
        if (!text || !*text || !bus_utf8_is_valid(text))
                text = (size_t) outcome < ELEMENTSOF(outcome_texts) ? outcome_texts[outcome] : NULL;
        return sd_bus_error_setf(
                        e, name, "%s", text ?: "The outcome is of a kind that this version does not know.");
}

int bus_error_bad_arguments(sd_bus_error *e, const char *format, ...) {
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        (void) sd_bus_error_set(e, BUS_ERROR_BAD_ARGUMENTS, text);
        return -EINVAL;
}

struct quoted bus_quote(const char *s) {
        struct quoted q = {};
        size_t n = 0;

        for (; *s && n < 64; s++)
                q.s[n++] = *s >= ' ' && *s <= '~' ? *s : '?';
        if (*s)
                memcpy(q.s + n, "...", 3);
        return q;
}
