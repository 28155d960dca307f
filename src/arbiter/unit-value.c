/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of units with one value: text as in unit files to what systemd takes over D-Bus. Called by
 * unit-settings.c through its table. Pure: what a name or a path stands for is systemd's to find out. */

#include <stdarg.h>
#include <stdio.h>

#include "arbiter/unit-value.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/text.h"
#include "basic/time-util.h"
#include "basic/utf8.h"
#include "basic/words.h"
#include "wire/message.h"

#define PERMYRIAD 10000U
/* SECCOMP_RET_KILL_PROCESS instead of an errno, as systemd writes it */
#define ERRNO_KILL (INT32_MAX - 1)

int unit_value_expected(struct unit_value *v, const char *format, ...) {
        va_list ap;

        free(v->expected);
        va_start(ap, format);
        v->expected = text_formatv(format, ap);
        va_end(ap);
        return v->expected ? -EINVAL : -ENOMEM;
}

int unit_value_open(struct unit_value *v, const char *suffix, const char *signature, arbiter_message **ret) {
        struct unit_value_property *p = &v->properties[v->n];
        int r;

        assert(v->n < UNIT_VALUE_PROPERTIES);
        (void) snprintf(p->name, sizeof(p->name), "%s%s",
                        v->setting->property ? v->setting->property : v->setting->name,
                        suffix ? suffix : "");
        p->signature = signature;
        r = arbiter_message_new(&p->m);
        if (r < 0)
                return r;
        v->n++;
        *ret = p->m;
        return 0;
}

int unit_value_put(struct unit_value *v, ...) {
        arbiter_message *m;
        va_list ap;
        int r;

        r = unit_value_open(v, NULL, v->setting->signature, &m);
        if (r < 0)
                return r;
        va_start(ap, v);
        r = arbiter_message_appendv(m, v->setting->signature, ap);
        va_end(ap);
        return r;
}

static int put_as(struct unit_value *v, const char *suffix, const char *signature, ...) {
        arbiter_message *m;
        va_list ap;
        int r;

        r = unit_value_open(v, suffix, signature, &m);
        if (r < 0)
                return r;
        va_start(ap, signature);
        r = arbiter_message_appendv(m, signature, ap);
        va_end(ap);
        return r;
}

int unit_value_word(struct unit_value *v, const char **s, const char *keep, char **ret) {
        const char *why;
        char *word;
        int r;

        *s += strspn(*s, BLANKS);
        if (!**s)
                return 0;
        r = word_scan(s, keep, &word, &why);
        if (r == -EINVAL)
                return unit_value_expected(v, "a list of words: %s", why);
        if (r < 0)
                return r;
        if (!utf8_is_valid(word, strlen(word))) {
                free(word);
                return unit_value_expected(v, "text: its escapes make no UTF-8");
        }
        *ret = word;
        return 1;
}

size_t unit_value_fields(char *word, char *fields[], size_t max) {
        char *to = word;
        size_t n = 1;

        fields[0] = word;
        for (const char *p = word; *p; p++) {
                if (*p == ':' && n <= max) {
                        *to++ = 0;
                        if (n < max)
                                fields[n] = to;
                        n++;
                        continue;
                }
                if (*p == '\\' && p[1])
                        p++;
                *to++ = *p;
        }
        *to = 0;
        return n;
}

bool unit_path_is_good(const char *s, const char *prefixes) {
        s += strspn(s, prefixes);
        return *s == '/' && strlen(s) < 4096;
}

int unit_value_string(struct unit_value *v, const char *s) {
        return unit_value_put(v, s);
}

int unit_value_label(struct unit_value *v, const char *s) {
        if (v->setting->signature[0] == '(')
                return unit_value_put(v, *s == '-', s + (*s == '-'));
        if (*s == '-')
                return unit_value_expected(v, "free of the - in front, which systemd takes from unit files "
                                              "only");
        return unit_value_put(v, s);
}

int unit_value_path(struct unit_value *v, const char *s) {
        const char *prefixes = v->setting->parameter ? v->setting->parameter : "";

        if (!unit_path_is_good(s, prefixes))
                return unit_value_expected(v, "an absolute path; write it from / on");
        return unit_value_put(v, s);
}

int unit_value_working_directory(struct unit_value *v, const char *s) {
        if (!unit_path_is_good(s, "-") && !streq(s, "~") && !streq(s, "-~"))
                return unit_value_expected(v, "an absolute path, or ~ for the home directory of User=; a - "
                                              "in front means that it may be missing");
        return unit_value_put(v, s);
}

/* "yes, no or strict" into v->expected. */
static int expected_words(struct unit_value *v, const struct unit_word *words, const char *more) {
        char text[512];
        size_t n = 0;

        text[0] = 0;
        for (const struct unit_word *w = words; w->word && n < sizeof(text); w++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s",
                                       w == words ? "" : w[1].word || more ? ", " : " or ", w->word);
        return unit_value_expected(v, "%s%s", text, more ? more : "");
}

int unit_value_one_word(struct unit_value *v, const char *s) {
        const struct unit_word *words = v->setting->parameter;
        bool yes;

        for (const struct unit_word *w = words; w->word; w++)
                if (streq(s, w->word))
                        return unit_value_put(v, s);
        if (streq(words->word, "yes") && parse_bool(s, &yes) >= 0)
                return unit_value_put(v, yes ? "yes" : "no");
        return expected_words(v, words, NULL);
}

int unit_value_boolean(struct unit_value *v, const char *s) {
        bool yes;

        if (parse_bool(s, &yes) < 0)
                return unit_value_expected(v, "yes or no");
        return unit_value_put(v, (int) yes);
}

int unit_value_integer(struct unit_value *v, const char *s) {
        const struct unit_range *range = v->setting->parameter;
        int32_t i;

        if (parse_i32(s, &i) < 0 || i < range->min || i > range->max)
                return unit_value_expected(v, "a whole number from %d to %d", (int) range->min,
                                           (int) range->max);
        return unit_value_put(v, i);
}

int unit_value_unsigned(struct unit_value *v, const char *s) {
        uint32_t max = v->setting->signature[0] == 'q' ? UINT16_MAX : UINT32_MAX, u;

        if (parse_u32(s, &u) < 0 || u > max)
                return unit_value_expected(v, "a whole number from 0 to %u", max);
        return unit_value_put(v, u);
}

int unit_value_u64(struct unit_value *v, const char *s) {
        const struct unit_range *range = v->setting->parameter;
        uint64_t t;

        if (parse_u64_range(s, (uint64_t) range->min, (uint64_t) range->max, &t) < 0)
                return unit_value_expected(v, "a whole number from %lld to %lld", (long long) range->min,
                                           (long long) range->max);
        return unit_value_put(v, t);
}

int unit_value_cpu_weight(struct unit_value *v, const char *s) {
        uint64_t t = 0;

        if (!streq(s, "idle") && parse_u64_range(s, 1, 10000, &t) < 0)
                return unit_value_expected(v, "a weight from 1 to 10000, or idle");
        return unit_value_put(v, t);
}

int unit_value_code(struct unit_value *v, const char *s) {
        const struct unit_word *words = v->setting->parameter;
        int32_t i;

        for (const struct unit_word *w = words; w->word; w++)
                if (streq(s, w->word))
                        return v->setting->signature[0] == 't' ? unit_value_put(v, (uint64_t) w->value)
                                                               : unit_value_put(v, (int32_t) w->value);
        if (v->setting->signature[0] == 't')
                return expected_words(v, words, NULL);
        if (parse_i32(s, &i) >= 0)
                for (const struct unit_word *w = words; w->word; w++)
                        if (w->value == i)
                                return unit_value_put(v, i);
        return expected_words(v, words, ", or its number");
}

int unit_value_timespan(struct unit_value *v, const char *s) {
        const struct unit_range *range = v->setting->parameter;
        usec_t t;

        if (parse_timespan(s, &t) < 0)
                return unit_value_expected(v, "a time span such as 30s, 500ms, 2min or infinity");
        if (range && (t < (uint64_t) range->min || t > (uint64_t) range->max))
                return unit_value_expected(v, "a time span from %lldms to %lldms",
                                           (long long) range->min / 1000, (long long) range->max / 1000);
        return unit_value_put(v, (uint64_t) t);
}

int unit_value_nsec(struct unit_value *v, const char *s) {
        size_t digits = strspn(s, "0123456789");
        const char *unit = s + digits + strspn(s + digits, BLANKS);
        _cleanup_free_ char *number = strndup(s, digits);
        uint64_t t;
        int r;

        if (!number)
                return -ENOMEM;
        if (!*unit || streq(unit, "ns") || streq(unit, "nsec"))
                r = parse_u64(number, &t);
        else {
                r = parse_timespan(s, &t);
                if (r >= 0 && t != USEC_INFINITY)
                        r = __builtin_mul_overflow(t, (uint64_t) NSEC_PER_USEC, &t) ? -ERANGE : 0;
        }
        if (r < 0)
                return unit_value_expected(v, "a time span such as 50us; a bare number is nanoseconds");
        return unit_value_put(v, t);
}

/* "12.5%" is 1250. */
static int parse_permyriad(const char *s, uint64_t max, uint32_t *ret) {
        _cleanup_free_ char *number = strdup(s);
        char *percent = number ? strchr(number, '%') : NULL;
        uint64_t x;
        int r;

        if (!number)
                return -ENOMEM;
        if (!percent || percent[1])
                return -EINVAL;
        *percent = 0;
        r = parse_permille(number, &x); /* thousandths of a percent */
        if (r < 0)
                return -EINVAL;
        if (x % 10 || x / 10 > max)
                return -EINVAL;
        *ret = (uint32_t) (x / 10);
        return 0;
}

/* A fraction of 2^32 - 1. */
static uint32_t scale(uint32_t permyriad) {
        return (uint32_t) (((uint64_t) permyriad * UINT32_MAX + PERMYRIAD / 2) / PERMYRIAD);
}

static int amount(struct unit_value *v, const char *s, int (*parse)(const char *, uint64_t *),
                  const char *expected) {
        uint32_t permyriad;
        uint64_t t;
        int r;

        if (streq(s, "infinity"))
                return unit_value_put(v, UINT64_MAX);
        if (parse(s, &t) >= 0 && t < UINT64_MAX)
                return unit_value_put(v, t);
        r = parse_permyriad(s, PERMYRIAD, &permyriad);
        if (r == -EINVAL)
                return unit_value_expected(v, "%s", expected);
        return r < 0 ? r : put_as(v, "Scale", "u", scale(permyriad));
}

int unit_value_amount(struct unit_value *v, const char *s) {
        return amount(v, s, parse_size, "a size such as 500M, a percentage such as 20%, or infinity");
}

int unit_value_number(struct unit_value *v, const char *s) {
        return amount(v, s, parse_u64, "a number, a percentage such as 20%, or infinity");
}

/* Of one CPU, so 200% are two. */
int unit_value_quota(struct unit_value *v, const char *s) {
        uint32_t permyriad;
        int r;

        r = parse_permyriad(s, UINT32_MAX, &permyriad);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || permyriad == 0)
                return unit_value_expected(v, "a percentage of one CPU; write for example CPUQuota=20%%");
        return unit_value_put(v, (uint64_t) permyriad * USEC_PER_SEC / PERMYRIAD);
}

int unit_value_pressure(struct unit_value *v, const char *s) {
        uint32_t permyriad;
        int r;

        r = parse_permyriad(s, PERMYRIAD, &permyriad);
        if (r == -EINVAL)
                return unit_value_expected(v, "a percentage from 0%% to 100%%");
        return r < 0 ? r : unit_value_put(v, scale(permyriad));
}

int unit_value_mode(struct unit_value *v, const char *s) {
        mode_t mode;

        if (parse_mode(s, &mode) < 0)
                return unit_value_expected(v, "an octal file mode; write for example %s=0755",
                                           v->setting->name);
        return unit_value_put(v, (uint32_t) mode);
}

int unit_value_signal(struct unit_value *v, const char *s) {
        int signal;

        if (parse_signal(s, &signal) < 0)
                return unit_value_expected(v, "a signal; write its name, for example %s=SIGTERM",
                                           v->setting->name);
        return unit_value_put(v, (int32_t) signal);
}

int unit_value_limit(struct unit_value *v, const char *s) {
        int resource = (int) ((const struct unit_range *) v->setting->parameter)->min;
        struct rlimit l;
        int r;

        r = limit_parse(resource, s, &l);
        if (r == -EILSEQ)
                return unit_value_expected(v,
                                           "SOFT:HARD with a soft limit that is at most the hard one");
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return unit_value_expected(v, "%s", limit_kind(resource));
        r = unit_value_put(v, (uint64_t) l.rlim_max);
        return r < 0 ? r : put_as(v, "Soft", "t", (uint64_t) l.rlim_cur);
}

/* Not "inherit": standard input is the actor's mailbox. Not "socket" or "fd:", which take them from a socket
 * unit. */
int unit_value_output(struct unit_value *v, const char *s) {
        static const char *const words[] = { "null", "tty", "journal", "kmsg", "journal+console",
                                             "kmsg+console" };
        static const char *const files[][2] = {
                { "file:", "File" }, { "append:", "FileToAppend" }, { "truncate:", "FileToTruncate" }
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(s, words[i]))
                        return unit_value_put(v, s);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                const char *path = startswith(s, files[i][0]);

                if (path && unit_path_is_good(path, ""))
                        return put_as(v, files[i][1], "s", path);
        }
        return unit_value_expected(v, "null, journal, kmsg, tty, journal+console, kmsg+console, or file:, "
                                      "append: or truncate: with an absolute path");
}

int unit_value_error_number(struct unit_value *v, const char *s) {
        int32_t i;

        if (streq(s, "kill"))
                return unit_value_put(v, (int32_t) ERRNO_KILL);
        if (parse_i32(s, &i) >= 0 && i >= 0 && i <= 4095)
                return unit_value_put(v, i);
        for (i = 1; i < 4096; i++) {
                const char *name = strerrorname_np(i);

                if (name && streq(name, s))
                        return unit_value_put(v, i);
        }
        return unit_value_expected(v, "kill or an error of errno(3), for example EPERM");
}

static int hex_digit(char c) {
        const char *digits = "0123456789abcdef", *p = c ? strchr(digits, c | ' ') : NULL;

        return p ? (int) (p - digits) : -EINVAL;
}

/* A file, or (of RootHash=) the hash itself. */
int unit_value_hash(struct unit_value *v, const char *s) {
        size_t n = strlen(s) / 2;
        _cleanup_free_ uint8_t *bytes = NULL;
        arbiter_message *m;
        int r;

        if (unit_path_is_good(s, ""))
                return put_as(v, "Path", "s", s);
        bytes = malloc(n + 1);
        if (!bytes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);

                if (high < 0 || low < 0)
                        n = 0;
                else
                        bytes[i] = (uint8_t) (high << 4 | low);
        }
        if (n < 16 || s[2 * n] || v->setting->parameter)
                return unit_value_expected(v, v->setting->parameter ? "an absolute path"
                                                                    : "an absolute path, or a hash of at "
                                                                      "least 32 hexadecimal digits");
        r = unit_value_open(v, NULL, "ay", &m);
        return r < 0 ? r : arbiter_message_append_array(m, 'y', bytes, n);
}
