/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of supervised children: the glue between what happens and what src/supervise decides. */

#include <arbiter/arbiter.h>

#include "actor/actor.h"
#include "arbiter/control.h"
#include "arbiter/probes.h"
#include "basic/identity.h"
#include "supervise/supervise.h"

struct child;

/* Of the implicit root monitor, or of a monitor. */
struct set {
        arbiter *arbiter;
        arbiter_monitor *monitor; /* NULL: root */
        supervise *supervise;
        struct list_node marked; /* for the state */
        struct actor_timer timer;
        struct set_rest { /* actions that were put off, oldest first, and the turn in which they go on */
                supervise_action *actions;
                size_t first, n, size;
                struct actor_timer timer;
        } rest;
        struct set_slot {
                arbiter_spawn *spawn; /* but in a pool: what this slot runs */
                struct tree_child *tree; /* of a monitor of different children; it may have a monitor here */
                struct child *child;
                arbiter_future *future; /* of the start that is asked for */
                aid wanted_aid, spawner;
                struct state_use *state_spawn;
                bool removed;
                bool transient; /* made at run time: nothing of it is configured */
        } *slots; /* by number, [0] unused */
        uint32_t n_slots;
        bool acting;
        bool revive; /* an arbiter before us was about to stop it: once it is down, it is started again */
        struct set_counts { /* its share of the arbiter's counters */
                uint32_t wanted, backoff, failed, monitor_failed;
        } counted;
        struct set_sums { /* over all lives, for the metrics */
                uint64_t restarts, starts, deaths[N_REASONS];
                usec_t start_usec, cpu_usec; /* the latter of the living as of the last look, which is */
                usec_t live_cpu_usec;
                uint64_t memory_bytes;
                bool has_memory;
                uint64_t probes[PROBE_KINDS][2]; /* results, good and bad; of this arbiter only */
        } sums;
};

/* set.c */
int set_init(struct set *s, arbiter *a, arbiter_monitor *m, const supervise_policy *policy, uint32_t n);
void set_done(struct set *s);
int set_handle(struct set *s, const supervise_event *e);
/* ADD_CHILD, whose slot it returns. Nothing of it is done yet: the caller fills the slot first, and then
 * has the set go on (TICK). */
int set_add_child(struct set *s, const supervise_event *e);
/* Where the root set runs the lone actor of this name, whether it lives just now or not; 0: nowhere. */
uint32_t root_find_slot(const arbiter *a, const char *name);
/* An actor by the slot that it has, or will have. -ENOENT: nobody is to live there. */
int slot_name(const struct set *s, uint32_t slot, char ret[static QUALIFIED_NAME_SIZE]);
/* -ENOENT for a number that no slot can have. */
int set_reserve(struct set *s, uint32_t slot);
/* Whoever waits for the next life in this slot waits in vain. */
void set_slot_settle(struct set *s, uint32_t slot, const char *why);
/* After a re-adoption: what its state implies is done. */
void set_resume(struct set *s);
