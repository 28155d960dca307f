/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARBITER_MAILBOX_H
#define ARBITER_MAILBOX_H

#include <arbiter/actor.h>

ARBITER_BEGIN_DECLARATIONS

/* The mailbox is bounded, by credit: each sender is granted a share of it, and their sum never exceeds
 * it. A sender without credit applies the receiver's policy at once. The system lane has room of its own. */
typedef enum arbiter_mailbox_policy {
        ARBITER_MAILBOX_REJECT = 0,  /* overload, not executed */
        /* a cast is dropped (a dead letter); a request is refused as overload */
        ARBITER_MAILBOX_DROP_NEW,
        /* waits at the sender; when 1024 (or 1 MiB) wait, the oldest is dropped */
        ARBITER_MAILBOX_DROP_OLDEST,
        ARBITER_MAILBOX_BLOCK        /* waits at the sender until its deadline; never blocks a loop */
} arbiter_mailbox_policy;

const char *arbiter_mailbox_policy_to_string(arbiter_mailbox_policy policy);
int arbiter_mailbox_policy_from_string(const char *s, arbiter_mailbox_policy *ret);

/* Defaults: 16384 messages, 16 MiB, reject. Set before the actor runs (start hook at the latest); 0 keeps
 * the default. */
int arbiter_actor_set_mailbox(
                arbiter_actor *a, uint64_t messages, uint64_t bytes, arbiter_mailbox_policy policy);

typedef struct arbiter_mailbox_statistics {
        size_t size;                        /* in: sizeof of this struct */
        uint64_t queued, queued_bytes;      /* waiting now */
        uint64_t begun;                     /* handlers entered */
        uint64_t expired;                   /* arrived after their deadline, never started */
        uint64_t late_replies;              /* answers that nobody waited for */
        uint64_t dead_letters;
        uint64_t links;                     /* direct links open now */
} arbiter_mailbox_statistics;

int arbiter_actor_get_statistics(arbiter_actor *a, arbiter_mailbox_statistics *ret);

/* Blocking and CPU-bound work belongs off the loop: runs work(userdata) on a thread of the actor's own
 * pool (default 5 threads, started on demand) and resolves the future, on the loop, with its result: >= 0
 * a reply "i", negative an application error. Cancelling removes work that has not begun. work must not
 * touch the actor. If it takes long it asks at times, in its thread, whether its future was cancelled or the
 * actor ends, which waits for it: then arbiter_work_is_cancelled() is true, and it may give up. */
typedef int (*arbiter_work_t)(void *userdata);
int arbiter_actor_run_in_thread(arbiter_actor *a, arbiter_work_t work, void *userdata, arbiter_future **ret);
bool arbiter_work_is_cancelled(void);
int arbiter_actor_set_thread_workers(arbiter_actor *a, unsigned n);

ARBITER_END_DECLARATIONS

#endif
