/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/wire/message*.c: messages as wholes: descriptors, bodies beside them, what they own, want of memory,
 * and what they say of themselves. */

#include "test-message-util.h"

static int open_fds(void) {
        int n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void test_fds(void **state) {
        arbiter_message *m = new_message(), *received = NULL, *copy = new_message();
        int before = open_fds(), a, b, fds[2];

        assert_ok(arbiter_message_append(m, "hah", STDIN_FILENO, 1u, STDOUT_FILENO));
        assert_int_equal(open_fds(), before + 2);
        assert_errno(arbiter_message_append(m, "hh", STDIN_FILENO, -1), EBADF);
        assert_int_equal(open_fds(), before + 2);
        check_body(m, "hah", "\0\0\0\0\4\0\0\0\1\0\0\0", 12);
        assert_int_equal(fcntl(m->fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);

        fds[0] = fd_duplicate(m->fds[0]);
        fds[1] = fd_duplicate(m->fds[1]);
        assert_ok(message_from_frame(&m->envelope, m->body, fds, &received));
        assert_int_equal(arbiter_message_read(received, "hah", &a, 1u, &b), 1);
        assert_int_equal(a, fds[0]);
        assert_int_equal(b, fds[1]);

        assert_int_equal(arbiter_message_rewind(received, true), 0);
        assert_int_equal(arbiter_message_skip(received, "h"), 1);
        assert_ok(arbiter_message_append_message(copy, received));
        check_body(copy, "ah", "\4\0\0\0\0\0\0\0", 8);
        assert_int_equal(copy->envelope.n_fds, 1);
        arbiter_message_unref(received);
        arbiter_message_unref(m);
        arbiter_message_unref(copy);
        assert_int_equal(open_fds(), before);

        /* taken over also on error */
        assert_errno(from_body("h", "\2\0\0\0", 4, 2, &m), EBADMSG);
        assert_int_equal(open_fds(), before);
        assert_ok(from_body("h", "\1\0\0\0", 4, 2, &m));
        arbiter_message_unref(m);
        assert_int_equal(open_fds(), before);

        m = new_message();
        for (unsigned i = 0; i < MESSAGE_FDS_MAX; i++)
                assert_ok(arbiter_message_append(m, "h", STDIN_FILENO));
        assert_errno(arbiter_message_append(m, "h", STDIN_FILENO), E2BIG);
        arbiter_message_unref(m);
        assert_int_equal(open_fds(), before);
}

/* An array of bytes that would be valid in 70000 bytes, in size of them. */
static int memfd(size_t size, int seals) {
        const uint32_t length = 70000 - sizeof(uint32_t);
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_ok(fd);
        assert_ok(write_all(fd, &length, sizeof(length)));
        assert_int_equal(ftruncate(fd, (off_t) size), 0);
        if (seals != 0)
                assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static void test_memfd_body(void **state) {
        const size_t size = 100000;
        _cleanup_free_ void *data = malloc(size);
        arbiter_message *m = new_message(), *received = NULL;
        struct envelope e;
        int before = open_fds(), fds[2], fd;
        const void *p;
        size_t n;

        assert_non_null(data);
        memset(data, 0x5A, size);
        assert_ok(arbiter_message_append(m, "h", STDIN_FILENO));
        assert_ok(arbiter_message_append_array(m, 'y', data, size));
        assert_errno(message_body_to_memfd(m), EPERM);
        assert_ok(message_seal(m));
        assert_ok(fds[1] = message_body_to_memfd(m));
        assert_ok(fds[0] = fd_duplicate(m->fds[0]));
        e = m->envelope;
        e.flags |= ENVELOPE_MEMFD;
        e.n_fds++;
        assert_ok(message_from_frame(&e, NULL, fds, &received));
        assert_int_equal(received->envelope.n_fds, 1);
        assert_int_equal(received->envelope.flags, 0);
        assert_ok(message_own(received));
        assert_int_equal(arbiter_message_read(received, "h", &fd), 1);
        assert_int_equal(fd, fds[0]);
        assert_int_equal(arbiter_message_read_array(received, 'y', &p, &n), 1);
        assert_int_equal(n, size);
        assert_memory_equal(p, data, size);
        arbiter_message_unref(received);
        arbiter_message_unref(m);
        assert_int_equal(open_fds(), before);
}

static void test_memfd_refused(void **state) {
        const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        const struct {
                size_t size;
                int seals;
        } bad[] = {
                { 70000, 0 },
                { 70000, F_SEAL_SHRINK | F_SEAL_GROW },
                { 70000, F_SEAL_SHRINK | F_SEAL_WRITE },
                { 70000, F_SEAL_GROW | F_SEAL_WRITE },
                { 70000, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE },
                { 69999, seals },
                { 70001, seals },
                { 0, seals },
        };
        struct envelope e = {
                .kind = ENVELOPE_CAST,
                .flags = ENVELOPE_MEMFD,
                .n_fds = 1,
                .body_size = 70000,
                .command = "",
                .signature = "ay",
                .signature_length = 2,
        };
        arbiter_message *m = NULL;
        int before = open_fds(), fd;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                fd = memfd(bad[i].size, bad[i].seals);
                assert_errno(message_from_frame(&e, NULL, &fd, &m), EBADMSG);
        }
        fd = memfd(70000, seals);
        assert_ok(message_from_frame(&e, NULL, &fd, &m));
        m = arbiter_message_unref(m);
        e.signature = "as"; /* sealed as it must be, but its body is another one */
        fd = memfd(70000, seals);
        assert_errno(message_from_frame(&e, NULL, &fd, &m), EBADMSG);
        assert_ok(fd = open("/dev/null", O_RDONLY | O_CLOEXEC));
        assert_errno(message_from_frame(&e, NULL, &fd, &m), EBADMSG);
        e.n_fds = 0; /* fewer than claimed */
        assert_errno(message_from_frame(&e, NULL, NULL, &m), EBADMSG);
        assert_null(m);
        assert_int_equal(open_fds(), before);
}

static void test_own(void **state) {
        char command[256], signature[] = "a(us)", chain[] = "aaaaaaaabbbbbbbb";
        arbiter_message *built = new_message(), *m = NULL;
        struct envelope e;
        uint8_t *body;
        const char *s;
        uint32_t u;

        memset(command, 'c', 255);
        command[255] = 0;
        assert_ok(arbiter_message_append(built, "a(us)", 2u, 1u, "one", 2u, "two"));
        assert_ok(message_seal(built));
        for (unsigned length = 0; length <= 255; length += 51) {
                e = built->envelope;
                e.command = command + 255 - length;
                e.command_length = (uint8_t) length;
                e.signature = signature;
                e.chain = (const uint8_t *) chain;
                e.n_chain = 2;
                body = malloc(e.body_size);
                assert_non_null(body);
                memcpy(body, built->body, e.body_size);
                assert_ok(message_from_frame(&e, body, NULL, &m));
                assert_ptr_equal(m->body, body);
                assert_int_equal(arbiter_message_enter_container(m, 'a', NULL), 1);
                assert_int_equal(arbiter_message_read(m, "(us)", &u, &s), 1);
                assert_ok(message_own(m));
                assert_ok(message_own(m));
                memset(body, 0xff, e.body_size);
                free(body);
                memset(signature, 'y', 5);
                memset(chain, 'z', 16);
                assert_int_equal(arbiter_message_read(m, "(us)", &u, &s), 1); /* the cursor survived */
                assert_int_equal(u, 2);
                assert_string_equal(s, "two");
                assert_string_equal(arbiter_message_get_command(m), command + 255 - length);
                assert_string_equal(arbiter_message_get_signature(m), "a(us)");
                assert_memory_equal(m->envelope.chain, "aaaaaaaabbbbbbbb", 16);
                arbiter_message_unref(m);
                strcpy(signature, "a(us)");
                strcpy(chain, "aaaaaaaabbbbbbbb");
        }
        arbiter_message_unref(built);
}

static void test_append_message(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *a = new_message(), *b = new_message(),
                                                          *c = new_message();
        uint32_t u;

        assert_ok(arbiter_message_append(
                        a, "ua{yv}sa(yx)", 1u, 1u, 9, "(sg)", "in", "as", "text", 1u, 1, INT64_C(5)));
        assert_errno(arbiter_message_append_message(b, a), EPERM);
        assert_ok(message_seal(a));
        assert_ok(arbiter_message_append_message(b, a));
        assert_int_equal(arbiter_message_at_end(a, true), 1);
        check_body(b, "ua{yv}sa(yx)", a->body, a->envelope.body_size);

        /* the rest only, at another alignment */
        assert_int_equal(arbiter_message_rewind(a, true), 0);
        assert_int_equal(arbiter_message_read(a, "u", &u), 1);
        assert_ok(arbiter_message_append(c, "y", 1));
        assert_ok(arbiter_message_append_message(c, a));
        assert_ok(message_seal(c));
        assert_string_equal(arbiter_message_get_signature(c), "ya{yv}sa(yx)");
        assert_errno(arbiter_message_append_message(c, a), EPERM);
        {
                _cleanup_(arbiter_message_unrefp) arbiter_message *d = new_message(), *e = new_message();

                assert_ok(arbiter_message_append(
                                d, "ya{yv}sa(yx)", 1, 1u, 9, "(sg)", "in", "as", "text", 1u, 1, INT64_C(5)));
                check_body(d, "ya{yv}sa(yx)", c->body, c->envelope.body_size);

                /* into a container that wants something else: nothing happens, on neither side */
                assert_int_equal(arbiter_message_rewind(a, true), 0);
                assert_ok(arbiter_message_open_container(e, 'r', "uy"));
                assert_errno(arbiter_message_append_message(e, a), ENXIO);
                assert_int_equal(e->envelope.body_size, 0);
                assert_int_equal(arbiter_message_read(a, "u", &u), 1);
                assert_ok(arbiter_message_append(e, "uy", 1u, 1));
                assert_ok(arbiter_message_close_container(e));
                assert_ok(message_seal(e));
        }
}

static void test_growth(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        const void *p;
        const char *s;
        size_t size;
        uint32_t u;

        assert_ok(arbiter_message_open_container(m, 'v', "a(su)"));
        assert_ok(arbiter_message_open_container(m, 'a', "(su)"));
        for (unsigned i = 0; i < 20000; i++)
                assert_ok(arbiter_message_append(m, "(su)", i % 2 ? "odd" : "even number", i));
        assert_ok(arbiter_message_close_container(m));
        assert_ok(arbiter_message_close_container(m));
        assert_ok(message_seal(m));
        assert_ok(arbiter_message_get_body(m, &p, &size));
        assert_true(size > BODY_INLINE_MAX);
        assert_int_equal(arbiter_message_enter_container(m, 'v', "a(su)"), 1);
        assert_int_equal(arbiter_message_enter_container(m, 'a', "(su)"), 1);
        for (unsigned i = 0; i < 20000; i++) {
                assert_int_equal(arbiter_message_read(m, "(su)", &s, &u), 1);
                assert_string_equal(s, i % 2 ? "odd" : "even number");
                assert_int_equal(u, i);
        }
        assert_int_equal(arbiter_message_read(m, "(su)", &s, &u), 0);
}

/* Something of everything that allocates. */
static int allocate_much(const char *text) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL, *received = NULL;
        struct envelope e;
        int r, fds[1];

        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        r = arbiter_message_append(m, "ashs", 1u, "short", STDIN_FILENO, text);
        if (r < 0) {
                check_unchanged(m, "", 0, 0);
                return r;
        }
        r = arbiter_message_open_container(m, 'v', "y");
        if (r < 0) {
                assert_string_equal(arbiter_message_get_signature(m), "ashs");
                return r;
        }
        assert_ok(arbiter_message_append(m, "y", 1));
        assert_ok(arbiter_message_close_container(m));
        assert_ok(message_seal(m));
        r = message_set_command(m, text);
        if (r < 0) {
                assert_string_equal(arbiter_message_get_command(m), "");
                return r;
        }

        e = m->envelope;
        e.n_chain = 1;
        e.chain = (const uint8_t *) "abcdefgh";
        assert_ok(fds[0] = fd_duplicate(STDIN_FILENO));
        r = message_from_frame(&e, m->body, fds, &received);
        if (r < 0)
                return r;
        r = arbiter_message_enter_container(received, 'a', "s");
        if (r < 0) {
                assert_int_equal(arbiter_message_skip(received, "ashsv"), 1); /* the cursor did not move */
                return r;
        }
        r = message_own(received);
        if (r < 0)
                assert_ptr_equal(received->body, m->body);
        return r;
}

static void test_no_memory(void **state) {
        int before = open_fds(), r = -ENOMEM;
        char text[256] = {};
        unsigned n = 0;

        memset(text, 't', 250);
        while (r == -ENOMEM) {
                fail_allocation = ++n;
                r = allocate_much(text);
                assert_int_equal(open_fds(), before);
        }
        fail_allocation = 0;
        assert_ok(r);
        assert_true(n > 8); /* so many could fail */
}

static void test_only_building_or_reading(void **state) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = new_message();
        const char *contents;
        const void *p;
        uint32_t u = 1;
        size_t size;
        char type;

        assert_errno(arbiter_message_read_basic(m, 'u', &u), EPERM);
        assert_errno(arbiter_message_read_array(m, 'u', &p, &size), EPERM);
        assert_errno(arbiter_message_enter_container(m, 'a', "u"), EPERM);
        assert_errno(arbiter_message_exit_container(m), EPERM);
        assert_errno(arbiter_message_peek_type(m, &type, &contents), EPERM);
        assert_errno(arbiter_message_skip(m, NULL), EPERM);
        assert_errno(arbiter_message_rewind(m, true), EPERM);
        assert_errno(arbiter_message_at_end(m, true), EPERM);
        assert_errno(arbiter_message_get_body(m, &p, &size), EPERM);
        assert_ok(message_seal(m));
        assert_errno(arbiter_message_read_basic(m, 'a', &u), EINVAL);
        assert_errno(arbiter_message_read(m, "v", "uu", &u, &u), EINVAL);
        assert_int_equal(arbiter_message_read_array(m, 'u', &p, &size), 0);
        assert_errno(arbiter_message_append_basic(m, 'u', &u), EPERM);
        assert_errno(arbiter_message_append_array(m, 'u', &u, 4), EPERM);
        assert_errno(arbiter_message_open_container(m, 'a', "u"), EPERM);
        assert_errno(arbiter_message_close_container(m), EPERM);
        assert_errno(arbiter_message_append_message(m, m), EPERM);
}

static void count_free(arbiter_message *m) {
        (*(unsigned *) m->context)++;
}

static void test_envelope_accessors(void **state) {
        arbiter_message *m = new_message();
        char longest[257];
        unsigned n = 0;

        assert_string_equal(arbiter_message_get_command(m), "");
        assert_string_equal(arbiter_message_get_signature(m), "");
        assert_true(arbiter_message_get_deadline(m) == UINT64_MAX);
        assert_false(arbiter_message_expects_reply(m));
        assert_int_equal(arbiter_message_get_outcome(m), ARBITER_OUTCOME_REPLY);
        assert_null(arbiter_message_get_error_name(m));
        assert_null(arbiter_message_get_error_text(m));
        m->envelope.kind = ENVELOPE_REQUEST;
        assert_true(arbiter_message_expects_reply(m));

        memset(longest, 'q', 256);
        longest[256] = 0;
        assert_ok(message_set_command(m, "ping"));
        assert_errno(message_set_command(m, "a b"), EINVAL);
        assert_errno(message_set_command(m, longest), EINVAL);
        assert_string_equal(arbiter_message_get_command(m), "ping");
        assert_ok(message_set_command(m, longest + 1));
        assert_string_equal(arbiter_message_get_command(m), longest + 1);
        assert_int_equal(m->envelope.command_length, 255);
        assert_ok(message_set_command(m, "pong"));
        assert_string_equal(arbiter_message_get_command(m), "pong");

        m->context = &n;
        m->context_free = count_free;
        assert_ptr_equal(arbiter_message_ref(m), m);
        assert_null(arbiter_message_unref(m));
        assert_int_equal(n, 0);
        assert_null(arbiter_message_unref(m));
        assert_int_equal(n, 1);
        assert_null(arbiter_message_unref(NULL));
        assert_null(arbiter_message_ref(NULL));
}

static void test_errors(void **state) {
        arbiter_message *m = NULL;

        assert_ok(message_new_error(ARBITER_OUTCOME_NOPROC, NULL, "gone", &m));
        assert_int_equal(m->envelope.kind, ENVELOPE_ERROR);
        assert_int_equal(arbiter_message_get_outcome(m), ARBITER_OUTCOME_NOPROC);
        assert_string_equal(arbiter_message_get_error_name(m), "io.arbiter.Arbiter1.Error.NoProc");
        assert_string_equal(arbiter_message_get_error_text(m), "gone");
        assert_errno(arbiter_message_append(m, "y", 1), EPERM);
        m = arbiter_message_unref(m);

        assert_ok(message_new_error(ARBITER_OUTCOME_APPLICATION_ERROR, "org.example.Mine", NULL, &m));
        assert_string_equal(arbiter_message_get_error_name(m), "org.example.Mine");
        assert_null(arbiter_message_get_error_text(m));
        m = arbiter_message_unref(m);

        assert_errno(message_new_error(ARBITER_OUTCOME_REPLY, "a", "b", &m), EINVAL);
        assert_errno(message_new_error((arbiter_outcome) 99, "a", "b", &m), EINVAL);
        assert_errno(message_new_error(ARBITER_OUTCOME_DENIED, "a b", "b", &m), EINVAL);
        assert_errno(message_new_error(ARBITER_OUTCOME_DENIED, NULL, "\xff", &m), EINVAL);
        assert_null(m);
}

static void test_outcomes(void **state) {
        for (unsigned i = 0; i <= ARBITER_OUTCOME_BREAKER_OPEN; i++) {
                arbiter_outcome o = (arbiter_outcome) i;

                assert_non_null(arbiter_outcome_to_string(o));
                assert_int_equal(outcome_to_error_name(o) == NULL, o == ARBITER_OUTCOME_REPLY);
                assert_int_equal(arbiter_outcome_to_errno(o) == 0, o == ARBITER_OUTCOME_REPLY);
                assert_int_equal(arbiter_outcome_executed(o), i < 2    ? ARBITER_EXECUTED_YES
                                                              : i < 10 || i == 15 ? ARBITER_EXECUTED_NO
                                                                       : ARBITER_EXECUTED_MAYBE);
        }
        assert_string_equal(arbiter_outcome_to_string(ARBITER_OUTCOME_CALLEE_DIED), "callee-died");
        assert_int_equal(arbiter_outcome_to_errno(ARBITER_OUTCOME_CALLEE_DIED), -EOWNERDEAD);
        assert_null(arbiter_outcome_to_string((arbiter_outcome) 16));
        assert_null(arbiter_outcome_to_string((arbiter_outcome) -1));
        assert_int_equal(arbiter_outcome_executed((arbiter_outcome) 16), ARBITER_EXECUTED_MAYBE);
        assert_true(arbiter_outcome_to_errno((arbiter_outcome) 16) < 0);
}

static void test_reasons(void **state) {
        arbiter_reason r = ARBITER_REASON_OOM_KILL;

        for (unsigned i = 0; i <= ARBITER_REASON_UNHEALTHY; i++) {
                assert_ok(arbiter_reason_from_string(arbiter_reason_to_string((arbiter_reason) i), &r));
                assert_int_equal(r, i);
        }
        r = ARBITER_REASON_OOM_KILL;
        assert_errno(arbiter_reason_from_string("", &r), EINVAL);
        assert_errno(arbiter_reason_from_string("Normal", &r), EINVAL);
        assert_int_equal(r, ARBITER_REASON_OOM_KILL);
        assert_null(arbiter_reason_to_string((arbiter_reason) (ARBITER_REASON_UNHEALTHY + 1)));
        assert_true(arbiter_reason_is_normal(ARBITER_REASON_NORMAL, 1));
        assert_true(arbiter_reason_is_normal(ARBITER_REASON_SHUTDOWN, 0));
        assert_true(arbiter_reason_is_normal(ARBITER_REASON_EXIT_CODE, 0));
        assert_false(arbiter_reason_is_normal(ARBITER_REASON_EXIT_CODE, 1));
        assert_false(arbiter_reason_is_normal(ARBITER_REASON_SIGNAL, 0));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fds),
                cmocka_unit_test(test_memfd_body),
                cmocka_unit_test(test_memfd_refused),
                cmocka_unit_test(test_own),
                cmocka_unit_test(test_append_message),
                cmocka_unit_test(test_growth),
                cmocka_unit_test(test_no_memory),
                cmocka_unit_test(test_only_building_or_reading),
                cmocka_unit_test(test_envelope_accessors),
                cmocka_unit_test(test_errors),
                cmocka_unit_test(test_outcomes),
                cmocka_unit_test(test_reasons),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
