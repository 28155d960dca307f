/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of an arbiter_message: what the runtime may touch. Users see include/arbiter/message.h. */

#include <arbiter/message.h>

#include "wire/envelope.h"

enum {
        MESSAGE_INLINE_BODY = 192,
        MESSAGE_INLINE_COMMAND = 48,
        MESSAGE_FDS_MAX = FRAME_FDS_MAX - 1, /* so that a large body always finds room for its memfd */
};


/* A container that is open, of the builder or of the reader; type 0 is the body as a whole. Its signature
 * is an offset into the body (in a variant) or into envelope.signature: pointers would not survive the
 * growth of the body. */
struct message_frame {
        char type;
        bool in_body;
        uint8_t length, index; /* of the signature; the next type of it */
        uint32_t signature;
        /* reader: of the contents; builder: end is the limit that the body may grow to */
        uint32_t begin, end;
        uint32_t length_at;  /* builder: where the length of the array goes */
};

/* Fields the runtime reads. The rest of the struct is message.c's. */
struct arbiter_message {
        unsigned n_ref;
        bool sealed;
        struct envelope envelope; /* command and signature point into frame memory or into the message */
        uint8_t *body;            /* envelope.body_size bytes, 8-aligned */
        /* envelope.n_fds, without the memfd of a large body (and without ENVELOPE_MEMFD) */
        int *fds;
        /* the runtime's: see actor/call.h; message.c only calls context_free on it */
        void *context;
        void (*context_free)(arbiter_message *m);

        /* private to message*.c from here */
        struct message_private {
                struct message_frame frame;  /* the innermost open container */
                struct message_stack *stack; /* those around it; allocated with the first container */
                unsigned depth;
                uint32_t cursor;         /* of the reader */
                uint32_t body_allocated; /* by malloc(); 0: inline, borrowed or mapped */
                /* body, strings and chain are in someone's receive buffer: message_own() */
                bool borrowed;
                bool body_mapped;        /* body is a private mapping of a memfd */
                uint8_t n_fds_allocated;
                uint8_t *owned_chain;
                char *owned_command; /* one that does not fit inline */
                /* not initialised from here */
                char command[MESSAGE_INLINE_COMMAND];
                char signature[256];
                uint64_t inline_body[MESSAGE_INLINE_BODY / 8];
        } p;
};

/* Turns a decoded frame into a message. Nothing is copied: body and strings stay in the caller's buffer,
 * which must outlive the message or be left by message_own(). The n_fds descriptors are taken over in any
 * case, also on error. With ENVELOPE_MEMFD the last fd is checked (F_GET_SEALS contains
 * SHRINK|GROW|WRITE, size = body_size) and mapped privately. The body is validated against the signature
 * once, here (D-Bus rules: -EBADMSG). */
int message_from_frame(const struct envelope *e, const uint8_t *body, const int *fds, arbiter_message **ret);
/* Copies what is borrowed; open containers and the cursor survive, pointers that were read do not. Called
 * by the runtime when the user keeps a reference past the handler. */
int message_own(arbiter_message *m);
/* Ends the building: checks that no container is open. Idempotent. After it envelope.signature and body
 * are final. */
int message_seal(arbiter_message *m);
/* Sets the command, copied. -EINVAL for a name outside the alphabet of envelope.h, or too long. */
int message_set_command(arbiter_message *m, const char *command);
/* A new, sealed memfd with the body, for bodies over BODY_INLINE_MAX. The message stays as it is: who
 * sends it adds the descriptor and ENVELOPE_MEMFD to the envelope of the frame. */
int message_body_to_memfd(arbiter_message *m);
/* A new ENVELOPE_ERROR, sealed. name may be NULL: that of the outcome; text may be NULL: no body. */
int message_new_error(arbiter_outcome outcome, const char *name, const char *text, arbiter_message **ret);
/* The D-Bus error name of an outcome: "io.arbiter.Arbiter1.Error.NoProc". */
const char *outcome_to_error_name(arbiter_outcome outcome);
