/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* list-actors and list-monitors: tables for people and scripts. The table of actors takes one call however
 * many there are; as JSON it has more columns, which are in the object tree only. */

#include <inttypes.h>

#include "arbiterctl/objects.h"
#include "arbiterctl/pager.h"
#include "arbiterctl/table.h"

static bool wanted(char *const *patterns, const char *name, const char *aid, const char *monitor) {
        return !*patterns || name_matches(patterns, name) || (aid && name_matches(patterns, aid)) ||
               (monitor && *monitor && name_matches(patterns, monitor));
}

/* As systemctl: a list that is empty because of its patterns is a success, and says so. */
static int list_done(const struct context *c, size_t shown, const char *kind) {
        if (c->legend && !c->quiet && c->json == JSON_OFF)
                (void) printf("\n%zu %s%s listed.\n", shown, kind, shown == 1 ? "" : "s");
        return 0;
}

static int list_actors_json(struct context *c, char *const *patterns) {
        _cleanup_(objects_done) struct objects o = {};
        struct json j;
        int r;

        r = objects_take(c, &o);
        if (r != 0)
                return r;
        pager_open(c);
        json_list_begin(&j, c->json);
        for (size_t i = 0; i < o.n_actors; i++)
                if (wanted(patterns, o.actors[i].name, o.actors[i].aid, o.actors[i].monitor))
                        actor_to_json(o.actors + i, NULL, &j);
        json_list_end(&j);
        return 0;
}

static int add_actor(struct table *t, const struct actor_row *a) {
        char duration[DURATION_STRING_MAX], pid[16];

        (void) snprintf(pid, sizeof(pid), "%" PRIu32, a->pid);
        return table_add(t, state_colour(a->state),
                         (const char *[]){ a->name, a->aid, *a->monitor ? a->monitor : "-", a->concurrency,
                                           a->state, a->pid > 0 ? pid : "-",
                                           a->uptime_usec > 0 ? format_duration(duration, a->uptime_usec)
                                                              : "-" });
}

int verb_list_actors(int argc, char *argv[], void *userdata) {
        static const struct table_column columns[] = {
                { "NAME" },
                { "AID" },
                { "MONITOR" },
                { "CONCURRENCY" },
                { "STATE", .by_state = true },
                { "PID", .right = true },
                { "UPTIME", .right = true },
                {},
        };
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_(table_done) struct table t = {};
        struct context *c = userdata;
        size_t shown = 0;
        int r;

        if (c->json != JSON_OFF)
                return list_actors_json(c, argv + 1);
        r = snapshot_take_actors(c, &s);
        if (r != 0)
                return r;
        r = table_init(&t, columns, c->legend);
        for (size_t i = 0; r >= 0 && i < s.n_actors; i++) {
                if (!wanted(argv + 1, s.actors[i].name, s.actors[i].aid, s.actors[i].monitor))
                        continue;
                r = add_actor(&t, s.actors + i);
                shown++;
        }
        pager_open(c);
        if (r < 0 || table_print(&t) < 0)
                return out_of_memory();
        return list_done(c, shown, "actor");
}

static void monitor_row_to_json(const struct monitor_row *m, struct json *j) {
        json_open(j, '{');
        json_key_string(j, "name", m->name);
        json_key_string(j, "state", m->state);
        json_key_u64(j, "workers", m->workers);
        json_key_u64(j, "running", m->running);
        json_key_u64(j, "failed", m->failed);
        json_key_u64(j, "restarts", m->restarts);
        json_key_string(j, "path", m->path);
        json_close(j, '}');
}

static int list_monitors_json(struct context *c, const struct snapshot *s, char *const *patterns) {
        struct json j;

        pager_open(c);
        json_list_begin(&j, c->json);
        for (size_t i = 0; i < s->n_monitors; i++)
                if (wanted(patterns, s->monitors[i].name, NULL, NULL))
                        monitor_row_to_json(s->monitors + i, &j);
        json_list_end(&j);
        return 0;
}

static int add_monitor(struct table *t, const struct monitor_row *m) {
        char numbers[4][16];

        (void) snprintf(numbers[0], sizeof(numbers[0]), "%" PRIu32, m->workers);
        (void) snprintf(numbers[1], sizeof(numbers[1]), "%" PRIu32, m->running);
        (void) snprintf(numbers[2], sizeof(numbers[2]), "%" PRIu32, m->failed);
        (void) snprintf(numbers[3], sizeof(numbers[3]), "%" PRIu32, m->restarts);
        return table_add(t, state_colour(m->state),
                         (const char *[]){ m->name, m->state, numbers[0], numbers[1], numbers[2],
                                           numbers[3] });
}

int verb_list_monitors(int argc, char *argv[], void *userdata) {
        static const struct table_column columns[] = {
                { "NAME" },
                { "STATE", .by_state = true },
                { "WORKERS", .right = true },
                { "RUNNING", .right = true },
                { "FAILED", .right = true },
                { "RESTARTS", .right = true },
                {},
        };
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_(table_done) struct table t = {};
        struct context *c = userdata;
        size_t shown = 0;
        int r;

        r = snapshot_take_monitors(c, &s);
        if (r != 0)
                return r;
        if (c->json != JSON_OFF)
                return list_monitors_json(c, &s, argv + 1);
        r = table_init(&t, columns, c->legend);
        for (size_t i = 0; r >= 0 && i < s.n_monitors; i++) {
                if (!wanted(argv + 1, s.monitors[i].name, NULL, NULL))
                        continue;
                r = add_monitor(&t, s.monitors + i);
                shown++;
        }
        pager_open(c);
        if (r < 0 || table_print(&t) < 0)
                return out_of_memory();
        return list_done(c, shown, "monitor");
}
