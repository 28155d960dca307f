/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time spans as people write and read them, after systemd.time(7). Pure. */

#include <inttypes.h>
#include <stdio.h>

#include "basic/time-util.h"

#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define USEC_PER_WEEK (7 * USEC_PER_DAY)
#define USEC_PER_MONTH ((usec_t) 2629800 * USEC_PER_SEC)
#define USEC_PER_YEAR ((usec_t) 31557600 * USEC_PER_SEC)

static const struct {
        const char *suffix;
        usec_t usec;
} units[] = {
        { "seconds", USEC_PER_SEC },    { "second", USEC_PER_SEC },    { "sec", USEC_PER_SEC },
        { "s", USEC_PER_SEC },          { "minutes", USEC_PER_MINUTE }, { "minute", USEC_PER_MINUTE },
        { "min", USEC_PER_MINUTE },     { "months", USEC_PER_MONTH },  { "month", USEC_PER_MONTH },
        { "M", USEC_PER_MONTH },        { "msec", USEC_PER_MSEC },     { "ms", USEC_PER_MSEC },
        { "m", USEC_PER_MINUTE },       { "hours", USEC_PER_HOUR },    { "hour", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },        { "h", USEC_PER_HOUR },        { "days", USEC_PER_DAY },
        { "day", USEC_PER_DAY },        { "d", USEC_PER_DAY },         { "weeks", USEC_PER_WEEK },
        { "week", USEC_PER_WEEK },      { "w", USEC_PER_WEEK },        { "years", USEC_PER_YEAR },
        { "year", USEC_PER_YEAR },      { "y", USEC_PER_YEAR },        { "usec", 1 },
        { "us", 1 },                    { "\302\265s", 1 },            { "\316\274s", 1 },
};

static const char *skip_blanks(const char *s) {
        return s + strspn(s, " \t\n\r");
}

/* The unit at *s, which must be a whole word; seconds if there is none. 0: not a unit. */
static usec_t scan_unit(const char **s) {
        size_t n = strcspn(*s, " \t\n\r0123456789.");

        if (n == 0)
                return USEC_PER_SEC;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].suffix) == n && memcmp(units[i].suffix, *s, n) == 0) {
                        *s += n;
                        return units[i].usec;
                }
        return 0;
}

/* One component, "1.5s": the number and its unit. Digits beyond a microsecond are read and do not count. */
static int scan_component(const char **s, usec_t *ret) {
        unsigned __int128 whole = 0, part = 0, scale = 1, sum;
        const char *p = *s;
        bool digits = false, overflow = false;
        usec_t unit;

        for (; *p >= '0' && *p <= '9'; p++, digits = true) {
                whole = whole * 10 + (unsigned) (*p - '0');
                if (whole > UINT64_MAX) {
                        overflow = true;
                        whole = UINT64_MAX;
                }
        }
        if (*p == '.')
                for (p++; *p >= '0' && *p <= '9'; p++, digits = true)
                        if (scale < 1000000000000000ULL) {
                                part = part * 10 + (unsigned) (*p - '0');
                                scale *= 10;
                        }
        if (!digits || *p == '.')
                return -EINVAL;

        p = skip_blanks(p);
        unit = scan_unit(&p);
        if (unit == 0)
                return -EINVAL;
        sum = whole * unit + part * unit / scale;
        if (sum >= USEC_INFINITY)
                overflow = true;
        *s = p;
        *ret = overflow ? USEC_INFINITY : (usec_t) sum;
        return 0;
}

int parse_timespan(const char *s, usec_t *ret) {
        usec_t sum = 0;
        bool any = false, overflow = false;
        const char *p;

        s = skip_blanks(s);
        p = startswith(s, "infinity");
        if (p && *skip_blanks(p) == 0) {
                *ret = USEC_INFINITY;
                return 0;
        }

        for (s = skip_blanks(s); *s; s = skip_blanks(s)) {
                usec_t t;
                int r = scan_component(&s, &t);

                if (r < 0)
                        return r;
                any = true;
                sum = time_add(sum, t);
                if (sum == USEC_INFINITY)
                        overflow = true;
        }
        if (!any)
                return -EINVAL;
        if (overflow)
                return -ERANGE;
        *ret = sum;
        return 0;
}

static const struct {
        const char *suffix;
        usec_t usec;
} display[] = {
        { "y", USEC_PER_YEAR },     { "month", USEC_PER_MONTH }, { "w", USEC_PER_WEEK },
        { "d", USEC_PER_DAY },      { "h", USEC_PER_HOUR },      { "min", USEC_PER_MINUTE },
        { "s", USEC_PER_SEC },      { "ms", USEC_PER_MSEC },     { "us", 1 },
};

char *format_timespan(char *buffer, size_t size, usec_t t) {
        size_t n = 0;

        if (size == 0)
                return buffer;
        buffer[0] = 0;
        if (t == USEC_INFINITY || t == 0) {
                (void) snprintf(buffer, size, "%s", t == 0 ? "0" : "infinity");
                return buffer;
        }

        for (size_t i = 0; i < ELEMENTSOF(display) && t > 0 && n < size; i++) {
                usec_t unit = display[i].usec, rest = t % unit;
                const char *blank = n > 0 ? " " : "";

                if (t < unit)
                        continue;
                /* The last component carries up to three digits of the next smaller unit. */
                if (unit <= USEC_PER_SEC && rest / MAX(unit / 1000, (usec_t) 1) > 0 && unit > 1) {
                        n += (size_t) snprintf(buffer + n, size - n, "%s%" PRIu64 ".%03" PRIu64 "%s", blank,
                                               t / unit, rest / (unit / 1000), display[i].suffix);
                        break;
                }
                n += (size_t) snprintf(buffer + n, size - n, "%s%" PRIu64 "%s", blank, t / unit,
                                       display[i].suffix);
                if (unit <= USEC_PER_SEC)
                        break;
                t = rest;
        }
        return buffer;
}

char *format_timespan_rounded(char *buffer, size_t size, usec_t t) {
        if (t >= 60 * USEC_PER_SEC)
                return format_timespan(buffer, size, t == USEC_INFINITY ? t : t - t % USEC_PER_SEC);
        (void) snprintf(buffer, size, "%.3g s", (double) t / (double) USEC_PER_SEC);
        return buffer;
}
