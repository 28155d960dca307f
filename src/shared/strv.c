/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of strings for programs: configuration, environments, command lines. Lists are short; nothing here
 * is meant for thousands of elements. */

#include "shared/strv.h"

char **strv_free(char **l) {
        for (char **i = l; i && *i; i++)
                free(*i);
        free(l);
        return NULL;
}

size_t strv_length(char *const *l) {
        size_t n = 0;

        for (; l && *l; l++)
                n++;
        return n;
}

int strv_take(char ***l, char *s) {
        size_t n = strv_length(*l);
        char **bigger;

        if (!s)
                return -ENOMEM;
        bigger = reallocarray(*l, n + 2, sizeof(char *));
        if (!bigger) {
                free(s);
                return -ENOMEM;
        }
        bigger[n] = s;
        bigger[n + 1] = NULL;
        *l = bigger;
        return 0;
}

int strv_add(char ***l, const char *s) {
        return strv_take(l, strdup(s));
}

int strv_copy(char *const *l, char ***ret) {
        size_t n = strv_length(l);
        char **copy = calloc(n + 1, sizeof(char *));

        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                copy[i] = strdup(l[i]);
                if (!copy[i]) {
                        strv_free(copy);
                        return -ENOMEM;
                }
        }
        *ret = copy;
        return 0;
}

bool strv_contains(char *const *l, const char *s) {
        STRV_FOREACH(i, l)
                if (streq(*i, s))
                        return true;
        return false;
}

static int compare(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void strv_sort(char **l) {
        size_t n = strv_length(l);

        if (n > 1)
                qsort(l, n, sizeof(char *), compare);
}

int strv_set_environment(char ***l, const char *assignment) {
        size_t name_size = strcspn(assignment, "=");
        char *copy;

        for (char **i = *l; i && *i; i++) {
                if (strncmp(*i, assignment, name_size) != 0 || (*i)[name_size] != '=')
                        continue;
                copy = strdup(assignment);
                if (!copy)
                        return -ENOMEM;
                free(*i);
                *i = copy;
                return 0;
        }
        return strv_add(l, assignment);
}

const char *strv_get_environment(char *const *l, const char *name, size_t name_size) {
        STRV_FOREACH(i, l)
                if (strncmp(*i, name, name_size) == 0 && (*i)[name_size] == '=')
                        return *i + name_size + 1;
        return NULL;
}
