/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers of a link that lie: in frames, in descriptors, in the page. */

#include <sys/uio.h>

#include "test-link-fixture.h"

static size_t encode(uint8_t *buffer, enum envelope_kind kind, uint64_t sequence, uint8_t n_fds) {
        struct envelope e = {
                        .kind = kind,
                        .sequence = sequence,
                        .id = kind == ENVELOPE_CAST ? 0 : 1,
                        .deadline = UINT64_MAX,
                        .n_fds = n_fds,
                        .command = "test",
                        .command_length = 4,
                        .signature = "",
        };

        envelope_encode(&e, buffer);
        return envelope_frame_size(&e);
}

static void expect_end(int fd, unsigned n_frames, int error) {
        settle();
        assert_int_equal(ends[0]->n_frames, n_frames);
        assert_int_equal(ends[0]->n_closed, 1);
        assert_int_equal(ends[0]->error, error);
        assert_false(link_is_open(ends[0]->l));
        assert_errno(cast(ends[0]->l, 0), ENOTCONN);
        close_fd(fd);
        again();
}

static int send_with_fds(int fd, const void *data, size_t size, size_t n_fds) {
        uint8_t control[CMSG_SPACE(100 * sizeof(int))] __attribute__((aligned(8))) = {};
        struct iovec iov = {(void *)data, size};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
        struct cmsghdr *c = (struct cmsghdr *)control;

        mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        for (size_t i = 0; i < n_fds; i++)
                memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){STDERR_FILENO}, sizeof(int));
        return sendmsg(fd, &mh, 0) == (ssize_t)size ? 0 : -errno;
}

static void test_malformed(void **state) {
        enum link_kind kind = kind_of(state);
        int before = count_fds();
        uint8_t f[512] __attribute__((aligned(8)));
        size_t n;
        int fd;

        /* garbage */
        fd = make_hostile(kind, NULL);
        memset(f, 0xa5, sizeof(f));
        assert_ok(write_all(fd, f, sizeof(f)));
        expect_end(fd, 0, -EBADMSG);

        /* a good frame, then a huge length */
        fd = make_hostile(kind, NULL);
        n = encode(f, ENVELOPE_CAST, 1, 0);
        assert_ok(write_all(fd, f, n));
        memcpy(f, &(uint32_t){0xfffffff8}, 4);
        assert_ok(write_all(fd, f, n));
        expect_end(fd, 1, -EBADMSG);

        /* a sequence that does not rise by one */
        fd = make_hostile(kind, NULL);
        n = encode(f, ENVELOPE_CAST, 1, 0);
        assert_ok(write_all(fd, f, n));
        assert_ok(write_all(fd, f, n));
        expect_end(fd, 1, -EBADMSG);

        /* more than was granted: four messages were */
        fd = make_hostile(kind, NULL);
        for (uint64_t i = 1; i <= 5; i++) {
                n = encode(f, ENVELOPE_CAST, i, 0);
                assert_ok(write_all(fd, f, n));
        }
        expect_end(fd, 4, -EBADMSG);

        /* one descriptor announced, none sent; one sent, none announced; too many */
        fd = make_hostile(kind, NULL);
        n = encode(f, ENVELOPE_CAST, 1, 1);
        assert_ok(write_all(fd, f, n));
        expect_end(fd, 0, -EBADMSG);
        fd = make_hostile(kind, NULL);
        n = encode(f, ENVELOPE_CAST, 1, 0);
        assert_ok(send_with_fds(fd, f, n, 1));
        expect_end(fd, kind == LINK_STREAM ? 1 : 0, -EBADMSG);
        fd = make_hostile(kind, NULL);
        n = encode(f, ENVELOPE_CAST, 1, 64);
        assert_ok(send_with_fds(fd, f, n, 65));
        expect_end(fd, 0, -EBADMSG);

        /* orderly */
        fd = make_hostile(kind, NULL);
        n = encode(f, ENVELOPE_CAST, 1, 0);
        assert_ok(write_all(fd, f, n));
        close_fd(fd);
        expect_end(-EBADF, 1, 0);
        assert_int_equal(count_fds(), before);
}

static void test_half_frame(void **state) {
        uint8_t f[512] __attribute__((aligned(8)));
        size_t n = encode(f, ENVELOPE_CAST, 1, 0);

        for (size_t cut = 1; cut < n; cut += 7) {
                int fd = make_hostile(LINK_STREAM, NULL);

                assert_ok(write_all(fd, f, n));
                (void)encode(f, ENVELOPE_CAST, 2, 0);
                assert_ok(write_all(fd, f, cut));
                settle();
                assert_int_equal(ends[0]->n_frames, 1);
                assert_int_equal(ends[0]->n_closed, 0);
                close_fd(fd);
                expect_end(-EBADF, 1, -ECONNRESET);
                (void)encode(f, ENVELOPE_CAST, 1, 0);
        }
}

/* Byte by byte: the same frames. */
static void test_dribble(void **state) {
        uint8_t f[512] __attribute__((aligned(8)));
        int fd = make_hostile(LINK_STREAM, NULL);

        for (uint64_t s = 1; s <= 3; s++) {
                size_t n = encode(f, ENVELOPE_CAST, s, 1);

                for (size_t i = 0; i < n; i++) {
                        assert_ok(i == 0 ? send_with_fds(fd, f, 1, 1) : write_all(fd, f + i, 1));
                        settle();
                }
        }
        assert_int_equal(ends[0]->n_frames, 3);
        assert_int_equal(ends[0]->n_fds, 3);
        ends[0]->bad = false; /* these descriptors are no memfds of a known size */
        close_fd(fd);
        expect_end(-EBADF, 3, 0);
}

/* A peer that scribbles over the page: nothing but numbers to compare with. */
static void test_hostile_page(void **state) {
        struct link_page *page;
        uint64_t messages, bytes;
        int fd = make_hostile(LINK_STREAM, &page);

        memset(&page->side[1], 0xff, sizeof(page->side[1]));
        link_get_credit(ends[0]->l, &messages, &bytes);
        assert_true(messages > 0 && messages < UINT64_MAX / 2);
        assert_ok(cast(ends[0]->l, 1));
        assert_true(link_has_begun(ends[0]->l, LANE_USER, 1));
        memset(page, 0, sizeof(*page));
        assert_false(link_has_begun(ends[0]->l, LANE_USER, 1));
        link_get_credit(ends[0]->l, &messages, &bytes);
        assert_int_equal(messages, 0);
        link_page_unmap(page);
        close_fd(fd);
        settle();
        assert_int_equal(ends[0]->n_closed, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST_SOCKETS(test_malformed),
                        TEST(test_half_frame),
                        TEST(test_dribble),
                        TEST(test_hostile_page),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
