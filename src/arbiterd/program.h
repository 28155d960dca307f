/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Helpers of arbiterd: programs of ours, with clean signals, that are no actors. */

#include <sys/types.h>

#include "basic/macro.h"

/* argv[0] is the path. fds: for stdin, stdout, stderr; -1: ours. */
int program_spawn(char *const *argv, char *const *environment, const int fds[static 3], pid_t *ret);
