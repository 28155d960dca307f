/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arbiterctl's end of the conversation: finds the private socket of the arbiter, calls methods of its
 * manager object, and turns failures into a sentence on stderr and an exit status. All verbs but verify come
 * through here. It must never wait longer than the user allowed by --timeout=. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "arbiterctl/ctl.h"
#include "basic/fd.h"
#include "shared/bus-names.h"
#include "shared/log.h"
#include "shared/strv.h"

#define QUERY_TIMEOUT (25 * USEC_PER_SEC) /* as all of D-Bus */

void context_done(struct context *c) {
        c->bus = sd_bus_flush_close_unref(c->bus);
        c->runtime_dir = (free(c->runtime_dir), NULL);
        c->config_dirs = strv_free(c->config_dirs);
        c->properties = strv_free(c->properties);
}

int complain(int status, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) log_internalv(LOG_ERR, 0, format, ap);
        va_end(ap);
        return status;
}

int out_of_memory(void) {
        return complain(EXIT_FAILURE, "Out of memory.");
}

usec_t query_timeout(const struct context *c) {
        return c->timeout > 0 ? c->timeout : QUERY_TIMEOUT;
}

static int find_runtime_dir(struct context *c) {
        const char *e = getenv("ARBITER_RUNTIME_DIR"), *user = getenv("XDG_RUNTIME_DIR");

        if (c->runtime_dir)
                return 0;
        if (e && *e)
                c->runtime_dir = strdup(e);
        else if (geteuid() == 0)
                c->runtime_dir = strdup("/run/arbiter");
        else if (!user || !*user)
                return complain(EXIT_USAGE, "Which arbiter? $XDG_RUNTIME_DIR is not set. Name the arbiter's "
                                            "directory with --runtime-dir=DIR or $ARBITER_RUNTIME_DIR.");
        else if (asprintf(&c->runtime_dir, "%s/arbiter", user) < 0)
                c->runtime_dir = NULL;
        return c->runtime_dir ? 0 : out_of_memory();
}

/* Through /proc, because the path of a socket may have 107 bytes only. */
static int connect_in(int dir_fd, int fd) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%i/" BUS_PRIVATE_SOCKET, dir_fd);
        return connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ? negative_errno() : 0;
}

static int connect_socket(const char *dir) {
        _cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
        int r;

        dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return negative_errno();
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return negative_errno();
        r = connect_in(dir_fd, fd);
        return r < 0 ? r : TAKE_FD(fd);
}

static int complain_connect(const char *dir, int r) {
        switch (-r) {
        case ENOENT:
        case ENOTDIR:
                return complain(EXIT_NOT_RUNNING,
                                "No arbiter runs in %s (there is no socket %s/%s). Start one with "
                                "'arbiterd --runtime-dir=%s', or name another directory with "
                                "--runtime-dir=DIR.",
                                dir, dir, BUS_PRIVATE_SOCKET, dir);
        case ECONNREFUSED:
                return complain(EXIT_NOT_RUNNING,
                                "No arbiter runs in %s (it has left its socket behind). Start one "
                                "with 'arbiterd --runtime-dir=%s'.",
                                dir, dir);
        case EACCES:
        case EPERM:
                return complain(EXIT_FAILURE,
                                "Not allowed to talk to the arbiter in %s. Be the user that runs it, "
                                "or root.",
                                dir);
        case ETIMEDOUT:
        case EAGAIN:
                return complain(EXIT_FAILURE,
                                "The arbiter in %s does not answer. Is it stopped (SIGSTOP), or very "
                                "busy? --timeout=SEC waits longer.",
                                dir);
        default:
                errno = -r;
                return complain(EXIT_FAILURE, "Cannot connect to the arbiter in %s: %m", dir);
        }
}

static int wait_ready(struct context *c, usec_t deadline) {
        int r;

        for (;;) {
                usec_t now = now_usec();

                r = sd_bus_is_ready(c->bus);
                if (r != 0)
                        return r;
                r = sd_bus_process(c->bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                if (now >= deadline)
                        return -ETIMEDOUT;
                r = sd_bus_wait(c->bus, deadline - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
}

static int start_bus(struct context *c, int fd) {
        int r;

        r = sd_bus_new(&c->bus);
        if (r >= 0)
                r = sd_bus_set_fd(c->bus, fd, fd);
        if (r < 0) {
                (void) close_fd(fd);
                return r;
        }
        r = sd_bus_negotiate_fds(c->bus, true);
        if (r >= 0)
                r = sd_bus_start(c->bus);
        return r < 0 ? r : wait_ready(c, time_add(now_usec(), query_timeout(c)));
}

int context_connect(struct context *c) {
        int fd, r;

        if (c->bus)
                return 0;
        r = find_runtime_dir(c);
        if (r != 0)
                return r;
        fd = connect_socket(c->runtime_dir);
        if (fd < 0)
                return complain_connect(c->runtime_dir, fd);
        r = start_bus(c, fd);
        if (r < 0) {
                c->bus = sd_bus_close_unref(c->bus);
                return complain_connect(c->runtime_dir, r);
        }
        return 0;
}

int complain_reply(int r) {
        errno = -r;
        return complain(EXIT_FAILURE,
                        "Cannot read the answer of the arbiter: %m. Are arbiterd and arbiterctl of the "
                        "same version?");
}

/* What to do next, where the error's own text cannot know it. */
static const char *hint(const sd_bus_error *error) {
        static const struct {
                const char *name, *hint;
        } hints[] = {
                { BUS_ERROR_NO_PROC, "See 'arbiterctl list-actors'." },
                { BUS_ERROR_BAD_ARGUMENTS, "'arbiterctl introspect NAME' lists the signatures." },
                { BUS_ERROR_CALLEE_DIED, "It had begun: outcome callee-died, executed maybe." },
                { BUS_ERROR_NO_SUCH_DEFINITION, "'arbiterctl show -p Definitions' lists them." },
                { BUS_ERROR_RELOAD_FAILED, "'arbiterctl verify' says where." },
                { SD_BUS_ERROR_UNKNOWN_METHOD, "Are arbiterd and arbiterctl of the same version?" },
        };

        for (size_t i = 0; i < ELEMENTSOF(hints); i++)
                if (sd_bus_error_has_name(error, hints[i].name))
                        return hints[i].hint;
        return NULL;
}

static bool is_disconnect(int r) {
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE;
}

int complain_call(const sd_bus_error *error, int r, const char *what) {
        const char *next = hint(error),
                   *text = error->message && *error->message ? error->message : strerror(-r), *colon = ": ";
        bool ours = error->name && startswith(error->name, BUS_ERROR_PREFIX);
        size_t n = strlen(text);
        bool ended = n > 0 && strchr(".?!", text[n - 1]);

        if (!what || strstr(text, what))
                what = colon = "";
        if (!ours && r == -ETIMEDOUT)
                return complain(EXIT_FAILURE,
                                "%s%sNo answer in time. What was asked for goes on all the same: see "
                                "'arbiterctl status'; --timeout=SEC waits longer.",
                                what, colon);
        if (!ours && is_disconnect(r))
                return complain(EXIT_NOT_RUNNING,
                                "%s%sThe arbiter closed the connection. Has it been stopped?", what, colon);
        return complain(sd_bus_error_has_name(error, BUS_ERROR_NO_PROC) ? EXIT_NO_SUCH : EXIT_FAILURE,
                        "%s%s%s%s%s%s", what, colon, text, ended ? "" : ".", next ? " " : "",
                        next ? next : "");
}

static int call(struct context *c, sd_bus_message *m, usec_t timeout, const char *what,
                sd_bus_message **ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(c->bus, m, timeout, &error, ret);
        return r < 0 ? complain_call(&error, r, what) : 0;
}

int new_manager_call(struct context *c, const char *method, sd_bus_message **ret) {
        int r;

        r = context_connect(c);
        if (r != 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, ret, NULL, BUS_PATH, BUS_INTERFACE_MANAGER, method);
        return r < 0 ? out_of_memory() : 0;
}

int call_for_work(struct context *c, sd_bus_message *m, const char *what, sd_bus_message **ret) {
        int r;

        if (c->block)
                return call(c, m, c->timeout > 0 ? c->timeout : USEC_INFINITY, what, ret);
        r = sd_bus_message_set_expect_reply(m, false);
        if (r >= 0)
                r = sd_bus_send(c->bus, m, NULL);
        if (r >= 0)
                r = sd_bus_flush(c->bus);
        if (r < 0)
                return complain_call(&SD_BUS_ERROR_NULL, r, what);
        if (ret)
                *ret = NULL;
        return 0;
}

int call_manager(struct context *c, const char *method, const char *what, sd_bus_message **ret,
                 const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = new_manager_call(c, method, &m);
        if (r != 0)
                return r;
        if (types) {
                va_start(ap, types);
                r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
                if (r < 0)
                        return out_of_memory();
        }
        return call(c, m, query_timeout(c), what, ret);
}
