/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One sentence that says what somebody waits for, and why. Pure: all that it needs is given to it. */

#include <arbiter/error.h>

#include "basic/time-util.h"

enum why_kind {
        WHY_NOTHING,
        WHY_HANDSHAKE,
        WHY_START_HOOK,
        WHY_READY,
        WHY_PROBE, /* its start probe */
        WHY_READINESS, /* it runs, but has no work before its readiness probe is good */
        WHY_UNIT, /* systemd's word that it has been started */
        WHY_HOST,
        WHY_BACKOFF,
        WHY_INTENSITY,
        WHY_STOPPED,
        WHY_STOP,
        WHY_DRAIN,
        WHY_KILL,
        WHY_SETTLING,
        WHY_TURN, /* its turn to start, among the children of a monitor */
        _WHY_KIND_MAX,
};

struct why {
        const char *name, *state;
        enum why_kind kind;
        usec_t now, since, until; /* since 0: not known, until 0: not bounded */
        bool ended;               /* a life has ended before: reason and status hold */
        arbiter_reason reason;
        int status;
        uint32_t attempts, alike; /* failures within the period; of these, the last ones that are alike */
        uint32_t intensity;       /* the limit, UINT32_MAX: none */
        usec_t period;
        bool is_monitor, empty; /* empty: a place that has nobody in it */
        bool is_tree, unstarted; /* a monitor of different children; already its start has failed */
        const char *other; /* the child that it waits for, or that has brought it down; or NULL */
        bool other_stops;  /* it is that one's end that it waits for */
        bool signaled, stuck;   /* how far its stop is: SIGTERM, or a thread that cannot be killed */
        uint32_t wanted, running, backoff; /* of a monitor */
        const char *probe; /* what its probe said last, or NULL */
};

/* "handshake" ... */
const char *why_kind_to_string(enum why_kind kind);
/* At most size bytes, cut if need be. */
void why_format(const struct why *w, char *buffer, size_t size);
