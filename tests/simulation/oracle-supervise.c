/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The oracle of simulate-supervise: slow, obvious, and written from the specification. See
 * oracle-supervise.h. */

#include "oracle-supervise.h"

#define EACH(o, c) (struct oracle_child *c = (o)->children + 1; c <= (o)->children + ORACLE_SLOTS; c++)

static bool alive(const struct oracle_child *c) {
        return c->state == SUPERVISE_SLOT_STARTING || c->state == SUPERVISE_SLOT_RUNNING ||
               c->state == SUPERVISE_SLOT_STOPPING;
}
static bool leaving(const struct oracle_child *c) {
        return c->state == SUPERVISE_SLOT_STOPPING && c->after == AFTER_REMOVE;
}
static bool present(const struct oracle_child *c) {
        return c->state != SUPERVISE_SLOT_UNUSED && !leaving(c);
}
static unsigned number(const struct oracle *o, const struct oracle_child *c) {
        return (unsigned) (c - o->children);
}
static unsigned count(struct oracle *o, bool (*is)(const struct oracle_child *)) {
        unsigned n = 0;

        for EACH(o, c)
                n += is(c);
        return n;
}
static bool is_pool(const struct oracle *o) {
        return o->policy.strategy == SUPERVISE_POOL;
}

static void become(struct oracle *o, struct oracle_child *c, supervise_slot_state state) {
        c->state = state;
        c->since = o->now;
        c->first = c->first && state == SUPERVISE_SLOT_STARTING;
}
static void forgive(struct oracle_child *c) {
        c->n_failures = c->k = 0;
        c->free_restart = true;
}
static void spawn(struct oracle *o, struct oracle_child *c) {
        become(o, c, SUPERVISE_SLOT_STARTING);
        c->generation = ++o->generation;
        c->revision = c->wanted;
        o->spawn[number(o, c)] = true;
}
static void drop(struct oracle *o, struct oracle_child *c) {
        o->removed[number(o, c)] = true;
        become(o, c, SUPERVISE_SLOT_UNUSED);
}
static void stop(struct oracle *o, struct oracle_child *c, int after) {
        if (c->state != SUPERVISE_SLOT_STOPPING) {
                become(o, c, SUPERVISE_SLOT_STOPPING);
                o->stop[number(o, c)] = true;
        }
        c->after = after;
}
static void stop_and_drop(struct oracle *o, struct oracle_child *c) {
        if (alive(c))
                stop(o, c, AFTER_REMOVE);
        else
                drop(o, c);
}
static unsigned add(struct oracle *o, supervise_restart restart, uint64_t revision) {
        for EACH(o, c)
                if (c->state == SUPERVISE_SLOT_UNUSED) {
                        memset(c, 0, sizeof(*c));
                        c->restart = restart;
                        c->wanted = revision;
                        c->free_restart = true;
                        c->order = ++o->order;
                        become(o, c, SUPERVISE_SLOT_IDLE);
                        if (o->phase == SUPERVISE_PHASE_UP)
                                spawn(o, c);
                        return number(o, c);
                }
        abort();
}

static void go_down(struct oracle *o, supervise_phase phase) {
        o->phase = phase;
        o->outdated = o->starting = false;
        o->rolling = 0;
        for EACH(o, c) {
                bool parked = c->state == SUPERVISE_SLOT_FAILED || c->state == SUPERVISE_SLOT_HELD;

                if (c->state == SUPERVISE_SLOT_BACKOFF || (parked && phase == SUPERVISE_PHASE_STOPPING))
                        become(o, c, SUPERVISE_SLOT_IDLE);
                if (is_pool(o) && alive(c) && c->state != SUPERVISE_SLOT_STOPPING)
                        stop(o, c, AFTER_END);
        }
}

static unsigned within(const nsec_t *failures, unsigned n, nsec_t since) {
        unsigned k = 0;

        for (unsigned i = 0; i < n; i++)
                k += failures[i] >= since;
        return k;
}

/* The boundary is inclusive, as OTP's; this failure counts. */
static bool over(const nsec_t *failures, unsigned n, const supervise_policy *p, nsec_t now) {
        return within(failures, n, now > p->period ? now - p->period : 0) > p->intensity;
}

/* The delay by the rule at the head of supervise.h. */
static nsec_t delay_of(struct oracle *o, struct oracle_child *c, bool had_started) {
        const supervise_policy *p = &o->policy;
        nsec_t delay = p->backoff_min, age = o->now - c->since;

        if (p->backoff_max == 0)
                return 0;
        if (had_started && age >= p->backoff_stable) {
                c->free_restart = true;
                for (nsec_t windows = age / p->backoff_stable; windows > 0 && c->k > 0; windows--)
                        c->k /= 2;
        }
        for (unsigned i = 0; i < c->k; i++)
                delay = MIN(delay * p->backoff_factor, p->backoff_max);
        if (c->free_restart)
                delay = 0;
        else if (delay < p->backoff_max)
                c->k++;
        c->free_restart = false;

        /* The limit as a rate: the earliest time at which a failure would not be one too many. */
        if (!p->escalate && p->intensity > 0 && p->intensity != SUPERVISE_INTENSITY_INFINITY &&
            p->backoff_max >= p->period && c->n_failures >= p->intensity) {
                nsec_t full = c->failures[c->n_failures - p->intensity];

                if (full + p->period + 1 > o->now)
                        delay = MAX(delay, full + p->period + 1 - o->now);
        }
        return delay;
}

static void failed(struct oracle *o, struct oracle_child *c, bool had_started) {
        const supervise_policy *p = &o->policy;
        bool rate = !p->escalate && p->intensity > 0 && p->backoff_max >= p->period;
        nsec_t delay;

        c->failures[c->n_failures++] = o->now;
        o->failures[o->n_failures++] = o->now;
        if (!rate && (p->escalate ? over(o->failures, o->n_failures, p, o->now) :
                                    over(c->failures, c->n_failures, p, o->now))) {
                o->parked[number(o, c)] = true;
                become(o, c, SUPERVISE_SLOT_FAILED);
                if (p->escalate)
                        go_down(o, SUPERVISE_PHASE_GIVING_UP);
                return;
        }
        delay = delay_of(o, c, had_started);
        if (delay == 0 && had_started) {
                spawn(o, c);
                return;
        }
        become(o, c, SUPERVISE_SLOT_BACKOFF);
        o->delayed = number(o, c);
        o->delay = delay;
}

static void ended(struct oracle *o, struct oracle_child *c, bool normal) {
        bool had_started = c->state == SUPERVISE_SLOT_RUNNING, up = o->phase == SUPERVISE_PHASE_UP;

        if (c->state == SUPERVISE_SLOT_STOPPING && c->after == AFTER_RESTART && up)
                spawn(o, c);
        else if (leaving(c) || (!is_pool(o) && c->restart == SUPERVISE_TEMPORARY))
                drop(o, c);
        else if (c->state == SUPERVISE_SLOT_STOPPING)
                become(o, c,
                       c->after == AFTER_HOLD && o->phase != SUPERVISE_PHASE_STOPPING ? SUPERVISE_SLOT_HELD :
                                                                                        SUPERVISE_SLOT_IDLE);
        else if (up && (c->restart == SUPERVISE_PERMANENT ||
                        (c->restart == SUPERVISE_TRANSIENT && !(normal && had_started))))
                failed(o, c, had_started);
        else
                become(o, c, SUPERVISE_SLOT_IDLE);
}

static void roll(struct oracle *o) {
        struct oracle_child *r = o->children + o->rolling;

        if (o->rolling > 0 && r->state == SUPERVISE_SLOT_STARTING && r->revision != r->wanted)
                stop(o, r, AFTER_RESTART);
        if (o->rolling > 0 &&
            (r->state == SUPERVISE_SLOT_STARTING || r->state == SUPERVISE_SLOT_BACKOFF ||
             r->state == SUPERVISE_SLOT_FAILED ||
             (r->state == SUPERVISE_SLOT_STOPPING && r->after == AFTER_RESTART)))
                return;
        o->rolling = 0;
        for EACH(o, c)
                if (alive(c) && c->state != SUPERVISE_SLOT_STOPPING && c->revision != c->wanted) {
                        stop(o, c, AFTER_RESTART);
                        o->rolling = number(o, c);
                        return;
                }
        o->outdated = false;
}

static bool is_first(const struct oracle_child *c) {
        return c->first;
}
static bool is_failed(const struct oracle_child *c) {
        return c->state == SUPERVISE_SLOT_FAILED;
}
/* Serves, will serve, or waits for the operator who stopped it. */
static bool is_left(const struct oracle_child *c) {
        return present(c) && c->state != SUPERVISE_SLOT_FAILED && c->state != SUPERVISE_SLOT_IDLE;
}

static void consequences(struct oracle *o) {
        if (o->phase == SUPERVISE_PHASE_UP) {
                bool lost = is_pool(o) && count(o, is_failed) > 0 && count(o, is_left) == 0;

                if (o->outdated && !lost)
                        roll(o);
                if (o->starting && count(o, is_first) == 0) {
                        o->started_all = true;
                        o->starting = false;
                }
                if (lost)
                        go_down(o, SUPERVISE_PHASE_GIVING_UP);
        }
        if (o->phase != SUPERVISE_PHASE_STOPPING && o->phase != SUPERVISE_PHASE_GIVING_UP)
                return;
        if (!is_pool(o) && count(o, alive) > 0) { /* the last added, and then wait for it */
                struct oracle_child *last = NULL;

                for EACH(o, c)
                        if (alive(c) && (!last || c->order > last->order))
                                last = c;
                if (last->state != SUPERVISE_SLOT_STOPPING)
                        stop(o, last, AFTER_END);
        }
        if (count(o, alive) > 0)
                return;
        o->stopped = o->phase == SUPERVISE_PHASE_STOPPING;
        o->gave_up = !o->stopped && is_pool(o);
        o->escalate = !o->stopped && !is_pool(o);
        o->phase = o->stopped ? SUPERVISE_PHASE_DOWN : SUPERVISE_PHASE_FAILED;
}

/* The first to leave: serves nobody; else already stopping; else the oldest life. */
static struct oracle_child *first_to_leave(struct oracle *o) {
        struct oracle_child *best = NULL;

        for (int class = 0; class < 3 && !best; class++)
                for EACH(o, c) {
                        int its = !alive(c) ? 0 : c->state == SUPERVISE_SLOT_STOPPING ? 1 : 2;

                        if (present(c) && its == class && (!best || c->generation < best->generation))
                                best = c;
                }
        return best;
}

static int scale(struct oracle *o, const supervise_event *e) {
        unsigned n = count(o, present);

        if (!is_pool(o))
                return -EOPNOTSUPP;
        if (o->phase == SUPERVISE_PHASE_STOPPING || o->phase == SUPERVISE_PHASE_GIVING_UP ||
            (o->phase == SUPERVISE_PHASE_FAILED && !e->by_operator))
                return -ESHUTDOWN;
        if (o->phase == SUPERVISE_PHASE_FAILED)
                o->phase = SUPERVISE_PHASE_UP;
        for (; n > e->n; n--)
                stop_and_drop(o, first_to_leave(o));
        for EACH(o, c)
                if (!e->by_operator || o->phase != SUPERVISE_PHASE_UP)
                        continue;
                else if (c->state == SUPERVISE_SLOT_STOPPING && c->after == AFTER_HOLD)
                        c->after = AFTER_RESTART;
                else if (c->state == SUPERVISE_SLOT_BACKOFF || c->state == SUPERVISE_SLOT_HELD ||
                         is_failed(c)) {
                        forgive(c);
                        spawn(o, c);
                }
        for EACH(o, c)
                if (n < e->n && leaving(c)) {
                        forgive(c);
                        c->wanted = o->revision;
                        c->after = AFTER_RESTART;
                        n++;
                }
        for (; n < e->n; n++)
                add(o, o->policy.restart, o->revision);
        return 0;
}

static int start(struct oracle *o) {
        bool afresh = o->phase != SUPERVISE_PHASE_UP;

        if (o->phase == SUPERVISE_PHASE_STOPPING || o->phase == SUPERVISE_PHASE_GIVING_UP)
                return -ESHUTDOWN;
        o->phase = SUPERVISE_PHASE_UP;
        o->starting = o->starting || afresh;
        if (afresh)
                o->n_failures = 0;
        for EACH(o, c) {
                if (c->state == SUPERVISE_SLOT_STOPPING && c->after == AFTER_HOLD)
                        c->after = AFTER_RESTART;
                if (c->state == SUPERVISE_SLOT_UNUSED || alive(c))
                        continue;
                forgive(c);
                spawn(o, c);
                c->first = afresh;
        }
        return 0;
}

static void redefine(struct oracle *o, struct oracle_child *c, uint64_t revision) {
        if (c->wanted == revision)
                return;
        c->wanted = revision;
        if (o->phase != SUPERVISE_PHASE_UP)
                return;
        o->outdated = true;
        if (c->state == SUPERVISE_SLOT_BACKOFF || is_failed(c)) {
                forgive(c);
                spawn(o, c);
        }
}

static int child_verb(struct oracle *o, struct oracle_child *c, const supervise_event *e) {
        bool restart = e->type == SUPERVISE_RESTART_CHILD, remove = e->type == SUPERVISE_REMOVE_CHILD;

        if (remove && is_pool(o))
                return -EOPNOTSUPP;
        if (!remove && o->phase != SUPERVISE_PHASE_UP && !(restart && o->phase == SUPERVISE_PHASE_FAILED))
                return -ESHUTDOWN;
        if (!c || !present(c))
                return -ENOENT;
        if (remove)
                stop_and_drop(o, c);
        else if (restart) {
                if (o->phase == SUPERVISE_PHASE_FAILED)
                        o->n_failures = 0;
                o->phase = SUPERVISE_PHASE_UP;
                forgive(c);
                if (alive(c))
                        stop(o, c, AFTER_RESTART);
                else
                        spawn(o, c);
        } else if (alive(c))
                stop(o, c, AFTER_HOLD);
        else if (!is_pool(o) && c->restart == SUPERVISE_TEMPORARY)
                drop(o, c);
        else
                become(o, c, SUPERVISE_SLOT_HELD);
        return 0;
}

static int move(struct oracle *o, struct oracle_child *c, const supervise_event *e) {
        bool some = e->before >= 1 && e->before <= ORACLE_SLOTS;
        struct oracle_child *before = some ? o->children + e->before : NULL;
        uint64_t order = before ? before->order : o->order + 1;

        if (is_pool(o))
                return -EOPNOTSUPP;
        if (!c || !present(c) || (e->before > 0 && (!before || !present(before))))
                return -ENOENT;
        if (o->phase == SUPERVISE_PHASE_STOPPING || o->phase == SUPERVISE_PHASE_GIVING_UP)
                return -ESHUTDOWN;
        if (before == c)
                return 0;
        for EACH(o, x)
                if (x->order >= order)
                        x->order++;
        o->order++;
        c->order = order;
        return 0;
}

static void tick(struct oracle *o) {
        struct oracle_child *due;

        do { /* the longest overdue first, then by number */
                due = NULL;
                for EACH(o, c)
                        if (c->state == SUPERVISE_SLOT_BACKOFF && c->until <= o->now &&
                            (!due || c->until < due->until))
                                due = c;
                if (due)
                        spawn(o, due);
        } while (due);
}

static int decide(struct oracle *o, const supervise_event *e) {
        struct oracle_child *c = e->slot >= 1 && e->slot <= ORACLE_SLOTS ? o->children + e->slot : NULL;

        switch (e->type) {
        case SUPERVISE_START:
                return start(o);
        case SUPERVISE_STOP:
                go_down(o, SUPERVISE_PHASE_STOPPING);
                return 0;
        case SUPERVISE_STARTED:
        case SUPERVISE_START_FAILED:
        case SUPERVISE_EXITED:
                if (!c || !alive(c) || c->generation != e->generation)
                        return -ESTALE;
                if (e->type != SUPERVISE_STARTED)
                        ended(o, c, e->type == SUPERVISE_EXITED && e->normal);
                else if (c->state == SUPERVISE_SLOT_STARTING)
                        become(o, c, SUPERVISE_SLOT_RUNNING);
                return 0;
        case SUPERVISE_SCALE:
                return scale(o, e);
        case SUPERVISE_ADD_CHILD:
                if (is_pool(o))
                        return -EOPNOTSUPP;
                if (o->phase != SUPERVISE_PHASE_UP && o->phase != SUPERVISE_PHASE_DOWN)
                        return -ESHUTDOWN;
                return (int) add(o, e->restart, e->revision);
        case SUPERVISE_DEFINITION_CHANGED:
                if (e->slot > 0 && is_pool(o))
                        return -EOPNOTSUPP;
                if (e->slot > 0 && (!c || !present(c)))
                        return -ENOENT;
                if (e->slot > 0)
                        c->restart = e->restart;
                else
                        o->revision = e->revision;
                for EACH(o, x)
                        if (present(x) && (e->slot == 0 || x == c))
                                redefine(o, x, e->revision);
                return 0;
        case SUPERVISE_MOVE_CHILD:
                return move(o, c, e);
        case SUPERVISE_TICK:
                tick(o);
                return 0;
        default:
                return child_verb(o, c, e);
        }
}

int oracle_handle(struct oracle *o, const supervise_event *e, nsec_t now) {
        size_t expectations = offsetof(struct oracle, spawn);
        int r;

        memset((char *) o + expectations, 0, sizeof(*o) - expectations);
        o->now = now;
        r = decide(o, e);
        if (r >= 0)
                consequences(o);
        return r;
}

void oracle_init(struct oracle *o, const supervise_policy *policy, unsigned n, uint64_t revision) {
        memset(o, 0, sizeof(*o));
        o->policy = *policy;
        o->revision = revision;
        while (n-- > 0)
                add(o, policy->restart, revision);
}
