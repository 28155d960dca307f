/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program with an arbiter of its own and N forked workers, which say when their first instruction was,
 * and, unless "start" is given, when they were running. embedded N SOCKET [start] */

#include <arbiter/arbiter.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "announce.h"

static const char *socket_path;
static bool said;

static void in_child(void) {
        announce(socket_path, 'S', announce_clock());
}

static int periodic_task(arbiter_actor *a, void *userdata) {
        if (!said)
                announce(socket_path, 'R', announce_clock());
        said = true;
        return 0;
}

static const arbiter_module worker = {ARBITER_MODULE_HEAD, .name = "worker", .periodic_task = periodic_task};

static int run(unsigned n) {
        arbiter_monitor *monitor;
        arbiter_spawn *spawn;
        arbiter *a;
        int r;

        r = arbiter_new(NULL, NULL, &a);
        if (r < 0)
                return r;
        r = arbiter_start(a);
        if (r >= 0)
                r = arbiter_spawn_new(a, "worker", &spawn);
        if (r >= 0)
                r = arbiter_spawn_set_module(spawn, &worker);
        if (r >= 0 && geteuid() == 0)
                r = arbiter_spawn_set_user(spawn, "root");
        if (r >= 0)
                r = arbiter_monitor_new(a, "pool", spawn, NULL, &monitor);
        if (r >= 0)
                r = arbiter_monitor_start(monitor, n, NULL);
        if (r >= 0)
                r = arbiter_run(a, true);
        arbiter_unref(a);
        return r;
}

int main(int argc, char **argv) {
        sigset_t mask;

        if (argc < 3)
                return 2;
        socket_path = argv[2];
        said = argc > 3;
        (void)sigemptyset(&mask);
        (void)sigaddset(&mask, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &mask, NULL);
        (void)pthread_atfork(NULL, NULL, in_child);
        return run((unsigned)atoi(argv[1])) < 0;
}
