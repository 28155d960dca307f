/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How arbiterd ends: it stops its actors in order, or it leaves them to the next one and is gone at once. */

#include "basic/macro.h"

struct daemon;

/* From now on SIGTERM and SIGINT, and Reexecute(), are served by the arbiter's loop. */
int leave_attach(struct daemon *d);
/* After the loop: was it left with all as it was? r: what arbiter_run() has returned. */
bool leave_is_due(const struct daemon *d, int r);
/* Then: executes the program on disk, or ends this process. Nothing is freed and nobody is told. */
_noreturn_ void leave_now(struct daemon *d);
void leave_done(struct daemon *d);
/* For ExecStopPost=: does nobody come to take over what this arbiter has left, as far as can be known? */
bool leave_is_for_good(const struct daemon *d);

/* reexecute.c: asks the program on disk whether it can take over this state, without waiting; done is called
 * once, from the loop, with 0 or a negative errno and a text. */
typedef void (*reexecute_checked_t)(struct daemon *d, int error, const char *text);
struct reexecute_check;
int reexecute_check_start(struct daemon *d, reexecute_checked_t done, struct reexecute_check **ret);
struct reexecute_check *reexecute_check_free(struct reexecute_check *c);
/* The other side: arbiterd --check-state, with the state as its stdin. The exit status. */
int reexecute_answer(void);
/* Executes it, with descriptors as if systemd had passed them. Returns only if it fails. */
int reexecute(struct daemon *d);
