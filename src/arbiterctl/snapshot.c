/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is, and what a NAME on the command line means by it. Called by every verb that takes a NAME.
 * One round trip a table, never one an actor. */

#include <fnmatch.h>

#include "arbiterctl/ctl.h"
#include "basic/suggest.h"
#include "shared/bus-names.h"
#include "shared/strv.h"

void snapshot_done(struct snapshot *s) {
        free(s->actors);
        free(s->monitors);
        sd_bus_message_unref(s->actors_reply);
        sd_bus_message_unref(s->monitors_reply);
        *s = (struct snapshot){};
}

void *grow(void *array, size_t n, size_t size) {
        if (n != 0 && (n & (n - 1)) != 0)
                return array;
        return reallocarray(array, n == 0 ? 1 : 2 * n, size);
}

static int read_actors(sd_bus_message *m, struct snapshot *s) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', ROW(BUS_LIST_ACTORS_SIGNATURE));
        while (r >= 0) {
                struct actor_row a, *rows;

                r = sd_bus_message_read(m, ROW(BUS_LIST_ACTORS_SIGNATURE), &a.aid, &a.name, &a.monitor,
                                        &a.concurrency, &a.state, &a.pid, &a.uptime_usec, &a.path);
                if (r <= 0)
                        break;
                rows = grow(s->actors, s->n_actors, sizeof(a));
                if (!rows)
                        return -ENOMEM;
                s->actors = rows;
                s->actors[s->n_actors++] = a;
        }
        return r;
}

static int read_monitors(sd_bus_message *m, struct snapshot *s) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', ROW(BUS_LIST_MONITORS_SIGNATURE));
        while (r >= 0) {
                struct monitor_row a, *rows;

                r = sd_bus_message_read(m, ROW(BUS_LIST_MONITORS_SIGNATURE), &a.name, &a.state, &a.workers,
                                        &a.running, &a.failed, &a.restarts, &a.path);
                if (r <= 0)
                        break;
                rows = grow(s->monitors, s->n_monitors, sizeof(a));
                if (!rows)
                        return -ENOMEM;
                s->monitors = rows;
                s->monitors[s->n_monitors++] = a;
        }
        return r;
}

int snapshot_take_actors(struct context *c, struct snapshot *ret) {
        int r;

        r = call_manager(c, "ListActors", NULL, &ret->actors_reply, NULL);
        if (r != 0)
                return r;
        r = read_actors(ret->actors_reply, ret);
        return r < 0 ? complain_reply(r) : 0;
}

int snapshot_take_monitors(struct context *c, struct snapshot *ret) {
        int r;

        r = call_manager(c, "ListMonitors", NULL, &ret->monitors_reply, NULL);
        if (r != 0)
                return r;
        r = read_monitors(ret->monitors_reply, ret);
        return r < 0 ? complain_reply(r) : 0;
}

int snapshot_take(struct context *c, struct snapshot *ret) {
        int r;

        r = snapshot_take_monitors(c, ret);
        return r != 0 ? r : snapshot_take_actors(c, ret);
}

const struct actor_row *snapshot_find_actor(const struct snapshot *s, const char *name_or_aid) {
        for (size_t i = 0; i < s->n_actors; i++)
                if (streq(s->actors[i].name, name_or_aid) || streq(s->actors[i].aid, name_or_aid))
                        return s->actors + i;
        return NULL;
}

static bool matches(const char *pattern, const char *s) {
        return fnmatch(pattern, s, 0) == 0;
}

bool name_matches(char *const *patterns, const char *s) {
        for (; *patterns; patterns++)
                if (matches(*patterns, s))
                        return true;
        return false;
}

struct resolver {
        const struct snapshot *s;
        unsigned kinds;
        struct target *targets;
        size_t n_targets;
        bool *actor_taken, *monitor_taken; /* by index in the snapshot */
};

/* Targets never outnumber actors, monitors and patterns together, so there is room. */
static void take_actor(struct resolver *v, size_t i) {
        const struct actor_row *a = v->s->actors + i;

        if (v->actor_taken[i])
                return;
        v->actor_taken[i] = true;
        v->targets[v->n_targets++] = (struct target){ .name = a->name, .actor = a };
}

static void take_workers(struct resolver *v, const char *monitor) {
        for (size_t i = 0; i < v->s->n_actors; i++)
                if (streq(v->s->actors[i].monitor, monitor))
                        take_actor(v, i);
}

static void take_monitor(struct resolver *v, size_t i) {
        const struct monitor_row *m = v->s->monitors + i;

        if (v->monitor_taken[i])
                return;
        v->monitor_taken[i] = true;
        v->targets[v->n_targets++] = (struct target){ .name = m->name, .monitor = m };
        /* They are meant with it. */
        for (size_t k = 0; !(v->kinds & TARGET_EACH) && k < v->s->n_actors; k++)
                if (streq(v->s->actors[k].monitor, m->name))
                        v->actor_taken[k] = true;
}

static bool resolve_one(struct resolver *v, const char *pattern) {
        const struct snapshot *s = v->s;
        bool found = false;

        for (size_t i = 0; i < s->n_monitors; i++) {
                if (!(v->kinds & (TARGET_MONITORS | TARGET_WORKERS)) ||
                    !matches(pattern, s->monitors[i].name))
                        continue;
                found = true;
                if (v->kinds & TARGET_MONITORS)
                        take_monitor(v, i);
                else
                        take_workers(v, s->monitors[i].name);
        }
        for (size_t i = 0; i < s->n_actors; i++) {
                if (!(v->kinds & TARGET_ACTORS) ||
                    !(matches(pattern, s->actors[i].name) || matches(pattern, s->actors[i].aid)))
                        continue;
                found = true;
                take_actor(v, i);
        }
        if (!found && ((v->kinds & TARGET_ARBITER && streq(pattern, "arbiter")) ||
                       (v->kinds & TARGET_UNKNOWN && !strpbrk(pattern, "*?[") &&
                                       !streq(pattern, "arbiter")))) {
                v->targets[v->n_targets++] = (struct target){ .name = pattern };
                found = true;
        }
        return found;
}

/* "web.3" where there is a monitor web. */
static bool is_place(const struct snapshot *s, const char *name) {
        size_t n = strcspn(name, ".");

        for (size_t i = 0; name[n] && i < s->n_monitors; i++)
                if (strlen(s->monitors[i].name) == n && startswith(name, s->monitors[i].name))
                        return true;
        return false;
}

static int complain_no_match(const struct resolver *v, const char *pattern) {
        bool monitors_only = !(v->kinds & TARGET_ACTORS);
        const char *kind = monitors_only ? "monitor" : "actor",
                   *list = monitors_only ? "list-monitors" : "list-actors";
        struct suggestion near = {};

        if (streq(pattern, "arbiter"))
                return complain(EXIT_NO_SUCH,
                                "'arbiter' is the arbiter itself, and no %s. Without a name 'arbiterctl "
                                "status' and "
                                "'arbiterctl show' tell of it; as a service, systemctl stops and restarts "
                                "it.",
                                kind);
        if (strpbrk(pattern, "*?["))
                return complain(EXIT_NO_SUCH, "No %s matches '%s'. See 'arbiterctl %s'.", kind, pattern,
                                list);
        for (size_t i = 0; i < v->s->n_monitors; i++)
                suggest(&near, pattern, v->s->monitors[i].name);
        for (size_t i = 0; !monitors_only && i < v->s->n_actors; i++)
                suggest(&near, pattern, v->s->actors[i].name);
        if (monitors_only && snapshot_find_actor(v->s, pattern))
                return complain(EXIT_NO_SUCH, "'%s' is an actor, not a monitor. See 'arbiterctl %s'.",
                                pattern, list);
        if (!monitors_only && is_place(v->s, pattern))
                return complain(EXIT_NO_SUCH,
                                "There is no actor '%s' now: the monitor has no such worker, or its "
                                "place is empty. 'arbiterctl why %s' knows.",
                                pattern, pattern);
        if (near.word)
                return complain(EXIT_NO_SUCH, "No %s '%s': did you mean '%s'? See 'arbiterctl %s'.", kind,
                                pattern, near.word, list);
        return complain(EXIT_NO_SUCH, "No %s '%s'. See 'arbiterctl %s'.", kind, pattern, list);
}

int snapshot_resolve(const struct snapshot *s, char *const *patterns, unsigned kinds, struct target **ret,
                     size_t *ret_n) {
        _cleanup_free_ bool *actor_taken = calloc(s->n_actors + 1, sizeof(bool));
        _cleanup_free_ bool *monitor_taken = calloc(s->n_monitors + 1, sizeof(bool));
        struct resolver v = {
                .s = s, .kinds = kinds, .actor_taken = actor_taken, .monitor_taken = monitor_taken
        };
        int status = 0;

        *ret = NULL;
        *ret_n = 0;
        v.targets = calloc(s->n_actors + s->n_monitors + strv_length(patterns) + 1, sizeof(struct target));
        if (!v.targets || !actor_taken || !monitor_taken) {
                free(v.targets);
                return out_of_memory();
        }
        for (; *patterns; patterns++)
                if (!resolve_one(&v, *patterns))
                        status = complain_no_match(&v, *patterns);
        *ret = v.targets;
        *ret_n = v.n_targets;
        return status;
}
