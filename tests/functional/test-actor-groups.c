/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process groups, named locks and circuit breakers, between actors of each kind, and of the arbiter's
 * own. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include <arbiter/arbiter.h>

#include "test-util.h"

#include "basic/macro.h"

enum { GUARD_USEC = 30 * 1000 * 1000 };

struct fixture {
        arbiter *arbiter;
        arbiter_actor *root;
        struct sd_event *event;
        arbiter_concurrency kind;
        char log[4096];
        unsigned n_casts;
};

/* The actors. */

static int join(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *group;
        int r;

        r = arbiter_message_read(m, "s", &group);
        return r < 0 ? r : arbiter_actor_join(a, group, NULL);
}

static int leave(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *group;
        int r;

        r = arbiter_message_read(m, "s", &group);
        return r < 0 ? r : arbiter_message_reply(m, "i", arbiter_actor_leave(a, group, NULL));
}

static void on_change(arbiter_actor *a, const arbiter_group_change *c, void *userdata) {
        static const char *const events[] = { "joined", "left", "settled" };
        char line[256];

        (void) snprintf(line, sizeof(line), "%s %s", events[c->event], c->name ? c->name : "");
        (void) arbiter_send(a, "arbiter", "heard", "s", line);
}

static int watch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *group;
        uint64_t id;
        int r;

        r = arbiter_message_read(m, "s", &group);
        if (r >= 0)
                r = arbiter_actor_watch_group(a, group, on_change, NULL, &id);
        return r < 0 ? r : arbiter_message_reply(m, "t", id);
}

static int unwatch(arbiter_actor *a, arbiter_message *m, void *userdata) {
        uint64_t id;
        int r;

        r = arbiter_message_read(m, "t", &id);
        return r < 0 ? r : arbiter_message_reply(m, "i", arbiter_actor_unwatch_group(a, id));
}

static void on_locked(arbiter_future *f, void *userdata) {
        arbiter_message *m = userdata;
        uint64_t number;

        if (arbiter_future_get(f, "t", &number) >= 0)
                (void) arbiter_message_reply(m, "t", number);
        else
                (void) arbiter_message_reply_error(
                                m, arbiter_future_get_error_name(f), arbiter_future_get_error_text(f));
        arbiter_message_unref(m);
}

/* s name, t hold, t patience; 0: try it */
static int lock(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_future *f = NULL;
        uint64_t hold, patience;
        const char *name;
        int r;

        r = arbiter_message_read(m, "stt", &name, &hold, &patience);
        if (r < 0)
                return r;
        r = patience > 0 ? arbiter_actor_lock(a, name, hold, patience, &f)
                         : arbiter_actor_try_lock(a, name, hold, &f);
        if (r >= 0)
                r = arbiter_future_then(f, on_locked, arbiter_message_ref(m));
        arbiter_future_unref(f);
        return r;
}

static int unlock(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *name;
        int r;

        r = arbiter_message_read(m, "s", &name);
        return r < 0 ? r : arbiter_message_reply(m, "i", arbiter_actor_unlock(a, name));
}

static int holds(arbiter_actor *a, arbiter_message *m, void *userdata) {
        const char *name;
        int r;

        r = arbiter_message_read(m, "s", &name);
        return r < 0 ? r : arbiter_message_reply(m, "b", arbiter_actor_holds_lock(a, name));
}

static void on_lost(arbiter_actor *a, const char *name, void *userdata) {
        char line[256];

        (void) snprintf(line, sizeof(line), "lost %s", name);
        (void) arbiter_send(a, "arbiter", "heard", "s", line);
}

static int start(arbiter_actor *a, void *userdata) {
        return arbiter_actor_set_lock_lost_handler(a, on_lost, NULL);
}

static int broadcast(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_send(a, "arbiter", "heard", "s", "cast");
}

static int keep_silent(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_message_unref(arbiter_actor_get_userdata(a));
        arbiter_actor_set_userdata(a, arbiter_message_ref(m)); /* its caller has a deadline */
        return 1;
}

static int stop(arbiter_actor *a, arbiter_message *m, void *userdata) {
        return arbiter_actor_stop(a, 0);
}

static const arbiter_command member_commands[] = {
        ARBITER_COMMAND("join", "s", "group", "", "", join, 0),
        ARBITER_COMMAND("leave", "s", "group", "i", "result", leave, 0),
        ARBITER_COMMAND("watch", "s", "group", "t", "watch", watch, 0),
        ARBITER_COMMAND("unwatch", "t", "watch", "i", "result", unwatch, 0),
        ARBITER_COMMAND("take", "stt", "name hold patience", "t", "number", lock, 0),
        ARBITER_COMMAND("give_back", "s", "name", "i", "result", unlock, 0),
        ARBITER_COMMAND("holds", "s", "name", "b", "holds", holds, 0),
        ARBITER_COMMAND("broadcast", "", "", "", "", broadcast, 0),
        ARBITER_COMMAND("silent", "", "", "", "", keep_silent, 0),
        ARBITER_COMMAND("end", "", "", "", "", stop, 0),
        ARBITER_COMMANDS_END,
};
static void end(arbiter_actor *a, void *userdata) {
        arbiter_message_unref(arbiter_actor_get_userdata(a));
}

static const arbiter_module member = {
        ARBITER_MODULE_HEAD, .name = "member", .commands = member_commands, .start = start, .exit = end };

/* The arbiter hears what they say. */

static int heard(arbiter_actor *a, arbiter_message *m, void *userdata) {
        struct fixture *x = userdata;
        const char *line;
        int r;

        r = arbiter_message_read(m, "s", &line);
        if (r < 0)
                return r;
        (void) snprintf(x->log + strlen(x->log), sizeof(x->log) - strlen(x->log), "%s; ", line);
        x->n_casts += streq(line, "cast");
        return 0;
}

static const arbiter_command root_commands[] = {
        ARBITER_COMMAND("heard", "s", "line", "", "", heard, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module root = { ARBITER_MODULE_HEAD, .name = "root", .commands = root_commands };

static arbiter_concurrency kind;

static int setup(void **state) {
        struct fixture *x = calloc(1, sizeof(*x));

        assert_non_null(x);
        x->kind = kind;
        assert_ok(arbiter_new(NULL, &root, &x->arbiter));
        x->root = arbiter_get_actor(x->arbiter);
        x->event = arbiter_get_event(x->arbiter);
        arbiter_actor_set_userdata(x->root, x);
        assert_ok(arbiter_start(x->arbiter));
        *state = x;
        return 0;
}

static int teardown(void **state) {
        struct fixture *x = *state;

        assert_ok(arbiter_stop(x->arbiter, 0));
        assert_ok(arbiter_run(x->arbiter, false));
        arbiter_unref(x->arbiter);
        free(x);
        return 0;
}

static void wait_future(arbiter_future *f) {
        assert_ok(arbiter_future_wait(f, GUARD_USEC));
}

static void spawn(struct fixture *x, const char *name) {
        _cleanup_(arbiter_spawn_unrefp) arbiter_spawn *s = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;

        assert_ok(arbiter_spawn_new(x->arbiter, name, &s));
        assert_ok(arbiter_spawn_set_module(s, &member));
        assert_ok(arbiter_spawn_set_concurrency(s, x->kind));
        assert_ok(arbiter_spawn_set_restart(s, ARBITER_RESTART_TEMPORARY));
        assert_ok(arbiter_spawn_start(s, &f));
        wait_future(f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
}

static arbiter_future *ask(
                struct fixture *x, const char *target, const char *command, const char *argument) {
        arbiter_future *f;

        assert_ok(arbiter_call_async(x->root, &f, target, command, GUARD_USEC, *argument ? "s" : "",
                        argument));
        wait_future(f);
        if (arbiter_future_get_outcome(f) != ARBITER_OUTCOME_REPLY)
                fail_msg("%s %s: %s", target, command, arbiter_future_get_error_text(f));
        return f;
}

static void tell(struct fixture *x, const char *target, const char *command, const char *argument) {
        arbiter_future_unref(ask(x, target, command, argument));
}

static int ask_int(struct fixture *x, const char *target, const char *command, const char *argument) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = ask(x, target, command, argument);
        int32_t value;

        assert_ok(arbiter_future_get(f, "i", &value));
        return value;
}

static void until_log(struct fixture *x, const char *expected) {
        while (strlen(x->log) < strlen(expected))
                assert_ok(sd_event_run(x->event, GUARD_USEC));
        assert_string_equal(x->log, expected);
        x->log[0] = 0;
}

static void assert_members(struct fixture *x, const char *group, const char *expected) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;
        const char *id, *name;
        arbiter_message *m;
        uint32_t generation;
        char text[512] = "";

        assert_ok(arbiter_actor_get_members(x->root, group, &f));
        wait_future(f);
        assert_ok(arbiter_future_get_reply(f, &m));
        assert_ok(arbiter_message_enter_container(m, 'a', "(ssu)"));
        while (arbiter_message_read(m, "(ssu)", &id, &name, &generation) > 0)
                (void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", name);
        assert_string_equal(text, expected);
}

static void until_dead(struct fixture *x, const char *name) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;

        assert_ok(arbiter_send(x->root, name, "end", ""));
        for (;;) {
                assert_ok(arbiter_call_async(x->root, &f, name, "ping", GUARD_USEC, ""));
                wait_future(f);
                if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_NOPROC)
                        return;
                f = arbiter_future_unref(f);
        }
}

static void test_groups(void **state) {
        struct fixture *x = *state;

        spawn(x, "one");
        spawn(x, "two");
        spawn(x, "watcher");
        assert_members(x, "g", "");
        tell(x, "one", "join", "g");
        tell(x, "watcher", "watch", "g");
        until_log(x, "joined one; settled ; ");
        tell(x, "two", "join", "g");
        until_log(x, "joined two; ");
        tell(x, "one", "join", "g"); /* twice: it leaves twice */
        until_log(x, "joined one; ");
        assert_members(x, "g", "one two one ");
        assert_members(x, "h", "");
        assert_int_equal(ask_int(x, "one", "leave", "g"), 0);
        until_log(x, "left one; ");
        assert_int_equal(ask_int(x, "two", "leave", "h"), -ENOENT);
        assert_int_equal(ask_int(x, "one", "leave", "g"), 0);
        until_log(x, "left one; ");
        assert_int_equal(ask_int(x, "one", "leave", "g"), -ENOENT);
        assert_members(x, "g", "two ");
        until_dead(x, "two");
        until_log(x, "left two; ");
        assert_members(x, "g", "");
}

static void test_two_watches(void **state) {
        struct fixture *x = *state;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL, *g = NULL;
        uint64_t id;
        int32_t result;

        spawn(x, "one");
        spawn(x, "watcher");
        tell(x, "one", "join", "g");
        f = ask(x, "watcher", "watch", "g");
        until_log(x, "joined one; settled ; ");
        tell(x, "watcher", "watch", "g"); /* the first is told nothing twice */
        until_log(x, "joined one; settled ; ");
        tell(x, "one", "join", "g");
        until_log(x, "joined one; joined one; ");
        assert_ok(arbiter_future_get(f, "t", &id));
        for (unsigned i = 0; i < 2; i++) {
                assert_ok(arbiter_call_async(x->root, &g, "watcher", "unwatch", 0, "t", id));
                wait_future(g);
                assert_ok(arbiter_future_get(g, "i", &result));
                assert_int_equal(result, i == 0 ? 0 : -ENOENT);
                g = arbiter_future_unref(g);
        }
        tell(x, "one", "leave", "g");
        until_log(x, "left one; ");
}

static void on_own_change(arbiter_actor *a, const arbiter_group_change *c, void *userdata) {
        struct fixture *x = userdata;

        assert_ptr_equal(arbiter_actor_current(), a);
        (void) snprintf(x->log + strlen(x->log), sizeof(x->log) - strlen(x->log), "%s%s; ",
                        c->event == ARBITER_GROUP_JOINED     ? "+"
                        : c->event == ARBITER_GROUP_SETTLED ? "."
                                                             : "-",
                        c->name ? c->name : "");
        if (c->event == ARBITER_GROUP_LEFT && streq(c->name, "one")) /* in its own handler */
                assert_ok(arbiter_actor_unwatch_group(a, c->watch));
}

/* The arbiter's own actor is one as any other. */
static void test_own(void **state) {
        struct fixture *x = *state;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;

        spawn(x, "one");
        tell(x, "one", "join", "g");
        assert_int_equal(arbiter_send_group(x->root, "g", "broadcast", ""), -ENOENT);
        assert_ok(arbiter_actor_watch_group(x->root, "g", on_own_change, x, NULL));
        assert_string_equal(x->log, "");
        until_log(x, "+one; .; ");
        assert_ok(arbiter_actor_join(x->root, "g", &f));
        wait_future(f);
        until_log(x, "+arbiter; ");
        assert_members(x, "g", "one arbiter ");
        spawn(x, "two");
        tell(x, "two", "join", "g");
        tell(x, "two", "join", "g");
        until_log(x, "+two; +two; ");
        assert_ok(arbiter_actor_leave(x->root, "g", NULL));
        until_log(x, "-arbiter; ");
        assert_int_equal(arbiter_send_group(x->root, "g", "broadcast", ""), 2); /* once to each */
        until_log(x, "cast; cast; ");
        until_dead(x, "one");
        until_log(x, "-one; ");
        until_dead(x, "two");
        assert_string_equal(x->log, "");
        assert_int_equal(arbiter_send_group(x->root, "g", "broadcast", ""), -ENOENT);
}

static void test_bad_names(void **state) {
        struct fixture *x = *state;
        static const char *const bad[] = { "", "a b", "a\n", "\xc3\xa4" };
        arbiter_future *f;
        char text[300];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_errno(arbiter_actor_join(x->root, bad[i], NULL), EINVAL);
                assert_errno(arbiter_actor_watch_group(x->root, bad[i], on_own_change, x, NULL), EINVAL);
                assert_errno(arbiter_actor_try_lock(x->root, bad[i], 0, &f), EINVAL);
        }
        memset(text, 'x', sizeof(text));
        text[255] = 0;
        assert_ok(arbiter_actor_join(x->root, text, NULL));
        text[255] = 'x';
        text[256] = 0;
        assert_errno(arbiter_actor_join(x->root, text, NULL), EINVAL);
        /* Past the library: the arbiter looks, too. */
        assert_ok(arbiter_call_async(x->root, &f, "arbiter", "watch_group", 0, "s", "a b"));
        wait_future(f);
        assert_int_not_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
        arbiter_future_unref(f);
        /* With what it is a member of already that is nothing, in 32 bits. */
        assert_ok(arbiter_call_async(x->root, &f, "arbiter", "join", 0, "su", "h", UINT32_MAX));
        wait_future(f);
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_OVERLOAD);
        arbiter_future_unref(f);
        for (unsigned i = 0; i < 1023; i++)
                assert_ok(arbiter_actor_join(x->root, "g", NULL));
        assert_errno(arbiter_actor_join(x->root, "g", NULL), ENOBUFS);
}

/* Locks. */

static arbiter_future *take(
                struct fixture *x, const char *who, const char *name, uint64_t hold, uint64_t wait) {
        arbiter_future *f;

        assert_ok(arbiter_call_async(x->root, &f, who, "take", GUARD_USEC, "stt", name, hold, wait));
        return f;
}

/* > 0: its number; 0: not had. Takes f. */
static uint64_t taken(arbiter_future *f) {
        uint64_t number = 0;

        wait_future(f);
        if (arbiter_future_get_outcome(f) == ARBITER_OUTCOME_REPLY)
                assert_ok(arbiter_future_get(f, "t", &number));
        else
                assert_string_equal(arbiter_future_get_error_name(f), "io.arbiter.Arbiter1.Error.Locked");
        arbiter_future_unref(f);
        return number;
}

static bool holds_it(struct fixture *x, const char *who, const char *name) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = ask(x, who, "holds", name);
        int value;

        assert_ok(arbiter_future_get(f, "b", &value));
        return value;
}

static void test_locks(void **state) {
        struct fixture *x = *state;
        arbiter_future *second, *third;
        uint64_t a, b, c;

        spawn(x, "one");
        spawn(x, "two");
        spawn(x, "three");
        a = taken(take(x, "one", "l", 0, 0));
        assert_true(a > 0);
        assert_true(holds_it(x, "one", "l"));
        assert_int_equal(taken(take(x, "two", "l", 0, 0)), 0); /* said at once */
        assert_int_equal(taken(take(x, "two", "l", 0, 1000)), 0);
        assert_true(taken(take(x, "two", "other", 0, 0)) > 0);

        second = take(x, "two", "l", 0, UINT64_MAX);
        tell(x, "two", "holds", "l"); /* it has asked */
        third = take(x, "three", "l", 0, UINT64_MAX);
        tell(x, "three", "holds", "l");
        assert_int_equal(ask_int(x, "three", "give_back", "l"), -ENOENT);
        assert_int_equal(ask_int(x, "one", "give_back", "l"), 0);
        assert_int_equal(ask_int(x, "one", "give_back", "l"), -ENOENT);
        b = taken(second);
        assert_true(b > a);
        assert_false(holds_it(x, "three", "l"));
        until_dead(x, "two"); /* with its holder it goes on to the next */
        c = taken(third);
        assert_true(c > b);
        assert_true(taken(take(x, "one", "other", 0, 0)) > 0);
}

static void test_lock_ends(void **state) {
        struct fixture *x = *state;
        arbiter_future *second;

        spawn(x, "one");
        spawn(x, "two");
        assert_true(taken(take(x, "one", "l", 20 * 1000, 0)) > 0);
        second = take(x, "two", "l", 0, UINT64_MAX);
        until_log(x, "lost l; ");
        assert_true(taken(second) > 0);
        assert_false(holds_it(x, "one", "l"));
        assert_int_equal(ask_int(x, "one", "give_back", "l"), -ENOENT);
}

/* A future that was cancelled does not keep what comes. */
static void test_lock_cancelled(void **state) {
        struct fixture *x = *state;
        arbiter_future *f;

        spawn(x, "one");
        assert_true(taken(take(x, "one", "l", 0, 0)) > 0);
        assert_ok(arbiter_actor_lock(x->root, "l", 0, UINT64_MAX, &f));
        assert_ok(arbiter_future_cancel(f));
        arbiter_future_unref(f);
        assert_int_equal(ask_int(x, "one", "give_back", "l"), 0);
        assert_true(taken(take(x, "one", "l", 0, UINT64_MAX)) > 0);
        assert_false(arbiter_actor_holds_lock(x->root, "l"));
}

/* Breakers. */

static void on_state(arbiter_breaker *b, arbiter_breaker_state s, void *userdata) {
        struct fixture *x = userdata;

        assert_int_equal(arbiter_breaker_get_state(b), s);
        (void) snprintf(x->log + strlen(x->log), sizeof(x->log) - strlen(x->log), "%s; ",
                        arbiter_breaker_state_to_string(s));
}

static arbiter_outcome call(arbiter_breaker *b, const char *command) {
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;

        assert_ok(arbiter_breaker_call_async(b, &f, command, 0, ""));
        wait_future(f);
        return arbiter_future_get_outcome(f);
}

static void test_breaker(void **state) {
        struct fixture *x = *state;
        _cleanup_(arbiter_breaker_unrefp) arbiter_breaker *b = NULL;
        _cleanup_(arbiter_future_unrefp) arbiter_future *f = NULL;

        assert_errno(arbiter_breaker_new(x->root, NULL, NULL, &b), EINVAL);
        assert_ok(arbiter_breaker_new(x->root, "one", NULL, &b));
        assert_errno(arbiter_breaker_set_max_failures(b, 0), EINVAL);
        assert_ok(arbiter_breaker_set_max_failures(b, 2));
        assert_ok(arbiter_breaker_set_call_timeout(b, 20 * 1000));
        assert_ok(arbiter_breaker_set_reset_timeout(b, 10 * 1000, 2, 0));
        assert_ok(arbiter_breaker_set_handler(b, on_state, x));

        /* Nobody is there: the outcome is known within the call, the handler runs from the loop all the
         * same. */
        assert_int_equal(call(b, "ping"), ARBITER_OUTCOME_NOPROC);
        assert_ok(arbiter_breaker_call_async(b, &f, "ping", 0, ""));
        assert_string_equal(x->log, "");
        assert_int_equal(arbiter_breaker_get_state(b), ARBITER_BREAKER_OPEN);
        assert_int_equal(call(b, "ping"), ARBITER_OUTCOME_BREAKER_OPEN);
        until_log(x, "open; half-open; ");
        assert_int_equal(call(b, "ping"), ARBITER_OUTCOME_NOPROC);
        until_log(x, "open; half-open; ");

        spawn(x, "one");
        assert_int_equal(call(b, "no_such_command"), ARBITER_OUTCOME_UNKNOWN_COMMAND); /* somebody answers */
        until_log(x, "closed; ");
        assert_int_equal(call(b, "silent"), ARBITER_OUTCOME_TIMEOUT);
        assert_int_equal(call(b, "ping"), ARBITER_OUTCOME_REPLY);
        assert_int_equal(call(b, "silent"), ARBITER_OUTCOME_TIMEOUT);
        assert_int_equal(call(b, "silent"), ARBITER_OUTCOME_TIMEOUT);
        assert_int_equal(call(b, "ping"), ARBITER_OUTCOME_BREAKER_OPEN);
}

int main(void) {
        static const arbiter_concurrency kinds[] = {
                ARBITER_CONCURRENCY_PROCESS, ARBITER_CONCURRENCY_THREAD, ARBITER_CONCURRENCY_INLINE };
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
                cmocka_unit_test_setup_teardown(test_two_watches, setup, teardown),
                cmocka_unit_test_setup_teardown(test_own, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_names, setup, teardown),
                cmocka_unit_test_setup_teardown(test_locks, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lock_ends, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lock_cancelled, setup, teardown),
                cmocka_unit_test_setup_teardown(test_breaker, setup, teardown),
        };
        int failed = 0;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                kind = kinds[i];
                failed += cmocka_run_group_tests_name(
                                arbiter_concurrency_to_string(kind), tests, NULL, NULL);
        }
        return failed;
}
