/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* [StartProbe], [ReadinessProbe] and [LivenessProbe]. Called by the loader through its tables, and by
 * whoever makes of them what the library asks by. What an address or a URL may be is the library's to know:
 * each is only shown to it. %h and %t are the same for all actors and filled in here, %n %N %i at each
 * question. Asks nobody. */

#include <stdio.h>

#include <arbiter/probe.h>

#include "arbiterd/config-internal.h"
#include "basic/parse.h"
#include "shared/exec-line.h"
#include "shared/memstream.h"
#include "shared/strv.h"

static const char *const sections[CONFIG_PROBES] = {
        [ARBITER_PROBE_START] = "StartProbe",
        [ARBITER_PROBE_READINESS] = "ReadinessProbe",
        [ARBITER_PROBE_LIVENESS] = "LivenessProbe",
};

static unsigned kind_of(const struct conf_context *c) {
        unsigned kind = 0;

        while (kind + 1 < CONFIG_PROBES && !streq(sections[kind], c->section))
                kind++;
        return kind;
}

static struct config_probe *probe_of(const struct conf_context *c) {
        const struct load_context *l = c->parser->options;
        enum place_key place = (enum place_key) (PLACE_PROBES + kind_of(c));

        l->places[place] = (struct place){ c->file, c->line };
        return &((struct monitor_config *) c->parser->data)->actor.probes[kind_of(c)];
}

void config_done_probe(struct config_probe *p) {
        strv_free(p->exec);
        free(p->tcp);
        free(p->http);
        free(p->host);
        *p = (struct config_probe){};
}

/* In a text in which % means something. */
static void put_escaped(FILE *f, const char *s) {
        for (; *s; s++) {
                if (*s == '%')
                        (void) fputc('%', f);
                (void) fputc(*s, f);
        }
}

/* What is the same for all of them; checked before, so that each % has its letter. */
static int fill_in(const struct conf_context *c, const char *value, char **ret) {
        const struct load_context *l = c->parser->options;
        _cleanup_free_ char *checked = NULL;
        char *buffer = NULL;
        size_t size = 0;
        FILE *f;
        int r;

        r = config_specifiers(c, value, true, &checked);
        if (r < 0)
                return r;
        f = open_memstream(&buffer, &size);
        if (!f)
                return -ENOMEM;
        for (; *value; value++) {
                if (value[0] != '%') {
                        (void) fputc(*value, f);
                        continue;
                }
                value++;
                if (*value == 'h')
                        put_escaped(f, l->options->home);
                else if (*value == 't')
                        put_escaped(f, l->options->runtime);
                else
                        (void) fprintf(f, "%%%c", *value);
        }
        r = memstream_finish(f, &buffer);
        if (r < 0)
                return r;
        *ret = buffer;
        return 0;
}

/* Of a probe that was only made to see whether it can be. */
static int judge(const struct conf_context *c, const char *value, arbiter_probe *p, int r, char *why) {
        arbiter_probe_unref(p);
        if (r == -EINVAL)
                r = conf_bad_value(c, value, "what can be asked: %s", why ? why : "it makes no sense");
        free(why);
        return r;
}

int config_parse_probe_exec(const struct conf_context *c, const char *value, void *field) {
        struct config_probe *config = probe_of(c);
        _cleanup_strv_free_ char **words = NULL, **filled = NULL;
        _cleanup_free_ char *program = NULL;
        arbiter_probe *p = NULL;
        const char *why = NULL;
        char *text = NULL;
        int r;

        config->exec = strv_free(config->exec);
        config->emptied = config->emptied || !*value;
        if (!*value)
                return 0;
        r = exec_line_parse(value, &words, &why);
        if (r == -EINVAL)
                return conf_bad_value(c, value, "a command line: %s", why);
        STRV_FOREACH (i, words) {
                char *s = NULL;

                if (r >= 0)
                        r = fill_in(c, *i, &s);
                if (r >= 0)
                        r = strv_take(&filled, s);
        }
        if (r < 0)
                return r;
        if (filled[0][0] != '/') { /* looked for now, for it is run often; it may come yet */
                if (exec_find_program(filled[0], &program) < 0 &&
                                asprintf(&program, "/usr/bin/%s", filled[0]) < 0)
                        program = NULL;
                if (!program)
                        return -ENOMEM;
                free(filled[0]);
                filled[0] = TAKE_PTR(program);
        }
        r = arbiter_probe_new_exec((const char *const *) filled, &p, &text);
        r = judge(c, value, p, r, text);
        if (r >= 0)
                config->exec = TAKE_PTR(filled);
        return r;
}

static int replace(char **p, char *value) {
        free(*p);
        *p = value;
        return 0;
}

static int take_back(struct config_probe *config, char **p) {
        config->emptied = true;
        return replace(p, NULL);
}

int config_parse_probe_tcp(const struct conf_context *c, const char *value, void *field) {
        struct config_probe *config = probe_of(c);
        _cleanup_free_ char *filled = NULL;
        arbiter_probe *p = NULL;
        char *text = NULL;
        int r;

        if (!*value)
                return take_back(config, &config->tcp);
        r = fill_in(c, value, &filled);
        if (r < 0)
                return r;
        r = arbiter_probe_new_tcp(filled, &p, &text);
        r = judge(c, value, p, r, text);
        return r < 0 ? r : replace(&config->tcp, TAKE_PTR(filled));
}

static int parse_http(const struct conf_context *c, const char *value, const char *url, const char *host,
                      char **filled, char **place) {
        arbiter_probe *p = NULL;
        char *text = NULL;
        int r;

        r = arbiter_probe_new_http(url, host, &p, &text);
        r = judge(c, value, p, r, text);
        return r < 0 ? r : replace(place, TAKE_PTR(*filled));
}

int config_parse_probe_http(const struct conf_context *c, const char *value, void *field) {
        struct config_probe *config = probe_of(c);
        _cleanup_free_ char *filled = NULL;
        int r;

        if (!*value)
                return take_back(config, &config->http);
        r = fill_in(c, value, &filled);
        return r < 0 ? r : parse_http(c, value, filled, NULL, &filled, &config->http);
}

int config_parse_probe_host(const struct conf_context *c, const char *value, void *field) {
        struct config_probe *config = probe_of(c);
        _cleanup_free_ char *filled = NULL;
        int r;

        if (!*value)
                return replace(&config->host, NULL);
        r = fill_in(c, value, &filled);
        return r < 0 ? r : parse_http(c, value, "80", filled, &filled, &config->host);
}

int config_parse_probe_ping(const struct conf_context *c, const char *value, void *field) {
        struct config_probe *config = probe_of(c);
        int r = conf_parse_bool(c, value, field);

        config->emptied = config->emptied || !config->ping;
        return r;
}

int config_parse_probe_time(const struct conf_context *c, const char *value, void *field) {
        (void) probe_of(c);
        return conf_parse_timespan(c, value, field);
}

int config_parse_probe_threshold(const struct conf_context *c, const char *value, void *field) {
        (void) probe_of(c);
        return conf_parse_unsigned(c, value, field);
}

/* What they say together. */

static int complain(const struct load_context *l, unsigned kind, const char *path, enum conf_level level,
                    const char *format, ...) _printf_(5, 6);
static int complain(const struct load_context *l, unsigned kind, const char *path, enum conf_level level,
                    const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        config_complain_at(l, level, (enum place_key) (PLACE_PROBES + kind), path, text);
        return level == CONF_ERROR ? -EBADMSG : 0;
}

/* What it asks cannot be asked of this actor. */
static int check_how(const struct actor_config *a, unsigned kind, const struct load_context *l,
                     const char *path) {
        const struct config_probe *p = &a->probes[kind];
        bool plain = !a->module && a->type != CONFIG_TYPE_MAILBOX;

        if (p->ping && plain)
                return complain(l, kind, path, CONF_ERROR,
                                "ProbePing= in section [%s] is for actors that have a mailbox: a Module=, "
                                "or a program with Type=mailbox; ask others by ProbeExec=, ProbeTcp= or "
                                "ProbeHttp=.",
                                sections[kind]);
        if (p->exec && (a->unit || config_has_dynamic_user(a)))
                return complain(l, kind, path, CONF_ERROR,
                                "ProbeExec= in section [%s] runs as the user of the actor, which only "
                                "systemd knows for %s; ask by ProbeTcp= or ProbeHttp=.",
                                sections[kind], a->unit ? "instances of Unit=" : "DynamicUser=");
        if (p->host && !p->http)
                return complain(l, kind, path, CONF_WARNING,
                                "ProbeHttpHost= in section [%s] is for ProbeHttp= and does nothing without.",
                                sections[kind]);
        return 0;
}

static int finish_one(struct actor_config *a, unsigned kind, const struct load_context *l,
                      const char *path) {
        struct config_probe *p = &a->probes[kind];
        unsigned n = (p->exec != NULL) + (p->tcp != NULL) + (p->http != NULL) + p->ping;

        if (!l->places[PLACE_PROBES + kind].file)
                return 0;
        if (n == 0 && p->emptied) { /* a drop-in has taken it away */
                config_done_probe(p);
                return 0;
        }
        if (n != 1)
                return complain(l, kind, path, CONF_ERROR,
                                "Section [%s] asks %s; write exactly one of ProbeExec=, ProbeTcp=, "
                                "ProbeHttp= and ProbePing=.",
                                sections[kind], n == 0 ? "nothing" : "in more than one way");
        if (kind == ARBITER_PROBE_LIVENESS && p->successes > 1)
                return complain(l, kind, path, CONF_ERROR,
                                "SuccessThreshold= in section [LivenessProbe] can only be 1: one that is "
                                "found unhealthy is stopped, and does not come back.");
        return check_how(a, kind, l, path);
}

int config_finish_probes(struct actor_config *a, const struct load_context *l, const char *path) {
        int r = 0;

        for (unsigned kind = 0; kind < CONFIG_PROBES; kind++)
                if (finish_one(a, kind, l, path) < 0)
                        r = -EBADMSG;
        return r;
}

/* What becomes of them. */

static bool same_text(const char *a, const char *b) {
        return a && b ? streq(a, b) : a == b;
}

static bool same_list(char *const *a, char *const *b) {
        size_t n = strv_length(a);

        if (n != strv_length(b))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!streq(a[i], b[i]))
                        return false;
        return true;
}

bool config_probe_equal(const struct config_probe *a, const struct config_probe *b) {
        return same_list(a->exec, b->exec) && same_text(a->tcp, b->tcp) && same_text(a->http, b->http) &&
               same_text(a->host, b->host) && a->ping == b->ping && a->interval_usec == b->interval_usec &&
               a->timeout_usec == b->timeout_usec && a->delay_usec == b->delay_usec &&
               a->failures == b->failures && a->successes == b->successes;
}

bool config_probes_equal(const struct actor_config *a, const struct actor_config *b) {
        for (unsigned kind = 0; kind < CONFIG_PROBES; kind++)
                if (!config_probe_equal(&a->probes[kind], &b->probes[kind]))
                        return false;
        return true;
}

int config_make_probe(const struct config_probe *c, arbiter_probe **ret) {
        _cleanup_(arbiter_probe_unrefp) arbiter_probe *p = NULL;
        int r = 0;

        if (c->exec)
                r = arbiter_probe_new_exec((const char *const *) c->exec, &p, NULL);
        else if (c->tcp)
                r = arbiter_probe_new_tcp(c->tcp, &p, NULL);
        else if (c->http)
                r = arbiter_probe_new_http(c->http, c->host, &p, NULL);
        else if (c->ping)
                r = arbiter_probe_new_ping(&p);
        if (r >= 0 && p)
                r = arbiter_probe_set_times(p, c->interval_usec, c->timeout_usec, c->delay_usec);
        if (r >= 0 && p)
                r = arbiter_probe_set_thresholds(p, c->failures, c->successes);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}
