/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See member.h. Called by groups.c, locks.c, child.c and relink.c. */

#include "arbiter/internal.h"

enum { TELL_USEC = 5 * 1000 * 1000 }; /* who has not told by then is not waited for any longer */

struct parked {
        struct list_node parked;
        arbiter_message *message;
        member_handler handler;
};

void member_init(struct member *m, arbiter *a, struct child *c) {
        *m = (struct member){ .arbiter = a, .child = c };
        list_init(&m->joins);
        list_init(&m->watches);
        list_init(&m->locks);
        list_init(&m->waits);
        list_init(&m->pools);
}

struct member *member_of(arbiter_message *m) {
        struct peer *p = message_get_peer(m);

        if (!p)
                return NULL;
        if (p->self) /* the arbiter's own actor */
                return &p->actor->arbiter->own_member;
        return p->userdata ? &((struct child *) p->userdata)->member : NULL;
}

struct peer *member_peer(const struct member *m) {
        arbiter_actor *a = m->arbiter->actor;

        return m->child ? m->child->peer : peer_find(a, &a->aid);
}

const char *member_aid(const struct member *m) {
        return m->child ? m->child->aid_string.s : m->arbiter->actor->aid_string.s;
}

const char *member_name(const struct member *m) {
        return m->child ? m->child->name : m->arbiter->actor->name;
}

bool member_check_label(arbiter_message *m, const char *label, const char *what) {
        if (label_is_valid(label))
                return true;
        incoming_refuse(m->context, ARBITER_OUTCOME_BAD_ARGUMENTS,
                        "a %s has a name of 1 to 255 printable characters of ASCII without blanks", what);
        return false;
}

void members_on_timer(arbiter_actor *actor, struct actor_timer *t) {
        arbiter *a = CONTAINER_OF(t, arbiter, parked_timer);
        struct parked *p;

        a->n_untold = 0; /* who has not told by now is late */
        while ((p = LIST_FIRST(&a->parked, struct parked, parked))) {
                _cleanup_(arbiter_message_unrefp) arbiter_message *m = p->message;
                int r;

                list_remove(&p->parked);
                r = arbiter_message_rewind(m, true);
                if (r >= 0)
                        r = p->handler(actor, m, NULL);
                if (r < 0)
                        (void) arbiter_message_reply_errno(m, r);
                free(p);
        }
}

bool member_park(arbiter *a, arbiter_message *m, member_handler handler) {
        struct parked *p;

        if (a->n_untold == 0)
                return false;
        p = calloc(1, sizeof(*p));
        if (!p)
                return false; /* early is better than never */
        if (list_is_empty(&a->parked) &&
                        actor_timer_set(a->actor, &a->parked_timer, time_add(now_usec(), TELL_USEC)) < 0) {
                free(p);
                return false;
        }
        *p = (struct parked){ .message = arbiter_message_ref(m), .handler = handler };
        list_append(&a->parked, &p->parked);
        return true;
}

void member_will_tell(struct member *m) {
        if (m->untold)
                return;
        m->untold = true;
        m->arbiter->n_untold++;
}

void member_told(struct member *m) {
        arbiter *a = m->arbiter;

        if (!m->untold)
                return;
        m->untold = false;
        if (a->n_untold > 0 && --a->n_untold == 0 && !list_is_empty(&a->parked))
                (void) actor_timer_set(a->actor, &a->parked_timer, 0);
}

void member_gone(struct member *m) {
        member_told(m);
        pool_watcher_gone(m);
        groups_member_gone(m);
        locks_member_gone(m);
}

void members_done(arbiter *a) {
        struct parked *p;

        if (!a->groups) /* it was never whole */
                return;
        member_gone(&a->own_member);
        while ((p = LIST_FIRST(&a->parked, struct parked, parked))) {
                list_remove(&p->parked);
                arbiter_message_unref(p->message);
                free(p);
        }
        map_free(TAKE_PTR(a->groups), NULL);
        map_free(TAKE_PTR(a->locks), NULL);
}
