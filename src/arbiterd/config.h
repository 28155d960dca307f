/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What arbiterd is told to run: every NAME.monitor and NAME.actor of the configuration directories, and
 * arbiterd.conf, as plain data. Loading reads files and looks users up; it starts nothing. Two loads are
 * compared by config_diff(), so that a reload touches only what changed. Strings are owned by the struct
 * that holds them; a pointer that may be NULL says so. All times are microseconds, USEC_INFINITY never. */

#include <signal.h>

#include "basic/identity.h"
#include "basic/listen-socket.h"
#include "basic/time-util.h"
#include "shared/conf-parser.h"
#include "basic/limits.h"

enum config_concurrency { CONFIG_PROCESS, CONFIG_THREAD, CONFIG_UNIT };
enum config_restart { CONFIG_PERMANENT, CONFIG_TRANSIENT, CONFIG_TEMPORARY };
enum config_type { CONFIG_TYPE_EXEC, CONFIG_TYPE_NOTIFY, CONFIG_TYPE_MAILBOX /* linked with libarbiter */ };
enum config_policy { CONFIG_REJECT, CONFIG_DROP_NEW, CONFIG_DROP_OLDEST, CONFIG_BLOCK };
enum config_strategy { CONFIG_POOL, CONFIG_ONE_FOR_ONE, CONFIG_ONE_FOR_ALL, CONFIG_REST_FOR_ONE };
enum config_auto_shutdown {
        CONFIG_AUTO_SHUTDOWN_NEVER,
        CONFIG_AUTO_SHUTDOWN_ANY,
        CONFIG_AUTO_SHUTDOWN_ALL
};
enum config_failure_action { CONFIG_FAILURE_DEFAULT, CONFIG_FAILURE_NONE, CONFIG_FAILURE_EXIT };
#define CONFIG_SHUTDOWN_TIMEOUT 0U /* TimeoutStopSec= */
#define CONFIG_SHUTDOWN_BRUTAL 1U
enum config_output {
        CONFIG_OUTPUT_DEFAULT, /* the journal if the arbiter logs to it, else inherited */
        CONFIG_OUTPUT_INHERIT,
        CONFIG_OUTPUT_NULL,
        CONFIG_OUTPUT_JOURNAL
};

#define CONFIG_WORKERS_MAX 10000U
#define CONFIG_SLOTS_MAX 11024U /* of a worker while a roll has some more of them */
#define CONFIG_LOG_RATE_USEC (30 * USEC_PER_SEC)
#define CONFIG_LOG_RATE_BURST 5000U
#define CONFIG_DAEMON_FILE "arbiterd.conf"

/* One ListenStream=, ListenDatagram=, ListenSequentialPacket= or ListenFIFO=, or a name of Sockets=. */
struct config_socket {
        char *text;  /* as written, specifiers expanded: for messages */
        bool passed; /* Sockets=: systemd has opened it, and text is its name; else: */
        struct listen_address address;
};

struct config_assignment { /* a line of [Service] */
        char *key;
        char *value; /* (%) never empty: that has taken back what was above */
};

enum { CONFIG_PROBES = 3 }; /* by arbiter_probe_kind */

/* [StartProbe] and so on: how an actor is asked; all zero: it is not. Texts with %n %N %i, which the library
 * fills in at each question, and %% for a percent sign. */
struct config_probe {
        char **exec;       /* ProbeExec= split into words; the first is an absolute path */
        char *tcp, *http;  /* ProbeTcp= ProbeHttp= */
        char *host;        /* ProbeHttpHost= */
        bool ping;         /* ProbePing= */
        bool emptied;      /* one of these was taken back: so it may ask nothing */
        usec_t interval_usec, timeout_usec, delay_usec; /* 0: the library's default */
        unsigned failures, successes;                   /* 0: the library's default */
};

/* [Actor]: how one actor, or each worker of a pool, is run. Fields marked (%) hold text before specifiers:
 * use config_expand() for a worker. */
struct actor_config {
        char *name;        /* "clock"; of a pool: the monitor's name */
        char *path;        /* of the main file, for messages */
        char *description; /* Description=; NULL: none */

        int concurrency; /* enum config_concurrency; default process */
        char **exec;     /* (%) Exec= split into words; NULL if module is set */
        int type;        /* enum config_type, of exec; default exec: running once the exec has succeeded */
        char *module;    /* Module= file name or absolute path; NULL if exec or unit is set */
        char *unit;      /* Unit= "my-worker@.service"; NULL if exec or module is set */
        char **params;   /* (%) Params= KEY=VALUE for the module */
        int restart;     /* enum config_restart; default permanent */

        const char *parent; /* the monitor whose child it is, borrowed; NULL: none. config_link() */
        bool significant;   /* Significant=; no */
        usec_t shutdown_usec; /* Shutdown= as a child: CONFIG_SHUTDOWN_..., USEC_INFINITY, or a time */

        usec_t timeout_usec;       /* TimeoutSec= silence, of a module; 30 s; at least 100 ms */
        usec_t timeout_start_usec; /* TimeoutStartSec=; 90 s */
        usec_t timeout_stop_usec;  /* TimeoutStopSec= from SIGTERM to SIGKILL; 5 s */
        usec_t watchdog_usec;      /* WatchdogSec= of exec, between two WATCHDOG=1; USEC_INFINITY: off */

        struct config_socket *sockets; /* Listen...= and Sockets= in the order written */
        size_t n_sockets;
        struct listen_options listen; /* Backlog= (4096), SocketMode= (0666), ReusePort= and so on */
        char *bind_to_device;         /* listen.device, which borrows it; or NULL */
        char *fd_name; /* FileDescriptorName=: one for all, or one for each with ':' between; NULL: name */
        char *socket_user, *socket_group; /* as written; NULL: not written */

        bool user_set;      /* User= was written: what a system arbiter wants to see */
        char *user, *group; /* as written; NULL: not written */
        uid_t uid;          /* (uid_t) -1: the arbiter's own */
        gid_t gid;          /* Group=, else the primary group of User=; (gid_t) -1: the arbiter's own */
        char *home, *shell; /* of User=; NULL if it is not set, or a number without an entry */
        char **group_names; /* SupplementaryGroups= as written */
        gid_t *groups;      /* all supplementary groups to set: those of User= and SupplementaryGroups= */
        size_t n_groups;    /* (leave the arbiter's own if neither is written) */
        char *working_directory;         /* (%) absolute, or ~ for the home of User=; NULL: / */
        bool working_directory_optional; /* written with a - : one that is missing is no failure */
        char **environment;              /* (%) Environment= assignments */
        char **environment_files;        /* (%) EnvironmentFile=, with - in front: may be missing */
        mode_t umask;                    /* 0022 */
        bool nice_set;
        int nice;                      /* -20 ... 19 */
        struct limit limits[N_LIMITS]; /* by RLIMIT_*; only those that are set are applied */
        char *process_name;            /* (%) ProcessName=; NULL: leave it */
        int standard_output;           /* enum config_output */
        int standard_error;
        char *syslog_identifier;       /* (%) SyslogIdentifier= of its lines; NULL: the actor's name */
        bool syslog_level_prefix;      /* "<3>text" is of priority 3; yes */
        usec_t log_rate_interval_usec; /* LogRateLimitIntervalSec=; 30 s; 0: not limited */
        unsigned log_rate_burst;       /* LogRateLimitBurst= lines in that time; 5000; 0: not limited */
        int kill_signal; /* SIGTERM */

        uint64_t mailbox_messages; /* 0: the library's default */
        uint64_t mailbox_bytes;    /* 0: the library's default */
        int mailbox_policy;        /* enum config_policy; default reject */
        int mail_on_restart;       /* MailOnRestart= (arbiter_mail_on_restart); keep */
        char **allow;              /* Allow= globs of actor names it may connect to; NULL: all */

        char **documentation; /* Documentation= of [Monitor]: URIs */
        struct config_assignment *service; /* [Service], for Concurrency=unit; each has been checked */
        size_t n_service;

        uint64_t fingerprint; /* of all of the above */

        struct config_probe probes[CONFIG_PROBES]; /* no part of what tells two workers apart */
};

/* What follows for a pool from what its workers do. */
struct load_config {
        uint64_t requests_max;           /* MaxRequests=; 0: never */
        usec_t runtime_max_usec;         /* RuntimeMaxSec=; never */
        uint64_t memory_max;             /* MaxMemory=; 0: never */
        unsigned recycle_spread_percent; /* RecycleSpread= 0 ... 100; 10 */
        unsigned workers_min;            /* WorkersMin=; 1 */
        unsigned workers_max;            /* WorkersMax=; 0: the size does not follow the load */
        unsigned scale_up_percent;       /* ScaleUpLoad= of each worker; 80 */
        unsigned scale_down_percent;     /* ScaleDownLoad=; 30 */
        usec_t scale_up_usec;            /* ScaleUpSec=; 5 s */
        usec_t scale_down_usec;          /* ScaleDownSec=; 1 min */
};

/* NAME.monitor: [Monitor] and the [Actor] of its workers. */
struct monitor_config {
        char *name;
        char *path;
        char *description;                /* NULL: none */
        unsigned workers;                 /* Workers=; 1; 0 is an empty pool that waits to be scaled */
        unsigned restart_intensity;       /* RestartIntensity= restarts in restart_period_usec; 5 */
        usec_t restart_period_usec;       /* RestartPeriodSec=; 10 s */
        usec_t backoff_min_usec;          /* BackoffMinSec=; 100 ms */
        usec_t backoff_max_usec;          /* BackoffMaxSec=; 30 s */
        unsigned backoff_factor;          /* BackoffFactor= 1 ... 100; 2 */
        unsigned backoff_jitter_percent;  /* BackoffJitter= 0 ... 100; 20 */
        usec_t stable_usec;               /* StableSec= a life as long as this forgives one failure; 10 s */
        unsigned max_surge;               /* MaxSurge= a number, or ARBITER_PERCENT(); 0 */
        unsigned max_unavailable;         /* MaxUnavailable= the same; 1 */
        /* MinReadySec=; by default 1 s if nobody says when a worker is ready (Type=exec), else 0 */
        usec_t min_ready_usec;
        usec_t progress_deadline_usec;    /* ProgressDeadlineSec=; 10 min */
        usec_t drain_usec;                /* DrainSec=; 30 s */
        unsigned breaker_failures;        /* BreakerFailures= in breaker_period_usec; 0: no breaker */
        usec_t breaker_period_usec;       /* BreakerPeriodSec=; 30 s */
        usec_t breaker_min_usec;          /* BreakerMinSec=; 5 s */
        usec_t breaker_max_usec;          /* BreakerMaxSec=; 5 min */
        struct load_config load;
        int strategy;                     /* enum config_strategy; pool */
        char **children;                  /* Children= "db.actor", "web.monitor", in start order */
        char *children_file;              /* where it stands, for messages */
        unsigned children_line;
        int auto_shutdown;                /* enum config_auto_shutdown; never */
        int failure_action;               /* enum config_failure_action: of a pool none, else exit */
        unsigned failure_status;          /* FailureActionExitStatus= 1 ... 255; 70 */
        const char *parent;               /* as of an actor; and as a child: */
        int restart;                      /* Restart=, enum config_restart; permanent */
        bool significant;                 /* Significant=; no */
        int routing;                      /* Routing= (arbiter_routing); round-robin */
        char **after;                     /* After= names of monitors that start first */
        char *after_file;                 /* where the last After= stands, for messages */
        unsigned after_line;
        char *text; /* of its files, for config_load_text(); NULL: of none */
        struct actor_config actor;
};

/* arbiterd.conf, section [Arbiter]. */
struct daemon_config {
        char *pid_file;                    /* NULL: none */
        char *process_name;                /* NULL: leave it */
        int log_level;                     /* LogLevel= as in syslog(3); -1: not written */
        usec_t default_timeout_usec;       /* DefaultTimeoutSec=; 30 s */
        usec_t default_timeout_start_usec; /* DefaultTimeoutStartSec=; 90 s */
        usec_t default_timeout_stop_usec;  /* DefaultTimeoutStopSec=; 5 s */
};

struct config {
        struct daemon_config daemon;
        struct monitor_config **monitors; /* sorted by name */
        struct actor_config **actors;     /* sorted by name; no name is used twice over both */
        struct monitor_config **order;    /* the monitors again, in start order (After=, else by name) */
        size_t n_monitors, n_actors;
        char **claimed; /* "db.actor": children of monitors that were not loaded; they wait for those */
        char **failed; /* file names ("web.monitor") that were not loaded because of errors */
};

struct config_options {
        const char *const *directories; /* earlier wins */
        const char *home, *runtime;     /* %h and %t */
        bool require_user;   /* a system arbiter running as root: User= must be written, if only User=root */
        bool own_user;       /* a user's arbiter: it can run actors as that user only */
        bool check_programs; /* verify: warn of programs that are not there (yet) */
        struct conf_sink sink;
};

/* 0 also when single files are bad: each has been told through the sink and is in ->failed. -ENOMEM. */
int config_load(const struct config_options *options, struct config **ret);
struct config *config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free)

/* One file from memory, without drop-ins: for tests and the fuzzer. file_name says what it is:
 * "web.monitor", "clock.actor", "arbiterd.conf", with or without a directory. 0, -EBADMSG (told), -EINVAL
 * for a file name that is none of these, -ENOMEM. */
int config_check_buffer(const struct config_options *options, const char *file_name, const char *text,
                        size_t size);
/* The same for a file, with the drop-ins beside it: for `arbiterctl verify FILE`. */
int config_check_file(const struct config_options *options, const char *path);

/* One definition alone, by its name: *ret has it, and arbiterd.conf, or nothing if there is no such file. */
int config_load_one(const struct config_options *options, const char *name, struct config **ret);
/* A monitor from what its files had said (monitor_config.text). -EBADMSG: that is not good any more. */
int config_load_text(const struct config_options *options, const struct daemon_config *d, const char *name,
                     const char *text, struct monitor_config **ret);
struct monitor_config *config_free_monitor(struct monitor_config *m);

struct monitor_config *config_find_monitor(const struct config *c, const char *name);
struct actor_config *config_find_actor(const struct config *c, const char *name);

/* What a worker is started with: specifiers, environment files and variables resolved. */
struct config_expanded {
        char *program;      /* absolute path of argv[0]; NULL with a module */
        char **argv;        /* NULL with a module */
        char **environment; /* complete */
        char **params;
        char *working_directory; /* never NULL */
        char *process_name;      /* or NULL */
        char *syslog_identifier; /* or NULL */
        struct config_assignment *service;
        size_t n_service;
};
/* instance: the worker's number, 0 for a lone actor. home, runtime: %h and %t. base: the environment to
 * start from (may be NULL); USER, LOGNAME, HOME and SHELL follow User=, then Environment=, then
 * EnvironmentFile=. On failure *ret_why, if not NULL, is a sentence to be freed, or NULL for lack of memory.
 * -ENOENT and -EACCES for the program or a file, -EBADMSG for what is in a file, -ENOMEM. Reads environment
 * files: blocks as long as the disk does. */
int config_expand(const struct actor_config *a, unsigned instance, const char *home, const char *runtime,
                  char *const *base, struct config_expanded *ret, char **ret_why);
void config_expanded_done(struct config_expanded *e);

enum config_change {
        CONFIG_UNCHANGED,
        CONFIG_SCALED /* only Workers= */,
        CONFIG_PROBED /* of a lone actor: only how it is asked */,
        CONFIG_CHANGED,
        CONFIG_ADDED,
        CONFIG_REMOVED
};

struct config_difference {
        enum config_change change;
        const char *name;                                       /* borrowed from one of the two */
        const struct monitor_config *old_monitor, *new_monitor; /* of a monitor: NULL where it is not */
        const struct actor_config *old_actor, *new_actor;       /* of a lone actor */
        bool parent_failed; /* whose child it was goes on as it was, although it is not in new yet */
};
/* Monitors first, then actors, by name. A name whose file failed to load in new is reported as unchanged: a
 * slip in a file must not end what runs (its new pointer is NULL; keep the old data). old may be NULL. */
int config_diff(const struct config *old, const struct config *new, struct config_difference **ret,
                size_t *ret_n);

/* Did the file of this name fail to load? */
bool config_has_failed(const struct config *c, const char *name, const char *suffix);

/* Whose child each is, by the Children= of all: after a configuration has been put together. */
void config_link(struct config *c);
/* by either name; a child that is linked does not */
bool config_waits(const struct config *c, const char *name);

/* Is it in both, as the child of another monitor than before, or of none? Of names that have been linked. */
bool config_has_moved(const struct config_difference *d);

/* UNCHANGED, SCALED or CHANGED. */
int config_compare(const struct monitor_config *a, const struct monitor_config *b, enum config_change *ret);

/* What failed to load in new, and is in old, goes on as it was: moves it from old (may be NULL) into new.
 * -ENOMEM. */
int config_adopt(struct config *new, struct config *old);

/* All that matters of a definition as text, equal for equal definitions. The next version of arbiterd
 * compares its own with (a hash of) what this one had: of a key that is added nothing is put as long as it
 * has its default, or an upgrade would replace all actors. */
int actor_config_serialize(const struct actor_config *a, char **ret);
/* These are no part of that: a change of them touches no actor. */
bool config_probe_equal(const struct config_probe *a, const struct config_probe *b);
bool config_probes_equal(const struct actor_config *a, const struct actor_config *b);
/* *ret is NULL if it asks nothing. */
struct arbiter_probe;
int config_make_probe(const struct config_probe *p, struct arbiter_probe **ret);
/* Nothing of what workers do counts otherwise. */
bool config_same_load(const struct monitor_config *a, const struct monitor_config *b);
/* A hash of that of an actor: what tells one version of a definition from another. For ever the same. */
int config_fingerprint(const struct actor_config *a, uint64_t *ret);
/* The file that Module= means. */
int config_module_path(const char *module, char **ret);
/* All keys, for completions and tests: "Monitor", "Workers"; i counts up until false. */
bool config_key(unsigned i, const char **ret_section, const char **ret_key);
