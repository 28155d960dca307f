/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words as systemd.syntax(7) and systemd.service(5) quote them. Called for command lines and for lists of
 * settings. Expands nothing and never asks a shell. */

#include "basic/utf8.h"
#include "basic/words.h"

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -EINVAL;
}

/* n digits of a number in base 8 or 16 at s, which is moved behind them. */
static int scan_number(const char **s, size_t n, unsigned base, uint32_t *ret) {
        uint32_t x = 0;

        for (size_t i = 0; i < n; i++) {
                int digit = hex_digit((*s)[i]);

                if (digit < 0 || (unsigned) digit >= base)
                        return -EINVAL;
                x = x * base + (uint32_t) digit;
        }
        *s += n;
        *ret = x;
        return 0;
}

/* One escape, *s is behind the backslash. Writes at most 4 bytes, returns how many. */
static int unescape(const char **s, char ret[static 4]) {
        static const char letters[] = "abfnrtvs\\\"'", values[] = "\a\b\f\n\r\t\v \\\"'";
        const char *p = **s ? strchr(letters, **s) : NULL;
        char kind = **s;
        uint32_t c;
        int r;

        if (p) {
                ret[0] = values[p - letters];
                (*s)++;
                return 1;
        }
        if (kind >= '0' && kind <= '3')
                r = scan_number(s, 3, 8, &c);
        else if (kind == 'x' || kind == 'u' || kind == 'U') {
                (*s)++;
                r = scan_number(s, kind == 'x' ? 2 : kind == 'u' ? 4 : 8, 16, &c);
        } else
                return -EINVAL;
        if (r < 0 || c == 0)
                return -EINVAL;
        if (kind == 'u' || kind == 'U') {
                r = (int) utf8_encode(c, ret);
                return r > 0 ? r : -EINVAL;
        }
        ret[0] = (char) c;
        return 1;
}

/* The result is never longer than the source. */
int word_scan(const char **s, const char *keep, char **ret, const char **ret_why) {
        _cleanup_free_ char *word = malloc(strlen(*s) + 4);
        const char *p = *s;
        char quote = 0;
        size_t n = 0;

        if (!word)
                return -ENOMEM;
        while (*p && (quote || !strchr(BLANKS, *p))) {
                if (*p == '\\' && keep && p[1] && strchr(keep, p[1])) {
                        word[n++] = *p++;
                        word[n++] = *p++;
                } else if (*p == '\\') {
                        int r;

                        p++;
                        r = unescape(&p, word + n);
                        if (r < 0) {
                                *ret_why = "a backslash is followed by no escape that is known; write \\\\ "
                                           "for a "
                                           "backslash";
                                return r;
                        }
                        n += (size_t) r;
                } else if (quote ? *p == quote : *p == '"' || *p == '\'')
                        quote = quote ? 0 : *p, p++;
                else
                        word[n++] = *p++;
        }
        if (quote) {
                *ret_why = "a quote is opened and not closed";
                return -EINVAL;
        }
        word[n] = 0;
        *s = p;
        *ret = TAKE_PTR(word);
        return 0;
}
