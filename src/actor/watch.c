/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches and links, from the watcher's side (the rules are Erlang's). The arbiter sends "down" when the
 * dead actor's pidfd has fired and its name is free; here the barrier is kept: what the dead one had sent on
 * its link is read and dispatched first, then DOWN, exactly once for each watch. The other side is in
 * src/arbiter. Called by the program, and by dispatch.c with what the arbiter says. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"

enum { KNOWN_EXITS_MAX = 128 };

struct watch {
        uint64_t id;
        aid target;
        uint32_t generation;
        arbiter_down_handler_t handler;
        void *userdata;
};

/* What waits behind the dead actor's mail. */
struct pending_down {
        aid target;
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
        arbiter_reason reason;
        int status;
        struct list_node exits; /* in actor->pending_exits */
        struct list_node deferred; /* in actor->deferred_downs */
        bool exit;              /* for a link, not for a watch */
        bool unlinked;          /* since it came */
        struct actor_timer timer;
};

static struct watch *find_watch(arbiter_actor *a, const aid *target) {
        void *position = NULL;
        struct watch *w;

        while ((w = map_next(a->watches, &position)))
                if (aid_equal(&w->target, target))
                        return w;
        return NULL;
}

bool watch_exists(arbiter_actor *a, const aid *target) {
        return find_watch(a, target);
}

static int ask(arbiter_actor *a, const char *command, const aid *target, uint32_t generation) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        if (a->arbiter_ops) {
                if (streq(command, "watch"))
                        return a->arbiter_ops->watch(a, target, generation);
                if (streq(command, "unwatch")) {
                        a->arbiter_ops->unwatch(a, target);
                        return 0;
                }
                return a->arbiter_ops->link(a, target, generation, streq(command, "link"));
        }
        if (streq(command, "unwatch"))
                return actor_cast_arbiter(a, command, "s", aid_to_string(target).s);
        if (streq(command, "watch")) /* the map of watches says it again, if need be: watches_tell() */
                return actor_cast_arbiter(a, command, "su", aid_to_string(target).s, generation);
        /* Nobody waits for the answer; without one it is sent again to the next arbiter. */
        r = actor_request_arbiter(
                        a, &f, command, UINT64_MAX, "su", aid_to_string(target).s, generation);
        return r >= 0 && !f->pending ? arbiter_outcome_to_errno(f->outcome) : r;
}

static void on_noproc(arbiter_actor *a, struct actor_timer *t);

/* The arbiter's own: it knows at once that there is none, but tells from the loop. */
static int defer_noproc(arbiter_actor *a, const struct watch *w) {
        struct pending_down *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->target = w->target;
        p->generation = w->generation;
        p->reason = ARBITER_REASON_NOPROC;
        p->timer = ACTOR_TIMER_INIT(on_noproc);
        r = actor_timer_set(a, &p->timer, 0);
        if (r < 0) {
                free(p);
                return r;
        }
        list_append(&a->deferred_downs, &p->deferred);
        return 0;
}

_public_ int arbiter_actor_watch(arbiter_actor *a, const arbiter_proxy *p, arbiter_down_handler_t handler,
                void *userdata, uint64_t *ret_watch) {
        struct watch *w;
        int r;

        if (!a || !p || !handler)
                return -EINVAL;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (struct watch){
                .id = ++a->watch_counter,
                .generation = arbiter_proxy_get_generation(p),
                .handler = handler,
                .userdata = userdata,
        };
        r = aid_parse(arbiter_proxy_get_aid(p), &w->target);
        if (r >= 0)
                r = map_put_u64(a->watches, w->id, w);
        if (r < 0) {
                free(w);
                return r;
        }
        r = ask(a, "watch", &w->target, w->generation);
        if (r == -ESRCH)
                r = defer_noproc(a, w);
        if (r < 0) {
                map_remove_u64(a->watches, w->id);
                free(w);
                return r;
        }
        if (ret_watch)
                *ret_watch = w->id;
        return 0;
}

/* As of a link that was lost: a watch would be answered noproc where the truth is how it has ended. */
int watches_tell(arbiter_actor *a) {
        void *position = NULL;
        struct watch *w;
        int r = 0;

        while (r >= 0 && (w = map_next(a->watches, &position)))
                r = actor_cast_arbiter(a, "lost", "su", aid_to_string(&w->target).s, w->generation);
        return r;
}

/* The library itself waits for the same news (peer_handle_closed()). */
static bool is_lost(arbiter_actor *a, const aid *target) {
        struct peer *p = peer_find(a, target);

        return p && p->state == PEER_LOST;
}

_public_ int arbiter_actor_unwatch(arbiter_actor *a, uint64_t watch) {
        struct watch *w = map_remove_u64(a->watches, watch);

        if (!w)
                return -ENOENT;
        if (!find_watch(a, &w->target) && !is_lost(a, &w->target))
                (void) ask(a, "unwatch", &w->target, w->generation);
        free(w);
        return 0;
}

/* An arbiter that takes over says again what it cannot know that the one before it had said. Of a watch the
 * second DOWN finds nobody; a link leaves no trace here but this. */

static struct known_exit *find_known_exit(arbiter_actor *a, const aid *target) {
        for (unsigned i = 0; i < MIN(a->n_known_exits, (unsigned) KNOWN_EXITS_MAX); i++)
                if (aid_equal(&a->known_exits[i].target, target))
                        return &a->known_exits[i];
        return NULL;
}

static void remember_exit(arbiter_actor *a, const aid *target) {
        struct known_exit *known = find_known_exit(a, target);

        if (!a->known_exits)
                a->known_exits = calloc(KNOWN_EXITS_MAX, sizeof(*a->known_exits));
        if (!known && a->known_exits)
                known = &a->known_exits[a->n_known_exits++ % KNOWN_EXITS_MAX];
        if (known)
                *known = (struct known_exit){ .target = *target, .arbiters = a->n_arbiters };
}

/* Who links to it again wants to hear it again. */
static void forget_exit(arbiter_actor *a, const aid *target) {
        struct known_exit *known = find_known_exit(a, target);

        if (known)
                *known = (struct known_exit){};
}

static bool is_said_again(arbiter_actor *a, const aid *target) {
        const struct known_exit *known = find_known_exit(a, target);

        return known && known->arbiters != a->n_arbiters;
}

_public_ int arbiter_actor_link(arbiter_actor *a, const arbiter_proxy *p) {
        aid id;

        if (!a || !p || aid_parse(arbiter_proxy_get_aid(p), &id) < 0)
                return -EINVAL;
        forget_exit(a, &id);
        return ask(a, "link", &id, arbiter_proxy_get_generation(p));
}

/* An exit may be on its way to us already. What comes before the arbiter's answer is of the link that we
 * have given up. */
struct unlinking {
        struct list_node unlinkings;
        aid target;
};

static void on_unlinked(arbiter_future *f, void *userdata) {
        struct unlinking *u = userdata;

        list_remove(&u->unlinkings);
        free(u);
}

static int unlink_until_answered(arbiter_actor *a, const aid *target, uint32_t generation) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct unlinking *u;
        int r;

        r = actor_request_arbiter(a, &f, "unlink", UINT64_MAX, "su", aid_to_string(target).s, generation);
        if (r < 0)
                return r;
        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        u->target = *target;
        LIST_FOREACH(p, &a->pending_exits, struct pending_down, exits)
                if (aid_equal(&p->target, target))
                        p->unlinked = true;
        list_append(&a->unlinkings, &u->unlinkings);
        r = future_then_now(f, on_unlinked, u);
        if (r < 0)
                on_unlinked(f, u);
        return r;
}

static bool is_unlinking(arbiter_actor *a, const aid *target) {
        LIST_FOREACH(u, &a->unlinkings, struct unlinking, unlinkings)
                if (aid_equal(&u->target, target))
                        return true;
        return false;
}

_public_ int arbiter_actor_unlink(arbiter_actor *a, const arbiter_proxy *p) {
        aid id;

        if (!a || !p || aid_parse(arbiter_proxy_get_aid(p), &id) < 0)
                return -EINVAL;
        if (a->arbiter_ops)
                return ask(a, "unlink", &id, arbiter_proxy_get_generation(p));
        return unlink_until_answered(a, &id, arbiter_proxy_get_generation(p));
}

_public_ int arbiter_actor_trap_exit(arbiter_actor *a, arbiter_exit_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->exit_handler = handler;
        a->exit_userdata = userdata;
        return 0;
}

static void deliver_down(arbiter_actor *a, const arbiter_down *down, const aid *target) {
        struct watch *w;

        /* Each is taken off before it is told: its handler may watch again, or unwatch others. */
        while ((w = find_watch(a, target))) {
                arbiter_down d = *down;
                arbiter_actor *previous;

                map_remove_u64(a->watches, w->id);
                d.watch = w->id;
                actor_enter(a, &previous);
                w->handler(a, &d, w->userdata);
                actor_leave(a, previous);
                free(w);
        }
}

static void deliver_exit(arbiter_actor *a, const arbiter_down *down) {
        if (a->exit_handler) {
                arbiter_actor *previous;

                actor_enter(a, &previous);
                a->exit_handler(a, down, a->exit_userdata);
                actor_leave(a, previous);
        } else if (!arbiter_reason_is_normal(down->reason, down->status))
                (void) arbiter_actor_exit(a, down->reason);
}

static void deliver(arbiter_actor *a, void *userdata) {
        struct pending_down *p = userdata;
        aid_string s = aid_to_string(&p->target);
        arbiter_down d = {
                .size = sizeof(d),
                .aid = s.s,
                .name = p->name,
                .generation = p->generation,
                .reason = p->reason,
                .status = p->status,
        };

        if (p->exit) {
                list_remove(&p->exits);
                if (!p->unlinked)
                        deliver_exit(a, &d);
        }
        else
                deliver_down(a, &d, &p->target);
        free(p);
}

static void on_noproc(arbiter_actor *a, struct actor_timer *t) {
        struct pending_down *p = CONTAINER_OF(t, struct pending_down, timer);

        list_remove(&p->deferred);
        deliver(a, p);
}

/* Behind all mail of the dead that waits: where there is no message, the arbiter itself. */
void watch_deliver_later(arbiter_actor *a, const arbiter_down *down) {
        struct pending_down *p;
        aid target;

        if (aid_parse(down->aid, &target) < 0)
                return;
        p = calloc(1, sizeof(*p));
        if (!p) {
                deliver_down(a, down, &target); /* early is better than never */
                return;
        }
        p->target = target;
        (void) snprintf(p->name, sizeof(p->name), "%s", down->name);
        p->generation = down->generation;
        p->reason = down->reason;
        p->status = down->status;
        if (dispatch_barrier(a, deliver, p) < 0)
                deliver(a, p); /* out of memory: early is better than never */
}

static struct pending_down *parse(arbiter_message *m, bool exit) {
        struct pending_down *p = calloc(1, sizeof(*p));
        const char *id, *name;
        uint32_t generation, reason;
        int32_t status;

        if (!p)
                return NULL;
        if (arbiter_message_read(m, "ssuui", &id, &name, &generation, &reason, &status) <= 0 ||
                        aid_parse(id, &p->target) < 0) {
                free(p);
                return NULL;
        }
        (void) snprintf(p->name, sizeof(p->name), "%s", name);
        p->generation = generation;
        p->reason = reason;
        p->status = status;
        p->exit = exit;
        return p;
}

static void handle(arbiter_actor *a, arbiter_message *m, bool exit) {
        struct pending_down *d = parse(m, exit);
        struct peer *p;

        if (!d)
                return;
        if (exit && is_said_again(a, &d->target)) {
                free(d);
                return;
        }
        if (exit)
                remember_exit(a, &d->target);
        p = peer_find(a, &d->target);
        /* Not to EOF, which a descendant of the dead that holds the descriptor could delay for ever: to
         * EAGAIN. */
        if (p && p->link && p->state != PEER_LOST)
                (void) link_drain(p->link);
        p = peer_find(a, &d->target);
        if (p)
                peer_died(p, d->reason, d->status);
        if (exit) {
                d->unlinked = is_unlinking(a, &d->target);
                list_append(&a->pending_exits, &d->exits);
        }
        if (dispatch_barrier(a, deliver, d) < 0)
                deliver(a, d); /* out of memory: early is better than never */
}

void watch_handle_down(arbiter_actor *a, arbiter_message *m) {
        handle(a, m, false);
}

void watch_handle_exit(arbiter_actor *a, arbiter_message *m) {
        handle(a, m, true);
}

void watch_done(arbiter_actor *a) {
        struct pending_down *p;

        while ((p = LIST_FIRST(&a->deferred_downs, struct pending_down, deferred))) {
                list_remove(&p->deferred);
                actor_timer_clear(a, &p->timer);
                free(p);
        }
        map_free(a->watches, free);
        a->watches = NULL;
        free(a->known_exits);
        a->known_exits = NULL;
        a->n_known_exits = 0;
}
