/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How lives ended: the last DEATHS_MAX of all, and the last DEATHS_PER_NAME of each name that may live again
 * (until deaths_forget() says that it may not). No clock, no I/O. */

#include "arbiter/control.h"

enum { DEATHS_MAX = 1000, DEATHS_PER_NAME = 16 };

struct death {
        uint64_t when_usec; /* CLOCK_REALTIME: for people */
        uint64_t lifetime_usec;
        aid_string aid;
        uint32_t generation;
        pid_t pid;
        arbiter_reason reason;
        int status;
        uint64_t serial; /* 0: the next one */
};

struct deaths;

int deaths_new(struct deaths **ret);
struct deaths *deaths_free(struct deaths *d);
DEFINE_CLEANUP(struct deaths *, deaths_free);

/* monitor: "" for a lone actor. Those that had been remembered before are added by their serials, in order.
 * -ENOMEM: it is not remembered, and nothing else is lost. */
int deaths_add(struct deaths *d, const char *name, const char *monitor, const struct death *death);
/* The serial of the newest; 0: there was none. */
uint64_t deaths_serial(const struct deaths *d);
/* The last DEATHS_MAX, oldest first; position NULL at first. Borrowed until the next change. */
struct death_record {
        const char *name, *monitor;
        const struct death *death;
};
bool deaths_next(const struct deaths *d, void **position, struct death_record *ret);
/* Called with each that is not one of them any more. */
void deaths_set_old(struct deaths *d, void (*old)(uint64_t serial, void *userdata), void *userdata);
/* Nobody will be called this again: only the last of all are kept of it. */
void deaths_forget(struct deaths *d, const char *name);
/* The same for each worker of a monitor. */
void deaths_forget_monitor(struct deaths *d, const char *monitor);

/* Newest first, at most max: all of a name, of a monitor's workers, or of an aid; "": the last DEATHS_MAX of
 * all. Strings are borrowed until the next change. Returns how many. */
size_t deaths_list(const struct deaths *d, const char *target, struct death_view *ret, size_t max);
/* How many of the last deaths of this name in a row were like its last one. */
size_t deaths_alike(const struct deaths *d, const char *name);
/* How many are kept, and how many bytes that is. */
size_t deaths_size(const struct deaths *d, size_t *ret_bytes);
