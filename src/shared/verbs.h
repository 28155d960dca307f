/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of a command line program: one table dispatches, prints the help, and is what the lint compares
 * with man page and completions. */

#include <limits.h>
#include <stdio.h>

#include "basic/macro.h"

#define VERB_ANY UINT_MAX

enum { VERB_DEFAULT = 1 << 0 /* runs when none is named */, VERB_HIDDEN = 1 << 1 /* not in the help */ };
enum { EXIT_USAGE = 2 };

struct verb {
        const char *name; /* NULL: a heading in the help, its text in help; NULL and NULL ends the table */
        unsigned min_args, max_args;     /* arguments after the verb */
        unsigned flags;
        const char *arguments;           /* "NAME...", may be NULL; for the help */
        const char *help;                /* what it does, one line */
        int (*run)(int argc, char *argv[], void *userdata); /* argv[0] is the verb; returns an exit status */
};

/* argv starts at the verb (after the options). Returns what the verb returns, or EXIT_USAGE after a message
 * on stderr that starts with program. */
int verbs_dispatch(int argc, char *argv[], const struct verb *verbs, const char *program, void *userdata);
/* The table as help text, in columns, folded to 80. */
void verbs_print_help(FILE *f, const struct verb *verbs);
/* The same layout for options and the like: a left part and a text. */
void help_print_line(FILE *f, const char *left, const char *text);
