/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* The size of the UTF-8 sequence at p: 1 to 4; 0 if it is invalid (overlong, surrogate, cut off, left == 0).
 */
size_t utf8_sequence_size(const void *p, size_t left);
bool utf8_is_valid(const void *p, size_t size);
/* C0, DEL and C1, all of which terminals obey: the size of the control character that begins here, or 0. */
size_t utf8_control_size(const char *s);
/* Valid, and without any of those. */
bool utf8_is_printable(const char *s);
/* In place: '?' for what is not, but for the characters in keep. */
void utf8_make_harmless(char *s, const char *keep);
/* A copy for a line of a log, always terminated: control characters and what is not UTF-8 as \xNN, cut with
 * "..." where room (at least 8) ends. */
void utf8_make_printable(const char *s, size_t size, char *ret, size_t room);
/* Writes the sequence of a code point and returns its size; 0 if there is none (surrogate, above U+10FFFF).
 */
size_t utf8_encode(uint32_t code_point, char ret[static 4]);
