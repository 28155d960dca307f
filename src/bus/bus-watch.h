/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells when the socket of a bus may be there again. */

#include <systemd/sd-event.h>

#include "basic/macro.h"

struct bus_watch;

/* For the first path in an address of sd-bus ("unix:path=..."); -EINVAL: there is none. changed: called
 * from the loop, any number of times. */
int bus_watch_new(sd_event *event, const char *address, void (*changed)(void *userdata), void *userdata,
                struct bus_watch **ret);
struct bus_watch *bus_watch_free(struct bus_watch *w);
DEFINE_CLEANUP(struct bus_watch *, bus_watch_free);
