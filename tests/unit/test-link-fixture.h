/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of links share: two ends that record what they see, and makers of pairs. For one program
 * each: it has state. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/time-util.h"
#include "test-util.h"
#include "transport/link.h"

enum { MARK_SIZE = 8, LOG_MAX = 1 << 16 };

enum action { ACT_NONE, ACT_CLOSE, ACT_UNREF };

/* What one end saw. */
struct end {
        struct link *l;
        unsigned n_frames, n_lane[LANE_COUNT], n_batches, n_credits, n_closed, n_fds, n_largest_batch,
                        n_in_batch;
        int error;
        uint64_t log[LOG_MAX]; /* the mark of each frame: first eight bytes of its body, or its id */
        bool bad;              /* something did not fit; asserted by the tests */
        bool consume, echo, has_pattern;
        int frame_result;
        enum action in_frame, in_batch, in_closed, in_credit;
};

static sd_event *event;
static struct end *ends[2]; /* a, b */

static _unused_ void act(struct end *e, enum action a) {
        if (a == ACT_CLOSE)
                link_close(e->l);
        else if (a == ACT_UNREF)
                e->l = link_unref(e->l);
}

static _unused_ int send_frame(struct link *l, enum envelope_kind kind, uint8_t flags, uint64_t mark,
                size_t body_size, const int *fds, size_t n_fds) {
        static uint8_t body[BODY_INLINE_MAX + 8];
        struct envelope e = {
                        .kind = kind,
                        .flags = flags,
                        .id = kind == ENVELOPE_CAST || kind == ENVELOPE_SIGNAL ? 0 : mark + 1,
                        .deadline = UINT64_MAX,
                        .n_fds = (uint8_t)n_fds,
                        .command = kind == ENVELOPE_REPLY || kind == ENVELOPE_CANCEL ? "" : "test",
                        .command_length = kind == ENVELOPE_REPLY || kind == ENVELOPE_CANCEL ? 0 : 4,
                        .signature = body_size > 0 ? "ay" : "",
                        .signature_length = body_size > 0 ? 2 : 0,
                        .body_size = (uint32_t)body_size,
        };

        memset(body, (int)(mark & 0xff), body_size);
        if (body_size >= MARK_SIZE)
                memcpy(body, &mark, MARK_SIZE);
        return link_send(l, &e, body, fds);
}

static _unused_ int cast(struct link *l, uint64_t mark) {
        return send_frame(l, ENVELOPE_CAST, 0, mark, MARK_SIZE, NULL, 0);
}

static _unused_ void check_body(
                struct end *end, const struct envelope *e, const uint8_t *body, uint64_t mark) {
        for (size_t i = MARK_SIZE; i < e->body_size; i++)
                if (body[i] != (uint8_t)mark) {
                        end->bad = true;
                        return;
                }
}

static _unused_ int on_frame(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds,
                void *userdata) {
        struct end *end = userdata;
        uint64_t mark = e->id;

        if (e->body_size >= MARK_SIZE)
                memcpy(&mark, body, MARK_SIZE);
        if (end->has_pattern)
                check_body(end, e, body, mark);
        if (end->n_frames < LOG_MAX)
                end->log[end->n_frames] = mark;
        end->n_frames++;
        end->n_in_batch++;
        end->n_lane[e->flags & ENVELOPE_SYSTEM ? LANE_SYSTEM : LANE_USER]++;
        for (size_t i = 0; i < e->n_fds; i++) {
                struct stat st;

                /* a test sends memfds whose size is the frame's mark */
                end->bad = end->bad || fstat(fds[i], &st) < 0 || (uint64_t)st.st_size != mark + i;
                close_fd(fds[i]);
                end->n_fds++;
        }
        if (end->echo && e->kind == ENVELOPE_REQUEST &&
                        send_frame(l, ENVELOPE_REPLY, 0, mark, MARK_SIZE, NULL, 0) < 0)
                end->bad = true;
        if (end->consume && !(e->flags & ENVELOPE_SYSTEM) && e->kind <= ENVELOPE_CAST)
                link_consumed(l, 1, envelope_frame_size(e));
        act(end, end->in_frame);
        return end->frame_result;
}

static _unused_ void on_batch_end(struct link *l, void *userdata) {
        struct end *end = userdata;

        end->n_batches++;
        end->n_largest_batch = MAX(end->n_largest_batch, end->n_in_batch);
        end->n_in_batch = 0;
        act(end, end->in_batch);
}

static _unused_ void on_credit(struct link *l, void *userdata) {
        struct end *end = userdata;

        end->n_credits++;
        act(end, end->in_credit);
}

static _unused_ void on_closed(struct link *l, int error, void *userdata) {
        struct end *end = userdata;

        end->n_closed++;
        end->error = error;
        if (link_is_open(l))
                end->bad = true;
        act(end, end->in_closed);
}

static _unused_ const struct link_events events = {on_frame, on_batch_end, on_credit, on_closed};

static _unused_ int setup(void **state) {
        assert_ok(sd_event_new(&event));
        for (unsigned i = 0; i < 2; i++)
                ends[i] = calloc(1, sizeof(struct end));
        return ends[0] && ends[1] ? 0 : -1;
}

static _unused_ int count_fds(void) {
        int n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static _unused_ int teardown(void **state) {
        bool bad = false;

        for (unsigned i = 0; i < 2; i++) {
                bad = bad || ends[i]->bad || ends[i]->n_closed > 1;
                link_unref(ends[i]->l);
                free(ends[i]);
        }
        event = sd_event_unref(event);
        return bad ? -1 : 0;
}

static _unused_ int socket_type(enum link_kind kind) {
        return (kind == LINK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC;
}

/* Both ends, with a page and generous windows. sndbuf 0: as it is. */
static _unused_ void make_pair(enum link_kind kind, int sndbuf) {
        int page_fd, sv[2];

        if (kind == LINK_LOCAL) {
                assert_ok(link_new_local(event, &ends[0]->l, &ends[1]->l));
                for (unsigned i = 0; i < 2; i++)
                        link_set_events(ends[i]->l, &events, ends[i]);
        } else {
                assert_int_equal(socketpair(AF_UNIX, socket_type(kind), 0, sv), 0);
                assert_ok(link_page_create(&page_fd));
                for (unsigned i = 0; i < 2; i++) {
                        struct link_page *page;

                        if (sndbuf > 0)
                                assert_int_equal(setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &sndbuf,
                                                                 sizeof(sndbuf)),
                                                0);
                        assert_ok(link_page_map(page_fd, &page));
                        assert_ok(link_new(event, kind, sv[i], page, i, &events, ends[i], &ends[i]->l));
                        assert_int_equal(link_get_fd(ends[i]->l), sv[i]);
                }
                close_fd(page_fd);
        }
        for (unsigned i = 0; i < 2; i++)
                link_set_window(ends[i]->l, 1 << 20, UINT64_C(1) << 40);
}

/* One link and the bare socket that a hostile peer holds. */
static _unused_ int make_hostile(enum link_kind kind, struct link_page **ret_page) {
        struct link_page *page = NULL;
        int page_fd, sv[2];

        assert_int_equal(socketpair(AF_UNIX, socket_type(kind), 0, sv), 0);
        assert_ok(link_page_create(&page_fd));
        assert_ok(link_page_map(page_fd, &page));
        if (ret_page)
                assert_ok(link_page_map(page_fd, ret_page));
        close_fd(page_fd);
        assert_ok(link_new(event, kind, sv[0], page, 0, &events, ends[0], &ends[0]->l));
        link_set_window(ends[0]->l, 4, 4096);
        return sv[1];
}

/* Turns the loop until nothing is left to do. */
static _unused_ void settle(void) {
        int r;

        do {
                r = sd_event_run(event, 0);
                assert_ok(r);
        } while (r > 0);
}

/* Turns until so many frames have come to the end, waiting for other processes and threads. */
static _unused_ void await_frames(struct end *e, unsigned n) {
        while (e->n_frames < n && e->n_closed == 0)
                assert_true(sd_event_run(event, 60 * USEC_PER_SEC) > 0);
}

static _unused_ enum link_kind kind_of(void **state) {
        return (enum link_kind)(intptr_t)*state;
}

/* A fresh pair of ends for the next round of one test. */
static _unused_ void again(void) {
        assert_false(ends[0]->bad || ends[1]->bad);
        for (unsigned i = 0; i < 2; i++) {
                link_unref(ends[i]->l);
                memset(ends[i], 0, sizeof(struct end));
        }
}

/* The page comes later, as after a handshake; only b grants, and just so much. */
static _unused_ void make_pair_with_window(enum link_kind kind, uint64_t messages, uint64_t bytes) {
        int page_fd, sv[2];

        if (kind == LINK_LOCAL) {
                assert_ok(link_new_local(event, &ends[0]->l, &ends[1]->l));
                for (unsigned i = 0; i < 2; i++)
                        link_set_events(ends[i]->l, &events, ends[i]);
        } else {
                assert_int_equal(socketpair(AF_UNIX, socket_type(kind), 0, sv), 0);
                assert_ok(link_page_create(&page_fd));
                for (unsigned i = 0; i < 2; i++) {
                        struct link_page *page;

                        assert_ok(link_new(event, kind, sv[i], NULL, 0, &events, ends[i], &ends[i]->l));
                        assert_ok(link_page_map(page_fd, &page));
                        assert_ok(link_set_page(ends[i]->l, page, i));
                }
                close_fd(page_fd);
        }
        link_set_window(ends[1]->l, messages, bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_KIND(f, k) cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, (void *)(intptr_t)(k))
#define TEST_SOCKETS(f) TEST_KIND(f, LINK_STREAM), TEST_KIND(f, LINK_SEQPACKET)
#define TEST_ALL(f) TEST_SOCKETS(f), TEST_KIND(f, LINK_LOCAL)
