/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What becomes of one life that the arbiter before this one has left: from what the journal says of it and
 * what is found of it. Pure; adopt-child.c looks, asks, and carries it out. */

#include <arbiter/error.h>
#include <arbiter/actor.h>

#include "basic/macro.h"

enum adopt_kind {
        ADOPT_PROCESS, /* hosts included */
        ADOPT_THREAD,  /* in the process of a host */
        ADOPT_UNIT,    /* of systemd, which has the last word */
        ADOPT_INSIDE,  /* it was in the arbiter's own process: inline, or a thread of it */
        _ADOPT_KIND_MAX,
};

enum adopt_process {
        ADOPT_PROCESS_UNKNOWN, /* no descriptor of it, nor was it found in its leaf */
        ADOPT_PROCESS_LIVES,
        ADOPT_PROCESS_DEAD,
        _ADOPT_PROCESS_MAX,
};

enum adopt_leaf {
        ADOPT_LEAF_NONE, /* there are no cgroups */
        ADOPT_LEAF_GONE, /* it is made before the process, and removed after its end */
        ADOPT_LEAF_EMPTY,
        ADOPT_LEAF_POPULATED,
        _ADOPT_LEAF_MAX,
};

enum adopt_link {
        ADOPT_LINK_LOST, /* it was not kept: whoever has the other end sees the end of it */
        ADOPT_LINK_KEPT,
        ADOPT_LINK_CLOSED, /* kept, but nobody has the other end */
        _ADOPT_LINK_MAX,
};

struct adopt_facts {
        enum adopt_kind kind;
        arbiter_state state; /* STARTING, RUNNING or STOPPING, by the journal */
        bool mailbox;        /* it has a control link, or is to have one */
        bool launched;       /* the journal has its pid */
        bool has_place;      /* in a set, which would start it; a host has none */
        bool needs_notify;   /* a plain program that would be ended for its silence without the socket */
        bool has_notify;
        bool has_host;       /* of a thread: its host is adopted, dead or alive */
        bool host_lives;
        enum adopt_process process;
        enum adopt_leaf leaf;
        enum adopt_link link;
};

enum adopt_verdict {
        ADOPT_RESUME, /* it goes on as it was */
        /* taken over as well; its end is known from its descriptor, or comes with its host's */
        ADOPT_BURY,
        ADOPT_REHOST, /* its host has not been told of it, or never will be: told again */
        ADOPT_KILL,   /* what runs of it is killed; `reason` is why */
        ADOPT_END,    /* nothing of it is left to be ended, for `reason` */
        ADOPT_START,  /* nothing of it has ever run: the same life is started */
        _ADOPT_VERDICT_MAX,
};

struct adopt_decision {
        enum adopt_verdict verdict;
        arbiter_reason reason; /* of KILL and END, unless the journal has one already */
};

struct adopt_decision adopt_decide(const struct adopt_facts *f);
