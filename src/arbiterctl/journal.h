/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The last lines of the journal about an arbiter, a monitor, an actor, or one life. */

#include "arbiterctl/ctl.h"

struct journal_filter {
        const char *instance; /* "": none, there are no entries of such an arbiter */
        bool user;            /* of this user, as many have an instance "user" */
        const char *name;     /* of a monitor or an actor; NULL: all */
        const char *aid;      /* of one life; NULL: all */
        uint64_t since_usec;  /* CLOCK_REALTIME; 0: from the beginning */
};

/* Which journal is that of the arbiter that c is connected to. */
void journal_filter_init(struct journal_filter *f, const struct context *c, const char *instance);
/* The n last entries, oldest first, as journalctl prints them, below the heading; lines are cut to width
 * unless it is 0. Nothing if there are none or they may not be read. Returns the number of entries
 * printed. */
size_t journal_print(const struct journal_filter *f, const char *heading, size_t n, unsigned width,
                     FILE *out);
/* With a heading, those of the newest life of name that the journal has since f->since_usec: what a failure
 * left behind. */
size_t journal_print_last_life(const struct journal_filter *f, size_t n, unsigned width, FILE *out);
/* The names of all monitors and actors that the journal knows and that match the glob (NULL: all). To be
 * freed as a strv. */
int journal_names(const char *pattern, char ***ret);
