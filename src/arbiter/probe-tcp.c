/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes by a connection: it is taken, and closed again. Also the connecting of probe-http.c. Addresses are
 * literal, so nothing waits for a name; sockets do not block. Called by probe.c. */

#include <netinet/tcp.h>

#include "arbiter/internal.h"
#include "arbiter/probes.h"
#include "basic/fd.h"

static void forget_socket(struct probe_attempt *x) {
        x->source = sd_event_source_disable_unref(x->source);
        x->fd = close_fd(x->fd);
}

static int try_one(struct probe_attempt *x, const struct listen_address *a, sd_event_io_handler_t on_event) {
        int r;

        x->fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (x->fd < 0)
                return negative_errno();
        if (connect(x->fd, &a->u.sa, a->size) >= 0)
                return 1;
        if (errno == EAGAIN) /* of AF_UNIX: that is the other one's want */
                return -EXFULL;
        if (errno != EINPROGRESS)
                return negative_errno();
        r = sd_event_add_io(x->arbiter->event, &x->source, x->fd, EPOLLOUT, on_event, x);
        return r < 0 ? r : 0;
}

int probe_connect(struct probe_attempt *x, sd_event_io_handler_t on_event) {
        int r = -EINVAL;

        while (x->next_address < x->address.n) {
                r = try_one(x, &x->address.addresses[x->next_address++], on_event);
                if (r >= 0 || probe_error_is_ours(r))
                        return r;
                forget_socket(x);
        }
        return r;
}

int probe_connected(struct probe_attempt *x, sd_event_io_handler_t on_event) {
        socklen_t size = sizeof(int);
        int error = 0, r;

        if (getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                error = errno;
        if (error == 0) {
                x->source = sd_event_source_disable_unref(x->source);
                return 1;
        }
        forget_socket(x);
        if (x->next_address >= x->address.n)
                return -error;
        r = probe_connect(x, on_event);
        return r < 0 && !probe_error_is_ours(r) ? -error : r;
}

static void finish(struct probe_attempt *x, int r) {
        if (r > 0)
                probe_attempt_end(x, PROBE_GOOD, "connected");
        else if (r == -EXFULL)
                probe_attempt_end(x, PROBE_BAD, "cannot connect: as many wait there as may");
        else if (r < 0)
                probe_attempt_end(x, probe_error_is_ours(r) ? PROBE_UNKNOWN : PROBE_BAD,
                                "cannot connect: %s", strerror(-r));
}

static int on_event(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct probe_attempt *x = userdata;
        arbiter_actor *previous;
        arbiter *a = probe_enter(x, &previous);

        finish(x, probe_connected(x, on_event));
        probe_leave(a, previous);
        return 0;
}

int probe_tcp_begin(struct probe_attempt *x) {
        char text[PROBE_TARGET_TEXT_MAX];
        const char *why;
        int r;

        r = probe_expand(x->run->probe->target, x->run->child->name, text);
        if (r >= 0)
                r = probe_parse_address(text, &x->address, &why);
        if (r >= 0)
                r = probe_connect(x, on_event);
        finish(x, r);
        return 0;
}
