/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process groups, from the member's and the watcher's side; include/arbiter/group.h has the rules. The
 * arbiter knows who is in them (src/arbiter/groups.c). What is known here of a watched group is the sum
 * of what the watchers were told: whenever the whole is asked for again (a new watch, another arbiter,
 * something missed) the difference is what they are told next. Called by the program and by dispatch.c. */

#include <stdarg.h>
#include <stdio.h>

#include "actor/call.h"
#include "actor/group.h"

enum { JOINS_MAX = 1024, GROUPS_WATCHED_MAX = 1024 };

struct group_member {
        aid_string aid;
        char name[QUALIFIED_NAME_SIZE];
        uint32_t generation;
};

struct members {
        struct group_member *member;
        size_t n, size;
};

struct group {
        uint32_t n_joins; /* of our own */
        struct list_node watches;
        struct members members;
        char name[LABEL_MAX + 1];
};

struct group_watch {
        struct list_node watches;
        struct group *group;
        uint64_t id;
        bool settled;
        arbiter_group_handler_t handler;
        void *userdata;
};

/* Lists of members. */

static int members_add(struct members *l, const char *id, const char *name, uint32_t generation) {
        struct group_member *m;

        if (l->n == l->size) {
                size_t size = MAX(l->size * 2, (size_t) 8);

                m = reallocarray(l->member, size, sizeof(*m));
                if (!m)
                        return -ENOMEM;
                l->member = m;
                l->size = size;
        }
        m = &l->member[l->n++];
        *m = (struct group_member){ .generation = generation };
        (void) snprintf(m->aid.s, sizeof(m->aid.s), "%s", id);
        (void) snprintf(m->name, sizeof(m->name), "%s", name);
        return 0;
}

static void members_done(struct members *l) {
        free(l->member);
        *l = (struct members){};
}

/* One of its joins; the order of the others stays. */
static bool members_remove(struct members *l, const char *id) {
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->member[i].aid.s, id)) {
                        memmove(l->member + i, l->member + i + 1, (--l->n - i) * sizeof(*l->member));
                        return true;
                }
        return false;
}

static int members_copy(const struct members *from, struct members *ret) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < from->n; i++)
                r = members_add(ret, from->member[i].aid.s, from->member[i].name,
                                from->member[i].generation);
        if (r < 0)
                members_done(ret);
        return r;
}

static int members_read(arbiter_message *m, struct members *ret) {
        const char *id, *name;
        uint32_t generation;
        int r;

        r = arbiter_message_enter_container(m, 'a', "(ssu)");
        while (r >= 0 && (r = arbiter_message_read(m, "(ssu)", &id, &name, &generation)) > 0)
                r = members_add(ret, id, name, generation);
        if (r < 0)
                members_done(ret);
        return r;
}

/* Groups. */

static struct group *group_find(arbiter_actor *a, const char *name) {
        return a->groups ? map_get_string(a->groups, name) : NULL;
}

static int group_get(arbiter_actor *a, const char *name, struct group **ret) {
        struct group *g;
        int r;

        if (!a->groups) {
                r = map_new(&a->groups);
                if (r < 0)
                        return r;
        }
        g = map_get_string(a->groups, name);
        if (!g) {
                g = calloc(1, sizeof(*g));
                if (!g)
                        return -ENOMEM;
                list_init(&g->watches);
                (void) snprintf(g->name, sizeof(g->name), "%s", name);
                r = map_put_string(a->groups, name, g);
                if (r < 0) {
                        free(g);
                        return r;
                }
        }
        *ret = g;
        return 0;
}

static void group_free(void *p) {
        struct group *g = p;
        struct group_watch *w;

        while ((w = LIST_FIRST(&g->watches, struct group_watch, watches))) {
                list_remove(&w->watches);
                free(w);
        }
        members_done(&g->members);
        free(g);
}

static void group_release(arbiter_actor *a, struct group *g) {
        if (g->n_joins > 0 || !list_is_empty(&g->watches))
                return;
        map_remove_string(a->groups, g->name);
        group_free(g);
}

/* Joining. */

static int tell_joins(arbiter_actor *a, const struct group *g, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = actor_request_arbiter(a, &f, "join", UINT64_MAX, "su", g->name, g->n_joins);
        if (r >= 0 && ret)
                *ret = TAKE_PTR(f);
        return r;
}

static uint32_t count_joins(arbiter_actor *a) {
        void *position = NULL;
        struct group *g;
        uint32_t n = 0;

        while (a->groups && (g = map_next(a->groups, &position)))
                n += g->n_joins;
        return n;
}

_public_ int arbiter_actor_join(arbiter_actor *a, const char *group, arbiter_future **ret) {
        struct group *g;
        int r;

        if (!a || !group || !label_is_valid(group))
                return -EINVAL;
        if (count_joins(a) >= JOINS_MAX)
                return -ENOBUFS;
        r = group_get(a, group, &g);
        if (r < 0)
                return r;
        g->n_joins++;
        r = tell_joins(a, g, ret);
        if (r < 0) {
                g->n_joins--;
                group_release(a, g);
        }
        return r;
}

_public_ int arbiter_actor_leave(arbiter_actor *a, const char *group, arbiter_future **ret) {
        struct group *g = a && group ? group_find(a, group) : NULL;
        int r;

        if (!a || !group)
                return -EINVAL;
        if (!g || g->n_joins == 0)
                return -ENOENT;
        g->n_joins--;
        r = tell_joins(a, g, ret);
        if (r < 0)
                g->n_joins++;
        group_release(a, g);
        return r;
}

_public_ int arbiter_actor_get_members(arbiter_actor *a, const char *group, arbiter_future **ret) {
        if (!a || !group || !ret || !label_is_valid(group))
                return -EINVAL;
        return actor_request_arbiter(a, ret, "members", UINT64_MAX, "s", group);
}

/* Watching. */

/* The first watch after this one: handlers may take away any of them, and the group with the last. */
static struct group_watch *next_watch(arbiter_actor *a, const char *group, uint64_t last) {
        struct group *g = group_find(a, group);

        if (g)
                LIST_FOREACH(w, &g->watches, struct group_watch, watches)
                        if (w->id > last)
                                return w;
        return NULL;
}

static struct group_watch *find_watch(arbiter_actor *a, const char *group, uint64_t id) {
        struct group_watch *w = next_watch(a, group, id - 1);

        return w && w->id == id ? w : NULL;
}

static void call_handler(arbiter_actor *a, const struct group_watch *w, const char *group,
                arbiter_group_event event, const struct group_member *m) {
        arbiter_group_change change = {
                .size = sizeof(change),
                .watch = w->id,
                .event = event,
                .group = group,
                .aid = m ? m->aid.s : NULL,
                .name = m ? m->name : NULL,
                .generation = m ? m->generation : 0,
        };
        arbiter_actor *previous;

        actor_enter(a, &previous);
        w->handler(a, &change, w->userdata);
        actor_leave(a, previous);
}

static void tell(arbiter_actor *a, const char *group, arbiter_group_event event,
                const struct group_member *m) {
        struct group_watch *w;

        for (uint64_t last = 0; (w = next_watch(a, group, last));) {
                last = w->id;
                if (w->settled)
                        call_handler(a, w, group, event, m);
        }
}

/* One that is new has all of them. */
static void settle(arbiter_actor *a, const char *group, uint64_t id, const struct members *l) {
        struct group_watch *w;

        for (size_t i = 0; i < l->n; i++) {
                w = find_watch(a, group, id);
                if (!w)
                        return;
                call_handler(a, w, group, ARBITER_GROUP_JOINED, &l->member[i]);
        }
        w = find_watch(a, group, id);
        if (!w)
                return;
        w->settled = true;
        call_handler(a, w, group, ARBITER_GROUP_SETTLED, NULL);
}

/* What differs between what was told and what is. */
static void tell_difference(arbiter_actor *a, const char *group, const struct members *old,
                const struct members *new) {
        struct members joined = {};

        if (members_copy(new, &joined) < 0)
                return;
        for (size_t i = 0; i < old->n; i++)
                if (!members_remove(&joined, old->member[i].aid.s))
                        tell(a, group, ARBITER_GROUP_LEFT, &old->member[i]);
        for (size_t i = 0; i < joined.n; i++)
                tell(a, group, ARBITER_GROUP_JOINED, &joined.member[i]);
        members_done(&joined);
}

static void on_members(arbiter_future *f, void *userdata) {
        _cleanup_free_ char *group = userdata;
        struct members new = {}, copy = {}, old;
        arbiter_actor *a = f->actor;
        struct group *g = a ? group_find(a, group) : NULL;
        struct group_watch *w;

        if (!g || f->outcome != ARBITER_OUTCOME_REPLY || members_read(f->reply, &new) < 0)
                return;
        if (members_copy(&new, &copy) < 0) {
                members_done(&new);
                return;
        }
        old = g->members;
        g->members = new;
        tell_difference(a, group, &old, &copy);
        for (uint64_t last = 0; (w = next_watch(a, group, last));) {
                last = w->id;
                if (!w->settled)
                        settle(a, group, last, &copy);
        }
        members_done(&old);
        members_done(&copy);
}

static int ask_members(arbiter_actor *a, const char *group) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_free_ char *copy = strdup(group);
        int r;

        if (!copy)
                return -ENOMEM;
        r = actor_request_arbiter(a, &f, "watch_group", UINT64_MAX, "s", group);
        if (r >= 0)
                r = future_then_now(f, on_members, copy);
        if (r >= 0)
                copy = NULL;
        return r;
}

static size_t count_watched(arbiter_actor *a) {
        void *position = NULL;
        struct group *g;
        size_t n = 0;

        while (a->groups && (g = map_next(a->groups, &position)))
                n += !list_is_empty(&g->watches);
        return n;
}

_public_ int arbiter_actor_watch_group(arbiter_actor *a, const char *group, arbiter_group_handler_t handler,
                void *userdata, uint64_t *ret_watch) {
        _cleanup_free_ struct group_watch *w = NULL;
        struct group *g;
        int r;

        if (!a || !group || !handler || !label_is_valid(group))
                return -EINVAL;
        if (count_watched(a) >= GROUPS_WATCHED_MAX)
                return -ENOBUFS;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        r = group_get(a, group, &g);
        if (r < 0)
                return r;
        *w = (struct group_watch){
                .group = g, .id = ++a->watch_counter, .handler = handler, .userdata = userdata };
        r = ask_members(a, group);
        if (r < 0) {
                group_release(a, g);
                return r;
        }
        list_append(&g->watches, &w->watches);
        if (ret_watch)
                *ret_watch = w->id;
        w = NULL;
        return 0;
}

_public_ int arbiter_actor_unwatch_group(arbiter_actor *a, uint64_t watch) {
        void *position = NULL;
        struct group *g;

        if (!a)
                return -EINVAL;
        while (a->groups && (g = map_next(a->groups, &position))) {
                struct group_watch *w = find_watch(a, g->name, watch);

                if (!w)
                        continue;
                list_remove(&w->watches);
                free(w);
                if (list_is_empty(&g->watches)) {
                        members_done(&g->members);
                        (void) actor_cast_arbiter(a, "unwatch_group", "s", g->name);
                }
                group_release(a, g);
                return 0;
        }
        return -ENOENT;
}

/* Sending. */

static bool was_before(const struct members *l, size_t i) {
        for (size_t k = 0; k < i; k++)
                if (streq(l->member[k].aid.s, l->member[i].aid.s))
                        return true;
        return false;
}

static int send_members(arbiter_actor *a, const struct members *l, const char *command, arbiter_message *m) {
        int n = 0, r;

        for (size_t i = 0; i < l->n; i++) {
                if (was_before(l, i))
                        continue;
                r = arbiter_send_message(a, l->member[i].aid.s, NULL, command, m, 0, NULL);
                if (r == -EINVAL || r == -ENOMEM)
                        return r;
                n += r >= 0;
        }
        return n;
}

_public_ int arbiter_send_group(
                arbiter_actor *a, const char *group, const char *command, const char *signature, ...) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        struct group *g = a && group ? group_find(a, group) : NULL;
        va_list ap;
        int r;

        if (!a || !group || !command)
                return -EINVAL;
        if (!g || list_is_empty(&g->watches))
                return -ENOENT;
        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        va_start(ap, signature);
        if (signature && *signature)
                r = arbiter_message_appendv(m, signature, ap);
        va_end(ap);
        return r < 0 ? r : send_members(a, &g->members, command, m);
}

/* The arbiter's word. */

void group_handle_change(arbiter_actor *a, arbiter_message *m) {
        const char *name, *id, *member_name;
        struct group_member member = {};
        char group[LABEL_MAX + 1];
        struct group *g;
        uint32_t generation;
        int joined;

        if (arbiter_message_read(m, "sbssu", &name, &joined, &id, &member_name, &generation) <= 0)
                return;
        g = group_find(a, name);
        if (!g || list_is_empty(&g->watches))
                return;
        if (joined && members_add(&g->members, id, member_name, generation) < 0) {
                (void) ask_members(a, name); /* what was not noted is a difference then */
                return;
        }
        if (!joined && !members_remove(&g->members, id))
                return;
        (void) snprintf(group, sizeof(group), "%s", name);
        (void) snprintf(member.aid.s, sizeof(member.aid.s), "%s", id);
        (void) snprintf(member.name, sizeof(member.name), "%s", member_name);
        member.generation = generation;
        tell(a, group, joined ? ARBITER_GROUP_JOINED : ARBITER_GROUP_LEFT, &member);
}

void group_handle_stale(arbiter_actor *a, arbiter_message *m) {
        const char *name;

        if (arbiter_message_read(m, "s", &name) > 0 && group_find(a, name))
                (void) ask_members(a, name);
}

int groups_tell(arbiter_actor *a) {
        void *position = NULL;
        struct group *g;
        int r = 0;

        while (r >= 0 && a->groups && (g = map_next(a->groups, &position))) {
                if (g->n_joins > 0)
                        r = tell_joins(a, g, NULL);
                if (r >= 0 && !list_is_empty(&g->watches))
                        r = ask_members(a, g->name);
        }
        return r;
}

void groups_done(arbiter_actor *a) {
        map_free(TAKE_PTR(a->groups), group_free);
}
