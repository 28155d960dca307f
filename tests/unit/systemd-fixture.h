/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the spawner of units share: one spawner that has the fake manager for a systemd, and
 * a note of what it tells of each unit. */

#include "bus/systemd.h"
#include "fake-systemd.h"

enum { SEEN_MAX = 24 };

/* What the arbiter was told of one unit. */
struct seen {
        struct systemd_unit *unit;
        unsigned n_begun, n_process, n_started, n_stopping, n_ended;
        bool by_others;
        pid_t pid;
        char invocation[33];
        struct unit_end end;
        char result[32], text[256];
};

struct fixture {
        sd_event *event;
        arbiter *arbiter;
        struct systemd *systemd;
        struct fake_systemd manager;
        arbiter_message *properties;
        struct seen seen[SEEN_MAX];
};

extern const struct unit_events events; /* userdata: struct seen */

int systemd_fixture_setup(void **state);
int systemd_fixture_teardown(void **state);

/* Until nothing is left to do without waiting. */
void settle(struct fixture *x);
/* seen[n] is told. */
void start_named(struct fixture *x, unsigned n, const char *name, bool transient);
/* "arbiter-system-web-N.service" */
void start(struct fixture *x, unsigned n);
/* The n-th start, up to where it runs. */
void start_all(struct fixture *x, unsigned n);
/* Until the manager has been connected to for the n-th time. */
void wait_connection(struct fixture *x, unsigned n);
