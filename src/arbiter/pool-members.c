/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The workers of a pool as its senders know them: who gets new work. A runtime that sends to a monitor's
 * name is told all of it once, and then each change (src/actor/pool.c), so that no message passes through
 * here. Called by routes.c when somebody asks, by worker-load.c when a worker may have new work or may not
 * any more, and by monitor.c. Must not lose a change: who cannot be told now is told to look again. Nothing
 * of it outlives the arbiter: whoever sends asks the next one. */

#include <stdio.h>

#include "actor/pool.h"
#include "arbiter/internal.h"

enum { RETRY_USEC = 20 * 1000, MEMBER_POOLS_MAX = 1024 };

struct pool_watch {
        struct list_node of_monitor, of_member;
        arbiter_monitor *monitor;
        struct member *member;
        bool stale; /* it has missed something */
};

static const char *const routings[] = {
        [ARBITER_ROUTING_ROUND_ROBIN] = "round-robin",
        [ARBITER_ROUTING_LEAST_OUTSTANDING] = "least-outstanding",
        [ARBITER_ROUTING_CONSISTENT_HASH] = "consistent-hash",
        [ARBITER_ROUTING_BROADCAST] = "broadcast",
};

_public_ const char *arbiter_routing_to_string(arbiter_routing routing) {
        return (size_t) routing < ELEMENTSOF(routings) ? routings[routing] : NULL;
}

_public_ int arbiter_routing_from_string(const char *s, arbiter_routing *ret) {
        for (size_t i = ARBITER_ROUTING_ROUND_ROBIN; s && ret && i < ELEMENTSOF(routings); i++)
                if (streq(s, routings[i])) {
                        *ret = (arbiter_routing) i;
                        return 0;
                }
        return -EINVAL;
}

/* Telling. */

static int signal_news(const struct pool_watch *w, uint32_t what, const char *id, const char *name,
                uint32_t value) {
        struct peer *p = member_peer(w->member);

        return p ? actor_signal_peer(p, ENVELOPE_SYSTEM, "pool", "sussu", w->monitor->name, what, id, name,
                                value)
                 : 0;
}

static bool is_worth_retrying(int r) {
        return r == -ENOMEM || r == -ENOBUFS;
}

void pool_members_retry(arbiter_actor *actor, struct actor_timer *t) {
        arbiter *a = CONTAINER_OF(t, arbiter, pool_timer);
        bool again = false;

        LIST_FOREACH(m, &a->monitors, arbiter_monitor, monitors)
                LIST_FOREACH(w, &m->pool_watches, struct pool_watch, of_monitor)
                        if (w->stale) {
                                w->stale = is_worth_retrying(signal_news(w, POOL_STALE, "", "", 0));
                                again = again || w->stale;
                        }
        if (again)
                (void) actor_timer_set(actor, t, now_usec() + RETRY_USEC);
}

static void tell(arbiter_monitor *m, uint32_t what, const struct child *c, uint32_t value) {
        LIST_FOREACH(w, &m->pool_watches, struct pool_watch, of_monitor) {
                if (w->stale || !is_worth_retrying(signal_news(w, what, c ? c->aid_string.s : "",
                                                c ? c->name : "", value)))
                        continue;
                w->stale = true;
                (void) actor_timer_set(m->arbiter->actor, &m->arbiter->pool_timer, now_usec() + RETRY_USEC);
        }
}

void route_member_changed(struct child *c, bool serves) {
        arbiter_monitor *m = c->set ? c->set->monitor : NULL;

        if (m && !c->plain)
                tell(m, serves ? POOL_JOINED : POOL_LEFT, c, c->generation);
}

/* Without workers there will be some? */
bool pool_has_hope(const arbiter_monitor *m) {
        supervise_info i;

        if (!m->started || m->stopping || !m->set.supervise ||
                        m->arbiter->actor->state >= ARBITER_STATE_STOPPING)
                return false;
        supervise_get_info(m->set.supervise, &i);
        return i.n[SUPERVISE_SLOT_STARTING] + i.n[SUPERVISE_SLOT_RUNNING] + i.n[SUPERVISE_SLOT_BACKOFF] +
                               i.n[SUPERVISE_SLOT_WAITING] >
                               0 ||
               (i.n_wanted > 0 && i.n[SUPERVISE_SLOT_STOPPING] + i.n[SUPERVISE_SLOT_DRAINING] > 0);
}

void pool_members_reconsider(arbiter_monitor *m) {
        bool hope;

        if (list_is_empty(&m->pool_watches))
                return;
        hope = pool_has_hope(m);
        if (hope == m->hope_told)
                return;
        m->hope_told = hope;
        tell(m, POOL_HOPE, NULL, hope);
}

_public_ int arbiter_monitor_set_routing(arbiter_monitor *m, arbiter_routing routing) {
        if (!m || (routing != ARBITER_ROUTING_DEFAULT && !arbiter_routing_to_string(routing)))
                return -EINVAL;
        routing = routing == ARBITER_ROUTING_DEFAULT ? ARBITER_ROUTING_ROUND_ROBIN : routing;
        if (m->routing == routing)
                return 0;
        m->routing = routing;
        if (m->arbiter)
                tell(m, POOL_ROUTING, NULL, routing);
        return 0;
}

/* Answering. */

/* Workers that know nothing of arbiter have no commands: there the name is the monitor's alone. */
arbiter_monitor *pool_find(arbiter *a, const char *name) {
        arbiter_monitor *m = map_get_string(a->monitors_by_name, name);

        return m && m->started && m->child && m->worker && m->policy.strategy == SUPERVISE_POOL &&
                               !((m->worker->exec || m->worker->unit_template) &&
                                               m->worker->exec_type != ARBITER_EXEC_MAILBOX)
                       ? m
                       : NULL;
}

struct child *pool_spokesman(arbiter *a, const char *name) {
        arbiter_monitor *m = pool_find(a, name);

        for (uint32_t i = 1; m && i < m->set.n_slots; i++)
                if (m->set.slots[i].child && m->set.slots[i].child->commands)
                        return m->set.slots[i].child;
        return NULL;
}

static int append_own_commands(arbiter_message *reply, const arbiter_monitor *m) {
        const arbiter_module *module = m->module ? m->module : &monitor_default_module;
        int r;

        r = arbiter_message_open_container(reply, 'a', "s");
        for (const arbiter_command *c = module->commands; r >= 0 && c && c->name; c++)
                r = arbiter_message_append(reply, "s", c->name);
        return r < 0 ? r : arbiter_message_close_container(reply);
}

static int append_members(arbiter_message *reply, const arbiter_monitor *m) {
        int r;

        r = arbiter_message_open_container(reply, 'a', "(ssu)");
        for (uint32_t i = 1; r >= 0 && i < m->set.n_slots; i++) {
                const struct child *c = m->set.slots[i].child;

                if (c && c->serves && !c->plain)
                        r = arbiter_message_append(
                                        reply, "(ssu)", c->aid_string.s, c->name, c->generation);
        }
        return r < 0 ? r : arbiter_message_close_container(reply);
}

static int reply_pool(arbiter_message *m, arbiter_monitor *pool) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        int r;

        r = arbiter_message_new(&reply);
        if (r >= 0)
                r = arbiter_message_append(reply, "yssutyb", (uint8_t) ROUTE_TO_POOL,
                                pool->child->aid_string.s, pool->name, pool->child->generation, (uint64_t) 0,
                                (uint8_t) pool->routing, (int) pool->hope_told);
        if (r >= 0)
                r = append_own_commands(reply, pool);
        if (r >= 0)
                r = append_members(reply, pool);
        return r < 0 ? r : arbiter_message_reply_message(m, reply);
}

static struct pool_watch *find_watch(const struct member *member, const arbiter_monitor *m) {
        LIST_FOREACH(w, &member->pools, struct pool_watch, of_member)
                if (w->monitor == m)
                        return w;
        return NULL;
}

static int add_watch(struct member *member, arbiter_monitor *m) {
        struct pool_watch *w = find_watch(member, m);

        if (w) {
                w->stale = false; /* it looks again, here */
                return 0;
        }
        if (member->n_pools >= MEMBER_POOLS_MAX)
                return -ENOBUFS;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (struct pool_watch){ .monitor = m, .member = member };
        if (list_is_empty(&m->pool_watches))
                m->hope_told = pool_has_hope(m);
        list_append(&m->pool_watches, &w->of_monitor);
        list_append(&member->pools, &w->of_member);
        member->n_pools++;
        return 0;
}

static void remove_watch(struct pool_watch *w) {
        list_remove(&w->of_monitor);
        list_remove(&w->of_member);
        w->member->n_pools--;
        free(w);
}

int pool_answer(arbiter_monitor *pool, arbiter_message *m) {
        struct member *member = member_of(m);
        int r;

        if (!member)
                return -ESRCH;
        r = add_watch(member, pool);
        if (r == -ENOBUFS) {
                incoming_refuse(m->context, ARBITER_OUTCOME_OVERLOAD, "%s sends to too many pools already",
                                member_name(member));
                return 0;
        }
        return r < 0 ? r : reply_pool(m, pool);
}

void pool_members_forget(arbiter_monitor *m) {
        struct pool_watch *w;

        while ((w = LIST_FIRST(&m->pool_watches, struct pool_watch, of_monitor)))
                remove_watch(w);
}

void pool_members_gone(arbiter_monitor *m) {
        tell(m, POOL_GONE, NULL, 0);
        pool_members_forget(m);
}

void pool_watcher_gone(struct member *member) {
        struct pool_watch *w;

        while ((w = LIST_FIRST(&member->pools, struct pool_watch, of_member)))
                remove_watch(w);
}
