/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The snapshot behind the metrics: what is kept is looked up, what only walking can tell (mailboxes,
 * cgroups) is walked for, the cgroups at most once in USAGE_USEC whoever asks. Called by faces through
 * control.h and by metrics-socket.c; and by child.c when a life begins and ends, for the sums over all
 * lives. */

#include <sys/resource.h>

#include "arbiter/internal.h"
#include "arbiter/metrics.h"

enum { USAGE_USEC = 1000 * 1000 };

/* Whose figures it counts into: a host's are those of the monitor whose threads live in it, though there may
 * be another host by now. */
static struct set *set_of(const struct child *c) {
        arbiter_monitor *m;

        if (c->set || !c->is_host)
                return c->set;
        m = c->host_of[0] ? arbiter_find_monitor(c->arbiter, c->host_of) : NULL;
        /* Not yet if it has been made anew under that name, and not started. */
        return m && m->set.arbiter ? &m->set : &c->arbiter->root;
}

static void read_usage(struct child *c) {
        struct set *s = set_of(c);
        struct cgroup_usage u;

        if (!s || !cgroup_leaf_exists(child_leaf(c)) || cgroup_leaf_read_usage(child_leaf(c), &u) < 0)
                return;
        if (u.cpu_usec != CGROUP_UNKNOWN) {
                s->sums.cpu_usec += u.cpu_usec - MIN(u.cpu_usec, c->cpu_usec);
                s->sums.live_cpu_usec += u.cpu_usec - MIN(u.cpu_usec, c->cpu_usec);
                c->cpu_usec = MAX(u.cpu_usec, c->cpu_usec);
        }
        if (u.memory_current != CGROUP_UNKNOWN) {
                s->sums.has_memory = true;
                s->sums.memory_bytes += u.memory_current - c->memory_bytes;
                c->memory_bytes = u.memory_current;
        }
}

static void refresh_usage(arbiter *a) {
        usec_t now = now_usec();

        if (a->usage_usec > 0 && now - a->usage_usec < USAGE_USEC)
                return;
        a->usage_usec = now;
        LIST_FOREACH(c, &a->children, struct child, children)
                read_usage(c);
}

void metrics_count_start(struct child *c) {
        if (!c->set)
                return;
        state_mark_set(c->set);
        c->set->sums.starts++;
        c->set->sums.start_usec += c->started_usec - MIN(c->started_usec, c->created_usec);
}

void metrics_count_death(struct child *c, arbiter_reason reason) {
        struct set *s = set_of(c);
        uint64_t cpu;

        if ((unsigned) reason >= METRICS_REASONS)
                reason = ARBITER_REASON_UNKNOWN;
        c->arbiter->counters.deaths_by[reason]++;
        if (!s)
                return;
        state_mark_set(s);
        if (c->set)
                s->sums.deaths[reason]++;
        if (cgroup_leaf_exists(child_leaf(c)) && cgroup_leaf_read_cpu(child_leaf(c), &cpu) >= 0 &&
                        cpu != CGROUP_UNKNOWN && cpu > c->cpu_usec)
                s->sums.cpu_usec += cpu - c->cpu_usec;
        /* the monitor that it was counted in may be gone, and this another one of that name */
        s->sums.memory_bytes -= MIN(s->sums.memory_bytes, c->memory_bytes);
        s->sums.live_cpu_usec -= MIN(s->sums.live_cpu_usec, c->cpu_usec);
        c->memory_bytes = 0;
}

static void fill_monitor(arbiter_monitor *m, struct metrics_monitor *ret) {
        const struct set_sums *k = &m->set.sums;
        supervise_info i = {};

        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &i);
        *ret = (struct metrics_monitor){
                .name = m->name,
                .wanted = m->workers,
                .starting = i.n[SUPERVISE_SLOT_STARTING],
                .running = i.n[SUPERVISE_SLOT_RUNNING],
                .stopping = i.n[SUPERVISE_SLOT_STOPPING],
                .draining = i.n[SUPERVISE_SLOT_DRAINING],
                .scales = m->policy.workers_max > 0,
                .load_percent = m->load.percent,
                .backlog = m->load.backlog,
                .backoff = i.n[SUPERVISE_SLOT_BACKOFF],
                .failed = i.n[SUPERVISE_SLOT_FAILED],
                .stopped = i.n[SUPERVISE_SLOT_HELD],
                .restarts = k->restarts,
                .starts = k->starts,
                .start_usec = k->start_usec,
                .memory_bytes = k->has_memory ? k->memory_bytes : METRICS_UNKNOWN,
                .cpu_usec = m->arbiter->has_cgroup ? k->cpu_usec : METRICS_UNKNOWN,
        };
        memcpy(ret->deaths, k->deaths, sizeof(ret->deaths));
        memcpy(ret->probes, k->probes, sizeof(ret->probes));
        for (uint32_t n = 1; n < m->set.n_slots; n++) {
                const struct child *c = m->set.slots[n].child;

                if (!c)
                        continue;
                ret->mailbox_queued += c->inline_actor ? c->inline_actor->n_queued : c->mailbox_queued;
                ret->ready += child_is_ready(c);
        }
}

static usec_t own_cpu_usec(void) {
        struct rusage u = {};

        (void) getrusage(RUSAGE_SELF, &u);
        return (usec_t) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * USEC_PER_SEC +
               (usec_t) (u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void fill_snapshot(arbiter *a, struct metrics_snapshot *ret) {
        struct arbiter_view v;

        control_get_arbiter(a, &v);
        *ret = (struct metrics_snapshot){
                .version = arbiter_version(),
                .instance = v.instance,
                .status.size = sizeof(ret->status),
                .started_usec = a->started_realtime_usec,
                .messages = a->actor->statistics.begun,
                .cpu_usec = own_cpu_usec(),
        };
        (void) arbiter_get_status(a, &ret->status);
        (void) sd_event_get_iteration(a->event, &ret->loop_turns);
        memcpy(ret->deaths, a->counters.deaths_by, sizeof(ret->deaths));
        LIST_FOREACH(c, &a->children, struct child, children)
                if (!c->monitor_actor && (unsigned) c->state < METRICS_STATES &&
                                (unsigned) c->concurrency < METRICS_CONCURRENCIES)
                        ret->actors[c->state][c->concurrency]++;
}

int control_get_metrics(arbiter *a, char **ret, size_t *ret_size) {
        _cleanup_free_ struct metrics_monitor *monitors = NULL;
        struct metrics_snapshot s;

        monitors = calloc(map_size(a->monitors_by_name) + 1, sizeof(*monitors));
        if (!monitors)
                return -ENOMEM;
        refresh_usage(a);
        fill_snapshot(a, &s);
        LIST_FOREACH(m, &a->monitors, arbiter_monitor, monitors)
                fill_monitor(m, &monitors[s.n_monitors++]);
        s.monitors = monitors;
        return metrics_format(&s, ret, ret_size);
}
