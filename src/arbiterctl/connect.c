/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the arbiter that is meant and connects: to the private socket in its runtime directory, or to the
 * bus on which it has a name: ours, that of another host by ssh, or that of a container. Called once by
 * the first call of a verb. It never starts an arbiter: only looking must not. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "arbiterctl/ctl.h"
#include "basic/fd.h"
#include "shared/bus-names.h"
#include "shared/instance.h"

#define DRIVER "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

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

static int wait_ready(struct context *c, usec_t timeout) {
        usec_t deadline = time_add(now_usec(), timeout);
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
                r = sd_bus_wait(c->bus, deadline == USEC_INFINITY ? USEC_INFINITY : deadline - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
}

static int start_private(struct context *c, int fd) {
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
        return r < 0 ? r : wait_ready(c, query_timeout(c));
}

static int try_directory(struct context *c, const char *dir) {
        int fd, r;

        fd = connect_socket(dir);
        if (fd < 0)
                return fd;
        r = start_private(c, fd);
        if (r < 0) {
                c->bus = sd_bus_close_unref(c->bus);
                return r;
        }
        if (c->runtime_dir == dir)
                return 0;
        free(c->runtime_dir);
        c->runtime_dir = strdup(dir);
        return c->runtime_dir ? 0 : -ENOMEM;
}

/* -ESRCH: nobody has the name. */
static int check_owner(struct context *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int owned, r;

        r = sd_bus_call_method(c->bus, DRIVER, DRIVER_PATH, DRIVER, "NameHasOwner", NULL, &reply, "s",
                               c->destination);
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &owned);
        return r < 0 ? r : owned ? 0 : -ESRCH;
}

static int make_destination(struct context *c) {
        free(c->destination);
        c->destination = NULL;
        return instance_bus_name(c->instance ? c->instance : INSTANCE_SYSTEM, &c->destination);
}

static int open_bus(struct context *c, enum scope scope) {
        if (c->host)
                return sd_bus_open_system_remote(&c->bus, c->host);
        if (c->machine && scope == SCOPE_USER)
                return sd_bus_open_user_machine(&c->bus, c->machine);
        if (c->machine)
                return sd_bus_open_system_machine(&c->bus, c->machine);
        return scope == SCOPE_USER ? sd_bus_open_user(&c->bus) : sd_bus_open_system(&c->bus);
}

static int try_bus(struct context *c, enum scope scope) {
        int r;

        r = make_destination(c);
        if (r >= 0)
                r = open_bus(c, scope);
        if (r >= 0) /* ssh may have to ask for a password */
                r = wait_ready(c, c->host && c->timeout == 0 ? USEC_INFINITY : query_timeout(c));
        if (r >= 0)
                r = check_owner(c);
        if (r >= 0)
                r = sd_bus_set_allow_interactive_authorization(c->bus, c->ask_password);
        if (r >= 0) {
                c->scope = scope;
                free(c->runtime_dir);
                c->runtime_dir = NULL;
                return 0;
        }
        c->bus = sd_bus_close_unref(c->bus);
        free(c->destination);
        c->destination = NULL;
        return r;
}

bool context_is_local(const struct context *c) {
        return !c->host && (!c->machine || streq(c->machine, ".host"));
}

const char *context_where(const struct context *c, char buffer[static WHERE_STRING_MAX]) {
        const char *place = c->host ? c->host : c->machine, *name = c->instance;
        bool user = c->scope == SCOPE_USER || (c->scope == SCOPE_DEFAULT && geteuid() != 0);

        if (c->runtime_dir && !c->destination)
                (void) snprintf(buffer, WHERE_STRING_MAX, "in %s", c->runtime_dir);
        else
                (void) snprintf(buffer, WHERE_STRING_MAX, "%s%s%s%s%s%s", name ? "called '" : "",
                                name ? name : "", name ? "' " : "",
                                place  ? "on " : user ? "of the user" : "of the system", place ? place : "",
                                place && c->scope == SCOPE_USER ? " (user)" : "");
        return buffer;
}

const char *context_start_command(const struct context *c, char buffer[static WHERE_STRING_MAX]) {
        bool user = c->scope == SCOPE_USER ||
                (c->scope == SCOPE_DEFAULT && !c->host && !c->machine && geteuid() != 0);
        const char *option = c->host ? " -H " : c->machine ? " -M " : "";

        if (c->runtime_dir && !c->destination)
                (void) snprintf(buffer, WHERE_STRING_MAX, "arbiterd --runtime-dir=%s", c->runtime_dir);
        else if (context_is_local(c) && sd_booted() <= 0)
                (void) snprintf(buffer, WHERE_STRING_MAX, "arbiterd");
        else
                (void) snprintf(buffer, WHERE_STRING_MAX, "systemctl%s%s%s start arbiter%s%s",
                                user ? " --user" : "", option,
                                c->host ? c->host : c->machine ? c->machine : "", c->instance ? "@" : "",
                                c->instance ? c->instance : "");
        return buffer;
}

/* Somebody without a login session cannot know that it is missing. */
static const char *hint_no_session(const struct context *c) {
        const char *e = getenv("XDG_RUNTIME_DIR");

        if (c->scope == SCOPE_SYSTEM || c->host || c->machine || geteuid() == 0 || (e && *e))
                return "";
        return " $XDG_RUNTIME_DIR is not set, so the user's own cannot be found.";
}

static int complain_not_running(const struct context *c) {
        char where[WHERE_STRING_MAX], command[WHERE_STRING_MAX];

        return complain(EXIT_NOT_RUNNING,
                        "No arbiter %s is running. Start it with '%s', or name another one: "
                        "--system, --user, --instance=NAME, --runtime-dir=DIR.%s",
                        context_where(c, where), context_start_command(c, command), hint_no_session(c));
}

static int complain_directory(const char *dir, int r) {
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
        case ECONNRESET:
        case EPIPE:
        case ENOTCONN:
                return complain(EXIT_NOT_RUNNING,
                                "The arbiter in %s ends, or is replaced, just now. Try again.", dir);
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

static int complain_elsewhere(const struct context *c, enum scope scope, int r) {
        const char *bus = scope == SCOPE_USER ? "user" : "system";

        errno = -r;
        if (c->host)
                return complain(EXIT_FAILURE,
                                "Cannot reach the system bus of %s by ssh: %m. Does 'ssh %s "
                                "systemd-stdio-bridge' work?",
                                c->host, c->host);
        if (r == -EHOSTDOWN || r == -ENXIO)
                return complain(EXIT_FAILURE, "No container '%s' is running. See 'machinectl list'.",
                                c->machine);
        if (r == -EPERM || r == -EACCES)
                return complain(EXIT_FAILURE,
                                "Not allowed to enter container %s for its %s bus. Be root, or log in "
                                "there with 'machinectl shell %s'.",
                                c->machine, bus, c->machine);
        return complain(EXIT_FAILURE, "Cannot reach the %s bus of container %s: %m. Is D-Bus running in it?",
                        bus, c->machine);
}

static int complain_bus(const struct context *c, enum scope scope, int r) {
        if (r == -ESRCH)
                return complain_not_running(c);
        if (c->host || c->machine)
                return complain_elsewhere(c, scope, r);
        errno = -r;
        if (scope == SCOPE_USER && r == -ENOMEDIUM)
                return complain(EXIT_FAILURE,
                                "There is no user bus: neither $XDG_RUNTIME_DIR nor "
                                "$DBUS_SESSION_BUS_ADDRESS is set. Log in as the user, or use "
                                "'arbiterctl --user -M USER@.host', or --runtime-dir=DIR.");
        if (scope == SCOPE_USER)
                return complain(EXIT_FAILURE,
                                "Cannot connect to the user bus: %m. Is D-Bus running for the user? "
                                "--runtime-dir=DIR needs no bus.");
        return complain(EXIT_FAILURE,
                        "Cannot connect to the system bus: %m. Is D-Bus running? --runtime-dir=DIR needs no "
                        "bus (/run/arbiter is the system's).");
}

static int connect_directory(struct context *c, const char *dir) {
        int r;

        if (c->runtime_dir != dir) {
                free(c->runtime_dir);
                c->runtime_dir = strdup(dir);
                if (!c->runtime_dir)
                        return out_of_memory();
        }
        r = try_directory(c, c->runtime_dir);
        return r < 0 ? complain_directory(dir, r) : 0;
}

static int connect_bus(struct context *c, enum scope scope) {
        int r;

        r = try_bus(c, scope);
        return r < 0 ? complain_bus(c, scope, r) : 0;
}

/* There is none by this way: the next may lead to one. */
static bool is_absence(int r) {
        return r == -ENOENT || r == -ENOTDIR || r == -ECONNREFUSED || r == -ESRCH || r == -ENOMEDIUM ||
                r == -ENXIO;
}

/* 0, -errno of an absence, or an exit status. */
static int try_own_directory(struct context *c) {
        bool system = geteuid() == 0;
        _cleanup_free_ char *dir = NULL;
        int r;

        r = instance_runtime_directory(c->instance ? c->instance : system ? INSTANCE_SYSTEM : INSTANCE_USER,
                                       system, &dir);
        if (r < 0)
                return r == -ENOMEM ? out_of_memory() : r;
        r = try_directory(c, dir);
        if (r >= 0)
                c->scope = system ? SCOPE_SYSTEM : SCOPE_USER;
        return r >= 0 || is_absence(r) ? r : complain_directory(dir, r);
}

/* Root: the system's arbiter, by its socket, which works without a bus, or by the bus. Others: their own
 * likewise, else that of the system: who may not change it may look at it, as with systemctl. */
static int connect_default(struct context *c) {
        int r;

        r = try_own_directory(c);
        if (r >= 0)
                return r;
        if (geteuid() != 0 && try_bus(c, SCOPE_USER) >= 0)
                return 0;
        r = try_bus(c, SCOPE_SYSTEM);
        return r >= 0 ? 0 : is_absence(r) ? complain_not_running(c) : complain_bus(c, SCOPE_SYSTEM, r);
}

int context_connect(struct context *c) {
        const char *e = getenv("ARBITER_RUNTIME_DIR");

        if (c->bus)
                return 0;
        if (c->runtime_dir)
                return connect_directory(c, c->runtime_dir);
        if (c->host || c->machine)
                return connect_bus(c, c->scope == SCOPE_USER ? SCOPE_USER : SCOPE_SYSTEM);
        if (c->scope != SCOPE_DEFAULT)
                return connect_bus(c, c->scope);
        if (e && *e && !c->instance)
                return connect_directory(c, e);
        return connect_default(c);
}

int context_reconnect(struct context *c) {
        bool private = c->runtime_dir && !c->destination;

        c->bus = sd_bus_close_unref(c->bus);
        return private ? try_directory(c, c->runtime_dir) : try_bus(c, c->scope);
}

static int add_match(struct context *c, const char *format) {
        _cleanup_free_ char *match = NULL;

        if (asprintf(&match, format, c->destination) < 0) {
                match = NULL;
                return -ENOMEM;
        }
        return sd_bus_call_method(c->bus, DRIVER, DRIVER_PATH, DRIVER, "AddMatch", NULL, NULL, "s", match);
}

int context_subscribe(struct context *c, sd_bus_message_handler_t handler, void *userdata) {
        int r;

        r = sd_bus_add_filter(c->bus, NULL, handler, userdata);
        if (r < 0 || !c->destination)
                return r;
        r = add_match(c, "type='signal',sender='%s',path_namespace='" BUS_PATH "'");
        if (r < 0)
                return r;
        return add_match(c, "type='signal',sender='" DRIVER "',member='NameOwnerChanged',arg0='%s'");
}

bool is_farewell(const struct context *c, sd_bus_message *m) {
        const char *name, *before, *after;

        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected"))
                return true;
        if (!c->destination || !sd_bus_message_is_signal(m, DRIVER, "NameOwnerChanged") ||
            sd_bus_message_read(m, "sss", &name, &before, &after) < 0)
                return false;
        return streq(name, c->destination) && !*after;
}
