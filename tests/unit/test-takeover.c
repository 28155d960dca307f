/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An end of a link in the hands of one who knows nothing of it. */

#include <sys/mman.h>

#include "test-link-fixture.h"
#include "transport/takeover.h"

static uint8_t buffer[FRAME_SIZE_MAX] __attribute__((aligned(8)));

/* The link is at ends[0], its other end in the successor's hand. */
static int make_orphan(void) {
        int fd = make_hostile(LINK_SEQPACKET, NULL);

        link_allow_takeover(ends[0]->l);
        return fd;
}

static int offer(int fd, uint64_t mark, const int *fds, uint8_t n_fds) {
        uint8_t body[MARK_SIZE];
        struct envelope e = {
                        .n_fds = n_fds,
                        .command = "test",
                        .command_length = 4,
                        .signature = "ay",
                        .signature_length = 2,
                        .body_size = MARK_SIZE,
        };

        memcpy(body, &mark, sizeof(body));
        return takeover_send(fd, &e, body, fds);
}

/* As the dead would have sent it. */
static void send_as_before(int fd, enum envelope_kind kind, uint8_t flags, uint64_t sequence, uint64_t id) {
        struct envelope e = {
                        .kind = kind,
                        .flags = flags,
                        .sequence = sequence,
                        .id = id,
                        .deadline = UINT64_MAX,
                        .command = "test",
                        .command_length = 4,
                        .signature = "",
        };

        envelope_encode(&e, buffer);
        assert_int_equal(send(fd, buffer, envelope_frame_size(&e), 0), envelope_frame_size(&e));
}

/* Behind what the dead had sent, and ahead of its user lane, as any of the system lane; whatever the count
 * is at, and more than once. The descriptors come along. */
static void test_offer(void **state) {
        int before = count_fds(), fd = make_orphan(), memfd = memfd_create("test", MFD_CLOEXEC);

        assert_int_equal(ftruncate(memfd, 700), 0);
        for (uint64_t i = 1; i <= 3; i++)
                send_as_before(fd, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, i, i);
        send_as_before(fd, ENVELOPE_REQUEST, 0, 1, 1000);
        assert_ok(offer(fd, 700, &memfd, 1));
        assert_ok(offer(fd, 701, NULL, 0));
        settle();
        assert_int_equal(ends[0]->n_frames, 6);
        assert_int_equal(ends[0]->log[2], 3);
        assert_int_equal(ends[0]->log[3], 700);
        assert_int_equal(ends[0]->log[4], 701);
        assert_int_equal(ends[0]->log[5], 1000);
        assert_int_equal(ends[0]->n_fds, 1);
        assert_int_equal(ends[0]->n_closed, 0);
        send_as_before(fd, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, 4, 4); /* the count is as it was */
        settle();
        assert_int_equal(ends[0]->n_frames, 7);
        close_fd(memfd);
        close_fd(fd);
        again();
        assert_int_equal(count_fds(), before);
}

/* Nobody may do so whom the link has not been told of, and nothing else comes without a sequence. */
static void test_refused(void **state) {
        static const struct {
                enum envelope_kind kind;
                uint8_t flags;
        } others[] = {
                        {ENVELOPE_REQUEST, ENVELOPE_SYSTEM}, {ENVELOPE_CANCEL, ENVELOPE_SYSTEM},
                        {ENVELOPE_SIGNAL, 0},
        };
        int fd = make_hostile(LINK_SEQPACKET, NULL);

        assert_ok(offer(fd, 1, NULL, 0));
        settle();
        assert_int_equal(ends[0]->n_frames, 0);
        assert_int_equal(ends[0]->error, -EBADMSG);
        assert_errno(offer(fd, 1, NULL, 0), ECONNRESET);
        close_fd(fd);
        again();
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                fd = make_orphan();
                send_as_before(fd, others[i].kind, others[i].flags, 0, others[i].kind != ENVELOPE_SIGNAL);
                settle();
                assert_int_equal(ends[0]->n_frames, 0);
                assert_int_equal(ends[0]->error, -EBADMSG);
                close_fd(fd);
                again();
        }
}

/* "credit" moves what the two ends agree on: a stranger cannot. */
static void test_no_credit(void **state) {
        struct envelope e = {.command = "credit", .command_length = 6, .signature = ""};
        int fd = make_orphan();

        assert_ok(takeover_send(fd, &e, NULL, NULL));
        settle();
        assert_int_equal(ends[0]->error, -EBADMSG);
        close_fd(fd);
}

/* All that lies there is dispatched, then closed() comes, without EOF and without an error. */
static void test_end_reading(void **state) {
        int fd = make_orphan();

        for (uint64_t i = 1; i <= 4; i++)
                send_as_before(fd, ENVELOPE_REQUEST, 0, i, i);
        link_end_reading(ends[0]->l);
        assert_int_equal(ends[0]->n_closed, 0); /* from the loop only */
        settle();
        assert_int_equal(ends[0]->n_frames, 4);
        assert_int_equal(ends[0]->n_closed, 1);
        assert_int_equal(ends[0]->error, 0);
        link_end_reading(ends[0]->l); /* nothing more can come of it */
        settle();
        close_fd(fd);
}

static int on_frame_end(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds,
                void *userdata) {
        ends[0]->n_frames++;
        if (e->sequence == 0)
                link_end_reading(l);
        return 0;
}

/* From within the frame that says so, with the user lane still to come. */
static void test_end_reading_within(void **state) {
        static const struct link_events here = {on_frame_end, on_batch_end, on_credit, on_closed};
        int fd = make_orphan();

        link_set_events(ends[0]->l, &here, ends[0]);
        link_set_window(ends[0]->l, 128, 1 << 20);
        for (uint64_t i = 1; i <= 128; i++)
                send_as_before(fd, ENVELOPE_REQUEST, 0, i, i);
        assert_ok(offer(fd, 700, NULL, 0));
        settle();
        assert_int_equal(ends[0]->n_frames, 129);
        assert_int_equal(ends[0]->n_closed, 1);
        assert_int_equal(ends[0]->error, 0);
        close_fd(fd);
}

/* What the other end had sent to the dead. */
static void test_receive(void **state) {
        int before = count_fds(), fd = make_orphan(), memfd;
        const uint8_t *body;
        struct envelope e;
        char nothing = 0;
        int bare[2];

        assert_errno(takeover_receive(fd, buffer, &e, &body), EAGAIN);
        assert_ok(send_frame(ends[0]->l, ENVELOPE_CANCEL, ENVELOPE_SYSTEM, 5, 0, NULL, 0));
        assert_ok(send_frame(ends[0]->l, ENVELOPE_REPLY, 0, 6, 40000, NULL, 0));
        assert_ok(link_flush(ends[0]->l));
        assert_ok(takeover_receive(fd, buffer, &e, &body));
        assert_int_equal(e.kind, ENVELOPE_CANCEL);
        assert_ok(takeover_receive(fd, buffer, &e, &body));
        assert_int_equal(e.body_size, 40000);
        assert_int_equal(body[39999], 6);

        /* With descriptors it is of no use, and they are closed; neither is what is no frame. */
        memfd = memfd_create("test", MFD_CLOEXEC);
        assert_ok(send_frame(ends[0]->l, ENVELOPE_REPLY, 0, 6, MARK_SIZE, &memfd, 1));
        assert_ok(link_flush(ends[0]->l));
        close_fd(memfd);
        assert_errno(takeover_receive(fd, buffer, &e, &body), EBADMSG);
        link_close(ends[0]->l);
        assert_errno(takeover_receive(fd, buffer, &e, &body), ECONNRESET);
        close_fd(fd);
        again();
        assert_int_equal(count_fds(), before);

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, bare), 0);
        memset(buffer, 0xff, sizeof(buffer));
        for (size_t n = 1; n < 200; n += 13) {
                assert_int_equal(send(bare[0], buffer, n, 0), n);
                assert_errno(takeover_receive(bare[1], buffer, &e, &body), EBADMSG);
                memset(buffer, 0xff, n);
        }
        assert_int_equal(send(bare[0], &nothing, 0, 0), 0);
        assert_errno(takeover_receive(bare[1], buffer, &e, &body), ECONNRESET);
        close_many(bare, 2);
        /* What was kept as an end of a link need not be one. */
        memfd = memfd_create("test", MFD_CLOEXEC);
        assert_errno(takeover_receive(memfd, buffer, &e, &body), ECONNRESET);
        assert_errno(offer(memfd, 1, NULL, 0), ECONNRESET);
        close_fd(memfd);
}

/* An actor that does not read: the offer waits for room. */
static void test_full(void **state) {
        int fd = make_orphan(), r;
        unsigned n = 0;

        while ((r = offer(fd, 700, NULL, 0)) >= 0)
                n++;
        assert_int_equal(r, -EAGAIN);
        assert_true(n > 0);
        settle();
        assert_int_equal(ends[0]->n_frames, n);
        assert_ok(offer(fd, 700, NULL, 0));
        close_fd(fd);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_offer, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_no_credit, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_end_reading, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_end_reading_within, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_receive, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        };

        return cmocka_run_group_tests_name("takeover", tests, NULL, NULL);
}
