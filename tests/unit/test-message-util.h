/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests of src/wire/message*.c: messages, bodies byte for byte, and allocations that fail. For one
 * program each, linked with --wrap=malloc,--wrap=realloc: it defines what those lead to. */

#include "test-util.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "basic/fd.h"
#include "wire/message.h"

void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *p, size_t size);

static _unused_ unsigned fail_allocation; /* the n-th from now on, 0: none */

static inline bool allocation_fails(void) {
        return fail_allocation > 0 && --fail_allocation == 0;
}

void *__wrap_malloc(size_t size) {
        return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *p, size_t size) {
        return allocation_fails() ? NULL : __real_realloc(p, size);
}

static inline arbiter_message *new_message(void) {
        arbiter_message *m = NULL;

        assert_ok(arbiter_message_new(&m));
        return m;
}

static inline void check_body(arbiter_message *m, const char *signature, const void *bytes, size_t size) {
        const void *body;
        size_t body_size;

        assert_ok(message_seal(m));
        assert_ok(arbiter_message_get_body(m, &body, &body_size));
        assert_string_equal(arbiter_message_get_signature(m), signature);
        assert_int_equal(body_size, size);
        assert_memory_equal(body, bytes, size);
}

/* A body in memory of its exact size, so that the sanitizer sees each byte too far. */
static inline int from_body(const char *signature, const void *bytes, size_t size, unsigned n_fds,
                arbiter_message **ret) {
        struct envelope e = {
                .kind = ENVELOPE_REQUEST,
                .command = "x",
                .command_length = 1,
                .signature = signature,
                .signature_length = (uint8_t) strlen(signature),
                .n_fds = (uint8_t) n_fds,
                .body_size = (uint32_t) size,
        };
        arbiter_message *m = NULL;
        uint8_t *exact = malloc(MAX(size, (size_t) 1));
        int fds[FRAME_FDS_MAX], r;

        assert_non_null(exact);
        memcpy(exact, bytes, size);
        for (unsigned i = 0; i < n_fds; i++)
                assert_ok(fds[i] = fd_duplicate(STDIN_FILENO));
        r = message_from_frame(&e, exact, fds, &m);
        if (r >= 0)
                assert_ok(message_own(m));
        free(exact);
        *ret = m;
        return r;
}

static inline void check_unchanged(arbiter_message *m, const char *signature, uint32_t size,
                unsigned n_fds) {
        assert_string_equal(arbiter_message_get_signature(m), signature);
        assert_int_equal(m->envelope.signature_length, strlen(signature));
        assert_int_equal(m->envelope.body_size, size);
        assert_int_equal(m->envelope.n_fds, n_fds);
}
