/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The glue of probes: asks when probe-decide.c says so, and makes of its verdicts what notify and watchdog
 * make, too: the end of a start, READY, UNHEALTHY. Called by child.c as a life goes on, and by the loop.
 * Must never wait, nor judge an actor by a loop that was late. */

#include <stdio.h>
#include <syslog.h>

#include "arbiter/internal.h"
#include "arbiter/probes.h"
#include "basic/fd.h"
#include "basic/utf8.h"

static void on_due(arbiter_actor *a, struct actor_timer *t);
static void on_go(arbiter_actor *a, struct actor_timer *t);
static void answered(struct probe_run *run, probe_result result);

/* Attempts. */

static struct probe_lane *lane_of(arbiter *a, const arbiter_probe *p) {
        return &a->probes.lanes[p->how != PROBE_EXEC];
}

static void go_soon(arbiter *a) {
        (void) actor_timer_set(a->actor, &a->probes.timer, now_usec());
}

arbiter *probe_enter(struct probe_attempt *x, arbiter_actor **ret_previous) {
        arbiter *a = arbiter_ref(x->arbiter);

        actor_enter(a->actor, ret_previous);
        return a;
}

void probe_leave(arbiter *a, arbiter_actor *previous) {
        actor_leave(a->actor, previous);
        actor_turn_end(a->actor);
        arbiter_unref(a);
}

bool probe_error_is_ours(int error) {
        return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -ENOBUFS ||
               error == -EAGAIN;
}

void probe_free_attempt(struct probe_attempt *x) {
        arbiter *a = x->arbiter;
        struct probe_lane *lane;

        if (list_is_linked(&x->attempts)) {
                list_remove(&x->attempts);
                lane = &a->probes.lanes[!x->is_program];
                lane->n_busy--;
                if (!list_is_empty(&lane->waiting))
                        go_soon(a);
        }
        actor_timer_release(a->actor, &x->timer);
        sd_event_source_disable_unref(x->source);
        sd_event_source_disable_unref(x->death_source);
        close_fd(x->fd);
        if (x->process.pidfd >= 0)
                process_end(&x->process);
        leaf_dispose(a, &x->leaf);
        if (x->future) {
                future_unthen(x->future, probe_ping_answered, x);
                (void) arbiter_future_cancel(x->future);
                arbiter_future_unref(x->future);
        }
        free(x->request);
        free(x->reply);
        free(x);
}

/* Nobody waits for it any more. What runs of it is killed, and buried when it is dead. */
static void abandon(struct probe_attempt *x) {
        x->run = NULL;
        if (x->process.pidfd < 0) {
                probe_free_attempt(x);
                return;
        }
        actor_timer_clear(x->arbiter->actor, &x->timer);
        (void) process_kill_all(&x->process);
}

void probe_attempt_end(struct probe_attempt *x, probe_result result, const char *format, ...) {
        struct probe_run *run = TAKE_PTR(x->run);
        char text[PROBE_TEXT_SIZE];
        va_list ap;

        if (run) {
                va_start(ap, format);
                (void) vsnprintf(text, sizeof(text), format, ap);
                va_end(ap);
                utf8_make_printable(text, strlen(text), run->text, sizeof(run->text));
                (void) snprintf(run->fact, sizeof(run->fact), "%s", x->fact);
                run->attempt = NULL;
        }
        abandon(x);
        if (run)
                answered(run, result);
}

const char *probe_fact(const struct probe_run *run) {
        return *run->fact ? run->fact : run->text;
}

static void on_timeout(arbiter_actor *actor, struct actor_timer *t) {
        struct probe_attempt *x = CONTAINER_OF(t, struct probe_attempt, timer);
        usec_t now = now_usec(), late = now - MIN(now, t->node.key);
        const struct probe_timing *timing;
        char span[TIMESPAN_STRING_MAX];

        if (!x->run)
                return;
        timing = &x->run->timing;
        if (late > MIN((usec_t) LAG_USEC, timing->timeout / 2)) {
                x->arbiter->resumed_usec = now;
                probe_attempt_end(x, PROBE_UNKNOWN, "the arbiter itself was held up");
                return;
        }
        (void) format_timespan_rounded(span, sizeof(span), timing->timeout);
        if (x->status > 0) /* all is said; only its text does not end */
                probe_http_end(x);
        else if (x->n_output > 0) {
                (void) snprintf(x->fact, sizeof(x->fact), "not done within %s", span);
                probe_attempt_end(x, PROBE_BAD, "not done within %s: %s", span, probe_last_words(x));
        } else
                probe_attempt_end(x, PROBE_BAD, "no answer within %s", span);
}

static int begin_attempt(struct probe_run *run) {
        arbiter *a = run->child->arbiter;
        struct probe_lane *lane = lane_of(a, run->probe);
        struct probe_attempt *x = calloc(1, sizeof(*x));
        int r;

        if (!x)
                return -ENOMEM;
        *x = (struct probe_attempt){
                .run = run,
                .arbiter = a,
                .is_program = run->probe->how == PROBE_EXEC,
                .timer = ACTOR_TIMER_INIT(on_timeout),
                .process = PROCESS_INIT,
                .leaf = CGROUP_LEAF_INIT,
                .fd = -EBADF,
        };
        list_init(&x->attempts);
        r = actor_timer_set(a->actor, &x->timer, time_add(now_usec(), run->timing.timeout));
        if (r < 0) {
                probe_free_attempt(x);
                return r;
        }
        list_append(&lane->attempts, &x->attempts);
        lane->n_busy++;
        run->attempt = x;
        switch (run->probe->how) {
        case PROBE_EXEC:
                return probe_exec_begin(x);
        case PROBE_TCP:
                return probe_tcp_begin(x);
        case PROBE_HTTP:
                return probe_http_begin(x);
        default:
                return probe_ping_begin(x);
        }
}

/* Runs. */

/* Is it still asked? A life that is about to end has been judged. */
static bool is_asked(const struct child *c) {
        return c->stop_stage == CHILD_STOP_NONE && !c->ending && !c->ended &&
               (c->state == ARBITER_STATE_STARTING || c->state == ARBITER_STATE_RUNNING);
}

static void arm(struct probe_run *run) {
        (void) actor_timer_set(run->child->arbiter->actor, &run->timer, run->state.due);
}

static void free_run(struct probe_run *run) {
        arbiter_actor *a = run->child->arbiter->actor;

        if (run->attempt) {
                struct probe_attempt *x = TAKE_PTR(run->attempt);

                abandon(x);
        }
        list_remove(&run->waiting);
        actor_timer_release(a, &run->timer);
        arbiter_probe_unref(run->probe);
        free(run);
}

static uint64_t seed_of(const struct child *c, arbiter_probe_kind kind) {
        uint64_t seed = (uint64_t) kind;

        for (unsigned i = 0; i < AID_SIZE; i++)
                seed = seed * 0x100000001b3 ^ (unsigned char) c->aid.c[i];
        return seed;
}

static int new_run(struct child *c, arbiter_probe_kind kind, arbiter_probe *p, struct probe_run **ret) {
        struct probe_run *run = calloc(1, sizeof(*run));
        int r;

        if (!run)
                return -ENOMEM;
        *run = (struct probe_run){
                .child = c,
                .timing = p->timing,
                .timer = ACTOR_TIMER_INIT(on_due),
                .last = PROBE_UNKNOWN,
        };
        list_init(&run->waiting);
        probe_timing_complete(&run->timing, kind);
        r = actor_timer_reserve(c->arbiter->actor, &run->timer);
        if (r < 0) {
                free(run);
                return r;
        }
        p->used = true;
        run->probe = arbiter_probe_ref(p);
        *ret = run;
        return 0;
}

static int begin(struct child *c, arbiter_probe_kind kind, usec_t since, bool fresh) {
        arbiter_probe *p = c->spawn->probes.probes[kind];
        struct probe_run *run;
        int r;

        r = new_run(c, kind, p, &run);
        if (r < 0)
                return r;
        probe_decide_begin(&run->state, kind, &run->timing, seed_of(c, kind), since, now_usec(), fresh);
        c->probes[kind] = run;
        arm(run);
        return 0;
}

static bool has_probe(const struct child *c, arbiter_probe_kind kind) {
        return c->spawn && !c->is_host && !c->monitor_actor && c->spawn->probes.probes[kind];
}

bool child_is_ready(const struct child *c) {
        const struct probe_run *run = c->probes[ARBITER_PROBE_READINESS];

        if (c->state != ARBITER_STATE_RUNNING)
                return false;
        return run ? run->state.known && run->state.good : !has_probe(c, ARBITER_PROBE_READINESS);
}

static void tell_no_memory(struct child *c, int error) {
        arbiter_log(c->arbiter, LOG_ERR, c, NULL, "%s cannot be probed: %s", c->name, strerror(-error));
}

bool probes_hold_back(struct child *c) {
        int r;

        if (!has_probe(c, ARBITER_PROBE_START))
                return false;
        if (c->probes[ARBITER_PROBE_START])
                return !c->probes[ARBITER_PROBE_START]->state.over;
        r = begin(c, ARBITER_PROBE_START, now_usec(), true);
        if (r < 0) {
                child_fail_start(c, ARBITER_REASON_HANDSHAKE, "it cannot be probed: %s", strerror(-r));
                return true;
        }
        c->up = true;
        c->waiting_usec = now_usec();
        state_mark_child(c);
        return true;
}

static bool pool_wants_readiness(const struct child *c) {
        return c->set && c->set->supervise && supervise_get_policy(c->set->supervise)->readiness;
}

static void tell_set(struct child *c, bool ready) {
        (void) set_handle(c->set, &(supervise_event){ .type = SUPERVISE_READY,
                                                  .slot = c->slot,
                                                  .generation = c->set_generation,
                                                  .ok = ready });
        load_serve(c, true);
}

static void start_rest(struct child *c, bool fresh, bool was_ready) {
        /* Of another definition than the one for which its pool waits: nobody will say it. */
        if (pool_wants_readiness(c) && !has_probe(c, ARBITER_PROBE_READINESS) && !was_ready)
                tell_set(c, true);
        for (unsigned kind = ARBITER_PROBE_READINESS; kind < PROBE_KINDS; kind++) {
                bool known = kind == ARBITER_PROBE_READINESS && was_ready;
                int r;

                if (!has_probe(c, kind) || c->probes[kind])
                        continue;
                r = begin(c, kind, c->started_usec, fresh || (kind == ARBITER_PROBE_READINESS && !known));
                if (r < 0)
                        tell_no_memory(c, r);
                else if (known) {
                        probe_decide_restore(&c->probes[kind]->state, true);
                        c->probes[kind]->was_ready = true;
                }
        }
}

void probes_start(struct child *c) {
        start_rest(c, true, false);
}

static bool is_ready(const struct child *c) {
        supervise_slot_info i;

        return c->set && supervise_get_slot(c->set->supervise, c->slot, &i) >= 0 &&
               i.generation == c->set_generation && i.ready;
}

void probes_adopt(struct child *c) {
        if (!is_asked(c) || !c->spawn)
                return;
        if (c->state == ARBITER_STATE_RUNNING)
                start_rest(c, false, is_ready(c));
        else if (c->up)
                child_running(c);
}

void probes_free(struct child *c) {
        for (size_t i = 0; i < PROBE_KINDS; i++) {
                struct probe_run *run = TAKE_PTR(c->probes[i]);

                if (run)
                        free_run(run);
        }
}

/* Due: in line; then as many begin as may. */

static void on_due(arbiter_actor *actor, struct actor_timer *t) {
        struct probe_run *run = CONTAINER_OF(t, struct probe_run, timer);
        arbiter *a = run->child->arbiter;

        if (!is_asked(run->child) || run->attempt || list_is_linked(&run->waiting))
                return;
        list_append(&lane_of(a, run->probe)->waiting, &run->waiting);
        go_soon(a);
}

static void ask(struct probe_run *run) {
        int r;

        if (!is_asked(run->child))
                return;
        probe_decide_asked(&run->state, now_usec());
        r = begin_attempt(run);
        if (r >= 0)
                return;
        if (run->attempt)
                probe_attempt_end(run->attempt, PROBE_UNKNOWN, "it cannot be asked: %s", strerror(-r));
        else {
                *run->fact = 0;
                (void) snprintf(run->text, sizeof(run->text), "it cannot be asked: %s", strerror(-r));
                answered(run, PROBE_UNKNOWN);
        }
}

static void on_go(arbiter_actor *actor, struct actor_timer *t) {
        struct probe_lanes *l = CONTAINER_OF(t, struct probe_lanes, timer);
        arbiter *a = CONTAINER_OF(l, arbiter, probes);
        bool more = false;

        for (size_t i = 0; i < ELEMENTSOF(l->lanes); i++) {
                struct probe_lane *lane = &l->lanes[i];
                unsigned n = 0;

                while (!list_is_empty(&lane->waiting) && lane->n_busy < lane->max &&
                                n++ < PROBE_BEGINS_PER_TURN) {
                        struct probe_run *run = LIST_FIRST(&lane->waiting, struct probe_run, waiting);

                        list_remove(&run->waiting);
                        ask(run);
                }
                more = more || (!list_is_empty(&lane->waiting) && lane->n_busy < lane->max);
        }
        if (more)
                go_soon(a);
}

/* Verdicts. */

static void tell(const struct probe_run *run, int level, const char *event, const char *what) {
        const struct child *c = run->child;
        const arbiter_log_entry e = {
                .level = level,
                .event = event,
                .n = run->state.n_bad,
                .usec = run->timing.interval,
        };

        arbiter_log_facts(c->arbiter, c, &e, "%s %s: its %s probe says: %s", c->name, what,
                        arbiter_probe_kind_to_string(run->state.kind), run->text);
}

static void change_readiness(struct probe_run *run, bool ready) {
        struct child *c = run->child;

        run->unready_usec = !ready && run->was_ready ? now_usec() : 0;
        run->was_ready = run->was_ready || ready;
        tell(run, ready ? LOG_INFO : LOG_WARNING, ready ? "ready" : "unready",
                        ready ? "is ready" : "is not ready");
        control_actor_changed(c);
        if (c->set)
                tell_set(c, ready);
}

static void fail(struct probe_run *run) {
        struct child *c = run->child;

        if (run->state.kind == ARBITER_PROBE_START) {
                child_fail_start(c, ARBITER_REASON_UNHEALTHY, "its start probe failed %u times, last: %s",
                                run->state.n_bad, run->text);
                return;
        }
        tell(run, LOG_WARNING, "unhealthy", "is stopped, for it is unhealthy");
        child_unhealthy(c);
}

/* The run, and its child, may be gone afterwards. */
static void act(struct probe_run *run, probe_verdict verdict) {
        struct child *c = run->child;

        if (verdict == PROBE_NOTHING)
                return;
        if (run->state.kind == ARBITER_PROBE_READINESS)
                change_readiness(run, verdict == PROBE_PASSED);
        else if (verdict == PROBE_FAILED)
                fail(run);
        else {
                actor_timer_clear(c->arbiter->actor, &run->timer);
                child_running(c);
        }
}

static void answered(struct probe_run *run, probe_result result) {
        struct child *c = run->child;
        usec_t now = now_usec();
        probe_verdict verdict;

        if (!is_asked(c))
                return;
        verdict = probe_decide_answered(&run->state, &run->timing, result, now);
        if (result == PROBE_BAD && verdict == PROBE_NOTHING)
                arbiter_log_facts(c->arbiter, c,
                                &(arbiter_log_entry){ .level = LOG_DEBUG,
                                                .event = "probe-failed",
                                                .n = run->state.n_bad },
                                "%s: its %s probe has failed (%u of %u): %s", c->name,
                                arbiter_probe_kind_to_string(run->state.kind), run->state.n_bad,
                                run->timing.failures, run->text);
        run->last = result;
        run->last_usec = now;
        if (result != PROBE_UNKNOWN) {
                run->n_results[result]++;
                if (c->set)
                        c->set->sums.probes[run->state.kind][result]++;
        }
        arm(run);
        act(run, verdict);
}

/* What is configured changes. */

bool probes_want_readiness(const arbiter_spawn *s) {
        return s->probes.probes[ARBITER_PROBE_READINESS];
}

/* Another probe of one who lives. */
static int exchange(struct child *c, arbiter_probe_kind kind, arbiter_probe *p) {
        struct probe_run *old = c->probes[kind];
        int r;

        if (old && old->state.over && kind == ARBITER_PROBE_START)
                old = NULL; /* it has passed: the next life is asked */
        r = arbiter_spawn_set_probe(c->spawn, kind, p);
        if (r < 0 || !is_asked(c))
                return r;
        state_mark_child(c);
        if (kind == ARBITER_PROBE_START) {
                if (!old)
                        return 0;
                c->probes[kind] = NULL;
                free_run(old);
                child_running(c);
                return 0;
        }
        c->probes[kind] = NULL;
        if (p && c->state == ARBITER_STATE_RUNNING) {
                r = begin(c, kind, 0, false);
                if (r < 0)
                        tell_no_memory(c, r);
                else if (kind == ARBITER_PROBE_READINESS)
                        probe_decide_restore(&c->probes[kind]->state, is_ready(c));
        }
        if (old)
                free_run(old);
        control_actor_changed(c);
        return 0;
}

/* Whoever served because nobody asked does so until the new probe says otherwise. */
static void believe_ready(arbiter_monitor *m) {
        for (uint32_t i = 1; i < m->set.n_slots; i++) {
                struct child *c = m->set.slots[i].child;

                if (c && c->state == ARBITER_STATE_RUNNING)
                        tell_set(c, true);
        }
}

void probes_worker_changed(arbiter_monitor *m) {
        bool wanted = m->policy.readiness;

        m->policy.readiness = probes_want_readiness(m->worker);
        if (!m->set.supervise || wanted == m->policy.readiness)
                return;
        if (m->policy.readiness)
                believe_ready(m);
        (void) supervise_set_policy(m->set.supervise, &m->policy);
        (void) set_handle(&m->set, &(supervise_event){ .type = SUPERVISE_TICK });
        for (uint32_t i = 1; i < m->set.n_slots; i++)
                if (m->set.slots[i].child)
                        load_serve(m->set.slots[i].child, true);
}

static int set_of_monitor(arbiter_monitor *m, arbiter_probe_kind kind, arbiter_probe *p) {
        supervise_slot_info slot;
        supervise_info info;
        int r;

        r = arbiter_spawn_set_probe(m->worker, kind, p);
        if (r < 0 || !m->set.supervise)
                return r;
        probes_worker_changed(m);
        supervise_get_info(m->set.supervise, &info);
        if (m->pool.n_definitions > 0) /* a roll may have been turned back: then it is another one */
                r = arbiter_spawn_set_probe(roll_definition(m, info.revision), kind, p);
        for (uint32_t i = 1; r >= 0 && i < m->set.n_slots; i++) {
                struct child *c = m->set.slots[i].child;

                /* One of another definition is asked by that, until it is replaced. */
                if (c && supervise_get_slot(m->set.supervise, i, &slot) >= 0 &&
                                slot.revision == info.revision)
                        r = exchange(c, kind, p);
        }
        return r;
}

_public_ int arbiter_set_probe(
                arbiter *a, const char *name, arbiter_probe_kind kind, arbiter_probe *p) {
        arbiter_spawn *definition;
        struct set_slot *k;
        arbiter_monitor *m;
        struct set *s;
        uint32_t slot;
        int r;

        if (!a || !name || !arbiter_probe_kind_to_string(kind))
                return -EINVAL;
        m = arbiter_find_monitor(a, name);
        if (m)
                return m->worker ? set_of_monitor(m, kind, p) : -EOPNOTSUPP;
        definition = map_get_string(a->definitions, name);
        r = definition ? arbiter_spawn_set_probe(definition, kind, p) : -ESRCH;
        if (control_find_slot(a, name, &s, &slot) < 0 || slot >= s->n_slots || !s->slots[slot].spawn)
                return r;
        k = &s->slots[slot];
        r = arbiter_spawn_set_probe(k->spawn, kind, p);
        return r < 0 || !k->child ? r : exchange(k->child, kind, p);
}

/* The arbiter's. */

void probes_init(arbiter *a) {
        static const unsigned max[] = { PROBE_PROGRAMS_MAX, PROBE_SOCKETS_MAX };

        a->probes.timer = ACTOR_TIMER_INIT(on_go);
        for (size_t i = 0; i < ELEMENTSOF(a->probes.lanes); i++) {
                list_init(&a->probes.lanes[i].waiting);
                list_init(&a->probes.lanes[i].attempts);
                a->probes.lanes[i].max = max[i];
        }
}

void probes_done(arbiter *a) {
        for (size_t i = 0; i < ELEMENTSOF(a->probes.lanes); i++)
                LIST_FOREACH(x, &a->probes.lanes[i].attempts, struct probe_attempt, attempts)
                        probe_free_attempt(x);
        actor_timer_release(a->actor, &a->probes.timer);
}

bool probes_know(const arbiter *a, pid_t pid) {
        LIST_FOREACH(x, &a->probes.lanes[0].attempts, struct probe_attempt, attempts)
                if (x->process.pid == pid)
                        return true;
        return false;
}
