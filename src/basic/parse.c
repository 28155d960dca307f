/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strict text to value, for configuration and command lines. Pure: no locale, no state, no message; the
 * caller knows the place and says what was expected. */

#include <signal.h>
#include <stdio.h>
#include <strings.h>

#include "basic/parse.h"

int parse_bool(const char *s, bool *ret) {
        static const char *const yes[] = { "1", "yes", "y", "true", "t", "on" };
        static const char *const no[] = { "0", "no", "n", "false", "f", "off" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++)
                if (strcasecmp(s, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
        for (size_t i = 0; i < ELEMENTSOF(no); i++)
                if (strcasecmp(s, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        return -EINVAL;
}

/* Consumes the digits at *s; -EINVAL if there are none. Goes over all of them even when they do not fit, so
 * that "99999999999999999999x" is no number rather than too large a one. */
static int scan_digits(const char **s, unsigned base, uint64_t *ret) {
        const char *p = *s;
        uint64_t x = 0;
        bool overflow = false;

        for (; *p >= '0' && *p < (char) ('0' + base); p++)
                if (__builtin_mul_overflow(x, (uint64_t) base, &x) ||
                    __builtin_add_overflow(x, (uint64_t) (*p - '0'), &x))
                        overflow = true;
        if (p == *s)
                return -EINVAL;
        *s = p;
        *ret = x;
        return overflow ? -ERANGE : 0;
}

static int parse_digits(const char *s, unsigned base, uint64_t *ret) {
        uint64_t x;
        int r = scan_digits(&s, base, &x);

        if (r == -EINVAL || *s)
                return -EINVAL;
        if (r < 0)
                return r;
        *ret = x;
        return 0;
}

int parse_u64(const char *s, uint64_t *ret) {
        return parse_digits(s, 10, ret);
}

int parse_u64_range(const char *s, uint64_t min, uint64_t max, uint64_t *ret) {
        uint64_t x;
        int r = parse_u64(s, &x);

        if (r < 0)
                return r;
        if (x < min || x > max)
                return -ERANGE;
        *ret = x;
        return 0;
}

int parse_u32(const char *s, uint32_t *ret) {
        uint64_t x;
        int r = parse_u64_range(s, 0, UINT32_MAX, &x);

        if (r < 0)
                return r;
        *ret = (uint32_t) x;
        return 0;
}

int parse_i32(const char *s, int32_t *ret) {
        bool negative = *s == '-';
        uint64_t x;
        int r;

        if (*s == '-' || *s == '+')
                s++;
        r = parse_u64_range(s, 0, (uint64_t) INT32_MAX + negative, &x);
        if (r < 0)
                return r;
        *ret = (int32_t) (negative ? -(int64_t) x : (int64_t) x);
        return 0;
}

/* A decimal fraction with at most max_digits after the point, as an integer scaled by 10^max_digits. */
static int scan_fraction(const char **s, unsigned max_digits, uint64_t *ret) {
        uint64_t whole, part = 0;
        int r = scan_digits(s, 10, &whole);

        if (r < 0)
                return r;
        if (**s == '.') {
                const char *start = ++*s;

                r = scan_digits(s, 10, &part);
                if (r < 0 || *s - start > (ptrdiff_t) max_digits)
                        return -EINVAL;
                max_digits -= (unsigned) (*s - start);
                for (ptrdiff_t i = 0; i < *s - start; i++)
                        if (__builtin_mul_overflow(whole, (uint64_t) 10, &whole))
                                return -ERANGE;
                if (__builtin_add_overflow(whole, part, &whole))
                        return -ERANGE;
        }
        for (; max_digits > 0; max_digits--)
                if (__builtin_mul_overflow(whole, (uint64_t) 10, &whole))
                        return -ERANGE;
        *ret = whole;
        return 0;
}

int parse_size(const char *s, uint64_t *ret) {
        static const char units[] = "KMGTPE";
        unsigned __int128 bytes;
        const char *unit;
        uint64_t x, thousandths = 0;
        unsigned shift = 0;
        int r;

        r = scan_digits(&s, 10, &x);
        if (r == -EINVAL)
                return r;
        if (r == 0 && *s == '.') {
                const char *start = ++s;

                r = scan_digits(&s, 10, &thousandths);
                if (r < 0 || s - start > 3)
                        return -EINVAL;
                for (ptrdiff_t i = s - start; i < 3; i++)
                        thousandths *= 10;
        }
        if (*s && (unit = strchr(units, *s))) {
                shift = 10 * (unsigned) (unit - units + 1);
                s++;
        }
        if (*s == 'B' && s[1] == 0)
                s++;
        if (*s || (thousandths > 0 && shift == 0))
                return -EINVAL;
        if (r < 0)
                return r;

        bytes = ((unsigned __int128) x << shift) + (((unsigned __int128) thousandths << shift) / 1000);
        if (bytes > UINT64_MAX)
                return -ERANGE;
        *ret = (uint64_t) bytes;
        return 0;
}

int parse_percent(const char *s, unsigned *ret) {
        uint64_t x;
        int r = scan_digits(&s, 10, &x);

        if (r == -EINVAL)
                return r;
        if (*s == '%')
                s++;
        if (*s)
                return -EINVAL;
        if (r < 0 || x > 100)
                return -ERANGE;
        *ret = (unsigned) x;
        return 0;
}

int parse_permille(const char *s, uint64_t *ret) {
        uint64_t x;
        int r = scan_fraction(&s, 3, &x);

        if (r < 0)
                return r;
        if (*s)
                return -EINVAL;
        *ret = x;
        return 0;
}

int parse_mode(const char *s, mode_t *ret) {
        uint64_t x;
        int r = parse_digits(s, 8, &x);

        if (r < 0)
                return r;
        if (x > 07777)
                return -ERANGE;
        *ret = (mode_t) x;
        return 0;
}

static int parse_realtime_signal(const char *s, int *ret) {
        const char *p;
        uint64_t offset;
        int r;

        if (streq(s, "RTMIN") || streq(s, "RTMAX")) {
                *ret = s[3] == 'I' ? SIGRTMIN : SIGRTMAX;
                return 0;
        }
        p = startswith(s, "RTMIN+");
        if (!p)
                p = startswith(s, "RTMAX-");
        if (!p)
                return -EINVAL;
        r = parse_u64_range(p, 0, (uint64_t) (SIGRTMAX - SIGRTMIN), &offset);
        if (r < 0)
                return r;
        *ret = s[3] == 'I' ? SIGRTMIN + (int) offset : SIGRTMAX - (int) offset;
        return 0;
}

int parse_signal(const char *s, int *ret) {
        const char *name;
        uint64_t x;
        int r;

        r = parse_u64_range(s, 1, (uint64_t) SIGRTMAX, &x);
        if (r == -ERANGE)
                return r;
        if (r == 0) {
                *ret = (int) x;
                return 0;
        }
        name = startswith(s, "SIG");
        if (!name)
                name = s;
        for (int i = 1; i < SIGSYS + 1; i++) {
                const char *known = sigabbrev_np(i);

                if (known && streq(known, name)) {
                        *ret = i;
                        return 0;
                }
        }
        return parse_realtime_signal(name, ret);
}

const char *format_signal(int signo, char buffer[static SIGNAL_STRING_MAX]) {
        const char *name = sigabbrev_np(signo);

        if (name)
                return name;
        if (signo >= SIGRTMIN && signo <= SIGRTMAX)
                (void) snprintf(buffer, SIGNAL_STRING_MAX, "RTMIN+%d", signo - SIGRTMIN);
        else
                (void) snprintf(buffer, SIGNAL_STRING_MAX, "%d", signo);
        return buffer;
}
