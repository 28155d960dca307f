/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Aids and names beyond the lives that have them: no aid is had twice, generations rise, and how the last
 * ones have ended is remembered. Called by child.c when a life begins and ends, and by whoever asks. Must
 * never grow without bound. */

#include <stdio.h>

#include "arbiter/internal.h"

const struct dead_aid *names_find_dead(arbiter *a, const aid *id) {
        for (uint32_t i = 0; i < a->n_dead_aids; i++)
                if (aid_equal(&a->dead_aids[i].id, id))
                        return &a->dead_aids[i];
        return NULL;
}

bool names_aid_is_fresh(arbiter *a, const aid *id) {
        return !names_find_dead(a, id) && !map_get(a->by_aid, id->c, AID_SIZE);
}

arbiter_reason names_how_ended(arbiter *a, const aid *id, int *ret_status) {
        const struct dead_aid *dead = names_find_dead(a, id);

        *ret_status = dead ? dead->status : 0;
        return dead ? dead->reason : ARBITER_REASON_NOPROC;
}

static void bury_aid(const struct child *c, arbiter_reason reason, int status) {
        struct dead_aid dead = { .id = c->aid, .spawner = c->spawner, .reason = reason, .status = status };
        arbiter *a = c->arbiter;

        if (a->n_dead_aids == a->dead_aids_allocated && a->dead_aids_allocated < DEAD_AIDS_MAX) {
                uint32_t n = MAX(64U, a->dead_aids_allocated * 2);
                struct dead_aid *p = reallocarray(a->dead_aids, n, sizeof(*p));

                if (p) {
                        a->dead_aids = p;
                        a->dead_aids_allocated = n;
                }
        }
        if (a->n_dead_aids < a->dead_aids_allocated) {
                a->dead_aids[a->n_dead_aids++] = dead;
                state_put_dead_aid(a, a->n_dead_aids - 1);
                return;
        }
        if (a->n_dead_aids == 0)
                return;
        a->next_dead_aid %= a->n_dead_aids;
        a->dead_aids[a->next_dead_aid++] = dead;
        state_put_dead_aid(a, a->next_dead_aid - 1);
        state_mark_arbiter(a);
}

/* What is remembered of names without a life is bounded: all of it goes when there is too much. */
static void forget_names(arbiter *a) {
        void *position = NULL;
        struct name_memory *n;

        if (map_size(a->names) < NAMES_KEPT_MAX + 2 * map_size(a->by_name))
                return;
        while ((n = map_next(a->names, &position)))
                if (!map_get_string(a->by_name, n->name)) {
                        state_forget_name(a, n);
                        map_remove_string(a->names, n->name);
                        commands_table_unref(a, n->commands);
                        free(n);
                }
}

int names_next_generation(struct child *c) {
        arbiter *a = c->arbiter;
        struct name_memory *n = map_get_string(a->names, c->name);
        int r;

        if (!n) {
                forget_names(a);
                n = calloc(1, sizeof(*n));
                if (!n)
                        return -ENOMEM;
                (void) snprintf(n->name, sizeof(n->name), "%s", c->name);
                r = map_put_string(a->names, n->name, n);
                if (r < 0) {
                        free(n);
                        return r;
                }
        }
        c->generation = ++n->generation;
        state_put_name(a, n);
        c->last_reason = n->reason;
        c->last_status = n->status;
        return 0;
}

int names_choose_aid(arbiter *a, const aid *wanted, aid *ret) {
        int r;

        if (wanted && !aid_is_null(wanted)) {
                if (!aid_is_valid(wanted) || aid_equal(wanted, &AID_ARBITER))
                        return -EINVAL;
                *ret = *wanted;
                return map_get(a->by_aid, wanted->c, AID_SIZE) ? -EEXIST : 0;
        }
        do {
                r = aid_random(ret);
                if (r < 0)
                        return r;
        } while (map_get(a->by_aid, ret->c, AID_SIZE));
        return 0;
}

void names_bury(struct child *c, arbiter_reason reason, int status) {
        struct name_memory *n = map_get_string(c->arbiter->names, c->name);

        bury_aid(c, reason, status);
        if (!n)
                return;
        n->reason = reason;
        n->status = status;
        /* Who sends to the next one before it is there has to know what it will take. Of what actors have
         * spawned by themselves nothing is kept: those could say something else each time, without end. */
        if (c->set && c->commands && !c->set->slots[c->slot].transient) {
                commands_table_unref(c->arbiter, n->commands);
                n->commands = TAKE_PTR(c->commands);
        }
        state_put_name(c->arbiter, n);
}

bool names_is_taken(arbiter *a, const char *name) {
        return child_find(a, name) || map_get_string(a->monitors_by_name, name) || tree_find(a, name) ||
               root_find_slot(a, name) > 0 || streq(name, "arbiter") || streq(name, "monitor");
}

const struct commands_table *names_get_commands(arbiter *a, const char *name) {
        const struct name_memory *n = map_get_string(a->names, name);

        return n ? n->commands : NULL;
}
