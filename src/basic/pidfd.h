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
/* How a process that is nobody's child here has ended, as waitpid() would say it; for one whose
 * descriptor was open when it was reaped. -EAGAIN: it lives. -EBUSY: it is dead, but its parent has not
 * reaped it yet; the descriptor reports EPOLLHUP when that is done. -ENODATA: this kernel (before 6.15)
 * does not tell. */
int pidfd_get_exit(int pidfd, int *ret_wait_status);
/* The same as pidfd_signal() to the process group that it leads, also when it has been reaped itself.
 * -EOPNOTSUPP: this kernel (before 6.9) cannot. */
int pidfd_signal_group(int pidfd, int signal);
/* The pid in our pid namespace, from fdinfo; -ESRCH once the process has been reaped. */
int pidfd_get_pid(int pidfd, pid_t *ret);

/* What tells two processes of the same pid apart. Read by pid, so read again once there is a pidfd: when
 * both agree, and the pidfd still lives, all three are of one process. */
struct process_identity {
        uint64_t start_time; /* in ticks since boot */
        char *cgroup;        /* all of /proc/PID/cgroup */
};
/* -ESRCH: there is none. */
int process_identity_read(pid_t pid, struct process_identity *ret);
bool process_identity_equal(const struct process_identity *a, const struct process_identity *b);
void process_identity_done(struct process_identity *i);
