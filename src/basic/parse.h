/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strict parsers for what people write: the whole string must be the value, no sign, no locale, no surprise.
 * All return -EINVAL when the text is not of that kind, -ERANGE when it is but does not fit. */

#include <sys/types.h>

#include "basic/macro.h"

/* yes no y n true false t f on off 1 0, any case. */
int parse_bool(const char *s, bool *ret);
/* Decimal digits only. */
int parse_u64(const char *s, uint64_t *ret);
int parse_u64_range(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
int parse_u32(const char *s, uint32_t *ret);
int parse_i32(const char *s, int32_t *ret); /* one leading - or + */
/* Bytes: a number, or one with a unit of K M G T P E (powers of 1024) and then up to three digits after the
 * point. */
int parse_size(const char *s, uint64_t *ret);
/* "20%" or "20". */
int parse_percent(const char *s, unsigned *ret);
/* "2" is 2000, "1.5" is 1500: at most three digits after the point. */
int parse_permille(const char *s, uint64_t *ret);
/* Octal, at most 07777. */
int parse_mode(const char *s, mode_t *ret);
/* "SIGTERM", "TERM" or "15"; also "RTMIN+3". */
int parse_signal(const char *s, int *ret);
/* "TERM", or "RTMIN+3" or a number written into the buffer; never NULL. parse_signal() reads it back. */
#define SIGNAL_STRING_MAX 24
const char *format_signal(int signo, char buffer[static SIGNAL_STRING_MAX]);
