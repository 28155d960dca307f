/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes the terminal over and gives it back, by the sequences that all terminals of today know (as
 * systemd-cgtop, without a library). Called by top. It must leave the terminal as it was, whatever way
 * the program ends. */

#include <termios.h>
#include <unistd.h>

#include "arbiterctl/screen.h"
#include "basic/fd.h"

static struct {
        bool entered, has_keys;
        struct termios before;
} screen;

bool screen_is_possible(void) {
        const char *term = getenv("TERM");

        return output_is_terminal() && term && *term && !streq(term, "dumb");
}

static void put(const char *s) {
        (void) write_all(STDOUT_FILENO, s, strlen(s));
}

void screen_enter(void) {
        struct termios raw;

        if (screen.entered)
                return;
        screen.has_keys = tcgetattr(STDIN_FILENO, &screen.before) >= 0;
        if (screen.has_keys) {
                raw = screen.before;
                raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
                raw.c_cc[VMIN] = 1;
                raw.c_cc[VTIME] = 0;
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
        }
        (void) fflush(stdout);
        put("\x1b[?1049h\x1b[?25l"); /* the other screen, no cursor */
        screen.entered = true;
}

void screen_leave(void) {
        if (!screen.entered)
                return;
        screen.entered = false;
        put("\x1b[0m\x1b[?25h\x1b[?1049l");
        if (screen.has_keys)
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.before);
}

void screen_draw(const char *text, size_t size) {
        put("\x1b[H");
        while (size > 0) {
                const char *end = memchr(text, '\n', size);
                size_t n = end ? (size_t) (end - text) : size;

                (void) write_all(STDOUT_FILENO, text, n);
                put("\x1b[K"); /* what was there before */
                if (!end)
                        break;
                text += n + 1;
                size -= n + 1;
                if (size > 0)
                        put("\r\n");
        }
        put("\x1b[J");
}
