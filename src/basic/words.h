/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Words: blanks separate, "..." and '...' quote a whole word or a part of it, C escapes (\n \x41 \101 \u00e9
 * \s ...) hold everywhere. */

#include "basic/macro.h"

#define BLANKS " \t\n\r"

/* The word at *s, which is not blank; *s is moved behind it. Escapes of the characters in keep (NULL: none)
 * stay as they are, for who splits the word further. -EINVAL with a static text saying why, -ENOMEM. */
int word_scan(const char **s, const char *keep, char **ret, const char **ret_why);
