/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitors from their configuration: pools, and monitors of different children with all that is below them;
 * and what a reload changes in a tree. Called by reload.c from the arbiter's loop. Starts nothing itself:
 * that is the monitor's, in its order. */

#include "arbiterd/daemon.h"
#include "arbiterd/tree.h"
#include "shared/log.h"
#include "shared/strv.h"

static const arbiter_restart restarts[] = {
        [CONFIG_PERMANENT] = ARBITER_RESTART_PERMANENT,
        [CONFIG_TRANSIENT] = ARBITER_RESTART_TRANSIENT,
        [CONFIG_TEMPORARY] = ARBITER_RESTART_TEMPORARY,
};

/* "db" of "db.actor"; the file's name is good. */
static char *name_of(const char *child) {
        return strndup(child, (size_t) (strrchr(child, '.') - child));
}

static int set_kind(const struct monitor_config *m, arbiter_monitor *monitor) {
        static const arbiter_strategy strategies[] = {
                [CONFIG_POOL] = ARBITER_STRATEGY_POOL,
                [CONFIG_ONE_FOR_ONE] = ARBITER_STRATEGY_ONE_FOR_ONE,
                [CONFIG_ONE_FOR_ALL] = ARBITER_STRATEGY_ONE_FOR_ALL,
                [CONFIG_REST_FOR_ONE] = ARBITER_STRATEGY_REST_FOR_ONE,
        };
        static const arbiter_auto_shutdown auto_shutdowns[] = {
                [CONFIG_AUTO_SHUTDOWN_NEVER] = ARBITER_AUTO_SHUTDOWN_NEVER,
                [CONFIG_AUTO_SHUTDOWN_ANY] = ARBITER_AUTO_SHUTDOWN_ANY,
                [CONFIG_AUTO_SHUTDOWN_ALL] = ARBITER_AUTO_SHUTDOWN_ALL,
        };
        bool exits = m->failure_action == CONFIG_FAILURE_EXIT ||
                     (m->failure_action == CONFIG_FAILURE_DEFAULT && m->strategy != CONFIG_POOL);
        int r = 0;

        if (m->strategy != CONFIG_POOL)
                r = arbiter_monitor_set_strategy(monitor, strategies[m->strategy]);
        if (r >= 0 && m->strategy != CONFIG_POOL)
                r = arbiter_monitor_set_auto_shutdown(monitor, auto_shutdowns[m->auto_shutdown]);
        if (r < 0)
                return r;
        return arbiter_monitor_set_failure_action(monitor,
                        exits ? ARBITER_FAILURE_EXIT : ARBITER_FAILURE_NONE, (int) m->failure_status);
}

static int refuse_monitor(struct daemon *d, const struct monitor_config *m, int error) {
        return daemon_refuse(d, error, "%s: %s", m->path,
                        error == -EEXIST ? "the name is taken by an actor that runs" : strerror(-error));
}

static uint64_t shutdown_of(const struct actor_config *a) {
        return a->shutdown_usec == CONFIG_SHUTDOWN_TIMEOUT ? ARBITER_SHUTDOWN_DEFAULT
                : a->shutdown_usec == CONFIG_SHUTDOWN_BRUTAL ? ARBITER_SHUTDOWN_BRUTAL
                : a->shutdown_usec == USEC_INFINITY          ? ARBITER_SHUTDOWN_INFINITY
                                                             : a->shutdown_usec;
}

static int add_actor(struct daemon *d, arbiter_monitor *parent, const struct actor_config *a,
                const char *before, arbiter_future **ret) {
        const arbiter_child_spec spec = {
                .size = sizeof(spec),
                .significant = a->significant,
                .shutdown_usec = shutdown_of(a),
                .before = before,
                .configured = true,
        };
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r;

        r = definition_new(d, a, &s);
        if (r < 0)
                return r; /* told */
        (void) arbiter_remove_definition(d->arbiter, a->name);
        r = arbiter_add_definition(d->arbiter, s);
        if (r >= 0)
                r = arbiter_monitor_add_actor(parent, s, &spec, ret);
        if (r == -EINVAL && a->significant)
                return daemon_refuse(d, r, "%s: Significant= needs AutoShutdown= of the monitor %s", a->path,
                                arbiter_monitor_get_name(parent));
        return r < 0 ? daemon_refuse(d, r, "%s: cannot be a child of %s: %m", a->path,
                                        arbiter_monitor_get_name(parent))
                     : 0;
}

static int add_monitor(struct daemon *d, arbiter_monitor *parent, const struct monitor_config *m,
                const char *before, arbiter_future **ret) {
        const arbiter_child_spec spec = {
                .size = sizeof(spec),
                .restart = restarts[m->restart],
                .significant = m->significant,
                .workers = m->strategy == CONFIG_POOL ? m->workers : 0,
                .before = before,
                .configured = true,
        };
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *monitor = NULL;
        int r;

        r = tree_build(d, m, &monitor);
        if (r < 0)
                return r;
        r = arbiter_monitor_add_monitor(parent, monitor, &spec, ret);
        if (r >= 0)
                return 0;
        (void) arbiter_monitor_stop(monitor, NULL);
        return daemon_refuse(d, r, "%s: cannot be a child of %s: %m", m->path,
                        arbiter_monitor_get_name(parent));
}

static bool has_child(arbiter_monitor *m, const char *name) {
        arbiter_child_info i = { .size = sizeof(i) };

        return arbiter_monitor_next_child(m, name, &i) >= 0; /* without a walk: there may be thousands */
}

/* The next one in the configuration that is there. */
static int find_next(arbiter_monitor *parent, char *const *rest, char **ret) {
        STRV_FOREACH(i, rest) {
                _cleanup_free_ char *name = name_of(*i);

                if (!name)
                        return -ENOMEM;
                if (has_child(parent, name)) {
                        *ret = TAKE_PTR(name);
                        return 0;
                }
        }
        return 0;
}

/* child: "db.actor", where it stands in Children=. fresh: the parent is being built in that order. */
static int add_child(struct daemon *d, arbiter_monitor *parent, char *const *child, bool fresh,
                arbiter_future **ret) {
        _cleanup_free_ char *name = name_of(*child), *before = NULL;
        const struct monitor_config *m;
        const struct actor_config *a;
        int r;

        if (!name)
                return -ENOMEM;
        if (strv_contains(d->leaving, name) || has_child(parent, name))
                return 0; /* it comes when it has gone elsewhere */
        r = fresh ? 0 : find_next(parent, child + 1, &before);
        if (r < 0)
                return r;
        m = endswith_monitor(*child) ? config_find_monitor(d->config, name) : NULL;
        a = m ? NULL : config_find_actor(d->config, name);
        if (m)
                return add_monitor(d, parent, m, before, ret);
        if (a)
                return add_actor(d, parent, a, before, ret);
        log_warning("%s starts without %s, which could not be loaded.", arbiter_monitor_get_name(parent),
                        *child);
        return 0;
}

int tree_build(struct daemon *d, const struct monitor_config *m, arbiter_monitor **ret) {
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *monitor = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r;

        r = m->strategy == CONFIG_POOL ? definition_new_worker(d, m, &s) : 0;
        if (r < 0)
                return r; /* told */
        r = arbiter_monitor_new(d->arbiter, m->name, s, NULL, &monitor);
        if (r < 0)
                return refuse_monitor(d, m, r);
        r = daemon_configure_monitor(m, monitor);
        if (r >= 0)
                r = set_kind(m, monitor);
        if (r < 0)
                (void) refuse_monitor(d, m, r);
        STRV_FOREACH(child, m->children)
                if (r >= 0)
                        r = add_child(d, monitor, child, true, NULL);
        if (r < 0) {
                (void) arbiter_monitor_stop(monitor, NULL); /* it was never started */
                return r;
        }
        *ret = TAKE_PTR(monitor);
        return 0;
}

int tree_start_child(struct daemon *d, const char *parent, const char *name, bool is_monitor,
                arbiter_future **ret) {
        const struct monitor_config *m = config_find_monitor(d->config, parent);
        arbiter_monitor *monitor = arbiter_find_monitor(d->arbiter, parent);

        if (!m || !monitor || strv_contains(d->leaving, parent))
                return 0; /* it starts with its monitor; what leaves may have been a pool */
        STRV_FOREACH(child, m->children) {
                _cleanup_free_ char *other = name_of(*child);

                if (!other)
                        return -ENOMEM;
                if (streq(other, name) && endswith_monitor(*child) == is_monitor)
                        return add_child(d, monitor, child, false, ret);
        }
        return 0;
}

int tree_change_actor(struct daemon *d, const struct actor_config *a) {
        arbiter_monitor *parent = arbiter_find_monitor(d->arbiter, a->parent);
        const arbiter_child_spec spec = {
                .size = sizeof(spec),
                .significant = a->significant,
                .shutdown_usec = shutdown_of(a),
        };
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r;

        if (!parent || !has_child(parent, a->name))
                return -ENOENT;
        r = definition_new(d, a, &s);
        if (r < 0)
                return r;
        (void) arbiter_remove_definition(d->arbiter, a->name);
        r = arbiter_add_definition(d->arbiter, s);
        if (r >= 0)
                r = arbiter_monitor_change_child(parent, a->name, s, &spec);
        return r < 0 ? daemon_refuse(d, r, "%s: cannot be put into effect: %m", a->path) : 0;
}

/* -EBUSY, -ESHUTDOWN: not now. */
static int move_child(arbiter_monitor *parent, char *const *child) {
        _cleanup_free_ char *name = name_of(*child), *before = NULL;
        int r;

        if (!name)
                return -ENOMEM;
        if (!has_child(parent, name))
                return 0; /* it leaves, or comes */
        r = find_next(parent, child + 1, &before);
        return r < 0 ? r : arbiter_monitor_move_child(parent, name, before);
}

int tree_move_children(struct daemon *d, const struct monitor_config *m, char *const *moved, char ***ret) {
        arbiter_monitor *parent = arbiter_find_monitor(d->arbiter, m->name);
        _cleanup_strv_free_ char **refused = NULL;
        int r = 0;

        /* from the end: the one behind it is in its place already */
        for (size_t i = strv_length(m->children); r >= 0 && i-- > 0;) {
                _cleanup_free_ char *name = name_of(m->children[i]);

                if (!name)
                        return -ENOMEM;
                if (!strv_contains(moved, name))
                        continue;
                r = move_child(parent, m->children + i);
                if (r == -EBUSY || r == -ESHUTDOWN)
                        r = strv_add(&refused, name);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(refused);
        return 0;
}

/* Those that stand elsewhere than before among those that were there: the fewest that a walk from the front
 * finds. */
int tree_find_moved(const struct monitor_config *old, const struct monitor_config *new, char ***ret) {
        _cleanup_strv_free_ char **moved = NULL;
        size_t next = 0, n = strv_length(old->children);
        int r;

        STRV_FOREACH(child, new->children) {
                size_t i = 0;

                while (i < n && !streq(old->children[i], *child))
                        i++;
                if (i == n)
                        continue; /* it is new */
                if (i >= next) {
                        next = i + 1;
                        continue;
                }
                r = strv_take(&moved, name_of(*child));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(moved);
        return 0;
}
