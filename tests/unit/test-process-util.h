/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For tests of src/arbiter/process.c: contexts, what /proc says of a process, waiting for deaths. */

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "arbiter/process.h"
#include "basic/fd.h"
#include "test-util.h"

#define NOBODY 65534
#define TEXT_MAX 65536

static inline void context_of(struct exec_context *c, const char *const *argv) {
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

static inline char *proc_file(pid_t pid, const char *name) {
        char path[128], *text = NULL;

        (void) snprintf(path, sizeof(path), "/proc/%ld/%s", (long) pid, name);
        if (read_file_full(AT_FDCWD, path, TEXT_MAX, &text, NULL) < 0)
                return NULL;
        return text;
}

/* The rest of the line that starts with the key, blanks squeezed. */
static inline void proc_field(pid_t pid, const char *file, const char *key, char *ret, size_t size) {
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

static inline void assert_field(pid_t pid, const char *file, const char *key, const char *expected) {
        char value[256];

        proc_field(pid, file, key, value, sizeof(value));
        assert_string_equal(value, expected);
}

static inline void assert_env(pid_t pid, const char *name, const char *expected) {
        char path[128], *text = NULL;
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
static inline void list_fds(const char *dir, int except, char *ret, size_t size) {
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

static inline void list_own_fds(char *ret, size_t size) {
        list_fds("/proc/self/fd", -1, ret, size);
}

static inline void assert_same_file(pid_t pid, int fd, int own) {
        char path[64];
        struct stat a, b;

        (void) snprintf(path, sizeof(path), "/proc/%ld/fd/%d", (long) pid, fd);
        assert_int_equal(stat(path, &a), 0);
        assert_int_equal(fstat(own, &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
}

static inline void await_death(const struct process *p) {
        struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

        assert_int_equal(poll(&pfd, 1, 60000), 1);
}

static inline void await_eof(int fd) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        char buffer[256];
        ssize_t n;

        do {
                assert_int_equal(poll(&pfd, 1, 60000), 1);
                n = read(fd, buffer, sizeof(buffer));
        } while (n > 0);
        assert_int_equal(n, 0);
}

static inline void end_process(struct process *p, struct process_exit *ret) {
        struct process_exit e;

        assert_ok(process_kill_all(p));
        await_death(p);
        assert_ok(process_reap(p, ret ?: &e));
        assert_int_equal(p->pidfd, -EBADF);
}

static inline void spawn_ok(const struct exec_context *c, const struct process_fds *fds,
                struct process *ret) {
        static const struct process_fds none = PROCESS_FDS_INIT;
        struct exec_failure f = {};
        char text[EXEC_FAILURE_STRING_MAX];
        int r;

        r = process_spawn(c, fds ?: &none, NULL, ret, &f);
        if (r < 0)
                fail_msg("%s", exec_failure_format(&f, c, text, sizeof(text)));
}

static inline void assert_no_children(void) {
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

/* process_spawn() returns when the child has left our memory; the kernel then still closes what is O_CLOEXEC
 * and lays out the new stack, and /proc shows that. */
static inline void await_settled(pid_t pid, const char *expected_fds) {
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

/* Runs a function in a forked child, whose exit status it asserts. */
static inline void in_child(int (*function)(void)) {
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(function());
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static inline void ignore(int signo) {
}
