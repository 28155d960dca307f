/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "arbiter-keeper/table.h"

/* Writes into a file the units in which processes live whose pidfds are kept as those of main processes of
 * units (u.AID), a line each: of instances of templates only the keeper can say that the arbiter has started
 * them. user: units of this user's manager. What cannot be found out is left out. */
int leave_units(const struct table *t, bool user, const char *path);
