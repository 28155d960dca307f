/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The decisions of a monitor: (state, event, now) to (state, actions). No clock, no I/O, no log: the
 * arbiter says what happened and when, pulls the actions, carries them out, and reports their outcome as
 * later events.
 *
 *         r = supervise_handle(s, &event, now);
 *         while (supervise_next_action(s, &action)) ...
 *
 * A *set* has numbered slots, 1 and up. Every life in a slot has a generation, unique in the set and
 * rising, so that a late report about an earlier life is known as such. A life is over for this module
 * when EXITED or START_FAILED says so; whoever reports it has made sure that nothing of that life is left.
 *
 * Intensity and backoff, judged together. Each failure that asks for a restart is counted at its time,
 * failed starts included; those of the last `period` count, one aged exactly `period` too (OTP). With the
 * default 5 in 10 s and a backoff of 100 ms x 2^k alone, a crash loop fails at 0, 0, .1, .3, .7, 1.5 s:
 * the sixth within 10 s, so the worker would be given up after 1.5 s and a backoff "up to 30 s" could
 * never happen. Hence, where the backoff may wait at least a period (backoff_max >= period, as by
 * default), a slot whose window is full waits until its oldest failure has left it: the limit is a rate,
 * never exceeded, and the slot is retried for ever (as with systemd's RestartSec= above
 * StartLimitIntervalSec= / StartLimitBurst=). Where it may not (backoff off, or backoff_max < period), the
 * limit is OTP's verdict: one more failure than `intensity` within `period` parks the slot. Intensity 0
 * parks at the first failure in any case; with `escalate` there is only the verdict.
 *
 * Different children, as OTP's supervisor has them. Each has a restart type; they are in order, by which
 * supervise_next_child() goes, and ADD_CHILD puts a new one last, or `before` another. The set stops one by
 * one, the last in order first, each when the one behind it has ended.
 * - `ordered`: each starts when the one before it has STARTED or IGNORED. One whose first start fails
 *   (START_FAILED, or EXITED before STARTED) is not tried again: those that run are stopped in reverse, and
 *   START_FAILED says so. Slots whose turn has not come are WAITING. Children that are added later wait
 *   for those that are starting, too; a failure of theirs is a failure like any other.
 * - `escalate`: one window for the set. One failure more than `intensity` within `period`, and the child
 *   is PARKED, all others are stopped in reverse, ESCALATE. Failed starts count, each.
 * - one-for-all, rest-for-one: a child that is *to be restarted* takes all others, or those behind it in
 *   order, with it: they are stopped in reverse order, and when all are down, start again in order, after
 *   the backoff of the one that failed. Temporary bystanders are stopped and forgotten; bystanders that had
 *   ended for good, or ignored their start, start again with the others; those that an operator holds do
 *   not (the one difference from OTP). A failure in the middle of that is judged at once, and it begins
 *   anew, from the earlier of the two. The verbs for one child, and a new definition, concern it alone.
 * - significant children and auto_shutdown: when one, or the last one, has ended by itself and is not
 *   restarted, all others are stopped in reverse, SHUTDOWN, and the set is DOWN. An operator's verb, or a
 *   stop as a bystander, is no such end.
 *
 * Pools. A worker *serves* when it is RUNNING and, with `readiness`, READY has said so last. LOAD says who
 * is busy.
 * - Scaling down takes those who do not live, then those who stop anyway, then the idle, the oldest first;
 *   a busy one never while an idle one lives. With `drain` a busy one is told to take no new work (DRAIN),
 *   and STOP follows when it is idle or its time is up; scaling up again lets it SERVE on.
 * - A roll (DEFINITION_CHANGED for the set) replaces all workers. Never fewer than N - max_unavailable serve
 *   because of it, and never more than N + max_surge exist; one that has served for less than min_ready does
 *   not count: what is running as soon as its program is executed may end a moment later. With max_surge,
 *   replacements are new slots, and an old worker leaves when enough others serve; without, it is started
 *   again in its own slot. A worker of the new definition that fails halts the roll (ROLL_HALTED, its slot):
 *   nobody else is taken down, the failed one is tried by its backoff, and if it serves at last the roll
 *   goes on; an old one that ends meanwhile is started again by the old definition. ROLL_ABORT turns back,
 *   as does DEFINITION_CHANGED to the definition before. ROLL_DONE or ROLL_ABORTED ends it; info.roll
 *   keeps the verdict. At most two generations live: a third definition replaces the second at once if
 *   none of its workers serve, else it waits until the roll is done, or, if it is halted, turned back.
 * - A new worker that is not ready, and does not fail, halts a roll as well, when there has been no progress
 *   for progress_deadline: no old one told to leave, none begun in the place of one or because its turn has
 *   come, and no more of the new ones that serve than ever before (so one whose readiness comes and goes
 *   puts nothing off). Time in which nobody is awaited (old ones drain and stop, min_ready passes), or one
 *   fails, does not count, time without an arbiter does. So it is when a roll is halted by one that failed,
 *   and that is not ready either when it has been started again: ROLL_HALTED comes once more. Turning back
 *   has no deadline: there is nowhere else to go.
 * - Recycling (runtime_max; RECYCLE when a worker has reached requests_max or memory_max as spread for it
 *   in its slot_info) replaces workers by their like: one at a time, by the rules of a roll, and not
 *   during one.
 * - Autoscale: LOAD of the pool above scale_up percent of its workers for scale_up_after makes it as
 *   large as puts the load between the two limits, at most workers_max; below scale_down for
 *   scale_down_after takes one away, unless that would be too few, or a roll is going on. Each change of
 *   size begins anew.
 * - The breaker opens when breaker_failures of all workers lie within breaker_period: nobody is started,
 *   those who should be are WAITING. After breaker_min one is tried; serves it, the breaker closes; fails
 *   it, the breaker is open for twice as long, at most breaker_max. START, RESTART_CHILD, a SCALE by an
 *   operator, and another definition close it.
 * - UNHEALTHY, of a child as well, stops a life, and its end counts as a failure.
 *
 * Trees. A set may be a child of a set. The parent's SPAWN is the child's START with that generation (a
 * second START of the same generation does nothing), the parent's STOP its STOP; what the child says of
 * itself becomes an event of the parent by supervise_to_parent(). So its giving up climbs as one EXITED
 * with OTP's reason `shutdown`, counted once; what the root says, the arbiter dies by. As all of that
 * names the generation, doing it twice, or after a crash again, does no harm.
 *
 * Outliving the process. All decision state is one entry for the set, its *head*, and one for each slot.
 * Write them after an event and before its actions are carried out; pending actions are no state:
 *
 *         while (supervise_next_dirty(s, &slot))
 *                 if (slot == 0)
 *                         n = supervise_encode_head(s, buffer, SUPERVISE_ENCODED_MAX), write it as the head
 *                 else
 *                         n = supervise_encode_slot(s, slot, ...), write it as that slot; 0: delete it
 *
 * all of it in one transaction: a head goes with the slots of its time. The next process decodes:
 *
 *         r = supervise_decode_begin(head, size, &s);
 *         for each slot: r = supervise_decode_slot(s, slot, data, size);
 *         r = supervise_decode_finish(s);
 *         supervise_set_policy(s, &policy);                 (what is configured now)
 *         supervise_resume(s);                              and then the actions are pulled as ever
 *
 * supervise_resume() pushes what the state implies, carried out before or not: SPAWN for each slot that
 * is STARTING and STOP for each that is STOPPING, with the generation that they had; ARM; and the last
 * word on the set: STARTED_ALL (UP, all first starts had their outcome), STOPPED or SHUTDOWN (DOWN),
 * GAVE_UP, ESCALATE or START_FAILED (FAILED). So for each SPAWN: if that generation runs or is being
 * started, do nothing; if it is known to have ended, report that; if it never was, start it. A STOP of a
 * life that is being stopped is nothing; of a life that never was, its end is to be reported. Slots that
 * are RUNNING are believed to run; who has died meanwhile is reported by EXITED as ever, after
 * supervise_resume(). Of a pool that drains, DRAIN or SERVE comes for each worker; LOAD is not kept and
 * is to be reported again. All other actions are told once and not again. */

#include "basic/time-util.h"

#define SUPERVISE_SLOTS_MAX 65536U
#define SUPERVISE_SURGE_MAX 1024U /* of max_surge, and of max_unavailable beside it */
#define SUPERVISE_INTENSITY_MAX 1000U
#define SUPERVISE_INTENSITY_INFINITY UINT32_MAX

typedef enum supervise_strategy {
        SUPERVISE_POOL, /* alike workers; a slot over the limit is parked; gives up if none is left */
        /* Different children, each with its restart type, in the order in which they were added. */
        SUPERVISE_ONE_FOR_ONE,
        SUPERVISE_ONE_FOR_ALL,  /* these two want `escalate` and `ordered` */
        SUPERVISE_REST_FOR_ONE,
        _SUPERVISE_STRATEGY_MAX,
} supervise_strategy;

typedef enum supervise_restart {
        SUPERVISE_PERMANENT,
        SUPERVISE_TRANSIENT, /* only after an abnormal end, and any end before STARTED is abnormal */
        SUPERVISE_TEMPORARY, /* never; a child is forgotten at its end, not so a worker of a pool */
} supervise_restart;

/* When the set goes down because significant children have ended for good, by themselves. */
typedef enum supervise_auto_shutdown {
        SUPERVISE_AUTO_SHUTDOWN_NEVER,
        SUPERVISE_AUTO_SHUTDOWN_ANY,
        SUPERVISE_AUTO_SHUTDOWN_ALL, /* with the last of them */
} supervise_auto_shutdown;

typedef struct supervise_policy {
        supervise_strategy strategy;
        supervise_restart restart; /* pool: of each worker. one-for-one: see ADD_CHILD */
        bool escalate; /* children: OTP's one window for the set, then stop all, ESCALATE. Else: park */
        bool ordered;  /* children: started one after the other; a first start that fails, fails the set */
        supervise_auto_shutdown auto_shutdown; /* children only */
        uint32_t intensity;        /* <= SUPERVISE_INTENSITY_MAX, or SUPERVISE_INTENSITY_INFINITY */
        nsec_t period;
        nsec_t backoff_min, backoff_max; /* min <= max; 0, 0: no backoff */
        /* >= 1: delay = min x factor^k; k stops where the delay reaches max */
        uint32_t backoff_factor;
        uint32_t backoff_jitter;         /* percent added at most, <= 100 */
        nsec_t backoff_stable;           /* a life this long after STARTED: restart at once, k halved */

        /* Pools, see the head of this file. */
        uint32_t max_surge, max_unavailable; /* of a roll; not both 0 */
        bool readiness;                      /* STARTED is not enough to serve: READY says so */
        /* a roll, and the breaker, believe a worker when it has served for so long */
        nsec_t min_ready;
        nsec_t progress_deadline;            /* a roll that waits for longer is halted; 0, infinity: none */
        nsec_t drain;                        /* how long a busy worker may go on; 0: STOP at once */
        nsec_t runtime_max;                  /* recycling, each 0 for never; the last two are for the */
        uint64_t requests_max, memory_max;   /* caller to watch, by supervise_get_slot() */
        uint32_t recycle_spread;             /* percent that a limit may be smaller, <= 100 */
        uint32_t workers_min, workers_max;   /* autoscale; workers_max 0: off */
        uint32_t scale_up, scale_down;       /* load in percent of the workers: above, below */
        nsec_t scale_up_after, scale_down_after;
        uint32_t breaker_failures;           /* 0: no breaker */
        nsec_t breaker_period, breaker_min, breaker_max;
} supervise_policy;

/* The factor is Akka's and systemd's usual doubling. */
#define SUPERVISE_POLICY_DEFAULT                                                                            \
        ((supervise_policy){                                                                                \
                .strategy = SUPERVISE_POOL,                                                                 \
                .restart = SUPERVISE_PERMANENT,                                                             \
                .intensity = 5,                                                                             \
                .period = 10 * NSEC_PER_SEC,                                                                \
                .backoff_min = 100 * NSEC_PER_MSEC,                                                         \
                .backoff_max = 30 * NSEC_PER_SEC,                                                           \
                .backoff_factor = 2,                                                                        \
                .backoff_jitter = 20,                                                                       \
                .backoff_stable = 10 * NSEC_PER_SEC,                                                        \
                .max_unavailable = 1,                                                                       \
        })

typedef enum supervise_event_type {
        SUPERVISE_START,              /* operator: the set, and in a running set all that does not run.
                                       * generation: of the life that it is to its parent; operator: 0 */
        SUPERVISE_STOP,               /* pool: all at once; children: one by one, the last in order first */
        SUPERVISE_STARTED,            /* slot, generation: the handshake is done */
        SUPERVISE_START_FAILED,       /* slot, generation, reason, status. Tried again by ARM */
        SUPERVISE_IGNORED,            /* slot, generation: it has started and needs no life; no failure */
        SUPERVISE_EXITED,             /* slot, generation, reason, status, normal; as above before STARTED */
        SUPERVISE_SCALE,              /* n, by_operator; pool only */
        SUPERVISE_ADD_CHILD,          /* what a child is (below), before; no pool. Returns the slot, > 0 */
        SUPERVISE_REMOVE_CHILD,       /* slot; no pool */
        SUPERVISE_RESTART_CHILD,      /* slot; operator */
        SUPERVISE_STOP_CHILD,         /* slot; operator: down (held) until RESTART_CHILD, START, SCALE */
        SUPERVISE_DEFINITION_CHANGED, /* slot and what the child is now; slot 0: revision,
                        of the whole set */
        SUPERVISE_TICK,               /* the armed time has come; harmless at any other time */
        SUPERVISE_READY,              /* slot, generation, ok: a readiness probe has changed its mind */
        SUPERVISE_UNHEALTHY,          /* slot, generation: it is stopped, and its end is a failure */
        SUPERVISE_RECYCLE,            /* slot, generation: it has reached a limit; pool only */
        SUPERVISE_LOAD,               /* slot, generation, n: it has n requests (0: idle); slot 0: the pool
                                       * has work for n hundredths of a worker. Often, and not written */
        SUPERVISE_ROLL_ABORT,         /* back to the definition before; pool only. -ENOENT: no roll */
        SUPERVISE_MOVE_CHILD,         /* slot, before: its place in order, and nothing else; no pool. -EBUSY:
                                       * a group of children is coming down by order just now */
        _SUPERVISE_EVENT_MAX,
} supervise_event_type;

typedef struct supervise_event {
        supervise_event_type type;
        uint32_t slot;
        uint64_t generation;
        int32_t reason, status; /* kept for the record, not understood */
        bool normal;            /* the reason is one of normal, shutdown, exit code 0 */
        bool by_operator;       /* SCALE: a verb: passes over the backoff, clears `failed` and `held` */
        bool ok;
        uint32_t n;
        /* What a child is. */
        supervise_restart restart;
        bool significant; /* transient or temporary, and with auto_shutdown */
        nsec_t shutdown;  /* handed out with STOP: SUPERVISE_SHUTDOWN_..., or how long it may take */
        uint64_t revision;
        uint32_t before; /* ADD_CHILD, MOVE_CHILD: precedes that slot in order; 0: comes last */
} supervise_event;

#define SUPERVISE_SHUTDOWN_DEFAULT 0U /* as its definition says */
#define SUPERVISE_SHUTDOWN_BRUTAL 1U
#define SUPERVISE_SHUTDOWN_INFINITY NSEC_INFINITY

typedef enum supervise_action_type {
        SUPERVISE_ACTION_SPAWN,       /* slot, generation, revision */
        SUPERVISE_ACTION_STOP,        /* slot, generation, shutdown; its end must be reported */
        SUPERVISE_ACTION_PARKED,      /* slot: over the limit, `failed` until an operator's verb */
        SUPERVISE_ACTION_REMOVED,     /* slot: does not exist any more; its number may be given again */
        SUPERVISE_ACTION_STARTED_ALL, /* once a START: every first start has had its outcome */
        SUPERVISE_ACTION_GAVE_UP,     /* pool: every slot failed, nothing alive */
        SUPERVISE_ACTION_ESCALATE,    /* slot went over the limit with `escalate`; all are stopped */
        SUPERVISE_ACTION_START_FAILED, /* slot failed the first start of an ordered set; all are stopped */
        SUPERVISE_ACTION_SHUTDOWN,    /* auto_shutdown; all are stopped */
        SUPERVISE_ACTION_STOPPED,     /* STOP is done */
        SUPERVISE_ACTION_ARM,         /* when: the one timer of the set; NSEC_INFINITY disarms it */
        SUPERVISE_ACTION_DRAIN,       /* slot,
                        generation: no new work; LOAD 0 when it has done what it has */
        SUPERVISE_ACTION_SERVE,       /* slot, generation: the one that drained may have work again */
        SUPERVISE_ACTION_ROLL_HALTED, /* slot: it fails by the new definition, or is not ready in time; the
                                       * old ones serve. revision: that of the roll */
        SUPERVISE_ACTION_ROLL_DONE,   /* revision: all workers are of the new definition, and ready */
        SUPERVISE_ACTION_ROLL_ABORTED, /* revision: all are of the old one again, and ready or given up */
        SUPERVISE_ACTION_SCALED,      /* by load; info.n_wanted */
        SUPERVISE_ACTION_BREAKER_OPEN,   /* nobody is started until info.breaker_until */
        SUPERVISE_ACTION_BREAKER_CLOSED,
        _SUPERVISE_ACTION_MAX,
} supervise_action_type;

typedef struct supervise_action {
        supervise_action_type type;
        uint32_t slot;
        uint64_t generation, revision;
        nsec_t when, shutdown;
        bool overdue; /* ROLL_HALTED: it does not fail, but is not ready in time */
} supervise_action;

typedef enum supervise_phase {
        SUPERVISE_PHASE_DOWN,
        SUPERVISE_PHASE_UP,
        SUPERVISE_PHASE_STOPPING,
        SUPERVISE_PHASE_GIVING_UP,
        SUPERVISE_PHASE_FAILED, /* gave up or escalated; START, SCALE, RESTART_CHILD revive it */
        _SUPERVISE_PHASE_MAX,
} supervise_phase;

typedef enum supervise_roll {
        SUPERVISE_ROLL_NONE,
        SUPERVISE_ROLL_GOING,
        SUPERVISE_ROLL_HALTED, /* a new worker fails, or is not ready in time; goes on if it recovers */
        SUPERVISE_ROLL_TURNING_BACK,
        SUPERVISE_ROLL_DONE, /* the last one's verdict, these two */
        SUPERVISE_ROLL_ABORTED,
        _SUPERVISE_ROLL_MAX,
} supervise_roll;

typedef enum supervise_breaker {
        SUPERVISE_BREAKER_CLOSED,
        SUPERVISE_BREAKER_OPEN,
        SUPERVISE_BREAKER_HALF_OPEN,
        _SUPERVISE_BREAKER_MAX,
} supervise_breaker;

typedef enum supervise_slot_state {
        SUPERVISE_SLOT_UNUSED,
        SUPERVISE_SLOT_IDLE, /* not started yet, or ended and not to be restarted by its type */
        SUPERVISE_SLOT_STARTING,
        SUPERVISE_SLOT_RUNNING,
        SUPERVISE_SLOT_BACKOFF, /* SPAWN follows at `until` */
        SUPERVISE_SLOT_STOPPING,
        SUPERVISE_SLOT_FAILED,
        SUPERVISE_SLOT_HELD,
        SUPERVISE_SLOT_WAITING, /* until its turn to start comes: ordered; breaker; a third generation */
        SUPERVISE_SLOT_DRAINING, /* STOP follows when it is idle, or at `until` */
        _SUPERVISE_SLOT_STATE_MAX,
} supervise_slot_state;

typedef struct supervise_slot_info {
        supervise_slot_state state;
        supervise_restart restart;
        uint64_t generation, revision, revision_wanted; /* of the last life; of the next */
        uint64_t restarts;                              /* lives after the first */
        nsec_t since;                                   /* of the state */
        nsec_t until; /* the end of BACKOFF or DRAINING, of RUNNING by runtime_max; or NSEC_INFINITY */
        bool ended;                                     /* a life has ended: reason, status, ended_at hold */
        int32_t reason, status;
        nsec_t ended_at;
        uint32_t n_failures; /* remembered times, see supervise_failures() */
        bool significant;
        nsec_t shutdown;
        bool leaving;        /* STOPPING or DRAINING for good: surplus, or removed */
        bool ready, busy;
        uint64_t requests_max, memory_max; /* of this life, spread; 0: none */
} supervise_slot_info;

typedef struct supervise_info {
        supervise_phase phase;
        uint32_t n_wanted;                      /* pool: N. one-for-one: children that are not leaving */
        uint32_t n[_SUPERVISE_SLOT_STATE_MAX];  /* slots by state */
        uint32_t slot_max;                      /* the greatest number in use, for iteration */
        uint32_t rolling;                       /* a slot that is being replaced now, or 0 */
        uint64_t restarts;                      /* of all its slots */
        bool outdated;                          /* a replacement is under way, or halted by a failing slot */
        uint64_t revision;
        supervise_roll roll;                    /* pool; progress: count slots by their revision */
        uint64_t revision_from;                 /* of a roll: the other one */
        uint64_t revision_next;                 /* what is rolled out after it, or 0 */
        uint32_t roll_awaits;                   /* the slot whose readiness it waits for the longest, or 0 */
        nsec_t roll_until;                      /* when it is halted for that, or NSEC_INFINITY */
        bool roll_overdue;                      /* it is: roll_awaits is not ready, and does not fail */
        supervise_breaker breaker;
        nsec_t breaker_until;
        uint32_t breaker_probe;                 /* HALF_OPEN: the slot that is tried, or 0 */
        uint32_t culprit;                       /* of ESCALATE, START_FAILED */
        uint64_t life;                          /* the generation of the last START */
        nsec_t due;                             /* what the timer must be armed to */
} supervise_info;

typedef struct supervise supervise;

/* -EINVAL: a policy that contradicts itself. seed: of the jitter. n: workers of a pool, 0 for one-for-
 * one. */
int supervise_new(const supervise_policy *policy, uint32_t n, uint64_t revision, uint64_t seed,
                  supervise **ret);
supervise *supervise_free(supervise *s);
DEFINE_CLEANUP(supervise *, supervise_free)

/* A `now` before the last one counts as the last one. Errors change nothing: -ENOMEM (SCALE, ADD_CHILD),
 * -EINVAL, -EOPNOTSUPP (not with this strategy), -ENOENT (no such slot, or it is leaving), -ESTALE (a
 * report of another life), -ESHUTDOWN (the set is down or stopping), -EBUSY (too many actions left
 * unpulled). */
int supervise_handle(supervise *s, const supervise_event *e, nsec_t now);
/* In the order in which they are to be carried out; more events may be handled in between. */
bool supervise_next_action(supervise *s, supervise_action *ret);

/* The strategy cannot change (-EINVAL). Times already remembered are kept as far as the new limit
 * reaches. A TICK should follow: what is waited for may be due by the new policy. */
int supervise_set_policy(supervise *s, const supervise_policy *policy);
const supervise_policy *supervise_get_policy(const supervise *s);

void supervise_get_info(const supervise *s, supervise_info *ret);
int supervise_get_slot(const supervise *s, uint32_t slot, supervise_slot_info *ret);
/* Children in their order: the one after `slot`, the first for 0; 0 at the end. */
uint32_t supervise_next_child(const supervise *s, uint32_t slot);
/* The newest first, at most max; returns how many. */
size_t supervise_failures(const supervise *s, uint32_t slot, nsec_t *ret, size_t max);

/* Trees: what a set that is the child in `slot` of another says of itself, as that one's event; false:
 * nothing. See the head of this file. */
bool supervise_to_parent(const supervise_action *action, uint32_t slot, supervise_event *ret);

/* Keeping it: see the head of this file. next_dirty: what has changed since it was last asked, each once:
 * 0 for the head, else a slot. mark_all: everything is to be written again (the journal is new, or the
 * last commit failed). */
#define SUPERVISE_ENCODED_MAX 8448U
bool supervise_is_dirty(const supervise *s);
bool supervise_next_dirty(supervise *s, uint32_t *ret_slot);
void supervise_mark_all(supervise *s);
/* The length, or -ENOBUFS; at most SUPERVISE_ENCODED_MAX. slot: 0 if there is no such slot (any more). */
int supervise_encode_head(const supervise *s, uint8_t *buffer, size_t size);
int supervise_encode_slot(const supervise *s, uint32_t slot, uint8_t *buffer, size_t size);
/* These believe nothing: -EBADMSG, -EPROTONOSUPPORT (a newer version), -ENOMEM; then supervise_free().
 * finish checks the set as a whole; before it nothing else may be done with the set. */
int supervise_decode_begin(const uint8_t *head, size_t size, supervise **ret);
int supervise_decode_slot(supervise *s, uint32_t slot, const uint8_t *data, size_t size);
int supervise_decode_finish(supervise *s);
void supervise_resume(supervise *s);
