/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches and links: who is told of whose death. The notice is sent when the dead actor's pidfd has
 * fired, what it left behind is killed, and its name is free; the watcher's runtime keeps the rest of the
 * barrier (src/actor/watch.c). */

#include "arbiter/internal.h"

static struct relation *find(struct child *owner, struct child *target, bool link) {
        LIST_FOREACH(r, &target->watched_by, struct relation, of_target)
                if (r->owner == owner && r->link == link)
                        return r;
        return NULL;
}

static void relation_free(struct relation *r) {
        list_remove(&r->of_target);
        list_remove(&r->of_owner);
        if (r->owner)
                r->owner->n_watches--;
        free(r);
}

static int notify(struct child *owner, const char *signal, const char *id, const char *name,
                uint32_t generation, arbiter_reason reason, int status) {
        return actor_signal_peer(owner->peer, ENVELOPE_SYSTEM, signal, "ssuui", id, name, generation,
                        (uint32_t)reason, (int32_t)status);
}

static void tell(arbiter *a, struct child *owner, bool link, const char *id, const char *name,
                uint32_t generation, arbiter_reason reason, int status) {
        arbiter_down down = {
                .size = sizeof(down),
                .aid = id,
                .name = name,
                .generation = generation,
                .reason = reason,
                .status = status,
        };

        if (owner) {
                if (owner->peer)
                        (void) notify(owner, link ? "exit" : "down", id, name, generation, reason, status);
        } else if (!link)
                watch_deliver_later(a->actor, &down);
}

int relations_add(arbiter *a, struct child *owner, const aid *id, bool link) {
        struct child *target = map_get(a->by_aid, id->c, AID_SIZE);
        struct relation *r;
        int q;

        if (!target) {
                tell(a, owner, link, aid_to_string(id).s, "", 0, ARBITER_REASON_NOPROC, 0);
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
        list_init(&r->of_owner);
        list_append(&target->watched_by, &r->of_target);
        if (owner) {
                list_append(&owner->watches, &r->of_owner);
                owner->n_watches++;
        }
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

void relations_tell_down(struct child *to, const struct child *dead, arbiter_reason reason, int status) {
        if (to->peer)
                (void) notify(to, "down", dead->aid_string.s, dead->name, dead->generation, reason, status);
}

void relations_child_gone(struct child *c, arbiter_reason reason, int status) {
        struct relation *r;

        while ((r = LIST_FIRST(&c->watches, struct relation, of_owner)))
                relation_free(r);
        while ((r = LIST_FIRST(&c->watched_by, struct relation, of_target))) {
                struct child *owner = r->owner;
                bool link = r->link;

                relation_free(r);
                tell(c->arbiter, owner, link, c->aid_string.s, c->name, c->generation, reason, status);
        }
}

static uid_t uid_of(const struct child *c) {
        return c->concurrency == ARBITER_CONCURRENCY_PROCESS && c->spawn && c->spawn->context.has_uid
                               ? c->spawn->context.uid
                               : geteuid();
}

/* A link lets its maker end the other one by ending itself. So it reaches as far as kill_actor (DESIGN.md
 * 8), and to those that the same user could signal anyway. */
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
                tell(c->arbiter, c, true, aid_to_string(&id).s, "", 0, ARBITER_REASON_NOPROC, 0);
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
        reason = child_how_ended(c->arbiter, &id, &status);
        tell(c->arbiter, c, false, s, "", generation, reason, status);
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
