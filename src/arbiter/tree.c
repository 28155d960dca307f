/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a monitor that is a child of a monitor, between two sets of src/supervise: the parent's SPAWN
 * is its START, the parent's STOP its STOP, and what it says of itself is the parent's event. And what
 * becomes of a monitor that is nobody's child and has failed: the root gives up, unless it was the start
 * of that one which failed (a mistake in a file that was just read, say): then it alone is down, since what
 * runs well beside it would fall with it, and at each next start again. Called by set.c and monitor.c. Must
 * never decide: every step is an action of one set and ends in an event of another. */

#include <syslog.h>

#include "arbiter/internal.h"

static const char *const strategy_names[] = {
        [ARBITER_STRATEGY_POOL] = "pool",
        [ARBITER_STRATEGY_ONE_FOR_ONE] = "one-for-one",
        [ARBITER_STRATEGY_ONE_FOR_ALL] = "one-for-all",
        [ARBITER_STRATEGY_REST_FOR_ONE] = "rest-for-one",
};

static const char *const auto_shutdown_names[] = {
        [ARBITER_AUTO_SHUTDOWN_NEVER] = "never",
        [ARBITER_AUTO_SHUTDOWN_ANY] = "any",
        [ARBITER_AUTO_SHUTDOWN_ALL] = "all",
};

static const char *const verdict_names[] = {
        [ARBITER_VERDICT_ESCALATED] = "escalated",
        [ARBITER_VERDICT_START_FAILED] = "start-failed",
        [ARBITER_VERDICT_SHUTDOWN] = "shutdown",
        [ARBITER_VERDICT_GAVE_UP] = "gave-up",
};

_public_ const char *arbiter_strategy_to_string(arbiter_strategy s) {
        return (unsigned) s < ELEMENTSOF(strategy_names) ? strategy_names[s] : NULL;
}

_public_ const char *arbiter_auto_shutdown_to_string(arbiter_auto_shutdown s) {
        return (unsigned) s < ELEMENTSOF(auto_shutdown_names) ? auto_shutdown_names[s] : NULL;
}

_public_ const char *arbiter_verdict_to_string(arbiter_verdict v) {
        return (unsigned) v < ELEMENTSOF(verdict_names) ? verdict_names[v] : NULL;
}

_Static_assert((int) ARBITER_STRATEGY_POOL == (int) SUPERVISE_POOL &&
                               (int) ARBITER_STRATEGY_REST_FOR_ONE == (int) SUPERVISE_REST_FOR_ONE,
                "the public names are those of src/supervise");

/* Settings. */

void tree_init(struct tree *t, bool pool) {
        list_init(&t->children);
        t->failure_action = pool ? ARBITER_FAILURE_NONE : ARBITER_FAILURE_EXIT;
        t->exit_status = ARBITER_EXIT_ESCALATED;
}

_public_ int arbiter_monitor_set_strategy(arbiter_monitor *m, arbiter_strategy strategy) {
        static const supervise_strategy strategies[] = {
                [ARBITER_STRATEGY_ONE_FOR_ONE] = SUPERVISE_ONE_FOR_ONE,
                [ARBITER_STRATEGY_ONE_FOR_ALL] = SUPERVISE_ONE_FOR_ALL,
                [ARBITER_STRATEGY_REST_FOR_ONE] = SUPERVISE_REST_FOR_ONE,
        };

        if (!m || (unsigned) strategy >= ELEMENTSOF(strategies) ||
                        !monitor_is_pool(m) != (strategy != ARBITER_STRATEGY_POOL))
                return -EINVAL;
        if (m->set.supervise)
                return -EBUSY;
        if (strategy != ARBITER_STRATEGY_POOL)
                m->policy.strategy = strategies[strategy];
        return 0;
}

_public_ int arbiter_monitor_set_auto_shutdown(arbiter_monitor *m, arbiter_auto_shutdown auto_shutdown) {
        if (!m || (unsigned) auto_shutdown > ARBITER_AUTO_SHUTDOWN_ALL || monitor_is_pool(m))
                return -EINVAL;
        if (m->set.supervise)
                return -EBUSY;
        m->policy.auto_shutdown = (supervise_auto_shutdown) auto_shutdown;
        return 0;
}

_public_ int arbiter_monitor_set_failure_action(arbiter_monitor *m, arbiter_failure_action action,
                int exit_status) {
        if (!m || (unsigned) action > ARBITER_FAILURE_EXIT || exit_status < 0 || exit_status > 255)
                return -EINVAL;
        if (m->started)
                return -EBUSY;
        m->tree.failure_action = action;
        m->tree.exit_status = exit_status > 0 ? exit_status : ARBITER_EXIT_ESCALATED;
        return 0;
}

_public_ int arbiter_set_verdict_handler(arbiter *a, arbiter_verdict_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->verdict_handler = handler;
        a->verdict_userdata = userdata;
        return 0;
}

_public_ arbiter_monitor *arbiter_monitor_get_parent(arbiter_monitor *m) {
        return m && m->tree.place ? m->tree.place->parent : NULL;
}

_public_ int arbiter_monitor_has_failed(arbiter_monitor *m) {
        supervise_info i = { .phase = SUPERVISE_PHASE_DOWN };

        if (!m)
                return -EINVAL;
        if (!m->arbiter || m->tree.place)
                return 0;
        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &i);
        return m->failed || i.phase == SUPERVISE_PHASE_GIVING_UP;
}

/* What it is. */

bool monitor_is_pool(const arbiter_monitor *m) {
        return m->policy.strategy == SUPERVISE_POOL;
}

arbiter_monitor *child_pool(const struct child *c) {
        arbiter_monitor *m = c->set ? c->set->monitor : NULL;

        return m && monitor_is_pool(m) ? m : NULL;
}

bool tree_is_up(const arbiter_monitor *m) {
        supervise_info i;

        if (!m->tree.place)
                return true;
        if (!m->tree.alive || m->tree.ending)
                return false;
        supervise_get_info(m->set.supervise, &i);
        return i.phase == SUPERVISE_PHASE_UP;
}

static const char *phase_state(const arbiter_monitor *m) {
        supervise_info i;

        supervise_get_info(m->set.supervise, &i);
        if (i.phase == SUPERVISE_PHASE_STOPPING || i.phase == SUPERVISE_PHASE_GIVING_UP)
                return "stopping";
        return "running";
}

const char *tree_state(const arbiter_monitor *m) {
        supervise_slot_info i = { .state = SUPERVISE_SLOT_IDLE };
        const struct tree_child *k = m->tree.place;

        if (m->stopping || m->tree.ending)
                return "stopping";
        if (k && !m->tree.alive) {
                if (k->slot > 0)
                        (void) supervise_get_slot(k->parent->set.supervise, k->slot, &i);
                return i.state == SUPERVISE_SLOT_FAILED ? "failed" : "stopped";
        }
        if (m->failed)
                return "failed";
        return m->started ? phase_state(m) : "stopped";
}

int tree_make_set(arbiter_monitor *m) {
        m->policy.escalate = m->policy.ordered = true;
        if (m->set.supervise)
                return supervise_set_policy(m->set.supervise, &m->policy);
        return set_init(&m->set, m->arbiter, m, &m->policy, 0);
}

/* The life of a child. */

static void report(struct tree_child *k, const supervise_event *e) {
        if (k->slot > 0 && k->parent->arbiter)
                (void) set_handle(&k->parent->set, e);
}

static int make_child_set(arbiter_monitor *m) {
        if (!monitor_is_pool(m))
                return tree_make_set(m);
        if (m->set.supervise)
                return 0;
        roll_add_definition(m, m->revision, m->worker);
        return monitor_make_pool(m, m->tree.workers);
}

/* One that had failed is down now; who reads the verdict of that does so by its generation. */
static void settle_failed(arbiter_monitor *m) {
        supervise_info i;

        supervise_get_info(m->set.supervise, &i);
        if (i.phase == SUPERVISE_PHASE_FAILED)
                (void) set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_STOP });
}

static int begin_life(arbiter_monitor *m, uint64_t generation) {
        bool first = !m->started;
        int r;

        r = make_child_set(m);
        if (r < 0)
                return r;
        settle_failed(m);
        r = monitor_start_actor(m, NULL);
        if (r < 0)
                return r;
        m->started = m->tree.alive = true;
        m->tree.life = generation;
        m->tree.ending = m->tree.abnormal = m->failed = false;
        state_mark_monitor(m);
        state_mark_set(&m->set);
        if (first)
                control_monitor_new(m);
        tree_renew(m);
        return set_handle(&m->set,
                        &(supervise_event){ .type = SUPERVISE_START, .generation = generation });
}

bool tree_spawn(struct set *s, const supervise_action *action) {
        struct tree_child *k = action->slot < s->n_slots ? s->slots[action->slot].tree : NULL;
        int r;

        if (!k || !k->monitor)
                return false;
        if (k->monitor->tree.life == action->generation)
                return true; /* it has begun, and may be over already */
        r = begin_life(k->monitor, action->generation);
        if (r >= 0)
                return true;
        arbiter_log(s->arbiter, LOG_ERR, NULL, "start-failed", "monitor %s cannot be started: %s",
                        k->monitor->name, strerror(-r));
        report(k, &(supervise_event){ .type = SUPERVISE_START_FAILED,
                          .slot = action->slot,
                          .generation = action->generation,
                          .reason = ARBITER_REASON_HANDSHAKE });
        return true;
}

bool tree_stop(struct set *s, const supervise_action *action) {
        struct tree_child *k = action->slot < s->n_slots ? s->slots[action->slot].tree : NULL;
        arbiter_monitor *m = k ? k->monitor : NULL;

        if (!m)
                return false;
        if (m->tree.alive && m->tree.life == action->generation) {
                if (!m->tree.ending)
                        (void) set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_STOP });
        } else /* it has never begun, or its end has got lost */
                report(k, &(supervise_event){ .type = SUPERVISE_EXITED,
                                  .slot = action->slot,
                                  .generation = action->generation,
                                  .reason = ARBITER_REASON_SHUTDOWN,
                                  .normal = true });
        return true;
}

static void finish_life(arbiter_monitor *m) {
        supervise_event e = m->tree.end;

        m->tree.alive = m->tree.ending = false;
        e.reason = m->tree.abnormal ? ARBITER_REASON_UNKNOWN : ARBITER_REASON_SHUTDOWN;
        e.normal = e.normal && !m->tree.abnormal;
        state_mark_monitor(m);
        arbiter_monitor_ref(m);
        tree_child_is_down(m->tree.place);
        report(m->tree.place, &e);
        if (m->arbiter)
                control_monitor_changed(m);
        arbiter_monitor_unref(m);
}

static void end_life(arbiter_monitor *m, const supervise_event *e) {
        if (!m->tree.alive || m->tree.ending || e->generation != m->tree.life)
                return; /* of a life before this one */
        m->tree.end = *e;
        m->tree.ending = true;
        state_mark_monitor(m);
        if (m->child && m->child->inline_actor)
                (void) arbiter_actor_stop(m->child->inline_actor, 0);
        else
                finish_life(m);
}

bool tree_actor_ended(arbiter_monitor *m) {
        if (!m->tree.place)
                return false;
        if (m->tree.ending) {
                finish_life(m);
                return true;
        }
        m->tree.abnormal = true;
        if (m->tree.alive)
                (void) set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_STOP });
        return true;
}

/* Verdicts. */

static const struct {
        arbiter_verdict verdict;
        int level;
        const char *event, *text; /* monitor, culprit */
} verdicts[_SUPERVISE_ACTION_MAX] = {
        [SUPERVISE_ACTION_ESCALATE] = { ARBITER_VERDICT_ESCALATED, LOG_ERR, "escalated",
                        "monitor %s gives up: %s was restarted too often" },
        [SUPERVISE_ACTION_START_FAILED] = { ARBITER_VERDICT_START_FAILED, LOG_ERR, "escalated",
                        "monitor %s cannot start: %s did not" },
        [SUPERVISE_ACTION_SHUTDOWN] = { ARBITER_VERDICT_SHUTDOWN, LOG_NOTICE, "auto-shutdown",
                        "monitor %s shuts down: what is significant in it has ended (%s)" },
        [SUPERVISE_ACTION_GAVE_UP] = { ARBITER_VERDICT_GAVE_UP, LOG_ERR, "gave-up",
                        "monitor %s gives up: no worker is left%s" },
};

static void tell_verdict(arbiter_monitor *m, const supervise_action *action) {
        const struct set_slot *slot = action->slot > 0 && action->slot < m->set.n_slots
                        ? &m->set.slots[action->slot]
                        : NULL;
        const char *culprit = slot && slot->tree ? tree_child_name(slot->tree) : NULL;
        bool is_stranded = action->type == SUPERVISE_ACTION_START_FAILED && !m->tree.place;
        arbiter *a = m->arbiter;

        if (action->type != SUPERVISE_ACTION_GAVE_UP)
                arbiter_log_facts(a, NULL,
                                &(arbiter_log_entry){ .level = verdicts[action->type].level,
                                                .event = verdicts[action->type].event,
                                                .monitor = m->name,
                                                .n = m->policy.intensity,
                                                .usec = m->policy.period / NSEC_PER_USEC },
                                is_stranded ? "monitor %s cannot start: %s did not. Nothing else is stopped "
                                              "for that; \"arbiterctl restart %s\" tries again"
                                            : verdicts[action->type].text,
                                m->name, culprit ? culprit : "significant", m->name);
        if (a->verdict_handler)
                a->verdict_handler(m, verdicts[action->type].verdict, culprit, a->verdict_userdata);
}

static void fail_start(arbiter_monitor *m, const supervise_action *action) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = TAKE_PTR(m->start_future);

        if (f)
                future_fail(f, ARBITER_OUTCOME_CALLEE_DIED, "monitor '%s' has ended: %s", m->name,
                                verdict_names[verdicts[action->type].verdict]);
}

/* The root has no parent: it gives up by ending the arbiter, whose own supervisor is systemd. */
static void give_up(arbiter_monitor *m, bool has_run) {
        arbiter *a = m->arbiter;

        m->failed = true;
        m->tree.unstarted = !has_run;
        state_mark_monitor(m);
        if (!has_run || m->tree.failure_action != ARBITER_FAILURE_EXIT ||
                        a->actor->state >= ARBITER_STATE_STOPPING)
                return;
        arbiter_log_facts(a, NULL,
                        &(arbiter_log_entry){ .level = LOG_CRIT,
                                        .event = "root-gave-up",
                                        .monitor = m->name,
                                        .status = m->tree.exit_status },
                        "monitor %s has failed, and it is nobody's child: everything is stopped, the exit "
                        "status is %d",
                        m->name, m->tree.exit_status);
        (void) arbiter_stop(a, m->tree.exit_status);
}

static bool end_by_itself(arbiter_monitor *m, const supervise_action *action) {
        supervise_event e = {};

        if (m->tree.place && (!m->tree.alive || action->generation != m->tree.life))
                return true;
        if (action->type != SUPERVISE_ACTION_GAVE_UP) /* monitor.c tells of pools */
                fail_start(m, action);
        tell_verdict(m, action);
        if (m->tree.place) {
                (void) supervise_to_parent(action, m->tree.place->slot, &e);
                end_life(m, &e);
                return false;
        }
        if (action->type != SUPERVISE_ACTION_SHUTDOWN) {
                give_up(m, action->type != SUPERVISE_ACTION_START_FAILED);
                return false;
        }
        state_mark_rest(m->arbiter, m->name, true, true); /* it has done what it was for */
        monitor_end(m);
        return true;
}

static bool all_started(arbiter_monitor *m, const supervise_action *action) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        supervise_event e;

        if (m->tree.place && supervise_to_parent(action, m->tree.place->slot, &e))
                report(m->tree.place, &e);
        if (monitor_is_pool(m))
                return false;
        f = TAKE_PTR(m->start_future);
        if (f)
                future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
        return true;
}

bool tree_acted(arbiter_monitor *m, const supervise_action *action) {
        supervise_event e;

        switch (action->type) {
        case SUPERVISE_ACTION_STARTED_ALL:
                return all_started(m, action);
        case SUPERVISE_ACTION_ESCALATE:
        case SUPERVISE_ACTION_START_FAILED:
        case SUPERVISE_ACTION_SHUTDOWN:
        case SUPERVISE_ACTION_GAVE_UP:
                return end_by_itself(m, action);
        case SUPERVISE_ACTION_STOPPED:
                if (!m->tree.place)
                        return false;
                (void) supervise_to_parent(action, m->tree.place->slot, &e);
                end_life(m, &e);
                return true;
        default:
                return false;
        }
}

/* Down, at once if it had failed, and up again with those children that it should have by now: of a monitor
 * of different children that is nobody's child. */
static int restart_top(arbiter_monitor *m) {
        m->failed = false;
        state_mark_monitor(m);
        m->set.revive = true;
        return set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_STOP });
}

int tree_restart(arbiter_monitor *m, arbiter_spawn *worker, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = worker ? spawn_check(worker, NULL) : 0;
        if (r < 0)
                return r;
        if (worker) { /* it is for its next life */
                arbiter_spawn_ref(worker);
                arbiter_spawn_unref(m->worker);
                m->worker = worker;
                probes_worker_changed(m);
                m->revision++;
                if (m->set.supervise) {
                        roll_add_definition(m, m->revision, worker);
                        (void) set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED,
                                                                   .revision = m->revision });
                }
        }
        if (m->tree.place) {
                r = tree_restart_child(m->tree.place, &f);
        } else {
                r = future_new(m->arbiter->actor, &f);
                if (r >= 0)
                        r = waiters_add(&m->settled, f);
                if (r >= 0)
                        r = restart_top(m);
                if (r < 0 && f && f->pending)
                        future_fail_errno(f, r, NULL);
        }
        if (r >= 0 && ret)
                *ret = TAKE_PTR(f);
        return r;
}
