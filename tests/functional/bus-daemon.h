/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The face on a real dbus-daemon of its own, or, with ARBITER_TEST_BUS=broker in the environment, on a
 * dbus-broker: what its tests share, on top of bus-fixture.h. All is in one process and on one loop, but
 * the daemon. */

#include <sys/types.h>

#include "bus-fixture.h"
#include "bus/client.h"
#include "bus/sender.h"
#include "bus/unsaid.h"

/* Of /etc/passwd: daemon and nobody. The bus believes the kernel, and the kernel us while we are root. */
enum { USER_A = 65534, USER_B = 1 };

struct bus_fixture {
        struct fixture *x;
        char socket[80], address[96], config[64];
        pid_t daemon;
        sd_bus *controller; /* of dbus-broker */
        sd_bus *client; /* our own user's */
};

/* A daemon with this policy in its configuration (NULL: all names may be owned); the face is not on it
 * yet. */
bool is_broker(void);
void daemon_start(struct bus_fixture *b, const char *policy);
void daemon_kill(struct bus_fixture *b);

/* With the face on the daemon as on the system bus, and the name its own. */
int bus_daemon_setup(void **state);
/* Without either. */
int bus_daemon_setup_bare(void **state);
int bus_daemon_teardown(void **state);

struct bus_client *the_client(struct bus_fixture *b);
void wait_name(struct bus_fixture *b);
sd_bus *bus_connect(struct bus_fixture *b);
/* As another user; only root can. */
sd_bus *bus_connect_as(struct bus_fixture *b, uid_t uid);
void send_bus_call(sd_bus *bus, struct call *c, const char *path, const char *interface, const char *member,
                const char *types, ...);
#define bus_manager_call(bus, c, ...) send_bus_call(bus, c, BUS_PATH, BUS_INTERFACE_MANAGER, __VA_ARGS__)
/* What the arbiter has logged so far contains it. */
bool has_logged(struct bus_fixture *b, const char *text);
unsigned count_logged(struct bus_fixture *b, const char *text);
