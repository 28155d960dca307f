/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager whose service arbiterd is (systemd of the machine or of a user), as a peer on D-Bus. */

#include "shared/systemd-bus.h"

struct daemon;

/* A connection of its own, by the bus, or where there is none directly. */
int manager_open(const struct daemon *d, struct sd_bus **ret);
/* The other way round, for who asks, or stops what is left: what a bus daemon is at does not matter then. */
int manager_open_direct(const struct daemon *d, struct sd_bus **ret);
/* The service that this process is in; NULL: in none. To be freed. */
int manager_own_service(char **ret);
