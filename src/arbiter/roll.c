/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rolls of a pool, as far as they are not decided in src/supervise: which definition a revision is, who
 * waits for the end of a roll, what is told of it, and the public functions of pool.h. Called by monitor.c
 * and set.c. Must never decide whom to replace.
 *
 * A definition is kept for as long as supervise may ask for a life of its revision: while a roll goes on
 * both are, so that it can turn back; and both are in the journal, so that the next arbiter can. */

#include <poll.h>
#include <stdio.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/state-fill.h"

#define PERCENT_FLAG 0x80000000U

struct roll_waiter {
        struct list_node waiters;
        arbiter_future *future;
        uint64_t revision; /* that all workers are to have */
        bool reached;      /* and have; the last ones before them have not quite gone */
};

/* Definitions. */

void roll_init(arbiter_monitor *m) {
        list_init(&m->pool.rolls);
        m->pool.max_unavailable = 1;
}

static void forget_at(arbiter_monitor *m, size_t i) {
        struct pool *p = &m->pool;

        if (m->arbiter)
                state_release_spawn(m->arbiter, &p->definitions[i].state_spawn);
        arbiter_spawn_unref(p->definitions[i].spawn);
        p->n_definitions--;
        memmove(p->definitions + i, p->definitions + i + 1,
                        (p->n_definitions - i) * sizeof(*p->definitions));
}

void roll_free(arbiter_monitor *m) {
        roll_end(m, ARBITER_OUTCOME_CANCELLED, "the monitor is gone");
        while (m->pool.n_definitions > 0)
                forget_at(m, m->pool.n_definitions - 1);
}

static struct pool_definition *find(arbiter_monitor *m, uint64_t revision) {
        for (size_t i = 0; i < m->pool.n_definitions; i++)
                if (m->pool.definitions[i].revision == revision)
                        return &m->pool.definitions[i];
        return NULL;
}

arbiter_spawn *roll_definition(arbiter_monitor *m, uint64_t revision) {
        struct pool_definition *d = find(m, revision);

        if (!d || !d->incomplete)
                return d ? d->spawn : m->worker;
        if (!d->told)
                arbiter_log_facts(m->arbiter, NULL,
                                &(arbiter_log_entry){ .level = LOG_WARNING,
                                                .event = "adopted",
                                                .monitor = m->name },
                                "%s: the definition before cannot be had any more, as the arbiter that had "
                                "it is gone: in its place workers are started by the present one",
                                m->name);
        d->told = true;
        return m->worker;
}

/* May a life of it be asked for? */
static bool is_needed(const supervise_info *i, uint64_t revision) {
        return revision == i->revision ||
               (roll_is_on(i) && (revision == i->revision_from || revision == i->revision_next));
}

static void forget_unneeded(arbiter_monitor *m) {
        supervise_info i;

        if (m->pool.n_definitions <= 1 || !m->set.supervise)
                return;
        supervise_get_info(m->set.supervise, &i);
        for (size_t k = m->pool.n_definitions; k > 0; k--)
                if (!is_needed(&i, m->pool.definitions[k - 1].revision)) {
                        forget_at(m, k - 1);
                        state_mark_monitor(m);
                }
}

void roll_add_definition(arbiter_monitor *m, uint64_t revision, arbiter_spawn *spawn) {
        struct pool *p = &m->pool;

        if (find(m, revision))
                return;
        forget_unneeded(m);
        assert(p->n_definitions < POOL_DEFINITIONS_MAX);
        p->definitions[p->n_definitions++] =
                        (struct pool_definition){ .revision = revision, .spawn = arbiter_spawn_ref(spawn) };
}

int roll_restore(arbiter_monitor *m, const struct state_definition *d, arbiter_spawn *spawn, bool whole) {
        struct pool_definition *mine;

        if (m->pool.n_definitions >= POOL_DEFINITIONS_MAX || find(m, d->revision))
                return 0;
        roll_add_definition(m, d->revision, spawn);
        mine = find(m, d->revision);
        mine->incomplete = !whole;
        return state_use_left(m->arbiter, &d->spawn, &mine->state_spawn);
}

/* That of the present revision first. */
static struct pool_definition *definition_at(arbiter_monitor *m, unsigned index) {
        struct pool_definition *first;
        supervise_info i = { .revision = m->revision };

        if (index >= m->pool.n_definitions)
                return NULL;
        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &i);
        first = find(m, i.revision);
        if (!first)
                return &m->pool.definitions[index];
        if (index == 0)
                return first;
        return &m->pool.definitions[index <= (size_t) (first - m->pool.definitions) ? index - 1 : index];
}

_public_ arbiter_spawn *arbiter_monitor_get_definition(arbiter_monitor *m, unsigned index) {
        const struct pool_definition *d = m ? definition_at(m, index) : NULL;

        return d ? d->spawn : NULL;
}

_public_ int arbiter_monitor_set_definition(arbiter_monitor *m, unsigned index, arbiter_spawn *worker) {
        struct pool_definition *d;
        int r;

        if (!m || !worker)
                return -EINVAL;
        d = definition_at(m, index);
        if (!d)
                return -ENOENT;
        if (d->spawn->fingerprint == 0 || d->spawn->fingerprint != worker->fingerprint)
                return -ESTALE;
        r = spawn_check(worker, NULL);
        if (r < 0)
                return r;
        arbiter_spawn_ref(worker);
        arbiter_spawn_unref(d->spawn);
        d->spawn = worker;
        d->incomplete = false;
        if (m->started)
                state_mark_monitor(m);
        return 0;
}

/* The policy. */

int roll_set_policy(arbiter_monitor *m, const supervise_policy *policy) {
        int r;

        if (m->set.supervise) {
                r = supervise_set_policy(m->set.supervise, policy);
                if (r < 0)
                        return r;
        }
        m->policy = *policy;
        if (!m->set.supervise || !m->started)
                return 0;
        /* what is waited for may be due by the new one */
        (void) set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_TICK });
        autoscale_policy_changed(m);
        return 0;
}

static bool is_percent(unsigned n) {
        return n & PERCENT_FLAG;
}

static bool number_is_valid(unsigned n) {
        return is_percent(n) ? (n & ~PERCENT_FLAG) <= 100 : n <= SUPERVISE_SURGE_MAX;
}

/* As Kubernetes has it: a surge is rounded up, those that may be missing are rounded down. */
static uint32_t resolve(unsigned n, uint32_t workers, bool up) {
        uint64_t percent = n & ~PERCENT_FLAG;

        if (!is_percent(n))
                return n;
        return (uint32_t) MIN((workers * percent + (up ? 99 : 0)) / 100, (uint64_t) SUPERVISE_SURGE_MAX);
}

static void fill_roll(const struct pool *p, uint32_t workers, supervise_policy *policy) {
        policy->max_surge = resolve(p->max_surge, workers, true);
        policy->max_unavailable = resolve(p->max_unavailable, workers, false);
        if (policy->max_surge == 0 && policy->max_unavailable == 0)
                policy->max_unavailable = 1; /* else nobody could ever be replaced */
}

int roll_resize(arbiter_monitor *m, uint32_t workers) {
        supervise_policy policy = m->policy;

        fill_roll(&m->pool, workers, &policy);
        if (policy.max_surge == m->policy.max_surge && policy.max_unavailable == m->policy.max_unavailable)
                return 0;
        return roll_set_policy(m, &policy);
}

static nsec_t nsec_of(uint64_t usec) {
        return usec > UINT64_MAX / NSEC_PER_USEC ? NSEC_INFINITY : usec * NSEC_PER_USEC;
}

_public_ int arbiter_monitor_set_roll(
                arbiter_monitor *m, unsigned max_surge, unsigned max_unavailable, uint64_t drain_usec) {
        supervise_policy policy;
        struct pool before;
        int r;

        if (!m || !number_is_valid(max_surge) || !number_is_valid(max_unavailable) ||
                        ((max_surge & ~PERCENT_FLAG) == 0 && (max_unavailable & ~PERCENT_FLAG) == 0))
                return -EINVAL;
        before = m->pool;
        policy = m->policy;
        m->pool.max_surge = max_surge;
        m->pool.max_unavailable = max_unavailable;
        policy.drain = nsec_of(drain_usec);
        fill_roll(&m->pool, m->workers, &policy);
        r = roll_set_policy(m, &policy);
        if (r < 0) {
                m->pool.max_surge = before.max_surge;
                m->pool.max_unavailable = before.max_unavailable;
        }
        return r;
}

_public_ int arbiter_monitor_set_min_ready(arbiter_monitor *m, uint64_t usec) {
        supervise_policy policy;

        if (!m)
                return -EINVAL;
        policy = m->policy;
        policy.min_ready = nsec_of(usec);
        return roll_set_policy(m, &policy);
}

_public_ int arbiter_monitor_set_progress_deadline(arbiter_monitor *m, uint64_t usec) {
        supervise_policy policy;

        if (!m)
                return -EINVAL;
        policy = m->policy;
        policy.progress_deadline = nsec_of(usec);
        return roll_set_policy(m, &policy);
}

_public_ int arbiter_monitor_set_breaker(arbiter_monitor *m, unsigned failures, uint64_t period_usec,
                uint64_t min_usec, uint64_t max_usec) {
        supervise_policy policy;

        if (!m || failures > SUPERVISE_INTENSITY_MAX ||
                        (failures > 0 && (period_usec == 0 || min_usec == 0 || min_usec > max_usec)))
                return -EINVAL;
        policy = m->policy;
        policy.breaker_failures = failures;
        policy.breaker_period = nsec_of(period_usec);
        policy.breaker_min = nsec_of(min_usec);
        policy.breaker_max = nsec_of(max_usec);
        return roll_set_policy(m, &policy);
}

/* Who waits. */

static int wait_for(arbiter_monitor *m, uint64_t revision, struct roll_waiter **ret) {
        struct roll_waiter *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        r = future_new(m->arbiter->actor, &w->future);
        if (r < 0) {
                free(w);
                return r;
        }
        w->revision = revision;
        list_append(&m->pool.rolls, &w->waiters);
        *ret = w;
        return 0;
}

static void waiter_free(struct roll_waiter *w) {
        list_remove(&w->waiters);
        arbiter_future_unref(w->future);
        free(w);
}

void roll_end(arbiter_monitor *m, arbiter_outcome outcome, const char *text) {
        LIST_FOREACH(w, &m->pool.rolls, struct roll_waiter, waiters) {
                if (m->arbiter)
                        future_fail(w->future, outcome, "%s", text);
                waiter_free(w);
        }
}

static void cancel(arbiter_monitor *m, struct roll_waiter *w) {
        future_fail(w->future, ARBITER_OUTCOME_CANCELLED, "another definition of '%s' has taken its place",
                        m->name);
        waiter_free(w);
}

/* What waited for its turn behind a roll, and a newer one waits there now. */
static void cancel_overtaken(arbiter_monitor *m, const supervise_info *i) {
        LIST_FOREACH(w, &m->pool.rolls, struct roll_waiter, waiters)
                if (!w->reached && !is_needed(i, w->revision))
                        cancel(m, w);
}

/* All workers are of this revision. */
static void resolve_waiters(arbiter_monitor *m, uint64_t revision) {
        LIST_FOREACH(w, &m->pool.rolls, struct roll_waiter, waiters) {
                if (w->revision > revision)
                        continue; /* it comes after this one */
                if (w->revision == revision || w->reached) {
                        w->reached = true;
                        continue;
                }
                cancel(m, w);
        }
}

static void fail_waiters(arbiter_monitor *m, uint64_t revision, const char *text) {
        LIST_FOREACH(w, &m->pool.rolls, struct roll_waiter, waiters)
                if (w->revision == revision && !w->reached) {
                        future_fail(w->future, ARBITER_OUTCOME_CALLEE_DIED, "%s", text);
                        waiter_free(w);
                }
}

/* What is told. */

void roll_note_failure(const struct child *c) {
        arbiter_monitor *m = c->set ? c->set->monitor : NULL;

        if (!m || (!c->failure && c->slot != m->pool.failed_slot))
                return;
        m->pool.failed_slot = c->slot;
        (void) snprintf(m->pool.failed_text, sizeof(m->pool.failed_text), "%s",
                        c->failure ? c->failure : "");
}

static void tell_halted(arbiter_monitor *m, const supervise_action *action) {
        char name[QUALIFIED_NAME_SIZE], text[LOG_TEXT_MAX];
        arbiter_log_entry e = { .level = LOG_ERR, .event = "roll-halted", .name = name, .monitor = m->name };
        supervise_slot_info slot = {};

        (void) supervise_get_slot(m->set.supervise, action->slot, &slot);
        (void) slot_name(&m->set, action->slot, name);
        if (!action->overdue) {
                e.reason = arbiter_reason_to_string((arbiter_reason) slot.reason);
                e.status = slot.status;
        }
        roll_describe_halt(m, action->slot, action->overdue, text, sizeof(text));
        arbiter_log_facts(m->arbiter, NULL, &e, "%c%s", text[0] - 'a' + 'A', text + 1);
        fail_waiters(m, action->revision, text);
}

static void tell_ended(arbiter_monitor *m, const char *event, int level, const char *text) {
        arbiter_log_facts(m->arbiter, NULL,
                        &(arbiter_log_entry){ .level = level,
                                        .event = event,
                                        .monitor = m->name,
                                        .n = m->workers },
                        "%s: %s", m->name, text);
}

static void tell_breaker(arbiter_monitor *m, bool open) {
        char wait[TIMESPAN_STRING_MAX];
        arbiter_log_entry e = { .level = LOG_INFO, .event = "breaker-closed", .monitor = m->name };
        nsec_t now = now_nsec();
        supervise_info i;

        if (!open) {
                arbiter_log_facts(m->arbiter, NULL, &e, "%s: workers are started again", m->name);
                return;
        }
        supervise_get_info(m->set.supervise, &i);
        e.level = LOG_ERR;
        e.event = "breaker-open";
        e.n = m->policy.breaker_failures;
        e.usec = i.breaker_until != NSEC_INFINITY && i.breaker_until > now
                        ? (i.breaker_until - now) / NSEC_PER_USEC
                        : 0;
        arbiter_log_facts(m->arbiter, NULL, &e, "%s: too many workers fail; none is started for %s", m->name,
                        format_timespan_rounded(wait, sizeof(wait), e.usec));
}

void roll_acted(arbiter_monitor *m, const supervise_action *action) {
        switch (action->type) {
        case SUPERVISE_ACTION_ROLL_HALTED:
                tell_halted(m, action);
                break;
        case SUPERVISE_ACTION_ROLL_DONE:
                forget_unneeded(m); /* who hears of it may want to know */
                tell_ended(m, "rolled", LOG_INFO, "all workers are replaced");
                resolve_waiters(m, action->revision);
                break;
        case SUPERVISE_ACTION_ROLL_ABORTED:
                forget_unneeded(m);
                tell_ended(m, "roll-aborted", LOG_NOTICE,
                                "the roll has been turned back, all workers are of the definition before");
                resolve_waiters(m, action->revision);
                break;
        case SUPERVISE_ACTION_BREAKER_OPEN:
        case SUPERVISE_ACTION_BREAKER_CLOSED:
                tell_breaker(m, action->type == SUPERVISE_ACTION_BREAKER_OPEN);
                break;
        default:
                break;
        }
}

/* It had halted already when somebody began to wait, and what was tried once more has failed again, or is
 * not ready. Or it is being turned back, and that does not go on. */
static void fail_retried(arbiter_monitor *m, const supervise_info *i) {
        char text[LOG_TEXT_MAX];
        arbiter_roll roll = {};

        roll_count(m, i, &roll);
        if (roll.failing == 0)
                return;
        roll_describe_halt(m, roll.failing, roll.failing == roll.waiting, text, sizeof(text));
        fail_waiters(m, i->revision, text);
        if (i->revision_next > 0)
                fail_waiters(m, i->revision_next, text);
}

void roll_settle(arbiter_monitor *m) {
        supervise_info i;

        forget_unneeded(m);
        if (list_is_empty(&m->pool.rolls))
                return;
        supervise_get_info(m->set.supervise, &i);
        if (i.roll == SUPERVISE_ROLL_HALTED ||
                        (i.roll == SUPERVISE_ROLL_TURNING_BACK && monitor_is_settled(m)))
                fail_retried(m, &i);
        if (!m->restarting)
                cancel_overtaken(m, &i);
        if (i.n[SUPERVISE_SLOT_STOPPING] > 0 || i.n[SUPERVISE_SLOT_DRAINING] > 0)
                return;
        LIST_FOREACH(w, &m->pool.rolls, struct roll_waiter, waiters)
                if (w->reached) {
                        future_resolve(w->future, ARBITER_OUTCOME_REPLY, NULL);
                        waiter_free(w);
                }
}

/* Its end may not have been noticed yet, as of one that an arbiter before us had started. */
static bool is_of_use(const struct child *host) {
        struct pollfd p = { .fd = host->process.pidfd, .events = POLLIN };

        return host->stop_stage == CHILD_STOP_NONE && !host->ending && host->process.pidfd >= 0 &&
               poll(&p, 1, 0) == 0;
}

/* Threads. A process has one copy of a module, and one user and environment: those of another revision live
 * in another one. */
struct child *roll_find_host(arbiter_monitor *m, const struct child *thread) {
        supervise_slot_info own, other;

        if (supervise_get_slot(m->set.supervise, thread->slot, &own) < 0)
                return NULL;
        if (m->host && m->pool.host_revision == own.revision)
                return m->host;
        m->pool.host_revision = own.revision;
        for (uint32_t i = 1; i < m->set.n_slots; i++) {
                const struct child *c = m->set.slots[i].child;

                if (c && c != thread && c->host && is_of_use(c->host) &&
                                supervise_get_slot(m->set.supervise, i, &other) >= 0 &&
                                other.revision == own.revision)
                        return m->host = c->host;
        }
        return m->host = NULL;
}

/* The verbs. */

static bool is_same(arbiter_spawn *a, arbiter_spawn *b) {
        return a == b || state_spawn_same(a, b);
}

/* A file that was put back is the definition before, and no third one; also when the roll has been turned
 * back meanwhile, so that all workers have it already. */
static uint64_t revision_of(arbiter_monitor *m, arbiter_spawn *worker) {
        supervise_info i;

        supervise_get_info(m->set.supervise, &i);
        if (worker && !roll_is_on(&i) && i.roll == SUPERVISE_ROLL_ABORTED && !is_same(m->worker, worker) &&
                        is_same(roll_definition(m, i.revision), worker))
                return i.revision;
        for (size_t k = 0; worker && roll_is_on(&i) && k < m->pool.n_definitions; k++) {
                const struct pool_definition *d = &m->pool.definitions[k];

                if ((d->revision == i.revision || d->revision == i.revision_from) &&
                                is_same(d->spawn, worker))
                        return d->revision;
        }
        if (!worker && i.revision_next > 0)
                return i.revision_next; /* it is on its way to another definition: by that one */
        roll_add_definition(m, m->revision + 1, worker ? worker : roll_definition(m, i.revision));
        return ++m->revision;
}

static void set_worker(arbiter_monitor *m, arbiter_spawn *worker) {
        supervise_policy policy = m->policy;

        arbiter_spawn_ref(worker);
        arbiter_spawn_unref(m->worker);
        m->worker = worker;
        policy.restart = monitor_restart_of(worker);
        (void) supervise_set_policy(m->set.supervise, &policy);
        m->policy = policy;
        probes_worker_changed(m);
}

/* Without a roll (nobody runs, or nobody has to be replaced) it is done when the set has settled. */
static int wait_otherwise(arbiter_monitor *m, struct roll_waiter *w) {
        supervise_info i;
        int r;

        supervise_get_info(m->set.supervise, &i);
        if (roll_is_on(&i) || w->reached)
                return 0;
        r = waiters_add(&m->settled, w->future);
        if (r < 0)
                future_fail_errno(w->future, r, NULL);
        waiter_free(w);
        return r;
}

static bool is_waiting(arbiter_monitor *m, const struct roll_waiter *w) {
        LIST_FOREACH(other, &m->pool.rolls, struct roll_waiter, waiters)
                if (other == w)
                        return true;
        return false;
}

_public_ int arbiter_monitor_restart(arbiter_monitor *m, arbiter_spawn *worker, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct roll_waiter *w = NULL;
        uint64_t revision, before;
        supervise_info i;
        int r;

        if (!m)
                return -EINVAL;
        /* one that is told to stop never comes back, also while its workers are down and its actor is not */
        if (!m->arbiter || m->stopping || (!m->started && !m->tree.place))
                return -ESHUTDOWN;
        if (worker && !m->worker)
                return -EINVAL;
        if (!m->worker || !m->started || !tree_is_up(m))
                return tree_restart(m, worker, ret);
        r = worker ? spawn_check(worker, NULL) : 0;
        if (r < 0)
                return r;
        supervise_get_info(m->set.supervise, &i);
        before = roll_is_on(&i) ? i.revision : 0;
        revision = revision_of(m, worker);
        if (ret) {
                r = wait_for(m, revision, &w);
                if (r < 0)
                        return r;
                f = arbiter_future_ref(w->future);
        }
        m->restarting = true; /* not settled in between, nor is this one overtaken before it has begun */
        if (worker)
                set_worker(m, worker);
        state_mark_monitor(m);
        r = set_handle(&m->set,
                        &(supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED, .revision = revision });
        if (r >= 0 && (!worker || revision == before)) /* a verb, which starts also what is held or waits */
                r = set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_START });
        m->restarting = false;
        if (w && is_waiting(m, w)) {
                if (r < 0) {
                        future_fail_errno(f, r, NULL);
                        waiter_free(w);
                } else
                        r = wait_otherwise(m, w);
        }
        monitor_changed(m);
        if (r < 0)
                return r;
        if (ret)
                *ret = TAKE_PTR(f);
        return 0;
}

_public_ int arbiter_monitor_abort_roll(arbiter_monitor *m, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct roll_waiter *w = NULL;
        supervise_info i;
        int r;

        if (!m)
                return -EINVAL;
        if (!m->arbiter || !m->started)
                return -ESHUTDOWN;
        supervise_get_info(m->set.supervise, &i);
        if (!roll_is_on(&i))
                return -ENOENT;
        roll_end(m, ARBITER_OUTCOME_CANCELLED, "somebody has turned the roll back");
        if (ret) {
                r = wait_for(m, i.roll == SUPERVISE_ROLL_TURNING_BACK ? i.revision : i.revision_from, &w);
                if (r < 0)
                        return r;
                f = arbiter_future_ref(w->future);
        }
        r = set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_ROLL_ABORT });
        monitor_changed(m);
        if (r < 0) {
                if (w && is_waiting(m, w)) {
                        future_fail_errno(f, r, NULL);
                        waiter_free(w);
                }
                return r;
        }
        if (ret)
                *ret = TAKE_PTR(f);
        return 0;
}

_public_ int arbiter_set_reload_monitor_handler(
                arbiter *a, arbiter_reload_monitor_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->reload_monitor_handler = handler;
        a->reload_monitor_userdata = userdata;
        return 0;
}

_public_ int arbiter_reload_monitor(arbiter *a, const char *name, arbiter_future **ret, char **ret_text) {
        arbiter_future *f = NULL;
        int r;

        if (!a || !name || !ret || !ret_text)
                return -EINVAL;
        if (!a->reload_monitor_handler)
                return -EOPNOTSUPP;
        if (a->reloading)
                return -EBUSY;
        if (!name_is_valid(name))
                return -ESRCH;
        a->reloading = true;
        r = a->reload_monitor_handler(a, name, &f, ret_text, a->reload_monitor_userdata);
        a->reloading = false;
        if (r >= 0)
                *ret = f;
        return r;
}
