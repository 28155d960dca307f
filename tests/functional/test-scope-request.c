/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What arbiterd asks of systemd for its scope, on a bus with a systemd of ours: only systemd is believed,
 * and a bus that hangs holds up nobody. */

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bus-daemon.h"

#include "arbiterd/daemon.h"
#include "arbiterd/manager.h"
#include "arbiterd/notify.h"
#include "arbiterd/scope-request.h"
#include "arbiterd/scope.h"

#define JOB SYSTEMD_PATH "/job/7"

static struct systemd {
        sd_bus *bus;
        char caller[32];
        unsigned n_done;
        char why[128];
        bool anew;
} systemd;

/* Of notify.c: nobody has asked. */
void notify_starting(struct daemon *d, const char *what, usec_t usec) {
}

/* Of scope.c: only for what is there already. */
void scope_abandon(struct daemon *d, bool kill) {
        fail_msg("Nothing is there");
}

static int on_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, NULL);
}

static int on_start(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) snprintf(systemd.caller, sizeof(systemd.caller), "%s", sd_bus_message_get_sender(m));
        return sd_bus_reply_method_return(m, "o", JOB);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END
};

static void on_done(struct daemon *d, const char *why, bool anew) {
        systemd.n_done++;
        systemd.anew = anew;
        (void) snprintf(systemd.why, sizeof(systemd.why), "%s", why ?: "");
}

static void set_up_daemon(struct bus_fixture *b, struct daemon *d) {
        *d = (struct daemon){ .mode = DAEMON_SYSTEM, .instance = (char *) "test" };
        assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", b->address, 1), 0);
        systemd = (struct systemd){};
}

static void say_removed(sd_bus *bus, const char *result) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        assert_ok(sd_bus_message_new_signal(bus, &m, SYSTEMD_PATH, SYSTEMD ".Manager", "JobRemoved"));
        assert_ok(sd_bus_message_append(m, "uoss", 7, JOB, "x.scope", result));
        assert_ok(sd_bus_send_to(bus, m, systemd.caller, NULL));
        assert_ok(sd_bus_flush(bus));
}

static void test_forged(void **state) {
        struct bus_fixture *b = *state;
        _cleanup_(scope_request_freep) struct scope_request *q = NULL;
        struct daemon d;
        sd_bus *forger;

        set_up_daemon(b, &d);
        daemon_start(b, NULL);
        systemd.bus = bus_connect(b);
        forger = bus_connect(b);
        assert_ok(sd_bus_request_name(systemd.bus, SYSTEMD, 0));
        assert_ok(sd_bus_add_object_vtable(
                        systemd.bus, NULL, SYSTEMD_PATH, SYSTEMD ".Manager", vtable, NULL));
        assert_ok(scope_request_make(
                        &d, b->x->arbiter->event, SCOPE_REQUEST_FRESH, getpid(), on_done, &q));
        while (!*systemd.caller)
                turn(b->x);
        /* what is answered after the job's name comes after it */
        assert_ok(sd_bus_call_method(systemd.bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                        "org.freedesktop.DBus", "GetId", NULL, NULL, NULL));
        say_removed(forger, "forged");
        say_removed(systemd.bus, "done");
        while (systemd.n_done == 0)
                turn(b->x);
        assert_string_equal(systemd.why, "");
        assert_true(systemd.anew);
        sd_bus_close_unref(forger);
        sd_bus_close_unref(systemd.bus);
}

/* It takes connections, and never says a word. */
static void test_hanging_bus(void **state) {
        struct bus_fixture *b = *state;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct scope_request *q = NULL;
        struct daemon d;
        int fd;

        set_up_daemon(b, &d);
        strcpy(address.sun_path, b->socket);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_ok(fd);
        assert_ok(bind(fd, (struct sockaddr *) &address, sizeof(address)));
        assert_ok(listen(fd, 1));
        assert_ok(scope_request_make(
                        &d, b->x->arbiter->event, SCOPE_REQUEST_HOLD, getpid(), on_done, &q));
        settle(b->x);
        alarm(20); /* sd-bus itself gives up after 90 s */
        scope_request_free(q);
        alarm(0);
        assert_int_equal(systemd.n_done, 0);
        close(fd);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, bus_daemon_setup_bare, bus_daemon_teardown)
        const struct CMUnitTest tests[] = {
                TEST(forged),
                TEST(hanging_bus),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
