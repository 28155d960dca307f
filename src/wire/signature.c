/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D-Bus signatures: validity and the properties of type codes. Called by the decoder of envelopes, by the
 * marshaller and by whoever checks a table of commands. Must never allocate, and never recurse deeper
 * than the two nesting limits. */

#include "wire/signature.h"

#include "wire/marshal.h"

const struct type_info type_table[256] = {
        ['y'] = { 1, 1, true, true },   ['b'] = { 4, 4, true, false },  ['n'] = { 2, 2, true, true },
        ['q'] = { 2, 2, true, true },   ['i'] = { 4, 4, true, true },   ['u'] = { 4, 4, true, true },
        ['x'] = { 8, 8, true, true },   ['t'] = { 8, 8, true, true },   ['d'] = { 8, 8, true, true },
        ['h'] = { 4, 4, true, false },  ['s'] = { 0, 4, true, false },  ['o'] = { 0, 4, true, false },
        ['g'] = { 0, 1, true, false },  ['v'] = { 0, 1, false, false }, ['a'] = { 0, 4, false, false },
        ['('] = { 0, 8, false, false }, ['{'] = { 0, 8, false, false },
};

static size_t parse_type(const char *s, size_t left, unsigned arrays, unsigned structs);

/* The members of a struct or dict entry, from behind the opening bracket. Returns the size with the
 * closing one, 0 if invalid. */
static size_t parse_members(const char *s, size_t left, unsigned arrays, unsigned structs, char close) {
        size_t i = 0, n = 0;

        if (structs >= SIGNATURE_NESTING_MAX)
                return 0;

        while (i < left && s[i] != close) {
                size_t l = parse_type(s + i, left - i, arrays, structs + 1);

                if (l == 0)
                        return 0;
                if (close == '}' && n == 0 && !type_info(s[i])->basic)
                        return 0;
                i += l;
                n++;
        }
        if (i >= left || n == 0 || (close == '}' && n != 2))
                return 0;
        return i + 1;
}

static size_t parse_array(const char *s, size_t left, unsigned arrays, unsigned structs) {
        size_t l;

        if (arrays >= SIGNATURE_NESTING_MAX || left == 0)
                return 0;
        if (s[0] == '{') {
                l = parse_members(s + 1, left - 1, arrays + 1, structs, '}');
                return l == 0 ? 0 : l + 1;
        }
        return parse_type(s, left, arrays + 1, structs);
}

/* The size of the complete type at s, 0 if there is none. */
static size_t parse_type(const char *s, size_t left, unsigned arrays, unsigned structs) {
        size_t l;

        if (left == 0)
                return 0;
        if (type_info(s[0])->basic || s[0] == 'v')
                return 1;
        if (s[0] == 'a')
                l = parse_array(s + 1, left - 1, arrays, structs);
        else if (s[0] == '(')
                l = parse_members(s + 1, left - 1, arrays, structs, ')');
        else
                return 0;
        return l == 0 ? 0 : l + 1;
}

bool signature_is_valid(const char *s, size_t length) {
        if (length > SIGNATURE_MAX)
                return false;

        for (size_t i = 0; i < length;) {
                size_t l;

                if (type_info(s[i])->basic) {
                        i++;
                        continue;
                }
                l = parse_type(s + i, length - i, 0, 0);
                if (l == 0)
                        return false;
                i += l;
        }
        return true;
}

bool signature_string_is_valid(const char *s) {
        return signature_is_valid(s, strnlen(s, SIGNATURE_MAX + 1));
}

bool signature_is_single(const char *s) {
        size_t l = strnlen(s, SIGNATURE_MAX + 1);

        return l > 0 && l <= SIGNATURE_MAX && parse_type(s, l, 0, 0) == l;
}

int signature_element_length(const char *s, size_t *ret) {
        size_t l = parse_type(s, strnlen(s, SIGNATURE_MAX), 0, 0);

        if (l == 0)
                return -EINVAL;
        *ret = l;
        return 0;
}

bool signature_type_is_basic(char c) {
        return type_info(c)->basic;
}

bool signature_type_is_trivial(char c) {
        return type_info(c)->trivial;
}

size_t signature_type_alignment(char c) {
        return type_info(c)->alignment;
}

size_t signature_type_size(char c) {
        return type_info(c)->size;
}
