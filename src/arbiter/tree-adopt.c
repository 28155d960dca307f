/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The re-adoption of monitors of different children: what the journal has of the slots is brought together
 * with the child specifications of the program, by name. Called by adopt-set.c. Nothing is carried out
 * before all of it is known: what has changed becomes events of the set in tree_resume(). */

#include <syslog.h>

#include "arbiter/adoption.h"

/* Slots as the program has added its children, none of which has ever been: they have others now. */
static void vacate(arbiter_monitor *m) {
        struct set *s = &m->set;

        LIST_FOREACH(k, &m->tree.children, struct tree_child, children) {
                if (k->slot == 0)
                        continue;
                k->promised = TAKE_PTR(s->slots[k->slot].future);
                state_forget_place(s, k->slot);
                arbiter_spawn_unref(s->slots[k->slot].spawn);
                s->slots[k->slot] = (struct set_slot){};
                k->slot = 0;
        }
}

/* Who was added at run time goes on; who is configured no more is stopped: both need somebody to stand for
 * them. */
static int make_child(struct adoption *x, arbiter_monitor *m, const struct state_tree_child *t,
                struct tree_child **ret) {
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *child = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *spawn = NULL;
        struct legacy *l = t->is_monitor ? map_get_string(x->legacies_by_name, t->name) : NULL;
        int r = 0;

        if (names_is_taken(x->arbiter, t->name))
                return -EEXIST; /* it is another one now */
        if (!t->is_monitor || (l && !state_key_is_null(&l->s.worker)))
                r = adopt_spawn(x, t->is_monitor ? &l->s.worker : &t->spawn, NULL, &spawn);
        if (r >= 0 && t->is_monitor)
                r = arbiter_monitor_new(x->arbiter, t->name, spawn, NULL, &child);
        return r < 0 ? r : tree_append(m, t->is_monitor ? NULL : spawn, child, ret);
}

static void take_place(struct adoption *x, struct tree_child *k, const struct state_tree_child *t) {
        struct set *s = &k->parent->set;
        supervise_slot_info i;

        if (supervise_get_slot(s->supervise, t->slot, &i) < 0 || t->slot >= s->n_slots)
                return;
        k->slot = t->slot;
        k->revision = i.revision_wanted;
        k->changed = k->spawn && !k->removed && k->configured &&
                     !adopt_spawn_is_same(x, &t->spawn, k->spawn);
        s->slots[t->slot] = (struct set_slot){
                .spawn = arbiter_spawn_ref(k->spawn),
                .tree = k,
                .wanted_aid = t->wanted,
                .transient = !k->configured,
                .removed = k->removed,
        };
        state_put_place(s, t->slot);
}

static int place_child(struct adoption *x, arbiter_monitor *m, const struct state_tree_child *t) {
        struct tree_child *k = tree_find(x->arbiter, t->name);
        int r = 0;

        if (!k || k->parent != m || t->is_monitor != (k->monitor != NULL)) {
                r = make_child(x, m, t, &k);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        return 0; /* its lives are killed */
                k->configured = false;
                k->removed = t->configured || t->is_monitor;
                if (k->removed)
                        arbiter_log(x->arbiter, LOG_NOTICE, NULL, "adopted",
                                        "%s is stopped: it is no child of %s any more", t->name, m->name);
        }
        if (k->slot == 0)
                take_place(x, k, t);
        return 0;
}

int tree_adopt_set(struct adoption *x, arbiter_monitor *m) {
        int r = 0;

        vacate(m);
        LIST_FOREACH(k, &x->children, struct old_child, children)
                if (r >= 0 && streq(k->s.monitor, m->name))
                        r = place_child(x, m, &k->s);
        LIST_FOREACH(k, &m->tree.children, struct tree_child, children)
                if (k->slot == 0)
                        k->over = adopt_is_over(x->arbiter, tree_child_name(k), k->monitor);
        return r;
}

/* The life that its place speaks of, and that is not over yet. */
static bool goes_on(const struct tree_child *k) {
        supervise_slot_info slot;
        supervise_info i;

        if (supervise_get_slot(k->parent->set.supervise, k->slot, &slot) < 0)
                return false;
        supervise_get_info(k->monitor->set.supervise, &i);
        return slot.generation == i.life && (slot.state == SUPERVISE_SLOT_STARTING ||
                                                            slot.state == SUPERVISE_SLOT_RUNNING ||
                                                            slot.state == SUPERVISE_SLOT_STOPPING);
}

static int adopt_child_monitor(struct tree_child *k) {
        arbiter_monitor *m = k->monitor;
        supervise_info i;
        aid actor = {};
        int r;

        r = monitor_is_pool(m) ? monitor_make_pool(m, m->tree.workers) : tree_make_set(m);
        if (r >= 0)
                r = adopt_monitor(m, m->tree.workers, &actor);
        if (r == 0 && m->worker) {
                roll_add_definition(m, m->revision, m->worker);
                return 0;
        }
        if (r <= 0)
                return r;
        m->set.revive = m->stopping = false; /* that is its parent's to say */
        m->started = true;
        supervise_get_info(m->set.supervise, &i);
        m->tree.life = i.life;
        m->tree.alive = k->slot > 0 && goes_on(k);
        if (m->tree.alive)
                r = monitor_start_actor(m, &actor);
        return r < 0 ? r : adopt_workers(m);
}

int tree_adopt_children(arbiter_monitor *m) {
        int r = 0;

        LIST_FOREACH(k, &m->tree.children, struct tree_child, children)
                if (r >= 0 && k->monitor)
                        r = adopt_child_monitor(k);
        return r;
}

/* Going on. */

static void keep_promise(struct tree_child *k) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct set_slot *slot = k->slot > 0 ? &k->parent->set.slots[k->slot] : NULL;

        if (!slot && k->configured && !k->over)
                return; /* it is new: tree_add_missing() starts it, and keeps the promise */
        f = TAKE_PTR(k->promised);
        if (!f || !f->pending)
                return;
        if (slot && slot->child && slot->child->state <= ARBITER_STATE_RUNNING)
                (void) adopt_promise_life(slot->child, f);
        else if (slot && !slot->future)
                slot->future = TAKE_PTR(f);
        else
                future_fail(f, ARBITER_OUTCOME_CANCELLED, "it was stopped before this arbiter");
}

static void resume_child(struct tree_child *k) {
        struct set *s = &k->parent->set;

        if (k->removed) {
                (void) set_handle(s, &(supervise_event){ .type = SUPERVISE_REMOVE_CHILD, .slot = k->slot });
                return;
        }
        if (k->changed)
                k->revision++;
        k->changed = false;
        (void) set_handle(s, &(supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED,
                                             .slot = k->slot,
                                             .restart = tree_restart_of(k),
                                             .significant = k->significant,
                                             .shutdown = k->shutdown,
                                             .revision = k->revision });
}

void tree_resume(arbiter_monitor *m) {
        if (monitor_is_pool(m))
                return;
        tree_order(m);
        LIST_FOREACH(k, &m->tree.children, struct tree_child, children) {
                keep_promise(k);
                if (k->slot > 0)
                        resume_child(k);
        }
        tree_add_missing(m);
}

bool tree_lives(const struct set *s, uint32_t slot, uint64_t generation) {
        const struct tree_child *k = slot < s->n_slots ? s->slots[slot].tree : NULL;

        return k && k->monitor && k->monitor->tree.alive && k->monitor->tree.life == generation;
}
