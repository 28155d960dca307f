/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random histories of a whole arbiter: src/arbiter, and src/actor in the arbiter and in its workers, on
 * the machine of world.h. Pools that roll and scale, a tree, lone actors, watches, requests; faults at
 * every step. After every event of every loop the registry, the pools and the processes are looked at;
 * what was asked for has one outcome, who watches hears once, and to stop always ends. Of a pool whose
 * workers are good ("calm") nobody may die, whatever the clock does, and a roll keeps to its bounds. */

#include <dirent.h>
#include <signal.h>
#include <sys/socket.h>

#include "world.h"

#define POOLS 2U
#define STEPS 40U
#define VERBS_MAX 256U
#define REQUESTS_MAX 256U
#define WATCHES_MAX 256U
#define FAILURES_MAX 16U
#define SLOTS_MAX 16U
#define DISPATCHES_MAX 200000U
#define STOP_BOUND (60 * 60 * USEC_PER_SEC)
#define SETTLE_USEC (5 * 60 * USEC_PER_SEC)

enum { COUNT_EVENTS, COUNT_LIVES, COUNT_CRASHES, COUNT_DOWNS, COUNT_ANSWERS, COUNT_ROLLS, COUNT_REQUESTS };
const char *const count_names[16] = { "events", "lives", "deaths", "DOWNs", "replies", "rolls", "requests" };
const uint64_t history_cost = 100;

struct pool_model {
        arbiter_monitor *monitor;
        char name[16];
        bool calm, up;
        unsigned wanted, peak, surge, unavailable, version;
        unsigned intensity;
        usec_t period;
        usec_t failures[SLOTS_MAX][FAILURES_MAX];
        unsigned n_failures[SLOTS_MAX];
        uint64_t revision, revisions[SLOTS_MAX]; /* that all are to be of; that they have been */
};

struct verb {
        const char *what;
        const arbiter_monitor *monitor; /* it is done when all of it has come to rest */
        bool resolved;
};

struct request {
        uint64_t from; /* worker; 0: the arbiter */
        unsigned ran;
        bool resolved, never;
};

struct watch_model {
        uint64_t from, id;
        aid target;
        unsigned downs;
        bool over;
};

static struct {
        arbiter *arbiter;
        sd_event *event;
        struct control_observer observer;
        struct pool_model pools[POOLS];
        arbiter_monitor *tree;
        struct verb verbs[VERBS_MAX];
        struct request requests[REQUESTS_MAX];
        struct watch_model watches[WATCHES_MAX];
        unsigned n_verbs, n_requests, n_watches, n_names;
        struct pool_model *stopped; /* just now */
        bool asked; /* an operator does, and what comes of it at once is not by itself */
} h;

static struct simulation *sim(void) {
        return world.sim;
}

/* Plans. */

void world_plan(struct worker *w, const char *argument) {
        static const enum worker_plan often[] = { PLAN_GOOD, PLAN_GOOD, PLAN_GOOD, PLAN_GOOD, PLAN_CRASHES,
                                                  PLAN_START_SLOW };

        w->version = argument ? (unsigned) strtoul(argument + 1, NULL, 10) : 0;
        w->calm = argument && argument[0] == 'c';
        w->boot_usec = world.now + (one_in(sim(), 4) ? below(sim(), 2000000) : below(sim(), 1000));
        w->plan = w->calm                     ? PLAN_GOOD
                  : argument && *argument == 'b' ? PLAN_START_FAILS
                  : one_in(sim(), 3)             ? (enum worker_plan) below(sim(), _PLAN_MAX)
                                                 : often[below(sim(), ELEMENTSOF(often))];
        w->turns = 1 + below(sim(), one_in(sim(), 2) ? 8 : 40);
        w->exit_code = (int) below(sim(), 3);
        if (w->plan == PLAN_START_SLOW)
                w->due_usec = below(sim(), 5000000);
        else if (w->plan == PLAN_CRASHES || w->plan == PLAN_EXITS)
                w->due_usec = world.now + below(sim(), 10000000);
        sim()->counts[COUNT_LIVES]++;
}

int world_start_inline(arbiter_actor *a) {
        return one_in(sim(), 8) ? -EIO : one_in(sim(), 8) ? arbiter_actor_ignore(a) : 0;
}

/* What was asked for: one outcome each. */

static void on_verb(arbiter_future *f, void *userdata) {
        struct verb *v = userdata;

        world_trace("%s: %s", v->what, arbiter_outcome_to_string(arbiter_future_get_outcome(f)));
        require(sim(), !v->resolved, (unsigned) (v - h.verbs));
        v->resolved = true;
}

/* Takes the reference. */
static void await(const char *what, const arbiter_monitor *m, int r, arbiter_future *f) {
        struct verb *v = &h.verbs[h.n_verbs];

        world_trace("%s -> %d", what, r);
        require(sim(), r >= 0 || !f, 0);
        if (!f)
                return;
        require(sim(), h.n_verbs < VERBS_MAX, 0);
        h.n_verbs++;
        *v = (struct verb){ .what = what, .monitor = m };
        require(sim(), arbiter_future_then(f, on_verb, v) >= 0, 0);
        arbiter_future_unref(f);
}

static bool asker_is_dead(uint64_t from) {
        LIST_FOREACH(w, &workers, struct worker, workers)
                if (w->id == from)
                        return !w->alive;
        return from != 0;
}

void world_ran(uint64_t id) {
        struct request *q = &h.requests[id % REQUESTS_MAX];

        q->ran++;
        require(sim(), q->ran <= 1, (unsigned) id);
        require(sim(), !q->never, (unsigned) id);
}

static void on_answer(arbiter_future *f, void *userdata) {
        struct request *q = userdata;
        arbiter_executed executed = arbiter_future_get_executed(f);
        uint64_t id;

        require(sim(), !q->resolved, (unsigned) (q - h.requests));
        q->resolved = true;
        if (asker_is_dead(q->from))
                return;
        world_trace("request %u: %s: %s", (unsigned) (q - h.requests),
                    arbiter_outcome_to_string(arbiter_future_get_outcome(f)),
                    arbiter_future_get_error_text(f) ?: "");
        q->never = executed == ARBITER_EXECUTED_NO;
        require(sim(), executed != ARBITER_EXECUTED_NO || q->ran == 0, (unsigned) (q - h.requests));
        require(sim(), executed != ARBITER_EXECUTED_YES || q->ran == 1, (unsigned) (q - h.requests));
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                return;
        require(sim(), arbiter_future_get(f, "t", &id) >= 0 && id == (uint64_t) (q - h.requests), 0);
        sim()->counts[COUNT_ANSWERS]++;
}

static void ask(arbiter_actor *a, uint64_t from, const char *target) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct request *q = &h.requests[h.n_requests];

        if (h.n_requests == REQUESTS_MAX)
                return;
        *q = (struct request){ .from = from };
        world_trace("request %u: %" PRIu64 " -> %s", h.n_requests, from, target);
        sim()->counts[COUNT_REQUESTS]++;
        require(sim(), arbiter_call_async(a, &f, target, one_in(sim(), 3) ? "promise" : "answer",
                                          one_in(sim(), 3) ? 1 + below(sim(), 100000) : 0, "t",
                                          (uint64_t) h.n_requests++) >= 0, 0);
        require(sim(), arbiter_future_then(f, on_answer, q) >= 0, 0);
}

/* Death notices. */

static struct worker *find_worker(const aid *id) {
        LIST_FOREACH(w, &workers, struct worker, workers)
                if (aid_equal(&w->aid, id))
                        return w;
        return NULL;
}

static void check_reason(const struct worker *w, const arbiter_down *d) {
        arbiter_reason reason;
        int status;

        require(sim(), w->reaped, (unsigned) w->id);
        reason = child_how_ended(h.arbiter, &w->aid, &status);
        require(sim(), reason == d->reason && status == d->status, (unsigned) w->id);
        if (d->reason == ARBITER_REASON_EXIT_CODE)
                require(sim(), w->exit.end == PROCESS_EXITED && w->exit.status == d->status,
                        (unsigned) w->id);
        if (d->reason == ARBITER_REASON_SIGNAL)
                require(sim(), w->exit.end == PROCESS_SIGNALED && w->exit.status == d->status,
                        (unsigned) w->id);
}

static void on_down(arbiter_actor *a, const arbiter_down *d, void *userdata) {
        struct watch_model *w = userdata;
        struct worker *dead = find_worker(&w->target);
        struct child *c;

        if (asker_is_dead(w->from))
                return;
        w->downs++;
        sim()->counts[COUNT_DOWNS]++;
        world_trace("watch %u: DOWN %s %s", (unsigned) (w - h.watches), d->name,
                    arbiter_reason_to_string(d->reason));
        require(sim(), w->downs == 1 && !w->over, (unsigned) (w - h.watches));
        require(sim(), streq(d->aid, aid_to_string(&w->target).s), (unsigned) (w - h.watches));
        require(sim(), !map_get(h.arbiter->by_aid, w->target.c, AID_SIZE), (unsigned) (w - h.watches));
        c = *d->name ? map_get_string(h.arbiter->by_name, d->name) : NULL;
        require(sim(), !c || !aid_equal(&c->aid, &w->target), (unsigned) (w - h.watches));
        if (dead && d->reason != ARBITER_REASON_NOPROC)
                check_reason(dead, d);
}

static void watch(arbiter_actor *a, uint64_t from, const aid *target, const char *name,
                  uint32_t generation) {
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *p = NULL;
        struct watch_model *w = &h.watches[h.n_watches];

        if (h.n_watches == WATCHES_MAX)
                return;
        *w = (struct watch_model){ .from = from, .target = *target };
        require(sim(), arbiter_proxy_new(aid_to_string(target).s, name, generation, &p) >= 0, 0);
        require(sim(), arbiter_actor_watch(a, p, on_down, w, &w->id) >= 0, 0);
        world_trace("watch %u: %" PRIu64 " -> %s", h.n_watches, from, name);
        h.n_watches++;
}

/* Looking at it after every event. */

static struct pool_model *pool_model_of(const arbiter_monitor *m) {
        for (unsigned i = 0; i < POOLS; i++)
                if (m && h.pools[i].monitor == m)
                        return &h.pools[i];
        return NULL;
}

static void check_child(const struct child *c) {
        struct worker *w;

        require(sim(), map_get_string(h.arbiter->by_name, c->name) == c, c->slot);
        require(sim(), map_get(h.arbiter->by_aid, c->aid.c, AID_SIZE) == c, c->slot);
        require(sim(), !child_find_dead(h.arbiter, &c->aid), c->slot);
        require(sim(), !c->set || c->set->slots[c->slot].child == c, c->slot);
        if (c->process.pid <= 0)
                return;
        w = worker_of(c->process.pid);
        require(sim(), w && !w->reaped, c->slot);
        if (!*w->name) {
                (void) snprintf(w->name, sizeof(w->name), "%s", c->name);
                w->aid = c->aid;
        }
        require(sim(), aid_equal(&w->aid, &c->aid), c->slot); /* one process, one life */
        /* not before it says so */
        require(sim(), c->state != ARBITER_STATE_RUNNING || c->plain || !w->alive ||
                                (w->actor && w->actor->state >= ARBITER_STATE_RUNNING),
                c->slot);
}

static void check_registry(void) {
        size_t n = 0;

        LIST_FOREACH(c, &h.arbiter->children, struct child, children) {
                check_child(c);
                n++;
        }
        require(sim(), map_size(h.arbiter->by_name) == n && map_size(h.arbiter->by_aid) == n, 0);
        LIST_FOREACH(w, &workers, struct worker, workers) {
                struct child *c;

                if (w->reaped)
                        continue;
                c = map_get(h.arbiter->by_aid, w->aid.c, AID_SIZE);
                require(sim(), c && c->process.pid == w->pid, (unsigned) w->id); /* no orphans */
        }
}

static void check_pool(struct pool_model *p) {
        unsigned lives = 0, going = 0, serving = 0;
        supervise_slot_info i;
        supervise_info info;

        if (!p->monitor->arbiter || !p->monitor->set.supervise)
                return;
        supervise_get_info(p->monitor->set.supervise, &info);
        for (uint32_t s = 1; s < p->monitor->set.n_slots; s++) {
                const struct child *c = p->monitor->set.slots[s].child;

                if (supervise_get_slot(p->monitor->set.supervise, s, &i) < 0)
                        continue;
                lives += c != NULL;
                going += !i.leaving &&
                         (i.state == SUPERVISE_SLOT_RUNNING || i.state == SUPERVISE_SLOT_STARTING);
                serving += c && c->state == ARBITER_STATE_RUNNING && c->stop_stage == CHILD_STOP_NONE &&
                           i.state == SUPERVISE_SLOT_RUNNING;
        }
        require(sim(), lives <= p->peak + p->surge, (unsigned) (p - h.pools));
        require(sim(), going <= p->wanted + p->surge, (unsigned) (p - h.pools));
        if (!p->calm || p->monitor->stopping || h.arbiter->actor->state >= ARBITER_STATE_STOPPING)
                return;
        require(sim(), !p->monitor->failed, (unsigned) (p - h.pools));
        p->up = p->up || serving == p->wanted;
        require(sim(), !p->up || serving + p->unavailable >= p->wanted, (unsigned) (p - h.pools));
}

static void check(void) {
        if (h.arbiter->actor->state >= ARBITER_STATE_CLOSED)
                return;
        check_registry();
        for (unsigned i = 0; i < POOLS; i++)
                check_pool(&h.pools[i]);
}

/* Of a worker; NULL: of nobody's pool. */
static struct pool_model *find_slot(const char *name, unsigned *ret_slot) {
        const char *dot = strrchr(name, '.');
        char pool[QUALIFIED_NAME_SIZE];

        if (!dot)
                return NULL;
        (void) snprintf(pool, sizeof(pool), "%.*s", (int) (dot - name), name);
        *ret_slot = (unsigned) strtoul(dot + 1, NULL, 10);
        require(sim(), *ret_slot < SLOTS_MAX, *ret_slot);
        return pool_model_of(arbiter_find_monitor(h.arbiter, pool));
}

/* Failures within the period, and nobody has asked, nor is it another definition's turn: it is not to come
 * back. */
static void on_actor_new(const struct actor_view *v, void *userdata) {
        unsigned slot, n = 0;
        struct pool_model *p = find_slot(v->name, &slot);
        supervise_slot_info k;
        supervise_info i;

        world_trace("%s is new: life %u", v->name, v->generation);
        if (!p)
                return;
        supervise_get_info(p->monitor->set.supervise, &i);
        if (i.revision != p->revision) /* a roll begins, or is turned back */
                memset(p->n_failures, 0, sizeof(p->n_failures));
        p->revision = i.revision;
        require(sim(), supervise_get_slot(p->monitor->set.supervise, slot, &k) >= 0, slot);
        if (k.revision != p->revisions[slot])
                p->n_failures[slot] = 0;
        p->revisions[slot] = k.revision;
        for (unsigned j = 0; j < MIN(p->n_failures[slot], FAILURES_MAX); j++)
                n += p->failures[slot][j] + p->period > world.now;
        require(sim(), h.asked || n <= p->intensity, slot);
}

static void on_actor_gone(const struct actor_view *v, arbiter_reason reason, int status, void *userdata) {
        unsigned slot;
        struct pool_model *p = find_slot(v->name, &slot);
        supervise_slot_info i;

        world_trace("%s is gone: %s %d", v->name, arbiter_reason_to_string(reason), status);
        sim()->counts[COUNT_CRASHES] += !arbiter_reason_is_normal(reason, status);
        if (!p)
                return;
        /* the machine may well have slept while it was asked to stop */
        require(sim(), !p->calm || reason == ARBITER_REASON_SHUTDOWN ||
                                       reason == ARBITER_REASON_STOP_TIMEOUT, slot);
        if (supervise_get_slot(p->monitor->set.supervise, slot, &i) >= 0 &&
            i.state != SUPERVISE_SLOT_STOPPING && i.state != SUPERVISE_SLOT_DRAINING &&
            !arbiter_reason_is_normal(reason, status))
                p->failures[slot][p->n_failures[slot]++ % FAILURES_MAX] = world.now;
}

/* A verb of an operator forgets the past. */
static void forgive(void) {
        h.asked = true;
        for (unsigned i = 0; i < POOLS; i++)
                memset(h.pools[i].n_failures, 0, sizeof(h.pools[i].n_failures));
}

static void on_log(const arbiter_log_entry *e, void *userdata) {
        unsigned slot;
        struct pool_model *p = e->event && streq(e->event, "removed") ? find_slot(e->name, &slot) : NULL;

        world_trace("<%d> %s", e->level, e->text);
        if (p)
                p->n_failures[slot] = 0;
}

/* Time. */

static bool step_on(usec_t end) {
        usec_t next;

        require(sim(), world.n_dispatched < DISPATCHES_MAX, 0); /* somebody turns for ever */
        if (world_dispatch()) {
                check();
                return true;
        }
        next = world_next();
        if (next > end)
                return false;
        world.now = MAX(world.now, next);
        return true;
}

static void run_events(unsigned n) {
        for (unsigned i = 0; i < n; i++)
                if (!step_on(world.now))
                        return;
}

static void run_time(usec_t span) {
        usec_t end = time_add(world.now, span);

        while (world.now <= end && step_on(end))
                ;
        world.now = MAX(world.now, end);
}

static void run(void) {
        static const usec_t spans[] = { USEC_PER_MSEC, 100 * USEC_PER_MSEC, USEC_PER_SEC, 10 * USEC_PER_SEC,
                                        60 * USEC_PER_SEC };

        if (one_in(sim(), 2))
                run_events(below(sim(), 40));
        else
                run_time(spans[below(sim(), one_in(sim(), 4) ? ELEMENTSOF(spans) : 3)]);
}

/* What can happen. */

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

static void make_pool(unsigned i) {
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

static void make_tree(void) {
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

static void do_roll(struct pool_model *p) {
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

static void happen(void) {
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

/* The history. */

static unsigned count_fds(void) {
        unsigned n = 0;
        DIR *d;

        d = opendir("/proc/self/fd");
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static void begin(void) {
        memset(&h, 0, sizeof(h));
        h.observer = (struct control_observer){ .actor_new = on_actor_new, .actor_gone = on_actor_gone };
        world.reading_usec = one_in(sim(), 4) ? 30 : 0;
        require(sim(), sd_event_new(&h.event) >= 0, 0);
        require(sim(), arbiter_new(h.event, NULL, &h.arbiter) >= 0, 0);
        require(sim(), arbiter_set_cgroup(h.arbiter, "/dev/null/none") >= 0, 0);
        require(sim(), arbiter_set_log_handler(h.arbiter, on_log, NULL) >= 0, 0);
        control_subscribe(h.arbiter, &h.observer);
        require(sim(), arbiter_start(h.arbiter) >= 0, 0);
        for (unsigned i = 0; i < POOLS; i++)
                make_pool(i);
        make_tree();
}

/* Nothing is on its way in it: who waits for it waits for nothing. */
static bool is_at_rest(const arbiter_monitor *m) {
        supervise_info i;

        if (!m || !m->arbiter)
                return true;
        supervise_get_info(m->set.supervise, &i);
        return i.n[SUPERVISE_SLOT_STARTING] + i.n[SUPERVISE_SLOT_STOPPING] + i.n[SUPERVISE_SLOT_BACKOFF] +
               i.n[SUPERVISE_SLOT_WAITING] + i.n[SUPERVISE_SLOT_DRAINING] == 0;
}

static void check_at_rest(const struct pool_model *p) {
        arbiter_roll roll = { .size = sizeof(roll) };

        if (!p->monitor->arbiter || !is_at_rest(p->monitor))
                return;
        require(sim(), arbiter_monitor_get_roll(p->monitor, &roll) >= 0, 0);
        require(sim(), roll.state != ARBITER_ROLL_GOING, (unsigned) (p - h.pools));
        require(sim(), roll.state != ARBITER_ROLL_TURNING_BACK || roll.left > 0, (unsigned) (p - h.pools));
}

/* Who can has heard by now of who is dead, and has its answers. */
static void check_settled(void) {
        for (unsigned i = 0; i < h.n_watches; i++) {
                struct watch_model *w = &h.watches[i];
                bool dead = !map_get(h.arbiter->by_aid, w->target.c, AID_SIZE);

                if (!w->over && dead && w->from == 0)
                        require(sim(), w->downs == 1, i);
                LIST_FOREACH(k, &workers, struct worker, workers)
                        if (k->id == w->from && k->alive && !loop_is_paused(k->event) && dead)
                                require(sim(), w->downs == 1, i);
        }
        for (unsigned i = 0; i < h.n_requests; i++)
                if (h.requests[i].from == 0)
                        require(sim(), h.requests[i].resolved, i);
        for (unsigned i = 0; i < h.n_verbs; i++)
                require(sim(), h.verbs[i].resolved || !is_at_rest(h.verbs[i].monitor), i);
        for (unsigned i = 0; i < POOLS; i++)
                check_at_rest(&h.pools[i]);
}

static void end(void) {
        usec_t bound;

        control_turn_begin(h.arbiter);
        (void) arbiter_stop(h.arbiter, 0);
        control_turn_end(h.arbiter);
        bound = world.now + STOP_BOUND;
        while (h.arbiter->actor->state < ARBITER_STATE_CLOSED)
                require(sim(), step_on(bound), 0);
        control_unsubscribe(&h.observer);
        for (unsigned i = 0; i < POOLS; i++)
                arbiter_monitor_unref(h.pools[i].monitor);
        arbiter_monitor_unref(h.tree);
        arbiter_unref(h.arbiter);
        sd_event_unref(h.event);
        for (unsigned i = 0; i < h.n_verbs; i++)
                require(sim(), h.verbs[i].resolved, i);
        for (unsigned i = 0; i < h.n_requests; i++)
                require(sim(), h.requests[i].resolved, i);
        workers_end();
}

static void take_step(void) {
        struct pool_model *p;

        control_turn_begin(h.arbiter);
        happen();
        control_turn_end(h.arbiter);
        p = TAKE_PTR(h.stopped);
        if (p) { /* a verb comes while it goes */
                run_events(below(sim(), 100));
                control_turn_begin(h.arbiter);
                do_roll(p);
                control_turn_end(h.arbiter);
        }
        if (h.asked)
                forgive();
        h.asked = false;
        run();
}

void history(struct simulation *s) {
        unsigned fds = count_fds();

        world_begin(s);
        workers_begin();
        (void) begin_step(s, STEPS_MAX - 2);
        begin();
        for (unsigned i = 0; i < STEPS; i++)
                if (begin_step(s, i))
                        take_step();
        (void) begin_step(s, STEPS_MAX - 1);
        if (one_in(s, 2)) {
                run_time(SETTLE_USEC);
                check_settled();
        }
        end();
        s->counts[COUNT_EVENTS] += world.n_dispatched;
        world_trace("digest %016" PRIx64, world.digest);
        world_end();
        require(s, count_fds() == fds, 0);
}

int main(int argc, char *argv[]) {
        return simulate(argc, argv);
}
