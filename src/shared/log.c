/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages of programs, on stderr or to the journal. Called by arbiterd, arbiterctl and arbiter-host;
 * never by the library, and never in a forked child after the fork of a threaded program. One write(2) a
 * message, so that lines of several processes on one stderr do not mix. */

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/text.h"
#include "shared/log-journal.h"
#include "shared/log.h"
#include "shared/memstream.h"

static const char *const levels[] = {
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"
};

enum target { TARGET_CONSOLE, TARGET_JOURNAL, TARGET_NULL };
static const char *const targets[] = { "console", "journal", "null" };

static const char *program_name;
static int max_level = LOG_INFO;
static bool prefix; /* stderr is a stream to the journal */
static enum target target;
static struct journal_fields common; /* of each entry */

int log_level_from_string(const char *s) {
        uint64_t x;

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (streq(s, levels[i]))
                        return (int) i;
        if (streq(s, "error"))
                return LOG_ERR;
        return parse_u64_range(s, LOG_EMERG, LOG_DEBUG, &x) < 0 ? -EINVAL : (int) x;
}

/* systemd sets $JOURNAL_STREAM to DEVICE:INODE of the stream it gave us; it is inherited by those whose
 * stderr has been redirected since, therefore the comparison (systemd.exec(5)). */
static bool stderr_is_journal(void) {
        const char *e = getenv("JOURNAL_STREAM");
        char own[64];
        struct stat st;

        if (!e || fstat(STDERR_FILENO, &st) < 0)
                return false;
        (void) snprintf(own, sizeof(own), "%" PRIu64 ":%" PRIu64, (uint64_t) st.st_dev,
                        (uint64_t) st.st_ino);
        return streq(e, own);
}

void log_open(const char *program) {
        const char *e = getenv("ARBITER_LOG_LEVEL");
        int level = e ? log_level_from_string(e) : -EINVAL;

        program_name = program;
        if (level >= 0)
                max_level = level;
        prefix = stderr_is_journal();
}

void log_set_level(int level) {
        max_level = level;
}

int log_get_level(void) {
        return max_level;
}

static void write_stderr(int level, const char *text) {
        _cleanup_free_ char *buffer = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&buffer, &size);

        if (!f) { /* out of memory: say it in pieces rather than not at all */
                (void) write_all(STDERR_FILENO, text, strlen(text));
                (void) write_all(STDERR_FILENO, "\n", 1);
                return;
        }
        if (prefix)
                (void) fprintf(f, "<%d>", level);
        else if (program_name)
                (void) fprintf(f, "%s: ", program_name);
        for (; *text; text++)
                if (*text != '\n')
                        (void) fputc(*text, f);
                else if (prefix)
                        (void) fprintf(f, "\n<%d>", level);
                else
                        (void) fputc(' ', f);
        (void) fputc('\n', f);
        if (memstream_finish(f, &buffer) >= 0)
                (void) write_all(STDERR_FILENO, buffer, size);
}

static int open_journal(void) {
        return log_journal_open(journal_socket_path(), program_name);
}

int log_set_target(const char *s) {
        enum target t = TARGET_CONSOLE;
        int r;

        if (streq(s, "auto"))
                s = targets[prefix ? TARGET_JOURNAL : TARGET_CONSOLE];
        while (t < ELEMENTSOF(targets) && !streq(s, targets[t]))
                t++;
        if (t >= ELEMENTSOF(targets))
                return -EINVAL;
        if (t == TARGET_JOURNAL) {
                r = open_journal();
                if (r < 0)
                        return r;
        } else
                log_journal_close();
        target = t;
        return 0;
}

const char *log_get_target(void) {
        return target == TARGET_CONSOLE && prefix ? "journal" : targets[target];
}

void log_set_default_target(void) {
        const char *e = getenv("ARBITER_LOG_TARGET");
        int r = log_set_target(e && *e ? e : "auto");

        if (r == -EINVAL)
                log_warning("$ARBITER_LOG_TARGET is '%s'; expected auto, console, journal or null. It is "
                            "ignored.",
                                e);
        else if (r < 0)
                log_warning_errno(r, "Cannot log to the journal at %s, but to stderr: %m",
                                journal_socket_path());
}

void log_close(void) {
        log_journal_close();
        target = TARGET_CONSOLE;
        free(common.data);
        common = (struct journal_fields){};
}

static int add_fields(struct journal_fields *f, const struct log_field *fields, size_t n) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = journal_add_string(f, fields[i].name, fields[i].value);
        return r;
}

int log_set_fields(const struct log_field *fields, size_t n) {
        struct journal_fields f = {};
        int r = add_fields(&f, fields, n);

        if (r < 0) {
                free(f.data);
                return r;
        }
        free(common.data);
        common = f;
        return 0;
}

static void write_journal(int level, const struct log_field *fields, size_t n, const char *text) {
        const char priority[2] = { (char) ('0' + (level & LOG_PRIMASK)) };
        const struct log_field own[] = {
                { "MESSAGE", text },
                { "PRIORITY", priority },
                { "SYSLOG_FACILITY", "3" }, /* daemon */
                { "SYSLOG_IDENTIFIER", program_name },
        };
        struct journal_fields f = {};
        int r = add_fields(&f, own, ELEMENTSOF(own));

        if (r >= 0)
                r = add_fields(&f, fields, n);
        if (r >= 0)
                r = journal_add_encoded(&f, &common);
        if (r >= 0)
                log_journal_send(&f);
        free(f.data);
}

static void write_message(int level, const struct log_field *fields, size_t n, const char *text) {
        if (target == TARGET_JOURNAL)
                write_journal(level, fields, n, text);
        else if (target == TARGET_CONSOLE)
                write_stderr(level, text);
}

void log_entry(int level, const struct log_field *fields, size_t n, const char *text) {
        int saved_errno = errno;

        if (level <= max_level)
                write_message(level, fields, n, text);
        errno = saved_errno;
}

int log_internalv(int level, int error, const char *format, va_list ap) {
        int saved_errno = errno;

        error = error < 0 ? -error : error;
        if (level <= max_level) {
                _cleanup_free_ char *text = NULL;

                errno = error != 0 ? error : saved_errno;
                text = text_formatv(format, ap);
                write_message(level, NULL, 0, text ? text : "out of memory");
        }
        errno = saved_errno;
        return -error;
}

int log_internal(int level, int error, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = log_internalv(level, error, format, ap);
        va_end(ap);
        return r;
}
