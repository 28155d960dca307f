/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pools as a sender knows them; see pool.c. */

#include "actor/actor.h"
#include "actor/waiting.h"

struct known_pool;
struct route;

/* What the arbiter tells of a pool, in a signal "pool" (s pool, u what, s aid, s name, u value). */
enum pool_news {
        POOL_JOINED = 1,  /* this worker gets new work; value: its generation */
        POOL_LEFT = 2,    /* it gets none any more */
        POOL_HOPE = 3,    /* value: without workers there will be some, or not */
        POOL_ROUTING = 4, /* value: arbiter_routing */
        POOL_GONE = 5,
        POOL_STALE = 6,   /* something was missed: ask again */
};

/* The answer to "route" says that it is one: it is read, and what waits goes out. */
int pool_take(struct route *r, arbiter_message *answer);
struct known_pool *pool_free(struct known_pool *p);
/* As route_send(). */
int pool_send(struct route *r, struct envelope *e, arbiter_message *m, arbiter_future *f,
                const struct route_options *o);
/* A request to all of them; or a cast. */
int pool_broadcast(struct known_pool *p, arbiter_actor *a, struct envelope *e, arbiter_message *m,
                arbiter_future *f);
/* This worker cannot be reached: the others are tried before anybody hears of it from the arbiter. */
void pools_forget_member(arbiter_actor *a, const aid *id);
void pool_handle_news(arbiter_actor *a, arbiter_message *m);
/* To an arbiter that has just taken over: what is watched. */
int pools_tell(arbiter_actor *a);

/* For each worker, in turn. NULL: there is none (any more). */
struct pool_member {
        aid aid;
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
        uint64_t hash;     /* of the name */
        struct peer *peer; /* valid while epoch is the actor's */
        uint64_t epoch;
        unsigned n_unlinked; /* sent before there was a link */
};
const struct pool_member *pool_get_member(const struct known_pool *p, size_t i);
