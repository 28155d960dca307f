/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A re-adoption as a whole: what was kept comes in, the journal is read, and in the end it is told what has
 * become of it. Called by arbiter.c and the program. Must never carry anything out before all of it is
 * known: that is for arbiter_adopt_done(). */

#include <poll.h>
#include <stdio.h>
#include <syslog.h>

#include "arbiter/adoption.h"
#include "arbiter/deaths.h"
#include "arbiter/relink.h"
#include "basic/fd.h"

/* Descriptors. */

struct kept *adopt_kept(arbiter *a, const aid *id) {
        return a->kept ? map_get(a->kept, id->c, AID_SIZE) : NULL;
}

static int make_kept(arbiter *a, const aid *id, struct kept **ret) {
        struct kept *k = adopt_kept(a, id);
        int r;

        if (k) {
                *ret = k;
                return 0;
        }
        r = a->kept ? 0 : map_new(&a->kept);
        if (r < 0)
                return r;
        k = calloc(1, sizeof(*k));
        if (!k)
                return -ENOMEM;
        *k = (struct kept){ .id = *id, .pidfd = -EBADF, .notify_fd = -EBADF };
        r = map_put(a->kept, id->c, AID_SIZE, k);
        if (r < 0) {
                free(k);
                return r;
        }
        *ret = k;
        return 0;
}

static void free_kept(void *p) {
        struct kept *k = p;

        close_fd(k->pidfd);
        close_fd(k->notify_fd);
        for (size_t i = 0; i < k->n_links; i++)
                close_fd(k->links[i].fd);
        free(k->links);
        free(k);
}

void adopt_free_kept(arbiter *a) {
        map_free(a->kept, free_kept);
        a->kept = NULL;
}

static int add_link(struct kept *k, unsigned number, int fd) {
        struct kept_link *links;
        size_t i = k->n_links;

        while (i > 0 && k->links[i - 1].number > number)
                i--;
        if (i > 0 && k->links[i - 1].number == number)
                return -EEXIST;
        if (k->n_links == KEPT_LINKS_MAX)
                return -E2BIG;
        links = reallocarray(k->links, k->n_links + 1, sizeof(*links));
        if (!links)
                return -ENOMEM;
        k->links = links;
        memmove(links + i + 1, links + i, (k->n_links++ - i) * sizeof(*links));
        links[i] = (struct kept_link){ .number = number, .fd = fd };
        return 0;
}

static int add_only(int *place, int fd) {
        if (*place >= 0)
                return -EEXIST;
        *place = fd;
        return 0;
}

/* "p.AID", "u.AID", "n.AID", "c.AID", "c.AID.2" */
static int parse_name(const char *name, aid *ret_id, unsigned *ret_number) {
        *ret_number = 1;
        if (name[0] == 'c')
                return child_link_parse_name(name, ret_id, ret_number);
        return (name[0] == 'p' || name[0] == 'u' || name[0] == 'n') && name[1] == '.'
                               ? aid_parse(name + 2, ret_id)
                               : -EINVAL;
}

_public_ int arbiter_add_kept(arbiter *a, const char *name, int fd) {
        struct kept *k;
        unsigned number;
        aid id;
        int r;

        if (!a || !name || fd < 0)
                return -EINVAL;
        if (a->started)
                return -EBUSY;
        if (streq(name, MAILBOX_SOCKET_KEPT))
                return mailbox_socket_adopt(a, fd);
        r = parse_name(name, &id, &number);
        if (r < 0 || aid_equal(&id, &AID_ARBITER))
                return -ENOENT;
        r = make_kept(a, &id, &k);
        if (r < 0)
                return r;
        if (name[0] == 'c')
                return add_link(k, number, fd);
        return add_only(name[0] == 'n' ? &k->notify_fd : &k->pidfd, fd);
}

/* Reading. An entry that cannot be read is told of and left out: the lives that it spoke of are found by
 * their leaves, and ended. */

static bool next_entry(struct adoption *x, enum state_kind kind, void **position, struct state_entry *ret) {
        return state_journal_next(x->arbiter->state.journal, kind, position, ret);
}

/* 1: it is in; 0: there was one already. */
static int put_first(map *m, const void *key, size_t key_size, void *value) {
        int r = map_put(m, key, key_size, value);

        return r < 0 ? (r == -EEXIST ? 0 : r) : 1;
}

/* 1: it can be used. */
static int check_read(struct adoption *x, int r, const char *what) {
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                arbiter_log(x->arbiter, LOG_ERR, NULL, "adopted", "an entry of the state cannot be read: %s",
                                what);
        return r >= 0;
}

static void restore_arbiter(arbiter *a, const struct state_arbiter *s) {
        a->actor->id_key = s->id_key;
        a->settled = s->settled;
        a->seed = s->seed;
        a->age_counter = s->age_counter;
        a->leaf_counter = s->leaf_counter;
        a->exit_counter = s->exit_counter;
        a->next_dead_aid = s->next_dead_aid;
        a->counters.restarts = s->restarts;
        a->counters.deaths = s->deaths;
        a->counters.dead_letters = s->dead_letters;
        memcpy(a->counters.deaths_by, s->deaths_by,
                        MIN(sizeof(a->counters.deaths_by), sizeof(s->deaths_by)));
}

static int restore_name(arbiter *a, const struct state_name *s) {
        struct name_memory *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        *n = (struct name_memory){ .generation = s->generation, .reason = s->reason, .status = s->status };
        (void) snprintf(n->name, sizeof(n->name), "%s", s->name);
        r = put_first(a->names, n->name, strlen(n->name), n);
        if (r <= 0)
                free(n);
        return MIN(r, 0);
}

static int restore_dead_aid(arbiter *a, const struct state_dead_aid *s) {
        struct dead_aid *p;

        if (s->index >= DEAD_AIDS_MAX)
                return 0;
        if (s->index >= a->dead_aids_allocated) {
                uint32_t n = MIN(MAX(s->index + 1, a->dead_aids_allocated * 2), (uint32_t) DEAD_AIDS_MAX);

                p = reallocarray(a->dead_aids, n, sizeof(*p));
                if (!p)
                        return -ENOMEM;
                memset(p + a->dead_aids_allocated, 0, (n - a->dead_aids_allocated) * sizeof(*p));
                a->dead_aids = p;
                a->dead_aids_allocated = n;
        }
        a->dead_aids[s->index] = (struct dead_aid){ .id = s->id,
                .spawner = s->spawner,
                .reason = s->reason,
                .status = s->status };
        a->n_dead_aids = MAX(a->n_dead_aids, s->index + 1);
        return 0;
}

static int read_names(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;
        int r = 0;

        while (r >= 0 && next_entry(x, STATE_NAME, &position, &e)) {
                struct state_name s;

                r = check_read(x, state_decode_name(&e, x->version, &s), "of a name");
                if (r > 0)
                        r = restore_name(x->arbiter, &s);
        }
        return r;
}

static int read_dead_aids(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;
        int r = 0;

        while (r >= 0 && next_entry(x, STATE_DEAD_AID, &position, &e)) {
                struct state_dead_aid s;

                r = check_read(x, state_decode_dead_aid(&e, x->version, &s), "of one who has died");
                if (r > 0)
                        r = restore_dead_aid(x->arbiter, &s);
        }
        return r;
}

static int read_deaths(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;
        int r = 0;

        while (r >= 0 && next_entry(x, STATE_DEATH, &position, &e)) {
                struct state_death s;
                struct death d;

                r = check_read(x, state_decode_death(&e, x->version, &s), "of a death");
                if (r <= 0)
                        continue;
                d = (struct death){
                        .when_usec = s.when_usec,
                        .lifetime_usec = s.lifetime_usec,
                        .aid = aid_to_string(&s.id),
                        .generation = s.generation,
                        .pid = s.pid,
                        .reason = s.reason,
                        .status = s.status,
                        .serial = s.serial,
                };
                r = deaths_add(x->arbiter->deaths, s.name, s.monitor, &d);
        }
        return r;
}

static void init_legacy(struct legacy *l) {
        list_init(&l->slots);
        list_init(&l->orphans);
        l->wanted = UINT32_MAX;
}

static int read_monitors(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;
        int r = 0;

        while (r >= 0 && next_entry(x, STATE_MONITOR, &position, &e)) {
                struct legacy *l = calloc(1, sizeof(*l));

                if (!l)
                        return -ENOMEM;
                init_legacy(l);
                r = check_read(x, state_decode_monitor(&e, x->version, &l->s), "of a monitor");
                if (r > 0)
                        r = put_first(x->legacies_by_name, l->s.name, strlen(l->s.name), l);
                if (r <= 0) {
                        free(l);
                        continue;
                }
                list_append(&x->legacies, &l->legacies);
        }
        return r;
}

static struct legacy *find_legacy(struct adoption *x, const char *monitor) {
        return *monitor ? map_get_string(x->legacies_by_name, monitor) : &x->root;
}

static int read_slot(struct adoption *x, const struct state_slot *s) {
        struct legacy *l = find_legacy(x, s->monitor);
        struct old_slot *o;

        if (!l)
                return 0;
        o = malloc(sizeof(*o) + s->size);
        if (!o)
                return -ENOMEM;
        *o = (struct old_slot){ .slot = s->slot, .size = s->size };
        memcpy(o->data, s->data, s->size);
        list_append(&l->slots, &o->slots);
        return 0;
}

static int read_slots(struct adoption *x) {
        struct state_slot *s = malloc(sizeof(*s));
        struct state_entry e;
        void *position = NULL;
        int r = s ? 0 : -ENOMEM;

        while (r >= 0 && next_entry(x, STATE_SLOT, &position, &e)) {
                r = check_read(x, state_decode_slot(&e, x->version, s), "of a place");
                if (r > 0)
                        r = read_slot(x, s);
        }
        free(s);
        return r;
}

static int read_lives(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;
        int r = 0;

        while (r >= 0 && next_entry(x, STATE_CHILD, &position, &e)) {
                struct orphan *o = calloc(1, sizeof(*o));
                struct legacy *l;

                if (!o)
                        return -ENOMEM;
                r = check_read(x, state_decode_child(&e, x->version, &o->s), "of a life");
                if (r > 0)
                        r = put_first(x->orphans, o->s.id.c, AID_SIZE, o);
                if (r <= 0) {
                        free(o);
                        continue;
                }
                if (o->s.role == STATE_ROLE_LONE)
                        (void) map_put_u64(x->lone, o->s.slot, o); /* the first; there is one of each */
                l = find_legacy(x, o->s.monitor);
                list_append(l ? &l->orphans : &x->root.orphans, &o->orphans);
        }
        return r;
}

static int read_vacancy(struct adoption *x, struct vacancy *v, const struct state_entry *e) {
        struct state_entry spawn;
        int r;

        r = state_decode_place(e, x->version, &v->s);
        if (r >= 0)
                r = adopt_find_spawn(x, &v->s.spawn, &spawn);
        if (r >= 0)
                r = state_peek_spawn(&spawn, x->version, &v->spawn);
        return r;
}

static int read_vacancies(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;
        int r = 0;

        while (r >= 0 && next_entry(x, STATE_PLACE, &position, &e)) {
                struct vacancy *v = calloc(1, sizeof(*v));

                if (!v)
                        return -ENOMEM;
                r = check_read(x, read_vacancy(x, v, &e), "of a lone actor");
                if (r > 0)
                        r = put_first(x->vacancies_by_name, v->spawn.name, strlen(v->spawn.name), v);
                if (r <= 0) {
                        free(v);
                        continue;
                }
                list_append(&x->vacancies, &v->vacancies);
        }
        return r;
}

static int read_children(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;
        int r = 0;

        while (r >= 0 && next_entry(x, STATE_TREE_CHILD, &position, &e)) {
                struct old_child *k = calloc(1, sizeof(*k));

                if (!k)
                        return -ENOMEM;
                r = check_read(x, state_decode_tree_child(&e, x->version, &k->s), "of a child");
                if (r > 0)
                        list_append(&x->children, &k->children);
                else
                        free(k);
        }
        return r;
}

static int read_rests(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;
        int r = 0;

        while (r >= 0 && next_entry(x, STATE_REST, &position, &e)) {
                struct rest *rest = calloc(1, sizeof(*rest));

                if (!rest)
                        return -ENOMEM;
                r = check_read(x, state_decode_rest(&e, x->version, &rest->s), "of what is over");
                if (r > 0)
                        r = put_first(x->rests, rest->s.name, strlen(rest->s.name), rest);
                if (r <= 0)
                        free(rest);
        }
        return r;
}

static int read_all(struct adoption *x) {
        static int (*const readers[])(struct adoption *x) = {
                read_names, read_dead_aids, read_deaths,    read_monitors,
                read_slots, read_lives,     read_vacancies, read_children, read_rests,
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(readers); i++) {
                r = readers[i](x);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Beginning and end. */

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
        init_legacy(&x->root);
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
        restore_arbiter(a, a->state.left);
        r = read_all(x);
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

static void restore_relations(struct adoption *x) {
        struct state_entry e;
        void *position = NULL;

        /* Watches are told again by those who watch. */
        while (next_entry(x, STATE_LINK, &position, &e)) {
                struct state_link s;

                if (state_decode_link(&e, x->version, &s) >= 0)
                        relations_restore_link(x->arbiter, &s);
        }
        position = NULL;
        while (next_entry(x, STATE_EXIT, &position, &e)) {
                struct state_exit s;

                if (state_decode_exit(&e, x->version, &s) >= 0)
                        relations_restore_exit(x->arbiter, &s);
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

void adopt_forget_link(arbiter *a, const aid *id, unsigned number) {
        char name[CHILD_LINK_NAME_SIZE];

        child_link_format_name(id, number, name);
        (void) arbiter_keep(a, name, -EBADF);
}

/* Nobody needs them any more. */
static void forget_kept(arbiter *a) {
        void *position = NULL;
        struct kept *k;

        while (a->kept && (k = map_next(a->kept, &position))) {
                if (map_get(a->by_aid, k->id.c, AID_SIZE))
                        continue;
                if (k->pidfd >= 0) {
                        launch_keep(a, 'p', &k->id, -EBADF);
                        launch_keep(a, 'u', &k->id, -EBADF);
                }
                if (k->notify_fd >= 0)
                        launch_keep(a, 'n', &k->id, -EBADF);
                for (size_t i = 0; i < k->n_links; i++)
                        adopt_forget_link(a, &k->id, k->links[i].number);
        }
        adopt_free_kept(a);
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
        forget_kept(a);
}

static void finish(struct adoption *x, arbiter_adoption *ret) {
        arbiter *a = x->arbiter;

        adopt_rest(x);
        sort_children(a);
        restore_payers(x);
        restore_relations(x);
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
