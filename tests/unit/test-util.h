/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* cmocka 1.1.5 wants these first, and has no asserts for return values in our convention. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

#define assert_ok(expression)                                                                               \
        do {                                                                                                \
                long _r = (long)(expression);                                                               \
                if (_r < 0) {                                                                               \
                        fail_msg("%s: %s", #expression, strerror((int)-_r));                                \
                        abort(); /* the compiler is not told that it does not come back */                  \
                }                                                                                           \
        } while (0)

#define assert_errno(expression, expected)                                                                  \
        do {                                                                                                \
                long _r = (long)(expression);                                                               \
                if (_r != -(expected))                                                                      \
                        fail_msg("%s returned %ld, not -%s", #expression, _r, #expected);                   \
        } while (0)
