/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How many connections wait in a listening socket until somebody accepts them. */

#include "basic/macro.h"

/* TCP (also in another network namespace) and AF_UNIX. -EOPNOTSUPP: it does not listen, or its kind cannot
 * be asked. */
int backlog_read(int fd, uint32_t *ret);
