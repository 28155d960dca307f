/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Failures as D-Bus errors: a name to decide by, and a text that says what was expected and what to do. */

#include <systemd/sd-bus.h>

#include <arbiter/future.h>

#include "basic/utf8.h"

/* Sets the error for a negative errno of a verb on a target, and returns a negative errno to hand to sd-bus.
 */
int bus_error_set_verb(sd_bus_error *e, int error, const char *verb, const char *target);
/* The error of a future that is no reply. */
int bus_error_set_future(sd_bus_error *e, arbiter_future *f);
/* BadArguments with a text. Text from outside goes through bus_quote() first. */
int bus_error_bad_arguments(sd_bus_error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A string from outside for use in a text: printable ASCII, cut when long. */
#define QUOTE_SIZE 72
struct quoted {
        char s[QUOTE_SIZE];
};
struct quoted bus_quote(const char *s);

static inline bool bus_utf8_is_valid(const char *s) {
        return utf8_is_valid(s, strlen(s));
}
