/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The module worker of the benches, run by arbiter-host. Says when it was started and when it was running
 * (the first notify comes right after the handshake). */

#include <arbiter/arbiter.h>
#include <stdlib.h>

#include "announce.h"

static int start(arbiter_actor *a, void *userdata) {
        announce(getenv("BENCH_SOCKET"), 'S', announce_clock());
        return 0;
}

static int periodic_task(arbiter_actor *a, void *userdata) {
        if (!userdata)
                announce(getenv("BENCH_SOCKET"), 'R', announce_clock());
        arbiter_actor_set_userdata(a, a);
        return 0;
}

ARBITER_MODULE(.name = "bench", .start = start, .periodic_task = periodic_task);
