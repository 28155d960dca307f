/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parent's side of starting a process, and its end. Called by the spawners and by arbiterd. Must never
 * decide anything: no retry, timer, restart or log.
 *
 * process_spawn() uses CLONE_VM, which costs the same whatever the size of the parent, but neither vfork()
 * nor CLONE_VFORK: from its setuid() to its exec the child may be stopped by any process of its new user,
 * and a vfork()ing parent would then hang until somebody continued it. So the child has a stack of its own,
 * and the parent waits with a time limit on the futex that the kernel clears and wakes when the child leaves
 * the shared memory (CLONE_CHILD_CLEARTID: at exec or exit). */

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "arbiter/process-child.h"
#include "basic/fd.h"
#include "basic/pidfd.h"
#include "basic/time-util.h"

#define CHILD_STACK_SIZE 16384
#define NUDGE_INTERVAL (10 * USEC_PER_MSEC)
#define EXEC_TIMEOUT (5 * USEC_PER_SEC)
#define ORPHANS_PER_CALL 1000

/* While the child of a spawn has dropped its privileges and still shares our memory, only the cleared
 * "dumpable" flag of that memory keeps its user from reading and writing it (ptrace, /proc/PID/mem). Whoever
 * sets the flag again must know that no such child is left: one spawn with credentials at a time. */
static pthread_mutex_t credentials_lock = PTHREAD_MUTEX_INITIALIZER;

static int failed(struct exec_failure *ret_failure, enum exec_step step, int r) {
        if (ret_failure)
                *ret_failure = (struct exec_failure){ .step = step, .error = -r };
        return r;
}

static bool is_own_variable(const char *e) {
        static const char *const names[] = {
                "ARBITER_MAILBOX=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=",
                "NOTIFY_SOCKET=",   "WATCHDOG_PID=", "WATCHDOG_USEC=",
        };

        if (e[0] != 'A' && e[0] != 'L' && e[0] != 'N' && e[0] != 'W')
                return false;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (startswith(e, names[i]))
                        return true;
        return false;
}

#define OWN_VARIABLES 7
#define OWN_VARIABLE_SIZE 40 /* "NAME=" and a number of 20 digits */

struct environment {
        char **at;        /* the next entry */
        char *text, *end; /* room for strings of our own */
};

static _printf_(2, 3) void add_variable(struct environment *e, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(e->text, (size_t) (e->end - e->text), format, ap);
        va_end(ap);
        assert(n >= 0 && n < e->end - e->text); /* make_environment() has summed it up */
        *e->at++ = e->text;
        e->text += n + 1;
}

/* "NAME=" with room for a pid, which only the child knows. */
static char *add_pid_variable(struct environment *e, const char *name) {
        char *value;

        add_variable(e, "%s=", name);
        value = e->text - 1;
        e->text += CHILD_PID_DIGITS;
        return value;
}

/* The context's environment and what the descriptors need said, in one allocation. */
static int make_environment(
                const struct exec_context *c,
                const struct process_fds *fds,
                struct child_plan *plan,
                char ***ret) {

        size_t n = 0, size = OWN_VARIABLES * OWN_VARIABLE_SIZE;
        struct environment e;
        char **envp;

        while (c->environment && c->environment[n])
                n++;
        size += fds->listen_names ? strlen(fds->listen_names) : 0;
        size += fds->notify_socket ? strlen(fds->notify_socket) : 0;
        envp = malloc((n + OWN_VARIABLES + 1) * sizeof(*envp) + size);
        if (!envp)
                return -ENOMEM;
        e = (struct environment){ .at = envp, .text = (char *) (envp + n + OWN_VARIABLES + 1) };
        e.end = e.text + size;
        for (size_t i = 0; i < n; i++)
                if (!is_own_variable(c->environment[i]))
                        *e.at++ = c->environment[i];
        if (fds->n_listen > 0) {
                add_variable(&e, "LISTEN_FDS=%zu", fds->n_listen);
                plan->listen_pid = add_pid_variable(&e, "LISTEN_PID");
                if (fds->listen_names)
                        add_variable(&e, "LISTEN_FDNAMES=%s", fds->listen_names);
        }
        if (fds->notify_socket)
                add_variable(&e, "NOTIFY_SOCKET=%s", fds->notify_socket);
        if (fds->watchdog > 0) {
                add_variable(&e, "WATCHDOG_USEC=%" PRIu64, fds->watchdog);
                plan->watchdog_pid = add_pid_variable(&e, "WATCHDOG_PID");
        }
        if (fds->mailbox >= 0)
                add_variable(&e, "ARBITER_MAILBOX=%zu", 3 + fds->n_listen);
        *e.at = NULL;
        *ret = envp;
        return 0;
}

/* The descriptors in the order of their targets. */
static int make_sources(const struct process_fds *fds, struct child_plan *plan, int **ret) {
        size_t n = fds->n_listen + (fds->mailbox >= 0);
        int *sources;

        if (fds->n_listen > PROCESS_LISTEN_FDS_MAX)
                return -E2BIG;
        sources = calloc(n + 1, sizeof(*sources));
        if (!sources)
                return -ENOMEM;
        for (size_t i = 0; i < fds->n_listen; i++)
                sources[i] = fds->listen[i];
        if (fds->mailbox >= 0)
                sources[n - 1] = fds->mailbox;
        plan->sources = *ret = sources;
        plan->n_sources = n;
        plan->first_realtime_signal = SIGRTMIN;
        memcpy(plan->standard, fds->standard, sizeof(plan->standard));
        return 0;
}

static int open_leaf_procs(const struct cgroup_leaf *leaf) {
        return cgroup_leaf_exists(leaf) ? cgroup_leaf_open_procs(leaf) : -EBADF;
}

static struct process new_process(
                const struct exec_context *c,
                const struct cgroup_leaf *leaf,
                pid_t pid,
                int pidfd) {

        return (struct process){
                .pid = pid,
                .pidfd = pidfd,
                .own_group = !c || !c->keep_process_group,
                .leaf = cgroup_leaf_exists(leaf) ? leaf : NULL,
        };
}

/* One more round of waiting is over. Continues the child, or in the end kills it. */
static void nudge(int pidfd, usec_t begin, bool *killed) {
        if (*killed || now_usec() - begin < EXEC_TIMEOUT)
                (void) pidfd_signal(pidfd, SIGCONT);
        else {
                (void) pidfd_signal(pidfd, SIGKILL);
                *killed = true;
        }
}

static void await_release(uint32_t *tid, int pidfd, bool *killed) {
        static const struct timespec interval = { .tv_nsec = NUDGE_INTERVAL * NSEC_PER_USEC };
        usec_t begin = 0;

        while (__atomic_load_n(tid, __ATOMIC_ACQUIRE) != 0) {
                /* not FUTEX_PRIVATE_FLAG: the kernel's wake is not */
                if (syscall(SYS_futex, tid, FUTEX_WAIT, 1, &interval, NULL, 0) == 0 || errno != ETIMEDOUT)
                        continue;
                if (begin == 0)
                        begin = now_usec();
                nudge(pidfd, begin, killed);
        }
}

/* The child has failed, or must not live: ends it and takes it off the process table. */
static void discard_child(pid_t pid, int pidfd) {
        siginfo_t info;

        if (pidfd >= 0) {
                (void) pidfd_signal(pidfd, SIGKILL);
                (void) pidfd_wait(pidfd, 0, &info);
                close_fd(pidfd);
                return;
        }
        (void) kill(pid, SIGKILL); /* our child, not reaped: nobody else has this pid */
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

static int finish_spawn(
                struct child_plan *plan,
                bool killed,
                const struct cgroup_leaf *leaf,
                pid_t pid,
                int pidfd,
                struct process *ret) {

        if (killed && plan->failure.step == EXEC_STEP_NONE)
                plan->failure = (struct exec_failure){ .step = EXEC_STEP_TIMEOUT, .error = ETIMEDOUT };
        if (plan->failure.step != EXEC_STEP_NONE) {
                discard_child(pid, pidfd);
                return -plan->failure.error;
        }
        *ret = new_process(plan->context, leaf, pid, pidfd);
        return 0;
}

/* Setting credentials clears "dumpable", in shared memory for us too; without it there is no core dump of
 * us. */
static void restore_dumpable(int dumpable) {
        if (dumpable == 1 && prctl(PR_GET_DUMPABLE) != 1)
                (void) prctl(PR_SET_DUMPABLE, 1);
}

static bool means_no_clone3(long r) {
        return r == -ENOSYS || r == -EPERM || r == -EINVAL || r == -E2BIG;
}

static _noinline_ int spawn_by_clone(
                struct child_plan *plan,
                const struct cgroup_leaf *leaf,
                struct process *ret) {

        static const uint64_t all = UINT64_MAX;
        uint8_t stack[CHILD_STACK_SIZE] __attribute__((aligned(64)));
        bool lock = plan->context->has_uid || plan->context->has_gid, killed = false;
        _cleanup_close_ int leaf_fd = -EBADF;
        uint32_t tid = 1;
        uint64_t old_mask;
        int pidfd = -EBADF, dumpable = 1;
        struct clone_args args = {
                .flags = CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_CHILD_CLEARTID,
                .pidfd = (uintptr_t) &pidfd,
                .child_tid = (uintptr_t) &tid,
                .exit_signal = SIGCHLD,
                .stack = (uintptr_t) stack,
                .stack_size = sizeof(stack),
        };
        long pid;

        if (cgroup_leaf_exists(leaf)) {
                leaf_fd = cgroup_leaf_open(leaf);
                if (leaf_fd < 0)
                        return failed(&plan->failure, EXEC_STEP_CGROUP, leaf_fd);
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t) leaf_fd;
        }
        if (lock) {
                (void) pthread_mutex_lock(&credentials_lock);
                dumpable = prctl(PR_GET_DUMPABLE);
        }
        child_signal_mask(&all, &old_mask);
        pid = child_clone(&args, plan);
        if (pid > 0)
                await_release(&tid, pidfd, &killed);
        child_signal_mask(&old_mask, NULL);
        if (lock) {
                restore_dumpable(dumpable);
                (void) pthread_mutex_unlock(&credentials_lock);
        }
        if (pid < 0) {
                bool cgroup = leaf_fd >= 0 &&
                              (pid == -EBUSY || pid == -EACCES || pid == -ENOENT || pid == -EBADF ||
                                              pid == -ENODEV || pid == -EOPNOTSUPP);

                return failed(&plan->failure, cgroup ? EXEC_STEP_CGROUP : EXEC_STEP_CLONE, (int) pid);
        }
        return finish_spawn(plan, killed, leaf, (pid_t) pid, pidfd, ret);
}

/* Until the pipe closes (exec) or brings the failure. */
static void await_pipe(int fd, int pidfd, struct exec_failure *failure, bool *killed) {
        usec_t begin = now_usec();

        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                struct exec_failure got;

                if (poll(&p, 1, (int) (NUDGE_INTERVAL / USEC_PER_MSEC)) <= 0) {
                        nudge(pidfd, begin, killed);
                        continue;
                }
                /* below PIPE_BUF: never in pieces */
                if (read(fd, &got, sizeof(got)) == (ssize_t) sizeof(got))
                        *failure = got;
                return;
        }
}

/* For architectures and system call filters without clone3(). */
static int spawn_by_fork(struct child_plan *plan, const struct cgroup_leaf *leaf, struct process *ret) {
        static const uint64_t all = UINT64_MAX;
        _cleanup_close_ int procs_fd = -EBADF, read_fd = -EBADF, write_fd = -EBADF;
        int pipe_fds[2], pidfd;
        uint64_t old_mask;
        bool killed = false;
        pid_t pid;

        plan->failure = (struct exec_failure){};
        procs_fd = open_leaf_procs(leaf);
        if (procs_fd < 0 && cgroup_leaf_exists(leaf))
                return failed(&plan->failure, EXEC_STEP_CGROUP, procs_fd);
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return failed(&plan->failure, EXEC_STEP_CLONE, negative_errno());
        read_fd = pipe_fds[0];
        write_fd = pipe_fds[1];
        plan->procs_fd = procs_fd;
        plan->status_fd = write_fd;

        child_signal_mask(&all, &old_mask);
        pid = fork();
        if (pid == 0)
                child_main(plan);
        if (pid < 0) {
                int r = negative_errno();

                child_signal_mask(&old_mask, NULL);
                return failed(&plan->failure, EXEC_STEP_CLONE, r);
        }
        child_signal_mask(&old_mask, NULL);
        pidfd = pidfd_open_pid(pid);
        if (pidfd < 0) {
                discard_child(pid, -EBADF);
                return failed(&plan->failure, EXEC_STEP_CLONE, pidfd);
        }
        write_fd = close_fd(write_fd);
        await_pipe(read_fd, pidfd, &plan->failure, &killed);
        return finish_spawn(plan, killed, leaf, pid, pidfd, ret);
}

int process_spawn(
                const struct exec_context *c,
                const struct process_fds *fds,
                const struct cgroup_leaf *leaf,
                struct process *ret,
                struct exec_failure *ret_failure) {

        struct child_plan plan = { .context = c, .procs_fd = -EBADF, .status_fd = -EBADF, .exec = true };
        _cleanup_free_ char **envp = NULL;
        _cleanup_free_ int *sources = NULL;
        int r;

        if (!c->path || c->path[0] != '/' || !c->argv || !c->argv[0])
                return failed(ret_failure, EXEC_STEP_ARGUMENTS, -EINVAL);
        r = make_sources(fds, &plan, &sources);
        if (r < 0)
                return failed(ret_failure, r == -ENOMEM ? EXEC_STEP_MEMORY : EXEC_STEP_FDS, r);
        r = make_environment(c, fds, &plan, &envp);
        if (r < 0)
                return failed(ret_failure, EXEC_STEP_MEMORY, r);
        plan.argv = c->argv;
        plan.envp = envp;
        plan.parent = getpid();

        r = spawn_by_clone(&plan, leaf, ret);
        if (r < 0 && plan.failure.step == EXEC_STEP_CLONE && means_no_clone3(r))
                r = spawn_by_fork(&plan, leaf, ret);
        if (r < 0 && ret_failure)
                *ret_failure = plan.failure;
        return r;
}

/* What the child of process_fork() does before it returns. */
static int become_child(struct child_plan *plan, const struct process_fds *fds, int *ret_mailbox) {
        if (child_setup(plan) < 0)
                _exit(exec_step_to_exit_status(plan->failure.step));
        free(plan->sources);
        *ret_mailbox = fds->mailbox >= 0 ? 3 + (int) fds->n_listen : -EBADF;
        return 0;
}

/* A thread that an atfork handler starts inherits the mask, and would not hear of a setresuid() that waits
 * for all of them. */
static uint64_t all_but_libc_signals(void) {
        uint64_t mask = UINT64_MAX;

        for (int i = __SIGRTMIN; i < SIGRTMIN; i++)
                mask &= ~(UINT64_C(1) << (i - 1));
        return mask;
}

int process_fork(
                const struct exec_context *c,
                const struct process_fds *fds,
                const struct cgroup_leaf *leaf,
                struct process *ret,
                int *ret_mailbox,
                struct exec_failure *ret_failure) {

        struct child_plan plan = {.context = c, .procs_fd = -EBADF, .status_fd = -EBADF, .parent = getpid()};
        _cleanup_close_ int procs_fd = -EBADF;
        int *sources, pidfd, r;
        uint64_t mask = all_but_libc_signals(), old_mask;
        pid_t pid;

        procs_fd = open_leaf_procs(leaf);
        if (procs_fd < 0 && cgroup_leaf_exists(leaf))
                return failed(ret_failure, EXEC_STEP_CGROUP, procs_fd);
        plan.procs_fd = procs_fd;
        r = make_sources(fds, &plan, &sources);
        if (r < 0)
                return failed(ret_failure, r == -ENOMEM ? EXEC_STEP_MEMORY : EXEC_STEP_FDS, r);

        child_signal_mask(&mask, &old_mask);
        (void) pthread_mutex_lock(&credentials_lock); /* so that no other thread holds it in the child */
        pid = fork();
        r = pid < 0 ? negative_errno() : 0;
        (void) pthread_mutex_unlock(&credentials_lock);
        if (pid == 0) {
                TAKE_FD(procs_fd); /* child_setup() closes all */
                return become_child(&plan, fds, ret_mailbox);
        }
        child_signal_mask(&old_mask, NULL);
        free(sources);
        if (r < 0)
                return failed(ret_failure, EXEC_STEP_CLONE, r);
        pidfd = pidfd_open_pid(pid);
        if (pidfd < 0) {
                discard_child(pid, -EBADF);
                return failed(ret_failure, EXEC_STEP_CLONE, pidfd);
        }
        *ret = new_process(c, leaf, pid, pidfd);
        return 1;
}

int process_adopt(int pidfd, pid_t pid, bool own_group, struct process *ret) {
        siginfo_t info;
        pid_t now = 0;
        int r;

        r = pidfd_get_pid(pidfd, &now);
        if (r < 0 && r != -ESRCH)
                return r;
        if (r >= 0 && pid > 0 && now != pid)
                return -EBADMSG;
        *ret = (struct process){
                .pid = pid > 0 ? pid : now,
                .pidfd = pidfd,
                .own_group = own_group,
                /* of a program that has executed another one in its place it still is */
                .foreign = pidfd_wait(pidfd, WNOHANG | WNOWAIT, &info) == -ECHILD,
        };
        return 0;
}

static void note_oom(const struct process *p, struct process_exit *ret) {
        struct cgroup_usage usage;

        if (p->leaf && ret->end == PROCESS_SIGNALED && ret->status == SIGKILL &&
            cgroup_leaf_read_usage(p->leaf, &usage) >= 0)
                ret->oom_kill = usage.oom_kill != CGROUP_UNKNOWN && usage.oom_kill > 0;
}

static int wait_foreign(const struct process *p, struct process_exit *ret) {
        int status, r;

        r = pidfd_get_exit(p->pidfd, &status);
        if (r == -EAGAIN || r == -EBUSY)
                return r;
        *ret = (struct process_exit){ .end = PROCESS_UNKNOWN };
        if (r < 0)
                return 0;
        if (WIFEXITED(status)) {
                ret->end = PROCESS_EXITED;
                ret->status = WEXITSTATUS(status);
        } else {
                ret->end = PROCESS_SIGNALED;
                ret->status = WTERMSIG(status);
                ret->core = WCOREDUMP(status);
        }
        note_oom(p, ret);
        return 0;
}

static int wait_process(const struct process *p, int options, struct process_exit *ret) {
        siginfo_t info;
        int r;

        if (p->foreign)
                return wait_foreign(p, ret);
        r = pidfd_wait(p->pidfd, options | WNOHANG, &info);
        if (r == -ECHILD) {
                *ret = (struct process_exit){ .end = PROCESS_UNKNOWN };
                return 0;
        }
        if (r < 0)
                return r;
        *ret = (struct process_exit){
                .end = info.si_code == CLD_EXITED ? PROCESS_EXITED : PROCESS_SIGNALED,
                .status = info.si_status,
                .core = info.si_code == CLD_DUMPED,
        };
        note_oom(p, ret);
        return 0;
}

int process_peek(const struct process *p, struct process_exit *ret) {
        return wait_process(p, WNOWAIT, ret);
}

int process_reap(struct process *p, struct process_exit *ret) {
        int r;

        r = wait_process(p, 0, ret);
        if (r < 0)
                return r;
        process_done(p);
        return 0;
}

void process_end(struct process *p) {
        struct process_exit e;

        (void) process_kill_all(p);
        while (process_peek(p, &e) == -EAGAIN) {
                struct pollfd fd = { .fd = p->pidfd, .events = POLLIN };

                (void) poll(&fd, 1, -1);
        }
        if (process_reap(p, &e) < 0) /* somebody else's child, and dead */
                process_done(p);
}

void process_done(struct process *p) {
        p->pidfd = close_fd(p->pidfd);
        p->pid = 0;
}

int process_signal(const struct process *p, int signal) {
        int r;

        if (p->pidfd < 0)
                return -ESRCH;
        r = pidfd_signal(p->pidfd, signal);
        if (r >= 0 && (signal == SIGTERM || signal == SIGABRT))
                (void) pidfd_signal(p->pidfd, SIGCONT);
        return r;
}

/* While this is true nobody else can have its pid, nor a process group of that number. */
static bool is_unreaped_child(const struct process *p) {
        siginfo_t info;

        return p->pidfd >= 0 && pidfd_wait(p->pidfd, WNOHANG | WNOWAIT, &info) != -ECHILD;
}

static int kill_foreign(const struct process *p) {
        int r = pidfd_signal(p->pidfd, SIGKILL);

        /* While it is signalled at all its number is its own. */
        if (p->own_group && pidfd_signal_group(p->pidfd, SIGKILL) == -EOPNOTSUPP && r >= 0 && p->pid > 0)
                (void) kill(-p->pid, SIGKILL);
        return r;
}

int process_kill_all(const struct process *p) {
        int r = -ESRCH;

        if (p->leaf)
                r = cgroup_leaf_kill(p->leaf);
        if (p->foreign && p->pidfd >= 0) {
                int q = kill_foreign(p);

                return p->leaf ? r : q;
        }
        if (!is_unreaped_child(p))
                return r;
        /* first and in any case the process: a forked one may not have come into its leaf or session yet */
        if (pidfd_signal(p->pidfd, SIGKILL) >= 0 && !p->leaf)
                r = 0;
        if (p->own_group)
                (void) kill(-p->pid, SIGKILL);
        return r;
}

int process_become_subreaper(void) {
        return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? negative_errno() : 0;
}

int process_reap_orphans(bool (*known)(pid_t pid, void *userdata), void *userdata) {
        int n = 0;

        while (n < ORPHANS_PER_CALL) {
                siginfo_t info = {};

                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
                        if (errno == EINTR)
                                continue;
                        return errno == ECHILD ? n : negative_errno();
                }
                if (info.si_pid == 0 || known(info.si_pid, userdata))
                        return n;
                (void) waitpid(info.si_pid, NULL, WNOHANG);
                n++;
        }
        return n;
}
