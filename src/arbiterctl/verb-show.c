/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* show and info: what an object says of itself, its D-Bus properties as KEY=value for scripts, and an
 * actor's info tree. */

#include "arbiterctl/pager.h"
#include "arbiterctl/value.h"
#include "arbiterctl/verb-util.h"
#include "basic/suggest.h"
#include "shared/bus-names.h"
#include "shared/strv.h"

struct show {
        struct context *c;
        struct json j;
        bool *found;            /* by index of c->properties */
        struct suggestion near; /* to the first property asked for; its word is in near_name */
        char near_name[64];
        bool again;             /* there was an object before */
};

static bool is_wanted(struct show *s, const char *name) {
        bool wanted = !s->c->properties;
        size_t i = 0;

        STRV_FOREACH (p, s->c->properties) {
                if (strcasecmp(*p, name) == 0)
                        wanted = s->found[i] = true;
                i++;
        }
        return wanted;
}

/* Lists of words as systemctl shows them, texts without quotes, and no number that means "unknown". */
static int print_property(sd_bus_message *m, const char *name, bool value_only) {
        const char *contents, *s;
        bool first = true;
        uint64_t t;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'v', contents);
        if (r < 0)
                return r;
        if (!value_only)
                (void) printf("%s=", name);
        if (streq(contents, "as")) {
                r = sd_bus_message_enter_container(m, 'a', "s");
                while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &s)) > 0) {
                        (void) printf("%s", first ? "" : " ");
                        value_print_text(s, stdout);
                        first = false;
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        } else if (streq(contents, "s")) {
                r = sd_bus_message_read_basic(m, 's', &s);
                if (r >= 0)
                        value_print_text(s, stdout);
        } else if (streq(contents, "t")) {
                r = sd_bus_message_read_basic(m, 't', &t);
                if (r >= 0 && t == UINT64_MAX)
                        (void) printf("[not set]");
                else if (r >= 0)
                        (void) printf("%llu", (unsigned long long) t);
        } else
                r = value_print(m, stdout);
        (void) putchar('\n');
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int json_property(sd_bus_message *m, struct json *j, const char *name) {
        char key[128];
        uint64_t t;
        int r;

        json_key(j, snake_case(name, key, sizeof(key)));
        if (sd_bus_message_verify_type(m, 'v', "t") <= 0)
                return value_to_json(m, j);
        r = sd_bus_message_read(m, "v", "t", &t);
        if (r >= 0 && t == UINT64_MAX)
                json_null(j);
        else if (r >= 0)
                json_u64(j, t);
        return r;
}

/* Not a property of its own, because it changes all the time. */
static void show_uptime(struct show *s, usec_t started) {
        usec_t now = now_usec(), uptime = started > 0 && started < now ? now - started : 0;

        if (!is_wanted(s, "UptimeUsec"))
                return;
        if (s->c->json == JSON_OFF)
                (void) printf("%s%llu\n", s->c->value_only ? "" : "UptimeUsec=",
                              (unsigned long long) uptime);
        else {
                json_key(&s->j, "uptime_usec");
                json_u64(&s->j, uptime);
        }
}

/* For "did you mean ...?", which comes when the reply that name is in has gone. */
static void consider(struct show *s, const char *name) {
        if (!s->c->properties)
                return;
        suggest(&s->near, *s->c->properties, name);
        if (s->near.word == name) {
                (void) snprintf(s->near_name, sizeof(s->near_name), "%s", name);
                s->near.word = s->near_name;
        }
}

static int show_properties(struct show *s, sd_bus_message *m) {
        const char *name;
        uint64_t started;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r < 0)
                        return r;
                consider(s, name);
                if (streq(name, "StartedUsec")) {
                        r = sd_bus_message_read(m, "v", "t", &started);
                        if (r < 0)
                                return r;
                        show_uptime(s, started);
                        r = sd_bus_message_rewind(m, false);
                        if (r >= 0)
                                r = sd_bus_message_skip(m, "s");
                        if (r < 0)
                                return r;
                }
                if (!is_wanted(s, name))
                        r = sd_bus_message_skip(m, "v");
                else if (s->c->json == JSON_OFF)
                        r = print_property(m, name, s->c->value_only);
                else
                        r = json_property(m, &s->j, name);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static int show_object(struct show *s, const char *path, const char *interface) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = get_all_properties(s->c, path, interface, &reply);
        if (r != 0)
                return r;
        pager_open(s->c);
        if (s->c->json != JSON_OFF)
                json_open(&s->j, '{');
        else if (s->again)
                (void) putchar('\n');
        r = show_properties(s, reply);
        if (r < 0)
                return complain_reply(r);
        if (s->c->json != JSON_OFF) {
                if (is_wanted(s, "Path"))
                        json_key_string(&s->j, "path", path);
                json_close(&s->j, '}');
        } else if (is_wanted(s, "Path"))
                (void) printf("%s%s\n", s->c->value_only ? "" : "Path=", path);
        s->again = true;
        return 0;
}

static int show_targets(struct show *s, char *const *patterns) {
        _cleanup_(snapshot_done) struct snapshot snapshot = {};
        _cleanup_free_ struct target *targets = NULL;
        int r, status;
        size_t n;

        if (!*patterns)
                return show_object(s, BUS_PATH, BUS_INTERFACE_MANAGER);
        r = snapshot_take(s->c, &snapshot);
        if (r != 0)
                return r;
        status = snapshot_resolve(&snapshot, patterns, TARGET_MONITORS | TARGET_ACTORS | TARGET_EACH,
                                  &targets, &n);
        for (size_t i = 0; i < n; i++) {
                if (targets[i].actor)
                        r = show_object(s, targets[i].actor->path, BUS_INTERFACE_ACTOR);
                else
                        r = show_object(s, targets[i].monitor->path, BUS_INTERFACE_MONITOR);
                if (r != 0)
                        return r;
        }
        return status;
}

static int complain_not_found(const struct show *s) {
        size_t i = 0;

        STRV_FOREACH (p, s->c->properties) {
                if (s->found[i++])
                        continue;
                if (s->near.word && p == s->c->properties)
                        return complain(EXIT_FAILURE,
                                        "No property '%s': did you mean '%s'? Without -p, show lists all.",
                                        *p, s->near.word);
                return complain(EXIT_FAILURE, "No property '%s'. Without -p, show lists all.", *p);
        }
        return 0;
}

int verb_show(int argc, char *argv[], void *userdata) {
        struct context *c = userdata;
        _cleanup_free_ bool *found = calloc(strv_length(c->properties) + 1, sizeof(bool));
        struct show s = { .c = c, .found = found };
        int status;

        if (!found)
                return out_of_memory();
        json_list_begin(&s.j, c->json);
        status = show_targets(&s, argv + 1);
        json_list_end(&s.j);
        return status == 0 && s.again ? complain_not_found(&s) : status;
}

static int print_info(struct context *c, sd_bus_message *reply, struct json *j, const char *heading) {
        int r;

        pager_open(c);
        if (c->json != JSON_OFF)
                r = value_to_json(reply, j);
        else {
                if (heading)
                        (void) printf("%s\n", heading);
                r = value_print_tree(reply, stdout, heading ? 1 : 0);
        }
        return r < 0 ? complain_reply(r) : 0;
}

static int print_infos(struct context *c, const struct target *targets, size_t n, struct json *j) {
        int r, status = 0;

        for (size_t i = 0; i < n; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

                r = call_manager(c, "Send", targets[i].name, &reply, "ssava{sv}",
                                 targets[i].actor ? targets[i].actor->aid : targets[i].name, "info", 0, 0);
                if (r == 0)
                        r = print_info(c, reply, j, n > 1 ? targets[i].name : NULL);
                status = status != 0 ? status : r;
        }
        return status;
}

int verb_info(int argc, char *argv[], void *userdata) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_free_ struct target *targets = NULL;
        struct context *c = userdata;
        int r, status;
        struct json j;
        size_t n;

        r = snapshot_take(c, &s);
        if (r != 0)
                return r;
        status = snapshot_resolve(&s, argv + 1, TARGET_ACTORS | TARGET_WORKERS | TARGET_ARBITER, &targets,
                                  &n);
        json_list_begin(&j, c->json);
        r = print_infos(c, targets, n, &j);
        json_list_end(&j);
        return status != 0 ? status : r;
}
