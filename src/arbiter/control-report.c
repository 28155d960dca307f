/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What faces are told of the arbiter as a whole, and of those who are dead. Called by faces through
 * control.h, and by child.c and set.c when a life ends. */

#include "arbiter/deaths.h"
#include "arbiter/internal.h"

uint64_t control_now_realtime(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / NSEC_PER_USEC;
}

void control_record_death(struct child *c, arbiter_reason reason, int status) {
        const char *monitor = c->set && c->set->monitor ? c->set->monitor->name : "";
        usec_t now = now_usec();
        struct death death;

        if (c->monitor_actor)
                return;
        roll_note_failure(c);
        death = (struct death){
                .when_usec = control_now_realtime(),
                .lifetime_usec = now - MIN(now, c->created_usec),
                .aid = c->aid_string,
                .generation = c->generation,
                .pid = c->process.pid > 0 ? c->process.pid : c->last_pid,
                .reason = reason,
                .status = status,
        };
        c->arbiter->counters.deaths++;
        state_mark_arbiter(c->arbiter);
        metrics_count_death(c, reason);
        if (deaths_add(c->arbiter->deaths, c->name, monitor, &death) >= 0)
                state_put_death(c->arbiter, c->name, monitor, &death);
        if (!c->set) /* a host: its successor may well be called something else */
                deaths_forget(c->arbiter->deaths, c->name);
}

static bool is_known(arbiter *a, const char *target) {
        struct set *s;
        uint32_t slot;

        return !*target || child_find(a, target) || arbiter_find_monitor(a, target) ||
               control_find_slot(a, target, &s, &slot) >= 0;
}

int control_list_deaths(arbiter *a, const char *target, struct death_view **ret, size_t *ret_n) {
        _cleanup_free_ struct death_view *v = NULL;
        size_t n, bytes;

        n = deaths_size(a->deaths, &bytes);
        v = calloc(n + 1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        n = deaths_list(a->deaths, target, v, n);
        if (n == 0 && !is_known(a, target))
                return -ESRCH;
        *ret = TAKE_PTR(v);
        *ret_n = n;
        return 0;
}

void control_get_arbiter(arbiter *a, struct arbiter_view *ret) {
        static const char *const none[] = { NULL };
        arbiter_status s = { .size = sizeof(s) };

        (void) arbiter_get_status(a, &s);
        *ret = (struct arbiter_view){
                .state = arbiter_status_state_to_string(s.state),
                .instance = a->instance ? a->instance : "",
                .cgroup = !a->has_cgroup         ? ""
                          : *a->cgroup_root.path ? a->cgroup_root.path
                                                 : "/",
                .n_failed = s.failed,
                .takeovers = a->state.left ? a->state.left->takeovers + 1 : 0,
                .dead_letters = s.dead_letters,
                .failed_files = a->failed_files ? (const char *const *) a->failed_files : none,
        };
}
