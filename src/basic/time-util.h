/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Time is CLOCK_MONOTONIC in microseconds (usec_t) or nanoseconds (nsec_t). Wall-clock steps must not kill
 * healthy actors, so nothing in arbiter decides by CLOCK_REALTIME. */

#include <time.h>

#include "basic/macro.h"

typedef uint64_t usec_t;
typedef uint64_t nsec_t;

#define USEC_INFINITY UINT64_MAX
#define NSEC_INFINITY UINT64_MAX
#define USEC_PER_MSEC ((usec_t) 1000)
#define USEC_PER_SEC ((usec_t) 1000000)
#define NSEC_PER_USEC ((nsec_t) 1000)
#define NSEC_PER_MSEC ((nsec_t) 1000000)
#define NSEC_PER_SEC ((nsec_t) 1000000000)

static inline nsec_t now_nsec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
        return (nsec_t) ts.tv_sec * NSEC_PER_SEC + (nsec_t) ts.tv_nsec;
}

static inline usec_t now_usec(void) {
        return now_nsec() / NSEC_PER_USEC;
}

/* Saturating: infinity stays infinity. */
static inline uint64_t time_add(uint64_t a, uint64_t b) {
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* A time span in systemd's syntax, "1min 30s", "500ms", a bare number is seconds, "infinity".
 * systemd.time(7). -EINVAL on anything else, -ERANGE when it does not fit. */
int parse_timespan(const char *s, usec_t *ret);
/* The reverse, for people: "1min 30s", "12.500ms". The buffer must hold TIMESPAN_STRING_MAX bytes. */
#define TIMESPAN_STRING_MAX 64
char *format_timespan(char *buffer, size_t size, usec_t t);
/* In running text, to about three digits: "0.1 s", "2.5 s", "1h 1min 30s", "infinity". */
char *format_timespan_rounded(char *buffer, size_t size, usec_t t);
