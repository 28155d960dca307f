/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Futures: the one outcome of a request, a spawn, or work in a thread. Resolution happens inside library
 * code; the user's callbacks run later, from a defer source of their own loop, each exactly once, so that
 * no user code ever runs inside a library call. A future whose actor ends is resolved as cancelled first
 * (calls_done()). */

#include <stdio.h>

#include "actor/call.h"
#include "actor/peer.h"
#include "basic/time-util.h"

struct future_callback {
        struct list_node callbacks;
        arbiter_future_callback_t callback;
        void *userdata;
        bool now; /* the library's own */
};

int future_new(arbiter_actor *a, arbiter_future **ret) {
        arbiter_future *f = malloc(sizeof(*f)); /* not calloc(), which goes past the allocator's cache */

        if (!f)
                return -ENOMEM;
        *f = (struct arbiter_future){};
        f->n_ref = 1;
        f->actor = a;
        f->pending = true;
        f->outcome = ARBITER_OUTCOME_CANCELLED;
        f->deadline = ACTOR_TIMER_INIT(NULL);
        list_init(&f->callbacks);
        list_init(&f->calls);
        list_init(&f->ready);
        list_append(&a->futures, &f->futures);
        *ret = f;
        return 0;
}

_public_ arbiter_future *arbiter_future_ref(arbiter_future *f) {
        if (f)
                f->n_ref++;
        return f;
}

static void future_free(arbiter_future *f) {
        list_remove(&f->futures);
        LIST_FOREACH(c, &f->callbacks, struct future_callback, callbacks) {
                list_remove(&c->callbacks);
                free(c);
        }
        if (f->destroy)
                f->destroy(f);
        arbiter_message_unref(f->reply);
        arbiter_proxy_unref(f->proxy);
        free(f);
}

_public_ arbiter_future *arbiter_future_unref(arbiter_future *f) {
        if (f && --f->n_ref == 0)
                future_free(f);
        return NULL;
}

static struct future_callback *find_callback(arbiter_future *f, bool now) {
        LIST_FOREACH(c, &f->callbacks, struct future_callback, callbacks)
                if (c->now == now)
                        return c;
        return NULL;
}

static void run_callbacks(arbiter_future *f, bool now) {
        struct future_callback *c;

        /* Searched anew each time: a callback may add another one. */
        while ((c = find_callback(f, now))) {
                list_remove(&c->callbacks);
                c->callback(f, c->userdata);
                free(c);
        }
}

/* User callbacks run from the loop: at the end of the batch or timer that resolved their future, else in
 * a turn of their own. */
void futures_run_ready(arbiter_actor *a) {
        arbiter_actor *previous;
        arbiter_future *f;

        if (list_is_empty(&a->ready))
                return;
        actor_ref(a);
        actor_enter(a, &previous);
        while ((f = LIST_FIRST(&a->ready, arbiter_future, ready))) {
                list_remove(&f->ready);
                run_callbacks(f, false);
                arbiter_future_unref(f); /* the one that schedule() took */
        }
        actor_leave(a, previous);
        actor_unref(a);
}

void futures_done(arbiter_actor *a) {
        arbiter_future *f;

        while ((f = LIST_FIRST(&a->futures, arbiter_future, futures))) {
                arbiter_future_ref(f);
                list_remove(&f->futures);
                if (f->pending)
                        future_fail(f, ARBITER_OUTCOME_CANCELLED, "the actor ends");
                futures_run_ready(a);
                f->actor = NULL;
                arbiter_future_unref(f);
        }
}

static void schedule(arbiter_future *f) {
        arbiter_actor *a = f->actor;

        if (!a || list_is_linked(&f->ready) || !find_callback(f, false))
                return;
        list_append(&a->ready, &f->ready);
        arbiter_future_ref(f);
        if (a->batch_depth == 0 && a->ready_source)
                (void) sd_event_source_set_enabled(a->ready_source, SD_EVENT_ONESHOT);
}

void future_resolve(arbiter_future *f, arbiter_outcome outcome, arbiter_message *reply) {
        if (!f->pending) {
                arbiter_message_unref(reply);
                return;
        }
        arbiter_future_ref(f);
        f->pending = false;
        f->outcome = outcome;
        f->reply = reply;
        call_forget(f);
        run_callbacks(f, true);
        schedule(f);
        arbiter_future_unref(f);
}

static void fail_text(arbiter_future *f, arbiter_outcome outcome, const char *name, const char *text) {
        arbiter_message *m = NULL;

        /* Without memory the outcome still stands; only its text is missing. */
        (void) message_new_error(outcome, name, text, &m);
        future_resolve(f, outcome, m);
}

void future_fail(arbiter_future *f, arbiter_outcome outcome, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        fail_text(f, outcome, outcome_to_error_name(outcome), text);
}

void future_fail_errno(arbiter_future *f, int error, const char *text) {
        char name[64];
        const char *symbol = strerrorname_np(-error);

        (void) snprintf(name, sizeof(name), "System.Error.%s", symbol ? symbol : "EIO");
        fail_text(f, ARBITER_OUTCOME_APPLICATION_ERROR, name, text ? text : strerror(-error));
}

void future_fail_death(arbiter_future *f, arbiter_outcome outcome, arbiter_reason reason, int status) {
        f->reason = reason;
        f->status = status;
        if (reason == ARBITER_REASON_EXIT_CODE || reason == ARBITER_REASON_SIGNAL ||
                        reason == ARBITER_REASON_CORE_DUMP)
                future_fail(f, outcome, "the actor died: %s %d", arbiter_reason_to_string(reason), status);
        else
                future_fail(f, outcome, "the actor died: %s", arbiter_reason_to_string(reason));
}

void future_resolve_proxy(arbiter_future *f, arbiter_proxy *proxy) {
        if (f->pending)
                f->proxy = arbiter_proxy_ref(proxy);
        future_resolve(f, ARBITER_OUTCOME_REPLY, NULL);
}

static int add_callback(arbiter_future *f, arbiter_future_callback_t callback, void *userdata, bool now) {
        struct future_callback *c = malloc(sizeof(*c));

        if (!c)
                return -ENOMEM;
        list_init(&c->callbacks);
        c->callback = callback;
        c->userdata = userdata;
        c->now = now;
        list_append(&f->callbacks, &c->callbacks);
        return 0;
}

int future_then_now(arbiter_future *f, arbiter_future_callback_t callback, void *userdata) {
        if (!f->pending) {
                callback(f, userdata);
                return 0;
        }
        return add_callback(f, callback, userdata, true);
}

void future_unthen(arbiter_future *f, arbiter_future_callback_t callback, void *userdata) {
        if (!f)
                return;
        LIST_FOREACH(c, &f->callbacks, struct future_callback, callbacks)
                if (c->callback == callback && c->userdata == userdata) {
                        list_remove(&c->callbacks);
                        free(c);
                }
}

_public_ int arbiter_future_then(arbiter_future *f, arbiter_future_callback_t callback, void *userdata) {
        int r;

        if (!f || !callback)
                return -EINVAL;
        if (!f->actor)
                return -ESHUTDOWN;
        r = add_callback(f, callback, userdata, false);
        if (r < 0)
                return r;
        if (!f->pending)
                schedule(f);
        return 0;
}

_public_ bool arbiter_future_is_pending(arbiter_future *f) {
        return f->pending;
}

_public_ int arbiter_future_wait(arbiter_future *f, uint64_t timeout_usec) {
        _cleanup_(arbiter_future_unrefp) _unused_ arbiter_future *keep = arbiter_future_ref(f);
        usec_t end = timeout_usec == 0 ? USEC_INFINITY : time_add(now_usec(), timeout_usec);
        arbiter_actor *a = f->actor;

        if (!f->pending)
                return 0;
        if (!a)
                return -ESHUTDOWN;
        if (a->callback_depth > 0 || arbiter_actor_current())
                return -EDEADLK;

        actor_flush(a);
        while (f->pending) {
                usec_t now = now_usec();
                int r;

                if (now >= end)
                        return -ETIMEDOUT;
                if (sd_event_get_state(a->event) == SD_EVENT_FINISHED)
                        return -ESHUTDOWN;
                r = sd_event_run(a->event, end == USEC_INFINITY ? UINT64_MAX : end - now);
                if (r < 0)
                        return r;
        }
        return 0;
}

_public_ int arbiter_future_cancel(arbiter_future *f) {
        if (!f->pending)
                return -EALREADY;

        arbiter_future_ref(f);
        if (f->cancel)
                f->cancel(f);
        else if (f->sent && f->peer && f->peer->link) {
                struct envelope e = {
                        .kind = ENVELOPE_CANCEL,
                        .flags = ENVELOPE_SYSTEM,
                        .id = f->id,
                        .deadline = UINT64_MAX,
                        .command = "",
                        .signature = "",
                };

                /* Best effort: a peer that cannot be told finds out when its answer is late. */
                if (link_send(f->peer->link, &e, NULL, NULL) >= 0)
                        peer_mark_dirty(f->peer);
        }
        if (f->pending)
                future_fail(f, ARBITER_OUTCOME_CANCELLED, "cancelled by the caller");
        arbiter_future_unref(f);
        return 0;
}

_public_ arbiter_outcome arbiter_future_get_outcome(arbiter_future *f) {
        return f->pending ? ARBITER_OUTCOME_CANCELLED : f->outcome;
}

_public_ arbiter_executed arbiter_future_get_executed(arbiter_future *f) {
        /* Nothing that still waits at our side has run, whatever else became of it. */
        if ((f->outcome == ARBITER_OUTCOME_CANCELLED || f->outcome == ARBITER_OUTCOME_NO_CONNECTION) &&
                        f->id != 0 && !f->sent)
                return ARBITER_EXECUTED_NO;
        return arbiter_outcome_executed(f->outcome);
}

_public_ const char *arbiter_future_get_error_name(arbiter_future *f) {
        if (f->pending || f->outcome == ARBITER_OUTCOME_REPLY)
                return NULL;
        return f->reply ? arbiter_message_get_error_name(f->reply) : outcome_to_error_name(f->outcome);
}

_public_ const char *arbiter_future_get_error_text(arbiter_future *f) {
        if (f->pending || f->outcome == ARBITER_OUTCOME_REPLY)
                return NULL;
        return f->reply ? arbiter_message_get_error_text(f->reply) : arbiter_outcome_to_string(f->outcome);
}

_public_ int arbiter_future_get_reply(arbiter_future *f, arbiter_message **ret) {
        if (f->pending)
                return -EBUSY;
        if (f->outcome != ARBITER_OUTCOME_REPLY)
                return arbiter_outcome_to_errno(f->outcome);
        if (ret)
                *ret = f->reply;
        return 0;
}

_public_ int arbiter_future_get(arbiter_future *f, const char *signature, ...) {
        arbiter_message *m = NULL;
        va_list ap;
        int r;

        r = arbiter_future_get_reply(f, &m);
        if (r < 0)
                return r;
        if (!m)
                return *signature ? -ENXIO : 0;
        r = arbiter_message_rewind(m, true);
        if (r < 0)
                return r;
        va_start(ap, signature);
        r = arbiter_message_readv(m, signature, ap);
        va_end(ap);
        return r;
}

_public_ int arbiter_future_get_proxy(arbiter_future *f, arbiter_proxy **ret) {
        if (!ret)
                return -EINVAL;
        if (f->pending)
                return -EBUSY;
        if (f->outcome != ARBITER_OUTCOME_REPLY)
                return arbiter_outcome_to_errno(f->outcome);
        if (!f->proxy)
                return -ENODATA;
        *ret = arbiter_proxy_ref(f->proxy);
        return 0;
}

_public_ const char *arbiter_future_get_aid(arbiter_future *f) {
        return aid_is_null(&f->spawn_aid) ? NULL : f->spawn_aid_string.s;
}

_public_ arbiter_reason arbiter_future_get_reason(arbiter_future *f, int *ret_status) {
        if (ret_status)
                *ret_status = f->status;
        return f->reason;
}

/* Composites. */

struct composite {
        arbiter_future *future; /* borrowed: it owns us */
        size_t n_members, n_left;
        bool any;
        future_collect_t collect; /* of one that was asked of several: its members are its own */
        arbiter_future *members[];
};

static void composite_destroy(arbiter_future *f) {
        struct composite *c = f->cancel_userdata;

        for (size_t i = 0; i < c->n_members; i++)
                arbiter_future_unref(c->members[i]);
        free(c);
}

/* The members are the caller's, and stay pending; or nobody else's. */
static void composite_cancel(arbiter_future *f) {
        struct composite *c = f->cancel_userdata;

        for (size_t i = 0; c->collect && i < c->n_members; i++)
                (void) arbiter_future_cancel(c->members[i]);
}

static void adopt_outcome(arbiter_future *f, arbiter_future *member) {
        f->reason = member->reason;
        f->status = member->status;
        future_resolve(f, member->outcome, arbiter_message_ref(member->reply));
}

static void composite_all_done(struct composite *c) {
        arbiter_message *reply = NULL;

        for (size_t i = 0; i < c->n_members; i++)
                if (c->members[i]->outcome != ARBITER_OUTCOME_REPLY) {
                        adopt_outcome(c->future, c->members[i]);
                        return;
                }
        if (c->collect) {
                int r = c->collect(c->members, c->n_members, &reply);

                if (r < 0) {
                        future_fail_errno(c->future, r, "the answers cannot be put together");
                        return;
                }
        }
        future_resolve(c->future, ARBITER_OUTCOME_REPLY, reply);
}

static void on_member(arbiter_future *member, void *userdata) {
        arbiter_future *f = userdata;
        struct composite *c = f->cancel_userdata;

        if (f->pending) {
                if (c->any)
                        adopt_outcome(f, member);
                else if (--c->n_left == 0)
                        composite_all_done(c);
        }
        arbiter_future_unref(f); /* each member's callback holds one */
}

static struct composite *composite_attach(arbiter_future *f, arbiter_future *const *members, size_t n) {
        struct composite *c = calloc(1, sizeof(*c) + n * sizeof(c->members[0]));

        if (!c)
                return NULL;
        c->future = f;
        f->cancel_userdata = c;
        f->cancel = composite_cancel;
        f->destroy = composite_destroy;
        for (size_t i = 0; i < n; i++)
                c->members[c->n_members++] = arbiter_future_ref(members[i]);
        c->n_left = n;
        return c;
}

static int composite_wait(struct composite *c) {
        arbiter_future *f = c->future;

        for (size_t i = 0; i < c->n_members; i++) {
                int r = future_then_now(c->members[i], on_member, arbiter_future_ref(f));

                if (r < 0) {
                        arbiter_future_unref(f);
                        c->n_left = SIZE_MAX; /* callbacks that are registered already find nobody waiting */
                        return r;
                }
        }
        return 0;
}

static int composite_new(arbiter_future *const *members, size_t n, bool any, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        arbiter_actor *actor = NULL;
        struct composite *c;
        int r;

        if (!members || n == 0 || n > 65536 || !ret)
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                if (!members[i])
                        return -EINVAL;
                actor = actor ?: members[i]->actor;
        }
        if (!actor)
                return -ESHUTDOWN; /* their actor has ended, and every one of them with it */
        r = future_new(actor, &f);
        if (r < 0)
                return r;
        c = composite_attach(f, members, n);
        if (!c)
                return -ENOMEM;
        c->any = any;
        r = composite_wait(c);
        if (r < 0) {
                f->pending = false;
                return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

int future_gather(arbiter_future *f, arbiter_future *const *members, size_t n, future_collect_t collect) {
        struct composite *c = composite_attach(f, members, n);

        if (!c)
                return -ENOMEM;
        c->collect = collect;
        call_forget(f); /* each of them has an id and a deadline */
        f->sent = true;
        return composite_wait(c);
}

_public_ int arbiter_future_get_member(arbiter_future *f, size_t i, arbiter_future **ret) {
        const struct composite *c = f && f->destroy == composite_destroy ? f->cancel_userdata : NULL;

        if (!f || !ret)
                return -EINVAL;
        if (!c || i >= c->n_members)
                return -ENODATA;
        *ret = c->members[i];
        return 0;
}

_public_ int arbiter_future_all(arbiter_future *const *members, size_t n_members, arbiter_future **ret) {
        return composite_new(members, n_members, false, ret);
}

_public_ int arbiter_future_any(arbiter_future *const *members, size_t n_members, arbiter_future **ret) {
        return composite_new(members, n_members, true, ret);
}
