/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Aids and names, beyond the lives that have them: see names.c. */

#include <arbiter/arbiter.h>

#include "basic/identity.h"

struct child;
struct commands_table;

enum {
        DEAD_AIDS_MAX = 64 * 1024,
        NAMES_KEPT_MAX = 16 * 1024, /* of which generation and last death are remembered without a life */
};

struct dead_aid {
        aid id, spawner;
        arbiter_reason reason;
        int status;
};

/* What outlives the lives of a name. */
struct name_memory {
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
        arbiter_reason reason;
        int status;
        /* of its last life, if there will be others; this arbiter's memory alone */
        struct commands_table *commands;
};

/* Nobody has it, nor has had it lately: who asks for an aid must not inherit another one's
 * callers. */
bool names_aid_is_fresh(arbiter *a, const aid *id);
/* How that life ended, if it is remembered; else noproc. */
arbiter_reason names_how_ended(arbiter *a, const aid *id, int *ret_status);
/* One that has ended, if it is remembered. */
const struct dead_aid *names_find_dead(arbiter *a, const aid *id);
int names_choose_aid(arbiter *a, const aid *wanted, aid *ret);
int names_next_generation(struct child *c);
/* It has ended: aid and name remember how. */
void names_bury(struct child *c, arbiter_reason reason, int status);
/* Somebody is called so, or will be again; or nobody may be. */
bool names_is_taken(arbiter *a, const char *name);
/* What the last life of this name has said that it has; NULL: nothing, or nobody knows. */
const struct commands_table *names_get_commands(arbiter *a, const char *name);
