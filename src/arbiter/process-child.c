/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The child's side of process_spawn() and process_fork(). In the first case it runs in the parent's memory,
 * beside the parent's other threads, with the calling thread's TLS: so nothing here may call libc (errno,
 * locks, set*id() that signals the parent's threads), allocate, or be instrumented by a sanitizer. System
 * calls are made by hand. Only what is said to be for a forked child may use libc. */

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "arbiter/process-child.h"

#ifndef __has_attribute
#  define __has_attribute(x) 0
#endif
#if __has_attribute(disable_sanitizer_instrumentation)
#  define _child_code_ \
          __attribute__((no_sanitize("address", "undefined", "thread"), disable_sanitizer_instrumentation))
#else
#  define _child_code_ __attribute__((no_sanitize("address", "undefined", "thread")))
#endif

#ifndef CLOSE_RANGE_CLOEXEC
#  define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
/* Where ids were 16 bits wide once. */
#ifdef SYS_setgroups32
#  define CALL_SETGROUPS SYS_setgroups32
#  define CALL_SETRESGID SYS_setresgid32
#  define CALL_SETRESUID SYS_setresuid32
#else
#  define CALL_SETGROUPS SYS_setgroups
#  define CALL_SETRESGID SYS_setresgid
#  define CALL_SETRESUID SYS_setresuid
#endif
#define KERNEL_NSIG 64
/* struct sigaction of the kernel is at most 4 words on the architectures with 64 signals */
#define KERNEL_SIGACTION_WORDS 8

/* Five arguments are enough here. Returns the kernel's value: a negative errno on failure. */
_child_code_ static inline long child_syscall(long number, long a, long b, long c, long d, long e) {
#if defined(__x86_64__) && defined(__LP64__)
        long ret;
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;

        __asm__ volatile("syscall"
                         : "=a"(ret)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory");
        return ret;
#elif defined(__aarch64__)
        register long x8 __asm__("x8") = number;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;

        __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
        return x0;
#else
        /* Only after fork() here (child_clone() refuses), so errno is the child's own. */
        long ret = syscall(number, a, b, c, d, e);

        return ret < 0 ? -errno : ret;
#endif
}

#define CALL0(n) child_syscall(n, 0, 0, 0, 0, 0)
#define CALL1(n, a) child_syscall(n, (long) (a), 0, 0, 0, 0)
#define CALL2(n, a, b) child_syscall(n, (long) (a), (long) (b), 0, 0, 0)
#define CALL3(n, a, b, c) child_syscall(n, (long) (a), (long) (b), (long) (c), 0, 0)
#define CALL4(n, a, b, c, d) child_syscall(n, (long) (a), (long) (b), (long) (c), (long) (d), 0)
#define CALL5(n, a, b, c, d, e) child_syscall(n, (long) (a), (long) (b), (long) (c), (long) (d), (long) (e))

_noinline_ long child_clone(struct clone_args *args, struct child_plan *plan) {
#if defined(__x86_64__) && defined(__LP64__)
        long ret;

        /* The child comes back on its own stack and must not return from here: it calls child_main(), whose
         * frame is the first one there. */
        __asm__ volatile("syscall\n\t"
                         "testq %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "xorl %%ebp, %%ebp\n\t"
                         "movq %[plan], %%rdi\n\t"
                         "callq *%[entry]\n\t"
                         "ud2\n"
                         "1:"
                         : "=a"(ret)
                         : "a"((long) SYS_clone3), "D"(args), "S"(sizeof(*args)), [plan] "r"(plan),
                           [entry] "r"(child_main)
                         : "rcx", "r11", "memory", "cc");
        return ret;
#elif defined(__aarch64__)
        register long x8 __asm__("x8") = SYS_clone3;
        register long x0 __asm__("x0") = (long) args;
        register long x1 __asm__("x1") = (long) sizeof(*args);

        __asm__ volatile("svc #0\n\t"
                         "cbnz x0, 1f\n\t"
                         "mov x29, xzr\n\t"
                         "mov x0, %[plan]\n\t"
                         "blr %[entry]\n\t"
                         "brk #1\n"
                         "1:"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), [plan] "r"(plan), [entry] "r"(child_main)
                         : "x30", "memory", "cc");
        return x0;
#else
        return -ENOSYS;
#endif
}

_child_code_ void child_signal_mask(const uint64_t *mask, uint64_t *ret_old) {
        (void) CALL4(SYS_rt_sigprocmask, SIG_SETMASK, mask, ret_old, KERNEL_NSIG / 8);
}

_child_code_ static int failed(struct child_plan *p, enum exec_step step, long r, int detail) {
        p->failure.step = step;
        p->failure.error = (int) -r;
        p->failure.detail = detail;
        return (int) r;
}

/* CLONE_CLEAR_SIGHAND leaves what was ignored, and fork() everything. Between the classical and the first
 * real-time signal that is offered are libc's own: it installs their handlers once in a process, with the
 * first thread, and a forked child that lost them would die of its first setuid() or pthread_cancel(). */
_child_code_ static void reset_signals(int first_realtime) {
        uint64_t action[KERNEL_SIGACTION_WORDS] = {}; /* SIG_DFL */

        for (int i = 1; i <= KERNEL_NSIG; i++)
                if (i != SIGKILL && i != SIGSTOP && (i < __SIGRTMIN || i >= first_realtime))
                        (void) CALL4(SYS_rt_sigaction, i, action, NULL, KERNEL_NSIG / 8);
}

/* Above all targets, so that placing one descriptor never closes another. */
_child_code_ static int move_up(int *fd, long base) {
        long r;

        if (*fd < 0 || *fd >= base)
                return 0;
        r = CALL3(SYS_fcntl, *fd, F_DUPFD_CLOEXEC, base);
        if (r < 0)
                return (int) r;
        *fd = (int) r;
        return 0;
}

_child_code_ static int place_null(int target) {
        long fd, r;

        fd = CALL4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_NOCTTY, 0);
        if (fd < 0 || fd == target)
                return (int) fd;
        r = CALL3(SYS_dup3, fd, target, 0);
        (void) CALL1(SYS_close, fd);
        return (int) r;
}

_child_code_ static int place_standard(int from, int target) {
        if (from >= 0)
                return (int) CALL3(SYS_dup3, from, target, 0);
        if (from == PROCESS_FD_NULL || (from == PROCESS_FD_DEFAULT && target == STDIN_FILENO))
                return place_null(target);
        /* A closed one would be taken by the next file that the program opens. */
        if (CALL2(SYS_fcntl, target, F_GETFD) < 0)
                return place_null(target);
        return (int) CALL3(SYS_fcntl, target, F_SETFD, 0);
}

/* Old kernels and filters without close_range(). */
_child_code_ static void close_from_slowly(struct child_plan *p, long base) {
        uint64_t limit[2] = {};

        (void) CALL4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, limit);
        for (long fd = base; fd < (long) MIN(limit[0], (uint64_t) 1 << 20); fd++)
                if (p->exec)
                        (void) CALL3(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
                else
                        (void) CALL1(SYS_close, fd);
}

_child_code_ static int place_fds(struct child_plan *p) {
        static const enum exec_step steps[] = { EXEC_STEP_STDIN, EXEC_STEP_STDOUT, EXEC_STEP_STDERR };
        long base = 3 + (long) p->n_sources, r;

        for (size_t i = 0; i < p->n_sources; i++) {
                r = move_up(&p->sources[i], base);
                if (r < 0)
                        return failed(p, EXEC_STEP_FDS, r, 3 + (int) i);
        }
        for (int i = 0; i < 3; i++) {
                r = move_up(&p->standard[i], base);
                if (r < 0)
                        return failed(p, steps[i], r, 0);
        }
        r = move_up(&p->status_fd, base);
        if (r < 0)
                return failed(p, EXEC_STEP_FDS, r, 0);
        for (int i = 0; i < 3; i++) {
                r = place_standard(p->standard[i], i);
                if (r < 0)
                        return failed(p, steps[i], r, 0);
        }
        for (size_t i = 0; i < p->n_sources; i++) {
                r = CALL3(SYS_dup3, p->sources[i], 3 + i, 0);
                if (r < 0)
                        return failed(p, EXEC_STEP_FDS, r, 3 + (int) i);
        }
        /* Marking is enough before an exec, and the parent goes on before the kernel closes them. */
        r = CALL3(SYS_close_range, base, ~0U, p->exec ? CLOSE_RANGE_CLOEXEC : 0);
        if (r < 0)
                close_from_slowly(p, base);
        return 0;
}

_child_code_ static uint64_t wide_limit(rlim_t limit) {
        return limit == RLIM_INFINITY ? UINT64_MAX : limit;
}

_child_code_ static int apply_limits(struct child_plan *p) {
        const struct exec_context *c = p->context;
        uint64_t nofile[2];
        long r;

        for (int i = 0; i < (int) RLIM_NLIMITS; i++) {
                uint64_t value[2];

                if (!c->limits[i].set)
                        continue;
                value[0] = wide_limit(c->limits[i].value.rlim_cur);
                value[1] = wide_limit(c->limits[i].value.rlim_max);
                r = CALL4(SYS_prlimit64, 0, i, value, NULL);
                if (r < 0)
                        return failed(p, EXEC_STEP_LIMITS, r, i);
        }
        if (c->soft_nofile == 0 || c->limits[RLIMIT_NOFILE].set)
                return 0;
        r = CALL4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, nofile);
        if (r >= 0) {
                nofile[0] = MIN((uint64_t) c->soft_nofile, nofile[1]);
                r = CALL4(SYS_prlimit64, 0, RLIMIT_NOFILE, nofile, NULL);
        }
        return r < 0 ? failed(p, EXEC_STEP_LIMITS, r, RLIMIT_NOFILE) : 0;
}

/* Before an exec the calling thread is all that counts. A forked child has a libc of its own and may have
 * more threads, if an atfork handler starts one (a sanitizer's does): none may keep the rights. */
_child_code_ static long set_groups(const struct child_plan *p, size_t n, const gid_t *groups) {
        if (p->exec)
                return CALL2(CALL_SETGROUPS, n, groups);
        return setgroups(n, groups) < 0 ? -errno : 0;
}

_child_code_ static long set_gid(const struct child_plan *p, gid_t gid) {
        if (p->exec)
                return CALL3(CALL_SETRESGID, gid, gid, gid);
        return setresgid(gid, gid, gid) < 0 ? -errno : 0;
}

_child_code_ static long set_uid(const struct child_plan *p, uid_t uid) {
        if (p->exec)
                return CALL3(CALL_SETRESUID, uid, uid, uid);
        return setresuid(uid, uid, uid) < 0 ? -errno : 0;
}

_child_code_ static int apply_credentials(struct child_plan *p) {
        const struct exec_context *c = p->context;
        long r;

        if (c->has_gid) {
                r = set_groups(p, c->n_groups, c->groups);
                if (r < 0)
                        return failed(p, EXEC_STEP_SETGROUPS, r, 0);
                r = set_gid(p, c->gid);
                if (r < 0)
                        return failed(p, EXEC_STEP_SETGID, r, 0);
        }
        if (c->has_uid) {
                r = set_uid(p, c->uid);
                if (r < 0)
                        return failed(p, EXEC_STEP_SETUID, r, 0);
        }
        return 0;
}

_child_code_ static int apply_context(struct child_plan *p) {
        const struct exec_context *c = p->context;
        const char *directory = c->working_directory;
        long r;

        if (c->has_umask)
                (void) CALL1(SYS_umask, c->umask);
        if (c->has_nice) {
                r = CALL3(SYS_setpriority, PRIO_PROCESS, 0, c->nice);
                if (r < 0)
                        return failed(p, EXEC_STEP_NICE, r, 0);
        }
        r = apply_limits(p);
        if (r < 0)
                return (int) r;
        r = apply_credentials(p);
        if (r < 0)
                return (int) r;
        /* As the user: the directory may be one that root cannot enter (NFS). */
        if (!directory && p->exec)
                directory = "/";
        if (directory) {
                r = CALL1(SYS_chdir, directory);
                if (r < 0)
                        return failed(p, EXEC_STEP_CHDIR, r, 0);
        }
        if (c->parent_death_signal > 0) {
                /* After the credentials, whose change clears it. */
                r = CALL5(SYS_prctl, PR_SET_PDEATHSIG, c->parent_death_signal, 0, 0, 0);
                if (r < 0)
                        return failed(p, EXEC_STEP_PDEATHSIG, r, 0);
                if (CALL0(SYS_getppid) != p->parent)
                        return failed(p, EXEC_STEP_PDEATHSIG, -ESRCH, 0);
        }
        return 0;
}

_child_code_ int child_setup(struct child_plan *p) {
        static const uint64_t none = 0;
        long r;

        reset_signals(p->first_realtime_signal);
        if (p->procs_fd >= 0) {
                r = CALL3(SYS_write, p->procs_fd, "0", 1);
                if (r < 0)
                        return failed(p, EXEC_STEP_CGROUP, r, 0);
        }
        if (!p->context || !p->context->keep_process_group) {
                r = CALL0(SYS_setsid);
                if (r < 0)
                        return failed(p, EXEC_STEP_SESSION, r, 0);
        }
        r = place_fds(p);
        if (r < 0)
                return (int) r;
        if (p->context) {
                r = apply_context(p);
                if (r < 0)
                        return (int) r;
        }
        child_signal_mask(&none, NULL);
        return 0;
}

_child_code_ static void write_pid(char *to) {
        char digits[CHILD_PID_DIGITS];
        long pid;
        int n = 0;

        if (!to)
                return;
        pid = CALL0(SYS_getpid);
        do {
                digits[n++] = (char) ('0' + pid % 10);
                pid /= 10;
        } while (pid > 0 && n < CHILD_PID_DIGITS);
        while (n > 0)
                *to++ = digits[--n];
        *to = 0;
}

_child_code_ void child_main(void *plan) {
        struct child_plan *p = plan;
        long r;

        r = child_setup(p);
        if (r >= 0) {
                write_pid(p->listen_pid);
                write_pid(p->watchdog_pid);
                r = CALL3(SYS_execve, p->context->path, p->argv, p->envp);
                (void) failed(p, EXEC_STEP_EXEC, r, 0);
        }
        if (p->status_fd >= 0)
                (void) CALL3(SYS_write, p->status_fd, &p->failure, sizeof(p->failure));
        for (;;)
                (void) CALL1(SYS_exit_group, exec_step_to_exit_status(p->failure.step));
}
