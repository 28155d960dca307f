/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* list-children, add-child, remove-child: the children of a monitor. To stop one, or to start it again, stop
 * and restart take its name as any other. */

#include <inttypes.h>

#include "arbiterctl/pager.h"
#include "arbiterctl/table.h"
#include "arbiterctl/verb-util.h"
#include "shared/bus-names.h"

#define CHILDREN_SIGNATURE "a(sssssubt)"

/* The object of the monitor of this name. */
static int find_monitor(struct context *c, char *name, struct snapshot *s, const char **ret_path) {
        char *patterns[] = { name, NULL };
        _cleanup_free_ struct target *targets = NULL;
        size_t n;
        int r;

        r = snapshot_take(c, s);
        if (r == 0)
                r = snapshot_resolve(s, patterns, TARGET_MONITORS, &targets, &n);
        if (r != 0)
                return r;
        if (n != 1)
                return complain(EXIT_USAGE, "'%s' is more than one monitor; name one.", name);
        *ret_path = targets[0].monitor->path;
        return 0;
}

static void child_to_json(const char *const *texts, uint32_t pid, int significant, uint64_t restarts,
                          struct json *j) {
        json_open(j, '{');
        json_key_string(j, "name", texts[0]);
        json_key_string(j, "kind", texts[1]);
        json_key_string(j, "restart", texts[2]);
        json_key_string(j, "state", texts[3]);
        json_key_string(j, "aid", texts[4]);
        json_key_u64(j, "pid", pid);
        json_key_u64(j, "significant", (uint64_t) significant);
        json_key_u64(j, "restarts", restarts);
        json_close(j, '}');
}

static int add_row(struct table *t, const char *const *texts, uint32_t pid, int significant,
                   uint64_t restarts) {
        char numbers[2][24];

        (void) snprintf(numbers[0], sizeof(numbers[0]), "%" PRIu32, pid);
        (void) snprintf(numbers[1], sizeof(numbers[1]), "%" PRIu64, restarts);
        return table_add(t, state_colour(texts[3]),
                         (const char *[]){ texts[0], texts[1], texts[2], significant ? "yes" : "no",
                                           texts[3], pid > 0 ? numbers[0] : "-", numbers[1] });
}

static int read_children(sd_bus_message *m, struct table *t, struct json *j) {
        const char *x[5];
        uint64_t restarts;
        int significant, r;
        uint32_t pid;

        r = sd_bus_message_enter_container(m, 'a', ROW(CHILDREN_SIGNATURE));
        while (r >= 0) {
                r = sd_bus_message_read(m, ROW(CHILDREN_SIGNATURE), &x[0], &x[1], &x[2], &x[3], &x[4], &pid,
                                        &significant, &restarts);
                if (r <= 0)
                        break;
                if (j)
                        child_to_json(x, pid, significant, restarts, j);
                else
                        r = add_row(t, x, pid, significant, restarts);
        }
        return r;
}

int verb_list_children(int argc, char *argv[], void *userdata) {
        static const struct table_column columns[] = {
                { "NAME" },
                { "KIND" },
                { "RESTART" },
                { "SIGNIFICANT" },
                { "STATE", .by_state = true },
                { "PID", .right = true },
                { "RESTARTS", .right = true },
                {},
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(snapshot_done) struct snapshot s = {};
        _cleanup_(table_done) struct table t = {};
        struct context *c = userdata;
        const char *path = NULL;
        struct json j;
        int r;

        r = find_monitor(c, argv[1], &s, &path);
        if (r == 0)
                r = new_call(c, path, BUS_INTERFACE_MONITOR, "ListChildren", &m);
        if (r == 0)
                r = call_for_work(c, m, argv[1], &reply);
        if (r != 0 || !reply)
                return r;
        if (c->json != JSON_OFF) {
                json_list_begin(&j, c->json);
                r = read_children(reply, NULL, &j);
                json_list_end(&j);
                return r < 0 ? complain_reply(r) : 0;
        }
        r = table_init(&t, columns, c->legend);
        if (r >= 0)
                r = read_children(reply, &t, NULL);
        if (r < 0)
                return complain_reply(r);
        pager_open(c);
        return table_print(&t) < 0 ? out_of_memory() : 0;
}

int verb_add_child(int argc, char *argv[], void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(snapshot_done) struct snapshot s = {};
        struct context *c = userdata;
        const char *path = NULL;
        int r;

        r = find_monitor(c, argv[1], &s, &path);
        if (r == 0)
                r = new_call(c, path, BUS_INTERFACE_MONITOR, "AddChild", &m);
        if (r == 0 && sd_bus_message_append(m, "sss", argv[2], argc > 3 ? argv[3] : "", "") < 0)
                r = out_of_memory();
        return r != 0 ? r : call_for_work(c, m, argv[2], &reply);
}

int verb_remove_child(int argc, char *argv[], void *userdata) {
        _cleanup_(snapshot_done) struct snapshot s = {};
        struct context *c = userdata;
        const char *path = NULL;
        int r;

        r = find_monitor(c, argv[1], &s, &path);
        for (int i = 2; i < argc && r == 0; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;

                r = new_call(c, path, BUS_INTERFACE_MONITOR, "RemoveChild", &m);
                if (r == 0 && sd_bus_message_append(m, "s", argv[i]) < 0)
                        r = out_of_memory();
                if (r == 0)
                        r = call_for_work(c, m, argv[i], &reply);
        }
        return r;
}
