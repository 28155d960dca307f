/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See bus-daemon.h. */

#include "bus-daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "basic/fd.h"

static const char allow_all[] = "<policy context=\"default\"><allow own=\"*\"/></policy>";

static void write_config(struct bus_fixture *b, const char *policy) {
        FILE *f = fopen(b->config, "we");

        assert_non_null(f);
        assert_true(fprintf(f,
                                    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus "
                                    "Configuration "
                                    "1.0//EN\" "
                                    "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
                                    "<busconfig><type>custom</type><listen>%s</listen><auth>EXTERNAL</auth>"
                                    "<policy context=\"default\"><allow user=\"*\"/>"
                                    "<allow send_destination=\"*\"/><allow receive_type=\"method_call\"/>"
                                    "<allow receive_type=\"method_return\"/><allow receive_type=\"error\"/>"
                                    "<allow receive_type=\"signal\"/></policy>%s"
                                    "<limit name=\"max_replies_per_connection\">50000</limit>"
                                    "<limit name=\"max_connections_per_user\">1000</limit></busconfig>\n",
                                    b->address, policy ?: allow_all) > 0);
        assert_int_equal(fclose(f), 0);
}

bool is_broker(void) {
        return streq_ptr(getenv("ARBITER_TEST_BUS"), "broker");
}

#define BATCH "bta(btbs)a(btssssuutt)a(btssssuutt)"

/* Everybody may do everything; the policy of dbus-broker's controller interface. */
static void append_broker_policy(sd_bus_message *m) {
        assert_ok(sd_bus_message_open_container(
                        m, 'v', "(a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs)"));
        assert_ok(sd_bus_message_open_container(m, 'r', "a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs"));
        assert_ok(sd_bus_message_append(m, "a(u(" BATCH "))a(buu(" BATCH "))a(ss)bs", 1, UINT32_MAX, true,
                        UINT64_C(1), 1, true, UINT64_C(1), true, "", 1, true, UINT64_C(1), "", "", "", "", 0,
                        0, UINT64_C(0), UINT64_MAX, 1, true, UINT64_C(1), "", "", "", "", 0, 0, UINT64_C(0),
                        UINT64_MAX, 0, 0, false, "system"));
        assert_ok(sd_bus_message_close_container(m));
        assert_ok(sd_bus_message_close_container(m));
}

/* dbus-broker gets its socket and its policy from whoever started it; here that is us. */
static void broker_start(struct bus_fixture *b) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int pair[2], fd;
        char text[16];

        assert_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        b->daemon = fork();
        assert_ok(b->daemon);
        if (b->daemon == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(pair[0]);
                (void) snprintf(text, sizeof(text), "%d", pair[1]);
                execlp("dbus-broker", "dbus-broker", "--controller", text, "--machine-id",
                                "0123456789abcdef0123456789abcdef", "--max-matches", "100000",
                                "--max-objects", "100000", NULL);
                _exit(127);
        }
        close(pair[1]);
        assert_ok(sd_bus_new(&b->controller));
        assert_ok(sd_bus_set_fd(b->controller, pair[0], pair[0]));
        assert_ok(sd_bus_negotiate_fds(b->controller, true));
        assert_ok(sd_bus_start(b->controller));

        (void) unlink(b->socket);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_ok(fd);
        strcpy(address.sun_path, b->socket);
        assert_ok(bind(fd, (struct sockaddr *) &address, sizeof(address)));
        assert_ok(listen(fd, 128));
        assert_ok(chmod(b->socket, 0666));
        assert_ok(sd_bus_message_new_method_call(b->controller, &m, NULL, "/org/bus1/DBus/Broker",
                        "org.bus1.DBus.Broker", "AddListener"));
        assert_ok(sd_bus_message_append(m, "oh", "/org/bus1/DBus/Listener/0", fd));
        append_broker_policy(m);
        if (sd_bus_call(b->controller, m, 0, &error, NULL) < 0)
                fail_msg("dbus-broker: %s", error.message);
        close(fd);
}

/* It says its address when it listens. */
void daemon_start(struct bus_fixture *b, const char *policy) {
        char line[256], print[32];
        int fds[2];

        if (is_broker()) {
                broker_start(b);
                return;
        }
        write_config(b, policy);
        assert_ok(pipe(fds));
        b->daemon = fork();
        assert_ok(b->daemon);
        if (b->daemon == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (!freopen("/dev/null", "w", stderr)) /* it complains of limits */
                        _exit(126);
                (void) snprintf(print, sizeof(print), "--print-address=%d", fds[1]);
                execlp("dbus-daemon", "dbus-daemon", "--config-file", b->config, "--nofork", "--nopidfile",
                                "--nosyslog", print, NULL);
                _exit(127);
        }
        close(fds[1]);
        if (read(fds[0], line, sizeof(line)) <= 0)
                fail_msg("dbus-daemon does not start");
        close(fds[0]);
}

void daemon_kill(struct bus_fixture *b) {
        if (b->daemon <= 0)
                return;
        b->controller = sd_bus_close_unref(b->controller);
        assert_ok(kill(b->daemon, SIGKILL));
        assert_int_equal(waitpid(b->daemon, NULL, 0), b->daemon);
        b->daemon = 0;
}

int bus_daemon_setup_bare(void **state) {
        struct bus_fixture *b = calloc(1, sizeof(*b));
        void *x;

        assert_non_null(b);
        bus_setup(&x);
        b->x = x;
        assert_ok(chmod(b->x->directory, 0755));
        (void) snprintf(b->socket, sizeof(b->socket), "%s/bus", b->x->directory);
        (void) snprintf(b->address, sizeof(b->address), "unix:path=%s", b->socket);
        (void) snprintf(b->config, sizeof(b->config), "%s/bus.conf", b->x->directory);
        *state = b;
        return 0;
}

int bus_daemon_setup(void **state) {
        struct bus_fixture *b;

        bus_daemon_setup_bare(state);
        b = *state;
        daemon_start(b, NULL);
        assert_ok(bus_face_listen_bus(b->x->face, ARBITER_BUS_SYSTEM, NULL, b->address));
        wait_name(b);
        b->client = bus_connect(b);
        return 0;
}

int bus_daemon_teardown(void **state) {
        struct bus_fixture *b = *state;
        void *x = b->x;

        sd_bus_close_unref(b->client);
        daemon_kill(b);
        (void) unlink(b->socket);
        (void) unlink(b->config);
        bus_teardown(&x);
        free(b);
        return 0;
}

struct bus_client *the_client(struct bus_fixture *b) {
        return LIST_FIRST(&b->x->face->clients, struct bus_client, clients);
}

void wait_name(struct bus_fixture *b) {
        while (!bus_client_has_name(the_client(b)))
                turn(b->x);
}

static void wait_ready(struct bus_fixture *b, sd_bus *bus) {
        int r;

        while ((r = sd_bus_is_ready(bus)) == 0)
                turn(b->x);
        assert_ok(r);
}

sd_bus *bus_connect(struct bus_fixture *b) {
        sd_bus *bus = NULL;

        assert_ok(sd_bus_new(&bus));
        assert_ok(sd_bus_set_address(bus, b->address));
        assert_ok(sd_bus_set_bus_client(bus, true));
        assert_ok(sd_bus_start(bus));
        assert_ok(sd_bus_attach_event(bus, b->x->arbiter->event, 0));
        wait_ready(b, bus);
        return bus;
}

/* The kernel takes note of the user who connects in the moment of connect(2). */
sd_bus *bus_connect_as(struct bus_fixture *b, uid_t uid) {
        sd_bus *bus = NULL;

        assert_ok(sd_bus_new(&bus));
        assert_ok(sd_bus_set_address(bus, b->address));
        assert_ok(sd_bus_set_bus_client(bus, true));
        assert_ok(seteuid(uid));
        assert_ok(sd_bus_start(bus));
        assert_ok(seteuid(0));
        assert_ok(sd_bus_attach_event(bus, b->x->arbiter->event, 0));
        wait_ready(b, bus);
        return bus;
}

void send_bus_call(sd_bus *bus, struct call *c, const char *path, const char *interface, const char *member,
                const char *types, ...) {
        sd_bus_message *m;
        va_list ap;

        assert_ok(sd_bus_message_new_method_call(bus, &m, BUS_NAME, path, interface, member));
        va_start(ap, types);
        assert_ok(sd_bus_message_appendv(m, types, ap));
        va_end(ap);
        assert_ok(sd_bus_call_async(bus, NULL, m, on_reply, c, UINT64_MAX));
        sd_bus_message_unref(m);
}

unsigned count_logged(struct bus_fixture *b, const char *text) {
        unsigned n = 0;

        for (const char *at = b->x->arbiter->log; (at = strstr(at, text)); at++)
                n++;
        return n;
}

bool has_logged(struct bus_fixture *b, const char *text) {
        return count_logged(b, text) > 0;
}
