/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What follows for a pool from what its workers do. Three things, each only where it is configured:
 *
 *   requests    a worker that has reported as many as it may do is to be replaced (RECYCLE)
 *   memory      all workers are looked at every few seconds
 *   size        the pool is looked at some times in the period that a load must last, at least once a
 *               second, and src/supervise is told of the load (LOAD), which decides
 *
 * The load is in percent of one worker. Of a worker with a mailbox: how many messages it had on average
 * since the last look, queued or begun, 100 each; that is arrivals times latency (Little), queue and busy
 * time in one figure, and it does not depend on when one looks. Of a program: its share of a CPU, at most
 * 100. And 100 for each connection that waits in a listening socket, which nobody has begun.
 *
 * A pool whose workers all have mailboxes and no sockets is not looked at while it is idle: its workers'
 * first word wakes it up. Any other is, since nobody would tell. Called by monitor.c for the life of a
 * pool, by worker-load.c when a worker has reported. Decides nothing. */

#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "basic/backlog.h"

#define LOOK_MIN_USEC (100 * USEC_PER_MSEC)
#define LOOK_MAX_USEC USEC_PER_SEC
#define MEMORY_USEC (5 * USEC_PER_SEC)
/* A program that takes so much of a CPU is at work. */
#define BUSY_PERCENT 5

usec_t autoscale_interval(const supervise_policy *p) {
        usec_t usec = p->workers_max > 0 ? p->scale_up_after / NSEC_PER_USEC / 4 : LOOK_MAX_USEC;

        return MIN(MAX(usec, (usec_t) LOOK_MIN_USEC), (usec_t) LOOK_MAX_USEC);
}

static const supervise_policy *policy_of(const arbiter_monitor *m) {
        return supervise_get_policy(m->set.supervise);
}

static bool is_running(const struct child *c, supervise_slot_info *ret) {
        return c->state == ARBITER_STATE_RUNNING && c->set &&
               supervise_get_slot(c->set->supervise, c->slot, ret) >= 0 &&
               ret->generation == c->set_generation && ret->state == SUPERVISE_SLOT_RUNNING;
}

/* Recycling. */

static void recycle(struct child *c, const char *why, uint64_t n, uint64_t limit) {
        arbiter_log_facts(c->arbiter, c, &(arbiter_log_entry){ .level = LOG_INFO, .event = "recycled" },
                        "%s is to be replaced: it has %s, %" PRIu64 " of %" PRIu64, c->name, why, n, limit);
        c->load.recycled = true;
        (void) set_handle(c->set,
                        &(supervise_event){ .type = SUPERVISE_RECYCLE,
                                        .slot = c->slot,
                                        .generation = c->set_generation });
}

static int read_usage(const struct child *c, struct cgroup_usage *ret) {
        int r = cgroup_leaf_exists(child_leaf(c)) ? cgroup_leaf_read_usage(child_leaf(c), ret) : -ENOENT;

        if (r >= 0 && ret->memory_current != CGROUP_UNKNOWN && ret->cpu_usec != CGROUP_UNKNOWN)
                return 0;
        return process_read_usage(&c->process, ret);
}

static void on_memory_timer(arbiter_actor *a, struct actor_timer *t) {
        arbiter_monitor *m = CONTAINER_OF(t, arbiter_monitor, load.memory_timer);

        (void) actor_timer_set(a, t, now_usec() + MEMORY_USEC);
        arbiter_monitor_ref(m);
        for (uint32_t i = 1; i < m->set.n_slots; i++) {
                struct child *c = m->set.slots[i].child;
                struct cgroup_usage u;
                supervise_slot_info info;

                if (!c || c->load.recycled || !is_running(c, &info) || info.memory_max == 0 ||
                                read_usage(c, &u) < 0)
                        continue;
                if (u.memory_current != CGROUP_UNKNOWN && u.memory_current >= info.memory_max)
                        recycle(c, "so many bytes of memory", u.memory_current, info.memory_max);
        }
        arbiter_monitor_unref(m);
}

/* The size. */

static uint64_t mailbox_load(struct child *c) {
        struct child_load *l = &c->load;
        usec_t passed = l->report.usec - MIN(l->report.usec, l->seen.usec);
        uint64_t most = MIN(c->spawn->mailbox_messages, (uint64_t) UINT32_MAX / 200), percent,
                 present = MIN(l->report.queued, most) + MIN(l->report.begun, most);

        if (passed == 0 || l->seen.usec == 0)
                percent = present * 100; /* it has not changed */
        else
                percent = (l->report.work_usec - l->seen.work_usec) * 100 / passed;
        l->seen = l->report;
        return MIN(percent, most * 100);
}

static uint64_t program_load(struct child *c, usec_t now) {
        struct child_load *l = &c->load;
        struct cgroup_usage u;
        uint64_t percent = 0;
        bool busy;

        if (read_usage(c, &u) < 0 || u.cpu_usec == CGROUP_UNKNOWN)
                return 0;
        if (l->looked_usec > 0 && now > l->looked_usec)
                percent = (u.cpu_usec - MIN(u.cpu_usec, l->cpu_usec)) * 100 / (now - l->looked_usec);
        l->cpu_usec = u.cpu_usec;
        l->looked_usec = now;
        busy = percent >= BUSY_PERCENT;
        if (busy != l->busy) {
                l->busy = busy;
                (void) set_handle(c->set,
                                &(supervise_event){ .type = SUPERVISE_LOAD,
                                                .slot = c->slot,
                                                .generation = c->set_generation,
                                                .n = busy });
        }
        return MIN(percent, (uint64_t) 100);
}

static uint64_t workers_load(arbiter_monitor *m, usec_t now) {
        supervise_slot_info info;
        uint64_t sum = 0;

        for (uint32_t i = 1; i < m->set.n_slots; i++) {
                struct child *c = m->set.slots[i].child;

                if (!c || !is_running(c, &info))
                        continue;
                c->load.percent = (uint32_t) (c->plain ? program_load(c, now) : mailbox_load(c));
                sum += c->load.percent;
        }
        return sum;
}

static uint32_t read_sockets(const arbiter_spawn *s) {
        uint32_t n, sum = 0;

        for (size_t i = 0; i < s->n_listen_fds; i++)
                if (backlog_read(s->listen_fds[i], &n) >= 0)
                        sum += n;
        return sum;
}

/* Sockets that all of them have, or that each has for itself (ReusePort=). */
static uint32_t read_backlog(const arbiter_monitor *m) {
        uint32_t sum = read_sockets(m->worker);

        for (uint32_t i = 1; m->worker->n_listen_fds == 0 && i < m->set.n_slots; i++)
                if (m->set.slots[i].child)
                        sum += read_sockets(m->set.slots[i].child->spawn);
        return sum;
}

/* Nobody tells when there is something to do for them. */
static bool is_silent(const arbiter_monitor *m) {
        const arbiter_spawn *s = m->worker;

        if ((s->exec || s->unit_template) && s->exec_type != ARBITER_EXEC_MAILBOX)
                return true;
        for (uint32_t i = 1; i < m->set.n_slots; i++)
                if (m->set.slots[i].child && m->set.slots[i].child->spawn->n_listen_fds > 0)
                        return true;
        return s->n_listen_fds > 0;
}

static void wake(arbiter_monitor *m) {
        if (!heap_node_is_linked(&m->load.look_timer.node))
                (void) actor_timer_set(m->arbiter->actor, &m->load.look_timer,
                                now_usec() + autoscale_interval(policy_of(m)));
}

static void on_look_timer(arbiter_actor *a, struct actor_timer *t) {
        arbiter_monitor *m = CONTAINER_OF(t, arbiter_monitor, load.look_timer);
        uint64_t percent;

        arbiter_monitor_ref(m);
        m->load.backlog = read_backlog(m);
        percent = workers_load(m, now_usec()) + (uint64_t) m->load.backlog * 100;
        percent = MIN(percent, (uint64_t) UINT32_MAX);
        if (percent > 0 || m->load.percent > 0 || is_silent(m))
                wake(m);
        m->load.percent = percent;
        (void) set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_LOAD, .n = (uint32_t) percent });
        arbiter_monitor_unref(m);
}

void autoscale_reported(struct child *c) {
        arbiter_monitor *m = c->set->monitor;
        supervise_slot_info i;

        if (policy_of(m)->workers_max > 0 && (c->load.report.begun > 0 || c->load.report.queued > 0))
                wake(m);
        if (!c->load.recycled && is_running(c, &i) && i.requests_max > 0 &&
                        c->load.report.done >= i.requests_max)
                recycle(c, "done so many requests", c->load.report.done, i.requests_max);
}

void autoscale_scaled(arbiter_monitor *m) {
        uint32_t before = m->workers;
        supervise_info i;

        supervise_get_info(m->set.supervise, &i);
        m->workers = i.n_wanted;
        (void) roll_resize(m, m->workers);
        state_mark_monitor(m);
        arbiter_log_facts(m->arbiter, m->child,
                        &(arbiter_log_entry){ .level = LOG_INFO,
                                        .event = "scaled",
                                        .monitor = m->name,
                                        .n = m->workers,
                                        .n_before = before },
                        "%s: %u -> %u workers, for a load of %" PRIu64 "%%", m->name, before, m->workers,
                        m->load.percent);
}

/* Life. */

void autoscale_init(arbiter_monitor *m) {
        m->load.look_timer = ACTOR_TIMER_INIT(on_look_timer);
        m->load.memory_timer = ACTOR_TIMER_INIT(on_memory_timer);
}

void autoscale_stop(arbiter_monitor *m) {
        if (!m->arbiter || !m->arbiter->actor)
                return;
        actor_timer_clear(m->arbiter->actor, &m->load.look_timer);
        actor_timer_clear(m->arbiter->actor, &m->load.memory_timer);
}

/* The bounds hold, too, for what somebody else has said before they did. */
static void keep_bounds(arbiter_monitor *m) {
        const supervise_policy *p = policy_of(m);
        uint32_t n = MIN(MAX(m->workers, p->workers_min), p->workers_max);

        if (p->workers_max == 0 || n == m->workers || m->stopping)
                return;
        if (set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_SCALE, .n = n }) >= 0)
                autoscale_scaled(m);
}

static void start(arbiter_monitor *m) {
        const supervise_policy *p = policy_of(m);
        usec_t now = now_usec();

        autoscale_stop(m);
        if (m->stopping)
                return;
        if (p->memory_max > 0)
                (void) actor_timer_set(m->arbiter->actor, &m->load.memory_timer, now + MEMORY_USEC);
        if (p->workers_max > 0)
                wake(m);
}

void autoscale_policy_changed(arbiter_monitor *m) {
        for (uint32_t i = 1; i < m->set.n_slots; i++)
                if (m->set.slots[i].child)
                        load_ask(m->set.slots[i].child);
        if (policy_of(m)->workers_max == 0)
                m->load.percent = m->load.backlog = 0;
        keep_bounds(m);
        start(m);
}

/* The public functions. */

static uint64_t nsec_of(uint64_t usec) {
        return usec > UINT64_MAX / NSEC_PER_USEC ? NSEC_INFINITY : usec * NSEC_PER_USEC;
}

_public_ int arbiter_monitor_set_recycling(arbiter_monitor *m, uint64_t requests_max,
                uint64_t runtime_max_usec, uint64_t memory_max, unsigned spread_percent) {
        supervise_policy p;

        if (!m || spread_percent > 100 || nsec_of(runtime_max_usec) > (nsec_t) INT64_MAX / 4)
                return -EINVAL;
        if (!m->worker)
                return -EOPNOTSUPP;
        p = m->policy;
        p.requests_max = requests_max;
        p.runtime_max = nsec_of(runtime_max_usec);
        p.memory_max = memory_max;
        p.recycle_spread = spread_percent;
        return roll_set_policy(m, &p);
}

_public_ int arbiter_monitor_set_autoscale(arbiter_monitor *m, unsigned min, unsigned max,
                unsigned up_percent, unsigned down_percent, uint64_t up_usec, uint64_t down_usec) {
        supervise_policy p;

        if (!m || (max > 0 && (min == 0 || min > max || max > SUPERVISE_SLOTS_MAX ||
                                              down_percent >= up_percent)))
                return -EINVAL;
        if (!m->worker)
                return -EOPNOTSUPP;
        p = m->policy;
        p.workers_min = max > 0 ? min : 0;
        p.workers_max = max;
        p.scale_up = up_percent;
        p.scale_down = down_percent;
        p.scale_up_after = nsec_of(up_usec);
        p.scale_down_after = nsec_of(down_usec);
        return roll_set_policy(m, &p);
}

_public_ int arbiter_monitor_get_load(arbiter_monitor *m, uint64_t *ret_percent) {
        if (!m || !ret_percent)
                return -EINVAL;
        *ret_percent = m->load.percent;
        return 0;
}
