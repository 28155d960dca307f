/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "basic/macro.h"

/* A file that says who runs, held by a record lock of fcntl(2): what a dead process left behind is known as
 * such, whatever its number. */
struct pid_file {
        int fd;
        char *path;
};
#define PID_FILE_INIT ((struct pid_file){ .fd = -EBADF })

/* Makes it (mode 0644), or takes over one that nobody holds. -EBUSY: somebody does; *ret_pid says who, 0
 * if it does not. */
int pid_file_take(const char *path, struct pid_file *ret, pid_t *ret_pid);
/* Removes it if it is still ours. */
void pid_file_done(struct pid_file *p);
