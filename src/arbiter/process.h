/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starting, signalling and reaping one process: effects only. No retries, no timers, no restart decisions,
 * no logging. Signals go to the pidfd, or to the process group while the unreaped child holds its number;
 * never to a pid that was reaped. */

#include "arbiter/cgroup.h"
#include "arbiter/exec-context.h"

enum {
        PROCESS_FD_DEFAULT = -EBADF, /* stdin: /dev/null; stdout and stderr: inherited */
        PROCESS_FD_NULL = -1000,
};
#define PROCESS_LISTEN_FDS_MAX 1024

/* What the child has besides its context. All borrowed; the descriptors stay the caller's and stay
 * O_CLOEXEC. */
struct process_fds {
        int standard[3];          /* a descriptor or PROCESS_FD_* */
        const int *listen;        /* become 3 … 3+n-1: LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES */
        size_t n_listen;
        const char *listen_names; /* "a:b:c"; NULL: no LISTEN_FDNAMES */
        /* control link: becomes 3+n_listen, ARBITER_MAILBOX says so; -EBADF: none */
        int mailbox;
        const char *notify_socket; /* NOTIFY_SOCKET; NULL: none */
        usec_t watchdog;           /* WATCHDOG_USEC and WATCHDOG_PID; 0: none */
};
#define PROCESS_FDS_INIT                                                                                    \
        ((struct process_fds){.standard = {PROCESS_FD_DEFAULT, PROCESS_FD_DEFAULT, PROCESS_FD_DEFAULT},     \
                        .mailbox = -EBADF})

struct process {
        pid_t pid;                      /* also the process group unless keep_process_group; 0 once reaped */
        int pidfd;                      /* ours; readable when it has died; -EBADF once reaped */
        bool own_group;                 /* it leads a process group */
        bool foreign;                   /* somebody else's child: see process_adopt() */
        const struct cgroup_leaf *leaf; /* borrowed; NULL: none */
};
#define PROCESS_INIT ((struct process){ .pidfd = -EBADF })

enum process_end {
        PROCESS_EXITED,   /* status is the exit status */
        PROCESS_SIGNALED, /* status is the signal */
        PROCESS_UNKNOWN,  /* somebody else reaped it: status lost */
};

struct process_exit {
        enum process_end end;
        int status;
        bool core;     /* dumped core */
        bool oom_kill; /* its leaf counts an OOM kill, and it died by SIGKILL */
};

/* Runs c->path. When it returns 0 the program has been executed: a failing exec, or any step before, is the
 * return value, with the step in *ret_failure, and nothing is left behind. leaf may be NULL. Blocks until
 * the exec (about 0.1 ms); a child that is kept from it (SIGSTOP by another process of its user, a hung file
 * system) is continued, and killed after 5 s: -ETIMEDOUT. Any thread may call it. */
int process_spawn(
                const struct exec_context *c,
                const struct process_fds *fds,
                const struct cgroup_leaf *leaf,
                struct process *ret,
                struct exec_failure *ret_failure);

/* fork() of the program itself. 1 in the parent; 0 in the child, which is then in its leaf, session and
 * credentials (c may be NULL: unchanged), with default signal dispositions, an empty mask, no descriptors
 * but 0-2, fds->listen and the mailbox (*ret_mailbox in the child; untouched in the parent). The environment
 * is the parent's. A child in which a step fails leaves by _exit(exec_step_to_exit_status()). The child must
 * not return into code that owns the parent's descriptors or loops. */
int process_fork(
                const struct exec_context *c,
                const struct process_fds *fds,
                const struct cgroup_leaf *leaf,
                struct process *ret,
                int *ret_mailbox,
                struct exec_failure *ret_failure);

/* The process of another arbiter, whose descriptor was kept. Usually it is not our child, because that
 * one is dead: its parent (systemd) reaps it. The pidfd is taken on success. pid: as it was known; 0:
 * not. It has no leaf yet. -EBADMSG: the pidfd is of another process than that; -ENOTTY: it is no pidfd.
 * That it is dead is no error. */
int process_adopt(int pidfd, pid_t pid, bool own_group, struct process *ret);

/* How it ended, without reaping: the pid and the process group stay reserved, so that process_kill_all() may
 * end what is left. -EAGAIN while it lives. Of a process that is not our child -EBUSY: it is dead, and its
 * parent, which can tell how, has not reaped it yet; its pidfd reports EPOLLHUP then. */
int process_peek(const struct process *p, struct process_exit *ret);
/* The same, and reaps: pidfd closed, pid 0. -EAGAIN while it lives, -EBUSY as above. */
int process_reap(struct process *p, struct process_exit *ret);
/* Closes the pidfd of a process that is not to be reaped (in a forked child, or after adoption by somebody
 * else). */
void process_done(struct process *p);
/* Kills it and waits for its end, which takes no longer than the kernel does; then as process_reap(). */
void process_end(struct process *p);

/* By pidfd; SIGCONT follows SIGTERM and SIGABRT. -ESRCH once reaped; 0 for a zombie. */
int process_signal(const struct process *p, int signal);
/* SIGKILL for all: the leaf if there is one (also after the reaping), else process group and process (before
 * it only: then -ESRCH). A descendant that left both is out of reach. */
int process_kill_all(const struct process *p);

/* CPU time and resident memory, of itself alone, as /proc has them. -ESRCH once it is dead. */
int process_read_usage(const struct process *p, struct cgroup_usage *ret);

/* arbiterd only: descendants whose parents died become our children. */
int process_become_subreaper(void);
/* Reaps dead children that are nobody's: known(pid) true means that process_reap() will come for it. Stops
 * at the first known one (waitid() shows one zombie at a time), so call it on SIGCHLD *and* after each
 * process_reap(). At most 1000 a call. Returns how many were reaped. */
int process_reap_orphans(bool (*known)(pid_t pid, void *userdata), void *userdata);
