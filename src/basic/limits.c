/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resource limits by systemd's names. Only parses; the spawner applies them. */

#include "basic/parse.h"
#include "basic/time-util.h"
#include "basic/limits.h"

enum kind { KIND_NUMBER, KIND_SIZE, KIND_SECONDS, KIND_USEC, KIND_NICE };

static const struct {
        const char *name;
        enum kind kind;
} limits[N_LIMITS] = {
        [RLIMIT_CPU] = { "CPU", KIND_SECONDS },
        [RLIMIT_FSIZE] = { "FSIZE", KIND_SIZE },
        [RLIMIT_DATA] = { "DATA", KIND_SIZE },
        [RLIMIT_STACK] = { "STACK", KIND_SIZE },
        [RLIMIT_CORE] = { "CORE", KIND_SIZE },
        [RLIMIT_RSS] = { "RSS", KIND_SIZE },
        [RLIMIT_NOFILE] = { "NOFILE", KIND_NUMBER },
        [RLIMIT_AS] = { "AS", KIND_SIZE },
        [RLIMIT_NPROC] = { "NPROC", KIND_NUMBER },
        [RLIMIT_MEMLOCK] = { "MEMLOCK", KIND_SIZE },
        [RLIMIT_LOCKS] = { "LOCKS", KIND_NUMBER },
        [RLIMIT_SIGPENDING] = { "SIGPENDING", KIND_NUMBER },
        [RLIMIT_MSGQUEUE] = { "MSGQUEUE", KIND_SIZE },
        [RLIMIT_NICE] = { "NICE", KIND_NICE },
        [RLIMIT_RTPRIO] = { "RTPRIO", KIND_NUMBER },
        [RLIMIT_RTTIME] = { "RTTIME", KIND_USEC },
};

const char *limit_to_string(int resource) {
        return resource >= 0 && resource < (int) N_LIMITS ? limits[resource].name : NULL;
}

const char *limit_kind(int resource) {
        switch (limits[resource].kind) {
        case KIND_SIZE:
                return "a size such as 64M, infinity, or SOFT:HARD";
        case KIND_SECONDS:
        case KIND_USEC:
                return "a time span such as 10min, infinity, or SOFT:HARD";
        case KIND_NICE:
                return "a nice level from -20 to +19 with its sign, a number from 0 to 40, or SOFT:HARD";
        default:
                return "a number, infinity, or SOFT:HARD";
        }
}

static int parse_nice(const char *s, uint64_t *ret) {
        int32_t nice;
        int r;

        if (*s != '-' && *s != '+')
                return parse_u64_range(s, 0, 40, ret);
        r = parse_i32(s, &nice);
        if (r < 0)
                return r;
        if (nice < -20 || nice > 19)
                return -ERANGE;
        *ret = (uint64_t) (20 - nice);
        return 0;
}

static int parse_value(enum kind kind, const char *s, rlim_t *ret) {
        uint64_t x = 0;
        int r;

        if (streq(s, "infinity")) {
                *ret = RLIM_INFINITY;
                return 0;
        }
        switch (kind) {
        case KIND_SIZE:
                r = parse_size(s, &x);
                break;
        case KIND_NICE:
                r = parse_nice(s, &x);
                break;
        case KIND_SECONDS:
                r = parse_timespan(s, &x);
                /* rounded up: a limit of 0 s would kill at once */
                x = x / USEC_PER_SEC + (x % USEC_PER_SEC > 0);
                break;
        case KIND_USEC: /* a bare number is microseconds, the kernel's unit, as in systemd */
                r = parse_u64(s, &x);
                if (r == -EINVAL)
                        r = parse_timespan(s, &x);
                break;
        default:
                r = parse_u64(s, &x);
        }
        if (r < 0)
                return r;
        if (x >= RLIM_INFINITY)
                return -ERANGE;
        *ret = (rlim_t) x;
        return 0;
}

int limit_parse(int resource, const char *s, struct rlimit *ret) {
        const char *colon = strchr(s, ':');
        struct rlimit l;
        int r;

        if (!colon) {
                r = parse_value(limits[resource].kind, s, &l.rlim_cur);
                l.rlim_max = l.rlim_cur;
        } else {
                _cleanup_free_ char *soft = strndup(s, (size_t) (colon - s));

                if (!soft)
                        return -ENOMEM;
                r = parse_value(limits[resource].kind, soft, &l.rlim_cur);
                if (r >= 0)
                        r = parse_value(limits[resource].kind, colon + 1, &l.rlim_max);
        }
        if (r < 0)
                return r;
        if (l.rlim_cur > l.rlim_max)
                return -EILSEQ;
        *ret = l;
        return 0;
}
