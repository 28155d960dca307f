/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UTF-8 by the Unicode Standard, table 3-7, for text that comes from files and people. Pure. */

#include "basic/utf8.h"

size_t utf8_sequence_size(const void *p, size_t left) {
        const uint8_t *b = p;
        uint8_t low = 0x80, high = 0xbf;
        size_t n;

        if (left == 0)
                return 0;
        if (b[0] < 0x80)
                return 1;
        if (b[0] >= 0xc2 && b[0] <= 0xdf)
                n = 2;
        else if (b[0] >= 0xe0 && b[0] <= 0xef)
                n = 3;
        else if (b[0] >= 0xf0 && b[0] <= 0xf4)
                n = 4;
        else
                return 0;
        if (left < n)
                return 0;

        /* the second byte is what excludes overlong forms, surrogates and numbers above U+10FFFF */
        if (b[0] == 0xe0)
                low = 0xa0;
        else if (b[0] == 0xed)
                high = 0x9f;
        else if (b[0] == 0xf0)
                low = 0x90;
        else if (b[0] == 0xf4)
                high = 0x8f;
        if (b[1] < low || b[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (b[i] < 0x80 || b[i] > 0xbf)
                        return 0;
        return n;
}

bool utf8_is_valid(const void *p, size_t size) {
        const uint8_t *b = p;

        while (size > 0) {
                size_t n = utf8_sequence_size(b, size);

                if (n == 0)
                        return false;
                b += n;
                size -= n;
        }
        return true;
}

size_t utf8_encode(uint32_t c, char ret[static 4]) {
        if (c < 0x80) {
                ret[0] = (char) c;
                return 1;
        }
        if (c < 0x800) {
                ret[0] = (char) (0xc0 | (c >> 6));
                ret[1] = (char) (0x80 | (c & 0x3f));
                return 2;
        }
        if (c >= 0xd800 && c <= 0xdfff)
                return 0;
        if (c < 0x10000) {
                ret[0] = (char) (0xe0 | (c >> 12));
                ret[1] = (char) (0x80 | ((c >> 6) & 0x3f));
                ret[2] = (char) (0x80 | (c & 0x3f));
                return 3;
        }
        if (c > 0x10ffff)
                return 0;
        ret[0] = (char) (0xf0 | (c >> 18));
        ret[1] = (char) (0x80 | ((c >> 12) & 0x3f));
        ret[2] = (char) (0x80 | ((c >> 6) & 0x3f));
        ret[3] = (char) (0x80 | (c & 0x3f));
        return 4;
}

/* C0, DEL, and C1, which is C2 80 ... C2 9F. */
static bool is_control(const uint8_t *b, size_t n) {
        return n == 1 ? b[0] < ' ' || b[0] == 0x7f : n == 2 && b[0] == 0xc2 && b[1] < 0xa0;
}

size_t utf8_control_size(const char *s) {
        const uint8_t *b = (const uint8_t *) s;
        size_t n = *s ? utf8_sequence_size(b, strnlen(s, 4)) : 0;

        return n > 0 && is_control(b, n) ? n : 0;
}

bool utf8_is_printable(const char *s) {
        for (const char *p = s; *p; p++)
                if (utf8_control_size(p) > 0)
                        return false;
        return utf8_is_valid(s, strlen(s));
}

void utf8_make_harmless(char *s, const char *keep) {
        while (*s) {
                size_t n = utf8_sequence_size(s, strnlen(s, 4));

                if ((n == 0 || utf8_control_size(s) > 0) && !strchr(keep, *s))
                        memset(s, '?', MAX(n, (size_t) 1));
                s += MAX(n, (size_t) 1);
        }
}

void utf8_make_printable(const char *s, size_t size, char *ret, size_t room) {
        static const char digits[16] = "0123456789abcdef";
        static const char cut[] = "...";
        const uint8_t *b = (const uint8_t *) s;
        char *end = ret + room - sizeof(cut); /* what follows the last character always fits */

        assert(room >= 8);
        for (size_t i = 0; i < size;) {
                size_t n = utf8_sequence_size(b + i, size - i);
                bool escape = n == 0 || is_control(b + i, n);

                n = MAX(n, (size_t) 1);
                if ((size_t) (end - ret) < (escape ? 4 * n : n)) {
                        ret = stpcpy(ret, cut);
                        break;
                }
                for (size_t k = 0; escape && k < n; k++) {
                        *ret++ = '\\';
                        *ret++ = 'x';
                        *ret++ = digits[b[i + k] >> 4];
                        *ret++ = digits[b[i + k] & 15];
                }
                if (!escape)
                        ret = (char *) memcpy(ret, b + i, n) + n;
                i += n;
        }
        *ret = 0;
}
