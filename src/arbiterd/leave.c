/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of arbiterd, in order or by leaving. Leaving is nothing but dying at a moment that was chosen: all
 * is written, what is to be kept is with the keeper, and what was said has been sent; the next one then
 * takes over as after SIGKILL, by the way that is walked most. Called by main.c. Must never leave actors
 * that nobody would take over, nor wait long for anybody. */

#include <signal.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/journal.h"
#include "arbiterd/keeper.h"
#include "arbiterd/leave.h"
#include "arbiterd/notify.h"
#include "arbiterd/stop-query.h"
#include "arbiterd/takeover.h"
#include "basic/time-util.h"
#include "shared/instance.h"
#include "shared/log.h"

#define LEAVE_USEC (2 * USEC_PER_SEC) /* until all that is to be kept is with the keeper */
/* Answers that were resolved in one turn are written in the next. */
#define LEAVE_TURNS 3
#define LOOK_USEC (10 * USEC_PER_MSEC)

enum manner { STAY, EXIT, EXECUTE };

struct leave {
        enum manner manner;
        unsigned turns;
        struct stop_query *query;
        struct reexecute_check *check;
        usec_t until_usec;
        sd_event_source *turn;
};

static bool is_stopping(const struct daemon *d) {
        return arbiter_actor_get_state(arbiter_get_actor(d->arbiter)) >= ARBITER_STATE_STOPPING;
}

/* Leaving. */

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        struct leave *l = d->leave;
        bool late = now_usec() >= l->until_usec;

        if (is_stopping(d)) { /* whatever it was that was faster */
                l->manner = STAY;
                return 0;
        }
        if (l->turns < LEAVE_TURNS || (!takeover_is_kept(d) && !late)) {
                (void) sd_event_source_set_time_relative(s, l->turns++ < LEAVE_TURNS ? 0 : LOOK_USEC);
                return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        }
        if (late && l->manner == EXIT && !keeper_is_there(d->keeper)) {
                log_warning("arbiter-keeper is not there: the actors would not outlive this arbiter, and "
                            "are stopped.");
                l->manner = STAY;
                return arbiter_stop(d->arbiter, 0);
        }
        if (late)
                log_warning("arbiter-keeper does not take all that it is to keep: some actors may be lost.");
        return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int begin(struct daemon *d, enum manner manner) {
        struct leave *l = d->leave;
        int r;

        r = sd_event_add_time_relative(
                        arbiter_get_event(d->arbiter), &l->turn, CLOCK_MONOTONIC, 0, 1, on_turn, d);
        if (r < 0)
                return r;
        l->manner = manner;
        l->turns = 0;
        l->until_usec = now_usec() + LEAVE_USEC;
        return 0;
}

static void leave(struct daemon *d) {
        arbiter_status status = { .size = sizeof(status) };
        int r;

        (void) arbiter_get_status(d->arbiter, &status);
        journal_left(status.actors, "this arbiter is replaced");
        r = begin(d, EXIT);
        if (r < 0) {
                log_error_errno(r, "They cannot be left: %m. They are stopped.");
                (void) arbiter_stop(d->arbiter, 0);
        }
}

/* SIGTERM. */

static void on_answer(bool stop, void *userdata) {
        struct daemon *d = userdata;
        struct leave *l = d->leave;

        l->query = stop_query_free(l->query);
        if (is_stopping(d) || l->manner != STAY)
                return;
        if (stop)
                (void) arbiter_stop(d->arbiter, 0);
        else
                leave(d);
}

static int on_sigterm(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        struct daemon *d = userdata;
        struct leave *l = d->leave;
        int r;

        if (is_stopping(d) || l->query || l->manner == EXIT)
                return 0;
        l->turn = sd_event_source_disable_unref(l->turn); /* systemd waits: whatever it wants goes first */
        l->manner = STAY;
        if (!d->keeper) /* they would not outlive us */
                return arbiter_stop(d->arbiter, 0);
        (void) keeper_is_there(d->keeper); /* it may be about to come back */
        r = stop_query_start(d, arbiter_get_event(d->arbiter), on_answer, d, &l->query);
        if (r >= 0)
                return 0;
        if (r == -ENXIO) /* no service of anybody */
                return arbiter_stop(d->arbiter, 0);
        log_warning_errno(r, "systemd cannot be asked whether to stop or to restart: %m. The actors go on.");
        leave(d);
        return 0;
}

static int on_sigint(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        struct daemon *d = userdata;

        return arbiter_stop(d->arbiter, 0);
}

/* Reexecute. */

static void on_checked(struct daemon *d, int error, const char *text) {
        struct leave *l = d->leave;

        if (error >= 0 && (is_stopping(d) || l->query || l->manner != STAY)) {
                error = -ESHUTDOWN;
                text = "The arbiter is about to end.";
        }
        if (error >= 0)
                error = begin(d, EXECUTE);
        if (error < 0)
                journal_reexecution_refused(text ?: strerror(-error));
        else {
                arbiter_status status = { .size = sizeof(status) };

                (void) arbiter_get_status(d->arbiter, &status);
                journal_left(status.actors, "the program on disk is executed");
        }
        (void) arbiter_reexecute_done(d->arbiter, error, text);
        l->check = reexecute_check_free(l->check); /* whose text it may be */
}

static void refuse_without_keeper(struct daemon *d) {
        on_checked(d, -ENOTCONN,
                        "arbiter-keeper is not there, or does not have all that it is to keep: actors would "
                        "not outlive this arbiter. Nothing was done.");
}

/* One that hangs would not give back what it has. */
static void on_keeper(int r, void *userdata) {
        _cleanup_free_ char *text = NULL;
        struct daemon *d = userdata;

        if (r < 0) {
                refuse_without_keeper(d);
                return;
        }
        r = reexecute_check_start(d, on_checked, &d->leave->check);
        if (r >= 0)
                return;
        if (asprintf(&text, "%s cannot be tried: %s. Nothing was done.", d->program, strerror(-r)) < 0)
                text = NULL;
        on_checked(d, r, text);
}

static int on_reexecute(arbiter *a, void *userdata) {
        arbiter_status status = { .size = sizeof(status) };
        struct daemon *d = userdata;

        (void) arbiter_get_status(a, &status);
        if (!takeover_is_kept(d)) {
                refuse_without_keeper(d);
                return 0;
        }
        if (status.unwritten) {
                on_checked(d, -ENOSPC,
                                "Not all that was decided could be written down: the new program would not "
                                "know of it, and kill actors that it does not know. Nothing was done.");
                return 0;
        }
        if (keeper_ask(d->keeper, on_keeper) < 0)
                refuse_without_keeper(d);
        return 0;
}

int leave_attach(struct daemon *d) {
        sd_event *event = arbiter_get_event(d->arbiter);
        sd_event_source *sigterm = NULL;
        int r;

        d->leave = calloc(1, sizeof(*d->leave));
        if (!d->leave)
                return -ENOMEM;
        r = sd_event_add_signal(event, &sigterm, SIGTERM, on_sigterm, d);
        if (r >= 0) /* one that was read is heard before the turn in which the program is executed */
                r = sd_event_source_set_priority(sigterm, SD_EVENT_PRIORITY_IMPORTANT);
        if (r >= 0)
                r = sd_event_source_set_floating(sigterm, true);
        sd_event_source_unref(sigterm);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, on_sigint, d);
        if (r >= 0 && d->keeper)
                r = arbiter_set_reexecute_handler(d->arbiter, on_reexecute, d);
        return r;
}

bool leave_is_due(const struct daemon *d, int r) {
        return r == -ESTALE && d->leave && d->leave->manner != STAY;
}

void leave_now(struct daemon *d) {
        int r = EXIT_SUCCESS;

        if (d->leave->manner == EXECUTE) {
                (void) sd_notify(false, "STATUS=Executing the program on disk");
                r = reexecute(d);
                log_error_errno(r, "Cannot execute %s: %m. systemd starts it.", d->program);
                r = EXIT_FAILURE;
        } else
                (void) sd_notify(false, "STOPPING=1\nSTATUS=The actors go on, and wait for the next one");
        journal_close();
        _exit(r);
}

bool leave_is_for_good(const struct daemon *d) {
        _cleanup_free_ char *path = NULL;

        if (stop_query_run(d) > 0)
                return true;
        return instance_keeper_socket(d->instance, d->mode == DAEMON_SYSTEM, &path) < 0 ||
               !keeper_lives(path); /* it sees to them if nobody comes */
}

void leave_done(struct daemon *d) {
        struct leave *l = d->leave;

        if (!l)
                return;
        stop_query_free(l->query);
        reexecute_check_free(l->check);
        sd_event_source_disable_unref(l->turn);
        free(l);
        d->leave = NULL;
}
