/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Leaf cgroups in a subtree of the machine's cgroup2 mount; skipped where there is none that we may write.
 * */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "arbiter/process.h"
#include "basic/fd.h"
#include "test-util.h"

static char base[256]; /* the subtree of this run; "": no cgroup2 to write to */

static int make_base(void **state) {
        static const char *const mounts[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
        char path[128];

        for (size_t i = 0; i < ELEMENTSOF(mounts) && base[0] == 0; i++) {
                (void) snprintf(path, sizeof(path), "%s/cgroup.procs", mounts[i]);
                (void) snprintf(base, sizeof(base), "%s/arbiter-test-%ld", mounts[i], (long) getpid());
                if (access(path, W_OK) < 0 || mkdir(base, 0755) < 0)
                        base[0] = 0;
        }
        return 0;
}

static int remove_base(void **state) {
        return base[0] == 0 || rmdir(base) == 0 ? 0 : -1;
}

static void open_root(struct cgroup_root *ret) {
        if (base[0] == 0)
                skip();
        assert_ok(cgroup_root_open(base, ret));
}

static void test_escape(void **state) {
        static const struct {
                const char *name, *escaped;
        } cases[] = {
                { "web.1", "web.1" },      { "cpu", "cpu" },        { "cpu.1", "_cpu.1" },
                { "_x", "__x" },           { ".x", "_.x" },         { "cgroup.procs", "_cgroup.procs" },
                { "tasks", "_tasks" },     { "cpux.1", "cpux.1" },  { "memory.max", "_memory.max" },
        };
        char long_name[300];
        char *s;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_ok(cgroup_escape(cases[i].name, &s));
                assert_string_equal(s, cases[i].escaped);
                free(s);
        }
        assert_errno(cgroup_escape("", &s), EINVAL);
        assert_errno(cgroup_escape("a/b", &s), EINVAL);
        memset(long_name, 'a', sizeof(long_name));
        long_name[256] = 0;
        assert_errno(cgroup_escape(long_name, &s), ENAMETOOLONG);
}

static void test_no_subtree(void **state) {
        struct cgroup_root root;

        assert_errno(cgroup_root_open("/usr", &root), EOPNOTSUPP);
        assert_errno(cgroup_root_open("/no/where", &root), ENOENT);
}

static void test_make_and_remove(void **state) {
        struct cgroup_root root;
        struct cgroup_leaf leaf, other;
        struct cgroup_usage usage;

        open_root(&root);
        assert_ok(cgroup_leaf_make(&root, "cpu.1", &leaf));
        assert_string_equal(leaf.name, "_cpu.1");
        assert_errno(cgroup_leaf_make(&root, "cpu.1", &other), EEXIST);
        assert_ok(cgroup_leaf_attach(&root, "cpu.1", &other));
        assert_int_equal(cgroup_leaf_is_populated(&other), 0);
        cgroup_leaf_done(&other);
        assert_ok(cgroup_leaf_read_usage(&leaf, &usage));
        assert_int_equal(usage.cpu_usec, 0);
        assert_int_equal(cgroup_leaf_contains(&leaf, getpid()), 0);
        assert_ok(cgroup_leaf_remove(&leaf));
        assert_ok(cgroup_leaf_remove(&leaf));
        assert_int_equal(cgroup_leaf_is_populated(&leaf), 0);
        assert_errno(cgroup_leaf_kill(&leaf), ENOENT);
        cgroup_leaf_done(&leaf);
        cgroup_root_done(&root);
}

static void context_of(struct exec_context *c, const char *path, const char *script) {
        exec_context_init(c);
        c->path = strdup(path);
        c->argv = calloc(4, sizeof(char *));
        c->argv[0] = strdup(path);
        if (script) {
                c->argv[1] = strdup("-c");
                c->argv[2] = strdup(script);
        }
}

static void await_eof(int fd) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        char buffer[64];
        ssize_t n;

        do {
                assert_int_equal(poll(&pfd, 1, 60000), 1);
                n = read(fd, buffer, sizeof(buffer));
        } while (n > 0);
        assert_int_equal(n, 0);
}

static void await_empty(const struct cgroup_leaf *leaf) {
        int directory = cgroup_leaf_open(leaf);
        struct pollfd pfd = { .fd = openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC),
                .events = POLLPRI };
        char buffer[256];

        assert_ok(pfd.fd);
        close_fd(directory);
        while (cgroup_leaf_is_populated(leaf) > 0) {
                assert_int_equal(poll(&pfd, 1, 60000), 1);
                assert_true(pread(pfd.fd, buffer, sizeof(buffer), 0) > 0);
        }
        close_fd(pfd.fd);
}

/* A daemon in a session of its own whose parents have gone: only the leaf knows it. */
static void kill_descendants(int (*kill_leaf)(const struct cgroup_leaf *leaf)) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct cgroup_usage usage;
        struct exec_context c;
        struct cgroup_root root;
        struct cgroup_leaf leaf;
        struct process_exit e;
        struct process p;
        struct pollfd pfd = { .events = POLLIN };
        int pipe_fds[2];

        open_root(&root);
        assert_ok(cgroup_leaf_make(&root, "web.1", &leaf));
        context_of(&c, "/bin/sh",
                        "(setsid sh -c 'setsid sleep 1000 & setsid sleep 1000 & echo up; sleep 1000' &); "
                        "read x; exit 3");
        (void) exec_context_set_env(&c, "PATH", "/usr/bin:/bin");
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        fds.standard[1] = pipe_fds[1];
        assert_ok(process_spawn(&c, &fds, &leaf, &p, NULL));
        close_fd(pipe_fds[1]);
        {
                char word[8];

                assert_int_equal(read(pipe_fds[0], word, sizeof(word)), 3);
        }
        pfd.fd = p.pidfd;
        assert_int_equal(poll(&pfd, 1, 60000), 1);
        assert_ok(process_peek(&p, &e));
        assert_int_equal(e.status, 3);
        assert_int_equal(cgroup_leaf_is_populated(&leaf), 1);
        assert_ok(kill_leaf ? kill_leaf(&leaf) : process_kill_all(&p));
        assert_ok(process_reap(&p, &e));
        assert_false(e.oom_kill);
        await_eof(pipe_fds[0]);
        await_empty(&leaf);
        assert_ok(cgroup_leaf_read_usage(&leaf, &usage));
        assert_true(usage.cpu_usec > 0 && usage.cpu_usec != CGROUP_UNKNOWN);
        assert_ok(process_kill_all(&p)); /* harmless after the reaping */
        assert_ok(cgroup_leaf_remove(&leaf));
        close_fd(pipe_fds[0]);
        cgroup_leaf_done(&leaf);
        cgroup_root_done(&root);
        exec_context_free(&c);
}

static void test_kill_all(void **state) {
        kill_descendants(NULL);
}

static void test_kill_by_pidfds(void **state) {
        kill_descendants(cgroup_leaf_kill_by_pidfds);
}

static void test_spawn_and_membership(void **state) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct exec_failure f = {};
        struct exec_context c;
        struct cgroup_root root;
        struct cgroup_leaf leaf, prefix, none;
        struct process_exit e;
        struct process p;

        open_root(&root);
        assert_ok(cgroup_leaf_make(&root, "web.1", &leaf));
        assert_ok(cgroup_leaf_attach(&root, "web", &prefix));
        assert_ok(cgroup_leaf_attach(&root, "none", &none));
        context_of(&c, "/bin/cat", NULL);
        {
                int pipe_fds[2];

                assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
                fds.standard[0] = pipe_fds[0];
                assert_ok(process_spawn(&c, &fds, &leaf, &p, NULL));
                assert_int_equal(cgroup_leaf_contains(&leaf, p.pid), 1);
                assert_int_equal(cgroup_leaf_contains(&prefix, p.pid), 0);
                assert_errno(cgroup_leaf_remove(&leaf), EBUSY);
                close_many(pipe_fds, 2); /* cat ends by itself */
                while (process_reap(&p, &e) == -EAGAIN) {
                        struct pollfd pfd = { .fd = p.pidfd, .events = POLLIN };

                        assert_int_equal(poll(&pfd, 1, 60000), 1);
                }
                assert_int_equal(e.status, 0);
        }
        fds.standard[0] = PROCESS_FD_DEFAULT;
        assert_errno(process_spawn(&c, &fds, &none, &p, &f), ENOENT);
        assert_int_equal(f.step, EXEC_STEP_CGROUP);
        await_empty(&leaf);
        assert_ok(cgroup_leaf_remove(&leaf));
        cgroup_leaf_done(&leaf);
        cgroup_leaf_done(&prefix);
        cgroup_leaf_done(&none);
        cgroup_root_done(&root);
        exec_context_free(&c);
}

static void test_fork_into_leaf(void **state) {
        struct process_fds fds = PROCESS_FDS_INIT;
        struct cgroup_root root;
        struct cgroup_leaf leaf;
        struct process_exit e;
        struct process p;
        struct pollfd pfd = { .events = POLLIN };
        int mailbox, pipe_fds[2], r;

        open_root(&root);
        assert_ok(cgroup_leaf_make(&root, "forked", &leaf));
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        fds.mailbox = pipe_fds[1];
        r = process_fork(NULL, &fds, &leaf, &p, &mailbox, NULL);
        if (r == 0) {
                (void) !write(mailbox, "x", 1);
                for (;;)
                        (void) pause();
        }
        assert_int_equal(r, 1);
        pfd.fd = pipe_fds[0];
        assert_int_equal(poll(&pfd, 1, 60000), 1);
        assert_int_equal(cgroup_leaf_contains(&leaf, p.pid), 1);
        assert_ok(process_kill_all(&p));
        pfd.fd = p.pidfd;
        assert_int_equal(poll(&pfd, 1, 60000), 1);
        assert_ok(process_reap(&p, &e));
        assert_int_equal(e.status, SIGKILL);
        await_empty(&leaf);
        assert_ok(cgroup_leaf_remove(&leaf));
        close_many(pipe_fds, 2);
        cgroup_leaf_done(&leaf);
        cgroup_root_done(&root);
}

/* In a process of its own: enters a leaf, and must find the subtree by systemd's mark, there and from below.
 * */
static int find_own(const struct cgroup_root *root) {
        struct cgroup_root found;
        struct cgroup_leaf leaf;

        if (cgroup_leaf_make(root, "self", &leaf) < 0 || write(cgroup_leaf_open_procs(&leaf), "0", 1) != 1)
                return 1;
        if (cgroup_root_open(NULL, &found) != -EOPNOTSUPP)
                return 2;
        if (setxattr(base, "user.delegate", "1", 1, 0) < 0 &&
                        setxattr(base, "trusted.delegate", "1", 1, 0) < 0)
                return 3;
        if (cgroup_root_open(NULL, &found) < 0)
                return 4;
        if (!streq(found.path, root->path))
                return 5;
        cgroup_root_done(&found);
        return 0;
}

static void test_find_own(void **state) {
        struct cgroup_root root;
        struct cgroup_leaf leaf;
        int status;
        pid_t pid;

        open_root(&root);
        pid = fork();
        if (pid == 0)
                _exit(find_own(&root));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_ok(cgroup_leaf_attach(&root, "self", &leaf));
        await_empty(&leaf);
        assert_ok(cgroup_leaf_remove(&leaf));
        cgroup_leaf_done(&leaf);
        cgroup_root_done(&root);
}

static bool has_name(char *const *names, const char *name) {
        for (; *names; names++)
                if (streq(*names, name))
                        return true;
        return false;
}

static void test_list(void **state) {
        static const char *const made[] = { "web.1", "cpu.1", "_x", "cpux" };
        struct cgroup_leaf leaves[ELEMENTSOF(made)];
        struct cgroup_root root;
        char **names;
        size_t n = 0;

        open_root(&root);
        assert_ok(cgroup_root_list(&root, &names));
        assert_null(names[0]);
        free(names);
        for (size_t i = 0; i < ELEMENTSOF(made); i++)
                assert_ok(cgroup_leaf_make(&root, made[i], &leaves[i]));
        assert_ok(cgroup_root_list(&root, &names));
        for (size_t i = 0; i < ELEMENTSOF(made); i++)
                assert_true(has_name(names, made[i]));
        while (names[n])
                free(names[n++]);
        assert_int_equal(n, ELEMENTSOF(made));
        free(names);
        for (size_t i = 0; i < ELEMENTSOF(made); i++) {
                assert_ok(cgroup_leaf_remove(&leaves[i]));
                cgroup_leaf_done(&leaves[i]);
        }
        cgroup_root_done(&root);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_list),
                cmocka_unit_test(test_escape),
                cmocka_unit_test(test_no_subtree),
                cmocka_unit_test(test_make_and_remove),
                cmocka_unit_test(test_kill_all),
                cmocka_unit_test(test_kill_by_pidfds),
                cmocka_unit_test(test_spawn_and_membership),
                cmocka_unit_test(test_fork_into_leaf),
                cmocka_unit_test(test_find_own),
        };

        return cmocka_run_group_tests(tests, make_base, remove_base);
}
