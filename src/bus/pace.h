/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much of the time those have who send by the thousand. All that call by a bus share its socket to us,
 * and a bus daemon gives it sixteen messages at a time: whoever calls after a flood is not heard before all
 * of it has been read. What is done of it meanwhile takes our time, and more of the daemon's, which looks
 * through each answer before it reads or passes on anything else: ten long answers in each of its turns
 * make a hundred milliseconds of ten. So as long as a flood comes in it has a small share of the time, and
 * all of it when nothing has come for a moment. Used by queue.c. Pure: time is given. */

#include "basic/time-util.h"

enum {
        PACE_FEW = 16,     /* messages of one sender that wait: no burden yet ... */
        PACE_FLOOD = 1024, /* ... and from here on a flood */
        PACE_QUIET_USEC = 20000, /* a busy daemon pauses that long in the midst of a flood */
        PACE_SHARE = 16, /* so many times what it has taken is the others' */
};

struct pace {
        usec_t flood_usec; /* the last message of a flood was read */
        usec_t turn_usec;  /* from here on one of those who have many may be dispatched all the same */
};

/* A message has been read of a sender of whom so many wait now. */
static inline void pace_read(struct pace *p, unsigned n_waiting, usec_t now) {
        if (n_waiting > PACE_FLOOD)
                p->flood_usec = now;
}

/* One has been dispatched of a sender of whom so many waited. */
static inline void pace_dispatched(struct pace *p, unsigned n_waiting, usec_t begun, usec_t now) {
        if (n_waiting > PACE_FEW)
                p->turn_usec = time_add(now, PACE_SHARE * (now - begun));
}

/* From when on one may be dispatched of a sender of whom so many wait. more: there is more to read now. */
static inline usec_t pace_due(const struct pace *p, unsigned n_waiting, bool more, usec_t now) {
        usec_t quiet = time_add(p->flood_usec, PACE_QUIET_USEC);

        if (n_waiting <= PACE_FEW || (!more && quiet <= now))
                return 0;
        return more ? p->turn_usec : MIN(p->turn_usec, quiet);
}
