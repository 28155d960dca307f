/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Routes: how what a sender says ("web.1", "monitor", an aid) leads to a peer. The first message asks the
 * arbiter for a link ("connect") and waits with those that follow; from then on the way is direct. The
 * arbiter itself asks nobody. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"

static void connect_route(struct route *r);

static void route_free(struct route *r) {
        list_remove(&r->routes);
        if (r->actor->last_route == r)
                r->actor->last_route = NULL;
        map_remove_string(r->actor->routes, r->target);
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

static void route_fail(struct route *r, arbiter_outcome outcome, const char *text) {
        arbiter_actor *a = r->actor;
        struct waiting_room w;

        /* Moved out first: failing a future may lead to a new message for the same target. */
        room_init(&w);
        room_move(&r->waiting, &w);
        route_free(r);
        room_fail(a, &w, outcome, text);
}

static void route_ready(struct route *r, struct peer *p) {
        r->peer = p;
        r->attempts = 0;
        list_append(&p->routes, &r->routes);
        room_move(&r->waiting, &p->waiting);
        peer_flush_waiting(p);
        if (!r->by_name) /* an aid needs no second table */
                route_free(r);
}

static void on_connected(arbiter_future *f, void *userdata) {
        struct route *r = userdata;
        const char *id, *name;
        uint32_t generation;
        uint64_t link_id;
        struct peer *p;
        aid peer_aid;

        if (f->outcome != ARBITER_OUTCOME_REPLY) {
                const char *text = arbiter_future_get_error_text(f);

                route_fail(r, f->outcome, text ? text : "cannot connect");
                return;
        }
        if (arbiter_future_get(f, "ssut", &id, &name, &generation, &link_id) <= 0 ||
                        aid_parse(id, &peer_aid) < 0) {
                route_fail(r, ARBITER_OUTCOME_NO_CONNECTION, "the arbiter's answer makes no sense");
                return;
        }
        p = peer_find(r->actor, &peer_aid);
        if (p && p->state != PEER_LOST)
                route_ready(r, p);
        else if (++r->attempts < 4)
                connect_route(r); /* the link was closed again while the answer was under way */
        else
                route_fail(r, ARBITER_OUTCOME_NO_CONNECTION, "the link was lost while it was made");
}

static void connect_route(struct route *r) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int q;

        q = actor_request_arbiter(r->actor, &f, "connect", UINT64_MAX, "s", r->target);
        if (q >= 0)
                q = future_then_now(f, on_connected, r);
        if (q < 0)
                route_fail(r, ARBITER_OUTCOME_NO_CONNECTION, strerror(-q));
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
        if (r && r->peer)
                a->last_route = r;
        return r ? r->peer : NULL;
}

/* The arbiter knows everybody. */
static int arbiter_send_to(arbiter_actor *a, const char *target, struct envelope *e, arbiter_message *m,
                arbiter_future *f) {
        struct peer *p = NULL;
        arbiter_outcome outcome = a->arbiter_ops->resolve(a, target, &p);

        if (outcome == ARBITER_OUTCOME_REPLY)
                return peer_send(p, e, m, f, NULL);
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
                return peer_send(p, e, m, f, NULL);
        if (!f)
                return r;
        future_fail_errno(f, r, NULL);
        return 0;
}

int route_send(arbiter_actor *a, const char *target, const aid *id, struct envelope *e, arbiter_message *m,
                arbiter_future *f) {
        aid_string id_string;
        struct route *route;
        struct peer *p;
        int r;

        if (!id && a->last_route && streq(a->last_route->target, target))
                return peer_send(a->last_route->peer, e, m, f, target);
        if (id ? aid_equal(id, &a->aid) : streq(target, a->name) || streq(target, a->aid_string.s))
                return send_self(a, e, m, f);
        if (!id && a->control && streq(target, "monitor"))
                target = a->manager;
        p = known_peer(a, target, id);
        if (_likely_(p))
                return peer_send(p, e, m, f, target);
        if (id) {
                id_string = aid_to_string(id);
                target = id_string.s;
        }
        if (a->arbiter_ops)
                return arbiter_send_to(a, target, e, m, f);

        route = map_get_string(a->routes, target);
        r = route ? 0 : route_new(a, target, !id, &route);
        if (r >= 0) {
                bool first = route->waiting.n == 0 && route->attempts == 0;

                r = room_wait(a, &route->waiting, e, m, f, id ? NULL : target);
                if (r >= 0 && first) {
                        route->attempts = 1;
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

static void on_rehomed(arbiter_future *connected, void *userdata) {
        arbiter_future *f = userdata;
        struct peer *p = f->actor && f->pending ? peer_find(f->actor, &f->spawn_aid) : NULL;

        if (f->pending && (!p || p->state == PEER_LOST))
                future_fail(f, ARBITER_OUTCOME_CALLEE_DIED,
                                "the actor that the request was delegated to is gone");
        else if (f->pending) {
                f->peer = p;
                f->sequence = 0; /* begun, for all that we know */
                list_append(&p->calls, &f->calls);
        }
        arbiter_future_unref(f);
}

int route_rehome(arbiter_actor *a, const aid *id, arbiter_future *f) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *connected = NULL;
        aid_string s = aid_to_string(id);
        int r;

        list_remove(&f->calls);
        f->peer = NULL;
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
                route_fail(r, ARBITER_OUTCOME_CANCELLED, "the actor ends");
}
