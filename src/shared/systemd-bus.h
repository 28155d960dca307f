/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemd's manager, of the machine or of a user, as a peer on D-Bus. */

#include "basic/macro.h"

struct sd_bus;

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD ".Manager"

/* A connection of its own, by the bus, or where there is none directly. description: for
 * sd-bus. */
int systemd_bus_open(bool user, const char *description, struct sd_bus **ret);
/* The other way round, for who asks only: what a bus daemon is at does not matter then. */
int systemd_bus_open_direct(bool user, const char *description, struct sd_bus **ret);
