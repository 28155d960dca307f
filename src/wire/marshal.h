/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files that write, check and read D-Bus bodies share: limits, the type table, and the rules for
 * single values. Private to src/wire. */

#include "basic/macro.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bodies are little-endian and are read in place");

enum {
        ARRAY_SIZE_MAX = 64 * 1024 * 1024, /* D-Bus Specification: maximum length of an array, 64 MiB */
        /* D-Bus Specification: containers nested, also through variants */
        BODY_DEPTH_MAX = 64,
};

struct type_info {
        uint8_t size, alignment;
        bool basic, trivial;
};

extern const struct type_info type_table[256];

static inline const struct type_info *type_info(char c) {
        return &type_table[(uint8_t) c];
}

/* The end of the complete type at s, which is known to be valid. */
static inline const char *signature_next(const char *s) {
        unsigned open = 0;

        while (*s == 'a')
                s++;
        do {
                if (*s == '(' || *s == '{')
                        open++;
                else if (*s == ')' || *s == '}')
                        open--;
                s++;
        } while (open > 0);
        return s;
}

static inline uint32_t load_u32(const uint8_t *p) {
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

static inline void store_u32(uint8_t *p, uint32_t v) {
        memcpy(p, &v, sizeof(v));
}

/* True for valid UTF-8 without NUL. */
bool string_is_valid(const char *s, size_t length);
bool object_path_is_valid(const char *s, size_t length);

/* Checks a whole body against its (valid) signature by D-Bus's rules. -EBADMSG. */
int body_validate(const char *signature, size_t signature_length, const uint8_t *body, size_t size,
                unsigned n_fds);
