/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches and links, from the watcher's side (research/actors.md 3.6, 3.7). The arbiter sends "down" when the dead actor's pidfd has
 * fired and its name is free; here the barrier is kept: what the dead one had sent on its link is read and dispatched first, then
 * DOWN, exactly once for each watch. The other side is in src/arbiter. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"

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
        bool exit; /* for a link, not for a watch */
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

static int ask(arbiter_actor *a, const char *command, const aid *target, uint32_t generation) {
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
        return actor_cast_arbiter(a, command, "su", aid_to_string(target).s, generation);
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
        if (r < 0)
                free(p);
        return r;
}

_public_ int arbiter_actor_watch(arbiter_actor *a, const arbiter_proxy *p, arbiter_down_handler_t handler, void *userdata,
                uint64_t *ret_watch) {
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

_public_ int arbiter_actor_unwatch(arbiter_actor *a, uint64_t watch) {
        struct watch *w = map_remove_u64(a->watches, watch);

        if (!w)
                return -ENOENT;
        if (!find_watch(a, &w->target))
                (void) ask(a, "unwatch", &w->target, w->generation);
        free(w);
        return 0;
}

_public_ int arbiter_actor_link(arbiter_actor *a, const arbiter_proxy *p) {
        aid id;

        if (!a || !p || aid_parse(arbiter_proxy_get_aid(p), &id) < 0)
                return -EINVAL;
        return ask(a, "link", &id, arbiter_proxy_get_generation(p));
}

_public_ int arbiter_actor_unlink(arbiter_actor *a, const arbiter_proxy *p) {
        aid id;

        if (!a || !p || aid_parse(arbiter_proxy_get_aid(p), &id) < 0)
                return -EINVAL;
        return ask(a, "unlink", &id, arbiter_proxy_get_generation(p));
}

_public_ int arbiter_actor_trap_exit(arbiter_actor *a, arbiter_exit_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->exit_handler = handler;
        a->exit_userdata = userdata;
        return 0;
}

void watch_deliver(arbiter_actor *a, const arbiter_down *down, const aid *target) {
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

        if (p->exit)
                deliver_exit(a, &d);
        else
                watch_deliver(a, &d, &p->target);
        free(p);
}

static void on_noproc(arbiter_actor *a, struct actor_timer *t) {
        deliver(a, CONTAINER_OF(t, struct pending_down, timer));
}

static struct pending_down *parse(arbiter_message *m, bool exit) {
        struct pending_down *p = calloc(1, sizeof(*p));
        const char *id, *name;
        uint32_t generation, reason;
        int32_t status;

        if (!p)
                return NULL;
        if (arbiter_message_read(m, "ssuui", &id, &name, &generation, &reason, &status) <= 0 || aid_parse(id, &p->target) < 0) {
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
        p = peer_find(a, &d->target);
        /* Not to EOF, which a descendant of the dead that holds the descriptor could delay for ever: to EAGAIN. */
        if (p && p->link && p->state != PEER_LOST)
                (void) link_drain(p->link);
        p = peer_find(a, &d->target);
        if (p)
                peer_died(p, d->reason, d->status);
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
        map_free(a->watches, free);
        a->watches = NULL;
}
