/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every fuzz target includes. A target is one file that defines LLVMFuzzerTestOneInput(); it is
 * linked with libFuzzer (-Dfuzzers=true, clang), and with fuzz-main.c, which runs the corpus as an
 * ordinary test. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of the code under test; not assert(), which NDEBUG would remove. */
#define FUZZ_CHECK(expression)           \
        do {                             \
                if (!(expression))       \
                        abort();         \
        } while (0)

/* A copy in memory of its own and of the exact size, 8-aligned, so that the sanitizer sees each byte too
 * far. */
static inline void *fuzz_copy(const uint8_t *data, size_t size) {
        void *p = calloc(1, size > 0 ? size : 1);

        FUZZ_CHECK(p);
        if (size > 0)
                memcpy(p, data, size);
        return p;
}
