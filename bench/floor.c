/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The floor: the least that a supervisor can do. Keeps N workers alive, without backoff, limits, logs or
 * control.
 *
 *   floor N SOCKET WORKER    posix_spawn()
 *   floor N SOCKET           fork() alone */

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "announce.h"

static char *worker_argv[3];
static sigset_t old_mask;

static pid_t launch(posix_spawnattr_t *attributes) {
        char *environment[] = {NULL};
        pid_t pid;

        if (worker_argv[0])
                return posix_spawn(&pid, worker_argv[0], NULL, attributes, worker_argv, environment) == 0
                                       ? pid
                                       : -1;
        pid = fork();
        if (pid != 0)
                return pid;
        announce(worker_argv[1], 'S', announce_clock());
        (void)sigprocmask(SIG_SETMASK, &old_mask, NULL);
        for (;;)
                (void)pause();
}

static void replace_dead(pid_t *pids, int n, int *left, int stopping, posix_spawnattr_t *attributes) {
        pid_t pid;

        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
                for (int i = 0; i < n; i++)
                        if (pids[i] == pid) {
                                pids[i] = stopping ? 0 : launch(attributes);
                                *left -= stopping;
                                break;
                        }
}

int main(int argc, char **argv) {
        int n = argc > 2 ? atoi(argv[1]) : 0, left = n, stopping = 0;
        posix_spawnattr_t attributes;
        sigset_t mask;
        pid_t *pids = calloc((size_t)n + 1, sizeof(pid_t));

        if (n < 1 || !pids)
                return 2;
        worker_argv[0] = argc > 3 ? argv[3] : NULL;
        worker_argv[1] = argv[2];
        (void)sigemptyset(&mask);
        (void)sigaddset(&mask, SIGCHLD);
        (void)sigaddset(&mask, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &mask, &old_mask);
        (void)posix_spawnattr_init(&attributes);
        (void)posix_spawnattr_setsigmask(&attributes, &old_mask);
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);

        for (int i = 0; i < n; i++)
                pids[i] = launch(&attributes);
        while (left > 0) {
                if (sigwaitinfo(&mask, NULL) == SIGTERM && !stopping) {
                        stopping = 1;
                        for (int i = 0; i < n; i++)
                                (void)kill(pids[i], SIGTERM);
                }
                replace_dead(pids, n, &left, stopping, &attributes);
        }
        return 0;
}
