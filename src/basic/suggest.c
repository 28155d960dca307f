/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Edit distance with transpositions (optimal string alignment), for unknown keys and verbs. Words over 63
 * characters are never suggested, so the tables are small and on the stack. */

#include <ctype.h>

#include "basic/suggest.h"

enum { WORD_MAX = 63 };

static size_t smaller(size_t a, size_t b) {
        return a < b ? a : b;
}

static bool same(char a, char b) {
        return tolower((unsigned char) a) == tolower((unsigned char) b);
}

static size_t distance(const char *a, size_t n, const char *b, size_t m) {
        uint8_t d[WORD_MAX + 1][WORD_MAX + 1];

        for (size_t i = 0; i <= n; i++)
                d[i][0] = (uint8_t) i;
        for (size_t j = 0; j <= m; j++)
                d[0][j] = (uint8_t) j;
        for (size_t i = 1; i <= n; i++)
                for (size_t j = 1; j <= m; j++) {
                        size_t best = smaller(d[i - 1][j], d[i][j - 1]) + 1u;

                        best = smaller(best, d[i - 1][j - 1] + (same(a[i - 1], b[j - 1]) ? 0u : 1u));
                        if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                                best = smaller(best, d[i - 2][j - 2] + 1u);
                        d[i][j] = (uint8_t) best;
                }
        return d[n][m];
}

/* "ExecStart" for "Exec": one is the other with more behind it. */
static bool is_extension(const char *a, size_t n, const char *b, size_t m) {
        size_t l = smaller(n, m);

        for (size_t i = 0; i < l; i++)
                if (!same(a[i], b[i]))
                        return false;
        return l >= 4;
}

void suggest(struct suggestion *s, const char *typed, const char *candidate) {
        size_t n = strlen(typed), m = strlen(candidate), d, most;

        if (n == 0 || m == 0 || n > WORD_MAX || m > WORD_MAX)
                return;
        d = is_extension(typed, n, candidate, m) ? 1 : distance(typed, n, candidate, m);
        /* More than a third of the letters wrong is another word. */
        most = smaller(3, smaller(n, m) / 3);
        if (d > (most > 0 ? most : 1) || d >= smaller(n, m))
                return;
        if (!s->word || d < s->distance)
                *s = (struct suggestion){ candidate, d };
}
