/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* D-Bus signatures (D-Bus Specification, "Valid Signatures"): at most 255 bytes, at most 32 arrays and 32
 * structs nested. Pure; used by the marshaller, by command tables and by configuration. */

#include "basic/macro.h"

enum { SIGNATURE_MAX = 255, SIGNATURE_NESTING_MAX = 32 };

bool signature_is_valid(const char *s, size_t length);
/* Zero or more complete types; strlen() form. */
bool signature_string_is_valid(const char *s);
/* Exactly one complete type. */
bool signature_is_single(const char *s);
/* The length of the first complete type at s, or -EINVAL. s need not be valid as a whole. */
int signature_element_length(const char *s, size_t *ret);
bool signature_type_is_basic(char c);
/* y n q i u x t d: elements that arrays can hand out in place (b is 4 bytes but has only two valid
 * values). */
bool signature_type_is_trivial(char c);
size_t signature_type_alignment(char c); /* 1, 2, 4 or 8; 0 for what is no type code */
size_t signature_type_size(char c);      /* 0 for strings and containers */
