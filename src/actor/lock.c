/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Named locks, from the holder's side; include/arbiter/lock.h has the rules. The arbiter gives them
 * (src/arbiter/locks.c). Whatever it gives is either known here as held, or given back at once. Called by
 * the program, and by dispatch.c and control.c with what the arbiter says. */

#include <stdio.h>

#include "actor/call.h"
#include "actor/group.h"

struct held_lock {
        struct list_node locks;
        uint64_t number;
        usec_t until;
        char name[LABEL_MAX + 1];
};

/* Asked for. The record is there before, so that a lock is not had for nothing. */
struct lock_request {
        arbiter_future *future;
        struct held_lock *lock;
};

static struct held_lock *find_lock(arbiter_actor *a, const char *name) {
        LIST_FOREACH(l, &a->locks, struct held_lock, locks)
                if (streq(l->name, name))
                        return l;
        return NULL;
}

static void forget(struct held_lock *l) {
        list_remove(&l->locks);
        free(l);
}

static void resolve(arbiter_future *f, uint64_t number) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;

        if (arbiter_message_new(&m) < 0 || arbiter_message_append(m, "t", number) < 0 || message_seal(m) < 0)
                future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
        else
                future_resolve(f, ARBITER_OUTCOME_REPLY, TAKE_PTR(m));
}

static void on_lock(arbiter_future *answer, void *userdata) {
        struct lock_request *q = userdata;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = q->future;
        _cleanup_free_ struct held_lock *l = q->lock;
        arbiter_actor *a = answer->actor;

        free(q);
        if (answer->outcome != ARBITER_OUTCOME_REPLY) {
                future_resolve(f, answer->outcome, arbiter_message_ref(answer->reply));
                return;
        }
        if (!a || arbiter_future_get(answer, "tt", &l->number, &l->until) <= 0) {
                future_fail(f, ARBITER_OUTCOME_NO_CONNECTION, "the arbiter's answer makes no sense");
                return;
        }
        if (!f->pending) { /* cancelled meanwhile */
                (void) actor_cast_arbiter(a, "unlock", "st", l->name, l->number);
                return;
        }
        resolve(f, l->number);
        list_append(&a->locks, &TAKE_PTR(l)->locks);
}

static int lock(arbiter_actor *a, const char *name, usec_t hold, usec_t patience, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL, *answer = NULL;
        _cleanup_free_ struct lock_request *q = calloc(1, sizeof(*q));
        _cleanup_free_ struct held_lock *l = calloc(1, sizeof(*l));
        int r;

        if (!a || !name || !ret || !label_is_valid(name))
                return -EINVAL;
        if (!q || !l)
                return -ENOMEM;
        (void) snprintf(l->name, sizeof(l->name), "%s", name);
        r = future_new(a, &f);
        if (r < 0)
                return r;
        r = actor_request_arbiter(a, &answer, "lock", UINT64_MAX, "stt", name, hold, patience);
        if (r < 0)
                return r;
        *q = (struct lock_request){ .future = arbiter_future_ref(f), .lock = l };
        r = future_then_now(answer, on_lock, q);
        if (r < 0) {
                arbiter_future_unref(f);
                (void) arbiter_future_cancel(answer);
                return r;
        }
        q = NULL;
        l = NULL;
        *ret = TAKE_PTR(f);
        return 0;
}

_public_ int arbiter_actor_lock(arbiter_actor *a, const char *name, uint64_t hold_usec, uint64_t wait_usec,
                arbiter_future **ret) {
        return lock(a, name, hold_usec > 0 ? hold_usec : UINT64_MAX,
                        wait_usec > 0 ? wait_usec : (usec_t) CALL_TIMEOUT_DEFAULT_USEC, ret);
}

_public_ int arbiter_actor_try_lock(
                arbiter_actor *a, const char *name, uint64_t hold_usec, arbiter_future **ret) {
        return lock(a, name, hold_usec > 0 ? hold_usec : UINT64_MAX, 0, ret);
}

_public_ int arbiter_actor_unlock(arbiter_actor *a, const char *name) {
        struct held_lock *l;
        int r;

        if (!a || !name)
                return -EINVAL;
        l = find_lock(a, name);
        if (!l)
                return -ENOENT;
        r = actor_cast_arbiter(a, "unlock", "st", l->name, l->number);
        if (r >= 0)
                forget(l);
        return r;
}

_public_ bool arbiter_actor_holds_lock(arbiter_actor *a, const char *name) {
        const struct held_lock *l = a && name ? find_lock(a, name) : NULL;

        return l && now_usec() < l->until;
}

_public_ int arbiter_actor_set_lock_lost_handler(
                arbiter_actor *a, arbiter_lock_lost_handler_t handler, void *userdata) {
        if (!a)
                return -EINVAL;
        a->lock_lost_handler = handler;
        a->lock_lost_userdata = userdata;
        return 0;
}

void lock_handle_ended(arbiter_actor *a, arbiter_message *m) {
        arbiter_actor *previous;
        char copy[LABEL_MAX + 1];
        struct held_lock *l;
        const char *name;
        uint64_t number;

        if (arbiter_message_read(m, "st", &name, &number) <= 0)
                return;
        l = find_lock(a, name);
        if (!l || l->number != number)
                return;
        forget(l);
        if (!a->lock_lost_handler)
                return;
        (void) snprintf(copy, sizeof(copy), "%s", name);
        actor_enter(a, &previous);
        a->lock_lost_handler(a, copy, a->lock_lost_userdata);
        actor_leave(a, previous);
}

int locks_tell(arbiter_actor *a) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_open_container(m, 'a', "(stt)");
        LIST_FOREACH(l, &a->locks, struct held_lock, locks)
                if (r >= 0)
                        r = arbiter_message_append(m, "(stt)", l->name, l->number, l->until);
        if (r >= 0)
                r = arbiter_message_close_container(m);
        if (r >= 0)
                r = message_seal(m);
        return r < 0 ? r : actor_send_system(a, &AID_ARBITER, "locks", m, 0, NULL);
}

void locks_done(arbiter_actor *a) {
        struct held_lock *l;

        while ((l = LIST_FIRST(&a->locks, struct held_lock, locks)))
                forget(l);
}
