/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lines of a stream of bytes, by the rules of journald (LineMax= in journald.conf(5), _LINE_BREAK= in
 * systemd.journal-fields(7)). Pure. */

#include "basic/macro.h"

#define LINE_LENGTH_MAX (48 * 1024)

enum line_break {
        LINE_BREAK_NEWLINE,
        LINE_BREAK_NUL,
        LINE_BREAK_LINE_MAX,   /* it is longer, and goes on in the next one */
        LINE_BREAK_EOF,        /* nothing follows */
        LINE_BREAK_PID_CHANGE /* what follows is another process's */
};

struct line {
        size_t length;   /* without what ended it */
        size_t consumed; /* with it */
        enum line_break line_break;
};

/* The first line of data. scanned: so many bytes have been seen to end no line. end: what to call the end of
 * data (EOF, PID_CHANGE), or NEWLINE if more may come. False: there is no whole line yet (or nothing). */
bool line_next(const char *data, size_t size, size_t scanned, enum line_break end, struct line *ret);

/* "<3>text": the length of the prefix, and the priority; else 0. */
size_t line_priority(const char *line, size_t length, int *ret);

/* "nul", "line-max" ...; NULL for a newline. */
const char *line_break_to_string(enum line_break b);
