/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "info" and "notify" say: the tree of pulsar as a{sv}, read live; and the module's on_info hook.
 * Called by standard.c when it is asked for, by actor.c with each notify. */

#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "actor/actor.h"

int info_add(arbiter_message *m, const char *key, const char *signature, ...) {
        va_list ap;
        int r;

        r = arbiter_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = arbiter_message_append_basic(m, 's', key);
        if (r < 0)
                return r;
        r = arbiter_message_open_container(m, 'v', signature);
        if (r < 0)
                return r;
        va_start(ap, signature);
        r = arbiter_message_appendv(m, signature, ap);
        va_end(ap);
        if (r < 0)
                return r;
        r = arbiter_message_close_container(m);
        return r < 0 ? r : arbiter_message_close_container(m);
}

int info_open_section(arbiter_message *m, const char *key) {
        int r;

        r = arbiter_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = arbiter_message_append_basic(m, 's', key);
        if (r < 0)
                return r;
        r = arbiter_message_open_container(m, 'v', "a{sv}");
        return r < 0 ? r : arbiter_message_open_container(m, 'a', "{sv}");
}

int info_close_section(arbiter_message *m) {
        int r;

        for (unsigned i = 0; i < 3; i++) {
                r = arbiter_message_close_container(m);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int append_actor(arbiter_actor *a, arbiter_message *m) {
        int r;

        r = info_open_section(m, "actor");
        if (r >= 0)
                r = info_add(m, "name", "s", a->name);
        if (r >= 0)
                r = info_add(m, "state", "s", arbiter_state_to_string(a->state));
        if (r >= 0)
                r = info_add(m, "actor_id", "s", a->aid_string.s);
        if (r >= 0)
                r = info_add(m, "generation", "u", a->generation);
        if (r >= 0)
                r = info_add(m, "uptime", "d",
                                (double) (now_usec() - a->started_usec) / (double) USEC_PER_SEC);
        if (r >= 0)
                r = info_add(m, "concurrency", "s", arbiter_concurrency_to_string(a->concurrency));
        if (r >= 0)
                r = info_add(m, "is_process", "b", (int) (a->concurrency == ARBITER_CONCURRENCY_PROCESS));
        if (r >= 0)
                r = info_add(m, "process_id", "u", (uint32_t) getpid());
        if (r >= 0)
                r = info_add(m, "thread_id", "u", (uint32_t) syscall(SYS_gettid));
        if (r >= 0)
                r = info_add(m, "manager", "s", a->manager);
        return r < 0 ? r : info_close_section(m);
}

static int append_mailbox(arbiter_actor *a, arbiter_message *m) {
        int r;

        r = info_open_section(m, "mailbox");
        if (r >= 0)
                r = info_add(m, "queued", "t", a->n_queued);
        if (r >= 0)
                r = info_add(m, "queued_bytes", "t", a->queued_bytes);
        if (r >= 0)
                r = info_add(m, "begun", "t", a->statistics.begun);
        if (r >= 0)
                r = info_add(m, "expired", "t", a->statistics.expired);
        if (r >= 0)
                r = info_add(m, "late_replies", "t", a->statistics.late_replies);
        if (r >= 0)
                r = info_add(m, "dead_letters", "t", a->statistics.dead_letters);
        if (r >= 0)
                r = info_add(m, "links", "t", (uint64_t) a->n_links);
        return r < 0 ? r : info_close_section(m);
}

static int append_system(arbiter_message *m) {
        struct rusage u;
        int r;

        if (getrusage(RUSAGE_SELF, &u) < 0)
                return 0;
        r = info_open_section(m, "system");
        if (r >= 0)
                r = info_add(m, "memory_peak", "t", (uint64_t) u.ru_maxrss * 1024);
        if (r >= 0)
                r = info_add(m, "cpu_usec", "t",
                                (uint64_t) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * USEC_PER_SEC +
                                                (uint64_t) (u.ru_utime.tv_usec + u.ru_stime.tv_usec));
        if (r >= 0)
                r = info_add(m, "nice", "i", (int32_t) getpriority(PRIO_PROCESS, 0));
        return r < 0 ? r : info_close_section(m);
}

static int append_extra(arbiter_actor *a, arbiter_message *m) {
        int r;

        r = info_open_section(m, "extra");
        if (r < 0)
                return r;
        LIST_FOREACH(p, &a->extra, struct actor_parameter, parameters) {
                r = info_add(m, p->key, "s", p->value);
                if (r < 0)
                        return r;
        }
        return info_close_section(m);
}

int actor_append_info(arbiter_actor *a, arbiter_message *m) {
        int r;

        r = arbiter_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_actor(a, m);
        if (r >= 0)
                r = append_mailbox(a, m);
        /* of those the process is the arbiter's */
        if (r >= 0 && a->concurrency != ARBITER_CONCURRENCY_INLINE)
                r = append_system(m);
        if (r >= 0)
                r = append_extra(a, m);
        if (r >= 0 && a->module && a->module->on_info)
                r = a->module->on_info(a, m, a->userdata);
        return r < 0 ? r : arbiter_message_close_container(m);
}

/* Short: it is said again and again. (y state, t queued, t dead letters) */
int actor_append_notify(arbiter_actor *a, arbiter_message *m) {
        return arbiter_message_append(m, "ytt", (uint8_t) a->state, a->n_queued, a->statistics.dead_letters);
}
