/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the verbs share: the options, the connection to the arbiter, and finding out what a NAME on the
 * command line stands for. A verb returns an exit status; what went wrong has been told on stderr by then.
 */

#include <systemd/sd-bus.h>

#include "arbiterctl/output.h"
#include "shared/verbs.h"

/* As systemctl, and timeout(1); EXIT_USAGE (2) is that of verbs. */
enum { EXIT_NOT_RUNNING = 3, EXIT_NO_SUCH = 4, EXIT_TIMEOUT = 124 };

/* Whose arbiter is meant. SCOPE_DEFAULT: that of the one who asks; --system and --user go through the
 * bus. */
enum scope { SCOPE_DEFAULT, SCOPE_SYSTEM, SCOPE_USER };

#define LINES_DEFAULT UINT_MAX

struct context {
        char *runtime_dir; /* by --runtime-dir=; after connecting, that of the socket, NULL over a bus */
        char *host, *machine, *instance; /* of --host=, --machine=, --instance= */
        enum scope scope;                /* after connecting, that of the arbiter found, if known */
        char *destination;               /* its name on the bus; NULL on a private socket */
        enum json_mode json;
        bool legend, quiet, block, dry_run, hold, abort, ask_password, pager, full;
        usec_t timeout; /* 0: not given */
        int signal;
        uint64_t ping_count; /* 0: until interrupted */
        usec_t ping_interval;
        char **config_dirs;
        char **properties;
        int n_before_dashes; /* positional arguments (the verb among them) before "--"; -1: there was none */
        sd_bus *bus;
        pid_t agent_pid, pager_pid; /* of the polkit agent and of the pager; 0: none */
        unsigned lines;             /* of the journal; LINES_DEFAULT: not given */
        bool follow, catalog, value_only, batch;
        char *routing, *key, *to; /* of send; NULL: not given */
        char *output, *since, *until, *priority; /* as journalctl's; NULL: not given */
        usec_t delay;
        uint64_t iterations; /* 0: not given */
};

void context_done(struct context *c);

/* Complains on stderr: "arbiterctl: TEXT". Returns status. */
int complain(int status, const char *format, ...) _printf_(2, 3);
int out_of_memory(void);
/* The arbiter is looked for at first use. Returns 0 or an exit status. */
int context_connect(struct context *c);
/* The same way once more, after the connection has ended; tells nothing. Negative errno: nobody is there. */
int context_reconnect(struct context *c);
/* For messages: "the arbiter of the system", "the arbiter in /run/x", "the arbiter on HOST"... */
#define WHERE_STRING_MAX 300
const char *context_where(const struct context *c, char buffer[static WHERE_STRING_MAX]);
/* How to start the arbiter that is meant: "systemctl start arbiter". */
const char *context_start_command(const struct context *c, char buffer[static WHERE_STRING_MAX]);
/* It runs where we do: the journal and its processes are ours to look at. */
bool context_is_local(const struct context *c);
/* All signals of the arbiter's objects, and the end of the arbiter itself, come to the handler. */
int context_subscribe(struct context *c, sd_bus_message_handler_t handler, void *userdata);
/* The message says that the arbiter has gone. */
bool is_farewell(const struct context *c, sd_bus_message *m);

/* A call of a method of .Manager; types may be NULL. Returns 0 or an exit status after complaining; what
 * names the object of the action in messages ("web.1"), or is NULL. */
int call_manager(struct context *c, const char *method, const char *what, sd_bus_message **ret,
                 const char *types, ...);
int new_manager_call(struct context *c, const char *method, sd_bus_message **ret);
int new_call(struct context *c, const char *path, const char *interface, const char *method,
             sd_bus_message **ret);
/* The timeout for a call that only asks. */
usec_t query_timeout(const struct context *c);
/* Tells why a call failed and what to do next; returns the exit status for it. */
int complain_call(const sd_bus_error *error, int r, const char *what);
int complain_reply(int r); /* a reply that cannot be read */

/* The type of one row of a table whose signature is given: "a(ss)" is "(ss)". */
#define ROW(signature) (&(signature)[1])
/* Room for one more in an array of n that grows by doubling; NULL if there is none, the array is as it was.
 */
void *grow(void *array, size_t n, size_t size);

struct actor_row {
        const char *aid, *name, *monitor, *concurrency, *state;
        uint32_t pid;
        uint64_t uptime_usec;
        const char *path;
};

struct monitor_row {
        const char *name, *state;
        uint32_t workers, running, failed, restarts;
        const char *path;
};

/* All actors and monitors in a call each. Strings are borrowed from the replies. */
struct snapshot {
        sd_bus_message *actors_reply, *monitors_reply;
        struct actor_row *actors;
        struct monitor_row *monitors;
        size_t n_actors, n_monitors;
};

void snapshot_done(struct snapshot *s);
int snapshot_take(struct context *c, struct snapshot *ret);
/* One of the two only. */
int snapshot_take_actors(struct context *c, struct snapshot *ret);
int snapshot_take_monitors(struct context *c, struct snapshot *ret);
const struct actor_row *snapshot_find_actor(const struct snapshot *s, const char *name_or_aid);

/* What a NAME stands for: an actor, or a monitor (then actor is NULL). */
struct target {
        const char *name; /* borrowed from the snapshot or from the patterns */
        const struct actor_row *actor;
        const struct monitor_row *monitor;
};

enum target_kind {
        TARGET_MONITORS =
                        1 << 0, /* monitors as such; the workers of one that is meant are not meant again */
        TARGET_ACTORS = 1 << 1,
        TARGET_WORKERS = 1 << 2, /* a monitor's name stands for its workers */
        TARGET_EACH = 1 << 3,    /* with TARGET_MONITORS: its workers are meant again if they match */
        TARGET_ARBITER = 1 << 4, /* "arbiter" is one, with neither row */
        TARGET_UNKNOWN = 1 << 5, /* so is a name that is no glob and not there: the arbiter may know it as a
                                    slot */
};

/* Patterns are globs over names and aids; *ret is to be freed. Each target comes once, in the order of the
 * patterns. A pattern that matches nothing is complained of and makes the return value EXIT_NO_SUCH, with
 * *ret valid: the others can be served. On other failures *ret is NULL. */
int snapshot_resolve(const struct snapshot *s, char *const *patterns, unsigned kinds, struct target **ret,
                     size_t *ret_n);

/* Does one of the globs match? */
bool name_matches(char *const *patterns, const char *s);

/* The verbs, by family. userdata is the struct context. */
int verb_list_actors(int argc, char *argv[], void *userdata);
int verb_list_monitors(int argc, char *argv[], void *userdata);
int verb_status(int argc, char *argv[], void *userdata);
int verb_list_children(int argc, char *argv[], void *userdata);
int verb_add_child(int argc, char *argv[], void *userdata);
int verb_remove_child(int argc, char *argv[], void *userdata);
int verb_show(int argc, char *argv[], void *userdata);
int verb_info(int argc, char *argv[], void *userdata);
int verb_ping(int argc, char *argv[], void *userdata);
int verb_send(int argc, char *argv[], void *userdata);
int verb_introspect(int argc, char *argv[], void *userdata);
int verb_spawn(int argc, char *argv[], void *userdata);
int verb_stop(int argc, char *argv[], void *userdata);
int verb_kill(int argc, char *argv[], void *userdata);
int verb_restart(int argc, char *argv[], void *userdata);
int verb_scale(int argc, char *argv[], void *userdata);
int verb_reload(int argc, char *argv[], void *userdata);
/* daemon-reload --dry-run */
int verb_plan_reload(struct context *c);
int verb_reexec(int argc, char *argv[], void *userdata);
int verb_events(int argc, char *argv[], void *userdata);
int verb_top(int argc, char *argv[], void *userdata);
int verb_wait(int argc, char *argv[], void *userdata);
int verb_log(int argc, char *argv[], void *userdata);
int verb_why(int argc, char *argv[], void *userdata);
int verb_deaths(int argc, char *argv[], void *userdata);
int verb_metrics(int argc, char *argv[], void *userdata);
int verb_cat(int argc, char *argv[], void *userdata);
int verb_verify(int argc, char *argv[], void *userdata);
