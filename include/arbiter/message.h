/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_MESSAGE_H
#define ARBITER_MESSAGE_H

#include <arbiter/_common.h>
#include <arbiter/error.h>
#include <stdarg.h>

ARBITER_BEGIN_DECLARATIONS

/* A message: a body of typed values, and the envelope that says where it goes. The body is D-Bus
 * marshalling (D-Bus Specification, "Marshaling (Wire Format)", little-endian), the signature strings are
 * D-Bus's, so every command can be exported on D-Bus as it is. Appending seals nothing; sending does: a
 * sent or received message is immutable, and only such a one can be read (else -EPERM). Reading moves a
 * cursor that the message carries. Not thread-safe, no state is shared between two messages, so a message
 * may be handed to another thread whole. */

int arbiter_message_new(arbiter_message **ret);
arbiter_message *arbiter_message_ref(arbiter_message *m);
arbiter_message *arbiter_message_unref(arbiter_message *m);
ARBITER_CLEANUP_DEFINE(arbiter_message, unref);

/* Appends values by signature. Argument types as in sd_bus_message_append(3): y uint8_t, b int, n
 * int16_t, q uint16_t, i int32_t, u uint32_t, x int64_t, t uint64_t, d double, s o g const char *, h int
 * (duplicated); "a" takes a count (unsigned) and then the elements, "v" a signature and then its values,
 * "{" and "(" their members. 64-bit arguments need a cast when they are constants. Whole or not at all:
 * on error the body is as before. */
int arbiter_message_append(arbiter_message *m, const char *signature, ...);
int arbiter_message_appendv(arbiter_message *m, const char *signature, va_list ap);
/* type is one basic type; p points to the value (s o g: is the string). */
int arbiter_message_append_basic(arbiter_message *m, char type, const void *p);
/* An array of fixed-size elements (y n q i u x t d) at once. */
int arbiter_message_append_array(arbiter_message *m, char type, const void *p, size_t size);
/* type is 'a', 'v', 'r' (struct) or 'e' (dict entry); contents its inner signature. */
int arbiter_message_open_container(arbiter_message *m, char type, const char *contents);
int arbiter_message_close_container(arbiter_message *m);
/* Appends all, or the rest, of another message's values. */
int arbiter_message_append_message(arbiter_message *m, arbiter_message *source);

/* Reads values by signature into pointers (s o g: const char **, borrowed from the message; h: int *,
 * borrowed). > 0: read; 0: at the end of the container; -ENXIO: the message has another type there. */
int arbiter_message_read(arbiter_message *m, const char *signature, ...);
int arbiter_message_readv(arbiter_message *m, const char *signature, va_list ap);
int arbiter_message_read_basic(arbiter_message *m, char type, void *ret);
/* The elements in place, aligned as their type wants: borrowed. */
int arbiter_message_read_array(arbiter_message *m, char type, const void **ret, size_t *ret_size);
/* > 0 entered, 0 no more elements, -ENXIO another type. contents may be NULL: anything. */
int arbiter_message_enter_container(arbiter_message *m, char type, const char *contents);
int arbiter_message_exit_container(arbiter_message *m);
/* What comes next: type ('a', 'v', 'r', 'e' or basic) and, for containers, the contents (borrowed until
 * the next call on this message). > 0, or 0 at the end. */
int arbiter_message_peek_type(arbiter_message *m, char *ret_type, const char **ret_contents);
/* Skips values of these types; NULL: the next one, whatever it is. */
int arbiter_message_skip(arbiter_message *m, const char *signature);
/* complete: to the start of the body, else of the current container. */
int arbiter_message_rewind(arbiter_message *m, bool complete);
/* 1 if the cursor is at the end of the body (complete) or of the current container. */
int arbiter_message_at_end(arbiter_message *m, bool complete);

/* All strings below are borrowed from the message. */
const char *arbiter_message_get_signature(arbiter_message *m);
const char *arbiter_message_get_command(arbiter_message *m);
/* The body's bytes as they travel. */
int arbiter_message_get_body(arbiter_message *m, const void **ret, size_t *ret_size);
/* Absolute CLOCK_MONOTONIC microseconds, UINT64_MAX if there is none. */
uint64_t arbiter_message_get_deadline(arbiter_message *m);
/* True if the sender waits for an answer. */
bool arbiter_message_expects_reply(arbiter_message *m);
/* The sender, as the link's identity says (never as the message says): a new proxy. -ENODATA for a
 * message that was not received. */
int arbiter_message_get_sender(arbiter_message *m, arbiter_proxy **ret);

/* Of an answer: its outcome; and for everything but REPLY its error name
 * ("io.arbiter.Arbiter1.Error.NoProc", or the application's) and text. */
arbiter_outcome arbiter_message_get_outcome(arbiter_message *m);
const char *arbiter_message_get_error_name(arbiter_message *m);
const char *arbiter_message_get_error_text(arbiter_message *m);

ARBITER_END_DECLARATIONS

#endif
