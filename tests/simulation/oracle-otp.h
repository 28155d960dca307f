/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What OTP's supervisor does, told from its documentation (supervisor(3), "OTP Design Principles", 5), and
 * not from src/supervise, with which it shares the vocabulary alone. It is naive: children are an array in
 * start order, all failures are kept and counted anew each time, and after each event the whole array is
 * searched for what is to be done next.
 *
 * OTP's supervisor is one process that blocks while a child starts or stops; whatever happens meanwhile
 * waits in its mailbox. A monitor never blocks. Hence the deliberate differences, each an option here, with
 * what OTP does if it is off. `differed` says which of them a history has come across: a history that has
 * come across none is OTP's, decision by decision. */

#include "supervise/supervise.h"

#define OTP_CHILDREN 16U
#define OTP_FAILURES 400U
#define OTP_DECISIONS 64U

enum {
        /* A child that an operator stopped stays down when a group restarts. OTP: terminate_child/2 leaves
         * a child like any other that has ended, and the group's restart starts it again. */
        OTP_HELD_STAY_DOWN = 1 << 0,
        /* What happens while somebody starts or stops is judged at once: a failure is counted, and its
         * strategy is carried out from the earlier of the two; a verb is done. OTP: the supervisor is
         * blocked, and it waits in its mailbox (-EAGAIN: again, later). */
        OTP_NEVER_BUSY = 1 << 1,
        /* A child that was added or restarted by hand and does not start has failed: it is counted, and
         * tried again. OTP: start_child/2 forgets it, restart_child/2 leaves it down. */
        OTP_FIRST_FAILURES_COUNT = 1 << 2,
        /* A restart waits (Akka's backoff, policy.backoff_min = _max here), and its group is stopped at
         * once, not when the wait is over. OTP: no backoff. */
        OTP_BACKOFF = 1 << 3,
        /* RESTART_CHILD and REMOVE_CHILD stop one who lives, START starts all who do not run. OTP: the first
         * two are refused, the third is not there. */
        OTP_VERBS_DO_ALL = 1 << 4,
};
#define OTP_ARBITER                                                                                         \
        (OTP_HELD_STAY_DOWN | OTP_NEVER_BUSY | OTP_FIRST_FAILURES_COUNT | OTP_BACKOFF | OTP_VERBS_DO_ALL)

struct otp_child {
        uint32_t slot;
        supervise_slot_state state;
        supervise_restart restart;
        bool significant;
        nsec_t shutdown, since, until;
        uint64_t generation;
        enum { THEN_REST, THEN_START, THEN_HOLD, THEN_FORGET } then; /* after the stop */
        bool comes_down; /* the strategy stops it before it starts anybody */
        bool first;      /* its first start since the set's has had no outcome */
        bool by_hand;    /* it was added, or restarted by an operator, and has not started since */
        bool at_once;    /* the next restart does not wait */
};

struct otp {
        unsigned options, differed;
        supervise_policy policy;
        supervise_phase phase;
        supervise_action_type last_word;
        uint32_t culprit;
        uint64_t generation, life;
        bool starting;
        nsec_t now, failures[OTP_FAILURES];
        unsigned n_failures, n;
        struct otp_child children[OTP_CHILDREN]; /* in start order */
        supervise_action decisions[OTP_DECISIONS]; /* that the set must tell, in this order */
        unsigned n_decisions, n_any_order; /* the first of them, after a crash */
};

void otp_init(struct otp *o, const supervise_policy *policy, unsigned options);
/* What supervise_handle() must return; `slot` is what it did return for ADD_CHILD, the number is its own. */
int otp_handle(struct otp *o, const supervise_event *e, uint32_t slot, nsec_t now);
/* The arbiter has died, and its successor goes by what is written: the decisions that it may tell anew. */
void otp_resume(struct otp *o);
/* Whether the set may tell this now; it is crossed out. */
bool otp_expects(struct otp *o, const supervise_action *a);
/* Whether that is what the parent of a set, the child in `slot`, must hear. */
bool otp_is_said_by(const supervise_event *e, const supervise_action *of, uint32_t slot);
unsigned otp_n_leaving(const struct otp *o);
/* For what time the timer must be armed. */
nsec_t otp_due(const struct otp *o);
