/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of an arbiter: each decision is in it before its effect (wrappers around the effects look at
 * the memory as a kill would leave it there and then), and it says what there is after each operation.
 * What happens when it cannot be written. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include <systemd/sd-event.h>

#include "arbiter/control.h"
#include "arbiter/deaths.h"
#include "arbiter/state-fill.h"
#include "basic/fd.h"
#include "transport/link-ops.h"
#include "state-check.h"
#include "test-util.h"

enum { GUARD_USEC = 30 * 1000 * 1000 };

static arbiter *the;
static unsigned n_spawned, n_forked, n_signaled, n_killed, n_reaped, n_flushed, n_failed_logs;

static int on_start(arbiter_actor *a, void *userdata) {
        return 0;
}

static int on_spawn_child(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        const char *name;
        int r;

        r = arbiter_message_read(m, "s", &name);
        if (r >= 0)
                r = arbiter_actor_spawn(a, "worker", name, NULL, &f);
        return r < 0 ? r : arbiter_message_reply(m, "s", arbiter_future_get_aid(f));
}

static int on_link_to(arbiter_actor *a, arbiter_message *m, void *userdata) {
        _cleanup_(arbiter_proxy_unrefp) arbiter_proxy *p = NULL;
        const char *id;
        int r;

        r = arbiter_message_read(m, "s", &id);
        if (r >= 0)
                r = arbiter_proxy_new(id, "other", 1, &p);
        if (r >= 0)
                r = arbiter_actor_link(a, p);
        return r < 0 ? r : arbiter_message_reply(m, "");
}

static void on_exit_signal(arbiter_actor *a, const arbiter_down *e, void *userdata) {
}

static int on_trap(arbiter_actor *a, arbiter_message *m, void *userdata) {
        int r = arbiter_actor_trap_exit(a, on_exit_signal, NULL);

        return r < 0 ? r : arbiter_message_reply(m, "");
}

static const arbiter_command commands[] = {
        ARBITER_COMMAND("spawn_child", "s", "name", "s", "aid", on_spawn_child, 0),
        ARBITER_COMMAND("link_to", "s", "aid", "", "", on_link_to, 0),
        ARBITER_COMMAND("trap", "", "", "", "", on_trap, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module module = {
        ARBITER_MODULE_HEAD,
        .name = "worker",
        .start = on_start,
        .commands = commands,
};

/* What the next arbiter would find if this one were killed now. */

static struct state_journal *as_left(void) {
        int fd = arbiter_get_state_fd(the), copy = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct state_journal *j = NULL;
        static char buffer[65536];
        off_t at = 0;
        ssize_t n;

        assert_ok(ftruncate(copy, lseek(fd, 0, SEEK_END)));
        assert_ok(fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
        while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && (n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
                assert_int_equal(pwrite(copy, buffer, (size_t) n, at), n);
                at += n;
        }
        assert_int_equal(state_journal_open(copy, &j), 0);
        close_fd(copy);
        return j;
}

static bool child_as_left(const struct child *c, struct state_child *ret) {
        struct state_journal *j = as_left();
        struct state_entry e;
        bool found = state_journal_get(j, STATE_CHILD, c->aid.c, AID_SIZE, &e) >= 0;

        if (found)
                assert_ok(state_decode_child(&e, STATE_VERSION, ret));
        state_journal_free(j);
        return found;
}

static supervise *set_as_left(const char *monitor) {
        static struct state_slot slot;
        static struct state_set set;
        struct state_journal *j = as_left();
        supervise *s = NULL;
        void *position = NULL;
        uint8_t key[STATE_KEY_MAX];
        struct state_entry e;

        assert_ok(state_journal_get(j, STATE_SET, key, state_set_key(monitor, key), &e));
        assert_ok(state_decode_set(&e, STATE_VERSION, &set));
        assert_ok(supervise_decode_begin(set.head, set.size, &s));
        while (state_journal_next(j, STATE_SLOT, &position, &e)) {
                assert_ok(state_decode_slot(&e, STATE_VERSION, &slot));
                if (streq(slot.monitor, monitor))
                        assert_ok(supervise_decode_slot(s, slot.slot, slot.data, slot.size));
        }
        assert_ok(supervise_decode_finish(s));
        state_journal_free(j);
        return s;
}

static struct child *child_of(const struct process *p) {
        return CONTAINER_OF(p, struct child, process);
}

/* Its start is decided: by the set, and who it will be. */
static void check_start(struct process *p) {
        struct child *c = child_of(p);
        supervise_slot_info i;
        struct state_child s;
        supervise *set;

        assert_true(child_as_left(c, &s));
        assert_string_equal(s.name, c->name);
        assert_int_equal(s.generation, c->generation);
        assert_int_equal(s.state, ARBITER_STATE_STARTING);
        assert_int_equal(s.pid, 0);
        assert_false(state_key_is_null(&s.spawn));
        set = set_as_left(c->set->monitor ? c->set->monitor->name : "");
        assert_ok(supervise_get_slot(set, c->slot, &i));
        assert_int_equal(i.state, SUPERVISE_SLOT_STARTING);
        assert_true(i.generation == s.set_generation);
        supervise_free(set);
}

int __real_process_spawn(const struct exec_context *c, const struct process_fds *fds,
                const struct cgroup_leaf *leaf, struct process *ret, struct exec_failure *ret_failure);
int __wrap_process_spawn(const struct exec_context *c, const struct process_fds *fds,
                const struct cgroup_leaf *leaf, struct process *ret, struct exec_failure *ret_failure);
int __wrap_process_spawn(const struct exec_context *c, const struct process_fds *fds,
                const struct cgroup_leaf *leaf, struct process *ret, struct exec_failure *ret_failure) {
        n_spawned++;
        check_start(ret);
        return __real_process_spawn(c, fds, leaf, ret, ret_failure);
}

int __real_process_fork(const struct exec_context *c, const struct process_fds *fds,
                const struct cgroup_leaf *leaf, struct process *ret, int *ret_mailbox,
                struct exec_failure *ret_failure);
int __wrap_process_fork(const struct exec_context *c, const struct process_fds *fds,
                const struct cgroup_leaf *leaf, struct process *ret, int *ret_mailbox,
                struct exec_failure *ret_failure);
int __wrap_process_fork(const struct exec_context *c, const struct process_fds *fds,
                const struct cgroup_leaf *leaf, struct process *ret, int *ret_mailbox,
                struct exec_failure *ret_failure) {
        n_forked++;
        check_start(ret);
        return __real_process_fork(c, fds, leaf, ret, ret_mailbox, ret_failure);
}

/* Signals, with the reason for them. */

int __real_process_signal(const struct process *p, int signal);
int __wrap_process_signal(const struct process *p, int signal);
int __wrap_process_signal(const struct process *p, int signal) {
        struct state_child s;

        n_signaled++;
        assert_true(child_as_left(child_of(p), &s));
        assert_int_equal(s.stop_stage, CHILD_STOP_SIGNALED);
        assert_false(s.stage_done);
        assert_true(s.reason_set);
        assert_int_equal(s.pid, p->pid);
        return __real_process_signal(p, signal);
}

int __real_process_kill_all(const struct process *p);
int __wrap_process_kill_all(const struct process *p);
int __wrap_process_kill_all(const struct process *p) {
        struct process_exit e;
        struct state_child s;

        if (process_peek(p, &e) == -EAGAIN) { /* of the dead only what they left behind is killed */
                n_killed++;
                assert_true(child_as_left(child_of(p), &s));
                assert_int_equal(s.stop_stage, CHILD_STOP_KILLED);
                assert_true(s.reason_set);
        }
        return __real_process_kill_all(p);
}

/* How it has ended, before nobody can ask for it any more. */
int __real_process_reap(struct process *p, struct process_exit *ret);
int __wrap_process_reap(struct process *p, struct process_exit *ret);
int __wrap_process_reap(struct process *p, struct process_exit *ret) {
        struct state_child s;

        n_reaped++;
        assert_true(child_as_left(child_of(p), &s));
        assert_true(s.ended);
        return __real_process_reap(p, ret);
}

/* Whatever an actor hears was committed. */
int __real_link_flush(struct link *l);
int __wrap_link_flush(struct link *l);
int __wrap_link_flush(struct link *l) {
        struct peer *p = l->userdata;

        if (the && p && p->actor == the->actor && link_get_buffered(l) > 0) {
                n_flushed++;
                assert_true(the->state.broken || !(the->state.touched || the->state.open));
        }
        return __real_link_flush(l);
}

/* The rest of the fixture. */

static void on_log(const arbiter_log_entry *e, void *userdata) {
        if (e->event && streq(e->event, "state-failed"))
                n_failed_logs++;
}

static int set_up(void **state) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *d = NULL;

        alarm(100);
        n_spawned = n_forked = n_signaled = n_killed = n_reaped = n_flushed = n_failed_logs = 0;
        assert_ok(arbiter_new(NULL, NULL, &the));
        assert_ok(arbiter_set_log_handler(the, on_log, NULL));
        assert_ok(arbiter_set_instance(the, "shop"));
        state_check_turns(the);
        assert_ok(arbiter_spawn_new(the, "worker", &d));
        assert_ok(arbiter_spawn_set_module(d, &module));
        assert_ok(arbiter_add_definition(the, d));
        assert_ok(arbiter_start(the));
        return 0;
}

static int tear_down(void **state) {
        if (the->actor->state < ARBITER_STATE_STOPPING) {
                state_check(the);
                assert_ok(arbiter_stop(the, 0));
                assert_int_equal(arbiter_run(the, false), 0);
        }
        the = arbiter_unref(the);
        return 0;
}

static uint64_t deadline(void) {
        return now_usec() + GUARD_USEC;
}

static void turn(uint64_t end) {
        assert_true(now_usec() < end);
        assert_ok(sd_event_run(arbiter_get_event(the), 1000 * 1000));
}

static void wait_for(arbiter_future *f) {
        for (uint64_t end = deadline(); arbiter_future_is_pending(f);)
                turn(end);
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                fail_msg("%s", arbiter_future_get_error_text(f));
        arbiter_future_unref(f);
}

static void wait_gone(const char *name) {
        for (uint64_t end = deadline(); child_find(the, name);)
                turn(end);
}

static struct child *start(const char *name, arbiter_restart restart) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_future *f;

        assert_ok(arbiter_spawn_new(the, name, &s));
        assert_ok(arbiter_spawn_set_module(s, &module));
        assert_ok(arbiter_spawn_set_restart(s, restart));
        assert_ok(arbiter_spawn_start(s, &f));
        wait_for(f);
        return child_find(the, name);
}

/* Only one that is to be killed has a bound that can be reached, on however slow a machine. */
static struct child *start_sleep(const char *name, int kill_signal, uint64_t stop_usec) {
        static const char *const argv[] = { "/bin/sleep", "1000", NULL };
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_future *f;

        assert_ok(arbiter_spawn_new(the, name, &s));
        assert_ok(arbiter_spawn_set_exec(s, argv, ARBITER_EXEC_EXEC));
        assert_ok(arbiter_spawn_set_timeouts(s, 0, 0, stop_usec, 0));
        assert_ok(arbiter_spawn_set_kill_signal(s, kill_signal)); /* it dies of one, and ignores the other */
        assert_ok(arbiter_spawn_start(s, &f));
        wait_for(f);
        return child_find(the, name);
}

static arbiter_monitor *start_pool(const char *name, unsigned n) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        arbiter_monitor *m;
        arbiter_future *f;

        assert_ok(arbiter_spawn_new(the, "template", &s));
        assert_ok(arbiter_spawn_set_module(s, &module));
        assert_ok(arbiter_monitor_new(the, name, s, NULL, &m));
        arbiter_monitor_unref(m);
        assert_ok(arbiter_monitor_start(m, n, &f));
        wait_for(f);
        return m;
}

/* How many entries of a kind there are; the last of them. */
static unsigned count(uint8_t kind, struct state_entry *ret) {
        void *position = NULL;
        struct state_entry e;
        unsigned n = 0;

        state_check(the);
        while (state_journal_next(the->state.journal, kind, &position, &e)) {
                n++;
                if (ret)
                        *ret = e;
        }
        return n;
}

/* Tests. */

static void test_lone_actor(void **state) {
        struct child *c = start("lone", ARBITER_RESTART_PERMANENT);
        struct state_arbiter head;
        struct state_place place;
        struct state_spawn spawn;
        struct state_child s;
        struct state_entry e;
        arbiter_future *f;
        aid id = c->aid;
        pid_t pid = c->process.pid;

        assert_int_equal(count(STATE_CHILD, NULL), 1);
        assert_true(child_as_left(c, &s));
        assert_int_equal(s.role, STATE_ROLE_LONE);
        assert_int_equal(s.state, ARBITER_STATE_RUNNING);
        assert_int_equal(s.pid, pid);
        assert_true(s.welcomed && s.started_usec >= s.created_usec && s.created_usec > 0);
        assert_int_equal(count(STATE_PLACE, &e), 1);
        assert_ok(state_decode_place(&e, STATE_VERSION, &place));
        assert_true(aid_is_null(&place.wanted) && !place.transient);
        assert_int_equal(count(STATE_SPAWN, &e), 1);
        assert_ok(state_peek_spawn(&e, STATE_VERSION, &spawn));
        assert_string_equal(spawn.module, "worker");
        assert_true(state_key_equal(&spawn.key, &place.spawn) && state_key_equal(&spawn.key, &s.spawn));
        assert_int_equal(count(STATE_ARBITER, &e), 1);
        assert_ok(state_decode_arbiter(&e, &head));
        assert_string_equal(head.instance, "shop");
        assert_int_equal(head.pid, getpid());
        assert_false(head.stopping);

        /* killed by nobody of ours, and replaced */
        assert_int_equal(kill(pid, SIGKILL), 0);
        for (uint64_t end = deadline(); !(c = child_find(the, "lone")) || aid_equal(&c->aid, &id) ||
                        c->state != ARBITER_STATE_RUNNING;)
                turn(end);
        assert_int_equal(count(STATE_CHILD, NULL), 1);
        assert_true(child_as_left(c, &s));
        assert_int_equal(s.generation, 2);
        assert_int_equal(s.last_reason, ARBITER_REASON_SIGNAL);
        assert_int_equal(s.last_status, SIGKILL);
        assert_int_equal(count(STATE_DEATH, NULL), 1);
        assert_int_equal(count(STATE_DEAD_AID, NULL), 1);
        assert_int_equal(count(STATE_NAME, NULL), 1);

        assert_ok(arbiter_remove_actor(the, "lone", &f));
        wait_for(f);
        assert_int_equal(count(STATE_CHILD, NULL), 0);
        assert_int_equal(count(STATE_PLACE, NULL), 0);
        assert_int_equal(count(STATE_SPAWN, NULL), 0);
        assert_int_equal(count(STATE_SLOT, NULL), 0);
        assert_int_equal(n_forked, 2);
        assert_true(n_reaped == 2 && n_flushed > 0);
}

static void test_program(void **state) {
        struct state_child s;
        struct child *c;
        arbiter_future *f;

        c = start_sleep("obedient", SIGTERM, GUARD_USEC);
        assert_int_equal(count(STATE_CHILD, NULL), 1);
        assert_true(child_as_left(c, &s));
        assert_true(s.plain && s.pid == c->process.pid);
        assert_ok(control_stop(the, "obedient", &f));
        wait_for(f);
        assert_true(n_signaled > 0);
        assert_int_equal(n_killed, 0);

        (void) start_sleep("stubborn", SIGURG, 200 * 1000);
        assert_ok(control_stop(the, "stubborn", &f));
        wait_for(f);
        assert_true(n_killed > 0);

        n_killed = 0;
        (void) start_sleep("victim", SIGTERM, GUARD_USEC);
        assert_ok(control_kill(the, "victim", SIGKILL));
        wait_gone("victim");
        assert_int_equal(n_killed, 1);
        assert_int_equal(n_spawned, 3);
        assert_int_equal(n_reaped, 3);
        assert_int_equal(count(STATE_CHILD, NULL), 0);
}

static void test_pool(void **state) {
        arbiter_monitor *m = start_pool("web", 3);
        struct state_monitor s;
        supervise_info i;
        supervise *set;
        struct state_entry e;
        arbiter_future *f;
        char name[32] = "";

        assert_int_equal(count(STATE_CHILD, NULL), 4); /* and its own actor */
        assert_int_equal(count(STATE_SPAWN, NULL), 1); /* one for all */
        assert_int_equal(count(STATE_SLOT, NULL), 3);
        assert_int_equal(count(STATE_MONITOR, &e), 1);
        assert_ok(state_decode_monitor(&e, STATE_VERSION, &s));
        assert_string_equal(s.name, "web");
        assert_int_equal(s.workers, 3);
        assert_memory_equal(&s.actor, &m->child->aid, sizeof(s.actor));

        assert_ok(arbiter_monitor_scale(m, 5, &f));
        set = set_as_left("web"); /* decided, and not done: nothing but this call has run */
        supervise_get_info(set, &i);
        assert_int_equal(i.n_wanted, 5);
        supervise_free(set);
        wait_for(f);
        assert_int_equal(count(STATE_CHILD, NULL), 6);
        assert_ok(arbiter_monitor_scale(m, 1, &f));
        wait_for(f);
        assert_int_equal(count(STATE_CHILD, NULL), 2);
        assert_int_equal(count(STATE_MONITOR, &e), 1);
        assert_ok(state_decode_monitor(&e, STATE_VERSION, &s));
        assert_int_equal(s.workers, 1);
        assert_int_equal(s.configured, 3);

        /* held, as an operator wished */
        for (uint32_t n = 1; n < m->set.n_slots; n++)
                if (m->set.slots[n].child)
                        (void) snprintf(name, sizeof(name), "web.%u", n);
        assert_ok(control_stop(the, name, &f));
        wait_for(f);
        set = set_as_left("web");
        supervise_get_info(set, &i);
        assert_int_equal(i.n[SUPERVISE_SLOT_HELD], 1);
        supervise_free(set);

        assert_ok(arbiter_monitor_stop(m, &f));
        wait_for(f);
        assert_int_equal(count(STATE_MONITOR, NULL), 0);
        assert_int_equal(count(STATE_CHILD, NULL), 0);
        assert_int_equal(count(STATE_SET, NULL), 1); /* the root's */
        assert_int_equal(count(STATE_SLOT, NULL), 0);
        assert_int_equal(count(STATE_SPAWN, NULL), 0);
}

static void ask(const char *target, const char *command, const char *argument) {
        arbiter_future *f;

        if (argument)
                assert_ok(arbiter_call_async(the->actor, &f, target, command, 0, "s", argument));
        else
                assert_ok(arbiter_call_async(the->actor, &f, target, command, 0, ""));
        wait_for(f);
}

static void test_spawned_and_linked(void **state) {
        struct child *parent = start("parent", ARBITER_RESTART_TEMPORARY), *child;
        struct state_place place;
        struct state_child s;
        struct state_entry e;
        aid_string id;

        ask("parent", "spawn_child", "kid");
        for (uint64_t end = deadline(); !(child = child_find(the, "kid")) ||
                        child->state != ARBITER_STATE_RUNNING;)
                turn(end);
        assert_true(child_as_left(child, &s));
        assert_memory_equal(&s.spawner, &parent->aid, sizeof(s.spawner));
        assert_memory_equal(&s.payer, &parent->aid, sizeof(s.payer));
        assert_int_equal(count(STATE_PLACE, &e), 2);
        assert_ok(state_decode_place(&e, STATE_VERSION, &place));
        assert_true(place.transient);
        assert_memory_equal(&place.spawner, &parent->aid, sizeof(place.spawner));

        ask("kid", "trap", NULL);
        id = child->aid_string;
        ask("parent", "link_to", id.s);
        for (uint64_t end = deadline(); list_is_empty(&child->watched_by);)
                turn(end);
        assert_int_equal(count(STATE_LINK, NULL), 2);
        assert_int_equal(kill(parent->process.pid, SIGKILL), 0);
        wait_gone("parent");
        /* told, and when it has left, nothing is left of it here */
        for (uint64_t end = deadline(); !list_is_empty(&the->state.told);) {
                assert_int_equal(count(STATE_EXIT, NULL), 1);
                ask("kid", "ping", NULL);
                assert_true(now_usec() < end);
        }
        assert_int_equal(count(STATE_LINK, NULL), 0);
        assert_int_equal(count(STATE_EXIT, NULL), 0);
        assert_non_null(child_find(the, "kid"));
}

/* Who takes over after an end in order finds nothing. */
static void test_orderly_end(void **state) {
        _cleanup_(arbiter_unrefp) arbiter *next = NULL;
        _cleanup_close_ int fd = -EBADF;

        (void) start("lone", ARBITER_RESTART_PERMANENT);
        (void) start_pool("web", 2);
        fd = fd_duplicate(arbiter_get_state_fd(the));
        assert_ok(arbiter_stop(the, 0));
        assert_int_equal(arbiter_run(the, false), 0);
        assert_ok(arbiter_new(NULL, NULL, &next));
        assert_int_equal(arbiter_set_state(next, fd), 0);
        assert_ok(arbiter_start(next));
        state_check(next); /* and nothing stale either */
}

/* The memory is full: told once, nothing is hindered, and once there is less to write it is written. */
static void test_full(void **state) {
        arbiter_status status = { .size = sizeof(status) };
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        struct state_journal *j;
        arbiter_monitor *m;
        arbiter_future *f;

        the = arbiter_unref(the);
        assert_ok(arbiter_new(NULL, NULL, &the));
        assert_ok(arbiter_set_log_handler(the, on_log, NULL));
        assert_ok(state_journal_new(96 * 1024, &j));
        assert_int_equal(arbiter_set_state(the, state_journal_fd(j)), 0);
        state_journal_free(j);
        assert_ok(arbiter_start(the));
        assert_ok(arbiter_spawn_new(the, "template", &s));
        assert_ok(arbiter_spawn_set_module(s, &module));
        assert_ok(arbiter_spawn_set_concurrency(s, ARBITER_CONCURRENCY_INLINE));
        assert_ok(arbiter_monitor_new(the, "web", s, NULL, &m));
        arbiter_monitor_unref(m);
        assert_ok(arbiter_monitor_start(m, 2, &f));
        wait_for(f);
        state_check(the);

        assert_ok(arbiter_monitor_scale(m, 160, &f));
        wait_for(f);
        assert_true(the->state.broken);
        assert_ok(arbiter_monitor_scale(m, 3, &f));
        wait_for(f);
        assert_true(the->state.broken);
        assert_int_equal(n_failed_logs, 1);
        assert_ok(arbiter_get_status(the, &status));
        assert_int_equal(status.unwritten, 1);

        the->state.rewrite_usec = 0; /* it is time to try again */
        assert_ok(arbiter_monitor_scale(m, 4, &f));
        wait_for(f);
        assert_false(the->state.broken);
        assert_ok(arbiter_get_status(the, &status));
        assert_int_equal(status.unwritten, 0);
        state_check(the);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_lone_actor, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_program, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_pool, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_spawned_and_linked, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_orderly_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
