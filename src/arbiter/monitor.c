/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitors: pools of N workers alike; of those of different children tree.h has the rest. What they decide
 * is decided in src/supervise; here is what they are to the outside: an inline actor with a name, futures
 * for who waits until a size is reached, and the public functions. Called by the program, by set.c with what
 * was decided, and by tree*.c. */

#include <limits.h>
#include <stdio.h>
#include <syslog.h>

#include "arbiter/adoption.h"
#include "arbiter/deaths.h"

static supervise_policy default_policy(void) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;

        p.progress_deadline = 600 * NSEC_PER_SEC; /* Kubernetes' progressDeadlineSeconds */
        return p;
}

_public_ int arbiter_monitor_new(arbiter *a, const char *name, arbiter_spawn *worker,
                const arbiter_module *module, arbiter_monitor **ret) {
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *m = NULL;
        int r;

        if (!a || !name || !name_is_valid(name) || !ret)
                return -EINVAL;
        if (names_is_taken(a, name))
                return -EEXIST;
        r = worker ? spawn_check(worker, NULL) : 0;
        if (r < 0)
                return r;
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->n_ref = 1;
        m->worker = arbiter_spawn_ref(worker);
        m->module = module;
        m->policy = default_policy();
        if (!worker)
                m->policy.strategy = SUPERVISE_ONE_FOR_ONE;
        tree_init(&m->tree, worker);
        m->revision = 1;
        m->set.timer = ACTOR_TIMER_INIT(NULL); /* it may be stopped without having been started */
        list_init(&m->monitors);
        list_init(&m->marked);
        list_init(&m->set.marked);
        list_init(&m->settled);
        roll_init(m);
        autoscale_init(m);
        list_init(&m->pool_watches);
        m->routing = ARBITER_ROUTING_ROUND_ROBIN;
        m->name = strdup(name);
        if (!m->name)
                return -ENOMEM;
        r = map_put_string(a->monitors_by_name, name, m);
        if (r < 0)
                return r;
        m->arbiter = a;
        arbiter_monitor_ref(m); /* the arbiter's */
        list_append(&a->monitors, &m->monitors);
        *ret = TAKE_PTR(m);
        return 0;
}

_public_ arbiter_monitor *arbiter_monitor_ref(arbiter_monitor *m) {
        if (m)
                m->n_ref++;
        return m;
}

_public_ arbiter_monitor *arbiter_monitor_unref(arbiter_monitor *m) {
        if (!m || --m->n_ref > 0)
                return NULL;
        autoscale_stop(m);
        if (!m->arbiter)
                m->set.arbiter = NULL; /* it may be gone by now, and its timers with it */
        tree_dismiss(m);
        set_done(&m->set);
        waiters_forget(&m->settled);
        arbiter_future_unref(m->start_future);
        arbiter_future_unref(m->stop_future);
        roll_free(m);
        arbiter_spawn_unref(m->worker);
        free(m->description);
        free(m->name);
        free(m);
        return NULL;
}

_public_ const char *arbiter_monitor_get_name(arbiter_monitor *m) {
        return m->name;
}

_public_ arbiter_monitor *arbiter_find_monitor(arbiter *a, const char *name) {
        return a && name ? map_get_string(a->monitors_by_name, name) : NULL;
}

_public_ int arbiter_monitor_has_worker(arbiter_monitor *m, unsigned number) {
        supervise_slot_info i;

        if (!m)
                return -EINVAL;
        return m->set.supervise && supervise_get_slot(m->set.supervise, number, &i) >= 0;
}

_public_ int arbiter_monitor_set_description(arbiter_monitor *m, const char *description) {
        char *copy = description ? strdup(description) : NULL;

        if (!m || (description && !copy))
                return m ? -ENOMEM : -EINVAL;
        free(m->description);
        m->description = copy;
        return 0;
}

static uint64_t nsec_of(uint64_t usec) {
        return usec > UINT64_MAX / NSEC_PER_USEC ? NSEC_INFINITY : usec * NSEC_PER_USEC;
}

_public_ int arbiter_monitor_set_intensity(arbiter_monitor *m, unsigned intensity, uint64_t period_usec) {
        supervise_policy policy;

        if (!m || (intensity > SUPERVISE_INTENSITY_MAX && intensity != SUPERVISE_INTENSITY_INFINITY))
                return -EINVAL;
        policy = m->policy;
        policy.intensity = intensity;
        if (period_usec > 0)
                policy.period = nsec_of(period_usec);
        return roll_set_policy(m, &policy);
}

_public_ int arbiter_monitor_set_backoff(arbiter_monitor *m, uint64_t min_usec, uint64_t max_usec,
                double factor, unsigned jitter_percent, uint64_t stable_usec) {
        supervise_policy policy;

        if (!m || (jitter_percent > 100 && jitter_percent != UINT_MAX) ||
                        (factor != 0 && (factor < 1 || factor > 1000)))
                return -EINVAL;
        policy = m->policy;
        if (min_usec == UINT64_MAX) {
                policy.backoff_min = policy.backoff_max = 0;
                return roll_set_policy(m, &policy);
        }
        if (min_usec > 0)
                policy.backoff_min = nsec_of(min_usec);
        if (max_usec > 0)
                policy.backoff_max = nsec_of(max_usec);
        if (factor > 0)
                policy.backoff_factor = (uint32_t) (factor + 0.5);
        if (jitter_percent > 0)
                policy.backoff_jitter = jitter_percent == UINT_MAX ? 0 : jitter_percent;
        if (stable_usec > 0)
                policy.backoff_stable = nsec_of(stable_usec);
        if (policy.backoff_min > policy.backoff_max)
                return -EINVAL;
        return roll_set_policy(m, &policy);
}

/* A roll may be halted for good: who is given up is not on its way. */
static bool is_rolling(const arbiter_monitor *m, const supervise_info *i) {
        supervise_slot_info slot;

        return i->rolling > 0 && (supervise_get_slot(m->set.supervise, i->rolling, &slot) < 0 ||
                                                 slot.state != SUPERVISE_SLOT_FAILED);
}

bool monitor_is_settled(arbiter_monitor *m) {
        supervise_info i;

        supervise_get_info(m->set.supervise, &i);
        if (!monitor_is_pool(m) && (i.n[SUPERVISE_SLOT_WAITING] > 0 || i.phase == SUPERVISE_PHASE_STOPPING))
                return false;
        return i.n[SUPERVISE_SLOT_STARTING] == 0 && i.n[SUPERVISE_SLOT_STOPPING] == 0 &&
               i.n[SUPERVISE_SLOT_BACKOFF] == 0 && i.n[SUPERVISE_SLOT_WAITING] == 0 &&
               i.n[SUPERVISE_SLOT_DRAINING] == 0 && !is_rolling(m, &i) &&
               (!i.outdated || i.n[SUPERVISE_SLOT_FAILED] > 0);
}

static void answer_settled(arbiter_monitor *m) {
        if (m->stopping || m->restarting || !monitor_is_settled(m))
                return;
        if (m->failed)
                waiters_fail(&m->settled, ARBITER_OUTCOME_CALLEE_DIED, "monitor '%s' has given up", m->name);
        else
                waiters_resolve(&m->settled);
}

void monitor_changed(arbiter_monitor *m) {
        if (!m->arbiter || !m->set.supervise)
                return;
        pool_members_reconsider(m);
        answer_settled(m);
        roll_settle(m);
        control_monitor_changed(m);
}

static void resolve_start(arbiter_monitor *m) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = TAKE_PTR(m->start_future);
        supervise_info i;

        if (!f)
                return;
        supervise_get_info(m->set.supervise, &i);
        if (i.n[SUPERVISE_SLOT_RUNNING] >= i.n_wanted)
                future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
        else
                future_fail(f, ARBITER_OUTCOME_CALLEE_DIED, "%u of %u workers of '%s' are running",
                                i.n[SUPERVISE_SLOT_RUNNING], i.n_wanted, m->name);
}

/* Workers and actor are gone: that was the last of it. */
void monitor_gone(arbiter_monitor *m) {
        arbiter *a = m->arbiter;

        if (!a)
                return;
        tree_dismiss(m);
        status_forget_set(&m->set);
        state_forget_monitor(m);
        if (m->started && m->worker && m->worker->concurrency == ARBITER_CONCURRENCY_UNIT &&
                        !m->worker->unit_template)
                unit_release_slice(a, m->name);
        deaths_forget_monitor(a->deaths, m->name);
        autoscale_stop(m);
        roll_end(m, ARBITER_OUTCOME_CANCELLED, "the monitor was stopped"); /* while it has an arbiter */
        m->child = NULL;
        pool_members_gone(m);
        m->arbiter = NULL;
        map_remove_string(a->monitors_by_name, m->name);
        list_remove(&m->monitors);
        waiters_fail(&m->settled, ARBITER_OUTCOME_CANCELLED, "monitor '%s' was stopped", m->name);
        if (m->start_future)
                future_fail(m->start_future, ARBITER_OUTCOME_CANCELLED, "monitor '%s' was stopped", m->name);
        if (m->stop_future)
                future_resolve(m->stop_future, ARBITER_OUTCOME_REPLY, NULL);
        actor_timer_clear(a->actor, &m->set.timer);
        control_monitor_gone(a, m->name);
        routes_reconsider(a);
        if (!m->tree.place)
                arbiter_set_ended(a, &m->set);
        arbiter_monitor_unref(m);
}

void monitor_actor_ended(arbiter_monitor *m) {
        supervise_info i = {};

        m->child = NULL;
        if (tree_actor_ended(m))
                return;
        if (m->start_future)
                future_fail(m->start_future, ARBITER_OUTCOME_CALLEE_DIED,
                                "the actor of monitor '%s' has ended", m->name);
        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &i);
        if (m->stopping && i.phase == SUPERVISE_PHASE_DOWN)
                monitor_gone(m);
        else
                /* the workers first; the end of the last of them comes back to STOPPED */
                (void) monitor_stop(m);
}

static void tell_gave_up(arbiter_monitor *m) {
        arbiter_log_facts(m->arbiter, NULL,
                        &(arbiter_log_entry){ .level = LOG_ERR,
                                        .event = "gave-up",
                                        .monitor = m->name,
                                        .n = m->policy.intensity,
                                        .usec = m->policy.period == NSEC_INFINITY
                                                        ? USEC_INFINITY
                                                        : m->policy.period / NSEC_PER_USEC },
                        "monitor %s gives up: no worker is left", m->name);
}

void monitor_end(arbiter_monitor *m) {
        m->stopping = true;
        state_mark_monitor(m);
        if (m->child && m->child->inline_actor)
                (void) arbiter_actor_stop(m->child->inline_actor, 0);
        else
                monitor_gone(m);
}

void monitor_acted(arbiter_monitor *m, const supervise_action *action) {
        if (tree_acted(m, action))
                return;
        roll_acted(m, action);
        switch (action->type) {
        case SUPERVISE_ACTION_STARTED_ALL:
                resolve_start(m);
                break;
        case SUPERVISE_ACTION_GAVE_UP:
                m->failed = true;
                state_mark_monitor(m);
                tell_gave_up(m);
                resolve_start(m);
                roll_end(m, ARBITER_OUTCOME_CALLEE_DIED, "the monitor has given up: no worker is left");
                break;
        case SUPERVISE_ACTION_STOPPED:
                monitor_end(m);
                break;
        case SUPERVISE_ACTION_SPAWN:
                if (m->failed)
                        state_mark_monitor(m);
                m->failed = false;
                break;
        case SUPERVISE_ACTION_SCALED:
                autoscale_scaled(m);
                break;
        default:
                break;
        }
}

supervise_restart monitor_restart_of(const arbiter_spawn *worker) {
        return worker->restart == ARBITER_RESTART_TRANSIENT ? SUPERVISE_TRANSIENT :
                        worker->restart == ARBITER_RESTART_TEMPORARY     ? SUPERVISE_TEMPORARY :
                                                                           SUPERVISE_PERMANENT;
}

int monitor_start_actor(arbiter_monitor *m, const aid *wanted) {
        int r;

        r = child_new(m->arbiter, NULL, m->name, wanted, &m->child);
        if (r < 0)
                return r;
        m->child->monitor_actor = m;
        m->child->adopted = wanted && !aid_is_null(wanted);
        m->child->state = ARBITER_STATE_STARTING;
        state_mark_child(m->child);
        r = launch_inline(m->child, m->module ? m->module : &monitor_default_module, m);
        if (r < 0) {
                child_free(m->child);
                m->child = NULL;
        }
        return r;
}

/* Unless somebody has stopped it, and only the arbiter is new. */
static int begin_anew(arbiter_monitor *m) {
        if (adopt_is_over(m->arbiter, m->name, true))
                return -ECANCELED;
        state_mark_rest(m->arbiter, m->name, true, false);
        return 0;
}

int monitor_make_pool(arbiter_monitor *m, unsigned workers) {
        int r;

        m->policy.restart = monitor_restart_of(m->worker);
        m->policy.readiness = probes_want_readiness(m->worker);
        r = roll_resize(m, workers);
        if (r >= 0)
                r = set_init(&m->set, m->arbiter, m, &m->policy, workers);
        if (r >= 0)
                m->workers = m->configured = workers;
        return r;
}

_public_ int arbiter_monitor_start(arbiter_monitor *m, unsigned workers, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        aid actor = {};
        bool adopted;
        int r;

        if (!m || workers > SUPERVISE_SLOTS_MAX)
                return -EINVAL;
        if (!m->arbiter || m->started)
                return m->arbiter ? -EALREADY : -ESHUTDOWN;
        if (!m->arbiter->started)
                return -ENOTCONN;
        if (m->tree.place)
                return -EBUSY;
        if (!m->worker && workers > 0)
                return -EINVAL;
        r = m->worker ? monitor_make_pool(m, workers) : tree_make_set(m);
        if (r < 0)
                return r;
        r = adopt_monitor(m, workers, &actor);
        adopted = r > 0;
        if (r == 0 && m->worker)
                roll_add_definition(m, m->revision, m->worker);
        if (r == 0)
                r = begin_anew(m);
        if (r >= 0)
                r = ret ? future_new(m->arbiter->actor, &f) : 0;
        if (r >= 0)
                r = monitor_start_actor(m, &actor);
        if (r < 0) { /* as if it had not been tried: it may be again */
                if (m->worker)
                        set_done(&m->set);
                return r;
        }
        if (m->module && m->module->on_params && m->worker)
                (void) m->module->on_params(
                                m->child->inline_actor, m->worker, m->child->inline_actor->userdata);
        m->started = true;
        state_mark_monitor(m);
        state_mark_set(&m->set);
        if (ret) {
                m->start_future = TAKE_PTR(f);
                *ret = arbiter_future_ref(m->start_future);
        }
        if (adopted)
                return adopt_workers(m);
        control_monitor_new(m);
        r = set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_START });
        autoscale_policy_changed(m);
        return r;
}

_public_ int arbiter_monitor_scale(arbiter_monitor *m, unsigned workers, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        if (!m || workers > SUPERVISE_SLOTS_MAX)
                return -EINVAL;
        if (!monitor_is_pool(m))
                return -EOPNOTSUPP;
        if (!m->arbiter || m->stopping || !m->started || !tree_is_up(m))
                return -ESHUTDOWN;
        r = waiters_add_new(&m->settled, m->arbiter->actor, ret ? &f : NULL);
        if (r < 0)
                return r;
        state_mark_monitor(m);
        r = roll_resize(m, workers);
        if (r >= 0)
                r = set_handle(&m->set,
                        &(supervise_event){.type = SUPERVISE_SCALE, .n = workers, .by_operator = true});
        if (r < 0) {
                if (f)
                        future_fail_errno(f, r, NULL);
                return r;
        }
        arbiter_log_facts(m->arbiter, m->child,
                        &(arbiter_log_entry){ .level = LOG_INFO,
                                        .event = "scaled",
                                        .monitor = m->name,
                                        .n = workers,
                                        .n_before = m->workers },
                        "%s: %u -> %u workers", m->name, m->workers, workers);
        m->workers = workers;
        state_mark_monitor(m);
        monitor_changed(m);
        if (ret)
                *ret = TAKE_PTR(f);
        return 0;
}

int monitor_stop(arbiter_monitor *m) {
        if (m->stopping)
                return 0;
        m->stopping = true;
        state_mark_monitor(m);
        if (!m->started) {
                monitor_gone(m);
                return 0;
        }
        return set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_STOP });
}

_public_ int arbiter_monitor_stop(arbiter_monitor *m, arbiter_future **ret) {
        int r;

        if (!m || !m->arbiter)
                return m ? -ESHUTDOWN : -EINVAL;
        if (m->tree.place) /* nobody starts it again */
                return tree_remove(m->tree.place, ret);
        if (ret) {
                if (!m->stop_future) {
                        r = future_new(m->arbiter->actor, &m->stop_future);
                        if (r < 0)
                                return r;
                }
                *ret = arbiter_future_ref(m->stop_future);
        }
        return monitor_stop(m);
}
