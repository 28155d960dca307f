/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What has become of units while nobody listened: of those whose connection was lost, and of those that an
 * arbiter before this one has started. Called by systemd.c when systemd can be asked again. A unit is ours
 * if it is the life that we know of, or bears our mark; whatever else has its name is let alone. Must never
 * take the word of a name for it. */

#include "bus/systemd.h"

/* The unit that is there was asked for by us: its start goes on, or its life. */
static void go_on(struct systemd_unit *u) {
        u->state = UNIT_STARTING;
        u->job = strdup(u->facts.job);
}

static void settle_lost(struct systemd_unit *u) {
        bool ours = u->transient ? u->facts.marked : u->facts.activity != UNIT_DOWN;

        if (ours)
                go_on(u);
        else
                systemd_unit_fail(u, "the connection to systemd was lost when it was to start %s", u->name);
}

/* A start was intended, and no more is known. Transient units are marked; an instance of a template was seen
 * to be down before it was started, so that what began since then was begun for us. */
static bool was_carried_out(const struct systemd_unit *u) {
        if (u->transient)
                return u->facts.marked;
        return *u->facts.invocation && u->facts.begun_usec >= u->since;
}

/* Its name is another one's, or nobody's. */
static void give_up(struct systemd_unit *u, bool gone) {
        u->end.started = *u->invocation;
        u->end.absent = !u->end.started;
        if (gone || u->end.absent)
                systemd_unit_set_over(u);
        else
                systemd_unit_fail(u,
                                "the unit %s is another one than this actor's, which has ended while no "
                                "arbiter was there: \"systemctl%s status %s\" shows it, and it has to go "
                                "first",
                                u->name, systemd_option(u->systemd->kind), u->name);
}

static void take_over(struct systemd_unit *u) {
        if (u->facts.activating && *u->facts.job) {
                go_on(u);
                systemd_unit_changed(u);
                return;
        }
        u->state = UNIT_ACTIVE;
        /* "systemctl stop" has been said meanwhile, if it was not us. */
        if (u->facts.activity == UNIT_GOING_DOWN && *u->facts.job)
                systemd_unit_job_new(u, u->facts.job);
        if (u->facts.activity == UNIT_UP)
                systemd_unit_set_active(u);
        else
                systemd_unit_changed(u);
}

static void settle_adopted(struct systemd_unit *u, bool gone) {
        bool same = streq(u->invocation, u->facts.invocation);

        if (gone || (*u->invocation ? !same && !u->facts.marked : !was_carried_out(u))) {
                give_up(u, gone);
                return;
        }
        if (*u->invocation && !same) { /* "systemctl restart" has been said meanwhile */
                u->state = UNIT_ACTIVE;
                systemd_unit_end_foreign_life(u);
        } else
                take_over(u);
}

/* systemd has let go of it. Of an instance it makes a new one when it is asked; that its template is gone
 * does not end it. */
static bool is_gone(const struct systemd_unit *u) {
        if (u->transient)
                return u->facts.not_found;
        return u->state == UNIT_ADOPTING && u->facts.activity == UNIT_DOWN && !*u->facts.invocation;
}

/* It is down, or was, and somebody else's job goes on. That we stop what that has started may not have been
 * heard. */
static void settle_instance(struct systemd_unit *u) {
        u->foreign_life = u->foreign_life && u->facts.activity != UNIT_UP;
        if (!*u->facts.job)
                systemd_unit_foreign_job_ended(u);
}

/* Its end may have been told while nobody listened. */
static void forget_foreign_job(struct systemd_unit *u) {
        if (!u->foreign_job || *u->facts.job)
                return;
        free(u->foreign_job);
        u->foreign_job = NULL;
        u->foreign = u->facts.activity != UNIT_UP;
}

static void settle(struct systemd_unit *u) {
        bool gone = is_gone(u);

        forget_foreign_job(u);
        if (u->state == UNIT_LOST) {
                if (gone)
                        u->facts.marked = false;
                settle_lost(u);
        } else if (u->state == UNIT_ADOPTING)
                settle_adopted(u, gone);
        else if (u->state == UNIT_ENDING && !u->transient)
                settle_instance(u);
        else if (u->state == UNIT_ENDING && u->facts.activity == UNIT_DOWN && !gone)
                systemd_unit_let_go(u); /* that may have been lost with the connection */
        if (gone && u->state != UNIT_OVER) {
                systemd_unit_removed(u);
                return;
        }
        if (u->state == UNIT_STARTING && !*u->facts.job) /* its job has ended while we were away */
                systemd_unit_start_job_ended(u, u->facts.activity == UNIT_DOWN ? "failed" : "done");
        else
                systemd_unit_changed(u);
        if (u->stop_wanted) /* it was while nobody could be asked */
                systemd_unit_stop(u);
}

bool systemd_unit_is_known(const struct systemd_unit *u) {
        return u->state >= UNIT_LOST && u->state < UNIT_OVER;
}

void systemd_unit_compare(struct systemd_unit *u, const char *load_state, const char *active_state) {
        bool goes_on = u->state == UNIT_ACTIVE && u->facts.activity == UNIT_UP &&
                       streq(active_state, "active");

        if (!systemd_unit_is_known(u) || (goes_on && !streq(load_state, "not-found") && !u->stop_wanted))
                return;
        systemd_unit_stop_asking(u);
        list_append(&u->systemd->to_ask, &u->to_ask);
        systemd_again(u->systemd);
}

void systemd_unit_stop_asking(struct systemd_unit *u) {
        list_remove(&u->to_ask);
        u->queries[0] = sd_bus_slot_unref(u->queries[0]);
        u->queries[1] = sd_bus_slot_unref(u->queries[1]);
        if (!u->asked)
                return;
        u->asked = false;
        u->systemd->n_asked--;
        systemd_again(u->systemd);
}

/* systemd has no such object. Anything else says nothing about the unit. */
static bool is_unknown(const sd_bus_error *e) {
        return sd_bus_error_has_names(e, SYSTEMD ".NoSuchUnit", SD_BUS_ERROR_UNKNOWN_OBJECT,
                        SD_BUS_ERROR_UNKNOWN_INTERFACE, SD_BUS_ERROR_UNKNOWN_METHOD);
}

static int on_queried(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct systemd_unit *u = userdata;
        bool last = --u->n_queries == 0;

        if (e && !is_unknown(e)) {
                systemd_unit_stop_asking(u);
                systemd_absent(u->systemd);
                return 0;
        }
        if (e)
                u->facts.not_found = true;
        else
                (void) unit_facts_read(&u->facts, m, u->mark);
        if (!last)
                return 0;
        systemd_unit_stop_asking(u);
        settle(u);
        return 0;
}

void systemd_unit_ask(struct systemd_unit *u) {
        static const char *const interfaces[] = { SYSTEMD_SERVICE, SYSTEMD_UNIT };
        struct systemd *s = u->systemd;
        int r = 0;

        u->facts.not_found = false;
        u->n_queries = 0;
        u->asked = true;
        s->n_asked++;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(interfaces); i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

                r = systemd_new_call(s, u->path, "org.freedesktop.DBus.Properties", "GetAll", &m);
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", interfaces[i]);
                if (r >= 0)
                        r = systemd_call(s, m, &u->queries[i], on_queried, u);
                if (r >= 0)
                        u->n_queries++;
        }
        if (r < 0) {
                systemd_unit_stop_asking(u);
                systemd_absent(s);
        }
}
