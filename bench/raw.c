/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The raw limit of messages.c: a length and 64 bytes on an AF_UNIX SOCK_STREAM socketpair, sd-event at
 * both ends, everything that one turn of the loop sends in one write. No envelope, no types, no dispatch,
 * no deadlines. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "exchange.h"

enum { BUFFER_SIZE = 256 * 1024 };

struct raw_end {
        struct exchange *exchange;
        sd_event *event;
        int fd;
        size_t n_out, n_in;
        uint8_t out[BUFFER_SIZE], in[BUFFER_SIZE];
};

struct raw_pair {
        int fds[2];
        double seconds;
};

static void flush(struct raw_end *e) {
        size_t done = 0;

        while (done < e->n_out) {
                ssize_t n = write(e->fd, e->out + done, e->n_out - done);

                if (n <= 0)
                        bench_die("write", errno);
                done += (size_t)n;
        }
        e->n_out = 0;
}

static void raw_send(struct exchange *x, const void *data, size_t size) {
        struct raw_end *e = x->userdata;
        uint32_t length = (uint32_t)size;

        if (e->n_out + sizeof(length) + size > BUFFER_SIZE)
                flush(e);
        memcpy(e->out + e->n_out, &length, sizeof(length));
        memcpy(e->out + e->n_out + sizeof(length), data, size);
        e->n_out += sizeof(length) + size;
}

static int on_readable(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct raw_end *e = userdata;
        size_t start = 0;
        uint32_t length;
        ssize_t n;

        n = read(fd, e->in + e->n_in, BUFFER_SIZE - e->n_in);
        if (n <= 0)
                bench_die("read", n < 0 ? errno : EPIPE);
        e->n_in += (size_t)n;
        while (e->n_in - start >= sizeof(length)) {
                memcpy(&length, e->in + start, sizeof(length));
                if (e->n_in - start - sizeof(length) < length)
                        break;
                exchange_receive(e->exchange, e->in + start + sizeof(length), length);
                start += sizeof(length) + length;
        }
        memmove(e->in, e->in + start, e->n_in - start);
        e->n_in -= start;
        flush(e);
        return e->exchange->done ? sd_event_exit(e->event, 0) : 0;
}

static void run(struct exchange *x, void *userdata) {
        const struct raw_pair *pair = userdata;
        struct raw_end *e = calloc(1, sizeof(*e));

        if (!e)
                bench_die("memory", ENOMEM);
        pin_to_cpu(x->server);
        e->exchange = x;
        e->fd = pair->fds[x->server];
        x->userdata = e;
        x->send = raw_send;
        if (sd_event_new(&e->event) < 0 ||
                        sd_event_add_io(e->event, NULL, e->fd, EPOLLIN, on_readable, e) < 0)
                bench_die("sd-event", EIO);
        exchange_begin(x, pair->seconds);
        flush(e);
        (void)sd_event_loop(e->event);
        sd_event_unref(e->event);
        free(e);
}

void raw_measure(enum work work, double seconds, bool threads, struct measured *ret) {
        struct raw_pair pair = {.seconds = seconds};

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.fds) < 0)
                bench_die("socketpair", errno);
        exchange_measure(work, seconds, threads, run, &pair, ret);
        (void)close(pair.fds[0]);
        (void)close(pair.fds[1]);
}
