/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pidfds by raw system calls (glibc has wrappers from 2.36 on only). Used by whoever watches a process. Must
 * never turn a stored pid into a pidfd on its own account: see the header. */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "basic/fd.h"
#include "basic/pidfd.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* linux/pidfd.h of 6.15; older headers have none of it. */
struct info {
        uint64_t mask, cgroup_id;
        uint32_t pid, tgid, ppid, ids[8];
        int32_t exit_code;
};
#define GET_INFO _IOWR(0xFF, 11, struct info)
#define INFO_EXIT (UINT64_C(1) << 3)
#define SIGNAL_PROCESS_GROUP (1U << 2)

#define FDINFO_MAX 4096
#define PROC_FILE_MAX (64 * 1024)

int pidfd_open_pid(pid_t pid) {
        int fd = (int) syscall(SYS_pidfd_open, pid, 0U); /* always close-on-exec */

        return fd < 0 ? negative_errno() : fd;
}

int pidfd_signal(int pidfd, int signal) {
        if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0U) < 0)
                return negative_errno();
        return 0;
}

int pidfd_wait(int pidfd, int options, siginfo_t *ret) {
        siginfo_t info = {};
        int r;

        do
                r = waitid((idtype_t) P_PIDFD, (id_t) pidfd, &info, WEXITED | options);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return negative_errno();
        if (info.si_pid == 0)
                return -EAGAIN;
        *ret = info;
        return 0;
}

int pidfd_get_exit(int pidfd, int *ret_wait_status) {
        struct pollfd p = { .fd = pidfd, .events = POLLIN };
        struct info info = { .mask = INFO_EXIT };

        if (poll(&p, 1, 0) < 0)
                return negative_errno();
        if (p.revents & POLLNVAL)
                return -EBADF;
        if (!(p.revents & (POLLIN | POLLHUP)))
                return -EAGAIN;
        if (ioctl(pidfd, GET_INFO, &info) < 0)
                return -ENODATA;
        if (info.mask & INFO_EXIT) {
                *ret_wait_status = info.exit_code;
                return 0;
        }
        return p.revents & POLLHUP ? -ENODATA : -EBUSY;
}

int pidfd_signal_group(int pidfd, int signal) {
        if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, SIGNAL_PROCESS_GROUP) < 0)
                return errno == EINVAL ? -EOPNOTSUPP : negative_errno();
        return 0;
}

int pidfd_get_pid(int pidfd, pid_t *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *line;
        long pid;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        r = read_file_full(AT_FDCWD, path, FDINFO_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -EBADF : r;
        line = strstr(text, "\nPid:");
        if (!line)
                return -ENOTTY; /* a descriptor, but no pidfd */
        pid = strtol(line + strlen("\nPid:"), NULL, 10);
        if (pid <= 0)
                return -ESRCH;
        *ret = (pid_t) pid;
        return 0;
}

static int read_proc(pid_t pid, const char *name, char **ret) {
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%ld/%s", (long) pid, name);
        r = read_file_full(AT_FDCWD, path, PROC_FILE_MAX, ret, NULL);
        return r == -ENOENT ? -ESRCH : r;
}

/* The 22nd field; the second is the program's name in parentheses and may hold anything. */
static int parse_start_time(const char *stat, uint64_t *ret) {
        const char *p = strrchr(stat, ')');

        for (unsigned field = 2; p && field < 22; field++)
                p = strchr(p + 1, ' ');
        if (!p)
                return -EBADMSG;
        *ret = strtoull(p + 1, NULL, 10);
        return 0;
}

int process_identity_read(pid_t pid, struct process_identity *ret) {
        _cleanup_free_ char *stat = NULL, *cgroup = NULL;
        uint64_t start_time;
        int r;

        r = read_proc(pid, "stat", &stat);
        if (r >= 0)
                r = parse_start_time(stat, &start_time);
        if (r >= 0)
                r = read_proc(pid, "cgroup", &cgroup);
        if (r < 0)
                return r;
        *ret = (struct process_identity){ .start_time = start_time, .cgroup = TAKE_PTR(cgroup) };
        return 0;
}

bool process_identity_equal(const struct process_identity *a, const struct process_identity *b) {
        return a->cgroup && b->cgroup && a->start_time == b->start_time && streq(a->cgroup, b->cgroup);
}

void process_identity_done(struct process_identity *i) {
        free(i->cgroup);
        *i = (struct process_identity){};
}
