/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages to the name of a pool. The arbiter says once who its workers are, and then tells of each change
 * (src/arbiter/pool-members.c), so a message to a pool costs a choice more than one to a worker, and no hop.
 * Here are only those that get new work: who drains, is not ready, or is gone is none of them. One whose
 * link has just been lost is passed over before the arbiter has told. Called by route.c and dispatch.c;
 * what is told is believed from the arbiter alone, and only as far as it makes sense.
 *
 * Consistent hashing is by rendezvous (Thaler and Ravishankar, 1996): each worker's name is hashed
 * together with the key, and the highest wins. So a worker that goes, moves its own keys and no others, one
 * that comes takes its share from all alike, and whoever sends comes to the same choice without having to
 * agree on more than the names; which are those of the next life, too. It looks at each worker for each
 * message, as least-outstanding does: some nanoseconds each. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"
#include "actor/pool.h"

enum { POOL_MEMBERS_MAX = 1 << 20 };

struct known_pool {
        struct route *route;
        aid monitor;
        arbiter_routing routing;
        bool hope; /* without members there will be some */
        struct pool_member *members;
        size_t n, size, turn;
        uint64_t pruned; /* in which turn of the loop what has begun was last looked at */
        char **commands; /* the monitor's own, sorted by nothing: few */
        size_t n_commands;
        char last_command[32]; /* most senders repeat themselves */
        bool last_is_monitors;
};

const struct pool_member *pool_get_member(const struct known_pool *p, size_t i) {
        return i < p->n ? &p->members[i] : NULL;
}

/* Everywhere the same. */
static uint64_t hash_string(const char *s) {
        static const struct siphash_key key = {};

        return siphash24(s, strlen(s), &key);
}

static uint64_t mix(uint64_t v) { /* the finalizer of splitmix64 */
        v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
        return v ^ v >> 31;
}

/* Members. */

static struct pool_member *find_member(struct known_pool *p, const aid *id) {
        for (size_t i = 0; i < p->n; i++)
                if (aid_equal(&p->members[i].aid, id))
                        return &p->members[i];
        return NULL;
}

static void remove_member(struct known_pool *p, struct pool_member *m) {
        size_t i = (size_t) (m - p->members);

        memmove(m, m + 1, (--p->n - i) * sizeof(*m));
        if (p->turn > i)
                p->turn--;
}

static int add_member(struct known_pool *p, const char *id, const char *name, uint32_t generation) {
        struct pool_member m = { .generation = generation };

        if (aid_parse(id, &m.aid) < 0 || aid_equal(&m.aid, &AID_ARBITER) || !qualified_name_is_valid(name))
                return -EBADMSG;
        if (find_member(p, &m.aid))
                return 0;
        if (p->n >= POOL_MEMBERS_MAX)
                return -ENOBUFS;
        if (p->n == p->size) {
                size_t size = MAX(p->size * 2, (size_t) 8);
                struct pool_member *members = reallocarray(p->members, size, sizeof(*members));

                if (!members)
                        return -ENOMEM;
                p->members = members;
                p->size = size;
        }
        (void) snprintf(m.name, sizeof(m.name), "%s", name);
        m.hash = hash_string(name);
        p->members[p->n++] = m;
        return 0;
}

static struct peer *peer_of(arbiter_actor *a, struct pool_member *m) {
        if (_likely_(m->epoch == a->peers_epoch && m->peer))
                return m->peer;
        if (!a->arbiter_ops)
                m->peer = peer_find(a, &m->aid);
        else if (a->arbiter_ops->resolve(a, aid_to_string(&m->aid).s, &m->peer) != ARBITER_OUTCOME_REPLY)
                m->peer = NULL;
        if (m->peer)
                m->n_unlinked = 0;
        m->epoch = a->peers_epoch;
        return m->peer;
}

/* NULL of peer_of(): not linked yet. */
static bool is_eligible(arbiter_actor *a, struct pool_member *m) {
        struct peer *p = peer_of(a, m);

        return !p || p->state != PEER_LOST;
}

/* Choosing. */

static struct pool_member *next_in_turn(struct known_pool *p) {
        arbiter_actor *a = p->route->actor;

        for (size_t i = 0; i < p->n; i++) {
                struct pool_member *m = &p->members[p->turn < p->n ? p->turn : 0];

                p->turn = (size_t) (m - p->members) + 1;
                if (_likely_(is_eligible(a, m)))
                        return m;
        }
        return NULL;
}

static uint64_t outstanding(arbiter_actor *a, struct pool_member *m) {
        struct peer *p = peer_of(a, m);

        return p ? p->n_calls + p->kept.n_casts + p->waiting.n : m->n_unlinked;
}

static void look_what_has_begun(struct known_pool *p) {
        arbiter_actor *a = p->route->actor;

        if (p->pruned == a->n_turns)
                return;
        p->pruned = a->n_turns;
        for (size_t i = 0; i < p->n; i++) {
                struct peer *peer = peer_of(a, &p->members[i]);

                if (peer && peer->kept.n_casts > 0)
                        kept_prune(peer);
        }
}

static struct pool_member *least_busy(struct known_pool *p) {
        arbiter_actor *a = p->route->actor;
        struct pool_member *best = NULL;
        uint64_t least = UINT64_MAX;

        look_what_has_begun(p);
        for (size_t i = 0; i < p->n && least > 0; i++) {
                struct pool_member *m = &p->members[(p->turn + i) % p->n];
                uint64_t n;

                if (!is_eligible(a, m))
                        continue;
                n = outstanding(a, m);
                if (n < least) {
                        least = n;
                        best = m;
                }
        }
        if (best)
                p->turn = (size_t) (best - p->members) + 1;
        return best;
}

static struct pool_member *by_key(struct known_pool *p, uint64_t key) {
        arbiter_actor *a = p->route->actor;
        struct pool_member *best = NULL;
        uint64_t highest = 0;

        for (size_t i = 0; i < p->n; i++) {
                struct pool_member *m = &p->members[i];
                uint64_t score = mix(key ^ m->hash);

                if ((!best || score > highest) && is_eligible(a, m)) {
                        highest = score;
                        best = m;
                }
        }
        return best;
}

static arbiter_routing routing_of(const struct known_pool *p, const struct route_options *o) {
        if (o && o->routing != ARBITER_ROUTING_DEFAULT)
                return o->routing;
        return p->routing;
}

static struct pool_member *choose(struct known_pool *p, const struct route_options *o) {
        switch (routing_of(p, o)) {
        case ARBITER_ROUTING_LEAST_OUTSTANDING:
                return least_busy(p);
        case ARBITER_ROUTING_CONSISTENT_HASH:
                return by_key(p, o && (o->flags & ROUTE_KEY) ? o->key : hash_string(p->route->actor->name));
        default:
                return next_in_turn(p);
        }
}

/* Sending. */

/* What every actor answers, and what the monitor's own module has. */
static bool is_monitors(struct known_pool *p, const char *command) {
        bool found = false;

        if (streq(p->last_command, command))
                return p->last_is_monitors;
        for (const arbiter_command *c = actor_standard_commands; c->name && !found; c++)
                found = streq(c->name, command);
        for (size_t i = 0; i < p->n_commands && !found; i++)
                found = streq(p->commands[i], command);
        if (strlen(command) < sizeof(p->last_command)) {
                (void) snprintf(p->last_command, sizeof(p->last_command), "%s", command);
                p->last_is_monitors = found;
        }
        return found;
}

static int nobody(struct route *r, struct envelope *e, arbiter_message *m, arbiter_future *f,
                const struct route_options *o) {
        arbiter_actor *a = r->actor;
        int q = 0;

        if (o && (o->flags & (ROUTE_HOLD | ROUTE_AGAIN)) && r->pool->hope) {
                q = room_wait(a, &r->waiting, e, m, f, r->target, o);
                if (q >= 0)
                        return 0;
        }
        if (f)
                future_fail(f, q < 0 ? ARBITER_OUTCOME_OVERLOAD : ARBITER_OUTCOME_NOPROC,
                                q < 0 ? "too much waits for '%s' already" : "no worker of '%s' is running",
                                r->target);
        else
                actor_dead_letter(a, a->name, r->target, e->command, 0,
                                q < 0 ? ARBITER_OUTCOME_OVERLOAD : ARBITER_OUTCOME_NOPROC);
        return f ? 0 : q;
}

int pool_send(struct route *r, struct envelope *e, arbiter_message *m, arbiter_future *f,
                const struct route_options *o) {
        struct known_pool *p = r->pool;
        struct pool_member *to;
        struct peer *peer;

        if (o && (o->flags & ROUTE_MONITOR))
                return route_send(r->actor, NULL, &p->monitor, e, m, f, NULL);
        if (!(o && (o->flags & ROUTE_POOL)) && is_monitors(p, e->command))
                return route_send(r->actor, NULL, &p->monitor, e, m, f, NULL);
        if (routing_of(p, o) == ARBITER_ROUTING_BROADCAST && p->n > 0)
                return pool_broadcast(p, r->actor, e, m, f);
        to = choose(p, o);
        if (_unlikely_(!to))
                return nobody(r, e, m, f, o);
        peer = peer_of(r->actor, to);
        if (_likely_(peer))
                return peer_send(peer, e, m, f, r->target, o);
        to->n_unlinked++;
        return route_send_first(r->actor, r->target, &to->aid, e, m, f, o);
}

/* Who cannot wait any longer is told so. */
static void send_waiting(struct route *r) {
        struct waiting_room w;

        room_init(&w);
        room_move(&r->waiting, &w);
        room_resend(r->actor, &w, NULL);
}

static void flush_waiting(struct route *r) {
        if (r->waiting.n > 0 && (r->pool->n > 0 || !r->pool->hope))
                send_waiting(r);
}

/* What the arbiter says. */

struct known_pool *pool_free(struct known_pool *p) {
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_commands; i++)
                free(p->commands[i]);
        free(p->commands);
        free(p->members);
        free(p);
        return NULL;
}

static int read_commands(struct known_pool *p, arbiter_message *m) {
        const char *s;
        int r;

        r = arbiter_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = arbiter_message_read(m, "s", &s)) > 0) {
                char **commands = reallocarray(p->commands, p->n_commands + 1, sizeof(*commands));

                if (!commands)
                        return -ENOMEM;
                p->commands = commands;
                commands[p->n_commands] = strdup(s);
                if (!commands[p->n_commands])
                        return -ENOMEM;
                p->n_commands++;
        }
        return r < 0 ? r : arbiter_message_exit_container(m);
}

static int read_members(struct known_pool *p, arbiter_message *m) {
        const char *id, *name;
        uint32_t generation;
        int r;

        r = arbiter_message_enter_container(m, 'a', "(ssu)");
        while (r >= 0 && (r = arbiter_message_read(m, "(ssu)", &id, &name, &generation)) > 0)
                r = add_member(p, id, name, generation);
        return r < 0 ? r : arbiter_message_exit_container(m);
}

static bool routing_is_valid(uint32_t routing) {
        return routing >= ARBITER_ROUTING_ROUND_ROBIN && routing <= ARBITER_ROUTING_BROADCAST;
}

/* y kind, s aid, s name, u generation, t link: of the monitor's actor; y routing, b hope, as its own
 * commands, a(ssu) members. */
static int read_answer(struct known_pool *p, arbiter_message *m) {
        uint8_t kind, routing;
        const char *id, *name;
        uint32_t generation;
        uint64_t link_id;
        int hope, r;

        r = arbiter_message_rewind(m, true);
        if (r >= 0)
                r = arbiter_message_read(m, "yssutyb", &kind, &id, &name, &generation, &link_id, &routing,
                                &hope);
        if (r < 0)
                return r;
        if (r == 0 || kind != ROUTE_TO_POOL || aid_parse(id, &p->monitor) < 0 || !routing_is_valid(routing))
                return -EBADMSG;
        p->routing = routing;
        p->hope = hope;
        r = read_commands(p, m);
        return r < 0 ? r : read_members(p, m);
}

int pool_take(struct route *r, arbiter_message *answer) {
        struct known_pool *p = calloc(1, sizeof(*p));
        int q;

        if (!p)
                return -ENOMEM;
        p->route = r;
        q = read_answer(p, answer);
        if (q < 0) {
                pool_free(p);
                return q;
        }
        p->turn = r->pool ? r->pool->turn : hash_string(r->actor->aid_string.s) % MAX(p->n, (size_t) 1);
        pool_free(r->pool);
        r->pool = p;
        r->attempts = 0;
        r->holds = false;
        send_waiting(r);
        return 0;
}

static struct route *find_pool(arbiter_actor *a, const char *name) {
        struct route *r = map_get_string(a->routes, name);

        return r && r->pool ? r : NULL;
}

static void gone(struct route *r) {
        route_give_up(r, ARBITER_OUTCOME_NOPROC, "the pool is no more");
}

static void on_told_again(arbiter_future *f, void *userdata) {
        _cleanup_free_ char *name = userdata;
        struct route *r = f->actor ? find_pool(f->actor, name) : NULL;

        if (!r || f->outcome == ARBITER_OUTCOME_CANCELLED)
                return;
        if (f->outcome != ARBITER_OUTCOME_REPLY || pool_take(r, f->reply) < 0)
                gone(r);
}

static int ask_again(struct route *r) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_free_ char *name = strdup(r->target);
        int q;

        if (!name)
                return -ENOMEM;
        q = actor_request_arbiter(r->actor, &f, "route", UINT64_MAX, "su", r->target, (uint32_t) 0);
        if (q >= 0)
                q = future_then_now(f, on_told_again, name);
        if (q >= 0)
                name = NULL;
        return q;
}

static void take_news(struct route *r, uint32_t what, const char *id, const char *name, uint32_t value) {
        struct known_pool *p = r->pool;
        struct pool_member *m = NULL;
        aid member;

        switch (what) {
        case POOL_JOINED:
                if (add_member(p, id, name, value) == -ENOMEM)
                        (void) ask_again(r);
                break;
        case POOL_LEFT:
                if (aid_parse(id, &member) >= 0)
                        m = find_member(p, &member);
                if (m)
                        remove_member(p, m);
                break;
        case POOL_HOPE:
                p->hope = value;
                break;
        case POOL_ROUTING:
                if (routing_is_valid(value))
                        p->routing = value;
                break;
        case POOL_STALE:
                (void) ask_again(r);
                break;
        case POOL_GONE:
                gone(r);
                return;
        default:
                return;
        }
        flush_waiting(r);
}

void pool_handle_news(arbiter_actor *a, arbiter_message *m) {
        const char *pool, *id, *name;
        uint32_t what, value;
        struct route *r;

        if (arbiter_message_read(m, "sussu", &pool, &what, &id, &name, &value) <= 0)
                return;
        r = find_pool(a, pool);
        if (r)
                take_news(r, what, id, name, value);
}

void pools_forget_member(arbiter_actor *a, const aid *id) {
        void *position = NULL;
        struct route *r;

        if (a->n_pools == 0)
                return;
        while ((r = map_next(a->routes, &position))) {
                struct pool_member *m = r->pool ? find_member(r->pool, id) : NULL;

                if (m)
                        remove_member(r->pool, m);
        }
}

int pools_tell(arbiter_actor *a) {
        void *position = NULL;
        struct route *r;
        int q = 0;

        while (q >= 0 && a->n_pools > 0 && (r = map_next(a->routes, &position)))
                if (r->pool)
                        q = ask_again(r);
        return q;
}
