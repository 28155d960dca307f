/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What arbiterd and arbiter-keeper say to each other: packets over a SEQPACKET socket, the descriptors of a
 * packet by SCM_RIGHTS, one for each of its names, in their order. Whatever one end has sent, the kernel
 * holds for the other: a PUT that could be sent is kept, even if the sender dies before it is read.
 *
 * The keeper outlives the arbiter, and so an upgrade of it. Nothing of what is here may change; more may be
 * added under a higher version, and both ends speak the lower of theirs. */

#include <sys/socket.h>

#include "basic/fd.h"

#define KEEPER_VERSION 1U
#define KEEPER_NAME_SIZE 64U /* with its NUL; what is behind that is NUL, too */
#define KEEPER_BATCH_MAX 128U /* names in a packet; the kernel takes 253 descriptors */

enum keeper_op {
        /* Both ways: the first packet of a conversation. The connection may be older than the arbiter that
         * says it (it lay in the fd store): what comes before the answer with its cookie was for another. */
        KEEPER_HELLO = 1,
        KEEPER_PUT,    /* to the keeper: keep these; what it has under such a name is closed */
        KEEPER_FORGET, /* to the keeper: close them */
        KEEPER_LIST,   /* to the keeper: answer with KEPT, as often as it takes for all of them */
        KEEPER_PRUNE,  /* to the keeper: close what was not PUT over this connection */
        KEEPER_KEPT    /* from the keeper; the last one has no names */
};

struct keeper_head {
        uint32_t op, n;  /* n: names behind the head; HELLO: the sender's version, without names */
        uint64_t cookie; /* HELLO: of the conversation; LIST, KEPT: free; else 0 */
};

struct keeper_packet {
        struct keeper_head head;
        char names[KEEPER_BATCH_MAX][KEEPER_NAME_SIZE];
};

/* 1 to 63 printable characters of ASCII, without a blank: they come into logs. */
static inline bool keeper_name_is_valid(const char *name, size_t size) {
        size_t n = strnlen(name, size);

        if (n == 0 || n >= KEEPER_NAME_SIZE)
                return false;
        for (size_t i = 0; i < n; i++)
                if (name[i] <= ' ' || name[i] > '~')
                        return false;
        return true;
}

/* Is it one? Nothing in it is used before. */
static inline bool keeper_packet_is_valid(const struct keeper_packet *p, size_t size) {
        bool named;

        if (size < sizeof(p->head) || p->head.op < KEEPER_HELLO || p->head.op > KEEPER_KEPT)
                return false;
        named = p->head.op == KEEPER_PUT || p->head.op == KEEPER_FORGET || p->head.op == KEEPER_KEPT;
        if (named ? p->head.n > KEEPER_BATCH_MAX : p->head.op != KEEPER_HELLO && p->head.n > 0)
                return false;
        if (size != sizeof(p->head) + (named ? (size_t) p->head.n * KEEPER_NAME_SIZE : 0))
                return false;
        for (uint32_t i = 0; named && i < p->head.n; i++)
                if (!keeper_name_is_valid(p->names[i], KEEPER_NAME_SIZE))
                        return false;
        return true;
}

/* fds: as many as the packet has names, if its kind has any; they stay the sender's. 0 or negative errno
 * (-EAGAIN: the socket is full; -ETOOMANYREFS: too many descriptors are under way). Never blocks. */
int keeper_send(int socket, const struct keeper_packet *p, const int *fds);

/* One packet, with a descriptor for each name where its kind has some. 1; 0: nobody is there any more;
 * -EAGAIN; -EBADMSG: it is none; -EMFILE: this process has no room for its descriptors, all of them are
 * lost. ret_fds has room for KEEPER_BATCH_MAX. Never blocks. */
int keeper_receive(int socket, struct keeper_packet *p, int *ret_fds, size_t *ret_n_fds);
