/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small things that several families of verbs need. */

#include <systemd/sd-event.h>

#include "arbiterctl/ctl.h"

/* "exit-code 3", "signal KILL", "watchdog". */
#define REASON_STRING_MAX 64
const char *format_reason(char buffer[static REASON_STRING_MAX], const char *reason, int status);

/* Properties.GetAll(); 0 or an exit status after complaining. */
int get_all_properties(struct context *c, const char *path, const char *interface, sd_bus_message **ret);

/* The configuration directories of the arbiter that is meant, unless --config-dir= named some, to
 * c->config_dirs. 0 or an exit status. */
int context_config_dirs(struct context *c);
bool context_is_system(const struct context *c); /* the system's arbiter is meant, not the user's */

/* Of an error that came as the answer of an asynchronous call. Returns the exit status for it. */
int complain_error_reply(sd_bus_message *m, const char *what);

/* Work for several targets at once: all messages are sent, then all answers awaited, so that it takes as
 * long as the slowest. Complaints come as failures come. */
struct work {
        const char *what; /* for messages */
        const char *(*failing)(const struct work *w); /* who has failed in it; NULL: it itself */
        void *userdata;
        sd_bus_message *message, *reply;
        int status; /* of this one: 0 or an exit status */
        bool done;
};
/* Returns the first status that is not 0, in the order of the array. With --no-block replies are NULL. What
 * failed is told together with what the journal has of it. */
int work_run(struct context *c, struct work *works, size_t n);
/* The same for one. */
int call_for_work(struct context *c, sd_bus_message *m, const char *what, sd_bus_message **ret);
/* And for work of the arbiter as a whole, without arguments: with --no-block it says what it asked for. */
int call_manager_for_work(struct context *c, const char *method, const char *asked, sd_bus_message **ret);
void work_free(struct work *works, size_t n);

/* A loop that SIGINT and SIGTERM end (with 0), with the connection attached. 0 or an exit status after
 * complaining. */
int event_loop_new(struct context *c, sd_event **ret);
