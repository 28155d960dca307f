/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes by HTTP/1.1: one GET, of whose answer the status counts. No library: what would be used of one is a
 * line out and a line in, on this loop and without threads. What comes back is looked at in a bounded buffer
 * by probe_parse_reply(), and never shown but as a number. Called by probe.c. */

#include <stdio.h>

#include <arbiter/version.h>

#include "arbiter/internal.h"
#include "arbiter/probes.h"

static int on_connect(sd_event_source *s, int fd, uint32_t events, void *userdata);
static int on_io(sd_event_source *s, int fd, uint32_t events, void *userdata);

void probe_http_end(struct probe_attempt *x) {
        probe_attempt_end(x, x->status >= 200 && x->status < 400 ? PROBE_GOOD : PROBE_BAD, "status %u",
                        x->status);
}

static void fail(struct probe_attempt *x, int r) {
        if (r == -EXFULL)
                probe_attempt_end(x, PROBE_BAD, "cannot connect: as many wait there as may");
        else if (r == -EBADMSG)
                probe_attempt_end(x, PROBE_BAD, "what answers does not speak HTTP/1");
        else if (r == -EMSGSIZE)
                probe_attempt_end(x, PROBE_BAD, "no status in the first %d bytes of its answer",
                                PROBE_REPLY_MAX);
        else if (r == -ENODATA)
                probe_attempt_end(x, PROBE_BAD, "it has hung up without an answer");
        else
                probe_attempt_end(x, probe_error_is_ours(r) ? PROBE_UNKNOWN : PROBE_BAD, "%s: %s",
                                x->fd < 0 ? "cannot connect" : "the connection has failed", strerror(-r));
}

/* 1: all of it has left. */
static int send_request(struct probe_attempt *x) {
        size_t n = strlen(x->request);

        while (x->n_sent < n) {
                ssize_t k = send(x->fd, x->request + x->n_sent, n - x->n_sent, MSG_NOSIGNAL);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return errno == EAGAIN ? 0 : negative_errno();
                x->n_sent += (size_t) k;
        }
        return 1;
}

/* The status is known: what follows is taken so that its sender need not see a reset. 1: enough of it. */
static int drain(struct probe_attempt *x) {
        for (size_t n = 0; n < PROBE_READ_PER_TURN;) {
                ssize_t k = recv(x->fd, x->reply, PROBE_REPLY_MAX, 0);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0 && errno == EAGAIN)
                        return 0;
                if (k <= 0)
                        return 1;
                n += (size_t) k;
                x->n_read += (size_t) k;
                if (x->n_read >= PROBE_DRAIN_MAX)
                        return 1;
        }
        return 0;
}

/* 1: the answer is there, and all that is taken of it. */
static int receive(struct probe_attempt *x) {
        while (x->status == 0) {
                ssize_t k = recv(x->fd, x->reply + x->n_read, PROBE_REPLY_MAX - x->n_read, 0);
                int r;

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return errno == EAGAIN ? 0 : negative_errno();
                if (k == 0)
                        return -ENODATA;
                x->n_read += (size_t) k;
                r = probe_parse_reply(x->reply, x->n_read, &x->status);
                if (r < 0)
                        return r;
                if (r == 0)
                        x->status = 0;
        }
        return drain(x);
}

static int watch(struct probe_attempt *x) {
        int r;

        if (!x->source)
                return sd_event_add_io(x->arbiter->event, &x->source, x->fd, EPOLLIN | EPOLLOUT, on_io, x);
        r = sd_event_source_set_io_events(x->source, EPOLLIN);
        return r < 0 ? r : 0;
}

/* A server may have answered, and hung up, before it has read all: what it said counts. */
static void go_on(struct probe_attempt *x) {
        int sent = x->n_sent < strlen(x->request) ? send_request(x) : 1, r;

        r = receive(x);
        if (r == 0 && sent < 0)
                r = sent;
        if (r == 0 && (!x->source || sent > 0))
                r = watch(x);
        if (r > 0)
                probe_http_end(x);
        else if (r < 0)
                fail(x, r);
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct probe_attempt *x = userdata;
        arbiter_actor *previous;
        arbiter *a = probe_enter(x, &previous);

        go_on(x);
        probe_leave(a, previous);
        return 0;
}

static int on_connect(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct probe_attempt *x = userdata;
        arbiter_actor *previous;
        arbiter *a = probe_enter(x, &previous);
        int r = probe_connected(x, on_connect);

        if (r > 0)
                go_on(x);
        else if (r < 0)
                fail(x, r);
        probe_leave(a, previous);
        return 0;
}

static int make_request(struct probe_attempt *x, const struct probe_url *url) {
        const arbiter_probe *p = x->run->probe;
        char host[PROBE_TARGET_TEXT_MAX];
        int r;

        r = probe_expand(p->host ? p->host : "", x->run->child->name, host);
        if (r < 0 || (p->host && !probe_host_is_valid(host)))
                return -EINVAL;
        x->reply = malloc(PROBE_REPLY_MAX);
        r = asprintf(&x->request,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: arbiter/%s\r\nAccept: */*\r\n"
                        "Connection: close\r\n\r\n",
                        url->path, p->host ? host : url->host, arbiter_version());
        if (r < 0)
                x->request = NULL;
        return x->reply && x->request ? 0 : -ENOMEM;
}

int probe_http_begin(struct probe_attempt *x) {
        char text[PROBE_TARGET_TEXT_MAX];
        struct probe_url url = {};
        const char *why;
        int r;

        r = probe_expand(x->run->probe->target, x->run->child->name, text);
        if (r >= 0)
                r = probe_parse_url(text, &url, &why);
        if (r >= 0)
                r = make_request(x, &url);
        if (r < 0) {
                fail(x, r);
                return 0;
        }
        x->address = url.address;
        r = probe_connect(x, on_connect);
        if (r > 0)
                go_on(x);
        else if (r < 0)
                fail(x, r);
        return 0;
}
