/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The INI reader: text to lines, lines to sections and assignments, assignments to the parse functions of a
 * table. Called by configuration loaders and the fuzzer. Assumes that the text is hostile: bounds on size,
 * line length and number of messages; never prints. The parse functions are in conf-value.c. */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/suggest.h"
#include "basic/text.h"
#include "basic/utf8.h"
#include "shared/conf-parser.h"

/* Beyond this a file is noise, and telling all of it would only hide the rest of the log. */
enum { MESSAGES_MAX = 100 };

struct state {
        const struct conf_parser *parser;
        const char *file;
        struct conf_sink sink; /* counts, then passes on to the parser's */
        unsigned n_messages, n_errors;
        unsigned line;         /* that is being read */
        char *section;         /* NULL before the first */
        bool section_known;
        char *joined;          /* the lines so far, while the last one ended in a backslash */
        size_t joined_size;
        unsigned joined_line;
};

static void count_message(void *userdata, enum conf_level level, const char *file, unsigned line,
                          const char *text) {
        struct state *s = userdata;

        s->n_messages++;
        if (level <= CONF_ERROR)
                s->n_errors++;
        if (s->parser->sink.message)
                s->parser->sink.message(s->parser->sink.userdata, level, file, line, text);
}

static void conf_messagev(const struct conf_sink *sink, enum conf_level level, const char *file,
                          unsigned line, const char *format, va_list ap) _printf_(5, 0);
static void conf_messagev(const struct conf_sink *sink, enum conf_level level, const char *file,
                          unsigned line, const char *format, va_list ap) {
        char *text;

        if (!sink->message)
                return;
        text = text_formatv(format, ap);
        if (!text) {
                sink->message(sink->userdata, level, file, line,
                              "Out of memory while telling what is wrong here.");
                return;
        }
        utf8_make_harmless(text, ""); /* it quotes what stands in the file */
        sink->message(sink->userdata, level, file, line, text);
        free(text);
}

void conf_message(const struct conf_sink *sink, enum conf_level level, const char *file, unsigned line,
                  const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        conf_messagev(sink, level, file, line, format, ap);
        va_end(ap);
}

int conf_complain(const struct conf_context *c, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        conf_messagev(c->sink, CONF_ERROR, c->file, c->line, format, ap);
        va_end(ap);
        return -EBADMSG;
}

struct conf_shown conf_show(const char *text, size_t size) {
        struct conf_shown r = {};
        size_t n = 0, i = 0;

        while (i < size && n < sizeof(r.s) - 8) {
                size_t l = utf8_sequence_size(text + i, size - i);

                if (l == 0 || (l == 1 && ((unsigned char) text[i] < ' ' || text[i] == 127))) {
                        r.s[n++] = l > 0 && text[i] == '\t' ? ' ' : '?';
                        i++;
                        continue;
                }
                memcpy(r.s + n, text + i, l);
                n += l;
                i += l;
        }
        if (i < size)
                memcpy(r.s + n, "...", 3);
        return r;
}

int conf_bad_value(const struct conf_context *c, const char *value, const char *expected, ...) {
        _cleanup_free_ char *text = NULL;
        struct conf_shown key = conf_show(c->key, strlen(c->key)), shown = conf_show(value, strlen(value));
        va_list ap;

        va_start(ap, expected);
        text = text_formatv(expected, ap);
        va_end(ap);
        return text ? conf_complain(c, "%s=%s is not %s.", key.s, shown.s, text) : -ENOMEM;
}

static void say(struct state *s, enum conf_level level, unsigned line, const char *format, ...)
        _printf_(4, 5);
static void say(struct state *s, enum conf_level level, unsigned line, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        conf_messagev(&s->sink, level, s->file, line, format, ap);
        va_end(ap);
}

/* Trims blanks at both ends in place. */
static char *strip(char *s) {
        size_t n;

        s += strspn(s, " \t\r");
        n = strlen(s);
        while (n > 0 && strchr(" \t\r", s[n - 1]))
                n--;
        s[n] = 0;
        return s;
}

static void unknown_section(struct state *s, unsigned line) {
        struct conf_shown shown = conf_show(s->section, strlen(s->section));
        struct suggestion near = {};

        if (startswith(s->section, "X-"))
                return;
        for (const struct conf_item *i = s->parser->items; i->section; i++)
                suggest(&near, s->section, i->section);
        if (near.word)
                say(s, CONF_WARNING, line, "Unknown section [%s], all of it is ignored; did you mean [%s]?",
                    shown.s, near.word);
        else
                say(s, CONF_WARNING, line, "Unknown section [%s], all of it is ignored.", shown.s);
}

static int enter_section(struct state *s, char *text, unsigned line) {
        size_t n = strlen(text);
        struct conf_shown shown = conf_show(text, n);

        free(s->section);
        s->section = NULL;
        s->section_known = false;
        if (n < 3 || text[n - 1] != ']') {
                say(s, CONF_ERROR, line, "\"%s\" is no section header; write [NAME] alone on its line.",
                    shown.s);
                /* what follows belongs to a section of unknown name: it is skipped, not told line by line */
                s->section = strdup("X-");
                return s->section ? 0 : -ENOMEM;
        }
        s->section = strndup(text + 1, n - 2);
        if (!s->section)
                return -ENOMEM;
        for (const struct conf_item *i = s->parser->items; i->section && !s->section_known; i++)
                s->section_known = streq(i->section, s->section);
        if (!s->section_known)
                unknown_section(s, line);
        return 0;
}

static const struct conf_item *find_item(const struct state *s, const char *key) {
        for (const struct conf_item *i = s->parser->items; i->section; i++)
                if (streq(i->section, s->section) && (!i->key || streq(i->key, key)))
                        return i;
        return NULL;
}

static void unknown_key(struct state *s, const char *key, unsigned line) {
        struct conf_shown shown = conf_show(key, strlen(key));
        struct suggestion near = {};

        if (startswith(key, "X-"))
                return;
        for (const struct conf_item *i = s->parser->items; i->section; i++)
                if (i->key && !streq(i->section, s->section) && streq(i->key, key)) {
                        say(s, CONF_WARNING, line,
                            "%s= belongs in section [%s], not in [%s], and is ignored here.", shown.s,
                            i->section, s->section);
                        return;
                }
        for (const struct conf_foreign *f = s->parser->foreign; f && f->key; f++)
                if (strcasecmp(f->key, key) == 0) {
                        say(s, CONF_WARNING, line,
                            "Unknown key %s= in section [%s], ignored; here that is %s.", shown.s,
                            s->section, f->here);
                        return;
                }
        for (const struct conf_item *i = s->parser->items; i->section; i++)
                if (i->key && streq(i->section, s->section))
                        suggest(&near, key, i->key);
        if (near.word)
                say(s, CONF_WARNING, line, "Unknown key %s= in section [%s], ignored; did you mean %s=?",
                    shown.s, s->section, near.word);
        else
                say(s, CONF_WARNING, line, "Unknown key %s= in section [%s], ignored.", shown.s, s->section);
}

static int assign(struct state *s, char *text, unsigned line) {
        struct conf_shown shown = conf_show(text, strlen(text));
        char *equals = strchr(text, '=');
        const struct conf_item *item;
        struct conf_context c;
        char *key, *value;

        if (!s->section) {
                say(s, CONF_ERROR, line,
                    "\"%s\" stands before the first section; write the [SECTION] above it.", shown.s);
                return 0;
        }
        if (!s->section_known)
                return 0;
        if (!equals || equals == text) {
                say(s, CONF_ERROR, line,
                    "\"%s\" is no assignment; write KEY=VALUE, or # in front of a comment.", shown.s);
                return 0;
        }
        *equals = 0;
        key = strip(text);
        value = strip(equals + 1);
        item = find_item(s, key);
        if (!item) {
                unknown_key(s, key, line);
                return 0;
        }
        c = (struct conf_context){
                .sink = &s->sink,
                .file = s->file,
                .line = line,
                .section = s->section,
                .key = key,
                .item = item,
                .parser = s->parser,
        };
        return item->parse(&c, value, (char *) s->parser->data + item->offset);
}

static bool check_characters(struct state *s, const char *text, size_t size, unsigned line) {
        if (!utf8_is_valid(text, size)) {
                say(s, CONF_ERROR, line, "The line is not valid UTF-8; save the file in UTF-8.");
                return false;
        }
        for (size_t i = 0; i < size; i++)
                if (((unsigned char) text[i] < ' ' && text[i] != '\t' && text[i] != '\r') ||
                    text[i] == 127) {
                        say(s, CONF_ERROR, line,
                            "The line contains a control character (code %u); remove it, or write it as an "
                            "escape "
                            "such as \\x%02x where escapes are known.",
                            (unsigned) text[i], (unsigned) text[i]);
                        return false;
                }
        return true;
}

/* A whole logical line, writable and terminated. */
static int handle_line(struct state *s, char *text, size_t size, unsigned line) {
        int r;

        if (size > CONF_LINE_MAX) {
                say(s, CONF_ERROR, line, "The line is longer than %zu bytes; split the assignment.",
                    CONF_LINE_MAX);
                return 0;
        }
        if (!check_characters(s, text, size, line))
                return 0;
        text = strip(text);
        if (!*text)
                return 0;
        r = *text == '[' ? enter_section(s, text, line) : assign(s, text, line);
        return r == -EBADMSG ? 0 : r;
}

/* An odd number of backslashes at the end means that the line goes on. */
static bool is_continued(const char *text, size_t size) {
        size_t n = 0;

        while (n < size && text[size - 1 - n] == '\\')
                n++;
        return n % 2 == 1;
}

static int join_line(struct state *s, const char *text, size_t size) {
        char *bigger;

        /* one byte over the limit is kept, so that handle_line() sees that it is too long */
        size = MIN(size, CONF_LINE_MAX + 1 - MIN(s->joined_size, CONF_LINE_MAX + 1));
        bigger = realloc(s->joined, s->joined_size + size + 1);
        if (!bigger)
                return -ENOMEM;
        memcpy(bigger + s->joined_size, text, size);
        s->joined = bigger;
        s->joined_size += size;
        s->joined[s->joined_size] = 0;
        return 0;
}

static int finish_joined(struct state *s) {
        _cleanup_free_ char *text = TAKE_PTR(s->joined);
        size_t size = s->joined_size;

        s->joined_size = 0;
        return text ? handle_line(s, text, size, s->joined_line) : 0;
}

/* A line of the file, without its newline. */
static int handle_raw_line(struct state *s, const char *text, size_t size) {
        bool continued;
        size_t blanks = 0;
        int r;

        if (size > 0 && text[size - 1] == '\r')
                size--;
        while (blanks < size && (text[blanks] == ' ' || text[blanks] == '\t'))
                blanks++;
        if (blanks < size && (text[blanks] == '#' || text[blanks] == ';'))
                return 0;

        continued = is_continued(text, size);
        if (!s->joined)
                s->joined_line = s->line;
        r = join_line(s, text, continued ? size - 1 : size);
        if (r >= 0 && continued)
                r = join_line(s, " ", 1);
        if (r < 0 || continued)
                return r;
        return finish_joined(s);
}

static int parse_lines(struct state *s, const char *text, size_t size) {
        int r;

        while (size > 0) {
                const char *newline = memchr(text, '\n', size);
                size_t n = newline ? (size_t) (newline - text) : size;

                s->line++;
                r = handle_raw_line(s, text, n);
                if (r < 0)
                        return r;
                if (s->n_messages >= MESSAGES_MAX) {
                        say(s, CONF_ERROR, s->line, "Too many mistakes; the rest of the file is not read.");
                        return 0;
                }
                n += newline != NULL;
                text += n;
                size -= n;
        }
        return finish_joined(s);
}

int conf_parse_buffer(const struct conf_parser *p, const char *file, const char *text, size_t size) {
        struct state s = { .parser = p, .file = file, .sink = { count_message, &s } };
        const char *nul = size > 0 ? memchr(text, 0, size) : NULL;
        int r = 0;

        if (nul) {
                unsigned line = 1;

                for (const char *i = text; i < nul; i++)
                        line += *i == '\n';
                say(&s, CONF_ERROR, line, "The file contains a NUL byte; it is not a text file.");
        } else if (size > CONF_FILE_MAX)
                say(&s, CONF_ERROR, 0, "The file is larger than %zu bytes; it is not read.", CONF_FILE_MAX);
        else {
                if (size >= 3 && memcmp(text, "\357\273\277", 3) == 0) { /* a byte order mark */
                        text += 3;
                        size -= 3;
                }
                r = parse_lines(&s, text, size);
        }
        free(s.section);
        free(s.joined);
        if (r < 0)
                return r;
        return s.n_errors > 0 ? -EBADMSG : 0;
}

int conf_read_file(const char *path, size_t max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        _cleanup_free_ char *buffer = NULL;
        size_t size = 0, allocated;
        struct stat st;

        if (fd < 0)
                return negative_errno();
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if ((uint64_t) st.st_size > max)
                return -EFBIG;
        allocated =
                max - (size_t) st.st_size > 4096 ? (size_t) st.st_size + 4096 : max; /* it may be growing */
        buffer = malloc(allocated + 1);
        if (!buffer)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(fd, buffer + size, allocated - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return negative_errno();
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size == allocated)
                        break;
        }
        buffer[size] = 0;
        *ret = TAKE_PTR(buffer);
        *ret_size = size;
        return 0;
}

int conf_parse_file(const struct conf_parser *p, const char *path) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = conf_read_file(path, CONF_FILE_MAX, &text, &size);

        if (r >= 0)
                return conf_parse_buffer(p, path, text, size);
        if (r == -ENOMEM)
                return r;
        if (r == -EINVAL || r == -EISDIR)
                conf_message(&p->sink, CONF_ERROR, path, 0,
                             "This is %s, not a regular file; remove it, or put a "
                             "file in its place.",
                             r == -EISDIR ? "a directory" : "a device, pipe or socket");
        else if (r == -EFBIG)
                conf_message(&p->sink, CONF_ERROR, path, 0,
                             "The file is larger than %zu bytes; it is not read.", CONF_FILE_MAX);
        else
                conf_message(&p->sink, CONF_ERROR, path, 0, "The file cannot be read: %s.%s", strerror(-r),
                             r == -EACCES   ? " Check its owner and mode."
                             : r == -ENOENT ? " It may be a symbolic link to nowhere; remove or mend it."
                                            : "");
        return -EBADMSG;
}
