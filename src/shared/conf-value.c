/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parse functions for the usual kinds of values: what conf-parser tables point at. Each either sets its
 * field whole or leaves it and says what it expected. Called through conf_parse_buffer() only. */

#include <stdio.h>

#include "basic/parse.h"
#include "basic/time-util.h"
#include "shared/conf-parser.h"
#include "shared/exec-line.h"
#include "shared/strv.h"

bool conf_reset(const struct conf_context *c, const char *value, void *field, size_t field_size) {
        const char *defaults = c->parser->defaults;

        if (*value)
                return false;
        if (defaults)
                memcpy(field, defaults + c->item->offset, field_size);
        else
                memset(field, 0, field_size);
        return true;
}

static int replace_string(char **field, const char *value) {
        char *copy = NULL;

        if (*value) {
                copy = strdup(value);
                if (!copy)
                        return -ENOMEM;
        }
        free(*field);
        *field = copy;
        return 0;
}

int conf_parse_string(const struct conf_context *c, const char *value, void *field) {
        return replace_string(field, value);
}

int conf_parse_path(const struct conf_context *c, const char *value, void *field) {
        if (*value && *value != '/')
                return conf_bad_value(c, value, "an absolute path; write it from / on");
        if (strlen(value) >= 4096)
                return conf_bad_value(c, value, "a path of less than 4096 bytes");
        return replace_string(field, value);
}

int conf_parse_strings(const struct conf_context *c, const char *value, void *field) {
        char ***l = field;

        if (!*value) {
                *l = strv_free(*l);
                return 0;
        }
        return strv_add(l, value);
}

int conf_parse_words(const struct conf_context *c, const char *value, void *field) {
        _cleanup_strv_free_ char **words = NULL;
        char ***l = field;
        const char *why;
        int r;

        if (!*value) {
                *l = strv_free(*l);
                return 0;
        }
        r = split_words(value, &words, &why);
        if (r == -EINVAL)
                return conf_bad_value(c, value, "a list of words: %s", why);
        if (r < 0)
                return r;
        STRV_FOREACH(i, words) {
                r = strv_add(l, *i);
                if (r < 0)
                        return r;
        }
        return 0;
}

int conf_parse_bool(const struct conf_context *c, const char *value, void *field) {
        if (conf_reset(c, value, field, sizeof(bool)))
                return 0;
        if (parse_bool(value, field) < 0)
                return conf_bad_value(c, value, "yes or no");
        return 0;
}

int conf_parse_u64(const struct conf_context *c, const char *value, void *field) {
        const struct conf_range *range = c->item->parameter;

        if (conf_reset(c, value, field, sizeof(uint64_t)))
                return 0;
        if (parse_u64_range(value, range->min, range->max, field) < 0)
                return conf_bad_value(c, value, "a whole number from %llu to %llu; write for example %s=%s",
                                      (unsigned long long) range->min, (unsigned long long) range->max,
                                      c->key, range->example);
        return 0;
}

int conf_parse_unsigned(const struct conf_context *c, const char *value, void *field) {
        unsigned *n = field;
        uint64_t x;
        int r;

        if (conf_reset(c, value, field, sizeof(unsigned)))
                return 0;
        r = conf_parse_u64(c, value, &x);
        if (r < 0)
                return r;
        *n = (unsigned) x; /* the table's max fits */
        return 0;
}

int conf_parse_size(const struct conf_context *c, const char *value, void *field) {
        const struct conf_range *range = c->item->parameter;
        uint64_t x;

        if (conf_reset(c, value, field, sizeof(uint64_t)))
                return 0;
        if (parse_size(value, &x) < 0 || x < range->min || x > range->max)
                return conf_bad_value(c, value,
                                      "a size from %llu to %llu bytes, plain or with K, M, G; write for "
                                      "example "
                                      "%s=%s",
                                      (unsigned long long) range->min, (unsigned long long) range->max,
                                      c->key, range->example);
        *(uint64_t *) field = x;
        return 0;
}

static int parse_span(const struct conf_context *c, const char *value, bool zero_is_infinity, usec_t *ret) {
        const struct conf_range *range = c->item->parameter;
        char min[TIMESPAN_STRING_MAX], max[TIMESPAN_STRING_MAX];
        usec_t t;

        if (conf_reset(c, value, ret, sizeof(usec_t)))
                return 0;
        if (parse_timespan(value, &t) < 0)
                return conf_bad_value(c, value, "a time span; write for example %s=%s, 500ms or 2min",
                                      c->key, range->example);
        if (t == 0 && zero_is_infinity)
                t = USEC_INFINITY;
        if (t < range->min || t > range->max)
                return conf_bad_value(c, value, "within %s to %s; write for example %s=%s",
                                      format_timespan(min, sizeof(min), range->min),
                                      format_timespan(max, sizeof(max), range->max), c->key, range->example);
        *ret = t;
        return 0;
}

int conf_parse_timespan(const struct conf_context *c, const char *value, void *field) {
        return parse_span(c, value, false, field);
}

int conf_parse_timeout(const struct conf_context *c, const char *value, void *field) {
        return parse_span(c, value, true, field);
}

/* "process, thread or unit", without the refused ones, cut if it does not fit. */
static void list_words(const struct conf_word *words, char *buffer, size_t size) {
        const char *previous = NULL;
        size_t n = 0;
        bool first = true;

        buffer[0] = 0;
        for (; words->word; words++) {
                if (words->refusal)
                        continue;
                if (previous) {
                        int w = snprintf(buffer + n, size - n, "%s%s", first ? "" : ", ", previous);

                        n = MIN(n + (size_t) w, size - 1);
                        first = false;
                }
                previous = words->word;
        }
        if (previous)
                (void) snprintf(buffer + n, size - n, "%s%s", first ? "" : " or ", previous);
}

int conf_parse_word(const struct conf_context *c, const char *value, void *field) {
        char list[256];

        if (conf_reset(c, value, field, sizeof(int)))
                return 0;
        for (const struct conf_word *w = c->item->parameter; w->word; w++)
                if (streq(w->word, value)) {
                        *(int *) field =
                                w->value; /* also when refused: other checks then see what was meant */
                        if (w->refusal)
                                return conf_complain(c, "%s=%s %s.", c->key, value, w->refusal);
                        return 0;
                }
        list_words(c->item->parameter, list, sizeof(list));
        return conf_bad_value(c, value, "%s", list);
}

int conf_parse_signal(const struct conf_context *c, const char *value, void *field) {
        if (conf_reset(c, value, field, sizeof(int)))
                return 0;
        if (parse_signal(value, field) < 0)
                return conf_bad_value(c, value, "a signal; write its name, for example %s=SIGTERM", c->key);
        return 0;
}

int conf_parse_mode(const struct conf_context *c, const char *value, void *field) {
        if (conf_reset(c, value, field, sizeof(mode_t)))
                return 0;
        if (parse_mode(value, field) < 0)
                return conf_bad_value(c, value, "an octal file mode; write for example %s=0022", c->key);
        return 0;
}
