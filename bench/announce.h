/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a worker says of itself: "S NANOSECONDS PID PARENT" for its first instruction, "R ..." when it is
 * running; into a FIFO, in records of ANNOUNCEMENT_SIZE bytes, or as a datagram, which is what the
 * managers kit listens to. (A queue of datagrams is full with ten: a thousand workers that wait for room
 * in it would be what is measured.) In a header because the static worker and the module share nothing
 * else. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ANNOUNCEMENT_SIZE = 64 };

static inline long long announce_clock(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline void announce(const char *path, char what, long long when) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char text[ANNOUNCEMENT_SIZE] = {};
        int fd, n;

        if (!path || strlen(path) >= sizeof(address.sun_path))
                return;
        strcpy(address.sun_path, path);
        n = snprintf(text, sizeof(text), "%c %lld %d %d", what, when, (int)getpid(), (int)getppid());
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0)
                (void)!write(fd, text, sizeof(text));
        else {
                fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                if (fd < 0)
                        return;
                /* Nobody listens any more: then nobody cares. */
                (void)!sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&address,
                                sizeof(address));
        }
        (void)close(fd);
}
