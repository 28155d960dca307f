/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of arbiterd share. */

#include <sys/resource.h>

#include <arbiter/arbiter.h>

#include "arbiterd/config.h"

struct keeper;
struct leave;
struct listener;
struct passed_socket;
struct output;
struct notify;
struct scope;

/* A descriptor with its FileDescriptorName=. */
struct given_fd {
        char *name;
        int fd;
};

enum daemon_mode {
        DAEMON_STANDALONE, /* for whoever started it: no bus, no scope */
        DAEMON_SYSTEM,     /* a service of the system's manager */
        DAEMON_USER        /* of a user's */
};

struct daemon {
        enum daemon_mode mode;
        char *instance; /* "system", "user" or a name (shared/instance.h); NULL: standalone */
        arbiter *arbiter;
        struct config *config; /* what is to run */
        struct monitor_config **older; /* generation.h */
        size_t n_older;
        struct monitor_config **buried; /* of those: over, but a reload under way may still compare them */
        size_t n_buried;
        bool applying;
        struct config_options options;
        char **directories; /* of configuration */
        bool directories_given;
        char *runtime_directory, *home, *cgroup, *host_program, *logger_program;
        char **environment; /* of workers, before their own settings */
        struct listener *listeners; /* of actors: listener.h */
        struct passed_socket *passed;
        size_t n_listeners, n_passed;
        uint64_t listeners_begun; /* how often a worker has been given one of its own */
        bool listeners_settled; /* what the arbiter before us had opened has been taken over, or closed */
        struct output *output; /* of workers, to the journal; NULL: not yet needed */
        /* names that are being stopped; started again then if the configuration still has them */
        char **leaving;
        char **waiting;   /* names of those who wait for a monitor whose file has errors */
        char **unstarted; /* names that the configuration has, and that could not be put into effect */
        char *complaints;  /* what could not be loaded or done, a line each */
        char **failed_files; /* of configuration, by the last look at it */
        usec_t timeout_stop_usec; /* the longest of all that is configured */
        char *no_scope;    /* why there is no scope, though there should be; NULL: all is well */
        struct scope *scope;
        pid_t holder;      /* the process that keeps the scope */
        int holder_fd, metrics_fd;
        struct given_fd *given;  /* what systemd has passed: the next program is to have it, too */
        size_t n_given;
        int keeper_fd, state_fd; /* from the fd store; later the former is the connection that there is */
        struct keeper *keeper;   /* of what is to outlive us; NULL: standing alone */
        bool takes_over;         /* there is something that an arbiter before us has left */
        struct leave *leave;
        char *program, **arguments; /* on disk, and as we were called */
        struct rlimit nofile;       /* as it was for us, and is for actors and for the next program */
        struct notify *notify; /* NULL: nobody wants to know */
        int log_level;     /* of the command line; -1: not said */
        bool check, stop_actors, if_abandoned, check_state;
};

static inline usec_t daemon_timeout_stop(const struct daemon *d) {
        return d->timeout_stop_usec;
}

/* reload.c: what cannot be set up or done: to the log, and to the operator whose reload or restart this
 * is, if it is one. Returns the error, which is also that of %m. */
int daemon_refuse(struct daemon *d, int error, const char *format, ...) _printf_(3, 4);

/* How often it restarts its own, and what it is called. */
int daemon_configure_monitor(const struct monitor_config *m, arbiter_monitor *monitor);

/* definition.c: what one actor, or each worker of a pool, is started from. Errors have been told. */
int definition_new(struct daemon *d, const struct actor_config *a, arbiter_spawn **ret);
/* How it is asked, of what runs by that name: nobody is stopped. */
int definition_change_probes(
                struct daemon *d, const struct actor_config *old, const struct actor_config *new);
int definition_new_worker(struct daemon *d, const struct monitor_config *m, arbiter_spawn **ret);
/* A life that an arbiter before us has started goes on, and so does what it writes. */
int definition_take_over_output(struct daemon *d, const arbiter_life *life);

/* reload.c: loads, and touches what has changed. The first time that is everything. */
int daemon_load(struct daemon *d, struct config **ret);
/* Takes new over. */
int daemon_apply(struct daemon *d, struct config *new);
int daemon_reload(arbiter *a, char **ret_text, void *userdata);
/* One monitor: its file is read again, and its workers are replaced. */
int daemon_reload_monitor(
                arbiter *a, const char *name, arbiter_future **ret, char **ret_text, void *userdata);
/* An operator starts what was stopped, or could not be started before. */
int daemon_start_stopped(
                arbiter *a, const char *name, arbiter_future **ret, char **ret_text, void *userdata);
