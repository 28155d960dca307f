/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* src/wire/envelope.c: frames as documented, byte for byte, and nothing else. */

#include "test-util.h"

#include "wire/envelope.h"

#define BODY "12345"

static struct envelope sample(void) {
        return (struct envelope){
                .kind = ENVELOPE_REQUEST,
                .flags = ENVELOPE_SYSTEM,
                .n_fds = 2,
                .sequence = 0x1122334455667788,
                .id = 42,
                .deadline = UINT64_MAX,
                .sender = { "abcdefgh" },
                .target = { "01234567" },
                .sender_generation = 3,
                .target_generation = 4,
                .body_size = 5,
                .command = "ping.it",
                .command_length = 7,
                .signature = "a{sv}",
                .signature_length = 5,
                .n_chain = 2,
                .chain = (const uint8_t *) "aaaaaaaabbbbbbbb",
        };
}

static size_t encode(const struct envelope *e, uint8_t *buffer) {
        size_t size = envelope_frame_size(e);
        uint8_t *body;

        memset(buffer, 0xAA, size + 1);
        body = envelope_encode(e, buffer);
        if (!(e->flags & ENVELOPE_MEMFD))
                memcpy(body, BODY, MIN(e->body_size, strlen(BODY)));
        assert_int_equal(buffer[size], 0xAA);
        return size;
}

static void test_layout(void **state) {
        static const uint8_t expected[] = "\x68\0\0\0"
                                          "\1\1\1\2"
                                          "\x88\x77\x66\x55\x44\x33\x22\x11"
                                          "\x2a\0\0\0\0\0\0\0"
                                          "\xff\xff\xff\xff\xff\xff\xff\xff"
                                          "abcdefgh"
                                          "01234567"
                                          "\3\0\0\0"
                                          "\4\0\0\0"
                                          "\5\0\0\0"
                                          /* and the literal's NUL */
                                          "\7\5\2\0"
                                          "ping.it\0a{sv}\0aaaaaaaabbbbbbbb\0\0"
                                          "12345\0\0";
        struct envelope e = sample();
        uint64_t buffer[32];

        assert_int_equal(sizeof(expected), 104);
        assert_int_equal(encode(&e, (uint8_t *) buffer), sizeof(expected));
        assert_memory_equal(buffer, expected, sizeof(expected));
}

static void check_same(const struct envelope *a, const struct envelope *b) {
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->flags, b->flags);
        assert_int_equal(a->n_fds, b->n_fds);
        assert_int_equal(a->outcome, b->outcome);
        assert_true(a->sequence == b->sequence && a->id == b->id && a->deadline == b->deadline);
        assert_true(aid_equal(&a->sender, &b->sender) && aid_equal(&a->target, &b->target));
        assert_int_equal(a->sender_generation, b->sender_generation);
        assert_int_equal(a->target_generation, b->target_generation);
        assert_int_equal(a->body_size, b->body_size);
        assert_string_equal(a->command, b->command);
        assert_string_equal(a->signature, b->signature);
        assert_int_equal(a->command_length, b->command_length);
        assert_int_equal(a->signature_length, b->signature_length);
        assert_int_equal(a->n_chain, b->n_chain);
        if (a->n_chain > 0)
                assert_memory_equal(a->chain, b->chain, (size_t) a->n_chain * AID_SIZE);
}

static void test_round_trip(void **state) {
        static const char command[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
        static uint64_t buffer[FRAME_SIZE_MAX / 8 + 1];

        for (unsigned i = 0; i < 4096; i++) {
                struct envelope e = sample(), d;
                const uint8_t *body;
                size_t size;

                e.kind = (enum envelope_kind)(1 + i % 6);
                e.outcome = e.kind == ENVELOPE_ERROR ? (uint8_t)(1 + i % 14) : 0;
                e.flags = i % 2;
                e.n_chain = (uint8_t)(i % 3);
                e.body_size = i % 7 == 0 ? 0 : i % 6;
                e.command = command + sizeof(command) - 1 - i % 60;
                e.command_length = (uint8_t)(i % 60);
                e.signature = &"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"[32 - i % 33];
                e.signature_length = (uint8_t)(i % 33);
                size = encode(&e, (uint8_t *) buffer);
                assert_int_equal(envelope_decode((uint8_t *) buffer, size + 8, &d, &body), size);
                check_same(&e, &d);
                assert_memory_equal(body, BODY, e.body_size);
                assert_int_equal((uintptr_t) body % 8, 0);
        }
}

static void test_largest(void **state) {
        static uint64_t buffer[FRAME_SIZE_MAX / 8 + 1];
        static char command[256], signature[256];
        static uint8_t chain[CHAIN_MAX * AID_SIZE];
        struct envelope e = sample(), d;
        const uint8_t *body;
        size_t size;

        memset(command, 'c', 255);
        memset(signature, 'y', 255);
        memset(chain, 'z', sizeof(chain));
        e.command = command;
        e.signature = signature;
        e.chain = chain;
        e.command_length = e.signature_length = 255;
        e.n_chain = CHAIN_MAX;
        e.n_fds = FRAME_FDS_MAX;
        e.body_size = BODY_INLINE_MAX;
        size = envelope_frame_size(&e);
        assert_true(size <= FRAME_SIZE_MAX);
        memset(envelope_encode(&e, (uint8_t *) buffer), 0xBB, BODY_INLINE_MAX);
        assert_int_equal(envelope_decode((uint8_t *) buffer, size, &d, &body), size);
        check_same(&e, &d);
}

static void test_memfd(void **state) {
        struct envelope e = sample(), d;
        const uint8_t *body = (const uint8_t *) "";
        uint64_t buffer[32];
        size_t size;

        e.flags = ENVELOPE_MEMFD;
        e.body_size = BODY_SIZE_MAX;
        size = encode(&e, (uint8_t *) buffer);
        assert_int_equal(size, 96);
        assert_int_equal(envelope_decode((uint8_t *) buffer, size, &d, &body), size);
        assert_null(body);
        check_same(&e, &d);

        e.n_fds = 0;
        size = encode(&e, (uint8_t *) buffer);
        assert_errno(envelope_decode((uint8_t *) buffer, size, &d, &body), EBADMSG);
        e = sample();
        e.flags = ENVELOPE_MEMFD;
        e.body_size = 1; /* a small body may travel so, too; an empty one has no reason to */
        size = encode(&e, (uint8_t *) buffer);
        assert_int_equal(envelope_decode((uint8_t *) buffer, size, &d, &body), size);
        e.body_size = 0;
        size = encode(&e, (uint8_t *) buffer);
        assert_errno(envelope_decode((uint8_t *) buffer, size, &d, &body), EBADMSG);
        e.body_size = BODY_SIZE_MAX + 1;
        size = encode(&e, (uint8_t *) buffer);
        assert_errno(envelope_decode((uint8_t *) buffer, size, &d, &body), EBADMSG);
}

/* Whatever is cut off, the decoder waits for it; the buffer is of the exact size, for the sanitizer to
 * watch. */
static void test_truncated(void **state) {
        struct envelope e = sample(), d;
        const uint8_t *body;
        uint64_t buffer[32];
        size_t size = encode(&e, (uint8_t *) buffer);

        for (size_t i = 0; i < size; i++) {
                _cleanup_free_ uint8_t *exact = malloc(MAX(i, (size_t) 1));

                assert_non_null(exact);
                memcpy(exact, buffer, i);
                assert_int_equal(envelope_decode(exact, i, &d, &body), 0);
        }
}

static void test_refused(void **state) {
        static const struct {
                size_t offset;
                uint8_t value;
        } bad[] = {
                        {0, 103},
                        {0, 64},
                        {0, 96},
                        {0, 112},
                        {3, 1},
                        {4, 0},
                        {4, 2},
                        {5, 0},
                        {5, 7},
                        {6, 8},
                        {6, 2},
                        {6, 5}, /* kept, in the system lane */
                        {7, 65},
                        {56, 9},
                        {56, 0},
                        {58, 1},
                        {59, 0x80},
                        {60, 6},
                        {60, 8},
                        {60, 255},
                        {61, 4},
                        {61, 6},
                        {62, 1},
                        {62, 3},
                        {62, 17},
                        {63, 1},
                        {64, 0},
                        {64, ' '},
                        {65, '/'},
                        {66, 128},
                        {71, 'x'},
                        {72, '('},
                        {73, 0},
                        {77, 'y'},
                        {94, 1},
                        {95, 1},
                        {101, 1},
                        {103, 1},
        };
        static char too_long[(CHAIN_MAX + 1) * AID_SIZE];
        static uint64_t large[FRAME_SIZE_MAX / 8 + 1];
        struct envelope e = sample(), d;
        const uint8_t *body;
        uint64_t buffer[32] = {};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                (void) encode(&e, (uint8_t *) buffer);
                ((uint8_t *) buffer)[bad[i].offset] = bad[i].value;
                if (envelope_decode((uint8_t *) buffer, sizeof(buffer), &d, &body) != -EBADMSG)
                        fail_msg("byte %zu = %u was accepted", bad[i].offset, bad[i].value);
        }

        /* whole in itself, but over a limit */
        e.chain = (const uint8_t *) too_long;
        e.n_chain = CHAIN_MAX + 1;
        (void) encode(&e, (uint8_t *) buffer);
        assert_errno(envelope_decode((uint8_t *) buffer, sizeof(buffer), &d, &body), EBADMSG);
        e = sample();
        e.n_chain = 0;
        e.body_size = BODY_INLINE_MAX + 8;
        (void) encode(&e, (uint8_t *) large);
        assert_errno(envelope_decode((uint8_t *) large, sizeof(large), &d, &body), EBADMSG);
        e = sample();

        e.kind = ENVELOPE_ERROR; /* needs an outcome, and one that exists */
        for (unsigned outcome = 0; outcome < 256; outcome++) {
                ssize_t size;

                e.outcome = (uint8_t) outcome;
                size = (ssize_t) encode(&e, (uint8_t *) buffer);
                assert_int_equal(envelope_decode((uint8_t *) buffer, sizeof(buffer), &d, &body),
                                outcome >= 1 && outcome <= 14 ? size : -EBADMSG);
        }
}

/* Each single bit of what the encoder made is either refused or comes back as another envelope. */
static void test_bits(void **state) {
        struct envelope e = sample(), d;
        uint64_t buffer[32] = {}, again[32] = {};
        const uint8_t *body;
        size_t size = encode(&e, (uint8_t *) buffer);

        for (size_t bit = 0; bit < size * 8; bit++) {
                ssize_t r;

                ((uint8_t *) buffer)[bit / 8] ^= (uint8_t)(1 << bit % 8);
                r = envelope_decode((uint8_t *) buffer, size, &d, &body);
                if (r > 0) {
                        memcpy(envelope_encode(&d, (uint8_t *) again), body, d.body_size);
                        assert_int_equal(r, size);
                        assert_memory_equal(buffer, again, size);
                }
                ((uint8_t *) buffer)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_layout),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_largest),
                cmocka_unit_test(test_memfd),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_bits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
