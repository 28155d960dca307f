/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much an actor has to do, and how its arbiter hears of it; see load.c. */

#include <arbiter/load.h>

#include "basic/macro.h"
#include "basic/time-util.h"

struct incoming;

/* Counted always; measured in time, and told, only while the arbiter wants to know (interval_usec > 0). */
struct actor_load {
        uint32_t begun;    /* messages of the mailbox that are begun and not done */
        uint32_t own;      /* what the actor itself has added */
        uint64_t done;
        bool draining;     /* there is to be no new work */
        /* The last handler took longer than the interval: what has come meanwhile is read, and counted,
         * before the next one is entered. */
        bool blocks;
        usec_t entered; /* the handler; 0: of a message that is not counted */
        usec_t interval_usec, patience_usec;
        usec_t since;      /* up to here the two sums are made */
        uint64_t busy_usec; /* with a message begun */
        uint64_t work_usec; /* of all messages, queued or begun, together */
        struct load_told {
                usec_t usec;
                uint64_t queued, done;
                uint32_t begun;
                bool draining;
        } told;
        arbiter_drain_handler_t drain_handler;
        void *drain_userdata;
};

void load_init(arbiter_actor *a);
/* Is there a caller who waits for an answer to what is begun? */
bool load_owes_answers(const arbiter_actor *a);
/* A message of the mailbox is begun; it is done, whatever way: each once. */
void load_begun(arbiter_actor *a, struct incoming *i);
/* Its handler has returned, whether it is done or not. */
void load_returned(arbiter_actor *a);
void load_done(struct incoming *i);
/* The queue gets longer or shorter next. */
void load_queue_changes(arbiter_actor *a);
/* Now, if its arbiter wants to know at all. */
void load_tell(arbiter_actor *a);
/* At the end of a turn. */
void load_turn_end(arbiter_actor *a);
/* Its arbiter's signal "load". */
int load_handle_asked(arbiter_actor *a, arbiter_message *m);
