/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random histories of a whole arbiter: src/arbiter, and src/actor in the arbiter and in its workers, on
 * the machine of world.h. Pools that roll and scale, a tree, lone actors, watches, requests; faults at
 * every step. After every event of every loop the registry, the pools and the processes are looked at;
 * what was asked for has one outcome, who watches hears once, and to stop always ends. Of a pool whose
 * workers are good ("calm") nobody may die, whatever the clock does, and a roll keeps to its bounds. */

#include <dirent.h>
#include <signal.h>
#include <sys/socket.h>

#include "world-model.h"

const char *const count_names[16] = { "events", "lives", "deaths", "DOWNs", "replies", "rolls", "requests" };
const uint64_t history_cost = 100;

struct model h;

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
void await(const char *what, const arbiter_monitor *m, int r, arbiter_future *f) {
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

void ask(arbiter_actor *a, uint64_t from, const char *target) {
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
        reason = names_how_ended(h.arbiter, &w->aid, &status);
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

void watch(arbiter_actor *a, uint64_t from, const aid *target, const char *name, uint32_t generation) {
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

struct pool_model *pool_model_of(const arbiter_monitor *m) {
        for (unsigned i = 0; i < POOLS; i++)
                if (m && h.pools[i].monitor == m)
                        return &h.pools[i];
        return NULL;
}

static void check_child(const struct child *c) {
        struct worker *w;

        require(sim(), map_get_string(h.arbiter->by_name, c->name) == c, c->slot);
        require(sim(), map_get(h.arbiter->by_aid, c->aid.c, AID_SIZE) == c, c->slot);
        require(sim(), !names_find_dead(h.arbiter, &c->aid), c->slot);
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
void forgive(void) {
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
