/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a pool replaces its workers and when it stops trying: MaxSurge=, MaxUnavailable=, MinReadySec=,
 * ProgressDeadlineSec=, DrainSec=, Breaker...=; which keys mean nothing without workers; and the text of
 * a .monitor, which is kept so that a roll can turn back to it. Called by config-parse.c and config.c.
 * Must never look at anything but the files of one definition. */

#include <stdio.h>

#include <arbiter/arbiter.h>

#include "arbiterd/config-internal.h"
#include "basic/parse.h"
#include "basic/siphash.h"
#include "shared/conf-files.h"
#include "shared/strv.h"

#define ROLL_MAX 1024U

static void remember(const struct conf_context *c, enum place_key key) {
        const struct load_context *l = c->parser->options;

        l->places[key] = (struct place){ c->file, c->line };
}

/* "2", or "25%" of Workers=, as Kubernetes has it. */
int config_parse_share(const struct conf_context *c, const char *value, void *field) {
        size_t n = strlen(value);
        unsigned percent;
        uint64_t number;

        remember(c, PLACE_ROLL);
        if (conf_reset(c, value, field, sizeof(unsigned)))
                return 0;
        if (n > 0 && value[n - 1] == '%') {
                if (parse_percent(value, &percent) < 0)
                        return conf_bad_value(c, value, "a percentage from 0%% to 100%% of Workers=");
                *(unsigned *) field = ARBITER_PERCENT(percent);
                return 0;
        }
        if (parse_u64_range(value, 0, ROLL_MAX, &number) < 0)
                return conf_bad_value(c, value,
                                      "a number of workers from 0 to %u, or a percentage of Workers=; write "
                                      "for example %s=1 or %s=25%%",
                                      ROLL_MAX, c->key, c->key);
        *(unsigned *) field = (unsigned) number;
        return 0;
}

int config_parse_breaker(const struct conf_context *c, const char *value, void *field) {
        config_note_pool_key(c, value);
        remember(c, PLACE_BREAKER);
        return conf_parse_timespan(c, value, field);
}

/* Keys that only a pool heeds, and that no other rule is about. */
static const char *const pool_keys[] = {
        "MinReadySec",   "ProgressDeadlineSec", "DrainSec",      "BreakerFailures", "BreakerPeriodSec",
        "BreakerMinSec", "BreakerMaxSec",       "RuntimeMaxSec", "RecycleSpread",   "Routing",
};
_Static_assert(ELEMENTSOF(pool_keys) == PLACE_POOL_KEYS_END - PLACE_POOL_KEYS, "a place for each");

void config_note_pool_key(const struct conf_context *c, const char *value) {
        const struct load_context *l = c->parser->options;
        struct place here = *value ? (struct place){ c->file, c->line } : (struct place){};

        for (unsigned i = 0; i < ELEMENTSOF(pool_keys); i++)
                if (streq(c->item->key, pool_keys[i]))
                        l->places[PLACE_POOL_KEYS + i] = here;
}

void config_warn_pool_keys(const struct load_context *l, const char *path) {
        for (unsigned i = 0; i < ELEMENTSOF(pool_keys); i++) {
                char text[160];

                (void) snprintf(text, sizeof(text),
                                "%s= is for pools and does nothing here, as this monitor has children; "
                                "write it into the .monitor file of a child.",
                                pool_keys[i]);
                if (l->places[PLACE_POOL_KEYS + i].file)
                        config_complain_at(l, CONF_WARNING, (enum place_key) (PLACE_POOL_KEYS + i), path,
                                           text);
        }
}

int config_parse_pool_span(const struct conf_context *c, const char *value, void *field) {
        config_note_pool_key(c, value);
        return conf_parse_timespan(c, value, field);
}

int config_parse_pool_timeout(const struct conf_context *c, const char *value, void *field) {
        config_note_pool_key(c, value);
        return conf_parse_timeout(c, value, field);
}

int config_parse_pool_number(const struct conf_context *c, const char *value, void *field) {
        config_note_pool_key(c, value);
        return conf_parse_unsigned(c, value, field);
}

int config_parse_pool_word(const struct conf_context *c, const char *value, void *field) {
        config_note_pool_key(c, value);
        return conf_parse_word(c, value, field);
}

static bool is_zero(unsigned share) {
        return share == 0 || share == ARBITER_PERCENT(0);
}

static bool asks(const struct config_probe *p) {
        return p->exec || p->tcp || p->http || p->ping;
}

/* Else it is running as soon as it has been executed. */
static bool says_when_ready(const struct actor_config *a) {
        return a->module || a->type != CONFIG_TYPE_EXEC || asks(&a->probes[ARBITER_PROBE_START]) ||
               asks(&a->probes[ARBITER_PROBE_READINESS]);
}

#define MIN_READY_EXEC_USEC USEC_PER_SEC /* as supervisord's startsecs */

int config_finish_pool(struct monitor_config *m, const struct load_context *l, const char *path) {
        int r = 0;

        if (m->min_ready_usec == USEC_INFINITY)
                m->min_ready_usec = says_when_ready(&m->actor) ? 0 : MIN_READY_EXEC_USEC;
        if (is_zero(m->max_surge) && is_zero(m->max_unavailable)) {
                config_complain_at(l, CONF_ERROR, PLACE_ROLL, path,
                                   "MaxSurge= and MaxUnavailable= are both 0, so that no worker could ever "
                                   "be replaced; write MaxSurge=1, or leave MaxUnavailable= out.");
                r = -EBADMSG;
        }
        if (m->breaker_min_usec > m->breaker_max_usec) {
                config_complain_at(l, CONF_ERROR, PLACE_BREAKER, path,
                                   "BreakerMinSec= is longer than BreakerMaxSec=; raise the maximum or "
                                   "lower the minimum.");
                r = -EBADMSG;
        }
        return r;
}

/* All of its files, one after the other: what is below counts, as it does in drop-ins. A line that a
 * backslash would go on ends with its file. */
int config_read_text(const struct conf_files *f, char **ret) {
        _cleanup_free_ char *all = strdup("");
        size_t size = 0;
        int r = 0;

        for (size_t i = 0; all && r >= 0; i++) {
                const char *path = i == 0 ? f->path : f->dropins ? f->dropins[i - 1] : NULL;
                _cleanup_free_ char *text = NULL;
                char *bigger;
                size_t n;

                if (!path)
                        break;
                r = conf_read_file(path, CONF_FILE_MAX, &text, &n);
                if (r < 0)
                        return r;
                bigger = realloc(all, size + n + 3);
                if (!bigger)
                        return -ENOMEM;
                all = bigger;
                memcpy(all + size, text, n);
                memcpy(all + size + n, "\n\n", 3);
                size += n + 2;
        }
        if (!all)
                return -ENOMEM;
        *ret = TAKE_PTR(all);
        return 0;
}

int config_fingerprint(const struct actor_config *a, uint64_t *ret) {
        static const struct siphash_key key = { 0x61726269, 0x74657264 }; /* for ever */
        _cleanup_free_ char *text = NULL;
        int r;

        r = actor_config_serialize(a, &text);
        if (r >= 0)
                *ret = siphash24(text, strlen(text), &key);
        return r;
}
