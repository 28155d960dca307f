/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The start of an arbiter whose actors may be there already: see takeover.h; docs/SYSTEMD.md has the whole
 * way. Called by main.c, and for what they keep by output.c and service.c. A state that cannot be read must
 * not keep it from starting: then it starts from nothing, and what was left is stopped. */

#include <stdio.h>
#include <syslog.h>
#include <systemd/sd-event.h>

#include "arbiterd/daemon.h"
#include "arbiterd/generation.h"
#include "arbiterd/journal.h"
#include "arbiterd/keeper.h"
#include "arbiterd/notify.h"
#include "arbiterd/output.h"
#include "arbiterd/takeover.h"
#include "arbiterd/unit-sweep.h"
#include "basic/fd.h"
#include "basic/time-util.h"
#include "shared/instance.h"
#include "shared/log.h"

#define KEPT_STATE "state"
#define SETTLE_USEC (500 * USEC_PER_MSEC)
#define SWEEP_USEC (120 * USEC_PER_SEC)

void takeover_keep(struct daemon *d, const char *name, int fd) {
        int r;

        if (!d->keeper)
                return;
        r = keeper_keep(NULL, name, fd, d->keeper);
        if (r < 0)
                log_warning_errno(r, "'%s' cannot be kept, and would be lost with this arbiter: %m", name);
}

int takeover_get(struct daemon *d, const char *name) {
        return d->keeper ? keeper_get(d->keeper, name) : -ENOENT;
}

bool takeover_is_kept(const struct daemon *d) {
        return d->keeper && keeper_is_settled(d->keeper) && arbiter_get_state_fd(d->arbiter) >= 0;
}

/* The fd store outlives a keeper that has died with the arbiter. */
static int use_state(struct daemon *d, bool *refused) {
        bool stored = d->state_fd >= 0;
        _cleanup_close_ int fd = stored ? TAKE_FD(d->state_fd) : takeover_get(d, KEPT_STATE);
        int r = 0;

        if (fd >= 0) {
                r = arbiter_set_state(d->arbiter, fd);
                if (r >= 0) {
                        d->takes_over = r > 0;
                        if (!stored)
                                notify_store(NOTIFY_STORE_STATE, fd);
                        return 0;
                }
                journal_state_refused(r);
                *refused = true;
        }
        r = arbiter_set_state(d->arbiter, -1);
        if (r >= 0)
                notify_store(NOTIFY_STORE_STATE, arbiter_get_state_fd(d->arbiter));
        return r;
}

/* It belongs to a state that is not known. Listening sockets belong to the configuration. Was there any? */
static bool forget_all(struct daemon *d) {
        void *position = NULL;
        const char *name;
        bool any = false;

        while ((name = keeper_next(d->keeper, &position)))
                if (!startswith(name, "l.")) {
                        takeover_keep(d, name, -1);
                        any = true;
                }
        return any;
}

/* The scope is made anew, and with it go the processes of actors. Units are in the way of those that are to
 * have their names, and nobody supervises them: they must be gone before anything is started. */
static void start_afresh(struct daemon *d, bool refused) {
        if (!forget_all(d) && !refused)
                return;
        notify_starting(d, "Stopping what the arbiter before has left", SWEEP_USEC);
        (void) unit_sweep(d);
}

static void on_connected(int socket, void *userdata) {
        struct daemon *d = userdata;

        close_fd(d->keeper_fd);
        d->keeper_fd = fd_duplicate(socket);
        notify_store(NOTIFY_STORE_KEEPER, socket);
}

static void on_settled(void *userdata) {
        struct daemon *d = userdata;

        arbiter_kept(d->arbiter);
}

int takeover_begin(struct daemon *d) {
        static const struct keeper_events events = { on_connected, on_settled };
        _cleanup_free_ char *path = NULL;
        bool refused = false;
        int r;

        if (d->mode == DAEMON_STANDALONE)
                return 0;
        r = instance_keeper_socket(d->instance, d->mode == DAEMON_SYSTEM, &path);
        if (r == -ENXIO) {
                log_warning("No arbiter-keeper can be found, since $XDG_RUNTIME_DIR is not set: actors do "
                            "not outlive this arbiter.");
                return 0;
        }
        if (r >= 0)
                r = keeper_new(path, TAKE_FD(d->keeper_fd), &d->keeper);
        if (r >= 0)
                r = use_state(d, &refused);
        if (r < 0)
                return r;
        if (!d->takes_over)
                start_afresh(d, refused);
        else
                notify_starting(d, "Taking over from the arbiter before", 0);
        takeover_keep(d, KEPT_STATE, arbiter_get_state_fd(d->arbiter));
        r = arbiter_set_keep_handler(d->arbiter, keeper_keep, d->keeper);
        if (r >= 0)
                r = keeper_attach(d->keeper, arbiter_get_event(d->arbiter), &events, d);
        return r;
}

/* Whose it is, the owners know: what is none of the arbiter's stays where it is. */
int takeover_hand_over(struct daemon *d) {
        void *position = NULL;
        const char *name;

        if (!d->takes_over)
                return 0;
        while ((name = keeper_next(d->keeper, &position))) {
                int fd = takeover_get(d, name), r;

                if (fd < 0)
                        return fd;
                r = arbiter_add_kept(d->arbiter, name, fd);
                if (r < 0)
                        close_fd(fd);
                if (r < 0 && r != -ENOENT)
                        log_warning_errno(r, "The descriptor '%s', which was kept, is of no use: %m", name);
        }
        return 0;
}

void takeover_log_entry(struct daemon *d, const arbiter_log_entry *e) {
        const arbiter_life life = {
                .size = sizeof(life),
                .definition = e->monitor ? e->monitor : e->name,
                .name = e->name,
                .aid = e->aid,
                .monitor = e->monitor,
                .generation = e->generation,
        };
        int r;

        if (!d->takes_over || !e->event || !e->name || !e->aid || !streq(e->event, "adopted"))
                return;
        r = definition_take_over_output(d, &life);
        if (r < 0)
                log_warning_errno(r, "What %s writes is lost if arbiter-logger dies: %m", e->name);
}

/* Of those whom nobody has taken. */
static void forget_rest(struct daemon *d) {
        void *position = NULL;
        const char *name;

        while ((name = keeper_next(d->keeper, &position)))
                if (startswith(name, OUTPUT_KEPT_STREAM) && !output_has_stream(d, name))
                        takeover_keep(d, name, -1);
}

int takeover_finish(struct daemon *d) {
        arbiter_adoption adoption = { .size = sizeof(adoption) };
        int r;

        if (d->takes_over)
                generations_recall(d);
        r = arbiter_adopt_done(d->arbiter, &adoption);
        if (r >= 0 && d->takes_over)
                forget_rest(d);
        return r;
}

int takeover_settle(struct daemon *d) {
        usec_t until = now_usec() + SETTLE_USEC;
        int r = 0;

        while (r >= 0 && d->takes_over && arbiter_adopt_is_settled(d->arbiter) == 0) {
                usec_t now = now_usec();

                if (now >= until)
                        break; /* somebody sleeps */
                r = sd_event_run(arbiter_get_event(d->arbiter), until - now);
        }
        return MIN(r, 0);
}

bool takeover_is_due(const struct daemon *d) {
        return d->keeper && (!d->arbiter || arbiter_actor_get_state(arbiter_get_actor(d->arbiter)) <
                                                             ARBITER_STATE_CLOSED);
}

void takeover_done(struct daemon *d) {
        void *position = NULL;
        const char *name;

        if (d->keeper) {
                while ((name = keeper_next(d->keeper, &position)))
                        takeover_keep(d, name, -1);
                notify_store_remove(NOTIFY_STORE_STATE);
        }
        d->keeper = keeper_free(d->keeper);
}
