/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests with hostile and unlucky workers: an arbiter in this process with good actors, and the other
 * side by hand: a worker that speaks the wire itself. The worker is this same program, started as
 * "PROGRAM worker MODE"; it ends with 0, or with the line at which it was disappointed. */

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arbiter/arbiter.h>
#include <systemd/sd-event.h>

#include "basic/fd.h"
#include "basic/time-util.h"
#include "test-util.h"
#include "transport/link-page.h"
#include "wire/message.h"

#define EXPECT(expression)                                                                                 \
        do {                                                                                               \
                if (!(expression)) {                                                                       \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #expression);                   \
                        _exit(__LINE__ % 200 + 10);                                                        \
                }                                                                                          \
        } while (0)

static inline unsigned count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n - 3; /* ".", ".." and the directory itself */
}

static inline bool test_long(void) {
        return getenv("ARBITER_TEST_LONG") != NULL;
}

/* The wire by hand. */

struct raw {
        int fd;
        uint64_t sequence[2], last_id;
        bool stream;
        uint8_t buffer[256 * 1024] __attribute__((aligned(8)));
        size_t n;
};

struct raw_frame {
        struct envelope e;
        arbiter_message *message;
};

static inline int raw_write(int fd, const void *data, size_t size, const int *fds, size_t n_fds) {
        uint8_t control[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))] __attribute__((aligned(8))) = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                struct cmsghdr *c = (struct cmsghdr *) control;

                mh.msg_control = control;
                mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLOUT };
                ssize_t n = sendmsg(fd, &mh, MSG_NOSIGNAL);

                if (n >= 0)
                        return (size_t) n == size ? 0 : -EMSGSIZE;
                if (errno != EAGAIN && errno != EINTR && errno != ETOOMANYREFS)
                        return -errno;
                (void) poll(&p, 1, 100);
        }
}

/* e's command, signature, kind, flags, id are the caller's; m may be NULL. Returns the size of the frame. */
static inline size_t raw_encode(struct raw *r, struct envelope *e, arbiter_message *m, uint8_t *buffer) {
        uint8_t *body;

        e->command_length = (uint8_t) strlen(e->command);
        e->signature = m ? m->envelope.signature : "";
        e->signature_length = m ? m->envelope.signature_length : 0;
        e->body_size = m ? m->envelope.body_size : 0;
        if (m)
                e->n_fds = m->envelope.n_fds;
        if (e->sequence == 0)
                e->sequence = ++r->sequence[e->flags & ENVELOPE_SYSTEM ? 1 : 0];
        body = envelope_encode(e, buffer);
        if (m && m->envelope.body_size > 0)
                memcpy(body, m->body, m->envelope.body_size);
        return envelope_frame_size(e);
}

static inline int raw_send_envelope(struct raw *r, struct envelope *e, arbiter_message *m) {
        static uint8_t buffer[FRAME_SIZE_MAX] __attribute__((aligned(8)));
        size_t n = raw_encode(r, e, m, buffer);

        return raw_write(r->fd, buffer, n, m ? m->fds : NULL, m ? m->envelope.n_fds : 0);
}

static inline arbiter_message *raw_message(const char *signature, ...) {
        arbiter_message *m = NULL;
        va_list ap;

        EXPECT(arbiter_message_new(&m) >= 0);
        if (*signature) {
                va_start(ap, signature);
                EXPECT(arbiter_message_appendv(m, signature, ap) >= 0);
                va_end(ap);
        }
        EXPECT(message_seal(m) >= 0);
        return m;
}

/* Takes m. Returns the id of a request. */
static inline uint64_t raw_send(struct raw *r, enum envelope_kind kind, uint8_t flags, const char *command,
                arbiter_message *m) {
        struct envelope e = { .kind = kind, .flags = flags, .deadline = UINT64_MAX, .command = command };
        uint64_t id = kind == ENVELOPE_REQUEST ? ++r->last_id : 0;

        e.id = id;
        EXPECT(raw_send_envelope(r, &e, m) >= 0);
        arbiter_message_unref(m);
        return id;
}

/* > 0: a frame; 0: end of file or timeout. f->message is to be freed. */
static inline int raw_receive(struct raw *r, struct raw_frame *f, int timeout_ms) {
        for (;;) {
                uint8_t control[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
                struct iovec iov = { r->buffer + r->n, sizeof(r->buffer) - r->n };
                struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                                .msg_controllen = sizeof(control) };
                struct pollfd p = { .fd = r->fd, .events = POLLIN };
                int fds[FRAME_FDS_MAX];
                size_t n_fds = 0;
                const uint8_t *body;
                ssize_t n;

                n = r->n > 0 ? envelope_decode(r->buffer, r->n, &f->e, &body) : 0;
                EXPECT(n >= 0);
                if (n == 0) {
                        if (poll(&p, 1, timeout_ms) <= 0)
                                return 0;
                        n = recvmsg(r->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
                        if (n < 0 && errno == EAGAIN)
                                continue;
                        if (n <= 0)
                                return 0;
                        for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
                                n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                                memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
                        }
                        r->n += (size_t) n;
                        n = envelope_decode(r->buffer, r->n, &f->e, &body);
                        EXPECT(n >= 0);
                        if (n == 0)
                                continue;
                }
                EXPECT(f->e.n_fds == n_fds);
                EXPECT(message_from_frame(&f->e, body, fds, &f->message) >= 0);
                EXPECT(message_own(f->message) >= 0);
                f->e.command = f->message->envelope.command;
                memmove(r->buffer, r->buffer + n, r->n - (size_t) n);
                r->n -= (size_t) n;
                return 1;
        }
}

/* Passes over everything but the answer to id. Returns its outcome, -ECONNRESET at end of file. */
static inline int raw_answer(struct raw *r, uint64_t id, arbiter_message **ret) {
        struct raw_frame f;

        while (raw_receive(r, &f, 20000) > 0) {
                bool mine = (f.e.kind == ENVELOPE_REPLY || f.e.kind == ENVELOPE_ERROR) && f.e.id == id;

                if (mine && ret) {
                        *ret = f.message;
                        return f.e.outcome;
                }
                arbiter_message_unref(f.message);
                if (mine)
                        return f.e.outcome;
        }
        return -ECONNRESET;
}

/* Waits for a signal of that name. */
static inline arbiter_message *raw_signal(struct raw *r, const char *name) {
        struct raw_frame f;

        while (raw_receive(r, &f, 20000) > 0) {
                if (f.e.kind == ENVELOPE_SIGNAL && strcmp(f.e.command, name) == 0)
                        return f.message;
                arbiter_message_unref(f.message);
        }
        return NULL;
}

static inline int raw_call(struct raw *r, const char *command, arbiter_message *m) {
        return raw_answer(r, raw_send(r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, command, m), NULL);
}

static inline void raw_open(struct raw *r) {
        const char *s = getenv("ARBITER_MAILBOX");

        EXPECT(s);
        memset(r, 0, offsetof(struct raw, buffer));
        r->n = 0;
        r->fd = atoi(s);
}

static inline arbiter_message *raw_hello_message(uint32_t version, const char *token) {
        return raw_message("usua(ssssst)", version, token, (uint32_t) getpid(), 0U);
}

/* Up to "running". */
static inline void raw_handshake(struct raw *r) {
        EXPECT(raw_call(r, "hello", raw_hello_message(ENVELOPE_VERSION, "")) == 0);
        raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "notify",
                        raw_message("ytt", ARBITER_STATE_RUNNING, (uint64_t) 0, (uint64_t) 0));
}

/* The arbiter's side. */

static inline void wait_future(arbiter_future *f) {
        int r = arbiter_future_wait(f, 30 * 1000 * 1000);

        if (r == -ETIMEDOUT && arbiter_future_is_pending(f))
                fail_msg("a future that never resolves");
}

struct death {
        unsigned n;
        arbiter_reason reason;
        int status;
        char name[80];
};

static inline void on_death(arbiter_actor *a, const arbiter_down *down, void *userdata) {
        struct death *d = userdata;

        d->n++;
        d->reason = down->reason;
        d->status = down->status;
        (void) snprintf(d->name, sizeof(d->name), "%s", down->name);
}

static inline void run_until(arbiter *a, const unsigned *n, unsigned wanted) {
        usec_t end = now_usec() + 60 * USEC_PER_SEC;

        while (*n < wanted && now_usec() < end)
                assert_ok(sd_event_run(arbiter_get_event(a), 100 * 1000));
        assert_int_equal(*n, wanted);
}

/* Lets what is on its way arrive. */
static inline void run_for(arbiter *a, usec_t usec) {
        usec_t end = now_usec() + usec, now;

        while ((now = now_usec()) < end)
                assert_ok(sd_event_run(arbiter_get_event(a), end - now));
}

static inline void run_until_fds(arbiter *a, unsigned wanted) {
        usec_t end = now_usec() + 20 * USEC_PER_SEC;

        while (count_fds() != wanted && now_usec() < end)
                assert_ok(sd_event_run(arbiter_get_event(a), 20 * 1000));
        assert_int_equal(count_fds(), wanted);
}

/* This program again, as something else: main() looks at role. */
static inline arbiter_spawn *new_self(arbiter *a, const char *name, const char *role, const char *mode,
                const char *argument, arbiter_exec_type type) {
        const char *argv[] = { NULL, role, mode, argument, NULL };
        char path[4096];
        arbiter_spawn *s;
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        assert_true(n > 0);
        path[n] = 0;
        argv[0] = path;
        assert_ok(arbiter_spawn_new(a, name, &s));
        assert_ok(arbiter_spawn_set_exec(s, argv, type));
        return s;
}

static inline arbiter_spawn *new_worker(arbiter *a, const char *name, const char *mode,
                const char *argument) {
        return new_self(a, name, "worker", mode, argument, ARBITER_EXEC_MAILBOX);
}

static inline arbiter_future *start_module(arbiter *a, const char *name, const arbiter_module *m,
                arbiter_concurrency c) {
        arbiter_spawn *s;
        arbiter_future *f;

        assert_ok(arbiter_spawn_new(a, name, &s));
        assert_ok(arbiter_spawn_set_module(s, m));
        assert_ok(arbiter_spawn_set_concurrency(s, c));
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        return f;
}

static inline void start_good(arbiter *a, const char *name, const arbiter_module *m, arbiter_concurrency c) {
        arbiter_future *f = start_module(a, name, m, c);

        wait_future(f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
}

static inline void assert_answers(arbiter *a, const char *name) {
        int r = arbiter_call(arbiter_get_actor(a), NULL, name, "ping", 10 * 1000 * 1000, "");

        if (r < 0)
                fail_msg("%s does not answer: %s", name, strerror(-r));
}

static inline void stop_arbiter(arbiter *a) {
        assert_ok(arbiter_stop(a, 0));
        assert_int_equal(arbiter_run(a, false), 0);
        arbiter_unref(a);
}

/* No child is left, not even a dead one. */
static inline void assert_no_children(void) {
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}
