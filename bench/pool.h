/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A manager with one pool of workers, as the benches see it: a process that is started, workers that
 * announce themselves, what /proc says of the manager. The same for the floor, arbiterd and an embedded
 * arbiter. */

#include <sys/types.h>

#include <systemd/sd-bus.h>

#include "bench.h"

enum pool_kind {
        POOL_FLOOR, /* posix_spawn */
        POOL_FLOOR_FORK,
        POOL_ARBITERD,       /* plain worker, exec'd */
        POOL_ARBITERD_CRASH, /* the same; each exits at once */
        POOL_ARBITERD_HANG_START, /* the same; none ever says that it is ready */
        POOL_ARBITERD_HANG_STOP,  /* the same; none ends when it is told to */
        POOL_ARBITERD_MODULE,
        POOL_EMBEDDED, /* forked module workers */
};

/* Where the programs are: a directory of the build each. */
struct pool_programs {
        const char *arbiterd, *arbiter_host, *arbiterctl, *worker, *floor, *embedded, *module;
};

struct pool {
        pid_t manager;
        int fifo;
        size_t n;
        pid_t *pids; /* as they came; the last ones live */
        char directory[64], fifo_path[96];
};

/* Starts it, and waits until n announcements of this kind ('S' started, 'R' running) have come. Returns
 * microseconds. */
double pool_up(struct pool *p, const struct pool_programs *programs, enum pool_kind kind, unsigned n,
                char what);
/* A connection to the private socket of an arbiterd. */
sd_bus *pool_connect(const struct pool *p);
/* Stops it in order. Returns microseconds until it and all workers are gone. */
double pool_down(struct pool *p);
/* Kills n workers, beginning with the first-th; microseconds until n new ones have announced what. */
double pool_kill(struct pool *p, unsigned first, unsigned n, char what);
/* All that live, and nobody waits for others: of those that hang. */
void pool_kill_all(struct pool *p);
/* Lets time pass, and reads what workers say meanwhile. */
void pool_rest(struct pool *p, double seconds);
/* Announcements of starts within so many seconds. */
unsigned pool_count(struct pool *p, double seconds);
/* Microseconds until the next announcement. */
double pool_next(struct pool *p, char what);

struct usage {
        double cpu_ms;
        /* private: without the pages that it shares with actors */
        unsigned long wakeups, rss_kib, private_kib, fds;
};
void pool_usage(const struct pool *p, struct usage *ret);
/* Positional arguments to programs. Exits if there are too few. */
void pool_programs_from(const struct bench_options *o, struct pool_programs *ret);
