/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* D-Bus values on the command line and in print, in the syntax of busctl(1): arrays with their length first,
 * variants with their signature first ("a{sv} 1 one s eins"). */

#include <systemd/sd-bus.h>

#include "arbiterctl/output.h"

struct value_error {
        const char *argument; /* the one that is wrong; NULL: one is missing */
        const char *why;      /* static text */
};

/* The length of the first complete type of a signature; -EINVAL with *ret_why. "" has length 0. */
int signature_element_length(const char *signature, size_t *ret, const char **ret_why);
/* Appends values of the signature, read from *arguments (ends in NULL), which moves on. -EINVAL with
 * *ret_error. */
int value_append(sd_bus_message *m, const char *signature, char *const **arguments,
                 struct value_error *ret_error);
/* The same, but each complete type in a variant of its own: what an "av" takes, which must be open in m. */
int value_append_variants(sd_bus_message *m, const char *signature, char *const **arguments,
                          struct value_error *ret_error);

/* Print what follows in the container that m is in. As busctl's one line, without a newline: values only. */
int value_print(sd_bus_message *m, FILE *f);
/* One complete value as plain JSON: variants are what is in them, dictionaries are objects. */
int value_to_json(sd_bus_message *m, struct json *j);
/* As busctl --json has it: {"type":"s","data":"pong"}, so are variants inside. The variant that comes next.
 */
int value_to_typed_json(sd_bus_message *m, struct json *j);
/* Text without quotes, but what would move the cursor is escaped. */
void value_print_text(const char *s, FILE *f);
/* As indented text for people, a line each KEY: value. depth is that of the first line. */
int value_print_tree(sd_bus_message *m, FILE *f, unsigned depth);
