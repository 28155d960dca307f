/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints D-Bus values: as busctl does, as JSON, or as an indented tree. Called with what an actor answered,
 * so the text in it is untrusted: it is escaped, and never reaches the terminal as control characters. */

#include <inttypes.h>

#include "arbiterctl/value.h"
#include "basic/dbus-basic.h"
#include "basic/utf8.h"

static bool is_text(char type) {
        return strchr("sog", type);
}

/* What a terminal would obey; returns its last byte, or NULL if it is none. */
static const char *print_control(FILE *f, const char *s) {
        size_t n = utf8_control_size(s);

        for (size_t i = 0; i < n; i++)
                (void) fprintf(f, "\\x%02x", (unsigned char) s[i]);
        return n > 0 ? s + n - 1 : NULL;
}

static void print_escaped(FILE *f, const char *s) {
        for (; *s; s++) {
                const char *last;

                if (*s == '\n')
                        (void) fputs("\\n", f);
                else if (*s == '\t')
                        (void) fputs("\\t", f);
                else if (*s == '"' || *s == '\\')
                        (void) fprintf(f, "\\%c", *s);
                else if ((last = print_control(f, s)))
                        s = last;
                else
                        (void) fputc(*s, f);
        }
}

void value_print_text(const char *s, FILE *f) {
        for (; *s; s++) {
                const char *last = print_control(f, s);

                if (last)
                        s = last;
                else
                        (void) fputc(*s, f);
        }
}

static bool is_signed(char type) {
        return strchr("nixh", type);
}

static int64_t signed_value(char type, const union dbus_basic *v) {
        return type == 'n' ? v->n : type == 'i' ? v->i : type == 'h' ? v->h : v->x;
}

static uint64_t unsigned_value(char type, const union dbus_basic *v) {
        return type == 'y' ? v->y : type == 'q' ? v->q : type == 'u' ? v->u : v->t;
}

static void print_number(FILE *f, char type, const union dbus_basic *v) {
        char buffer[DOUBLE_STRING_MAX];

        if (type == 'b')
                (void) fputs(v->b ? "true" : "false", f);
        else if (type == 'd')
                (void) fputs(format_double(buffer, v->d), f);
        else if (is_signed(type))
                (void) fprintf(f, "%" PRIi64, signed_value(type, v));
        else
                (void) fprintf(f, "%" PRIu64, unsigned_value(type, v));
}

static void print_basic(FILE *f, char type, const union dbus_basic *v) {
        if (!is_text(type)) {
                print_number(f, type, v);
                return;
        }
        (void) fputc('"', f);
        print_escaped(f, v->s);
        (void) fputc('"', f);
}

static void json_basic(struct json *j, char type, const union dbus_basic *v) {
        if (is_text(type))
                json_string(j, v->s);
        else if (type == 'b')
                json_bool(j, v->b);
        else if (type == 'd')
                json_double(j, v->d);
        else if (is_signed(type))
                json_i64(j, signed_value(type, v));
        else
                json_u64(j, unsigned_value(type, v));
}

/* How many elements follow, without consuming them: m is read from the start of the container again after.
 */
static int count_elements(sd_bus_message *m, unsigned *ret) {
        unsigned n = 0;
        int r;

        while ((r = sd_bus_message_skip(m, NULL)) > 0)
                n++;
        if (r < 0)
                return r;
        *ret = n;
        return sd_bus_message_rewind(m, false);
}

static int print_container(sd_bus_message *m, FILE *f, char type, const char *contents) {
        unsigned n;
        int r;

        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        if (type == 'v')
                (void) fprintf(f, "%s ", contents);
        if (type == 'a') {
                r = count_elements(m, &n);
                if (r < 0)
                        return r;
                (void) fprintf(f, "%u%s", n, n > 0 ? " " : "");
        }
        r = value_print(m, f);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int value_print(sd_bus_message *m, FILE *f) {
        const char *contents;
        union dbus_basic v;
        char type;
        int r;

        for (bool first = true;; first = false) {
                r = sd_bus_message_peek_type(m, &type, &contents);
                if (r <= 0)
                        return r;
                if (!first)
                        (void) fputc(' ', f);
                if (strchr("avre", type)) {
                        r = print_container(m, f, type, contents);
                        if (r < 0)
                                return r;
                        continue;
                }
                r = sd_bus_message_read_basic(m, type, &v);
                if (r < 0)
                        return r;
                print_basic(f, type, &v);
        }
}

/* A key of an object must be a string: other basic types are printed into one. */
static int json_dictionary_key(sd_bus_message *m, struct json *j) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        union dbus_basic v;
        char type;
        FILE *f;
        int r;

        r = sd_bus_message_peek_type(m, &type, NULL);
        if (r > 0)
                r = sd_bus_message_read_basic(m, type, &v);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (is_text(type)) {
                json_key(j, v.s);
                return 0;
        }
        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        print_number(f, type, &v);
        if (fclose(f) != 0)
                return -ENOMEM;
        json_key(j, text);
        return 0;
}

typedef int (*json_value_fn)(sd_bus_message *m, struct json *j);

static int json_elements(sd_bus_message *m, struct json *j, json_value_fn value) {
        int r;

        while ((r = sd_bus_message_at_end(m, false)) == 0) {
                r = value(m, j);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : 0;
}

static int json_entries(sd_bus_message *m, struct json *j, json_value_fn value, const char *entry) {
        int r;

        while ((r = sd_bus_message_enter_container(m, 'e', entry)) > 0) {
                r = json_dictionary_key(m, j);
                if (r >= 0)
                        r = value(m, j);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int json_array(sd_bus_message *m, struct json *j, const char *contents, json_value_fn value) {
        _cleanup_free_ char *entry = NULL;
        bool dictionary = *contents == '{';
        int r;

        r = sd_bus_message_enter_container(m, 'a', contents);
        if (r < 0)
                return r;
        json_open(j, dictionary ? '{' : '[');
        if (dictionary) {
                entry = strndup(contents + 1, strlen(contents) - 2);
                if (!entry)
                        return -ENOMEM;
                r = json_entries(m, j, value, entry);
        } else
                r = json_elements(m, j, value);
        if (r < 0)
                return r;
        json_close(j, dictionary ? '}' : ']');
        return sd_bus_message_exit_container(m);
}

static int json_struct(sd_bus_message *m, struct json *j, const char *contents, json_value_fn value) {
        int r;

        r = sd_bus_message_enter_container(m, 'r', contents);
        if (r < 0)
                return r;
        json_open(j, '[');
        r = json_elements(m, j, value);
        if (r < 0)
                return r;
        json_close(j, ']');
        return sd_bus_message_exit_container(m);
}

static int json_variant(sd_bus_message *m, struct json *j, const char *contents, bool typed) {
        int r;

        r = sd_bus_message_enter_container(m, 'v', contents);
        if (r < 0)
                return r;
        if (typed) {
                json_open(j, '{');
                json_key_string(j, "type", contents);
                json_key(j, "data");
        }
        r = typed ? value_to_typed_json(m, j) : value_to_json(m, j);
        if (r < 0)
                return r;
        if (typed)
                json_close(j, '}');
        return sd_bus_message_exit_container(m);
}

static int json_value(sd_bus_message *m, struct json *j, bool typed) {
        json_value_fn value = typed ? value_to_typed_json : value_to_json;
        const char *contents;
        union dbus_basic v;
        char type;
        int r;

        if (j->depth + 4 > JSON_DEPTH_MAX)
                return -ELOOP;
        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (type == 'a')
                return json_array(m, j, contents, value);
        if (type == 'r')
                return json_struct(m, j, contents, value);
        if (type == 'v')
                return json_variant(m, j, contents, typed);
        r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        json_basic(j, type, &v);
        return 0;
}

int value_to_json(sd_bus_message *m, struct json *j) {
        return json_value(m, j, false);
}

int value_to_typed_json(sd_bus_message *m, struct json *j) {
        return json_value(m, j, true);
}

static void indent(FILE *f, unsigned depth) {
        for (unsigned i = 0; i < depth; i++)
                (void) fputs("    ", f);
}

/* Steps into variants, and tells what is there. */
static int enter_variants(sd_bus_message *m, unsigned *n, char *ret_type, const char **ret_contents) {
        int r;

        for (*n = 0;; (*n)++) {
                r = sd_bus_message_peek_type(m, ret_type, ret_contents);
                if (r <= 0)
                        return r < 0 ? r : -EBADMSG;
                if (*ret_type != 'v')
                        return 0;
                r = sd_bus_message_enter_container(m, 'v', *ret_contents);
                if (r < 0)
                        return r;
        }
}

static int exit_variants(sd_bus_message *m, unsigned n) {
        int r = 0;

        for (; n > 0 && r >= 0; n--)
                r = sd_bus_message_exit_container(m);
        return r;
}

static int tree_leaf(sd_bus_message *m, FILE *f, char type, const char *contents) {
        union dbus_basic v;
        int r;

        if (strchr("are", type)) {
                r = sd_bus_message_enter_container(m, type, contents);
                if (r >= 0)
                        r = value_print(m, f);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        } else {
                r = sd_bus_message_read_basic(m, type, &v);
                if (r >= 0 && is_text(type))
                        value_print_text(v.s, f);
                else if (r >= 0)
                        print_number(f, type, &v);
        }
        (void) fputc('\n', f);
        return r;
}

static int tree_dictionary(sd_bus_message *m, FILE *f, const char *contents, unsigned depth);
static int tree_array(sd_bus_message *m, FILE *f, const char *contents, unsigned depth);

/* After "KEY:" or "-". */
static int tree_value(sd_bus_message *m, FILE *f, unsigned depth) {
        const char *contents;
        unsigned n;
        char type;
        int r;

        r = enter_variants(m, &n, &type, &contents);
        if (r < 0)
                return r;
        if (type == 'a' && *contents == '{') {
                (void) fputc('\n', f);
                r = tree_dictionary(m, f, contents, depth + 1);
        } else if (type == 'a' && strchr("av(", *contents)) {
                (void) fputc('\n', f);
                r = tree_array(m, f, contents, depth + 1);
        } else {
                (void) fputc(' ', f);
                r = tree_leaf(m, f, type, contents);
        }
        return r < 0 ? r : exit_variants(m, n);
}

static int tree_dictionary(sd_bus_message *m, FILE *f, const char *contents, unsigned depth) {
        _cleanup_free_ char *entry = strndup(contents + 1, strlen(contents) - 2);
        union dbus_basic key;
        int r;

        if (!entry)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'a', contents);
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', entry)) > 0) {
                indent(f, depth);
                r = sd_bus_message_read_basic(m, *entry, &key);
                if (r < 0)
                        return r;
                if (is_text(*entry))
                        value_print_text(key.s, f);
                else
                        print_number(f, *entry, &key);
                (void) fputc(':', f);
                r = tree_value(m, f, depth);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int tree_array(sd_bus_message *m, FILE *f, const char *contents, unsigned depth) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', contents);
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                indent(f, depth);
                (void) fputc('-', f);
                r = tree_value(m, f, depth);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int value_print_tree(sd_bus_message *m, FILE *f, unsigned depth) {
        const char *contents;
        unsigned n;
        char type;
        int r;

        r = enter_variants(m, &n, &type, &contents);
        if (r < 0)
                return r;
        if (type == 'a' && *contents == '{')
                r = tree_dictionary(m, f, contents, depth);
        else {
                indent(f, depth);
                r = tree_leaf(m, f, type, contents);
        }
        return r < 0 ? r : exit_variants(m, n);
}
