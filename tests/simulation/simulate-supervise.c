/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Random histories of src/supervise under a virtual clock: a world of lives that start, hang, crash and
 * end at any moment, operators who interfere, a clock that jumps, and an arbiter that dies. After each
 * step the set is held against the oracle and against what must be true in any history. */

#include "oracle-supervise.h"
#include "simulation.h"

#define N_MAX 8U
#define ACTIONS_MAX 128U

/* One life in a slot, as the arbiter would hold it. */
struct life {
        bool alive, starting, told_to_stop;
        bool unreported; /* it is dead, and the set does not know it yet */
        bool was_permanent; /* at its end */
        uint64_t generation;
};

struct world {
        struct simulation *sim;
        supervise *s;
        struct oracle oracle;
        struct life lives[ORACLE_SLOTS + 1];
        nsec_t now, armed;
        unsigned crash_weight, verb_weight;
        bool resumed; /* actions may come a second time */
        struct image image;
        uint64_t spawned; /* lives so far */
};

static_assert(ORACLE_SLOTS == IMAGE_SLOTS, "as many");

enum { EVENTS, REFUSED, ROLLING, DELAYS, CRASHES, SPAWNS, PARKED };
const char *const count_names[16] = { "events", "refused", "in a roll", "delays", "crashes", "lives",
                                      "parked" };
const uint64_t history_cost = 1;

static bool *expectation(struct oracle *o, const supervise_action *a) {
        switch (a->type) {
        case SUPERVISE_ACTION_SPAWN:
                return o->spawn + a->slot;
        case SUPERVISE_ACTION_STOP:
                return o->stop + a->slot;
        case SUPERVISE_ACTION_PARKED:
                return o->parked + a->slot;
        case SUPERVISE_ACTION_REMOVED:
                return o->removed + a->slot;
        case SUPERVISE_ACTION_STARTED_ALL:
                return &o->started_all;
        case SUPERVISE_ACTION_GAVE_UP:
                return &o->gave_up;
        case SUPERVISE_ACTION_ESCALATE:
                return &o->escalate;
        case SUPERVISE_ACTION_STOPPED:
                return &o->stopped;
        default:
                return NULL;
        }
}

/* What supervise_resume() has pushed a second time, because it was carried out before the crash, or long
 * ago. */
static bool is_done_already(const struct world *w, const supervise_action *a) {
        const struct life *life = w->lives + a->slot;
        const struct oracle *o = &w->oracle;

        switch (a->type) {
        case SUPERVISE_ACTION_SPAWN: /* lives, or is dead and not yet reported */
                return life->generation == a->generation && (life->alive || life->unreported);
        case SUPERVISE_ACTION_STOP:
                return life->generation == a->generation && (life->told_to_stop || life->unreported);
        case SUPERVISE_ACTION_STARTED_ALL:
                return o->phase == SUPERVISE_PHASE_UP && !o->starting;
        case SUPERVISE_ACTION_STOPPED:
                return o->phase == SUPERVISE_PHASE_DOWN;
        case SUPERVISE_ACTION_GAVE_UP:
        case SUPERVISE_ACTION_ESCALATE:
                return o->phase == SUPERVISE_PHASE_FAILED &&
                       (a->type == SUPERVISE_ACTION_GAVE_UP) == (o->policy.strategy == SUPERVISE_POOL);
        default:
                return false;
        }
}

/* Carries out one action in the world, and crosses it off what the oracle expects. */
static void carry_out(struct world *w, const supervise_action *a) {
        struct life *life = w->lives + a->slot;
        bool *expected = expectation(&w->oracle, a);

        trace_action(w->sim, 0, a);
        w->sim->counts[SPAWNS] += a->type == SUPERVISE_ACTION_SPAWN;
        w->sim->counts[PARKED] += a->type == SUPERVISE_ACTION_PARKED;
        require(w->sim, a->slot <= ORACLE_SLOTS, a->slot);
        if (a->type == SUPERVISE_ACTION_ARM) {
                w->armed = a->when;
                return;
        }
        if (w->resumed && is_done_already(w, a)) {
                *expected = false;
                return;
        }
        if (!*expected)
                violated(w->sim, "an action that the oracle does not expect", a->slot);
        *expected = false;

        if (a->type == SUPERVISE_ACTION_SPAWN) {
                require(w->sim, !life->alive && !life->unreported, a->slot); /* never two lives in a slot */
                require(w->sim, a->generation == w->spawned + 1 || w->resumed, a->slot);
                require(w->sim, a->generation > life->generation, a->slot);
                require(w->sim, a->revision == w->oracle.children[a->slot].wanted, a->slot);
                w->spawned = MAX(w->spawned, a->generation);
                *life = (struct life){ .alive = true, .starting = true, .generation = a->generation };
        } else if (a->type == SUPERVISE_ACTION_STOP) {
                require(w->sim, life->generation == a->generation && !life->told_to_stop, a->slot);
                require(w->sim, life->alive || life->unreported, a->slot);
                life->told_to_stop = true;
        } else
                require(w->sim, !life->alive, a->slot);
}

static void check_nothing_missing(const struct world *w) {
        const struct oracle *o = &w->oracle;

        for (unsigned i = 1; i <= ORACLE_SLOTS; i++)
                if (o->spawn[i] || o->stop[i] || o->parked[i] || o->removed[i])
                        violated(w->sim, "an action that the oracle expects is missing", i);
        if (o->started_all || o->gave_up || o->escalate || o->stopped)
                violated(w->sim, "an action of the set that the oracle expects is missing", 0);
}

/* The delay is the oracle's, plus at most the jitter; from there on the oracle uses the one that was
 * chosen. */
static void check_delay(struct world *w) {
        struct oracle *o = &w->oracle;
        supervise_slot_info i;
        nsec_t most;

        if (o->delayed == 0 || o->children[o->delayed].state != SUPERVISE_SLOT_BACKOFF)
                return;
        most = o->delay + o->delay / 100 * o->policy.backoff_jitter;
        require(w->sim, supervise_get_slot(w->s, o->delayed, &i) >= 0, o->delayed);
        require(w->sim, i.until >= w->now + o->delay && i.until <= w->now + most, o->delayed);
        o->children[o->delayed].until = i.until;
}

static void check_slots(const struct world *w) {
        const struct oracle *o = &w->oracle;

        for (unsigned i = 1; i <= ORACLE_SLOTS; i++) {
                const struct oracle_child *c = o->children + i;
                supervise_slot_info info = {};

                (void) supervise_get_slot(w->s, i, &info);
                require(w->sim, info.state == c->state, i);
                if (info.state == SUPERVISE_SLOT_UNUSED)
                        continue;
                require(w->sim, info.generation == c->generation && info.revision_wanted == c->wanted, i);
                require(w->sim, info.since == c->since, i);
                require(w->sim, (w->lives[i].alive || w->lives[i].unreported) ==
                                           (info.state == SUPERVISE_SLOT_STARTING ||
                                            info.state == SUPERVISE_SLOT_RUNNING ||
                                            info.state == SUPERVISE_SLOT_STOPPING), i);
                if (info.state == SUPERVISE_SLOT_BACKOFF)
                        require(w->sim, w->armed <= info.until, i); /* someone will wake us */
        }
}

/* Where the limit is a rate it is never exceeded. (Where it is a verdict, the oracle has PARKED to
 * expect.) */
static void check_rate(const struct world *w, const supervise_policy *p) {
        if (p->escalate || p->intensity == 0 || p->backoff_max < p->period)
                return;
        for (unsigned i = 1; i <= ORACLE_SLOTS; i++) {
                const struct oracle_child *c = w->oracle.children + i;

                require(w->sim, c->state != SUPERVISE_SLOT_FAILED, i);
                if (c->state != SUPERVISE_SLOT_UNUSED && p->intensity < c->n_failures) {
                        const nsec_t *last = c->failures + c->n_failures - 1;

                        require(w->sim, *last - *(last - p->intensity) > p->period, i);
                }
        }
}

/* True in any history, whatever the oracle thinks. */
static void check_invariants(const struct world *w) {
        const supervise_policy *p = supervise_get_policy(w->s);
        supervise_info info;
        uint64_t restarts = 0;
        unsigned serving = 0;

        supervise_get_info(w->s, &info);
        require(w->sim, info.phase == w->oracle.phase && info.rolling == w->oracle.rolling, 0);
        require(w->sim, info.due == w->armed, 0);
        for (unsigned i = 1; i <= ORACLE_SLOTS; i++) {
                const struct life *life = w->lives + i;
                supervise_slot_info slot = {};

                (void) supervise_get_slot(w->s, i, &slot);
                serving += life->alive && !slot.leaving;
                restarts += slot.restarts;
                if (info.phase == SUPERVISE_PHASE_UP && slot.state == SUPERVISE_SLOT_IDLE) {
                        require(w->sim, slot.ended, i);
                        /* or left behind by an escalation */
                        require(w->sim, !life->was_permanent || p->escalate, i);
                }
                if (info.phase == SUPERVISE_PHASE_DOWN || info.phase == SUPERVISE_PHASE_FAILED)
                        require(w->sim, !life->alive, i);
        }
        require(w->sim, serving <= info.n_wanted, 0);
        require(w->sim, restarts == info.restarts, 0);
        check_rate(w, p);
        if (p->strategy == SUPERVISE_POOL && info.phase != SUPERVISE_PHASE_UP)
                for (unsigned i = 1; i <= ORACLE_SLOTS; i++)
                        require(w->sim, !w->lives[i].alive || w->lives[i].told_to_stop, i);
}

/* The process dies; some of those it has started die before the next one looks. */
static void crash(struct world *w) {
        if (w->sim->trace)
                printf("      the arbiter dies\n");
        w->sim->counts[CRASHES]++;
        w->s = supervise_free(w->s);
        for (unsigned i = 1; i <= ORACLE_SLOTS; i++)
                if (w->lives[i].alive && one_in(w->sim, 8)) {
                        w->lives[i].alive = false;
                        w->lives[i].unreported = true;
                }
        w->s = image_load(w->sim, &w->image);
        w->armed = NSEC_INFINITY;
        supervise_resume(w->s);
        w->resumed = true;
}

/* One after the other, and the arbiter may die before each. */
static void carry_out_all(struct world *w) {
        unsigned n = 0;
        supervise_action a;

        while (supervise_next_action(w->s, &a)) {
                if (one_in(w->sim, 64)) {
                        crash(w);
                        continue;
                }
                require(w->sim, ++n < ACTIONS_MAX, 0);
                carry_out(w, &a);
        }
        if (w->resumed) { /* what is told once may have been lost; the last word is the one that counts */
                memset(w->oracle.parked, 0, sizeof(w->oracle.parked));
                memset(w->oracle.removed, 0, sizeof(w->oracle.removed));
                w->oracle.started_all = w->oracle.started_all && w->oracle.phase == SUPERVISE_PHASE_UP;
        }
}

static void check_all(struct world *w) {
        check_nothing_missing(w);
        check_slots(w);
        check_invariants(w);
        w->resumed = false;
}

/* The arbiter dies before it has written down what the event led to, which is as if it had never come. */
static void lose(struct world *w, const supervise_event *e) {
        (void) supervise_handle(w->s, e, w->now);
        crash(w);
        carry_out_all(w);
        check_all(w);
}

static void feed(struct world *w, supervise_event e) {
        int r, expected;

        if (one_in(w->sim, 64))
                lose(w, &e);
        if (e.slot > 0 && e.slot <= ORACLE_SLOTS && w->lives[e.slot].generation == e.generation) {
                if (e.type == SUPERVISE_STARTED && w->lives[e.slot].unreported)
                        return; /* it has died over it; its end comes */
                w->lives[e.slot].unreported = false;
        }
        expected = oracle_handle(&w->oracle, &e, w->now);
        if (e.type == SUPERVISE_TICK)
                w->armed = NSEC_INFINITY;
        r = supervise_handle(w->s, &e, w->now);
        trace_event(w->sim, 0, &e, w->now, r);
        require(w->sim, r == expected, e.slot);
        w->sim->counts[EVENTS]++;
        w->sim->counts[ROLLING] += w->oracle.rolling > 0;
        w->sim->counts[DELAYS] += w->oracle.delay > 0;
        w->sim->counts[REFUSED] += r < 0;
        check_delay(w);
        image_commit(w->sim, &w->image, w->s);
        if (one_in(w->sim, 16))
                image_check(w->sim, &w->image, w->s);
        carry_out_all(w);
        check_all(w);
}

static void end_life(struct world *w, unsigned slot, supervise_event_type type, bool normal) {
        supervise_slot_info info;

        require(w->sim, supervise_get_slot(w->s, slot, &info) >= 0, slot);
        w->lives[slot].alive = false;
        w->lives[slot].unreported = true;
        w->lives[slot].was_permanent = info.restart == SUPERVISE_PERMANENT;
        feed(w, (supervise_event){ .type = type,
                                   .slot = slot,
                                   .generation = w->lives[slot].generation,
                                   .reason = (int32_t) below(w->sim, 9),
                                   .normal = normal });
}

static void report_deaths(struct world *w) {
        for (unsigned i = 1; i <= ORACLE_SLOTS; i++)
                if (w->lives[i].unreported) {
                        end_life(w, i, w->lives[i].starting ? SUPERVISE_START_FAILED : SUPERVISE_EXITED,
                                 one_in(w->sim, 3));
                        i = 0; /* the arbiter may have died over that, and more with it */
                }
}

/* Something happens to a life: the handshake, an end of any kind, or nothing yet. */
static void touch_life(struct world *w, unsigned slot) {
        struct life *life = w->lives + slot;

        if (life->starting && !one_in(w->sim, 3)) {
                life->starting = false; /* from here on it can also hang in stop, or die */
                feed(w, (supervise_event){
                                .type = SUPERVISE_STARTED, .slot = slot, .generation = life->generation });
                return;
        }
        if (life->starting && one_in(w->sim, 2))
                end_life(w, slot, SUPERVISE_START_FAILED, false);
        else if (life->told_to_stop ? one_in(w->sim, 2) : below(w->sim, 100) < w->crash_weight)
                end_life(w, slot, SUPERVISE_EXITED, one_in(w->sim, 3));
}

static void operate(struct world *w) {
        uint32_t slot = below(w->sim, N_MAX + 2);

        switch (below(w->sim, 13)) {
        case 0:
                feed(w, (supervise_event){ .type = SUPERVISE_START });
                return;
        case 1:
                if (one_in(w->sim, 3))
                        feed(w, (supervise_event){ .type = SUPERVISE_STOP });
                return;
        case 2:
        case 3:
                feed(w, (supervise_event){ .type = SUPERVISE_SCALE,
                                           .n = below(w->sim, N_MAX + 1),
                                           .by_operator = one_in(w->sim, 2) });
                return;
        case 4:
                feed(w, (supervise_event){ .type = SUPERVISE_RESTART_CHILD, .slot = slot });
                return;
        case 5:
                feed(w, (supervise_event){ .type = SUPERVISE_STOP_CHILD, .slot = slot });
                return;
        case 6:
                feed(w, (supervise_event){ .type = SUPERVISE_REMOVE_CHILD, .slot = slot });
                return;
        case 7:
        case 8: {
                supervise_info info;

                supervise_get_info(w->s, &info);
                if (info.slot_max < N_MAX)
                        feed(w, (supervise_event){ .type = SUPERVISE_ADD_CHILD,
                                                   .restart = below(w->sim, 3),
                                                   .revision = below(w->sim, 3) });
                return;
        }
        case 11:
                feed(w, (supervise_event){ .type = SUPERVISE_MOVE_CHILD,
                                           .slot = slot,
                                           .before = below(w->sim, N_MAX + 2) });
                return;
        case 9:
        case 10:
                if (w->oracle.policy.strategy == SUPERVISE_POOL)
                        return; /* rolls are simulate-pool's */
                feed(w, (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED,
                                           .slot = one_in(w->sim, 2) ? 0 : slot,
                                           .restart = below(w->sim, 3),
                                           .revision = below(w->sim, 4) });
                return;
        default: /* a report that comes too late, or about nobody */
                feed(w, (supervise_event){ .type = one_in(w->sim, 2) ? SUPERVISE_EXITED : SUPERVISE_STARTED,
                                           .slot = slot,
                                           .generation = w->spawned + 1 + below(w->sim, 2) });
                feed(w, (supervise_event){ .type = SUPERVISE_TICK });
        }
}

static void pass_time(struct world *w) {
        if (w->armed != NSEC_INFINITY && !one_in(w->sim, 4)) {
                w->now = MAX(w->now, w->armed); /* the usual way: to the next deadline */
                feed(w, (supervise_event){ .type = SUPERVISE_TICK });
        } else if (one_in(w->sim, 20))
                w->now += below(w->sim, 3600) * NSEC_PER_SEC; /* suspended */
        else if (one_in(w->sim, 3))
                w->now += w->oracle.policy.period - one_in(w->sim,
                                2); /* to the boundary and one short of it */
        else
                w->now += below(w->sim, 2000) * NSEC_PER_MSEC;
}

static void step(struct world *w) {
        unsigned slot = 1 + below(w->sim, N_MAX + 1);

        report_deaths(w);
        if (below(w->sim, 100) < w->verb_weight)
                operate(w);
        else if (one_in(w->sim, 3))
                pass_time(w);
        for (unsigned i = 0; i < ORACLE_SLOTS; i++, slot = slot % ORACLE_SLOTS + 1)
                if (w->lives[slot].alive) {
                        touch_life(w, slot);
                        return;
                }
}

/* A stop ends: every life ends some time after it was told to, and then STOPPED comes, once. */
static void finish(struct world *w) {
        supervise_info info;
        unsigned guard = 0;

        feed(w, (supervise_event){ .type = SUPERVISE_STOP });
        for (;;) {
                unsigned slot = 1;

                report_deaths(w);
                supervise_get_info(w->s, &info);
                if (info.phase == SUPERVISE_PHASE_DOWN)
                        break;
                while (slot <= ORACLE_SLOTS && !w->lives[slot].told_to_stop)
                        slot++;
                while (slot <= ORACLE_SLOTS && !(w->lives[slot].alive && w->lives[slot].told_to_stop))
                        slot++;
                require(w->sim, slot <= ORACLE_SLOTS, 0);
                require(w->sim, ++guard <= ORACLE_SLOTS, 0);
                end_life(w, slot, SUPERVISE_EXITED, true);
        }
        require(w->sim, w->armed == NSEC_INFINITY, 0);
}

static supervise_policy random_policy(struct world *w) {
        static const uint32_t intensities[] = { 0, 1, 2, 5, SUPERVISE_INTENSITY_INFINITY };
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;

        p.strategy = below(w->sim, 3) < 2 ? SUPERVISE_POOL : SUPERVISE_ONE_FOR_ONE;
        p.restart = one_in(w->sim, 2) ? SUPERVISE_PERMANENT : below(w->sim, 3);
        p.escalate = p.strategy == SUPERVISE_ONE_FOR_ONE && one_in(w->sim, 2);
        if (one_in(w->sim, 3))
                return p; /* the default one */
        p.intensity = intensities[below(w->sim, ELEMENTSOF(intensities))];
        p.backoff_jitter = one_in(w->sim, 2) ? 0 : 20;
        if (one_in(w->sim, 2))
                p.backoff_min = p.backoff_max = 0;
        else if (one_in(w->sim, 2))
                p.backoff_max = 3 * NSEC_PER_SEC;
        p.backoff_factor = 1 + below(w->sim, 3);
        return p;
}

void history(struct simulation *sim) {
        struct world w = { .sim = sim, .now = NSEC_PER_SEC, .armed = NSEC_INFINITY };
        supervise_policy p;
        unsigned n, steps;

        p = random_policy(&w);
        n = p.strategy == SUPERVISE_POOL ? below(sim, N_MAX + 1) : 0;
        w.crash_weight = one_in(sim, 3) ? 90 : below(sim, 60);
        w.verb_weight = one_in(sim, 3) ? 4 : below(sim, 40);
        steps = 10 + below(sim, STEPS_MAX - 50);
        require(sim, supervise_new(&p, n, 0, draw(sim), &w.s) >= 0, 0);
        oracle_init(&w.oracle, &p, n, 0);
        image_commit(sim, &w.image, w.s);

        if (!one_in(sim, 8))
                feed(&w, (supervise_event){ .type = SUPERVISE_START });
        for (unsigned i = 0; i < steps; i++)
                if (begin_step(sim, i))
                        step(&w);
        finish(&w);
        supervise_free(w.s);
}

int main(int argc, char *argv[]) {
        return simulate(argc, argv);
}
