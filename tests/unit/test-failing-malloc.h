/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An allocator whose n-th allocation from now on fails in this thread. For one program each: it defines the
 * functions. Where FAILING_MALLOC is 0 it cannot be had: the allocator is a sanitizer's, or not glibc's. */

#include "test-util.h"

#include "basic/macro.h"

#if !UNDER_SANITIZER && defined(__GLIBC__)
#define FAILING_MALLOC 1
#else
#define FAILING_MALLOC 0
#endif

#if FAILING_MALLOC

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static _Thread_local long countdown = -1; /* < 0: never */
static _Thread_local bool fired;

static bool fails(void) {
        if (countdown < 0 || countdown-- > 0)
                return false;
        fired = true;
        errno = ENOMEM;
        return true;
}

/* Public: who is linked dynamically has the same one. */
_public_ void *malloc(size_t size);
_public_ void *calloc(size_t n, size_t size);
_public_ void *realloc(void *p, size_t size);

void *malloc(size_t size) {
        return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
        return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
        return fails() ? NULL : __libc_realloc(p, size);
}

#endif
