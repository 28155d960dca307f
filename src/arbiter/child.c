/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child: one actor as the arbiter sees it. Its life is driven by events only: the pidfd for death,
 * messages and timers for the rest. Nothing here decides whether it is started again: that is
 * src/supervise, behind set.c. */

#include <signal.h>
#include <stdio.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/relink.h"
#include "basic/fd.h"
#include "basic/text.h"

/* Between looks at a thread that has said goodbye. */
enum { JOIN_MIN_USEC = 50, JOIN_MAX_USEC = 1000 * 1000 };

static void on_start_timer(arbiter_actor *a, struct actor_timer *t);
static void on_silence_timer(arbiter_actor *a, struct actor_timer *t);
static void on_stop_timer(arbiter_actor *a, struct actor_timer *t);
static void on_end_timer(arbiter_actor *a, struct actor_timer *t);
static void forget_future(struct child *c, arbiter_reason reason, int status);

struct child *child_find(arbiter *a, const char *name_or_aid) {
        struct child *c = map_get_string(a->by_name, name_or_aid);
        aid id;

        if (!c && aid_parse(name_or_aid, &id) >= 0)
                c = map_get(a->by_aid, id.c, AID_SIZE);
        return c;
}

bool child_drops_mail(const struct child *c) {
        return c->spawn && c->spawn->mail_on_restart == ARBITER_MAIL_DROP;
}

static int register_child(struct child *c) {
        arbiter *a = c->arbiter;
        int r;

        r = map_put(a->by_aid, c->aid.c, AID_SIZE, c);
        if (r < 0)
                return r;
        r = map_put_string(a->by_name, c->name, c);
        if (r < 0) {
                map_remove(a->by_aid, c->aid.c, AID_SIZE);
                return r;
        }
        c->registered = true;
        list_append(&a->children, &c->children);
        return 0;
}

static void unregister_child(struct child *c) {
        if (!c->registered)
                return;
        state_forget_child(c);
        c->registered = false;
        map_remove(c->arbiter->by_aid, c->aid.c, AID_SIZE);
        map_remove_string(c->arbiter->by_name, c->name);
        list_remove(&c->children);
}

static void init_lists(struct child *c) {
        list_init(&c->children);
        list_init(&c->marked);
        list_init(&c->stops);
        list_init(&c->parked);
        list_init(&c->watched_by);
        list_init(&c->watches);
        list_init(&c->pairs_a);
        list_init(&c->pairs_b);
        list_init(&c->hosted);
        c->host_fd = -EBADF;
        c->start_timer = ACTOR_TIMER_INIT(on_start_timer);
        c->silence_timer = ACTOR_TIMER_INIT(on_silence_timer);
        c->stop_timer = ACTOR_TIMER_INIT(on_stop_timer);
        c->end_timer = ACTOR_TIMER_INIT(on_end_timer);
}

/* The deadlines of its life are all that ends it in the end: they must not fail for want of memory. */
static int reserve_timers(struct child *c) {
        struct actor_timer *const timers[] = { &c->start_timer, &c->silence_timer, &c->stop_timer,
                        &c->end_timer };

        for (size_t i = 0; i < ELEMENTSOF(timers); i++) {
                int r = actor_timer_reserve(c->arbiter->actor, timers[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}

int child_new(arbiter *a, arbiter_spawn *spawn, const char *name, const aid *wanted, struct child **ret) {
        struct child *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        init_lists(c);
        member_init(&c->member, a, c);
        c->arbiter = a;
        c->spawn = arbiter_spawn_ref(spawn);
        c->concurrency = spawn ? spawn->concurrency : ARBITER_CONCURRENCY_INLINE;
        c->plain = spawn && (spawn->exec || spawn->unit_template) &&
                   spawn->exec_type != ARBITER_EXEC_MAILBOX;
        c->process = PROCESS_INIT;
        c->leaf = CGROUP_LEAF_INIT;
        c->notify = NOTIFY_SOCKET_INIT;
        c->created_usec = c->waiting_usec = now_usec();
        c->age = ++a->age_counter;
        state_mark_arbiter(a);
        c->spawn_tokens = CHILD_SPAWNS_BURST;
        (void) snprintf(c->name, sizeof(c->name), "%s", name);

        r = reserve_timers(c);
        if (r >= 0)
                r = names_choose_aid(a, wanted, &c->aid);
        if (r >= 0) {
                c->aid_string = aid_to_string(&c->aid);
                r = register_child(c);
        }
        if (r >= 0)
                r = names_next_generation(c);
        if (r < 0) {
                child_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

void child_free(struct child *c) {
        arbiter_actor *a = c->arbiter->actor;

        unregister_child(c);
        probes_free(c);
        member_gone(&c->member);
        commands_discharge(c);
        relations_forget_notices(c);
        if (c->counted)
                status_count_child(c, false);
        actor_timer_release(a, &c->start_timer);
        actor_timer_release(a, &c->silence_timer);
        actor_timer_release(a, &c->stop_timer);
        actor_timer_release(a, &c->end_timer);
        sd_event_source_disable_unref(c->death_source);
        sd_event_source_disable_unref(c->notify_source);
        if (c->notify.fd >= 0)
                launch_keep(c->arbiter, 'n', &c->aid, -EBADF);
        if (c->process.pid > 0 || c->last_pid > 0)
                launch_keep_process(c, -EBADF);
        notify_socket_done(&c->notify);
        relink_forget(c);
        if (c->peer) {
                c->peer->userdata = NULL;
                peer_free(c->peer, ARBITER_OUTCOME_NOPROC);
        }
        if (c->inline_actor) {
                c->inline_actor->ended = NULL;
                actor_unref(c->inline_actor);
        }
        c->host_fd = close_fd(c->host_fd);
        list_remove(&c->hosted);
        unit_forget(c);
        process_done(&c->process);
        leaf_dispose(c->arbiter, &c->leaf);
        waiters_forget(&c->stops);
        commands_table_unref(c->arbiter, c->commands);
        arbiter_future_unref(c->future);
        arbiter_proxy_unref(c->proxy);
        arbiter_spawn_unref(c->spawn);
        free(c->token);
        free(c->failure);
        free(c->status);
        free(c);
}

void child_set_state(struct child *c, arbiter_state state) {
        if (c->state == state)
                return;
        c->state = state;
        c->waiting_usec = now_usec();
        state_mark_child(c);
        load_serve(c, state == ARBITER_STATE_RUNNING);
        control_actor_changed(c);
}

/* Starting. */

static int launch(struct child *c) {
        if (c->spawn->expected)
                return launch_expected(c);
        switch (c->concurrency) {
        case ARBITER_CONCURRENCY_PROCESS:
                return launch_process(c);
        case ARBITER_CONCURRENCY_THREAD:
                return c->spawn->module ? launch_thread(c) : launch_hosted_thread(c);
        case ARBITER_CONCURRENCY_INLINE:
                return launch_inline(c, c->spawn->module, NULL);
        case ARBITER_CONCURRENCY_UNIT:
                return launch_unit(c);
        default:
                return -EOPNOTSUPP;
        }
}

/* Replaces the definition by what this life is started from. */
static int prepare(struct child *c) {
        arbiter_monitor *m = c->set ? c->set->monitor : NULL;
        arbiter_life life = {
                .size = sizeof(life),
                .name = c->name,
                .aid = c->aid_string.s,
                .monitor = m ? m->name : c->host_of[0] ? c->host_of : NULL,
                .generation = c->generation,
                .concurrency = c->concurrency,
        };
        arbiter_spawn *prepared = NULL;
        int r;

        r = spawn_prepare(c->spawn, &life, &prepared, &c->failure);
        if (r < 0)
                return r;
        arbiter_spawn_unref(c->spawn);
        c->spawn = prepared;
        return state_use_spawn(c->arbiter, c->spawn, &c->state_spawn);
}

int child_start(struct child *c) {
        arbiter_actor *a = c->arbiter->actor;
        int r;

        c->state = ARBITER_STATE_STARTING;
        state_mark_child(c);
        state_mark_arbiter(c->arbiter);
        control_actor_new(c);
        /* Before the launch: what runs must not be without a bound, nor be lost for want of one. */
        r = actor_timer_set(a, &c->start_timer, time_add(c->created_usec, c->spawn->start_usec));
        if (r >= 0)
                r = prepare(c);
        if (r >= 0)
                r = launch(c);
        if (r < 0) {
                if (!c->failure)
                        c->failure = strdup(strerror(-r));
                return r;
        }
        if (c->plain && c->spawn->exec_type == ARBITER_EXEC_EXEC && !c->unit)
                child_running(c); /* exec has succeeded */
        return 0;
}

static void log_running(const struct child *c) {
        const struct name_memory *n = map_get_string(c->arbiter->names, c->name);
        bool replaced = c->generation > 1 && n;
        const arbiter_log_entry e = {
                .level = LOG_INFO,
                .event = replaced ? "replaced" : "started",
                .reason = replaced ? arbiter_reason_to_string(n->reason) : NULL,
                .status = replaced ? n->status : 0,
        };

        if (c->process.pid > 0)
                arbiter_log_facts(c->arbiter, c, &e, "%s is running (pid %d)", c->name,
                                (int) c->process.pid);
        else
                arbiter_log_facts(c->arbiter, c, &e, "%s is running", c->name);
}

void child_running(struct child *c) {
        arbiter_actor *a = c->arbiter->actor;
        usec_t silence = c->plain ? c->watchdog_usec : c->spawn ? c->spawn->silence_usec : 0;

        if (c->state != ARBITER_STATE_STARTING || probes_hold_back(c))
                return;
        state_mark_child(c);
        actor_timer_clear(a, &c->start_timer);
        c->started_usec = c->last_heard_usec = now_usec();
        metrics_count_start(c);
        child_set_state(c, ARBITER_STATE_RUNNING);
        if (silence > 0 && c->concurrency != ARBITER_CONCURRENCY_INLINE)
                (void) actor_timer_set(a, &c->silence_timer, c->last_heard_usec + silence);
        if (!c->monitor_actor || !c->adopted) /* to everybody else it is still the same */
                log_running(c);
        broker_unpark(c, ARBITER_OUTCOME_REPLY);
        routes_reconsider(c->arbiter);
        if (c->future) {
                _cleanup_(arbiter_future_unrefp) arbiter_future *f = TAKE_PTR(c->future);
                _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *p = TAKE_PTR(c->proxy);

                future_resolve_proxy(f, p);
        }
        load_ask(c);
        if (c->is_host)
                host_running(c);
        if (c->set)
                (void)set_handle(c->set, &(supervise_event){.type = SUPERVISE_STARTED,
                                                         .slot = c->slot,
                                                         .generation = c->set_generation});
        probes_start(c);
}

void child_fail_start(struct child *c, arbiter_reason reason, const char *format, ...) {
        va_list ap;

        if (!c->failure) {
                va_start(ap, format);
                c->failure = text_formatv(format, ap);
                va_end(ap);
        }
        arbiter_log(c->arbiter, LOG_WARNING, c, "start-failed", "%s: %s", c->name,
                        c->failure ? c->failure : "start failed");
        child_escalate(c, reason);
}

static void on_start_timer(arbiter_actor *a, struct actor_timer *t) {
        struct child *c = CONTAINER_OF(t, struct child, start_timer);

        if (c->state == ARBITER_STATE_STARTING && c->process.pid > 0 && unit_is_awaited(c))
                child_fail_start(c, ARBITER_REASON_START_TIMEOUT,
                                "%s runs, but has not come to the arbiter within its start timeout of %g s: "
                                "does its program call arbiter_actor_main()? If not, remove Type=mailbox",
                                c->unit_name, (double) c->spawn->start_usec / (double) USEC_PER_SEC);
        else if (c->state == ARBITER_STATE_STARTING)
                child_fail_start(c, ARBITER_REASON_START_TIMEOUT,
                                "not running within its start timeout of %g s",
                                (double)c->spawn->start_usec / (double)USEC_PER_SEC);
}

/* Silence. */

void child_heard(struct child *c) {
        c->last_heard_usec = actor_now(c->arbiter->actor);
}

static void on_silence_timer(arbiter_actor *a, struct actor_timer *t) {
        struct child *c = CONTAINER_OF(t, struct child, silence_timer);
        usec_t silence = c->plain ? c->watchdog_usec : c->spawn->silence_usec;
        usec_t now = now_usec(), due = t->node.key, last;
        arbiter_reason reason;

        if (c->state != ARBITER_STATE_RUNNING || silence == 0 || c->link_lost)
                return;
        /* Judged only after what it had sent has been read; and never by a loop that was late itself. */
        if (c->peer && c->peer->link)
                (void) link_read(c->peer->link);
        last = c->last_heard_usec;
        if (now - due > MIN((usec_t) LAG_USEC, silence / 2))
                c->arbiter->resumed_usec = now;
        /* that pause may have been the machine's: it counts for nobody */
        last = MAX(last, c->arbiter->resumed_usec);
        if (last + silence > now) {
                c->silence_due = false;
                (void) actor_timer_set(a, t, last + silence);
                return;
        }
        /* All of the machine may have stood still for somewhat less than that, and we are the first to wake
         * up: who is well is about to speak. */
        if (!c->silence_due) {
                c->silence_due = true;
                (void) actor_timer_set(a, t, now + MIN((usec_t) LAG_USEC, silence / 2));
                return;
        }
        reason = c->plain ? ARBITER_REASON_WATCHDOG : ARBITER_REASON_SILENT;
        arbiter_log_facts(c->arbiter, c,
                        &(arbiter_log_entry){ .level = LOG_WARNING,
                                        .event = c->plain ? "watchdog" : "silent",
                                        .reason = arbiter_reason_to_string(reason),
                                        .usec = silence },
                        "%s has given no sign of life for %g s", c->name,
                        (double) silence / (double) USEC_PER_SEC);
        child_escalate(c, reason);
}

/* Stopping. */

static void set_reason(struct child *c, arbiter_reason reason) {
        if (c->reason_set)
                return;
        c->reason = reason;
        c->reason_set = true;
        state_mark_child(c);
}

static void set_stage(struct child *c, enum child_stop_stage stage) {
        c->stop_stage = stage;
        c->stage_done = false;
        c->waiting_usec = now_usec();
        state_mark_child(c);
}

/* What it is for has been sent: whoever takes over need not do it again. */
static void stage_done(struct child *c) {
        c->stage_done = true;
        state_mark_child(c);
        state_commit(c->arbiter);
}

static usec_t stop_usec_of(const struct child *c) {
        return c->shutdown_usec > 0 ? c->shutdown_usec : c->spawn->stop_usec;
}

/* systemd escalates by itself, in the time that the unit has for it; of a template that is not ours to
 * know. */
static void signal_unit(struct child *c) {
        usec_t bound = time_add(time_add(stop_usec_of(c), stop_usec_of(c)), UNIT_GRACE_USEC);

        unit_stop(c);
        (void) actor_timer_set(c->arbiter->actor, &c->stop_timer,
                        c->spawn->unit_template ? USEC_INFINITY : time_add(now_usec(), bound));
}

static void signal_stage(struct child *c) {
        arbiter_actor *a = c->arbiter->actor;
        int signal = c->spawn->kill_signal;

        set_stage(c, CHILD_STOP_SIGNALED);
        state_commit(c->arbiter);
        if (c->unit) {
                signal_unit(c);
                stage_done(c);
                return;
        }
        (void) process_signal(&c->process, signal);
        if (signal != SIGTERM && signal != SIGABRT)
                (void) process_signal(&c->process, SIGCONT);
        (void) actor_timer_set(a, &c->stop_timer, time_add(now_usec(), stop_usec_of(c)));
        stage_done(c);
}

/* What runs of it gets signals; a thread or an inline actor does not. */
static bool has_process(const struct child *c) {
        return c->process.pid > 0 || c->unit;
}

void child_left_to_systemd(struct child *c) {
        if (c->stop_stage >= CHILD_STOP_SIGNALED)
                return;
        set_stage(c, CHILD_STOP_SIGNALED);
        actor_timer_clear(c->arbiter->actor, &c->start_timer);
        actor_timer_clear(c->arbiter->actor, &c->stop_timer);
}

const struct cgroup_leaf *child_leaf(const struct child *c) {
        return cgroup_leaf_exists(&c->leaf) ? &c->leaf : &c->unit_leaf;
}

static void kill_process(struct child *c) {
        set_stage(c, CHILD_STOP_KILLED);
        state_commit(c->arbiter);
        if (c->unit)
                unit_kill(c);
        else
                (void) process_kill_all(&c->process);
        stage_done(c);
}

/* A thread of ours cannot be killed: it will not end before its process does. */
static void give_up_thread(struct child *c, arbiter_reason reason) {
        if (c->stop_stage != CHILD_STOP_STUCK) {
                set_stage(c, CHILD_STOP_STUCK);
                forget_future(c, reason, 0);
                waiters_fail(&c->stops, ARBITER_OUTCOME_TIMEOUT,
                                "'%s' is stuck, and a thread cannot be killed", c->name);
                /* If it looks up at all, EOF is what it sees; and its end is to be noticed. */
                if (c->peer && c->peer->link)
                        link_close(c->peer->link);
                c->link_lost = true;
                (void) actor_timer_set(c->arbiter->actor, &c->end_timer, 0);
                arbiter_log(c->arbiter, LOG_ERR, c, "stuck",
                                "%s does not end, and a thread cannot be killed: it stays until its process "
                                "ends",
                                c->name);
                control_actor_changed(c);
        }
        if (c->arbiter->actor->state >= ARBITER_STATE_STOPPING) {
                /* The process ends, and it with it. */
                pthread_detach(c->thread);
                c->has_thread = false;
                (void) actor_timer_set(c->arbiter->actor, &c->end_timer, 0);
        }
}

void child_kill(struct child *c, arbiter_reason reason) {
        set_reason(c, reason);
        if (has_process(c))
                kill_process(c);
        else if (c->inline_actor)
                actor_end(c->inline_actor);
        else if (c->token) /* it never came */
                (void) actor_timer_set(c->arbiter->actor, &c->end_timer, 0);
        else if (c->host) { /* a thread cannot be killed: its process is, and its siblings with it */
                c->culprit = true;
                state_mark_child(c);
                child_escalate(c->host, reason);
        } else if (c->has_thread)
                give_up_thread(c, reason);
}

void child_escalate(struct child *c, arbiter_reason reason) {
        set_reason(c, reason);
        if (c->stop_stage >= CHILD_STOP_SIGNALED)
                return;
        child_set_state(c, ARBITER_STATE_STOPPING);
        if (has_process(c))
                signal_stage(c);
        else if (!c->inline_actor && c->welcomed && c->stop_stage == CHILD_STOP_NONE &&
                        child_ask_to_stop(c) >= 0) {
                /* No signal reaches a thread: it is asked, and may well hear it. */
                c->stop_stage = CHILD_STOP_ASKED;
                state_mark_child(c);
                (void)actor_timer_set(c->arbiter->actor, &c->stop_timer,
                                time_add(now_usec(), stop_usec_of(c)));
        } else
                child_kill(c, reason);
}

static void on_stop_timer(arbiter_actor *a, struct actor_timer *t) {
        struct child *c = CONTAINER_OF(t, struct child, stop_timer);

        if (c->unit && c->stop_stage == CHILD_STOP_ASKED && unit_is_dead(c)) {
                /* systemd has many to bury: it will say what it died of */
                state_mark_child(c);
                (void) actor_timer_set(a, t, now_usec() + USEC_PER_SEC);
                return;
        }
        if (c->stop_stage == CHILD_STOP_ASKED && has_process(c)) {
                /* Unless it was asked to stop: then that it was told again changes nothing. */
                set_reason(c, c->link_lost ? ARBITER_REASON_NO_CONNECTION : ARBITER_REASON_STOP_TIMEOUT);
                signal_stage(c);
                return;
        }
        if (!c->reason_set || c->reason == ARBITER_REASON_SHUTDOWN) {
                c->reason = ARBITER_REASON_STOP_TIMEOUT;
                c->reason_set = true;
                state_mark_child(c);
        }
        child_kill(c, ARBITER_REASON_STOP_TIMEOUT);
}

void child_unhealthy(struct child *c) {
        set_reason(c, ARBITER_REASON_UNHEALTHY);
        /* a set may not know of a life that ends already, and a lone host has none */
        if (!c->set || set_handle(c->set, &(supervise_event){ .type = SUPERVISE_UNHEALTHY,
                                                          .slot = c->slot,
                                                          .generation = c->set_generation }) < 0)
                (void) child_stop(c, NULL);
}

int child_ask_to_stop(struct child *c) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        struct envelope e = {.kind = ENVELOPE_CAST,
                        .flags = ENVELOPE_SYSTEM,
                        .deadline = UINT64_MAX,
                        .command = "stop"};
        int r;

        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        r = message_seal(m);
        return r < 0 ? r : peer_send(c->peer, &e, m, NULL, NULL, NULL);
}

/* A hook that is bounded by the same time gets to end it by itself. */
static int bound_stop(struct child *c) {
        usec_t bound = MIN(c->spawn ? stop_usec_of(c) : (usec_t)STOP_TIMEOUT_DEFAULT_USEC,
                        (usec_t)STOPPING_HOOK_USEC);
        usec_t patience = c->load.busy ? c->load.asked.patience_usec : 0;

        if (c->shutdown_usec == USEC_INFINITY)
                bound = USEC_INFINITY;

        c->stop_stage = CHILD_STOP_ASKED;
        state_mark_child(c);
        if (!has_process(c) && c->spawn)
                bound = time_add(bound, stop_usec_of(c)); /* there is no SIGTERM to follow */
        return actor_timer_set(
                        c->arbiter->actor, &c->stop_timer,
                        time_add(time_add(now_usec(), patience), time_add(bound, bound / 4)));
}

void child_has_begun(struct child *c) {
        if (c->stop_stage == CHILD_STOP_ASKED && c->load.asked.patience_usec > 0 && !c->load.busy) {
                c->load.busy = true; /* once */
                (void) bound_stop(c);
        }
}

void child_stops_itself(struct child *c) {
        child_set_state(c, ARBITER_STATE_STOPPING);
        if (c->stop_stage == CHILD_STOP_NONE)
                (void) bound_stop(c);
}

int child_stop(struct child *c, arbiter_future *waits) {
        int r;

        if (waits) {
                r = waiters_add(&c->stops, waits);
                if (r < 0)
                        return r;
        }
        if (c->stop_stage == CHILD_STOP_STUCK)
                child_kill(c, ARBITER_REASON_STOP_TIMEOUT);
        if (c->unit && c->stop_stage == CHILD_STOP_SIGNALED && !c->reason_set) {
                /* By the wish of somebody else, until now: the last word counts. */
                set_reason(c, ARBITER_REASON_SHUTDOWN);
                unit_stop(c);
        }
        if (c->stop_stage != CHILD_STOP_NONE || c->ending)
                return 0;
        set_reason(c, ARBITER_REASON_SHUTDOWN);
        child_set_state(c, ARBITER_STATE_STOPPING);
        load_ask(c); /* how long it may take for what it has begun */
        if (c->plain || !c->welcomed || child_ask_to_stop(c) < 0) {
                if (has_process(c))
                        signal_stage(c);
                else
                        child_kill(c, ARBITER_REASON_SHUTDOWN);
                return 0;
        }
        return bound_stop(c);
}

void child_shut_down(struct child *c, nsec_t shutdown) {
        /* A thread of ours cannot be killed: it is asked, as ever. */
        if (shutdown == SUPERVISE_SHUTDOWN_BRUTAL && !c->has_thread) {
                if (c->stop_stage < CHILD_STOP_KILLED && !c->ending) {
                        child_set_state(c, ARBITER_STATE_STOPPING);
                        child_kill(c, ARBITER_REASON_KILLED);
                }
                return;
        }
        if (shutdown > SUPERVISE_SHUTDOWN_BRUTAL)
                c->shutdown_usec = shutdown == SUPERVISE_SHUTDOWN_INFINITY
                                ? USEC_INFINITY
                                : MAX(shutdown / NSEC_PER_USEC, (usec_t) 1);
        (void) child_stop(c, NULL);
}

/* Ending. */

static void forget_future(struct child *c, arbiter_reason reason, int status) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = TAKE_PTR(c->future);

        if (!f)
                return;
        if (c->ignored) {
                future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
                return;
        }
        f->reason = reason;
        f->status = status;
        if (c->failure)
                future_fail(f, ARBITER_OUTCOME_CALLEE_DIED, "'%s' did not start: %s", c->name, c->failure);
        else
                future_fail(f, ARBITER_OUTCOME_CALLEE_DIED, "'%s' did not start: %s %d", c->name,
                                arbiter_reason_to_string(reason), status);
}

static void log_death(struct child *c, arbiter_reason reason, int status) {
        const char *word = arbiter_reason_to_string(reason);
        const arbiter_log_entry e = {
                .level = arbiter_reason_is_normal(reason, status) ? LOG_INFO : LOG_WARNING,
                .event = reason == ARBITER_REASON_SHUTDOWN ? "stopped" : "died",
                .reason = word,
                .status = status,
        };

        if (reason == ARBITER_REASON_EXIT_CODE || reason == ARBITER_REASON_SIGNAL ||
                        reason == ARBITER_REASON_CORE_DUMP)
                arbiter_log_facts(c->arbiter, c, &e, "%s has ended: %s %d", c->name, word, status);
        else
                arbiter_log_facts(c->arbiter, c, &e, "%s has ended: %s", c->name, word);
}

void child_end(struct child *c, arbiter_reason reason, int status) {
        bool was_running = c->started_usec > 0;
        supervise_event e = {
                .type = c->ignored    ? SUPERVISE_IGNORED
                                : was_running ? SUPERVISE_EXITED
                                              : SUPERVISE_START_FAILED,
                .slot = c->slot,
                .generation = c->set_generation,
                .reason = (int32_t) reason,
                .status = status,
                .normal = arbiter_reason_is_normal(reason, status),
        };
        arbiter *a = c->arbiter;
        struct set *set = c->set;
        arbiter_monitor *m = c->monitor_actor;

        c->ending = true;
        c->state = ARBITER_STATE_TERMINATED;
        load_serve(c, false);
        log_death(c, reason, status);

        unregister_child(c); /* the name is free before anybody hears of it */
        names_bury(c, reason, status);
        control_record_death(c, reason, status);
        if (set && set->slots[c->slot].child == c)
                set->slots[c->slot].child = NULL;
        if (c->is_host)
                host_gone(c, reason, status);
        broker_unpark(c, ARBITER_OUTCOME_NOPROC);
        broker_child_gone(c, reason, status);
        if (c->peer) {
                struct peer *p = TAKE_PTR(c->peer);

                p->userdata = NULL;
                peer_died(p, reason, status);
        }
        member_gone(&c->member);
        relations_child_gone(c, reason, status);
        forget_future(c, reason, status);
        waiters_resolve(&c->stops);
        control_actor_gone(c, reason, status);
        host_thread_gone(c);
        child_free(c);
        if (set)
                (void) set_handle(set, &e);
        if (m)
                monitor_actor_ended(m);
        if (!set && !m)
                arbiter_set_ended(a, NULL); /* a host: the arbiter may have waited for it */
}

/* A child that has ended by itself and is waited for from the loop: inline actors, and threads after
 * their link's EOF. */
static void on_end_timer(arbiter_actor *a, struct actor_timer *t) {
        struct child *c = CONTAINER_OF(t, struct child, end_timer);

        if (c->process.pidfd >= 0 && !c->unit) {
                child_bury(c);
                return;
        }
        child_drain(c); /* why it ends */
        if (cgroup_leaf_exists(&c->leaf) && cgroup_leaf_is_populated(&c->leaf) > 0) {
                (void) cgroup_leaf_kill(&c->leaf); /* of a life that another arbiter has started */
                (void) actor_timer_set(a, t, now_usec() + LEAF_RETRY_USEC);
                return;
        }
        if (c->has_thread) {
                /* Its last word was before its last deed: what it still waits for must not hold us. */
                if (pthread_tryjoin_np(c->thread, NULL) == EBUSY) {
                        c->join_delay = MIN(MAX(c->join_delay * 2, (usec_t)JOIN_MIN_USEC),
                                        (usec_t)JOIN_MAX_USEC);
                        (void) actor_timer_set(a, t, now_usec() + c->join_delay);
                        return;
                }
                c->has_thread = false;
        }
        if (c->reason_set)
                child_end(c, c->reason, c->closed_code);
        else
                child_end(c, c->closed_code ? ARBITER_REASON_EXIT_CODE : ARBITER_REASON_NORMAL,
                                c->closed_code);
}
