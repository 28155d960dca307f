/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a reload has to touch. Two definitions are equal if their serialisations are: one function lists all
 * fields, and test-config holds it to the table of keys. Pure. Called by reload.c and plan.c. */

#include <inttypes.h>
#include <stdio.h>

#include <arbiter/route.h>

#include "arbiterd/config-internal.h"
#include "shared/memstream.h"
#include "shared/strv.h"

/* Lengths make the text unambiguous, whatever the values hold. */
static void put_string(FILE *f, const char *key, const char *value) {
        if (value)
                (void) fprintf(f, "%s=%zu:%s\n", key, strlen(value), value);
}

static void put_number(FILE *f, const char *key, uint64_t value) {
        (void) fprintf(f, "%s=%" PRIu64 "\n", key, value);
}

static void put_list(FILE *f, const char *key, char *const *l) {
        STRV_FOREACH(i, l)
                put_string(f, key, *i);
}

static void put_credentials(FILE *f, const struct actor_config *a) {
        put_number(f, "user-set", a->user_set);
        put_string(f, "user", a->user);
        put_string(f, "group", a->group);
        put_number(f, "uid", a->uid);
        put_number(f, "gid", a->gid);
        put_string(f, "home", a->home);
        put_string(f, "shell", a->shell);
        put_list(f, "group-name", a->group_names);
        for (size_t i = 0; i < a->n_groups; i++)
                put_number(f, "supplementary", a->groups[i]);
}

static void put_process(FILE *f, const struct actor_config *a) {
        put_credentials(f, a);
        put_string(f, "working-directory", a->working_directory);
        put_number(f, "working-directory-optional", a->working_directory_optional);
        put_list(f, "environment", a->environment);
        put_list(f, "environment-file", a->environment_files);
        put_number(f, "umask", a->umask);
        put_number(f, "nice-set", a->nice_set);
        put_number(f, "nice", (uint64_t) (int64_t) a->nice);
        for (int i = 0; i < (int) N_LIMITS; i++)
                if (a->limits[i].set)
                        (void) fprintf(f, "limit-%d=%" PRIu64 ":%" PRIu64 "\n", i,
                                       (uint64_t) a->limits[i].value.rlim_cur,
                                       (uint64_t) a->limits[i].value.rlim_max);
        put_string(f, "process-name", a->process_name);
        put_number(f, "standard-output", (uint64_t) a->standard_output);
        put_number(f, "standard-error", (uint64_t) a->standard_error);
        put_string(f, "syslog-identifier", a->syslog_identifier);
        put_number(f, "syslog-level-prefix", a->syslog_level_prefix);
        put_number(f, "log-rate-interval", a->log_rate_interval_usec);
        put_number(f, "log-rate-burst", a->log_rate_burst);
        put_number(f, "kill-signal", (uint64_t) a->kill_signal);
}

static void put_sockets(FILE *f, const struct actor_config *a) {
        const struct listen_options *o = &a->listen;

        for (size_t i = 0; i < a->n_sockets; i++) {
                put_number(f, "socket-type", (uint64_t) a->sockets[i].address.type);
                put_string(f, a->sockets[i].passed ? "socket-passed" : "socket", a->sockets[i].text);
        }
        put_string(f, "fd-name", a->fd_name);
        put_number(f, "backlog", o->backlog);
        put_number(f, "bind-ipv6-only", (uint64_t) o->ipv6);
        put_number(f, "reuse-port", o->reuse_port);
        put_number(f, "free-bind", o->free_bind);
        put_string(f, "bind-to-device", a->bind_to_device);
        put_number(f, "non-blocking", o->non_blocking);
        put_number(f, "keep-alive", o->keep_alive);
        put_number(f, "no-delay", o->no_delay);
        put_number(f, "broadcast", o->broadcast);
        put_number(f, "pass-credentials", o->pass_credentials);
        put_number(f, "receive-buffer", o->receive_buffer);
        put_number(f, "send-buffer", o->send_buffer);
        put_number(f, "pipe-size", o->pipe_size);
        put_number(f, "socket-mode", o->mode);
        put_number(f, "directory-mode", o->directory_mode);
        put_number(f, "socket-uid", o->uid);
        put_number(f, "socket-gid", o->gid);
}

/* Hashed, an arbiter that takes over knows by it whether what runs is what is configured, also if it is of a
 * newer version: so of keys that came later only what is not their default is here. */
static void put_actor(FILE *f, const struct actor_config *a) {
        put_string(f, "name", a->name);
        put_string(f, "description", a->description);
        put_number(f, "concurrency", (uint64_t) a->concurrency);
        put_list(f, "exec", a->exec);
        put_number(f, "type", (uint64_t) a->type);
        put_string(f, "module", a->module);
        put_string(f, "unit", a->unit);
        put_list(f, "param", a->params);
        put_number(f, "restart", (uint64_t) a->restart);
        if (a->significant)
                put_number(f, "significant", a->significant);
        if (a->shutdown_usec != CONFIG_SHUTDOWN_TIMEOUT)
                put_number(f, "shutdown", a->shutdown_usec);
        put_number(f, "timeout", a->timeout_usec);
        put_number(f, "timeout-start", a->timeout_start_usec);
        put_number(f, "timeout-stop", a->timeout_stop_usec);
        put_number(f, "watchdog", a->watchdog_usec);
        put_sockets(f, a);
        put_process(f, a);
        put_number(f, "mailbox-messages", a->mailbox_messages);
        put_number(f, "mailbox-bytes", a->mailbox_bytes);
        put_number(f, "mailbox-policy", (uint64_t) a->mailbox_policy);
        if (a->mail_on_restart != ARBITER_MAIL_KEEP)
                put_number(f, "mail-on-restart", (uint64_t) a->mail_on_restart);
        put_list(f, "allow", a->allow);
        if (a->concurrency == CONFIG_UNIT) /* it is their units' */
                put_list(f, "documentation", a->documentation);
        for (size_t i = 0; i < a->n_service; i++) {
                put_string(f, "service-key", a->service[i].key);
                put_string(f, "service-value", a->service[i].value);
        }
}

static void put_tree(FILE *f, const struct monitor_config *m) {
        if (m->strategy != CONFIG_POOL)
                put_number(f, "strategy", (uint64_t) m->strategy);
        put_list(f, "child", m->children);
        if (m->auto_shutdown != CONFIG_AUTO_SHUTDOWN_NEVER)
                put_number(f, "auto-shutdown", (uint64_t) m->auto_shutdown);
        if (m->failure_action != CONFIG_FAILURE_DEFAULT)
                put_number(f, "failure-action", (uint64_t) m->failure_action);
        if (m->failure_status != 70)
                put_number(f, "failure-status", m->failure_status);
        if (m->restart != CONFIG_PERMANENT)
                put_number(f, "monitor-restart", (uint64_t) m->restart);
        if (m->significant)
                put_number(f, "monitor-significant", m->significant);
}

static void put_monitor(FILE *f, const struct monitor_config *m) {
        put_string(f, "monitor-name", m->name);
        put_string(f, "monitor-description", m->description);
        if (m->actor.concurrency != CONFIG_UNIT)
                put_list(f, "documentation", m->actor.documentation);
        put_number(f, "restart-intensity", m->restart_intensity);
        put_number(f, "restart-period", m->restart_period_usec);
        put_number(f, "backoff-min", m->backoff_min_usec);
        put_number(f, "backoff-max", m->backoff_max_usec);
        put_number(f, "backoff-factor", m->backoff_factor);
        put_number(f, "backoff-jitter", m->backoff_jitter_percent);
        put_number(f, "stable", m->stable_usec);
        config_put_load(f, m);
        put_number(f, "routing", (uint64_t) m->routing);
        put_number(f, "max-surge", m->max_surge);
        put_number(f, "max-unavailable", m->max_unavailable);
        put_number(f, "min-ready", m->min_ready_usec);
        put_number(f, "progress-deadline", m->progress_deadline_usec);
        put_number(f, "drain", m->drain_usec);
        put_number(f, "breaker-failures", m->breaker_failures);
        put_number(f, "breaker-period", m->breaker_period_usec);
        put_number(f, "breaker-min", m->breaker_min_usec);
        put_number(f, "breaker-max", m->breaker_max_usec);
        put_list(f, "after", m->after);
        put_tree(f, m);
        put_actor(f, &m->actor);
}

/* Exactly one of m and a. */
static int serialize(const struct monitor_config *m, const struct actor_config *a, char **ret) {
        char *buffer = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&buffer, &size);

        if (!f)
                return -ENOMEM;
        if (m)
                put_monitor(f, m);
        else
                put_actor(f, a);
        if (memstream_finish(f, &buffer) < 0)
                return -ENOMEM;
        *ret = buffer;
        return 0;
}

int actor_config_serialize(const struct actor_config *a, char **ret) {
        return serialize(NULL, a, ret);
}

int config_compare(const struct monitor_config *a, const struct monitor_config *b,
                   enum config_change *ret) {
        _cleanup_free_ char *x = NULL, *y = NULL;
        int r;

        r = serialize(a, NULL, &x);
        if (r >= 0)
                r = serialize(b, NULL, &y);
        if (r < 0)
                return r;
        *ret = !streq(x, y) || !config_probes_equal(&a->actor, &b->actor) ? CONFIG_CHANGED
               : a->workers != b->workers                                 ? CONFIG_SCALED
                                                                          : CONFIG_UNCHANGED;
        return 0;
}

static int compare_actors(const struct actor_config *a, const struct actor_config *b,
                          enum config_change *ret) {
        _cleanup_free_ char *x = NULL, *y = NULL;
        int r;

        r = serialize(NULL, a, &x);
        if (r >= 0)
                r = serialize(NULL, b, &y);
        if (r < 0)
                return r;
        *ret = !streq(x, y)                ? CONFIG_CHANGED
               : !config_probes_equal(a, b) ? CONFIG_PROBED
                                            : CONFIG_UNCHANGED;
        return 0;
}

/* Did the file of this name fail to load? Then what runs goes on as it is. */
bool config_has_failed(const struct config *c, const char *name, const char *suffix) {
        size_t n = strlen(name);

        STRV_FOREACH(i, c->failed)
                if (strncmp(*i, name, n) == 0 && streq(*i + n, suffix))
                        return true;
        return false;
}

static bool parent_has_failed(const struct config *new, const struct config_difference *x) {
        const char *parent = x->old_monitor ? x->old_monitor->parent
                : x->old_actor              ? x->old_actor->parent
                                            : NULL;

        return parent && config_has_failed(new, parent, ".monitor");
}

/* Both lists are sorted by name: one walk over the two of them. */
static int diff_monitors(const struct config *old, const struct config *new, struct config_difference *d,
                         size_t *n) {
        size_t i = 0, j = 0, n_old = old ? old->n_monitors : 0;
        int r;

        while (i < n_old || j < new->n_monitors) {
                const struct monitor_config *a = i < n_old ? old->monitors[i] : NULL;
                const struct monitor_config *b = j < new->n_monitors ? new->monitors[j] : NULL;
                int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
                struct config_difference x = { .old_monitor = order <= 0 ? a : NULL,
                                               .new_monitor = order >= 0 ? b : NULL };

                if (order < 0)
                        x.change = config_has_failed(new, a->name, ".monitor") ? CONFIG_UNCHANGED
                                                                              : CONFIG_REMOVED;
                else if (order > 0)
                        x.change = CONFIG_ADDED;
                else {
                        r = config_compare(a, b, &x.change);
                        if (r < 0)
                                return r;
                }
                x.name = order < 0 ? a->name : b->name;
                i += order <= 0;
                j += order >= 0;
                x.parent_failed = parent_has_failed(new, &x);
                d[(*n)++] = x;
        }
        return 0;
}

static int diff_actors(const struct config *old, const struct config *new, struct config_difference *d,
                       size_t *n) {
        size_t i = 0, j = 0, n_old = old ? old->n_actors : 0;
        int r;

        while (i < n_old || j < new->n_actors) {
                const struct actor_config *a = i < n_old ? old->actors[i] : NULL;
                const struct actor_config *b = j < new->n_actors ? new->actors[j] : NULL;
                int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
                struct config_difference x = { .old_actor = order <= 0 ? a : NULL,
                                               .new_actor = order >= 0 ? b : NULL };

                if (order < 0)
                        x.change = config_has_failed(new, a->name, ".actor") ? CONFIG_UNCHANGED
                                                                              : CONFIG_REMOVED;
                else if (order > 0)
                        x.change = CONFIG_ADDED;
                else {
                        r = compare_actors(a, b, &x.change);
                        if (r < 0)
                                return r;
                }
                x.name = order < 0 ? a->name : b->name;
                i += order <= 0;
                j += order >= 0;
                x.parent_failed = parent_has_failed(new, &x);
                d[(*n)++] = x;
        }
        return 0;
}

int config_diff(const struct config *old, const struct config *new, struct config_difference **ret,
                size_t *ret_n) {
        size_t max = (old ? old->n_monitors + old->n_actors : 0) + new->n_monitors + new->n_actors, n = 0;
        _cleanup_free_ struct config_difference *d = calloc(max + 1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        r = diff_monitors(old, new, d, &n);
        if (r >= 0)
                r = diff_actors(old, new, d, &n);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        *ret_n = n;
        return 0;
}

/* Puts one more into a list sorted by name. */
static int insert(void *array, size_t *n, void *element, const char *(*name)(const void *)) {
        void ***a = array, **bigger = reallocarray(*a, *n + 1, sizeof(void *));
        size_t i = *n;

        if (!bigger)
                return -ENOMEM;
        *a = bigger;
        for (; i > 0 && strcmp(name(bigger[i - 1]), name(element)) > 0; i--)
                bigger[i] = bigger[i - 1];
        bigger[i] = element;
        (*n)++;
        return 0;
}

static const char *monitor_name(const void *m) {
        return ((const struct monitor_config *) m)->name;
}

static const char *actor_name(const void *a) {
        return ((const struct actor_config *) a)->name;
}

static int adopt_monitor(struct config *new, struct monitor_config **m) {
        struct monitor_config **order = reallocarray(new->order, new->n_monitors + 1, sizeof(*order));
        int r;

        if (!order)
                return -ENOMEM;
        new->order = order;
        r = insert(&new->monitors, &new->n_monitors, *m, monitor_name);
        if (r < 0)
                return r;
        order[new->n_monitors - 1] = TAKE_PTR(*m); /* it has been started long ago */
        return 0;
}

int config_adopt(struct config *new, struct config *old) {
        int r = 0;

        for (size_t i = 0; old && r >= 0 && i < old->n_monitors; i++)
                if (old->monitors[i] && config_has_failed(new, old->monitors[i]->name, ".monitor"))
                        r = adopt_monitor(new, old->monitors + i);
        for (size_t i = 0; old && r >= 0 && i < old->n_actors; i++)
                if (old->actors[i] && config_has_failed(new, old->actors[i]->name, ".actor")) {
                        r = insert(&new->actors, &new->n_actors, old->actors[i], actor_name);
                        if (r >= 0)
                                old->actors[i] = NULL;
                }
        config_link(new);
        return r;
}
