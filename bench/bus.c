/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-bus: calls on arbiterd's private socket, beside an empty method call between two sd-bus programs on
 * such a socket in the same run: Ping of an actor (a process that runs a module), ListActors and status with
 * a thousand actors. And beside what cannot be had for less: Ping beside a server that asks a third process
 * by a SOCK_SEQPACKET socket before it answers, ListActors beside one that does nothing but append the same
 * table. */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "pool.h"

#define PATH "/io/arbiter/Arbiter1"
#define MANAGER "io.arbiter.Arbiter1.Manager"
#define ROW "(sssssuto)"

static struct pool_programs programs;
static unsigned n_actors = 1000;

/* The raw server: the least that answers. */

static int method_empty(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, NULL);
}

static struct {
        char id[16], name[16], path[64];
} *rows;

static void make_rows(void) {
        rows = calloc(n_actors, sizeof(*rows));
        if (!rows)
                bench_die("memory", ENOMEM);
        for (unsigned i = 0; i < n_actors; i++) {
                (void)snprintf(rows[i].id, sizeof(rows[i].id), "a%07u", i);
                (void)snprintf(rows[i].name, sizeof(rows[i].name), "pool.%u", i + 1);
                (void)snprintf(rows[i].path, sizeof(rows[i].path), PATH "/actor/%s", rows[i].id);
        }
}

/* Value by value is the fastest way that sd-bus has. */
static int append_row(sd_bus_message *reply, unsigned i) {
        const char *const strings[] = {rows[i].id, rows[i].name, "pool", "process", "running"};
        uint64_t uptime = 123456789;
        uint32_t pid = 10000 + i;
        int r;

        r = sd_bus_message_open_container(reply, 'r', "sssssuto");
        for (unsigned k = 0; r >= 0 && k < 5; k++)
                r = sd_bus_message_append_basic(reply, 's', strings[k]);
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 'u', &pid);
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 't', &uptime);
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 'o', rows[i].path);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int method_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', ROW);
        for (unsigned i = 0; r >= 0 && i < n_actors; i++)
                r = append_row(reply, i);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

/* The least that asks somebody else: a process that echoes. */

static struct {
        int fd;
        sd_bus_message *asked;
} relay;

static void echo(int fd) {
        char buffer[128];
        ssize_t n;

        while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
                if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) < 0)
                        break;
        _exit(0);
}

static int method_relay(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        char question[80] = {};

        relay.asked = sd_bus_message_ref(m);
        return send(relay.fd, question, sizeof(question), MSG_NOSIGNAL) < 0 ? -errno : 1;
}

static int on_echo(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        char answer[128];

        if (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) < 0 || !relay.asked)
                return 0;
        (void)sd_bus_reply_method_return(relay.asked, "t", (uint64_t)1);
        relay.asked = sd_bus_message_unref(relay.asked);
        return 0;
}

static void add_relay(sd_event *event) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                bench_die("socketpair", errno);
        if (fork() == 0) {
                (void)close(fds[0]);
                echo(fds[1]);
        }
        (void)close(fds[1]);
        relay.fd = fds[0];
        bench_check("relay", sd_event_add_io(event, NULL, relay.fd, EPOLLIN, on_echo, NULL));
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Empty", "", "", method_empty, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Relay", "s", "t", method_relay, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListActors", "", "a" ROW, method_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static sd_bus *open_bus(int fd, bool server) {
        sd_bus *bus;
        sd_id128_t id;

        bench_check("sd_bus_new", sd_bus_new(&bus));
        bench_check("sd_bus_set_fd", sd_bus_set_fd(bus, fd, fd));
        if (server) {
                bench_check("id", sd_id128_randomize(&id));
                bench_check("sd_bus_set_server", sd_bus_set_server(bus, 1, id));
                bench_check("sd_bus_set_anonymous", sd_bus_set_anonymous(bus, 1));
        }
        return bus;
}

static void serve(int fd) {
        sd_bus *bus = open_bus(fd, true);
        sd_event *event;

        bench_check("vtable", sd_bus_add_object_vtable(bus, NULL, PATH, MANAGER, vtable, NULL));
        bench_check("start", sd_bus_start(bus));
        bench_check("event", sd_event_new(&event));
        add_relay(event);
        make_rows();
        bench_check("attach", sd_bus_attach_event(bus, event, 0));
        while (sd_bus_is_open(bus) > 0 && sd_event_run(event, UINT64_MAX) >= 0)
                ;
        _exit(0);
}

struct raw {
        pid_t pid;
        sd_bus *bus;
};

static struct raw raw_up(void) {
        int fds[2];
        struct raw raw;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                bench_die("socketpair", errno);
        raw.pid = fork();
        if (raw.pid == 0) {
                (void)close(fds[0]);
                serve(fds[1]);
        }
        (void)close(fds[1]);
        raw.bus = open_bus(fds[0], false);
        bench_check("start", sd_bus_start(raw.bus));
        return raw;
}

static void raw_down(struct raw *raw) {
        sd_bus_close_unref(raw->bus);
        (void)waitpid(raw->pid, NULL, 0);
}

/* Calls. */

struct call {
        sd_bus *bus;
        const char *path, *interface, *member, *target; /* target: NULL, or its one argument */
        bool read;                                      /* the table, row by row */
};

static void read_rows(sd_bus_message *m) {
        const char *s[6];
        uint64_t uptime;
        unsigned n = 0;
        uint32_t pid;

        bench_check("table", sd_bus_message_enter_container(m, 'a', ROW));
        while (bench_check("row", sd_bus_message_read(m, ROW, &s[0], &s[1], &s[2], &s[3], &s[4], &pid,
                                                  &uptime, &s[5])) > 0)
                n++;
        if (n != n_actors)
                bench_die("rows", ERANGE);
}

static void call_once(const struct call *c) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_call_method(c->bus, NULL, c->path, c->interface, c->member, &error, &reply,
                        c->target ? "s" : NULL, c->target);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", c->member, error.message ? error.message : strerror(-r));
                bench_die(c->member, -r);
        }
        if (c->read)
                read_rows(reply);
        sd_bus_message_unref(reply);
}

/* The median of as many calls as fit into the time. */
static double call_p50(const struct call *c, double seconds) {
        struct histogram *h = histogram_new();
        double end = now_us() + seconds * 1e6, begin, now = now_us(), p50;

        while (now < end) {
                begin = now;
                call_once(c);
                now = now_us();
                histogram_add(h, (now - begin) * 1e3);
        }
        p50 = histogram_quantile(h, 0.5) / 1e3;
        free(h);
        return p50;
}

/* Alternating, since the machine changes its mind. */
static void compare(const struct bench_options *o, const char *what, const struct call *value,
                const struct call *raw, const char *raw_what, double bound) {
        struct samples v = {}, r = {};
        char target[32];
        struct figure f = {.bench = "bus",
                        .what = what,
                        .unit = "us",
                        .value = &v,
                        .raw = &r,
                        .raw_what = raw_what};

        (void)call_p50(value, 0.1);
        for (unsigned i = 0; i < (o->quick ? 3 : 9); i++) {
                samples_add(&r, call_p50(raw, o->quick ? 0.1 : 0.5));
                samples_add(&v, call_p50(value, o->quick ? 0.1 : 0.5));
        }
        if (isfinite(bound)) {
                (void)snprintf(target, sizeof(target), "<= %g raw", bound);
                f.target = target;
                f.missed = samples_ratio(&v, &r) > bound;
        }
        figure_print(&f);
}

static void bench_ping(const struct bench_options *o) {
        struct raw raw = raw_up();
        struct pool p;
        struct call ping = {.path = PATH, .interface = MANAGER, .member = "Ping", .target = "pool.1"};
        struct call own = {.path = PATH, .interface = "org.freedesktop.DBus.Peer", .member = "Ping"};
        struct call empty = {.bus = raw.bus, .path = PATH, .interface = MANAGER, .member = "Empty"};
        struct call ask = {.bus = raw.bus,
                        .path = PATH,
                        .interface = MANAGER,
                        .member = "Relay",
                        .target = "pool.1"};

        (void)pool_up(&p, &programs, POOL_ARBITERD_MODULE, 1, 'R');
        ping.bus = own.bus = pool_connect(&p);
        compare(o, "peer-ping", &own, &empty, "empty sd-bus call", INFINITY);
        compare(o, "ping-actor", &ping, &empty, "empty sd-bus call", 1.5);
        compare(o, "ping-actor-beside-relay", &ping, &ask, "sd-bus call that asks a third process",
                        INFINITY);
        compare(o, "relay", &ask, &empty, "empty sd-bus call", INFINITY);
        sd_bus_close_unref(ping.bus);
        (void)pool_down(&p);
        raw_down(&raw);
}

static double run_program(char *const *arguments) {
        double begin = now_us();
        pid_t pid = fork();
        int fd, status;

        if (pid == 0) {
                fd = open("/dev/null", O_WRONLY);
                (void)dup2(fd, 1);
                (void)execv(programs.arbiterctl, arguments);
                _exit(127);
        }
        if (waitpid(pid, &status, 0) < 0 || status != 0)
                bench_die("arbiterctl", ECHILD);
        return (now_us() - begin) / 1e3;
}

static void bench_status(const struct bench_options *o, const struct pool *p) {
        char directory[128];
        char *status[] = {(char *)"arbiterctl", directory, (char *)"status", NULL};
        char *version[] = {(char *)"arbiterctl", (char *)"--version", NULL};
        struct samples value = {}, raw = {};
        struct figure f = {.bench = "bus",
                        .what = "ctl-status-1000",
                        .unit = "ms",
                        .value = &value,
                        .raw = &raw,
                        .raw_what = "arbiterctl --version",
                        .target = "<= 300 ms"};

        (void)snprintf(directory, sizeof(directory), "--runtime-dir=%s/run", p->directory);
        for (unsigned i = 0; i < (o->quick ? 3 : 15); i++) {
                samples_add(&raw, run_program(version));
                samples_add(&value, run_program(status));
        }
        f.missed = samples_median(&value) > 300;
        figure_print(&f);
}

static void bench_list(const struct bench_options *o) {
        struct raw raw = raw_up();
        struct pool p;
        struct call list = {.path = PATH, .interface = MANAGER, .member = "ListActors"};
        struct call empty = {.bus = raw.bus, .path = PATH, .interface = MANAGER, .member = "Empty"};
        struct call table = {.bus = raw.bus, .path = PATH, .interface = MANAGER, .member = "ListActors"};

        (void)pool_up(&p, &programs, POOL_ARBITERD, n_actors, 'S');
        pool_rest(&p, 1);
        list.bus = pool_connect(&p);
        if (bench_wants(o, "list-actors")) {
                compare(o, "list-actors-1000", &list, &empty, "empty sd-bus call", 10);
                compare(o, "list-actors-1000-beside-its-like", &list, &table, "the same table by sd-bus",
                                INFINITY);
                list.read = table.read = true;
                compare(o, "list-actors-1000-read", &list, &table, "the same table by sd-bus", INFINITY);
        }
        if (bench_wants(o, "ctl-status"))
                bench_status(o, &p);
        sd_bus_close_unref(list.bus);
        (void)pool_down(&p);
        raw_down(&raw);
}

int main(int argc, char **argv) {
        struct bench_options o;

        bench_parse(argc, argv, &o);
        pool_programs_from(&o, &programs);
        if (bench_wants(&o, "ping"))
                bench_ping(&o);
        if (bench_wants(&o, "list-actors") || bench_wants(&o, "ctl-status"))
                bench_list(&o);
        return 0;
}
