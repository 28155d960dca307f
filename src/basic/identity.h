/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names and aids. An aid is 8 characters of [a-z0-9], unique, one life only; a name is what people and
 * siblings say: [A-Za-z_][A-Za-z0-9_-]{0,63}, and for the member of a pool NAME.NUMBER. */

#include "basic/macro.h"

#define AID_SIZE 8
#define NAME_MAX_LENGTH 64
/* NAME "." up to ten digits NUL */
#define QUALIFIED_NAME_SIZE (NAME_MAX_LENGTH + 1 + 10 + 1)

typedef struct aid {
        char c[AID_SIZE]; /* not terminated; all zero: none */
} aid;

/* Terminated copy for printing. */
typedef struct aid_string {
        char s[AID_SIZE + 1];
} aid_string;

static inline bool aid_equal(const aid *a, const aid *b) {
        return memcmp(a->c, b->c, AID_SIZE) == 0;
}
static inline bool aid_is_null(const aid *a) {
        return a->c[0] == 0;
}
static inline aid_string aid_to_string(const aid *a) {
        aid_string s = {};

        memcpy(s.s, a->c, AID_SIZE);
        return s;
}

/* "arbiter " cannot be an aid by the alphabet; the arbiter's own aid is "arbiter" padded with one NUL. */
extern const aid AID_ARBITER;

/* From getrandom(2): 36^8 values. The caller refuses duplicates. */
int aid_random(aid *ret);
/* Accepts exactly [a-z0-9]{8}, or "arbiter". -EINVAL otherwise. */
int aid_parse(const char *s, aid *ret);
bool aid_is_valid(const aid *a);

bool name_is_valid(const char *s);           /* "web", "my-pool": no dot of its own */
bool qualified_name_is_valid(const char *s); /* also "web.3" */

/* Of a group or a lock: 1 to LABEL_MAX printable characters of ASCII without blanks. */
#define LABEL_MAX 255
bool label_is_valid(const char *s);

/* "my-worker@.service": short enough for an instance of any name. */
#define UNIT_TEMPLATE_SIZE (256 - QUALIFIED_NAME_SIZE)
bool unit_template_is_valid(const char *s);
