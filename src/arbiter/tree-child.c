/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Child specifications: what a monitor of different children has to look after, in start order, whether or
 * not it has a place in the set just now (a temporary child that has ended has none). Called by tree.c,
 * tree-verb.c and set.c. Must never leave a slot without its specification, nor the other way round. */

#include "arbiter/internal.h"

/* Finding. */

struct tree_child *tree_find(arbiter *a, const char *name) {
        return map_get_string(a->places, name);
}

const char *tree_child_name(const struct tree_child *k) {
        return k->monitor ? k->monitor->name : k->spawn->name;
}

int tree_find_child(const arbiter_monitor *m, const char *name, struct tree_child **ret) {
        struct tree_child *k;

        if (!m || !name)
                return -EINVAL;
        if (!m->arbiter)
                return -ESHUTDOWN;
        k = tree_find(m->arbiter, name);
        if (!k || k->parent != m || k->removed)
                return -ENOENT;
        *ret = k;
        return 0;
}

/* Its place in the set. */

static bool is_started(const arbiter_monitor *m) {
        return m->tree.place ? m->tree.alive : m->started;
}

supervise_restart tree_restart_of(const struct tree_child *k) {
        return k->spawn ? monitor_restart_of(k->spawn) : k->restart;
}

/* Behind it in order, and with a place. */
static uint32_t slot_behind(const struct tree_child *k) {
        const struct list_node *head = &k->parent->tree.children;

        for (const struct list_node *n = k->children.next; n != head; n = n->next) {
                const struct tree_child *other = LIST_ENTRY(n, struct tree_child, children);

                if (other->slot > 0 && !other->removed)
                        return other->slot;
        }
        return 0;
}

static void fill_slot(struct tree_child *k, uint32_t slot, arbiter_future *f) {
        struct set *s = &k->parent->set;

        k->slot = slot;
        s->slots[slot] = (struct set_slot){
                .spawn = arbiter_spawn_ref(k->spawn),
                .tree = k,
                .future = arbiter_future_ref(f),
                .transient = !k->configured,
        };
        state_mark_rest(s->arbiter, tree_child_name(k), k->monitor, false);
        state_put_place(s, slot);
}

static int take_slot(struct tree_child *k, arbiter_future *f) {
        struct set *s = &k->parent->set;
        int slot;

        slot = set_add_child(s, &(supervise_event){ .type = SUPERVISE_ADD_CHILD,
                                                .restart = tree_restart_of(k),
                                                .significant = k->significant,
                                                .shutdown = k->shutdown,
                                                .revision = k->revision,
                                                .before = slot_behind(k) });
        if (slot < 0)
                return slot;
        fill_slot(k, (uint32_t) slot, f);
        if (is_started(k->parent))
                (void) set_handle(s, &(supervise_event){ .type = SUPERVISE_TICK });
        return 0;
}

static int move(struct tree_child *k, struct list_node *before) {
        arbiter_monitor *m = k->parent;
        struct list_node *behind = k->children.next;
        int r = 0;

        if (before == &k->children || before == behind)
                return 0;
        list_remove(&k->children);
        list_insert_before(before, &k->children);
        if (k->slot > 0)
                r = set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_MOVE_CHILD,
                                                        .slot = k->slot,
                                                        .before = slot_behind(k) });
        if (r < 0) { /* as if it had not been tried */
                list_remove(&k->children);
                list_insert_before(behind, &k->children);
        }
        return r;
}

void tree_order(arbiter_monitor *m) {
        struct set *s = &m->set;
        bool in_order = true;
        uint32_t at = 0;

        LIST_FOREACH(k, &m->tree.children, struct tree_child, children) {
                if (k->slot == 0 || k->removed)
                        continue;
                do
                        at = supervise_next_child(s->supervise, at);
                while (at > 0 && at < s->n_slots && s->slots[at].removed);
                in_order = in_order && at == k->slot;
        }
        LIST_FOREACH(k, &m->tree.children, struct tree_child, children)
                if (!in_order && k->slot > 0 && !k->removed)
                        (void) set_handle(s, &(supervise_event){ .type = SUPERVISE_MOVE_CHILD,
                                                             .slot = k->slot });
}

/* Forgetting. */

void tree_free_child(struct tree_child *k) {
        arbiter *a = k->parent->arbiter;
        arbiter_monitor *m = k->monitor;

        list_remove(&k->children);
        if (a)
                (void) map_remove_string(a->places, tree_child_name(k));
        if (m) {
                if (a && m->arbiter)
                        monitor_gone(m);
                m->tree.place = NULL;
                arbiter_monitor_unref(m);
        }
        waiters_resolve(&k->stops);
        waiters_resolve(&k->removals);
        if (a && k->promised)
                future_fail(k->promised, ARBITER_OUTCOME_CANCELLED,
                                "it was removed before it was started");
        arbiter_future_unref(k->promised);
        arbiter_spawn_unref(k->spawn);
        free(k);
}

void tree_forget_slot(struct set *s, uint32_t slot) {
        struct tree_child *k = s->slots[slot].tree;

        if (!k)
                return;
        k->slot = 0;
        s->slots[slot].tree = NULL;
        if (k->removed || !k->configured)
                tree_free_child(k);
}

void tree_dismiss(arbiter_monitor *m) {
        struct tree_child *k;

        while ((k = LIST_FIRST(&m->tree.children, struct tree_child, children))) {
                if (k->slot > 0 && k->slot < m->set.n_slots) {
                        if (m->arbiter)
                                state_forget_place(&m->set, k->slot);
                        m->set.slots[k->slot].tree = NULL;
                }
                tree_free_child(k);
        }
}

void tree_child_is_down(struct tree_child *k) {
        waiters_resolve(&k->stops);
}

void tree_renew(arbiter_monitor *m) {
        if (monitor_is_pool(m))
                return;
        LIST_FOREACH(k, &m->tree.children, struct tree_child, children)
                if (k->slot > 0 && !k->configured)
                        (void) set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_REMOVE_CHILD,
                                                                   .slot = k->slot });
        LIST_FOREACH(k, &m->tree.children, struct tree_child, children)
                k->over = false;
        tree_order(m);
        tree_add_missing(m);
}

void tree_add_missing(arbiter_monitor *m) {
        LIST_FOREACH(k, &m->tree.children, struct tree_child, children)
                if (k->slot == 0 && k->configured && !k->over && take_slot(k, k->promised) >= 0)
                        k->promised = arbiter_future_unref(k->promised);
}

/* Adding. */

static int check_spec(const arbiter_monitor *m, const struct tree_child *k) {
        supervise_restart restart = tree_restart_of(k);

        if (k->significant && (restart == SUPERVISE_PERMANENT ||
                                              m->policy.auto_shutdown == SUPERVISE_AUTO_SHUTDOWN_NEVER))
                return -EINVAL;
        if (k->monitor && k->shutdown != SUPERVISE_SHUTDOWN_DEFAULT &&
                        k->shutdown != SUPERVISE_SHUTDOWN_INFINITY)
                return -EINVAL;
        return k->monitor && !monitor_is_pool(k->monitor) && k->monitor->tree.workers > 0 ? -EINVAL : 0;
}

static unsigned depth_below(const arbiter_monitor *m) {
        unsigned depth = 0;

        LIST_FOREACH(k, &m->tree.children, const struct tree_child, children) {
                unsigned below = k->monitor ? depth_below(k->monitor) + 1 : 0;

                depth = MAX(depth, below);
        }
        return depth;
}

static int new_child(arbiter_monitor *m, arbiter_spawn *spawn, arbiter_monitor *child,
                const arbiter_child_spec *spec, struct tree_child **ret) {
        struct tree_child *k = malloc(sizeof(*k));

        if (!k)
                return -ENOMEM;
        *k = (struct tree_child){
                .parent = m,
                .spawn = spawn,
                .monitor = child,
                .configured = spec->configured || !is_started(m),
                .revision = 1,
        };
        list_init(&k->children);
        list_init(&k->stops);
        list_init(&k->removals);
        *ret = k;
        return 0;
}

int tree_append(arbiter_monitor *m, arbiter_spawn *spawn, arbiter_monitor *child, struct tree_child **ret) {
        static const arbiter_child_spec defaults = { .size = sizeof(defaults) };
        struct tree_child *k;
        int r;

        r = new_child(m, spawn, child, &defaults, &k);
        if (r < 0)
                return r;
        r = map_put_string(m->arbiter->places, tree_child_name(k), k);
        if (r < 0) {
                free(k);
                return r;
        }
        list_append(&m->tree.children, &k->children);
        arbiter_spawn_ref(spawn);
        if (child) {
                child->tree.stand_in = true;
                arbiter_monitor_ref(child)->tree.place = k;
        }
        *ret = k;
        return 0;
}

static int check_place(const arbiter_monitor *m, const arbiter_monitor *child) {
        unsigned depth = 1;

        for (const arbiter_monitor *i = m; i; i = i->tree.place ? i->tree.place->parent : NULL) {
                if (i == child)
                        return -ELOOP;
                depth++;
        }
        if (child && depth + depth_below(child) > TREE_DEPTH_MAX)
                return -ELOOP;
        return 0;
}

static nsec_t shutdown_of(const arbiter_child_spec *spec) {
        if (spec->shutdown_usec <= ARBITER_SHUTDOWN_BRUTAL)
                return spec->shutdown_usec == ARBITER_SHUTDOWN_BRUTAL ? SUPERVISE_SHUTDOWN_BRUTAL
                                                                      : SUPERVISE_SHUTDOWN_DEFAULT;
        return spec->shutdown_usec > UINT64_MAX / NSEC_PER_USEC ? SUPERVISE_SHUTDOWN_INFINITY
                                                                : spec->shutdown_usec * NSEC_PER_USEC;
}

static int find_before(arbiter_monitor *m, const char *name, struct list_node **ret) {
        struct tree_child *k = name ? tree_find(m->arbiter, name) : NULL;

        if (name && (!k || k->parent != m))
                return -ENOENT;
        *ret = k ? &k->children : &m->tree.children;
        return 0;
}

static int make_future(arbiter_monitor *m, arbiter_monitor *child, arbiter_future **ret) {
        int r;

        r = future_new(m->arbiter->actor, ret);
        if (r >= 0 && child) {
                arbiter_future_unref(child->start_future);
                child->start_future = arbiter_future_ref(*ret);
        }
        return r;
}

static int check_parent(const arbiter_monitor *m) {
        if (!m || monitor_is_pool(m))
                return -EINVAL;
        return !m->arbiter || m->stopping || m->arbiter->actor->state >= ARBITER_STATE_STOPPING ? -ESHUTDOWN
                                                                                               : 0;
}

static void take_back(struct tree_child *k) {
        if (k->monitor) {
                k->monitor->tree.place = NULL;
                arbiter_monitor_unref(k->monitor);
        }
        arbiter_spawn_unref(k->spawn);
        list_remove(&k->children);
        (void) map_remove_string(k->parent->arbiter->places, tree_child_name(k));
        free(k);
}

/* Takes k; on failure it is as if it had not been tried. */
static int insert(struct tree_child *k, struct list_node *before, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter_monitor *m = k->parent;
        int r;

        r = map_put_string(m->arbiter->places, tree_child_name(k), k);
        if (r < 0) {
                free(k);
                return r;
        }
        list_insert_before(before, &k->children);
        arbiter_spawn_ref(k->spawn);
        if (k->monitor)
                arbiter_monitor_ref(k->monitor)->tree.place = k;
        r = ret ? make_future(m, k->monitor, &f) : 0;
        if (r >= 0)
                r = take_slot(k, k->spawn ? f : NULL);
        if (r == -ESHUTDOWN && k->configured) { /* it is there when the monitor comes up again */
                k->promised = k->spawn ? arbiter_future_ref(f) : NULL;
                r = 0;
        }
        if (r < 0) {
                take_back(k);
                return r;
        }
        if (ret)
                *ret = TAKE_PTR(f);
        return 0;
}

int tree_read_spec(const arbiter_monitor *m, const arbiter_child_spec *spec, struct tree_child *k) {
        static const arbiter_child_spec defaults = { .size = sizeof(defaults) };

        spec = spec ? spec : &defaults;
        if (spec->size < sizeof(*spec) || (unsigned) spec->restart > ARBITER_RESTART_TEMPORARY)
                return -EINVAL;
        k->restart = (supervise_restart) spec->restart;
        k->significant = spec->significant;
        k->shutdown = shutdown_of(spec);
        return check_spec(m, k);
}

static int add_child(arbiter_monitor *m, arbiter_spawn *spawn, arbiter_monitor *child,
                const arbiter_child_spec *spec, arbiter_future **ret) {
        static const arbiter_child_spec defaults = { .size = sizeof(defaults) };
        struct list_node *before;
        struct tree_child *k;
        int r;

        spec = spec ? spec : &defaults;
        if (spec->size < sizeof(*spec) || spec->workers > SUPERVISE_SLOTS_MAX ||
                        (spawn && spec->workers > 0))
                return -EINVAL;
        r = tree_make_set(m);
        if (r >= 0)
                r = find_before(m, spec->before, &before);
        if (r >= 0)
                r = check_place(m, child);
        if (r >= 0)
                r = new_child(m, spawn, child, spec, &k);
        if (r < 0)
                return r;
        if (child)
                child->tree.workers = spec->workers;
        r = tree_read_spec(m, spec, k);
        if (r < 0) {
                free(k);
                return r;
        }
        return insert(k, before, ret);
}

_public_ int arbiter_monitor_move_child(arbiter_monitor *m, const char *name, const char *before) {
        struct list_node *at;
        struct tree_child *k;
        int r;

        r = tree_find_child(m, name, &k);
        if (r >= 0)
                r = find_before(m, before, &at);
        return r < 0 ? r : move(k, at);
}

_public_ int arbiter_monitor_add_actor(arbiter_monitor *m, arbiter_spawn *child,
                const arbiter_child_spec *spec, arbiter_future **ret) {
        int r;

        if (!child)
                return -EINVAL;
        r = check_parent(m);
        if (r >= 0)
                r = spawn_check(child, NULL);
        if (r < 0)
                return r;
        if (names_is_taken(m->arbiter, child->name))
                return -EEXIST;
        return add_child(m, child, NULL, spec, ret);
}

_public_ int arbiter_monitor_add_monitor(arbiter_monitor *m, arbiter_monitor *child,
                const arbiter_child_spec *spec, arbiter_future **ret) {
        int r;

        if (!child || !child->arbiter)
                return -EINVAL;
        r = check_parent(m);
        if (r < 0)
                return r;
        if (child->arbiter != m->arbiter)
                return -EINVAL;
        if (child->started || child->tree.place || child->stopping)
                return -EBUSY;
        return add_child(m, NULL, child, spec, ret);
}
