/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads D-Bus values from command line arguments (`arbiterctl send NAME COMMAND SIGNATURE ARG...`) into a
 * message. What is given is untrusted in the plain sense that people mistype: each failure names the
 * argument and what would be right. */

#include <errno.h>
#include <math.h>

#include "arbiterctl/value.h"
#include "basic/parse.h"

/* The D-Bus specification: 32 arrays and 32 structs deep. */
enum { DEPTH_MAX = 64 };

static bool is_basic(char c) {
        return c && strchr("ybnqiuxtdsogh", c);
}

static int bad_signature(const char *why, const char **ret_why) {
        *ret_why = why;
        return -EINVAL;
}

static int element_length(const char *s, unsigned depth, size_t *ret, const char **ret_why) {
        char close = *s == '(' ? ')' : '}';
        size_t n = 1, fields = 0, l;
        int r;

        if (depth > DEPTH_MAX)
                return bad_signature("a signature of at most 64 levels", ret_why);
        if (*s == 'a') {
                if (s[1] == 0)
                        return bad_signature("a type after 'a'", ret_why);
                r = element_length(s + 1, depth + 1, &l, ret_why);
                if (r < 0)
                        return r;
                *ret = l + 1;
                return 0;
        }
        if (is_basic(*s) || *s == 'v') {
                *ret = 1;
                return 0;
        }
        if (*s != '(' && *s != '{')
                return bad_signature("D-Bus types: y b n q i u x t d s o g h v, a…, (…), a{…}", ret_why);

        for (; s[n] != close; n += l, fields++) {
                if (s[n] == 0)
                        return bad_signature("a signature whose brackets are closed", ret_why);
                r = element_length(s + n, depth + 1, &l, ret_why);
                if (r < 0)
                        return r;
        }
        if (*s == '(' && fields == 0)
                return bad_signature("a struct with at least one field", ret_why);
        if (*s == '{' && (fields != 2 || !is_basic(s[1])))
                return bad_signature("a dictionary entry of a basic key and one value, as in a{sv}",
                                     ret_why);
        *ret = n + 1;
        return 0;
}

int signature_element_length(const char *signature, size_t *ret, const char **ret_why) {
        if (*signature == 0) {
                *ret = 0;
                return 0;
        }
        if (*signature == '{')
                return bad_signature("a dictionary entry inside an array, as in a{sv}", ret_why);
        return element_length(signature, 0, ret, ret_why);
}

static int fail(struct value_error *e, const char *argument, const char *why) {
        *e = (struct value_error){ argument, why };
        return -EINVAL;
}

static const char *next(char *const **arguments) {
        return **arguments ? *(*arguments)++ : NULL;
}

static int parse_i64(const char *s, int64_t *ret) {
        uint64_t u;
        int r;

        r = parse_u64(s + (*s == '-' || *s == '+'), &u);
        if (r < 0)
                return r;
        if (u > (uint64_t) INT64_MAX + (*s == '-'))
                return -ERANGE;
        *ret = *s == '-' ? (int64_t) (0 - u) : (int64_t) u;
        return 0;
}

static int append_signed(sd_bus_message *m, char type, const char *s, struct value_error *e) {
        static const struct {
                char type;
                int64_t min, max;
                const char *why;
        } kinds[] = {
                { 'n', INT16_MIN, INT16_MAX, "n: a whole number from -32768 to 32767" },
                { 'i', INT32_MIN, INT32_MAX, "i: a whole number from -2147483648 to 2147483647" },
                { 'x', INT64_MIN, INT64_MAX, "x: a whole number of 64 bits with a sign" },
        };
        int64_t v;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                if (kinds[i].type != type)
                        continue;
                if (parse_i64(s, &v) < 0 || v < kinds[i].min || v > kinds[i].max)
                        return fail(e, s, kinds[i].why);
                if (type == 'n')
                        return sd_bus_message_append_basic(m, type, &(int16_t){ (int16_t) v });
                if (type == 'i')
                        return sd_bus_message_append_basic(m, type, &(int32_t){ (int32_t) v });
                return sd_bus_message_append_basic(m, type, &v);
        }
        return -EINVAL;
}

static int append_unsigned(sd_bus_message *m, char type, const char *s, struct value_error *e) {
        static const struct {
                char type;
                uint64_t max;
                const char *why;
        } kinds[] = {
                { 'y', UINT8_MAX, "y: a whole number from 0 to 255" },
                { 'q', UINT16_MAX, "q: a whole number from 0 to 65535" },
                { 'u', UINT32_MAX, "u: a whole number from 0 to 4294967295" },
                { 't', UINT64_MAX, "t: a whole number of 64 bits without a sign" },
        };
        uint64_t v;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                if (kinds[i].type != type)
                        continue;
                if (parse_u64_range(s, 0, kinds[i].max, &v) < 0)
                        return fail(e, s, kinds[i].why);
                if (type == 'y')
                        return sd_bus_message_append_basic(m, type, &(uint8_t){ (uint8_t) v });
                if (type == 'q')
                        return sd_bus_message_append_basic(m, type, &(uint16_t){ (uint16_t) v });
                if (type == 'u')
                        return sd_bus_message_append_basic(m, type, &(uint32_t){ (uint32_t) v });
                return sd_bus_message_append_basic(m, type, &v);
        }
        return -EINVAL;
}

static int append_string(sd_bus_message *m, char type, const char *s, struct value_error *e) {
        int r;

        r = sd_bus_message_append_basic(m, type, s);
        if (r != -EINVAL)
                return r;
        return fail(e, s,
                    type == 'o'   ? "o: an object path, as in /io/arbiter"
                    : type == 'g' ? "g: a D-Bus signature"
                                  : "s: text in UTF-8");
}

static int append_other(sd_bus_message *m, char type, const char *s, struct value_error *e) {
        uint64_t fd;
        double d;
        bool b;
        char *end;

        switch (type) {
        case 'b':
                if (parse_bool(s, &b) < 0)
                        return fail(e, s, "b: yes or no");
                return sd_bus_message_append_basic(m, type, &(int){ b });
        case 'd':
                errno = 0;
                d = strtod(s, &end);
                if (end == s || *end || (errno == ERANGE && isinf(d)))
                        return fail(e, s, "d: a number, as in 1.5 or 2e10");
                return sd_bus_message_append_basic(m, type, &d);
        case 'h':
                if (parse_u64_range(s, 0, INT32_MAX, &fd) < 0 ||
                    sd_bus_message_append_basic(m, type, &(int){ (int) fd }) < 0)
                        return fail(e, s, "h: the number of an open file descriptor");
                return 0;
        default:
                return -EINVAL;
        }
}

static int append_basic(sd_bus_message *m, char type, const char *s, struct value_error *e) {
        if (strchr("nix", type))
                return append_signed(m, type, s, e);
        if (strchr("yqut", type))
                return append_unsigned(m, type, s, e);
        if (strchr("sog", type))
                return append_string(m, type, s, e);
        return append_other(m, type, s, e);
}

enum place { PLACE_TOP, PLACE_VARIANTS /* each value in one of its own */, PLACE_CONTAINER };

static int append_values(sd_bus_message *m, const char *signature, enum place place, char *const **arguments,
                         struct value_error *e);

static int append_array(sd_bus_message *m, const char *element, char *const **arguments,
                        struct value_error *e) {
        const char *s = next(arguments);
        uint64_t n;
        int r;

        if (!s)
                return fail(e, NULL, "the number of elements of an array");
        if (parse_u64_range(s, 0, UINT32_MAX, &n) < 0)
                return fail(e, s, "the number of elements of an array, before the elements");
        r = sd_bus_message_open_container(m, 'a', element);
        for (uint64_t i = 0; r >= 0 && i < n; i++)
                r = append_values(m, element, PLACE_CONTAINER, arguments, e);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_variant(sd_bus_message *m, char *const **arguments, struct value_error *e) {
        const char *s = next(arguments), *why = NULL;
        size_t l;
        int r;

        if (!s)
                return fail(e, NULL, "the signature of a variant");
        if (signature_element_length(s, &l, &why) < 0)
                return fail(e, s, why);
        if (l == 0 || s[l])
                return fail(e, s, "the signature of a variant: one complete type, before its value");
        r = sd_bus_message_open_container(m, 'v', s);
        if (r >= 0)
                r = append_values(m, s, PLACE_CONTAINER, arguments, e);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* element: one complete type, modifiable. */
static int append_element(sd_bus_message *m, char *element, size_t length, char *const **arguments,
                          struct value_error *e) {
        bool is_struct = *element == '(';
        const char *s;
        int r;

        if (*element == 'a')
                return append_array(m, element + 1, arguments, e);
        if (*element == 'v')
                return append_variant(m, arguments, e);
        if (!is_struct && *element != '{') {
                s = next(arguments);
                return s ? append_basic(m, *element, s, e)
                         : fail(e, NULL, "a value for each type of the signature");
        }
        element[length - 1] = 0;
        r = sd_bus_message_open_container(m, is_struct ? 'r' : 'e', element + 1);
        if (r >= 0)
                r = append_values(m, element + 1, PLACE_CONTAINER, arguments, e);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_values(sd_bus_message *m, const char *signature, enum place place, char *const **arguments,
                         struct value_error *e) {
        const char *why = NULL;
        size_t l;
        int r;

        for (; *signature; signature += l) {
                _cleanup_free_ char *element = NULL;

                /* Inside an array {..} is a complete type. */
                r = place == PLACE_CONTAINER ? element_length(signature, 0, &l, &why)
                                             : signature_element_length(signature, &l, &why);
                if (r < 0)
                        return fail(e, signature, why);
                element = strndup(signature, l);
                if (!element)
                        return -ENOMEM;
                if (place == PLACE_VARIANTS)
                        r = sd_bus_message_open_container(m, 'v', element);
                if (r >= 0)
                        r = append_element(m, element, l, arguments, e);
                if (r >= 0 && place == PLACE_VARIANTS)
                        r = sd_bus_message_close_container(m);
                if (r < 0)
                        return r;
        }
        return 0;
}

int value_append(sd_bus_message *m, const char *signature, char *const **arguments,
                 struct value_error *ret_error) {
        return append_values(m, signature, PLACE_TOP, arguments, ret_error);
}

int value_append_variants(sd_bus_message *m, const char *signature, char *const **arguments,
                          struct value_error *ret_error) {
        return append_values(m, signature, PLACE_VARIANTS, arguments, ret_error);
}
