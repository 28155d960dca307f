/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines: splitting, quoting, variables. Called by the configuration loader and, with a worker's
 * environment, before each spawn. Never runs anything and never asks a shell. */

#include <stdio.h>
#include <sys/stat.h>

#include "basic/utf8.h"
#include "basic/words.h"
#include "shared/exec-line.h"
#include "shared/memstream.h"
#include "shared/strv.h"

static const char *const program_directories[] = {
        "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
};

int split_words(const char *s, char ***ret, const char **ret_why) {
        _cleanup_strv_free_ char **words = NULL;
        int r;

        for (s += strspn(s, BLANKS); *s; s += strspn(s, BLANKS)) {
                char *word;

                r = word_scan(&s, NULL, &word, ret_why);
                if (r < 0)
                        return r;
                r = strv_take(&words, word);
                if (r < 0)
                        return r;
        }
        if (!words) {
                words = calloc(1, sizeof(char *));
                if (!words)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(words);
        return 0;
}

int exec_line_parse(const char *s, char ***ret, const char **ret_why) {
        _cleanup_strv_free_ char **words = NULL;
        int r;

        s += strspn(s, BLANKS);
        if (*s && strchr("-@:+!|", *s)) {
                *ret_why = "the prefixes - @ : + ! of systemd's ExecStart= are not known here; begin with "
                           "the program "
                           "(for a failure that does not count write Restart=temporary)";
                return -EINVAL;
        }
        r = split_words(s, &words, ret_why);
        if (r < 0)
                return r;
        if (!words[0] || !*words[0]) {
                *ret_why = "it names no program";
                return -EINVAL;
        }
        if (words[0][0] != '/' && strchr(words[0], '/')) {
                *ret_why = "the program's path is relative; write the absolute path, or its plain name to "
                           "have it "
                           "looked for in /usr/local/bin, /usr/bin and the like";
                return -EINVAL;
        }
        if (words[0][strlen(words[0]) - 1] == '/') {
                *ret_why = "the program's path names a directory";
                return -EINVAL;
        }
        *ret = TAKE_PTR(words);
        return 0;
}

static size_t variable_span(const char *s) {
        size_t n = 0;

        if (*s >= '0' && *s <= '9')
                return 0;
        while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') ||
               (s[n] >= '0' && s[n] <= '9') || s[n] == '_')
                n++;
        return n;
}

static int expand_word(const char *s, char *const *environment, char **ret) {
        char *buffer = NULL;
        size_t size = 0, n;
        FILE *f = open_memstream(&buffer, &size);

        if (!f)
                return -ENOMEM;
        while (*s)
                if (s[0] == '$' && s[1] == '$') {
                        (void) fputc('$', f);
                        s += 2;
                } else if (s[0] == '$' && s[1] == '{' && (n = variable_span(s + 2)) > 0 && s[2 + n] == '}') {
                        const char *value = strv_get_environment(environment, s + 2, n);

                        (void) fputs(value ? value : "", f);
                        s += 3 + n;
                } else
                        (void) fputc(*s++, f);
        if (memstream_finish(f, &buffer) < 0)
                return -ENOMEM;
        *ret = buffer;
        return 0;
}

/* Appends the words of a variable's value; one with broken quotes counts as one word. */
static int append_variable(char ***l, const char *value) {
        _cleanup_strv_free_ char **words = NULL;
        const char *why;
        int r;

        if (!value)
                return 0;
        r = split_words(value, &words, &why);
        if (r == -EINVAL)
                return strv_add(l, value);
        if (r < 0)
                return r;
        STRV_FOREACH(i, words) {
                r = strv_add(l, *i);
                if (r < 0)
                        return r;
        }
        return 0;
}

int exec_line_expand(char *const *words, char *const *environment, char ***ret) {
        _cleanup_strv_free_ char **result = NULL;
        int r = 0;

        STRV_FOREACH(i, words) {
                const char *w = *i;
                size_t n = w[0] == '$' ? variable_span(w + 1) : 0;

                if (i == words)
                        r = strv_add(&result, w);
                else if (n > 0 && w[1 + n] == 0)
                        r = append_variable(&result, strv_get_environment(environment, w + 1, n));
                else {
                        char *word = NULL;

                        r = expand_word(w, environment, &word);
                        if (r >= 0)
                                r = strv_take(&result, word);
                }
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(result);
        return 0;
}

static int check_program(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == ENOTDIR ? -ENOENT : negative_errno();
        /* any x bit: the worker may run as another user, whom only the kernel can judge */
        return S_ISREG(st.st_mode) && (st.st_mode & 0111) ? 0 : -EACCES;
}

int exec_find_program(const char *name, char **ret) {
        int found = -ENOENT;

        if (strchr(name, '/')) {
                char *copy;
                int r = check_program(name);

                if (r < 0)
                        return r;
                copy = strdup(name);
                if (!copy)
                        return -ENOMEM;
                *ret = copy;
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(program_directories); i++) {
                _cleanup_free_ char *path = NULL;
                int r;

                if (asprintf(&path, "%s/%s", program_directories[i], name) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                r = check_program(path);
                if (r >= 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
                if (r != -ENOENT)
                        found = r;
        }
        return found;
}

bool environment_assignment_is_valid(const char *s) {
        size_t n = variable_span(s);

        return n > 0 && s[n] == '=';
}

/* The value of an assignment, from behind the = to the end of its (last) line. Quotes as in a shell: '...'
 * is literal,
 * "..." knows \" \\ \$ \`, outside a backslash takes the next character literally; backslash newline joins
 * lines. */
static int scan_file_value(const char **s, const char *end, unsigned *line, FILE *f) {
        const char *p = *s;
        size_t pending = 0; /* blanks that count only if something follows */
        char quote = 0;

        while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        for (; p < end && (quote || *p != '\n'); p++) {
                if (!quote && (*p == ' ' || *p == '\t' || *p == '\r')) {
                        pending++;
                        continue;
                }
                if (pending > 0) {
                        (void) fwrite(p - pending, 1, pending, f);
                        pending = 0;
                }
                if (*p == '\n')
                        (*line)++;
                if (quote ? *p == quote : *p == '"' || *p == '\'')
                        quote = quote ? 0 : *p;
                else if (*p == '\\' && quote != '\'' && p + 1 < end) {
                        p++;
                        if (*p == '\n')
                                (*line)++;
                        else {
                                if (quote && !strchr("\"\\$`", *p))
                                        (void) fputc('\\', f);
                                (void) fputc(*p, f);
                        }
                } else
                        (void) fputc(*p, f);
        }
        *s = p;
        return quote ? -EBADMSG : 0;
}

/* One assignment at *s. */
static int scan_file_assignment(const char **s, const char *end, unsigned *line, char **ret) {
        char *buffer = NULL;
        size_t size = 0, n = variable_span(*s);
        FILE *f;
        int r;

        if (n == 0 || *s + n >= end || (*s)[n] != '=')
                return -EBADMSG;
        f = open_memstream(&buffer, &size);
        if (!f)
                return -ENOMEM;
        (void) fwrite(*s, 1, n + 1, f);
        *s += n + 1;
        r = scan_file_value(s, end, line, f);
        if (memstream_finish(f, &buffer) < 0 && r >= 0)
                r = -ENOMEM;
        if (r >= 0 && !utf8_is_valid(buffer, size))
                r = -EBADMSG;
        if (r < 0) {
                free(buffer);
                return r;
        }
        *ret = buffer;
        return 0;
}

int environment_file_parse(const char *text, size_t size, char ***l, unsigned *ret_line) {
        _cleanup_strv_free_ char **result = NULL;
        _cleanup_free_ char *copy = NULL;
        const char *s, *end;
        unsigned line = 1;
        int r;

        if (memchr(text, 0, size)) {
                *ret_line = 0;
                return -EBADMSG;
        }
        copy = strndup(text, size); /* terminated: the scanners stop at NUL */
        if (!copy)
                return -ENOMEM;
        r = strv_copy(*l, &result);
        if (r < 0)
                return r;

        for (s = copy, end = copy + size; s < end; s++) {
                _cleanup_free_ char *assignment = NULL;
                unsigned start;

                s += strspn(s, " \t\r");
                start = line;
                if (*s == '#' || *s == ';')
                        s += strcspn(s, "\n");
                else if (*s && *s != '\n') {
                        r = scan_file_assignment(&s, end, &line, &assignment);
                        if (r >= 0)
                                r = strv_set_environment(&result, assignment);
                        if (r < 0) {
                                *ret_line = start;
                                return r;
                        }
                }
                line++;
        }
        strv_free(*l);
        *l = TAKE_PTR(result);
        return 0;
}
