/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <arbiter/route.h>
#include <systemd/sd-bus.h>

#include "basic/macro.h"

/* a{sv}. A key in it is borrowed from the message. */
int bus_read_send_options(sd_bus_message *m, arbiter_send_options *ret, sd_bus_error *error);
