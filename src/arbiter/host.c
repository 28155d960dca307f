/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that live together in one arbiter-host process, never in the daemon: those of a pool share one,
 * any other thread has one of its own. The host is an actor itself ("web-host"); each of its threads is
 * introduced to it once, by a control link of the thread's own, so that credit, silence and EOF are each
 * thread's and nothing is multiplexed. A thread that is stuck ends its host, and its siblings with it: they
 * are started anew without being counted as failures. Called by child.c, and by adopt-child.c for those of
 * another arbiter. */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"

static int make_host(struct child *thread, struct child **ret) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_monitor *m = child_pool(thread);
        char name[QUALIFIED_NAME_SIZE + 16];
        struct child *host;
        int r;

        (void) snprintf(name, sizeof(name), "%s-host", m ? m->name : thread->name);
        if (child_find(thread->arbiter, name)) /* the last one is not quite gone */
                (void) snprintf(name, sizeof(name), "%s-host-%u", m ? m->name : thread->name,
                                (unsigned) thread->age);
        if (!name_is_valid(name))
                return -ENAMETOOLONG;
        r = spawn_instance(thread->spawn, NULL, NULL, &s);
        if (r < 0)
                return r;
        s->concurrency = ARBITER_CONCURRENCY_PROCESS;
        r = spawn_check(s, NULL);
        if (r < 0)
                return r;
        r = child_new(thread->arbiter, s, name, NULL, &host);
        if (r < 0)
                return r;
        host->is_host = true;
        if (m)
                (void) snprintf(host->host_of, sizeof(host->host_of), "%s", m->name);
        r = child_start(host);
        if (r < 0) {
                if (host->failure && !thread->failure)
                        thread->failure = TAKE_PTR(host->failure);
                control_record_death(host, ARBITER_REASON_HANDSHAKE, -r);
                control_actor_gone(host, ARBITER_REASON_HANDSHAKE, -r);
                child_free(host);
                return r;
        }
        if (m) {
                m->host = host;
                state_mark_monitor(m);
        }
        *ret = host;
        return 0;
}

static void on_answer(arbiter_future *f, void *userdata) {
        arbiter *a = userdata;
        struct child *host;

        /* A thread that could not be made shows by the EOF of its link; here only the reason is told. By
         * aid: whoever answers last may do so when the host is long gone. */
        if (f->outcome == ARBITER_OUTCOME_REPLY || f->outcome == ARBITER_OUTCOME_CANCELLED)
                return;
        host = map_get(a->by_aid, f->spawn_aid.c, AID_SIZE);
        if (host)
                arbiter_log(a, LOG_WARNING, host, "start-failed", "%s cannot start a thread: %s", host->name,
                                arbiter_future_get_error_text(f));
}

static int introduce(struct child *host, struct child *thread) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r >= 0)
                r = arbiter_message_append(m, "sh", thread->name, thread->host_fd);
        if (r >= 0)
                r = message_seal(m);
        if (r >= 0)
                r = actor_send_system(thread->arbiter->actor, &host->aid, "start_thread", m, UINT64_MAX, &f);
        if (r < 0)
                return r;
        thread->host_fd = close_fd(thread->host_fd);
        f->spawn_aid = host->aid;
        return future_then_now(f, on_answer, thread->arbiter);
}

int host_start_thread(struct child *c) {
        int r;

        r = launch_make_control(c, &c->host_fd);
        if (r < 0)
                return r;
        child_keep_link(c);
        return c->host->state == ARBITER_STATE_RUNNING ? introduce(c->host, c) : 0;
}

int launch_hosted_thread(struct child *c) {
        arbiter_monitor *m = child_pool(c);
        struct child *host = m ? roll_find_host(m, c) : NULL;
        int r;

        if (!host || host->stop_stage != CHILD_STOP_NONE) {
                r = make_host(c, &host);
                if (r < 0)
                        return r;
        }
        c->host = host;
        state_mark_child(c);
        list_append(&host->hosted, &c->hosted);
        return host_start_thread(c);
}

void host_running(struct child *host) {
        LIST_FOREACH(c, &host->hosted, struct child, hosted)
                if (c->host_fd >= 0 && introduce(host, c) < 0)
                        child_fail_start(c, ARBITER_REASON_HANDSHAKE, "its host cannot be told to start it");
}

void host_thread_gone(struct child *c) {
        struct child *host = c->host;

        if (!host)
                return;
        c->host = NULL;
        list_remove(&c->hosted);
        if (list_is_empty(&host->hosted) && !host->ending)
                (void) child_stop(host, NULL);
}

/* By us, for one of its threads or because it was asked for: the others are not to blame. Of its own death
 * the link may tell before its exit does. */
static bool was_ended(const struct child *host) {
        return host->stop_stage != CHILD_STOP_NONE && host->reason_set &&
               host->reason != ARBITER_REASON_NO_CONNECTION;
}

void host_gone(struct child *host, arbiter_reason reason, int status) {
        arbiter *a = host->arbiter;
        bool ended = was_ended(host);
        struct child *c;

        LIST_FOREACH(m, &a->monitors, arbiter_monitor, monitors)
                if (m->host == host) {
                        m->host = NULL;
                        state_mark_monitor(m);
                }
        while ((c = LIST_FIRST(&host->hosted, struct child, hosted))) {
                arbiter_reason own = c->reason_set ? c->reason : reason;
                struct set *set = c->set;
                uint32_t slot = c->slot;

                if (!c->failure && host->failure)
                        c->failure = strdup(host->failure);
                child_drain(c);
                c->ending = true; /* what is asked for now is carried out by its end */
                if (set && !c->culprit && c->state == ARBITER_STATE_RUNNING && ended)
                        (void) set_handle(set,
                                        &(supervise_event){.type = SUPERVISE_RESTART_CHILD, .slot = slot});
                child_end(c, own, c->reason_set ? 0 : status);
        }
}
