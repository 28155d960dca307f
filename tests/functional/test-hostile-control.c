/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers that break the rules of the control link. Each is ended alone, with the right reason; the
 * arbiter neither crashes nor keeps anything of it, and serves the others meanwhile. */

#include "arbiter/control.h"
#include "state-check.h"
#include "test-hostile-util.h"

/* The worker's side. */

static void worker_live_on(void) {
        (void) signal(SIGTERM, SIG_DFL);
        for (;;)
                pause();
}

static void send_garbage(struct raw *r, const char *mode) {
        uint8_t b[512] __attribute__((aligned(8))) = {};
        struct envelope e = { .kind = ENVELOPE_CAST, .flags = ENVELOPE_SYSTEM, .deadline = UINT64_MAX,
                        .command = "notify" };
        int fds[2] = { 0, 0 };
        size_t n;

        if (strcmp(mode, "garbage") == 0) {
                memset(b, 0xa5, sizeof(b));
                (void) raw_write(r->fd, b, sizeof(b), NULL, 0);
        } else if (strcmp(mode, "short") == 0)
                (void) raw_write(r->fd, b, 1, NULL, 0);
        else if (strcmp(mode, "truncated") == 0) {
                n = raw_encode(r, &e, NULL, b);
                (void) raw_write(r->fd, b, n - 8, NULL, 0);
        } else if (strcmp(mode, "length") == 0) {
                n = raw_encode(r, &e, NULL, b);
                memcpy(b, &(uint32_t){ 0xfffffff8 }, 4);
                (void) raw_write(r->fd, b, n, NULL, 0);
        } else if (strcmp(mode, "surplus-fds") == 0) {
                n = raw_encode(r, &e, NULL, b);
                (void) raw_write(r->fd, b, n, fds, 2);
        } else if (strcmp(mode, "missing-fds") == 0) {
                e.n_fds = 2;
                n = raw_encode(r, &e, NULL, b);
                (void) raw_write(r->fd, b, n, NULL, 0);
        } else if (strcmp(mode, "sequence") == 0) {
                e.sequence = r->sequence[1] + 2;
                n = raw_encode(r, &e, NULL, b);
                (void) raw_write(r->fd, b, n, NULL, 0);
        } else if (strcmp(mode,
                        "body") == 0) { /* what the signature does not allow: a string that ends nowhere */
                arbiter_message *m = raw_message("su", "0123456789", 7U);

                m->body[0] = 0xff;
                raw_send(r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "watch", m);
        } else if (strcmp(mode, "large") == 0 || strcmp(mode, "large-user") == 0) {
                /* A body that would take long to look at. As lanes are the sender's word, in both. */
                arbiter_message *m = NULL;
                int memfd = -1;
                char *s = malloc(4 * 1024 * 1024);

                EXPECT(s);
                memset(s, 'x', 4 * 1024 * 1024 - 1);
                s[4 * 1024 * 1024 - 1] = 0;
                m = raw_message("s", s);
                memfd = message_body_to_memfd(m);
                EXPECT(memfd >= 0);
                e.command = "connect";
                e.kind = ENVELOPE_REQUEST;
                e.id = 1;
                e.flags = (strcmp(mode, "large") == 0 ? ENVELOPE_SYSTEM : 0) | ENVELOPE_MEMFD;
                e.n_fds = 1;
                e.signature = "s";
                e.signature_length = 1;
                e.command_length = 7;
                e.body_size = m->envelope.body_size;
                e.sequence = ++r->sequence[e.flags & ENVELOPE_SYSTEM ? 1 : 0];
                envelope_encode(&e, b);
                (void) raw_write(r->fd, b, envelope_frame_size(&e), &memfd, 1);
        } else
                EXPECT(!"a known mode");
}

static const char *const malformed[] = { "garbage", "short", "truncated", "length", "surplus-fds",
                "missing-fds", "sequence",
                                         "body", "large", "large-user" };

/* A table of commands whose description alone is 4 MiB. */
static void send_large_hello(struct raw *r) {
        arbiter_message *m = NULL;
        struct envelope e = { .kind = ENVELOPE_REQUEST, .flags = ENVELOPE_MEMFD, .deadline = UINT64_MAX,
                        .command = "hello", .command_length = 5, .n_fds = 1, .id = 1 };
        uint8_t b[512] __attribute__((aligned(8))) = {};
        char *s = malloc(4 * 1024 * 1024);
        int memfd;

        EXPECT(s);
        memset(s, 'x', 4 * 1024 * 1024 - 1);
        s[4 * 1024 * 1024 - 1] = 0;
        m = raw_message("usua(ssssst)", 1U, "", 1U, 1U, "good", "", s, "", "", (uint64_t) 0);
        memfd = message_body_to_memfd(m);
        EXPECT(memfd >= 0);
        e.signature = m->envelope.signature;
        e.signature_length = m->envelope.signature_length;
        e.body_size = m->envelope.body_size;
        e.sequence = ++r->sequence[0];
        envelope_encode(&e, b);
        (void) raw_write(r->fd, b, envelope_frame_size(&e), &memfd, 1);
}

static void worker_before(struct raw *r, const char *mode) {
        if (strcmp(mode, "speaks-first") == 0)
                raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "notify", raw_message("ytt", 3, (uint64_t) 0,
                                (uint64_t) 0));
        else if (strcmp(mode, "calls-first") == 0)
                raw_send(r, ENVELOPE_REQUEST, 0, "ping", raw_message(""));
        else if (strcmp(mode, "version") == 0)
                raw_send(r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "hello", raw_hello_message(99, ""));
        else if (strcmp(mode, "token") == 0)
                raw_send(r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "hello", raw_hello_message(1,
                                "0123456789abcdef"));
        else if (strcmp(mode, "table") == 0)
                raw_send(r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "hello",
                                raw_message("usua(ssssst)", 1U, "", 1U, 1U, "evil\033[2J", "", "", "", "",
                                                (uint64_t) 0));
        else if (strcmp(mode, "table-signature") == 0)
                raw_send(r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "hello",
                                raw_message("usua(ssssst)", 1U, "", 1U, 1U, "good", "a{", "", "", "",
                                                (uint64_t) 0));
        else if (strcmp(mode, "table-large") == 0)
                send_large_hello(r);
        else if (strcmp(mode, "hello-signature") == 0)
                EXPECT(raw_call(r, "hello", raw_message("su", "hello",
                                1U)) == ARBITER_OUTCOME_BAD_ARGUMENTS);
        else if (strcmp(mode, "fails") == 0)
                raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "failed", raw_message("is", -5,
                                "\033[2Jno\nway"));
        else if (strcmp(mode, "silent-eof") == 0)
                (void) shutdown(r->fd, SHUT_RDWR);
        else if (strcmp(mode, "mute") != 0)
                send_garbage(r, mode);
        worker_live_on();
}

static void worker_after(struct raw *r, const char *mode) {
        raw_handshake(r);
        if (strcmp(mode, "peer") == 0)
                raw_send(r, ENVELOPE_SIGNAL, ENVELOPE_SYSTEM, "peer", raw_message("ssutyyhh", "aaaaaaaa",
                                "evil", 1U, (uint64_t) 1, 0, 0, 0, 0));
        else if (strcmp(mode, "down") == 0 || strcmp(mode, "exit") == 0)
                raw_send(r, ENVELOPE_SIGNAL, ENVELOPE_SYSTEM, mode, raw_message("ssuui", "aaaaaaaa", "good",
                                1U, 0U, 0));
        else if (strcmp(mode, "lane") == 0) /* a user's command in the system lane, past the mailbox */
                raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "echo", raw_message("v", "s", "x"));
        else if (strcmp(mode, "eof") == 0)
                (void) shutdown(r->fd, SHUT_RDWR);
        else if (strcmp(mode, "stops-for-ever") == 0)
                raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "notify", raw_message("ytt", 4, (uint64_t) 0,
                                (uint64_t) 0));
        else if (strcmp(mode, "silence") != 0)
                send_garbage(r, mode);
        worker_live_on();
}

/* Whatever is asked with arguments that make no sense, it is answered so, and the link stays. */
static void worker_nonsense(struct raw *r) {
        static const char *const commands[] = { "hello", "notify", "connect", "disconnect", "watch",
                        "unwatch", "link", "unlink",
                                                "spawn", "kill_actor", "list", "failed", "closed",
                                                                "exiting" };
        static const char *const names[] = { "", ".", "..", "/", "no such actor", "\n", "good.", "good.99",
                        "*", "????????",
                                             "zzzzzzzz", "arbiterx", "9", "web.999999999999" };
        char *longname = malloc(60000);

        raw_handshake(r);
        EXPECT(raw_call(r, "hello", raw_hello_message(1,
                        "")) == ARBITER_OUTCOME_APPLICATION_ERROR); /* a second time */
        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                EXPECT(raw_call(r, commands[i], raw_message("d", 1.0)) == ARBITER_OUTCOME_BAD_ARGUMENTS);
                EXPECT(raw_call(r, commands[i], raw_message("a{sv}", 1U, "x", "as", 2U, "y",
                                "z")) == ARBITER_OUTCOME_BAD_ARGUMENTS);
        }
        EXPECT(raw_call(r, "no_such_command", raw_message("")) == ARBITER_OUTCOME_UNKNOWN_COMMAND);
        EXPECT(longname);
        memset(longname, 'x', 59999);
        longname[59999] = 0;
        for (size_t i = 0; i <= ELEMENTSOF(names); i++) {
                const char *s = i < ELEMENTSOF(names) ? names[i] : longname;
                int o;

                EXPECT(raw_call(r, "connect", raw_message("s", s)) == ARBITER_OUTCOME_NOPROC);
                EXPECT(raw_call(r, "kill_actor", raw_message("s", s)) == ARBITER_OUTCOME_NOPROC);
                EXPECT(raw_call(r, "spawn", raw_message("sssas", s, "x", "abcdefgh",
                                0U)) == ARBITER_OUTCOME_DENIED);
                o = raw_call(r, "spawn", raw_message("sssas", "definition", *s ? s : ".", "abcdefgh", 0U));
                EXPECT(o == ARBITER_OUTCOME_APPLICATION_ERROR || o == ARBITER_OUTCOME_BAD_ARGUMENTS ||
                                /* the aid is not free */
                                (o == 0 && strcmp(s, "zzzzzzzz") == 0));
                o = raw_call(r, "watch", raw_message("su", s, 1U));
                EXPECT(o == ARBITER_OUTCOME_APPLICATION_ERROR || (o == 0 &&
                                strlen(s) == 8)); /* an aid: then DOWN, noproc */
                o = raw_call(r, "unlink", raw_message("su", s, 1U));
                EXPECT(o == ARBITER_OUTCOME_APPLICATION_ERROR || (o == 0 && strlen(s) == 8));
                EXPECT(raw_call(r, "spawn", raw_message("sssas", "definition", "fine", s, 0U)) != 0 ||
                                strlen(s) == 8);
        }
        EXPECT(raw_call(r, "spawn", raw_message("sssas", "definition", "p1", "pppppppp", 1U,
                        "no equals")) == ARBITER_OUTCOME_APPLICATION_ERROR);
        EXPECT(raw_call(r, "spawn", raw_message("sssas", "definition", "arbiter", "pppppppp",
                        0U)) == ARBITER_OUTCOME_APPLICATION_ERROR);
        EXPECT(raw_call(r, "spawn", raw_message("sssas", "definition", "pool", "pppppppp",
                        0U)) == ARBITER_OUTCOME_APPLICATION_ERROR);
        EXPECT(raw_call(r, "disconnect", raw_message("t", (uint64_t) 12345)) == 0);
        EXPECT(raw_call(r, "exiting", raw_message("u", 4711U)) == 0);
        EXPECT(raw_call(r, "ping", raw_message("")) == 0);
        _exit(0);
}

/* Answers to what it was never asked, names that are not its own. */
static void worker_forged(struct raw *r, const char *good) {
        struct envelope e;

        raw_handshake(r);
        for (uint64_t i = 0; i < 2000; i++) {
                e = (struct envelope){ .kind = ENVELOPE_REPLY, .flags = i % 2 ? ENVELOPE_SYSTEM : 0,
                                .deadline = UINT64_MAX, .command = "",
                                       .id = i < 1000 ? i + 1 : i * UINT64_C(0x100000001) };
                EXPECT(raw_send_envelope(r, &e, NULL) >= 0);
                e = (struct envelope){ .kind = ENVELOPE_CANCEL, .flags = ENVELOPE_SYSTEM,
                                .deadline = UINT64_MAX, .command = "",
                                       .id = i + 1 };
                EXPECT(raw_send_envelope(r, &e, NULL) >= 0);
        }
        /* In another one's name, to another one: it stays its own request, and all that it gains is to
         * miss the answer. */
        for (unsigned i = 0; i < 3; i++) {
                arbiter_message *m = i == 0 ? raw_message("") : raw_message("s", "good");

                e = (struct envelope){ .kind = ENVELOPE_REQUEST, .flags = ENVELOPE_SYSTEM,
                                .deadline = UINT64_MAX,
                                       .command = i == 0 ? "ping" : "kill_actor", .id = ++r->last_id,
                                                       .sender_generation = 1 };
                memcpy(e.sender.c, i == 2 ? "arbiter" : good, 8);
                memcpy(e.target.c, good, 8);
                EXPECT(raw_send_envelope(r, &e, m) >= 0);
                arbiter_message_unref(m);
        }
        EXPECT(raw_call(r, "kill_actor", raw_message("s", "good")) == ARBITER_OUTCOME_DENIED);
        EXPECT(raw_call(r, "ping", raw_message("")) == 0);
        _exit(0);
}

/* The arbiter takes no orders. */
static void worker_orders(struct raw *r) {
        static const char *const denied_kill[] = { "good", "pool", "pool.1" };

        raw_handshake(r);
        (void) raw_call(r, "stop", raw_message("")); /* it has no answer but an empty one */
        raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "stop", raw_message(""));
        EXPECT(raw_call(r, "config", raw_message("ssv", "set", "thread_workers", "u",
                        1U)) == ARBITER_OUTCOME_DENIED);
        EXPECT(raw_call(r, "config", raw_message("ssv", "set", "key", "s",
                        "value")) == ARBITER_OUTCOME_DENIED);
        EXPECT(raw_call(r, "trace", raw_message("b", 1)) == ARBITER_OUTCOME_DENIED);
        for (size_t i = 0; i < ELEMENTSOF(denied_kill); i++)
                EXPECT(raw_call(r, "kill_actor", raw_message("s",
                                denied_kill[i])) == ARBITER_OUTCOME_DENIED);
        EXPECT(raw_call(r, "ping", raw_message("")) == 0);
        _exit(0);
}

/* Asks and asks, and reads nothing. */
static void worker_never_reads(struct raw *r, const char *command) {
        unsigned n = UNDER_SANITIZER ? 30000 : 150000;

        raw_handshake(r);
        for (unsigned i = 0; i < n; i++) {
                arbiter_message *m = strcmp(command, "connect") == 0 ? raw_message("s", "good") :
                                strcmp(command, "watch") == 0        ? raw_message("su", "zzzzzzzz", 0U) :
                                                                       raw_message("");
                struct envelope e = { .kind = ENVELOPE_REQUEST, .flags = ENVELOPE_SYSTEM,
                                .deadline = UINT64_MAX, .command = command,
                                      .id = ++r->last_id };
                int q = raw_send_envelope(r, &e, m);

                arbiter_message_unref(m);
                if (q < 0)
                        _exit(3);
                if (strcmp(command, "connect") == 0)
                        raw_send(r, ENVELOPE_CAST, ENVELOPE_SYSTEM, "disconnect", raw_message("t",
                                        (uint64_t) i + 1));
        }
        worker_live_on();
}

/* Connects to one that never shakes hands wait there: so many, and no more. */
static void worker_parks(struct raw *r) {
        struct raw_frame f;

        raw_handshake(r);
        for (unsigned i = 0; i < 3000; i++)
                raw_send(r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "connect", raw_message("s", "mute"));
        for (unsigned i = 0; i < 3000 - 1024; i++) {
                EXPECT(raw_receive(r, &f, 20000) > 0);
                EXPECT(f.e.kind == ENVELOPE_ERROR && f.e.outcome == ARBITER_OUTCOME_OVERLOAD);
                arbiter_message_unref(f.message);
        }
        _exit(0);
}

static void worker_spawns(struct raw *r) {
        unsigned n_ok = 0, n_overload = 0, n = 0;
        struct raw_frame f;

        raw_handshake(r);
        for (unsigned i = 0; i < 600; i++) {
                char id[16], name[16];

                (void) snprintf(id, sizeof(id), "q%07u", i);
                (void) snprintf(name, sizeof(name), "q%u", i);
                raw_send(r, ENVELOPE_REQUEST, ENVELOPE_SYSTEM, "spawn", raw_message("sssas", "definition",
                                name, id, 0U));
        }
        while (n < 600 && raw_receive(r, &f, 30000) > 0) {
                if (f.e.kind == ENVELOPE_REPLY || f.e.kind == ENVELOPE_ERROR) {
                        n++;
                        n_ok += f.e.kind == ENVELOPE_REPLY;
                        n_overload += f.e.outcome == ARBITER_OUTCOME_OVERLOAD;
                }
                arbiter_message_unref(f.message);
        }
        EXPECT(n == 600 && n_ok >= 256 && n_overload > 0 && n_ok + n_overload == 600);
        /* Tokens come back. */
        for (unsigned i = 0; i < 100; i++) {
                if (raw_call(r, "spawn", raw_message("sssas", "definition", "again", "rrrrrrrr", 0U)) == 0)
                        _exit(0);
                usleep(10 * 1000);
        }
        _exit(9);
}

static int worker_main(const char *mode, const char *argument) {
        static struct raw r;

        raw_open(&r);
        if (strcmp(mode, "before") == 0)
                worker_before(&r, argument);
        else if (strcmp(mode, "after") == 0)
                worker_after(&r, argument);
        else if (strcmp(mode, "nonsense") == 0)
                worker_nonsense(&r);
        else if (strcmp(mode, "forged") == 0)
                worker_forged(&r, argument);
        else if (strcmp(mode, "orders") == 0)
                worker_orders(&r);
        else if (strcmp(mode, "never-reads") == 0)
                worker_never_reads(&r, argument);
        else if (strcmp(mode, "parks") == 0)
                worker_parks(&r);
        else if (strcmp(mode, "spawns") == 0)
                worker_spawns(&r);
        return 2;
}

/* The arbiter's side. */

static int on_square(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int64_t n;
        int r = arbiter_message_read(m, "x", &n);

        return r < 0 ? r : arbiter_message_reply(m, "x", n * n);
}

static const arbiter_command good_commands[] = {
        ARBITER_COMMAND("square", "x", "n", "x", "result", on_square, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module good = { ARBITER_MODULE_HEAD, .name = "good", .commands = good_commands };

static arbiter *the;
static unsigned base_fds;

static int set_up(void **state) {
        arbiter_spawn *s;
        arbiter_monitor *m;
        arbiter_future *f;

        alarm(240);
        assert_ok(arbiter_new(NULL, NULL, &the));
        state_check_turns(the);
        assert_ok(arbiter_start(the));
        start_good(the, "good", &good, ARBITER_CONCURRENCY_PROCESS);
        start_good(the, "thread", &good, ARBITER_CONCURRENCY_THREAD);
        assert_ok(arbiter_spawn_new(the, "definition", &s));
        assert_ok(arbiter_spawn_set_module(s, &good));
        assert_ok(arbiter_spawn_set_concurrency(s, ARBITER_CONCURRENCY_INLINE));
        assert_ok(arbiter_add_definition(the, s));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_spawn_new(the, "worker", &s));
        assert_ok(arbiter_spawn_set_module(s, &good));
        assert_ok(arbiter_monitor_new(the, "pool", s, NULL, &m));
        arbiter_spawn_unref(s);
        assert_ok(arbiter_monitor_start(m, 1, &f));
        wait_future(f);
        arbiter_future_unref(f);
        arbiter_monitor_unref(m);
        base_fds = count_fds();
        return 0;
}

static int tear_down(void **state) {
        stop_arbiter(the);
        assert_no_children();
        alarm(0);
        return 0;
}

static void assert_unharmed(void) {
        assert_answers(the, "good");
        assert_answers(the, "thread");
        assert_answers(the, "pool.1");
        run_until_fds(the, base_fds);
        assert_answers(the, "good");
}

static void start_hostile(const char *mode, const char *argument, arbiter_future **ret) {
        arbiter_spawn *s = new_worker(the, "hostile", mode, argument);

        assert_ok(arbiter_spawn_set_timeouts(s, 1000 * 1000, 1500 * 1000, 1000 * 1000, 0));
        assert_ok(arbiter_spawn_start(s, ret));
        arbiter_spawn_unref(s);
}

static void expect_failed_start(const char *mode, arbiter_reason reason) {
        arbiter_future *f;

        start_hostile("before", mode, &f);
        wait_future(f);
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_CALLEE_DIED || arbiter_future_get_reason(f,
                        NULL) != reason)
                fail_msg("%s: %s, %s (%s), not %s", mode,
                                arbiter_outcome_to_string(arbiter_future_get_outcome(f)),
                                arbiter_reason_to_string(arbiter_future_get_reason(f, NULL)),
                                                arbiter_future_get_error_text(f),
                                arbiter_reason_to_string(reason));
        assert_null(strchr(arbiter_future_get_error_text(f), '\033'));
        arbiter_future_unref(f);
        assert_unharmed();
}

/* Runs it to its end. */
static struct death run_hostile(const char *mode, const char *argument, void (*meanwhile)(void)) {
        struct death d = {};
        arbiter_proxy *p;
        arbiter_future *f;

        start_hostile(mode, argument, &f);
        wait_future(f);
        if (arbiter_future_get_proxy(f, &p) < 0)
                fail_msg("%s %s: %s", mode, argument ? argument : "", arbiter_future_get_error_text(f));
        assert_ok(arbiter_actor_watch(arbiter_get_actor(the), p, on_death, &d, NULL));
        arbiter_proxy_unref(p);
        arbiter_future_unref(f);
        if (meanwhile)
                meanwhile();
        run_until(the, &d.n, 1);
        return d;
}

static void expect_death(const char *mode, const char *argument, arbiter_reason reason, int status) {
        struct death d = run_hostile(mode, argument, NULL);

        if (d.reason != reason || d.status != status)
                fail_msg("%s %s: %s %d, not %s %d", mode, argument ? argument : "",
                                arbiter_reason_to_string(d.reason), d.status,
                                arbiter_reason_to_string(reason), status);
        assert_unharmed();
}

static void test_before_handshake(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(malformed); i++)
                expect_failed_start(malformed[i], ARBITER_REASON_HANDSHAKE);
        expect_failed_start("speaks-first", ARBITER_REASON_HANDSHAKE);
        expect_failed_start("calls-first", ARBITER_REASON_HANDSHAKE);
        expect_failed_start("version", ARBITER_REASON_HANDSHAKE);
        expect_failed_start("token", ARBITER_REASON_HANDSHAKE);
        expect_failed_start("table", ARBITER_REASON_HANDSHAKE);
        expect_failed_start("table-signature", ARBITER_REASON_HANDSHAKE);
        expect_failed_start("table-large", ARBITER_REASON_HANDSHAKE);
        expect_failed_start("hello-signature", ARBITER_REASON_START_TIMEOUT);
        expect_failed_start("fails", ARBITER_REASON_HANDSHAKE);
        expect_failed_start("silent-eof", ARBITER_REASON_NO_CONNECTION);
        expect_failed_start("mute", ARBITER_REASON_START_TIMEOUT);
}

static void test_after_handshake(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(malformed); i++)
                expect_death("after", malformed[i], ARBITER_REASON_NO_CONNECTION, SIGTERM);
        expect_death("after", "peer", ARBITER_REASON_NO_CONNECTION, SIGTERM);
        expect_death("after", "down", ARBITER_REASON_NO_CONNECTION, SIGTERM);
        expect_death("after", "exit", ARBITER_REASON_NO_CONNECTION, SIGTERM);
        expect_death("after", "lane", ARBITER_REASON_NO_CONNECTION, SIGTERM);
        expect_death("after", "eof", ARBITER_REASON_NO_CONNECTION, SIGTERM);
        expect_death("after", "silence", ARBITER_REASON_SILENT, SIGTERM);
        expect_death("after", "stops-for-ever", ARBITER_REASON_STOP_TIMEOUT, SIGTERM);
}

static void remove_spawned(const char *const *names) {
        for (; *names; names++) {
                arbiter_message *m = NULL;

                /* They are inline and harmless; their spawner is gone. */
                assert_ok(arbiter_send(arbiter_get_actor(the), *names, "stop", ""));
                arbiter_message_unref(m);
        }
        run_for(the, 50 * 1000);
}

static void test_nonsense(void **state) {
        expect_death("nonsense", NULL, ARBITER_REASON_NORMAL, 0);
        remove_spawned((const char *const[]){ "zzzzzzzz", "fine", NULL });
}

static void test_forged(void **state) {
        arbiter_future *f = NULL;
        arbiter_message *m = NULL;
        const char *id = NULL;
        char copy[9] = "";

        assert_ok(arbiter_call(arbiter_get_actor(the), &m, "good", "info", 0, ""));
        arbiter_message_unref(m);
        f = start_module(the, "victim", &good, ARBITER_CONCURRENCY_PROCESS);
        wait_future(f);
        id = arbiter_future_get_aid(f);
        assert_non_null(id);
        memcpy(copy, id, 8);
        arbiter_future_unref(f);
        base_fds = count_fds();
        expect_death("forged", copy, ARBITER_REASON_NORMAL, 0);
        assert_answers(the, "victim");
}

static void test_orders(void **state) {
        expect_death("orders", NULL, ARBITER_REASON_NORMAL, 0);
        assert_int_equal(arbiter_actor_get_state(arbiter_get_actor(the)), ARBITER_STATE_RUNNING);
}

static void kill_hostile(void) {
        arbiter_message *m;
        arbiter_future *f;
        usec_t worst = 0, end = now_usec() + 2 * USEC_PER_SEC;
        int r;

        /* Everybody else is answered all the while. */
        while (now_usec() < end) {
                usec_t before = now_usec();
                int64_t n;

                assert_ok(arbiter_call(arbiter_get_actor(the), &m, "good", "square", 10 * 1000 * 1000, "x",
                                (int64_t) 7));
                assert_true(arbiter_message_read(m, "x", &n) > 0);
                assert_int_equal(n, 49);
                arbiter_message_unref(m);
                worst = MAX(worst, now_usec() - before);
                assert_true(count_fds() < base_fds + 600);
        }
        assert_true(worst < 5 * USEC_PER_SEC);
        /* The way that escalates: it may not hear a message. It may be gone already, for being silent. */
        r = control_stop(the, "hostile", &f);
        if (r >= 0)
                arbiter_future_unref(f);
        else
                assert_int_equal(r, -ESRCH);
}

static void test_never_reads(void **state) {
        static const char *const commands[] = { "list", "connect", "watch", "introspect" };

        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                struct mallinfo2 before = mallinfo2(), after;
                struct death d = run_hostile("never-reads", commands[i], kill_hostile);

                assert_true(d.reason == ARBITER_REASON_SHUTDOWN || d.reason == ARBITER_REASON_SILENT ||
                                d.reason == ARBITER_REASON_STOP_TIMEOUT);
                assert_unharmed();
                after = mallinfo2();
                assert_true(after.uordblks < before.uordblks + 4 * 1024 * 1024);
        }
}

static void test_parked(void **state) {
        arbiter_spawn *s = new_worker(the, "mute", "before", "mute");
        arbiter_future *f;
        struct death d;

        assert_ok(arbiter_spawn_set_timeouts(s, 0, 20 * 1000 * 1000, 100 * 1000, 0));
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        d = run_hostile("parks", NULL, NULL);
        assert_int_equal(d.reason, ARBITER_REASON_NORMAL);
        assert_answers(the, "good");
        arbiter_future_unref(f);
        /* It is still starting when the arbiter stops. */
}

static void test_spawn_quota(void **state) {
        struct death d = run_hostile("spawns", NULL, NULL);

        assert_int_equal(d.reason, ARBITER_REASON_NORMAL);
        assert_int_equal(d.status, 0);
        assert_answers(the, "good");
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_before_handshake, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_after_handshake, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_forged, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_orders, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_never_reads, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_parked, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_spawn_quota, set_up, tear_down),
        };

        if (argc > 2 && strcmp(argv[1], "worker") == 0)
                return worker_main(argv[2], argc > 3 ? argv[3] : "");
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
