/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same work over ZeroMQ: PAIR sockets, ipc://, no high-water mark (the window bounds what is under
 * way). Not pinned: it has threads of its own. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "exchange.h"

struct where {
        char address[128];
        double seconds;
};

static void zeromq_send(struct exchange *x, const void *data, size_t size) {
        if (zmq_send(x->userdata, data, size, 0) != (int)size)
                bench_die("zmq_send", errno);
}

static void run(struct exchange *x, void *userdata) {
        const struct where *w = userdata;
        void *context = zmq_ctx_new(), *s = zmq_socket(context, ZMQ_PAIR);
        int none = 0, r;
        zmq_msg_t m;

        (void)zmq_setsockopt(s, ZMQ_SNDHWM, &none, sizeof(none));
        (void)zmq_setsockopt(s, ZMQ_RCVHWM, &none, sizeof(none));
        x->userdata = s;
        x->send = zeromq_send;
        while (!x->server && x->shared->ready == 0)
                (void)usleep(500); /* one that connects too early tries again after 100 ms */
        r = x->server ? zmq_bind(s, w->address) : zmq_connect(s, w->address);
        if (r != 0)
                bench_die("ZeroMQ", errno);
        exchange_begin(x, w->seconds);
        (void)zmq_msg_init(&m);
        while (!x->done) {
                if (zmq_msg_recv(&m, s, 0) < 0)
                        bench_die("zmq_msg_recv", errno);
                exchange_receive(x, zmq_msg_data(&m), zmq_msg_size(&m));
        }
        (void)zmq_msg_close(&m);
        (void)zmq_close(s);
        (void)zmq_ctx_term(context);
}

void zeromq_measure(enum work work, double seconds, struct measured *ret) {
        const char *tmp = getenv("TMPDIR");
        struct where w = {.seconds = seconds};

        (void)snprintf(w.address, sizeof(w.address), "ipc://%s/arbiter-bench-%d", tmp ? tmp : "/tmp",
                        (int)getpid());
        exchange_measure(work, seconds, false, run, &w, ret);
        (void)unlink(w.address + 6);
}
