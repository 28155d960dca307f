/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The work, the same for the raw socket, for ZeroMQ and (in messages.c, through its API) for arbiter: two
 * ends, 64 bytes, every message with its number, checked at both ends.
 *
 *   round trips  one request outstanding: the latency
 *   pipelined    100 outstanding
 *   casts        one way; at most 1000 not acknowledged, an acknowledgement for each 200 */

#include "bench.h"

enum work { WORK_ROUND_TRIP, WORK_PIPELINED, WORK_CASTS, WORK_COUNT };

enum {
        MESSAGE_SIZE = 64,
        PIPELINE = 100,
        CAST_WINDOW = 1000,
        CAST_ACKNOWLEDGE = 200,
};

struct measured {
        double p50_us; /* of round trips */
        double rate;   /* round trips, or casts, a second */
        double cpu_us; /* both ends, for each message; a round trip is two */
};

/* One end. send() must not fail. */
struct exchange {
        enum work work;
        bool server, stopping, done;
        uint64_t sent, received, acknowledged;
        double begin, warm, end, last;
        double cpu_begin;
        bool threads;
        struct histogram *histogram;
        void (*send)(struct exchange *x, const void *data, size_t size);
        void *userdata;
        struct shared_ends *shared;
};

/* What the two ends, processes or threads, tell each other and the bench. */
struct shared_ends {
        _Atomic unsigned ready;
        double cpu[2], p50_us, rate;
        uint64_t messages;
};

/* Runs the client's or server's end until the work is done. */
typedef void (*exchange_run_t)(struct exchange *x, void *userdata);
/* Forks (or starts a thread for) the server's end and runs both. */
void exchange_measure(enum work work, double seconds, bool threads, exchange_run_t run, void *userdata,
                struct measured *ret);
/* In run(): both ends are connected. The client's sends its first. */
void exchange_begin(struct exchange *x, double seconds);
/* In run(): a message has arrived. */
void exchange_receive(struct exchange *x, const void *data, size_t size);

void raw_measure(enum work work, double seconds, bool threads, struct measured *ret);
void zeromq_measure(enum work work, double seconds, struct measured *ret);
