/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The keeper's socket, and who talks to it. */

#include <systemd/sd-event.h>

#include "arbiter-keeper/table.h"
#include "basic/time-util.h"

#define KEEPER_CONNECTIONS_MAX 16U

struct keeper {
        sd_event *event;
        struct table table;
        int listener;
        char *path;
        sd_event_source *listener_source, *status_source, *retry_source;
        struct list_node connections;
        unsigned n_connections;
        uint64_t n_owners;     /* connections are told apart by their number */
        const char *service;   /* whose descriptors they are; for the status */
        usec_t told_usec; /* the status */
        bool complained;  /* that there is no room: once until there is */
        bool hearing;    /* what was said before a list */
};

/* Listens at path (NULL: nowhere), which only this user can reach; what is there is removed. max: so many
 * descriptors at the most. service: a string that stays, or NULL. */
int keeper_new(const char *path, const char *service, size_t max, struct keeper **ret);
/* Somebody has connected. Takes fd over, also on failure: -EPERM, it is another user; -EUSERS, there are too
 * many. */
int keeper_add(struct keeper *k, int fd);
/* Closes all that it keeps. */
struct keeper *keeper_free(struct keeper *k);
DEFINE_CLEANUP(struct keeper *, keeper_free)
