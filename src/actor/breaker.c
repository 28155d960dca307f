/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A circuit breaker: calls that go through breaker-rules.c. Called by the program, and by the loop when a
 * call has ended or a reset timeout is over. Decides nothing itself. */

#include <stdarg.h>
#include <string.h>

#include "actor/breaker-rules.h"
#include "actor/call.h"

struct arbiter_breaker {
        unsigned n_ref;
        arbiter_actor *actor;
        char *target;
        arbiter_proxy *proxy; /* or this one */
        usec_t call_usec;
        struct breaker_rules rules;
        struct actor_timer reset_timer, tell_timer;
        arbiter_breaker_state told;
        arbiter_breaker_handler_t handler;
        void *userdata;
};

/* One that is out. */
struct breaker_call {
        arbiter_breaker *breaker;
        uint64_t epoch;
};

static const char *const states[] = {
        [ARBITER_BREAKER_CLOSED] = "closed",
        [ARBITER_BREAKER_OPEN] = "open",
        [ARBITER_BREAKER_HALF_OPEN] = "half-open",
};

_public_ const char *arbiter_breaker_state_to_string(arbiter_breaker_state state) {
        return (size_t) state < ELEMENTSOF(states) ? states[state] : NULL;
}

/* The handler runs from the loop, also for a call that has failed while it was made. */
static void changed(arbiter_breaker *b) {
        if (b->rules.state != b->told)
                (void) actor_timer_set(b->actor, &b->tell_timer, 0);
}

static void on_tell(arbiter_actor *a, struct actor_timer *t) {
        arbiter_breaker *b = CONTAINER_OF(t, arbiter_breaker, tell_timer);
        arbiter_actor *previous;

        if (b->rules.state == b->told)
                return;
        b->told = b->rules.state;
        if (!b->handler)
                return;
        arbiter_breaker_ref(b);
        actor_enter(a, &previous);
        b->handler(b, b->told, b->userdata);
        actor_leave(a, previous);
        arbiter_breaker_unref(b);
}

static void on_reset(arbiter_actor *a, struct actor_timer *t) {
        arbiter_breaker *b = CONTAINER_OF(t, arbiter_breaker, reset_timer);

        breaker_reset(&b->rules);
        changed(b);
}

_public_ int arbiter_breaker_new(
                arbiter_actor *a, const char *target, const arbiter_proxy *p, arbiter_breaker **ret) {
        _cleanup_(arbiter_breaker_unrefp) arbiter_breaker *b = NULL;
        int r;

        if (!a || !ret || !target == !p)
                return -EINVAL;
        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        *b = (arbiter_breaker){
                .n_ref = 1,
                .actor = actor_ref(a),
                .proxy = p ? arbiter_proxy_ref((arbiter_proxy *) p) : NULL,
                .call_usec = 10 * USEC_PER_SEC,
                .rules = BREAKER_RULES_DEFAULT,
                .reset_timer = ACTOR_TIMER_INIT(on_reset),
                .tell_timer = ACTOR_TIMER_INIT(on_tell),
        };
        if (target) {
                b->target = strdup(target);
                if (!b->target)
                        return -ENOMEM;
        }
        /* One that has opened must not stay so for want of memory. */
        r = actor_timer_reserve(a, &b->reset_timer);
        if (r >= 0)
                r = actor_timer_reserve(a, &b->tell_timer);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

_public_ arbiter_breaker *arbiter_breaker_ref(arbiter_breaker *b) {
        if (b)
                b->n_ref++;
        return b;
}

_public_ arbiter_breaker *arbiter_breaker_unref(arbiter_breaker *b) {
        if (!b || --b->n_ref > 0)
                return NULL;
        actor_timer_release(b->actor, &b->reset_timer);
        actor_timer_release(b->actor, &b->tell_timer);
        arbiter_proxy_unref(b->proxy);
        actor_unref(b->actor);
        free(b->target);
        free(b);
        return NULL;
}

_public_ int arbiter_breaker_set_max_failures(arbiter_breaker *b, unsigned n) {
        if (!b || n == 0)
                return -EINVAL;
        b->rules.max_failures = n;
        return 0;
}

_public_ int arbiter_breaker_set_call_timeout(arbiter_breaker *b, uint64_t usec) {
        if (!b || usec == 0)
                return -EINVAL;
        b->call_usec = usec;
        return 0;
}

_public_ int arbiter_breaker_set_reset_timeout(
                arbiter_breaker *b, uint64_t usec, unsigned factor, uint64_t max_usec) {
        if (!b)
                return -EINVAL;
        if (usec > 0)
                b->rules.reset_usec = usec;
        if (factor > 0)
                b->rules.factor = factor;
        if (max_usec > 0)
                b->rules.reset_max_usec = max_usec;
        return 0;
}

_public_ arbiter_breaker_state arbiter_breaker_get_state(const arbiter_breaker *b) {
        return b->rules.state;
}

_public_ int arbiter_breaker_set_handler(
                arbiter_breaker *b, arbiter_breaker_handler_t handler, void *userdata) {
        if (!b)
                return -EINVAL;
        b->handler = handler;
        b->userdata = userdata;
        return 0;
}

/* Before the callbacks of the program: those see the new state. */
static void on_outcome(arbiter_future *f, void *userdata) {
        struct breaker_call *call = userdata;
        arbiter_breaker *b = call->breaker;
        usec_t reset;

        if (breaker_report(&b->rules, call->epoch, breaker_judge(f->outcome), &reset))
                (void) actor_timer_set(b->actor, &b->reset_timer, time_add(now_usec(), reset));
        free(call);
        changed(b);
        arbiter_breaker_unref(b);
}

static int refuse(arbiter_breaker *b, arbiter_future **ret) {
        int r;

        r = future_new(b->actor, ret);
        if (r >= 0)
                future_fail(*ret, ARBITER_OUTCOME_BREAKER_OPEN,
                                "calls to '%s' have failed too often: it is left alone for a while",
                                b->target ? b->target : arbiter_proxy_get_name(b->proxy));
        return r;
}

static int call(arbiter_breaker *b, uint64_t epoch, const char *command, arbiter_message *m, usec_t timeout,
                arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        _cleanup_free_ struct breaker_call *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        *c = (struct breaker_call){ .breaker = b, .epoch = epoch };
        r = arbiter_send_message(b->actor, b->target, b->proxy, command, m, timeout, &f);
        if (r < 0)
                return r;
        arbiter_breaker_ref(b);
        r = future_then_now(f, on_outcome, c);
        if (r < 0) {
                arbiter_breaker_unref(b);
                (void) arbiter_future_cancel(f);
                return r;
        }
        c = NULL;
        *ret = TAKE_PTR(f);
        return 0;
}

_public_ int arbiter_breaker_send_message(arbiter_breaker *b, const char *command, arbiter_message *m,
                uint64_t timeout_usec, arbiter_future **ret) {
        uint64_t epoch;
        usec_t unused;
        int r;

        if (!b || !ret)
                return -EINVAL;
        if (!breaker_admits(&b->rules, &epoch))
                return refuse(b, ret);
        if (timeout_usec == 0)
                timeout_usec = CALL_TIMEOUT_DEFAULT_USEC;
        r = call(b, epoch, command, m, MIN(timeout_usec, b->call_usec), ret);
        if (r < 0) /* it is as if it had not been admitted */
                (void) breaker_report(&b->rules, epoch, BREAKER_NEITHER, &unused);
        return r;
}

_public_ int arbiter_breaker_call_async(arbiter_breaker *b, arbiter_future **ret, const char *command,
                uint64_t timeout_usec, const char *signature, ...) {
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;
        va_list ap;
        int r;

        r = arbiter_message_new(&m);
        if (r < 0)
                return r;
        va_start(ap, signature);
        if (signature && *signature)
                r = arbiter_message_appendv(m, signature, ap);
        va_end(ap);
        return r < 0 ? r : arbiter_breaker_send_message(b, command, m, timeout_usec, ret);
}
