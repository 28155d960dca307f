/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of include/arbiter/error.h: outcomes and reasons as strings, error names and errnos. Called
 * from everywhere; pure. A value from outside may be any number: unknown ones are answered, never trusted
 * as an index. */

#include <arbiter/error.h>

#include "wire/message.h"

#define ERROR_PREFIX "io.arbiter.Arbiter1.Error."

static const struct outcome_info {
        const char *string, *error_name;
        int error;
        arbiter_executed executed;
} outcomes[] = {
                [ARBITER_OUTCOME_REPLY] = {"reply", NULL, 0, ARBITER_EXECUTED_YES},
                [ARBITER_OUTCOME_APPLICATION_ERROR] = {"application-error", ERROR_PREFIX "ApplicationError",
                                -EREMOTEIO, ARBITER_EXECUTED_YES},
                [ARBITER_OUTCOME_NOPROC] = {"noproc", ERROR_PREFIX "NoProc", -ESRCH, ARBITER_EXECUTED_NO},
                [ARBITER_OUTCOME_OVERLOAD] = {"overload", ERROR_PREFIX "Overload", -ENOBUFS,
                                ARBITER_EXECUTED_NO},
                [ARBITER_OUTCOME_EXPIRED] = {"expired", ERROR_PREFIX "Expired", -ETIMEDOUT,
                                ARBITER_EXECUTED_NO},
                [ARBITER_OUTCOME_RESTARTING] = {"restarting", ERROR_PREFIX "Restarting", -EAGAIN,
                                ARBITER_EXECUTED_NO},
                [ARBITER_OUTCOME_DENIED] = {"denied", ERROR_PREFIX "Denied", -EACCES, ARBITER_EXECUTED_NO},
                [ARBITER_OUTCOME_UNKNOWN_COMMAND] = {"unknown-command", ERROR_PREFIX "UnknownCommand",
                                -ENOENT, ARBITER_EXECUTED_NO},
                [ARBITER_OUTCOME_BAD_ARGUMENTS] = {"bad-arguments", ERROR_PREFIX "BadArguments", -EINVAL,
                                ARBITER_EXECUTED_NO},
                [ARBITER_OUTCOME_DEADLOCK] = {"deadlock", ERROR_PREFIX "Deadlock", -EDEADLK,
                                ARBITER_EXECUTED_NO},
                [ARBITER_OUTCOME_TIMEOUT] = {"timeout", ERROR_PREFIX "Timeout", -ETIMEDOUT,
                                ARBITER_EXECUTED_MAYBE},
                [ARBITER_OUTCOME_CANCELLED] = {"cancelled", ERROR_PREFIX "Cancelled", -ECANCELED,
                                ARBITER_EXECUTED_MAYBE},
                [ARBITER_OUTCOME_CALLEE_DIED] = {"callee-died", ERROR_PREFIX "CalleeDied", -EOWNERDEAD,
                                ARBITER_EXECUTED_MAYBE},
                [ARBITER_OUTCOME_NO_CONNECTION] = {"no-connection", ERROR_PREFIX "NoConnection", -ECONNRESET,
                                ARBITER_EXECUTED_MAYBE},
                [ARBITER_OUTCOME_BROKEN_PROMISE] = {"broken-promise", ERROR_PREFIX "BrokenPromise", -EPIPE,
                                ARBITER_EXECUTED_MAYBE},
                [ARBITER_OUTCOME_BREAKER_OPEN] = {"breaker-open", ERROR_PREFIX "BreakerOpen", -EHOSTDOWN,
                                ARBITER_EXECUTED_NO},
};

static const struct outcome_info *outcome_info(arbiter_outcome outcome) {
        return (size_t) outcome < ELEMENTSOF(outcomes) ? &outcomes[outcome] : NULL;
}

_public_ const char *arbiter_outcome_to_string(arbiter_outcome outcome) {
        const struct outcome_info *o = outcome_info(outcome);

        return o ? o->string : NULL;
}

/* What is unknown may have run: only a sure "no" lets the caller send again. */
_public_ arbiter_executed arbiter_outcome_executed(arbiter_outcome outcome) {
        const struct outcome_info *o = outcome_info(outcome);

        return o ? o->executed : ARBITER_EXECUTED_MAYBE;
}

_public_ int arbiter_outcome_to_errno(arbiter_outcome outcome) {
        const struct outcome_info *o = outcome_info(outcome);

        return o ? o->error : -EPROTO;
}

const char *outcome_to_error_name(arbiter_outcome outcome) {
        const struct outcome_info *o = outcome_info(outcome);

        return o ? o->error_name : NULL;
}

static const char *const reasons[] = {
        [ARBITER_REASON_NORMAL] = "normal",
        [ARBITER_REASON_SHUTDOWN] = "shutdown",
        [ARBITER_REASON_KILLED] = "killed",
        [ARBITER_REASON_EXIT_CODE] = "exit-code",
        [ARBITER_REASON_SIGNAL] = "signal",
        [ARBITER_REASON_CORE_DUMP] = "core-dump",
        [ARBITER_REASON_OOM_KILL] = "oom-kill",
        [ARBITER_REASON_WATCHDOG] = "watchdog",
        [ARBITER_REASON_START_TIMEOUT] = "start-timeout",
        [ARBITER_REASON_STOP_TIMEOUT] = "stop-timeout",
        [ARBITER_REASON_SILENT] = "silent",
        [ARBITER_REASON_HANDSHAKE] = "handshake",
        [ARBITER_REASON_NOPROC] = "noproc",
        [ARBITER_REASON_NO_CONNECTION] = "no-connection",
        [ARBITER_REASON_UNKNOWN] = "unknown",
        [ARBITER_REASON_UNHEALTHY] = "unhealthy",
};

_public_ const char *arbiter_reason_to_string(arbiter_reason reason) {
        return (size_t) reason < ELEMENTSOF(reasons) ? reasons[reason] : NULL;
}

_public_ int arbiter_reason_from_string(const char *s, arbiter_reason *ret) {
        for (size_t i = 0; i < ELEMENTSOF(reasons); i++)
                if (streq(s, reasons[i])) {
                        *ret = (arbiter_reason) i;
                        return 0;
                }
        return -EINVAL;
}

_public_ bool arbiter_reason_is_normal(arbiter_reason reason, int status) {
        return reason == ARBITER_REASON_NORMAL || reason == ARBITER_REASON_SHUTDOWN ||
                        (reason == ARBITER_REASON_EXIT_CODE && status == 0);
}
