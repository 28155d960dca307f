/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Spawns as lone actors: started in the root set, and removed from it. Called by the program, by commands.c
 * and control.c for what is spawned at run time. What is asked becomes an event of that set. */

#include "arbiter/adoption.h"

supervise_restart spawn_root_restart(const arbiter_spawn *s) {
        if (!s->restart_set)
                return SUPERVISE_TEMPORARY; /* pulsar: what the arbiter spawns itself is never replaced */
        return s->restart == ARBITER_RESTART_PERMANENT ? SUPERVISE_PERMANENT :
                        s->restart == ARBITER_RESTART_TRANSIENT ? SUPERVISE_TRANSIENT :
                                                                  SUPERVISE_TEMPORARY;
}

int spawn_start_as(arbiter_spawn *s, const aid *wanted, const aid *spawner, bool transient,
                arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter *a = s->arbiter;
        struct set *root = &a->root;
        int slot, r;

        r = spawn_check(s, NULL);
        if (r < 0)
                return r;
        if (!a->started || a->actor->state >= ARBITER_STATE_STOPPING)
                return -ESHUTDOWN;
        if (names_is_taken(a, s->name))
                return -EEXIST;
        if (!transient && adopt_is_under_way(a)) {
                r = adopt_lone(s, ret);
                if (r == 0 && adopt_is_over(a, s->name, false))
                        r = -ECANCELED;
                if (r != 0)
                        return MIN(r, 0);
        }
        r = future_new(a->actor, &f);
        if (r < 0)
                return r;
        state_mark_rest(a, s->name, false, false);

        slot = set_add_child(root, &(supervise_event){ .type = SUPERVISE_ADD_CHILD,
                                                   .restart = spawn_root_restart(s),
                                                   .revision = 1 });
        if (slot < 0)
                return slot;
        root->slots[slot] = (struct set_slot){
                .spawn = arbiter_spawn_ref(s),
                .future = arbiter_future_ref(f),
                .wanted_aid = wanted ? *wanted : (aid){},
                .spawner = spawner ? *spawner : (aid){},
                .transient = transient,
        };
        state_put_place(root, (uint32_t) slot);
        (void) set_handle(root, &(supervise_event){ .type = SUPERVISE_TICK });
        if (ret)
                *ret = TAKE_PTR(f);
        return 0;
}

_public_ int arbiter_spawn_start(arbiter_spawn *s, arbiter_future **ret) {
        return s ? spawn_start_as(s, NULL, NULL, false, ret) : -EINVAL;
}

_public_ int arbiter_remove_actor(arbiter *a, const char *name, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct set *root;
        uint32_t slot;
        int r;

        if (!a || !name)
                return -EINVAL;
        if (tree_find(a, name) && tree_find(a, name)->spawn)
                return tree_remove(tree_find(a, name), ret);
        root = &a->root;
        slot = root_find_slot(a, name);
        if (slot == 0)
                return -ESRCH;
        r = future_new(a->actor, &f);
        if (r < 0)
                return r;
        root->slots[slot].removed = true;
        if (root->slots[slot].child) {
                /* first who waits; then the decision that it goes */
                r = child_stop(root->slots[slot].child, f);
                if (r < 0)
                        return r;
        } else
                future_resolve(f, ARBITER_OUTCOME_REPLY, NULL); /* in backoff, held or given up */
        r = set_handle(root, &(supervise_event){ .type = SUPERVISE_REMOVE_CHILD, .slot = slot });
        if (r < 0 && r != -ENOENT) /* it is on its way already, for good */
                return r;
        if (ret)
                *ret = TAKE_PTR(f);
        return 0;
}
