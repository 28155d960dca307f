/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Routes: how what a sender says ("web.1", "monitor", an aid) leads to a peer. The first message asks the
 * arbiter for a link ("connect") and waits with those that follow; from then on the way is direct. The
 * arbiter itself asks nobody. Called by call.c, answer.c, broadcast.c and pool.c with what is to be sent. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"
#include "actor/pool.h"

static void connect_route(struct route *r);

static void route_free(struct route *r) {
        list_remove(&r->routes);
        if (r->actor->last_route == r)
                r->actor->last_route = NULL;
        map_remove_string(r->actor->routes, r->target);
        r->actor->n_pools -= !!r->pool;
        pool_free(r->pool);
        free(r->target);
        free(r);
}

static int route_new(arbiter_actor *a, const char *target, bool by_name, struct route **ret) {
        struct route *r = calloc(1, sizeof(*r));
        int q;

        if (!r)
                return -ENOMEM;
        r->actor = a;
        r->by_name = by_name;
        list_init(&r->routes);
        room_init(&r->waiting);
        r->target = strdup(target);
        q = r->target ? map_put_string(a->routes, target, r) : -ENOMEM;
        if (q < 0) {
                free(r->target);
                free(r);
                return q;
        }
        *ret = r;
        return 0;
}

/* What was on its way to a worker of a pool that has just ended goes to another one. */
static void resend_to_pools(arbiter_actor *a, struct waiting_room *w) {
        struct waiting_room pools;

        room_init(&pools);
        LIST_FOREACH(o, &w->messages, struct outgoing, waiting)
                if (o->target)
                        room_take(w, o, &pools);
        room_resend(a, &pools, NULL);
}

void route_give_up(struct route *r, arbiter_outcome outcome, const char *text) {
        arbiter_actor *a = r->actor;
        bool by_name = r->by_name;
        struct waiting_room w;
        aid id;

        /* Moved out first: failing a future may lead to a new message for the same target. */
        room_init(&w);
        room_move(&r->waiting, &w);
        if (!by_name && aid_parse(r->target, &id) >= 0)
                pools_forget_member(a, &id);
        route_free(r);
        if (!by_name && (outcome == ARBITER_OUTCOME_NOPROC || outcome == ARBITER_OUTCOME_RESTARTING))
                resend_to_pools(a, &w);
        room_fail(a, &w, outcome, text);
}

static void route_ready(struct route *r, struct peer *p) {
        r->peer = p;
        r->attempts = 0;
        r->holds = false;
        list_append(&p->routes, &r->routes);
        room_move(&r->waiting, &p->waiting);
        peer_flush_waiting(p);
        if (!r->by_name || r->actor->arbiter_ops) /* an aid needs no second table, nor does the arbiter */
                route_free(r);
}

static bool waits(const struct route_options *o) {
        return o && (o->flags & (ROUTE_HOLD | ROUTE_AGAIN));
}

/* A name between two lives: who cannot wait is told so, the others wait for the next one. */
static bool hold(struct route *r, const char *text) {
        bool any = false;

        LIST_FOREACH(o, &r->waiting.messages, struct outgoing, waiting)
                any = any || waits(&o->options);
        if (!any || r->holds)
                return false;
        r->holds = true;
        LIST_FOREACH(o, &r->waiting.messages, struct outgoing, waiting)
                if (!waits(&o->options))
                        outgoing_fail(r->actor, o, ARBITER_OUTCOME_RESTARTING, text);
        connect_route(r);
        return true;
}

/* True: it is asked again, otherwise. */
static bool not_connected(struct route *r, arbiter_outcome outcome, const char *text) {
        if (outcome == ARBITER_OUTCOME_RESTARTING && r->by_name && hold(r, text))
                return true;
        if (outcome == ARBITER_OUTCOME_UNKNOWN_COMMAND && r->by_name && !r->plainly) {
                r->plainly = true; /* an arbiter that is older than this library */
                connect_route(r);
                return true;
        }
        return false;
}

static int read_route(struct route *r, arbiter_future *f, uint8_t *ret_kind, aid *ret_id) {
        const char *id, *name;
        uint32_t generation;
        uint64_t link_id;
        int q;

        *ret_kind = ROUTE_TO_LIFE;
        if (r->by_name && !r->plainly)
                q = arbiter_future_get(f, "yssut", ret_kind, &id, &name, &generation, &link_id);
        else
                q = arbiter_future_get(f, "ssut", &id, &name, &generation, &link_id);
        return q <= 0 || aid_parse(id, ret_id) < 0 ? -EBADMSG : 0;
}

static struct peer *find_connected(arbiter_actor *a, const aid *id) {
        struct peer *p = NULL;

        if (a->arbiter_ops) {
                (void) a->arbiter_ops->resolve(a, aid_to_string(id).s, &p);
                return p;
        }
        p = peer_find(a, id);
        return p && p->state != PEER_LOST ? p : NULL;
}

static void on_connected(arbiter_future *f, void *userdata) {
        struct route *r = userdata;
        uint8_t kind;
        struct peer *p;
        aid id;

        if (f->outcome != ARBITER_OUTCOME_REPLY) {
                const char *text = arbiter_future_get_error_text(f);

                text = text ? text : "cannot connect";
                if (!not_connected(r, f->outcome, text))
                        route_give_up(r, f->outcome, text);
                return;
        }
        if (read_route(r, f, &kind, &id) < 0) {
                route_give_up(r, ARBITER_OUTCOME_NO_CONNECTION, "the arbiter's answer makes no sense");
                return;
        }
        if (kind == ROUTE_TO_POOL) {
                r->actor->n_pools++;
                if (pool_take(r, f->reply) < 0) {
                        r->actor->n_pools--;
                        route_give_up(r, ARBITER_OUTCOME_NO_CONNECTION,
                                        "the arbiter's answer makes no sense");
                }
                return;
        }
        p = find_connected(r->actor, &id);
        if (p)
                route_ready(r, p);
        else if (++r->attempts < 4)
                connect_route(r); /* the link was closed again while the answer was under way */
        else
                route_give_up(r, ARBITER_OUTCOME_NO_CONNECTION, "the link was lost while it was made");
}

static void connect_route(struct route *r) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int q;

        if (streq(r->target, "monitor"))
                r->plainly = true; /* its actor, and not the pool that has its name */
        if (r->by_name && !r->plainly)
                q = actor_request_arbiter(r->actor, &f, "route", UINT64_MAX, "su", r->target,
                                (uint32_t) (r->holds ? ROUTE_HOLD : 0));
        else
                q = actor_request_arbiter(r->actor, &f, "connect", UINT64_MAX, "s",
                                streq(r->target, "monitor") ? r->actor->manager : r->target);
        if (q >= 0)
                q = future_then_now(f, on_connected, r);
        if (q < 0)
                route_give_up(r, ARBITER_OUTCOME_NO_CONNECTION, strerror(-q));
}

/* An actor may well send to itself: a local link, both ends ours. */
static int connect_self(arbiter_actor *a, struct peer **ret) {
        _cleanup_(link_unrefp) struct link *near = NULL, *far = NULL;
        struct peer *p, *other;
        int r;

        r = link_new_local(a->event, &near, &far);
        if (r < 0)
                return r;
        r = peer_new(a, far, &a->aid, a->name, a->generation, false, &other);
        if (r < 0)
                return r;
        map_remove(a->peers_by_aid, a->aid.c, AID_SIZE); /* the near end is the one to find */
        r = peer_new(a, near, &a->aid, a->name, a->generation, false, &p);
        if (r < 0) {
                peer_free(other, ARBITER_OUTCOME_NO_CONNECTION);
                return r;
        }
        p->policy = a->mailbox_policy;
        *ret = p;
        return 0;
}

static struct peer *known_peer(arbiter_actor *a, const char *target, const aid *id) {
        struct route *r;

        if (id)
                return peer_find(a, id);
        if (a->control && streq(target, "arbiter"))
                return a->control;
        r = map_get_string(a->routes, target);
        if (r && (r->peer || r->pool))
                a->last_route = r;
        return r ? r->peer : NULL;
}

/* Waits for the route, which is asked for. */
static int wait_for_route(arbiter_actor *a, const char *target, bool by_name, const char *say,
                struct envelope *e, arbiter_message *m, arbiter_future *f, const struct route_options *o) {
        struct route *route = map_get_string(a->routes, target);
        int r;

        r = route ? 0 : route_new(a, target, by_name, &route);
        if (r >= 0 && route->holds && route->waiting.n == 0 && !waits(o)) {
                if (f)
                        future_fail(f, ARBITER_OUTCOME_RESTARTING, "'%s' is between two lives", target);
                else
                        actor_dead_letter(a, a->name, target, e->command, 0, ARBITER_OUTCOME_RESTARTING);
                return 0;
        }
        if (r >= 0) {
                bool first = route->waiting.n == 0 && route->attempts == 0;

                r = room_wait(a, &route->waiting, e, m, f, say, o);
                if (r >= 0 && first) {
                        route->attempts = 1;
                        route->holds = by_name && waits(o);
                        connect_route(route);
                }
        }
        if (r < 0 && f) {
                future_fail(f, ARBITER_OUTCOME_OVERLOAD, "too much waits for '%s' already", target);
                return 0;
        }
        if (r < 0)
                actor_dead_letter(a, a->name, target, e->command, 0, ARBITER_OUTCOME_OVERLOAD);
        return r;
}

/* The workers of a pool are asked for as any actor does, by a request to ourselves. */
static bool is_for_pool(arbiter_actor *a, const char *target, const struct envelope *e,
                const struct route_options *o) {
        if ((o && (o->flags & ROUTE_MONITOR)) || !a->arbiter_ops->is_pool(a, target))
                return false;
        if (o && (o->flags & ROUTE_POOL))
                return true;
        for (const arbiter_command *c = actor_standard_commands; c->name; c++)
                if (streq(c->name, e->command))
                        return false;
        return true;
}

/* The arbiter knows everybody. */
static int arbiter_send_to(arbiter_actor *a, const char *target, bool by_name, struct envelope *e,
                arbiter_message *m, arbiter_future *f, const struct route_options *o) {
        struct peer *p = NULL;
        arbiter_outcome outcome = a->arbiter_ops->resolve(a, target, &p);

        /* Behind those that wait for this name already. */
        if (by_name && (map_get_string(a->routes, target) || is_for_pool(a, target, e, o) ||
                                       (outcome != ARBITER_OUTCOME_REPLY && waits(o))))
                return wait_for_route(a, target, true, target, e, m, f, o);
        if (outcome == ARBITER_OUTCOME_REPLY)
                return peer_send(p, e, m, f, by_name ? target : NULL, o);
        if (f)
                future_fail(f, outcome,
                                outcome == ARBITER_OUTCOME_RESTARTING ? "'%s' is not running yet"
                                                                      : "no actor '%s'",
                                target);
        else
                actor_dead_letter(a, a->name, target, e->command, 0, outcome);
        return 0;
}

static int send_self(arbiter_actor *a, struct envelope *e, arbiter_message *m, arbiter_future *f) {
        struct peer *p = peer_find(a, &a->aid);
        int r = p ? 0 : connect_self(a, &p);

        if (r >= 0)
                return peer_send(p, e, m, f, NULL, NULL);
        if (!f)
                return r;
        future_fail_errno(f, r, NULL);
        return 0;
}

int route_send_first(arbiter_actor *a, const char *pool, const aid *id, struct envelope *e,
                arbiter_message *m, arbiter_future *f, const struct route_options *o) {
        aid_string s = aid_to_string(id);

        return aid_equal(id, &a->aid) ? send_self(a, e, m, f)
                                      : wait_for_route(a, s.s, false, pool, e, m, f, o);
}

static int send_on_last(arbiter_actor *a, struct envelope *e, arbiter_message *m, arbiter_future *f,
                const struct route_options *o) {
        struct route *r = a->last_route;

        return _likely_(r->peer) ? peer_send(r->peer, e, m, f, r->target, o) : pool_send(r, e, m, f, o);
}

int route_send(arbiter_actor *a, const char *target, const aid *id, struct envelope *e, arbiter_message *m,
                arbiter_future *f, const struct route_options *o) {
        aid_string id_string;
        struct peer *p;

        if (!id && a->last_route && streq(a->last_route->target, target))
                return send_on_last(a, e, m, f, o);
        if (id ? aid_equal(id, &a->aid)
               : (streq(target, a->name) && !(o && (o->flags & ROUTE_POOL))) ||
                                                streq(target, a->aid_string.s))
                return send_self(a, e, m, f);
        if (!id && a->control && streq(target, "monitor") && streq(a->manager, "arbiter"))
                target = a->manager;
        p = known_peer(a, target, id);
        if (_likely_(p))
                return peer_send(p, e, m, f, target, o);
        if (!id && a->last_route && streq(a->last_route->target, target))
                return send_on_last(a, e, m, f, o);
        if (id) {
                id_string = aid_to_string(id);
                target = id_string.s;
        }
        return a->arbiter_ops ? arbiter_send_to(a, target, !id, e, m, f, o)
                              : wait_for_route(a, target, !id, id ? NULL : target, e, m, f, o);
}

static void on_rehomed(arbiter_future *connected, void *userdata) {
        arbiter_future *f = userdata;
        struct peer *p = f->actor && f->pending ? peer_find(f->actor, &f->spawn_aid) : NULL;

        if (f->pending && (!p || p->state == PEER_LOST))
                future_fail(f, ARBITER_OUTCOME_CALLEE_DIED,
                                "the actor that the request was delegated to is gone");
        else if (f->pending) {
                f->sequence = 0; /* begun, for all that we know */
                call_put_on(f, p);
        }
        arbiter_future_unref(f);
}

int route_rehome(arbiter_actor *a, const aid *id, arbiter_future *f) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *connected = NULL;
        aid_string s = aid_to_string(id);
        int r;

        call_take_off(f);
        f->spawn_aid = *id;
        if (!a->control)
                return -EOPNOTSUPP;
        r = actor_request_arbiter(a, &connected, "connect", CALL_TIMEOUT_DEFAULT_USEC, "s", s.s);
        if (r < 0)
                return r;
        arbiter_future_ref(f);
        r = future_then_now(connected, on_rehomed, f);
        if (r < 0)
                arbiter_future_unref(f);
        return r;
}

void routes_forget(struct peer *p) {
        struct route *r;

        while ((r = LIST_FIRST(&p->routes, struct route, routes)))
                route_free(r);
}

bool routes_wait(arbiter_actor *a) {
        void *position = NULL;
        struct route *r;

        while ((r = map_next(a->routes, &position)))
                if (r->waiting.n > 0)
                        return true;
        return false;
}

void routes_done(arbiter_actor *a) {
        void *position = NULL;
        struct route *r;

        while (a->routes && (position = NULL, r = map_next(a->routes, &position)))
                route_give_up(r, ARBITER_OUTCOME_CANCELLED, "the actor ends");
}
