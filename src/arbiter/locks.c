/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Named locks: pulsar's, held at the arbiter. A lock has one holder, who has it until he gives it back,
 * until the time that he has asked for is over, or until his death, whichever is first; who waits for it has
 * it in the order of asking. Each holding has a number, greater than those before it (a fencing token), by
 * which it is given back: a late word of a former holder is nobody's. Commands of actors. */

#include <stdio.h>

#include "arbiter/internal.h"

struct lock {
        arbiter *arbiter;
        struct member *holder; /* NULL: it is about to go */
        struct list_node of_member;
        uint64_t number;
        struct actor_timer end_timer; /* of the holding */
        struct list_node waits;
        char name[];
};

struct wait {
        struct list_node of_lock, of_member;
        struct lock *lock;
        struct member *member;
        arbiter_message *message;
        usec_t hold_usec;
        struct actor_timer end_timer; /* of the patience */
};

static void give_to_next(struct lock *l);

static void lock_free(struct lock *l) {
        list_remove(&l->of_member);
        actor_timer_release(l->arbiter->actor, &l->end_timer);
        map_remove_string(l->arbiter->locks, l->name);
        free(l);
}

static void take_from_holder(struct lock *l) {
        if (!l->holder)
                return;
        l->holder->n_locks--;
        list_remove(&l->of_member);
        actor_timer_clear(l->arbiter->actor, &l->end_timer);
        l->holder = NULL;
}

static void tell_ended(const struct member *m, const char *name, uint64_t number) {
        struct peer *p = member_peer(m);

        if (p)
                (void) actor_signal_peer(p, ENVELOPE_SYSTEM, "lock-ended", "st", name, number);
}

/* The time that he asked for is over: it is somebody else's now, whatever he thinks. */
static void on_holding_ended(arbiter_actor *a, struct actor_timer *t) {
        struct lock *l = CONTAINER_OF(t, struct lock, end_timer);

        tell_ended(l->holder, l->name, l->number);
        take_from_holder(l);
        give_to_next(l);
}

static int lock_new(arbiter *a, const char *name, struct lock **ret) {
        size_t size = strlen(name) + 1;
        struct lock *l = calloc(1, sizeof(*l) + size);
        int r;

        if (!l)
                return -ENOMEM;
        memcpy(l->name, name, size);
        l->arbiter = a;
        list_init(&l->waits);
        list_init(&l->of_member);
        l->end_timer = ACTOR_TIMER_INIT(on_holding_ended);
        r = actor_timer_reserve(a->actor, &l->end_timer);
        if (r >= 0)
                r = map_put_string(a->locks, name, l);
        if (r < 0) {
                actor_timer_release(a->actor, &l->end_timer);
                free(l);
                return r;
        }
        *ret = l;
        return 0;
}

static void give(struct lock *l, struct member *m, uint64_t number, usec_t until) {
        l->holder = m;
        l->number = number;
        m->n_locks++;
        list_append(&m->locks, &l->of_member);
        if (until != USEC_INFINITY)
                (void) actor_timer_set(l->arbiter->actor, &l->end_timer, until);
}

static void grant(struct lock *l, struct member *m, arbiter_message *message, usec_t hold) {
        usec_t until = hold == USEC_INFINITY ? USEC_INFINITY : time_add(now_usec(), hold);

        give(l, m, ++l->arbiter->lock_counter, until);
        (void) arbiter_message_reply(message, "tt", l->number, until);
}

static arbiter_message *wait_free(struct wait *w) {
        arbiter_message *m = w->message;

        w->member->n_locks--;
        list_remove(&w->of_lock);
        list_remove(&w->of_member);
        actor_timer_release(w->lock->arbiter->actor, &w->end_timer);
        free(w);
        return m;
}

static void give_to_next(struct lock *l) {
        struct wait *w;

        while ((w = LIST_FIRST(&l->waits, struct wait, of_lock))) {
                struct member *m = w->member;
                usec_t hold = w->hold_usec;
                _cleanup_(arbiter_message_unrefp) arbiter_message *message = wait_free(w);

                if (arbiter_message_is_cancelled(message))
                        continue;
                grant(l, m, message, hold);
                return;
        }
        lock_free(l);
}

static void refuse(const struct lock *l, arbiter_message *m) {
        char text[LABEL_MAX + QUALIFIED_NAME_SIZE + 64];

        (void) snprintf(text, sizeof(text), "'%s' is held by %s", l->name,
                        l->holder ? member_name(l->holder) : "another actor");
        (void) arbiter_message_reply_error(m, "io.arbiter.Arbiter1.Error.Locked", text);
}

static void on_patience_ended(arbiter_actor *a, struct actor_timer *t) {
        struct wait *w = CONTAINER_OF(t, struct wait, end_timer);
        struct lock *l = w->lock;
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = wait_free(w);

        refuse(l, m);
}

static int wait_for(struct lock *l, struct member *m, arbiter_message *message, usec_t hold,
                usec_t patience) {
        struct wait *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (struct wait){ .lock = l,
                .member = m,
                .hold_usec = hold,
                .end_timer = ACTOR_TIMER_INIT(on_patience_ended) };
        r = actor_timer_reserve(l->arbiter->actor, &w->end_timer);
        if (r < 0) {
                free(w);
                return r;
        }
        w->message = arbiter_message_ref(message);
        m->n_locks++;
        list_append(&l->waits, &w->of_lock);
        list_append(&m->waits, &w->of_member);
        if (patience != USEC_INFINITY)
                (void) actor_timer_set(l->arbiter->actor, &w->end_timer, time_add(now_usec(), patience));
        return 0;
}

/* lock (s name, t hold, t patience) -> t number, t until */
int locks_lock(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct member *member = member_of(m);
        usec_t hold, patience;
        const char *name;
        struct lock *l;
        int r;

        if (!member)
                return -ESRCH;
        if (member_park(member->arbiter, m, locks_lock))
                return 0;
        r = arbiter_message_read(m, "stt", &name, &hold, &patience);
        if (r < 0)
                return r;
        if (!member_check_label(m, name, "lock"))
                return 0;
        if (member->n_locks >= MEMBER_LOCKS_MAX) {
                incoming_refuse(m->context, ARBITER_OUTCOME_OVERLOAD,
                                "%s holds, or waits for, too many locks already", member_name(member));
                return 0;
        }
        l = map_get_string(member->arbiter->locks, name);
        if (l && patience == 0) {
                refuse(l, m);
                return 0;
        }
        if (l)
                return wait_for(l, member, m, hold, patience);
        r = lock_new(member->arbiter, name, &l);
        if (r >= 0)
                grant(l, member, m, hold);
        return r;
}

int locks_unlock(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct member *member = member_of(m);
        const char *name;
        uint64_t number;
        struct lock *l;
        int r;

        if (!member)
                return -ESRCH;
        r = arbiter_message_read(m, "st", &name, &number);
        if (r < 0)
                return r;
        l = map_get_string(member->arbiter->locks, name);
        if (!l || l->holder != member || l->number != number)
                return 0;
        take_from_holder(l);
        give_to_next(l);
        return 0;
}

static int take_over(struct member *m, const char *name, uint64_t number, usec_t until) {
        struct lock *l = map_get_string(m->arbiter->locks, name);
        int r;

        if (l || !label_is_valid(name) || m->n_locks >= MEMBER_LOCKS_MAX ||
                        number > m->arbiter->lock_counter) {
                tell_ended(m, name, number);
                return 0;
        }
        r = lock_new(m->arbiter, name, &l);
        if (r >= 0)
                give(l, m, number, until);
        return r;
}

/* What an actor holds by the word of an arbiter that has died; the last thing that it tells. It is believed
 * unless somebody else has it. */
int locks_held(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct member *member = member_of(m);
        uint64_t number, until;
        const char *name;
        int r;

        if (!member || !member->untold)
                return -ESRCH;
        r = arbiter_message_enter_container(m, 'a', "(stt)");
        while (r >= 0 && (r = arbiter_message_read(m, "(stt)", &name, &number, &until)) > 0)
                r = take_over(member, name, number, until);
        member_told(member);
        return r;
}

void locks_member_gone(struct member *m) {
        struct lock *l;
        struct wait *w;

        while ((w = LIST_FIRST(&m->waits, struct wait, of_member)))
                arbiter_message_unref(wait_free(w));
        while ((l = LIST_FIRST(&m->locks, struct lock, of_member))) {
                take_from_holder(l);
                give_to_next(l);
        }
}
