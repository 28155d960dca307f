/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A re-adoption as a whole: its beginning, and its end, when it is told what has become of it. Called by
 * arbiter.c and the program. Must never carry anything out before all of it is known: that is for
 * arbiter_adopt_done(). */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/adoption.h"
#include "arbiter/relink.h"

static void free_legacy(struct legacy *l) {
        LIST_FOREACH(s, &l->slots, struct old_slot, slots)
                free(s);
        if (l->monitor)
                arbiter_monitor_unref(l->monitor);
}

void adopt_free(struct adoption *x) {
        if (!x)
                return;
        adopt_free_spawns(x);
        map_free(x->lone, NULL);
        map_free(x->orphans, free);
        map_free(x->vacancies_by_name, free);
        map_free(x->rests, free);
        LIST_FOREACH(k, &x->children, struct old_child, children)
                free(k);
        LIST_FOREACH(l, &x->legacies, struct legacy, legacies) {
                free_legacy(l);
                free(l);
        }
        map_free(x->legacies_by_name, NULL);
        free_legacy(&x->root);
        free(x);
}

static int new_adoption(arbiter *a, struct adoption **ret) {
        struct adoption *x = calloc(1, sizeof(*x));
        int r;

        if (!x)
                return -ENOMEM;
        *x = (struct adoption){ .arbiter = a, .version = a->state.left->version };
        x->was_stopping = a->state.left->stopping;
        x->report.takeovers = a->state.left->takeovers + 1;
        adopt_init_legacy(&x->root);
        list_init(&x->legacies);
        list_init(&x->vacancies);
        list_init(&x->children);
        list_init(&x->spawns);
        r = map_new(&x->orphans);
        if (r >= 0)
                r = map_new(&x->lone);
        if (r >= 0)
                r = map_new(&x->legacies_by_name);
        if (r >= 0)
                r = map_new(&x->vacancies_by_name);
        if (r >= 0)
                r = map_new(&x->rests);
        if (r < 0) {
                adopt_free(x);
                return r;
        }
        *ret = x;
        return 0;
}

int adopt_begin(arbiter *a) {
        struct adoption *x;
        int r;

        if (!a->state.left)
                return 0;
        r = new_adoption(a, &x);
        if (r < 0)
                return r;
        adopt_restore_arbiter(a, a->state.left);
        r = adopt_read(x);
        if (r >= 0)
                r = adopt_root(x);
        if (r < 0) {
                adopt_free(x);
                return r;
        }
        a->adoption = x;
        a->resumed_usec = now_usec(); /* nobody was silent while nobody listened */
        relinks_hold(a);
        return x->root.taken;
}

/* Who asked for a life pays for it. */
static void restore_payers(struct adoption *x) {
        void *position = NULL;
        struct orphan *o;

        while ((o = map_next(x->orphans, &position))) {
                struct child *payer;

                if (!o->child || aid_is_null(&o->s.payer))
                        continue;
                payer = map_get(x->arbiter->by_aid, o->s.payer.c, AID_SIZE);
                if (!payer)
                        continue;
                o->child->payer = o->s.payer;
                payer->n_children++;
        }
}

bool adopt_is_over(arbiter *a, const char *name, bool monitor) {
        struct rest *r = a->adoption ? map_get_string(a->adoption->rests, name) : NULL;

        if (!r || r->s.monitor != monitor)
                return false;
        r->configured = true;
        return true;
}

/* What is not configured any more, or is started again, is forgotten. */
static void restore_rests(struct adoption *x) {
        void *position = NULL;
        struct rest *r;

        while ((r = map_next(x->rests, &position)))
                if (r->configured)
                        state_mark_rest(x->arbiter, r->s.name, r->s.monitor, true);
}

/* "NAME.AID", as launch.c names them; others are somebody else's. */
static bool is_leaf_of_actor(const char *name, aid *ret) {
        char prefix[QUALIFIED_NAME_SIZE + 32];
        const char *dot = strrchr(name, '.');

        if (!dot || (size_t) (dot - name) >= sizeof(prefix) || aid_parse(dot + 1, ret) < 0)
                return false;
        (void) snprintf(prefix, sizeof(prefix), "%.*s", (int) (dot - name), name);
        return qualified_name_is_valid(prefix);
}

/* What runs there is in no entry: it was started by nobody that anybody knows. */
static void sweep_leaf(arbiter *a, const char *name) {
        struct cgroup_leaf leaf;
        aid id;

        if (!is_leaf_of_actor(name, &id) || map_get(a->by_aid, id.c, AID_SIZE) ||
                        cgroup_leaf_attach(&a->cgroup_root, name, &leaf) < 0)
                return;
        if (cgroup_leaf_is_populated(&leaf) > 0)
                arbiter_log(a, LOG_WARNING, NULL, "adopted",
                                "killed what ran in the cgroup %s: nobody knows it", name);
        leaf_dispose(a, &leaf);
        cgroup_leaf_done(&leaf);
}

static void sweep_leaves(arbiter *a) {
        char **names;

        if (arbiter_open_cgroup(a) < 0 || cgroup_root_list(&a->cgroup_root, &names) < 0)
                return;
        for (char **n = names; *n; n++) {
                sweep_leaf(a, *n);
                free(*n);
        }
        free(names);
}

static void tell(struct adoption *x) {
        const arbiter_adoption *k = &x->report;
        char ended[48] = "", killed[48] = "";

        if (k->ended > 0)
                (void) snprintf(ended, sizeof(ended), "; %u had ended meanwhile", k->ended);
        if (k->killed > 0)
                (void) snprintf(killed, sizeof(killed), "; %u could not be reached", k->killed);
        arbiter_log_facts(x->arbiter, NULL,
                        &(arbiter_log_entry){ .level = LOG_NOTICE, .event = "re-adopted", .n = k->actors },
                        "re-adopted %u actor%s in %u monitor%s%s%s", k->actors, k->actors == 1 ? "" : "s",
                        k->monitors, k->monitors == 1 ? "" : "s", ended, killed);
}

/* A step of a stop was decided, and perhaps not carried out: it is, again. */
static void go_on_stopping(arbiter *a) {
        LIST_FOREACH(c, &a->children, struct child, children)
                if (c->stop_stage != CHILD_STOP_NONE)
                        adopt_stop_again(c);
}

/* A plain program runs as soon as it is executed, and that it is, or it is dead. */
static void go_on_starting(arbiter *a) {
        LIST_FOREACH(c, &a->children, struct child, children)
                if (c->adopted && c->plain && !c->unit && c->spawn->exec_type == ARBITER_EXEC_EXEC &&
                                c->process.pidfd >= 0 && c->stop_stage == CHILD_STOP_NONE)
                        child_running(c);
        LIST_FOREACH(c, &a->children, struct child, children)
                if (c->adopted)
                        probes_adopt(c);
}

static int compare_age(const void *p, const void *q) {
        const struct child *a = *(struct child *const *) p, *b = *(struct child *const *) q;

        return (a->age > b->age) - (a->age < b->age);
}

/* The list is in start order. */
static void sort_children(arbiter *a) {
        size_t n = 0, size = map_size(a->by_aid);
        _cleanup_free_ struct child **all = calloc(size + 1, sizeof(*all));

        if (!all)
                return; /* then it is in some other */
        LIST_FOREACH(c, &a->children, struct child, children)
                all[n++] = c;
        qsort(all, n, sizeof(*all), compare_age);
        for (size_t i = 0; i < n; i++) {
                list_remove(&all[i]->children);
                list_append(&a->children, &all[i]->children);
        }
}

/* What is not in the state is nobody's, also if there is none. */
static void clear_away(arbiter *a) {
        sweep_leaves(a);
        adopt_forget_kept(a);
}

static void finish(struct adoption *x, arbiter_adoption *ret) {
        arbiter *a = x->arbiter;

        adopt_rest(x);
        sort_children(a);
        restore_payers(x);
        adopt_restore_relations(x);
        restore_rests(x);
        state_sweep(a);
        state_release(a);
        a->adoption = NULL; /* what is started from here on is new */
        clear_away(a);
        go_on_stopping(a);
        adopt_resume(x);
        units_sweep(a);
        go_on_starting(a);
        relinks_go(a);
        tell(x);
        *ret = x->report;
        adopt_free(x);
}

_public_ int arbiter_adopt_done(arbiter *a, arbiter_adoption *ret) {
        arbiter_adoption report = {};
        arbiter_actor *previous;

        if (!a || (ret && ret->size < sizeof(*ret)))
                return -EINVAL;
        if (!a->started)
                return -ENOTCONN;
        if (a->adoption) {
                arbiter_ref(a);
                actor_enter(a->actor, &previous);
                finish(a->adoption, &report);
                actor_leave(a->actor, previous);
                actor_turn_end(a->actor);
                arbiter_unref(a);
        } else if (a->state.journal)
                clear_away(a);
        if (ret) {
                report.size = ret->size;
                *ret = report;
        }
        return 0;
}
