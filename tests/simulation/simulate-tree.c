/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Trees of sets of different children, by all of OTP's strategies: lives and whole sets that start, ignore,
 * crash and hang, operators who interfere, and an arbiter that dies between any two actions and finds its
 * sets in the journal. What must be true is told here from OTP's documentation, by comparing what each child
 * was before an event with what it is after it. Beside that, sets with a policy of OTP's are compared with
 * the oracle (oracle-otp.h): each action, in its order, and each state. */

#include "oracle-otp.h"
#include "simulation.h"

#define SETS 4U
#define SLOTS 9U
#define CHILDREN_MAX 7U
#define FAILURES 400U

/* A child as the world knows it. */
struct child {
        uint64_t generation; /* of its last life */
        bool alive, starting, told_to_stop;
        bool unreported;   /* dead, and its set does not know yet */
        unsigned set;      /* it is a set; else 0 */
        uint64_t comes_down; /* the generation that the strategy must stop before anybody starts */
        bool had_outcome;  /* of the first start since START */
        bool verb;         /* an operator has spoken of this life */
};

struct tree_set {
        supervise *s;
        struct image image;
        nsec_t armed;
        unsigned parent, parent_slot;
        bool exists, gone, starting;
        struct child children[SLOTS + 1];
        nsec_t failures[FAILURES];
        unsigned n_failures;
        bool is_otp; /* its policy is one of OTP's, and the oracle knows each decision */
        struct otp otp;
};

struct world {
        struct simulation *sim;
        struct tree_set sets[SETS];
        nsec_t now;
        unsigned crash_weight, verb_weight;
        bool resumed, no_crash;
        unsigned guard;
};

enum { EVENTS, CRASHES, LIVES, GROUPS, ESCALATIONS, START_FAILURES, SHUTDOWNS, IGNORED, COMPARED,
       EXACTLY_OTP };
const char *const count_names[16] = { "events", "crashes", "lives", "restarts of a group", "escalations",
                                      "failed first starts", "automatic shutdowns", "ignored starts",
                                      "sets compared with the oracle", "of them exactly OTP" };
const uint64_t history_cost = 1;

static supervise_slot_info slot_of(const struct tree_set *set, unsigned slot) {
        supervise_slot_info i = {};

        (void) supervise_get_slot(set->s, slot, &i);
        return i;
}
static supervise_info info_of(const struct tree_set *set) {
        supervise_info i;

        supervise_get_info(set->s, &i);
        return i;
}
static bool is_alive(supervise_slot_state state) {
        return state == SUPERVISE_SLOT_STARTING || state == SUPERVISE_SLOT_RUNNING ||
               state == SUPERVISE_SLOT_STOPPING;
}
static bool is_group(const supervise_policy *p) {
        return p->strategy == SUPERVISE_ONE_FOR_ALL || p->strategy == SUPERVISE_REST_FOR_ONE;
}
/* Whether a comes before b. */
static bool precedes(const struct tree_set *set, unsigned a, unsigned b) {
        for (uint32_t i = supervise_next_child(set->s, a); i > 0; i = supervise_next_child(set->s, i))
                if (i == b)
                        return true;
        return false;
}

static unsigned index_of(const struct world *w, const struct tree_set *set) {
        return (unsigned) (set - w->sets);
}

/* By OTP's rules: is this end a failure, asking for a restart? */
static bool is_failure(const supervise_slot_info *before, const struct child *child,
                const supervise_event *e,
                const supervise_policy *p, bool starting) {
        bool normal = e->normal && before->state == SUPERVISE_SLOT_RUNNING;

        if (before->state != SUPERVISE_SLOT_STARTING && before->state != SUPERVISE_SLOT_RUNNING)
                return false;
        if (p->ordered && starting && !child->had_outcome)
                return false;
        return before->restart == SUPERVISE_PERMANENT ||
               (before->restart == SUPERVISE_TRANSIENT && !normal);
}

/* Counted with this one, the boundary included. */
static bool is_over(struct world *w, struct tree_set *set, const supervise_policy *p) {
        unsigned n = 0;

        require(w->sim, set->n_failures < FAILURES, 0);
        set->failures[set->n_failures++] = w->now;
        for (unsigned i = 0; i < set->n_failures; i++)
                n += set->failures[i] + p->period >= w->now;
        return n > p->intensity;
}

struct snapshot {
        supervise_info info;
        supervise_slot_info slots[SLOTS + 1];
};

static struct snapshot snapshot(const struct tree_set *set) {
        struct snapshot shot = { .info = info_of(set) };

        for (unsigned i = 1; i <= SLOTS; i++)
                shot.slots[i] = slot_of(set, i);
        return shot;
}

/* The strategy takes these down before it starts anybody. */
static void expect_group(struct world *w, struct tree_set *set, unsigned failed,
                const struct snapshot *before) {
        const supervise_policy *p = supervise_get_policy(set->s);

        if (!is_group(p))
                return;
        w->sim->counts[GROUPS]++;
        for (unsigned i = 1; i <= SLOTS; i++)
                if (i != failed && is_alive(before->slots[i].state) &&
                    (p->strategy == SUPERVISE_ONE_FOR_ALL || precedes(set, failed, i)))
                        set->children[i].comes_down = before->slots[i].generation;
}

static bool some_significant_left(const struct tree_set *set) {
        for (unsigned i = 1; i <= SLOTS; i++) {
                supervise_slot_info slot = slot_of(set, i);

                if (slot.significant && (is_alive(slot.state) || slot.state == SUPERVISE_SLOT_BACKOFF ||
                                         slot.state == SUPERVISE_SLOT_WAITING))
                        return true;
        }
        return false;
}

static void check_end(struct world *w, struct tree_set *set, const supervise_event *e,
                const struct snapshot *before) {
        const supervise_policy *p = supervise_get_policy(set->s);
        const supervise_slot_info *was = before->slots + e->slot, is = slot_of(set, e->slot);
        struct child *child = set->children + e->slot;
        supervise_phase phase = info_of(set).phase;
        bool by_itself = was->state == SUPERVISE_SLOT_STARTING || was->state == SUPERVISE_SLOT_RUNNING;

        if (was->state == SUPERVISE_SLOT_STOPPING && was->restart == SUPERVISE_TEMPORARY && !child->verb &&
            child->comes_down == was->generation) /* a bystander */
                require(w->sim, is.state == SUPERVISE_SLOT_UNUSED, e->slot);
        if (before->info.phase != SUPERVISE_PHASE_UP || !by_itself)
                return;
        if (is_failure(was, child, e, p, set->starting)) {
                if (p->escalate && is_over(w, set, p)) {
                        require(w->sim, is.state == SUPERVISE_SLOT_FAILED, e->slot);
                        require(w->sim, phase == SUPERVISE_PHASE_GIVING_UP ||
                                        phase == SUPERVISE_PHASE_FAILED,
                                e->slot);
                        return;
                }
                if (p->escalate) {
                        require(w->sim, phase == SUPERVISE_PHASE_UP, e->slot);
                        require(w->sim, is.state == SUPERVISE_SLOT_BACKOFF ||
                                                is.state == SUPERVISE_SLOT_WAITING ||
                                                (is.state == SUPERVISE_SLOT_STARTING &&
                                                 is.generation > was->generation),
                                e->slot);
                }
                expect_group(w, set, e->slot, before);
        } else if (p->ordered && set->starting && !child->had_outcome)
                require(w->sim, phase == SUPERVISE_PHASE_GIVING_UP || phase == SUPERVISE_PHASE_FAILED,
                                e->slot);
        else {
                bool shutdown = was->significant &&
                                (p->auto_shutdown == SUPERVISE_AUTO_SHUTDOWN_ANY ||
                                 (p->auto_shutdown == SUPERVISE_AUTO_SHUTDOWN_ALL &&
                                  !some_significant_left(set)));

                require(w->sim, is.state == (was->restart == SUPERVISE_TEMPORARY ? SUPERVISE_SLOT_UNUSED :
                                                                                   SUPERVISE_SLOT_IDLE),
                        e->slot);
                if (shutdown)
                        require(w->sim, phase == SUPERVISE_PHASE_STOPPING || phase == SUPERVISE_PHASE_DOWN,
                                e->slot);
                else
                        require(w->sim, phase == SUPERVISE_PHASE_UP, e->slot);
        }
}

/* One more start: everybody is down whom the strategy wants down, and everybody before it is served. */
static void check_begun(struct world *w, struct tree_set *set, unsigned slot) {
        const supervise_policy *p = supervise_get_policy(set->s);
        bool first = p->ordered && set->starting && !set->children[slot].had_outcome;

        for (unsigned i = 1; i <= SLOTS && (is_group(p) || first); i++) {
                supervise_slot_info other = slot_of(set, i);

                if (i == slot)
                        continue;
                if (is_group(p))
                        require(w->sim, set->children[i].comes_down == 0 ||
                                                set->children[i].comes_down != other.generation ||
                                                !is_alive(other.state), i);
                if (!precedes(set, i, slot))
                        continue;
                require(w->sim, other.state != SUPERVISE_SLOT_STARTING &&
                                other.state != SUPERVISE_SLOT_WAITING,
                        i);
                if (is_group(p))
                        require(w->sim, other.state != SUPERVISE_SLOT_BACKOFF, i);
        }
}

/* Someone is told to stop: nobody behind it in order still runs untold, and there is a cause. */
static void check_stopped(struct world *w, struct tree_set *set, unsigned slot, const supervise_event *e,
                const struct snapshot *before) {
        supervise_info info = info_of(set);
        bool verb = e->slot == slot && (e->type == SUPERVISE_REMOVE_CHILD ||
                        e->type == SUPERVISE_STOP_CHILD ||
                                        e->type == SUPERVISE_RESTART_CHILD);

        if (verb || info.rolling == slot) {
                set->children[slot].verb = true;
                return;
        }
        require(w->sim, info.phase != SUPERVISE_PHASE_UP ||
                                set->children[slot].comes_down == before->slots[slot].generation, slot);
        for (uint32_t i = supervise_next_child(set->s, slot); i > 0; i = supervise_next_child(set->s, i)) {
                supervise_slot_info other = slot_of(set, i);

                require(w->sim, !is_alive(other.state), i);
        }
}

static void check_states(struct world *w, struct tree_set *set) {
        supervise_info info = info_of(set);
        const supervise_policy *p = supervise_get_policy(set->s);
        unsigned serial = info.n[SUPERVISE_SLOT_STARTING] + info.n[SUPERVISE_SLOT_STOPPING] +
                          info.n[SUPERVISE_SLOT_BACKOFF];

        if (info.n[SUPERVISE_SLOT_WAITING] > 0)
                require(w->sim, serial > 0 && p->ordered, 0); /* somebody is waited for */
        for (unsigned i = 1; i <= SLOTS; i++) {
                supervise_slot_info slot = slot_of(set, i);

                if (info.phase == SUPERVISE_PHASE_DOWN || info.phase == SUPERVISE_PHASE_FAILED)
                        require(w->sim, !is_alive(slot.state) && slot.state != SUPERVISE_SLOT_BACKOFF, i);
                if (slot.state == SUPERVISE_SLOT_UNUSED && slot.generation == 0)
                        require(w->sim, !set->children[i].alive, i);
        }
}

static void check_event(struct world *w, struct tree_set *set, const supervise_event *e,
                const struct snapshot *before) {
        unsigned n_begun = 0, n_stopped = 0;

        if (e->type == SUPERVISE_EXITED || e->type == SUPERVISE_START_FAILED)
                check_end(w, set, e, before);
        for (unsigned i = 1; i <= SLOTS; i++) {
                const supervise_slot_info *was = before->slots + i, is = slot_of(set, i);

                if (is.generation > was->generation) {
                        set->children[i].verb = false;
                        check_begun(w, set, i);
                        n_begun++;
                } else if (is.state == SUPERVISE_SLOT_STOPPING && was->state != SUPERVISE_SLOT_STOPPING) {
                        check_stopped(w, set, i, e, before);
                        n_stopped++;
                }
        }
        if (is_group(supervise_get_policy(set->s)))
                require(w->sim, n_begun <= 1 && n_stopped <= 2, 0); /* 2: a verb, and a roll goes on */
        check_states(w, set);
}

static void commit(struct world *w) {
        for (unsigned i = 0; i < SETS; i++)
                if (w->sets[i].exists)
                        image_commit(w->sim, &w->sets[i].image, w->sets[i].s);
}

/* The arbiter dies, some of the lives with it, and another takes over. */
static void crash(struct world *w) {
        if (w->sim->trace)
                printf("      the arbiter dies\n");
        w->sim->counts[CRASHES]++;
        w->resumed = true;
        for (unsigned i = 0; i < SETS; i++) {
                struct tree_set *set = w->sets + i;

                if (!set->exists)
                        continue;
                supervise_free(set->s);
                set->s = image_load(w->sim, &set->image);
                set->armed = NSEC_INFINITY;
                supervise_resume(set->s);
                otp_resume(&set->otp);
                for (unsigned k = 1; k <= SLOTS; k++)
                        if (set->children[k].alive && one_in(w->sim, 10)) {
                                set->children[k].alive = false;
                                set->children[k].unreported = true;
                        }
        }
}

static void note_outcome(struct world *w, struct tree_set *set, const supervise_event *e) {
        if (e->type == SUPERVISE_START && info_of(set).phase == SUPERVISE_PHASE_UP) {
                set->starting = true;
                set->n_failures = 0;
                for (unsigned i = 1; i <= SLOTS; i++)
                        set->children[i].had_outcome = slot_of(set, i).state == SUPERVISE_SLOT_UNUSED;
        }
        if (e->slot > 0 && e->slot <= SLOTS &&
            (e->type == SUPERVISE_STARTED || e->type == SUPERVISE_IGNORED ||
                            e->type == SUPERVISE_STOP_CHILD))
                set->children[e->slot].had_outcome = true;
        if (e->slot > 0 && e->slot <= SLOTS &&
            (e->type == SUPERVISE_RESTART_CHILD || e->type == SUPERVISE_STOP_CHILD))
                set->children[e->slot].verb = true;
        w->sim->counts[IGNORED] += e->type == SUPERVISE_IGNORED;
}

static int handle(struct world *w, struct tree_set *set, supervise_event e) {
        struct snapshot before = snapshot(set);
        bool afresh = e.type == SUPERVISE_START && before.info.phase != SUPERVISE_PHASE_UP;
        int r;

        require(w->sim, ++w->guard < 20000, 0);
        if (e.type == SUPERVISE_TICK)
                set->armed = NSEC_INFINITY;
        r = supervise_handle(set->s, &e, w->now);
        trace_event(w->sim, index_of(w, set), &e, w->now, r);
        w->sim->counts[EVENTS]++;
        if (set->is_otp)
                require(w->sim, otp_handle(&set->otp, &e, r > 0 ? (uint32_t) r : 0, w->now) == r, e.slot);
        if (r < 0)
                return r;
        if (e.type == SUPERVISE_ADD_CHILD) {
                set->children[r] = (struct child){ .had_outcome = true };
                e.slot = (uint32_t) r;
        }
        if (afresh || e.type != SUPERVISE_START)
                note_outcome(w, set, &e);
        if (!w->sim->only_oracle)
                check_event(w, set, &e, &before);
        if (e.type == SUPERVISE_RESTART_CHILD && before.info.phase == SUPERVISE_PHASE_FAILED)
                set->n_failures = 0;
        return r;
}

/* An event that comes from outside, and is lost if the arbiter dies over it; then the one who knows of it
 * tells the next arbiter, unless it was an operator. */
static int feed(struct world *w, struct tree_set *set, supervise_event e, bool again) {
        if (!w->no_crash && one_in(w->sim, 100)) {
                (void) supervise_handle(set->s, &e, w->now);
                crash(w);
                if (!again)
                        return -EINTR;
        }
        return handle(w, set, e);
}

static void end_child(struct world *w, struct tree_set *set, unsigned slot, uint64_t generation, bool failed,
                bool normal) {
        int r = handle(w, set, (supervise_event){ .type = failed ? SUPERVISE_START_FAILED : SUPERVISE_EXITED,
                                                  .slot = slot,
                                                  .generation = generation,
                                                  .normal = normal });

        require(w->sim, r >= 0, slot);
}

static void spawn(struct world *w, struct tree_set *set, const supervise_action *a) {
        struct child *child = set->children + a->slot;

        if (child->set > 0) {
                child->generation = a->generation;
                require(w->sim, handle(w, w->sets + child->set,
                                       (supervise_event){ .type = SUPERVISE_START,
                                                          .generation = a->generation }) >= 0, a->slot);
                return;
        }
        if (child->generation == a->generation) {
                require(w->sim, w->resumed, a->slot);
                return;
        }
        require(w->sim, !child->alive && !child->unreported, a->slot); /* never two lives in a slot */
        require(w->sim, a->generation > child->generation, a->slot);
        child->generation = a->generation;
        child->alive = child->starting = true;
        child->told_to_stop = false;
        w->sim->counts[LIVES]++;
}

static void stop(struct world *w, struct tree_set *set, const supervise_action *a) {
        struct child *child = set->children + a->slot;

        if (child->set > 0) {
                struct tree_set *below = w->sets + child->set;

                if (info_of(below).life == a->generation)
                        require(w->sim, handle(w, below, (supervise_event){ .type = SUPERVISE_STOP }) >= 0,
                                a->slot);
                else /* it never was */
                        end_child(w, set, a->slot, a->generation, false, true);
        } else if (child->generation != a->generation) {
                require(w->sim, w->resumed, a->slot);
                child->generation = a->generation;
                end_child(w, set, a->slot, a->generation, false, true);
        } else
                child->told_to_stop = true;
}

/* What a set says of itself climbs. Said a second time, or of an earlier life, it is nothing to the
 * parent. */
static void climb(struct world *w, struct tree_set *set, const supervise_action *a) {
        supervise_event e;
        int r;

        require(w->sim, supervise_to_parent(a, set->parent_slot, &e), 0);
        require(w->sim, otp_is_said_by(&e, a, set->parent_slot), 0);
        w->sim->counts[ESCALATIONS] += a->type == SUPERVISE_ACTION_ESCALATE;
        w->sim->counts[START_FAILURES] += a->type == SUPERVISE_ACTION_START_FAILED;
        w->sim->counts[SHUTDOWNS] += a->type == SUPERVISE_ACTION_SHUTDOWN;
        if (a->generation == info_of(set).life)
                set->starting = false;
        if (index_of(w, set) == 0 || set->gone)
                return;
        r = handle(w, w->sets + set->parent, e);
        require(w->sim, r >= 0 || r == -ESTALE, set->parent_slot);
}

static void carry_out(struct world *w, struct tree_set *set, const supervise_action *a) {
        trace_action(w->sim, index_of(w, set), a);
        require(w->sim, a->slot <= SLOTS, a->slot);
        if (set->is_otp && a->type != SUPERVISE_ACTION_ARM)
                require(w->sim, otp_expects(&set->otp, a), a->slot);
        switch (a->type) {
        case SUPERVISE_ACTION_SPAWN:
                spawn(w, set, a);
                break;
        case SUPERVISE_ACTION_STOP:
                stop(w, set, a);
                break;
        case SUPERVISE_ACTION_REMOVED:
                require(w->sim, !set->children[a->slot].alive, a->slot);
                if (set->children[a->slot].set > 0)
                        w->sets[set->children[a->slot].set].gone = true;
                break;
        case SUPERVISE_ACTION_PARKED:
                break;
        case SUPERVISE_ACTION_ARM:
                set->armed = a->when;
                break;
        default:
                climb(w, set, a);
        }
}

static void pump(struct world *w) {
        supervise_action a;
        bool any = true;

        commit(w);
        while (any) {
                any = false;
                for (unsigned i = 0; i < SETS; i++)
                        if (w->sets[i].exists && supervise_next_action(w->sets[i].s, &a)) {
                                any = true;
                                if (!w->no_crash && one_in(w->sim, 200))
                                        crash(w);
                                else
                                        carry_out(w, w->sets + i, &a);
                                commit(w);
                        }
        }
        w->resumed = false;
}

/* The set is what the oracle says that it is, and has told all that it had to tell. */
static void check_oracle(struct world *w, struct tree_set *set) {
        supervise_info info = info_of(set);
        uint32_t slot = 0;

        require(w->sim, set->otp.n_decisions == 0, set->otp.decisions[0].slot);
        require(w->sim, info.phase == set->otp.phase, 0);
        require(w->sim, info.due == otp_due(&set->otp), 0);
        require(w->sim, info.n_wanted == set->otp.n - otp_n_leaving(&set->otp), 0);
        for (unsigned i = 0; i < set->otp.n; i++) {
                const struct otp_child *otp = set->otp.children + i;

                slot = supervise_next_child(set->s, slot);
                require(w->sim, slot == otp->slot, otp->slot);
                require(w->sim, slot_of(set, slot).state == otp->state, slot);
                require(w->sim, slot_of(set, slot).generation == otp->generation, slot);
        }
        require(w->sim, supervise_next_child(set->s, slot) == 0, slot);
}

/* A set that is alive below a parent whose life of it is over would be an orphan, and the reverse a parent
 * that waits for ever. */
static void check_tree(struct world *w) {
        for (unsigned i = 0; i < SETS; i++) {
                struct tree_set *set = w->sets + i;
                supervise_info info;
                supervise_slot_info slot;
                bool up;

                if (!set->exists)
                        continue;
                if (one_in(w->sim, 8))
                        image_check(w->sim, &set->image, set->s);
                info = info_of(set);
                require(w->sim, info.due == set->armed, 0);
                if (set->is_otp)
                        check_oracle(w, set);
                up = info.phase != SUPERVISE_PHASE_DOWN && info.phase != SUPERVISE_PHASE_FAILED;
                if (i == 0)
                        continue;
                slot = slot_of(w->sets + set->parent, set->parent_slot);
                if (set->gone)
                        require(w->sim, !up, i);
                else
                        require(w->sim, up == (is_alive(slot.state) && info.life == slot.generation), i);
        }
}

static void report_deaths(struct world *w) {
        for (unsigned i = 0; i < SETS * SLOTS; i++) {
                struct tree_set *set = w->sets + i / SLOTS;
                struct child *child = set->children + 1 + i % SLOTS;

                if (!child->unreported)
                        continue;
                child->unreported = false;
                end_child(w, set, 1 + i % SLOTS, child->generation, child->starting, one_in(w->sim, 3));
                pump(w);
                i = UINT32_MAX; /* the arbiter may have died over that, and more with it */
        }
}

static void end_life(struct world *w, struct tree_set *set, unsigned slot, bool failed, bool normal) {
        struct child *child = set->children + slot;

        child->alive = false;
        child->unreported = true;
        if (!w->no_crash && one_in(w->sim, 100)) { /* nobody has seen it */
                crash(w);
                pump(w);
                return;
        }
        child->unreported = false;
        end_child(w, set, slot, child->generation, failed, normal);
        pump(w);
}

/* Something happens to a life. */
static void touch_life(struct world *w, struct tree_set *set, unsigned slot) {
        struct child *child = set->children + slot;
        supervise_event e = { .slot = slot, .generation = child->generation };

        if (child->starting && !one_in(w->sim, 4)) {
                child->starting = false;
                e.type = SUPERVISE_STARTED;
                if (one_in(w->sim, 12)) {
                        e.type = SUPERVISE_IGNORED;
                        child->alive = false;
                        (void) handle(w, set, e);
                } else
                        (void) feed(w, set, e, true);
                pump(w);
        } else if (child->starting) {
                if (one_in(w->sim, 2))
                        end_life(w, set, slot, one_in(w->sim, 2), one_in(w->sim, 2));
        } else if (child->told_to_stop ? one_in(w->sim, 2) : below(w->sim, 100) < w->crash_weight)
                end_life(w, set, slot, false, one_in(w->sim, 3));
}

/* What a child is; now and then that contradicts itself. */
static void describe_child(struct world *w, struct tree_set *set, supervise_event *e) {
        const supervise_policy *p = supervise_get_policy(set->s);

        e->restart = below(w->sim, 3);
        e->shutdown = below(w->sim, 3);
        e->significant = (p->auto_shutdown != SUPERVISE_AUTO_SHUTDOWN_NEVER &&
                          e->restart != SUPERVISE_PERMANENT && one_in(w->sim, 2)) ||
                         (set->is_otp && one_in(w->sim, 20));
        if (e->type == SUPERVISE_DEFINITION_CHANGED) {
                e->slot = 1 + below(w->sim, SLOTS);
                e->revision = 0; /* what it runs is the same */
        }
}

static void add_child(struct world *w, struct tree_set *set, unsigned as_set) {
        supervise_event e = { .type = SUPERVISE_ADD_CHILD,
                              .before = one_in(w->sim, 4) ? below(w->sim, SLOTS) : 0 };
        int r;

        if (info_of(set).slot_max >= CHILDREN_MAX)
                return;
        describe_child(w, set, &e);
        r = handle(w, set, e);
        if (r > 0) {
                set->children[r].set = as_set;
                if (as_set > 0) {
                        w->sets[as_set].parent = index_of(w, set);
                        w->sets[as_set].parent_slot = (unsigned) r;
                        w->sets[as_set].gone = false;
                }
        } else if (as_set > 0)
                w->sets[as_set].gone = true;
        pump(w);
}

static void operate(struct world *w) {
        struct tree_set *set = w->sets + below(w->sim, SETS);
        supervise_event e = { .slot = below(w->sim, SLOTS) };

        if (!set->exists || set->gone)
                return;
        switch (below(w->sim, 11)) {
        case 0:
                if (set != w->sets && info_of(set).phase != SUPERVISE_PHASE_UP)
                        return; /* a set that is down is its parent's to start */
                e = (supervise_event){ .type = SUPERVISE_START };
                break;
        case 1:
        case 2:
                e.type = SUPERVISE_RESTART_CHILD;
                if (info_of(set).phase == SUPERVISE_PHASE_FAILED && set != w->sets)
                        return;
                break;
        case 3:
                e.type = SUPERVISE_STOP_CHILD;
                break;
        case 4:
                e.type = SUPERVISE_REMOVE_CHILD;
                break;
        case 5:
                e = (supervise_event){ .type = SUPERVISE_DEFINITION_CHANGED, .revision = below(w->sim, 3) };
                if (set->is_otp)
                        describe_child(w, set, &e);
                break;
        case 6: /* an old report */
                e.type = one_in(w->sim, 2) ? SUPERVISE_EXITED : SUPERVISE_IGNORED;
                e.generation = 1000000;
                break;
        case 7:
                e.type = SUPERVISE_MOVE_CHILD;
                e.before = below(w->sim, SLOTS);
                break;
        default:
                add_child(w, set, 0);
                return;
        }
        (void) feed(w, set, e, false);
        pump(w);
}

static void pass_time(struct world *w) {
        struct tree_set *next = NULL;

        for (unsigned i = 0; i < SETS; i++)
                if (w->sets[i].exists && w->sets[i].armed != NSEC_INFINITY &&
                    (!next || w->sets[i].armed < next->armed))
                        next = w->sets + i;
        if (next && !one_in(w->sim, 4)) {
                w->now = MAX(w->now, next->armed);
                (void) feed(w, next, (supervise_event){ .type = SUPERVISE_TICK }, false);
                pump(w);
        } else if (one_in(w->sim, 3))
                w->now += supervise_get_policy(w->sets[0].s)->period - one_in(w->sim, 2);
        else
                w->now += below(w->sim, 1500) * NSEC_PER_MSEC;
}

static void step(struct world *w) {
        unsigned at = below(w->sim, SETS * SLOTS);

        report_deaths(w);
        if (below(w->sim, 100) < w->verb_weight)
                operate(w);
        else if (one_in(w->sim, 3))
                pass_time(w);
        report_deaths(w);
        for (unsigned i = 0; i < SETS * SLOTS; i++, at = (at + 1) % (SETS * SLOTS)) {
                struct tree_set *set = w->sets + at / SLOTS;

                if (set->exists && set->children[1 + at % SLOTS].alive) {
                        touch_life(w, set, 1 + at % SLOTS);
                        break;
                }
        }
        report_deaths(w);
        check_tree(w);
}

static supervise_policy random_policy(struct world *w) {
        supervise_policy p = SUPERVISE_POLICY_DEFAULT;

        p.strategy = 1 + below(w->sim, 3);
        p.escalate = p.strategy != SUPERVISE_ONE_FOR_ONE || one_in(w->sim, 2);
        p.ordered = p.strategy != SUPERVISE_ONE_FOR_ONE || one_in(w->sim, 2);
        p.auto_shutdown = one_in(w->sim, 3) ? below(w->sim, 3) : SUPERVISE_AUTO_SHUTDOWN_NEVER;
        p.intensity = below(w->sim, 5);
        if (one_in(w->sim, 2))
                p.backoff_min = p.backoff_max = 0;
        return p;
}

/* One that the oracle understands: a backoff, if any, that is always the same. */
static void make_otp(struct world *w, supervise_policy *p) {
        p->escalate = p->ordered = true;
        p->backoff_jitter = 0;
        p->backoff_min = p->backoff_max = one_in(w->sim, 3) ? NSEC_PER_SEC : 0;
}

/* A stop ends: each life ends some time after it was told to, and then STOPPED comes. */
static void finish(struct world *w) {
        unsigned guard = 0;

        report_deaths(w);
        (void) handle(w, w->sets, (supervise_event){ .type = SUPERVISE_STOP });
        pump(w);
        while (report_deaths(w), info_of(w->sets).phase != SUPERVISE_PHASE_DOWN) {
                bool any = false;

                for (unsigned i = 0; i < SETS * SLOTS; i++) {
                        struct child *child = w->sets[i / SLOTS].children + 1 + i % SLOTS;

                        if (!child->alive || !child->told_to_stop)
                                continue;
                        end_life(w, w->sets + i / SLOTS, 1 + i % SLOTS, false, true);
                        any = true;
                        break;
                }
                require(w->sim, any && ++guard < 200, 0);
        }
        check_tree(w);
        for (unsigned i = 0; i < SETS * SLOTS; i++)
                require(w->sim, !w->sets[i / SLOTS].children[1 + i % SLOTS].alive, i);
}

void history(struct simulation *sim) {
        struct world w = { .sim = sim, .now = 100 * NSEC_PER_SEC };
        unsigned n_sets = 1 + below(sim, SETS), steps;

        w.no_crash = one_in(sim, 3);
        w.crash_weight = one_in(sim, 3) ? 70 : below(sim, 40);
        w.verb_weight = one_in(sim, 3) ? 4 : below(sim, 40);
        steps = 10 + below(sim, STEPS_MAX - 50);
        for (unsigned i = 0; i < n_sets; i++) {
                supervise_policy p = random_policy(&w);

                w.sets[i].exists = true;
                w.sets[i].armed = NSEC_INFINITY;
                w.sets[i].is_otp = !one_in(sim, 4);
                if (w.sets[i].is_otp)
                        make_otp(&w, &p);
                otp_init(&w.sets[i].otp, &p, OTP_ARBITER);
                require(sim, supervise_new(&p, 0, 0, draw(sim), &w.sets[i].s) >= 0, 0);
        }
        for (unsigned i = 0; i < n_sets; i++) {
                unsigned n = below(sim, 6);

                if (i > 0)
                        add_child(&w, w.sets + below(sim, i), i);
                while (n-- > 0)
                        add_child(&w, w.sets + i, 0);
        }
        (void) handle(&w, w.sets, (supervise_event){ .type = SUPERVISE_START });
        pump(&w);
        for (unsigned i = 0; i < steps; i++)
                if (begin_step(sim, i))
                        step(&w);
        finish(&w);
        for (unsigned i = 0; i < n_sets; i++) {
                sim->counts[COMPARED] += w.sets[i].is_otp;
                sim->counts[EXACTLY_OTP] += w.sets[i].is_otp && w.sets[i].otp.differed == 0;
                supervise_free(w.sets[i].s);
        }
}

int main(int argc, char *argv[]) {
        return simulate(argc, argv);
}
