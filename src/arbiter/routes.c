/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a name leads: what a runtime asks for before its first message to a name ("route"). A life is
 * introduced by the broker; of a pool the runtime learns who is in it, and is told of each change
 * (pool-members.c), so that no message comes here. A name that is between two lives is refused as
 * restarting, or, if its senders can wait, the answer is held until there is the next life, or until there
 * will be none. Nothing here outlives the arbiter: who waits asks the next one again. Called by the
 * dispatcher, and by child.c, monitor.c and set.c when a name has another life, or none. */

#include <stdio.h>

#include "arbiter/internal.h"

struct held {
        struct list_node held;
        arbiter_message *message;
        char name[QUALIFIED_NAME_SIZE];
};

bool route_has_future(arbiter *a, const char *name) {
        supervise_slot_info info;
        struct set *s;
        uint32_t slot;

        if (a->actor->state >= ARBITER_STATE_STOPPING || control_find_slot(a, name, &s, &slot) < 0 ||
                        (s->monitor && s->monitor->stopping) ||
                        supervise_get_slot(s->supervise, slot, &info) < 0)
                return false;
        switch (info.state) {
        case SUPERVISE_SLOT_STARTING:
        case SUPERVISE_SLOT_BACKOFF:
        case SUPERVISE_SLOT_WAITING:
                return true;
        case SUPERVISE_SLOT_RUNNING: /* it has just died, and nothing is decided yet */
        case SUPERVISE_SLOT_STOPPING:
        case SUPERVISE_SLOT_DRAINING:
                return true;
        default:
                return false;
        }
}

static bool may_connect(const struct child *c) {
        return c->welcomed && c->peer && c->peer->link && link_can_send(c->peer->link) && !c->link_lost &&
               !c->ending && c->state == ARBITER_STATE_RUNNING;
}

static int answer(arbiter *a, struct child *caller, struct child *target, arbiter_message *m) {
        if (caller)
                return broker_connect_child(caller, target, m);
        return arbiter_message_reply(m, "yssut", (uint8_t) ROUTE_TO_LIFE, target->aid_string.s, target->name,
                        target->generation, (uint64_t) 0);
}

static int refuse_noproc(arbiter_message *m, const char *name) {
        incoming_refuse(m->context, ARBITER_OUTCOME_NOPROC, "no actor '%s'", name);
        return 0;
}

static bool refuse_denied(arbiter_message *m, const char *name) {
        incoming_refuse(m->context, ARBITER_OUTCOME_DENIED, "Allow= does not let it connect to '%s'", name);
        return true;
}

/* Once: its answer is given, or it waits on. */
static bool settle(arbiter *a, struct held *h) {
        struct child *target = child_find(a, h->name), *caller = caller_child(h->message);
        int r;

        if (!message_get_peer(h->message))
                return true; /* nobody waits any more */
        /* What knows nothing of arbiter has a stand-in, from the first time that somebody wants it. */
        if (target && target->plain && target->state == ARBITER_STATE_RUNNING)
                (void) plain_ensure_stub(target);
        if (target && may_connect(target)) {
                if (caller && (caller == target || !broker_may_connect(caller, target)))
                        return refuse_denied(h->message, h->name);
                r = answer(a, caller, target, h->message);
                if (r == -ENOTCONN)
                        return false; /* it is about to end */
                if (r < 0)
                        (void) arbiter_message_reply_errno(h->message, r);
                return true;
        }
        if (target ? a->actor->state < ARBITER_STATE_STOPPING : route_has_future(a, h->name))
                return false;
        (void) refuse_noproc(h->message, h->name);
        return true;
}

static void held_free(struct held *h) {
        list_remove(&h->held);
        arbiter_message_unref(h->message);
        free(h);
}

void routes_on_timer(arbiter_actor *actor, struct actor_timer *t) {
        arbiter *a = CONTAINER_OF(t, arbiter, held_timer);

        LIST_FOREACH(h, &a->held, struct held, held)
                if (settle(a, h))
                        held_free(h);
}

void routes_reconsider(arbiter *a) {
        if (!list_is_empty(&a->held))
                (void) actor_timer_set(a->actor, &a->held_timer, 0);
}

void routes_forget_held(arbiter *a) {
        struct held *h;

        while ((h = LIST_FIRST(&a->held, struct held, held)))
                held_free(h);
}

static int wait_for_life(arbiter *a, const char *name, arbiter_message *m) {
        struct held *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        (void) snprintf(h->name, sizeof(h->name), "%s", name);
        h->message = arbiter_message_ref(m);
        list_append(&a->held, &h->held);
        return 0;
}

int route_route(arbiter_actor *actor, arbiter_message *m, void *userdata) {
        struct child *caller = caller_child(m), *target;
        arbiter *a = actor->arbiter;
        arbiter_monitor *pool;
        const char *name;
        uint32_t flags;
        int r;

        r = arbiter_message_read(m, "su", &name, &flags);
        if (r < 0)
                return r;
        pool = pool_find(a, name);
        if (pool && (!caller || broker_is_allowed(caller, name)))
                return pool_answer(pool, m);
        target = child_find(a, name);
        if (target && may_connect(target) && !caller)
                return answer(a, NULL, target, m);
        /* An actor that is about to end is no better than none for one who can wait for the next. */
        if ((flags & ROUTE_HOLD) && (target ? !target->plain && !may_connect(target) && target->set
                                            : route_has_future(a, name)))
                return wait_for_life(a, name, m);
        if (caller)
                return broker_connect_name(caller, name, m);
        return refuse_noproc(m, name);
}
