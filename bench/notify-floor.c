/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The floor of bench/adoption: a service of Type=notify that does nothing but listen. How long systemd
 * takes to start it again is what no arbiter can be quicker than. */

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

int main(int argc, char *argv[]) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (argc != 2 || fd < 0 || strlen(argv[1]) >= sizeof(address.sun_path))
                return EXIT_FAILURE;
        strcpy(address.sun_path, argv[1]);
        (void) unlink(argv[1]);
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 64) < 0)
                return EXIT_FAILURE;
        (void) sd_notify(0, "READY=1");
        for (;;)
                (void) pause();
}
