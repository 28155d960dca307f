/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Specifiers in configuration values, as in systemd.unit(5):
 *   %n  full name of the actor: "web.3", "clock"
 *   %N  the same without the number: "web", "clock"
 *   %i  the worker's number: "3"; empty for a lone actor
 *   %h  home directory of the user that runs the arbiter
 *   %t  runtime directory of the arbiter
 *   %%  a percent sign
 * Any other is an error. */

#include "basic/macro.h"

struct specifier_values {
        const char *name;     /* %N */
        const char
                *instance; /* %i; "" for a lone actor; NULL where no worker is meant: then %i is refused */
        const char *home;     /* %h; NULL: refused */
        const char *runtime;  /* %t; NULL: refused */
};

/* 0, -EINVAL with *ret_bad the offending letter (0: a lone % at the end), -ENOMEM, -E2BIG over 64 KiB. */
int specifier_expand(const char *s, const struct specifier_values *v, char **ret, char *ret_bad);
