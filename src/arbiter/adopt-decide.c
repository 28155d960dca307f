/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decisions of a re-adoption, one life at a time: see adopt-decide.h. Called by adopt-child.c. Must
 * never look at anything but its arguments.
 *
 * What they rest on. An entry is in the journal before anything is done for it; the leaf is made before the
 * process, and the process is in it from its first instruction; its descriptors are handed to the keeper as
 * soon as there are any, but the arbiter may have died before that. What runs without a way to reach it is
 * ended: nothing goes on unsupervised, and nothing runs twice. */

#include "arbiter/adopt-decide.h"

static struct adopt_decision plainly(enum adopt_verdict verdict) {
        return (struct adopt_decision){ .verdict = verdict, .reason = ARBITER_REASON_NORMAL };
}

/* A start that nobody can finish has failed; of a life that ran we have lost hold, or word. */
static struct adopt_decision because(enum adopt_verdict verdict, const struct adopt_facts *f) {
        return (struct adopt_decision){
                .verdict = verdict,
                .reason = f->state == ARBITER_STATE_STARTING ? ARBITER_REASON_HANDSHAKE
                        : verdict == ADOPT_KILL              ? ARBITER_REASON_NO_CONNECTION
                                                             : ARBITER_REASON_UNKNOWN,
        };
}

/* It cannot be told from one that runs, or has run, unless there are cgroups, which remember. */
static bool may_be_started(const struct adopt_facts *f) {
        return f->has_place && f->state == ARBITER_STATE_STARTING && !f->launched &&
               f->leaf == ADOPT_LEAF_GONE;
}

static struct adopt_decision decide_process(const struct adopt_facts *f) {
        switch (f->process) {
        case ADOPT_PROCESS_DEAD:
                return plainly(ADOPT_BURY);
        case ADOPT_PROCESS_LIVES:
                if (f->mailbox ? f->link == ADOPT_LINK_LOST : f->needs_notify && !f->has_notify)
                        return because(ADOPT_KILL, f);
                return plainly(ADOPT_RESUME); /* of a closed link its end is on the way, or is made */
        default:
                if (f->leaf == ADOPT_LEAF_POPULATED)
                        return because(ADOPT_KILL, f);
                return may_be_started(f) ? plainly(ADOPT_START) : because(ADOPT_END, f);
        }
}

/* One whose link was not kept sees the end of it, and ends by itself. */
static struct adopt_decision decide_thread(const struct adopt_facts *f) {
        bool unheard_of = f->has_place && f->state == ARBITER_STATE_STARTING && f->link == ADOPT_LINK_LOST;

        if (!f->has_host)
                return unheard_of ? plainly(ADOPT_START) : because(ADOPT_END, f);
        if (!f->host_lives)
                return plainly(ADOPT_BURY);
        if (f->link == ADOPT_LINK_LOST)
                return because(ADOPT_END, f);
        if (f->link == ADOPT_LINK_CLOSED && f->state == ARBITER_STATE_STARTING)
                return plainly(ADOPT_REHOST);
        return plainly(ADOPT_RESUME);
}

/* Whether there is such a unit at all is asked later. One that has not been started yet needs no link: it
 * gets one when it is. */
static struct adopt_decision decide_unit(const struct adopt_facts *f) {
        if (f->mailbox && f->link == ADOPT_LINK_LOST && f->state != ARBITER_STATE_STARTING)
                return because(ADOPT_KILL, f);
        return plainly(ADOPT_RESUME);
}

struct adopt_decision adopt_decide(const struct adopt_facts *f) {
        switch (f->kind) {
        case ADOPT_PROCESS:
                return decide_process(f);
        case ADOPT_THREAD:
                return decide_thread(f);
        case ADOPT_UNIT:
                return decide_unit(f);
        default:
                return (struct adopt_decision){ .verdict = ADOPT_END, .reason = ARBITER_REASON_KILLED };
        }
}
