/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links of all three kinds: order, lanes, descriptors, credit, begun, bounds, life. */

#include <sys/epoll.h>
#include <sys/mman.h>

#include "test-link-fixture.h"

static void test_order(void **state) {
        enum link_kind kind = kind_of(state);
        make_pair(kind, 0);
        for (uint64_t i = 0; i < 5000; i++) {
                assert_ok(cast(ends[0]->l, i));
                if (i % 100 == 99) {
                        assert_ok(link_flush(ends[0]->l));
                        assert_ok(sd_event_run(event, 0));
                }
        }
        settle();
        assert_int_equal(ends[1]->n_frames, 5000);
        for (uint64_t i = 0; i < 5000; i++)
                assert_int_equal(ends[1]->log[i], i);
        assert_int_equal(link_get_kind(ends[1]->l), kind);
}

static void test_system_overtakes(void **state) {
        enum link_kind kind = kind_of(state);
        make_pair(kind, 0);
        for (uint64_t i = 0; i < 100; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_ok(send_frame(ends[0]->l, ENVELOPE_CANCEL, ENVELOPE_SYSTEM, 500, MARK_SIZE, NULL, 0));
        assert_ok(send_frame(ends[0]->l, ENVELOPE_CANCEL, ENVELOPE_SYSTEM, 501, MARK_SIZE, NULL, 0));
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[1]->n_frames, 102);
        assert_int_equal(ends[1]->log[0], 500);
        assert_int_equal(ends[1]->log[1], 501);
        for (uint64_t i = 0; i < 100; i++)
                assert_int_equal(ends[1]->log[i + 2], i);
}

/* Also when the user frames had been written before: among what is read at once, the system lane goes first.
 */
static void test_system_first_when_read(void **state) {
        enum link_kind kind = kind_of(state);
        make_pair(kind, 0);
        for (uint64_t i = 0; i < 20; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_ok(link_flush(ends[0]->l));
        assert_ok(send_frame(ends[0]->l, ENVELOPE_CANCEL, ENVELOPE_SYSTEM, 500, MARK_SIZE, NULL, 0));
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[1]->n_frames, 21);
        assert_int_equal(ends[1]->log[0], 500);
        assert_int_equal(ends[1]->log[20], 19);
}

static int memfd_of_size(uint64_t size) {
        int fd = memfd_create("test", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        return fd;
}

static void test_fds(void **state) {
        enum link_kind kind = kind_of(state);
        int before = count_fds();
        unsigned sent_fds = 0;

        make_pair(kind, kind == LINK_STREAM ? 4096 : 0);
        ends[1]->has_pattern = true;
        for (uint64_t i = 0; i < 300; i++) {
                size_t n = i % 3 == 0 ? 0 : i % 5;
                int fds[4];

                for (size_t k = 0; k < n; k++)
                        fds[k] = memfd_of_size(i + k);
                assert_ok(send_frame(ends[0]->l, i % 7 == 0 ? ENVELOPE_CANCEL : ENVELOPE_CAST,
                                i % 7 == 0 ? ENVELOPE_SYSTEM : 0, i, MARK_SIZE + i * 13 % 9000, fds, n));
                close_many(fds, n);
                sent_fds += (unsigned)n;
                if (i % 40 == 39) { /* no more than LINK_FDS_MAX may wait */
                        assert_ok(link_flush(ends[0]->l));
                        settle();
                }
        }
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[1]->n_frames, 300);
        assert_int_equal(ends[1]->n_fds, sent_fds);
        assert_int_equal(ends[1]->n_closed, 0);
        again();
        assert_int_equal(count_fds(), before);
}

/* Descriptors that nobody has taken are closed with the link, on either side. */
static void test_fds_dropped(void **state) {
        enum link_kind kind = kind_of(state);
        int before = count_fds();
        int fd = memfd_of_size(1);

        make_pair(kind, 0);
        for (uint64_t i = 0; i < 10; i++) {
                ends[1]->in_frame = ACT_CLOSE;
                assert_ok(send_frame(ends[0]->l, ENVELOPE_CAST, 0, 1, MARK_SIZE, &fd, 1));
        }
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[1]->n_frames, 1);
        assert_int_equal(ends[0]->n_closed, 1);
        close_fd(fd);
        again();
        assert_int_equal(count_fds(), before);
}

static void test_large(void **state) {
        enum link_kind kind = kind_of(state);
        struct link_statistics s;
        uint64_t bytes = 0;

        make_pair(kind, 0);
        ends[1]->has_pattern = true;
        for (uint64_t i = 0; i < 40; i++)
                assert_ok(send_frame(ends[0]->l, ENVELOPE_CAST, 0, i, BODY_INLINE_MAX - i, NULL, 0));
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[1]->n_frames, 40);
        assert_errno(send_frame(ends[0]->l, ENVELOPE_CAST, 0, 0, BODY_INLINE_MAX + 1, NULL, 0), EMSGSIZE);
        link_get_statistics(ends[1]->l, &s);
        assert_int_equal(s.frames_received, 40);
        link_get_statistics(ends[0]->l, &s);
        assert_int_equal(s.frames_sent, 40);
        bytes = s.bytes_sent;
        assert_true(kind == LINK_LOCAL || bytes > 40 * (BODY_INLINE_MAX - 40));
}

static void test_batch_bound(void **state) {
        enum link_kind kind = kind_of(state);
        make_pair(kind, 0);
        for (uint64_t i = 0; i < 3000; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[1]->n_frames, 3000);
        assert_true(ends[1]->n_largest_batch <= LINK_BATCH_MESSAGES);
        assert_true(ends[1]->n_batches >= 3000 / LINK_BATCH_MESSAGES);
}

static int on_pipe(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        unsigned *n = userdata;

        *n = ends[1]->n_frames;
        return sd_event_source_set_enabled(s, SD_EVENT_OFF);
}

/* While one link goes on and on, another source of the same priority gets its turn after the next batch. */
static void test_others_get_a_turn(void **state) {
        sd_event_source *s = NULL;
        unsigned n = 0, before;
        int fds[2];

        make_pair(kind_of(state), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_ok(sd_event_add_io(event, &s, fds[0], EPOLLIN, on_pipe, &n));
        for (uint64_t i = 0; i < 3000; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_ok(link_flush(ends[0]->l));
        assert_ok(sd_event_run(event, 0));
        before = ends[1]->n_frames;
        assert_true(before > 0 && before <= LINK_BATCH_MESSAGES);
        assert_int_equal(write(fds[1], "x", 1), 1);
        settle();
        assert_int_equal(ends[1]->n_frames, 3000);
        assert_true(n >= before && n <= before + 2 * LINK_BATCH_MESSAGES);
        sd_event_source_unref(s);
        close_many(fds, 2);
}

static void test_credit_exact(void **state) {
        enum link_kind kind = kind_of(state);
        uint64_t messages, bytes;

        make_pair_with_window(kind, 8, 1 << 20);
        for (uint64_t i = 0; i < 8; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_errno(cast(ends[0]->l, 8), ENOBUFS);
        /* what costs no credit passes still */
        assert_ok(send_frame(ends[0]->l, ENVELOPE_REPLY, 0, 1000, MARK_SIZE, NULL, 0));
        assert_ok(send_frame(ends[0]->l, ENVELOPE_CAST, ENVELOPE_SYSTEM, 1001, MARK_SIZE, NULL, 0));
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[1]->n_frames, 10);
        assert_int_equal(ends[0]->n_credits, 0);

        /* nothing is granted before something left the mailbox */
        link_get_credit(ends[0]->l, &messages, &bytes);
        assert_int_equal(messages, 0);
        link_consumed(ends[1]->l, 3, 3 * 88);
        settle();
        assert_int_equal(ends[0]->n_credits, 1);
        link_get_credit(ends[0]->l, &messages, &bytes);
        assert_int_equal(messages, 3);
        for (uint64_t i = 0; i < 3; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_errno(cast(ends[0]->l, 3), ENOBUFS);
        assert_ok(link_flush(ends[0]->l));
        link_consumed(ends[1]->l, 8, 8 * 88);
        settle();
        assert_int_equal(ends[0]->n_credits, 2);
        assert_int_equal(ends[1]->n_closed, 0);
}

static void test_credit_bytes(void **state) {
        enum link_kind kind = kind_of(state);
        struct link_statistics s;
        uint64_t messages, before, after;

        make_pair_with_window(kind, 100, 1000);
        link_get_credit(ends[0]->l, &messages, &before);
        assert_ok(send_frame(ends[0]->l, ENVELOPE_CAST, 0, 0, 500, NULL, 0));
        link_get_credit(ends[0]->l, &messages, &after);
        assert_int_equal(before, 1000);
        assert_int_equal(messages, 99);
        assert_true(before - after >= 500 + ENVELOPE_HEADER_SIZE && before - after < 600);
        assert_errno(send_frame(ends[0]->l, ENVELOPE_CAST, 0, 1, 500, NULL, 0), ENOBUFS);
        assert_ok(send_frame(ends[0]->l, ENVELOPE_CAST, 0, 2, 300, NULL, 0));
        assert_ok(link_flush(ends[0]->l));
        settle();
        /* an empty mailbox gives all of the window back, even less than an eighth */
        link_consumed(ends[1]->l, 2, 1000 - after + 384);
        settle();
        assert_int_equal(ends[0]->n_credits, 1);
        link_get_statistics(ends[0]->l, &s);
        assert_int_equal(s.refused, 1);
}

static void test_window_shrinks(void **state) {
        uint64_t messages, bytes;

        make_pair_with_window(LINK_STREAM, 10, 10000);
        link_set_window(ends[1]->l, 4, 10000);
        link_get_credit(ends[0]->l, &messages, &bytes);
        assert_int_equal(messages, 10);
        for (uint64_t i = 0; i < 10; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_ok(link_flush(ends[0]->l));
        settle();
        link_consumed(ends[1]->l, 6, 6 * 88);
        link_get_credit(ends[0]->l, &messages, &bytes);
        assert_int_equal(messages, 0);
        link_consumed(ends[1]->l, 4, 4 * 88);
        link_get_credit(ends[0]->l, &messages, &bytes);
        assert_int_equal(messages, 4);
        link_set_window(ends[1]->l, 9, 10000);
        link_get_credit(ends[0]->l, &messages, &bytes);
        assert_int_equal(messages, 9);
}

static void test_never_reads(void **state) {
        enum link_kind kind = kind_of(state);
        struct link_statistics s;
        uint8_t sink[64 * 1024];
        int r = 0, sv[2];
        size_t full;

        assert_int_equal(socketpair(AF_UNIX, socket_type(kind), 0, sv), 0);
        assert_ok(link_new(event, kind, sv[0], NULL, 0, &events, ends[0], &ends[0]->l));
        for (uint64_t i = 0; i < 1000 && r >= 0; i++)
                r = send_frame(ends[0]->l, ENVELOPE_REPLY, 0, i, 32 * 1024, NULL, 0);
        assert_int_equal(r, -ENOBUFS);
        full = link_get_buffered(ends[0]->l);
        assert_true(full <= LINK_OUTPUT_MAX && full > LINK_OUTPUT_MAX - 40 * 1024);
        assert_errno(send_frame(ends[0]->l, ENVELOPE_CANCEL, ENVELOPE_SYSTEM, 1, 32 * 1024, NULL, 0),
                        ENOBUFS);
        settle();
        assert_int_equal(link_get_buffered(ends[0]->l), full);
        link_get_statistics(ends[0]->l, &s);
        assert_int_equal(s.refused, 2);

        /* it reads after all: there is room again, and the runtime is told once */
        while (link_get_buffered(ends[0]->l) > 0) {
                assert_true(recv(sv[1], sink, sizeof(sink), MSG_DONTWAIT) > 0);
                settle();
        }
        assert_int_equal(ends[0]->n_credits, 1);
        close_fd(sv[1]);
        settle();
        assert_int_equal(ends[0]->n_closed, 1);
}

/* Both ends send and answer far more than the sockets hold, and neither stops reading because it cannot
 * write. */
static void test_flood(void **state) {
        enum link_kind kind = kind_of(state);

        make_pair(kind, kind == LINK_LOCAL ? 0 : 8192);
        for (unsigned i = 0; i < 2; i++)
                ends[i]->echo = ends[i]->consume = true;
        for (uint64_t n = 0; n < 10000; n++)
                for (unsigned i = 0; i < 2; i++)
                        assert_ok(send_frame(ends[i]->l, ENVELOPE_REQUEST, 0, n, 200, NULL, 0));
        for (unsigned i = 0; i < 2; i++)
                assert_ok(link_flush(ends[i]->l));
        settle();
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(ends[i]->n_frames, 20000);
                assert_int_equal(link_get_buffered(ends[i]->l), 0);
        }
}

static void test_close_in_callback(void **state) {
        enum link_kind kind = kind_of(state);
        static const enum action actions[] = {ACT_CLOSE, ACT_UNREF};

        for (unsigned where = 0; where < 3; where++)
                for (unsigned i = 0; i < ELEMENTSOF(actions); i++) {
                        make_pair(kind, 0);
                        *(where == 0                 ? &ends[1]->in_frame
                                        : where == 1 ? &ends[1]->in_batch
                                                     : &ends[1]->in_closed) = actions[i];
                        for (uint64_t n = 0; n < 1000; n++)
                                assert_ok(cast(ends[0]->l, n));
                        assert_ok(send_frame(ends[0]->l, ENVELOPE_CANCEL, ENVELOPE_SYSTEM, 0, MARK_SIZE,
                                        NULL, 0));
                        assert_ok(link_flush(ends[0]->l));
                        if (where == 2)
                                link_close(ends[0]->l);
                        settle();
                        assert_true(where == 0 ? ends[1]->n_frames == 1 : ends[1]->n_frames >= 16);
                        assert_int_equal(ends[1]->n_closed, where == 2 ? 1 : 0);
                        assert_int_equal(ends[0]->n_closed, where == 2 ? 0 : 1);
                        if (actions[i] == ACT_UNREF)
                                assert_null(ends[1]->l);
                        again();
                }

        make_pair_with_window(kind, 1, 1 << 20);
        assert_ok(cast(ends[0]->l, 0));
        assert_errno(cast(ends[0]->l, 1), ENOBUFS);
        ends[0]->in_credit = ACT_UNREF;
        ends[1]->consume = true;
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[0]->n_credits, 1);
        assert_null(ends[0]->l);
        assert_int_equal(ends[1]->n_closed, 1);
}

static void test_closed_after_mail(void **state) {
        enum link_kind kind = kind_of(state);

        make_pair(kind, 0);
        for (uint64_t i = 0; i < 200; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_ok(link_flush(ends[0]->l));
        /* the other side has something unread when it closes: that end's reading must not suffer from the
         * reset */
        assert_ok(cast(ends[1]->l, 0));
        assert_ok(link_flush(ends[1]->l));
        link_close(ends[0]->l);
        link_close(ends[0]->l);
        assert_errno(link_get_fd(ends[0]->l), EBADF);
        assert_errno(link_flush(ends[0]->l), ENOTCONN);
        settle();
        assert_int_equal(ends[1]->n_frames, 200);
        assert_int_equal(ends[1]->n_closed, 1);
        assert_int_equal(ends[1]->error, kind == LINK_LOCAL ? 0 : -ECONNRESET);
        assert_int_equal(ends[0]->n_closed, 0);
        settle();
        assert_int_equal(ends[1]->n_closed, 1);
}

/* A send or flush to a dead peer reports through closed, from the loop only. */
static void test_broken_on_flush(void **state) {
        enum link_kind kind = kind_of(state);

        make_pair(kind, 0);
        assert_ok(cast(ends[0]->l, 7));
        assert_ok(link_flush(ends[0]->l));
        link_close(ends[0]->l);
        if (kind != LINK_LOCAL) {
                assert_ok(cast(ends[1]->l, 1));
                assert_errno(link_flush(ends[1]->l), ECONNRESET);
        }
        assert_errno(cast(ends[1]->l, 2), ENOTCONN);
        assert_int_equal(ends[1]->n_closed, 0);
        settle();
        assert_int_equal(ends[1]->n_frames, 1);
        assert_int_equal(ends[1]->n_closed, 1);
        assert_int_equal(ends[1]->error, kind == LINK_LOCAL ? 0 : -ECONNRESET);
}

static void test_callee_refuses(void **state) {
        make_pair(kind_of(state), 0);
        ends[1]->frame_result = -EPROTO;
        assert_ok(cast(ends[0]->l, 0));
        assert_ok(cast(ends[0]->l, 1));
        assert_ok(link_flush(ends[0]->l));
        settle();
        assert_int_equal(ends[1]->n_frames, 1);
        assert_int_equal(ends[1]->n_closed, 1);
        assert_int_equal(ends[1]->error, -EPROTO);
        assert_int_equal(ends[0]->n_closed, 1);
}

static void test_drain(void **state) {
        make_pair(kind_of(state), 0);
        for (uint64_t i = 0; i < 200; i++)
                assert_ok(cast(ends[0]->l, i));
        assert_ok(link_flush(ends[0]->l));
        assert_ok(link_drain(ends[1]->l));
        assert_int_equal(ends[1]->n_frames, 200);
        assert_int_equal(ends[1]->n_closed, 0);
        link_close(ends[0]->l);
        assert_ok(link_drain(ends[1]->l));
        assert_int_equal(ends[1]->n_closed, 1);
        assert_errno(link_drain(ends[1]->l), ENOTCONN);
        settle();
        assert_int_equal(ends[1]->n_closed, 1);
}

/* A peer that is never slower than the reader: with each frame that is dispatched the next one is there. */
static struct {
        uint8_t flags;
        unsigned n, max;
} feed;

static int on_fed_frame(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds,
                void *userdata) {
        (void) on_frame(l, e, body, fds, userdata);
        if (feed.n++ >= feed.max)
                return 0;
        if (send_frame(ends[0]->l, ENVELOPE_CAST, feed.flags, feed.n, MARK_SIZE, NULL, 0) < 0 ||
                        link_flush(ends[0]->l) < 0)
                ends[0]->bad = true;
        return 0;
}

static void make_fed_pair(enum link_kind kind, uint8_t flags) {
        static const struct link_events fed = { on_fed_frame, on_batch_end, on_credit, on_closed };

        make_pair(kind, 0);
        link_set_events(ends[1]->l, &fed, ends[1]);
        ends[1]->consume = true;
        feed.flags = flags;
        feed.n = 0;
        feed.max = 1000000;
        for (unsigned i = 0; i < 8; i++)
                assert_ok(send_frame(ends[0]->l, ENVELOPE_CAST, flags, i, MARK_SIZE, NULL, 0));
        assert_ok(link_flush(ends[0]->l));
}

/* Turns of the loop, and a look outside of it: each ends, with as much as a batch may have. */
static void test_endless_flood(void **state) {
        static const uint8_t lanes[] = { 0, ENVELOPE_SYSTEM };

        for (size_t i = 0; i < ELEMENTSOF(lanes); i++) {
                unsigned before;

                make_fed_pair(kind_of(state), lanes[i]);
                for (unsigned turn = 0; turn < 20; turn++) {
                        before = ends[1]->n_frames;
                        assert_true(sd_event_run(event, 0) > 0);
                        assert_true(ends[1]->n_frames - before <= LINK_BATCH_MESSAGES);
                        before = ends[1]->n_frames;
                        assert_ok(link_read(ends[1]->l));
                        assert_true(ends[1]->n_frames > before);
                        assert_true(ends[1]->n_frames - before <= LINK_BATCH_MESSAGES);
                }
                feed.max = 0;
                again();
        }
}

/* What a dead peer's descendants go on sending does not hold the reader for ever either. */
static void test_endless_flood_drained(void **state) {
        static const uint8_t lanes[] = { 0, ENVELOPE_SYSTEM };

        for (size_t i = 0; i < ELEMENTSOF(lanes); i++) {
                make_fed_pair(kind_of(state), lanes[i]);
                assert_ok(link_drain(ends[1]->l));
                assert_true(ends[1]->n_frames >= 8);
                assert_true(ends[1]->n_frames <= LINK_OUTPUT_MAX / 64 + 1);
                feed.max = 0;
                again();
        }
}

static void test_begun(void **state) {
        make_pair(kind_of(state), 0);
        assert_false(link_has_begun(ends[0]->l, LANE_USER, 1));
        link_publish_begun(ends[1]->l, LANE_USER, 5);
        link_publish_begun(ends[1]->l, LANE_USER, 3);
        assert_true(link_has_begun(ends[0]->l, LANE_USER, 5));
        assert_false(link_has_begun(ends[0]->l, LANE_USER, 6));
        assert_false(link_has_begun(ends[0]->l, LANE_SYSTEM, 1));
        assert_false(link_has_begun(ends[1]->l, LANE_USER, 1));
        link_close(ends[1]->l);
        settle();
        assert_int_equal(ends[0]->n_closed, 1);
        assert_true(link_has_begun(ends[0]->l, LANE_USER, 5));
        assert_false(link_has_begun(ends[0]->l, LANE_USER, 6));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST_ALL(test_order),
                        TEST_ALL(test_system_overtakes),
                        TEST_ALL(test_system_first_when_read),
                        TEST_ALL(test_fds),
                        TEST_ALL(test_fds_dropped),
                        TEST_ALL(test_large),
                        TEST_ALL(test_batch_bound),
                        TEST_ALL(test_others_get_a_turn),
                        TEST_ALL(test_credit_exact),
                        TEST_ALL(test_credit_bytes),
                        TEST(test_window_shrinks),
                        TEST_SOCKETS(test_never_reads),
                        TEST_ALL(test_flood),
                        TEST_ALL(test_close_in_callback),
                        TEST_ALL(test_closed_after_mail),
                        TEST_ALL(test_broken_on_flush),
                        TEST_ALL(test_callee_refuses),
                        TEST_ALL(test_drain),
                        TEST_ALL(test_endless_flood),
                        TEST_ALL(test_endless_flood_drained),
                        TEST_ALL(test_begun),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
