/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What runs in the child between clone and exec. Private to process.c. */

#include "arbiter/process.h"

/* All of it made by the parent beforehand. The child may write to it: it shares the parent's memory, or has
 * a copy. */
struct child_plan {
        const struct exec_context *context; /* NULL: only for process_fork() */
        char **argv, **envp;
        /* where the child writes its pid, CHILD_PID_DIGITS long; NULL: nowhere */
        char *listen_pid, *watchdog_pid;
        int *sources;                    /* become 3 … 3+n_sources-1 */
        size_t n_sources;
        int standard[3];
        int procs_fd;  /* cgroup.procs to move into; -EBADF: clone has done it */
        int status_fd; /* pipe for the failure; -EBADF: the memory is shared */
        pid_t parent;
        int first_realtime_signal; /* SIGRTMIN, which is a call of libc */
        bool exec;
        struct exec_failure failure;
};
#define CHILD_PID_DIGITS 11

/* All but the exec. 0, or a negative errno with plan->failure filled. */
int child_setup(struct child_plan *plan);
/* child_setup(), exec; a failure goes to plan->failure or the pipe. Its type is the entry of a cloned child.
 * */
_noreturn_ void child_main(void *plan);

/* clone3() of a child that runs child_main(plan) on the given stack, in our memory. The pid, or a negative
 * errno, which is -ENOSYS where the architecture has no code for it. */
struct clone_args;
long child_clone(struct clone_args *args, struct child_plan *plan);
/* Sets the signal mask, the two signals that glibc keeps for itself included, and says what it was. */
void child_signal_mask(const uint64_t *mask, uint64_t *ret_old);
