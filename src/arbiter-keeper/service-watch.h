/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Is the arbiter coming back? */

#include <systemd/sd-event.h>

#include "basic/macro.h"

struct service_watch;

struct service_watch_events {
        /* Once, from the loop: the service is inactive or failed, and nothing is about to change that. */
        void (*settled)(void *userdata);
        /* It has been asked for again after that, and once: still is what the answer says. */
        void (*confirmed)(bool still, void *userdata);
};

/* Follows a service of this user's manager, or of the system's; for as long as it takes, also while that one
 * cannot be reached. events stays the caller's. */
int service_watch_new(sd_event *event, const char *service, bool user,
                const struct service_watch_events *events, void *userdata, struct service_watch **ret);
struct service_watch *service_watch_free(struct service_watch *w);
DEFINE_CLEANUP(struct service_watch *, service_watch_free)
