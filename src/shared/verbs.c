/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verb tables: dispatch and help from the same rows, so that they cannot disagree. */

#include "basic/suggest.h"
#include "shared/verbs.h"

enum { COLUMNS = 80, LEFT_COLUMN = 26 };

static bool is_end(const struct verb *v) {
        return !v->name && !v->help;
}

static const struct verb *find(const struct verb *verbs, const char *name) {
        for (const struct verb *v = verbs; !is_end(v); v++)
                if (name ? v->name && streq(v->name, name) : v->name && (v->flags & VERB_DEFAULT))
                        return v;
        return NULL;
}

static int unknown_verb(const struct verb *verbs, const char *name, const char *program) {
        struct suggestion s = {};

        for (const struct verb *v = verbs; !is_end(v); v++)
                if (v->name && !(v->flags & VERB_HIDDEN))
                        suggest(&s, name, v->name);
        if (s.word)
                (void) fprintf(stderr, "%s: Unknown verb \"%s\". Did you mean \"%s\"?\n", program, name,
                               s.word);
        else
                (void) fprintf(stderr, "%s: Unknown verb \"%s\". \"%s --help\" lists all of them.\n",
                               program, name, program);
        return EXIT_USAGE;
}

int verbs_dispatch(int argc, char *argv[], const struct verb *verbs, const char *program, void *userdata) {
        char *default_argv[] = { NULL, NULL };
        const struct verb *v;
        unsigned n;

        v = find(verbs, argc > 0 ? argv[0] : NULL);
        if (!v && argc > 0)
                return unknown_verb(verbs, argv[0], program);
        if (!v) {
                (void) fprintf(stderr, "%s: A verb is missing. \"%s --help\" lists all of them.\n", program,
                               program);
                return EXIT_USAGE;
        }
        if (argc == 0) {
                default_argv[0] = (char *) v->name;
                argv = default_argv;
                argc = 1;
        }

        n = (unsigned) argc - 1;
        if (n < v->min_args || n > v->max_args) {
                (void) fprintf(stderr, "%s: %s arguments. Usage: %s %s%s%s\n", program,
                               n < v->min_args ? "Too few" : "Too many", program, v->name,
                               v->arguments ? " " : "", v->arguments ? v->arguments : "");
                return EXIT_USAGE;
        }
        return v->run(argc, argv, userdata);
}

/* Characters, not bytes, of valid UTF-8. */
static int width(const char *s, size_t n) {
        int w = 0;

        for (size_t i = 0; i < n; i++)
                w += ((unsigned char) s[i] & 0xc0) != 0x80;
        return w;
}

void help_print_line(FILE *f, const char *left, const char *text) {
        int column = 2 + width(left, strlen(left));

        (void) fprintf(f, "  %s", left);
        if (column >= LEFT_COLUMN) {
                (void) fputc('\n', f);
                column = 0;
        }
        (void) fprintf(f, "%*s", LEFT_COLUMN - column, "");
        column = LEFT_COLUMN;

        while (*text) {
                size_t n = strcspn(text, " ");
                int w = width(text, n);

                if (column > LEFT_COLUMN && column + 1 + w > COLUMNS) {
                        (void) fprintf(f, "\n%*s", LEFT_COLUMN, "");
                        column = LEFT_COLUMN;
                } else if (column > LEFT_COLUMN) {
                        (void) fputc(' ', f);
                        column++;
                }
                (void) fwrite(text, 1, n, f);
                column += w;
                text += n + strspn(text + n, " ");
        }
        (void) fputc('\n', f);
}

void verbs_print_help(FILE *f, const struct verb *verbs) {
        for (const struct verb *v = verbs; !is_end(v); v++) {
                char left[COLUMNS];

                if (v->flags & VERB_HIDDEN)
                        continue;
                if (!v->name) {
                        (void) fprintf(f, "%s%s\n", v == verbs ? "" : "\n", v->help);
                        continue;
                }
                (void) snprintf(left, sizeof(left), "%s%s%s", v->name, v->arguments ? " " : "",
                                v->arguments ? v->arguments : "");
                help_print_line(f, left, v->help);
        }
}
