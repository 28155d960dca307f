/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real processes, looked at from outside: many at once, forked ones, their kills and deaths. */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "basic/pidfd.h"
#include "test-process-util.h"

static void test_many(void **state) {
        char before[1024], after[1024];
        struct exec_context c;

        CONTEXT(&c, "/bin/true");
        list_own_fds(before, sizeof(before));
        for (int i = 0; i < 2000; i++) {
                struct process_exit e;
                struct process p;

                spawn_ok(&c, NULL, &p);
                await_death(&p);
                assert_ok(process_reap(&p, &e));
                assert_int_equal(e.end, PROCESS_EXITED);
                assert_int_equal(e.status, 0);
        }
        list_own_fds(after, sizeof(after));
        assert_string_equal(before, after);
        assert_no_children();
        exec_context_free(&c);
}

struct spawner {
        const struct exec_context *context;
        int n_good, n_bad;
};

static void *spawn_in_thread(void *userdata) {
        struct spawner *s = userdata;

        for (int i = 0; i < 100; i++) {
                struct process_fds fds = PROCESS_FDS_INIT;
                struct process p;
                struct process_exit e;
                struct pollfd pfd = { .events = POLLIN };

                if (process_spawn(s->context, &fds, NULL, &p, NULL) < 0) {
                        s->n_bad++;
                        continue;
                }
                pfd.fd = p.pidfd;
                if (poll(&pfd, 1, 60000) == 1 && process_reap(&p, &e) == 0 && e.end == PROCESS_EXITED &&
                    e.status == 0)
                        s->n_good++;
        }
        return NULL;
}

static void *allocate_in_thread(void *userdata) {
        while (__atomic_load_n((int *) userdata, __ATOMIC_RELAXED)) {
                char *p = malloc(64 + (size_t) rand() % 4096);

                if (p)
                        *(volatile char *) p = 1;
                free(p);
        }
        return NULL;
}

static void test_threads(void **state) {
        struct exec_context good, user, bad;
        struct spawner spawners[4];
        pthread_t threads[4], allocator;
        int running = 1;

        CONTEXT(&good, "/bin/true");
        CONTEXT(&user, "/bin/true");
        CONTEXT(&bad, "/no/such/program");
        if (geteuid() == 0) {
                user.user = strdup("nobody");
                assert_ok(exec_context_resolve(&user, NULL));
        }
        spawners[0] = (struct spawner){ .context = &good };
        spawners[1] = (struct spawner){ .context = &user };
        spawners[2] = (struct spawner){ .context = &user };
        spawners[3] = (struct spawner){ .context = &bad };
        assert_int_equal(pthread_create(&allocator, NULL, allocate_in_thread, &running), 0);
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, spawn_in_thread, &spawners[i]), 0);
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        __atomic_store_n(&running, 0, __ATOMIC_RELAXED);
        assert_int_equal(pthread_join(allocator, NULL), 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(spawners[i].n_good, 100);
        assert_int_equal(spawners[3].n_bad, 100);
        assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
        assert_int_equal(geteuid(), getuid());
        assert_no_children();
        exec_context_free(&good);
        exec_context_free(&user);
        exec_context_free(&bad);
}

static void spawn_script(const char *script, int *ret_fd, struct process *ret) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_context c;
        int pipe_fds[2];

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        fds.standard[1] = pipe_fds[1];
        CONTEXT(&c, "/bin/sh", "-c", script);
        spawn_ok(&c, &fds, ret);
        close_fd(pipe_fds[1]);
        *ret_fd = pipe_fds[0];
        exec_context_free(&c);
}

static void test_kill_group(void **state) {
        struct process_exit e;
        struct process p;
        char word[16];
        int fd;

        /* a grandchild whose parent has gone; all of them hold the pipe */
        spawn_script("(sleep 1000 & sleep 1000 & echo ready) & wait; exec sleep 1000", &fd, &p);
        assert_int_equal(read(fd, word, sizeof(word)), 6);
        assert_errno(process_peek(&p, &e), EAGAIN);
        assert_errno(process_reap(&p, &e), EAGAIN);
        assert_ok(process_kill_all(&p));
        await_eof(fd);
        await_death(&p);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.status, SIGKILL);
        assert_errno(process_kill_all(&p), ESRCH);
        assert_errno(process_signal(&p, SIGTERM), ESRCH);
        close_fd(fd);
}

static void test_kill_rest_of_group(void **state) {
        struct process_exit e;
        struct process p;
        int fd;

        spawn_script("sleep 1000 & exit 3", &fd, &p);
        await_death(&p);
        assert_ok(process_peek(&p, &e));
        assert_int_equal(e.end, PROCESS_EXITED);
        assert_int_equal(e.status, 3);
        assert_ok(process_signal(&p, SIGTERM)); /* a zombie takes it */
        assert_ok(process_kill_all(&p));
        await_eof(fd);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.status, 3);
        close_fd(fd);
}

static void test_stopped_process_takes_sigterm(void **state) {
        struct process_exit e;
        struct process p;
        siginfo_t info;
        int fd;

        spawn_script("exec sleep 1000", &fd, &p);
        assert_ok(process_signal(&p, SIGSTOP));
        assert_int_equal(waitid(P_PID, (id_t) p.pid, &info, WSTOPPED), 0);
        assert_ok(process_signal(&p, SIGTERM));
        await_death(&p);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.end, PROCESS_SIGNALED);
        assert_int_equal(e.status, SIGTERM);
        close_fd(fd);
}

static void test_status_lost(void **state) {
        struct process_exit e;
        struct process p;
        int fd;

        spawn_script("exit 5", &fd, &p);
        assert_int_equal(waitpid(p.pid, NULL, 0), p.pid);
        assert_errno(process_kill_all(&p), ESRCH);
        assert_errno(process_signal(&p, SIGTERM), ESRCH);
        assert_ok(process_peek(&p, &e));
        assert_int_equal(e.end, PROCESS_UNKNOWN);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.end, PROCESS_UNKNOWN);
        close_fd(fd);
}

/* In the child of process_fork(): what it sees, in one line. */
_noreturn_ static void report_self(int mailbox) {
        char fds[512], line[1024];
        sigset_t mask;
        struct sigaction action;
        int n;

        list_own_fds(fds, sizeof(fds));
        (void) sigprocmask(SIG_SETMASK, NULL, &mask);
        (void) sigaction(SIGUSR2, NULL, &action);
        n = snprintf(line, sizeof(line), "fds=%s mailbox=%d session=%d masked=%d default=%d uid=%d", fds,
                        mailbox, getsid(0) == getpid(), sigismember(&mask, SIGUSR1),
                        action.sa_handler == SIG_DFL, (int)getuid());
        _exit(write(mailbox, line, (size_t) n) == n ? 0 : 1);
}

static void test_fork(void **state) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_context c;
        struct process p = PROCESS_INIT;
        struct process_exit e;
        sigset_t set, old;
        char line[1024] = "", expected[1024];
        int pipe_fds[2], mailbox = -1, r;

        exec_context_init(&c);
        if (geteuid() == 0) {
                c.user = strdup("nobody");
                assert_ok(exec_context_resolve(&c, NULL));
        }
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        fds.listen = &pipe_fds[0];
        fds.n_listen = 1;
        fds.mailbox = pipe_fds[1];
        (void) signal(SIGUSR2, ignore);
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        (void) sigprocmask(SIG_BLOCK, &set, &old);
        r = process_fork(&c, &fds, NULL, &p, &mailbox, NULL);
        if (r == 0)
                report_self(mailbox);
        (void) sigprocmask(SIG_SETMASK, &old, NULL);
        (void) signal(SIGUSR2, SIG_DFL);
        assert_int_equal(r, 1);
        assert_int_equal(mailbox, -1);
        await_death(&p);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.end, PROCESS_EXITED);
        assert_int_equal(e.status, 0);
        assert_true(read(pipe_fds[0], line, sizeof(line) - 1) > 0);
        (void) snprintf(expected, sizeof(expected),
                        "fds=0 1 2 3 4 mailbox=4 session=1 masked=0 default=1 uid=%d",
                        geteuid() == 0 ? NOBODY : (int) getuid());
        assert_string_equal(line, expected);

        c.working_directory = strdup("/no/where");
        r = process_fork(&c, &fds, NULL, &p, &mailbox, NULL);
        if (r == 0)
                _exit(0);
        assert_int_equal(r, 1);
        await_death(&p);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.end, PROCESS_EXITED);
        assert_int_equal(e.status, exec_step_to_exit_status(EXEC_STEP_CHDIR));
        close_many(pipe_fds, 2);
        exec_context_free(&c);
}

static void test_identity(void **state) {
        struct process_identity own = {}, again = {}, other = {};
        struct process_exit e;
        struct process p;
        pid_t pid;
        int fd;

        spawn_script("exec sleep 1000", &fd, &p);
        assert_ok(process_identity_read(getpid(), &own));
        assert_ok(process_identity_read(getpid(), &again));
        assert_ok(process_identity_read(p.pid, &other));
        assert_true(own.start_time > 0 && *own.cgroup);
        assert_true(process_identity_equal(&own, &again));
        assert_false(process_identity_equal(&own, &other)); /* started later, at least by a tick */
        process_identity_done(&again);
        assert_false(process_identity_equal(&own, &again));
        assert_false(process_identity_equal(&again, &again)); /* nobody is nobody's equal */
        pid = p.pid;
        end_process(&p, &e);
        assert_errno(process_identity_read(pid, &again), ESRCH);
        process_identity_done(&own);
        process_identity_done(&other);
        close_fd(fd);
}

static void *wait_for_ever(void *userdata) {
        for (;;)
                (void) pause();
        return NULL;
}

/* libc signals the other threads by a signal of its own, whose handler it installed before the fork. */
static int change_ids_beside_a_thread(void) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
                return 1;
        if (setresgid(getgid(), getgid(), getgid()) < 0 || pthread_cancel(thread) != 0)
                return 2;
        return pthread_join(thread, NULL) == 0 ? 0 : 3;
}

static void test_fork_beside_threads(void **state) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct process p = PROCESS_INIT;
        struct process_exit e;
        struct exec_context c;
        pthread_t thread;
        int mailbox, r;

        exec_context_init(&c);
        assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
        assert_int_equal(pthread_cancel(thread), 0); /* libc's handlers are there from now on */
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(setresgid(getgid(), getgid(), getgid()), 0);
        r = process_fork(&c, &fds, NULL, &p, &mailbox, NULL);
        if (r == 0)
                _exit(change_ids_beside_a_thread());
        assert_int_equal(r, 1);
        await_death(&p);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.end, PROCESS_EXITED);
        assert_int_equal(e.status, 0);
        exec_context_free(&c);
}

static bool thread_at_fork;

static void start_thread_at_fork(void) {
        pthread_t thread;

        if (thread_at_fork && pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
                _exit(1);
}

/* Nor has any other thread of it. */
static int assert_no_thread_is_root(void) {
        DIR *d = opendir("/proc/self/task");
        unsigned n = 0;
        struct dirent *e;

        while (d && (e = readdir(d))) {
                char path[48], uids[64];

                if (e->d_name[0] == '.')
                        continue;
                (void) snprintf(path, sizeof(path), "task/%ld/status", atol(e->d_name));
                proc_field(getpid(), path, "Uid:", uids, sizeof(uids));
                if (!streq(uids, "65534 65534 65534 65534"))
                        return 1;
                n++;
        }
        return n >= 2 ? 0 : 2;
}

static void test_fork_with_threads(void **state) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct process p = PROCESS_INIT;
        struct process_exit e;
        struct exec_context c;
        int mailbox, r;

        if (geteuid() != 0)
                skip();
        exec_context_init(&c);
        c.user = strdup("nobody");
        assert_ok(exec_context_resolve(&c, NULL));
        assert_int_equal(pthread_atfork(NULL, NULL, start_thread_at_fork), 0);
        thread_at_fork = true;
        r = process_fork(&c, &fds, NULL, &p, &mailbox, NULL);
        if (r == 0)
                _exit(assert_no_thread_is_root());
        thread_at_fork = false;
        assert_int_equal(r, 1);
        await_death(&p);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.end, PROCESS_EXITED);
        assert_int_equal(e.status, 0);
        exec_context_free(&c);
}

static bool deny_calls(int error) {
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned) error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { ELEMENTSOF(filter), filter };

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int spawn_without_clone3(int error) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_failure f = {};
        struct exec_context c, bad;
        struct process_exit e;
        struct process p;
        char before[1024], after[1024], text[64] = "";
        struct pollfd pfd = { .events = POLLIN };
        int pipe_fds[2], other[2];

        if (!deny_calls(error) || pipe2(pipe_fds, O_CLOEXEC) < 0 || pipe(other) < 0)
                return 1;
        CONTEXT(&c, "/bin/sh", "-c", "echo $LISTEN_FDS $(ls /proc/$$/fd)");
        CONTEXT(&bad, "/no/such/program");
        list_own_fds(before, sizeof(before));
        fds.standard[1] = pipe_fds[1];
        fds.listen = other;
        fds.n_listen = 1;
        if (process_spawn(&c, &fds, NULL, &p, &f) < 0)
                return 2;
        pfd.fd = p.pidfd;
        if (poll(&pfd, 1, 60000) != 1 || process_reap(&p, &e) < 0 || e.end != PROCESS_EXITED ||
                        e.status != 0)
                return 3;
        if (read(pipe_fds[0], text, sizeof(text) - 1) <= 0 || strncmp(text, "1 0 1 2 3", 9) != 0)
                return 4;
        if (process_spawn(&bad, &fds, NULL, &p, &f) != -ENOENT || f.step != EXEC_STEP_EXEC)
                return 5;
        list_own_fds(after, sizeof(after));
        if (!streq(before, after) || waitpid(-1, NULL, WNOHANG) != -1)
                return 6;
        exec_context_free(&c);
        exec_context_free(&bad);
        return 0;
}

static int spawn_with_enosys(void) {
        return spawn_without_clone3(ENOSYS);
}

static int spawn_with_eperm(void) {
        return spawn_without_clone3(EPERM);
}

static void test_without_clone3(void **state) {
        in_child(spawn_with_enosys);
        in_child(spawn_with_eperm);
}

/* A process of the user that the child turns into stops every pid that may come next. That user is nobody
 * else's: other tests have processes of "nobody". */
#define STOPPED_USER 64321

_noreturn_ static void stop_others(const pid_t *last) {
        if (setresuid(STOPPED_USER, STOPPED_USER, STOPPED_USER) < 0 ||
                        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                _exit(1);
        for (;;) {
                pid_t pid = __atomic_load_n(last, __ATOMIC_RELAXED);

                for (pid_t i = 1; i < 6; i++)
                        (void) kill(pid + i, SIGSTOP);
        }
}

/* Stopped again and again it may not get on: it is killed after some seconds then, which is the answer. */
static bool spawn_despite_stops(const struct exec_context *c, struct process *ret) {
        static const struct process_fds none = PROCESS_FDS_INIT;
        struct exec_failure f = {};
        int r;

        r = process_spawn(c, &none, NULL, ret, &f);
        if (r >= 0)
                return true;
        assert_int_equal(r, -ETIMEDOUT);
        assert_int_equal(f.step, EXEC_STEP_TIMEOUT);
        return false;
}

static void test_stopped_on_the_way(void **state) {
        struct exec_context c;
        pid_t *last, stopper;

        if (geteuid() != 0)
                skip();
        CONTEXT(&c, "/bin/sleep", "1000");
        c.has_uid = true;
        c.uid = STOPPED_USER;
        last = mmap(NULL, sizeof(*last), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(last != MAP_FAILED);
        *last = 1 << 22;
        stopper = fork();
        if (stopper == 0)
                stop_others(last);
        assert_true(stopper > 0);
        __atomic_store_n(last, stopper, __ATOMIC_RELAXED);
        for (int i = 0; i < 50; i++) {
                struct process_exit e;
                struct process p;

                if (!spawn_despite_stops(&c, &p))
                        break;
                __atomic_store_n(last, p.pid, __ATOMIC_RELAXED);
                end_process(&p, &e);
                assert_int_equal(e.status, SIGKILL);
        }
        (void) kill(stopper, SIGKILL);
        assert_int_equal(waitpid(stopper, NULL, 0), stopper);
        assert_no_children();
        (void) munmap(last, sizeof(*last));
        exec_context_free(&c);
}

static bool is_pid(pid_t pid, void *userdata) {
        return pid == *(pid_t *) userdata;
}

static int reap_orphans(void) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_context c;
        struct process p;
        struct process_exit e;
        siginfo_t info = {};
        struct pollfd pfd = { .events = POLLIN };
        int n = 0, r;

        if (process_become_subreaper() < 0)
                return 1;
        CONTEXT(&c, "/bin/sh", "-c", "(sh -c 'exit 7' & sh -c 'exit 8' &); exit 0");
        if (process_spawn(&c, &fds, NULL, &p, NULL) < 0)
                return 2;
        exec_context_free(&c);
        pfd.fd = p.pidfd;
        if (poll(&pfd, 1, 60000) != 1)
                return 3;
        r = process_reap_orphans(is_pid, &p.pid);
        if (r < 0 || process_peek(&p, &e) < 0 || e.end != PROCESS_EXITED)
                return 4; /* the known one must be left alone */
        n += r;
        if (process_reap(&p, &e) < 0)
                return 5;
        while (n < 2) {
                pid_t none = 0;

                if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) < 0)
                        return 6;
                r = process_reap_orphans(is_pid, &none);
                if (r <= 0)
                        return 7;
                n += r;
        }
        return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 8;
}

static void test_reap_orphans(void **state) {
        in_child(reap_orphans);
}

static void test_parent_death_signal(void **state) {
        int report[2], go[2], pidfd, status;
        struct pollfd pfd = { .events = POLLIN };
        pid_t middle, pid = 0;

        assert_int_equal(pipe2(report, O_CLOEXEC), 0);
        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        middle = fork();
        if (middle == 0) {
                struct process_fds fds = PROCESS_FDS_INIT;
                struct exec_context c;
                struct process p;
                char byte;

                CONTEXT(&c, "/bin/sleep", "1000");
                c.parent_death_signal = SIGKILL;
                if (process_spawn(&c, &fds, NULL, &p, NULL) < 0 ||
                    write(report[1], &p.pid, sizeof(p.pid)) != (ssize_t) sizeof(p.pid))
                        _exit(1);
                (void) !read(go[0], &byte, 1);
                exec_context_free(&c);
                _exit(0);
        }
        assert_int_equal(read(report[0], &pid, sizeof(pid)), sizeof(pid));
        pidfd = pidfd_open_pid(pid);
        assert_ok(pidfd);
        {
                pid_t same = 0;

                assert_ok(pidfd_get_pid(pidfd, &same));
                assert_int_equal(same, pid);
        }
        assert_int_equal(write(go[1], "x", 1), 1);
        assert_int_equal(waitpid(middle, &status, 0), middle);
        assert_int_equal(status, 0);
        pfd.fd = pidfd;
        assert_int_equal(poll(&pfd, 1, 60000), 1);
        close_fd(pidfd);
        close_many(report, 2);
        close_many(go, 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_threads),
                cmocka_unit_test(test_kill_group),
                cmocka_unit_test(test_kill_rest_of_group),
                cmocka_unit_test(test_stopped_process_takes_sigterm),
                cmocka_unit_test(test_status_lost),
                cmocka_unit_test(test_identity),
                cmocka_unit_test(test_fork),
                cmocka_unit_test(test_fork_beside_threads),
                cmocka_unit_test(test_fork_with_threads),
                cmocka_unit_test(test_without_clone3),
                cmocka_unit_test(test_stopped_on_the_way),
                cmocka_unit_test(test_reap_orphans),
                cmocka_unit_test(test_parent_death_signal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
