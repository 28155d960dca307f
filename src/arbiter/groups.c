/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process groups: who is a member of what, and who is told of it (the rules are those of Erlang's pg).
 * Commands of actors; each says for itself how often it is a member, so that saying it twice is saying it
 * once. An empty group is none. Must not lose a change: a watcher that cannot be told now is told to look
 * again. */

#include <stdio.h>

#include "arbiter/internal.h"

enum { RETRY_USEC = 20 * 1000 };

struct group {
        arbiter *arbiter;
        struct list_node joins, watches; /* in the order of joining */
        char name[];
};

struct join {
        struct list_node of_group, of_member;
        struct group *group;
        struct member *member;
};

struct group_watch {
        struct list_node of_group, of_member;
        struct group *group;
        struct member *member;
        bool stale; /* it has missed something */
};

static int group_get(arbiter *a, const char *name, struct group **ret) {
        struct group *g = map_get_string(a->groups, name);
        size_t size = strlen(name) + 1;
        int r;

        if (!g) {
                g = calloc(1, sizeof(*g) + size);
                if (!g)
                        return -ENOMEM;
                memcpy(g->name, name, size);
                g->arbiter = a;
                list_init(&g->joins);
                list_init(&g->watches);
                r = map_put_string(a->groups, name, g);
                if (r < 0) {
                        free(g);
                        return r;
                }
        }
        *ret = g;
        return 0;
}

static void group_release(struct group *g) {
        if (!list_is_empty(&g->joins) || !list_is_empty(&g->watches))
                return;
        map_remove_string(g->arbiter->groups, g->name);
        free(g);
}

/* Telling. */

static uint32_t generation_of(const struct member *m) {
        return m->child ? m->child->generation : m->arbiter->actor->generation;
}

static int tell_stale(struct group_watch *w) {
        struct peer *p = member_peer(w->member);
        int r = p ? actor_signal_peer(p, ENVELOPE_SYSTEM, "group-stale", "s", w->group->name) : 0;

        w->stale = r == -ENOMEM || r == -ENOBUFS;
        return r;
}

void groups_retry(arbiter_actor *actor, struct actor_timer *t) {
        arbiter *a = CONTAINER_OF(t, arbiter, group_timer);
        void *position = NULL;
        bool again = false;
        struct group *g;

        while ((g = map_next(a->groups, &position)))
                LIST_FOREACH(w, &g->watches, struct group_watch, of_group)
                        if (w->stale) {
                                (void) tell_stale(w);
                                again = again || w->stale;
                        }
        if (again)
                (void) actor_timer_set(actor, t, now_usec() + RETRY_USEC);
}

static void tell(struct group *g, const struct member *whose, bool joined) {
        LIST_FOREACH(w, &g->watches, struct group_watch, of_group) {
                struct peer *p = member_peer(w->member);
                int r;

                if (!p || w->stale)
                        continue;
                r = actor_signal_peer(p, ENVELOPE_SYSTEM, "group", "sbssu", g->name, joined,
                                member_aid(whose), member_name(whose), generation_of(whose));
                if (r != -ENOMEM && r != -ENOBUFS)
                        continue;
                w->stale = true;
                (void) actor_timer_set(g->arbiter->actor, &g->arbiter->group_timer, now_usec() + RETRY_USEC);
        }
}

/* Joining and leaving. */

/* Among its own, of which there is a bounded number. */
static struct join *find_join(const struct group *g, const struct member *m) {
        LIST_FOREACH(j, &m->joins, struct join, of_member)
                if (j->group == g)
                        return j;
        return NULL;
}

static unsigned count_joins(const struct group *g, const struct member *m) {
        unsigned n = 0;

        LIST_FOREACH(j, &m->joins, struct join, of_member)
                n += j->group == g;
        return n;
}

static int join(struct group *g, struct member *m) {
        struct join *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        *j = (struct join){ .group = g, .member = m };
        list_append(&g->joins, &j->of_group);
        list_append(&m->joins, &j->of_member);
        m->n_joins++;
        tell(g, m, true);
        return 0;
}

static void leave(struct join *j) {
        struct group *g = j->group;
        struct member *m = j->member;

        list_remove(&j->of_group);
        list_remove(&j->of_member);
        m->n_joins--;
        free(j);
        tell(g, m, false);
}

int groups_join(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct member *member = member_of(m);
        const char *name;
        struct group *g;
        uint32_t times;
        unsigned n;
        int r;

        if (!member)
                return -ESRCH;
        r = arbiter_message_read(m, "su", &name, &times);
        if (r < 0)
                return r;
        if (!member_check_label(m, name, "group"))
                return 0;
        r = group_get(member->arbiter, name, &g);
        if (r < 0)
                return r;
        n = count_joins(g, member);
        if (times > n && times - n > MEMBER_JOINS_MAX - MIN(member->n_joins, (unsigned) MEMBER_JOINS_MAX)) {
                group_release(g);
                incoming_refuse(m->context, ARBITER_OUTCOME_OVERLOAD,
                                "%s is a member of too many groups already", member_name(member));
                return 0;
        }
        for (; r >= 0 && n < times; n++)
                r = join(g, member);
        for (; n > times; n--)
                leave(find_join(g, member));
        group_release(g);
        return r < 0 ? r : arbiter_message_reply(m, "");
}

/* Looking. */

static int reply_members(arbiter_message *m, const struct group *g) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *reply = NULL;
        int r;

        r = arbiter_message_new(&reply);
        if (r >= 0)
                r = arbiter_message_open_container(reply, 'a', "(ssu)");
        if (g)
                LIST_FOREACH(j, &g->joins, struct join, of_group)
                        if (r >= 0)
                                r = arbiter_message_append(reply, "(ssu)", member_aid(j->member),
                                                member_name(j->member), generation_of(j->member));
        if (r >= 0)
                r = arbiter_message_close_container(reply);
        return r < 0 ? r : arbiter_message_reply_message(m, reply);
}

int groups_members(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *name;
        int r;

        if (member_park(a->arbiter, m, groups_members))
                return 0;
        r = arbiter_message_read(m, "s", &name);
        return r < 0 ? r : reply_members(m, map_get_string(a->arbiter->groups, name));
}

static struct group_watch *find_watch(const struct member *m, const struct group *g) {
        LIST_FOREACH(w, &m->watches, struct group_watch, of_member)
                if (w->group == g)
                        return w;
        return NULL;
}

static int add_watch(struct group *g, struct member *m) {
        struct group_watch *w = find_watch(m, g);

        if (w) {
                w->stale = false; /* it looks again, here */
                return 0;
        }
        if (m->n_watches >= MEMBER_WATCHES_MAX)
                return -ENOBUFS;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (struct group_watch){ .group = g, .member = m };
        list_append(&g->watches, &w->of_group);
        list_append(&m->watches, &w->of_member);
        m->n_watches++;
        return 0;
}

static void remove_watch(struct group_watch *w) {
        list_remove(&w->of_group);
        list_remove(&w->of_member);
        w->member->n_watches--;
        group_release(w->group);
        free(w);
}

int groups_watch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct member *member = member_of(m);
        const char *name;
        struct group *g;
        int r;

        if (!member)
                return -ESRCH;
        if (member_park(member->arbiter, m, groups_watch))
                return 0;
        r = arbiter_message_read(m, "s", &name);
        if (r < 0)
                return r;
        if (!member_check_label(m, name, "group"))
                return 0;
        r = group_get(member->arbiter, name, &g);
        if (r < 0)
                return r;
        r = add_watch(g, member);
        if (r >= 0)
                return reply_members(m, g);
        group_release(g);
        if (r != -ENOBUFS)
                return r;
        incoming_refuse(m->context, ARBITER_OUTCOME_OVERLOAD, "%s watches too many groups already",
                        member_name(member));
        return 0;
}

int groups_unwatch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct member *member = member_of(m);
        struct group_watch *w;
        struct group *g;
        const char *name;
        int r;

        if (!member)
                return -ESRCH;
        r = arbiter_message_read(m, "s", &name);
        if (r < 0)
                return r;
        g = map_get_string(member->arbiter->groups, name);
        w = g ? find_watch(member, g) : NULL;
        if (w)
                remove_watch(w);
        return 0;
}

void groups_member_gone(struct member *m) {
        struct group_watch *w;
        struct join *j;

        while ((w = LIST_FIRST(&m->watches, struct group_watch, of_member)))
                remove_watch(w);
        while ((j = LIST_FIRST(&m->joins, struct join, of_member))) {
                struct group *g = j->group;

                leave(j);
                group_release(g);
        }
}
