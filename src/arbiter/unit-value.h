/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the table of settings and the parsers of values share: nobody else includes it. */

#include "arbiter/unit-settings.h"

enum {
        UNIT_PROPERTY_NAME_MAX = 48,
        UNIT_VALUE_PROPERTIES = 2, /* at most as many come of one assignment */
};

struct unit_value;
/* s is trimmed, empty only where that is a value, and valid UTF-8 without control characters. 0; -EINVAL
 * after unit_value_expected(); -ENOMEM. */
typedef int (*unit_value_parse)(struct unit_value *v, const char *s);

struct unit_setting {
        const char *name;
        unit_value_parse parse; /* NULL: refused */
        const char *property;   /* NULL: as the setting */
        const char *signature;
        enum {
                UNIT_SETTING_ONE,       /* a further assignment replaces it; an empty one takes it back */
                UNIT_SETTING_ONE_EMPTY, /* as well, but an empty one is a value, too */
                UNIT_SETTING_LIST,      /* a further assignment adds to it; an empty one takes it back */
        } kind;
        const void *parameter; /* what parse makes of it */
        const char *example;   /* or the refusal */
};

/* One assignment on its way. */
struct unit_value {
        const struct unit_setting *setting;
        arbiter_message *previous; /* the last value of this setting and signature; NULL: none */
        struct unit_value_property {
                char name[UNIT_PROPERTY_NAME_MAX];
                const char *signature; /* static */
                arbiter_message *m;
        } properties[UNIT_VALUE_PROPERTIES];
        size_t n;
        char *expected;
};

/* Says what would be right, "a number from 1 to 5", and returns -EINVAL. */
int unit_value_expected(struct unit_value *v, const char *format, ...) _printf_(2, 3);
/* A new property: that of the setting, with this suffix (may be NULL). */
int unit_value_open(struct unit_value *v, const char *suffix, const char *signature, arbiter_message **ret);
/* The property of the setting with its one value. */
int unit_value_put(struct unit_value *v, ...);
/* The next word of *s: > 0; 0 at the end. keep: see word_scan(). */
int unit_value_word(struct unit_value *v, const char **s, const char *keep, char **ret);
/* Splits a word of fields, whose colons are escaped by backslashes, in place: how many, at most max + 1. */
size_t unit_value_fields(char *word, char *fields[], size_t max);
/* An absolute path, with any of the characters in prefixes in front. */
bool unit_path_is_good(const char *s, const char *prefixes);

struct unit_range {
        int64_t min, max;
};
struct unit_word {
        const char *word; /* NULL ends */
        int64_t value;
};
/* Of a list: what each word must be. */
struct unit_check {
        bool (*is_good)(const char *word);
        const char *expected;
        bool none; /* the word "none" is the empty list */
};

/* unit-value.c: one value */
int unit_value_string(struct unit_value *v, const char *s);
int unit_value_label(struct unit_value *v, const char *s);    /* "(bs)", "s" */
int unit_value_path(struct unit_value *v, const char *s);     /* parameter: allowed prefixes */
/* parameter: unit_word[]; "yes": any boolean */
int unit_value_one_word(struct unit_value *v, const char *s);
int unit_value_boolean(struct unit_value *v, const char *s);
int unit_value_integer(struct unit_value *v, const char *s);  /* "i"; unit_range */
int unit_value_unsigned(struct unit_value *v, const char *s); /* "u", "q" */
int unit_value_u64(struct unit_value *v, const char *s);      /* "t"; unit_range */
int unit_value_cpu_weight(struct unit_value *v, const char *s);
int unit_value_code(struct unit_value *v, const char *s); /* "i": or its number, "t"; unit_word[] */
int unit_value_timespan(struct unit_value *v, const char *s);
int unit_value_nsec(struct unit_value *v, const char *s);
int unit_value_amount(struct unit_value *v, const char *s);  /* size, percentage or infinity */
int unit_value_number(struct unit_value *v, const char *s);  /* number, percentage or infinity */
int unit_value_quota(struct unit_value *v, const char *s);
int unit_value_pressure(struct unit_value *v, const char *s);
int unit_value_mode(struct unit_value *v, const char *s);
int unit_value_signal(struct unit_value *v, const char *s);
int unit_value_limit(struct unit_value *v, const char *s);  /* parameter: its RLIMIT_ as unit_range.min */
int unit_value_output(struct unit_value *v, const char *s);
int unit_value_error_number(struct unit_value *v, const char *s);
int unit_value_hash(struct unit_value *v, const char *s);
int unit_value_working_directory(struct unit_value *v, const char *s);

/* unit-value-list.c: lists of words and tuples */
int unit_value_strings(struct unit_value *v, const char *s); /* "as"; unit_check */
int unit_value_colons(struct unit_value *v, const char *s);  /* "as" separated by colons */
int unit_value_filter(struct unit_value *v, const char *s);  /* "(bas)"; unit_check */
int unit_value_environment_file(struct unit_value *v, const char *s);
int unit_value_credential(struct unit_value *v, const char *s); /* ID:PATH */
int unit_value_set_credential(struct unit_value *v, const char *s);
int unit_value_directories(struct unit_value *v, const char *s);
int unit_value_binds(struct unit_value *v, const char *s);
int unit_value_temporary(struct unit_value *v, const char *s);
int unit_value_images(struct unit_value *v, const char *s); /* "a(ssba(ss))", "a(sba(ss))" */
int unit_value_image_options(struct unit_value *v, const char *s);
int unit_value_log_fields(struct unit_value *v, const char *s);
int unit_value_command(struct unit_value *v, const char *s);
int unit_value_statuses(struct unit_value *v, const char *s);

/* unit-value-control.c: devices, addresses, sets of bits */
int unit_value_device(struct unit_value *v, const char *s);
int unit_value_device_number(struct unit_value *v, const char *s);
int unit_value_device_rate(struct unit_value *v, const char *s);
int unit_value_device_time(struct unit_value *v, const char *s);
int unit_value_addresses(struct unit_value *v, const char *s);
int unit_value_bpf_program(struct unit_value *v, const char *s);
int unit_value_socket_bind(struct unit_value *v, const char *s);
int unit_value_indexes(struct unit_value *v, const char *s); /* "ay" */
int unit_value_capabilities(struct unit_value *v, const char *s);
int unit_value_namespaces(struct unit_value *v, const char *s);
int unit_value_secure_bits(struct unit_value *v, const char *s);
int unit_value_coredump_filter(struct unit_value *v, const char *s);
int unit_value_delegate(struct unit_value *v, const char *s);
