/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who waits for what: the answer of Why(). Strings are borrowed from the reply. */

#include "arbiterctl/ctl.h"

struct waiting_row {
        const char *name, *state, *waiting_for, *last_reason, *text;
        uint64_t since_usec, until_usec; /* CLOCK_MONOTONIC; 0: not known, not bounded */
        int32_t last_status;
        uint32_t attempts;
};

struct waiting {
        sd_bus_message *reply;
        struct waiting_row *rows;
        size_t n_rows;
};

/* target: a name, an aid, or "" for all that wait. Returns 0 or an exit status. */
int waiting_take(struct context *c, const char *target, struct waiting *ret);
void waiting_done(struct waiting *w);
