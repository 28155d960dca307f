/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One life of one unit, from its place in the queue to its end. Called by systemd.c with what the manager
 * tells, and by the arbiter through units.h. What the arbiter is told of its end is told once, in a turn of
 * its own. Must never wait, nor act on a unit of this name that is not ours. */

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "basic/text.h"
#include "bus/convert.h"
#include "bus/systemd.h"

static void leave_flight(struct systemd_unit *u) {
        if (!u->in_flight)
                return;
        u->in_flight = false;
        u->systemd->n_in_flight--;
        systemd_again(u->systemd);
}

static void enter_flight(struct systemd_unit *u) {
        if (u->in_flight)
                return;
        u->in_flight = true;
        u->systemd->n_in_flight++;
}

static int new_unit(struct systemd *s, const char *name, const char *mark, const struct unit_events *events,
                void *userdata, struct systemd_unit **ret) {
        _cleanup_(systemd_unit_freep) struct systemd_unit *u = NULL;
        int r;

        if (map_get_string(s->by_name, name))
                return -EEXIST;
        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        list_init(&u->queue);
        list_init(&u->to_ask);
        u->systemd = s;
        s->n_units++;
        u->events = events;
        u->userdata = userdata;
        u->name = strdup(name);
        u->mark = strdup(mark);
        if (!u->name || !u->mark)
                return -ENOMEM;
        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, name, &u->path);
        if (r >= 0)
                r = map_put_string(s->by_name, u->name, u);
        if (r >= 0)
                r = map_put_string(s->by_path, u->path, u);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(u);
        return 0;
}

int systemd_unit_new(struct systemd *s, const struct unit_request *q, const struct unit_events *events,
                void *userdata, struct systemd_unit **ret) {
        int r;

        r = new_unit(s, q->name, q->mark, events, userdata, ret);
        if (r < 0)
                return r;
        (*ret)->properties = arbiter_message_ref(q->properties);
        (*ret)->transient = q->properties != NULL;
        (*ret)->leaves = q->leaves;
        return 0;
}

int systemd_unit_new_adopted(struct systemd *s, const struct unit_adoption *q,
                const struct unit_events *events, void *userdata, struct systemd_unit **ret) {
        int r;

        r = new_unit(s, q->name, q->mark, events, userdata, ret);
        if (r < 0)
                return r;
        (*ret)->state = UNIT_ADOPTING;
        (*ret)->transient = q->transient;
        (*ret)->leaves = q->leaves;
        (*ret)->since = q->since_usec;
        (void) snprintf((*ret)->invocation, sizeof((*ret)->invocation), "%s", q->invocation_id);
        return 0;
}

struct systemd_unit *systemd_unit_free(struct systemd_unit *u) {
        struct systemd *s = u->systemd;

        leave_flight(u);
        list_remove(&u->queue);
        if (u->name && map_get_string(s->by_name, u->name) == u)
                map_remove_string(s->by_name, u->name);
        if (u->path && map_get_string(s->by_path, u->path) == u)
                map_remove_string(s->by_path, u->path);
        sd_bus_slot_unref(u->call);
        sd_bus_slot_unref(u->stop_call);
        systemd_unit_stop_asking(u);
        arbiter_message_unref(u->properties);
        s->n_units--;
        free(u->name);
        free(u->path);
        free(u->mark);
        free(u->job);
        free(u->foreign_job);
        free(u->text);
        free(u);
        return NULL;
}

/* Its end. */

void systemd_unit_set_over(struct systemd_unit *u) {
        if (u->state == UNIT_OVER)
                return;
        u->state = UNIT_OVER;
        leave_flight(u);
        u->call = sd_bus_slot_unref(u->call);
        u->stop_call = sd_bus_slot_unref(u->stop_call);
        systemd_unit_stop_asking(u);
        u->end.result = u->result;
        u->end.text = u->text;
        list_remove(&u->queue);
        list_append(&u->systemd->over, &u->queue);
        systemd_again(u->systemd);
}

void systemd_unit_fail(struct systemd_unit *u, const char *format, ...) {
        va_list ap;

        if (u->state == UNIT_OVER)
                return;
        va_start(ap, format);
        u->text = text_formatv(format, ap);
        va_end(ap);
        systemd_unit_set_over(u);
}

void systemd_unit_clear(struct systemd_unit *u) {
        systemd_tell(u->systemd, "ResetFailedUnit", "s", u->name);
}

void systemd_unit_let_go(struct systemd_unit *u) {
        if (u->leaves)
                systemd_tell(u->systemd, "KillUnit", "ssi", u->name, "all", (int32_t) SIGKILL);
        if (!streq(u->result, "success"))
                systemd_unit_clear(u);
}

/* What of its end is to be known is known now. */
static void note_end(struct systemd_unit *u) {
        if (u->state >= UNIT_ENDING)
                return;
        u->end.started = true;
        u->end.code = u->facts.code;
        u->end.status = u->facts.status;
        (void) snprintf(u->result, sizeof(u->result), "%s", u->facts.result);
        if (u->foreign && !u->stop_wanted)
                u->end.wish = UNIT_WISH_STOP;
        u->state = UNIT_ENDING;
        leave_flight(u);
        list_remove(&u->queue); /* it need not be stopped any more */
        if (u->transient)
                systemd_unit_let_go(u);
}

static void tell_stopping(struct systemd_unit *u) {
        if (u->told_stopping)
                return;
        u->told_stopping = true;
        u->events->stopping(u->foreign && !u->stop_wanted, u->userdata);
}

/* It is down. systemd says what is to be known before it lets go of a transient unit, and its name is free
 * then. (To be asked to wait until we have looked, it would ask the bus about us at each start, and wait for
 * the answers.) An instance of a template may stay, as failed, until somebody looks. By "systemctl restart"
 * it goes down, and comes back: what others have asked for is known when their job has ended. */
static void set_ending(struct systemd_unit *u) {
        if (u->state >= UNIT_ENDING)
                return;
        note_end(u);
        if (u->transient)
                return;
        if (u->foreign_job && !u->stop_wanted)
                tell_stopping(u);
        else
                systemd_unit_set_over(u);
}

/* Somebody else has had systemd start it again, behind our back: the arbiter does that, and this goes. */
void systemd_unit_end_foreign_life(struct systemd_unit *u) {
        note_end(u);
        if (u->foreign_life)
                return;
        u->foreign_life = true;
        u->end.wish = u->stop_wanted ? UNIT_WISH_NONE : UNIT_WISH_RESTART;
        systemd_tell(u->systemd, "StopUnit", "ss", u->name, "replace");
}

void systemd_unit_removed(struct systemd_unit *u) {
        if (u->state == UNIT_ENDING)
                systemd_unit_set_over(u);
        else if (u->state == UNIT_ACTIVE || u->state == UNIT_STARTING) {
                /* Nobody has told us how it ended. */
                u->end.started = true;
                u->end.code = u->facts.code;
                u->end.status = u->facts.status;
                systemd_unit_set_over(u);
        }
}

/* What it does meanwhile. */

static void tell_process(struct systemd_unit *u) {
        if (u->told_process || u->facts.main_pid <= 0)
                return;
        u->told_process = true;
        (void) snprintf(u->invocation, sizeof(u->invocation), "%s", u->facts.invocation);
        leave_flight(u); /* PID 1 has done its part */
        u->events->main_process(u->facts.main_pid, u->invocation, u->userdata);
}

static bool is_another_life(const struct systemd_unit *u) {
        return u->told_process && *u->invocation && *u->facts.invocation &&
               !streq(u->invocation, u->facts.invocation);
}

static void look_at_active(struct systemd_unit *u) {
        if (is_another_life(u)) {
                systemd_unit_end_foreign_life(u);
                return;
        }
        tell_process(u);
        if (u->facts.activity == UNIT_DOWN) {
                set_ending(u);
                return;
        }
        if (u->facts.activity == UNIT_GOING_DOWN)
                tell_stopping(u);
        if (*u->facts.status_text)
                u->events->status(u->facts.status_text, u->userdata);
}

void systemd_unit_changed(struct systemd_unit *u) {
        switch (u->state) {
        case UNIT_STARTING:
                tell_process(u);
                break;
        case UNIT_ACTIVE:
                look_at_active(u);
                break;
        case UNIT_ENDING:
                if (u->facts.activity == UNIT_UP)
                        systemd_unit_end_foreign_life(u);
                else if (u->facts.activity == UNIT_DOWN && u->foreign_life && !u->transient)
                        systemd_unit_set_over(u);
                break;
        default:
                break;
        }
}

void systemd_unit_set_active(struct systemd_unit *u) {
        u->state = UNIT_ACTIVE;
        leave_flight(u);
        tell_process(u);
        u->events->started(u->userdata);
        if (u->state == UNIT_ACTIVE)
                look_at_active(u);
}

/* Jobs. */

void systemd_unit_job_new(struct systemd_unit *u, const char *job) {
        char *copy;

        if ((u->state != UNIT_STARTING && u->state != UNIT_ACTIVE) || u->stop_wanted ||
                        streq_ptr(job, u->job))
                return;
        copy = strdup(job);
        free(u->foreign_job);
        u->foreign_job = copy;
        u->foreign = copy != NULL;
}

/* More than a word of it is in the journal only: PID 1 says there what could not be done. */
static void explain_start(struct systemd_unit *u, const char *result) {
        const char *option = systemd_option(u->systemd->kind);
        const char *quote = strchr(u->name, '\\') ? "'" : ""; /* it may be copied into a shell */
        bool tried = *u->facts.result && !streq(u->facts.result, "success");

        if (asprintf(&u->text, "systemd could not start %s (%s%s): \"journalctl%s -u %s%s%s\" says why",
                            u->name, tried ? "Result=" : "its job: ", tried ? u->facts.result : result,
                            option, quote, u->name, quote) < 0)
                u->text = NULL;
}

void systemd_unit_start_job_ended(struct systemd_unit *u, const char *result) {
        leave_flight(u);
        if (streq(result, "done") && u->facts.activity == UNIT_DOWN && u->facts.unmet && !u->told_process) {
                systemd_unit_fail(u,
                                "%s was not started, since a Condition...= of it is not met: \"systemctl%s "
                                "status %s\" says which",
                                u->name, systemd_option(u->systemd->kind), u->name);
                return;
        }
        if (streq(result, "done")) {
                systemd_unit_set_active(u);
                return;
        }
        /* All that it has to say has been said before that signal. */
        if (u->facts.activity != UNIT_DOWN) {
                u->state = UNIT_ACTIVE; /* it goes down in its own time: the job was replaced by a stop */
                look_at_active(u);
                return;
        }
        u->end.started = true; /* it may have run */
        explain_start(u, result);
        set_ending(u);
}

/* It was a stop, or a restart that has come to nothing. */
void systemd_unit_foreign_job_ended(struct systemd_unit *u) {
        if (u->transient || u->foreign_life || u->facts.activity != UNIT_DOWN)
                return;
        if (is_another_life(u) && !u->stop_wanted)
                u->end.wish = UNIT_WISH_RESTART;
        systemd_unit_set_over(u);
}

void systemd_unit_job_removed(struct systemd_unit *u, const char *job, const char *result) {
        if (u->state == UNIT_STARTING && streq_ptr(job, u->job)) {
                systemd_unit_start_job_ended(u, result);
                return;
        }
        if (!streq_ptr(job, u->foreign_job))
                return;
        free(u->foreign_job);
        u->foreign_job = NULL;
        if (u->state == UNIT_ENDING)
                systemd_unit_foreign_job_ended(u);
        else /* if it has not ended it, it was a reload, or a start of what runs */
                u->foreign = u->facts.activity != UNIT_UP;
}

/* Starting. */

static void on_refused(struct systemd_unit *u, const sd_bus_error *e) {
        if (systemd_is_unanswered(e)) {
                u->state = UNIT_LOST; /* what has become of it is asked when systemd is back */
                systemd_absent(u->systemd);
        } else if (systemd_is_absent(e)) {
                u->state = UNIT_QUEUED; /* it was not carried out */
                list_prepend(&u->systemd->starts, &u->queue);
                systemd_absent(u->systemd);
        } else if (sd_bus_error_has_name(e, SYSTEMD ".UnitExists") && !u->cleared) {
                /* What has failed while no arbiter was there keeps its name. What runs stays as it is. */
                u->cleared = true;
                systemd_unit_clear(u);
                systemd_unit_begin(u);
        } else if (sd_bus_error_has_name(e, SYSTEMD ".UnitExists")) {
                systemd_unit_fail(u,
                                "there is a unit %s already, which is not this actor's: \"systemctl%s "
                                "status %s\" shows it, and it has to go first",
                                u->name, systemd_option(u->systemd->kind), u->name);
                /* It may be of an arbiter before this one, which has left too little for us to know it. */
                systemd_sweep_again(u->systemd);
        } else if (sd_bus_error_has_names(e, SD_BUS_ERROR_PROPERTY_READ_ONLY, SD_BUS_ERROR_UNKNOWN_PROPERTY))
                systemd_unit_fail(u,
                                "systemd does not start %s: %s (This is systemd %s: a setting that is newer "
                                "has to be left out of section [Service].)",
                                u->name, e->message ?: e->name,
                                u->systemd->version ?: "of an unknown version");
        else
                systemd_unit_fail(u, "systemd does not start %s: %s", u->name, e->message ?: e->name);
}

static int on_start_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct systemd_unit *u = userdata;
        const char *job;
        int r;

        u->call = sd_bus_slot_unref(u->call);
        if (e) {
                on_refused(u, e);
                if (u->state != UNIT_CALLING)
                        leave_flight(u);
                return 0;
        }
        r = sd_bus_message_read(m, "o", &job);
        u->job = r < 0 ? NULL : strdup(job);
        if (!u->job) {
                systemd_unit_fail(u, "the answer of systemd cannot be read");
                systemd_tell(u->systemd, "StopUnit", "ss", u->name, "replace");
                return 0;
        }
        u->state = UNIT_STARTING;
        u->foreign = false;
        systemd_unit_changed(u);
        if (u->stop_wanted) {
                u->stop_wanted = false;
                systemd_unit_stop(u);
        }
        return 0;
}

static int append_properties(struct systemd_unit *u, sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = arbiter_message_rewind(u->properties, true);
        if (r >= 0)
                r = arbiter_message_enter_container(u->properties, 'a', "(sv)");
        if (r >= 0)
                r = convert_to_bus(u->properties, m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
}

void systemd_unit_begin(struct systemd_unit *u) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct systemd *s = u->systemd;
        int r;

        if (u->stop_wanted) {
                systemd_unit_fail(u, "it was stopped before it was started");
                return;
        }
        u->state = UNIT_CALLING;
        u->facts = (struct unit_facts){};
        r = systemd_new_call(s, SYSTEMD_PATH, SYSTEMD_MANAGER,
                        u->transient ? "StartTransientUnit" : "StartUnit", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", u->name, "fail");
        if (r >= 0 && u->transient)
                r = append_properties(u, m);
        if (r >= 0)
                r = systemd_call(s, m, &u->call, on_start_answer, u);
        if (r < 0)
                systemd_unit_fail(u, "systemd cannot be asked to start %s: %s", u->name, strerror(-r));
}

void systemd_unit_start(struct systemd_unit *u) {
        enter_flight(u);
        u->events->begun(u->userdata);
        if (u->transient)
                systemd_unit_begin(u);
        else {
                u->state = UNIT_CHECKING;
                systemd_template_check(u);
        }
}

/* Stopping. */

static int on_stop_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct systemd_unit *u = userdata;

        u->stop_call = sd_bus_slot_unref(u->stop_call);
        leave_flight(u);
        if (!e)
                return 0; /* how it goes is told by the unit */
        if (systemd_is_unanswered(e) || systemd_is_absent(e)) {
                u->stop_called = false;
                systemd_unit_stop(u); /* again, when systemd is back */
                systemd_absent(u->systemd);
        } else if (sd_bus_error_has_name(e, SYSTEMD ".NoSuchUnit"))
                systemd_unit_removed(u);
        return 0;
}

void systemd_unit_call_stop(struct systemd_unit *u) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        enter_flight(u);
        r = systemd_new_call(u->systemd, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", u->name, "replace");
        if (r >= 0)
                r = systemd_call(u->systemd, m, &u->stop_call, on_stop_answer, u);
        if (r < 0) {
                leave_flight(u);
                u->stop_called = false;
        }
}

void systemd_unit_stop(struct systemd_unit *u) {
        bool wanted = u->stop_wanted;

        u->stop_wanted = true;
        if (u->state == UNIT_QUEUED)
                systemd_unit_fail(u, "it was stopped before it was started");
        if ((u->state != UNIT_STARTING && u->state != UNIT_ACTIVE) || u->stop_called)
                return;
        if (!wanted && u->foreign && u->facts.activity == UNIT_GOING_DOWN)
                u->foreign = false; /* now we want it, too */
        u->stop_called = true;
        list_append(&u->systemd->stops, &u->queue);
        systemd_again(u->systemd);
}

int systemd_unit_kill(struct systemd_unit *u, int signal, bool all) {
        if (u->state != UNIT_STARTING && u->state != UNIT_ACTIVE)
                return -ESRCH;
        if (!u->systemd->ready)
                return -ENOTCONN;
        systemd_tell(u->systemd, "KillUnit", "ssi", u->name, all ? "all" : "main", (int32_t)signal);
        return 0;
}

void systemd_unit_forget(struct systemd_unit *u) {
        /* Not one of which it is not known whether it is ours. */
        if (u->state >= UNIT_CALLING && u->state < UNIT_ENDING && u->state != UNIT_ADOPTING)
                systemd_tell(u->systemd, "StopUnit", "ss", u->name, "replace");
        (void) systemd_unit_free(u);
}
