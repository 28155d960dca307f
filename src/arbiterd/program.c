/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts a helper: arbiter-logger for output.c, another arbiterd for reexecute.c. Must never run code of
 * ours between fork and exec. */

#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "arbiterd/program.h"

static int set_fds(posix_spawn_file_actions_t *actions, const int fds[static 3]) {
        int r = 0;

        for (int i = 0; r == 0 && i < 3; i++)
                if (fds[i] >= 0)
                        r = posix_spawn_file_actions_adddup2(actions, fds[i], i);
        return r;
}

static int set_signals(posix_spawnattr_t *attributes) {
        sigset_t none, all;
        int r;

        sigemptyset(&none);
        sigfillset(&all);
        r = posix_spawnattr_setsigmask(attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(attributes, &all);
        if (r == 0)
                r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        return r;
}

int program_spawn(char *const *argv, char *const *environment, const int fds[static 3], pid_t *ret) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r;

        if (posix_spawn_file_actions_init(&actions) != 0)
                return -ENOMEM;
        if (posix_spawnattr_init(&attributes) != 0) {
                (void) posix_spawn_file_actions_destroy(&actions);
                return -ENOMEM;
        }
        r = set_fds(&actions, fds);
        if (r == 0)
                r = set_signals(&attributes);
        if (r == 0)
                r = posix_spawn(ret, argv[0], &actions, &attributes, argv, environment);
        (void) posix_spawnattr_destroy(&attributes);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}
