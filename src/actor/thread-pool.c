/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread pool for blocking and CPU-bound work. Work is queued under one mutex; completions come back over
 * an eventfd to the actor's loop, where the futures are resolved. Threads are started on demand, up to the
 * actor's limit, and joined when the actor ends: work that has not begun is cancelled, and work that has is
 * waited for; it may ask whether anybody still wants it, arbiter_work_is_cancelled(). Called by the program,
 * and by actor.c at its end. Its threads must never touch the actor. */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "actor/call.h"
#include "basic/fd.h"

struct work_item {
        struct list_node items;
        arbiter_work_t work;
        void *userdata;
        arbiter_future *future; /* touched on the loop only */
        int result;
        bool begun;
        atomic_bool cancelled; /* by the loop, while it runs */
};

struct thread_pool {
        arbiter_actor *actor;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        struct list_node todo, done;
        pthread_t *threads;
        unsigned n_threads, n_idle, n_todo;
        atomic_bool stop; /* the actor ends */
        int event_fd;
        sd_event_source *source;
};

/* What this thread is at. */
static _Thread_local struct {
        const struct thread_pool *pool;
        const struct work_item *item;
} current;

static void run_one(struct thread_pool *p, struct work_item *w) {
        const uint64_t one = 1;

        pthread_mutex_unlock(&p->lock);
        current.item = w;
        w->result = w->work(w->userdata);
        current.item = NULL;
        pthread_mutex_lock(&p->lock);
        list_append(&p->done, &w->items);
        if (write(p->event_fd, &one, sizeof(one)) < 0)
                assert(errno == EAGAIN); /* the counter is full: the loop is awake anyway */
}

static void *thread_main(void *userdata) {
        struct thread_pool *p = userdata;
        struct work_item *w;

        current.pool = p;
        pthread_mutex_lock(&p->lock);
        while (!p->stop) {
                w = LIST_FIRST(&p->todo, struct work_item, items);
                if (!w) {
                        p->n_idle++;
                        pthread_cond_wait(&p->wake, &p->lock);
                        p->n_idle--;
                        continue;
                }
                list_remove(&w->items);
                p->n_todo--;
                w->begun = true;
                run_one(p, w);
        }
        pthread_mutex_unlock(&p->lock);
        return NULL;
}

static void finish(struct work_item *w) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = w->future;
        _cleanup_(arbiter_message_unrefp) arbiter_message *m = NULL;

        f->cancel_userdata = NULL;
        if (w->result < 0)
                future_fail_errno(f, w->result, NULL);
        else if (arbiter_message_new(&m) >= 0 && arbiter_message_append(m, "i", (int32_t) w->result) >= 0 &&
                        message_seal(m) >= 0)
                future_resolve(f, ARBITER_OUTCOME_REPLY, TAKE_PTR(m));
        else
                future_fail_errno(f, -ENOMEM, NULL);
        free(w);
}

static int on_done(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct thread_pool *p = userdata;
        arbiter_actor *a = actor_ref(p->actor), *previous;
        struct work_item *w;
        uint64_t n;

        if (read(fd, &n, sizeof(n)) < 0)
                n = 0; /* spurious */
        actor_enter(a, &previous);
        while (a->thread_pool == p) { /* what is finished may end the actor, and its pool with it */
                pthread_mutex_lock(&p->lock);
                w = LIST_FIRST(&p->done, struct work_item, items);
                if (w)
                        list_remove(&w->items);
                pthread_mutex_unlock(&p->lock);
                if (!w)
                        break;
                finish(w);
        }
        actor_leave(a, previous);
        actor_unref(a);
        return 0;
}

static int pool_new(arbiter_actor *a, struct thread_pool **ret) {
        struct thread_pool *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->actor = a;
        list_init(&p->todo);
        list_init(&p->done);
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->wake, NULL);
        p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        p->threads = calloc(a->thread_workers, sizeof(pthread_t));
        r = p->event_fd < 0 ? negative_errno() : !p->threads ? -ENOMEM : 0;
        if (r >= 0)
                r = sd_event_add_io(a->event, &p->source, p->event_fd, EPOLLIN, on_done, p);
        if (r < 0) {
                thread_pool_free(p);
                return r;
        }
        *ret = p;
        return 0;
}

struct thread_pool *thread_pool_free(struct thread_pool *p) {
        struct work_item *w;

        if (!p)
                return NULL;
        pthread_mutex_lock(&p->lock);
        p->stop = true;
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
        for (unsigned i = 0; i < p->n_threads; i++)
                pthread_join(p->threads[i], NULL);

        while ((w = LIST_FIRST(&p->done, struct work_item, items))) {
                list_remove(&w->items);
                finish(w);
        }
        while ((w = LIST_FIRST(&p->todo, struct work_item, items))) {
                list_remove(&w->items);
                w->future->cancel_userdata = NULL;
                future_fail(w->future, ARBITER_OUTCOME_CANCELLED, "the actor ends");
                arbiter_future_unref(w->future);
                free(w);
        }
        sd_event_source_disable_unref(p->source);
        close_fd(p->event_fd);
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->lock);
        free(p->threads);
        free(p);
        return NULL;
}

/* A thread of the pool takes no signals: they are the loop's. */
static int start_thread(struct thread_pool *p) {
        sigset_t all, old;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&p->threads[p->n_threads], NULL, thread_main, p);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r != 0)
                return -r;
        p->n_threads++;
        return 0;
}

static void work_cancel(arbiter_future *f) {
        struct work_item *w = f->cancel_userdata;
        struct thread_pool *p = f->actor ? f->actor->thread_pool : NULL;
        bool withdrawn = false;

        if (!w || !p)
                return;
        pthread_mutex_lock(&p->lock);
        if (!w->begun) {
                list_remove(&w->items);
                p->n_todo--;
                withdrawn = true;
        }
        pthread_mutex_unlock(&p->lock);
        if (!withdrawn) {
                atomic_store(&w->cancelled, true); /* it runs to its end, and nobody listens */
                return;
        }
        f->cancel_userdata = NULL;
        arbiter_future_unref(w->future);
        free(w);
}

_public_ int arbiter_actor_run_in_thread(
                arbiter_actor *a, arbiter_work_t work, void *userdata, arbiter_future **ret) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        struct thread_pool *p;
        struct work_item *w;
        int r;

        if (!a || !work || !ret)
                return -EINVAL;
        if (a->state >= ARBITER_STATE_CLOSED)
                return -ESHUTDOWN;
        if (!a->thread_pool) {
                r = pool_new(a, &a->thread_pool);
                if (r < 0)
                        return r;
        }
        p = a->thread_pool;
        r = future_new(a, &f);
        if (r < 0)
                return r;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (struct work_item){ .work = work, .userdata = userdata, .future = arbiter_future_ref(f) };
        f->cancel = work_cancel;
        f->cancel_userdata = w;

        pthread_mutex_lock(&p->lock);
        r = 0;
        if (p->n_idle <= p->n_todo && p->n_threads < a->thread_workers)
                r = start_thread(p);
        if (r >= 0 || p->n_threads > 0) { /* with one thread at least it only takes longer */
                list_append(&p->todo, &w->items);
                p->n_todo++;
                pthread_cond_signal(&p->wake);
                r = 0;
        }
        pthread_mutex_unlock(&p->lock);
        if (r < 0) {
                arbiter_future_unref(w->future);
                free(w);
                f->cancel_userdata = NULL;
                return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

_public_ bool arbiter_work_is_cancelled(void) {
        return current.item && (atomic_load(&current.item->cancelled) || atomic_load(&current.pool->stop));
}
