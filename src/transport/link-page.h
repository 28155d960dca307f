/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The shared page of a link: a memfd of one page, sealed SHRINK|GROW|SEAL, mapped by both ends. Each end
 * writes its own side and reads the other's: how far it has *begun* what it received, per lane, and the
 * credit that it grants. A peer that lies in its side harms its own callers only: what this end enforces it
 * keeps in private memory. A page is touched only when a request or credit moves, so an idle control link
 * costs none. */

#include <stdatomic.h>

#include "basic/macro.h"

enum link_lane { LANE_USER = 0, LANE_SYSTEM = 1, LANE_COUNT };

/* Begun is written for every message, the rest rarely, and the peer looks at credit while it sends: two
 * cache lines. */
struct link_page_side {
        /* The sequence number of the last message of each lane whose handler was, or was about to be,
         * entered. */
        _Atomic uint64_t begun[LANE_COUNT];
        uint8_t padding_begun[128 - 2 * 8];
        /* Cumulative: so many user-lane messages and bytes may the peer have sent since the link was
         * made. */
        _Atomic uint64_t granted_messages, granted_bytes;
        /* Not 0: this end, as a sender, was refused credit, and the peer is to send a "credit" signal
         * when it grants more, once for each number. */
        _Atomic uint32_t starved;
        /* LINK_KNOWS_...: what this end understands beyond what everybody does. There before any grant, so
         * whoever has credit can read it. */
        _Atomic uint32_t features;
        uint8_t padding_credit[128 - 2 * 8 - 2 * 4];
};

enum link_feature { LINK_KNOWS_KEPT = 1 << 0 /* ENVELOPE_KEPT */ };

struct link_page {
        struct link_page_side side[2];
};

/* A sealed memfd for a new page, to be passed to both ends. */
int link_page_create(int *ret_fd);
/* Grants credit for this side in the name of the end that will own it, through the descriptor: a page
 * that is not mapped is not in anybody's memory. Before the page is handed out. */
int link_page_grant(int fd, unsigned side, uint64_t messages, uint64_t bytes);
/* Checks seals and size (a file that could shrink under us would be SIGBUS), maps. The fd stays the
 * caller's. */
int link_page_map(int fd, struct link_page **ret);
/* For a local link: anonymous memory, no descriptor. */
int link_page_map_local(struct link_page **ret);
/* Takes NULL; returns NULL. */
struct link_page *link_page_unmap(struct link_page *page);
