/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the arbiter says of itself: the properties of its manager object. */

#include "arbiterctl/ctl.h"

struct manager_object {
        sd_bus_message *reply; /* strings are borrowed from it */
        const char *version, *state, *instance, *control_group;
        uint64_t started_usec, dead_letters;
        uint32_t failed;     /* monitors and actors that are given up */
        uint32_t takeovers;  /* arbiters before this one, whose actors have gone on */
        char **failed_files; /* configuration that was refused */
        pid_t pid;           /* 0: not known */
};

/* Texts that an older arbiter does not have are "". Returns 0 or an exit status. */
int manager_take(struct context *c, struct manager_object *ret);
void manager_done(struct manager_object *m);
