/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages of programs on stderr. Called by arbiterd, arbiterctl and arbiter-host; never by the library, and
 * never in a forked child after the fork of a threaded program. One write(2) a message, so that lines of
 * several processes on one stderr do not mix. */

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "shared/log.h"
#include "shared/memstream.h"

static const char *const levels[] = {
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"
};

static const char *program_name;
static int max_level = LOG_INFO;
static bool to_journal;

int log_level_from_string(const char *s) {
        uint64_t x;

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (streq(s, levels[i]))
                        return (int) i;
        if (streq(s, "error"))
                return LOG_ERR;
        return parse_u64_range(s, LOG_EMERG, LOG_DEBUG, &x) < 0 ? -EINVAL : (int) x;
}

const char *log_level_to_string(int level) {
        return level >= 0 && level < (int) ELEMENTSOF(levels) ? levels[level] : NULL;
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
        to_journal = stderr_is_journal();
}

void log_set_level(int level) {
        max_level = level;
}

int log_get_level(void) {
        return max_level;
}

static void write_message(int level, const char *text) {
        _cleanup_free_ char *buffer = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&buffer, &size);

        if (!f) { /* out of memory: say it in pieces rather than not at all */
                (void) write_all(STDERR_FILENO, text, strlen(text));
                (void) write_all(STDERR_FILENO, "\n", 1);
                return;
        }
        if (to_journal)
                (void) fprintf(f, "<%d>", level);
        else if (program_name)
                (void) fprintf(f, "%s: ", program_name);
        for (; *text; text++)
                if (*text != '\n')
                        (void) fputc(*text, f);
                else if (to_journal)
                        (void) fprintf(f, "\n<%d>", level);
                else
                        (void) fputc(' ', f);
        (void) fputc('\n', f);
        if (memstream_finish(f, &buffer) >= 0)
                (void) write_all(STDERR_FILENO, buffer, size);
}

int log_internalv(int level, int error, const char *format, va_list ap) {
        int saved_errno = errno;

        error = error < 0 ? -error : error;
        if (level <= max_level) {
                _cleanup_free_ char *text = NULL;

                errno = error != 0 ? error : saved_errno;
                write_message(level, vasprintf(&text, format, ap) >= 0 ? text : "out of memory");
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
