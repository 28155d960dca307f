/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can happen to an arbiter in simulate-world: what operators and actors ask, and what goes wrong. */

#include <signal.h>

#include "world-model.h"

static arbiter_spawn *new_spawn(const char *name, char kind, unsigned version,
                                arbiter_concurrency concurrency) {
        static const arbiter_exec_type types[] = { ARBITER_EXEC_MAILBOX, ARBITER_EXEC_MAILBOX,
                                                   ARBITER_EXEC_MAILBOX, ARBITER_EXEC_EXEC };
        arbiter_exec_type type = kind == 'c' ? ARBITER_EXEC_MAILBOX : types[below(sim(), ELEMENTSOF(types))];
        usec_t start = (kind == 'c' ? 100000 : 10) * USEC_PER_SEC;
        char argument[16];
        const char *const argv[] = { "/sim/worker", argument, NULL };
        arbiter_spawn *s;

        (void) snprintf(argument, sizeof(argument), "%c%u", kind, version);
        require(sim(), arbiter_spawn_new(h.arbiter, name, &s) >= 0, 0);
        require(sim(), arbiter_spawn_set_concurrency(s, concurrency) >= 0, 0);
        if (concurrency == ARBITER_CONCURRENCY_INLINE)
                require(sim(), arbiter_spawn_set_module(s, &worker_module) >= 0, 0);
        else
                require(sim(), arbiter_spawn_set_exec(s, argv, type) >= 0, 0);
        require(sim(), arbiter_spawn_set_timeouts(s, 0, start, one_in(sim(), 2) ? USEC_PER_SEC : 0, 0) >= 0,
                0);
        return s;
}

void make_pool(unsigned i) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_future *f = NULL;
        struct pool_model *p = &h.pools[i];
        int r;

        p->calm = one_in(sim(), 2);
        (void) snprintf(p->name, sizeof(p->name), "pool%u", i);
        p->wanted = p->peak = 1 + below(sim(), 4);
        p->surge = below(sim(), 3);
        p->unavailable = p->surge > 0 ? below(sim(), 3) : 1 + below(sim(), 2);
        p->intensity = below(sim(), 5);
        p->period = (1 + below(sim(), 20)) * USEC_PER_SEC;
        p->version = 1;
        s = new_spawn(p->name, p->calm ? 'c' : 'v', 1, ARBITER_CONCURRENCY_PROCESS);
        require(sim(), arbiter_monitor_new(h.arbiter, p->name, s, NULL, &p->monitor) >= 0, 0);
        require(sim(), arbiter_monitor_set_intensity(p->monitor, p->intensity, p->period) >= 0, 0);
        require(sim(), arbiter_monitor_set_roll(p->monitor, p->surge, p->unavailable,
                                                one_in(sim(), 2) ? 0 : USEC_PER_SEC) >= 0, 0);
        if (one_in(sim(), 3))
                require(sim(), arbiter_monitor_set_min_ready(p->monitor, below(sim(), 3000000)) >= 0, 0);
        if (one_in(sim(), 3))
                require(sim(), arbiter_monitor_set_backoff(p->monitor, UINT64_MAX, 0, 0, 0, 0) >= 0, 0);
        r = arbiter_monitor_start(p->monitor, p->wanted, &f);
        await("start", p->monitor, r, f);
}

void make_tree(void) {
        static const char *const names[] = { "first", "second", "third" };
        arbiter_future *f = NULL;
        int r;

        require(sim(), arbiter_monitor_new(h.arbiter, "tree", NULL, NULL, &h.tree) >= 0, 0);
        r = arbiter_monitor_set_strategy(h.tree, (arbiter_strategy) (1 + below(sim(), 3)));
        require(sim(), r >= 0, 0);
        for (unsigned i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;

                s = new_spawn(names[i], 'v', 1, one_in(sim(), 4) ? ARBITER_CONCURRENCY_INLINE
                                                                 : ARBITER_CONCURRENCY_PROCESS);
                require(sim(), arbiter_spawn_set_restart(s, (arbiter_restart) below(sim(), 3)) >= 0, 0);
                require(sim(), arbiter_monitor_add_actor(h.tree, s, NULL, NULL) >= 0, 0);
        }
        r = arbiter_monitor_start(h.tree, 0, &f);
        await("tree", h.tree, r, f);
}

/* Somebody, by chance; calm ones only to be talked to. */
static struct child *any_child(bool calm_too) {
        struct child *chosen = NULL;
        uint32_t n = 0;

        LIST_FOREACH(c, &h.arbiter->children, struct child, children) {
                struct pool_model *p = c->set ? pool_model_of(c->set->monitor) : NULL;

                if (!calm_too && ((p && p->calm) || c->monitor_actor))
                        continue;
                if (below(sim(), ++n) == 0)
                        chosen = c;
        }
        return chosen;
}

static struct worker *any_worker(bool calm_too, bool talks) {
        struct worker *chosen = NULL;
        uint32_t n = 0;

        LIST_FOREACH(w, &workers, struct worker, workers)
                if (w->alive && (calm_too || !w->calm) &&
                    (!talks || (w->actor && w->actor->state == ARBITER_STATE_RUNNING &&
                                !loop_is_paused(w->event))) &&
                    below(sim(), ++n) == 0)
                        chosen = w;
        return chosen;
}

static void do_scale(struct pool_model *p) {
        arbiter_future *f = NULL;
        unsigned n = below(sim(), 6);
        int r;

        if (p->calm || !p->monitor->arbiter)
                return;
        forgive();
        p->wanted = n;
        p->peak = MAX(p->peak, n);
        r = arbiter_monitor_scale(p->monitor, n, &f);
        await("scale", p->monitor, r, f);
}

void do_roll(struct pool_model *p) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_future *f = NULL;
        int r;

        if (!p->monitor->arbiter)
                return;
        forgive();
        sim()->counts[COUNT_ROLLS]++;
        if (!one_in(sim(), 4))
                s = new_spawn(p->name, p->calm ? 'c' : one_in(sim(), 4) ? 'b' : 'v', ++p->version,
                              ARBITER_CONCURRENCY_PROCESS);
        r = arbiter_monitor_restart(p->monitor, s, &f);
        await("roll", p->monitor, r, f);
}

static void do_abort(struct pool_model *p) {
        arbiter_future *f = NULL;
        int r;

        if (!p->monitor->arbiter)
                return;
        forgive();
        r = arbiter_monitor_abort_roll(p->monitor, &f);
        await("abort roll", p->monitor, r, f);
}

static void do_control(unsigned which) {
        struct child *c = any_child(false);
        const arbiter_monitor *m = c && c->set ? c->set->monitor : NULL;
        arbiter_future *f = NULL;
        int r;

        if (!c)
                return;
        world_trace("of %s:", c->name);
        forgive();
        if (which == 0) {
                r = control_stop(h.arbiter, c->name, &f);
                await("stop", m, r, f);
        } else if (which == 1) {
                r = control_restart(h.arbiter, c->name, &f);
                await("restart", m, r, f);
        } else
                await("kill", m, control_kill(h.arbiter, c->name, one_in(sim(), 2) ? SIGKILL : SIGTERM),
                      NULL);
}

static void do_spawn(void) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_future *f = NULL;
        char name[16];
        int r;

        (void) snprintf(name, sizeof(name), "lone%u", below(sim(), 6));
        s = new_spawn(name, 'v', 1, one_in(sim(), 3) ? ARBITER_CONCURRENCY_INLINE
                                                     : ARBITER_CONCURRENCY_PROCESS);
        require(sim(), arbiter_spawn_set_restart(s, (arbiter_restart) below(sim(), 3)) >= 0, 0);
        r = arbiter_spawn_start(s, &f);
        require(sim(), r >= 0 || r == -EEXIST || r == -ESHUTDOWN, 0);
        await("spawn", NULL, r, f);
}

static void do_tree(void) {
        static const char *const names[] = { "first", "second", "third", "fourth" };
        const char *name = names[below(sim(), ELEMENTSOF(names))];
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_future *f = NULL;
        int r;

        if (!h.tree->arbiter)
                return;
        world_trace("%s:", name);
        switch (below(sim(), 4)) {
        case 0:
                s = new_spawn(name, 'v', 1, ARBITER_CONCURRENCY_PROCESS);
                r = arbiter_monitor_add_actor(h.tree, s, NULL, &f);
                await("add child", h.tree, r, f);
                break;
        case 1:
                r = arbiter_monitor_remove_child(h.tree, name, &f);
                await("remove child", h.tree, r, f);
                break;
        case 2:
                r = arbiter_monitor_terminate_child(h.tree, name, &f);
                await("terminate child", h.tree, r, f);
                break;
        default:
                r = arbiter_monitor_restart_child(h.tree, name, &f);
                await("restart child", h.tree, r, f);
                break;
        }
}

static void do_remove(void) {
        arbiter_future *f = NULL;
        char name[16];
        int r;

        (void) snprintf(name, sizeof(name), "lone%u", below(sim(), 6));
        r = arbiter_remove_actor(h.arbiter, name, &f);
        await("remove", NULL, r, f);
}

static void do_watch(void) {
        struct worker *w = one_in(sim(), 4) ? NULL : any_worker(true, true);
        arbiter_actor *a = w ? w->actor : h.arbiter->actor;
        struct child *c = any_child(true);

        if (one_in(sim(), 4)) { /* somebody who may be dead */
                LIST_FOREACH(d, &workers, struct worker, workers)
                        if (d != w && *d->name && one_in(sim(), 4)) {
                                watch(a, w ? w->id : 0, &d->aid, d->name, 1);
                                return;
                        }
        } else if (c && (!w || !aid_equal(&w->actor->aid, &c->aid)))
                watch(a, w ? w->id : 0, &c->aid, c->name, c->generation);
}

static void do_unwatch(void) {
        struct watch_model *w = h.n_watches > 0 ? &h.watches[below(sim(), h.n_watches)] : NULL;

        if (!w || w->from != 0 || w->over)
                return;
        world_trace("watch %u: no more", (unsigned) (w - h.watches));
        w->over = true;
        require(sim(), (arbiter_actor_unwatch(h.arbiter->actor, w->id) >= 0) == (w->downs == 0), 0);
}

static void do_request(void) {
        struct worker *w = one_in(sim(), 4) ? NULL : any_worker(true, true);
        struct child *c = any_child(true);

        if (c)
                ask(w ? w->actor : h.arbiter->actor, w ? w->id : 0,
                    one_in(sim(), 3) ? h.pools[below(sim(), POOLS)].name : c->name);
}

static void do_fault(void) {
        struct worker *w = any_worker(false, false);

        if (!w)
                return;
        world_trace("fault of %s:", w->name);
        if (one_in(sim(), 2))
                worker_crash(w, SIGSEGV);
        else if (w->actor)
                loop_pause(w->event, world.now + below(sim(), 60000000));
}

/* Delayed messages; nobody's sign of life is that late. */
static void do_hold(void) {
        struct worker *w = one_in(sim(), 2) ? NULL : any_worker(true, true);

        world_trace("messages to %s are late", w ? w->name : "arbiter");
        loop_hold_one(w ? w->event : h.event, world.now + below(sim(), w && w->calm ? 1000000 : 3000000));
}

static void do_jump(void) {
        world_trace("the clock jumps");
        world.now += below(sim(), one_in(sim(), 2) ? 1000000 : 90000000);
        world.realtime_offset += (int64_t) below(sim(), 2000000000) - 1000000000;
}

static void do_stop_monitor(void) {
        struct pool_model *p = &h.pools[below(sim(), POOLS)];
        arbiter_future *f = NULL;
        int r;

        if (!p->monitor->arbiter || sim()->step < STEPS / 2)
                return;
        h.stopped = p;
        r = arbiter_monitor_stop(p->monitor, &f);
        await("stop monitor", p->monitor, r, f);
}

void happen(void) {
        struct pool_model *p = &h.pools[below(sim(), POOLS)];

        switch (below(sim(), 27)) {
        case 0:
                do_scale(p);
                break;
        case 1 ... 3:
                do_roll(p);
                break;
        case 4:
                do_abort(p);
                break;
        case 5 ... 7:
                do_control(below(sim(), 3));
                break;
        case 8 ... 9:
                do_spawn();
                break;
        case 10:
                do_remove();
                break;
        case 11 ... 12:
                do_tree();
                break;
        case 13 ... 15:
                do_watch();
                break;
        case 16:
                do_unwatch();
                break;
        case 17 ... 21:
                do_request();
                break;
        case 22 ... 23:
                do_fault();
                break;
        case 24:
                do_hold();
                break;
        case 25:
                do_jump();
                break;
        default:
                do_stop_monitor();
                break;
        }
}
