/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What programs of arbiter say: on stderr as "arbiterd: text", or with a priority prefix "<4>text" when
 * stderr is a stream to the journal; or, if asked for, to the journal itself with fields. The library never
 * uses this. One thread at a time. */

#include <stdarg.h>
#include <syslog.h>

#include "basic/macro.h"

/* program: a string that stays; NULL: no prefix. Looks at $JOURNAL_STREAM and $ARBITER_LOG_LEVEL. */
void log_open(const char *program);
/* The highest level that is shown; LOG_INFO at first. */
void log_set_level(int level);
int log_get_level(void);
/* "debug" ... "emerg" or "7" ... "0"; -EINVAL. */
int log_level_from_string(const char *s);

/* Where to: "console" (stderr), "journal" (the native protocol, never blocking), "null", or "auto": the
 * journal if stderr is a stream to it, else the console. At first it is stderr. -EINVAL, or -errno if there
 * is no journal; then nothing has changed. */
int log_set_target(const char *target);
/* "console", "journal" or "null". */
const char *log_get_target(void);
/* The same with $ARBITER_LOG_TARGET, else "auto"; what cannot be had is told on stderr. */
void log_set_default_target(void);
/* Before the end of the program. */
void log_close(void);

/* A field of an entry beside its message; a value of NULL is left out. */
struct log_field {
        const char *name, *value;
};
/* On stderr only the text is seen. Fields that each entry is to have go by log_set_fields() (copied). */
void log_entry(int level, const struct log_field *fields, size_t n, const char *text);
int log_set_fields(const struct log_field *fields, size_t n);

/* One line; newlines inside become spaces in the plain format and separate prefixed lines for the journal.
 * errno is kept. error, if not 0, is what %m prints. Returns -abs(error). */
int log_internal(int level, int error, const char *format, ...) _printf_(3, 4);
int log_internalv(int level, int error, const char *format, va_list ap) _printf_(3, 0);

#define log_error(...) log_internal(LOG_ERR, 0, __VA_ARGS__)
#define log_warning(...) log_internal(LOG_WARNING, 0, __VA_ARGS__)
#define log_notice(...) log_internal(LOG_NOTICE, 0, __VA_ARGS__)
#define log_info(...) log_internal(LOG_INFO, 0, __VA_ARGS__)
#define log_debug(...) log_internal(LOG_DEBUG, 0, __VA_ARGS__)
/* return log_error_errno(r, "Failed to open %s: %m", path); */
#define log_error_errno(error, ...) log_internal(LOG_ERR, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_internal(LOG_WARNING, error, __VA_ARGS__)
#define log_debug_errno(error, ...) log_internal(LOG_DEBUG, error, __VA_ARGS__)
