/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Values between D-Bus messages and arbiter messages. Both are D-Bus marshalling, so this is a copy by type,
 * value by value; only the top-level arguments of a command are bent to its signature. */

#include <systemd/sd-bus.h>

#include "basic/macro.h"

typedef struct arbiter_message arbiter_message;

/* Copies what is left in the current container (or body). */
int convert_to_bus(arbiter_message *from, sd_bus_message *to);

/* Reads the "av" at the cursor and appends its values as the signature says: integers in any integer type as
 * long as the value fits, anything for a variant, else the same type. On a mismatch the error says which
 * argument, what was expected and what came. */
int convert_arguments(sd_bus_message *from, const char *command, const char *signature, arbiter_message *to,
                sd_bus_error *error);
/* Appends a command's result as one variant: a single result as it is, several as a struct, none as "b"
 * true. */
int convert_result(arbiter_message *from, sd_bus_message *to);
