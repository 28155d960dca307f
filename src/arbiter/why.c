/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What somebody waits for, in words for people: see why.h. Called by control-why.c. A sentence never claims
 * what is not known: whether failures were alike, how long it took. Reads no clock. */

#include <signal.h>
#include <stdio.h>

#include "arbiter/why.h"

const char *why_kind_to_string(enum why_kind kind) {
        static const char *const names[_WHY_KIND_MAX] = {
                [WHY_NOTHING] = "nothing",       [WHY_HANDSHAKE] = "handshake",
                [WHY_START_HOOK] = "start-hook", [WHY_READY] = "ready",
                [WHY_PROBE] = "probe",           [WHY_READINESS] = "readiness",
                [WHY_UNIT] = "unit",             [WHY_HOST] = "host",
                [WHY_BACKOFF] = "backoff",       [WHY_INTENSITY] = "intensity",
                [WHY_STOPPED] = "stopped",       [WHY_STOP] = "stop",
                [WHY_KILL] = "kill",             [WHY_SETTLING] = "settling",
                [WHY_DRAIN] = "drain",           [WHY_TURN] = "turn",
        };

        return (unsigned) kind < _WHY_KIND_MAX ? names[kind] : NULL;
}

enum { FAILURES_SIZE = 512 };
struct part { /* a word or two */
        char s[TIMESPAN_STRING_MAX];
};
struct clause { /* and a part in it */
        char s[192];
};

static struct part span(usec_t t) {
        struct part p;

        if (t < 60 * USEC_PER_SEC)
                (void) snprintf(p.s, sizeof(p.s), "%.1f s", (double) t / (double) USEC_PER_SEC);
        else
                (void) format_timespan(p.s, sizeof(p.s), t / USEC_PER_SEC * USEC_PER_SEC);
        return p;
}

/* A limit as it was written: "10 s", not "10.0 s". */
static struct part limit(usec_t t) {
        struct part p;

        if (t < 60 * USEC_PER_SEC)
                (void) snprintf(p.s, sizeof(p.s), "%g s", (double) t / (double) USEC_PER_SEC);
        else
                (void) format_timespan(p.s, sizeof(p.s), t);
        return p;
}

static struct part times(uint32_t n) {
        static const char *const words[] = { "never", "once",      "twice",       "three times",
                                             "four times", "five times", "six times", "seven times",
                                             "eight times", "nine times", "ten times" };
        struct part p;

        if (n < ELEMENTSOF(words))
                (void) snprintf(p.s, sizeof(p.s), "%s", words[n]);
        else
                (void) snprintf(p.s, sizeof(p.s), "%u times", n);
        return p;
}

static struct part signal_name(int signo) {
        const char *name = sigabbrev_np(signo);
        struct part p;

        if (name)
                (void) snprintf(p.s, sizeof(p.s), "SIG%s", name);
        else
                (void) snprintf(p.s, sizeof(p.s), "signal %d", signo);
        return p;
}

/* "243/CREDENTIALS": what systemd could not do before the program, as systemctl shows it. */
static struct part exit_status(int status) {
        static const char *const names[] = {
                "CHDIR", "NICE", "FDS", "EXEC", "MEMORY", "LIMITS", "OOM_ADJUST", "SIGNAL_MASK", "STDIN",
                "STDOUT", "CHROOT", "IOPRIO", "TIMERSLACK", "SECUREBITS", "SETSCHEDULER", "CPUAFFINITY",
                "GROUP", "USER", "CAPABILITIES", "CGROUP", "SETSID", "CONFIRM", "STDERR", NULL, "PAM",
                "NETWORK", "NAMESPACE", "NO_NEW_PRIVILEGES", "SECCOMP", "SELINUX_CONTEXT", "PERSONALITY",
                "APPARMOR", "ADDRESS_FAMILIES", "RUNTIME_DIRECTORY", NULL, "CHOWN", "SMACK_PROCESS_LABEL",
                "KEYRING", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY",
                "NUMA_POLICY", "CREDENTIALS", "BPF",
        };
        size_t i = status >= 200 ? (size_t) status - 200 : ELEMENTSOF(names);
        const char *name = i < ELEMENTSOF(names) ? names[i] : NULL;
        struct part p;

        (void) snprintf(p.s, sizeof(p.s), "%d%s%s", status, name ? "/" : "", name ? name : "");
        return p;
}

static struct clause how_it_ended(arbiter_reason reason, int status) {
        static const char *const texts[] = {
                [ARBITER_REASON_NORMAL] = "it ended by itself",
                [ARBITER_REASON_SHUTDOWN] = "it was stopped",
                [ARBITER_REASON_KILLED] = "it was killed on request",
                [ARBITER_REASON_OOM_KILL] = "the kernel killed it for want of memory",
                [ARBITER_REASON_WATCHDOG] = "its watchdog timed out",
                [ARBITER_REASON_START_TIMEOUT] = "it was not running within its start timeout",
                [ARBITER_REASON_STOP_TIMEOUT] = "it did not stop within its stop timeout",
                [ARBITER_REASON_SILENT] = "it gave no sign of life",
                [ARBITER_REASON_HANDSHAKE] = "its start failed",
                [ARBITER_REASON_NOPROC] = "it was gone",
                [ARBITER_REASON_NO_CONNECTION] = "it closed its connection to the arbiter",
                [ARBITER_REASON_UNKNOWN] = "it ended in a way that is not known",
                [ARBITER_REASON_UNHEALTHY] = "its probe found it unhealthy",
        };
        const char *text = (size_t) reason < ELEMENTSOF(texts) ? texts[reason] : NULL;
        struct clause p;

        if (reason == ARBITER_REASON_EXIT_CODE)
                (void) snprintf(p.s, sizeof(p.s), "it exited with status %s", exit_status(status).s);
        else if (reason == ARBITER_REASON_SIGNAL)
                (void) snprintf(p.s, sizeof(p.s), "it was killed by %s", signal_name(status).s);
        else if (reason == ARBITER_REASON_CORE_DUMP)
                (void) snprintf(p.s, sizeof(p.s), "it crashed with %s", signal_name(status).s);
        else
                (void) snprintf(p.s, sizeof(p.s), "%s",
                                text ? text : "how its last life ended is not known");
        return p;
}

/* The failures: "it exited with status 1 four times in 10 s". */
static void format_failures(const struct why *w, char *buffer, size_t size) {
        struct clause how = how_it_ended(w->reason, w->status);

        if (!w->ended)
                (void) snprintf(buffer, size, "how its last life ended is not known");
        else if (w->attempts <= 1)
                (void) snprintf(buffer, size, "%s", how.s);
        else if (w->alike >= w->attempts)
                (void) snprintf(buffer, size, "%s %s in %s", how.s, times(w->attempts).s,
                                limit(w->period).s);
        else
                (void) snprintf(buffer, size, "it failed %s in %s, and the last time %s",
                                times(w->attempts).s, limit(w->period).s, how.s);
        if (w->ended && w->reason == ARBITER_REASON_HANDSHAKE) {
                size_t n = strlen(buffer);

                (void) snprintf(buffer + n, size - n, " (\"arbiterctl log %s\" says why)", w->name);
        }
}

/* ", 2.0 s ago" */
static struct clause ago(const struct why *w) {
        struct clause p = {};

        if (w->since > 0)
                (void) snprintf(p.s, sizeof(p.s), " %s ago",
                                span(w->now > w->since ? w->now - w->since : 0).s);
        return p;
}

/* "; it has 3.0 s more" */
static struct clause left(const struct why *w, const char *format) {
        struct clause p = {};

        if (w->until > 0)
                (void) snprintf(p.s, sizeof(p.s), format,
                                span(w->until > w->now ? w->until - w->now : 0).s);
        return p;
}

static void format_starting(const struct why *w, char *buffer, size_t size) {
        static const char *const what[_WHY_KIND_MAX] = {
                [WHY_HANDSHAKE] = "has not said hello to the arbiter yet",
                [WHY_START_HOOK] = "is in its start hook",
                [WHY_READY] = "has not sent READY=1 yet",
                [WHY_UNIT] = "waits for systemd to start its unit",
                [WHY_HOST] = "waits for the process that its thread is to live in",
        };

        (void) snprintf(buffer, size, "%s is starting: it was begun%s and %s%s.", w->name, ago(w).s,
                        what[w->kind], left(w, "; its start is given up in %s").s);
}

static void format_probe(const struct why *w, char *buffer, size_t size) {
        const char *said = w->probe && *w->probe ? w->probe : NULL;

        if (w->kind == WHY_PROBE)
                (void) snprintf(buffer, size,
                                "%s is starting: its start probe was begun%s and has not passed yet%s%s%s.",
                                w->name, ago(w).s, said ? "; it said last: " : "", said ? said : "",
                                left(w, "; its start is given up in %s").s);
        else
                (void) snprintf(buffer, size, "%s runs, but is not ready%s%s.", w->name,
                                said ? ": its readiness probe says: "
                                     : ": its readiness probe has not passed yet",
                                said ? said : "");
}

static void format_draining(const struct why *w, char *buffer, size_t size) {
        (void) snprintf(buffer, size,
                        "%s is about to be stopped: it has no new work any more, and finishes what it has "
                        "begun%s.",
                        w->name, left(w, ", for which it has %s more").s);
}

static void format_stopping(const struct why *w, char *buffer, size_t size) {
        if (w->kind == WHY_KILL && w->stuck)
                (void) snprintf(buffer, size,
                                "%s does not end, and a thread cannot be killed: it stays until its process "
                                "ends.",
                                w->name);
        else if (w->kind == WHY_KILL)
                (void) snprintf(buffer, size, "%s was killed%s, and its end has not come yet.", w->name,
                                ago(w).s);
        else if (w->is_monitor)
                (void) snprintf(buffer, size, "%s is stopping: its %s are ending.", w->name,
                                w->is_tree ? "children" : "workers");
        else
                (void) snprintf(buffer, size, "%s is stopping: it was %s%s%s.", w->name,
                                w->signaled ? "sent its stop signal" : "asked to", ago(w).s,
                                left(w, w->signaled ? ", and is killed in %s if it does not end"
                                                    : ", and has %s more").s);
}

static void format_turn(const struct why *w, char *buffer, size_t size) {
        if (!w->other)
                (void) snprintf(buffer, size, "%s waits for its turn to start.", w->name);
        else if (w->other_stops)
                (void) snprintf(buffer, size, "%s waits for its turn to start: first %s has to be down.",
                                w->name, w->other);
        else
                (void) snprintf(buffer, size,
                                "%s waits for its turn to start: %s comes before it, and does not run yet.",
                                w->name, w->other);
}

static void format_failed_tree(const struct why *w, char *buffer, size_t size) {
        const char *culprit = w->other ? w->other : "a child of it";
        char how[FAILURES_SIZE];

        if (w->unstarted)
                (void) snprintf(how, sizeof(how), "%s did not start (\"arbiterctl log %s\" says more)",
                                culprit, w->other ? w->other : w->name);
        else
                (void) snprintf(how, sizeof(how),
                                "its children ended too often, %s at last, and %u restart%s of them in %s "
                                "%s allowed",
                                culprit, w->intensity, w->intensity == 1 ? "" : "s", limit(w->period).s,
                                w->intensity == 1 ? "is" : "are");
        (void) snprintf(buffer, size,
                        "%s has failed%s: %s. Once that is mended, \"arbiterctl restart %s\" tries again.",
                        w->name, ago(w).s, how, w->name);
}

static void format_given_up(const struct why *w, char *buffer, size_t size) {
        char failures[FAILURES_SIZE], allowed[2 * TIMESPAN_STRING_MAX] = "";

        if (w->is_tree) {
                format_failed_tree(w, buffer, size);
                return;
        }
        if (w->is_monitor) {
                (void) snprintf(buffer, size,
                                "%s has given up%s: no worker is left. Once what makes them fail is mended, "
                                "\"arbiterctl restart %s\" tries again.",
                                w->name, ago(w).s, w->name);
                return;
        }
        format_failures(w, failures, sizeof(failures));
        if (w->intensity != UINT32_MAX && w->intensity > 0)
                (void) snprintf(allowed, sizeof(allowed), ", and %u restart%s in %s %s allowed",
                                w->intensity, w->intensity == 1 ? "" : "s", limit(w->period).s,
                                w->intensity == 1 ? "is" : "are");
        (void) snprintf(buffer, size,
                        "%s was given up%s: %s%s. Once that is mended, \"arbiterctl restart %s\" tries "
                        "again.",
                        w->name, ago(w).s, failures, allowed, w->name);
}

static void format_settling(const struct why *w, char *buffer, size_t size) {
        (void) snprintf(buffer, size, "%s has %u of %u %s running", w->name, w->running, w->wanted,
                        w->is_tree ? "children" : "workers");
        if (w->backoff > 0) {
                size_t n = strlen(buffer);

                (void) snprintf(buffer + n, size - n, "; %u %s for the next start%s", w->backoff,
                                w->backoff == 1 ? "waits" : "wait", left(w, ", the first in %s").s);
        }
        if (strlen(buffer) + 1 < size)
                memcpy(buffer + strlen(buffer), ".", 2);
}

static void format_nothing(const struct why *w, char *buffer, size_t size) {
        if (w->empty && w->ended)
                (void) snprintf(buffer, size, "%s is not running, and waits for nothing: %s.", w->name,
                                how_it_ended(w->reason, w->status).s);
        else if (w->empty)
                (void) snprintf(buffer, size, "%s has not been started, and waits for nothing.", w->name);
        else
                (void) snprintf(buffer, size, "%s is %s, and waits for nothing.", w->name, w->state);
}

void why_format(const struct why *w, char *buffer, size_t size) {
        char failures[FAILURES_SIZE];

        switch (w->kind) {
        case WHY_HANDSHAKE:
        case WHY_START_HOOK:
        case WHY_READY:
        case WHY_UNIT:
        case WHY_HOST:
                format_starting(w, buffer, size);
                break;
        case WHY_PROBE:
        case WHY_READINESS:
                format_probe(w, buffer, size);
                break;
        case WHY_DRAIN:
                format_draining(w, buffer, size);
                break;
        case WHY_BACKOFF:
                format_failures(w, failures, sizeof(failures));
                (void) snprintf(buffer, size, "%s waits %s before its next start: %s.", w->name,
                                left(w, "%s more").s, failures);
                break;
        case WHY_INTENSITY:
                format_given_up(w, buffer, size);
                break;
        case WHY_STOPPED:
                (void) snprintf(buffer, size,
                                "%s was stopped by an operator%s. \"arbiterctl restart %s\" starts it.",
                                w->name, ago(w).s, w->name);
                break;
        case WHY_STOP:
        case WHY_KILL:
                format_stopping(w, buffer, size);
                break;
        case WHY_TURN:
                format_turn(w, buffer, size);
                break;
        case WHY_SETTLING:
                format_settling(w, buffer, size);
                break;
        default:
                format_nothing(w, buffer, size);
        }
}
