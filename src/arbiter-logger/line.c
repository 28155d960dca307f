/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes into lines. Called by stream.c. Must never assume that the bytes are text: a worker writes what it
 * wants. */

#include "arbiter-logger/line.h"

static const char *const names[] = { NULL, "nul", "line-max", "eof", "pid-change" };

const char *line_break_to_string(enum line_break b) {
        return (size_t) b < ELEMENTSOF(names) ? names[b] : NULL;
}

/* Bytes of the character that begins so; 1 for what begins none. */
static size_t character_size(uint8_t first) {
        return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
}

/* The limit, or a little less, so that no character is cut in two. */
static size_t cut(const char *data) {
        for (size_t i = LINE_LENGTH_MAX - 1; i >= LINE_LENGTH_MAX - 3; i--) {
                uint8_t byte = (uint8_t) data[i];

                if ((byte & 0xc0) == 0x80)
                        continue; /* in the midst of one */
                return i + character_size(byte) > LINE_LENGTH_MAX ? i : LINE_LENGTH_MAX;
        }
        return LINE_LENGTH_MAX;
}

bool line_next(const char *data, size_t size, size_t scanned, enum line_break end, struct line *ret) {
        size_t seen = MIN(size, (size_t) LINE_LENGTH_MAX + 1); /* the limit, and what ends it */
        const char *newline, *nul;

        if (scanned < seen) {
                newline = memchr(data + scanned, '\n', seen - scanned);
                nul = memchr(data + scanned, 0, (newline ? (size_t) (newline - data) : seen) - scanned);
                if (nul)
                        newline = nul;
                if (newline) {
                        *ret = (struct line){ .length = (size_t) (newline - data),
                                .consumed = (size_t) (newline - data) + 1,
                                .line_break = nul ? LINE_BREAK_NUL : LINE_BREAK_NEWLINE };
                        return true;
                }
        }
        if (size > LINE_LENGTH_MAX) {
                size_t n = cut(data);

                *ret = (struct line){ .length = n, .consumed = n, .line_break = LINE_BREAK_LINE_MAX };
                return true;
        }
        if (end == LINE_BREAK_NEWLINE || size == 0)
                return false;
        *ret = (struct line){ .length = size, .consumed = size, .line_break = end };
        return true;
}

size_t line_priority(const char *line, size_t length, int *ret) {
        if (length < 3 || line[0] != '<' || line[1] < '0' || line[1] > '7' || line[2] != '>')
                return 0;
        *ret = line[1] - '0';
        return 3;
}
