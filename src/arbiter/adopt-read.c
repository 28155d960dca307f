/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal of the arbiter before us, read into a struct adoption. Called by adopt.c. An entry that
 * cannot be read is told of and left out: the lives that it spoke of are found by their leaves, and
 * ended. */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/adoption.h"
#include "arbiter/deaths.h"

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

void adopt_restore_arbiter(arbiter *a, const struct state_arbiter *s) {
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

void adopt_init_legacy(struct legacy *l) {
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
                adopt_init_legacy(l);
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

int adopt_read(struct adoption *x) {
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

void adopt_restore_relations(struct adoption *x) {
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
