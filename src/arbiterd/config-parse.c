/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of keys, their defaults and the parse functions of arbiterd's own. Called by config.c through
 * conf-parser. Touches nothing but the struct being filled and, for User= and Group=, the user database. */

#include <sys/stat.h>

#include <arbiter/probe.h>
#include <arbiter/route.h>

#include "arbiterd/config-internal.h"
#include "basic/parse.h"
#include "shared/exec-line.h"
#include "shared/log.h"
#include "shared/specifier.h"
#include "shared/strv.h"

#define MINIMUM_TIMEOUT (100 * USEC_PER_MSEC)
#define SYSLOG_IDENTIFIER_MAX 255

static void remember(const struct conf_context *c, enum place_key key) {
        const struct load_context *l = c->parser->options;

        l->places[key] = (struct place){ c->file, c->line };
}

static struct actor_config *actor_of(const struct conf_context *c) {
        return &((struct monitor_config *) c->parser->data)->actor;
}

int config_specifiers(const struct conf_context *c, const char *value, bool numbered, char **ret) {
        const struct load_context *l = c->parser->options;
        const struct specifier_values v = {
                .name = l->name,
                .instance = numbered ? (l->pool ? "1" : "") : (l->pool ? NULL : ""),
                .home = l->options->home,
                .runtime = l->options->runtime,
        };
        char bad = 0;
        int r = specifier_expand(value, &v, ret, &bad);

        if (r == -E2BIG)
                return conf_bad_value(c, value, "short enough: with its specifiers it is over 64 KiB");
        if (r != -EINVAL)
                return r;
        if (bad && strchr("niht", bad))
                return conf_complain(c, "%%%c has no value in %s=; %s.", bad, c->key,
                                     bad == 'n' || bad == 'i'
                                             ? "it is the same for all workers, so leave the number out"
                                             : "write the path itself");
        if (bad > ' ' && bad < 127)
                return conf_complain(c,
                                     "%%%c in %s= is not a known specifier; known are %%n %%N %%i %%h "
                                     "%%t, and %%%% is a percent sign.",
                                     bad, c->key);
        return conf_complain(c,
                             "%s= has a single %% that starts no specifier; write %%%% for a percent "
                             "sign.",
                             c->key);
}

static int check_specifiers(const struct conf_context *c, const char *value) {
        _cleanup_free_ char *expanded = NULL;

        return config_specifiers(c, value, true, &expanded);
}

int config_check_exclusive(const struct conf_context *c) {
        const struct actor_config *a = actor_of(c);
        const struct {
                const char *key;
                bool set;
        } kinds[] = { { "Exec", a->exec }, { "Module", a->module }, { "Unit", a->unit } };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (kinds[i].set && !streq(c->key, kinds[i].key))
                        return conf_complain(c,
                                             "%s= and %s= exclude each other, and %s= is set already; keep "
                                             "one.",
                                             c->key, kinds[i].key, kinds[i].key);
        return 0;
}

/* Text that is the same for all workers: expanded here and now. */
static int parse_shared_string(const struct conf_context *c, const char *value, void *field) {
        _cleanup_free_ char *expanded = NULL;
        int r = config_specifiers(c, value, false, &expanded);

        return r < 0 ? r : conf_parse_string(c, expanded, field);
}

static int parse_shared_path(const struct conf_context *c, const char *value, void *field) {
        _cleanup_free_ char *expanded = NULL;
        int r = config_specifiers(c, value, false, &expanded);

        return r < 0 ? r : conf_parse_path(c, expanded, field);
}

/* Text that differs between workers: checked here, expanded by config_expand(). */
static int parse_numbered_string(const struct conf_context *c, const char *value, void *field) {
        int r = check_specifiers(c, value);

        return r < 0 ? r : conf_parse_string(c, value, field);
}

/* Of a line of a log: what is printed in front of it. */
static int parse_identifier(const struct conf_context *c, const char *value, void *field) {
        bool good = strlen(value) <= SYSLOG_IDENTIFIER_MAX;

        for (const char *p = value; *p; p++)
                good = good && (unsigned char) *p > ' ' && *p != 127;
        if (!good)
                return conf_bad_value(c, value,
                                      "an identifier of at most %d characters without blanks; write for "
                                      "example SyslogIdentifier=%%n",
                                      SYSLOG_IDENTIFIER_MAX);
        return parse_numbered_string(c, value, field);
}

static int parse_exec(const struct conf_context *c, const char *value, void *field) {
        struct actor_config *a = actor_of(c);
        _cleanup_strv_free_ char **words = NULL;
        const char *why;
        int r;

        if (!*value) {
                a->exec = strv_free(a->exec);
                return 0;
        }
        if (a->exec)
                return conf_complain(c,
                                     "Exec= is set already; write an empty Exec= above this line to replace "
                                     "it.");
        r = config_check_exclusive(c);
        if (r < 0)
                return r;
        r = exec_line_parse(value, &words, &why);
        if (r == -EINVAL)
                return conf_bad_value(c, value, "a command line: %s", why);
        if (r < 0)
                return r;
        STRV_FOREACH(i, words) {
                r = check_specifiers(c, *i);
                if (r < 0)
                        return r;
        }
        a->exec = TAKE_PTR(words);
        return 0;
}

static int parse_module(const struct conf_context *c, const char *value, void *field) {
        int r = *value ? config_check_exclusive(c) : 0;

        if (r < 0)
                return r;
        if (*value && ((*value != '/' && strchr(value, '/')) || value[strlen(value) - 1] == '/' ||
                       streq(value, ".") || streq(value, "..")))
                return conf_bad_value(c, value,
                                      "a module; write its file name (squares.so) or its absolute path");
        return parse_shared_string(c, value, field);
}

static bool parameter_is_valid(const char *s) {
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

        return n > 0 && s[n] == '=';
}

/* Environment= and Params=: words of KEY=VALUE, a later one replaces an earlier of the same key. */
static int parse_assignments(const struct conf_context *c, const char *value, char ***field,
                             bool (*is_valid)(const char *s)) {
        _cleanup_strv_free_ char **words = NULL;
        const char *why;
        int r;

        if (!*value) {
                *field = strv_free(*field);
                return 0;
        }
        r = split_words(value, &words, &why);
        if (r == -EINVAL)
                return conf_bad_value(c, value, "a list of KEY=VALUE: %s", why);
        STRV_FOREACH(i, words) {
                if (!is_valid(*i))
                        return conf_bad_value(c, *i, "KEY=VALUE; write quotes around one with blanks, "
                                              "as in %s=\"KEY=two words\"", c->key);
                r = check_specifiers(c, *i);
                if (r >= 0)
                        r = strv_set_environment(field, *i);
                if (r < 0)
                        return r;
        }
        return r;
}

static int parse_environment(const struct conf_context *c, const char *value, void *field) {
        return parse_assignments(c, value, field, environment_assignment_is_valid);
}

static int parse_params(const struct conf_context *c, const char *value, void *field) {
        if (*value)
                remember(c, PLACE_PARAMS);
        return parse_assignments(c, value, field, parameter_is_valid);
}

static int parse_environment_file(const struct conf_context *c, const char *value, void *field) {
        int r;

        if (*value && value[*value == '-'] != '/')
                return conf_bad_value(c, value,
                                      "an absolute path, with - in front if the file may be missing");
        r = check_specifiers(c, value);
        return r < 0 ? r : conf_parse_strings(c, value, field);
}

static int parse_working_directory(const struct conf_context *c, const char *value, void *field) {
        struct actor_config *a = actor_of(c);
        bool optional = *value == '-';
        int r;

        value += optional;
        if ((*value || optional) && *value != '/' && !streq(value, "~"))
                return conf_bad_value(c, value,
                                      "an absolute path, or ~ for the home directory of User=; a - in front "
                                      "means that it may be missing");
        r = parse_numbered_string(c, value, field);
        if (r >= 0)
                a->working_directory_optional = optional;
        return r;
}

static int parse_limit(const struct conf_context *c, const char *value, void *field) {
        size_t resource =
                (c->item->offset - offsetof(struct monitor_config, actor.limits)) / sizeof(struct limit);
        struct limit *l = field;
        int r;

        if (conf_reset(c, value, field, sizeof(*l)))
                return 0;
        r = limit_parse((int) resource, value, &l->value);
        if (r == -ENOMEM)
                return r;
        if (r == -EILSEQ)
                return conf_bad_value(c, value, "SOFT:HARD with a soft limit that is at most the hard one");
        if (r < 0)
                return conf_bad_value(c, value, "%s", limit_kind((int) resource));
        l->set = true;
        return 0;
}

static int parse_nice(const struct conf_context *c, const char *value, void *field) {
        struct actor_config *a = actor_of(c);
        int32_t nice = 0;

        if (*value && (parse_i32(value, &nice) < 0 || nice < -20 || nice > 19))
                return conf_bad_value(c, value, "a nice level from -20 (favoured) to 19");
        a->nice = nice;
        a->nice_set = *value != 0;
        return 0;
}

/* Permissions alone; the parameter is what they are for. */
static int parse_permissions(const struct conf_context *c, const char *value, void *field) {
        mode_t mode;
        int r;

        if (conf_reset(c, value, field, sizeof(mode_t)))
                return 0;
        r = parse_mode(value, &mode);
        if (r < 0 || mode > 0777)
                return conf_bad_value(c, value, "%s", (const char *) c->item->parameter);
        *(mode_t *) field = mode;
        return 0;
}

static int parse_reuse_port(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_REUSE_PORT);
        return conf_parse_bool(c, value, field);
}

static int parse_concurrency(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_CONCURRENCY);
        return conf_parse_word(c, value, field);
}

static int parse_type(const struct conf_context *c, const char *value, void *field) {
        if (*value)
                remember(c, PLACE_TYPE);
        return conf_parse_word(c, value, field);
}

static int parse_watchdog(const struct conf_context *c, const char *value, void *field) {
        if (*value)
                remember(c, PLACE_WATCHDOG);
        return conf_parse_timeout(c, value, field);
}

static int parse_backoff(const struct conf_context *c, const char *value, void *field) {
        remember(c, PLACE_BACKOFF);
        return conf_parse_timespan(c, value, field);
}

static int parse_jitter(const struct conf_context *c, const char *value, void *field) {
        if (conf_reset(c, value, field, sizeof(unsigned)))
                return 0;
        if (parse_percent(value, field) < 0)
                return conf_bad_value(c, value,
                                      "a percentage from 0 to 100; write for example BackoffJitter=20%%");
        return 0;
}

static int parse_after(const struct conf_context *c, const char *value, void *field) {
        _cleanup_strv_free_ char **names = NULL;
        char ***after = field;
        const char *why;
        int r;

        remember(c, PLACE_AFTER);
        if (!*value) {
                *after = strv_free(*after);
                return 0;
        }
        r = split_words(value, &names, &why);
        if (r < 0 && r != -EINVAL)
                return r;
        STRV_FOREACH(i, names) {
                char *suffix = strstr(*i, ".monitor"); /* a systemd user may write the file's name */

                if (suffix && streq(suffix, ".monitor"))
                        *suffix = 0;
                if (!name_is_valid(*i))
                        return conf_bad_value(c, *i, "the name of a monitor");
                if (strv_contains(*after, *i))
                        continue;
                r = strv_add(after, *i);
                if (r < 0)
                        return r;
        }
        return r == -EINVAL ? conf_bad_value(c, value, "a list of names: %s", why) : 0;
}

/* [Monitor] in a .actor file: one mistake, told once a key. */
static int parse_misplaced(const struct conf_context *c, const char *value, void *field) {
        struct conf_shown key = conf_show(c->key, strlen(c->key)); /* it may be any */

        return conf_complain(c,
                             "%s= in section [Monitor] has no meaning in a .actor file, which is a "
                             "single actor; rename the file to end in .monitor, or remove the section.",
                             key.s);
}

static int parse_log_level(const struct conf_context *c, const char *value, void *field) {
        int level;

        if (conf_reset(c, value, field, sizeof(int)))
                return 0;
        level = log_level_from_string(value);
        if (level < 0)
                return conf_bad_value(
                        c, value, "a log level: emerg, alert, crit, err, warning, notice, info or debug");
        *(int *) field = level;
        return 0;
}

static const struct conf_word concurrency_words[] = {
        { "process", CONFIG_PROCESS },
        { "thread", CONFIG_THREAD },
        { "unit", CONFIG_UNIT },
        { "inline", CONFIG_PROCESS,
          "is for monitors and embedded arbiters only; use process, thread or unit" },
        {},
};
static const struct conf_word type_words[] = {
        { "exec", CONFIG_TYPE_EXEC },
        { "notify", CONFIG_TYPE_NOTIFY },
        { "mailbox", CONFIG_TYPE_MAILBOX },
        { "simple", CONFIG_TYPE_EXEC, "is not known here; use exec, which also notices a failing exec" },
        { "forking", CONFIG_TYPE_EXEC,
          "is not known here; keep the program in the foreground and use exec" },
        { "oneshot", CONFIG_TYPE_EXEC, "is not known here; use exec with Restart=temporary" },
        {},
};
static const struct conf_word restart_words[] = {
        { "permanent", CONFIG_PERMANENT },
        { "transient", CONFIG_TRANSIENT },
        { "temporary", CONFIG_TEMPORARY },
        { "always", CONFIG_PERMANENT, "is systemd's word; write Restart=permanent" },
        { "on-failure", CONFIG_TRANSIENT, "is systemd's word; write Restart=transient" },
        { "no", CONFIG_TEMPORARY, "is systemd's word; write Restart=temporary" },
        {},
};
static const struct conf_word strategy_words[] = {
        { "pool", CONFIG_POOL },
        { "one-for-one", CONFIG_ONE_FOR_ONE },
        { "one-for-all", CONFIG_ONE_FOR_ALL },
        { "rest-for-one", CONFIG_REST_FOR_ONE },
        { "simple-one-for-one", CONFIG_POOL, "is OTP's word; write Strategy=pool" },
        {},
};
static const struct conf_word auto_shutdown_words[] = {
        { "never", CONFIG_AUTO_SHUTDOWN_NEVER },
        { "any", CONFIG_AUTO_SHUTDOWN_ANY },
        { "all", CONFIG_AUTO_SHUTDOWN_ALL },
        {},
};
static const struct conf_word failure_words[] = {
        { "none", CONFIG_FAILURE_NONE },
        { "exit", CONFIG_FAILURE_EXIT },
        {},
};
static const struct conf_word routing_words[] = {
        { "round-robin", ARBITER_ROUTING_ROUND_ROBIN },
        { "least-outstanding", ARBITER_ROUTING_LEAST_OUTSTANDING },
        { "consistent-hash", ARBITER_ROUTING_CONSISTENT_HASH },
        { "broadcast", ARBITER_ROUTING_BROADCAST },
        {},
};
static const struct conf_word mail_words[] = {
        { "keep", ARBITER_MAIL_KEEP },
        { "drop", ARBITER_MAIL_DROP },
        {},
};
static const struct conf_word policy_words[] = {
        { "reject", CONFIG_REJECT },
        { "drop-new", CONFIG_DROP_NEW },
        { "drop-oldest", CONFIG_DROP_OLDEST },
        { "block", CONFIG_BLOCK },
        {},
};
static const struct conf_word ipv6_words[] = {
        { "default", LISTEN_IPV6_DEFAULT },
        { "both", LISTEN_IPV6_BOTH },
        { "ipv6-only", LISTEN_IPV6_ONLY },
        {},
};
static const struct conf_word output_words[] = {
        { "inherit", CONFIG_OUTPUT_INHERIT },
        { "null", CONFIG_OUTPUT_NULL },
        { "journal", CONFIG_OUTPUT_JOURNAL },
        {},
};
static const char access_mode[] = "an access mode from 0000 to 0777; write for example 0660";
static const struct conf_range range_workers = { 0, CONFIG_WORKERS_MAX, "4" };
static const struct conf_range range_workers_min = { 1, CONFIG_WORKERS_MAX, "2" };
static const struct conf_range range_requests = { 0, INT64_MAX, "100000" };
static const struct conf_range range_memory = { 0, (uint64_t) 1 << 50, "512M" };
static const struct conf_range range_runtime = { USEC_PER_SEC, USEC_INFINITY, "1d" };
static const struct conf_range range_status = { 1, 255, "70" };
static const struct conf_range range_intensity = { 0, 1000, "5" }; /* as many as are remembered */
static const struct conf_range range_factor = { 1, 100, "2" };
static const struct conf_range range_backlog = { 1, INT32_MAX, "4096" };
static const struct conf_range range_messages = { 1, 16777216, "1000" };
static const struct conf_range range_bytes = { 4096, (uint64_t) 1 << 40, "1M" };
static const struct conf_range range_period = { USEC_PER_MSEC, 366 * 86400 * USEC_PER_SEC, "10s" };
static const struct conf_range range_backoff = { USEC_PER_MSEC, 366 * 86400 * USEC_PER_SEC, "100ms" };
static const struct conf_range range_min_ready = { 0, 366 * 86400 * USEC_PER_SEC, "5s" };
static const struct conf_range range_deadline = { USEC_PER_MSEC, USEC_INFINITY, "10min" };
static const struct conf_range range_drain = { 0, 366 * 86400 * USEC_PER_SEC, "30s" };
static const struct conf_range range_timeout = { MINIMUM_TIMEOUT, USEC_INFINITY, "30s" };
static const struct conf_range range_timeout_start = { MINIMUM_TIMEOUT, USEC_INFINITY, "90s" };
static const struct conf_range range_timeout_stop = { USEC_PER_MSEC, USEC_INFINITY, "5s" };
static const struct conf_range range_log_rate = { 0, 366 * 86400 * USEC_PER_SEC, "30s" };
static const struct conf_range range_log_burst = { 0, INT32_MAX, "5000" };
static const struct conf_range range_probe = { 10 * USEC_PER_MSEC, 366 * 86400 * USEC_PER_SEC, "10s" };
static const struct conf_range range_delay = { 0, 366 * 86400 * USEC_PER_SEC, "10s" };
static const struct conf_range range_threshold = { 1, 1000000, "3" };
static const struct conf_range range_buffer = { 1, INT32_MAX, "256K" };
static const int stream = SOCK_STREAM, datagram = SOCK_DGRAM, packets = SOCK_SEQPACKET, fifo = LISTEN_FIFO;

#define MONITOR(key, parse, field, ...)                                                                     \
        { "Monitor", key, parse, offsetof(struct monitor_config, field), __VA_ARGS__ }
#define ACTOR(key, parse, field, ...)                                                                       \
        { "Actor", key, parse, offsetof(struct monitor_config, actor.field), __VA_ARGS__ }
#define LIMIT(name) ACTOR("Limit" #name, parse_limit, limits[RLIMIT_##name])

#define PROBE(section, kind, key, parse, field, ...)                                                        \
        { section, key, parse, offsetof(struct monitor_config, actor.probes[kind].field), __VA_ARGS__ }

/* clang-format off: a row a key */
#define PROBE_ITEMS(section, kind)                                                                        \
        PROBE(section, kind, "ProbeExec", config_parse_probe_exec, exec),                                 \
        PROBE(section, kind, "ProbeTcp", config_parse_probe_tcp, tcp),                                    \
        PROBE(section, kind, "ProbeHttp", config_parse_probe_http, http),                                 \
        PROBE(section, kind, "ProbeHttpHost", config_parse_probe_host, host),                             \
        PROBE(section, kind, "ProbePing", config_parse_probe_ping, ping),                                 \
        PROBE(section, kind, "IntervalSec", config_parse_probe_time, interval_usec, &range_probe),        \
        PROBE(section, kind, "TimeoutSec", config_parse_probe_time, timeout_usec, &range_probe),          \
        PROBE(section, kind, "InitialDelaySec", config_parse_probe_time, delay_usec, &range_delay),       \
        PROBE(section, kind, "FailureThreshold", config_parse_probe_threshold, failures, &range_threshold), \
        PROBE(section, kind, "SuccessThreshold", config_parse_probe_threshold, successes, &range_threshold)
#define ACTOR_ITEMS                                                                                       \
        ACTOR("Description", parse_shared_string, description),                                           \
        ACTOR("Concurrency", parse_concurrency, concurrency, concurrency_words),                          \
        ACTOR("Exec", parse_exec, exec),                                                                  \
        ACTOR("Type", parse_type, type, type_words),                                                      \
        ACTOR("Module", parse_module, module),                                                            \
        ACTOR("Unit", config_parse_unit, unit),                                                           \
        ACTOR("Params", parse_params, params),                                                            \
        ACTOR("Restart", conf_parse_word, restart, restart_words),                                        \
        ACTOR("Significant", config_parse_significant, significant),                                      \
        ACTOR("Shutdown", config_parse_shutdown, shutdown_usec),                                          \
        ACTOR("TimeoutSec", conf_parse_timeout, timeout_usec, &range_timeout),                            \
        ACTOR("TimeoutStartSec", conf_parse_timeout, timeout_start_usec, &range_timeout_start),           \
        ACTOR("TimeoutStopSec", conf_parse_timeout, timeout_stop_usec, &range_timeout_stop),              \
        ACTOR("WatchdogSec", parse_watchdog, watchdog_usec, &range_timeout),                              \
        ACTOR("ListenStream", config_parse_listen, sockets, &stream),                                     \
        ACTOR("ListenDatagram", config_parse_listen, sockets, &datagram),                                 \
        ACTOR("ListenSequentialPacket", config_parse_listen, sockets, &packets),                          \
        ACTOR("ListenFIFO", config_parse_listen, sockets, &fifo),                                         \
        ACTOR("Sockets", config_parse_passed, sockets),                                                   \
        ACTOR("FileDescriptorName", config_parse_fd_name, fd_name),                                       \
        ACTOR("ReusePort", parse_reuse_port, listen.reuse_port),                                          \
        ACTOR("Backlog", conf_parse_unsigned, listen.backlog, &range_backlog),                            \
        ACTOR("BindIPv6Only", conf_parse_word, listen.ipv6, ipv6_words),                                  \
        ACTOR("BindToDevice", config_parse_device, bind_to_device),                                       \
        ACTOR("FreeBind", conf_parse_bool, listen.free_bind),                                             \
        ACTOR("NonBlocking", conf_parse_bool, listen.non_blocking),                                       \
        ACTOR("KeepAlive", conf_parse_bool, listen.keep_alive),                                           \
        ACTOR("NoDelay", conf_parse_bool, listen.no_delay),                                               \
        ACTOR("Broadcast", conf_parse_bool, listen.broadcast),                                            \
        ACTOR("PassCredentials", conf_parse_bool, listen.pass_credentials),                               \
        ACTOR("ReceiveBuffer", conf_parse_size, listen.receive_buffer, &range_buffer),                    \
        ACTOR("SendBuffer", conf_parse_size, listen.send_buffer, &range_buffer),                          \
        ACTOR("PipeSize", conf_parse_size, listen.pipe_size, &range_buffer),                              \
        ACTOR("SocketUser", config_parse_socket_user, socket_user),                                       \
        ACTOR("SocketGroup", config_parse_socket_group, socket_group),                                    \
        ACTOR("SocketMode", parse_permissions, listen.mode, access_mode),                                 \
        ACTOR("DirectoryMode", parse_permissions, listen.directory_mode, access_mode),                    \
        ACTOR("User", config_parse_user, user),                                                           \
        ACTOR("Group", config_parse_group, group),                                                        \
        ACTOR("SupplementaryGroups", config_parse_groups, group_names),                                   \
        ACTOR("WorkingDirectory", parse_working_directory, working_directory),                            \
        ACTOR("Environment", parse_environment, environment),                                             \
        ACTOR("EnvironmentFile", parse_environment_file, environment_files),                              \
        ACTOR("UMask", parse_permissions, umask, "a mask from 0000 to 0777"),                             \
        ACTOR("Nice", parse_nice, nice),                                                                  \
        LIMIT(CPU), LIMIT(FSIZE), LIMIT(DATA), LIMIT(STACK), LIMIT(CORE), LIMIT(RSS), LIMIT(NOFILE),      \
        LIMIT(AS), LIMIT(NPROC), LIMIT(MEMLOCK), LIMIT(LOCKS), LIMIT(SIGPENDING), LIMIT(MSGQUEUE),        \
        LIMIT(NICE), LIMIT(RTPRIO), LIMIT(RTTIME),                                                        \
        ACTOR("ProcessName", parse_numbered_string, process_name),                                        \
        ACTOR("StandardOutput", conf_parse_word, standard_output, output_words),                          \
        ACTOR("StandardError", conf_parse_word, standard_error, output_words),                            \
        ACTOR("SyslogIdentifier", parse_identifier, syslog_identifier),                                   \
        ACTOR("SyslogLevelPrefix", conf_parse_bool, syslog_level_prefix),                                 \
        ACTOR("LogRateLimitIntervalSec", conf_parse_timespan, log_rate_interval_usec, &range_log_rate),   \
        ACTOR("LogRateLimitBurst", conf_parse_unsigned, log_rate_burst, &range_log_burst),                \
        ACTOR("KillSignal", conf_parse_signal, kill_signal),                                              \
        ACTOR("MailboxMessages", conf_parse_u64, mailbox_messages, &range_messages),                      \
        ACTOR("MailboxBytes", conf_parse_size, mailbox_bytes, &range_bytes),                              \
        ACTOR("MailboxPolicy", conf_parse_word, mailbox_policy, policy_words),                            \
        ACTOR("MailOnRestart", conf_parse_word, mail_on_restart, mail_words),                             \
        ACTOR("Allow", conf_parse_words, allow),                                                          \
        PROBE_ITEMS("StartProbe", ARBITER_PROBE_START),                                                   \
        PROBE_ITEMS("ReadinessProbe", ARBITER_PROBE_READINESS),                                           \
        PROBE_ITEMS("LivenessProbe", ARBITER_PROBE_LIVENESS),                                             \
        { "Service", NULL, config_parse_service, 0 }
/* clang-format on */

const struct conf_item config_monitor_items[] = {
        MONITOR("Description", parse_shared_string, description),
        MONITOR("Documentation", config_parse_documentation, actor.documentation),
        MONITOR("Strategy", config_parse_strategy, strategy, strategy_words),
        MONITOR("Children", config_parse_children, children),
        MONITOR("AutoShutdown", config_parse_auto_shutdown, auto_shutdown, auto_shutdown_words),
        MONITOR("FailureAction", conf_parse_word, failure_action, failure_words),
        MONITOR("FailureActionExitStatus", conf_parse_unsigned, failure_status, &range_status),
        MONITOR("Restart", conf_parse_word, restart, restart_words),
        MONITOR("Significant", config_parse_significant, significant),
        MONITOR("Workers", config_parse_workers, workers, &range_workers),
        MONITOR("RestartIntensity", conf_parse_unsigned, restart_intensity, &range_intensity),
        MONITOR("RestartPeriodSec", conf_parse_timespan, restart_period_usec, &range_period),
        MONITOR("BackoffMinSec", parse_backoff, backoff_min_usec, &range_backoff),
        MONITOR("BackoffMaxSec", parse_backoff, backoff_max_usec, &range_backoff),
        MONITOR("BackoffFactor", conf_parse_unsigned, backoff_factor, &range_factor),
        MONITOR("BackoffJitter", parse_jitter, backoff_jitter_percent),
        MONITOR("StableSec", conf_parse_timespan, stable_usec, &range_period),
        MONITOR("MaxSurge", config_parse_share, max_surge),
        MONITOR("MaxUnavailable", config_parse_share, max_unavailable),
        MONITOR("MinReadySec", config_parse_pool_span, min_ready_usec, &range_min_ready),
        MONITOR("ProgressDeadlineSec", config_parse_pool_timeout, progress_deadline_usec, &range_deadline),
        MONITOR("DrainSec", config_parse_pool_span, drain_usec, &range_drain),
        MONITOR("BreakerFailures", config_parse_pool_number, breaker_failures, &range_intensity),
        MONITOR("BreakerPeriodSec", config_parse_pool_span, breaker_period_usec, &range_period),
        MONITOR("BreakerMinSec", config_parse_breaker, breaker_min_usec, &range_backoff),
        MONITOR("BreakerMaxSec", config_parse_breaker, breaker_max_usec, &range_backoff),
        MONITOR("MaxRequests", config_parse_requests, load.requests_max, &range_requests),
        MONITOR("RuntimeMaxSec", config_parse_pool_timeout, load.runtime_max_usec, &range_runtime),
        MONITOR("MaxMemory", config_parse_memory, load.memory_max, &range_memory),
        MONITOR("RecycleSpread", config_parse_spread, load.recycle_spread_percent),
        MONITOR("WorkersMin", config_parse_worker_bound, load.workers_min, &range_workers_min),
        MONITOR("WorkersMax", config_parse_worker_bound, load.workers_max, &range_workers),
        MONITOR("ScaleUpLoad", config_parse_scale_load, load.scale_up_percent),
        MONITOR("ScaleDownLoad", config_parse_scale_load, load.scale_down_percent),
        MONITOR("ScaleUpSec", config_parse_scale_time, load.scale_up_usec, &range_period),
        MONITOR("ScaleDownSec", config_parse_scale_time, load.scale_down_usec, &range_period),
        MONITOR("Routing", config_parse_pool_word, routing, routing_words),
        MONITOR("After", parse_after, after),
        ACTOR_ITEMS,
        {},
};

const struct conf_item config_actor_items[] = {
        ACTOR_ITEMS,
        { "Monitor", NULL, parse_misplaced, 0 },
        {},
};

#define DAEMON(key, parse, field, ...)                                                                      \
        { "Arbiter", key, parse, offsetof(struct daemon_config, field), __VA_ARGS__ }

const struct conf_item config_daemon_items[] = {
        DAEMON("PidFile", parse_shared_path, pid_file),
        DAEMON("ProcessName", parse_shared_string, process_name),
        DAEMON("LogLevel", parse_log_level, log_level),
        DAEMON("DefaultTimeoutSec", conf_parse_timeout, default_timeout_usec, &range_timeout),
        DAEMON("DefaultTimeoutStartSec", conf_parse_timeout, default_timeout_start_usec,
               &range_timeout_start),
        DAEMON("DefaultTimeoutStopSec", conf_parse_timeout, default_timeout_stop_usec, &range_timeout_stop),
        {},
};

void config_init_daemon(struct daemon_config *d) {
        *d = (struct daemon_config){
                .log_level = -1,
                .default_timeout_usec = 30 * USEC_PER_SEC,
                .default_timeout_start_usec = 90 * USEC_PER_SEC,
                .default_timeout_stop_usec = 5 * USEC_PER_SEC,
        };
}

void config_init_monitor(struct monitor_config *m, const struct daemon_config *d) {
        *m = (struct monitor_config){
                .workers = 1,
                .failure_status = 70,
                .restart_intensity = 5,
                .restart_period_usec = 10 * USEC_PER_SEC,
                .backoff_min_usec = 100 * USEC_PER_MSEC,
                .backoff_max_usec = 30 * USEC_PER_SEC,
                .backoff_factor = 2,
                .backoff_jitter_percent = 20,
                .stable_usec = 10 * USEC_PER_SEC,
                .routing = ARBITER_ROUTING_ROUND_ROBIN,
                .max_unavailable = 1,
                .min_ready_usec = USEC_INFINITY,
                .progress_deadline_usec = 600 * USEC_PER_SEC, /* Kubernetes' progressDeadlineSeconds */
                .drain_usec = 30 * USEC_PER_SEC,
                .breaker_period_usec = 30 * USEC_PER_SEC,
                .breaker_min_usec = 5 * USEC_PER_SEC,
                .breaker_max_usec = 5 * 60 * USEC_PER_SEC,
                .actor = {
                        .timeout_usec = d->default_timeout_usec,
                        .timeout_start_usec = d->default_timeout_start_usec,
                        .timeout_stop_usec = d->default_timeout_stop_usec,
                        .watchdog_usec = USEC_INFINITY,
                        .listen = {
                                .backlog = 4096,
                                .mode = 0666,
                                .directory_mode = 0755,
                                .uid = (uid_t) -1,
                                .gid = (gid_t) -1,
                        },
                        .uid = (uid_t) -1,
                        .gid = (gid_t) -1,
                        .umask = 0022,
                        .syslog_level_prefix = true,
                        .log_rate_interval_usec = CONFIG_LOG_RATE_USEC,
                        .log_rate_burst = CONFIG_LOG_RATE_BURST,
                        .kill_signal = SIGTERM,
                },
        };
        config_init_load(m);
}

bool config_key(unsigned i, const char **ret_section, const char **ret_key) {
        const struct conf_item *tables[] = { config_monitor_items, config_daemon_items };

        for (size_t t = 0; t < ELEMENTSOF(tables); t++)
                for (const struct conf_item *item = tables[t]; item->section; item++) {
                        if (!item->key || i-- > 0)
                                continue;
                        *ret_section = item->section;
                        *ret_key = item->key;
                        return true;
                }
        return false;
}
