/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_LOG_H
#define ARBITER_LOG_H

#include <arbiter/_common.h>

ARBITER_BEGIN_DECLARATIONS

/* The library never prints. It tells what happened to a function of yours: level is syslog's (3 error ...
 * 7 debug), text one line without newline. aid, name and monitor say whom it concerns (NULL: the arbiter
 * itself). */
typedef struct arbiter_log_entry {
        size_t size;
        int level;
        const char *text;
        const char *aid, *name, *monitor;
        const char *event; /* "started", "died", "replaced", "gave-up", "silent", "scaled" ... or NULL */
        const char *reason;
} arbiter_log_entry;

typedef void (*arbiter_log_handler_t)(const arbiter_log_entry *entry, void *userdata);

int arbiter_set_log_handler(arbiter *a, arbiter_log_handler_t handler, void *userdata);

ARBITER_END_DECLARATIONS

#endif
