/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the face share: a face on a made-up arbiter (fake-control.h), and sd-bus clients of its
 * private socket on the same loop. */

#include "test-util.h"

#include "bus/face.h"
#include "fake-control.h"

enum { N_ACTORS = 6 };

struct fixture {
        char directory[32], path[64];
        arbiter *arbiter;
        struct bus_face *face;
        sd_bus *client;
        int n_fds;
};

/* teardown() also looks for what was left: connections, futures, descriptors, files. */
int bus_setup(void **state);
int bus_setup_actors(void **state, size_t n_actors);
int bus_teardown(void **state);

/* One turn of the loop; it waits. */
void turn(struct fixture *x);
/* Until nothing is left to do without waiting. */
void settle(struct fixture *x);
sd_bus *connect_client(struct fixture *x);
int raw_connect(struct fixture *x);

/* A call under way, and then its answer. */
struct call {
        bool done;
        sd_bus_message *reply;
        unsigned *n_done; /* counted up when it is answered */
};

int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);
void send_call(sd_bus *bus, struct call *c, const char *path, const char *interface, const char *member,
                const char *types, ...);
#define manager_call(x, c, member, ...) \
        send_call((x)->client, c, BUS_PATH, BUS_INTERFACE_MANAGER, member, __VA_ARGS__)
void wait_done(struct fixture *x, struct call *c);
/* Until the arbiter has been asked; fails when c was refused. */
void wait_request(struct fixture *x, const struct call *c);
void free_call(struct call *c);
/* These wait for the answer; the first two also free the call. */
void expect_empty(struct fixture *x, struct call *c);
/* text: a part of what it must say; NULL: anything but nothing. */
void expect_error(struct fixture *x, struct call *c, const char *name, const char *text);
void expect_reply(struct fixture *x, struct call *c, const char *signature);
