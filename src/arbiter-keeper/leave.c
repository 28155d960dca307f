/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the keeper leaves behind for ExecStopPost= of its service, which has other powers than it has: names
 * of units. Called by main.c at the end. Must never name the unit of a process that is not the one of the
 * descriptor: numbers of processes are used again. */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <systemd/sd-login.h>

#include "arbiter-keeper/leave.h"
#include "basic/pidfd.h"
#include "basic/time-util.h"

#define PREFIX "u."

static int unit_of(int fd, bool user, char **ret) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        _cleanup_free_ char *unit = NULL;
        pid_t pid;
        int r;

        r = pidfd_get_pid(fd, &pid);
        if (r < 0)
                return r;
        r = user ? sd_pid_get_user_unit(pid, &unit) : sd_pid_get_unit(pid, &unit);
        if (r < 0)
                return r;
        if (poll(&p, 1, 0) != 0) /* else it has lived all the while, and the number was its own */
                return -ESRCH;
        *ret = TAKE_PTR(unit);
        return 0;
}

int leave_units(const struct table *t, bool user, const char *path) {
        _cleanup_close_ int file = -EBADF;

        file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file < 0)
                return negative_errno();
        LIST_FOREACH(k, &t->list, struct kept, list) {
                _cleanup_free_ char *unit = NULL;

                if (!startswith(k->name, PREFIX) || unit_of(k->fd, user, &unit) < 0)
                        continue;
                if (dprintf(file, "%s\n", unit) < 0)
                        return negative_errno();
        }
        return 0;
}
