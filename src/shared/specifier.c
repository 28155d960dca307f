/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Specifier expansion. Called by the configuration loader to check values and to expand those that are the
 * same for all workers, and once a spawn for the rest. Pure. */

#include <stdio.h>

#include "shared/memstream.h"
#include "shared/specifier.h"

enum { RESULT_MAX = 64 * 1024 };

static const char *lookup(char c, const struct specifier_values *v, bool *ret_numbered) {
        *ret_numbered = false;
        switch (c) {
        case '%':
                return "%";
        case 'n':
                *ret_numbered = true;
                return v->instance ? v->name : NULL;
        case 'N':
                return v->name;
        case 'i':
                return v->instance;
        case 'h':
                return v->home;
        case 't':
                return v->runtime;
        default:
                return NULL;
        }
}

static int append(FILE *f, size_t *size, const char *s, size_t n) {
        if (n > RESULT_MAX - *size)
                return -E2BIG;
        *size += n;
        return fwrite(s, 1, n, f) == n ? 0 : -ENOMEM;
}

static int expand(FILE *f, const char *s, const struct specifier_values *v, char *ret_bad) {
        size_t size = 0;
        int r = 0;

        while (*s && r >= 0) {
                size_t n = strcspn(s, "%");
                const char *value;
                bool numbered;

                r = append(f, &size, s, n);
                s += n;
                if (r < 0 || !*s)
                        break;
                value = lookup(s[1], v, &numbered);
                if (!value) {
                        *ret_bad = s[1];
                        return -EINVAL;
                }
                r = append(f, &size, value, strlen(value));
                if (r >= 0 && numbered && *v->instance) {
                        r = append(f, &size, ".", 1);
                        if (r >= 0)
                                r = append(f, &size, v->instance, strlen(v->instance));
                }
                s += 2;
        }
        return r;
}

int specifier_expand(const char *s, const struct specifier_values *v, char **ret, char *ret_bad) {
        char *buffer = NULL, bad = 0;
        size_t size = 0;
        FILE *f;
        int r;

        if (!strchr(s, '%')) {
                buffer = strlen(s) <= RESULT_MAX ? strdup(s) : NULL;
                if (!buffer)
                        return strlen(s) > RESULT_MAX ? -E2BIG : -ENOMEM;
                *ret = buffer;
                return 0;
        }

        f = open_memstream(&buffer, &size);
        if (!f)
                return -ENOMEM;
        r = expand(f, s, v, &bad);
        if (memstream_finish(f, &buffer) < 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0) {
                free(buffer);
                if (r == -EINVAL && ret_bad)
                        *ret_bad = bad;
                return r;
        }
        *ret = buffer;
        return 0;
}
