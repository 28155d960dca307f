/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The glue between what happens and what src/supervise decides: events go in, actions come out and are
 * carried out. One place for the implicit root monitor and for pools alike. Called with whatever happens, by
 * child.c and tree.c above all. Must never decide. */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/deaths.h"
#include "arbiter/internal.h"
#include "basic/time-util.h"

enum { BACKOFF_TOLD_USEC = 1000 * 1000 }; /* shorter waits are for those who debug */

/* So many starts take tens of milliseconds; then it is somebody else's turn of the loop, so that an arbiter
 * that starts thousands of workers answers, and feeds its watchdog. */
#define SPAWNS_A_TURN 32

static void on_rest(arbiter_actor *a, struct actor_timer *t);

static void on_timer(arbiter_actor *a, struct actor_timer *t) {
        struct set *s = CONTAINER_OF(t, struct set, timer);

        (void) set_handle(s, &(supervise_event){ .type = SUPERVISE_TICK });
}

int set_init(struct set *s, arbiter *a, arbiter_monitor *m, const supervise_policy *policy, uint32_t n) {
        *s = (struct set){ .arbiter = a,
                .monitor = m,
                .timer = ACTOR_TIMER_INIT(on_timer),
                .rest.timer = ACTOR_TIMER_INIT(on_rest) };
        list_init(&s->marked);
        state_mark_arbiter(a);
        return supervise_new(policy, n, 1, ++a->seed, &s->supervise);
}

void set_done(struct set *s) {
        list_remove(&s->marked);
        for (uint32_t i = 1; i < s->n_slots; i++) {
                arbiter_spawn_unref(s->slots[i].spawn);
                arbiter_future_unref(s->slots[i].future);
        }
        free(s->slots);
        s->slots = NULL;
        s->n_slots = 0;
        if (s->arbiter && s->arbiter->actor) {
                actor_timer_clear(s->arbiter->actor, &s->timer);
                actor_timer_clear(s->arbiter->actor, &s->rest.timer);
        }
        free(s->rest.actions);
        s->rest.actions = NULL;
        s->rest.first = s->rest.n = s->rest.size = 0;
        s->supervise = supervise_free(s->supervise);
}

int set_reserve(struct set *s, uint32_t slot) {
        struct set_slot *slots;
        uint32_t n;

        if (slot == 0 || slot > SUPERVISE_SLOTS_MAX)
                return -ENOENT;
        if (slot < s->n_slots)
                return 0;
        n = MAX(slot + 1, s->n_slots + s->n_slots / 2);
        slots = reallocarray(s->slots, n, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        memset(slots + s->n_slots, 0, (n - s->n_slots) * sizeof(*slots));
        s->slots = slots;
        s->n_slots = n;
        return 0;
}

uint32_t root_find_slot(const arbiter *a, const char *name) {
        const struct set *s = &a->root;

        for (uint32_t i = 1; i < s->n_slots; i++)
                if (s->slots[i].spawn && streq(s->slots[i].spawn->name, name))
                        return i;
        return 0;
}

int slot_name(const struct set *s, uint32_t slot, char ret[static QUALIFIED_NAME_SIZE]) {
        const arbiter_spawn *spawn = slot < s->n_slots ? s->slots[slot].spawn : NULL;

        const struct tree_child *k = slot < s->n_slots ? s->slots[slot].tree : NULL;
        bool pool = s->monitor && monitor_is_pool(s->monitor);

        if (pool)
                (void) snprintf(ret, QUALIFIED_NAME_SIZE, "%s.%u", s->monitor->name, slot);
        else
                (void) snprintf(ret, QUALIFIED_NAME_SIZE, "%s",
                                k           ? tree_child_name(k)
                                    : spawn ? spawn->name
                                            : "?");
        return pool || k || spawn ? 0 : -ENOENT;
}

/* After the end of a life. */
static void tell_backoff(struct set *s, uint32_t slot) {
        char name[QUALIFIED_NAME_SIZE], wait[TIMESPAN_STRING_MAX];
        supervise_slot_info i;
        nsec_t now = now_nsec();
        arbiter_log_entry e = { .event = "backoff", .name = name };

        if (supervise_get_slot(s->supervise, slot, &i) < 0 || i.state != SUPERVISE_SLOT_BACKOFF ||
                        i.until <= now || i.until == NSEC_INFINITY)
                return;
        (void) slot_name(s, slot, name);
        e.monitor = s->monitor ? s->monitor->name : NULL;
        e.usec = (i.until - now) / NSEC_PER_USEC;
        e.level = e.usec >= BACKOFF_TOLD_USEC ? LOG_INFO : LOG_DEBUG;
        e.n = i.n_failures;
        arbiter_log_facts(s->arbiter, NULL, &e, "%s is started again in %s", name,
                        format_timespan_rounded(wait, sizeof(wait), e.usec));
}

static void tell_parked(struct set *s, uint32_t slot) {
        const supervise_policy *p = supervise_get_policy(s->supervise);
        char name[QUALIFIED_NAME_SIZE];

        (void) slot_name(s, slot, name);
        arbiter_log_facts(s->arbiter, NULL,
                        &(arbiter_log_entry){ .level = LOG_ERR,
                                        .event = "gave-up",
                                        .name = name,
                                        .monitor = s->monitor ? s->monitor->name : NULL,
                                        .n = p->intensity,
                                        .usec = p->period == NSEC_INFINITY ? USEC_INFINITY
                                                                           : p->period / NSEC_PER_USEC },
                        "%s is given up: it failed too often", name);
}

static void report_start_failed(struct set *s, const supervise_action *action, arbiter_reason reason) {
        (void) supervise_handle(s->supervise,
                        &(supervise_event){
                                        .type = SUPERVISE_START_FAILED,
                                        .slot = action->slot,
                                        .generation = action->generation,
                                        .reason = (int32_t) reason,
                        },
                        now_nsec());
        tell_backoff(s, action->slot);
}

static void spawn_failed(struct set *s, const supervise_action *action, struct child *c, int error,
                const char *name) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = TAKE_PTR(s->slots[action->slot].future);
        const char *text = c && c->failure ? c->failure : strerror(-error);

        arbiter_log(s->arbiter, LOG_ERR, c, "start-failed", "%s: %s", name, text);
        if (c && c->future)
                f = c->future ? (arbiter_future_unref(f), TAKE_PTR(c->future)) : f;
        if (f) {
                f->reason = ARBITER_REASON_HANDSHAKE;
                future_fail(f, ARBITER_OUTCOME_CALLEE_DIED, "'%s' did not start: %s", name, text);
        }
        if (c) {
                control_record_death(c, ARBITER_REASON_HANDSHAKE, -error);
                control_actor_gone(c, ARBITER_REASON_HANDSHAKE, -error);
                host_thread_gone(c);
                broker_unpark(c, ARBITER_OUTCOME_NOPROC);
                child_free(c);
        }
        report_start_failed(s, action, ARBITER_REASON_HANDSHAKE);
}

static void act_spawn(struct set *s, const supervise_action *action) {
        char name[QUALIFIED_NAME_SIZE];
        struct child *c = NULL;
        struct set_slot *slot;
        arbiter_spawn *spawn;
        int r;

        if (tree_spawn(s, action))
                return;
        if (set_reserve(s, action->slot) < 0) {
                report_start_failed(s, action, ARBITER_REASON_UNKNOWN);
                return;
        }
        slot = &s->slots[action->slot];
        if (slot->child && slot->child->set_generation == action->generation)
                return; /* it lives, or is about to end: an arbiter before us has started it */
        spawn = slot->spawn ? slot->spawn : roll_definition(s->monitor, action->revision);
        (void) slot_name(s, action->slot, name);
        r = child_new(s->arbiter, spawn, name, &slot->wanted_aid, &c);
        if (!aid_is_null(&slot->wanted_aid)) {
                slot->wanted_aid = (aid){}; /* one life only */
                state_put_place(s, action->slot);
        }
        if (r < 0) {
                spawn_failed(s, action, NULL, r, name);
                return;
        }
        c->set = s;
        c->slot = action->slot;
        c->set_generation = action->generation;
        c->spawner = slot->spawner;
        if (!aid_is_null(&c->spawner)) { /* an orphan of a spawner does not begin with a fresh burst */
                c->spawn_tokens = 0;
                c->spawn_tokens_usec = c->created_usec;
                commands_charge(c);
        }
        c->future = TAKE_PTR(slot->future);
        if (c->future) {
                c->future->spawn_aid = c->aid;
                c->future->spawn_aid_string = c->aid_string;
        }
        slot->child = c;
        r = c->future ? arbiter_proxy_new(c->aid_string.s, c->name, c->generation, &c->proxy) : 0;
        if (r >= 0)
                r = child_start(c);
        if (r < 0) {
                s->slots[action->slot].child = NULL;
                spawn_failed(s, action, c, r, name);
        }
}

static void act_stop(struct set *s, const supervise_action *action) {
        struct child *c = action->slot < s->n_slots ? s->slots[action->slot].child : NULL;

        if (!tree_stop(s, action) && c && c->set_generation == action->generation)
                child_shut_down(c, action->shutdown);
}

void set_slot_settle(struct set *s, uint32_t slot, const char *why) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;

        if (slot >= s->n_slots)
                return;
        f = TAKE_PTR(s->slots[slot].future);
        if (f)
                future_fail(f, ARBITER_OUTCOME_CANCELLED, "%s", why);
}

/* All are down, by a stop or by themselves: nobody's turn to start comes any more. */
static void settle_all(struct set *s) {
        static const char why[] = "everything was stopped before it was started";

        for (uint32_t i = 1; i < s->n_slots; i++) {
                const struct tree_child *k = s->slots[i].tree;
                _cleanup_(arbiter_future_unrefp) arbiter_future *f =
                                k && k->monitor ? TAKE_PTR(k->monitor->start_future) : NULL;

                set_slot_settle(s, i, why);
                if (f)
                        future_fail(f, ARBITER_OUTCOME_CANCELLED, "%s", why);
        }
}

static void forget_slot(struct set *s, uint32_t slot) {
        char name[QUALIFIED_NAME_SIZE];

        if (slot >= s->n_slots)
                return;
        if (slot_name(s, slot, name) >= 0) {
                deaths_forget(s->arbiter->deaths, name);
                arbiter_log_facts(s->arbiter, NULL,
                                &(arbiter_log_entry){ .level = LOG_DEBUG,
                                                .event = "removed",
                                                .name = name,
                                                .monitor = s->monitor ? s->monitor->name : NULL,
                                                .n = slot },
                                "The place of %s is gone", name);
        }
        if ((s->slots[slot].spawn || s->slots[slot].tree) && !s->slots[slot].transient &&
                        !s->slots[slot].removed && s->arbiter->actor->state < ARBITER_STATE_STOPPING)
                state_mark_rest(s->arbiter, name, !s->slots[slot].spawn, true);
        state_forget_place(s, slot);
        s->slots[slot].spawn = arbiter_spawn_unref(s->slots[slot].spawn);
        set_slot_settle(s, slot, "it was removed before it was started");
        tree_forget_slot(s, slot);
        s->slots[slot] = (struct set_slot){};
}

/* It was to go down with an arbiter that was told to stop; this one was told to run. */
static bool revive(struct set *s) {
        if (!TAKE_GENERIC(s->revive, bool, false) || s->arbiter->actor->state >= ARBITER_STATE_STOPPING ||
                        (s->monitor && s->monitor->stopping))
                return false;
        if (s->monitor)
                tree_renew(s->monitor);
        return set_handle(s, &(supervise_event){ .type = SUPERVISE_START }) >= 0;
}

static void act(struct set *s, const supervise_action *action) {
        switch (action->type) {
        case SUPERVISE_ACTION_SPAWN:
                act_spawn(s, action);
                break;
        case SUPERVISE_ACTION_STOP:
                act_stop(s, action);
                break;
        case SUPERVISE_ACTION_DRAIN:
        case SUPERVISE_ACTION_SERVE:
                load_acted(s, action);
                break;
        case SUPERVISE_ACTION_ARM:
                if (s->monitor && !s->monitor->arbiter)
                        break; /* it has just gone */
                (void) actor_timer_set(s->arbiter->actor, &s->timer,
                                action->when == NSEC_INFINITY ? USEC_INFINITY
                                                              : action->when / NSEC_PER_USEC + 1);
                break;
        case SUPERVISE_ACTION_PARKED:
                tell_parked(s, action->slot);
                break;
        case SUPERVISE_ACTION_REMOVED:
                forget_slot(s, action->slot);
                break;
        case SUPERVISE_ACTION_ESCALATE:
        case SUPERVISE_ACTION_START_FAILED:
        case SUPERVISE_ACTION_SHUTDOWN:
                settle_all(s);
                break;
        case SUPERVISE_ACTION_STOPPED:
                settle_all(s);
                if (revive(s))
                        return;
                break;
        default:
                break;
        }
        if (s->monitor)
                monitor_acted(s->monitor, action);
        else if (action->type == SUPERVISE_ACTION_STOPPED)
                arbiter_set_ended(s->arbiter, s);
}

/* An arbiter that stops comes to its sets one after the other. What ends before its turn, by itself or with
 * the machine, is not replaced: it is held as if somebody had stopped it, and nothing is tried again. */
static int decide(struct set *s, const supervise_event *e) {
        bool is_end = e->type == SUPERVISE_EXITED || e->type == SUPERVISE_START_FAILED;

        if (s->arbiter->actor->state == ARBITER_STATE_STOPPING) {
                if (e->type == SUPERVISE_TICK)
                        return 0;
                if (is_end)
                        (void) supervise_handle(s->supervise,
                                        &(supervise_event){ .type = SUPERVISE_STOP_CHILD, .slot = e->slot },
                                        now_nsec());
        }
        return supervise_handle(s->supervise, e, now_nsec());
}

static int put_off(struct set *s, const supervise_action *action) {
        struct set_rest *rest = &s->rest;
        supervise_action *actions;
        int r;

        if (rest->first + rest->n == rest->size) {
                if (rest->n > 0 && rest->first > 0)
                        memmove(rest->actions, rest->actions + rest->first, rest->n * sizeof(*actions));
                rest->first = 0;
        }
        if (rest->n == rest->size) {
                actions = reallocarray(rest->actions, MAX(rest->size * 2, (size_t) 64), sizeof(*actions));
                if (!actions)
                        return -ENOMEM;
                rest->actions = actions;
                rest->size = MAX(rest->size * 2, (size_t) 64);
        }
        if (rest->n == 0) {
                r = actor_timer_set(s->arbiter->actor, &rest->timer, now_usec());
                if (r < 0)
                        return r;
        }
        rest->actions[rest->first + rest->n++] = *action;
        return 0;
}

/* It was put off, and by now it is to stop: it has never been. */
static bool end_unborn(struct set *s, const supervise_action *action) {
        supervise_slot_info i;

        if (action->type != SUPERVISE_ACTION_SPAWN ||
                        supervise_get_slot(s->supervise, action->slot, &i) < 0 ||
                        i.generation != action->generation ||
                        (i.state != SUPERVISE_SLOT_STOPPING &&
                                        s->arbiter->actor->state != ARBITER_STATE_STOPPING))
                return false;
        set_slot_settle(s, action->slot, "it was stopped before it was started");
        (void) decide(s,
                        &(supervise_event){ .type = SUPERVISE_EXITED,
                                        .slot = action->slot,
                                        .generation = action->generation,
                                        .reason = ARBITER_REASON_SHUTDOWN,
                                        .normal = true });
        return true;
}

static void act_rest(struct set *s, size_t max_spawns) {
        struct set_rest *rest = &s->rest;

        while (rest->n > 0 && max_spawns > 0) {
                supervise_action action = rest->actions[rest->first++];

                rest->n--;
                if (end_unborn(s, &action))
                        continue;
                if (action.type == SUPERVISE_ACTION_SPAWN)
                        max_spawns--;
                act(s, &action);
        }
}

static void act_all(struct set *s) {
        supervise_action action;
        size_t n_spawned = 0;

        while (s->supervise && supervise_next_action(s->supervise, &action)) {
                bool late = s->rest.n > 0 || (s->monitor && action.type == SUPERVISE_ACTION_SPAWN &&
                                                             n_spawned++ >= SPAWNS_A_TURN);

                if (late && put_off(s, &action) >= 0)
                        continue;
                act_rest(s, SIZE_MAX); /* no memory: all of it now, and in order */
                act(s, &action);
        }
}

static void carry_out(struct set *s, size_t max_late) {
        arbiter *a = arbiter_ref(s->arbiter);

        s->acting = true;
        if (s->monitor)
                arbiter_monitor_ref(s->monitor);
        state_commit(a); /* what is decided, before it is done */
        act_rest(s, max_late);
        if (s->rest.n > 0 && actor_timer_set(a->actor, &s->rest.timer, now_usec()) < 0)
                act_rest(s, SIZE_MAX);
        act_all(s);
        s->acting = false;
        routes_reconsider(a);
        if (!s->monitor || s->monitor->arbiter)
                status_count_set(s);
        if (s->monitor) {
                monitor_changed(s->monitor);
                arbiter_monitor_unref(s->monitor);
        }
        arbiter_unref(a);
}

static void on_rest(arbiter_actor *a, struct actor_timer *t) {
        carry_out(CONTAINER_OF(t, struct set, rest.timer), SPAWNS_A_TURN);
}

void set_resume(struct set *s) {
        for (uint32_t i = 1; i < s->n_slots; i++)
                if (s->slots[i].child)
                        load_serve(s->slots[i].child, true);
        supervise_resume(s->supervise);
        if (!s->acting)
                carry_out(s, 0);
}

int set_handle(struct set *s, const supervise_event *e) {
        int r;

        r = decide(s, e);
        if (e->type != SUPERVISE_LOAD || supervise_is_dirty(s->supervise)) /* it comes often */
                state_mark_set(s);
        if (r >= 0 && (e->type == SUPERVISE_EXITED || e->type == SUPERVISE_START_FAILED))
                tell_backoff(s, e->slot);
        if (s->acting)
                return r; /* the loop further up the stack carries it out, in order */
        carry_out(s, 0);
        return r;
}

int set_add_child(struct set *s, const supervise_event *e) {
        bool acting = s->acting;
        supervise_info info;
        int r;

        supervise_get_info(s->supervise, &info);
        r = set_reserve(s, info.slot_max + 1);
        if (r < 0)
                return r;
        s->acting = true;
        r = set_handle(s, e);
        s->acting = acting;
        return r == 0 ? -EIO : r;
}
