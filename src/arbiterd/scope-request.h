/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What arbiterd asks of the service manager for its scope. Only for scope.c. */

#include <sys/types.h>

#include "basic/macro.h"

struct daemon;
struct sd_event;
struct scope_request;

/* Once, from the loop: why is NULL when the scope is there, with the process first in it. anew: it was made
 * for it. May free the request. */
typedef void (*scope_request_done_t)(struct daemon *d, const char *why, bool anew);

enum scope_request_mode {
        SCOPE_REQUEST_FRESH, /* what is in a scope of that name is stopped before */
        SCOPE_REQUEST_HOLD   /* it is ours: first joins what is in it, wherever its unit has gone; it is made
                              * if there is none */
};

/* A failure means that done is not called, as does freeing the request. */
int scope_request_make(struct daemon *d, struct sd_event *event, enum scope_request_mode mode, pid_t first,
                scope_request_done_t done, struct scope_request **ret);
struct scope_request *scope_request_free(struct scope_request *q);
DEFINE_CLEANUP(struct scope_request *, scope_request_free)

/* Has the scope stopped; waits for no more than the manager's word. No scope: nothing to do. Negative:
 * told. */
int scope_request_stop(struct daemon *d);
