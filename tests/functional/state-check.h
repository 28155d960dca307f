/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Does the state journal of an arbiter say what the arbiter is like? Byte for byte, for everything that
 * it has, and nothing else. */

#include <arbiter/arbiter.h>

/* Gives an arbiter that is not started yet a state, and has it compared after the turns of its loop. */
void state_check_turns(arbiter *a);
/* Now, between two turns; and can another arbiter read the memory? */
void state_check(arbiter *a);
