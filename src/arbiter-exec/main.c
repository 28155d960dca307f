/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiter-exec PROGRAM ARGV0 [ARGUMENT...]: the first thing that runs in a unit of an actor which is to get
 * listening sockets. systemd can pass a single descriptor to a transient unit, as standard input; there the
 * arbiter has left the others. They are put where sd_listen_fds(3) looks for them, and this process becomes
 * the program. Needs nothing but libc: it runs in the sandbox of that unit. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hand-over.h"

enum {
        STATUS_USAGE = 2,
        STATUS_FDS = 202, /* as systemd's own: EXIT_FDS */
        STATUS_EXEC = 203,
};

static int help(void) {
        (void) printf("arbiter-exec PROGRAM ARGV0 [ARGUMENT...]\n"
                      "\n"
                      "Takes listening sockets that the arbiter has left in standard input, puts\n"
                      "them where sd_listen_fds(3) looks for them, and executes PROGRAM. The arbiter\n"
                      "runs this for actors that are units; by hand there is nothing to take.\n"
                      "\n"
                      "  -h, --help     Show this help\n"
                      "      --version  Show the version\n"
                      "\n"
                      "Exit status: that of PROGRAM; %d usage, %d there are no sockets, %d PROGRAM\n"
                      "cannot be executed.\n",
                      STATUS_USAGE, STATUS_FDS, STATUS_EXEC);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int set_number(const char *name, long value) {
        char text[24];

        (void) snprintf(text, sizeof(text), "%ld", value);
        return setenv(name, text, 1) < 0 ? negative_errno() : 0;
}

/* From 3 on, in order. They may be there already, and in each other's way: first all go out of it. */
static int place(struct hand_over *h) {
        for (size_t i = 0; i < h->n_fds; i++) {
                int fd = fcntl(h->fds[i], F_DUPFD_CLOEXEC, 3 + (int) h->n_fds);

                if (fd < 0)
                        return negative_errno();
                close_fd(h->fds[i]);
                h->fds[i] = fd;
        }
        for (size_t i = 0; i < h->n_fds; i++)
                if (dup2(h->fds[i], 3 + (int) i) < 0)
                        return negative_errno();
        return 0;
}

static int clear_standard_input(void) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
                return negative_errno();
        return 0;
}

static int take(void) {
        static struct hand_over h;
        size_t n;
        int r;

        r = hand_over_receive(STDIN_FILENO, &h);
        if (r < 0)
                return r;
        n = h.n_fds - h.mailbox;
        r = place(&h);
        if (r >= 0)
                r = clear_standard_input();
        if (r >= 0 && n > 0)
                r = set_number("LISTEN_FDS", (long) n);
        if (r >= 0 && n > 0)
                r = set_number("LISTEN_PID", (long) getpid());
        if (r >= 0 && n > 0)
                r = setenv("LISTEN_FDNAMES", h.names, 1) < 0 ? negative_errno() : 0;
        if (r >= 0 && h.mailbox)
                r = set_number("ARBITER_MAILBOX", (long) (3 + n));
        return r;
}

int main(int argc, char *argv[]) {
        int r;

        if (argc == 2 && (streq(argv[1], "--help") || streq(argv[1], "-h")))
                return help();
        if (argc == 2 && streq(argv[1], "--version"))
                return printf("arbiter-exec %s\n", ARBITER_EXEC_VERSION) > 0 && fflush(stdout) == 0
                               ? EXIT_SUCCESS
                               : EXIT_FAILURE;
        if (argc < 3 || argv[1][0] != '/') {
                (void) fprintf(stderr, "arbiter-exec: expected the path of a program and its arguments; see "
                                       "arbiter-exec --help\n");
                return STATUS_USAGE;
        }
        r = take();
        if (r < 0) {
                (void) fprintf(stderr, "arbiter-exec: cannot take the listening sockets for %s: %s\n",
                               argv[1],
                               r == -ENODATA ? "none were left in standard input" : strerror(-r));
                return STATUS_FDS;
        }
        (void) execv(argv[1], argv + 2);
        (void) fprintf(stderr, "arbiter-exec: cannot execute %s: %s\n", argv[1], strerror(errno));
        return STATUS_EXEC;
}
