/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the arbiters of a machine are called: "system" (arbiter.service), "user" (the same of a user
 * manager), and NAME (arbiter@NAME.service, of either manager). Every name that follows from it is made
 * here, for arbiterd and arbiterctl alike. Strings are to be freed; -ENOMEM. */

#include "basic/macro.h"

#define INSTANCE_SYSTEM "system"
#define INSTANCE_USER "user"

/* May arbiter@NAME.service be called so? 1 to 64 of [A-Za-z0-9_.:-], the first a letter, a digit or "_";
 * not "system" and "user", which are taken. */
bool instance_name_is_valid(const char *name);
#define INSTANCE_NAME_EXPECTED \
        "1 to 64 letters, digits and any of _.:- , not beginning with a sign, and neither system nor user"

/* system, user: one per manager. */
bool instance_is_main(const char *instance);

/* "io.arbiter.Arbiter1", or "io.arbiter.Arbiter1.NAME" with NAME escaped as sd_bus_path_encode() does. */
int instance_bus_name(const char *instance, char **ret);
/* "arbiter-" + the instance, escaped as `systemd-escape` does it, + rest: "-actors.scope", ".slice". */
int instance_unit_name(const char *instance, const char *rest, char **ret);
/* "arbiter.service" or "arbiter@NAME.service". */
int instance_service_name(const char *instance, char **ret);

/* /run/arbiter, /run/arbiter-NAME; of a user $XDG_RUNTIME_DIR/arbiter, $XDG_RUNTIME_DIR/arbiter-NAME: -ENXIO
 * where that is not set. */
int instance_runtime_directory(const char *instance, bool system, char **ret);

/* Where arbiter-keeper of that one listens: /run/arbiter.keeper/INSTANCE/socket, $XDG_RUNTIME_DIR/... Not in
 * the runtime directory: that goes when the arbiter's service stops, and the keeper's comes before it and
 * goes after it. -ENXIO as above. */
int instance_keeper_socket(const char *instance, bool system, char **ret);
/* And beside that, when it has ended: names of units that may be left, a line each. */
int instance_keeper_units(const char *socket, char **ret);
