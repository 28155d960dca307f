/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The alphabet of names and aids. Pure but for aid_random(). */

#include <sys/random.h>

#include "basic/identity.h"

const aid AID_ARBITER = { "arbiter" };

static const char aid_alphabet[36] = "abcdefghijklmnopqrstuvwxyz0123456789";

int aid_random(aid *ret) {
        uint8_t bytes[64];
        size_t n = 0;

        /* Bytes of 252 and more are thrown away, so that all 36 characters are equally likely. */
        while (n < AID_SIZE) {
                if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
                        return negative_errno();
                for (size_t i = 0; i < sizeof(bytes) && n < AID_SIZE; i++)
                        if (bytes[i] < 252)
                                ret->c[n++] = aid_alphabet[bytes[i] % 36];
        }
        return 0;
}

static bool is_aid_character(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool aid_is_valid(const aid *a) {
        if (aid_equal(a, &AID_ARBITER))
                return true;
        for (size_t i = 0; i < AID_SIZE; i++)
                if (!is_aid_character(a->c[i]))
                        return false;
        return true;
}

int aid_parse(const char *s, aid *ret) {
        aid a = {};

        if (streq(s, "arbiter")) {
                *ret = AID_ARBITER;
                return 0;
        }
        if (strlen(s) != AID_SIZE)
                return -EINVAL;
        memcpy(a.c, s, AID_SIZE);
        if (!aid_is_valid(&a))
                return -EINVAL;
        *ret = a;
        return 0;
}

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* Length of the longest prefix that is a name, 0 if none. */
static size_t name_span(const char *s) {
        size_t n = 0;

        if (!is_letter(s[0]))
                return 0;
        while (is_letter(s[n]) || is_digit(s[n]) || s[n] == '-')
                n++;
        return n <= NAME_MAX_LENGTH ? n : 0;
}

bool name_is_valid(const char *s) {
        size_t n = name_span(s);

        return n > 0 && s[n] == 0;
}

bool qualified_name_is_valid(const char *s) {
        size_t n = name_span(s), digits = 0;

        if (n == 0)
                return false;
        if (s[n] == 0)
                return true;
        if (s[n] != '.' || s[n + 1] == '0')
                return false;
        for (s += n + 1; is_digit(*s); s++)
                digits++;
        return *s == 0 && digits > 0 && digits <= 10;
}

bool unit_template_is_valid(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\");

        return n > 0 && strlen(s) < UNIT_TEMPLATE_SIZE && streq(s + n, "@.service");
}

bool label_is_valid(const char *s) {
        size_t n = 0;

        while (n <= LABEL_MAX && s[n] >= '!' && s[n] <= '~')
                n++;
        return n > 0 && n <= LABEL_MAX && !s[n];
}
