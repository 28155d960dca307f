/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status: the arbiter, its monitors and their actors as a tree on one screen; the same, flat, as JSON. Takes
 * two calls in all. With names, the exit status says whether all of them are running. */

#include <inttypes.h>
#include <signal.h>

#include "arbiterctl/objects.h"
#include "arbiterctl/table.h"
#include "arbiterctl/verb-util.h"
#include "basic/parse.h"
#include "shared/bus-names.h"

struct arbiter_object {
        const char *version;
        uint64_t started_usec;
};

static int read_manager(sd_bus_message *m, struct arbiter_object *ret) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r < 0)
                        return r;
                if (streq(name, "Version"))
                        r = sd_bus_message_read(m, "v", "s", &ret->version);
                else if (streq(name, "StartedUsec"))
                        r = sd_bus_message_read(m, "v", "t", &ret->started_usec);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static const char *format_unless_unknown(char buffer[static DURATION_STRING_MAX], usec_t t, usec_t unknown) {
        return t == unknown ? "-" : format_duration(buffer, t);
}

/* What is to be known of an actor beyond the numbers: its own words, else how its last life ended. */
static void actor_detail(const struct actor_object *a, char *buffer, size_t size) {
        char reason[REASON_STRING_MAX];

        if (*a->status)
                (void) snprintf(buffer, size, "%s", a->status);
        else if (a->restarts > 0 && *a->last_reason)
                (void) snprintf(buffer, size, "last life: %s",
                                format_reason(reason, a->last_reason, a->last_status));
        else
                (void) snprintf(buffer, size, "%s", a->description);
}

static int add_actor(struct table *t, struct libscols_line *parent, const struct actor_object *a) {
        char uptime[DURATION_STRING_MAX], cpu[DURATION_STRING_MAX], memory[BYTES_STRING_MAX], numbers[3][24],
                        detail[160];

        (void) snprintf(numbers[0], sizeof(numbers[0]), "%" PRIu32, a->pid);
        (void) snprintf(numbers[1], sizeof(numbers[1]), "%" PRIu32, a->restarts);
        (void) snprintf(numbers[2], sizeof(numbers[2]), "%" PRIu64, a->mailbox_queued);
        actor_detail(a, detail, sizeof(detail));
        return table_add_child(
                        t, parent, state_colour(a->state),
                        (const char *[]){ glyph(GLYPH_DOT), a->name, a->aid, a->state,
                                          a->pid > 0 ? numbers[0] : "-",
                                          format_unless_unknown(uptime, a->uptime_usec, 0), numbers[1],
                                          a->plain ? "-" : numbers[2], format_bytes(memory, a->memory_bytes),
                                          format_unless_unknown(cpu, a->cpu_usec, UINT64_MAX), detail },
                        NULL);
}

static void monitor_detail(const struct monitor_object *m, char *buffer, size_t size) {
        char duration[DURATION_STRING_MAX];
        usec_t now = now_usec();
        int n;

        n = snprintf(buffer, size, "%" PRIu32 " of %" PRIu32 " running", m->running, m->workers);
        if (m->failed > 0 && n > 0 && (size_t) n < size)
                n += snprintf(buffer + n, size - (size_t) n, ", %" PRIu32 " failed", m->failed);
        if (m->backoff > 0 && n > 0 && (size_t) n < size)
                n += snprintf(buffer + n, size - (size_t) n, ", %" PRIu32 " waiting", m->backoff);
        if (m->next_attempt_usec > now && n > 0 && (size_t) n < size)
                n += snprintf(buffer + n, size - (size_t) n, ", next attempt in %s",
                              format_duration(duration, m->next_attempt_usec - now));
        if (*m->description && n > 0 && (size_t) n < size)
                (void) snprintf(buffer + n, size - (size_t) n, " (%s)", m->description);
}

static int add_monitor(struct table *t, struct libscols_line *parent, const struct objects *o,
                       const struct monitor_object *m) {
        struct libscols_line *line = NULL;
        char restarts[16], detail[200];
        enum colour state = state_colour(m->state);
        int r;

        (void) snprintf(restarts, sizeof(restarts), "%" PRIu32, m->restarts);
        monitor_detail(m, detail, sizeof(detail));
        if (state == COLOUR_GREEN && m->running < m->workers)
                state = COLOUR_YELLOW;
        r = table_add_child(t, parent, state,
                            (const char *[]){ glyph(GLYPH_DOT), m->name, "-", m->state, "-", "-", restarts,
                                              "-", "-", "-", detail },
                            &line);
        for (size_t i = 0; r >= 0 && i < o->n_actors; i++)
                if (streq(o->actors[i].monitor, m->name))
                        r = add_actor(t, line, o->actors + i);
        return r;
}

static bool has_monitor(const struct objects *o, const char *name) {
        for (size_t i = 0; i < o->n_monitors; i++)
                if (streq(o->monitors[i].name, name))
                        return true;
        return false;
}

static int add_all(struct table *t, const struct context *c, const struct objects *o,
                   const struct arbiter_object *a) {
        char uptime[DURATION_STRING_MAX], detail[300];
        struct libscols_line *root = NULL;
        usec_t now = now_usec();
        int r;

        (void) snprintf(detail, sizeof(detail), "arbiter %s in %s", a->version ? a->version : "",
                        c->runtime_dir);
        r = table_add_child(
                        t, NULL, COLOUR_GREEN,
                        (const char *[]){ glyph(GLYPH_DOT), "arbiter", "-", "running", "-",
                                          format_duration(uptime,
                                                          now > a->started_usec ? now - a->started_usec : 0),
                                          "-", "-", "-", "-", detail },
                        &root);
        for (size_t i = 0; r >= 0 && i < o->n_monitors; i++)
                r = add_monitor(t, root, o, o->monitors + i);
        for (size_t i = 0; r >= 0 && i < o->n_actors; i++)
                if (!has_monitor(o, o->actors[i].monitor))
                        r = add_actor(t, root, o->actors + i);
        return r;
}

static int add_targets(struct table *t, const struct objects *o, const struct snapshot *s,
                       const struct target *targets, size_t n) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                if (targets[i].actor)
                        r = add_actor(t, NULL, o->actors + (targets[i].actor - s->actors));
                else
                        r = add_monitor(t, NULL, o, o->monitors + (targets[i].monitor - s->monitors));
        return r;
}

static void arbiter_to_json(const struct context *c, const struct objects *o, const struct arbiter_object *a,
                            struct json *j) {
        usec_t now = now_usec();

        json_open(j, '{');
        json_key_string(j, "kind", "arbiter");
        json_key_string(j, "name", "arbiter");
        json_key_string(j, "state", "running");
        json_key_string(j, "version", a->version);
        json_key_u64(j, "uptime_usec", now > a->started_usec ? now - a->started_usec : 0);
        json_key_u64(j, "monitors", o->n_monitors);
        json_key_u64(j, "actors", o->n_actors);
        json_key_string(j, "runtime_directory", c->runtime_dir);
        json_key_string(j, "path", BUS_PATH);
        json_close(j, '}');
}

/* targets NULL: all. */
static void print_json(const struct context *c, const struct objects *o, const struct arbiter_object *a,
                       const struct snapshot *s, const struct target *targets, size_t n) {
        struct json j;

        json_init(&j, stdout, c->json);
        json_open(&j, '[');
        if (a)
                arbiter_to_json(c, o, a, &j);
        for (size_t i = 0; a && i < o->n_monitors; i++)
                monitor_to_json(o->monitors + i, "monitor", &j);
        for (size_t i = 0; a && i < o->n_actors; i++)
                actor_to_json(o->actors + i, "actor", &j);
        for (size_t i = 0; i < n; i++) {
                if (targets[i].actor)
                        actor_to_json(o->actors + (targets[i].actor - s->actors), "actor", &j);
                else
                        monitor_to_json(o->monitors + (targets[i].monitor - s->monitors), "monitor", &j);
                for (size_t k = 0; targets[i].monitor && k < o->n_actors; k++)
                        if (streq(o->actors[k].monitor, targets[i].name))
                                actor_to_json(o->actors + k, "actor", &j);
        }
        json_close(&j, ']');
        json_end(&j);
}

static const struct table_column columns[] = {
        { "", .by_state = true },
        { "NAME", .tree = true },
        { "AID" },
        { "STATE", .by_state = true },
        { "PID", .right = true },
        { "UPTIME", .right = true },
        { "RESTARTS", .right = true },
        { "MAILBOX", .right = true },
        { "MEMORY", .right = true },
        { "CPU", .right = true },
        { "DETAIL" },
        {},
};

static int status_of_all(struct context *c, const struct objects *o) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(table_done) struct table t = {};
        struct arbiter_object a = {};
        int r;

        r = get_all_properties(c, BUS_PATH, BUS_INTERFACE_MANAGER, &reply);
        if (r != 0)
                return r;
        r = read_manager(reply, &a);
        if (r < 0)
                return complain_reply(r);
        if (c->json != JSON_OFF) {
                print_json(c, o, &a, NULL, NULL, 0);
                return 0;
        }
        r = table_init(&t, columns, c->legend);
        if (r >= 0)
                r = add_all(&t, c, o, &a);
        return r < 0 || table_print(&t) < 0 ? out_of_memory() : 0;
}

static int status_of(struct context *c, const struct objects *o, char *const *patterns) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct target *targets = NULL;
        _cleanup_(table_done) struct table t = {};
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
                print_json(c, o, NULL, &s, targets, n);
                return status;
        }
        if (n == 0)
                return status;
        r = table_init(&t, columns, c->legend);
        if (r >= 0)
                r = add_targets(&t, o, &s, targets, n);
        return r < 0 || table_print(&t) < 0 ? out_of_memory() : status;
}

int verb_status(int argc, char *argv[], void *userdata) {
        _cleanup_(objects_done) struct objects o = {};
        struct context *c = userdata;
        int r;

        r = objects_take(c, &o);
        if (r != 0)
                return r;
        return argc > 1 ? status_of(c, &o, argv + 1) : status_of_all(c, &o);
}
