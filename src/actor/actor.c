/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of an actor: made, shaken hands, started, running, stopping, closed. Called by the arbiter
 * (its own actor, inline ones), by actor_run() for processes and threads. Hooks are called from here and
 * nowhere else. */

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>

#include "actor/call.h"
#include "actor/group.h"
#include "actor/peer.h"
#include "basic/fd.h"

static _Thread_local arbiter_actor *current_actor;

static void on_notify_timer(arbiter_actor *a, struct actor_timer *t);
static void on_stop_timer(arbiter_actor *a, struct actor_timer *t);
static void on_idle_timer(arbiter_actor *a, struct actor_timer *t);

_public_ arbiter_actor *arbiter_actor_current(void) {
        return current_actor;
}

bool actor_enter(arbiter_actor *a, arbiter_actor **ret_previous) {
        *ret_previous = current_actor;
        current_actor = a;
        a->callback_depth++;
        return true;
}

void actor_leave(arbiter_actor *a, arbiter_actor *previous) {
        a->callback_depth--;
        current_actor = previous;
}

void actor_forget_current(void) {
        current_actor = NULL;
}

usec_t actor_now(arbiter_actor *a) {
        /* Not sd_event_now(): it costs an atomic operation on memory that all threads share. */
        if (a->batch_depth == 0)
                return now_usec();
        if (a->turn_usec == 0)
                a->turn_usec = now_usec();
        return a->turn_usec;
}

static const char *const state_names[] = {
        [ARBITER_STATE_INITIAL] = "initial",   [ARBITER_STATE_INACTIVE] = "inactive",
        [ARBITER_STATE_STARTING] = "starting", [ARBITER_STATE_RUNNING] = "running",
        [ARBITER_STATE_STOPPING] = "stopping", [ARBITER_STATE_CLOSED] = "closed",
        [ARBITER_STATE_TERMINATED] = "terminated",
};

_public_ const char *arbiter_state_to_string(arbiter_state state) {
        return (unsigned) state < ELEMENTSOF(state_names) ? state_names[state] : NULL;
}

static usec_t notify_period(usec_t silence) {
        /* clamp(0.3 x timeout, 3 s, 30 s); where the floor would be too slow for a short timeout, it
         * gives way. */
        usec_t period = silence / 10 * 3;

        if (silence == 0)
                return NOTIFY_MAX_USEC; /* nobody waits for it; what it tells is shown all the same */
        if (period >= NOTIFY_MIN_USEC)
                return MIN(period, (usec_t) NOTIFY_MAX_USEC);
        return silence >= SILENCE_DEFAULT_USEC / 3 ? NOTIFY_MIN_USEC : period;
}

static int add_commands(arbiter_actor *a, const arbiter_command *c) {
        int r;

        /* Earlier tables win: a module cannot redefine "stop". */
        for (; c && c->name; c++) {
                r = map_put_string(a->commands, c->name, (void *) c);
                if (r < 0 && r != -EEXIST)
                        return r;
        }
        return 0;
}

static int init_tables(arbiter_actor *a) {
        int r;

        r = map_new(&a->commands);
        if (r < 0)
                return r;
        r = map_new(&a->peers_by_aid);
        if (r < 0)
                return r;
        r = map_new(&a->routes);
        if (r < 0)
                return r;
        r = map_new(&a->watches);
        if (r < 0)
                return r;
        r = add_commands(a, a->arbiter_ops ? a->arbiter_ops->commands : NULL);
        if (r < 0)
                return r;
        r = add_commands(a, actor_standard_commands);
        if (r < 0)
                return r;
        return add_commands(a, a->module ? a->module->commands : NULL);
}

static void init_defaults(arbiter_actor *a, const struct actor_options *o) {
        a->n_ref = 1;
        a->event = sd_event_ref(o->event);
        a->module = o->module;
        a->generation = o->generation;
        a->token = o->token;
        a->concurrency = o->concurrency;
        a->own_loop = o->own_loop;
        a->arbiter_ops = o->arbiter_ops;
        a->arbiter = o->arbiter;
        a->first_free_slot = UINT32_MAX;
        a->successor_fd = -EBADF;
        a->links_max = LINKS_MAX_DEFAULT;
        a->mailbox_messages = MAILBOX_MESSAGES_DEFAULT;
        a->mailbox_bytes = MAILBOX_BYTES_DEFAULT;
        a->thread_workers = THREAD_WORKERS_DEFAULT;
        a->silence_usec = SILENCE_DEFAULT_USEC;
        a->stop_usec = STOPPING_HOOK_USEC;
        a->started_usec = now_usec();
        a->notify_timer = ACTOR_TIMER_INIT(on_notify_timer);
        a->stop_timer = ACTOR_TIMER_INIT(on_stop_timer);
        a->idle_timer = ACTOR_TIMER_INIT(on_idle_timer);
        load_init(a);
        list_init(&a->parameters);
        list_init(&a->extra);
        list_init(&a->unlinkings);
        list_init(&a->locks);
        list_init(&a->pending_exits);
        list_init(&a->deferred_downs);
        list_init(&a->queue);
        list_init(&a->free_incoming);
        list_init(&a->ready);
        list_init(&a->futures);
        peer_init(a);
        if (o->aid) {
                a->aid = *o->aid;
                a->aid_string = aid_to_string(o->aid);
        }
        (void) snprintf(a->name, sizeof(a->name), "%s", o->name ? o->name : "");
        (void) snprintf(a->manager, sizeof(a->manager), "%s", o->manager ? o->manager : "arbiter");
}

int actor_new(const struct actor_options *o, arbiter_actor **ret) {
        _cleanup_(actor_unrefp) arbiter_actor *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        init_defaults(a, o);
        r = siphash_key_random(&a->id_key);
        if (r < 0)
                return r;
        r = init_tables(a);
        if (r < 0)
                return r;
        r = actor_timers_init(a);
        if (r < 0)
                return r;
        r = dispatch_init(a);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}

arbiter_actor *actor_ref(arbiter_actor *a) {
        if (a)
                a->n_ref++;
        return a;
}

static void free_parameters(struct list_node *head) {
        LIST_FOREACH(p, head, struct actor_parameter, parameters) {
                list_remove(&p->parameters);
                free(p->key);
                free(p->value);
                free(p);
        }
}

static void on_start_gate(arbiter_future *f, void *userdata);
static void on_stop_gate(arbiter_future *f, void *userdata);

/* They may be somebody else's futures, and outlive us. */
static void drop_gates(arbiter_actor *a) {
        future_unthen(a->start_gate, on_start_gate, a);
        future_unthen(a->stop_gate, on_stop_gate, a);
        a->start_gate = arbiter_future_unref(a->start_gate);
        a->stop_gate = arbiter_future_unref(a->stop_gate);
}

arbiter_actor *actor_unref(arbiter_actor *a) {
        if (!a || --a->n_ref > 0)
                return NULL;

        a->n_ref = 1; /* what is torn down may hold references for a moment */
        a->state = MAX(a->state, ARBITER_STATE_CLOSED);
        a->thread_pool = thread_pool_free(a->thread_pool);
        dispatch_done(a);
        peer_done(a);
        control_drop_successor(a);
        calls_done(a);
        futures_done(a);
        watch_done(a);
        groups_done(a);
        locks_done(a);
        actor_timers_done(a);
        incoming_free_all(a);
        drop_gates(a);
        map_free(a->commands, NULL);
        map_free(a->peers_by_aid, NULL);
        map_free(a->routes, NULL);
        free_parameters(&a->parameters);
        free_parameters(&a->extra);
        close_many(a->listen_fds, a->n_listen_fds);
        for (size_t i = 0; a->listen_names && i < a->n_listen_fds; i++)
                free(a->listen_names[i]);
        free(a->listen_fds);
        free(a->listen_names);
        sd_event_unref(a->event);
        free(a);
        return NULL;
}

void actor_set_state(arbiter_actor *a, arbiter_state state) {
        a->state = state;
        dispatch_wake(a);
}

/* Starting. */

static void start_failed(arbiter_actor *a, int error, const char *text) {
        (void) actor_cast_arbiter(a, "failed", "is", (int32_t) error, text);
        a->exit_code = 1;
        actor_end(a);
}

static void now_running(arbiter_actor *a) {
        if (a->ignored) {
                (void) actor_cast_arbiter(a, "ignored", "");
                actor_end(a);
                return;
        }
        if (a->control)
                peer_grant_control(a->control);
        actor_set_state(a, ARBITER_STATE_RUNNING);
        a->started_usec = now_usec();
        if (a->token) /* a service that somebody else has written: of Type=notify, perhaps */
                (void) sd_notify(false, "READY=1");
        on_notify_timer(a, &a->notify_timer);
}

static void on_start_gate(arbiter_future *f, void *userdata) {
        arbiter_actor *a = userdata;

        a->start_gate = arbiter_future_unref(a->start_gate);
        if (a->state != ARBITER_STATE_STARTING)
                return;
        if (f->outcome == ARBITER_OUTCOME_REPLY)
                now_running(a);
        else
                start_failed(a, arbiter_outcome_to_errno(f->outcome), arbiter_future_get_error_text(f));
}

int actor_start(arbiter_actor *a) {
        arbiter_actor *previous;
        int r = 0;

        a->state = ARBITER_STATE_STARTING;
        if (a->module && a->module->start) {
                actor_enter(a, &previous);
                r = a->module->start(a, a->userdata);
                actor_leave(a, previous);
        }
        if (a->state != ARBITER_STATE_STARTING)
                return 0; /* it has stopped itself */
        if (r < 0) {
                start_failed(a, r, strerror(-r));
                return r;
        }
        if (!a->start_gate) {
                now_running(a);
                return 0;
        }
        return future_then_now(a->start_gate, on_start_gate, a);
}

static int take_gate(arbiter_actor *a, arbiter_future **gate, arbiter_future *f) {
        arbiter_future *both[2] = { *gate, f }, *all;
        int r;

        if (!*gate) {
                *gate = arbiter_future_ref(f);
                return 0;
        }
        r = arbiter_future_all(both, 2, &all);
        if (r < 0)
                return r;
        arbiter_future_unref(*gate);
        *gate = all;
        return 0;
}

_public_ int arbiter_actor_delay_start(arbiter_actor *a, arbiter_future *f) {
        if (!a || !f)
                return -EINVAL;
        return a->state == ARBITER_STATE_STARTING ? take_gate(a, &a->start_gate, f) : -ESTALE;
}

_public_ int arbiter_actor_ignore(arbiter_actor *a) {
        if (!a)
                return -EINVAL;
        if (a->state != ARBITER_STATE_STARTING)
                return -ESTALE;
        a->ignored = true;
        return 0;
}

_public_ int arbiter_actor_delay_stop(arbiter_actor *a, arbiter_future *f) {
        if (!a || !f)
                return -EINVAL;
        return a->state == ARBITER_STATE_STOPPING ? take_gate(a, &a->stop_gate, f) : -ESTALE;
}

/* The handshake. */

static int read_parameters(arbiter_actor *a, arbiter_message *m) {
        const char *key, *value;
        int r;

        r = arbiter_message_enter_container(m, 'a', "{ss}");
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        while ((r = arbiter_message_read(m, "{ss}", &key, &value)) > 0) {
                r = actor_set_parameter(a, key, value);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : arbiter_message_exit_container(m);
}

static int read_welcome(arbiter_actor *a, arbiter_message *m, int *ret_page_fd) {
        const char *spawner, *id, *name, *manager;
        uint8_t policy, concurrency;
        uint32_t generation;
        int r;

        r = arbiter_message_read(m, "ssssuttttyy", &spawner, &id, &name, &manager, &generation,
                        &a->silence_usec, &a->stop_usec, &a->mailbox_messages, &a->mailbox_bytes, &policy,
                        &concurrency);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (aid_parse(id, &a->aid) < 0 || aid_equal(&a->aid, &AID_ARBITER) ||
                        !qualified_name_is_valid(name) || policy > ARBITER_MAILBOX_BLOCK ||
                        (*spawner && aid_parse(spawner, &a->spawner) < 0))
                return -EBADMSG;
        a->aid_string = aid_to_string(&a->aid);
        (void) snprintf(a->name, sizeof(a->name), "%s", name);
        (void) snprintf(a->manager, sizeof(a->manager), "%s", manager);
        a->generation = generation;
        a->mailbox_policy = policy;
        a->concurrency = concurrency;
        r = read_parameters(a, m);
        if (r < 0)
                return r;
        return arbiter_message_read(m, "h", ret_page_fd);
}

static void on_welcome(arbiter_future *f, void *userdata) {
        arbiter_actor *a = userdata;
        struct link_page *page = NULL;
        arbiter_message *m = NULL;
        int page_fd = -EBADF, r;

        if (a->state >= ARBITER_STATE_STOPPING)
                return;
        r = arbiter_future_get_reply(f, &m);
        if (r >= 0)
                r = read_welcome(a, m, &page_fd);
        if (r > 0 && link_get_kind(a->control->link) != LINK_LOCAL && !link_has_page(a->control->link)) {
                r = link_page_map(page_fd, &page);
                if (r >= 0)
                        r = link_set_page(a->control->link, page, 1);
        }
        if (r < 0) {
                a->exit_code = 1;
                actor_end(a);
                return;
        }
        a->control->fresh = true;
        (void) actor_start(a);
}

/* Its own commands, so that whoever asks the arbiter need not ask the actor. */
static int append_commands(arbiter_message *m, const arbiter_command *c) {
        int r;

        r = arbiter_message_open_container(m, 'a', "(ssssst)");
        if (r < 0)
                return r;
        for (; c && c->name; c++) {
                r = arbiter_message_append(m, "(ssssst)", c->name, c->arguments ? c->arguments : "",
                                c->argument_names ? c->argument_names : "", c->result ? c->result : "",
                                c->result_names ? c->result_names : "", c->flags);
                if (r < 0)
                        return r;
        }
        return arbiter_message_close_container(m);
}

int actor_build_hello(arbiter_actor *a, arbiter_message **ret) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        r = arbiter_message_append(m, "usu", (uint32_t) ENVELOPE_VERSION,
                        a->token && a->state < ARBITER_STATE_STARTING ? a->token : "", (uint32_t) getpid());
        if (r < 0)
                return r;
        r = append_commands(m, a->module ? a->module->commands : NULL);
        if (r < 0)
                return r;
        r = message_seal(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

static int say_hello(arbiter_actor *a) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        int r;

        r = actor_build_hello(a, &m);
        if (r >= 0)
                r = actor_send_system(a, &AID_ARBITER, "hello", m, UINT64_MAX, &f);
        if (r < 0)
                return r;
        f->repeatable = true;
        return future_then_now(f, on_welcome, a);
}

int actor_attach_control(arbiter_actor *a, struct link *control) {
        int r;

        r = peer_new(a, control, &AID_ARBITER, "arbiter", 0, true, &a->control);
        if (r < 0)
                return r;
        if (link_get_kind(control) != LINK_LOCAL)
                link_allow_takeover(control);
        /* Its word comes before the siblings' mail. */
        r = a->own_loop ? link_set_priority(control, SD_EVENT_PRIORITY_NORMAL - 10) : 0;
        if (r < 0)
                return r;
        return say_hello(a);
}

/* Running. */

int actor_send_notify(arbiter_actor *a) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        int r;

        /* Never blocks: what the link does not take now is said by the next notify. */
        if (!a->control || link_is_blocked(a->control->link))
                return 0;
        r = arbiter_message_new(&m);
        if (r >= 0)
                r = actor_append_notify(a, m);
        if (r >= 0)
                r = message_seal(m);
        return r < 0 ? r : actor_send_system(a, &AID_ARBITER, "notify", m, 0, NULL);
}

static void on_notify_timer(arbiter_actor *a, struct actor_timer *t) {
        usec_t period = notify_period(a->silence_usec);

        if (a->state != ARBITER_STATE_RUNNING && a->state != ARBITER_STATE_STOPPING)
                return;
        (void) actor_send_notify(a);
        if (a->module && a->module->periodic_task)
                (void) a->module->periodic_task(a, a->userdata);
        /* Nobody is silent on the arbiter's own loop: without a task it need not wake up. */
        else if (a->concurrency == ARBITER_CONCURRENCY_INLINE)
                return;
        /* Up to a twentieth early, so that a thousand actors do not all speak at once. */
        (void) actor_timer_set(a, &a->notify_timer,
                        now_usec() + period - (a->aid.c[7] % 16U) * period / 320);
}

static void on_idle_timer(arbiter_actor *a, struct actor_timer *t) {
        struct peer *first;
        usec_t now = now_usec();

        peers_close_idle(a, now);
        first = LIST_FIRST(&a->lru, struct peer, lru);
        if (first)
                (void) actor_timer_set(
                                a, t, MAX(first->last_used + LINK_IDLE_USEC, now + LINK_IDLE_USEC / 4));
}

/* Stopping. */

static void on_stop_gate(arbiter_future *f, void *userdata) {
        arbiter_actor *a = userdata;

        if (a->state != ARBITER_STATE_STOPPING)
                return;
        a->stop_gate = arbiter_future_unref(a->stop_gate);
        if (actor_timer_set(a, &a->stop_timer, 0) < 0)
                actor_end(a);
}

/* What it has begun is answered, and what it has said and what waits for a link or for credit goes out
 * first, within the same bound. */
static bool has_unfinished(arbiter_actor *a) {
        return actor_has_waiting(a) || load_owes_answers(a);
}

/* Longer if its arbiter has said so, unless that time has been had. */
static usec_t finishing_bound(const arbiter_actor *a) {
        usec_t bound = MIN(a->stop_usec, (usec_t) STOPPING_HOOK_USEC);

        return a->load.draining ? bound : MAX(bound, a->load.patience_usec);
}

static void on_stop_timer(arbiter_actor *a, struct actor_timer *t) {
        if (a->state != ARBITER_STATE_STOPPING)
                return;
        if (!a->draining && !a->stop_gate && has_unfinished(a) &&
            actor_timer_set(a, t, time_add(now_usec(), finishing_bound(a))) >= 0) {
                a->draining = true;
                load_tell(a); /* its arbiter may have thought that it was idle */
                return;
        }
        actor_end(a);
}

/* At the end of a turn: nothing waits any more? */
void actor_drained(arbiter_actor *a) {
        if (has_unfinished(a))
                return;
        a->draining = false;
        (void) actor_timer_set(a, &a->stop_timer, 0);
}

_public_ int arbiter_actor_stop(arbiter_actor *a, int exit_code) {
        arbiter_actor *previous;

        if (!a)
                return -EINVAL;
        if (a->arbiter_ops)
                return a->arbiter_ops->stop(a, exit_code);
        if (a->state >= ARBITER_STATE_STOPPING)
                return 0;
        a->exit_code = exit_code;
        a->state = ARBITER_STATE_STOPPING;
        if (a->module && a->module->stopping) {
                actor_enter(a, &previous);
                (void) a->module->stopping(a, a->userdata);
                actor_leave(a, previous);
        }
        /* Not inside the caller's handler: its answer is to leave first. */
        if (actor_timer_set(a, &a->stop_timer,
                            a->stop_gate ? now_usec() + MIN(a->stop_usec, (usec_t) STOPPING_HOOK_USEC) : 0) <
                        0)
                actor_end(a);
        else if (a->stop_gate)
                return future_then_now(a->stop_gate, on_stop_gate, a);
        return 0;
}

_public_ int arbiter_actor_exit(arbiter_actor *a, arbiter_reason reason) {
        if (!a || !arbiter_reason_to_string(reason))
                return -EINVAL;
        if (!a->exit_reason_set) {
                a->exit_reason = reason;
                a->exit_reason_set = true;
                (void) actor_cast_arbiter(a, "exiting", "u", (uint32_t) reason);
        }
        return arbiter_actor_stop(a, arbiter_reason_is_normal(reason, 0) ? 0 : 1);
}

void actor_end(arbiter_actor *a) {
        arbiter_actor *previous;

        if (a->state >= ARBITER_STATE_CLOSED)
                return;
        actor_ref(a);
        a->state = ARBITER_STATE_CLOSED;
        drop_gates(a);
        actor_timer_clear(a, &a->stop_timer);
        actor_timer_clear(a, &a->notify_timer);
        actor_timer_clear(a, &a->idle_timer);
        actor_timer_clear(a, &a->load_timer);
        dispatch_refuse_all(a);
        /* The exit hook is the last call: threads and callbacks, which may use what it frees, end before
         * it. */
        a->thread_pool = thread_pool_free(a->thread_pool);
        calls_done(a);
        futures_run_ready(a);
        if (a->module && a->module->exit) {
                actor_enter(a, &previous);
                a->module->exit(a, a->userdata);
                actor_leave(a, previous);
        }
        (void) actor_cast_arbiter(a, "closed", "i", (int32_t) a->exit_code);
        actor_flush(a);
        peers_flush_finally(a);
        if (a->ended)
                a->ended(a, a->ended_userdata);
        peer_done(a);
        if (a->own_loop)
                (void) sd_event_exit(a->event, a->exit_code);
        actor_unref(a);
}

/* A loop of its own. */

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        return arbiter_actor_stop(userdata, (int) si->ssi_signo);
}

int actor_block_signal(sd_event *event, sd_event_source **ret, int signal,
                       sd_event_signal_handler_t handler, void *userdata) {
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, signal);
        r = pthread_sigmask(SIG_BLOCK, &set, NULL);
        return r != 0 ? -r : sd_event_add_signal(event, ret, signal, handler, userdata);
}

static int add_signals(arbiter_actor *a) {
        static const int signals[] = { SIGTERM, SIGINT, SIGQUIT };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(signals) && r >= 0; i++)
                r = actor_block_signal(a->event, NULL, signals[i], on_signal, a);
        return r;
}

int actor_run(const arbiter_module *module, int control_fd, arbiter_concurrency concurrency,
                const char *const *listen_names, const int *listen_fds, size_t n_listen_fds) {
        return actor_run_with(
                        module, NULL, NULL, control_fd, concurrency, listen_names, listen_fds, n_listen_fds);
}

int actor_run_with(const arbiter_module *module, void *userdata, const char *token, int control_fd,
                arbiter_concurrency concurrency, const char *const *listen_names, const int *listen_fds,
                size_t n_listen_fds) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(actor_unrefp) arbiter_actor *a = NULL;
        _cleanup_(link_unrefp) struct link *control = NULL;
        struct actor_options o = {
                        .module = module, .token = token, .concurrency = concurrency, .own_loop = true};
        int r;

        r = sd_event_new(&event);
        if (r < 0) {
                close_fd(control_fd);
                return r;
        }
        o.event = event;
        r = actor_new(&o, &a);
        if (r < 0) {
                close_fd(control_fd);
                return r;
        }
        a->userdata = userdata;
        r = actor_set_listen_fds(a, listen_fds, listen_names, n_listen_fds);
        if (r >= 0 && concurrency == ARBITER_CONCURRENCY_PROCESS)
                r = add_signals(a);
        /* WatchdogSec= of a unit that we are: fed by this loop, as long as it turns. Beside the arbiter's
         * own watch over us; without $WATCHDOG_USEC, or when that is for another process, there is none. */
        if (r >= 0 && concurrency == ARBITER_CONCURRENCY_PROCESS)
                r = sd_event_set_watchdog(event, true);
        if (r < 0) {
                close_fd(control_fd);
                return r;
        }
        r = link_new(event, LINK_SEQPACKET, control_fd, NULL, 1, &actor_link_events, NULL, &control);
        if (r < 0)
                return r;
        r = actor_attach_control(a, control);
        if (r < 0)
                return r;
        actor_flush(a);
        r = sd_event_loop(event);
        return r < 0 ? r : a->exit_code;
}
