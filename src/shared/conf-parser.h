/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemd's INI dialect, driven by a table. Sections in brackets, KEY=VALUE, comments from # or ; at the
 * start of a line, a backslash at the end of a line joins the next one (comments in between are left out),
 * UTF-8 only. An unknown section or key is a warning; a bad value is an error, and the rest of the file is
 * still read, so that one run shows all there is to mend. Nothing is printed here: messages go to the
 * caller's function. */

#include "basic/macro.h"

/* Limits on hostile input, far above what people write. */
#define CONF_LINE_MAX ((size_t) 64 * 1024) /* after joining */
#define CONF_FILE_MAX ((size_t) 1024 * 1024)

enum conf_level { CONF_ERROR = 3, CONF_WARNING = 4, CONF_DEBUG = 7 }; /* syslog's numbers */

/* Where messages go. line 0: the file as a whole. text is one sentence or two, without place and without
 * newline; all pointers are borrowed for the call. */
struct conf_sink {
        void (*message)(void *userdata, enum conf_level level, const char *file, unsigned line,
                        const char *text);
        void *userdata;
};

struct conf_item;

/* What a parse function gets to know. */
struct conf_context {
        const struct conf_sink *sink;
        const char *file;
        unsigned line; /* of the first line, if the assignment was continued */
        const char *section, *key;
        const struct conf_item *item;
        const struct conf_parser *parser;
};

/* field is parser->data + item->offset. Returns 0; -EBADMSG after a message (conf_bad_value()); -ENOMEM and
 * the like end the parsing at once. The value is trimmed and valid UTF-8 without control characters other
 * than tab. */
typedef int (*conf_parse_fn)(const struct conf_context *c, const char *value, void *field);

struct conf_item {
        const char *section;
        const char *key; /* NULL: every key of this section */
        conf_parse_fn parse;
        size_t offset;
        const void *parameter; /* what parse makes of it: a range, a table of words */
};

/* A key that other programs have, and what it is here. */
struct conf_foreign {
        const char *key; /* NULL: the end. Case does not count */
        const char *here;
};

struct conf_parser {
        const struct conf_item *items; /* ends with an item without section */
        void *data;                    /* the object that is filled */
        const void *defaults; /* an object of the same type, from which an empty value restores a field */
        const void *options;  /* for the parse functions */
        struct conf_sink sink;
        const struct conf_foreign *foreign; /* or NULL */
};

/* 0; -EBADMSG if there was at least one error (each has been told); -ENOMEM. Text need not be terminated. */
int conf_parse_buffer(const struct conf_parser *p, const char *file, const char *text, size_t size);
/* Also tells why a file cannot be read: then -EBADMSG, too. */
int conf_parse_file(const struct conf_parser *p, const char *path);
/* Reads a regular file of at most max bytes, terminated; never blocks on what is none. -EINVAL: not a
 * regular file. */
int conf_read_file(const char *path, size_t max, char **ret, size_t *ret_size);

/* Text from the file as it may be shown: valid UTF-8 stays, control characters and rubbish become ?, long
 * text is cut. */
struct conf_shown {
        char s[88];
};
struct conf_shown conf_show(const char *text, size_t size);

void conf_message(const struct conf_sink *sink, enum conf_level level, const char *file, unsigned line,
                  const char *format, ...) _printf_(5, 6);
/* "KEY=VALUE is not EXPECTED." as an error at c's place, the value made printable and cut if long. Returns
 * -EBADMSG. expected says what would be right and how to mend it: "a whole number from 0 to 10; write for
 * example Workers=4". */
int conf_bad_value(const struct conf_context *c, const char *value, const char *expected, ...)
        _printf_(3, 4);
/* Any other error in the assignment; format is the whole text. -EBADMSG. */
int conf_complain(const struct conf_context *c, const char *format, ...) _printf_(2, 3);

/* Parse functions for the usual kinds. An empty value empties a string or a list and restores the default of
 * others. */
struct conf_range {
        uint64_t min, max;
        const char *example; /* "4" */
};
struct conf_word {
        const char *word; /* NULL ends the table */
        int value;
        const char *refusal; /* if set: known, but this is why not: "is not ... yet; use ..." */
};
int conf_parse_string(const struct conf_context *c, const char *value, void *field); /* char * */
int conf_parse_strings(const struct conf_context *c, const char *value,
                       void *field); /* char **: appends one */
int conf_parse_words(const struct conf_context *c, const char *value,
                     void *field); /* char **: split, quoted */
int conf_parse_path(const struct conf_context *c, const char *value, void *field); /* char *, absolute */
int conf_parse_bool(const struct conf_context *c, const char *value, void *field); /* bool */
int conf_parse_unsigned(const struct conf_context *c, const char *value,
                        void *field);                                              /* unsigned; conf_range */
int conf_parse_u64(const struct conf_context *c, const char *value, void *field);  /* uint64_t; conf_range */
int conf_parse_size(const struct conf_context *c, const char *value, void *field); /* uint64_t; conf_range */
int conf_parse_timespan(const struct conf_context *c, const char *value,
                        void *field); /* usec_t; conf_range */
int conf_parse_timeout(const struct conf_context *c, const char *value,
                       void *field); /* same, but 0 is infinity */
int conf_parse_word(const struct conf_context *c, const char *value, void *field);   /* int; conf_word[] */
int conf_parse_signal(const struct conf_context *c, const char *value, void *field); /* int */
int conf_parse_mode(const struct conf_context *c, const char *value, void *field);   /* mode_t */
/* For the parse functions of others: true (and the field restored) if the value is empty. */
bool conf_reset(const struct conf_context *c, const char *value, void *field, size_t field_size);
