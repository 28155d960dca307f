/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What programs of arbiter say on stderr: "arbiterd: text", or with a priority prefix "<4>text" when stderr
 * is a stream to the journal. The library never uses this. One thread at a time. */

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
const char *log_level_to_string(int level);

/* One line; newlines inside become spaces in the plain format and separate prefixed lines for the journal.
 * errno is kept. error, if not 0, is what %m prints. Returns -abs(error). */
int log_internal(int level, int error, const char *format, ...) _printf_(3, 4);
int log_internalv(int level, int error, const char *format, va_list ap) _printf_(3, 0);

#define log_full(level, ...) log_internal(level, 0, __VA_ARGS__)
#define log_error(...) log_internal(LOG_ERR, 0, __VA_ARGS__)
#define log_warning(...) log_internal(LOG_WARNING, 0, __VA_ARGS__)
#define log_notice(...) log_internal(LOG_NOTICE, 0, __VA_ARGS__)
#define log_info(...) log_internal(LOG_INFO, 0, __VA_ARGS__)
#define log_debug(...) log_internal(LOG_DEBUG, 0, __VA_ARGS__)
/* return log_error_errno(r, "Failed to open %s: %m", path); */
#define log_error_errno(error, ...) log_internal(LOG_ERR, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_internal(LOG_WARNING, error, __VA_ARGS__)
#define log_debug_errno(error, ...) log_internal(LOG_DEBUG, error, __VA_ARGS__)
