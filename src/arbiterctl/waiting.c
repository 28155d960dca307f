/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the answer of Why(). Called by why, and by status for the places of workers that are empty. */

#include "arbiterctl/waiting.h"
#include "shared/bus-names.h"

int waiting_take(struct context *c, const char *target, struct waiting *ret) {
        int r;

        r = call_manager(c, "Why", *target ? target : NULL, &ret->reply, "s", target);
        if (r != 0)
                return r;
        r = sd_bus_message_enter_container(ret->reply, 'a', ROW(BUS_WHY_SIGNATURE));
        while (r >= 0) {
                struct waiting_row a, *rows;

                r = sd_bus_message_read(ret->reply, ROW(BUS_WHY_SIGNATURE), &a.name, &a.state,
                                        &a.waiting_for, &a.since_usec, &a.until_usec, &a.last_reason,
                                        &a.last_status, &a.attempts, &a.text);
                if (r <= 0)
                        break;
                rows = grow(ret->rows, ret->n_rows, sizeof(a));
                if (!rows)
                        return out_of_memory();
                ret->rows = rows;
                ret->rows[ret->n_rows++] = a;
        }
        return r < 0 ? complain_reply(r) : 0;
}

void waiting_done(struct waiting *w) {
        free(w->rows);
        sd_bus_message_unref(w->reply);
        *w = (struct waiting){};
}
