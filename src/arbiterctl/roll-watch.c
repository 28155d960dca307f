/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the arbiter tells of its monitors while they replace workers. Called by the verbs that begin a roll,
 * or turn one back; how it ends they hear by the answer to their call. */

#include <inttypes.h>
#include <stdio.h>

#include "arbiterctl/progress.h"
#include "arbiterctl/roll-watch.h"
#include "shared/bus-names.h"

static int read_one(sd_bus_message *m, const char *property, struct roll_row *row) {
        const char *failing, *reason;
        int r;

        if (streq(property, "RollReplaced"))
                return sd_bus_message_read(m, "v", "u", &row->replaced);
        if (streq(property, "RollLeft"))
                return sd_bus_message_read(m, "v", "u", &row->left);
        if (streq(property, "Workers"))
                return sd_bus_message_read(m, "v", "u", &row->workers);
        if (streq(property, "RollReason")) {
                r = sd_bus_message_read(m, "v", "s", &reason);
                if (r >= 0 && *reason)
                        row->unready = streq(reason, "not-ready");
                return r;
        }
        if (!streq(property, "RollFailing"))
                return sd_bus_message_skip(m, "v");
        r = sd_bus_message_read(m, "v", "s", &failing);
        if (r >= 0 && *failing) { /* of the last one, if it has been tried again meanwhile */
                free(row->failing);
                row->failing = strdup(failing);
        }
        return r;
}

static int read_changes(sd_bus_message *m, struct roll_row *row) {
        const char *interface, *property;
        int r;

        r = sd_bus_message_read(m, "s", &interface);
        if (r < 0 || !streq(interface, BUS_INTERFACE_MONITOR))
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r > 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &property);
                if (r >= 0)
                        r = read_one(m, property, row);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static void tell(const struct roll_watch *w, const struct roll_row *row) {
        char text[200];

        if (w->c->quiet || row->replaced == 0)
                return;
        (void) snprintf(text, sizeof(text), "%s: %" PRIu32 " of %" PRIu32 " workers replaced", row->name,
                        row->replaced, row->workers);
        if (!progress_tell(text) && w->c->json == JSON_OFF) {
                (void) printf("%s\n", text);
                (void) fflush(stdout);
        }
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *path = sd_bus_message_get_path(m);
        struct roll_watch *w = userdata;

        if (!w->armed ||
            !sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties", "PropertiesChanged"))
                return 0;
        for (size_t i = 0; i < w->n; i++) {
                struct roll_row *row = w->rows + i;
                uint32_t before = row->replaced;

                if (!path || !streq(row->path, path))
                        continue;
                if (read_changes(m, row) < 0)
                        (void) sd_bus_message_rewind(m, true);
                if (row->replaced != before)
                        tell(w, row);
        }
        return 0;
}

int roll_watch_begin(struct roll_watch *w, struct context *c, const struct target *targets, size_t n) {
        *w = (struct roll_watch){ .c = c, .rows = calloc(n + 1, sizeof(*w->rows)) };
        if (!w->rows)
                return out_of_memory();
        for (size_t i = 0; i < n; i++) {
                struct roll_row *row = w->rows + w->n;

                if (!targets[i].monitor)
                        continue;
                *row = (struct roll_row){
                        .name = targets[i].name,
                        .workers = targets[i].monitor->workers,
                        .path = strdup(targets[i].monitor->path),
                };
                if (!row->path)
                        return out_of_memory();
                w->n++;
        }
        w->armed = c->block && w->n > 0;
        return w->armed && context_subscribe(c, on_message, w) < 0 ? out_of_memory() : 0;
}

const char *roll_watch_failing(const struct roll_watch *w, const char *name) {
        for (size_t i = 0; i < w->n; i++)
                if (streq(w->rows[i].name, name))
                        return w->rows[i].failing;
        return NULL;
}

bool roll_watch_is_unready(const struct roll_watch *w, const char *name) {
        for (size_t i = 0; i < w->n; i++)
                if (streq(w->rows[i].name, name))
                        return w->rows[i].unready;
        return false;
}

/* The filter stays with the connection, which ends with the verb. */
void roll_watch_done(struct roll_watch *w) {
        for (size_t i = 0; i < w->n; i++) {
                free(w->rows[i].path);
                free(w->rows[i].failing);
        }
        free(w->rows);
        w->rows = NULL;
        w->n = 0;
        w->armed = false;
}
