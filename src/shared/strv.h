/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Arrays of strings that end in NULL; a NULL array is an empty one. */

#include "basic/macro.h"

char **strv_free(char **l);
DEFINE_CLEANUP(char **, strv_free)
#define _cleanup_strv_free_ _cleanup_(strv_freep)

size_t strv_length(char *const *l);
/* Appends; takes the string over in any case, also on failure. -ENOMEM also for s == NULL, so that the
 * result of an allocation can be passed as it is. */
int strv_take(char ***l, char *s);
int strv_add(char ***l, const char *s); /* appends a copy */
int strv_copy(char *const *l, char ***ret);
bool strv_contains(char *const *l, const char *s);
/* By byte value, not by locale. */
void strv_sort(char **l);
/* "A=1": replaces the assignment to the same variable, or appends a copy. */
int strv_set_environment(char ***l, const char *assignment);
/* The value of a variable in a list of assignments, or NULL. */
const char *strv_get_environment(char *const *l, const char *name, size_t name_size);

#define STRV_FOREACH(i, l) for (char *const *i = (l); i && *i; i++)
