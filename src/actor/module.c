/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Modules: checking them, loading them from shared objects, and the main() of a program that is an actor. */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "actor/actor.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "wire/signature.h"

static bool table_is_valid(const arbiter_command *c) {
        for (; c && c->name; c++)
                if (!c->handler || (c->arguments && !signature_string_is_valid(c->arguments)) ||
                    (c->result && !signature_string_is_valid(c->result)))
                        return false;
        return true;
}

int module_check(const arbiter_module *m) {
        if (m->size < sizeof(*m) || m->abi != ARBITER_MODULE_ABI)
                return -EPROTONOSUPPORT;
        if (!m->name || !name_is_valid(m->name) || !table_is_valid(m->commands) ||
                        !table_is_valid(m->functions))
                return -EINVAL;
        return 0;
}

static int load_failed(void *handle, int error, char **ret_text, const char *format, const char *path,
                const char *detail) {
        if (ret_text && asprintf(ret_text, format, path, detail) < 0)
                *ret_text = NULL;
        if (handle)
                dlclose(handle);
        return error;
}

_public_ int arbiter_module_load(const char *path, const arbiter_module **ret, char **ret_text) {
        const arbiter_module *m;
        void *handle;
        int r;

        if (access(path, R_OK) < 0)
                return load_failed(NULL, negative_errno(), ret_text, "cannot read module %s: %s", path,
                                strerror(errno));
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!handle)
                return load_failed(
                                NULL, -ENOEXEC, ret_text, "%s is no loadable module: %s", path, dlerror());
        m = dlsym(handle, ARBITER_MODULE_SYMBOL);
        if (!m)
                return load_failed(handle, -ENOEXEC, ret_text,
                                "%s has no symbol %s: define the module with ARBITER_MODULE()", path,
                                ARBITER_MODULE_SYMBOL);
        r = module_check(m);
        if (r == -EPROTONOSUPPORT)
                return load_failed(handle, r, ret_text,
                                "%s was built for another version of libarbiter than %s: build it anew",
                                path, ARBITER_VERSION_STRING);
        if (r < 0)
                return load_failed(handle, r, ret_text,
                                "%s: a name or signature in its tables is not valid%s", path, "");
        *ret = m;
        return 0; /* stays loaded for the life of the process */
}

/* LISTEN_FDS as in sd_listen_fds(3), but of the arbiter: the names come along. */
static int take_listen_fds(int *fds, size_t max, char **names_storage, const char **names) {
        const char *n_string = getenv("LISTEN_FDS"), *all = getenv("LISTEN_FDNAMES");
        uint64_t n;
        char *rest;

        if (!n_string || parse_u64(n_string, &n) < 0 || n > max)
                return 0;
        *names_storage = strdup(all ? all : "");
        rest = *names_storage;
        for (size_t i = 0; i < n; i++) {
                fds[i] = 3 + (int) i;
                (void) fd_set_cloexec(fds[i], true);
                names[i] = rest ? strsep(&rest, ":") : "";
        }
        return (int) n;
}

/* In a unit of systemd the link is the standard input. What the program reads from there must be something
 * else. */
static int move_standard_input(void) {
        _cleanup_close_ int null = -EBADF;
        int fd;

        fd = fd_duplicate(STDIN_FILENO);
        if (fd < 0)
                return fd;
        null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0) {
                int r = negative_errno();

                close_fd(fd);
                return r;
        }
        return fd;
}

/* The control link of a process that the arbiter has exec'd; its own children must not believe that they
 * are this actor. */
static int take_mailbox(void) {
        const char *mailbox = getenv("ARBITER_MAILBOX");
        uint64_t fd;
        int r;

        if (!mailbox)
                return -ENOTCONN;
        if (parse_u64(mailbox, &fd) < 0 || (fd > 0 && fd < 3) || fd > INT32_MAX)
                return -EINVAL;
        r = fd > 0 ? fd_set_cloexec((int) fd, true) : move_standard_input();
        if (r < 0)
                return r;
        unsetenv("ARBITER_MAILBOX");
        return fd > 0 ? (int) fd : r;
}

/* The well-known socket, for a process that somebody else started. */
static int connect_mailbox(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;

        if ((size_t) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
                        sizeof(address.sun_path))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return negative_errno();
        return TAKE_FD(fd);
}

static int run_with_token(const arbiter_module *module, const char *path, const char *token_file) {
        _cleanup_free_ char *token = NULL;
        int fd, r;

        r = read_file_full(AT_FDCWD, token_file, 4096, &token, NULL);
        if (r < 0)
                return r;
        token[strcspn(token, "\n")] = 0;
        fd = connect_mailbox(path);
        if (fd < 0)
                return fd;
        unsetenv("ARBITER_MAILBOX_SOCKET");
        unsetenv("ARBITER_TOKEN_FILE");
        r = actor_run_with(module, NULL, token, fd, ARBITER_CONCURRENCY_PROCESS, NULL, NULL, 0);
        explicit_bzero(token, strlen(token));
        return r;
}

/* Where the arbiter of the system, or of this user, has its socket. Only a service of systemd's looks there:
 * who is started by hand is nobody's actor. */
static int find_socket(char **ret) {
        const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
        char *path;

        if (!secure_getenv("INVOCATION_ID"))
                return -ENOTCONN;
        if (asprintf(&path, "%s/arbiter/mailbox", runtime && *runtime == '/' ? runtime : "/run") < 0)
                return -ENOMEM;
        *ret = path;
        return 0;
}

/* An instance of a template (Unit=): which process it is, systemd has told the arbiter. */
static int run_instance(const arbiter_module *module, const char *path) {
        _cleanup_free_ char *found = NULL;
        int fd, r;

        if (!path) {
                r = find_socket(&found);
                if (r < 0)
                        return r;
        }
        fd = connect_mailbox(path ? path : found);
        if (fd == -ENOENT && !path)
                return -ENOTCONN;
        if (fd < 0)
                return fd;
        unsetenv("ARBITER_MAILBOX_SOCKET");
        return actor_run_with(module, NULL, "", fd, ARBITER_CONCURRENCY_PROCESS, NULL, NULL, 0);
}

_public_ int arbiter_actor_main(const arbiter_module *module) {
        const char *names[64], *path = secure_getenv("ARBITER_MAILBOX_SOCKET"),
                               *token_file = secure_getenv("ARBITER_TOKEN_FILE");
        _cleanup_free_ char *storage = NULL;
        int fds[64], fd, n, r;

        if (!module)
                return -EINVAL;
        r = module_check(module);
        if (r < 0)
                return r;
        if (!getenv("ARBITER_MAILBOX") && path && token_file)
                return run_with_token(module, path, token_file);
        if (!getenv("ARBITER_MAILBOX"))
                return run_instance(module, path);
        fd = take_mailbox();
        if (fd < 0)
                return fd;
        n = take_listen_fds(fds, ELEMENTSOF(fds), &storage, names);
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
        unsetenv("LISTEN_PID");
        return actor_run(module, fd, ARBITER_CONCURRENCY_PROCESS, names, fds, (size_t) n);
}

_public_ int arbiter_host_main(const arbiter_module *module) {
        int fd, r;

        if (!module)
                return -EINVAL;
        r = module_check(module);
        if (r < 0)
                return r;
        fd = take_mailbox();
        return fd < 0 ? fd : actor_run_host(module, fd);
}

_public_ const char *arbiter_version(void) {
        return ARBITER_VERSION_STRING;
}
