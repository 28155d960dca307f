/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches and links: who is told of whose death. The notice is sent when the dead actor's pidfd has fired,
 * what it left behind is killed, and its name is free; the watcher's runtime keeps the rest of the barrier
 * (src/actor/watch.c). Commands of actors; called by child.c when a life ends. Must not lose a notice: who
 * cannot be told now is told later. */

#include <stdio.h>

#include "arbiter/internal.h"

static struct relation *find(struct child *owner, struct child *target, bool link) {
        LIST_FOREACH(r, &target->watched_by, struct relation, of_target)
                if (r->owner == owner && r->link == link)
                        return r;
        return NULL;
}

static void relation_free(struct relation *r) {
        state_forget_link(r);
        free(r->notice);
        list_remove(&r->of_target);
        list_remove(&r->of_owner);
        if (r->owner)
                r->owner->n_watches--;
        free(r);
}

static int notify(struct child *owner, const char *signal, const char *id, const char *name,
                uint32_t generation, arbiter_reason reason, int status) {
        return actor_signal_peer(owner->peer, ENVELOPE_SYSTEM, signal, "ssuui", id, name, generation,
                        (uint32_t) reason, (int32_t) status);
}

static int send_notice(const struct notice *n) {
        return n->to->peer ? notify(n->to, n->exit ? "exit" : "down", n->aid.s, n->name, n->generation,
                                             n->reason, n->status)
                           : -ENOTCONN;
}

static bool is_worth_retrying(int r) {
        return r == -ENOMEM || r == -ENOBUFS;
}

static void notice_free(struct notice *n) {
        state_forget_exit(n);
        free(n);
}

/* In no list. An exit is nobody's to repeat: it is remembered until it has left. */
static void notice_sent(struct notice *n, bool sent) {
        if (!sent || !n->exit || !state_exit_sent(n))
                notice_free(n);
}

/* Takes the notice. One that cannot be sent now waits, and with it those that follow to the same actor. */
static void deliver(struct child *to, struct notice *n, bool exit, const arbiter_down *down) {
        arbiter *a = to->arbiter;
        int r;

        n->to = to;
        (void) snprintf(n->aid.s, sizeof(n->aid.s), "%s", down->aid);
        (void) snprintf(n->name, sizeof(n->name), "%s", down->name);
        n->generation = down->generation;
        n->reason = down->reason;
        n->status = down->status;
        n->exit = exit;
        state_put_exit(n);
        r = to->n_notices == 0 ? send_notice(n) : -ENOBUFS;
        if (!is_worth_retrying(r)) {
                notice_sent(n, r >= 0);
                return;
        }
        list_append(&a->notices, &n->notices);
        to->n_notices++;
        if (!heap_node_is_linked(&a->notice_timer.node))
                (void) actor_timer_set(a->actor, &a->notice_timer, now_usec() + NOTICE_RETRY_USEC);
}

void relations_retry(arbiter_actor *actor, struct actor_timer *t) {
        arbiter *a = CONTAINER_OF(t, arbiter, notice_timer);

        LIST_FOREACH(n, &a->notices, struct notice, notices)
                n->to->notices_blocked = false;
        LIST_FOREACH(n, &a->notices, struct notice, notices) {
                int r = n->to->notices_blocked ? -ENOBUFS : send_notice(n);

                if (is_worth_retrying(r)) {
                        n->to->notices_blocked = true; /* what follows must not overtake it */
                        continue;
                }
                list_remove(&n->notices);
                n->to->n_notices--;
                notice_sent(n, r >= 0);
        }
        if (!list_is_empty(&a->notices))
                (void) actor_timer_set(actor, t, now_usec() + NOTICE_RETRY_USEC);
}

static void forget_notices(struct list_node *list, struct child *to, uint32_t *n_left) {
        LIST_FOREACH(n, list, struct notice, notices) {
                if (*n_left == 0)
                        return;
                if (n->to != to)
                        continue;
                list_remove(&n->notices);
                (*n_left)--;
                notice_free(n);
        }
}

void relations_forget_notices(struct child *to) {
        forget_notices(&to->arbiter->notices, to, &to->n_notices);
        forget_notices(&to->arbiter->state.told, to, &to->n_told);
}

/* What no relation was made for. */
static void tell(arbiter *a, struct child *owner, bool link, const arbiter_down *down) {
        struct notice *n;

        if (!owner) {
                if (!link)
                        watch_deliver_later(a->actor, down);
                return;
        }
        n = calloc(1, sizeof(*n));
        if (n)
                deliver(owner, n, link, down);
}

static void tell_ended(arbiter *a, struct child *owner, bool link, const char *id, uint32_t generation,
                arbiter_reason reason, int status) {
        tell(a, owner, link,
                        &(arbiter_down){
                                        .size = sizeof(arbiter_down),
                                        .aid = id,
                                        .name = "",
                                        .generation = generation,
                                        .reason = reason,
                                        .status = status,
                        });
}

int relations_add(arbiter *a, struct child *owner, const aid *id, bool link) {
        struct child *target = map_get(a->by_aid, id->c, AID_SIZE);
        struct relation *r;
        int q;

        if (!target) {
                tell_ended(a, owner, link, aid_to_string(id).s, 0, ARBITER_REASON_NOPROC, 0);
                return 0;
        }
        if (find(owner, target, link))
                return 0;
        if (owner && owner->n_watches >= CHILD_WATCHES_MAX)
                return -ENOBUFS;
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        *r = (struct relation){ .owner = owner, .target = target, .link = link };
        r->notice = owner ? calloc(1, sizeof(*r->notice)) : NULL;
        if (owner && !r->notice) {
                free(r);
                return -ENOMEM;
        }
        list_init(&r->of_owner);
        list_append(&target->watched_by, &r->of_target);
        if (owner) {
                list_append(&owner->watches, &r->of_owner);
                owner->n_watches++;
        }
        state_put_link(r);
        if (!link || !owner)
                return 0;
        q = relations_add(a, target, &owner->aid, true); /* both ways; the second time it is there */
        if (q < 0) /* half a link is none */
                relation_free(r);
        return q;
}

void relations_remove(arbiter *a, struct child *owner, const aid *id, bool link) {
        struct child *target = map_get(a->by_aid, id->c, AID_SIZE);
        struct relation *r = target ? find(owner, target, link) : NULL;

        if (!r)
                return;
        relation_free(r);
        if (link && owner) {
                r = find(target, owner, true);
                if (r)
                        relation_free(r);
        }
}

void relations_forget_watches(struct child *owner) {
        LIST_FOREACH(r, &owner->watches, struct relation, of_owner)
                if (!r->link)
                        relation_free(r);
}

void relations_tell_ended(struct child *to, const aid *dead) {
        arbiter_reason reason;
        int status;

        reason = names_how_ended(to->arbiter, dead, &status);
        tell_ended(to->arbiter, to, false, aid_to_string(dead).s, 0, reason, status);
}

static arbiter_down down_of(const struct child *dead, arbiter_reason reason, int status) {
        return (arbiter_down){
                .size = sizeof(arbiter_down),
                .aid = dead->aid_string.s,
                .name = dead->name,
                .generation = dead->generation,
                .reason = reason,
                .status = status,
        };
}

void relations_tell_down(struct child *to, struct notice *notice, const struct child *dead,
                arbiter_reason reason, int status) {
        arbiter_down down = down_of(dead, reason, status);

        deliver(to, notice, false, &down);
}

void relations_child_gone(struct child *c, arbiter_reason reason, int status) {
        arbiter_down down = down_of(c, reason, status);
        struct relation *r;

        while ((r = LIST_FIRST(&c->watches, struct relation, of_owner)))
                relation_free(r);
        while ((r = LIST_FIRST(&c->watched_by, struct relation, of_target))) {
                struct notice *n = TAKE_PTR(r->notice);
                struct child *owner = r->owner;
                bool link = r->link;

                relation_free(r);
                if (n)
                        deliver(owner, n, link, &down);
                else
                        tell(c->arbiter, owner, link, &down);
        }
}

void relations_restore_link(arbiter *a, const struct state_link *s) {
        struct child *owner = map_get(a->by_aid, s->owner.c, AID_SIZE);
        arbiter_reason reason;
        int status;

        if (!owner)
                return;
        if (map_get(a->by_aid, s->target.c, AID_SIZE)) {
                (void) relations_add(a, owner, &s->target, true);
                return;
        }
        reason = names_how_ended(a, &s->target, &status);
        tell_ended(a, owner, true, aid_to_string(&s->target).s, 0, reason, status);
}

void relations_restore_exit(arbiter *a, const struct state_exit *s) {
        struct child *to = map_get(a->by_aid, s->to.c, AID_SIZE);
        aid_string id = aid_to_string(&s->id);
        struct notice *n = to ? calloc(1, sizeof(*n)) : NULL;

        if (!n)
                return;
        n->serial = s->serial;
        deliver(to, n, true,
                        &(arbiter_down){
                                        .size = sizeof(arbiter_down),
                                        .aid = id.s,
                                        .name = s->name,
                                        .generation = s->generation,
                                        .reason = s->reason,
                                        .status = s->status,
                        });
}

static uid_t uid_of(const struct child *c) {
        return c->concurrency == ARBITER_CONCURRENCY_PROCESS && c->spawn && c->spawn->context.has_uid
                               ? c->spawn->context.uid
                               : geteuid();
}

/* A link lets its maker end the other one by ending itself. So it reaches as far as kill_actor,
 * and to those that the same user could signal anyway. */
static bool may_link(const struct child *c, const aid *id) {
        const struct child *target = map_get(c->arbiter->by_aid, id->c, AID_SIZE);

        return !target || target == c || aid_equal(&target->spawner, &c->aid) ||
                (!target->monitor_actor && uid_of(c) == uid_of(target));
}

static int change(arbiter_message *m, bool link, bool add, const char *signature) {
        struct child *c = caller_child(m);
        uint32_t generation = 0;
        const char *s;
        aid id;
        int r;

        if (!c)
                return -ESRCH;
        r = streq(signature, "su") ? arbiter_message_read(m, "su", &s, &generation)
                                   : arbiter_message_read(m, "s", &s);
        if (r < 0)
                return r;
        r = aid_parse(s, &id);
        if (r < 0)
                return r;
        if (!add) {
                relations_remove(c->arbiter, c, &id, link);
                return 0;
        }
        if (link && !may_link(c, &id)) {
                incoming_refuse(m->context, ARBITER_OUTCOME_DENIED,
                                "'%s' is neither a child of the caller nor of the same user", s);
                tell_ended(c->arbiter, c, true, aid_to_string(&id).s, 0, ARBITER_REASON_NOPROC, 0);
                return 0;
        }
        return relations_add(c->arbiter, c, &id, link);
}

/* The caller's link to it was lost: tells how it has ended, or when it does. Unlike a watch, which a dead
 * life answers noproc. */
int relations_lost(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct child *c = caller_child(m);
        uint32_t generation;
        arbiter_reason reason;
        const char *s;
        int status, r;
        aid id;

        if (!c)
                return -ESRCH;
        r = arbiter_message_read(m, "su", &s, &generation);
        if (r >= 0)
                r = aid_parse(s, &id);
        if (r < 0)
                return r;
        if (map_get(c->arbiter->by_aid, id.c, AID_SIZE))
                return relations_add(c->arbiter, c, &id, false);
        reason = names_how_ended(c->arbiter, &id, &status);
        tell_ended(c->arbiter, c, false, s, generation, reason, status);
        return 0;
}

int relations_watch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return change(m, false, true, "su");
}

int relations_unwatch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return change(m, false, false, "s");
}

int relations_link(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return change(m, true, true, "su");
}

int relations_unlink(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return change(m, true, false, "su");
}
