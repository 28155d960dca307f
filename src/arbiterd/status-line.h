/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one line that `systemctl status` shows of an arbiter: how many of what there is to run, and what keeps
 * the others from running. Plain data in, text out. */

#include <arbiter/log.h>

#include "basic/macro.h"

#define STATUS_LINE_MAX 512

enum status_phase { STATUS_RUNNING, STATUS_RELOADING, STATUS_STOPPING };

struct status_figures {
        enum status_phase phase;
        unsigned monitors;
        unsigned wanted, running; /* actors there are to be, and are */
        unsigned backoff, failed; /* of those that do not run */
        unsigned left;            /* while stopping */
        const char *trouble;      /* of status_trouble(), or NULL */
        bool unwritten;           /* the next arbiter would not know all */
        const char *no_scope;     /* why actors have no cgroups of their own, or NULL */
        const char *directory;    /* where there could be something to run */
        char *const *failed_files; /* configuration that was not loaded; NULL: all was */
};

/* The last that was heard of an actor that has ended or could not be started, in words. Kept by the caller
 * from entry to entry. */
struct status_death {
        char name[192], text[STATUS_LINE_MAX / 2];
        uint32_t generation;
};
/* What an entry of the arbiter's log says about trouble: "web.2: backoff 3.2 s, killed by SIGSEGV". To be
 * freed. NULL: it is no trouble, or there is no memory. */
char *status_trouble(const arbiter_log_entry *e, struct status_death *last);

/* One line; the buffer has STATUS_LINE_MAX bytes. */
const char *status_line(const struct status_figures *f, char *buffer);
