/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plain worker of the benches: says when its first instruction was, then sleeps. worker SOCKET
 * [crash]. Static, so that its own start is small. */

#include "announce.h"

int main(int argc, char **argv) {
        long long now = announce_clock();

        if (argc < 2)
                return 2;
        announce(argv[1], 'S', now);
        if (argc > 2)
                return 1;
        for (;;)
                (void) pause();
}
