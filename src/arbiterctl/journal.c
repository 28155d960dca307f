/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the last entries about something from the journal and prints them in journalctl's short form.
 * Called by status, and by verbs whose work failed. A journal that cannot be read is no failure: the
 * answer is complete without. It must not be called for an arbiter elsewhere, whose journal is not here. */

#include <fnmatch.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "arbiterctl/journal.h"
#include "basic/utf8.h"
#include "shared/strv.h"

#define SETTLE_TIME (250 * USEC_PER_MSEC)
#define LINES_MAX 10000 /* nobody reads more, and they are collected by going back */

void journal_filter_init(struct journal_filter *f, const struct context *c, const char *instance) {
        *f = (struct journal_filter){
                .instance = context_is_local(c) ? instance : "",
                .user = c->scope == SCOPE_USER,
        };
}

static int add_match(sd_journal *j, const char *field, const char *value) {
        char match[256];
        int n = snprintf(match, sizeof(match), "%s=%s", field, value);

        if (n < 0 || (size_t) n >= sizeof(match))
                return -EINVAL;
        return sd_journal_add_match(j, match, (size_t) n);
}

/* instance AND uid AND (monitor OR name) AND aid */
static int add_matches(sd_journal *j, const struct journal_filter *f) {
        char uid[16];
        int r;

        r = add_match(j, "ARBITER_INSTANCE", f->instance);
        if (r >= 0 && f->user) {
                (void) snprintf(uid, sizeof(uid), "%u", (unsigned) getuid());
                r = add_match(j, "_UID", uid);
        }
        if (r >= 0 && f->aid)
                r = add_match(j, "ARBITER_AID", f->aid);
        if (r < 0 || !f->name)
                return r;
        r = sd_journal_add_conjunction(j);
        if (r >= 0)
                r = add_match(j, "ARBITER_MONITOR", f->name);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        return r < 0 ? r : add_match(j, "ARBITER_NAME", f->name);
}

static int open_journal(const struct journal_filter *f, sd_journal **ret) {
        sd_journal *j;
        int r;

        if (!*f->instance)
                return -ENOENT;
        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        r = add_matches(j, f);
        if (r >= 0)
                r = sd_journal_seek_tail(j);
        if (r < 0) {
                sd_journal_close(j);
                return r;
        }
        *ret = j;
        return 0;
}

/* A copy of the field's value, or NULL. */
static char *get_field(sd_journal *j, const char *name) {
        const void *data;
        size_t size, prefix = strlen(name) + 1;

        if (sd_journal_get_data(j, name, &data, &size) < 0 || size < prefix)
                return NULL;
        return strndup((const char *) data + prefix, size - prefix);
}

static const char *priority_colour(const char *priority) {
        if (!priority || !*priority || priority[1])
                return "";
        return *priority <= '3' ? colour(COLOUR_RED) :
                *priority == '4' ? colour(COLOUR_YELLOW) :
                *priority == '5' ? colour(COLOUR_BOLD) :
                                   "";
}

/* "Nov 22 01:39:14 host web.1[42]: " */
static int format_prefix(sd_journal *j, char **ret) {
        _cleanup_free_ char *host = get_field(j, "_HOSTNAME"),
                            *identifier = get_field(j, "SYSLOG_IDENTIFIER"), *pid = get_field(j, "_PID"),
                            *comm = NULL;
        uint64_t usec = 0;
        char when[32];
        time_t seconds;
        struct tm tm;

        (void) sd_journal_get_realtime_usec(j, &usec);
        seconds = (time_t) (usec / USEC_PER_SEC);
        if (!localtime_r(&seconds, &tm) || strftime(when, sizeof(when), "%b %d %H:%M:%S", &tm) == 0)
                return -EINVAL;
        if (!identifier)
                comm = get_field(j, "_COMM");
        return asprintf(ret, "%s %s %s%s%s%s: ", when, host ? host : "-",
                        identifier ? identifier : comm ? comm : "-", pid ? "[" : "", pid ? pid : "",
                        pid ? "]" : "");
}

/* What a terminal would obey does not get there. */
static void make_harmless(char *s) {
        for (char *tab = s; (tab = strchr(tab, '\t'));)
                *tab = ' ';
        utf8_make_harmless(s, "\n");
}

/* Lines after the first stand below it. */
static void print_lines(const char *prefix, char *message, const char *start, unsigned width, FILE *out) {
        unsigned indent = text_width(prefix), room = width > indent ? width - indent : 1;
        char *state = NULL;
        bool first = true;

        for (char *line = strtok_r(message, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                size_t size = strlen(line) + 4;
                _cleanup_free_ char *cut = malloc(size);

                if (!cut)
                        return;
                (void) memcpy(cut, line, size - 3);
                if (width > 0)
                        (void) text_cut(cut, size, room);
                (void) fprintf(out, "%*s%s%s%s\n", first ? 0 : (int) indent, first ? prefix : "", start, cut,
                               *start ? colour(COLOUR_NORMAL) : "");
                first = false;
        }
}

static void print_entry(sd_journal *j, unsigned width, FILE *out) {
        _cleanup_free_ char *message = get_field(j, "MESSAGE"), *priority = get_field(j, "PRIORITY"),
                            *prefix = NULL;

        if (!message)
                return;
        if (format_prefix(j, &prefix) < 0) {
                prefix = NULL;
                return;
        }
        make_harmless(message);
        make_harmless(prefix);
        print_lines(prefix, message, priority_colour(priority), width, out);
}

/* From the tail back over n entries that are not older than since; leaves the reader before the first. */
static size_t go_back(sd_journal *j, size_t n, uint64_t since) {
        size_t found = 0;
        uint64_t usec;

        while (found < n && sd_journal_previous(j) > 0) {
                if (since > 0 && (sd_journal_get_realtime_usec(j, &usec) < 0 || usec < since)) {
                        (void) sd_journal_next(j);
                        break;
                }
                found++;
        }
        return found;
}

size_t journal_print(const struct journal_filter *f, const char *heading, size_t n, unsigned width,
                     FILE *out) {
        sd_journal *j;
        size_t found;

        if (n == 0 || open_journal(f, &j) < 0)
                return 0;
        found = go_back(j, MIN(n, (size_t) LINES_MAX), f->since_usec);
        if (found > 0)
                (void) fputs(heading, out);
        for (size_t i = 0; i < found; i++) {
                print_entry(j, width, out);
                if (sd_journal_next(j) <= 0)
                        break;
        }
        sd_journal_close(j);
        return found;
}

/* Its aid, newest entry first. What a life said in its end may not have reached the journal yet: it is given
 * a moment. */
static char *find_last_life(sd_journal *j, uint64_t since) {
        char *aid = NULL;

        for (int attempt = 0; !aid && attempt < 2; attempt++) {
                if (attempt > 0 && (sd_journal_wait(j, SETTLE_TIME) < 0 || sd_journal_seek_tail(j) < 0))
                        return NULL;
                while (!aid && go_back(j, 1, since) > 0)
                        aid = get_field(j, "ARBITER_AID");
        }
        return aid;
}

size_t journal_print_last_life(const struct journal_filter *f, size_t n, unsigned width, FILE *out) {
        struct journal_filter life = *f;
        char heading[200];
        _cleanup_free_ char *aid = NULL;
        sd_journal *j;

        if (open_journal(f, &j) < 0)
                return 0;
        aid = find_last_life(j, f->since_usec);
        sd_journal_close(j);
        if (!aid)
                return 0;
        life.aid = aid;
        (void) snprintf(heading, sizeof(heading), "The last lines of %s (%s) in the journal:\n", f->name,
                        aid);
        return journal_print(&life, heading, n, width, out);
}

static int expand_field(sd_journal *j, const char *field, const char *pattern, char ***names) {
        size_t size, prefix = strlen(field) + 1;
        const void *data;
        int r;

        r = sd_journal_query_unique(j, field);
        if (r < 0)
                return r;
        SD_JOURNAL_FOREACH_UNIQUE(j, data, size) {
                _cleanup_free_ char *name = strndup((const char *) data + prefix, size - prefix);

                if (!name)
                        return -ENOMEM;
                if (pattern && fnmatch(pattern, name, 0) != 0)
                        continue;
                if (!strv_contains(*names, name) && strv_take(names, TAKE_PTR(name)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int journal_names(const char *pattern, char ***ret) {
        _cleanup_strv_free_ char **names = NULL;
        sd_journal *j;
        int r;

        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        r = expand_field(j, "ARBITER_MONITOR", pattern, &names);
        if (r >= 0)
                r = expand_field(j, "ARBITER_NAME", pattern, &names);
        sd_journal_close(j);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(names);
        return 0;
}
