/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What workers are doing, and what follows from it: who may have new work. Called by child.c when a life
 * comes and goes, by set.c for what src/supervise has decided, and by whoever else has a say. */

#include "arbiter/internal.h"

/* A pool decides by what it knows; a lone actor serves as long as it runs. */
static bool may_serve(const struct child *c) {
        const supervise_policy *policy;
        supervise_slot_info i;

        if (c->state != ARBITER_STATE_RUNNING || c->ending)
                return false;
        if (!c->set || supervise_get_slot(c->set->supervise, c->slot, &i) < 0 ||
                        i.generation != c->set_generation)
                return true;
        policy = supervise_get_policy(c->set->supervise);
        if (i.state != SUPERVISE_SLOT_STARTING && i.state != SUPERVISE_SLOT_RUNNING)
                return false;
        return i.ready || !policy->readiness;
}

void load_serve(struct child *c, bool serve) {
        serve = serve && may_serve(c);
        if (c->serves == serve)
                return;
        c->serves = serve;
}
