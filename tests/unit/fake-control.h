/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An arbiter for the tests of a face: control.h answered from tables, and futures that the test resolves. */

#include <systemd/sd-event.h>

#include "arbiter/control.h"

struct fake_actor {
        struct actor_view view;
        char id[AID_SIZE + 1], name[QUALIFIED_NAME_SIZE];
};

/* What a face has asked for, until it is resolved. */
struct fake_request {
        struct fake_request *next;
        char verb[16], target[80], command[32];
        char text[256]; /* of a spawn: all that was given */
        arbiter_message *message;
        usec_t timeout;
        uint64_t flags; /* of Send, with its routing and key */
        arbiter_routing routing;
        char key[64];
        arbiter_future *future;
};

struct arbiter {
        sd_event *event;
        struct list_node observers;
        struct fake_actor *actors;
        size_t n_actors;
        struct monitor_view monitor;          /* the one monitor; name NULL: none */
        struct fake_request *requests, *last; /* in order */
        unsigned n_probes; /* of each actor: 0 or 1 */
        unsigned n_requests, n_lookups, n_usages, n_reloads, n_plans;
        int kill_signal, reload_result, reexecute_result;
        unsigned n_futures; /* that live */
        unsigned turn_depth;
        struct arbiter_view view;
        struct death_view deaths[3];
        size_t n_deaths;
        unsigned n_cancelled;
        char log[4096]; /* lines; what exceeds it is lost */
};

arbiter *fake_new(size_t n_actors);
/* Resolves what is pending as cancelled. */
arbiter *fake_free(arbiter *a);

/* The first pending request leaves the list with this outcome. */
void fake_reply(arbiter *a, arbiter_message *reply);
/* With its own arguments as the answer. */
void fake_echo(arbiter *a);
void fake_fail(arbiter *a, arbiter_outcome outcome, const char *name, const char *text);

void fake_actor_new(arbiter *a, size_t i);
void fake_actor_changed(arbiter *a, size_t i);
void fake_actor_gone(arbiter *a, size_t i, arbiter_reason reason, int status);
void fake_monitor_new(arbiter *a);
void fake_monitor_changed(arbiter *a);
void fake_monitor_gone(arbiter *a);
void fake_arbiter_changed(arbiter *a, unsigned changes);
