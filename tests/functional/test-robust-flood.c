/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has mail for the arbiter without end, with and without intent: others are answered, deadlines pass,
 * and it can be ended. */

#include "arbiter/control.h"
#include "state-check.h"
#include "test-hostile-util.h"

static const arbiter_module good = { ARBITER_MODULE_HEAD, .name = "good" };

static arbiter *the;
static struct death death;

static int set_up(void **state) {
        alarm(120);
        death = (struct death){};
        assert_ok(arbiter_new(NULL, NULL, &the));
        state_check_turns(the);
        assert_ok(arbiter_start(the));
        start_good(the, "sibling", &good, ARBITER_CONCURRENCY_PROCESS);
        return 0;
}

static int tear_down(void **state) {
        stop_arbiter(the);
        assert_no_children();
        alarm(0);
        return 0;
}

static arbiter_actor *root(void) {
        return arbiter_get_actor(the);
}

static pid_t pid_of(const char *name) {
        struct actor_view v;

        return control_get_actor(the, name, &v) < 0 ? 0 : v.pid;
}

static void start_flooder(const char *command, usec_t silence) {
        arbiter_spawn *s = new_worker(the, "flooder", "flood", command);
        arbiter_future *f;
        arbiter_proxy *p;

        assert_ok(arbiter_spawn_set_timeouts(s, silence, 0, 200 * 1000, 0));
        assert_ok(arbiter_spawn_start(s, &f));
        arbiter_spawn_unref(s);
        wait_future(f);
        assert_ok(arbiter_future_get_proxy(f, &p));
        arbiter_future_unref(f);
        assert_ok(arbiter_actor_watch(root(), p, on_death, &death, NULL));
        arbiter_proxy_unref(p);
}

/* Whoever floods is not silent; others are answered, and it can be removed. */
static void flood_and_remove(const char *command, usec_t silence) {
        arbiter_future *f;

        start_flooder(command, silence);
        for (unsigned i = 0; i < 200; i++)
                assert_answers(the, "sibling");
        if (death.n == 0) {
                assert_ok(arbiter_remove_actor(the, "flooder", &f));
                wait_future(f);
                assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_REPLY);
                arbiter_future_unref(f);
        }
        run_until(the, &death.n, 1);
        assert_int_equal(pid_of("flooder"), 0);
        assert_answers(the, "sibling");
}

static void test_flood(void **state) {
        flood_and_remove("ping", 60 * USEC_PER_SEC);
        death.n = 0;
        flood_and_remove("info", 60 * USEC_PER_SEC);
}

/* Its silence is judged several times meanwhile. */
static void test_flood_under_judgement(void **state) {
        flood_and_remove("ping", 100 * 1000);
        death.n = 0;
        flood_and_remove("info", 100 * 1000);
}

/* It dies in the midst of it. */
static void test_flood_and_death(void **state) {
        start_flooder("info", 60 * USEC_PER_SEC);
        assert_answers(the, "sibling");
        if (death.n == 0)
                assert_int_equal(kill(pid_of("flooder"), SIGKILL), 0);
        run_until(the, &death.n, 1);
        assert_answers(the, "sibling");
}

static int on_promise(arbiter_actor *a, arbiter_message *m, void *userdata) {
        arbiter_actor_set_userdata(a, arbiter_message_ref(m)); /* for ever */
        return 0;
}

static void on_promise_exit(arbiter_actor *a, void *userdata) {
        arbiter_message_unref(userdata);
}

static const arbiter_command promise_commands[] = {
        ARBITER_COMMAND("promise", "", "", "", "", on_promise, 0),
        ARBITER_COMMANDS_END,
};
static const arbiter_module promises = { ARBITER_MODULE_HEAD, .name = "promises",
        .commands = promise_commands, .exit = on_promise_exit };

/* A loop that always has mail still looks at the clock. */
static void test_deadline_of_a_busy_loop(void **state) {
        usec_t end = now_usec() + 20 * USEC_PER_SEC;
        arbiter_future *f;

        start_good(the, "promises", &promises, ARBITER_CONCURRENCY_INLINE);
        assert_ok(arbiter_call_async(root(), &f, "promises", "promise", 300 * 1000, ""));
        do
                assert_answers(the, "promises");
        while (arbiter_future_is_pending(f) && now_usec() < end);
        assert_false(arbiter_future_is_pending(f));
        assert_int_equal(arbiter_future_get_outcome(f), ARBITER_OUTCOME_TIMEOUT);
        arbiter_future_unref(f);
}

/* Floods its control link until that is taken from it; only the timer of its stop ends it. */
static int run_worker(const char *command) {
        static struct raw r;
        struct envelope e;

        (void) signal(SIGTERM, SIG_IGN);
        raw_open(&r);
        raw_handshake(&r);
        do
                e = (struct envelope){ .kind = ENVELOPE_CAST, .flags = ENVELOPE_SYSTEM,
                        .deadline = UINT64_MAX, .command = command };
        while (raw_send_envelope(&r, &e, NULL) >= 0);
        return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(flood),
                TEST(flood_under_judgement),
                TEST(flood_and_death),
                TEST(deadline_of_a_busy_loop),
        };

        if (argc > 3 && strcmp(argv[1], "worker") == 0)
                return run_worker(argv[3]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
