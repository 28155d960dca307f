/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See plan.h. Called by reload.c, and by the arbiter when somebody asks what a reload would do. Changes
 * nothing. */

#include <stdio.h>

#include "arbiterd/daemon.h"
#include "arbiterd/listener.h"
#include "arbiterd/plan.h"
#include "arbiterd/tree.h"
#include "basic/text.h"
#include "shared/strv.h"

/* Nobody who runs is touched by these. */
static bool same_policy(const struct monitor_config *a, const struct monitor_config *b) {
        return a->restart_intensity == b->restart_intensity &&
               a->restart_period_usec == b->restart_period_usec &&
               a->backoff_min_usec == b->backoff_min_usec && a->backoff_max_usec == b->backoff_max_usec &&
               a->backoff_factor == b->backoff_factor &&
               a->backoff_jitter_percent == b->backoff_jitter_percent && a->stable_usec == b->stable_usec &&
               a->max_surge == b->max_surge && a->max_unavailable == b->max_unavailable &&
               a->min_ready_usec == b->min_ready_usec &&
               a->progress_deadline_usec == b->progress_deadline_usec && a->drain_usec == b->drain_usec &&
               a->breaker_failures == b->breaker_failures &&
               a->breaker_period_usec == b->breaker_period_usec &&
               a->breaker_min_usec == b->breaker_min_usec && a->breaker_max_usec == b->breaker_max_usec &&
               config_same_load(a, b);
}

static bool same_text(const char *a, const char *b) {
        return a && b ? streq(a, b) : a == b;
}

/* What a monitor of different children, or a child, is from its start on. */
static bool same_tree(const struct monitor_config *a, const struct monitor_config *b) {
        return a->strategy == b->strategy && a->auto_shutdown == b->auto_shutdown &&
               a->failure_action == b->failure_action && a->failure_status == b->failure_status &&
               a->restart == b->restart && a->significant == b->significant;
}

bool monitor_runs_by(arbiter_monitor *m, unsigned index, uint64_t fingerprint) {
        arbiter_spawn *s = m ? arbiter_monitor_get_definition(m, index) : NULL;

        return s && arbiter_spawn_get_fingerprint(s) == fingerprint;
}

int monitor_change_of(const struct config_difference *x, arbiter_monitor *running,
                      struct monitor_change *ret) {
        const struct monitor_config *old = x->old_monitor, *new = x->new_monitor;
        bool pool = new->strategy == CONFIG_POOL;
        struct monitor_change c = { .scale = pool && old->workers != new->workers };
        int r;

        if (x->change == CONFIG_CHANGED) {
                _cleanup_strv_free_ char **moved = NULL;

                /* how sockets are bound: those of the workers that run are in the way of others */
                c.replace = listeners_rebind(&old->actor, &new->actor) || !same_tree(old, new);
                r = tree_find_moved(old, new, &moved);
                if (r < 0)
                        return r;
                c.reorder = moved;
                c.route = old->routing != new->routing;
                c.policy = !same_policy(old, new);
                c.describe = !same_text(old->description, new->description);
                c.roll = pool && old->actor.fingerprint != new->actor.fingerprint &&
                         !monitor_runs_by(running, 0, new->actor.fingerprint);
                c.turn_back = c.roll && monitor_runs_by(running, 1, new->actor.fingerprint);
                c.probe = !config_probes_equal(&old->actor, &new->actor);
        }
        *ret = c;
        return 0;
}

/* Trees that have failed. */

static const struct monitor_config *find_top(const struct config *old, const struct config *new,
                const char *name) {
        const struct monitor_config *m = NULL;
        size_t n = new->n_monitors + (old ? old->n_monitors : 0); /* from one to the other it may go round */

        while (name && n-- > 0) {
                m = config_find_monitor(new, name) ?: old ? config_find_monitor(old, name) : NULL;
                name = m ? m->parent : NULL;
        }
        return m;
}

static int add_failed(struct daemon *d, const struct config *new, const char *name, char ***names) {
        const struct monitor_config *m = find_top(d->config, new, name);
        arbiter_monitor *running;

        if (!m || m->strategy == CONFIG_POOL || !config_find_monitor(new, m->name) ||
            strv_contains(*names, m->name))
                return 0;
        running = arbiter_find_monitor(d->arbiter, m->name);
        return running && arbiter_monitor_has_failed(running) > 0 ? strv_add(names, m->name) : 0;
}

/* Something by which it is run, and not what is said of it only. *ret_replace: it is stopped, and started
 * anew, for that alone. */
static int is_mending(const struct config_difference *x, bool *ret_replace) {
        struct monitor_change c = {};
        int r;

        *ret_replace = false;
        if (!x->old_monitor || !x->new_monitor || x->change == CONFIG_UNCHANGED)
                return x->change != CONFIG_UNCHANGED || config_has_moved(x);
        r = monitor_change_of(x, NULL, &c);
        *ret_replace = c.replace;
        return r < 0 ? r
                     : c.replace || c.reorder || c.policy || c.roll || c.scale || c.probe ||
                                        config_has_moved(x);
}

static const char *parent_of(const struct monitor_config *m, const struct actor_config *a) {
        return m ? m->parent : a ? a->parent : NULL;
}

static int add_mended(struct daemon *d, const struct config *new, const struct config_difference *x,
                char ***names) {
        bool replace;
        int r;

        r = is_mending(x, &replace);
        if (r <= 0)
                return r;
        r = add_failed(d, new, parent_of(x->old_monitor, x->old_actor), names);
        if (r >= 0)
                r = add_failed(d, new, parent_of(x->new_monitor, x->new_actor), names);
        if (r >= 0 && x->old_monitor && x->new_monitor && !x->new_monitor->parent && !replace)
                r = add_failed(d, new, x->name, names);
        return r;
}

int plan_find_mended(struct daemon *d, const struct config *new, const struct config_difference *x, size_t n,
                     char ***ret) {
        _cleanup_strv_free_ char **names = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_mended(d, new, x + i, &names);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(names);
        return 0;
}

/* The plan: name, verb, and for people what that means. */

static int add(arbiter_message *plan, const char *name, const char *verb, const char *format, ...)
                _printf_(4, 5);
static int add(arbiter_message *plan, const char *name, const char *verb, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = text_formatv(format, ap);
        va_end(ap);
        return text ? arbiter_message_append(plan, "(sss)", name, verb, text) : -ENOMEM;
}

static int add_moved(arbiter_message *plan, const struct config_difference *x) {
        _cleanup_strv_free_ char **moved = NULL;
        int r;

        r = tree_find_moved(x->old_monitor, x->new_monitor, &moved);
        STRV_FOREACH(name, moved)
                if (r >= 0)
                        r = add(plan, *name, "move",
                                        "it stands elsewhere among the children of %s, and goes on",
                                        x->name);
        return r;
}

/* "a child of tree", or what it is else. */
static int add_start(arbiter_message *plan, const struct config_difference *x) {
        const struct monitor_config *m = x->new_monitor;
        const char *parent = m ? m->parent : x->new_actor->parent;

        if (parent)
                return add(plan, x->name, "start", "as a child of %s", parent);
        if (m && m->strategy != CONFIG_POOL)
                return add(plan, x->name, "start", "with its %zu children", strv_length(m->children));
        return m ? add(plan, x->name, "start", "with %u workers", m->workers)
                 : add(plan, x->name, "start", "a lone actor");
}

static int add_moving(arbiter_message *plan, const struct config_difference *x) {
        const char *to = x->new_monitor ? x->new_monitor->parent : x->new_actor->parent;

        return to ? add(plan, x->name, "restart", "it becomes a child of %s", to)
                  : add(plan, x->name, "restart", "it is nobody's child any more");
}

static int add_roll(arbiter_message *plan, const struct config_difference *x,
                    const struct monitor_change *c) {
        const struct monitor_config *m = x->new_monitor;

        if (c->turn_back)
                return add(plan, x->name, "replace",
                                "the roll that is under way is turned back: this is the definition before");
        return add(plan, x->name, "replace", "its %u workers are replaced by new ones, %s", m->workers,
                        m->max_surge == 0 && m->max_unavailable == 1
                                        ? "one after the other"
                                        : "as MaxSurge= and MaxUnavailable= say");
}

static int add_monitor_change(struct daemon *d, arbiter_message *plan, const struct config_difference *x) {
        struct monitor_change c;
        int r;

        r = monitor_change_of(x, arbiter_find_monitor(d->arbiter, x->name), &c);
        if (r < 0)
                return r;
        if (c.replace && x->new_monitor->strategy != CONFIG_POOL)
                return add(plan, x->name, "restart",
                                "all its children are stopped, then started: what it is has changed");
        if (c.replace)
                return add(plan, x->name, "restart",
                                "all workers are stopped, then %u are started: how sockets are bound has "
                                "changed",
                                x->new_monitor->workers);
        if (c.reorder)
                r = add_moved(plan, x);
        if (r >= 0 && c.policy)
                r = add(plan, x->name, "adjust",
                                "how its workers are restarted or replaced has changed; none is touched");
        if (r >= 0 && c.roll)
                r = add_roll(plan, x, &c);
        if (r >= 0 && c.scale)
                r = add(plan, x->name, "scale", "%u to %u workers", x->old_monitor->workers,
                                x->new_monitor->workers);
        if (r >= 0 && c.probe && !c.roll)
                r = add(plan, x->name, "probe", "its workers are probed otherwise, and go on");
        if (r >= 0 && c.route)
                r = add(plan, x->name, "route", "messages to its name are routed by %s",
                                arbiter_routing_to_string((arbiter_routing) x->new_monitor->routing));
        if (r >= 0 && c.describe)
                r = add(plan, x->name, "describe", "its description is another one");
        return r;
}

static int add_another_try(struct daemon *d, arbiter_message *plan, const struct config_difference *x) {
        arbiter_monitor *m = x->new_monitor ? arbiter_find_monitor(d->arbiter, x->name) : NULL;

        return m && x->new_monitor->strategy == CONFIG_POOL &&
                               !monitor_runs_by(m, 0, x->new_monitor->actor.fingerprint)
                       ? add(plan, x->name, "replace", "its workers could not be replaced before")
                       : add(plan, x->name, "start", "it could not be started before");
}

static int add_difference(struct daemon *d, arbiter_message *plan, const struct config *new,
                const struct config_difference *x) {
        if (config_has_moved(x))
                return add_moving(plan, x);
        switch (x->change) {
        case CONFIG_REMOVED:
                return x->old_monitor && x->old_monitor->strategy == CONFIG_POOL
                               ? add(plan, x->name, "stop", "with its %u workers", x->old_monitor->workers)
                               : add(plan, x->name, "stop", "it is not configured any more");
        case CONFIG_ADDED:
                return add_start(plan, x);
        case CONFIG_UNCHANGED:
                if (!x->new_monitor && !x->new_actor)
                        return add(plan, x->name, "keep", "it goes on as it was: its file has errors");
                if (strv_contains(d->waiting, x->name) && !config_waits(new, x->name))
                        return add_start(plan, x);
                return strv_contains(d->unstarted, x->name) ? add_another_try(d, plan, x) : 0;
        case CONFIG_PROBED:
                return add(plan, x->name, "probe", "it is probed otherwise, and goes on");
        default:
                return x->new_monitor ? add_monitor_change(d, plan, x)
                                      : add(plan, x->name, "restart", "it is stopped, and started anew");
        }
}

struct refusals {
        arbiter_message *plan;
        int error;
};

static void on_message(void *userdata, enum conf_level level, const char *file, unsigned line,
                const char *text) {
        struct refusals *x = userdata;
        _cleanup_free_ char *place = NULL;

        if (level != CONF_ERROR || x->error < 0)
                return;
        if ((line > 0 ? asprintf(&place, "%s:%u", file, line) : asprintf(&place, "%s", file)) < 0) {
                place = NULL;
                x->error = -ENOMEM;
        } else
                x->error = add(x->plan, place, "refuse", "%s", text);
}

static int add_differences(struct daemon *d, arbiter_message *plan, const struct config *new) {
        _cleanup_free_ struct config_difference *x = NULL;
        _cleanup_strv_free_ char **mended = NULL;
        size_t n = 0;
        int r;

        if (strv_contains(new->failed, CONFIG_DAEMON_FILE)) /* the defaults of all others are in it */
                return 0;
        r = config_diff(d->config, new, &x, &n);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_difference(d, plan, new, x + i);
        if (r >= 0)
                r = plan_find_mended(d, new, x, n, &mended);
        STRV_FOREACH(name, mended)
                if (r >= 0)
                        r = add(plan, *name, "start", "it has failed, and something of it has changed");
        return r;
}

int daemon_plan(arbiter *a, arbiter_message *plan, void *userdata) {
        struct daemon *d = userdata;
        struct refusals refusals = { .plan = plan };
        struct config_options options = d->options;
        _cleanup_(config_freep) struct config *new = NULL;
        int r;

        options.directories = (const char *const *) d->directories;
        options.home = d->home;
        options.runtime = d->runtime_directory;
        options.sink = (struct conf_sink){ on_message, &refusals };
        r = arbiter_message_open_container(plan, 'a', "(sss)");
        if (r >= 0)
                r = config_load(&options, &new);
        if (r >= 0)
                r = refusals.error;
        if (r >= 0)
                r = add_differences(d, plan, new);
        return r < 0 ? r : arbiter_message_close_container(plan);
}
