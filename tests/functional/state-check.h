/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Does the state journal of an arbiter say what the arbiter is like? Byte for byte, for everything that
 * it has, and nothing else. To be called between two turns of its loop. */

#include <arbiter/arbiter.h>

void state_check(arbiter *a);
/* Not each time if it has many actors: for each turn of a loop. */
void state_check_often(arbiter *a);
/* And can another one read it? */
void state_check_readable(arbiter *a);
