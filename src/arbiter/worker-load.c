/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What workers are doing: who may have new work, who is on his way out and still has some. A worker with a
 * mailbox is asked to say ("load", src/actor/load.c) where something follows from it: its pool drains,
 * counts requests, or has its size by load. All others are never asked, and cost nothing.
 *
 * A report is a stranger's word. It can make its own worker look busy (then draining ends by the policy's
 * time), idle (then it is stopped earlier than it might wish) or spent (then it is replaced, which it
 * could have had by ending); and it can ask for more workers, within the bound that is configured. What no
 * worker can do (counts that fall, more requests than there is time for) is not believed.
 *
 * A program without a mailbox tells nothing: when it is to drain it counts as idle at once, and is stopped,
 * and SIGTERM is its word to finish. Called by child.c when a life comes, runs and goes, by set.c for what
 * src/supervise has decided, by probe.c for its readiness, by relink.c when there is another link to ask on.
 * Decides nothing. */

#include <syslog.h>

#include "arbiter/internal.h"

/* No actor does more in a second: each takes a system call, or the better part of one. */
#define REQUESTS_PER_SEC_MAX (100 * 1000 * 1000)

/* A pool decides by what it knows; a lone actor serves as long as it runs. */
static bool may_serve(const struct child *c) {
        const supervise_policy *policy;
        supervise_slot_info i;

        if (c->state != ARBITER_STATE_RUNNING || c->ending || c->load.draining)
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
        route_member_changed(c, serve);
}

static const supervise_policy *pool_policy(const struct child *c) {
        if (!c->set || !c->set->monitor || !c->set->supervise)
                return NULL;
        return supervise_get_policy(c->set->supervise);
}

static bool can_be_asked(const struct child *c) {
        return c->peer && c->peer->link && c->welcomed && !c->plain && !c->relink && !c->link_lost &&
               !c->ending && c->state >= ARBITER_STATE_RUNNING;
}

/* What is begun may take as long as draining may: not in a pool that goes down as a whole, and not if it has
 * had that time already. */
static usec_t patience_of(const struct child *c, const supervise_policy *p) {
        supervise_info i;

        supervise_get_info(c->set->supervise, &i);
        return i.phase == SUPERVISE_PHASE_UP && !c->load.draining ? p->drain / NSEC_PER_USEC : 0;
}

static struct load_asked what_to_ask(const struct child *c) {
        const supervise_policy *p = pool_policy(c);

        if (!p || (p->drain == 0 && p->requests_max == 0 && p->workers_max == 0 && !c->load.draining))
                return (struct load_asked){};
        return (struct load_asked){
                .interval_usec = autoscale_interval(p) / 2,
                .patience_usec = patience_of(c, p),
                .draining = c->load.draining,
        };
}

void load_ask(struct child *c) {
        struct load_asked wanted = what_to_ask(c), *asked = &c->load.asked;

        if (!can_be_asked(c) ||
                        (wanted.interval_usec == asked->interval_usec &&
                                        wanted.patience_usec == asked->patience_usec &&
                                        wanted.draining == asked->draining))
                return;
        if (actor_signal_peer(c->peer, ENVELOPE_SYSTEM, "load", "ttb", wanted.interval_usec,
                            wanted.patience_usec, (int) wanted.draining) >= 0)
                *asked = wanted;
}

/* Reports. */

static bool is_plausible(const struct child *c, const struct load_report *r) {
        const struct load_report *last = &c->load.report;
        usec_t age = r->usec - MIN(r->usec, c->created_usec);

        return r->done >= last->done && r->busy_usec >= last->busy_usec && r->work_usec >= last->work_usec &&
               r->done / REQUESTS_PER_SEC_MAX <= age / USEC_PER_SEC + 1 && r->busy_usec <= age;
}

static void disbelieve(struct child *c) {
        if (!c->load.disbelieved)
                arbiter_log(c->arbiter, LOG_WARNING, c, "protocol",
                                "%s reports a load that cannot be; such reports do not count", c->name);
        c->load.disbelieved = true;
}

static void tell_set(struct child *c, bool busy) {
        c->load.busy = busy;
        (void) set_handle(c->set,
                        &(supervise_event){ .type = SUPERVISE_LOAD,
                                        .slot = c->slot,
                                        .generation = c->set_generation,
                                        .n = busy });
}

/* An idle one that has not heard of draining when it said so may have had work since. */
static void consider(struct child *c) {
        const struct load_report *r = &c->load.report;
        bool busy = r->queued > 0 || r->begun > 0, heard = r->draining || !c->load.draining;

        if (busy != c->load.busy && (busy || heard))
                tell_set(c, busy);
        else if (!busy && c->load.draining && r->draining)
                tell_set(c, false); /* an arbiter before us had known it as busy */
}

/* (t queued, u begun, t done, t busy, t work, b draining); times in microseconds. */
int load_report(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        struct load_report r = { .usec = now_usec() };
        int draining, n;

        if (!c || c->plain)
                return 0;
        n = arbiter_message_read(m, "tutttb", &r.queued, &r.begun, &r.done, &r.busy_usec, &r.work_usec,
                        &draining);
        if (n < 0)
                return n;
        r.draining = draining;
        if (!pool_policy(c) || c->load.asked.interval_usec == 0) {
                /* an arbiter before us wanted to know */
                (void) actor_signal_peer(
                                c->peer, ENVELOPE_SYSTEM, "load", "ttb", (uint64_t) 0, (uint64_t) 0, 0);
                return 0;
        }
        if (!is_plausible(c, &r)) {
                disbelieve(c);
                return 0;
        }
        c->load.report = r;
        c->mailbox_queued = r.queued;
        if (c->state == ARBITER_STATE_STOPPING && r.begun > 0)
                child_has_begun(c);
        if (c->state != ARBITER_STATE_RUNNING)
                return 0;
        consider(c);
        if (c->state == ARBITER_STATE_RUNNING)
                autoscale_reported(c);
        return 0;
}

/* Decisions. */

static void drain(struct child *c) {
        c->load.draining = true;
        load_serve(c, false);
        load_ask(c);
        control_actor_changed(c);
        if (c->plain || c->link_lost || c->ending)
                tell_set(c, false);
}

static void serve(struct child *c) {
        c->load.draining = false;
        load_ask(c);
        load_serve(c, true);
        control_actor_changed(c);
}

void load_acted(struct set *s, const supervise_action *action) {
        struct child *c = action->slot < s->n_slots ? s->slots[action->slot].child : NULL;

        if (!c || c->set_generation != action->generation)
                return; /* whoever knows of its end reports it */
        if (action->type == SUPERVISE_ACTION_DRAIN)
                drain(c);
        else
                serve(c);
}
