/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiter-host MODULE: loads a module from a shared object and is the actor that it describes. Run by the
 * arbiter, which waits for it: what is not needed to get there has no place here. With --threads the
 * process is a host: the arbiter asks it to start threads, each of which is an actor of this module
 * (Concurrency=thread). */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <arbiter/arbiter.h>

enum {
        STATUS_USAGE = 2,
        STATUS_LOAD = 101,
        STATUS_ARBITER = 102,
};

static int help(void) {
        (void) printf("arbiter-host MODULE.so [--threads]\n"
                     "\n"
                     "Loads a module of libarbiter and runs its actor. The arbiter runs this for\n"
                     "Module=; by hand there is no arbiter to answer to.\n"
                     "\n"
                     "  -h, --help     Show this help\n"
                     "      --threads  Each actor is a thread, started when the arbiter asks\n"
                     "      --version  Show the version\n"
                     "\n"
                     "Exit status: that of the actor; %d usage, %d the module cannot be loaded,\n"
                     "%d no arbiter, or the actor could not be run.\n",
                        STATUS_USAGE, STATUS_LOAD, STATUS_ARBITER);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const char *path, bool threads) {
        const arbiter_module *module;
        char *text = NULL;
        int r;

        r = arbiter_module_load(path, &module, &text);
        if (r < 0) {
                (void) fprintf(stderr, "arbiter-host: %s\n", text ? text : strerror(-r));
                free(text);
                return STATUS_LOAD;
        }
        r = threads ? arbiter_host_main(module) : arbiter_actor_main(module);
        if (r >= 0)
                return r;
        if (r == -ENOTCONN)
                (void) fprintf(stderr,
                                "arbiter-host: no arbiter: $ARBITER_MAILBOX is not set; arbiterd runs this "
                                "program for Module=%s\n",
                                path);
        else
                (void) fprintf(stderr, "arbiter-host: cannot run %s: %s\n", path, strerror(-r));
        return STATUS_ARBITER;
}

int main(int argc, char *argv[]) {
        bool threads = argc == 3 && strcmp(argv[2], "--threads") == 0;

        if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
                return help();
        if (argc == 2 && strcmp(argv[1], "--version") == 0)
                return printf("arbiter-host %s\n", arbiter_version()) > 0 && fflush(stdout) == 0
                                       ? EXIT_SUCCESS
                                       : EXIT_FAILURE;
        if ((argc != 2 && !threads) || argv[1][0] == '-') {
                (void) fprintf(stderr, "arbiter-host: expected one argument, the module; see arbiter-host "
                                      "--help\n");
                return STATUS_USAGE;
        }
        /* The arbiter puts the actor's name there; the kernel's default is ours, the same for all. */
        (void) prctl(PR_SET_NAME, strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0]);
        return run(argv[1], threads);
}
