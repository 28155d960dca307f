/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames: what the decoder accepts, the encoder makes again byte for byte; and its body may be refused,
 * never crash. */

#include "fuzz.h"
#include "wire/message.h"

static void receive(const struct envelope *e, const uint8_t *body) {
        arbiter_message *m;

        if (e->n_fds > 0 || message_from_frame(e, body, NULL, &m) < 0)
                return;
        FUZZ_CHECK(message_own(m) >= 0);
        FUZZ_CHECK(strlen(arbiter_message_get_command(m)) == e->command_length);
        (void) arbiter_message_get_error_name(m);
        (void) arbiter_message_get_error_text(m);
        while (arbiter_message_skip(m, NULL) > 0)
                ;
        FUZZ_CHECK(arbiter_message_at_end(m, true) == 1);
        (void) arbiter_message_unref(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ uint8_t *frame = fuzz_copy(data, size), *again = NULL;
        struct envelope e;
        const uint8_t *body;
        uint8_t *to;
        ssize_t r;

        r = envelope_decode(frame, size, &e, &body);
        if (r <= 0)
                return 0;
        FUZZ_CHECK((size_t) r <= size && (size_t) r == envelope_frame_size(&e));
        again = malloc((size_t) r);
        FUZZ_CHECK(again);
        to = envelope_encode(&e, again);
        if (body && e.body_size > 0)
                memcpy(to, body, e.body_size);
        FUZZ_CHECK(memcmp(again, frame, (size_t) r) == 0);
        receive(&e, body);
        return 0;
}
