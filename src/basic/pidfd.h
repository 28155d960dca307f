/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* pidfds: the one handle on a process that cannot come to mean another one. A pid is turned into a pidfd
 * only while something holds the pid (our unreaped child, the pid that the caller itself verifies
 * afterwards). */

#include <signal.h>
#include <sys/types.h>

#include "basic/macro.h"

/* A descriptor (O_CLOEXEC), or -ESRCH, -EMFILE, -ENOSYS … Readable once the process has died. */
int pidfd_open_pid(pid_t pid);
/* -ESRCH once the process has been reaped, -EPERM. Signal 0 only asks. */
int pidfd_signal(int pidfd, int signal);
/* waitid(P_PIDFD) with WEXITED | options. -EAGAIN: WNOHANG was given and the process lives. -ECHILD: it is
 * no child of ours, or somebody else has reaped it. */
int pidfd_wait(int pidfd, int options, siginfo_t *ret);
/* The pid in our pid namespace, from fdinfo; -ESRCH once the process has been reaped. */
int pidfd_get_pid(int pidfd, pid_t *ret);
