/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The re-adoption of sets: of monitors and of the lone actors. What supervise had decided is decoded, the
 * lives that it speaks of are put into their slots, and in the end what it wants is asked of it anew. Called
 * by monitor.c and spawn-start.c for what is configured, by adopt.c for the rest. */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/adoption.h"

/* Sets. */

static int decode_set(struct adoption *x, const struct legacy *l, struct state_set *set, supervise **ret) {
        _cleanup_(supervise_freep) supervise *s = NULL;
        uint8_t key[STATE_KEY_MAX];
        struct state_entry e;
        int r;

        r = state_journal_get(x->arbiter->state.journal, STATE_SET, key, state_set_key(l->s.name, key), &e);
        if (r >= 0)
                r = state_decode_set(&e, x->version, set);
        if (r >= 0)
                r = supervise_decode_begin(set->head, set->size, &s);
        LIST_FOREACH(o, &l->slots, struct old_slot, slots)
                if (r >= 0)
                        r = supervise_decode_slot(s, o->slot, o->data, o->size);
        if (r >= 0)
                r = supervise_decode_finish(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

static void restore_sums(struct set *s, const struct state_set *old) {
        s->sums.restarts = old->restarts;
        s->sums.starts = old->starts;
        s->sums.start_usec = old->start_usec;
        s->sums.cpu_usec = old->cpu_usec;
        for (size_t i = 0; i < MIN(ELEMENTSOF(s->sums.deaths), ELEMENTSOF(old->deaths)); i++)
                s->sums.deaths[i] = old->deaths[i];
}

/* In place of what set_init() has made. */
static int restore_set(struct adoption *x, const struct legacy *l, struct set *s) {
        struct state_set *old = malloc(sizeof(*old));
        supervise *found = NULL;
        supervise_info info;
        int r;

        if (!old)
                return -ENOMEM;
        r = decode_set(x, l, old, &found);
        if (r >= 0 && s->monitor && s->monitor->tree.stand_in) /* nobody says what it should be */
                s->monitor->policy = *supervise_get_policy(found);
        else if (r >= 0)
                r = supervise_set_policy(found, supervise_get_policy(s->supervise));
        if (r >= 0) {
                supervise_get_info(found, &info);
                r = set_reserve(s, MAX(info.slot_max, 1U));
        }
        if (r >= 0) {
                supervise_free(s->supervise);
                s->supervise = TAKE_PTR(found);
                restore_sums(s, old);
        }
        supervise_free(found);
        free(old);
        return r;
}

/* The life that its slot speaks of: else it was over, or never began. */
static bool belongs(const struct set *s, const struct orphan *o) {
        supervise_slot_info i;

        return !o->taken && supervise_get_slot(s->supervise, o->s.slot, &i) >= 0 &&
               i.generation == o->s.set_generation && o->s.slot < s->n_slots &&
               !s->slots[o->s.slot].child &&
               (i.state == SUPERVISE_SLOT_STARTING || i.state == SUPERVISE_SLOT_RUNNING ||
                               i.state == SUPERVISE_SLOT_DRAINING || i.state == SUPERVISE_SLOT_STOPPING);
}

/* One life that cannot be taken over, whyever, must not keep the others from it: its place is empty then. */
static int adopt_or_discard(struct adoption *x, struct orphan *o, arbiter_spawn *base, struct set *set) {
        int r = adopt_child(x, o, base, set);

        if (r >= 0 || r == -ENOMEM)
                return r;
        arbiter_log(x->arbiter, LOG_ERR, NULL, "adopted", "%s cannot be taken over: %s", o->s.name,
                        strerror(-r));
        adopt_discard(x, o);
        return 0;
}

/* Monitors. */

static void adopt_host(struct adoption *x, struct legacy *l, arbiter_monitor *m) {
        struct orphan *o = aid_is_null(&l->s.host) ? NULL : map_get(x->orphans, l->s.host.c, AID_SIZE);

        if (o && o->lives && o->child && o->child->stop_stage == CHILD_STOP_NONE)
                m->host = o->child;
}

/* Its name goes on, too. */
static void restore_actor(struct adoption *x, const struct legacy *l, aid *ret) {
        struct orphan *o = map_get(x->orphans, l->s.actor.c, AID_SIZE);
        struct name_memory *n = map_get_string(x->arbiter->names, l->s.name);

        *ret = (aid){};
        if (!o || o->s.role != STATE_ROLE_MONITOR)
                return;
        o->taken = true;
        *ret = l->s.actor;
        if (n && n->generation == o->s.generation)
                n->generation--; /* it is given again */
}

/* What its revisions are: a roll that was under way goes on, and can still turn back. */
static int restore_definitions(struct adoption *x, const struct legacy *l, arbiter_monitor *m) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < l->s.n_definitions; i++) {
                const struct state_definition *d = &l->s.definitions[i];
                _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *spawn = NULL;

                bool same = adopt_spawn_is_same(x, &d->spawn, m->worker);

                if (same)
                        spawn = arbiter_spawn_ref(m->worker);
                else
                        r = adopt_spawn(x, &d->spawn, m->worker, &spawn);
                if (r >= 0)
                        r = roll_restore(m, d, spawn,
                                        same || adopt_spawn_is_whole(x, &d->spawn, m->worker));
        }
        return r;
}

int adopt_monitor(arbiter_monitor *m, unsigned workers, aid *ret_actor) {
        struct adoption *x = m->arbiter->adoption;
        struct legacy *l = x ? map_get_string(x->legacies_by_name, m->name) : NULL;
        supervise_info info;
        int r;

        if (!l || l->taken)
                return 0;
        (void) adopt_is_over(m->arbiter, m->name, true); /* it may be on its way there */
        l->taken = true; /* or there is nothing to be had of it, and its lives are killed */
        r = restore_set(x, l, &m->set);
        if (r < 0) {
                arbiter_log(m->arbiter, LOG_ERR, NULL, "adopted",
                                "what was left of monitor %s cannot be used, it begins anew: %s", m->name,
                                strerror(-r));
                return r == -ENOMEM ? r : 0;
        }
        m->revision = l->s.revision;
        r = state_use_left(m->arbiter, &l->s.worker, &m->state_spawn);
        if (r >= 0)
                r = m->worker ? restore_definitions(x, l, m) : tree_adopt_set(x, m);
        if (r < 0)
                return r;
        l->monitor = arbiter_monitor_ref(m);
        supervise_get_info(m->set.supervise, &info);
        m->workers = m->worker ? info.n_wanted : 0;
        m->failed = l->s.failed;
        m->configured = workers;
        l->wanted = workers != l->s.configured ? workers : UINT32_MAX;
        m->set.revive = x->was_stopping;
        m->stopping = l->s.stopping && !x->was_stopping;
        restore_actor(x, l, ret_actor);
        r = m->worker ? roll_resize(m, m->workers) : 0;
        return r < 0 ? r : 1;
}

int adopt_workers(arbiter_monitor *m) {
        struct adoption *x = m->arbiter->adoption;
        struct legacy *l = map_get_string(x->legacies_by_name, m->name);
        int r;

        l->changed = m->worker && !m->tree.stand_in && !adopt_spawn_is_same(x, &l->s.worker, m->worker);
        LIST_FOREACH(o, &l->orphans, struct orphan, orphans) {
                if (o->s.role != STATE_ROLE_WORKER || !belongs(&m->set, o))
                        continue;
                r = adopt_or_discard(x, o, m->worker ? m->worker : m->set.slots[o->s.slot].spawn, &m->set);
                if (r < 0)
                        return r;
        }
        adopt_host(x, l, m);
        r = tree_adopt_children(m);
        if (r < 0)
                return r;
        status_count_set(&m->set);
        x->report.monitors++;
        return 0;
}

/* Lone actors. */

int adopt_root(struct adoption *x) {
        struct set *root = &x->arbiter->root;
        int r;

        r = restore_set(x, &x->root, root);
        if (r == -ENOMEM)
                return r;
        if (r < 0 && r != -ENOENT)
                arbiter_log(x->arbiter, LOG_ERR, NULL, "adopted",
                                "what was left of the lone actors cannot be used, they begin anew: %s",
                                strerror(-r));
        x->root.taken = r >= 0;
        root->revive = x->was_stopping;
        return 0;
}

/* One of a definition: of that, too, what was not written down. */
static int adopt_instance(struct adoption *x, const struct state_key *key, arbiter_spawn *base,
                arbiter_spawn **ret) {
        struct state_entry e;
        int r;

        r = adopt_find_spawn(x, key, &e);
        if (r >= 0)
                r = state_decode_spawn(x->arbiter, &e, x->version, base, ret);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return adopt_spawn(x, key, NULL, ret);
        if (state_spawn_same(*ret, base))
                probe_set_copy(&base->probes, &(*ret)->probes);
        return 0;
}

static int take_vacancy(struct adoption *x, struct vacancy *v, arbiter_spawn *configured,
                arbiter_spawn *base) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *spawn = NULL;
        struct set *root = &x->arbiter->root;
        supervise_slot_info i;
        struct set_slot *k;
        struct orphan *o;
        int r;

        v->taken = true;
        if (supervise_get_slot(root->supervise, v->s.slot, &i) < 0 || v->s.slot >= root->n_slots)
                return -ENOENT;
        r = base ? adopt_instance(x, &v->s.spawn, base, &spawn)
                 : adopt_spawn(x, &v->s.spawn, configured, &spawn);
        if (r < 0)
                return r;
        v->changed = configured && !adopt_spawn_is_same(x, &v->s.spawn, configured);
        k = &root->slots[v->s.slot];
        k->spawn = arbiter_spawn_ref(configured ? configured : spawn);
        k->wanted_aid = v->s.wanted;
        k->spawner = v->s.spawner;
        k->transient = v->s.transient && !configured;
        r = state_use_left(x->arbiter, &v->s.spawn, &k->state_spawn);
        if (r < 0)
                return r;
        o = map_get_u64(x->lone, v->s.slot);
        return o && belongs(root, o) ? adopt_or_discard(x, o, k->spawn, root) : 0;
}

int adopt_promise_life(struct child *c, arbiter_future *f) {
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *p = NULL;
        int r;

        r = arbiter_proxy_new(c->aid_string.s, c->name, c->generation, &p);
        if (r < 0)
                return r;
        f->spawn_aid = c->aid;
        f->spawn_aid_string = c->aid_string;
        if (c->state == ARBITER_STATE_RUNNING) {
                future_resolve_proxy(f, p);
                return 0;
        }
        c->proxy = TAKE_PTR(p);
        c->future = arbiter_future_ref(f);
        return 0;
}

/* Who asked for it to be started is told when it runs; it may run already. */
static int promise(arbiter *a, uint32_t slot, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct set_slot *k = &a->root.slots[slot];
        supervise_slot_info i;
        int r;

        r = future_new(a->actor, &f);
        if (r < 0)
                return r;
        if (k->child && k->child->state <= ARBITER_STATE_RUNNING)
                r = adopt_promise_life(k->child, f);
        else if (supervise_get_slot(a->root.supervise, slot, &i) >= 0 &&
                        (i.state == SUPERVISE_SLOT_BACKOFF || i.state == SUPERVISE_SLOT_STARTING)) {
                arbiter_future_unref(k->future);
                k->future = arbiter_future_ref(f);
        } else
                future_fail(f, ARBITER_OUTCOME_CANCELLED,
                                "'%s' was stopped, or has ended, before this arbiter", k->spawn->name);
        if (r >= 0 && ret)
                *ret = TAKE_PTR(f);
        return r;
}

int adopt_lone(arbiter_spawn *s, arbiter_future **ret) {
        arbiter *a = s->arbiter;
        struct adoption *x = a->adoption;
        struct vacancy *v = x ? map_get_string(x->vacancies_by_name, s->name) : NULL;
        int r;

        if (!v || v->taken)
                return 0;
        r = take_vacancy(x, v, s, NULL);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = promise(a, v->s.slot, ret);
        return r < 0 ? r : 1;
}

/* What nobody has claimed. */

static bool is_failed_file(const arbiter *a, const char *name, const char *suffix) {
        char file[NAME_MAX_LENGTH + 16];

        (void) snprintf(file, sizeof(file), "%s%s", name, suffix);
        for (char **f = a->failed_files; f && *f; f++)
                if (streq(*f, file))
                        return true;
        return false;
}

static void tell_unwanted(struct adoption *x, const char *name, const char *what, const char *suffix) {
        bool failed = is_failed_file(x->arbiter, name, suffix);

        x->report.stopped++;
        arbiter_log(x->arbiter, failed ? LOG_ERR : LOG_NOTICE, NULL, "adopted",
                        failed ? "%s %s is stopped: %s%s has errors, and nobody knows how to run it any more"
                               : "%s %s is stopped: there is no %s%s any more",
                        what, name, name, suffix);
}

static void stop_legacy(struct adoption *x, struct legacy *l) {
        _cleanup_(arbiter_monitor_unrefp) arbiter_monitor *m = NULL;
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *worker = NULL;
        int r;

        tell_unwanted(x, l->s.name, "monitor", ".monitor");
        l->unwanted = true;
        r = state_key_is_null(&l->s.worker) ? 0 : adopt_spawn(x, &l->s.worker, NULL, &worker);
        if (r >= 0)
                r = arbiter_monitor_new(x->arbiter, l->s.name, worker, NULL, &m);
        if (r >= 0)
                m->tree.stand_in = true;
        if (r >= 0)
                r = arbiter_monitor_start(m, l->s.configured, NULL);
        if (r < 0)
                arbiter_log(x->arbiter, LOG_ERR, NULL, "adopted",
                                "monitor %s cannot be stopped in order, its workers are killed: %s",
                                l->s.name, strerror(-r));
}

static arbiter_spawn *find_base(arbiter *a, const char *definition) {
        arbiter_spawn *s = map_get_string(a->definitions, definition);
        arbiter_monitor *m = s ? NULL : arbiter_find_monitor(a, definition);
        uint32_t slot;

        if (s || (m && m->worker))
                return s ? s : m->worker;
        slot = root_find_slot(a, definition);
        return slot > 0 ? a->root.slots[slot].spawn : NULL;
}

/* Spawned at run time, it goes on, as it would in a reload that does not find its definition any more: only
 * it cannot be started again then. */
static void settle_vacancy(struct adoption *x, struct vacancy *v) {
        bool instance = !streq(v->spawn.definition, v->spawn.name);
        arbiter_spawn *base = NULL;
        int r;

        v->unwanted = !v->s.transient;
        if (v->unwanted)
                tell_unwanted(x, v->spawn.name, "actor", ".actor");
        else if (instance)
                base = find_base(x->arbiter, v->spawn.definition);
        r = take_vacancy(x, v, NULL, base);
        if (r < 0)
                arbiter_log(x->arbiter, LOG_ERR, NULL, "adopted", "%s cannot be taken over: %s",
                                v->spawn.name, strerror(-r));
}

static void discard_all(struct adoption *x, struct legacy *l) {
        LIST_FOREACH(o, &l->orphans, struct orphan, orphans)
                if (!o->taken)
                        adopt_discard(x, o);
}

static bool is_child(struct adoption *x, const char *monitor) {
        LIST_FOREACH(k, &x->children, struct old_child, children)
                if (k->s.is_monitor && streq(k->s.name, monitor))
                        return true;
        return false;
}

void adopt_rest(struct adoption *x) {
        /* Those that are children go with their monitors. */
        LIST_FOREACH(l, &x->legacies, struct legacy, legacies)
                if (!l->taken && !is_child(x, l->s.name))
                        stop_legacy(x, l);
        LIST_FOREACH(l, &x->legacies, struct legacy, legacies)
                if (!l->taken)
                        stop_legacy(x, l);
        LIST_FOREACH(v, &x->vacancies, struct vacancy, vacancies)
                if (!v->taken)
                        settle_vacancy(x, v);
        LIST_FOREACH(l, &x->legacies, struct legacy, legacies)
                discard_all(x, l);
        discard_all(x, &x->root);
}

/* Going on. */

/* A slot of which the journal says that somebody lives there, and nobody does: its end has got lost, or it
 * was to be stopped before it was started. */
static void report_missing(struct set *s) {
        supervise_info info;

        supervise_get_info(s->supervise, &info);
        for (uint32_t i = 1; i <= info.slot_max; i++) {
                supervise_slot_info slot;

                if (supervise_get_slot(s->supervise, i, &slot) < 0 ||
                                (i < s->n_slots && s->slots[i].child) || tree_lives(s, i, slot.generation))
                        continue;
                if (slot.state == SUPERVISE_SLOT_RUNNING || slot.state == SUPERVISE_SLOT_DRAINING ||
                                slot.state == SUPERVISE_SLOT_STOPPING)
                        (void) set_handle(s,
                                        &(supervise_event){
                                                        .type = SUPERVISE_EXITED,
                                                        .slot = i,
                                                        .generation = slot.generation,
                                                        .reason = slot.state == SUPERVISE_SLOT_STOPPING
                                                                        ? ARBITER_REASON_SHUTDOWN
                                                                        : ARBITER_REASON_UNKNOWN,
                                                        .normal = slot.state == SUPERVISE_SLOT_STOPPING,
                                        });
        }
}

static void resume_monitor(struct legacy *l) {
        arbiter_monitor *m = l->monitor;

        if (!m || !m->arbiter || !m->started)
                return;
        arbiter_monitor_ref(m);
        set_resume(&m->set);
        if (m->arbiter)
                report_missing(&m->set);
        if (m->arbiter)
                autoscale_policy_changed(m);
        if (m->arbiter && l->unwanted)
                (void) arbiter_monitor_stop(m, NULL);
        else if (m->arbiter && !m->stopping && tree_is_up(m)) {
                tree_resume(m);
                if (l->changed)
                        (void) arbiter_monitor_restart(m, m->worker, NULL);
                if (l->wanted != UINT32_MAX && l->wanted != m->workers)
                        (void) arbiter_monitor_scale(m, l->wanted, NULL);
        }
        arbiter_monitor_unref(m);
}

static void resume_vacancy(struct adoption *x, const struct vacancy *v) {
        struct set *root = &x->arbiter->root;
        supervise_slot_info i;

        if (supervise_get_slot(root->supervise, v->s.slot, &i) < 0)
                return;
        if (v->unwanted)
                (void) set_handle(root,
                                &(supervise_event){ .type = SUPERVISE_REMOVE_CHILD, .slot = v->s.slot });
        else if (v->changed)
                (void) set_handle(root,
                                &(supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED,
                                                .slot = v->s.slot,
                                                .restart = spawn_root_restart(
                                                                root->slots[v->s.slot].spawn),
                                                .revision = i.revision_wanted + 1 });
}

void adopt_resume(struct adoption *x) {
        arbiter *a = x->arbiter;

        if (x->root.taken) {
                set_resume(&a->root);
                report_missing(&a->root);
        }
        LIST_FOREACH(v, &x->vacancies, struct vacancy, vacancies)
                resume_vacancy(x, v);
        LIST_FOREACH(l, &x->legacies, struct legacy, legacies)
                resume_monitor(l);
}
