/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The law of bodies: for the same values, our bytes are those that sd-bus puts on a socket. Signatures
 * and values are generated; the seed is printed, and ARBITER_TEST_SEED replays it. What came off the
 * socket is also read back. */

#include "test-util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "basic/fd.h"
#include "wire/message.h"
#include "wire/signature.h"

enum {
        N_MESSAGES = 20000,
        N_VALUES_MAX = 200, /* of one message, about */
        N_FDS_ENOUGH = 12,
        DEPTH_MAX = 6,
        WIRE_MAX = 256 * 1024,
};

static uint64_t seed;
static int null_fd;

struct generator {
        uint64_t random;
        sd_bus_message *bus;  /* built ... */
        arbiter_message *ours; /* ... and built, or (without bus) read and compared */
        unsigned n_values, n_fds, depth;
};

/* splitmix64 */
static uint64_t next(struct generator *g) {
        uint64_t z = (g->random += UINT64_C(0x9E3779B97F4A7C15));

        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        return z ^ (z >> 31);
}

static unsigned below(struct generator *g, unsigned n) {
        return (unsigned) (next(g) % n);
}

static size_t make_type(struct generator *g, char *s, size_t room, unsigned depth, bool basic) {
        static const char codes[] = "ybnqiuxtdsogybnqiuxtdsogh";
        unsigned kind = basic || depth >= DEPTH_MAX || room < 24 ? 0 : below(g, 12);
        size_t n = 0;

        if (kind == 11) {
                s[0] = 'v';
                return 1;
        }
        if (kind == 10 || kind == 9) {
                s[0] = 'a';
                return 1 + make_type(g, s + 1, room - 1, depth + 1, false);
        }
        if (kind == 8) {
                memcpy(s, "a{", 2);
                n = 2 + make_type(g, s + 2, 1, depth, true);
                n += make_type(g, s + n, room - n - 1, depth + 1, false);
                s[n++] = '}';
                return n;
        }
        if (kind == 7) {
                s[n++] = '(';
                for (unsigned i = 1 + below(g, 4); i > 0; i--)
                        n += make_type(g, s + n, (room - n) / (i + 1), depth + 1, false);
                s[n++] = ')';
                return n;
        }
        s[0] = codes[below(g, g->n_fds > N_FDS_ENOUGH ? sizeof(codes) - 2 : sizeof(codes) - 1)];
        return 1;
}

static size_t make_string(struct generator *g, char *s) {
        static const uint32_t ranges[][2] = {
                { 0x1, 0x7F }, { 0x20, 0x7E }, { 0x20, 0x7E }, { 0x80, 0x7FF }, { 0x800, 0xD7FF },
                { 0xE000, 0xFDCF }, { 0x10000, 0x1FFFD }, { 0x100000, 0x10FFFD },
        };
        size_t n = 0;

        for (unsigned i = below(g, 24); i > 0; i--) {
                const uint32_t *range = ranges[below(g, ELEMENTSOF(ranges))];
                uint32_t c = range[0] + below(g, range[1] - range[0] + 1);

                if (c < 0x80)
                        s[n++] = (char) c;
                else if (c < 0x800)
                        s[n++] = (char) (0xC0 | c >> 6);
                else if (c < 0x10000) {
                        s[n++] = (char) (0xE0 | c >> 12);
                        s[n++] = (char) (0x80 | (c >> 6 & 0x3F));
                } else {
                        s[n++] = (char) (0xF0 | c >> 18);
                        s[n++] = (char) (0x80 | (c >> 12 & 0x3F));
                        s[n++] = (char) (0x80 | (c >> 6 & 0x3F));
                }
                if (c >= 0x80)
                        s[n++] = (char) (0x80 | (c & 0x3F));
        }
        s[n] = 0;
        return n;
}

static void make_path(struct generator *g, char *s) {
        static const char alphabet[] = "abcxyzABCXYZ0189_";
        unsigned elements = below(g, 4);
        size_t n = 0;

        for (unsigned i = 0; i < elements; i++) {
                s[n++] = '/';
                for (unsigned j = 1 + below(g, 6); j > 0; j--)
                        s[n++] = alphabet[below(g, sizeof(alphabet) - 1)];
        }
        if (n == 0)
                s[n++] = '/';
        s[n] = 0;
}

static void check_string(struct generator *g, char type, const char *expected) {
        const char *s = NULL;

        assert_int_equal(arbiter_message_read_basic(g->ours, type, &s), 1);
        assert_string_equal(s, expected);
}

static void visit_string(struct generator *g, char type) {
        char s[256];
        unsigned n = below(g, 4);
        size_t length = 0;

        if (type == 's')
                (void) make_string(g, s);
        else if (type == 'o')
                make_path(g, s);
        else {
                for (unsigned i = 0; i < n; i++)
                        length += make_type(g, s + length, 60, 0, false);
                s[length] = 0;
        }
        if (!g->bus) {
                check_string(g, type, s);
                return;
        }
        assert_ok(sd_bus_message_append_basic(g->bus, type, s));
        assert_ok(arbiter_message_append_basic(g->ours, type, s));
}

static void visit_basic(struct generator *g, char type) {
        uint64_t value, read = 0;
        int i;

        g->n_values++;
        if (type == 's' || type == 'o' || type == 'g') {
                visit_string(g, type);
                return;
        }
        value = next(g);
        if (type == 'b')
                value %= 2;
        if (type == 'h') {
                i = null_fd;
                memcpy(&value, &i, sizeof(i));
                g->n_fds++;
        }
        if (g->bus) {
                assert_ok(sd_bus_message_append_basic(g->bus, type, &value));
                assert_ok(arbiter_message_append_basic(g->ours, type, &value));
                return;
        }
        assert_int_equal(arbiter_message_read_basic(g->ours, type, &read), 1);
        if (type == 'h') {
                memcpy(&i, &read, sizeof(i));
                assert_true(fcntl(i, F_GETFD) >= 0);
        } else
                assert_memory_equal(&read, &value, signature_type_size(type));
}

static void open_container(struct generator *g, char type, const char *contents) {
        char peeked = 0;
        const char *s = NULL;

        if (g->bus) {
                assert_ok(sd_bus_message_open_container(g->bus, type, contents));
                assert_ok(arbiter_message_open_container(g->ours, type, contents));
                return;
        }
        assert_int_equal(arbiter_message_peek_type(g->ours, &peeked, &s), 1);
        assert_int_equal(peeked, type);
        assert_string_equal(s, contents);
        assert_int_equal(arbiter_message_enter_container(g->ours, type, contents), 1);
}

static void close_container(struct generator *g) {
        if (g->bus) {
                assert_ok(sd_bus_message_close_container(g->bus));
                assert_ok(arbiter_message_close_container(g->ours));
                return;
        }
        assert_int_equal(arbiter_message_at_end(g->ours, false), 1);
        assert_int_equal(arbiter_message_exit_container(g->ours), 1);
}

static void visit(struct generator *g, const char *signature);

static void visit_trivial_array(struct generator *g, char type) {
        uint64_t values[64];
        size_t size = below(g, 64) * signature_type_size(type), read_size = 0;
        const void *p = NULL;

        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                values[i] = next(g);
        if (g->bus) {
                assert_ok(sd_bus_message_append_array(g->bus, type, values, size));
                assert_ok(arbiter_message_append_array(g->ours, type, values, size));
                return;
        }
        assert_int_equal(arbiter_message_read_array(g->ours, type, &p, &read_size), 1);
        assert_int_equal(read_size, size);
        if (size > 0)
                assert_memory_equal(p, values, size);
}

static void visit_container(struct generator *g, const char *type, size_t length) {
        char contents[SIGNATURE_MAX + 1] = {};
        unsigned n = 1;
        char code = *type == '(' ? 'r' : *type == '{' ? 'e' : *type;

        if (code == 'a') {
                memcpy(contents, type + 1, length - 1);
                if (length == 2 && signature_type_is_trivial(type[1]) && below(g, 2)) {
                        visit_trivial_array(g, type[1]);
                        return;
                }
                n = g->n_values > N_VALUES_MAX ? 0 : below(g, 5);
        } else if (code == 'v')
                (void)make_type(g, contents, 80, g->depth > 40 ? DEPTH_MAX : MIN(g->depth, DEPTH_MAX - 2),
                                false);
        else
                memcpy(contents, type + 1, length - 2);

        g->depth++;
        open_container(g, code, contents);
        for (unsigned i = 0; i < n && (code != 'a' || g->n_fds <= N_FDS_ENOUGH); i++)
                visit(g, contents);
        close_container(g);
        g->depth--;
}

static void visit(struct generator *g, const char *signature) {
        size_t length;

        for (const char *s = signature; *s; s += length) {
                length = *s == '{' ? strlen(s) : 0; /* the contents of an array of dict entries */
                if (length == 0)
                        assert_ok(signature_element_length(s, &length));
                if (signature_type_is_basic(*s))
                        visit_basic(g, *s);
                else
                        visit_container(g, s, length);
        }
}

struct wire {
        int fd;
        sd_bus *bus;
};

static void receive_line(int fd, const char *end) {
        char buffer[512] = {};
        size_t n = 0;

        while (!memmem(buffer, n, end, strlen(end))) {
                ssize_t l = recv(fd, buffer + n, sizeof(buffer) - 1 - n, 0);

                assert_true(l > 0);
                n += (size_t) l;
        }
}

/* sd-bus as the client; the other end of the socket is ours and plays the server of the authentication. */
static void wire_open(struct wire *w) {
        static const char answer[] = "DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n";
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        w->fd = fds[1];
        assert_ok(sd_bus_new(&w->bus));
        assert_ok(sd_bus_set_fd(w->bus, fds[0], fds[0]));
        assert_ok(sd_bus_negotiate_fds(w->bus, true));
        assert_ok(sd_bus_start(w->bus));
        receive_line(w->fd, "BEGIN\r\n");
        assert_ok(write_all(w->fd, answer, strlen(answer)));
        while (sd_bus_is_ready(w->bus) == 0)
                assert_ok(sd_bus_process(w->bus, NULL));
        assert_int_equal(sd_bus_is_ready(w->bus), 1);
}

static void wire_close(struct wire *w) {
        sd_bus_close(w->bus);
        sd_bus_unref(w->bus);
        close_fd(w->fd);
}

struct received {
        uint64_t bytes[WIRE_MAX / 8];
        uint64_t body[WIRE_MAX / 8];
        size_t body_size;
        int fds[FRAME_FDS_MAX];
        unsigned n_fds;
};

static void receive_some(int fd, struct received *r, size_t *n, size_t want) {
        union {
                struct cmsghdr header;
                uint8_t space[CMSG_SPACE(sizeof(int) * FRAME_FDS_MAX)];
        } control;
        struct iovec iov = { (uint8_t *) r->bytes + *n, want - *n };
        struct msghdr h = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        ssize_t l = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);

        assert_true(l > 0);
        assert_int_equal(h.msg_flags & MSG_CTRUNC, 0);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                assert_int_equal(c->cmsg_type, SCM_RIGHTS);
                assert_true(r->n_fds + count <= FRAME_FDS_MAX);
                memcpy(r->fds + r->n_fds, CMSG_DATA(c), count * sizeof(int));
                r->n_fds += (unsigned) count;
        }
        *n += (size_t) l;
}

/* D-Bus Specification, "Message Format": sizes at offsets 4 (body) and 12 (header fields), then the
 * fields, padded. */
static void receive_message(int fd, struct received *r) {
        size_t n = 0, header;
        uint32_t sizes[4];

        r->n_fds = 0;
        while (n < 16)
                receive_some(fd, r, &n, 16);
        memcpy(sizes, r->bytes, sizeof(sizes));
        assert_int_equal(*(const uint8_t *) r->bytes, 'l');
        header = 16 + ALIGN_TO(sizes[3], 8);
        r->body_size = sizes[1];
        assert_true(header + r->body_size <= sizeof(r->bytes));
        while (n < header + r->body_size)
                receive_some(fd, r, &n, header + r->body_size);
        memcpy(r->body, (uint8_t *) r->bytes + header, r->body_size);
}

static void read_back(
                const struct received *r, const char *signature, struct generator g, arbiter_message *ours) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL, *copy = NULL;
        struct envelope e = {
                .kind = ENVELOPE_CAST,
                .command = "",
                .signature = signature,
                .signature_length = (uint8_t) strlen(signature),
                .body_size = (uint32_t) r->body_size,
                .n_fds = (uint8_t) r->n_fds,
        };

        assert_ok(message_from_frame(&e, (const uint8_t *) r->body, r->fds, &m));
        g.ours = m;
        g.bus = NULL;
        visit(&g, signature);
        assert_int_equal(arbiter_message_at_end(m, true), 1);

        assert_ok(arbiter_message_rewind(m, true));
        assert_ok(arbiter_message_new(&copy));
        assert_ok(arbiter_message_append_message(copy, m));
        assert_ok(message_seal(copy));
        assert_int_equal(copy->envelope.body_size, ours->envelope.body_size);
        assert_memory_equal(copy->body, ours->body, ours->envelope.body_size);
}

/* Sends the one, seals the other: the same? */
static bool same_on_the_wire(
                struct wire *w, struct received *r, sd_bus_message *bus, arbiter_message *ours) {
        assert_ok(message_seal(ours));
        assert_ok(sd_bus_send(w->bus, bus, NULL));
        assert_ok(sd_bus_flush(w->bus));
        receive_message(w->fd, r);
        return streq(arbiter_message_get_signature(ours), sd_bus_message_get_signature(bus, true)) &&
                        ours->envelope.n_fds == r->n_fds && ours->envelope.body_size == r->body_size &&
                        memcmp(ours->body, r->body, r->body_size) == 0;
}

static void compare_one(struct wire *w, struct received *r, unsigned i) {
        struct generator g = { .random = seed ^ i }, start;
        char signature[SIGNATURE_MAX + 1] = {};
        size_t length = 0;

        g.random = next(&g); /* or the messages would be shifted copies of each other */
        for (unsigned n = below(&g, 7); n > 0; n--)
                length += make_type(&g, signature + length, 36, 0, false);
        start = g;
        assert_ok(sd_bus_message_new_signal(w->bus, &g.bus, "/x", "x.y", "Z"));
        assert_ok(arbiter_message_new(&g.ours));
        visit(&g, signature);
        if (!same_on_the_wire(w, r, g.bus, g.ours))
                fail_msg("message %u of seed %llu, '%s', differs", i, (unsigned long long) seed, signature);
        read_back(r, signature, start, g.ours);
        arbiter_message_unref(g.ours);
        sd_bus_message_unref(g.bus);
}

static void setup_wire(struct wire *w, struct received **ret) {
        struct received *r = malloc(sizeof(*r));

        assert_non_null(r);
        assert_ok(null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC));
        wire_open(w);
        *ret = r;
}

static void teardown_wire(struct wire *w, struct received *r) {
        wire_close(w);
        close_fd(null_fd);
        free(r);
}

static void test_generated(void **state) {
        struct received *r;
        struct wire w;

        setup_wire(&w, &r);
        for (unsigned i = 0; i < N_MESSAGES; i++)
                compare_one(&w, r, i);
        teardown_wire(&w, r);
}

/* The same call of the two functions that take everything at once. */
#define COMPARE_APPEND(w, r, signature, ...)                                                                \
        do {                                                                                                \
                sd_bus_message *_bus = NULL;                                                                \
                arbiter_message *_ours = NULL;                                                              \
                                                                                                            \
                assert_ok(sd_bus_message_new_signal((w)->bus, &_bus, "/x", "x.y", "Z"));                    \
                assert_ok(arbiter_message_new(&_ours));                                                     \
                assert_ok(sd_bus_message_append(_bus, signature, __VA_ARGS__));                             \
                assert_ok(arbiter_message_append(_ours, signature, __VA_ARGS__));                           \
                if (!same_on_the_wire(w, r, _bus, _ours))                                                   \
                        fail_msg("'%s' differs", signature);                                                \
                close_many((r)->fds, (r)->n_fds);                                                           \
                arbiter_message_unref(_ours);                                                               \
                sd_bus_message_unref(_bus);                                                                 \
        } while (0)

static void test_append(void **state) {
        struct received *r;
        struct wire w;

        setup_wire(&w, &r);
        COMPARE_APPEND(&w, r, "ybnqiuxtdsog", 255, 7, -2, 65535, INT32_MIN, UINT32_MAX, INT64_MIN,
                        UINT64_MAX, 0.1, "é", "/a/b", "a{sv}");
        COMPARE_APPEND(&w, r, "sgb", NULL, NULL, -1);
        COMPARE_APPEND(&w, r, "asay", 3, "a", "", "ccc", 2, 1, 2);
        COMPARE_APPEND(&w, r, "yatya(yx)ya{yv}yaad", 1, 0, 2, 0, 3, 0, 4, 0);
        COMPARE_APPEND(&w, r, "a{sv}", 3, "one", "u", 1u, "two", "(sx)", "x", INT64_C(9), "three", "a{sv}",
                        1, "in", "v", "y", 7);
        COMPARE_APPEND(&w, r, "(y(x(s)))a(a{yas}b)", 1, INT64_C(2), "s", 2, 1, 9, 2, "p", "q", 1, 0, 0);
        COMPARE_APPEND(&w, r, "vvv", "v", "v", "s", "deep", "ah", 2, null_fd, null_fd, "d", 1e300);
        COMPARE_APPEND(&w, r, "yh(hu)", 1, null_fd, null_fd, 5u);
        teardown_wire(&w, r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_append),
                cmocka_unit_test(test_generated),
        };
        const char *replay = getenv("ARBITER_TEST_SEED");

        if (replay)
                seed = strtoull(replay, NULL, 0);
        else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
                return 1;
        printf("ARBITER_TEST_SEED=%llu\n", (unsigned long long) seed);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
