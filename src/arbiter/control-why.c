/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each actor, each empty place of one, and each monitor waits for: collected on demand for faces, from
 * the children, the monitors, and the sets of src/supervise. Nothing is kept for it but since when. Called
 * by src/bus. */

#include <stdio.h>

#include "arbiter/deaths.h"
#include "arbiter/internal.h"
#include "arbiter/why.h"

struct rows {
        arbiter *arbiter;
        usec_t now;
        struct why_view *v;
        size_t n, allocated;
};

static int add_row(struct rows *rows, const struct why *w) {
        struct why_view *v;

        if (rows->n == rows->allocated) {
                size_t n = MAX((size_t) 8, rows->allocated * 2);

                v = reallocarray(rows->v, n, sizeof(*v));
                if (!v)
                        return -ENOMEM;
                rows->v = v;
                rows->allocated = n;
        }
        v = &rows->v[rows->n++];
        *v = (struct why_view){
                .state = w->state,
                .waiting_for = why_kind_to_string(w->kind),
                .since = w->since,
                .until = w->until,
                .last_reason = w->ended ? arbiter_reason_to_string(w->reason) : NULL,
                .last_status = w->ended ? w->status : 0,
                .attempts = w->attempts,
        };
        if (!v->last_reason)
                v->last_reason = "";
        (void) snprintf(v->name, sizeof(v->name), "%s", w->name);
        why_format(w, v->text, sizeof(v->text));
        return 0;
}

static usec_t timer_due(const struct actor_timer *t) {
        return heap_node_is_linked(&t->node) ? t->node.key : 0;
}

static usec_t of_nsec(nsec_t t) {
        return t == NSEC_INFINITY ? 0 : t / NSEC_PER_USEC;
}

/* What is held against the place, and how its last life ended. */
static void fill_history(const arbiter *a, struct set *s, uint32_t slot, struct why *w) {
        const supervise_policy *policy = supervise_get_policy(s->supervise);
        supervise_slot_info i;

        if (supervise_get_slot(s->supervise, slot, &i) < 0)
                return;
        w->ended = i.ended;
        w->reason = (arbiter_reason) i.reason;
        w->status = i.status;
        w->attempts = i.n_failures;
        w->alike = (uint32_t) deaths_alike(a->deaths, w->name);
        w->intensity = policy->intensity;
        w->period = of_nsec(policy->period);
}

static bool is_unit(const struct child *c) {
        return c->spawn->concurrency == ARBITER_CONCURRENCY_UNIT;
}

/* Of a unit made here it is systemd that gives up, and before the timer, which is for the case that no word
 * comes. */
static usec_t start_due(const struct child *c) {
        usec_t due = timer_due(&c->start_timer);
        bool early = c->plain && is_unit(c) && !c->spawn->unit_template && due < USEC_INFINITY;

        return early && due > UNIT_GRACE_USEC ? due - UNIT_GRACE_USEC : due;
}

static enum why_kind kind_of_child(const struct child *c) {
        if (c->stop_stage >= CHILD_STOP_KILLED)
                return WHY_KILL;
        if (c->stop_stage != CHILD_STOP_NONE || c->state == ARBITER_STATE_STOPPING)
                return WHY_STOP;
        if (c->load.draining && c->state == ARBITER_STATE_RUNNING)
                return WHY_DRAIN;
        if (c->state == ARBITER_STATE_RUNNING && c->spawn && !child_is_ready(c))
                return WHY_READINESS;
        if (c->state != ARBITER_STATE_STARTING)
                return WHY_NOTHING;
        if (c->up)
                return WHY_PROBE;
        if (c->host && c->host->state == ARBITER_STATE_STARTING)
                return WHY_HOST;
        if (c->plain)
                return is_unit(c) && c->spawn->exec_type != ARBITER_EXEC_NOTIFY ? WHY_UNIT : WHY_READY;
        return c->welcomed ? WHY_START_HOOK : WHY_HANDSHAKE;
}

static const char *probe_words(const struct child *c, enum why_kind kind) {
        const struct probe_run *run = c->probes[kind == WHY_PROBE ? ARBITER_PROBE_START
                                                                  : ARBITER_PROBE_READINESS];

        return run ? probe_fact(run) : NULL; /* everybody may ask why */
}

static void fill_draining(const struct child *c, struct why *w) {
        supervise_slot_info i;

        if (supervise_get_slot(c->set->supervise, c->slot, &i) < 0)
                return;
        w->since = of_nsec(i.since);
        w->until = of_nsec(i.until);
}

static int add_child(struct rows *rows, struct child *c, bool only_waiting) {
        struct why w = {
                .name = c->name,
                .state = arbiter_state_to_string(c->state),
                .kind = kind_of_child(c),
                .now = rows->now,
                .since = c->waiting_usec,
                .signaled = c->stop_stage == CHILD_STOP_SIGNALED,
                .stuck = c->stop_stage == CHILD_STOP_STUCK,
        };

        if (only_waiting && w.kind == WHY_NOTHING)
                return 0;
        if (w.kind == WHY_STOP)
                w.until = timer_due(&c->stop_timer);
        else if (w.kind == WHY_DRAIN)
                fill_draining(c, &w);
        else if (w.kind != WHY_NOTHING && w.kind != WHY_KILL && w.kind != WHY_READINESS)
                w.until = start_due(c);
        if (w.kind == WHY_PROBE || w.kind == WHY_READINESS)
                w.probe = probe_words(c, w.kind);
        if (c->set)
                fill_history(rows->arbiter, c->set, c->slot, &w);
        return add_row(rows, &w);
}

/* Who of the same monitor has to start first, or to be down. */
static void fill_turn(const struct set *s, uint32_t slot, struct why *w) {
        w->kind = WHY_TURN;
        if (slot >= s->n_slots || !s->slots[slot].tree)
                return;
        LIST_FOREACH(k, &s->monitor->tree.children, const struct tree_child, children) {
                supervise_slot_info i;

                if (k->slot == slot && w->other)
                        return;
                if (k->slot == 0 || supervise_get_slot(s->supervise, k->slot, &i) < 0)
                        continue;
                if (i.state == SUPERVISE_SLOT_STOPPING) {
                        w->other = tree_child_name(k);
                        w->other_stops = true;
                        return;
                }
                if (!w->other && (i.state == SUPERVISE_SLOT_STARTING || i.state == SUPERVISE_SLOT_BACKOFF))
                        w->other = tree_child_name(k);
        }
}

/* A place that has nobody in it. */
static int add_empty(struct rows *rows, struct set *s, uint32_t slot, const char *name, bool only_waiting) {
        supervise_slot_info i;
        struct why w = { .name = name, .state = "inactive", .now = rows->now, .empty = true };

        if (supervise_get_slot(s->supervise, slot, &i) < 0)
                return 0;
        w.since = of_nsec(i.since);
        if (i.state == SUPERVISE_SLOT_BACKOFF) {
                w.state = "backoff";
                w.kind = WHY_BACKOFF;
                w.until = of_nsec(i.until);
        } else if (i.state == SUPERVISE_SLOT_FAILED) {
                w.state = "failed";
                w.kind = WHY_INTENSITY;
        } else if (i.state == SUPERVISE_SLOT_HELD) {
                w.state = "stopped";
                w.kind = WHY_STOPPED;
        } else if (i.state == SUPERVISE_SLOT_WAITING) {
                w.state = "waiting";
                fill_turn(s, slot, &w);
        }
        if (only_waiting && w.kind == WHY_NOTHING)
                return 0;
        fill_history(rows->arbiter, s, slot, &w);
        return add_row(rows, &w);
}

static int add_slot(struct rows *rows, struct set *s, uint32_t slot, bool only_waiting) {
        struct set_slot *k = slot < s->n_slots ? &s->slots[slot] : NULL;
        char name[QUALIFIED_NAME_SIZE];

        if (k && k->child)
                return add_child(rows, k->child, only_waiting);
        return slot_name(s, slot, name) < 0 ? 0 : add_empty(rows, s, slot, name, only_waiting);
}

static int add_slots(struct rows *rows, struct set *s) {
        supervise_info i;
        int r = 0;

        if (!s->supervise)
                return 0;
        supervise_get_info(s->supervise, &i);
        for (uint32_t n = 1; r >= 0 && n <= i.slot_max; n++)
                r = add_slot(rows, s, n, true);
        return r;
}

/* Since when: of what settles, the place that has been at it longest; of what has given up, the last one. */
static usec_t monitor_since(arbiter_monitor *m, bool failed, uint32_t slot_max) {
        usec_t since = 0;

        for (uint32_t n = 1; n <= slot_max; n++) {
                supervise_slot_info i;

                if (supervise_get_slot(m->set.supervise, n, &i) < 0)
                        continue;
                if (failed && i.state == SUPERVISE_SLOT_FAILED)
                        since = MAX(since, of_nsec(i.since));
                if (!failed && (i.state == SUPERVISE_SLOT_STARTING || i.state == SUPERVISE_SLOT_STOPPING ||
                                               i.state == SUPERVISE_SLOT_BACKOFF))
                        since = since == 0 ? of_nsec(i.since) : MIN(since, of_nsec(i.since));
        }
        return since;
}

static void fill_tree(const arbiter_monitor *m, const supervise_info *i, struct why *w) {
        const supervise_policy *policy = &m->policy;

        if (monitor_is_pool(m))
                return;
        w->is_tree = true;
        w->unstarted = m->tree.unstarted;
        w->intensity = policy->intensity;
        w->period = of_nsec(policy->period);
        if (m->failed && i->culprit > 0 && i->culprit < m->set.n_slots && m->set.slots[i->culprit].tree)
                w->other = tree_child_name(m->set.slots[i->culprit].tree);
}

static int add_monitor(struct rows *rows, arbiter_monitor *m, bool only_waiting) {
        supervise_info i = {};
        struct monitor_view v;
        struct why w = { .name = m->name, .now = rows->now, .is_monitor = true };
        int r;

        if (control_get_monitor(m->arbiter, m->name, &v) < 0)
                return 0;
        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &i);
        w.state = v.state;
        w.wanted = v.workers;
        w.running = v.running;
        w.backoff = v.backoff;
        fill_tree(m, &i, &w);
        if (m->stopping)
                w.kind = WHY_STOP;
        else if (m->failed)
                w.kind = WHY_INTENSITY;
        else if (m->started && !monitor_is_settled(m))
                w.kind = WHY_SETTLING;
        if (w.kind == WHY_SETTLING)
                w.until = v.backoff > 0 ? v.next_attempt_usec : v.roll_deadline_usec;
        if (w.kind != WHY_NOTHING)
                w.since = monitor_since(m, m->failed, i.slot_max);
        if (only_waiting && w.kind == WHY_NOTHING)
                return 0;
        r = add_row(rows, &w);
        if (r >= 0 && w.kind == WHY_SETTLING)
                roll_describe(m, rows->v[rows->n - 1].text, WHY_TEXT_SIZE);
        return r;
}

static int add_all(struct rows *rows) {
        int r = 0;

        LIST_FOREACH(m, &rows->arbiter->monitors, arbiter_monitor, monitors) {
                if (r >= 0)
                        r = add_monitor(rows, m, true);
                if (r >= 0)
                        r = add_slots(rows, &m->set);
        }
        if (r >= 0)
                r = add_slots(rows, &rows->arbiter->root);
        LIST_FOREACH(c, &rows->arbiter->children, struct child, children)
                if (r >= 0 && !c->set && !c->monitor_actor) /* hosts of threads */
                        r = add_child(rows, c, true);
        return r;
}

static int add_target(struct rows *rows, const char *target) {
        struct child *c = child_find(rows->arbiter, target);
        arbiter_monitor *m = c && c->monitor_actor ? c->monitor_actor
                                                   : arbiter_find_monitor(rows->arbiter, target);
        struct set *s;
        uint32_t slot;
        int r;

        if (m) {
                r = add_monitor(rows, m, false);
                return r < 0 ? r : add_slots(rows, &m->set);
        }
        if (c)
                return add_child(rows, c, false);
        r = control_find_slot(rows->arbiter, target, &s, &slot);
        return r < 0 ? r : add_slot(rows, s, slot, false);
}

int control_list_why(arbiter *a, const char *target, struct why_view **ret, size_t *ret_n) {
        struct rows rows = { .arbiter = a, .now = now_usec() };
        int r;

        r = *target ? add_target(&rows, target) : add_all(&rows);
        if (r < 0) {
                free(rows.v);
                return r;
        }
        *ret = rows.v;
        *ret_n = rows.n;
        return 0;
}
