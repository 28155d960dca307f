/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a pool is started from, by revision, and who waits for one revision to take the place of another.
 * Part of struct arbiter_monitor; roll.c is all that looks inside. */

#include <arbiter/pool.h>

#include "basic/list.h"
#include "supervise/supervise.h"

struct child;
struct state_definition;
struct state_use;

/* The one that workers run by, the one that a roll comes from, the newest, and room to add. */
enum { POOL_DEFINITIONS_MAX = 4 };

struct pool {
        struct pool_definition {
                uint64_t revision;
                arbiter_spawn *spawn;
                struct state_use *state_spawn;
                bool incomplete; /* of an arbiter before us, and in part only */
                bool told;
        } definitions[POOL_DEFINITIONS_MAX];
        size_t n_definitions;
        unsigned max_surge, max_unavailable; /* as they were set: a number, or ARBITER_PERCENT() */
        struct list_node rolls;              /* struct roll_waiter: for the end of a roll */
        uint64_t host_revision;              /* of the threads that the monitor's host runs; 0: not known */
        uint32_t failed_slot;                /* whose start failed last, and why, in words */
        char failed_text[400];
};

void roll_init(arbiter_monitor *m);
void roll_free(arbiter_monitor *m);

/* By what a life of this revision is started; borrowed. */
arbiter_spawn *roll_definition(arbiter_monitor *m, uint64_t revision);
/* Takes another reference. */
void roll_add_definition(arbiter_monitor *m, uint64_t revision, arbiter_spawn *spawn);

/* As the arbiter before us had it; whole: lives can be started from it. */
int roll_restore(arbiter_monitor *m, const struct state_definition *d, arbiter_spawn *spawn, bool whole);

/* What percentages mean for so many workers. Before the start, and whenever that number changes. */
int roll_resize(arbiter_monitor *m, uint32_t workers);
/* The policy is another one; once it runs that counts at once. */
int roll_set_policy(arbiter_monitor *m, const supervise_policy *policy);

void roll_acted(arbiter_monitor *m, const supervise_action *action);
/* After all that was to be done: definitions that nobody can be started from any more go. */
void roll_settle(arbiter_monitor *m);
/* It is given up or stopped: nobody waits any longer. */
void roll_end(arbiter_monitor *m, arbiter_outcome outcome, const char *text);
/* Before the set is told of its end. */
void roll_note_failure(const struct child *c);

/* roll-report.c */
bool roll_is_on(const supervise_info *i);
void roll_count(const arbiter_monitor *m, const supervise_info *i, arbiter_roll *ret);
/* For its owner: for which worker it has halted, and why. overdue: it does not fail, but is not ready. */
void roll_describe_halt(
                const arbiter_monitor *m, uint32_t number, bool overdue, char *text, size_t size);
/* For everybody: how far it is, and for whom it waits. */
void roll_describe(arbiter_monitor *m, char *text, size_t size);

/* In which host the thread of this life is to run, or NULL: a roll brings its own. */
struct child *roll_find_host(arbiter_monitor *m, const struct child *thread);
