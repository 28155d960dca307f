/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real processes, looked at from outside: what a spawned one has been given, and how a spawn fails. */

#include <grp.h>
#include <sys/prctl.h>

#include "test-process-util.h"

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
        fds.standard[2] = PROCESS_FD_DEFAULT;
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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_descriptors_and_environment),
                cmocka_unit_test(test_standard_descriptors),
                cmocka_unit_test(test_signals_and_session),
                cmocka_unit_test(test_credentials),
                cmocka_unit_test(test_limits_and_place),
                cmocka_unit_test(test_failures),
                cmocka_unit_test(test_failures_without_privileges),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
