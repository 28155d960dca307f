/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of arbiterd share. */

#include <arbiter/arbiter.h>

#include "arbiterd/config.h"

struct listener;

struct daemon {
        arbiter *arbiter;
        struct config *config; /* what is to run */
        struct config_options options;
        char **directories; /* of configuration */
        bool directories_given;
        char *runtime_directory, *home, *cgroup, *host_program;
        char **environment; /* of workers, before their own settings */
        struct listener *listeners;
        size_t n_listeners;
        /* names that are being stopped; started again then if the configuration still has them */
        char **leaving;
        char *complaints;  /* what could not be loaded or done, a line each */
        int log_level;     /* of the command line; -1: not said */
        bool check;
};

/* definition.c: what one actor, or each worker of a pool, is started from. Errors have been told. */
int definition_new(struct daemon *d, const struct actor_config *a, arbiter_spawn **ret);

/* listener.c: each listening socket is opened once, and stays open over reloads as long as somebody has
 * it. */
int listeners_add_to(struct daemon *d, const struct actor_config *a, arbiter_spawn *s);
void listeners_sweep(struct daemon *d);
void listeners_done(struct daemon *d);

/* reload.c: loads, and touches what has changed. The first time that is everything. */
int daemon_load(struct daemon *d, struct config **ret);
/* Takes new over. */
int daemon_apply(struct daemon *d, struct config *new);
int daemon_reload(arbiter *a, char **ret_text, void *userdata);
