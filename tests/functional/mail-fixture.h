/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Senders that send streams of numbered messages, and a pool of workers that mark what they run, in memory
 * that all processes share; for the tests of routing and of mail that outlives its receiver. Even numbers
 * are requests, odd ones casts. */

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <arbiter/arbiter.h>
#include <systemd/sd-event.h>

#include "test-util.h"

enum { NUMBERS = 1 << 20, WORKERS = 64, GUARD_USEC = 60 * 1000 * 1000, BURST = 48 };

struct board {
        _Atomic uint8_t ran[NUMBERS];       /* how often a worker has run it */
        _Atomic uint8_t by[NUMBERS];        /* the number of the worker that ran it last */
        _Atomic uint8_t outcomes[NUMBERS];  /* how many outcomes the request has had */
        _Atomic uint8_t outcome[NUMBERS], executed[NUMBERS];
        _Atomic uint64_t n_ran[WORKERS + 1]; /* by worker */
        _Atomic int64_t last; /* number that was run: with one sender and one worker it rises */
        _Atomic uint64_t order_errors, dead_letters, kills, entered;
        _Atomic int pid[WORKERS + 1];
        _Atomic uint32_t lives[WORKERS + 1];
        _Atomic int kill_every; /* a worker kills itself in about one of so many; 0: never */
        _Atomic int stop_every; /* or stops in order */
        _Atomic int blocks;     /* "Block" waits while this is set */
};
extern struct board *board;

struct mail {
        arbiter *arbiter;
        arbiter_actor *root;
        struct sd_event *event;
        arbiter_monitor *pool;
        arbiter_concurrency kind;
};

void mail_board(void);
void mail_setup(struct mail *x, arbiter_concurrency kind);
void mail_teardown(struct mail *x);
arbiter_spawn *mail_describe(struct mail *x, const char *name, const arbiter_module *module);
extern const arbiter_module mail_worker, mail_sender;
/* "web.1" to "web.N", restarted as often as it takes. */
void mail_start_pool(struct mail *x, unsigned n, arbiter_routing routing, arbiter_mail_on_restart mail);
void mail_start_sender(struct mail *x, const char *name);
void mail_wait(struct mail *x, arbiter_future *f);
/* Runs the loop until the test is true. */
#define mail_until(x, condition)                                                                            \
        do {                                                                                                \
                uint64_t _end = mail_now() + GUARD_USEC;                                                    \
                while (!(condition)) {                                                                      \
                        if (mail_now() > _end)                                                              \
                                fail_msg("not within a minute: %s", #condition);                            \
                        assert_true(sd_event_run((x)->event, 1000) >= 0);                                   \
                }                                                                                           \
        } while (0)
uint64_t mail_now(void);
/* The sender sends numbers from first on, in bursts, each when all requests of the one before have had their
 * outcome. options: MAIL_... */
enum { MAIL_HOLD = 1, MAIL_BY_PROXY = 2, MAIL_CASTS = 4, MAIL_KEYS = 8, MAIL_REQUESTS = 16 };
arbiter_future *mail_stream(struct mail *x, const char *sender, const char *target, uint32_t first,
                uint32_t n, unsigned options);
void mail_finish(struct mail *x, arbiter_future *f);
/* Every request has had one outcome, which does not lie about whether it has run; nothing has run twice.
 * Returns how many requests had another outcome than a reply. */
unsigned mail_check(uint32_t first, uint32_t n);
unsigned mail_count_not_run(uint32_t first, uint32_t n);
unsigned mail_count_lost_casts(uint32_t first, uint32_t n);
