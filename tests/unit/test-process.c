/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real processes, looked at from outside: /proc, descriptors, exit statuses. */

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "arbiter/process.h"
#include "basic/fd.h"
#include "basic/pidfd.h"
#include "test-util.h"

#define NOBODY 65534
#define TEXT_MAX 65536

static void context_of(struct exec_context *c, const char *const *argv) {
        size_t n = 0;

        exec_context_init(c);
        while (argv[n])
                n++;
        c->path = strdup(argv[0]);
        c->argv = calloc(n + 1, sizeof(char *));
        for (size_t i = 0; i < n; i++)
                c->argv[i] = strdup(argv[i]);
        (void) exec_context_set_env(c, "PATH", "/usr/bin:/bin");
        c->parent_death_signal = SIGKILL; /* a failing test leaves nothing behind */
}

#define CONTEXT(c, ...) context_of(c, (const char *const[]){ __VA_ARGS__, NULL })

static char *proc_file(pid_t pid, const char *name) {
        char path[64], *text = NULL;

        (void) snprintf(path, sizeof(path), "/proc/%ld/%s", (long) pid, name);
        if (read_file_full(AT_FDCWD, path, TEXT_MAX, &text, NULL) < 0)
                return NULL;
        return text;
}

/* The rest of the line that starts with the key, blanks squeezed. */
static void proc_field(pid_t pid, const char *file, const char *key, char *ret, size_t size) {
        _cleanup_free_ char *text = proc_file(pid, file);
        const char *p = text ? strstr(text, key) : NULL;
        size_t n = 0;

        ret[0] = 0;
        if (!p)
                return;
        for (p += strlen(key); *p && *p != '\n' && n + 2 < size; p++) {
                if (*p != ' ' && *p != '\t')
                        ret[n++] = *p;
                else if (n > 0 && ret[n - 1] != ' ')
                        ret[n++] = ' ';
        }
        while (n > 0 && ret[n - 1] == ' ')
                n--;
        ret[n] = 0;
}

static void assert_field(pid_t pid, const char *file, const char *key, const char *expected) {
        char value[256];

        proc_field(pid, file, key, value, sizeof(value));
        assert_string_equal(value, expected);
}

static void assert_env(pid_t pid, const char *name, const char *expected) {
        char path[64], *text = NULL;
        const char *found = NULL;
        size_t size = 0, n = strlen(name);

        (void) snprintf(path, sizeof(path), "/proc/%ld/environ", (long) pid);
        assert_ok(read_file_full(AT_FDCWD, path, TEXT_MAX, &text, &size));
        for (const char *p = text; p < text + size; p += strlen(p) + 1)
                if (strncmp(p, name, n) == 0 && p[n] == '=')
                        found = p + n + 1;
        if (expected) {
                assert_non_null(found);
                assert_string_equal(found, expected);
        } else
                assert_null(found);
        free(text);
}

/* "0 1 2 3": which descriptors a process has, in order, except the one given. */
static void list_fds(const char *dir, int except, char *ret, size_t size) {
        DIR *d = opendir(dir);
        struct dirent *e;
        bool have[256] = {};
        size_t n = 0;

        assert_non_null(d);
        while ((e = readdir(d)))
                if (e->d_name[0] != '.' && atol(e->d_name) < 256 && atol(e->d_name) != except &&
                    (strcmp(dir, "/proc/self/fd") != 0 || atol(e->d_name) != dirfd(d)))
                        have[atol(e->d_name)] = true;
        (void) closedir(d);
        ret[0] = 0;
        for (int i = 0; i < 256 && n + 5 < size; i++)
                if (have[i])
                        n += (size_t) snprintf(ret + n, size - n, "%s%d", n ? " " : "", i);
}

static void list_own_fds(char *ret, size_t size) {
        list_fds("/proc/self/fd", -1, ret, size);
}

static void assert_same_file(pid_t pid, int fd, int own) {
        char path[64];
        struct stat a, b;

        (void) snprintf(path, sizeof(path), "/proc/%ld/fd/%d", (long) pid, fd);
        assert_int_equal(stat(path, &a), 0);
        assert_int_equal(fstat(own, &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
}

static void await_death(const struct process *p) {
        struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

        assert_int_equal(poll(&pfd, 1, 60000), 1);
}

static void await_eof(int fd) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        char buffer[256];
        ssize_t n;

        do {
                assert_int_equal(poll(&pfd, 1, 60000), 1);
                n = read(fd, buffer, sizeof(buffer));
        } while (n > 0);
        assert_int_equal(n, 0);
}

static void end_process(struct process *p, struct process_exit *ret) {
        struct process_exit e;

        assert_ok(process_kill_all(p));
        await_death(p);
        assert_ok(process_reap(p, ret ?: &e));
        assert_int_equal(p->pidfd, -EBADF);
}

static void spawn_ok(const struct exec_context *c, const struct process_fds *fds, struct process *ret) {
        static const struct process_fds none = PROCESS_FDS_INIT;
        struct exec_failure f = {};
        char text[EXEC_FAILURE_STRING_MAX];
        int r;

        r = process_spawn(c, fds ?: &none, NULL, ret, &f);
        if (r < 0)
                fail_msg("%s", exec_failure_format(&f, c, text, sizeof(text)));
}

static void assert_no_children(void) {
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

/* process_spawn() returns when the child has left our memory; the kernel then still closes what is O_CLOEXEC
 * and lays out the new stack, and /proc shows that. */
static void await_settled(pid_t pid, const char *expected_fds) {
        char dir[64], have[1024];

        (void) snprintf(dir, sizeof(dir), "/proc/%ld/fd", (long) pid);
        for (int i = 0; i < 1000000; i++) {
                _cleanup_free_ char *command = proc_file(pid, "cmdline");

                list_fds(dir, -1, have, sizeof(have));
                if (streq(have, expected_fds) && command && command[0] != 0)
                        return;
                (void) sched_yield();
        }
        assert_string_equal(have, expected_fds);
}

static void test_descriptors_and_environment(void **state) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_context c;
        struct process p;
        struct process_exit e;
        int pipes[2][2], listen[2];
        char pid[32];

        /* the lowest free numbers, in the wrong order: each is the target of another */
        assert_int_equal(pipe2(pipes[0], O_CLOEXEC), 0);
        assert_int_equal(pipe2(pipes[1], O_CLOEXEC), 0);
        listen[0] = pipes[1][0];
        listen[1] = pipes[0][1];
        fds.listen = listen;
        fds.n_listen = 2;
        fds.listen_names = "web:admin";
        fds.mailbox = pipes[0][0];
        fds.notify_socket = "@some/where";
        fds.watchdog = 30000000;
        CONTEXT(&c, "/bin/sleep", "1000");
        assert_ok(exec_context_set_env(&c, "LISTEN_FDS", "77"));
        assert_ok(exec_context_set_env(&c, "NOTIFY_SOCKET", "/spoof"));
        assert_ok(exec_context_set_env(&c, "KEPT", "a=b"));
        free(c.argv[0]);
        c.argv[0] = strdup("renamed");
        spawn_ok(&c, &fds, &p);

        await_settled(p.pid, "0 1 2 3 4 5");
        assert_same_file(p.pid, 3, listen[0]);
        assert_same_file(p.pid, 4, listen[1]);
        assert_same_file(p.pid, 5, fds.mailbox);
        (void) snprintf(pid, sizeof(pid), "%ld", (long) p.pid);
        assert_env(p.pid, "LISTEN_FDS", "2");
        assert_env(p.pid, "LISTEN_PID", pid);
        assert_env(p.pid, "LISTEN_FDNAMES", "web:admin");
        assert_env(p.pid, "ARBITER_MAILBOX", "5");
        assert_env(p.pid, "NOTIFY_SOCKET", "@some/where");
        assert_env(p.pid, "WATCHDOG_USEC", "30000000");
        assert_env(p.pid, "WATCHDOG_PID", pid);
        assert_env(p.pid, "KEPT", "a=b");
        assert_env(p.pid, "HOME", NULL);
        {
                _cleanup_free_ char *command = proc_file(p.pid, "cmdline");

                assert_string_equal(command, "renamed");
        }
        end_process(&p, &e);
        assert_int_equal(e.end, PROCESS_SIGNALED);
        assert_int_equal(e.status, SIGKILL);
        assert_false(e.oom_kill);
        close_many(pipes[0], 2);
        close_many(pipes[1], 2);
        exec_context_free(&c);
}

static void test_standard_descriptors(void **state) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_context c;
        struct process p;
        struct process_exit e;
        struct stat null;
        char path[64], text[64] = "";
        struct stat st;
        int pipe_fds[2];

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        fds.standard[1] = fds.standard[2] = pipe_fds[1];
        CONTEXT(&c, "/bin/sh", "-c", "echo out; echo err >&2; read x || echo eof");
        spawn_ok(&c, &fds, &p);
        await_death(&p);
        assert_int_equal(read(pipe_fds[0], text, sizeof(text) - 1), 12);
        assert_string_equal(text, "out\nerr\neof\n");
        assert_ok(process_peek(&p, &e));
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.end, PROCESS_EXITED);
        assert_int_equal(e.status, 0);
        exec_context_free(&c);

        fds.standard[0] = pipe_fds[0];
        fds.standard[1] = PROCESS_FD_NULL;
        fds.standard[2] = PROCESS_FD_INHERIT;
        CONTEXT(&c, "/bin/sleep", "1000");
        spawn_ok(&c, &fds, &p);
        assert_same_file(p.pid, 0, pipe_fds[0]);
        assert_same_file(p.pid, 2, STDERR_FILENO);
        (void) snprintf(path, sizeof(path), "/proc/%ld/fd/1", (long) p.pid);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(stat("/dev/null", &null), 0);
        assert_int_equal(st.st_rdev, null.st_rdev);
        end_process(&p, NULL);
        close_many(pipe_fds, 2);
        exec_context_free(&c);
}

static void ignore(int signo) {
}

static void test_signals_and_session(void **state) {
        struct exec_context c;
        struct process p;
        sigset_t set, old, now;

        assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
        assert_true(signal(SIGUSR2, ignore) != SIG_ERR);
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
        CONTEXT(&c, "/bin/sleep", "1000");
        spawn_ok(&c, NULL, &p);
        assert_int_equal(sigprocmask(SIG_SETMASK, &old, &now), 0);
        assert_int_equal(sigismember(&now, SIGUSR1), 1);
        assert_int_equal(sigismember(&now, SIGTERM), 0);
        assert_field(p.pid, "status", "SigBlk:", "0000000000000000");
        assert_field(p.pid, "status", "SigIgn:", "0000000000000000");
        assert_field(p.pid, "status", "SigCgt:", "0000000000000000");
        assert_int_equal(getsid(p.pid), p.pid);
        assert_int_equal(getpgid(p.pid), p.pid);
        end_process(&p, NULL);

        c.keep_process_group = true;
        spawn_ok(&c, NULL, &p);
        assert_int_equal(getpgid(p.pid), getpgrp());
        end_process(&p, NULL);
        (void) signal(SIGPIPE, SIG_DFL);
        (void) signal(SIGUSR2, SIG_DFL);
        exec_context_free(&c);
}

static void test_credentials(void **state) {
        struct exec_failure f = {};
        struct exec_context c;
        struct process p;
        char text[EXEC_FAILURE_STRING_MAX];

        if (geteuid() != 0)
                skip();
        CONTEXT(&c, "/bin/sleep", "1000");
        c.user = strdup("nobody");
        c.supplementary_groups = calloc(3, sizeof(char *));
        c.supplementary_groups[0] = strdup("daemon");
        c.supplementary_groups[1] = strdup("4242");
        assert_ok(exec_context_resolve(&c, &f));
        assert_ok(exec_context_resolve(&c, &f));
        assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
        spawn_ok(&c, NULL, &p);
        assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
        assert_field(p.pid, "status", "Uid:", "65534 65534 65534 65534");
        assert_field(p.pid, "status", "Gid:", "65534 65534 65534 65534");
        assert_field(p.pid, "status", "\nGroups:", "1 4242 65534");
        assert_field(p.pid, "status", "CapEff:", "0000000000000000");
        await_settled(p.pid, "0 1 2");
        assert_env(p.pid, "USER", "nobody");
        assert_env(p.pid, "HOME", "/nonexistent");
        end_process(&p, NULL);
        assert_int_equal(geteuid(), 0);

        free(c.group);
        c.group = strdup("no-such-group");
        assert_errno(exec_context_resolve(&c, &f), ENOENT);
        assert_int_equal(f.step, EXEC_STEP_GROUP);
        assert_string_equal(exec_failure_format(&f, &c, text, sizeof(text)),
                            "group 'no-such-group' failed: No such file or directory");
        free(c.user);
        c.user = strdup("no-such-user");
        assert_errno(exec_context_resolve(&c, &f), ESRCH);
        assert_int_equal(f.step, EXEC_STEP_USER);
        exec_context_free(&c);
}

static void test_limits_and_place(void **state) {
        struct exec_context c;
        struct process p;
        char path[64], cwd[256] = "";

        CONTEXT(&c, "/bin/sleep", "1000");
        c.working_directory = strdup("/usr");
        c.has_umask = c.has_nice = true;
        c.umask = 0027;
        c.nice = 7;
        c.limits[RLIMIT_CORE] = (struct exec_limit){ true, { 4096, 8192 } };
        c.soft_nofile = 321;
        spawn_ok(&c, NULL, &p);
        assert_field(p.pid, "status", "Umask:", "0027");
        assert_int_equal(getpriority(PRIO_PROCESS, (id_t) p.pid), 7);
        assert_field(p.pid, "limits", "Max core file size", "4096 8192 bytes");
        {
                char value[64];

                proc_field(p.pid, "limits", "Max open files", value, sizeof(value));
                assert_memory_equal(value, "321 ", 4);
        }
        (void) snprintf(path, sizeof(path), "/proc/%ld/cwd", (long) p.pid);
        assert_true(readlink(path, cwd, sizeof(cwd) - 1) > 0);
        assert_string_equal(cwd, "/usr");
        end_process(&p, NULL);
        exec_context_free(&c);
}

static void assert_spawn_fails(
                const struct exec_context *c,
                const struct process_fds *fds,
                int error,
                enum exec_step step,
                const char *words) {

        static const struct process_fds none = PROCESS_FDS_INIT;
        char before[1024], after[1024], text[EXEC_FAILURE_STRING_MAX];
        struct process p = PROCESS_INIT;
        struct exec_failure f = {};

        list_own_fds(before, sizeof(before));
        assert_errno(process_spawn(c, fds ?: &none, NULL, &p, &f), error);
        assert_string_equal(exec_step_to_string(f.step), exec_step_to_string(step));
        assert_int_equal(f.error, error);
        if (words)
                assert_string_equal(exec_failure_format(&f, c, text, sizeof(text)), words);
        assert_int_equal(p.pid, 0);
        list_own_fds(after, sizeof(after));
        assert_string_equal(before, after);
        assert_no_children();
}

static void test_failures(void **state) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_context c;
        struct rlimit limit;

        CONTEXT(&c, "/no/such/program");
        assert_spawn_fails(&c, NULL, ENOENT, EXEC_STEP_EXEC,
                           "exec '/no/such/program' failed: No such file or directory");
        exec_context_free(&c);
        CONTEXT(&c, "/etc/passwd");
        assert_spawn_fails(&c, NULL, EACCES, EXEC_STEP_EXEC, "exec '/etc/passwd' failed: Permission denied");
        exec_context_free(&c);
        CONTEXT(&c, "relative");
        assert_spawn_fails(&c, NULL, EINVAL, EXEC_STEP_ARGUMENTS, NULL);
        exec_context_free(&c);

        CONTEXT(&c, "/bin/true");
        c.working_directory = strdup("/no/where");
        assert_spawn_fails(&c, NULL, ENOENT, EXEC_STEP_CHDIR,
                           "chdir to '/no/where' failed: No such file or directory");
        free(TAKE_PTR(c.working_directory));
        c.limits[RLIMIT_CORE] = (struct exec_limit){ true, { 2, 1 } };
        assert_spawn_fails(
                        &c, NULL, EINVAL, EXEC_STEP_LIMITS, "limits 'LimitCORE' failed: Invalid argument");
        c.limits[RLIMIT_CORE].set = false;
        c.parent_death_signal = 99;
        assert_spawn_fails(&c, NULL, EINVAL, EXEC_STEP_PDEATHSIG, NULL);
        c.parent_death_signal = 0;

        fds.standard[2] = 9999;
        assert_spawn_fails(&c, &fds, EBADF, EXEC_STEP_STDERR, NULL);
        fds.standard[2] = PROCESS_FD_DEFAULT;
        fds.mailbox = 9999;
        assert_spawn_fails(&c, &fds, EBADF, EXEC_STEP_FDS, "fds '3' failed: Bad file descriptor");
        fds.mailbox = -EBADF;
        fds.n_listen = PROCESS_LISTEN_FDS_MAX + 1;
        assert_spawn_fails(&c, &fds, E2BIG, EXEC_STEP_FDS, NULL);

        /* no descriptor left */
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 3, limit.rlim_max }), 0);
        {
                struct exec_failure f = {};
                struct process p;
                int r;

                fds.n_listen = 0;
                r = process_spawn(&c, &fds, NULL, &p, &f);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
                assert_errno(r, EMFILE);
                assert_int_equal(f.step, EXEC_STEP_CLONE);
        }
        assert_no_children();
        exec_context_free(&c);
}

/* Runs a function in a forked child, whose exit status it asserts. */
static void in_child(int (*function)(void)) {
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(function());
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static int spawn_unprivileged(void) {
        static const struct {
                bool has_gid, has_uid, nice;
                enum exec_step step;
        } cases[] = {
                { true, true, false, EXEC_STEP_SETGROUPS },
                { false, true, false, EXEC_STEP_SETUID },
                { false, false, true, EXEC_STEP_NICE },
        };
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_context c;

        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
                        setresuid(NOBODY, NOBODY, NOBODY) < 0)
                return 1;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct exec_failure f = {};
                struct process p;
                int r;

                CONTEXT(&c, "/bin/true");
                c.has_gid = cases[i].has_gid;
                c.has_uid = cases[i].has_uid;
                c.has_nice = cases[i].nice;
                c.nice = -5;
                r = process_spawn(&c, &fds, NULL, &p, &f);
                exec_context_free(&c);
                if ((r != -EPERM && r != -EACCES) || f.step != cases[i].step)
                        return 2 + (int) i;
        }
        CONTEXT(&c, "/bin/true"); /* naming oneself is no change */
        c.user = strdup("nobody");
        if (exec_context_resolve(&c, NULL) < 0 || c.has_uid || c.has_gid)
                return 9;
        exec_context_free(&c);
        return 0;
}

static void test_failures_without_privileges(void **state) {
        if (geteuid() != 0)
                skip();
        in_child(spawn_unprivileged);
}

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
        assert_int_equal(exec_step_from_exit_status(e.status), EXEC_STEP_CHDIR);
        assert_int_equal(exec_step_from_exit_status(0), EXEC_STEP_NONE);
        close_many(pipe_fds, 2);
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

/* A process of the user that the child turns into stops every pid that may come next. */
_noreturn_ static void stop_others(const pid_t *last) {
        if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
                _exit(1);
        for (;;) {
                pid_t pid = __atomic_load_n(last, __ATOMIC_RELAXED);

                for (pid_t i = 1; i < 6; i++)
                        (void) kill(pid + i, SIGSTOP);
        }
}

static void test_stopped_on_the_way(void **state) {
        struct exec_context c;
        pid_t *last, stopper;

        if (geteuid() != 0)
                skip();
        CONTEXT(&c, "/bin/sleep", "1000");
        c.user = strdup("nobody");
        assert_ok(exec_context_resolve(&c, NULL));
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

                spawn_ok(&c, NULL, &p);
                __atomic_store_n(last, p.pid, __ATOMIC_RELAXED);
                end_process(&p, &e);
                assert_int_equal(e.status, SIGKILL);
        }
        (void) kill(stopper, SIGKILL);
        assert_int_equal(waitpid(stopper, NULL, 0), stopper);
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
                cmocka_unit_test(test_descriptors_and_environment),
                cmocka_unit_test(test_standard_descriptors),
                cmocka_unit_test(test_signals_and_session),
                cmocka_unit_test(test_credentials),
                cmocka_unit_test(test_limits_and_place),
                cmocka_unit_test(test_failures),
                cmocka_unit_test(test_failures_without_privileges),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_threads),
                cmocka_unit_test(test_kill_group),
                cmocka_unit_test(test_kill_rest_of_group),
                cmocka_unit_test(test_stopped_process_takes_sigterm),
                cmocka_unit_test(test_status_lost),
                cmocka_unit_test(test_fork),
                cmocka_unit_test(test_without_clone3),
                cmocka_unit_test(test_stopped_on_the_way),
                cmocka_unit_test(test_reap_orphans),
                cmocka_unit_test(test_parent_death_signal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
