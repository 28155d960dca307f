/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_ERROR_H
#define ARBITER_ERROR_H

#include <arbiter/_common.h>

ARBITER_BEGIN_DECLARATIONS

/* The one outcome of a request. Values are part of the wire format. */
typedef enum arbiter_outcome {
        ARBITER_OUTCOME_REPLY = 0,
        /* the handler failed; the message holds its error name and text */
        ARBITER_OUTCOME_APPLICATION_ERROR = 1,
        /* not executed */
        ARBITER_OUTCOME_NOPROC = 2,     /* no such actor, or that life is over */
        ARBITER_OUTCOME_OVERLOAD = 3,   /* the mailbox granted no more credit, or a quota is used up */
        ARBITER_OUTCOME_EXPIRED = 4,    /* the deadline passed before the receiver began */
        ARBITER_OUTCOME_RESTARTING = 5, /* the name exists, its next life is not running yet */
        ARBITER_OUTCOME_DENIED = 6,
        ARBITER_OUTCOME_UNKNOWN_COMMAND = 7,
        ARBITER_OUTCOME_BAD_ARGUMENTS = 8,
        ARBITER_OUTCOME_DEADLOCK = 9, /* an exclusive command found its own actor in the call chain */
        /* unknown whether executed */
        ARBITER_OUTCOME_TIMEOUT = 10, /* the receiver had begun when the deadline passed */
        ARBITER_OUTCOME_CANCELLED = 11,
        ARBITER_OUTCOME_CALLEE_DIED = 12,   /* it had begun, and died before it answered */
        ARBITER_OUTCOME_NO_CONNECTION = 13, /* the link was lost, the callee may be alive */
        ARBITER_OUTCOME_BROKEN_PROMISE = 14, /* it will not answer; it may have run in part */
        /* not executed */
        ARBITER_OUTCOME_BREAKER_OPEN = 15 /* a circuit breaker leaves the callee alone: breaker.h */
} arbiter_outcome;

typedef enum arbiter_executed {
        ARBITER_EXECUTED_NO,
        ARBITER_EXECUTED_MAYBE,
        ARBITER_EXECUTED_YES
} arbiter_executed;

/* "noproc", "callee-died" ...: static strings; "reply" for ARBITER_OUTCOME_REPLY, NULL for an unknown
 * value. */
const char *arbiter_outcome_to_string(arbiter_outcome outcome);
/* May the handler have run? EXECUTED_NO means that it is safe to send the request again. */
arbiter_executed arbiter_outcome_executed(arbiter_outcome outcome);
/* The negative errno by which the blocking calls report an outcome: NOPROC -ESRCH, OVERLOAD -ENOBUFS,
 * EXPIRED and TIMEOUT -ETIMEDOUT, RESTARTING -EAGAIN, DENIED -EACCES, UNKNOWN_COMMAND -ENOENT,
 * BAD_ARGUMENTS -EINVAL, DEADLOCK -EDEADLK, CANCELLED -ECANCELED, CALLEE_DIED -EOWNERDEAD, NO_CONNECTION
 * -ECONNRESET, BROKEN_PROMISE -EPIPE, BREAKER_OPEN -EHOSTDOWN, APPLICATION_ERROR -EREMOTEIO. REPLY 0. */
int arbiter_outcome_to_errno(arbiter_outcome outcome);

/* Why an actor ended (a superset of systemd's SERVICE_RESULT). Values are part of the wire format. */
typedef enum arbiter_reason {
        ARBITER_REASON_NORMAL = 0,
        ARBITER_REASON_SHUTDOWN = 1,
        ARBITER_REASON_KILLED = 2,    /* by an explicit kill */
        ARBITER_REASON_EXIT_CODE = 3, /* status is the code */
        ARBITER_REASON_SIGNAL = 4,    /* status is the signal */
        ARBITER_REASON_CORE_DUMP = 5, /* status is the signal */
        ARBITER_REASON_OOM_KILL = 6,
        ARBITER_REASON_WATCHDOG = 7,
        ARBITER_REASON_START_TIMEOUT = 8,
        ARBITER_REASON_STOP_TIMEOUT = 9, /* it had to be killed */
        ARBITER_REASON_SILENT = 10,      /* no notify for its timeout */
        ARBITER_REASON_HANDSHAKE = 11,   /* it broke the handshake, or its start hook failed */
        ARBITER_REASON_NOPROC = 12,
        ARBITER_REASON_NO_CONNECTION = 13,
        ARBITER_REASON_UNKNOWN = 14,  /* status lost */
        ARBITER_REASON_UNHEALTHY = 15 /* its liveness probe failed; or its start probe did */
} arbiter_reason;

/* "normal", "exit-code", "oom-kill" ...: static strings, NULL for an unknown value. */
const char *arbiter_reason_to_string(arbiter_reason reason);
/* -EINVAL for a string that names no reason. */
int arbiter_reason_from_string(const char *s, arbiter_reason *ret);
/* True for normal and shutdown, and exit-code with status 0: what a transient actor is not restarted for. */
bool arbiter_reason_is_normal(arbiter_reason reason, int status);

ARBITER_END_DECLARATIONS

#endif
