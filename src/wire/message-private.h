/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What message.c, message-append.c and message-read.c share. Private to src/wire. */

#include "wire/marshal.h"
#include "wire/message.h"
#include "wire/signature.h"

struct message_stack {
        char contents[SIGNATURE_MAX + 1]; /* what arbiter_message_peek_type() hands out */
        struct message_frame frames[BODY_DEPTH_MAX];
};

/* The signature of the container, as a whole; not always terminated at its length. */
static inline const char *frame_signature(const arbiter_message *m, const struct message_frame *f) {
        return (f->in_body ? (const char *) m->body : m->envelope.signature) + f->signature;
}

/* Makes sure that there is a stack. */
int message_need_stack(arbiter_message *m);
/* Enters a container. -E2BIG if it would be one too many. */
int message_push(arbiter_message *m, const struct message_frame *f);
static inline void message_pop(arbiter_message *m) {
        m->p.frame = m->p.stack->frames[--m->p.depth];
}
/* Puts the reader at the start of the body. */
void message_rewind_all(arbiter_message *m);

/* Types to append or read: a signature, or one dict entry, as inside an array that is open ("{sv}", as in
 * sd-bus). */
bool message_types_are_valid(const char *signature, size_t length);
