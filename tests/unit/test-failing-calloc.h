/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* calloc() that fails when a test says so. Not by ld --wrap, which does nothing to calls that LTO resolves.
 * For one program each: it defines the function. */

#include "test-util.h"

#include "basic/macro.h"

/* The n-th calloc() from now fails; 0: none. malloc() by a pointer that the compiler cannot see through,
 * or it would make a calloc() of what follows; public, so that libcmocka and sanitizers see the same one. */
static unsigned failing_calloc;
static void *(*volatile plain_malloc)(size_t) = malloc;

_public_ void *calloc(size_t n, size_t size);
void *calloc(size_t n, size_t size) {
        void *p;

        if (failing_calloc > 0 && --failing_calloc == 0) {
                errno = ENOMEM;
                return NULL;
        }
        if (size > 0 && n > SIZE_MAX / size)
                return NULL;
        p = plain_malloc(n * size);
        return p ? memset(p, 0, n * size) : NULL;
}
