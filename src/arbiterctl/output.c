/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The look of what arbiterctl prints. Called by all verbs; talks to nobody and allocates nothing, and what
 * it writes to a pipe must never hold colours. */

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "arbiterctl/output.h"
#include "basic/parse.h"
#include "basic/utf8.h"

int json_mode_from_string(const char *s, enum json_mode *ret) {
        if (streq(s, "off"))
                *ret = JSON_OFF;
        else if (streq(s, "short"))
                *ret = JSON_SHORT;
        else if (streq(s, "pretty"))
                *ret = JSON_PRETTY;
        else
                return -EINVAL;
        return 0;
}

void json_init(struct json *j, FILE *f, enum json_mode mode) {
        *j = (struct json){ .f = f, .pretty = mode == JSON_PRETTY };
}

static void new_line(struct json *j) {
        if (!j->pretty)
                return;
        (void) fputc('\n', j->f);
        for (unsigned i = 0; i < j->depth; i++)
                (void) fputc('\t', j->f);
}

/* What stands before a value or a key. */
static void separate(struct json *j) {
        if (j->after_key) {
                j->after_key = false;
                return;
        }
        if (j->depth == 0)
                return;
        if (j->used[j->depth - 1])
                (void) fputc(',', j->f);
        j->used[j->depth - 1] = true;
        new_line(j);
}

void json_open(struct json *j, char bracket) {
        assert(j->depth < JSON_DEPTH_MAX);

        separate(j);
        (void) fputc(bracket, j->f);
        j->used[j->depth++] = false;
}

void json_close(struct json *j, char bracket) {
        assert(j->depth > 0 && !j->after_key);

        if (j->used[--j->depth])
                new_line(j);
        (void) fputc(bracket, j->f);
}

static void write_string(FILE *f, const char *s) {
        (void) fputc('"', f);
        for (; *s; s++) {
                unsigned char c = (unsigned char) *s;

                if (c == '"' || c == '\\')
                        (void) fprintf(f, "\\%c", c);
                else if (c == '\n')
                        (void) fputs("\\n", f);
                else if (c == '\t')
                        (void) fputs("\\t", f);
                else if (utf8_control_size(s) == 1)
                        (void) fprintf(f, "\\u%04x", c);
                else if (utf8_control_size(s) == 2) /* U+0080 to U+009F: the second byte is the number */
                        (void) fprintf(f, "\\u%04x", (unsigned char) *++s);
                else
                        (void) fputc(c, f);
        }
        (void) fputc('"', f);
}

void json_key(struct json *j, const char *key) {
        assert(!j->after_key);

        separate(j);
        write_string(j->f, key);
        (void) fputs(j->pretty ? " : " : ":", j->f);
        j->after_key = true;
}

void json_string(struct json *j, const char *s) {
        if (!s) {
                json_null(j);
                return;
        }
        separate(j);
        write_string(j->f, s);
}

void json_u64(struct json *j, uint64_t v) {
        separate(j);
        (void) fprintf(j->f, "%" PRIu64, v);
}

void json_i64(struct json *j, int64_t v) {
        separate(j);
        (void) fprintf(j->f, "%" PRIi64, v);
}

void json_bool(struct json *j, bool v) {
        separate(j);
        (void) fputs(v ? "true" : "false", j->f);
}

void json_double(struct json *j, double v) {
        char buffer[DOUBLE_STRING_MAX];

        if (!isfinite(v)) {
                json_null(j);
                return;
        }
        separate(j);
        (void) fputs(format_double(buffer, v), j->f);
}

void json_null(struct json *j) {
        separate(j);
        (void) fputs("null", j->f);
}

void json_end(struct json *j) {
        assert(j->depth == 0 && !j->after_key);

        (void) fputc('\n', j->f);
}

void json_list_begin(struct json *j, enum json_mode mode) {
        json_init(j, stdout, mode);
        if (mode != JSON_OFF)
                json_open(j, '[');
}

void json_list_end(struct json *j) {
        if (j->depth != 1)
                return;
        json_close(j, ']');
        json_end(j);
}

static bool is_upper(char c) {
        return c >= 'A' && c <= 'Z';
}

/* At a capital after a small letter, or before one. */
static bool word_starts(const char *name, size_t i) {
        return is_upper(name[i]) && (!is_upper(name[i - 1]) || (name[i + 1] && !is_upper(name[i + 1])));
}

char *snake_case(const char *name, char *buffer, size_t size) {
        size_t n = 0;

        for (size_t i = 0; name[i] && n + 2 < size; i++) {
                bool upper = is_upper(name[i]);

                if (i > 0 && word_starts(name, i))
                        buffer[n++] = '_';
                buffer[n++] = upper ? (char) (name[i] - 'A' + 'a') : name[i];
        }
        if (size > 0)
                buffer[n] = 0;
        return buffer;
}

static bool utf8, coloured, terminal;

static bool is_set(const char *name) {
        const char *e = getenv(name);

        return e && *e;
}

/* As systemd: $SYSTEMD_COLORS overrides all, also that there is no terminal. */
static bool wants_colours(void) {
        const char *term = getenv("TERM"), *e = getenv("SYSTEMD_COLORS");
        bool b;

        if (e && parse_bool(e, &b) >= 0)
                return b;
        if (e && (streq(e, "16") || streq(e, "256") || startswith(e, "auto-")))
                return true;
        return terminal && !is_set("NO_COLOR") && term && !streq(term, "dumb");
}

void output_init(void) {
        /* No locale at all is the usual environment of services and containers: today that means UTF-8. */
        if (!is_set("LC_ALL") && !is_set("LC_CTYPE") && !is_set("LANG"))
                (void) setlocale(LC_CTYPE, "C.UTF-8");
        else
                (void) setlocale(LC_CTYPE, "");
        utf8 = streq(nl_langinfo(CODESET), "UTF-8");
        terminal = isatty(STDOUT_FILENO);
        coloured = wants_colours();
}

bool output_is_utf8(void) {
        return utf8;
}

bool output_is_coloured(void) {
        return coloured;
}

bool output_is_terminal(void) {
        return terminal;
}

static unsigned dimension(const char *variable, unsigned by_kernel, unsigned fallback) {
        const char *e = getenv(variable);
        uint32_t n;

        if (e && parse_u32(e, &n) >= 0 && n > 0)
                return n;
        return by_kernel > 0 ? by_kernel : fallback;
}

/* Whatever stdout is by now: a pager's pipe leads to the same terminal. */
static struct winsize window_size(void) {
        struct winsize ws = {};

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 && ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) < 0)
                (void) ioctl(STDIN_FILENO, TIOCGWINSZ, &ws);
        return ws;
}

unsigned output_width(void) {
        if (!terminal)
                return 0;
        return dimension("COLUMNS", window_size().ws_col, 80);
}

unsigned output_height(void) {
        return dimension("LINES", window_size().ws_row, 24);
}

/* The character at s: its bytes, and its cells to *ret. */
static size_t next_character(const char *s, unsigned *ret) {
        wchar_t w;
        size_t n = mbrtowc(&w, s, strlen(s), &(mbstate_t){});
        int cells;

        *ret = 1;
        if (n == 0 || n >= (size_t) -2)
                return 1;
        cells = wcwidth(w);
        if (cells >= 0)
                *ret = (unsigned) cells;
        return n;
}

unsigned text_width(const char *s) {
        unsigned width = 0, cells;

        while (*s) {
                s += next_character(s, &cells);
                width += cells;
        }
        return width;
}

char *text_cut(char *s, size_t size, unsigned width) {
        const char *ellipsis = glyph(GLYPH_ELLIPSIS);
        unsigned room = text_width(ellipsis), used = 0, cells;
        size_t at = 0, n;

        if (text_width(s) <= width)
                return s;
        if (width < room)
                ellipsis = "", room = 0;
        for (;;) {
                n = next_character(s + at, &cells);
                if (used + cells + room > width)
                        break;
                used += cells;
                at += n;
        }
        (void) snprintf(s + at, size - at, "%s", ellipsis);
        return s;
}

const char *glyph(enum glyph g) {
        static const char *const glyphs[][2] = {
                [GLYPH_DOT] = { "*", "●" },     [GLYPH_ARROW] = { "->", "→" },
                [GLYPH_USEC] = { "us", "µs" },  [GLYPH_BRANCH] = { "|-", "├─" },
                [GLYPH_LAST] = { "`-", "└─" },  [GLYPH_VERTICAL] = { "| ", "│ " },
                [GLYPH_SPACE] = { "  ", "  " }, [GLYPH_ELLIPSIS] = { "...", "…" },
        };

        return glyphs[g][utf8];
}

const char *colour(enum colour c) {
        static const char *const sequences[] = {
                [COLOUR_NORMAL] = "\x1b[0m", [COLOUR_GREEN] = "\x1b[32m", [COLOUR_YELLOW] = "\x1b[33m",
                [COLOUR_RED] = "\x1b[31m",   [COLOUR_GREY] = "\x1b[90m",  [COLOUR_BOLD] = "\x1b[1m",
        };

        return coloured ? sequences[c] : "";
}

enum colour state_colour(const char *state) {
        static const char *const moving[] = { "initial",  "inactive", "starting",
                                              "stopping", "backoff",  "reloading" };

        if (streq(state, "running"))
                return COLOUR_GREEN;
        if (streq(state, "failed"))
                return COLOUR_RED;
        for (size_t i = 0; i < ELEMENTSOF(moving); i++)
                if (streq(state, moving[i]))
                        return COLOUR_YELLOW;
        return COLOUR_GREY;
}

char *format_duration(char buffer[static DURATION_STRING_MAX], usec_t t) {
        static const struct {
                usec_t unit, part;
                const char *name, *part_name;
        } scales[] = {
                { 86400 * USEC_PER_SEC, 3600 * USEC_PER_SEC, "d", "h" },
                { 3600 * USEC_PER_SEC, 60 * USEC_PER_SEC, "h", "min" },
                { 60 * USEC_PER_SEC, USEC_PER_SEC, "min", "s" },
        };

        for (size_t i = 0; i < ELEMENTSOF(scales); i++) {
                usec_t rest = t % scales[i].unit / scales[i].part;

                if (t < scales[i].unit)
                        continue;
                if (t == USEC_INFINITY)
                        break;
                if (rest > 0)
                        (void) snprintf(buffer, DURATION_STRING_MAX, "%" PRIu64 "%s %" PRIu64 "%s",
                                        t / scales[i].unit, scales[i].name, rest, scales[i].part_name);
                else
                        (void) snprintf(buffer, DURATION_STRING_MAX, "%" PRIu64 "%s", t / scales[i].unit,
                                        scales[i].name);
                return buffer;
        }
        if (t == USEC_INFINITY)
                (void) snprintf(buffer, DURATION_STRING_MAX, "infinity");
        else if (t >= 10 * USEC_PER_SEC)
                (void) snprintf(buffer, DURATION_STRING_MAX, "%" PRIu64 "s", t / USEC_PER_SEC);
        else if (t >= USEC_PER_SEC)
                (void) snprintf(buffer, DURATION_STRING_MAX, "%" PRIu64 ".%" PRIu64 "s", t / USEC_PER_SEC,
                                t % USEC_PER_SEC / (USEC_PER_SEC / 10));
        else if (t >= USEC_PER_MSEC)
                (void) snprintf(buffer, DURATION_STRING_MAX, "%" PRIu64 ".%" PRIu64 "ms", t / USEC_PER_MSEC,
                                t % USEC_PER_MSEC / (USEC_PER_MSEC / 10));
        else
                (void) snprintf(buffer, DURATION_STRING_MAX, "%" PRIu64 "%s", t, glyph(GLYPH_USEC));
        return buffer;
}

char *format_bytes(char buffer[static BYTES_STRING_MAX], uint64_t n) {
        static const char units[] = "BKMGTPE";
        uint64_t tenths;
        size_t u = 0;

        if (n == UINT64_MAX) {
                (void) snprintf(buffer, BYTES_STRING_MAX, "-");
                return buffer;
        }
        if (n < 1024) {
                (void) snprintf(buffer, BYTES_STRING_MAX, "%" PRIu64 "B", n);
                return buffer;
        }
        for (; n >= 1024 * 1024; n /= 1024)
                u++;
        u++;
        tenths = n % 1024 * 10 / 1024;
        if (n / 1024 >= 100 || tenths == 0)
                (void) snprintf(buffer, BYTES_STRING_MAX, "%" PRIu64 "%c", n / 1024, units[u]);
        else
                (void) snprintf(buffer, BYTES_STRING_MAX, "%" PRIu64 ".%" PRIu64 "%c", n / 1024, tenths,
                                units[u]);
        return buffer;
}

char *format_double(char buffer[static DOUBLE_STRING_MAX], double v) {
        for (int precision = 15; precision <= 17; precision++) {
                (void) snprintf(buffer, DOUBLE_STRING_MAX, "%.*g", precision, v);
                if (strtod(buffer, NULL) == v)
                        break;
        }
        return buffer;
}
