/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a host process: an actor whose one command starts a thread that is another actor. The
 * arbiter alone may send it. Called by module.c, for arbiter_host_main(). */

#include <pthread.h>
#include <signal.h>

#include "actor/actor.h"
#include "basic/fd.h"

struct hosted_thread {
        const arbiter_module *module;
        int control_fd;
};

static void *thread_main(void *userdata) {
        struct hosted_thread t = *(struct hosted_thread *) userdata;

        free(userdata);
        (void) actor_run(t.module, t.control_fd, ARBITER_CONCURRENCY_THREAD, NULL, NULL, 0);
        return NULL;
}

static int start(const arbiter_module *module, int control_fd) {
        struct hosted_thread *t = malloc(sizeof(*t));
        sigset_t all, old;
        pthread_t thread;
        int r;

        if (!t) {
                close_fd(control_fd);
                return -ENOMEM;
        }
        *t = (struct hosted_thread){ .module = module, .control_fd = control_fd };
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the host's own loop */
        r = pthread_create(&thread, NULL, thread_main, t);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r != 0) {
                close_fd(control_fd);
                free(t);
                return -r;
        }
        pthread_detach(thread); /* its end shows at the other end of its control link */
        return 0;
}

static int on_start_thread(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *name;
        int fd, r;

        r = arbiter_message_read(m, "sh", &name, &fd);
        if (r < 0)
                return r;
        fd = fd_duplicate(fd);
        if (fd < 0)
                return fd;
        return start(userdata, fd);
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("start_thread", "sh", "name control_link", "", "", on_start_thread,
                        ARBITER_COMMAND_SYSTEM | ARBITER_COMMAND_ARBITER_ONLY),
        ARBITER_COMMANDS_END,
};

static const arbiter_module host = { ARBITER_MODULE_HEAD, .name = "host", .commands = commands };

int actor_run_host(const arbiter_module *module, int control_fd) {
        return actor_run_with(
                        &host, (void *)module, NULL, control_fd, ARBITER_CONCURRENCY_PROCESS, NULL, NULL, 0);
}
