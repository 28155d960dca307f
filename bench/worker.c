/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plain worker of the benches: says when its first instruction was, then sleeps. worker SOCKET
 * [crash|deaf]: ends at once; does not end when it is told to. Static, so that its own start is small. */

#include <signal.h>

#include "announce.h"

int main(int argc, char **argv) {
        long long now = announce_clock();

        if (argc < 2)
                return 2;
        if (argc > 2 && strcmp(argv[2], "deaf") == 0)
                (void) signal(SIGTERM, SIG_IGN);
        announce(argv[1], 'S', now);
        if (argc > 2 && strcmp(argv[2], "crash") == 0)
                return 1;
        for (;;)
                (void) pause();
}
