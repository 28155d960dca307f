/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From [Actor] to an arbiter_spawn. What differs from worker to worker (%i), or is to be looked at afresh
 * at each start (environment files, a program that is not there yet), is filled in by prepare(), just
 * before the start. Starts nothing. */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include <arbiter/probe.h>

#include "arbiterd/daemon.h"
#include "arbiterd/generation.h"
#include "arbiterd/listener.h"
#include "arbiterd/output.h"
#include "basic/parse.h"
#include "shared/log.h"
#include "shared/strv.h"

static bool is_numbered(const char *s) {
        return s && (strstr(s, "%i") || strstr(s, "%n"));
}

static bool any_numbered(char *const *l) {
        STRV_FOREACH(i, l)
        if (is_numbered(*i))
                return true;
        return false;
}

static bool is_for_journal(int output) {
        return output == CONFIG_OUTPUT_JOURNAL ||
               (output == CONFIG_OUTPUT_DEFAULT && output_wants_journal());
}

static bool any_service_numbered(const struct actor_config *a) {
        for (size_t i = 0; i < a->n_service; i++)
                if (is_numbered(a->service[i].value))
                        return true;
        return false;
}

/* Is there something that cannot be said once for all its lives? */
static bool varies(const struct actor_config *a) {
        return is_for_journal(a->standard_output) || is_for_journal(a->standard_error) ||
               a->environment_files || a->working_directory_optional || any_numbered(a->exec) ||
               any_numbered(a->params) || any_numbered(a->environment) ||
               is_numbered(a->working_directory) || is_numbered(a->process_name) ||
               is_numbered(a->syslog_identifier) ||
               any_service_numbered(a) || (a->listen.reuse_port && a->n_sockets > 0);
}

static const arbiter_exec_type exec_types[] = {
        [CONFIG_TYPE_EXEC] = ARBITER_EXEC_EXEC,
        [CONFIG_TYPE_NOTIFY] = ARBITER_EXEC_NOTIFY,
        [CONFIG_TYPE_MAILBOX] = ARBITER_EXEC_MAILBOX,
};

static int set_program(const struct actor_config *a, const struct config_expanded *e, arbiter_spawn *s) {
        size_t n = strv_length(e->argv);
        _cleanup_free_ const char **argv = calloc(n + 1, sizeof(*argv));

        if (!argv)
                return -ENOMEM;
        argv[0] = e->program;
        for (size_t i = 1; i < n; i++)
                argv[i] = e->argv[i];
        return arbiter_spawn_set_exec(s, argv, exec_types[a->type]);
}

/* "KEY=VALUE" to a setter. */
static int set_assignments(
                arbiter_spawn *s, char *const *l, int (*set)(arbiter_spawn *, const char *, const char *)) {
        STRV_FOREACH(i, l) {
                const char *equals = strchr(*i, '=');
                _cleanup_free_ char *key = equals ? strndup(*i, (size_t) (equals - *i)) : NULL;
                int r;

                if (!key)
                        return equals ? -ENOMEM : -EINVAL;
                r = set(s, key, equals + 1);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Instead of those that the definition may have already. */
static int set_service(const struct config_expanded *e, arbiter_spawn *s) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < e->n_service; i++)
                r = arbiter_spawn_set_unit_property(s, e->service[i].key, "");
        for (size_t i = 0; r >= 0 && i < e->n_service; i++)
                r = arbiter_spawn_set_unit_property(s, e->service[i].key, e->service[i].value);
        return r;
}

/* Of units journald does what the logger does of the others. What is as it is by itself is not said. */
static int set_log(const struct actor_config *a, const struct config_expanded *e, arbiter_spawn *s) {
        bool unlimited = a->log_rate_burst == 0 || a->log_rate_interval_usec == 0;
        char number[32];
        int r = 0;

        if (a->concurrency != CONFIG_UNIT || a->unit)
                return 0;
        if (e->syslog_identifier)
                r = arbiter_spawn_set_unit_property(s, "SyslogIdentifier", e->syslog_identifier);
        if (r >= 0 && !a->syslog_level_prefix)
                r = arbiter_spawn_set_unit_property(s, "SyslogLevelPrefix", "no");
        if (r < 0 || (a->log_rate_burst == CONFIG_LOG_RATE_BURST &&
                                     a->log_rate_interval_usec == CONFIG_LOG_RATE_USEC))
                return r;
        /* 0 is journald's own limit there. */
        (void) snprintf(number, sizeof(number), "%" PRIu64 "us",
                        unlimited ? (uint64_t) 1 : (uint64_t) a->log_rate_interval_usec);
        r = arbiter_spawn_set_unit_property(s, "LogRateLimitIntervalSec", number);
        (void) snprintf(number, sizeof(number), "%u", unlimited ? UINT_MAX : a->log_rate_burst);
        return r < 0 ? r : arbiter_spawn_set_unit_property(s, "LogRateLimitBurst", number);
}

static const char *existing_directory(const struct actor_config *a, const char *path) {
        struct stat st;

        if (a->working_directory_optional && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
                return "/";
        return path;
}

static int set_expanded(const struct actor_config *a, const struct config_expanded *e, arbiter_spawn *s) {
        int r = 0;

        if (e->program)
                r = set_program(a, e, s);
        if (r >= 0)
                r = set_assignments(s, e->environment, arbiter_spawn_set_environment);
        if (r >= 0)
                r = arbiter_spawn_set_working_directory(s, existing_directory(a, e->working_directory));
        if (r >= 0 && e->process_name)
                r = arbiter_spawn_set_process_name(s, e->process_name);
        if (r >= 0)
                r = set_log(a, e, s);
        return r < 0 ? r : set_service(e, s);
}

static unsigned number_of(const char *name) {
        const char *dot = strrchr(name, '.');
        uint64_t n;

        return dot && parse_u64_range(dot + 1, 1, CONFIG_SLOTS_MAX, &n) >= 0 ? (unsigned) n : 0;
}

/* An arbiter_spawn_prepare_t. A worker of a pool is of one of two definitions while they are rolled; of a
 * lone actor the configuration may be a newer one than that of the definition: the better. */
static int prepare(arbiter_spawn *s, const arbiter_life *life, char **ret_text, void *userdata) {
        struct daemon *d = userdata;
        const struct monitor_config *m = config_find_monitor(d->config, life->definition);
        const struct actor_config *a =
                        m ? generation_find(d, life->definition, arbiter_spawn_get_fingerprint(s))
                          : config_find_actor(d->config, life->definition);
        struct config_expanded e;
        unsigned slot = m ? number_of(life->name) : 0;
        int r;

        if (!a)
                return -ENOENT;
        r = config_expand(a, slot, d->home, d->runtime_directory, d->environment,
                        &e, ret_text);
        if (r < 0)
                return r;
        r = set_expanded(a, &e, s);
        /* of a lone one they are in the definition, and who spawned it may have set others */
        if (r >= 0 && m)
                r = set_assignments(s, e.params, arbiter_spawn_set_parameter);
        if (r >= 0)
                r = output_prepare(d, life, s, a, e.syslog_identifier);
        if (r >= 0)
                r = listeners_prepare(d, a, slot, s, ret_text);
        config_expanded_done(&e);
        return r;
}

int definition_take_over_output(struct daemon *d, const arbiter_life *life) {
        const struct monitor_config *m = config_find_monitor(d->config, life->definition);
        const struct actor_config *a = m ? &m->actor : config_find_actor(d->config, life->definition);
        struct config_expanded e = {};
        int r;

        /* Its configuration may have gone, or become bad: then it goes on under its name. */
        if (a && config_expand(a, m ? number_of(life->name) : 0, d->home, d->runtime_directory,
                                 d->environment, &e, NULL) < 0)
                e = (struct config_expanded){};
        r = output_take_over_stream(d, life, a, e.syslog_identifier);
        config_expanded_done(&e);
        return r;
}

/* What prepare() replaces: only the kind counts. */
static int set_unprepared(struct daemon *d, const struct actor_config *a, arbiter_spawn *s) {
        struct actor_config rest = *a;
        struct config_expanded e;
        int r;

        rest.exec = rest.environment_files = NULL;
        rest.n_service = 0; /* without a number, StateDirectory=web/%i would be no path */
        r = config_expand(&rest, 0, d->home, d->runtime_directory, d->environment, &e, NULL);
        if (r < 0)
                return r;
        r = set_expanded(a, &e, s);
        if (r >= 0)
                r = set_assignments(s, e.params, arbiter_spawn_set_parameter);
        if (r >= 0 && a->exec) {
                e.argv = NULL;
                r = strv_copy(a->exec, &e.argv);
                if (r >= 0 && a->exec[0][0] == '/')
                        e.program = strdup(a->exec[0]);
                else if (r >= 0 && asprintf(&e.program, "/usr/bin/%s", a->exec[0]) < 0)
                        e.program = NULL;
                if (r >= 0)
                        r = e.program ? set_program(a, &e, s) : -ENOMEM;
        }
        config_expanded_done(&e);
        return r < 0 ? r : arbiter_spawn_set_prepare(s, prepare, d);
}

static int set_command(struct daemon *d, const struct actor_config *a, arbiter_spawn *s) {
        _cleanup_free_ char *why = NULL;
        struct config_expanded e;
        int r;

        if (varies(a))
                return set_unprepared(d, a, s);
        r = config_expand(a, 0, d->home, d->runtime_directory, d->environment, &e, &why);
        if (r == -ENOENT || r == -EACCES) /* a start will say so, again and again, until it is there */
                return set_unprepared(d, a, s);
        if (r < 0) {
                if (why)
                        (void) daemon_refuse(d, r, "%s: %s", a->path, why);
                return r;
        }
        r = set_expanded(a, &e, s);
        if (r >= 0)
                r = set_assignments(s, e.params, arbiter_spawn_set_parameter);
        config_expanded_done(&e);
        return r;
}

static int set_module(const struct actor_config *a, arbiter_spawn *s) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (a->unit)
                return arbiter_spawn_set_unit_template(s, a->unit, exec_types[a->type]);
        if (!a->module)
                return 0;
        r = config_module_path(a->module, &path);
        if (r < 0)
                return r;
        return arbiter_spawn_set_module_file(s, path);
}

static int set_credentials(const struct actor_config *a, arbiter_spawn *s) {
        int r = 0;

        if (a->user)
                r = arbiter_spawn_set_user(s, a->user);
        if (r >= 0 && a->group)
                r = arbiter_spawn_set_group(s, a->group);
        STRV_FOREACH(i, a->group_names)
        if (r >= 0)
                r = arbiter_spawn_add_supplementary_group(s, *i);
        return r;
}

static int set_process(const struct actor_config *a, arbiter_spawn *s) {
        int r;

        r = arbiter_spawn_set_umask(s, a->umask);
        if (r >= 0 && a->nice_set)
                r = arbiter_spawn_set_nice(s, a->nice);
        for (int i = 0; r >= 0 && i < (int) N_LIMITS; i++)
                if (a->limits[i].set)
                        r = arbiter_spawn_set_limit(
                                        s, i, a->limits[i].value.rlim_cur, a->limits[i].value.rlim_max);
        if (r >= 0)
                r = arbiter_spawn_set_kill_signal(s, a->kill_signal);
        if (r >= 0)
                r = arbiter_spawn_set_output(s, a->standard_output == CONFIG_OUTPUT_NULL ? -2 : -1,
                                a->standard_error == CONFIG_OUTPUT_NULL ? -2 : -1);
        return r;
}

static int set_documentation(const struct actor_config *a, arbiter_spawn *s) {
        int r = 0;

        if (a->concurrency != CONFIG_UNIT || a->unit)
                return 0;
        STRV_FOREACH(i, a->documentation)
        if (r >= 0)
                r = arbiter_spawn_set_unit_property(s, "Documentation", *i);
        return r;
}

static int set_rest(const struct actor_config *a, arbiter_spawn *s) {
        static const arbiter_mailbox_policy policies[] = {
                [CONFIG_REJECT] = ARBITER_MAILBOX_REJECT,
                [CONFIG_DROP_NEW] = ARBITER_MAILBOX_DROP_NEW,
                [CONFIG_DROP_OLDEST] = ARBITER_MAILBOX_DROP_OLDEST,
                [CONFIG_BLOCK] = ARBITER_MAILBOX_BLOCK,
        };
        static const arbiter_restart restarts[] = {
                [CONFIG_PERMANENT] = ARBITER_RESTART_PERMANENT,
                [CONFIG_TRANSIENT] = ARBITER_RESTART_TRANSIENT,
                [CONFIG_TEMPORARY] = ARBITER_RESTART_TEMPORARY,
        };
        static const arbiter_concurrency concurrencies[] = {
                [CONFIG_PROCESS] = ARBITER_CONCURRENCY_PROCESS,
                [CONFIG_THREAD] = ARBITER_CONCURRENCY_THREAD,
                [CONFIG_UNIT] = ARBITER_CONCURRENCY_UNIT,
        };
        int r;

        r = arbiter_spawn_set_description(s, a->description);
        if (r >= 0)
                r = set_documentation(a, s);
        if (r >= 0)
                r = arbiter_spawn_set_concurrency(s, concurrencies[a->concurrency]);
        if (r >= 0)
                r = arbiter_spawn_set_restart(s, restarts[a->restart]);
        if (r >= 0)
                r = arbiter_spawn_set_timeouts(s, a->timeout_usec, a->timeout_start_usec,
                                a->timeout_stop_usec,
                                a->watchdog_usec == USEC_INFINITY ? 0 : a->watchdog_usec);
        if (r >= 0)
                r = arbiter_spawn_set_mailbox(
                                s, a->mailbox_messages, a->mailbox_bytes, policies[a->mailbox_policy]);
        if (r >= 0)
                r = arbiter_spawn_set_mail_on_restart(s, (arbiter_mail_on_restart) a->mail_on_restart);
        if (r >= 0 && a->allow && a->allow[0])
                r = arbiter_spawn_set_allow(s, (const char *const *) a->allow);
        return r;
}

/* What is missing for units, and whether a template may be the arbiter's. That it is not there yet, or
 * cannot be asked for just now, a start will say, again and again, until it can. */
static int check_unit(struct daemon *d, const struct actor_config *a) {
        _cleanup_free_ char *why = NULL;
        int r;

        if (a->concurrency != CONFIG_UNIT)
                return 0;
        r = arbiter_check_units(d->arbiter, &why);
        if (r >= 0 && a->unit) {
                r = arbiter_check_unit_template(
                                d->mode == DAEMON_SYSTEM ? ARBITER_BUS_SYSTEM : ARBITER_BUS_USER, a->unit,
                                &why);
                if (r != -EBUSY)
                        return 0;
        }
        return r < 0 ? daemon_refuse(d, r, "%s: %s", a->path, why ? why : "cannot be a unit") : 0;
}

static int set_probes(const struct actor_config *a, arbiter_spawn *s) {
        int r = 0;

        for (unsigned kind = 0; r >= 0 && kind < CONFIG_PROBES; kind++) {
                _cleanup_(arbiter_probe_unrefp) arbiter_probe *p = NULL;

                r = config_make_probe(&a->probes[kind], &p);
                if (r >= 0)
                        r = arbiter_spawn_set_probe(s, (arbiter_probe_kind) kind, p);
        }
        return r;
}

int definition_change_probes(
                struct daemon *d, const struct actor_config *old, const struct actor_config *new) {
        int r = 0;

        for (unsigned kind = 0; r >= 0 && kind < CONFIG_PROBES; kind++) {
                _cleanup_(arbiter_probe_unrefp) arbiter_probe *p = NULL;

                if (config_probe_equal(&old->probes[kind], &new->probes[kind]))
                        continue;
                r = config_make_probe(&new->probes[kind], &p);
                if (r >= 0)
                        r = arbiter_set_probe(d->arbiter, new->name, (arbiter_probe_kind) kind, p);
        }
        return r == -ESRCH ? 0 : r; /* it has ended: its next start is by the new ones */
}

int definition_new(struct daemon *d, const struct actor_config *a, arbiter_spawn **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r;

        r = check_unit(d, a);
        if (r < 0)
                return r;
        r = arbiter_spawn_new(d->arbiter, a->name, &s);
        if (r >= 0)
                r = set_rest(a, s);
        if (r >= 0)
                r = set_module(a, s);
        if (r >= 0)
                r = set_credentials(a, s);
        if (r >= 0)
                r = set_process(a, s);
        if (r >= 0)
                r = set_command(d, a, s);
        if (r >= 0)
                r = set_probes(a, s);
        if (r >= 0)
                r = arbiter_spawn_set_fingerprint(s, a->fingerprint); /* for an arbiter after us */
        if (r < 0)
                return daemon_refuse(d, r, "%s: cannot be set up: %m", a->path);
        r = listeners_add_to(d, a, s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

int definition_new_worker(struct daemon *d, const struct monitor_config *m, arbiter_spawn **ret) {
        arbiter_spawn *s;
        int r;

        r = definition_new(d, &m->actor, &s);
        if (r < 0)
                return r;
        r = arbiter_spawn_set_source(s, m->text);
        if (r < 0 && r != -E2BIG) { /* then nobody goes back to it when this arbiter is gone */
                arbiter_spawn_unref(s);
                return daemon_refuse(d, r, "%s: cannot be set up: %m", m->path);
        }
        *ret = s;
        return 0;
}
