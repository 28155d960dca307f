/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of an arbiter_message: what the runtime may touch. Users see include/arbiter/message.h. */

#include <arbiter/message.h>

#include "wire/envelope.h"

enum { MESSAGE_INLINE_BODY = 192, MESSAGE_DEPTH_MAX = 64 };

struct message_context; /* what a received request needs to be answered; the runtime's (src/actor/call.h) */

/* Fields the runtime reads. The rest of the struct is message.c's. */
struct arbiter_message {
        unsigned n_ref;
        bool sealed;
        struct envelope envelope; /* command and signature point into frame memory or into owned strings */
        uint8_t *body;            /* envelope.body_size bytes, 8-aligned */
        int *fds;                 /* envelope.n_fds, without the memfd of a large body */
        void *context;            /* the runtime's: see actor/call.h; message.c only calls context_free on it */
        void (*context_free)(arbiter_message *m);

        /* private to message.c from here; see there */
        struct message_private {
                bool body_borrowed;  /* body, strings and chain are in someone's receive buffer: message_own() */
                bool body_mapped;    /* body is a private mapping of a memfd */
                size_t body_allocated;
                uint8_t *owned_strings;
                char signature[256];
                size_t cursor;
                struct message_frame *stack; /* open containers, of the builder or of the reader */
                unsigned depth, stack_allocated;
                size_t n_fds_allocated;
                bool failed;
                uint64_t inline_body[MESSAGE_INLINE_BODY / 8];
        } p;
};

/* Turns a decoded frame into a message. Nothing is copied: body and strings stay in the caller's buffer, which must
 * outlive the message or be left by message_own(). The n_fds descriptors are taken over in any case, also on error.
 * With ENVELOPE_MEMFD the last fd is checked (F_GET_SEALS contains SHRINK|GROW|WRITE, size = body_size) and mapped
 * privately. The body is validated against the signature once, here (D-Bus rules: -EBADMSG). */
int message_from_frame(const struct envelope *e, const uint8_t *body, const int *fds, arbiter_message **ret);
/* Copies what is borrowed. Called by the runtime when the user keeps a reference past the handler. */
int message_own(arbiter_message *m);
/* Ends the building: checks that no container is open. Idempotent. After it envelope.signature and body are final. */
int message_seal(arbiter_message *m);
/* Sets the command, copied. -EINVAL for a name outside the alphabet of envelope.h, or too long. */
int message_set_command(arbiter_message *m, const char *command);
/* A sealed memfd with the body, for bodies over BODY_INLINE_MAX. */
int message_body_to_memfd(arbiter_message *m);
/* A new ENVELOPE_ERROR with outcome, name and formatted text (may be NULL). */
int message_new_error(arbiter_outcome outcome, const char *name, const char *text, arbiter_message **ret);
/* The D-Bus error name of an outcome: "io.arbiter.Arbiter1.Error.NoProc". */
const char *outcome_to_error_name(arbiter_outcome outcome);
