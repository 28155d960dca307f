/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The frame format of envelope.h. Called by the links, for each message twice; and by the fuzzer. Must
 * never read outside what it was given, never allocate, and accept nothing that envelope_encode() does
 * not make. */

#include "wire/envelope.h"

#include <arbiter/error.h>

#include "wire/marshal.h"
#include "wire/signature.h"

struct header {
        uint32_t size;
        uint8_t version, kind, flags, n_fds;
        uint64_t sequence, id, deadline;
        aid sender, target;
        uint32_t sender_generation, target_generation, body_size;
        uint8_t command_length, signature_length, n_chain, outcome;
};

_Static_assert(sizeof(struct header) == ENVELOPE_HEADER_SIZE, "header has no padding");
_Static_assert(offsetof(struct header, body_size) == 56, "offsets are those of envelope.h");

/* Where the body starts. */
static size_t prologue_size(size_t command_length, size_t signature_length, size_t n_chain) {
        return ALIGN_TO(ENVELOPE_HEADER_SIZE + command_length + 1 + signature_length + 1 +
                                        n_chain * AID_SIZE,
                        8);
}

static size_t inline_size(uint8_t flags, size_t body_size) {
        return flags & ENVELOPE_MEMFD ? 0 : ALIGN_TO(body_size, 8);
}

size_t envelope_frame_size(const struct envelope *e) {
        return prologue_size(e->command_length, e->signature_length, e->n_chain) +
                        inline_size(e->flags, e->body_size);
}

uint8_t *envelope_encode(const struct envelope *e, uint8_t *buffer) {
        size_t prologue = prologue_size(e->command_length, e->signature_length, e->n_chain);
        size_t size = prologue + inline_size(e->flags, e->body_size);
        struct header h = {
                .size = (uint32_t) size,
                .version = ENVELOPE_VERSION,
                .kind = (uint8_t) e->kind,
                .flags = e->flags,
                .n_fds = e->n_fds,
                .sequence = e->sequence,
                .id = e->id,
                .deadline = e->deadline,
                .sender = e->sender,
                .target = e->target,
                .sender_generation = e->sender_generation,
                .target_generation = e->target_generation,
                .body_size = e->body_size,
                .command_length = e->command_length,
                .signature_length = e->signature_length,
                .n_chain = e->n_chain,
                .outcome = e->outcome,
        };
        uint8_t *p = buffer + ENVELOPE_HEADER_SIZE;

        assert(size <= FRAME_SIZE_MAX);

        memcpy(buffer, &h, sizeof(h));
        /* The last word of the prologue and of the frame hold all padding: zero them first, then write
         * over it. */
        memset(buffer + prologue - 8, 0, 8);
        memset(buffer + size - 8, 0, 8);
        if (e->command_length > 0)
                memcpy(p, e->command, e->command_length);
        p += e->command_length;
        *p++ = 0;
        if (e->signature_length > 0)
                memcpy(p, e->signature, e->signature_length);
        p += e->signature_length;
        *p++ = 0;
        if (e->n_chain > 0)
                memcpy(p, e->chain, (size_t) e->n_chain * AID_SIZE);
        return buffer + prologue;
}

bool command_is_valid(const char *s, size_t length) {
        static const bool alphabet[256] = {
                ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true,
                ['_'] = true,         ['.'] = true,         ['-'] = true,
        };

        for (size_t i = 0; i < length; i++)
                if (!alphabet[(uint8_t) s[i]])
                        return false;
        return true;
}

static bool header_is_valid(const struct header *h) {
        if (h->version != ENVELOPE_VERSION || h->kind < ENVELOPE_REQUEST || h->kind > ENVELOPE_SIGNAL)
                return false;
        if ((h->flags & ~ENVELOPE_FLAGS_ALL) != 0 || h->n_fds > FRAME_FDS_MAX || h->n_chain > CHAIN_MAX)
                return false;
        if ((h->flags & ENVELOPE_KEPT) &&
                        (h->kind > ENVELOPE_CAST || (h->flags & ENVELOPE_SYSTEM)))
                return false;
        if (h->kind == ENVELOPE_ERROR) {
                if (h->outcome == ARBITER_OUTCOME_REPLY || h->outcome > ARBITER_OUTCOME_BROKEN_PROMISE)
                        return false;
        } else if (h->outcome != 0)
                return false;
        if (h->flags & ENVELOPE_MEMFD)
                return h->n_fds > 0 && h->body_size > 0 && h->body_size <= BODY_SIZE_MAX;
        return h->body_size <= BODY_INLINE_MAX;
}

static bool is_zero(const uint8_t *p, const uint8_t *end) {
        while (p < end)
                if (*p++ != 0)
                        return false;
        return true;
}

ssize_t envelope_decode(const uint8_t *buffer, size_t size, struct envelope *ret, const uint8_t **ret_body) {
        const char *command, *signature;
        const uint8_t *chain, *body;
        struct header h;

        if (size < sizeof(uint32_t))
                return 0;
        h.size = load_u32(buffer);
        if (h.size % 8 != 0 || h.size <= ENVELOPE_HEADER_SIZE || h.size > FRAME_SIZE_MAX)
                return -EBADMSG;
        if (size < h.size)
                return 0;

        memcpy(&h, buffer, sizeof(h));
        if (!header_is_valid(&h))
                return -EBADMSG;
        body = buffer + prologue_size(h.command_length, h.signature_length, h.n_chain);
        if ((size_t) (body - buffer) + inline_size(h.flags, h.body_size) != h.size)
                return -EBADMSG;

        command = (const char *) buffer + ENVELOPE_HEADER_SIZE;
        signature = command + h.command_length + 1;
        chain = (const uint8_t *) signature + h.signature_length + 1;
        if (command[h.command_length] != 0 || signature[h.signature_length] != 0 ||
                        !command_is_valid(command, h.command_length) ||
                        !signature_is_valid(signature, h.signature_length) ||
                        !is_zero(chain + (size_t) h.n_chain * AID_SIZE, body))
                return -EBADMSG;
        if (!(h.flags & ENVELOPE_MEMFD) && !is_zero(body + h.body_size, buffer + h.size))
                return -EBADMSG;

        *ret = (struct envelope) {
                .kind = (enum envelope_kind) h.kind,
                .flags = h.flags,
                .n_fds = h.n_fds,
                .outcome = h.outcome,
                .sequence = h.sequence,
                .id = h.id,
                .deadline = h.deadline,
                .sender = h.sender,
                .target = h.target,
                .sender_generation = h.sender_generation,
                .target_generation = h.target_generation,
                .body_size = h.body_size,
                .command = command,
                .signature = signature,
                .command_length = h.command_length,
                .signature_length = h.signature_length,
                .n_chain = h.n_chain,
                .chain = chain,
        };
        *ret_body = h.flags & ENVELOPE_MEMFD ? NULL : body;
        return (ssize_t) h.size;
}
