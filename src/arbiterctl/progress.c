/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line that says what is being waited for, on stderr. Called by verbs whose work is under way. It must
 * leave no trace when it is over, and be seen by people only. */

#include <unistd.h>

#include "arbiterctl/progress.h"

static struct {
        bool wanted, shown;
        usec_t start, next;
} progress;

void progress_start(const struct context *c) {
        const char *term = getenv("TERM");

        /* not while the polkit agent may be asking for a password there */
        progress.wanted = !c->quiet && c->agent_pid == 0 && isatty(STDERR_FILENO) && term &&
                !streq(term, "dumb");
        progress.start = now_usec();
        progress.next = progress.start + USEC_PER_SEC;
}

usec_t progress_show(const char *text) {
        usec_t now = now_usec();

        if (!progress.wanted)
                return USEC_INFINITY;
        if (now >= progress.next) {
                (void) fflush(stdout);
                (void) fprintf(stderr, "\r\x1b[K%s%s %llus", text, glyph(GLYPH_ELLIPSIS),
                               (unsigned long long) ((now - progress.start) / USEC_PER_SEC));
                (void) fflush(stderr);
                progress.shown = true;
                progress.next += USEC_PER_SEC;
        }
        return progress.next > now ? progress.next - now : 0;
}

bool progress_tell(const char *text) {
        if (!progress.wanted)
                return false;
        (void) fflush(stdout);
        (void) fprintf(stderr, "\r\x1b[K%s%s", text, glyph(GLYPH_ELLIPSIS));
        (void) fflush(stderr);
        progress.shown = true;
        progress.next = now_usec() + USEC_PER_SEC;
        return true;
}

void progress_clear(void) {
        if (!progress.shown)
                return;
        (void) fprintf(stderr, "\r\x1b[K");
        (void) fflush(stderr);
        progress.shown = false;
}
