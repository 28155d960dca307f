/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process uses where it has no cgroup that could tell: from /proc, by its pid, and then asked of its
 * pidfd whether it was still that process. Only of itself, not of its children. Called by autoscale.c. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "arbiter/process.h"
#include "basic/fd.h"
#include "basic/pidfd.h"

/* Behind the name, which may hold anything: utime and stime are the 12th and 13th field from there, rss the
 * 22nd (proc_pid_stat(5)). */
#define SKIP_5 " %*s %*s %*s %*s %*s"

static int parse_stat(const char *text, uint64_t *ret_ticks, uint64_t *ret_pages) {
        const char *p = strrchr(text, ')');
        unsigned long long utime, stime, rss;
        int n;

        n = p ? sscanf(p + 1, " %*s" SKIP_5 SKIP_5 " %llu %llu" SKIP_5 " %*s %*s %*s %llu",
                               &utime, &stime, &rss)
              : 0;
        if (n != 3)
                return -EBADMSG;
        *ret_ticks = utime + stime;
        *ret_pages = rss;
        return 0;
}

int process_read_usage(const struct process *p, struct cgroup_usage *ret) {
        _cleanup_close_ int fd = -EBADF;
        char path[64], text[1024];
        uint64_t ticks, pages;
        ssize_t n;
        int r;

        if (p->pid <= 0 || p->pidfd < 0)
                return -ESRCH;
        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) p->pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return negative_errno();
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return negative_errno();
        text[n] = 0;
        r = parse_stat(text, &ticks, &pages);
        if (r >= 0)
                r = pidfd_signal(p->pidfd, 0);
        if (r < 0)
                return r;
        *ret = (struct cgroup_usage){
                .cpu_usec = ticks * USEC_PER_SEC / (uint64_t) sysconf(_SC_CLK_TCK),
                .memory_current = pages * (uint64_t) sysconf(_SC_PAGESIZE),
                .memory_peak = CGROUP_UNKNOWN,
                .oom_kill = CGROUP_UNKNOWN,
        };
        return 0;
}
