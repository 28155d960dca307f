/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One end of a link between two actors in hostile hands: it costs itself that link, and nobody else
 * anything. */

#include "state-check.h"
#include "test-hostile-util.h"

/* The worker's side. */

static void connect_to(struct raw *control, const char *target, struct raw *ret,
                struct link_page **ret_page, unsigned *ret_side) {
        const char *id, *name;
        uint32_t generation;
        uint64_t link_id;
        uint8_t side, policy;
        int socket_fd, page_fd;
        arbiter_message *m;

        raw_send(control, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "connect", raw_message("s", target));
        m = raw_signal(control, "peer");
        EXPECT(m);
        EXPECT(arbiter_message_read(m, "ssutyyhh", &id, &name, &generation, &link_id, &side, &policy,
                        &socket_fd, &page_fd) > 0);
        memset(ret, 0, offsetof(struct raw, buffer));
        ret->n = 0;
        ret->stream = true;
        ret->fd = dup(socket_fd);
        EXPECT(link_page_map(page_fd, ret_page) >= 0);
        *ret_side = side;
        arbiter_message_unref(m);
}

static bool is_closed(struct raw *r) {
        struct raw_frame f;

        while (raw_receive(r, &f, 5000) > 0)
                arbiter_message_unref(f.message);
        return send(r->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
}

static uint64_t square(struct raw *r, int64_t n) {
        return raw_send(r, ENVELOPE_REQUEST, 0, "square", raw_message("x", n));
}

static void expect_square(struct raw *r, uint64_t id, int64_t n) {
        arbiter_message *m = NULL;
        int64_t result;

        EXPECT(raw_answer(r, id, &m) == ARBITER_OUTCOME_REPLY);
        EXPECT(arbiter_message_read(m, "x", &result) > 0 && result == n * n);
        arbiter_message_unref(m);
}

static void grant(struct link_page *page, unsigned side, uint64_t messages, uint64_t bytes) {
        atomic_store(&page->side[side].granted_bytes, bytes);
        atomic_store(&page->side[side].granted_messages, messages);
}

/* Things that end the link. */
static void worker_breaks(struct raw *control, const char *mode) {
        static struct raw link;
        struct link_page *page;
        unsigned side;
        uint8_t b[1024] __attribute__((aligned(8))) = {};
        struct envelope e = { .kind = ENVELOPE_REQUEST, .deadline = UINT64_MAX, .command = "square",
                        .id = 1 };
        size_t n;

        connect_to(control, "good", &link, &page, &side);
        grant(page, side, 100, 1 << 20);
        expect_square(&link, square(&link, 12), 12);

        if (strcmp(mode, "peer") == 0)
                raw_send(&link, ENVELOPE_SIGNAL, ENVELOPE_SYSTEM, "peer", raw_message("ssutyyhh",
                                "aaaaaaaa", "evil", 1U, (uint64_t) 1, 0, 0, 0, 0));
        else if (strcmp(mode, "down") == 0 || strcmp(mode, "exit") == 0)
                raw_send(&link, ENVELOPE_SIGNAL, ENVELOPE_SYSTEM, mode, raw_message("ssuui", "aaaaaaaa",
                                "good", 1U, 2U, 0));
        else if (strcmp(mode, "lane") == 0)
                raw_send(&link, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "square", raw_message("x", (int64_t) 3));
        else if (strcmp(mode, "garbage") == 0) {
                memset(b, 0x5a, sizeof(b));
                (void) raw_write(link.fd, b, sizeof(b), NULL, 0);
        } else if (strcmp(mode, "length") == 0) {
                n = raw_encode(&link, &e, NULL, b);
                memcpy(b, &(uint32_t){ 0xfffffff8 }, 4);
                (void) raw_write(link.fd, b, n, NULL, 0);
        } else if (strcmp(mode, "sequence") == 0) {
                e.sequence = 77;
                n = raw_encode(&link, &e, NULL, b);
                (void) raw_write(link.fd, b, n, NULL, 0);
        } else if (strcmp(mode, "fds") == 0) {
                n = raw_encode(&link, &e, NULL, b);
                for (unsigned i = 0; i < 3; i++)
                        (void) raw_write(link.fd, b, n, (int[]){ 0, 1, 2 }, 3);
        } else if (strcmp(mode, "body") == 0) {
                arbiter_message *m = raw_message("s", "0123456789");

                m->body[0] = 0xff;
                raw_send(&link, ENVELOPE_REQUEST, 0, "square", m);
        } else if (strcmp(mode, "credit") == 0) { /* more than was granted, whatever the page says */
                raw_send(&link, ENVELOPE_REQUEST, 0, "exclusive", raw_message(""));
                atomic_store(&page->side[!side].granted_messages, UINT64_MAX);
                atomic_store(&page->side[!side].granted_bytes, UINT64_MAX);
                for (unsigned i = 0; i < 20000; i++) {
                        struct envelope c = { .kind = ENVELOPE_CAST, .deadline = UINT64_MAX,
                                        .command = "count" };

                        if (raw_send_envelope(&link, &c, NULL) < 0)
                                break;
                }
        } else
                EXPECT(!"a known mode");
        EXPECT(is_closed(&link));
        EXPECT(raw_call(control, "ping", raw_message("")) == 0); /* the arbiter has nothing to do with it */
        _exit(0);
}

static void lie_pending(struct raw *link) {
        /* Promises without end: an overload at last, and the link lives. */
        unsigned n = 0;
        struct raw_frame f;

        while (n < 100000) {
                struct pollfd p = { .fd = link->fd, .events = POLLIN };

                raw_send(link, ENVELOPE_REQUEST, 0, "promise", raw_message(""));
                n++;
                if (n % 8 == 0 && poll(&p, 1, 2) > 0)
                        break;
        }
        EXPECT(raw_receive(link, &f, 5000) > 0);
        if (f.e.kind == ENVELOPE_SIGNAL) { /* credit: not this time */
                arbiter_message_unref(f.message);
                EXPECT(raw_receive(link, &f, 5000) > 0);
        }
        EXPECT(f.e.outcome == ARBITER_OUTCOME_OVERLOAD);
        EXPECT(n >= 1024);
}

static void lie_fds(struct raw *link) {
        /* Descriptors that wait behind a command that does not end. */
        int fds[62];
        uint64_t last = 0;

        raw_send(link, ENVELOPE_REQUEST, 0, "exclusive", raw_message(""));
        for (unsigned i = 0; i < 8; i++) {
                arbiter_message *m = NULL;

                EXPECT(arbiter_message_new(&m) >= 0);
                for (unsigned k = 0; k < ELEMENTSOF(fds); k++)
                        EXPECT(arbiter_message_append(m, "h", 0) >= 0);
                EXPECT(message_seal(m) >= 0);
                last = raw_send(link, ENVELOPE_REQUEST, 0, "square", m);
        }
        EXPECT(raw_answer(link, last, NULL) == ARBITER_OUTCOME_OVERLOAD);
}

/* Things that harm only itself. */
static void worker_lies(struct raw *control, const char *mode) {
        static struct raw link;
        struct link_page *page;
        unsigned side;

        connect_to(control, "good", &link, &page, &side);
        grant(page, side, 100, 1 << 20);
        expect_square(&link, square(&link, 2), 2);
        if (strcmp(mode, "page") == 0) {
                for (unsigned i = 0; i < 2000; i++) {
                        uint64_t v = i % 3 == 0 ? UINT64_MAX : i % 3 == 1 ? 0 : (uint64_t) i << 33;

                        for (unsigned s = 0; s < 2; s++) { /* its own side and the other's */
                                atomic_store(&page->side[s].begun[i % 2], v);
                                atomic_store(&page->side[s].granted_messages, v);
                                atomic_store(&page->side[s].granted_bytes, v);
                                atomic_store(&page->side[s].starved, i);
                        }
                        expect_square(&link, square(&link, i), i);
                }
        } else if (strcmp(mode, "signals") == 0) {
                static const char *const names[] = { "fin-ack", "fin-refused", "credit", "delegated",
                                "fin-refused" };

                for (unsigned i = 0; i < 500; i++) {
                        raw_send(&link, ENVELOPE_SIGNAL, i % 5 == 2 ? ENVELOPE_SYSTEM : 0, names[i % 5],
                                        i % 5 == 3 ? raw_message("ts", (uint64_t) i,
                                                        "aaaaaaaa") : raw_message(""));
                        raw_send(&link, ENVELOPE_SIGNAL, 0, "delegated", raw_message("x", (int64_t) -1));
                }
                expect_square(&link, square(&link, 9), 9);
        } else if (strcmp(mode, "forged") == 0) {
                for (uint64_t i = 0; i < 1000; i++) {
                        struct envelope e = { .kind = i % 2 ? ENVELOPE_REPLY : ENVELOPE_CANCEL,
                                        .deadline = UINT64_MAX, .command = "",
                                              .id = i < 500 ? i + 1 : i * UINT64_C(0x100000001) };

                        EXPECT(raw_send_envelope(&link, &e, NULL) >= 0);
                }
                EXPECT(raw_answer(&link, raw_send(&link, ENVELOPE_REQUEST, 0, "stop", raw_message("")),
                                NULL) == 0);
                EXPECT(raw_answer(&link, raw_send(&link, ENVELOPE_REQUEST, 0, "trace", raw_message("b", 1)),
                                NULL) == ARBITER_OUTCOME_DENIED);
                EXPECT(raw_answer(&link, raw_send(&link, ENVELOPE_REQUEST, 0, "config", raw_message("ssv",
                                "set", "a", "s", "b")), NULL) ==
                                ARBITER_OUTCOME_DENIED);
                EXPECT(raw_answer(&link, raw_send(&link, ENVELOPE_REQUEST, 0, "for_arbiter",
                                raw_message("")), NULL) ==
                                ARBITER_OUTCOME_DENIED);
                expect_square(&link, square(&link, 9), 9);
        } else if (strcmp(mode, "fin") == 0) {
                arbiter_message *m;

                /* "fin", and then it goes on as if nothing had been said. */
                raw_send(&link, ENVELOPE_SIGNAL, 0, "fin", raw_message(""));
                m = raw_signal(&link, "fin-ack");
                EXPECT(m);
                arbiter_message_unref(m);
        } else if (strcmp(mode, "half") == 0) {
                uint8_t b[1024] __attribute__((aligned(8)));
                struct envelope e = { .kind = ENVELOPE_REQUEST, .deadline = UINT64_MAX, .command = "square",
                                .id = 77 };
                size_t n = raw_encode(&link, &e, NULL, b);

                (void) raw_write(link.fd, b, n / 2, NULL, 0);
                EXPECT(raw_call(control, "ping", raw_message("")) == 0);
        } else if (strcmp(mode, "pending") == 0)
                lie_pending(&link);
        else if (strcmp(mode, "fds") == 0)
                lie_fds(&link);
        else
                EXPECT(!"a known mode");
        /* It closes by ending, with a half-written frame or without. */
        _exit(0);
}

static int worker_main(const char *mode, const char *argument) {
        static struct raw control;

        raw_open(&control);
        raw_handshake(&control);
        if (strcmp(mode, "breaks") == 0)
                worker_breaks(&control, argument);
        worker_lies(&control, argument);
        return 2;
}

/* The other actors. */

static int on_square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_message_reply(m, "x", n * n);
}

/* Promises that are not kept before the end. */
static arbiter_message *kept[20000];
static size_t n_kept;

static int on_keep(arbiter_actor *a, arbiter_message *m, void *userdata) {
        if (n_kept < ELEMENTSOF(kept))
                kept[n_kept++] = arbiter_message_ref(m);
        return 0;
}

static void on_exit_hook(arbiter_actor *a, void *userdata) {
        while (n_kept > 0)
                arbiter_message_unref(kept[--n_kept]);
}

static int on_nothing(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return 0;
}

/* From one actor to another, so that its links are tried and not the arbiter's. */
static void on_asked(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        int64_t n = 0;

        if (arbiter_future_get(f, "x", &n) > 0)
                (void) arbiter_message_reply(m, "x", n);
        else
                (void) arbiter_message_reply_errno(m, -EIO);
        arbiter_message_unref(m);
}

static int on_ask(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_future *f;
        const char *target;
        int r;

        r = arbiter_message_read(m, "s", &target);
        if (r < 0)
                return r;
        r = arbiter_call_async(a, &f, target, "square", 0, "x", (int64_t) 11);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_asked, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", on_square, 0),
        ARBITER_COMMAND("promise", "", "", "x", "result", on_keep, 0),
        ARBITER_COMMAND("exclusive", "", "", "x", "result", on_keep, ARBITER_COMMAND_EXCLUSIVE),
        ARBITER_COMMAND("count", "", "", "", "", on_nothing, 0),
        ARBITER_COMMAND("for_arbiter", "", "", "", "", on_nothing, ARBITER_COMMAND_ARBITER_ONLY),
        ARBITER_COMMAND("ask", "s", "target", "x", "result", on_ask, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module good = { ARBITER_MODULE_HEAD, .name = "good", .commands = commands,
                .exit = on_exit_hook };

static arbiter *the;

static void expect_asked(const char *who, const char *whom) {
        arbiter_message *m;
        int64_t n;
        int r = arbiter_call(arbiter_get_actor(the), &m, who, "ask", 10 * 1000 * 1000, "s", whom);

        if (r < 0)
                fail_msg("%s cannot ask %s: %s", who, whom, strerror(-r));
        assert_true(arbiter_message_read(m, "x", &n) > 0);
        assert_int_equal(n, 121);
        arbiter_message_unref(m);
}

static void attack(arbiter_concurrency concurrency, const char *mode, const char *argument) {
        arbiter_spawn *s;
        arbiter_future *f;
        arbiter_proxy *p;
        struct death d = {};
        unsigned fds;

        alarm(60);
        assert_ok(arbiter_new(NULL, NULL, &the));
        state_check_turns(the);
        assert_ok(arbiter_start(the));
        start_good(the, "good", &good, concurrency);
        start_good(the, "other", &good, ARBITER_CONCURRENCY_PROCESS);
        expect_asked("other", "good");
        fds = count_fds();

        s = new_worker(the, "hostile", mode, argument);
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        wait_future(f);
        assert_ok(arbiter_future_get_proxy(f, &p));
        assert_ok(arbiter_actor_watch(arbiter_get_actor(the), p, on_death, &d, NULL));
        arbiter_proxy_unref(p);
        arbiter_future_unref(f);
        run_until(the, &d.n, 1);
        if (d.reason != ARBITER_REASON_NORMAL)
                fail_msg("%s %s: %s %d", mode, argument, arbiter_reason_to_string(d.reason), d.status);

        expect_asked("other", "good");
        expect_asked("good", "other");
        assert_answers(the, "good");
        run_until_fds(the, fds);
        stop_arbiter(the);
        assert_no_children();
        alarm(0);
}

static void test_breaks(void **state) {
        static const char *const modes[] = { "peer", "down", "exit", "lane", "garbage", "length",
                        "sequence", "fds", "body", "credit" };

        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                attack((arbiter_concurrency) (intptr_t) *state, "breaks", modes[i]);
}

static void test_lies(void **state) {
        static const char *const modes[] = { "page", "signals", "forged", "fin", "half", "pending", "fds" };

        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                attack((arbiter_concurrency) (intptr_t) *state, "lies", modes[i]);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_prestate(test_breaks, (void *) ARBITER_CONCURRENCY_PROCESS),
                cmocka_unit_test_prestate(test_lies, (void *) ARBITER_CONCURRENCY_PROCESS),
                cmocka_unit_test_prestate(test_breaks, (void *) ARBITER_CONCURRENCY_INLINE),
                cmocka_unit_test_prestate(test_lies, (void *) ARBITER_CONCURRENCY_INLINE),
        };

        if (argc > 2 && strcmp(argv[1], "worker") == 0)
                return worker_main(argv[2], argc > 3 ? argv[3] : "");
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
