/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status: the arbiter, its monitors and their actors on one screen, with the last lines of the journal; a
 * screen for each name that is given; the same, flat, as JSON. Takes three calls in all. With names, the
 * exit status says whether all of them are running. */

#include "arbiterctl/pager.h"
#include "arbiterctl/status.h"
#include "shared/bus-names.h"

#define JOURNAL_LINES 10 /* as systemctl */

static void arbiter_to_json(const struct context *c, const struct objects *o, const struct manager_object *a,
                            struct json *j) {
        usec_t now = now_usec();

        json_open(j, '{');
        json_key_string(j, "kind", "arbiter");
        json_key_string(j, "name", "arbiter");
        json_key_string(j, "state", *a->state ? a->state : "running");
        json_key_string(j, "version", a->version);
        json_key_string(j, "instance", a->instance);
        json_key_u64(j, "pid", (uint64_t) a->pid);
        json_key_u64(j, "uptime_usec", now > a->started_usec ? now - a->started_usec : 0);
        json_key_u64(j, "monitors", o->n_monitors);
        json_key_u64(j, "actors", o->n_actors);
        json_key_u64(j, "failed", a->failed);
        json_key_u64(j, "takeovers", a->takeovers);
        json_key_u64(j, "dead_letters", a->dead_letters);
        json_key_string(j, "runtime_directory", c->runtime_dir);
        json_key_string(j, "path", BUS_PATH);
        json_close(j, '}');
}

static void json_all(const struct context *c, const struct objects *o, const struct manager_object *a,
                     struct json *j) {
        arbiter_to_json(c, o, a, j);
        for (size_t i = 0; i < o->n_monitors; i++)
                monitor_to_json(o->monitors + i, "monitor", j);
        for (size_t i = 0; i < o->n_actors; i++)
                actor_to_json(o->actors + i, "actor", j);
}

static void json_targets(const struct objects *o, const struct snapshot *s, const struct target *targets,
                         size_t n, struct json *j) {
        for (size_t i = 0; i < n; i++) {
                if (targets[i].actor) {
                        actor_to_json(o->actors + (targets[i].actor - s->actors), "actor", j);
                        continue;
                }
                monitor_to_json(o->monitors + (targets[i].monitor - s->monitors), "monitor", j);
                for (size_t k = 0; k < o->n_actors; k++)
                        if (streq(o->actors[k].monitor, targets[i].name))
                                actor_to_json(o->actors + k, "actor", j);
        }
}

/* name NULL: of all. */
static void print_journal(const struct context *c, const struct manager_object *a, const char *name) {
        size_t n = c->lines == LINES_DEFAULT ? JOURNAL_LINES : c->lines;
        struct journal_filter f;

        journal_filter_init(&f, c, a->instance);
        if (n == 0 || !*f.instance)
                return;
        f.name = name;
        (void) journal_print(&f, "\n", n, c->full ? 0 : output_width(), stdout);
}

static int print_all(struct context *c, const struct objects *o, const struct manager_object *a) {
        int r = 0;

        pager_open(c);
        status_print_arbiter(c, o, a);
        if (o->n_actors + o->n_monitors > 0)
                r = status_print_tree(c, o, NULL);
        if (r == 0)
                print_journal(c, a, NULL);
        return r;
}

static int print_targets(struct context *c, const struct objects *o, const struct manager_object *a,
                         const struct snapshot *s, const struct target *targets, size_t n) {
        int r = 0;

        if (n > 0)
                pager_open(c);
        for (size_t i = 0; r == 0 && i < n; i++) {
                if (i > 0)
                        (void) putchar('\n');
                if (targets[i].actor)
                        status_print_actor(o->actors + (targets[i].actor - s->actors));
                else
                        r = status_print_monitor(c, o, o->monitors + (targets[i].monitor - s->monitors));
                print_journal(c, a, targets[i].name);
        }
        return r;
}

static int status_of(struct context *c, const struct objects *o, const struct manager_object *a,
                     char *const *patterns, struct json *j) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct target *targets = NULL;
        size_t n;
        int r, status;

        r = objects_to_snapshot(o, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, patterns, TARGET_MONITORS | TARGET_ACTORS, &targets, &n);
        for (size_t i = 0; i < n && status == 0; i++)
                if (!streq(targets[i].actor ? targets[i].actor->state : targets[i].monitor->state,
                           "running"))
                        status = EXIT_NOT_RUNNING;
        if (c->json != JSON_OFF) {
                json_targets(o, &s, targets, n, j);
                return status;
        }
        r = print_targets(c, o, a, &s, targets, n);
        return r != 0 ? r : status;
}

int verb_status(int argc, char *argv[], void *userdata) {
        _cleanup_(manager_done) struct manager_object a = {};
        _cleanup_(waiting_done) struct waiting w = {};
        _cleanup_(objects_done) struct objects o = {};
        struct context *c = userdata;
        int r, status = 0;
        struct json j;

        r = objects_take(c, &o);
        if (r == 0)
                r = manager_take(c, &a);
        if (r == 0 && *a.state) /* an arbiter that has no state cannot answer, either */
                r = waiting_take(c, "", &w);
        if (r == 0)
                r = objects_add_waiting(&o, &w);
        if (r != 0)
                return r;
        json_list_begin(&j, c->json);
        if (argc > 1)
                status = status_of(c, &o, &a, argv + 1, &j);
        else if (c->json == JSON_OFF)
                status = print_all(c, &o, &a);
        else
                json_all(c, &o, &a, &j);
        json_list_end(&j);
        return status;
}
