/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Command lines and environments as systemd.service(5) and systemd.exec(5) write them. */

#include "basic/macro.h"

/* Splits into words: blanks separate, "..." and '...' quote a whole word or a part of it, C escapes (\n \x41
 * \101 \u00e9 \s ...) hold everywhere. Nothing is expanded, no shell is involved. -EINVAL with a static text
 * saying why. */
int split_words(const char *s, char ***ret, const char **ret_why);
/* An Exec= value: words, of which the first is a program, by absolute path or a plain name. The prefixes - @
 * : + ! of systemd are refused with a text of their own. */
int exec_line_parse(const char *s, char ***ret, const char **ret_why);
/* Replaces ${NAME} inside words, and words that are $NAME by the words of its value (none if it is empty);
 * $$ is $. Unset variables are empty. The program itself (the first word) is left alone, as systemd does. */
int exec_line_expand(char *const *words, char *const *environment, char ***ret);
/* A plain name is looked for in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin. -ENOENT;
 * -EACCES if it is there but not an executable file. */
int exec_find_program(const char *name, char **ret);

/* Is it NAME=VALUE with a name of [A-Za-z_][A-Za-z0-9_]*? */
bool environment_assignment_is_valid(const char *s);
/* The contents of an EnvironmentFile=: appends its assignments to *l (later ones replace earlier). Lines
 * that are no assignment: -EBADMSG with *ret_line, nothing appended. */
int environment_file_parse(const char *text, size_t size, char ***l, unsigned *ret_line);
