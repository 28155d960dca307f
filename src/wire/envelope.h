/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The envelope: a fixed, versioned header before each body. Pure: bytes in, bytes out. One frame is
 *
 *      offset size
 *       0      4   size of the whole frame, a multiple of 8, 72 .. FRAME_SIZE_MAX
 *       4      1   version (ENVELOPE_VERSION)
 *       5      1   kind (enum envelope_kind)
 *       6      1   flags (enum envelope_flags)
 *       7      1   number of file descriptors that travel with the frame
 *       8      8   sequence on this link, direction and lane, rising by one from 1
 *      16      8   id of the request; of an answer or cancel: the request's; 0 for casts and signals
 *      24      8   deadline, CLOCK_MONOTONIC in us; UINT64_MAX: none
 *      32      8   sender aid
 *      40      8   target aid, all zero: "whoever is at the other end"
 *      48      4   generation of the sender
 *      52      4   generation of the target, 0: any
 *      56      4   size of the body, also when it travels as a memfd: ENVELOPE_MEMFD, the last fd
 *      60      1   length of the command (without NUL)
 *      61      1   length of the signature (without NUL)
 *      62      1   length of the call chain, in aids, at most CHAIN_MAX
 *      63      1   outcome (arbiter_outcome) of an ENVELOPE_ERROR, else 0
 *      64          command NUL signature NUL chain, padded with zeroes to a multiple of 8;
 *                  then the body, padded with zeroes to a multiple of 8
 *
 * All little-endian. The frame starts 8-aligned in memory, so the body does, and D-Bus alignment holds in
 * place. The decoder accepts exactly what the encoder makes: unknown versions, kinds, flags and outcomes,
 * padding that is not zero, embedded NULs, characters outside [A-Za-z0-9_.-] in the command, an invalid
 * signature: -EBADMSG. */

#include <sys/types.h>

#include "basic/identity.h"
#include "basic/macro.h"

enum {
        ENVELOPE_VERSION = 1,
        ENVELOPE_HEADER_SIZE = 64,
        CHAIN_MAX = 16,
        FRAME_FDS_MAX = 64,
        BODY_INLINE_MAX = 64 * 1024,         /* larger bodies travel as a sealed memfd; smaller ones may */
        BODY_SIZE_MAX = 128 * 1024 * 1024,   /* D-Bus Specification: maximum message length, 128 MiB */
        FRAME_SIZE_MAX = ENVELOPE_HEADER_SIZE + 256 + 256 + CHAIN_MAX * AID_SIZE + BODY_INLINE_MAX + 16,
};

enum envelope_kind {
        ENVELOPE_REQUEST = 1,
        ENVELOPE_CAST = 2, /* no answer wanted */
        ENVELOPE_REPLY = 3,
        ENVELOPE_ERROR = 4,  /* command: error name; body "s": text */
        ENVELOPE_CANCEL = 5, /* id: the request */
        ENVELOPE_SIGNAL = 6, /* between runtimes: link, down, exit, credit, fin ...; command says which */
};

enum envelope_flags {
        ENVELOPE_SYSTEM = 1 << 0, /* the system lane: stop, cancel, DOWN, introspection */
        ENVELOPE_MEMFD = 1 << 1,
        /* The sender keeps it until it is begun, and sends it again elsewhere if it never is: the receiver
         * publishes that it has begun also a cast, and says nothing of what it has not begun when it ends.
         * Only to those who know it (LINK_KNOWS_KEPT). */
        ENVELOPE_KEPT = 1 << 2,
        ENVELOPE_FLAGS_ALL = ENVELOPE_SYSTEM | ENVELOPE_MEMFD | ENVELOPE_KEPT,
};

struct envelope {
        enum envelope_kind kind;
        uint8_t flags;
        uint8_t n_fds;
        uint8_t outcome;
        uint64_t sequence;
        uint64_t id;
        uint64_t deadline;
        aid sender, target;
        uint32_t sender_generation, target_generation;
        uint32_t body_size;
        const char *command, *signature; /* NUL-terminated; decoded: point into the frame */
        uint8_t command_length, signature_length;
        uint8_t n_chain;
        const uint8_t *chain; /* n_chain x AID_SIZE bytes */
};

/* The size of the frame for this envelope (with its inline body). */
size_t envelope_frame_size(const struct envelope *e);
/* Writes everything of the frame but the body; buffer must hold envelope_frame_size(). Returns where the
 * body goes (the caller writes body_size bytes there); the padding after it is already zeroed. Never
 * fails: the caller has kept the limits. */
uint8_t *envelope_encode(const struct envelope *e, uint8_t *buffer);
/* Decodes the frame at the start of buffer (8-aligned). > 0: its size; 0: not whole yet; -EBADMSG: never
 * will be. With ENVELOPE_MEMFD *ret_body is NULL. Strings and chain in *ret point into buffer. */
ssize_t envelope_decode(const uint8_t *buffer, size_t size, struct envelope *ret, const uint8_t **ret_body);
/* Only characters of the alphabet above; nothing about the length. */
bool command_is_valid(const char *s, size_t length);
