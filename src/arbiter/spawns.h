/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptions of actors to be: see include/arbiter/spawn.h. */

#include <arbiter/arbiter.h>

#include "arbiter/exec-context.h"
#include "arbiter/probes.h"
#include "arbiter/unit-settings.h"
#include "basic/identity.h"
#include "basic/list.h"
#include "basic/time-util.h"
#include "supervise/supervise.h"

enum {
        STOP_TIMEOUT_DEFAULT_USEC = 5 * 1000 * 1000, /* pulsar 2.0: ACTOR_ACTION_TIMEOUT */
        TOKEN_LENGTH = 64,                           /* hexadecimal digits of 256 bits */
};

struct arbiter_spawn {
        unsigned n_ref;
        arbiter *arbiter; /* borrowed */
        char *name, *description;
        arbiter_concurrency concurrency;
        const arbiter_module *module;
        char *module_file;
        bool exec;
        arbiter_exec_type exec_type;
        struct list_node parameters; /* struct actor_parameter */
        arbiter_restart restart;
        bool restart_set;
        usec_t silence_usec, start_usec, stop_usec, watchdog_usec;
        uint64_t mailbox_messages, mailbox_bytes;
        arbiter_mailbox_policy mailbox_policy;
        arbiter_mail_on_restart mail_on_restart;
        char **allow; /* NULL: everybody */
        int *listen_fds;
        char **listen_names;
        char *listen_names_joined;
        size_t n_listen_fds;
        struct exec_context context;
        bool context_changed, user_set, resolved;
        int kill_signal;
        int output[2];
        bool expected; /* somebody else starts the process, which then connects with the token */
        char token[TOKEN_LENGTH + 1];
        char *process_name; /* argv[0]; NULL: of a program its path, of a module the actor's name */
        arbiter_spawn_prepare_t prepare;
        void *prepare_userdata;
        char *prepare_definition;
        bool prepared; /* it is one life's alone */
        bool unprepared; /* left by an arbiter, and who would prepare it is not known any more */
        char *definition;     /* whose instance it is; NULL: its own name */
        uint64_t fingerprint; /* 0: all that it says */
        char *source;         /* what it was made from; copies do not have it */
        struct unit_properties unit_properties;
        char *unit_template; /* "my-worker@.service"; NULL: none */
        struct probe_set probes;
};

/* spawn.c */
int spawn_check(arbiter_spawn *s, char **ret_text);
/* A copy with other parameters, for an instance of a definition. */
int spawn_instance(arbiter_spawn *s, const char *name, const char *const *parameters, arbiter_spawn **ret);
const char *spawn_program(const arbiter_spawn *s);
/* What this life (its definition is filled in) is started from: the spawn itself, or a copy that its prepare
 * function has edited. */
int spawn_prepare(arbiter_spawn *s, arbiter_life *life, arbiter_spawn **ret, char **ret_text);
/* The process has its own. */
void spawn_close_output(arbiter_spawn *s);

/* spawn-start.c */
/* Adds to the root set and starts. transient: it is made at run time, and no part of what the program starts
 * with. */
int spawn_start_as(arbiter_spawn *s, const aid *wanted, const aid *spawner, bool transient,
                arbiter_future **ret);
supervise_restart spawn_root_restart(const arbiter_spawn *s);

/* spawn-unit.c */
/* What cannot be together, for people; NULL: all is well. */
const char *spawn_unit_contradiction(const arbiter_spawn *s);
