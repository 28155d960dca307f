/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arbiter: made, started, run, stopped. The public functions on it, and what its own actor does
 * differently from all others (struct actor_arbiter_ops). */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>

#include "arbiter/adoption.h"
#include "arbiter/deaths.h"

static arbiter *arbiter_of(arbiter_actor *a) {
        return a->arbiter;
}

/* What its own actor does. */

static arbiter_outcome resolve(arbiter_actor *actor, const char *target, struct peer **ret) {
        struct child *c = child_find(arbiter_of(actor), target);

        if (!c)
                return broker_is_restarting(arbiter_of(actor), target) ? ARBITER_OUTCOME_RESTARTING
                                                                       : ARBITER_OUTCOME_NOPROC;
        if (c->plain && plain_ensure_stub(c) < 0)
                return ARBITER_OUTCOME_OVERLOAD;
        /* Its own inline actors take mail before their welcome is through: it is all one queue. */
        if (!c->peer || (!c->welcomed && !c->inline_actor))
                return ARBITER_OUTCOME_RESTARTING;
        *ret = c->peer;
        return ARBITER_OUTCOME_REPLY;
}

static int own_watch(arbiter_actor *actor, const aid *target, uint32_t generation) {
        if (!map_get(arbiter_of(actor)->by_aid, target->c, AID_SIZE))
                return -ESRCH;
        return relations_add(arbiter_of(actor), NULL, target, false);
}

static void own_unwatch(arbiter_actor *actor, const aid *target) {
        relations_remove(arbiter_of(actor), NULL, target, false);
}

static int own_link(arbiter_actor *actor, const aid *target, uint32_t generation, bool on) {
        return -EOPNOTSUPP; /* nothing may end the arbiter by fate */
}

static int own_spawn(arbiter_actor *actor, const char *definition, const char *name,
                const char *const *parameters, arbiter_future **ret) {
        return control_spawn(arbiter_of(actor), definition, name, parameters, NULL, ret);
}

static int own_stop(arbiter_actor *actor, int exit_code) {
        return arbiter_stop(arbiter_of(actor), exit_code);
}

static bool own_is_pool(arbiter_actor *actor, const char *name) {
        return pool_find(arbiter_of(actor), name);
}

static void own_commit(arbiter_actor *actor) {
        state_commit(arbiter_of(actor));
}

static void own_dead_letter(arbiter_actor *actor) {
        status_changed(arbiter_of(actor), 0);
}

static const struct actor_arbiter_ops ops = {
        .resolve = resolve,
        .watch = own_watch,
        .unwatch = own_unwatch,
        .link = own_link,
        .spawn = own_spawn,
        .stop = own_stop,
        .info = arbiter_append_info,
        .admits = handshake_admits,
        .peer_lost = handshake_peer_lost,
        .dead_letter = own_dead_letter,
        .is_pool = own_is_pool,
        .commit = own_commit,
        .commands = arbiter_commands,
};

/* Making and freeing. */

static void on_leaf_timer(arbiter_actor *a, struct actor_timer *t) {
        leaves_retry(arbiter_of(a));
}

static int init_maps(arbiter *a) {
        map **maps[] = { &a->by_aid, &a->by_name, &a->monitors_by_name, &a->definitions, &a->names,
                         &a->commands, &a->pairs, &a->groups, &a->locks,
                         &a->places };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(maps); i++) {
                r = map_new(maps[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int init_root(arbiter *a) {
        supervise_policy policy = SUPERVISE_POLICY_DEFAULT;
        struct siphash_key seed;
        int r;

        r = siphash_key_random(&seed);
        if (r < 0)
                return r;
        a->seed = seed.k0;
        a->children_max = CHILD_CHILDREN_MAX;
        policy.strategy = SUPERVISE_ONE_FOR_ONE;
        return set_init(&a->root, a, NULL, &policy, 0);
}

static int init_actor(arbiter *a, const arbiter_module *module) {
        struct actor_options o = {
                .event = a->event,
                .aid = &AID_ARBITER,
                .name = "arbiter",
                .manager = "arbiter",
                .generation = 1,
                .module = module,
                .concurrency = ARBITER_CONCURRENCY_INLINE,
                .arbiter_ops = &ops,
                .arbiter = a,
        };

        return actor_new(&o, &a->actor);
}

/* What cannot fail. */
static void init_lists(arbiter *a) {
        a->cgroup_root = a->hierarchy = CGROUP_ROOT_INIT;
        a->leaf_timer = ACTOR_TIMER_INIT(on_leaf_timer);
        probes_init(a);
        a->accept_timer = ACTOR_TIMER_INIT(mailbox_socket_retry);
        a->notice_timer = ACTOR_TIMER_INIT(relations_retry);
        list_init(&a->notices);
        list_init(&a->held);
        a->held_timer = ACTOR_TIMER_INIT(routes_on_timer);
        a->pool_timer = ACTOR_TIMER_INIT(pool_members_retry);
        a->relink_timer = ACTOR_TIMER_INIT(relinks_on_timer);
        list_init(&a->relinks);
        member_init(&a->own_member, a, NULL);
        list_init(&a->parked);
        a->parked_timer = ACTOR_TIMER_INIT(members_on_timer);
        a->group_timer = ACTOR_TIMER_INIT(groups_retry);
        list_init(&a->children);
        list_init(&a->monitors);
        list_init(&a->observers);
        list_init(&a->strangers);
        list_init(&a->leaves);
        state_init(a);
}

static int init_parts(arbiter *a, const arbiter_module *module) {
        int r;

        r = init_maps(a);
        if (r >= 0)
                r = init_actor(a, module);
        if (r >= 0)
                r = actor_timer_reserve(a->actor, &a->notice_timer);
        if (r >= 0)
                r = actor_timer_reserve(a->actor, &a->group_timer);
        if (r >= 0)
                r = actor_timer_reserve(a->actor, &a->held_timer);
        if (r >= 0)
                r = actor_timer_reserve(a->actor, &a->pool_timer);
        if (r >= 0)
                r = actor_timer_reserve(a->actor, &a->probes.timer);
        if (r >= 0)
                r = init_root(a);
        if (r >= 0)
                r = deaths_new(&a->deaths);
        if (r >= 0)
                r = status_init(a);
        if (r < 0)
                return r;
        a->host_program = strdup(ARBITER_HOST_PATH);
        return a->host_program ? 0 : -ENOMEM;
}

_public_ int arbiter_new(struct sd_event *event, const arbiter_module *module, arbiter **ret) {
        _cleanup_(arbiter_unrefp) arbiter *a = NULL;
        struct rlimit nofile;
        int r;

        if (!ret)
                return -EINVAL;
        if (module) {
                r = module_check(module);
                if (r < 0)
                        return r;
        }
        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->n_ref = 1;
        a->module = module;
        a->old_identity = secure_getenv("ARBITER_OLD_IDENTITY");
        init_lists(a);
        /* Those of an arbiter before us are in use still: ours are later than all of theirs. */
        a->link_counter = a->lock_counter = now_usec();
        if (getrlimit(RLIMIT_NOFILE, &nofile) >= 0)
                a->soft_nofile = nofile.rlim_cur;
        r = event ? 0 : sd_event_new(&a->event);
        if (event)
                a->event = sd_event_ref(event);
        if (r >= 0)
                r = init_parts(a, module);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}

_public_ arbiter *arbiter_ref(arbiter *a) {
        if (a)
                a->n_ref++;
        return a;
}

/* Without ceremony: the last reference has gone while children were alive. */
static void kill_children(arbiter *a) {
        LIST_FOREACH(c, &a->children, struct child, children) {
                c->set = NULL;
                unit_forget(c);
                if (c->process.pid > 0 && c->concurrency != ARBITER_CONCURRENCY_UNIT)
                        process_end(&c->process);
                if (c->peer && c->peer->link)
                        link_close(c->peer->link); /* a thread sees EOF, and ends */
                if (c->has_thread)
                        pthread_join(c->thread, NULL);
                broker_unpark(c, ARBITER_OUTCOME_NOPROC);
                broker_forget(c);
                LIST_FOREACH(r, &c->watched_by, struct relation, of_target) {
                        list_remove(&r->of_target);
                        list_remove(&r->of_owner);
                        free(r->notice);
                        free(r);
                }
                LIST_FOREACH(r, &c->watches, struct relation, of_owner) {
                        list_remove(&r->of_target);
                        list_remove(&r->of_owner);
                        free(r->notice);
                        free(r);
                }
                child_free(c);
        }
}

static void free_definition(void *p) {
        arbiter_spawn_unref(p);
}

static void free_monitors(arbiter *a) {
        LIST_FOREACH(m, &a->monitors, arbiter_monitor, monitors) {
                list_remove(&m->monitors);
                list_remove(&m->marked);
                pool_members_forget(m);
                autoscale_stop(m); /* while it has an arbiter, whose timers these are */
                set_done(&m->set);
                m->child = NULL;
                m->arbiter = NULL;
                arbiter_monitor_unref(m);
        }
}

_public_ arbiter *arbiter_unref(arbiter *a) {
        if (!a || --a->n_ref > 0)
                return NULL;
        a->n_ref = 1;
        if (a->face_free)
                a->face_free(a->face);
        if (a->actor) {
                mailbox_socket_done(a);
                metrics_socket_done(a);
                adopt_free(a->adoption);
                adopt_free_kept(a);
                kill_children(a);
                free_monitors(a);
                set_done(&a->root);
                probes_done(a);
                if (a->unit_ops)
                        a->unit_ops->free(a->systemd);
                actor_timer_clear(a->actor, &a->leaf_timer);
                actor_timer_clear(a->actor, &a->relink_timer);
                actor_timer_release(a->actor, &a->notice_timer);
                members_done(a);
                actor_timer_clear(a->actor, &a->parked_timer);
                actor_timer_release(a->actor, &a->group_timer);
                routes_forget_held(a);
                actor_timer_release(a->actor, &a->held_timer);
                actor_timer_release(a->actor, &a->pool_timer);
        }
        for (leaves_retry(a); !list_is_empty(&a->leaves); leaves_retry(a))
                (void) poll(NULL, 0, 5); /* the kernel empties a killed cgroup in its own time */
        sd_event_source_disable_unref(a->sigchld_source);
        actor_unref(a->actor);
        map_free(a->by_aid, NULL);
        map_free(a->by_name, NULL);
        map_free(a->monitors_by_name, NULL);
        map_free(a->places, NULL);
        map_free(a->definitions, free_definition);
        map_free(a->names, free);
        map_free(a->commands, commands_table_free);
        map_free(a->pairs, NULL);
        cgroup_root_done(&a->cgroup_root);
        cgroup_root_done(&a->hierarchy);
        deaths_free(a->deaths);
        state_done(a);
        status_done(a);
        sd_event_unref(a->event);
        free(a->runtime_directory);
        free(a->host_program);
        free(a->cgroup_path);
        free(a->dead_aids);
        free(a);
        return NULL;
}

/* Settings. */

_public_ arbiter_actor *arbiter_get_actor(arbiter *a) {
        return a->actor;
}

_public_ struct sd_event *arbiter_get_event(arbiter *a) {
        return a->event;
}

static int set_path(arbiter *a, char **p, const char *path, bool null_allowed) {
        char *copy = NULL;

        if (!a || (!path && !null_allowed) || (path && *path != '/'))
                return -EINVAL;
        if (a->started)
                return -EBUSY;
        if (path) {
                copy = strdup(path);
                if (!copy)
                        return -ENOMEM;
        }
        free(*p);
        *p = copy;
        return 0;
}

_public_ int arbiter_set_runtime_directory(arbiter *a, const char *path) {
        return set_path(a, &a->runtime_directory, path, false);
}

/* Leaves are found by name below the root: those of one that is gone are gone, too. */
static int replace_cgroup(arbiter *a, const char *path) {
        struct cgroup_root root;
        int r;

        if (!path || *path != '/')
                return -EINVAL;
        if (a->has_cgroup && faccessat(a->cgroup_root.fd, "cgroup.procs", F_OK, 0) >= 0)
                return -EBUSY;
        r = cgroup_root_open(path, &root);
        if (r < 0)
                return r;
        cgroup_root_done(&a->cgroup_root);
        a->cgroup_root = root;
        a->cgroup_tried = a->has_cgroup = true;
        return 0;
}

_public_ int arbiter_set_cgroup(arbiter *a, const char *path) {
        return a && a->started ? replace_cgroup(a, path) : set_path(a, &a->cgroup_path, path, true);
}

_public_ int arbiter_set_host_program(arbiter *a, const char *path) {
        return set_path(a, &a->host_program, path, false);
}

_public_ int arbiter_set_subreaper(arbiter *a, bool on) {
        if (!a)
                return -EINVAL;
        if (a->started)
                return -EBUSY;
        a->subreaper = on;
        return 0;
}

_public_ int arbiter_set_log_handler(arbiter *a, arbiter_log_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->log_handler = handler;
        a->log_userdata = userdata;
        return 0;
}

_public_ int arbiter_set_reload_handler(arbiter *a, arbiter_reload_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->reload_handler = handler;
        a->reload_userdata = userdata;
        return 0;
}

_public_ int arbiter_set_plan_handler(arbiter *a, arbiter_plan_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->plan_handler = handler;
        a->plan_userdata = userdata;
        return 0;
}

_public_ int arbiter_plan_reload(arbiter *a, arbiter_message *plan) {
        if (!a || !plan)
                return -EINVAL;
        return a->plan_handler ? a->plan_handler(a, plan, a->plan_userdata) : -EOPNOTSUPP;
}

_public_ int arbiter_set_start_handler(arbiter *a, arbiter_start_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->start_handler = handler;
        a->start_userdata = userdata;
        return 0;
}

_public_ int arbiter_reload(arbiter *a, char **ret_text) {
        int r;

        if (!a)
                return -EINVAL;
        if (!a->reload_handler)
                return -EOPNOTSUPP;
        if (a->reloading)
                return -EBUSY;
        a->reloading = true;
        r = a->reload_handler(a, ret_text, a->reload_userdata);
        a->reloading = false;
        return r;
}

_public_ int arbiter_add_definition(arbiter *a, arbiter_spawn *definition) {
        int r;

        if (!a || !definition)
                return -EINVAL;
        r = spawn_check(definition, NULL);
        if (r < 0)
                return r;
        r = map_put_string(a->definitions, definition->name, definition);
        if (r < 0)
                return r;
        arbiter_spawn_ref(definition);
        status_changed(a, CONTROL_CHANGE_DEFINITIONS);
        return r;
}

_public_ int arbiter_remove_definition(arbiter *a, const char *name) {
        arbiter_spawn *s = a && name ? map_remove_string(a->definitions, name) : NULL;

        if (!s)
                return -ENOENT;
        arbiter_spawn_unref(s);
        status_changed(a, CONTROL_CHANGE_DEFINITIONS);
        return 0;
}

int arbiter_open_cgroup(arbiter *a) {
        if (!a->cgroup_tried) {
                a->cgroup_tried = true;
                a->has_cgroup = cgroup_root_open(a->cgroup_path, &a->cgroup_root) >= 0;
                status_changed(a, CONTROL_CHANGE_CGROUP);
        }
        return a->has_cgroup ? 0 : -EOPNOTSUPP;
}

/* Orphans: descendants of the dead that came to us. */

static bool is_known(pid_t pid, void *userdata) {
        arbiter *a = userdata;

        LIST_FOREACH(c, &a->children, struct child, children)
                if (c->process.pid == pid) {
                        a->orphans_behind = true;
                        return true;
                }
        if (probes_know(a, pid))
                a->orphans_behind = true;
        return a->orphans_behind;
}

static void reap_orphans(arbiter *a) {
        a->orphans_behind = false;
        (void) process_reap_orphans(is_known, a);
}

void arbiter_reap_orphans(arbiter *a) {
        if (a->orphans_behind)
                reap_orphans(a);
}

static int on_sigchld(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        reap_orphans(userdata);
        return 0;
}

static int become_subreaper(arbiter *a) {
        int r = process_become_subreaper();

        if (r < 0)
                return r;
        return actor_block_signal(a->event, &a->sigchld_source, SIGCHLD, on_sigchld, a);
}

/* Running. */

static int make_runtime_directory(const arbiter *a) {
        struct stat st;

        if (!a->runtime_directory)
                return 0;
        /* Others may pass through, to the sockets that are open to them, but see nothing. */
        if (mkdir(a->runtime_directory, 0711) < 0 && errno != EEXIST)
                return negative_errno();
        if (lstat(a->runtime_directory, &st) < 0)
                return negative_errno();
        if (!S_ISDIR(st.st_mode))
                return -ENOTDIR;
        return st.st_uid == geteuid() ? 0 : -EPERM;
}

_public_ int arbiter_start(arbiter *a) {
        int r;

        if (!a)
                return -EINVAL;
        if (a->started)
                return 0;
        r = make_runtime_directory(a);
        if (r < 0)
                return r;
        if (a->subreaper) {
                r = become_subreaper(a);
                if (r < 0)
                        return r;
        }
        a->started_usec = now_usec();
        a->started_realtime_usec = control_now_realtime();
        r = adopt_begin(a);
        if (r == 0)
                r = set_handle(&a->root, &(supervise_event){ .type = SUPERVISE_START });
        if (r < 0)
                return r;
        a->started = true;
        state_mark_arbiter(a);
        status_changed(a, 0);
        return actor_start(a->actor);
}

static int on_stop_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        return arbiter_stop(userdata, 0);
}

static int add_stop_signals(arbiter *a, sd_event_source **sources) {
        static const int signals[] = { SIGTERM, SIGINT };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(signals) && r >= 0; i++)
                r = actor_block_signal(a->event, &sources[i], signals[i], on_stop_signal, a);
        return r;
}

_public_ int arbiter_run(arbiter *a, bool handle_signals) {
        sd_event_source *sources[2] = {};
        int r;

        if (!a)
                return -EINVAL;
        if (arbiter_actor_current())
                return -EDEADLK;
        r = arbiter_start(a);
        if (r >= 0 && handle_signals)
                r = add_stop_signals(a, sources);
        a->running = true;
        while (r >= 0 && a->actor->state < ARBITER_STATE_CLOSED)
                r = sd_event_run(a->event, UINT64_MAX);
        a->running = false;
        for (size_t i = 0; i < ELEMENTSOF(sources); i++)
                sd_event_source_disable_unref(sources[i]);
        return r < 0 ? r : a->exit_code;
}

/* Stopping: monitors in reverse start order, one after the other; then the lone actors, in reverse, too. */

static void finish_stop(arbiter *a) {
        arbiter_log(a, LOG_INFO, NULL, "stopped", "Bye (exit code = %d)", a->exit_code);
        state_end(a);
        actor_end(a->actor);
}

/* The children of monitors are stopped by those. */
static arbiter_monitor *last_on_top(arbiter *a) {
        for (struct list_node *n = a->monitors.prev; n != &a->monitors; n = n->prev) {
                arbiter_monitor *m = LIST_ENTRY(n, arbiter_monitor, monitors);

                if (!m->tree.place)
                        return m;
        }
        return NULL;
}

static void stop_next(arbiter *a) {
        arbiter_monitor *m = last_on_top(a);
        supervise_info info;

        if (m) {
                (void) monitor_stop(m);
                return;
        }
        supervise_get_info(a->root.supervise, &info);
        if (info.phase == SUPERVISE_PHASE_UP)
                (void) set_handle(&a->root, &(supervise_event){ .type = SUPERVISE_STOP });
        else if (info.phase == SUPERVISE_PHASE_DOWN && a->actor->state == ARBITER_STATE_STOPPING &&
                        list_is_empty(&a->children))
                finish_stop(a);
}

void arbiter_set_ended(arbiter *a, struct set *s) {
        if (a->actor->state == ARBITER_STATE_STOPPING)
                stop_next(a);
}

_public_ int arbiter_stop(arbiter *a, int exit_code) {
        arbiter_actor *previous;

        if (!a)
                return -EINVAL;
        if (a->actor->state >= ARBITER_STATE_STOPPING)
                return 0;
        a->exit_code = exit_code;
        a->actor->exit_code = exit_code;
        arbiter_log(a, LOG_INFO, NULL, "stopping", "stopping");
        actor_set_state(a->actor, ARBITER_STATE_STOPPING);
        state_mark_arbiter(a);
        status_changed(a, 0);
        if (a->module && a->module->stopping) {
                actor_enter(a->actor, &previous);
                (void) a->module->stopping(a->actor, a->actor->userdata);
                actor_leave(a->actor, previous);
        }
        stop_next(a);
        return 0;
}
