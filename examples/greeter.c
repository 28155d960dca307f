/* SPDX-License-Identifier: MIT-0 */
/* greeter: a TCP service as a module (greeter.monitor), the same as hello.py. It works with each
 * Concurrency=, and with ReusePort= or without: where the sockets come from is not its business. */

#include <arbiter/arbiter.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

static void serve(arbiter_actor *a, int fd) {
        int connection;

        while ((connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                (void) dprintf(connection, "hello from %s\n", arbiter_actor_get_name(a));
                (void) close(connection);
        }
}

static int on_connection(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        serve(userdata, fd);
        return 0;
}

static int start(arbiter_actor *a, void *userdata) {
        const char *const *names;
        sd_event_source **sources;
        const int *fds;
        int n, r;

        n = arbiter_actor_get_listen_fds(a, &fds, &names);
        if (n <= 0)
                return n < 0 ? n : -ENOTCONN;
        sources = calloc((size_t) n, sizeof(*sources));
        if (!sources)
                return -ENOMEM;
        arbiter_actor_set_userdata(a, sources);
        for (int i = 0; i < n; i++) {
                /* Another worker may have been faster: nobody must wait in accept4(). */
                if (fcntl(fds[i], F_SETFL, O_NONBLOCK) < 0)
                        return -errno;
                r = sd_event_add_io(arbiter_actor_get_event(a), &sources[i], fds[i], EPOLLIN,
                                on_connection, a);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Who has got through to a socket that is this worker's own, and goes with its place, is served yet. */
static int stopping(arbiter_actor *a, void *userdata) {
        const char *const *names;
        const int *fds;
        int n = arbiter_actor_get_listen_fds(a, &fds, &names);

        for (int i = 0; i < n; i++)
                serve(a, fds[i]);
        return 0;
}

static void leave(arbiter_actor *a, void *userdata) {
        const char *const *names;
        sd_event_source **sources = userdata;
        const int *fds;
        int n = arbiter_actor_get_listen_fds(a, &fds, &names);

        for (int i = 0; sources && i < n; i++)
                sd_event_source_disable_unref(sources[i]);
        free(sources);
}

ARBITER_MODULE(.name = "greeter", .description = "Greets", .start = start, .stopping = stopping,
               .exit = leave);
