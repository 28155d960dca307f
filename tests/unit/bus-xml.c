/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See bus-xml.h. Just enough XML for introspection documents: tags with quoted attributes; texts and
 * entities do not occur. */

#include <stdio.h>

#include "basic/macro.h"
#include "bus-xml.h"

enum { LINES_MAX = 256, VALUE_SIZE = 128 };

struct reader {
        const char *interface;
        bool inside; /* that interface */
        char kind[16], member[VALUE_SIZE];
        unsigned n_arguments;
        char *lines[LINES_MAX];
        size_t n_lines;
};

static const char *attribute(const char *tag, const char *name, char ret[static VALUE_SIZE]) {
        char pattern[64];
        const char *p, *end;

        (void) snprintf(pattern, sizeof(pattern), " %s=\"", name);
        p = strstr(tag, pattern);
        if (!p)
                return NULL;
        p += strlen(pattern);
        end = strchr(p, '"');
        if (!end || (size_t) (end - p) >= VALUE_SIZE)
                abort();
        memcpy(ret, p, (size_t) (end - p));
        ret[end - p] = 0;
        return ret;
}

static void add_line(struct reader *r, char *line) {
        if (r->n_lines == LINES_MAX)
                abort();
        r->lines[r->n_lines++] = line;
}

#define LINE(r, ...)                                   \
        do {                                           \
                char *_line;                           \
                if (asprintf(&_line, __VA_ARGS__) < 0) \
                        abort();                       \
                add_line(r, _line);                    \
        } while (0)

static void read_member(struct reader *r, const char *kind, const char *tag) {
        char type[VALUE_SIZE], access[VALUE_SIZE];

        (void) snprintf(r->kind, sizeof(r->kind), "%s", kind);
        (void) attribute(tag, "name", r->member);
        r->n_arguments = 0;
        LINE(r, "%s %s %s %s", kind, r->member, attribute(tag, "type", type) ?: "",
                        attribute(tag, "access", access) ?: "");
}

static void read_tag(struct reader *r, const char *tag) {
        char name[VALUE_SIZE], type[VALUE_SIZE], direction[VALUE_SIZE], value[VALUE_SIZE];

        if (startswith(tag, "interface "))
                r->inside = streq_ptr(attribute(tag, "name", name), r->interface);
        else if (streq(tag, "/interface"))
                r->inside = false;
        else if (!r->inside)
                return;
        else if (startswith(tag, "method "))
                read_member(r, "method", tag);
        else if (startswith(tag, "signal "))
                read_member(r, "signal", tag);
        else if (startswith(tag, "property "))
                read_member(r, "property", tag);
        else if (startswith(tag, "arg "))
                LINE(r, "%s %s argument %u %s %s %s", r->kind, r->member, r->n_arguments++,
                                attribute(tag, "name", name) ?: "", attribute(tag, "type", type) ?: "",
                                attribute(tag, "direction", direction)
                                                ?: streq(r->kind, "signal") ? "out"
                                                                            : "in");
        else if (startswith(tag, "annotation ") && !streq_ptr(attribute(tag, "value", value), "true"))
                LINE(r, "%s %s %s=%s", r->kind, r->member, attribute(tag, "name", name) ?: "", value);
}

static int compare(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

char *bus_xml_normalise(const char *document, const char *interface) {
        struct reader r = { .interface = interface };
        char *result, *at;
        size_t size = 1;

        for (const char *p = strchr(document, '<'); p; p = strchr(p, '<')) {
                const char *end = startswith(p, "<!--") ? strstr(p, "-->") : strchr(p, '>');
                _cleanup_free_ char *tag = NULL;

                if (!end)
                        abort();
                if (p[1] != '!' && p[1] != '?') {
                        tag = strndup(p + 1, (size_t) (end - p - 1));
                        read_tag(&r, tag);
                }
                p = end + 1;
        }
        qsort(r.lines, r.n_lines, sizeof(r.lines[0]), compare);
        for (size_t i = 0; i < r.n_lines; i++)
                size += strlen(r.lines[i]) + 1;
        result = at = calloc(1, size);
        for (size_t i = 0; result && i < r.n_lines; i++) {
                at += sprintf(at, "%s\n", r.lines[i]);
                free(r.lines[i]);
        }
        return result;
}
