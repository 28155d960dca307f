/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a program runs as: command line, environment, credentials, limits. Plain data, filled by the
 * configuration, resolved once, then used read-only by each spawn. */

#include <sys/resource.h>
#include <sys/types.h>

#include "basic/macro.h"

struct exec_limit {
        bool set;
        struct rlimit value;
};

struct exec_context {
        /* Filled by the owner; strings and arrays are owned (malloc) and NULL-terminated. */
        char *path;         /* absolute path of the program; NULL only for process_fork() */
        char **argv;        /* argv[0] is ProcessName= or the path */
        char **environment; /* "NAME=VALUE", complete: nothing is inherited. The names that process_spawn()
                             * sets itself (LISTEN_*, NOTIFY_SOCKET, WATCHDOG_*, ARBITER_MAILBOX) are dropped
                             * from it */
        char *user;         /* name or number; NULL: as the arbiter */
        char *group;        /* NULL: the user's own */
        char **supplementary_groups; /* besides those of the user database; NULL: none */
        char *working_directory;     /* NULL: "/" for process_spawn(), unchanged for process_fork() */
        bool has_umask, has_nice;
        mode_t umask;
        int nice;
        struct exec_limit limits[RLIM_NLIMITS];
        /* what the arbiter found at its start, unless limits[] says else; 0: leave */
        rlim_t soft_nofile;
        bool keep_process_group;   /* default is a session (and so process group) of its own */
        /* PR_SET_PDEATHSIG, sent when the *thread* that spawned it ends; 0: none */
        int parent_death_signal;

        /* Filled by exec_context_resolve(). */
        bool has_gid, has_uid; /* has_gid: set the group and the supplementary groups */
        uid_t uid;
        gid_t gid;
        gid_t *groups;
        size_t n_groups;
};

/* Where starting a program failed. The order is the order in which the steps happen. */
enum exec_step {
        EXEC_STEP_NONE,
        EXEC_STEP_USER, /* looking it up */
        EXEC_STEP_GROUP,
        EXEC_STEP_ARGUMENTS,
        EXEC_STEP_MEMORY,
        EXEC_STEP_CLONE, /* in the parent: clone, pidfd, pipe */
        EXEC_STEP_CGROUP,
        EXEC_STEP_SESSION,
        EXEC_STEP_STDIN,
        EXEC_STEP_STDOUT,
        EXEC_STEP_STDERR,
        EXEC_STEP_FDS,
        EXEC_STEP_NICE,
        EXEC_STEP_LIMITS,
        EXEC_STEP_SETGROUPS,
        EXEC_STEP_SETGID,
        EXEC_STEP_SETUID,
        EXEC_STEP_CHDIR,
        EXEC_STEP_PDEATHSIG,
        EXEC_STEP_EXEC,
        EXEC_STEP_TIMEOUT, /* the child did not come to its exec in time and was killed */
        _EXEC_STEP_MAX,
};

struct exec_failure {
        enum exec_step step;
        int error;  /* positive errno */
        int detail; /* EXEC_STEP_LIMITS: the resource; EXEC_STEP_FDS: the target descriptor; else 0 */
};

/* Empty context: nothing set, nothing allocated. */
void exec_context_init(struct exec_context *c);
/* Frees what it owns and initialises it again. Takes one half filled. */
void exec_context_free(struct exec_context *c);

/* Looks up user and groups (may block in NSS: call it when configuration is loaded, not at each spawn) and
 * adds USER, LOGNAME, HOME and SHELL to the environment when `user` is set and they are not. Without
 * privileges the own user and group resolve to "no change". -ESRCH: no such user, -ENOENT: no such group,
 * ret_failure says which step. May be repeated. */
int exec_context_resolve(struct exec_context *c, struct exec_failure *ret_failure);

/* Adds or replaces one variable. -EINVAL for a bad name. */
int exec_context_set_env(struct exec_context *c, const char *name, const char *value);

/* "setgid to 'nogroup' failed: Operation not permitted", "exec '/bin/x' failed: …". Truncates; returns
 * buffer. */
char *exec_failure_format(
                const struct exec_failure *f,
                const struct exec_context *c,
                char *buffer,
                size_t size);
#define EXEC_FAILURE_STRING_MAX 512
/* The exit status with which a child of process_fork() reports a failed step: 200 + step, systemd's
 * range. */
int exec_step_to_exit_status(enum exec_step step);
const char *exec_step_to_string(enum exec_step step);
