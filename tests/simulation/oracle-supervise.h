/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a set should do, told a second time and naively from the head of supervise.h: every failure is kept,
 * everything is counted anew each time, nothing is shared with src/supervise but the vocabulary. */

#include "supervise/supervise.h"

#define ORACLE_SLOTS 20
#define ORACLE_FAILURES 160 /* more than a history has steps */

struct oracle_child {
        supervise_slot_state state; /* SUPERVISE_SLOT_UNUSED: no such child */
        supervise_restart restart;
        enum { AFTER_END, AFTER_RESTART, AFTER_REMOVE, AFTER_HOLD } after;
        uint64_t generation, revision, wanted, order;
        nsec_t since, until, failures[ORACLE_FAILURES];
        unsigned n_failures, k;
        bool free_restart, first;
};

struct oracle {
        supervise_policy policy;
        supervise_phase phase;
        uint64_t generation, revision, order;
        nsec_t now, failures[ORACLE_FAILURES];
        unsigned n_failures, rolling;
        bool outdated, starting;
        struct oracle_child children[ORACLE_SLOTS + 1]; /* [0] is unused */

        /* What the last event must bring about. */
        bool spawn[ORACLE_SLOTS + 1], stop[ORACLE_SLOTS + 1];
        bool parked[ORACLE_SLOTS + 1], removed[ORACLE_SLOTS + 1];
        bool started_all, gave_up, escalate, stopped;
        unsigned delayed; /* the child that this event put into backoff, */
        nsec_t delay;     /* at least so long, jitter on top */
};

void oracle_init(struct oracle *o, const supervise_policy *policy, unsigned n, uint64_t revision);
/* The result that supervise_handle() must give; the fields above say the rest. */
int oracle_handle(struct oracle *o, const supervise_event *e, nsec_t now);
