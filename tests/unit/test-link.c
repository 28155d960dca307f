/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links of all three kinds: order, descriptors, credit, begun, hostile peers, life. */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/fd.h"
#include "basic/time-util.h"
#include "test-util.h"
#include "transport/link.h"

enum { MARK_SIZE = 8, LOG_MAX = 1 << 16 };

enum action { ACT_NONE, ACT_CLOSE, ACT_UNREF };

/* What one end saw. */
struct end {
        struct link *l;
        unsigned n_frames, n_lane[LANE_COUNT], n_batches, n_credits, n_closed, n_fds, n_largest_batch, n_in_batch;
        int error;
        uint64_t log[LOG_MAX]; /* the mark of each frame: first eight bytes of its body, or its id */
        bool bad;              /* something did not fit; asserted by the tests */
        bool consume, echo, has_pattern;
        int frame_result;
        enum action in_frame, in_batch, in_closed, in_credit;
};

static sd_event *event;
static struct end *ends[2]; /* a, b */

static void act(struct end *e, enum action a) {
        if (a == ACT_CLOSE)
                link_close(e->l);
        else if (a == ACT_UNREF)
                e->l = link_unref(e->l);
}

static int send_frame(struct link *l, enum envelope_kind kind, uint8_t flags, uint64_t mark, size_t body_size,
                const int *fds, size_t n_fds) {
        static uint8_t body[BODY_INLINE_MAX + 8];
        struct envelope e = {
                .kind = kind,
                .flags = flags,
                .id = kind == ENVELOPE_CAST || kind == ENVELOPE_SIGNAL ? 0 : mark + 1,
                .deadline = UINT64_MAX,
                .n_fds = (uint8_t) n_fds,
                .command = kind == ENVELOPE_REPLY || kind == ENVELOPE_CANCEL ? "" : "test",
                .command_length = kind == ENVELOPE_REPLY || kind == ENVELOPE_CANCEL ? 0 : 4,
                .signature = body_size > 0 ? "ay" : "",
                .signature_length = body_size > 0 ? 2 : 0,
                .body_size = (uint32_t) body_size,
        };

        memset(body, (int) (mark & 0xff), body_size);
        if (body_size >= MARK_SIZE)
                memcpy(body, &mark, MARK_SIZE);
        return link_send(l, &e, body, fds);
}

static int cast(struct link *l, uint64_t mark) {
        return send_frame(l, ENVELOPE_CAST, 0, mark, MARK_SIZE, NULL, 0);
}

static void check_body(struct end *end, const struct envelope *e, const uint8_t *body, uint64_t mark) {
        for (size_t i = MARK_SIZE; i < e->body_size; i++)
                if (body[i] != (uint8_t) mark) {
                        end->bad = true;
                        return;
                }
}

static int on_frame(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds, void *userdata) {
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
                end->bad = end->bad || fstat(fds[i], &st) < 0 || (uint64_t) st.st_size != mark + i;
                close_fd(fds[i]);
                end->n_fds++;
        }
        if (end->echo && e->kind == ENVELOPE_REQUEST && send_frame(l, ENVELOPE_REPLY, 0, mark, MARK_SIZE, NULL, 0) < 0)
                end->bad = true;
        if (end->consume && !(e->flags & ENVELOPE_SYSTEM) && e->kind <= ENVELOPE_CAST)
                link_consumed(l, 1, envelope_frame_size(e));
        act(end, end->in_frame);
        return end->frame_result;
}

static void on_batch_end(struct link *l, void *userdata) {
        struct end *end = userdata;

        end->n_batches++;
        end->n_largest_batch = MAX(end->n_largest_batch, end->n_in_batch);
        end->n_in_batch = 0;
        act(end, end->in_batch);
}

static void on_credit(struct link *l, void *userdata) {
        struct end *end = userdata;

        end->n_credits++;
        act(end, end->in_credit);
}

static void on_closed(struct link *l, int error, void *userdata) {
        struct end *end = userdata;

        end->n_closed++;
        end->error = error;
        if (link_is_open(l))
                end->bad = true;
        act(end, end->in_closed);
}

static const struct link_events events = { on_frame, on_batch_end, on_credit, on_closed };

static int setup(void **state) {
        assert_ok(sd_event_new(&event));
        for (unsigned i = 0; i < 2; i++)
                ends[i] = calloc(1, sizeof(struct end));
        return ends[0] && ends[1] ? 0 : -1;
}

static int count_fds(void) {
        int n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static int teardown(void **state) {
        bool bad = false;

        for (unsigned i = 0; i < 2; i++) {
                bad = bad || ends[i]->bad || ends[i]->n_closed > 1;
                link_unref(ends[i]->l);
                free(ends[i]);
        }
        event = sd_event_unref(event);
        return bad ? -1 : 0;
}

static int socket_type(enum link_kind kind) {
        return (kind == LINK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC;
}

/* Both ends, with a page and generous windows. sndbuf 0: as it is. */
static void make_pair(enum link_kind kind, int sndbuf) {
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
                                assert_int_equal(setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)), 0);
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
static int make_hostile(enum link_kind kind, struct link_page **ret_page) {
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
static void settle(void) {
        int r;

        do {
                r = sd_event_run(event, 0);
                assert_ok(r);
        } while (r > 0);
}

/* Turns until so many frames have come to the end, waiting for other processes and threads. */
static void await_frames(struct end *e, unsigned n) {
        while (e->n_frames < n && e->n_closed == 0)
                assert_true(sd_event_run(event, 60 * USEC_PER_SEC) > 0);
}

static enum link_kind kind_of(void **state) {
        return (enum link_kind) (intptr_t) *state;
}

/* A fresh pair of ends for the next round of one test. */
static void again(void) {
        assert_false(ends[0]->bad || ends[1]->bad);
        for (unsigned i = 0; i < 2; i++) {
                link_unref(ends[i]->l);
                memset(ends[i], 0, sizeof(struct end));
        }
}

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

/* Also when the user frames had been written before: among what is read at once, the system lane goes first. */
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
        assert_int_equal(ftruncate(fd, (off_t) size), 0);
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
                sent_fds += (unsigned) n;
                if (i % 40 == 39) {
                        assert_ok(link_flush(ends[0]->l));
                        assert_ok(sd_event_run(event, 0));
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

/* The page comes later, as after a handshake; only b grants, and just so much. */
static void make_pair_with_window(enum link_kind kind, uint64_t messages, uint64_t bytes) {
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

/* --- hostile peers ------------------------------------------------------------------------------------------- */

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
        struct iovec iov = { (void *) data, size };
        struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
        struct cmsghdr *c = (struct cmsghdr *) control;

        mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        for (size_t i = 0; i < n_fds; i++)
                memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){ STDERR_FILENO }, sizeof(int));
        return sendmsg(fd, &mh, 0) == (ssize_t) size ? 0 : -errno;
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
        memcpy(f, &(uint32_t){ 0xfffffff8 }, 4);
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
                (void) encode(f, ENVELOPE_CAST, 2, 0);
                assert_ok(write_all(fd, f, cut));
                settle();
                assert_int_equal(ends[0]->n_frames, 1);
                assert_int_equal(ends[0]->n_closed, 0);
                close_fd(fd);
                expect_end(-EBADF, 1, -ECONNRESET);
                (void) encode(f, ENVELOPE_CAST, 1, 0);
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

/* --- bounds and life ------------------------------------------------------------------------------------------ */

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
        assert_errno(send_frame(ends[0]->l, ENVELOPE_CANCEL, ENVELOPE_SYSTEM, 1, 32 * 1024, NULL, 0), ENOBUFS);
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

/* Both ends send and answer far more than the sockets hold, and neither stops reading because it cannot write. */
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
        static const enum action actions[] = { ACT_CLOSE, ACT_UNREF };

        for (unsigned where = 0; where < 3; where++)
                for (unsigned i = 0; i < ELEMENTSOF(actions); i++) {
                        make_pair(kind, 0);
                        *(where == 0 ? &ends[1]->in_frame : where == 1 ? &ends[1]->in_batch : &ends[1]->in_closed) =
                                        actions[i];
                        for (uint64_t n = 0; n < 1000; n++)
                                assert_ok(cast(ends[0]->l, n));
                        assert_ok(send_frame(ends[0]->l, ENVELOPE_CANCEL, ENVELOPE_SYSTEM, 0, MARK_SIZE, NULL, 0));
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
        /* the other side has something unread when it closes: that end's reading must not suffer from the reset */
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

/* --- races ---------------------------------------------------------------------------------------------------- */

/* DESIGN.md 4.2: the receiver publishes begun, then reads the clock, then runs if the deadline has not passed. The caller,
 * whose clock says that it has, reads begun. "Not begun" must mean "never runs". */
struct race {
        struct link *receiver;
        _Atomic uint64_t offered, done; /* sequence numbers */
        uint64_t deadline;
        bool ran;
        uint64_t n;
};

#ifdef __SANITIZE_THREAD__
enum { RACES = 100000 };
#else
enum { RACES = 1000000 };
#endif

static void relax(unsigned *spins) {
        if (++*spins % 1024 == 0)
                (void) sched_yield();
}

static void *race_receiver(void *userdata) {
        struct race *r = userdata;
        unsigned spins = 0;

        for (uint64_t i = 1; i <= r->n; i++) {
                while (atomic_load(&r->offered) < i)
                        relax(&spins);
                for (volatile unsigned delay = 0; delay < i * 7919 % 61; delay++)
                        ;
                link_publish_begun(r->receiver, LANE_USER, i);
                r->ran = now_nsec() < r->deadline;
                atomic_store(&r->done, i);
        }
        return NULL;
}

static void test_begun_race(void **state) {
        struct race race = { .n = RACES };
        uint64_t n_expired = 0, n_ran = 0, n_wrong = 0;
        unsigned spins = 0;
        pthread_t thread;

        make_pair(kind_of(state), 0);
        race.receiver = ends[1]->l;
        assert_int_equal(pthread_create(&thread, NULL, race_receiver, &race), 0);
        for (uint64_t i = 1; i <= race.n; i++) {
                bool begun;

                race.deadline = now_nsec() + 100 + i * 104729 % 500;
                atomic_store(&race.offered, i);
                while (now_nsec() < race.deadline)
                        ;
                begun = link_has_begun(ends[0]->l, LANE_USER, i);
                while (atomic_load(&race.done) < i)
                        relax(&spins);
                n_expired += !begun;
                n_ran += race.ran;
                n_wrong += !begun && race.ran;
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(n_wrong, 0);
        assert_true(n_expired + n_ran > 0);
}

/* A tiny window, a sender that stops at each refusal and goes on at the credit callback: no wake-up is ever lost. */
struct starver {
        struct link *l;
        sd_event *event;
        uint64_t next, n;
        int result;
};

static void starver_send(struct link *l, void *userdata) {
        struct starver *s = userdata;

        while (s->next < s->n && cast(l, s->next) >= 0)
                s->next++;
        (void) link_flush(l);
}

static int starver_frame(struct link *l, const struct envelope *e, const uint8_t *body, const int *fds, void *userdata) {
        return -EPROTO;
}

static void starver_closed(struct link *l, int error, void *userdata) {
        struct starver *s = userdata;

        s->result = error;
        (void) sd_event_exit(s->event, 0);
}

static void run_starver(enum link_kind kind, int fd, int page_fd, uint64_t n) {
        static const struct link_events starver_events = { starver_frame, NULL, starver_send, starver_closed };
        struct starver s = { .n = n, .result = 1 };
        struct link_page *page;

        if (sd_event_new(&s.event) < 0 || link_page_map(page_fd, &page) < 0 ||
            link_new(s.event, kind, fd, page, 1, &starver_events, &s, &s.l) < 0)
                _exit(1);
        starver_send(s.l, &s);
        (void) sd_event_loop(s.event);
        _exit(s.next == n && s.result == 0 ? 0 : 2);
}

static void test_starved_process(void **state) {
        enum link_kind kind = kind_of(state);
        enum { N = 60000 };
        struct link_page *page;
        int page_fd, sv[2], status;
        pid_t pid;

        assert_int_equal(socketpair(AF_UNIX, socket_type(kind), 0, sv), 0);
        assert_ok(link_page_create(&page_fd));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                close_fd(sv[0]);
                run_starver(kind, sv[1], page_fd, N);
        }
        close_fd(sv[1]);
        assert_ok(link_page_map(page_fd, &page));
        close_fd(page_fd);
        assert_ok(link_new(event, kind, sv[0], page, 0, &events, ends[0], &ends[0]->l));
        ends[0]->consume = true;
        link_set_window(ends[0]->l, 3, 3 * 96);
        await_frames(ends[0], N);
        assert_int_equal(ends[0]->n_frames, N);
        link_close(ends[0]->l);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void run_writer(int fd, unsigned seed) {
        static const struct link_events none = { starver_frame, NULL, NULL, NULL };
        struct link *l;
        sd_event *e;

        if (sd_event_new(&e) < 0 || link_new(e, LINK_STREAM, fd, NULL, 0, &none, NULL, &l) < 0)
                _exit(1);
        for (uint64_t i = 0;; i++) {
                seed = seed * 1103515245 + 12345;
                if (send_frame(l, ENVELOPE_CAST, 0, i, MARK_SIZE + (seed >> 8) % (i % 10 ? 300 : 60000), NULL, 0) < 0)
                        _exit(2);
                (void) link_flush(l);
                while (link_get_buffered(l) > LINK_FLUSH_SIZE)
                        (void) sd_event_run(e, UINT64_MAX);
        }
}

/* Killed anywhere, also in the middle of a frame: whole frames only, in order, and one end. */
static void test_killed_writer(void **state) {
        for (unsigned round = 0; round < 200; round++) {
                unsigned n = 1 + round * 37 % 300;
                pid_t pid;
                int sv[2];

                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        close_fd(sv[0]);
                        run_writer(sv[1], round);
                }
                close_fd(sv[1]);
                assert_ok(link_new(event, LINK_STREAM, sv[0], NULL, 0, &events, ends[0], &ends[0]->l));
                ends[0]->has_pattern = true;
                await_frames(ends[0], n);
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                await_frames(ends[0], UINT32_MAX);
                assert_int_equal(ends[0]->n_closed, 1);
                assert_true(ends[0]->error == 0 || ends[0]->error == -ECONNRESET);
                assert_true(ends[0]->n_frames >= n);
                for (unsigned i = 0; i < MIN(ends[0]->n_frames, (unsigned) LOG_MAX); i++)
                        assert_int_equal(ends[0]->log[i], i);
                again();
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_KIND(f, k) \
        cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, (void *) (intptr_t) (k))
#define TEST_SOCKETS(f) TEST_KIND(f, LINK_STREAM), TEST_KIND(f, LINK_SEQPACKET)
#define TEST_ALL(f) TEST_SOCKETS(f), TEST_KIND(f, LINK_LOCAL)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST_ALL(test_order),
                TEST_ALL(test_system_overtakes),
                TEST_ALL(test_system_first_when_read),
                TEST_ALL(test_fds),
                TEST_ALL(test_fds_dropped),
                TEST_ALL(test_large),
                TEST_ALL(test_batch_bound),
                TEST_ALL(test_credit_exact),
                TEST_ALL(test_credit_bytes),
                TEST(test_window_shrinks),
                TEST_SOCKETS(test_malformed),
                TEST(test_half_frame),
                TEST(test_dribble),
                TEST(test_hostile_page),
                TEST_SOCKETS(test_never_reads),
                TEST_ALL(test_flood),
                TEST_ALL(test_close_in_callback),
                TEST_ALL(test_closed_after_mail),
                TEST_ALL(test_broken_on_flush),
                TEST_ALL(test_callee_refuses),
                TEST_ALL(test_drain),
                TEST_ALL(test_begun),
                TEST_KIND(test_begun_race, LINK_STREAM),
                TEST_SOCKETS(test_starved_process),
                TEST(test_killed_writer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
