/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How answers look: JSON, terminal colours, the few characters that are not ASCII, and numbers for people.
 */

#include <stdio.h>

#include "basic/time-util.h"

enum json_mode { JSON_OFF, JSON_SHORT, JSON_PRETTY };

/* sd-bus refuses bodies deeper than 128 containers, and a container takes at most two levels of ours. */
#define JSON_DEPTH_MAX 272

/* A writer of one JSON value after another; it never allocates. Misuse is a bug of the caller and asserts.
 */
struct json {
        FILE *f;
        bool pretty;
        bool after_key;
        unsigned depth;
        bool used[JSON_DEPTH_MAX]; /* this level has an element already */
};

int json_mode_from_string(const char *s, enum json_mode *ret);

void json_init(struct json *j, FILE *f, enum json_mode mode);
void json_open(struct json *j, char bracket);  /* { or [ */
void json_close(struct json *j, char bracket); /* } or ] */
void json_key(struct json *j, const char *key);
void json_string(struct json *j, const char *s); /* NULL: null */
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_bool(struct json *j, bool v);
void json_double(struct json *j, double v); /* what JSON cannot say (infinity, not a number) is null */
void json_null(struct json *j);
void json_end(struct json *j); /* of a complete value: a newline */
/* The list that a verb prints on stdout; with JSON_OFF nothing of it. */
void json_list_begin(struct json *j, enum json_mode mode);
/* Unless something has failed within an element. */
void json_list_end(struct json *j);

static inline void json_key_string(struct json *j, const char *key, const char *s) {
        json_key(j, key);
        json_string(j, s);
}
static inline void json_key_u64(struct json *j, const char *key, uint64_t v) {
        json_key(j, key);
        json_u64(j, v);
}

/* "MemoryBytes" is "memory_bytes", "CPUUsec" is "cpu_usec", "PID" is "pid": the name of a D-Bus property as
 * a JSON key. Cut to size. */
char *snake_case(const char *name, char *buffer, size_t size);

enum glyph {
        GLYPH_DOT,
        GLYPH_ARROW,
        GLYPH_USEC,
        GLYPH_BRANCH,
        GLYPH_LAST,
        GLYPH_VERTICAL,
        GLYPH_SPACE,
        GLYPH_ELLIPSIS
};
enum colour { COLOUR_NORMAL, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED, COLOUR_GREY, COLOUR_BOLD };

/* Once, at the start: sets LC_CTYPE, decides on UTF-8 and on colours ($SYSTEMD_COLORS, $NO_COLOR, $TERM, a
 * terminal on stdout). */
void output_init(void);
bool output_is_utf8(void);
bool output_is_coloured(void);
bool output_is_terminal(void);
/* Columns of the terminal, or what $COLUMNS says; 0: no terminal, do not cut. */
unsigned output_width(void);
unsigned output_height(void);

/* Cells that a text takes on a terminal. Bytes that are no text count one each. */
unsigned text_width(const char *s);
/* Cuts a text to a width, with an ellipsis at its end if something is lost; in place, so that size (of the
 * buffer, at least that of the text and 4) must suffice. */
char *text_cut(char *s, size_t size, unsigned width);
const char *glyph(enum glyph g);
/* The escape sequence, or "" without colours. */
const char *colour(enum colour c);
/* An actor's or a monitor's state as a colour: running green, failed red, on the way yellow, at rest grey.
 */
enum colour state_colour(const char *state);

/* "412us", "3.2ms", "45s", "5min 3s", "2h 7min", "3d 4h": two components at most, for columns. */
#define DURATION_STRING_MAX 32
char *format_duration(char buffer[static DURATION_STRING_MAX], usec_t t);
/* "512B", "22.1M", powers of 1024; "-" for UINT64_MAX. */
#define BYTES_STRING_MAX 16
char *format_bytes(char buffer[static BYTES_STRING_MAX], uint64_t n);
/* The shortest text that reads back as the same number. */
#define DOUBLE_STRING_MAX 32
char *format_double(char buffer[static DOUBLE_STRING_MAX], double v);
