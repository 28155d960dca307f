/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_SPAWN_H
#define ARBITER_SPAWN_H

#include <arbiter/actor.h>
#include <arbiter/mailbox.h>

ARBITER_BEGIN_DECLARATIONS

/* A spawn: the description of an actor to be, filled by setters, started any number of times. Setters
 * copy. What is wrong in itself is refused by the setter with -EINVAL; what is wrong together by
 * arbiter_spawn_start(). */

typedef enum arbiter_concurrency {
        ARBITER_CONCURRENCY_PROCESS = 0,
        ARBITER_CONCURRENCY_THREAD = 1,
        ARBITER_CONCURRENCY_INLINE = 2,
        ARBITER_CONCURRENCY_UNIT = 3 /* a unit of systemd each: see arbiter_use_systemd() */
} arbiter_concurrency;

typedef enum arbiter_restart {
        ARBITER_RESTART_PERMANENT = 0,
        ARBITER_RESTART_TRANSIENT,
        ARBITER_RESTART_TEMPORARY
} arbiter_restart;

/* Of a program that knows nothing of arbiter: what stands for the handshake. MAILBOX: it is linked with
 * libarbiter. */
typedef enum arbiter_exec_type {
        ARBITER_EXEC_MAILBOX = 0,
        ARBITER_EXEC_NOTIFY,
        ARBITER_EXEC_EXEC
} arbiter_exec_type;

const char *arbiter_concurrency_to_string(arbiter_concurrency c);
const char *arbiter_restart_to_string(arbiter_restart r);

int arbiter_spawn_new(arbiter *a, const char *name, arbiter_spawn **ret);
arbiter_spawn *arbiter_spawn_ref(arbiter_spawn *s);
arbiter_spawn *arbiter_spawn_unref(arbiter_spawn *s);
ARBITER_CLEANUP_DEFINE(arbiter_spawn, unref);

int arbiter_spawn_set_description(arbiter_spawn *s, const char *description);
int arbiter_spawn_set_concurrency(arbiter_spawn *s, arbiter_concurrency concurrency);
/* What it runs, exactly one of: a module in this program (kept by pointer; not as a unit); a module in a
 * shared object, run by arbiter-host; a program (argv[0] is its path); as a unit, an instance of a
 * template. */
int arbiter_spawn_set_module(arbiter_spawn *s, const arbiter_module *module);
int arbiter_spawn_set_module_file(arbiter_spawn *s, const char *path);
int arbiter_spawn_set_exec(arbiter_spawn *s, const char *const *argv, arbiter_exec_type type);

int arbiter_spawn_set_parameter(arbiter_spawn *s, const char *key, const char *value);
/* For a monitor, and for lone actors: when it is replaced. Default: permanent in a monitor, temporary for
 * a lone one. */
int arbiter_spawn_set_restart(arbiter_spawn *s, arbiter_restart restart);
/* Relative microseconds; 0 keeps the default: silence 30 s (at least 100 ms), start 90 s, stop 5 s,
 * watchdog off. */
int arbiter_spawn_set_timeouts(
                arbiter_spawn *s, uint64_t silence, uint64_t start, uint64_t stop, uint64_t watchdog);
int arbiter_spawn_set_mailbox(
                arbiter_spawn *s, uint64_t messages, uint64_t bytes, arbiter_mailbox_policy policy);
/* Whom it may connect to: names or globs, NULL-terminated, of which that of a monitor stands for its
 * workers, too; NULL: all actors of this arbiter. */
int arbiter_spawn_set_allow(arbiter_spawn *s, const char *const *patterns);
/* A listening socket that it inherits; duplicated. */
int arbiter_spawn_add_listen_fd(arbiter_spawn *s, int fd, const char *name);
/* Opens one (the caller's to close): address as in ListenStream= of systemd.socket(5), "8080",
 * "127.0.0.1:8080", "[::1]:8080", "/run/x.sock", "@abstract"; type SOCK_STREAM, SOCK_DGRAM or
 * SOCK_SEQPACKET; backlog 0: the most. */
int arbiter_listen_socket(const char *address, int type, int backlog, int *ret_fd);

/* Of processes. Names or numbers. Not set: our own. (That none runs as root unless it is written is
 * arbiterd's rule.) */
int arbiter_spawn_set_user(arbiter_spawn *s, const char *user);
int arbiter_spawn_set_group(arbiter_spawn *s, const char *group);
int arbiter_spawn_add_supplementary_group(arbiter_spawn *s, const char *group);
int arbiter_spawn_set_working_directory(arbiter_spawn *s, const char *path);
int arbiter_spawn_set_environment(arbiter_spawn *s, const char *key, const char *value);
int arbiter_spawn_set_umask(arbiter_spawn *s, unsigned mask);
int arbiter_spawn_set_nice(arbiter_spawn *s, int nice);
int arbiter_spawn_set_limit(arbiter_spawn *s, int resource, uint64_t soft, uint64_t hard);
int arbiter_spawn_set_process_name(arbiter_spawn *s, const char *name);
int arbiter_spawn_set_kill_signal(arbiter_spawn *s, int signal);
/* Descriptors that become its stdout and stderr, duplicated; -1: inherited; -2: /dev/null. Those of a life
 * alone (see below) are closed once it has them. */
int arbiter_spawn_set_output(arbiter_spawn *s, int stdout_fd, int stderr_fd);

/* Of ARBITER_CONCURRENCY_UNIT. A setting of systemd.exec(5), systemd.resource-control(5), systemd.kill(5) or
 * systemd.service(5), or Documentation=, as one more line of a unit file: "MemoryMax", "500M"; an empty
 * value takes back what was set by this name, and is one for CapabilityBoundingSet= (none) and Delegate=
 * (without controllers), as in a unit file. -EINVAL: not known, not of its type, or the arbiter's own
 * (Restart=, Slice= ...). */
int arbiter_spawn_set_unit_property(arbiter_spawn *s, const char *name, const char *value);
/* Only looks. *ret_text (may be NULL), to be freed, is a sentence that says what is wrong. */
int arbiter_check_unit_property(const char *name, const char *value, char **ret_text);
/* Instead of a program or module: instances of a template unit that is there already,
 * "my-worker@.service". MAILBOX: its program is linked with libarbiter, and comes to the arbiter by itself;
 * else systemd says when an instance runs. */
int arbiter_spawn_set_unit_template(arbiter_spawn *s, const char *name, arbiter_exec_type type);

/* One life of an actor. definition: the name of the spawn that the prepare function was set on (an instance
 * has another one); name: the actor's ("web.3"); monitor: NULL for a lone one. concurrency: of threads that
 * arbiter-host runs each is prepared, and so is their process. */
typedef struct arbiter_life {
        size_t size;
        const char *definition, *name, *aid, *monitor;
        uint32_t generation;
        arbiter_concurrency concurrency;
} arbiter_life;

/* Last changes before each start: of a copy, which is this life's alone. What kind of thing runs stays as it
 * is. Negative: the start fails, and may be tried again, as any other; *ret_text, to be freed by the
 * library, may say more. */
typedef int (*arbiter_spawn_prepare_t)(
                arbiter_spawn *s, const arbiter_life *life, char **ret_text, void *userdata);
int arbiter_spawn_set_prepare(arbiter_spawn *s, arbiter_spawn_prepare_t prepare, void *userdata);
/* What tells two versions of a definition apart when an arbiter takes over from another (see
 * arbiter_set_state()): a hash of what it was made from. 0, the default: everything that was set. */
int arbiter_spawn_set_fingerprint(arbiter_spawn *s, uint64_t fingerprint);
uint64_t arbiter_spawn_get_fingerprint(arbiter_spawn *s);
/* What it was made from, for who wants to make it again when an arbiter has taken over from another, which
 * may have been in the midst of a roll. At most 64 KiB (-E2BIG); NULL: not known. */
int arbiter_spawn_set_source(arbiter_spawn *s, const char *text);
const char *arbiter_spawn_get_source(arbiter_spawn *s);

/* Starts one. The future (may be NULL) resolves to a proxy when it is running, or fails with the reason;
 * its aid is known at once. -EEXIST: the name is taken; -EINVAL: incomplete or contradictory. */
int arbiter_spawn_start(arbiter_spawn *s, arbiter_future **ret);
/* The same for a process that somebody else starts (a debugger, a container): no module and no program is
 * set; within the start timeout it connects to RUNTIME_DIRECTORY/mailbox as the user that was set, with
 * this token, which serves once. ret_token is to be freed: hand it over in a file that only that user can
 * read (see arbiter_actor_main()). */
int arbiter_spawn_expect(arbiter_spawn *s, char **ret_token, arbiter_future **ret);

ARBITER_END_DECLARATIONS

#endif
