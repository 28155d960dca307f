/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What workers are doing, and what follows from it; see load.c. */

#include "basic/macro.h"

struct child;

/* May it have new work? Whoever has a say in that (its life, its probe, its pool) tells when he has changed
 * his mind; it serves when it runs, is ready, and does not drain, whoever says so. Idempotent. */
void load_serve(struct child *c, bool serve);
