/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_COMMON_H
#define ARBITER_COMMON_H

/* What every public header needs. Include <arbiter/arbiter.h>, not this.
 *
 * Rules that hold for the whole library:
 *  - Functions return a negative errno on failure, 0 or a documented positive number on success. Outputs are
 *    the last parameters, are called ret_..., and are untouched on failure.
 *  - Parameters are borrowed. What a function returns in ret_... belongs to the caller unless it says
 *    "borrowed". _unref() takes NULL and returns NULL.
 *  - A struct that begins with `size` has it set to sizeof by whoever makes it: it may grow.
 *  - Times are microseconds; deadlines are absolute CLOCK_MONOTONIC; timeout 0 is the default, UINT64_MAX is
 *    never.
 *  - An actor and everything that belongs to it is touched from its own loop's thread only, unless a
 *    function says that it may be called from any thread.
 *  - Callbacks: an error return means that the callback will never run; success means that it runs exactly
 *    once, from the loop and never inside the call, also on cancel and on death.
 *  - The library never prints; see log.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define ARBITER_BEGIN_DECLARATIONS extern "C" {
#define ARBITER_END_DECLARATIONS }
#else
#define ARBITER_BEGIN_DECLARATIONS
#define ARBITER_END_DECLARATIONS
#endif

/* The cleanup attribute needs a pointer to the pointer: ARBITER_CLEANUP_DEFINE(arbiter_message, unref) gives
 * arbiter_message_unrefp(). */
#define ARBITER_CLEANUP_DEFINE(type, verb)                                                                 \
        static inline void type##_##verb##p(type **p) {                                                    \
                if (*p)                                                                                    \
                        (void) type##_##verb(*p);                                                          \
        }                                                                                                  \
        struct arbiter_swallow_semicolon

typedef struct arbiter arbiter;
typedef struct arbiter_actor arbiter_actor;
typedef struct arbiter_future arbiter_future;
typedef struct arbiter_message arbiter_message;
typedef struct arbiter_monitor arbiter_monitor;
typedef struct arbiter_proxy arbiter_proxy;
typedef struct arbiter_spawn arbiter_spawn;
typedef struct arbiter_command arbiter_command;
typedef struct arbiter_module arbiter_module;

#endif
