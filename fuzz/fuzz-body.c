/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bodies: the input is a signature, NUL, the body. What is accepted is read value by value into a new
 * message, whose bytes must be the same. With descriptors only the size is: their indices are given anew,
 * in the order of use. */

#include "fuzz.h"
#include "basic/fd.h"
#include "wire/message.h"
#include "wire/signature.h"

enum { N_FDS = 2 };

static bool copy_values(arbiter_message *from, arbiter_message *to);

static bool copy_container(arbiter_message *from, arbiter_message *to, char type, const char *borrowed) {
        char contents[SIGNATURE_MAX + 1];
        const void *p;
        size_t size;

        strcpy(contents, borrowed);
        if (type == 'a' && strchr("ytd", contents[0])) { /* the others go one by one */
                FUZZ_CHECK(arbiter_message_read_array(from, contents[0], &p, &size) == 1);
                FUZZ_CHECK(arbiter_message_append_array(to, contents[0], p, size) == 0);
                return true;
        }
        FUZZ_CHECK(arbiter_message_enter_container(from, type, contents) == 1);
        FUZZ_CHECK(arbiter_message_open_container(to, type, contents) == 0);
        if (!copy_values(from, to))
                return false;
        FUZZ_CHECK(arbiter_message_close_container(to) == 0);
        FUZZ_CHECK(arbiter_message_exit_container(from) == 1);
        return true;
}

/* False when the descriptors are too many. */
static bool copy_values(arbiter_message *from, arbiter_message *to) {
        const char *contents;
        char type;
        int r;

        while (arbiter_message_peek_type(from, &type, &contents) > 0) {
                union {
                        const char *s;
                        uint64_t t;
                } v;

                if (contents) {
                        if (!copy_container(from, to, type, contents))
                                return false;
                        continue;
                }
                FUZZ_CHECK(arbiter_message_read_basic(from, type, &v) == 1);
                r = arbiter_message_append_basic(to, type, strchr("sog", type) ? (const void *) v.s : &v);
                if (r == -E2BIG && type == 'h')
                        return false;
                FUZZ_CHECK(r == 0);
        }
        return true;
}

static void check_same(arbiter_message *a, arbiter_message *b) {
        FUZZ_CHECK(message_seal(b) == 0);
        FUZZ_CHECK(streq(arbiter_message_get_signature(a), arbiter_message_get_signature(b)));
        FUZZ_CHECK(a->envelope.body_size == b->envelope.body_size);
        FUZZ_CHECK(a->envelope.n_fds > 0 || memcmp(a->body, b->body, a->envelope.body_size) == 0);
}

static void check_body(arbiter_message *m) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *read = NULL, *copied = NULL;

        FUZZ_CHECK(arbiter_message_skip(m, arbiter_message_get_signature(m)) >= 0);
        FUZZ_CHECK(arbiter_message_at_end(m, true) == 1);
        FUZZ_CHECK(arbiter_message_rewind(m, true) == 0);
        FUZZ_CHECK(arbiter_message_new(&read) == 0);
        if (!copy_values(m, read))
                return;
        FUZZ_CHECK(arbiter_message_at_end(m, true) == 1);
        check_same(m, read);

        FUZZ_CHECK(arbiter_message_rewind(m, true) == 0);
        FUZZ_CHECK(arbiter_message_new(&copied) == 0);
        FUZZ_CHECK(arbiter_message_append_message(copied, m) == 0);
        check_same(m, copied);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const uint8_t *nul = memchr(data, 0, size);
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        _cleanup_free_ uint8_t *body = NULL;
        struct envelope e = { .kind = ENVELOPE_CAST, .command = "" };
        int fds[N_FDS] = {};

        if (!nul || !signature_string_is_valid((const char *) data))
                return 0;
        e.signature = (const char *) data;
        e.signature_length = (uint8_t) (nul - data);
        e.body_size = (uint32_t) (size - e.signature_length - 1);
        body = fuzz_copy(nul + 1, e.body_size);
        if (memchr(data, 'h', size))
                for (e.n_fds = 0; e.n_fds < N_FDS; e.n_fds++)
                        FUZZ_CHECK((fds[e.n_fds] = fd_duplicate(STDERR_FILENO)) >= 0);
        if (message_from_frame(&e, body, fds, &m) >= 0)
                check_body(m);
        return 0;
}
