/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is to run, against what runs: at the start everything is new; later a reload touches what has
 * changed and nothing else. A definition whose file no longer loads keeps what it has. Called from the
 * arbiter's loop only. */

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "arbiterd/daemon.h"
#include "arbiterd/generation.h"
#include "arbiterd/journal.h"
#include "arbiterd/listener.h"
#include "arbiterd/notify.h"
#include "arbiterd/plan.h"
#include "arbiterd/tree.h"
#include "basic/text.h"
#include "shared/log.h"
#include "shared/strv.h"

static void forget_complaints(struct daemon *d) {
        free(d->complaints);
        d->complaints = NULL;
}

static void complain_text(struct daemon *d, const char *text) {
        char *all;

        if (asprintf(&all, "%s%s%s", d->complaints ? d->complaints : "", d->complaints ? "\n" : "", text) <
            0)
                return;
        free(d->complaints);
        d->complaints = all;
}

static void complain(struct daemon *d, const char *format, ...) _printf_(2, 3);
static void complain(struct daemon *d, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = text_formatv(format, ap);
        va_end(ap);
        if (text) /* else the log has it */
                complain_text(d, text);
}

int daemon_refuse(struct daemon *d, int error, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        errno = -error;
        va_start(ap, format);
        text = text_formatv(format, ap);
        va_end(ap);
        if (!text)
                return log_error_errno(error, "Something cannot be set up: %m");
        log_error("%s", text);
        complain_text(d, text);
        return error;
}

static bool is_leaving(const struct daemon *d, const char *name) {
        return strv_contains(d->leaving, name);
}

static void forget(char **names, const char *name) {
        for (char **i = names; i && *i; i++)
                if (streq(*i, name)) {
                        free(*i);
                        for (; *i; i++)
                                i[0] = i[1];
                        return;
                }
}

/* What could not be put into effect is tried by the next reload. */
static void remember(struct daemon *d, const char *name, int r) {
        if (r >= 0)
                forget(d->unstarted, name);
        else if (!strv_contains(d->unstarted, name))
                (void) strv_add(&d->unstarted, name);
}

/* It could not be put into effect, or waits for a monitor whose file had errors. */
static bool is_to_be_tried(const struct daemon *d, const char *name) {
        return strv_contains(d->unstarted, name) || strv_contains(d->waiting, name);
}

static int set_load(const struct load_config *k, arbiter_monitor *monitor) {
        int r;

        r = arbiter_monitor_set_recycling(monitor, k->requests_max,
                        k->runtime_max_usec == USEC_INFINITY ? 0 : k->runtime_max_usec, k->memory_max,
                        k->recycle_spread_percent);
        if (r < 0)
                return r;
        return arbiter_monitor_set_autoscale(monitor, k->workers_min, k->workers_max, k->scale_up_percent,
                        k->scale_down_percent, k->scale_up_usec, k->scale_down_usec);
}

/* Also while it runs. */
static int set_policy(const struct monitor_config *m, arbiter_monitor *monitor) {
        int r;

        r = arbiter_monitor_set_intensity(monitor, m->restart_intensity, m->restart_period_usec);
        if (r >= 0)
                r = arbiter_monitor_set_backoff(monitor, m->backoff_min_usec, m->backoff_max_usec,
                                m->backoff_factor,
                                m->backoff_jitter_percent > 0 ? m->backoff_jitter_percent : UINT_MAX,
                                m->stable_usec);
        if (r < 0 || m->strategy != CONFIG_POOL)
                return r;
        r = arbiter_monitor_set_roll(monitor, m->max_surge, m->max_unavailable, m->drain_usec);
        if (r >= 0)
                r = arbiter_monitor_set_min_ready(monitor, m->min_ready_usec);
        if (r >= 0)
                r = arbiter_monitor_set_progress_deadline(monitor, m->progress_deadline_usec);
        if (r >= 0)
                r = arbiter_monitor_set_breaker(monitor, m->breaker_failures, m->breaker_period_usec,
                                m->breaker_min_usec, m->breaker_max_usec);
        if (r >= 0)
                r = set_load(&m->load, monitor);
        return r;
}

int daemon_configure_monitor(const struct monitor_config *m, arbiter_monitor *monitor) {
        int r;

        r = arbiter_monitor_set_description(monitor, m->description);
        if (r >= 0)
                r = arbiter_monitor_set_routing(monitor, (arbiter_routing) m->routing);
        return r < 0 ? r : set_policy(m, monitor);
}

static int start_monitor(struct daemon *d, const struct monitor_config *m, arbiter_future **ret) {
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *monitor = NULL;
        int r;

        if (m->parent)
                return tree_start_child(d, m->parent, m->name, true, ret);
        r = tree_build(d, m, &monitor);
        if (r < 0)
                return r; /* told */
        r = arbiter_monitor_start(monitor, m->strategy == CONFIG_POOL ? m->workers : 0, ret);
        if (r < 0) {
                (void) arbiter_monitor_stop(monitor, NULL);
                if (r == -ECANCELED) /* an operator had stopped it, and an arbiter before us knew */
                        return 0;
                return daemon_refuse(d, r, "%s: cannot be started: %m", m->path);
        }
        return 0;
}

/* A lone actor is also what "spawn" may make more of. */
static int start_actor(struct daemon *d, const struct actor_config *a, arbiter_future **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r;

        if (a->parent)
                return tree_start_child(d, a->parent, a->name, false, ret);
        r = definition_new(d, a, &s);
        if (r < 0)
                return r;
        (void) arbiter_remove_definition(d->arbiter, a->name);
        r = arbiter_add_definition(d->arbiter, s);
        if (r >= 0)
                r = arbiter_spawn_start(s, ret);
        if (r == -ECANCELED) /* stopped, or done with, when an arbiter before us was there */
                return 0;
        if (r < 0)
                return daemon_refuse(d, r, "%s: %s", a->path,
                                r == -EEXIST ? "the name is taken by an actor that runs" : strerror(-r));
        return 0;
}

/* By itself it would be started twice as soon as that is mended. */
static int wait_for_monitor(const char *name) {
        log_notice("%s is not started: it is the child of a monitor whose file has errors.", name);
        return 0;
}

/* ret may be NULL. -ESRCH: the configuration has no such name. */
static int start_by_name(struct daemon *d, const char *name, arbiter_future **ret) {
        const struct monitor_config *m = config_find_monitor(d->config, name);
        const struct actor_config *a = config_find_actor(d->config, name);
        bool waits = config_waits(d->config, name);
        int r = waits           ? wait_for_monitor(name)
                : m               ? start_monitor(d, m, ret)
                : a               ? start_actor(d, a, ret)
                                  : -ESRCH;

        forget(d->waiting, name);
        if (r >= 0 && waits) /* until a reload finds that it need not any more */
                r = strv_add(&d->waiting, name);
        if (r != -ESRCH)
                remember(d, name, r);
        return r;
}

static int note(struct daemon *d, const struct config *c);

struct departure {
        struct daemon *daemon;
        char *name;
};

static struct departure *departure_free(struct departure *x) {
        if (x)
                free(x->name);
        free(x);
        return NULL;
}
DEFINE_CLEANUP(struct departure *, departure_free)

static void sweep(struct daemon *d) {
        generations_sweep(d);
        listeners_sweep(d);
}

static int start_in_its_place(struct daemon *d, const char *name) {
        int r;

        sweep(d); /* first: it may want to bind otherwise what it had before */
        r = start_by_name(d, name, NULL);
        return r == -ESRCH ? 0 : r;
}

static void on_left(arbiter_future *f, void *userdata) {
        _cleanup_(departure_freep) struct departure *x = userdata;
        struct daemon *d = x->daemon;

        forget(d->leaving, x->name);
        if (arbiter_actor_get_state(arbiter_get_actor(d->arbiter)) >= ARBITER_STATE_STOPPING)
                return;
        (void) start_in_its_place(d, x->name);
        (void) note(d, d->config); /* with what could not be started */
}

/* Stops what runs under this name; when it is gone, starts what the configuration has for it by then, if
 * anything. 1: it is gone, and nothing is started. */
static int stop_for_another(struct daemon *d, const char *name) {
        _cleanup_(departure_freep) struct departure *x = calloc(1, sizeof(*x));
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter_monitor *m = arbiter_find_monitor(d->arbiter, name);
        int r;

        if (!x)
                return -ENOMEM;
        *x = (struct departure){ .daemon = d, .name = strdup(name) };
        if (!x->name)
                return -ENOMEM;
        (void) arbiter_remove_definition(d->arbiter, name);
        r = m ? arbiter_monitor_stop(m, &f) : arbiter_remove_actor(d->arbiter, name, &f);
        if (r == -ESRCH || (r >= 0 && !arbiter_future_is_pending(f)))
                return 1; /* it has ended, or was stopped by hand; nobody lives */
        if (r >= 0)
                r = strv_add(&d->leaving, name);
        if (r < 0)
                return r;
        r = arbiter_future_then(f, on_left, x);
        if (r < 0) {
                forget(d->leaving, name);
                return r;
        }
        x = NULL;
        return 0;
}

static int replace(struct daemon *d, const char *name) {
        int r = stop_for_another(d, name);

        return r > 0 ? start_in_its_place(d, name) : r;
}

/* A monitor and an actor of one name: who comes is told as added, and then all who go have been told to. */
static int remove_by_name(struct daemon *d, const char *name) {
        int r = stop_for_another(d, name);

        if (r > 0)
                sweep(d);
        return MIN(r, 0);
}

/* Its children that come and go are differences of their own. While its children are all on their way down,
 * or some together, who stands elsewhere is taken out, and put in again there. */
static int reorder_children(struct daemon *d, const struct config_difference *x) {
        _cleanup_strv_free_ char **moved = NULL, **refused = NULL;
        int r;

        r = tree_find_moved(x->old_monitor, x->new_monitor, &moved);
        if (r >= 0)
                r = tree_move_children(d, x->new_monitor, moved, &refused);
        STRV_FOREACH(name, refused)
                if (r >= 0)
                        r = replace(d, *name);
        return r;
}

static int change_actor(struct daemon *d, const struct actor_config *a) {
        int r = a->parent ? tree_change_actor(d, a) : -ENOENT;

        return r == -ENOENT ? replace(d, a->name) : r;
}

static bool is_rolling(arbiter_monitor *m) {
        arbiter_roll roll = { .size = sizeof(roll) };

        return arbiter_monitor_get_roll(m, &roll) >= 0 &&
               (roll.state == ARBITER_ROLL_GOING || roll.state == ARBITER_ROLL_HALTED ||
                roll.state == ARBITER_ROLL_TURNING_BACK);
}

/* always: somebody wants new workers, whatever has changed; a roll under way to the same is what he wants.
 * Which definition it has already, the library knows. */
static int roll(struct daemon *d, const struct config_difference *x, arbiter_monitor *monitor, bool always,
                arbiter_future **ret) {
        const struct monitor_config *m = x->new_monitor;
        bool differs = !monitor_runs_by(monitor, 0, m->actor.fingerprint),
             changed = x->old_monitor->actor.fingerprint != m->actor.fingerprint,
             by_definition = always && (differs || is_rolling(monitor));
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r = 0;

        if (changed || by_definition) {
                r = definition_new_worker(d, m, &s);
                if (r >= 0)
                        r = arbiter_monitor_restart(monitor, s, by_definition ? ret : NULL);
        }
        if (r >= 0 && always && !by_definition)
                r = arbiter_monitor_restart(monitor, NULL, ret);
        return r;
}

static int change_monitor(struct daemon *d, const struct config_difference *x, bool always_roll,
                arbiter_future **ret) {
        const struct monitor_config *m = x->new_monitor;
        arbiter_monitor *monitor = arbiter_find_monitor(d->arbiter, m->name);
        struct monitor_change c;
        int r;

        r = monitor_change_of(x, monitor, &c);
        if (r < 0)
                return r;
        if (!monitor || c.replace)
                return replace(d, m->name);
        if (c.reorder)
                return reorder_children(d, x);
        if (c.describe)
                r = arbiter_monitor_set_description(monitor, m->description);
        if (r >= 0 && c.route)
                r = arbiter_monitor_set_routing(monitor, (arbiter_routing) m->routing);
        if (r >= 0 && c.policy)
                r = set_policy(m, monitor);
        if (r >= 0 && c.probe && !c.roll) /* else they are the new workers' */
                r = definition_change_probes(d, &x->old_monitor->actor, &m->actor);
        if (r >= 0 && c.scale)
                r = arbiter_monitor_scale(monitor, m->workers, NULL);
        if (r >= 0 && m->strategy == CONFIG_POOL)
                r = roll(d, x, monitor, always_roll, ret);
        if (r != -ESHUTDOWN)
                return r;
        /* It does not run, or an operator has it stopped: nobody is touched, and who starts it starts the
         * new one. */
        return m->parent ? replace(d, m->name) : 0;
}

/* An earlier reload has failed to change it, and all but this has been done. */
static int change_now(struct daemon *d, const struct monitor_config *k, arbiter_monitor *m) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        int r;

        r = definition_new_worker(d, k, &s);
        if (r >= 0)
                r = arbiter_monitor_restart(m, s, NULL);
        r = r == -ESHUTDOWN ? 0 : r; /* who starts it starts that */
        remember(d, k->name, r);
        return r;
}

static int change_actor_now(struct daemon *d, const struct actor_config *a) {
        int r = tree_change_actor(d, a);

        if (r == -ENOENT)
                return start_by_name(d, a->name, NULL);
        remember(d, a->name, r);
        return r;
}

/* It may have come by itself: as soon as its name was free, or when an earlier reload had no more to wait
 * for. */
static int start_unless_there(struct daemon *d, const struct config_difference *x) {
        const struct monitor_config *k = x->new_monitor;
        arbiter_monitor *m = k ? arbiter_find_monitor(d->arbiter, x->name) : NULL;
        bool failed = x->change == CONFIG_UNCHANGED && strv_contains(d->unstarted, x->name);

        if (failed && x->new_actor && x->new_actor->parent)
                return change_actor_now(d, x->new_actor);
        if (!m || (k->parent && !failed))
                return start_by_name(d, x->name, NULL);
        if (k->strategy == CONFIG_POOL && !monitor_runs_by(m, 0, k->actor.fingerprint))
                return failed ? change_now(d, k, m) : replace(d, x->name);
        forget(d->unstarted, x->name);
        forget(d->waiting, x->name);
        return 0;
}

static void apply_one(struct daemon *d, const struct config_difference *x) {
        const char *before = d->complaints;
        int r = 0;

        if (is_leaving(d, x->name))
                return; /* on_left() sees the newest configuration */
        if (x->change == CONFIG_REMOVED)
                r = remove_by_name(d, x->name);
        else if (x->change == CONFIG_CHANGED && x->new_actor)
                r = change_actor(d, x->new_actor);
        else if (x->change == CONFIG_PROBED)
                r = definition_change_probes(d, x->old_actor, x->new_actor);
        else if ((x->change == CONFIG_CHANGED || x->change == CONFIG_SCALED) && x->new_monitor)
                r = change_monitor(d, x, false, NULL);
        else if (x->change == CONFIG_ADDED || (x->change == CONFIG_UNCHANGED && is_to_be_tried(d, x->name)))
                r = start_unless_there(d, x);
        if (x->change == CONFIG_CHANGED || x->change == CONFIG_SCALED)
                remember(d, x->name, r);
        if (r < 0) {
                log_debug_errno(r, "%s: %m", x->name);
                if (d->complaints == before) /* else it has been said, with the reason */
                        complain(d, "%s could not be put into effect: %s", x->name, strerror(-r));
        }
        notify_progress(d);
}

/* Another parent, or none any more, or one now: gone from there first. */
static void apply_moves(struct daemon *d, const struct config_difference *x, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (config_has_moved(x + i) && !is_leaving(d, x[i].name))
                        (void) replace(d, x[i].name);
}

static void apply_all(struct daemon *d, const struct config_difference *x, size_t n) {
        apply_moves(d, x, n);
        for (size_t i = 0; i < n; i++)
                if (x[i].change != CONFIG_ADDED)
                        apply_one(d, x + i);
        for (size_t i = 0; i < n; i++)
                if (x[i].change == CONFIG_ADDED && x[i].new_actor)
                        apply_one(d, x + i);
        for (size_t m = 0; m < d->config->n_monitors; m++)
                for (size_t i = 0; i < n; i++)
                        if (x[i].change == CONFIG_ADDED && x[i].new_monitor &&
                                        x[i].new_monitor == d->config->order[m])
                                apply_one(d, x + i);
}

/* What is said of a configuration by those who do not run it. */
static int note(struct daemon *d, const struct config *c) {
        usec_t longest = c->daemon.default_timeout_stop_usec;
        char **failed;
        int r;

        r = strv_copy(c->failed, &failed);
        if (r < 0)
                return r;
        STRV_FOREACH (name, d->unstarted) {
                bool monitor = config_find_monitor(c, *name), actor = config_find_actor(c, *name);
                char *file = NULL;

                if (!monitor && !actor)
                        continue;
                r = asprintf(&file, "%s%s", *name, monitor ? ".monitor" : ".actor");
                r = strv_take(&failed, r < 0 ? NULL : file);
                if (r < 0)
                        return r;
        }
        strv_free(d->failed_files);
        d->failed_files = failed;
        for (size_t i = 0; i < c->n_monitors; i++)
                longest = MAX(longest, c->monitors[i]->actor.timeout_stop_usec);
        for (size_t i = 0; i < c->n_actors; i++)
                longest = MAX(longest, c->actors[i]->timeout_stop_usec);
        d->timeout_stop_usec = longest;
        if (d->arbiter)
                r = arbiter_set_failed_files(d->arbiter, (const char *const *)failed);
        return r;
}

/* What has failed by the old definitions tries the new ones. */
static void start_mended(struct daemon *d, char *const *names) {
        STRV_FOREACH(name, names) {
                arbiter_monitor *m = arbiter_find_monitor(d->arbiter, *name);
                int r;

                if (!m || is_leaving(d, *name) || arbiter_monitor_has_failed(m) <= 0)
                        continue;
                log_notice("%s had failed, and something of it has changed: it is started anew.", *name);
                r = arbiter_monitor_restart(m, NULL, NULL);
                if (r < 0)
                        (void) daemon_refuse(d, r, "%s cannot be started anew: %m", *name);
        }
}

int daemon_apply(struct daemon *d, struct config *new) {
        _cleanup_free_ struct config_difference *x = NULL;
        _cleanup_strv_free_ char **mended = NULL;
        _cleanup_(config_freep) struct config *old = NULL;
        size_t n = 0;
        int r;

        r = config_diff(d->config, new, &x, &n);
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (!x[i].new_monitor && !x[i].new_actor && x[i].change == CONFIG_UNCHANGED)
                        log_warning("%s goes on as it was: its file has errors", x[i].name);
        if (r >= 0)
                r = plan_find_mended(d, new, x, n, &mended);
        if (r >= 0)
                r = config_adopt(new, d->config);
        if (r < 0) {
                config_free(new);
                return r;
        }
        old = d->config;
        d->config = new;
        generations_begin(d);
        r = generations_keep(d, old, new);
        (void) note(d, new); /* with what it has adopted */
        apply_all(d, x, n);
        start_mended(d, mended);
        (void) note(d, new); /* with what could not be put into effect */
        generations_end(d);
        listeners_sweep(d);
        return r;
}

static void on_message(void *userdata, enum conf_level level, const char *file, unsigned line,
                const char *text) {
        char place[16] = "";

        if (line > 0)
                (void) snprintf(place, sizeof(place), ":%u", line);
        journal_configuration(level, file, line, text);
        if (level == CONF_ERROR)
                complain(userdata, "%s%s: %s", file, place, text);
}

static void begin_loading(struct daemon *d) {
        forget_complaints(d);
        d->options.directories = (const char *const *)d->directories;
        d->options.home = d->home;
        d->options.runtime = d->runtime_directory;
        d->options.sink = (struct conf_sink){ on_message, d };
}

int daemon_load(struct daemon *d, struct config **ret) {
        struct config *c;
        int r;

        begin_loading(d);
        r = config_load(&d->options, &c);
        if (r < 0)
                return r;
        r = note(d, c);
        if (r < 0) {
                config_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

static int reload(struct daemon *d, char **ret_text) {
        struct config *new = NULL;
        bool failed;
        int r;

        log_info("Reloading the configuration.");
        r = daemon_load(d, &new);
        if (r < 0)
                return log_error_errno(r, "The configuration cannot be loaded: %m");
        if (strv_contains(new->failed, CONFIG_DAEMON_FILE)) { /* the defaults of all others are in it */
                log_error("%s has errors: nothing is changed.", CONFIG_DAEMON_FILE);
                config_free(new);
        } else {
                if (d->log_level < 0)
                        log_set_level(new->daemon.log_level >= 0 ? new->daemon.log_level : LOG_INFO);
                r = daemon_apply(d, new);
                if (r < 0)
                        return log_error_errno(r, "The configuration cannot be applied: %m");
                journal_reloaded(strv_length(d->config->failed));
        }
        failed = d->complaints != NULL;
        if (ret_text)
                *ret_text = TAKE_PTR(d->complaints);
        return failed ? -EBADMSG : 0;
}

int daemon_reload(arbiter *a, char **ret_text, void *userdata) {
        struct daemon *d = userdata;
        int r;

        notify_reloading(d);
        r = reload(d, ret_text);
        notify_reloaded(d);
        return r;
}

/* In the place of the one that is configured, which `new` has then. */
static void exchange(struct daemon *d, struct config *new, struct monitor_config *m) {
        struct monitor_config *old = config_find_monitor(d->config, m->name);

        for (size_t i = 0; i < d->config->n_monitors; i++) {
                if (d->config->monitors[i] == old)
                        d->config->monitors[i] = m;
                if (d->config->order[i] == old)
                        d->config->order[i] = m;
        }
        for (size_t i = 0; i < new->n_monitors; i++)
                if (new->monitors[i] == m)
                        new->monitors[i] = old;
        config_link(d->config);
}

static int note_file(struct daemon *d, const char *name, bool failed) {
        _cleanup_free_ char *file = NULL;
        int r = 0;

        if (asprintf(&file, "%s.monitor", name) < 0) {
                file = NULL;
                return -ENOMEM;
        }
        if (!failed)
                forget(d->config->failed, file);
        else if (!strv_contains(d->config->failed, file))
                r = strv_add(&d->config->failed, file);
        return r < 0 ? r : note(d, d->config);
}

/* What there must be before anything is read. */
static int check_reload(struct daemon *d, const char *name) {
        if (is_leaving(d, name))
                return daemon_refuse(d, -EBUSY, "%s is being stopped, and started anew then", name);
        if (!config_find_monitor(d->config, name))
                return daemon_refuse(d, -ENOENT,
                                "%s was not configured when the configuration was read last: 'arbiterctl "
                                "daemon-reload' reads all of it", name);
        if (config_find_monitor(d->config, name)->strategy != CONFIG_POOL)
                return daemon_refuse(d, -EOPNOTSUPP,
                                "%s is a monitor of different children, and no pool whose workers could be "
                                "replaced bit by bit: 'arbiterctl daemon-reload' reads all of the "
                                "configuration",
                                name);
        if (!arbiter_find_monitor(d->arbiter, name))
                return daemon_refuse(d, -ESHUTDOWN, "%s is not running: 'arbiterctl restart %s' starts it",
                                name, name);
        return 0;
}

static int reload_one(struct daemon *d, struct config *new, const char *name, arbiter_future **ret) {
        struct monitor_config *m = config_find_monitor(new, name);
        struct config_difference x = { .name = name, .new_monitor = m };
        int r;

        r = note_file(d, name, !m && d->complaints);
        if (r < 0)
                return r;
        if (!m)
                return d->complaints ? -EBADMSG
                                     : daemon_refuse(d, -ENOENT,
                                                     "There is no %s.monitor any more. 'arbiterctl "
                                                     "daemon-reload' stops its workers", name);
        x.old_monitor = config_find_monitor(d->config, name);
        r = config_compare(x.old_monitor, m, &x.change);
        if (r < 0)
                return r;
        exchange(d, new, m);
        r = generations_keep(d, new, d->config);
        if (r >= 0)
                r = change_monitor(d, &x, true, ret);
        if (r < 0 && !d->complaints)
                complain(d, "%s could not be put into effect: %s", name, strerror(-r));
        remember(d, name, r);
        (void) note(d, d->config);
        return r;
}

int daemon_reload_monitor(
                arbiter *a, const char *name, arbiter_future **ret, char **ret_text, void *userdata) {
        struct daemon *d = userdata;
        struct config *new = NULL;
        int r;

        begin_loading(d);
        generations_begin(d);
        r = check_reload(d, name);
        if (r >= 0)
                r = config_load_one(&d->options, name, &new);
        if (r >= 0)
                r = reload_one(d, new, name, ret);
        config_free(new);
        generations_end(d);
        listeners_sweep(d);
        if (r < 0)
                *ret_text = TAKE_PTR(d->complaints);
        return r;
}

int daemon_start_stopped(
                arbiter *a, const char *name, arbiter_future **ret, char **ret_text, void *userdata) {
        struct daemon *d = userdata;
        int r;

        if (is_leaving(d, name))
                return -EBUSY;
        forget_complaints(d);
        r = start_by_name(d, name, ret);
        if (r < 0)
                *ret_text = TAKE_PTR(d->complaints);
        (void) note(d, d->config);
        return r;
}
