/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The progress of rolls while their verdict is awaited: a line a step, or on a terminal one that changes. */

#include "arbiterctl/verb-util.h"

struct roll_row {
        const char *name; /* of the monitor; borrowed */
        char *path, *failing;
        bool unready; /* that one does not fail, but is not ready */
        uint32_t workers, replaced, left;
};

struct roll_watch {
        struct context *c;
        struct roll_row *rows;
        size_t n;
        bool armed;
};

/* Of those targets that are monitors. Returns 0 or an exit status. */
int roll_watch_begin(struct roll_watch *w, struct context *c, const struct target *targets, size_t n);
/* The worker for which it has halted, or NULL. */
const char *roll_watch_failing(const struct roll_watch *w, const char *name);
/* It lives, and does not get ready. */
bool roll_watch_is_unready(const struct roll_watch *w, const char *name);
void roll_watch_done(struct roll_watch *w);
