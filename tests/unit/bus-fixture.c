/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See bus-fixture.h. */

#include "bus-fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

static int count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        int n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

void turn(struct fixture *x) {
        assert_ok(sd_event_run(x->arbiter->event, 10 * USEC_PER_SEC));
}

/* Until nothing is left to do without waiting. */
void settle(struct fixture *x) {
        int r;

        while ((r = sd_event_run(x->arbiter->event, 0)) > 0)
                ;
        assert_ok(r);
}

sd_bus *connect_client(struct fixture *x) {
        char address[80];
        sd_bus *bus = NULL;

        (void) snprintf(address, sizeof(address), "unix:path=%s", x->path);
        assert_ok(sd_bus_new(&bus));
        assert_ok(sd_bus_set_address(bus, address));
        assert_ok(sd_bus_negotiate_fds(bus, true));
        assert_ok(sd_bus_start(bus));
        assert_ok(sd_bus_attach_event(bus, x->arbiter->event, 0));
        while (sd_bus_is_ready(bus) <= 0) /* it would block to find out whether it may send descriptors */
                turn(x);
        return bus;
}

int raw_connect(struct fixture *x) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_ok(fd);
        strcpy(address.sun_path, x->path);
        assert_ok(connect(fd, (struct sockaddr *) &address, sizeof(address)));
        return fd;
}

int bus_setup_actors(void **state, size_t n_actors) {
        struct fixture *x = calloc(1, sizeof(*x));

        assert_non_null(x);
        strcpy(x->directory, "/tmp/test-bus-XXXXXX");
        assert_non_null(mkdtemp(x->directory));
        (void) snprintf(x->path, sizeof(x->path), "%s/run/private", x->directory);
        x->n_fds = count_fds();
        x->arbiter = fake_new(n_actors);
        assert_ok(bus_face_new(x->arbiter, &x->face));
        assert_ok(bus_face_listen(x->face, x->path));
        x->client = connect_client(x);
        *state = x;
        return 0;
}

int bus_setup(void **state) {
        return bus_setup_actors(state, N_ACTORS);
}

int bus_teardown(void **state) {
        struct fixture *x = *state;

        sd_bus_close_unref(x->client);
        settle(x);
        assert_int_equal(x->face->n_connections, 0);
        bus_face_free(x->face);
        assert_int_equal(access(x->path, F_OK), -1);
        while (x->arbiter->requests)
                fake_fail(x->arbiter, ARBITER_OUTCOME_CANCELLED, NULL, NULL);
        settle(x);
        assert_int_equal(x->arbiter->n_futures, 0);
        fake_free(x->arbiter);
        assert_int_equal(count_fds(), x->n_fds);
        *strrchr(x->path, '/') = 0;
        assert_ok(rmdir(x->path));
        assert_ok(rmdir(x->directory));
        free(x);
        return 0;
}

int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct call *c = userdata;

        c->done = true;
        c->reply = sd_bus_message_ref(m);
        if (c->n_done)
                (*c->n_done)++;
        return 0;
}

void send_call(sd_bus *bus, struct call *c, const char *path, const char *interface, const char *member,
                const char *types, ...) {
        sd_bus_message *m;
        va_list ap;

        assert_ok(sd_bus_message_new_method_call(bus, &m, NULL, path, interface, member));
        va_start(ap, types);
        assert_ok(sd_bus_message_appendv(m, types, ap));
        va_end(ap);
        assert_ok(sd_bus_call_async(bus, NULL, m, on_reply, c, 0));
        sd_bus_message_unref(m);
}

void wait_done(struct fixture *x, struct call *c) {
        while (!c->done)
                turn(x);
}

void wait_request(struct fixture *x, const struct call *c) {
        while (!x->arbiter->requests) {
                if (c->done)
                        fail_msg("Refused: %s", sd_bus_message_get_error(c->reply)->message);
                turn(x);
        }
}

void free_call(struct call *c) {
        c->reply = sd_bus_message_unref(c->reply);
        c->done = false;
}

void expect_empty(struct fixture *x, struct call *c) {
        wait_done(x, c);
        if (sd_bus_message_is_method_error(c->reply, NULL))
                fail_msg("%s", sd_bus_message_get_error(c->reply)->message);
        assert_string_equal(sd_bus_message_get_signature(c->reply, true), "");
        free_call(c);
}

void expect_error(struct fixture *x, struct call *c, const char *name, const char *text) {
        const sd_bus_error *e;

        wait_done(x, c);
        e = sd_bus_message_get_error(c->reply);
        assert_non_null(e);
        assert_string_equal(e->name, name);
        assert_non_null(e->message);
        assert_true(strlen(e->message) > 10);
        if (text && !strstr(e->message, text))
                fail_msg("\"%s\" does not say \"%s\"", e->message, text);
        free_call(c);
}

void expect_reply(struct fixture *x, struct call *c, const char *signature) {
        wait_done(x, c);
        if (sd_bus_message_is_method_error(c->reply, NULL))
                fail_msg("%s", sd_bus_message_get_error(c->reply)->message);
        assert_string_equal(sd_bus_message_get_signature(c->reply, true), signature);
}
