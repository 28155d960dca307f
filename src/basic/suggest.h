/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "did you mean ...?": the nearest of several words to one that was mistyped. */

#include "basic/macro.h"

struct suggestion {
        const char *word; /* NULL: none is near enough */
        size_t distance;
};

/* Considers one candidate; call for each, then look at s->word. Start from {}. Case counts for little. */
void suggest(struct suggestion *s, const char *typed, const char *candidate);
