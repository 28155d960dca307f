/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may be asked of a monitor about its children while it runs: OTP's delete_child, terminate_child,
 * restart_child, which_children and count_children. Called by the program, and by faces through control.c.
 * Answers from memory: nothing here waits for a child. */

#include <stdio.h>

#include "arbiter/internal.h"

static bool is_down(const struct tree_child *k) {
        const struct child *c = k->slot > 0 ? k->parent->set.slots[k->slot].child : NULL;

        return k->monitor ? !k->monitor->tree.alive : !c;
}

int tree_remove(struct tree_child *k, arbiter_future **ret) {
        struct set *s = &k->parent->set;
        int r;

        r = waiters_add_new(&k->removals, s->arbiter->actor, ret);
        if (r < 0)
                return r;
        k->removed = true;
        if (k->slot == 0) { /* a temporary one that has ended */
                tree_free_child(k);
                return 0;
        }
        s->slots[k->slot].removed = true;
        if (k->spawn)
                set_slot_settle(s, k->slot, "it was removed before it was started");
        r = set_handle(s, &(supervise_event){ .type = SUPERVISE_REMOVE_CHILD, .slot = k->slot });
        return r == -ENOENT ? 0 : r; /* it is on its way already, for good */
}

int tree_terminate(struct tree_child *k, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        bool down;
        int r;

        if (k->slot == 0)
                return -ENOENT;
        if (k->spawn)
                return control_stop(k->parent->arbiter, k->spawn->name, ret);
        down = is_down(k);
        if (down)
                r = future_new(k->parent->arbiter->actor, &f);
        else
                r = waiters_add_new(&k->stops, k->parent->arbiter->actor, &f);
        if (r < 0)
                return r;
        r = set_handle(&k->parent->set,
                        &(supervise_event){ .type = SUPERVISE_STOP_CHILD, .slot = k->slot });
        if (r < 0)
                return r;
        if (down && f->pending) /* a temporary one is gone by now, and k with it */
                future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
        *ret = TAKE_PTR(f);
        return 0;
}

int tree_restart_child(struct tree_child *k, arbiter_future **ret) {
        arbiter_monitor *m = k->parent;
        arbiter_future **place;
        int r;

        if (k->slot == 0)
                return -ENOENT;
        if (!tree_is_up(m))
                return -ESHUTDOWN;
        place = k->monitor ? &k->monitor->start_future : &m->set.slots[k->slot].future;
        if (!*place) {
                r = future_new(m->arbiter->actor, place);
                if (r < 0)
                        return r;
        }
        *ret = arbiter_future_ref(*place);
        r = set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_RESTART_CHILD, .slot = k->slot });
        if (r < 0) {
                future_fail_errno(*ret, r, NULL);
                *place = arbiter_future_unref(*place);
                *ret = arbiter_future_unref(*ret);
        }
        return r;
}

/* In its place, alone, and at once; without a new description it goes on as it is. */
static int redefine(struct tree_child *k, arbiter_spawn *spawn) {
        struct set *s = &k->parent->set;

        if (spawn) {
                arbiter_spawn_ref(spawn);
                arbiter_spawn_unref(k->spawn);
                k->spawn = spawn;
                k->revision++;
        }
        if (k->slot == 0)
                return 0;
        if (spawn) {
                arbiter_spawn_ref(spawn);
                arbiter_spawn_unref(s->slots[k->slot].spawn);
                s->slots[k->slot].spawn = spawn;
                state_put_place(s, k->slot);
        }
        return set_handle(s, &(supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED,
                                             .slot = k->slot,
                                             .restart = k->spawn ? monitor_restart_of(k->spawn) : k->restart,
                                             .significant = k->significant,
                                             .shutdown = k->shutdown,
                                             .revision = k->revision });
}

_public_ int arbiter_monitor_change_child(arbiter_monitor *m, const char *name, arbiter_spawn *child,
                const arbiter_child_spec *spec) {
        struct tree_child *k, after;
        int r;

        r = tree_find_child(m, name, &k);
        if (r < 0)
                return r;
        if (child && (!k->spawn || !streq(child->name, k->spawn->name)))
                return -EINVAL;
        r = child ? spawn_check(child, NULL) : 0;
        if (r < 0)
                return r;
        after = *k;
        after.spawn = child ? child : k->spawn;
        r = tree_read_spec(m, spec, &after);
        if (r < 0)
                return r;
        k->restart = after.restart;
        k->significant = after.significant;
        k->shutdown = after.shutdown;
        return redefine(k, child);
}

/* Who does not ask for the future does not get it. */
static int drop(int r, arbiter_future *f, arbiter_future **ret) {
        if (r >= 0 && ret)
                *ret = f;
        else
                arbiter_future_unref(f);
        return r;
}

_public_ int arbiter_monitor_remove_child(arbiter_monitor *m, const char *name, arbiter_future **ret) {
        struct tree_child *k;
        int r;

        r = tree_find_child(m, name, &k);
        return r < 0 ? r : tree_remove(k, ret);
}

_public_ int arbiter_monitor_terminate_child(arbiter_monitor *m, const char *name, arbiter_future **ret) {
        arbiter_future *f = NULL;
        struct tree_child *k;
        int r;

        r = tree_find_child(m, name, &k);
        if (r >= 0)
                r = tree_terminate(k, &f);
        return drop(r, f, ret);
}

_public_ int arbiter_monitor_restart_child(arbiter_monitor *m, const char *name, arbiter_future **ret) {
        arbiter_future *f = NULL;
        struct tree_child *k;
        int r;

        r = tree_find_child(m, name, &k);
        if (r >= 0)
                r = tree_restart_child(k, &f);
        return drop(r, f, ret);
}

/* which_children, count_children */

static const char *slot_state(const struct set *s, uint32_t slot) {
        static const char *const states[_SUPERVISE_SLOT_STATE_MAX] = {
                [SUPERVISE_SLOT_UNUSED] = "inactive",
                [SUPERVISE_SLOT_IDLE] = "inactive",
                [SUPERVISE_SLOT_STARTING] = "starting",
                [SUPERVISE_SLOT_RUNNING] = "running",
                [SUPERVISE_SLOT_BACKOFF] = "backoff",
                [SUPERVISE_SLOT_STOPPING] = "stopping",
                [SUPERVISE_SLOT_FAILED] = "failed",
                [SUPERVISE_SLOT_HELD] = "terminated",
                [SUPERVISE_SLOT_WAITING] = "waiting",
                [SUPERVISE_SLOT_DRAINING] = "stopping",
        };
        supervise_slot_info i = {};

        if (slot > 0)
                (void) supervise_get_slot(s->supervise, slot, &i);
        return states[i.state];
}

static arbiter_restart public_restart(supervise_restart restart) {
        static const arbiter_restart restarts[] = {
                [SUPERVISE_PERMANENT] = ARBITER_RESTART_PERMANENT,
                [SUPERVISE_TRANSIENT] = ARBITER_RESTART_TRANSIENT,
                [SUPERVISE_TEMPORARY] = ARBITER_RESTART_TEMPORARY,
        };

        return restarts[restart];
}

static void fill_info(const struct tree_child *k, arbiter_child_info *ret) {
        supervise_slot_info i = {};
        const struct child *c = NULL;

        if (k->slot > 0)
                (void) supervise_get_slot(k->parent->set.supervise, k->slot, &i);
        if (k->monitor)
                c = k->monitor->child;
        else if (k->slot > 0)
                c = k->parent->set.slots[k->slot].child;
        *ret = (arbiter_child_info){
                .size = ret->size,
                .name = tree_child_name(k),
                .is_monitor = k->monitor,
                .significant = k->significant,
                .restart = public_restart(tree_restart_of(k)),
                .state = slot_state(&k->parent->set, k->slot),
                .aid = c ? c->aid_string.s : "",
                .pid = c ? c->process.pid : 0,
                .restarts = i.restarts,
        };
}

void tree_worker_info(const arbiter_monitor *m, uint32_t slot, const char *name, arbiter_child_info *ret) {
        const struct child *c = slot < m->set.n_slots ? m->set.slots[slot].child : NULL;
        supervise_slot_info i = {};

        (void) supervise_get_slot(m->set.supervise, slot, &i);
        *ret = (arbiter_child_info){
                .size = sizeof(*ret),
                .name = name,
                .restart = public_restart(i.restart),
                .state = slot_state(&m->set, slot),
                .aid = c ? c->aid_string.s : "",
                .pid = c ? c->process.pid : 0,
                .restarts = i.restarts,
        };
}

static struct tree_child *next_of(const arbiter_monitor *m, const struct tree_child *k) {
        struct list_node *node = k ? k->children.next : m->tree.children.next;

        return node == &m->tree.children ? NULL : LIST_ENTRY(node, struct tree_child, children);
}

_public_ int arbiter_monitor_next_child(arbiter_monitor *m, const char *after, arbiter_child_info *ret) {
        struct tree_child *k = NULL;
        int r;

        if (!m || !ret || ret->size < sizeof(*ret))
                return -EINVAL;
        if (!m->arbiter)
                return -ESHUTDOWN;
        if (after) {
                r = tree_find_child(m, after, &k);
                if (r < 0)
                        return r;
        }
        for (k = next_of(m, k); k && k->removed;)
                k = next_of(m, k);
        if (!k)
                return 0;
        fill_info(k, ret);
        return 1;
}

/* A pool has one specification, of all its workers: OTP's simple_one_for_one. */
static void count_workers(const arbiter_monitor *m, arbiter_child_counts *counts) {
        supervise_slot_info slot;
        supervise_info i = {};

        if (m->set.supervise)
                supervise_get_info(m->set.supervise, &i);
        counts->specs = 1;
        for (uint32_t n = 1; n <= i.slot_max; n++) {
                counts->workers += supervise_get_slot(m->set.supervise, n, &slot) >= 0;
                counts->active += n < m->set.n_slots && m->set.slots[n].child;
        }
}

_public_ int arbiter_monitor_count_children(arbiter_monitor *m, arbiter_child_counts *ret) {
        arbiter_child_counts counts = {};

        if (!m || !ret || ret->size < sizeof(*ret))
                return -EINVAL;
        if (!m->arbiter)
                return -ESHUTDOWN;
        if (monitor_is_pool(m))
                count_workers(m, &counts);
        LIST_FOREACH(k, &m->tree.children, const struct tree_child, children) {
                counts.specs += k->slot > 0;
                counts.active += !is_down(k);
                counts.supervisors += k->slot > 0 && k->monitor;
                counts.workers += k->slot > 0 && k->spawn;
        }
        counts.size = ret->size;
        *ret = counts;
        return 0;
}
