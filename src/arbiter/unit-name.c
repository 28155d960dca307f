/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the units of actors are called, and what their ends mean: pure. Called by launch-unit.c and by the
 * spawn's setters. Must agree with systemd-escape(1) and with Result= in systemd.service(5). */

#include <signal.h>
#include <stdio.h>

#include "arbiter/units.h"

struct text {
        char *at, *end;
};

static void add(struct text *t, const char *s) {
        for (; *s && t->at < t->end; s++)
                *t->at++ = *s;
        if (*s)
                t->at = t->end;
}

static bool stays(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' ||
               c == '_' || c == '.';
}

/* As unit_name_escape() of systemd does it; "-" would be a slice in a slice. */
static void add_escaped(struct text *t, const char *s) {
        static const char digits[] = "0123456789abcdef";

        for (const char *p = s; *p; p++) {
                char escaped[] = {'\\', 'x', digits[(unsigned char)*p >> 4], digits[*p & 15], 0};
                char plain[] = {*p, 0};

                add(t, stays(*p) && !(p == s && *p == '.') ? plain : escaped);
        }
}

static int finish(struct text *t) {
        if (t->at >= t->end)
                return -ENAMETOOLONG;
        *t->at = 0;
        return 0;
}

static void begin(struct text *t, char *buffer, const char *instance) {
        *t = (struct text){ .at = buffer, .end = buffer + UNIT_NAME_SIZE };
        add(t, "arbiter-");
        add_escaped(t, instance);
}

int unit_name_of(const char *instance, const char *monitor, const char *name,
                char ret[static UNIT_NAME_SIZE]) {
        const char *number = monitor ? strrchr(name, '.') : NULL;
        struct text t;

        begin(&t, ret, instance);
        add(&t, "-");
        add_escaped(&t, monitor ? monitor : name);
        if (number) {
                add(&t, "-");
                add_escaped(&t, number + 1);
        }
        add(&t, ".service");
        return finish(&t);
}

int unit_slice_of(const char *instance, const char *monitor, char ret[static UNIT_NAME_SIZE]) {
        struct text t;

        begin(&t, ret, instance);
        if (monitor) {
                add(&t, "-");
                add_escaped(&t, monitor);
        }
        add(&t, ".slice");
        return finish(&t);
}

int unit_instance_of(const char *template, const char *instance, char ret[static UNIT_NAME_SIZE]) {
        const char *at = strchr(template, '@');
        int n;

        if (!at)
                return -EINVAL;
        n = snprintf(ret, UNIT_NAME_SIZE, "%.*s@%s%s", (int) (at - template), template, instance, at + 1);
        return n < 0 || n >= UNIT_NAME_SIZE ? -ENAMETOOLONG : 0;
}

/* Of how its main process ended. */
static arbiter_reason reason_of_process(const struct unit_end *e) {
        switch (e->code) {
        case CLD_EXITED:
                return e->status == 0 ? ARBITER_REASON_NORMAL : ARBITER_REASON_EXIT_CODE;
        case CLD_DUMPED:
                return ARBITER_REASON_CORE_DUMP;
        case CLD_KILLED:
                return ARBITER_REASON_SIGNAL;
        default:
                return ARBITER_REASON_UNKNOWN;
        }
}

static const struct {
        const char *result;
        arbiter_reason reason;
} results[] = {
        { "watchdog", ARBITER_REASON_WATCHDOG },
        { "oom-kill", ARBITER_REASON_OOM_KILL },
        /* systemd could not begin, or the program did not do what its Type= says */
        { "resources", ARBITER_REASON_HANDSHAKE },
        { "protocol", ARBITER_REASON_HANDSHAKE },
        { "start-limit-hit", ARBITER_REASON_HANDSHAKE },
        { "exec-condition", ARBITER_REASON_HANDSHAKE },
};

arbiter_reason unit_reason_of(const struct unit_end *e, bool running, bool stopping, int *ret_status) {
        *ret_status = e->status;
        for (size_t i = 0; i < ELEMENTSOF(results); i++)
                if (streq(e->result, results[i].result))
                        return results[i].reason;
        if (streq(e->result, "timeout"))
                return stopping  ? ARBITER_REASON_STOP_TIMEOUT
                       : running ? ARBITER_REASON_KILLED /* RuntimeMaxSec= */
                                 : ARBITER_REASON_START_TIMEOUT;
        /* "success" is also what SuccessExitStatus= says of a code, and the end by SIGTERM: the facts
         * count */
        return reason_of_process(e);
}
