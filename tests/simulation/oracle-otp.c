/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The oracle of simulate-tree: slow, obvious, and written from OTP's documentation. See oracle-otp.h. */

#include "oracle-otp.h"

#define EACH(o, c) (struct otp_child *c = (o)->children; c < (o)->children + (o)->n; c++)
#define STATE(x) SUPERVISE_SLOT_##x

static bool is_alive(const struct otp_child *c) {
        return c->state == STATE(STARTING) || c->state == STATE(RUNNING) || c->state == STATE(STOPPING);
}
static bool is_leaving(const struct otp_child *c) {
        return c->state == STATE(STOPPING) && c->then == THEN_FORGET;
}
static bool is_group(const struct otp *o) {
        return o->policy.strategy != SUPERVISE_ONE_FOR_ONE;
}
static struct otp_child *find(struct otp *o, uint32_t slot) {
        for EACH(o, c)
                if (c->slot == slot)
                        return c;
        return NULL;
}
/* Comes across a deliberate difference: true is what arbiter does, false what OTP does. */
static bool differs(struct otp *o, unsigned option) {
        o->differed |= option;
        return o->options & option;
}

static void decide(struct otp *o, supervise_action_type type, uint32_t slot, uint64_t generation) {
        assert(o->n_decisions < OTP_DECISIONS);
        o->decisions[o->n_decisions++] = (supervise_action){ .type = type,
                                                             .slot = slot,
                                                             .generation = generation };
}
static void become(struct otp *o, struct otp_child *c, supervise_slot_state state) {
        c->state = state;
        c->since = o->now;
}
static void decide_stop(struct otp *o, const struct otp_child *c) {
        decide(o, SUPERVISE_ACTION_STOP, c->slot, c->generation);
        o->decisions[o->n_decisions - 1].shutdown = c->shutdown;
}
static void start(struct otp *o, struct otp_child *c) {
        become(o, c, STATE(STARTING));
        c->generation = ++o->generation;
        decide(o, SUPERVISE_ACTION_SPAWN, c->slot, c->generation);
}
static void stop(struct otp *o, struct otp_child *c) {
        if (c->state == STATE(STOPPING))
                return;
        become(o, c, STATE(STOPPING));
        c->then = THEN_REST;
        decide_stop(o, c);
}
static void forget(struct otp *o, struct otp_child *c) {
        decide(o, SUPERVISE_ACTION_REMOVED, c->slot, c->generation);
        o->culprit = o->culprit == c->slot ? 0 : o->culprit; /* the number may be given again */
        memmove(c, c + 1, (size_t) (o->children + --o->n - c) * sizeof(*c));
}
/* It is down, and nobody wants it up. "The child specification is kept (unless it is temporary)" */
static void rest(struct otp *o, struct otp_child *c, supervise_slot_state state) {
        c->comes_down = c->first = c->by_hand = false;
        if (c->restart == SUPERVISE_TEMPORARY)
                forget(o, c);
        else
                become(o, c, state);
}

/* The set goes down: "it first terminates its child processes in reversed start order". */
static void go_down(struct otp *o, supervise_phase phase, supervise_action_type last_word,
                uint32_t culprit) {
        o->phase = phase;
        o->last_word = last_word;
        o->culprit = culprit;
        o->starting = false;
        for EACH(o, c) {
                c->comes_down = c->first = false;
                if (c->state == STATE(WAITING) || c->state == STATE(BACKOFF) ||
                    (phase == SUPERVISE_PHASE_STOPPING && !is_alive(c)))
                        become(o, c, STATE(IDLE));
        }
}

/* "if more than MaxR restarts occur within MaxT", this one counted, one aged exactly MaxT, too. */
static bool is_over(struct otp *o) {
        unsigned n = 0;

        o->failures[o->n_failures++ % OTP_FAILURES] = o->now;
        for (unsigned i = 0; i < MIN(o->n_failures, OTP_FAILURES); i++)
                n += o->now - o->failures[i] <= o->policy.period;
        return n > o->policy.intensity;
}

/* "If one child process terminates and is to be restarted, all other child processes are terminated" - or
 * those after it - "and then all child processes are restarted". Temporary ones are not. */
static void carry_out_strategy(struct otp *o, const struct otp_child *failed) {
        for (unsigned i = o->n; i-- > 0;) {
                struct otp_child *c = o->children + i;

                if (c == failed && o->policy.strategy == SUPERVISE_REST_FOR_ONE)
                        return;
                c->comes_down = c != failed &&
                                (is_alive(c) || c->state == STATE(IDLE) ||
                                 (c->state == STATE(HELD) && !differs(o, OTP_HELD_STAY_DOWN)));
        }
}

static void fail(struct otp *o, struct otp_child *c, bool had_started) {
        const supervise_policy *p = &o->policy;
        nsec_t delay = 0;

        if (c->by_hand && !differs(o, OTP_FIRST_FAILURES_COUNT)) {
                rest(o, c, STATE(IDLE));
                return;
        }
        if (is_over(o)) {
                decide(o, SUPERVISE_ACTION_PARKED, c->slot, c->generation);
                go_down(o, SUPERVISE_PHASE_GIVING_UP, SUPERVISE_ACTION_ESCALATE, c->slot);
                become(o, c, STATE(FAILED));
                return;
        }
        if (had_started && o->now - c->since >= p->backoff_stable)
                c->at_once = true;
        if (p->backoff_max > 0 && !c->at_once && differs(o, OTP_BACKOFF))
                delay = p->backoff_max;
        c->at_once = c->comes_down = false;
        become(o, c, STATE(WAITING));
        c->until = o->now + delay;
        if (delay > 0 || !had_started) /* a start that failed is tried again later, never in a loop */
                c->state = STATE(BACKOFF);
        else if (!is_group(o))
                start(o, c);
        if (is_group(o))
                carry_out_strategy(o, c);
}

/* "when any significant child terminates", or "when the last active significant child terminates": one is
 * active while it lives, or is to live. */
static void shut_down_if_told(struct otp *o) {
        for EACH(o, c)
                if (o->policy.auto_shutdown == SUPERVISE_AUTO_SHUTDOWN_ALL && c->significant &&
                    (is_alive(c) || c->state == STATE(WAITING) || c->state == STATE(BACKOFF)))
                        return;
        if (o->policy.auto_shutdown != SUPERVISE_AUTO_SHUTDOWN_NEVER)
                go_down(o, SUPERVISE_PHASE_STOPPING, SUPERVISE_ACTION_SHUTDOWN, 0);
}

static void stopped(struct otp *o, struct otp_child *c) {
        bool up = o->phase == SUPERVISE_PHASE_UP, starts = c->comes_down || c->then == THEN_START;

        c->comes_down = false;
        if (c->then == THEN_FORGET)
                forget(o, c);
        else if (c->then == THEN_HOLD)
                rest(o, c, o->phase == SUPERVISE_PHASE_STOPPING ? STATE(IDLE) : STATE(HELD));
        else if (up && starts && (c->then == THEN_START || c->restart != SUPERVISE_TEMPORARY))
                become(o, c, STATE(WAITING));
        else
                rest(o, c, STATE(IDLE));
}

/* For good; but who is to come down with its group starts again with it. */
static void end_for_good(struct otp *o, struct otp_child *c, bool significant) {
        bool again = c->comes_down && c->restart != SUPERVISE_TEMPORARY;

        rest(o, c, STATE(IDLE));
        if (again)
                c->comes_down = true;
        if (significant)
                shut_down_if_told(o);
}

/* It has ended without being told to. */
static void ended(struct otp *o, struct otp_child *c, bool normal) {
        bool had_started = c->state == STATE(RUNNING);

        normal = normal && had_started;
        if (o->phase != SUPERVISE_PHASE_UP) {
                rest(o, c, STATE(IDLE));
                return;
        }
        if (c->first) { /* "If any child process start function fails ..." */
                go_down(o, SUPERVISE_PHASE_GIVING_UP, SUPERVISE_ACTION_START_FAILED, c->slot);
                become(o, c, STATE(FAILED)); /* and is kept, as the culprit */
        } else if (c->restart == SUPERVISE_PERMANENT || (c->restart == SUPERVISE_TRANSIENT && !normal))
                fail(o, c, had_started);
        else
                end_for_good(o, c, c->significant);
}

/* The supervisor, were it a process, would be blocked. */
static bool is_busy(const struct otp *o) {
        for EACH((struct otp *) o, c)
                if (c->state == STATE(STARTING) || c->state == STATE(STOPPING) || c->state == STATE(WAITING))
                        return true;
        return false;
}

/* "the child processes are started in order": each when the one before it has started; a group when the one
 * that failed may. */
static void start_next(struct otp *o) {
        for EACH(o, c)
                if (c->state == STATE(BACKOFF) && o->policy.strategy == SUPERVISE_ONE_FOR_ALL)
                        return;
        for EACH(o, c) {
                if (c->state == STATE(STARTING) || (c->state == STATE(BACKOFF) && is_group(o)) ||
                    (c->state == STATE(STOPPING) && c->then == THEN_START && (c->first || is_group(o))))
                        return;
                if (c->state == STATE(WAITING)) {
                        start(o, c);
                        return;
                }
        }
}

/* All are down that the strategy wanted down: those that had ended before start with them. */
static void rise(struct otp *o) {
        for EACH(o, c) {
                if (c->comes_down && (c->state == STATE(IDLE) || c->state == STATE(HELD)))
                        become(o, c, STATE(WAITING));
                c->comes_down = false;
        }
}

/* What is to be done next, of all that is to be done. */
static void go_on(struct otp *o) {
        struct otp_child *last = NULL;
        bool up = o->phase == SUPERVISE_PHASE_UP, starting = false;

        for EACH(o, c) {
                if (is_alive(c) && (!up || c->comes_down))
                        last = c;
                starting = starting || c->first;
        }
        if (last)
                stop(o, last);
        else if (up) {
                rise(o);
                start_next(o);
        } else if (o->phase == SUPERVISE_PHASE_STOPPING || o->phase == SUPERVISE_PHASE_GIVING_UP) {
                decide(o, o->last_word, o->culprit, o->life);
                o->phase = o->phase == SUPERVISE_PHASE_STOPPING ? SUPERVISE_PHASE_DOWN :
                                                                  SUPERVISE_PHASE_FAILED;
        }
        if (o->starting && !starting)
                decide(o, SUPERVISE_ACTION_STARTED_ALL, 0, o->life);
        o->starting = o->starting && starting;
}

static int start_set(struct otp *o, const supervise_event *e) {
        bool afresh = o->phase != SUPERVISE_PHASE_UP;

        if (e->generation > 0 && e->generation == o->life)
                return 0;
        if (o->phase == SUPERVISE_PHASE_STOPPING || o->phase == SUPERVISE_PHASE_GIVING_UP)
                return -ESHUTDOWN;
        if (!afresh && !differs(o, OTP_VERBS_DO_ALL))
                return -EBUSY;
        o->phase = SUPERVISE_PHASE_UP;
        if (afresh) {
                o->life = e->generation;
                o->n_failures = 0;
                o->starting = true;
        }
        for EACH(o, c) {
                if (c->state == STATE(STOPPING) && c->then == THEN_HOLD)
                        c->then = THEN_START;
                if (is_alive(c))
                        continue;
                become(o, c, STATE(WAITING));
                c->at_once = true;
                c->first = c->first || afresh;
        }
        return 0;
}

/* "Setting this option to true when the restart type is permanent is invalid", and with auto_shutdown
 * never. */
static bool is_valid(const struct otp *o, const supervise_event *e) {
        return !e->significant || (e->restart != SUPERVISE_PERMANENT &&
                                   o->policy.auto_shutdown != SUPERVISE_AUTO_SHUTDOWN_NEVER);
}

static int add(struct otp *o, const supervise_event *e, uint32_t slot) {
        struct otp_child *at = o->children + o->n, *before = find(o, e->before);

        if (!is_valid(o, e))
                return -EINVAL;
        if (o->phase != SUPERVISE_PHASE_UP && o->phase != SUPERVISE_PHASE_DOWN)
                return -ESHUTDOWN;
        if (e->before > 0 && (!before || is_leaving(before)))
                return -ENOENT;
        if (before) {
                memmove(before + 1, before, (size_t) (at - before) * sizeof(*at));
                at = before;
        }
        o->n++;
        *at = (struct otp_child){ .slot = slot,
                                  .restart = e->restart,
                                  .significant = e->significant,
                                  .shutdown = e->shutdown,
                                  .at_once = true,
                                  .by_hand = o->phase == SUPERVISE_PHASE_UP };
        become(o, at, o->phase == SUPERVISE_PHASE_UP ? STATE(WAITING) : STATE(IDLE));
        return (int) slot;
}

/* code_change/3, by which a supervisor goes on with its children in another order. While a group comes down
 * it is busy with the order, and may not be. */
static int move(struct otp *o, const supervise_event *e) {
        struct otp_child *c = find(o, e->slot), *before = find(o, e->before), moved;

        if (!c || is_leaving(c) || (e->before > 0 && (!before || is_leaving(before))))
                return -ENOENT;
        if (o->phase == SUPERVISE_PHASE_STOPPING || o->phase == SUPERVISE_PHASE_GIVING_UP)
                return -ESHUTDOWN;
        for EACH(o, x)
                if (x->comes_down)
                        return -EBUSY;
        if (before == c)
                return 0;
        moved = *c;
        for (; c + 1 < o->children + o->n; c++)
                *c = c[1];
        for (bool behind = e->before > 0; behind; c--) {
                *c = c[-1];
                behind = c->slot != e->before;
        }
        *c = moved;
        return 0;
}

/* terminate_child/2, restart_child/2 and delete_child/2; the last two stop one who lives. */
static int one_child(struct otp *o, const supervise_event *e) {
        struct otp_child *c = find(o, e->slot);
        bool restart = e->type == SUPERVISE_RESTART_CHILD, remove = e->type == SUPERVISE_REMOVE_CHILD;

        if (!remove && o->phase != SUPERVISE_PHASE_UP && !(restart && o->phase == SUPERVISE_PHASE_FAILED))
                return -ESHUTDOWN;
        if (!c || is_leaving(c))
                return -ENOENT;
        if (restart && o->phase == SUPERVISE_PHASE_FAILED) {
                o->phase = SUPERVISE_PHASE_UP;
                o->n_failures = 0;
        }
        if (restart)
                c->by_hand = c->at_once = true;
        else
                c->first = false;
        if (is_alive(c)) {
                if ((restart || remove) && !differs(o, OTP_VERBS_DO_ALL))
                        return -EBUSY;
                stop(o, c);
                c->then = remove ? THEN_FORGET : restart ? THEN_START : THEN_HOLD;
        } else if (restart)
                become(o, c, STATE(WAITING));
        else if (remove)
                forget(o, c);
        else
                rest(o, c, STATE(HELD));
        return 0;
}

/* The longest overdue first, and by its number. */
static void tick(struct otp *o) {
        struct otp_child *due;

        do {
                due = NULL;
                for EACH(o, c)
                        if (c->state == STATE(BACKOFF) && c->until <= o->now &&
                            (!due || c->until < due->until ||
                             (c->until == due->until && c->slot < due->slot)))
                                due = c;
                if (due && is_group(o))
                        become(o, due, STATE(WAITING));
                else if (due)
                        start(o, due);
        } while (due);
}

static int handle(struct otp *o, const supervise_event *e, uint32_t slot) {
        struct otp_child *c = find(o, e->slot);

        switch (e->type) {
        case SUPERVISE_START:
                return start_set(o, e);
        case SUPERVISE_STOP:
                go_down(o, SUPERVISE_PHASE_STOPPING, SUPERVISE_ACTION_STOPPED, 0);
                return 0;
        case SUPERVISE_STARTED:
        case SUPERVISE_IGNORED:
        case SUPERVISE_START_FAILED:
        case SUPERVISE_EXITED:
                if (!c || !is_alive(c) || c->generation != e->generation)
                        return -ESTALE;
                if (e->type == SUPERVISE_STARTED || e->type == SUPERVISE_IGNORED)
                        c->first = c->by_hand = false;
                if (e->type == SUPERVISE_STARTED && c->state == STATE(STARTING))
                        become(o, c, STATE(RUNNING));
                else if (e->type == SUPERVISE_STARTED)
                        return 0; /* said again, or too late */
                else if (c->state == STATE(STOPPING))
                        stopped(o, c);
                else if (e->type == SUPERVISE_IGNORED)
                        end_for_good(o, c, false);
                else
                        ended(o, c, e->type == SUPERVISE_EXITED && e->normal);
                return 0;
        case SUPERVISE_ADD_CHILD:
                return add(o, e, slot);
        case SUPERVISE_DEFINITION_CHANGED: /* as code_change: from the next end on */
                if (!is_valid(o, e))
                        return -EINVAL;
                if (!c || is_leaving(c))
                        return -ENOENT;
                c->restart = e->restart;
                c->significant = e->significant;
                c->shutdown = e->shutdown;
                return 0;
        case SUPERVISE_MOVE_CHILD:
                return move(o, e);
        case SUPERVISE_TICK:
                tick(o);
                return 0;
        default:
                return one_child(o, e);
        }
}

int otp_handle(struct otp *o, const supervise_event *e, uint32_t slot, nsec_t now) {
        const struct otp_child *c = find(o, e->slot);
        bool expected = c && c->state != STATE(RUNNING) && c->generation == e->generation;
        int r;

        o->now = now;
        if (!expected && o->phase == SUPERVISE_PHASE_UP && e->type != SUPERVISE_STOP && is_busy(o) &&
            !differs(o, OTP_NEVER_BUSY))
                return -EAGAIN; /* it waits in the mailbox */
        r = handle(o, e, slot);
        if (r >= 0)
                go_on(o);
        return r;
}

void otp_resume(struct otp *o) {
        o->n_decisions = 0;
        for EACH(o, c)
                if (c->state == STATE(STARTING))
                        decide(o, SUPERVISE_ACTION_SPAWN, c->slot, c->generation);
                else if (c->state == STATE(STOPPING))
                        decide_stop(o, c);
        if (o->phase == SUPERVISE_PHASE_UP && !o->starting)
                decide(o, SUPERVISE_ACTION_STARTED_ALL, 0, o->life);
        else if (o->phase == SUPERVISE_PHASE_DOWN || o->phase == SUPERVISE_PHASE_FAILED)
                decide(o, o->last_word, o->culprit, o->life);
        o->n_any_order = o->n_decisions;
}

bool otp_expects(struct otp *o, const supervise_action *a) {
        for (unsigned i = 0; i < MAX(o->n_any_order, MIN(o->n_decisions, 1U)); i++) {
                const supervise_action *d = o->decisions + i;

                if (d->type != a->type || d->slot != a->slot || d->generation != a->generation ||
                    (a->type == SUPERVISE_ACTION_STOP && d->shutdown != a->shutdown))
                        continue;
                memmove(o->decisions + i, d + 1, (--o->n_decisions - i) * sizeof(*d));
                o->n_any_order -= o->n_any_order > 0;
                return true;
        }
        return false;
}

/* "the termination reason for the supervisor itself will be shutdown", which is a normal one; and the start
 * of one whose child does not start fails. */
bool otp_is_said_by(const supervise_event *e, const supervise_action *of, uint32_t slot) {
        supervise_event_type type = of->type == SUPERVISE_ACTION_STARTED_ALL  ? SUPERVISE_STARTED :
                                    of->type == SUPERVISE_ACTION_START_FAILED ? SUPERVISE_START_FAILED :
                                                                                SUPERVISE_EXITED;

        return e->type == type && e->slot == slot && e->generation == of->generation &&
               (type != SUPERVISE_EXITED || e->normal);
}

unsigned otp_n_leaving(const struct otp *o) {
        unsigned n = 0;

        for EACH((struct otp *) o, c)
                n += is_leaving(c);
        return n;
}

nsec_t otp_due(const struct otp *o) {
        nsec_t due = NSEC_INFINITY;

        for EACH((struct otp *) o, c)
                if (c->state == STATE(BACKOFF))
                        due = MIN(due, c->until);
        return due;
}

void otp_init(struct otp *o, const supervise_policy *policy, unsigned options) {
        *o = (struct otp){ .options = options, .policy = *policy, .last_word = SUPERVISE_ACTION_STOPPED };
}
