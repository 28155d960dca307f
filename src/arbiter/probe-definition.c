/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes as they are defined: the public functions of include/arbiter/probe.h but the one that changes what
 * runs. Checks each text as it will be used, with a sample for the actor's name. Asks nobody anything.
 * Called by the program, and by spawn.c. */

#include <stdio.h>

#include "arbiter/internal.h"
#include "arbiter/probes.h"

#define SAMPLE_NAME "a.1"
#define ARGUMENTS_MAX 1024

static const char *const kinds[] = {
        [ARBITER_PROBE_START] = "start",
        [ARBITER_PROBE_READINESS] = "readiness",
        [ARBITER_PROBE_LIVENESS] = "liveness",
};

_public_ const char *arbiter_probe_kind_to_string(arbiter_probe_kind kind) {
        return (unsigned) kind < ELEMENTSOF(kinds) ? kinds[kind] : NULL;
}

static int complain(char **ret_text, int error, const char *text) {
        if (ret_text)
                *ret_text = strdup(text);
        return error;
}

static int expand(const char *s, char ret[static PROBE_TARGET_TEXT_MAX], char **ret_text) {
        int r = probe_expand(s, SAMPLE_NAME, ret);

        if (r == -E2BIG)
                return complain(ret_text, -EINVAL, "it is too long");
        if (r < 0)
                return complain(ret_text, -EINVAL,
                                "it has a % that starts no specifier: known are %n %N %i, and %% is a "
                                "percent sign");
        return 0;
}

static int new_probe(enum probe_how how, arbiter_probe **ret) {
        arbiter_probe *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->n_ref = 1;
        p->how = how;
        *ret = p;
        return 0;
}

_public_ int arbiter_probe_new_exec(const char *const *argv, arbiter_probe **ret, char **ret_text) {
        _cleanup_(arbiter_probe_unrefp) arbiter_probe *p = NULL;
        char text[PROBE_TARGET_TEXT_MAX];
        size_t n = 0;
        int r;

        if (!argv || !argv[0] || !ret)
                return -EINVAL;
        if (argv[0][0] != '/')
                return complain(ret_text, -EINVAL, "its program is no absolute path");
        for (; argv[n]; n++) {
                r = n >= ARGUMENTS_MAX ? complain(ret_text, -EINVAL, "it has too many arguments")
                                       : expand(argv[n], text, ret_text);
                if (r < 0)
                        return r;
        }
        r = new_probe(PROBE_EXEC, &p);
        if (r < 0)
                return r;
        p->argv = calloc(n + 1, sizeof(*p->argv));
        if (!p->argv)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                p->argv[i] = strdup(argv[i]);
                if (!p->argv[i])
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(p);
        return 0;
}

static int new_target(enum probe_how how, const char *target, arbiter_probe **ret) {
        _cleanup_(arbiter_probe_unrefp) arbiter_probe *p = NULL;
        int r;

        r = new_probe(how, &p);
        if (r < 0)
                return r;
        p->target = strdup(target);
        if (!p->target)
                return -ENOMEM;
        *ret = TAKE_PTR(p);
        return 0;
}

_public_ int arbiter_probe_new_tcp(const char *address, arbiter_probe **ret, char **ret_text) {
        char text[PROBE_TARGET_TEXT_MAX];
        struct probe_address a;
        const char *why;
        int r;

        if (!address || !ret)
                return -EINVAL;
        r = expand(address, text, ret_text);
        if (r < 0)
                return r;
        r = probe_parse_address(text, &a, &why);
        if (r < 0 && r != -ENODEV) /* the interface may come yet */
                return complain(ret_text, -EINVAL, why);
        return new_target(PROBE_TCP, address, ret);
}

_public_ int arbiter_probe_new_http(
                const char *url, const char *host, arbiter_probe **ret, char **ret_text) {
        _cleanup_(arbiter_probe_unrefp) arbiter_probe *p = NULL;
        char text[PROBE_TARGET_TEXT_MAX];
        struct probe_url u;
        const char *why;
        int r;

        if (!url || !ret)
                return -EINVAL;
        r = expand(url, text, ret_text);
        if (r < 0)
                return r;
        r = probe_parse_url(text, &u, &why);
        if (r < 0 && r != -ENODEV)
                return complain(ret_text, -EINVAL, why);
        r = host ? expand(host, text, ret_text) : 0;
        if (r < 0)
                return r;
        if (host && !probe_host_is_valid(text))
                return complain(ret_text, -EINVAL, "the header Host cannot hold that name");
        r = new_target(PROBE_HTTP, url, &p);
        if (r < 0)
                return r;
        if (host) {
                p->host = strdup(host);
                if (!p->host)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(p);
        return 0;
}

_public_ int arbiter_probe_new_ping(arbiter_probe **ret) {
        return ret ? new_probe(PROBE_PING, ret) : -EINVAL;
}

_public_ arbiter_probe *arbiter_probe_ref(arbiter_probe *p) {
        if (p)
                p->n_ref++;
        return p;
}

_public_ arbiter_probe *arbiter_probe_unref(arbiter_probe *p) {
        if (!p || --p->n_ref > 0)
                return NULL;
        for (char **i = p->argv; i && *i; i++)
                free(*i);
        free(p->argv);
        free(p->target);
        free(p->host);
        free(p);
        return NULL;
}

_public_ int arbiter_probe_set_times(
                arbiter_probe *p, uint64_t interval, uint64_t timeout, uint64_t delay) {
        if (!p)
                return -EINVAL;
        if (p->used)
                return -EBUSY;
        if (interval > 0)
                p->timing.interval = interval;
        if (timeout > 0)
                p->timing.timeout = timeout;
        if (delay > 0)
                p->timing.delay = delay;
        return 0;
}

_public_ int arbiter_probe_set_thresholds(arbiter_probe *p, unsigned failures, unsigned successes) {
        if (!p)
                return -EINVAL;
        if (p->used)
                return -EBUSY;
        if (failures > 0)
                p->timing.failures = failures;
        if (successes > 0)
                p->timing.successes = successes;
        return 0;
}

_public_ int arbiter_spawn_set_probe(arbiter_spawn *s, arbiter_probe_kind kind, arbiter_probe *probe) {
        if (!s || !arbiter_probe_kind_to_string(kind))
                return -EINVAL;
        if (kind == ARBITER_PROBE_LIVENESS && probe && probe->timing.successes > 1)
                return -EINVAL; /* there is nothing that it could come back from */
        if (probe)
                probe->used = true;
        arbiter_probe_ref(probe);
        arbiter_probe_unref(s->probes.probes[kind]);
        s->probes.probes[kind] = probe;
        return 0;
}

void probe_set_copy(const struct probe_set *from, struct probe_set *to) {
        for (size_t i = 0; i < PROBE_KINDS; i++) {
                arbiter_probe_ref(from->probes[i]);
                arbiter_probe_unref(to->probes[i]);
                to->probes[i] = from->probes[i];
        }
}

void probe_set_done(struct probe_set *p) {
        for (size_t i = 0; i < PROBE_KINDS; i++)
                p->probes[i] = arbiter_probe_unref(p->probes[i]);
}

void probe_describe(const arbiter_probe *p, char *buffer, size_t size) {
        static const char *const names[] = {
                [PROBE_EXEC] = "exec",
                [PROBE_TCP] = "tcp",
                [PROBE_HTTP] = "http",
                [PROBE_PING] = "ping",
        };

        (void) snprintf(buffer, size, "%s", names[p->how]);
        if (p->target)
                (void) snprintf(buffer, size, "%s %s", names[p->how], p->target);
        for (char **i = p->argv; i && *i; i++) {
                size_t n = strlen(buffer);

                (void) snprintf(buffer + n, size - n, " %s", *i);
        }
}

static bool has(const arbiter_spawn *s, enum probe_how how) {
        for (size_t i = 0; i < PROBE_KINDS; i++)
                if (s->probes.probes[i] && s->probes.probes[i]->how == how)
                        return true;
        return false;
}

const char *probe_contradiction(const arbiter_spawn *s) {
        bool plain = (s->exec || s->unit_template) && s->exec_type != ARBITER_EXEC_MAILBOX;

        if (plain && has(s, PROBE_PING))
                return "a program that knows nothing of arbiter has no mailbox that could be pinged";
        if (s->unit_template && has(s, PROBE_EXEC))
                return "whose the instances of a template are is not known here: a probe cannot run a "
                       "program as they do";
        for (size_t i = 0; i < s->unit_properties.n; i++)
                if (streq(s->unit_properties.items[i].name, "DynamicUser") && has(s, PROBE_EXEC))
                        return "the user of a unit with DynamicUser= is not known here: a probe cannot run "
                               "a program as it does";
        if (s->concurrency == ARBITER_CONCURRENCY_INLINE && has(s, PROBE_EXEC))
                return "an inline actor is no process: a probe cannot run a program as it does";
        return NULL;
}
