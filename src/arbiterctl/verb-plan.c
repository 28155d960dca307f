/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon-reload --dry-run: what a reload would do, by the arbiter's own word; nothing of it is done. */

#include <stdio.h>

#include "arbiterctl/manager.h"
#include "arbiterctl/output.h"
#include "arbiterctl/pager.h"
#include "arbiterctl/table.h"
#include "arbiterctl/verb-util.h"
#include "shared/bus-names.h"

struct plan {
        struct context *c;
        struct table table;
        struct json j;
        size_t n, n_refused;
};

static int add_step(struct plan *p, const char *name, const char *verb, const char *details) {
        bool refused = streq(verb, "refuse");

        p->n++;
        p->n_refused += refused;
        if (p->c->json == JSON_OFF)
                return table_add(&p->table, refused ? COLOUR_RED : COLOUR_NORMAL,
                                (const char *[]){ name, verb, details });
        json_open(&p->j, '{');
        json_key_string(&p->j, "name", name);
        json_key_string(&p->j, "verb", verb);
        json_key_string(&p->j, "details", details);
        json_close(&p->j, '}');
        return 0;
}

static int read_plan(struct plan *p, sd_bus_message *reply) {
        const char *name, *verb, *details;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', ROW(BUS_PLAN_RELOAD_SIGNATURE));
        while (r >= 0) {
                r = sd_bus_message_read(reply, ROW(BUS_PLAN_RELOAD_SIGNATURE), &name, &verb, &details);
                if (r <= 0)
                        break;
                if (add_step(p, name, verb, details) < 0)
                        return out_of_memory();
        }
        return r < 0 ? complain_reply(r) : 0;
}

static int print_plan(struct plan *p) {
        if (p->c->json != JSON_OFF)
                json_list_end(&p->j);
        else if (p->n == 0) {
                if (!p->c->quiet)
                        (void) printf("A reload would change nothing.\n");
        } else {
                pager_open(p->c);
                table_set_width(&p->table, p->c->full ? 0 : output_width());
                if (table_print(&p->table) < 0)
                        return out_of_memory();
        }
        return p->n_refused > 0 ? EXIT_FAILURE : 0;
}

int verb_plan_reload(struct context *c) {
        static const struct table_column columns[] = {
                { "NAME" },
                { "PLAN", .by_state = true },
                { "DETAILS", .cut = true },
                {},
        };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct plan p = { .c = c };
        int r;

        c->block = true; /* without its answer it is nothing */
        r = call_manager_for_work(c, "PlanReload", NULL, &reply);
        if (r != 0)
                return r;
        if (table_init(&p.table, columns, c->legend) < 0)
                return out_of_memory();
        json_list_begin(&p.j, c->json);
        r = read_plan(&p, reply);
        if (r == 0)
                r = print_plan(&p);
        table_done(&p.table);
        return r;
}
