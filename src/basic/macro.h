/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Compiler help that every layer uses: attributes, sizes, ownership. The idioms (_cleanup_, TAKE_PTR,
 * TAKE_FD, ret_ parameters last) are systemd's; see docs/HACKING.md. No state, no function bodies worth
 * testing. */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _public_ __attribute__((visibility("default")))
#define _cleanup_(f) __attribute__((cleanup(f)))
#define _unused_ __attribute__((unused))
#define _noreturn_ __attribute__((noreturn))
#define _noinline_ __attribute__((noinline))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _likely_(x) __builtin_expect(!!(x), 1)
#define _unlikely_(x) __builtin_expect(!!(x), 0)

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
/* They look at what they return twice: no call that costs, does something, or may change its mind. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CLAMP(x, low, high) MAX(low, MIN(x, high))
/* The power-of-two alignment of D-Bus and of our frames. */
#define ALIGN_TO(n, a) (((n) + (a) - 1) & ~((size_t) (a) - 1))
#define CONTAINER_OF(ptr, type, member) ((type *) ((char *) (ptr) - offsetof(type, member)))

#define TAKE_GENERIC(var, type, nullvalue) \
        ({                                 \
                type *_p = &(var);         \
                type _v = *_p;             \
                *_p = nullvalue;           \
                _v;                        \
        })
#define TAKE_PTR(p) TAKE_GENERIC(p, typeof(p), NULL)
#define TAKE_FD(fd) TAKE_GENERIC(fd, int, -EBADF)

/* DEFINE_CLEANUP(foo *, foo_unref) makes foo_unrefp(), to be used with _cleanup_(). */
#define DEFINE_CLEANUP(type, func)                          \
        static inline _unused_ void func##p(type *p) {      \
                if (*p)                                     \
                        (void) func(*p);                    \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(freep)

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

static inline bool streq_ptr(const char *a, const char *b) {
        return a && b ? streq(a, b) : a == b;
}

static inline const char *startswith(const char *s, const char *prefix) {
        size_t l = strlen(prefix);

        return strncmp(s, prefix, l) == 0 ? s + l : NULL;
}

/* errno as a negative return value, never 0 even if errno was left untouched. */
static inline int negative_errno(void) {
        return errno > 0 ? -errno : -EIO;
}
